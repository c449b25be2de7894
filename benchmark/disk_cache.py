"""A cache of plain data on disk: what earlier commands found out of methods and data sets.

An entry is found by everything it follows from, so that it is computed again when any of that changes. It saves a run
whose trials are all done the seconds that importing torch and reading a data set take. The files may be deleted at any
time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..protocols.errors import UNREADABLE
from ..protocols.files import canonical_json, read_json, write_json
from ..results.records.cache import cache_folder

_MOST_ENTRIES = 500


def lookup(key: Mapping[str, Any]) -> Any:
    """The value stored under a key, or None."""
    with contextlib.suppress(*UNREADABLE):
        entry = read_json(_path_of(key))
        if entry["key"] == key and entry["checksum"] == _checksum(entry["value"]):
            return entry["value"]
    return None


def store(key: Mapping[str, Any], value: Any) -> None:
    """Stores a value under a key, both plain data; does nothing where the user's cache cannot be written."""
    path = _path_of(key)
    with contextlib.suppress(OSError):
        write_json(path, {"key": key, "value": value, "checksum": _checksum(value)})
        oldest_first = sorted(path.parent.glob("*.json"), key=lambda file: file.stat().st_mtime)
        for file in oldest_first[:-_MOST_ENTRIES]:
            file.unlink(missing_ok=True)


def _checksum(value: Any) -> str:
    """Of plain data, so that an entry that was damaged or edited is found out anew."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_stamps(paths: Iterable[Path]) -> str:
    """A digest of the names, sizes, times and inode numbers of all files at and below some paths, absent ones too."""
    lines = (line for path in paths for line in _stamps_below(path))
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def _stamps_below(path: Path) -> Iterator[str]:
    if not path.is_dir():
        yield _stamp(str(path))
        return
    seen = {os.path.realpath(path)}
    for folder, folders, names in os.walk(path, followlinks=True):
        real = {name: os.path.realpath(os.path.join(folder, name)) for name in sorted(folders)}
        folders[:] = [name for name, place in real.items() if place not in seen]  # a link may lead back up
        seen.update(real.values())
        yield from (_stamp(os.path.join(folder, name)) for name in sorted(names))


def _stamp(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError as error:
        return f"{path} {error.errno}"
    return f"{path} {found.st_size} {found.st_mtime_ns} {found.st_ino}"


def _path_of(key: Mapping[str, Any]) -> Path:
    name = hashlib.sha256(canonical_json(key).encode()).hexdigest()[:32]
    return cache_folder("remembered") / f"{name}.json"
