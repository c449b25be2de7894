"""The files of a pack, and how a finished pack is opened.

`OUT/<dataset>-<side>/` contains `faces.npy` (uint8 [N, side, side, 3]), `table.npz` (path, frame, labels, group, part)
and `pack.json`, which describes them and is written last: a folder without it is unfinished. A new pack is made beside
an old one, in `unfinished.npy`, which becomes `faces.npy` at the end. Until then an interrupted run can be resumed from
`started.json` (the digest of what is being prepared) and `done.npy` (bool, the finished rows).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..errors import UNREADABLE, BadInput
from ..files import Array, unpack_arrays
from ..images import alignment
from ..images.decoding import Pixels
from ..readers.listing import Check, first
from ..rows import Origin
from .held_file import HeldFile

FACES, TABLE, PACK = "faces.npy", "table.npz", "pack.json"
UNFINISHED, STARTED, DONE = "unfinished.npy", "started.json", "done.npy"
COLUMNS = ("path", "frame", "labels", "group", "part")
# Raised by hand when the same pictures would give other pixels, or the format of the files changes.
FORMAT = 1
_LARGEST = 1 << 30  # largest size in bytes of an unpacked table
_BLOCK = 1 << 24

T = TypeVar("T")


@dataclass(frozen=True)
class PackPixels:
    """The faces of a pack without its labels, read from the file, which stays the same if another pack replaces it.

    Attributes:
        held, start: the file, and the byte at which the pixels begin.
        count, side: the number of faces, and their size in pixels.
    """

    held: HeldFile
    start: int
    count: int
    side: int

    def __len__(self) -> int:
        return self.count

    def read(self, rows: Array) -> Pixels:
        """The faces of int64 row numbers: uint8 [n, side, side, 3]; BadInput if the file is truncated."""
        found = np.empty((len(rows), self.side, self.side, 3), np.uint8)
        size = self.side * self.side * 3
        for face, number in zip(found, rows.tolist(), strict=True):
            content = self.held.read(self.start + number * size, size)
            if len(content) != size:
                raise _damaged(self.held.path, f"it ends before row {number:,}")
            face[:] = np.frombuffer(content, np.uint8).reshape(face.shape)
        return found


@dataclass(frozen=True)
class Pack:
    """The faces of a data set, for reading in any order.

    Attributes:
        faces: uint8 [N, side, side, 3], a read-only memory map. Pages read through it stay in memory while there is
            room; `read` does not increase memory in this way.
        pixels: the faces without the labels.
        path, frame, labels, group, part: as in Listing, one row for each face.
        names: class names (single) or AU names (multi), in column order.
        origin: the layout with the crop and image size, and "published" or, for a partial copy, the digest of table and
            pixels.
        crop: how faces were cropped from the pictures.
        digest, pixel_digest: SHA-256 of table and pixels, and of the pixels, in hex.
        checks: those of the listing, then the numbers of distinct and of usable pictures.
        skipped: the pictures or frames that were left out, each with the reason.
    """

    faces: np.memmap[Any, np.dtype[np.uint8]]
    pixels: PackPixels
    path: Array
    frame: Array
    labels: Array
    group: Array
    part: Array
    names: tuple[str, ...]
    origin: Origin
    crop: str
    digest: str
    pixel_digest: str
    checks: tuple[Check, ...]
    skipped: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.path)

    @property
    def partial(self) -> bool:
        """Whether the copy differs from the published data set, or pictures were skipped."""
        return not all(check.ok for check in self.checks)

    def read(self, rows: Array | slice) -> Pixels:
        """Reads faces from the file: uint8 [n, side, side, 3]; memory increases only by the result.

        Args:
            rows: numbers, a boolean array or a slice.

        Raises:
            BadInput: the file was truncated after it was opened.
            IndexError: no such row.
        """
        return self.pixels.read(np.arange(len(self))[rows])


def open_pack(folder: Path, *, pixels: bool = False, checks_now: Sequence[Check] | None = None) -> Pack:
    """Opens a finished pack and checks that its files belong together.

    Args:
        folder: `OUT/<dataset>-<side>`.
        pixels: also read all pixels and compare their digest; otherwise sizes and the table's digest are compared.
        checks_now: those of the listing as it is now, in place of those when the pack was made.

    Raises:
        BadInput: unfinished, damaged, or files of different packs; the message names the file.
    """
    described = description(folder)
    table = _read(folder / TABLE, _load_table)
    faces, held = _read(folder / FACES, load_faces), _read(folder / FACES, HeldFile)
    if description(folder) != described:
        raise BadInput(f"{folder}: was prepared anew while it was opened; run the command again")
    rows, side = len(table["path"]), described["side"]
    if table_digest(table) != described["table"] or any(len(column) != rows for column in table.values()):
        raise _damaged(folder / TABLE, f"not the table described in {PACK}")
    labels, classes = table["labels"], len(described["names"])
    if rows and (labels.shape[1] != classes if labels.ndim == 2 else int(labels.max()) >= classes):
        raise _damaged(folder / PACK, f"{classes} names are not those of the labels")
    if faces.shape != (rows, side, side, 3) or faces.dtype != np.uint8 or not faces.flags.c_contiguous:
        raise _damaged(folder / FACES, f"{faces.dtype} {list(faces.shape)}, not uint8 [{rows}, {side}, {side}, 3]")
    if (folder / FACES).stat().st_size != faces.offset + faces.nbytes:
        raise _damaged(folder / FACES, f"not of {faces.offset + faces.nbytes:,} bytes")
    if pixels and pixel_digest(folder / FACES, faces.offset, faces.nbytes) != described["pixels"]:
        raise _damaged(folder / FACES, f"not the pixels described in {PACK}")
    skipped, crop = described["skipped"], described["crop"]
    checks = [Check(**check) for check in described["checks"]] if checks_now is None else list(checks_now)
    usable = "in which a face is found" if crop == alignment.NAME else "that can be decoded"
    if type(distinct := described.get("distinct")) is int:  # packs of earlier versions have no such count
        checks.append(Check.most("distinct faces", rows, least_distinct(described["dataset"]), distinct))
    checks.append(Check(f"pictures {usable}", rows + len(skipped), rows, first(skipped)))
    digest = hashlib.sha256(f"{described['table']} {described['pixels']}".encode()).hexdigest()
    published = all(check.ok for check in checks)
    return Pack(
        faces=faces,
        pixels=PackPixels(held, faces.offset, rows, side),
        **{name: table[name] for name in COLUMNS},
        names=tuple(described["names"]),
        origin=Origin(f"{described['layout']}; {crop}, {side} px", "published" if published else digest[:16]),
        crop=crop,
        digest=digest,
        pixel_digest=described["pixels"],
        checks=tuple(checks),
        skipped=tuple(skipped),
    )


def table_digest(table: dict[str, Array]) -> str:
    """SHA-256 of the values of named columns in hex, independent of the width of integers and strings."""
    digest = hashlib.sha256()
    for name in sorted(table):
        column = table[name]
        digest.update(f"{name} {list(column.shape)}\n".encode())
        if column.dtype.kind == "U":
            digest.update("\0".join(column.tolist()).encode("utf-8", "surrogatepass"))
        else:
            digest.update(column.astype("<f8" if column.dtype.kind == "f" else "<i8").tobytes())
    return digest.hexdigest()


def pixel_digest(file: Path, start: int, size: int) -> str:
    """SHA-256 of `size` bytes of a file from `start` on, in hex, read in blocks."""
    digest = hashlib.sha256()
    with file.open("rb", buffering=0) as faces:
        faces.seek(start)
        while size > 0 and (block := faces.read(min(size, _BLOCK))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()


def digest_and_distinct(file: Path, start: int, count: int, size: int) -> tuple[str, int]:
    """As `pixel_digest`, of `count` faces of `size` bytes each; also the number of distinct ones."""
    digest, seen = hashlib.sha256(), set()
    with file.open("rb", buffering=_BLOCK) as faces:
        faces.seek(start)
        for _ in range(count):
            face = faces.read(size)
            digest.update(face)
            seen.add(hashlib.blake2b(face, digest_size=8).digest())
    return digest.hexdigest(), len(seen)


def least_distinct(dataset: str) -> float:
    """The least share of distinct pictures of a data set that is as published.

    Sets from the web have a few copies (FER2013 5 %), and neighbouring frames of a recording may be equal; one picture
    under many names leaves far fewer.
    """
    return 0.5 if dataset in ("bp4d", "disfa") else 0.9


def description(folder: Path) -> dict[str, Any]:
    """The content of `pack.json`.

    Raises:
        BadInput: it is missing, or not in this program's format.
    """
    if not (folder / PACK).is_file():
        raise BadInput(f"{folder / PACK}: not found, so the pack is missing or unfinished; run 'data prepare' again")
    found: dict[str, Any] = _read(folder / PACK, lambda file: json.loads(file.read_bytes()))
    types = {
        "format": int, "plan": str, "dataset": str, "layout": str, "side": int, "names": list, "table": str,
        "pixels": str, "crop": str, "checks": list, "skipped": list,
    }  # fmt: skip
    if not isinstance(found, dict) or any(not isinstance(found.get(name), kind) for name, kind in types.items()):
        raise _damaged(folder / PACK, "not in this program's format")
    if found["format"] != FORMAT:
        raise _damaged(folder / PACK, f"of format {found['format']}, not {FORMAT}")
    return found


def load_faces(file: Path) -> np.memmap[Any, np.dtype[np.uint8]]:
    """A read-only memory map of the pixels; raises one of UNREADABLE."""
    faces: np.memmap[Any, np.dtype[np.uint8]] = np.lib.format.open_memmap(file, mode="r")
    return faces


def load_flags(folder: Path) -> Array:
    """The finished rows, bool [N]; raises one of UNREADABLE."""
    flags: Array = np.load(folder / DONE, allow_pickle=False)
    return flags


def _load_table(file: Path) -> dict[str, Array]:
    arrays = unpack_arrays(file.read_bytes(), _LARGEST)
    return {name: arrays[name] for name in COLUMNS}


def _read(file: Path, load: Callable[[Path], T]) -> T:
    try:
        return load(file)
    except FileNotFoundError as error:
        raise _damaged(file, "missing") from error
    except UNREADABLE as error:
        raise _damaged(file, f"cannot be read ({' '.join(str(error).split())[:80]})") from error


def _damaged(file: Path, what: str) -> BadInput:
    return BadInput(f"{file}: {what}; delete the folder {file.parent.name} and prepare it again")
