"""Weights that a trial keeps: the rebuilt model predicts as the trained one, and bad files are one line."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import safetensors
import torch
from PIL import Image

from fernoise_bench.benchmark import registry
from fernoise_bench.benchmark.models.model import load_model
from fernoise_bench.benchmark.networks.kept_weights import METADATA, read_card
from fernoise_bench.benchmark.planning.grid import RunRequest, make_grid
from fernoise_bench.benchmark.settings import Which
from fernoise_bench.benchmark.training.keep_weights import keep_if_asked
from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.benchmark.trial import Trial
from fernoise_bench.protocols.base import Kind
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.images.image_pool import in_memory

from ...toy import CLASSES, SIDE, ToyContext, ignore, run_epochs, start, toy_cell, toy_trial

CASES = [
    pytest.param(spec.name, kind, id=f"{kind} {spec.name}")
    for spec in registry.all_base()
    for kind in ("single", "multi")
    if kind in spec.needs
]


def keeping(trial: Trial, which: Which = "last") -> Trial:
    return replace(trial, job=replace(trial.job, keep_weights=which))


def kept(name: str, kind: Kind, out: Path, epochs: int = 1) -> tuple[Any, Path]:
    """A method trained for some steps, and the folder with its weights."""
    trial = keeping(toy_trial(name, out, kind=kind, epochs=epochs))
    training = start(name, kind, out, epochs=epochs)
    run_epochs(training, range(epochs))
    line = {"epoch": epochs - 1, **training.evaluator.epoch(training.method, epochs - 1)}
    keep_if_asked(trial, training, line)
    return training, trial.folder


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_method_predicts_from_its_kept_weights_as_it_did(name: str, kind: Kind, tmp_path: Path) -> None:
    training, folder = kept(name, kind, tmp_path)
    model = load_model(folder)
    images = toy_cell(kind).test.images.read()
    expected = training.evaluator.best.last
    assert np.abs(model.predict(images).numpy() - expected).max() < 1e-5
    assert model.card.kind == kind
    assert not model.training


def test_a_run_keeps_the_last_epochs_weights(tmp_path: Path) -> None:
    trial = keeping(toy_trial("supervised", tmp_path, epochs=2))
    assert run_trial(trial, ToyContext(), ignore)["state"] == "done"
    predictions = np.load(trial.folder / "predictions.npz")
    model = load_model(trial.folder / "weights-last.safetensors")
    assert np.abs(model.predict(toy_cell("single").test.images.read()).numpy() - predictions["last"]).max() < 1e-5
    card = model.card
    assert (card.trial, card.scores.epoch, card.names) == (trial.folder.name, 2, CLASSES)
    right = (predictions["last"].argmax(axis=1) == predictions["labels"]).mean()
    assert card.scores.test == pytest.approx(right)
    how = card.pictures
    assert (how.stored, how.side, how.channels, how.crop) == (SIDE, SIDE, 3, SIDE)


def test_the_best_epoch_on_validation_rows_survives_a_kill_and_a_resume(tmp_path: Path) -> None:
    trial = keeping(toy_trial("supervised", tmp_path, epochs=4), "best-validation")

    def stop_after_two(event: Any) -> None:
        if event.get("epoch") == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trial(trial, ToyContext(), stop_after_two)
    assert run_trial(trial, ToyContext(), ignore)["state"] == "done"
    predictions = np.load(trial.folder / "predictions.npz")
    model = load_model(trial.folder)
    status = json.loads((trial.folder / "status.json").read_bytes())
    assert model.card.scores.epoch == status["best"]["validation"] + 1
    found = model.predict(toy_cell("single").test.images.read()).numpy()
    assert np.abs(found - predictions["validation"]).max() < 1e-5


def test_keeping_weights_changes_no_number(tmp_path: Path) -> None:
    plain = toy_trial("mixup", tmp_path / "plain", epochs=2)
    with_weights = keeping(toy_trial("mixup", tmp_path / "kept", epochs=2), "best-validation")
    for trial in (plain, with_weights):
        run_trial(trial, ToyContext(), ignore)
    assert plain.id == with_weights.id
    assert not list(plain.folder.glob("*.safetensors"))
    names = ("identity.json", "predictions.npz")
    assert [(plain.folder / name).read_bytes() == (with_weights.folder / name).read_bytes() for name in names] == [
        True, True,
    ]  # fmt: skip
    losses = [
        [json.loads(line)["loss"] for line in (trial.folder / "epochs.jsonl").read_text().splitlines()]
        for trial in (plain, with_weights)
    ]
    assert losses[0] == losses[1]


def test_grey_pictures_that_are_stored_in_colour_stay_grey(tmp_path: Path) -> None:
    trial = keeping(toy_trial("supervised", tmp_path, epochs=1))
    cell = toy_cell("single")
    grey = np.repeat(cell.test.images.read()[..., :1], 3, axis=3)
    training = start(
        "supervised", "single", tmp_path, data=replace(cell, test=replace(cell.test, images=in_memory(grey)))
    )
    keep_if_asked(trial, training, {"epoch": 0, **training.evaluator.epoch(training.method, 0)})
    model = load_model(trial.folder)
    assert model.card.pictures.channels == 1
    tinted = grey.copy()
    tinted[..., 0] //= 2
    luma = np.stack([np.asarray(Image.fromarray(face).convert("L")) for face in tinted])
    assert torch.equal(model.predict(tinted), model.predict(luma))


def test_loading_leaves_the_global_generator_as_it_was(tmp_path: Path) -> None:
    _, folder = kept("supervised", "single", tmp_path)
    before = torch.random.get_rng_state()
    load_model(folder)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_images_of_any_size_and_type(tmp_path: Path) -> None:
    _, folder = kept("supervised", "single", tmp_path)
    model = load_model(folder)
    generator = np.random.default_rng(0)
    grey = generator.integers(0, 256, (4, 60, 50), dtype=np.uint8)
    colour = np.repeat(grey[..., None], 3, axis=3)
    floats = torch.from_numpy(colour).permute(0, 3, 1, 2).float() / 255
    expected = model.predict(colour)
    assert expected.shape == (4, 3)
    assert torch.equal(model.predict(grey), expected)
    assert torch.equal(model.predict(grey[..., None]), expected)
    assert torch.equal(model.predict(floats), expected)
    ready = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(model.predict(ready), model(ready))
    assert model.predict(colour[:0]).shape == (0, 3)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((2, 5)), "images of shape [2, 5] and type float64"),
        (np.full((1, 3, 4, 4), 2.0), "images between 2 and 2; floats must lie in [0, 1]"),
        (np.full((1, 3, 4, 4), np.nan), "floats must lie in [0, 1]"),
        (np.zeros((1, 4, 4, 3), np.int64), "type int64"),
        (np.zeros((48, 48, 3), np.uint8), "one image of shape [48, 48, 3]: give several"),
    ],
)
def test_images_that_are_none(images: Any, said: str, tmp_path: Path) -> None:
    _, folder = kept("supervised", "single", tmp_path)
    with pytest.raises(BadInput) as refused:
        load_model(folder).predict(images)
    assert said in str(refused.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    _, folder = kept("supervised", "single", tmp_path)
    return folder / "weights-last.safetensors"


def with_card(file: Path, **changes: Any) -> None:
    """Rewrites the card of a file of weights."""
    with safetensors.safe_open(file, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    card = msgspec.to_builtins(read_card(file)) | changes
    file.write_bytes(safetensors.torch.save(tensors, {METADATA: json.dumps(card)}))


def test_bad_files_are_one_line(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no weights in this folder"):
        load_model(tmp_path / "empty")
    with pytest.raises(BadInput, match="no such file"):
        load_model(tmp_path / "absent.safetensors")
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BadInput, match="damaged, its tensors have another SHA-256"):
        load_model(file)
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="not a whole safetensors file"):
        load_model(file)
    file.write_bytes(safetensors.torch.save({"a": torch.zeros(1)}))
    with pytest.raises(BadInput, match="without a card"):
        load_model(file)
    file.write_bytes(safetensors.torch.save({"a": torch.zeros(1)}, {METADATA: "{"}))
    with pytest.raises(BadInput, match="its card cannot be read"):
        load_model(file)
    file.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    with pytest.raises(BadInput, match="not a whole safetensors file"):
        load_model(file)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 9}, "its card has format 9"),
        ({"digest": "0" * 16}, "trained by supervised with code of digest 0000"),
        ({"method": "nobody"}, "unknown method 'nobody'"),
        ({"names": ["a", "b"]}, "cannot be rebuilt from it"),
        ({"checked": [[0.9, 0.05, 0.05]] * 2}, "differ by"),
    ],
)
def test_cards_that_do_not_fit(changes: dict[str, Any], said: str, file: Path) -> None:
    with_card(file, **changes)
    with pytest.raises(BadInput) as refused:
        load_model(file)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_weights_of_another_method(file: Path) -> None:
    with pytest.raises(BadInput, match="weights of the method supervised, not of gce"):
        load_model(file, "gce")


@pytest.mark.parametrize(
    ("which", "name", "said"),
    [("lats", "ferplus-sym", "did you mean last"), ("best-validation", "bp4d-3fold", "has no validation rows")],
)
def test_epochs_whose_weights_cannot_be_kept(which: Any, name: str, said: str, tmp_path: Path) -> None:
    method = "supervised"
    asked = RunRequest(name, (method,), profile="smoke", synthetic=True, out=tmp_path, keep_weights=which)
    if which == "best-validation":
        asked = replace(asked, profile="paper")
    with pytest.raises(BadInput, match=said):
        make_grid(asked)


def test_the_file_has_no_rows_labels_in_the_card_and_nothing_pickled(file: Path) -> None:
    text = msgspec.json.encode(read_card(file)).decode()
    assert "sample_id" not in text
    assert b"cpickle" not in file.read_bytes()
