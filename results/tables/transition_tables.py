"""Tables of estimated label noise beside the noise there is, of the methods that estimate it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from ..analysis.grouping import Entry
from ..analysis.view import View
from ..records.record import Record, flip_rates_of, transition_error_of
from ..records.schema import FlipRates
from .cell import Cell, Table, number_cell, percent_cell
from .parts import leading_cells, leading_columns, notes_of, title_of

_ERROR_NOTES = {
    "accuracy": (
        "Transition error: of the estimated shares of given labels for each reference label, the sum of absolute "
        "errors divided by the number of classes; 0 is exact, 2 the most. The truth is counted over the training rows."
    ),
    "f1": (
        "Transition error: the sum of the absolute errors of an AU's two flip rates, mean over the AUs with an "
        "estimate; 0 is exact, 2 the most. One rate for all AUs: the error of the true rates' mean over the AUs as "
        "everybody's estimate."
    ),
}
_BESIDE = "A good score is no evidence of a good estimate: a flat matrix, too, keeps a network from memorising."
_RATES = {
    "ρ⁺ estimated": "positive",
    "ρ⁺ true": "true_positive",
    "ρ⁻ estimated": "negative",
    "ρ⁻ true": "true_negative",
}
_RATES_NOTE = (
    "In %. ρ⁺: of the entries where the AU is present, those given as absent; ρ⁻: of those where it is absent, those "
    "given as present. Estimated: by the method; true: counted over the training rows of the same trials."
)


def transition_tables(view: View) -> Iterator[Table]:
    """The error of each estimate beside the method's score, and for AUs its rates, after the last epoch."""
    estimates = {entry.label for entry in view.rows if any(_error(record) is not None for record in _done(entry))}
    if estimates:
        yield _error_table(view, estimates)
    if any(_rates(record) for entry in view.rows for record in _done(entry)):
        yield _rates_table(view, estimates)


def _done(entry: Entry) -> list[Record]:
    return [record for record in entry.records if record.done]


def _error(record: Record) -> float | None:
    return transition_error_of(record.epochs[-1])


def _rates(record: Record) -> FlipRates | None:
    return flip_rates_of(record.epochs[-1])


def _listed(view: View, estimates: set[str]) -> Iterator[tuple[Entry, float | None]]:
    yield from ((entry, level) for level in view.levels for entry in view.rows if entry.label in estimates)


def _error_table(view: View, estimates: set[str]) -> Table:
    multi = view.metric == "f1"
    rows = []
    for entry, level in _listed(view, estimates):
        cells = [
            percent_cell(view.summary(entry, level, Record.headline), view.decimals),
            number_cell(view.summary(entry, level, _error), 3),
        ]
        if multi:
            cells.append(number_cell(view.summary(entry, level, _error_of_one_rate), 3))
        rows.append((*leading_cells(view, entry, level), *cells))
    columns = (*leading_columns(view), view.metric_words, "transition error", *["one rate for all AUs"] * multi)
    notes = [f"{view.metric_words[0].upper()}{view.metric_words[1:]} in %.", _ERROR_NOTES[view.metric], _BESIDE]
    return _table(view, "estimated label noise, last epoch", columns, rows, notes, estimates)


def _error_of_one_rate(record: Record) -> float | None:
    """The error of the mean true rates as the estimate for every AU whose true rates are known."""
    rates = _rates(record)
    if rates is None:
        return None
    pairs = zip(rates.true_positive, rates.true_negative, strict=True)
    known = [(plus, minus) for plus, minus in pairs if plus is not None and minus is not None]
    if not known:
        return None
    means = [math.fsum(column) / len(known) for column in zip(*known, strict=True)]
    return math.fsum(abs(rate - mean) for pair in known for rate, mean in zip(pair, means, strict=True)) / len(known)


def _rates_table(view: View, estimates: set[str]) -> Table:
    rows = []
    for entry, level in _listed(view, estimates):
        for place, (words, name) in enumerate(_RATES.items()):
            leading = leading_cells(view, entry, level)
            if place:
                leading = replace(leading[0], repeats=True), *leading[1:]
            numbers = [partial(_rate, name=name, au=au) for au in range(len(view.names))]
            cells = [percent_cell(view.summary(entry, level, number), 1, brief=True) for number in numbers]
            rows.append((*leading, Cell(words), *cells))
    columns = (*leading_columns(view), "rate", *view.names)
    headers = len(leading_columns(view)) + 1
    return _table(view, "flip rates by AU, last epoch", columns, rows, [_RATES_NOTE], estimates, headers)


def _rate(record: Record, name: str, au: int) -> float | None:
    rates = _rates(record)
    found: float | None = None if rates is None else getattr(rates, name)[au]
    return found


def _table(
    view: View,
    what: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Cell, ...]],
    notes: Sequence[str],
    estimates: set[str],
    headers: int = 1,
) -> Table:
    others = [entry.label for entry in view.rows if entry.label not in estimates]
    return Table(title_of(view, what), columns, tuple(rows), notes_of(view, notes, rows, unlisted=others), headers)
