"""The papers' claims held against records: a verdict for each place where one can be tried. Pure functions.

The claims of one statement on one protocol, tried at one setting, are one family: they were declared together before
anything was run, and Holm's correction runs over those of them that could be tested. A verdict is

    supported       the difference has the claim's sign at every level tried, adjusted p < .05, and its interval reaches
                    the size the words name; "comparable": the interval ends above -1 point
    direction only  adjusted p < .05 and the claim's sign, but not the size, or not at every level
    not separated   the design could have decided and did not; or the side ahead lost trials on the way
    contradicted    adjusted p < .05 and the other sign
    underpowered    so few pairs or subjects that no outcome could have been significant
    not run         no records, or no paired ones
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..protocols import catalog
from .cells import blocks, entries, folds_of, unique
from .claim_data import COMPARABLE, Claim, Level, Place, Side, claims
from .claim_tests import Sample, sample
from .records import Record
from .statistics import holm, pairs_needed
from .views import oracle_knowledge

VERDICTS = ("supported", "direction only", "not separated", "contradicted", "underpowered", "not run")

_SIGNIFICANT = 0.05
_MINUS = "−"
_SOURCES = ("real", "generated")
_PROFILES = ("paper", "small", "smoke")


@dataclass(frozen=True)
class Verdict:
    """What became of a claim on one protocol. Numbers are in points (percent), full precision.

    Attributes:
        claim: what was claimed.
        verdict: one of VERDICTS.
        words: the figures and what must be known to read them, in a sentence or two.
        protocol: the name of the protocol it was tried on, or could be.
        profile, source: of the records; "" when not run.
        left, right: means over pairs, folds and levels; right is None where there is no right side.
        difference: the contrast the claim is about, positive where it holds.
        low, high: its 95% interval, by itself; None where so few pairs give none.
        p: two-sided, Holm over the family; None when not run.
        pairs: (seed, draw) pairs.
        subjects: resampled, for AUs; else 0.
        family: comparisons that Holm's correction counts.
        stand_in: the protocol is not the claim's own.
        levels: noise levels that entered; (None,) where the noise has none.
        printed: the paper's own difference over these levels; None where it prints none, and on a stand-in.
        told: oracle knowledge of the sides, a clause each.
    """

    claim: Claim
    verdict: str
    words: str
    protocol: str
    profile: str = ""
    source: str = ""
    left: float | None = None
    right: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    pairs: int = 0
    subjects: int = 0
    family: int = 0
    stand_in: bool = False
    levels: tuple[Level, ...] = ()
    printed: float | None = None
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Setting:
    """Records of one protocol that may be compared, by method; of a method in several versions the one with most."""

    records: tuple[Record, ...]
    methods: Mapping[str, tuple[Record, ...]]
    several: frozenset[str]

    @property
    def identity(self) -> Mapping[str, Any]:
        return self.records[0].identity


@dataclass(frozen=True)
class _Trial:
    """A claim tried at a place: its sample at a setting, or why there is none."""

    claim: Claim
    place: Place
    setting: _Setting | None
    sample: Sample | str


def verdicts(records: Sequence[Record], chosen: Iterable[Claim] | None = None) -> list[Verdict]:
    """A verdict for every claim and each of the protocols it can be tried on, in the papers' order.

    Stand-ins that have no records are left out. Where a protocol has records of several settings, the one nearest the
    paper's counts: real faces before generated ones, whole data before partial ones, the larger profile first.

    Args:
        records: any; those of different comparability keys are never compared.
        chosen: claims; None: all.
    """
    settings = _settings(records)
    tried = [
        _try(claim, place, settings.get(place.protocol, ()))
        for claim in (claims() if chosen is None else chosen)
        for place in (claim.places[:1] if claim.unmeasured else claim.places)
    ]
    adjusted = _adjusted(tried)
    return [
        _verdict(trial, *adjusted.get(position, (1.0, 0)))
        for position, trial in enumerate(tried)
        if not (trial.place.stand_in and isinstance(trial.sample, str))
    ]


def _settings(records: Sequence[Record]) -> dict[str, tuple[_Setting, ...]]:
    """By protocol, records of one comparability key each, those nearest a paper's first."""
    by_protocol: dict[str, list[Record]] = {}
    for record in records:
        by_protocol.setdefault(record.identity["protocol"]["name"], []).append(record)
    return {
        protocol: tuple(sorted((_setting(block.records) for block in blocks(members, allow_mixed=True)), key=_distance))
        for protocol, members in by_protocol.items()
    }


