"""BP4D as it is distributed: coded frames of 41 people in eight tasks, with the occurrence of twelve action units.

Layouts, each found by what is on disk (the first that holds something, or the one `fernoise.toml` names):

- labels `F001_T1.csv` in `AUCoding/AU_OCC/`, in `AUCoding/AUCoding/` (FERA 2015) or in `AUCoding/` itself: a header
  whose first cell stands for the frame number and whose other cells name action units by number ("1", "01", "AU 1"),
  so that the plain header 0 to 99 has action unit k in column k. 0 is absent, 1 present, 9 unknown.
- pictures `F001/T1/2440.jpg` in `Sequences/`, in `Sequences(2D+3D)/` or in the data set's folder itself, the number
  padded to any width.

Choices in `fernoise.toml` beside the data:

- `frame_offset` (default 0): coded frame f is picture f + frame_offset; copies that count pictures from 0 need -1.
- `labels`, `pictures`: one of the folders above, where a copy has several; "." is the data set's folder itself.

Sources: CVI-SZU/ME-GraphAU tool/BP4D_image_label_process.py (columns, frames, subjects); ZhiwenShao/PyTorch-JAANet
data/list (4-digit names).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np

from ..errors import BadInput
from ..files import Array
from ..labels import BP4D_AUS, BP4D_PARTS
from .bp4d_coded_frames import SPANS
from .clips import Clip, choice, first, listing_of, numbered_pictures
from .folders import files_of
from .listing import Check, Listing, absent, read_choices
from .text_lines import bad_line, fields_of, lines, shown

HOME = "Binghamton University, www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html (BP4D-Spontaneous)"
LABEL_FOLDERS = ("AUCoding/AU_OCC", "AUCoding/AUCoding", "AUCoding")
PICTURE_FOLDERS = ("Sequences", "Sequences(2D+3D)", ".")

_FETCH = f"unpack the label files again, or ask for them at {HOME}"
_LABEL_FILE = re.compile(r"([FM][0-9]+)_(T[0-9]+)\.csv", re.IGNORECASE)
_AU = re.compile(r"(?:AU)? *0*([0-9]+)", re.IGNORECASE)
_VALUES = {b"0": -1, b"1": 1, b"9": 0}
_PART = {subject: part for part, subjects in BP4D_PARTS for subject in subjects}


@dataclass(frozen=True)
class _Sequence:
    """One subject in one task: coded frames int64 [n] ascending, labels int8 [n, 12], pictures by number."""

    subject: str
    task: str
    frames: Array
    labels: Array
    folder: str
    pictures: Mapping[int, str]
    offset: int

    @property
    def file(self) -> str:
        """The name of the label file."""
        return f"{self.subject}_{self.task}.csv"

    @property
    def span(self) -> str:
        """The coded frames, as an error shows them."""
        gaps = "" if len(self.frames) == self.frames[-1] - self.frames[0] + 1 else " with gaps"
        return f"{self.frames[0]}-{self.frames[-1]}{gaps}"

    @property
    def as_published(self) -> bool:
        """Whether exactly the published frames are coded."""
        low, high = SPANS[self.subject, self.task]
        return np.array_equal(self.frames, np.arange(low, high + 1))

    def lost(self, frames: Array, offset: int | None = None) -> list[str]:
        """Which of the frames have no picture, at this or another offset."""
        shift = self.offset if offset is None else offset
        lost = (frame for frame in frames.tolist() if frame + shift not in self.pictures)
        return [f"{self.folder}: no picture {frame + shift} for coded frame {frame}" for frame in lost]


def read(root: Path) -> Listing:
    """Lists the coded frames that have a picture, sorted by subject, task and frame.

    Args:
        root: the data set's folder.

    Returns:
        Labels int8 [N, 12] in the order of BP4D_AUS, +1 present, -1 absent, 0 unknown; part "part1" to "part3" of the
        published split; group the subject.

    Raises:
        BadInput: nothing usable in the folder, or a label file that is damaged: file, line and value in one line.
    """
    root = Path(root)
    choices = read_choices(root, {"frame_offset": int, "labels": str, "pictures": str})
    offset = choice(choices, "frame_offset", 0)
    chosen = choice(choices, "labels", "", LABEL_FOLDERS, root)
    folders = (chosen,) if chosen else LABEL_FOLDERS
    label_folder, files = next(((f, found) for f in folders if (found := _label_files(root / f))), ("", {}))
    if not files:
        raise absent("BP4D", root, HOME, f"no label file such as F001_T1.csv in {' or '.join(folders)}")
    picture_folder = _picture_folder(root, choice(choices, "pictures", "", PICTURE_FOLDERS, root))
    sequences = [_sequence(root, picture_folder, key, files[key], offset) for key in sorted(files)]
    clips = [_clip(sequence) for sequence in sequences]
    if not any(clip.path for clip in clips):
        tried = f"{len(files):,} label files, but none of their frames in {picture_folder}/F001/T1 and so on"
        raise absent("BP4D", root, HOME, f"{tried} with frame_offset = {offset}")
    layout = f"{label_folder}, {picture_folder}, frame offset {offset}"
    return listing_of("bp4d", layout, root, BP4D_AUS, clips, tuple(_checks(sequences, label_folder)))


def _label_files(folder: Path) -> dict[tuple[str, str], Path]:
    """The label files of a folder by subject and task."""
    files: dict[tuple[str, str], Path] = {}
    for name in files_of(folder):
        match = _LABEL_FILE.fullmatch(name)
        if match is None:
            continue
        key = match[1].upper(), match[2].upper()
        if key not in SPANS:
            what = f"{' '.join(key)} is no subject and task of BP4D (BP4D+ is another set)"
            raise BadInput(f"{folder / name}: {what}; move the file away")
        if key in files:
            raise BadInput(f"{folder / name}: the same sequence as {files[key].name}; keep one of them")
        files[key] = folder / name
    return files


def _picture_folder(root: Path, chosen: str) -> str:
    """The first folder that has a subject's folder in it."""
    subjects = sorted(_PART)
    for folder in (chosen,) if chosen else PICTURE_FOLDERS:
        if any((root / folder / subject).is_dir() for subject in subjects):
            return folder
    tried = f"{chosen}/" if chosen else "Sequences/, Sequences(2D+3D)/ or the folder itself"
    raise absent("BP4D", root, HOME, f"label files, but no folder of pictures such as F001/T1 in {tried}")


