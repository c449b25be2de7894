"""Methods compared pair by pair: differences on common (seed, draw) pairs, families of tests, rankings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .cells import MISSING, Cell, Entry, Pair
from .ranks import cliques, critical_difference, first_probability, ranks_of
from .records import Record
from .statistics import detectable_effect, holm, sign_flip_family, spread, what_the_design_can_show
from .views import View, at_level

REFERENCE = "supervised"  # what every method is compared with
FAMILY_REFERENCE = "ensemble"  # two networks, predictions averaged: what the papers' methods must beat
# The pre-declared family: each paper's method, or the variant that stands in where the whole of it cannot run.
FAMILY: tuple[tuple[str, ...], ...] = (
    ("recot",),
    ("cocuring",),
    ("ulc_ag", "ulc_ag:no-auxiliary"),
    ("rhls",),
    ("mlcr",),
)

RESAMPLES = 10_000
_SEED = 20_240_229

Levels = Sequence[float | None]


@dataclass(frozen=True)
class Comparison:
    """A method against a reference, by (seed, draw) pairs that both have finished; metric as shares in [0, 1].

    Attributes:
        label, against: the method and its reference.
        differences: one a pair, the mean over folds and levels.
        asked: pairs there should be.
        p: of the two-sided sign-flip test; NaN without a pair.
        adjusted: Holm's p over the family it was made in.
    """

    label: str
    against: str
    differences: tuple[float, ...]
    asked: int
    p: float
    adjusted: float

    @property
    def mean(self) -> float:
        """The mean difference; NaN without a pair."""
        return math.fsum(self.differences) / len(self.differences) if self.differences else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation (n - 1) of the differences; NaN for fewer than two."""
        return spread(self.differences)

    @property
    def wins(self) -> int:
        """Pairs in which the method is ahead."""
        return sum(difference > 0 for difference in self.differences)


@dataclass(frozen=True)
class Ranking:
    """Methods ranked over (seed, draw) pairs, best first.

    Attributes:
        labels: methods that finished every pair at every level.
        mean_ranks: within a pair the mean over levels, then the mean over pairs; 1 is best.
        first: bootstrap probability of having the highest mean score.
        groups: positions of methods that Nemenyi's test does not tell apart, best first.
        critical: its critical difference; NaN for a single method.
        pairs: how many.
        left_out: methods that lack a pair.
    """

    labels: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    first: tuple[float, ...]
    groups: tuple[tuple[int, ...], ...]
    critical: float
    pairs: int
    left_out: tuple[str, ...]


def compare(
    view: View, entries: Sequence[Entry], reference: Entry, levels: Levels, rule: str = "last"
) -> tuple[Comparison, ...]:
    """Each method against one reference, as one family. A pair enters when both have it at every level.

    Args:
        view: where the records stand.
        entries: the methods; one without a common pair is in the result, and not in the family.
        reference: what they are compared with.
        levels: noise levels a pair is blocked over.
        rule: the selection rule.
    """
    base = scores_by_pair(view, reference, levels, rule)
    pairs = _asked(view, levels)
    differences = []
    for entry in entries:
        scores = scores_by_pair(view, entry, levels, rule)
        common = [pair for pair in pairs if pair in scores and pair in base]
        differences.append(tuple(scores[pair] - base[pair] for pair in common))
    tested = iter(sign_flip_family([each for each in differences if each]))
    p_values = [next(tested) if each else math.nan for each in differences]
    adjusted = iter(holm([p for p in p_values if not math.isnan(p)]))
    return tuple(
        Comparison(
            entry.label, reference.label, each, len(pairs), p, math.nan if math.isnan(p) else float(next(adjusted))
        )
        for entry, each, p in zip(entries, differences, p_values, strict=True)
    )


def against_supervised(view: View, level: float | None, rule: str = "last") -> Mapping[str, Comparison]:
    """Every other method against supervised at one level, by label; empty without one version of supervised."""
    reference = one_entry(view, REFERENCE)
    if reference is None:
        return {}
    others = [entry for entry in view.rows if entry.method != REFERENCE and at_level(entry, level)]
    return {found.label: found for found in compare(view, others, reference, (level,), rule)}


def predeclared(view: View, rule: str = "last") -> tuple[Comparison, ...]:
    """The pre-declared family: each paper's method against the two-network ensemble, blocked over the levels of all.

    Empty without one version of the ensemble, without any paper's method, or without a level that all have.
    """
    reference = one_entry(view, FAMILY_REFERENCE)
    found = [next((e for name in names if (e := one_entry(view, name))), None) for names in FAMILY]
    members = [entry for entry in found if entry is not None]
    if reference is None or not members:
        return ()
    levels = [level for level in view.levels if all(at_level(entry, level) for entry in (reference, *members))]
    return compare(view, members, reference, levels, rule) if levels else ()


