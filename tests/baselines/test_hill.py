from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.hill import Hill, HillParams, focal_loss, focal_slope, hill_loss, hill_posterior

from ..methods.toy import make_batch, make_encoder, make_task, random_labels, random_logits, sigmoid
from .linear import make_identity
from .linear_multi import AUS, LABELS, ORDER, ROWS, Array, Line, features, logistic, multi_batch, run

SETTINGS = [(1.5, 1.0, 2.0), (1.0, 0.0, 0.0), (2.0, 0.5, 0.5), (1.7, -1.0, 3.0)]


def positive_loss(z: float, margin: float, gamma: float) -> float:
    s = sigmoid(z - margin)
    return -((1 - s) ** gamma) * math.log(s)


def entry(z: float, label: int, lam: float, margin: float, gamma: float) -> float:
    p = sigmoid(z)
    return positive_loss(z, margin, gamma) if label > 0 else (lam - p) * p * p


@pytest.mark.parametrize("setting", SETTINGS)
def test_loss_is_the_mean_over_known_entries(setting: Any) -> None:
    z, labels = random_logits(0, 8, 4), random_labels(1, 8, 4)
    values = [entry(float(z[i, k]), int(labels[i, k]), *setting) for i, k in (labels != 0).nonzero().tolist()]
    loss = hill_loss(z, labels, *setting)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(sum(values) / len(values), rel=1e-11)
    assert hill_loss(z.half(), labels, *setting).dtype == torch.float32


def test_defaults_are_those_published() -> None:
    z, labels = random_logits(2, 8, 4), random_labels(3, 8, 4)
    assert hill_loss(z, labels).item() == hill_loss(z, labels, 1.5, 1.0, 2.0).item()
    assert torch.equal(hill_posterior(z), hill_posterior(z, 1.5, 1.0, 2.0))


def test_one_entry_by_hand() -> None:
    zero = torch.zeros(1, 1, dtype=torch.float64)
    assert hill_loss(zero, -torch.ones(1, 1)).item() == pytest.approx(0.25, rel=1e-15)  # (1.5 - 0.5)·0.25
    s = 1 / (1 + math.e)
    assert hill_loss(zero, torch.ones(1, 1)).item() == pytest.approx(-((1 - s) ** 2) * math.log(s), rel=1e-14)
    assert hill_loss(zero + 1, torch.ones(1, 1)).item() == pytest.approx(0.25 * math.log(2), rel=1e-14)


@pytest.mark.parametrize("setting", SETTINGS)
def test_gradient_agrees_with_central_differences(setting: Any) -> None:
    z, labels = random_logits(4, 5, 4, requires_grad=True), random_labels(5, 5, 4)
    assert gradcheck(lambda z: hill_loss(z, labels, *setting), (z,), rtol=1e-5, atol=1e-8)


def test_gradient_of_a_negative_is_largest_at_one_half_and_fades_for_confident_positives() -> None:
    z = torch.linspace(-9, 9, 181, dtype=torch.float64)[:, None].requires_grad_()
    (gradient,) = torch.autograd.grad(hill_loss(z, -torch.ones_like(z)) * len(z), z)
    p = z.detach().sigmoid()
    assert torch.allclose(gradient, 3 * p**2 * (1 - p) ** 2, rtol=1e-12)
    assert int(gradient.argmax()) == 90  # z = 0
    assert gradient[-1] < 1e-6


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("size", [800.0, 1e4])
def test_saturated_logits_and_unknown_labels(setting: Any, size: float) -> None:
    z = torch.tensor([[size, -size, size, -size]], requires_grad=True)
    loss = hill_loss(z, torch.tensor([[1, 1, -1, -1]]), *setting)
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, z)[0]).all()
    for nothing in (hill_loss(z, torch.zeros(1, 4, dtype=torch.int64), *setting), hill_loss(z[:0], z[:0], *setting)):
        assert nothing.item() == 0.0
        assert not torch.autograd.grad(nothing, z)[0].any()


