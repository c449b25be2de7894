"""Where trials run: in this process, or in a pool of processes. The results are the same bytes."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from .runner import Workplace, ended, run_trial
from .trial import Trial

Event = Mapping[str, Any]
Listen = Callable[[Trial, Event], None]


def run_inline(trials: Sequence[Trial], listen: Listen, workplace: Workplace) -> None:
    """One trial after the other in this process."""
    for trial in trials:
        listen(trial, {"started": True})
        status = run_trial(trial, workplace, lambda event, trial=trial: listen(trial, event))  # type: ignore[misc]
        listen(trial, {"status": status})


def run_local(trials: Sequence[Trial], listen: Listen, workers: int) -> None:
    """A pool of processes that each take trials; a worker that dies costs only its trial.

    Neighbouring trials share a cell's data, so each free worker takes the next trial in order.
    """
    waiting = list(reversed(trials))
    pool = [_Worker(workers) for _ in range(min(workers, len(trials)))]
    try:
        for worker in pool:
            worker.give(waiting, listen)
        while any(worker.trial for worker in pool):
            ready = wait([worker.pipe for worker in pool if worker.trial])
            for worker in [worker for worker in pool if worker.pipe in ready]:
                _hear(worker, listen)
                if worker.trial is None:
                    worker.give(waiting, listen)
    finally:
        for worker in pool:
            worker.stop()


def _hear(worker: _Worker, listen: Listen) -> None:
    """Passes on one event of a worker; writes down the trial of a worker that died, and replaces the worker."""
    trial = worker.trial
    if trial is None:
        return
    try:
        event: Event = worker.pipe.recv()
    except (EOFError, OSError):
        reason = worker.how_it_died()
        event = {"status": ended(trial, "failed", f"the worker process died ({reason})")}
        worker.restart()
    listen(trial, event)
    if "status" in event:
        worker.trial = None


@dataclass
class _Worker:
    """A process that runs the trials it is sent, and the trial it has now."""

    workers: int
    trial: Trial | None = None

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe: Connection
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, self.workers), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, waiting: list[Trial], listen: Listen) -> None:
        if not waiting:
            return
        self.trial = waiting.pop()
        try:
            self.pipe.send(self.trial)
        except (BrokenPipeError, OSError):  # it died while it had nothing to do
            self.restart()
            self.pipe.send(self.trial)
        listen(self.trial, {"started": True})

    def how_it_died(self) -> str:
        self.process.join(timeout=10)
        code = self.process.exitcode or 0
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def stop(self) -> None:
        self.process.terminate()
        self.process.join(timeout=10)
        self.pipe.close()


def _work(pipe: Connection, workers: int) -> None:
    """A worker's life: trials in, events out, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; it ends its workers
    workplace = Workplace(engine="local", workers=workers)
    while True:
        try:
            trial: Trial = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            status = run_trial(trial, workplace, lambda event: pipe.send(dict(event)))
        except OSError as error:  # not even the failure could be written down
            status = {"state": "failed", "reason": f"{error.strerror or error}", "seconds": None}
        pipe.send({"status": dict(status)})
