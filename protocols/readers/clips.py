"""Frames of people over time: numbered pictures of a folder, and clips joined to a listing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

from ..errors import BadInput
from ..files import Array
from .folders import files_of
from .listing import CHOICES_FILE, Check, Listing
from .text_lines import shown

T = TypeVar("T")
# The number a name ends with; names with a leading dot are what file managers leave behind.
_PICTURE = re.compile(r"(?!\.)(?:.*[^0-9])?([0-9]+)\.(?:jpe?g|png|bmp)", re.IGNORECASE)


@dataclass(frozen=True)
class Clip:
    """The usable frames of one recording.

    Attributes:
        subject: who is seen.
        part: the part of the published split the subject is in.
        path: the picture of each frame, or one video for all; relative to the data set's folder, with slashes.
        frame: int64 [N], 0-based frame of the video; -1 for pictures.
        labels: int8 [N, L] in {-1, 0, +1}, 0 for unknown.
    """

    subject: str
    part: str
    path: Sequence[str]
    frame: Array
    labels: Array


def numbered_pictures(folder: Path) -> dict[int, str]:
    """The pictures of a folder by the number their names end with, however it is padded; {} where there is no folder.

    Raises:
        BadInput: two pictures of one number.
    """
    pictures: dict[int, str] = {}
    for name in files_of(folder):
        match = _PICTURE.fullmatch(name)
        if match is None:
            continue
        number = int(match[1])
        if number in pictures:
            both = f"{shown(pictures[number])} and {shown(name)}"
            raise BadInput(f"{folder}: two pictures of number {number}, {both}; keep the one that came with the set")
        pictures[number] = name
    return pictures


def choice(choices: Mapping[str, object], name: str, default: T, known: Sequence[T] = (), root: Path = Path()) -> T:
    """A choice from `fernoise.toml`, whose type is checked already, or the default.

    Args:
        choices: what `read_choices` returned.
        name: the choice.
        default: its value where the file does not set it.
        known: the values the file may set; any for none.
        root: the data set's folder, for the error.

    Raises:
        BadInput: a value that is not among the known ones.
    """
    value = cast(T, choices.get(name, default))
    if known and name in choices and value not in known:
        words = ", ".join(repr(one) for one in known)
        raise BadInput(f"{root / CHOICES_FILE}: {name} = {value!r} must be one of {words}")
    return value


def first(differences: Iterable[str]) -> str:
    """The first of the differences, or an empty string."""
    return next(iter(differences), "")


def listing_of(
    dataset: str, layout: str, root: Path, names: tuple[str, ...], clips: Sequence[Clip], checks: Sequence[Check]
) -> Listing:
    """The clips, one after the other, as a listing without face boxes."""
    sizes = [len(clip.path) for clip in clips]
    return Listing(
        dataset=dataset,
        layout=layout,
        root=root,
        names=names,
        path=np.array([path for clip in clips for path in clip.path], np.str_),
        frame=np.concatenate([clip.frame for clip in clips]),
        box=np.full((sum(sizes), 4), np.nan),
        labels=np.concatenate([clip.labels for clip in clips]),
        group=np.repeat([clip.subject for clip in clips], sizes),
        part=np.repeat([clip.part for clip in clips], sizes),
        checks=tuple(checks),
    )
