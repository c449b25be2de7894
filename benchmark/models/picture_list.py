"""Which pictures to predict for, and where the table goes: checked before a model is loaded, without PyTorch."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...protocols.errors import BadInput, printable

PATH, PREDICTED, PROBLEM = "path", "predicted", "problem"
ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp"})
_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Asked:
    """Pictures to predict for: names, as the table has them, relative to a folder."""

    root: Path
    names: tuple[str, ...]


def pictures_of(source: Path) -> Asked:
    """The picture, the pictures below a folder (sorted by name), or those that a CSV lists in its column `path`.

    Raises:
        BadInput: nothing there, no picture, no column `path`, or a picture listed twice.
    """
    if source.is_dir():
        names = sorted(
            path.relative_to(source).as_posix()
            for path in source.rglob("*")
            if path.suffix.lower() in ENDINGS and path.is_file()
        )
        if not names:
            raise BadInput(f"{source}: no picture in this folder ({', '.join(sorted(ENDINGS))})")
        return Asked(source, tuple(names))
    if not source.is_file():
        raise BadInput(f"{source}: no such file or folder; name a picture, a folder of pictures or a CSV of paths")
    if source.suffix.lower() in (".csv", ".tsv", ".txt"):
        return _listed(source)
    return Asked(source.parent, (source.name,))


def _listed(table: Path) -> Asked:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            heading = file.readline()
            file.seek(0)
            rows = list(csv.DictReader(file, delimiter=max(_DELIMITERS, key=heading.count)))
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadInput(f"{table}: not a CSV table in UTF-8 ({printable(str(error))[:120]})") from error
    if not rows or PATH not in rows[0]:
        found = ", ".join(printable(str(name)) for name in rows[0]) if rows else "no row"
        raise BadInput(f"{table}: a column '{PATH}' with the pictures' paths is needed; found: {found[:200]}")
    names = [row[PATH] or "" for row in rows]
    first: dict[str, int] = {}
    for line, name in enumerate(names, 2):
        if not name.strip():
            raise BadInput(f"{table}: line {line} has no path")
        if name in first:
            raise BadInput(f"{table}: {printable(name)} stands in lines {first[name]} and {line}; list it once")
        first[name] = line
    return Asked(table.parent, tuple(names))


def check_output(out: Path, inputs: Sequence[Path]) -> None:
    """Raises BadInput where a file to write has no folder to be in, is no regular file, or is one that is read."""
    if not out.parent.is_dir():
        raise BadInput(f"--out {out}: there is no folder {out.parent}; make it first")
    if out.exists() and not out.is_file():
        raise BadInput(f"--out {out}: not a regular file; name another")
    if any(out.exists() and each.exists() and out.samefile(each) for each in inputs):
        raise BadInput(f"--out {out}: this file is read, and would be replaced; name another")


def check_table(out: Path, inputs: Sequence[Path]) -> None:
    """The same, and where a table of predictions would replace another file."""
    check_output(out, inputs)
    if out.exists() and not out.read_bytes()[: len(PATH) + 1 + len(PREDICTED)] == f"{PATH},{PREDICTED}".encode():
        raise BadInput(f"--out {out}: a file that is no table of predictions is there; remove it or name another")
