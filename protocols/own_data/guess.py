"""A first protocol for data that lie there: what a folder or table seems to hold, and why it seems so."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from PIL import Image

from ..errors import BadInput
from ..files import written_otherwise
from ..images.decoding import DAMAGED, FORMATS
from ..own_files import BOX
from ..readers.folders import contents
from ..readers.look_around import near
from .class_folders import MOST_CLASSES, PICTURES, is_picture, pictures_below, told_left_out
from .odd_layouts import refuse_faces_not_found, refuse_folders, refuse_headless, spellings
from .tables import METADATA, SUFFIXES, header_of, metadata_files, sample

ROWS = 20_000  # read of a table
LOOKED_AT = 50  # pictures, for their size
MOST_SIDE = 224
FOLDS = 5

# What a column holds -> the names it often has, in small letters.
_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "path": (
            "path", "file_name", "filename", "file", "image", "img", "image_path", "picture", "image_name", "filepath"
        ),
        "given": (
            "noisy_label", "given", "label", "labels", "emotion", "expression", "class", "target", "annotation",
            "given_label"
        ),
        "reference": ("reference", "true_label", "clean_label", "gold", "truth", "ground_truth", "gt", "true"),
        "verified": ("verified", "is_clean", "clean", "is_verified"),
        "subject": (
            "subject", "subject_id", "person", "person_id", "identity", "actor", "participant", "participant_id"
        ),
        "split": ("split", "usage", "partition", "subset", "set", "phase"),
        "fold": ("fold", "folds"),
        "annotator": ("annotator", "annotator_id", "rater", "coder", "worker"),
    }
)  # fmt: skip
_BOXES = (BOX, ("x", "y", "w", "h"), ("face_x", "face_y", "face_width", "face_height"))
_UNIT = re.compile(r"au[ _]?0*(\d+)(_c)?", re.IGNORECASE)
_INTENSE = {"2", "3", "4", "5", "2.0", "3.0", "4.0", "5.0"}
_USUAL = {"0", "1", "0.0", "1.0", "", "9", "999"}
_VOTES = ("votes_", "vote_")
_PARTS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("train", "training"), "train"),
        **dict.fromkeys(("val", "valid", "validation", "dev", "publictest"), "validation"),
        **dict.fromkeys(("test", "testing", "privatetest"), "test"),
    }
)


@dataclass
class Guess:
    """What data seem to be.

    Attributes:
        source: the folder or table.
        table: the table or folder of metadata; None: class folders.
        pictures: the folder of the pictures.
        paths: some of the pictures, relative to it.
        columns: what a column holds -> its name.
        labels: classes or action units.
        parts: part -> names in the split column, or of folders.
        folds: names in the fold column.
        units: whether the labels are action units.
        intensities: whether these are intensities, from 0 to 5.
        values: what stands in the table -> the label that it means, where that is written differently.
        ignore: words that stand for no label.
        unused: columns that nothing was made of.
        why: what was guessed -> the reason.
    """

    source: Path
    table: Path | None = None
    pictures: Path = Path()
    paths: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    parts: dict[str, list[str]] = field(default_factory=dict)
    folds: list[str] = field(default_factory=list)
    units: bool = False
    intensities: bool = False
    values: dict[str, str] = field(default_factory=dict)
    ignore: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    why: dict[str, str] = field(default_factory=dict)


def guess(source: Path) -> Guess:
    """What a folder or table seems to hold.

    Raises:
        BadInput: it is missing, or neither a table, nor a folder with metadata, a table or class folders.
    """
    if source.is_file():
        return _of_table(source)
    if not source.is_dir():
        raise BadInput(f"--from {source}: no such folder or table{near(source)}")
    files, folders = contents(source)
    if any(name in files for name in METADATA) or any(_has_metadata(source / name) for name in folders):
        return _of_table(source)
    tables = [name for name in files if Path(name).suffix.lower() in SUFFIXES]
    if not tables and any(pictures_below(source / folder)[0] for folder in folders):
        return _of_folders(source, folders)
    if len(tables) == 1:
        return _of_table(source / tables[0])
    found = f"tables {', '.join(tables[:5])}: name one" if tables else "no class folders, no metadata and no table"
    raise BadInput(f"--from {source}: {found}; pictures are {', '.join(PICTURES)}")


def side_of(found: Guess) -> tuple[int, str]:
    """A side in pixels for the prepared pictures, and why."""
    sizes: Counter[tuple[int, int]] = Counter()
    for path in found.paths[:LOOKED_AT]:
        try:
            with Image.open(found.pictures / path, formats=FORMATS) as picture:
                sizes[picture.size] += 1
        except DAMAGED:
            continue
    if not sizes:
        return 100, "no picture could be looked at"
    shorter = sorted(min(size) for size in sizes.elements())
    side = min(shorter[len(shorter) // 2], MOST_SIDE)
    (width, height), count = sizes.most_common(1)[0]
    odd = "; pictures that are not square are drawn to a square" if any(w != h for w, h in sizes) else ""
    return max(side, 1), f"{count} of {sum(sizes.values())} pictures have {width} x {height} pixels{odd}"


def _has_metadata(folder: Path) -> bool:
    return any((folder / name).is_file() for name in METADATA)


def _of_folders(source: Path, folders: Sequence[str]) -> Guess:
    found = Guess(source, None, source)
    for name in folders:
        if part := _PARTS.get(name.lower()):
            found.parts.setdefault(part, []).append(name)
    tops = [name for names in found.parts.values() for name in names] or [""]
    classes: dict[str, None] = {}
    for top in tops:
        for name in contents(source / top)[1]:
            paths, _ = pictures_below(source / top / name)
            if paths:
                classes[name] = None
                step = max(1, len(paths) // LOOKED_AT)
                found.paths += [f"{top}/{name}/{path}".lstrip("/") for path in paths[::step]]
    found.labels = sorted(classes)
    refuse_folders(source, tops, found.labels)
    found.why["not used"] = told_left_out(source, [top for top in tops if top])
    found.why["labels"] = "the names of the folders with pictures"
    found.why["split"] = f"the folders {', '.join(tops)}" if found.parts else ""
    step = max(1, len(found.paths) // LOOKED_AT)
    found.paths = found.paths[::step]
    _test_part(found)
    return found


def _of_table(source: Path) -> Guess:
    files = metadata_files(source) if source.is_dir() else (source,)
    header = header_of(files[0])
    refuse_headless(source, header)
    found = Guess(source, source)
    lower = {name.lower(): name for name in reversed(header)}
    for what, names in _NAMES.items():
        if name := next((lower[each] for each in names if each in lower), ""):
            found.columns[what] = name
            found.why[what] = f"a column is called {name}"
    if box := next((names for names in _BOXES if all(name in lower for name in names)), None):
        found.columns |= {what: lower[name] for what, name in zip(BOX, box, strict=True)}
        found.why["box"] = f"columns {', '.join(lower[name] for name in box)}, as left, top, width and height in pixels"
    if before := next((each for each in _VOTES if any(name.startswith(each) for name in header)), ""):
        found.columns["votes"] = before
    cells = _sampled(files, header)
    if "path" not in found.columns:
        found.columns["path"] = _column_of_paths(cells, source)
        found.why["path"] = "its cells end like the names of pictures"
    _units_or_classes(found, header, cells)
    _split(found, cells, by_folder=len(files) > 1, files=files)
    _pictures(found, cells[found.columns["path"]], files)
    used, votes = set(found.columns.values()), found.columns.get("votes")
    found.unused = [name for name in header if name not in used and not (votes and name.startswith(votes))]
    return found


def _sampled(files: Sequence[Path], header: Sequence[str]) -> dict[str, list[str]]:
    cells: dict[str, list[str]] = {name: [] for name in header}
    for file in files:
        own = header_of(file)
        for name, values in sample(file, [name for name in header if name in own], ROWS).items():
            cells[name] += values
    return cells


def _column_of_paths(cells: Mapping[str, list[str]], source: Path) -> str:
    for name, values in cells.items():
        if values and all(is_picture(value) for value in values[:100]):
            return name
    raise BadInput(f"--from {source}: no column has names of pictures ({', '.join(PICTURES)}): {', '.join(cells)}")


def _units_or_classes(found: Guess, header: Sequence[str], cells: Mapping[str, list[str]]) -> None:
    units = {f"AU{match[1]}": name for name in header if (match := _UNIT.fullmatch(name))}
    if len(units) >= 2 and "given" not in found.columns:
        refuse_faces_not_found(found.source, cells)
        found.units, found.labels = True, list(units)
        found.columns |= {f"given {unit}": name for unit, name in units.items()}
        found.why["labels"] = f"{len(units)} columns have names of action units"
        cells_of = [set(cells[name]) for name in units.values()]
        # one with 0 and 1 alone beside them may be binary, and must not be absent throughout
        found.intensities = all(each & _INTENSE and each <= _INTENSE | _USUAL for each in cells_of)
        if found.intensities:
            found.why["present_from"] = "intensities from 0 to 5; from 2 on a unit counts as present"
        return
    if before := found.columns.get("votes"):
        found.labels = [name.removeprefix(before) for name in header if name.startswith(before)]
        found.why["labels"] = f"columns that begin with {before}"
        return
    if "given" not in found.columns:
        raise BadInput(f"--from {found.source}: no column of labels, as label or emotion, among {', '.join(header)}")
    values, found.values, found.ignore = spellings(cells[found.columns["given"]])
    if len(values) > MOST_CLASSES:
        what = f"{len(values):,} different labels in column {found.columns['given']}, more than classes have"
        raise BadInput(f"--from {found.source}: {what}; write the file by hand, see docs/your-data.md")
    found.labels = sorted(values, key=lambda text: (len(text) if text.isdigit() else 0, text))
    found.why["labels"] = f"the labels in column {found.columns['given']}"
    if found.values:
        found.why["values"] = (
            f"one label each: {', '.join(f'{text} and {name}' for text, name in found.values.items())}"
        )
    if found.ignore:
        found.why["ignore"] = f"rows whose label is {', '.join(found.ignore)} are left out"


def _split(found: Guess, cells: Mapping[str, list[str]], *, by_folder: bool, files: Sequence[Path]) -> None:
    names: Iterable[str] = ()
    if column := found.columns.get("split"):
        names = dict.fromkeys(value for value in cells[column] if value)
        found.why["split"] = f"the names in column {column}"
    elif by_folder:
        names = [file.parent.name for file in files]
        found.columns["split"] = "split"
        found.why["split"] = "each folder has its metadata file"
    for name in names:
        if part := _PARTS.get(name.lower()):
            found.parts.setdefault(part, []).append(name)
    if not found.parts:
        found.columns.pop("split", None)
        if column := found.columns.get("fold"):
            found.folds = sorted({value for value in cells[column] if value}, key=lambda text: (len(text), text))
    if not 2 <= len(found.folds) <= MOST_CLASSES:
        found.folds = []
        found.columns.pop("fold", None)
    _test_part(found)


def _test_part(found: Guess) -> None:
    """Takes the validation rows as test rows where there are no test rows; no parts without training rows."""
    if "train" not in found.parts or len(found.parts) < 2:
        found.parts = {}
    elif "test" not in found.parts:
        found.parts["test"] = found.parts.pop("validation")
        found.why["test"] = "there are no test rows, so that the validation rows are taken"


def _pictures(found: Guess, paths: Sequence[str], files: Sequence[Path]) -> None:
    """The folder that paths are relative to: that of the table, or one in it or above it."""
    base = found.source if found.source.is_dir() else found.source.parent
    if found.source.is_dir() and len(files) > 1:
        paths = [
            f"{file.parent.name}/{path}"
            for file in files
            for path in sample(file, [found.columns["path"]], LOOKED_AT)[found.columns["path"]]
        ]
    step = max(1, len(paths) // LOOKED_AT)
    found.paths = [path.replace("\\", "/") for path in paths[::step]]
    near = [base, *(base / name for name in contents(base)[1]), base.parent]
    there = {folder: sum((folder / path).is_file() for path in found.paths) for folder in near}
    if not any(there.values()):  # perhaps all names are written otherwise, of which `data verify` says how
        alike = {folder: sum(bool(written_otherwise(folder / path)) for path in found.paths) for folder in near}
        near = sorted(near, key=lambda folder: -alike[folder])
    found.pictures = max(near, key=lambda folder: there[folder])
    count = there[found.pictures]
    found.why["pictures"] = f"{count} of {len(found.paths)} paths lead to a file there"


def relative(path: Path, file: Path) -> str:
    """A path relative to the folder of a file, with slashes."""
    return Path(os.path.relpath(path.absolute(), file.absolute().parent)).as_posix()
