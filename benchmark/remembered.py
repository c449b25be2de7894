"""What earlier commands found out, kept in files of the user's own that may be deleted at any time.

An entry is found by everything it follows from, so that what has changed since is found out anew. It spares a run whose
trials are all done the seconds it takes to import torch and to read a data set.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..protocols.errors import UNREADABLE
from ..protocols.files import canonical_json, read_json, write_json
from ..results.records.cache import cache_folder

_MOST = 500  # answers that are kept


def recall(question: Mapping[str, Any]) -> Any:
    """The answer that was remembered of a question (plain data), or None."""
    with contextlib.suppress(*UNREADABLE):
        found = read_json(_place(question))
        if found["question"] == question:
            return found["answer"]
    return None


def remember(question: Mapping[str, Any], answer: Any) -> None:
    """Keeps an answer (plain data), where the user's cache can be written."""
    place = _place(question)
    with contextlib.suppress(OSError):
        write_json(place, {"question": question, "answer": answer})
        kept = sorted(place.parent.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for path in kept[:-_MOST]:
            path.unlink(missing_ok=True)


def stamps(places: Iterable[Path]) -> str:
    """A digest of names, sizes, times and numbers of all files at and below some places; absent ones count too."""
    lines = (line for place in places for line in _lines(place))
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def _lines(place: Path) -> Iterator[str]:
    if not place.is_dir():
        yield _line(str(place))
        return
    seen = {os.path.realpath(place)}
    for folder, folders, names in os.walk(place, followlinks=True):
        real = {name: os.path.realpath(os.path.join(folder, name)) for name in sorted(folders)}
        folders[:] = [name for name, path in real.items() if path not in seen]  # a link may lead back up
        seen.update(real.values())
        yield from (_line(os.path.join(folder, name)) for name in sorted(names))


def _line(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError as error:
        return f"{path} {error.errno}"
    return f"{path} {found.st_size} {found.st_mtime_ns} {found.st_ino}"


def _place(question: Mapping[str, Any]) -> Path:
    name = hashlib.sha256(canonical_json(question).encode()).hexdigest()[:32]
    return cache_folder("remembered") / f"{name}.json"
