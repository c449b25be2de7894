"""The operations of strong views on whole batches, each row with an operation of its own; nothing waits for the device.

Operations that work on levels take them as round(255 x). Grey pictures may have one channel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...protocols.definitions.strong_views import FACES

LUMA = (0.299, 0.587, 0.114)
OPERATIONS = (
    *("identity", "autocontrast", "equalize"),
    *("colour", "contrast", "brightness", "sharpness"),
    *("rotate", "shear-x", "shear-y", "translate-x", "translate-y"),
    *("solarize", "posterize"),
)
IDENTITY = 0
DIRECTED = (OPERATIONS.index("rotate"), OPERATIONS.index("translate-y"))  # first and last


@dataclass(frozen=True)
class Operations:
    """An operation for each row, and what of it can be worked out for many steps at once.

    Attributes:
        code: int64 [...], places in OPERATIONS.
        group: int64 [...], places in GROUPS; -1 for the identity.
        value: [...], what the operation takes: a level, a factor, the width of a step between levels.
        matrix: [..., 2, 3], from output coordinates in [-1, 1] to input ones.
    """

    code: Tensor
    group: Tensor
    value: Tensor
    matrix: Tensor

    def __getitem__(self, rows: int | slice | Tensor | tuple[slice, int]) -> Operations:
        return Operations(self.code[rows], self.group[rows], self.value[rows], self.matrix[rows])


Group = Callable[[Tensor, Operations, float], Tensor]  # (images, operations, fill) -> images


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
    directed = DIRECTED[0] <= code <= DIRECTED[1]
    codes = torch.full((len(images),), code, dtype=torch.int64, device=images.device)
    magnitudes = torch.full_like(codes, magnitude * (sign if directed else 1.0), dtype=images.dtype)
    height, width = images.shape[2:]
    found = operations(codes, magnitudes, (height, width))
    return operate(images.clone(memory_format=torch.contiguous_format), found, FACES.fill)


def operations(code: Tensor, magnitude: Tensor, size: tuple[int, int]) -> Operations:
    """Operations of magnitudes [...], negative ones in the other direction, on images of a height and a width."""
    group = torch.full_like(code, -1)
    for number, (_, first, last) in enumerate(GROUPS):
        group = torch.where((code >= first) & (code <= last), number, group)
    steps = torch.exp2(8 - magnitude.floor().clamp(0, 8))
    value = torch.where(code == OPERATIONS.index("posterize"), steps, magnitude)
    return Operations(code, group, value, _matrices(code, magnitude, *size))


def operate(images: Tensor, found: Operations, fill: float) -> Tensor:
    """Images [B, C, H, W] in [0, 1] after one operation each; the tensor, a contiguous one, may be written to.

    `fill` is the level 0-255 of what geometry uncovers. On the CPU each group of operations is computed for its rows
    only, on a GPU for all, to avoid a synchronisation.
    """
    for number, (group, _, _) in enumerate(GROUPS):
        chosen = found.group == number
        if images.device.type != "cpu":
            images = torch.where(chosen[:, None, None, None], group(images, found, fill), images)
            continue
        rows = chosen.nonzero().flatten()
        if len(rows):
            images[rows] = group(images[rows], found[rows], fill)
    return images


def luma(images: Tensor) -> Tensor:
    """Grey values [B, 1, H, W]."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[:, None]


def _matrices(code: Tensor, magnitude: Tensor, height: int, width: int) -> Tensor:
    """Matrices [..., 2, 3] that rotate about the centre, shear about the first corner, or shift by shares of a side."""

    def only(name: str) -> Tensor:
        return torch.where(code == OPERATIONS.index(name), magnitude, 0)

    angle, shear_x, shear_y = only("rotate") * (math.pi / 180), only("shear-x"), only("shear-y")
    # sides of different length have different units
    to_x, to_y = height / width, width / height
    across = angle.cos(), (shear_x - angle.sin()) * to_x, shear_x * to_x + 2 * only("translate-x")
    down = (shear_y + angle.sin()) * to_y, angle.cos(), shear_y * to_y + 2 * only("translate-y")
    return torch.stack([torch.stack(across, dim=-1), torch.stack(down, dim=-1)], dim=-2)


