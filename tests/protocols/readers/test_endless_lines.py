"""Lines without end, and numbers of thousands of digits, are named in bounded time and memory."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.readers import bp4d, emotionet_labels
from fernoise_bench.protocols.readers.openface_csv import Choices, Reader
from fernoise_bench.protocols.readers.text_lines import read_lines

LONGEST = 1 << 16
HEADER = "frame, face_id, timestamp, confidence, success, " + ", ".join(f"AU{au:02d}_c" for au in (
    1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45))  # fmt: skip


def test_a_line_without_end(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(b"a,b\n" + b"1" * LONGEST + b"\n")
    with pytest.raises(BadInput, match=r"list.csv, line 2: more than 65,536 bytes in one line, .*; fetch it again"):
        list(read_lines(path, "fetch it again"))
    path.write_bytes(b"a,b\n" + b"1" * (LONGEST - 1) + b"\n")
    assert [len(line.text) for line in read_lines(path, "")] == [4, LONGEST]


@pytest.mark.parametrize("frame", ["9" * 5_000, "9" * 10])
def test_a_frame_number_of_any_length(tmp_path: Path, frame: str) -> None:
    path = tmp_path / "openface.csv"
    path.write_text(f"{HEADER}\n{frame}, 0, 0.0, 0.98, 1, {', '.join(['0.0'] * 18)}\n")
    with pytest.raises(BadInput, match=r"line 2: frame is '9999.*, not a whole number from 1"):
        list(Reader(Choices()).faces(path))


@pytest.mark.parametrize("pattern", [bp4d._AU, emotionet_labels._AU])
@pytest.mark.parametrize("name", ["au" + "0" * 60_000 + "x", "au" + " " * 60_000 + "x"], ids=["zeros", "blanks"])
def test_the_name_of_an_au_is_read_in_linear_time(pattern, name: str) -> None:
    began = time.process_time()
    assert pattern.fullmatch(name) is None
    assert pattern.fullmatch("au 012")[1] == "12"
    assert time.process_time() - began < 1
