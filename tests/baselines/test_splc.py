from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.splc import SPLC, SPLCParams, focal_margin_posterior, splc_loss, splc_targets

from ..methods.toy import logit, make_batch, make_encoder, make_task, random_labels, random_logits, set_head, sigmoid
from .linear import make_identity
from .linear_multi import AUS, LABELS, ORDER, ROWS, VERIFIED, Array, Line, features, logistic, multi_batch, run

SETTINGS = [(0.6, 1.0, 2.0), (0.3, 0.5, 0.5), (0.9, -1.0, 0.0), (0.5, 0.0, 3.0)]


def entry(z: float, label: int, correct: bool, tau: float, margin: float, gamma: float) -> float:
    x = z - margin if label > 0 else z
    p = sigmoid(x)
    if label > 0 or (correct and p > tau):
        return -((1 - p) ** gamma) * math.log(p)
    return -(p**gamma) * math.log(1 - p)


@pytest.mark.parametrize("correct", [False, True])
@pytest.mark.parametrize("setting", SETTINGS)
def test_loss_is_the_mean_over_known_entries(setting: Any, correct: bool) -> None:
    z, labels = random_logits(0, 8, 4), random_labels(1, 8, 4)
    known = (labels != 0).nonzero().tolist()
    values = [entry(float(z[i, k]), int(labels[i, k]), correct, *setting) for i, k in known]
    loss = splc_loss(z, labels, correct, *setting)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(sum(values) / len(values), rel=1e-11)
    assert splc_loss(z.bfloat16(), labels, correct, *setting).dtype == torch.float32


def test_defaults_are_those_published() -> None:
    z, labels = random_logits(2, 8, 4), random_labels(3, 8, 4)
    assert splc_loss(z, labels, True).item() == splc_loss(z, labels, True, 0.6, 1.0, 2.0).item()
    assert torch.equal(splc_targets(z, labels), splc_targets(z, labels, 0.6))
    assert torch.equal(focal_margin_posterior(z), focal_margin_posterior(z, 1.0, 2.0))


def test_a_corrected_negative_has_no_margin() -> None:
    z = torch.tensor([[logit(0.7)]], dtype=torch.float64)
    assert splc_loss(z, -torch.ones(1, 1), True).item() == pytest.approx(-(0.3**2) * math.log(0.7), rel=1e-13)
    assert splc_loss(z, -torch.ones(1, 1), False).item() == pytest.approx(-(0.7**2) * math.log(0.3), rel=1e-13)
    assert splc_loss(z + 1, torch.ones(1, 1), True).item() == pytest.approx(-(0.3**2) * math.log(0.7), rel=1e-13)


def test_targets_turn_negatives_strictly_above_the_threshold() -> None:
    z = torch.tensor([[0.0, 1e-9, -5.0, 5.0, 5.0]], dtype=torch.float64)
    labels = torch.tensor([[-1, -1, -1, 0, 1]])
    targets = splc_targets(z, labels, 0.5)
    assert targets.tolist() == [[-1, 1, -1, 0, 1]]
    assert targets.dtype == labels.dtype
    assert labels.tolist() == [[-1, -1, -1, 0, 1]]
    assert splc_targets(-z, labels, 0.5).tolist() == [[-1, -1, 1, 0, 1]]  # positives are never turned
    two = torch.full((2, 3), 5.0, dtype=torch.float64, requires_grad=True)
    kept = splc_targets(two, -torch.ones(2, 3, dtype=torch.int64), verified=torch.tensor([True, False]))
    assert kept.tolist() == [[-1] * 3, [1] * 3]
    assert not kept.requires_grad


@pytest.mark.parametrize("correct", [False, True])
@pytest.mark.parametrize("setting", SETTINGS)
def test_gradient_agrees_with_central_differences(setting: Any, correct: bool) -> None:
    z, labels = random_logits(4, 5, 4, requires_grad=True), random_labels(5, 5, 4)
    assert gradcheck(lambda z: splc_loss(z, labels, correct, *setting), (z,), rtol=1e-5, atol=1e-8)


def test_verified_rows_are_corrected_unless_they_are_named() -> None:
    z, labels = random_logits(6, 6, 4) + 2, -torch.ones(6, 4, dtype=torch.int64)
    verified = torch.tensor([True, False, False, True, False, True])
    for rows, correct in ((verified, False), (~verified, True)):
        (gradient,) = torch.autograd.grad(splc_loss(z.requires_grad_(), labels, True, verified=verified) * 6, z)
        (apart,) = torch.autograd.grad(splc_loss(z[rows], labels[rows], correct) * int(rows.sum()), z)
        assert torch.allclose(gradient[rows], apart[rows], rtol=1e-12)
    assert splc_loss(z, labels, True, verified=verified).item() != splc_loss(z, labels, True).item()
    nobody = torch.zeros(6, dtype=torch.bool)
    assert splc_loss(z, labels, True, verified=nobody).item() == splc_loss(z, labels, True).item()


