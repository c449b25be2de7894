"""The papers' claims tested on records: a verdict for each place where one can be tested. Pure functions.

The claims of one statement on one protocol, tested at one setting, are one family, declared before anything was run;
Holm's correction is over those of them that could be tested. A verdict is

    supported       the difference has the claim's sign at every level tested, adjusted p < .05, and it is not below
                    the size that the paper states
    contradicted    adjusted p < .05 with the opposite sign
    held here       the same as supported, but not under the paper's own conditions
    reversed here   the same as contradicted, but not under the paper's own conditions
    direction only  significant with the claim's sign, but too small, not at every level, or with a level missing
    not separated   adjusted p >= .05; or diverged or failed trials may explain the difference
    underpowered    too few pairs or subjects for any outcome to be significant
    not run         no records or no common pairs; or a method uses the true noise rate that the claim calls unknown

The paper's own conditions: its own protocol, no stand-in, at the paper profile, on real faces, with all data, the
protocol's recipe and initial weights.

"Comparable" (>=): the test and the sign refer to −1 point instead of 0.

The size: "around 5.5%" or "a significant improvement of 2.9%" are taken as lower bounds. A measured difference below,
by however little and whatever its interval, is at most "direction only".

A missing level: if a noise level of the claim was run but is left out because trials diverged, failed or are not run,
the verdict is never "supported" or "held here". A level that was not run at all is named; it counts as missing only
where the claim is about all levels.

Lost trials: those that diverged or failed, at any level of the claim. A mean score over the others is too high, if
anything, so a method with lost trials can lose a comparison but not win it. Between levels, or for another measure
than a score, lost trials of either side make it "not separated".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..records.record import Record
from ..statistics import holm, minimum_p, pairs_needed
from .claim import Claim, Level, Place, claims
from .measures import inflated_by_lost_trials
from .settings import Setting, Spot, settings_of, spots, uses_true_rate
from .significance import Missing, Sample, measured, with_significance
from .wording import figures, noise_words

ELSEWHERE = {"supported": "held here", "contradicted": "reversed here"}
"""What these verdicts are called where a claim was not tested under its paper's own conditions."""

VERDICTS = (*ELSEWHERE, *ELSEWHERE.values(), "direction only", "not separated", "underpowered", "not run")

_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Verdict:
    """The outcome of testing a claim on one protocol. Numbers are in points (percent), full precision.

    Attributes:
        claim: what was claimed.
        verdict: one of VERDICTS.
        words: the numbers and what is needed to interpret them, in a sentence or two.
        protocol: the name of the protocol it was, or could be, tested on.
        beside: the protocol with synthetic noise, where the claim compares the two; else "".
        because: the reason for the verdict where the numbers do not give it, a clause; else "".
        profile, source: of the records; "" when not run.
        left, right: means over pairs, folds and levels; right is None where there is no right side.
        difference: the contrast the claim is about, positive where it holds.
        low, high: its 95% interval, by itself; None where so few pairs give none.
        p: two-sided, Holm over the family; None when not run.
        pairs: (seed, draw) pairs.
        subjects: resampled, for AUs; else 0.
        family: comparisons that Holm's correction counts.
        stand_in: the protocol is not the claim's own.
        own_conditions: it was tested under the paper's own conditions.
        levels: noise levels that entered; (None,) where the noise has none.
        missing: noise levels that the claim asks for and that did not enter.
        printed: the paper's own difference over these levels; None where it prints none, and on a stand-in.
        oracle_knowledge: what the sides use, a clause each.
        shipped: the methods of the sides with trials that are marked as shipped.
    """

    claim: Claim
    verdict: str
    words: str
    protocol: str
    beside: str = ""
    because: str = ""
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
    own_conditions: bool = False
    levels: tuple[Level, ...] = ()
    missing: tuple[Missing, ...] = ()
    printed: float | None = None
    oracle_knowledge: tuple[str, ...] = ()
    shipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Trial:
    """A claim at a place: its records and sample, or the reason for none.

    `refused`: records exist but do not qualify. `passed_over`: settings nearer to the paper's, with too few pairs.
    """

    claim: Claim
    place: Place
    spot: Spot | None = None
    sample: Sample | None = None
    reason: str = ""
    refused: bool = False
    passed_over: tuple[str, ...] = ()


class _Adjusted(NamedTuple):
    """Holm's p in the family, the size of the family, and the smallest p that Holm's correction could give."""

    p: float = 1.0
    family: int = 0
    least: float = 1.0


