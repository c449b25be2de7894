"""Strong views: some operations drawn for each sample after its ordinary view, then a square that is cut out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...protocols.base import Augmentation, StrongAugmentation
from .augmentation import DRAWS, Decisions, as_colour, decide, ordinary_view
from .image_operations import DIRECTED, IDENTITY, LUMA, OPERATIONS, Operations, operate, operations
from .image_operations import strong_operation as strong_operation


@dataclass(frozen=True)
class StrongDecisions:
    """What the draws of samples decide of a strong view.

    Attributes:
        ordinary: of the view that comes first.
        slots: the operations [..., slots]; one that is not carried out is the identity.
        hole: [..., 4], first row, row after the last, and such columns of the square.
    """

    ordinary: Decisions
    slots: Operations
    hole: Tensor

    def __getitem__(self, rows: int | slice | Tensor) -> StrongDecisions:
        """Those of a step, or of some rows of a batch."""
        return StrongDecisions(self.ordinary[rows], self.slots[rows], self.hole[rows])


def draws_of(strong: StrongAugmentation) -> int:
    """Random numbers that a strong view of a sample takes, those of the ordinary view included."""
    uniform = strong.magnitude == "uniform"
    return DRAWS + strong.slots * (1 + (strong.probability < 1) + strong.sign + uniform) + 2 + uniform


def decide_strong(
    draws: Tensor, how: Augmentation, strong: StrongAugmentation, size: tuple[int, int]
) -> StrongDecisions:
    """What draws, float32 [..., draws_of(strong)] in [0, 1), decide for pictures of a height and a width in a store."""
    if not strong.whole_view:
        how = replace(how, jitter=(0.0,) * 4, translate=0.0, scale=(1.0, 1.0), grayscale=0.0, erase=0.0)
    columns = iter(draws[..., DRAWS:].unbind(-1))
    codes = torch.tensor([OPERATIONS.index(name) for name, _ in strong.ranges], device=draws.device)
    bounds = torch.tensor([bounds for _, bounds in strong.ranges], device=draws.device)
    slots = [_decide_slot(columns, codes, bounds, strong) for _ in range(strong.slots)]
    code, magnitude = (torch.stack(parts, dim=-1) for parts in zip(*slots, strict=True))
    ordinary, found = decide(draws[..., :DRAWS], how, size), operations(code, magnitude, (how.crop, how.crop))
    return StrongDecisions(ordinary, found, _decide_cutout(columns, strong, how.crop))


def strong_view(
    store: Tensor, index: Tensor, decided: StrongDecisions, how: Augmentation, strong: StrongAugmentation
) -> Tensor:
    """A strong view of a batch; arguments and result as those of `training_view`."""
    images = ordinary_view(store, index, decided.ordinary, how).contiguous()
    for slot in range(strong.slots):
        images = operate(images, decided.slots[:, slot], strong.fill)
    return as_colour(_cut_out(images, decided.hole, strong.cutout_fill))


def _decide_slot(
    columns: Iterator[Tensor], codes: Tensor, bounds: Tensor, strong: StrongAugmentation
) -> tuple[Tensor, Tensor]:
    """The operation of each sample and its magnitude, negative for the other direction."""
    place = (next(columns) * len(codes)).long().clamp(max=len(codes) - 1)
    operation, (low, high) = codes[place], bounds[place].unbind(-1)
    if strong.probability < 1:
        operation = torch.where(next(columns) < strong.probability, operation, IDENTITY)
    turned = torch.zeros_like(operation, dtype=torch.bool)
    if strong.sign:
        turned = (operation >= DIRECTED[0]) & (operation <= DIRECTED[1]) & (next(columns) < 0.5)
    magnitude = low + next(columns) * (high - low) if strong.magnitude == "uniform" else high
    return operation, torch.where(turned, -magnitude, magnitude)


def _decide_cutout(columns: Iterator[Tensor], strong: StrongAugmentation, side: int) -> Tensor:
    """The squares [..., 4]: a pixel is in one if its centre is."""
    low, high = strong.cutout
    share = low + (high - low) * next(columns) if strong.magnitude == "uniform" else None
    down, across = next(columns) * side - 0.5, next(columns) * side - 0.5
    half = torch.full_like(down, high * side / 2) if share is None else share * (side / 2)
    return torch.stack([down - half, down + half, across - half, across + half], dim=-1)


def _cut_out(images: Tensor, hole: Tensor, fill: tuple[float, float, float]) -> Tensor:
    """Images with a square of one colour, of a grey for those of one channel."""
    window = torch.arange(images.shape[2], device=images.device)
    top, bottom, left, right = hole[:, :, None].unbind(1)
    rows, columns = (window >= top) & (window < bottom), (window >= left) & (window < right)
    inside = rows[:, :, None] & columns[:, None, :]
    levels = fill if images.shape[1] == 3 else (sum(w * level for w, level in zip(LUMA, fill, strict=True)),)
    channels = zip(images.unbind(1), levels, strict=True)
    return torch.stack([channel.masked_fill(inside, level / 255) for channel, level in channels], dim=1)
