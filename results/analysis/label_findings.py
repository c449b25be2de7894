"""How well the scores of a trial's training find the wrong labels among its training rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..label_errors import at_budget, auroc, average_precision, errors
from ..records.training_scores import SUSPICIONS, TrainingScores

SCORES = (*SUSPICIONS, "left out")

Array = NDArray[Any]


@dataclass(frozen=True)
class Found:
    """How well a suspicion finds wrong labels, all in [0, 1]; NaN where there is no such number.

    Attributes:
        auroc: probability that a wrong label is more suspicious than a right one.
        auprc: average precision; that of a random ranking is the error rate.
        precision, missed: at a budget of as many labels as are wrong, the share of wrong ones among the labels looked
            at, and the share of the wrong ones that are not looked at.
        error_rate: share of wrong labels among those ranked.
        ranked: how many labels are ranked, of those whose reference is known and that are not verified; a share.
    """

    auroc: float
    auprc: float
    precision: float
    missed: float
    error_rate: float
    ranked: float


@dataclass(frozen=True)
class Finding:
    """What one suspicion of a trial finds: of all labels, of AUs the mean over those with a value; and of each class.

    Classes are given ones, since a user knows no other; or AUs.
    """

    whole: Found
    by_class: tuple[Found, ...]


def findings(scores: TrainingScores, reference: Array, classes: int) -> dict[str, Finding]:
    """What each suspicion of a trial finds; verified rows are not ranked, nor is what no reference is known of.

    Args:
        scores: of its training rows; `left out` is the share of networks that did not train on the given label.
        reference: their reference labels, of the same shape as the given ones.
        classes: number of classes, or of AUs.

    Raises:
        ValueError: reference labels of another shape.
    """
    wrong, known = errors(scores.given, reference)
    asked = known & ~(scores.verified if wrong.ndim == 1 else scores.verified[:, None])
    found = {}
    for name, suspicion in suspicions_of(scores).items():
        if wrong.ndim == 1:
            parts = [_found(suspicion, wrong, asked & (scores.given == each)) for each in range(classes)]
            found[name] = Finding(_found(suspicion, wrong, asked), tuple(parts))
        else:
            parts = [_found(suspicion[:, au], wrong[:, au], asked[:, au]) for au in range(classes)]
            found[name] = Finding(_mean(parts), tuple(parts))
    return found


def suspicions_of(scores: TrainingScores) -> Mapping[str, Array]:
    """The suspicions of a trial by name, with what the method itself decided where it reports that."""
    kept = scores.kept
    return {**scores.suspicions, **({} if kept is None else {"left out": 1 - kept})}


def _found(suspicion: Array, wrong: Array, asked: Array) -> Found:
    """Of the labels asked for, those that have a suspicion are ranked."""
    ranked = asked & ~np.isnan(suspicion)
    score, bad = suspicion[ranked], wrong[ranked]
    precision, _, missed = at_budget(score, bad, int(bad.sum()))
    return Found(
        auroc=auroc(score, bad),
        auprc=average_precision(score, bad),
        precision=precision,
        missed=missed,
        error_rate=float(bad.mean()) if len(bad) else math.nan,
        ranked=float(ranked.sum() / asked.sum()) if asked.any() else math.nan,
    )


def _mean(parts: Sequence[Found]) -> Found:
    """The mean of each number over the AUs that have it."""

    def mean(name: str) -> float:
        values = [value for part in parts if not math.isnan(value := getattr(part, name))]
        return math.fsum(values) / len(values) if values else math.nan

    return Found(*(mean(name) for name in Found.__dataclass_fields__))
