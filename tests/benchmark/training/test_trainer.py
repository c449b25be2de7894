"""The loop: what is the same for every method, and how a trial ends."""

from __future__ import annotations

import json
import os
import threading
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
from fernoise_bench.methods.base import Batch, MakeEncoder, Method, Network, NoParams, Step, Task, TrainView
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
    records = {"identity.json", "environment.json", "epochs.jsonl", "predictions.npz", "status.json"}
    assert names == {*records, "training_scores.npz"}
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


def step_of(**changes: Any) -> type[Method]:
    """Plain training whose steps have other parts."""

    class Changed(Plain):
        def loss(self, batch: Batch) -> Step:
            step = super().loss(batch)
            return replace(step, **{name: change(step.loss) for name, change in changes.items()})

    return Changed


class ReturnsALoss(Plain):
    def loss(self, batch: Batch) -> Step:
        return super().loss(batch).loss  # type: ignore[return-value]


WRONG_STEPS: dict[str, tuple[type[Method], str]] = {
    "no step": (ReturnsALoss, "TypeError: loss() must return a Step, not Tensor"),
    "a number": (step_of(loss=lambda loss: 1.0), "TypeError: Step.loss must be a floating-point scalar tensor or None"),
    "of each row": (step_of(loss=lambda loss: loss.expand(16)), "TypeError: Step.loss must be a floating-point scalar"),
    "detached": (step_of(loss=lambda loss: loss.detach()), "ValueError: Step.loss has no gradient: it depends on no"),
    "of another leaf": (
        step_of(loss=lambda loss: torch.zeros((), requires_grad=True)),
        "ValueError: Step.loss depends on no parameter of the method, so that nothing is trained",
    ),
    "probabilities": (
        step_of(probabilities=lambda loss: torch.zeros(16)),
        "ValueError: Step.probabilities must be of shape [16, 3], not [16]",
    ),
    "weight": (
        step_of(weight=lambda loss: torch.ones(16)),
        "ValueError: Step.weight must be of shape [K, 16], not [16]",
    ),
    "weight with gradient": (
        step_of(weight=lambda loss: loss.expand(1, 16)),
        "ValueError: Step.weight must carry no gradient: detach it",
    ),
    "target": (
        step_of(target=lambda loss: torch.zeros(2, 15)),
        "ValueError: Step.target must be of shape [K, 16] or [K, 16, 3], not [2, 15]",
    ),
    "logs": (step_of(logs=lambda loss: {"rate": "high"}), "TypeError: Step.logs['rate'] must be a number or a tensor"),
}


@pytest.mark.parametrize("name", WRONG_STEPS)
def test_what_is_no_step_fails_its_trial_by_name(name: str, tmp_path: Path) -> None:
    cls, reason = WRONG_STEPS[name]
    status, _ = run(cls, tmp_path)
    assert status["state"] == "failed"
    assert status["reason"].startswith(reason)


class Own(BaseException):
    """What a method may raise."""


@pytest.mark.parametrize("error", [Own("mine"), GeneratorExit(), SystemExit(0)])
def test_whatever_a_method_raises_fails_its_trial(error: BaseException, tmp_path: Path) -> None:
    class Raises(Plain):
        def begin_epoch(self, epoch: int, train: TrainView) -> None:
            raise error

    status, folder = run(Raises, tmp_path)
    assert status["state"] == read_json(folder / "status.json")["state"] == "failed"
    assert status["reason"].startswith(f"{type(error).__name__}: ")


def test_a_method_that_changes_the_process_fails_after_its_first_epoch_and_the_next_computes_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also from another folder: nothing is written where a method has gone."""

    class Patches(Plain):
        def begin_epoch(self, epoch: int, train: TrainView) -> None:
            original = torch.nn.functional.cross_entropy
            torch.nn.functional.cross_entropy = lambda *a, **k: 2 * original(*a, **k)
            os.chdir(tmp_path / "elsewhere")

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    status, folder = run(Patches, Path("runs"))
    assert status["reason"].startswith(
        "ChangedProcess: it changed or left what trials share in this process: the working directory, "
        "torch.nn.functional.cross_entropy; "
    )
    assert status["epochs_done"] == 1
    assert Path.cwd() == tmp_path
    assert not list((tmp_path / "elsewhere").iterdir())
    after, alone = run(Plain, Path("runs"))[1], run(Plain, Path("alone"))[1]
    assert (after / "predictions.npz").read_bytes() == (alone / "predictions.npz").read_bytes()
    assert folder.is_dir()


def test_a_thread_that_a_method_leaves_ends_the_trials_of_its_process(tmp_path: Path) -> None:
    go, context = threading.Event(), ToyContext()

    class Leaves(Plain):
        def begin_epoch(self, epoch: int, train: TrainView) -> None:
            threading.Thread(target=go.wait, name="mine").start()

    trial, other = (toy_trial(specification(cls), tmp_path) for cls in (Leaves, Plain))
    try:
        assert "threads (mine)" in run_trial(trial, context, ignore)["reason"]
        status = run_trial(other, context, ignore)
    finally:
        go.set()
    assert status["reason"] == "Leaves · seed 0 left threads (mine) in this process; run the same command again"
    assert state_of(other) == "new"


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


def test_no_way_to_the_noise_rate_is_unrecorded(tmp_path: Path) -> None:
    """Neither an attribute holds it, nor can the note be taken back, nor lost by replacing the task."""

    class Hides(ReadsTheNoiseRate):
        def loss(self, batch: Batch) -> Step:
            assert 0.2 not in [round(value, 1) for value in vars(self.task).values() if isinstance(value, float)]
            step = super().loss(batch)
            assert not hasattr(self.task.oracle_reads, "clear")
            self.task = toy_task()
            return step

    class HidesOnce(Hides):
        def loss(self, batch: Batch) -> Step:
            return super().loss(batch) if batch.step + batch.epoch == 0 else Plain.loss(self, batch)

    _, folder = run(HidesOnce, tmp_path)
    assert read_json(folder / "environment.json")["oracle_knowledge"] == ["noise_rate"]


def toy_task() -> Task:
    return Task("single", 3, ("a", "b", "c"), 96, 4, 6, torch.ones(3))


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


@pytest.mark.weekly
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
