"""Errors caused by user input, which the command line reports in one line."""

from __future__ import annotations

import difflib
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable

# The exceptions that damaged files can raise: NumPy headers are Python literals, archives have several compressions.
UNREADABLE = (
    OSError, ValueError, EOFError, LookupError, TypeError, SyntaxError, RuntimeError, ArithmeticError, MemoryError,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError,
)  # fmt: skip


class BadInput(ValueError):
    """Bad usage or bad data. The message is one line with what is wrong, where, and the remedy; exit code 2."""


def printable(text: str) -> str:
    """Untrusted text as one line that is safe to print: control, invisible and bidirectional characters are escaped."""
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in line)


def unknown(kind: str, name: str, known: Iterable[str]) -> BadInput:
    """The error for an unknown name, with the most similar known names.

    Args:
        kind: what the name stands for ("protocol", "method").
        name: the unknown name.
        known: the known names.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return BadInput(f"unknown {kind} '{name}': {hint}")