def one_entry(view: View, method: str) -> Entry | None:
    """A method's row where it has records of exactly one version."""
    found = [entry for entry in view.rows if entry.method == method and entry.records]
    return found[0] if len(found) == 1 else None


def rank_methods(view: View, levels: Levels, rule: str = "last") -> Ranking:
    """Methods ranked by their scores at some levels; those that lack a pair there are left out."""
    pairs = _asked(view, levels)
    entries = [entry for entry in view.rows if any(at_level(entry, level) for level in levels)]
    by_level = {entry.label: [scores_by_pair(view, entry, (level,), rule) for level in levels] for entry in entries}
    labels = [label for label, found in by_level.items() if pairs and all(set(pairs) <= set(each) for each in found)]
    left_out = tuple(label for label in by_level if label not in labels)
    if not labels:
        return Ranking((), (), (), (), math.nan, len(pairs), left_out)
    # [levels, pairs, methods]
    scores = np.array([[[by_level[label][n][pair] for label in labels] for pair in pairs] for n in range(len(levels))])
    ranks = np.mean([ranks_of(level) for level in scores], axis=0).mean(axis=0)
    first = first_probability(scores.mean(axis=0), RESAMPLES, _SEED)
    order = sorted(range(len(labels)), key=lambda i: (ranks[i], labels[i]))
    mean_ranks = tuple(float(ranks[i]) for i in order)
    critical = critical_difference(len(labels), len(pairs)) if len(labels) > 1 else math.nan
    groups = cliques(mean_ranks, critical) if len(labels) > 1 else ((0,),)
    chances = tuple(float(first[i]) for i in order)
    return Ranking(tuple(labels[i] for i in order), mean_ranks, chances, groups, critical, len(pairs), left_out)


def scores_by_pair(view: View, entry: Entry, levels: Levels, rule: str) -> dict[Pair, float]:
    """A method's headline by pair, the mean over folds and levels; pairs it has not finished are not there."""

    def number(record: Record) -> float | None:
        score = record.scores.get(rule)
        return None if score is None else score.headline

    by_level = [view.paired(entry, level).by_pair(number) for level in levels]
    pairs = [pair for pair in (by_level[0] if by_level else {}) if all(pair in found for found in by_level)]
    return {pair: math.fsum(found[pair] for found in by_level) / len(by_level) for pair in pairs}


def power_words(comparisons: Sequence[Comparison]) -> str:
    """What a family of comparisons can show, in a sentence or two; empty without one that has a pair.

    The size of a difference it would find is reckoned with the median standard deviation of its differences.
    """
    made = [each for each in comparisons if each.differences]
    if not made:
        return ""
    pairs = min(len(each.differences) for each in made)
    words = f"Power: {what_the_design_can_show(pairs, len(made))}."
    effect = detectable_effect(pairs, len(made))
    deviations = [each.spread for each in made if not math.isnan(each.spread)]
    if math.isfinite(effect) and deviations:
        points = 100 * effect * float(np.median(deviations))
        words += (
            f" With the spread seen here a true difference of about {points:.1f} points is found four times in five; "
            "no significance does not mean no difference."
        )
    return words


def difference_cell(found: Comparison) -> Cell:
    """Points of difference with their spread: "+1.20 ± 0.40", with "(6/8)" where pairs are missing."""
    if not found.differences:
        return Cell(MISSING)
    mean, deviation, n = 100 * found.mean, 100 * found.spread, len(found.differences)
    text = f"{mean:+.2f}".replace("-", "−") + ("" if math.isnan(deviation) else f" ± {deviation:.2f}")
    status = f"{n}/{found.asked}" if n < found.asked else ""
    text += f" ({status})" if status else ""
    return Cell(text, mean, None if math.isnan(deviation) else deviation, n, found.asked, status)


def p_cell(p: float) -> Cell:
    """A p value: "0.008", or "<0.001"."""
    return Cell(MISSING) if math.isnan(p) else Cell("<0.001" if p < 0.001 else f"{p:.3f}", p)


def _asked(view: View, levels: Levels) -> tuple[Pair, ...]:
    """The pairs there should be at all of the levels."""
    first, *others = (view.pairs(level) for level in levels)
    return tuple(pair for pair in first if all(pair in each for each in others))
