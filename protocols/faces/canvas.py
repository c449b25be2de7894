"""The drawing board: images of many faces at once, coordinates that follow each head, and soft shapes.

Only +, -, *, /, square root, minimum, maximum and comparisons touch a pixel: operations IEEE 754 rounds exactly, so
the same pixels come out of every CPU, chunk size and thread count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]  # float32 throughout; the stubs widen products with Python numbers
Box = tuple[float, float, float, float]  # left, top, right, bottom; the image spans -1..1
Colour = Sequence[Array | float]


def bump(distance: Array) -> Array:
    """A soft spot: 1 at 0, 0 from 1 on, smooth at both ends."""
    rest: Array = np.maximum(np.float32(0), 1 - distance * distance)
    return np.asarray(rest * rest)


def ramp(value: Array) -> Array:
    """A smooth step from 0 to 1 as value goes from 0 to 1."""
    held = np.minimum(np.maximum(value, np.float32(0)), np.float32(1))
    return np.asarray(held * held * (3 - 2 * held))


def turn(degrees: Array) -> tuple[Array, Array]:
    """Sine and cosine of moderate angles, by the half-angle formulas: arithmetic only."""
    half = degrees * np.float32(np.pi / 360)
    tangent = half + half * half * half / 3
    square = tangent * tangent
    return 2 * tangent / (1 + square), (1 - square) / (1 + square)


class Canvas:
    """Images of n faces: rgb float32 [3, n, H, W] 0..1, shade [n, H, W] that multiplies it, and head coordinates.

    x, y are image coordinates [n, H, W] after undoing shift, zoom and roll; u, v those on the front of the head after
    undoing yaw and pitch as well. Both are -1..1 over the image for a frontal head.
    """

    def __init__(self, size: int, pose: NDArray[np.float64], shift: Array, zoom: Array) -> None:
        count = len(pose)
        self.size, self.pixel = size, 2.0 / size
        place = ((np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(self.pixel)) - 1
        across, down = place[None, None, :], place[None, :, None]
        sines, cosines = turn(pose.astype(np.float32)[:, :, None, None].transpose(1, 0, 2, 3))
        across, down = (across - shift[:, 0]) / zoom, (down - shift[:, 1]) / zoom
        self.x = across * cosines[2] + down * sines[2]
        self.y = down * cosines[2] - across * sines[2]
        # The head is an ellipsoid seen from afar; its front is kept in place, as a face detector would.
        depth = np.sqrt(np.maximum(np.float32(0), 1 - self.x * self.x * 0.75 - self.y * self.y * 0.6))
        depth = 1.35 * depth
        self.u = self.x * cosines[0] - (depth - 1.2) * sines[0]
        depth = depth * cosines[0] + self.x * sines[0]
        self.v = self.y * cosines[1] - (depth - 1.2) * sines[1]
        self.sines = sines
        self.rgb = np.zeros((3, count, size, size), dtype=np.float32)
        self.shade = np.ones((count, size, size), dtype=np.float32)

    def patch(self, box: Box) -> Patch:
        """The part of the canvas a feature can reach whatever the pose."""
        left, top, right, bottom = (min(max(round((edge + 1) / self.pixel), 0), self.size) for edge in box)
        return Patch(self, slice(top, bottom), slice(left, right))


class Patch:
    """A rectangle of the canvas, with copies of its head coordinates u, v [n, h, w]."""

    def __init__(self, canvas: Canvas, rows: slice, columns: slice) -> None:
        self.pixel = canvas.pixel
        self.u, self.v = (np.ascontiguousarray(plane[:, rows, columns]) for plane in (canvas.u, canvas.v))
        self.rgb, self.shade = canvas.rgb[:, :, rows, columns], canvas.shade[:, rows, columns]

    def cover(self, distance: Array) -> Array:
        """How much of each pixel lies inside a shape, from the signed distance (negative inside)."""
        return np.minimum(np.maximum(0.5 - distance / self.pixel, np.float32(0)), np.float32(1))

    def paint(self, mask: Array, colour: Colour) -> None:
        """Lay a colour over the image where the mask (0..1) says."""
        for plane, tone in zip(self.rgb, colour, strict=True):
            plane += mask * (tone - plane)

    def darken(self, mask: Array) -> None:
        """Multiply the shade by 1 - mask; a negative mask lightens."""
        self.shade *= 1 - mask

    def cover_up(self, mask: Array) -> None:
        """Forget the skin's folds where something lies in front of it."""
        self.shade += mask * (1 - self.shade)

    def stroke(self, distance: Array, width: float | Array) -> Array:
        """A soft line from the distance to its middle; never thinner than a pixel shows."""
        return bump(distance / np.maximum(np.float32(1.1 * self.pixel), width))

    def crease(self, distance: Array, width: float | Array, strength: Array) -> None:
        """A skin fold: a dark line with a lighter ridge on the side of positive distance."""
        wide = np.maximum(np.float32(1.1 * self.pixel), width)
        self.darken(strength * (bump(distance / wide) - 0.45 * bump(distance / wide - 1.3)))
