"""Trials on a Slurm cluster: an array of workers that each take many. Needs the extra `[slurm]` (submitit)."""

from __future__ import annotations

import importlib
import math
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...protocols.errors import BadInput
from ..training.runner import WorkerContext
from ..trial import Trial
from .local import Listen, never
from .remote import EventLog, RemoteTrial, lost, pack, run_remote
from .signals import Stopped

POLL_SECONDS = 1.0
QUEUE_SECONDS = 10.0  # between questions to the controller, which all users of a cluster share
REQUEUES = 1000  # a worker that makes progress may be requeued as often as the trials need
IDLE_LIVES = 3  # allocations in a row without a finished epoch after which a worker gives up
SIGNAL_SECONDS = 90  # before the time limit a worker is told to requeue
OVER = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "REVOKED"),
    *("SPECIAL_EXIT", "TIMEOUT"),
}
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<a>\d+)(?::(?P<b>\d+))?(?::(?P<c>\d+))?")


@dataclass(frozen=True)
class SlurmPlace:
    """What the workers ask the cluster for.

    Attributes:
        workers: processes that take trials.
        gpus_per_trial: share of a GPU each of them has; 0: none.
        partition: or None for the cluster's default.
        minutes: time limit of an allocation; a worker that reaches it is requeued.
        options: any other option of sbatch by its long name, such as account or mem; they win over the above.
    """

    workers: int = 1
    gpus_per_trial: float = 0.0
    partition: str | None = None
    minutes: int = 60
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def tasks(self) -> int:
        """Worker processes of one job of the array: as many as share its GPU."""
        return math.floor(1 / self.gpus_per_trial) if self.gpus_per_trial else 1

    def parameters(self, jobs: int) -> dict[str, Any]:
        """Submitit's parameters for an array of so many jobs."""
        wanted = {
            "job_name": "fernoise-bench",
            "partition": self.partition,
            "time": self.minutes,
            "ntasks_per_node": self.tasks,
            "gpus_per_node": 1 if self.gpus_per_trial else None,
            "array_parallelism": jobs,
            "signal_delay_s": min(SIGNAL_SECONDS, 15 * self.minutes),  # Slurm may be a minute early
            "additional_parameters": {"requeue": True, **self.options},
        }
        return {name: value for name, value in wanted.items() if value is not None}


def run_slurm(
    trials: Sequence[Trial],
    listen: Listen,
    place: SlurmPlace,
    say: Callable[[str], None],
    stop: Callable[[], bool] = never,
) -> None:
    """Submits an array of workers and listens until the trials are done or no worker is left.

    A worker is no child of this process: where that dies, the array goes on, and what it leaves is in the output folder
    as after any engine.

    Raises:
        BadInput: the extra or Slurm is missing, or sbatch refuses.
        Stopped: `stop` said so; what was running has just been saved.
    """
    out = trials[0].job.out.absolute()
    submitit = _submitit()
    out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir=out))
    job = _submit(submitit, trials, place, folder)
    say(f"job array {job} submitted; logs in {folder}; scancel {job} ends it")
    try:
        _follow(trials, listen, folder, job, stop)
    except KeyboardInterrupt:
        subprocess.run(["scancel", job], check=False)
        raise


def _submitit() -> Any:
    try:
        return importlib.import_module("submitit")
    except ImportError as error:
        raise BadInput(
            "--engine slurm needs submitit, which is not installed: pip install 'fernoise-bench[slurm]'"
        ) from error


