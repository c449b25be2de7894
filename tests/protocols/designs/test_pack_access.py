"""Packs of published data sets whose lists, choices or pictures have changed since they were prepared."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.catalog import find
from fernoise_bench.protocols.datasets import catalog
from fernoise_bench.protocols.datasets.catalog import listing_of
from fernoise_bench.protocols.designs import pack_access
from fernoise_bench.protocols.designs.pack_access import open_for
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.packs import prepare as prepare_module
from fernoise_bench.protocols.packs.file_format import PACK, Pack
from fernoise_bench.protocols.packs.prepare import prepare

from ..miniatures import affectnet, bp4d, cremad, disfa, emotionet, rafdb

LIST = "EmoLabel/list_patition_label.txt"
SIDE = 8
# Data set -> what writes its miniature, and a protocol of it.
SETS: dict[str, tuple[Callable[[Path], object], str]] = {
    "rafdb": (rafdb.write_official, "rafdb-sym"),
    "affectnet": (affectnet.write_csv, "affectnet-sym"),
    "bp4d": (bp4d.write_au_occ, "bp4d-3fold"),
    "disfa": (disfa.write_img, "disfa-3fold"),
    "emotionet": (emotionet.write_both, "emotionet-3split"),
    "cremad": (cremad.write, "cremad-face:1"),
}


def made(root: Path, dataset: str) -> Pack:
    return prepare(
        listing_of(dataset, root), root / "packs", SIDE, workers=1, skip_bad=False, report=lambda done, total: None
    )


def opened(root: Path, dataset: str = "rafdb") -> Pack:
    protocol = find(SETS[dataset][1])
    options = {**dict(protocol.options), "side": SIDE}
    return open_for(replace(protocol, options=tuple(options.items())), dataset, root, partial=True)


def written(root: Path, dataset: str = "rafdb") -> Pack:
    SETS[dataset][0](root / dataset)
    return made(root, dataset)


def refusal(root: Path, dataset: str = "rafdb") -> str:
    with pytest.raises(BadInput) as caught:
        opened(root, dataset)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The data sets that were listed again."""
    names: list[str] = []

    def watch(name: str, data_root: Path) -> object:
        names.append(name)
        return listing_of(name, data_root)

    monkeypatch.setattr(pack_access, "listing_of", watch)
    return names


def change_label(root: Path) -> None:
    """In the list of RAF-DB, keeping its size."""
    file = root / "rafdb" / LIST
    file.write_text(file.read_text().replace(".jpg 1\n", ".jpg 4\n"))


@pytest.mark.parametrize("dataset", SETS)
def test_an_unchanged_set_is_opened_without_listing_it(tmp_path: Path, dataset: str, listed: list[str]) -> None:
    pack = written(tmp_path, dataset)
    assert opened(tmp_path, dataset).digest == pack.digest
    assert not listed


def test_a_changed_label_is_refused_with_what_changed_and_the_command(tmp_path: Path) -> None:
    before = written(tmp_path)
    change_label(tmp_path)
    folder, other = tmp_path / f"packs/rafdb-{SIDE}", int((before.labels == 0).sum())
    assert refusal(tmp_path) == (
        f"{folder}: {tmp_path}/rafdb has changed since this was made from it in {LIST} (another label of {other} "
        f"pictures): fernoise-bench data prepare rafdb --side {SIDE} --data-root {tmp_path}"
    )
    made(tmp_path, "rafdb")
    assert np.array_equal(opened(tmp_path).labels, np.where(before.labels == 0, 3, before.labels))


def test_a_changed_label_without_the_pictures_is_refused_as_well(tmp_path: Path) -> None:
    written(tmp_path)
    change_label(tmp_path)
    shutil.rmtree(tmp_path / "rafdb/Image")
    assert "none of their pictures" in refusal(tmp_path)


@pytest.mark.parametrize("gone", ["", "Image", "EmoLabel"])
def test_what_is_gone_says_nothing_against_a_pack(tmp_path: Path, gone: str) -> None:
    pack = written(tmp_path)
    shutil.rmtree(tmp_path / "rafdb" / gone)
    assert opened(tmp_path).digest == pack.digest


