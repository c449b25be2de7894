"""What was measured in the place of a paper's numbers: records that may share a table, by protocol."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from ...protocols import catalog
from ...protocols.errors import BadInput
from ..analysis.grouping import Block, Pair, Summary, blocks, refusal, summarise, unique
from ..analysis.view import Expected, View, oracle_knowledge, view_of
from ..records.record import Record, Scores, differing_fields
from ..records.store import trial_id
from .reported import ReportedRow, Target

PROTOCOL_RECIPE = "protocol"

State = Literal["measured", "unfinished", "not run"]

_Key = tuple[str, str, float | None]
_SETTING = ("recipe", "profile", "source", "partial")


@dataclass(frozen=True)
class MeasuredBlock:
    """Records of one setting: recipe, profile, source of the faces, whole or partial data.

    Attributes:
        setting: those four; empty without records.
        views: by protocol, each of one comparability key; under the methods' own recipes, each method of one.
    """

    setting: Mapping[str, Any]
    views: Mapping[str, View]

    @property
    def records(self) -> tuple[Record, ...]:
        """All records."""
        return tuple(record for view in self.views.values() for record in view.block.records)

    @property
    def comparable(self) -> bool:
        """Whether rows may be ranked: all under the protocol's recipe."""
        return self.setting.get("recipe") == PROTOCOL_RECIPE

    @property
    def words(self) -> str:
        """What was measured, for a title."""
        if not self.setting:
            return "reported only, nothing measured"
        parts = [f"measured: {self.setting['profile']} profile", f"{self.setting['source']} faces"]
        parts += ["partial copy of the data"] if self.setting["partial"] else []
        parts += [f"{self.setting['recipe']} recipe"] if self.setting["recipe"] != PROTOCOL_RECIPE else []
        parts += unique([view.block.distinction for view in self.views.values() if view.block.distinction])
        return ", ".join(parts)

    def versions(self, method: str | None) -> tuple[str, ...]:
        """The versions of a method's source and parameters; ("",) where there are not several."""
        found = self._versions.get(method or "", ())
        return found if len(found) > 1 else ("",)

    def state(self, row: ReportedRow, target: Target, rule: str) -> State:
        """How far a row's number in a column is measured; of several versions of a method the one that got furthest."""
        found = [self.summary(row, target, version, rule) for version in self.versions(row.method)]
        tried = [summary for summary in found if summary is not None]
        if any(summary.values and not summary.status for summary in tried):
            return "measured"
        return "unfinished" if any(summary.status for summary in tried) else "not run"

    def knows(self, method: str | None) -> tuple[str, ...]:
        """What a method's trials knew that no one has outside an experiment."""
        return self._oracle.get(method or "", ())

    def summary(self, row: ReportedRow, target: Target, version: str, rule: str) -> Summary | None:
        """A row's number in a column over (seed, draw) pairs; None when it was not run."""
        key = (target.protocol, row.method or "", row.level)
        members = [record for found, record in self._index.get(key, ()) if version in ("", found)]
        if not members:
            return None
        view = self.views[target.protocol]
        position = view.names.index(target.au) if target.au in view.names else None

        def value(record: Record) -> float | None:
            return _number(record.scores, rule, target.au, position)

        return summarise(members, self._pairs[target.protocol, row.level], view.folds, value)

    @cached_property
    def _index(self) -> Mapping[_Key, Sequence[tuple[str, Record]]]:
        """Records with their method's version, by protocol, method and level."""
        index: dict[_Key, list[tuple[str, Record]]] = {}
        for protocol, view in self.views.items():
            for record in view.block.records:
                version = trial_id(record.identity["method"])
                index.setdefault((protocol, record.method, record.level), []).append((version, record))
        return index

    @cached_property
    def _versions(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, dict[str, None]] = {}
        for (_, method, _), members in self._index.items():
            found.setdefault(method, {}).update((version, None) for version, _ in members)
        return {method: tuple(versions) for method, versions in found.items()}

    @cached_property
    def _oracle(self) -> Mapping[str, tuple[str, ...]]:
        trials: dict[str, list[Record]] = {}
        for (_, method, _), members in self._index.items():
            trials.setdefault(method, []).extend(record for _, record in members)
        return {method: oracle_knowledge(records) for method, records in trials.items()}

    @property
    def pair_counts(self) -> tuple[int, ...]:
        """How many pairs there should be, ascending: one number where it is the same for all protocols and levels."""
        return tuple(sorted({len(pairs) for pairs in self._pairs.values()} - {0}))

    @cached_property
    def _pairs(self) -> Mapping[tuple[str, float | None], Sequence[Pair]]:
        """The pairs there should be, by protocol and level: all that any method has there."""
        return {(protocol, level): view.pairs(level) for protocol, view in self.views.items() for level in view.levels}


def _number(scores: Scores, rule: str, au: str | None, position: int | None) -> float | None:
    score = scores.get(rule)
    if score is None:
        return None
    if au is None:
        return score.headline
    return None if position is None else score.per_label[position]


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
    recipes = sorted({r.identity["recipe"] for r in records}, key=lambda recipe: (recipe != PROTOCOL_RECIPE, recipe))
    found: list[MeasuredBlock] = []
    for recipe in recipes:
        groups: dict[tuple[Any, ...], list[Record]] = {}
        for record in records:
            if record.identity["recipe"] == recipe:
                groups.setdefault(tuple(record.identity[name] for name in _SETTING), []).append(record)
        settings = [dict(zip(_SETTING, key, strict=True)) for key in groups]
        if len(settings) > 1 and not allow_mixed:
            raise BadInput(f"{refusal(differing_fields(settings))}, or print a block for each with --allow-mixed")
        for setting, group in zip(settings, groups.values(), strict=True):
            found.extend(_of_one_setting(setting, group, allow_mixed=allow_mixed))
    return tuple(found) or (MeasuredBlock({}, {}),)


def _of_one_setting(setting: Mapping[str, Any], records: Sequence[Record], *, allow_mixed: bool) -> list[MeasuredBlock]:
    names = unique([record.identity["protocol"]["name"] for record in records])
    split = _comparable if setting["recipe"] == PROTOCOL_RECIPE else _own_recipes
    views = []
    for name in names:
        mine = [record for record in records if record.identity["protocol"]["name"] == name]
        expected = Expected(folds=_folds(name))
        views.append([(name, view_of(block, expected)) for block in split(mine, allow_mixed=allow_mixed)])
    together = itertools.zip_longest(*views)
    return [MeasuredBlock(setting, dict(pair for pair in pairs if pair is not None)) for pairs in together]


def _comparable(records: Sequence[Record], *, allow_mixed: bool) -> Sequence[Block]:
    """Records of one protocol under its recipe: one comparability key a block."""
    return blocks(records, allow_mixed=allow_mixed)


def _own_recipes(records: Sequence[Record], *, allow_mixed: bool) -> Sequence[Block]:
    """Records of one protocol under the methods' own recipes: one comparability key a method and block."""
    by_method = [[r for r in records if r.method == method] for method in unique([r.method for r in records])]
    parts = [blocks(mine, allow_mixed=allow_mixed) for mine in by_method]
    return [
        Block(tuple(record for part in together if part is not None for record in part.records))
        for together in itertools.zip_longest(*parts)
    ]


def _folds(protocol: str) -> tuple[str, ...]:
    """The folds of a protocol; none for one that is not in the catalog, whose folds are those there are."""
    return catalog.PROTOCOLS[protocol].folds if protocol in catalog.PROTOCOLS else ()