def _setting(records: Sequence[Record]) -> _Setting:
    methods: dict[str, tuple[Record, ...]] = {}
    found = entries(records)
    for entry in found:
        if len(entry.records) > len(methods.get(entry.method, ())):
            methods[entry.method] = entry.records
    several = frozenset(entry.method for entry in found if entry.label != entry.method)
    return _Setting(tuple(records), methods, several)


def _distance(setting: _Setting) -> tuple[object, ...]:
    identity = setting.identity
    return (
        identity["recipe"] != "protocol",
        _rank(_SOURCES, identity["source"]),
        bool(identity["partial"]),
        _rank(_PROFILES, identity["profile"]),
        -len(setting.records),
    )


def _rank(order: Sequence[str], name: str) -> int:
    return order.index(name) if name in order else len(order)


def _try(claim: Claim, place: Place, settings: Sequence[_Setting]) -> _Trial:
    """The sample at the nearest setting that has one."""
    if claim.unmeasured:
        return _Trial(claim, place, None, "the others are only reported: this harness does not have them")
    reason = f"no records of {place.protocol}"
    for setting in settings:
        found = _sample(claim, place, setting)
        if not isinstance(found, str):
            return _Trial(claim, place, setting, found)
        at = f", at noise {noise_words(place.levels)}" if place.levels != (None,) else ""
        reason = f"{found} on {_tried_on(place, setting)}{at}"
    return _Trial(claim, place, None, reason)


def _sample(claim: Claim, place: Place, setting: _Setting) -> Sample | str:
    left, right = place.there(claim.left), None if claim.right is None else place.there(claim.right)
    folds = catalog.PROTOCOLS[place.protocol].folds if place.protocol in catalog.PROTOCOLS else ()
    both = (_by_level(setting, left, place), {} if right is None else _by_level(setting, right, place))
    return sample(claim.relation, left, right, both, folds or folds_of(setting.records))


def _by_level(setting: _Setting, side: Side, place: Place) -> dict[Level, list[Record]]:
    found: dict[Level, list[Record]] = {}
    for record in setting.methods.get(side.method, ()):
        if record.level in place.levels:
            found.setdefault(record.level, []).append(record)
    return found


def _adjusted(tried: Sequence[_Trial]) -> dict[int, tuple[float, int]]:
    """By position, the p adjusted over its family and the family's size."""
    families: dict[tuple[object, ...], list[int]] = {}
    for position, trial in enumerate(tried):
        if not isinstance(trial.sample, str):
            key = (trial.claim.paper, trial.claim.statement, trial.place, id(trial.setting))
            families.setdefault(key, []).append(position)
    result: dict[int, tuple[float, int]] = {}
    for members in families.values():
        values = [one.p for position in members if isinstance(one := tried[position].sample, Sample)]
        result.update((at, (float(p), len(members))) for at, p in zip(members, holm(values), strict=True))
    return result


# --- the verdict


def _verdict(trial: _Trial, p: float, family: int) -> Verdict:
    claim, place, found = trial.claim, trial.place, trial.sample
    if isinstance(found, str) or trial.setting is None:
        return Verdict(claim, "not run", f"Not run: {found}.", place.protocol, stand_in=place.stand_in)
    printed = None if place.stand_in else claim.printed_difference(place.protocol, found.levels)
    least = claim.at_least.get(place.protocol, min(claim.at_least.values(), default=0.0))
    name, because = _judged(claim.relation, least, found, p, family)
    told = _told(trial.setting, trial)
    parts = [_figures(found, p, family), because, *_circumstances(trial.setting, trial, found), *told]
    return Verdict(
        claim=claim,
        verdict=name,
        words="; ".join(part for part in parts if part) + ".",
        protocol=place.protocol,
        profile=trial.setting.identity["profile"],
        source=trial.setting.identity["source"],
        left=found.left,
        right=found.right,
        difference=found.difference,
        low=found.low,
        high=found.high,
        p=p,
        pairs=found.pairs,
        subjects=found.subjects,
        family=family,
        stand_in=place.stand_in,
        levels=found.levels,
        printed=printed,
        told=told,
    )


