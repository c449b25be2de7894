"""RAF-DB, basic expressions, in the layouts of its owners and of redistributed copies.

Layouts, recognised by the content of the folder (or of `basic/`, `raf-basic/` or `DATASET/` inside it):

| layout | labels | pictures |
|---|---|---|
| official | EmoLabel/list_patition_label.txt, "train_00001.jpg 5" | Image/aligned/train_00001_aligned.jpg |
| flat | the same list, there or beside the folders | images/train_00001.jpg, without "_aligned" |
| two-lists | EmoLabel/train_label.txt and test_label.txt | as official |
| two-lists-flat | the same | as flat |
| kaggle | train_labels.csv, test_labels.csv (image,label) and folders | train/1..7/*_aligned.jpg, test/1..7 |
| class-folders | train/1..7 and test/1..7 or valid/1..7 | the same |

The list may also be named list_partition_label.txt. Codes are 1 to 7 in all layouts: surprise, fear, disgust,
happiness, sadness, anger, neutral; here 0 to 6. Lists with other codes come from other authors and are read by
`rafdb_noise_lists.read_noisy_list`.

Settings in fernoise.toml: `layout`, "list", "two-lists" or "folders", by default the first of these that is found;
`images`, the folder with the pictures of a list, by default the first of Image/aligned, aligned, images, Image and the
folder itself that has any. `Image/original` is not aligned and is only used if set here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from ..errors import BadInput
from ..files import Array
from ..labels import RAFDB_CLASSES
from .folders import contents
from .listing import CHOICES_FILE, Check, Listing, absent, read_choices
from .look_around import Signs, first_picture
from .picture_sizes import sampled_sizes
from .rafdb_class_order import ASK, CODES, COUNTS, FETCH, labels_of, refuse_codes, refuse_other_order
from .rafdb_noise_lists import BASES, NoisyList, read_noisy_list
from .text_lines import Line, read_lines, read_table, shown

__all__ = ["NoisyList", "read", "read_noisy_list"]

SIZE = 100, 100
"""Width and height of the aligned pictures."""

_WORD = {"train": "training", "test": "test"}
_LAYOUTS = ("list", "two-lists", "folders")
# The owners' name, and as others spell it.
_LIST = ("list_patition_label.txt", "list_partition_label.txt")
_TWO_LISTS: dict[str, tuple[str, ...]] = {"train": ("train_label.txt",), "test": ("test_label.txt",)}
_TABLES = {"train": "train_labels.csv", "test": "test_labels.csv"}
_IMAGES = ("Image/aligned", "aligned", "images", "Image", ".")
# Parts whose pictures a folder may contain: "valid" is the test part in some copies, in others split from training.
_FOLDERS = {"train": ("train",), "valid": ("train", "test"), "test": ("test",)}
_OWN_FILES = (CHOICES_FILE, *_LIST, *_TWO_LISTS["train"], *_TWO_LISTS["test"])
_CODES = {str(code): label for code, label in CODES.items()}
_NAME = re.compile(r"((train)_\d{5}|(test)_\d{4})(_aligned)?\.(?:jpe?g|png|bmp)", re.IGNORECASE)
_SIGNS = Signs(("EmoLabel", *_LIST, *_TWO_LISTS["train"], _TABLES["train"], "train/1"), ("rafdb", "rafbasic"))


@dataclass
class _Copy:
    """The content of a copy.

    Attributes:
        layout: which layout was found.
        labels: the label of each row, by name ("train_00001").
        where: the place of each row: file and line, or the picture.
        pictures: the picture of each row that has one.
        others: files among the pictures that belong to no row.
        files: the lists and tables of labels, relative to the data set's folder.
    """

    layout: str
    labels: dict[str, int] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def add(self, name: str, label: int, place: str) -> bool:
        """Adds a row; returns False if there is one of this name already."""
        if name in self.labels:
            return False
        self.labels[name], self.where[name] = label, place
        return True


def read(root: Path) -> Listing:
    """Lists the rows of RAF-DB, training part first, in the order of their names; labels 0-6 in RAFDB_CLASSES.

    Returns:
        labels int64 [N]; parts "train" and "test"; each row is its own group, since subjects are not known.

    Raises:
        BadInput: nothing found, a damaged list, an invalid label, a repeated row, a picture in the wrong part, classes
            that are numbered from 0 or in another order.
    """
    root = Path(root)
    choices = read_choices(root, {"layout": _LAYOUTS, "images": Path})
    bases = [base for name in BASES if (base := root / name).is_dir()]
    copy = next((copy for base in bases if (copy := _read_base(root, base, choices))), None)
    if copy is None:
        what = f"EmoLabel/{_LIST[0]} with Image/aligned/, or folders train/1 to train/7"
        raise absent("rafdb", root, ASK, what, _SIGNS)
    of_part = {part: [label for name, label in copy.labels.items() if _part(name) == part] for part in COUNTS}
    refuse_other_order(root, of_part)
    names = sorted(copy.pictures, key=lambda name: (_part(name) != "train", name))
    if not names:
        raise _without_pictures(root, copy)
    labels = np.array([copy.labels[name] for name in names], np.int64)
    parts = np.array([_part(name) for name in names])
    paths = [copy.pictures[name].relative_to(root).as_posix() for name in names]
    return Listing(
        dataset="rafdb",
        layout=copy.layout,
        root=root,
        names=RAFDB_CLASSES,
        path=np.array(paths),
        frame=np.full(len(names), -1, np.int64),
        box=np.full((len(names), 4), np.nan),
        labels=labels,
        group=np.array(names),
        part=parts,
        checks=(*_checks(copy, labels, parts), sampled_sizes(root, paths, SIZE)),
        labels_from=tuple(copy.files),
    )


def _without_pictures(root: Path, copy: _Copy) -> BadInput:
    """The error for lists without any of their pictures."""
    name, place = next(iter(copy.where.items()))
    base = (root / place.partition(", line ")[0]).parent
    base = base.parent if base.name == "EmoLabel" else base
    what = f"{len(copy.labels):,} rows but none of their pictures, the first {place}"
    if any((root / inside / "train" / code).is_dir() for inside in BASES for code in _CODES):
        choice = f"""echo 'layout = "folders"' >> {quote(str(root / CHOICES_FILE))}"""
        return BadInput(f"rafdb: nothing usable in {root} ({what}), but class folders are there: {choice}")
    if (original := base / "Image/original").is_dir() and any(map(_NAME.fullmatch, contents(original)[0])):
        choice = f"""echo 'images = "{original.relative_to(root).as_posix()}"' >> {quote(str(root / CHOICES_FILE))}"""
        what += f"; {original} has the pictures as they were before alignment"
        remedy = f"ask for the aligned ones at {ASK}, or take these as they are: {choice}"
        return BadInput(f"rafdb: nothing usable in {root} ({what}); {remedy}")
    wanted = Signs((f"{name}_aligned.jpg", f"{name}.jpg"), into=(base / _IMAGES[0]).relative_to(root).as_posix())
    other = first_picture(root)
    what += f": {name}_aligned.jpg; pictures there have names such as {other}" if other else ""
    return absent("rafdb", root, ASK, what, wanted)


def _read_base(root: Path, base: Path, choices: dict[str, Any]) -> _Copy | None:
    """The copy in a folder, in the chosen layout or the first that is found; None if there is none."""
    for layout in (choices["layout"],) if "layout" in choices else _LAYOUTS:
        if layout == "folders":
            copy = _from_folders(root, base)
        else:
            files: dict[str, tuple[str, ...]] = {"": _LIST} if layout == "list" else _TWO_LISTS
            copy = _from_lists(root, base, files, choices.get("images"))
        if copy is not None:
            return copy
    return None


def _part(name: str) -> str:
    return name.partition("_")[0]


def _checks(copy: _Copy, labels: Array, parts: Array) -> Iterator[Check]:
    """The comparison with the published rows, classes and pictures."""
    for part, counts in COUNTS.items():
        of_part = np.bincount(labels[parts == part], minlength=7).tolist()
        yield Check(f"{_WORD[part]} rows", sum(counts), sum(of_part))
        for name, expected, found in zip(RAFDB_CLASSES, counts, of_part, strict=True):
            yield Check(f"class {name}, {_WORD[part]}", expected, found)
        missing = sorted(name for name in copy.labels if _part(name) == part and name not in copy.pictures)
        yield Check.none(f"pictures missing, {_WORD[part]}", [f"{copy.where[name]}: {name}" for name in missing])
    yield Check.none("other files among the pictures", sorted(copy.others))


# --- lists


def _from_lists(root: Path, base: Path, files: dict[str, tuple[str, ...]], images: str | None) -> _Copy | None:
    """The layouts with one list of all rows (part ""), or with one list per part, and the pictures in one folder."""
    kind = "" if "" in files else "two-lists"
    found = {}
    for part, names in files.items():
        places = (folder / name for name in names for folder in (base / "EmoLabel", base))
        if path := next((path for path in places if path.is_file()), None):
            found[part] = path
    if not found:
        return None
    copy = _Copy(kind or "official")
    for part, path in found.items():
        _read_list(copy, root, path, part)
    folder = root / images if images else _image_folder(base)
    if folder is None:
        return copy
    suffixed = _find_pictures(copy, root, folder)
    if not suffixed:
        copy.layout = f"{kind}-flat" if kind else "flat"
    if images is not None:
        copy.layout += f", pictures of {images}"
    return copy


def _read_list(copy: _Copy, root: Path, path: Path, part: str) -> None:
    """Adds the rows of a list with lines "train_00001.jpg 5"; part "" accepts both parts."""
    place = path.relative_to(root).as_posix()
    copy.files.append(place)
    names: list[str] = []
    rows: list[tuple[Line, str]] = []
    for line in read_lines(path, FETCH, separator=" "):
        fields = line.text.decode().split()
        if len(fields) != 2:
            raise line.error(f"{len(fields)} fields, not a name and a label")
        names.append(_name(line, fields[0], part))
        rows.append((line, fields[1]))
    for name, (line, _), label in zip(names, rows, labels_of(rows), strict=True):
        if not copy.add(name, label, f"{place}, line {line.number}"):
            raise line.error(f"{shown(name)} is listed here and at {copy.where[name]}", "keep one of the two")


def _name(line: Line, word: str, part: str) -> str:
    """The name of a row, such as train_00001, of the given part or, for "", of any."""
    match = _NAME.fullmatch(word)
    if match is None:
        raise line.error(f"{shown(word)} is no RAF-DB name such as train_00001.jpg or test_0001.jpg")
    name = match[1].lower()
    if part and _part(name) != part:
        raise line.error(f"{shown(word)} is no {_WORD[part]} picture")
    return name


def _image_folder(base: Path) -> Path | None:
    """The first of the usual folders that has pictures of a list."""
    folders = [folder for name in _IMAGES if (folder := base / name).is_dir()]
    return next((folder for folder in folders if any(_NAME.fullmatch(name) for name in contents(folder)[0])), None)


def _find_pictures(copy: _Copy, root: Path, folder: Path) -> bool:
    """Finds the pictures of the rows in a folder; returns whether their names end in "_aligned"."""
    matches = {name: _NAME.fullmatch(name) for name in contents(folder)[0]}
    suffixed = any(match[4] for match in matches.values() if match)
    for name, match in matches.items():
        row = match[1].lower() if match and bool(match[4]) == suffixed else ""
        if row in copy.labels and row not in copy.pictures:
            copy.pictures[row] = folder / name
        elif name not in _OWN_FILES:
            copy.others.append((folder / name).relative_to(root).as_posix())
    return suffixed


# --- class folders


def _from_folders(root: Path, base: Path) -> _Copy | None:
    """The layouts with train/1..7 and test/1..7 or valid/1..7, with or without Kaggle's tables."""
    if not any((base / "train" / code).is_dir() for code in _CODES):
        return None
    copy = _Copy("class-folders")
    there = [folder for folder in _FOLDERS if (base / folder).is_dir()]
    refuse_codes(base, there, {folder: contents(base / folder)[1] for folder in there})
    for folder in there:
        _read_folder(copy, root, base / folder, _FOLDERS[folder])
    for part, name in _TABLES.items():
        table = next((path for path in (base / name, root / name) if path.is_file()), None)
        if table:
            copy.layout = "kaggle"
            _compare_table(copy, root, table, part)
    return copy


