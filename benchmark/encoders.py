"""Backbones: timm models with pooled and map features, counted, with normalisation inside."""

from __future__ import annotations

import contextlib
import logging
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import timm
import torch
from timm.models.resnet import BasicBlock, ResNet
from torch import Tensor, nn

from ..protocols.errors import BadInput
from . import streams
from .weights import Weights

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass
class Counters:
    """Compute of a trial: samples that went forward and backward through an encoder."""

    forwards: int = 0
    backwards: int = 0

    def take(self) -> dict[str, int]:
        """The counts since the last call."""
        taken = {"forwards": self.forwards, "backwards": self.backwards}
        self.forwards = self.backwards = 0
        return taken

    def __deepcopy__(self, memo: object) -> Counters:
        """Itself: what a copied encoder (a mean teacher) computes counts for the same trial."""
        return self


class CountedEncoder(nn.Module):
    """A timm backbone: images [B, 3, H, W] in [0, 1] to (pooled [B, D], maps [B, D, h, w]), float32.

    Reduced precision stays inside, so that losses and rankings are always computed in float32.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: Any, counters: Counters, autocast: Callable[[], Any]) -> None:
        super().__init__()
        self.model: Any = model
        self.num_features = int(model.num_features)
        self._counters = counters
        self._autocast = autocast
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled features and maps of a batch; counts its samples."""
        self._counters.forwards += len(images)
        with self._autocast():
            maps = self.model.forward_features((images - self.mean) / self.std)
            if maps.requires_grad:
                maps.register_hook(self._count_backward)
            pooled = self.model.forward_head(maps, pre_logits=True)
        return pooled.float(), maps.float()

    def _count_backward(self, gradient: Tensor) -> None:
        self._counters.backwards += len(gradient)


def small_resnet() -> nn.Module:
    """The small profiles' encoder: timm's ResNet, channels 16 to 128, one block a stage, no pooling in the stem."""
    channels, layers = (16, 32, 64, 128), (1, 1, 1, 1)
    block: Any = BasicBlock
    model = ResNet(block, layers=layers, channels=channels, stem_type="deep", stem_width=8, num_classes=0)
    model.maxpool = nn.Identity()  # type: ignore[assignment]
    return model


def build_model(name: str, weights: Weights) -> nn.Module:
    """A backbone without classifier.

    Raises:
        BadInput: no such model; ImageNet weights that cannot be fetched; a checkpoint of another model.
    """
    if name == "small":
        if weights.kind != "none":
            raise BadInput(
                f"--weights {weights.family or weights.kind}: this profile's narrow ResNet starts from scratch; "
                "leave --weights out, or add --profile paper"
            )
        return small_resnet()
    if not timm.is_model(name):
        raise BadInput(f"unknown encoder '{name}': not a timm model (timm.list_models() lists them)")
    if weights.kind == "imagenet":
        logging.disable(logging.WARNING)  # the hub's client tells of every retry
        try:
            return timm.create_model(name, pretrained=True, num_classes=0)
        except Exception as error:  # hub, HTTP client and file format each raise errors of their own
            reason = textwrap.shorten(str(error) or type(error).__name__, 120, placeholder="…")
            raise BadInput(
                f"ImageNet weights for {name} could not be fetched ({reason}): connect once, put them in timm's cache, "
                "or train from scratch with --weights none (another comparability key)"
            ) from error
        finally:
            logging.disable(logging.NOTSET)
    model = timm.create_model(name, pretrained=False, num_classes=0)
    if weights.state is not None:
        weights.load_into(model, name)
    return model


@dataclass(frozen=True)
class EncoderFactory:
    """Makes the encoders of a trial: peer 0 of every method starts as the single network starts.

    After a call the construction's random stream stands at the start of the peer's own stream.
    """

    name: str
    weights: Weights
    seed: int
    counters: Counters
    precision: str
    device: torch.device

    def __call__(self, peer: int = 0) -> CountedEncoder:
        """A new encoder."""
        torch.manual_seed(streams.key(self.seed, "encoder", peer))
        encoder = CountedEncoder(build_model(self.name, self.weights), self.counters, self._autocast)
        torch.manual_seed(streams.key(self.seed, "head", peer))
        return encoder.to(memory_format=torch.channels_last)

    def _autocast(self) -> Any:
        if self.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()
