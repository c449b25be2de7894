"""Prepared pictures of a user's own: made once, again when a file changes, not when a label does."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fernoise_bench.protocols.base import Protocol
from fernoise_bench.protocols.catalog import find, protocol_of_file
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.files import write_arrays
from fernoise_bench.protocols.loading import open_data, prepare_own
from fernoise_bench.protocols.locks import FolderLock
from fernoise_bench.protocols.own_data.labelled import read_labelled
from fernoise_bench.protocols.own_data.pictures import listing_of, pack_folder, prepared, quiet
from fernoise_bench.protocols.packs import prepare as prepare_module

from ..miniatures.own import changed, picture, rows, write, write_table


class Count:
    """How many pictures were decoded, and of how many."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.last = 0

    def __call__(self, done: int, total: int) -> None:
        self.first = done if self.first is None else self.first
        self.last = done


def decoded(protocol: Protocol, root: Path) -> int:
    """How many pictures a preparation decodes."""
    count = Count()
    prepare_own(protocol, root / "data", workers=1, report=count)
    return count.last - (count.first or 0)


def test_pictures_of_the_asked_size_keep_their_pixels(tmp_path: Path) -> None:
    protocol = protocol_of_file(write(tmp_path))
    pack = prepared(protocol, read_labelled(protocol), tmp_path / "data")
    assert (pack.read(np.arange(12)) == np.stack([picture(number) for number in range(12)])).all()
    assert pack.origin.layout == "own data; whole picture, 8 px"


def test_others_are_resized_and_cropped_to_their_box(tmp_path: Path) -> None:
    listed = rows()
    toml = changed(('subject = "subject"', 'box = ["x", "y", "w", "h"]'))
    protocol = protocol_of_file(write(tmp_path, toml, listed, side=16))
    lines = [f"{row['path']},{row['given']},{row['split']},4,2,8,8" for row in listed]
    (tmp_path / "labels.csv").write_text("\n".join(["path,given,split,x,y,w,h", *lines]) + "\n")
    pack = prepared(protocol, read_labelled(protocol), tmp_path / "data")
    assert (pack.read(np.array([3]))[0] == picture(3, 16)[2:10, 4:12]).all()


def test_only_a_changed_file_is_prepared_again(tmp_path: Path) -> None:
    protocol = protocol_of_file(write(tmp_path))
    assert decoded(protocol, tmp_path) == 12
    digest = prepared(protocol, read_labelled(protocol), tmp_path / "data").pixel_digest
    assert decoded(protocol, tmp_path) == 0
    listed = rows()
    listed[0]["given"] = "sad"
    write_table(tmp_path / "labels.csv", listed)
    assert decoded(protocol, tmp_path) == 0  # labels are not in the pack
    Image.fromarray(picture(99)).save(tmp_path / "faces/003.png")
    os.utime(tmp_path / "faces/003.png", ns=(1, 1))
    assert decoded(protocol, tmp_path) == 12
    assert prepared(protocol, read_labelled(protocol), tmp_path / "data").pixel_digest != digest


def test_prepared_pictures_are_opened_by_many_at_once(tmp_path: Path) -> None:
    protocol = protocol_of_file(write(tmp_path))
    rows_of_table = read_labelled(protocol)
    prepared(protocol, rows_of_table, tmp_path / "data")
    folder = pack_folder(protocol, tmp_path / "data")
    with FolderLock(folder) as acquired:  # as another worker has it while it prepares
        assert acquired
        assert len(prepared(protocol, rows_of_table, tmp_path / "data")) == 12


