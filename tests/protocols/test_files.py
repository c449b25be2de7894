"""What a message says of a file that is missing, or is not the one that was to be fetched."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.files import not_fetched, written_otherwise
from fernoise_bench.protocols.images.decoding import load


@pytest.mark.parametrize(
    ("there", "asked", "said"),
    [
        ("IMG_1.JPG", "img_1.jpg", "; there is IMG_1.JPG"),
        ("img_1.png", "img_1.jpg", "; there is img_1.png"),
        ("other.png", "img_1.jpg", ""),
        (unicodedata.normalize("NFD", "José.png"), "José.png", ", with its accented letters in another form"),
    ],
)
def test_a_missing_file_of_the_same_letters_is_named(there: str, asked: str, said: str, tmp_path: Path) -> None:
    (tmp_path / there).touch()
    assert written_otherwise(tmp_path / "nowhere" / asked) == ""
    found = written_otherwise(tmp_path / asked)
    assert said in found
    assert bool(said) == bool(found)
    with pytest.raises(BadInput) as caught:
        load(tmp_path / asked, lambda picture: picture)
    remedy = "rename that file, or write its name into the table" if said else "unpack or fetch the file again"
    assert str(caught.value) == f"{tmp_path / asked}: the picture is missing{found}{': ' if said else '; '}{remedy}"


def test_the_same_name_comes_before_one_of_another_extension(tmp_path: Path) -> None:
    for name in ("A.bmp", "A.PNG", "a.gif"):
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    assert written_otherwise(tmp_path / "a.png") == "; there is A.PNG"


def test_a_file_that_comes_later_is_found(tmp_path: Path) -> None:
    os.utime(tmp_path, (0, 0))  # clocks of file systems are coarse
    assert written_otherwise(tmp_path / "a.png") == ""
    (tmp_path / "A.png").touch()
    assert written_otherwise(tmp_path / "a.png") == "; there is A.png"


def test_what_a_failed_download_leaves(tmp_path: Path) -> None:
    assert not_fetched(tmp_path / "a", b"\n <!DOCTYPE HTML><p>").startswith("a web page, so the download failed")
    stub = not_fetched(tmp_path / "a", b"version https://git-lfs.github.com/spec/v1\n")
    assert stub == f"a Git LFS stub; in a clone of its repository, git -C {tmp_path} lfs pull fetches it"
    assert not_fetched(tmp_path / "a", b"file,label\n") == ""
