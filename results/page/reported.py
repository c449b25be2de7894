"""The papers' numbers for what a protocol measures, looked up by protocol, method and noise level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from ..analysis.grouping import unique
from ..analysis.view import View
from ..papers.reported import TABLE_IDS, Panel, ReportedRow, ReportedTable, find

_Key = tuple[str, str, float | None]


@dataclass(frozen=True)
class Printed:
    """A number of a paper.

    Attributes:
        text: as printed.
        value: the number in it.
        table: its table's ID.
        where: paper, table and row, in words.
        name: of the row, without the paper's own marks.
        label: the class or AU it is of; None: the protocol's metric.
        remarks: what is wrong with it or where it comes from.
        flags: the kinds of those remarks ("copied", "suspect", "misprint", "mean"), without "mark".
    """

    text: str
    value: float
    table: str
    where: str
    name: str
    label: str | None
    remarks: tuple[str, ...]
    flags: tuple[str, ...]


def printed_for(protocol: str, method: str, level: float | None) -> list[Printed]:
    """What the papers print for a method on a protocol at a level, in the order of their tables."""
    return list(_index()[0].get((protocol, method, level), ()))


def printed_only(view: View) -> list[dict[str, Any]]:
    """Rows of the papers for a protocol whose method was not measured.

    Returns:
        "label", "method" (None: not implemented here; else not run), "printed" (its names in the papers),
        and "cells", the numbers for each level; implemented methods first.
    """
    protocol = view.protocol
    present = {entry.method for entry in view.rows}
    absent = sorted({method for name, method, _ in _index()[0] if name == protocol} - present)
    rows = [_row(name, name, [printed_for(protocol, name, level) for level in view.levels]) for name in absent]
    others = [(label, numbers) for (name, label), numbers in _index()[1].items() if name == protocol]
    rows += [_row(label, None, [numbers.get(level, ()) for level in view.levels]) for label, numbers in others]
    return [row for row in rows if any(row["cells"])]


def _row(label: str, method: str | None, cells: Sequence[Sequence[Printed]]) -> dict[str, Any]:
    names = unique([each.name for cell in cells for each in cell])
    numbers = [[asdict(each) for each in cell] for cell in cells]
    return {"label": label, "method": method, "printed": list(names), "cells": numbers}


@cache
def _index() -> tuple[
    Mapping[_Key, Sequence[Printed]], Mapping[tuple[str, str], Mapping[float | None, Sequence[Printed]]]
]:
    """Numbers by (protocol, method, level); those of methods that are only reported by (protocol, label), by level."""
    measured: dict[_Key, list[Printed]] = {}
    others: dict[tuple[str, str], dict[float | None, list[Printed]]] = {}
    for table in map(find, TABLE_IDS):
        for panel in table.panels:
            for row in panel.rows:
                for protocol, printed in _printed(table, panel, row):
                    if row.method is not None:
                        measured.setdefault((protocol, row.method, row.level), []).append(printed)
                    else:
                        levels = others.setdefault((protocol, printed.name), {})
                        levels.setdefault(row.level, []).append(printed)
    return MappingProxyType(measured), MappingProxyType(others)


def _printed(table: ReportedTable, panel: Panel, row: ReportedRow) -> list[tuple[str, Printed]]:
    where = f"{table.paper}, {table.number}, {' '.join(row.labels)}"
    name = row.labels[0].rstrip("*†‡")
    found = []
    for target, cell in zip(panel.targets, row.cells, strict=True):
        if target is not None and cell.value is not None:
            remarks = tuple(f"{flag.kind}: {flag.note}" for flag in cell.flags)
            flags = unique([flag.kind for flag in cell.flags if flag.kind != "mark"])
            printed = Printed(cell.text, cell.value, table.id, where, name, target.au, remarks, flags)
            found.append((target.protocol, printed))
    return found
