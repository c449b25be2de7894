"""BP4D as it is distributed: coded frames of 41 subjects in eight tasks, with the occurrence of twelve action units.

Layouts (the first one found on disk, or the one set in `fernoise.toml`):

- labels `F001_T1.csv` in `AUCoding/AU_OCC/`, in `AUCoding/AUCoding/` (FERA 2015) or in `AUCoding/` itself: in the
  header the first cell stands for the frame number, and the others name action units by number ("1", "01", "AU 1"),
  so that with the plain header 0 to 99 column k is action unit k. 0 is absent, 1 present, 9 unknown; so is a cell
  without a number ("nan"). A column of row numbers that pandas wrote in front, named "", "index" or "Unnamed: 0", is
  left out.
- pictures `F001/T1/2440.jpg` in `Sequences/`, in `Sequences(2D+3D)/` or in the data set's folder itself, the number
  with any number of leading zeros.

Settings in `fernoise.toml` beside the data:

- `frame_offset` (default 0): coded frame f is picture f + frame_offset; copies with pictures numbered from 0 need -1.
  It must be stated where there is a picture 0, since coded frames count from 1.
- `labels`, `pictures`: one of the folders above, if a copy has several; "." is the data set's folder itself.

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
from .clips import Clip, listing_of, numbered_pictures, without_number
from .folders import files_of
from .listing import CHOICES_FILE, Check, Listing, absent, first, read_choices
from .look_around import Signs, first_picture
from .text_lines import Line, coded, read_lines, shown, whole

HOME = "Binghamton University, www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html (BP4D-Spontaneous)"
LABEL_FOLDERS = ("AUCoding/AU_OCC", "AUCoding/AUCoding", "AUCoding")
PICTURE_FOLDERS = ("Sequences", "Sequences(2D+3D)", ".")

_FETCH = f"unpack the label files again, or ask for them at {HOME}"
_LABEL_FILE = re.compile(r"([FM][0-9]+)_(T[0-9]+)\.csv", re.IGNORECASE)
_AU = re.compile(r"(?:AU)? *0*([0-9]{1,2})", re.IGNORECASE)
_ROW_NUMBERS = re.compile(r"|index|Unnamed: [0-9.]+", re.IGNORECASE)
_VALUES = {0: -1, 1: 1, 9: 0}
_PART = {subject: part for part, subjects in BP4D_PARTS for subject in subjects}
_SIGNS = Signs(("AUCoding",), ("bp4d",))
_LABEL_FILES = tuple(f"{subject}_T1.csv" for subject in _PART)


@dataclass(frozen=True)
class _Sequence:
    """One subject in one task.

    Attributes:
        subject, task: such as "F001", "T1".
        frames: int64 [n], the coded frames, ascending.
        labels: int8 [n, 12].
        indexed: whether the label file has a column of row numbers in front.
        empty: the number of labels without a number, which are unknown.
        folder: the folder of the pictures, relative to the data set's folder.
        pictures: names of the pictures by number.
        others: names of pictures without a number.
        offset: difference of picture number and frame number.
    """

    subject: str
    task: str
    frames: Array
    labels: Array
    indexed: bool
    empty: int
    folder: str
    pictures: Mapping[int, str]
    others: Sequence[str]
    offset: int

    @property
    def file(self) -> str:
        """The name of the label file."""
        return f"{self.subject}_{self.task}.csv"

    @property
    def span(self) -> str:
        """The coded frames, as text."""
        gaps = "" if len(self.frames) == self.frames[-1] - self.frames[0] + 1 else " with gaps"
        return f"{self.frames[0]}-{self.frames[-1]}{gaps}"

    @property
    def as_published(self) -> bool:
        """Whether exactly the published frames are coded."""
        low, high = SPANS[self.subject, self.task]
        return np.array_equal(self.frames, np.arange(low, high + 1))

    def without_picture(self, frames: Array, offset: int) -> list[str]:
        """The frames that have no picture with this offset, as text."""
        missing = (frame for frame in frames.tolist() if frame + offset not in self.pictures)
        return [f"{self.folder}: no picture {frame + offset} for coded frame {frame}" for frame in missing]

    def clip(self) -> Clip:
        """The frames that have a picture."""
        names = [self.pictures.get(frame + self.offset) for frame in self.frames.tolist()]
        paths = [f"{self.folder}/{name}" for name in names if name is not None]
        labels = self.labels[np.array([name is not None for name in names])]
        return Clip(self.subject, _PART[self.subject], paths, np.full(len(paths), -1, np.int64), labels)


def read(root: Path) -> Listing:
    """Lists the coded frames that have a picture, sorted by subject, task and frame.

    Returns:
        Labels int8 [N, 12] in the order of BP4D_AUS, +1 present, -1 absent, 0 unknown; part "part1" to "part3" of the
        published split; group the subject.

    Raises:
        BadInput: nothing usable in the folder, or a damaged label file.
    """
    root = Path(root)
    choices = read_choices(root, {"frame_offset": int, "labels": LABEL_FOLDERS, "pictures": PICTURE_FOLDERS})
    offset = choices.get("frame_offset", 0)
    folders = (choices["labels"],) if "labels" in choices else LABEL_FOLDERS
    label_folder, files = next(((f, found) for f in folders if (found := _label_files(root / f))), ("", {}))
    if not files:
        what = f"no label file such as F001_T1.csv in {' or '.join(folders)}"
        raise absent("BP4D", root, HOME, what, _SIGNS, Signs(_LABEL_FILES, into=folders[-1]))
    picture_folder = _picture_folder(root, choices.get("pictures", ""))
    sequences = [_sequence(root, picture_folder, key, files[key], offset) for key in sorted(files)]
    if "frame_offset" not in choices:
        _refuse_picture_0(root, sequences)
    clips = [sequence.clip() for sequence in sequences]
    if not any(clip.path for clip in clips):
        one = sequences[0]
        tried = f"{len(files):,} label files, but none of their frames in {picture_folder}/F001/T1 and so on"
        tried += f" with frame_offset = {offset}, not even {one.folder}/{int(one.frames[0]) + offset}.jpg"
        other = first_picture(root, [picture_folder])
        tried += f"; pictures there have names such as {other}" if other else ""
        raise absent("BP4D", root, HOME, tried)
    layout = f"{label_folder}, {picture_folder}, frame offset {offset}"
    checks = tuple(_checks(sequences, label_folder, offset))
    return listing_of("bp4d", layout, root, BP4D_AUS, clips, checks, files.values())


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
    """The chosen folder of pictures, or the first that has a subject's folder in it."""
    for folder in (chosen,) if chosen else PICTURE_FOLDERS:
        if any((root / folder / subject).is_dir() for subject in _PART):
            return folder
    tried = f"{chosen}/" if chosen else "Sequences/, Sequences(2D+3D)/ or the folder itself"
    what = f"label files, but no folder of pictures such as F001/T1 in {tried}"
    raise absent("BP4D", root, HOME, what, Signs(tuple(_PART), into=chosen or PICTURE_FOLDERS[0]))


