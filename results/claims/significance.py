"""How a claim is tested: over (seed, draw) pairs for single labels, over subjects for AUs. Pure functions.

Single labels: differences of pairs, each the mean over its folds and over the noise levels tested; a two-sided
sign-flip test, and the interval that inverts it. AUs: subjects resampled within folds, since the frames of one person
are not independent; trainings are averaged. "Comparable" is tested against the margin below zero. Numbers
are in points (percent).
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..analysis import subject_bootstrap
from ..analysis.grouping import Pair, grouped, unique
from ..analysis.intervals import Interval, sign_flip_intervals
from ..records.record import Record
from ..records.subject_counts import Subjects
from ..statistics import sign_flip_family
from . import measures
from .claim import GAINS, Level, Side, contrast, gains, is_enough, margin
from .settings import Setting

_TOGETHER = 64  # tests that share their sign assignments: limits memory

Where = Mapping[Level, Setting]


@dataclass(frozen=True)
class Missing:
    """Noise levels of a claim that are not in its sample, with the reason.

    Attributes:
        levels: the levels.
        why: a clause, such as "nct: 1 of 8 diverged at noise 0.4".
        tried: a side has trials at these levels.
    """

    levels: tuple[Level, ...]
    why: str
    tried: bool


@dataclass(frozen=True)
class Sample:
    """What was measured for a claim, before correction over its family. Values are in points.

    Attributes:
        levels: the noise levels used.
        left, right: means, or for GAINS the leads on real and on synthetic noise; right is None without a right side.
        difference: the contrast; positive where the claim holds.
        by_level: the contrast at each level; empty for a contrast between levels.
        pairs: (seed, draw) pairs.
        subjects: how many are resampled; 0 where pairs are tested.
        lost_left, lost_right: trials that diverged or failed, over all levels of the claim.
        missing: levels of the claim that are not used.
        values: the contrast of each pair, or of each resample of subjects.
        low, high: 95% interval of this one contrast; None where there are too few pairs for one.
        margin: the contrast is tested against minus this many points.
        p: two-sided, unadjusted; NaN, and no interval, before `with_significance`.
    """

    levels: tuple[Level, ...]
    left: float
    right: float | None
    difference: float
    by_level: Mapping[Level, float]
    pairs: int
    subjects: int
    lost_left: int
    lost_right: int
    missing: tuple[Missing, ...]
    values: NDArray[np.float64] = field(compare=False, repr=False)
    low: float | None = None
    high: float | None = None
    margin: float = 0.0
    p: float = math.nan


# --- the tests


def with_significance(samples: Sequence[Sample]) -> list[Sample]:
    """The samples with their p values and intervals; samples of equal size share sign assignments for speed."""
    flipped = [sample.values for sample in samples if not sample.subjects]
    intervals = iter(sign_flip_intervals(flipped))
    shifted = [sample.values + sample.margin for sample in samples if not sample.subjects]
    batches = (shifted[start : start + _TOGETHER] for start in range(0, len(shifted), _TOGETHER))
    p_values = itertools.chain.from_iterable(map(sign_flip_family, batches))
    return [_resampled(sample) if sample.subjects else _flipped(sample, intervals, p_values) for sample in samples]


def _resampled(sample: Sample) -> Sample:
    low, high = subject_bootstrap.bootstrap_interval(sample.values)
    return replace(sample, low=low, high=high, p=subject_bootstrap.bootstrap_p(sample.values + sample.margin))


def _flipped(sample: Sample, intervals: Iterator[Interval | None], p_values: Iterator[float]) -> Sample:
    low, high = next(intervals) or (None, None)
    return replace(sample, low=low, high=high, p=next(p_values))


# --- the sample


def measured(relation: str, left: Side, right: Side | None, where: Where) -> Sample | str:
    """Measure a contrast over all levels and pairs that both sides have; not yet tested.

    Args:
        relation: one of RELATIONS.
        left, right: the sides; right may be None for "falls with noise".
        where: the levels of the claim, ascending, each with the setting that holds its trials.

    Returns:
        The sample; or the reason why there is none, a clause.
    """
    sides = [left] if right is None else [left, right]
    values = [{level: found for level in where if (found := where[level].values(side, level))} for side in sides]
    levels, pairs = _shared(values, where)
    if not pairs:
        return _why_none(where, sides, values)
    missing = _missing(where, sides, levels)
    if not is_enough(relation, levels):
        whys = "; ".join(each.why for each in missing)
        return f"needs {'real and synthetic noise' if relation == GAINS else 'two noise levels'} ({whys})"
    points = [{level: np.array([100 * each[level][pair] for pair in pairs]) for level in levels} for each in values]
    others = points[1] if right is not None else {}
    differences = contrast(relation, points[0], others)
    resamples = _resamples(relation, sides, where, levels, pairs)
    if isinstance(resamples, str):
        return resamples
    simple = right is not None and "noise" not in relation
    means = gains(points[0], others) if relation == GAINS else (_all(points[0]), _all(others) if right else None)
    return Sample(
        levels=levels,
        left=float(np.mean(means[0])),
        right=None if means[1] is None else float(np.mean(means[1])),
        difference=float(differences.mean()),
        by_level={level: _at(relation, points[0][level], others[level]) for level in levels} if simple else {},
        pairs=len(pairs),
        subjects=0 if resamples is None else resamples[1],
        lost_left=_lost(left, where),
        lost_right=0 if right is None else _lost(right, where),
        missing=missing,
        values=differences if resamples is None else resamples[0],
        margin=margin(relation),
    )


def _all(points: Mapping[Level, NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.array(list(points.values()))


def _at(relation: str, left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    return float(contrast(relation, {None: left}, {None: right}).mean())


def _lost(side: Side, where: Where) -> int:
    return sum(setting.lost(side.method, level) for level, setting in where.items())


def _shared(
    values: Sequence[Mapping[Level, Mapping[Pair, float]]], where: Where
) -> tuple[tuple[Level, ...], tuple[Pair, ...]]:
    """The levels at which all sides have the most pairs of their setting, and the pairs common to these levels."""
    common = {
        level: set.intersection(*(set(each[level]) for each in values))
        for level in values[0]
        if all(level in each for each in values)
    }
    most = {id(setting): 0 for setting in where.values()}
    for level, found in common.items():
        most[id(where[level])] = max(most[id(where[level])], len(found))
    levels = tuple(level for level, found in common.items() if 0 < len(found) == most[id(where[level])])
    pairs = set.intersection(*(common[level] for level in levels)) if levels else set()
    return levels, tuple(sorted(pairs))


def _missing(where: Where, sides: Sequence[Side], levels: Sequence[Level]) -> tuple[Missing, ...]:
    """The levels not used, each with the pairs that its sides lack of those run at any level."""
    methods = unique([side.method for side in sides])
    trials = [record for level in where for method in methods for record in where[level].trials(method, level)]
    asked = sorted({record.pair for record in trials})
    others = [level for level in where if level not in levels]
    found = grouped(others, lambda level: _lack(level, where[level], sides, asked))
    return tuple(Missing(tuple(at), f"{why} {_at_noise(at)}", tried) for (why, tried), at in found.items())


def _lack(level: Level, setting: Setting, sides: Sequence[Side], asked: Sequence[Pair]) -> tuple[str, bool]:
    """What the sides lack at a level, a clause; and whether any side was run there."""
    methods = unique([side.method for side in sides])
    run = [method for method in methods if setting.trials(method, level)]
    if not run:
        return f"{' and '.join(methods)} {'were' if len(methods) > 1 else 'was'} not run", False
    lacks = {side.method: lack for side in sides if (lack := setting.lacking(side, level, asked))}
    clauses = (f"{method}: {lack}" if method in run else f"{method} was not run" for method, lack in lacks.items())
    return ", ".join(clauses), True


def _at_noise(levels: Sequence[Level]) -> str:
    words = ", ".join("real" if level is None else f"{level:g}" for level in levels)
    return "on real noise" if words == "real" else f"at noise {words}"


def _why_none(where: Where, sides: Sequence[Side], values: Sequence[Mapping[Level, Mapping[Pair, float]]]) -> str:
    for side, numbers in zip(sides, values, strict=True):
        records = [record for level, setting in where.items() for record in setting.trials(side.method, level)]
        if not records:
            return f"{side.method} was not run"
        if not any(record.done for record in records):
            states = Counter(record.state for record in records)
            return f"no trial of {side.method} is finished ({', '.join(f'{n} {state}' for state, n in states.items())})"
        if not numbers and side.measure != measures.SCORE:
            return f"the trials of {side.method} did not record '{side.measure}'"
    return "no (seed, draw) pair is finished on both sides"


# --- subjects


def _resamples(
    relation: str, sides: Sequence[Side], where: Where, levels: Sequence[Level], pairs: Sequence[Pair]
) -> tuple[NDArray[np.float64], int] | str | None:
    """Resampled contrasts and the number of subjects; None where pairs are tested; or the reason why there are none."""
    if not all(measures.by_subject(side.measure) for side in sides):
        return None
    draws: list[dict[Level, NDArray[np.float64]]] = []
    tested: set[tuple[tuple[str, ...], ...]] = set()
    for side in sides:
        draws.append({})
        for level in levels:
            counted = _subjects(where[level], side.method, level, pairs)
            if counted is None:
                return None
            tested.update(tuple(each.names for each in of_pair) for of_pair in zip(*counted, strict=True))
            f1 = subject_bootstrap.resampled_f1(counted)
            one = side.measure != measures.SCORE
            records = where[level].trials(side.method, level)
            draws[-1][level] = 100 * (f1[:, _position(records, side.measure)] if one else f1.mean(axis=1))
    if len(tested) > 1:
        return "the trials were tested on different subjects"
    (names,) = tested
    return contrast(relation, draws[0], draws[1] if len(draws) > 1 else {}), sum(map(len, names))


def _subjects(
    setting: Setting, method: str, level: Level, pairs: Sequence[Pair]
) -> tuple[tuple[Subjects, ...], ...] | None:
    """For each fold, the counts of each pair; None for single labels."""
    done = (record for record in setting.trials(method, level) if record.done)
    found = {(record.pair, record.fold): record.subjects for record in done}
    folds = setting.folds
    counted = tuple(tuple(each for pair in pairs if (each := found[pair, fold]) is not None) for fold in folds)
    return None if any(len(of_fold) < len(pairs) for of_fold in counted) else counted


def _position(records: Sequence[Record], au: str) -> int:
    return next(record for record in records if record.done).environment.task.names.index(au)
