"""DISFA as it is distributed: videos of 27 subjects, with the intensity of twelve action units in each frame.

Labels are `ActionUnit_Labels/SN001/SN001_au1.txt`, one line "frame,intensity" per frame, without a header; one that
other programs add is left out. Frames are matched by line: line t (from 0) belongs to picture t. The written numbers
must count from 1 (in some copies from 0) in all files of a subject. An action unit is present from intensity 2 on. Of
the twelve action units the eight of DISFA_AUS are used as labels; all twelve are checked.

Pictures, searched on disk in this order (or as set in `fernoise.toml`):

- "video": `Videos_LeftCamera/LeftVideoSN001_comp.avi` (in some copies the folder is `Video_LeftCamera`; for the right
  camera `Videos_RightCamera` or `Video_RightCamera`, `RightVideoSN001_comp.avi`);
- "images": extracted frames in `images/LeftVideoSN001_comp/` (or `images/RightVideoSN001_comp/`);
- "img": extracted frames in `img/SN001/`;
- "subjects": extracted frames in `SN001/`.

The number at the end of a picture's name is its frame, counted from the smallest number found in any folder, which must
be 0 (lists of JAA-Net and ME-GraphAU) or 1 (ffmpeg, OpenFace). If it is 1, some subject must have as large a number as
label lines; otherwise picture 0 may only be missing, and `image_base` must be set.

Settings in `fernoise.toml` beside the data:

- `pictures`: one of the four names above, if a copy has several;
- `camera` (default "left"): "left" or "right"; states the camera if the folders do not name one;
- `image_base`: the number of the first picture, instead of the smallest number found;
- `threshold` (default 2): the intensity from which an action unit is present. The papers use 2; with another value the
  copy counts as partial.

Sources: CVI-SZU/ME-GraphAU tool/DISFA_image_label_process.py (lines, subjects, threshold); ihp-lab/LibreFace
create_csv.py (extracted frames).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadInput
from ..files import Array
from ..labels import DISFA_AUS, DISFA_PARTS
from .clips import Clip, listing_of
from .disfa_media import KINDS, Pictures, find_pictures
from .folders import files_of, folders_of
from .listing import Check, Listing, absent, first, read_choices
from .look_around import Signs, first_picture
from .text_lines import coded, read_lines, shown, whole

HOME = "mohammadmahoor.com/disfa"
LABELS = "ActionUnit_Labels"
LINES = 4_845
FEWER_LINES = {"SN010": 4_844}
THRESHOLD = 2

_CODED = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
_COLUMNS = [_CODED.index(int(au.removeprefix("AU"))) for au in DISFA_AUS]
_FETCH = f"unpack the label files again, or ask for them at {HOME}"
_SUBJECT = re.compile(r"SN[0-9]+", re.IGNORECASE)
_LABEL_FILE = re.compile(r"(SN[0-9]+)_au0*([0-9]+)\.txt", re.IGNORECASE)
_INTENSITIES = {n: n for n in range(6)}
_NAMES = re.compile(r"\W*[a-z][\w .-]*\W*", re.IGNORECASE)
_PART = {subject: part for part, subjects in DISFA_PARTS for subject in subjects}


@dataclass(frozen=True)
class _File:
    """The label file of an action unit.

    Attributes:
        path: the file.
        start: the frame number of the first frame.
        values: the intensity of each frame, -1 for none.
        first_line: the number of the line of the first frame, 2 after a header line.
    """

    path: Path
    start: int
    values: list[int]
    first_line: int

    def place(self, frame: int, root: Path | None = None) -> str:
        """Where a frame, counted from 0, stands."""
        path = self.path if root is None else self.path.relative_to(root).as_posix()
        return f"{path}, line {self.first_line + frame}"


@dataclass(frozen=True)
class _Subject:
    """The labels of a subject.

    Attributes:
        name: such as "SN001".
        files: the label files, by action unit.
        intensities: int8 [n, 12], -1 for a missing file or number.
    """

    name: str
    files: Mapping[int, _File]
    intensities: Array

    @property
    def expected(self) -> int:
        """The published number of lines."""
        return FEWER_LINES.get(self.name, LINES)


def read(root: Path) -> Listing:
    """Lists the labelled frames that have a picture, sorted by subject and frame.

    Returns:
        Labels int8 [N, 8] in the order of DISFA_AUS, +1 present, -1 absent, 0 where the label file is missing; part
        "part1" to "part3" of the published split; group the subject; frame the frame of a video, -1 for pictures.

    Raises:
        BadInput: nothing usable in the folder, or a damaged label file.
    """
    root = Path(root)
    choices = read_choices(
        root, {"pictures": KINDS, "camera": ("left", "right"), "image_base": (0, 1), "threshold": (1, 2, 3, 4, 5)}
    )
    threshold, base = choices.get("threshold", THRESHOLD), choices.get("image_base")
    camera, kind = choices.get("camera", "left"), choices.get("pictures", "")
    folders = _subject_folders(root / LABELS)
    subjects = [one for name in sorted(folders) if (one := _subject(name, folders[name])).files]
    if not subjects:
        what = f"no label file such as {LABELS}/SN001/SN001_au1.txt"
        raise absent("DISFA", root, HOME, what, Signs((LABELS,), ("disfa",)))
    sizes = {one.name: len(one.intensities) for one in subjects}
    found = find_pictures(root, sizes, kind, camera, base)
    if found is None:
        videos = tuple(f"{camera.capitalize()}Video{name}_comp.avi" for name in sizes)
        wanted = Signs(videos, into=f"Videos_{camera.capitalize()}Camera")
        raise absent("DISFA", root, HOME, _without_pictures(root, sizes, kind, camera), wanted)
    clips = [_clip(one, found, threshold) for one in subjects]
    checks = [*_checks(root, subjects), *found.checks, Check("intensity from which present", THRESHOLD, threshold)]
    files = [file.path for one in subjects for file in one.files.values()]
    return listing_of("disfa", found.layout, root, DISFA_AUS, clips, checks, files)


def _subject_folders(folder: Path) -> dict[str, Path]:
    """The folders of the label files by subject."""
    names = [name for name in folders_of(folder) if _SUBJECT.fullmatch(name)]
    for name in names:
        if name.upper() not in _PART:
            raise BadInput(f"{folder / name}: {name} is none of DISFA's {len(_PART)} subjects; move the folder away")
    return {name.upper(): folder / name for name in names}


def _subject(name: str, folder: Path) -> _Subject:
    """Reads the label files of a subject."""
    paths: dict[int, Path] = {}
    for file in files_of(folder):
        match = _LABEL_FILE.fullmatch(file)
        if match is None or int(match[2]) not in _CODED:
            continue
        if match[1].upper() != name:
            raise BadInput(f"{folder / file}: a label file of {match[1]} in the folder of {name}; {_FETCH}")
        if int(match[2]) in paths:
            raise BadInput(f"{folder / file}: the same action unit as {paths[int(match[2])].name}; keep one of them")
        paths[int(match[2])] = folder / file
    files = {au: _label_file(paths[au]) for au in _CODED if au in paths}
    _check_same_length(list(files.values()))
    _check_same_start(list(files.values()))
    size = max((len(file.values) for file in files.values()), default=0)
    columns = [files[au].values if au in files else [-1] * size for au in _CODED]
    return _Subject(name, files, np.array(columns, np.int8).T)


def _label_file(path: Path) -> _File:
    """Reads a label file."""
    start, first_line = 0, 1
    values: list[int] = []
    for line in read_lines(path, _FETCH):
        number, comma, intensity = (word.strip() for word in line.text.decode().partition(","))
        if line.number == 1 and comma and _NAMES.fullmatch(number) and _NAMES.fullmatch(intensity):
            first_line = 2
            continue
        frame = whole(number)
        if not comma or frame is None:
            raise line.error(f"{shown(line.text.strip())} is no 'frame,intensity'")
        value = -1 if line.no_number(intensity) else coded(intensity, _INTENSITIES)
        if value is None:
            raise line.error(f"intensity {shown(intensity)} is none of 0 to 5")
        if not values:
            start = frame
        elif frame != start + len(values):
            before = start + len(values) - 1
            raise line.error(f"frame {frame} after frame {before}, so lines do not follow the pictures")
        values.append(value)
    if not values:
        raise BadInput(f"{path}: a header, but no frame after it; {_FETCH}")
    return _File(path, start, values, first_line)


def _check_same_length(files: Sequence[_File]) -> None:
    """Raises BadInput if the label files of a subject have different numbers of frames."""
    lengths = [len(file.values) for file in files]
    if len(set(lengths)) > 1:
        short, long = files[lengths.index(min(lengths))], files[lengths.index(max(lengths))]
        what = f"the file ends, but {long.path.name} has {max(lengths):,} lines and both are of the same frames"
        raise BadInput(f"{short.place(min(lengths))}: {what}; {_FETCH}")


def _check_same_start(files: Sequence[_File]) -> None:
    """Raises BadInput if the label files of a subject start at different frames, or later than at frame 1."""
    for file in files:
        other, start = min(files, key=lambda one: one.start), file.start
        if start > 1 or start != other.start:
            starts = f"frame {start}, but {other.path.name} starts at frame {other.start}"
            what = f"frame {start}" if start > 1 else starts
            raise BadInput(f"{file.place(0)}: {what}, so lines do not follow the pictures; {_FETCH}")


def _clip(subject: _Subject, pictures: Pictures, threshold: int) -> Clip:
    """The frames of a subject that have a picture."""
    found = pictures.of(subject.name)
    coded = subject.intensities[found.line][:, _COLUMNS]
    labels = np.where(coded < 0, 0, np.where(coded >= threshold, 1, -1)).astype(np.int8)
    return Clip(subject.name, _PART[subject.name], found.path, found.frame, labels)


def _without_pictures(root: Path, sizes: Mapping[str, int], kind: str, camera: str) -> str:
    """The explanation for a copy with labels but without pictures."""
    other = "right" if camera == "left" else "left"
    if find_pictures(root, sizes, kind, other, 0) is not None:
        return f'labels, but pictures of the {other} camera only: camera = "{other}" in fernoise.toml takes them'
    side = camera.capitalize()
    tried = f"Videos_{side}Camera/{side}VideoSN001_comp.avi, images/{side}VideoSN001_comp/, img/SN001/ and SN001/"
    other = first_picture(root)
    return f"labels, but none of their frames in {tried}" + (f"; pictures there are such as {other}" if other else "")


def _checks(root: Path, subjects: Sequence[_Subject]) -> Iterator[Check]:
    """The comparison of the labels with the published data set."""
    found = {one.name: one for one in subjects}
    yield Check.all("subjects", len(_PART), [f"{LABELS}: no {name}" for name in sorted(_PART) if name not in found])
    files = sum(len(one.files) for one in subjects)
    missing = (f"{LABELS}/{one.name}: no file of AU{au}" for one in subjects for au in _CODED if au not in one.files)
    yield Check("label files", len(_PART) * len(_CODED), files, first(missing))
    differing = [
        f"{LABELS}/{one.name}: {len(one.intensities):,} lines, published {one.expected:,}"
        for one in subjects
        if len(one.intensities) != one.expected
    ]
    right = len(subjects) - len(differing)
    yield Check("subjects with the published number of lines", len(_PART), right, first(differing))
    expected = {name: FEWER_LINES.get(name, LINES) for name in _PART}
    counted = {one.name: len(one.intensities) for one in subjects}
    yield Check("labelled frames", sum(expected.values()), sum(counted.values()), first(differing))
    for part, names in DISFA_PARTS:
        published, here = (sum(table.get(name, 0) for name in names) for table in (expected, counted))
        yield Check(f"labelled frames, {part}", published, here)
    other = [
        f"{file.place(0, root)}: frame {file.start}"
        for one in subjects
        for file in one.files.values()
        if file.start != 1
    ]
    yield Check.all("label files numbered from 1", files, other)
    empty = [
        file.place(frame, root)
        for one in subjects
        for file in one.files.values()
        for frame, value in enumerate(file.values)
        if value < 0
    ]
    if empty:
        yield Check.none("intensities without a number, unknown", empty)