def _sequence(root: Path, picture_folder: str, key: tuple[str, str], file: Path, offset: int) -> _Sequence:
    subject, task = key
    folder = (Path(picture_folder) / subject / task).as_posix()
    return _Sequence(subject, task, *_occurrence(file), folder, *numbered_pictures(root / folder), offset)


def _refuse_picture_0(root: Path, sequences: Sequence[_Sequence]) -> None:
    """Raises BadInput for a picture 0, which leaves open whether the first of the coded frames is picture 0 or 1."""
    for sequence in sequences:
        if 0 in sequence.pictures:
            place = root / sequence.folder / sequence.pictures[0]
            what = "pictures here count from 0, and coded frames from 1"
            remedy = f"write frame_offset = -1 (or 0, if coded frame 1 is picture 1) into {root / CHOICES_FILE}"
            raise BadInput(f"{place}: {what}; {remedy}")


def _occurrence(path: Path) -> tuple[Array, Array, bool, int]:
    """The frames, labels, `indexed` and `empty` of a sequence, from its label file."""
    lines = read_lines(path, _FETCH)
    line = next(lines)
    header = line.fields()
    frame_column = _frame_column(line, header)
    au_cells = itemgetter(*_columns(line, header))
    found: dict[int, list[int]] = {}
    empty = 0
    for line in lines:
        cells = line.fields(len(header))
        frame = whole(cells[frame_column])
        if frame is None:
            raise line.error(f"frame {shown(cells[frame_column])} is no frame number")
        if frame in found:
            raise line.error(f"frame {frame} is also coded in an earlier line")
        values = [coded(cell, _VALUES) for cell in au_cells(cells)]
        for au, value, cell in zip(BP4D_AUS, values, au_cells(cells), strict=True) if None in values else ():
            if value is None and not line.no_number(cell):
                raise line.error(f"{au} is {shown(cell)}, not 0 (absent), 1 (present) or 9 (unknown)")
        empty += values.count(None)
        found[frame] = [value or 0 for value in values]
    if not found:
        raise BadInput(f"{line}: a header, but no coded frame after it; {_FETCH}")
    if 0 in found and _ROW_NUMBERS.fullmatch(header[frame_column]):
        what = f"the column {shown(header[frame_column])} counts rows from 0, and there is no column of frame numbers"
        raise BadInput(f"{path}: {what}; {_FETCH}")
    frames = np.array(sorted(found), np.int64)
    return frames, np.array([found[frame] for frame in frames.tolist()], np.int8), frame_column > 0, empty


