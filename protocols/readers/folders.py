"""Sorted folder listings, so that results do not depend on the order on disk."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import BadInput


def contents(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the files and of the folders in a folder, sorted, without hidden ones and dead links.

    Raises:
        BadInput: the folder cannot be read.
    """
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_file():
                    files.append(entry.name)
                elif entry.is_dir():
                    folders.append(entry.name)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be read ({error.strerror}); check the folder and its permissions") from error
    return sorted(files), sorted(folders)


def files_of(folder: Path) -> list[str]:
    """The files of a folder as in `contents`; none if the folder does not exist."""
    return contents(folder)[0] if folder.is_dir() else []


def folders_of(folder: Path) -> list[str]:
    """The folders in a folder as in `contents`; none if the folder does not exist."""
    return contents(folder)[1] if folder.is_dir() else []
