"""Damaged data sets: one line and exit code 2, or a difference that `data verify` counts; never a crash."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from fernoise_bench.protocols.datasets.catalog import inspect, listing_of
from fernoise_bench.protocols.errors import BadInput

from ..protocols.miniatures import disfa as miniature_disfa
from ..protocols.miniatures import openface as miniature_openface
from ..protocols.miniatures import rafdb as miniature_rafdb
from .bench import command, damaged, instead
from .damages import BYTES, MARK, TEXT, Damage
from .readers import NAMED, TARGETS, Target

CASES = [(target, name) for target in TARGETS for name in target.damages]


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Target], Path]]:
    """The data root of a target, written once."""
    made: dict[tuple[str, str], Path] = {}

    def root(target: Target) -> Path:
        key = (target.dataset, target.write.__name__)
        if key not in made:
            made[key] = tmp_path_factory.mktemp(target.dataset)
            target.write(made[key] / target.dataset)
        return made[key]

    yield root
    assert not Path(MARK).exists()


def complaint(read: Callable[[], object]) -> str:
    """What BadInput says, or an empty string; anything else is a crash."""
    try:
        read()
    except BadInput as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("target", "name"), CASES, ids=lambda value: getattr(value, "file", value))
def test_a_damaged_label_file(target: Target, name: str, miniature: Callable[[Target], Path]) -> None:
    root = miniature(target)
    typed = ("data", "verify", target.dataset, "--quick", "--data-root", str(root))
    before = command(*typed)
    with damaged(root / target.dataset / target.file, target.damages[name]):
        found = command(*typed)
    assert found.ordinary, found
    if name in target.unharmed:
        assert (found.code, found.out) == (before.code, before.out)
    elif name in target.counted:
        assert found.code == 1
        assert found.out != before.out
    else:
        assert found.refused, found
        assert found.out == ""


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.file)
def test_a_label_file_cut_at_every_boundary(target: Target, miniature: Callable[[Target], Path]) -> None:
    """Every byte of the first and last 150, and whole lines between: read as fewer rows, or BadInput; nothing else."""
    root = miniature(target)
    file = root / target.dataset / target.file
    whole = file.read_bytes()
    ends = [at for at, byte in enumerate(whole) if byte in b"\n,"][:: max(1, whole.count(b",") // 60)]
    for length in sorted({*range(min(150, len(whole))), *range(max(0, len(whole) - 150), len(whole)), *ends}):
        with damaged(file, lambda content, length=length: content[:length]):  # type: ignore[misc]
            assert "\n" not in complaint(lambda: inspect(target.dataset, root))


@pytest.mark.parametrize("name", ["a name out of the folder", "an absolute name"])
def test_names_never_lead_out_of_a_data_set(name: str, miniature: Callable[[Target], Path]) -> None:
    for target in TARGETS:
        if name in target.damages and target.dataset != "ferplus":
            root = miniature(target)
            with damaged(root / target.dataset / target.file, target.damages[name]):
                try:
                    paths = listing_of(target.dataset, root).path.tolist()
                except BadInput:
                    continue
            assert not [path for path in paths if ".." in path or path.startswith("/")]


# --- pictures


def png(width: int, height: int, kind: int = 2) -> bytes:
    """A PNG that states a size; no pixel is in it."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def bmp(width: int, height: int) -> bytes:
    """A BMP that states a size."""
    return (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 70, 0, 0, 54, 40, width, height, 1, 24, 0, 16, 0, 0, 0, 0) + bytes(16)
    )


def gif(width: int, height: int) -> bytes:
    """A GIF that states a size."""
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b"\x2c" + bytes(9) + b";"


# JPEG and MPEG-4 have no checksums: a few bytes turned over give other pixels, which only `data fingerprint` finds.
UNSEEN = ("NUL inside", "not UTF-8")
PICTURES: dict[str, Damage] = {
    **{name: damage for name, damage in BYTES.items() if name not in UNSEEN},
    "a byte short": lambda content: (
        content[:-1] if content.startswith(b"\x89PNG") else content[: len(content) * 9 // 10]
    ),
    "0 x 0": lambda content: png(0, 0),
    "0 x 8": lambda content: bmp(0, 8),
    "a GIF of 0 x 0": lambda content: gif(0, 0),
    "100,000 x 100,000": lambda content: png(100_000, 100_000),
    "2,147,483,647 x 1": lambda content: bmp(2**31 - 1, 1),
    "a negative height": lambda content: bmp(8, -(2**31)),
    "a vector picture": lambda content: b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>',
    "a header alone": lambda content: content[:20],
    "PostScript": lambda content: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(x) run\n",
}
INSTEAD: dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: path.mkdir(),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link out of the root": lambda path: path.symlink_to("/etc/passwd"),
    "a pipe": lambda path: os.mkfifo(path),
    "a device": lambda path: path.symlink_to("/dev/zero"),
}
PICTURE = Target("rafdb", miniature_rafdb.write_official, "Image/aligned/test_0001_aligned.jpg")


