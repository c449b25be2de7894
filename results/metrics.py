"""Metrics, as pure functions of probabilities and labels, vote shares or confusion counts. NumPy, float64."""

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


def negative_log_likelihood(probabilities: ArrayLike, target: ArrayLike, floor: float = 1e-12) -> float:
    """Mean of -Σ_c t_c·log max(p_c, floor): the cross-entropy between a target and the prediction.

    Args:
        probabilities: [N, C], used as they are.
        target: labels [N] in 0..C-1, where a negative one is unknown and its row is left out; or distributions [N, C],
            whose rows sum to 1, as shares of annotators' votes.
        floor: lowest probability.

    Returns:
        At least 0; NaN when no row is left.

    Raises:
        ValueError: shapes that do not fit, a label of C or more, rows that are no distributions, values not finite.
    """
    scores, wanted = _targets(probabilities, target)
    return _row_mean((wanted * -np.log(np.maximum(scores, floor))).sum(axis=1))


def brier(probabilities: ArrayLike, target: ArrayLike) -> float:
    """Mean of Σ_c (p_c - t_c)², in [0, 2] for probabilities that sum to 1.

    Args:
        probabilities: [N, C].
        target: labels [N] or distributions [N, C]; see `negative_log_likelihood`. Against a distribution it is not the
            expected score of a label drawn from it, which has Σ t_c·(1 - t_c) in addition.

    Returns:
        NaN when no row is left.
    """
    scores, wanted = _targets(probabilities, target)
    return _row_mean(np.square(scores - wanted).sum(axis=1))


def kl_divergence(target: ArrayLike, probabilities: ArrayLike, floor: float = 1e-12) -> float:
    """Mean of Σ_c t_c·(log t_c - log max(p_c, floor)): what the log-likelihood lacks to that of the target itself.

    Args:
        target: labels [N] or distributions [N, C]; see `negative_log_likelihood`. It comes first, as in KL(t || p).
        probabilities: [N, C].
        floor: lowest probability.

    Returns:
        At least 0 for probabilities that sum to 1; NaN when no row is left.
    """
    scores, wanted = _targets(probabilities, target)
    logarithm = np.log(wanted, out=np.zeros_like(wanted), where=wanted > 0)
    return _row_mean((wanted * (logarithm - np.log(np.maximum(scores, floor)))).sum(axis=1))


def expected_calibration_error(probabilities: ArrayLike, target: ArrayLike, bins: int = 15) -> float:
    """How far confidence is from being right: their difference by bins of confidence, weighted by rows.

    The confidence of a row is its largest probability. The class it is of, the first on ties, is right to the share
    that the target has of it: 1 or 0 for a label. Bins are of equal width and closed on the right.

    Args:
        probabilities: [N, C].
        target: labels [N] or distributions [N, C]; see `negative_log_likelihood`.
        bins: how many.

    Returns:
        In [0, 1]; NaN when no row is left.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    scores, wanted = _targets(probabilities, target)
    if not len(scores):
        return float("nan")
    confidence = scores.max(axis=1)
    right = np.take_along_axis(wanted, scores.argmax(axis=1)[:, None], axis=1)[:, 0]
    edges = np.arange(1, bins) / bins
    gaps = np.bincount(np.searchsorted(edges, confidence, side="left"), weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(scores))


def _targets(probabilities: ArrayLike, target: ArrayLike) -> tuple[Floats, Floats]:
    """Probabilities and target distributions [N, C] of the rows whose target is known."""
    wanted = np.asarray(target)
    if wanted.ndim != 2:
        scores, labels = _checked(probabilities, wanted)
        if labels.shape != scores.shape[:1]:
            raise ValueError(f"target {labels.shape} does not fit probabilities {scores.shape}")
        if labels.size and labels.max() >= scores.shape[1]:
            raise ValueError(f"label {labels.max()} of {scores.shape[1]} classes")
        known = labels >= 0
        return scores[known], np.eye(scores.shape[1])[labels[known]]
    scores, _ = _checked(probabilities, np.zeros(0))
    shares = wanted.astype(np.float64)
    if shares.shape != scores.shape:
        raise ValueError(f"target {shares.shape} does not fit probabilities {scores.shape}")
    if not (np.isfinite(shares).all() and (shares >= 0).all() and np.allclose(shares.sum(axis=1), 1, atol=1e-4)):
        raise ValueError("target rows are no distributions: they must be finite, not negative, and sum to 1")
    return scores, shares


def _row_mean(values: Floats) -> float:
    return float(values.mean()) if values.size else float("nan")


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
