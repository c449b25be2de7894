"""Groups of methods that do not differ significantly, and how often each would be the first."""

from __future__ import annotations

import math
from typing import Any

from ..analysis.comparisons import LEAST_PAIRS, Ranking, rank_methods
from ..analysis.ranking import group_letters
from ..analysis.view import View


def compared(view: View, level: float | None) -> dict[str, Any]:
    """The ranking at a noise level by the last epoch, the only selection rule that is tested.

    Returns:
        "rows", one for each row of the view: "group" (methods that share a letter do not differ significantly) and
        "first" (share of resamples of the pairs with the highest mean), or null where pairs are missing or there is
        only one; "ranking": what the ranking can separate, as text; empty where there is nothing to compare.
    """
    ranking = rank_methods(view, (level,))
    places = _places(ranking)
    rows = [_row(*places.get(entry.label, (None, None))) for entry in view.rows]
    return {"rows": rows, "ranking": _ranking_words(ranking)}


def _row(group: str | None, first: float | None) -> dict[str, Any]:
    return {"group": group, "first": None if first is None else round(first, 4)}


def _places(ranking: Ranking) -> dict[str, tuple[str | None, float | None]]:
    """Group and probability of being first by label; nothing for a single pair."""
    if ranking.pairs < LEAST_PAIRS:
        return {}
    marks = group_letters(ranking.groups, len(ranking.labels))
    return dict(zip(ranking.labels, zip(marks, ranking.first, strict=True), strict=True))


def _ranking_words(ranking: Ranking) -> str:
    if ranking.labels and ranking.pairs < LEAST_PAIRS:
        return "one seed: no ranking"
    if math.isnan(ranking.critical):
        return ""
    words = f"critical difference of mean ranks {ranking.critical:.1f} over {ranking.pairs} pairs"
    if ranking.critical >= len(ranking.labels) - 1:
        words += ": too few pairs to find a significant difference between any two methods"
    return words
