"""Runs one trial from whatever is on disk to its final files."""

from __future__ import annotations

import datetime
import errno
import os
import platform
import shutil
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
from ...protocols.loading import Data, open_data
from ...protocols.locks import FolderLock, is_locked
from ...protocols.rows import CellData
from ...results.records.record import load_record
from ...results.records.schema import Best, Environment, Noise, Rows, State, Status, Task, identity_of
from ...results.records.trial_files import FILES, read_part, write_part
from ..networks.encoders import CountedEncoder
from ..networks.initial_weights import Weights, resolve
from ..trial import Trial
from . import checkpoint, teachers, trainer
from .evaluator import Diverged
from .state import Training

FINISHED = ("done", "diverged")  # a failed trial is tried again by the next run
# Of the output folder, not of a trial: every other trial would fail of it too.
_NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass
class WorkerContext:
    """What a process keeps between trials: the protocol's faces, the last cell, the initial weights."""

    engine: str = "inline"
    workers: int = 1
    opened: Data | None = None
    _cells: dict[Any, CellData] = field(default_factory=dict)
    _weights: dict[str, Weights] = field(default_factory=dict)

    def cell(self, trial: Trial) -> CellData:
        """The rows of a trial's cell; the last one is kept, since neighbouring trials share it."""
        job = trial.job
        if self.opened is None or not self.opened.serves(job.protocol, job.profile, job.source):
            self._cells.clear()
            self.opened = open_data(job.protocol, job.profile, job.source, job.data_root, partial=job.partial)
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


def state_of(trial: Trial) -> str:
    """What the disk says of a trial: "done", "diverged", "failed", "interrupted", "damaged", or "new"."""
    if not os.path.lexists(trial.folder / "status.json"):
        return "new"
    if damage(trial):
        return "damaged"
    state = read_part(trial.folder, Status).state
    killed_at_the_end = state in FINISHED and checkpoint.exists(trial.folder)  # before the checkpoint was removed
    return "interrupted" if state == "running" or killed_at_the_end else state


def damage(trial: Trial) -> str:
    """What is wrong with the files of a trial that has a status, as one line; an empty string if nothing is."""
    try:
        load_record(trial.job.out, trial.folder)
    except BadInput as error:
        return str(error)
    return ""


def outcome(trial: Trial) -> Mapping[str, Any]:
    """State and reason of a trial by the disk, whoever ran it."""
    state = state_of(trial)
    if state == "new":
        return {"state": "not run", "reason": _changed(trial) or "never started"}
    if state == "damaged":
        return {"state": "not run", "reason": damage(trial)}
    found: dict[str, Any] = to_builtins(read_part(trial.folder, Status))
    if found["state"] != "running":
        return found
    reason = "another run has it" if is_locked(trial.folder) else "ended before it was finished; run it again"
    return {**found, "state": "unfinished", "reason": reason}


def _changed(trial: Trial) -> str:
    """Why the code of a trial's method can no longer be trained, as one line; an empty string where it can."""
    try:
        trial.method.load()
    except BadInput as error:
        return str(error)
    return ""


def run_trial(trial: Trial, context: WorkerContext, report: trainer.Report) -> Mapping[str, Any]:
    """Trains a trial to its end, from its checkpoint where there is one. Returns its status.

    A failure is the trial's own: it is written down with its reason and never stops the run. A trial whose method is no
    longer the code that was asked for is neither run nor written down.
    """
    if changed := _changed(trial):
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
        except (Exception, SystemExit) as error:  # a method may raise anything; the other trials go on
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
        report({"warning": f"{error}; the trial starts again"})
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
    """Names what is damaged and makes room for it; the checkpoint stays, which is looked at on its own.

    A folder in the place of a file goes too, even of the checkpoint: no file could be put there.
    """
    if state_of(trial) == "damaged":
        report({"warning": damage(trial)})
        for name in FILES:
            remove(trial.folder / name)
    for path in (trial.folder / name for name in (checkpoint.FILE, *FILES)):
        if path.is_dir() and not path.is_symlink():
            report({"warning": f"{path} is a folder where a file belongs: it is removed"})
            remove(path)


def discard(trial: Trial) -> None:
    """Deletes what is on disk of a trial, for `--fresh`, unless another run is working on it."""
    if trial.folder.is_dir():
        with FolderLock(trial.folder) as acquired:
            if acquired:
                shutil.rmtree(trial.folder)


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
    """Writes down a trial that did not reach its end; what it finished stays readable."""
    lines = trial.folder / "epochs.jsonl"
    done = len(lines.read_bytes().splitlines()) if lines.is_file() else 0
    status = Status(state, printable(reason), done, trial.job.settings.recipe.epochs, updated=_now())
    write_part(trial.folder, identity_of(trial.identity))
    content = write_part(trial.folder, status)
    if state == "diverged":
        checkpoint.remove(trial.folder)
    return content


def _environment(
    trial: Trial, output: teachers.TeacherOutput, training: Training, context: WorkerContext, *, resumed: bool
) -> Environment:
    """Recorded, not hashed; no host name, no path."""
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
    """What seconds are compared within: the GPU's model; of a CPU what it multiplies with, as AVX512."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.backends.cpu.get_cpu_capability()}"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
