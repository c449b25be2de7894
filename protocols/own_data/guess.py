"""A first protocol for data that lie there: what a folder or table seems to hold, and why it seems so."""

from __future__ import annotations

import math
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
from .odd_layouts import PART_NAMES, is_no_label, refuse_faces_not_found, refuse_folders, refuse_headless, spellings
from .tables import METADATA, SUFFIXES, counted, header_of, metadata_files, sample, spelled_plainly

ROWS = 20_000  # whose paths are looked at; of labels and parts all are
LONGEST_PATH = 1_024
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
_UNKNOWN = {9.0, 999.0}
_INTENSE = 5.0  # the highest intensity
_VOTES = ("votes_", "vote_")
_NO_VOTES = {"total", "count", "counts", "sum", "n", "num", "number", "agreement", "entropy", "max", "majority"}
_NEVER_TESTED = "-1"  # scikit-learn's fold of rows that are always in training


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
        present_from: the smallest value of a unit that is present; None: 0 and 1 alone.
        values: what stands in the table -> the label that it means, where that is written differently.
        ignore: words that stand for no label.
        unused: columns that nothing was made of.
        why: what was guessed -> the reason.
        no_parts: why there are no parts, of data without.
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
    present_from: float | None = None
    values: dict[str, str] = field(default_factory=dict)
    ignore: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    why: dict[str, str] = field(default_factory=dict)
    no_parts: str = "no column or folder gives a split"


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
    _name_parts(found, folders)
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
    step = max(1, len(found.paths) // LOOKED_AT)
    found.paths = found.paths[::step]
    if found.parts:
        _complete_parts(found, "the folders", tops)
    if not found.parts and len(tops) == 1:  # of which one alone has pictures
        found.pictures = source / tops[0]
        found.paths = [path.removeprefix(f"{tops[0]}/") for path in found.paths]
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
    units = {f"AU{match[1]}": name for name in header if (match := _UNIT.fullmatch(name))}
    found.units = len(units) >= 2 and "given" not in found.columns
    votes = {} if found.units else _votes(found, header)
    looked_at = [found.columns[what] for what in ("given", "split", "fold") if what in found.columns]
    faces = [name for name in header if name.lower() in ("success", "confidence")]
    cells = counted(files, [*looked_at, *(units.values() if found.units else ()), *faces])
    paths = _paths(found, files, header)
    if found.units:
        _units(found, units, cells)
    elif votes:
        found.labels = list(votes)
        found.why["labels"] = f"columns that begin with {found.columns['votes']}"
    else:
        _classes(found, header, cells)
    _split(found, cells, files)
    _pictures(found, paths, files)
    used = {*found.columns.values(), *votes.values()}
    found.unused = [name for name in header if name not in used]
    return found


def _votes(found: Guess, header: Sequence[str]) -> dict[str, str]:
    """Class -> its column of votes; none where fewer than two columns have votes."""
    for before in _VOTES:
        named = {name.removeprefix(before): name for name in header if name.startswith(before)}
        classes = {
            label: name for label, name in named.items() if label.lower() not in _NO_VOTES and not is_no_label(label)
        }
        if len(classes) > 1:
            found.columns["votes"] = before
            return classes
    return {}


def _paths(found: Guess, files: Sequence[Path], header: Sequence[str]) -> list[str]:
    """The paths in the first rows, as the table has them."""
    if "path" in found.columns:
        paths = sample(files[0], [found.columns["path"]], LOOKED_AT)[found.columns["path"]]
        if any(len(path) > LONGEST_PATH for path in paths):  # the pixels of a picture, as fer2013.csv has them
            del found.columns["path"]
    if "path" not in found.columns:
        found.columns["path"] = _column_of_paths(sample(files[0], header, 100), found.source)
        found.why["path"] = "its cells end like the names of pictures"
    base, paths = found.source if found.source.is_dir() else found.source.parent, []
    for file in files:
        below = "" if file.parent == base else f"{file.parent.name}/"
        paths += [below + path for path in sample(file, [found.columns["path"]], ROWS)[found.columns["path"]]]
    return paths


def _column_of_paths(cells: Mapping[str, list[str]], source: Path) -> str:
    for name, values in cells.items():
        if values and all(is_picture(value) and len(value) <= LONGEST_PATH for value in values):
            return name
    raise BadInput(f"--from {source}: no column has names of pictures ({', '.join(PICTURES)}): {', '.join(cells)}")


def _units(found: Guess, units: Mapping[str, str], cells: Mapping[str, Mapping[str, int]]) -> None:
    """The action units, and the smallest value of one that is present."""
    refuse_faces_not_found(found.source, cells)
    found.labels = list(units)
    found.columns |= {f"given {unit}": name for unit, name in units.items()}
    found.why["labels"] = f"{len(units)} columns have names of action units"
    values = {name: {value for text in cells[name] if (value := _number(text)) >= 0} - _UNKNOWN for name in cells}
    highest = {name: max(values[name], default=0.0) for name in units.values()}
    top, one = max((value, name) for name, value in highest.items())
    if not set().union(*(values[name] for name in units.values())) - {0.0, 1.0}:
        return
    if top > _INTENSE:
        what = f"numbers up to {top:g} in column {one}: neither 0 and 1, nor probabilities, nor intensities from 0 to 5"
        remedy = "write the file by hand with data.present_from and data.unknown, see docs/your-data.md"
        raise BadInput(f"--from {found.source}: {what}; {remedy}")
    if top <= 1:
        found.present_from, found.why["present_from"] = 0.5, "numbers from 0 to 1; from 0.5 on a unit counts as present"
    elif all(value > 1 for value in highest.values()):
        found.present_from, found.why["present_from"] = 2, "intensities from 0 to 5; from 2 on a unit counts as present"
    else:  # a binary column must not be absent throughout
        binary = ", ".join(name for name, value in highest.items() if value <= 1)
        found.present_from = 1
        found.why["present_from"] = f"intensities, but 0 and 1 alone in {binary}; from 1 on a unit counts as present"


def _number(text: str) -> float:
    """A number of a cell; -1 for other text."""
    try:
        value = float(text)
    except ValueError:
        return -1.0
    return value if math.isfinite(value) else -1.0


def _classes(found: Guess, header: Sequence[str], cells: Mapping[str, Mapping[str, int]]) -> None:
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


def _split(found: Guess, cells: Mapping[str, Mapping[str, int]], files: Sequence[Path]) -> None:
    if column := found.columns.get("split"):
        names, place = [name for name in cells[column] if name], f"column {column}"
    elif len(files) > 1:
        names, place = [file.parent.name for file in files], "the folders with metadata"
        found.columns["split"] = "split"
    else:
        names, place = [], ""
    _name_parts(found, names)
    if names:
        _complete_parts(found, place, names)
    if not found.parts:
        found.columns.pop("split", None)
        found.why.pop("split", None)
        if column := found.columns.get("fold"):
            found.folds = _folds(found, column, cells[column])
    if not found.folds:
        found.columns.pop("fold", None)
        found.why.pop("fold", None)


def _folds(found: Guess, column: str, cells: Iterable[str]) -> list[str]:
    """The names in a column of folds; none where they are too few or too many."""
    names = sorted({value for value in cells if value}, key=lambda text: (len(text), text))
    if not 2 <= len(names) <= MOST_CLASSES:
        return []
    if _NEVER_TESTED in map(spelled_plainly, names):
        what = f"fold {_NEVER_TESTED} in column {column}, which rows have that are never tested"
        raise BadInput(f"--from {found.source}: {what}; here every fold is tested: give them a fold, or take them out")
    by_name: dict[str, str] = {}
    for name in names:
        if (other := by_name.setdefault(spelled_plainly(name), name)) != name:
            what = f"column {column} has the folds {other} and {name}"
            raise BadInput(f"--from {found.source}: {what}; write one in one way")
    return names


def _name_parts(found: Guess, names: Iterable[str]) -> None:
    for name in names:
        if part := PART_NAMES.get(name.lower()):
            found.parts.setdefault(part, []).append(name)


def _complete_parts(found: Guess, place: str, names: Sequence[str]) -> None:
    """Takes the validation rows as test rows where there are no test rows; no parts without training or test rows.

    Raises:
        BadInput: one of these is there, and the other may have a name that is not known: its rows would be mixed.
    """
    named = f"{place} {'have' if place.endswith('s') else 'has'} {', '.join(sorted(names)[:5])}"
    unknown = [name for name in names if name.lower() not in PART_NAMES]
    if "train" in found.parts and len(found.parts) > 1:
        found.why["split"] = named
        if "test" not in found.parts:
            found.parts["test"] = found.parts.pop("validation")
            found.why["test"] = "there are no test rows, so that the validation rows are taken"
        return
    if found.parts and unknown and place != "the folders":
        known = ", ".join(name for each in found.parts.values() for name in each)
        what = f"{named}, of which only {known} is known; which rows are for training and which for test?"
        raise BadInput(f"--from {found.source}: {what} Rename these to train, validation and test, or rename {place}")
    found.parts = {}
    found.no_parts = f"{named}{' alone' if len(names) == 1 else '' if not unknown else ', which name no part'}"


def _pictures(found: Guess, paths: Sequence[str], files: Sequence[Path]) -> None:
    """The folder that paths are relative to: that of the table, or one in it or above it."""
    base = found.source if found.source.is_dir() else found.source.parent
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
    others = [folder for folder in near if folder != found.pictures and count and there[folder] == count]
    if others:
        found.why["pictures"] += f", and as many in {', '.join(folder.name for folder in others)}"


def relative(path: Path, file: Path) -> str:
    """A path relative to the folder of a file, with slashes."""
    return Path(os.path.relpath(path.absolute(), file.absolute().parent)).as_posix()
