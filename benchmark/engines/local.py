"""Where trials run: in this process, or in a pool of processes. The results are the same bytes."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from ...protocols.processes import follow_parent
from ..training.runner import WorkerContext, ended, run_trial
from ..trial import Trial
from .signals import Stopped, signals_blocked

Event = Mapping[str, Any]
Listen = Callable[[Trial, Event], None]


def never() -> bool:
    """Nobody asks this run to stop."""
    return False


def run_inline(
    trials: Sequence[Trial], listen: Listen, context: WorkerContext, stop: Callable[[], bool] = never
) -> None:
    """One trial after the other in this process.

    Raises:
        Stopped: `stop` said so; what was running has just been saved.
    """

    def hear(trial: Trial, event: Event) -> None:
        listen(trial, event)
        if _at_rest(event) and stop():
            raise Stopped

    for trial in trials:
        listen(trial, {"started": True})
        status = run_trial(trial, context, lambda event, trial=trial: hear(trial, event))  # type: ignore[misc]
        hear(trial, {"status": status})


def _at_rest(event: Event) -> bool:
    """Whether everything is on disk when an event comes: an epoch's checkpoint, or a trial's end."""
    return "epoch" in event or "status" in event


def run_local(trials: Sequence[Trial], listen: Listen, workers: int, stop: Callable[[], bool] = never) -> None:
    """A pool of processes that each take trials; a worker that dies costs only its trial.

    Neighbouring trials share a cell's data, so each free worker takes the next trial in order.

    Raises:
        Stopped: `stop` said so; each worker was ended when its trial had just been saved.
    """
    waiting = list(reversed(trials))
    pool = [_Worker(workers) for _ in range(min(workers, len(trials)))]
    try:
        for worker in pool:
            worker.give(waiting, listen)
        while any(worker.trial for worker in pool):
            ready = wait([worker.pipe for worker in pool if worker.trial])
            for worker in [worker for worker in pool if worker.pipe in ready]:
                event = _hear(worker, listen)
                if stop():
                    if _at_rest(event):
                        worker.stop()
                elif worker.trial is None:
                    worker.give(waiting, listen)
        if stop():
            raise Stopped
    finally:
        for worker in pool:
            worker.stop()


def _hear(worker: _Worker, listen: Listen) -> Event:
    """Passes on one event of a worker; writes down the trial of a worker that died, and replaces the worker."""
    trial = worker.trial
    assert trial is not None  # only workers that have one are waited for
    try:
        event: Event = worker.pipe.recv()
    except (EOFError, OSError):
        reason = worker.how_it_died()
        event = {"status": ended(trial, "failed", f"the worker process died ({reason})")}
        worker.restart()
    listen(trial, event)
    if "status" in event:
        worker.trial = None
    return event


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
        with signals_blocked():
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
        self.trial = None
        self.process.kill()
        self.process.join(timeout=10)
        self.pipe.close()


def _work(pipe: Connection, workers: int) -> None:
    """A worker's life: trials in, events out, until the pipe closes."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # stopping is the parent's business; it ends its workers
    follow_parent()
    context = WorkerContext(engine="local", workers=workers)
    while True:
        try:
            trial: Trial = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            status = run_trial(trial, context, lambda event: pipe.send(dict(event)))
        except OSError as error:  # not even the failure could be written down
            status = {"state": "failed", "reason": f"{error.strerror or error}", "seconds": None}
        pipe.send({"status": dict(status)})
