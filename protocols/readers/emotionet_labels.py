"""The label files of EmotioNet, row by row: which picture, which labels, which file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..labels import EMOTIONET_AUS
from .text_lines import bad_line, fields_of, lines, shown

ASK = "Ohio State University (cbcsl.ece.ohio-state.edu/dbform_emotionet.html)"
FETCH = f"fetch the file again from {ASK}"
AUS = tuple(int(name.removeprefix("AU")) for name in EMOTIONET_AUS)

_CODED = 60
_VALUES = {"0": -1, "1": 1, "999": 0}
_QUOTES_AND_BLANKS = " '\"\t"
_AU = re.compile(r"au\s*0*(\d+)")


@dataclass(frozen=True, eq=False)
class LabelRows:
    """Rows of label files, in the order of the files and of their lines.

    Attributes:
        names: the picture of each row, N names: the base name of its URL without extension ("N_0000000001_00003").
        labels: int8 [N, 12] in the order of AUS: 1 present, -1 absent, 0 not annotated.
        file: int64 [N], which of `files` a row came from.
        line: int64 [N], its line there, from 1, a header being line 1.
        files: the label files.
        incomplete: "file, line n" of the rows left out because an AU cell is empty.
    """

    names: list[str]
    labels: NDArray[np.int8]
    file: NDArray[np.int64]
    line: NDArray[np.int64]
    files: tuple[Path, ...]
    incomplete: tuple[str, ...]

    def place(self, row: int) -> str:
        """Where a row stands, as errors and checks name it: "file, line n"."""
        return f"{self.files[self.file[row]]}, line {self.line[row]}"

    def take(self, rows: NDArray[Any]) -> LabelRows:
        """The rows of an index array [M], ascending."""
        names = [self.names[row] for row in rows]
        return LabelRows(names, self.labels[rows], self.file[rows], self.line[rows], self.files, self.incomplete)


def read_labels(files: Sequence[Path]) -> LabelRows:
    """Reads label files, each by its kind: *.txt by position (60 AUs, no header), anything else as CSV by header name.

    Only the twelve AUs are looked at; what stands in other AU columns, or in the original URL, does not matter.

    Raises:
        BadInput: a damaged file, a missing column, a row of another width, a value other than 0, 1, 999, a row that
            names no picture; one line with file, line, value and remedy.
    """
    names: list[str] = []
    codes: list[int] = []
    places: list[int] = []
    incomplete: list[str] = []
    first: list[int] = []
    # The same values come again and again: each distinct combination is parsed once and then known by number.
    known: dict[tuple[int, ...], int] = {}
    for path in files:
        first.append(len(names))
        for number, name, values in _text_rows(path) if path.suffix.lower() == ".txt" else _table_rows(path):
            if values is None:
                incomplete.append(f"{path}, line {number}")
                continue
            names.append(name)
            places.append(number)
            codes.append(known.setdefault(values, len(known)))
    table = np.array(list(known), np.int8).reshape(-1, len(AUS))
    counts = np.diff([*first, len(names)])
    file = np.repeat(np.arange(len(files), dtype=np.int64), counts)
    line = np.array(places, np.int64)
    return LabelRows(names, table[np.array(codes, np.int64)], file, line, tuple(files), tuple(incomplete))


_Row = tuple[int, str, tuple[int, ...] | None]


def _text_rows(path: Path) -> Iterator[_Row]:
    """Line number, picture and labels of a dataFile_NNNN.txt: URL, original URL, AU 1 to AU 60, tab separated."""
    known: dict[bytes, tuple[int, ...]] = {}
    for number, line in lines(path, FETCH, _utf8_as_ascii):
        url, _, rest = line.partition(b"\t")
        coded = rest.partition(b"\t")[2]
        values = known.get(coded)
        if values is None:
            cells = coded.decode("ascii").split("\t")
            if len(cells) != _CODED:
                width = line.count(b"\t") + 1
                what = f"{width} tab-separated fields instead of {_CODED + 2}: URL, original URL, AU 1 to AU {_CODED}"
                raise bad_line(path, number, line, what, FETCH)
            values = known[coded] = _values(path, number, line, [cells[au - 1] for au in AUS])
        yield number, _picture(path, number, line, url.decode("ascii")), values


def _table_rows(path: Path) -> Iterator[_Row]:
    """Line number, picture and labels (None where a cell is empty) of a CSV with header; empty rows are passed over."""
    rows = lines(path, FETCH, _utf8_as_ascii)
    number, line = next(rows)
    header = fields_of(path, number, line, FETCH)
    picture, columns = _columns(path, number, line, header)
    for number, line in rows:
        fields = fields_of(path, number, line, FETCH)
        if not any(fields):
            continue
        if len(fields) != len(header):
            raise bad_line(path, number, line, f"{len(fields)} fields, {len(header)} in the header", FETCH)
        cells = [fields[column] for column in columns]
        values = _values(path, number, line, cells) if all(cells) else None
        yield number, _picture(path, number, line, fields[picture]), values


def _columns(path: Path, number: int, line: bytes, header: list[str]) -> tuple[int, list[int]]:
    """Positions of the picture's column ("URL", or "path" in an image list) and of the twelve AUs, by name."""
    names = [name.strip(_QUOTES_AND_BLANKS).casefold() for name in header]
    aus = [int(match[1]) if (match := _AU.fullmatch(name)) else None for name in names]
    pictures = [name for name in ("url", "path") if name in names]
    missing = [] if pictures else ["URL (or path)"]
    missing += [f"AU {au}" for au in AUS if au not in aus]
    if missing:
        what = f"no column {', '.join(missing)} in the header {shown(line.strip())}"
        raise bad_line(path, number, line, what, FETCH)
    twice = [f"AU {au}" for au in AUS if aus.count(au) > 1]
    if twice:
        raise bad_line(path, number, line, f"{', '.join(twice)} stands twice in the header", FETCH)
    return names.index(pictures[0]), [aus.index(au) for au in AUS]


