"""Two sets of records compared cell by cell: new, missing, the same bytes, changed within or beyond chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from scipy.special import stdtrit

from ..records.record import Record, differing_fields
from .grouping import Pair

DiffVerdict = Literal["same bytes", "within", "beyond", "unjudged", "new", "missing"]

VERDICTS: tuple[DiffVerdict, ...] = ("beyond", "unjudged", "missing", "new", "within", "same bytes")

_CHANCE = 0.05  # of a false alarm: of any cell being "beyond" where all changes are random
_ENOUGH = 6  # degrees of freedom from which on a method's own spread is used: four seeds in both sets


class Key(NamedTuple):
    """What two trials of the same cell share, whatever the version of the code: all but seed and draw."""

    protocol: str
    profile: str
    source: str
    partial: bool
    recipe: str
    method: str
    fold: str
    level: float

    @property
    def group(self) -> tuple[str, str, str]:
        """Cells whose spread over seeds is pooled where a method has too few seeds."""
        return self.protocol, self.profile, self.source

    @property
    def own_group(self) -> tuple[str, str, str, str]:
        """The cells of one method, at all its levels and folds."""
        return *self.group, self.method


@dataclass(frozen=True)
class Difference:
    """One cell in two sets of records; the protocol's metric at the last epoch, as a share in [0, 1].

    Attributes:
        key: the cell.
        verdict: one of VERDICTS.
        metric: "accuracy" or "f1".
        left, right: mean over the pairs both have, or over all of each where they share none; NaN for none.
        limit: the largest difference of the means that chance explains; NaN where no spread is known.
        pairs: finished (seed, draw) pairs left and right.
        lost, gained: pairs that are finished on the left alone, on the right alone.
        fields: names of the identity's fields that differ between the trials of the two.
    """

    key: Key
    verdict: DiffVerdict
    metric: str
    left: float
    right: float
    limit: float
    pairs: tuple[int, int]
    lost: tuple[Pair, ...]
    gained: tuple[Pair, ...]
    fields: tuple[str, ...]

    @property
    def alarming(self) -> bool:
        """Whether it needs attention: missing, beyond chance, unjudged, or with fewer finished trials."""
        return self.verdict in ("beyond", "unjudged", "missing") or bool(self.lost)


@dataclass(frozen=True)
class _Side:
    """A cell's finished trials by pair."""

    trials: Mapping[Pair, Record]

    def scores(self, pairs: Iterable[Pair]) -> list[float]:
        """The headlines of some pairs."""
        return [score for pair in pairs if (score := self.trials[pair].headline()) is not None]


def differences(
    left: Sequence[Record], right: Sequence[Record], bytes_of: Mapping[tuple[str, str], str]
) -> tuple[Difference, ...]:
    """What changed from one set of records to the other, cell by cell, in order of protocol and method.

    A cell has changed beyond chance when its means differ by more than a t test allows at the 5% level, Bonferroni
    corrected over all changed cells. The spread over seeds is pooled over a method's levels and folds in both sets, or
    over all methods of the protocol where a method has too few seeds.

    Args:
        left, right: the records; unfinished ones do not count; of several versions of a trial the newest counts.
        bytes_of: a digest of each finished trial's predictions, by ("left" or "right", folder).
    """
    sides = [_by_cell(left), _by_cell(right)]
    keys = sorted({*sides[0], *sides[1]})
    before, after = ({key: side.get(key, _Side({})) for key in keys} for side in sides)
    changed = [key for key in keys if _is_changed(before[key], after[key], bytes_of)]
    # trials that are the same on both sides count once for the spread
    once = {key: before[key] if key in changed else _Side({**before[key].trials, **after[key].trials}) for key in keys}
    again = {key: after[key] for key in changed}
    own, shared = (_pooled(group, once, again) for group in (lambda key: key.own_group, lambda key: key.group))
    chance = _CHANCE / 2 / max(1, len(changed))

    def reach(key: Key) -> float:
        spread = own.get(key.own_group, _UNKNOWN)
        spread = spread if spread.freedom >= _ENOUGH else shared.get(key.group, _UNKNOWN)
        return spread.deviation * float(stdtrit(spread.freedom, 1 - chance)) if spread.freedom else math.nan

    return tuple(_difference(key, before[key], after[key], key in changed, reach(key)) for key in keys)


