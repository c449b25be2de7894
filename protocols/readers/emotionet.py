"""EmotioNet: pictures with manual or automatic labels of twelve action units.

Label files, found by name in any folder of the data set:
- `EmotioNet_FACS_aws_2020_24600.csv`, or else the older `EmotioNet_FACS.csv`: manual labels, columns by header name;
- `dataFile_NNNN.txt`: automatic labels, by position;
- `image_list.csv`, `image_list_*.csv` (a "path" column and AU columns, written by download scripts): used for a part
  without one of the files above.

Pictures may be in any folder ("optimization_set/N_0000000001/", "imgs/", "images/" …) and are found by the base name of
their URL, with any extension. Many URLs are dead: rows without a picture are left out and counted. A picture that is
listed twice is used once, or left out if its labels differ. Automatic labels of manually labelled pictures are ignored.

Settings in `fernoise.toml` beside the data:
    manual = "labels/mine.csv"     the label file of the manual part (relative to the data set's folder)
    pictures = "imgs"              the folder with the pictures, if several contain the same names
    image_lists = "automatic"      the part that image lists belong to, "automatic" (the default) or "manual"
    automatic_rows = 50000         number of pictures with automatic labels (this is the default; 0 for all), selected
                                   by a hash of the name, so that the selection is the same for equal copies
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadInput
from ..files import Array
from ..labels import EMOTIONET_AUS
from .emotionet_labels import ASK, LabelRows, read_labels
from .folders import contents
from .listing import CHOICES_FILE, Allowed, Check, Listing, absent, first, read_choices
from .look_around import Signs, look_around

MANUAL, AUTOMATIC = "manual", "automatic"
FILE_2020 = "EmotioNet_FACS_aws_2020_24600.csv"
FILE_OLDER = "EmotioNet_FACS.csv"
ROWS_2020 = 24_600
ROWS_AUTOMATIC = 950_000
AUTOMATIC_ROWS = 50_000  # size of the noisy set in ReCoT's protocols

_SIGNS = Signs((FILE_2020, FILE_OLDER), ("emotionet",))
_DATA_FILE = re.compile(r"dataFile_\d+\.txt", re.IGNORECASE)
_MANUAL_LIKE = re.compile(r"emotionet.*\.csv", re.IGNORECASE)
_IMAGE_LIST = re.compile(r"image_list(_.*)?\.csv", re.IGNORECASE)
_PICTURES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"))


@dataclass(frozen=True, eq=False)
class _Found:
    """The files on disk, as paths with slashes.

    Attributes:
        pictures: pictures by name without extension.
        repeated: pictures with the name of another one, and that one.
        files: all other files.
    """

    pictures: dict[str, str]
    repeated: list[str]
    files: list[str]


def read(root: Path) -> Listing:
    """Lists the pictures that have labels, with parts "manual" and "automatic"; each picture is its own group.

    Rows are in the order of the label files and of their lines, manual rows first. A million rows take seconds.

    Raises:
        BadInput: no label file, a damaged one, no picture at all, an invalid setting.
    """
    root = Path(root)
    if not root.is_dir():
        raise absent("emotionet", root, ASK, f"{FILE_2020}, dataFile_NNNN.txt, pictures", _SIGNS)
    allowed: dict[str, Allowed] = {
        "manual": Path,
        "pictures": Path,
        "image_lists": (AUTOMATIC, MANUAL),
        "automatic_rows": int,
    }
    choices = read_choices(root, allowed)
    found = _scan(root, choices.get("pictures", ""))
    parts = {MANUAL: [choices["manual"]] if "manual" in choices else _manual_file(root, found.files)}
    parts[AUTOMATIC] = _named(_DATA_FILE, found.files)
    with_lists = choices.get("image_lists", AUTOMATIC)
    parts[with_lists] = parts[with_lists] or _named(_IMAGE_LIST, found.files)
    if not any(parts.values()):
        other = [file for file in found.files if file.lower().endswith(".xlsx")]
        what = f"{root / other[0]} must be saved as CSV" if other else f"no {FILE_2020}, no dataFile_NNNN.txt"
        raise absent("emotionet", root, ASK, what, _SIGNS)
    checks: list[Check] = []
    rows: dict[str, LabelRows] = {}
    manual: frozenset[str] = frozenset()
    for part, files in parts.items():
        labelled = read_labels([root / file for file in files])
        checks += _row_checks(part, files, labelled, found.files)
        labelled = _distinct(part, labelled, manual, checks)
        rows[part] = _with_picture(part, labelled, found.pictures, checks)
        manual = manual or frozenset(labelled.names)
    rows[AUTOMATIC] = _select(rows[AUTOMATIC], choices.get("automatic_rows", AUTOMATIC_ROWS))
    checks.append(Check.none("pictures with a name used before", found.repeated))
    return _listing(root, parts, rows, found, tuple(checks))


def _select(rows: LabelRows, count: int) -> LabelRows:
    """The rows of `count` pictures, selected by a hash of the name, in their order; all for 0 or a larger count."""
    if not 0 < count < len(rows.names):
        return rows
    hashes = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in rows.names]
    return rows.take(np.array(sorted(sorted(range(len(hashes)), key=hashes.__getitem__)[:count])))


def _scan(root: Path, pictures: str) -> _Found:
    """Lists every folder once, in sorted order, following links to folders; pictures only from the given folder."""
    found = _Found({}, [], [])
    folders, seen = [""], set()
    while folders:
        folder = folders.pop()
        status = os.stat(root / folder)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        wanted = pictures in ("", ".", folder) or folder.startswith(f"{pictures}/")
        files, below = contents(root / folder)
        for name in files:
            path = f"{folder}/{name}" if folder else name
            stem, extension = os.path.splitext(name)
            if extension.lower() not in _PICTURES:
                found.files.append(path)
            elif wanted and found.pictures.setdefault(stem, path) != path:
                found.repeated.append(f"{path} and {found.pictures[stem]}")
        folders += [f"{folder}/{name}" if folder else name for name in reversed(below)]
    return found


def _manual_file(root: Path, files: Sequence[str]) -> list[str]:
    """The manual label file, if there is one: the 2020 file before the older one."""
    for name in (FILE_2020, FILE_OLDER):
        here = [file for file in files if file.rpartition("/")[2] == name]
        if len(here) > 1:
            raise BadInput(f'{root}: both {here[0]} and {here[1]}; write manual = "{here[0]}" in {CHOICES_FILE} there')
        if here:
            return here
    return []


def _named(pattern: re.Pattern[str], files: Sequence[str]) -> list[str]:
    """The files whose name matches a pattern, ordered by name and then by folder."""
    matching = [file for file in files if pattern.fullmatch(file.rpartition("/")[2])]
    return sorted(matching, key=lambda file: (file.rpartition("/")[2], file))


def _row_checks(part: str, files: Sequence[str], rows: LabelRows, others: Sequence[str]) -> list[Check]:
    """The comparison of the number of rows with the published one, which is unknown for the older manual file."""
    count = len(rows.names) + len(rows.incomplete)
    if part == AUTOMATIC:
        enough = f"{ROWS_AUTOMATIC:,} or more"
        counted = Check("automatic rows", enough, enough if count >= ROWS_AUTOMATIC else f"{count:,}")
        return [counted, *([Check.none("automatic rows with an empty AU", rows.incomplete)] if rows.incomplete else [])]
    name = files[0].rpartition("/")[2] if files else "none"
    table = "" if files else first(file for file in others if _MANUAL_LIKE.fullmatch(file.rpartition("/")[2]))
    where = f"{table} is there: if it has these labels, write manual = '{table}' in {CHOICES_FILE}" if table else ""
    checks = [Check("manual label file", FILE_2020, name, where)]
    if name in (FILE_2020, "none"):
        checks.append(Check("manual rows", ROWS_2020, count))
    return [*checks, Check.none("manual rows with an empty AU", rows.incomplete)]


def _distinct(part: str, rows: LabelRows, manual: frozenset[str], checks: list[Check]) -> LabelRows:
    """The first row of each picture, without contradicting rows and pictures of the manual part; adds checks."""
    first_row: dict[str, int] = {}
    original = np.array([first_row.setdefault(name, row) for row, name in enumerate(rows.names)], np.int64)
    repeated = original != np.arange(len(rows.names))
    differing = (rows.labels != rows.labels[original]).any(1)
    in_manual = np.array([name in manual for name in rows.names], bool)
    checks.append(_none(f"{part} rows of a picture listed before", rows, repeated))
    checks.append(_none(f"{part} rows that contradict one before", rows, differing))
    if part == AUTOMATIC:
        checks.append(_none("automatic rows of a picture with manual labels", rows, in_manual))
    return rows.take(np.flatnonzero(~repeated & ~in_manual & ~np.isin(original, original[differing])))


def _with_picture(part: str, rows: LabelRows, pictures: dict[str, str], checks: list[Check]) -> LabelRows:
    """The rows whose picture is on disk; adds a check of their number."""
    on_disk = np.array([name in pictures for name in rows.names], bool)
    missing = _none("", rows, ~on_disk).where
    checks.append(Check(f"{part} pictures on disk", len(on_disk), int(on_disk.sum()), missing))
    return rows.take(np.flatnonzero(on_disk))


def _none(what: str, rows: LabelRows, chosen: Array) -> Check:
    """The check that no row is chosen (bool [N])."""
    row = int(np.argmax(chosen)) if chosen.any() else -1
    return Check(what, 0, int(chosen.sum()), f"{rows.place(row)}: {rows.names[row]}" if row >= 0 else "")


def _listing(
    root: Path, parts: dict[str, list[str]], rows: dict[str, LabelRows], found: _Found, checks: tuple[Check, ...]
) -> Listing:
    names = [name for part in parts for name in rows[part].names]
    if not names:
        raise _without_pictures(root, found, checks)
    paths = [found.pictures[name] for name in names]
    return Listing(
        dataset="emotionet",
        layout=_layout(parts, paths),
        root=root,
        names=EMOTIONET_AUS,
        path=np.array(paths, np.str_),
        frame=np.full(len(names), -1, np.int64),
        box=np.full((len(names), 4), np.nan),
        labels=np.concatenate([rows[part].labels for part in parts]),
        group=np.array(names, np.str_),
        part=np.repeat(list(parts), [len(rows[part].names) for part in parts]),
        checks=checks,
        labels_from=tuple(file for files in parts.values() for file in files),
    )


def _without_pictures(root: Path, found: _Found, checks: Sequence[Check]) -> BadInput:
    """The error for label files without any of their pictures."""
    what = f"none of the {len(found.pictures):,} pictures in {root} has the base name of a URL in the label files"
    if not found.pictures and (near := look_around(root, _SIGNS)):
        return BadInput(f"{what}, but {near}")
    ours = first(check.where for check in checks if check.what.endswith("pictures on disk") and check.where)
    theirs = first(found.pictures.values())
    example = f"{ours} has no picture, {theirs} no row" if ours and theirs else "N_0000000001_00003.jpg"
    return BadInput(f"{what} ({example}); renamed pictures have no labels: download them again")


def _layout(parts: dict[str, list[str]], paths: Sequence[str]) -> str:
    """The layout, such as "EmotioNet_FACS_aws_2020_24600.csv + dataFile_NNNN.txt, pictures in optimization_set/*"."""
    labels = [file.rpartition("/")[2] for file in parts[MANUAL][:1]]
    if parts[AUTOMATIC]:
        lists = _IMAGE_LIST.fullmatch(parts[AUTOMATIC][0].rpartition("/")[2])
        labels.append("image_list_*.csv" if lists else "dataFile_NNNN.txt")
    folders = {path.rpartition("/")[0].partition("/") for path in paths}
    tops = sorted({top + ("/*" if below else "") for top, below, _ in folders})
    return f"{' + '.join(labels)}, pictures in {', '.join(top or '.' for top in tops)}"
