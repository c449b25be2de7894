"""A user's table as columns of text: CSV, Parquet, JSON lines, or a folder with metadata files."""

from __future__ import annotations

import bisect
import csv
import itertools
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, TextIO

from ..errors import UNREADABLE, BadInput, unknown
from ..readers.archives import ending_of, unpack
from ..readers.folders import contents
from ..readers.look_around import near
from ..readers.text_lines import check_kind, shown

LARGEST = 1 << 31  # bytes of a table
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
TEXTS = (".csv", ".tsv", ".txt")
SUFFIXES = (*TEXTS, ".parquet", ".jsonl")
INSTALL = "pip install 'fernoise-bench[parquet]', or save the table as CSV"
_LONGEST = 1 << 16  # characters of a line
_SEPARATORS = (",", ";", "\t")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*')  # that Excel puts first
_NUMBER = re.compile(r"0*(\d+)(\.0+)?")


@dataclass(frozen=True)
class Table:
    """The wanted columns of a table.

    Attributes:
        files: the files it was read from.
        columns: name -> the text of each row, without blanks around it; "" where there is none.
        lines: the line of each row in its file, or the number of the row, counted from 1.
        starts: the first row of each file.
    """

    files: tuple[Path, ...]
    columns: dict[str, list[str]]
    lines: list[int]
    starts: tuple[int, ...] = (0,)

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, row: int) -> str:
        """Where a row stands, for messages."""
        number, path = self.lines[row], self.files[bisect.bisect_right(self.starts, row) - 1]
        if path.is_dir():
            return f"{path / self.columns['path'][row]}"
        return f"{path}, {'row' if path.suffix == '.parquet' else 'line'} {number:,}"


def read_table(path: Path, wanted: Sequence[str], *, path_column: str = "path", split_column: str = "") -> Table:
    """The wanted columns of a table, or of the metadata files of a folder and of the folders in it.

    Args:
        path: the file, or the folder.
        wanted: names of columns.
        path_column: that of the pictures; in a folder's metadata they are relative to the metadata file.
        split_column: that of the split; metadata files without it give the name of their folder.

    Raises:
        BadInput: a file that is missing, empty, huge, damaged or of another kind, a column that is missing, a row with
            another number of fields, or pyarrow missing.
    """
    if not path.exists():
        raise BadInput(
            f"{path}: no such table{near(path)}; check data.table, which is relative to the folder of the TOML file"
        )
    files = metadata_files(path) if path.is_dir() else (path,)
    columns: dict[str, list[str]] = {name: [] for name in wanted}
    lines: list[int] = []
    starts: list[int] = []
    for file in files:
        folder = file.parent.relative_to(path).as_posix() if path.is_dir() else "."
        header = header_of(file)
        by_folder = folder != "." and split_column in wanted and split_column not in header
        here = [name for name in wanted if not (by_folder and name == split_column)]
        if missing := [name for name in here if name not in header]:
            hint = str(unknown("column", missing[0], header)).partition(": ")[2]
            raise BadInput(f"{file}: no column {shown(missing[0])} ({hint}); see [data.columns]")
        starts.append(len(lines))
        found = list(_rows(file, header, here))
        lines += [line for line, _ in found]
        for position, name in enumerate(here):
            cells = [values[position] for _, values in found]
            below = name == path_column and folder != "."
            columns[name] += [f"{folder}/{cell}" for cell in cells] if below else cells
        if by_folder:
            columns[split_column] += [folder] * len(found)
    if not lines:
        raise BadInput(f"{path}: no rows below the header; add some")
    return Table(files, columns, lines, tuple(starts))


def csv_bytes(rows: Iterable[Sequence[object]], separator: str = ",", end: str = "\n") -> bytes:
    """Rows as CSV in UTF-8; fields with a separator, a quotation mark or any line end are quoted."""

    def field(value: object) -> str:
        text = str(value)
        if any(mark in text for mark in (separator, '"', "\r", "\n")):
            return '"' + text.replace('"', '""') + '"'
        return text

    lines = (separator.join(map(field, row)) + end for row in rows)
    return "".join(lines).encode("utf-8", "surrogateescape")


