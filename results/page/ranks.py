"""Ranks on the page: tables of ranks, critical-difference diagrams, agreement with the ranking on other protocols.

A ranking needs more than one (seed, draw) pair.
"""

from __future__ import annotations

import itertools
import math
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


def noise_agreement(views: Sequence[View], across: Sequence[Sequence[Agreement]]) -> list[dict[str, Any]]:
    """Does synthetic noise rank the methods as people's errors do? On real faces, each two settings once.

    Args:
        views: of all blocks.
        across: `agreements_across` of them.

    Returns:
        "synthetic" and "real" (settings in words), "noise" (of the synthetic setting, in words), "methods", "tau",
        "low" and "high" (null where there are too few methods), "answer", "sure" (whether it is one) and "made" (the
        protocol with synthetic noise). Two kinds of noise of one data set come first, then the more methods.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for view, agreed in zip(views, across, strict=True):
        for each in agreed:
            if view.identity.source != "real" or not each.question:
                continue
            left_is_made = each.left.partition(",")[0] == each.made
            made, real = (each.left, each.right) if left_is_made else (each.right, each.left)
            bounds = [None if math.isnan(bound) else round(bound, 4) for bound in (each.low, each.high)]
            found[made, real] = {
                **{"synthetic": made, "real": real, "noise": each.level, "methods": each.methods, "made": each.made},
                **{"tau": round(each.tau, 4), "low": bounds[0], "high": bounds[1], "answer": each.answer},
                "sure": not each.answer.startswith("cannot"),
            }
    twins = {key for key, each in found.items() if each["made"].startswith(f"{each['real']}-")}
    return [found[key] for key in sorted(found, key=lambda key: (key not in twins, -found[key]["methods"]))]


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