def test_an_interrupted_preparation_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fernoise_bench.protocols.packs.workers.CHUNK", 4)
    protocol = protocol_of_file(write(tmp_path))

    def stop(done: int, total: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_own(protocol, tmp_path / "data", workers=1, report=stop)
    assert decoded(protocol, tmp_path) == 4


def test_missing_and_damaged_pictures_are_named_or_left_out(tmp_path: Path) -> None:
    protocol = protocol_of_file(write(tmp_path))
    (tmp_path / "faces/004.png").write_bytes(b"no picture")
    with pytest.raises(BadInput, match=r"004\.png: no JPEG, PNG"):
        prepared(protocol, read_labelled(protocol), tmp_path / "data")
    (tmp_path / "faces/004.png").unlink()
    with pytest.raises(BadInput, match=r"labels\.csv, line 6: .*004\.png: no such picture; found there: .*; correct"):
        prepared(protocol, read_labelled(protocol), tmp_path / "data")
    lenient = protocol_of_file(write(tmp_path, changed(("side = 8", 'side = 8\nunreadable = "leave out"'))))
    (tmp_path / "faces/004.png").unlink()
    data = open_data(lenient, "smoke", "real", tmp_path / "data")
    cell = data.cell(None, None, 0)
    assert cell.train.group.tolist() == [
        "s0",
        "s0",
        "s0",
        "s1",
        "s1",
        "s2",
        "s2",
        "s2",
    ]  # one of three of s1 is left out
    assert (cell.train.images.read(np.array([4]))[0] == picture(5)).all()
    (tmp_path / "faces/004.png").write_bytes(b"x")
    prepared(lenient, read_labelled(lenient), tmp_path / "data")
    with pytest.raises(BadInput, match=r"004\.png: .*; 1 pictures cannot be decoded: repair them, or set pictures"):
        prepared(protocol, read_labelled(protocol), tmp_path / "data")


def test_a_pack_of_something_else_is_not_deleted(tmp_path: Path) -> None:
    protocol = protocol_of_file(write(tmp_path))
    folder = pack_folder(protocol, tmp_path / "data")
    folder.mkdir(parents=True)
    (folder / "pack.json").write_text("{}")
    with pytest.raises(BadInput, match="not the pictures of a protocol's file; delete it, or change"):
        prepared(protocol, read_labelled(protocol), tmp_path / "data")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = protocol_of_file(write(tmp_path))

    def refuse(path: Path, value: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(prepare_module, "write_json", refuse)
    with pytest.raises(BadInput, match=r"cannot be written \(Permission denied\); check its permissions"):
        prepared(protocol, read_labelled(protocol), tmp_path / "data")


def test_only_own_protocols_are_prepared_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no protocol of your own data"):
        prepare_own(find("ferplus-sym"), tmp_path, workers=1, report=Count())


def twins(root: Path) -> tuple[Protocol, Protocol]:
    """Two protocols of one name in two files, with other pictures."""
    found = []
    for name in ("one", "other"):
        (root / name).mkdir()
        found.append(protocol_of_file(write(root / name)))
    for number in range(12):
        Image.fromarray(picture(50 + number)).save(root / f"other/faces/{number:03d}.png")
    return found[0], found[1]


def test_another_file_with_the_same_name_and_other_pictures_is_refused(tmp_path: Path) -> None:
    one, other = twins(tmp_path)
    pack = prepared(one, read_labelled(one), tmp_path / "data")
    told = r"own-mine-8: contains other pictures, of the protocol of the same name in .*one/mine\.toml; change protocol"
    with pytest.raises(BadInput, match=told):
        prepared(other, read_labelled(other), tmp_path / "data")
    assert prepared(one, read_labelled(one), tmp_path / "data").digest == pack.digest
    (tmp_path / "one/mine.toml").unlink()  # as where the file was moved
    assert prepared(other, read_labelled(other), tmp_path / "data").digest != pack.digest
    assert (pack.read(np.arange(12)) == np.stack([picture(number) for number in range(12)])).all()


def test_pictures_that_an_earlier_version_prepared_are_opened_until_one_changes(tmp_path: Path) -> None:
    """Size and time of each file were in a file beside, and not part of the plan."""
    protocol = protocol_of_file(write(tmp_path))
    rows_of_table = read_labelled(protocol)
    plain = replace(listing_of(protocol, rows_of_table), described_in="")
    prepare_module.prepare(plain, tmp_path / "data/packs", 8, workers=1, skip_bad=False, report=quiet)
    folder = pack_folder(protocol, tmp_path / "data")
    files = [os.stat(tmp_path / "faces" / Path(path).name) for path in rows_of_table.path.tolist()]
    stamps = np.array([[file.st_size, file.st_mtime_ns] for file in files], np.int64)
    write_arrays(folder / "pictures.npz", {"stamps": stamps, "side": np.array([8])})
    assert decoded(protocol, tmp_path) == 0
    os.utime(tmp_path / "faces/003.png", ns=(1, 1))
    assert decoded(protocol, tmp_path) == 12
    assert decoded(protocol, tmp_path) == 0


def test_old_pictures_stay_where_new_ones_cannot_be_decoded(tmp_path: Path) -> None:
    protocol = protocol_of_file(write(tmp_path))
    prepared(protocol, read_labelled(protocol), tmp_path / "data")
    file, status = tmp_path / "faces/003.png", os.stat(tmp_path / "faces/003.png")
    good = file.read_bytes()
    file.write_bytes(b"no picture")
    with pytest.raises(BadInput, match=r"003\.png"):
        prepared(protocol, read_labelled(protocol), tmp_path / "data")
    file.write_bytes(good)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert decoded(protocol, tmp_path) == 0
