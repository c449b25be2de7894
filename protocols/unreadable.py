"""What reading a damaged file may raise, whichever library reads it."""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib

# A header of NumPy's is a Python literal, and archives may be packed in several ways: each has errors of its own.
UNREADABLE = (
    OSError, ValueError, EOFError, LookupError, TypeError, SyntaxError, RuntimeError, ArithmeticError, MemoryError,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError,
)  # fmt: skip
