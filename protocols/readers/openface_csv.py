"""The rows of OpenFace 2.x CSV files: columns by name, values checked, errors that name the file and the line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import BadInput
from .listing import CHOICES_FILE
from .text_lines import bad_line, fields_of, lines, shown

AGAIN = "run OpenFace on the pictures again"
AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45)
FILE_COLUMNS = ("file", "filename", "file_name", "name", "image", "image_name", "img", "path")

_WITHOUT_INTENSITY = 28
_STRONGEST = 5.0
_AU_COLUMN = re.compile(r"AU\d\d_([rc])")
_UNKNOWN = (0,) * len(AUS)


@dataclass(frozen=True)
class Choices:
    """What a user can choose; the module docstring of `openface` says what each means."""

    file_column: str = ""
    labels: str = "presence"
    threshold: float = 1.0
    confidence: float = 0.0


class Columns(NamedTuple):
    """Positions in a row, -1 for a column that is not there; `counts` of the intensity and presence columns."""

    width: int
    aus: tuple[int, ...]
    file: int
    frame: int
    face: int
    confidence: int
    success: int
    counts: str


class Face(NamedTuple):
    """One row: where it stands, its picture ("" where rows have no name), frame (-1), face, and what it says of it."""

    place: str
    picture: str
    frame: int
    face: str
    known: bool
    confidence: float
    labels: tuple[int, ...]


class Reader:
    """Reads files made in one go; `headers` has the columns of each distinct header line, which is parsed once."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.headers: dict[bytes, Columns] = {}

    def faces(self, path: Path, picture: str = "") -> Iterator[Face]:
        """The rows of one file, all of them of `picture` if that is given.

        Raises:
            BadInput: a damaged file, a missing column, a value that cannot be.
        """
        rows = lines(path, AGAIN)
        number, line = next(rows)
        columns = self.headers.get(line)
        if columns is None:
            columns = self.headers[line] = self._columns(path, number, line)
        for number, line in rows:
            # Rows can have hundreds of fields, and quotes only around a file name.
            fields = fields_of(path, number, line, AGAIN) if b'"' in line else line.decode("ascii").split(",")
            if len(fields) != columns.width:
                what = f"{len(fields)} fields, {columns.width} in the header"
                raise bad_line(path, number, line, what, AGAIN)
            yield self._face(_Row(path, number, line, fields), columns, picture)

    def _columns(self, path: Path, number: int, line: bytes) -> Columns:
        """The columns by their whole names: other columns, too, contain "_r" or "_c"."""
        names = fields_of(path, number, line, AGAIN)
        wanted = (self.choices.file_column,) if self.choices.file_column else FILE_COLUMNS
        kind = "r" if self.choices.labels == "intensity" else "c"
        aus = [f"AU{au:02d}_{kind}" if kind == "c" or au != _WITHOUT_INTENSITY else "" for au in AUS]
        missing = [name for name in (self.choices.file_column, *aus) if name and name not in names]
        if missing:
            what = f"no column {', '.join(missing)} in the header {shown(line.strip())}"
            raise bad_line(path, number, line, what, f"{AGAIN} with -aus, or see file_column, labels in {CHOICES_FILE}")
        kinds = [match[1] for name in names if (match := _AU_COLUMN.fullmatch(name))]
        return Columns(
            width=len(names),
            aus=tuple(_position(names, name) for name in aus),
            file=_position(names, *wanted),
            frame=_position(names, "frame"),
            face=_position(names, "face", "face_id"),
            confidence=_position(names, "confidence"),
            success=_position(names, "success"),
            counts=f"{kinds.count('r')} + {kinds.count('c')}",
        )

    def _face(self, row: _Row, columns: Columns, picture: str) -> Face:
        confidence = row.number(columns.confidence, "confidence", 1.0) if columns.confidence >= 0 else 1.0
        success = row.whole(columns.success, "success", 0, 1) if columns.success >= 0 else 1
        known = success == 1 and confidence > self.choices.confidence
        if columns.file >= 0 and not row.text(columns.file):
            raise row.bad("no file name")
        return Face(
            place=f"{row.path}, line {row.line_number}",
            picture=picture or (row.text(columns.file) if columns.file >= 0 else ""),
            frame=row.whole(columns.frame, "frame", 1, None) if columns.frame >= 0 else -1,
            face=row.text(columns.face) if columns.face >= 0 else "",
            known=known,
            confidence=confidence,
            labels=self._labels(row, columns) if known else _UNKNOWN,
        )

    def _labels(self, row: _Row, columns: Columns) -> tuple[int, ...]:
        pairs = list(zip(AUS, columns.aus, strict=True))
        if self.choices.labels == "presence":
            return tuple(2 * row.whole(column, f"AU{au:02d}_c", 0, 1) - 1 for au, column in pairs)
        threshold = self.choices.threshold
        return tuple(
            0 if column < 0 else 1 if row.number(column, f"AU{au:02d}_r", _STRONGEST) >= threshold else -1
            for au, column in pairs
        )


class _Row(NamedTuple):
    """The fields of a line, and where it stands."""

    path: Path
    line_number: int
    line: bytes
    fields: list[str]

    def bad(self, what: str) -> BadInput:
        return bad_line(self.path, self.line_number, self.line, what, AGAIN)

    def text(self, column: int) -> str:
        return self.fields[column].strip()

    def number(self, column: int, name: str, high: float) -> float:
        """A number from 0 to `high`."""
        try:
            value = float(self.fields[column])
        except ValueError:
            value = -1.0
        if not 0 <= value <= high:
            raise self.bad(f"{name} is {shown(self.text(column))}, not a number from 0 to {high:g}")
        return value

    def whole(self, column: int, name: str, low: int, high: int | None) -> int:
        """A whole number from `low` to `high`; versions differ in whether they write 1, 1.0 or 1.00."""
        digits, _, rest = self.text(column).partition(".")
        if not digits.isdecimal() or rest.strip("0") or int(digits) < low or (high is not None and int(digits) > high):
            wanted = f"{low} or {high}" if high is not None else f"a whole number from {low}"
            raise self.bad(f"{name} is {shown(self.text(column))}, not {wanted}")
        return int(digits)


def _position(names: Sequence[str], *wanted: str) -> int:
    """The position of the first wanted name that is there, else -1."""
    return next((names.index(name) for name in wanted if name in names), -1)
