"""The columns of seconds and memory of a table, the device that most trials ran on first."""

from __future__ import annotations

import re
from dataclasses import replace

from ..tables.cell import Table

_OF_DEVICE = re.compile(r"(?:seconds|peak MB).*\((?P<device>[^()]*)\)")


def seconds_first(table: Table) -> Table:
    """The table with its columns by device in another order: that of the device with the most numbers first."""
    devices = {place: found["device"] for place, name in enumerate(table.columns) if (found := _OF_DEVICE.match(name))}

    def numbers(place: int) -> int:
        same = [each for each, device in devices.items() if device == devices[place]]
        return sum(row[each].value is not None for each in same for row in table.rows)

    ordered = iter(sorted(devices, key=lambda place: -numbers(place)))
    order = [next(ordered) if place in devices else place for place in range(len(table.columns))]
    rows = tuple(tuple(row[place] for place in order) for row in table.rows)
    return replace(table, columns=tuple(table.columns[place] for place in order), rows=rows)
