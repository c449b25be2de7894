"""The loop: what is the same for every method, and how a trial ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.benchmark.registry import MethodSpec, find
from fernoise_bench.benchmark.training import trainer
from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.benchmark.trial_state import state_of
from fernoise_bench.methods.base import Batch, MakeEncoder, Method, Network, NoParams, Step, Task
from fernoise_bench.protocols.files import read_arrays, read_json

from ...toy import EPOCHS, ToyContext, ignore, toy_cell, toy_trial

VIEWS = ("recot:view1", "recot:view2")


class Plain(Method):
    """Cross-entropy, with a hook for each test."""

    needs: ClassVar[frozenset[str]] = frozenset({"single"})

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: NoParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch: Batch) -> Step:
        logits = self.network(batch.images[0])
        return Step(torch.nn.functional.cross_entropy(logits, batch.labels), logits.detach().softmax(1))

    def predict(self, images: Tensor) -> Tensor:
        return self.network(images).softmax(dim=1)


class NotFiniteInEpochOne(Plain):
    def loss(self, batch: Batch) -> Step:
        step = super().loss(batch)
        bad = batch.epoch == 1 and batch.step == 2
        return replace(step, loss=step.loss * float("nan") if bad else step.loss)


class RaisesInEpochOne(Plain):
    def loss(self, batch: Batch) -> Step:
        if batch.epoch == 1:
            raise ZeroDivisionError("no such thing")
        return super().loss(batch)


class RaisesMegabytes(Plain):
    def loss(self, batch: Batch) -> Step:
        raise ValueError("x" * 5_000_000)


class NeverUpdates(Plain):
    def loss(self, batch: Batch) -> Step:
        return Step(None)


class ReadsTheNoiseRate(Plain):
    def loss(self, batch: Batch) -> Step:
        assert self.task.noise_rate is not None
        return super().loss(batch)


def specification(cls: type[Method]) -> MethodSpec:
    spec = MethodSpec(cls.__name__, "", "", {}, cls.needs, "0" * 16)
    object.__setattr__(spec, "load", lambda: cls)
    return spec


def run(cls: type[Method], out: Path) -> tuple[Mapping[str, Any], Path]:
    trial = toy_trial(specification(cls), out)
    return run_trial(trial, ToyContext(), ignore), trial.folder


def test_a_finished_trial_leaves_its_files_and_no_checkpoint(tmp_path: Path) -> None:
    status, folder = run(Plain, tmp_path)
    assert status["state"] == "done"
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert names == {"identity.json", "environment.json", "epochs.jsonl", "predictions.npz", "status.json"}
    lines = [json.loads(line) for line in (folder / "epochs.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(EPOCHS))
    predictions = read_arrays(folder / "predictions.npz")
    counts = np.zeros((3, 3), dtype=int)
    for label, row in zip(predictions["labels"], predictions["last"], strict=True):
        counts[label, row.argmax()] += 1
    assert lines[-1]["test"]["confusion"] == counts.tolist()


def test_compute_counts_the_training_of_each_epoch_and_not_its_evaluation(tmp_path: Path) -> None:
    _, folder = run(Plain, tmp_path)
    trained = len(toy_cell("single").train) // 16 * 16
    for line in (folder / "epochs.jsonl").read_text().splitlines():
        assert json.loads(line)["compute"] == {"forwards": trained, "backwards": trained}


def test_a_loss_that_is_not_finite_ends_the_trial_as_diverged(tmp_path: Path) -> None:
    status, folder = run(NotFiniteInEpochOne, tmp_path)
    assert status["state"] == "diverged"
    assert status["reason"] == "loss not finite at epoch 1, step 2"
    assert status["epochs_done"] == 1
    assert not (folder / "predictions.npz").exists()
    assert not (folder / "checkpoint.pt").exists()


def test_an_exception_in_a_method_fails_its_trial_with_the_reason(tmp_path: Path) -> None:
    status, folder = run(RaisesInEpochOne, tmp_path)
    assert status["state"] == "failed"
    assert status["reason"].startswith("ZeroDivisionError: no such thing (test_trainer.py:")
    assert (folder / "checkpoint.pt").exists()  # epoch 0 is not lost


def test_a_reason_of_megabytes_keeps_its_start_and_end(tmp_path: Path) -> None:
    status, _ = run(RaisesMegabytes, tmp_path)
    assert len(status["reason"]) == 1_000
    assert status["reason"].startswith("ValueError: xxxx")
    assert "xxx (test_trainer.py:" in status["reason"]


def test_no_loss_skips_the_update(tmp_path: Path) -> None:
    trial = toy_trial(specification(NeverUpdates), tmp_path)
    training = trainer.start(trial, toy_cell("single"), Weights("none"))
    before = {name: value.clone() for name, value in training.method.state_dict().items()}
    line = trainer.run_epoch(training, trial.job.settings.recipe, 0)
    assert line["loss"] is None
    assert all(torch.equal(before[name], value) for name, value in training.method.state_dict().items())


def test_reading_the_noise_rate_is_recorded_as_oracle_knowledge(tmp_path: Path) -> None:
    for cls, expected in ((Plain, []), (ReadsTheNoiseRate, ["noise_rate"])):
        _, folder = run(cls, tmp_path)
        assert read_json(folder / "environment.json")["oracle_knowledge"] == expected


def test_encoders_learn_at_the_rate_and_heads_at_a_multiple_of_it(tmp_path: Path) -> None:
    trial = toy_trial("ensemble", tmp_path, kind="single", head_factor=10.0, schedule="exponential", decay=0.5)
    training = trainer.start(trial, toy_cell("single"), Weights("none"))
    rate = trainer.set_learning_rate(training.optimizer, trial.job.settings.recipe, 2)
    assert rate == 3e-3 * 0.25
    rates = {id(p): group["lr"] for group in training.optimizer.param_groups for p in group["params"]}
    for name, parameter in training.method.named_parameters():
        assert rates[id(parameter)] == pytest.approx(rate * (1 if ".encoder." in name else 10)), name


def test_every_method_of_a_cell_sees_the_same_samples_in_the_same_order_with_the_same_crops(tmp_path: Path) -> None:
    seen = []
    for name in ("supervised", "cocuring", "co_teaching", "ensemble"):
        training = trainer.start(toy_trial(name, tmp_path, kind="single"), toy_cell("single"), Weights("none"))
        batches = list(training.train_set.batches(3, training.method.views))
        seen.append([(batch.index, batch.images[0]) for batch in batches])
    for other in seen[1:]:
        for (index, images), (other_index, other_images) in zip(seen[0], other, strict=True):
            assert torch.equal(index, other_index)
            assert torch.equal(images, other_images)


def test_the_first_network_starts_alike_in_every_method(tmp_path: Path) -> None:
    def first_network(name: str) -> dict[str, Tensor]:
        training = trainer.start(toy_trial(name, tmp_path, kind="single"), toy_cell("single"), Weights("none"))
        networks = [module for module in training.method.modules() if isinstance(module, Network)]
        return networks[0].state_dict()

    reference = first_network("supervised")
    for name in ("cocuring", "co_teaching", "ensemble"):
        other = first_network(name)
        assert all(torch.equal(value, other[key]) for key, value in reference.items()), name


def test_a_finished_trial_is_not_run_again(tmp_path: Path) -> None:
    trial = toy_trial("supervised", tmp_path)
    run_trial(trial, ToyContext(), ignore)
    before = (trial.folder / "status.json").read_bytes()
    assert state_of(trial) == "done"
    assert run_trial(trial, ToyContext(), ignore)["state"] == "done"
    assert (trial.folder / "status.json").read_bytes() == before


def test_identities_differ_by_what_is_hashed_and_by_nothing_else(tmp_path: Path) -> None:
    base = toy_trial("cocuring", tmp_path)
    assert base.id == toy_trial(find("cocuring"), tmp_path / "elsewhere").id
    others = [
        toy_trial("cocuring", tmp_path, seed=1),
        toy_trial("cocuring:no-relabel", tmp_path),
        toy_trial("cocuring", tmp_path, epochs=5),
    ]
    assert len({base.id, *(trial.id for trial in others)}) == 4


def test_variants_draw_what_their_method_draws(tmp_path: Path) -> None:
    """So that what differs between rows of an ablation is the ablation: recot's views predict apart what it trains."""
    trials = {name: toy_trial(name, tmp_path, kind="multi") for name in ("recot", *VIEWS, "recot:additive")}
    last = {}
    for name, trial in trials.items():
        run_trial(trial, ToyContext(), ignore)
        last[name] = read_arrays(trial.folder / "predictions.npz")["last"]
    assert np.array_equal(last["recot"], last["recot:additive"])
    np.testing.assert_allclose(last["recot"], np.mean([last[view] for view in VIEWS], axis=0), rtol=0, atol=1e-6)
    assert np.abs(last[VIEWS[0]] - last[VIEWS[1]]).max() > 1e-3
