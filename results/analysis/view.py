"""A block of records as its tables show it: rows, levels, folds, metric, and what was expected."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from ...protocols import catalog
from ..records.record import Record
from ..records.schema import NOT_WRITTEN, Identity
from .grouping import Block, Entry, Fold, Pair, Paired, Summary, blocks, entries, folds_of, levels_of, pair_up, pairs_of

DAGGER = "†"
DAGGER_WORDS = f"{DAGGER} uses oracle knowledge"
RISING = "↗"
RISING_WORDS = f"{RISING} still rising (last epoch more than one point above the mean of the last five)"

SEVERAL = "⊕"
SEVERAL_WORDS = (
    f"{SEVERAL} learns from several annotators' labels of each face, so that it is not ranked with methods of one label"
)
VOTES = "votes"  # how trials record that, among their oracle knowledge

SHIPPED = "◇"
SHIPPED_WORDS = f"{SHIPPED} from the results that ship with fernoise-bench"

RowOrder = Literal["name", "rank", "given"]

_MARKS = {DAGGER: DAGGER_WORDS, SEVERAL: SEVERAL_WORDS, RISING: RISING_WORDS, SHIPPED: SHIPPED_WORDS}
_RISING_POINTS = 1.0 + 1e-9  # differences of exactly one point are not exact in floating point

DECIMALS = {"accuracy": 2, "f1": 1}  # of the metric in percent, as the papers print it


@dataclass(frozen=True)
class Rows:
    """What the rows of a table are called, and their order.

    Attributes:
        labels: by method, what its row is called instead.
        order: by name; by rank, the highest mean over levels first, rows that lack a level last; or as given.
        given: methods, for the order as given; the others follow.
        rule: the selection rule of the rank.
    """

    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    order: RowOrder = "name"
    given: Sequence[str] = ()
    rule: str = "last"


@dataclass(frozen=True)
class Expected:
    """What a table should hold; missing trials show as "not run". An empty field means whatever the records have.

    Attributes:
        methods: rows, in this order; methods found beyond them follow.
        levels: the noise levels shown.
        folds: the folds a (seed, draw) pair needs to be complete.
        pairs: the (seed, draw) pairs of each cell; empty: all pairs any method has at that level.
        not_applicable: methods that cannot run here, with the reason.
        rows: what rows are called, and their order after `methods`.
    """

    methods: Sequence[str] = ()
    levels: Sequence[float | None] = ()
    folds: Sequence[Fold] = ()
    pairs: Sequence[Pair] = ()
    not_applicable: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    rows: Rows = Rows()


@dataclass(frozen=True)
class View:
    """A block of records as its tables see it.

    Attributes:
        rows: methods, or their versions; those that stand apart come last.
        levels, folds: shown and needed.
        not_applicable: methods that have no records here, with the reason.
        metric: "accuracy" or "f1"; "score" while no trial has written its environment.json.
        names: the classes or AUs.
    """

    block: Block
    rows: tuple[Entry, ...]
    levels: tuple[float | None, ...]
    folds: tuple[Fold, ...]
    expected_pairs: tuple[Pair, ...]
    not_applicable: Mapping[str, str]
    metric: str
    names: tuple[str, ...]

    @property
    def identity(self) -> Identity:
        """The first trial's identity: what is in the comparability key is the same in all."""
        return self.block.records[0].identity

    @property
    def protocol(self) -> str:
        """The protocol's name."""
        return self.identity.protocol.name

    @property
    def metric_words(self) -> str:
        """The metric as it is printed."""
        return "F1" if self.metric == "f1" else self.metric

    def pairs(self, level: float | None) -> tuple[Pair, ...]:
        """The pairs there should be at a level."""
        return self.expected_pairs or self._pairs.get(level, ())

    @cached_property
    def _pairs(self) -> Mapping[float | None, tuple[Pair, ...]]:
        """The pairs any method has, by level."""
        every = Entry("", "", self.block.records)
        return {level: pairs_of(records) for level, records in every.by_level.items()}

    def summary(self, entry: Entry, level: float | None, value: Callable[[Record], float | None]) -> Summary:
        """A number of a method at a level, over pairs."""
        return self.paired(entry, level).summary(value)

    def paired(self, entry: Entry, level: float | None) -> Paired:
        """A method's trials at a level by pair; made once, since tables take many numbers of the same trials."""
        key = (entry.label, level)
        if key not in self._paired:
            self._paired[key] = pair_up(at_level(entry, level), self.pairs(level), self.folds)
        return self._paired[key]

    @cached_property
    def _paired(self) -> dict[tuple[str, float | None], Paired]:
        """The trials that were paired up so far, by method and level."""
        return {}

    @property
    def decimals(self) -> int:
        """Decimals of the metric in percent, as the papers print it."""
        return DECIMALS.get(self.metric, 2)

    @cached_property
    def apart(self) -> frozenset[str]:
        """The labels of the rows that stand apart: they learn from several annotators' labels of each face."""
        return frozenset(entry.label for entry in self.rows if sees_votes(entry.records))

    @property
    def ranked_rows(self) -> tuple[Entry, ...]:
        """The rows that are ranked with each other: all that do not stand apart."""
        return tuple(entry for entry in self.rows if entry.label not in self.apart)

    @property
    def apart_rows(self) -> tuple[Entry, ...]:
        """The rows that stand apart, the last of all."""
        return tuple(entry for entry in self.rows if entry.label in self.apart)

    @cached_property
    def rising(self) -> frozenset[str]:
        """The labels of the methods still rising.

        Averaged over the complete pairs at all levels, their metric at the last epoch is more than a percentage point
        above its mean over the last five epochs.
        """
        rises = {
            entry.label: [rise for level in self.levels for rise in self.summary(entry, level, _rise).values]
            for entry in self.rows
        }
        return frozenset(
            label for label, found in rises.items() if found and 100 * math.fsum(found) / len(found) > _RISING_POINTS
        )


