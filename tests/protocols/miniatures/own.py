"""A user's own data in miniature: twelve pictures of three classes, a table and a TOML file."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.own_data.template import write_first

CLASSES = ("happy", "sad", "calm")
HEADER = ("path", "given", "reference", "verified", "subject", "split", "fold")
SIDE = 8

TOML = """
[protocol]
name = "mine"
kind = "expressions"
labels = ["happy", "sad", "calm"]

[data]
table = "labels.csv"
pictures = "faces"

[data.columns]
given = "given"
split = "split"
subject = "subject"

[split]
train = ["train"]
test = ["test"]

[pictures]
side = 8
"""
"""A valid file; tests change parts of it."""


def rows(count: int = 12, train: int = 9) -> list[dict[str, str]]:
    """The rows of a table: classes in turn, every fifth given label wrong, three pictures a subject."""
    found = []
    for number in range(count):
        right = number % 3
        given = (right + 1) % 3 if number % 5 == 4 else right
        found.append(
            {
                "path": f"{number:03d}.png",
                "given": CLASSES[given],
                "reference": CLASSES[right],
                "verified": str(int(number % 2 == 0)),
                "subject": f"s{number // 3}",
                "split": "train" if number < train else "test",
                "fold": "ab"[number // 3 % 2],
            }
        )
    return found


def write_table(file: Path, listed: Iterable[Mapping[str, str]], header: Sequence[str] = HEADER) -> None:
    """A CSV file with these columns."""
    lines = [",".join(header), *(",".join(row[name] for name in header) for row in listed)]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def picture(number: int, side: int = SIDE) -> np.ndarray:
    """Noise, so that no two pictures look alike: uint8 [side, side, 3]."""
    return np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)


def write_pictures(folder: Path, names: Iterable[str], side: int = SIDE) -> None:
    """A PNG for each name."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number, side)).save(folder / name)


def write(root: Path, toml: str = TOML, listed: Sequence[Mapping[str, str]] | None = None, side: int = SIDE) -> Path:
    """Pictures, table and TOML file; the TOML file."""
    listed = rows() if listed is None else listed
    write_pictures(root / "faces", dict.fromkeys(row["path"] for row in listed), side)
    write_table(root / "labels.csv", listed, list(listed[0]))
    file = root / "mine.toml"
    file.write_text(toml, encoding="utf-8")
    return file


def changed(*pairs: tuple[str, str], toml: str = TOML) -> str:
    """The file with texts replaced, each of which must occur."""
    for old, new in pairs:
        assert old in toml, old
        toml = toml.replace(old, new, 1)
    return toml


def refusal(source: Path) -> str:
    """What `data new` says of a folder or table that it refuses: one printable line."""
    with pytest.raises(BadInput) as caught:
        write_first(source.parent / "never.toml", source)
    message = str(caught.value)
    assert message.isprintable()
    return message


def obey(message: str) -> None:
    """Runs the command that an error ends with."""
    subprocess.run(message[message.rindex(": ") + 2 :], shell=True, check=True, capture_output=True)
