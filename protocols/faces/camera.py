"""Simulated camera: blur, sensor noise, block compression, and rounding to bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..files import Array
from .keyed_random import Keys, bits


def expose(rgb: Array, shade: Array, keys: Keys, blur: Array, noise: Array, blocks: Array) -> NDArray[np.uint8]:
    """The images uint8 [n, H, W, 3] of colours rgb [3, n, H, W] multiplied by shade [n, H, W].

    blur [n] is the weight of a pixel's neighbours (0..0.3), noise [n] the standard deviation of the noise in grey
    levels, blocks [n] the quantisation step of the compression in grey levels (0 for none).
    """
    image = rgb * (shade * 255)
    for _ in range(2):
        image = _blurred(image, blur[:, None, None])
    image = _with_noise(image, keys, noise[:, None, None])
    coarse = np.flatnonzero(blocks > 0)
    if len(coarse):
        image[:, coarse] = _compressed(image[:, coarse], blocks[coarse, None, None])
    levels = np.rint(np.minimum(np.maximum(image, 0), 255)).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 3, 0))


def _blurred(image: Array, weight: Array) -> Array:
    """Averages each pixel with its neighbours, vertically and then horizontally; pixels at the border are kept."""
    for axis in (-2, -1):
        plane = np.moveaxis(image, axis, -1)
        mixed = plane.copy()
        side = weight[..., 0:1]
        mixed[..., 1:-1] += side * (plane[..., :-2] + plane[..., 2:] - 2 * plane[..., 1:-1])
        image = np.moveaxis(mixed, -1, axis)
    return image


def _with_noise(image: Array, keys: Keys, spread: Array) -> Array:
    """Adds sensor noise, correlated between channels: each sums two neighbouring bytes of a random word."""
    count, height, width = image.shape[1:]
    words = bits(keys, (height * width + 1) // 2).view(np.uint32)[:, : height * width].reshape(count, height, width)
    pieces = [((words >> np.uint32(shift)) & np.uint32(255)).astype(np.float32) for shift in (0, 8, 16, 24)]
    # The sum of two uniform bytes has variance 10922, standard deviation 104.5.
    scale = spread / np.float32(104.5)
    for channel in range(3):
        image[channel] += (pieces[channel] + pieces[channel + 1] - 255) * scale
    return image


def _compressed(image: Array, step: Array) -> Array:
    """Quantises the Haar wavelet coefficients of blocks of 8x8 pixels: block artefacts like strong JPEG compression."""
    height, width = image.shape[2] // 8 * 8, image.shape[3] // 8 * 8
    if height and width:
        image[:, :, :height, :width] = _haar(image[:, :, :height, :width], step, 3)
    return image


def _haar(image: Array, step: Array, depth: int) -> Array:
    """One wavelet level: quantises the three differences of each 2x2 square and recurses on the means."""
    if not depth:
        return image
    a, b = image[..., 0::2, 0::2], image[..., 0::2, 1::2]
    c, d = image[..., 1::2, 0::2], image[..., 1::2, 1::2]
    mean = _haar((a + b + c + d) / 4, step * np.float32(0.5), depth - 1)
    across, down, cross = ((a - b + c - d) / 4, (a + b - c - d) / 4, (a - b - c + d) / 4)
    across, down, cross = (np.rint(part / step) * step for part in (across, down, cross))
    whole = np.empty_like(image)
    whole[..., 0::2, 0::2], whole[..., 0::2, 1::2] = mean + across + down + cross, mean - across + down - cross
    whole[..., 1::2, 0::2], whole[..., 1::2, 1::2] = mean + across - down - cross, mean - across - down + cross
    return whole
