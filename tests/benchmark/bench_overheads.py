"""What the harness costs beside the training itself: bookkeeping, a trial's start, the command line, precision.

Run with `make bench` and nothing else. Nothing is asserted: each line says what was measured.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.benchmark.planning.grid import RunRequest, make_grid
from fernoise_bench.benchmark.training import checkpoint, trainer
from fernoise_bench.benchmark.training.runner import WorkerContext
from fernoise_bench.benchmark.trial import Trial

EMPTY = "import click\n@click.command()\ndef main(): pass\nmain()"
LISTING = "from fernoise_bench.benchmark.cli import main; main()"


@pytest.fixture(scope="module")
def lines() -> Iterator[list[str]]:
    found: list[str] = []
    yield found
    print("\n" + "\n".join(found))


def a_trial(out: Path, **changes: Any) -> Trial:
    asked = RunRequest("ferplus-sym", ("supervised",), levels=(0.4,), seeds=1, profile="small", synthetic=True, out=out)
    return make_grid(replace(asked, **changes)).trials[0]


def test_bookkeeping(benchmark: Any, tmp_path: Path, lines: list[str]) -> None:
    """Line, checkpoint and files of an epoch, as a share of the epoch's training and evaluation."""
    torch.set_num_threads(1)
    trial, place = a_trial(tmp_path), WorkerContext()
    training = trainer.start(trial, place.cell(trial), Weights("none"))
    began = time.perf_counter()
    line = trainer.run_epoch(training, trial.job.settings.recipe, 0)
    line |= {"compute": training.counters.take(), **training.evaluator.epoch(training.method, 0), "seconds": 0.0}
    epoch = time.perf_counter() - began
    training.lines = [line] * 15
    trial.folder.mkdir(parents=True)
    benchmark.pedantic(checkpoint.save, args=(trial.folder, training), rounds=10, warmup_rounds=1)
    seconds = benchmark.stats.stats.median
    lines.append(f"checkpoint and lines: {seconds * 1000:.0f} ms of an epoch of {epoch:.2f} s: {seconds / epoch:.1%}")


def test_fixed_cost(benchmark: Any, tmp_path: Path, lines: list[str]) -> None:
    """From a trial's start to its first step, once the faces are drawn."""
    torch.set_num_threads(1)
    trial, place = a_trial(tmp_path), WorkerContext()
    data = place.cell(trial)

    def start() -> None:
        training = trainer.start(trial, data, Weights("none"))
        next(training.train_set.batches(0, 1))

    benchmark.pedantic(start, rounds=5, warmup_rounds=1)
    lines.append(f"start to first step: {benchmark.stats.stats.median:.2f} s")


@pytest.mark.parametrize("arguments", ["--help", "list"])
def test_command_line(benchmark: Any, lines: list[str], arguments: str) -> None:
    """Seconds of a command as a multiple of an empty click program's."""
    empty = min(_seconds(EMPTY, "--help") for _ in range(5))
    benchmark.pedantic(_seconds, args=(LISTING, arguments), rounds=5)
    seconds = benchmark.stats.stats.min
    lines.append(f"fernoise-bench {arguments}: {seconds:.2f} s, {seconds / empty:.1f} x an empty click program")


def _seconds(code: str, argument: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, argument], check=True, capture_output=True)
    return time.perf_counter() - began


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precision(benchmark: Any, lines: list[str], precision: str) -> None:
    """A training step of ResNet-18 on 16 faces of 224 px."""
    from fernoise_bench.benchmark.doctor import devices
    from fernoise_bench.benchmark.networks.encoders import Counters, EncoderFactory

    if precision == "bf16" and "no bf16 arithmetic" in devices()[0].found:
        pytest.skip("this CPU has no bf16 arithmetic")
    torch.set_num_threads(1)
    encoder = EncoderFactory("resnet18", Weights("none"), 0, Counters(), precision, torch.device("cpu"))()
    images = torch.rand(16, 3, 224, 224).to(memory_format=torch.channels_last)

    def step() -> None:
        encoder(images)[0].sum().backward()  # type: ignore[no-untyped-call]

    benchmark.pedantic(step, rounds=4, warmup_rounds=1)
    lines.append(f"ResNet-18, 224 px, {precision}: {16 / benchmark.stats.stats.min:.1f} images/s")
