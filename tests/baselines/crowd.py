"""Faces, annotators and their labels, and the losses of methods that learn from them, in loops over NumPy float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fernoise_bench.methods.base import Batch, TrainView

from ..methods.toy import make_train
from .linear import double_batch

Array = NDArray[np.float64]
CLASSES, PEOPLE = 3, 4
# Who labelled which of five faces, and how; the last was labelled by nobody.
ANNOTATORS = [
    [[0, 1], [2, 0], [3, 1]],
    [[1, 2], [-1, -1], [-1, -1]],
    [[3, 0], [0, 0], [-1, -1]],
    [[2, 2], [1, 1], [0, 2]],
    [[-1, -1], [-1, -1], [-1, -1]],
]


def train_view(annotators: Any = ANNOTATORS) -> TrainView:
    view = make_train(torch.zeros(len(annotators), dtype=torch.int64))
    return TrainView(view.labels, view.verified, None, None, view.batches, annotators=torch.tensor(annotators))


def batch_of(index: list[int], step: int = 0) -> Batch:
    batch = double_batch(index, [0] * len(index), step=step)
    return Batch(**{**vars(batch), "annotators": torch.tensor(ANNOTATORS)[index]})


def softmax(row: Array) -> Array:
    powers = np.exp(row - row.max())
    return np.asarray(powers / powers.sum())


def labels_of(annotators: Any) -> list[tuple[int, int, int]]:
    """Face, annotator and label of each label that was given."""
    return [
        (face, int(who), int(label))
        for face, pairs in enumerate(np.asarray(annotators))
        for who, label in pairs
        if label >= 0
    ]


def slope(function: Any, at: Array, step: float = 1e-6) -> Array:
    """The gradient of a function of an array by central differences."""
    found = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[place] += step
        down[place] -= step
        found[place] = (function(up) - function(down)) / (2 * step)
    return found
