"""What functions of probabilities and given labels have in common: checked arrays, the given entry, the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Mask = NDArray[np.bool_]


def checked(values: ArrayLike, labels: ArrayLike) -> tuple[Floats, Labels]:
    """Values and the labels they belong to, as float64 and int64 arrays.

    Args:
        values: probabilities or logits, [..., N, C] for single labels, [..., N, L] for AUs.
        labels: [N] classes, negative where unknown; or [N, L] in {-1, 0, +1}, 0 where unknown.

    Raises:
        ValueError: shapes that do not fit, fewer than two classes, a label that is no class or no AU label.
    """
    scores, raw = np.asarray(values, dtype=np.float64), np.asarray(labels)
    if raw.ndim not in (1, 2):
        raise ValueError(f"labels must be [N] or [N, L], not {raw.shape}")
    if scores.ndim < 2 or scores.shape[-2:][: raw.ndim] != raw.shape:
        raise ValueError(f"labels {raw.shape} do not fit probabilities {scores.shape}")
    given = raw.astype(np.int64)
    if not np.array_equal(given, raw):
        raise ValueError("labels are not whole numbers")
    if given.ndim == 1:
        if scores.shape[-1] < 2:
            raise ValueError("single labels need at least two classes")
        if given.size and given.max() >= scores.shape[-1]:
            raise ValueError(f"label {given.max()} of {scores.shape[-1]} classes")
    elif given.size and np.abs(given).max() > 1:
        raise ValueError("AU labels lie outside {-1, 0, +1}")
    return scores, given


def known(labels: Labels) -> Mask:
    """Which labels are known: [N] at least 0, or [N, L] other than 0."""
    return labels >= 0 if labels.ndim == 1 else labels != 0


def of_given(values: Floats, labels: Labels) -> Floats:
    """The values of the given classes, [..., N] of [..., N, C]; NaN where the label is unknown."""
    found = np.take_along_axis(values, _place(values, labels), axis=-1)[..., 0]
    return np.where(labels >= 0, found, np.nan)


def most_of_others(values: Floats, labels: Labels) -> Floats:
    """The largest value among the other classes, [..., N] of [..., N, C]; NaN where one of them is."""
    others = values.copy()
    np.put_along_axis(others, _place(values, labels), -np.inf, axis=-1)
    return np.asarray(others.max(axis=-1))


def _place(values: Floats, labels: Labels) -> Labels:
    """The given class of each row as an index [..., N, 1]; the first class where it is unknown."""
    return np.broadcast_to(labels.clip(min=0), values.shape[:-1])[..., None]
