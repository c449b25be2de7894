"""What the fields of a stored trial must hold, so that whatever reads records may rely on it.

A check tells what is wrong with a value, as words that follow its name; an empty string where nothing is. Fields that
are not named here may hold anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import isfinite
from typing import Any, get_args

import numpy as np

from ...protocols.base import PROFILES
from ...protocols.rows import Source

Check = Callable[[Any], str]

_LARGEST = 2**53  # of counts and amounts: sums and means of thousands stay exact, or finite


def _kind(words: str, fits: Callable[[Any], bool]) -> Check:
    wrong = f" is not {words}"
    return lambda value: "" if fits(value) else wrong


def _one_of(*known: str) -> Check:
    return _kind(f"one of {', '.join(known)}", lambda value: isinstance(value, str) and value in known)


def _object(needed: Mapping[str, Check], more: Mapping[str, Check] | None = None) -> Check:
    """An object with some fields and, perhaps, some more."""

    def check(value: Any) -> str:
        if not isinstance(value, dict):
            return " is not an object"
        for name, part in needed.items():
            if name not in value:
                return f" lacks {name}"
            if wrong := part(value[name]):
                return f".{name}{wrong}"
        for name, part in (more or {}).items():
            if name in value and (wrong := part(value[name])):
                return f".{name}{wrong}"
        return ""

    return check


def _list_of(part: Check, length: int | None = None) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, list):
            return " is not a list"
        if length is not None and len(value) != length:
            return f" is not a list of {length}"
        return next((f"[{at}]{wrong}" for at, each in enumerate(value) if (wrong := part(each))), "")

    return check


def _object_of(part: Check) -> Check:
    """An object whose fields, of whatever names, are all alike."""

    def check(value: Any) -> str:
        if not isinstance(value, dict):
            return " is not an object"
        return next((f".{name[:40]}{wrong}" for name, each in value.items() if (wrong := part(each))), "")

    return check


def _or_null(part: Check) -> Check:
    return lambda value: "" if value is None else part(value)


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a finite number; true and false are none, though Python counts with them."""
    return type(value) is int or (type(value) is float and isfinite(value))


_TEXT = _kind("a text", lambda value: isinstance(value, str))
_NAME = _kind("a text that says something", lambda value: isinstance(value, str) and bool(value.strip()))
_BOOL = _kind("true or false", lambda value: isinstance(value, bool))
_COUNT = _kind("a whole number from 0 on", lambda value: type(value) is int and 0 <= value < _LARGEST)
_SOME = _kind("a whole number from 1 on", lambda value: type(value) is int and 0 < value < _LARGEST)
_NUMBER = _kind("a finite number", is_number)
_AMOUNT = _kind("a number from 0 on", lambda value: is_number(value) and 0 <= value < _LARGEST)
_SHARE = _kind("a number from 0 to 1", lambda value: is_number(value) and 0 <= value <= 1)
_ANY = _object({})
_LIST = _kind("a list", lambda value: isinstance(value, list))

_RECIPE = {"epochs": _SOME, "encoder": _NAME, "augmentation": _object({}, {"crop": _or_null(_SOME)})}
_SETTINGS = {"recipe": _object({}, _RECIPE), "precision": _TEXT, "weights": _TEXT, "compiled": _BOOL}

IDENTITY: Check = _object(
    {
        "result_version": _COUNT,
        "protocol": _object({"name": _NAME, "version": _COUNT, "fingerprint": _TEXT}),
        "profile": _one_of(*PROFILES),
        "source": _one_of(*get_args(Source)),
        "partial": _BOOL,
        "recipe": _one_of("protocol", "native"),
        "settings": _object({}, _SETTINGS),
        "method": _object({"name": _NAME, "params": _ANY, "digest": _TEXT}),
        "fold": _or_null(_NAME),
        "level": _or_null(_SHARE),
        "draw": _COUNT,
        "seed": _COUNT,
    },
    {"data": _object({"layout": _TEXT, "digest": _TEXT}), "teachers": _object_of(_TEXT), "aux": _TEXT},
)
ENVIRONMENT: Check = _object(
    {
        "task": _object({"kind": _NAME, "names": _list_of(_NAME), "metric": _NAME}),
        "device": _NAME,
        "engine": _NAME,
        "workers": _COUNT,
        "oracle_knowledge": _list_of(_NAME),
        "unstated": _list_of(_NAME),
        "networks": _COUNT,
        "rows": _object({"train": _SOME}, dict.fromkeys(("validation", "test", "test_copies"), _COUNT)),
        "rows_per_epoch": _SOME,
    },
    {
        **dict.fromkeys(("torch", "timm", "numpy", "python", "machine"), _TEXT),
        "resumed": _BOOL,
        "noise": _or_null(
            _object({}, {"kind": _TEXT, "mask": _TEXT, "nominal": _or_null(_SHARE), "realised": _or_null(_SHARE)})
        ),
        "teachers": _list_of(
            _object({"name": _NAME, "id": _NAME, "seconds": _AMOUNT}, {"forwards": _COUNT, "backwards": _COUNT})
        ),
        "views": _COUNT,
    },
)
_BEST = _object({"validation": _or_null(_COUNT), "oracle": _or_null(_COUNT)})
_NOTED = {"reason": _or_null(_TEXT), "epochs_done": _COUNT, "peak_memory_mb": _or_null(_AMOUNT), "updated": _TEXT}
STATUS: Check = _object(
    {"state": _one_of("running", "done", "failed", "diverged", "interrupted")},
    {**_NOTED, "epochs": _COUNT, "seconds": _or_null(_AMOUNT), "best": _BEST},
)
DONE: Check = _object({"epochs": _SOME, "seconds": _AMOUNT, "best": _BEST}, _NOTED)

