"""What tables are made of: typed cells, blocks of comparable records, and means over (seed, draw) pairs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from ...protocols.errors import BadInput
from ..records.record import Record, differing_fields
from ..records.schema import comparability_key
from ..statistics import spread

MISSING = "–"

Pair = tuple[int, int]
Fold = str | None
T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

# the option that chooses among the values of a field of the comparability key
_CHOSEN_BY = {"profile": "--profile", "recipe": "--recipe", "source": "--synthetic or --real"}

# the states that a pair without all its folds can have, the most serious first
_MOST_SERIOUS = ("diverged", "failed", "interrupted", "running")


@dataclass(frozen=True)
class Block:
    """Records of one comparability key, and how the key differs from those of other blocks ("" for one block)."""

    records: tuple[Record, ...]
    distinction: str = ""


@dataclass(frozen=True)
class Entry:
    """One row's records: a method in one version of its source and parameters."""

    label: str
    method: str
    records: tuple[Record, ...]

    @cached_property
    def by_level(self) -> Mapping[float | None, tuple[Record, ...]]:
        """The records at each noise level there is."""
        return {level: tuple(found) for level, found in grouped(self.records, lambda each: each.level).items()}


def blocks(records: Sequence[Record], *, allow_mixed: bool = False, what: str = "table") -> tuple[Block, ...]:
    """Records by comparability key, in the order of first appearance.

    Args:
        records: at least one.
        allow_mixed: return a block for each key instead of refusing.
        what: the name of what is made ("table", "figure"); only for a table the message offers --allow-mixed.

    Raises:
        BadInput: no records; or more than one key, naming the fields that differ.
    """
    if not records:
        raise BadInput("there are no trials to tabulate: run some first, or point --runs at a folder that has them")
    groups = grouped(records, lambda record: record.identity.key)
    keys = [comparability_key(group[0].identity.content) for group in groups.values()]
    if len(keys) == 1:
        return (Block(tuple(records)),)
    fields = differing_fields(keys)
    if not allow_mixed:
        apart = ", or print a block for each with --allow-mixed" if what == "table" else ""
        raise BadInput(refusal(fields, what) + apart)
    pairs = zip(groups.values(), keys, strict=True)
    return tuple(Block(tuple(group), _distinction(key, fields)) for group, key in pairs)


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """The items by key, in the order of first appearance."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def refusal(fields: Sequence[str], what: str = "table") -> str:
    """Why records cannot share a table, and how to choose some that can: by an option, else by their folder."""
    options = [option for field, option in _CHOSEN_BY.items() if field in fields]
    way = " and ".join(options) or "a --runs folder that holds one kind"
    return f"these trials cannot share a {what}, they differ in: {', '.join(fields)}; choose with {way}"


def _distinction(key: Mapping[str, Any], fields: Sequence[str]) -> str:
    return "; ".join(f"{name} = {field_of(key, name)}" for name in fields)


def field_of(key: Any, dotted: str) -> str:
    """A field of a comparability key, by its dotted name."""
    for part in dotted.split("."):
        key = key.get(part, MISSING) if isinstance(key, Mapping) else MISSING
    return str(key)


def entries(records: Sequence[Record], methods: Sequence[str] = ()) -> tuple[Entry, ...]:
    """Records by method, the named methods first, then the others by name; a named one without records is included.

    A method whose source or parameters, its own or its teachers', changed between trials gets an entry for each
    version: they are not one method.
    """
    by_method = grouped(records, lambda record: record.method)
    result = []
    for method in unique([*methods, *sorted(by_method)]):
        versions = versions_of(by_method.get(method, ()))
        for version, members in versions.items():
            label = f"{method} #{version}" if len(versions) > 1 else method
            result.append(Entry(label, method, tuple(members)))
        if not versions:
            result.append(Entry(method, method, ()))
    return tuple(result)


def versions_of(records: Sequence[Record]) -> dict[str, list[Record]]:
    """A method's records on one protocol by version: of its source and parameters, as "1a2b3c", and of its teachers'.

    Of several teachers the second and later ones are told apart, as in "1a2b3c-2". The version with the latest trial
    comes first.
    """
    versions = {
        record_version[:6] + (f"-{number}" if number > 1 else ""): members
        for record_version, mine in grouped(records, lambda record: record.identity.version).items()
        for number, members in enumerate(_by_teachers(mine), 1)
    }
    return dict(sorted(versions.items(), key=lambda each: _latest(each[1]), reverse=True))


def _latest(records: Sequence[Record]) -> str:
    """When the last of some trials was written, in ISO 8601."""
    return max(record.status.updated for record in records)


def _by_teachers(records: Sequence[Record]) -> list[list[Record]]:
    """Trials of one version of a method, apart where they learnt from different versions of their teachers.

    Trials that do not tell, those of older versions and those that ended before they had a teacher, are apart only
    where one cell would hold two of them.
    """
    told = grouped(records, lambda record: record.teacher_versions)
    unknown = told.pop(None, [])
    groups = list(told.values())
    for record in unknown:
        cell = (record.fold, record.level, record.pair)
        free = (group for group in groups if cell not in {(each.fold, each.level, each.pair) for each in group})
        group = next(free, None)
        if group is None:
            groups.append([record])
        else:
            group.append(record)
    return groups


def most_tried(found: Sequence[Entry]) -> dict[str, Entry]:
    """By method, the version with the most trials, or the first of several such; for where only one version can be
    shown. Methods without records are absent.
    """
    chosen: dict[str, Entry] = {}
    for entry in found:
        if len(entry.records) > (len(chosen[entry.method].records) if entry.method in chosen else 0):
            chosen[entry.method] = entry
    return chosen


def unique(items: Sequence[T]) -> tuple[T, ...]:
    """The items without repetitions, in order."""
    return tuple(dict.fromkeys(items))


def levels_of(records: Sequence[Record]) -> tuple[float | None, ...]:
    """The noise levels there are, ascending; None, a noise without level, first."""
    return tuple(sorted({record.level for record in records}, key=lambda level: -1.0 if level is None else level))


def folds_of(records: Sequence[Record]) -> tuple[Fold, ...]:
    """The folds there are, by name."""
    return tuple(sorted({record.fold for record in records}, key=lambda fold: fold or ""))


def pairs_of(records: Sequence[Record]) -> tuple[Pair, ...]:
    """The (seed, draw) pairs there are, ascending."""
    return tuple(sorted({record.pair for record in records}))


@dataclass(frozen=True)
class Summary:
    """One number over pairs.

    Attributes:
        values: one for each complete pair; empty when one of them has no such number.
        complete, total: pairs.
        lacking: how many of the other pairs are diverged, failed, interrupted, running, incomplete or not run.
    """

    values: tuple[float, ...]
    complete: int
    total: int
    lacking: Mapping[str, int]

    @property
    def status(self) -> str:
        """Such as "2/3, 1 diverged"; empty when every pair is complete."""
        lacking = (f"{count} {state}" for state, count in self.lacking.items())
        return ", ".join((f"{self.complete}/{self.total}", *lacking)) if self.lacking else ""

    @property
    def mean(self) -> float:
        """The mean of the values; NaN of none."""
        return math.fsum(self.values) / len(self.values) if self.values else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation (n - 1) of the values; NaN for fewer than two."""
        return spread(self.values)


