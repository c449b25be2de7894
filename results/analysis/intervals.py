"""Intervals that invert the sign-flip test. Pure functions; NumPy, float64."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..statistics import EXACT_PAIRS

_INTERVAL_SEED = 20_240_302
_INTERVAL_DRAWS = 99_999

Interval = tuple[float, float]


def sign_flip_interval(differences: ArrayLike) -> Interval | None:
    """The 95% interval that inverts the sign-flip test: the means that it does not reject.

    Its ends are order statistics of the means of all non-empty subsets, which cut the line into intervals of equal
    probability (Hartigan 1969, "Using subsample values as typical values"); above 16 pairs, of random subsets.

    Args:
        differences: [n], one a pair.

    Returns:
        (low, high); None below six pairs, too few for a 95% interval.
    """
    return sign_flip_intervals([differences])[0]


def sign_flip_intervals(family: Sequence[ArrayLike]) -> list[Interval | None]:
    """`sign_flip_interval` of each; samples of equal size share their subsets."""
    members = [np.asarray(differences, dtype=np.float64) for differences in family]
    found: list[Interval | None] = [None] * len(members)
    for size in {each.size for each in members}:
        subsets = _subsets(size)
        counts = subsets.sum(axis=1)
        outside = math.floor(0.025 * (len(counts) + 1))
        for place, values in enumerate(members) if outside else ():
            if values.size == size:
                means = np.partition((subsets @ values) / counts, (outside - 1, len(counts) - outside))
                found[place] = float(means[outside - 1]), float(means[-outside])
    return found


def _subsets(size: int) -> NDArray[np.float64]:
    """Non-empty subsets of `size` elements, one a row, 1 for a member: all of them, or random ones for large sizes."""
    if size <= EXACT_PAIRS:
        members = (np.arange(1, 2**size)[:, None] >> np.arange(size)) & 1
    else:
        members = np.random.default_rng(_INTERVAL_SEED).integers(0, 2, (_INTERVAL_DRAWS, size))
        members = members[members.any(axis=1)]
    return members.astype(np.float64)
