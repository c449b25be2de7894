"""`diff`: compare the results of two output folders."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...protocols.errors import BadInput
from .options import warn_of_damage

if TYPE_CHECKING:
    from ...results.analysis.diff import Difference
    from ...results.records.record import Record

_FIELDS = ("verdict", "alarming", "metric", "left", "right", "limit", "pairs", "lost", "gained", "fields")


@click.command()
@click.argument("left", metavar="A", type=click.Path(path_type=Path))
@click.argument("right", metavar="B", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print every cell as JSON, unchanged ones too.")
def diff(left: Path, right: Path, as_json: bool) -> None:
    """Compare the results in output folder B with those in A.

    Cells (protocol, fold, noise level, method) are new, missing, the same, or changed within or beyond random
    variation. Exit code 1 where one changed beyond it, cannot be judged, is missing, or lost finished trials.
    """
    from ...results.analysis.diff import differences
    from ...results.tables.diff_table import difference_table
    from ...results.tables.render import render

    before, after = _records(left), _records(right)
    digests = {
        (side, record.folder): hashlib.sha256((folder / record.folder / "predictions.npz").read_bytes()).hexdigest()
        for side, folder, found in (("left", left, before), ("right", right, after))
        for record in found
        if record.done
    }
    found = differences(before, after, digests)
    if as_json:
        click.echo(json.dumps(_as_json(found), indent=1, allow_nan=False))
    else:
        table = difference_table(found, (str(left), str(right)))
        click.echo(render(table, "github") if table.rows else table.notes[0], nl=not table.rows)
    if any(each.alarming for each in found):
        sys.exit(1)


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
