"""EAC, erasing attention consistency (Zhang et al., ECCV 2022): the same attention for an image and its mirror."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, Variant, sourced
from ..methods.losses import full_precision, label_loss

__all__ = ["EAC", "EACParams", "attention_consistency", "class_attention", "random_erasing"]

ASPECT = (0.3, 3.3)  # height over width of an erased rectangle: the default of torchvision's random erasing


@dataclass(frozen=True)
class EACParams:
    """Hyper-parameters of EAC."""

    consistency_weight: float = sourced(
        5.0, "authors' code, src/main.py:31-36 (zyh-uaiaaaa/Erasing-Attention-Consistency @61efdfd): lam"
    )
    erase_probability: float = sourced(0.5, "authors' code, src/main.py: random erasing at torchvision's default")
    erase_smallest: float = sourced(0.02, "authors' code, src/main.py: random erasing, share of the image")
    erase_largest: float = sourced(0.25, "authors' code, src/main.py: random erasing, share of the image")
    erase_colour: tuple[float, float, float] = sourced(
        (0.485, 0.456, 0.406), "authors' code, src/main.py: zero after normalisation, the mean colour of ImageNet"
    )


def random_erasing(
    images: Tensor,
    probability: float,
    area: tuple[float, float],
    colour: Sequence[float],
    generator: torch.Generator,
) -> Tensor:
    """Images in which a random rectangle is replaced by a colour, decided independently for each image.

    Args:
        images: float [B, 3, H, W].
        probability: of erasing a rectangle in an image.
        area: smallest and largest share of the image it covers; its aspect ratio is log-uniform in [0.3, 3.3].
        colour: the value of each channel in the rectangle.
        generator: the only source of randomness; [B, 5] numbers are drawn.

    Returns:
        [B, 3, H, W] of the images' dtype; the input is unchanged.
    """
    height, width = images.shape[2:]
    draws = torch.rand(len(images), 5, generator=generator, device=generator.device, dtype=torch.float64)
    chosen, share, aspect, top, left = draws.to(images.device).unbind(dim=1)
    pixels = (area[0] + (area[1] - area[0]) * share) * height * width
    low, high = math.log(ASPECT[0]), math.log(ASPECT[1])
    aspect = torch.exp(low + (high - low) * aspect)
    tall = (pixels * aspect).sqrt().round().clamp(max=height)
    wide = (pixels / aspect).sqrt().round().clamp(max=width)
    rows = _span(top, tall, height)
    columns = _span(left, wide, width)
    inside = rows[:, :, None] & columns[:, None, :] & (chosen < probability)[:, None, None]
    paint = torch.cat([images.new_full((1, 1, 1), value) for value in colour])  # no copy from the host to the device
    return torch.where(inside[:, None], paint, images)


def _span(relative: Tensor, length: Tensor, size: int) -> Tensor:
    """Mask of an interval of given length, whose start is a relative position in [0, 1) of those that fit: bool."""
    start = (relative * (size - length + 1)).floor()[:, None]
    place = torch.arange(size, device=relative.device)[None]
    return (place >= start) & (place < start + length[:, None])


def class_attention(maps: Tensor, weight: Tensor) -> Tensor:
    """Class activation maps: Σ_d weight[c, d] · maps[b, d], with detached classifier weights and without bias.

    Args:
        maps: float [B, D, h, w], features before pooling.
        weight: float [C, D] of the linear classifier; detached.

    Returns:
        Float [B, C, h, w] with gradient to the maps only.

    Source: authors' code, src/model.py (zyh-uaiaaaa/Erasing-Attention-Consistency @61efdfd).
    """
    return torch.einsum("cd,bdhw->bchw", weight.detach().to(maps.dtype), maps)


def attention_consistency(attention: Tensor, mirrored: Tensor) -> Tensor:
    """Mean squared difference between the attention of images and the flipped attention of their mirror images.

    Args:
        attention: float [B, C, h, w] of the images.
        mirrored: float [B, C, h, w] of their mirror images.

    Returns:
        Scalar with gradient to both, mean over rows, classes and positions; 0 for no rows.

    Raises:
        ValueError: the shapes differ.

    Source: authors' code, src/loss.py, whose sampling grid flips the columns.
    """
    if attention.shape != mirrored.shape:
        raise ValueError(f"attention {tuple(attention.shape)} and {tuple(mirrored.shape)} differ in shape")
    difference = full_precision(attention) - full_precision(mirrored).flip(dims=(3,))
    return difference.square().sum() / max(1, difference.numel())


class EAC(Method):
    """Cross-entropy on the erased image, plus consistency of its attention with that of the erased mirror image.

    Reference: Zhang et al., "Learn from all: erasing attention consistency for noisy label facial expression
    recognition", ECCV 2022; code zyh-uaiaaaa/Erasing-Attention-Consistency. Image and mirror image are erased
    independently, as in the authors' code for noisy labels, and forwarded separately. Erasing is part of the method and
    follows the protocol's augmentation, which replaces the authors' own (pixel noise, no random flip).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    Params = EACParams
    params: EACParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {"no-erasing": Variant("attention consistency without erasing", {"erase_probability": 0.0})}
    )

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: EACParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch: Batch) -> Step:
        """Cross-entropy of the image plus the weighted attention consistency with its mirror image."""
        encoder, head = self.network.encoder, self.network.head
        pooled, maps = encoder(self._erased(batch.images[0], batch.generator))
        _, mirrored_maps = encoder(self._erased(batch.images[0].flip(dims=(3,)), batch.generator))
        logits = head(pooled)
        consistency = attention_consistency(
            class_attention(maps, head.weight), class_attention(mirrored_maps, head.weight)
        )
        return Step(
            label_loss(logits, batch.labels, "single") + self.params.consistency_weight * consistency,
            logits.detach().softmax(dim=1),
            torch.ones(1, len(batch.labels), device=batch.labels.device),
            logs={"consistency": consistency.detach()},
        )

    def _erased(self, images: Tensor, generator: torch.Generator) -> Tensor:
        params = self.params
        area = (params.erase_smallest, params.erase_largest)
        return random_erasing(images, params.erase_probability, area, params.erase_colour, generator)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C]."""
        probabilities: Tensor = self.network(images).softmax(dim=1)
        return probabilities
