"""RAF-DB, basic expressions, as its owners and other people pass it on.

Layouts, told apart by what is in the folder (or in `basic/`, `raf-basic/` or `DATASET/` inside it):

| layout | labels | pictures |
|---|---|---|
| official | EmoLabel/list_patition_label.txt, "train_00001.jpg 5" | Image/aligned/train_00001_aligned.jpg |
| flat | the same list, there or beside the folders | images/train_00001.jpg, without "_aligned" |
| two-lists | EmoLabel/train_label.txt and test_label.txt | as official |
| two-lists-flat | the same | as flat |
| kaggle | train_labels.csv, test_labels.csv (image,label) and folders | train/1..7/*_aligned.jpg, test/1..7 |
| class-folders | train/1..7 and test/1..7 or valid/1..7 | the same |

Codes are 1 to 7 everywhere: surprise, fear, disgust, happiness, sadness, anger, neutral; here 0 to 6. A list that
counts otherwise is a list of somebody else and goes through `rafdb_noisy.read_noisy_list`.

Choices in fernoise.toml: `layout`, "list", "two-lists" or "folders", the first of these that is there by default;
`images`, the folder of the pictures of a list, by default the first of Image/aligned, aligned, images, Image and the
folder itself that holds any. `Image/original`, which is not aligned, is only taken when it is named so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import BadInput
from ..labels import RAFDB_CLASSES
from .folders import contents
from .listing import CHOICES_FILE, Check, Listing, absent, read_choices
from .rafdb_noise_lists import NoisyList, read_noisy_list
from .text_lines import bad_line, fields_of, header_columns, lines, shown

__all__ = ["NoisyList", "read", "read_noisy_list"]

ASK = "whdeng.cn/RAF/model1.html"

_WORD = {"train": "training", "test": "test"}
_COUNTS = {"train": (1290, 281, 717, 4772, 1982, 705, 2524), "test": (329, 74, 160, 1185, 478, 162, 680)}
_LIST = "list_patition_label.txt"
_TWO_LISTS = {"train": "train_label.txt", "test": "test_label.txt"}
_TABLES = {"train": "train_labels.csv", "test": "test_labels.csv"}
_IMAGES = ("Image/aligned", "aligned", "images", "Image", ".")
# Of which part a picture in a folder may be: people call the test part "valid" or cut one from the training part.
_FOLDERS = {"train": ("train",), "valid": ("train", "test"), "test": ("test",)}
_OWN_FILES = (CHOICES_FILE, _LIST, *_TWO_LISTS.values())
_CODES = {str(code): code - 1 for code in range(1, 8)}
_NAME = re.compile(r"((train)_\d{5}|(test)_\d{4})(_aligned)?\.(?:jpe?g|png|bmp)", re.IGNORECASE)
_FETCH = f"fetch the file again from {ASK}"


@dataclass
class _Copy:
    """What a layout holds: label and place of each row, and the picture of each row that has one."""

    layout: str
    labels: dict[str, int] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def add(self, name: str, label: int, place: str) -> bool:
        """Takes a row, unless there is one of this name."""
        if name in self.labels:
            return False
        self.labels[name], self.where[name] = label, place
        return True


def read(root: Path) -> Listing:
    """The rows of RAF-DB, training part first, in the order of their names; labels 0-6 in RAFDB_CLASSES.

    Args:
        root: the data set's folder.

    Returns:
        labels int64 [N]; parts "train" and "test"; each row is its own group, since subjects are not known.

    Raises:
        BadInput: nothing there, a damaged list, a label that cannot be, a row twice, a picture in the wrong part.
    """
    root = Path(root)
    choices = read_choices(root, {"layout": str, "images": str})
    bases = [base for name in (".", "basic", "raf-basic", "DATASET") if (base := root / name).is_dir()]
    copy = next((copy for base in bases if (copy := _read_base(root, base, choices))), None)
    if copy is None:
        raise absent("rafdb", root, ASK, f"EmoLabel/{_LIST} with Image/aligned/, or folders train/1 to train/7")
    names = sorted(copy.pictures, key=lambda name: (_part(name) != "train", name))
    if not names:
        first = next(iter(copy.where.values()), "")
        raise absent("rafdb", root, ASK, f"{len(copy.labels):,} rows but none of their pictures, the first {first}")
    labels = np.array([copy.labels[name] for name in names], np.int64)
    parts = np.array([_part(name) for name in names])
    return Listing(
        dataset="rafdb",
        layout=copy.layout,
        root=root,
        names=RAFDB_CLASSES,
        path=np.array([copy.pictures[name].relative_to(root).as_posix() for name in names]),
        frame=np.full(len(names), -1, np.int64),
        box=np.full((len(names), 4), np.nan),
        labels=labels,
        group=np.array(names),
        part=parts,
        checks=tuple(_checks(copy, labels, parts)),
    )


def _read_base(root: Path, base: Path, choices: dict[str, object]) -> _Copy | None:
    """The first layout that is in a folder, or the chosen one; None where there is none."""
    layouts: dict[str, Callable[[], _Copy | None]] = {
        "list": lambda: _from_lists(root, base, {"": _LIST}, choices.get("images")),
        "two-lists": lambda: _from_lists(root, base, _TWO_LISTS, choices.get("images")),
        "folders": lambda: _from_folders(root, base),
    }
    chosen = choices.get("layout")
    if chosen is not None and chosen not in layouts:
        raise BadInput(f"{root / CHOICES_FILE}: layout = {chosen!r} must be one of {', '.join(layouts)}")
    readers = layouts.values() if chosen is None else [layouts[str(chosen)]]
    return next((copy for reader in readers if (copy := reader())), None)


def _part(name: str) -> str:
    return name.partition("_")[0]


def _checks(copy: _Copy, labels: np.ndarray, parts: np.ndarray) -> Iterator[Check]:
    """Rows, classes and pictures against what was published."""
    for part, counts in _COUNTS.items():
        of_part = labels[parts == part]
        yield Check(f"{_WORD[part]} rows", sum(counts), len(of_part))
        for name, expected, found in zip(
            RAFDB_CLASSES, counts, np.bincount(of_part, minlength=7).tolist(), strict=True
        ):
            yield Check(f"class {name}, {_WORD[part]}", expected, found)
        missing = sorted(name for name in copy.labels if _part(name) == part and name not in copy.pictures)
        where = f"{copy.where[missing[0]]}: {missing[0]}" if missing else ""
        yield Check(f"pictures missing, {_WORD[part]}", 0, len(missing), where)
    yield Check("other files among the pictures", 0, len(copy.others), min(copy.others, default=""))


# --- lists


def _from_lists(root: Path, base: Path, files: dict[str, str], images: object) -> _Copy | None:
    """One list of all rows (its part is ""), or one a part, with the pictures in one folder."""
    kind = "" if "" in files else "two-lists"
    found = {part: path for part, name in files.items() if (path := _list_file(base, name))}
    if not found:
        return None
    copy = _Copy(kind or "official")
    for part, path in found.items():
        _read_list(copy, root, path, part)
    folder = _image_folder(root, base, images)
    if folder is None:
        return copy
    suffixed = _take_pictures(copy, root, folder)
    if not suffixed:
        copy.layout = f"{kind}-flat" if kind else "flat"
    if images is not None:
        copy.layout += f", pictures of {images}"
    return copy


def _list_file(base: Path, name: str) -> Path | None:
    return next((path for path in (base / "EmoLabel" / name, base / name) if path.is_file()), None)


def _read_list(copy: _Copy, root: Path, path: Path, part: str) -> None:
    """Adds the rows of "train_00001.jpg 5" lines; `part` "" takes both parts.

    Raises:
        BadInput: another form of line, name or label, a row of the other part, or a row twice.
    """
    place = path.relative_to(root).as_posix()
    for number, line in lines(path, _FETCH):
        fields = line.decode().split()
        if len(fields) != 2:
            raise bad_line(path, number, line, f"{len(fields)} fields, not a name and a label", _FETCH)
        name = _name(path, number, line, fields[0])
        if part and _part(name) != part:
            raise bad_line(path, number, line, f"{shown(fields[0])} is no {_WORD[part]} picture", _FETCH)
        if not copy.add(name, _label(path, number, line, fields[1]), f"{place}, line {number}"):
            what = f"{shown(fields[0])} stands here and at {copy.where[name]}"
            raise bad_line(path, number, line, what, "keep one of the two")


def _name(path: Path, number: int, line: bytes, word: str) -> str:
    """The name of a row, such as train_00001."""
    match = _NAME.fullmatch(word)
    if match is None:
        what = f"{shown(word)} is no RAF-DB name such as train_00001.jpg or test_0001.jpg"
        raise bad_line(path, number, line, what, _FETCH)
    return match[1].lower()


def _label(path: Path, number: int, line: bytes, word: str) -> int:
    if word not in _CODES:
        remedy = "a list that counts from 0 is no list of the owners: " + _FETCH
        raise bad_line(path, number, line, f"label {shown(word)}, not 1 to 7", remedy)
    return _CODES[word]


def _image_folder(root: Path, base: Path, chosen: object) -> Path | None:
    """The folder of a list's pictures: the chosen one, or the first that holds any."""
    if chosen is not None:
        inside = not PurePosixPath(str(chosen)).is_absolute() and ".." not in PurePosixPath(str(chosen)).parts
        if not inside or not (root / str(chosen)).is_dir():
            raise BadInput(f"{root / CHOICES_FILE}: images = {chosen!r} is no folder in {root}; name one inside it")
        return root / str(chosen)
    folders = [folder for name in _IMAGES if (folder := base / name).is_dir()]
    return next((folder for folder in folders if any(_NAME.fullmatch(name) for name in contents(folder)[0])), None)


