"""Ranks on the page: tables of ranks, critical-difference diagrams, agreement with the ranking on other protocols.

A ranking needs more than one (seed, draw) pair.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..analysis.comparisons import LEAST_PAIRS, ranked_pairs
from ..analysis.grouping import Block
from ..analysis.ranking import cliques, critical_difference
from ..analysis.view import Expected, Rows, View
from ..tables.cell import Cell, Table
from ..tables.parts import level_words, title_of
from ..tables.rank_tables import (
    AGREEMENT_COLUMNS,
    AGREEMENT_NOTE,
    Agreement,
    agreement_rows,
    agreements,
    answers,
    rank_tables,
    settings_of,
)

RULE = "last"  # the only selection rule that is tested

_ALL = "all levels"
_OTHERS = "Compared protocols have the same profile, source of the faces, completeness of the data and recipe."


def agreements_across(views: Sequence[View]) -> list[tuple[Agreement, ...]]:
    """For each view, how well the ranking agrees with that on other protocols; each two settings are compared once.

    Compared protocols have the same profile, source, completeness and recipe; one with several comparability keys of
    these is left out, since it is not clear which to compare with.
    """
    settings = [settings_of(view, RULE) for view in views]
    names = [view.protocol for view in views]
    kinds = [view.identity.setting for view in views]
    keys = Counter(zip(kinds, names, strict=True))
    alone = [keys[kind, name] == 1 for kind, name in zip(kinds, names, strict=True)]
    found: list[list[Agreement]] = [[] for _ in views]
    for left, right in itertools.combinations(range(len(views)), 2):
        if kinds[left] != kinds[right] or names[left] == names[right] or not (alone[left] or alone[right]):
            continue
        pairs = [each for own in settings[left] for each in agreements((own,), settings[right])]
        found[left] += pairs if alone[right] else []
        found[right] += [replace(each, left=each.right, right=each.left) for each in pairs] if alone[left] else []
    return [tuple(sorted(each, key=lambda one: not one.question)) for each in found]


def ranks_of_block(view: View, across: Sequence[Agreement], rows: Rows | None = None) -> tuple[Table, ...]:
    """Tables of ranks, of the pre-declared comparisons, and of rank correlations, each where it exists.

    Args:
        view: a block.
        across: agreement with the rankings on other protocols.
        rows: what rows are called.
    """
    first, *rest = rank_tables(view.block.records, Expected(folds=view.folds, rows=rows or Rows()))
    settings = {setting for setting in {row[0].text for row in first.rows} if _pairs(view, setting) >= LEAST_PAIRS}
    kept = tuple(row for row in first.rows if row[0].text in settings)
    tables = [replace(first, rows=kept)] if kept else []
    tables += [table for table in rest if table.columns != AGREEMENT_COLUMNS]
    within = next((table.rows for table in rest if table.columns == AGREEMENT_COLUMNS), ())
    return (*tables, _agreement_table(view, across, within)) if across or within else tuple(tables)


def diagrams(table: Table, view: View) -> list[dict[str, Any]]:
    """What a critical-difference diagram shows, for each setting of a table of ranks; nothing for another table.

    Returns:
        "setting" in words, "pairs", "critical" (Nemenyi's difference), "methods" with "label" and "rank", best first,
        and "bars": first and last position of methods that do not differ significantly.
    """
    found: list[dict[str, Any]] = []
    if "mean rank" not in table.columns:
        return found
    for setting in dict.fromkeys(row[0].text for row in table.rows):
        rows = [row for row in table.rows if row[0].text == setting]
        pairs = _pairs(view, setting)
        if len(rows) < 2:
            continue
        ranks = [row[2].value or 0.0 for row in rows]
        critical = critical_difference(len(rows), pairs)
        bars = [[group[0], group[-1]] for group in cliques(ranks, critical) if len(group) > 1]
        methods = [{"label": row[1].text, "rank": round(rank, 4)} for row, rank in zip(rows, ranks, strict=True)]
        words = "" if view.levels == (None,) else setting
        found.append(
            {"setting": words, "pairs": pairs, "critical": round(critical, 4), "methods": methods, "bars": bars}
        )
    return found


def _pairs(view: View, setting: str) -> int:
    """How many pairs a setting of the table of ranks has: at its level, or common to all levels."""
    levels = view.levels if setting == _ALL else [each for each in view.levels if level_words(each) == setting]
    return len(ranked_pairs(view, levels)) if levels else 0


def _agreement_table(view: View, found: Sequence[Agreement], within: Sequence[tuple[Cell, ...]]) -> Table:
    """Agreement with other protocols first, then between the protocol's own settings."""
    title = title_of(replace(view, block=Block(view.block.records)), "rank correlation between settings, last epoch")
    notes = (*answers(found), AGREEMENT_NOTE, _OTHERS)
    return Table(title, AGREEMENT_COLUMNS, (*agreement_rows(found), *within), notes, headers=2)
