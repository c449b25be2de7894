"""Atomic writing of files, and reading with errors that name the missing, damaged or wrong file."""

from __future__ import annotations

import functools
import io
import json
import math
import os
import secrets
import shutil
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import UNREADABLE, BadInput

Array = NDArray[Any]
Arrays = dict[str, Array]
T = TypeVar("T")
_TEMPORARY = ".tmp"
LFS_STUB = b"version https://git-lfs"  # how the file begins that stands for another until Git LFS fetches it
_LARGEST = 1 << 28  # largest size in bytes of a file that is read, and of the arrays it unpacks to


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a file atomically: a reader sees the old content or the new, also after a kill or a power failure.

    Args:
        path: the file; its folder is created if missing.
        data: the whole content.

    Raises:
        OSError: the folder cannot be written or is full; the old content is kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}{_TEMPORARY}"
    try:
        _write_synced(temporary, data)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # a full disk names none
        raise
    _sync_folder(path.parent)


def _write_synced(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # other systems cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def canonical_json(value: object) -> str:
    """The canonical JSON text of a value: sorted keys, no spaces. 1 and 1.0 differ.

    Raises:
        ValueError: NaN or an infinity.
        TypeError: a value that JSON cannot represent.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def write_json(path: Path, value: object) -> None:
    """Writes a value as indented JSON with sorted keys, atomically. NaN and infinities are refused: use null."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(path, _utf8(f"{text}\n"))


def write_jsonl(path: Path, rows: Iterable[object]) -> None:
    """Writes rows as JSON lines, atomically; the whole file each time."""
    write_atomic(path, _utf8("".join(f"{canonical_json(row)}\n" for row in rows)))


def _utf8(text: str) -> bytes:
    """JSON in UTF-8; a byte of a file name that is not UTF-8 becomes an escape, from which JSON gives it back."""
    return text.encode("utf-8", "backslashreplace")


def write_array(path: Path, array: Array) -> None:
    """Writes an array as .npy, atomically.

    Raises:
        ValueError: an array of Python objects.
    """
    write_atomic(path, _npy(array))


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Writes named arrays as a compressed .npz, atomically; the same arrays give the same bytes.

    Raises:
        ValueError: an array of Python objects.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(arrays):
            # ZipInfo has a fixed date
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), _npy(arrays[name]), zipfile.ZIP_DEFLATED)
        archive.comment = _entry_list(archive)
    write_atomic(path, buffer.getvalue())


def _npy(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array, order="C"), allow_pickle=False)
    return buffer.getvalue()


def _entry_list(archive: zipfile.ZipFile) -> bytes:
    # Entries have checksums but their list has none, so damage there could drop an array unnoticed.
    return ",".join(archive.namelist()).encode()


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        BadInput: the file is missing or damaged; the message names it.
    """
    return _read(path, parse)


def read_jsonl(path: Path) -> list[Any]:
    """Reads a file of JSON lines.

    Raises:
        BadInput: the file is missing or damaged; the message names it.
    """
    return _read(path, lambda content: [parse(line) for line in content.splitlines()])


def read_content(path: Path) -> bytes:
    """The bytes of a file, with the size limit and errors of the other readers.

    Raises:
        BadInput: the file is missing, not a regular file, or too large; the message names it.
    """
    return _read(path, bytes)


def read_arrays(path: Path) -> Arrays:
    """Reads all arrays of an .npz, with checksums and without unpickling.

    Raises:
        BadInput: the file is missing or damaged; the message names it.
    """
    return _read(path, unpack_arrays)


def _read(path: Path, decode: Callable[[bytes], T]) -> T:
    """The decoded content of a regular file of limited size: a pipe could block, a huge file could fill the memory."""
    try:
        if os.path.lexists(path) and not path.is_file():
            raise ValueError("not a regular file")
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"more than {_LARGEST:,} bytes")
        return decode(path.read_bytes())
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing") from error
    except UNREADABLE as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInput(f"{path} cannot be read or is damaged ({why}): run the trial again to recreate it") from error


def unpack_arrays(content: bytes, largest: int = _LARGEST) -> Arrays:
    """The arrays in the content of an .npz of at most `largest` unpacked bytes; raises one of UNREADABLE."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if archive.comment not in (b"", _entry_list(archive)):
            raise ValueError("an array is missing")
        if sum(entry.file_size for entry in archive.infolist()) > largest:
            raise ValueError(f"arrays of more than {largest:,} bytes")
        return {
            name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
            for name in archive.namelist()
        }


def parse(text: str | bytes) -> Any:
    """The value of a JSON text; ValueError for invalid JSON, NaN, infinities, and numbers too large for a float."""
    return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:20]} is no finite number")
    return number


def remove(path: Path) -> None:
    """Removes a file, a folder with its content, or a link (not its target), if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files of killed writers from a folder. Only safe while no other process writes there."""
    for path in folder.glob(f".*{_TEMPORARY}"):
        path.unlink(missing_ok=True)


def not_fetched(path: Path, start: bytes) -> str:
    """What a file is, by its first bytes, that a failed download left, and what to do; "" where it is no such file."""
    if start.startswith(LFS_STUB):
        return f"a Git LFS stub; in a clone of its repository, git -C {quote(str(path.parent))} lfs pull fetches it"
    if start.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        return "a web page, so the download failed; fetch the file again with a browser"
    return ""


def written_otherwise(path: Path) -> str:
    """What lies in the place of a missing file under a name of the same letters: "; there is IMG.JPG"; "" if nothing.

    Names may differ in upper and lower case, in their extension, or in the form of accented letters, which macOS stores
    as a letter and an accent.
    """
    folder = path.parent
    try:
        names = _by_letters(folder, folder.stat().st_mtime_ns)
    except OSError:
        return ""
    found = names.get(_letters(path.name)) or names.get(_letters(path.stem))
    if not found or found == path.name:  # a link to nothing
        return ""
    form = unicodedata.normalize("NFC", found) == unicodedata.normalize("NFC", path.name)
    return f"; there is {found}" + ", with its accented letters in another form (Unicode NFC or NFD)" * form


@functools.lru_cache(maxsize=64)  # rows of a table go from folder to folder
def _by_letters(folder: Path, changed: int) -> dict[str, str]:
    """The names in a folder by their letters, with and without extension; the first of several."""
    names = sorted(entry.name for entry in os.scandir(folder))
    return {_letters(Path(name).stem): name for name in reversed(names)} | {_letters(name): name for name in names}


def _letters(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
