"""FER2013Train, FER2013Valid and FER2013Test: the folder form of FER+, PNG files with a label.csv in each."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import BadInput
from .fer2013_csv import VOTES, parse_votes
from .text_lines import FETCH_FERPLUS, SIDE, bad_line, fields_of, lines, shown

FOLDERS = ("FER2013Train", "FER2013Valid", "FER2013Test")
LABELS = "label.csv"
# Bytes of the first label.csv files FER+ published (line ends as LF), told from later ones by their length.
_FIRST_RELEASE = (1_491_168, 187_137, 186_598)
_MAKE = "make the folders again with src/generate_training_data.py of github.com/microsoft/FERPlus"
# What Pillow raises on a damaged PNG.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def read_folders(
    root: Path,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_], NDArray[np.int8]]:
    """The images, votes, names and usage of the three folders, in the order of their label.csv files.

    A line of label.csv is a name, in older copies the box "(0, 0, 48, 48)", and ten votes. Where a name stands on
    several lines the last one counts: the rows were written to one file, one after the other, and the last is there.

    Returns:
        images uint8 [N, 48, 48], votes int64 [N, 10], names [N], usage int8 [N] 0-2.

    Raises:
        BadInput: a folder, label.csv or PNG that is missing, damaged or of another form.
    """
    images, votes, names, usage = [], [], [], []
    for code, folder in enumerate(FOLDERS):
        if not (root / folder).is_dir():
            raise BadInput(f"{root}: FER+ folders, but no {folder} among them; {_MAKE}")
        for name, (number, line, counts) in _labels(root / folder / LABELS).items():
            images.append(_image(root / folder, name, number, line))
            votes.append(counts)
            names.append(name)
            usage.append(code)
    return np.stack(images), np.array(votes, np.int64), np.array(names, np.str_), np.array(usage, np.int8)


def is_first_release(root: Path) -> bool:
    """Whether the label.csv files have the lengths of those FER+ published first.

    Their votes differ from fer2013new.csv on some images that occur more than once, whose votes FER+ later made equal.
    """
    texts = [(root / folder / LABELS).read_bytes() for folder in FOLDERS]
    return tuple(len(text) - text.count(b"\r") for text in texts) == _FIRST_RELEASE


def _labels(path: Path) -> dict[str, tuple[int, bytes, list[int]]]:
    """Line number, line and votes of each name."""
    if not path.exists():
        raise BadInput(f"{path}: missing; {FETCH_FERPLUS}")
    labels: dict[str, tuple[int, bytes, list[int]]] = {}
    for number, line in lines(path, FETCH_FERPLUS):
        fields = fields_of(path, number, line, FETCH_FERPLUS)
        if len(fields) not in (1 + len(VOTES), 2 + len(VOTES)):
            what = f"{len(fields)} fields, not a name, an optional box and {len(VOTES)} votes"
            raise bad_line(path, number, line, what, FETCH_FERPLUS)
        name = fields[0]
        if not name.endswith(".png") or Path(name).name != name:
            raise bad_line(path, number, line, f"{shown(name)} is no name of a PNG file", FETCH_FERPLUS)
        # Popped first, so that a repeated name stands where its last line does.
        labels.pop(name, None)
        labels[name] = (number, line, parse_votes(path, number, line, fields[-len(VOTES) :], FETCH_FERPLUS))
    return labels


def _image(folder: Path, name: str, number: int, line: bytes) -> NDArray[np.uint8]:
    """One face, uint8 [48, 48]."""
    path = folder / name
    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=["PNG"]) as image:
            if image.size != (SIDE, SIDE) or image.mode != "L":
                form = f"{image.width}x{image.height} pixels, mode {image.mode}"
                raise BadInput(f"{path}: {form}, instead of {SIDE}x{SIDE}, mode L (8-bit grey); {_MAKE}")
            return np.array(image)
    except BadInput:
        raise
    except FileNotFoundError as error:
        raise bad_line(folder / LABELS, number, line, f"{shown(name)} is not in the folder", _MAKE) from error
    except _BROKEN as error:
        raise BadInput(f"{path}: no readable PNG ({type(error).__name__}); {_MAKE}") from error
