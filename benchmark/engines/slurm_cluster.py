"""Runs trials on a Slurm cluster, by a job array whose workers each take many. Needs the extra `[slurm]` (submitit)."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...protocols.errors import BadInput
from ..training.runner import WorkerContext
from ..trial import Trial
from .local import OnEvent, never
from .options import EngineOptions
from .order import next_trial
from .remote import EventLog, RemoteTrial, import_extra, make_run_folder, mark_lost, pack, run_remote
from .signals import Stopped

POLL_SECONDS = 1.0
QUEUE_SECONDS = 10.0  # between queries of the Slurm controller, which all users of a cluster share
REQUEUES = 1000  # a worker that makes progress may be requeued as often as the trials need
MOST_IDLE = 3  # allocations in a row without a finished epoch after which a worker is not requeued
SIGNAL_SECONDS = 90  # before the time limit a worker gets the signal to requeue
DEFAULT_MINUTES = 60
ENDED_STATES = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "REVOKED"),
    *("SPECIAL_EXIT", "TIMEOUT"),
}
_TIME = re.compile(r"(\d+-)?\d+(:\d+){0,2}")


def tasks_per_job(options: EngineOptions) -> int:
    """Worker processes of one job of the array: as many as share its GPU, else one."""
    return math.floor(1 / options.gpus_per_trial) if options.gpus_per_trial else 1


def job_parameters(options: EngineOptions, jobs: int) -> dict[str, Any]:
    """Submitit's parameters for an array of so many jobs; BadInput for options that cannot be read."""
    minutes = minutes_of(options.time) if options.time else DEFAULT_MINUTES
    parameters = {
        "job_name": "fernoise-bench",
        "partition": options.partition,
        "time": minutes,
        "ntasks_per_node": tasks_per_job(options),
        "gpus_per_node": 1 if options.gpus_per_trial else None,
        "array_parallelism": jobs,
        "signal_delay_s": min(SIGNAL_SECONDS, 15 * minutes),  # Slurm may send it a minute early
        "additional_parameters": {"requeue": True, **sbatch_options(options.sbatch)},
    }
    return {name: value for name, value in parameters.items() if value is not None}


