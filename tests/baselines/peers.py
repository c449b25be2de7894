"""Two linear networks trained by a method, and the same written in NumPy, to compare after some epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fernoise_bench.methods.base import Batch, TrainView

from .linear import Array, double_batch, one_hot, softmax_rows, weights_of

Labels = NDArray[np.int64]
Gradients = tuple[Array, Array]
# What a step's losses say about the logits [B, C] of either network; None for no update.
Rule = Callable[[Array, Array, Labels, int, int], Gradients | None]

GIVEN = torch.tensor([0, 2, 1, 1, 0, 2, 0, 1, 2, 0, 1, 2])
BATCHES = ([3, 0, 7, 9, 4, 11], [5, 1, 5, 10, 2, 8], [6, 6, 6, 0, 1, 7], [2, 4])  # samples occur twice in one batch
RATE = 0.7


def batch_of(epoch: int, step: int) -> Batch:
    index = BATCHES[step]
    return double_batch(index, GIVEN[index], epoch=epoch, step=step)


def view(augmented: list[bool] | None = None) -> TrainView:
    """The training set as a method sees it; in the list it is kept of each pass whether it was to be augmented."""

    def batches(augment: bool = False) -> Iterator[Batch]:
        if augmented is not None:
            augmented.append(augment)
        yield double_batch(range(len(GIVEN)), GIVEN)

    return TrainView(GIVEN, torch.zeros(len(GIVEN), dtype=torch.bool), None, None, batches)


def train(method: Any, epochs: int) -> list[Array]:
    """Gradient descent on the method's losses; the weights and biases of both networks afterwards."""
    method.double().train()
    optimizer = torch.optim.SGD(method.parameters(), lr=RATE)
    for epoch in range(epochs):
        method.begin_epoch(epoch, view())
        for step in range(len(BATCHES)):
            loss = method.loss(batch_of(epoch, step)).loss
            if loss is None:
                continue
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return [*weights_of(method.network1.head), *weights_of(method.network2.head)]


def train_by_hand(method: Any, rule: Rule, epochs: int) -> list[Array]:
    """The same from the method's initial weights, with gradients written out."""
    method.double()
    parts = [*weights_of(method.network1.head), *weights_of(method.network2.head)]
    for epoch in range(epochs):
        for step in range(len(BATCHES)):
            batch = batch_of(epoch, step)
            x = batch.images[0].flatten(1).numpy()
            z1, z2 = x @ parts[0].T + parts[1], x @ parts[2].T + parts[3]
            gradients = rule(z1, z2, batch.labels.numpy(), epoch, step)
            if gradients is None:
                continue
            for k, gradient in enumerate(gradients):
                parts[2 * k] = parts[2 * k] - RATE * gradient.T @ x
                parts[2 * k + 1] = parts[2 * k + 1] - RATE * gradient.sum(0)
    return parts


def assert_alike(found: list[Array], expected: list[Array]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def cross_entropies(z: Array, labels: Labels) -> Array:
    return np.asarray(-np.log(softmax_rows(z)[np.arange(len(z)), labels]))


def divergences(a: Array, b: Array) -> Array:
    """KL(softmax(a) || softmax(b)) of each row."""
    p, q = softmax_rows(a), softmax_rows(b)
    return np.asarray((p * np.log(p / q)).sum(1))


def cross_entropy_gradient(z: Array, labels: Labels, rows: list[int], divisor: float) -> Array:
    """Of the sum of the rows' cross-entropies, over a divisor."""
    gradient = np.zeros_like(z)
    gradient[rows] = (softmax_rows(z) - one_hot(labels, z.shape[1]))[rows] / divisor
    return gradient


def smallest(losses: Array, rows: list[int], count: int) -> list[int]:
    """The `count` of these rows with the smallest losses, ties in row order."""
    return sorted(rows, key=lambda row: (losses[row], row))[:count]


def numbers(*values: Tensor) -> list[Array]:
    return [value.detach().numpy() for value in values]
