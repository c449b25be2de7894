"""Packs that are replaced while they are in use."""

from __future__ import annotations

import gc
import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.packs import file_format
from fernoise_bench.protocols.packs.file_format import FACES, PACK, STARTED, UNFINISHED, open_pack
from fernoise_bench.protocols.packs.prepare import Pack, prepare
from fernoise_bench.protocols.readers.listing import Listing

EVERY = np.arange(12)


def listing(root: Path, seed: int) -> Listing:
    root.mkdir()
    for row in range(12):
        pixels = np.random.default_rng(seed + row).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{row}.png")
    return Listing(
        "toy", "made", root, ("a", "b"), np.array([f"{row}.png" for row in range(12)]), np.full(12, -1),
        np.full((12, 4), np.nan), np.arange(12) % 2, np.arange(12).astype(str), np.full(12, f"part {seed}"), (),
    )  # fmt: skip


@pytest.fixture
def one(tmp_path: Path) -> Listing:
    return listing(tmp_path / "one", 0)


@pytest.fixture
def other(tmp_path: Path) -> Listing:
    return listing(tmp_path / "other", 100)


def made(rows: Listing) -> Pack:
    return prepare(rows, rows.root.parent / "out", 8, workers=1, skip_bad=False, report=lambda done, total: None)


def begun(rows: Listing) -> bytes:
    """Begins a pack that its last picture, made no picture, stops; what the picture contained."""
    picture = rows.root / "11.png"
    good = picture.read_bytes()
    picture.write_bytes(b"no picture")
    with pytest.raises(BadInput, match="11"):
        made(rows)
    return good


def test_an_open_pack_keeps_its_pictures_when_another_takes_its_place(one: Listing, other: Listing) -> None:
    pack = made(one)
    before = pack.pixels.read(EVERY)
    after = made(other)
    np.testing.assert_array_equal(pack.pixels.read(EVERY), before)
    np.testing.assert_array_equal(pack.read(EVERY), pack.faces)
    assert not np.array_equal(after.pixels.read(EVERY), before)


def test_the_old_pack_is_there_until_the_new_one_is_finished(one: Listing, other: Listing) -> None:
    pack = made(one)
    good = begun(other)
    folder = one.root.parent / "out/toy-8"
    assert {UNFINISHED, STARTED, PACK} <= {file.name for file in folder.iterdir()}
    assert open_pack(folder, pixels=True).digest == pack.digest
    assert made(one).digest == pack.digest
    assert not (folder / UNFINISHED).exists()
    (other.root / "11.png").write_bytes(good)
    made(other)
    np.testing.assert_array_equal(open_pack(folder, pixels=True).part, other.part)


def test_what_an_earlier_version_began_in_place_goes_on(one: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    good = begun(one)
    folder = one.root.parent / "out/toy-8"
    (folder / UNFINISHED).rename(folder / FACES)
    (one.root / "11.png").write_bytes(good)
    started: list[int] = []
    prepare(one, folder.parent, 8, workers=1, skip_bad=False, report=lambda done, total: started.append(done))
    assert started[0] == 11


def test_a_copy_in_another_process_refuses_other_pictures(one: Listing, other: Listing) -> None:
    pack = made(one)
    content = pickle.dumps(pack.pixels)
    np.testing.assert_array_equal(pickle.loads(content).read(EVERY), pack.faces)
    made(other)
    with pytest.raises(BadInput, match=r"faces\.npy: another file took its place while it was in use"):
        pickle.loads(content)
    (one.root.parent / "out/toy-8" / FACES).unlink()
    with pytest.raises(BadInput, match=r"faces\.npy: was removed while it was in use"):
        pickle.loads(content)


def test_a_pack_that_is_replaced_while_it_is_opened_is_refused(
    one: Listing, other: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its description would be that of other pictures."""
    made(one)
    load_table = file_format._load_table

    def replace_before(file: Path) -> dict[str, np.ndarray]:
        monkeypatch.undo()
        table = load_table(file)
        made(replace(other, part=one.part))
        return table

    monkeypatch.setattr(file_format, "_load_table", replace_before)
    with pytest.raises(BadInput, match="was prepared anew while it was opened"):
        open_pack(one.root.parent / "out/toy-8")


@pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")
def test_files_are_closed_with_their_pack(one: Listing) -> None:
    made(one)
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    packs = [open_pack(one.root.parent / "out/toy-8") for _ in range(20)]
    views = [pack.pixels for pack in packs]
    assert len(os.listdir("/proc/self/fd")) <= before + 40
    del packs, views
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
