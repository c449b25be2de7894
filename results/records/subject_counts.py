"""Confusion counts of a trial for each subject."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Subjects:
    """Confusion counts of a trial's test rows for each subject. Instances compare by identity.

    Attributes:
        names: the subjects, sorted.
        counts: integers [S, L, 4]: true positives, false positives, false negatives, true negatives of each AU.
    """

    names: tuple[str, ...]
    counts: NDArray[np.unsignedinteger]


def count_by_subject(probabilities: ArrayLike, labels: ArrayLike, groups: ArrayLike) -> Subjects:
    """Counts by subject, over known entries, predicted present at p >= 0.5.

    Args:
        probabilities: [N, L], finite.
        labels: [N, L] in {-1, 0, +1}; 0 is unknown.
        groups: [N], the subject of each row.

    Raises:
        ValueError: shapes that do not fit.
    """
    scores, given, members = np.asarray(probabilities), np.asarray(labels), np.asarray(groups)
    if scores.ndim != 2 or scores.shape != given.shape or members.shape != given.shape[:1]:
        raise ValueError(f"probabilities {scores.shape}, labels {given.shape} and groups {members.shape} do not fit")
    names, member = np.unique(members, return_inverse=True)
    width = given.shape[1]
    outcome = 2 * (given < 0) + (scores < 0.5)  # hit, miss, false alarm, true negative
    column = np.array([0, 2, 1, 3])[outcome]
    flat = (member.reshape(-1, 1) * width + np.arange(width)) * 4 + column
    counts = np.bincount(flat[given != 0], minlength=len(names) * width * 4).reshape(len(names), width, 4)
    smallest = np.min_scalar_type(int(counts.max(initial=0)))
    return Subjects(tuple(map(str, names)), counts.astype(smallest))
