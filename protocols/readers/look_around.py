"""What lies near a folder in which a data set was looked for in vain, and the command that goes on from there.

Only names are read, of a limited number of folders and entries, so that a folder of a million pictures costs no time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from shlex import quote

from ..errors import BadInput, printable
from .archives import ending_of, unpack

_ENTRIES, _FOLDERS, _DEPTH, _SHOWN = 1_000, 200, 4, 4
_PICTURE = re.compile(r".*\.(?:jpe?g|png|bmp|tiff?|avi|mp4)", re.IGNORECASE)
_EXPRESSIONS = ("anger", "angry", "happiness", "happy", "sadness", "sad", "surprise", "surprised", "fear", "disgust")
_CODES = ("0", "1", "2", "3", "4", "5", "6", "7", "8")


@dataclass(frozen=True)
class Signs:
    """By what a data set, or a missing part of it, is known.

    Attributes:
        marks: files and folders of the published layouts, any of which is enough.
        names: names of the data set's folder and archives elsewhere, as `_plain` writes them ("rafdb" for "RAF-DB").
        into: the folder that the marks belong to, relative to the data set's.
    """

    marks: tuple[str, ...]
    names: tuple[str, ...] = ()
    into: str = ""


def look_around(root: Path, *wanted: Signs) -> str:
    """What lies near a data set's folder that looks like the data set, and the command that goes on; "" for nothing.

    Args:
        root: the folder, which may be absent.
        wanted: by what the data set, or each missing part of it, is known.
    """
    if os.path.isfile(root):
        return f"{root} is a file, not a folder"
    ways = [way(root, signs) for signs in wanted for way in (_below, _beside)]
    ways += [_archive(root, signs) for signs in wanted]
    return next(filter(None, ways), "")


def absence(missing: str, root: Path, ask: str, *wanted: Signs) -> BadInput:
    """The error for something that is missing in a data set's folder.

    Args:
        missing: what is missing, and where.
        root: the data set's folder.
        ask: what to do if nothing like it is near.
        wanted: as `look_around`.
    """
    if near := look_around(root, *wanted):
        return BadInput(f"{missing}, but {near}")
    return BadInput(f"{missing}{_class_folders(root) or _examples(root, missing)}; {ask}")


def _plain(name: str) -> str:
    """A name in lower case, letters and digits only; "+" is "plus", since DISFA+ is not DISFA."""
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("+", "plus"))


def _is_named(name: str, signs: Signs) -> bool:
    """Whether a name is the data set's, possibly with more words after it: "RAF-DB basic", and not "rafdb0"."""
    written = name.lower().replace("+", "plus")
    found = (re.match("[^a-z0-9]*".join(("", *known)) + r"(?!\d)", written) for known in signs.names)
    return any(match and "plus" not in written[match.end() :] for match in found)


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the first files and folders of a folder, sorted; none if it cannot be read."""
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as found:
            for entry in islice(found, _ENTRIES):
                (folders if entry.is_dir() else files).append(entry.name)
    except OSError:
        return [], []
    return sorted(files), sorted(name for name in folders if not name.startswith("."))


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # unlike Path.exists, also where a folder may not be searched


def _folders(root: Path) -> Iterator[Path]:
    """A folder and those inside it, the upper ones first."""
    waiting = [(root, 0)]
    for count in range(_FOLDERS):
        if count == len(waiting):
            return
        folder, depth = waiting[count]
        yield folder
        if depth < _DEPTH and len(waiting) < _FOLDERS:
            waiting += [(folder / name, depth + 1) for name in _entries(folder)[1]]


def _mark(folder: Path, signs: Signs) -> str:
    """The first mark that a folder has, in any spelling ("RAF-DB.csv" for "rafdb.csv"), or ""."""
    here = {_plain(name): name for names in _entries(folder) for name in names}
    found = (mark if _exists(folder / mark) else here.get(_plain(mark), "") for mark in signs.marks)
    return next(filter(None, found), "")


def _below(root: Path, signs: Signs) -> str:
    """The data set in a folder inside its own, or under names in another spelling."""
    target = root / signs.into
    for folder in _folders(root):
        mark = _mark(folder, signs)
        right = next((name for name in signs.marks if _plain(name) == _plain(mark)), mark)
        if folder == target and mark != right:
            return f"{folder / mark} is there: mv {_words(folder / mark, folder / right)}"
        if mark and folder in target.parents:  # whose whole content would take the target with it
            move = f"mkdir -p {_words(target)} && mv {_alike(folder / mark, signs)} {_words(target)}/"
            return f"{folder / mark} is there: {move}"
        if mark and folder != target:
            return f"{folder / mark} is there: {_all_of(folder / mark if folder.name == mark else folder, target)}"
    return ""


def _all_of(folder: Path, target: Path) -> str:
    """The command that moves the content of a folder to another; of a doubled folder, to the outer one."""
    outer = folder.parent if folder.name == folder.parent.name else target
    return f"{'' if os.path.isdir(outer) else f'mkdir -p {_words(outer)} && '}mv {_words(folder)}/* {_words(outer)}/"


def _alike(mark: Path, signs: Signs) -> str:
    """What lies beside a mark and belongs to it: of several marks that are files, all with the ending; else itself."""
    one = mark.is_dir() or len(signs.marks) == 1 or not mark.suffix
    return _words(mark) if one else f"{_words(mark.parent)}/*{mark.suffix}"


def _words(*paths: Path) -> str:
    return " ".join(quote(str(path)) for path in paths)


def _beside(root: Path, signs: Signs) -> str:
    """The data set in the data root itself, or in another folder there."""
    home = root.parent if root.parent.name else root.parent.absolute()
    if not signs.names:
        return ""
    mark = _mark(home, signs)
    if mark and not _exists(root):
        renamed = home.parent / root.name
        move = "" if home == renamed else f"mv {_words(home, renamed)}, and "
        if not move or _is_named(home.name, signs):
            return f"{home / mark} is there: {move}use --data-root {_words(home.parent)}"
        parts = [home / name for name in signs.marks if _exists(home / name)] or [home / mark]
        return f"{home / mark} is there: mkdir -p {_words(root)} && mv {_words(*parts)} {_words(root)}/"
    if mark and (home / mark).is_file():
        return f"{home / mark} is there: mv {_words(home / mark, root)}/"
    for name in _entries(home)[1]:
        other = home / name
        if name != root.name and _is_named(name, signs) and any(_entries(other)):
            return f"{other} is there: {_all_of(other, root) if _exists(root) else f'mv {_words(other, root)}'}"
    return ""


def _archive(root: Path, signs: Signs) -> str:
    """An archive in the data set's folder, or in the data root under the data set's name."""
    for folder in _folders(root):
        for name in _entries(folder)[0]:
            if kind := ending_of(name):
                return f"{folder / name} is an archive: {unpack(folder / name, kind, folder)}"
    tables = set(map(_plain, signs.marks))
    for name in _entries(root.parent)[0]:
        kind = ending_of(name)
        if kind and (_is_named(name, signs) or _plain(name[: -len(kind)]) in tables):
            return f"{root.parent / name} is an archive: {unpack(root.parent / name, kind, root)}"
    return ""


def _class_folders(root: Path) -> str:
    """Folders named by expressions or their codes, which some copies have instead of the owners' lists."""
    for folder in _folders(root):
        names = _entries(folder)[1]
        named = [name for name in names if _plain(name) in _EXPRESSIONS]
        if len(named) > 1 or (len(names) >= len(_CODES) - 3 and set(named := names) <= set(_CODES)):
            return f", only class folders such as {folder / named[0]}, which hold no list"
    return ""


