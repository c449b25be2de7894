"""Engines decide where a trial runs, never what comes out."""

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

from fernoise_bench.benchmark.engines import local
from fernoise_bench.benchmark.engines.local import run_inline, run_local
from fernoise_bench.benchmark.planning.grid import RunRequest, make_grid
from fernoise_bench.benchmark.training.runner import WorkerContext
from fernoise_bench.benchmark.trial import Trial
from fernoise_bench.benchmark.trial_state import state_of
from fernoise_bench.protocols.files import read_json

from ...toy import ignore, toy_trial


def ignore_event(trial: Trial, event: Mapping[str, Any]) -> None:
    """What a run reports, which nobody reads."""


def grid(out: Path) -> tuple[Trial, ...]:
    asked = RunRequest("fer2013-real", ("supervised", "co-teaching"), seeds=1, profile="smoke", synthetic=True, out=out)
    return make_grid(asked).trials


@pytest.mark.slow
def test_a_killed_worker_costs_only_its_trial_and_a_pool_gives_the_bytes_of_one_process(tmp_path: Path) -> None:
    """The first trial's worker is killed after an epoch; the others finish, and a second run finishes the first."""
    alone, trials = grid(tmp_path / "alone"), grid(tmp_path / "pooled")
    killed: list[str] = []

    def listen(trial: Trial, event: Mapping[str, Any]) -> None:
        if "epoch" in event and not killed:
            killed.append(trial.id)
            for process in _workers():
                os.kill(process, signal.SIGKILL)

    run_local(trials, listen, 1)
    states = {trial.id: state_of(trial) for trial in trials}
    assert states.pop(killed[0]) == "failed"
    assert set(states.values()) == {"done"}
    reason = next(read_json(trial.folder / "status.json")["reason"] for trial in trials if trial.id == killed[0])
    assert reason == "the worker process died (signal SIGKILL)"
    run_inline([trial for trial in trials if trial.id == killed[0]], ignore_event, WorkerContext())
    assert {state_of(trial) for trial in trials} == {"done"}
    run_inline(alone, ignore_event, WorkerContext())
    for one, other in zip(alone, trials, strict=True):
        assert one.id == other.id
        for name in ("predictions.npz", "training_scores.npz", "identity.json"):
            assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()


def test_workers_take_the_gpus_by_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five workers on the three GPUs that the command may use; on the CPU none is named."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b,7,-1,9")
    for device, expected in (("cuda", ["GPU-a", "GPU-b", "7", "GPU-a", "GPU-b"]), ("cpu", [None] * 5)):
        given: list[str | None] = []
        monkeypatch.setattr(local, "_Worker", lambda workers, gpu, given=given: given.append(gpu))
        trial = toy_trial("supervised", tmp_path)
        settings = replace(trial.job.settings, device=device)
        with pytest.raises(AttributeError):  # nothing runs
            run_local([replace(trial, job=replace(trial.job, settings=settings))] * 5, ignore, 5)
        assert given == expected


def test_a_worker_sees_its_gpu_alone() -> None:
    """In a process of its own, since a worker leaves signals to its parent."""
    context = multiprocessing.get_context("fork")
    seen = context.SimpleQueue()
    process = context.Process(target=_see, args=(seen,))
    process.start()
    process.join()
    assert seen.get() == "5"


def _see(seen: Any) -> None:
    pipe, other_end = multiprocessing.Pipe()
    other_end.close()
    local._work(pipe, 1, "5")
    seen.put(os.environ["CUDA_VISIBLE_DEVICES"])


def _workers() -> list[int]:
    """Process numbers of this process's spawned workers."""
    return [child.pid for child in multiprocessing.active_children() if child.pid]
