"""Tables that fit a terminal: fewer columns, then blocks of columns, then cells of several lines. Pure functions."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from tabulate import tabulate

from ..analysis.grouping import MISSING
from .cell import Table
from .columns import DIFFERENCE, MEASURED, REPORTED
from .render import alignment, grid_of, listed, markdown

_FRAME = 3  # letters that a column adds: a bar and a blank on each side
_JOINED = "Cells: reported (measured); --format csv has the differences too."
_HEADING = 2  # letters that tabulate adds to a heading
_LEAST = 6  # letters of a column whose cells are broken into lines


def fitted(tables: Table | Sequence[Table], width: int) -> str:
    """Tables as Markdown whose lines are at most `width` letters wide, as far as words allow; ends with a newline.

    A table that fits is as `render` has it. Of one that does not, a paper's has reported and measured numbers in one
    cell, and columns stand in blocks below each other, each with the columns that name a row.
    """
    several = [tables] if isinstance(tables, Table) else tables
    return "\n".join(_fitted(table, width) for table in several)


def fitted_grid(
    columns: Sequence[str], rows: Sequence[Sequence[str]], sides: Sequence[str], width: int, headers: int = 0
) -> str:
    """A grid of texts; one that is too wide is broken into blocks of columns, and its cells into lines.

    Args:
        columns: headings.
        rows: a text for each column.
        sides: "left" or "right", for each column.
        width: letters of a line.
        headers: columns that name a row, which each block has; 0: no blocks.
    """
    grid = _Grid(columns, rows, sides, headers)
    whole = grid.width <= width or not headers
    parts = [grid] if whole else [grid.only(places) for places in _groups(grid, width)]
    return "\n\n".join(_text(part, width) for part in parts)


def _text(grid: _Grid, width: int) -> str:
    """A grid; cells are broken into lines where it would be wider, the widest columns first."""
    if grid.width <= width:
        return str(tabulate(grid.rows, grid.columns, tablefmt="github", disable_numparse=True, colalign=grid.sides))
    lines = [grid.columns, *grid.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    while sum(widths) + _FRAME * len(widths) + 1 > width and max(widths) > _LEAST:
        widths[widths.index(max(widths))] -= 1
    head, *body = ("\n".join(_lines(row, widths, grid.sides)) for row in lines)
    return "\n".join([head, "".join(f"|{'-' * (each + 2)}" for each in widths) + "|", *body])


def _lines(row: Sequence[str], widths: Sequence[int], sides: Sequence[str]) -> Iterator[str]:
    """The lines of one row."""
    cells = [textwrap.wrap(text, most, break_on_hyphens=False) or [""] for text, most in zip(row, widths, strict=True)]
    for parts in zip_longest(*cells, fillvalue=""):
        texts = (
            part.rjust(most) if side == "right" else part.ljust(most)
            for part, most, side in zip(parts, widths, sides, strict=True)
        )
        yield "| " + " | ".join(texts) + " |"


class _Grid(NamedTuple):
    """The headings, cells and sides of a table as Markdown; the first `headers` columns name a row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    sides: Sequence[str]
    headers: int

    @property
    def widths(self) -> list[int]:
        """Of each column as tabulate has it."""
        texts = zip(*(self.rows or [[""] * len(self.columns)]), strict=True)
        return [max(len(name) + _HEADING, *map(len, column)) for name, column in zip(self.columns, texts, strict=True)]

    @property
    def width(self) -> int:
        return 1 + sum(each + _FRAME for each in self.widths)

    def only(self, places: Sequence[int]) -> _Grid:
        """The columns that name a row, and those at some places."""
        kept = [*range(self.headers), *places]
        rows = [[row[place] for place in kept] for row in self.rows]
        return _Grid([self.columns[p] for p in kept], rows, [self.sides[p] for p in kept], self.headers)


def _fitted(table: Table, width: int) -> str:
    grid, notes = _Grid(*grid_of(table), alignment(table), table.headers), table.notes
    if grid.width > width and (joined := _joined(grid)):
        grid, notes = joined, (_JOINED, *notes)
    grids = fitted_grid(grid.columns, grid.rows, grid.sides, width, grid.headers)
    title = textwrap.fill(f"**{markdown(table.title)}**", width, break_on_hyphens=False)
    listing = "\n".join(_note(note, width) for note in notes)
    return f"{title}\n\n{grids}\n" + (f"\n{listing}\n" if notes else "")


def _joined(grid: _Grid) -> _Grid | None:
    """With "reported (measured)" in one cell, without differences; None where the columns are others."""
    place = {name: at for at, name in enumerate(grid.columns)}
    measured = {
        at: place[name.removesuffix(REPORTED) + MEASURED]
        for name, at in place.items()
        if name.endswith(REPORTED) and name.removesuffix(REPORTED) + MEASURED in place
    }
    if not measured:
        return None
    kept = [at for at, name in enumerate(grid.columns) if not name.endswith((MEASURED, DIFFERENCE))]
    rows = [[_both(row[at], row[measured[at]]) if at in measured else row[at] for at in kept] for row in grid.rows]
    columns = [grid.columns[at].removesuffix(REPORTED) for at in kept]
    return _Grid(columns, rows, [grid.sides[at] for at in kept], grid.headers)


def _both(reported: str, measured: str) -> str:
    return reported if measured in ("", MISSING) else f"{reported} ({measured})".strip()


def _note(note: str, width: int) -> str:
    return textwrap.fill(
        f"- {listed(note)}", width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )


def _groups(grid: _Grid, width: int) -> list[list[int]]:
    """The places of the columns of each block, as many as fit beside those that name a row, at least one."""
    widths = grid.widths
    room = width - 1 - sum(each + _FRAME for each in widths[: grid.headers])
    groups: list[list[int]] = []
    left = 0
    for place in range(grid.headers, len(grid.columns)):
        needed = widths[place] + _FRAME
        if not groups or needed > left:
            groups.append([])
            left = room
        groups[-1].append(place)
        left -= needed
    return groups or [[]]
