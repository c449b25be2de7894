"""What a reader finds of a data set on disk: which picture has which label, before any picture is decoded."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import BadInput
from ..files import Array

CHOICES_FILE = "fernoise.toml"


@dataclass(frozen=True)
class Check:
    """One comparison of a copy with what its owners published.

    Attributes:
        what: what is counted, as a person would say it ("training rows", "class fear, training").
        expected, found: the published and the found number or word.
        where: file and line of the first difference, or an empty string.
    """

    what: str
    expected: int | str
    found: int | str
    where: str = ""

    @property
    def ok(self) -> bool:
        """Whether the copy is as published in this."""
        return self.expected == self.found


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
        group: unicode [N], the subject; each row its own where subjects are not known.
        part: unicode [N], "train", "validation", "test", or a data set's own word ("automatic").
        checks: the comparison with what was published; a copy with a check that is not ok is partial.
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

    def __len__(self) -> int:
        return len(self.path)

    @property
    def partial(self) -> bool:
        """Whether the copy differs from what was published."""
        return not all(check.ok for check in self.checks)


def read_choices(root: Path, known: Mapping[str, type]) -> dict[str, object]:
    """The choices a user wrote in `fernoise.toml` beside the data, where a layout leaves some.

    Args:
        root: the data set's folder.
        known: the names that may be set, and the type of each.

    Raises:
        BadInput: not TOML, an unknown name (with the known ones), or a value of another type.
    """
    file = root / CHOICES_FILE
    if not file.is_file():
        return {}
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{file}: not a TOML file: {error}".splitlines()[0]) from error
    for name, value in found.items():
        if name not in known:
            raise BadInput(f"{file}: unknown choice '{name}'; known: {', '.join(sorted(known))}")
        if not isinstance(value, known[name]) or isinstance(value, bool) != (known[name] is bool):
            raise BadInput(f"{file}: {name} = {value!r} must be of type {known[name].__name__}")
    return found


def absent(dataset: str, root: Path, ask: str, what: str = "") -> BadInput:
    """The error for a data set that is not there: name, where it was looked for, where to ask, and `--synthetic`."""
    detail = f" ({what})" if what else ""
    return BadInput(
        f"{dataset}: nothing usable in {root}{detail}; ask for it at {ask}, or run protocols on generated "
        "faces, with --synthetic"
    )
