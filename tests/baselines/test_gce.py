from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from fernoise_bench.baselines.gce import GCE, GCEParams, generalized_cross_entropy

from ..methods.toy import make_batch, make_encoder, make_task, parameter_gradients, random_logits, softmax

LABELS = torch.tensor([0, 2, 1, 1])


@pytest.mark.parametrize("q", [0.05, 0.7, 1.0])
def test_loss_is_the_negative_box_cox_transform(q: float) -> None:
    z = random_logits(0, 4, 3)
    p = [softmax(row)[y] for row, y in zip(z.tolist(), LABELS.tolist(), strict=True)]
    loss = generalized_cross_entropy(z, LABELS, q)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(np.mean([(1 - v**q) / q for v in p]), rel=1e-11)


def test_limits_are_cross_entropy_and_absolute_error() -> None:
    z = random_logits(1, 4, 3)
    assert generalized_cross_entropy(z, LABELS, 1e-9).item() == pytest.approx(
        F.cross_entropy(z, LABELS).item(), rel=1e-7
    )
    absolute = (F.one_hot(LABELS, 3) - z.softmax(1)).abs().sum(1).mean() / 2
    assert generalized_cross_entropy(z, LABELS, 1.0).item() == pytest.approx(absolute.item(), rel=1e-12)


def test_gradient_weighs_cross_entropys_by_the_labels_probability() -> None:
    z = random_logits(2, 4, 3, requires_grad=True)
    assert gradcheck(lambda z: generalized_cross_entropy(z, LABELS, 0.7), (z,), rtol=1e-5, atol=1e-8)
    (gradient,) = torch.autograd.grad(generalized_cross_entropy(z, LABELS, 0.7), z)
    p = z.detach().softmax(1)
    weight = p.gather(1, LABELS[:, None]) ** 0.7
    assert torch.allclose(gradient, weight * (p - F.one_hot(LABELS, 3)) / 4, rtol=1e-10)


def test_saturated_logits_and_empty_batches() -> None:
    z = torch.tensor([[500.0, -500.0], [500.0, -500.0]], requires_grad=True)
    loss = generalized_cross_entropy(z, torch.tensor([1, 0]), 0.7)
    assert loss.item() == pytest.approx(0.5 / 0.7, rel=1e-6)
    (gradient,) = torch.autograd.grad(loss, z)
    assert torch.isfinite(gradient).all()
    assert generalized_cross_entropy(z[:0], LABELS[:0], 0.7).item() == 0.0


@pytest.mark.parametrize("q", [0.0, -0.5, 1.5])
def test_q_has_a_range(q: float) -> None:
    with pytest.raises(ValueError, match="q "):
        generalized_cross_entropy(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64), q)


def test_a_step_trains_on_every_row() -> None:
    method = GCE(make_task(), make_encoder, GCEParams(q=0.4))
    batch = make_batch([2, 3, 2, 5], LABELS)
    logits = method.network(batch.images[0])
    step = method.loss(batch)
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(generalized_cross_entropy(logits, LABELS, 0.4).item(), rel=1e-6)
    assert step.weight is not None
    assert step.weight.tolist() == [[1.0] * 4]
    assert step.target is None
    assert step.probabilities is not None
    assert not step.probabilities.requires_grad
    assert torch.equal(step.probabilities, method.predict(batch.images[0]))
    assert torch.equal(step.probabilities, logits.softmax(1))
    step.loss.backward()
    assert all(parameter_gradients(method))
