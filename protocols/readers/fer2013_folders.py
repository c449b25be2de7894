"""The folder form of FER+: FER2013Train, FER2013Valid and FER2013Test with PNG files and a label.csv each."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import BadInput
from .fer2013_csv import FETCH_FERPLUS, SIDE, VOTES, parse_votes
from .text_lines import Line, read_lines, shown

FOLDERS = ("FER2013Train", "FER2013Valid", "FER2013Test")
LABELS = "label.csv"
# Size in bytes (with LF line ends) of the first label.csv files that FER+ published; later ones differ in size.
_FIRST_RELEASE = (1_491_168, 187_137, 186_598)
_MAKE = "make the folders again with src/generate_training_data.py of github.com/microsoft/FERPlus"
# The exceptions that Pillow raises for damaged PNG files.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def read_folders(
    root: Path,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_], NDArray[np.int8]]:
    """The images, votes, names and usage of the three folders, in the order of their label.csv files.

    A line of label.csv is a name, in older copies the box "(0, 0, 48, 48)", and ten votes. If several lines have the
    same name the last one is used, since the images were written to the same file and the last one remained.

    Returns:
        images uint8 [N, 48, 48], votes int64 [N, 10], names [N], usage int8 [N] 0-2.

    Raises:
        BadInput: a folder, label.csv or PNG that is missing, damaged or of another form.
    """
    images, votes, names, usage = [], [], [], []
    for code, folder in enumerate(FOLDERS):
        if not (root / folder).is_dir():
            raise BadInput(f"{root}: FER+ folders, but no {folder} among them; {_MAKE}")
        for name, (line, counts) in _labels(root / folder / LABELS).items():
            images.append(_image(root / folder / name, line))
            votes.append(counts)
            names.append(name)
            usage.append(code)
    return np.stack(images), np.array(votes, np.int64), np.array(names, np.str_), np.array(usage, np.int8)


def is_first_release(root: Path) -> bool:
    """Whether the label.csv files have the sizes of FER+'s first release.

    Its votes differ from fer2013new.csv for some images that occur more than once, whose votes FER+ later made equal.
    """
    texts = [(root / folder / LABELS).read_bytes() for folder in FOLDERS]
    return tuple(len(text) - text.count(b"\r") for text in texts) == _FIRST_RELEASE


def _labels(path: Path) -> dict[str, tuple[Line, list[int]]]:
    """The line and the votes of each name."""
    if not path.exists():
        raise BadInput(f"{path}: missing; {FETCH_FERPLUS}")
    labels: dict[str, tuple[Line, list[int]]] = {}
    for line in read_lines(path, FETCH_FERPLUS):
        fields = line.fields()
        if len(fields) not in (1 + len(VOTES), 2 + len(VOTES)):
            raise line.error(f"{len(fields)} fields, not a name, an optional box and {len(VOTES)} votes")
        name = fields[0]
        if not name.endswith(".png") or Path(name).name != name:
            raise line.error(f"{shown(name)} is no name of a PNG file")
        # Popped first, so that a repeated name has the position of its last line.
        labels.pop(name, None)
        labels[name] = line, parse_votes(line, fields[-len(VOTES) :])
    return labels


def _image(path: Path, line: Line) -> NDArray[np.uint8]:
    """The image uint8 [48, 48] of a line of label.csv."""
    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=["PNG"]) as image:
            if image.size != (SIDE, SIDE) or image.mode != "L":
                form = f"{image.width}x{image.height} pixels, mode {image.mode}"
                raise BadInput(f"{path}: {form}, instead of {SIDE}x{SIDE}, mode L (8-bit grey); {_MAKE}")
            return np.array(image)
    except BadInput:
        raise
    except FileNotFoundError as error:
        raise line.error(f"{shown(path.name)} is not in the folder", _MAKE) from error
    except _BROKEN as error:
        raise BadInput(f"{path}: no readable PNG ({type(error).__name__}); {_MAKE}") from error
