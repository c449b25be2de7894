"""Methods compared: differences on common (seed, draw) pairs, families of tests, rankings.

Protocols with one label per face use the sign-flip test over pairs. Protocols of AUs resample subjects within folds,
since frames of one person are not independent samples; the sign-flip test is given in addition.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..records.subject_counts import Subjects
from ..statistics import SIGNIFICANT, holm, minimum_p, pairs_needed, sign_flip_family, spread
from . import subject_bootstrap
from .grouping import Entry, Pair, most_tried
from .intervals import Interval, sign_flip_interval
from .ranking import cliques, critical_difference, first_probability, ranks_of
from .view import View, at_level

REFERENCE = "supervised"  # what every method is compared with
FAMILY_REFERENCE = "ensemble"  # two networks with averaged predictions: what the papers' methods must beat
# The pre-declared family: each paper's method, or the variant that replaces it where the full method cannot run.
FAMILY: tuple[tuple[str, ...], ...] = (
    ("recot",),
    ("cocuring",),
    ("ulc_ag", "ulc_ag:no-auxiliary"),
    ("rhls",),
    ("mlcr",),
)

RESAMPLES = 10_000
LEAST_PAIRS = 2  # needed to rank: resamples of a single pair are all the same
_SEED = 20_240_229
_BY_SUBJECT = "last"  # the selection rule whose counts are kept by subject

Levels = Sequence[float | None]


@dataclass(frozen=True)
class BySubject:
    """A difference between AU methods on resampled subjects, averaged over training runs; in [-1, 1].

    Attributes:
        subjects: resampled, over all folds.
        low, high: 95% interval of this difference, not corrected for multiple comparisons.
        error: standard deviation of the resampled differences.
        p: two-sided; adjusted: corrected by Holm's method over its family of comparisons.
    """

    subjects: int
    low: float
    high: float
    error: float
    p: float
    adjusted: float = math.nan


@dataclass(frozen=True)
class Comparison:
    """A method against a reference, by (seed, draw) pairs that both have finished; metric as shares in [0, 1].

    Attributes:
        label, against: the method and its reference.
        differences: one for each pair, the mean over folds and levels.
        asked: pairs there should be.
        p: of the two-sided sign-flip test; NaN without a pair.
        adjusted: p corrected by Holm's method over its family of comparisons.
        by_subject: AUs: the test that decides; None for one label per face, or where trials tested different subjects.
        family: how many comparisons of the family have a pair.
        least: the corrected p if every comparison of the family won all its pairs; NaN without a pair.
    """

    label: str
    against: str
    differences: tuple[float, ...]
    asked: int
    p: float
    adjusted: float
    by_subject: BySubject | None = None
    family: int = 1
    least: float = math.nan

    @property
    def mean(self) -> float:
        """The mean difference; NaN without a pair."""
        return math.fsum(self.differences) / len(self.differences) if self.differences else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation (n - 1) of the differences; NaN for fewer than two."""
        return spread(self.differences)

    @property
    def interval(self) -> Interval | None:
        """95% interval of the mean, not corrected for multiple comparisons: by subjects where they decide.

        Else it inverts the sign-flip test; None for too few pairs.
        """
        if self.by_subject is not None:
            return self.by_subject.low, self.by_subject.high
        return sign_flip_interval(self.differences) if self.differences else None

    @property
    def wins(self) -> int:
        """Pairs in which the method is ahead."""
        return sum(difference > 0 for difference in self.differences)

    @property
    def deciding(self) -> float:
        """Holm's p of the test that decides."""
        return self.adjusted if self.by_subject is None else self.by_subject.adjusted

    @property
    def can_decide(self) -> bool:
        """Whether any outcome of the test that decides could be significant; never with a single training run."""
        if self.by_subject is None:
            return self.least < SIGNIFICANT
        return len(self.differences) >= LEAST_PAIRS and self.by_subject.subjects >= pairs_needed(self.family)

    @property
    def separated(self) -> bool:
        """Whether the difference is significant in the test that decides."""
        return self.can_decide and self.deciding < SIGNIFICANT


@dataclass(frozen=True)
class Ranking:
    """Methods ranked over (seed, draw) pairs, best first.

    Attributes:
        labels: methods that finished all of `ranked_pairs` at every level; in order of names for a single pair.
        mean_ranks: within a pair the mean over levels, then the mean over pairs; 1 is best. NaN for a single pair.
        first: bootstrap probability of having the highest mean score; NaN for a single pair.
        groups: positions of methods that do not differ in Nemenyi's test, best first; none for a single pair.
        critical: its critical difference; NaN for a single method or pair.
        pairs: how many.
        left_out: methods that lack one of these pairs.
        set_aside: number of pairs not counted, since most methods have no trial of them.
    """

    labels: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    first: tuple[float, ...]
    groups: tuple[tuple[int, ...], ...]
    critical: float
    pairs: int
    left_out: tuple[str, ...]
    set_aside: int = 0


