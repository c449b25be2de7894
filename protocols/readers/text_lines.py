"""Text files read line by line, with errors that name the file, the line, what was found and the remedy."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..errors import BadInput

# nan, -nan, -nan(ind), 1.#QNAN, -1.#IND, inf, an empty cell.
_NO_NUMBER = re.compile(r"|[+-]?(nan(\(\w*\))?|inf(inity)?|1\.#(QNAN|SNAN|IND|INF)0*)|n/?a|null", re.IGNORECASE)
_LONGEST = 1 << 16  # bytes of a line; the longest known, of fer2013.csv and OpenFace, have about ten thousand


class Line(NamedTuple):
    """A line of a text file.

    Attributes:
        path: the file.
        number: the line number, from 1.
        text: its content, ASCII with the line end.
        remedy: what the user can do about a damaged file.
    """

    path: Path
    number: int
    text: bytes
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}, line {self.number}"

    def error(self, what: str, remedy: str = "") -> BadInput:
        """The error for this line; a last line without a line end is reported as a truncated file.

        Args:
            what: what is wrong, with the value that was found.
            remedy: what the user can do, if not the remedy of the file.
        """
        cut = "" if self.text.endswith(b"\n") else "the file looks truncated, it stops within this line: "
        return BadInput(f"{self}: {cut}{what}; {remedy or self.remedy}")

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
            raise self.error(f"{len(fields)} fields instead of {width}")
        return [field.strip() for field in fields] if " " in text or "\t" in text else fields

    def columns(self, wanted: Sequence[str]) -> list[int]:
        """The positions of the wanted columns in this header line.

        Raises:
            BadInput: a column is missing.
        """
        names = self.fields()
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
        return self.error(f"no column {', '.join(missing)} in the header {shown(self.text.strip())}", remedy)


def shown(value: bytes | str) -> str:
    """A value as error messages show it: quoted, on one line, at most 40 characters."""
    text = value.decode("ascii", "backslashreplace") if isinstance(value, bytes) else value
    return repr(text if len(text) <= 40 else text[:37] + "...")


def plain_ascii(line: Line) -> bytes:
    """The content of a line; BadInput if it has NUL bytes or is not ASCII."""
    if not line.text.isascii() or b"\0" in line.text:
        byte = next(b for b in line.text if b == 0 or b > 127)
        remedy = f"save it as plain text without NUL bytes, or {line.remedy}"
        raise line.error(f"byte 0x{byte:02x}, so this is no plain ASCII text", remedy)
    return line.text


def read_lines(path: Path, remedy: str, to_ascii: Callable[[Line], bytes] = plain_ascii) -> Iterator[Line]:
    """The lines of a text file; empty lines are allowed at its end only.

    Args:
        path: the file; a byte order mark is removed.
        remedy: what the user can do about a damaged file.
        to_ascii: converts the content of a line to ASCII, or raises BadInput.

    Raises:
        BadInput: an unreadable or empty file, an encoding that `to_ascii` refuses, an empty line between others, or a
            line of more than 65,536 bytes.
    """
    number = empty = 0
    try:
        with path.open("rb", buffering=1 << 20) as file:
            for number, content in enumerate(iter(partial(file.readline, _LONGEST + 1), b""), 1):
                raw = content.removeprefix(b"\xef\xbb\xbf") if number == 1 else content
                line = Line(path, number, raw, remedy)
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
