"""Decoding, cropping and resizing pictures and frames of videos; what is no usable picture is named."""

from __future__ import annotations

import io
import random
import struct
import time
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.images import decoding as pictures
from fernoise_bench.protocols.images.decoding import LARGEST, Box, Make, Pixels, decode_rows, fit, load

from ..miniatures import disfa as miniature

WHOLE = np.full(4, np.nan)


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def square(side: int) -> Make[Pixels]:
    return partial(fit, side=side)


def decode_picture(path: Path, side: int, box: Box = None) -> Pixels:
    return load(path, square(side), box)


def encoded(kind: str, pixels: Pixels | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(noise(40, 40) if pixels is None else pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG by hand, of any size its header states."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return content


def scanned(side: int, scans: int) -> bytes:
    """A progressive grey JPEG by hand, of a multiple of 8 pixels, whose scans after the first say "nothing here"."""

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    one_code = bytes([1, *[0] * 15])
    blocks = (side // 8) ** 2
    runs = "".join("0" + "1" * 14 for _ in range(0, blocks, 2**15 - 1))  # each the end of 32,767 blocks
    empty = int(runs + "1" * (-len(runs) % 8), 2).to_bytes(-(-len(runs) // 8), "big").replace(b"\xff", b"\xff\0")
    head = (
        b"\xff\xd8"
        + segment(0xDB, b"\0" + b"\1" * 64)
        + segment(0xC2, struct.pack(">BHHB3B", 8, side, side, 1, 1, 0x11, 0))
    )
    head += segment(0xC4, b"\0" + one_code + b"\0") + segment(0xC4, b"\x10" + one_code + b"\xe0")
    first = segment(0xDA, bytes([1, 1, 0, 0, 0, 0])) + bytes(-(-blocks // 8))
    return head + first + (segment(0xDA, bytes([1, 1, 0, 1, 63, 0])) + empty) * (scans - 1) + b"\xff\xd9"


def deep_png(colour: int) -> bytes:
    """A PNG of one pixel with 16 bits per channel, of this colour type and as many channels."""
    channels = {2: 3, 4: 2, 6: 4}[colour]
    content = b"\x89PNG\r\n\x1a\n"
    data = zlib.compress(b"\0" + b"\x12\x34" * channels)
    for name, part in ((b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, colour, 0, 0, 0)), (b"IDAT", data), (b"IEND", b"")):
        content += struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
    return content


def refusal(path: Path, content: bytes | None = None, box: object = None) -> str:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        decode_picture(path, 8, box)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert message.count(str(path)) == 1
    return message


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_a_whole_picture_of_the_side_keeps_its_pixels(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(kind))
    found = decode_picture(path, 40)
    assert found.dtype == np.uint8
    assert np.array_equal(found, noise(40, 40))


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "WEBP"])
def test_lossy_kinds(tmp_path: Path, kind: str) -> None:
    flat = np.full((30, 20, 3), (200, 100, 50), np.uint8)
    (tmp_path / "a").write_bytes(encoded(kind, flat))
    found = decode_picture(tmp_path / "a", 16, WHOLE)
    assert found.shape == (16, 16, 3)
    assert np.abs(found.astype(int) - (200, 100, 50)).max() < 8


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_eight_bit_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.full((9, 9, 3), 255, np.uint8)).convert(mode).save(path)
    assert np.array_equal(decode_picture(path, 5), np.full((5, 5, 3), 255))


def test_the_box_is_cut_out(tmp_path: Path) -> None:
    pixels = noise(30, 50)
    (tmp_path / "a.png").write_bytes(encoded("PNG", pixels))
    found = decode_picture(tmp_path / "a.png", 10, [20, 5, 10, 10])
    assert np.array_equal(found, pixels[5:15, 20:30])


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [([-5, -5, 15, 15], slice(0, 10), slice(0, 10)), ([40, 20, 99, 99], slice(20, 30), slice(40, 50))],
)
def test_a_box_that_reaches_out_is_cut(tmp_path: Path, box: list[float], rows: slice, columns: slice) -> None:
    pixels = noise(30, 50)
    (tmp_path / "a.png").write_bytes(encoded("PNG", pixels))
    assert np.array_equal(decode_picture(tmp_path / "a.png", 10, box), pixels[rows, columns])


@pytest.mark.parametrize(
    "box", [[50, 0, 9, 9], [0, 0, 0, 9], [0, 0, -4, 9], [0, 0, 9, np.nan], [np.inf, 0, 9, 9], [-np.inf, 0, np.inf, 9]]
)
def test_a_box_that_is_not_in_the_picture(tmp_path: Path, box: list[float]) -> None:
    message = refusal(tmp_path / "a.png", encoded("PNG", noise(30, 50)), box)
    assert "face box" in message
    assert "50 x 30" in message


def test_shrinking_averages(tmp_path: Path) -> None:
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    (tmp_path / "a.png").write_bytes(encoded("PNG", np.stack([board] * 3, axis=-1).astype(np.uint8)))
    assert np.abs(decode_picture(tmp_path / "a.png", 8).astype(int) - 127).max() <= 12


class TestRefusals:
    """What is on disk is not a usable picture."""

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (None, "missing"),
            (b"", "empty"),
            (b"hello", "no JPEG, PNG"),
            (b"<html>", "no JPEG, PNG"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no JPEG, PNG"),
            (png(0, 9), "0 x 9|no JPEG|damaged"),
            (png(9, 9), "damaged"),
            (png(9, 9, (b"IDAT", b"junk")), "damaged"),
        ],
    )
    def test_bytes(self, tmp_path: Path, content: bytes | None, words: str) -> None:
        message = refusal(tmp_path / "a.jpg", content)
        assert any(word in message for word in words.split("|")), message

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP"])
    @pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
    def test_truncated(self, tmp_path: Path, kind: str, share: float) -> None:
        content = encoded(kind)
        refusal(tmp_path / "a.jpg", content[: int(len(content) * share)])

    @pytest.mark.parametrize(
        "size", [(LARGEST // 8 + 1, 8), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)]
    )
    def test_bombs_are_refused_by_their_header(self, tmp_path: Path, size: tuple[int, int]) -> None:
        zeros = zlib.compress(bytes(1 << 20))
        message = refusal(tmp_path / "a.png", png(*size, (b"IDAT", zeros)))
        assert f"more than {LARGEST:,} pixels" in message

    def test_a_text_that_swells(self, tmp_path: Path) -> None:
        text = b"k\0\0" + zlib.compress(bytes(1 << 27))
        refusal(tmp_path / "a.png", png(9, 9, (b"zTXt", text)))

    def test_more_than_eight_bits(self, tmp_path: Path) -> None:
        Image.fromarray(np.full((9, 9), 40_000, np.uint16)).save(tmp_path / "a.png")
        assert "8 bits" in refusal(tmp_path / "a.png")

    @pytest.mark.parametrize("colour", [2, 4, 6])
    def test_colour_of_sixteen_bits(self, tmp_path: Path, colour: int) -> None:
        """Pillow would drop the lower eight."""
        message = refusal(tmp_path / "a.png", deep_png(colour))
        assert "with 16 bits per channel; save the picture with 8 bits per channel" in message

    def test_a_bitmap_of_sixteen_bits_a_pixel_has_fewer_per_channel(self, tmp_path: Path) -> None:
        header = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 58, 0, 0, 54, 40, 1, 1, 1, 16, 0, 4, 0, 0, 0, 0)
        (tmp_path / "a.bmp").write_bytes(header + struct.pack("<HH", 0x7C00, 0))
        assert decode_picture(tmp_path / "a.bmp", 1).tolist() == [[[255, 0, 0]]]

    def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded(self, tmp_path: Path) -> None:
        """As much work as 67 million pixels in ten scans passes: here 671 scans."""
        began = time.process_time()
        message = refusal(tmp_path / "a.jpg", scanned(1000, 672))
        assert time.process_time() - began < 1
        assert (
            "a JPEG of 1,000,000 pixels in 672 scans, which take too long to decode; save the picture again" in message
        )
        assert pictures.count_scans(scanned(1000, 671)) == 671
        refusal(tmp_path / "a.jpg", scanned(8, 10_241))
        (tmp_path / "a.jpg").write_bytes(scanned(64, 400))
        assert decode_picture(tmp_path / "a.jpg", 64).shape == (64, 64, 3)

    def test_thumbnails_are_no_scans(self) -> None:
        plain = encoded("JPEG", progressive=True)
        inside = plain[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(plain)) + plain + plain[2:]
        assert pictures.count_scans(inside) == pictures.count_scans(plain) == 10

    def test_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a.jpg").mkdir()
        assert "cannot be read" in refusal(tmp_path / "a.jpg")

    def test_pixels_at_the_limit_pass(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pictures, "LARGEST", 1600)
        (tmp_path / "a.png").write_bytes(encoded("PNG"))
        assert decode_picture(tmp_path / "a.png", 8).shape == (8, 8, 3)

    @settings(max_examples=150, deadline=None)
    @given(kind=st.sampled_from(["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP"]), seed=st.integers(0, 2**32))
    def test_random_damage_is_decoded_or_named(
        self, tmp_path_factory: pytest.TempPathFactory, kind: str, seed: int
    ) -> None:
        draw = random.Random(seed)
        content = bytearray(encoded(kind))
        for _ in range(draw.randint(1, 8)):
            content[draw.randrange(draw.choice((64, len(content)))) % len(content)] = draw.randrange(256)
        path = tmp_path_factory.getbasetemp() / "damaged.jpg"
        path.write_bytes(content)
        try:
            shape = decode_picture(path, 8).shape
        except BadInput:
            refusal(path)
        else:
            assert shape == (8, 8, 3)


class TestRows:
    """Rows of a listing: a bad one does not end the others."""

    def test_pictures(self, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "d/a.png").write_bytes(encoded("PNG"))
        (tmp_path / "d/b.png").write_bytes(b"junk")
        boxes = np.array([WHOLE, WHOLE, [0, 0, 8, 8], WHOLE])
        found = dict(
            decode_rows(tmp_path, ["d/a.png", "d/b.png", "d/a.png", "c.png"], np.full(4, -1), boxes, square(8))
        )
        assert list(found) == [0, 1, 2, 3]
        assert isinstance(found[1], BadInput)
        assert isinstance(found[3], BadInput)
        assert np.array_equal(found[2], noise(40, 40)[:8, :8])

    def test_frames_in_any_order(self, tmp_path: Path) -> None:
        pytest.importorskip("av")
        miniature.write_video(tmp_path / "a.avi", [miniature.tiny(index) for index in range(12)])
        frames = np.array([7, 0, 7, 11, 3])
        boxes = np.array([WHOLE, WHOLE, [99, 0, 4, 4], [2, 2, 20, 20], WHOLE])
        found = dict(decode_rows(tmp_path, ["a.avi"] * 5, frames, boxes, square(16)))
        assert sorted(found) == [0, 1, 2, 3, 4]
        assert isinstance(found.pop(2), BadInput)
        for position, pixels in found.items():
            assert isinstance(pixels, np.ndarray)
            assert pixels.shape == (16, 16, 3)
            assert abs(float(pixels.mean()) - miniature.tiny(int(frames[position])).mean()) < 8

    def test_frames_behind_the_end(self, tmp_path: Path) -> None:
        pytest.importorskip("av")
        miniature.write_video(tmp_path / "a.avi", [miniature.tiny(index) for index in range(5)])
        found = dict(decode_rows(tmp_path, ["a.avi"] * 4, np.array([9, 1, 8, 4]), np.tile(WHOLE, (4, 1)), square(16)))
        assert {position for position, pixels in found.items() if isinstance(pixels, BadInput)} == {0, 2}
        assert sorted(found) == [0, 1, 2, 3]