def verdicts(records: Sequence[Record], chosen: Iterable[Claim] | None = None) -> list[Verdict]:
    """A verdict for every claim and each of the protocols it can be tested on, in the papers' order.

    Stand-ins that have no records are left out, unless a claim has nothing else. Where a protocol has records of
    several settings, the one nearest the paper's counts of those with pairs enough for a decision: real faces before
    generated ones, whole data before partial ones, the larger profile first.

    Args:
        records: any; those of different comparability keys are never compared.
        chosen: claims; None: all.
    """
    settings = settings_of(records)
    tried = _tested(
        [
            _try(claim, place, settings)
            for claim in (claims() if chosen is None else chosen)
            for place in (claim.places[:1] if claim.unmeasured else claim.places)
        ]
    )
    adjusted = _adjusted(tried)
    return [
        _verdict(trial, adjusted.get(position, _Adjusted()))
        for position, trial in enumerate(tried)
        if not trial.place.stand_in or trial.sample is not None or trial.refused or _is_only_place(trial)
    ]


def _is_only_place(trial: _Trial) -> bool:
    """Whether this is the first place of a claim that has stand-ins alone: a verdict must say it was not run."""
    return trial.place == trial.claim.places[0] and all(place.stand_in for place in trial.claim.places)


def _try(claim: Claim, place: Place, settings: Mapping[str, Sequence[Setting]]) -> _Trial:
    """The sample at the nearest setting where it can decide, or else that has one; else why the nearest has none."""
    if claim.unmeasured:
        return _Trial(claim, place, reason="the compared methods are only reported, not implemented here")
    reasons, refused = [], False
    undecided: list[tuple[Spot, Sample]] = []
    for spot in spots(place, settings):
        rate_known = uses_true_rate(claim, spot)
        found = rate_known or measured(claim.relation, claim.left, claim.right, spot.where)
        if not isinstance(found, str):
            if _could_decide(found):
                return _Trial(claim, place, spot, found, passed_over=tuple(_few(*each) for each in undecided))
            undecided.append((spot, found))
            continue
        at = f", at noise {noise_words(place.levels)}" if place.levels != (None,) else ""
        reasons.append(f"{found} (on {spot.words})" if rate_known else f"{found} on {spot.words}{at}")
        refused |= bool(rate_known)
    if undecided:
        return _Trial(claim, place, *undecided[0])
    return _Trial(claim, place, reason=reasons[0] if reasons else _no_records(place, settings), refused=refused)


def _could_decide(found: Sample) -> bool:
    """Whether some outcome would be significant, were it the only comparison."""
    return not _too_small(found, _Adjusted(family=1, least=minimum_p(found.subjects or found.pairs)))


def _few(spot: Spot, found: Sample) -> str:
    """Why a setting nearer to the paper's is passed over."""
    return f"{spot.words} has {found.pairs} pair{'s' * (found.pairs != 1)} only, too few to decide"


def _no_records(place: Place, settings: Mapping[str, Sequence[Setting]]) -> str:
    lacking = [protocol for protocol in (place.protocol, place.beside) if protocol and protocol not in settings]
    return f"no records of {' and '.join(lacking)}" if lacking else f"no records of {place.words} at one setting"


def _tested(tried: Sequence[_Trial]) -> list[_Trial]:
    """The trials with their samples tested, all together."""
    samples = iter(with_significance([trial.sample for trial in tried if trial.sample is not None]))
    return [trial if trial.sample is None else replace(trial, sample=next(samples)) for trial in tried]


def _adjusted(tried: Sequence[_Trial]) -> dict[int, _Adjusted]:
    """By position, the p values after Holm's correction within each family."""
    families: dict[tuple[object, ...], dict[int, Sample]] = {}
    for position, trial in enumerate(tried):
        if trial.sample is not None and trial.spot is not None:
            key = (trial.claim.paper, trial.claim.statement, trial.place, *map(id, trial.spot.settings))
            families.setdefault(key, {})[position] = trial.sample
    result: dict[int, _Adjusted] = {}
    for members in families.values():
        values = holm([sample.p for sample in members.values()])
        least = holm([minimum_p(sample.subjects or sample.pairs) for sample in members.values()])
        found = (_Adjusted(float(p), len(members), float(best)) for p, best in zip(values, least, strict=True))
        result.update(zip(members, found, strict=True))
    return result


# --- the verdict


def _verdict(trial: _Trial, adjusted: _Adjusted) -> Verdict:
    claim, place, spot, found = trial.claim, trial.place, trial.spot, trial.sample
    if found is None or spot is None:
        words = f"Not run: {trial.reason}."
        return Verdict(claim, "not run", words, place.protocol, beside=place.beside, stand_in=place.stand_in)
    name, because = _judged(claim, place, found, adjusted)
    own = spot.is_the_papers
    known = _oracle_clauses(spot, claim)
    parts = [
        figures(found, adjusted.p, adjusted.family),
        because,
        *_circumstances(spot, claim, found),
        *trial.passed_over,
        *known,
    ]
    return Verdict(
        claim=claim,
        verdict=name if own else ELSEWHERE.get(name, name),
        words="; ".join(part for part in parts if part) + ".",
        protocol=place.protocol,
        beside=place.beside,
        because=because,
        profile=spot.own.identity.profile,
        source=spot.own.identity.source,
        left=found.left,
        right=found.right,
        difference=found.difference,
        low=found.low,
        high=found.high,
        p=adjusted.p,
        pairs=found.pairs,
        subjects=found.subjects,
        family=adjusted.family,
        stand_in=place.stand_in,
        own_conditions=own,
        levels=found.levels,
        missing=found.missing,
        printed=None if place.stand_in else claim.printed_difference(place.protocol, found.levels),
        oracle_knowledge=known,
        shipped=tuple(method for method in claim.methods if spot.ships(method)),
    )


