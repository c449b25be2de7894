"""`diff`: compare the results of two output folders."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...protocols.errors import BadInput
from .options.common import METHODS_SHOWN, PROFILES, warn_of_damage
from .options.records import named_methods
from .options.terminal import print_tables

if TYPE_CHECKING:
    from ...results.analysis.diff import Difference
    from ...results.records.record import Record

_FIELDS = ("verdict", "alarming", "metric", "left", "right", "limit", "pairs", "lost", "gained", "fields")


@dataclass(frozen=True)
class Place:
    """One of the two sets of trials that are compared: a name to print, its records, their folder (None: they ship)."""

    name: str
    records: Sequence[Record]
    folder: Path | None = None

    def chosen(self, profile: str | None, methods: Sequence[str]) -> Place:
        """The place with the trials of a profile and of some methods; None and none choose all."""
        return replace(
            self,
            records=[
                record
                for record in self.records
                if profile in (None, record.identity.profile) and (not methods or record.method in methods)
            ],
        )

    def digests(self, *, counts: bool) -> dict[str, str]:
        """By folder of a finished trial, the digest of its predictions: of the file, or of their counts by epoch."""
        return {
            record.folder: hashlib.sha256(
                repr([line.test.confusion for line in record.epochs]).encode()
                if counts or self.folder is None
                else (self.folder / record.folder / "predictions.npz").read_bytes()
            ).hexdigest()
            for record in self.records
            if record.done
        }


@click.command()
@click.argument("places", metavar="[A] [B]", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--runs", "more", type=click.Path(path_type=Path), multiple=True, metavar="DIR",
    help="A folder to compare, in the place of A or B.",
)  # fmt: skip
@click.option(
    "--with-reference", is_flag=True,
    help="Compare one folder with the results that ship: with those of the cells, seeds and noise draws that it has.",
)  # fmt: skip
@METHODS_SHOWN
@click.option("--profile", type=PROFILES, help="Use only trials of this profile.")
@click.option("--json", "as_json", is_flag=True, help="Print every cell as JSON, unchanged ones too.")
def diff(
    places: tuple[Path, ...],
    more: tuple[Path, ...],
    with_reference: bool,
    methods: tuple[str, ...],
    profile: str | None,
    as_json: bool,
) -> None:
    """Compare the results in output folder B with those in A.

    Cells (protocol, fold, noise level, method) are new, missing, the same, or changed within or beyond random
    variation. Exit code 1 where one changed beyond it, cannot be judged, is missing, or lost finished trials.

    \b
    fernoise-bench diff fernoise-runs other-runs --method elr,gce
    fernoise-bench diff fernoise-runs --with-reference
    """
    from ...results.analysis.diff import differences
    from ...results.tables.diff_table import difference_table

    both = _places((*places, *more), with_reference=with_reference)
    known = {record.method for place in both for record in place.records}
    names = named_methods(methods, known, "these trials")
    before, after = (place.chosen(profile, names) for place in both)
    digests = {
        (side, folder): digest
        for side, place in (("left", before), ("right", after))
        for folder, digest in place.digests(counts=with_reference).items()
    }
    found = differences(before.records, after.records, digests)
    if with_reference:
        click.echo(
            "same bytes: the same test counts at every epoch, since what ships has rounded probabilities", err=True
        )
    if as_json:
        click.echo(json.dumps(_as_json(found), indent=1, allow_nan=False))
    else:
        table = difference_table(found, (before.name, after.name))
        if table.rows:
            print_tables(table, "github")
        else:
            click.echo(table.notes[0])
    if any(each.alarming for each in found):
        sys.exit(1)


def _places(folders: Sequence[Path], *, with_reference: bool) -> tuple[Place, Place]:
    """The two sets of trials to compare; BadInput unless exactly two are named."""
    if len(folders) + with_reference != 2:
        raise BadInput(
            f"{len(folders)} folders{' and --with-reference' * with_reference}: name two folders that `run --out` has "
            "written to, or one and --with-reference"
        )
    own = [Place(str(folder), _records(folder), folder) for folder in folders]
    if with_reference:
        return _reference(own[0]), own[0]
    return own[0], own[1]


def _reference(own: Place) -> Place:
    """What ships, of the cells and (seed, draw) pairs of some trials."""
    from ...results.analysis.diff import key_of
    from ...results.records.reference_leaderboard import shipped_records

    wanted = {(key_of(record), record.pair) for record in own.records}
    records, damaged = shipped_records()
    warn_of_damage(damaged)
    return Place("the results that ship", [each for each in records if (key_of(each), each.pair) in wanted])


def _records(folder: Path) -> list[Record]:
    """The records of a folder, BadInput for one without trials; names damaged trials, which count as missing."""
    from ...results.records.record import load_records

    records, damaged = load_records(folder)
    warn_of_damage(damaged)
    if not records and not damaged:
        raise BadInput(f"{folder} holds no trials; name two folders that `run --out` has written to")
    return records


def _as_json(found: tuple[Difference, ...]) -> dict[str, Any]:
    cells = []
    for each in found:
        level = None if each.key.level < 0 else each.key.level
        values = {name: getattr(each, name) for name in _FIELDS}
        missing = {name: None for name, value in values.items() if isinstance(value, float) and math.isnan(value)}
        cells.append({**each.key._asdict(), "fold": each.key.fold or None, "level": level, **values, **missing})
    return {"counts": Counter(each.verdict for each in found), "cells": cells}
