"""The label files of EmotioNet: the picture, the labels, and the file and line of each row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..files import Array
from ..labels import EMOTIONET_AUS
from .text_lines import Line, coded, read_lines, shown

ASK = "Ohio State University (cbcsl.ece.ohio-state.edu/dbform_emotionet.html)"
FETCH = f"fetch the file again from {ASK}"
AUS = tuple(int(name.removeprefix("AU")) for name in EMOTIONET_AUS)

_CODED = 60  # AU columns of a dataFile_NNNN.txt
_VALUES = {0: -1, 1: 1, 999: 0}
_QUOTES_AND_BLANKS = " '\"\t"
_AU = re.compile(r"au\s*0*(\d{1,2})")


@dataclass(frozen=True, eq=False)
class LabelRows:
    """Rows of label files, in the order of the files and of their lines.

    Attributes:
        names: N names of pictures: the base names of their URLs without extension ("N_0000000001_00003").
        labels: int8 [N, 12] in the order of AUS: 1 present, -1 absent, 0 not annotated.
        file: int64 [N], index of the row's file in `files`.
        line: int64 [N], line number of the row, from 1 (a header is line 1).
        files: the label files.
        incomplete: "file, line n" of the rows left out because an AU cell is empty or no number.
    """

    names: list[str]
    labels: NDArray[np.int8]
    file: NDArray[np.int64]
    line: NDArray[np.int64]
    files: tuple[Path, ...]
    incomplete: tuple[str, ...]

    def place(self, row: int) -> str:
        """The place of a row: "file, line n"."""
        return f"{self.files[self.file[row]]}, line {self.line[row]}"

    def take(self, rows: Array) -> LabelRows:
        """The rows selected by an index array [M]."""
        names = [self.names[row] for row in rows]
        return LabelRows(names, self.labels[rows], self.file[rows], self.line[rows], self.files, self.incomplete)


def read_labels(files: Sequence[Path]) -> LabelRows:
    """Reads label files: *.txt by position (60 AUs, no header), others as CSV by column name.

    Only the twelve AUs are read; other AU columns and the original URL are ignored.

    Raises:
        BadInput: a damaged file, a missing column, a row of another width, a value other than 0, 1, 999, a row without
            the name of a picture.
    """
    names: list[str] = []
    codes: list[int] = []
    numbers: list[int] = []
    counts: list[int] = []
    incomplete: list[str] = []
    # Few combinations of values occur, so each is stored once and referred to by its code.
    known: dict[tuple[int, ...], int] = {}
    for path in files:
        before = len(names)
        for line, name, values in _text_rows(path) if path.suffix.lower() == ".txt" else _table_rows(path):
            if values is None:
                incomplete.append(str(line))
                continue
            names.append(name)
            numbers.append(line.number)
            codes.append(known.setdefault(values, len(known)))
        counts.append(len(names) - before)
    labels = np.array(list(known), np.int8).reshape(-1, len(AUS))[np.array(codes, np.int64)]
    file = np.repeat(np.arange(len(files), dtype=np.int64), counts)
    return LabelRows(names, labels, file, np.array(numbers, np.int64), tuple(files), tuple(incomplete))


_Row = tuple[Line, str, tuple[int, ...] | None]


def _text_rows(path: Path) -> Iterator[_Row]:
    """Line, picture and labels of a dataFile_NNNN.txt: URL, original URL, AU 1 to AU 60, separated by tabs."""
    known: dict[bytes, tuple[int, ...]] = {}
    for line in read_lines(path, FETCH, _utf8_to_ascii, "\t"):
        url, _, rest = line.text.partition(b"\t")
        coded = rest.partition(b"\t")[2]
        values = known.get(coded)
        if values is None:
            cells = coded.decode("ascii").split("\t")
            if len(cells) != _CODED:
                width, expected = line.text.count(b"\t") + 1, f"{_CODED + 2}: URL, original URL, AU 1 to AU {_CODED}"
                raise line.error(f"{width} tab-separated fields instead of {expected}")
            wanted = [cells[au - 1].strip() for au in AUS]
            if any(map(line.no_number, wanted)):
                yield line, "", None
                continue
            values = known[coded] = _values(line, wanted)
        yield line, _picture(line, url.decode("ascii")), values


def _table_rows(path: Path) -> Iterator[_Row]:
    """Line, picture and labels (None if a cell is empty) of a CSV with a header; rows of empty cells are skipped."""
    lines = read_lines(path, FETCH, _utf8_to_ascii)
    header = next(lines)
    picture, columns = _columns(header)
    width = len(header.fields())
    for line in lines:
        if not any(line.fields()):
            continue
        fields = line.fields(width)
        cells = [fields[column] for column in columns]
        yield line, _picture(line, fields[picture]), None if any(map(line.no_number, cells)) else _values(line, cells)


def _columns(header: Line) -> tuple[int, list[int]]:
    """The positions of the picture's column ("URL", or "path" in an image list) and of the twelve AUs, by name."""
    names = [name.strip(_QUOTES_AND_BLANKS).casefold() for name in header.fields()]
    aus = [int(match[1]) if (match := _AU.fullmatch(name)) else None for name in names]
    pictures = [name for name in ("url", "path") if name in names]
    missing = [] if pictures else ["URL (or path)"]
    missing += [f"AU {au}" for au in AUS if au not in aus]
    if missing:
        raise header.missing_columns(missing)
    if repeated := [f"AU {au}" for au in AUS if aus.count(au) > 1]:
        raise header.error(f"two columns for {', '.join(repeated)} in the header")
    return names.index(pictures[0]), [aus.index(au) for au in AUS]


def _values(line: Line, cells: list[str]) -> tuple[int, ...]:
    """The labels of a row."""
    values = []
    for au, cell in zip(AUS, cells, strict=True):
        value = coded(cell.strip(_QUOTES_AND_BLANKS), _VALUES)
        if value is None:
            raise line.error(f"AU {au} is {shown(cell)}, not 0, 1 or 999 (not annotated)")
        values.append(value)
    return tuple(values)


def _picture(line: Line, url: str) -> str:
    """The base name of a URL or path without its extension, and without the quotes around it in some copies."""
    base = url.strip(_QUOTES_AND_BLANKS).rpartition("/")[2]
    stem = base.rpartition(".")[0]
    if stem.strip("."):
        return stem
    if base.strip("."):
        return base
    raise line.error(f"URL {shown(url)} names no picture")


def _utf8_to_ascii(line: Line) -> bytes:
    """A line of UTF-8 with other than ASCII characters escaped; they occur in original URLs, which are not used."""
    remedy = f"save it as UTF-8 text, or {line.remedy}"
    if b"\0" in line.text:
        raise line.error("a NUL byte, so this is no plain text", remedy)
    try:
        return line.text if line.text.isascii() else line.text.decode("utf-8").encode("ascii", "backslashreplace")
    except UnicodeDecodeError as error:
        raise line.error(f"byte 0x{line.text[error.start]:02x}, so this is no UTF-8 text", remedy) from error
