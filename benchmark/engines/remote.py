"""What the cluster engines share: trials that are sent to other machines, and events that come back.

All machines see the same output folder and the same data. Events are passed through files in the output folder, so no
network connection has to stay open, and nothing is lost when the process that started the run dies.
"""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...protocols.errors import BadInput
from ...protocols.locks import FolderLock
from ..training.runner import WorkerContext, ended
from ..trial import Trial
from ..trial_state import FINISHED, outcome, state_of
from .local import Event, failed, run_or_report
from .signals import Stopped

STOP = "stop"
STOPPED = {"state": "stopped", "reason": "the run was asked to stop"}

RemoteTrial = tuple[str, Trial]
"""A trial, and the id it has on the machine that sends it."""


def import_extra(module: str, engine: str) -> Any:
    """Imports the package that an engine needs; BadInput where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BadInput(
            f"--engine {engine} needs {module}, which is not installed: pip install 'fernoise-bench[{engine}]'"
        ) from error


def make_run_folder(trials: Sequence[Trial], engine: str) -> Path:
    """A new folder in the output folder, for the events and logs of one run."""
    out = trials[0].job.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{engine}-", dir=out))


def pack(trial: Trial) -> RemoteTrial:
    """A trial with absolute paths, which another machine can run from any folder."""
    return trial.id, trial.with_absolute_paths()


def run_remote(remote_trial: RemoteTrial, context: WorkerContext, log: EventLog, worker: str) -> Mapping[str, Any]:
    """Runs a trial sent by another machine, logs its events under the worker's name, and returns its status.

    The state is "stopped" where the run was asked to stop before the trial began, or after an epoch, which is saved.
    """
    expected, trial = remote_trial
    if log.stop_asked:
        return dict(STOPPED)

    def report(event: Event) -> None:
        log.send(worker, expected, event)
        if "epoch" in event and log.stop_asked:
            raise Stopped

    if trial.id != expected:
        return failed("this machine has another version of fernoise-bench or of the method; install the same one")
    log.send(worker, expected, {"started": True})
    try:
        return run_or_report(trial, context, report)
    except Stopped:
        return dict(STOPPED)


def mark_lost(trial: Trial, reason: str) -> Mapping[str, Any]:
    """Records a trial whose worker is gone as failed, unless it finished or another has it; returns its status."""
    if not trial.folder.is_dir():
        return {"state": "not run", "reason": reason}
    with FolderLock(trial.folder) as acquired:
        if acquired and state_of(trial) not in FINISHED:
            return ended(trial, "failed", reason)
    return outcome(trial)


@dataclass
class EventLog:
    """Events sent by workers, in one file for each worker, which only that worker appends to.

    Attributes:
        folder: seen by all machines; made when the first event is sent.
    """

    folder: Path
    _read: dict[Path, int] = field(default_factory=dict)

    def send(self, worker: str, trial_id: str, event: Event) -> None:
        """Appends an event; the file is closed each time, so that network file systems show it to other machines."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{worker}.jsonl").open("a") as file:
            file.write(json.dumps({"trial": trial_id, **event}) + "\n")

    def ask_to_stop(self) -> None:
        """Asks every worker to stop after its current epoch."""
        (self.folder / STOP).touch()

    @property
    def stop_asked(self) -> bool:
        """Whether the workers were asked to stop."""
        return (self.folder / STOP).exists()

    def count(self, worker: str) -> int:
        """How many epochs and trials a worker has finished."""
        path = self.folder / f"{worker}.jsonl"
        lines = path.read_text().splitlines() if path.is_file() else []
        return sum('"epoch"' in line or '"status"' in line for line in lines)

    def receive(self) -> Iterator[tuple[str, Event]]:
        """The (trial id, event) pairs sent since the last call, those of each worker in order."""
        for path in sorted(self.folder.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                for line in file:
                    if not line.endswith(b"\n"):  # still being written, or cut off when the worker was killed
                        break
                    self._read[path] = self._read.get(path, 0) + len(line)
                    event = json.loads(line)
                    yield event.pop("trial"), event
