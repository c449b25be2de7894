"""Bootstrap of AU results over subjects, since frames of one subject are not independent. NumPy, float64."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..records.subject_counts import Subjects

RESAMPLES = 1_000

_SEED = 20_240_301


@functools.lru_cache(maxsize=256)
def resampled_f1(folds: tuple[tuple[Subjects, ...], ...], n: int = RESAMPLES) -> NDArray[np.float64]:
    """A method's F1 on resampled subjects: whole subjects drawn with replacement within each fold.

    Every call draws the same subjects where the numbers of subjects are the same, so that two methods are resampled
    together. F1 is that of the rows drawn in a fold, averaged over the trials of a fold, then over folds.

    Args:
        folds: for each fold, its trials; all trials of a fold have the same subjects.
        n: resamples.

    Returns:
        float64 [n, L], in [0, 1], read-only.
    """
    drawn = _drawn(tuple(len(trials[0].names) for trials in folds), n)
    of_folds = [
        np.mean([_f1(times, trial.counts) for trial in trials], axis=0)
        for times, trials in zip(drawn, folds, strict=True)
    ]
    result = np.asarray(np.mean(of_folds, axis=0), dtype=np.float64)
    result.flags.writeable = False
    return result


@functools.lru_cache(maxsize=16)
def _drawn(sizes: tuple[int, ...], n: int) -> tuple[NDArray[np.float32], ...]:
    """How often each subject is drawn in each resample, for folds of so many subjects: [n, S] each."""
    generator = np.random.default_rng(_SEED)
    return tuple(_drawn_in_fold(size, n, generator) for size in sizes)


def _drawn_in_fold(subjects: int, n: int, generator: np.random.Generator) -> NDArray[np.float32]:
    resamples = (generator.integers(0, subjects, subjects) for _ in range(n))
    return np.stack([np.bincount(drawn, minlength=subjects) for drawn in resamples]).astype(np.float32)


def _f1(drawn: NDArray[np.float32], counts: NDArray[np.unsignedinteger]) -> NDArray[np.float64]:
    """F1 of each AU in each resample: [n, L]."""
    subjects, width, _ = counts.shape
    sums = drawn @ counts.reshape(subjects, -1).astype(np.float32)
    return metrics.f1_of(sums).reshape(len(drawn), width)


def bootstrap_interval(draws: NDArray[np.float64]) -> tuple[float, float]:
    """Percentile 95% interval of resampled values."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_p(draws: NDArray[np.float64]) -> float:
    """Two-sided bootstrap p of "the difference is zero": twice the smaller tail of the resampled differences."""
    tail = min(int(np.sum(draws <= 0)), int(np.sum(draws >= 0)))
    return min(1.0, 2 * (tail + 1) / (len(draws) + 1))


def smallest_p(n: int) -> float:
    """The smallest p that `bootstrap_p` gives with so many resamples."""
    return min(1.0, 2 / (n + 1))


def enough_resamples(family: int, level: float) -> int:
    """Resamples with which each of so many comparisons can fall below a level after Holm's correction, in thousands."""
    return next(n for n in range(RESAMPLES, 1_000_000, RESAMPLES) if family * smallest_p(n) < level)


def same_subjects(trials: Sequence[Sequence[Subjects]]) -> bool:
    """Whether trials, each given as its folds, tested the same subjects fold by fold."""
    return len({tuple(fold.names for fold in folds) for folds in trials}) <= 1
