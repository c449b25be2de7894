"""The choices in fernoise.toml: whatever is in the file, one line in bounded time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.readers.listing import read_choices

KNOWN = {"frame_offset": int, "labels": ("AU_OCC", "Occurrence"), "threshold": float}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"x = " + b"[" * 3_000, "not a TOML file of choices"),
        (b"x = " + b"{a = " * 1_500, "not a TOML file of choices"),
        (b"frame_offset = " + b"9" * 5_000, "not a TOML file of choices"),
        (b"frame_offset = 0x" + b"f" * 8_000, "frame_offset = a number of thousands of digits must be at most"),
        (b"labels = 0x" + b"f" * 8_000, "labels = a number of thousands of digits must be of type str"),
        (b"frame_offset = 99999999999999999999", "must be at most 1,000,000,000"),
        (b"a" + b".a" * 40_000 + b" = 1", "more than 8,192 bytes"),
        (b"a" + b".a" * 4_000 + b" = 1", "unknown choice 'a'"),
        (b"'" + b"k" * 5_000 + b"' = 1", "unknown choice 'kkk"),
        (b"labels = '" + b"x" * 7_000 + b"'", "xxx... must be one of 'AU_OCC', 'Occurrence'"),
        (b"labels = 'caf\xe9'", "not a TOML file of choices ('utf-8' codec"),
        (b"\0", "not a TOML file of choices"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_a_file_of_anything_is_one_line(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "fernoise.toml").write_bytes(content)
    began = time.process_time()
    with pytest.raises(BadInput) as caught:
        read_choices(tmp_path, KNOWN)
    message = str(caught.value)
    assert time.process_time() - began < 2
    assert message.startswith(f"{tmp_path / 'fernoise.toml'}: ")
    assert told in message
    assert "\n" not in message
    assert len(message) < 300 + len(str(tmp_path))


def test_choices_are_read(tmp_path: Path) -> None:
    (tmp_path / "fernoise.toml").write_text("frame_offset = -1\nlabels = 'AU_OCC'\nthreshold = 1.5\n")
    assert read_choices(tmp_path, KNOWN) == {"frame_offset": -1, "labels": "AU_OCC", "threshold": 1.5}
    (tmp_path / "fernoise.toml").write_bytes(b"\xef\xbb\xbfframe_offset = 1\r\n")  # as Windows' Notepad saves it
    assert read_choices(tmp_path, KNOWN) == {"frame_offset": 1}
