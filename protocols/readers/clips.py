"""Frames of video recordings: numbered pictures in a folder, and the listing of several clips."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadInput
from ..files import Array
from .folders import files_of
from .listing import Check, Listing
from .text_lines import shown

_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp")
# The number at the end of a name, not after a blank: file managers call copies of 001.jpg "001 2.jpg".
_NUMBER = re.compile(r"(?:.*[^0-9\s])?([0-9]+)")


@dataclass(frozen=True)
class Clip:
    """The usable frames of one recording.

    Attributes:
        subject: the person.
        part: the part of the published split that contains the subject.
        path: the picture of each frame, or one video for all; relative to the data set's folder, with slashes.
        frame: int64 [N], 0-based frame of the video; -1 for pictures.
        labels: int8 [N, L] in {-1, 0, +1}, 0 for unknown; or int64 [N] classes.
    """

    subject: str
    part: str
    path: Sequence[str]
    frame: Array
    labels: Array


def numbered_pictures(folder: Path) -> tuple[dict[int, str], list[str]]:
    """The pictures of a folder by the number at the end of their name, with or without leading zeros.

    Returns:
        Names by number, and the names of pictures without one, such as "001 (1).jpg" and "001 2.jpg"; both empty if
        the folder does not exist.

    Raises:
        BadInput: two pictures of one number.
    """
    pictures: dict[int, str] = {}
    others: list[str] = []
    for name in files_of(folder):
        stem, ending = os.path.splitext(name)
        if ending.lower() not in _ENDINGS:
            continue
        match = _NUMBER.fullmatch(stem)
        if match is None:
            others.append(name)
            continue
        number = int(match[1])
        if number in pictures:
            both = f"{shown(pictures[number])} and {shown(name)}"
            raise BadInput(f"{folder}: two pictures of number {number}, {both}; keep the one that came with the set")
        pictures[number] = name
    return pictures, others


def without_number(places: Sequence[str]) -> list[Check]:
    """The check for pictures without a number in their name, which are not used; none if there are none."""
    return [Check.none("pictures without a frame number in their name, not used", places)] if places else []


def listing_of(
    dataset: str,
    layout: str,
    root: Path,
    names: tuple[str, ...],
    clips: Sequence[Clip],
    checks: Sequence[Check],
    labels_from: Iterable[Path] = (),
) -> Listing:
    """The frames of all clips as a listing without face boxes."""
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
        labels_from=tuple(path.relative_to(root).as_posix() for path in labels_from),
    )
