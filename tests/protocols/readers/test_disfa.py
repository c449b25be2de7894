"""DISFA: every layout, what a copy lacks, and labels that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.labels import DISFA_AUS, DISFA_PARTS
from fernoise_bench.protocols.readers import disfa
from fernoise_bench.protocols.readers.disfa import read
from fernoise_bench.protocols.readers.listing import Check, Listing

from ..miniatures import disfa as miniature

ROWS = [(subject, line) for subject in sorted(miniature.SOME) for line in range(miniature.SOME[subject])]
PART = {subject: part for part, subjects in DISFA_PARTS for subject in subjects}


def expected_labels(threshold: int = 2) -> np.ndarray:
    coded = [[miniature.intensity(*row, au) for au in miniature.USED] for row in ROWS]
    return np.where(np.array(coded) >= threshold, 1, -1)


def refusal(root: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read(root)
    message = str(caught.value)
    assert "\n" not in message
    return message


def check(listing: Listing, what: str) -> Check:
    (found,) = (one for one in listing.checks if one.what == what)
    return found


def headers(root: Path, more: int = 0) -> Path:
    return miniature.write_videos(root, picture=None, more=more)


def choose(root: Path, text: str) -> Path:
    (root / "fernoise.toml").write_text(text + "\n")
    return root


# --- layouts


def test_every_layout_has_the_same_labels(tmp_path: Path) -> None:
    for write in (headers, *miniature.EXTRACTED):
        listing = read(write(tmp_path / write.__name__))
        assert listing.dataset == "disfa"
        assert listing.names == DISFA_AUS == ("AU1", "AU2", "AU4", "AU6", "AU9", "AU12", "AU25", "AU26")
        assert np.array_equal(listing.labels, expected_labels())
        assert listing.labels.dtype == np.int8
        assert listing.group.tolist() == [subject for subject, _ in ROWS]
        assert listing.part.tolist() == [PART[subject] for subject, _ in ROWS]
        assert all((listing.root / path).is_file() for path in listing.path)
        assert listing.frame.dtype == np.int64
        assert listing.box.shape == (len(ROWS), 4)
        assert np.isnan(listing.box).all()


@pytest.mark.parametrize(
    ("side", "folder"),
    [
        ("Left", "Videos_LeftCamera"),
        ("Left", "Video_LeftCamera"),
        ("Right", "Videos_RightCamera"),
        ("Right", "Video_RightCamera"),
    ],
)
def test_videos(tmp_path: Path, side: str, folder: str) -> None:
    miniature.write_videos(tmp_path, picture=None, side=side, folder=folder)
    choose(tmp_path, f'camera = "{side.lower()}"')
    listing = read(tmp_path)
    assert listing.layout == f"video, {folder}"
    assert listing.path.tolist() == [f"{folder}/{side}Video{subject}_comp.avi" for subject, _ in ROWS]
    assert listing.frame.tolist() == [line for _, line in ROWS]


@pytest.mark.parametrize(
    ("write", "layout", "third"),
    [
        (miniature.write_img, "img/SN001, left camera, pictures from 0", "img/SN001/2.png"),
        (miniature.write_subjects, "SN001, left camera, pictures from 0", "SN001/2.jpg"),
        (
            miniature.write_images,
            "images/LeftVideoSN001_comp, left camera, pictures from 1",
            "images/LeftVideoSN001_comp/LeftVideoSN001_comp_0003.png",
        ),
    ],
)
def test_extracted_frames(tmp_path: Path, write: Callable[[Path], Path], layout: str, third: str) -> None:
    listing = read(write(tmp_path))
    assert listing.layout == layout
    assert listing.path[2] == third
    assert (listing.frame == -1).all()


def test_extracted_frames_of_the_right_camera(tmp_path: Path) -> None:
    stem = "RightVideo{subject}_comp"
    miniature.write_frames(tmp_path, folder=f"images/{stem}", name=stem + "_{number:04d}.png", base=1)
    assert 'pictures of the right camera only: camera = "right" in fernoise.toml' in refusal(tmp_path)
    assert read(choose(tmp_path, 'camera = "right"')).path[0].startswith("images/RightVideoSN001_comp/Right")


def test_windows_line_ends(tmp_path: Path) -> None:
    miniature.write_img(tmp_path)
    miniature.write_labels(tmp_path, end="\r\n")
    assert np.array_equal(read(tmp_path).labels, expected_labels())


def test_the_choice_among_several_places(tmp_path: Path) -> None:
    miniature.write_images(tmp_path)
    miniature.write_videos(tmp_path, picture=None)
    assert read(tmp_path).layout == "video, Videos_LeftCamera"
    assert read(choose(tmp_path, 'pictures = "images"')).layout.startswith("images/")
    assert "nothing usable" in refusal(choose(tmp_path, 'pictures = "img"'))
    assert "pictures = 'frames' must be one of 'video', 'images', 'img', 'subjects'" in refusal(
        choose(tmp_path, 'pictures = "frames"')
    )


def test_the_base_can_be_stated(tmp_path: Path) -> None:
    """Pictures 1 to 6 are frames 1 to 6 where the user says that numbers start at 0 and the first one is missing."""
    miniature.write_images(tmp_path)
    listing = read(choose(tmp_path, "image_base = 0"))
    assert listing.layout.endswith("pictures from 0")
    assert listing.path[0].endswith("SN001_comp_0001.png")
    assert np.array_equal(listing.labels, expected_labels()[[line > 0 for _, line in ROWS]])
    found = check(listing, "subjects whose pictures start at 0")
    assert (found.found, found.where) == (0, "images/LeftVideoSN001_comp: the smallest number is 1")


def test_a_base_that_cannot_be_seen(tmp_path: Path) -> None:
    miniature.write_frames(tmp_path, base=3)
    message = refusal(tmp_path)
    assert f"{tmp_path / 'img/SN001'}: the smallest picture number is 3" in message
    assert "write image_base = 0 (or 1) into" in message
    assert len(read(choose(tmp_path, "image_base = 1"))) == sum(count - 2 for count in miniature.SOME.values())
    assert "image_base = 7 must be one of 0, 1" in refusal(choose(tmp_path, "image_base = 7"))


def test_the_threshold(tmp_path: Path) -> None:
    miniature.write_img(tmp_path)
    listing = read(choose(tmp_path, "threshold = 1"))
    assert np.array_equal(listing.labels, expected_labels(1))
    assert check(listing, "intensity from which present") == Check("intensity from which present", 2, 1)
    assert "threshold = 6 must be one of 1, 2, 3, 4, 5" in refusal(choose(tmp_path, "threshold = 6"))


def test_columns_are_in_numeric_order(tmp_path: Path) -> None:
    """AU12 must not stand where AU2 belongs, as it does in a folder listing."""
    miniature.write_img(tmp_path)
    miniature.write_labels(tmp_path, intensity=lambda subject, line, au: 5 if au == 12 else 0)
    assert ((read(tmp_path).labels == 1).all(0) == [au == "AU12" for au in DISFA_AUS]).all()


@pytest.mark.parametrize("reverse", [False, True])
def test_the_order_of_files_does_not_matter(tmp_path: Path, reverse: bool) -> None:
    lines = dict(sorted(miniature.SOME.items(), reverse=reverse))
    listing = read(miniature.write_img(tmp_path, lines))
    assert listing.group.tolist() == [subject for subject, _ in ROWS]
    assert np.array_equal(listing.labels, expected_labels())


# --- a copy against what was published


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was published is the miniature."""
    monkeypatch.setattr(disfa, "LINES", 6)
    monkeypatch.setattr(disfa, "FEWER_LINES", {"SN010": 5})
    parts = tuple((part, tuple(who for who in names if who in miniature.SOME)) for part, names in DISFA_PARTS)
    monkeypatch.setattr(disfa, "DISFA_PARTS", parts)
    monkeypatch.setattr(disfa, "_PART", {who: part for part, names in parts for who in names})


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("write", [headers, *miniature.EXTRACTED])
def test_a_complete_copy_is_not_partial(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    listing = read(write(tmp_path))
    assert not listing.partial
    assert not any(one.where for one in listing.checks)
    expected = {one.what: one.expected for one in listing.checks}
    assert expected["label files"] == 84
    assert expected["labelled frames"] == expected["labelled frames with a picture"] == 41
    assert [expected[f"labelled frames, part{n}"] for n in (1, 2, 3)] == [17, 12, 12]


def test_a_subset_is_partial_and_says_by_how_much(tmp_path: Path) -> None:
    listing = read(headers(tmp_path))
    assert listing.partial
    assert check(listing, "subjects") == Check("subjects", 27, 7, "ActionUnit_Labels: no SN004")
    assert check(listing, "label files").expected == 324
    first = "ActionUnit_Labels/SN001: 6 lines, published 4,845"
    assert check(listing, "labelled frames") == Check("labelled frames", 130_814, 41, first)
    parts = [check(listing, f"labelled frames, part{n}").expected for n in (1, 2, 3)]
    assert parts == [43_604, 43_605, 43_605]
    assert check(listing, "label files numbered from 1").ok


@pytest.mark.usefixtures("published")
def test_a_longer_video_is_as_published_but_mentioned(tmp_path: Path) -> None:
    listing = read(headers(tmp_path, more=10))
    assert not listing.partial
    where = "Videos_LeftCamera/LeftVideoSN001_comp.avi: 16 frames, 6 label lines"
    assert check(listing, "videos not shorter than their labels") == Check(
        "videos not shorter than their labels", 7, 7, where
    )


@pytest.mark.usefixtures("published")
def test_lines_beyond_the_end_of_a_video_are_left_out(tmp_path: Path) -> None:
    miniature.write_header(headers(tmp_path) / "Videos_LeftCamera/LeftVideoSN006_comp.avi", 4)
    listing = read(tmp_path)
    where = "Videos_LeftCamera/LeftVideoSN006_comp.avi: 4 frames, 6 label lines"
    assert check(listing, "videos not shorter than their labels").where == where
    assert check(listing, "labelled frames with a picture") == Check("labelled frames with a picture", 41, 39, where)
    kept = [subject != "SN006" or line < 4 for subject, line in ROWS]
    assert np.array_equal(listing.labels, expected_labels()[kept])
    assert listing.frame[listing.group == "SN006"].tolist() == [0, 1, 2, 3]


@pytest.mark.usefixtures("published")
def test_a_video_that_states_no_length_is_not_compared(tmp_path: Path) -> None:
    miniature.write_header(headers(tmp_path) / "Videos_LeftCamera/LeftVideoSN006_comp.avi", 0)
    listing = read(tmp_path)
    assert not listing.partial
    assert check(listing, "videos not shorter than their labels").expected == 6


@pytest.mark.usefixtures("published")
def test_a_missing_video(tmp_path: Path) -> None:
    (headers(tmp_path) / "Videos_LeftCamera/LeftVideoSN006_comp.avi").unlink()
    listing = read(tmp_path)
    assert check(listing, "videos").where == "Videos_LeftCamera: no LeftVideoSN006_comp.avi"
    assert check(listing, "labelled frames with a picture").found == 35
    assert "SN006" not in listing.group


@pytest.mark.usefixtures("published")
def test_one_video_that_is_none_does_not_spoil_the_others(tmp_path: Path) -> None:
    video = headers(tmp_path) / "Videos_LeftCamera/LeftVideoSN006_comp.avi"
    video.write_bytes(b"<!doctype html>")
    listing = read(tmp_path)
    assert check(listing, "videos").where.startswith(f"{video}: no AVI video")
    assert len(listing) == len(ROWS)
    for other in video.parent.iterdir():
        other.write_bytes(b"")
    with pytest.raises(BadInput, match=r"SN001_comp\.avi: no AVI video"):
        read(tmp_path)


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("how", ["missing", "dead link"])
def test_a_frame_without_a_picture_is_left_out_and_counted(tmp_path: Path, how: str) -> None:
    picture = miniature.write_img(tmp_path) / "img/SN003/4.png"
    picture.unlink()
    if how == "dead link":
        picture.symlink_to(tmp_path / "nowhere.png")
    listing = read(tmp_path)
    where = "img/SN003: no picture 4, label line 5"
    assert check(listing, "labelled frames with a picture") == Check("labelled frames with a picture", 41, 40, where)
    assert np.array_equal(listing.labels, expected_labels()[[row != ("SN003", 4) for row in ROWS]])


@pytest.mark.usefixtures("published")
def test_an_action_unit_without_a_file_is_unknown(tmp_path: Path) -> None:
    (miniature.write_img(tmp_path) / "ActionUnit_Labels/SN006/SN006_au12.txt").unlink()
    listing = read(tmp_path)
    assert check(listing, "label files") == Check("label files", 84, 83, "ActionUnit_Labels/SN006: no file of AU12")
    expected = expected_labels()
    expected[[subject == "SN006" for subject, _ in ROWS], DISFA_AUS.index("AU12")] = 0
    assert np.array_equal(listing.labels, expected)


@pytest.mark.usefixtures("published")
def test_lines_count_whatever_number_is_printed(tmp_path: Path) -> None:
    miniature.write_img(tmp_path)
    miniature.write_labels(tmp_path, {"SN001": 6}, start=0)
    listing = read(tmp_path)
    assert np.array_equal(listing.labels, expected_labels())
    where = "ActionUnit_Labels/SN001/SN001_au1.txt, line 1: frame 0"
    assert check(listing, "label files numbered from 1") == Check("label files numbered from 1", 84, 72, where)


@pytest.mark.parametrize("word", ["", "nan", "-nan(ind)"])
def test_an_intensity_without_a_number_is_unknown_and_counted(tmp_path: Path, word: str) -> None:
    file = miniature.write_img(tmp_path) / "ActionUnit_Labels/SN006/SN006_au12.txt"
    lines = file.read_text().splitlines()
    file.write_text("".join(line + "\n" for line in [*lines[:3], f"4,{word}", *lines[4:]]))
    listing = read(tmp_path)
    expected = expected_labels()
    expected[ROWS.index(("SN006", 3)), DISFA_AUS.index("AU12")] = 0
    assert np.array_equal(listing.labels, expected)
    found = check(listing, "intensities without a number, unknown")
    assert (found.found, found.where) == (1, "ActionUnit_Labels/SN006/SN006_au12.txt, line 4")


# --- nothing usable


def test_no_labels(tmp_path: Path) -> None:
    message = refusal(tmp_path / "disfa")
    assert f"DISFA: nothing usable in {tmp_path / 'disfa'}" in message
    assert "ActionUnit_Labels/SN001/SN001_au1.txt" in message
    assert "mohammadmahoor.com/disfa" in message
    (tmp_path / "disfa/ActionUnit_Labels/SN001").mkdir(parents=True)
    assert "no label file such as" in refusal(tmp_path / "disfa")


def test_no_pictures(tmp_path: Path) -> None:
    miniature.write_labels(tmp_path)
    message = refusal(tmp_path)
    assert "labels, but none of their frames in Videos_LeftCamera/LeftVideoSN001_comp.avi, images/Left" in message


# --- labels that cannot be

FILE = "ActionUnit_Labels/SN001/SN001_au4.txt"


@pytest.mark.parametrize(
    ("content", "number", "what"),
    [
        ("1,0\n2,9\n3,0\n", 2, "intensity '9' is none of 0 to 5"),
        ("1,0\n2,6\n", 2, "intensity '6' is none of 0 to 5"),
        ("1,0\n2,-1\n", 2, "intensity '-1' is none of 0 to 5"),
        ("frame,intensity\n1,0\n", 3, "the file ends, but SN001_au1.txt has 6 lines"),
        ("frame,intensity\n1,0\n2,9\n", 3, "intensity '9' is none of 0 to 5"),
        ("frame,intensity\n2,0\n", 3, "the file ends, but SN001_au1.txt has 6 lines"),
        ("frame;intensity\n1,0\n", 1, "is no 'frame,intensity'"),
        ("1,0\nframe,intensity\n", 2, "is no 'frame,intensity'"),
        ("1,3.5\n", 1, "intensity '3.5' is none of 0 to 5"),
        ("1,0\n2\n", 2, "'2' is no 'frame,intensity'"),
        ("9" * 5000 + ",1\n", 1, "is no 'frame,intensity'"),
        ("1,0\n2,0\n2,0\n", 3, "frame 2 after frame 2, so lines do not follow the pictures"),
        ("1,0\n3,0\n", 2, "frame 3 after frame 1"),
        ("1,0\n2,0\n3,", 3, "the file looks truncated, it stops within this line"),
        ("1,0\n\n2,0\n", 2, "an empty line between rows"),
        ("1,0\n2,\0\n", 2, "byte 0x00"),
        ("1,0\n2,0\n", 3, "the file ends, but SN001_au1.txt has 6 lines"),
    ],
)
def test_a_line_that_cannot_be(tmp_path: Path, content: str, number: int, what: str) -> None:
    (miniature.write_img(tmp_path) / FILE).write_text(content)
    message = refusal(tmp_path)
    assert f"{tmp_path / FILE}, line {number}: " in message
    assert what in message


@pytest.mark.parametrize(("content", "what"), [(b"", "is empty"), ("1,0".encode("utf-16"), "byte 0xff")])
def test_a_file_that_is_no_text(tmp_path: Path, content: bytes, what: str) -> None:
    (miniature.write_img(tmp_path) / FILE).write_bytes(content)
    assert what in refusal(tmp_path)


@pytest.mark.parametrize("subject", ["SN014", "SN033"])
def test_a_subject_that_is_not_in_the_set(tmp_path: Path, subject: str) -> None:
    miniature.write_img(tmp_path, {**miniature.SOME, subject: 6})
    assert f"{subject} is none of DISFA's 27 subjects" in refusal(tmp_path)


def test_a_file_of_another_subject(tmp_path: Path) -> None:
    miniature.write_img(tmp_path)
    (tmp_path / FILE).rename(tmp_path / "ActionUnit_Labels/SN001/SN002_au4.txt")
    assert "a label file of SN002 in the folder of SN001" in refusal(tmp_path)


def test_two_files_of_one_action_unit(tmp_path: Path) -> None:
    miniature.write_img(tmp_path)
    (tmp_path / "ActionUnit_Labels/SN001/SN001_au04.txt").touch()
    assert "the same action unit as SN001_au04.txt" in refusal(tmp_path)


def test_two_pictures_of_one_frame(tmp_path: Path) -> None:
    (miniature.write_img(tmp_path) / "img/SN001/01.png").touch()
    assert f"{tmp_path / 'img/SN001'}: two pictures of number 1, '01.png' and '1.png'" in refusal(tmp_path)


@pytest.mark.parametrize("text", ['camera = "top"', "camera = 1", "base = 1"])
def test_a_choice_that_is_none(tmp_path: Path, text: str) -> None:
    message = refusal(choose(miniature.write_img(tmp_path), text))
    assert str(tmp_path / "fernoise.toml") in message
