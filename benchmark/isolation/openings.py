"""Sees what files, folders, sockets and processes the code of a block opens."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

_FILES = ("open", "os.listdir", "os.scandir", "os.mkdir", "os.remove", "os.rename")
# Processes, connections and databases, whatever they are of; by how an event's name begins.
_BEYOND = ("os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "socket.", "sqlite3.", "subprocess.")
_CODE = (".py", ".pyc", ".so", ".pyd", ".dll")
# The trainer's measure of memory and its look for child processes; threadpoolctl's for libraries with threads.
_PROCESS = ("/proc/self/clear_refs", "/proc/self/status", "/proc/self/maps", "/proc/self/task")
_ROOT = Path(__file__).parents[2]
_PACKAGES = ("protocols", "methods", "baselines", "results", "benchmark")
_HOMES = tuple(Path(sysconfig.get_paths()[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))
# Of this package the code alone, wherever it is installed: results and reported numbers lie beside it.
_OWN = (*(_ROOT / name for name in _PACKAGES), *(home / "fernoise_bench" for home in _HOMES))


class Opening(NamedTuple):
    """Something that was opened: the event and what it is of, and the (file, line) of each call that led to it."""

    what: str
    calls: tuple[tuple[str, int], ...]


# What is seen by each watching block, and the threads that were there before it.
_watching: dict[int, tuple[list[Opening], frozenset[threading.Thread]]] = {}


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if not _watching:
        return
    beyond = event.startswith(_BEYOND)
    if not beyond and not (event in _FILES and not _is_code(arguments[0])):
        return
    entry = f"{event} {', '.join(repr(argument) for argument in arguments[: 2 if beyond else 1])}"
    here = threading.current_thread()  # a thread itself, since its number may be that of one that has ended
    for seen, others in list(_watching.values()):
        if here not in others:
            seen.append(Opening(entry.rstrip(), tuple(_calls(sys._getframe(1)))))


def _calls(frame: FrameType | None) -> Iterator[tuple[str, int]]:
    """The file and line of a call and of those that led to it, the innermost first."""
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back


def _is_code(place: object) -> bool:
    """Modules that are imported at first use, and what belongs to the interpreter and its packages."""
    if not isinstance(place, (str, bytes, Path)):
        return isinstance(place, int)  # a file that is open already
    path = Path(os.fsdecode(place))
    if (
        str(path) in _PROCESS
        or _PROCESS[-1] in map(str, path.parents)
        or path.parent.suffix in (".egg-info", ".dist-info")
    ):
        return True
    if (path.is_absolute() and str(path) in sys.path) or str(path).startswith("__editable__"):
        return True  # the search for a module
    if path.suffix in _CODE:
        return True
    if any(_is_in(path, home) for home in _OWN):
        return path.name == "__pycache__" or (path / "__init__.py").is_file()
    return any(_is_in(path, home) for home in _HOMES)


def _is_in(path: Path, home: Path) -> bool:
    return home in path.absolute().parents or home == path.absolute()


@functools.cache
def _listen() -> None:
    """Adds the hook, for the life of the process: hooks cannot be removed, only left idle."""
    sys.addaudithook(_hear)


@contextmanager
def opened() -> Iterator[list[Opening]]:
    """What the block opens, in its thread and in threads it starts; blocks may lie in one another."""
    _listen()
    seen: list[Opening] = []
    _watching[id(seen)] = seen, frozenset(threading.enumerate()) - {threading.current_thread()}
    try:
        yield seen
    finally:
        del _watching[id(seen)]
