"""Metrics, as pure functions of probabilities and labels or of confusion counts. NumPy, float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def confusion(probabilities: ArrayLike, labels: ArrayLike) -> Counts:
    """Confusion counts of a single-label problem; the prediction is the most probable class, the first on ties.

    Args:
        probabilities: [N, C], finite.
        labels: [N] in 0..C-1; a negative label is unknown and its row is left out.

    Returns:
        int64 [C, C]: rows are labels, columns are predictions.

    Raises:
        ValueError: shapes that do not fit, a label of C or more, a probability that is not finite.
    """
    scores, given = _checked(probabilities, labels)
    rows, classes = scores.shape
    if given.shape != (rows,):
        raise ValueError(f"labels {given.shape} do not fit probabilities {scores.shape}: expected [N] and [N, C]")
    if rows and given.max() >= classes:
        raise ValueError(f"label {given.max()} of {classes} classes")
    known = given >= 0
    predicted = scores.argmax(axis=1)[known] if rows else np.zeros(0, dtype=np.int64)
    flat = np.bincount(given[known] * classes + predicted, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)


def binary_confusion(probabilities: ArrayLike, labels: ArrayLike, threshold: float = 0.5) -> Counts:
    """Confusion counts of each AU over its known entries; predicted present when p >= threshold.

    Args:
        probabilities: [N, L], finite.
        labels: [N, L] in {-1, 0, +1}; 0 is unknown.
        threshold: applied to every AU.

    Returns:
        int64 [L, 4]: true positives, false positives, false negatives, true negatives.

    Raises:
        ValueError: shapes that do not fit, a label outside {-1, 0, +1}, a probability that is not finite.
    """
    scores, given = _checked(probabilities, labels)
    if given.shape != scores.shape:
        raise ValueError(f"labels {given.shape} do not fit probabilities {scores.shape}: expected [N, L] twice")
    if given.size and np.abs(given).max() > 1:
        raise ValueError("AU labels lie outside {-1, 0, +1}")
    predicted = scores >= threshold
    present, absent = given > 0, given < 0
    cells = (predicted & present, predicted & absent, ~predicted & present, ~predicted & absent)
    return np.stack([cell.sum(axis=0) for cell in cells], axis=1).astype(np.int64)


def accuracy(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Share of rows whose most probable class is the label; rows of unknown label (< 0) are left out.

    Args:
        probabilities: [N, C].
        labels: [N].

    Returns:
        In [0, 1]; NaN when no label is known.
    """
    return accuracy_of(confusion(probabilities, labels))


def mean_class_accuracy(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean recall over the classes present in the labels; a class without a label does not count.

    Args:
        probabilities: [N, C].
        labels: [N]; a negative label is unknown and its row is left out.

    Returns:
        In [0, 1]; NaN when no label is known.
    """
    return mean_class_accuracy_of(confusion(probabilities, labels))


def f1_per_label(probabilities: ArrayLike, labels: ArrayLike, threshold: float = 0.5) -> Floats:
    """F1 of the positive class of each AU over its known entries, 0 where it is undefined.

    Args:
        probabilities: [N, L].
        labels: [N, L] in {-1, 0, +1}; 0 is unknown.
        threshold: predicted present when p >= threshold.

    Returns:
        float64 [L] in [0, 1].
    """
    return f1_of(binary_confusion(probabilities, labels, threshold))


def accuracy_of(counts: ArrayLike) -> float:
    """Accuracy from confusion counts [C, C]; NaN when they are empty."""
    table = np.asarray(counts, dtype=np.float64)
    total = table.sum()
    return float(np.trace(table) / total) if total else float("nan")


def recall_of(counts: ArrayLike) -> Floats:
    """Recall of each class, float64 [C], from confusion counts [C, C]; NaN for a class without a label."""
    table = np.asarray(counts, dtype=np.float64)
    return _divided(np.diagonal(table), table.sum(axis=1), np.nan)


def mean_class_accuracy_of(counts: ArrayLike) -> float:
    """Mean recall over the classes present, from confusion counts [C, C]; NaN when they are empty."""
    recall = recall_of(counts)
    present = recall[~np.isnan(recall)]
    return float(present.mean()) if present.size else float("nan")


def f1_of(counts: ArrayLike) -> Floats:
    """F1 of each AU, float64 [L], from counts [L, 4] (tp, fp, fn, tn); 0 where it is undefined."""
    hit, false_alarm, miss, _ = np.asarray(counts, dtype=np.float64).reshape(-1, 4).T
    return _divided(2 * hit, 2 * hit + false_alarm + miss, 0.0)


def known_f1_of(counts: ArrayLike) -> Floats:
    """`f1_of`, with NaN for an AU without a known entry: what nobody judged is neither right nor wrong."""
    table = np.asarray(counts, dtype=np.float64).reshape(-1, 4)
    return np.where(table.sum(axis=1) > 0, f1_of(table), np.nan)


def mean_f1_of(counts: ArrayLike) -> float:
    """Mean F1 over the AUs with a known entry, from counts [L, 4]; 0 when there is none."""
    f1 = known_f1_of(counts)
    known = f1[~np.isnan(f1)]
    return float(known.mean()) if known.size else 0.0


def transition_error(estimated: ArrayLike, true: ArrayLike) -> Floats:
    """Σ|estimated - true| / Σ|true| of transition matrices, P(given | reference).

    For the two rows of an AU it is the sum of the absolute errors of its two flip rates.

    Args:
        estimated: [..., R, C].
        true: same shape; where its rows sum to 1, the divisor is R.

    Returns:
        float64 [...], at most 2 for rows that sum to 1; NaN where an entry is NaN, or without rows.
    """
    wanted = np.asarray(true, np.float64)
    difference = np.abs(np.asarray(estimated, np.float64) - wanted).sum(axis=(-2, -1))
    return _divided(difference, np.abs(wanted).sum(axis=(-2, -1)), np.nan)


def _checked(probabilities: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    scores = np.asarray(probabilities, dtype=np.float64)
    given = np.asarray(labels)
    if scores.ndim != 2:
        raise ValueError(f"probabilities must be two-dimensional, not {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("probabilities hold a value that is not finite")
    if given.size and not np.array_equal(given, given.astype(np.int64)):
        raise ValueError("labels are not whole numbers")
    return scores, given.astype(np.int64)


def _divided(numerator: Floats, denominator: Floats, otherwise: float) -> Floats:
    result = np.full(denominator.shape, otherwise)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result
