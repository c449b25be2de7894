from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from fernoise_bench.baselines.volminnet import VolMinNet, VolMinNetParams, learnt_transition, volmin_loss, volume

from ..methods.toy import make_task, random_logits, softmax
from .linear import Array, double_batch, make_identity, softmax_rows, weights_of

LABELS = torch.tensor([0, 2, 1, 1, 2])
EMPTY = torch.zeros(0, dtype=torch.int64)


def transition_by_hand(raw: Array) -> Array:
    size = len(raw)
    found = np.eye(size)
    for i in range(size):
        for j in range(size):
            if i != j:
                found[i, j] = 1 / (1 + math.exp(-raw[i, j]))
        found[i] /= found[i].sum()
    return found


def loss_by_hand(z: Array, labels: Any, raw: Array, weight: float) -> float:
    t = transition_by_hand(raw)
    total = 0.0
    for row, y in zip(z.tolist(), labels, strict=True):
        total -= math.log(sum(p * t[i, y] for i, p in enumerate(softmax(row))))
    return total / len(z) + weight * math.log(abs(np.linalg.det(t)))


def test_transition_by_loop() -> None:
    raw = random_logits(0, 4, 4)
    found = learnt_transition(raw)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), transition_by_hand(raw.numpy()), rtol=1e-12)
    assert gradcheck(learnt_transition, (raw.requires_grad_(),), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(("classes", "rate"), [(7, 0.417), (8, 0.455), (10, 0.518)])
def test_the_start_is_a_rate_of_noise(classes: int, rate: float) -> None:
    found = learnt_transition(torch.full((classes, classes), -2.0, dtype=torch.float64))
    assert torch.allclose(1 - found.diagonal(), torch.tensor(rate, dtype=torch.float64), atol=5e-4)
    assert torch.allclose(found.sum(1), torch.ones(classes, dtype=torch.float64))


def test_limits_and_the_diagonal() -> None:
    for low in (-1e4, -math.inf):
        raw = torch.full((3, 3), low, dtype=torch.float64, requires_grad=True)
        assert torch.equal(learnt_transition(raw), torch.eye(3, dtype=torch.float64))
        assert volume(learnt_transition(raw)).item() == 0.0
        assert torch.isfinite(torch.autograd.grad(volume(learnt_transition(raw)), raw)[0]).all()
    raw = random_logits(1, 3, 3)
    other = raw.clone()
    other.diagonal().add_(torch.tensor([1.0, -5.0, 40.0]))
    assert torch.equal(learnt_transition(raw), learnt_transition(other))


def test_volume_ignores_the_sign() -> None:
    t = torch.tensor([[0.2, 0.8, 0.0], [0.9, 0.1, 0.0], [0.3, 0.2, 0.5]], dtype=torch.float64)
    assert np.linalg.det(t.numpy()) < 0
    assert volume(t).item() == pytest.approx(math.log(-np.linalg.det(t.numpy())), rel=1e-12)
    assert gradcheck(volume, (t.requires_grad_(),), rtol=1e-5, atol=1e-9)
    assert volume(torch.eye(3).half()).dtype == torch.float32


@pytest.mark.parametrize("weight", [1e-4, 0.3, 0.0])
def test_loss_by_loop(weight: float) -> None:
    z, raw = random_logits(2, 5, 3), random_logits(3, 3, 3)
    loss = volmin_loss(z, LABELS, learnt_transition(raw), weight)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(loss_by_hand(z.numpy(), LABELS.tolist(), raw.numpy(), weight), rel=1e-11)
    if weight == 1e-4:
        assert torch.equal(loss, volmin_loss(z, LABELS, learnt_transition(raw)))


def test_gradients_from_both_terms() -> None:
    z, raw = random_logits(4, 5, 3, requires_grad=True), random_logits(5, 3, 3, requires_grad=True)
    assert gradcheck(lambda z, raw: volmin_loss(z, LABELS, learnt_transition(raw), 0.5), (z, raw), rtol=1e-5, atol=1e-8)
    (heavy,) = torch.autograd.grad(volmin_loss(z, LABELS, learnt_transition(raw), 0.5), raw)
    (light,) = torch.autograd.grad(volmin_loss(z, LABELS, learnt_transition(raw), 0.0), raw)
    assert not torch.allclose(heavy, light, rtol=1e-2)
    assert heavy.diagonal().tolist() == [0.0] * 3


def test_saturated_logits_and_empty_batches() -> None:
    raw = torch.full((3, 3), -2.0, requires_grad=True)
    for scale in (900.0, 1e4):
        z = torch.tensor([[scale, -scale, 0.0]], requires_grad=True)
        loss = volmin_loss(z, torch.tensor([1]), learnt_transition(raw))
        assert loss.dtype == torch.float32
        assert torch.isfinite(loss)
        assert all(torch.isfinite(each).all() for each in torch.autograd.grad(loss, (z, raw)))
    singular = torch.full((3, 3), 1 / 3)
    nothing = volmin_loss(z[:0], EMPTY, singular)
    assert nothing.item() == 0.0
    assert nothing.requires_grad


def make_method(**changes: Any) -> VolMinNet:
    method = VolMinNet(make_task(), make_identity, VolMinNetParams(**changes)).double()
    with torch.no_grad():
        method.network.head.weight.mul_(8)
    return method


def test_training_follows_a_linear_run_in_numpy() -> None:
    method = make_method(volume_weight=0.2)
    weight, bias = weights_of(method.network.head)
    raw = np.full((3, 3), -2.0)
    np.testing.assert_allclose(method.transition.numpy(), transition_by_hand(raw), rtol=1e-9)
    for index, labels in [([0, 1, 2, 1], [0, 2, 1, 0]), ([3, 4, 5, 0], [1, 1, 2, 0])] * 2:
        batch = double_batch(index, labels)
        x = batch.images[0].flatten(1).numpy()
        step = method.loss(batch)
        assert step.loss is not None
        t = transition_by_hand(raw)
        assert step.loss.item() == pytest.approx(loss_by_hand(x @ weight.T + bias, labels, raw, 0.2), rel=1e-9)
        logged = {name: float(value) for name, value in step.logs.items()}
        assert logged == pytest.approx(
            {
                "mean_diagonal": t.diagonal().mean(),
                "smallest_diagonal": t.diagonal().min(),
                "largest_diagonal": t.diagonal().max(),
                "volume": math.log(abs(np.linalg.det(t))),
            },
            rel=1e-9,
        )
        assert step.weight is not None
        assert step.weight.tolist() == [[1.0] * 4]
        assert step.target is None
        assert step.probabilities is not None
        np.testing.assert_allclose(step.probabilities.numpy(), softmax_rows(x @ weight.T + bias), rtol=1e-9)
        method.zero_grad()
        step.loss.backward()  # type: ignore[no-untyped-call]
        slopes = np.zeros((3, 3)), np.zeros_like(weight)
        for which, slope in enumerate(slopes):
            for place in np.ndindex(*slope.shape):
                ends = []
                for move in (1e-6, -1e-6):
                    parts = [raw.copy(), weight.copy()]
                    parts[which][place] += move
                    ends.append(loss_by_hand(x @ parts[1].T + bias, labels, parts[0], 0.2))
                slope[place] = (ends[0] - ends[1]) / 2e-6
        for parameter, slope in zip((method.raw, method.network.head.weight), slopes, strict=True):
            assert parameter.grad is not None
            np.testing.assert_allclose(parameter.grad.numpy(), slope, rtol=1e-4, atol=1e-7)
            with torch.no_grad():
                parameter -= 0.5 * parameter.grad
        method.after_step()
        raw, (weight, bias) = method.raw.detach().numpy().copy(), weights_of(method.network.head)
        np.testing.assert_allclose(method.transition.numpy(), transition_by_hand(raw), rtol=1e-9)
    assert abs(raw + 2.0).max() > 1e-3


def test_prediction_is_the_clean_posterior_and_the_network_starts_as_every_other() -> None:
    method = VolMinNet(make_task(), make_identity, VolMinNetParams())
    batch = double_batch([0, 1, 2], [0, 1, 2])
    images = batch.images[0].float()
    assert torch.equal(method.predict(images), F.softmax(method.network(images), dim=1))
    torch.manual_seed(300)
    linear = torch.nn.Linear(12, 3)
    assert torch.equal(linear.weight, method.network.head.weight)
    assert method.transition.dtype == torch.float64


def test_the_matrix_has_its_own_group() -> None:
    method = make_method()
    (group,) = method.parameter_groups()
    assert len(group.parameters) == 1
    assert group.parameters[0] is method.raw
    assert (group.learning_rate, group.weight_decay) == (0.01, 0.0)
