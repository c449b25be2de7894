"""Training speed of the harness as a share of a bare loop with the same network, batches and augmentation.

Both train on the batches the harness prepares; evaluation and checkpoints are left out of both. One process, one
thread; run with `make bench`. Nothing is asserted: speed is a ratio to look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from fernoise_bench.benchmark import trainer
from fernoise_bench.benchmark.cells import Wish, make_grid
from fernoise_bench.benchmark.trainer import Training
from fernoise_bench.benchmark.weights import Weights
from fernoise_bench.methods.base import Network
from fernoise_bench.protocols.build import open_data

ROUNDS = 6
WAYS = ("bare loop", "harness")


@pytest.fixture(scope="module")
def training() -> Training:
    wish = Wish("ferplus-sym", ("supervised",), levels=(0.4,), seeds=1, profile="small", synthetic=True, device="cpu")
    (trial,) = make_grid(wish).trials
    data = open_data(trial.job.protocol, "small", "generated", Path())
    return trainer.start(trial, data.cell(None, 0.4, 0), Weights("none"))


def harness_epoch(training: Training) -> None:
    """An epoch as the harness trains it: counters, audit, logs and checks included."""
    trainer.run_epoch(training, training.train_set.sampler.recipe, 0)


def bare_epoch(training: Training) -> None:
    """The same batches through the same network and optimiser, and nothing else."""
    network: Network = training.method.network  # type: ignore[assignment]
    model, head = network.encoder.model, network.head
    mean, std = network.encoder.mean, network.encoder.std
    training.method.train()
    for batch in training.train_set.batches(0, 1):
        maps = model.forward_features((batch.images[0] - mean) / std)
        loss = F.cross_entropy(head(model.forward_head(maps, pre_logits=True)), batch.labels)
        training.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        training.optimizer.step()


@pytest.fixture(scope="module")
def fastest() -> Iterator[dict[str, float]]:
    """Seconds of the fastest epoch by way; prints the ratio when both are measured."""
    found: dict[str, float] = {}
    yield found
    if set(found) == set(WAYS):
        print(f"\nharness / bare loop: {found['bare loop'] / found['harness']:.3f} of its speed")


@pytest.mark.parametrize("way", WAYS)
def test_training(benchmark: Any, training: Training, fastest: dict[str, float], way: str) -> None:
    torch.set_num_threads(1)
    epoch = harness_epoch if way == "harness" else bare_epoch
    sampler = training.train_set.sampler
    benchmark.pedantic(epoch, args=(training,), rounds=ROUNDS, warmup_rounds=1)
    fastest[way] = benchmark.stats.stats.min
    benchmark.extra_info["images a second"] = sampler.steps * sampler.batch_size / fastest[way]
