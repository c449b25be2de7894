"""What is in a folder, sorted, so that the order on disk never matters."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import BadInput


def contents(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the files and of the folders in a folder, sorted; hidden ones and dead links are left out.

    One pass over the folder; nothing but links is looked up on its own.

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
    """The files of `contents`; none where there is no folder."""
    return contents(folder)[0] if folder.is_dir() else []


def folders_of(folder: Path) -> list[str]:
    """The folders of `contents`; none where there is no folder."""
    return contents(folder)[1] if folder.is_dir() else []
