"""Where the papers print a number for what a protocol measures: looked up by protocol, method and noise level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from .reported_tables import TABLE_IDS, Panel, ReportedRow, ReportedTable, find
from .views import View

_Key = tuple[str, str | None, float | None]


@dataclass(frozen=True)
class Printed:
    """A number of a paper.

    Attributes:
        text: as printed.
        value: the number in it.
        table: its table's ID.
        where: paper, table and row, in words.
        label: the class or AU it is of; None: the protocol's metric.
        remarks: what is wrong with it or where it comes from.
    """

    text: str
    value: float
    table: str
    where: str
    label: str | None
    remarks: tuple[str, ...]


def printed_for(protocol: str, method: str, level: float | None) -> list[Printed]:
    """What the papers print for a method on a protocol at a level, in the order of their tables."""
    return list(_index()[0].get((protocol, method, level), ()))


def printed_only(view: View) -> list[dict[str, Any]]:
    """Rows the papers print for a protocol whose method is not in this harness: label, and numbers for each level."""
    protocol = view.identity["protocol"]["name"]
    found = [(label, numbers) for (name, label), numbers in _index()[1].items() if name == protocol]
    rows = []
    for label, numbers in found:
        cells = [[asdict(each) for each in numbers.get(level, ())] for level in view.levels]
        if any(cells):
            rows.append({"label": label, "cells": cells})
    return rows


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
                        levels = others.setdefault((protocol, row.labels[0].rstrip("*†‡")), {})
                        levels.setdefault(row.level, []).append(printed)
    return MappingProxyType(measured), MappingProxyType(others)


def _printed(table: ReportedTable, panel: Panel, row: ReportedRow) -> list[tuple[str, Printed]]:
    where = f"{table.paper}, {table.number}, {' '.join(row.labels)}"
    found = []
    for target, cell in zip(panel.targets, row.cells, strict=True):
        if target is not None and cell.value is not None:
            remarks = tuple(f"{flag.kind}: {flag.note}" for flag in cell.flags)
            found.append((target.protocol, Printed(cell.text, cell.value, table.id, where, target.au, remarks)))
    return found
