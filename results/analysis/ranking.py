"""Ranks of methods: probability of the first place, significance groups, rank correlation between settings."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_DEGENERATE = 0.05  # share of resamples without a correlation beyond which there is no interval
_GRID = np.linspace(-9.0, 9.0, 3_601)


def ranks_of(scores: ArrayLike) -> Floats:
    """Ranks within each block, 1 for the highest score, equal scores sharing their mean rank.

    Args:
        scores: [N, K], finite: blocks by methods.

    Returns:
        float64 [N, K]; each row sums to K (K + 1) / 2.

    Raises:
        ValueError: not two-dimensional, without a method, or not finite.
    """
    values = _blocks(scores)
    above = (values[:, None, :] > values[:, :, None]).sum(axis=2)
    equal = (values[:, None, :] == values[:, :, None]).sum(axis=2)
    found: Floats = above + (equal + 1) / 2
    return found


def first_probability(scores: ArrayLike, n: int, seed: int) -> Floats:
    """How often each method has the highest mean when whole blocks are resampled with replacement.

    Args:
        scores: [N, K], finite: blocks, here (seed, draw) pairs, by methods.
        n: resamples.
        seed: of the resampling.

    Returns:
        float64 [K], summing to 1: methods that share a first place share it equally. With one block it is 0 or 1.

    Raises:
        ValueError: as for `ranks_of`, or n below 1.
    """
    values = _blocks(scores)
    if n < 1:
        raise ValueError("n must be at least 1")
    means = _times_drawn(len(values), n, seed) @ values / len(values)
    # sums in another order differ in the last bits: differences of that size count as equal
    first = means >= means.max(axis=1, keepdims=True) - 1e-12 * np.abs(values).max()
    share: Floats = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    return share


@functools.lru_cache(maxsize=16)
def _times_drawn(size: int, n: int, seed: int) -> Floats:
    """How often each of so many things is in each of n resamples of as many: [n, size], read-only."""
    drawn = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=n).astype(np.float64)
    drawn.flags.writeable = False
    return drawn


def critical_difference(methods: int, blocks: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference: mean ranks further apart differ at that level, all pairs of methods counted.

    Args:
        methods: at least 2.
        blocks: independent blocks the ranks are averaged over, at least 1.
        alpha: of the whole family of pairs.

    Source: Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 2006, §3.2.2.
    """
    if methods < 2 or blocks < 1:
        raise ValueError("a critical difference needs two methods and a block")
    return studentized_range(methods, alpha) / math.sqrt(2) * math.sqrt(methods * (methods + 1) / (6 * blocks))


@functools.cache
def studentized_range(count: int, alpha: float) -> float:
    """What the range of so many standard normal values exceeds with probability alpha: found by bisection.

    Args:
        count: of values, at least 2.
        alpha: in (0, 1).
    """
    density = np.exp(-(_GRID**2) / 2) / math.sqrt(2 * math.pi)
    below = np.array([_normal(z) for z in _GRID])

    def exceeds(width: float) -> float:
        inside = below - np.array([_normal(z - width) for z in _GRID])
        return 1.0 - float(count * (density * inside ** (count - 1)).sum() * (_GRID[1] - _GRID[0]))

    low, high = 0.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if exceeds(middle) > alpha else (low, middle)
    return (low + high) / 2


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))


def cliques(mean_ranks: Sequence[float], difference: float) -> tuple[tuple[int, ...], ...]:
    """The largest groups of methods whose mean ranks lie no further apart than a difference.

    Args:
        mean_ranks: one a method.
        difference: the critical difference.

    Returns:
        Positions of each group's methods, best first; every method is in at least one, alone where nothing is near.
    """
    order = sorted(range(len(mean_ranks)), key=lambda i: (mean_ranks[i], i))
    groups: list[tuple[int, ...]] = []
    reached = 0
    for start, first in enumerate(order):
        end = start
        while end < len(order) and mean_ranks[order[end]] - mean_ranks[first] <= difference:
            end += 1
        if end > reached:
            groups.append(tuple(order[start:end]))
            reached = end
    return tuple(groups)


def group_letters(groups: Sequence[Sequence[int]], methods: int) -> tuple[str, ...]:
    """The groups of each method as letters, "a" the best: methods that share a letter do not differ significantly."""
    return tuple("".join(_letter(g) for g, group in enumerate(groups) if i in group) for i in range(methods))


def _letter(number: int) -> str:
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    return alphabet[number] if number < len(alphabet) else f"({number + 1})"


def kendall(left: ArrayLike, right: ArrayLike) -> float:
    """Kendall's τ-b of two rankings of the same methods; NaN where one of them has all methods equal.

    Args:
        left: [K] scores in one setting.
        right: [K] scores in the other.

    Returns:
        In [-1, 1].
    """
    x, y = _two(left, right)
    above = np.triu_indices(len(x), 1)
    dx, dy = np.sign(x[:, None] - x)[above], np.sign(y[:, None] - y)[above]
    return _ratio(float(dx @ dy), math.sqrt(float(dx @ dx) * float(dy @ dy)))


def spearman(left: ArrayLike, right: ArrayLike) -> float:
    """Spearman's ρ: the correlation of mid-ranks; NaN where one ranking has all methods equal. Arguments as above."""
    x, y = _two(left, right)
    rx, ry = (ranks_of(each[None])[0] - (len(each) + 1) / 2 for each in (x, y))
    return _ratio(float(rx @ ry), math.sqrt(float(rx @ rx) * float(ry @ ry)))


def kendall_interval(
    left: ArrayLike, right: ArrayLike, families: Sequence[str], n: int, seed: int
) -> tuple[float, float]:
    """Percentile 95% interval of Kendall's τ over methods: would other methods be ranked alike too?

    Whole families are resampled, since variants of a method score alike. A method drawn twice is equal to its copy in
    both rankings; such pairs do not count.

    Args:
        left: [K] scores in one setting.
        right: [K] scores in the other.
        families: [K], the base name of each method.
        n: resamples.
        seed: of the resampling.

    Returns:
        (low, high); NaN with fewer than four families, or where too many resamples have no τ.
    """
    x, y = _two(left, right)
    names = sorted(set(families))
    if len(names) < 4:
        return math.nan, math.nan
    # a resample is a count for each method; with the signs of all pairs it gives τ of every resample at once
    counts = _times_drawn(len(names), n, seed)[:, np.searchsorted(names, families)]
    dx, dy = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    shared, of_x, of_y = (((counts @ signs) * counts).sum(axis=1) for signs in (dx * dy, dx * dx, dy * dy))
    scale = np.sqrt(of_x * of_y)
    found = np.divide(shared, scale, out=np.full(n, np.nan), where=scale > 0)
    kept = found[~np.isnan(found)]
    if len(kept) < (1 - _DEGENERATE) * n:
        return math.nan, math.nan
    low, high = np.percentile(kept, [2.5, 97.5])
    return float(low), float(high)


def _two(left: ArrayLike, right: ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("two rankings must be finite scores of the same methods")
    return x, y


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan


def _blocks(scores: ArrayLike) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError("scores must be finite, [blocks, methods], at least one of each")
    return values
