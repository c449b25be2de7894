"""A whole training of DISC is that of its linear network in NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fernoise_bench.baselines.disc import DISC
from fernoise_bench.methods.base import Batch

from ..methods.toy import make_train
from .linear import Array, double_batch, make_identity, softmax_rows, weights_of
from .test_disc import GIVEN, make_method, partition_by_loop


class ByHand:
    """The linear network in NumPy: memories, thresholds, flags, both losses, and gradient descent."""

    def __init__(self, method: DISC) -> None:
        self.weight, self.bias = weights_of(method.network.head)
        self.memory = np.zeros((2, 12, 3))
        self.threshold = np.full((2, 12), 1 / 12)
        self.rows: list[tuple[bool, bool, bool, int]] = []

    def begin_epoch(self, epoch: int, sigma: float, momentum: float) -> None:
        if epoch:
            self.rows = partition_by_loop(*self.memory, GIVEN.tolist(), *self.threshold, sigma, 0.99)
            self.threshold = momentum * self.threshold + (1 - momentum) * self.memory.max(axis=2)

    def probabilities(self, images: Array) -> Array:
        return softmax_rows(images @ self.weight.T + self.bias)

    def step(self, index: NDArray[np.int64], batch: Batch, warm_up: bool, rate: float) -> float | None:
        views = [view.flatten(1).numpy() for view in batch.images]
        p = [self.probabilities(view) for view in views]
        labels = GIVEN[index].tolist()
        flags = [(True, False, False, label) for label in labels] if warm_up else [self.rows[i] for i in index]
        for view in (0, 1):
            for i, own in zip(index, p[view], strict=True):
                self.memory[view, i] = own
        chosen = [k for k, row in enumerate(flags) if row[3] >= 0]
        if not chosen:
            return None
        value, gradients = 0.0, []
        for view, own in zip(views, p, strict=True):
            to_logits = np.zeros_like(own)
            for k, (label, (clean, hard, *_)) in enumerate(zip(labels, flags, strict=True)):
                truth, sure = np.eye(3)[label], own[k, label]
                value += (-math.log(sure) if clean else (1 - sure**0.7) / 0.7 if hard else 0.0) / len(labels)
                factor = 1.0 if clean else sure**0.7 if hard else 0.0
                to_logits[k] = factor * (own[k] - truth) / len(labels)
            gradients.append((to_logits, view))
        if not warm_up:
            value += self.mixup(batch, views, chosen, [flags[k][3] for k in chosen], gradients)
        for to_logits, images in gradients:
            self.weight = self.weight - rate * to_logits.T @ images
            self.bias = self.bias - rate * to_logits.sum(axis=0)
        return value

    def mixup(self, batch: Batch, views: Any, chosen: Any, targets: list[int], gradients: Any) -> float:
        generator = torch.Generator().manual_seed(batch.generator.initial_seed())
        drawn, value = np.random.default_rng(batch.generator.initial_seed()), 0.0
        shares = [max(share, 1 - share) for share in (drawn.beta(5, 5), drawn.beta(5, 5))]
        for view, share in zip(views, shares, strict=True):
            partner = torch.randperm(len(chosen), generator=generator).numpy()
            images, truth = view[chosen], np.eye(3)[targets]
            images = share * images + (1 - share) * images[partner]
            truth = share * truth + (1 - share) * truth[partner]
            own = self.probabilities(images)
            value -= float((truth * np.log(own)).sum()) / len(chosen)
            gradients.append(((own - truth) / len(chosen), images))
        return value


def test_training_is_the_numpy_run() -> None:
    method = make_method(12, make_identity, sigma=0.05).double()
    method.weak_threshold.fill_(1 / 12)
    method.strong_threshold.fill_(1 / 12)
    assert method.start == 1
    momentum = 0.99 ** (200 / 12)
    by_hand = ByHand(method)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.6)
    seen, skipped = np.zeros(4, dtype=np.int64), 0
    for epoch in range(12):
        method.begin_epoch(epoch, make_train(GIVEN))
        by_hand.begin_epoch(epoch, 0.05, momentum)
        np.testing.assert_allclose(method.weak_threshold.numpy(), by_hand.threshold[0], rtol=1e-9)
        np.testing.assert_allclose(method.strong_threshold.numpy(), by_hand.threshold[1], rtol=1e-9)
        if epoch:
            assert method.targets.tolist() == [row[3] for row in by_hand.rows]
            seen += [
                *(sum(row[part] for row in by_hand.rows) for part in range(3)),
                sum(row[3] < 0 for row in by_hand.rows),
            ]
        order = np.random.default_rng(epoch).permutation(12)
        for step, rows in enumerate((order[:5], order[[5, 6, 5, 7]], order[7:])):
            batch = double_batch(rows.tolist(), GIVEN[rows], views=2, epoch=epoch, step=step)
            done = method.loss(batch)
            expected = by_hand.step(rows, batch, epoch == 0, 0.6)
            assert (done.loss is None) == (expected is None)
            skipped += expected is None
            if done.loss is None or expected is None:
                continue
            optimizer.zero_grad()
            done.loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            assert done.loss.item() == pytest.approx(expected, rel=1e-8)
    assert (seen > 2).all(), seen
    np.testing.assert_allclose(method.weak_memory.numpy(), by_hand.memory[0], rtol=1e-8)
    np.testing.assert_allclose(method.strong_memory.numpy(), by_hand.memory[1], rtol=1e-8)
    np.testing.assert_allclose(weights_of(method.network.head)[0], by_hand.weight, rtol=1e-8)
