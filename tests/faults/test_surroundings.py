"""What a machine may do to a run: no room, no memory, no permission, another clock, another run beside it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch

from fernoise_bench.benchmark.cli import main
from fernoise_bench.benchmark.engines import local
from fernoise_bench.benchmark.engines.local import run_inline, run_local
from fernoise_bench.benchmark.training import runner
from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.benchmark.trial import Trial
from fernoise_bench.benchmark.trial_state import outcome, state_of
from fernoise_bench.methods.base import Batch, Method, Step
from fernoise_bench.protocols.files import read_json, read_jsonl
from fernoise_bench.protocols.locks import FolderLock, is_locked
from fernoise_bench.results.records.store import find_trials

from ..toy import ToyContext, ignore
from .workshop import everything, grid, life, run

Undisturbed = dict[str, dict[str, str]]
NOBODY = 65534


def equals_undisturbed(out: Path, undisturbed: Undisturbed) -> bool:
    found = everything(out)
    return bool(found) and found == {place: undisturbed[place] for place in found}


# --- two runs at once


def note(trials: tuple[Trial, ...], file: Path) -> None:
    """Runs trials and notes each epoch that is trained here."""

    def listen(trial: Trial, event: object) -> None:
        if isinstance(event, dict) and "epoch" in event and "teacher" not in event:
            with file.open("a") as lines:
                lines.write(f"{trial.id} {event['epoch']}\n")

    run_inline(trials, listen, ToyContext())


def test_two_runs_on_one_folder_train_each_epoch_once(tmp_path: Path, undisturbed: Undisturbed) -> None:
    out, file = tmp_path / "runs", tmp_path / "epochs"
    processes = [life(note, grid(out), file) for _ in range(2)]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    run(grid(out))
    assert everything(out) == undisturbed
    times = Counter(file.read_text().split("\n"))
    assert set(times.values()) == {1}


def test_who_has_a_trial_is_told(tmp_path: Path) -> None:
    trial = grid(tmp_path)[0]
    with FolderLock(trial.folder):
        assert is_locked(trial.folder)
        assert run_trial(trial, ToyContext(), ignore)["state"] == "skipped"
    assert not is_locked(trial.folder)


def test_a_lock_of_a_folder_that_was_removed_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening the lock file and locking it, the one who had it may remove the folder and make it anew."""
    import fcntl

    folder, original = tmp_path / "trial", fcntl.flock
    removed: list[Path] = []

    def flock(handle: int, how: int) -> None:
        if not removed:
            shutil.rmtree(folder)
            removed.append(folder)
        original(handle, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with FolderLock(folder) as first, FolderLock(folder) as second:
        assert first
        assert not second


# --- room


@pytest.mark.parametrize("limit", [200, 3_000, 40_000])
def test_no_room_for_a_file(limit: int, tmp_path: Path, undisturbed: Undisturbed) -> None:
    trials = grid(tmp_path)[:2]

    def cramped() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        run(trials)

    process = life(cramped)
    process.join()
    assert not {"done"} & {state_of(trial) for trial in trials}
    run(trials)
    assert equals_undisturbed(tmp_path, undisturbed)


FULL = """
import json, subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
out = Path(sys.argv[2])
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(out)]).returncode:
    sys.exit(77)
import torch
torch.set_num_threads(1)
from tests.faults.workshop import everything, grid, run
told = ""
try:
    run(grid(out)[:2])
except OSError as error:
    told = error.strerror
subprocess.run(["mount", "-o", "remount,size=50m", str(out)], check=True)
run(grid(out)[:2])
print(json.dumps([told, everything(out)]))
"""


def test_a_full_disk(tmp_path: Path, undisturbed: Undisturbed) -> None:
    """A small tmpfs in a mount name space of its own; the run ends, and goes on when there is room."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    command = ["unshare", "--mount", sys.executable, "-c", FULL, str(Path(__file__).parents[2]), str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if found.returncode == 77 or "unshare" in found.stderr:
        pytest.skip("mounting is not allowed here")
    assert found.returncode == 0, found.stderr
    told, after = json.loads(found.stdout.splitlines()[-1])
    assert told == "No space left on device"
    assert after == {place: undisturbed[place] for place in after}
    assert len(after) == 2


@pytest.mark.weekly
def test_a_pool_without_room_stops_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one process does: further trials would fail for the same reason."""
    trials = grid(tmp_path)[:3]
    heard: list[str] = []
    monkeypatch.setattr(local, "_work", _full)
    with pytest.raises(OSError, match="No space left on device") as error:
        run_local(trials, lambda trial, event: heard.append(trial.id), 1)
    assert error.value.errno == errno.ENOSPC
    assert set(heard) == {trials[0].id}


def _full(pipe: Connection, workers: int, gpu: str | None) -> None:
    """A worker whose trials find a full disk."""
    runner.checkpoint.save = _no_room  # type: ignore[assignment]
    runner.WorkerContext.cell = ToyContext.cell  # type: ignore[method-assign]
    local._work(pipe, workers, gpu)


def _no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "checkpoint.pt")


# --- permissions


