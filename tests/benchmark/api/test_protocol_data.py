"""A protocol's faces from Python: the rows and labels of a trial, and a data set for PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch.utils.data import DataLoader

import fernoise_bench as fb
from fernoise_bench.benchmark.cli import main
from fernoise_bench.protocols.catalog import find
from fernoise_bench.protocols.loading import open_data

from ...protocols.miniatures import own
from ...protocols.miniatures.ferplus import write_tables


@pytest.fixture(scope="module")
def faces() -> fb.OpenProtocol:
    return fb.open_protocol("ferplus-sym", "smoke", "generated", noise=0.2, seed=3)


def test_the_rows_are_those_of_a_trial(faces: fb.OpenProtocol) -> None:
    cell = open_data(find("ferplus-sym"), "smoke", "generated", Path()).cell(None, 0.2, 3)
    assert (faces.profile, faces.source, faces.noise, faces.fold, faces.kind) == (
        *("smoke", "generated", 0.2, None, "single"),
    )
    assert cell.validation is not None
    assert faces.validation is not None
    for mine, rows in ((faces.train, cell.train), (faces.validation, cell.validation), (faces.test, cell.test)):
        assert np.array_equal(mine.given, rows.given)
        assert np.array_equal(mine.reference, rows.reference)
        assert np.array_equal(mine.sample_ids, rows.sample_id)
        assert np.array_equal(mine.images, rows.images.read())
        assert len(mine) == len(mine.groups) == len(mine.verified) == len(rows)
    assert (faces.train.given != faces.train.reference).mean() == pytest.approx(0.2, abs=0.02)
    assert faces.noise_rate == (faces.train.given != faces.train.reference).mean()


def test_an_item_is_the_image_that_an_encoder_is_fed_at_test_time(faces: fb.OpenProtocol) -> None:
    """No resizing and no margin at this profile: the pixels themselves, as shares of 255, channels first."""
    image, label = faces.train[5]
    assert image.dtype == torch.float32
    assert np.allclose(image.permute(1, 2, 0).numpy(), faces.train.images[5] / 255)
    assert (label, type(label)) == (faces.train.given[5], int)
    assert torch.equal(faces.train[-1][0], faces.train[len(faces.train) - 1][0])
    with pytest.raises(IndexError):
        faces.train[len(faces.train)]
    assert sum(1 for _ in faces.test) == len(faces.test)


def test_a_loader_makes_batches(faces: fb.OpenProtocol) -> None:
    images, labels = next(iter(DataLoader(faces.train, batch_size=16)))
    assert images.shape == (16, 3, 48, 48)
    assert labels.tolist() == faces.train.given[:16].tolist()


def test_action_units_have_a_label_for_each_and_a_fold() -> None:
    found = fb.open_protocol("bp4d-3fold-plain", "smoke", "generated", fold=2)
    assert (found.fold, found.kind, len(found.names), found.noise) == ("part2", "multi", 12, None)
    images, labels = next(iter(DataLoader(found.test, batch_size=4)))
    assert labels.dtype == torch.int64
    assert np.array_equal(labels.numpy(), found.test.given[:4])
    assert set(found.test.groups).isdisjoint(found.train.groups)
    assert len(images) == 4


def test_real_faces_are_read_from_the_folder_named_or_that_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tables(tmp_path / "ferplus")
    named = fb.open_protocol("fer2013-real", "smoke", data_root=tmp_path, partial=True)
    monkeypatch.setenv("FERNOISE_DATA", str(tmp_path))
    assert len(fb.open_protocol("fer2013-real", "smoke", partial=True).train) == len(named.train) > 0
    assert named.train.images.shape[1:] == (48, 48, 1)
    assert named.train[0][0].shape == (3, 48, 48)  # a grey channel is repeated
    monkeypatch.setenv("FERNOISE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(fb.BadInput, match="nowhere"):
        fb.open_protocol("fer2013-real", "smoke")


def test_a_protocol_of_a_file_opens_and_shows_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FERNOISE_DATA", str(tmp_path / "data"))
    file = own.write(tmp_path)
    opened = fb.open_protocol(file, "smoke")
    given = [own.CLASSES.index(row["given"]) for row in own.rows() if row["split"] == "test"]
    assert opened.test.given.tolist() == given
    assert fb.open_protocol(str(file), "smoke").train.images.tobytes() == opened.train.images.tobytes()
    shown = CliRunner().invoke(main, ["show", str(file)])
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith("mine v1")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"name_or_file": "ferplus-sim"}, "did you mean ferplus-sym"),
        ({"name_or_file": "ferplus-sym", "profile": "smol"}, "unknown profile 'smol'"),
        ({"name_or_file": "ferplus-sym", "source": "synthetic"}, "unknown source of faces 'synthetic'"),
        ({"name_or_file": "ferplus-sym", "noise": 0.25}, "ferplus-sym has the levels"),
        ({"name_or_file": "ferplus-sym", "fold": 1}, "has one fixed split"),
        ({"name_or_file": "ferplus-sym", "seed": -1}, "seeds are 0 and more"),
        ({"name_or_file": "mine.toml"}, "mine.toml: no such file"),
        ({"name_or_file": Path("mine")}, "unknown protocol 'mine'"),
    ],
)
def test_what_does_not_exist_is_named(arguments: dict[str, object], told: str) -> None:
    with pytest.raises(fb.BadInput) as error:
        fb.open_protocol(**{"source": "generated", "profile": "smoke", **arguments})  # type: ignore[arg-type]
    assert told in str(error.value)


def test_the_highest_level_and_the_first_fold_are_taken_unless_named() -> None:
    assert fb.open_protocol("ferplus-sym", "smoke", "generated").noise == 0.4
    assert fb.open_protocol("disfa-3fold-plain", "smoke", "generated").fold == "part1"
