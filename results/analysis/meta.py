"""Methods compared over several protocols: the mean difference of each two methods, and the evidence combined.

Of two methods, the effect on a protocol is the mean paired difference, averaged over its noise levels; the mean effect
is the plain mean over the protocols that both have. Evidence: each protocol's two-sided p becomes a z score with the
sign of the difference, and the z scores of independent protocols are added and divided by the square root of their
number (Stouffer et al., "The American soldier", vol. 1, 1949). Protocols that share faces are not independent: their
mean z counts as one score, whose variance is at most 1 however they are correlated, so that the combined p is never too
small (Strube, "Combining and comparing significance levels from nonindependent hypothesis tests", Psychological
Bulletin, 1985, has the variance of such sums). A random-effects mean is not offered: a variance between protocols
cannot be estimated from two or three of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from types import MappingProxyType

from ...protocols import catalog
from ..records.record import Record
from ..records.schema import Setting
from ..statistics import SIGNIFICANT, holm, minimum_p
from .comparisons import LEAST_PAIRS, Comparison, compare_cells
from .grouping import Entry, grouped, most_tried, unique
from .view import Expected, Rows, View, at_level, known_folds, views_of

_NORMAL = NormalDist()
_SMALLEST_P = 1e-12  # so that a z score is finite


@dataclass(frozen=True)
class Effect:
    """The difference of two methods on one protocol.

    Attributes:
        protocol: its key, as "ferplus-sym@1".
        difference: mean over pairs, as a share in [-1, 1].
        pairs: (seed, draw) pairs that both have.
        p: two-sided, not corrected: by subjects for AUs, else of the sign-flip test.
        least: the smallest p that the sign-flip test can have with so many pairs; 0 by subjects, where none is known.
    """

    protocol: str
    difference: float
    pairs: int
    p: float
    least: float = 0.0


@dataclass(frozen=True)
class Combined:
    """The effects of one method against another over protocols.

    Attributes:
        effects: at least one.
        mean: of the effects, as a share in [-1, 1].
        z: combined, positive where the method is ahead.
        p: two-sided, of z.
        adjusted: p corrected by Holm's method over all pairs of methods.
        least: the smallest p that these pairs allow, not corrected; 0 where it is not known.
    """

    effects: tuple[Effect, ...]
    mean: float
    z: float
    p: float
    adjusted: float = math.nan
    least: float = 0.0

    @property
    def ahead(self) -> int:
        """Protocols on which the method is ahead."""
        return sum(each.difference > 0 for each in self.effects)

    @property
    def mark(self) -> str:
        """ "**": significant after Holm's correction over all pairs of methods; "*": if this were the only pair."""
        return "**" if self.adjusted < SIGNIFICANT else "*" if self.p < SIGNIFICANT else ""


@dataclass(frozen=True)
class Meta:
    """All methods of one setting and metric against each other.

    Attributes:
        setting: profile, source of the faces and so on; the same for all protocols.
        metric: "accuracy" or "F1".
        groups: the protocols, those that share faces together.
        methods: highest mean difference from the others first.
        labels: by method, what it is called.
        combined: by (method, rival); absent where no protocol has both.
        left_out: protocols without two methods that share two (seed, draw) pairs.
        alone: by method without two pairs that another one shares on any protocol, the most pairs it has on one.
        apart: methods that are not compared, since they learn from several annotators' labels of each face.
    """

    setting: Setting
    metric: str
    groups: tuple[tuple[str, ...], ...]
    methods: tuple[str, ...]
    labels: Mapping[str, str]
    combined: Mapping[tuple[str, str], Combined]
    left_out: tuple[str, ...] = ()
    alone: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    apart: tuple[str, ...] = ()

    @property
    def least(self) -> float:
        """The smallest p that a pair of methods could have after Holm's correction."""
        family = len(self.combined) // 2  # each pair is there from both sides
        return min(1.0, family * min(each.least for each in self.combined.values()))


def metas(records: Sequence[Record], rows: Rows | None = None) -> tuple[Meta, ...]:
    """A comparison over protocols for each setting and metric in which two methods can be compared.

    Of several comparability keys of a protocol in a setting, that with the most trials counts.

    Args:
        records: of any protocols.
        rows: what methods are called.
    """
    views: list[View] = []
    for mine in grouped(records, lambda record: record.identity.protocol.key).values():
        expected = Expected(folds=known_folds(mine[0].protocol), rows=rows or Rows())
        views += views_of(mine, expected, allow_mixed=True)
    kinds = grouped(views, lambda view: (view.identity.setting, view.metric_words))
    found = [_meta(setting, metric, mine, rows or Rows()) for (setting, metric), mine in kinds.items()]
    return tuple(sorted((each for each in found if each.combined), key=lambda each: each.setting.source != "real"))


def _meta(setting: Setting, metric: str, views: Sequence[View], rows: Rows) -> Meta:
    by_key = grouped(views, lambda view: view.identity.protocol.key)
    chosen = {key: max(mine, key=lambda view: len(view.block.records)) for key, mine in by_key.items()}
    effects: dict[tuple[str, str], list[Effect]] = {}
    for key, view in chosen.items():
        for pair, effect in effects_of(key, view).items():
            effects.setdefault(pair, []).append(effect)
    used = unique([each.protocol for mine in effects.values() for each in mine])
    groups = groups_of({key: _data(key, setting) for key in used})
    combined = _corrected({pair: combine(mine, groups) for pair, mine in effects.items()})
    combined |= {(rival, method): _mirrored(each) for (method, rival), each in combined.items()}
    methods = in_order(combined)
    alone = {name: count for name, count in _most_pairs(chosen.values()).items() if name not in methods}
    apart = unique([entry.method for view in chosen.values() for entry in view.apart_rows])
    labels = {method: rows.labels.get(method, method) for method in (*methods, *alone, *apart)}
    left_out = tuple(key for key in chosen if key not in used)
    return Meta(setting, metric, groups, methods, labels, combined, left_out, alone, apart)


