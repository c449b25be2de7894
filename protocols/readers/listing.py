"""The result of reading a data set: the rows with their pictures and labels, before any picture is decoded."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UNREADABLE, BadInput, printable
from ..files import Array
from .look_around import Signs, absence
from .text_lines import shown

Allowed = type | tuple[object, ...]
CHOICES_FILE = "fernoise.toml"
_LONGEST_CHOICES = 1 << 13  # bytes
_LARGEST_CHOICE = 10**9


@dataclass(frozen=True)
class Check:
    """A comparison of a copy of a data set with the published one.

    Attributes:
        what: what is compared ("training rows", "class fear, training").
        expected, found: the published value, and that of the copy.
        where: file and line of the first difference, or an empty string.
    """

    what: str
    expected: int | str
    found: int | str
    where: str = ""

    @property
    def ok(self) -> bool:
        """Whether the copy agrees with the published data set."""
        return self.expected == self.found

    @classmethod
    def none(cls, what: str, places: Sequence[str]) -> Check:
        """The check that something does not occur, from the places where it does."""
        return cls(what, 0, len(places), first(places))

    @classmethod
    def most(cls, what: str, total: int, least: float, found: int, where: str = "") -> Check:
        """The check that something holds for a share of `total` items or more."""
        enough = f"{100 * least:g} % of {total:,} or more"
        return cls(what, enough, enough if found >= least * total else f"{found:,}", where)

    @classmethod
    def all(cls, what: str, total: int, exceptions: Sequence[str]) -> Check:
        """The check that something holds for all of `total` items, from the exceptions."""
        return cls(what, total, total - len(exceptions), first(exceptions))


@dataclass(frozen=True)
class Listing:
    """The rows of a data set.

    Attributes:
        dataset: its folder name under the data root.
        layout: which of the published layouts was found.
        root: the data set's folder; paths are relative to it.
        names: class names (single) or AU names (multi), in column order.
        path: unicode [N], picture or video of each row, with slashes.
        frame: int64 [N], 0-based frame of a video; -1 for a picture.
        box: float64 [N, 4], left, top, width, height of the face in the picture; NaN for the whole picture.
        labels: int64 [N], -1 for none, or int8 [N, L] in {-1, 0, +1}, 0 for unknown.
        group: unicode [N], the subject; a distinct value for each row where subjects are not known.
        part: unicode [N], "train", "validation", "test", or the data set's own name of a part ("automatic").
        checks: the comparison with the published data set; the copy is partial if a check is not ok.
        labels_from: the files and folders that labels come from, relative to root.
        state: of the pictures' files, where it is known; pictures of another state are prepared again.
        described_in: the user's file that describes the data set; "" for published ones.
    """

    dataset: str
    layout: str
    root: Path
    names: tuple[str, ...]
    path: Array
    frame: Array
    box: Array
    labels: Array
    group: Array
    part: Array
    checks: tuple[Check, ...]
    labels_from: tuple[str, ...] = ()
    state: str = ""
    described_in: str = ""

    def __len__(self) -> int:
        return len(self.path)

    @property
    def partial(self) -> bool:
        """Whether the copy differs from the published data set."""
        return not all(check.ok for check in self.checks)


def first(places: Iterable[str]) -> str:
    """The first of some strings, or an empty string."""
    return next(iter(places), "")


def read_choices(root: Path, known: Mapping[str, Allowed]) -> dict[str, Any]:
    """The settings in `fernoise.toml` beside the data, where a layout leaves a choice to the user.

    Args:
        root: the data set's folder.
        known: the settings, each with its type, its allowed values, or Path for a file or folder inside root.

    Returns:
        The settings in the file, paths as strings with slashes.

    Raises:
        BadInput: invalid TOML, an unknown setting, or a value that is not allowed.
    """
    file = root / CHOICES_FILE
    if not file.is_file():
        return {}
    found = _choices(file)
    for name, value in found.items():
        if name not in known:
            raise BadInput(f"{file}: unknown choice {shown(name)}; known: {', '.join(sorted(known))}")
        allowed = known[name]
        kind = type(allowed[0]) if isinstance(allowed, tuple) else str if allowed is Path else allowed
        if type(value) is not kind:
            raise BadInput(f"{file}: {name} = {_short(value)} must be of type {kind.__name__}")
        if isinstance(value, int) and abs(value) > _LARGEST_CHOICE:
            raise BadInput(f"{file}: {name} = {_short(value)} must be at most {_LARGEST_CHOICE:,}")
        if isinstance(allowed, tuple) and value not in allowed:
            raise BadInput(f"{file}: {name} = {_short(value)} must be one of {', '.join(map(repr, allowed))}")
        if allowed is Path:
            path = Path(str(value))
            if path.is_absolute() or ".." in path.parts or not (root / path).exists():
                raise BadInput(
                    f"{file}: {name} = {_short(value)} is not in {root}; write a path relative to that folder"
                )
            found[name] = path.as_posix()
    return found


def _choices(file: Path) -> dict[str, Any]:
    """The content of a choices file; its size is limited since reading TOML can take time quadratic in it."""
    try:
        with file.open("rb") as opened:
            content = opened.read(_LONGEST_CHOICES + 1)
        if len(content) > _LONGEST_CHOICES:
            raise ValueError(f"more than {_LONGEST_CHOICES:,} bytes")
        return tomllib.loads(content.decode("utf-8-sig"))
    except UNREADABLE as error:
        why = printable(str(error))[:200] or type(error).__name__
        raise BadInput(f"{file}: not a TOML file of choices ({why}); correct it, or remove it") from error


def _short(value: object) -> str:
    """A value as TOML's reader found it, at most 60 letters."""
    try:
        text = repr(value)
    except ValueError:  # Python prints no integer of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."


def absent(dataset: str, root: Path, ask: str, what: str, *wanted: Signs) -> BadInput:
    """The error for a missing data set: its name, where it was looked for, and how to go on.

    Args:
        dataset: its name in the message.
        root: its folder.
        ask: where to ask for it.
        what: what was looked for, or what is missing.
        wanted: by what that is known, if it lies elsewhere.
    """
    go_on = f"ask for it at {ask}, or run protocols on generated faces, with --synthetic"
    return absence(f"{dataset}: nothing usable in {root} ({what})", root, go_on, *wanted)
