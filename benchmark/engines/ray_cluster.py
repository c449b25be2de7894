"""Runs trials as tasks of a Ray cluster: a running one, or one started on this machine. Needs the extra `[ray]`."""

from __future__ import annotations

import contextlib
import functools
import shutil
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...protocols.errors import BadInput
from ..training.runner import WorkerContext
from ..trial import Trial
from .local import OnEvent, never
from .options import RETRIES, EngineOptions
from .order import next_trial
from .remote import EventLog, RemoteTrial, import_extra, make_run_folder, mark_lost, pack, run_remote
from .signals import Stopped

POLL_SECONDS = 0.5
CONNECT_SECONDS = 10.0
LOCK_SECONDS = 60.0  # how long a further attempt waits for the lock of a worker process that is still ending


def run_ray(
    trials: Sequence[Trial],
    on_event: OnEvent,
    options: EngineOptions,
    notify: Callable[[str], None],
    should_stop: Callable[[], bool] = never,
) -> None:
    """Runs each trial as a task with one CPU and a share of a GPU; a trial whose machine died is continued on another.

    Raises:
        BadInput: the extra is missing, or there is no cluster at the address.
        Stopped: `should_stop` was true; the running trials have been saved.
    """
    with _connected(options) as ray:
        folder = make_run_folder(trials, "ray")
        if options.gpus_per_trial and not ray.cluster_resources().get("GPU"):
            notify("the cluster has no GPU yet; trials wait for one")
        try:
            _Scheduler(ray, options, on_event, EventLog(folder), deque(trials)).run(should_stop)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Scheduler:
    """Submits trials as tasks and collects their results.

    Attributes:
        waiting: trials that are not submitted yet.
        tasks: the trial of each running task, and how often it was attempted before.
    """

    ray: Any
    options: EngineOptions
    on_event: OnEvent
    log: EventLog
    waiting: deque[Trial]
    tasks: dict[Any, tuple[Trial, int]] = field(default_factory=dict)

    def run(self, should_stop: Callable[[], bool]) -> None:
        by_id = {trial.id: trial for trial in self.waiting}
        while self.waiting or self.tasks:
            if should_stop():
                self.log.ask_to_stop()
                self.waiting.clear()
            while self.waiting and len(self.tasks) < (self.options.workers or len(by_id)):
                trial = next_trial(self.waiting, [running for running, _ in self.tasks.values()])
                self.waiting.remove(trial)
                self._submit(trial, attempt=0)
            done, _ = self.ray.wait(list(self.tasks), timeout=POLL_SECONDS) if self.tasks else ([], [])
            for trial_id, event in self.log.receive():
                self.on_event(by_id[trial_id], event)
            for task in done:
                self._collect(task)
        if should_stop():
            raise Stopped

    def _submit(self, trial: Trial, attempt: int) -> None:
        share = self.options.gpus_per_trial
        # a process keeps the GPU of its first trial, whichever a later one is given: with GPUs, one trial a process
        remote = self.ray.remote(num_cpus=1, num_gpus=share, max_retries=0, max_calls=1 if share else 0)(_attempt)
        lock_seconds = LOCK_SECONDS if attempt else 0.0
        workers = self.options.workers or int(self.ray.cluster_resources().get("CPU", 1))
        self.tasks[remote.remote(pack(trial), str(self.log.folder), workers, lock_seconds)] = (trial, attempt)

    def _collect(self, task: Any) -> None:
        """Passes on the status of a task that ended, or submits its trial again where the worker or machine died."""
        trial, attempt = self.tasks.pop(task)
        retries = RETRIES if self.options.retries is None else self.options.retries
        try:
            status: Mapping[str, Any] = self.ray.get(task)
        except self.ray.exceptions.RayError as error:
            reason = f"its worker or machine died ({type(error).__name__})"
            if isinstance(error, self.ray.exceptions.RayTaskError):  # an error of the task itself would come again
                status = mark_lost(trial, f"the worker could not run it: {_last_line(error)}")
            elif attempt < retries and not self.log.stop_asked:
                self.on_event(trial, {"warning": f"{reason}; it is continued on another from its last checkpoint"})
                self._submit(trial, attempt + 1)
                return
            else:
                status = mark_lost(trial, reason)
        if status["state"] != "stopped":
            self.on_event(trial, {"status": status})


def _attempt(remote_trial: RemoteTrial, folder: str, workers: int, lock_seconds: float) -> dict[str, Any]:
    """The function of a task: runs a trial, waiting so many seconds while another process has its lock."""
    import ray

    log, worker = EventLog(Path(folder)), ray.get_runtime_context().get_worker_id()
    deadline = time.monotonic() + lock_seconds
    while True:
        status = run_remote(remote_trial, _context(workers), log, worker)
        if status["state"] != "skipped" or time.monotonic() > deadline:
            return dict(status)
        time.sleep(POLL_SECONDS)


@functools.cache
def _context(workers: int) -> WorkerContext:
    """What a worker process keeps from task to task, since neighbouring trials share the data of a cell."""
    return WorkerContext(engine="ray", workers=workers)


@contextlib.contextmanager
def _connected(options: EngineOptions) -> Iterator[Any]:
    """The ray module, connected to a cluster while the block runs."""
    ray = import_extra("ray", "ray")
    if options.address not in (None, "auto"):
        _check_reachable(options.address)
    local = {} if options.address else {"num_cpus": options.workers, "include_dashboard": False}
    try:
        ray.init(address=options.address or "local", log_to_driver=False, logging_level="ERROR", **local)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = f"at --address {options.address}" if options.address else "on this machine"
        raise BadInput(f"--engine ray: no cluster answers {where} ({_last_line(error)}); see ray status") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raises BadInput where nothing listens at host:port; Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        reason = "it is not host:port" if isinstance(error, ValueError) else error.strerror or "no answer"
        raise BadInput(
            f"--address {address}: no Ray cluster there ({reason}); start one (ray start --head), or leave it out"
        ) from error


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