@pytest.mark.parametrize(
    ("dataset", "choice", "difference"),
    [
        ("bp4d", "frame_offset = 1", r"\d+ pictures instead of \d+|other pictures"),
        ("disfa", "threshold = 1", r"another label of \d+ pictures"),
        ("disfa", 'camera = "right"', "another layout, other parts or crops"),
        ("cremad", "frames = 2", r"\d+ pictures instead of \d+"),
        ("affectnet", 'box = "whole"', "another layout, other parts or crops"),
        ("emotionet", "automatic_rows = 1", r"\d+ pictures instead of \d+"),
    ],
)
def test_a_changed_choice_is_refused(tmp_path: Path, dataset: str, choice: str, difference: str) -> None:
    written(tmp_path, dataset)
    (tmp_path / dataset / "fernoise.toml").write_text(f"{choice}\n")
    told = rf"{dataset} has changed since this was made from it in fernoise\.toml.* \(({difference})\): fernoise-bench"
    assert re.search(told, refusal(tmp_path, dataset))
    made(tmp_path, dataset)
    opened(tmp_path, dataset)
    (tmp_path / dataset / "fernoise.toml").unlink()
    assert re.search(told, refusal(tmp_path, dataset))


def test_files_that_changed_in_nothing_but_their_time_are_compared_by_content(
    tmp_path: Path, listed: list[str]
) -> None:
    written(tmp_path)
    os.utime(tmp_path / "rafdb" / LIST, (1, 1))
    opened(tmp_path)
    assert not listed


def test_what_changes_no_row_is_noted_once(tmp_path: Path, listed: list[str]) -> None:
    pack = written(tmp_path)
    (tmp_path / "rafdb/notes.txt").write_text("a file beside the data")
    (tmp_path / "rafdb/fernoise.toml").write_text("# no choice")
    assert opened(tmp_path).digest == opened(tmp_path).digest == pack.digest
    assert listed == ["rafdb"]


def test_a_half_copy_that_is_completed_is_noticed(tmp_path: Path) -> None:
    rows = rafdb.rows(3, 2)
    rafdb.write_official(tmp_path / "rafdb", rows)
    missing = tmp_path / "rafdb/Image/aligned" / "train_00002_aligned.jpg"
    content = missing.read_bytes()
    missing.unlink()
    assert len(made(tmp_path, "rafdb")) == len(rows) - 1
    missing.write_bytes(content)
    assert f"Image/aligned ({len(rows)} pictures instead of {len(rows) - 1})" in refusal(tmp_path)


def test_a_copy_becomes_as_published_without_another_preparation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where files that do not belong there are removed: no row changes."""
    written(tmp_path)
    other = tmp_path / "rafdb/Image/aligned/other.jpg"
    other.write_bytes(b"")
    assert [check.found for check in opened(tmp_path).checks if "other files" in check.what] == [1]
    other.unlink()
    monkeypatch.setattr(prepare_module, "write_json", refuse_to_write)
    for _ in range(2):  # where nothing can be written the copy is listed each time
        assert [check.found for check in opened(tmp_path).checks if "other files" in check.what] == [0]


def refuse_to_write(path: Path, value: object) -> None:
    raise PermissionError(13, "Permission denied", str(path))


def earlier_version(root: Path) -> None:
    """Makes a pack as it was before packs said what they were made from."""
    file = root / f"packs/rafdb-{SIDE}" / PACK
    described = json.loads(file.read_bytes())
    del described["made_from"]
    file.write_text(json.dumps(described))


def test_a_pack_of_an_earlier_version_is_compared_once(tmp_path: Path, listed: list[str]) -> None:
    pack = written(tmp_path)
    earlier_version(tmp_path)
    assert opened(tmp_path).digest == opened(tmp_path).digest == pack.digest
    assert listed == ["rafdb"]
    change_label(tmp_path)
    earlier_version(tmp_path)
    assert "has changed since this was made from it (another label of" in refusal(tmp_path)
    shutil.rmtree(tmp_path / "rafdb/Image")
    assert opened(tmp_path).digest == pack.digest  # nothing is known against it


def test_a_pack_of_an_earlier_version_is_brought_up_to_date_without_decoding(
    tmp_path: Path, listed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path)
    earlier_version(tmp_path)
    monkeypatch.setattr(prepare_module, "_make", None)
    made(tmp_path, "rafdb")
    opened(tmp_path)
    assert not listed


def test_annotations_of_many_files_are_watched_in_a_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fernoise_bench.protocols.packs.made_from._MOST", 10)
    affectnet.write_2021(tmp_path / "affectnet")
    made(tmp_path, "affectnet")
    described = json.loads((tmp_path / f"packs/affectnet-{SIDE}" / PACK).read_bytes())["made_from"]
    files = sorted(name for name, stamp in described.items() if len(stamp) == 3)
    assert 5 <= len(files) <= 10
    file = tmp_path / "affectnet" / files[0]
    np.save(file, np.array(str((int(np.load(file)) + 1) % 8)))
    assert "another label of 1 pictures" in refusal(tmp_path, "affectnet")


def test_every_packed_set_is_looked_at() -> None:
    assert set(SETS) == set(catalog.READERS)
