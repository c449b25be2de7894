"""Runs one trial, from its checkpoint if there is one, to its final files."""

from __future__ import annotations

import datetime
import errno
import platform
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import timm
import torch
from msgspec import to_builtins

from ...protocols.errors import BadInput, printable
from ...protocols.files import remove, write_arrays
from ...protocols.loading import Data, DataIdentity, open_data
from ...protocols.locks import FolderLock
from ...protocols.rows import CellData
from ...results.records.schema import Best, Environment, Noise, Rows, State, Status, Task, identity_of
from ...results.records.trial_files import FILES, read_part, write_part
from ..networks.encoders import CountedEncoder
from ..networks.initial_weights import Weights, resolve
from ..trial import Trial
from ..trial_state import CHECKPOINT, FINISHED, damage, state_of, why_not_loaded
from . import checkpoint, teachers, trainer
from .evaluator import Diverged
from .state import Training

# errors of the output folder, which would make every other trial fail too
_LONGEST_REASON = 1_000  # letters
_NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass
class WorkerContext:
    """What a process keeps between trials: the protocol's faces, the rows of the last cell, the initial weights."""

    engine: str = "inline"
    workers: int = 1
    opened: Data | None = None
    _cells: dict[Any, CellData] = field(default_factory=dict)
    _weights: dict[str, Weights] = field(default_factory=dict)

    def cell(self, trial: Trial) -> CellData:
        """The rows of a trial's cell, kept for the next trial; BadInput where the data have changed."""
        job = trial.job
        if self.opened is None or not self.opened.serves(job.protocol, job.profile, job.source):
            self._cells.clear()
            self.opened = open_data(job.protocol, job.profile, job.source, job.data_root, partial=job.partial)
            if job.source == "real" and self.opened.identity != DataIdentity(job.origin, job.aux):
                self.opened = None
                raise BadInput(f"the data in {job.data_root} were changed after the run began; start the run again")
        cell = (trial.fold, trial.level, trial.draw)
        if cell not in self._cells:
            self._cells = {cell: self.opened.cell(*cell)}
        return self._cells[cell]

    def weights(self, trial: Trial) -> Weights:
        """The initial weights of a trial."""
        asked = trial.job.weights
        if asked not in self._weights:
            self._weights = {asked: resolve(asked, trial.job.settings.recipe.encoder, trial.job.data_root)}
        return self._weights[asked]


def run_trial(trial: Trial, context: WorkerContext, report: trainer.Report) -> Mapping[str, Any]:
    """Trains a trial to its end, from its checkpoint if there is one, and returns its status.

    A failure is recorded with its reason and does not stop the run. A trial whose method's code has changed since the
    run began is neither run nor recorded. Raises OSError where the output folder cannot be written.
    """
    if changed := why_not_loaded(trial):
        return {"state": "failed", "reason": changed, "seconds": None}
    with FolderLock(trial.folder) as acquired:
        if not acquired:
            return {"state": "skipped", "reason": "another run is working on it"}
        if state_of(trial) in FINISHED:
            return to_builtins(read_part(trial.folder, Status))  # type: ignore[no-any-return]
        _remove_damaged(trial, report)
        try:
            return _run(trial, context, report)
        except Diverged as error:
            return ended(trial, "diverged", str(error))
        except BadInput as error:
            return ended(trial, "failed", str(error))
        except (Exception, SystemExit) as error:  # a method may raise anything; the other trials are run
            if isinstance(error, OSError) and error.errno in _NO_PLACE:
                raise
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{last.filename.rsplit('/', 1)[-1]}:{last.lineno}"
            return ended(trial, "failed", f"{type(error).__name__}: {error} ({where})")


