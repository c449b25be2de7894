"""Trials on a real Slurm cluster: a job cancelled in mid-run, one at its time limit; and the parts that need none."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fernoise_bench.benchmark.engines import slurm_cluster as module
from fernoise_bench.benchmark.engines.options import EngineOptions
from fernoise_bench.benchmark.engines.remote import EventLog
from fernoise_bench.benchmark.engines.slurm_cluster import (
    Worker,
    claim,
    job_parameters,
    mark_ended,
    minutes_of,
    run_slurm,
    sbatch_options,
)
from fernoise_bench.protocols.errors import BadInput

from ...toy import ignore, toy_trial
from ..clusters import Bench, ended, slurm_cluster, wait_for

# --- on a cluster


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A cluster, and what one process makes of the same trials in the folder "alone"."""
    with slurm_cluster() as environment:
        bench = Bench(tmp_path_factory.mktemp("slurm") / "bench", environment)
        bench.open_gate()
        code, text = ended(bench.run("alone", "inline"))
        assert code == 0, text
        yield bench


def call(bench: Bench, *words: str) -> str:
    return subprocess.run(words, env=bench.environment, capture_output=True, text=True, check=True).stdout


def jobs(bench: Bench) -> list[str]:
    """Numbers of the jobs that run or are on their way out, as in 7_0."""
    return call(bench, "squeue", "--noheader", "--states=RUNNING,COMPLETING", "--format=%i").split()


@pytest.mark.cluster
def test_a_cancelled_job_costs_its_trial_and_the_next_run_goes_on_with_it(bench: Bench) -> None:
    """Two workers, three trials; one worker is cancelled between the first and the second epoch of its trial."""
    bench.close_gate()
    run = bench.run("cancelled", "slurm", "--workers", "2", "--time", "10")
    wait_for(lambda: len(bench.at_gate("cancelled")) == 2, "two trials with a checkpoint")
    call(bench, "scancel", jobs(bench)[0])
    wait_for(lambda: len(jobs(bench)) == 1, "the job to go")
    bench.open_gate()
    code, text = ended(run)
    assert code == 1, text
    status = bench.status("cancelled")
    (line,), (problem,) = status["methods"], status["problems"]
    assert (line["done"], line["failed"], line["running"]) == (2, 1, 0)
    assert re.fullmatch(r"job array \d+ ended before it did \(cancelled, or out of time\)", problem["reason"])
    assert problem["reason"] in text
    code, text = ended(bench.run("cancelled", "slurm", "--workers", "2", "--time", "10"))
    assert code == 0, text
    assert "2 finished before, 1 to run" in text
    assert bench.resumed("cancelled") == 1
    assert bench.results("cancelled") == bench.results("alone")


@pytest.mark.cluster
def test_at_its_time_limit_a_worker_is_requeued_and_goes_on_from_the_checkpoint(bench: Bench) -> None:
    """Slurm sends the signal that precedes the limit; one worker, so that the requeued one has to do everything."""
    bench.close_gate()
    run = bench.run("requeued", "slurm", "--workers", "1", "--time", "10", "--partition", "main", seeds=2)
    wait_for(lambda: bench.at_gate("requeued"), "a trial with a checkpoint")
    (job,) = jobs(bench)
    call(bench, "scancel", "--signal=USR2", job)
    wait_for(lambda: "Restarts=1" in call(bench, "scontrol", "show", "job", job), "the job to be requeued")
    bench.open_gate()
    code, text = ended(run)
    assert code == 0, text
    assert bench.resumed("requeued") == 1
    alone, requeued = bench.results("alone"), bench.results("requeued")
    assert len(bench.trials("requeued")) == 2
    assert requeued == {name: alone[name] for name in requeued}


@pytest.mark.cluster
def test_sbatchs_refusal_is_one_line(bench: Bench) -> None:
    code, text = ended(bench.run("refused", "slurm", "--workers", "1", "--partition", "nosuch"))
    assert code == 2, text
    assert "fernoise-bench: --engine slurm: not submitted (" in text
    assert "invalid partition" in text
    assert not bench.trials("refused")


# --- without one


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(BadInput, match=r"pip install 'fernoise-bench\[slurm\]'"):
        run_slurm([toy_trial("supervised", tmp_path / "out")], ignore, EngineOptions("slurm"), ignore)
    assert not (tmp_path / "out").exists()


def test_a_trial_is_taken_once_and_kept_over_a_requeue(tmp_path: Path) -> None:
    assert claim(tmp_path, "a", "worker-0")
    assert not claim(tmp_path, "a", "worker-1")
    assert claim(tmp_path, "a", "worker-0"), "the same worker in its next life"
    mark_ended(tmp_path, "a")
    assert not claim(tmp_path, "a", "worker-0"), "ended, though it may have failed"
    assert claim(tmp_path, "b", "worker-1")


