"""The numbers that the five papers print: one file for each table in `reported_numbers/`, cells as printed.

A file holds the table as text, row by row as in the paper, so that it can be checked against the page; below it, what
is measured here for each cell (protocols by column, methods by row), and flags with a reason each.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from ...protocols.errors import BadInput, unknown

Mark = Literal["", "best", "second"]

TABLE_IDS = (
    *("recot-1", "recot-2", "recot-3", "recot-4"),
    *("cocuring-1", "cocuring-2", "cocuring-3", "cocuring-4", "cocuring-5", "cocuring-6"),
    *("ulcag-1", "ulcag-2", "ulcag-3", "ulcag-4", "ulcag-5"),
    *("rhls-1", "rhls-2"),
    "mlcr-1",
)

# copied: taken from another paper · suspect: cannot be correct · misprint: contradicted by the paper itself or by
# its source · mean: not the mean of its row · mark: bold or bracket at the wrong cell
KINDS = ("copied", "suspect", "misprint", "mean", "mark")

_NUMBER = re.compile(r"~?(?P<value>\d[\d,]*(?:\.\d+)?)\*?(?: ± (?P<spread>\d+(?:\.\d+)?))?")


@dataclass(frozen=True)
class Flag:
    """A remark on printed numbers.

    Attributes:
        kind: one of KINDS.
        rows, columns, groups: first labels of rows, headings, and groups it is about; empty: all.
        note: the reason, a clause without a full stop.
    """

    kind: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    groups: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class ReportedCell:
    """A printed cell.

    Attributes:
        text: as printed, without the marks of best and second best ("76.10", "55.05*", "63.0 ± 1.9", "/").
        mark: how the paper marks it.
        value, spread: the numbers in it, or None.
        flags: errors in it, or its source.
    """

    text: str
    mark: Mark
    value: float | None
    spread: float | None
    flags: tuple[Flag, ...]

    @property
    def printed(self) -> str:
        """With its mark: ** ** for bold, [ ] for the second best."""
        return {"": self.text, "best": f"**{self.text}**", "second": f"[{self.text}]"}[self.mark]

    def is_flagged(self, kind: str) -> bool:
        """Whether it carries a flag of that kind."""
        return any(flag.kind == kind for flag in self.flags)


@dataclass(frozen=True)
class Target:
    """What is measured in a column: a protocol's metric (an accuracy, or the mean over AUs), or the F1 of one AU."""

    protocol: str
    au: str | None = None


@dataclass(frozen=True)
class ReportedRow:
    """A printed row.

    Attributes:
        group: the heading it stands under ("SSL", "20"), or "".
        labels: the cells that name it, as printed.
        cells: one for each column.
        method: the method measured in its place; None: only reported.
        level: the noise level measured at; None where the noise has no level.
        within: the paper's marks compare rows with the same value.
    """

    group: str
    labels: tuple[str, ...]
    cells: tuple[ReportedCell, ...]
    method: str | None
    level: float | None
    within: str


@dataclass(frozen=True)
class Panel:
    """A table, or one of several parts side by side.

    Attributes:
        title: of the panel; "" when alone.
        group: heading of the column of groups; None where there is none.
        labels: headings of the cells that name a row.
        columns: headings of the others.
        targets: what is measured in each of those; None: nothing.
        mean: the column that holds the mean of those before it, by position; None without one.
    """

    title: str
    group: str | None
    labels: tuple[str, ...]
    columns: tuple[str, ...]
    targets: tuple[Target | None, ...]
    mean: int | None
    rows: tuple[ReportedRow, ...]

    def decimals(self, column: int) -> int:
        """The most decimals printed in a column."""
        parts = (row.cells[column].text.partition(" ")[0].partition(".")[2].rstrip("*") for row in self.rows)
        return max((len(part) for part in parts), default=0)


@dataclass(frozen=True)
class ReportedTable:
    """A table of a paper.

    Attributes:
        id: such as "recot-2".
        paper, number, caption: as printed ("ReCoT", "Table 2").
        metric: what its numbers are; "" where it holds no results.
        marks: the marks the paper sets, of "best" and "second".
        notes: sentences a reader needs.
        flags: all remarks on its numbers.
    """

    id: str
    paper: str
    number: str
    caption: str
    metric: str
    marks: tuple[str, ...]
    notes: tuple[str, ...]
    panels: tuple[Panel, ...]
    flags: tuple[Flag, ...]

    @property
    def rows(self) -> tuple[ReportedRow, ...]:
        """The rows of all panels."""
        return tuple(row for panel in self.panels for row in panel.rows)