@pytest.mark.parametrize("setting", [(0.99, 1.0, 2.0), (1.5, 1.0, -0.1), (math.nan, 1.0, 2.0), (1.5, 1.0, math.nan)])
def test_parameters_have_ranges(setting: Any) -> None:
    for function in (
        lambda: hill_loss(torch.zeros(1, 1), torch.ones(1, 1), *setting),
        lambda: hill_posterior(torch.zeros(1, 1), *setting),
    ):
        with pytest.raises(ValueError, match="must be at least 1, and gamma"):
            function()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 4.0])
def test_the_slope_is_the_derivative_of_the_focal_loss(gamma: float) -> None:
    z = torch.linspace(-40, 40, 161, dtype=torch.float64)[:, None].requires_grad_()
    (derivative,) = torch.autograd.grad(focal_loss(z, gamma).sum(), z)
    assert torch.allclose(focal_slope(z.detach(), gamma), derivative, rtol=1e-10, atol=1e-300)
    values = [sigmoid(float(x)) ** gamma * math.log1p(math.exp(float(x))) for x in z.detach()]
    assert focal_loss(z, gamma).flatten().tolist() == pytest.approx(values, rel=1e-11)


# --- the posterior


def test_posterior_by_hand() -> None:
    zero = torch.zeros(1, 1, dtype=torch.float64)
    s = 1 / (1 + math.e)
    slope = (1 - s) ** 2 * (2 * s * math.log(s) - (1 - s))
    assert hill_posterior(zero).item() == pytest.approx(0.1875 / (0.1875 - slope), rel=1e-14)
    assert hill_posterior(zero).item() == pytest.approx(0.20, abs=0.005)


@pytest.mark.parametrize("setting", [(1.5, 1.0, 2.0), (2.0, 0.5, 1.5), (1.7, -1.0, 3.0)])
def test_at_the_posterior_the_expected_loss_is_least(setting: Any) -> None:
    """A scan over logits, with the loss by hand."""
    grid = np.linspace(-6, 6, 2401)
    positive = np.array([positive_loss(z, *setting[1:]) for z in grid])
    negative = np.array([entry(z, -1, *setting) for z in grid])
    for z in (-3.0, -1.0, 0.0, 0.5, 2.0):
        share = hill_posterior(torch.tensor([[z]], dtype=torch.float64), *setting).item()
        best = grid[np.argmin(share * positive + (1 - share) * negative)]
        assert best == pytest.approx(z, abs=0.006)


@pytest.mark.parametrize("lam", [1.5, 2.0])
def test_posterior_increases_and_stays_finite(lam: float) -> None:
    z = torch.linspace(-80, 80, 3201, dtype=torch.float64)[:, None]
    posterior = hill_posterior(z, lam)
    assert (posterior.diff(dim=0) >= 0).all()
    inner = posterior[(z.abs() < 12).squeeze(1)]
    assert (inner.diff(dim=0) > 0).all()
    assert posterior[0] < 1e-60
    assert posterior[-1] == 1.0
    far = hill_posterior(torch.tensor([[-1e4, -800.0, 800.0, 1e4]]), lam)
    assert far.tolist() == [[0.0, 0.0, 1.0, 1.0]]


def test_posterior_is_computed_in_float64_whatever_the_dtype() -> None:
    z = torch.linspace(-80, 80, 1601)[:, None]
    single = hill_posterior(z)
    assert single.dtype == torch.float32
    assert torch.equal(single, hill_posterior(z.double()).float())
    assert hill_posterior(z.half()).dtype == torch.float32
    assert not hill_posterior(z.requires_grad_()).requires_grad


