"""Reads and writes a trial's files as `schema` defines them; content that could not be read is not written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ...protocols.errors import BadInput, printable
from ...protocols.files import canonical_json, read_content, write_json, write_jsonl
from .schema import Environment, EpochLine, Identity, Status, TeacherStatus, identity_of

T = TypeVar("T")
Part = TypeVar("Part", Identity, Environment, Status, TeacherStatus)

TRACEBACK = "traceback.txt"  # of a failed trial, for its user; no part of its record

FILES = ("identity.json", "status.json", "environment.json", "epochs.jsonl", "predictions.npz")

_FILE_OF = {Identity: FILES[0], Status: FILES[1], Environment: FILES[2], TeacherStatus: FILES[1]}
_DECODE: dict[type, Callable[[bytes], Any]] = {kind: msgspec.json.Decoder(kind).decode for kind in _FILE_OF}
_DECODE[Identity] = lambda raw: identity_of(msgspec.json.decode(raw))
_LINE = msgspec.json.Decoder(EpochLine)
_PLACE = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)


def read_part(folder: Path, kind: type[Part]) -> Part:
    """identity.json, environment.json or status.json of a trial's folder.

    Raises:
        BadInput: the file is missing or damaged, or a field is invalid; the message names it.
    """
    found: Part = _read(folder / _FILE_OF[kind], _DECODE[kind])
    return found


def read_epochs(folder: Path) -> tuple[EpochLine, ...]:
    """epochs.jsonl of a trial's folder. Errors as above."""
    return _read(folder / "epochs.jsonl", decode_epochs, printed=False)


def write_part(folder: Path, part: Identity | Environment | Status | TeacherStatus) -> dict[str, Any]:
    """Writes identity.json, environment.json or status.json, atomically. Returns its content.

    Raises:
        ValueError: a field is invalid; the message names it. Nothing is written then.
    """
    content: dict[str, Any] = part.content if isinstance(part, Identity) else msgspec.to_builtins(part)
    if content.get("wall_seconds", 0.0) is None:  # as in records of earlier versions, which stay the same bytes
        del content["wall_seconds"]
    _check(content, _DECODE[type(part)])
    write_json(folder / _FILE_OF[type(part)], content)
    return content


def write_epochs(folder: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Writes epochs.jsonl. Errors as above."""
    for line in lines:
        _check(line, _LINE.decode)
    write_jsonl(folder / "epochs.jsonl", lines)


def decode_epochs(raw: bytes) -> tuple[EpochLine, ...]:
    """The lines of epochs.jsonl; ValueError, which names the line, where one is invalid."""
    lines = []
    for number, line in enumerate(raw.splitlines(), 1):
        try:
            lines.append(_LINE.decode(line))
        except ValueError as error:
            raise ValueError(f"line {number}: {_told(error)}") from error
    return tuple(lines)


def _check(content: Mapping[str, Any], decode: Callable[[bytes], object]) -> None:
    try:
        decode(canonical_json(content).encode())
    except msgspec.ValidationError as error:
        raise ValueError(_told(error)) from error


def _read(path: Path, decode: Callable[[bytes], T], *, printed: bool = True) -> T:
    """A file's content; control characters are refused, since tables print it in a terminal."""
    raw = read_content(path)
    try:
        text, found = raw.decode(), decode(raw)
        if printed and not is_printable(text):
            raise ValueError("a name or a reason holds control characters")
    except (ValueError, RuntimeError, MemoryError) as error:
        raise damaged(path.parent, f"{path.name}: {printable(_told(error))[:300]}") from error
    return found


def damaged(folder: Path, what: str) -> BadInput:
    """The error for a trial whose files are damaged."""
    return BadInput(f"{folder} is damaged ({what}): run the trial again to replace it")


def _told(error: Exception) -> str:
    """The error message after the dotted name of the field."""
    found = _PLACE.fullmatch(str(error))
    what, place = found.groups() if found else (str(error) or type(error).__name__, "")
    what = what.replace("`str` matching regex '\\\\S'", "`str` that is not blank")
    return f"{place}: {what}" if place else what


def is_printable(text: str) -> bool:
    """Whether every text in JSON can be printed, names of fields included."""
    if text.isascii() and "\\" not in text and "\x7f" not in text:  # JSON holds other control characters as escapes
        return True
    return all(map(str.isprintable, _texts(msgspec.json.decode(text))))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    parts: Iterable[object] = value if isinstance(value, list) else ()
    for part in (*value, *value.values()) if isinstance(value, dict) else parts:
        yield from _texts(part)