@pytest.mark.parametrize("correct", [False, True])
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("size", [800.0, 1e4])
def test_saturated_logits_and_unknown_labels(setting: Any, correct: bool, size: float) -> None:
    z = torch.tensor([[size, -size, size, -size]], requires_grad=True)
    loss = splc_loss(z, torch.tensor([[1, 1, -1, -1]]), correct, *setting)
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, z)[0]).all()
    unknown = splc_loss(z, torch.zeros(1, 4, dtype=torch.int64), correct, *setting)
    for nothing in (unknown, splc_loss(z[:0], z[:0], correct, *setting)):
        assert nothing.item() == 0.0
        assert not torch.autograd.grad(nothing, z)[0].any()


def test_parameters_have_ranges() -> None:
    z, labels = torch.zeros(1, 1), torch.ones(1, 1)
    for tau in (0.0, 1.0, -0.5, 1.5, math.nan):
        for correct in (False, True):
            with pytest.raises(ValueError, match="tau"):
                splc_loss(z, labels, correct, tau)
        with pytest.raises(ValueError, match="tau"):
            splc_targets(z, labels, tau)
    for gamma in (-0.1, math.nan):
        with pytest.raises(ValueError, match="gamma"):
            splc_loss(z, labels, True, gamma=gamma)
        with pytest.raises(ValueError, match="gamma"):
            focal_margin_posterior(z, gamma=gamma)


# --- the posterior


def posterior_by_hand(z: float, margin: float, gamma: float) -> float:
    p, s = sigmoid(z), sigmoid(z - margin)
    negative = p**gamma * (-gamma * (1 - p) * math.log(1 - p) + p)
    positive = (1 - s) ** gamma * (gamma * s * math.log(s) - (1 - s))
    return negative / (negative - positive)


@pytest.mark.parametrize(("margin", "gamma"), [(1.0, 2.0), (0.5, 0.5), (0.0, 1.0), (-1.0, 3.0)])
def test_posterior_is_that_of_the_slopes_and_of_the_least_expected_loss(margin: float, gamma: float) -> None:
    grid = np.linspace(-6, 6, 2401)
    positive = np.array([entry(z, 1, False, 0.6, margin, gamma) for z in grid])
    negative = np.array([entry(z, -1, False, 0.6, margin, gamma) for z in grid])
    for z in (-3.0, -1.0, 0.0, 0.5, 2.0):
        share = focal_margin_posterior(torch.tensor([[z]], dtype=torch.float64), margin, gamma).item()
        assert share == pytest.approx(posterior_by_hand(z, margin, gamma), rel=1e-11)
        assert grid[np.argmin(share * positive + (1 - share) * negative)] == pytest.approx(z, abs=0.006)


def test_posterior_by_hand() -> None:
    zero = torch.zeros(1, 1, dtype=torch.float64)
    assert focal_margin_posterior(zero).item() == pytest.approx(0.28, abs=0.005)
    z = random_logits(7, 9, 3)
    assert torch.allclose(focal_margin_posterior(z, 0.0, 0.0), z.sigmoid(), rtol=1e-13)  # plain cross-entropy
    one = focal_margin_posterior(z) + focal_margin_posterior(1 - z)
    assert torch.allclose(one, torch.ones_like(z), rtol=1e-13)  # the two classes change places at half the margin


def test_posterior_increases_and_stays_finite() -> None:
    z = torch.linspace(-80, 80, 3201)[:, None]
    posterior = focal_margin_posterior(z.double())
    assert (posterior.diff(dim=0) >= 0).all()
    assert (posterior[(z.abs() < 12).squeeze(1)].diff(dim=0) > 0).all()
    assert 0 < posterior[0] < 1e-100
    assert posterior[-1] == 1.0
    assert torch.equal(focal_margin_posterior(z), posterior.float())
    assert focal_margin_posterior(z).dtype == torch.float32
    assert focal_margin_posterior(z.half()).dtype == torch.float32
    far = torch.tensor([[-1e4, -800.0, 800.0, 1e4]], requires_grad=True)
    assert focal_margin_posterior(far).tolist() == [[0.0, 0.0, 1.0, 1.0]]
    assert not focal_margin_posterior(far).requires_grad


# --- the method


def make_method(epochs: int = 10, **changes: Any) -> SPLC:
    return SPLC(make_task("multi", epochs=epochs), make_encoder, SPLCParams(**changes))


