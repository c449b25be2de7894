"""Checks of the reported numbers: each table printed back, its rows' means, its marks, its duplicates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..tables.fitted import fitted_grid
from .reported import TABLE_IDS, Flag, Panel, ReportedRow, ReportedTable, find

__all__ = ["Checked", "RowMean", "check", "checked_text", "problems", "reprint", "row_means"]

_HALF_DIGIT = 0.05
_ROUNDING = 1e-9


@dataclass(frozen=True)
class RowMean:
    """A printed mean beside the mean of its row.

    Attributes:
        row: the row's labels.
        printed: the mean as printed.
        computed: of the row's printed values.
        flagged: the table says that they differ.
    """

    row: str
    printed: str
    computed: float
    flagged: bool

    @property
    def fits(self) -> bool:
        """Whether they agree within half of the last printed digit."""
        return abs(self.computed - float(self.printed)) <= _HALF_DIGIT + _ROUNDING

    @property
    def explicable(self) -> bool:
        """Whether rounding of the values and of the mean can explain the difference."""
        return abs(self.computed - float(self.printed)) <= 2 * _HALF_DIGIT + _ROUNDING


@dataclass(frozen=True)
class Checked:
    """A table, printed back, with what was found."""

    table: ReportedTable
    text: str
    means: tuple[RowMean, ...]
    problems: tuple[str, ...]


def check(table_ids: Sequence[str] = TABLE_IDS) -> tuple[Checked, ...]:
    """Print each table back and check it; a table with all contradictions flagged has no problems.

    Raises:
        BadInput: an unknown table.
    """
    tables = map(find, table_ids)
    return tuple(Checked(table, reprint(table), row_means(table), problems(table)) for table in tables)


def reprint(table: ReportedTable) -> str:
    """The table as text: cells between bars, bold as ** **, the second best in brackets, a group on its first row."""
    return "\n\n".join(_panel_text(panel) for panel in table.panels) + "\n"


def checked_text(checked: Checked, width: int | None = None) -> str:
    """A table as text, with the mean of each row beside it, its flags, and contradictions that are not flagged.

    Args:
        checked: the table.
        width: letters of a line of the terminal; wider panels are broken into blocks of columns.
    """
    table = checked.table
    means = [
        f"{_within(mean)} {'=' if mean.fits else '≠'} {mean.printed}{' (flagged)' if mean.flagged else ''}"
        for mean in checked.means
    ]
    rest = iter(means)
    panels = []
    for panel in table.panels:
        beside = ["mean of the row", *(next(rest) for _ in panel.rows)] if panel.mean is not None else []
        panels.append(_panel_text(panel, beside, width))
    flags = [f"{flag.kind}: {_about(flag)}: {flag.note}" for flag in table.flags]
    parts = [
        f"{table.paper}, {table.number}: {table.caption}",
        *panels,
        "\n".join(["flags:", *(f"  {flag}" for flag in flags)]) if flags else "flags: none",
        "\n".join(["contradictions that are not flagged:", *(f"  {each}" for each in checked.problems)])
        if checked.problems
        else "contradictions that are not flagged: none",
    ]
    return "\n\n".join(parts) + "\n"


def _within(mean: RowMean) -> str:
    """The mean with one digit more than is printed, to show the rounding."""
    return f"{mean.computed:.{len(mean.printed.partition('.')[2]) + 1}f}"


def _about(flag: Flag) -> str:
    """The rows, columns and groups of a flag; "the whole table" where it names none."""
    named = (("group", flag.groups), ("row", flag.rows), ("column", flag.columns))
    parts = [f"{what}{'s' * (len(names) > 1)} {', '.join(names)}" for what, names in named if names]
    return ", ".join(parts) or "the whole table"


def row_means(table: ReportedTable) -> tuple[RowMean, ...]:
    """The mean of every row that has one."""
    return tuple(_row_mean(row, panel.mean) for panel in table.panels if panel.mean is not None for row in panel.rows)


def _row_mean(row: ReportedRow, position: int) -> RowMean:
    values = [cell.value for cell in row.cells[:position] if cell.value is not None]
    cell = row.cells[position]
    return RowMean(" ".join(row.labels), cell.text, math.fsum(values) / len(values), cell.is_flagged("mean"))


def problems(table: ReportedTable) -> tuple[str, ...]:
    """Contradictions that are not flagged, and flags that match no cell; a sentence each."""
    found = []
    for mean in row_means(table):
        if mean.fits == mean.flagged:
            remedy = "flagged, but correct" if mean.flagged else "not flagged"
            found.append(f"{table.id}, {mean.row}: {mean.printed} for {mean.computed:.3f}, {remedy}")
    for panel in table.panels:
        found.extend(f"{table.id}, {what}" for what in (*_wrong_marks(table, panel), *_duplicates(panel)))
    used = {flag for row in table.rows for cell in row.cells for flag in cell.flags}
    found.extend(f"{table.id}: a flag matches no cell: {flag.note}" for flag in table.flags if flag not in used)
    return tuple(found)


def _panel_text(panel: Panel, beside: Sequence[str] = (), width: int | None = None) -> str:
    """A panel's rows as text, with an optional last column; a grid in blocks where they are wider than a terminal."""
    rows = [[*([] if panel.group is None else [panel.group]), *panel.labels, *panel.columns]]
    before = None
    for row in panel.rows:
        group = [] if panel.group is None else [row.group if row.group != before else ""]
        before = row.group
        rows.append([*group, *row.labels, *(cell.printed for cell in row.cells)])
    if beside:
        rows = [[*row, text] for row, text in zip(rows, beside, strict=True)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if width is not None and sum(widths) + 3 * len(widths) > width:
        headers = len(panel.labels) + (panel.group is not None)
        return fitted_grid(rows[0], rows[1:], ["left"] * len(widths), width, headers)
    lines = (" | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def _wrong_marks(table: ReportedTable, panel: Panel) -> list[str]:
    """Cells whose mark is not that of their rank among the rows the paper compares; a lone row is not ranked."""
    if not table.marks:
        return []
    found = []
    for within in dict.fromkeys(row.within for row in panel.rows):
        rows = [row for row in panel.rows if row.within == within]
        for position, column in enumerate(panel.columns):
            ranked = sorted({row.cells[position].value or 0.0 for row in rows}, reverse=True)
            for row in rows if len(rows) > 1 else ():
                cell = row.cells[position]
                rank = ranked.index(cell.value or 0.0)
                due = table.marks[rank] if rank < len(table.marks) else ""
                if cell.mark != due and not cell.is_flagged("mark"):
                    found.append(f"{' '.join(row.labels)}, {column}: marked '{cell.mark}', due '{due}'")
    return found


def _duplicates(panel: Panel) -> list[str]:
    """Rows of one name with the same numbers in another group, none of them flagged as suspect."""
    seen: dict[tuple[str, ...], ReportedRow] = {}
    found = []
    for row in panel.rows:
        key = (row.labels[0], *(cell.text for cell in row.cells))
        if key in seen and row.group != seen[key].group and not any(c.is_flagged("suspect") for c in row.cells):
            found.append(f"{row.labels[0]}: the numbers of group {row.group} are those of group {seen[key].group}")
        seen[key] = row
    return found
