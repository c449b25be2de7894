"""The state of a trial on disk, whichever process ran it. Does not import torch, which many commands can do without."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from ..protocols.errors import BadInput
from ..protocols.files import remove
from ..protocols.locks import LOCK, FolderLock, is_locked
from ..results.records.record import Record, load_record
from ..results.records.schema import Status
from ..results.records.trial_files import read_part
from .trial import Trial

FINISHED = ("done", "diverged")  # a failed trial is tried again by the next run
CHECKPOINT = "checkpoint.pt"
_LONGEST_NAME = 255  # bytes, on nearly all file systems


def state_of(trial: Trial) -> str:
    """The state of a trial on disk: "done", "diverged", "failed", "interrupted", "damaged", or "new"."""
    if not os.path.lexists(trial.folder / "status.json"):
        return "new"
    if damage(trial):
        return "damaged"
    state: str = read_part(trial.folder, Status).state
    killed_at_the_end = state in FINISHED and (trial.folder / CHECKPOINT).is_file()  # before the checkpoint was removed
    return "interrupted" if state == "running" or killed_at_the_end else state


def not_a_place(trial: Trial) -> str:
    """Why a trial cannot be kept in its folder, in one line: a file or a broken link in its place; "" where it can.

    A folder that cannot be written counts from the method's on: above it, no trial could be kept.
    """
    inside = trial.folder.relative_to(trial.job.out)
    for folder in (trial.job.out / path for path in reversed((inside, *inside.parents[:-1]))):
        if len(os.fsencode(folder.name)) > _LONGEST_NAME:
            return f"{folder} has too long a name for a folder; give the method a shorter one"
        if os.path.lexists(folder) and not os.path.isdir(folder):
            return f"{folder} is a file or a broken link where a folder belongs; remove it and run the trial again"
        is_own = folder in (trial.folder, trial.folder.parent)
        if is_own and os.path.isdir(folder) and not os.access(folder, os.W_OK | os.X_OK):
            return f"{folder} cannot be written to; check its permissions and run the trial again"
    lock = trial.folder / LOCK
    if lock.is_symlink() or lock.is_dir():
        return f"{lock} is a folder or a link where a lock file belongs; remove it and run the trial again"
    return ""


def make_room(folder: Path, names: Iterable[str]) -> Iterator[str]:
    """Removes folders that lie where files of a trial or a teacher belong; a line about each."""
    for path in (folder / name for name in names):
        if path.is_dir() and not path.is_symlink():
            yield f"{path} is a folder where a file belongs: it is removed"
            remove(path)


def damage(trial: Trial) -> str:
    """What is wrong with the files of a trial that has a status, in one line; "" if nothing is."""
    try:
        load_record(trial.job.out, trial.folder)
    except BadInput as error:
        return str(error)
    return ""


def unfinished(trials: Sequence[Trial], records: Iterable[Record]) -> list[Trial]:
    """The trials that are neither done nor diverged, given all records of their output folder."""
    ended = {record.folder for record in records if record.state in FINISHED}
    folders = ((trial, trial.folder) for trial in trials)
    return [
        trial
        for trial, folder in folders
        if folder.relative_to(trial.job.out).as_posix() not in ended or (folder / CHECKPOINT).is_file()
    ]


def outcome(trial: Trial) -> Mapping[str, Any]:
    """The state of a trial on disk, with the reason where it is not done."""
    state = state_of(trial)
    if state == "new":
        return {"state": "not run", "reason": why_not_loaded(trial) or not_a_place(trial) or "never started"}
    if state == "damaged":
        return {"state": "not run", "reason": damage(trial)}
    found: dict[str, Any] = to_builtins(read_part(trial.folder, Status))
    if found["state"] != "running":
        return found
    reason = "another run is working on it" if is_locked(trial.folder) else "interrupted; run it again to continue"
    return {**found, "state": "unfinished", "reason": reason}


def why_not_loaded(trial: Trial) -> str:
    """Why the method of a trial can no longer be loaded, in one line; "" where it can."""
    try:
        trial.method.load()
    except BadInput as error:
        return str(error)
    return ""


def discard(trial: Trial) -> None:
    """Deletes a trial from disk, for `--fresh`, unless another run is working on it."""
    if trial.folder.is_dir():
        with FolderLock(trial.folder) as acquired:
            if acquired:
                shutil.rmtree(trial.folder)
