"""How many labels of a trial are wrong, estimated without reference labels, and what looking at so many would find."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..label_errors import at_budget, budget_of, confident_errors, estimated_error_rate
from ..label_errors.cleanlab_scores import cleanlab_error_rate, cleanlab_suspicions
from ..records.training_scores import TrainingScores
from .label_findings import Finding, asked_for, findings, mean_of, suspicions_of, unverified_labels

Array = NDArray[Any]

CONFIDENT = "confident"  # the first word of the names of estimates by confident learning
CLEANLAB = "cleanlab"  # the first word of the names of its scores and of its estimate


@dataclass(frozen=True)
class ErrorRate:
    """An estimate of the share of wrong labels, from given labels and predictions alone.

    Attributes:
        share: float64 [1], or [L] of AUs.
        score: the suspicion by which so many labels would be looked at.
    """

    share: Array
    score: str


@dataclass(frozen=True)
class Estimate:
    """An estimated number of wrong labels beside the true one, and what it finds; of AUs each the mean over them.

    NaN where there is no such number.

    Attributes:
        rate: estimated share of wrong labels, among all that are neither unknown nor verified.
        error_rate: the true share, among those whose reference is known.
        budget: as many of the latter as the estimated share stands for.
        precision, missed: at this budget, the share of wrong ones among the labels looked at, and the share of the
            wrong ones that are not looked at.
    """

    rate: float
    error_rate: float
    budget: float
    precision: float
    missed: float


def label_errors_of(
    scores: TrainingScores, reference: Array, classes: int, *, cleanlab: bool = False
) -> tuple[dict[str, Finding], dict[str, Estimate]]:
    """What the suspicions of a trial find, and its estimates of the number of wrong labels.

    Args:
        scores: of its training rows.
        reference: their reference labels, of the same shape as the given ones.
        classes: number of classes, or of AUs.
        cleanlab: with the scores and the estimate of that package, which is installed.

    Raises:
        ValueError: reference labels of another shape.
    """
    suspicions = suspicions_of(scores)
    rates = error_rates_of(scores, suspicions)
    probabilities, labels = scores.last_probabilities, unverified_labels(scores)
    if cleanlab and probabilities is not None:
        theirs = cleanlab_suspicions(probabilities, labels)
        suspicions |= {f"{CLEANLAB} {name}": values for name, values in theirs.items()}
        share = np.atleast_1d(cleanlab_error_rate(probabilities, labels))
        rates[f"{CLEANLAB} find_label_issues"] = ErrorRate(share, f"{CLEANLAB} self_confidence")
    return findings(scores, reference, classes, suspicions), estimates(scores, reference, suspicions, rates)


def error_rates_of(scores: TrainingScores, suspicions: Mapping[str, Array]) -> dict[str, ErrorRate]:
    """The estimates by name: of confident learning by its joint and by its count, and of the mixture.

    Args:
        scores: of a trial.
        suspicions: as `suspicions_of` has them.
    """
    found, probabilities, labels = {}, scores.last_probabilities, unverified_labels(scores)
    if probabilities is not None:
        score = "self-confidence"
        found[f"{CONFIDENT} joint"] = ErrorRate(np.atleast_1d(estimated_error_rate(probabilities, labels)), score)
        marked = np.where(np.isnan(suspicions[score]), np.nan, confident_errors(probabilities, labels))
        found[f"{CONFIDENT} count"] = ErrorRate(_means(marked), score)
    found["mixture"] = ErrorRate(_means(suspicions["mixture"]), "mixture")
    return found


def estimates(
    scores: TrainingScores, reference: Array, suspicions: Mapping[str, Array], rates: Mapping[str, ErrorRate]
) -> dict[str, Estimate]:
    """Each estimate of a trial beside the truth.

    Args:
        scores: of its training rows.
        reference: their reference labels, of the same shape as the given ones.
        suspicions: by name.
        rates: by name.

    Raises:
        ValueError: reference labels of another shape.
    """
    wrong, asked = asked_for(scores, reference)
    found = {}
    for name, rate in rates.items():
        columns = (_columns(each) for each in (suspicions[rate.score], wrong, asked))
        parts = [_estimate(*part) for part in zip(rate.share.tolist(), *columns, strict=True)]
        means = (mean_of([getattr(part, field) for part in parts]) for field in Estimate.__dataclass_fields__)
        found[name] = Estimate(*means)
    return found


def _estimate(rate: float, suspicion: Array, wrong: Array, asked: Array) -> Estimate:
    ranked = asked & ~np.isnan(suspicion)
    score, bad = suspicion[ranked], wrong[ranked]
    if math.isnan(rate) or not len(bad):
        return Estimate(rate, float(bad.mean()) if len(bad) else math.nan, math.nan, math.nan, math.nan)
    budget = budget_of(rate, len(bad))
    precision, _, missed = at_budget(score, bad, budget)
    return Estimate(rate, float(bad.mean()), budget, precision, missed)


def _columns(values: Array) -> Array:
    """[1, N] of single labels, [L, N] of AUs."""
    return np.atleast_2d(values.T)


def _means(values: Array) -> Array:
    """Means [1] or [L] of what is not NaN; NaN where nothing is left."""
    return np.array([mean_of(column.tolist()) for column in _columns(values)])
