"""The columns of a table that are asked for. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...protocols.errors import BadInput, unknown
from .cell import Table

REPORTED, MEASURED, DIFFERENCE = " reported", " measured", " difference"


def with_columns(tables: Sequence[Table], typed: Sequence[str]) -> list[Table]:
    """The tables with these columns alone, in this order, after those that name a row.

    Args:
        tables: one without any of the columns is left out.
        typed: headings in any case, several with commas between; "Avg." is also "Avg. reported", "Avg. measured", …

    Raises:
        BadInput: no heading, or one that no table has.
    """
    headings = [heading for table in tables for heading in table.columns]
    wanted = [name for each in typed for name in ([each] if _found(each, headings) else _split(each))]
    if not wanted:
        raise BadInput(f"--columns {', '.join(typed)}: name a column, or leave --columns out")
    for name in wanted:
        if not _found(name, headings):
            raise unknown("column", name, headings)
    found = []
    for table in tables:
        places = [place for name in wanted for place in _found(name, table.columns[table.headers :])]
        if places:
            found.append(_only(table, [table.headers + place for place in dict.fromkeys(places)]))
    return found or [_only(table, []) for table in tables]


def _split(typed: str) -> list[str]:
    return [name.strip() for name in typed.split(",") if name.strip()]


def _found(name: str, headings: Sequence[str]) -> list[int]:
    """The places of the headings that a name is for."""
    names = {f"{name}{suffix}".lower() for suffix in ("", REPORTED, MEASURED, DIFFERENCE)}
    return [place for place, heading in enumerate(headings) if heading.lower() in names]


def _only(table: Table, places: Sequence[int]) -> Table:
    """The table with the columns that name a row, and those at some places."""
    kept = [*range(table.headers), *places]
    rows = tuple(tuple(row[place] for place in kept) for row in table.rows)
    return replace(table, columns=tuple(table.columns[place] for place in kept), rows=rows)
