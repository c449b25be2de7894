"""Video frames: their number without decoding, and their pixels decoded by PyAV."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput

# The stream header of an AVI file: type, then 28 bytes of codec, flags and rates, then the length in frames.
_STREAM = re.compile(rb"strh.{4}vids.{28}(.{4})", re.DOTALL)
_HEADER = 1 << 16

_FLV_TAG = 11  # bytes before the content of a tag; after it follow 4 bytes with its length
_VIDEO = 9
_H264, _COMMAND, _PICTURE = 7, 5, 1


def avi_length(path: Path) -> int | None:
    """The number of frames stated in the header of an AVI file, without decoding; None if it states none.

    Raises:
        BadInput: unreadable, or no AVI file.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
    if head[:4] != b"RIFF" or head[8:12] != b"AVI ":
        raise BadInput(f"{path}: no AVI video, it starts with {head[:12]!r}; unpack the file again")
    stream = _STREAM.search(head)
    length = int.from_bytes(stream[1], "little") if stream else 0
    return length or None


def flv_length(path: Path) -> int:
    """The number of frames of an FLV file, by its video tags, without decoding.

    Tags that the end of the file cuts off do not count, nor do those without a picture: commands of the player, and
    headers and ends of H.264 streams.

    Raises:
        BadInput: unreadable, or no FLV file.
    """
    count = 0
    try:
        with path.open("rb", buffering=0) as file:
            size, head = os.fstat(file.fileno()).st_size, file.read(9)
            if head[:3] != b"FLV" or len(head) < 9:
                raise BadInput(f"{path}: no FLV video, it starts with {head!r}; fetch the file again")
            place = int.from_bytes(head[5:], "big") + 4
            while place + _FLV_TAG <= size:
                file.seek(place)
                tag = file.read(_FLV_TAG + 2)
                place += _FLV_TAG + int.from_bytes(tag[1:4], "big")
                count += place <= size and _has_picture(tag)
                place += 4
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
    return count


def _has_picture(tag: bytes) -> bool:
    """Whether a tag of an FLV file, of which the first 13 bytes are given, has a picture."""
    content = tag[_FLV_TAG:] if int.from_bytes(tag[1:4], "big") else b""
    if tag[0] & 0x1F != _VIDEO or not content or content[0] >> 4 == _COMMAND:
        return False
    return content[0] & 0x0F != _H264 or content[1:2] == bytes([_PICTURE])


def decode_frames(path: Path, frames: Sequence[int] | NDArray[np.integer[Any]]) -> Iterator[NDArray[np.uint8]]:
    """Decodes frames of a video sequentially from its start, so that a number always refers to the same picture.

    Seeking by time would be faster but gives a neighbouring frame in some files.

    Args:
        path: the video.
        frames: 0-based numbers in strictly ascending order; frame n is the (n+1)-th frame of the decoder.

    Returns:
        An iterator of uint8 [H, W, 3] in RGB, one for each number; one picture is in memory at a time.

    Raises:
        BadInput: PyAV is not installed; while iterating: the video is damaged, or has too few frames.
        ValueError: numbers that are negative or not ascending.
    """
    numbers = [int(frame) for frame in frames]
    if any(later <= earlier for earlier, later in zip([-1, *numbers], numbers, strict=False)):
        raise ValueError("frame numbers must ascend from 0")
    try:
        # Imported by name, since this optional dependency may not be installed for type checkers.
        av = importlib.import_module("av")
    except ImportError as error:
        raise BadInput(f"{path}: reading a video needs PyAV: pip install 'fernoise-bench[video]'") from error
    return _decode(av, path, numbers)


def _decode(av: Any, path: Path, numbers: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    if not numbers:
        return
    wanted, index = set(numbers), -1
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise BadInput(f"{path}: no video in this file; unpack it again")
            stream = container.streams.video[0]
            # One thread, since several processes decode several videos at the same time.
            stream.codec_context.thread_count = 1
            for index, frame in enumerate(container.decode(stream)):
                if index in wanted:
                    yield frame.to_ndarray(format="rgb24")
                if index == numbers[-1]:
                    return
    except av.error.FFmpegError as error:
        what = f"cannot be decoded after {index + 1:,} frames ({error.strerror})"
        raise BadInput(f"{path}: {what}; unpack the file again") from error
    raise BadInput(f"{path}: no frame {numbers[-1]}, the video has {index + 1:,} frames; unpack the file again")
