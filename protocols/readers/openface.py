"""Auxiliary action units of a data set's pictures, from the output of OpenFace 2.x.

Read from `openface/`, for a data set `<dataset>`:
- `<dataset>.csv` with a column of file names: rows are joined by it, whatever the extension; of the folders before the
  name as many count as agree, so paths of another machine do no harm;
- `<dataset>.csv` without one: rows in the order of `frame` (FeatureExtraction) or as they stand (FaceLandmarkImg), and
  pictures in the order of their paths, letter by letter; there must be as many of the one as of the other;
- `<dataset>/` with one CSV a picture, named like it (FaceLandmarkImg -fdir), in any folder below.

Labels are the presence columns AUxx_c. A row with success 0 or confidence 0 carries zeros that mean nothing: unknown.
Where a picture has several faces, the one of highest confidence counts (the first of equals).

Choices, in `fernoise.toml` in `openface/`:
    file_column = "picture"   the column of file names, if it is not file, filename, file_name, name, image, image_name,
                              img or path
    labels = "presence"       or "intensity": AUxx_r of at least `threshold` is present; AU28, which has none, unknown
    threshold = 1.0           no paper states one
    confidence = 0.0          rows at or below it are unknown
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput
from .listing import CHOICES_FILE, Check, Listing, absent, read_choices
from .openface_csv import AGAIN, AUS, Choices, Face, Reader
from .text_lines import shown

ASK = "github.com/TadasBaltrusaitis/OpenFace, whose FaceLandmarkImg makes it from the pictures"
NAMES = tuple(f"AU{au}" for au in AUS)

_COUNTS = "17 + 18"
_EXTENSION = re.compile(r"\.(jpe?g|png|bmp|tiff?|csv)$", re.IGNORECASE)
_NOBODY, _SHARED = -1, -2
_LEAST_MATCHED = 0.1  # share of the pictures; fewer, with more strangers than that, are names of another kind


@dataclass(frozen=True, eq=False)
class Auxiliary:
    """Auxiliary labels of the rows of a listing.

    Attributes:
        names: the 18 AUs, in column order.
        labels: int8 [N, 18] in {-1, 0, +1}, 0 unknown.
        layout: which of the layouts was found.
        checks: what was expected against what was found.
    """

    names: tuple[str, ...]
    labels: NDArray[np.int8]
    layout: str
    checks: tuple[Check, ...]


def read(root: Path, listing: Listing) -> Auxiliary:
    """The auxiliary labels of every row of a listing, from `openface/`; see `read_for`."""
    return read_for(root, listing.dataset, listing.path.tolist())


def auxiliary_of(data_root: Path, dataset: str, paths: Sequence[str]) -> Auxiliary:
    """As `read_for`; without any column where a data root holds no OpenFace output for the data set."""
    root = Path(data_root) / "openface"
    if not (root / f"{dataset}.csv").is_file() and not (root / dataset).is_dir():
        return Auxiliary((), np.zeros((len(paths), 0), np.int8), "", ())
    return read_for(root, dataset, paths)


def read_for(root: Path, dataset: str, paths: Sequence[str]) -> Auxiliary:
    """The auxiliary labels of pictures, from `openface/`; those OpenFace has no row for are unknown, and counted.

    Args:
        root: the `openface` folder under the data root.
        dataset: the data set's folder name.
        paths: the pictures, N paths with slashes; an empty one is a picture without a name.

    Raises:
        BadInput: no output for this data set, a damaged file, a missing column, an impossible value, two rows for one
            picture, rows that name no single picture or do not line up; one line with file, line, value and remedy.
    """
    root = Path(root)
    reader = Reader(_choices(root))
    table, folder = root / f"{dataset}.csv", root / dataset
    if table.is_file():
        source, faces = table, list(reader.faces(table))
    else:
        source, faces = folder, [face for path, name in _files(folder) for face in reader.faces(path, name)]
    if not reader.headers:
        raise absent("openface", root, ASK, f"no {table.name}, no folder {folder.name} with a CSV a picture")
    named = source == folder or any(face.picture for face in faces)
    rows = _by_name(source, faces, dataset, paths) if named else _by_order(table, faces, dataset, paths)
    chosen, several = _one_a_row(faces, rows)
    labels = np.zeros((len(paths), len(AUS)), np.int8)
    labels[list(chosen)] = [face.labels for face in chosen.values()]
    layout = f"{table.name}, {'by file name' if named else 'in file-name order'}"
    return Auxiliary(
        names=NAMES,
        labels=labels,
        layout=layout if source == table else f"{folder.name}/, a file a picture",
        checks=_checks(reader, faces, rows, paths, set(chosen), several),
    )


def _choices(root: Path) -> Choices:
    known = {"file_column": str, "labels": str, "threshold": float, "confidence": float}
    choices = Choices(**cast(dict[str, Any], read_choices(root, known)))
    if choices.labels not in ("presence", "intensity"):
        raise BadInput(f'{root / CHOICES_FILE}: labels = "{choices.labels}" must be "presence" or "intensity"')
    return choices


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """The CSV files below a folder, sorted, each with its path from there."""
    found = [Path(here, name) for here, _, names in os.walk(folder) for name in names if name[0] != "."]
    for path in sorted(path for path in found if path.suffix.lower() == ".csv"):
        yield path, path.relative_to(folder).as_posix()


def _by_name(source: Path, faces: Sequence[Face], dataset: str, paths: Sequence[str]) -> list[int]:
    """The picture each face belongs to, -1 for one that is not listed."""
    rows: dict[str, int] = {}
    for row, path in enumerate(paths):
        for ending in _endings(path):
            rows[ending] = _SHARED if ending in rows else row
    found = []
    for face in faces:
        row = next((rows[ending] for ending in _endings(face.picture) if ending in rows), _NOBODY)
        if row == _SHARED:
            what = f"several pictures of {dataset} are called {shown(face.picture)}"
            raise BadInput(f"{face.place}: {what}; write their folders before the file names")
        found.append(row)
    matched, strange = len(set(found) - {_NOBODY}), found.count(_NOBODY)
    if not matched:
        example = f", not even {shown(faces[0].picture)}" if faces else ""
        raise BadInput(f"{source}: no row is of a picture of {dataset}{example}; {AGAIN}")
    if strange > matched and matched < _LEAST_MATCHED * len(paths):  # else nearly all labels were unknown, unsaid
        stranger = shown(faces[found.index(_NOBODY)].picture)
        what = f"only {matched:,} of {len(paths):,} pictures of {dataset} have a row"
        raise BadInput(f"{source}: {what}, and {strange:,} rows are of others, the first {stranger}; {AGAIN}")
    return found


def _endings(path: str) -> Iterator[str]:
    """A path without extension, then with ever fewer of its folders, at last the name alone."""
    parts = _EXTENSION.sub("", path.replace("\\", "/")).split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))


def _by_order(table: Path, faces: Sequence[Face], dataset: str, paths: Sequence[str]) -> list[int]:
    """The picture each face belongs to where rows have no names: both in order."""
    frames = [face.frame for face in faces]
    if -1 in frames:
        other = next((face for face in faces if face.face != faces[0].face), None)
        if other:
            what = f"face {shown(other.face)}: with several faces a picture, rows do not tell where a picture begins"
            raise BadInput(f"{other.place}: {what}; add a column of file names")
        frames = list(range(1, len(faces) + 1))
    distinct = sorted(set(frames))
    gap = next((at for at, frame in enumerate(distinct, 1) if frame != at), None)
    if gap:
        place = faces[frames.index(distinct[gap - 1])].place
        raise BadInput(f"{place}: frame {distinct[gap - 1]} where {gap} should follow; {AGAIN}")
    if len(distinct) != len(paths):
        what = f"{len(distinct):,} pictures here, {len(paths):,} in {dataset}, which are joined in order"
        raise BadInput(f"{table}: {what}; {AGAIN}, or add a column of file names")
    order = sorted(range(len(paths)), key=paths.__getitem__)
    return [order[frame - 1] for frame in frames]


def _one_a_row(faces: Sequence[Face], rows: Sequence[int]) -> tuple[dict[int, Face], dict[int, Face]]:
    """For each picture the face that counts, and the first further face where there are several."""
    chosen: dict[int, Face] = {}
    several: dict[int, Face] = {}
    places: dict[tuple[int, str], str] = {}
    for face, row in zip(faces, rows, strict=True):
        if row == _NOBODY:
            continue
        before = places.setdefault((row, face.face), face.place)
        if before != face.place:
            name = shown(face.picture) if face.picture else f"frame {face.frame}"
            raise BadInput(f"{face.place}: a second row for {name} (the first: {before}); remove one of them")
        if row in chosen:
            several.setdefault(row, face)
        if row not in chosen or face.confidence > chosen[row].confidence:
            chosen[row] = face
    return chosen, several


def _checks(
    reader: Reader,
    faces: Sequence[Face],
    rows: Sequence[int],
    paths: Sequence[str],
    chosen: set[int],
    several: dict[int, Face],
) -> tuple[Check, ...]:
    odd = next((columns.counts for columns in reader.headers.values() if columns.counts != _COUNTS), _COUNTS)
    without = next((path for row, path in enumerate(paths) if row not in chosen), "")
    strangers = [face for face, row in zip(faces, rows, strict=True) if row == _NOBODY]
    return (
        Check("intensity + presence columns", _COUNTS, odd),
        Check("pictures with a row", len(paths), len(chosen), without),
        _none("rows with success 0 or confidence 0", [face for face in faces if not face.known]),
        _none("rows of pictures that are not listed", strangers),
        _none("pictures with several faces", list(several.values())),
    )


def _none(what: str, faces: Sequence[Face]) -> Check:
    return Check(what, 0, len(faces), faces[0].place if faces else "")
