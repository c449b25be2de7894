"""Trainings on random pixels, the same on every device but for the device's own arithmetic."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import torch

from fernoise_bench.benchmark import registry
from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.benchmark.planning.compute_count import random_cell, random_trial
from fernoise_bench.benchmark.registry import MethodSpec
from fernoise_bench.benchmark.settings import Settings
from fernoise_bench.benchmark.training import trainer
from fernoise_bench.benchmark.training.state import Training
from fernoise_bench.methods.base import Batch, Kind
from fernoise_bench.protocols import catalog

from ..benchmark.training.miniature import PROTOCOLS, miniature, undecided_teacher

SIDE, BATCH, EPOCHS, STEPS = 48, 32, 4, 2  # warm-ups are over after the first of the epochs
REHEARSED = "FERNOISE_REHEARSE_CUDA"  # 1: on the CPU, to try these tests themselves


def device_or_skip() -> str:
    """The device that the tests compare with the CPU; skips, saying so, where there is none."""
    if os.environ.get(REHEARSED) == "1":
        return "cpu"
    if not torch.cuda.is_available():
        pytest.skip(f"no CUDA device ({REHEARSED}=1 tries the test itself on the CPU)")
    return "cuda"


def applicable() -> Iterator[tuple[Kind, MethodSpec]]:
    """Every method, with each kind of label that it can learn from."""
    for spec in registry.all_base():
        yield from ((kind, spec) for kind in PROTOCOLS if kind in spec.needs)


@dataclass(frozen=True)
class How:
    """What a training computes with."""

    device: str
    precision: str = "fp32"
    encoder: str = "small"
    side: int = SIDE


def started(spec: MethodSpec, kind: Kind, how: How) -> Training:
    """The start of a training of few steps."""
    protocol = catalog.find(PROTOCOLS[kind])
    recipe = miniature(protocol.paper.recipe, how.encoder, rows=BATCH, epochs=EPOCHS, side=how.side, margin=8)
    rows = BATCH * STEPS
    trial = random_trial(spec, protocol, Settings(how.device, how.precision, "none", "", "", recipe))
    teacher = undecided_teacher(spec, rows, len(protocol.names))
    return trainer.start(trial, random_cell(protocol, rows, how.side), Weights("none"), teacher)


def batches(training: Training, epoch: int) -> Iterator[Batch]:
    """An epoch's batches; what a method draws comes from the host, and so is the same on every device."""
    for batch in training.train_set.batches(epoch, training.method.views):
        yield replace(batch, generator=torch.Generator().manual_seed(100 * epoch + batch.step))


def train_epoch(training: Training, epoch: int, *, watched: bool = False) -> list[torch.Tensor]:
    """Trains an epoch; the loss of each step, on the device. `watched`: torch warns of each wait for the device."""
    method, found = training.method, []
    trainer.set_learning_rate(training.optimizer, training.train_set.sampler.recipe, epoch)
    method.train()
    method.begin_epoch(epoch, training.train_set.view(epoch))
    sums = trainer.Sums(training.train_set.device, training.train_set.sampler.steps)
    for batch in batches(training, epoch):
        if watched:
            torch.cuda.set_sync_debug_mode("warn")
        try:
            trainer.run_step(training, batch, sums)
        finally:
            if watched:
                torch.cuda.set_sync_debug_mode("default")
        found.append(sums._losses[batch.step])
    return found


def losses(spec: MethodSpec, kind: Kind, how: How) -> list[float]:
    """The losses of all steps of a training."""
    training = started(spec, kind, how)
    return [float(each) for epoch in range(EPOCHS) for each in train_epoch(training, epoch)]


def parameters(training: Training) -> torch.Tensor:
    """All that a method keeps, as one float64 vector on the host."""
    return torch.cat([each.detach().double().flatten().cpu() for each in training.method.state_dict().values()])
