"""Confident learning: label quality, and which labels are wrong, from probabilities that are best out of sample.

Quality is higher where a given label is more likely right; suspicion is 1 - quality. Labels are single, int [N] with
probabilities [N, C], or of AUs, [N, L] in {-1, 0, +1} with probabilities [N, L] of presence: each AU is then a problem
of two classes, absent and present, over its known entries. Rows with an unknown label or a probability that is NaN are
left out. Values are those of cleanlab 2.9.0. NumPy, float64.

Source: Northcutt et al., "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .dynamics import given_probability
from .labels import Floats, Labels, Mask, checked, known, most_of_others, of_given

NEGLIGIBLE = 1e-6  # difference of probabilities
UNREACHABLE = 2.0  # threshold of a class that no row is given

Aggregate = Literal["ema", "softmin", "min", "mean"]


def self_confidence(probabilities: ArrayLike, labels: ArrayLike) -> Floats:
    """Probability of the given label: quality float64 [N] or [N, L] in [0, 1].

    Raises:
        ValueError: shapes that do not fit, or labels out of range.
    """
    return given_probability(*_of_rows(probabilities, labels))


def normalized_margin(probabilities: ArrayLike, labels: ArrayLike) -> Floats:
    """(p of the given label - largest other p + 1) / 2: quality float64 [N] or [N, L] in [0, 1].

    Of an AU it is the self-confidence. Errors as above.
    """
    scores, given = _of_rows(probabilities, labels)
    if given.ndim == 2:
        return given_probability(scores, given)
    return (of_given(scores, given) - most_of_others(scores, given) + 1) / 2


def confidence_weighted_entropy(probabilities: ArrayLike, labels: ArrayLike) -> Floats:
    """log(1 + s) / s for s the normalised entropy over the self-confidence: quality float64 [N] or [N, L].

    Probabilities are raised to at least 1e-6 first, and the row divided by its sum: a probability of exactly 1 has no
    entropy, and would make a right label the worst of all. Errors as above.
    """
    scores, given = _of_rows(probabilities, labels)
    classes = scores if given.ndim == 1 else np.stack([1 - scores, scores], axis=-1)
    classes = np.maximum(classes, NEGLIGIBLE)
    classes = classes / classes.sum(axis=-1, keepdims=True)
    entropy = -(classes * np.log(classes)).sum(axis=-1) / np.log(classes.shape[-1])
    if given.ndim == 1:
        own = of_given(classes, given)
    else:
        own = np.where(given == 0, np.nan, np.where(given > 0, classes[..., 1], classes[..., 0]))
    ratio = entropy / np.maximum(own, NEGLIGIBLE)
    return np.asarray(np.log1p(ratio) / np.maximum(ratio, NEGLIGIBLE))


def confident_thresholds(probabilities: ArrayLike, labels: ArrayLike) -> Floats:
    """Mean probability of each class over the rows given it, at least 2e-6: float64 [C], or [L, 2] absent and present.

    It is 2, which no probability reaches, for a class that no row is given. Errors as above.
    """
    found = [_thresholds(*problem) for problem, _ in problems(probabilities, labels)]
    return _stacked(found, labels, (2,))


def confident_joint(probabilities: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """Counts of rows by given and guessed class: int64 [C, C], or [L, 2, 2] absent and present.

    A row counts where a probability reaches its class's threshold; its guess is that class, and of several the most
    probable class of all. The diagonal is at least 1. Counts are not calibrated. Errors as above.
    """
    found = [_joint(*problem) for problem, _ in problems(probabilities, labels)]
    return _stacked(found, labels, (2, 2)).astype(np.int64)


def confident_errors(probabilities: ArrayLike, labels: ArrayLike) -> Mask:
    """Which labels are likely wrong, bool [N] or [N, L]: rows that count in the joint whose guess is another class.

    Not those whose most probable class is the given one, a difference of 1e-6 aside. Errors as above.
    """
    found = []
    for (scores, given), rows in problems(probabilities, labels):
        guess = _guesses(scores, given)
        favoured = scores.copy()
        favoured[np.arange(len(given)), given] += NEGLIGIBLE
        wrong = np.zeros(len(rows), dtype=np.bool_)
        wrong[rows] = (guess >= 0) & (guess != given) & (favoured.argmax(axis=1) != given)
        found.append(wrong)
    if np.ndim(labels) == 1:
        return found[0]
    return np.stack(found, axis=1) if found else np.zeros(np.shape(labels), dtype=np.bool_)


def estimated_error_rate(probabilities: ArrayLike, labels: ArrayLike) -> float | Floats:
    """Estimated share of wrong labels, float or float64 [L]: that of the joint, each row scaled to its label's count.

    NaN without a known label. An estimate that leans on calibrated probabilities, no measurement. Errors as above.
    """
    rates = []
    for (scores, given), _ in problems(probabilities, labels):
        joint = _joint(scores, given)
        counts = np.bincount(given, minlength=len(joint))
        right = (counts * np.diagonal(joint) / joint.sum(axis=1)).sum()
        rates.append(1 - right / len(given) if len(given) else np.nan)
    return float(rates[0]) if np.ndim(labels) == 1 else np.array(rates, dtype=np.float64)


def aggregate_quality(
    quality: ArrayLike, how: Aggregate = "ema", alpha: float = 0.8, temperature: float = 0.1
) -> Floats:
    """One quality for each row from those of its entries.

    Args:
        quality: [N, L], NaN for entries to leave out.
        how: "ema", the exponential moving average from the best entry to the worst; "softmin", the mean with weights
            softmax((1 - quality) / temperature); "min"; "mean".
        alpha: weight of the next worse entry.
        temperature: of the softmin.

    Returns:
        float64 [N]; NaN for a row without an entry.

    Raises:
        ValueError: qualities are not [N, L], or another `how`.

    Source: Thyagarajan et al., "Identifying Incorrect Annotations in Multi-Label Classification Data", 2022, §3.
    """
    scores = np.asarray(quality, dtype=np.float64)
    if scores.ndim != 2:
        raise ValueError(f"qualities must be [N, L], not {scores.shape}")
    falling = -np.sort(-scores, axis=1)  # what is NaN comes last
    there = ~np.isnan(falling)
    if how == "ema":
        found = falling[:, 0] if scores.shape[1] else np.full(len(scores), np.nan)
        for column in falling.T[1:]:
            found = np.where(np.isnan(column), found, alpha * column + (1 - alpha) * found)
        return found
    any_there = there.any(axis=1)
    lowest = np.where(any_there, np.where(there, falling, np.inf).min(axis=1, initial=np.inf), np.nan)
    if how == "min":
        return lowest
    if how == "mean":
        weights = there.astype(np.float64)
    elif how == "softmin":
        weights = np.where(there, np.exp((lowest[:, None] - falling) / temperature), 0.0)
    else:
        raise ValueError(f"how must be ema, softmin, min or mean, not {how!r}")
    total = np.where(any_there, weights.sum(axis=1), np.nan)
    return np.asarray((np.where(there, falling, 0.0) * weights).sum(axis=1) / total)


def problems(probabilities: ArrayLike, labels: ArrayLike) -> Iterator[tuple[tuple[Floats, Labels], Mask]]:
    """Problems of single labels: probabilities [n, C] and labels [n] of known rows, and which rows [N] they are.

    One for labels [N], one for each AU of [N, L], with the classes absent and present. Errors as above.
    """
    scores, given = _of_rows(probabilities, labels)
    if given.ndim == 1:
        rows = known(given) & ~np.isnan(scores).any(axis=1)
        yield (scores[rows], given[rows]), rows
        return
    for score, sign in zip(scores.T, given.T, strict=True):
        rows = (sign != 0) & ~np.isnan(score)
        present = score[rows]
        yield (np.stack([1 - present, present], axis=1), (sign[rows] > 0).astype(np.int64)), rows


def _of_rows(probabilities: ArrayLike, labels: ArrayLike) -> tuple[Floats, Labels]:
    scores, given = checked(probabilities, labels)
    if scores.ndim != 2:
        raise ValueError(f"probabilities must be two-dimensional, not {scores.shape}")
    return scores, given


def _stacked(found: list[Floats], labels: ArrayLike, shape: tuple[int, ...]) -> Floats:
    """The result of single labels, or those of the AUs together, each of some shape."""
    if np.ndim(labels) == 1:
        return found[0]
    return np.stack(found) if found else np.zeros((0, *shape))


def _thresholds(scores: Floats, given: Labels) -> Floats:
    found = np.full(scores.shape[1], UNREACHABLE)
    for place in np.unique(given):
        found[place] = max(scores[given == place, place].mean(), 2 * NEGLIGIBLE)
    return found


def _guesses(scores: Floats, given: Labels) -> Labels:
    """The class that each row is guessed to be of, [n]; -1 where no probability reaches its threshold."""
    confident = scores >= _thresholds(scores, given) - NEGLIGIBLE
    count = confident.sum(axis=1)
    one = np.where(count == 1, confident.argmax(axis=1), -1)
    return np.where(count > 1, scores.argmax(axis=1), one)


def _joint(scores: Floats, given: Labels) -> Floats:
    guess, classes = _guesses(scores, given), scores.shape[1]
    counted = guess >= 0
    flat = np.bincount(given[counted] * classes + guess[counted], minlength=classes * classes)
    joint = flat.reshape(classes, classes).astype(np.float64)
    np.fill_diagonal(joint, np.maximum(np.diagonal(joint), 1))
    return joint
