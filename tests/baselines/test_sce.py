from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.sce import SCE, SCEParams, symmetric_cross_entropy

from ..methods.toy import make_batch, make_encoder, make_task, parameter_gradients, random_logits, softmax

LABELS = torch.tensor([0, 2, 1, 1])


@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 1.0), (6.0, 0.1), (1.0, 0.0), (0.0, 1.0)])
def test_loss_is_cross_entropy_both_ways(alpha: float, beta: float) -> None:
    z = random_logits(0, 4, 3)
    forward, reverse = [], []
    for row, y in zip(z.tolist(), LABELS.tolist(), strict=True):
        onehot, p = np.eye(3)[y], np.array(softmax(row))
        forward.append(-np.sum(onehot * np.log(np.clip(p, 1e-7, 1.0))))
        reverse.append(-np.sum(p * np.log(np.clip(onehot, 1e-4, 1.0))))
    loss = symmetric_cross_entropy(z, LABELS, alpha, beta)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(alpha * np.mean(forward) + beta * np.mean(reverse), rel=1e-11)


def test_the_floor_by_hand() -> None:
    even = torch.zeros(1, 4, dtype=torch.float64)
    label = torch.tensor([2])
    assert symmetric_cross_entropy(even, label, 0.0, 1.0).item() == pytest.approx(0.75 * 4 * math.log(10), rel=1e-12)
    assert symmetric_cross_entropy(even, label, 0.0, 1.0, 0.1).item() == pytest.approx(0.75 * math.log(10), rel=1e-12)
    assert symmetric_cross_entropy(even, label, 0.0, 1.0, 1.0).item() == 0.0
    for floor in (0.0, 1.1):
        with pytest.raises(ValueError, match="floor"):
            symmetric_cross_entropy(even, label, 0.1, 1.0, floor)


def test_gradient_saturation_and_empty_batches() -> None:
    z = random_logits(1, 4, 3, requires_grad=True)
    assert gradcheck(lambda z: symmetric_cross_entropy(z, LABELS, 0.1, 1.0), (z,), rtol=1e-5, atol=1e-8)
    assert symmetric_cross_entropy(z[:0], LABELS[:0], 0.1, 1.0).item() == 0.0
    sure = torch.tensor([[300.0, -300.0], [300.0, -300.0]], requires_grad=True)
    loss = symmetric_cross_entropy(sure, torch.tensor([1, 0]), 0.1, 1.0)
    assert loss.item() == pytest.approx((0.1 * 600 - math.log(1e-4)) / 2, rel=1e-6)
    (gradient,) = torch.autograd.grad(loss, sure)
    assert torch.isfinite(gradient).all()


def test_a_step_trains_on_every_row() -> None:
    method = SCE(make_task(), make_encoder, SCEParams(alpha=0.3, beta=0.7, floor=1e-3))
    batch = make_batch([2, 3, 2, 5], LABELS)
    logits = method.network(batch.images[0])
    step = method.loss(batch)
    assert step.loss is not None
    expected = symmetric_cross_entropy(logits, LABELS, 0.3, 0.7, 1e-3).item()
    assert step.loss.item() == pytest.approx(expected, rel=1e-6)
    assert step.weight is not None
    assert step.weight.tolist() == [[1.0] * 4]
    assert step.target is None
    assert step.probabilities is not None
    assert not step.probabilities.requires_grad
    assert torch.equal(step.probabilities, method.predict(batch.images[0]))
    assert torch.equal(step.probabilities, logits.softmax(1))
    step.loss.backward()
    assert all(parameter_gradients(method))
