"""Miniature copies of CREMA-D: clips of a few actors, with votes as people give them."""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from fernoise_bench.protocols.faces.generate import Faces, FaceSpecification, faces
from fernoise_bench.protocols.labels import CREMAD_CLASSES

Picture = Callable[[int], np.ndarray]
Votes = Mapping[tuple[int, str], Sequence[int]]
"""Mode 1 to 3 and name of the clip -> votes A D F H N S."""

_WOMEN = (
    "1002 1003 1004 1006 1007 1008 1009 1010 1012 1013 1018 1020 1021 1024 1025 1028 1029 1030 1037 1043 1046 1047 "
    "1049 1052 1053 1054 1055 1056 1058 1060 1061 1063 1072 1073 1074 1075 1076 1078 1079 1082 1084 1089 1091"
)
WOMEN = _WOMEN.split()
ACTORS = [str(number) for number in range(1001, 1092)]
EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
LETTERS = "ADFHNS"
# one man and one woman of each part, each with every emotion once
_SOME = ("1003", "1011", "1001", "1010", "1002", "1014")
SOME = tuple(f"{actor}_IEO_{emotion}_XX" for actor in _SOME for emotion in EMOTIONS)
STUB = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"1" * 64 + b"\nsize 265922\n"
# Of published rows: how the votes on a face are spread, most for the first class, and how many there are.
_SPREADS = ((9, 1), (8, 1, 1), (5, 3, 2), (4, 4, 1), (10,), (6, 2, 1, 1), (3, 3, 2, 1))
_VOTES_HEADER = ["", *LETTERS, "fileName", "numResponses", "agreement", "emoVote", "meanEmoResp"]
_RESPONSES_HEADER = (
    "", "localid", "pos", "ans", "ttr", "queryType", "numTries", "clipNum", "questNum", "subType", "clipName",
    "sessionNums", "respEmo", "respLevel", "dispEmo", "dispVal", "dispLevel",
)  # fmt: skip


def tiny(index: int) -> np.ndarray:
    """A 32x32 picture, uint8 [32, 32, 3], of which neighbours differ by far more than a codec's loss."""
    return np.full((32, 32, 3), index * 97 % 256, np.uint8)


@cache
def _faces() -> Faces:
    return faces(FaceSpecification(120, 64, content="expressions", expressions=CREMAD_CLASSES, ambiguity=0.0), 0)