def _most_pairs(views: Iterable[View]) -> dict[str, int]:
    """By method, the most finished (seed, draw) pairs that it has at a noise level of a protocol."""
    counts: dict[str, int] = {}
    for view in views:
        for method, entry in most_tried(view.ranked_rows).items():
            pairs = [
                view.summary(entry, level, lambda record: record.headline("last")).complete for level in view.levels
            ]
            counts[method] = max(counts.get(method, 0), *pairs)
    return counts


def _last(record: Record) -> float | None:
    return record.headline("last")


def effects_of(key: str, view: View) -> dict[tuple[str, str], Effect]:
    """The effect of each two methods of a protocol, once for each two; those with fewer than two pairs are left out.

    So are methods that stand apart.
    Of several versions of a method that with the most trials counts.
    """
    entries = list(most_tried(view.ranked_rows).values())
    found = {}
    for place, reference in enumerate(entries):
        members = [(each, _common_levels(view, each, reference)) for each in entries[place + 1 :]]
        members = [(each, levels) for each, levels in members if levels]
        for (entry, _), made in zip(members, compare_cells(view, members, reference), strict=True):
            if len(made.differences) >= LEAST_PAIRS:
                pairs = len(made.differences)
                least = minimum_p(pairs) if made.by_subject is None else 0.0
                effect = Effect(key, made.mean, pairs, _uncorrected(made), least)
                found[entry.method, reference.method] = effect
    return found


def _common_levels(view: View, one: Entry, other: Entry) -> list[float | None]:
    return [level for level in view.levels if at_level(one, level) and at_level(other, level)]


def _uncorrected(made: Comparison) -> float:
    return made.p if made.by_subject is None else made.by_subject.p


def _data(key: str, setting: Setting) -> Collection[str]:
    """The data sets of a protocol; all generated faces come from one generator."""
    if setting.source != "real":
        return (setting.source,)
    known = catalog.PROTOCOLS.get(key.rpartition("@")[0])
    return known.data if known and known.data else (key,)


def groups_of(data: Mapping[str, Collection[str]]) -> tuple[tuple[str, ...], ...]:
    """Protocols that share a data set, directly or through others, together.

    Args:
        data: by protocol, its data sets.
    """
    groups: list[list[str]] = []
    for key, own in data.items():
        near = [group for group in groups if any(set(own) & set(data[other]) for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append([*itertools.chain.from_iterable(near), key])
    return tuple(tuple(group) for group in groups)


def combine(effects: Sequence[Effect], groups: Sequence[Collection[str]]) -> Combined:
    """The mean of some effects and their combined evidence.

    Args:
        effects: at least one, of one protocol each.
        groups: protocols that are not independent, together; every protocol is in one group.
    """
    z = _combined_z(effects, groups)
    mean = math.fsum(each.difference for each in effects) / len(effects)
    won = [replace(each, difference=1.0, p=each.least) for each in effects]  # as if it were ahead in every pair
    least = two_sided(_combined_z(won, groups)) if all(each.least for each in effects) else 0.0
    return Combined(tuple(effects), mean, z, two_sided(z), least=least)


def _combined_z(effects: Sequence[Effect], groups: Sequence[Collection[str]]) -> float:
    scores = [[signed_z(each.difference, each.p) for each in effects if each.protocol in group] for group in groups]
    return stouffer([math.fsum(mine) / len(mine) for mine in scores if mine])


def signed_z(difference: float, p: float) -> float:
    """The standard normal score of a two-sided p, with the sign of the difference; 0 for p = 1.

    Args:
        difference: its sign counts.
        p: in (0, 1].
    """
    if not 0 < p <= 1:
        raise ValueError("p must be in (0, 1]")
    return math.copysign(-_NORMAL.inv_cdf(max(p, _SMALLEST_P) / 2), difference) if p < 1 else 0.0


def stouffer(scores: Sequence[float]) -> float:
    """The combined score of independent z scores: their sum divided by the square root of their number."""
    if not scores:
        raise ValueError("there are no scores to combine")
    return math.fsum(scores) / math.sqrt(len(scores))


def two_sided(z: float) -> float:
    """The two-sided p of a standard normal score."""
    return math.erfc(abs(z) / math.sqrt(2))


def _corrected(combined: Mapping[tuple[str, str], Combined]) -> dict[tuple[str, str], Combined]:
    adjusted = holm([each.p for each in combined.values()])
    return {pair: replace(each, adjusted=float(p)) for (pair, each), p in zip(combined.items(), adjusted, strict=True)}


def _mirrored(combined: Combined) -> Combined:
    """The same, seen from the rival."""
    effects = tuple(replace(each, difference=-each.difference) for each in combined.effects)
    return replace(combined, effects=effects, mean=-combined.mean, z=-combined.z)


def in_order(combined: Mapping[tuple[str, str], Combined]) -> tuple[str, ...]:
    """The methods by their mean difference from the others, highest first."""
    means = {
        method: math.fsum(each.mean for each in mine) / len(mine)
        for method in unique([method for method, _ in combined])
        if (mine := [each for (left, _), each in combined.items() if left == method])
    }
    return tuple(sorted(means, key=lambda method: (-means[method], method)))
