"""Labels in the order in which trained models doubt them, each with the label that they would give instead.

An entry is the label of a row, or of one AU of a row. Nothing here knows a reference label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..label_errors import confidence_weighted_entropy, normalized_margin, self_confidence
from ..records.training_scores import TrainingScores

IN_TRAINING = ("mean", "aum", "loss", "forgetting", "last")
OUT_OF_SAMPLE = ("self-confidence", "normalized margin", "entropy-weighted")

Array = NDArray[Any]


@dataclass(frozen=True)
class Judged:
    """What one model says of the labels given to N rows.

    Attributes:
        sample_id: int64 [N], each once.
        given: integers [N], or [N, L] in {-1, 0, +1}.
        asked: bool [N], rows whose labels are in question: not those declared right.
        suspicion: float64, as `given`: one less the probability of the given label; NaN where it is not judged.
        scores: further scores by name, float64, as `given`: higher is more suspicious.
        doubts: bool, as `given`: another label is preferred.
        other: as `given`: the label preferred among those that were not given.
    """

    sample_id: Array
    given: Array
    asked: Array
    suspicion: Array
    scores: Mapping[str, Array]
    doubts: Array
    other: Array


@dataclass(frozen=True)
class Suspects:
    """E entries, the most suspicious first.

    Attributes:
        sample_id: int64 [E].
        unit: int64 [E], the column of the AU; -1 for expressions.
        given, suggested: int64 [E]; suggested is the label that most models prefer among the others.
        suspicion: float64 [E] in [0, 1], the mean over the models.
        agreement: float64 [E], the share of the models that prefer the suggested label to the given one.
        models: int64 [E], how many judged it.
        scores: float64 [E] by name, means over the models that have one, else NaN.
    """

    sample_id: Array
    unit: Array
    given: Array
    suggested: Array
    suspicion: Array
    agreement: Array
    models: Array
    scores: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.sample_id)


def judged_in_training(scores: TrainingScores) -> Judged:
    """What a model says of its own training rows while it learned them: means over the epochs.

    It prefers another label where its mean margin is negative; at the end of training it may know any label by heart.

    Raises:
        ValueError: of expressions, scores without the alternative labels, as trials of earlier versions have them.
    """
    other = -scores.given if scores.given.ndim == 2 else scores.alternative
    if other is None:
        raise ValueError("the trial did not keep which other label its model prefers")
    return Judged(
        scores.sample_id,
        scores.given,
        ~scores.verified,
        scores.suspicions["mean"],
        {name: scores.suspicions[name] for name in IN_TRAINING},
        scores.suspicions["aum"] > 0,
        other,
    )


def judged_out_of_sample(sample_id: Array, given: Array, asked: Array, probabilities: Array) -> Judged:
    """What a model predicts for rows that it did not train on.

    Args:
        sample_id: int64 [N].
        given: their given labels.
        asked: bool [N], rows whose labels are in question.
        probabilities: [N, C] or [N, L] in [0, 1].
    """
    p = np.asarray(probabilities, np.float64)
    qualities = (self_confidence, normalized_margin, confidence_weighted_entropy)
    scores = {name: 1 - quality(p, given) for name, quality in zip(OUT_OF_SAMPLE, qualities, strict=True)}
    if given.ndim == 2:
        doubts, other = (given != 0) & (np.where(p >= 0.5, 1, -1) != given), -given
    else:
        others = p.copy()
        others[np.arange(len(p)), given] = -1.0
        doubts, other = p.argmax(axis=1) != given, others.argmax(axis=1)
    return Judged(sample_id, given, asked, 1 - self_confidence(p, given), scores, doubts, other)


def suspects(judged: Sequence[Judged], by: str) -> Suspects:
    """The entries that were judged, in the order of a score.

    Args:
        judged: of one or more models, at least one; they may have judged different rows.
        by: the name of a score; equal ones go by suspicion, then by row.

    Raises:
        ValueError: a score that no model has, or one row with two given labels.
    """
    if not any(by in each.scores for each in judged):
        raise ValueError(f"no model has the score {by}")
    flat = [_flat(each) for each in judged]
    key = np.concatenate([each["key"] for each in flat])
    entries, first, member, models = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    given = np.concatenate([each["given"] for each in flat])
    if (given != given[first][member]).any():
        raise ValueError("the models were trained on different labels of one row")
    other = np.concatenate([each["other"] for each in flat])
    suggested = _most_frequent(member, other, given[first])
    agree = np.concatenate([each["doubts"] for each in flat]) & (other == suggested[member])
    names = dict.fromkeys(name for each in judged for name in each.scores)
    scores = {
        name: _means(member, np.concatenate([each[name] for each in flat])) for name in names if _in_all(flat, name)
    }
    suspicion = _means(member, np.concatenate([each["suspicion"] for each in flat]))
    order = np.lexsort((entries, -suspicion, -np.nan_to_num(scores[by], nan=-np.inf)))
    width = 1 if judged[0].given.ndim == 1 else judged[0].given.shape[1]
    unit = entries % width if judged[0].given.ndim == 2 else np.full(len(entries), -1)
    return Suspects(
        sample_id=entries[order] // width,
        unit=unit[order],
        given=given[first][order],
        suggested=suggested[order],
        suspicion=suspicion[order],
        agreement=(np.bincount(member, agree, len(entries)) / models)[order],
        models=models[order],
        scores={name: values[order] for name, values in scores.items()},
    )


def _in_all(flat: Sequence[Mapping[str, Array]], name: str) -> bool:
    return all(name in each for each in flat)


def _flat(judged: Judged) -> dict[str, Array]:
    """The entries of a model that are judged and in question, flat; `key` is the row times L plus the AU."""
    multi = judged.given.ndim == 2
    width = judged.given.shape[1] if multi else 1
    asked = judged.asked[:, None] if multi else judged.asked
    chosen = (asked & ~np.isnan(judged.suspicion)).ravel()
    key = (judged.sample_id[:, None] * width + np.arange(width)).ravel()
    columns = {name: getattr(judged, name) for name in ("given", "suspicion", "doubts", "other")} | dict(judged.scores)
    return {"key": key[chosen], **{name: values.ravel()[chosen] for name, values in columns.items()}}


def _most_frequent(member: Array, label: Array, given: Array) -> Array:
    """The label that most models name for each entry but the given one; the smallest of equals."""
    shifted = label - label.min(initial=0)
    counts = np.zeros((len(given), int(shifted.max(initial=0)) + 1), np.int64)
    np.add.at(counts, (member, shifted), 1)
    own = given - label.min(initial=0)
    inside = (own >= 0) & (own < counts.shape[1])
    counts[np.flatnonzero(inside), own[inside]] = -1
    found: Array = counts.argmax(axis=1) + label.min(initial=0)
    return found


def _means(member: Array, values: Array) -> Array:
    """The mean over the models of each entry, of those that have a value."""
    there = ~np.isnan(values)
    count = np.bincount(member[there], minlength=int(member.max(initial=-1)) + 1)
    total = np.bincount(member[there], values[there], minlength=len(count))
    with np.errstate(invalid="ignore"):
        means: Array = total / count
    return means
