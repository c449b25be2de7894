"""Comparisons as cells, column headings and sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..analysis.comparisons import BySubject, Comparison
from ..analysis.grouping import MISSING
from .cell import Cell, minus

SMALLEST_P = 0.001  # smaller ones are printed as "<0.001"


def words_of_test(comparisons: Sequence[Comparison], metric: str, family: str) -> str:
    """Which test decides about significance, in one or two sentences.

    Args:
        comparisons: made together.
        metric: of the view, "f1" for AUs.
        family: the comparisons that Holm's correction covers ("all methods at a noise level").
    """
    if any(each.by_subject is not None for each in comparisons):
        return (
            "AUs: the test by subjects decides. It resamples whole subjects within folds and averages over training "
            "runs; 95%: the interval of each difference, not corrected for multiple comparisons; p: two-sided, "
            f"Holm-corrected over {family}. p by pairs: the sign-flip test over (seed, draw) pairs, which tells "
            "whether a difference would recur in new training runs, not whether it would recur on new subjects."
        )
    words = f"p: two-sided sign-flip test over (seed, draw) pairs, Holm-corrected over {family}."
    if metric == "f1":
        words += (
            " For AUs a test by subjects should decide, but it needs counts by subject at the last epoch, of the same "
            "subjects in all trials, which these trials do not have."
        )
    return words


def columns_of_test(by_subject: bool) -> tuple[str, ...]:
    """The headings of `cells_of_test`."""
    return ("95% by subjects", "p by subjects (Holm)", "p by pairs (Holm)") if by_subject else ("p (Holm)",)


def cells_of_test(found: Comparison | None, by_subject: bool) -> list[Cell]:
    """The p that decides; for AUs the interval of the difference before it and the sign-flip p after it."""
    pairs = Cell(MISSING) if found is None else p_cell(found.adjusted)
    if not by_subject:
        return [pairs]
    if found is None or found.by_subject is None:
        return [Cell(MISSING), Cell(MISSING), pairs]
    return [_interval_cell(found.by_subject.low, found.by_subject.high), p_cell(found.by_subject.adjusted), pairs]


def interval_words(found: BySubject) -> str:
    """The interval in percentage points: "−0.40 to +2.10"."""
    return _interval(found.low, found.high)


def _interval(low: float, high: float) -> str:
    return minus(f"{100 * low:+.2f} to {100 * high:+.2f}")


def columns_of_comparison(by_subject: bool) -> tuple[str, ...]:
    """The headings of `cells_of_comparison`, without the first, which names the reference."""
    uncorrected = f"p{' by subjects' * by_subject} (uncorrected)"
    return ("pairs ahead", uncorrected, *columns_of_test(by_subject))


def cells_of_comparison(found: Comparison, by_subject: bool) -> tuple[Cell, ...]:
    """The difference, the pairs ahead, p before and after Holm's correction."""
    n = len(found.differences)
    apart = math.nan if found.by_subject is None else found.by_subject.p
    return (
        difference_cell(found),
        Cell(f"{found.wins} of {n}", float(found.wins)),
        p_cell(apart if by_subject else found.p),
        *cells_of_test(found, by_subject),
    )


def interval_cell(found: Comparison) -> Cell:
    """The 95% interval of the difference in points; "–" for too few pairs."""
    return Cell(MISSING) if found.interval is None else _interval_cell(*found.interval)


def _interval_cell(low: float, high: float) -> Cell:
    return Cell(_interval(low, high), interval=(100 * low, 100 * high))


def difference_cell(found: Comparison) -> Cell:
    """The difference in points with its standard deviation: "+1.20 ± 0.40", with "(6/8)" where pairs are missing."""
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
