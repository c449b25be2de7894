"""Small OpenFace 2.x outputs, written as FaceLandmarkImg and FeatureExtraction write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45)
INTENSITIES = tuple(au for au in AUS if au != 28)
LANDMARKS = ("p_rx", "p_ry", "gaze_angle_x", "x_0", "eye_lmk_x_0")  # "_r" and "_c" stand in more than AU columns
FAILED = "failed"


def present(number: int) -> list[int]:
    """The presence of the 18 AUs in the picture of a number."""
    return [(number + au) % 3 % 2 for au in AUS]


def labels(number: int) -> list[int]:
    """What a reader must make of it."""
    return [2 * value - 1 for value in present(number)]


def intensities(number: int) -> list[str]:
    """Intensities of the 17 AUs; not in step with presence, as in OpenFace itself."""
    return [f"{(number * 5 + au * 3) % 11 / 2:.2f}" for au in INTENSITIES]


def image_header(*first: str) -> list[str]:
    return [
        *first,
        "face",
        "confidence",
        *LANDMARKS,
        *(f"AU{au:02d}_r" for au in INTENSITIES),
        *(f"AU{au:02d}_c" for au in AUS),
    ]


def image_row(number: int, *first: str, face: int = 0, confidence: float = 0.975) -> list[str]:
    """A row of FaceLandmarkImg."""
    values = [f"{value:.1f}" for value in present(number)]
    return [*first, str(face), f"{confidence:.3f}", *(["0.5"] * len(LANDMARKS)), *intensities(number), *values]


def sequence_header() -> list[str]:
    return ["frame", "face_id", "timestamp", "confidence", "success", *image_header()[2:]]


def sequence_row(frame: int, number: int | str, face: int = 0) -> list[str]:
    """A row of FeatureExtraction; FAILED for a frame where no face was found, which carries zeros."""
    if isinstance(number, str):
        zeros = ["0"] * (len(LANDMARKS) + len(INTENSITIES) + len(AUS))
        return [str(frame), str(face), f"{frame / 30:.3f}", "0.00", "0", *zeros]
    return [str(frame), str(face), f"{frame / 30:.3f}", "0.98", "1", *image_row(number)[2:]]


def write(path: Path, rows: Sequence[Sequence[str]], comma: str = ",", end: str = "\n") -> Path:
    """Writes rows; OpenFace 2.0 and earlier put a blank after each comma."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(comma.join(row) + end for row in rows).encode())
    return path


def write_named(root: Path, dataset: str, paths: Sequence[str], column: str = "file", comma: str = ",") -> Path:
    """FaceLandmarkImg output of all pictures in one file, with a column of file names; picture n has labels(n)."""
    rows = [image_row(number, path) for number, path in enumerate(paths)]
    write(root / f"{dataset}.csv", [image_header(column), *rows], comma)
    return root


def write_unnamed(root: Path, dataset: str, paths: Sequence[str]) -> Path:
    """The same without file names: rows in the order of the sorted paths."""
    rows = [image_row(number) for number in sorted(range(len(paths)), key=lambda number: paths[number])]
    write(root / f"{dataset}.csv", [image_header(), *rows])
    return root


def write_sequence(root: Path, dataset: str, paths: Sequence[str], failed: Sequence[int] = ()) -> Path:
    """FeatureExtraction -fdir: the folder as a sequence, frames from 1 in the order of the sorted paths."""
    order = sorted(range(len(paths)), key=lambda number: paths[number])
    rows = [sequence_row(at, FAILED if number in failed else number) for at, number in enumerate(order, 1)]
    write(root / f"{dataset}.csv", [sequence_header(), *rows], comma=", ")
    return root


def write_folder(root: Path, dataset: str, paths: Sequence[str]) -> Path:
    """FaceLandmarkImg -fdir as it comes: a file a picture, named like it."""
    for number, path in enumerate(paths):
        file = (root / dataset / path).with_suffix(".csv")
        write(file, [image_header(), image_row(number)])
    return root
