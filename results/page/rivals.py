"""Every row against every other, for the rival that a reader picks: the numbers of `table --against`."""

from __future__ import annotations

import math
from typing import Any

from ..analysis.comparisons import FAMILY_REFERENCE, REFERENCE, Comparison, against_reference, main_entry, predeclared
from ..analysis.power import power_words
from ..analysis.view import View, has_levels
from ..tables.comparison_cells import words_of_test

COLUMNS = (*("mean", "sd", "pairs", "asked", "ahead", "low", "high"), *("p", "p_holm", "p_pairs"))


def rivals(view: View) -> list[dict[str, Any]]:
    """For each row as the rival, the difference of every other row from it at the last epoch, at each level.

    Returns:
        "label" of the rival; "cells", for each level and row the numbers named by COLUMNS, or null for the rival
        itself and for a row without a common pair; differences in points. p is of the test that decides, "p_holm"
        corrected over all cells of this rival, "p_pairs" the corrected p of the sign-flip test. "significant" has the
        (level, row) places where the difference is, "test" and "power" are sentences.
    """
    places = {entry.label: place for place, entry in enumerate(view.rows)}
    found = []
    for rival in view.rows:
        made = [
            (view.levels.index(level), places[row.label], each) for level, row, each in against_reference(view, rival)
        ]
        cells: list[list[list[float | None] | None]] = [[None] * len(view.rows) for _ in view.levels]
        for level, row, each in made:
            cells[level][row] = _numbers(each) if each.differences else None
        ranked = len(view.ranked_rows)  # the others come after them, and are a family of their own
        family = [each for _, row, each in made if each.differences and row < ranked]
        count = len(family)
        covered = f"the {count} comparisons with {rival.label}" if count > 1 else "this one comparison"
        found.append(
            {
                "label": rival.label,
                "cells": cells,
                "significant": [[level, row] for level, row, each in made if each.separated],
                "test": words_of_test(family, view.metric, covered) if family else "",
                "power": power_words(family),
            }
        )
    return found


def declared(view: View) -> dict[str, Any] | None:
    """The comparisons that were declared before any result: each paper's method against the ensemble.

    Returns:
        "against", "words", and "rows": by label, the numbers named by COLUMNS, corrected over this family alone, the
        mean over the levels all have; None where there are none.
    """
    made = [each for each in predeclared(view) if each.differences]
    if not made:
        return None
    over = ", averaged over the noise levels" if has_levels(view) and len(view.levels) > 1 else ""
    words = (
        f"Declared beforehand: each paper's method against {made[0].against}{over}; p Holm-corrected over "
        f"{len(made)} comparison{'s' * (len(made) != 1)} alone. {power_words(made)}"
    )
    significant = [each.label for each in made if each.separated]
    rows = {each.label: _numbers(each) for each in made}
    return {"against": made[0].against, "words": words, "rows": rows, "significant": significant}


def baseline(view: View) -> str | None:
    """The label of the rival shown at first: that of the declared comparisons, else plain training."""
    if any(each.differences for each in predeclared(view)):
        chosen = main_entry(view, FAMILY_REFERENCE)
    else:
        chosen = main_entry(view, REFERENCE)
    return None if chosen is None else chosen.label


def _numbers(found: Comparison) -> list[float | None]:
    low, high = found.interval or (math.nan, math.nan)
    p = found.p if found.by_subject is None else found.by_subject.p
    counts = (len(found.differences), found.asked, found.wins)
    points = [_rounded(100 * share, 6) for share in (found.mean, found.spread, low, high)]
    return [*points[:2], *counts, *points[2:], *(_rounded(each, 6) for each in (p, found.deciding, found.adjusted))]


def _rounded(number: float, digits: int) -> float | None:
    return None if math.isnan(number) else round(number, digits)
