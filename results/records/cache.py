"""A cache of the numbers of finished trials, so that tables need not read all predictions again.

An entry is found by the SHA-256 of what it was made from: the predictions, the other files of the trial, and the code
that reads them. Files whose size and time have not changed are not hashed again. The cache is a file in the user's
cache folder, which may be deleted at any time; then all trials are read again.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import hashlib
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from ...protocols import files
from ...protocols.errors import BadInput
from .. import metrics
from . import encoded, schema, store, subject_counts, trial_files
from . import record as records
from .encoded import UNDECODABLE, decode_record, encode_record
from .record import Record, load_record, load_records
from .trial_files import FILES, read_epochs

_NAME = "records.sqlite3"
_BUSY = 5.0  # seconds to wait for another process that writes
_TABLE = """
create table if not exists records (folder text primary key, root text, stamp text, digest text, value blob);
create index if not exists by_digest on records (digest);
create index if not exists by_root on records (root);
"""


def load_cached(root: Path, folder: Path | None = None) -> tuple[list[Record], list[str]]:
    """`load_records` with a cache of trials that were read before; their epochs are read when first accessed.

    Args:
        root: the output folder.
        folder: where the numbers are kept; None: the user's cache folder. One that cannot be used is ignored.
    """
    place = (cache_folder() if folder is None else folder) / _NAME
    try:
        with uncollected(), contextlib.closing(sqlite3.connect(place, timeout=_BUSY)) as connection:
            return _load(root, connection)
    except (sqlite3.Error, OSError, UnicodeEncodeError):  # damaged, locked, no place, or a folder's name is not UTF-8
        return load_records(root)


def cache_folder(name: str = "") -> Path:
    """A folder of the user's own that may be deleted at any time; it is made. A temporary one without a home folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "fernoise-bench" / name
    with contextlib.suppress(OSError):
        base.mkdir(parents=True, exist_ok=True)
        if os.access(base, os.W_OK):
            return base
    private = _private_folder(Path(tempfile.gettempdir())) / name
    private.mkdir(mode=0o700, exist_ok=True)
    return private


def _private_folder(shared: Path) -> Path:
    """A folder of the user's own in a folder that others can write to, who may have put one of its name there."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = shared / f"fernoise-bench-{user}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not hasattr(os, "getuid"):
        return folder
    if stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o077:
        return folder
    return _folder_of_this_process(shared)


@cache
def _folder_of_this_process(shared: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fernoise-bench-", dir=shared))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collection, which would take most of the time for millions of live small objects."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@dataclass
class _Reader:
    """Reads trials of one output folder, from the cache where it is up to date; collects new entries.

    Attributes:
        where: the folder's full name.
        known: by the name of a trial's folder, its stamp and value.
        found: name, stamp, digest and value of new entries.
        seen: names that were loaded.
        shared: parts of records by their bytes: what many trials have in common is decoded and kept once.
    """

    connection: sqlite3.Connection
    where: str
    known: Mapping[str, tuple[str, bytes]]
    found: list[tuple[str, str, str, bytes]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    shared: dict[bytes, Any] = field(default_factory=dict)

    def load(self, root: Path, folder: Path) -> Record:
        inside = "/".join(folder.parts[len(root.parts) :])
        name = f"{self.where}/{inside}"
        self.seen.add(name)
        stamp = _stamp(str(folder))
        if stamp is None:  # not finished: quick to read, and it will change
            return load_record(root, folder)
        if name in self.known and self.known[name][0] == stamp:
            with contextlib.suppress(*UNDECODABLE):
                return self._decoded(inside, folder, self.known[name][1])
        try:
            digest = _digest(folder)
        except BadInput:  # of a trial that did not end well this may be no damage: that is for the records to say
            return load_record(root, folder)
        record = self._moved(root, inside, folder, digest) or load_record(root, folder)
        if record.done:
            with contextlib.suppress(OverflowError):  # a number of more than 64 bits is read anew each time
                self.found.append((name, stamp, digest, _sealed(encode_record(record))))
        return record

    def _moved(self, root: Path, inside: str, folder: Path, digest: str) -> Record | None:
        """The record of the same files before they were moved or touched; None in a folder of another name."""
        row = self.connection.execute("select value from records where digest = ? limit 1", (digest,)).fetchone()
        with contextlib.suppress(*UNDECODABLE):
            record = None if row is None else self._decoded(inside, folder, row[0])
            return record if record and store.trial_folder(root, record.identity.content) == folder else None
        return None

    def _decoded(self, inside: str, folder: Path, value: bytes) -> Record:
        return decode_record(inside, _unsealed(value), partial(read_epochs, folder), self.shared)


def _sealed(value: bytes) -> bytes:
    """A value after its checksum, since SQLite has none."""
    return hashlib.sha256(value).digest() + value


def _unsealed(value: bytes) -> bytes:
    """The value; ValueError where it is not what was stored."""
    checksum, rest = value[: hashlib.sha256().digest_size], value[hashlib.sha256().digest_size :]
    if hashlib.sha256(rest).digest() != checksum:
        raise ValueError("damaged")
    return rest


def _load(root: Path, connection: sqlite3.Connection) -> tuple[list[Record], list[str]]:
    connection.executescript(_TABLE)
    where = str(root.resolve())
    rows = connection.execute("select folder, stamp, value from records where root = ?", (where,))
    reader = _Reader(connection, where, {folder: (stamp, value) for folder, stamp, value in rows})
    result = load_records(root, reader.load)
    gone = [(name,) for name in reader.known if name not in reader.seen]
    if reader.found or gone:
        with contextlib.suppress(sqlite3.Error), connection:  # on a full disk only the cache entries are lost
            new = [(name, where, stamp, digest, value) for name, stamp, digest, value in reader.found]
            connection.executemany("insert or replace into records values (?, ?, ?, ?, ?)", new)
            connection.executemany("delete from records where folder = ?", gone)
    return result


def _stamp(folder: str) -> str | None:
    """Size and time of the trial's files, and the code's version; None where one is missing."""
    try:
        found = [os.stat(f"{folder}/{name}") for name in FILES]
    except FileNotFoundError:
        return None
    return " ".join([_version(), *(f"{each.st_size}:{each.st_mtime_ns}:{each.st_ino}" for each in found)])


def _digest(folder: Path) -> str:
    parts = [_version(), *(hashlib.sha256(files.read_content(folder / name)).hexdigest() for name in FILES)]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


@cache
def _version() -> str:
    """A digest of the code that turns files into numbers: entries of other versions are not used."""
    readers = (records, schema, trial_files, metrics, store, files, subject_counts, encoded)
    sources = (*(str(module.__file__) for module in readers), __file__)
    return hashlib.sha256(b"".join(Path(source).read_bytes() for source in sources)).hexdigest()[:16]
