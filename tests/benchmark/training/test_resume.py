"""A killed trial that is run again gives the bytes of one that was never killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fernoise_bench.benchmark import registry
from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.benchmark.training import checkpoint, trainer
from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.benchmark.trial_state import state_of
from fernoise_bench.methods.base import Kind
from fernoise_bench.protocols.files import read_json, read_jsonl

from ...everything import NAME, WITH_VOTES
from ...toy import EPOCHS, ToyContext, digest, ignore, run_epochs, toy_cell, toy_trial

# of one network, two, with a teacher, with state of rows; the others once a week, as the conformance suite resumes all
EVERY_PUSH = {("supervised", "single"), ("dividemix", "single"), ("distillation", "multi"), ("recot", "multi")}
CASES = [
    # with a strong view, votes, the transition and parameters at a rate of their own
    *(pytest.param(*case) for case in ((WITH_VOTES, "single"), (NAME, "multi"))),
    *(
        pytest.param(*case, marks=[] if case in EVERY_PUSH else [pytest.mark.weekly])
        for spec in registry.all_base()
        for case in ((spec.name, kind) for kind in sorted(spec.needs & {"single", "multi"}))
    ),
]


def run_and_die(name: str, kind: Kind, out: Path, epoch: int) -> None:
    """Runs a trial in a process that is killed with SIGKILL as soon as `epoch` epochs are on disk."""
    torch.set_num_threads(1)

    def report(event: Mapping[str, Any]) -> None:
        if event.get("epoch") == epoch and "teacher" not in event:
            os.kill(os.getpid(), signal.SIGKILL)

    run_trial(toy_trial(name, out, kind=kind), ToyContext(), report)


def kill_after(name: str, kind: Kind, out: Path, epoch: int) -> None:
    process = multiprocessing.get_context("fork").Process(target=run_and_die, args=(name, kind, out, epoch))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(("name", "kind"), CASES, ids=str)
def test_killed_and_continued_equals_never_killed(name: str, kind: Kind, tmp_path: Path) -> None:
    """Killed after the first epoch, again after the third, then left to finish."""
    whole = toy_trial(name, tmp_path / "whole", kind=kind)
    run_trial(whole, ToyContext(), ignore)
    killed = toy_trial(name, tmp_path / "killed", kind=kind)
    for epoch in (1, 3):
        kill_after(name, kind, tmp_path / "killed", epoch)
        assert state_of(killed) == "interrupted"
        assert len(read_jsonl(killed.folder / "epochs.jsonl")) == epoch
    status = run_trial(killed, ToyContext(), ignore)
    assert status["state"] == "done"
    for file in ("predictions.npz", "training_scores.npz"):
        assert (killed.folder / file).read_bytes() == (whole.folder / file).read_bytes()
    timeless = [
        [
            {key: value for key, value in line.items() if key != "seconds"}
            for line in read_jsonl(trial.folder / "epochs.jsonl")
        ]
        for trial in (whole, killed)
    ]
    assert timeless[0] == timeless[1]
    assert len(timeless[0]) == EPOCHS
    assert read_json(killed.folder / "environment.json")["resumed"] is True


def test_a_damaged_checkpoint_is_named_and_the_trial_starts_again(tmp_path: Path) -> None:
    kill_after("supervised", "single", tmp_path / "killed", 2)
    trial = toy_trial("supervised", tmp_path / "killed")
    path = trial.folder / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000])
    warnings: list[str] = []
    status = run_trial(trial, ToyContext(), lambda event: warnings.append(event.get("warning", "")))
    assert status["state"] == "done"
    assert "checkpoint.pt: damaged checkpoint" in "".join(warnings)
    whole = toy_trial("supervised", tmp_path / "whole")
    run_trial(whole, ToyContext(), ignore)
    assert (trial.folder / "predictions.npz").read_bytes() == (whole.folder / "predictions.npz").read_bytes()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_checkpoint_is_loaded_to_the_host(optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adam counts its steps there: counted on a GPU, every parameter would wait for the device in every step."""
    monkeypatch.setattr(checkpoint, "write_epochs", lambda folder, lines: None)
    trial, cell = toy_trial("supervised", tmp_path, kind="single", optimizer=optimizer), toy_cell("single")
    training = trainer.start(trial, cell, Weights("none"))
    run_epochs(training, [0])
    training.next_epoch, training.lines = 1, [{"epoch": 0}]
    checkpoint.save(tmp_path, training)
    again = trainer.start(trial, cell, Weights("none"))
    again.train_set = replace(again.train_set, pixels=replace(again.train_set.pixels, device=torch.device("meta")))
    assert again.train_set.device == torch.device("meta"), "not where the state is to go, unless the optimiser says so"
    assert checkpoint.resume(tmp_path, again)
    assert digest(again.method) == digest(training.method)
    for name, found in zip(training.optimizer.state.values(), again.optimizer.state.values(), strict=True):
        assert {key: value.device.type for key, value in found.items()} == dict.fromkeys(name, "cpu")
        assert all(torch.equal(found[key], value) for key, value in name.items())
