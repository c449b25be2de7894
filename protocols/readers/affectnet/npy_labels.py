"""AffectNet's release of 2021: train_set/ and val_set/ with images/<n>.jpg and annotations/<n>_exp.npy, _val, _aro."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import UNREADABLE, BadInput
from ..folders import contents
from .csv_lists import PICTURES
from .labels import ASK, CODES, PartRows

SIZE = 224, 224
"""Width and height of the pictures of this release."""
FOLDERS = {"train": "train_set", "validation": "val_set"}
_EXPRESSION = "_exp.npy"
_MAGIC = b"\x93NUMPY\x01\x00"
# Valence and arousal are only used to check the class ids, for which this number of rows of a class is enough.
_PROBED = 200


def is_release(folder: Path) -> bool:
    """Whether a folder belongs to this release: it contains annotations/*_exp.npy."""
    annotations = folder / "annotations"
    return annotations.is_dir() and any(name.endswith(_EXPRESSION) for name in contents(annotations)[0])


def read_folder_part(part: str, root: Path) -> PartRows:
    """The rows of train_set/ or val_set/ whose picture is on disk, in the order of their numbers.

    Rows whose annotation cannot be read (it is never unpickled) are left out and counted. Valence and arousal are read
    for up to 200 evenly spaced rows of a class, and are NaN elsewhere. The pictures are cropped faces: boxes are NaN.

    Raises:
        BadInput: an unknown expression code; or most annotations are no single number.
    """
    folder = root / FOLDERS[part]
    annotations = contents(folder / "annotations")[0]
    stems = [name.removesuffix(_EXPRESSION) for name in annotations if name.endswith(_EXPRESSION)]
    stems.sort(key=lambda stem: (len(stem), stem))
    pictures: dict[str, str] = {}
    for name in contents(folder / "images")[0] if (folder / "images").is_dir() else ():
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in PICTURES:
            pictures.setdefault(stem, name)
    scalars = _Scalars()
    codes, damaged = _codes(scalars, folder / "annotations", stems)
    known = (codes >= 0) & (codes < 8)
    has_picture = np.array([stem in pictures for stem in stems], np.bool_)
    kept, missing = np.flatnonzero(known & has_picture), np.flatnonzero(known & ~has_picture)
    labels, names = codes[kept], [stems[row] for row in kept]
    place = folder.relative_to(root).as_posix()
    unlabelled = sorted(set(pictures) - set(stems))
    valence, arousal = (
        _probe(scalars, folder / "annotations", frozenset(annotations), names, labels, kind) for kind in ("val", "aro")
    )
    return PartRows(
        part=part,
        source=f"{place}/annotations",
        path=np.array([f"{place}/images/{pictures[name]}" for name in names], np.str_),
        labels=labels,
        box=np.full((len(names), 4), np.nan),
        valence=valence,
        arousal=arousal,
        listed=len(stems),
        missing=len(missing),
        first_missing=f"{place}/annotations/{stems[missing[0]]}{_EXPRESSION}" if len(missing) else "",
        damaged=len(damaged),
        first_damaged=damaged[0] if damaged else "",
        unlabelled=len(unlabelled),
        first_unlabelled=f"{place}/images/{pictures[unlabelled[0]]}" if unlabelled else "",
        files=tuple(f"{place}/annotations/{stem}{_EXPRESSION}" for stem in stems),
    )


def _codes(scalars: _Scalars, folder: Path, stems: list[str]) -> tuple[NDArray[np.int64], list[str]]:
    """The expression codes, -1 for those that cannot be read, each of which is told; BadInput if they are most."""
    codes, damaged = np.full(len(stems), -1, np.int64), []
    for row, stem in enumerate(stems):
        try:
            codes[row] = scalars.code(folder / (stem + _EXPRESSION))
        except _Unreadable as error:
            damaged.append(str(error))
    if 2 * len(damaged) > len(stems):
        raise BadInput(damaged[0])
    return codes, damaged


def _probe(
    scalars: _Scalars,
    folder: Path,
    annotations: frozenset[str],
    names: list[str],
    labels: NDArray[np.int64],
    kind: str,
) -> NDArray[np.float64]:
    """Valence ("val") or arousal ("aro") of some rows of each class, NaN for the others."""
    values = np.full(len(names), np.nan)
    for label in range(8):
        rows = np.flatnonzero(labels == label)
        for row in rows[:: max(1, len(rows) // _PROBED)][:_PROBED]:
            name = f"{names[row]}_{kind}.npy"
            if name in annotations:
                with contextlib.suppress(_Unreadable):
                    values[row] = scalars.number(folder / name)
    return values


class _Unreadable(BadInput):
    """A file that holds no single number."""


class _Scalars:
    """Reader of .npy files with one number, or one number as text; each distinct file header is parsed once."""

    def __init__(self) -> None:
        self._types: dict[bytes, np.dtype[np.generic]] = {}

    def code(self, path: Path) -> int:
        """The expression code in a file, 0 to 10."""
        value = self.number(path)
        if np.isnan(value):
            raise _Unreadable(f"{path}: no single number (nan); fetch the data again from {ASK}")
        if value not in CODES:
            raise BadInput(f"{path}: expression {value:g}, not 0 to 10; fetch the data again from {ASK}")
        return int(value)

    def number(self, path: Path) -> float:
        """The number in a file, read without unpickling."""
        try:
            with open(path, "rb", buffering=0) as file:
                content = file.read()
            end = 10 + int.from_bytes(content[8:10], "little")
            header = content[:end]
            if header not in self._types:
                self._types[header] = _type(header)
            kind = self._types[header]
            if len(content) - end != kind.itemsize:
                raise ValueError(f"{len(content) - end} bytes instead of {kind.itemsize}")
            return float(np.frombuffer(content, kind, offset=end)[0])
        except UNREADABLE as error:
            what = str(error).partition("\n")[0]
            raise _Unreadable(f"{path}: no single number ({what}); fetch the data again from {ASK}") from error


def _type(header: bytes) -> np.dtype[np.generic]:
    """The element type in the header of a .npy file with one element.

    Raises:
        ValueError: another kind of file, more than one element, or a Python object, which is never unpickled.
    """
    if not header.startswith(_MAGIC):
        raise ValueError("not a .npy file of format 1.0")
    shape, _, kind = np.lib.format.read_array_header_1_0(io.BytesIO(header[len(_MAGIC) :]))
    if shape not in ((), (1,)) or kind.hasobject or kind.kind not in "biufUS":
        raise ValueError(f"holds {kind} of shape {shape}")
    return kind
