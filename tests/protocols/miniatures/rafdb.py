"""Miniature copies of RAF-DB: a few pictures a class, named and listed like real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Picture = Callable[[int], np.ndarray]
Rows = Sequence[tuple[str, int]]
"""(name without extension, code 1 to 7)"""

AUTHOR = "/home/victor/AAAI/CurriculumNet/tests/RAFDB_DATA/aligned/"


def tiny(index: int) -> np.ndarray:
    """An 8x8 picture, uint8 [8, 8, 3]."""
    return np.full((8, 8, 3), index * 37 % 256, np.uint8)


def rows(train: int = 3, test: int = 2) -> list[tuple[str, int]]:
    """So many rows of each class in each part, classes mixed."""
    listed = [(f"train_{n + 1:05d}", n * 3 % 7 + 1) for n in range(7 * train)]
    return listed + [(f"test_{n + 1:04d}", n * 5 % 7 + 1) for n in range(7 * test)]


SOME: Rows = rows()


def write_list(path: Path, listed: Rows, end: str = "\n") -> None:
    """Lines "train_00001.jpg 5"."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{name}.jpg {code}{end}" for name, code in listed).encode())


def write_pictures(folder: Path, listed: Rows, suffix: str = "_aligned", picture: Picture = tiny) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, (name, _) in enumerate(listed):
        Image.fromarray(picture(index)).save(folder / f"{name}{suffix}.jpg")


def write_official(root: Path, listed: Rows = SOME, end: str = "\n", picture: Picture = tiny) -> Path:
    write_list(root / "EmoLabel" / "list_patition_label.txt", listed, end)
    write_pictures(root / "Image" / "aligned", listed, picture=picture)
    return root


def write_flat(root: Path, listed: Rows = SOME, end: str = "\n", picture: Picture = tiny) -> Path:
    write_list(root / "list_patition_label.txt", listed, end)
    write_pictures(root / "images", listed, "", picture)
    return root


def write_two_lists(
    root: Path, listed: Rows = SOME, end: str = "\n", picture: Picture = tiny, flat: bool = False
) -> Path:
    for part in ("train", "test"):
        of_part = [row for row in listed if row[0].startswith(part)]
        write_list(root / "EmoLabel" / f"{part}_label.txt", of_part, end)
    write_pictures(root / ("images" if flat else "Image/aligned"), listed, "" if flat else "_aligned", picture)
    return root


def write_class_folders(root: Path, listed: Rows = SOME, picture: Picture = tiny, test: str = "test") -> Path:
    """train/1..7 and test/1..7; other people name the second folder "valid"."""
    for index, (name, code) in enumerate(listed):
        folder = root / ("train" if name.startswith("train") else test) / str(code)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(index)).save(folder / f"{name}_aligned.jpg")
    return root


def write_kaggle(root: Path, listed: Rows = SOME, end: str = "\r\n", picture: Picture = tiny) -> Path:
    """DATASET/train/1..7, DATASET/test/1..7, and two tables beside DATASET."""
    write_class_folders(root / "DATASET", listed, picture)
    for part in ("train", "test"):
        lines = [f"{name}_aligned.jpg,{code}" for name, code in listed if name.startswith(part)]
        (root / f"{part}_labels.csv").write_bytes((end.join(["image,label", *lines]) + end).encode())
    return root


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "official": write_official,
    "flat": write_flat,
    "two-lists": write_two_lists,
    "two-lists-flat": lambda root: write_two_lists(root, flat=True),
    "class-folders": write_class_folders,
    "kaggle": write_kaggle,
}


def write_noisy_list(path: Path, style: str, listed: Rows = SOME, end: str = "\n") -> Path:
    """A list of the training rows as another author writes it: "scn", "eac" or "ada-cm"; `listed` has codes 1 to 7."""
    form = {
        "scn": f"{AUTHOR}{{name}}_aligned.jpg {{zero}}",
        "eac": "{name}.jpg {code}",
        "ada-cm": "{name}.jpg {zero} {coarse}",
    }[style]
    train = [(name, code) for name, code in listed if name.startswith("train")]
    lines = [form.format(name=name, code=code, zero=code - 1, coarse=int(code in (4, 7))) for name, code in train]
    path.write_bytes((end.join(lines) + end).encode())
    return path