def test_a_worker_leaves_a_trial_whose_teacher_another_trains_for_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = ("distillation", "supervised")
    trials = [toy_trial(name, tmp_path, kind="multi", seed=seed) for seed in (0, 1) for name in names]
    first, plain, second, _ = [(str(number), trial) for number, trial in enumerate(trials)]
    again = ("again", toy_trial("distillation", tmp_path, kind="multi"))
    assert claim(tmp_path, first[0], "worker-1-0"), "another process trains it, and its teacher"
    order: list[str] = []

    def run(remote_trial: Any, *_: Any) -> dict[str, str]:
        order.append(remote_trial[0])
        return {"state": "done"}

    monkeypatch.setattr(module, "run_remote", run)
    monkeypatch.setattr(module, "import_extra", lambda *_: None)
    Worker((first, again, plain, second), tmp_path, number=0, workers=2)._run_all()
    assert order == [plain[0], second[0], again[0]]
    assert claim(tmp_path, "mine", "worker-0-0")
    Worker((plain, ("free", trials[3]), ("mine", trials[3])), tmp_path, number=0, workers=2)._run_all()
    assert order[3:] == ["mine", "free"], "what it had when it was requeued comes first"


def test_a_worker_that_gets_nowhere_is_not_requeued_for_ever(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    helpers = SimpleNamespace(DelayedSubmission=lambda worker: worker)
    monkeypatch.setattr(module, "import_extra", lambda *_: SimpleNamespace(helpers=helpers))
    log, worker = EventLog(tmp_path), Worker((), tmp_path, number=0, workers=1)
    lives = 0
    while (following := worker.checkpoint()) is not None:
        worker, lives = following, lives + 1
        if lives == 2:
            log.send(worker.process_name, "a", {"epoch": 1})
    assert lives == 2 + 1 + module.MOST_IDLE
    assert worker.idle == module.MOST_IDLE


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90", 90), ("0:30", 1), ("4:00:00", 240), ("1-0", 1440), ("2-12:00", 3600), ("1-0:0:1", 1441), ("10:00", 10)],
)
def test_time_limits_are_slurms(text: str, minutes: int) -> None:
    assert minutes_of(text) == minutes


@pytest.mark.parametrize("text", ["", "two hours", "1:2:3:4", "-5", "1.5", "4h", "0", "0:0:0"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="--time"):
        minutes_of(text)


def test_workers_that_share_a_gpu_share_a_job() -> None:
    options = EngineOptions(
        "slurm", workers=8, gpus_per_trial=0.25, partition="gpu", time="4:00:00", sbatch=("account=lab",)
    )
    wanted: dict[str, Any] = job_parameters(options, jobs=2)
    assert (wanted["ntasks_per_node"], wanted["gpus_per_node"], wanted["array_parallelism"]) == (4, 1, 2)
    assert (wanted["partition"], wanted["time"], wanted["signal_delay_s"]) == ("gpu", 240, 90)
    assert wanted["additional_parameters"] == {"requeue": True, "account": "lab"}
    alone = job_parameters(EngineOptions("slurm", time="1"), jobs=1)
    assert (alone["ntasks_per_node"], alone["signal_delay_s"]) == (1, 15)
    assert not {"partition", "gpus_per_node"} & set(alone)


@pytest.mark.parametrize(
    ("code", "out", "err", "alive"),
    [
        (0, "RUNNING\nCOMPLETED\n", "", True),
        (0, "PENDING\n", "", True),
        (0, "CANCELLED\nCOMPLETED\n", "", False),
        (0, "", "", False),
        (1, "", "slurm_load_jobs error: Invalid job id specified", False),
        (1, "", "slurm_load_jobs error: Unable to contact slurm controller", True),
    ],
)
def test_an_array_is_over_when_no_job_of_it_is_left(
    code: int, out: str, err: str, alive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = SimpleNamespace(returncode=code, stdout=out, stderr=err)
    monkeypatch.setattr(subprocess, "run", lambda *words, **options: answer)
    assert module._is_alive("7") is alive


def test_further_options_of_sbatch_are_pairs() -> None:
    assert sbatch_options(("account=lab", "--mem=16G", "comment=a=b")) == {
        "account": "lab",
        "mem": "16G",
        "comment": "a=b",
    }
    with pytest.raises(BadInput, match="--slurm account: write NAME=VALUE"):
        sbatch_options(("account",))
