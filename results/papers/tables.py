"""The papers' tables: reported beside measured, in each paper's own rows, columns and order. Pure functions."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from ...protocols.errors import unknown
from ..analysis.grouping import MISSING, unique
from ..analysis.view import DAGGER, RISING, SHIPPED
from ..records.record import RULES, Record
from ..tables.cell import UNFINISHED, Cell, Table, mark_best, minus, percent_cell
from ..tables.protocol_tables import RULE_WORDS
from .measured import MeasuredBlock, measured_blocks
from .notes import SUSPECT, Counts, notes_of_table
from .reported import Panel, ReportedCell, ReportedRow, ReportedTable, Target, find

__all__ = ["Wanted", "count_cells", "paper_table", "wanted", "wanted_records"]


class Wanted(NamedTuple):
    """Trials a table needs: a method on a protocol at these noise levels (none: the noise has no level), all folds."""

    protocol: str
    method: str
    levels: tuple[float, ...]
    folds: tuple[str, ...] = ()
    profile: str = "paper"


def wanted(table_id: str) -> list[Wanted]:
    """What has to be run to fill a table, in the order of its columns and rows; empty where nothing is measured.

    Raises:
        BadInput: no such table.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for panel in find(table_id).panels:
        protocols = dict.fromkeys(target.protocol for target in panel.targets if target is not None)
        for protocol, row in itertools.product(protocols, panel.rows):
            if row.method is not None:
                levels = found.setdefault((protocol, row.method), [])
                if row.level is not None and row.level not in levels:
                    levels.append(row.level)
    order = {protocol: position for position, protocol in enumerate(dict.fromkeys(protocol for protocol, _ in found))}
    keys = sorted(found, key=lambda key: order[key[0]])
    return [Wanted(protocol, method, tuple(found[protocol, method])) for protocol, method in keys]


def wanted_records(records: Sequence[Record], table_id: str) -> list[Record]:
    """The records a table is about; those of other protocols, methods and levels are left out."""
    levels = {(each.protocol, each.method): each.levels or (None,) for each in wanted(table_id)}
    return [r for r in records if r.level in levels.get((r.protocol, r.method), ())]


def paper_table(
    records: Sequence[Record],
    table_id: str,
    *,
    rule: str = "last",
    allow_mixed: bool = False,
    runs: str = "",
    methods: Collection[str] = (),
) -> tuple[Table, ...]:
    """A paper's table: each number as reported, as measured with its spread, and the difference in points.

    Cells that were not run are empty, and counted in the notes. A panel without any measured cell has the paper's own
    columns alone. Runs under another recipe than the protocol's (a paper's own) make tables of their own.

    Args:
        records: any; records that the table does not need are left out.
        table_id: such as "recot-2".
        rule: the selection rule of what is measured, one of RULES.
        allow_mixed: a set of tables for each setting where the records have several, instead of a refusal.
        runs: the folder of the records, for the command that fills the table; empty: the default folder.
        methods: the rows of these only; empty: all rows.

    Returns:
        A table for each panel, for each setting; at least one.

    Raises:
        BadInput: no such table, no such rule, or records of several settings (the differing fields are named).
    """
    if rule not in RULES:
        raise unknown("selection rule", rule, RULES)
    reported = _with_rows_of(find(table_id), methods) if methods else find(table_id)
    tables: list[Table] = []
    for block in measured_blocks(wanted_records(records, table_id), allow_mixed=allow_mixed):
        panels = [_panel(reported, panel, block, rule) for panel in reported.panels]
        notes = notes_of_table(reported, block, count_cells(reported, block, rule), RULE_WORDS[rule], runs)
        last = len(panels) - 1
        tables.extend(replace(each, notes=notes if i == last else ()) for i, each in enumerate(panels))
    return tuple(tables)


def _with_rows_of(table: ReportedTable, methods: Collection[str]) -> ReportedTable:
    """The table with the rows of some methods, and the remarks on these rows."""
    kept = [replace(panel, rows=tuple(r for r in panel.rows if r.method in methods)) for panel in table.panels]
    names = {row.labels[0] for panel in kept for row in panel.rows}
    flags = tuple(flag for flag in table.flags if not flag.rows or names.intersection(flag.rows))
    return replace(table, panels=tuple(panel for panel in kept if panel.rows), flags=flags)


def count_cells(table: ReportedTable, block: MeasuredBlock, rule: str = "last") -> Counts:
    """How many of a table's cells are measured, unfinished, not run, or reported only."""
    found: Counter[str] = Counter()
    for panel in table.panels:
        targets = [target for target in panel.targets if target is not None]
        for row, target in itertools.product(panel.rows, targets):
            found["reported only" if row.method is None else block.state(row, target, rule)] += 1
    return Counts(*(found[state] for state in ("measured", "unfinished", "not run", "reported only")))


# --- one panel


def _panel(table: ReportedTable, panel: Panel, block: MeasuredBlock, rule: str) -> Table:
    rows, scopes = [], []
    shown = _was_tried(panel, block, rule)
    before = None
    for row in panel.rows:
        for version in block.versions(row.method):
            group = [] if panel.group is None else [Cell(row.group, repeats=row.group == before)]
            before = row.group
            labels = [Cell(label) for label in row.labels]
            labels[0] = _label(row, block, version)
            first = not version or version == block.versions(row.method)[0]
            cells = _row_cells(panel, row, block, version, rule, shown=shown, first=first)
            rows.append((*group, *labels, *cells))
            scopes.append(row.within)
    start = (panel.group is not None) + len(panel.labels)
    columns = (*([] if panel.group is None else [panel.group]), *panel.labels, *_headings(panel, shown=shown))
    ranked = shown and block.comparable
    marked = _marked(rows, scopes, _measured_positions(panel, start), table.marks) if ranked else rows
    return Table(_title(table, panel, block), columns, tuple(marked), headers=start)


