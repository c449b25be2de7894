"""A miniature of FER2013 and FER+: the two tables, a few rows of each split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

Picture = Callable[[int], np.ndarray]

HEADER = "emotion,pixels,Usage"
VOTES_HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
SPLITS = (("Training", 48), ("PublicTest", 16), ("PrivateTest", 16))
# FER2013's code of each class of FER+, in FER+ order; contempt has none.
CODES = (6, 3, 5, 4, 0, 1, 2)


def tiny(index: int) -> np.ndarray:
    """A 48x48 picture, uint8 [48, 48], like no other."""
    return np.random.default_rng(index).integers(0, 256, (48, 48), dtype=np.uint8)


def votes(index: int) -> list[int]:
    """Ten votes: six to nine for one class, the others for the next, and one unknown."""
    found = [0] * 10
    own, most = index % 8, 6 + index % 4
    found[own], found[(own + 1) % 8], found[8] = most, 9 - most, 1
    return found


def code(index: int) -> int:
    """FER2013's label: in one row of three another than FER+'s; contempt is never among them."""
    own = index % 8 if index % 3 else (index + 1) % 8
    return CODES[own % 7]


def write_tables(root: Path, splits: Sequence[tuple[str, int]] = SPLITS, picture: Picture = tiny) -> Path:
    """fer2013.csv and fer2013new.csv."""
    root.mkdir(parents=True)
    faces, asked = [HEADER], [VOTES_HEADER]
    for usage, count in splits:
        for _ in range(count):
            index = len(faces) - 1
            faces.append(f"{code(index)},{' '.join(map(str, picture(index).ravel().tolist()))},{usage}")
            asked.append(f"{usage},fer{index:07d}.png,{','.join(map(str, votes(index)))}")
    for name, lines in (("fer2013.csv", faces), ("fer2013new.csv", asked)):
        (root / name).write_text("\n".join([*lines, ""]))
    return root
