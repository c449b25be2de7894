"""How well methods' probabilities fit the test labels and annotators' votes, as a table. Pure functions of records."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ....protocols.errors import BadInput, unknown
from ...analysis.grouping import Entry
from ...analysis.view import Expected, View, views_of
from ...records.record import RULES, Record
from ..cell import Cell, Table, number_cell, percent_cell
from ..parts import leading_cells, leading_columns, notes_of, title_of
from ..protocol_tables import RULE_WORDS

_TO_LABELS, _TO_VOTES = ("nll", "brier", "ece"), ("kl", "nll", "brier", "ece")
_WORDS = {"nll": "NLL", "brier": "Brier", "ece": "ECE", "kl": "KL"}

_NOTE = (
    "Lower is better. NLL: negative log-likelihood, in nats. Brier: squared distance, summed over classes, in [0, 2]. "
    "ECE: expected calibration error in points, 15 bins of the largest probability."
)
_VOTES_NOTE = (
    'Votes: against the shares of annotators\' votes for the classes, single votes included, "unknown" and "not a '
    'face" left out, on the same test faces. KL: divergence from these shares, NLL without what the votes themselves '
    "leave open."
)
_MISSING_NOTE = "Trials of earlier versions, and those that ship, did not record how well probabilities fit."


def calibration_table(
    records: Sequence[Record], expected: Expected | None = None, *, rule: str = "last", allow_mixed: bool = False
) -> tuple[Table, ...]:
    """Log-likelihood, Brier score and calibration error on the test rows: a row for each method and level.

    Where test rows have annotators' votes, the same against these, and the divergence from them.

    Args:
        records: of one protocol, at least one.
        expected: methods, levels, folds and pairs there should be.
        rule: the selection rule, one of RULES.
        allow_mixed: a table for each comparability key instead of a refusal.

    Raises:
        BadInput: no records, an unknown rule, action units, or several comparability keys.
    """
    if rule not in RULES:
        raise unknown("selection rule", rule, RULES)
    views = views_of(records, expected, allow_mixed=allow_mixed)
    if any(view.metric == "f1" for view in views):
        raise BadInput(f"--calibration: {views[0].protocol} has action units; this table is of one expression a face")
    return tuple(_table(view, rule) for view in views)


def _table(view: View, rule: str) -> Table:
    records = [record for record in view.block.records if record.done]
    told = any(record.fit("nll", rule, votes=True) is not None for record in records)
    blocks = [(level, entry) for rows in (view.ranked_rows, view.apart_rows) for level in view.levels for entry in rows]
    rows = tuple(_row(view, entry, level, rule, votes=told) for level, entry in blocks)
    votes = tuple(f"votes: {_WORDS[what]}" for what in _TO_VOTES) if told else ()
    columns = (*leading_columns(view), view.metric_words, *(_WORDS[what] for what in _TO_LABELS), *votes)
    lacking = any(record.fit("nll", rule) is None for record in records)
    notes = [_NOTE, *([_VOTES_NOTE] if told else []), *([_MISSING_NOTE] if lacking else [])]
    title = title_of(view, f"probabilities against labels{' and votes' * told}, {RULE_WORDS[rule]}")
    return Table(title, columns, rows, notes_of(view, notes, rows), apart=len(view.apart_rows) * len(view.levels))


def _row(view: View, entry: Entry, level: float | None, rule: str, *, votes: bool) -> tuple[Cell, ...]:
    score = percent_cell(view.summary(entry, level, partial(Record.headline, rule=rule)), view.decimals)
    wanted = [(what, False) for what in _TO_LABELS] + [(what, True) for what in _TO_VOTES if votes]
    return (*leading_cells(view, entry, level), score, *(_cell(view, entry, level, rule, *each) for each in wanted))


def _cell(view: View, entry: Entry, level: float | None, rule: str, what: str, votes: bool) -> Cell:
    summary = view.summary(entry, level, lambda record: record.fit(what, rule, votes=votes))
    return percent_cell(summary, 1, brief=True) if what == "ece" else number_cell(summary, 3, brief=True)