def compare(
    view: View, entries: Sequence[Entry], reference: Entry, levels: Levels, rule: str = "last"
) -> tuple[Comparison, ...]:
    """Each method against one reference, as one family. A pair counts when both have it at every level.

    Args:
        view: of the records.
        entries: the methods; one without a common pair is in the result, and not in the family.
        reference: the method they are compared with.
        levels: noise levels that the difference of a pair is averaged over.
        rule: the selection rule.
    """
    return compare_cells(view, [(entry, levels) for entry in entries], reference, rule)


def compare_cells(
    view: View, members: Sequence[tuple[Entry, Levels]], reference: Entry, rule: str = "last"
) -> tuple[Comparison, ...]:
    """`compare` of methods that each have levels of their own, as one family."""
    differences = [_differences(view, entry, reference, levels, rule) for entry, levels in members]
    tested = iter(sign_flip_family([each for each in differences if each]))
    p_values = [next(tested) if each else math.nan for each in differences]
    family = sum(map(bool, differences))
    least = _holm([minimum_p(len(each)) if each else math.nan for each in differences])
    results = zip(members, differences, p_values, _holm(p_values), least, strict=True)
    found = [
        Comparison(
            *(entry.label, reference.label, each, len(_asked(view, levels)), p, adjusted), family=family, least=best
        )
        for (entry, levels), each, p, adjusted, best in results
    ]
    if view.metric != "f1" or rule != _BY_SUBJECT:
        return tuple(found)
    resamples = subject_bootstrap.enough_resamples(max(1, family), SIGNIFICANT)
    apart = [_by_subject(view, (entry, reference), levels, resamples) for entry, levels in members]
    adjusted = _holm([math.nan if each is None else each.p for each in apart])
    return tuple(
        one if each is None else replace(one, by_subject=replace(each, adjusted=p))
        for one, each, p in zip(found, apart, adjusted, strict=True)
    )


def against_reference(
    view: View, reference: Entry, rule: str = "last"
) -> tuple[tuple[float | None, Entry, Comparison], ...]:
    """Every other row against one at every noise level where it has trials, as one family: (level, row, comparison).

    Rows that stand apart come last, as a family of their own.
    """
    found: list[tuple[float | None, Entry, Comparison]] = []
    for rows in (view.ranked_rows, view.apart_rows):
        others = [entry for entry in rows if entry.label != reference.label]
        cells = [(level, entry) for level in view.levels for entry in others if at_level(entry, level)]
        made = compare_cells(view, [(entry, (level,)) for level, entry in cells], reference, rule)
        found += [(level, entry, each) for (level, entry), each in zip(cells, made, strict=True)]
    return tuple(found)


def _differences(view: View, entry: Entry, reference: Entry, levels: Levels, rule: str) -> tuple[float, ...]:
    """The differences of two methods over the pairs that both have at every level."""
    scores, base = (scores_by_pair(view, each, levels, rule) for each in (entry, reference))
    return tuple(scores[pair] - base[pair] for pair in _asked(view, levels) if pair in scores and pair in base)


def _holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected by Holm's method; NaN stays NaN and does not count."""
    adjusted = iter(holm([p for p in p_values if not math.isnan(p)]))
    return [math.nan if math.isnan(p) else float(next(adjusted)) for p in p_values]


def _by_subject(view: View, both: tuple[Entry, Entry], levels: Levels, resamples: int) -> BySubject | None:
    """The difference of two methods on resampled subjects, over the pairs both have at every level."""
    pairs = [set(view.paired(entry, level).pairs) for entry in both for level in levels]
    common = sorted(set.intersection(*pairs)) if pairs else []
    tested: list[tuple[Subjects, ...]] = []
    means: list[NDArray[np.float64]] = []
    for entry in both:
        of_levels = []
        for level in levels:
            trials = _counts(view, entry, level, common)
            if not trials:
                return None
            tested += trials
            of_levels.append(subject_bootstrap.resampled_f1(tuple(zip(*trials, strict=True)), resamples).mean(axis=1))
        means.append(np.mean(of_levels, axis=0))
    if not subject_bootstrap.same_subjects(tested):
        return None
    draws = means[0] - means[1]
    low, high = subject_bootstrap.bootstrap_interval(draws)
    people = sum(len(fold.names) for fold in tested[0])
    return BySubject(people, low, high, float(draws.std(ddof=1)), subject_bootstrap.bootstrap_p(draws))


def _counts(view: View, entry: Entry, level: float | None, pairs: Sequence[Pair]) -> list[tuple[Subjects, ...]]:
    """For each pair, the counts by subject of each of its folds; empty where they were not kept."""
    paired = view.paired(entry, level)
    done = dict(zip(paired.pairs, paired.complete, strict=True))
    found = [tuple(one.subjects for one in done[pair] if one.subjects is not None) for pair in pairs]
    return found if all(len(each) == len(view.folds) for each in found) else []


