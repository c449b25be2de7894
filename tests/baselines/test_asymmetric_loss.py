from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.asymmetric_loss import AsymmetricLoss, AsymmetricLossParams, asymmetric_loss
from fernoise_bench.methods.losses import masked_bce

from ..methods.toy import (
    logit,
    make_batch,
    make_encoder,
    make_task,
    parameter_gradients,
    random_labels,
    random_logits,
    sigmoid,
)

SETTINGS = [(4.0, 0.0, 0.05), (4.0, 1.0, 0.05), (2.0, 2.0, 0.0), (0.5, 0.5, 0.2), (0.5, 0.5, 0.0), (0.0, 0.0, 0.05)]


def entry(z: float, label: int, gamma_negative: float, gamma_positive: float, margin: float) -> float:
    p = sigmoid(z)
    if label > 0:
        return -((1 - p) ** gamma_positive) * math.log(p)
    shifted = max(p - margin, 0.0)
    return -(shifted**gamma_negative) * math.log(1 - shifted)


@pytest.mark.parametrize("setting", SETTINGS)
def test_loss_is_the_mean_over_known_entries(setting: Any) -> None:
    z, labels = random_logits(0, 8, 4), random_labels(1, 8, 4)
    values = [entry(float(z[i, k]), int(labels[i, k]), *setting) for i, k in (labels != 0).nonzero().tolist()]
    loss = asymmetric_loss(z, labels, *setting)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(sum(values) / len(values), rel=1e-11)
    assert asymmetric_loss(z, labels, *setting, detach_focus=True).item() == loss.item()


def test_without_focus_and_margin_it_is_binary_cross_entropy() -> None:
    z, labels = random_logits(2, 8, 4), random_labels(3, 8, 4)
    assert asymmetric_loss(z, labels, 0.0, 0.0, 0.0).item() == pytest.approx(masked_bce(z, labels).item(), rel=1e-12)


@pytest.mark.parametrize("setting", SETTINGS)
def test_gradient_agrees_with_central_differences(setting: Any) -> None:
    z, labels = random_logits(4, 5, 4, requires_grad=True), random_labels(5, 5, 4)
    assert gradcheck(lambda z: asymmetric_loss(z, labels, *setting), (z,), rtol=1e-5, atol=1e-8)


def test_a_detached_focus_is_a_constant_weight() -> None:
    z, labels = random_logits(6, 5, 4, requires_grad=True), random_labels(7, 5, 4)
    (gradient,) = torch.autograd.grad(asymmetric_loss(z, labels, 4.0, 1.0, 0.05, detach_focus=True), z)
    p = z.detach().sigmoid()
    shifted = (p - 0.05).clamp(min=0)
    positive = -(1 - p) * (1 - p)  # weight 1-p times the slope of -log p
    negative = shifted**4 / (1 - shifted) * p * (1 - p)
    expected = torch.where(labels > 0, positive, torch.where(labels < 0, negative, 0.0)) / (labels != 0).sum()
    assert torch.allclose(gradient, expected, rtol=1e-10, atol=1e-15)
    (whole,) = torch.autograd.grad(asymmetric_loss(z, labels, 4.0, 1.0, 0.05), z)
    assert not torch.allclose(gradient, whole)


def test_negatives_below_the_margin_teach_nothing() -> None:
    z = torch.tensor([[logit(0.04), logit(0.06)]], dtype=torch.float64, requires_grad=True)
    for gamma in (0.0, 0.5, 4.0):
        (gradient,) = torch.autograd.grad(asymmetric_loss(z, torch.tensor([[-1, -1]]), gamma, 0.0, 0.05), z)
        assert gradient[0, 0] == 0
        assert gradient[0, 1] > 0


@pytest.mark.parametrize("setting", SETTINGS)
def test_saturated_logits_and_unknown_labels(setting: Any) -> None:
    z = torch.tensor([[800.0, -800.0, 800.0, -800.0]], requires_grad=True)
    loss = asymmetric_loss(z, torch.tensor([[1, 1, -1, -1]]), *setting)
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, z)[0]).all()
    nothing = asymmetric_loss(z, torch.zeros(1, 4, dtype=torch.int64), *setting)
    assert nothing.item() == 0.0
    assert not torch.autograd.grad(nothing, z)[0].any()


@pytest.mark.parametrize("setting", [(-1.0, 0.0, 0.05), (4.0, -1.0, 0.05), (4.0, 0.0, -0.1), (4.0, 0.0, 1.0)])
def test_parameters_have_ranges(setting: Any) -> None:
    with pytest.raises(ValueError, match="gammas"):
        asymmetric_loss(torch.zeros(1, 1), torch.ones(1, 1), *setting)


def test_a_step_trains_on_known_entries() -> None:
    params = AsymmetricLossParams(gamma_negative=3.0, gamma_positive=1.5, margin=0.1)
    method = AsymmetricLoss(make_task("multi"), make_encoder, params)
    labels = random_labels(8, 5, 3)
    batch = make_batch(range(5), labels, verified=[True, False, True, False, False])
    logits = method.network(batch.images[0])
    step = method.loss(batch)
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(asymmetric_loss(logits, labels, 3.0, 1.5, 0.1).item(), rel=1e-6)
    assert step.weight is not None
    assert torch.equal(step.weight, (labels != 0).float()[None])
    assert step.target is None
    assert step.probabilities is not None
    assert torch.equal(step.probabilities, logits.detach().sigmoid())
    assert torch.equal(method.predict(batch.images[0]), logits.sigmoid())
    step.loss.backward()
    assert all(parameter_gradients(method))
    empty = method.loss(make_batch([0, 1], torch.zeros(2, 3, dtype=torch.int64)))
    assert empty.loss is None
    assert empty.weight is not None
    assert not empty.weight.any()


def test_variant_detaches_the_focus() -> None:
    assert AsymmetricLoss.variants["detached-focus"].params == {"detach_focus": True}
    method = AsymmetricLoss(make_task("multi"), make_encoder, AsymmetricLossParams(detach_focus=True))
    labels = torch.tensor([[-1, -1, -1]])
    step = method.loss(make_batch([0], labels))
    assert step.loss is not None
    step.loss.backward()
    logits = method.network(make_batch([0], labels).images[0]).detach().requires_grad_()
    loss = asymmetric_loss(logits, labels, 4.0, 0.0, 0.05, detach_focus=True)
    assert torch.allclose(method.network.head.bias.grad, torch.autograd.grad(loss, logits)[0][0])
