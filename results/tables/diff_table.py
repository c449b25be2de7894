"""What changed between two folders of trials, as a table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from ..analysis.diff import VERDICTS, Difference, DiffVerdict, Key
from ..analysis.grouping import MISSING
from ..analysis.view import DECIMALS
from .cell import Cell, Table, minus


def difference_table(found: Sequence[Difference], names: tuple[str, str]) -> Table:
    """The cells that changed or have other trials, those that need attention first, and the number of each verdict.

    Args:
        found: as `differences` returns them.
        names: of the two sets of records.
    """
    shown = sorted((e for e in found if e.verdict != "same bytes" or e.lost or e.gained), key=_severity)
    counts = Counter(each.verdict for each in found)
    notes = [
        "Cells: " + ", ".join(f"{counts[verdict]} {_words(verdict)}" for verdict in VERDICTS if counts[verdict]) + ".",
        "In %, means over the (seed, draw) pairs both have. Limit: the largest difference that chance explains, at the "
        "95% level over all changed cells together; from the standard deviation over seeds, of the method or, if it "
        "has few seeds, of the protocol. Unjudged: no limit, since no cell of the protocol has two seeds.",
    ]
    columns = ("verdict", "protocol", "method", "cell", *names, "difference", "limit", "trials", "changed settings")
    return Table(f"From {names[0]} to {names[1]}", columns, tuple(map(_row, shown)), tuple(notes))


def _words(verdict: DiffVerdict) -> str:
    return f"{verdict} chance" if verdict in ("beyond", "within") else verdict


def _severity(found: Difference) -> tuple[bool, int, Key]:
    return not found.alarming, VERDICTS.index(found.verdict), found.key


def _row(found: Difference) -> tuple[Cell, ...]:
    key, decimals = found.key, DECIMALS.get(found.metric, 2)
    setting = [key.profile, key.source, "partial" * key.partial, "" if key.recipe == "protocol" else key.recipe]
    place = [key.fold, "" if key.level < 0 else f"noise {key.level:g}"]
    trials = f"{found.pairs[0]} → {found.pairs[1]}"
    trials += "".join(f", {len(of)} {what}" for of, what in ((found.lost, "lost"), (found.gained, "gained")) if of)
    return (
        Cell(_words(found.verdict)),
        Cell(f"{key.protocol}, {', '.join(filter(None, setting))}"),
        Cell(key.method),
        Cell(", ".join(filter(None, place)) or MISSING),
        _percent(found.left, decimals),
        _percent(found.right, decimals),
        _percent(found.right - found.left, decimals, signed=True),
        _percent(found.limit, decimals),
        Cell(trials),
        Cell(", ".join(found.fields) or MISSING),
    )


def _percent(share: float, decimals: int, *, signed: bool = False) -> Cell:
    if math.isnan(share):
        return Cell(MISSING)
    return Cell(minus(f"{100 * share:{'+' if signed else ''}.{decimals}f}"), 100 * share)