def face(index: int) -> np.ndarray:
    """A generated face with the emotion of clip `index` of SOME, another for each index, uint8 [64, 64, 3]."""
    of_emotion = np.flatnonzero(_faces().expressions == index % 6)
    return _faces().images[of_emotion[index // 6]]


def votes_of(clips: Sequence[str] = SOME) -> dict[tuple[int, str], list[int]]:
    """Votes for every clip and mode: more of them for other emotions from the voice, fewer from voice and face."""
    found = {}
    for number, clip in enumerate(clips):
        intended = EMOTIONS.index(clip.split("_")[2])
        for mode in (1, 2, 3):
            spread = _SPREADS[(3 * number + 2 * mode) % len(_SPREADS)]
            start = intended if (number + mode) % (mode + 1) else intended + 1
            votes = [0] * 6
            for place, count in enumerate(spread):
                votes[(start + 2 * place if place < 3 else start + 1) % 6] += count
            found[mode, clip] = votes
    return found


def number_of(clip: str, clips: Sequence[str] = SOME) -> int:
    """The number of a clip, which is not its place in the order of names."""
    return len(clips) - sorted(clips).index(clip)


def _quoted(*cells: object) -> str:
    return ",".join(f'"{cell}"' if isinstance(cell, str) else str(cell) for cell in cells) + "\n"


def write_tables(root: Path, clips: Sequence[str] = SOME, votes: Votes | None = None) -> Path:
    """The three tables, in the published order: by mode, then by number."""
    (root / "processedResults").mkdir(parents=True, exist_ok=True)
    votes = votes_of(clips) if votes is None else votes
    ordered = sorted(votes.items(), key=lambda row: (row[0][0], number_of(row[0][1], clips)))
    lines = [_quoted(*_VOTES_HEADER)]
    for (mode, clip), counts in ordered:
        total, most = sum(counts), max(counts)
        winners = ":".join(letter for letter, count in zip(LETTERS, counts, strict=True) if count == most)
        key = f"{mode}{number_of(clip, clips):05d}"
        lines.append(_quoted(key, *counts, clip, total, most / max(total, 1), winners, 57.25))
    (root / "processedResults/tabulatedVotes.csv").write_text("".join(lines))
    names = sorted(clips, key=lambda clip: number_of(clip, clips))
    (root / "SentenceFilenames.csv").write_text(
        _quoted("Stimulus_Number", "Filename") + "".join(_quoted(number_of(clip, clips), clip) for clip in names)
    )
    people = [_quoted(int(actor), 30, "Female" if actor in WOMEN else "Male", "Asian", "Hispanic") for actor in ACTORS]
    (root / "VideoDemographics.csv").write_text(_quoted("ActorID", "Age", "Sex", "Race", "Ethnicity") + "".join(people))
    return root


def responses_of(votes: Votes, late: int = 3) -> list[tuple[str, str, int, str, int]]:
    """Who, clip, mode, letter and milliseconds of single responses that give these votes, and some late ones."""
    rows = []
    for (mode, clip), counts in votes.items():
        letters = "".join(letter * count for letter, count in zip(LETTERS, counts, strict=True))
        start = sum(map(ord, clip)) % 7
        rows += [(f"person{start + place:03d}", clip, mode, letter, 2_500) for place, letter in enumerate(letters)]
    return rows + [(f"person{number:03d}", rows[number][1], rows[number][2], "F", 10_001) for number in range(late)]


def write_responses(root: Path, votes: Votes | None = None, times: bool = True, late: int = 3) -> Path:
    """finishedResponses.csv and, with `times`, finishedEmoResponses.csv."""
    rows = responses_of(votes_of() if votes is None else votes, late)
    lines = [_quoted(*_RESPONSES_HEADER)]
    first = [_quoted("", "localid", "sessionNums", "queryType", "questNum", "ttr")]
    for number, (who, clip, mode, letter, time) in enumerate(rows):
        shown = clip.split("_")[2][0]
        cells = (str(number), who, 7, f"{letter}_80", str(time), mode, 1, 3, number % 30, 4, clip, number // 30)
        lines.append(_quoted(*cells, letter, "80", shown, 50, "X"))
        first.append(_quoted(str(number), who, number // 30, mode, number % 30, time))
    (root / "finishedResponses.csv").write_text("".join(lines))
    if times:
        (root / "finishedEmoResponses.csv").write_text("".join(first))
    return root


def write_flv(path: Path, pictures: Sequence[np.ndarray]) -> None:
    """A real FLV file, Sorenson's H.263 at 30 frames a second; needs PyAV."""
    av = importlib.import_module("av")
    with av.open(str(path), "w", format="flv") as container:
        stream = container.add_stream("flv", rate=30)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def flv_tag(kind: int, content: bytes) -> bytes:
    """A tag of an FLV file, with the length that follows it."""
    size = struct.pack(">I", len(content))[1:]
    return bytes([kind]) + size + bytes(7) + content + struct.pack(">I", len(content) + 11)


def write_flv_header(path: Path, frames: int, tail: bytes = b"") -> None:
    """An FLV file with so many video tags without pictures, and sound between them; needs no codec."""
    tags = [flv_tag(18, b"\x02\x00\x0aonMetaData")]
    tags += [flv_tag(9, b"\x22some") + flv_tag(8, b"\x2f\xff") for _ in range(frames)]
    path.write_bytes(b"FLV\x01\x05" + struct.pack(">II", 9, 0) + b"".join(tags) + tail)


def write_videos(root: Path, clips: Sequence[str] = SOME, picture: Picture | None = tiny, frames: int = 5) -> Path:
    """The clips; without a `picture`, files without pictures, which need no codec."""
    (root / "VideoFlash").mkdir(parents=True, exist_ok=True)
    for index, clip in enumerate(clips):
        path = root / "VideoFlash" / f"{clip}.flv"
        if picture is None:
            write_flv_header(path, frames + index % 2)
        else:
            write_flv(path, [picture(index)] * (frames + index % 2))
    return root


def write(root: Path, clips: Sequence[str] = SOME, picture: Picture | None = tiny) -> Path:
    """The set as its repository has it, without the responses of single people."""
    return write_videos(write_tables(root, clips), clips, picture)


def write_with_responses(root: Path, clips: Sequence[str] = SOME, picture: Picture | None = tiny) -> Path:
    """The same with the responses of single people."""
    return write_responses(write(root, clips, picture), votes_of(clips))
