"""Where DISFA's pictures are: the frames of videos, or folders of frames that somebody extracted from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadInput
from ..files import Array
from ..images.video import avi_length
from .clips import first, numbered_pictures
from .folders import files_of
from .listing import CHOICES_FILE, Check

KINDS = ("video", "images", "img", "subjects")
_VIDEO_FOLDERS = ("Videos_{side}Camera", "Video_{side}Camera")
_VIDEO = "{side}Video{subject}_comp.avi"
_FRAME_FOLDERS = {"images": "images/{side}Video{subject}_comp", "img": "img/{subject}", "subjects": "{subject}"}


@dataclass(frozen=True)
class Found:
    """The pictures of one subject.

    Attributes:
        line: int64 [N], the label lines that have a picture, from 0.
        path: the picture of each, or one video for all; relative to the data set's folder.
        frame: int64 [N], 0-based frame of the video; -1 for pictures.
    """

    line: Array
    path: Sequence[str]
    frame: Array


@dataclass(frozen=True)
class Pictures:
    """The pictures of all subjects that have some.

    Attributes:
        layout: where they were found.
        found: those of each subject.
        checks: pictures against label lines.
    """

    layout: str
    found: Mapping[str, Found]
    checks: tuple[Check, ...]

    def of(self, subject: str) -> Found:
        """The pictures of a subject; of one without pictures an empty set."""
        return self.found.get(subject, Found(np.empty(0, np.int64), (), np.empty(0, np.int64)))


def find_pictures(root: Path, sizes: Mapping[str, int], kind: str, camera: str, base: int | None) -> Pictures | None:
    """The pictures of the labelled frames, in the first place that has some; None where no place has.

    Args:
        root: the data set's folder.
        sizes: the number of label lines of each subject.
        kind: one of KINDS, or an empty string to look for each in turn.
        camera: "left" or "right".
        base: the number of the first extracted frame; None for the smallest number found.

    Raises:
        BadInput: a file that is no AVI video, two pictures of one number, or a smallest number that is neither 0 nor 1.
    """
    side = camera.capitalize()
    for one in (kind,) if kind else KINDS:
        found = _videos(root, sizes, side) if one == "video" else _extracted(root, sizes, one, side, base)
        if found is not None:
            return found
    return None


def _videos(root: Path, sizes: Mapping[str, int], side: str) -> Pictures | None:
    """The frames of the videos; a video whose header states no length is taken to be long enough."""
    for folder in (folder.format(side=side) for folder in _VIDEO_FOLDERS):
        names = {name.lower(): name for name in files_of(root / folder)}
        wanted = {subject: _VIDEO.format(side=side, subject=subject) for subject in sizes}
        videos = {who: f"{folder}/{names[name.lower()]}" for who, name in wanted.items() if name.lower() in names}
        if videos:
            break
    else:
        return None
    stated = {who: avi_length(root / path) for who, path in videos.items()}
    lengths = {who: length for who, length in stated.items() if length is not None}
    found = {}
    for who, path in videos.items():
        frames = np.arange(min(sizes[who], lengths.get(who, sizes[who])), dtype=np.int64)
        found[who] = Found(frames, [path] * len(frames), frames)
    unequal = [
        f"{videos[who]}: {length:,} frames, {sizes[who]:,} label lines"
        for who, length in lengths.items()
        if length != sizes[who]
    ]
    long_enough = sum(length >= sizes[who] for who, length in lengths.items())
    return Pictures(
        f"video, {folder}",
        found,
        (
            Check(
                "videos", len(sizes), len(videos), first(f"{folder}: no {wanted[w]}" for w in sizes if w not in videos)
            ),
            Check("videos not shorter than their labels", len(lengths), long_enough, first(unequal)),
            _with_picture(sizes, found, first(unequal) if long_enough < len(lengths) else ""),
        ),
    )


def _extracted(root: Path, sizes: Mapping[str, int], kind: str, side: str, base: int | None) -> Pictures | None:
    """Pictures named by frame."""
    template = _FRAME_FOLDERS[kind]
    folders = {who: template.format(side=side, subject=who) for who in sizes}
    everybody = {who: numbered_pictures(root / folder) for who, folder in folders.items()}
    numbers = {who: pictures for who, pictures in everybody.items() if pictures}
    if not numbers:
        return None
    starts = {who: min(pictures) for who, pictures in numbers.items()}
    earliest = min(starts, key=lambda who: starts[who])
    if base is None and starts[earliest] > 1:
        what = (
            f"the smallest picture number is {starts[earliest]}, so whether they count from 0 or from 1 cannot be seen"
        )
        raise BadInput(f"{root / folders[earliest]}: {what}; write image_base = 0 (or 1) into {root / CHOICES_FILE}")
    start = starts[earliest] if base is None else base
    found, lost = {}, []
    for who, pictures in everybody.items():
        line = [t for t in range(sizes[who]) if t + start in pictures]
        paths = [f"{folders[who]}/{pictures[t + start]}" for t in line]
        found[who] = Found(np.array(line, np.int64), paths, np.full(len(line), -1, np.int64))
        if len(line) < sizes[who]:
            number = start + next(t for t in range(sizes[who]) if t + start not in pictures)
            lost.append(f"{folders[who]}: no picture {number}, label line {number - start + 1}")
    late = [f"{folders[who]}: the smallest number is {at}" for who, at in starts.items() if at != start]
    return Pictures(
        f"{template.format(side=side, subject='SN001')}, {side.lower()} camera, pictures from {start}",
        found,
        (
            Check(f"subjects whose pictures start at {start}", len(sizes), len(starts) - len(late), first(late)),
            _with_picture(sizes, found, first(lost)),
        ),
    )


def _with_picture(sizes: Mapping[str, int], found: Mapping[str, Found], where: str) -> Check:
    kept = sum(len(one.line) for one in found.values())
    return Check("labelled frames with a picture", sum(sizes.values()), kept, where)
