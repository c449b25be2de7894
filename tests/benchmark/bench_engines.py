"""What a second worker is worth: equal trials on one worker and on two, on the local pool and on Ray.

Wall time, start of the workers and of Ray included: nearly three seconds, beside trials of little more than one. Run
with `make bench` and nothing else; Ray is left out where it is not installed. Nothing is asserted: each line says what
was measured.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fernoise_bench.benchmark.engines.local import run_local
from fernoise_bench.benchmark.engines.options import EngineOptions, default_workers
from fernoise_bench.benchmark.engines.ray_cluster import run_ray
from fernoise_bench.benchmark.planning.grid import RunRequest, make_grid
from fernoise_bench.benchmark.trial import Trial
from fernoise_bench.benchmark.trial_state import outcome

TRIALS = 24


def ignore(*_: object) -> None:
    """Nobody listens."""


def on_ray(trials: Sequence[Trial], workers: int) -> None:
    run_ray(trials, ignore, EngineOptions("ray", workers=workers), ignore)


def on_local(trials: Sequence[Trial], workers: int) -> None:
    run_local(trials, ignore, workers)


ENGINES = {"local": on_local, "ray": on_ray}


@pytest.fixture(scope="module")
def lines() -> Iterator[list[str]]:
    found: list[str] = []
    yield found
    print("\n" + "\n".join(found))


@pytest.mark.skipif(default_workers("cpu") < 2, reason="a second worker wants a second core")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_second_worker(benchmark: Any, tmp_path: Path, lines: list[str], engine: str) -> None:
    if engine == "ray" and importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'fernoise-bench[ray]'")
    seconds = {1: _timed(engine, 1, tmp_path / "1")}
    benchmark.pedantic(_timed, args=(engine, 2, tmp_path / "2"), rounds=1)
    seconds[2] = benchmark.stats.stats.min
    share = seconds[2] / seconds[1]
    benchmark.extra_info |= {"one worker": seconds[1], "share": share}
    lines.append(
        f"{TRIALS} trials of {seconds[1] / TRIALS:.1f} s, {engine}: "
        f"{seconds[1]:.1f} s on one worker, {seconds[2]:.1f} s on two: {share:.3f}"
    )


def _timed(engine: str, workers: int, out: Path) -> float:
    """Seconds of equal trials, from the first worker's start to the last trial's end."""
    asked = RunRequest(
        "ferplus-sym", ("supervised",), levels=(0.4,), seeds=TRIALS, profile="smoke", synthetic=True, out=out
    )
    trials = make_grid(asked).trials
    began = time.perf_counter()
    ENGINES[engine](trials, workers)
    seconds = time.perf_counter() - began
    assert all(outcome(trial)["state"] == "done" for trial in trials)
    return seconds
