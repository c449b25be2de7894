"""Auxiliary action unit labels of a data set's pictures, from the output of OpenFace 2.x.

Read from `openface/`, for a data set `<dataset>`:
- `<dataset>.csv` with a column of file names: rows are matched by name, with any extension, and by as many of its
  folders as agree, so that paths of another machine can be used;
- `<dataset>.csv` without file names, by FeatureExtraction on a folder: OpenFace numbers its pictures, sorted by name,
  in the column `frame`; there must be as many, and in one folder, since the order of several is unknown;
- `<dataset>/` with one CSV per picture and of the same name (FaceLandmarkImg -fdir), in any folder below.

Labels are the presence columns AUxx_c. Rows with success 0 or confidence 0 have meaningless values and are unknown, and
so is a value that is no number (nan, -nan(ind), inf, an empty cell). If a picture has several faces, the one of highest
confidence is used (the first of equals). Pictures of FER+ have the names that fer2013new.csv gives them.

Settings in `fernoise.toml` in `openface/`:
    file_column = "picture"   the column of file names, if it is not file, file_name, name, image, image_name, img,
                              img_name, path, image_path or file_path, in any case
    labels = "presence"       or "intensity": present if AUxx_r is at least `threshold`; AU28 (no AU28_r) unknown
    threshold = 1.0           not stated in any paper
    confidence = 0.0          rows with at most this confidence are unknown
    order = "text"            or "number", where rows have no file names and the two differ: as text (OpenFace's own
                              order) picture 10.jpg stands before 2.jpg
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput
from .fer2013 import LAST_NUMBER, PICTURES, FerPlus
from .folders import files_below
from .listing import CHOICES_FILE, Allowed, Check, Listing, absent, first, read_choices
from .look_around import Signs, look_around, near
from .openface_csv import AGAIN, AUS, Choices, Face, Reader
from .text_lines import shown

ASK = "github.com/TadasBaltrusaitis/OpenFace, whose FaceLandmarkImg makes it from the pictures"
NAMES = tuple(f"AU{au}" for au in AUS)

_CHOICES: Mapping[str, Allowed] = {
    "file_column": str,
    "labels": ("presence", "intensity"),
    "threshold": float,
    "confidence": float,
    "order": ("text", "number"),
}
_COUNTS = "17 + 18"
_DIGITS = re.compile(r"(\d+)")
_EXTENSION = re.compile(r"\.(jpe?g|png|bmp|tiff?|csv)$", re.IGNORECASE)
_FERPLUS_NAME = re.compile(r"(?:^|[/\\])fer(\d{7})(?:\.\w+)?$", re.IGNORECASE)
_NONE, _AMBIGUOUS = -1, -2
# With a smaller share of matched pictures and more unmatched than matched rows, the names are probably of other files.
_LEAST_MATCHED = 0.1


@dataclass(frozen=True, eq=False)
class Auxiliary:
    """Auxiliary labels of the rows of a listing.

    Attributes:
        names: the 18 AUs, in column order.
        labels: int8 [N, 18] in {-1, 0, +1}, 0 unknown.
        layout: which of the layouts was found, and the program of OpenFace that wrote it, where the columns tell.
        checks: the comparison of expected and found rows and columns.
        unlisted: the file names of rows that belong to no picture, each with its "file, line n".
    """

    names: tuple[str, ...]
    labels: NDArray[np.int8]
    layout: str
    checks: tuple[Check, ...]
    unlisted: Mapping[str, str] = field(default_factory=dict)


def read(root: Path, listing: Listing) -> Auxiliary:
    """The auxiliary labels of every row of a listing, from `openface/`; see `read_for`."""
    return read_for(root, listing.dataset, listing.path.tolist())


def auxiliary_of(data_root: Path, dataset: str, paths: Sequence[str]) -> Auxiliary:
    """As `read_for`; without columns if the data root has no OpenFace output for the data set."""
    if not has_output(data_root, dataset):
        return Auxiliary((), np.zeros((len(paths), 0), np.int8), "", ())
    return read_for(Path(data_root) / "openface", dataset, paths)


def has_output(data_root: Path, dataset: str) -> bool:
    """Whether the data root has OpenFace output for a data set."""
    root = Path(data_root) / "openface"
    return (root / f"{dataset}.csv").is_file() or (root / dataset).is_dir()


def what_is_there(data_root: Path, dataset: str) -> str:
    """Where OpenFace output for a data set was looked for in vain, and what lies there instead."""
    root = Path(data_root) / "openface"
    there = look_around(root, *_signs(dataset))
    looked = f"there is no {root / dataset}.csv and no folder {root / dataset}"
    return f"{looked}, but {there}" if there else looked + (near(root / f"{dataset}.csv") if root.is_dir() else "")


def _signs(dataset: str) -> tuple[Signs, Signs]:
    return Signs((f"{dataset}.csv",), ("openface",)), Signs((dataset,))


def auxiliary_of_ferplus(data_root: Path, faces: FerPlus) -> Auxiliary:
    """As `auxiliary_of`, for FER+, whose pictures have the names in fer2013new.csv.

    Raises:
        BadInput: as `read_for`; or a name that FER+ gives to no picture, as in a table named by rows of fer2013.csv.
    """
    found = auxiliary_of(data_root, "ferplus", faces.picture_paths())
    known = set(faces.names.tolist())
    whole = f"fer{LAST_NUMBER:07d}.png" in known and len(known) >= PICTURES
    for name, place in found.unlisted.items():
        match = _FERPLUS_NAME.search(name)
        if match and f"fer{match[1]}.png" not in known and (whole or int(match[1]) > LAST_NUMBER):
            what = f"{shown(name)} is the name of no picture of FER+, so these rows may be numbered like fer2013.csv's"
            raise BadInput(f"{place}: {what}; name each by the column 'Image name' of fer2013new.csv")
    return found


def read_for(root: Path, dataset: str, paths: Sequence[str]) -> Auxiliary:
    """The auxiliary labels of pictures, from `openface/`; unknown for pictures without a row, which are counted.

    Args:
        root: the `openface` folder under the data root.
        dataset: the data set's folder name.
        paths: the pictures, N paths with slashes; an empty one, or one that is listed twice, is a picture without a
            name of its own, whose labels are unknown.

    Raises:
        BadInput: no output for this data set, a damaged file, a missing column, an invalid value, two rows for one
            picture, rows with the name of several pictures; without file names, no frame numbers, pictures in several
            folders or another number of rows than of pictures.
    """
    root = Path(root)
    pictures = Counter(paths)
    paths = [path if pictures[path] == 1 else "" for path in paths]
    reader = Reader(Choices(**read_choices(root, _CHOICES)))
    table, folder = root / f"{dataset}.csv", root / dataset
    damaged: list[str] = []
    if table.is_file():
        source, faces = table, list(reader.faces(table))
    else:
        source, faces = folder, _of_files(reader, folder, damaged)
    if not reader.headers:
        what = f"no {table.name}, no folder {folder.name} with one CSV per picture"
        raise absent("openface", root, ASK, what, *_signs(dataset))
    named = source == folder or any(face.picture for face in faces)
    rows = (
        _by_name(source, faces, dataset, paths)
        if named
        else _by_order(table, faces, dataset, paths, reader.choices.order)
    )
    chosen, further = _one_per_picture(faces, rows)
    labels = np.zeros((len(paths), len(AUS)), np.int8)
    labels[list(chosen)] = [face.labels for face in chosen.values()]
    layout = f"{table.name}, {'by file name' if named else 'by frame number'}"
    layout = layout if source == table else f"{folder.name}/, one file per picture"
    tools = sorted({columns.tool for columns in reader.headers.values() if columns.tool})
    return Auxiliary(
        names=NAMES,
        labels=labels,
        layout=", ".join([layout, *tools]),
        checks=(
            *_checks(reader, faces, rows, paths, set(chosen), further),
            *([Check.none("files that cannot be read, unknown", damaged)] if damaged else []),
        ),
        unlisted={face.picture: face.place for face, row in zip(faces, rows, strict=True) if row == _NONE},
    )


def _of_files(reader: Reader, folder: Path, damaged: list[str]) -> list[Face]:
    """The faces in one file per picture; files that cannot be read are added to `damaged`, unless they are most."""
    faces: list[Face] = []
    read_files = 0
    for path, name in _files(folder):
        try:
            faces += list(reader.faces(path, name))
            read_files += 1
        except BadInput as error:
            damaged.append(str(error))
    if len(damaged) > read_files:
        raise BadInput(damaged[0])
    return faces


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """The CSV files below a folder, sorted, each with its path relative to the folder."""
    for name in sorted(files_below(folder)) if folder.is_dir() else ():
        if name.lower().endswith(".csv"):
            yield folder / name, name


def _by_name(source: Path, faces: Sequence[Face], dataset: str, paths: Sequence[str]) -> list[int]:
    """The picture of each face, by name; -1 for a face of no listed picture, or without a name.

    Folders of another machine do not matter, but a folder of the data set does: val/7.png is not train/7.png. Where
    some names have the data set's own folders, one with another folder in their place is of no listed picture.
    """
    rows: dict[str, int] = {}
    for row, path in enumerate(paths):
        for ending in _endings(path) if path else ():
            rows[ending] = _AMBIGUOUS if ending in rows else row
    folders = {path[:at] for path in paths for at, letter in enumerate(path) if letter == "/"}
    endings = [next((ending for ending in _endings(face.picture) if ending in rows), "") for face in faces]
    whole = {_EXTENSION.sub("", path) for path in paths if "/" in path}
    own_folders = not whole.isdisjoint(endings)
    found = []
    for face, ending in zip(faces, endings, strict=True):
        row = rows[ending] if ending else _NONE
        if row >= 0 and _is_elsewhere(ending, paths[row], face.picture, None if own_folders else folders):
            row = _NONE
        if row == _AMBIGUOUS:
            what = f"several pictures of {dataset} are called {shown(face.picture)}"
            raise BadInput(f"{face.place}: {what}; write their folders before the file names")
        found.append(row)
    matched, unmatched = len(set(found) - {_NONE}), found.count(_NONE)
    if not matched:
        example = (
            f", not even {shown(faces[0].picture)}; its pictures are named such as {shown(paths[0])}" if faces else ""
        )
        remedy = AGAIN
        if source.is_dir() and len({face.place.rpartition(", line ")[0] for face in faces}) == 1 < len(faces):
            table = source.parent / f"{dataset}.csv"  # a run over a folder, not one over each picture
            remedy = f"if its rows are the pictures: mv {quote(str(source / faces[0].picture))} {quote(str(table))}"
        raise BadInput(f"{source}: no row is of a picture of {dataset}{example}; {remedy}")
    if unmatched > matched and matched < _LEAST_MATCHED * len(paths):
        example = shown(faces[found.index(_NONE)].picture)
        what = f"only {matched:,} of {len(paths):,} pictures of {dataset} have a row"
        raise BadInput(f"{source}: {what}, and {unmatched:,} rows are of others, the first {example}; {AGAIN}")
    return found


def _endings(path: str) -> Iterator[str]:
    """A path without extension, then without its first folder and so on, finally the name alone."""
    parts = _EXTENSION.sub("", path.replace("\\", "/")).split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))


def _is_elsewhere(ending: str, path: str, name: str, folders: Set[str] | None) -> bool:
    """Whether the folder before the common ending of a picture's path and a file name is another one of the data set.

    That is one of `folders`; any, where these are None.
    """
    depth = ending.count("/") + 1
    own, other = path.split("/")[:-depth], name.replace("\\", "/").split("/")[:-depth]
    if not own or not other or own[-1] == other[-1]:
        return False
    return folders is None or "/".join([*own[:-1], other[-1]]) in folders


def _by_order(table: Path, faces: Sequence[Face], dataset: str, paths: Sequence[str], choice: str) -> list[int]:
    """The picture of each face, by frame number, where rows have no file names."""
    named = [row for row, path in enumerate(paths) if path]
    folders = sorted({paths[row].rpartition("/")[0] for row in named})
    if len(folders) > 1:
        where = f"{len(folders):,} folders ({folders[0]}, {folders[1]}{', …' if len(folders) > 2 else ''})"
        what = f"rows without file names, and the pictures of {dataset} lie in {where}, whose order is unknown"
        raise BadInput(f"{table}: {what}; add a column of file names, or put one CSV per picture into {table.stem}/")
    frames = [face.frame for face in faces]
    if -1 in frames:
        what = "rows with neither file names nor frame numbers, so that nothing says which picture each is of"
        raise BadInput(f"{table}: {what}; add a column of file names, or put one CSV per picture into {table.stem}/")
    distinct = sorted(set(frames))
    gap = next((at for at, frame in enumerate(distinct, 1) if frame != at), None)
    if gap:
        place = faces[frames.index(distinct[gap - 1])].place
        raise BadInput(f"{place}: frame {distinct[gap - 1]} where {gap} should follow; {AGAIN}")
    if len(distinct) != len(named):
        what = f"{len(distinct):,} pictures here, {len(named):,} in {dataset}, which are matched by order"
        raise BadInput(f"{table}: {what}; {AGAIN}, or add a column of file names")
    order = _sorted_names(table, [paths[row] for row in named], choice)
    rows = dict(zip(paths, range(len(paths)), strict=True))
    return [rows[order[frame - 1]] for frame in frames]


def _sorted_names(table: Path, names: Sequence[str], choice: str) -> list[str]:
    """The pictures in the order in which OpenFace took them; BadInput where sorting leaves that open."""
    as_text = sorted(names)
    by_number = sorted(
        names, key=lambda name: [(int(part), "") if part.isdigit() else (-1, part) for part in _DIGITS.split(name)]
    )
    if as_text != by_number and not choice:
        at = next(at for at, name in enumerate(as_text) if by_number[at] != name)
        what = f"rows without file names, and frame {at + 1} is {shown(as_text[at])} where names are sorted as text"
        what += f", which OpenFace does, or {shown(by_number[at])} by number"
        raise BadInput(f'{table}: {what}; write order = "text" (or "number") into {table.parent / CHOICES_FILE}')
    return by_number if choice == "number" else as_text


def _one_per_picture(faces: Sequence[Face], rows: Sequence[int]) -> tuple[dict[int, Face], dict[int, Face]]:
    """For each picture the face to use, and the first further face if there are several."""
    chosen: dict[int, Face] = {}
    further: dict[int, Face] = {}
    earlier: dict[tuple[int, str], Face] = {}
    for face, row in zip(faces, rows, strict=True):
        if row == _NONE:
            continue
        before = earlier.setdefault((row, face.face), face)
        if before is not face:
            if face._replace(place=before.place) == before:  # the same row again, as runs that were interrupted leave
                continue
            name = shown(face.picture) if face.picture else f"frame {face.frame}"
            raise BadInput(f"{face.place}: a second row for {name} (the first: {before.place}); remove one of them")
        if row in chosen:
            further.setdefault(row, face)
        if row not in chosen or face.confidence > chosen[row].confidence:
            chosen[row] = face
    return chosen, further


def _checks(
    reader: Reader,
    faces: Sequence[Face],
    rows: Sequence[int],
    paths: Sequence[str],
    chosen: set[int],
    further: dict[int, Face],
) -> tuple[Check, ...]:
    differing = (columns.counts for columns in reader.headers.values() if columns.counts != _COUNTS)
    without = [path or f"row {row + 1:,}, which has no name of its own" for row, path in enumerate(paths)]
    without = [name for row, name in enumerate(without) if row not in chosen]
    unmatched = [face.place for face, row in zip(faces, rows, strict=True) if row == _NONE]
    return (
        Check("intensity + presence columns", _COUNTS, first(differing) or _COUNTS),
        Check.all("pictures with a row", len(paths), without),
        Check.none("rows with success 0 or confidence 0", [face.place for face in faces if not face.known]),
        Check.none("rows with a value that is no number", [face.place for face in faces if face.odd]),
        Check.none("rows of pictures that are not listed", unmatched),
        Check.none("pictures with several faces", [face.place for face in further.values()]),
    )
