"""Small copies of EmotioNet as its owners distribute it and as laboratories store it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

AUS = (1, 2, 4, 5, 6, 9, 12, 17, 20, 25, 26, 43)
PACKAGE = "emotioNet_challenge_files_server_challenge_1.2_aws"
FILE_2020 = "EmotioNet_FACS_aws_2020_24600.csv"
MANUAL = tuple(range(6))
AUTOMATIC = tuple(range(100, 108))


def name(number: int) -> str:
    """The picture of a number, three pictures a folder."""
    return f"N_{1 + number // 3:010d}_{number:05d}.jpg"


def url(number: int) -> str:
    return f"https://s3.us-east-2.amazonaws.com/emotionet/Images/{name(number)[:12]}/{name(number)}"


def original_url(number: int) -> str:
    return f"http://www.example.org/f{number}/photo.jpg"


def coded(number: int) -> list[str]:
    """The 60 values of a row: absent, present, not annotated in turn, unlike between neighbouring rows and AUs."""
    return [("0", "1", "999")[(number * 7 + au * au + au // 3) % 3] for au in range(1, 61)]


def labels(number: int) -> list[int]:
    """What a reader must make of a row."""
    return [{"0": -1, "1": 1, "999": 0}[coded(number)[au - 1]] for au in AUS]


def write_pictures(root: Path, numbers: Iterable[int], folders: str = "optimization_set/{folder}") -> None:
    """Writes 8x8 pictures; `folders` with {folder} is nested, without it flat ("imgs", "images")."""
    for number in numbers:
        folder = root / folders.format(folder=name(number)[:12])
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number % 256, 90, 160)).save(folder / name(number))


def write_lines(path: Path, rows: Iterable[str], end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(row + end for row in rows).encode())
    return path


def manual_rows(numbers: Iterable[int] = MANUAL, quote: str = "'", aus: Sequence[int] = range(1, 61)) -> list[str]:
    """Header and rows of the manual CSV: quoted AU names with blanks, URLs between quotes ("" for none)."""
    header = ["URL", "URL orig", *(f"{quote}AU {au}{quote}" for au in aus)]
    rows = ([f"{quote}{url(n)}{quote}", original_url(n), *(coded(n)[au - 1] for au in aus)] for n in numbers)
    return [",".join(row) for row in (header, *rows)]


def text_rows(numbers: Iterable[int] = AUTOMATIC) -> list[str]:
    return ["\t".join([url(n), original_url(n), *coded(n)]) for n in numbers]


def write_2020(root: Path, *, folders: str = "optimization_set/{folder}", end: str = "\r\n", quote: str = "'") -> Path:
    """The manual file of 2020 alone, with its pictures."""
    write_pictures(root, MANUAL, folders)
    write_lines(root / FILE_2020, manual_rows(quote=quote), end)
    return root


def write_2020_in_labels(root: Path) -> Path:
    """The manual file in `labels/`, pictures flat in `imgs/`; names in double quotes, blank rows of a spreadsheet."""
    write_pictures(root, MANUAL, "imgs")
    header, *rows = manual_rows(quote="")
    quoted = ",".join(f"\" '{cell}' \"" for cell in header.split(","))
    write_lines(root / "labels" / FILE_2020, [quoted, *rows, "," * 61, "," * 61])
    return root


def write_older(root: Path) -> Path:
    """The older manual file: fewer AUs, in an order of their own."""
    write_pictures(root, MANUAL, "images")
    write_lines(root / "EmotioNet_FACS.csv", manual_rows(aus=(*reversed(AUS), 51, 52)))
    return root


def write_automatic(root: Path, end: str = "\n") -> Path:
    """The package of the challenge: two text files, pictures in a folder for each of them."""
    for file, numbers in (("dataFile_0001", AUTOMATIC[:5]), ("dataFile_0002", AUTOMATIC[5:])):
        write_lines(root / PACKAGE / f"{file}.txt", text_rows(numbers), end)
        write_pictures(root, numbers, f"IMAGES/{file}")
    return root


def write_both(root: Path) -> Path:
    """Manual and automatic sets in one folder: what the protocols need."""
    write_2020(root)
    return write_automatic(root)


def write_image_lists(root: Path) -> Path:
    """What one downloader leaves: lists with a path column beside `images/`."""
    names = ",".join(["path", *(f"AU{au}" for au in range(1, 61))])
    for file, numbers in (("image_list_00", AUTOMATIC[:5]), ("image_list_01", AUTOMATIC[5:])):
        rows = [",".join([f"{name(n)[:12]}/{name(n)}", *coded(n)]) for n in numbers]
        write_lines(root / f"{file}.csv", [names, *rows])
    write_pictures(root, AUTOMATIC, "images/{folder}")
    return root