def sbatch_options(options: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE options by name; BadInput for an option of another form."""
    parts = [option.partition("=") for option in options]
    for name, sign, value in parts:
        if not (name and sign and value):
            raise BadInput(f"--slurm {name}{sign}{value}: write NAME=VALUE, as in --slurm account=lab")
    return {name.lstrip("-"): value for name, _, value in parts}


def run_slurm(
    trials: Sequence[Trial],
    on_event: OnEvent,
    options: EngineOptions,
    notify: Callable[[str], None],
    should_stop: Callable[[], bool] = never,
) -> None:
    """Submits an array of workers and passes on their events until the trials are done or no worker is left.

    The array goes on when this process dies; its results are in the output folder, as with any engine.

    Raises:
        BadInput: the extra or Slurm is missing, or sbatch refuses.
        Stopped: `should_stop` was true; the running trials have been saved.
    """
    workers = options.workers or 1
    jobs = math.ceil(min(workers, len(trials)) / tasks_per_job(options))
    parameters = job_parameters(options, jobs)
    submitit = import_extra("submitit", "slurm")
    folder = make_run_folder(trials, "slurm")
    remote_trials = tuple(pack(trial) for trial in trials)
    array = _submit(submitit, parameters, [Worker(remote_trials, folder, number, workers) for number in range(jobs)])
    notify(f"job array {array} submitted; logs in {folder}; scancel {array} ends it")
    try:
        _follow(trials, on_event, folder, array, should_stop)
    except KeyboardInterrupt:
        subprocess.run(["scancel", array], check=False)
        raise


def _submit(submitit: Any, parameters: dict[str, Any], workers: Sequence[Worker]) -> str:
    """Submits one job for each worker as an array, and returns its job number."""
    try:
        executor = submitit.SlurmExecutor(workers[0].folder / "log", max_num_timeout=REQUEUES)
        executor.update_parameters(**parameters)
        with executor.batch():
            submitted = [executor.submit(worker) for worker in workers]
    except (RuntimeError, ValueError, OSError, subprocess.SubprocessError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(f"--engine slurm: not submitted ({reason}); see sinfo and --slurm NAME=VALUE") from error
    array: str = submitted[0].job_id.partition("_")[0]
    return array


def _follow(
    trials: Sequence[Trial], on_event: OnEvent, folder: Path, array: str, should_stop: Callable[[], bool]
) -> None:
    """Passes on the events of the workers, and records as failed the trials of workers that are gone."""
    log, waiting = EventLog(folder), {trial.id: trial for trial in trials}
    queried, alive = time.monotonic(), True
    while waiting and alive:
        time.sleep(POLL_SECONDS)
        if should_stop() and not log.stop_asked:
            log.ask_to_stop()
            subprocess.run(["scancel", "--state=PENDING", array], check=False)
        if time.monotonic() - queried > QUEUE_SECONDS:
            alive, queried = _is_alive(array), time.monotonic()
        for trial_id, event in log.receive():  # after the query, so that the last events of a worker are not missed
            if trial_id in waiting:
                on_event(waiting[trial_id], event)
            if "status" in event:
                waiting.pop(trial_id, None)
    if should_stop():
        raise Stopped
    for trial in waiting.values():
        status = mark_lost(trial, f"job array {array} ended before it did (cancelled, or out of time)")
        on_event(trial, {"status": status})


def _is_alive(array: str) -> bool:
    """Whether any job of the array waits or runs; assumed while the controller does not answer."""
    command = ["squeue", "--noheader", "--states=all", "--format=%T", "--jobs", array]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        return "Invalid job id" not in found.stderr  # the controller forgets jobs that ended long ago
    return any(state not in ENDED_STATES for state in found.stdout.split())


@dataclass
class Worker:
    """A job of the array. Its processes run trials that no other process has claimed until none is left.

    Attributes:
        remote_trials: all trials of the run.
        folder: of the run: claims, ended trials, events, Slurm's logs.
        number: of the job in the array; a requeued job keeps it, and so continues the trials it has claimed.
        workers: of the run, for the record.
        idle: allocations in a row, before this one, in which no epoch was finished.
        before: epochs and trials that its first process had finished when this allocation began.
    """

    remote_trials: tuple[RemoteTrial, ...]
    folder: Path
    number: int
    workers: int
    idle: int = 0
    before: int = 0

    def __call__(self) -> None:
        """Runs trials in one process of this job; at the time limit and on preemption, has the job requeued."""
        number = getattr(signal, f"SIG{import_extra('submitit', 'slurm').JobEnvironment.USR_SIG}")
        requeue: Any = signal.signal(number, _interrupt)
        try:
            self._run_all()
        except KeyboardInterrupt:
            requeue(number, None)

    def _run_all(self) -> None:
        log, context = EventLog(self.folder), WorkerContext(engine="slurm", workers=self.workers)
        while remote_trial := self._next():
            if claim(self.folder, remote_trial[0], self.process_name):
                status = run_remote(remote_trial, context, log, self.process_name)
                if status["state"] == "stopped":
                    return
                log.send(self.process_name, remote_trial[0], {"status": dict(status)})
                mark_ended(self.folder, remote_trial[0])

    def _next(self) -> RemoteTrial | None:
        """The trial to claim next: one that this process has, else as any engine chooses; None where none is left."""
        owners = {trial_id: owner_of(self.folder, trial_id) for trial_id, _ in self.remote_trials}
        left = [each for each in self.remote_trials if not _end_mark(self.folder, each[0]).exists()]
        free = [each for each in left if owners[each[0]] == self.process_name]
        free = free or [each for each in left if owners[each[0]] is None]
        if not free:
            return None
        elsewhere = [trial for trial_id, trial in left if owners[trial_id] not in (None, self.process_name)]
        chosen = next_trial([trial for _, trial in free], elsewhere)
        return next(each for each in free if each[1] is chosen)

    @property
    def process_name(self) -> str:
        """The name of this process, which stays the same when its job is requeued."""
        return f"worker-{self.number}-{os.environ.get('SLURM_PROCID', '0')}"

    def checkpoint(self) -> Any:
        """What submitit requeues, by its convention; None, which ends the job, after too many idle allocations."""
        now = EventLog(self.folder).count(self.process_name)
        idle = 0 if now > self.before else self.idle + 1
        again = replace(self, idle=idle, before=now)
        return import_extra("submitit", "slurm").helpers.DelayedSubmission(again) if idle <= MOST_IDLE else None


def _interrupt(signum: int, frame: object) -> None:
    """Leaves a trial, which has its checkpoint; trials would catch the exception that submitit's own handler raises."""
    raise KeyboardInterrupt


def claim(folder: Path, trial_id: str, process: str) -> bool:
    """Claims a trial for a process; False where another process has it, or where it has ended.

    A process may claim a trial again when its job was requeued. Making a link is atomic on network file systems too,
    also on those without locks.
    """
    (folder / "taken").mkdir(parents=True, exist_ok=True)
    link = folder / "taken" / trial_id
    try:
        os.symlink(process, link)
    except FileExistsError:
        return owner_of(folder, trial_id) == process and not _end_mark(folder, trial_id).exists()
    return True


def owner_of(folder: Path, trial_id: str) -> str | None:
    """The process that has claimed a trial, None where nobody has."""
    try:
        return os.readlink(folder / "taken" / trial_id)
    except FileNotFoundError:
        return None


def mark_ended(folder: Path, trial_id: str) -> None:
    """Marks a trial as ended, whatever its state."""
    _end_mark(folder, trial_id).touch()


def _end_mark(folder: Path, trial_id: str) -> Path:
    return folder / "taken" / f"{trial_id}.ended"


def minutes_of(text: str) -> int:
    """Whole minutes, rounded up, of a time limit as Slurm writes it: minutes, M:S, H:M:S, D-H, D-H:M or D-H:M:S.

    Raises:
        BadInput: another form, or no time at all.
    """
    if not _TIME.fullmatch(text.strip()):
        raise BadInput(f"--time {text}: write it as Slurm does, as in 90, 4:00:00 or 2-12:00")
    days, _, clock = text.strip().rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    units = (3600, 60, 1) if days or len(parts) == 3 else (60, 1)
    seconds = 86_400 * int(days or 0) + sum(unit * part for unit, part in zip(units, parts, strict=False))
    if not seconds:
        raise BadInput(f"--time {text}: give at least one minute")
    return math.ceil(seconds / 60)
