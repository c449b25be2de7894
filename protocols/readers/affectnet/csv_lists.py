"""AffectNet's first release: training.csv, validation.csv and automatically_annotated.csv, with numbered folders."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..folders import contents
from ..text_lines import bad_line, fields_of, lines, shown
from .labels import CODES, FETCH, PartRows, usable_boxes

COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
TABLES = {"train": "training.csv", "validation": "validation.csv", "automatic": "automatically_annotated.csv"}
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".gif"})

_DEPTH = 4
_SKIP = frozenset({"train_set", "val_set"})
_BOX, _AFFECT = slice(0, 4), slice(4, 6)
_NUMBERS = ("face_x", "face_y", "face_width", "face_height", "valence", "arousal")
# Two names, neither empty nor starting with a dot: nothing absolute, nothing that leads out of the folder.
_PICTURE = re.compile(r"[^/\\.][^/\\]*/[^/\\.][^/\\]*")


@dataclass
class Places:
    """Where the tables and the folders of numbered picture folders are, by part and by "manual" or "automatic"."""

    tables: dict[str, list[Path]] = field(default_factory=lambda: {part: [] for part in TABLES})
    images: dict[str, list[Path]] = field(default_factory=lambda: {"manual": [], "automatic": []})


def find_places(root: Path) -> Places:
    """Looks for tables and picture folders in `root` and the folders inside it, four deep, in the order of their names.

    Tables lie beside the pictures, in `*_file_list(s)` or `*_extracted` folders, or anywhere else; a folder holds the
    pictures when it has folders named by a number, those of the automatic part when its path says "automatic".
    """
    places = Places()
    _walk(root, "", _DEPTH, places)
    return places


def _walk(folder: Path, inside: str, depth: int, places: Places) -> None:
    files, folders = contents(folder)
    for part, name in TABLES.items():
        if name in files:
            places.tables[part].append(folder / name)
    if any(name.isdecimal() for name in folders):
        places.images["automatic" if "automatic" in inside.lower() else "manual"].append(folder)
    for name in folders if depth else []:
        if not name.isdecimal() and name not in _SKIP:
            _walk(folder / name, f"{inside}/{name}", depth - 1, places)


def index_pictures(folder: Path) -> dict[str, str]:
    """Pictures one folder down, {"689/<hash>": "689/<hash>.png"}; where two differ in the extension only, each also
    under its full name.
    """
    index: dict[str, str] = {}
    for inside in contents(folder)[1]:
        for name in contents(folder / inside)[0]:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in PICTURES:
                path, key = f"{inside}/{name}", f"{inside}/{stem}"
                if index.setdefault(key, path) != path:
                    index[index[key]], index[path] = index[key], path
    return index


@dataclass
class _Table:
    """The rows of a table with codes 0-7; `listed` counts all."""

    paths: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    numbers: list[list[float]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    listed: int = 0
    faulty: int = 0


def read_part(part: str, table: Path, images: Path | None, root: Path) -> PartRows:
    """The rows of one table whose picture is there, in the table's order.

    Columns go by header name; a table without a header line (validation.csv in some copies) has the owners' order. One
    row of training.csv may be unreadable, as in the owners' file; it is left out and reported. Extensions of pictures
    are not compared, since tables say .bmp or .tif where copies have .png.

    Args:
        part: "train", "validation" or "automatic".
        table: the CSV file.
        images: the folder with the numbered picture folders, None where there is none.
        root: the data set's folder.

    Raises:
        BadInput: columns missing, an unreadable row (in training.csv a second one), an unknown expression code, a path
            that is not folder/file, or a picture listed twice with the same face box.
    """
    rows = _parse(table, part)
    index = index_pictures(images) if images else {}
    found = [index.get(path) or index.get(os.path.splitext(path)[0], "") for path in rows.paths]
    kept = np.array([bool(name) for name in found], np.bool_)
    place = table.relative_to(root).as_posix()
    missing = int((~kept).sum())
    first = int(np.argmin(kept)) if missing else 0
    prefix = images.relative_to(root).as_posix() + "/" if images and images != root else ""
    numbers = np.array(rows.numbers, np.float64).reshape(-1, len(_NUMBERS))[kept]
    return PartRows(
        part=part,
        source=place,
        path=np.array([prefix + name for name in found if name], np.str_),
        labels=np.array(rows.codes, np.int64)[kept],
        box=usable_boxes(numbers[:, _BOX]),
        valence=numbers[:, _AFFECT][:, 0],
        arousal=numbers[:, _AFFECT][:, 1],
        listed=rows.listed,
        missing=missing,
        first_missing=f"{place}, line {rows.lines[first]}: {rows.paths[first]}" if missing else "",
        faulty=f"{place}, line {rows.faulty}" if rows.faulty else "",
    )


def _parse(table: Path, part: str) -> _Table:
    """All rows of a table."""
    rows = _Table()
    seen: dict[bytes, int] = {}
    at: dict[str, int] = {}
    width = 0
    for number, line in lines(table, FETCH):
        fields = _fields(table, number, line)
        if number == 1:
            at, width = _columns(table, line, fields)
            if fields[at[COLUMNS[0]]].decode() == COLUMNS[0]:
                continue
        rows.listed += 1
        try:
            code, numbers = _values(fields, at, width)
        except ValueError as error:
            # A file cut short ends in such a row, which is not the owners' faulty one.
            if part != "train" or rows.faulty or not line.endswith(b"\n"):
                before = f" (so is line {rows.faulty}; the owners' file has one such row)" if rows.faulty else ""
                raise bad_line(table, number, line, f"{error}{before}", f"remove the row, or {FETCH}") from error
            rows.faulty = number
            continue
        name = fields[at[COLUMNS[0]]].decode()
        _check_row(table, number, line, name, code)
        if code > 7:
            continue
        key = b",".join(fields[at[column]] for column in COLUMNS[:5])
        if seen.setdefault(key, number) != number:
            what = f"{shown(name)} stands here and in line {seen[key]} with the same face box"
            raise bad_line(table, number, line, what, "keep one of the two")
        rows.paths.append(name)
        rows.codes.append(int(code))
        rows.numbers.append(numbers)
        rows.lines.append(number)
    return rows


def _fields(table: Path, number: int, line: bytes) -> list[bytes]:
    if b'"' in line:
        return [field.encode() for field in fields_of(table, number, line, FETCH)]
    return [field.strip() for field in line.split(b",")]


def _columns(table: Path, line: bytes, fields: list[bytes]) -> tuple[dict[str, int], int]:
    """Position of each column by header name, and the number of columns; the owners' order without a header line."""
    names = [field.decode() for field in fields]
    if len(names) == len(COLUMNS) and _PICTURE.fullmatch(names[0]):
        return {name: position for position, name in enumerate(COLUMNS)}, len(COLUMNS)
    missing = [name for name in (COLUMNS[0], "expression", *_NUMBERS) if name not in names]
    if missing:
        what = f"no column {', '.join(missing)} in the header {shown(line.strip())}"
        raise bad_line(table, 1, line, what, FETCH)
    return {name: names.index(name) for name in names}, len(names)


def _values(fields: list[bytes], at: dict[str, int], width: int) -> tuple[float, list[float]]:
    """Expression code, and box, valence and arousal with NaN for an empty field.

    Raises:
        ValueError: another number of fields, or one that is no number.
    """
    if len(fields) != width:
        raise ValueError(f"{len(fields)} fields instead of {width}")
    try:
        code = float(fields[at["expression"]])
        return code, [float(fields[at[name]] or b"nan") for name in _NUMBERS]
    except ValueError:
        for name in ("expression", *_NUMBERS):
            try:
                float(fields[at[name]] or (b"" if name == "expression" else b"nan"))
            except ValueError:
                raise ValueError(f"{name} {shown(fields[at[name]])} is no number") from None
        raise


def _check_row(table: Path, number: int, line: bytes, name: str, code: float) -> None:
    if code not in CODES:
        raise bad_line(table, number, line, f"expression {code:g}, not 0 to 10", FETCH)
    if not _PICTURE.fullmatch(name):
        what = f"{shown(name)} is no picture as folder/file, such as 689/<hash>.jpg"
        raise bad_line(table, number, line, what, FETCH)