def _read_folder(copy: _Copy, root: Path, folder: Path, parts: tuple[str, ...]) -> None:
    """Adds the pictures of the class folders 1/ to 7/; BadInput for one of another part or in two folders."""
    for code in contents(folder)[1]:
        for name in contents(folder / code)[0]:
            path = folder / code / name
            place = path.relative_to(root).as_posix()
            match = _NAME.fullmatch(name)
            if match is None:
                copy.others.append(place)
                continue
            row = match[1].lower()
            if _part(row) not in parts:
                raise BadInput(f"{path}: a {_WORD[_part(row)]} picture in {folder.name}/; move it to its own part")
            if not copy.add(row, _CODES[code], place):
                raise BadInput(f"{path}: {shown(row)} is also {copy.where[row]}; keep one of the two")
            copy.pictures[row] = path


def _compare_table(copy: _Copy, root: Path, table: Path, part: str) -> None:
    """Compares the rows of train_labels.csv or test_labels.csv with the folders, and adds rows without a picture."""
    copy.files.append(table.relative_to(root).as_posix())
    lines: dict[str, int] = {}
    rows = list(read_table(table, FETCH, ("image", "label")))
    labels = labels_of([(line, code) for line, (_, code) in rows])
    for (line, (word, _)), label in zip(rows, labels, strict=True):
        name = _name(line, word, part)
        if lines.setdefault(name, line.number) != line.number:
            raise line.error(f"{shown(name)} is listed here and in line {lines[name]}", "keep one of the two")
        place = f"{table.relative_to(root).as_posix()}, line {line.number}"
        if not copy.add(name, label, place) and copy.labels[name] != label:
            what = f"{shown(name)} has label {label + 1} here and is {copy.where[name]}"
            raise line.error(what, f"table and folders must agree: {FETCH}")
    for name in [name for name in copy.pictures if _part(name) == part and name not in lines]:
        copy.others.append(copy.pictures.pop(name).relative_to(root).as_posix())
        del copy.labels[name], copy.where[name]
