"""Runs one trial, from its checkpoint if there is one, to its final files."""

from __future__ import annotations

import contextlib
import datetime
import errno
import platform
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import timm
import torch
from msgspec import to_builtins

from ...methods.base import view_kinds
from ...protocols.errors import BadInput, printable
from ...protocols.files import remove, write_arrays
from ...protocols.loading import Data, DataIdentity, open_data
from ...protocols.locks import FolderLock
from ...protocols.rows import CellData
from ...results.records.schema import Best, Environment, Noise, Rows, State, Status, Task, identity_of
from ...results.records.training_scores import TRAINING_SCORES, write_training_scores
from ...results.records.trial_files import FILES, TRACEBACK, read_part, write_part
from ..isolation.process_state import CHILDREN, THREADS, ProcessState
from ..networks.encoders import CountedEncoder
from ..networks.initial_weights import Weights, resolve
from ..settings import apply_to_process
from ..trial import Trial
from ..trial_state import CHECKPOINT, FINISHED, damage, make_room, not_a_place, state_of, why_not_loaded
from . import checkpoint, teachers, trainer
from .evaluator import Diverged
from .failures import reason_of, without_folders, write_traceback
from .state import Training

_LONGEST_REASON = 1_000  # letters
# errors of the output folder, which would make every other trial fail too
NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass
class WorkerContext:
    """What a process keeps between trials: the protocol's faces, the rows of the last cell, the initial weights.

    Attributes:
        spoiled: why no further trial can run in this process; "" where it can.
    """

    engine: str = "inline"
    workers: int = 1
    spoiled: str = ""
    opened: Data | None = None
    _cells: dict[Any, CellData] = field(default_factory=dict)
    _weights: dict[str, Weights] = field(default_factory=dict)

    def cell(self, trial: Trial) -> CellData:
        """The rows of a trial's cell, kept for the next trial; BadInput where the data have changed."""
        job = trial.job
        if self.opened is None or not self.opened.serves(job.protocol, job.profile, job.source):
            self._cells.clear()
            self.opened = open_data(job.protocol, job.profile, job.source, job.data_root, partial=job.partial)
            if job.source == "real" and self.opened.identity != DataIdentity(job.origin, job.aux, job.annotators):
                self.opened = None
                raise BadInput(f"the data in {job.data_root} were changed after the run began; start the run again")
        cell = (trial.fold, trial.level, trial.draw, job.noise_salt)
        if cell not in self._cells:
            self._cells = {cell: self.opened.cell(*cell)}
        return self._cells[cell]

    def weights(self, trial: Trial) -> Weights:
        """The initial weights of a trial, kept for the next; BadInput where their file has changed."""
        asked, settings = trial.job.weights, trial.job.settings
        if asked not in self._weights:
            self._weights = {asked: resolve(asked, settings.recipe.encoder, trial.job.data_root)}
        found = self._weights[asked]
        if found.sha256 != settings.weights_sha256:
            raise BadInput(f"--weights {asked}: its file has changed since the run began; start the run again")
        return found