@pytest.mark.parametrize("name", PICTURES)
def test_a_damaged_picture(name: str, miniature: Callable[[Target], Path]) -> None:
    """Named by verify; prepare ends with one line."""
    root = miniature(PICTURE)
    with damaged(root / "rafdb" / PICTURE.file, PICTURES[name]):
        told = command("data", "verify", "rafdb", "--data-root", str(root))
        ended = command("data", "prepare", "rafdb", "--side", "8", "--data-root", str(root), "--out", str(root / name))
    assert told.ordinary, told
    assert told.code == 2
    assert PICTURE.file in told.out
    assert "damaged: 1 pictures cannot be decoded" in told.out
    assert ended.refused, ended
    assert PICTURE.file in ended.err


@pytest.mark.parametrize("name", INSTEAD)
def test_something_else_in_the_place_of_a_picture(name: str, miniature: Callable[[Target], Path]) -> None:
    root = miniature(PICTURE)
    with instead(root / "rafdb" / PICTURE.file, INSTEAD[name]):
        told = command("data", "verify", "rafdb", "--data-root", str(root))
    assert told.ordinary, told
    assert "root:" not in told.out + told.err
    if name.startswith("a link"):
        assert told.code == 1 if name == "a link to nothing" else told.code == 2
    if told.code == 1:  # counted as missing
        assert "34 usable rows" in told.out


# --- videos

VIDEOS: dict[str, Damage] = {
    **{name: damage for name, damage in BYTES.items() if name not in UNSEEN},
    "a header alone": lambda content: content[:300],
}


@pytest.mark.parametrize("name", [*VIDEOS, "no frames", "no video"])
def test_a_damaged_video(name: str, tmp_path: Path) -> None:
    pytest.importorskip("av")
    root = miniature_disfa.write_videos(tmp_path / "disfa", {"SN001": 6, "SN002": 6, "SN003": 6})
    video = next(root.rglob("*SN001*.avi"))
    if name == "no frames":
        miniature_disfa.write_header(video, 6)
    elif name == "no video":
        video.write_bytes(b"RIFF" + struct.pack("<I", 4) + b"AVI ")
    else:
        video.write_bytes(VIDEOS[name](video.read_bytes()))
    found = command("data", "verify", "disfa", "--data-root", str(tmp_path))
    assert found.ordinary, found
    assert found.code == 2
    assert found.refused or "cannot be decoded" in found.out
    assert video.name in found.out + found.err


# --- auxiliary labels

# A name of no picture and a second face leave rows as they are, or unknown, a value that is no number leaves one label
# unknown; the quote stands in a column nobody reads.
HARMLESS = (*NAMED, "the last line twice", "a quote that never closes", "not a number")


@pytest.mark.parametrize("name", TEXT)
def test_a_damaged_file_of_openface(name: str, tmp_path: Path) -> None:
    from fernoise_bench.protocols.readers.openface import auxiliary_of

    paths = [f"a/{number}.jpg" for number in range(6)]
    root = miniature_openface.write_named(tmp_path / "openface", "rafdb", paths)
    whole = auxiliary_of(tmp_path, "rafdb", paths)
    with damaged(root / "rafdb.csv", TEXT[name]):
        said = complaint(lambda: auxiliary_of(tmp_path, "rafdb", paths))
        if said:
            assert "\n" not in said
            assert "rafdb.csv" in said
        else:
            found = auxiliary_of(tmp_path, "rafdb", paths)
            assert name in HARMLESS
            other = found.labels != whole.labels
            assert not found.labels[other].any()
            assert other.sum() == 1 or name != "not a number"


def test_the_pictures_of_the_corpus_are_not_all_bad(miniature: Callable[[Target], Path]) -> None:
    root = miniature(PICTURE)
    with Image.open(root / "rafdb" / PICTURE.file) as picture:
        assert picture.size == (8, 8)
    assert command("data", "verify", "rafdb", "--data-root", str(root)).code == 1