@pytest.fixture
def anyones() -> Iterator[Path]:
    """A folder that others than its owner can reach."""
    folder = Path(tempfile.mkdtemp(prefix="fernoise-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def as_nobody(out: Path, *arguments: str) -> None:
    """Runs the command as a user without rights."""
    if os.geteuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    with (out / "said").open("w") as said, contextlib.redirect_stderr(said):
        main(arguments, prog_name="fernoise-bench")


@pytest.mark.parametrize("locked", ["", "ferplus-sym@1"], ids=["the folder", "a protocol's folder"])
def test_a_read_only_folder(locked: str, anyones: Path) -> None:
    """One line, exit code 2, and what is there stays as it is."""
    said, runs = anyones / "out", anyones / "runs"
    for folder, mode in ((said, 0o777), (runs, 0o777), (runs / locked, 0o555)):
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)
    (said / "said").touch()
    (said / "said").chmod(0o666)
    typed = ("run", "--protocol", "ferplus-sym", "--synthetic", "--profile", "smoke", "--method", "supervised")
    process = life(as_nobody, said, *typed, "--noise", "0.2", "--engine", "inline", "--out", str(runs))
    process.join()
    lines = (said / "said").read_text().splitlines()
    assert process.exitcode == 2
    assert lines[-1].startswith(f"fernoise-bench: --out {runs}: ")
    assert not any("Traceback" in line for line in lines)
    assert not find_trials(runs)


@pytest.mark.parametrize("mode", [0o555, 0o311], ids=["not to be written", "not to be read"])
def test_a_methods_folder_of_somebody_else(mode: int, anyones: Path) -> None:
    """Its trials fail, and the others are run; in tables it is named, not left out."""
    runs = anyones / "runs"
    theirs = runs / "ferplus-sym@1" / "supervised"
    theirs.mkdir(parents=True)
    for folder in (anyones, runs, theirs.parent):
        folder.chmod(0o777)
    theirs.chmod(mode)
    (anyones / "said").touch()
    (anyones / "said").chmod(0o666)
    typed = ("--protocol", "ferplus-sym", "--synthetic", "--profile", "smoke", "--noise", "0.2", "--engine", "inline")
    process = life(as_nobody, anyones, "run", *typed, "--method", "supervised,gce", "--out", str(runs))
    process.join()
    said = (anyones / "said").read_text()
    assert process.exitcode == 1
    assert f"supervised · noise 0.2 · seed 0: {theirs} cannot be written to; check its permissions" in said
    assert (f"damaged: {theirs} cannot be read: check its permissions" in said) == (mode == 0o311)
    assert any(read_json(folder / "status.json")["state"] == "done" for folder in (theirs.parent / "gce").iterdir())


# --- time


@pytest.mark.weekly
def test_a_clock_that_jumps(tmp_path: Path, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(10**9, 0, -(10**5)))
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    monkeypatch.setattr(runner, "_now", lambda: f"{2000 - next(now) % 30}-01-01T00:00:00+00:00")
    trials = grid(tmp_path)[:2]
    run(trials)
    assert equals_undisturbed(tmp_path, undisturbed)
    assert all(line["seconds"] >= 0 for trial in trials for line in read_jsonl(trial.folder / "epochs.jsonl"))


# --- memory


def test_a_worker_out_of_memory(tmp_path: Path, undisturbed: Undisturbed) -> None:
    """A method that wants more than there is fails with the reason; where there is room the trial goes on."""
    from fernoise_bench.baselines.supervised import Supervised

    class Hungry(Supervised):
        def loss(self, batch: Batch) -> Step:
            torch.zeros(1 << 30 if batch.epoch == 1 else 1)
            return super().loss(batch)

    trial = grid(tmp_path)[0]
    object.__setattr__(trial.method, "load", lambda: Hungry)

    def starved() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (512 << 20),) * 2)
        run((trial,))

    process = life(starved)
    process.join()
    assert state_of(trial) == "failed"
    assert "can't allocate memory" in outcome(trial)["reason"]
    assert outcome(trial)["epochs_done"] == 1
    run((grid(tmp_path)[0],))
    assert equals_undisturbed(tmp_path, undisturbed)


# --- numbers


def spoiled(out: Path, *, dies: bool = False) -> Trial:
    """A trial whose loss is NaN at step 2 of epoch 1, killed just before if wished."""
    from fernoise_bench.baselines.supervised import Supervised

    trial = grid(out)[0]

    class Spoiled(Supervised):
        def loss(self, batch: Batch) -> Step:
            step = super().loss(batch)
            if (batch.epoch, batch.step) == (1, 1) and dies:
                os.kill(os.getpid(), signal.SIGKILL)
            if (batch.epoch, batch.step) == (1, 2) and step.loss is not None:
                return Step(step.loss * float("nan"))
            return step

    object.__setattr__(trial.method, "load", lambda: Spoiled)
    return trial


def test_nan_at_a_step_is_the_same_verdict_however_often_it_was_killed(tmp_path: Path) -> None:
    whole = spoiled(tmp_path / "whole")
    run((whole,))
    for _ in range(2):
        process = life(run, (spoiled(tmp_path / "killed", dies=True),))
        process.join()
        assert process.exitcode == -signal.SIGKILL
    killed = spoiled(tmp_path / "killed")
    run((killed,))
    assert state_of(killed) == state_of(whole) == "diverged"
    assert outcome(killed)["reason"] == "loss not finite at epoch 1, step 2"
    assert everything(tmp_path / "killed") == everything(tmp_path / "whole")
    before = read_json(killed.folder / "status.json")
    assert run((killed,)) == []
    assert read_json(killed.folder / "status.json") == before


def test_a_method_that_ends_the_process_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Leaving(Method):
        def __init__(self, *_: object) -> None:
            raise SystemExit(0)

    first, second, *_ = grid(tmp_path)
    method = replace(first.method)
    object.__setattr__(method, "load", lambda: Leaving)
    first = replace(first, method=method)
    run((first, second))
    assert state_of(first) == "failed"
    assert outcome(first)["reason"].startswith("SystemExit: 0")
    assert state_of(second) == "done"
