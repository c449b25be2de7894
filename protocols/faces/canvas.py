"""Canvas for drawing many faces at once, with head coordinates and antialiased shapes.

Pixels are computed with +, -, *, /, square root, minimum, maximum and comparisons only. IEEE 754 rounds these exactly,
so the pixels do not depend on the CPU, chunk size or number of threads. Arrays are float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..files import Array

Box = tuple[float, float, float, float]  # left, top, right, bottom; the image spans -1..1
Colour = Sequence[Array | float]


def bump(distance: Array) -> Array:
    """A smooth function of distance: 1 at 0, decreasing to 0 at 1 and beyond."""
    rest: Array = np.maximum(np.float32(0), 1 - distance * distance)
    return np.asarray(rest * rest)


def ramp(value: Array) -> Array:
    """A smooth step: 0 for values up to 0, 1 from 1 on."""
    clipped = np.minimum(np.maximum(value, np.float32(0)), np.float32(1))
    return np.asarray(clipped * clipped * (3 - 2 * clipped))


def sine_and_cosine(degrees: Array) -> tuple[Array, Array]:
    """Sine and cosine of moderate angles, from the half-angle formulas with exactly rounded operations."""
    half = degrees * np.float32(np.pi / 360)
    tangent = half + half * half * half / 3
    square = tangent * tangent
    return 2 * tangent / (1 + square), (1 - square) / (1 + square)


class Canvas:
    """Images of n faces: rgb float32 [3, n, H, W] in 0..1, a factor shade [n, H, W], and head coordinates.

    x, y are image coordinates [n, H, W] with shift, zoom and roll removed; u, v are coordinates on the front of the
    head, with yaw and pitch removed as well. For a frontal head both span -1..1 over the image.
    """

    def __init__(self, size: int, pose: NDArray[np.float64], shift: Array, zoom: Array) -> None:
        count = len(pose)
        self.size, self.pixel = size, 2.0 / size
        place = ((np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(self.pixel)) - 1
        across, down = place[None, None, :], place[None, :, None]
        sines, cosines = sine_and_cosine(pose.astype(np.float32)[:, :, None, None].transpose(1, 0, 2, 3))
        across, down = (across - shift[:, 0]) / zoom, (down - shift[:, 1]) / zoom
        self.x = across * cosines[2] + down * sines[2]
        self.y = down * cosines[2] - across * sines[2]
        # The head is an ellipsoid in parallel projection, centred on its front as by a face detector.
        depth = np.sqrt(np.maximum(np.float32(0), 1 - self.x * self.x * 0.75 - self.y * self.y * 0.6))
        depth = 1.35 * depth
        self.u = self.x * cosines[0] - (depth - 1.2) * sines[0]
        depth = depth * cosines[0] + self.x * sines[0]
        self.v = self.y * cosines[1] - (depth - 1.2) * sines[1]
        self.sines = sines
        self.rgb = np.zeros((3, count, size, size), dtype=np.float32)
        self.shade = np.ones((count, size, size), dtype=np.float32)

    def patch(self, box: Box) -> Patch:
        """The rectangle of the canvas that contains a feature in any pose."""
        left, top, right, bottom = (min(max(round((edge + 1) / self.pixel), 0), self.size) for edge in box)
        return Patch(self, slice(top, bottom), slice(left, right))


class Patch:
    """A rectangle of the canvas, with copies of its head coordinates u, v [n, h, w]."""

    def __init__(self, canvas: Canvas, rows: slice, columns: slice) -> None:
        self.pixel = canvas.pixel
        self.u, self.v = (np.ascontiguousarray(plane[:, rows, columns]) for plane in (canvas.u, canvas.v))
        self.rgb, self.shade = canvas.rgb[:, :, rows, columns], canvas.shade[:, rows, columns]

    def cover(self, distance: Array) -> Array:
        """The share of each pixel inside a shape, from the signed distance to its outline (negative inside)."""
        return np.minimum(np.maximum(0.5 - distance / self.pixel, np.float32(0)), np.float32(1))

    def paint(self, mask: Array, colour: Colour) -> None:
        """Blends a colour over the image with opacity `mask` (0..1)."""
        for plane, tone in zip(self.rgb, colour, strict=True):
            plane += mask * (tone - plane)

    def darken(self, mask: Array) -> None:
        """Multiplies the shade by 1 - mask; a negative mask lightens."""
        self.shade *= 1 - mask

    def clear_shade(self, mask: Array) -> None:
        """Removes the shading of skin folds where something is in front of the skin."""
        self.shade += mask * (1 - self.shade)

    def stroke(self, distance: Array, width: float | Array) -> Array:
        """The mask of a soft line, from the distance to its middle; at least about one pixel wide."""
        return bump(distance / np.maximum(np.float32(1.1 * self.pixel), width))

    def crease(self, distance: Array, width: float | Array, strength: Array) -> None:
        """Draws a skin fold: a dark line with a lighter ridge on the side of positive distance."""
        wide = np.maximum(np.float32(1.1 * self.pixel), width)
        self.darken(strength * (bump(distance / wide) - 0.45 * bump(distance / wide - 1.3)))