# Audit counts that are shares of one another: the first never without the others.
_TOGETHER = {
    "entries": ("wrong",),
    "kept": ("kept_right",),
    "targets": ("targets_right", "changed"),
    "targets_right": ("damaged",),
    "changed": ("changed_right",),
}
_TOGETHER_BY_CLASS = {"entries": ("wrong",), "targets_right": ("damaged",)}


def _audit(part: Check, together: Mapping[str, Sequence[str]]) -> Check:
    counts = _object_of(part)

    def check(value: Any) -> str:
        return counts(value) or next(
            (f" has {name} and lacks {other}" for name in together.keys() & value for other in together[name]
             if other not in value), "",
        )  # fmt: skip

    return check


@cache
def _epoch(width: int | None) -> Check:
    """The check of a line of epochs.jsonl.

    Args:
        width: how many classes, or AUs, there are; None: unknown.
    """
    tested = _object({"confusion": _LIST}, {"confusion_without_copies": _or_null(_LIST)})
    return _object(
        {"epoch": _COUNT, "test": tested, "compute": _object({"forwards": _COUNT, "backwards": _COUNT})},
        {
            "loss": _or_null(_NUMBER),
            "learning_rate": _NUMBER,
            "logs": _object_of(_or_null(_NUMBER)),
            "audit": _or_null(_audit(_COUNT, _TOGETHER)),
            "audit_by_class": _or_null(_audit(_list_of(_COUNT, width), _TOGETHER_BY_CLASS)),
            "validation": _or_null(_object({"confusion": _LIST})),
            "seconds": _AMOUNT,
        },
    )


def wrong_identity(value: Any) -> str:
    """What is wrong with the content of identity.json; an empty string where nothing is."""
    return _told("identity.json", IDENTITY(value))


def wrong_field(status: Any, environment: Any, epochs: Sequence[Any]) -> str:
    """What is wrong with a trial's other files, the first that is; an empty string where nothing is.

    Args:
        status, environment: the contents of status.json and environment.json; an empty object was not written yet.
        epochs: the lines of epochs.jsonl.
    """
    finished = isinstance(status, dict) and status.get("state") == "done"
    if wrong := _told("status.json", (DONE if finished else STATUS)(status)):
        return wrong
    if environment != {} and (wrong := _told("environment.json", ENVIRONMENT(environment))):
        return wrong
    line = _epoch(len(environment["task"]["names"]) if environment else None)
    return next(
        (f"epochs.jsonl, line {at + 1}: {_plain(wrong)}" for at, each in enumerate(epochs) if (wrong := line(each))), ""
    )


def wrong_counts(tests: Sequence[Mapping[str, Any]], shape: tuple[int, int]) -> str:
    """What is wrong with the confusion counts of finished epochs; those that are null are left out."""
    for part in ("confusion", "confusion_without_copies"):
        found = [test[part] for test in tests if test.get(part) is not None]
        if found and not _are_counts(found, shape):
            return f"epochs.jsonl: {part} is not {shape[0]} × {shape[1]} counts"
    return ""


def _are_counts(found: Sequence[Any], shape: tuple[int, int]) -> bool:
    try:
        counts = np.array(found)
    except ValueError:  # rows of several lengths
        return False
    fits = counts.shape == (len(found), *shape) and counts.dtype.kind == "i"
    return fits and counts.min() >= 0 and bool(counts.max() < _LARGEST)


def _told(file: str, wrong: str) -> str:
    return f"{file}: {_plain(wrong)}" if wrong else ""


def _plain(wrong: str) -> str:
    """Without the dot or the blank that joins it to a name."""
    return wrong[1:]
