"""Files that stay open, so that their content stays the same while they are replaced."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import BadInput

Identity = tuple[int, int, int]


class HeldFile:
    """A file for reading at any place, by many threads and forked processes at once.

    It is closed when nothing refers to it any more. A pickled copy opens the file again, and refuses another one that
    has taken its place.

    Args:
        path: the file.
        identity: that of the file it has to be, if it is opened again.

    Raises:
        BadInput: another file has taken its place, or none is there.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, identity: Identity | None = None) -> None:
        self.path = path
        self._handle = -1
        try:
            self._handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except FileNotFoundError as error:
            raise BadInput(f"{path}: was removed while it was in use; run the command again") from error
        found = os.fstat(self._handle)
        self.identity = (found.st_ino, found.st_size, found.st_mtime_ns)
        if identity not in (None, self.identity):
            raise BadInput(f"{path}: another file took its place while it was in use; run the command again")

    def __del__(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)

    def __reduce__(self) -> tuple[type[HeldFile], tuple[Path, Identity]]:
        return HeldFile, (self.path, self.identity)

    def read(self, start: int, size: int) -> bytes:
        """`size` bytes from a place on; fewer at the end of the file."""
        if hasattr(os, "pread"):
            return os.pread(self._handle, size, start)
        with self.path.open("rb", buffering=0) as file:  # Windows, where an open file cannot be replaced
            file.seek(start)
            return file.read(size)
