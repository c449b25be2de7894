"""AffectNet as its owners distribute it, in two releases that are recognised by the files on disk.

| layout | labels | pictures |
|---|---|---|
| CSV release | training.csv, validation.csv, automatically_annotated.csv | Manually_Annotated_Images/1/<hash>.<any> |
| 2021 release | train_set/annotations/<n>_exp.npy, val_set/annotations/ | train_set/images/<n>.jpg, val_set/images/ |

The tables of the CSV release may be beside the pictures, in `*_file_list(s)` or `*_extracted` folders or elsewhere, up
to four folders deep; validation.csv may lack its header line. The automatic part exists in the CSV release only, also
beside the 2021 release. Papers report results on the part that the owners call "validation". Rows with code 8 (none), 9
(uncertain) or 10 (no face) are left out. Lists and class folders derived by others are not read, since their class ids
cannot be checked; the owners' class order is checked by the rules in labels.py.

Settings in fernoise.toml: `release`, "csv" or "2021", if both are present; `training`, `validation`, `automatic` (a
table) and `manual_images`, `automatic_images` (the folder with the numbered folders), if there are several; `box`,
"face" (the CSV release's face box, the default; the whole picture if it has none) or "whole".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import BadInput, unknown
from ...labels import AFFECTNET_CLASSES
from ..listing import CHOICES_FILE, Allowed, Check, Listing, absent, read_choices
from ..look_around import Signs, first_picture
from ..picture_sizes import sampled_sizes
from .csv_lists import TABLES, Places, find_places, read_table_part
from .labels import ASK, TRAIN_COUNTS, PartRows, check_class_order
from .npy_labels import FOLDERS, SIZE, is_release, read_folder_part

__all__ = ["AFFECTNET_CLASSES", "PARTS", "read"]

PARTS = ("train", "validation", "automatic")

_WORD = {"train": "training", "validation": "validation", "automatic": "automatic"}
_PATHS = ("training", "validation", "automatic", "manual_images", "automatic_images")
_CHOICES: dict[str, Allowed] = {"release": ("csv", "2021"), "box": ("face", "whole"), **dict.fromkeys(_PATHS, Path)}
_SIGNS = Signs((*TABLES.values(), "Manually_Annotated", "train_set/annotations"), ("affectnet",))
# Rows of the tables, including codes 8 to 10; in some copies the one faulty row of training.csv is removed.
_TABLE_ROWS = {"train": (414_799, 414_798), "validation": (5_500,)}
# Most copies of the 2021 release lack one validation picture; its class is not published.
_VALIDATION_ROWS, _VALIDATION_CLASS = {"csv": (4_000,), "2021": (4_000, 3_999)}, {"csv": (500,), "2021": (500, 499)}


def read(root: Path, parts: Sequence[str] | None = None) -> Listing:
    """Lists the rows of AffectNet, part by part, in the order of the tables or the picture numbers.

    Args:
        root: the data set's folder.
        parts: those of "train", "validation" and "automatic" to read and check; None for all that are found.

    Returns:
        labels int64 [N], 0-7 in AFFECTNET_CLASSES; each row is its own group, since subjects are not known.

    Raises:
        BadInput: a requested part is absent, a file is damaged, class ids in another order, a validation picture among
            the training pictures.
    """
    root = Path(root)
    choices = read_choices(root, _CHOICES)
    wanted = PARTS if parts is None else tuple(dict.fromkeys(parts))
    for part in wanted:
        if part not in PARTS:
            raise unknown("part of AffectNet", part, PARTS)
    places = find_places(root) if root.is_dir() else Places()
    releases = _releases(root, places, choices)
    found = [part for part in wanted if part in releases]
    if not found or (parts is not None and len(found) < len(wanted)):
        missing = ", ".join(part for part in wanted if part not in releases)
        what = f"no {missing}: neither {TABLES['train']} and the like nor train_set/"
        annotations = tuple(f"{folder}/annotations" for part, folder in FOLDERS.items() if part not in releases)
        raise absent("affectnet", root, ASK, what, replace(_SIGNS, marks=annotations) if root.is_dir() else _SIGNS)
    rows = [_read_part(root, part, releases[part], places, choices) for part in found]
    _check_disjoint(rows)
    checks = [check for part_rows in rows for check in _checks(part_rows, releases[part_rows.part])]
    for part_rows in rows:
        if releases[part_rows.part] == "2021":
            checks.append(sampled_sizes(root, part_rows.path.tolist(), SIZE, f", {_WORD[part_rows.part]}"))
    if parts is None:
        checks += [Check(f"{_WORD[part]} part", "there", "missing") for part in PARTS[:2] if part not in found]
    return _listing(root, rows, [releases[part] for part in found], tuple(checks), choices.get("box", "face"))


def _releases(root: Path, places: Places, choices: dict[str, Any]) -> dict[str, str]:
    """The release of each part that is found, "csv" or "2021"."""
    release = choices.get("release")
    csv = [part for part in PARTS if places.tables[part] or _WORD[part] in choices]
    npy = [part for part, folder in FOLDERS.items() if is_release(root / folder)]
    both = {"train", "validation"} & set(csv) and npy
    if both and release is None:
        raise BadInput(f"{root}: both releases are there; write release = 'csv' or '2021' in {root / CHOICES_FILE}")
    if npy and release != "csv":
        return {**({"automatic": "csv"} if "automatic" in csv else {}), **dict.fromkeys(npy, "2021")}
    return dict.fromkeys(csv, "csv") if release != "2021" else {}


def _read_part(root: Path, part: str, release: str, places: Places, choices: dict[str, Any]) -> PartRows:
    """The rows of a part, at least one."""
    if release == "2021":
        rows = read_folder_part(part, root)
    else:
        kind = "automatic" if part == "automatic" else "manual"
        table = _one(root, places.tables[part], TABLES[part], _WORD[part], choices)
        images = _one(root, places.images[kind], "folder of numbered folders", f"{kind}_images", choices)
        assert table is not None  # a part without a table is not among the releases
        rows = read_table_part(part, table, images, root)
    if not len(rows.path):
        what = f"{rows.listed:,} rows in {rows.source}, none of classes 0 to 7 with its picture; {rows.first_missing}"
        other = first_picture(root)
        what += f"; pictures there have names such as {other}" if other and rows.first_missing else ""
        raise absent("affectnet", root, ASK, what.removesuffix("; "), replace(_SIGNS, marks=()))
    return rows


def _one(root: Path, found: list[Path], what: str, choice: str, choices: dict[str, Any]) -> Path | None:
    """The chosen file or folder, or the only one that was found."""
    if choice in choices:
        return root / str(choices[choice])
    if len(found) > 1:
        names = ", ".join(path.relative_to(root).as_posix() for path in found)
        raise BadInput(f"{root}: more than one {what}: {names}; write {choice} = '...' in {root / CHOICES_FILE}")
    return found[0] if found else None


def _check_disjoint(rows: list[PartRows]) -> None:
    """Raises BadInput if a validation picture is also in another part."""
    by_part = {part_rows.part: part_rows for part_rows in rows}
    validation = set(by_part["validation"].path.tolist()) if "validation" in by_part else set()
    for part in ("train", "automatic"):
        shared = sorted(validation.intersection(by_part[part].path.tolist())) if part in by_part else []
        if shared:
            what = f"{len(shared):,} validation pictures are also in {by_part[part].source}, the first {shared[0]}"
            raise BadInput(f"{by_part['validation'].source}: {what}; ask for the owners' files at {ASK}")


def _checks(rows: PartRows, release: str) -> Iterator[Check]:
    """The comparison of a part with the published one, and the check of its class order."""
    word, counts = _WORD[rows.part], np.bincount(rows.labels, minlength=8).tolist()
    confirmed = check_class_order(rows)
    order = "as the owners'" if confirmed else "too few rows to tell"
    yield Check(f"order of classes, {word}", "as the owners'", order, "" if confirmed else rows.source)
    if release == "csv" and rows.part in _TABLE_ROWS:
        yield _check(f"rows of {TABLES[rows.part]}", _TABLE_ROWS[rows.part], rows.listed)
    if rows.faulty:
        yield Check(f"faulty row left out, {word}", 1, 1, rows.faulty)
    if rows.part == "train":
        yield Check("training rows", sum(TRAIN_COUNTS), len(rows.labels))
        for name, expected, found in zip(AFFECTNET_CLASSES, TRAIN_COUNTS, counts, strict=True):
            yield Check(f"class {name}, training", expected, found)
    if rows.part == "validation":
        yield _check("validation rows", _VALIDATION_ROWS[release], len(rows.labels))
        for name, found in zip(AFFECTNET_CLASSES, counts, strict=True):
            yield _check(f"class {name}, validation", _VALIDATION_CLASS[release], found)
    yield Check(f"pictures missing, {word}", 0, rows.missing, rows.first_missing)
    if release == "2021":
        yield Check(f"annotations that cannot be read, {word}", 0, rows.damaged, rows.first_damaged)
        yield Check(f"pictures without a label, {word}", 0, rows.unlabelled, rows.first_unlabelled)


def _check(what: str, published: tuple[int, ...], found: int) -> Check:
    """A comparison with several published counts; the first is the expected one if none fits."""
    return Check(what, found if found in published else published[0], found)


def _listing(root: Path, rows: list[PartRows], releases: list[str], checks: tuple[Check, ...], box: str) -> Listing:
    boxes = np.concatenate([part_rows.box for part_rows in rows])
    words = {"csv": "CSV release", "2021": "2021 release"}
    total = len(boxes)
    return Listing(
        dataset="affectnet",
        layout=" and ".join(dict.fromkeys(words[release] for release in releases)),
        root=root,
        names=AFFECTNET_CLASSES,
        path=np.concatenate([part_rows.path for part_rows in rows]),
        frame=np.full(total, -1, np.int64),
        box=boxes if box == "face" else np.full_like(boxes, np.nan),
        labels=np.concatenate([part_rows.labels for part_rows in rows]),
        group=np.arange(total).astype(str),
        part=np.repeat([part_rows.part for part_rows in rows], [len(part_rows.path) for part_rows in rows]),
        checks=checks,
        labels_from=tuple(file for part_rows in rows for file in part_rows.files),
    )
