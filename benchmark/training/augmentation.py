"""Augmentation of whole batches on the device, with random numbers of each sample's own.

Images are stored once as uint8 [N, H, W, C]. Cropping with a flip is one gather from that store, which also leaves the
batch in channels-last order.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ...protocols.base import Augmentation

DRAWS = 17
(FLIP, TOP, LEFT, COIN, BRIGHTNESS, CONTRAST, SATURATION, HUE, GRAY, SHIFT_X, SHIFT_Y, SCALE) = range(12)
(ERASE, AREA, ASPECT, ERASE_TOP, ERASE_LEFT) = range(12, 17)

Change = Callable[[Tensor, Tensor, Augmentation], Tensor]

_LUMA = (0.299, 0.587, 0.114)
_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


def training_view(store: Tensor, index: Tensor, draws: Tensor, how: Augmentation) -> Tensor:
    """An augmented view of a batch.

    Args:
        store: uint8 [N, H, W, C] with C 1 or 3.
        index: int64 [B], rows of the store.
        draws: float32 [B, DRAWS], uniform in [0, 1).
        how: the augmentation.

    Returns:
        float32 [B, 3, crop, crop] in [0, 1], channels-last in memory.
    """
    flip = draws[:, FLIP] < how.flip
    images = _crop(store, index, how, draws[:, TOP], draws[:, LEFT], flip)
    chosen = draws[:, COIN] < how.jitter_probability
    if any(how.jitter):
        images = _where_chosen(_jitter, images.contiguous(), draws, chosen, how)
    if how.translate or how.scale != (1.0, 1.0):
        images = _where_chosen(_affine, images.contiguous(), draws, chosen, how)
    if how.grayscale and images.shape[1] == 3:
        gray = (draws[:, GRAY] < how.grayscale)[:, None, None, None]
        images = torch.where(gray, _luma(images), images)
    if how.erase:
        images = _erase(images, draws, how)
    return _as_colour(images)


def _where_chosen(change: Change, images: Tensor, draws: Tensor, chosen: Tensor, how: Augmentation) -> Tensor:
    """Changes the chosen images. On the CPU only these are computed, on a GPU all, to avoid a synchronisation."""
    if images.device.type != "cpu":
        return torch.where(chosen[:, None, None, None], change(images, draws, how), images)
    rows = chosen.nonzero().flatten()
    if len(rows):
        images[rows] = change(images[rows], draws[rows], how)
    return images


def test_view(store: Tensor, index: Tensor, how: Augmentation) -> Tensor:
    """The centre crop of a batch: float32 [B, 3, crop, crop] in [0, 1], channels-last in memory."""
    middle = torch.full((len(index),), 0.5, device=store.device)
    images = _crop(store, index, how, middle, middle, torch.zeros(len(index), dtype=torch.bool, device=store.device))
    return _as_colour(images)


def _as_colour(images: Tensor) -> Tensor:
    """Images with three channels, channels-last in memory; a grey channel is repeated."""
    colour = images if images.shape[1] == 3 else images.expand(-1, 3, -1, -1)
    return colour.contiguous(memory_format=torch.channels_last)


def _crop(store: Tensor, index: Tensor, how: Augmentation, top: Tensor, left: Tensor, flip: Tensor) -> Tensor:
    """Square crops float [B, C, crop, crop] in [0, 1]; beyond the border the edge pixels are repeated.

    `top` and `left` [B] are in [0, 1), relative positions among all that are allowed; `flip` is bool [B].
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
        crops = _slices(source, index, _corners(top, source.shape[1], how), _corners(left, source.shape[2], how), how)
        crops[flip] = crops[flip].flip(2)
    else:
        rows, columns = (_positions(at, side, how) for at, side in ((top, source.shape[1]), (left, source.shape[2])))
        columns = torch.where(flip[:, None], columns.flip(1), columns)
        crops = source[index[:, None, None], rows[:, :, None], columns[:, None, :]]
    return crops.permute(0, 3, 1, 2).float().div_(255.0)


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


def _positions(relative: Tensor, side: int, how: Augmentation) -> Tensor:
    """Rows or columns of crops in their images, int64 [B, crop]; beyond the border the edge is repeated."""
    window = torch.arange(how.crop, device=relative.device)
    return (_corners(relative, side, how)[:, None] + window).clamp_(0, side - 1)


