"""The import of a user's code, in the process that all methods share, and what it may not do there."""

from __future__ import annotations

import contextlib
import os
import shlex
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from ...protocols.errors import BadInput
from .openings import Opening, opened

_ENDINGS = ("_exit", "abort", "execv", "execve")  # what `os` has to end a process without an exception


@contextlib.contextmanager
def importing(place: str, files: Collection[str]) -> Iterator[None]:
    """For the block that imports a method of a user.

    What it changed of the process is undone. Variables may be set, and threads, child processes and the global
    generators started, as libraries often do when they are imported; methods compute the same with them.

    Args:
        place: the method's file or module, as messages name it.
        files: the paths of its source files.

    Raises:
        BadInput: the import changes numbers of other methods, ends the process, or opens a file, a connection or a
            process, whose content would not be part of what identifies the method's trials.
    """
    from .process_state import CHILDREN, ENVIRONMENT, GENERATORS, THREADS, ProcessState

    before = ProcessState.now(frozenset({CHILDREN, ENVIRONMENT, THREADS, *GENERATORS}))
    try:
        with opened() as seen, _no_ending(place):
            yield
        changed = before.changes()
    finally:
        before.restore()
    if changed:
        what = ", ".join(changed[:5])
        raise BadInput(f"{place}: importing it changes {what} for every other method; leave that out of the file")
    for opening in seen:
        if line := _own_line(opening, files):
            raise BadInput(
                f"{place}: importing it opens {opening.what} ({line}), and its trials would be taken for the same ones "
                "after a change there; write values as hyper-parameters, in Params"
            )


@contextlib.contextmanager
def _no_ending(place: str) -> Iterator[None]:
    """Has what ends this process at once, with whatever exit code, raise BadInput in the thread of the block."""
    before = {name: getattr(os, name) for name in _ENDINGS}
    for name, end in before.items():
        setattr(os, name, _refused(f"{place}: importing it ends the process (os.{name}); leave that out", end))
    try:
        yield
    finally:
        for name, end in before.items():
            setattr(os, name, end)


def _refused(message: str, end: Callable[..., object]) -> Callable[..., object]:
    here = os.getpid(), threading.get_ident()

    def refuse(*arguments: object) -> object:
        if (os.getpid(), threading.get_ident()) != here:
            return end(*arguments)
        raise BadInput(message)

    return refuse


def _own_line(opening: Opening, files: Collection[str]) -> str:
    """The line of the files that opens something, as in "mine.py, line 3"; "" where a module they import does."""
    for file, line in opening.calls:
        if file in files:
            return f"{Path(file).name}, line {line}"
        if "importlib" in file:
            return ""
    return ""


def import_errors(place: str) -> contextlib.AbstractContextManager[None]:
    """`as_bad_input` for the import of a method's module or file."""
    if place.endswith(".py"):
        return as_bad_input(f"--method {place}: does not import:", f"to see where: python {shlex.quote(place)}")
    remedy = "repair or uninstall the package it comes with"
    return as_bad_input(f"{place}, a method's module, does not import:", remedy)


@contextlib.contextmanager
def as_bad_input(what: str, remedy: str) -> Iterator[None]:
    """Turns whatever a user's code raises, SystemExit included, into BadInput of one line; not Ctrl-C."""
    try:
        yield
    except (KeyboardInterrupt, BadInput):
        raise
    except BaseException as error:
        message = f"{what} {type(error).__name__}: {error}".splitlines()[0]
        raise BadInput(f"{message}; {remedy}") from error