def test_posterior_is_clamped_below_a_lambda_of_one_and_a_half() -> None:
    z = torch.linspace(-80, 80, 3201, dtype=torch.float64)[:, None]
    posterior = hill_posterior(z, 1.0)
    assert ((posterior >= 0) & (posterior <= 1)).all()
    p, s = z.sigmoid(), (z - 1).sigmoid()
    negative, positive = p**2 * (2 - 3 * p) * (1 - p), (1 - s) ** 2 * (2 * s * s.log() - (1 - s))
    near = (z.abs() < 5).squeeze(1)
    expected = (negative / (negative - positive)).clamp(0, 1)
    assert torch.allclose(posterior[near], expected[near], rtol=1e-9)
    assert (expected[near] == 0).any()


# --- the method


def test_a_step_trains_on_known_entries() -> None:
    method = Hill(make_task("multi"), make_encoder, HillParams(lam=1.8, margin=0.5, gamma=1.0))
    labels = random_labels(8, 5, 3)
    batch = make_batch(range(5), labels, verified=[True, False, True, False, False])
    logits = method.network(batch.images[0])
    step = method.loss(batch)
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(hill_loss(logits, labels, 1.8, 0.5, 1.0).item(), rel=1e-6)
    assert step.weight is not None
    assert torch.equal(step.weight, (labels != 0).float()[None])
    assert step.target is None
    assert step.probabilities is not None
    assert torch.equal(step.probabilities, logits.detach().sigmoid())
    assert torch.equal(method.predict(batch.images[0]), logits.sigmoid())
    empty = method.loss(make_batch([0, 1], torch.zeros(2, 3, dtype=torch.int64))).loss
    assert empty is not None
    empty.backward()
    assert not any(p.grad.any() for p in method.parameters() if p.grad is not None)


def test_the_variant_predicts_the_posterior_and_trains_the_same() -> None:
    assert Hill.variants["posterior"].params == {"posterior": True}
    plain = Hill(make_task("multi"), make_encoder, HillParams(lam=1.8, margin=0.5))
    method = Hill(make_task("multi"), make_encoder, HillParams(lam=1.8, margin=0.5, posterior=True))
    batch = make_batch(range(5), random_labels(9, 5, 3))
    logits = method.network(batch.images[0]).detach()
    step, other = method.loss(batch), plain.loss(batch)
    assert step.loss is not None
    assert other.loss is not None
    assert torch.equal(step.loss, other.loss)
    assert step.probabilities is not None
    assert torch.equal(step.probabilities, hill_posterior(logits, 1.8, 0.5))
    assert torch.equal(method.predict(batch.images[0]), hill_posterior(logits, 1.8, 0.5))


def slope_by_hand(z: Array, labels: Any, lam: float, margin: float, gamma: float) -> Array:
    p, s = logistic(z), logistic(z - margin)
    positive = (1 - s) ** gamma * (gamma * s * np.log(s) - (1 - s))
    return np.where(labels > 0, positive, np.where(labels < 0, p**2 * (2 * lam - 3 * p) * (1 - p), 0.0))


def test_a_linear_run_in_numpy() -> None:
    task = make_task("multi", AUS, size=ROWS, epochs=4)
    method = Hill(task, make_identity, HillParams(lam=1.6, margin=0.8, gamma=1.5)).double()
    line, x, expected = Line(method.network.head), features(), []
    for _ in range(4):
        for rows in ORDER:
            z, y = line(x[rows]), LABELS[rows]
            count = int((y != 0).sum())
            known = np.argwhere(y != 0)
            expected.append(sum(entry(z[i, k], y[i, k], 1.6, 0.8, 1.5) for i, k in known) / count)
            line.move((slope_by_hand(z, y, 1.6, 0.8, 1.5) / count, x[rows]))
    assert run(method, 4) == pytest.approx(expected, rel=1e-10)
    assert line.agrees_with(method.network.head)
    images = multi_batch(range(4)).images[0]
    assert np.allclose(method.predict(images).detach().numpy(), logistic(line(x[:4])))
