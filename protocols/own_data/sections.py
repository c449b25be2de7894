"""Reading of a TOML file section by section, with errors that name the file, the key, what was found, what to do."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UNREADABLE, BadInput, printable

LARGEST = 1 << 16  # bytes; reading TOML can take time quadratic in its size
_MOST_DOTS = 1_000  # of a line; reading a key takes time quadratic in its dots
_MOST = 10_000  # entries of a list or table
_LARGEST_NUMBER = 10**12
_LONGEST_TEXT = 1_000


@dataclass(frozen=True)
class Section:
    """A table of a TOML file.

    Attributes:
        file: the file, for errors.
        name: the table's name, "" for the whole file.
        content: its keys and values.
    """

    file: Path
    name: str
    content: Mapping[str, Any]

    def known(self, names: Iterable[str]) -> Section:
        """Itself; BadInput for a key that is none of the names, with the nearest of them."""
        names = list(names)
        for key in self.content:
            if key not in names:
                near = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
                where = f" in [{self.name}]" if self.name else ""
                raise BadInput(f"{self.file}: unknown key {_short(key)}{where}: {hint}")
        return self

    def error(self, key: str, what: str) -> BadInput:
        """The error for a key, as in "mine.toml: data.table = 3: must be text"."""
        place = f"{self.name}.{key}" if self.name else key
        found = f" = {_short(self.content[key])}" if key in self.content else ""
        return BadInput(f"{self.file}: {place}{found}: {what}")

    def section(self, key: str) -> Section:
        """A table in it; an empty one if it is missing."""
        found = self.content.get(key, {})
        if not isinstance(found, dict):
            raise self.error(key, f"must be a table, written as [{self.name}.{key}]".replace("[.", "["))
        if len(found) > _MOST:
            raise self.error(key, f"more than {_MOST:,} entries")
        return Section(self.file, f"{self.name}.{key}".lstrip("."), found)

    def text(self, key: str, default: str | None = None, choices: Sequence[str] = ()) -> str:
        """A text of one line; without a default it must be there, and of some choices it must be one."""
        if key not in self.content and default is not None:
            return default
        found = self._value(key, str, "text, in quotes")
        if choices and found not in choices:
            near = difflib.get_close_matches(found, choices, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise self.error(key, f"must be one of {', '.join(map(repr, choices))}{hint}")
        self._check_text(key, found)
        return str(found)

    def whole(self, key: str, default: int, least: int = 0) -> int:
        """A whole number of at least `least`."""
        found = self._value(key, int, "a whole number") if key in self.content else default
        if not least <= found <= _LARGEST_NUMBER:
            raise self.error(key, f"must be at least {least}, at most {_LARGEST_NUMBER:,}")
        return int(found)

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """A number from low to high."""
        found = self._value(key, (int, float), "a number") if key in self.content else default
        if not (math.isfinite(found) and low <= found <= high):
            raise self.error(key, f"must be a number from {low:g} to {high:g}")
        return float(found)

    def truth(self, key: str, default: bool) -> bool:
        """True or false."""
        return bool(self._value(key, bool, "true or false")) if key in self.content else default

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of different texts."""
        if key not in self.content and default is not None:
            return default
        found = self._value(key, list, "a list of texts, as in ['happy', 'sad']")
        if len(found) > _MOST or any(not isinstance(one, str) for one in found):
            raise self.error(key, "must be a list of texts, as in ['happy', 'sad']")
        for one in found:
            self._check_text(key, one)
        if twice := next((one for one in found if found.count(one) > 1), None):
            raise self.error(key, f"{_short(twice)} is there twice")
        return tuple(found)

    def numbers(self, key: str, low: float, high: float) -> tuple[float, ...]:
        """A list of different numbers from low to high, none by default."""
        found = self._value(key, list, "a list of numbers") if key in self.content else []
        if any(type(one) not in (int, float) or not low <= one <= high for one in found):
            raise self.error(key, f"must be a list of numbers from {low:g} to {high:g}")
        if len(set(found)) < len(found):
            raise self.error(key, "a number is there twice")
        return tuple(map(float, found))

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """A table of texts, as in [data.values]."""
        section = self.section(key)
        return tuple((name, section.text(name)) for name in section.content)

    def path(self, key: str, default: str | None = None) -> str:
        """A path relative to the TOML file's folder, with slashes."""
        found = self.text(key, default)
        if Path(found).is_absolute() or (len(found) > 1 and found[1] == ":"):
            raise self.error(key, "write a path relative to the folder of this file, so that it works elsewhere too")
        return found.replace("\\", "/")

    def _value(self, key: str, kind: type | tuple[type, ...], what: str) -> Any:
        if key not in self.content:
            raise self.error(key, f"is missing; give {what}")
        found = self.content[key]
        if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
            raise self.error(key, f"must be {what}")
        return found

    def _check_text(self, key: str, text: str) -> None:
        if len(text) > _LONGEST_TEXT or not text.isprintable():
            raise self.error(key, f"must be one line of at most {_LONGEST_TEXT:,} printable characters")


def read_toml(file: Path) -> Section:
    """The content of a TOML file.

    Raises:
        BadInput: it is missing, no file, larger than LARGEST, not UTF-8, or no TOML.
    """
    if not file.exists():
        raise BadInput(f"{file}: no such file; fernoise-bench data new {file} --from FOLDER writes one")
    if not file.is_file():
        raise BadInput(f"{file}: not a file; name a TOML file")
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError(f"more than {LARGEST:,} bytes, so it is no protocol")
        if any(line.count(b".") > _MOST_DOTS for line in content.splitlines()):
            raise ValueError(f"more than {_MOST_DOTS:,} dots in one line")
        return Section(file, "", tomllib.loads(content.decode("utf-8-sig")))
    except UNREADABLE as error:
        why = printable(str(error))[:200] or type(error).__name__
        raise BadInput(f"{file}: not a TOML file ({why}); correct it there") from error


def _short(value: object) -> str:
    """A value as messages show it, at most 60 characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, or nested lists
        return "a value too long to print"
    return text if len(text) <= 60 else f"{text[:57]}..."
