from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.nla import (
    NLA,
    ambiguity_weights,
    covariance_ramp,
    mirror_consistency,
    nla_loss,
)
from fernoise_bench.benchmark.registry import find

from ..methods.toy import cross_entropy, make_task, parameter_gradients, random_logits, softmax
from .linear import Array, double_batch, make_identity, softmax_rows, weights_of

LABELS = torch.tensor([0, 2, 1, 1, 3, 0])
EMPTY = torch.zeros(0, dtype=torch.int64)


def density(x: Any, mean: Any, covariance: Array) -> float:
    """By the inverse and the determinant of the covariance."""
    off = np.asarray(x) - np.asarray(mean)
    distance = float(off @ np.linalg.inv(covariance) @ off)
    return math.exp(-distance / 2) / (2 * math.pi * math.sqrt(np.linalg.det(covariance)))


def matrix(d: float, o: float) -> Array:
    return np.array([[d, o], [o, d]])


def weight_by_hand(p: list[float], label: int, ramp: float) -> float:
    given, rival = p[label], max(value for c, value in enumerate(p) if c != label)
    if given >= rival:
        long, short = 0.8**2, (0.8 / 2) ** 2
        return density((given, rival), (0.5, 0.5), matrix(long + short, ramp * (short - long)))
    long, short = 0.91**2, (0.91 / 6) ** 2
    return density((given, rival), (0.30, 0.15), matrix(long + short, long - short))


def loss_by_hand(z: Array, mirrored: Array, labels: Any, ramp: float, parts: tuple[float, float, float]) -> float:
    total = 0.0
    for row, other, y in zip(z.tolist(), mirrored.tolist(), labels.tolist(), strict=True):
        p, q = softmax(row), softmax(other)
        m = softmax([(a + b) / 2 for a, b in zip(row, other, strict=True)])
        divergence = [sum(a * math.log(a / b) for a, b in zip(m, each, strict=True)) for each in (p, q)]
        weight = parts[0] + parts[1] * weight_by_hand(p, y, ramp)
        total += weight * cross_entropy(row, y) + parts[2] * sum(divergence) / 2
    return total / len(z)


def logits_at(given: float, rival: float) -> torch.Tensor:
    """Logits of four classes whose label 1 and its rival 3 have these probabilities."""
    rest = (1 - given - rival) / 2
    return torch.tensor([[rest, given, rest, rival]], dtype=torch.float64).log()


def test_ramp() -> None:
    assert covariance_ramp(0, 60) == 0.0
    assert covariance_ramp(4, 60) == pytest.approx(1 - math.exp(-1), rel=1e-12)
    assert covariance_ramp(3, 60, slope=5.0) == pytest.approx(1 - math.exp(-0.25), rel=1e-12)
    assert covariance_ramp(0.31 * 60, 60) == pytest.approx(0.99, abs=1e-3)
    with pytest.raises(ValueError, match="epochs"):
        covariance_ramp(0, 0)


@pytest.mark.parametrize("ramp", [0.0, 0.4, 1.0])
def test_weights_are_densities(ramp: float) -> None:
    z = random_logits(0, 6, 4)
    weights = ambiguity_weights(z, LABELS, ramp)
    kinds = [softmax(row)[y] >= max(softmax(row)) for row, y in zip(z.tolist(), LABELS.tolist(), strict=True)]
    assert {True, False} == set(kinds)
    expected = [weight_by_hand(softmax(row), y, ramp) for row, y in zip(z.tolist(), LABELS.tolist(), strict=True)]
    assert weights.dtype == torch.float64
    assert weights.tolist() == pytest.approx(expected, rel=1e-10)


def test_weights_by_hand() -> None:
    label = torch.tensor([1])
    at_the_mean = ambiguity_weights(logits_at(0.5 - 1e-13, 0.5 - 2e-13), label, 0.0)
    assert at_the_mean.item() == pytest.approx(1 / (2 * math.pi * 0.8), rel=1e-9)
    swapped = ambiguity_weights(logits_at(0.15, 0.30), label, 1.0, disagreeing_mean=(0.15, 0.30))
    assert swapped.item() == pytest.approx(1 / (4 * math.pi * 0.91**2 / 6), rel=1e-9)
    assert ambiguity_weights(logits_at(0.15, 0.30), label, 1.0).item() < 0.9 * swapped.item()


