"""DISFA: where picture and label numbers start, and copies in which the numbers do not tell."""

from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.readers.disfa import read

from ..miniatures import disfa as miniature
from .test_disfa import ROWS, choose, expected_labels, refusal


def test_pictures_from_0_without_picture_0_are_not_taken_for_pictures_from_1(tmp_path: Path) -> None:
    """Pictures 1 to 5 of 6 lines: the first of pictures 0 to 5 is missing, or the last of pictures 1 to 6."""
    miniature.write_img(tmp_path)
    for subject in miniature.SOME:
        (tmp_path / f"img/{subject}/0.png").unlink()
    message = refusal(tmp_path)
    assert (
        f"{tmp_path / 'img/SN001'}: the smallest picture number is 1 and the largest is 5, for 6 label lines" in message
    )
    assert "write image_base = 0 (or 1) into" in message
    listing = read(choose(tmp_path, "image_base = 0"))
    assert np.array_equal(listing.labels, expected_labels()[[line > 0 for _, line in ROWS]])
    assert listing.path[0] == "img/SN001/1.png"


def test_one_complete_subject_shows_that_numbers_start_at_1(tmp_path: Path) -> None:
    miniature.write_images(tmp_path)
    for subject in [subject for subject in miniature.SOME if subject != "SN003"]:
        last = f"LeftVideo{subject}_comp_{miniature.SOME[subject]:04d}.png"
        (tmp_path / f"images/LeftVideo{subject}_comp" / last).unlink()
    kept = [subject == "SN003" or line < miniature.SOME[subject] - 1 for subject, line in ROWS]
    assert np.array_equal(read(tmp_path).labels, expected_labels()[kept])


def test_subjects_numbered_from_0_and_from_1_are_refused(tmp_path: Path) -> None:
    folder = miniature.write_img(tmp_path) / "img/SN006"
    for number in range(5, -1, -1):
        (folder / f"{number}.png").rename(folder / f"{number + 1}.png")
    assert "the smallest picture number is 0, but img/SN006 has pictures 1 to 6" in refusal(tmp_path)
    assert len(read(choose(tmp_path, "image_base = 0"))) == len(ROWS) - 1


@pytest.mark.parametrize(
    ("start", "what"), [(2, "frame 2, so lines do not"), (0, "frame 1, but SN003_au1.txt starts at")]
)
def test_label_files_that_start_elsewhere_are_refused(tmp_path: Path, start: int, what: str) -> None:
    file = miniature.write_img(tmp_path) / "ActionUnit_Labels/SN003/SN003_au1.txt"
    file.write_text("".join(f"{start + line},0\n" for line in range(6)))
    message = refusal(tmp_path)
    assert ", line 1: " in message
    assert what in message


def test_a_copy_of_a_picture_is_no_other_frame(tmp_path: Path) -> None:
    folder = miniature.write_img(tmp_path) / "img/SN006"
    before = read(tmp_path)
    (folder / "2.png").unlink()
    (folder / "1 2.png").write_bytes((folder / "1.png").read_bytes())
    found = read(tmp_path)
    assert found.path.tolist() == [path for path in before.path.tolist() if path != "img/SN006/2.png"]
    (copies,) = (one for one in found.checks if one.what == "pictures without a frame number in their name, not used")
    assert (copies.found, copies.where) == (1, "img/SN006/1 2.png")
