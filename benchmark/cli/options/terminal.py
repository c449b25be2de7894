"""Printing that fits a terminal, and is plain and whole where the output goes elsewhere."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ....results.tables.cell import Table


def terminal_width() -> int | None:
    """Letters of a line of the terminal; None where standard output is none, or closed."""
    return shutil.get_terminal_size().columns if sys.stdout and sys.stdout.isatty() else None


def print_tables(tables: Table | Sequence[Table], form: str) -> None:
    """Prints tables in a format of `render`; as Markdown in a terminal, in blocks of columns that fit it."""
    from ....results.tables.fitted import fitted
    from ....results.tables.render import render

    width = terminal_width()
    click.echo(fitted(tables, width) if width and form == "github" else render(tables, form), nl=False)


def print_grid(columns: Sequence[str], rows: Sequence[Sequence[str]], sides: Sequence[str] = ()) -> None:
    """Prints texts as a Markdown table; in a terminal, cells are broken into lines where it would be too wide.

    Args:
        columns: headings.
        rows: texts, Markdown where it matters.
        sides: "left" or "right" for each column; all left by default.
    """
    from tabulate import tabulate

    from ....results.tables.fitted import fitted_grid

    width, sides = terminal_width(), sides or ["left"] * len(columns)
    if width is None:
        click.echo(tabulate(rows, columns, tablefmt="github", disable_numparse=True, colalign=sides))
    else:
        click.echo(fitted_grid(columns, rows, sides, width))


def hanging(prefix: str, text: str) -> str:
    """A prefix and a text; in a terminal, further lines of the text begin below its first."""
    width = terminal_width()
    if width is None or len(prefix) + len(text) <= width:
        return f"{prefix}{text}".rstrip()
    indent = len(prefix) if len(prefix) <= width // 2 else 4
    return textwrap.fill(
        text,
        max(width, indent + 20),
        initial_indent=prefix,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def folded(text: str) -> str:
    """A text; in a terminal, lines that are too long go on below, further in."""
    width = terminal_width()
    if width is None:
        return text
    lines = (
        [line]
        if len(line) <= width
        else textwrap.wrap(
            line,
            width,
            subsequent_indent=" " * (len(line) - len(line.lstrip()) + 4),
            break_on_hyphens=False,
            break_long_words=False,
        )
        for line in text.split("\n")
    )
    return "\n".join(part for parts in lines for part in parts)
