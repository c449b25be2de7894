"""Comparisons as cells, column headings and sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..analysis.comparisons import BySubject, Comparison
from ..analysis.grouping import MISSING
from .cell import Cell, minus

SMALLEST_P = 0.001  # that is printed as a number


def words_of_test(comparisons: Sequence[Comparison], metric: str, family: str) -> str:
    """Which test decides, a sentence or two.

    Args:
        comparisons: made together.
        metric: of the view, "f1" for AUs.
        family: what Holm's correction is over ("the methods of a level").
    """
    if any(each.by_subject is not None for each in comparisons):
        return (
            f"AUs: the test by subjects decides. It resamples whole subjects within folds, with trainings averaged "
            f"over; 95%: of each difference by itself; p: two-sided, Holm's over {family}. Beside it p by pairs, the "
            "sign-flip test over (seed, draw) pairs: it speaks of other trainings, not of other people."
        )
    words = f"p: two-sided sign-flip test over (seed, draw) pairs; Holm's over {family}."
    if metric == "f1":
        words += (
            " For AUs a test by subjects should decide; it needs the last epoch's counts by subject, the same subjects "
            "in all trials: here there is none."
        )
    return words


def columns_of_test(by_subject: bool) -> tuple[str, ...]:
    """The headings of `cells_of_test`."""
    return ("95% by subjects", "p by subjects (Holm)", "p by pairs (Holm)") if by_subject else ("p (Holm)",)


def cells_of_test(found: Comparison | None, by_subject: bool) -> list[Cell]:
    """The p that decides and, for AUs, the interval before it and the sign-flip p behind it."""
    pairs = Cell(MISSING) if found is None else p_cell(found.adjusted)
    if not by_subject:
        return [pairs]
    if found is None or found.by_subject is None:
        return [Cell(MISSING), Cell(MISSING), pairs]
    return [Cell(interval_words(found.by_subject)), p_cell(found.by_subject.adjusted), pairs]


def interval_words(found: BySubject) -> str:
    """The interval in points: "−0.40 to +2.10"."""
    return minus(f"{100 * found.low:+.2f} to {100 * found.high:+.2f}")


def difference_cell(found: Comparison) -> Cell:
    """Points of difference with their spread: "+1.20 ± 0.40", with "(6/8)" where pairs are missing."""
    if not found.differences:
        return Cell(MISSING)
    mean, deviation, n = 100 * found.mean, 100 * found.spread, len(found.differences)
    text = minus(f"{mean:+.2f}") + ("" if math.isnan(deviation) else f" ± {deviation:.2f}")
    status = f"{n}/{found.asked}" if n < found.asked else ""
    text += f" ({status})" if status else ""
    return Cell(text, mean, None if math.isnan(deviation) else deviation, n, found.asked, status)


def p_cell(p: float) -> Cell:
    """A p value: "0.008", or "<0.001"."""
    return Cell(MISSING) if math.isnan(p) else Cell(f"<{SMALLEST_P}" if p < SMALLEST_P else f"{p:.3f}", p)
