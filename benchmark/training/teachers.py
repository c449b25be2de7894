"""Teachers: models that label rows or whose predictions methods learn from, trained once for a fold, draw and seed.

A teacher is stored by the hash of its own trial's identity and shared by all trials. The first trial that needs it
trains it, from a checkpoint after an interruption; its cost is in the record of every trial that used it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs

from ...protocols.activity import doing
from ...protocols.errors import BadInput
from ...protocols.files import canonical_json, read_arrays, remove, write_arrays
from ...protocols.locks import FolderLock
from ...protocols.rows import Array, CellData, Rows, describe_noise
from ...results.records.schema import Identity, TeacherCost, TeacherStatus, identity_of
from ...results.records.store import trial_id
from ...results.records.trial_files import FILES, read_part, write_part
from ..networks.initial_weights import Weights
from ..trial import Trial
from ..trial_state import CHECKPOINT, make_room, not_a_place
from . import checkpoint, trainer
from .evaluator import Diverged, not_probabilities, predict_rows
from .state import Training

PROBABILITIES = "probabilities.npz"
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class TeacherOutput:
    """The rows of a cell with the output of its teachers.

    Attributes:
        data: the rows, labelled by a teacher where the protocol says so.
        probabilities: float32 [N, C], those of the teacher that the method needs on all training rows, or None.
        teachers: what the record keeps of each teacher.
    """

    data: CellData
    probabilities: Array | None
    teachers: tuple[TeacherCost, ...]


def train_teachers(trial: Trial, data: CellData, weights: Weights, report: trainer.Report) -> TeacherOutput:
    """Trains the teachers of a trial that are not trained yet, and returns their output on the rows of its cell.

    Raises:
        Diverged: the training of a teacher diverged; the message names it.
        BadInput: a teacher's folder is no folder, or its lock no file.
    """
    found: dict[str, dict[str, Array]] = {}
    told = []
    for name, teacher in trial.teachers.items():
        try:
            found[name], status = _ask(teacher, data, weights, report)
        except Diverged as error:
            raise Diverged(f"its teacher {name}: {error}") from error
        cost = (status.seconds, status.forwards, status.backwards)
        told.append(TeacherCost(name, teacher.id, *cost, version=trial_id(teacher.identity["method"])))
    labeller, asked = trial.job.protocol.noisy_labels_from, trial.method.teacher
    if labeller and not trial.artifact:
        data = _labelled(trial, data, found[labeller])
    return TeacherOutput(data, found[asked]["train"] if asked else None, tuple(told))


def _ask(
    teacher: Trial, data: CellData, weights: Weights, report: trainer.Report
) -> tuple[dict[str, Array], TeacherStatus]:
    """A teacher's probabilities on training and validation rows, and its cost; waits while others train it."""
    if why := not_a_place(teacher):
        raise BadInput(why)
    told = False
    with contextlib.ExitStack() as waiting:
        while True:
            with FolderLock(teacher.folder) as acquired:
                if acquired:
                    waiting.close()
                    return _made(teacher, data, weights, report)
            if not told:
                told = True
                waiting.enter_context(doing(f"waiting for its teacher {teacher.method.name}"))
            time.sleep(POLL_SECONDS)


def _made(
    teacher: Trial, data: CellData, weights: Weights, report: trainer.Report
) -> tuple[dict[str, Array], TeacherStatus]:
    """What a teacher said, once it is trained, by this process if need be."""
    if is_trained(teacher):
        try:
            return _said(teacher, data)
        except BadInput as error:
            report({"warning": f"teacher {teacher.method.name}: {error}; it is trained again"})
            for name in (PROBABILITIES, "status.json"):
                remove(teacher.folder / name)
    _build(teacher, data, weights, report)
    return _said(teacher, data)


def is_trained(teacher: Trial) -> bool:
    """Whether a teacher's probabilities are there."""
    return os.path.lexists(teacher.folder / PROBABILITIES)


