"""The tables, as pure functions of records: a protocol's results, and the long table.

Only records of one comparability key share a table. Scores are in percent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ...protocols.errors import unknown
from ..analysis.comparisons import Comparison, against_supervised
from ..analysis.grouping import MISSING, Entry, unique
from ..analysis.power import power_words
from ..analysis.view import SEVERAL, Expected, View, at_level, views_of
from ..records.record import RULES, Record
from .audit_tables import audit_table
from .cell import Cell, Table, mark_best, mean_cell, percent_cell
from .comparison_cells import cells_of_test, columns_of_test, difference_cell, words_of_test
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
from .parts import label_cell, leading_cells, leading_columns, level_words, notes_of, title_of, unstated_cell
from .transition_tables import error_cell, error_columns, error_notes

__all__ = ["Cell", "Expected", "Table", "audit_table", "long_table", "protocol_table"]

Number = Callable[[Record], float | None]

RULE_WORDS = {
    "last": "last epoch",
    "last_five": "mean of the last five epochs",
    "validation": "epoch best on validation",
    "oracle": "epoch best on test (oracle)",
}


def protocol_table(
    records: Sequence[Record], expected: Expected | None = None, *, rule: str = "last", allow_mixed: bool = False
) -> tuple[Table, ...]:
    """A protocol's results: methods by noise levels, or methods by AUs with their mean (a table for each level).

    Args:
        records: at least one.
        expected: rows, columns, folds and pairs there should be.
        rule: the selection rule, one of RULES.
        allow_mixed: a table for each comparability key instead of a refusal.

    Raises:
        BadInput: no records, an unknown rule, or several comparability keys (the differing fields are named).
    """
    if rule not in RULES:
        raise unknown("selection rule", rule, RULES)
    tables: list[Table] = []
    for view in views_of(records, expected, allow_mixed=allow_mixed):
        if view.metric == "f1":
            tables.extend(_au_table(view, level, rule) for level in view.levels)
        else:
            tables.append(_level_table(view, rule))
    return tuple(tables)


def long_table(
    records: Sequence[Record], expected: Expected | None = None, *, allow_mixed: bool = False
) -> tuple[Table, ...]:
    """Every selection rule, the gaps between them, compute and oracle knowledge: a row for each method and level.

    Each method is compared with supervised on the pairs both have; for AUs subjects decide. Time has a column for each
    device. Arguments and errors as for `protocol_table`.
    """
    return tuple(_long_table(view) for view in views_of(records, expected, allow_mixed=allow_mixed))


# --- a protocol's results


def _level_table(view: View, rule: str) -> Table:
    rows, headline = [], partial(Record.headline, rule=rule)
    for entry in view.rows:
        cells = [percent_cell(view.summary(entry, level, headline), view.decimals) for level in view.levels]
        rows.append((label_cell(view, entry), *cells, unstated_cell(entry)))
    apart = len(view.apart_rows)
    marked = mark_best(rows, range(1, 1 + len(view.levels)), apart)
    headings = [view.metric_words if level is None else level_words(level) for level in view.levels]
    columns = ("method", *headings, "unstated")
    title = title_of(view, f"{view.metric_words} in %, {RULE_WORDS[rule]}")
    return Table(title, columns, marked, notes_of(view, [], marked), apart=apart)


def _au_table(view: View, level: float | None, rule: str) -> Table:
    rows = []
    for entry in view.rows:
        aus = [_au_cell(view, entry, level, rule, position) for position in range(len(view.names))]
        mean = percent_cell(view.summary(entry, level, partial(Record.headline, rule=rule)), view.decimals)
        rows.append((label_cell(view, entry), *aus, mean, unstated_cell(entry)))
    width = len(view.names) + 1
    apart = len(view.apart_rows)
    marked = mark_best(rows, range(1, 1 + width), apart)
    what = f"F1 in %, {RULE_WORDS[rule]}" + ("" if level is None else f", {level_words(level)}")
    columns = ("method", *view.names, "mean", "unstated")
    return Table(title_of(view, what), columns, marked, notes_of(view, [], marked), apart=apart)


def _au_cell(view: View, entry: Entry, level: float | None, rule: str, position: int) -> Cell:
    summary = view.summary(entry, level, lambda record: record.label_score(position, rule))
    return percent_cell(summary, view.decimals, brief=True)


# --- the long table


def _long_table(view: View) -> Table:
    devices = devices_of(view)
    families = {level: against_supervised(view, level) for level in view.levels}
    others = {level: against_supervised(view, level, apart=True) for level in view.levels}
    by_subject = any(each.by_subject is not None for family in families.values() for each in family.values())
    errors = error_columns(view)
    columns = (
        *leading_columns(view),
        *("last", "last five", "validation", "oracle", "oracle gap", "selection leak", "mean-class accuracy"),
        *("without copies", *errors, "− supervised", *columns_of_test(by_subject)),
        *(f"seconds a trial ({device})" for device in devices),
        *(f"wall seconds ({device})" for device in wall_devices_of(view)),
        *("forwards per training sample", "networks", "oracle knowledge", "unstated", "trials"),
    )
    start = columns.index("last")
    scores = [*range(start, start + 4), start + 6, start + 7]

    def row_of(entry: Entry, level: float | None) -> tuple[Cell, ...]:
        compared = families[level].get(entry.label) or others[level].get(entry.label)
        return (
            *leading_cells(view, entry, level),
            *_rule_cells(view, entry, level),
            *(error_cell(view, entry, level) for _ in errors),
            *_comparison_cells(compared, by_subject),
            *_cost_cells(view, entry, level, devices),
        )

    marked: list[tuple[Cell, ...]] = []
    for level in view.levels:
        marked.extend(mark_best([row_of(entry, level) for entry in view.ranked_rows], scores))
    apart = [row_of(entry, level) for level in view.levels for entry in view.apart_rows]
    rows = (*marked, *apart)
    notes = [
        "Last: the last epoch, the main result. Last five: mean over the last five epochs, or over all if fewer. "
        "Validation, oracle: the epoch best on validation, on test. Oracle gap: oracle − last; selection leak: oracle "
        "− validation. Without copies: the last epoch, without test images that are copies of a training image. "
        "Forwards: passes of one image through one encoder. Unstated: hyper-parameters whose value neither the paper "
        "nor its authors' code states.",
        *_comparison_notes(view, families, apart=any(others.values())),
        *(error_notes(view) if errors else ()),
    ]
    notes += notes_on_seconds(view)
    title = title_of(view, f"{view.metric_words} in %, all selection rules")
    return Table(title, columns, rows, notes_of(view, notes, rows), apart=len(apart))


def _rule_cells(view: View, entry: Entry, level: float | None) -> list[Cell]:
    numbers: list[Number] = [
        *(partial(Record.headline, rule=rule) for rule in RULES),
        _difference("oracle", "last"),
        _difference("oracle", "validation"),
        _mean_class,
        _without_copies,
    ]
    first, *others = (view.summary(entry, level, number) for number in numbers)
    brief = [percent_cell(summary, view.decimals, brief=True) for summary in others]
    return [percent_cell(first, view.decimals), *brief]


def _comparison_cells(found: Comparison | None, by_subject: bool) -> list[Cell]:
    difference = Cell(MISSING) if found is None else difference_cell(found)
    return [difference, *cells_of_test(found, by_subject)]


def _comparison_notes(
    view: View, families: Mapping[float | None, Mapping[str, Comparison]], *, apart: bool
) -> list[str]:
    """How methods are compared, and the statistical power of each different number of pairs and comparisons."""
    powers = unique([power_words(list(family.values())) for family in families.values()])
    told = [power for power in powers if power]
    if not told:
        return []
    made = [each for family in families.values() for each in family.values()]
    return [
        "− supervised: difference in percentage points at the last epoch, over the pairs both have finished. "
        + words_of_test(made, view.metric, "all methods at a noise level"),
        *([f"Those with {SEVERAL} are compared with supervised as a family of their own."] if apart else []),
        *told,
    ]


def _cost_cells(view: View, entry: Entry, level: float | None, devices: Sequence[str]) -> list[Cell]:
    pairs = view.pairs(level)
    records = [r for r in at_level(entry, level) if r.pair in pairs and r.fold in view.folds]
    done = [record for record in records if record.done]
    asked = len(pairs) * len(view.folds)
    return [
        *(seconds_cell(done, device) for device in devices),
        *(wall_cell(done, device) for device in wall_devices_of(view)),
        mean_cell([per_sample(record, "forwards") for record in done], 2),
        most_cell(record.environment.networks for record in done),
        oracle_cell(records),
        unstated_cell(entry),
        Cell(f"{len(done)} of {asked}", float(len(done)), n_ok=len(done), n_all=asked),
    ]


def _difference(minuend: str, subtrahend: str) -> Number:
    def number(record: Record) -> float | None:
        left, right = record.headline(minuend), record.headline(subtrahend)
        return None if left is None or right is None else left - right

    return number


def _mean_class(record: Record) -> float | None:
    score = record.scores.get("last")
    return None if score is None else score.mean_class


def _without_copies(record: Record) -> float | None:
    score = record.scores_without_copies.get("last")
    return None if score is None else score.headline