def _values(path: Path, number: int, line: bytes, cells: list[str]) -> tuple[int, ...]:
    """The labels of one row."""
    try:
        return tuple(_VALUES[cell.strip(_QUOTES_AND_BLANKS)] for cell in cells)
    except KeyError as error:
        wrong = [cell.strip(_QUOTES_AND_BLANKS) in _VALUES for cell in cells].index(False)
        what = f"AU {AUS[wrong]} is {shown(cells[wrong])}, not 0, 1 or 999 (not annotated)"
        raise bad_line(path, number, line, what, FETCH) from error


def _picture(path: Path, number: int, line: bytes, url: str) -> str:
    """The base name of a URL or path without its extension, and without the quotes that some copies put around it."""
    base = url.strip(_QUOTES_AND_BLANKS).rpartition("/")[2]
    stem = base.rpartition(".")[0]
    if stem.strip("."):
        return stem
    if base.strip("."):
        return base
    raise bad_line(path, number, line, f"URL {shown(url)} names no picture", FETCH)


def _utf8_as_ascii(path: Path, number: int, line: bytes, remedy: str) -> bytes:
    """A line of UTF-8 with everything beyond ASCII escaped: original URLs come from the whole web, and no field that is
    used has any."""
    if b"\0" in line:
        what = "a NUL byte, so this is no plain text"
        raise bad_line(path, number, line, what, f"save it as UTF-8 text, or {remedy}")
    try:
        return line if line.isascii() else line.decode("utf-8").encode("ascii", "backslashreplace")
    except UnicodeDecodeError as error:
        what = f"byte 0x{line[error.start]:02x}, so this is no UTF-8 text"
        raise bad_line(path, number, line, what, f"save it as UTF-8 text, or {remedy}") from error