def _affine(images: Tensor, draws: Tensor, how: Augmentation) -> Tensor:
    """Images shifted and scaled, with bilinear interpolation, black outside."""
    low, high = how.scale
    scale = low + (high - low) * draws[:, SCALE]
    matrix = torch.zeros(len(images), 2, 3, device=images.device)
    matrix[:, 0, 0] = matrix[:, 1, 1] = 1 / scale
    matrix[:, 0, 2] = -2 * (2 * draws[:, SHIFT_X] - 1) * how.translate / scale
    matrix[:, 1, 2] = -2 * (2 * draws[:, SHIFT_Y] - 1) * how.translate / scale
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False).clamp_(0, 1)


def _luma(images: Tensor) -> Tensor:
    """Grey values [B, 1, H, W]."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(1)
    return (_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue)[:, None]


def _factor(draws: Tensor, column: int, strength: float) -> Tensor:
    """Random factors [B, 1, 1] in [1 - strength, 1 + strength]."""
    return (1 + (2 * draws[:, column] - 1) * strength)[:, None, None]


def _jitter(images: Tensor, draws: Tensor, how: Augmentation) -> Tensor:
    """Changes brightness, contrast (about the mean grey), saturation and hue, in this order, by one matrix."""
    brightness, contrast, saturation, hue = how.jitter
    count, channels, height, width = images.shape
    pixels = images.reshape(count, channels, height * width)
    luma = torch.tensor(_LUMA if channels == 3 else (1.0,), device=images.device)
    identity = torch.eye(channels, device=images.device).expand(count, -1, -1)
    bright, contrasty = _factor(draws, BRIGHTNESS, brightness), _factor(draws, CONTRAST, contrast)
    mean = bright * (pixels.mean(dim=2, keepdim=True) * luma[:, None]).sum(dim=1, keepdim=True)
    matrix = bright * contrasty * identity
    if channels == 3 and saturation:
        colour = _factor(draws, SATURATION, saturation)
        matrix = (colour * identity + (1 - colour) * luma.expand(3, 3)) @ matrix
    if channels == 3 and hue:
        matrix = _hue_turn((2 * draws[:, HUE] - 1) * hue * (2 * math.pi)) @ matrix
    # saturation and hue leave grey as it is, so the grey that contrast adds needs no matrix
    changed = torch.baddbmm(((1 - contrasty) * mean).expand(count, channels, 1), matrix, pixels)
    return changed.clamp_(0, 1).reshape(images.shape)


def _hue_turn(angle: Tensor) -> Tensor:
    """Matrices [B, 3, 3] that rotate colours about the grey axis by angles [B] in radians, in YIQ's chroma plane."""
    forward = torch.tensor(_TO_YIQ, device=angle.device)
    turn = torch.zeros(len(angle), 3, 3, device=angle.device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = angle.cos()
    turn[:, 1, 2], turn[:, 2, 1] = -angle.sin(), angle.sin()
    matrices: Tensor = torch.linalg.inv(forward) @ turn @ forward
    return matrices


def _erase(images: Tensor, draws: Tensor, how: Augmentation) -> Tensor:
    """Images with a grey rectangle in those that are chosen, with the probability `how.erase`."""
    height, width = images.shape[2:]
    low, high = how.erase_area
    area = (low + (high - low) * draws[:, AREA]) * height * width
    aspect = torch.exp((2 * draws[:, ASPECT] - 1) * math.log(3.3))
    tall = (area * aspect).sqrt().round().clamp(1, height)
    wide = (area / aspect).sqrt().round().clamp(1, width)
    top = (draws[:, ERASE_TOP] * (height - tall + 1)).floor()
    left = (draws[:, ERASE_LEFT] * (width - wide + 1)).floor()
    y = torch.arange(height, device=images.device)[None, :, None]
    x = torch.arange(width, device=images.device)[None, None, :]
    rows = (y >= top[:, None, None]) & (y < (top + tall)[:, None, None])
    columns = (x >= left[:, None, None]) & (x < (left + wide)[:, None, None])
    inside = rows & columns & (draws[:, ERASE] < how.erase)[:, None, None]
    return images.masked_fill(inside[:, None], 0.5)
