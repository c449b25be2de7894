"""Significance of the leaderboard: each method against supervised, and groups of methods that do not differ."""

from __future__ import annotations

import math
from typing import Any

from ..analysis.comparisons import LEAST_PAIRS, Comparison, Ranking, against_supervised, rank_methods
from ..analysis.power import power_words
from ..analysis.ranking import group_letters
from ..analysis.view import View
from ..tables.comparison_cells import difference_cell, interval_words, p_cell, words_of_test


def compared(view: View, level: float | None) -> dict[str, Any]:
    """Comparisons at a noise level for the last epoch, the only selection rule that is tested.

    Returns:
        "rows", one for each row of the view: "difference" from supervised as a cell in points, or null, with "p" of the
        primary test (after Holm's correction; for AUs by subjects), its "interval" in points ("" for single labels),
        "p_pairs" (of the sign-flip test) and "separated"; "group" (methods that share a letter do not differ
        significantly) and "first" (share of resamples of the pairs with the highest mean), or null where pairs are
        missing or there is only one.
        "test", "power" and "ranking": the primary test and what the design can detect, as text; empty where there is
        nothing to compare.
    """
    against = against_supervised(view, level)
    ranking = rank_methods(view, (level,))
    places = _places(ranking)
    rows = [_row(against.get(entry.label), *places.get(entry.label, (None, None))) for entry in view.rows]
    made = [each for each in against.values() if each.differences]
    return {
        "rows": rows,
        "test": words_of_test(made, view.metric, "the methods of a level") if made else "",
        "power": _power(made),
        "ranking": _ranking_words(ranking),
    }


def _places(ranking: Ranking) -> dict[str, tuple[str | None, float | None]]:
    """Group and probability of being first by label; nothing for a single pair."""
    if ranking.pairs < LEAST_PAIRS:
        return {}
    marks = group_letters(ranking.groups, len(ranking.labels))
    return dict(zip(ranking.labels, zip(marks, ranking.first, strict=True), strict=True))


def _row(found: Comparison | None, group: str | None, first: float | None) -> dict[str, Any]:
    row: dict[str, Any] = {"difference": None, "group": group, "first": None if first is None else round(first, 4)}
    if found is None or not found.differences:
        return row
    cell = difference_cell(found)
    return row | {
        "difference": {"text": cell.text, "value": cell.value, "spread": cell.spread},
        "interval": "" if found.by_subject is None else interval_words(found.by_subject),
        "p": found.deciding,
        "p_text": p_cell(found.deciding).text,
        "p_pairs": p_cell(found.adjusted).text,
        "separated": found.separated,
    }


def _power(made: list[Comparison]) -> str:
    """What the design can detect; for AUs it says first which test the printed p belongs to."""
    power = power_words(made)
    if any(each.by_subject is not None for each in made):
        return f"For AUs, p comes from resampling subjects within folds. {power}"
    return power


def _ranking_words(ranking: Ranking) -> str:
    if ranking.labels and ranking.pairs < LEAST_PAIRS:
        return "one seed: no ranking"
    if math.isnan(ranking.critical):
        return ""
    words = f"critical difference of mean ranks {ranking.critical:.1f} over {ranking.pairs} pairs"
    if ranking.critical >= len(ranking.labels) - 1:
        words += ": too few pairs to find a significant difference between any two methods"
    return words
