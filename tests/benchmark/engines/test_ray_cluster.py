"""Trials on a real Ray cluster of two nodes, one of which is killed in mid-run; and what needs no cluster."""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fernoise_bench.benchmark.engines.options import EngineOptions
from fernoise_bench.benchmark.engines.ray_cluster import _Scheduler, run_ray
from fernoise_bench.benchmark.engines.remote import EventLog, RemoteTrial
from fernoise_bench.protocols.errors import BadInput

from ...toy import ignore, toy_trial
from ..clusters import Bench, RayCluster, ended, free_port, ray_cluster, wait_for


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, cluster: RayCluster) -> Bench:
    """What one process makes of the same trials is in the folder "alone"."""
    bench = Bench(tmp_path_factory.mktemp("ray") / "bench", cluster.environment)
    bench.open_gate()
    code, text = ended(bench.run("alone", "inline"))
    assert code == 0, text
    return bench


@pytest.mark.cluster
def test_a_killed_nodes_trial_goes_on_elsewhere(bench: Bench, cluster: RayCluster) -> None:
    """Two nodes of one CPU, three trials; a node is killed between the first and the second epoch of its trial."""
    second = cluster.start_node()
    bench.close_gate()
    run = bench.run("killed", "ray", "--address", cluster.address)
    wait_for(lambda: len(bench.at_gate("killed")) == 2, "two trials with a checkpoint")
    cluster.kill(second)
    bench.open_gate()
    code, text = ended(run)
    assert code == 0, text
    assert "its worker or machine died" in text
    assert "it is continued on another from its last checkpoint" in text
    assert bench.resumed("killed") == 1
    assert bench.results("killed") == bench.results("alone")
    (line,) = bench.status("killed")["methods"]
    assert (line["done"], line["failed"], line["running"], line["epochs"]) == (3, 0, 0, 9)
    assert not list((bench.folder / "killed").glob("ray-*")), "what carried the events is gone"


@pytest.mark.cluster
def test_without_retries_the_status_tells_and_the_next_run_goes_on(bench: Bench, cluster: RayCluster) -> None:
    second = cluster.start_node()
    bench.close_gate()
    run = bench.run("failed", "ray", "--address", cluster.address, "--retries", "0")
    wait_for(lambda: len(bench.at_gate("failed")) == 2, "two trials with a checkpoint")
    cluster.kill(second)
    bench.open_gate()
    code, text = ended(run)
    assert code == 1, text
    status = bench.status("failed")
    (line,), (problem,) = status["methods"], status["problems"]
    assert (line["done"], line["failed"]) == (2, 1)
    assert problem["reason"].startswith("its worker or machine died (")
    code, text = ended(bench.run("failed", "ray", "--address", cluster.address))
    assert code == 0, text
    assert "2 finished before, 1 to run" in text
    assert bench.resumed("failed") == 1
    assert bench.results("failed") == bench.results("alone")


class Asked:
    """A ray module that keeps what it is asked for."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        self.submitted: list[str] = []

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 4}

    def remote(self, **options: Any) -> Callable[[Any], Any]:
        self.options = options
        return lambda function: SimpleNamespace(remote=self._submit)

    def _submit(self, remote_trial: RemoteTrial, *rest: Any) -> int:
        self.submitted.append(remote_trial[0])
        return len(self.submitted)


@pytest.mark.parametrize(("share", "calls"), [(0.0, 0), (0.25, 1), (1.0, 1)])
def test_a_process_with_a_gpu_runs_one_trial(share: float, calls: int, tmp_path: Path) -> None:
    """Ray would give its next trial another GPU, and torch would stay on the first; 0 is Ray's "any number"."""
    ray, trial = Asked(), toy_trial("supervised", tmp_path)
    options = EngineOptions("ray", gpus_per_trial=share)
    _Scheduler(ray, options, ignore, EventLog(tmp_path), deque([trial]))._submit(trial, attempt=0)
    assert ray.options == {"num_cpus": 1, "num_gpus": share, "max_retries": 0, "max_calls": calls}
    assert ray.submitted == [trial.id]


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BadInput, match=r"pip install 'fernoise-bench\[ray\]'"):
        run_ray([toy_trial("supervised", tmp_path / "out")], ignore, EngineOptions("ray"), ignore)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("address", "reason"),
    [("127.0.0.1:{free}", "Connection refused"), ("head-node", "it is not host:port"), ("[::", "it is not host:port")],
)
def test_an_address_where_nobody_listens_is_refused_at_once(
    address: str, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    typed = address.format(free=free_port())
    with pytest.raises(BadInput, match=re.escape(f"--address {typed}: no Ray cluster there ({reason})")):
        run_ray([toy_trial("supervised", tmp_path / "out")], ignore, EngineOptions("ray", address=typed), ignore)
    assert not (tmp_path / "out").exists()
