"""The text files of FER2013 and FER+, line by line, with errors that name the file, the line and the remedy."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..errors import BadInput

LineCheck = Callable[[Path, int, bytes, str], bytes]

USAGES = ("Training", "PublicTest", "PrivateTest")
KAGGLE = 'Kaggle, "Challenges in Representation Learning: Facial Expression Recognition Challenge"'
FERPLUS_HOME = "github.com/microsoft/FERPlus"
FETCH_FER2013 = f"fetch the file again from {KAGGLE}"
FETCH_FERPLUS = f"fetch the file again from {FERPLUS_HOME}"
SIDE = 48
PIXELS = SIDE * SIDE


def shown(value: bytes | str) -> str:
    """A value as an error shows it: quoted, on one line, at most 40 characters of it."""
    text = value.decode("ascii", "backslashreplace") if isinstance(value, bytes) else value
    return repr(text if len(text) <= 40 else text[:37] + "...")


def bad_line(path: Path, number: int, line: bytes, what: str, remedy: str) -> BadInput:
    """The error for one line; a last line that has no line end is reported as a truncated file.

    Args:
        path: the file.
        number: the line, 1-based, the header being line 1.
        line: the line as it was read, with its line end.
        what: what is wrong, naming the value.
        remedy: what the user can do.
    """
    cut = "" if line.endswith(b"\n") else "the file looks truncated, it stops within this line: "
    return BadInput(f"{path}, line {number}: {cut}{what}; {remedy}")


def plain_ascii(path: Path, number: int, line: bytes, remedy: str) -> bytes:
    """The line itself; BadInput for a NUL byte or one that is not ASCII."""
    if not line.isascii() or b"\0" in line:
        byte = next(b for b in line if b == 0 or b > 127)
        what = f"byte 0x{byte:02x}, so this is no plain ASCII text"
        raise bad_line(path, number, line, what, f"save it as plain text without NUL bytes, or {remedy}")
    return line


def lines(path: Path, remedy: str, checked: LineCheck = plain_ascii) -> Iterator[tuple[int, bytes]]:
    """The lines of a text file as (number from 1, ASCII bytes with line end); empty lines are allowed at the end only.

    Args:
        path: the file; a byte order mark is dropped.
        remedy: what the user can do about a damaged file.
        checked: gives a line's bytes as ASCII, or raises BadInput.

    Raises:
        BadInput: unreadable or empty file, an encoding that `checked` refuses, an empty line between others.
    """
    number = empty = 0
    try:
        with path.open("rb", buffering=1 << 20) as file:
            for number, line in enumerate(file, 1):
                text = checked(path, number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, remedy)
                if not text.strip():
                    empty = empty or number
                    continue
                if empty:
                    raise BadInput(f"{path}, line {empty}: an empty line between rows; remove it, or {remedy}")
                yield number, text
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
    if number == 0 or empty == 1:
        raise BadInput(f"{path}: the file is empty; {remedy}")


def fields_of(path: Path, number: int, line: bytes, remedy: str) -> list[str]:
    """The comma-separated fields of one line, quotes undone, blanks around them removed.

    Raises:
        BadInput: the line is no CSV.
    """
    try:
        return [field.strip() for field in next(csv.reader([line.decode("ascii").rstrip("\r\n")]))]
    except csv.Error as error:
        raise bad_line(path, number, line, f"is no CSV ({error})", remedy) from error


def header_columns(
    path: Path, rows: Iterator[tuple[int, bytes]], wanted: Sequence[str], remedy: str
) -> tuple[list[int], int]:
    """Takes the header line from `rows`; returns the positions of the wanted columns, by name, and the number of all.

    Raises:
        BadInput: a column is missing.
    """
    number, line = next(rows)
    names = fields_of(path, number, line, remedy)
    missing = [name for name in wanted if name not in names]
    if missing:
        what = f"no column {', '.join(missing)} in the header {shown(line.strip())}"
        raise bad_line(path, number, line, what, remedy)
    return [names.index(name) for name in wanted], len(names)
