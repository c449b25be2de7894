"""A user's table as rows with labels: checked values, one row a picture, nothing decoded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np

from ..base import Protocol
from ..errors import BadInput, unknown
from ..files import Array
from ..own_files import BOX, OwnFiles
from ..packs.file_format import table_digest
from ..readers.text_lines import shown, whole
from .class_folders import read_folders
from .tables import Table, read_table, spelled_plainly

TRUE, _FALSE = ("1", "true", "yes", "y", "1.0"), ("", "0", "false", "no", "n", "0.0")
_MOST_VOTES = 1_000_000
_ONE_A_PICTURE = ("reference", "verified", "subject", "split", "fold", *BOX)


@dataclass(frozen=True)
class Labelled:
    """The pictures that a protocol may use, in the order of the table.

    Attributes:
        path: unicode [N], relative to the folder of pictures, with slashes.
        box: float64 [N, 4], left, top, width, height of the crop; NaN for the whole picture.
        given: int64 [N], -1 for none, or int8 [N, L] in {-1, 0, +1}, 0 for unknown.
        reference: same shape, all unknown where there is none.
        verified: bool [N], rows declared clean.
        subject: unicode [N]; "" throughout where subjects are not known.
        part: unicode [N], "train", "validation", "test" or the name of a fold; "" for rows that are not used.
        votes: int64 [N, C], or None.
        place: where a row stands, for messages.
    """

    path: Array
    box: Array
    given: Array
    reference: Array
    verified: Array
    subject: Array
    part: Array
    votes: Array | None
    place: Callable[[int], str]

    def __len__(self) -> int:
        return len(self.path)

    @property
    def has_subjects(self) -> bool:
        """Whether subjects are known."""
        return bool((self.subject != "").any())

    @property
    def group(self) -> Array:
        """The subject of each row, a distinct value for each row without one: unicode [N]."""
        numbers = np.arange(len(self)).astype(str)
        if not self.has_subjects:
            return numbers
        return np.where(self.subject == "", np.char.add("row ", numbers), self.subject)

    def known(self, labels: Array) -> Array:
        """The rows that have a label, of action units at least one: bool [N]."""
        known: Array = labels >= 0 if labels.ndim == 1 else (labels != 0).any(axis=1)
        return known

    def digest(self, names: Sequence[str], pixels: str) -> str:
        """16 hex digits of the SHA-256 of all labels and of prepared pictures, independent of the names of files."""
        columns = {name: getattr(self, name) for name in ("given", "reference", "verified", "subject", "part", "box")}
        if self.votes is not None:
            columns["votes"] = self.votes
        text = "\0".join([*names, table_digest(columns), pixels])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def take(self, rows: Array) -> Labelled:
        """Some rows."""
        columns = ("path", "box", "given", "reference", "verified", "subject", "part")
        taken = {name: getattr(self, name)[rows] for name in columns}
        numbers, place = np.arange(len(self))[rows], self.place
        votes = None if self.votes is None else self.votes[rows]
        return replace(self, **taken, votes=votes, place=lambda row: place(int(numbers[row])))


def read_labelled(protocol: Protocol) -> Labelled:
    """The rows of a protocol's own table or class folders.

    Raises:
        BadInput: as `read_table`; a picture outside the folder or listed twice, a label, vote, box or name of a part
            that is not allowed, or rows of one picture that contradict each other.
    """
    own = _own(protocol)
    table = own_table(protocol, own)
    paths = picture_paths(own, table)
    keep = rows_in_use(own, table)
    if not own.column("annotator"):
        _refuse_twice(table, paths, keep)
        rows = np.array(keep, np.int64)
        votes = _votes(protocol, own, table, rows)
    else:
        rows, votes = _annotators(protocol, own, table, paths, keep)
    if not len(rows):
        raise BadInput(f"{own.table_path}: no row is left after data.ignore; take labels out of that list")
    plurality = None if votes is None else most_voted(votes)
    from_votes = plurality is not None and (own.column("annotator") or not _has(own, "given"))
    unlabelled = _unlabelled(protocol, len(rows))
    given = plurality if from_votes and plurality is not None else _labels(protocol, own, table, rows, "given")
    how = protocol.option("reference")
    reference = _labels(protocol, own, table, rows, "reference") if how == "column" else unlabelled
    reference = plurality if how == "majority" and plurality is not None else reference
    return Labelled(
        path=np.array([paths[row] for row in rows.tolist()], str),
        box=_boxes(own, table, rows),
        given=given,
        reference=reference,
        verified=_verified(own, table, rows),
        subject=np.array(_identifiers(own, table, rows, "subject"), str),
        part=np.array(_parts(protocol, own, table, rows), str),
        votes=votes,
        place=lambda row: table.place(int(rows[row])),
    )


def most_voted(votes: Array) -> Array:
    """The class with most votes, -1 where several have as many or there is no vote: int64 [N] of int64 [N, C]."""
    most = votes.max(axis=1)
    single = ((votes == most[:, None]).sum(axis=1) == 1) & (most > 0)
    return np.where(single, votes.argmax(axis=1), -1).astype(np.int64)


def _own(protocol: Protocol) -> OwnFiles:
    assert protocol.own is not None  # the design of own data has it
    return protocol.own


def own_table(protocol: Protocol, own: OwnFiles, more: Sequence[str] = ()) -> Table:
    """The columns that a protocol reads, and further ones of its table; class folders as a table."""
    if not own.table:
        known = {**{name: name for name in protocol.names}, **dict(own.values)}
        return read_folders(own.root, [text for text, _ in own.parts], known, own.ignore)
    wanted = [name for what, name in own.columns if what != "votes"]
    if before := own.column("votes"):
        wanted += [f"{before}{name}" for name in protocol.names]
    split = own.column("split") if protocol.option("split") == "parts" else ""
    wanted = [name for name in dict.fromkeys([*wanted, *more]) if name != own.column("split") or split or name in more]
    return read_table(own.table_path, wanted, path_column=own.column("path"), split_column=split)


def _has(own: OwnFiles, what: str) -> bool:
    return any(name.split(" ")[0] == what for name, _ in own.columns)


def _cells(own: OwnFiles, table: Table, rows: Array, what: str) -> list[str]:
    """The text of a column for some rows; "" where there is no such column."""
    column = own.column(what)
    cells = table.columns.get(column) if column else None
    return [""] * len(rows) if cells is None else [cells[row] for row in rows.tolist()]


def _identifiers(own: OwnFiles, table: Table, rows: Array, what: str) -> list[str]:
    """The cells of a column of people or folds; BadInput for one that is written in two ways."""
    cells = _cells(own, table, rows, what)
    places: dict[str, int] = {}
    for at, text in enumerate(cells):
        places.setdefault(text, at)
    first: dict[str, int] = {}
    for text, at in places.items():
        if (earlier := first.setdefault(spelled_plainly(text), at)) != at:
            line = f"{shown(cells[earlier])} in {table.place(int(rows[earlier])).rpartition(', ')[2]}"
            remedy = "write one in one way, or two so that they differ in more than case and zeros"
            raise BadInput(f"{table.place(int(rows[at]))}: {what} {shown(text)}, but {line}; {remedy}")
    return cells


def picture_paths(own: OwnFiles, table: Table) -> list[str]:
    """The path of each row relative to the folder of pictures; BadInput for one that leaves it."""
    root = f"{os.path.abspath(own.root)}/"
    found = []
    for row, text in enumerate(table.columns[own.column("path")]):
        path = text.replace("\\", "/").removeprefix(root)
        parts = path.split("/")
        if not path or path.startswith("/") or ".." in parts or path[1:2] == ":" or "\0" in path:
            what = f"{shown(text)} leaves the folder of pictures, {own.pictures}" if path else "no path of a picture"
            raise BadInput(f"{table.place(row)}: {what}; write paths below data.pictures")
        found.append(plain_path(path))
    return found


def plain_path(path: str) -> str:
    """A path with slashes and without detours, as pictures are named."""
    path = path.replace("\\", "/")
    parts = path.split("/")
    return path if "." not in parts and "" not in parts else PurePosixPath(path).as_posix()


def rows_in_use(own: OwnFiles, table: Table) -> list[int]:
    """The rows whose labels are not among those to be left out."""
    if not own.ignore:
        return list(range(len(table)))
    columns = [table.columns[name] for what, name in own.columns if what in ("given", "reference")]
    ignored = set(own.ignore)
    return [row for row in range(len(table)) if not any(column[row] in ignored for column in columns)]


def _refuse_twice(table: Table, paths: Sequence[str], keep: Sequence[int]) -> None:
    first: dict[str, int] = {}
    for row in keep:
        if (earlier := first.setdefault(paths[row], row)) != row:
            what = f"{shown(paths[row])} is already in {table.place(earlier).rpartition(', ')[2]}"
            remedy = "leave one row a picture, or name data.columns.annotator if several people labelled it"
            raise BadInput(f"{table.place(row)}: {what}; {remedy}")


def _annotators(
    protocol: Protocol, own: OwnFiles, table: Table, paths: Sequence[str], keep: Sequence[int]
) -> tuple[Array, Array]:
    """The first row of each picture, and the votes of its rows, one an annotator: int64 [N], int64 [N, C]."""
    number: dict[str, int] = {}
    rows: list[int] = []
    seen: dict[tuple[str, str], int] = {}
    annotators = _identifiers(own, table, np.array(keep, np.int64), "annotator")
    for row, annotator in zip(keep, annotators, strict=True):
        if (earlier := seen.setdefault((paths[row], annotator), row)) != row:
            who = f"{shown(annotator)} labelled {shown(paths[row])}"
            raise BadInput(f"{table.place(row)}: {who} in line {table.lines[earlier]:,} too; leave one of the rows")
        if number.setdefault(paths[row], len(rows)) == len(rows):
            rows.append(row)
            continue
        first = rows[number[paths[row]]]
        for what in _ONE_A_PICTURE:
            cells = table.columns.get(own.column(what), [])
            if cells and cells[row] != cells[first]:
                other = f"{shown(cells[first])} in line {table.lines[first]:,}"
                raise BadInput(f"{table.place(row)}: {what} {shown(cells[row])} of a picture that has {other}")
    labels = _single(protocol, own, table, np.array(keep, np.int64), "given")
    votes = np.zeros((len(rows), len(protocol.names)), np.int64)
    voted = labels >= 0
    np.add.at(votes, (np.array([number[paths[row]] for row in keep], np.int64)[voted], labels[voted]), 1)
    return np.array(rows, np.int64), votes


def _votes(protocol: Protocol, own: OwnFiles, table: Table, rows: Array) -> Array | None:
    """The votes for each class: int64 [N, C], None where there are none."""
    before = own.column("votes")
    if not before:
        return None
    votes = np.zeros((len(rows), len(protocol.names)), np.int64)
    for position, name in enumerate(protocol.names):
        for at, text in enumerate([table.columns[f"{before}{name}"][row] for row in rows.tolist()]):
            number = whole(text or "0")
            if number is None or number > _MOST_VOTES:
                where = table.place(int(rows[at]))
                raise BadInput(f"{where}: {shown(text)} votes for {name}; write a whole number of 0 or more")
            votes[at, position] = number
    return votes


def _labels(protocol: Protocol, own: OwnFiles, table: Table, rows: Array, what: str) -> Array:
    """Given or reference labels: int64 [N], or int8 [N, L]."""
    return (_single if protocol.kind == "single" else _units)(protocol, own, table, rows, what)


def _unlabelled(protocol: Protocol, count: int) -> Array:
    if protocol.kind == "single":
        return np.full(count, -1, np.int64)
    return np.zeros((count, len(protocol.names)), np.int8)


def _single(protocol: Protocol, own: OwnFiles, table: Table, rows: Array, what: str) -> Array:
    number = {name: position for position, name in enumerate(protocol.names)}
    number |= {text: number[label] for text, label in own.values}
    number = {"": -1, **number, **dict.fromkeys(own.ignore, -1)}
    cells = _cells(own, table, rows, what)
    try:
        return np.array([number[text] for text in cells], np.int64)
    except KeyError:
        at = next(at for at, text in enumerate(cells) if text not in number)
    hint = str(unknown("label", cells[at], [name for name in number if name])).partition(": ")[2]
    remedy = "say what it means in [data.values], or list it in data.ignore"
    raise BadInput(f"{table.place(int(rows[at]))}: {what} label {shown(cells[at])} is no class ({hint}); {remedy}")


def _units(protocol: Protocol, own: OwnFiles, table: Table, rows: Array, what: str) -> Array:
    labels = _unlabelled(protocol, len(rows))
    columns = own.columns_of(what, protocol.names)
    sign: dict[str, int] = dict.fromkeys(own.unknown, 0)
    for position, name in enumerate(protocol.names):
        if name not in columns:
            continue
        cells = table.columns[columns[name]]
        for at, row in enumerate(rows.tolist()):
            text = cells[row]
            if text not in sign:
                sign[text] = _sign(text, own, f"{table.place(row)}: {name}")
            labels[at, position] = sign[text]
    return labels


def _sign(text: str, own: OwnFiles, where: str) -> int:
    """Whether an action unit is present (+1) or absent (-1)."""
    try:
        value = float(text) if text.isascii() else -1.0
    except ValueError:
        value = -1.0
    if value in (float(word) for word in own.unknown if word.isascii() and word.isdigit()):
        return 0
    if not 0 <= value <= 100:
        remedy = "write 0, 1 or an intensity, or list it in data.unknown"
        raise BadInput(f"{where} is {shown(text)}; {remedy}")
    if own.present_from is None and 0 < value < 1:
        what = "which says nothing of presence without data.present_from, the smallest value of a unit that is present"
        raise BadInput(f"{where} is {shown(text)}, {what}; set it: 2 is usual for intensities, 0.5 for probabilities")
    return 1 if value >= own.threshold else -1


def _verified(own: OwnFiles, table: Table, rows: Array) -> Array:
    """The rows declared clean: bool [N]."""
    cells = [text.lower() for text in _cells(own, table, rows, "verified")]
    if wrong := set(cells) - {*TRUE, *_FALSE}:
        at = next(at for at, text in enumerate(cells) if text in wrong)
        what = f"verified is {shown(cells[at])}; write 1 or 0, true or false, yes or no"
        raise BadInput(f"{table.place(int(rows[at]))}: {what}")
    return np.isin(np.array(cells, str), TRUE)


def _boxes(own: OwnFiles, table: Table, rows: Array) -> Array:
    """The crop boxes, NaN where all four are empty."""
    boxes = np.full((len(rows), len(BOX)), np.nan)
    if not own.column(BOX[0]):
        return boxes
    for at, row in enumerate(rows.tolist()):
        cells = [table.columns[own.column(name)][row] for name in BOX]
        if not any(cells):
            continue
        try:
            boxes[at] = [float(text) for text in cells]
            good = bool(np.isfinite(boxes[at]).all()) and min(boxes[at, 2:]) >= 1
        except ValueError:
            good = False
        if not good:
            raise BadInput(f"{table.place(row)}: the crop box {', '.join(cells)}; write {', '.join(BOX)} in pixels")
    return boxes


def _parts(protocol: Protocol, own: OwnFiles, table: Table, rows: Array) -> list[str]:
    """The part or fold of each row, as the table says; "" where the rows are split by a seed, and for an empty cell."""
    how = protocol.option("split")
    if how not in ("parts", "fold column"):
        return [""] * len(rows)
    what = "split" if how == "parts" else "fold"
    known = {"": "", **(dict(own.parts) if how == "parts" else {name: name for name in protocol.folds})}
    cells = _cells(own, table, rows, what) if how == "parts" else _identifiers(own, table, rows, what)
    found = []
    for row, text in zip(rows.tolist(), cells, strict=True):
        if text not in known:
            names = ", ".join(name for name in known if name)
            raise BadInput(f"{table.place(row)}: {what} {shown(text)} is none of {names}; list it in [split]")
        found.append(known[text])
    return found
