"""What a pack was made from: the files of labels and the folders of pictures, and which of them have changed since."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ..errors import BadInput
from ..readers.listing import CHOICES_FILE, Listing

Stamp = Sequence[int | str]
"""Of a file its size, time of change and SHA-256, of a folder its time of change; empty for what is not there."""

_MOST = 1000
"""AffectNet's 2021 release has a file for each label: of more than these, some are compared, evenly spaced."""


class Changes(NamedTuple):
    """The files and the folders, relative to the data set's folder, that are no longer as they were."""

    files: list[str]
    folders: list[str]


def stamps_of(listing: Listing) -> dict[str, Stamp]:
    """The state of all that the listing of a published set depends on but the content of its pictures.

    That are the files that labels come from, the choices beside the data, and the folders, in which pictures or files
    may be added: those with pictures or labels, those above them, and those that lie beside them.
    """
    if listing.described_in:
        return {}
    root, labels = listing.root, listing.labels_from
    compared = labels[:: max(1, -(-len(labels) // _MOST))]
    folders = {path.rpartition("/")[0] for path in (*labels, *listing.path.tolist())}
    return {name: _stamp(root / name) for name in (*compared, CHOICES_FILE, *_folders(root, folders))}


def changes(root: Path, stamps: Mapping[str, Stamp]) -> Changes:
    """What differs now. A file of another time is compared by its content.

    What is gone says nothing against a pack, which needs it no more; but without choices others may be made.

    Raises:
        BadInput: a file cannot be read.
    """
    found = Changes([], [])
    for name, stamp in stamps.items():
        now = _stamp(root / name, stamp)
        if now != stamp and (now or name == CHOICES_FILE):
            (found.folders if len(stamp) == 1 else found.files).append(name)
    return found


def _stamp(path: Path, earlier: Stamp = ()) -> Stamp:
    """The state of a file or folder; the earlier one where size and time, or the content, are the same."""
    try:
        status = os.stat(path)
        if path.is_dir():
            return [status.st_mtime_ns]
        size_and_time = [status.st_size, status.st_mtime_ns]
        if size_and_time == list(earlier[:2]):
            return earlier
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    return earlier if list(earlier[2:]) == [digest] else [*size_and_time, digest]


def _folders(root: Path, folders: Iterable[str]) -> list[str]:
    """Some folders, those above them up to the root, and those that lie in the latter, sorted."""
    own = set(map(PurePosixPath, folders))
    above = {parent for folder in own for parent in folder.parents} | {PurePosixPath()}
    beside = set()
    for folder in above:
        with contextlib.suppress(OSError), os.scandir(root / folder) as entries:
            beside |= {folder / entry.name for entry in entries if entry.is_dir()}
    return sorted(folder.as_posix() for folder in own | above | beside)
