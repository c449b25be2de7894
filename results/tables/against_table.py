"""Methods against one of them: paired differences with their tests, as a table. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from ..analysis.against import Against, compare_against
from ..analysis.comparisons import Comparison
from ..analysis.grouping import Entry
from ..analysis.power import power_words
from ..analysis.view import SEVERAL, Expected, View
from ..records.record import Record
from .cell import Cell, Table
from .comparison_cells import cells_of_comparison, columns_of_comparison, interval_cell, words_of_test
from .parts import leading_cells, leading_columns, notes_of, title_of
from .protocol_tables import RULE_WORDS


def against_table(
    records: Sequence[Record],
    against: str,
    expected: Expected | None = None,
    *,
    rule: str = "last",
    allow_mixed: bool = False,
) -> tuple[Table, ...]:
    """Each method against one reference: a row for each noise level and method, all of a table one family of tests.

    A difference is that of (seed, draw) pairs that both have finished, each the mean over its folds. For AUs subjects
    decide, at the last epoch.

    Args:
        records: of one protocol, at least one.
        against: the reference; of several versions of it, that with the most trials.
        expected: folds and pairs there should be, labels and order of the rows.
        rule: the selection rule, one of RULES.
        allow_mixed: a table for each comparability key in which the reference has trials, instead of a refusal.

    Raises:
        BadInput: no records, an unknown rule, no trials of the reference or of any other method, or several
            comparability keys (the differing fields are named).
    """
    return tuple(map(_table, compare_against(records, against, expected, rule=rule, allow_mixed=allow_mixed)))


def _table(compared: Against) -> Table:
    view, reference, rule = compared.view, compared.reference, compared.rule
    family = [found for _, entry, found in compared.rows if entry.label not in view.apart]
    others = [found for _, entry, found in compared.rows if entry.label in view.apart]
    by_subject = any(found.by_subject is not None for _, _, found in compared.rows)
    rows = tuple(
        (*leading_cells(view, entry, level), *_cells(found, by_subject)) for level, entry, found in compared.rows
    )
    interval = () if by_subject else ("95% interval",)
    columns = (*leading_columns(view), f"− {reference.label}", *interval, *columns_of_comparison(by_subject))
    title = title_of(view, f"{view.metric_words} against {reference.label}, {RULE_WORDS[rule]}")
    pairs, shown = [len(found.differences) for _, _, found in compared.rows], {row.label for _, row, _ in compared.rows}
    unlisted = [entry.label for entry in view.rows if entry.label not in shown]
    first = _notes(view, reference, family) if family else _notes(view, reference, others)
    if family and others:
        first.append(f"Rows with {SEVERAL} are a family of their own, of {len(others)}.")
    notes = notes_of(view, first, rows, compared=pairs, unlisted=unlisted)
    return Table(title, columns, rows, notes, apart=len(others))


def _cells(found: Comparison, by_subject: bool) -> tuple[Cell, ...]:
    difference, *tests = cells_of_comparison(found, by_subject)
    return (difference, *(() if by_subject else (interval_cell(found),)), *tests)


def _notes(view: View, reference: Entry, family: Sequence[Comparison]) -> list[str]:
    made = sum(bool(found.differences) for found in family)
    holm = f"the {made} comparisons of this table" if made != 1 else "this one comparison"
    by_subject = any(found.by_subject is not None for found in family)
    notes = [
        f"− {reference.label}: difference of {view.metric_words} in points, over the (seed, draw) pairs that both have "
        f"finished. {words_of_test(family, view.metric, holm)} p holds for methods that were chosen before their "
        "results were seen.",
        "95% interval: the differences that the sign-flip test does not reject, one comparison at a time; it takes six "
        "pairs."
        if not by_subject
        else "",
        power_words(family),
    ]
    return [note for note in notes if note]
