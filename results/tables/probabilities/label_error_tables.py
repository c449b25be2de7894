"""How well each method's scores find the wrong labels among its training rows: a row for each method and score."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...analysis.grouping import Entry
from ...analysis.label_estimates import CLEANLAB, CONFIDENT, Estimate
from ...analysis.label_findings import IN_SAMPLE, SCORES, Finding
from ...analysis.view import Expected, View, at_level, views_of
from ...records.record import Record
from ..cell import Cell, Table, number_cell, percent_cell
from ..parts import leading_cells, leading_columns, notes_of, title_of

Findings = Mapping[str, Mapping[str, Finding]]  # by the folder of a trial, and by score
Estimates = Mapping[str, Mapping[str, Estimate]]  # and by estimate
Number = Callable[[Any], float]  # of a finding or an estimate

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
_LIFT = {"lift at 1 %": "lift_1", "lift at 5 %": "lift_5", "lift at 10 %": "lift_10"}
_ESTIMATE = {
    "estimated rate": "rate",
    "error rate": "error_rate",
    "budget": "budget",
    "precision": "precision",
    "missed": "missed",
}
_COUNTS = ("budget", *_LIFT)  # columns that are no shares
_NOTES = (
    "In %. Suspicion, from the predictions in training: last, mean: one less the probability of the given label in the "
    "last epoch, or on average; aum: minus the mean margin; forgetting: how often a label was predicted and then not; "
    "loss: the mean of -log of that probability; mixture: the posterior of the component with the larger mean, of two "
    "Gaussians fitted to the losses; left out: the share of networks that the method last did not train on the given "
    "label.",
    "In-sample: confident learning on the predictions in training of the last epoch, for which it is not meant: it "
    "expects those of a model that did not train on the label. Self-confidence is then the same as last.",
    "AUROC: the chance that a wrong label is more suspicious than a right one, 50 for none. AUPRC: average precision, "
    "that of a random ranking is the error rate. † at a budget of as many labels as are wrong, which no user knows: "
    "precision, the share of wrong labels among those looked at; missed, the share of the wrong ones that are not "
    "(false-negative rate). Equal suspicions count by their chance of a place.",
    "Error rate: of the labels ranked. Ranked: labels with a suspicion, of those with a known reference. Verified rows "
    "are not ranked.",
)
_ESTIMATE_NOTES = (
    "In %, but for the budget: how many labels are looked at, as many as the estimated rate stands for. Rate: by "
    "confident learning on the predictions in training of the last epoch (in-sample), from its joint of given and "
    "guessed classes or as its count of wrong labels, looked at by self-confidence; by the mixture as its mean "
    "suspicion, looked at by that.",
    "An estimate is no measurement: it leans on how well the probabilities fit. Error rate: the true share. Precision "
    "and missed are at this budget, and not comparable where budgets differ.",
)
_LIFT_NOTE = (
    "Precision among the most suspicious 1, 5 and 10 % over the error rate, that of a random ranking is 1; at most one "
    "over the error rate, or over the share."
)
_CLEANLAB_NOTE = (
    "{} …: by the package cleanlab {} itself, on the same predictions. find_label_issues: as many labels as it names, "
    "set as by default, looked at by its self_confidence."
)
_NO_FLOOR = f"{FLOOR[0]}, whose {FLOOR[1]} is the floor that a method has to beat, has no such trials here."


@dataclass(frozen=True)
class _Content:
    """What a table shows.

    Attributes:
        what: for its title.
        found: by the folder of a trial, and by the name of a row.
        numbers: by column, of a finding or an estimate.
        heading: of the names of rows.
        order: of the names of rows; those that are not in it follow.
        brief: neither spread nor what is missing is printed.
    """

    what: str
    found: Mapping[str, Mapping[str, Any]]
    numbers: Mapping[str, Number]
    heading: str = "score"
    order: Sequence[str] = SCORES
    brief: bool = False


def label_error_tables(
    records: Sequence[Record],
    found: Findings,
    expected: Expected | None = None,
    estimated: Estimates | None = None,
    *,
    by_class: bool = False,
    lift: bool = False,
    allow_mixed: bool = False,
    cleanlab: str = "",
) -> tuple[Table, ...]:
    """The table of all labels, that of estimated numbers of wrong labels, that of lifts, and those by class.

    Args:
        records: at least one.
        found: of the finished trials with scores; the others are missing.
        expected: rows, folds and pairs there should be.
        estimated: of the same trials; None: no such table.
        by_class: tables by given class, or by AU, as well.
        lift: a table of lifts as well.
        allow_mixed: tables for each comparability key instead of a refusal.
        cleanlab: the version of that package, where its scores are among those found.

    Raises:
        BadInput: no records, or several comparability keys (the differing fields are named).
    """
    views = views_of(records, expected, allow_mixed=allow_mixed)
    return tuple(
        _table(view, content, told)
        for view in views
        for content, told in _contents(view, found, estimated, cleanlab, by_class=by_class, lift=lift)
    )


def _contents(
    view: View, found: Findings, estimated: Estimates | None, cleanlab: str, *, by_class: bool, lift: bool
) -> Iterator[tuple[_Content, Sequence[str]]]:
    """What each table of a view shows, with its notes."""
    multi = view.metric == "f1"
    means = ["Means over the AUs that have a value."] if multi else []
    rival = [_CLEANLAB_NOTE.format(CLEANLAB, cleanlab)] if cleanlab else []
    numbers = {name: partial(_of_all, part=part) for name, part in _COLUMNS.items()}
    yield _Content("wrong labels found", found, numbers), [*_NOTES, *rival, *means, *_on_the_floor(view)]
    if estimated is not None:
        numbers = {name: partial(_of, part=part) for name, part in _ESTIMATE.items()}
        what = "estimated number of wrong labels"
        yield _Content(what, estimated, numbers, "estimate", ()), [*_ESTIMATE_NOTES, *rival, *means]
    if lift:
        numbers = {name: partial(_of_all, part=part) for name, part in _LIFT.items()}
        yield _Content("wrong labels found, lift", found, numbers), [_LIFT_NOTE, *means]
    word = "AU" if multi else "given class"
    for name in _BY_CLASS if by_class else ():
        numbers = {label: partial(_of_class, part=_COLUMNS[name], at=at) for at, label in enumerate(view.names)}
        what = f"wrong labels found, {name.removesuffix(' †')} by {word}"
        yield _Content(what, found, numbers, brief=True), []


def _of(estimate: Estimate, part: str) -> float:
    return float(getattr(estimate, part))


def _of_all(finding: Finding, part: str) -> float:
    return float(getattr(finding.whole, part))


def _of_class(finding: Finding, part: str, at: int) -> float:
    return float(getattr(finding.by_class[at], part))


def _table(view: View, content: _Content, notes: Sequence[str]) -> Table:
    """A row for each level, method and score or estimate, plain training first."""

    def number_of(record: Record, name: str, number: Number) -> float | None:
        finding = content.found.get(record.folder, {}).get(name)
        value = math.nan if finding is None else number(finding)
        return None if math.isnan(value) else value

    def cells(entry: Entry, level: float | None, name: str) -> Iterator[Cell]:
        for column, number in content.numbers.items():
            summary = view.summary(entry, level, partial(number_of, name=name, number=number))
            cell = number_cell if column in _COUNTS else percent_cell
            yield cell(summary, 1, brief=content.brief)

    rows = tuple(
        (*leading_cells(view, entry, level), Cell(_name(entry, name)), *cells(entry, level, name))
        for level in view.levels
        for entry, name in _shown(view, content, level)
    )
    leading = (*leading_columns(view), content.heading)
    title = title_of(view, content.what)
    return Table(title, (*leading, *content.numbers), rows, notes_of(view, notes, rows), headers=len(leading))


def _shown(view: View, content: _Content, level: float | None) -> Iterator[tuple[Entry, str]]:
    """The methods with the scores that they have at a level: plain training first, whose loss comes before the rest."""
    rows = sorted(view.rows, key=lambda entry: entry.method != FLOOR[0])
    for entry in rows:
        mine = [content.found[record.folder] for record in at_level(entry, level) if record.folder in content.found]
        names = dict.fromkeys((*content.order, *(name for each in mine for name in each)))
        there = [name for name in names if any(name in each for each in mine)]
        if entry.method == FLOOR[0]:
            there.sort(key=lambda name: name != FLOOR[1])
        yield from ((entry, name) for name in there)


def _name(entry: Entry, name: str) -> str:
    if name in IN_SAMPLE or name.startswith((CONFIDENT, CLEANLAB)):
        return f"{name} (in-sample)"
    return f"{name} (floor)" if (entry.method, name) == FLOOR else name


def _on_the_floor(view: View) -> list[str]:
    return [] if any(entry.method == FLOOR[0] for entry in view.rows) else [_NO_FLOOR]
