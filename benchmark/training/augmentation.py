"""Augmentation of whole batches on the device, with random numbers of each sample's own.

Images are stored once as uint8 [N, H, W, C]. Cropping with a flip is one gather from that store, which also leaves the
batch in channels-last order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...protocols.base import Augmentation
from .image_operations import LUMA, luma
from .image_operations import strong_operation as strong_operation

DRAWS = 17
(FLIP, TOP, LEFT, COIN, BRIGHTNESS, CONTRAST, SATURATION, HUE, GRAY, SHIFT_X, SHIFT_Y, SCALE) = range(12)
(ERASE, AREA, ASPECT, ERASE_TOP, ERASE_LEFT) = range(12, 17)

Change = Callable[[Tensor, "Decisions"], Tensor]

_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass(frozen=True)
class Jitter:
    """A change of colours: brightness and contrast [..., 1, 1], matrix [..., 3, 3] of it all, luma weights [..., 3]."""

    bright: Tensor
    contrast: Tensor
    matrix: Tensor
    luma: Tensor

    def __getitem__(self, rows: int | slice | Tensor) -> Jitter:
        return Jitter(self.bright[rows], self.contrast[rows], self.matrix[rows], self.luma[rows])


@dataclass(frozen=True)
class Decisions:
    """What the draws of samples decide. All but the pixels' own part is worked out here, for many steps at once.

    Attributes:
        top, left: int64 [...], the first row and column of the crop.
        flip, chosen: bool [...], whether it is mirrored, and whether colours and place are changed.
        jitter: of colours.
        affine: [..., 2, 3], of the place.
        gray: bool [...], whether the colour is dropped.
        hole: [..., 4], first row, row after the last, and such columns of the erased rectangle; no rows: none.
    """

    top: Tensor
    left: Tensor
    flip: Tensor
    chosen: Tensor
    jitter: Jitter | None
    affine: Tensor | None
    gray: Tensor | None
    hole: Tensor | None

    def __getitem__(self, rows: int | slice | Tensor) -> Decisions:
        """Those of a step, or of some rows of a batch."""
        jitter = None if self.jitter is None else self.jitter[rows]
        rest = (None if part is None else part[rows] for part in (self.affine, self.gray, self.hole))
        return Decisions(self.top[rows], self.left[rows], self.flip[rows], self.chosen[rows], jitter, *rest)


def decide(draws: Tensor, how: Augmentation, size: tuple[int, int]) -> Decisions:
    """What draws, float32 [..., DRAWS] in [0, 1), decide for pictures of a height and a width in a store."""
    height, width = size if how.resize is None else (how.resize, how.resize)
    moved = how.translate or how.scale != (1.0, 1.0)
    return Decisions(
        top=_corners(draws[..., TOP], height, how),
        left=_corners(draws[..., LEFT], width, how),
        flip=draws[..., FLIP] < how.flip,
        chosen=draws[..., COIN] < how.jitter_probability,
        jitter=_decide_jitter(draws, how) if any(how.jitter) else None,
        affine=_decide_affine(draws, how) if moved else None,
        gray=draws[..., GRAY] < how.grayscale if how.grayscale else None,
        hole=_decide_hole(draws, how) if how.erase else None,
    )


def training_view(store: Tensor, index: Tensor, decided: Decisions, how: Augmentation) -> Tensor:
    """An augmented view of a batch.

    Args:
        store: uint8 [N, H, W, C] with C 1 or 3.
        index: int64 [B], rows of the store.
        decided: for the B samples.
        how: the augmentation.

    Returns:
        float32 [B, 3, crop, crop] in [0, 1], channels-last in memory.
    """
    return as_colour(ordinary_view(store, index, decided, how))


def ordinary_view(store: Tensor, index: Tensor, decided: Decisions, how: Augmentation) -> Tensor:
    """`training_view` with as many channels as the store has, in any order in memory."""
    images = _crop(store, index, how, decided.top, decided.left, decided.flip)
    changes = [change for change, part in ((_jitter, decided.jitter), (_affine, decided.affine)) if part is not None]
    if changes:
        images = _change_chosen(changes, images.contiguous(), decided)
    if decided.gray is not None and images.shape[1] == 3:
        images = torch.where(decided.gray[:, None, None, None], luma(images), images)
    if decided.hole is not None:
        images = _erase(images, decided.hole)
    return images


def _change_chosen(changes: Sequence[Change], images: Tensor, decided: Decisions) -> Tensor:
    """Changes the chosen images. On the CPU only these are computed, on a GPU all, to avoid a synchronisation."""
    if images.device.type != "cpu":
        changed = _all_changed(changes, images, decided)
        return torch.where(decided.chosen[:, None, None, None], changed, images)
    rows = decided.chosen.nonzero().flatten()
    if len(rows):
        images[rows] = _all_changed(changes, images[rows], decided[rows])
    return images


def _all_changed(changes: Sequence[Change], images: Tensor, decided: Decisions) -> Tensor:
    for change in changes:
        images = change(images, decided)
    return images


def test_view(store: Tensor, index: Tensor, how: Augmentation) -> Tensor:
    """The centre crop of a batch: float32 [B, 3, crop, crop] in [0, 1], channels-last in memory."""
    height, width = store.shape[1:3] if how.resize is None else (how.resize, how.resize)
    middle = torch.full((len(index),), 0.5, device=store.device)
    flip = torch.zeros(len(index), dtype=torch.bool, device=store.device)
    return as_colour(_crop(store, index, how, _corners(middle, height, how), _corners(middle, width, how), flip))


def as_colour(images: Tensor) -> Tensor:
    """Images with three channels, channels-last in memory; a grey channel is repeated."""
    colour = images if images.shape[1] == 3 else images.expand(-1, 3, -1, -1)
    return colour.contiguous(memory_format=torch.channels_last)


def _crop(store: Tensor, index: Tensor, how: Augmentation, top: Tensor, left: Tensor, flip: Tensor) -> Tensor:
    """Square crops float [B, C, crop, crop] in [0, 1]; beyond the border the edge pixels are repeated.

    `top` and `left` int64 [B] are the first row and column; `flip` is bool [B].
    """
    if how.resize is not None and store.shape[1:3] != (how.resize, how.resize):
        size = (how.resize, how.resize)
        whole = store[index].permute(0, 3, 1, 2).float()
        whole = F.interpolate(whole, size=size, mode="bilinear", align_corners=False, antialias=False)
        source = whole.clamp_(0, 255).permute(0, 2, 3, 1)  # by rounding, the weights may sum to more than 1
        index = torch.arange(len(index), device=store.device)
    else:
        source = store
    if not how.pad and source.device.type == "cpu":
        crops = _slices(source, index, top, left, how)
        crops[flip] = crops[flip].flip(2)
    else:
        crops = _gathered(source, index, top, left, flip, how)
    return crops.permute(0, 3, 1, 2) / 255.0


def _gathered(source: Tensor, index: Tensor, top: Tensor, left: Tensor, flip: Tensor, how: Augmentation) -> Tensor:
    """Crops, gathered pixel by pixel; beyond the border the edge is repeated."""
    count, height, width, channels = source.shape
    window = torch.arange(how.crop, device=source.device)
    rows, columns = ((first[:, None] + window).clamp_(0, side - 1) for first, side in ((top, height), (left, width)))
    columns = torch.where(flip[:, None], columns.flip(1), columns)
    place = ((index[:, None] * height + rows) * width)[:, :, None] + columns[:, None, :]
    # whole pixels, which takes a third of the time of an index for each dimension
    pixels = source.reshape(count * height * width, channels).index_select(0, place.flatten())
    return pixels.view(len(index), how.crop, how.crop, channels)


def _slices(source: Tensor, index: Tensor, top: Tensor, left: Tensor, how: Augmentation) -> Tensor:
    """Crops inside their images, copied as slices, which is many times faster on a CPU than gathering pixels."""
    crops = torch.empty(len(index), how.crop, how.crop, source.shape[3], dtype=source.dtype)
    for crop, row, y, x in zip(crops, index.tolist(), top.tolist(), left.tolist(), strict=True):
        crop.copy_(source[row, y : y + how.crop, x : x + how.crop])
    return crops


def _corners(relative: Tensor, side: int, how: Augmentation) -> Tensor:
    """The first row or column of crops, int64 [B], from relative positions in [0, 1) among all that are allowed."""
    count = side + 2 * how.pad - how.crop + 1
    return (relative * count).floor().clamp_(max=count - 1).long() - how.pad


def _decide_affine(draws: Tensor, how: Augmentation) -> Tensor:
    """Matrices [..., 2, 3] that shift and scale."""
    low, high = how.scale
    scale = low + (high - low) * draws[..., SCALE]
    matrix = torch.zeros(*draws.shape[:-1], 2, 3, device=draws.device)
    matrix[..., 0, 0] = matrix[..., 1, 1] = 1 / scale
    matrix[..., 0, 2] = -2 * (2 * draws[..., SHIFT_X] - 1) * how.translate / scale
    matrix[..., 1, 2] = -2 * (2 * draws[..., SHIFT_Y] - 1) * how.translate / scale
    return matrix


def _affine(images: Tensor, decided: Decisions) -> Tensor:
    """Images shifted and scaled, with bilinear interpolation, black outside."""
    assert decided.affine is not None
    grid = F.affine_grid(decided.affine, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False).clamp_(0, 1)


def _factor(draws: Tensor, column: int, strength: float) -> Tensor:
    """Random factors [..., 1, 1] in [1 - strength, 1 + strength]."""
    return (1 + (2 * draws[..., column] - 1) * strength)[..., None, None]


def _decide_jitter(draws: Tensor, how: Augmentation) -> Jitter:
    """Changes of brightness, contrast (about the mean grey), saturation and hue, in this order, by one matrix."""
    brightness, contrast, saturation, hue = how.jitter
    luma, identity = torch.tensor(LUMA, device=draws.device), torch.eye(3, device=draws.device)
    bright, contrasty = _factor(draws, BRIGHTNESS, brightness), _factor(draws, CONTRAST, contrast)
    matrix = bright * contrasty * identity
    if saturation:
        colour = _factor(draws, SATURATION, saturation)
        matrix = (colour * identity + (1 - colour) * luma.expand(3, 3)) @ matrix
    if hue:
        matrix = _hue_turn((2 * draws[..., HUE] - 1) * hue * (2 * math.pi)) @ matrix
    return Jitter(bright, contrasty, matrix, luma.expand(*draws.shape[:-1], 3))


def _jitter(images: Tensor, decided: Decisions) -> Tensor:
    """Images [B, C, H, W] of other colours; grey ones have brightness and contrast alone."""
    how = decided.jitter
    assert how is not None
    count, channels, height, width = images.shape
    pixels = images.reshape(count, channels, height * width)
    mean, matrix = pixels.mean(dim=2, keepdim=True), how.matrix
    if channels == 3:
        mean = (mean * how.luma[..., None]).sum(dim=1, keepdim=True)
    else:
        matrix = how.bright * how.contrast
    # saturation and hue leave grey as it is, so the grey that contrast adds needs no matrix
    grey = (1 - how.contrast) * (how.bright * mean)
    changed = torch.baddbmm(grey.expand(count, channels, 1), matrix, pixels)
    return changed.clamp_(0, 1).reshape(images.shape)


def _hue_turn(angle: Tensor) -> Tensor:
    """Matrices [..., 3, 3] that rotate colours about the grey axis by angles [...] in radians, in YIQ's chroma."""
    forward = torch.tensor(_TO_YIQ)
    to_yiq, from_yiq = forward.to(angle.device), torch.linalg.inv(forward).to(angle.device)
    turn = torch.zeros(*angle.shape, 3, 3, device=angle.device)
    turn[..., 0, 0] = 1
    turn[..., 1, 1] = turn[..., 2, 2] = angle.cos()
    turn[..., 1, 2], turn[..., 2, 1] = -angle.sin(), angle.sin()
    matrices: Tensor = from_yiq @ turn @ to_yiq
    return matrices


def _decide_hole(draws: Tensor, how: Augmentation) -> Tensor:
    """The rectangles [..., 4] to erase, without rows where a sample is not chosen, with the probability `how.erase`."""
    side = how.crop
    low, high = how.erase_area
    area = (low + (high - low) * draws[..., AREA]) * side * side
    aspect = torch.exp((2 * draws[..., ASPECT] - 1) * math.log(3.3))
    tall = (area * aspect).sqrt().round().clamp(1, side)
    wide = (area / aspect).sqrt().round().clamp(1, side)
    top = (draws[..., ERASE_TOP] * (side - tall + 1)).floor()
    left = (draws[..., ERASE_LEFT] * (side - wide + 1)).floor()
    tall = torch.where(draws[..., ERASE] < how.erase, tall, 0)
    return torch.stack([top, top + tall, left, left + wide], dim=-1)


def _erase(images: Tensor, hole: Tensor) -> Tensor:
    """Images with a grey rectangle."""
    window = torch.arange(images.shape[2], device=images.device)
    top, bottom, left, right = hole[:, :, None].unbind(1)
    rows, columns = (window >= top) & (window < bottom), (window >= left) & (window < right)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.5)
