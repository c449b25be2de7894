"""What was measured for a paper's numbers: records that may share a table, by protocol."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ...protocols.errors import BadInput
from ..analysis.grouping import Block, Pair, Summary, blocks, grouped, pair_up, refusal, unique, versions_of
from ..analysis.view import Expected, View, known_folds, oracle_knowledge, view_of
from ..records.record import Record, differing_fields
from ..records.schema import Setting
from .figures import PROTOCOL_RECIPE
from .reported import ReportedRow, Target

State = Literal["measured", "unfinished", "not run"]

_Key = tuple[str, str, float | None]


@dataclass(frozen=True)
class MeasuredBlock:
    """Records of one setting: recipe, profile, source of the faces, whole or partial data.

    Attributes:
        setting: these four; None without records.
        views: by protocol, each of one comparability key; under the methods' own recipes, each method of one.
    """

    setting: Setting | None
    views: Mapping[str, View]

    @property
    def records(self) -> tuple[Record, ...]:
        """All records."""
        return tuple(record for view in self.views.values() for record in view.block.records)

    @property
    def comparable(self) -> bool:
        """Whether rows may be ranked: all under the protocol's recipe."""
        return self.setting is not None and self.setting.recipe == PROTOCOL_RECIPE

    @property
    def words(self) -> str:
        """What was measured, for a title."""
        if self.setting is None:
            return "reported only, nothing measured"
        apart = unique([view.block.distinction for view in self.views.values() if view.block.distinction])
        return f"measured: {', '.join((*self.setting.words, *apart))}"

    def versions(self, method: str | None) -> tuple[str, ...]:
        """The versions of a method and of its teachers; ("",) where there are not several."""
        found = unique([self._version_of[id(record)] for record in self._by_method.get(method or "", ())])
        return found if len(found) > 1 else ("",)

    def state(self, row: ReportedRow, target: Target, rule: str) -> State:
        """Whether a row's number in a column is measured; of several versions of a method, the most complete one."""
        found = [self.summary(row, target, version, rule) for version in self.versions(row.method)]
        tried = [summary for summary in found if summary is not None]
        if any(summary.values and not summary.status for summary in tried):
            return "measured"
        return "unfinished" if any(summary.status for summary in tried) else "not run"

    def knows(self, method: str | None) -> tuple[str, ...]:
        """The oracle knowledge that a method's trials used."""
        return oracle_knowledge(self._by_method.get(method or "", ()))

    def is_rising(self, method: str | None, version: str) -> bool:
        """Whether a method, or this version of it, is still rising on one of the table's protocols."""
        return any(
            entry.label in view.rising
            for view in self.views.values()
            for entry in view.rows
            if entry.method == method and version in ("", *(self._version_of[id(record)] for record in entry.records))
        )

    def ships(self, method: str | None, version: str) -> bool:
        """Whether trials of a method, or of this version of it, are marked as shipped."""
        records = self._by_method.get(method or "", ())
        return any(each.shipped and version in ("", self._version_of[id(each)]) for each in records)

    def summary(self, row: ReportedRow, target: Target, version: str, rule: str) -> Summary | None:
        """A row's number in a column over (seed, draw) pairs; None when it was not run."""
        key = (target.protocol, row.method or "", row.level)
        members = [record for record in self._index.get(key, ()) if version in ("", self._version_of[id(record)])]
        if not members:
            return None
        view = self.views[target.protocol]
        position = view.names.index(target.au) if target.au in view.names else None

        def value(record: Record) -> float | None:
            if target.au is None:
                return record.headline(rule)
            return None if position is None else record.label_score(position, rule)

        return pair_up(members, self._pairs[target.protocol, row.level], view.folds).summary(value)

    @cached_property
    def _index(self) -> Mapping[_Key, Sequence[Record]]:
        """Records by protocol, method and level."""
        return grouped(self.records, lambda record: (record.protocol, record.method, record.level))

    @cached_property
    def _version_of(self) -> Mapping[int, str]:
        """The version of each record, by the record's id."""
        parts = grouped(self.records, lambda record: (record.protocol, record.method)).values()
        return {id(each): name for part in parts for name, found in versions_of(part).items() for each in found}

    @cached_property
    def _by_method(self) -> Mapping[str, Sequence[Record]]:
        return grouped(self.records, lambda record: record.method)

    @property
    def pair_counts(self) -> tuple[int, ...]:
        """How many pairs there should be, ascending: one number where it is the same for all protocols and levels."""
        return tuple(sorted({len(pairs) for pairs in self._pairs.values()} - {0}))

    @cached_property
    def _pairs(self) -> Mapping[tuple[str, float | None], Sequence[Pair]]:
        """The pairs there should be, by protocol and level: all that any method has there."""
        return {(protocol, level): view.pairs(level) for protocol, view in self.views.items() for level in view.levels}


def measured_blocks(records: Sequence[Record], *, allow_mixed: bool = False) -> tuple[MeasuredBlock, ...]:
    """Records as blocks of one setting each, the protocols' own recipe first; one empty block without records.

    Runs under the methods' own recipes are always a block apart. In each the records must agree in profile, source and
    completeness over all protocols, and in everything else within a protocol (under own recipes, within a method).

    Args:
        records: of one table.
        allow_mixed: a block for each setting instead of a refusal.

    Raises:
        BadInput: several settings, naming the fields that differ.
    """
    recipes = sorted({r.identity.recipe for r in records}, key=lambda recipe: (recipe != PROTOCOL_RECIPE, recipe))
    found: list[MeasuredBlock] = []
    for recipe in recipes:
        alike = [record for record in records if record.identity.recipe == recipe]
        groups = grouped(alike, lambda record: record.identity.setting)
        if len(groups) > 1 and not allow_mixed:
            fields = differing_fields(setting._asdict() for setting in groups)
            raise BadInput(f"{refusal(fields)}, or print a block for each with --allow-mixed")
        for setting, group in groups.items():
            found.extend(_of_one_setting(setting, group, allow_mixed=allow_mixed))
    return tuple(found) or (MeasuredBlock(None, {}),)


def _of_one_setting(setting: Setting, records: Sequence[Record], *, allow_mixed: bool) -> list[MeasuredBlock]:
    split = blocks if setting.recipe == PROTOCOL_RECIPE else _own_recipes
    views = []
    for name, mine in grouped(records, lambda record: record.protocol).items():
        expected = Expected(folds=known_folds(name))
        views.append([(name, view_of(block, expected)) for block in split(mine, allow_mixed=allow_mixed)])
    together = itertools.zip_longest(*views)
    return [MeasuredBlock(setting, dict(pair for pair in pairs if pair is not None)) for pairs in together]


def _own_recipes(records: Sequence[Record], *, allow_mixed: bool) -> Sequence[Block]:
    """Records of one protocol under the methods' own recipes: one comparability key a method and block."""
    by_method = grouped(records, lambda record: record.method).values()
    parts = [blocks(mine, allow_mixed=allow_mixed) for mine in by_method]
    return [
        Block(tuple(record for part in together if part is not None for record in part.records))
        for together in itertools.zip_longest(*parts)
    ]