def _judged(claim: Claim, place: Place, found: Sample, adjusted: _Adjusted) -> tuple[str, str]:
    """The verdict as under the paper's own conditions, and its reason where the numbers do not give it."""
    ahead = found.difference > -claim.margin
    if short := _too_small(found, adjusted):
        return "underpowered", short
    if adjusted.p >= _SIGNIFICANT:
        return "not separated", ""
    lost, whose = _lost(claim, found, ahead)
    if lost:
        return "not separated", f"trials of {whose} diverged or failed ({lost}): means are over finished trials only"
    if not ahead:
        return "contradicted", ""
    if short_of := _short_of(claim, place, found):
        return "direction only", "; ".join(short_of)
    return "supported", ""


def _lost(claim: Claim, found: Sample, left: bool) -> tuple[int, str]:
    """How many lost trials may explain the outcome, and of which side.

    For scores at the same levels only the better side counts: lost trials can only raise a mean score, and with it the
    other side's. Elsewhere those of either side count.
    """
    sides = [side for side in (claim.left, claim.right) if side is not None]
    if "noise" not in claim.relation and all(inflated_by_lost_trials(side.measure) for side in sides):
        return (found.lost_left if left else found.lost_right), f"{sides[0 if left else 1].method}, the better side,"
    together = len(claim.methods) > 1
    return found.lost_left + found.lost_right * together, "the two sides" if together else claim.methods[0]


def _short_of(claim: Claim, place: Place, found: Sample) -> list[str]:
    """Why a significant difference of the claim's sign is not enough for "supported", a clause each."""
    clauses = []
    against = [level for level, difference in found.by_level.items() if difference <= -claim.margin]
    if against:
        clauses.append(f"does not hold at noise {noise_words(against)}")
    least = claim.at_least.get(place.protocol, min(claim.at_least.values(), default=0.0))
    if claim.at_least and found.difference < least:
        clauses.append(f"the difference is below the {least:g} points that the paper states")
    if any(each.tried for each in found.missing):
        clauses.append("a noise level that was run is incomplete")
    if claim.all_levels and not all(each.tried for each in found.missing):
        clauses.append("the claim is about all noise levels, and not all were run")
    return clauses


def _too_small(found: Sample, adjusted: _Adjusted) -> str:
    """Why no outcome could have been significant; empty when one could."""
    if found.subjects and found.pairs < 2:
        return "one pair does not show how much trainings vary: at least two pairs are needed"
    if adjusted.least < _SIGNIFICANT:
        return ""
    what, family = "subjects" if found.subjects else "pairs", adjusted.family
    together = f"for {family} comparisons" if family > 1 else "for one comparison"
    return f"at least {pairs_needed(family)} {what} are needed {together} to reach p < {_SIGNIFICANT}"


# --- circumstances


def _circumstances(spot: Spot, claim: Claim, found: Sample) -> list[str]:
    """What the claim was tested on, and what is needed to interpret it."""
    place = spot.place
    parts = [f"tested on {spot.words}"]
    if place.stand_in:
        own = ", ".join(_own(each, place) for each in claim.places if not each.stand_in)
        parts[0] += f", a stand-in for {own or 'data that no protocol has'}"
    if place.levels != (None,):
        asked = f" (claimed for {noise_words(place.levels)})" if found.levels != place.levels else ""
        parts.append(f"noise {noise_words(found.levels)}{asked}")
    parts += [each.why for each in found.missing]
    for side, lost in ((claim.left, found.lost_left), (claim.right, found.lost_right)):
        if side is not None and lost:
            parts.append(f"trials of {side.method} that diverged or failed: {lost}")
    several = [method for method in claim.methods if any(method in each.several for each in spot.settings)]
    return [*parts, *(f"{method} has several versions: the one with the most trials is used" for method in several)]


def _own(own: Place, stand_in: Place) -> str:
    """A claim's own protocol, with its noise levels where the stand-in is the same protocol at others."""
    return f"{own.protocol} at noise {noise_words(own.levels)}" if own.protocol == stand_in.protocol else own.protocol


def _oracle_clauses(spot: Spot, claim: Claim) -> tuple[str, ...]:
    """The oracle knowledge that each side's trials used, a clause each."""
    known = {method: ", ".join(spot.oracle_knowledge(method)) for method in claim.methods}
    return tuple(f"{method} uses oracle knowledge: {what.replace('_', ' ')}" for method, what in known.items() if what)