def _by_cell(records: Sequence[Record]) -> dict[Key, _Side]:
    cells: dict[Key, dict[Pair, Record]] = {}
    for record in sorted(records, key=lambda each: each.status.updated):
        if record.done:
            cells.setdefault(key_of(record), {})[record.pair] = record
    return {key: _Side(trials) for key, trials in cells.items()}


def key_of(record: Record) -> Key:
    """The cell of a trial."""
    identity = record.identity
    level = -1.0 if record.level is None else record.level  # sorts before 0
    return Key(
        identity.protocol.key,
        identity.profile,
        identity.source,
        identity.partial,
        identity.recipe,
        record.method,
        record.fold or "",
        level,
    )


def _is_changed(before: _Side, after: _Side, bytes_of: Mapping[tuple[str, str], str]) -> bool:
    """Whether both have trials, and of other pairs or with other predictions."""
    if not before.trials or not after.trials:
        return False
    common = before.trials.keys() & after.trials.keys()
    return not common or any(
        bytes_of["left", before.trials[pair].folder] != bytes_of["right", after.trials[pair].folder] for pair in common
    )


class _Spread(NamedTuple):
    """A standard deviation over seeds, and its degrees of freedom."""

    deviation: float
    freedom: int


_UNKNOWN = _Spread(math.nan, 0)


def _pooled(group_of: Callable[[Key], tuple[str, ...]], *sides: Mapping[Key, _Side]) -> dict[tuple[str, ...], _Spread]:
    """The spread over seeds within cells, by group; groups without two seeds in any cell are absent."""
    squares: dict[tuple[str, ...], float] = {}
    freedom: Counter[tuple[str, ...]] = Counter()
    for side in sides:
        for key, cell in side.items():
            scores, group = cell.scores(cell.trials), group_of(key)
            if len(scores) > 1:
                mean = math.fsum(scores) / len(scores)
                around = math.fsum((score - mean) ** 2 for score in scores)
                squares[group] = squares.get(group, 0.0) + around
                freedom[group] += len(scores) - 1
    return {group: _Spread(math.sqrt(squares[group] / count), count) for group, count in freedom.items()}


def _difference(key: Key, before: _Side, after: _Side, changed: bool, reach: float) -> Difference:
    common = [pair for pair in sorted(before.trials) if pair in after.trials]
    left, right = (side.scores(common or sorted(side.trials)) for side in (before, after))
    limit = reach * math.sqrt(1 / len(left) + 1 / len(right)) if left and right else math.nan
    means = [math.fsum(scores) / len(scores) if scores else math.nan for scores in (left, right)]
    trials = [*before.trials.values(), *after.trials.values()]
    return Difference(
        key,
        _verdict(before, after, changed, means[1] - means[0], limit),
        trials[0].environment.task.metric,
        means[0],
        means[1],
        limit,
        (len(before.trials), len(after.trials)),
        _alone(before, after),
        _alone(after, before),
        tuple(_fields(before, after, common)),
    )


def _alone(one: _Side, other: _Side) -> tuple[Pair, ...]:
    """Pairs finished on one side only; none where the other side has no finished trial."""
    return tuple(sorted(one.trials.keys() - other.trials.keys())) if other.trials else ()


def _verdict(before: _Side, after: _Side, changed: bool, difference: float, limit: float) -> DiffVerdict:
    if not before.trials:
        return "new"
    if not after.trials:
        return "missing"
    if not changed:
        return "same bytes"
    if math.isnan(limit):
        return "within" if difference == 0 else "unjudged"
    return "within" if abs(difference) <= limit else "beyond"


def _fields(before: _Side, after: _Side, common: Sequence[Pair]) -> list[str]:
    """The fields that differ between the identities of a trial of each side, except seed and draw."""
    if not before.trials or not after.trials:
        return []
    pair = common[0] if common else None
    ends = [side.trials[pair if pair is not None else min(side.trials)].identity.content for side in (before, after)]
    return [name for name in differing_fields(ends) if name not in ("seed", "draw")]
