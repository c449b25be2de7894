"""Why a trial failed: one line for its record, without paths of this machine, and the traceback in its folder."""

from __future__ import annotations

import re
import traceback
from contextlib import suppress
from pathlib import Path

from ...protocols.errors import BadInput
from ...protocols.files import write_atomic
from ...results.records.trial_files import TRACEBACK
from ..method_source import source_files
from ..trial import Trial

_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^\s/'\":,;()]+/)+")


def reason_of(error: BaseException, trial: Trial) -> str:
    """An error in one line, with the last line of the method's own file that led to it, else the last line of all."""
    if isinstance(error, BadInput):
        return str(error)
    return f"{type(error).__name__}: {error} ({place_of(error, trial)})"


def place_of(error: BaseException, trial: Trial) -> str:
    """The last line of the method's own file that led to an error, else the last line of all, as in mine.py:14."""
    frames = traceback.extract_tb(error.__traceback__)
    own = _own_files(trial)
    last = next((frame for frame in reversed(frames) if frame.filename in own), frames[-1])
    return f"{Path(last.filename).name}:{last.lineno}"


def write_traceback(error: BaseException, trial: Trial) -> None:
    """Keeps the traceback of an error in the trial's folder; it is in no record, since it has paths."""
    text = "".join(traceback.format_exception(error))
    write_atomic(trial.folder / TRACEBACK, text.encode(errors="backslashreplace"))


def without_folders(reason: str, trial: Trial) -> str:
    """A reason with paths inside the output folder only, and of all others the last part."""
    return _FOLDERS.sub("", reason.replace(f"{trial.job.out}/", ""))


def _own_files(trial: Trial) -> set[str]:
    """The source files of the trial's method and of its teachers."""
    found: set[str] = set()
    for each in (trial, *trial.teachers.values()):
        with suppress(ValueError, ImportError, OSError):  # removed meanwhile, or without a file
            found |= {str(path) for path in source_files(each.method.target)}
    return found
