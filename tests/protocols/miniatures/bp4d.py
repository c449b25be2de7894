"""Miniature copies of BP4D: a few coded frames of a few sequences, named, headed and padded like real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Coded = Mapping[tuple[str, str], Sequence[int]]
Picture = Callable[[int], np.ndarray]

AUS = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
# Three subjects of each published part, frames inside the published spans.
SOME: Coded = {
    ("F001", "T1"): range(2440, 2446),
    ("F001", "T3"): range(1, 7),
    ("F002", "T2"): range(1, 7),
    ("M001", "T8"): range(100, 106),
    ("F003", "T1"): range(712, 718),
    ("M002", "T4"): range(995, 1005),
    ("M018", "T8"): range(1, 7),
    ("F004", "T6"): range(98, 103),
    ("F006", "T5"): range(474, 479),
    ("M003", "T2"): range(1081, 1087),
}


def tiny(index: int) -> np.ndarray:
    """An 8x8 picture, uint8 [8, 8, 3]."""
    return np.full((8, 8, 3), index * 37 % 256, np.uint8)


def value(subject: str, task: str, frame: int, au: int) -> int:
    """What is written for an action unit: 0, 1, or for one in nine a 9; 9 throughout where it is not coded."""
    if au not in AUS:
        return 9
    key = (sum(map(ord, subject + task)) + 31 * frame + 7 * au) % 9
    return 9 if key == 0 else key % 2


def write_labels(
    folder: Path, coded: Coded = SOME, header: str = "plain", end: str = "\n", value: Callable[..., int] = value
) -> None:
    """Label files. Headers: "plain" 0,1,...,99; "named" 1,1,2,4,..., the frame first; "quoted" "frame","AU 01",..."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = list(range(1, 100)) if header == "plain" else list(AUS)
    cells = [["0" if header == "plain" else "1"], [str(au) for au in columns]]
    if header == "quoted":
        cells = [['"frame"'], [f'"AU {au:02d}"' for au in columns]]
    for (subject, task), frames in coded.items():
        rows = [",".join(cells[0] + cells[1])]
        rows += [",".join(map(str, [f, *(value(subject, task, f, au) for au in columns)])) for f in frames]
        with (folder / f"{subject}_{task}.csv").open("w", newline="", encoding="ascii") as file:
            file.write(end.join(rows) + end)


def write_pictures(
    folder: Path, coded: Coded = SOME, digits: Sequence[int] = (3, 4), offset: int = 0, picture: Picture = tiny
) -> None:
    """Pictures with meshes beside them, the numbers of each sequence padded to the next of the widths in turn."""
    index = 0
    for turn, ((subject, task), frames) in enumerate(coded.items()):
        place = folder / subject / task
        place.mkdir(parents=True, exist_ok=True)
        for frame in frames:
            name = f"{frame + offset:0{digits[turn % len(digits)]}d}"
            Image.fromarray(picture(index)).save(place / f"{name}.jpg")
            (place / f"{name}.obj").touch()
            index += 1


def write_au_occ(root: Path, coded: Coded = SOME, picture: Picture = tiny) -> Path:
    """The set as released: AUCoding/AU_OCC with the plain header; 3 digits in some tasks, 4 in others."""
    write_labels(root / "AUCoding/AU_OCC", coded)
    write_pictures(root / "Sequences", coded, picture=picture)
    return root


def write_3d_release(root: Path, coded: Coded = SOME, picture: Picture = tiny) -> Path:
    """The 3D release, its labels unpacked flat: only coded action units named, "1" twice, CRLF, 4 digits."""
    write_labels(root / "AUCoding", coded, header="named", end="\r\n")
    write_pictures(root / "Sequences(2D+3D)", coded, digits=[4], picture=picture)
    return root


def write_fera2015(root: Path, coded: Coded = SOME, picture: Picture = tiny) -> Path:
    """The FERA 2015 package: AUCoding/AUCoding, here with quoted header cells; unpadded names in the folder itself."""
    write_labels(root / "AUCoding/AUCoding", coded, header="quoted")
    write_pictures(root, coded, digits=[1], picture=picture)
    return root


def write_from_0(root: Path, coded: Coded = SOME, picture: Picture = tiny) -> Path:
    """A copy whose pictures are counted from 0, with the choice that says so."""
    write_labels(root / "AUCoding/AU_OCC", coded)
    write_pictures(root / "Sequences", coded, offset=-1, picture=picture)
    (root / "fernoise.toml").write_text("frame_offset = -1\n")
    return root


LAYOUTS = (write_au_occ, write_3d_release, write_fera2015, write_from_0)
