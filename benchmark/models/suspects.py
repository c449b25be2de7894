"""The training labels that trained models doubt, from their trials to lines of a table and pictures to look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ...protocols.base import Kind
from ...protocols.designs.held_out import suffix_of
from ...protocols.errors import BadInput
from ...protocols.files import Array, read_arrays
from ...protocols.loading import Data, draws_noise
from ...protocols.own_data.decisions import SIGNS
from ...protocols.own_data.tables import csv_bytes
from ...protocols.rows import Rows
from ...results.analysis.suspects import (
    IN_TRAINING,
    OUT_OF_SAMPLE,
    Judged,
    Suspects,
    judged_in_training,
    judged_out_of_sample,
    suspects,
)
from ...results.contact_sheet.sheet import Candidate, thumbnail
from ...results.records.training_scores import read_training_scores
from ..trial import Trial

COLUMNS = ("path", "unit", "given", "suggested", "suspicion", "agreement", "models")
HEADERS = ((*COLUMNS, *IN_TRAINING), (*COLUMNS, *OUT_OF_SAMPLE))
COMMON_SCALE = ("mean", "last")
WORDS = {sign: word for word, sign in SIGNS.items()}


def check_trials(trials: Sequence[Trial]) -> None:
    """Raises BadInput where the models of some trials, at least one, would judge different labels of one row."""
    job = trials[0].job
    protocol = job.protocol
    if protocol.noisy_labels_from:
        whose = f"the labels of {protocol.name} are those of {protocol.noisy_labels_from}'s model"
        raise BadInput(f"{whose}: there is nothing to look for in them")
    levels = sorted({trial.level for trial in trials if trial.level is not None})
    if len(levels) > 1:
        raise BadInput(f"{protocol.name} has several noise levels: name one of them, as in --noise {levels[0]:g}")
    drawn = draws_noise(protocol, job.source) and levels != [0.0]
    if protocol.own is not None and (drawn or protocol.option("noise on") == "reference"):
        what = "have noise added" if drawn else "begin at the reference labels"
        remedy = "look in a copy of the file with noise.kind = 'own' and without noise.on"
        raise BadInput(f"{protocol.own.file}: the labels trained on {what}, and are not those of the table: {remedy}")
    held_out = bool(suffix_of(protocol.name))  # parts of the same labels
    if drawn and len({(None if held_out else trial.fold, trial.seed) for trial in trials}) > 1:
        fold = f" --fold {protocol.folds[0]}" if protocol.folds and not held_out else ""
        what = f"the label noise of {protocol.name} is drawn anew for each seed{' and fold' if fold else ''}"
        raise BadInput(f"{what}, so that the models would judge different labels: use --seeds 1{fold}")


def find_suspects(trials: Sequence[Trial], data: Data, *, out_of_sample: bool, by: str) -> Suspects:
    """The labels that finished trials judge, most suspicious first.

    Args:
        trials: finished ones of one or more methods and seeds on one protocol, at least one; see `check_trials`.
        data: that they were trained on.
        out_of_sample: each label by the models of folds that did not train on it, not by those that did.
        by: the score to order by.

    Raises:
        BadInput: a trial without the scores of its training rows, as those of earlier versions.
    """
    judge = _out_of_sample if out_of_sample else _in_training
    return suspects([judge(trial, data) for trial in trials], by)


def scores_of(out_of_sample: bool, kind: Kind) -> tuple[str, ...]:
    """The scores that labels can be ordered by; of AUs those whose scale is the same for every AU."""
    if out_of_sample:
        return OUT_OF_SAMPLE
    return IN_TRAINING if kind == "single" else COMMON_SCALE


def _in_training(trial: Trial, data: Data) -> Judged:
    scores = read_training_scores(trial.folder)
    old = scores is not None and scores.given.ndim == 1 and scores.alternative is None
    if scores is None or old or np.isnan(scores.suspicions["mean"]).all():
        what = "has no scores of its training rows: it is of an earlier version, or its method reports no predictions"
        raise BadInput(f"{trial.folder}: {what}; remove it and run again, or name another --method")
    return judged_in_training(scores)


def _out_of_sample(trial: Trial, data: Data) -> Judged:
    """Copies of pictures that the model trained on are not judged, nor are labels of a class that it never saw."""
    cell = data.cell(trial.fold, trial.level, trial.draw, trial.job.noise_salt)
    tested = cell.test
    found = read_arrays(trial.folder / "predictions.npz")
    place = {row: at for at, row in enumerate(tested.sample_id.tolist())}
    at = np.array([place.get(row, -1) for row in found["sample_id"].tolist()], np.int64)
    if len(at) != len(tested) or (at < 0).any():
        raise BadInput(f"{trial.folder}: its test rows are not those of the data; remove it and run again")
    given = tested.given[at].astype(np.int64)
    asked = ~(tested.verified | tested.copy)[at]
    if given.ndim == 1:
        asked &= np.isin(given, cell.train.given)
    return judged_out_of_sample(found["sample_id"], given, asked, found["last"])


def as_csv(found: Suspects, data: Data) -> bytes:
    """A table with a line for each label, most suspicious first."""
    paths = data.picture_names(found.sample_id)
    lines: list[Sequence[object]] = [(*COLUMNS, *found.scores)]
    for at in range(len(found)):
        numbers = [found.suspicion[at], found.agreement[at]]
        scores = [_number(values[at]) for values in found.scores.values()]
        lines.append([paths[at], *_labels(found, data, at), *map(_number, numbers), found.models[at], *scores])
    return csv_bytes(lines)


def candidates(found: Suspects, data: Data, trials: Sequence[Trial], *, most: int) -> list[Candidate]:
    """The most suspicious labels with a thumbnail of each picture, for a contact sheet."""
    pictures = _thumbnails(found.sample_id[:most], _rows(data, trials))
    paths = data.picture_names(found.sample_id[:most])
    return [
        Candidate(
            paths[at],
            *_labels(found, data, at),
            suspicion=min(max(float(found.suspicion[at]), 0.0), 1.0),  # of rounded probabilities
            agreement=float(found.agreement[at]),
            scores=tuple(
                (name, float(values[at])) for name, values in found.scores.items() if not np.isnan(values[at])
            ),
            thumbnail=pictures[int(found.sample_id[at])],
        )
        for at in range(min(most, len(found)))
    ]


def _labels(found: Suspects, data: Data, at: int) -> tuple[str, str, str]:
    """The AU, the given and the suggested label of an entry; no AU for expressions."""
    given, suggested, unit = int(found.given[at]), int(found.suggested[at]), int(found.unit[at])
    names = data.protocol.names
    return ("", names[given], names[suggested]) if unit < 0 else (names[unit], WORDS[given], WORDS[suggested])


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"


def _rows(data: Data, trials: Sequence[Trial]) -> Iterable[Rows]:
    """The training and test rows of every fold, which have every picture that was judged."""
    for fold, level in dict.fromkeys((trial.fold, trial.level) for trial in trials):
        cell = data.cell(fold, level, 0, trials[0].job.noise_salt)
        yield cell.train
        yield cell.test


def _thumbnails(wanted: Array, parts: Iterable[Rows]) -> dict[int, bytes]:
    """A thumbnail of each row."""
    missing, found = set(wanted.tolist()), dict[int, bytes]()
    for rows in parts:
        here = np.flatnonzero(np.isin(rows.sample_id, sorted(missing)))
        for row, image in zip(rows.sample_id[here].tolist(), rows.images.read(here), strict=True):
            found[row] = thumbnail(image)
        missing -= found.keys()
        if not missing:
            break
    return found