# What is chosen by a mask is multiplied by 1 and 0 here: exact, and on the CPU several times as fast as torch.where.


def _autocontrast(images: Tensor, found: Operations, fill: float) -> Tensor:
    """Each channel stretched to 0…1; unchanged where it is flat."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    span = high - low
    return (images - low * (span > 0)) / torch.where(span > 0, span, 1)


def _equalize(images: Tensor, found: Operations, fill: float) -> Tensor:
    """The 256 levels of each channel spread by their frequency; unchanged where too few pixels are below the last."""
    levels = _levels(images).long().flatten(2)
    counts = torch.zeros(*levels.shape[:2], 256, dtype=torch.int64, device=images.device)
    counts.scatter_add_(2, levels, torch.ones_like(levels))
    last = counts.gather(2, levels.amax(dim=2, keepdim=True))
    step = (levels.shape[2] - last) // 255
    below = counts.cumsum(2) - counts
    spread = ((step // 2 + below) // step.clamp(min=1)).clamp(max=255).to(images.dtype) / 255
    changed = (step > 0).to(images.dtype)[..., None]
    return spread.gather(2, levels).reshape(images.shape) * changed + images * (1 - changed)


def _blend(images: Tensor, found: Operations, fill: float) -> Tensor:
    """Images drawn to or from what they lack: their grey, its mean, or black."""
    grey, code = luma(images), found.code[:, None, None, None]
    mean = grey.mean(dim=(2, 3), keepdim=True) * (code == OPERATIONS.index("contrast"))
    return _blended(images, grey * (code == OPERATIONS.index("colour")) + mean, found)


def _sharpen(images: Tensor, found: Operations, fill: float) -> Tensor:
    """Images drawn to or from themselves smoothed."""
    return _blended(images, _smoothed(images), found)


def _blended(images: Tensor, base: Tensor, found: Operations) -> Tensor:
    return (base + found.value.to(images.dtype)[:, None, None, None] * (images - base)).clamp(0, 1)


def _smoothed(images: Tensor) -> Tensor:
    """The mean of 3 x 3 pixels, the middle one of weight 5; border pixels as they are."""
    if min(images.shape[2:]) < 3:
        return images
    lines = images[:, :, :-2] + images[:, :, 1:-1] + images[:, :, 2:]
    squares = lines[..., :-2] + lines[..., 1:-1] + lines[..., 2:]
    smoothed = images.clone()
    smoothed[:, :, 1:-1, 1:-1] = (squares + 4 * images[:, :, 1:-1, 1:-1]) / 13
    return smoothed


def _move(images: Tensor, found: Operations, fill: float) -> Tensor:
    """Images moved by their matrices, bilinear, with the fill outside."""
    grid = F.affine_grid(found.matrix.to(images.dtype), list(images.shape), align_corners=False)
    level = fill / 255
    moved = F.grid_sample(images - level, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return (moved + level).clamp(0, 1)


def _solarize(images: Tensor, found: Operations, fill: float) -> Tensor:
    """Levels from a threshold on inverted."""
    levels = _levels(images)
    high = (levels >= found.value.to(images.dtype)[:, None, None, None]).to(images.dtype)
    return (255 - levels) / 255 * high + images * (1 - high)


def _posterize(images: Tensor, found: Operations, fill: float) -> Tensor:
    """Levels rounded down to multiples of a step."""
    step = found.value.to(images.dtype)[:, None, None, None]
    return (_levels(images) / step).floor() * step / 255


def _levels(images: Tensor) -> Tensor:
    """Levels 0-255, whole numbers of the images' dtype."""
    return (images * 255).round()


def _group(group: Group, first: str, last: str = "") -> tuple[Group, int, int]:
    return group, OPERATIONS.index(first), OPERATIONS.index(last or first)


# with the first and the last of the operations
GROUPS = (
    _group(_autocontrast, "autocontrast"),
    _group(_equalize, "equalize"),
    _group(_blend, "colour", "brightness"),
    _group(_sharpen, "sharpness"),
    _group(_move, "rotate", "translate-y"),
    _group(_solarize, "solarize"),
    _group(_posterize, "posterize"),
)
