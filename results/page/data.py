"""What the leaderboard page shows, as plain JSON data. Pure: the same numbers as in the tables; writes nothing."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
from msgspec import structs

from ...protocols import catalog
from ...protocols.designs.held_out import suffix_of
from ...protocols.errors import BadInput
from ...protocols.own_files import LAYOUT as OWN_LAYOUT
from ..analysis.comparisons import LEAST_PAIRS
from ..analysis.grouping import Entry, Paired, grouped, unique
from ..analysis.stored_findings import LabelFindings
from ..analysis.view import Expected, Rows, View, at_level, known_folds, oracle_knowledge, views_of
from ..claims.verdicts import Verdict
from ..plots.curves import view_curves
from ..records.record import RULES, Record
from ..records.schema import Environment, Identity, comparability_key
from ..tables.audit_tables import audit_page
from ..tables.cell import Cell, Table, percent_cell
from ..tables.parts import level_words, notes_of, title_of
from ..tables.probabilities.calibration_table import calibration_table
from ..tables.probabilities.label_error_tables import label_error_tables
from ..tables.protocol_tables import RULE_WORDS, long_table
from ..tables.rank_tables import Agreement
from .block_names import setting_words
from .comparisons import compared
from .methods import MethodCard, methods_of
from .over_protocols import matrices
from .ranks import agreements_across, diagrams, noise_agreement, ranks_of_block
from .reported import printed_for, printed_only
from .rivals import COLUMNS, baseline, declared, rivals
from .seconds import seconds_first

FORMAT = 3

_FURTHER = ("teachers", "aux", "annotators")  # parts of a trial's identity that follow from its method

Json = dict[str, Any]
CardRows = Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Card:
    """A protocol's card at a profile: (what, value, source) rows, as `show protocol` prints them."""

    title: str
    rows: CardRows


@dataclass(frozen=True)
class Context:
    """What the page shows besides the numbers of the records; all optional.

    Attributes:
        cards: by (protocol, profile).
        claims: a verdict for each claim and protocol it was tested on.
        not_applicable: by protocol, the methods that cannot run there with the reason.
        about: sentences that describe the records; shown first.
        remarks: sentences about the records as a whole (damaged trials).
        rows: what rows are called.
        methods: by method without variant, what is known of it.
        findings: what the scores of trials find of their wrong labels.
    """

    cards: Mapping[tuple[str, str], Card] = field(default_factory=lambda: MappingProxyType({}))
    claims: Sequence[Verdict] = ()
    not_applicable: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    about: Sequence[str] = ()
    remarks: Sequence[str] = ()
    rows: Rows = Rows()
    methods: Mapping[str, MethodCard] = field(default_factory=lambda: MappingProxyType({}))
    findings: LabelFindings = field(default_factory=LabelFindings)


def page_data(records: Sequence[Record], context: Context | None = None) -> Json:
    """All data of the page. Each block has records of one comparability key.

    Args:
        records: at least one; any protocols, profiles and sources.
        context: cards, claims, and what is said of the records.

    Returns:
        JSON data: "protocols", each with its "blocks", one a comparability key; "environments", which trials point to;
        "agreement" (of synthetic noise with people's errors); "methods", "meta" (methods against methods over
        protocols), "rivals" (names of the numbers of a comparison), "claims", "rules", "about", "remarks", "counts".
        Scores are in percent; a missing number is null.

    Raises:
        BadInput: no records.
    """
    if not records:
        raise BadInput("there are no trials to show: run some first, or give the folder that holds them with --runs")
    context = context or Context()
    groups = grouped(records, lambda record: record.identity.protocol.key)
    keys = _in_catalog_order(groups)
    views = {key: _views(groups[key], context.rows) for key in keys}
    every = [view for key in keys for view in views[key]]
    across = agreements_across(every)
    agreed, environments = iter(across), Environments()
    protocols = [_protocol(key, views[key], agreed, context, environments) for key in keys]
    return {
        "format": FORMAT,
        "rules": [{"name": rule, "words": RULE_WORDS[rule]} for rule in RULES],
        "agreement": noise_agreement(every, across),
        "protocols": protocols,
        "environments": environments.found,
        "methods": methods_of(records, context.methods),
        "meta": matrices(records, context.rows),
        "rivals": list(COLUMNS),
        "claims": [_claim(verdict) for verdict in context.claims],
        "about": list(context.about),
        "remarks": list(context.remarks),
        "counts": {
            "trials": len(records),
            "done": sum(record.done for record in records),
            "methods": len({record.method for record in records}),
            "protocols": len(groups),
        },
    }


class Environments:
    """Environments without repetition: trials point to them by position."""

    def __init__(self) -> None:
        self.found: list[Json] = []
        self._places: dict[bytes, int] = {}

    def place(self, environment: Environment) -> int:
        """The position of this environment; its noise, which belongs to a trial, is left out."""
        key = msgspec.json.encode(structs.replace(environment, noise=None), order="sorted")
        if key not in self._places:
            self._places[key] = len(self.found)
            content = msgspec.json.decode(key) if environment.known else {}
            self.found.append({name: value for name, value in content.items() if name != "noise"})
        return self._places[key]


