"""How a claim is tested: (seed, draw) pairs for one label a face, subjects for AUs. Pure functions.

One label a face: the differences of pairs, each the mean over its folds and over the noise levels tried; a two-sided
sign-flip test, and the interval that inverts it. AUs: subjects resampled within folds, since the frames of one person
are no independent sample; trainings are averaged over. Numbers are in points (percent).
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import claim_measures, subjects
from .cells import Fold, Pair, pairs_of, summarise
from .claim_data import Level, Side, contrast
from .records import Record
from .statistics import EXACT_PAIRS, paired_sign_flip

_INTERVAL_SEED = 20_240_302
_INTERVAL_DRAWS = 99_999

Trials = Mapping[Level, Sequence[Record]]


@dataclass(frozen=True)
class Sample:
    """What was measured for a claim, before its family is known. Values are in points.

    Attributes:
        levels: the noise levels that entered.
        left, right: means; right is None where there is no right side.
        difference: the contrast; positive where the claim holds.
        by_level: the contrast at each level; empty for a fall with noise.
        low, high: 95% interval of the contrast; None where there are too few pairs for one.
        p: two-sided, unadjusted.
        pairs: (seed, draw) pairs.
        subjects: resampled; 0 where pairs are what is tested.
        lost_left, lost_right: trials of the asked pairs that diverged or failed.
    """

    levels: tuple[Level, ...]
    left: float
    right: float | None
    difference: float
    by_level: Mapping[Level, float]
    low: float | None
    high: float | None
    p: float
    pairs: int
    subjects: int
    lost_left: int
    lost_right: int


def sign_flip_interval(differences: ArrayLike) -> tuple[float, float] | None:
    """The 95% interval that inverts the sign-flip test: those means that it does not reject.

    Its ends are order statistics of the means of all non-empty subsets, which cut the line into intervals of equal
    probability (Hartigan 1969, "Using subsample values as typical values"); above 16 pairs, of random subsets.

    Args:
        differences: [n], one a pair.

    Returns:
        (low, high); None below six pairs, which can exclude no mean at 95%.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.size <= EXACT_PAIRS:
        members = (np.arange(1, 2**values.size)[:, None] >> np.arange(values.size)) & 1
    else:
        generator = np.random.default_rng(_INTERVAL_SEED)
        members = generator.integers(0, 2, (_INTERVAL_DRAWS, values.size))
        members = members[members.any(axis=1)]
    means = np.sort((members @ values) / members.sum(axis=1))
    outside = math.floor(0.025 * (len(means) + 1))
    return (float(means[outside - 1]), float(means[-outside])) if outside else None


def sample(
    relation: str, left: Side, right: Side | None, trials: tuple[Trials, Trials], folds: Sequence[Fold]
) -> Sample | str:
    """Measure a contrast over all levels and pairs that both sides have.

    Args:
        relation: one of RELATIONS.
        left, right: the sides; right may be None for "falls with noise".
        trials: by level, the records of each side; of one comparability key and, a side, one version of a method.
        folds: the folds a pair needs.

    Returns:
        The sample; or why there is none, a clause.
    """
    sides = [left] if right is None else [left, right]
    values = [_by_pair(by_level, side.measure, folds) for by_level, side in zip(trials, sides, strict=False)]
    levels, pairs = _shared(values)
    if not pairs:
        return _why_none(trials, sides, values)
    if "noise" in relation and len(levels) < 2:
        return "needs two noise levels"
    points = [{level: np.array([100 * each[level][pair] for pair in pairs]) for level in levels} for each in values]
    others = points[1] if right is not None else {}
    differences = contrast(relation, points[0], others)
    resampled = _resampled(relation, sides, trials, folds, levels, pairs)
    if isinstance(resampled, str):
        return resampled
    if resampled is None:
        interval, p, count = sign_flip_interval(differences), paired_sign_flip(differences), 0
    else:
        draws, count = resampled
        interval, p = subjects.bootstrap_interval(draws), subjects.bootstrap_p(draws)
    simple = right is not None and "noise" not in relation
    return Sample(
        levels=levels,
        left=_mean(points[0]),
        right=_mean(others) if right is not None else None,
        difference=float(differences.mean()),
        by_level={level: float((points[0][level] - others[level]).mean()) for level in levels} if simple else {},
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        p=p,
        pairs=len(pairs),
        subjects=count,
        lost_left=_lost(trials[0], levels),
        lost_right=_lost(trials[1], levels) if right is not None else 0,
    )


