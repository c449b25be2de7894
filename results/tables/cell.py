"""The cells and tables that are printed, and cells of means over (seed, draw) pairs."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ..analysis.grouping import MISSING, Summary

UNFINISHED = "‡"


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what is printed.
        value: its number in the column's unit, full precision; None for words and empty cells.
        spread: standard deviation (n - 1) over pairs, in the same unit; None for fewer than two.
        n_ok: complete pairs in the mean; None where the cell is not a mean over pairs.
        n_all: expected pairs.
        status: the state of missing pairs ("2/3, 1 diverged"), "not run" or "reported only"; empty if none is.
        best: the highest value of its column among cells without missing pairs.
        printed: the number as a paper prints it ("59.70", "84.86*"), or a name without its dagger, for what is read by
            programs; empty: value or text is.
        mark: "best" or "second" where a paper's table marks its cells, as words; bold and brackets show it to people.
        flags: what is wrong with a printed number or where it comes from, or oracle knowledge behind a name: kinds of
            flags, with semicolons between.
        repeats: the same as in the row above, so that it is not printed again.
        interval: the ends of an interval whose words are the text; None for other cells.
    """

    text: str
    value: float | None = None
    spread: float | None = None
    n_ok: int | None = None
    n_all: int | None = None
    status: str = ""
    best: bool = False
    printed: str = ""
    mark: str = ""
    flags: str = ""
    repeats: bool = False
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Table:
    """A table to render. Rows have a cell for each column; notes are sentences; `headers` columns name a row; the last
    `apart` rows are a block of their own.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    headers: int = 1
    apart: int = 0


def minus(text: str) -> str:
    """The text with minus signs instead of hyphens."""
    return text.replace("-", "−")


def mean_cell(values: Sequence[float], decimals: int) -> Cell:
    """The mean of some numbers, or "–" of none."""
    if not values:
        return Cell(MISSING)
    mean = math.fsum(values) / len(values)
    return Cell(f"{mean:.{decimals}f}", mean)


def percent_cell(summary: Summary, decimals: int, *, brief: bool = False) -> Cell:
    """Shares, in [0, 1], as a cell in percent. Arguments otherwise as for `number_cell`."""
    return number_cell(summary, decimals, brief=brief, scale=100)


def number_cell(summary: Summary, decimals: int, *, brief: bool = False, scale: int = 1) -> Cell:
    """A mean as a cell: "71.20 ± 0.40", "71.20 ± 0.40 (2/3, 1 diverged)", "0/3, 3 failed", or "–".

    Args:
        summary: its values are averaged.
        decimals: printed; value and spread keep full precision.
        brief: print neither the spread nor what is missing; a double dagger marks the latter.
        scale: by which values are multiplied.
    """
    status = summary.status or ("" if summary.total else "not run")
    if not summary.values:
        text = MISSING if brief else status or MISSING
        return Cell(text, n_ok=summary.complete, n_all=summary.total, status=status)
    value, deviation = scale * math.fsum(summary.values) / len(summary.values), scale * summary.spread
    text = f"{value:.{decimals}f}"
    if not brief and not math.isnan(deviation):
        text += f" ± {deviation:.{decimals}f}"
    if status:
        text += UNFINISHED if brief else f" ({status})"
    known = None if math.isnan(deviation) else deviation
    return Cell(text, value, known, summary.complete, summary.total, status)


def mark_best(
    rows: Sequence[tuple[Cell, ...]], columns: Collection[int], apart: int = 0
) -> tuple[tuple[Cell, ...], ...]:
    """The rows with the highest value of each of these columns marked, where at least two can be compared.

    A cell that lacks pairs is never best, nor is 0, nor the score of a single pair: one seed ranks nothing. The last
    `apart` rows take no part.
    """
    rows, others = rows[: len(rows) - apart], rows[len(rows) - apart :]
    highest: dict[int, float] = {}
    for column in columns:
        values = [value for row in rows if (value := _contest(row[column])) is not None]
        if len(values) > 1 and max(values) > 0:
            highest[column] = max(values)
    marked = (
        tuple(
            replace(cell, best=True) if column in highest and _contest(cell) == highest[column] else cell
            for column, cell in enumerate(row)
        )
        for row in rows
    )
    return (*marked, *others)


def _contest(cell: Cell) -> float | None:
    return None if cell.status or cell.n_ok == 1 else cell.value
