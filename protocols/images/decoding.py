"""Decoding of pictures and video frames to RGB, and square crops of their face boxes.

Pixels are used as stored: EXIF orientation, colour profiles and transparency are ignored, and of an animation only the
first image is used. The face box, or the whole picture, is resized to a square by Pillow's bilinear filter, which
averages when it reduces; a picture of the right size keeps its pixels.
"""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from ..errors import BadInput
from ..files import Array, written_otherwise
from .video import decode_frames

LARGEST = 1 << 26
"""The largest number of pixels of a picture: 192 MiB in RGB."""

Pixels = NDArray[np.uint8]
Box = Sequence[float] | Array | None
T = TypeVar("T")
Make = Callable[[Path, Image.Image, Box], T]
"""A function of a decoded RGB picture and its face box; the path is for error messages (BadInput)."""

# Only these formats, since Pillow decodes some others with external programs.
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "TIFF", "WEBP")
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
# The exceptions that decoders raise for damaged files.
DAMAGED = (
    OSError, SyntaxError, ValueError, EOFError, ArithmeticError, LookupError, TypeError, AttributeError, MemoryError,
    RuntimeError, struct.error, zlib.error,
)  # fmt: skip
_REMEDY = "unpack or fetch the file again"
_LARGEST_FILE = 5 * LARGEST  # bytes: four channels without compression, and room for metadata
# Each scan of a JPEG goes over the whole picture: at most the work of the largest picture in the usual ten scans.
_MOST_SCANNED = 10 * LARGEST
_LEAST_SCANNED = 1 << 16  # pixels: a scan of fewer costs as much
_START_OF_SCAN = b"\xff\xda"
_SIXTEEN_BITS = re.compile(r";16[BLN]")  # in Pillow's names of pixel layouts, which it reduces to 8 bits in colour


def load(path: Path, make: Make[T], box: Box = None) -> T:
    """Decodes a picture (JPEG, PNG, BMP, GIF, TIFF or WebP, with any extension) and applies `make` to it.

    Raises:
        BadInput: the picture is missing, damaged or truncated, has no pixels, more than LARGEST pixels, a JPEG of more
            scans than could be decoded in seconds, or not 8 bits per channel, or as raised by `make`.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns about unusual metadata, and about sizes that are checked below.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as picture:
                _check(path, picture)
                decoded = picture.convert("RGB")
    except BadInput:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except DAMAGED as error:
        other = written_otherwise(path) if isinstance(error, FileNotFoundError) else ""
        remedy = f"{other}: rename that file, or write its name into the table" if other else f"; {_REMEDY}"
        raise BadInput(f"{path}: {_reason(path, error)}{remedy}") from error
    return make(path, decoded, box)


def fit(path: Path, picture: Image.Image, box: Box, side: int) -> Pixels:
    """The square crop uint8 [side, side, 3] of a decoded RGB picture.

    Args:
        path: of the picture, for errors.
        picture: the picture.
        box: left, top, width, height of the face, clipped to the picture. None or NaN: the whole picture.
        side: size of the crop in pixels.

    Raises:
        BadInput: the box is outside the picture or not finite.
    """
    square = picture.resize((side, side), Image.Resampling.BILINEAR, box=corners(path, picture, box))
    return np.asarray(square, dtype=np.uint8)


def corners(path: Path, picture: Image.Image, box: Box) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a box clipped to the picture; of the whole picture without a box.

    Raises:
        BadInput: the box is outside the picture or not finite.
    """
    width, height = picture.size
    left, top, right, bottom = 0.0, 0.0, float(width), float(height)
    if box is not None and not np.isnan(box).all():
        x, y, wide, high = (float(value) for value in box)
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + wide, width), min(y + high, height)
        if not (np.isfinite(box).all() and right - left >= 1 and bottom - top >= 1):
            shown = ", ".join(f"{value:g}" for value in (x, y, wide, high))
            what = f"the face box ({shown}) is not in the picture of {width} x {height} pixels"
            raise BadInput(f"{path}: {what}; check the label file and the picture")
    return left, top, right, bottom


