"""fer2013.csv (or icml_face_data.csv) and fer2013new.csv: the two tables of the CSV layout."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput
from ..labels import FERPLUS_CLASSES
from .text_lines import (
    FETCH_FER2013,
    FETCH_FERPLUS,
    PIXELS,
    SIDE,
    USAGES,
    bad_line,
    fields_of,
    header_columns,
    lines,
    shown,
)

VOTES = (*FERPLUS_CLASSES, "unknown", "NF")
_COUNTS = {str(n).encode(): n for n in range(11)}

Row = tuple[int, bytes]
Images = NDArray[np.uint8]

# Rows parsed at once: a block of text and its temporaries then stay in the processor's cache.
_BATCH = 64
_LABELS = {str(code).encode(): code for code in range(7)}
_USAGES = {name.encode(): code for code, name in enumerate(USAGES)}


def read_faces(path: Path) -> tuple[Images, NDArray[np.int64], NDArray[np.int8]]:
    """The images, labels and usage of fer2013.csv or icml_face_data.csv, columns found by name.

    Returns:
        images uint8 [N, 48, 48], FER2013 codes int64 [N] 0-6, usage int8 [N] 0-2, in the order of the file.

    Raises:
        BadInput: any line that is not a label 0-6, 2,304 pixels 0-255 and a known usage.
    """
    rows = lines(path, FETCH_FER2013)
    columns, width = header_columns(path, rows, ("emotion", "pixels", "Usage"), FETCH_FER2013)
    images, labels, usage = [], [], []
    while batch := list(islice(rows, _BATCH)):
        parts = [_cells(path, row, columns, width) for row in batch]
        labels += [part[0] for part in parts]
        usage += [part[2] for part in parts]
        texts = [part[1] for part in parts]
        block = _parse_block(texts)
        images.append(_parse_rows(path, batch, texts) if block is None else block)
    if not images:
        raise BadInput(f"{path}: a header and no rows; {FETCH_FER2013}")
    return np.concatenate(images), np.array(labels, np.int64), np.array(usage, np.int8)


def read_votes(path: Path) -> tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.int8]]:
    """The votes, image names and usage of fer2013new.csv, columns found by name.

    Returns:
        votes int64 [N, 10], names [N] (empty where the file gives none), usage int8 [N] 0-2, in the order of the file.

    Raises:
        BadInput: a line with another number of fields, an unknown usage or a count outside 0-10.
    """
    rows = lines(path, FETCH_FERPLUS)
    (usage_at, name_at, *votes_at), width = header_columns(path, rows, ("Usage", "Image name", *VOTES), FETCH_FERPLUS)
    votes, names, usage = [], [], []
    for number, line in rows:
        fields = fields_of(path, number, line, FETCH_FERPLUS)
        if len(fields) != width:
            raise bad_line(path, number, line, f"{len(fields)} fields instead of {width}", FETCH_FERPLUS)
        word = fields[usage_at].encode()
        if word not in _USAGES:
            raise bad_line(path, number, line, _not_usage(word), FETCH_FERPLUS)
        usage.append(_USAGES[word])
        names.append(fields[name_at])
        votes.append(parse_votes(path, number, line, [fields[at] for at in votes_at], FETCH_FERPLUS))
    if not votes:
        raise BadInput(f"{path}: a header and no rows; {FETCH_FERPLUS}")
    return np.array(votes, np.int64), np.array(names, np.str_), np.array(usage, np.int8)


def _not_usage(word: bytes) -> str:
    return f"Usage {shown(word)}, not one of {', '.join(USAGES)}"


def _cells(path: Path, row: Row, columns: Sequence[int], width: int) -> tuple[int, bytes, int]:
    """The label, the pixels as text and the usage of one row."""
    number, line = row
    # No field of this table holds a comma, so quotes need only be taken off.
    fields = line.split(b",")
    if len(fields) != width:
        raise bad_line(path, number, line, f"{len(fields)} fields instead of {width}", FETCH_FER2013)
    label, pixels, usage = (fields[at].strip(b' "\r\n') for at in columns)
    if label not in _LABELS:
        raise bad_line(path, number, line, f"label {shown(label)}, not an integer 0 to 6", FETCH_FER2013)
    if usage not in _USAGES:
        raise bad_line(path, number, line, _not_usage(usage), FETCH_FER2013)
    return _LABELS[label], pixels, _USAGES[usage]


def _parse_block(texts: Sequence[bytes]) -> Images | None:
    """Images [len(texts), 48, 48], or None unless every text is 2,304 numbers 0-255 with single blanks between."""
    text = np.frombuffer(b" ".join([*texts, b""]), np.uint8)
    blanks = np.flatnonzero(text == ord(" "))
    row_ends = np.cumsum([len(part) + 1 for part in texts]) - 1
    if len(blanks) != PIXELS * len(texts) or not np.array_equal(blanks[PIXELS - 1 :: PIXELS], row_ends):
        return None
    digits = text - np.uint8(ord("0"))
    lengths = np.diff(blanks, prepend=-1) - 1
    if np.count_nonzero(digits > 9) != len(blanks) or lengths.min() < 1 or lengths.max() > 3:
        return None
    values = digits[blanks - 1].astype(np.uint16)
    values += np.where(lengths > 1, digits[blanks - 2], 0) * np.uint16(10)
    values += np.where(lengths > 2, digits[blanks - 3], 0) * np.uint16(100)
    return None if values.max() > 255 else values.astype(np.uint8).reshape(-1, SIDE, SIDE)


def _parse_rows(path: Path, batch: Sequence[Row], texts: Sequence[bytes]) -> Images:
    """What `_parse_block` returns, word by word: finds the line at fault, and takes runs of blanks."""
    images = np.empty((len(texts), PIXELS), np.uint8)
    for image, (number, line), text in zip(images, batch, texts, strict=True):
        words = text.split()
        for at, word in enumerate(words, 1):
            if not word.isdigit() or len(word) > 3 or int(word) > 255:
                what = f"pixel {at} is {shown(word)}, not an integer 0 to 255"
                raise bad_line(path, number, line, what, FETCH_FER2013)
        if len(words) != PIXELS:
            what = f"{len(words)} pixels instead of {PIXELS} (the last is {shown(words[-1] if words else b'')})"
            raise bad_line(path, number, line, what, FETCH_FER2013)
        image[:] = [int(word) for word in words]
    return images.reshape(-1, SIDE, SIDE)


def parse_votes(path: Path, number: int, line: bytes, words: Sequence[str], remedy: str) -> list[int]:
    """The ten vote counts of one line.

    Raises:
        BadInput: a count that is no integer from 0 to 10.
    """
    for name, word in zip(VOTES, words, strict=True):
        if word.encode() not in _COUNTS:
            raise bad_line(path, number, line, f"votes for {name} {shown(word)}, not an integer 0 to 10", remedy)
    return [_COUNTS[word.encode()] for word in words]
