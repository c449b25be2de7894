"""What travels to other machines and back."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fernoise_bench.benchmark.engines.options import EngineOptions
from fernoise_bench.benchmark.engines.remote import EventLog, mark_lost, pack, run_remote
from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.benchmark.trial import Trial
from fernoise_bench.benchmark.trial_state import state_of
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.files import read_json
from fernoise_bench.protocols.locks import FolderLock
from fernoise_bench.protocols.rows import CellData

from ...toy import EPOCHS, ToyContext, ignore, toy_trial


def test_a_trial_travels_with_its_id_and_absolute_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "start.pth").write_bytes(b"")
    trial = toy_trial("supervised", Path("runs"))
    trial = replace(trial, job=replace(trial.job, weights="start.pth"))
    name, arrived = pickle.loads(pickle.dumps(pack(trial)))
    monkeypatch.chdir("/")
    assert name == arrived.id == trial.id
    assert arrived.folder == tmp_path / trial.folder
    assert (arrived.job.data_root, arrived.job.weights) == (tmp_path / "runs", str(tmp_path / "start.pth"))


def test_a_word_for_weights_stays_a_word(tmp_path: Path) -> None:
    assert pack(toy_trial("supervised", tmp_path))[1].job.weights == "none"


def test_events_arrive_once_and_in_order_and_half_a_line_waits(tmp_path: Path) -> None:
    there, here = EventLog(tmp_path / "post"), EventLog(tmp_path / "post")
    assert list(here.receive()) == []
    there.send("w", "a", {"started": True})
    there.send("w", "a", {"epoch": 1, "loss": 0.5})
    assert list(here.receive()) == [("a", {"started": True}), ("a", {"epoch": 1, "loss": 0.5})]
    with (tmp_path / "post" / "w.jsonl").open("a") as file:
        file.write('{"trial": "b", ')
    assert list(here.receive()) == []
    with (tmp_path / "post" / "w.jsonl").open("a") as file:
        file.write('"status": {"state": "done"}}\n')
    assert list(here.receive()) == [("b", {"status": {"state": "done"}})]
    assert list(here.receive()) == []
    assert there.count("w") == 2


class Stopping(ToyContext):
    """A context in which somebody asks to stop when a trial has begun."""

    def __init__(self, log: EventLog) -> None:
        super().__init__()
        self.log = log

    def cell(self, trial: Trial) -> CellData:
        self.log.ask_to_stop()
        return super().cell(trial)


def test_a_run_that_is_asked_to_stop_stops_after_the_epoch_and_goes_on_later(tmp_path: Path) -> None:
    log, trial = EventLog(tmp_path / "post"), toy_trial("supervised", tmp_path / "out")
    assert run_remote(pack(trial), Stopping(log), log, "w")["state"] == "stopped"
    assert state_of(trial) == "interrupted"
    assert [event.get("epoch") for _, event in log.receive()] == [None, 1]
    assert run_remote(pack(trial), ToyContext(), log, "w")["state"] == "stopped", "none begins after that"
    assert list(log.receive()) == []
    again = EventLog(tmp_path / "again")
    assert run_remote(pack(trial), ToyContext(), again, "w")["state"] == "done"
    assert [event.get("epoch") for _, event in again.receive()] == [None, *range(2, EPOCHS + 1)]


def test_another_version_of_the_code_does_not_run_the_trial(tmp_path: Path) -> None:
    trial = toy_trial("supervised", tmp_path / "out")
    status = run_remote(("0" * 16, trial), ToyContext(), EventLog(tmp_path / "post"), "w")
    assert status["state"] == "failed"
    assert "another version of fernoise-bench" in status["reason"]
    assert not trial.folder.exists()


def test_a_full_disk_elsewhere_is_a_status_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Mapping[str, Any]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fernoise_bench.benchmark.engines.local.run_trial", full)
    status = run_remote(pack(toy_trial("supervised", tmp_path)), ToyContext(), EventLog(tmp_path / "post"), "w")
    assert (status["state"], status["reason"]) == ("failed", "No space left on device")


def test_a_lost_trial_is_written_down_unless_somebody_has_it_or_it_was_done(tmp_path: Path) -> None:
    never = toy_trial("supervised", tmp_path, seed=1)
    assert mark_lost(never, "gone") == {"state": "not run", "reason": "gone"}
    assert not never.folder.exists()

    trial = toy_trial("supervised", tmp_path)
    trial.folder.mkdir(parents=True)
    with FolderLock(trial.folder):
        mark_lost(trial, "gone")
        assert not (trial.folder / "status.json").exists(), "its worker lives"
    assert mark_lost(trial, "gone")["state"] == "failed"
    assert read_json(trial.folder / "status.json")["reason"] == "gone"

    run_trial(trial, ToyContext(), ignore)
    assert mark_lost(trial, "gone")["state"] == "done"
    assert state_of(trial) == "done"


@pytest.mark.parametrize(
    ("where", "asked", "device"),
    [
        (EngineOptions(), "auto", "auto"),
        (EngineOptions("local", workers=2), "cuda", "cuda"),
        (EngineOptions("ray"), "auto", "cpu"),
        (EngineOptions("ray", gpus_per_trial=0.25), "auto", "cuda"),
        (EngineOptions("slurm", workers=4, gpus_per_trial=1.0), "cuda", "cuda"),
    ],
)
def test_the_device_follows_from_what_each_trial_is_given(where: EngineOptions, asked: str, device: str) -> None:
    assert where.device(asked) == device


@pytest.mark.parametrize(
    ("where", "asked", "message"),
    [
        (EngineOptions("ray"), "cuda", "needs a share of a GPU for each trial: add --gpus-per-trial 1"),
        (EngineOptions("ray", gpus_per_trial=0.5), "cpu", "--gpus-per-trial 0.5 contradicts --device cpu"),
        (EngineOptions("local", gpus_per_trial=0.5), "auto", "--gpus-per-trial is for --engine ray or slurm"),
        (EngineOptions("slurm", workers=1, address="auto"), "auto", "--address is for --engine ray;"),
        (EngineOptions(retries=2), "auto", "--retries is for --engine ray;"),
        (EngineOptions("ray", partition="gpu"), "auto", "--partition is for --engine slurm;"),
        (EngineOptions("inline", time="90"), "auto", "--time is for --engine slurm;"),
        (EngineOptions(sbatch=("account=lab",)), "auto", "--slurm is for --engine slurm;"),
        (EngineOptions("slurm"), "auto", "needs the number of worker processes: add --workers N"),
    ],
)
def test_options_that_do_not_go_together_are_refused(where: EngineOptions, asked: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        where.device(asked)
