"""Printing where the encoding of the output lacks a letter, as cp1252 does "−" and Latin-1 does "†"."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

_HANDLER = "fernoise-spelled-out"
_BY_DEFAULT = ("strict", "surrogateescape", "backslashreplace")  # another handler was asked for in PYTHONIOENCODING
_SPELLINGS = {
    **{"−": "-", "–": "-", "—": "-", "±": "+/-", "×": "x", "·": "-", "°": " degrees", "→": "->", "∞": "infinity"},
    **{"≥": ">=", "≤": "<=", "≠": "!=", "≈": "~", "✓": "yes", "§": "(S)", "†": "(+)", "‡": "(++)"},
    **{"↗": "(^)", "◇": "(*)"},
    **{"“": '"', "”": '"', "‘": "'", "’": "'", "ł": "l", "Ł": "L", "ı": "i", "œ": "oe"},
}


def spell_out_what_cannot_be_encoded() -> None:
    """Lets standard output and error spell out letters that their encoding lacks, instead of raising an error."""
    codecs.register_error(_HANDLER, _spelled_out)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in _BY_DEFAULT:
            stream.reconfigure(errors=_HANDLER)


def _spelled_out(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(spelling, error.object[error.start : error.end])), error.end


def spelling(letter: str) -> str:
    """A letter in ASCII: "−" as "-", "τ" as "tau", "é" as "e", a byte of a file name that is no text as "\\xe9"."""
    if letter in _SPELLINGS:
        return _SPELLINGS[letter]
    kind, _, name = unicodedata.name(letter, "").partition(" LETTER ")
    if kind in ("GREEK SMALL", "GREEK CAPITAL"):
        return name.lower() if kind == "GREEK SMALL" else name.capitalize()
    plain = "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))
    if plain and plain.isascii():
        return plain
    if "\udc80" <= letter <= "\udcff":  # how Python holds a byte that is not UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("ascii", "backslashreplace").decode()