@dataclass(frozen=True)
class Paired:
    """Trials of one method at one level by (seed, draw) pair.

    Attributes:
        pairs: the complete ones.
        complete: for each of them, a finished trial for each of its folds.
        total: pairs there should be.
        lacking: how many of the others are diverged, failed, interrupted, running, incomplete or not run.
    """

    pairs: tuple[Pair, ...]
    complete: tuple[tuple[Record, ...], ...]
    total: int
    lacking: Mapping[str, int]

    def summary(self, value: Callable[[Record], float | None]) -> Summary:
        """A number over the complete pairs, each the mean over its folds.

        Args:
            value: the number of a finished trial; None or NaN where there is no such number.
        """
        values = tuple(number for number in self._numbers(value) if number is not None)
        whole = len(values) == len(self.complete)
        return Summary(values if whole else (), len(self.complete), self.total, self.lacking)

    def by_pair(self, value: Callable[[Record], float | None]) -> dict[Pair, float]:
        """A number of each complete pair that has it, the mean over its folds. Arguments as for `summary`."""
        numbers = zip(self.pairs, self._numbers(value), strict=True)
        return {pair: number for pair, number in numbers if number is not None}

    def _numbers(self, value: Callable[[Record], float | None]) -> list[float | None]:
        """A number for each complete pair; None where it has none."""
        if self._alone:  # the mean of one, for the many tables without folds
            numbers = [value(record) for record in self._alone]
            return [None if number is None or number != number else float(number) for number in numbers]
        return [_mean([value(record) for record in done]) for done in self.complete]

    @cached_property
    def _alone(self) -> tuple[Record, ...]:
        """The trial of each pair; empty where pairs have several folds."""
        return tuple(done[0] for done in self.complete) if all(len(done) == 1 for done in self.complete) else ()


def _mean(numbers: Sequence[float | None]) -> float | None:
    """The mean; None where one is missing."""
    known = [number for number in numbers if number is not None and number == number]
    return math.fsum(known) / len(known) if known and len(known) == len(numbers) else None


def pair_up(records: Sequence[Record], pairs: Sequence[Pair], folds: Collection[Fold]) -> Paired:
    """Trials by pair; a pair is complete only when all its folds are done.

    Args:
        records: of one method at one level.
        pairs: the pairs there should be.
        folds: the folds a pair needs.
    """
    by_cell = {(record.pair, record.fold): record for record in records}
    complete: dict[Pair, tuple[Record, ...]] = {}
    lacking: Counter[str] = Counter()
    for pair in pairs:
        members = [by_cell.get((pair, fold)) for fold in folds]
        done = tuple(record for record in members if record is not None and record.done)
        if len(done) < len(members):
            lacking[_pair_state(members)] += 1
        else:
            complete[pair] = done
    return Paired(tuple(complete), tuple(complete.values()), len(pairs), dict(sorted(lacking.items())))


def _pair_state(members: Sequence[Record | None]) -> str:
    states = {record.state for record in members if record is not None}
    for state in _MOST_SERIOUS:
        if state in states:
            return state
    return "incomplete" if states else "not run"
