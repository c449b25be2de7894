"""Trials as tasks of a Ray cluster: a running one, or one of this machine. Needs the extra `[ray]`."""

from __future__ import annotations

import contextlib
import functools
import importlib
import shutil
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...protocols.errors import BadInput
from ..training.runner import WorkerContext
from ..trial import Trial
from .local import Listen, never
from .remote import EventLog, RemoteTrial, lost, pack, run_remote
from .signals import Stopped

POLL_SECONDS = 0.5
KNOCK_SECONDS = 10.0
LOCK_PATIENCE = 60.0  # seconds a trial's next attempt waits for the lock of a worker that is still dying


@dataclass(frozen=True)
class RayPlace:
    """Where and how tasks run.

    Attributes:
        address: of a running cluster ("auto" for the one this machine is part of), or None for one of this machine.
        workers: tasks at a time; None: as many as the cluster has room for.
        gpus_per_trial: share of a GPU each task asks for; 0: none.
        retries: further attempts of a trial whose worker or machine died.
    """

    address: str | None = None
    workers: int | None = None
    gpus_per_trial: float = 0.0
    retries: int = 3


def run_ray(
    trials: Sequence[Trial],
    listen: Listen,
    place: RayPlace,
    say: Callable[[str], None],
    stop: Callable[[], bool] = never,
) -> None:
    """Runs trials as tasks of one CPU and a share of a GPU; one whose machine died goes on elsewhere.

    Raises:
        BadInput: the extra is missing, or no cluster answers at the address.
        Stopped: `stop` said so; what was running has just been saved.
    """
    out = trials[0].job.out.absolute()
    with _connected(place) as ray:
        out.mkdir(parents=True, exist_ok=True)
        if place.gpus_per_trial and not ray.cluster_resources().get("GPU"):
            say("the cluster has no GPU yet; trials wait for one")
        folder = Path(tempfile.mkdtemp(prefix="ray-", dir=out))
        try:
            _Dispatch(ray, place, listen, EventLog(folder), deque(trials)).run(stop)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Dispatch:
    """The trials that wait, and those that are tasks now, with the number of attempts before."""

    ray: Any
    place: RayPlace
    listen: Listen
    log: EventLog
    waiting: deque[Trial]
    tasks: dict[Any, tuple[Trial, int]] = field(default_factory=dict)

    def run(self, stop: Callable[[], bool]) -> None:
        by_id = {trial.id: trial for trial in self.waiting}
        while self.waiting or self.tasks:
            if stop():
                self.log.ask_to_stop()
                self.waiting.clear()
            while self.waiting and len(self.tasks) < (self.place.workers or len(by_id)):
                self._submit(self.waiting.popleft(), attempt=0)
            done, _ = self.ray.wait(list(self.tasks), timeout=POLL_SECONDS) if self.tasks else ([], [])
            for name, event in self.log.receive():
                self.listen(by_id[name], event)
            for task in done:
                self._settle(task)
        if stop():
            raise Stopped

    def _submit(self, trial: Trial, attempt: int) -> None:
        remote = self.ray.remote(_attempt).options(num_cpus=1, num_gpus=self.place.gpus_per_trial, max_retries=0)
        patience = LOCK_PATIENCE if attempt else 0.0
        workers = self.place.workers or int(self.ray.cluster_resources().get("CPU", 1))
        self.tasks[remote.remote(pack(trial), str(self.log.folder), workers, patience)] = (trial, attempt)

    def _settle(self, task: Any) -> None:
        """Passes on a task's status, or has its trial tried again where worker or machine died."""
        trial, attempt = self.tasks.pop(task)
        try:
            status: Mapping[str, Any] = self.ray.get(task)
        except self.ray.exceptions.RayError as error:
            reason = f"its worker or machine died ({type(error).__name__})"
            if isinstance(error, self.ray.exceptions.RayTaskError):  # raised by the task itself, so it would be again
                status = lost(trial, f"the worker could not run it: {_last_line(error)}")
            elif attempt < self.place.retries and not self.log.stop_asked:
                self.listen(trial, {"warning": f"{reason}; it goes on elsewhere from its last checkpoint"})
                self._submit(trial, attempt + 1)
                return
            else:
                status = lost(trial, reason)
        if status["state"] != "stopped":
            self.listen(trial, {"status": status})


def _attempt(remote_trial: RemoteTrial, folder: str, workers: int, patience: float) -> dict[str, Any]:
    """One task: a trial from what is on disk of it to its end."""
    import ray

    log, me = EventLog(Path(folder)), ray.get_runtime_context().get_worker_id()
    deadline = time.monotonic() + patience
    while True:
        status = run_remote(remote_trial, _context(workers), log, me)
        if status["state"] != "skipped" or time.monotonic() > deadline:
            return dict(status)
        time.sleep(POLL_SECONDS)


@functools.cache
def _context(workers: int) -> WorkerContext:
    """What a worker process keeps from task to task: neighbouring trials share a cell's data."""
    return WorkerContext(engine="ray", workers=workers)


@contextlib.contextmanager
def _connected(place: RayPlace) -> Iterator[Any]:
    """The ray module, connected to a cluster for as long as the trials take."""
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise BadInput("--engine ray needs Ray, which is not installed: pip install 'fernoise-bench[ray]'") from error
    if place.address not in (None, "auto"):
        _knock(place.address)
    local = {} if place.address else {"num_cpus": place.workers, "include_dashboard": False}
    try:
        ray.init(address=place.address or "local", log_to_driver=False, logging_level="ERROR", **local)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = f"at --address {place.address}" if place.address else "on this machine"
        raise BadInput(f"--engine ray: no cluster answers {where} ({_last_line(error)}); see ray status") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """BadInput where nobody listens at host:port; Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()
    except (OSError, ValueError) as error:
        reason = "it is not host:port" if isinstance(error, ValueError) else error.strerror or "no answer"
        raise BadInput(
            f"--address {address}: no Ray cluster there ({reason}); start one (ray start --head), or leave it out"
        ) from error


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