def against_supervised(
    view: View, level: float | None, rule: str = "last", *, apart: bool = False
) -> Mapping[str, Comparison]:
    """Every other method against supervised at one level, by label; empty without supervised.

    Those that stand apart are no part of this family, but of one of their own (`apart`).
    """
    reference = main_entry(view, REFERENCE)
    if reference is None:
        return {}
    rows = view.apart_rows if apart else view.ranked_rows
    others = [entry for entry in rows if entry.method != REFERENCE and at_level(entry, level)]
    return {found.label: found for found in compare(view, others, reference, (level,), rule)}


def predeclared(view: View, rule: str = "last") -> tuple[Comparison, ...]:
    """The pre-declared family: each paper's method against the two-network ensemble, averaged over their common levels.

    Empty without the ensemble, without any paper's method, or without a level that all have.
    """
    reference = main_entry(view, FAMILY_REFERENCE)
    found = [next((e for name in names if (e := main_entry(view, name))), None) for names in FAMILY]
    members = [entry for entry in found if entry is not None]
    if reference is None or not members:
        return ()
    levels = [level for level in view.levels if all(at_level(entry, level) for entry in (reference, *members))]
    return compare(view, members, reference, levels, rule) if levels else ()


def main_entry(view: View, method: str) -> Entry | None:
    """A method's row; of several versions that with most trials, the first of those. None where it has no records."""
    return most_tried(view.rows).get(method)


def ranked_pairs(view: View, levels: Levels) -> tuple[Pair, ...]:
    """The pairs that methods are ranked over: those expected, else those that most methods have at all levels.

    A method that lacks one of these pairs is not ranked, so pairs that only a few methods have are not used.
    """
    pairs = _asked(view, levels)
    if view.expected_pairs:
        return pairs
    by_level = ([{record.pair for record in at_level(entry, level)} for level in levels] for entry in view.ranked_rows)
    tried = [set.intersection(*each) for each in by_level if all(each)]
    return tuple(pair for pair in pairs if 2 * sum(pair in each for each in tried) > len(tried))


def rank_methods(view: View, levels: Levels, rule: str = "last") -> Ranking:
    """Methods ranked by their scores at some levels, over `ranked_pairs`; those that lack one there are left out.

    Those that stand apart are not ranked.
    """
    pairs = ranked_pairs(view, levels)
    by_level = ranked_scores(view, levels, rule, pairs)
    labels = list(by_level)
    there = [entry.label for entry in view.ranked_rows if any(at_level(entry, level) for level in levels)]
    left_out = tuple(label for label in there if label not in by_level)
    counts = len(pairs), left_out, len(_asked(view, levels)) - len(pairs)
    if not labels:
        return Ranking((), (), (), (), math.nan, *counts)
    if len(pairs) < LEAST_PAIRS:
        none = (math.nan,) * len(labels)
        return Ranking(tuple(sorted(labels)), none, none, (), math.nan, *counts)
    # [levels, pairs, methods]
    scores = np.array([[[by_level[label][n][pair] for label in labels] for pair in pairs] for n in range(len(levels))])
    ranks = np.mean([ranks_of(level) for level in scores], axis=0).mean(axis=0)
    first = first_probability(scores.mean(axis=0), RESAMPLES, _SEED)
    order = sorted(range(len(labels)), key=lambda i: (ranks[i], labels[i]))
    mean_ranks = tuple(float(ranks[i]) for i in order)
    critical = critical_difference(len(labels), len(pairs)) if len(labels) > 1 else math.nan
    groups = cliques(mean_ranks, critical) if len(labels) > 1 else ((0,),)
    chances = tuple(float(first[i]) for i in order)
    return Ranking(tuple(labels[i] for i in order), mean_ranks, chances, groups, critical, *counts)


def ranked_scores(view: View, levels: Levels, rule: str, pairs: Sequence[Pair]) -> dict[str, list[dict[Pair, float]]]:
    """By label, a method's headlines by pair at each level, of the methods that can be ranked over some pairs.

    They finished all these pairs at every level and have no trial there that diverged or failed.
    """
    found = {}
    for entry in view.ranked_rows:
        of_levels = [scores_by_pair(view, entry, (level,), rule) for level in levels]
        lost = any(record.lost for level in levels for record in at_level(entry, level))
        if pairs and not lost and all(pair in each for each in of_levels for pair in pairs):
            found[entry.label] = of_levels
    return found


def scores_by_pair(view: View, entry: Entry, levels: Levels, rule: str) -> dict[Pair, float]:
    """A method's headline by pair, the mean over folds and levels; pairs it has not finished are not there."""
    by_level = [view.paired(entry, level).by_pair(lambda record: record.headline(rule)) for level in levels]
    pairs = [pair for pair in (by_level[0] if by_level else {}) if all(pair in found for found in by_level)]
    return {pair: math.fsum(found[pair] for found in by_level) / len(by_level) for pair in pairs}


def _asked(view: View, levels: Levels) -> tuple[Pair, ...]:
    """The pairs expected at all levels."""
    first, *others = (view.pairs(level) for level in levels)
    return tuple(pair for pair in first if all(pair in each for each in others))
