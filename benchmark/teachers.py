"""Teachers: models trained once for a fold, draw and seed, that label rows or guide methods; shared by all trials.

A teacher is an artifact addressed by content: the identity of the trial it would be. It is built by whoever needs it
first, goes on from its checkpoint when interrupted, and its cost is in the record of every trial that used it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..protocols.data import Array, CellData, Rows, describe_noise
from ..protocols.errors import BadInput
from ..results.store import TrialLock, read_arrays, read_json, write_arrays, write_json
from . import checkpoint, trainer
from .evaluate import predict_rows
from .trial import Trial
from .weights import Weights

PROBABILITIES = "probabilities.npz"
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Lesson:
    """A cell with what its teachers had to say.

    Attributes:
        data: the cell, its rows labelled where the protocol has a teacher do that.
        probabilities: float32 [N, C] of the teacher a method asked for on every training row, or None.
        teachers: what the record keeps of each teacher: name, id, seconds, forwards, backwards.
    """

    data: CellData
    probabilities: Array | None
    teachers: tuple[Mapping[str, Any], ...]


def attend(trial: Trial, data: CellData, weights: Weights, report: trainer.Report) -> Lesson:
    """Has the teachers of a trial trained where they are not yet, and hands on what they say."""
    found: dict[str, dict[str, Array]] = {}
    told = []
    for name, teacher in trial.teachers.items():
        found[name] = _probabilities(teacher, data, weights, report)
        told.append(_cost(name, teacher))
    labeller, asked = trial.job.protocol.noisy_labels_from, trial.method.teacher
    if labeller and not trial.artifact:
        data = _labelled(trial, data, found[labeller])
    return Lesson(data, found[asked]["train"] if asked else None, tuple(told))


def _probabilities(teacher: Trial, data: CellData, weights: Weights, report: trainer.Report) -> dict[str, Array]:
    """What a teacher says of the training and validation rows; waits while another process builds it."""
    while True:
        with TrialLock(teacher.folder) as acquired:
            if acquired:
                if (teacher.folder / PROBABILITIES).is_file():
                    try:
                        return read_arrays(teacher.folder / PROBABILITIES)
                    except BadInput as error:
                        report({"warning": f"{error}; the teacher is trained again"})
                _build(teacher, data, weights, report)
                return read_arrays(teacher.folder / PROBABILITIES)
        time.sleep(POLL_SECONDS)


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
    training.method.eval()
    width, how = len(teacher.job.protocol.names), teacher.job.settings.recipe.augmentation
    said = {"train": predict_rows(training.method, training.train_set.pixels, how, width)}
    if training.evaluator.validation_pixels is not None:
        said["validation"] = predict_rows(training.method, training.evaluator.validation_pixels, how, width)
    cost = {kind: sum(line["compute"][kind] for line in training.lines) for kind in ("forwards", "backwards")} | {
        "seconds": training.seconds
    }
    write_json(teacher.folder / "status.json", {"state": "done", **cost})
    write_arrays(teacher.folder / PROBABILITIES, said)
    checkpoint.remove(teacher.folder)


def _cost(name: str, teacher: Trial) -> dict[str, Any]:
    told = read_json(teacher.folder / "status.json")
    return {"name": name, "id": teacher.id, **{kind: told[kind] for kind in ("seconds", "forwards", "backwards")}}


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