def _judged(relation: str, least: float, found: Sample, p: float, family: int) -> tuple[str, str]:
    """The verdict, and what it rests on where the figures do not say it."""
    ahead = found.difference > 0
    short = _too_small(found, family)
    alike = relation == ">=" and found.low is not None and found.low > -COMPARABLE
    if alike and not found.lost_left and not (short and found.subjects):
        return "supported", f"the interval ends above {_MINUS}{COMPARABLE:g} point, which counts as comparable"
    if short:
        return "underpowered", short
    if p >= _SIGNIFICANT:
        return "not separated", ""
    if lost := found.lost_left if ahead else found.lost_right:
        return "not separated", f"the side ahead lost trials ({lost}), so that its mean is one over survivors"
    if not ahead:
        return "contradicted", ""
    against = [level for level, difference in found.by_level.items() if difference <= 0]
    if against:
        return "direction only", f"not so at noise {', '.join(f'{level:g}' for level in against if level is not None)}"
    if found.high is not None and found.high < least:
        return "direction only", f"the interval ends below the {least:g} points of the paper's words"
    return "supported", ""


def _too_small(found: Sample, family: int) -> str:
    """Why no outcome could have been significant; empty when one could."""
    needed = pairs_needed(family)
    together = f"for {family} comparisons together" if family > 1 else "for one comparison"
    if not found.subjects:
        return f"{needed} pairs are needed {together}" if found.pairs < needed else ""
    if found.pairs < 2:
        return "one training of each says nothing of another: two pairs are needed"
    return f"{needed} subjects are needed {together}" if found.subjects < needed else ""


# --- words


def _figures(found: Sample, p: float, family: int) -> str:
    sides = f"{found.left:.2f}" if found.right is None else f"{found.left:.2f} against {found.right:.2f}"
    interval = (
        "no 95% interval" if found.low is None or found.high is None else f"[{points(found.low)}, {points(found.high)}]"
    )
    over = f"p = {p:.3f}" + (f" (Holm over {family})" if family > 1 else "")
    sample_of = f"{found.pairs} pair{'s' * (found.pairs != 1)}"
    sample_of += f", {found.subjects} subjects resampled" if found.subjects else ""
    return f"{sides}: {points(found.difference)} {interval}, {over}, {sample_of}"


def _circumstances(setting: _Setting, trial: _Trial, found: Sample) -> list[str]:
    """Where it was tried, and what must be known about its trials."""
    claim, place = trial.claim, trial.place
    parts = [f"tried on {_tried_on(place, setting)}"]
    if place.stand_in:
        parts[0] += f", a stand-in for {', '.join(_own(own, place) for own in claim.places if not own.stand_in)}"
    if place.levels != (None,):
        asked = f", of {noise_words(place.levels)}" if found.levels != place.levels else ""
        parts.append(f"noise {noise_words(found.levels)}{asked}")
    for side, lost in ((claim.left, found.lost_left), (claim.right, found.lost_right)):
        if side is not None and lost:
            parts.append(f"trials of {place.there(side).method} that diverged or failed: {lost}")
    several = [method for method in _methods(trial) if method in setting.several]
    return [*parts, *(f"of several versions of {method}, the one with most trials" for method in several)]


def _own(own: Place, stand_in: Place) -> str:
    """A claim's own protocol, with its noise where the stand-in has other noise alone."""
    return f"{own.protocol} at noise {noise_words(own.levels)}" if own.protocol == stand_in.protocol else own.protocol


def _told(setting: _Setting, trial: _Trial) -> tuple[str, ...]:
    """What no one has outside an experiment and a side's trials had, a clause each."""
    known = {method: ", ".join(oracle_knowledge(setting.methods[method])) for method in _methods(trial)}
    return tuple(f"{method} is told: {what.replace('_', ' ')}" for method, what in known.items() if what)


def _methods(trial: _Trial) -> tuple[str, ...]:
    sides = (trial.claim.left, trial.claim.right)
    return unique([trial.place.there(side).method for side in sides if side is not None])


def _tried_on(place: Place, setting: _Setting) -> str:
    identity = setting.identity
    parts = [place.protocol, f"{identity['profile']} profile", f"{identity['source']} faces"]
    parts += ["partial data"] if identity["partial"] else []
    parts += [f"{identity['recipe']} recipe"] if identity["recipe"] != "protocol" else []
    return ", ".join(parts)


def noise_words(levels: Sequence[Level]) -> str:
    """Noise levels as they are printed; "" for a noise without levels."""
    return ", ".join(f"{level:g}" for level in levels if level is not None)


def points(value: float) -> str:
    """A difference in points, signed: "+1.30", "−0.42"."""
    return f"{value:+.2f}".replace("-", _MINUS)