def test_equally_probable_counts_as_agreeing_and_the_rival_is_another_class() -> None:
    z = torch.zeros(1, 4, dtype=torch.float64)
    expected = density((0.25, 0.25), (0.5, 0.5), matrix(0.8, -0.48))
    assert ambiguity_weights(z, torch.tensor([1]), 1.0).item() == pytest.approx(expected, rel=1e-10)


def test_agreeing_rows_only_change_with_the_ramp() -> None:
    z = torch.cat([logits_at(0.7, 0.2), logits_at(0.2, 0.7)])
    early, late = (ambiguity_weights(z, torch.tensor([1, 1]), ramp) for ramp in (0.0, 1.0))
    assert early[0] != late[0]
    assert early[1] == late[1]


def test_consistency() -> None:
    z, other = random_logits(1, 6, 4), random_logits(2, 6, 4)
    expected = loss_by_hand(z.numpy(), other.numpy(), LABELS, 0.0, (0.0, 0.0, 1.0))
    assert mirror_consistency(z, other).item() == pytest.approx(expected, rel=1e-10)
    assert mirror_consistency(other, z).item() == pytest.approx(expected, rel=1e-10)
    z.requires_grad_()
    assert mirror_consistency(z, z.detach()).item() == pytest.approx(0.0, abs=1e-12)
    (gradient,) = torch.autograd.grad(mirror_consistency(z, z.detach()), z)
    assert gradient.abs().max() < 1e-12
    other.requires_grad_()
    assert gradcheck(mirror_consistency, (z, other), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("parts", [(0.5, 0.5, 16.0), (1.0, 0.0, 2.0), (0.1, 3.0, 0.0)])
def test_loss_by_loop(parts: tuple[float, float, float]) -> None:
    z, other = random_logits(3, 6, 4), random_logits(4, 6, 4)
    loss = nla_loss(z, other, LABELS, 0.7, *parts)
    assert loss.item() == pytest.approx(loss_by_hand(z.numpy(), other.numpy(), LABELS, 0.7, parts), rel=1e-10)
    if parts == (0.5, 0.5, 16.0):
        assert torch.equal(loss, nla_loss(z, other, LABELS, 0.7))


def test_the_gradient_goes_through_the_weights_unless_they_are_given() -> None:
    z, other = random_logits(5, 6, 4, requires_grad=True), random_logits(6, 6, 4, requires_grad=True)
    assert gradcheck(lambda z, other: nla_loss(z, other, LABELS, 0.7), (z, other), rtol=1e-5, atol=1e-7)
    constant = ambiguity_weights(z, LABELS, 0.7).detach()
    (through,) = torch.autograd.grad(nla_loss(z, other, LABELS, 0.7), z)
    (past,) = torch.autograd.grad(nla_loss(z, other, LABELS, 0.7, weights=constant), z)
    assert not torch.allclose(through, past, rtol=1e-3)


@pytest.mark.parametrize("scale", [900.0, 1e4])
def test_saturated_logits_half_precision_and_empty_batches(scale: float) -> None:
    z = torch.tensor([[scale, -scale, 0.0], [scale, -scale, 0.0]], requires_grad=True)
    other = (-z.detach()).requires_grad_()
    loss = nla_loss(z, other, torch.tensor([1, 0]), 1.0)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(each).all() for each in torch.autograd.grad(loss, (z, other)))
    half = z.detach().clamp(-9, 9).half()
    assert nla_loss(half, half, torch.tensor([1, 0]), 1.0).dtype == torch.float32
    nothing = nla_loss(z[:0], other[:0], EMPTY, 0.5)
    assert nothing.item() == 0.0
    assert nothing.requires_grad


def make_method(name: str = "nla") -> NLA:
    method = NLA(make_task(outputs=3), make_identity, find(name).params).double()
    with torch.no_grad():
        method.network.head.weight.mul_(6)
    return method