def _take_pictures(copy: _Copy, root: Path, folder: Path) -> bool:
    """Finds the pictures of the rows in one folder; returns whether their names end in "_aligned"."""
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
    """train/1..7 with test/1..7 or valid/1..7, and the tables of the Kaggle form where they are."""
    if not any((base / "train" / code).is_dir() for code in _CODES):
        return None
    copy = _Copy("class-folders")
    for folder in _FOLDERS:
        if (base / folder).is_dir():
            _take_folder(copy, root, base / folder, _FOLDERS[folder])
    for part, name in _TABLES.items():
        table = next((path for path in (base / name, root / name) if path.is_file()), None)
        if table:
            copy.layout = "kaggle"
            _join_table(copy, root, table, part)
    return copy


def _take_folder(copy: _Copy, root: Path, folder: Path, parts: tuple[str, ...]) -> None:
    """Adds the pictures of 1/ to 7/; one of another part, or in two folders, is refused."""
    for code in contents(folder)[1]:
        if code not in _CODES:
            raise BadInput(f"{folder / code}: class folder {shown(code)}, not 1 to 7; rename or remove it")
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


def _join_table(copy: _Copy, root: Path, table: Path, part: str) -> None:
    """Compares the rows of train_labels.csv or test_labels.csv with the folders; rows without picture are noted.

    Raises:
        BadInput: a label other than the folder's, a row twice or of the other part, no columns image and label.
    """
    rows = lines(table, _FETCH)
    at, width = header_columns(table, rows, ("image", "label"), _FETCH)
    seen: dict[str, int] = {}
    for number, line in rows:
        fields = fields_of(table, number, line, _FETCH)
        if len(fields) != width:
            raise bad_line(table, number, line, f"{len(fields)} fields, {width} in the header", _FETCH)
        name = _name(table, number, line, fields[at[0]])
        label = _label(table, number, line, fields[at[1]])
        if _part(name) != part:
            raise bad_line(table, number, line, f"{shown(fields[at[0]])} is no {_WORD[part]} picture", _FETCH)
        if name in seen:
            raise bad_line(table, number, line, f"{shown(name)} stands here and in line {seen[name]}", "keep one")
        seen[name] = number
        place = f"{table.relative_to(root).as_posix()}, line {number}"
        if not copy.add(name, label, place) and copy.labels[name] != label:
            what = f"{shown(name)} has label {label + 1} here and is {copy.where[name]}"
            raise bad_line(table, number, line, what, "table and folders must agree: " + _FETCH)
    for name in [name for name in copy.pictures if _part(name) == part and name not in seen]:
        copy.others.append(copy.pictures.pop(name).relative_to(root).as_posix())
        del copy.labels[name], copy.where[name]
