"""Encoders: timm backbones that return pooled features and feature maps, normalise images, and count passes."""

from __future__ import annotations

import contextlib
import logging
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import timm
import torch
from timm.models.resnet import BasicBlock, ResNet
from torch import Tensor, nn

from ...protocols.errors import BadInput
from .. import random_streams
from .attention_neck import AttentionNeck
from .dlib_resnet import NORMALISATION, Dlib29
from .initial_weights import Weights

Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]  # mean and deviation, RGB in [0, 1]
IMAGENET: Normalisation = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# VGGFace2's published networks take values in [0, 255] minus a mean of 91.4953, 103.8827, 131.0912 (BGR), not scaled.
# Source: cydonia999/VGGFace2-pytorch, datasets/vgg_face2.py, after the authors' resnet50_ft.prototxt.
VGGFACE2: Normalisation = ((131.0912 / 255, 103.8827 / 255, 91.4953 / 255), (1 / 255, 1 / 255, 1 / 255))

PATCH = 8  # pixels a side
FEATURE_SIZE = 20.0


@dataclass
class Counters:
    """The compute of a trial: how many samples passed forward and backward through its encoders."""

    forwards: int = 0
    backwards: int = 0

    def take(self) -> dict[str, int]:
        """The counts since the last call, which are set to 0."""
        taken = {"forwards": self.forwards, "backwards": self.backwards}
        self.forwards = self.backwards = 0
        return taken

    def __deepcopy__(self, memo: object) -> Counters:
        """The object itself: the passes of a copied encoder (a mean teacher) count for the same trial."""
        return self


class CountedEncoder(nn.Module):
    """A timm backbone: images [B, 3, H, W] in [0, 1] to (pooled [B, D], maps [B, D, h, w]), float32.

    With a neck, both come from the neck, and the D of `pooled` is that of all its tokens together. Reduced precision is
    used inside only, so that losses and rankings are always computed in float32.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: Any,
        counters: Counters,
        autocast: Callable[[], Any],
        neck: AttentionNeck | None = None,
        normalisation: Normalisation = IMAGENET,
        *,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.model: Any = model
        self.neck = neck
        self.num_features = int(model.num_features) if neck is None else neck.num_features
        self.tokens = 0 if neck is None else neck.queries
        self._counters = counters
        self._autocast = autocast
        # a function, not a method of this object: a copied encoder would run the original's
        self._features: Callable[[Any, Tensor], Tensor] = torch.compile(_features) if compiled else _features
        mean, std = normalisation
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled features and feature maps of a batch, whose samples are counted."""
        self._counters.forwards += len(images)
        return self.compute(images)

    def compute(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The same, without counting the forward pass, which a trace of another batch size could not do."""
        with self._autocast():
            maps = self._features(self.model, (images - self.mean) / self.std)
            if maps.requires_grad:
                maps.register_hook(self._count_backward)  # type: ignore[no-untyped-call]
            if self.neck is None:
                pooled = self.model.forward_head(maps, pre_logits=True)
            else:
                pooled, maps = self.neck(maps)
        return pooled.float(), maps.float()

    def neck_parameters(self, part: str) -> Iterable[nn.Parameter]:
        """The parameters of a part of the neck; none without a neck."""
        return () if self.neck is None else self.neck.get_submodule(part).parameters()

    def _count_backward(self, gradient: Tensor) -> None:
        self._counters.backwards += len(gradient)


def _features(model: Any, images: Tensor) -> Tensor:
    """A backbone's feature maps [B, D, h, w] of normalised images."""
    maps: Tensor = model.forward_features(images)
    return maps


def small_resnet() -> nn.Module:
    """The small profiles' encoder: timm's ResNet, 16 to 128 channels, one block a stage, no pooling in the stem."""
    channels, layers = (16, 32, 64, 128), (1, 1, 1, 1)
    block: Any = BasicBlock
    model = ResNet(block, layers=layers, channels=channels, stem_type="deep", stem_width=8, num_classes=0)
    model.maxpool = nn.Identity()  # type: ignore[assignment]
    return model


class OneLayer(nn.Module):
    """The second encoder of the regression checks: one convolution over patches, with large features.

    A ResNet amplifies rounding differences with every step; this network hardly does, so that far smaller changes of a
    method can be detected. Features of this size make classifiers confident, rightly or wrongly, from the start.
    """

    num_features = 16

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, self.num_features, PATCH, stride=PATCH)

    def forward_features(self, images: Tensor) -> Tensor:
        """Feature maps [B, 16, h, w] in ±FEATURE_SIZE of images [B, 3, H, W]."""
        maps: Tensor = self.patches(images).tanh() * FEATURE_SIZE
        return maps

    def forward_head(self, maps: Tensor, *, pre_logits: bool) -> Tensor:
        """Means [B, 16] of feature maps."""
        return maps.mean(dim=(2, 3))


