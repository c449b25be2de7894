"""Miniature copies of DISFA: a few label lines of a few subjects, with videos or extracted frames."""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Lines = Mapping[str, int]
Picture = Callable[[int], np.ndarray]

AUS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
USED = (1, 2, 4, 6, 9, 12, 25, 26)
# Subjects of each published part, SN010 with a line less.
SOME: Lines = {"SN001": 6, "SN002": 6, "SN010": 5, "SN006": 6, "SN031": 6, "SN003": 6, "SN025": 6}


def tiny(index: int) -> np.ndarray:
    """A 32x32 picture, uint8 [32, 32, 3], of which neighbours differ by far more than a codec's loss."""
    return np.full((32, 32, 3), index * 97 % 256, np.uint8)


def intensity(subject: str, line: int, au: int) -> int:
    """What is written for an action unit in a line, counted from 0: 0 to 5."""
    return (sum(map(ord, subject)) + 5 * line + 3 * au) % 6


def write_labels(
    root: Path,
    lines: Lines = SOME,
    end: str = "\n",
    start: int = 1,
    intensity: Callable[[str, int, int], int] = intensity,
) -> None:
    """Label files of all twelve action units, the biggest number first."""
    for subject, count in lines.items():
        folder = root / "ActionUnit_Labels" / subject
        folder.mkdir(parents=True, exist_ok=True)
        for au in reversed(AUS):
            rows = [f"{start + line},{intensity(subject, line, au)}{end}" for line in range(count)]
            with (folder / f"{subject}_au{au}.txt").open("w", newline="", encoding="ascii") as file:
                file.write("".join(rows))


def write_header(path: Path, frames: int) -> None:
    """An AVI file without pictures whose header states a length; needs no codec."""
    stream = struct.pack("<4s4sIHHIIIIIIIIHHHH", b"vids", b"XVID", 0, 0, 0, 0, 1, 20, 0, frames, 0, 0, 0, 0, 0, 32, 32)
    strl = b"strl" + b"strh" + struct.pack("<I", len(stream)) + stream
    hdrl = b"hdrl" + b"avih" + struct.pack("<I", 56) + bytes(56) + b"LIST" + struct.pack("<I", len(strl)) + strl
    body = b"AVI " + b"LIST" + struct.pack("<I", len(hdrl)) + hdrl
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def write_video(path: Path, pictures: Sequence[np.ndarray]) -> None:
    """A real AVI file, MPEG-4 with B-frames at 20 frames a second; needs PyAV."""
    av = importlib.import_module("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.max_b_frames = 2
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def write_videos(
    root: Path,
    lines: Lines = SOME,
    picture: Picture | None = tiny,
    side: str = "Left",
    folder: str = "Videos_LeftCamera",
    more: int = 0,
) -> Path:
    """The set as released; a video has `more` frames than its labels. Without a `picture`, headers only."""
    write_labels(root, lines)
    (root / folder).mkdir()
    index = 0
    for subject, count in lines.items():
        path = root / folder / f"{side}Video{subject}_comp.avi"
        if picture is None:
            write_header(path, count + more)
        else:
            write_video(path, [picture(index + frame) for frame in range(count + more)])
        index += count
    return root


def write_frames(
    root: Path,
    lines: Lines = SOME,
    folder: str = "img/{subject}",
    name: str = "{number}.png",
    base: int = 0,
    picture: Picture = tiny,
) -> Path:
    """Labels, and frames that somebody extracted."""
    write_labels(root, lines)
    index = 0
    for subject, count in lines.items():
        place = root / folder.format(subject=subject)
        place.mkdir(parents=True)
        for number in range(base, base + count):
            Image.fromarray(picture(index)).save(place / name.format(subject=subject, number=number))
            index += 1
    return root


def write_img(root: Path, lines: Lines = SOME, picture: Picture = tiny) -> Path:
    """As the lists of ME-GraphAU have it: img/SN001/0.png is line 1."""
    return write_frames(root, lines, picture=picture)


def write_subjects(root: Path, lines: Lines = SOME, picture: Picture = tiny) -> Path:
    """As the lists of JAA-Net have it, SN001/0.jpg, in the data set's folder."""
    return write_frames(root, lines, folder="{subject}", name="{number}.jpg", picture=picture)


def write_images(root: Path, lines: Lines = SOME, picture: Picture = tiny) -> Path:
    """As ffmpeg writes them: images/LeftVideoSN001_comp/LeftVideoSN001_comp_0001.png is line 1."""
    stem = "LeftVideo{subject}_comp"
    return write_frames(root, lines, f"images/{stem}", stem + "_{number:04d}.png", 1, picture)


EXTRACTED = (write_img, write_subjects, write_images)