def run_trial(trial: Trial, context: WorkerContext, report: trainer.Report) -> Mapping[str, Any]:
    """Trains a trial to its end, from its checkpoint if there is one, and returns its status.

    A failure is recorded with its reason and does not stop the run. A trial whose method's code has changed since the
    run began, or whose folder cannot be one, is neither run nor recorded. Raises OSError where the output folder cannot
    be written.
    """
    trial = trial.with_absolute_paths()  # a method may change the working directory
    if why := why_not_loaded(trial) or context.spoiled or not_a_place(trial):
        return {"state": "failed", "reason": why, "seconds": None}
    with FolderLock(trial.folder) as acquired:
        if not acquired:
            return {"state": "skipped", "reason": "another run is working on it"}
        if state_of(trial) in FINISHED:
            return to_builtins(read_part(trial.folder, Status))  # type: ignore[no-any-return]
        _remove_damaged(trial, report)
        remove(trial.folder / TRACEBACK)
        try:
            # what a method prints is no part of the tables and the JSON on standard output
            with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
                return _run(trial, context, report)
        except Diverged as error:
            return ended(trial, "diverged", str(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a method may raise anything; the other trials are run
            if isinstance(error, OSError) and error.errno in NO_PLACE:
                raise
            write_traceback(error, trial)
            return ended(trial, "failed", reason_of(error, trial))


def _run(trial: Trial, context: WorkerContext, report: trainer.Report) -> Mapping[str, Any]:
    """Trains a trial, and undoes what its method changed of what trials share in this process, which is a failure."""
    cell, weights = context.cell(trial), context.weights(trial)
    apply_to_process(trial.job.settings)
    started_by_torch = frozenset({THREADS, CHILDREN}) if trial.job.settings.compiled else frozenset()
    process = ProcessState.now(started_by_torch)

    def checked(event: Mapping[str, Any]) -> None:
        process.check()
        report(event)

    try:
        write_part(trial.folder, identity_of(trial.identity))
        output = teachers.train_teachers(trial, cell, weights, checked)
        training, resumed = _start(trial, output, weights, report)
        _write_status(trial, "running", training)
        write_part(trial.folder, _environment(trial, output, training, context, resumed=resumed))
        trainer.train(trial, training, checked)
        process.check()
        return _finish(trial, output, training, context, resumed=resumed)
    finally:
        if left := process.restore():
            context.spoiled = f"{trial.label} left {', '.join(left)} in this process; run the same command again"


def _start(
    trial: Trial, output: teachers.TeacherOutput, weights: Weights, report: trainer.Report
) -> tuple[Training, bool]:
    """A trial's training, from its checkpoint if there is one that is whole, and whether there was."""
    training = trainer.start(trial, output.data, weights, output.probabilities)
    try:
        return training, checkpoint.resume(trial.folder, training)
    except BadInput as error:
        report({"warning": f"{error}; the trial is started again"})
        return trainer.start(trial, output.data, weights, output.probabilities), False


def _finish(
    trial: Trial, output: teachers.TeacherOutput, training: Training, context: WorkerContext, *, resumed: bool
) -> Mapping[str, Any]:
    """Writes the last files of a trial; returns its status."""
    folder = trial.folder
    write_part(folder, _environment(trial, output, training, context, resumed=resumed))
    write_arrays(folder / "predictions.npz", training.evaluator.predictions())
    if (dynamics := training.auditor.dynamics) is not None:
        rows = output.data.train
        write_training_scores(folder, dynamics.scores(rows.sample_id, rows.verified))
    status = _write_status(trial, "done", training)
    checkpoint.remove(folder)
    return status


def _remove_damaged(trial: Trial, report: trainer.Report) -> None:
    """Reports and removes the damaged files of a trial, and folders where files belong.

    A checkpoint that is a file stays: it is checked when it is loaded.
    """
    if state_of(trial) == "damaged":
        report({"warning": damage(trial)})
        for name in (*FILES, TRAINING_SCORES):
            remove(trial.folder / name)
    for warning in make_room(trial.folder, (CHECKPOINT, TRAINING_SCORES, *FILES)):
        report({"warning": warning})


def _write_status(trial: Trial, state: State, training: Training) -> Mapping[str, Any]:
    best = training.evaluator.best
    status = Status(
        state,
        epochs_done=training.next_epoch,
        epochs=trial.job.settings.recipe.epochs,
        seconds=training.seconds,
        wall_seconds=training.wall_seconds,
        best=Best(best.validation_epoch, best.oracle_epoch),
        peak_memory_mb=trainer.peak_memory_mb(training.train_set.device),
        updated=_now(),
    )
    return write_part(trial.folder, status)


def ended(trial: Trial, state: State, reason: str) -> Mapping[str, Any]:
    """Records a trial that did not finish; the epochs that it finished stay readable. Returns the status to print.

    The record has no path of this machine; what is printed has.
    """
    lines = trial.folder / "epochs.jsonl"
    done = len(lines.read_bytes().splitlines()) if lines.is_file() else 0
    told = printable(_shortened(without_folders(reason, trial)))
    status = Status(state, told, done, trial.job.settings.recipe.epochs, updated=_now())
    write_part(trial.folder, identity_of(trial.identity))
    content = write_part(trial.folder, status)
    if state == "diverged":
        checkpoint.remove(trial.folder)
    return {**content, "reason": printable(_shortened(reason))}


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
        views=len(view_kinds(training.method.views)),
    )


def _device_name(device: torch.device) -> str:
    """The GPU's model, or the CPU's vector instructions, as AVX512; seconds are compared within one device only."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.backends.cpu.get_cpu_capability()}"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