def _examples(root: Path, told: str) -> str:
    """Some files of a folder and of those inside it, where nothing known is; "" for none, or if the way on is told."""
    if "fernoise.toml" in told:
        return ""
    folders = ((folder, _entries(folder)[0]) for folder in _folders(root))
    found = (folder / name for folder, files in folders for name in files[: 2 if folder == root else 1])
    names = [path.relative_to(root).as_posix() for path in islice(found, _SHOWN)]
    return "" if not names or any(name in told for name in names) else f"; found there: {', '.join(names)}"


def near(path: Path) -> str:
    """What lies in a folder where a file was looked for in vain, the nearest names first: "; found there: a, b"."""
    if not path.parent.is_dir():
        return f"; there is no folder {path.parent}"
    files, folders = _entries(path.parent)
    names = [*files, *(f"{name}/" for name in folders)]
    shown = list(dict.fromkeys([*get_close_matches(path.name, names), *names]))[:_SHOWN]
    return f"; found there: {printable(', '.join(shown))}" if shown else "; that folder is empty"


def first_picture(root: Path, names: Sequence[str] = ("",)) -> str:
    """The first picture or video in some folders of a data set or below them, relative to it; "" if there is none."""
    for name in names:
        for folder in _folders(root / name):
            if found := next(filter(_PICTURE.fullmatch, _entries(folder)[0]), ""):
                return (folder / found).relative_to(root).as_posix()
    return ""