def _frame_column(line: Line, header: Sequence[str]) -> int:
    """The column of the frame number: the first, or the one after columns of row numbers that pandas wrote."""
    aus = (column for column, cell in enumerate(header[1:], 1) if (match := _AU.fullmatch(cell)) and match[1] != "0")
    last = next(aus, 1) - 1
    for cell in header[:last]:
        if not _ROW_NUMBERS.fullmatch(cell):
            names = ", ".join(map(shown, header[: last + 1]))
            remedy = f"remove the columns that are not the frame number, or {_FETCH}"
            raise line.error(f"{last + 1} columns before the first action unit ({names})", remedy)
    return last


def _columns(line: Line, header: Sequence[str]) -> list[int]:
    """The columns of the twelve action units by name; the first column is none, whatever its name."""
    columns: dict[str, list[int]] = {}
    for column, cell in enumerate(header[1:], 1):
        if match := _AU.fullmatch(cell):
            columns.setdefault(f"AU{match[1]}", []).append(column)
    for au in BP4D_AUS:
        if len(columns.get(au, ())) != 1:
            count = f"{len(columns[au])} columns" if au in columns else "no column"
            raise line.error(f"{count} for {au} in the header {shown(line.text.strip())}")
    return [columns[au][0] for au in BP4D_AUS]


def _checks(sequences: Sequence[_Sequence], label_folder: str, offset: int) -> Iterator[Check]:
    """The comparison with the published data set."""
    sizes = {key: high - low + 1 for key, (low, high) in SPANS.items()}
    found = {(one.subject, one.task): len(one.frames) for one in sequences}
    without = [f"{label_folder}: no {'_'.join(key)}.csv" for key in SPANS if key not in found]
    yield Check.all("sequences with labels", len(SPANS), without)
    differing = [
        f"{label_folder}/{one.file}: frames {one.span}, published {'-'.join(map(str, SPANS[one.subject, one.task]))}"
        for one in sequences
        if not one.as_published
    ]
    yield Check("sequences coded over the published frames", len(SPANS), len(found) - len(differing), first(differing))
    coded = sum(found.values())
    yield Check("coded frames", sum(sizes.values()), coded, first(differing))
    for part, subjects in BP4D_PARTS:
        expected, counted = (
            sum(n for (subject, _), n in table.items() if subject in subjects) for table in (sizes, found)
        )
        yield Check(f"coded frames, {part}", expected, counted)
    if indexed := [f"{label_folder}/{one.file}" for one in sequences if one.indexed]:
        yield Check("label files with row numbers in front, left out", len(indexed), len(indexed), indexed[0])
    if empty := [f"{label_folder}/{one.file}" for one in sequences if one.empty]:
        yield Check("labels without a number, unknown", 0, sum(one.empty for one in sequences), empty[0])
    missing = _ends_without_picture(sequences, offset)
    # A neighbouring offset at which no first or last frame lacks its picture is probably the right one.
    better = next((other for other in (offset - 1, offset + 1) if not _ends_without_picture(sequences, other)), None)
    hint = f"; all are there with frame_offset = {better}" if missing and better is not None else ""
    ends = 2 * len(sequences)
    yield Check("first and last coded frames with a picture", ends, ends - len(missing), first(missing) + hint)
    missing = [text for one in sequences for text in one.without_picture(one.frames, offset)]
    yield Check.all("coded frames with a picture", coded, missing)
    yield from without_number([f"{one.folder}/{name}" for one in sequences for name in one.others])


def _ends_without_picture(sequences: Sequence[_Sequence], offset: int) -> list[str]:
    """The first and last coded frames without a picture at an offset."""
    return [text for one in sequences for text in one.without_picture(one.frames[[0, -1]], offset)]