def _sequence(root: Path, picture_folder: str, key: tuple[str, str], file: Path, offset: int) -> _Sequence:
    subject, task = key
    frames, labels = _occurrence(file)
    folder = (Path(picture_folder) / subject / task).as_posix()
    return _Sequence(subject, task, frames, labels, folder, numbered_pictures(root / folder), offset)


def _occurrence(path: Path) -> tuple[Array, Array]:
    """The coded frames of a label file in ascending order, int64 [n], and their labels, int8 [n, 12]."""
    rows = lines(path, _FETCH)
    number, line = next(rows)
    header = fields_of(path, number, line, _FETCH)
    pick = itemgetter(*_columns(path, number, line, header))
    found: dict[int, list[int]] = {}
    for number, line in rows:
        # Hardly any file has quotes, and splitting is ten times as fast as the csv module.
        quoted = b'"' in line
        cells = [word.encode() for word in fields_of(path, number, line, _FETCH)] if quoted else line.split(b",")
        if len(cells) != len(header):
            what = f"{len(cells)} cells, the header has {len(header)}"
            raise bad_line(path, number, line, what, _FETCH)
        frame = cells[0].strip()
        if not frame.isdigit() or len(frame) > 9:
            raise bad_line(path, number, line, f"frame {shown(frame)} is no frame number", _FETCH)
        if int(frame) in found:
            raise bad_line(path, number, line, f"frame {int(frame)} is coded in an earlier line, too", _FETCH)
        try:
            found[int(frame)] = [_VALUES[cell.strip()] for cell in pick(cells)]
        except KeyError as error:
            cells_of_aus = zip(BP4D_AUS, pick(cells), strict=True)
            au = next(au for au, cell in cells_of_aus if cell.strip() == error.args[0])
            what = f"{au} is {shown(error.args[0])}, not 0 (absent), 1 (present) or 9 (unknown)"
            raise bad_line(path, number, line, what, _FETCH) from error
    if not found:
        raise BadInput(f"{path}, line {number}: a header, but no coded frame after it; {_FETCH}")
    frames = np.array(sorted(found), np.int64)
    return frames, np.array([found[frame] for frame in frames.tolist()], np.int8)