def decode_rows(
    root: Path, paths: Sequence[str], frames: Array, boxes: Array, make: Make[T]
) -> Iterator[tuple[int, T | BadInput]]:
    """Decodes pictures, or frames of one video, one at a time; continues after a bad one.

    Args:
        root: the folder that paths are relative to.
        paths: the picture of each row, or the same video for all.
        frames: int64 [n], 0-based frames of the video in any order, possibly repeated; -1 for pictures.
        boxes: float64 [n, 4], the face boxes.
        make: the function applied to each picture.

    Returns:
        An iterator of (position among the rows, result or error), each position once.
    """
    if len(frames) and frames[0] >= 0:
        yield from _decode_video(root / paths[0], frames, boxes, make)
        return
    for position, (path, box) in enumerate(zip(paths, boxes, strict=True)):
        try:
            yield position, load(root / path, make, box)
        except BadInput as error:
            yield position, error


def _decode_video(path: Path, frames: Array, boxes: Array, make: Make[T]) -> Iterator[tuple[int, T | BadInput]]:
    numbers = np.unique(frames)
    rows = np.argsort(frames, kind="stable")
    rows_of_number = np.split(rows, np.searchsorted(frames[rows], numbers[1:]))
    decoded = 0
    try:
        for positions, pixels in zip(rows_of_number, decode_frames(path, numbers), strict=True):
            decoded += 1
            picture = Image.fromarray(pixels)
            for position in positions.tolist():
                try:
                    yield position, make(path, picture, boxes[position])
                except BadInput as error:
                    yield position, error
    except BadInput as error:
        yield from ((position, error) for positions in rows_of_number[decoded:] for position in positions.tolist())


def _check(path: Path, picture: Image.Image) -> None:
    width, height = picture.size
    if min(width, height) < 1:
        raise BadInput(f"{path}: a picture of {width} x {height} pixels; {_REMEDY}")
    if width * height > LARGEST:
        raise _too_large(path, f" of {width:,} x {height:,}")
    if picture.mode not in _MODES or _has_sixteen_bits(picture):
        depth = " with 16 bits per channel" * (picture.mode in _MODES)
        raise BadInput(f"{path}: pixels of mode {picture.mode}{depth}; save the picture with 8 bits per channel")
    if path.stat().st_size > _LARGEST_FILE:
        raise BadInput(f"{path}: a file of more than {_LARGEST_FILE:,} bytes; save the picture again without metadata")
    if isinstance(picture, JpegImageFile):
        _check_scans(path, width * height)


def _has_sixteen_bits(picture: Image.Image) -> bool:
    """Whether the file has 16 bits per channel, where Pillow decodes it with 8."""
    layouts = (args if isinstance(args, str) else args[0] for *_, args in getattr(picture, "tile", ()) if args)
    return any(_SIXTEEN_BITS.search(str(layout)) for layout in layouts)


def _check_scans(path: Path, pixels: int) -> None:
    scans = count_scans(path.read_bytes())
    if scans * max(pixels, _LEAST_SCANNED) > _MOST_SCANNED:
        what = f"a JPEG of {pixels:,} pixels in {scans:,} scans, which take too long to decode"
        raise BadInput(f"{path}: {what}; save the picture again")


def count_scans(content: bytes) -> int:
    """How many scans a JPEG has.

    A scan begins with two bytes that occur in no compressed data, but in metadata, whose thumbnails have scans too.
    """
    at = 2
    while content[at : at + 1] == b"\xff" and content[at : at + 2] != _START_OF_SCAN:
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return content.count(_START_OF_SCAN, at)


def _too_large(path: Path, size: str = "") -> BadInput:
    remedy = "remove it, or save it smaller and scale its face box"
    return BadInput(f"{path}: a picture{size}, more than {LARGEST:,} pixels; {remedy}")


def _reason(path: Path, error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        kinds = "JPEG, PNG, BMP, GIF, TIFF or WebP"
        return f"no {kinds} picture" if path.stat().st_size else "the file is empty"
    if isinstance(error, FileNotFoundError):
        return "a link to a file that is not there" if path.is_symlink() else "the picture is missing"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read ({error.strerror})"
    text = " ".join(str(error).split())[:80] or type(error).__name__
    return f"the picture is damaged ({text})"
