"""Runs trials in this process or in a pool of processes. On a CPU the results are the same to the last byte."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from ...protocols.activity import heard
from ...protocols.processes import follow_parent
from ..settings import visible_gpus
from ..training.runner import WorkerContext, ended, run_trial
from ..training.trainer import Report
from ..trial import Trial
from .order import next_trial
from .signals import Stopped, signals_blocked

Event = Mapping[str, Any]
"""What a trial reports: {"started": True}, {"doing": text} ("" when that has ended), an epoch's numbers, a
{"warning": text}, or the final {"status": {…}}.

A worker adds "spoiled" where its process can run no other trial, and sends {"no_place": …}, the arguments of an
OSError, where the output folder cannot be written.
"""
OnEvent = Callable[[Trial, Event], None]


def never() -> bool:
    """For runs that are never asked to stop."""
    return False


def run_inline(
    trials: Sequence[Trial], on_event: OnEvent, context: WorkerContext, should_stop: Callable[[], bool] = never
) -> None:
    """Runs trials one after the other in this process.

    Raises:
        Stopped: `should_stop` was true; the running trial has been saved.
    """

    def pass_on(trial: Trial, event: Event) -> None:
        on_event(trial, event)
        if _is_saved(event) and should_stop():
            raise Stopped

    for trial in trials:
        on_event(trial, {"started": True})
        with heard(lambda what, trial=trial: on_event(trial, {"doing": what})):  # type: ignore[misc]
            status = run_trial(trial, context, lambda event, trial=trial: pass_on(trial, event))  # type: ignore[misc]
        pass_on(trial, {"status": status})


def run_or_report(trial: Trial, context: WorkerContext, report: Report) -> Mapping[str, Any]:
    """`run_trial`, with a failed status where the output folder cannot be written, not even for that status."""
    try:
        return run_trial(trial, context, report)
    except OSError as error:
        return failed(f"{error.strerror or error}")


def failed(reason: str) -> Mapping[str, Any]:
    """The status of a failed trial, which is not written to the output folder."""
    return {"state": "failed", "reason": reason, "seconds": None}


def _is_saved(event: Event) -> bool:
    """Whether the trial is saved up to this event: an epoch with its checkpoint, or the trial's end."""
    return "epoch" in event or "status" in event


def run_local(
    trials: Sequence[Trial], on_event: OnEvent, workers: int, should_stop: Callable[[], bool] = never
) -> None:
    """Runs trials in a pool of processes; where a worker process dies, only its trial fails.

    Each free worker takes the next trial in order, since neighbours share the data of a cell, but for those that would
    wait for a teacher. With several GPUs each worker has one, by turns.

    Raises:
        OSError: the output folder cannot be written.
        Stopped: `should_stop` was true; each worker was ended after its trial had been saved.
    """
    waiting = list(trials)
    gpus = visible_gpus() if trials[0].job.settings.device == "cuda" else ()
    pool = [_Worker(workers, gpus[n % len(gpus)] if gpus else None) for n in range(min(workers, len(trials)))]

    def start_next(worker: _Worker) -> None:
        if waiting:
            trial = next_trial(waiting, [other.trial for other in pool if other.trial])
            waiting.remove(trial)
            worker.start(trial, on_event)

    try:
        for worker in pool:
            start_next(worker)
        while any(worker.trial for worker in pool):
            ready = wait([worker.pipe for worker in pool if worker.trial])
            for worker in [worker for worker in pool if worker.pipe in ready]:
                event = _receive(worker, on_event)
                if should_stop():
                    if _is_saved(event):
                        worker.stop()
                elif worker.trial is None:
                    start_next(worker)
        if should_stop():
            raise Stopped
    finally:
        for worker in pool:
            worker.stop()


def _receive(worker: _Worker, on_event: OnEvent) -> Event:
    """Passes on the next event of a worker; a worker that died is replaced, and its trial recorded as failed."""
    trial = worker.trial
    assert trial is not None  # only workers with a trial are waited for
    try:
        event: Event = worker.pipe.recv()
    except (EOFError, OSError):
        reason = worker.exit_reason()
        event = {"status": ended(trial, "failed", f"the worker process died ({reason})")}
        worker.start_process()
    if "no_place" in event:
        raise OSError(*event["no_place"])
    if event.get("spoiled"):
        worker.start_process()
    on_event(trial, event)
    if "status" in event:
        worker.trial = None
    return event


@dataclass
class _Worker:
    """A process that runs the trials sent to it, one at a time.

    Attributes:
        workers: size of the pool, for the record.
        gpu: the one that it uses, as CUDA_VISIBLE_DEVICES names it; None: what all may use.
        trial: the one that it runs now.
    """

    workers: int
    gpu: str | None = None
    trial: Trial | None = None

    def __post_init__(self) -> None:
        self.start_process()

    def start_process(self) -> None:
        """Starts a process, in the place of an earlier one, which is ended."""
        if hasattr(self, "process"):
            self._end()
        context = multiprocessing.get_context("spawn")
        self.pipe: Connection
        self.pipe, other_end = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(other_end, self.workers, self.gpu), daemon=True)
        with signals_blocked():
            self.process.start()
        other_end.close()

    def start(self, trial: Trial, on_event: OnEvent) -> None:
        """Sends a trial to the process."""
        self.trial = trial
        try:
            self.pipe.send(self.trial)
        except (BrokenPipeError, OSError):  # the process died while it was idle
            self.start_process()
            self.pipe.send(self.trial)
        on_event(trial, {"started": True})

    def exit_reason(self) -> str:
        self.process.join(timeout=10)
        code = self.process.exitcode or 0
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def stop(self) -> None:
        self.trial = None
        self._end()

    def _end(self) -> None:
        self.process.kill()
        self.process.join(timeout=10)
        self.pipe.close()


def _work(pipe: Connection, workers: int, gpu: str | None) -> None:
    """The main function of a worker process: receives trials and sends their events until the pipe closes."""
    if gpu is not None:  # read when torch first asks for a GPU, which is later
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the parent handles it, and ends its workers
    follow_parent()
    context = WorkerContext(engine="local", workers=workers)
    while True:
        try:
            trial: Trial = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            with heard(lambda what: pipe.send({"doing": what})):
                status = run_trial(trial, context, lambda event: pipe.send(dict(event)))
        except OSError as error:
            pipe.send({"no_place": (error.errno, error.strerror or str(error), error.filename)})
            return
        pipe.send({"status": dict(status), "spoiled": context.spoiled})
        if context.spoiled:  # its parent starts another
            return
