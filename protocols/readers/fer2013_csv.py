"""The CSV files of FER2013 and FER+: fer2013.csv (or icml_face_data.csv) has the faces, fer2013new.csv the votes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput
from ..labels import FERPLUS_CLASSES
from .text_lines import Line, read_lines, read_table, shown, whole

USAGES = ("Training", "PublicTest", "PrivateTest")
KAGGLE = 'Kaggle, "Challenges in Representation Learning: Facial Expression Recognition Challenge"'
FERPLUS_HOME = "github.com/microsoft/FERPlus"
FETCH_FER2013 = f"fetch the file again from {KAGGLE}"
FETCH_FERPLUS = f"fetch the file again from {FERPLUS_HOME}"
SIDE = 48
VOTES = (*FERPLUS_CLASSES, "unknown", "NF")

_PIXELS = SIDE * SIDE
_COLUMNS = ("emotion", "pixels", "Usage")
_CLASSES, _MOST_VOTES = 7, 10


def read_faces(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int8]]:
    """The images, labels and usage in fer2013.csv or icml_face_data.csv, columns found by name.

    Returns:
        images uint8 [N, 48, 48], FER2013 codes int64 [N] 0-6, usage int8 [N] 0-2, in the order of the file.

    Raises:
        BadInput: a line that is not a label 0-6, 2,304 pixels 0-255 and a known usage.
    """
    lines = read_lines(path, FETCH_FER2013)
    header = next(lines)
    columns, width = header.columns(_COLUMNS), len(header.fields())
    images, labels, usages = [], [], []
    for line in lines:
        # No field contains a comma, so that splitting and removing quotes replaces the slower csv module.
        fields = line.text.split(b",")
        if len(fields) != width:
            raise line.error(f"{len(fields)} fields instead of {width}")
        label, pixels, usage = (fields[column].strip(b' "\r\n') for column in columns)
        code = whole(label.decode())
        if code is None or code >= _CLASSES:
            raise line.error(f"label {shown(label)}, not an integer 0 to 6")
        labels.append(code)
        usages.append(_usage(line, usage.decode()))
        images.append(_image(line, pixels))
    if not images:
        raise BadInput(f"{path}: a header and no rows; {FETCH_FER2013}")
    return np.stack(images), np.array(labels, np.int64), np.array(usages, np.int8)


def read_votes(path: Path) -> tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.int8]]:
    """The votes, image names and usage in fer2013new.csv, columns found by name.

    Returns:
        votes int64 [N, 10], names [N] (empty where the file has none), usage int8 [N] 0-2, in the order of the file.

    Raises:
        BadInput: a line with another number of fields, an unknown usage, or a count outside 0-10.
    """
    votes, names, usages = [], [], []
    for line, (usage, name, *counts) in read_table(path, FETCH_FERPLUS, ("Usage", "Image name", *VOTES)):
        usages.append(_usage(line, usage))
        names.append(name)
        votes.append(parse_votes(line, counts))
    if not votes:
        raise BadInput(f"{path}: a header and no rows; {FETCH_FERPLUS}")
    return np.array(votes, np.int64), np.array(names, np.str_), np.array(usages, np.int8)


def _usage(line: Line, word: str) -> int:
    if word not in USAGES:
        raise line.error(f"Usage {shown(word)}, not one of {', '.join(USAGES)}")
    return USAGES.index(word)


def _image(line: Line, text: bytes) -> NDArray[np.uint8]:
    """The image uint8 [48, 48] of 2,304 pixels separated by blanks."""
    if text and not text.translate(None, b"0123456789 \t"):
        with contextlib.suppress(ValueError):  # a number of too many digits
            values = np.loadtxt([text.decode()], np.int64, ndmin=1)
            if len(values) == _PIXELS and values.max() <= 255:
                return values.astype(np.uint8).reshape(SIDE, SIDE)
    words = text.split()
    for number, word in enumerate(words, 1):
        if not word.isdigit() or len(word) > 3 or int(word) > 255:
            raise line.error(f"pixel {number} is {shown(word)}, not an integer 0 to 255")
    last = shown(words[-1] if words else b"")
    raise line.error(f"{len(words)} pixels instead of {_PIXELS} (the last is {last})")


def parse_votes(line: Line, words: Sequence[str]) -> list[int]:
    """The ten vote counts of a line.

    Raises:
        BadInput: a count that is no integer from 0 to 10.
    """
    counts = []
    for name, word in zip(VOTES, words, strict=True):
        count = whole(word)
        if count is None or count > _MOST_VOTES:
            raise line.error(f"votes for {name} {shown(word)}, not an integer 0 to 10")
        counts.append(count)
    return counts
