"""Folder locks, which prevent two processes from writing to the same folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import TracebackType

from .files import remove_leftovers

try:
    import fcntl
except ImportError:  # not a POSIX system: no locks
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


def is_locked(folder: Path) -> bool:
    """Whether another process holds the lock of a folder; False where files cannot be locked. Writes nothing."""
    if fcntl is not None:
        try:
            handle = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
        finally:
            os.close(handle)
    return False


def _is_same_file(path: Path, handle: int) -> bool:
    """Whether an open file is still the file at a path."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


class FolderLock:
    """An exclusive lock on a folder: `with FolderLock(folder) as acquired: ...`.

    The operating system releases the lock when the process ends, even if it is killed. Entering creates the folder and,
    if the lock is acquired, removes temporary files of killed writers. Where files cannot be locked, the lock is always
    acquired.

    Args:
        folder: created if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._handle: int | None = None

    def __enter__(self) -> bool:
        path = self.folder / LOCK
        while fcntl is not None and self._handle is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(handle)
                if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
                    return False
                if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                    raise
                break
            if _is_same_file(path, handle):
                self._handle = handle
            else:  # the previous holder removed the folder before releasing the lock: try again on the new file
                os.close(handle)
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.folder)
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
