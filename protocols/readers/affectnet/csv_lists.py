"""AffectNet's first release: training.csv, validation.csv, automatically_annotated.csv and numbered picture folders."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..folders import contents
from ..text_lines import Line, decimal_comma, read_lines, shown
from .labels import CODES, FETCH, PartRows, usable_boxes

_BOX = ("face_x", "face_y", "face_width", "face_height")
_AFFECT = ("valence", "arousal")
_NUMBERS = (*_BOX, *_AFFECT)
COLUMNS = ("subDirectory_filePath", *_BOX, "facial_landmarks", "expression", *_AFFECT)
TABLES = {"train": "training.csv", "validation": "validation.csv", "automatic": "automatically_annotated.csv"}
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".gif"})

_DEPTH = 4
_SKIP = frozenset({"train_set", "val_set"})
# Two names that are not empty and do not start with a dot, so that no path is absolute or leaves the folder.
_PICTURE = re.compile(r"[^/\\.][^/\\]*/[^/\\.][^/\\]*")


@dataclass
class Places:
    """The tables of each part, and the folders with the numbered picture folders, "manual" or "automatic"."""

    tables: dict[str, list[Path]] = field(default_factory=lambda: {part: [] for part in TABLES})
    images: dict[str, list[Path]] = field(default_factory=lambda: {"manual": [], "automatic": []})


def find_places(root: Path) -> Places:
    """Searches tables and picture folders in `root` and the folders inside it, four levels deep, in sorted order.

    Tables may be beside the pictures, in `*_file_list(s)` or `*_extracted` folders, or elsewhere. Pictures are in a
    folder that has folders named by numbers, those of the automatic part if its path contains "automatic".
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


def _index_pictures(folder: Path) -> dict[str, str]:
    """The pictures in the numbered folders by path without extension, {"689/<hash>": "689/<hash>.png"}.

    Where two paths differ in the extension only, each is also indexed by its full path.
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
    """The rows of a table with codes 0-7.

    Attributes:
        paths, codes, numbers, lines: path, code, values of _NUMBERS and line number of each row.
        listed: number of rows with any code.
        faulty: line number of the faulty row that was left out, or 0.
    """

    paths: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    numbers: list[list[float]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    listed: int = 0
    faulty: int = 0


def read_table_part(part: str, table: Path, images: Path | None, root: Path) -> PartRows:
    """The rows of a table whose picture is on disk, in the table's order.

    Columns are found by name; a table without a header line (validation.csv in some copies) has the owners' order. One
    row of training.csv may be invalid, as in the owners' file; it is left out and reported. Extensions of pictures are
    not compared, since tables have .bmp or .tif where copies have .png.

    Args:
        part: "train", "validation" or "automatic".
        table: the CSV file.
        images: the folder with the numbered picture folders, or None.
        root: the data set's folder.

    Raises:
        BadInput: missing columns, an invalid row (in training.csv a second one), an unknown expression code, a path
            that is not folder/file, or a picture listed twice with the same face box.
    """
    rows = _parse(table, part)
    index = _index_pictures(images) if images else {}
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
        box=usable_boxes(numbers[:, : len(_BOX)]),
        valence=numbers[:, -2],
        arousal=numbers[:, -1],
        listed=rows.listed,
        missing=missing,
        first_missing=f"{place}, line {rows.lines[first]}: {rows.paths[first]}" if missing else "",
        faulty=f"{place}, line {rows.faulty}" if rows.faulty else "",
        files=(place,),
    )


def _parse(table: Path, part: str) -> _Table:
    """All rows of a table."""
    rows = _Table()
    seen: dict[tuple[str | float | None, ...], int] = {}
    columns: list[str] = []
    for line in read_lines(table, FETCH):
        fields = line.fields()
        if line.number == 1:
            columns = _columns(line, fields)
            if fields == columns:
                continue
        rows.listed += 1
        row = dict(zip(columns, fields, strict=False))
        try:
            if len(fields) != len(columns):
                raise ValueError(f"{len(fields)} fields instead of {len(columns)}")
            code = _number("expression", row["expression"])
            numbers = [_number(name, "nan" if line.no_number(row[name]) else row[name] or "nan") for name in _NUMBERS]
        except ValueError as error:
            # A truncated file also ends in an invalid row, which is not the faulty row of the owners' file.
            if part != "train" or rows.faulty or not line.text.endswith(b"\n"):
                before = f" (so is line {rows.faulty}; the owners' file has one such row)" if rows.faulty else ""
                raise line.error(f"{error}{before}", f"remove the row, or {FETCH}") from error
            rows.faulty = line.number
            continue
        name = row[COLUMNS[0]]
        if code not in CODES:
            raise line.error(f"expression {code:g}, not 0 to 10")
        if not _PICTURE.fullmatch(name):
            raise line.error(f"{shown(name)} is no picture as folder/file, such as 689/<hash>.jpg")
        if code > 7:
            continue
        # as numbers, since 1 and 1.0 are one; NaN is not equal to itself
        key = name, *(None if math.isnan(edge) else edge for edge in numbers[: len(_BOX)])
        if seen.setdefault(key, line.number) != line.number:
            what = f"{shown(name)} is listed here and in line {seen[key]} with the same face box"
            raise line.error(what, "keep one of the two")
        rows.paths.append(name)
        rows.codes.append(int(code))
        rows.numbers.append(numbers)
        rows.lines.append(line.number)
    return rows


def _columns(line: Line, fields: list[str]) -> list[str]:
    """The column names of a header line; the owners' columns if the first line is a row."""
    if len(fields) == len(COLUMNS) and _PICTURE.fullmatch(fields[0]):
        return list(COLUMNS)
    line.columns((COLUMNS[0], "expression", *_NUMBERS))
    return fields


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} {shown(text)} is no number{decimal_comma(text)}") from None
