"""Why a trial failed: one line for its record, without paths of this machine, and the traceback in its folder."""

from __future__ import annotations

import re
import traceback
from contextlib import suppress
from pathlib import Path
from types import CodeType

from ...protocols.errors import BadInput
from ...protocols.files import write_atomic
from ...results.records.trial_files import TRACEBACK
from ..method_source import source_files
from ..trial import Trial

# Functions of the harness that stumble over what a part of a method returned or did, and that part.
_STUMBLES = {
    "check_step": "loss",
    "run_step": "loss",
    "check_losses": "loss",
    "_floats": "loss",
    "check_parts": "__init__",
    "epoch_counts": "loss",
    "predict_rows": "predict",
    "_check_unchanged": "predict",
    "construct": "__init__",
    "make_optimizer": "__init__",
    "_own_groups": "parameter_groups",
    "view_kinds": "views",
}
_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^\s/'\":,;()]+/)+")


def reason_of(error: BaseException, trial: Trial) -> str:
    """An error in one line, with the last line of the method's own file that led to it, else the last line of all."""
    if isinstance(error, BadInput):
        return str(error)
    return f"{type(error).__name__}: {message_of(error)} ({place_of(error, trial)})"


def message_of(error: BaseException) -> str:
    """The message of an error, whatever its class."""
    try:
        return str(error)
    except Exception as another:  # noqa: BLE001 - a method's own class of errors may have any mistake
        return f"its message raises {type(another).__name__}"


def place_of(error: BaseException, trial: Trial) -> str:
    """The last line of the method's own file that led to an error, as in mine.py:14.

    Where it returned what is refused, the line its function begins at; else the last line of all.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = _own_files(trial)
    for frame in reversed(frames):
        if frame.filename in own:
            return f"{Path(frame.filename).name}:{frame.lineno}"
    for frame in reversed(frames):
        if code := _code_of(_STUMBLES.get(frame.name, ""), trial):
            return f"{Path(code.co_filename).name}:{code.co_firstlineno}"
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"


def _code_of(part: str, trial: Trial) -> CodeType | None:
    """The code of a method's part, where it is a function; of one that is checked while a teacher trains, none."""
    with suppress(BadInput):
        found = getattr(trial.method.load(), part, None) if part else None
        code = getattr(getattr(found, "fget", found), "__code__", None)
        return code if isinstance(code, CodeType) else None
    return None


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
