"""`training_scores.npz` of a trial: what its training predicted of each training row, and did with its given label.

The file is optional: trials of earlier versions have none, nor have those that ship. It has no reference label. Rows
are keyed by `sample_id`; an entry is a row, or one AU of a row. Scores are kept with 32 bits of one label a face, with
16 bits of AUs, whose entries are many.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...protocols.errors import BadInput
from ...protocols.files import read_arrays, write_arrays

TRAINING_SCORES = "training_scores.npz"
SUSPICIONS = ("last", "mean", "aum", "forgetting", "loss")

Array = NDArray[Any]


@dataclass(frozen=True)
class TrainingScores:
    """Scores of the N training rows of a trial, in their order.

    Attributes:
        sample_id: int64 [N], as in the data set.
        given: the labels that it was trained on, integers [N], or [N, L] in {-1, 0, +1}.
        verified: bool [N], rows that the protocol declares clean, which no ranking includes.
        epochs: integers [N], in how many epochs a prediction of the row was seen.
        suspicions: float64 [N] or [N, L] by name, as `label_errors.suspicions` names them; NaN where the label is
            unknown or was never seen, everywhere for a method that reports no predictions.
        preferred: the label that was predicted when the row was last drawn, integers [N], -1 where it never was; or
            [N, L], 0 where it never was.
        weight: of the row or entry in the loss of each of K networks when it was last drawn, [K, N] or
            [K, N, L], NaN where it never was; None where the method reports none.
        target: the label that each network trained on then, integers; None where the method reports none.
        probabilities: of single labels the probability of each class in the last epoch in which the row was seen,
            [N, C] of half precision, NaN where it never was; else None, as where the method reports no predictions.
        alternative: of single labels the class other than the given one that was the most probable on average over
            the epochs, the first of equals, integers [N], -1 where the row was never seen; else None as above.
    """

    sample_id: Array
    given: Array
    verified: Array
    epochs: Array
    suspicions: Mapping[str, Array]
    preferred: Array
    weight: Array | None = None
    target: Array | None = None
    probabilities: Array | None = None
    alternative: Array | None = None

    @property
    def last_probabilities(self) -> Array | None:
        """Of the last epoch in which a row was seen: those of classes, float64 [N, C], or of presence of AUs, [N, L].

        The given label's has the precision of `last`. NaN where never seen, or where the label of an AU is unknown;
        None of single labels where none are kept.
        """
        own = 1 - self.suspicions["last"]
        if self.given.ndim == 2:
            return np.asarray(np.where(self.given > 0, own, 1 - own))
        if self.probabilities is None:
            return None
        found = self.probabilities.astype(np.float64)
        labelled = np.flatnonzero(self.given >= 0)
        found[labelled, self.given[labelled]] = own[labelled]
        return found

    @property
    def kept(self) -> Array | None:
        """The share of networks that last trained on the given label, float64 [N] or [N, L]; NaN where never drawn.

        None where the method reports neither weights nor targets: it trains on all given labels.
        """
        if self.weight is None and self.target is None:
            return None
        unknown = -1 if self.given.ndim == 1 else 0
        never: Array = self.given == unknown
        trained: Array = np.ones_like(never)
        as_given: Array = trained
        if self.weight is not None:
            never, trained = never | np.isnan(self.weight), self.weight > 0
        if self.target is not None:
            never, as_given = never | (self.target == unknown), self.target == self.given
        return np.asarray(np.where(never, np.nan, trained & as_given).mean(axis=0))


def write_training_scores(folder: Path, scores: TrainingScores) -> None:
    """Writes the file into a trial's folder, atomically; the same scores give the same bytes."""
    floats = np.float32 if scores.given.ndim == 1 else np.float16
    arrays: dict[str, Array] = {
        "sample_id": scores.sample_id,
        "given": _narrow(scores.given),
        "verified": scores.verified,
        "epochs": _narrow(scores.epochs),
        "preferred": _narrow(scores.preferred),
    }
    for name, values in scores.suspicions.items():
        whole = name == "forgetting"
        arrays[name] = _narrow(np.nan_to_num(values).astype(np.int64)) if whole else values.astype(floats)
    if scores.weight is not None:
        arrays["weight"] = scores.weight.astype(np.float16)
    if scores.target is not None:
        arrays["target"] = _narrow(scores.target)
    if scores.probabilities is not None:
        arrays["probabilities"] = scores.probabilities.astype(np.float16)
    if scores.alternative is not None:
        arrays["alternative"] = _narrow(scores.alternative)
    write_arrays(folder / TRAINING_SCORES, arrays)


