"""Pictures in class folders: `CLASS/picture`, or `train/CLASS/picture` and so on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import BadInput, unknown
from ..readers.folders import contents, files_below
from .tables import Table

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def is_picture(name: str) -> bool:
    """Whether a file name is that of a picture, by its extension."""
    return name.lower().endswith(PICTURES)


def read_folders(root: Path, parts: Sequence[str], known: Mapping[str, str], ignore: Sequence[str]) -> Table:
    """The pictures of class folders as a table with the columns path, given (the folder's name) and split.

    Args:
        root: the folder.
        parts: folders in it that hold the class folders of a part each; none: they are in root itself.
        known: names of class folders; others are refused, unless they are to be ignored.
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
            if name not in known:
                hint = str(unknown("class", name, known)).partition(": ")[2]
                raise BadInput(f"{here / name}: no such class ({hint}); add it to protocol.labels or data.ignore")
            found = [path for path in files_below(here / name) if is_picture(path)]
            before = f"{part}/{name}" if part else name
            columns["path"] += [f"{before}/{path}" for path in found]
            columns["given"] += [name] * len(found)
            columns["split"] += [part] * len(found)
    count = len(columns["path"])
    if not count:
        raise BadInput(f"{root}: no pictures in class folders; see {', '.join(PICTURES)}")
    return Table((root,), columns, list(range(1, count + 1)))
