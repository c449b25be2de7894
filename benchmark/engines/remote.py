"""What engines share whose trials run in other processes, on other machines: trials that travel, events that return.

Machines see the same output folder and the same data. Events go through files of the output folder, so nothing has to
be open between the machines, and nothing is lost with the one that asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...protocols.locks import FolderLock
from ..training.runner import WorkerContext, ended, run_trial
from ..trial import Trial
from ..trial_state import FINISHED, outcome, state_of
from .signals import Stopped

STOP = "stop"
STOPPED = {"state": "stopped", "reason": "the run was asked to stop"}

Event = Mapping[str, Any]
Listen = Callable[[Trial, Event], None]
RemoteTrial = tuple[str, Trial]
"""A trial with the id it has where it was asked for."""


def pack(trial: Trial) -> RemoteTrial:
    """A trial that can be run from any folder of another machine: its places are absolute."""
    job = trial.job
    weights = str(Path(job.weights).absolute()) if Path(job.weights).is_file() else job.weights
    placed = replace(job, out=job.out.absolute(), data_root=job.data_root.absolute(), weights=weights)
    return trial.id, replace(trial, job=placed)


def run_remote(remote_trial: RemoteTrial, context: WorkerContext, log: EventLog, worker: str) -> Mapping[str, Any]:
    """Runs a trial that came from another machine, and posts its events.

    Returns:
        Its status, also where not even a failure could be written down; state "stopped" where the run was asked to
        stop before the trial began, or when its last epoch had just been saved.
    """
    expected, trial = remote_trial
    if log.stop_asked:  # before it began
        return dict(STOPPED)

    def report(event: Event) -> None:
        log.send(worker, expected, event)
        if "epoch" in event and log.stop_asked:
            raise Stopped

    if trial.id != expected:
        return _failed("this machine has another version of fernoise-bench or of the method; install the same one")
    log.send(worker, expected, {"started": True})
    try:
        return run_trial(trial, context, report)
    except Stopped:
        return dict(STOPPED)
    except OSError as error:
        return _failed(f"{error.strerror or error}")


def lost(trial: Trial, reason: str) -> Mapping[str, Any]:
    """Writes down a trial whose worker is gone, unless it finished or somebody still has it; its checkpoint stays."""
    if not trial.folder.is_dir():
        return {"state": "not run", "reason": reason}
    with FolderLock(trial.folder) as acquired:
        if acquired and state_of(trial) not in FINISHED:
            return ended(trial, "failed", reason)
    return outcome(trial)


def _failed(reason: str) -> Mapping[str, Any]:
    return {"state": "failed", "reason": reason, "seconds": None}


@dataclass
class EventLog:
    """Events from workers to the one who listens: a file a worker, which only that worker appends to.

    Attributes:
        folder: seen by all machines; made when something is sent.
    """

    folder: Path
    _read: dict[Path, int] = field(default_factory=dict)

    def send(self, worker: str, trial_id: str, event: Event) -> None:
        """Appends an event; the file is closed each time, so that network file systems show it to others."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{worker}.jsonl").open("a") as file:
            file.write(json.dumps({"trial": trial_id, **event}) + "\n")

    def ask_to_stop(self) -> None:
        """Has every worker stop after the epoch it is in."""
        (self.folder / STOP).touch()

    @property
    def stop_asked(self) -> bool:
        """Whether the run was asked to stop."""
        return (self.folder / STOP).exists()

    def count(self, worker: str) -> int:
        """The epochs and trials a worker has finished."""
        path = self.folder / f"{worker}.jsonl"
        lines = path.read_text().splitlines() if path.is_file() else []
        return sum('"epoch"' in line or '"status"' in line for line in lines)

    def receive(self) -> Iterator[tuple[str, Event]]:
        """The (trial id, event) pairs that came since the last call, in each worker's order."""
        for path in sorted(self.folder.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                for line in file:
                    if not line.endswith(b"\n"):  # being written, or cut off by a kill
                        break
                    self._read[path] = self._read.get(path, 0) + len(line)
                    event = json.loads(line)
                    yield event.pop("trial"), event
