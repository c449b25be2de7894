"""Archives where a table or a folder was meant: how they are recognised, and the command that unpacks them."""

from __future__ import annotations

import re
from pathlib import Path
from shlex import quote

# Ending of the name -> first bytes of the file, command.
_KINDS = {
    ".zip": (b"PK\x03\x04", "unzip {file} -d {folder}"),
    ".gz": (b"\x1f\x8b", "gunzip {file}"),
    ".rar": (b"Rar!\x1a\x07", "unrar x {file} {folder}/"),
    ".7z": (b"7z\xbc\xaf\x27\x1c", "7z x {file} -o{folder}"),
}
_TAR = re.compile(r"\.(?:tar(?:\.\w+)?|tgz|tbz2?|txz)$", re.IGNORECASE)
_UNPACK_TAR = "mkdir -p {folder} && tar -xf {file} -C {folder}"


def ending_of(name: str) -> str:
    """The ending of an archive's name (".zip", ".tar.gz"), or an empty string; .pth.tar is a checkpoint of PyTorch."""
    if ".pth" in name:
        return ""
    if match := _TAR.search(name):
        return match[0]
    return next((name[-len(ending) :] for ending in _KINDS if name.lower().endswith(ending)), "")


def kind_of(start: bytes) -> str:
    """The usual ending of the name of an archive, from its first bytes; an empty string for another file."""
    return next((ending for ending, (mark, _) in _KINDS.items() if start.startswith(mark)), "")


def unpack(file: Path, ending: str, folder: Path) -> str:
    """The command that unpacks an archive into a folder."""
    command = _UNPACK_TAR if _TAR.fullmatch(ending) else _KINDS[ending.lower()][1]
    return command.format(file=quote(str(file)), folder=quote(str(folder)))
