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

_ERROR = "transition error"
_ERROR_NOTES = {
    "accuracy": (
        "Transition error: of the estimated shares of given labels for each reference label, the sum of absolute "
        "errors divided by the number of classes; 0 is exact, 2 the most. The truth is counted over the training rows."
    ),
    "f1": (
        "Transition error: the sum of the absolute errors of an AU's two flip rates, mean over the AUs with an "
        "estimate; 0 is exact, 2 the most. The truth is counted over the training rows."
    ),
}
_BESIDE = "A good score is no evidence of a good estimate: a flat matrix, too, keeps a network from memorising."
_ONE_RATE = "one rate for all AUs"
_ONE_RATE_NOTE = "One rate for all AUs: the error of the mean of the true rates over the AUs as every AU's estimate."
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
    entries = [entry for entry in view.rows if _estimates(entry)]
    if not entries:
        return
    multi = view.metric == "f1"
    rows = []
    for entry, level in _places(view, entries):
        score = percent_cell(view.summary(entry, level, Record.headline), view.decimals)
        guess = [number_cell(view.summary(entry, level, _error_of_one_rate), 3)] * multi
        rows.append((*leading_cells(view, entry, level), score, error_cell(view, entry, level), *guess))
    words = view.metric_words[0].upper() + view.metric_words[1:]
    notes = [f"{words} in %.", *error_notes(view), *[_ONE_RATE_NOTE] * multi]
    columns = (*leading_columns(view), view.metric_words, _ERROR, *[_ONE_RATE] * multi)
    yield _table(view, "estimated label noise, last epoch", columns, rows, notes, entries)
    if multi:
        yield _rates_table(view, entries)


def error_columns(view: View) -> tuple[str, ...]:
    """The heading of the errors of estimates, where a method makes one."""
    return (_ERROR,) * any(map(_estimates, view.rows))


def error_cell(view: View, entry: Entry, level: float | None) -> Cell:
    """The error of a method's estimate after the last epoch."""
    return number_cell(view.summary(entry, level, _error), 3)


def error_notes(view: View) -> tuple[str, ...]:
    """What that error is."""
    return _ERROR_NOTES[view.metric], _BESIDE


def _estimates(entry: Entry) -> bool:
    """Whether a method estimates the noise: in any of its finished trials."""
    return any(record.done and _error(record) is not None for record in entry.records)


def _places(view: View, entries: Sequence[Entry]) -> Iterator[tuple[Entry, float | None]]:
    yield from ((entry, level) for level in view.levels for entry in entries)


def _error(record: Record) -> float | None:
    return transition_error_of(record.epochs[-1])


def _rates(record: Record) -> FlipRates | None:
    return flip_rates_of(record.epochs[-1])


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


def _rates_table(view: View, entries: Sequence[Entry]) -> Table:
    rows = []
    for entry, level in _places(view, entries):
        for place, (words, name) in enumerate(_RATES.items()):
            leading = leading_cells(view, entry, level)
            if place:
                leading = replace(leading[0], repeats=True), *leading[1:]
            numbers = [partial(_rate, name=name, au=au) for au in range(len(view.names))]
            cells = [percent_cell(view.summary(entry, level, number), 1, brief=True) for number in numbers]
            rows.append((*leading, Cell(words), *cells))
    columns = (*leading_columns(view), "rate", *view.names)
    table = _table(view, "flip rates by AU, last epoch", columns, rows, [_RATES_NOTE], entries)
    return replace(table, headers=len(leading_columns(view)) + 1)


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
    entries: Sequence[Entry],
) -> Table:
    others = [entry.label for entry in view.rows if entry not in entries]
    return Table(title_of(view, what), columns, tuple(rows), notes_of(view, notes, rows, unlisted=others))
