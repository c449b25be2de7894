"""Frames of videos: lengths from headers, pixels through PyAV."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.images.video import avi_length, decode_frames, flv_length
from fernoise_bench.protocols.readers.disfa import read

from ..miniatures import cremad as miniature_cremad
from ..miniatures import disfa as miniature
from ..miniatures.cremad import flv_tag


def refusal(path: Path, frames: list[int]) -> str:
    with pytest.raises(BadInput) as caught:
        list(decode_frames(path, frames))
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def close(picture: np.ndarray, index: int) -> bool:
    return bool(np.abs(picture.astype(int) - miniature.tiny(index)).mean() < 8)


@pytest.mark.parametrize(("stated", "length"), [(4845, 4845), (0, None)])
def test_the_length_in_the_header(tmp_path: Path, stated: int, length: int | None) -> None:
    miniature.write_header(tmp_path / "a.avi", stated)
    assert avi_length(tmp_path / "a.avi") == length


@pytest.mark.parametrize("content", [b"", b"RIFF", b"\0\0\0\x18ftypmp42"])
def test_a_file_that_is_no_avi(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.avi").write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.avi: no AVI video"):
        avi_length(tmp_path / "a.avi")


@pytest.mark.parametrize("frames", [0, 1, 75])
def test_the_frames_of_an_flv_are_its_video_tags(tmp_path: Path, frames: int) -> None:
    miniature_cremad.write_flv_header(tmp_path / "a.flv", frames)
    assert flv_length(tmp_path / "a.flv") == frames


@pytest.mark.parametrize(
    ("tag", "more"),
    [
        (flv_tag(9, b"\x24VP6"), 1),
        (flv_tag(0x20 | 9, b"\x22encrypted"), 1),
        (flv_tag(9, b"\x17\x01\0\0\0picture"), 1),
        (flv_tag(9, b"\x17\x00\0\0\0header"), 0),
        (flv_tag(9, b"\x17\x02\0\0\0"), 0),
        (flv_tag(9, b"\x52\x00"), 0),
        (flv_tag(9, b""), 0),
        (flv_tag(8, b"\x22sound"), 0),
        (flv_tag(9, b"\x22 cut off")[:-6], 0),
        (flv_tag(9, b"\x22 without the length after it")[:-4], 1),
        (flv_tag(9, b"\x22")[:7], 0),
    ],
)
def test_tags_without_a_picture_and_cut_off_ones_do_not_count(tmp_path: Path, tag: bytes, more: int) -> None:
    miniature_cremad.write_flv_header(tmp_path / "a.flv", 4, tail=tag)
    assert flv_length(tmp_path / "a.flv") == 4 + more


def test_a_longer_header_of_an_flv(tmp_path: Path) -> None:
    miniature_cremad.write_flv_header(tmp_path / "a.flv", 4)
    whole = (tmp_path / "a.flv").read_bytes()
    (tmp_path / "a.flv").write_bytes(whole[:5] + (20).to_bytes(4, "big") + bytes(11) + whole[9:])
    assert flv_length(tmp_path / "a.flv") == 4


@pytest.mark.parametrize("content", [b"", b"FLV\x01", b"RIFF....AVI ", b"version https://git-lfs.github.com/spec/v1"])
def test_a_file_that_is_no_flv(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.flv").write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.flv: no FLV video"):
        flv_length(tmp_path / "a.flv")
    with pytest.raises(BadInput, match=r"b\.flv: cannot be read"):
        flv_length(tmp_path / "b.flv")


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert "pip install 'fernoise-bench[video]'" in refusal(tmp_path / "a.avi", [0])


@pytest.mark.parametrize("frames", [[1, 0], [0, 0], [-1]])
def test_numbers_must_ascend(tmp_path: Path, frames: list[int]) -> None:
    with pytest.raises(ValueError, match="ascend"):
        decode_frames(tmp_path / "a.avi", frames)


class TestDecoding:
    """Needs PyAV."""

    @pytest.fixture(autouse=True)
    def _pyav(self) -> None:
        pytest.importorskip("av")

    @pytest.fixture
    def video(self, tmp_path: Path) -> Path:
        miniature.write_video(tmp_path / "a.avi", [miniature.tiny(index) for index in range(25)])
        return tmp_path / "a.avi"

    @pytest.mark.parametrize("frames", [list(range(25)), [0], [24], [3, 7, 8, 19], []])
    def test_frames_by_their_number(self, video: Path, frames: list[int]) -> None:
        pictures = list(decode_frames(video, np.array(frames, np.int64)))
        assert [picture.shape for picture in pictures] == [(32, 32, 3)] * len(frames)
        assert all(picture.dtype == np.uint8 for picture in pictures)
        assert all(close(picture, index) for picture, index in zip(pictures, frames, strict=True))

    @pytest.mark.parametrize("frames", [1, 2, 31])
    def test_an_flv_has_as_many_frames_as_are_counted(self, tmp_path: Path, frames: int) -> None:
        miniature_cremad.write_flv(tmp_path / "a.flv", [miniature.tiny(index) for index in range(frames)])
        assert flv_length(tmp_path / "a.flv") == frames
        pictures = list(decode_frames(tmp_path / "a.flv", list(range(frames))))
        assert all(close(picture, index) for index, picture in enumerate(pictures))

    def test_colours_are_in_the_order_red_green_blue(self, tmp_path: Path) -> None:
        red = np.zeros((32, 32, 3), np.uint8)
        red[..., 0] = 250
        miniature.write_video(tmp_path / "a.avi", [red] * 3)
        (picture,) = decode_frames(tmp_path / "a.avi", [1])
        assert picture[..., 0].mean() > 200 > 50 > picture[..., 1:].mean()

    def test_the_header_states_what_is_decoded(self, video: Path) -> None:
        assert avi_length(video) == 25

    def test_a_video_that_is_too_short(self, video: Path) -> None:
        assert "no frame 25, the video has 25 frames" in refusal(video, [24, 25])

    def test_a_file_that_is_no_video(self, tmp_path: Path) -> None:
        (tmp_path / "a.avi").write_bytes(b"RIFF no video at all" * 10)
        assert "cannot be decoded after 0 frames" in refusal(tmp_path / "a.avi", [0])

    def test_a_video_that_is_missing(self, tmp_path: Path) -> None:
        assert "cannot be decoded after 0 frames (No such file" in refusal(tmp_path / "a.avi", [0])

    def test_a_video_that_was_cut(self, video: Path) -> None:
        video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
        assert "unpack the file again" in refusal(video, [0, 24])

    def test_disfa_lists_frames_that_decode_to_its_pictures(self, tmp_path: Path) -> None:
        """Line t is the t-th picture of the video; the pictures of a subject go on where those before it stopped."""
        listing = read(miniature.write_videos(tmp_path))
        index = 0
        for subject, count in miniature.SOME.items():
            (path,) = set(listing.path[listing.group == subject])
            pictures = list(decode_frames(tmp_path / path, listing.frame[listing.group == subject]))
            assert len(pictures) == count
            assert all(close(picture, index + line) for line, picture in enumerate(pictures))
            index += count
