"""Teachers: models trained once for a fold, draw and seed, that label rows or guide methods; shared by all trials.

A teacher is an artifact addressed by content: the identity of the trial it would be. It is built by whoever needs it
first, goes on from its checkpoint when interrupted, and its cost is in the record of every trial that used it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...protocols.errors import BadInput
from ...protocols.files import read_arrays, read_json, remove, write_arrays, write_json
from ...protocols.locks import FolderLock
from ...protocols.rows import Array, CellData, Rows, describe_noise
from ..networks.initial_weights import Weights
from ..trial import Trial
from . import checkpoint, trainer
from .evaluator import Diverged, predict_rows
from .state import Training

PROBABILITIES = "probabilities.npz"
COST = ("seconds", "forwards", "backwards")
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class TeacherOutput:
    """A cell with what its teachers had to say.

    Attributes:
        data: the cell, its rows labelled where the protocol has a teacher do that.
        probabilities: float32 [N, C] of the teacher a method asked for on every training row, or None.
        teachers: what the record keeps of each teacher: name, id, seconds, forwards, backwards.
    """

    data: CellData
    probabilities: Array | None
    teachers: tuple[Mapping[str, Any], ...]


def train_teachers(trial: Trial, data: CellData, weights: Weights, report: trainer.Report) -> TeacherOutput:
    """Has the teachers of a trial trained where they are not yet, and hands on what they say.

    Raises:
        Diverged: a teacher did; the reason names it.
    """
    found: dict[str, dict[str, Array]] = {}
    told = []
    for name, teacher in trial.teachers.items():
        try:
            found[name], cost = _ask(teacher, data, weights, report)
        except Diverged as error:
            raise Diverged(f"its teacher {name}: {error}") from error
        told.append({"name": name, "id": teacher.id, **cost})
    labeller, asked = trial.job.protocol.noisy_labels_from, trial.method.teacher
    if labeller and not trial.artifact:
        data = _labelled(trial, data, found[labeller])
    return TeacherOutput(data, found[asked]["train"] if asked else None, tuple(told))


def _ask(
    teacher: Trial, data: CellData, weights: Weights, report: trainer.Report
) -> tuple[dict[str, Array], dict[str, Any]]:
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


def _said(teacher: Trial, data: CellData) -> tuple[dict[str, Array], dict[str, Any]]:
    """The probabilities and the cost of a finished teacher; BadInput where they are damaged or of other rows."""
    folder, width = teacher.folder, len(teacher.job.protocol.names)
    said, told = read_arrays(folder / PROBABILITIES), read_json(folder / "status.json")
    rows = {"train": len(data.train)} | ({} if data.validation is None else {"validation": len(data.validation)})
    if {name: array.shape for name, array in said.items()} != {name: (count, width) for name, count in rows.items()}:
        raise BadInput(f"{folder / PROBABILITIES} is not of the rows it is for")
    if not isinstance(told, dict) or not set(COST) <= set(told):
        raise BadInput(f"{folder / 'status.json'} does not say what the teacher cost")
    checkpoint.remove(folder)  # left behind where it was killed just before
    return said, {kind: told[kind] for kind in COST}


def _build(teacher: Trial, data: CellData, weights: Weights, report: trainer.Report) -> None:
    write_json(teacher.folder / "identity.json", teacher.identity)
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
    cost = {kind: sum(each[kind] for each in computed) for kind in ("forwards", "backwards")} | {
        "seconds": training.seconds + trainer.clock(training.train_set.device) - began
    }
    write_json(teacher.folder / "status.json", {"state": "done", **cost})
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
