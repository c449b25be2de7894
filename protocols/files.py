"""Files that appear whole or not at all, and their readers, which name the file that is missing or damaged."""

from __future__ import annotations

import io
import json
import math
import os
import secrets
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UNREADABLE, BadInput

Arrays = dict[str, NDArray[Any]]
_TEMPORARY = ".tmp"
_LARGEST = 1 << 28  # bytes that are read of a file, and of an array when it is unpacked


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: a reader sees the old content or the new, also after a kill or a power cut.

    Args:
        path: the file; its folder is made when missing.
        data: the whole content.

    Raises:
        OSError: the folder cannot be written or is full; the old content stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}{_TEMPORARY}"
    try:
        _write_through(temporary, data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _write_through(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def canonical_json(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces. 1 and 1.0 differ.

    Raises:
        ValueError: NaN or an infinity.
        TypeError: something JSON has no word for.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON with sorted keys, atomically. NaN and infinities are refused: use null."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(path, f"{text}\n".encode())


def write_jsonl(path: Path, rows: Iterable[object]) -> None:
    """Write rows as JSON lines, atomically; the whole file each time."""
    write_atomic(path, "".join(f"{canonical_json(row)}\n" for row in rows).encode())


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as a compressed .npz, atomically; the same arrays give the same bytes.

    Raises:
        ValueError: an array of Python objects.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(arrays):
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.asarray(arrays[name], order="C"), allow_pickle=False)
            # ZipInfo carries a fixed date
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), entry.getvalue(), zipfile.ZIP_DEFLATED)
        archive.comment = _listing(archive)
    write_atomic(path, buffer.getvalue())


def _listing(archive: zipfile.ZipFile) -> bytes:
    # entries have checksums, the list of entries has none: damage there would drop an array unseen
    return ",".join(archive.namelist()).encode()


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        BadInput: the file is missing or damaged; the message names it.
    """
    try:
        return parse(_content(path))
    except UNREADABLE as error:
        raise _damaged(path, error) from error


def read_jsonl(path: Path) -> list[Any]:
    """Read a file of JSON lines.

    Raises:
        BadInput: the file is missing or damaged; the message names it.
    """
    try:
        return [parse(line) for line in _content(path).splitlines()]
    except UNREADABLE as error:
        raise _damaged(path, error) from error


def read_content(path: Path) -> bytes:
    """The bytes of a file, under the guard of the other readers.

    Raises:
        BadInput: the file is missing, no regular file, or too large; the message names it.
    """
    try:
        return _content(path)
    except UNREADABLE as error:
        raise _damaged(path, error) from error


def _content(path: Path) -> bytes:
    """The bytes of a regular file of an ordinary size: a pipe would be waited for, a huge one fill the memory."""
    if os.path.lexists(path) and not path.is_file():
        raise ValueError("not a regular file")
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"more than {_LARGEST:,} bytes")
    return path.read_bytes()


def parse(text: str | bytes) -> Any:
    """What a JSON text says; ValueError for anything else, NaN and numbers too large to be finite among it."""
    return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:20]} is no finite number")
    return number


def read_arrays(path: Path) -> Arrays:
    """Read every array of an .npz, checksums included; nothing is unpickled.

    Raises:
        BadInput: the file is missing or damaged; the message names it.
    """
    try:
        return parse_arrays(_content(path))
    except UNREADABLE as error:
        raise _damaged(path, error) from error


def parse_arrays(content: bytes, largest: int = _LARGEST) -> Arrays:
    """Every array in the content of an .npz of `write_arrays`, or of NumPy; one of UNREADABLE where it is damaged.

    Args:
        content: of the file.
        largest: bytes that the arrays may unpack to.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if archive.comment not in (b"", _listing(archive)):
            raise ValueError("an array is missing")
        if sum(entry.file_size for entry in archive.infolist()) > largest:
            raise ValueError(f"arrays of more than {largest:,} bytes")
        return {
            name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
            for name in archive.namelist()
        }


def _damaged(path: Path, error: Exception) -> BadInput:
    if isinstance(error, FileNotFoundError):
        return BadInput(f"{path} is missing")
    why = " ".join(str(error).split())[:200] or type(error).__name__
    return BadInput(f"{path} cannot be read or is damaged ({why}): run the trial again, which makes it anew")


def remove(path: Path) -> None:
    """Remove what stands at a path, if anything does: a folder with what is in it, of a link only the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files a killed writer left in a folder. Only while no one else writes there."""
    for path in folder.glob(f".*{_TEMPORARY}"):
        path.unlink(missing_ok=True)
