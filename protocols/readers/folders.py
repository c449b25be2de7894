"""Sorted folder listings, so that results do not depend on the order on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import BadInput

# Files and folders that operating systems and archivers add; names are compared in lower case.
_CLUTTER = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "$recycle.bin", "@eadir"))


def contents(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the files and of the folders in a folder, sorted; dead links and hidden names are left out.

    So are the files that operating systems and archivers add, such as Thumbs.db, desktop.ini and __MACOSX.

    Raises:
        BadInput: the folder cannot be read.
    """
    files, folders, _ = _listed(folder)
    return files, folders


def _listed(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """The names of the files, of the folders and of the dead links in a folder, as in `contents`."""
    files, folders, dead = [], [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.lower() in _CLUTTER:
                    continue
                if entry.is_file():
                    files.append(entry.name)
                elif entry.is_dir():
                    folders.append(entry.name)
                elif entry.is_symlink():
                    dead.append(entry.name)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be read ({error.strerror}); check the folder and its permissions") from error
    return sorted(files), sorted(folders), sorted(dead)


def files_of(folder: Path) -> list[str]:
    """The files of a folder as in `contents`; none if the folder does not exist."""
    return contents(folder)[0] if folder.is_dir() else []


def folders_of(folder: Path) -> list[str]:
    """The folders in a folder as in `contents`; none if the folder does not exist."""
    return contents(folder)[1] if folder.is_dir() else []


def files_below(folder: Path, *, dead_links: bool = False) -> Iterator[str]:
    """The files in a folder and in all folders below it as in `contents`, as paths relative to it with slashes.

    Links to folders are followed last, to each folder once, and not to one that contains this one.

    Args:
        folder: the folder.
        dead_links: whether links to nothing are among the files.
    """
    seen = set(map(_identity, folder.resolve().parents))
    linked = [""]
    for start in linked:
        waiting = [start]
        while waiting:
            inside = waiting.pop()
            if (identity := _identity(folder / inside)) in seen:
                continue
            seen.add(identity)
            files, folders, dead = _listed(folder / inside)
            before = f"{inside}/" if inside else ""
            yield from (before + name for name in (sorted([*files, *dead]) if dead_links else files))
            links = [name for name in folders if (folder / inside / name).is_symlink()]
            linked += [before + name for name in links]
            waiting += [before + name for name in reversed(folders) if name not in links]


def _identity(folder: Path) -> tuple[int, int]:
    """What tells a folder from all others, by whatever path it is reached."""
    status = os.stat(folder)
    return status.st_dev, status.st_ino
