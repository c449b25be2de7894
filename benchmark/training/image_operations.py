"""The operations of strong views on whole batches, each row with an operation of its own; nothing waits for the device.

Operations that work on levels take them as round(255 x). Grey pictures may have one channel.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ...protocols.definitions.strong_views import FACES

LUMA = (0.299, 0.587, 0.114)
# in the order of the groups below
OPERATIONS = (
    *("identity", "autocontrast", "equalize"),
    *("colour", "contrast", "brightness", "sharpness"),
    *("rotate", "shear-x", "shear-y", "translate-x", "translate-y"),
    *("solarize", "posterize"),
)
IDENTITY = 0
DIRECTED = range(OPERATIONS.index("rotate"), OPERATIONS.index("translate-y") + 1)

# (images [b, C, H, W], operations int64 [b], magnitudes [b], fill) -> images
Group = Callable[[Tensor, Tensor, Tensor, float], Tensor]


def strong_operation(images: Tensor, operation: str, sign: float = 1.0) -> Tensor:
    """Images after an operation of the strong view for expressions, at its fixed magnitude.

    Args:
        images: [B, C, H, W] in [0, 1], C 1 or 3.
        operation: one of OPERATIONS.
        sign: 1 or -1, the direction of rotations, shears and translations; others have none.

    Returns:
        The same shape and dtype, in [0, 1].

    Raises:
        ValueError: an unknown operation.
    """
    if operation not in OPERATIONS:
        raise ValueError(f"no operation {operation!r}; there are {', '.join(OPERATIONS)}")
    code, (_, magnitude) = OPERATIONS.index(operation), dict(FACES.ranges)[operation]
    rows = torch.full((len(images),), code, dtype=torch.int64, device=images.device)
    magnitudes = torch.full_like(rows, magnitude * (sign if code in DIRECTED else 1.0), dtype=images.dtype)
    return operate(images.clone(memory_format=torch.contiguous_format), rows, magnitudes, FACES.fill)


def operate(images: Tensor, operation: Tensor, magnitude: Tensor, fill: float) -> Tensor:
    """Images after one operation each; the tensor may be written to.

    Args:
        images: [B, C, H, W] in [0, 1], contiguous.
        operation: int64 [B], places in OPERATIONS.
        magnitude: [B], in the units of StrongAugmentation, negative for the other direction.
        fill: level 0-255 of what geometry uncovers.
    """
    magnitude = magnitude.to(images.dtype)
    for group, first, last in _GROUPS:
        chosen = (operation >= first) & (operation <= last)
        if images.device.type != "cpu":  # all rows, to avoid a synchronisation
            images = torch.where(chosen[:, None, None, None], group(images, operation, magnitude, fill), images)
            continue
        rows = chosen.nonzero().flatten()
        if len(rows):
            images[rows] = group(images[rows], operation[rows], magnitude[rows], fill)
    return images


def luma(images: Tensor) -> Tensor:
    """Grey values [B, 1, H, W]."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[:, None]


def _autocontrast(images: Tensor, operation: Tensor, magnitude: Tensor, fill: float) -> Tensor:
    """Each channel stretched to 0…1; unchanged where it is flat."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    span = high - low
    return torch.where(span > 0, (images - low) / torch.where(span > 0, span, 1), images)


def _equalize(images: Tensor, operation: Tensor, magnitude: Tensor, fill: float) -> Tensor:
    """The 256 levels of each channel spread by their frequency; unchanged where too few pixels are below the last."""
    levels = _levels(images).flatten(2)
    counts = torch.zeros(*levels.shape[:2], 256, dtype=torch.int64, device=images.device)
    counts.scatter_add_(2, levels, torch.ones_like(levels))
    last = counts.gather(2, levels.amax(dim=2, keepdim=True))
    step = (levels.shape[2] - last) // 255
    below = counts.cumsum(2) - counts
    spread = ((step // 2 + below) // step.clamp(min=1)).clamp(max=255).gather(2, levels)
    found = (spread.to(images.dtype) / 255).reshape(images.shape)
    return torch.where((step > 0)[..., None], found, images)


def _blend(images: Tensor, operation: Tensor, factor: Tensor, fill: float) -> Tensor:
    """Images drawn to or from what they lack: their grey, its mean, black, or themselves smoothed."""
    grey = luma(images)
    kind = operation[:, None, None, None]
    base = torch.where(kind == OPERATIONS.index("colour"), grey, grey.mean(dim=(2, 3), keepdim=True))
    base = base.masked_fill(kind == OPERATIONS.index("brightness"), 0)
    base = torch.where(kind == OPERATIONS.index("sharpness"), _smoothed(images), base)
    return (base + factor[:, None, None, None] * (images - base)).clamp(0, 1)


def _smoothed(images: Tensor) -> Tensor:
    """The mean of 3 x 3 pixels, the middle one of weight 5; border pixels as they are."""
    if min(images.shape[2:]) < 3:
        return images
    lines = images[:, :, :-2] + images[:, :, 1:-1] + images[:, :, 2:]
    squares = lines[..., :-2] + lines[..., 1:-1] + lines[..., 2:]
    inside = (squares + 4 * images[:, :, 1:-1, 1:-1]) / 13
    smoothed = images.clone()
    smoothed[:, :, 1:-1, 1:-1] = inside
    return smoothed


def _move(images: Tensor, operation: Tensor, magnitude: Tensor, fill: float) -> Tensor:
    """Images rotated about the centre, sheared about the top left corner, or shifted; bilinear, outside the fill."""
    height, width = images.shape[2:]

    def only(name: str) -> Tensor:
        return torch.where(operation == OPERATIONS.index(name), magnitude, 0)

    angle, shear_x, shear_y = only("rotate") * (math.pi / 180), only("shear-x"), only("shear-y")
    # of output coordinates in [-1, 1], where sides of different length have different units
    to_x, to_y = height / width, width / height
    across = angle.cos(), (shear_x - angle.sin()) * to_x, shear_x * to_x + 2 * only("translate-x")
    down = (shear_y + angle.sin()) * to_y, angle.cos(), shear_y * to_y + 2 * only("translate-y")
    matrix = torch.stack([torch.stack(across, dim=1), torch.stack(down, dim=1)], dim=1)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    level = fill / 255
    moved = F.grid_sample(images - level, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return (moved + level).clamp(0, 1)


def _quantize(images: Tensor, operation: Tensor, magnitude: Tensor, fill: float) -> Tensor:
    """Levels from a threshold on inverted, or the high bits of levels kept."""
    levels, value = _levels(images), magnitude[:, None, None, None]
    inverted = torch.where(levels >= value, (255 - levels).to(images.dtype) / 255, images)
    dropped = 8 - value.floor().clamp(0, 8).long()
    kept = ((levels >> dropped) << dropped).to(images.dtype) / 255
    return torch.where((operation == OPERATIONS.index("solarize"))[:, None, None, None], inverted, kept)


def _levels(images: Tensor) -> Tensor:
    """Levels 0-255, int64."""
    return (images * 255).round().long()


def _group(group: Group, first: str, last: str) -> tuple[Group, int, int]:
    return group, OPERATIONS.index(first), OPERATIONS.index(last)


_GROUPS = (
    _group(_autocontrast, "autocontrast", "autocontrast"),
    _group(_equalize, "equalize", "equalize"),
    _group(_blend, "colour", "sharpness"),
    _group(_move, "rotate", "translate-y"),
    _group(_quantize, "solarize", "posterize"),
)
