"""Faces put upright by five points: the crop that dlib makes of its five landmarks, as a pure function.

The ReCoT paper says "dlib to detect five facial landmarks and use them to align and crop the face images into
240 x 240" and no more. Taken here: dlib's own five-point template and the padding of its example (get_face_chip, 0.25),
least squares in the picture as dlib has it. Only the interpolation differs: Pillow's, which averages when it shrinks.

Coordinates are continuous: the first pixel spans 0 to 1, so that a landmark on pixel 3 is at 3.5.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

SIDE = 240
PADDING = 0.25
NAME = f"dlib five points, padding {PADDING}"
"""What a pack says of faces that were aligned so."""

# Where the points lie in a face without padding, by dlib/image_transforms/interpolation.h: outer and inner corner of
# the eye on the right of the picture, outer and inner corner of the one on the left, base of the nose.
TEMPLATE = np.array(
    [
        (0.8595674595992, 0.2134981538014),
        (0.6460604764104, 0.2289674387677),
        (0.1205750620789, 0.2137274526848),
        (0.3340850613712, 0.2290642403242),
        (0.4901123135679, 0.6277975316475),
    ]
)
_SMALLEST = 1e-3


def similarity(points: ArrayLike, side: int = SIDE) -> NDArray[np.float64]:
    """The rotation, scaling and shift that takes a picture to its aligned crop.

    Args:
        points: [5, 2] x and y in the picture, in the order of TEMPLATE.
        side: of the crop, in pixels.

    Returns:
        float64 [2, 3], for column vectors (x, y, 1) of the picture; its inverse takes the template to the points with
        the smallest sum of squares, distances measured in the picture.

    Raises:
        ValueError: not five finite points, or points without extent.
    """
    found = np.asarray(points, np.float64)
    if found.shape != TEMPLATE.shape or not np.isfinite(found).all():
        raise ValueError(f"five finite points are needed, not {found.shape}")
    wanted = (TEMPLATE + PADDING) / (2 * PADDING + 1) * side
    # As complex numbers a similarity is z -> scale * z + shift, and least squares a quotient.
    from_crop, to_picture = _complex(wanted), _complex(found)
    spread = from_crop - from_crop.mean()
    scale = np.vdot(spread, to_picture) / np.vdot(spread, spread).real
    if abs(scale) < _SMALLEST:
        raise ValueError("the five points have no extent, or no order")
    turn = 1 / scale
    shift = -turn * (to_picture.mean() - scale * from_crop.mean())
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def align(picture: NDArray[np.uint8], points: ArrayLike, side: int = SIDE) -> NDArray[np.uint8]:
    """Cuts the face with these five points out of a picture, upright; what lies outside the picture is black.

    Args:
        picture: uint8 [H, W, 3].
        points: [5, 2], as in `similarity`.
        side: of the crop, in pixels.

    Returns:
        uint8 [side, side, 3].

    Raises:
        ValueError: points from which no crop follows.
    """
    to_crop = similarity(points, side)
    inverse = np.linalg.inv(np.vstack([to_crop, (0, 0, 1)]))
    image, start, shrink = _part(picture, inverse, side)
    # From the crop to the part: to the picture, to the part's corner, by the part's own scale in x and y.
    back = (inverse[:2] - np.column_stack([np.zeros((2, 2)), start])) / np.asarray(shrink)[:, None]
    # Pillow cuts fractions off, so that an error in the last bit of a coordinate would show in the pixels.
    data = tuple(back.round(9).ravel().tolist())
    cut = image.transform((side, side), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    return np.asarray(cut, np.uint8)


def _part(picture: NDArray[np.uint8], inverse: NDArray[Any], side: int) -> tuple[Image.Image, Any, tuple[float, float]]:
    """The part of the picture under the crop, shrunk to the crop's scale; its corner, and by how much it shrank."""
    height, width = picture.shape[:2]
    corners = inverse[:2] @ np.array([(0, side, 0, side), (0, 0, side, side), (1, 1, 1, 1)])
    scale = math.hypot(inverse[0, 0], inverse[1, 0])
    low = np.clip(np.floor(corners.min(1) - 2 * scale - 1), 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(corners.max(1) + 2 * scale + 1), low + 1, (width, height)).astype(int)
    image = Image.fromarray(picture[low[1] : high[1], low[0] : high[0]])
    if scale <= 1:
        return image, low, (1.0, 1.0)
    wide, high_ = image.size
    size = max(1, round(wide / scale)), max(1, round(high_ / scale))
    return image.resize(size, Image.Resampling.BILINEAR), low, (wide / size[0], high_ / size[1])


def _complex(points: NDArray[np.float64]) -> NDArray[np.complex128]:
    return points[:, 0] + 1j * points[:, 1]
