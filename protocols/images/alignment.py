"""Face alignment by five landmarks: the aligned crop that dlib makes from its five points, as a pure function.

The ReCoT paper only says "dlib to detect five facial landmarks and use them to align and crop the face images into
240 x 240". Used here: dlib's five-point template, the padding of its example (get_face_chip, 0.25) and least squares in
the picture, as in dlib. Only the interpolation differs: Pillow's, which averages when it reduces an image.

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
"""The description of aligned faces in a pack."""

# Positions of the points in a face without padding, from dlib/image_transforms/interpolation.h: outer and inner corner
# of the eye on the right of the picture, outer and inner corner of the eye on the left, base of the nose.
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
    """The similarity transform (rotation, scaling, translation) from a picture to its aligned crop.

    Args:
        points: [5, 2] x and y in the picture, in the order of TEMPLATE.
        side: size of the crop in pixels.

    Returns:
        float64 [2, 3], for column vectors (x, y, 1) of the picture; its inverse maps the template to the points with
        the least squared distances in the picture.

    Raises:
        ValueError: not five finite points, or degenerate points.
    """
    found = np.asarray(points, np.float64)
    if found.shape != TEMPLATE.shape or not np.isfinite(found).all():
        raise ValueError(f"five finite points are needed, not {found.shape}")
    wanted = (TEMPLATE + PADDING) / (2 * PADDING + 1) * side
    # With points as complex numbers a similarity is z -> scale * z + shift, and the least squares scale a quotient.
    from_crop, to_picture = _complex(wanted), _complex(found)
    spread = from_crop - from_crop.mean()
    scale = np.vdot(spread, to_picture) / np.vdot(spread, spread).real
    if abs(scale) < _SMALLEST:
        raise ValueError("the five points coincide or are in the wrong order")
    inverse = 1 / scale
    shift = -inverse * (to_picture.mean() - scale * from_crop.mean())
    return np.array([[inverse.real, -inverse.imag, shift.real], [inverse.imag, inverse.real, shift.imag]])


def align(picture: NDArray[np.uint8], points: ArrayLike, side: int = SIDE) -> NDArray[np.uint8]:
    """The aligned crop of the face with five given points; areas outside the picture are black.

    Args:
        picture: uint8 [H, W, 3].
        points: [5, 2], as in `similarity`.
        side: size of the crop in pixels.

    Returns:
        uint8 [side, side, 3].

    Raises:
        ValueError: as `similarity`.
    """
    to_crop = similarity(points, side)
    inverse = np.linalg.inv(np.vstack([to_crop, (0, 0, 1)]))
    image, corner, factor = _part(picture, inverse, side)
    # From the crop to the picture, then relative to the corner of the part and divided by its reduction factors.
    to_part = (inverse[:2] - np.column_stack([np.zeros((2, 2)), corner])) / np.asarray(factor)[:, None]
    # Rounded, since Pillow truncates fractions: an error in the last bit of a coordinate would change pixels.
    data = tuple(to_part.round(9).ravel().tolist())
    cut = image.transform((side, side), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    return np.asarray(cut, np.uint8)


def _part(picture: NDArray[np.uint8], inverse: NDArray[Any], side: int) -> tuple[Image.Image, Any, tuple[float, float]]:
    """The part of the picture under the crop, reduced to the scale of the crop; its corner and reduction factors."""
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
