"""Summaries of bundles: the records of `NAME.zip`, read and computed once, lie in `NAME.summary` beside it.

They save a table the time and the room of unpacking the bundle. A summary names the SHA-256 of the bundle it was made
from, and is not used with any other; records are then read from the bundle itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import lzma
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.msgpack import Decoder, encode

from ...protocols.errors import UNREADABLE, BadInput
from ...protocols.files import write_atomic
from .bundle import LARGEST, expand, read_epochs_of
from .encoded import decode_record, encode_record
from .record import Record, load_records

FORMAT = 1  # raised with the layout of `encoded`, so that older summaries are not used

SUFFIX = ".summary"


class _Summary(Struct, array_like=True):
    """A bundle's digest, and the folder and the record of each of its trials."""

    format: int
    sha256: str
    trials: tuple[tuple[str, bytes], ...]


_SUMMARY = Decoder(_Summary)


def write_summary(bundle: Path) -> Path:
    """Writes the summary of a bundle beside it, atomically; the same bundle gives the same bytes.

    Raises:
        BadInput: the bundle, or one of its trials, is damaged.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "trials")
        expand(bundle, folder)
        records, damaged = load_records(folder)
    if damaged:
        raise BadInput(f"{bundle} has a damaged trial: {damaged[0]}")
    trials = tuple((record.folder, encode_record(record)) for record in records)
    target = bundle.with_suffix(SUFFIX)
    write_atomic(target, lzma.compress(encode(_Summary(FORMAT, _sha256(bundle), trials))))
    return target


def read_summary(bundle: Path, shared: dict[bytes, Any]) -> list[Record] | None:
    """The records of a bundle by its summary; None where there is none that was made from this very bundle.

    Args:
        bundle: the bundle, from which epochs are read when they are first accessed.
        shared: parts of records that were decoded before, by their bytes; new ones are added.
    """
    with contextlib.suppress(*UNREADABLE, AttributeError):
        content = lzma.LZMADecompressor().decompress(bundle.with_suffix(SUFFIX).read_bytes(), LARGEST)
        found: _Summary = _SUMMARY.decode(content)
        if (found.format, found.sha256) == (FORMAT, _sha256(bundle)):
            return [
                decode_record(folder, value, partial(read_epochs_of, bundle, folder), shared)
                for folder, value in found.trials
            ]
    return None


def _sha256(bundle: Path) -> str:
    return hashlib.sha256(bundle.read_bytes()).hexdigest()
