"""BP4D: the numbers of its pictures beside those of its coded frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.readers.bp4d import read

from ..miniatures import bp4d as miniature


def refusal(root: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read(root)
    return str(caught.value)


def test_a_missing_last_frame_shows_a_wrong_offset(tmp_path: Path) -> None:
    copy = miniature.write_au_occ(tmp_path)
    (copy / "fernoise.toml").write_text("frame_offset = 1\n")
    (found,) = (one for one in read(copy).checks if one.what == "first and last coded frames with a picture")
    assert (found.expected, found.found) == (20, 10)
    first = "Sequences/F001/T1: no picture 2446 for coded frame 2445"
    assert found.where == f"{first}; all are there with frame_offset = 0"


def test_a_picture_0_leaves_the_offset_to_the_user(tmp_path: Path) -> None:
    """Coded frames count from 1: at offset 0 every label would be one picture late in a copy numbered from 0."""
    copy = miniature.write_au_occ(tmp_path)
    picture = copy / "Sequences/F001/T3/0000.jpg"
    picture.touch()
    message = refusal(copy)
    assert message.startswith(
        f"{picture}: pictures here count from 0, and coded frames from 1; write frame_offset = -1"
    )
    assert f"(or 0, if coded frame 1 is picture 1) into {copy / 'fernoise.toml'}" in message
    for offset, name in ((0, "0001.jpg"), (-1, "0000.jpg")):
        (copy / "fernoise.toml").write_text(f"frame_offset = {offset}\n")
        assert f"Sequences/F001/T3/{name}" == min(path for path in read(copy).path if "F001/T3" in path)


def test_no_picture_of_any_coded_frame(tmp_path: Path) -> None:
    miniature.write_au_occ(tmp_path)
    (tmp_path / "fernoise.toml").write_text("frame_offset = 100000\n")
    assert "none of their frames in Sequences/F001/T1" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["001 2.jpg", "001 (1).jpg", "001 - Copy.jpg", "001 copy.jpg", "001 copy 2.jpg"])
def test_a_copy_of_a_picture_is_no_other_frame(name: str, tmp_path: Path) -> None:
    """As Finder, iCloud, Windows and browsers name copies: of picture 1, not picture 2."""
    folder = miniature.write_au_occ(tmp_path) / "Sequences/M018/T8"
    before = read(tmp_path)
    (folder / "002.jpg").unlink()
    (folder / name).write_bytes((folder / "001.jpg").read_bytes())
    found = read(tmp_path)
    assert found.path.tolist() == [path for path in before.path.tolist() if path != "Sequences/M018/T8/002.jpg"]
    (copies,) = (one for one in found.checks if one.what == "pictures without a frame number in their name, not used")
    assert (copies.expected, copies.found, copies.where) == (0, 1, f"Sequences/M018/T8/{name}")
