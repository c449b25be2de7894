"""Teachers: models trained once for a fold, draw and seed, that label rows or guide methods; shared by all trials.

A teacher is an artifact addressed by content: the identity of the trial it would be. It is built by whoever needs it
first, goes on from its checkpoint when interrupted, and its cost is in the record of every trial that used it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...protocols.errors import BadInput
from ...protocols.files import read_arrays, remove, write_arrays
from ...protocols.locks import FolderLock
from ...protocols.rows import Array, CellData, Rows, describe_noise
from ...results.records.schema import TeacherCost, TeacherStatus, identity_of
from ...results.records.trial_files import read_part, write_part
from ..networks.initial_weights import Weights
from ..trial import Trial
from . import checkpoint, trainer
from .evaluator import Diverged, predict_rows
from .state import Training

PROBABILITIES = "probabilities.npz"
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class TeacherOutput:
    """A cell with what its teachers had to say.

    Attributes:
        data: the cell, its rows labelled where the protocol has a teacher do that.
        probabilities: float32 [N, C] of the teacher a method asked for on every training row, or None.
        teachers: what the record keeps of each teacher.
    """

    data: CellData
    probabilities: Array | None
    teachers: tuple[TeacherCost, ...]


def train_teachers(trial: Trial, data: CellData, weights: Weights, report: trainer.Report) -> TeacherOutput:
    """Has the teachers of a trial trained where they are not yet, and hands on what they say.

    Raises:
        Diverged: a teacher did; the reason names it.
    """
    found: dict[str, dict[str, Array]] = {}
    told = []
    for name, teacher in trial.teachers.items():
        try:
            found[name], status = _ask(teacher, data, weights, report)
        except Diverged as error:
            raise Diverged(f"its teacher {name}: {error}") from error
        told.append(TeacherCost(name, teacher.id, status.seconds, status.forwards, status.backwards))
    labeller, asked = trial.job.protocol.noisy_labels_from, trial.method.teacher
    if labeller and not trial.artifact:
        data = _labelled(trial, data, found[labeller])
    return TeacherOutput(data, found[asked]["train"] if asked else None, tuple(told))


def _ask(
    teacher: Trial, data: CellData, weights: Weights, report: trainer.Report
) -> tuple[dict[str, Array], TeacherStatus]:
    """What a teacher says of the training and validation rows, and its cost; waits while another process builds it."""
    while True:
        with FolderLock(teacher.folder) as acquired:
            if acquired:
                if os.path.lexists(teacher.folder / PROBABILITIES):
                    try:
                        return _said(teacher, data)
                    except BadInput as error:
                        report({"warning": f"{error}; the teacher is trained again"})
                        for name in (PROBABILITIES, "status.json"):
                            remove(teacher.folder / name)
                _build(teacher, data, weights, report)
                return _said(teacher, data)
        time.sleep(POLL_SECONDS)


def _said(teacher: Trial, data: CellData) -> tuple[dict[str, Array], TeacherStatus]:
    """The probabilities and the cost of a finished teacher; BadInput where they are damaged or of other rows."""
    folder, width = teacher.folder, len(teacher.job.protocol.names)
    said, told = read_arrays(folder / PROBABILITIES), read_part(folder, TeacherStatus)
    rows = {"train": len(data.train)} | ({} if data.validation is None else {"validation": len(data.validation)})
    if {name: array.shape for name, array in said.items()} != {name: (count, width) for name, count in rows.items()}:
        raise BadInput(f"{folder / PROBABILITIES} is not of the rows it is for")
    checkpoint.remove(folder)  # left behind where it was killed just before
    return said, told


def _build(teacher: Trial, data: CellData, weights: Weights, report: trainer.Report) -> None:
    write_part(teacher.folder, identity_of(teacher.identity))
    training = trainer.start(teacher, data, weights)
    try:
        checkpoint.resume(teacher.folder, training)
    except BadInput as error:
        report({"warning": f"{error}; the teacher is trained again"})
        training = trainer.start(teacher, data, weights)
    label = f"teacher {teacher.method.name}"
    trainer.train(teacher, training, lambda event: report({"teacher": label, **event}))
    began = trainer.clock(training.train_set.device)
    said = _predictions(teacher, training)
    computed = [*(line["compute"] for line in training.lines), training.counters.take()]
    seconds = training.seconds + trainer.clock(training.train_set.device) - began
    passes = (sum(each[kind] for each in computed) for kind in ("forwards", "backwards"))
    write_part(teacher.folder, TeacherStatus("done", seconds, *passes))
    write_arrays(teacher.folder / PROBABILITIES, said)
    checkpoint.remove(teacher.folder)


def _predictions(teacher: Trial, training: Training) -> dict[str, Array]:
    """What a trained teacher says, in evaluation mode, of the training rows and of those for validation."""
    training.method.eval()
    width, how = len(teacher.job.protocol.names), teacher.job.settings.recipe.augmentation
    said = {"train": predict_rows(training.method, training.train_set.pixels, how, width)}
    if training.evaluator.validation_pixels is not None:
        said["validation"] = predict_rows(training.method, training.evaluator.validation_pixels, how, width)
    return said


def _labelled(trial: Trial, data: CellData, said: Mapping[str, Array]) -> CellData:
    """The rows nobody verified with the teacher's labels, present from 0.5 on."""
    train = _with_labels(data.train, said["train"])
    validation = None if data.validation is None else _with_labels(data.validation, said["validation"])
    noisy = train.take(~train.verified)
    return replace(
        data, train=train, validation=validation, noise=describe_noise(trial.job.protocol.noise, trial.level, noisy)
    )


def _with_labels(rows: Rows, probabilities: Array) -> Rows:
    labels = np.where(probabilities >= 0.5, 1, -1).astype(rows.given.dtype)
    return rows.with_given(np.where(rows.verified[:, None], rows.given, labels))
