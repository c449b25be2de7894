"""Class folders: every picture is a row, what is none is told, and folders that are no classes are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fernoise_bench.protocols.catalog import protocol_of_file
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.own_data.class_folders import PICTURES, left_out
from fernoise_bench.protocols.own_data.guess import MOST_CLASSES
from fernoise_bench.protocols.own_data.labelled import read_labelled
from fernoise_bench.protocols.own_data.pictures import prepared
from fernoise_bench.protocols.own_data.template import write_first
from fernoise_bench.protocols.own_data.verify import Report, verify_own

from ..miniatures.own import obey, refusal, write_pictures

NAMES = [f"{name}/{number}.png" for name in ("happy", "sad") for number in range(5)]
DEAD = "dead links, whose pictures are missing"


def new(root: Path) -> tuple[str, list[str], Report]:
    """What `data new` tells of what is not used, the rows, and what `data verify --quick` finds."""
    file = root.parent / "mine.toml"
    file.unlink(missing_ok=True)
    told = [line for line in write_first(file, root) if line.startswith("not used: ")]
    protocol = protocol_of_file(file)
    report = verify_own(protocol, workers=1, report=lambda *_: None, quick=True)
    return (told or [""])[0], read_labelled(protocol).path.tolist(), report


def failed(report: Report) -> dict[str, tuple[int | str, str]]:
    return {check.what: (check.found, check.where) for check in report.checks if not check.ok}


def test_folders_that_are_as_they_should_be_have_nothing_to_tell(tmp_path: Path) -> None:
    write_pictures(tmp_path / "set", NAMES)
    (tmp_path / "set/README.md").touch()
    (tmp_path / "set/docs").mkdir()
    told, paths, report = new(tmp_path / "set")
    assert (told, paths, failed(report)) == ("", NAMES, {})


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP"])
def test_pictures_of_any_extension_are_read(form: str, tmp_path: Path) -> None:
    """As a table may name them; whether it is a picture its first bytes tell."""
    write_pictures(tmp_path / "set", NAMES)
    more = [f"happy/{name}" for name in ("a", "b.pgm", "c.JPG_large", "d.jfif", "e.jpe")]
    for name in more:
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "set" / name, format=form)
    told, paths, report = new(tmp_path / "set")
    assert (told, paths, failed(report)) == ("", sorted(NAMES + more), {})
    protocol = protocol_of_file(tmp_path / "mine.toml")
    pack = prepared(protocol, read_labelled(protocol), tmp_path / "data")
    assert len(pack.faces) == len(NAMES + more)


def test_extensions_of_all_formats_that_are_decoded_are_known() -> None:
    Image.init()
    known = {ending for ending, form in Image.EXTENSION.items() if form in ("JPEG", "PNG", "BMP", "DIB", "GIF", "TIFF")}
    assert known - {".apng"} <= set(PICTURES)


def test_what_is_no_picture_is_counted(tmp_path: Path) -> None:
    write_pictures(tmp_path / "set", NAMES)
    contents = {"a.heic": b"\0\0\0\x18ftypheic", "b.heic": b"", "c.dng": b"II*\0raw", "d.txt": b"BMI,age", "e": b"x"}
    for name, content in contents.items():
        (tmp_path / "set/sad" / name).write_bytes(content)
    (tmp_path / "set/happy/more").mkdir()
    (tmp_path / "set/happy/more/f.txt").touch()
    told, paths, report = new(tmp_path / "set")
    assert paths == NAMES
    assert told == (
        "not used: 2 .txt files, no pictures (happy/more/f.txt); 2 .heic files, which are not decoded (sad/a.heic); "
        "1 .dng files, which are not decoded (sad/c.dng); 1 files without an extension, no pictures (sad/e)"
    )
    assert failed(report) == {
        ".heic files, which are not decoded": (2, "sad/a.heic"),
        ".dng files, which are not decoded": (1, "sad/c.dng"),
    }
    assert [check.found for check in report.checks if check.what.endswith("no pictures")] == [2, 1]


def test_links_to_folders_are_followed_and_dead_ones_are_rows_without_a_picture(tmp_path: Path) -> None:
    write_pictures(tmp_path / "set", NAMES)
    write_pictures(tmp_path / "store", [f"{number}.png" for number in range(3)])
    (tmp_path / "set/happy/batch1").symlink_to(tmp_path / "store")
    for number in range(4):
        (tmp_path / f"set/sad/x{number}.png").symlink_to(tmp_path / "gone" / f"x{number}.png")
    (tmp_path / "set/sad/batch2").symlink_to(tmp_path / "gone")
    told, paths, report = new(tmp_path / "set")
    linked = [f"happy/batch1/{number}.png" for number in range(3)]
    dead = [f"sad/x{number}.png" for number in range(4)]
    assert sorted(paths) == sorted([*NAMES, *linked, *dead])
    assert told == f"not used: 5 {DEAD} (sad/x0.png)"
    assert failed(report) == {
        DEAD: (5, "sad/x0.png"),
        "pictures that are there": (13, f"{tmp_path}/set/sad/x0.png: sad/x0.png"),
    }
    protocol = protocol_of_file(tmp_path / "mine.toml")
    link = rf"sad/x0\.png: no such picture, only a link to {tmp_path}/gone/x0\.png, which is not there; "
    with pytest.raises(BadInput, match=link):
        prepared(protocol, read_labelled(protocol), tmp_path / "data")
    full = verify_own(protocol, workers=1, report=lambda *_: None)
    assert full.bad[0] == "sad/x0.png: a link to a file that is not there; unpack or fetch the file again"


def test_folders_and_pictures_beside_the_parts_are_told(tmp_path: Path) -> None:
    parts = [f"{part}/{name}" for part in ("train", "test", "train (1)", "extra") for name in NAMES]
    write_pictures(tmp_path / "set", [*parts, "loose.png", "train/also.png"])
    told, paths, report = new(tmp_path / "set")
    assert sorted(paths) == sorted(parts[:20])
    assert told == (
        "not used: 2 pictures beside the class folders (train/also.png); 10 pictures in the folder extra, which is no "
        "part (extra/happy/0.png); 10 pictures in the folder train (1), which is no part (train (1)/happy/0.png)"
    )
    assert len(failed(report)) == 3
    assert not left_out(tmp_path / "set", ["train", "test"], ["extra"]).keys() & {
        "pictures in the folder extra, which is no part"
    }


def test_a_class_that_is_not_listed_may_be_another_spelling(tmp_path: Path) -> None:
    write_pictures(tmp_path / "set", NAMES)
    new(tmp_path / "set")
    (tmp_path / "set/sad").rename(tmp_path / "set/Sad")
    file = tmp_path / "mine.toml"
    with pytest.raises(BadInput, match=r"Sad: no such class \(did you mean sad\?\); .* or to \[data\.values\]"):
        read_labelled(protocol_of_file(file))
    file.write_text(file.read_text() + '\n[data.values]\nSad = "sad"\n')
    assert read_labelled(protocol_of_file(file)).given.tolist() == [1] * 5 + [0] * 5


@pytest.mark.parametrize("copy", ["happy (1)", "happy(2)", "happy - Copy", "happy - Copy (2)", "Happy copy", "happy 2"])
def test_a_copy_of_a_class_folder_is_no_class(copy: str, tmp_path: Path) -> None:
    write_pictures(tmp_path / "set", [*NAMES, f"{copy}/0.png"])
    assert f"the folder {copy} looks like a copy of happy; move it away" in refusal(tmp_path / "set")
    write_pictures(tmp_path / "two", [f"{name}/{at}.png" for name in ("level 1", "level 2", "a - Copy") for at in "12"])
    assert len(new(tmp_path / "two")[1]) == 6


@pytest.mark.parametrize(
    ("one", "other"), [("happy", "Happy"), ("1", "01"), ("2", "2.0"), ("fro\u0308hlich", "fr\u00f6hlich")]
)
def test_two_spellings_are_one_class(one: str, other: str, tmp_path: Path) -> None:
    write_pictures(tmp_path / "set", [f"train/{one}/0.png", "train/sad/0.png", f"test/{other}/0.png", "test/sad/0.png"])
    message = refusal(tmp_path / "set")
    assert "are one class in two spellings; rename " in message
    if one.isascii():
        assert f"the folders {one} and {other} are one" in message
        assert message.endswith(f"rename {tmp_path}/set/test/{other} to {one}, or move its pictures there")


def test_parts_inside_classes_are_turned_round_as_the_message_says(tmp_path: Path) -> None:
    """Read as they lie, the split would be lost."""
    parts = ("train", "Test")
    write_pictures(
        tmp_path / "my set", [f"{name}/{part}/{at}.png" for name in ("happy", "sad") for part in parts for at in "12"]
    )
    message = refusal(tmp_path / "my set")
    assert "class folders hold the parts, as happy/Test, but the order is part, then class (Test/happy)" in message
    obey(message)
    told, paths, _ = new(tmp_path / "my set")
    assert told == ""
    assert sorted(paths) == sorted(
        f"{part}/{name}/{at}.png" for part in parts for name in ("happy", "sad") for at in "12"
    )


def test_folders_of_many_people_are_no_classes(tmp_path: Path) -> None:
    """As KDEF's, whose pictures have the expression in their names."""
    write_pictures(tmp_path / "set", [f"AF{number:02d}/AF{number:02d}HAS.png" for number in range(MOST_CLASSES)])
    assert len(new(tmp_path / "set")[1]) == MOST_CLASSES
    write_pictures(tmp_path / "set", ["AM01/AM01HAS.png"])
    message = refusal(tmp_path / "set")
    assert "51 different folders with pictures (AF00, AF01, AF02), more than classes have; write the file by" in message
