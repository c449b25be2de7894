"""How well the scores of a trial's training find the wrong labels among its training rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..label_errors import (
    at_budget,
    auroc,
    average_precision,
    confidence_weighted_entropy,
    errors,
    lift_at,
    mixture_suspicion,
    normalized_margin,
    self_confidence,
)
from ..records.training_scores import SUSPICIONS, TrainingScores

IN_SAMPLE = ("self-confidence", "normalized margin", "entropy-weighted")  # of the last predictions in training
SCORES = (*SUSPICIONS, "mixture", *IN_SAMPLE, "left out")

Array = NDArray[Any]


@dataclass(frozen=True)
class Found:
    """How well a suspicion finds wrong labels, all in [0, 1] but for the lifts; NaN where there is no such number.

    Attributes:
        auroc: probability that a wrong label is more suspicious than a right one.
        auprc: average precision; that of a random ranking is the error rate.
        precision, missed: at a budget of as many labels as are wrong, the share of wrong ones among the labels looked
            at, and the share of the wrong ones that are not looked at.
        error_rate: share of wrong labels among those ranked.
        ranked: how many labels are ranked, of those whose reference is known and that are not verified; a share.
        lift_1, lift_5, lift_10: precision among the most suspicious 1, 5 and 10 % over the error rate, at least 0.
    """

    auroc: float
    auprc: float
    precision: float
    missed: float
    error_rate: float
    ranked: float
    lift_1: float
    lift_5: float
    lift_10: float


@dataclass(frozen=True)
class Finding:
    """What one suspicion of a trial finds: of all labels, of AUs the mean over those with a value; and of each class.

    Classes are given ones, since a user knows no other; or AUs.
    """

    whole: Found
    by_class: tuple[Found, ...]


def findings(
    scores: TrainingScores, reference: Array, classes: int, suspicions: Mapping[str, Array] | None = None
) -> dict[str, Finding]:
    """What each suspicion of a trial finds; verified rows are not ranked, nor is what no reference is known of.

    Args:
        scores: of its training rows.
        reference: their reference labels, of the same shape as the given ones.
        classes: number of classes, or of AUs.
        suspicions: by name, of the shape of the given labels; None: those of `suspicions_of`.

    Raises:
        ValueError: reference labels of another shape.
    """
    wrong, asked = asked_for(scores, reference)
    found = {}
    for name, suspicion in (suspicions_of(scores) if suspicions is None else suspicions).items():
        if wrong.ndim == 1:
            parts = [_found(suspicion, wrong, asked & (scores.given == each)) for each in range(classes)]
            found[name] = Finding(_found(suspicion, wrong, asked), tuple(parts))
        else:
            parts = [_found(suspicion[:, au], wrong[:, au], asked[:, au]) for au in range(classes)]
            found[name] = Finding(_mean(parts), tuple(parts))
    return found


def asked_for(scores: TrainingScores, reference: Array) -> tuple[Array, Array]:
    """Which given labels are wrong, and which are ranked at all, bool: of known reference, and not verified.

    Raises:
        ValueError: reference labels of another shape.
    """
    wrong, known = errors(scores.given, reference)
    return wrong, known & ~(scores.verified if wrong.ndim == 1 else scores.verified[:, None])


def suspicions_of(scores: TrainingScores) -> dict[str, Array]:
    """The suspicions of a trial by name, each of the shape of the given labels.

    They are those that it keeps; the mixture of its mean losses; one less each quality of confident learning on its
    last predictions in training, where these are kept; and `left out`, the share of networks that did not train on the
    given label, where the method reports that and left out any.
    """
    labels, probabilities, kept = unverified_labels(scores), scores.last_probabilities, scores.kept
    found = {**scores.suspicions, "mixture": _mixture(scores.suspicions["loss"], labels)}
    if probabilities is not None:
        found["self-confidence"] = 1 - self_confidence(probabilities, labels)
        if labels.ndim == 1:  # of AUs it is the self-confidence
            found["normalized margin"] = 1 - normalized_margin(probabilities, labels)
        found["entropy-weighted"] = 1 - confidence_weighted_entropy(probabilities, labels)
    nothing = kept is None or not (kept < 1).any()
    return found if nothing or kept is None else {**found, "left out": 1 - kept}


def unverified_labels(scores: TrainingScores) -> Array:
    """The given labels, those of verified rows as unknown: they are declared right, and tell nothing of the others."""
    if scores.given.ndim == 1:
        return np.asarray(np.where(scores.verified, -1, scores.given))
    return np.asarray(np.where(scores.verified[:, None], 0, scores.given))


def _mixture(losses: Array, labels: Array) -> Array:
    """The suspicions of mixtures: one of all losses, of AUs one for each AU and sign of the given label."""
    if labels.ndim == 1:
        return mixture_suspicion(np.where(labels >= 0, losses, np.nan))
    found = np.full(labels.shape, np.nan)
    for au in range(labels.shape[1]):
        for sign in (-1, 1):
            rows = labels[:, au] == sign
            found[rows, au] = mixture_suspicion(losses[rows, au])
    return found


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
        lift_1=lift_at(score, bad, 0.01),
        lift_5=lift_at(score, bad, 0.05),
        lift_10=lift_at(score, bad, 0.1),
    )


def _mean(parts: Sequence[Found]) -> Found:
    """The mean of each number over the AUs that have it."""
    return Found(*(mean_of([getattr(part, name) for part in parts]) for name in Found.__dataclass_fields__))


def mean_of(values: Sequence[float]) -> float:
    """The mean of what is not NaN; NaN where nothing is left."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan
