"""How well suspicion scores find the labels that are wrong by reference labels. NumPy, float64.

Arguments of the scalar metrics are flat [n] and have no NaN: the caller leaves out what is unknown. Rows with equal
suspicion count alike whatever their order.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .labels import Floats, Mask, known

Counts = NDArray[np.int64]


def errors(given: ArrayLike, reference: ArrayLike) -> tuple[Mask, Mask]:
    """Which given labels are wrong, and of which that is known.

    Args:
        given: [N] classes, or [N, L] in {-1, 0, +1}.
        reference: the same shape; negative, or for an AU 0, where unknown.

    Returns:
        (wrong, known), bool of that shape. Known: the reference is, and for an AU the given label too; never wrong
        where unknown.

    Raises:
        ValueError: shapes that differ.
    """
    labels, true = np.asarray(given), np.asarray(reference)
    if labels.shape != true.shape or labels.ndim not in (1, 2):
        raise ValueError(f"given {labels.shape} and reference {true.shape} must both be [N] or [N, L]")
    told: Mask = known(true) if true.ndim == 1 else (true != 0) & (labels != 0)
    return told & (labels != true), told


def auroc(suspicion: ArrayLike, wrong: ArrayLike) -> float:
    """P(suspicion of a wrong label > that of a right one) + P(equal) / 2; NaN where none or all are wrong.

    Args:
        suspicion: [n], infinities allowed.
        wrong: [n], bool or 0 and 1.

    Raises:
        ValueError: shapes that differ or are not [n], NaN, or a `wrong` that is neither 0 nor 1.
    """
    bad, size = _by_score(suspicion, wrong)
    good = size - bad
    pairs = int(bad.sum()) * int(good.sum())
    if not pairs:
        return math.nan
    below = good.sum() - np.cumsum(good)
    return float((bad * (2 * below + good)).sum() / (2 * pairs))


def average_precision(suspicion: ArrayLike, wrong: ArrayLike) -> float:
    """Sum over distinct suspicions, from the highest, of the step in recall times the precision there.

    NaN where none is wrong, 1 where all are. Arguments and errors as above.
    """
    bad, size = _by_score(suspicion, wrong)
    if not bad.sum():
        return math.nan
    return float((bad * (np.cumsum(bad) / np.cumsum(size))).sum() / bad.sum())


def budget_of(rate: float, n: int) -> int:
    """How many of n rows a rate stands for: floor(rate · n + 0.5), within [0, n].

    Raises:
        ValueError: a negative n, or a rate that is NaN where there are rows.
    """
    if n < 0 or (n and math.isnan(rate)):
        raise ValueError(f"no budget of a rate {rate} of {n} rows")
    return math.floor(min(max(rate * n, 0.0), n) + 0.5) if n else 0


def at_budget(suspicion: ArrayLike, wrong: ArrayLike, budget: float) -> tuple[float, float, float]:
    """Precision, recall and false-negative rate where the most suspicious rows up to a budget are handed to a person.

    Of rows tied at the boundary each counts by its chance of a place there.

    Args:
        suspicion: [n].
        wrong: [n].
        budget: number of rows in [0, n].

    Returns:
        Precision is NaN for a budget of 0; recall and false-negative rate are NaN where none is wrong.

    Raises:
        ValueError: as above, or a budget outside [0, n].
    """
    bad, size = _by_score(suspicion, wrong)
    if not 0 <= budget <= size.sum():
        raise ValueError(f"a budget of {budget} rows of {size.sum()}")
    taken = np.clip(budget - (np.cumsum(size) - size), 0, size)
    hits = float((taken * bad / size).sum())
    recall = hits / int(bad.sum()) if bad.sum() else math.nan
    return hits / budget if budget else math.nan, recall, 1 - recall


def lift_at(suspicion: ArrayLike, wrong: ArrayLike, share: float) -> float:
    """Precision among a share of the rows, at least one, over the error rate; NaN where none is wrong, 1 where all are.

    Raises:
        ValueError: as above, or a share outside (0, 1].
    """
    bad, size = _by_score(suspicion, wrong)
    if not 0 < share <= 1:
        raise ValueError(f"a share of {share} is outside (0, 1]")
    n, found = int(size.sum()), int(bad.sum())
    if not found:
        return math.nan
    precision, *_ = at_budget(suspicion, wrong, max(1, budget_of(share, n)))
    return precision * n / found


def flip_rates(given: ArrayLike, reference: ArrayLike) -> tuple[Floats, Floats]:
    """Share of each AU's truly present entries that are given as absent, and of the absent ones given as present.

    Args:
        given: [N, L] in {-1, 0, +1}.
        reference: the same shape; entries unknown in either are left out.

    Returns:
        (positive, negative), float64 [L] each; NaN where no entry is truly of that sign.

    Raises:
        ValueError: shapes that differ or are not [N, L].
    """
    true = np.asarray(reference)
    if true.ndim != 2:
        raise ValueError(f"flip rates are of AU labels [N, L], not {true.shape}")
    wrong, told = errors(given, reference)
    present, absent = told & (true > 0), told & (true < 0)
    return _share(wrong & present, present), _share(wrong & absent, absent)


def flip_rate_error(
    positive: ArrayLike, negative: ArrayLike, true_positive: ArrayLike, true_negative: ArrayLike
) -> Floats:
    """|difference of the positive rates| + |difference of the negative ones|, float64 [L]."""
    rates = (np.asarray(each, dtype=np.float64) for each in (positive, negative, true_positive, true_negative))
    found, other, true, true_other = rates
    return np.asarray(np.abs(found - true) + np.abs(other - true_other))


def _share(part: Mask, whole: Mask) -> Floats:
    count = whole.sum(axis=0)
    return np.asarray(np.where(count > 0, part.sum(axis=0), np.nan) / np.maximum(count, 1))


def _by_score(suspicion: ArrayLike, wrong: ArrayLike) -> tuple[Counts, Counts]:
    """How many labels are wrong, and how many there are, at each distinct suspicion from the highest on."""
    scores, bad = np.asarray(suspicion, dtype=np.float64), np.asarray(wrong, dtype=np.float64)
    if scores.ndim != 1 or scores.shape != bad.shape:
        raise ValueError(f"suspicion {scores.shape} and wrong {bad.shape} must both be [n]")
    if np.isnan(scores).any():
        raise ValueError("a suspicion is NaN: leave out what is unknown")
    if not ((bad == 0) | (bad == 1)).all():
        raise ValueError("wrong must be true or false")
    values, place = np.unique(scores, return_inverse=True)
    total = np.bincount(place, minlength=len(values))
    return np.bincount(place[bad == 1], minlength=len(values))[::-1], total[::-1]
