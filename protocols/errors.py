"""The errors a user can put right."""

from __future__ import annotations

import difflib
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable

# A header of NumPy's is a Python literal, and archives may be packed in several ways: each has errors of its own.
UNREADABLE = (
    OSError, ValueError, EOFError, LookupError, TypeError, SyntaxError, RuntimeError, ArithmeticError, MemoryError,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError,
)  # fmt: skip


class BadInput(ValueError):
    """Bad usage or bad data: one line that names the thing, the place and what to do. The command line exits with 2."""


def printable(text: str) -> str:
    """Text from outside as one line that a terminal cannot be steered by: control characters, invisible marks and marks
    that turn the direction of writing are written out as escapes.
    """
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in line)


def unknown(kind: str, name: str, known: Iterable[str]) -> BadInput:
    """The error for a name that does not exist, with the nearest names that do.

    Args:
        kind: what was named, as the user would say it ("protocol", "method").
        name: what was typed.
        known: the names that exist.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return BadInput(f"unknown {kind} '{name}': {hint}")