def spelled_plainly(text: str) -> str:
    """An identifier without what may differ between two ways to write it: case, Unicode's form, "03" and "3.0"."""
    plain = unicodedata.normalize("NFC", text).casefold().strip()
    number = _NUMBER.fullmatch(plain)
    return number[1] if number else plain


def metadata_files(folder: Path) -> tuple[Path, ...]:
    """The metadata files of a folder, else those of the folders in it; BadInput where there are none, or two of one."""
    names, folders = contents(folder)
    here = [folder / name for name in METADATA if name in names]
    below = [folder / name / each for name in folders for each in METADATA if (folder / name / each).is_file()]
    found = here or below
    if not found:
        raise BadInput(f"{folder}: no {' or '.join(METADATA)} in it or in the folders in it; name a table instead")
    if here and below:
        what = f"{here[0].name} in it, and {below[0].relative_to(folder)} too"
        raise BadInput(f"{folder}: {what}; remove one, or name the table that is meant in place of the folder")
    if twice := next((two for two in itertools.pairwise(found) if two[0].parent == two[1].parent), None):
        what = f"{twice[0].name} and {twice[1].name}, of which only one can be read"
        raise BadInput(f"{twice[0].parent}: {what}; remove one, or name the table that is meant in place of the folder")
    return tuple(found)


def header_of(file: Path) -> list[str]:
    """The names of a table's columns; BadInput where it cannot be read or a name is there twice."""
    _check_size(file)
    if file.suffix.lower() == ".parquet":
        names = [str(name) for name in _guarded(file, lambda: _pyarrow(file).ParquetFile(file).schema_arrow.names)]
    elif file.suffix.lower() == ".jsonl":
        keys: dict[str, None] = {}
        for _, row in _json_rows(file):
            keys |= dict.fromkeys(row)
        names = list(keys)
    else:
        _, header = next(_csv_lines(file), (1, []))
        names = [name.strip() for name in header]
    if not names:
        raise BadInput(f"{file}: the table is empty; it needs a header line with the names of its columns")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadInput(f"{file}: two columns are called {shown(twice)}; rename one")
    return names


def counted(files: Sequence[Path], names: Sequence[str]) -> dict[str, Counter[str]]:
    """How often each text stands in some columns, in the order of the first; files without a column are passed over."""
    found: dict[str, Counter[str]] = {name: Counter() for name in names}
    for file in files:
        header = header_of(file)
        here = [name for name in names if name in header]
        for _, values in _rows(file, header, here):
            for name, value in zip(here, values, strict=True):
                found[name][value] += 1
    return found


def sample(file: Path, names: Sequence[str], most: int) -> dict[str, list[str]]:
    """The first rows of some columns, as in `Table`."""
    found: dict[str, list[str]] = {name: [] for name in names}
    for count, (_, values) in enumerate(_rows(file, header_of(file), names, nested=True)):
        if count == most:
            break
        for name, value in zip(names, values, strict=True):
            found[name].append(value)
    return found


