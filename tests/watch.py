"""Sees what files, folders, sockets and processes the code of a block opens."""

from __future__ import annotations

import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_EVENTS = (
    "open",
    "os.listdir",
    "os.scandir",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "socket.connect",
    "subprocess.Popen",
)
_CODE = (".py", ".pyc", ".so", ".pyd", ".dll")
_TRAINER = ("/proc/self/clear_refs", "/proc/self/status")  # its own measure of memory
_ROOT = Path(__file__).parents[1]
_PACKAGES = ("protocols", "methods", "baselines", "results", "benchmark")
_HOMES = (
    *(Path(sysconfig.get_paths()[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    *(_ROOT / name for name in _PACKAGES),
)
_watching: dict[int, list[str]] = {}


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    seen = _watching.get(threading.get_ident())
    if seen is not None and event in _EVENTS and not _is_code(arguments[0]):
        seen.append(f"{event} {arguments[0]!r}")


def _is_code(place: object) -> bool:
    """Modules that are imported at first use, and what belongs to the interpreter and its packages."""
    if not isinstance(place, (str, bytes, Path)):
        return isinstance(place, int)  # a file that is open already
    path = Path(place.decode() if isinstance(place, bytes) else place)
    if str(path) in _TRAINER or path.parent.suffix in (".egg-info", ".dist-info"):
        return True
    if (path.is_absolute() and str(path) in sys.path) or str(path).startswith("__editable__"):
        return True  # the search for a module
    return path.suffix in _CODE or any(home in path.absolute().parents or home == path.absolute() for home in _HOMES)


sys.addaudithook(_hear)  # for the life of the process: hooks cannot be removed, only left idle


@contextmanager
def opened() -> Iterator[list[str]]:
    """What is opened in the block, an entry each: the event and its first argument."""
    seen: list[str] = []
    _watching[threading.get_ident()] = seen
    try:
        yield seen
    finally:
        del _watching[threading.get_ident()]
