"""The audit of a protocol: wrong labels memorised, corrected or left out, in all and by class, and compute.

Counts are those the harness's auditor wrote into each epoch's line; methods have no access to them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from msgspec import structs

from ..analysis.grouping import MISSING, Entry, Paired, grouped, unique
from ..analysis.view import Expected, View, at_level, views_of
from ..records.record import Record, audit_of
from ..records.schema import Audit
from .cell import Cell, Table, mean_cell, percent_cell
from .cost_cells import (
    devices_of,
    most_cell,
    notes_on_seconds,
    oracle_cell,
    per_sample,
    seconds_cell,
    wall_cell,
    wall_devices_of,
)
from .parts import leading_cells, leading_columns, notes_of, title_of
from .transition_tables import transition_tables

Number = Callable[[Record], float | None]

MOST_EPOCHS = 6  # columns of the memorisation table

_SHARES = {
    "memorised": ("memorised", "predicted_wrong"),
    "recovered": ("recovered", "predicted_wrong"),
    "kept, precision": ("kept_right", "kept"),
    "kept, recall": ("kept_right", "right"),
    "relabelled, precision": ("changed_right", "changed"),
    "right labels changed": ("damaged", "targets_right"),
}
_LABELS_NOTES = (
    "In %. Memorised, recovered: of the wrong training labels, those predicted as given, as the reference label. Kept: "
    "labels trained on as given; precision: the share of them that is right; recall: the share of the right labels "
    "that is kept. Right labels changed: of the right labels, those changed to a wrong one. Corrected: of the wrong "
    "labels, those changed to the reference label. Selective learning (ReCoT, MLCR, -selective) leaves out labels at "
    "random, right ones too, to balance an AU, which lowers its recall.",
    "Noise: the share of wrong labels, given: in the training set, left: in what the last epoch trained on (changed "
    "labels count as trained on; soft targets count as their most probable label). A method that neither selects nor "
    "relabels trains on the labels as given.",
)
_BY_CLASS = {
    "right labels kept": ("kept_right", "right"),
    "right labels changed": ("damaged", "targets_right"),
    "wrong labels memorised": ("memorised", "predicted_wrong"),
}


def audit_table(
    records: Sequence[Record], expected: Expected | None = None, *, allow_mixed: bool = False
) -> tuple[Table, ...]:
    """The training labels at the last epoch: memorised, recovered, kept, relabelled, wrongly changed, corrected.

    Args:
        records: at least one.
        expected: rows, columns, folds and pairs there should be.
        allow_mixed: a table for each comparability key instead of a refusal.

    Raises:
        BadInput: no records, or several comparability keys (the differing fields are named).
    """
    return tuple(_labels_table(view) for view in views_of(records, expected, allow_mixed=allow_mixed))


def audit_page(
    records: Sequence[Record], expected: Expected | None = None, *, allow_mixed: bool = False, blank: bool = False
) -> tuple[Table, ...]:
    """All audit tables: training labels in all and by class, memorisation by epoch, estimated label noise, test recall
    by class, compute.

    Arguments and errors as for `audit_table`. All but the first and the last are there only where records have them;
    with `blank`, that of memorisation also where no label was wrong, for a page that says so in its place.
    """
    return tuple(table for view in views_of(records, expected, allow_mixed=allow_mixed) for table in _page(view, blank))


def _page(view: View, blank: bool) -> Iterator[Table]:
    yield _labels_table(view)
    view = replace(view, not_applicable={})  # said once, below the first table
    last = [audit_of(record.epochs[-1]) for record in view.block.records if record.done]
    if any(audit.memorised is not None and (blank or audit.predicted_wrong) for audit in last):
        yield _memorised_table(view)
    yield from transition_tables(view)
    yield from _class_tables(view)
    if view.metric == "accuracy":
        yield _recall_table(view)
    yield _compute_table(view)


def _rows(view: View, cells: Callable[[Entry, float | None], Sequence[Cell]]) -> tuple[tuple[Cell, ...], ...]:
    """A row for each level and method: its name, its level, its cells."""
    return tuple(
        (*leading_cells(view, entry, level), *cells(entry, level)) for level in view.levels for entry in view.rows
    )


# --- labels


def _labels_table(view: View) -> Table:
    numbers: dict[str, Number] = {name: _share(*parts) for name, parts in _SHARES.items()}
    numbers["corrected"] = lambda record: _corrected(audit_of(record.epochs[-1]))
    numbers["noise given"] = lambda record: record.audit_share("wrong", "entries")
    numbers["noise left"] = lambda record: noise_left(audit_of(record.epochs[-1]))
    rows = _rows(view, partial(_percents, view, list(numbers.values()), brief=False))
    title = title_of(view, "audit of the training labels, last epoch")
    return Table(title, (*leading_columns(view), *numbers), rows, notes_of(view, _LABELS_NOTES, rows))


def noise_left(audit: Audit[int]) -> float | None:
    """The share of wrong labels among those an epoch trained on, from its audit counts; None where it had none.

    A label counts when it was kept or changed, once for each network. Without counts of kept labels, all count as
    kept; without counts of changed labels, none counts as changed; without either it is the noise given.
    """
    audit = with_kept(audit)
    if audit.kept is None or audit.kept_right is None:
        return None
    used, right = audit.kept + (audit.changed or 0), audit.kept_right + (audit.changed_right or 0)
    return _ratio(used - right, used)


def with_kept(audit: Audit[int]) -> Audit[int]:
    """Audit counts, of all labels or of a class; steps that report no weights count as keeping every known label.

    Where a method reports the labels it trained on, those it did not change count as kept.
    """
    if audit.kept_right is not None:
        return audit
    if audit.targets_right is not None and audit.damaged is not None:
        kept = None if audit.targets is None or audit.changed is None else audit.targets - audit.changed
        return structs.replace(
            audit, right=audit.targets_right, kept=kept, kept_right=audit.targets_right - audit.damaged
        )
    if audit.entries is None or audit.wrong is None:
        return audit
    right = audit.entries - audit.wrong
    return structs.replace(audit, right=right, kept=audit.entries, kept_right=right)


def _ratio(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else part / whole


def _share(part: str, whole: str) -> Number:
    def number(record: Record) -> float | None:
        audit = with_kept(audit_of(record.epochs[-1]))
        return _ratio(getattr(audit, part), getattr(audit, whole))

    return number


def _corrected(audit: Audit[int]) -> float | None:
    if audit.targets is None or audit.targets_right is None:
        return None
    return _ratio(audit.changed_right, audit.targets - audit.targets_right)


def _percents(
    view: View, numbers: Sequence[Number], entry: Entry, level: float | None, *, brief: bool = True
) -> list[Cell]:
    return [percent_cell(view.summary(entry, level, number), 1, brief=brief) for number in numbers]


# --- memorisation


def _memorised_table(view: View) -> Table:
    finished = [len(record.epochs) for record in view.block.records if record.done]
    epochs = shown_epochs(min(finished or [0]))
    share = partial(Record.audit_share, part="memorised", whole="predicted_wrong")
    numbers = [partial(share, epoch=epoch) for epoch in epochs]
    rows = _rows(view, partial(_percents, view, numbers))
    notes = [
        "In % of the wrong training labels: those predicted as given. Curves over all epochs: fernoise-bench figure "
        f"{view.protocol}.",
    ]
    columns = (*leading_columns(view), *(f"epoch {epoch + 1}" for epoch in epochs))
    return Table(title_of(view, "wrong labels memorised by epoch"), columns, rows, notes_of(view, notes, rows))


def shown_epochs(count: int) -> tuple[int, ...]:
    """At most six of so many epochs (0-based), evenly spread, the first and the last among them."""
    if count <= MOST_EPOCHS:
        return tuple(range(count))
    return unique([round(step * (count - 1) / (MOST_EPOCHS - 1)) for step in range(MOST_EPOCHS)])


# --- labels by class


def _class_tables(view: View) -> Iterator[Table]:
    """The labels at the last epoch by reference class or AU, over the pairs whose trials have counts by class."""
    word = "class" if view.metric == "accuracy" else "AU"
    for what, parts in _BY_CLASS.items():
        numbers = [_class_share(*parts, at) for at in range(len(view.names))]
        rows = _rows(view, partial(_class_cells, view, numbers))
        if any(cell.value is not None for row in rows for cell in row[len(leading_columns(view)) :]):
            notes = [
                f"In % of the {' '.join(what.split()[:2])} of each {word} seen in training; – where there is none.",
                *_partly_counted(view),
            ]
            title = title_of(view, f"{what}, by {word}, last epoch")
            yield Table(title, (*leading_columns(view), *view.names), rows, notes_of(view, notes, rows))


def _class_cells(view: View, numbers: Sequence[Number], entry: Entry, level: float | None) -> list[Cell]:
    """Percentages over the counted pairs; the other finished pairs are missing as not counted, not as not run."""
    paired = view.paired(entry, level)
    counted = [all(map(_counted_by_class, done)) for done in paired.complete]
    uncounted = {"not counted by class": counted.count(False)} if not all(counted) else {}
    kept = Paired(
        tuple(itertools.compress(paired.pairs, counted)),
        tuple(itertools.compress(paired.complete, counted)),
        paired.total,
        {**paired.lacking, **uncounted},
    )
    return [percent_cell(kept.summary(number), 1, brief=True) for number in numbers]


def _partly_counted(view: View) -> list[str]:
    """The methods with finished trials that have no counts by class: "a: counted in 7 of 8 trials."."""
    done = {entry.label: [record for record in entry.records if record.done] for entry in view.rows}
    counts = {label: sum(map(_counted_by_class, records)) for label, records in done.items()}
    return [
        f"{label}: counted in {counts[label]} of {len(records)} trials."
        for label, records in done.items()
        if counts[label] < len(records)
    ]


def _counted_by_class(record: Record) -> bool:
    return record.epochs[-1].audit_by_class not in (None, Audit())


def _class_share(part: str, whole: str, at: int) -> Number:
    def number(record: Record) -> float | None:
        apart = record.epochs[-1].audit_by_class or Audit()
        counts = with_kept(Audit(*(None if each is None else each[at] for each in structs.astuple(apart))))
        return _ratio(getattr(counts, part), getattr(counts, whole))

    return number


# --- recall by class


def _recall_table(view: View) -> Table:
    numbers = [partial(Record.label_score, position=at) for at in range(len(view.names))]
    rows = _rows(view, partial(_percents, view, numbers))
    notes = ["In % of the test faces of each class: those predicted as that class; – for a class without a test face."]
    title = title_of(view, "test recall by class, last epoch")
    return Table(title, (*leading_columns(view), *view.names), rows, notes_of(view, notes, rows))


# --- compute and oracle knowledge


def _compute_table(view: View) -> Table:
    devices = devices_of(view)
    columns = (
        *leading_columns(view),
        *("networks", "views", "forwards per sample", "backwards per sample"),
        *(f"{what} ({device})" for device in devices for what in ("seconds", "peak MB")),
        *(f"wall seconds ({device})" for device in wall_devices_of(view)),
        *("seconds of teachers", "oracle knowledge"),
    )
    rows = _rows(view, lambda entry, level: _compute_cells(entry, level, devices, wall_devices_of(view)))
    notes = [
        "Means over finished trials. Forwards and backwards: passes of one image through one encoder, per training "
        "sample and epoch. Seconds: of training; on a CPU, processor time. Teachers: training time of those a trial "
        "learns from, not included in its seconds; several trials share a teacher.",
        *notes_on_seconds(view),
        *_teacher_notes(view),
    ]
    title = title_of(view, "compute and oracle knowledge")
    return Table(title, columns, rows, notes_of(view, notes, rows))


def _compute_cells(entry: Entry, level: float | None, devices: Sequence[str], walls: Sequence[str]) -> list[Cell]:
    records = at_level(entry, level)
    done = [record for record in records if record.done]
    return [
        most_cell(record.environment.networks for record in done),
        most_cell(record.environment.views for record in done),
        *(mean_cell([per_sample(record, what) for record in done], 2) for what in ("forwards", "backwards")),
        *(cell for device in devices for cell in (seconds_cell(done, device), _memory_cell(done, device))),
        *(wall_cell(done, device) for device in walls),
        _teacher_cell(done),
        oracle_cell(records),
    ]


def _memory_cell(records: Sequence[Record], device: str) -> Cell:
    peaks = [record.status.peak_memory_mb for record in records if record.environment.device == device]
    return mean_cell([peak for peak in peaks if peak is not None], 0)


def _teacher_cell(records: Sequence[Record]) -> Cell:
    """Mean seconds of the teachers a trial needs; "none" where it needs none."""
    seconds = [math.fsum(teacher.seconds for teacher in record.environment.teachers) for record in records]
    if not any(record.environment.teachers for record in records):
        return Cell("none" if records else MISSING)
    return mean_cell(seconds, 1)


def _teacher_notes(view: View) -> list[str]:
    """Each teacher by name: how many were trained, in how many seconds together, and how many trials share them."""
    found = [each for record in view.block.records if record.done for each in record.environment.teachers]
    notes = []
    for name, uses in grouped(found, lambda teacher: teacher.name).items():
        made = {teacher.id: teacher.seconds for teacher in uses}
        seconds = math.fsum(made.values())
        notes.append(f"Teacher {name}: {len(made)} trained in {seconds:.0f} seconds, shared by {len(uses)} trials.")
    return notes
