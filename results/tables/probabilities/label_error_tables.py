"""How well each method's scores find the wrong labels among its training rows: a row for each method and score."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from ...analysis.grouping import Entry
from ...analysis.label_findings import SCORES, Finding
from ...analysis.view import Expected, View, at_level, views_of
from ...records.record import Record
from ..cell import Cell, Table, percent_cell
from ..parts import leading_cells, leading_columns, notes_of, title_of

Findings = Mapping[str, Mapping[str, Finding]]  # by the folder of a trial, and by score
Number = Callable[[Finding], float]

FLOOR = ("supervised", "loss")
_COLUMNS = {
    "AUROC": "auroc",
    "AUPRC": "auprc",
    "precision †": "precision",
    "missed †": "missed",
    "error rate": "error_rate",
    "ranked": "ranked",
}
_BY_CLASS = ("AUROC", "AUPRC", "missed †", "error rate")
_NOTES = (
    "In %. Suspicion, from the predictions in training: last, mean: one less the probability of the given label in the "
    "last epoch, or on average; aum: minus the mean margin; forgetting: how often a label was predicted and then not; "
    "loss: the mean of -log of that probability; left out: the share of networks that the method last did not train on "
    "the given label.",
    "AUROC: the chance that a wrong label is more suspicious than a right one, 50 for none. AUPRC: average precision, "
    "that of a random ranking is the error rate. † at a budget of as many labels as are wrong, which no user knows: "
    "precision, the share of wrong labels among those looked at; missed, the share of the wrong ones that are not "
    "(false-negative rate). Equal suspicions count by their chance of a place.",
    "Error rate: of the labels ranked. Ranked: labels with a suspicion, of those with a known reference. Verified rows "
    "are not ranked.",
)
_NO_FLOOR = f"{FLOOR[0]}, whose {FLOOR[1]} is the floor that a method has to beat, has no such trials here."


def label_error_tables(
    records: Sequence[Record],
    found: Findings,
    expected: Expected | None = None,
    *,
    by_class: bool = False,
    allow_mixed: bool = False,
) -> tuple[Table, ...]:
    """The table of all labels, and those by class.

    Args:
        records: at least one.
        found: of the finished trials with scores; the others are missing.
        expected: rows, folds and pairs there should be.
        by_class: tables by given class, or by AU, as well.
        allow_mixed: tables for each comparability key instead of a refusal.

    Raises:
        BadInput: no records, or several comparability keys (the differing fields are named).
    """
    views = views_of(records, expected, allow_mixed=allow_mixed)
    return tuple(table for view in views for table in _tables(view, found, by_class=by_class))


def _tables(view: View, found: Findings, *, by_class: bool) -> Iterator[Table]:
    multi = view.metric == "f1"
    notes = [*_NOTES, *(["Means over the AUs that have a value."] if multi else []), *_on_the_floor(view)]
    numbers: dict[str, Number] = {name: partial(_of_all, part=part) for name, part in _COLUMNS.items()}
    yield _table(view, found, "wrong labels found", numbers, notes)
    word = "AU" if multi else "given class"
    for name in _BY_CLASS if by_class else ():
        numbers = {label: partial(_of_class, part=_COLUMNS[name], at=at) for at, label in enumerate(view.names)}
        what = f"wrong labels found, {name.removesuffix(' †')} by {word}"
        yield _table(view, found, what, numbers, [], brief=True)


def _of_all(finding: Finding, part: str) -> float:
    return float(getattr(finding.whole, part))


def _of_class(finding: Finding, part: str, at: int) -> float:
    return float(getattr(finding.by_class[at], part))


def _table(
    view: View, found: Findings, what: str, numbers: Mapping[str, Number], notes: Sequence[str], *, brief: bool = False
) -> Table:
    """A row for each level, method and score, plain training first."""

    def number_of(record: Record, score: str, number: Number) -> float | None:
        finding = found.get(record.folder, {}).get(score)
        value = math.nan if finding is None else number(finding)
        return None if math.isnan(value) else value

    def cells(entry: Entry, level: float | None, score: str) -> Iterator[Cell]:
        for number in numbers.values():
            summary = view.summary(entry, level, partial(number_of, score=score, number=number))
            yield percent_cell(summary, 1, brief=brief)

    rows = tuple(
        (*leading_cells(view, entry, level), Cell(_name(entry, score)), *cells(entry, level, score))
        for level in view.levels
        for entry, score in _shown(view, found, level)
    )
    leading = (*leading_columns(view), "score")
    return Table(title_of(view, what), (*leading, *numbers), rows, notes_of(view, notes, rows), headers=len(leading))


def _shown(view: View, found: Findings, level: float | None) -> Iterator[tuple[Entry, str]]:
    """The methods with the scores that they have at a level: plain training first, whose loss comes before the rest."""
    rows = sorted(view.rows, key=lambda entry: entry.method != FLOOR[0])
    for entry in rows:
        mine = [found[record.folder] for record in at_level(entry, level) if record.folder in found]
        there = [score for score in SCORES if any(score in each for each in mine)]
        if entry.method == FLOOR[0]:
            there.sort(key=lambda score: score != FLOOR[1])
        yield from ((entry, score) for score in there)


def _name(entry: Entry, score: str) -> str:
    return f"{score} (floor)" if (entry.method, score) == FLOOR else score


def _on_the_floor(view: View) -> list[str]:
    return [] if any(entry.method == FLOOR[0] for entry in view.rows) else [_NO_FLOOR]