def _in_catalog_order(keys: Iterable[str]) -> list[str]:
    order = {name: position for position, name in enumerate(catalog.PROTOCOLS)}
    return sorted(keys, key=lambda key: (order.get(key.rpartition("@")[0], len(order)), key))


def _protocol(
    key: str,
    views: Sequence[View],
    across: Iterator[Sequence[Agreement]],
    context: Context,
    environments: Environments,
) -> Json:
    name = key.rpartition("@")[0]
    known = catalog.known(name)
    words = setting_words([view.block for view in views])
    found = [_block(*each, next(across), context, environments) for each in zip(views, words, strict=True)]
    return {"key": key, "name": name, "title": known.title if known else "", "blocks": found}


# --- a block: records of one comparability key


def _views(records: Sequence[Record], rows: Rows) -> list[View]:
    return views_of(records, Expected(folds=known_folds(records[0].protocol), rows=rows), allow_mixed=True)


def _block(view: View, words: str, across: Sequence[Agreement], context: Context, environments: Environments) -> Json:
    block, identity = view.block, view.identity
    own = Expected(folds=view.folds, rows=context.rows)
    *audit, compute = audit_page(block.records, own, blank=True)
    ranks = ranks_of_block(view, across, context.rows)
    found = {entry.method for entry in view.rows}
    refused = context.not_applicable.get(view.protocol, {})
    card = context.cards.get((view.protocol, identity.profile))
    return {
        "title": title_of(view, "leaderboard"),
        "words": words,
        **identity.setting._asdict(),
        "metric": view.metric_words,
        "decimals": view.decimals,
        "names": list(view.names),
        "levels": [_level(view, level) for level in view.levels],
        "rivals": rivals(view),
        "declared": declared(view),
        "baseline": baseline(view),
        "identity": comparability_key(identity.content),
        "rows": [_row(view, entry, environments) for entry in view.rows],
        "printed_only": printed_only(view),
        "not_applicable": {method: reason for method, reason in refused.items() if method not in found},
        "notes": list(notes_of(view, [], [])),
        "rules": _table(seconds_first(_without_best_of_one(view, long_table(block.records, own)[0]))),
        "ranks": [_table(table) for table in ranks],
        "diagrams": [each for table in ranks for each in diagrams(table, view)],
        "audit": [_table(table) for table in audit],
        "calibration": [_table(table) for table in _calibration(view, own)],
        "wrong_labels": [_table(table) for table in _wrong_labels(view, own, context.findings)],
        "compute": _table(seconds_first(compute)),
        "card": None if card is None else asdict(card),
    }


def _calibration(view: View, expected: Expected) -> Sequence[Table]:
    """How well probabilities fit test labels and votes; none where no trial has recorded it, and of action units."""
    if view.metric == "f1" or not any(record.fit("nll") is not None for record in view.block.records if record.done):
        return ()
    return calibration_table(view.block.records, expected)


def _wrong_labels(view: View, expected: Expected, findings: LabelFindings) -> Sequence[Table]:
    """The tables of how well scores find wrong labels; none where no trial has findings."""
    records = [record for record in view.block.records if record.folder in findings.found]
    if not records:
        return ()
    return label_error_tables(records, findings.found, expected, findings.estimated)


def _level(view: View, level: float | None) -> Json:
    curves = view_curves(view, level)
    return {
        "level": level,
        "words": view.metric_words if level is None else level_words(level),
        "pairs": len(view.pairs(level)),
        "comparison": compared(view, level),
        "curves": [
            {"label": each.label, "test": _percents(each.test), "memorised": _percents(each.memorised)}
            for each in curves.curves
        ],
        "without_curve": list(curves.missing),
        "unmemorised": curves.unmemorised,
    }


def _percents(shares: Sequence[float]) -> list[float | None]:
    return [_rounded(100 * share) for share in shares]


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)


# --- a row: a method in one version, with a cell for each level


def _row(view: View, entry: Entry, environments: Environments) -> Json:
    known = [record.environment for record in entry.records if record.environment.known]
    return {
        "label": entry.label,
        "method": entry.method,
        "identity": entry.records[0].identity.content["method"] if entry.records else {},
        "oracle": list(oracle_knowledge(entry.records)),
        "apart": entry.label in view.apart,
        "rising": entry.label in view.rising,
        "shipped": any(record.shipped for record in entry.records),
        "unstated": list(unique([name for each in known for name in each.unstated])),
        "networks": max((each.networks for each in known), default=None),
        "cells": [_cell(view, entry, level, environments) for level in view.levels],
    }


def _cell(view: View, entry: Entry, level: float | None, environments: Environments) -> Json:
    printed = printed_for(view.protocol, entry.method, level)
    return {
        "rules": {rule: _numbers(view, entry, level, rule) for rule in RULES},
        "printed": [asdict(each) for each in printed],
        "trials": [_trial(record, environments) for record in at_level(entry, level)],
        "command": command(view.identity, entry.method, level, view.pairs(level)),
    }


