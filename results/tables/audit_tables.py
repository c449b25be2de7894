"""The audit page of a protocol: what became of wrong labels, when they were memorised, by class, and what it cost.

Counts come from each epoch's line: the auditor's, which no method can reach.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..analysis.grouping import MISSING, Entry, blocks, unique
from ..analysis.view import Expected, View, at_level, oracle_knowledge, view_of
from ..records.record import Record, audit_share
from .cell import Cell, Table, mean_cell, percent_cell
from .parts import count_cell, leading_cells, leading_columns, notes_of, title_of

Number = Callable[[Record], float | None]

MOST_EPOCHS = 6  # columns of the memorisation table

_SHARES = {
    "memorised": ("memorised", "predicted_wrong"),
    "recovered": ("recovered", "predicted_wrong"),
    "kept, precision": ("kept_right", "kept"),
    "kept, recall": ("kept_right", "right"),
    "relabelled, precision": ("changed_right", "changed"),
    "damaged": ("damaged", "targets_right"),
}
_LABELS_NOTES = (
    "In %. Memorised, recovered: of the wrong training labels, those predicted as given, as the reference says. "
    "Kept: what was trained on with its given label; precision: the share of it that is right; recall: the share of "
    "what is right that it holds. Damaged: of the right labels, those changed to a wrong one. Mended: of the wrong "
    "labels, those changed to the reference. Selective learning (ReCoT, MLCR, -selective) leaves labels out at random, "
    "right ones too, to balance an AU, which lowers its recall.",
    "Noise: the share of wrong labels given, and left in what the last epoch trained on (a changed label counts as "
    "trained on; soft targets count as their most probable label). A method that neither selects nor relabels trains "
    "on what is given.",
)
_BY_CLASS = {
    "right labels kept": ("kept_right", "right"),
    "right labels damaged": ("damaged", "targets_right"),
    "wrong labels memorised": ("memorised", "predicted_wrong"),
}


def audit_table(
    records: Sequence[Record], expected: Expected | None = None, *, allow_mixed: bool = False
) -> tuple[Table, ...]:
    """What became of the training labels at the last epoch: memorised, recovered, kept, relabelled, damaged, left.

    Args:
        records: at least one.
        expected: rows, columns, folds and pairs there should be.
        allow_mixed: a table for each comparability key instead of a refusal.

    Raises:
        BadInput: no records, or several comparability keys (the differing fields are named).
    """
    return tuple(_labels_table(view) for view in _views(records, expected, allow_mixed))


def audit_page(
    records: Sequence[Record], expected: Expected | None = None, *, allow_mixed: bool = False, blank: bool = False
) -> tuple[Table, ...]:
    """The whole page: the audit of labels, in all and by class, memorisation by epoch, test recall by class, compute.

    Arguments and errors as for `audit_table`. All but the first and the last are there only where records have them;
    with `blank`, that of memorisation also where no label was wrong, for a reader that says so in its place.
    """
    return tuple(table for view in _views(records, expected, allow_mixed) for table in _page(view, blank))


def _page(view: View, blank: bool) -> Iterator[Table]:
    yield _labels_table(view)
    view = replace(view, not_applicable={})  # said once, below the first table
    last = [_last(record).get("audit") or {} for record in view.block.records if record.done]
    if any("memorised" in audit and (blank or audit.get("predicted_wrong")) for audit in last):
        yield _memorised_table(view)
    yield from _class_tables(view)
    if view.metric == "accuracy":
        yield _recall_table(view)
    yield _compute_table(view)


def _views(records: Sequence[Record], expected: Expected | None, allow_mixed: bool) -> list[View]:
    return [view_of(block, expected or Expected()) for block in blocks(records, allow_mixed=allow_mixed)]


def _rows(view: View, cells: Callable[[Entry, float | None], Sequence[Cell]]) -> tuple[tuple[Cell, ...], ...]:
    """A row for each level and method: its name, its level, its cells."""
    return tuple(
        (*leading_cells(view, entry, level), *cells(entry, level)) for level in view.levels for entry in view.rows
    )


# --- labels


def _labels_table(view: View) -> Table:
    numbers: dict[str, Number] = {name: _share(*parts) for name, parts in _SHARES.items()}
    numbers["mended"] = _share("changed_right", "wrong_targets")
    numbers["noise given"] = lambda record: audit_share(_last(record), "wrong", "entries")
    numbers["noise left"] = lambda record: noise_left(_last(record).get("audit") or {})
    rows = _rows(view, lambda entry, level: [_percent(view, entry, level, number) for number in numbers.values()])
    title = title_of(view, "audit of the training labels, last epoch")
    return Table(title, (*leading_columns(view), *numbers), rows, notes_of(view, _LABELS_NOTES, rows))


def noise_left(counts: Mapping[str, int]) -> float | None:
    """The share of wrong labels among those an epoch trained on, from its audit counts; None where it had none.

    A label counts when it was kept, or changed; a network each where there are several. Without counts of what was
    kept all are; without counts of what was changed none is; without either it is the noise given.
    """
    counts = with_kept(counts)
    if "kept" not in counts:
        return None
    used, right = counts["kept"] + counts.get("changed", 0), counts["kept_right"] + counts.get("changed_right", 0)
    return _ratio(used - right, used)


def with_kept(audit: Mapping[str, Any]) -> dict[str, Any]:
    """Audit counts, of all labels or of each class, with those of steps without weights, which keep all that is known.

    Where a method reports the labels it trained on, what it kept are those it did not change.
    """
    if "kept_right" in audit:
        return dict(audit)
    if "targets_right" in audit:
        found = {**audit, "right": audit["targets_right"], "kept_right": audit["targets_right"] - audit["damaged"]}
        return found if "targets" not in audit else {**found, "kept": audit["targets"] - audit["changed"]}
    if "entries" not in audit:
        return dict(audit)
    right = audit["entries"] - audit["wrong"]
    return {**audit, "right": right, "kept": audit["entries"], "kept_right": right}


def _ratio(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else part / whole


def _share(part: str, whole: str) -> Number:
    def number(record: Record) -> float | None:
        line = _last(record)
        audit = with_kept(line.get("audit") or {})
        if "targets" in audit:
            audit["wrong_targets"] = audit["targets"] - audit["targets_right"]
        return audit_share({**line, "audit": audit}, part, whole)

    return number


def _last(record: Record) -> Mapping[str, Any]:
    return record.epochs[-1]


def _percent(view: View, entry: Entry, level: float | None, number: Number) -> Cell:
    return percent_cell(view.summary(entry, level, number), 1)


# --- memorisation


def _memorised_table(view: View) -> Table:
    finished = [len(record.epochs) for record in view.block.records if record.done]
    epochs = shown_epochs(min(finished or [0]))
    rows = _rows(
        view,
        lambda entry, level: [percent_cell(view.summary(entry, level, _memorised(e)), 1, brief=True) for e in epochs],
    )
    notes = [
        "In %: of the wrong training labels, those predicted as given. The whole curves: fernoise-bench figure "
        f"{view.identity['protocol']['name']}.",
    ]
    columns = (*leading_columns(view), *(f"epoch {epoch + 1}" for epoch in epochs))
    return Table(title_of(view, "wrong labels memorised by epoch"), columns, rows, notes_of(view, notes, rows))


def shown_epochs(count: int) -> tuple[int, ...]:
    """At most six of so many epochs (0-based), evenly spread, the first and the last among them."""
    if count <= MOST_EPOCHS:
        return tuple(range(count))
    return unique([round(step * (count - 1) / (MOST_EPOCHS - 1)) for step in range(MOST_EPOCHS)])


def _memorised(epoch: int) -> Number:
    return lambda record: audit_share(record.epochs[epoch], "memorised", "predicted_wrong")


# --- labels by class


def _class_tables(view: View) -> Iterator[Table]:
    """What became of labels at the last epoch, by reference class or AU, over the records that counted so."""
    counted = [replace(entry, records=tuple(filter(_counted_by_class, entry.records))) for entry in view.rows]
    view = replace(view, rows=tuple(counted))
    word = "class" if view.metric == "accuracy" else "AU"
    for what, parts in _BY_CLASS.items():
        numbers = [_class_share(*parts, at) for at in range(len(view.names))]

        def cells(entry: Entry, level: float | None, numbers: Sequence[Number] = numbers) -> list[Cell]:
            return [percent_cell(view.summary(entry, level, number), 1, brief=True) for number in numbers]

        rows = _rows(view, cells)
        if any(cell.value is not None for row in rows for cell in row[len(leading_columns(view)) :]):
            notes = [
                f"In % of the {' '.join(what.split()[:2])} of each {word} that training saw; – where there is none."
            ]
            title = title_of(view, f"{what}, by {word}, last epoch")
            yield Table(title, (*leading_columns(view), *view.names), rows, notes_of(view, notes, rows))


def _counted_by_class(record: Record) -> bool:
    return bool(record.epochs) and bool(_last(record).get("audit_by_class"))


def _class_share(part: str, whole: str, at: int) -> Number:
    def number(record: Record) -> float | None:
        apart = _last(record)["audit_by_class"]
        counts = with_kept({name: values[at] for name, values in apart.items()})
        return _ratio(counts.get(part), counts.get(whole))

    return number


# --- recall by class


def _recall_table(view: View) -> Table:
    rows = _rows(view, lambda entry, level: [_recall_cell(view, entry, level, at) for at in range(len(view.names))])
    notes = ["In %: of the test faces of each class, those predicted as such; – for a class without a test face."]
    title = title_of(view, "test recall by class, last epoch")
    return Table(title, (*leading_columns(view), *view.names), rows, notes_of(view, notes, rows))


def _recall_cell(view: View, entry: Entry, level: float | None, position: int) -> Cell:
    def recall(record: Record) -> float | None:
        score = record.scores.get("last")
        return None if score is None else score.per_label[position]

    return percent_cell(view.summary(entry, level, recall), 1, brief=True)


# --- compute and oracle knowledge


def _compute_table(view: View) -> Table:
    devices = unique(sorted(str(record.environment["device"]) for record in view.block.records if record.done))
    columns = (
        *leading_columns(view),
        *("networks", "views", "forwards a sample", "backwards a sample"),
        *(f"{what} ({device})" for device in devices for what in ("seconds", "peak MB")),
        *("teachers, seconds", "oracle knowledge"),
    )
    rows = _rows(view, lambda entry, level: _compute_cells(entry, level, devices))
    notes = [
        "Means over finished trials. Forwards and backwards: of one encoder on one image, per training row and epoch. "
        "Seconds: training, on the processor of a CPU trial. Teachers: what it took to make the ones a trial learns "
        "from, not in its seconds; several trials share one.",
        *notes_on_seconds(view),
        *_teacher_notes(view),
    ]
    title = title_of(view, "compute and oracle knowledge")
    return Table(title, columns, rows, notes_of(view, notes, rows))


def notes_on_seconds(view: View) -> list[str]:
    """How seconds were measured, where not all in the same way: then they are not comparable."""
    done = [record for record in view.block.records if record.done]
    ways = unique(sorted(f"{r.environment['engine']} × {r.environment['workers']}" for r in done))
    if len(ways) < 2:
        return []
    return [f"Seconds were measured under different engines and numbers of workers: {', '.join(ways)}."]


def _compute_cells(entry: Entry, level: float | None, devices: Sequence[str]) -> list[Cell]:
    records = at_level(entry, level)
    done = [record for record in records if record.done]
    cost: list[Cell] = []
    for device in devices:
        mine = [record for record in done if record.environment["device"] == device]
        peaks = [record.status.get("peak_memory_mb") for record in mine]
        cost.append(mean_cell([record.status["seconds"] for record in mine], 1))
        cost.append(mean_cell([peak for peak in peaks if peak is not None], 0))
    return [
        _most(record.environment["networks"] for record in done),
        _most(record.environment.get("views", 1) for record in done),
        mean_cell([_per_sample(record, "forwards") for record in done], 2),
        mean_cell([_per_sample(record, "backwards") for record in done], 2),
        *cost,
        _teacher_cell(done),
        Cell(", ".join(oracle_knowledge(records)) or ("none" if done else MISSING)),
    ]


def _teacher_cell(records: Sequence[Record]) -> Cell:
    """Mean seconds of the teachers a trial needs; "none" where it needs none."""
    seconds = [math.fsum(teacher["seconds"] for teacher in teachers_of(record)) for record in records]
    if not any(teachers_of(record) for record in records):
        return Cell("none" if records else MISSING)
    return mean_cell(seconds, 1)


def teachers_of(record: Record) -> Sequence[Mapping[str, Any]]:
    """The teachers a trial learnt from: name, id, seconds, forwards, backwards."""
    found: Sequence[Mapping[str, Any]] = record.environment.get("teachers", ())
    return found


def _teacher_notes(view: View) -> list[str]:
    """Each teacher by name: how many were made, what they took in all, how many trials shared them."""
    made: dict[str, dict[str, float]] = {}
    uses: dict[str, int] = {}
    for record in view.block.records:
        for teacher in teachers_of(record) if record.done else ():
            made.setdefault(teacher["name"], {})[teacher["id"]] = teacher["seconds"]
            uses[teacher["name"]] = uses.get(teacher["name"], 0) + 1
    return [
        f"Teacher {name}: {len(ids)} made in {math.fsum(ids.values()):.0f} seconds, shared by {uses[name]} trials."
        for name, ids in made.items()
    ]


def _per_sample(record: Record, what: str) -> float:
    total = sum(line["compute"][what] for line in record.epochs)
    return float(total / (record.environment["rows_per_epoch"] * len(record.epochs)))


def _most(values: Iterator[int]) -> Cell:
    found = list(values)
    return count_cell(max(found)) if found else Cell(MISSING)