PARTS = [("nla", (0.5, 0.5, 16.0)), ("nla:no-consistency", (0.5, 0.5, 0.0)), ("nla:unweighted", (1.0, 0.0, 16.0))]


@pytest.mark.parametrize(("name", "parts"), PARTS)
def test_training_follows_a_linear_run_in_numpy(name: str, parts: tuple[float, float, float]) -> None:
    method = make_method(name)
    weight, bias = weights_of(method.network.head)
    for epoch, (index, labels) in enumerate([([0, 1, 2, 1], [0, 2, 1, 0]), ([3, 4, 5, 0], [1, 1, 2, 0])] * 2):
        batch = double_batch(index, labels, epoch=epoch)
        step = method.loss(batch)
        assert step.loss is not None
        ramp = 1 - math.exp(-15 * epoch / 40)
        images = batch.images[0].numpy()
        x, mirrored = images.reshape(4, -1), images[:, :, :, ::-1].reshape(4, -1)

        def value(weight: Array, bias: Array, x: Array = x, m: Array = mirrored, ramp: float = ramp) -> float:
            return loss_by_hand(x @ weight.T + bias, m @ weight.T + bias, batch.labels, ramp, parts)  # noqa: B023

        assert step.loss.item() == pytest.approx(value(weight, bias), rel=1e-9)
        rows = softmax_rows(x @ weight.T + bias)
        used = [parts[0] + parts[1] * weight_by_hand(p, y, ramp) for p, y in zip(rows.tolist(), labels, strict=True)]
        assert step.weight is not None
        assert not step.weight.requires_grad
        assert step.weight.tolist()[0] == pytest.approx(used, rel=1e-9)
        assert step.probabilities is not None
        np.testing.assert_allclose(step.probabilities.numpy(), rows, rtol=1e-9)
        method.zero_grad()
        step.loss.backward()  # type: ignore[no-untyped-call]
        slope = np.zeros_like(weight)
        for place in np.ndindex(*weight.shape):
            up, down = weight.copy(), weight.copy()
            up[place] += 1e-6
            down[place] -= 1e-6
            slope[place] = (value(up, bias) - value(down, bias)) / 2e-6
        gradient = method.network.head.weight.grad
        assert gradient is not None
        np.testing.assert_allclose(gradient.numpy(), slope, rtol=1e-4, atol=1e-6)
        with torch.no_grad():
            for parameter in method.parameters():
                assert parameter.grad is not None
                parameter -= 0.1 * parameter.grad
        weight, bias = weights_of(method.network.head)


def test_logs_and_the_number_of_forward_passes() -> None:
    method, batch = make_method(), double_batch([0, 1, 2, 3], [0, 2, 1, 1])
    step = method.loss(batch)
    logits, mirrored = method.network(batch.images[0]), method.network(batch.images[0].flip(3))
    weights = ambiguity_weights(logits, batch.labels, 0.0)
    assert step.logs["ambiguity_weight"] == pytest.approx(weights.mean().item(), rel=1e-12)
    assert step.logs["consistency"] == pytest.approx(mirror_consistency(logits, mirrored).item(), rel=1e-9)
    assert torch.equal(method.predict(batch.images[0]), logits.softmax(1))
    for name, count in (("nla", 2), ("nla:no-consistency", 1)):
        seen: list[int] = []
        other = make_method(name)
        other.network.register_forward_hook(lambda *_, seen=seen: seen.append(1))
        other.loss(batch)
        assert len(seen) == count


def test_detached_weights_are_constants() -> None:
    batch = double_batch([0, 1, 2, 3], [0, 2, 1, 1])
    gradients = []
    for name in ("nla", "nla:detached-weights"):
        method = make_method(name)
        loss = method.loss(batch).loss
        assert loss is not None
        loss.backward()  # type: ignore[no-untyped-call]
        gradients.append(parameter_gradients(method)[0])
        assert loss.item() == pytest.approx(make_method().loss(batch).loss.item(), rel=1e-12)  # type: ignore[union-attr]
    assert gradients[0] != pytest.approx(gradients[1], rel=1e-3)