def _run(trial: Trial, context: WorkerContext, report: trainer.Report) -> Mapping[str, Any]:
    folder, weights = trial.folder, context.weights(trial)
    write_part(folder, identity_of(trial.identity))
    output = teachers.train_teachers(trial, context.cell(trial), weights, report)
    data = output.data
    training = trainer.start(trial, data, weights, output.probabilities)
    try:
        resumed = checkpoint.resume(folder, training)
    except BadInput as error:
        report({"warning": f"{error}; the trial is started again"})
        training, resumed = trainer.start(trial, data, weights, output.probabilities), False
    _write_status(trial, "running", training)
    write_part(folder, _environment(trial, output, training, context, resumed=resumed))
    trainer.train(trial, training, report)
    write_part(folder, _environment(trial, output, training, context, resumed=resumed))
    write_arrays(folder / "predictions.npz", training.evaluator.predictions())
    status = _write_status(trial, "done", training)
    checkpoint.remove(folder)
    return status


def _remove_damaged(trial: Trial, report: trainer.Report) -> None:
    """Reports and removes the damaged files of a trial, and folders where files belong.

    A checkpoint that is a file stays: it is checked when it is loaded.
    """
    if state_of(trial) == "damaged":
        report({"warning": damage(trial)})
        for name in FILES:
            remove(trial.folder / name)
    for path in (trial.folder / name for name in (CHECKPOINT, *FILES)):
        if path.is_dir() and not path.is_symlink():
            report({"warning": f"{path} is a folder where a file belongs: it is removed"})
            remove(path)


def _write_status(trial: Trial, state: State, training: Training) -> Mapping[str, Any]:
    best = training.evaluator.best
    status = Status(
        state,
        epochs_done=training.next_epoch,
        epochs=trial.job.settings.recipe.epochs,
        seconds=training.seconds,
        best=Best(best.validation_epoch, best.oracle_epoch),
        peak_memory_mb=trainer.peak_memory_mb(training.train_set.device),
        updated=_now(),
    )
    return write_part(trial.folder, status)


def ended(trial: Trial, state: State, reason: str) -> Mapping[str, Any]:
    """Records a trial that did not finish; the epochs that it finished stay readable."""
    lines = trial.folder / "epochs.jsonl"
    done = len(lines.read_bytes().splitlines()) if lines.is_file() else 0
    status = Status(state, printable(_shortened(reason)), done, trial.job.settings.recipe.epochs, updated=_now())
    write_part(trial.folder, identity_of(trial.identity))
    content = write_part(trial.folder, status)
    if state == "diverged":
        checkpoint.remove(trial.folder)
    return content


def _shortened(reason: str) -> str:
    """Start and end of a reason, which may be all that a method put into its error."""
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[: _LONGEST_REASON - 100]} … {reason[-97:]}"


def _environment(
    trial: Trial, output: teachers.TeacherOutput, training: Training, context: WorkerContext, *, resumed: bool
) -> Environment:
    """The content of environment.json, which is recorded and not hashed: no host name, no path."""
    data = output.data
    protocol, device = trial.job.protocol, training.train_set.device
    sampler = training.train_set.sampler
    validation = 0 if data.validation is None else len(data.validation)
    return Environment(
        task=Task(protocol.kind, protocol.names, protocol.metric),
        device=_device_name(device),
        engine=context.engine,
        workers=context.workers,
        oracle_knowledge=tuple(training.oracle_knowledge),
        unstated=trial.method.unstated,
        networks=sum(isinstance(module, CountedEncoder) for module in training.method.modules()),
        rows=Rows(len(data.train), validation, len(data.test), int(data.test.copy.sum())),
        rows_per_epoch=sampler.steps * sampler.batch_size,
        torch=str(torch.__version__),
        timm=timm.__version__,
        numpy=np.__version__,
        python=platform.python_version(),
        machine=platform.machine(),
        resumed=resumed,
        noise=Noise(**data.noise),
        teachers=output.teachers,
        views=training.method.views,
    )


def _device_name(device: torch.device) -> str:
    """The GPU's model, or the CPU's vector instructions, as AVX512; seconds are compared within one device only."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.backends.cpu.get_cpu_capability()}"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