def _columns(path: Path, number: int, line: bytes, header: Sequence[str]) -> list[int]:
    """The columns of the twelve action units by name; the first cell stands for the frame, whatever it says."""
    columns: dict[str, list[int]] = {}
    for column, cell in enumerate(header[1:], 1):
        if match := _AU.fullmatch(cell):
            columns.setdefault(f"AU{match[1]}", []).append(column)
    for au in BP4D_AUS:
        if len(columns.get(au, ())) != 1:
            often = f"{len(columns[au])} columns" if au in columns else "no column"
            raise bad_line(path, number, line, f"{often} for {au} in the header {shown(line.strip())}", _FETCH)
    return [columns[au][0] for au in BP4D_AUS]


def _clip(sequence: _Sequence) -> Clip:
    """The frames of a sequence that have a picture."""
    names = [sequence.pictures.get(frame + sequence.offset) for frame in sequence.frames.tolist()]
    there = np.array([name is not None for name in names])
    paths = [f"{sequence.folder}/{name}" for name in names if name is not None]
    unused = np.full(len(paths), -1, np.int64)
    return Clip(sequence.subject, _PART[sequence.subject], paths, unused, sequence.labels[there])


def _checks(sequences: Sequence[_Sequence], label_folder: str) -> Iterator[Check]:
    """The copy against what was published."""
    sizes = {key: high - low + 1 for key, (low, high) in SPANS.items()}
    found = {(one.subject, one.task): len(one.frames) for one in sequences}
    without = (f"{label_folder}: no {'_'.join(key)}.csv" for key in SPANS if key not in found)
    yield Check("sequences with labels", len(SPANS), len(found), first(without))
    differing = [
        f"{label_folder}/{one.file}: frames {one.span}, published {'-'.join(map(str, SPANS[one.subject, one.task]))}"
        for one in sequences
        if not one.as_published
    ]
    yield Check("sequences coded over the published frames", len(SPANS), len(found) - len(differing), first(differing))
    coded = sum(found.values())
    yield Check("coded frames", sum(sizes.values()), coded, first(differing))
    for part, subjects in BP4D_PARTS:
        expected, counted = (sum(n for (who, _), n in table.items() if who in subjects) for table in (sizes, found))
        yield Check(f"coded frames, {part}", expected, counted)
    lost = _lost_ends(sequences)
    ends = 2 * len(sequences)
    yield Check("first and last coded frames with a picture", ends, ends - len(lost), first(lost) + _hint(sequences))
    lost = [text for one in sequences for text in one.lost(one.frames)]
    yield Check("coded frames with a picture", coded, coded - len(lost), first(lost))


def _lost_ends(sequences: Sequence[_Sequence], offset: int | None = None) -> list[str]:
    """The first and last coded frames without a picture, at the chosen or another offset."""
    return [text for one in sequences for text in one.lost(one.frames[[0, -1]], offset)]


def _hint(sequences: Sequence[_Sequence]) -> str:
    """Where first or last coded frames have no picture: a neighbouring offset at which all of them have one."""
    if _lost_ends(sequences):
        for offset in (sequences[0].offset - 1, sequences[0].offset + 1):
            if not _lost_ends(sequences, offset):
                return f"; all are there with frame_offset = {offset}"
    return ""
