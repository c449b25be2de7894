"""Training on a GPU: the CPU's numbers, finite ones in bfloat16, no unlisted wait, the same bits twice and on resuming.

Run by `make gpu` on a machine with one.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fernoise_bench.benchmark import registry
from fernoise_bench.benchmark.registry import MethodSpec
from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.methods.base import Kind

from ..benchmark.training.waits import waits_of
from ..toy import ToyContext, ignore, toy_trial
from .trainings import STEPS, How, applicable, device_or_skip, losses, parameters, started, train_epoch

pytestmark = pytest.mark.cuda

TOLERANCE = 2e-2  # of a loss: rounding grows from step to step
LEAST = 1e-3  # losses below are compared with this
METHODS = [pytest.param(kind, spec, id=f"{kind} {spec.name}") for kind, spec in applicable()]
SEVERAL: tuple[tuple[str, Kind], ...] = (("supervised", "single"), ("rul", "single"), ("recot", "multi"))


@pytest.mark.parametrize(("kind", "spec"), METHODS)
def test_a_method_learns_as_on_the_cpu(kind: Kind, spec: MethodSpec) -> None:
    device = device_or_skip()
    cpu, found = (losses(spec, kind, How(where)) for where in ("cpu", device))
    apart = [abs(a - b) / max(LEAST, abs(a)) for a, b in zip(cpu, found, strict=True)]
    assert max(apart) < TOLERANCE, (cpu, found)
    assert any(cpu), "it was trained"


@pytest.mark.parametrize(("kind", "spec"), METHODS)
def test_a_method_is_finite_in_bfloat16(kind: Kind, spec: MethodSpec) -> None:
    assert np.isfinite(losses(spec, kind, How(device_or_skip(), "bf16"))).all()


@pytest.mark.parametrize(("kind", "spec"), METHODS)
def test_a_step_waits_for_the_gpu_no_oftener_than_listed(kind: Kind, spec: MethodSpec) -> None:
    device = device_or_skip()
    training = started(spec, kind, How(device))
    train_epoch(training, 0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        train_epoch(training, 1, watched=device == "cuda")
    waits = [str(each.message) for each in told if "synchroniz" in str(each.message)]
    assert len(waits) <= math.ceil(waits_of(kind, spec)) * STEPS, waits  # rounded up: a warm-up may wait less


@pytest.mark.parametrize(("method", "kind"), SEVERAL)
@pytest.mark.parametrize("encoder", ["small", "resnet18"])
def test_the_same_training_gives_the_same_bits(method: str, kind: Kind, encoder: str) -> None:
    how = How(device_or_skip(), encoder=encoder, side=64)
    found = []
    for _ in range(2):
        training = started(registry.find(method), kind, how)
        for epoch in range(2):
            train_epoch(training, epoch)
        found.append(parameters(training))
    assert torch.equal(*found), float((found[0] - found[1]).abs().max())


@pytest.mark.parametrize(("method", "kind"), SEVERAL)
def test_an_interrupted_trial_goes_on_to_the_bit(method: str, kind: Kind, tmp_path: Path) -> None:
    device = device_or_skip()

    def stop(event: Mapping[str, Any]) -> None:
        if event.get("epoch") == 2:
            raise KeyboardInterrupt

    trials = []
    for folder in ("whole", "stopped"):
        trial = toy_trial(method, tmp_path / folder, kind=kind)
        trials.append(replace(trial, job=replace(trial.job, settings=replace(trial.job.settings, device=device))))
    whole, stopped = trials
    assert run_trial(whole, ToyContext(), ignore)["state"] == "done"
    with pytest.raises(KeyboardInterrupt):
        run_trial(stopped, ToyContext(), stop)
    assert run_trial(stopped, ToyContext(), ignore)["state"] == "done"
    bytes_of = [(trial.folder / "predictions.npz").read_bytes() for trial in trials]
    assert bytes_of[0] == bytes_of[1]
