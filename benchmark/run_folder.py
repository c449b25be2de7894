"""What an output folder holds, by method and version, and the removal of trials from it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..protocols.errors import BadInput
from ..protocols.locks import FolderLock
from ..results.analysis.grouping import grouped, versions_of
from ..results.records import reference_leaderboard as shipped
from ..results.records.cache import cache_folder
from ..results.records.record import load_records


@dataclass(frozen=True)
class Group:
    """The trials of one version of a method on a protocol.

    Attributes:
        protocol: with its version, as in ferplus-sym@1.
        profile, faces, method: as in the records.
        version: as a table's row has it after "#".
        latest: when the last of them was written.
        folders: of the trials, in the output folder.
        size: of all their files, in bytes.
    """

    protocol: str
    profile: str
    faces: str
    method: str
    version: str
    latest: str
    folders: tuple[str, ...]
    size: int

    @property
    def trials(self) -> int:
        """How many there are."""
        return len(self.folders)

    @property
    def told(self) -> dict[str, str | int]:
        """What a line about them says."""
        names = {"protocol": self.protocol, "profile": self.profile, "faces": self.faces, "method": self.method}
        return {**names, "version": self.version, "trials": self.trials, "latest": self.latest}


def groups_of(runs: Path) -> tuple[list[Group], list[str]]:
    """The groups of an output folder, by protocol and method, the latest version first; a message for each damaged
    trial, which belongs to none.
    """
    records, damaged = load_records(runs)
    alike = grouped(records, lambda r: (r.identity.protocol.key, r.method, r.identity.profile, r.identity.source))
    found = []
    for (protocol, method, profile, source), mine in sorted(alike.items()):
        for version, members in versions_of(mine).items():
            folders = tuple(record.folder for record in members)
            latest = max(record.status.updated for record in members)
            size = sum(map(_size, (runs / folder for folder in folders)))
            found.append(Group(protocol, profile, source, method, version, latest, folders, size))
    return found, damaged


def only(group: Group, folders: Container[str], runs: Path) -> Group:
    """The trials of a group whose folders are among some."""
    kept = tuple(folder for folder in group.folders if folder in folders)
    return replace(group, folders=kept, size=sum(map(_size, (runs / folder for folder in kept))))


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_symlink() or path.is_file())


def check_own(runs: Path) -> None:
    """Raises BadInput for a folder that is not there, or holds results that ship."""
    if not runs.is_dir():
        raise BadInput(f"--runs {runs}: no such folder")
    for place in (shipped.FOLDER, cache_folder("reference")):
        if runs.resolve().is_relative_to(place.resolve()):
            raise BadInput(f"--runs {runs}: these results ship with fernoise-bench and are not removed")


def remove_group(group: Group, runs: Path) -> Sequence[str]:
    """Deletes the trials of a group, and folders that are empty then; returns those that another run works on.

    Raises:
        BadInput: one cannot be deleted.
    """
    busy = []
    for name in group.folders:
        folder = runs / name
        try:
            with FolderLock(folder) as acquired:
                if acquired:
                    shutil.rmtree(folder)
                else:
                    busy.append(name)
        except OSError as error:
            what = f"{error.filename or folder} cannot be removed ({error.strerror or error})"
            raise BadInput(f"{what}; check its permissions") from error
        for above in (folder.parent, folder.parent.parent):
            with contextlib.suppress(OSError):  # not empty
                above.rmdir()
    return busy