def view_of(block: Block, expected: Expected) -> View:
    """A block seen with what was expected of it."""
    records = block.records
    task = next((r.environment.task for r in records if r.environment.known), NOT_WRITTEN.task)
    found = {record.method for record in records}
    refused = {name: reason for name, reason in expected.not_applicable.items() if name not in found}
    given = expected.rows.given if expected.rows.order == "given" else ()
    named = [*expected.methods, *(name for name in given if name in found)]
    view = View(
        block=block,
        rows=tuple(
            _renamed(entry, expected.rows.labels)
            for entry in entries(records, [name for name in named if name not in refused])
        ),
        levels=tuple(expected.levels) or levels_of(records),
        folds=tuple(expected.folds) or folds_of(records),
        expected_pairs=tuple(expected.pairs),
        not_applicable=refused,
        metric=task.metric,
        names=task.names,
    )
    if expected.rows.order == "rank":
        view = _ranked(view, expected.rows.rule)
    return replace(view, rows=(*view.ranked_rows, *view.apart_rows))


def _renamed(entry: Entry, labels: Mapping[str, str]) -> Entry:
    """The row under its label; the version, where there are several, stays."""
    label = labels.get(entry.method)
    return entry if label is None else replace(entry, label=label + entry.label.removeprefix(entry.method))


def _ranked(view: View, rule: str) -> View:
    """The view with the highest mean over levels first; rows that lack a level come last."""

    def place(entry: Entry) -> tuple[int, float]:
        means = [view.summary(entry, level, lambda record: record.headline(rule)).mean for level in view.levels]
        known = [mean for mean in means if not math.isnan(mean)]
        return len(means) - len(known), -math.fsum(known) / max(1, len(known))

    return replace(view, rows=tuple(sorted(view.rows, key=place)))


def views_of(records: Sequence[Record], expected: Expected | None = None, *, allow_mixed: bool = False) -> list[View]:
    """A view for each comparability key. Arguments and errors as for `blocks`."""
    return [view_of(block, expected or Expected()) for block in blocks(records, allow_mixed=allow_mixed)]


def known_folds(protocol: str) -> tuple[str, ...]:
    """The folds of a protocol; none for one that is not in the catalog, whose folds are those there are."""
    known = catalog.known(protocol)
    return known.folds if known else ()


def at_level(entry: Entry, level: float | None) -> tuple[Record, ...]:
    """A row's records at one noise level."""
    return entry.by_level.get(level, ())


def oracle_knowledge(records: Sequence[Record]) -> tuple[str, ...]:
    """Names of what the trials used that is unknown outside an experiment, such as the noise rate."""
    return tuple(sorted({known for record in records for known in record.environment.oracle_knowledge} - {VOTES}))


def sees_votes(records: Sequence[Record]) -> bool:
    """Whether trials learnt from several annotators' labels of each face."""
    return any(VOTES in record.environment.oracle_knowledge for record in records)


def marks_of(view: View, entry: Entry) -> dict[str, str]:
    """The marks of a row, each with its meaning: a dagger for oracle knowledge, a plus for several labels of a face, an
    arrow for a method still rising, a diamond for trials that ship.
    """
    marks = {DAGGER: "oracle knowledge"} if oracle_knowledge(entry.records) else {}
    marks |= {SEVERAL: "several labels of a face"} if entry.label in view.apart else {}
    marks |= {RISING: "still rising"} if entry.label in view.rising else {}
    return marks | ({SHIPPED: "shipped"} if any(record.shipped for record in entry.records) else {})


def marked(view: View, entry: Entry, label: str) -> str:
    """A row's label as given, with its marks."""
    return " ".join((label, *marks_of(view, entry)))


def words_of_marks(labels: Iterable[str]) -> list[str]:
    """What the marks in some labels mean, for a figure: only those that occur."""
    text = " ".join(labels)
    return [words for mark, words in _MARKS.items() if f" {mark}" in text]


def _rise(record: Record) -> float | None:
    last, last_five = record.headline("last"), record.headline("last_five")
    return None if last is None or last_five is None else last - last_five


def has_levels(view: View) -> bool:
    """Whether the noise has levels."""
    return view.levels != (None,)
