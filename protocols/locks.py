"""Locks on folders, so that two runs never work in one."""

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
    """Whether another process works in a folder now, as far as locks tell; changes nothing on disk."""
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


def _is_still(path: Path, handle: int) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


class FolderLock:
    """Keeps two processes from working in one folder: `with FolderLock(folder) as acquired: ...`.

    The lock goes with the process, so a kill frees it. Entering makes the folder, and when the lock is acquired
    removes what a killed writer left behind. Where files cannot be locked it is always acquired.

    Args:
        folder: made where it is missing.
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
            if _is_still(path, handle):
                self._handle = handle
            else:  # who had the lock removed the folder before letting go: this is the lock of nothing
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
