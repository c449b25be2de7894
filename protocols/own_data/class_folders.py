"""Pictures in class folders: `CLASS/picture`, or `train/CLASS/picture` and so on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import BadInput, unknown
from ..own_files import OwnFiles
from ..readers.folders import contents, files_below
from ..readers.listing import Check, first
from .tables import Table

PICTURES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp")
MOST_CLASSES = 50

# Raw files of cameras, which begin as TIFF and hold a small picture first.
_RAW = (".arw", ".cr2", ".dng", ".nef", ".orf", ".pef", ".rw2", ".srw")
_NOT_DECODED = (
    *_RAW, ".avif", ".heic", ".heif", ".ico", ".j2k", ".jp2", ".jxl", ".pbm", ".pgm", ".pnm", ".ppm", ".psd", ".svg",
    ".tga",
)  # fmt: skip
# How files of the formats begin that `images.decoding` decodes.
_STARTS = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|II\*\0|MM\0\*|RIFF....WEBP|BM....\0\0\0\0", re.DOTALL)
_DEAD = "dead links, whose pictures are missing"


def is_picture(name: str) -> bool:
    """Whether a file name is that of a picture, by its extension."""
    return name.lower().endswith(PICTURES)


def _begins_as_one(file: Path) -> bool:
    """Whether a file with another extension, or none, begins like a picture that can be decoded."""
    if file.suffix.lower() in _RAW:
        return False
    try:
        with file.open("rb") as opened:
            return _STARTS.match(opened.read(16)) is not None
    except OSError:
        return False


def pictures_below(folder: Path) -> tuple[list[str], list[str]]:
    """The pictures in a class folder and in all folders below it, and the other files: paths relative to it.

    A picture is known by its extension or its first bytes. A dead link with the extension of one is a picture, which
    is missing.
    """
    pictures: list[str] = []
    others: list[str] = []
    for path in files_below(folder, dead_links=True):
        (pictures if is_picture(path) or _begins_as_one(folder / path) else others).append(path)
    return pictures, others


def read_folders(root: Path, parts: Sequence[str], known: Mapping[str, str], ignore: Sequence[str]) -> Table:
    """The pictures of class folders as a table with the columns path, given (the folder's name) and split.

    Args:
        root: the folder.
        parts: folders in it that hold the class folders of a part each; none: they are in root itself.
        known: names of class folders; others with pictures are refused, unless they are to be ignored.
        ignore: names of class folders that are left out.

    Raises:
        BadInput: a folder that is missing, has no pictures or no such class.
    """
    if not root.is_dir():
        raise BadInput(f"{root}: no such folder; check data.pictures, which is relative to the folder of the TOML file")
    columns: dict[str, list[str]] = {"path": [], "given": [], "split": []}
    for part in parts or [""]:
        here = root / part
        if not here.is_dir():
            raise BadInput(f"{here}: no such folder; check [split], which names the folders of the parts")
        for name in contents(here)[1]:
            if name in ignore:
                continue
            found, _ = pictures_below(here / name)
            if found and name not in known:
                hint = str(unknown("class", name, known)).partition(": ")[2]
                remedy = "add it to protocol.labels or data.ignore, or to [data.values] with the class that it means"
                raise BadInput(f"{here / name}: no such class ({hint}); {remedy}")
            before = f"{part}/{name}" if part else name
            columns["path"] += [f"{before}/{path}" for path in found]
            columns["given"] += [name] * len(found)
            columns["split"] += [part] * len(found)
    count = len(columns["path"])
    if not count:
        raise BadInput(f"{root}: no pictures in class folders; see {', '.join(PICTURES)}")
    return Table((root,), columns, list(range(1, count + 1)))


def left_out(root: Path, parts: Sequence[str], ignore: Sequence[str] = ()) -> dict[str, list[str]]:
    """What lies in class folders and beside them, and is no picture of a class: what it is -> paths relative to root.

    Args:
        root, parts: as in `read_folders`.
        ignore: names of folders that are left out on purpose.
    """
    found: dict[str, list[str]] = {}
    for part in dict.fromkeys([*parts, ""]):
        if not (root / part).is_dir():
            continue
        files, folders = contents(root / part)
        before = f"{part}/" if part else ""
        for name in filter(_seems_picture, files):
            found.setdefault("pictures beside the class folders", []).append(before + name)
        for name in folders:
            if name in ignore or name in parts:
                continue
            pictures, others = pictures_below(root / part / name)
            if parts and not part:
                if pictures:
                    what = f"pictures in the folder {name}, which is no part"
                    found.setdefault(what, []).extend(f"{name}/{path}" for path in pictures)
                continue
            dead = [path for path in pictures if not os.path.exists(root / part / name / path)]
            for path in (*dead, *others):
                found.setdefault(_kind(root / part / name / path), []).append(f"{before}{name}/{path}")
    return found


def _seems_picture(name: str) -> bool:
    return name.lower().endswith((*PICTURES, *_NOT_DECODED))


def _kind(file: Path) -> str:
    """What a file in a class folder is, if it is no picture that can be decoded."""
    if not os.path.exists(file):
        return _DEAD
    ending = file.suffix.lower()
    if ending in _NOT_DECODED:
        return f"{ending} files, which are not decoded"
    return f"{ending} files, no pictures" if ending else "files without an extension, no pictures"


def told_left_out(root: Path, parts: Sequence[str]) -> str:
    """What lies in class folders and beside them and is not used, in one line; "" for nothing."""
    found = left_out(root, parts)
    return "; ".join(f"{len(paths):,} {what} ({first(paths)})" for what, paths in found.items())


def left_out_checks(own: OwnFiles) -> Iterator[Check]:
    """The checks that no picture in or beside class folders is left out; of other files only the number is told."""
    if own.table:
        return
    for what, paths in left_out(own.root, [text for text, _ in own.parts], own.ignore).items():
        if what.endswith("no pictures"):
            yield Check(what, len(paths), len(paths), first(paths))
        else:
            yield Check.none(what, paths)