def _submit(submitit: Any, trials: Sequence[Trial], place: SlurmPlace, folder: Path) -> str:
    """Submits the array; its job number."""
    jobs = math.ceil(min(place.workers, len(trials)) / place.tasks)
    remote_trials = tuple(pack(trial) for trial in trials)
    try:
        executor = submitit.SlurmExecutor(folder / "log", max_num_timeout=REQUEUES)
        executor.update_parameters(**place.parameters(jobs))
        with executor.batch():
            submitted = [
                executor.submit(Worker(remote_trials, folder, number, place.workers)) for number in range(jobs)
            ]
    except (RuntimeError, ValueError, OSError, subprocess.SubprocessError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(f"--engine slurm: not submitted ({reason}); see sinfo and --slurm NAME=VALUE") from error
    number: str = submitted[0].job_id.partition("_")[0]
    return number


def _follow(trials: Sequence[Trial], listen: Listen, folder: Path, job: str, stop: Callable[[], bool]) -> None:
    """Passes on what the workers say; writes down the trials of workers that are gone."""
    log, waiting = EventLog(folder), {trial.id: trial for trial in trials}
    asked, alive = time.monotonic(), True
    while waiting and alive:
        time.sleep(POLL_SECONDS)
        if stop() and not log.stop_asked:
            log.ask_to_stop()
            subprocess.run(["scancel", "--state=PENDING", job], check=False)
        if time.monotonic() - asked > QUEUE_SECONDS:
            alive, asked = _alive(job), time.monotonic()
        for name, event in log.receive():  # after the question, so that no last word is missed
            if name in waiting:
                listen(waiting[name], event)
            if "status" in event:
                waiting.pop(name, None)
    if stop():
        raise Stopped
    for trial in waiting.values():
        listen(trial, {"status": lost(trial, f"job array {job} ended before it did (cancelled, or out of time)")})


def _alive(job: str) -> bool:
    """Whether any job of the array waits or runs; taken for granted while the controller does not answer."""
    asked = ["squeue", "--noheader", "--states=all", "--format=%T", "--jobs", job]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    if found.returncode:
        return "Invalid job id" not in found.stderr  # long over, and forgotten by the controller
    return any(state not in OVER for state in found.stdout.split())


@dataclass
class Worker:
    """A job of the array. Its processes take trials that nobody has taken, in order, until none is left.

    Attributes:
        remote_trials: all trials of the run.
        folder: of the run: what is taken, what has ended, events, Slurm's logs.
        number: of the job in the array; a job that is requeued keeps it, and so goes on with what it had.
        workers: of the run, for the record.
        idle: allocations in a row before this one that finished no epoch.
        before: epochs and trials its first process had finished when this allocation began.
    """

    remote_trials: tuple[RemoteTrial, ...]
    folder: Path
    number: int
    workers: int
    idle: int = 0
    before: int = 0

    def __call__(self) -> None:
        """The life of a process of this job; at the time limit and on preemption it has itself requeued."""
        number = getattr(signal, f"SIG{_submitit().JobEnvironment.USR_SIG}")
        requeue: Any = signal.signal(number, _interrupt)
        try:
            self._take_all()
        except KeyboardInterrupt:
            requeue(number, None)

    def _take_all(self) -> None:
        log, context = EventLog(self.folder), WorkerContext(engine="slurm", workers=self.workers)
        for remote_trial in self.remote_trials:
            if take(self.folder, remote_trial[0], self.me):
                status = run_remote(remote_trial, context, log, self.me)
                if status["state"] == "stopped":
                    return
                log.send(self.me, remote_trial[0], {"status": dict(status)})
                end(self.folder, remote_trial[0])

    @property
    def me(self) -> str:
        """The name of this process, the same after it was requeued."""
        return f"worker-{self.number}-{os.environ.get('SLURM_PROCID', '0')}"

    def checkpoint(self) -> Any:
        """What is requeued, by submitit's convention; None ends a worker that gets nowhere."""
        now = EventLog(self.folder).count(self.me)
        idle = 0 if now > self.before else self.idle + 1
        again = replace(self, idle=idle, before=now)
        return _submitit().helpers.DelayedSubmission(again) if idle <= IDLE_LIVES else None


def _interrupt(signum: int, frame: object) -> None:
    """Out of a trial that has its checkpoint; submitit's own handler leaves by an exception that trials catch."""
    raise KeyboardInterrupt


def take(folder: Path, name: str, me: str) -> bool:
    """Whether a trial is mine to run: nobody had taken it, or I had, in an earlier life, and did not end it.

    Making a link is atomic on network file systems too, also where they cannot lock.
    """
    (folder / "taken").mkdir(parents=True, exist_ok=True)
    link = folder / "taken" / name
    try:
        os.symlink(me, link)
    except FileExistsError:
        return os.readlink(link) == me and not _ended(folder, name).exists()
    return True


def end(folder: Path, name: str) -> None:
    """Marks a trial as ended, however it ended."""
    _ended(folder, name).touch()


def _ended(folder: Path, name: str) -> Path:
    return folder / "taken" / f"{name}.ended"


def minutes_of(text: str) -> int:
    """A time limit as Slurm writes it (minutes, M:S, H:M:S, D-H, D-H:M, D-H:M:S) in whole minutes, rounded up.

    Raises:
        BadInput: anything else, or no time at all.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"--time {text}: write it as Slurm does, as in 90, 4:00:00 or 2-12:00")
    days, a, b, c = (None if part is None else int(part) for part in found.group("days", "a", "b", "c"))
    if days is not None:
        seconds = ((days * 24 + (a or 0)) * 60 + (b or 0)) * 60 + (c or 0)
    elif c is not None:
        seconds = ((a or 0) * 60 + (b or 0)) * 60 + c
    else:
        seconds = (a or 0) * 60 + (b or 0)
    if not seconds:
        raise BadInput(f"--time {text}: a worker needs some time; a minute at least")
    return math.ceil(seconds / 60)
