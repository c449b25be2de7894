"""Ctrl-C and SIGTERM: once, the checkpoint that comes next; twice, at once; and nothing outlives a killed run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fernoise_bench.benchmark.engines.signals import Stop, Stopped, stoppable
from fernoise_bench.protocols.files import read_json, read_jsonl
from fernoise_bench.protocols.locks import is_locked
from fernoise_bench.results.records.store import find_trials

from ..weekly import often

METHOD = """
import time
from fernoise_bench.baselines.supervised import Supervised


class Slow(Supervised):
    def loss(self, batch):
        time.sleep(PAUSE)
        return super().loss(batch)
"""
PATIENCE = 120  # seconds; a busy machine takes long to start
AGAIN = "interrupted: run it again to continue where it stopped"
COMMAND = "import sys; from fernoise_bench.benchmark.cli import main; main(sys.argv[1:], prog_name='fernoise-bench')"


def start(folder: Path, *typed: str, pause: float = 0.02, until: str = "epochs.jsonl") -> subprocess.Popen[str]:
    """Starts a slow run, `pause` seconds a step, and waits for a file of a trial."""
    (folder / "slow.py").write_text(METHOD.replace("PAUSE", str(pause)))
    command = [sys.executable, "-c", COMMAND, "run", "--protocol", "ferplus-sym", "--noise", "0.2", "--synthetic"]
    command += ["--profile", "smoke", "--method", "slow.py:Slow", "--out", "runs", *typed]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE
    while not list((folder / "runs").glob(f"*/*/*/{until}")) and time.monotonic() < deadline:
        time.sleep(0.05)
    if process.poll() is not None or time.monotonic() >= deadline:
        process.kill()
        pytest.fail(f"the run did not get as far as {until}: {process.communicate()[1]}")
    return process


def states(folder: Path) -> list[tuple[str, int]]:
    """State and epochs on disk of every trial."""
    found = []
    for trial in find_trials(folder / "runs"):
        if (trial / "status.json").exists():
            lines = trial / "epochs.jsonl"
            epochs = len(read_jsonl(lines)) if lines.exists() else 0
            found.append((read_json(trial / "status.json")["state"], epochs))
    return found


def test_ctrl_c_once_stops_at_the_next_checkpoint(tmp_path: Path) -> None:
    process = start(tmp_path, "--engine", "inline")
    before = states(tmp_path)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert out == ""
    assert "stopping at the next checkpoint; press Ctrl-C again to stop at once" in err
    assert err.splitlines()[-1] == AGAIN
    ((state, epochs),) = states(tmp_path)
    assert state == "running"
    assert epochs >= before[0][1]  # the checkpoint of an epoch comes after its line
    assert "Traceback" not in err


@pytest.mark.weekly
def test_ctrl_c_twice_stops_at_once(tmp_path: Path) -> None:
    process = start(tmp_path, "--engine", "inline", pause=3, until="status.json")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert states(tmp_path) == [("running", 0)]
    assert err.splitlines()[-1] == AGAIN
    assert "Traceback" not in err


@pytest.mark.parametrize(("pause", "grace"), often([(0.02, "60"), (1.0, "0.5")], 1, ["in time", "too late"]))
def test_sigterm_leaves_a_grace(pause: float, grace: str, tmp_path: Path) -> None:
    until = "epochs.jsonl" if pause < 1 else "status.json"
    process = start(tmp_path, "--engine", "inline", "--grace", grace, pause=pause, until=until)
    process.terminate()
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    assert f"SIGTERM: stopping at the next checkpoint, in {grace} seconds at the latest" in err
    assert err.splitlines()[-1] == AGAIN


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.weekly)])
def test_a_pool_stops_when_every_worker_has_saved(number: signal.Signals, tmp_path: Path) -> None:
    """The signal goes to all processes at once, as a terminal and a batch system send it."""
    process = start(tmp_path, "--engine", "local", "--workers", "2", "--seeds", "2", "--grace", "100")
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert err.splitlines()[-1] == AGAIN
    assert "died" not in err
    assert all(state in ("running", "done") for state, _ in states(tmp_path))
    assert not any(is_locked(trial) for trial in find_trials(tmp_path / "runs"))


def test_workers_do_not_outlive_a_killed_run(tmp_path: Path) -> None:
    """They would hold their trials against the run that continues."""
    process = start(tmp_path, "--engine", "local", "--workers", "2", "--seeds", "2", pause=5, until="status.json")
    process.kill()
    process.communicate()
    deadline = time.monotonic() + PATIENCE
    while any(is_locked(trial) for trial in find_trials(tmp_path / "runs")):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def ask_and_wait() -> None:
    with stoppable(0.01) as stop:
        assert not stop()
        signal.raise_signal(signal.SIGTERM)
        assert stop()
        time.sleep(5)


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    with pytest.raises(Stopped) as ended:
        ask_and_wait()
    assert ended.value.exit_code == 143
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)] == before
    assert Stop().exit_code == 130
