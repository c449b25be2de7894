"""DISFA as it is distributed: 27 people on video, the intensity of twelve action units in each frame.

Labels are `ActionUnit_Labels/SN001/SN001_au1.txt`, a line "frame,intensity" a frame, without a header. Lines count,
not the printed numbers: line t (from 0) belongs to picture t. Present is an intensity of 2 or more. Of the twelve
action units the eight of DISFA_AUS make the labels; all twelve are checked.

Pictures, found by what is on disk in this order (or as `fernoise.toml` says):

- "video": `Videos_LeftCamera/LeftVideoSN001_comp.avi` (the folder is also seen as `Video_LeftCamera`; for the right
  camera `Videos_RightCamera` or `Video_RightCamera`, `RightVideoSN001_comp.avi`);
- "images": extracted frames in `images/LeftVideoSN001_comp/` (or `images/RightVideoSN001_comp/`);
- "img": extracted frames in `img/SN001/`;
- "subjects": extracted frames in `SN001/`.

The number a picture's name ends with is its frame, counted from the smallest number found anywhere, which must be 0
(lists of JAA-Net and ME-GraphAU) or 1 (ffmpeg, OpenFace).

Choices in `fernoise.toml` beside the data:

- `pictures`: one of the four words above, where a copy has several;
- `camera` (default "left"): "left" or "right"; says which camera is meant where the folders do not name one;
- `image_base`: the number of the first picture, instead of the smallest number found;
- `threshold` (default 2): the intensity from which an action unit is present. The papers' protocol is 2: another value
  makes the copy a partial one.

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
from .clips import Clip, choice, first, listing_of
from .disfa_media import KINDS, Pictures, find_pictures
from .folders import files_of, folders_of
from .listing import Check, Listing, absent, read_choices
from .text_lines import bad_line, lines, shown

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
_INTENSITIES = {str(n).encode(): n for n in range(6)}
_PART = {subject: part for part, subjects in DISFA_PARTS for subject in subjects}


@dataclass(frozen=True)
class _Subject:
    """The labels of a subject: intensities int8 [n, 12], -1 for a file that is missing; the files, by action unit."""

    name: str
    files: Mapping[int, Path]
    intensities: Array
    numbered_from: Mapping[int, int]

    @property
    def expected(self) -> int:
        """The published number of lines."""
        return FEWER_LINES.get(self.name, LINES)


def read(root: Path) -> Listing:
    """Lists the labelled frames that have a picture, sorted by subject and frame.

    Args:
        root: the data set's folder.

    Returns:
        Labels int8 [N, 8] in the order of DISFA_AUS, +1 present, -1 absent, 0 where the label file is missing; part
        "part1" to "part3" of the published split; group the subject; frame the frame of a video, -1 for pictures.

    Raises:
        BadInput: nothing usable in the folder, or a label file that is damaged: file, line and value in one line.
    """
    root = Path(root)
    choices = read_choices(root, {"pictures": str, "camera": str, "image_base": int, "threshold": int})
    threshold = choice(choices, "threshold", THRESHOLD, range(1, 6), root)
    camera = choice(choices, "camera", "left", ("left", "right"), root)
    kind = choice(choices, "pictures", "", KINDS, root)
    base = choice(choices, "image_base", None, (0, 1), root)
    folders = _subject_folders(root / LABELS)
    subjects = [one for name in sorted(folders) if (one := _subject(name, folders[name])).files]
    if not subjects:
        raise absent("DISFA", root, HOME, f"no label file such as {LABELS}/SN001/SN001_au1.txt")
    sizes = {one.name: len(one.intensities) for one in subjects}
    found = find_pictures(root, sizes, kind, camera, base)
    if found is None:
        raise absent("DISFA", root, HOME, _without_pictures(root, sizes, kind, camera))
    clips = [_clip(one, found, threshold) for one in subjects]
    checks = [*_checks(subjects), *found.checks, Check("intensity from which present", THRESHOLD, threshold)]
    return listing_of("disfa", found.layout, root, DISFA_AUS, clips, checks)


def _subject_folders(folder: Path) -> dict[str, Path]:
    """The folders of the label files by subject."""
    names = [name for name in folders_of(folder) if _SUBJECT.fullmatch(name)]
    for name in names:
        if name.upper() not in _PART:
            raise BadInput(f"{folder / name}: {name} is none of DISFA's {len(_PART)} subjects; move the folder away")
    return {name.upper(): folder / name for name in names}


def _subject(name: str, folder: Path) -> _Subject:
    """Reads the label files of a subject."""
    files: dict[int, Path] = {}
    for file in files_of(folder):
        match = _LABEL_FILE.fullmatch(file)
        if match is None or int(match[2]) not in _CODED:
            continue
        if match[1].upper() != name:
            raise BadInput(f"{folder / file}: a label file of {match[1]} in the folder of {name}; {_FETCH}")
        if int(match[2]) in files:
            raise BadInput(f"{folder / file}: the same action unit as {files[int(match[2])].name}; keep one of them")
        files[int(match[2])] = folder / file
    read_files = {au: _intensities(files[au]) for au in _CODED if au in files}
    _same_length({files[au]: len(values) for au, (_, values) in read_files.items()})
    size = max((len(values) for _, values in read_files.values()), default=0)
    columns = [read_files[au][1] if au in files else [-1] * size for au in _CODED]
    numbered_from = {au: start for au, (start, _) in read_files.items()}
    return _Subject(name, files, np.array(columns, np.int8).T, numbered_from)


def _intensities(path: Path) -> tuple[int, list[int]]:
    """The frame number of the first line, and the intensity of each line."""
    start = 0
    values: list[int] = []
    for number, line in lines(path, _FETCH):
        frame, _, word = (word.strip() for word in line.partition(b","))
        if not frame.isdigit() or len(frame) > 9:
            raise bad_line(path, number, line, f"{shown(line.strip())} is no 'frame,intensity'", _FETCH)
        if word not in _INTENSITIES:
            raise bad_line(path, number, line, f"intensity {shown(word)} is none of 0 to 5", _FETCH)
        if not values:
            start = int(frame)
        elif int(frame) != start + len(values):
            what = f"frame {int(frame)} after frame {start + len(values) - 1}, so lines do not follow the pictures"
            raise bad_line(path, number, line, what, _FETCH)
        values.append(_INTENSITIES[word])
    return start, values


def _same_length(lengths: Mapping[Path, int]) -> None:
    """Refuses files of one subject that do not line up."""
    if len(set(lengths.values())) > 1:
        short, long = min(lengths, key=lambda path: lengths[path]), max(lengths, key=lambda path: lengths[path])
        what = f"the file ends, but {long.name} has {lengths[long]:,} lines and both are of the same frames"
        raise BadInput(f"{short}, line {lengths[short] + 1}: {what}; {_FETCH}")


def _clip(subject: _Subject, pictures: Pictures, threshold: int) -> Clip:
    """The lines of a subject that have a picture."""
    found = pictures.of(subject.name)
    coded = subject.intensities[found.line][:, _COLUMNS]
    labels = np.where(coded < 0, 0, np.where(coded >= threshold, 1, -1)).astype(np.int8)
    return Clip(subject.name, _PART[subject.name], found.path, found.frame, labels)


def _without_pictures(root: Path, sizes: Mapping[str, int], kind: str, camera: str) -> str:
    """What to say where there are labels only."""
    other = "right" if camera == "left" else "left"
    if find_pictures(root, sizes, kind, other, 0) is not None:
        return f'labels, but pictures of the {other} camera only: camera = "{other}" in fernoise.toml takes them'
    side = camera.capitalize()
    tried = f"Videos_{side}Camera/{side}VideoSN001_comp.avi, images/{side}VideoSN001_comp/, img/SN001/ and SN001/"
    return f"labels, but none of their frames in {tried}"


def _checks(subjects: Sequence[_Subject]) -> Iterator[Check]:
    """The labels against what was published."""
    found = {one.name: one for one in subjects}
    absentees = (f"{LABELS}: no {name}" for name in sorted(_PART) if name not in found)
    yield Check("subjects", len(_PART), len(subjects), first(absentees))
    lost = (f"{LABELS}/{one.name}: no file of AU{au}" for one in subjects for au in _CODED if au not in one.files)
    files = sum(len(one.files) for one in subjects)
    yield Check("label files", len(_PART) * len(_CODED), files, first(lost))
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
        yield Check(
            f"labelled frames, {part}",
            sum(expected[name] for name in names),
            sum(counted.get(name, 0) for name in names),
        )
    other = [
        f"{LABELS}/{one.name}/{one.files[au].name}, line 1: frame {start}"
        for one in subjects
        for au, start in one.numbered_from.items()
        if start != 1
    ]
    yield Check("label files numbered from 1", files, files - len(other), first(other))