def _numbers(view: View, entry: Entry, level: float | None, rule: str) -> Json:
    """A rule's cell as the tables print it, and the mean of each class or AU."""
    cell = percent_cell(view.summary(entry, level, lambda record: record.headline(rule)), view.decimals)
    labels = _of_labels(view.paired(entry, level), rule)
    return {**_plain(cell), "labels": labels if any(each is not None for each in labels) else []}


def _of_labels(paired: Paired, rule: str) -> list[float | None]:
    """The mean over pairs of each class or AU in percent; None where a trial has no such number."""
    scores = [[record.scores.get(rule) for record in done] for done in paired.complete]
    if not scores or any(score is None for done in scores for score in done):
        return []
    values = [[score.per_label for score in done if score is not None] for done in scores]
    means = np.array(values, dtype=np.float64).mean(axis=1).mean(axis=0)  # folds of a pair, then pairs
    return [_rounded(100 * float(mean)) for mean in means]


def _trial(record: Record, environments: Environments) -> Json:
    """A trial's provenance; with the identity of its block and row, all that its name is the hash of."""
    identity, noise = record.identity, record.environment.noise
    scores = [record.headline(rule) for rule in RULES]
    return {
        "folder": record.folder,
        "seed": identity.seed,
        "draw": identity.draw,
        "fold": record.fold,
        "state": record.state,
        "reason": record.status.reason,
        "seconds": _rounded(record.status.seconds, 1),
        "scores": [None if score is None else _rounded(100 * score) for score in scores],
        "realised": None if noise is None else _rounded(noise.realised, 6),
        "environment": environments.place(record.environment),
        "more": {name: identity.content[name] for name in _FURTHER if name in identity.content},
    }


def command(identity: Identity, method: str, level: float | None, pairs: Sequence[tuple[int, int]]) -> str:
    """The command that repeats a cell, quoted for a shell; it adds the seeds that are missing."""
    name = identity.protocol.name
    own = identity.data.layout.startswith(OWN_LAYOUT) and catalog.known(name) is None
    file = f"FILE.toml{suffix_of(name)}"
    words = ["fernoise-bench", "run", "--protocol", file if own else name, "--method", method]
    words += [] if level is None else ["--noise", f"{level:g}"]
    words += ["--seeds", str(1 + max((seed for seed, _ in pairs), default=0)), "--profile", identity.profile]
    words += ["--synthetic"] if identity.source == "generated" else []
    words += ["--partial"] if identity.partial else []
    words += ["--recipe", identity.recipe] if identity.recipe != "protocol" else []
    precision = identity.settings.precision
    words += ["--precision", precision] if precision != "fp32" else []
    words += ["--compile"] if identity.settings.compiled else []
    return shlex.join(words)


def _claim(verdict: Verdict) -> Json:
    claim = verdict.claim
    numbers = {name: _rounded(getattr(verdict, name), 6) for name in ("difference", "low", "high", "p", "printed")}
    return {
        **numbers,
        "paper": claim.name,
        "statement": claim.statement,
        "oracle_knowledge": list(verdict.oracle_knowledge),
        "where": claim.where,
        "quote": claim.quote,
        "words": claim.words,
        "verdict": verdict.verdict,
        "figures": verdict.words,
        "protocol": verdict.protocol,
        "profile": verdict.profile,
        "source": verdict.source,
        "stand_in": verdict.stand_in,
        "pairs": verdict.pairs,
        "subjects": verdict.subjects,
        "remarks": list(claim.remarks),
    }


# --- plain values


def _without_best_of_one(view: View, table: Table) -> Table:
    """The long table, a row for each level and method, with nothing marked best where a level has a single pair."""
    levels = [level for rows in (view.ranked_rows, view.apart_rows) for level in view.levels for _ in rows]
    alone = [len(view.pairs(level)) < LEAST_PAIRS for level in levels]
    rows = [
        tuple(replace(cell, best=False) for cell in row) if one else row
        for row, one in zip(table.rows, alone, strict=True)
    ]
    return replace(table, rows=tuple(rows))


def _table(table: Table) -> Json:
    rows = [[_plain(cell) for cell in row] for row in table.rows]
    found = {"title": table.title, "columns": list(table.columns), "rows": rows, "notes": list(table.notes)}
    return found | ({"apart": table.apart} if table.apart else {})


def _plain(cell: Cell) -> Json:
    """A cell's fields, without empty ones."""
    found: Json = {"text": cell.text}
    if cell.value is not None:
        found["value"] = _rounded(cell.value, 6)
    if cell.spread is not None:
        found["spread"] = _rounded(cell.spread, 6)
    if cell.n_all is not None:
        found |= {"ok": cell.n_ok, "all": cell.n_all}
    if cell.status:
        found["status"] = cell.status
    if cell.best:
        found["best"] = True
    return found
