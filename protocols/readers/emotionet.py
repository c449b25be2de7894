"""EmotioNet: which pictures a copy has, with their manual or automatic labels of twelve action units.

Label files, found by name in any folder of the data set:
- `EmotioNet_FACS_aws_2020_24600.csv`, else the older `EmotioNet_FACS.csv`: the manual labels, columns by header name;
- `dataFile_NNNN.txt`: the automatic labels, by position;
- `image_list.csv`, `image_list_*.csv` (a "path" column and AU columns, written by downloaders): for a part that has no
  label file of its own.

Pictures lie in any folder ("optimization_set/N_0000000001/", "imgs/", "images/" …) and are found by the base name of
their URL, whatever the extension. Dead links are normal: rows without a picture are left out and counted. A picture
that is listed twice counts once; if its labels differ it is left out. A picture with manual labels is never automatic.

Choices, in `fernoise.toml` beside the data:
    manual = "labels/mine.csv"     the label file of the manual part (relative to the data set's folder)
    pictures = "imgs"              the folder to look for pictures in, where several have the same names
    image_lists = "automatic"      which part image lists belong to, "automatic" (the default) or "manual"
    automatic_rows = 50000         how many pictures with automatic labels are listed (the default; 0 for all): those
                                   whose names come first by a hash, so that copies that agree choose alike
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput
from ..labels import EMOTIONET_AUS
from .emotionet_labels import ASK, LabelRows, read_labels
from .folders import contents
from .listing import CHOICES_FILE, Check, Listing, absent, read_choices

MANUAL, AUTOMATIC = "manual", "automatic"
FILE_2020 = "EmotioNet_FACS_aws_2020_24600.csv"
FILE_OLDER = "EmotioNet_FACS.csv"
ROWS_2020 = 24_600
ROWS_AUTOMATIC = 950_000
AUTOMATIC_ROWS = 50_000  # the noisy set of ReCoT's protocols

_DATA_FILE = re.compile(r"dataFile_\d+\.txt", re.IGNORECASE)
_IMAGE_LIST = re.compile(r"image_list(_.*)?\.csv", re.IGNORECASE)
_PICTURES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"))


@dataclass(frozen=True, eq=False)
class _Found:
    """What is on disk: pictures by name without extension, names used again, other files; all as paths with slashes."""

    pictures: dict[str, str]
    again: list[str]
    files: list[str]


def read(root: Path) -> Listing:
    """Lists the pictures of `emotionet/` that have labels; parts "manual" and "automatic", each picture its own group.

    Rows are in the order of the label files and of their lines, manual rows first. A million rows take seconds.

    Raises:
        BadInput: no label file, a damaged one, no picture at all, a choice that names nothing.
    """
    root = Path(root)
    found, parts = _inspect(root)
    checks: list[Check] = []
    rows: dict[str, LabelRows] = {}
    manual: frozenset[str] = frozenset()
    for part, files in parts.items():
        labelled = read_labels([root / file for file in files])
        checks += _row_checks(part, files, labelled)
        labelled = _distinct(part, labelled, manual, checks)
        rows[part] = _with_picture(part, labelled, found.pictures, checks)
        if part == AUTOMATIC:
            rows[part] = _some(rows[part], int(str(_choices(root).get("automatic_rows", AUTOMATIC_ROWS))))
        manual = manual or frozenset(labelled.names)
    checks.append(Check("pictures with a name used before", 0, len(found.again), next(iter(found.again), "")))
    return _listing(root, parts, rows, found, tuple(checks))


def label_rows(root: Path) -> LabelRows:
    """All rows of all label files as they stand there, with the file and the line each came from.

    `Listing.group` of a row is its name here; rows that repeat, or have no picture on disk, are still among these.

    Raises:
        BadInput: as `read`.
    """
    root = Path(root)
    return read_labels([root / file for files in _inspect(root)[1].values() for file in files])


def _inspect(root: Path) -> tuple[_Found, dict[str, list[str]]]:
    """What is on disk, and the label files of each part, manual first."""
    if not root.is_dir():
        raise absent("emotionet", root, ASK, f"{FILE_2020}, dataFile_NNNN.txt, pictures")
    choices = _choices(root)
    chosen = {name: _inside(root, name, str(choices[name])) for name in ("manual", "pictures") if name in choices}
    lists_are = str(choices.get("image_lists", AUTOMATIC))
    if lists_are not in (MANUAL, AUTOMATIC):
        raise BadInput(f'{root / CHOICES_FILE}: image_lists = "{lists_are}" must be "{MANUAL}" or "{AUTOMATIC}"')
    found = _scan(root, chosen.get("pictures", ""))
    parts = {MANUAL: [chosen["manual"]] if "manual" in chosen else _manual_file(root, found.files)}
    parts[AUTOMATIC] = _named(_DATA_FILE, found.files)
    parts[lists_are] = parts[lists_are] or _named(_IMAGE_LIST, found.files)
    if not any(parts.values()):
        other = [file for file in found.files if file.lower().endswith(".xlsx")]
        what = f"{root / other[0]} must be saved as CSV" if other else f"no {FILE_2020}, no dataFile_NNNN.txt"
        raise absent("emotionet", root, ASK, what)
    return found, parts


def _choices(root: Path) -> dict[str, object]:
    return read_choices(root, {"manual": str, "pictures": str, "image_lists": str, "automatic_rows": int})


def _some(rows: LabelRows, count: int) -> LabelRows:
    """The rows of `count` pictures in their order, chosen by a hash of the name; all for 0 or a larger count."""
    if not 0 < count < len(rows.names):
        return rows
    drawn = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in rows.names]
    chosen = np.zeros(len(rows.names), np.bool_)
    chosen[sorted(range(len(drawn)), key=drawn.__getitem__)[:count]] = True
    return rows.take(np.flatnonzero(chosen))


def _inside(root: Path, name: str, value: str) -> str:
    """A chosen file or folder, as a path relative to the root with slashes."""
    path = Path(value)
    if path.is_absolute() or ".." in path.parts or not (root / path).exists():
        raise BadInput(
            f'{root / CHOICES_FILE}: {name} = "{value}" names nothing in {root}; write a path relative to it'
        )
    return path.as_posix()


def _scan(root: Path, pictures: str) -> _Found:
    """Lists every folder once, in sorted order, so that the order on disk does not matter; links to folders count."""
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
                found.again.append(f"{path} and {found.pictures[stem]}")
        folders += [f"{folder}/{name}" if folder else name for name in reversed(below)]
    return found


def _manual_file(root: Path, files: Sequence[str]) -> list[str]:
    """The manual label file, if any: the 2020 one before the older one."""
    for name in (FILE_2020, FILE_OLDER):
        here = [file for file in files if file.rpartition("/")[2] == name]
        if len(here) > 1:
            raise BadInput(f'{root}: both {here[0]} and {here[1]}; write manual = "{here[0]}" in {CHOICES_FILE} there')
        if here:
            return here
    return []


def _named(pattern: re.Pattern[str], files: Sequence[str]) -> list[str]:
    """The files of such a name, ordered by name and then by folder."""
    matching = [file for file in files if pattern.fullmatch(file.rpartition("/")[2])]
    return sorted(matching, key=lambda file: (file.rpartition("/")[2], file))


def _row_checks(part: str, files: Sequence[str], rows: LabelRows) -> list[Check]:
    """Rows against what was published; the automatic set only as "950,000", the older manual file without a number."""
    count = len(rows.names) + len(rows.incomplete)
    if part == AUTOMATIC:
        enough = f"{ROWS_AUTOMATIC:,} or more"
        return [Check("automatic rows", enough, enough if count >= ROWS_AUTOMATIC else f"{count:,}")]
    name = files[0].rpartition("/")[2] if files else "none"
    checks = [Check("manual label file", FILE_2020, name)]
    if name in (FILE_2020, "none"):
        checks.append(Check("manual rows", ROWS_2020, count))
    checks.append(Check("manual rows with an empty AU", 0, len(rows.incomplete), next(iter(rows.incomplete), "")))
    return checks


def _distinct(part: str, rows: LabelRows, manual: frozenset[str], checks: list[Check]) -> LabelRows:
    """Each picture once, without those whose rows contradict each other and those of the manual part; adds checks."""
    first: dict[str, int] = {}
    number = np.arange(len(rows.names))
    origin = np.array([first.setdefault(name, row) for row, name in enumerate(rows.names)], np.int64)
    repeated = origin != number
    differing = (rows.labels != rows.labels[origin]).any(1)
    manual_too = np.array([name in manual for name in rows.names], bool)
    checks.append(_counted(f"{part} rows of a picture listed before", rows, repeated))
    checks.append(_counted(f"{part} rows that contradict one before", rows, differing))
    if part == AUTOMATIC:
        checks.append(_counted("automatic rows of a picture with manual labels", rows, manual_too))
    return rows.take(np.flatnonzero(~repeated & ~manual_too & ~np.isin(origin, origin[differing])))


def _with_picture(part: str, rows: LabelRows, pictures: dict[str, str], checks: list[Check]) -> LabelRows:
    """The rows whose picture is there; adds the check that says how many of the links were found."""
    there = np.array([name in pictures for name in rows.names], bool)
    lost = int(np.argmin(there)) if not there.all() else -1
    where = f"{rows.place(lost)}: {rows.names[lost]}" if lost >= 0 else ""
    checks.append(Check(f"{part} pictures on disk", len(rows.names), int(there.sum()), where))
    return rows.take(np.flatnonzero(there))


def _counted(what: str, rows: LabelRows, chosen: NDArray[np.bool_]) -> Check:
    """That no row is among the chosen ones (bool [N])."""
    where = f"{rows.place(int(np.argmax(chosen)))}: {rows.names[int(np.argmax(chosen))]}" if chosen.any() else ""
    return Check(what, 0, int(chosen.sum()), where)


def _listing(
    root: Path, parts: dict[str, list[str]], rows: dict[str, LabelRows], found: _Found, checks: tuple[Check, ...]
) -> Listing:
    names = [name for part in parts for name in rows[part].names]
    if not names:
        what = f"none of the {len(found.pictures):,} pictures in {root} has the base name of a URL in the label files"
        raise BadInput(f"{what} (N_0000000001_00003.jpg); numbering them anew loses the labels: download them again")
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
    )


def _layout(parts: dict[str, list[str]], paths: Sequence[str]) -> str:
    """Such as "EmotioNet_FACS_aws_2020_24600.csv + dataFile_NNNN.txt, pictures in optimization_set/*"."""
    labels = [file.rpartition("/")[2] for file in parts[MANUAL][:1]]
    if parts[AUTOMATIC]:
        lists = _IMAGE_LIST.fullmatch(parts[AUTOMATIC][0].rpartition("/")[2])
        labels.append("image_list_*.csv" if lists else "dataFile_NNNN.txt")
    folders = {path.rpartition("/")[0].partition("/") for path in paths}
    tops = sorted({top + ("/*" if below else "") for top, below, _ in folders})
    return f"{' + '.join(labels)}, pictures in {', '.join(top or '.' for top in tops)}"