def _by_pair(trials: Trials, measure: str, folds: Sequence[Fold]) -> dict[Level, dict[Pair, float]]:
    """By level, the measure of each pair that has all its folds."""
    found: dict[Level, dict[Pair, float]] = {}
    for level, records in trials.items():
        for pair in pairs_of(records):
            summary = summarise(records, (pair,), folds, lambda record: claim_measures.number(record, measure))
            if summary.values:
                found.setdefault(level, {})[pair] = summary.values[0]
    return found


def _shared(values: Sequence[Mapping[Level, Mapping[Pair, float]]]) -> tuple[tuple[Level, ...], tuple[Pair, ...]]:
    """The levels all sides have with the most pairs, and the pairs that are there at all of them."""
    common = {
        level: set.intersection(*(set(each[level]) for each in values))
        for level in values[0]
        if all(level in each for each in values)
    }
    most = max(map(len, common.values()), default=0)
    levels = tuple(sorted((level for level in common if len(common[level]) == most), key=_order))
    pairs = set.intersection(*(common[level] for level in levels)) if levels else set()
    return levels, tuple(sorted(pairs))


def _order(level: Level) -> float:
    return -1.0 if level is None else level


def _why_none(
    trials: tuple[Trials, Trials], sides: Sequence[Side], values: Sequence[Mapping[Level, Mapping[Pair, float]]]
) -> str:
    for by_level, side, numbers in zip(trials, sides, values, strict=False):
        records = list(itertools.chain.from_iterable(by_level.values()))
        if not records:
            return f"{side.method} was not run"
        if not any(record.done for record in records):
            states = Counter(record.state for record in records)
            return f"no trial of {side.method} is done ({', '.join(f'{n} {state}' for state, n in states.items())})"
        if not numbers and side.measure != claim_measures.SCORE and any(record.done for record in records):
            return f"the trials of {side.method} have no {side.measure}"
    return "no (seed, draw) pair is done on both sides"


def _resampled(
    relation: str,
    sides: Sequence[Side],
    trials: tuple[Trials, Trials],
    folds: Sequence[Fold],
    levels: Sequence[Level],
    pairs: Sequence[Pair],
) -> tuple[NDArray[np.float64], int] | str | None:
    """Resampled contrasts and the number of subjects; None where subjects are not what is tested; or a reason."""
    if not all(claim_measures.by_subject(side.measure) for side in sides):
        return None
    draws: list[dict[Level, NDArray[np.float64]]] = []
    tested: set[tuple[tuple[str, ...], ...]] = set()
    for by_level, side in zip(trials, sides, strict=False):
        draws.append({})
        for level in levels:
            counted = _subjects(by_level[level], folds, pairs)
            if counted is None:
                return None
            tested.update(tuple(each.names for each in of_pair) for of_pair in zip(*counted, strict=True))
            f1 = subjects.resampled_f1(counted)
            one = side.measure != claim_measures.SCORE
            draws[-1][level] = 100 * (f1[:, _position(by_level[level], side.measure)] if one else f1.mean(axis=1))
    if len(tested) > 1:
        return "the trials tested different subjects"
    (names,) = tested
    return contrast(relation, draws[0], draws[1] if len(draws) > 1 else {}), sum(map(len, names))


def _subjects(
    records: Sequence[Record], folds: Sequence[Fold], pairs: Sequence[Pair]
) -> tuple[tuple[subjects.Subjects, ...], ...] | None:
    """For each fold, the counts of each pair; None for one label a face."""
    found = {(record.pair, record.fold): record.subjects for record in records if record.done}
    counted = tuple(tuple(each for pair in pairs if (each := found[pair, fold]) is not None) for fold in folds)
    return None if any(len(of_fold) < len(pairs) for of_fold in counted) else counted


def _position(records: Sequence[Record], au: str) -> int:
    names: list[str] = next(record for record in records if record.done).environment["task"]["names"]
    return names.index(au)


def _mean(points: Mapping[Level, NDArray[np.float64]]) -> float:
    return float(np.mean(list(points.values())))


def _lost(trials: Trials, levels: Sequence[Level]) -> int:
    return sum(record.state in ("diverged", "failed") for level in levels for record in trials.get(level, ()))