def _said(teacher: Trial, data: CellData) -> tuple[dict[str, Array], TeacherStatus]:
    """The probabilities and the cost of a trained teacher; BadInput where they are damaged or of other rows.

    Those stored without a checksum, as earlier versions did, count where they are probabilities.
    """
    folder, width = teacher.folder, len(teacher.job.protocol.names)
    if trial_id(read_part(folder, Identity).content) != teacher.id:
        raise BadInput(f"{folder} is not named by the hash of its identity.json")
    said, told = read_arrays(folder / PROBABILITIES), read_part(folder, TeacherStatus)
    rows = {"train": len(data.train)} | ({} if data.validation is None else {"validation": len(data.validation)})
    if {name: array.shape for name, array in said.items()} != {name: (count, width) for name, count in rows.items()}:
        raise BadInput(f"{folder / PROBABILITIES} does not have the rows of this data set")
    for array in said.values():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise BadInput(f"{folder / PROBABILITIES} is damaged (not finite numbers of 32 bits, but {array.dtype})")
        if why := not_probabilities(array, array.shape, teacher.job.protocol.kind):
            raise BadInput(f"{folder / PROBABILITIES} is damaged (no probabilities: {why})")
    if told.checksum not in ("", _checksum(said, told)):
        raise BadInput(f"{folder / PROBABILITIES} or its cost is not what status.json was written for")
    checkpoint.remove(folder)  # still there if the process was killed just before removing it
    return said, told


def _build(teacher: Trial, data: CellData, weights: Weights, report: trainer.Report) -> None:
    """Trains a teacher, and writes its probabilities and its cost."""
    for warning in make_room(teacher.folder, (CHECKPOINT, PROBABILITIES, *FILES)):
        report({"warning": f"teacher {teacher.method.name}: {warning}"})
    write_part(teacher.folder, identity_of(teacher.identity))
    training = trainer.start(teacher, data, weights)
    try:
        checkpoint.resume(teacher.folder, training)
    except BadInput as error:
        report({"warning": f"teacher {teacher.method.name}: {error}; it is trained again"})
        training = trainer.start(teacher, data, weights)
    label = f"teacher {teacher.method.name}"
    trainer.train(teacher, training, lambda event: report({"teacher": label, **event}))
    began = trainer.clock(training.train_set.device)
    said = _predictions(teacher, training)
    computed = [*(line["compute"] for line in training.lines), training.counters.take()]
    seconds = training.seconds + trainer.clock(training.train_set.device) - began
    passes = (sum(each[kind] for each in computed) for kind in ("forwards", "backwards"))
    status = TeacherStatus("done", seconds, *passes)
    write_part(teacher.folder, structs.replace(status, checksum=_checksum(said, status)))
    write_arrays(teacher.folder / PROBABILITIES, said)
    checkpoint.remove(teacher.folder)


def _checksum(said: Mapping[str, Array], status: TeacherStatus) -> str:
    """SHA-256, in hex, of a teacher's probabilities and its cost."""
    cost = [status.seconds, status.forwards, status.backwards]
    digest = hashlib.sha256(canonical_json([cost, {name: list(array.shape) for name, array in said.items()}]).encode())
    for name in sorted(said):
        digest.update(said[name].astype("<f4").tobytes())
    return digest.hexdigest()


def _predictions(teacher: Trial, training: Training) -> dict[str, Array]:
    """A trained teacher's probabilities, in evaluation mode, on training and validation rows."""
    training.method.eval()
    protocol = teacher.job.protocol
    what = teacher.job.settings.recipe.augmentation, len(protocol.names), protocol.kind
    said = {"train": predict_rows(training.method, training.train_set.pixels, *what)}
    if training.evaluator.validation_pixels is not None:
        said["validation"] = predict_rows(training.method, training.evaluator.validation_pixels, *what)
    return said


def _labelled(trial: Trial, data: CellData, said: Mapping[str, Array]) -> CellData:
    """The data with a teacher's labels on the rows that are not verified: an AU is present from 0.5 on."""
    train = _with_labels(data.train, said["train"])
    validation = None if data.validation is None else _with_labels(data.validation, said["validation"])
    noisy = train.take(~train.verified)
    return replace(
        data, train=train, validation=validation, noise=describe_noise(trial.job.protocol.noise, trial.level, noisy)
    )


def _with_labels(rows: Rows, probabilities: Array) -> Rows:
    labels = np.where(probabilities >= 0.5, 1, -1).astype(rows.given.dtype)
    return rows.with_given(np.where(rows.verified[:, None], rows.given, labels))