def _label(row: ReportedRow, block: MeasuredBlock, version: str) -> Cell:
    """The row's own name, with the version where there are several, and its marks."""
    name = f"{row.labels[0]} #{version}" if version else row.labels[0]
    marks = {DAGGER: "oracle knowledge"} if block.knows(row.method) else {}
    marks |= {RISING: "still rising"} if block.is_rising(row.method, version) else {}
    marks |= {SHIPPED: "shipped"} if block.ships(row.method, version) else {}
    return Cell(" ".join((name, *marks)), printed=name, flags="; ".join(marks.values())) if marks else Cell(name)


def _was_tried(panel: Panel, block: MeasuredBlock, rule: str) -> bool:
    """Whether any cell of a panel has a trial, finished or not."""
    targets = [target for target in panel.targets if target is not None]
    return any(block.summary(row, target, "", rule) for row, target in itertools.product(panel.rows, targets))


def _headings(panel: Panel, *, shown: bool) -> list[str]:
    headings = []
    for column, target in zip(panel.columns, panel.targets, strict=True):
        wide = shown and target is not None
        headings.extend([f"{column} reported", f"{column} measured", f"{column} difference"] if wide else [column])
    return headings


def _measured_positions(panel: Panel, start: int) -> list[int]:
    positions, place = [], start
    for target in panel.targets:
        positions.extend([] if target is None else [place + 1])
        place += 1 if target is None else 3
    return positions


def _row_cells(
    panel: Panel, row: ReportedRow, block: MeasuredBlock, version: str, rule: str, *, shown: bool, first: bool
) -> list[Cell]:
    """The cells of a row; reported numbers are in the row of a method's first version only."""
    cells = []
    for position, (target, printed) in enumerate(zip(panel.targets, row.cells, strict=True)):
        cells.append(_reported(printed) if first else Cell(""))
        if shown and target is not None:
            measured = _measured(row, target, block, version, rule, panel.decimals(position))
            cells.extend((measured, _difference(printed, measured, panel.decimals(position))))
    return cells


def _reported(printed: ReportedCell) -> Cell:
    text = f"[{printed.text}]" if printed.mark == "second" else printed.text
    if any(flag.kind not in ("copied", "mark") for flag in printed.flags):
        text += f" {SUSPECT}"
    return Cell(
        text,
        printed.value,
        printed.spread,
        best=printed.mark == "best",
        printed=printed.text,
        mark=printed.mark,
        flags="; ".join(unique([flag.kind for flag in printed.flags])),
    )


def _measured(row: ReportedRow, target: Target, block: MeasuredBlock, version: str, rule: str, decimals: int) -> Cell:
    if row.method is None:
        return Cell(MISSING, status="reported only")
    summary = block.summary(row, target, version, rule)
    if summary is None:
        return Cell("", status="not run")
    cell = percent_cell(summary, decimals)
    if target.au is None or not cell.status or cell.value is None:
        return cell
    return replace(cell, text=percent_cell(summary, decimals, brief=True).text.rstrip(UNFINISHED) + UNFINISHED)


def _difference(printed: ReportedCell, measured: Cell, decimals: int) -> Cell:
    if printed.value is None or measured.value is None or measured.status:
        return Cell("")
    points = measured.value - printed.value
    return Cell(minus(f"{points:+.{decimals}f}"), points)


def _title(table: ReportedTable, panel: Panel, block: MeasuredBlock) -> str:
    """A panel's title; the caption is in that of the first panel only."""
    title = f"{table.paper}, {table.number}"
    title += f" {panel.title}" if panel.title else ""
    title += f": {table.caption.rstrip('.')}" if panel is table.panels[0] else ""
    return f"{title} [{block.words}]"


# --- best and second best of what is measured


def _marked(
    rows: Sequence[tuple[Cell, ...]], scopes: Sequence[str], columns: Sequence[int], marks: Sequence[str]
) -> list[tuple[Cell, ...]]:
    """The best measured value of each column in bold, the second in brackets where the paper marks it, by scope."""
    result = list(rows)
    for scope in dict.fromkeys(scopes):
        places = [place for place, each in enumerate(scopes) if each == scope]
        best = _in_words(mark_best([result[place] for place in places], columns), columns)
        if "second" in marks:
            best = _with_second(best, columns)
        for place, row in zip(places, best, strict=True):
            result[place] = row
    return result


def _in_words(rows: Sequence[tuple[Cell, ...]], columns: Sequence[int]) -> tuple[tuple[Cell, ...], ...]:
    """The best of these columns with the mark "best", for machine-readable formats."""
    return tuple(
        tuple(replace(cell, mark="best") if cell.best and at in columns else cell for at, cell in enumerate(row))
        for row in rows
    )


def _with_second(rows: Sequence[tuple[Cell, ...]], columns: Sequence[int]) -> tuple[tuple[Cell, ...], ...]:
    second: dict[int, float] = {}
    for column in columns:
        cells = [row[column] for row in rows]
        if any(cell.best for cell in cells):
            others = [cell.value for cell in cells if cell.value is not None and not cell.status and not cell.best]
            second[column] = max(others, default=math.nan)
    return tuple(
        tuple(
            replace(cell, text=f"[{cell.text}]", mark="second")
            if column in second and cell.value == second[column] and not cell.status
            else cell
            for column, cell in enumerate(row)
        )
        for row in rows
    )
