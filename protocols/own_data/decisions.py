"""What a person decided on doubtful labels, applied to a user's own table: a new table, the old one stays.

The table of decisions has a line for each label looked at, with the columns path, given, decision and label, and unit
for action units; others are not read. Lines belong to pictures by path.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ..base import Protocol
from ..errors import BadInput, unknown
from ..own_files import OwnFiles
from ..readers.text_lines import shown
from .labelled import TRUE, Labelled, own_table, picture_paths, plain_path, read_labelled, rows_in_use
from .tables import TEXTS, Table, csv_bytes, header_of, metadata_files, read_table, separator_of

KEEP, FIX, UNSURE = "keep", "fix", "unsure"
SIGNS: Mapping[str, int] = MappingProxyType({"present": 1, "absent": -1})
_NEEDED = ("path", "given", "decision", "label")
# the page puts an apostrophe before what a spreadsheet would take for a formula
_AS_TEXT = re.compile(r"'+[=+\-@\t\r＝＋－＠]")


@dataclass(frozen=True)
class Decision:
    """A line of a table of decisions.

    Attributes:
        path: of the picture.
        unit: the action unit; "" for expressions.
        given: the label it had.
        decision: "keep", "fix" or "unsure".
        label: the label that it gets by "fix".
        place: where the line stands.
    """

    path: str
    unit: str
    given: str
    decision: str
    label: str
    place: str


@dataclass(frozen=True)
class Corrected:
    """A table with corrected labels.

    Attributes:
        header: the columns of the new table: those of the old one, or of one that is no CSV those that are read.
        content: the new table as CSV, in UTF-8, with the rows of the old one in their order.
        counts: "keep", "fix", "unsure" -> number of labels.
        verified: how many pictures are newly marked as right; None where no column says so.
        added: columns that the old table did not have, as they stand in [data.columns].
        left_out: columns of the old table that the new one does not have.
    """

    header: tuple[str, ...]
    content: bytes
    counts: Mapping[str, int]
    verified: int | None
    added: Mapping[str, str]
    left_out: tuple[str, ...]


def read_decisions(file: Path) -> list[Decision]:
    """The lines of a table of decisions that decide something.

    Raises:
        BadInput: a file that is missing or no table, a column that is missing, a word that is no decision, two lines
            for one label.
    """
    if not file.is_file() or file.suffix.lower() not in TEXTS:
        raise BadInput(f"{file}: no CSV file of decisions; the page of label-errors downloads one")
    header = header_of(file)
    if missing := [name for name in _NEEDED if name not in header]:
        what = "is it the list of suspects? its page downloads the decisions" if "suspicion" in header else "it needs"
        raise BadInput(f"{file}: no column {missing[0]}; {what}: {', '.join(_NEEDED)}")
    columns = [*_NEEDED, *(["unit"] if "unit" in header else [])]
    table = read_table(file, columns)
    found = []
    first: dict[tuple[str, str], str] = {}
    for row in range(len(table)):
        cell = {name: _without_mark(table.columns[name][row]) for name in columns}
        decision, place = cell["decision"].lower(), table.place(row)
        if not decision:
            continue
        if decision not in (KEEP, FIX, UNSURE):
            raise BadInput(f"{place}: decision {shown(cell['decision'])}; write {KEEP}, {FIX} or {UNSURE}")
        key = plain_path(cell["path"]), cell.get("unit", "")
        if (earlier := first.setdefault(key, place)) != place:
            raise BadInput(f"{place}: {shown(cell['path'])} is decided in {earlier} already; leave one of the lines")
        if decision == FIX and cell["label"] == cell["given"]:
            decision = KEEP
        found.append(Decision(*key, cell["given"], decision, cell["label"], place))
    return found


def _without_mark(text: str) -> str:
    return text[1:] if _AS_TEXT.match(text) else text


def corrected(protocol: Protocol, decisions: Sequence[Decision], verified: str = "") -> Corrected:
    """The table of a protocol's own data with the decided labels; nothing is written.

    A label that is fixed becomes the one decided. In the column of verified rows, if there is one, a picture is marked
    whose label was kept or fixed; of action units one with a decision on each unit that is known.

    Args:
        protocol: of own data.
        decisions: of its labels.
        verified: the name of a column of verified rows to add, where the protocol has none.

    Raises:
        BadInput: labels of single annotators, or a decision that does not fit the table: a picture or label that is not
            there, or a given label that the table no longer has. Nothing is applied then.
    """
    own = protocol.own
    assert own is not None  # the caller has refused published data
    if own.column("annotator"):
        raise BadInput(f"{own.file}: the table has a row for each annotator, whose labels are theirs: nothing to apply")
    rows = read_labelled(protocol)
    table, left_out = _whole(protocol, own)
    number = {path: row for row, path in enumerate(rows.path.tolist())}
    paths = picture_paths(own, table)
    line = {paths[row]: row for row in rows_in_use(own, table)}
    added = _add_given(protocol, own, rows, table, line) | _add_verified(own, table, verified)
    decided: dict[str, set[str]] = {}
    for decision in decisions:
        _check(protocol, rows, number.get(decision.path), decision)
        if decision.decision == FIX:
            column = added.get("given") or own.column(f"given {decision.unit}".strip())
            cells = table.columns[column]
            cells[line[decision.path]] = _text(protocol, own, cells, decision)
        if decision.decision != UNSURE:
            decided.setdefault(decision.path, set()).add(decision.unit)
    whole = [path for path, units in decided.items() if units >= _known_units(protocol, rows, number[path])]
    marked = _verify(table, added.get("verified") or own.column("verified"), [line[path] for path in whole])
    counts = Counter(each.decision for each in decisions)
    content = csv_bytes([tuple(table.columns), *zip(*table.columns.values(), strict=True)], *_style(table.files[0]))
    words = {word: counts[word] for word in (KEEP, FIX, UNSURE)}
    return Corrected(tuple(table.columns), content, words, marked, added, left_out)


def _whole(protocol: Protocol, own: OwnFiles) -> tuple[Table, tuple[str, ...]]:
    """The table with every column, and those left out: of a table that is no CSV all that are not read."""
    path = own.table_path
    if not own.table:
        return own_table(protocol, own), ()
    files = metadata_files(path) if path.is_dir() else (path,)
    every = dict.fromkeys(name for file in files for name in header_of(file))
    plain = path.is_file() and path.suffix.lower() in TEXTS
    table = own_table(protocol, own, tuple(every) if plain else ())
    columns = {name: table.columns[name] for name in sorted(table.columns, key=[*every, *table.columns].index)}
    left_out = tuple(name for name in every if name not in columns)
    return Table(table.files, columns, table.lines, table.starts), left_out


def _add_given(
    protocol: Protocol, own: OwnFiles, rows: Labelled, table: Table, line: Mapping[str, int]
) -> dict[str, str]:
    """Adds a column of given labels where they come from class folders or votes; what the protocol must name then."""
    if not own.table:
        if not any(table.columns["split"]):
            del table.columns["split"]
        return {name: name for name in table.columns}
    if protocol.kind == "multi" or own.column("given"):
        return {}
    name = next(name for name in ("given", "given label", "corrected label") if name not in table.columns)
    cells = table.columns[name] = [""] * len(table)
    for path, label in zip(rows.path.tolist(), rows.given.tolist(), strict=True):
        cells[line[path]] = protocol.names[label] if label >= 0 else ""
    return {"given": name}


def _add_verified(own: OwnFiles, table: Table, name: str) -> dict[str, str]:
    """Adds an empty column of verified rows, if one is asked for; what the protocol must name then."""
    if not name:
        return {}
    if own.column("verified") or name in table.columns:
        what = f"the column {shown(own.column('verified') or name)} is there already"
        raise BadInput(f"--verified {name}: {what}; leave it out, or choose another name")
    table.columns[name] = ["0"] * len(table)
    return {"verified": name}


def _check(protocol: Protocol, rows: Labelled, row: int | None, decision: Decision) -> None:
    """Raises BadInput for a decision that does not fit the table; one that changes nothing fits any label."""
    if row is None:
        raise BadInput(f"{decision.place}: {shown(decision.path)} is no picture of {protocol.name}")
    if protocol.kind == "single":
        allowed, given = protocol.names, int(rows.given[row])
        now = protocol.names[given] if given >= 0 else ""
    else:
        if decision.unit not in protocol.names:
            raise BadInput(f"{decision.place}: {unknown('action unit', decision.unit, protocol.names)}")
        sign = int(rows.given[row, protocol.names.index(decision.unit)])
        allowed, now = tuple(SIGNS), next((word for word, value in SIGNS.items() if value == sign), "")
    if decision.decision == UNSURE:
        return
    if decision.given != now:
        what = f"{shown(decision.path)} is given {shown(now)} now, not {shown(decision.given)}"
        raise BadInput(f"{decision.place}: {what}: the decision is about another label; take the line out")
    if decision.decision == FIX and decision.label not in allowed:
        raise BadInput(f"{decision.place}: {unknown('label', decision.label, allowed)}")


def _text(protocol: Protocol, own: OwnFiles, cells: Sequence[str], decision: Decision) -> str:
    """How the table writes a label: as it does elsewhere in the column, if it does."""
    if protocol.kind == "single":
        texts = [text for text, label in own.values if label == decision.label]
        return next((text for text in texts if text in cells), (*texts, decision.label)[0])
    if decision.label == "absent":
        return "0"
    return f"{max(1.0, own.threshold):g}"


def _known_units(protocol: Protocol, rows: Labelled, row: int) -> set[str]:
    """What has a label in a row: the action units that are known, or "" for an expression."""
    if protocol.kind == "single":
        return {""}
    return {name for name, sign in zip(protocol.names, rows.given[row].tolist(), strict=True) if sign}


def _verify(table: Table, column: str, lines: Sequence[int]) -> int | None:
    """Marks rows as right in a column; counts those that were not, None without a column."""
    if not column:
        return None
    cells = table.columns[column]
    new = [row for row in lines if cells[row].lower() not in TRUE]
    for row in new:
        cells[row] = "1"
    return len(new)


def _style(file: Path) -> tuple[str, str]:
    """The separator and the line end of a CSV file, so that the new table differs in what was decided alone."""
    if file.suffix.lower() not in TEXTS or not file.is_file():
        return ",", "\n"
    with file.open("rb") as opened:
        first = opened.readline(1 << 16)
    return separator_of(first.decode("utf-8-sig", "replace")), "\r\n" if first.endswith(b"\r\n") else "\n"
