"""What claims are tested on: the comparable records of a protocol, and their means, each computed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ...protocols import catalog
from ...protocols.base import PROFILES
from ..analysis.grouping import Fold, Pair, Paired, blocks, entries, folds_of, grouped, most_tried, pair_up, pairs_of
from ..analysis.view import known_folds, oracle_knowledge
from ..records.record import Record
from ..records.schema import PAPERS_SETTING, Identity
from . import measures
from .claim import Claim, Level, Place, Side

_SOURCES = ("real", "generated")
_RATE = "noise_rate"


@dataclass(frozen=True)
class Setting:
    """Comparable records of one protocol; means are cached in the object.

    Attributes:
        records: of one comparability key.
        methods: the records used of each method; of several versions of a method, the one with the most trials.
        several: methods with several versions.
        folds: those a pair needs.
    """

    records: tuple[Record, ...]
    methods: Mapping[str, tuple[Record, ...]]
    several: frozenset[str]
    folds: tuple[Fold, ...]
    _paired: dict[tuple[str, Level], Paired] = field(default_factory=dict, compare=False, repr=False)
    _values: dict[tuple[Side, Level], Mapping[Pair, float]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def identity(self) -> Identity:
        """The identity of the first trial; all trials agree in what makes them comparable."""
        return self.records[0].identity

    @property
    def is_the_papers(self) -> bool:
        """Whether trials ran as the protocol's papers did: paper profile, real faces, all data, its recipe and weights.

        Trials that do not say which initial weights they had are taken to have had the recipe's.
        """
        identity, protocol = self.identity, catalog.PROTOCOLS.get(self.records[0].protocol)
        weights = {"", identity.settings.weights if protocol is None else protocol.paper.recipe.weights}
        return identity.setting == PAPERS_SETTING and identity.settings.weights in weights

    @cached_property
    def _by_level(self) -> Mapping[tuple[str, Level], tuple[Record, ...]]:
        counted = [record for records in self.methods.values() for record in records]
        found = grouped(counted, lambda record: (record.method, record.level))
        return {place: tuple(records) for place, records in found.items()}

    def trials(self, method: str, level: Level) -> tuple[Record, ...]:
        """The trials of a method at a noise level, in any state."""
        return self._by_level.get((method, level), ())

    def paired(self, method: str, level: Level) -> Paired:
        """Those trials by (seed, draw) pair."""
        key = method, level
        if key not in self._paired:
            records = self.trials(method, level)
            self._paired[key] = pair_up(records, pairs_of(records), self.folds)
        return self._paired[key]

    def values(self, side: Side, level: Level) -> Mapping[Pair, float]:
        """The measure of each pair that has all its folds, the mean over them, in [0, 1]."""
        key = side, level
        if key not in self._values:
            paired = self.paired(side.method, level)
            self._values[key] = paired.by_pair(lambda record: measures.number(record, side.measure))
        return self._values[key]

    def lost(self, method: str, level: Level) -> int:
        """Trials of a method at a noise level that diverged or failed."""
        return sum(record.lost for record in self.trials(method, level))

    def lacking(self, side: Side, level: Level, asked: Sequence[Pair]) -> str:
        """Which pairs have no measure at a level: "1 of 8 diverged, 2 of 8 not run"; "" where all have one."""
        paired = pair_up(self.trials(side.method, level), asked, self.folds)
        states = Counter(paired.lacking)
        states[f"without {side.measure}"] = sum(pair not in self.values(side, level) for pair in paired.pairs)
        return ", ".join(f"{count} of {len(asked)} {state}" for state, count in states.items() if count)


def settings_of(records: Sequence[Record]) -> dict[str, tuple[Setting, ...]]:
    """By protocol, its settings, the one nearest to a paper's first.

    Real faces come before generated ones, whole data before partial ones, the larger profile first.
    """
    return {
        protocol: tuple(sorted((setting(block.records) for block in blocks(members, allow_mixed=True)), key=_distance))
        for protocol, members in grouped(records, lambda record: record.protocol).items()
    }


def setting(records: Sequence[Record]) -> Setting:
    """The setting of records of one comparability key, at least one."""
    found = entries(records)
    methods = {method: entry.records for method, entry in most_tried(found).items()}
    several = frozenset(entry.method for entry in found if entry.label != entry.method)
    return Setting(tuple(records), methods, several, known_folds(records[0].protocol) or folds_of(records))


def _distance(found: Setting) -> tuple[object, ...]:
    return (*_kind(found), -len(found.records))


def _kind(found: Setting) -> tuple[object, ...]:
    identity = found.identity
    return (
        identity.recipe != "protocol",
        _SOURCES.index(identity.source),
        identity.partial,
        PROFILES.index(identity.profile),
    )


@dataclass(frozen=True)
class Spot:
    """A place with the records it is tested on: one setting, or for GAINS two alike in profile, faces and recipe.

    Attributes:
        place: the protocol, or two.
        own: the setting of the place's protocol.
        where: by requested noise level, the setting that holds its records.
    """

    place: Place
    own: Setting
    where: Mapping[Level, Setting]

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings without repetition."""
        return tuple({id(each): each for each in (self.own, *self.where.values())}.values())

    @property
    def is_the_papers(self) -> bool:
        """Whether this is the claim's own protocol, run as the papers ran it."""
        return not self.place.stand_in and all(each.is_the_papers for each in self.settings)

    @property
    def words(self) -> str:
        """Such as "fer2013-real, small profile, real faces"."""
        return ", ".join((self.place.words, *self.own.identity.setting.words))

    def ships(self, method: str) -> bool:
        """Whether any of a method's trials here is marked as shipped."""
        return any(record.shipped for each in self.settings for record in each.methods.get(method, ()))

    def oracle_knowledge(self, method: str) -> tuple[str, ...]:
        """The oracle knowledge of a method's trials here (see `oracle_knowledge`), by name."""
        return oracle_knowledge([record for each in self.settings for record in each.methods.get(method, ())])


def spots(place: Place, settings: Mapping[str, Sequence[Setting]]) -> Iterator[Spot]:
    """Where a place can be tested, the nearest first; for GAINS two settings alike in profile, faces and recipe."""
    for own in settings.get(place.protocol, ()):
        others = [each for each in settings.get(place.beside, ()) if _kind(each) == _kind(own)]
        if place.beside and not others:
            continue
        yield Spot(
            place, own, {level: own if place.at(level) == place.protocol else others[0] for level in place.levels}
        )


def uses_true_rate(claim: Claim, spot: Spot) -> str:
    """Why a claim about an unknown noise rate cannot be tested here: a method uses the true rate; "" where it can."""
    for side in (claim.left, claim.right) if claim.unknown_rate else ():
        if side is None:
            continue
        base = side.method.partition(":")[0]
        if _RATE in spot.oracle_knowledge(side.method):
            return f"{side.method} uses the true noise rate, and the claim is about an unknown one"
        if side.method not in spot.own.methods and _RATE in spot.oracle_knowledge(base):
            why = f"{base}, which was, uses the true noise rate, and the claim is about an unknown one"
            return f"{side.method} was not run; {why}"
    return ""
