"""The rows of OpenFace 2.x CSV files: columns by name, values checked, errors that name the file and the line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from .listing import CHOICES_FILE
from .text_lines import Line, decimal_comma, read_lines, shown, whole

AGAIN = "run OpenFace on the pictures again"
AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45)
# Names of columns of file names, letters and digits alone.
FILE_COLUMNS = ("file", "filename", "name", "image", "imagename", "img", "imgname", "path", "imagepath", "filepath")

_WITHOUT_INTENSITY = 28
_LARGEST = 5.0
_AU_COLUMN = re.compile(r"AU\d\d_([rc])")
_UNKNOWN = (0,) * len(AUS)


@dataclass(frozen=True)
class Choices:
    """The user's settings, as explained in the module docstring of `openface`."""

    file_column: str = ""
    labels: str = "presence"
    threshold: float = 1.0
    confidence: float = 0.0
    order: str = ""


class Columns(NamedTuple):
    """The number of columns, and positions of columns, -1 for one that is missing.

    `counts` has the number of intensity and presence columns, `tool` the program of OpenFace that wrote them, where the
    columns tell.
    """

    width: int
    aus: tuple[int, ...]
    file: int
    frame: int
    face: int
    confidence: int
    success: int
    counts: str
    tool: str


class Face(NamedTuple):
    """The face of a row.

    Attributes:
        place: "file, line n".
        picture: the picture's file name, "" if the row has none.
        frame: the frame number, -1 if rows have none.
        face: the name of the face in the picture.
        known: whether OpenFace found the face with enough confidence.
        confidence: 0 to 1; 0 if the file has no number there.
        labels: a label in {-1, 0, +1} for each of AUS; 0 if the file has no number there.
        odd: whether a number is missing: confidence, success or the value of an AU of a known face.
    """

    place: str
    picture: str
    frame: int
    face: str
    known: bool
    confidence: float
    labels: tuple[int, ...]
    odd: bool


class Reader:
    """Reads several files; `headers` has the columns of each distinct header line, which is parsed once."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.headers: dict[bytes, Columns] = {}

    def faces(self, path: Path, picture: str = "") -> Iterator[Face]:
        """The rows of a file, all of them of `picture` if it is given.

        Raises:
            BadInput: a damaged file, a missing column, an invalid value.
        """
        lines = read_lines(path, AGAIN)
        header = next(lines)
        columns = self.headers.get(header.text)
        if columns is None:
            columns = self.headers[header.text] = self._columns(header)
        for line in lines:
            fields = line.fields(columns.width)
            if line.number == 2 and not picture and columns.file < 0:
                _refuse_other_names(header, line, fields)
            yield self._face(line, fields, columns, picture)

    def _columns(self, header: Line) -> Columns:
        """The columns by their full names, since other columns also contain "_r" or "_c"."""
        names = header.fields()
        chosen = self.choices.file_column
        plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(names)}
        wanted = [chosen] if chosen else [plain[name] for name in FILE_COLUMNS if name in plain]
        kind = "r" if self.choices.labels == "intensity" else "c"
        aus = [f"AU{au:02d}_{kind}" if kind == "c" or au != _WITHOUT_INTENSITY else "" for au in AUS]
        if missing := [name for name in (self.choices.file_column, *aus) if name and name not in names]:
            raise header.missing_columns(missing, f"{AGAIN} with -aus, or see file_column, labels in {CHOICES_FILE}")
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
            tool=_tool(header, names),
        )

    def _face(self, line: Line, fields: list[str], columns: Columns, picture: str) -> Face:
        confidence: float | None = 1.0
        if columns.confidence >= 0:
            confidence = _number(line, "confidence", fields[columns.confidence], 1.0)
        success: int | None = 1
        if columns.success >= 0:
            success = _whole(line, "success", fields[columns.success])
        known = success == 1 and confidence is not None and confidence > self.choices.confidence
        values = self._values(line, fields, columns) if known else _UNKNOWN
        return Face(
            place=str(line),
            picture=picture or (fields[columns.file] if columns.file >= 0 else ""),
            frame=_integer(line, "frame", fields[columns.frame], 1) if columns.frame >= 0 else -1,
            face=fields[columns.face] if columns.face >= 0 else "",
            known=known,
            confidence=confidence or 0.0,
            labels=tuple(value or 0 for value in values),
            odd=None in (confidence, success, *values),
        )

    def _values(self, line: Line, fields: list[str], columns: Columns) -> tuple[int | None, ...]:
        """The label of each AU; 0 for one without a column, None for a cell that has no number."""
        pairs = list(zip(AUS, columns.aus, strict=True))
        if self.choices.labels == "presence":
            return tuple(_signed(_whole(line, f"AU{au:02d}_c", fields[column]), 1) for au, column in pairs)
        threshold = self.choices.threshold
        return tuple(
            0 if column < 0 else _signed(_number(line, f"AU{au:02d}_r", fields[column], _LARGEST), threshold)
            for au, column in pairs
        )


def _refuse_other_names(header: Line, line: Line, fields: Sequence[str]) -> None:
    """Raises BadInput for a row without file names that has a text, which OpenFace itself never writes."""
    for name, cell in zip(header.fields(), fields, strict=True):
        if not _is_number(cell) and not line.no_number(cell):
            what = f"column {shown(name)} has {shown(cell)}, which may name the picture"
            choice, home = quote(f'file_column = "{name}"'), quote(str(line.path.parent / CHOICES_FILE))
            raise line.error(what, f"if it does: echo {choice} >> {home}")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _tool(header: Line, names: Sequence[str]) -> str:
    """The program that wrote the columns, and its version: up to 2.0 it wrote a blank after each comma."""
    sequence = {"frame", "timestamp", "success"}.intersection(names)
    tool = "FeatureExtraction" if sequence else "FaceLandmarkImg" if "face" in names else ""
    return f"{tool} 2.0 or older" if tool and b", AU" in header.text else tool


def _signed(value: float | None, threshold: float) -> int | None:
    return None if value is None else 1 if value >= threshold else -1


def _number(line: Line, name: str, text: str, high: float) -> float | None:
    """A number from 0 to `high`; None for a cell that has no number."""
    if line.no_number(text):
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= high:
        raise line.error(f"{name} is {shown(text)}, not a number from 0 to {high:g}{decimal_comma(text)}")
    return value


def _whole(line: Line, name: str, text: str) -> int | None:
    """0 or 1; None for a cell that has no number."""
    return None if line.no_number(text) else _integer(line, name, text, 0, 1)


def _integer(line: Line, name: str, text: str, low: int, high: int | None = None) -> int:
    """An integer from `low` to `high`, which versions of OpenFace write as 1, 1.0 or 1.00."""
    number = whole(text)
    if number is None or number < low or (high is not None and number > high):
        allowed = f"{low} or {high}" if high is not None else f"a whole number from {low}"
        raise line.error(f"{name} is {shown(text)}, not {allowed}")
    return number


def _position(names: Sequence[str], *wanted: str) -> int:
    """The position of the first of the wanted names that is present, or -1."""
    return next((names.index(name) for name in wanted if name in names), -1)
