from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from fernoise_bench.baselines.label_smoothing import (
    LabelSmoothing,
    LabelSmoothingParams,
    smoothed_bce,
    smoothed_cross_entropy,
)

from ..methods.toy import (
    bce,
    make_batch,
    make_encoder,
    make_task,
    parameter_gradients,
    random_labels,
    random_logits,
    softmax,
)

CLASSES = torch.tensor([0, 2, 1, 1, 3])


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5, 1.0])
def test_classes_share_epsilon_with_the_labelled_one(epsilon: float) -> None:
    z = random_logits(0, 5, 4)
    expected = []
    for row, y in zip(z.tolist(), CLASSES.tolist(), strict=True):
        target = [(1 - epsilon) * (c == y) + epsilon / 4 for c in range(4)]
        expected.append(-sum(t * np.log(p) for t, p in zip(target, softmax(row), strict=True)))
    loss = smoothed_cross_entropy(z, CLASSES, epsilon)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-12)
    assert loss.item() == pytest.approx(F.cross_entropy(z, CLASSES, label_smoothing=epsilon).item(), rel=1e-12)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1.0])
def test_aus_move_towards_one_half(epsilon: float) -> None:
    z, labels = random_logits(1, 6, 3), random_labels(2, 6, 3)
    values = []
    for i, k in (labels != 0).nonzero().tolist():
        target = 1 - epsilon / 2 if labels[i, k] > 0 else epsilon / 2
        values.append(bce(float(z[i, k]), target))
    loss = smoothed_bce(z, labels, epsilon)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(np.mean(values), rel=1e-12)


def test_gradients_empty_batches_and_saturation() -> None:
    z = random_logits(3, 5, 4, requires_grad=True)
    labels = random_labels(4, 5, 4)
    assert gradcheck(lambda z: smoothed_cross_entropy(z, CLASSES, 0.1), (z,), rtol=1e-5, atol=1e-8)
    assert gradcheck(lambda z: smoothed_bce(z, labels, 0.1), (z,), rtol=1e-5, atol=1e-8)
    assert smoothed_cross_entropy(z[:0], CLASSES[:0], 0.1).item() == 0.0
    assert smoothed_bce(z, torch.zeros_like(labels), 0.1).item() == 0.0
    sure = torch.tensor([[400.0, -400.0]], requires_grad=True)
    assert smoothed_cross_entropy(sure, torch.tensor([0]), 0.1).item() == pytest.approx(0.05 * 800)
    assert smoothed_bce(sure, torch.tensor([[1, -1]]), 0.1).item() == pytest.approx(0.05 * 400)
    assert smoothed_bce(sure.bfloat16(), torch.tensor([[1, -1]]), 0.1).dtype == torch.float32


@pytest.mark.parametrize("epsilon", [-0.1, 1.1])
@pytest.mark.parametrize("loss", [smoothed_cross_entropy, smoothed_bce])
def test_epsilon_has_a_range(loss: Any, epsilon: float) -> None:
    with pytest.raises(ValueError, match="epsilon"):
        loss(torch.zeros(2, 2), torch.zeros(2, dtype=torch.int64), epsilon)


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_a_step_smooths_every_known_label(kind: str) -> None:
    method = LabelSmoothing(make_task(kind, 4), make_encoder, LabelSmoothingParams(epsilon=0.3))
    labels = CLASSES if kind == "single" else random_labels(5, 5, 4)
    batch = make_batch(range(5), labels, verified=[True, False, True, False, False])
    logits = method.network(batch.images[0])
    expected = (smoothed_cross_entropy if kind == "single" else smoothed_bce)(logits, labels, 0.3)
    step = method.loss(batch)
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert step.weight is not None
    assert torch.equal(step.weight, (torch.ones(5) if kind == "single" else (labels != 0).float())[None])
    assert step.target is None
    assert step.probabilities is not None
    assert torch.equal(step.probabilities, method.predict(batch.images[0]))
    assert not step.probabilities.requires_grad
    assert torch.equal(method.predict(batch.images[0]), logits.softmax(1) if kind == "single" else logits.sigmoid())
    step.loss.backward()
    assert all(parameter_gradients(method))


def test_a_batch_without_labels_is_skipped() -> None:
    method = LabelSmoothing(make_task("multi"), make_encoder, LabelSmoothingParams())
    step = method.loss(make_batch([0, 1], torch.zeros(2, 3, dtype=torch.int64)))
    assert step.loss is None
    assert step.weight is not None
    assert not step.weight.any()
