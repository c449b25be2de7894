"""Paired tests, Holm's correction, statistical power and cluster-bootstrap intervals. NumPy, float64."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

EXACT_PAIRS = 16
MONTE_CARLO_DRAWS = 99_999
SIGNIFICANT = 0.05
POWER = 0.8

_MONTE_CARLO_SEED = 20_240_229
_PART = 10_000  # assignments of signs at a time
_TOLERANCE = 1e-12
_STUDIES = 400  # simulated for the power of a design
_ASSIGNMENTS = 4_096  # of signs; so many stand in for all 2^n where there are more


def paired_sign_flip(differences: ArrayLike) -> float:
    """Two-sided sign-flip test of paired differences: are they symmetric about zero? The statistic is |mean|.

    Exact for up to 16 pairs: the share of the 2^n sign assignments whose |mean| is at least the observed one, ties
    counted (up to rounding). Above that, 99,999 assignments drawn with a fixed seed, and (hits + 1) / (draws + 1).

    Args:
        differences: [n], finite, one a pair.

    Returns:
        p in (0, 1].

    Raises:
        ValueError: no pair, or a difference that is not finite.
    """
    return sign_flip_family([differences])[0]


def sign_flip_family(family: Sequence[ArrayLike]) -> list[float]:
    """`paired_sign_flip` of each member of a family, faster together: members of one size share their assignments.

    Raises:
        ValueError: a member without a pair, or with a difference that is not finite.
    """
    members = [np.asarray(differences, dtype=np.float64) for differences in family]
    if any(each.ndim != 1 or not each.size or not np.isfinite(each).all() for each in members):
        raise ValueError("differences must be one finite number a pair, and at least one pair")
    found = [math.nan] * len(members)
    for size in {each.size for each in members}:
        places = [place for place, each in enumerate(members) if each.size == size]
        for place, p in zip(places, _sign_flips(np.stack([members[place] for place in places])), strict=True):
            found[place] = float(p)
    return found


def _sign_flips(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """p of each row of differences [members, n]."""
    least = np.abs(values.sum(axis=1)) - _TOLERANCE * np.abs(values).sum(axis=1)
    hits = np.zeros(len(values), dtype=np.int64)
    assignments = _assignments(values.shape[1])
    for signs in assignments:
        sums = values @ signs.T.astype(np.float64)
        hits += np.count_nonzero(np.abs(sums, out=sums) >= least[:, None], axis=1)
    count = sum(map(len, assignments))
    exact = values.shape[1] <= EXACT_PAIRS
    found: NDArray[np.float64] = hits / count if exact else (hits + 1) / (count + 1)
    return found


@functools.lru_cache(maxsize=8)
def _assignments(size: int) -> tuple[NDArray[np.int8], ...]:
    """Signs of so many differences, [draws, size] in parts: all that end with a plus, or as many as are drawn.

    Those that end with a minus are the others' mirror images, with the same |mean|.
    """
    if size <= EXACT_PAIRS:
        bits = np.arange(2 ** (size - 1))[:, None] >> np.arange(size)
        return tuple(_signs(bits[start : start + _PART]) for start in range(0, len(bits), _PART))
    generator = np.random.default_rng(_MONTE_CARLO_SEED)
    sizes = (min(_PART, MONTE_CARLO_DRAWS - start) for start in range(0, MONTE_CARLO_DRAWS, _PART))
    return tuple(_signs(generator.integers(0, 2, (draws, size))) for draws in sizes)


def _signs(bits: NDArray[np.int64]) -> NDArray[np.int8]:
    return (1 - 2 * (bits & 1)).astype(np.int8)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down adjustment of a family of p values.

    Args:
        p_values: [m] in [0, 1].

    Returns:
        float64 [m] in the order given: never below its p value, never above 1, and ordered as the p values are.

    Raises:
        ValueError: a value outside [0, 1].
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p values must be numbers in [0, 1]")
    order = np.argsort(values, kind="stable")
    factors = np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return adjusted


def cluster_bootstrap(
    values: ArrayLike,
    clusters: ArrayLike,
    statistic: Callable[[NDArray[np.float64]], float],
    n: int,
    seed: int,
    strata: ArrayLike | None = None,
) -> tuple[float, float]:
    """Percentile 95% interval of a statistic, resampling whole clusters with replacement.

    Args:
        values: [N, ...] rows.
        clusters: [N], the cluster of each row (its subject).
        statistic: takes resampled rows [M, ...]; a cluster drawn twice is there twice.
        n: resamples.
        seed: of the resampling.
        strata: [N]; clusters are resampled within each stratum (a fold), so that each keeps its number of clusters.

    Returns:
        (low, high); NaN when the statistic is NaN on a resample.

    Raises:
        ValueError: no rows, lengths that differ, or n below 1.
    """
    rows = np.asarray(values, dtype=np.float64)
    groups = np.asarray(clusters)
    layers = np.zeros(len(groups), dtype=np.int64) if strata is None else np.asarray(strata)
    if not len(rows) or len(rows) != len(groups) or len(rows) != len(layers) or n < 1:
        raise ValueError("values, clusters and strata must have the same length, at least 1, and n must be at least 1")
    members = [
        [np.flatnonzero((layers == layer) & (groups == group)) for group in np.unique(groups[layers == layer])]
        for layer in np.unique(layers)
    ]
    generator = np.random.default_rng(seed)
    results = np.empty(n)
    for resample in range(n):
        drawn = [part[i] for part in members for i in generator.integers(0, len(part), len(part))]
        results[resample] = statistic(rows[np.concatenate(drawn)])
    low, high = np.percentile(results, [2.5, 97.5])
    return float(low), float(high)


def spread(values: Sequence[float]) -> float:
    """Standard deviation with divisor n - 1; NaN for a single value."""
    if len(values) < 2:
        return math.nan
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def minimum_p(pairs: int) -> float:
    """The smallest p the exact two-sided sign-flip test can give: all differences of one sign."""
    return min(1.0, math.ldexp(2.0, -pairs))


def pairs_needed(family: int) -> int:
    """The fewest pairs with which a comparison in a family of that size can reach an adjusted p below .05."""
    return next(pairs for pairs in itertools.count(1) if family * minimum_p(pairs) < SIGNIFICANT)


def what_the_design_can_show(pairs: int, family: int) -> str:
    """Says in words whether a family of comparisons over so many pairs can reach significance after Holm's correction.

    Args:
        pairs: (seed, draw) pairs of each comparison, at least 1.
        family: comparisons made together, at least 1.
    """
    least = min(1.0, family * minimum_p(pairs))
    counted = f"{pairs} pair{'s' * (pairs != 1)}, {family} comparison{'s' * (family != 1)}: "
    smallest = f"the smallest possible sign-flip p is {minimum_p(pairs):.3g}, {least:.3g} after Holm's correction; "
    if least < SIGNIFICANT:
        return counted + smallest + "a method that wins every pair can reach p < .05"
    return counted + smallest + f"this design cannot reach p < .05, which takes at least {pairs_needed(family)} pairs"


@functools.cache
def detectable_effect(pairs: int, family: int) -> float:
    """The true difference that a comparison of a family detects with 80% power after Holm's first step.

    Simulated with a fixed seed on normal differences; good to about a tenth.

    Args:
        pairs: (seed, draw) pairs of each comparison, at least 1.
        family: comparisons made together, at least 1.

    Returns:
        In standard deviations of the paired differences; infinite where no outcome can be significant.
    """
    if family * minimum_p(pairs) >= SIGNIFICANT:
        return math.inf
    generator = np.random.default_rng(_MONTE_CARLO_SEED)
    noise = generator.standard_normal((_STUDIES, pairs))
    exact = 2**pairs <= _ASSIGNMENTS
    bits = (
        np.arange(2**pairs)[:, None] >> np.arange(pairs) if exact else generator.integers(0, 2, (_ASSIGNMENTS, pairs))
    )
    signs = _signs(bits).astype(np.float64)

    def found(effect: float) -> float:
        values = noise + effect
        least = np.abs(values.sum(axis=1)) - _TOLERANCE * np.abs(values).sum(axis=1)
        hits = (np.abs(values @ signs.T) >= least[:, None]).sum(axis=1)
        p = hits / len(signs) if exact else (hits + 1) / (len(signs) + 1)
        return float(np.mean(family * p < SIGNIFICANT))

    low, high = 0.0, 16.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if found(middle) < POWER else (low, middle)
    return high