def _rows(
    file: Path, header: Sequence[str], wanted: Sequence[str], *, nested: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """The line or row number and the wanted values of each row; BadInput for a nested one unless these are allowed."""
    if file.suffix.lower() == ".parquet":
        read = _guarded(file, lambda: _pyarrow(file).read_table(file, columns=list(wanted)))
        columns = [[_text(value) for value in read.column(name).to_pylist()] for name in wanted]
        yield from ((number, list(row)) for number, row in enumerate(zip(*columns, strict=True), 1))
        return
    if file.suffix.lower() == ".jsonl":
        for line, row in _json_rows(file):
            if not nested and (name := next((each for each in wanted if isinstance(row.get(each), dict | list)), "")):
                raise BadInput(f"{file}, line {line:,}: {shown(name)} is a list or table; write one value a column")
            yield line, [_text(row.get(name)) for name in wanted]
        return
    lines = _csv_lines(file)
    next(lines)
    positions = [header.index(name) for name in wanted]
    for line, fields in lines:
        if not any(map(str.strip, fields)):  # as spreadsheets leave at the end
            continue
        if len(fields) != len(header):
            what = f"{len(fields)} fields instead of {len(header)}"
            raise BadInput(f"{file}, line {line:,}: {what}; put fields that contain the separator in quotes")
        yield line, [fields[position].strip() for position in positions]


def separator_of(header: str) -> str:
    """What stands between the fields of a line."""
    return max(_SEPARATORS, key=header.count)


def _csv_lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """The fields of each line that is not empty, with the number of the line at which it ends."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            first = opened.readline(_LONGEST)
            _refuse_wide(file, first)
            said = _SEPARATOR_LINE.fullmatch(first)
            if not said:
                opened.seek(0)
            reader = csv.reader(_lines(opened), delimiter=said[1] if said else separator_of(first), strict=True)
            for fields in reader:
                if fields:
                    yield reader.line_num + bool(said), fields
    except BadInput:
        raise
    except UnicodeDecodeError as error:
        utf_16 = error.object[:2] in (b"\xff\xfe", b"\xfe\xff")
        kind = "UTF-16" if utf_16 else "WINDOWS-1252"
        command = f"iconv -f {kind} -t UTF-8 {quote(str(file))} > {quote(f'{file}.utf-8.csv')}"
        likely = f"if it is {kind}" + ("" if utf_16 else ", as spreadsheets write it")
        why = " ".join(str(error).split())[:120]
        raise BadInput(f"{file}: cannot be read as a table in UTF-8 ({why}); {likely}: {command}") from error
    except (csv.Error, *UNREADABLE) as error:
        why = " ".join(str(error).split())[:120]
        raise BadInput(f"{file}: cannot be read as a table in UTF-8 ({why}); save it as CSV again") from error


def _refuse_wide(file: Path, first: str) -> None:
    """Raises BadInput for UTF-16 without its mark, which reads as UTF-8 with a NUL beside every letter."""
    if "\0" in first[:2]:
        kind = "UTF-16BE" if first[0] == "\0" else "UTF-16LE"
        command = f"iconv -f {kind} -t UTF-8 {quote(str(file))} > {quote(f'{file}.utf-8.csv')}"
        raise BadInput(f"{file}: a table in {kind}, not in UTF-8: {command}")


def _json_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with file.open(encoding="utf-8-sig") as opened:
            for number, line in enumerate(_lines(opened), 1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError(f"line {number:,} is no object")
                yield number, row
    except UNREADABLE as error:
        why = " ".join(str(error).split())[:120]
        raise BadInput(f"{file}: cannot be read as JSON lines ({why}); write one object a line") from error


def _lines(opened: TextIO) -> Iterator[str]:
    """The lines of a file; ValueError for one that is longer than any table's."""
    for number in itertools.count(1):
        line = opened.readline(_LONGEST + 1)
        if len(line) > _LONGEST:
            raise ValueError(f"more than {_LONGEST:,} characters in line {number:,}")
        if not line:
            return
        yield line


def _check_size(file: Path) -> None:
    if not file.is_file():
        raise BadInput(f"{file}: no such file; check data.table")
    if ending := ending_of(file.name):
        command = unpack(file, ending, file.parent)
        raise BadInput(f"{file}: an archive; unpack it and name what was in it: {command}")
    if file.suffix.lower() not in SUFFIXES:
        raise BadInput(f"{file}: not one of {', '.join(SUFFIXES)}; save the table in one of these formats")
    if (size := file.stat().st_size) > LARGEST:
        raise BadInput(f"{file}: {size:,} bytes, more than a table of labels has ({LARGEST:,}); check data.table")
    if file.suffix.lower() in TEXTS:
        try:
            with file.open("rb") as opened:
                start = opened.read(64)
        except OSError:
            return  # reading the table tells
        check_kind(file, start)


def _pyarrow(file: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise BadInput(f"{file}: Parquet needs pyarrow: {INSTALL}") from error
    return pyarrow.parquet


def _guarded(file: Path, read: Callable[[], Any]) -> Any:
    """The result of reading Parquet; BadInput where the file is damaged or lacks what is asked."""
    try:
        return read()
    except BadInput:
        raise
    except UNREADABLE as error:  # pyarrow's own errors are ValueError, OSError, KeyError and the like
        raise BadInput(f"{file}: cannot be read as Parquet ({' '.join(str(error).split())[:120]})") from error


def _text(value: object) -> str:
    """A value of Parquet or JSON as text; whole numbers without ".0", nothing for a missing one."""
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
