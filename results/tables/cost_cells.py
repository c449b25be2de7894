"""Compute and oracle knowledge of trials, as cells and a note."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..analysis.grouping import MISSING, unique
from ..analysis.view import VOTES, View, oracle_knowledge, sees_votes
from ..records.record import Record
from .cell import Cell, mean_cell
from .parts import count_cell


def devices_of(view: View) -> tuple[str, ...]:
    """The devices that trials finished on: seconds are compared within one."""
    return unique(sorted(record.environment.device for record in view.block.records if record.done))


def seconds_cell(records: Sequence[Record], device: str) -> Cell:
    """The mean seconds of finished trials on a device."""
    seconds = [record.status.seconds for record in records if record.environment.device == device]
    return mean_cell([each for each in seconds if each is not None], 1)


def wall_devices_of(view: View) -> tuple[str, ...]:
    """The devices on which trials tell seconds by the clock too, beside those of the processor."""
    done = (record for record in view.block.records if record.done and record.status.wall_seconds is not None)
    return unique(sorted(record.environment.device for record in done if record.environment.device.startswith("CPU")))


def wall_cell(records: Sequence[Record], device: str) -> Cell:
    """The mean seconds by the clock of finished trials on a device."""
    seconds = [record.status.wall_seconds for record in records if record.environment.device == device]
    return mean_cell([each for each in seconds if each is not None], 1)


def notes_on_seconds(view: View) -> list[str]:
    """Says that seconds may not be comparable where trials ran under different engines or numbers of workers."""
    places = [record.environment for record in view.block.records if record.done]
    ways = unique(sorted(f"{place.engine} × {place.workers}" for place in places))
    if len(ways) < 2:
        return []
    return [f"Seconds may not be comparable: engines and numbers of workers differ ({', '.join(ways)})."]


def per_sample(record: Record, what: str) -> float:
    """The "forwards" or "backwards" of a finished trial, per training row and epoch."""
    total = sum(getattr(line.compute, what) for line in record.epochs)
    return float(total / (record.environment.rows_per_epoch * len(record.epochs)))


def most_cell(counts: Iterable[int]) -> Cell:
    """The largest of some counts."""
    most = max(counts, default=None)
    return Cell(MISSING) if most is None else count_cell(most)


def oracle_cell(records: Sequence[Record]) -> Cell:
    """What trials used that is unknown outside an experiment, such as the noise rate."""
    done = any(record.done for record in records)
    known = [*oracle_knowledge(records), *([VOTES] if sees_votes(records) else [])]
    return Cell(", ".join(known) or ("none" if done else MISSING))
