"""Miniature copies of AffectNet's two releases, with valence and arousal that go with the class."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Picture = Callable[[int], np.ndarray]

CLASSES = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
# Valence and arousal of codes 0 to 10, about as people rate the classes; -2 stands for none.
AFFECT: Sequence[tuple[float, float]] = (
    (0, 0), (0.7, 0.1), (-0.6, -0.3), (0.2, 0.7), (-0.1, 0.8), (-0.7, 0.4), (-0.5, 0.6), (-0.5, 0.5),
    (-0.2, 0), (-2, -2), (-2, -2),
)  # fmt: skip
SUFFIXES = (".jpg", ".png", ".bmp", ".JPG", ".tif")
OWNERS = tuple(range(8))
ALPHABETICAL = tuple(sorted(CLASSES).index(name) for name in CLASSES)
"""Id of each class in copies with alphabetical ids."""


def tiny(index: int) -> np.ndarray:
    """An 8x8 picture, uint8 [8, 8, 3]."""
    return np.full((8, 8, 3), index * 37 % 256, np.uint8)


def codes(per_class: int, others: int = 1) -> list[int]:
    """So many rows of each of the eight classes, mixed, and some of codes 8 to 10 after them."""
    return [n * 3 % 8 for n in range(8 * per_class)] + [8, 9, 10] * others


def name(part: str, index: int) -> str:
    """Picture number `index` of a part as the CSV release names it, "<folder>/<hash>.<extension>"."""
    digest = hashlib.sha224(f"{part} {index}".encode()).hexdigest()
    return f"{index % 3 + 1}/{digest}{SUFFIXES[index % len(SUFFIXES)]}"


def line(part: str, index: int, code: int, ids: Sequence[int] = OWNERS, box: str = "1,2,6,5") -> str:
    """One row of a table. `ids` are the ids written for the classes, in the owners' order."""
    landmarks = ";".join(f"{point / 10:.2f};{point / 9:.2f}" for point in range(68))
    valence, arousal = AFFECT[code]
    return f"{name(part, index)},{box},{landmarks},{ids[code] if code < 8 else code},{valence},{arousal}"


def write_table(path: Path, lines: Sequence[str], header: bool = True, end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(end.join([*([HEADER] if header else []), *lines, ""]).encode())


def write_pictures(folder: Path, part: str, rows: Sequence[int], picture: Picture = tiny, suffix: str = "") -> None:
    """Pictures of rows with codes 0 to 7 and others; `suffix` stands for every extension where a copy was converted."""
    for index in range(len(rows)):
        path = folder / name(part, index)
        path = path.with_suffix(suffix) if suffix else path
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(index)).save(path)


def write_csv(
    root: Path,
    train: Sequence[int] | None = None,
    validation: Sequence[int] | None = None,
    lists: str = "Manually_Annotated_file_lists",
    images: str = "Manually_Annotated/Manually_Annotated_Images",
    header: bool = True,
    end: str = "\n",
    picture: Picture = tiny,
    suffix: str = "",
    ids: Sequence[int] = OWNERS,
) -> Path:
    """The manual parts of the CSV release; `header` False leaves it out of validation.csv."""
    parts = {
        "training": codes(3) if train is None else train,
        "validation": codes(2) if validation is None else validation,
    }
    for part, rows in parts.items():
        lines = [line(part, index, code, ids) for index, code in enumerate(rows)]
        write_table(root / lists / f"{part}.csv", lines, header or part == "training", end)
        write_pictures(root / images, part, rows, picture, suffix)
    return root


def write_automatic(
    root: Path,
    rows: Sequence[int] | None = None,
    lists: str = "Automatically_annotated_file_list",
    images: str = "Automatically_Annotated/Automatically_Annotated_Images",
    picture: Picture = tiny,
    ids: Sequence[int] = OWNERS,
) -> Path:
    """The automatic part of the CSV release."""
    rows = codes(3) if rows is None else rows
    lines = [line("automatic", index, code, ids) for index, code in enumerate(rows)]
    write_table(root / lists / "automatically_annotated.csv", lines)
    write_pictures(root / images, "automatic", rows, picture)
    return root


def write_2021(
    root: Path,
    train: Sequence[int] | None = None,
    validation: Sequence[int] | None = None,
    picture: Picture = tiny,
    ids: Sequence[int] = OWNERS,
    affect: bool = True,
) -> Path:
    """The 2021 release: every second annotation is text, as in some copies; `affect` False leaves out _val and _aro."""
    parts = {
        "train_set": codes(3) if train is None else train,
        "val_set": codes(2) if validation is None else validation,
    }
    for folder, rows in parts.items():
        images, annotations = root / folder / "images", root / folder / "annotations"
        images.mkdir(parents=True)
        annotations.mkdir()
        for index, code in enumerate(rows):
            form = str if index % 2 else float
            number = index + 7
            Image.fromarray(picture(index)).save(images / f"{number}.jpg")
            np.save(annotations / f"{number}_exp.npy", np.array(str(ids[code] if code < 8 else code)))
            if index % 2 == 0:
                np.save(annotations / f"{number}_exp.npy", np.array(ids[code] if code < 8 else code))
            np.save(annotations / f"{number}_lnd.npy", np.arange(136.0))
            for kind, value in zip(("val", "aro"), AFFECT[code], strict=True) if affect else ():
                np.save(annotations / f"{number}_{kind}.npy", np.array(form(value)))
    return root


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "CSV release": write_csv,
    "CSV release, no header in validation.csv": lambda root: write_csv(root, header=False, end="\r\n"),
    "CSV release, tables beside the pictures": lambda root: write_csv(root, lists="Manually_Annotated"),
    "CSV release, tables in *_extracted": lambda root: write_csv(
        root, lists="Manually_Annotated_extracted", images="Manually_Annotated_extracted"
    ),
    "CSV release, pictures converted": lambda root: write_csv(root, suffix=".png"),
    "CSV release with automatic part": lambda root: write_automatic(write_csv(root)),
    "2021 release": write_2021,
    "2021 release and automatic part": lambda root: write_automatic(write_2021(root)),
}
