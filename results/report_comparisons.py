"""How sure a place on the leaderboard is: each method against supervised, and the groups no test tells apart."""

from __future__ import annotations

import math
from typing import Any

from .cells import Cell
from .comparisons import against_supervised, difference_cell, p_cell, power_words, rank_methods
from .ranks import letters
from .views import View

SIGNIFICANT = 0.05


def compared(view: View, level: float | None) -> dict[str, Any]:
    """Comparisons at a noise level under the last epoch, the headline: no other rule has tests of its own.

    Returns:
        "rows", one a row of the view: "difference" from supervised as a cell in points, or null, with "p" (after
        Holm's correction) and "separated"; "group" (methods sharing a letter are not told apart) and "first" (how
        often it has the highest mean when pairs are resampled), or null where pairs are missing.
        "power" and "ranking": what the design can show, in words; empty where there is nothing to compare.
    """
    against = against_supervised(view, level)
    ranking = rank_methods(view, (level,))
    marks = letters(ranking.groups, len(ranking.labels))
    groups = dict(zip(ranking.labels, zip(marks, ranking.first, strict=True), strict=True))
    rows = []
    for entry in view.rows:
        found = against.get(entry.label)
        group, first = groups.get(entry.label, (None, None))
        row: dict[str, Any] = {"difference": None, "group": group, "first": None if first is None else round(first, 4)}
        if found is not None and found.differences:
            cell: Cell = difference_cell(found)
            row |= {
                "difference": {"text": cell.text, "value": cell.value, "spread": cell.spread},
                "p": found.adjusted,
                "p_text": p_cell(found.adjusted).text,
                "separated": found.adjusted < SIGNIFICANT,
            }
        rows.append(row)
    words = ""
    if not math.isnan(ranking.critical):
        words = f"mean ranks {ranking.critical:.1f} apart differ, over {ranking.pairs} pairs"
        if ranking.critical >= len(ranking.labels) - 1:
            words += ": so few pairs cannot tell any two of so many methods apart"
    return {"rows": rows, "power": power_words(list(against.values())), "ranking": words}
