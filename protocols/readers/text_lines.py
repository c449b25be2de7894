"""Text files read line by line, with errors that name the file, the line, what was found and the remedy."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from shlex import quote
from typing import BinaryIO, NamedTuple

from ..errors import BadInput
from ..files import not_fetched
from .archives import kind_of, unpack

_SEPARATORS = {";": "semicolons", "\t": "tabs", ",": "commas"}
# What separates fields -> the edits of sed that make it so. Files with semicolons may have decimal commas.
_EDITS = {",": "s/,/./g; s/;/,/g; s/\\t/,/g", " ": "s/[;,]/ /g", "\t": "s/[;,]/\\t/g"}

# nan, -nan, -nan(ind), 1.#QNAN, -1.#IND, inf, an empty cell.
_NO_NUMBER = re.compile(r"|[+-]?(nan(\(\w*\))?|inf(inity)?|1\.#(QNAN|SNAN|IND|INF)0*)|n/?a|null", re.IGNORECASE)
_WHOLE = re.compile(r"([0-9]+)\.0*")
_UNNAMED = "Unnamed: 0"  # as pandas calls a first column without a name
_MOST_DIGITS = 9
_LONGEST = 1 << 16  # bytes of a line; the longest known, of fer2013.csv and OpenFace, have about ten thousand


class Line(NamedTuple):
    """A line of a text file.

    Attributes:
        path: the file.
        number: the line number, from 1.
        text: its content, ASCII with the line end.
        remedy: what the user can do about a damaged file.
        separator: what separates its fields: a comma, a blank or a tab.
    """

    path: Path
    number: int
    text: bytes
    remedy: str
    separator: str = ","

    def __str__(self) -> str:
        return f"{self.path}, line {self.number}"

    def error(self, what: str, remedy: str = "") -> BadInput:
        """The error for this line; a last line without a line end is reported as a truncated file.

        Args:
            what: what is wrong, with the value that was found.
            remedy: what the user can do, if not the remedy of the file.
        """
        cut = "" if self.text.endswith(b"\n") else "the file looks truncated, it stops within this line: "
        return BadInput(f"{self}: {cut}{what}; {other_separator(self) or remedy or self.remedy}")

    def fields(self, width: int | None = None) -> list[str]:
        """The comma-separated fields, without quotes and surrounding blanks.

        Raises:
            BadInput: invalid CSV, or another number of fields than `width`.
        """
        text = self.text.decode("ascii").rstrip("\r\n")
        if '"' in text or "\r" in text:
            try:
                fields = next(csv.reader([text]))
            except csv.Error as error:
                raise self.error(f"invalid CSV ({error})") from error
        else:  # a row may have hundreds of fields, which split separates faster than the csv module
            fields = text.split(",")
        if width is not None and len(fields) != width:
            more = " (a decimal comma, as in 0,5 for 0.5, separates two fields)" if len(fields) > width else ""
            raise self.error(f"{len(fields)} fields instead of {width}{more}")
        return [field.strip() for field in fields] if " " in text or "\t" in text else fields

    def columns(self, wanted: Sequence[str]) -> list[int]:
        """The positions of the wanted columns in this header line; "" is the one without a name, as pandas writes it.

        Raises:
            BadInput: a column is missing.
        """
        names = self.fields()
        if _UNNAMED in names:  # a column without a name beside it has numbers of rows
            names = ["" if name == _UNNAMED else name or _UNNAMED for name in names]
        if missing := [name for name in wanted if name not in names]:
            raise self.missing_columns(missing)
        return [names.index(name) for name in wanted]

    def no_number(self, cell: str) -> bool:
        """Whether a cell of a column of numbers says that there is none, as C runtimes and pandas write it.

        An empty cell does not in a last line without a line end, which may have been cut.
        """
        if cell[:1].isdigit() and "#" not in cell:  # spares most cells the slower comparison
            return False
        return _NO_NUMBER.fullmatch(cell) is not None and (cell != "" or self.text.endswith(b"\n"))

    def missing_columns(self, missing: Sequence[str], remedy: str = "") -> BadInput:
        """The error for a header line without some columns."""
        names = ", ".join(name or "without a name" for name in missing)
        return self.error(f"no column {names} in the header {shown(self.text.strip())}", remedy)


def without_point(text: str) -> str:
    """A whole number that pandas wrote as 3.0, in a column that lacks some, as 3; other text as it is."""
    match = _WHOLE.fullmatch(text)
    return match[1] if match else text


def whole(text: str) -> int | None:
    """The whole number that a cell has as 3, 3.0 or 3.00; None for other text, such as 3.5, -1 or ten digits."""
    digits = text if text.isdecimal() else without_point(text)
    return int(digits) if digits.isdecimal() and len(digits) <= _MOST_DIGITS else None


def coded(text: str, codes: Mapping[int, int]) -> int | None:
    """What the number in a cell stands for; None where it is none of the codes, or no whole number."""
    number = whole(text)
    return None if number is None else codes.get(number)


def shown(value: bytes | str) -> str:
    """A value as error messages show it: quoted, on one line, at most 40 characters."""
    text = value.decode("ascii", "backslashreplace") if isinstance(value, bytes) else value
    return repr(text if len(text) <= 40 else text[:37] + "...")


def other_separator(line: Line) -> str:
    """What to do about a line with another separator, as spreadsheets write it in some countries; "" if it has none."""
    marks = [mark for mark in _SEPARATORS if mark in line.text.decode("ascii", "replace")]
    if line.separator in marks or not marks or line.separator.encode() in line.text:
        return ""
    edit, path = quote(_EDITS[line.separator]), quote(str(line.path))
    return f"its fields are separated by {_SEPARATORS[marks[0]]}: sed -i {edit} {path} mends that"


def check_kind(path: Path, start: bytes) -> None:
    """Raises BadInput for an archive, a workbook or a web page in the place of a table, by its first bytes."""
    if b"[Content_Types].xml" in start[:64]:
        raise BadInput(f"{path}: an Excel workbook under the name of a table; open it and save it as CSV")
    if ending := kind_of(start):
        archive = path.with_name(path.name + ending)
        command = f"mv {quote(str(path))} {quote(str(archive))} && {unpack(archive, ending, path.parent)}"
        raise BadInput(f"{path}: an archive ({ending}) under the name of a table; unpack it: {command}")
    if what := not_fetched(path, start):
        raise BadInput(f"{path}: no table but {what}")


def decimal_comma(text: str) -> str:
    """A remark on a number with a decimal comma, else ""."""
    return " (a decimal comma; write a point)" if re.fullmatch(r"[-+]?\d+,\d+", text.strip()) else ""


def plain_ascii(line: Line) -> bytes:
    """The content of a line; BadInput if it has NUL bytes or is not ASCII."""
    if not line.text.isascii() or b"\0" in line.text:
        byte = next(b for b in line.text if b == 0 or b > 127)
        remedy = f"save it as plain text without NUL bytes, or {line.remedy}"
        raise line.error(f"byte 0x{byte:02x}, so this is no plain ASCII text", remedy)
    return line.text


def read_lines(
    path: Path, remedy: str, to_ascii: Callable[[Line], bytes] = plain_ascii, separator: str = ","
) -> Iterator[Line]:
    """The lines of a text file, which end in LF, CRLF or CR; empty lines are allowed at its end only.

    Args:
        path: the file; a byte order mark is removed.
        remedy: what the user can do about a damaged file.
        to_ascii: converts the content of a line to ASCII, or raises BadInput.
        separator: what separates the fields, for errors.

    Raises:
        BadInput: an unreadable or empty file, an archive under a table's name, an encoding that `to_ascii` refuses, an
            empty line between others, or a line of more than 65,536 bytes.
    """
    number = empty = 0
    try:
        with path.open("rb", buffering=1 << 20) as file:
            check_kind(path, file.read(64))
            file.seek(0)
            for number, content in enumerate(_ended(file), 1):
                raw = content.removeprefix(b"\xef\xbb\xbf") if number == 1 else content
                line = Line(path, number, raw, remedy, separator)
                if len(raw) > _LONGEST:
                    raise BadInput(
                        f"{line}: more than {_LONGEST:,} bytes in one line, so this is no such file; {remedy}"
                    )
                text = to_ascii(line)
                if not text.strip():
                    empty = empty or number
                    continue
                if empty:
                    raise BadInput(f"{path}, line {empty}: an empty line between rows; remove it, or {remedy}")
                yield line if text is raw else line._replace(text=text)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
    if number == 0 or empty == 1:
        raise BadInput(f"{path}: the file is empty; {remedy}")


def _ended(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file with their ends; CR alone, as old spreadsheets write it, becomes LF."""
    start = file.read(_LONGEST)
    file.seek(0)
    if b"\r" not in start or b"\n" in start:
        yield from iter(partial(file.readline, _LONGEST + 1), b"")
        return
    with io.TextIOWrapper(file, encoding="latin-1", newline="\r") as text:  # any byte is a character of Latin-1
        for line in iter(partial(text.readline, _LONGEST + 1), ""):
            yield line.replace("\r", "\n").encode("latin-1")


def read_table(path: Path, remedy: str, wanted: Sequence[str]) -> Iterator[tuple[Line, list[str]]]:
    """The rows of a CSV file with a header line, each with its fields in the wanted columns, found by name.

    Raises:
        BadInput: as `read_lines`; a missing column, or a row with another number of fields than the header.
    """
    lines = read_lines(path, remedy)
    header = next(lines)
    columns, width = header.columns(wanted), len(header.fields())
    for line in lines:
        fields = line.fields(width)
        yield line, [fields[column] for column in columns]
