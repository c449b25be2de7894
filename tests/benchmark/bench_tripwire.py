"""A tripwire on speed that means the same on every machine: seconds are counted in epochs of a bare loop.

The clock of these benchmarks runs in units of the fastest epoch of a bare loop on the same machine in the same
minutes, so that what pytest-benchmark stores and compares are ratios. `make speed` compares with the ratios in
tests/benchmark/speed and fails where one has grown by a quarter.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from fernoise_bench.benchmark.planning.harness_speed import Case, bare_steps, make_training, own_loss
from fernoise_bench.benchmark.training import trainer
from fernoise_bench.benchmark.training.state import Training

ROUNDS = 9


@dataclass
class Yardstick:
    """A clock in units of the fastest run of something so far."""

    work: Callable[[], None]
    seconds: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """Runs it once more; before every round, so that unit and work see the same machine."""
        began = time.process_time()
        self.work()
        self.seconds.append(time.process_time() - began)

    def __call__(self) -> float:
        return time.process_time() / min(self.seconds, default=1.0)


@pytest.fixture(scope="module")
def training() -> Training:
    torch.set_num_threads(1)
    return make_training(Case("small", side=48, batch=32, steps=12), "cpu", "fp32")


@pytest.fixture
def yardstick(request: pytest.FixtureRequest, training: Training) -> Yardstick:
    """Before the fixture `benchmark`, which takes its clock from the marker."""

    def bare() -> None:
        bare_steps(training, training.train_set.batches(0, training.method.views), own_loss)

    made = Yardstick(bare)
    for _ in range(3):
        made.measure()
    request.node.add_marker(pytest.mark.benchmark(timer=made))
    return made


def test_epoch_of_the_harness(yardstick: Yardstick, benchmark: Any, training: Training) -> None:
    recipe = training.train_set.sampler.recipe
    benchmark.pedantic(lambda: trainer.run_epoch(training, recipe, 0), setup=yardstick.measure, rounds=ROUNDS)


def test_batches_of_an_epoch(yardstick: Yardstick, benchmark: Any, training: Training) -> None:
    views = training.method.views
    benchmark.pedantic(lambda: list(training.train_set.batches(0, views)), setup=yardstick.measure, rounds=ROUNDS)
