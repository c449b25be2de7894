"""Multi-label methods of linear networks in float64: a run of the method, and what its NumPy version needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fernoise_bench.methods.base import Batch, Method, TrainView
from fernoise_bench.methods.mixture import estimated_noise_rate

from ..methods.toy import make_batch

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Labels = NDArray[np.int64]

ROWS, AUS, RATE = 24, 3, 0.5
LABELS: Labels = np.random.default_rng(40).choice([-1, -1, 0, 1, 1], size=(ROWS, AUS))
ORDER: Labels = np.random.default_rng(41).permutation(ROWS).reshape(3, 8)  # three batches an epoch
VERIFIED: Mask = np.isin(np.arange(ROWS), ORDER[:, 1:3])  # two in each
ORDER[1, 0] = ORDER[1, 5]  # the same sample twice in a batch


def features(view: int = 0) -> Array:
    """The toy images of all rows, flat, [ROWS, 12]."""
    images = make_batch(range(ROWS), LABELS, views=view + 1).images[view]
    return np.asarray(images.double().flatten(1).numpy())


def multi_batch(index: Sequence[int] | Labels, epoch: int = 0, views: int = 1) -> Batch:
    rows = [int(i) for i in index]
    batch = make_batch(rows, LABELS[rows], verified=VERIFIED[rows], views=views, epoch=epoch)
    return replace(batch, images=tuple(view.double() for view in batch.images))


def train_view() -> TrainView:
    def batches(augment: bool = False) -> Iterator[Batch]:
        assert not augment
        for first in range(0, ROWS, 10):
            yield multi_batch(range(first, min(first + 10, ROWS)))

    return TrainView(torch.from_numpy(LABELS), torch.from_numpy(VERIFIED), None, None, batches)


def run(method: Method, epochs: int, after_epoch: Callable[[int], Any] = lambda epoch: None) -> list[float]:
    """Plain gradient descent at RATE in the trainer's order; returns the losses."""
    losses = []
    method.prepare(train_view())
    for epoch in range(epochs):
        method.train()
        method.begin_epoch(epoch, train_view())
        for rows in ORDER:
            step = method.loss(multi_batch(rows, epoch, method.views))
            assert step.loss is not None
            method.zero_grad()
            step.loss.backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                for parameter in method.parameters():
                    if parameter.grad is not None:
                        parameter -= RATE * parameter.grad
            method.after_step()
            losses.append(float(step.loss.detach()))
        after_epoch(epoch)
    return losses


class Line:
    """The head of a network in NumPy."""

    def __init__(self, head: Any) -> None:
        self.weight: Array = head.weight.detach().double().numpy().copy()
        self.bias: Array = head.bias.detach().double().numpy().copy()

    def __call__(self, x: Array) -> Array:
        return np.asarray(x @ self.weight.T + self.bias)

    def move(self, *parts: tuple[Array, Array]) -> None:
        """One step of gradient descent along the given (gradient of logits, inputs)."""
        self.weight -= RATE * sum(gradient.T @ x for gradient, x in parts)
        self.bias -= RATE * sum(gradient.sum(axis=0) for gradient, _ in parts)

    def agrees_with(self, head: Any) -> bool:
        weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
        return np.allclose(self.weight, weight, rtol=1e-10) and np.allclose(self.bias, bias, rtol=1e-10)


def logistic(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


def bce_of(z: Array, t: Array) -> Array:
    p = logistic(z)
    return np.asarray(-(t * np.log(p) + (1 - t) * np.log(1 - p)))


def kl_of(p: Array, q: Array) -> Array:
    return np.asarray(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))


def kept_by_loop(losses: Array, labels: Labels, rates: Array, verified: Mask) -> Mask:
    """The entries of small loss, one group after the other."""
    keep = (labels != 0) & verified[:, None]
    for row, sign in enumerate((1, -1)):
        for k in range(labels.shape[1]):
            group = [i for i in range(len(labels)) if labels[i, k] == sign and not verified[i]]
            group.sort(key=lambda i, k=k: (losses[i, k], i))  # type: ignore[misc]
            out = min(len(group) - 1, math.floor(rates[row, k] * len(group) + 0.5))
            for i in group[: len(group) - out]:
                keep[i, k] = True
    return keep


def rates_by_loop(losses: Array) -> Array:
    """What counts as wrong of each AU's unverified positives and negatives in the toy labels."""
    rates = np.zeros((2, AUS))
    for row, sign in enumerate((1, -1)):
        for k in range(AUS):
            group = [losses[i, k] for i in range(ROWS) if LABELS[i, k] == sign and not VERIFIED[i]]
            guess = estimated_noise_rate(torch.tensor(group, dtype=torch.float64))
            known = sum(LABELS[i, k] != 0 and not VERIFIED[i] for i in range(ROWS))
            limit = max(math.log(2), math.log(known / len(group)))
            rates[row, k] = min(guess, sum(loss > limit for loss in group) / len(group))
    return rates