@pytest.mark.parametrize(("epochs", "first"), [(1, 1), (10, 1), (80, 1), (110, 1), (160, 2), (240, 3)])
def test_correction_begins_after_one_epoch(epochs: int, first: int) -> None:
    method = make_method(epochs)
    set_head(method.network.head, [5.0, -5.0, logit(0.6)])
    labels = torch.tensor([[-1, -1, 0], [1, 1, -1]])
    before, after = (method.loss(make_batch([0, 1], labels, epoch=epoch)) for epoch in (first - 1, first))
    assert before.target is None
    assert after.target is not None
    assert after.target.tolist() == [[[1, -1, 0], [1, 1, -1]]]
    assert float(before.logs["corrected"]) == 0.0
    assert float(after.logs["corrected"]) == pytest.approx(1 / 5)
    logits = torch.tensor([[5.0, -5.0, logit(0.6)]] * 2)
    for step, correct in ((before, False), (after, True)):
        assert step.loss is not None
        assert step.loss.item() == pytest.approx(splc_loss(logits, labels, correct).item(), rel=1e-5)
        assert step.weight is not None
        assert torch.equal(step.weight, (labels != 0).float()[None])
        assert step.probabilities is not None
        assert torch.allclose(step.probabilities, logits.sigmoid())


def test_verified_rows_are_kept_in_the_variant_only() -> None:
    assert SPLC.variants["keep-verified"].params == {"keep_verified": True}
    assert SPLC.variants["keep-verified"].needs == {"verified"}
    labels = -torch.ones(2, 3, dtype=torch.int64)
    logits = torch.full((2, 3), 5.0)
    for keep in (False, True):
        method = make_method(keep_verified=keep)
        set_head(method.network.head, [5.0] * 3)
        step = method.loss(make_batch([0, 1], labels, verified=[True, False], epoch=3))
        assert step.target is not None
        assert step.target.tolist() == [[[-1 if keep else 1] * 3, [1] * 3]]
        assert step.loss is not None
        switch = torch.tensor([keep, False])
        assert step.loss.item() == pytest.approx(splc_loss(logits, labels, True, verified=switch).item(), rel=1e-5)


def test_the_variant_predicts_the_posterior() -> None:
    assert SPLC.variants["posterior"].params == {"posterior": True}
    plain, method = make_method(), make_method(posterior=True, margin=0.5)
    batch = make_batch(range(5), random_labels(9, 5, 3))
    logits = method.network(batch.images[0]).detach()
    probabilities = method.loss(batch).probabilities
    assert probabilities is not None
    assert torch.equal(probabilities, focal_margin_posterior(logits, 0.5))
    assert torch.equal(method.predict(batch.images[0]), focal_margin_posterior(logits, 0.5))
    assert torch.equal(plain.predict(batch.images[0]), plain.network(batch.images[0]).sigmoid())


def test_a_batch_of_unknown_labels_has_no_gradient() -> None:
    method = make_method()
    loss = method.loss(make_batch([0, 1], torch.zeros(2, 3, dtype=torch.int64), epoch=2)).loss
    assert loss is not None
    assert loss.item() == 0.0
    loss.backward()
    assert not any(p.grad.any() for p in method.parameters() if p.grad is not None)


def slope_by_hand(z: Array, labels: Any, turned: Any, margin: float, gamma: float) -> Array:
    p, s = logistic(z), logistic(np.where(labels > 0, z - margin, z))
    positive = (1 - s) ** gamma * (gamma * s * np.log(s) - (1 - s))
    negative = p**gamma * (p - gamma * (1 - p) * np.log(1 - p))
    return np.where((labels > 0) | turned, positive, np.where(labels < 0, negative, 0.0))


@pytest.mark.parametrize("keep", [False, True])
def test_a_linear_run_in_numpy(keep: bool) -> None:
    task = make_task("multi", AUS, size=ROWS, epochs=5)
    params = SPLCParams(tau=0.55, margin=0.8, gamma=1.5, keep_verified=keep)
    method = SPLC(task, make_identity, params).double()
    line, x, expected, turns = Line(method.network.head), features(), [], 0
    for epoch in range(5):
        for rows in ORDER:
            z, y = line(x[rows]), LABELS[rows]
            p, count = logistic(z), int((y != 0).sum())
            turned = (y < 0) & (p > 0.55) & (epoch > 0)
            if keep:
                turned &= ~VERIFIED[rows][:, None]
            turns += int(turned.sum())
            total = 0.0
            for i, k in np.argwhere(y != 0):
                total += entry(z[i, k], y[i, k], bool(turned[i, k]), 0.55, 0.8, 1.5)
            expected.append(total / count)
            line.move((slope_by_hand(z, y, turned, 0.8, 1.5) / count, x[rows]))
    assert turns > 5
    assert run(method, 5) == pytest.approx(expected, rel=1e-10)
    assert line.agrees_with(method.network.head)
    images = multi_batch(range(4)).images[0]
    assert np.allclose(method.predict(images).detach().numpy(), logistic(line(x[:4])))