OURS: Mapping[str, Callable[[], nn.Module]] = MappingProxyType(
    {"small": small_resnet, "one-layer": OneLayer, "dlib29": Dlib29}
)


def build_model(name: str, weights: Weights, neck: str = "") -> nn.Module:
    """A backbone (of OURS or timm) without a classifier, and without its last stage where a neck replaces it.

    Raises:
        BadInput: no such model; ImageNet weights that cannot be downloaded; a checkpoint of another model; a neck on a
            model other than a ResNet.
    """
    model = _complete_model(name, weights)
    if neck:
        _drop_last_stage(model, name)
    if weights.state is not None:
        weights.load_into(model, name)
    if weights.kind == "vggface2":
        _arrange_as_caffe(model)
    return model


def _complete_model(name: str, weights: Weights) -> nn.Module:
    """A model without a classifier, with ImageNet weights where they are asked for."""
    if name in OURS:
        if weights.kind not in (("none", "dlib") if name == "dlib29" else ("none",)):
            start = "dlib's own weights or from scratch" if name == "dlib29" else "scratch"
            raise BadInput(
                f"--weights {weights.family or weights.kind}: this profile's encoder starts from {start}; "
                "leave --weights out, or add --profile paper"
            )
        return OURS[name]()
    if not timm.is_model(name):
        raise BadInput(f"unknown encoder '{name}': not a timm model (timm.list_models() lists them)")
    if weights.kind == "imagenet" and weights.state is None:
        logging.disable(logging.WARNING)  # the hub's client logs every retry
        try:
            return timm.create_model(name, pretrained=True, num_classes=0)
        except Exception as error:  # hub, HTTP client and file format each raise errors of their own
            reason = textwrap.shorten(str(error) or type(error).__name__, 120, placeholder="…")
            raise BadInput(
                f"ImageNet weights for {name} could not be downloaded ({reason}): connect to the internet once, put "
                "them in timm's cache, or train from scratch with --weights none (never compared in one table with "
                "results that start from weights)"
            ) from error
        finally:
            logging.disable(logging.NOTSET)
    return timm.create_model(name, pretrained=False, num_classes=0)


def normalisation_of(model: nn.Module, weights: Weights) -> Normalisation:
    """The mean and deviation of the pixels that a network was trained on; ImageNet's where it does not say."""
    if isinstance(model, Dlib29):
        return NORMALISATION
    if weights.kind == "vggface2":
        return VGGFACE2
    said: Mapping[str, Any] = getattr(model, "pretrained_cfg", None) or {}
    return said.get("mean", IMAGENET[0]), said.get("std", IMAGENET[1])


def _drop_last_stage(model: Any, name: str) -> None:
    """Ends a ResNet after its third stage, with 14 x 14 positions of 224 px, 1,024 channels of a ResNet-50."""
    if not isinstance(model, ResNet):
        raise BadInput(f"encoder '{name}': the attention neck replaces a ResNet's last stage; name a ResNet")
    stages: Any = model.feature_info
    model.layer4 = nn.Sequential()
    model.num_features = stages[-2]["num_chs"]


def _arrange_as_caffe(model: Any) -> None:
    """Sets the strides and the pooling of the published VGGFace2 networks, which stride in a block's first convolution.

    Torchvision's networks have the same parameters, but stride in the 3x3 convolution and pad before pooling.
    Source: cydonia999/VGGFace2-pytorch, models/resnet.py, which is converted from the authors' Caffe networks.
    """
    model.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
    for stage in (model.layer2, model.layer3, model.layer4):
        for block in stage[:1]:
            block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)


@dataclass(frozen=True)
class EncoderFactory:
    """Makes the encoders of a trial. Peer 0 of every method has the same initial weights as a single network.

    A call also seeds torch's generator for the peer's head, which methods make next. `queries` are those of the neck,
    one for each AU; `compiled` backbones are compiled by torch.compile.
    """

    name: str
    weights: Weights
    seed: int
    counters: Counters
    precision: str
    device: torch.device
    neck: str = ""
    queries: int = 0
    compiled: bool = False

    def __call__(self, peer: int = 0) -> CountedEncoder:
        """A new encoder for one of a method's networks, numbered from 0."""
        torch.manual_seed(random_streams.key(self.seed, "encoder", peer))
        model: Any = build_model(self.name, self.weights, self.neck)
        neck = AttentionNeck(model.num_features, self.queries) if self.neck else None
        how = (self._autocast, neck, normalisation_of(model, self.weights))
        encoder = CountedEncoder(model, self.counters, *how, compiled=self.compiled)
        torch.manual_seed(random_streams.key(self.seed, "head", peer))
        return encoder.to(memory_format=torch.channels_last)

    def _autocast(self) -> Any:
        if self.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()
