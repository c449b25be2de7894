"""DISFA's pictures: the frames of the videos, or folders with frames extracted from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadInput
from ..files import Array
from ..images.video import avi_length
from .clips import numbered_pictures, without_number
from .folders import files_of
from .listing import CHOICES_FILE, Check, first

KINDS = ("video", "images", "img", "subjects")
_VIDEO_FOLDERS = ("Videos_{side}Camera", "Video_{side}Camera")
_VIDEO = "{side}Video{subject}_comp.avi"
_FRAME_FOLDERS = {"images": "images/{side}Video{subject}_comp", "img": "img/{subject}", "subjects": "{subject}"}


@dataclass(frozen=True)
class Found:
    """The pictures of one subject.

    Attributes:
        line: int64 [N], the label lines that have a picture, from 0.
        path: the picture of each line, or one video for all; relative to the data set's folder.
        frame: int64 [N], 0-based frame of the video; -1 for pictures.
    """

    line: Array
    path: Sequence[str]
    frame: Array


@dataclass(frozen=True)
class Pictures:
    """The pictures of all subjects.

    Attributes:
        layout: where they were found.
        found: the pictures of each subject that has some.
        checks: the comparison of pictures and label lines.
    """

    layout: str
    found: Mapping[str, Found]
    checks: tuple[Check, ...]

    def of(self, subject: str) -> Found:
        """The pictures of a subject, possibly none."""
        return self.found.get(subject, Found(np.empty(0, np.int64), (), np.empty(0, np.int64)))


def find_pictures(root: Path, sizes: Mapping[str, int], kind: str, camera: str, base: int | None) -> Pictures | None:
    """The pictures of the labelled frames, from the first kind of folder that has some; None if none has.

    Args:
        root: the data set's folder.
        sizes: the number of label lines of each subject.
        kind: one of KINDS, or an empty string to try each in turn.
        camera: "left" or "right".
        base: the number of the first extracted frame; None for the smallest number found.

    Raises:
        BadInput: no video that is an AVI file, two pictures of one number, or a smallest number that is neither 0 nor
            1, or that may be either.
    """
    side = camera.capitalize()
    for one in (kind,) if kind else KINDS:
        found = _videos(root, sizes, side) if one == "video" else _extracted(root, sizes, one, side, base)
        if found is not None:
            return found
    return None


def _videos(root: Path, sizes: Mapping[str, int], side: str) -> Pictures | None:
    """The frames of the videos; a video whose header states no length is assumed to be long enough."""
    for folder in (folder.format(side=side) for folder in _VIDEO_FOLDERS):
        names = {name.lower(): name for name in files_of(root / folder)}
        wanted = {subject: _VIDEO.format(side=side, subject=subject) for subject in sizes}
        videos = {
            subject: f"{folder}/{names[name.lower()]}" for subject, name in wanted.items() if name.lower() in names
        }
        if videos:
            break
    else:
        return None
    stated: dict[str, int | None] = {}
    damaged: list[str] = []
    for subject, path in videos.items():
        try:
            stated[subject] = avi_length(root / path)
        except BadInput as error:  # its frames stay in the listing, to be named as damaged when they are decoded
            stated[subject] = None
            damaged.append(str(error))
    if len(damaged) == len(videos):
        raise BadInput(damaged[0])
    lengths = {subject: length for subject, length in stated.items() if length is not None}
    found = {}
    for subject, path in videos.items():
        frames = np.arange(min(sizes[subject], lengths.get(subject, sizes[subject])), dtype=np.int64)
        found[subject] = Found(frames, [path] * len(frames), frames)
    unequal = [
        f"{videos[subject]}: {length:,} frames, {sizes[subject]:,} label lines"
        for subject, length in lengths.items()
        if length != sizes[subject]
    ]
    long_enough = sum(length >= sizes[subject] for subject, length in lengths.items())
    missing = damaged + [f"{folder}: no {name}" for subject, name in wanted.items() if name.lower() not in names]
    checks = (
        Check.all("videos", len(sizes), missing),
        Check("videos not shorter than their labels", len(lengths), long_enough, first(unequal)),
        _with_picture(sizes, found, first(unequal) if long_enough < len(lengths) else ""),
    )
    return Pictures(f"video, {folder}", found, checks)


def _extracted(root: Path, sizes: Mapping[str, int], kind: str, side: str, base: int | None) -> Pictures | None:
    """The extracted frames, numbered by their names."""
    template = _FRAME_FOLDERS[kind]
    folders = {subject: template.format(side=side, subject=subject) for subject in sizes}
    named = {subject: numbered_pictures(root / folder) for subject, folder in folders.items()}
    pictures = {subject: numbers for subject, (numbers, _) in named.items()}
    starts = {subject: min(numbers) for subject, numbers in pictures.items() if numbers}
    if not starts:
        return None
    start = _first_number(root, folders, sizes, pictures) if base is None else base
    found, gaps = {}, []
    for subject, size in sizes.items():
        line = [t for t in range(size) if t + start in pictures[subject]]
        paths = [f"{folders[subject]}/{pictures[subject][t + start]}" for t in line]
        found[subject] = Found(np.array(line, np.int64), paths, np.full(len(line), -1, np.int64))
        if len(line) < size:
            missing = next(t for t in range(size) if t + start not in pictures[subject])
            gaps.append(f"{folders[subject]}: no picture {missing + start}, label line {missing + 1}")
    late = [f"{folders[subject]}: the smallest number is {at}" for subject, at in starts.items() if at != start]
    checks = (
        Check(f"subjects whose pictures start at {start}", len(sizes), len(starts) - len(late), first(late)),
        _with_picture(sizes, found, first(gaps)),
        *without_number([f"{folders[subject]}/{name}" for subject, (_, others) in named.items() for name in others]),
    )
    layout = f"{template.format(side=side, subject='SN001')}, {side.lower()} camera, pictures from {start}"
    return Pictures(layout, found, checks)


def _first_number(
    root: Path, folders: Mapping[str, str], sizes: Mapping[str, int], pictures: Mapping[str, Mapping[int, str]]
) -> int:
    """The number of the first frame, 0 or 1: the smallest number of all, where the largest ones do not contradict it.

    Raises:
        BadInput: numbers may start at 0 or at 1, or do so in different subjects.
    """
    starts = {subject: min(numbers) for subject, numbers in pictures.items() if numbers}
    earliest = min(starts, key=lambda subject: starts[subject])
    # Numbers from 1 end with the number of label lines, numbers from 0 one below it.
    from_1 = [subject for subject, at in starts.items() if at == 1 and sizes[subject] in pictures[subject]]
    folder, what = root / folders[earliest], f"the smallest picture number is {starts[earliest]}"
    if starts[earliest] == 1 and not from_1:
        ends = f"the largest is {max(pictures[earliest])}, for {sizes[earliest]:,} label lines"
        what += f" and {ends}, so picture 0 may be missing, or the last one"
    elif starts[earliest] > 1:
        what += ", so it is unknown whether numbers start at 0 or 1"
    elif starts[earliest] == 0 and from_1:
        what += f", but {folders[from_1[0]]} has pictures 1 to {sizes[from_1[0]]}: number all from 0 or all from 1"
    else:
        return starts[earliest]
    raise BadInput(f"{folder}: {what}; write image_base = 0 (or 1) into {root / CHOICES_FILE}")


def _with_picture(sizes: Mapping[str, int], found: Mapping[str, Found], where: str) -> Check:
    kept = sum(len(one.line) for one in found.values())
    return Check("labelled frames with a picture", sum(sizes.values()), kept, where)