def read_training_scores(folder: Path) -> TrainingScores | None:
    """The scores in a trial's folder; None where it has none.

    Raises:
        BadInput: the file is damaged; the message names it.
    """
    path = folder / TRAINING_SCORES
    if not os.path.lexists(path):
        return None
    found = read_arrays(path)
    if why := _wrong(found):
        raise BadInput(f"{path} is damaged ({why}): remove it, or run the trial again with --fresh")
    given, epochs = found["given"].astype(np.int64), found["epochs"].astype(np.int64)
    known = (given >= 0) & (epochs > 0) if given.ndim == 1 else (given != 0) & (epochs > 0)[:, None]
    suspicions = {name: np.where(known, found[name].astype(np.float64), np.nan) for name in SUSPICIONS}
    weight, target = found.get("weight"), found.get("target")
    probabilities, alternative = found.get("probabilities"), found.get("alternative")
    return TrainingScores(
        sample_id=found["sample_id"],
        given=given,
        verified=found["verified"],
        epochs=epochs,
        suspicions=suspicions,
        preferred=found["preferred"].astype(np.int64),
        weight=None if weight is None else weight.astype(np.float64),
        target=None if target is None else target.astype(np.int64),
        probabilities=None if probabilities is None else probabilities.astype(np.float64),
        alternative=None if alternative is None else alternative.astype(np.int64),
    )


def _narrow(values: Array) -> Array:
    """Whole numbers in the narrowest type that holds them: signed where there is a negative one."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    kind = (
        np.result_type(np.min_scalar_type(low), np.min_scalar_type(-high - 1)) if low < 0 else np.min_scalar_type(high)
    )
    return values.astype(kind)


def _wrong(found: Mapping[str, Array]) -> str:
    """What is wrong with the arrays of a file; "" if nothing is."""
    rows, entries = ("sample_id", "verified", "epochs", "alternative"), ("preferred", *SUSPICIONS)
    for name in ("given", *rows[:-1], *entries):
        if name not in found:
            return f"{name} is missing"
    given = found["given"]
    if given.ndim not in (1, 2):
        return "given labels are neither [N] nor [N, L]"
    for name, array in found.items():
        networks = array.shape[:1] if name in ("weight", "target") else ()
        classes = array.shape[-1:] if name == "probabilities" else ()
        shape = given.shape[:1] if name in rows else given.shape
        if array.shape != (*networks, *shape, *classes) or networks == (0,):
            return f"{name} is {list(array.shape)}, for given labels {list(given.shape)}"
    if len({len(found[name]) for name in ("weight", "target") if name in found} - {1}) > 1:
        return "weights and targets are of different numbers of networks"
    kinds = {**dict.fromkeys(found, "iu"), **dict.fromkeys(SUSPICIONS, "f"), "verified": "b", "weight": "f"}
    kinds |= {"forgetting": "iu", "probabilities": "f"}
    for name, array in found.items():
        if array.dtype.kind not in kinds[name]:
            return f"{name} holds {array.dtype}"
    return _wrong_values(found)


def _wrong_values(found: Mapping[str, Array]) -> str:
    """What is wrong with values on which scores are computed; "" if nothing is."""
    given, probabilities = found["given"], found.get("probabilities")
    if np.isinf(found["loss"]).any():
        return "a loss is infinite"
    if probabilities is not None:
        if given.ndim == 2:
            return "probabilities are of classes, given labels of AUs"
        if (classes := probabilities.shape[1]) < 2 or given.max(initial=0) >= classes:
            return f"probabilities are of {classes} classes, given labels of {given.max(initial=0) + 1}"
        if ((probabilities < 0) | (probabilities > 1)).any():
            return "a probability lies outside [0, 1]"
    return ""