def find(table_id: str) -> ReportedTable:
    """The table of that ID.

    Raises:
        BadInput: no such table (with the nearest IDs), or a file that contradicts itself.
    """
    if table_id not in TABLE_IDS:
        raise unknown("table", table_id, TABLE_IDS)
    try:
        text = (files(__package__) / "reported_numbers" / f"{table_id}.toml").read_text(encoding="utf-8")
        return _table(table_id, tomllib.loads(text))
    except (OSError, LookupError, ValueError, TypeError, AttributeError) as error:
        what = f"results/papers/reported_numbers/{table_id}.toml is damaged ({type(error).__name__}: {error})"
        raise BadInput(f"{what}: install the package again") from error


def _table(table_id: str, content: Mapping[str, Any]) -> ReportedTable:
    flags = tuple(map(_flag, content.get("flag", ())))
    return ReportedTable(
        id=table_id,
        paper=content["paper"],
        number=content["table"],
        caption=content["caption"],
        metric=content["metric"],
        marks=tuple(content["marks"]),
        notes=tuple(content.get("notes", ())),
        panels=tuple(_panel(panel, flags) for panel in content["panel"]),
        flags=flags,
    )


def _flag(content: Mapping[str, Any]) -> Flag:
    if content["kind"] not in KINDS:
        raise ValueError(f"no such kind of flag: {content['kind']}")
    rows, columns, groups = (tuple(content.get(name, ())) for name in ("rows", "columns", "groups"))
    return Flag(content["kind"], rows, columns, groups, content["note"])


def _panel(content: Mapping[str, Any], flags: Sequence[Flag]) -> Panel:
    head, *lines = [[cell.strip() for cell in line.split("|")] for line in content["text"].strip("\n").splitlines()]
    if wrong := [line for line in lines if len(line) != len(head)]:
        raise ValueError(f"a row has not as many cells as the heading: {wrong[0]}")
    group = content.get("group")
    first = (group is not None) + len(content["labels"])
    expected = [*([] if group is None else [group]), *content["labels"]]
    if head[:first] != expected:
        raise ValueError(f"the heading starts with {head[:first]}, not {expected}")
    measured, columns = content.get("measured", {}), tuple(head[first:])
    rows = _rows(lines, head, first, group, content, flags)
    if (
        unused := set(measured.get("methods", {}))
        - {" ".join(row.labels) for row in rows}
        - {r.labels[0] for r in rows}
    ):
        raise ValueError(f"methods of rows that are not there: {sorted(unused)}")
    return Panel(
        title=content.get("title", ""),
        group=group,
        labels=tuple(content["labels"]),
        columns=columns,
        targets=tuple(_target(column, measured) for column in columns),
        mean=columns.index(content["mean"]) if "mean" in content else None,
        rows=rows,
    )


def _rows(
    lines: Sequence[Sequence[str]],
    head: Sequence[str],
    first: int,
    group: str | None,
    content: Mapping[str, Any],
    flags: Sequence[Flag],
) -> tuple[ReportedRow, ...]:
    measured = content.get("measured", {})
    methods, level = measured.get("methods", {}), measured.get("level")
    rows, current = [], ""
    for line in lines:
        if group is not None:
            current = line[0] or current
        labels = tuple(line[0 if group is None else 1 : first])
        named = dict(zip(head, line, strict=True)) | ({} if group is None else {group: current})
        cells = tuple(
            _cell(text, [flag for flag in flags if _is_about(flag, labels[0], column, current)])
            for column, text in zip(head[first:], line[first:], strict=True)
        )
        share = float(named[level].rstrip("%")) / 100 if isinstance(level, str) else level
        method = methods.get(" ".join(labels), methods.get(labels[0]))
        rows.append(ReportedRow(current, labels, cells, method, share, named.get(content.get("within", group), "")))
    return tuple(rows)


def _is_about(flag: Flag, row: str, column: str, group: str) -> bool:
    pairs = ((flag.rows, row), (flag.columns, column), (flag.groups, group))
    return all(not chosen or name in chosen for chosen, name in pairs)


def _cell(printed: str, flags: Sequence[Flag]) -> ReportedCell:
    mark: Mark = "best" if printed.startswith("**") else "second" if printed.startswith("[") else ""
    text = printed[2:-2] if mark == "best" else printed[1:-1] if mark == "second" else printed
    found = _NUMBER.fullmatch(text)
    value = float(found["value"].replace(",", "")) if found else None
    spread = float(found["spread"]) if found and found["spread"] else None
    return ReportedCell(text, mark, value, spread, tuple(flags))


def _target(column: str, measured: Mapping[str, Any]) -> Target | None:
    if column in measured.get("protocols", {}):
        return Target(measured["protocols"][column])
    if not measured.get("aus"):
        return None
    return Target(measured["protocol"], f"AU{column}" if column.isdigit() else None)
