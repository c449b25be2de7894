from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fernoise_bench.baselines.sop import SOP, SOPParams, descend, sop_loss, sop_plus_loss
from fernoise_bench.methods.base import Batch

from ..methods.toy import make_batch, make_encoder, make_task, parameter_gradients, random_logits
from .linear import Array, double_batch, make_identity, softmax_rows, weights_of

EPS = 1e-4
GIVEN = torch.tensor([0, 2, 1, 1, 0, 2, 0, 1, 2, 0, 1, 2])
BATCHES = ([3, 0, 7, 9, 4, 11], [5, 1, 5, 10, 2, 8], [6, 6, 6, 0, 1, 7], [2, 4])  # rows occur twice in one batch
RATE = 0.7


def explained(p: Array, label: int, u: float, v: Array) -> tuple[Array, float, Array, Array]:
    """Of a row: the prediction with errors before and after normalisation, its sum, and where its floor is."""
    raw = [p[c] + (min(u * u, 1.0) if c == label else -min(float(v[c]) ** 2, 1.0)) for c in range(len(p))]
    lifted = np.array([max(value, EPS) for value in raw])
    total = float(lifted.sum())
    return lifted, total, np.array([min(max(q / total, EPS), 1.0) for q in lifted]), np.array([q >= EPS for q in raw])


def back(p: Array, lifted: Array, total: float, passes: Array, slope: Array) -> tuple[Array, Array]:
    """From slopes by the normalised prediction to those by the logits and by the prediction with errors."""
    slope = np.where([EPS <= q / total <= 1 for q in lifted], slope, 0.0)
    by_raw = np.where(passes, (slope - (slope * lifted).sum() / total) / total, 0.0)
    return p * (by_raw - (by_raw * p).sum()), by_raw


class Sums:
    """The loss of a batch, row by row, and its slopes by both views' logits, u and v."""

    def __init__(self, z1: Array, z2: Array, labels: Any, u: Array, v: Array, balance: float, consistency: float):
        rows, classes = z1.shape
        p1, p2 = softmax_rows(z1), softmax_rows(z2)
        self.loss, self.z1, self.z2 = 0.0, np.zeros_like(z1), np.zeros_like(z2)
        self.u, self.v = np.zeros_like(u), np.zeros_like(v)
        seen = [explained(p1[i], labels[i], float(u[i, 0]), v[i]) for i in range(rows)]
        mean = np.mean([q for _, _, q, _ in seen], axis=0)
        self.loss -= balance * float(np.mean(np.log(np.maximum(mean, EPS))))
        by_mean = np.where(mean >= EPS, -balance / (classes * mean * rows), 0.0)
        for i, (lifted, total, q, passes) in enumerate(seen):
            y, grown = labels[i], 2 * u[i, 0] * (u[i, 0] ** 2 <= 1)
            self.loss -= math.log(q[y]) / rows
            slope = by_mean.copy()
            slope[y] -= 1 / (q[y] * rows)
            self.z1[i], by_raw = back(p1[i], lifted, total, passes, slope)
            self.u[i, 0] += by_raw[y] * grown
            top = int(np.argmax(z1[i]))
            for c in range(classes):
                error = min(u[i, 0] ** 2, 1.0) if c == y else -min(v[i, c] ** 2, 1.0)
                left = float(c == top) - float(c == y) + error
                self.loss += left**2 / rows
                if c == y:
                    self.u[i, 0] += 2 * left * grown / rows
                elif v[i, c] ** 2 <= 1:
                    self.v[i, c] -= 4 * left * v[i, c] / rows
            ratio = sum(p1[i, c] * math.log(p1[i, c] / p2[i, c]) for c in range(classes))
            self.loss += consistency * ratio / rows
            self.z2[i] = consistency * (p2[i] - p1[i]) / rows


def drawn(seed: int, rows: int = 6, scale: float = 2.0, requires_grad: bool = False) -> tuple[Tensor, ...]:
    z1, z2 = (random_logits(seed + k, rows, 3, scale=scale, requires_grad=requires_grad) for k in range(2))
    u = random_logits(seed + 2, rows, 1, scale=0.7, requires_grad=requires_grad)
    v = random_logits(seed + 3, rows, 3, scale=0.7, requires_grad=requires_grad)  # some squares are above 1
    return z1, z2, u, v


LABELS = torch.tensor([0, 2, 1, 1, 0, 2])


@pytest.mark.parametrize("scale", [0.5, 2.0, 8.0])
@pytest.mark.parametrize("seed", [0, 10, 20])
def test_losses_and_gradients_are_those_of_a_loop(seed: int, scale: float) -> None:
    z1, z2, u, v = drawn(seed, scale=scale, requires_grad=True)
    arrays = [each.detach().numpy() for each in (z1, z2)]
    errors = [each.detach().numpy() for each in (u, v)]
    assert (errors[1] ** 2 > 1).any()
    plain = Sums(*arrays, LABELS.numpy(), *errors, balance=0.0, consistency=0.0)
    loss = sop_loss(z1, LABELS, u, v)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(plain.loss, rel=1e-12)
    found = torch.autograd.grad(loss, (z1, u, v))
    for gradient, expected in zip(found, (plain.z1, plain.u, plain.v), strict=True):
        np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-9, atol=1e-13)
    for changes in ((), (0.4, 2.0)):
        plus = Sums(*arrays, LABELS.numpy(), *errors, *(changes or (0.1, 0.9)))
        loss = sop_plus_loss(z1, z2, LABELS, u, v, *changes)
        assert loss.item() == pytest.approx(plus.loss, rel=1e-12)
        found = torch.autograd.grad(loss, (z1, z2, u, v))
        for gradient, expected in zip(found, (plus.z1, plus.z2, plus.u, plus.v), strict=True):
            np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-9, atol=1e-13)


def test_gradients_are_slopes_where_nothing_is_held_fixed() -> None:
    """Of the loop's own: by u, for which nothing is detached, and by z, with V and the second view taken away."""
    z1, z2, u, _ = (each.numpy() for each in drawn(3))
    v, step = np.zeros((6, 3)), 1e-6
    for balance, array in ((0.0, u), (0.3, z1)):

        def loss(balance: float = balance) -> float:
            return Sums(z1, z2, LABELS.numpy(), u, v, balance, 0.0).loss

        sums = Sums(z1, z2, LABELS.numpy(), u, v, balance, 0.0)
        expected = sums.u if array is u else sums.z1
        for place in np.ndindex(array.shape):
            before = array[place]
            array[place] = before + step
            up = loss()
            array[place] = before - step
            down = loss()
            array[place] = before
            assert expected[place] == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-7)


def test_without_errors_it_is_cross_entropy_and_two_for_each_mistake() -> None:
    z = torch.tensor([[2.0, 0.0, -1.0], [0.0, 3.0, 1.0]], dtype=torch.float64, requires_grad=True)
    u, v = torch.zeros(2, 1, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64)
    u.requires_grad_()
    v.requires_grad_()
    p = softmax_rows(z.detach().numpy())
    right = sop_loss(z, torch.tensor([0, 1]), u, v)
    assert right.item() == pytest.approx(-(math.log(p[0, 0]) + math.log(p[1, 1])) / 2, rel=1e-12)
    one_wrong = sop_loss(z, torch.tensor([0, 2]), u, v)
    assert one_wrong.item() == pytest.approx(-(math.log(p[0, 0]) + math.log(p[1, 2])) / 2 + 1.0, rel=1e-12)
    for gradient in torch.autograd.grad(one_wrong, (u, v)):
        assert not gradient.any()  # hence their initial values are not zeros
    # a tie goes to the first class
    flat = torch.zeros(1, 3, dtype=torch.float64)
    assert sop_loss(flat, torch.tensor([0]), u[:1], v[:1]).item() == pytest.approx(math.log(3))
    assert sop_loss(flat, torch.tensor([1]), u[:1], v[:1]).item() == pytest.approx(math.log(3) + 2)


def test_the_error_of_a_label_can_explain_it_away() -> None:
    """With U = 1 on the given class and V = 1 on the predicted one, a wrong label costs next to nothing."""
    z = torch.tensor([[30.0, 0.0, 0.0]], dtype=torch.float64)
    u, v = torch.tensor([[1.0]], dtype=torch.float64), torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    q = 1 / (1 + 2 * EPS)
    assert sop_loss(z, torch.tensor([1]), u, v).item() == pytest.approx(-math.log(q), rel=1e-9)
    assert sop_loss(z, torch.tensor([1]), 9 * u, 9 * v).item() == pytest.approx(-math.log(q), rel=1e-9)
    none = sop_loss(z, torch.tensor([1]), 0 * u, 0 * v)
    assert none.item() == pytest.approx(2 - math.log(EPS), rel=1e-9)  # the floor bounds the cross-entropy


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_saturated_logits_empty_batches_and_half_precision(scale: float) -> None:
    z1 = torch.tensor([[scale, 0.0, -scale], [0.0, scale, 0.0]], requires_grad=True)
    z2 = torch.tensor([[-scale, 0.0, scale], [0.0, -scale, 0.0]], requires_grad=True)
    u, v = torch.full((2, 1), 1e-8, requires_grad=True), torch.full((2, 3), 1e-8, requires_grad=True)
    labels = torch.tensor([2, 1])
    loss = sop_plus_loss(z1, z2, labels, u, v)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(each).all() for each in torch.autograd.grad(loss, (z1, z2, u, v)))
    for empty in (sop_loss(z1[:0], labels[:0], u[:0], v[:0]), sop_plus_loss(z1[:0], z2[:0], labels[:0], u[:0], v[:0])):
        assert empty.item() == 0.0
        assert empty.requires_grad
    half = z1.detach().clamp(-9, 9).half()
    assert sop_loss(half, labels, u, v).dtype == torch.float32
    assert sop_loss(half, labels, u, v).item() == sop_loss(half.float(), labels, u, v).item()


def test_descent_adds_up_what_a_row_gets_and_leaves_the_others() -> None:
    values, gradient = random_logits(0, 5, 2), random_logits(1, 4, 2)
    before = values.clone()
    moved = descend(values, torch.tensor([3, 0, 3, 4]), gradient, 0.5)
    expected = values.numpy().copy()
    for row, place in enumerate([3, 0, 3, 4]):
        expected[place] -= 0.5 * gradient[row].numpy()
    np.testing.assert_allclose(moved.numpy(), expected, rtol=1e-14)
    assert torch.equal(values, before)
    assert moved.dtype == torch.float64
    none = torch.zeros(0, dtype=torch.int64)
    assert torch.equal(descend(values, none, gradient[:0], 0.5), values)


def make_method(double: bool = False, **changes: Any) -> SOP:
    method = SOP(make_task(), make_identity if double else make_encoder, SOPParams(**changes))
    return method.double() if double else method


def batch_of(step: int, views: int) -> Batch:
    index = BATCHES[step]
    return double_batch(index, GIVEN[index], views=views, epoch=1, step=step)


@pytest.mark.parametrize(("balance", "consistency"), [(0.0, 0.0), (0.1, 0.9)])
def test_training_equals_numpy(balance: float, consistency: float) -> None:
    """Some epochs of a linear network and of u and v, whose rate goes with the batch size; rows occur repeatedly."""
    method = make_method(True, deviation=0.4, rate_u=20.0, rate_v=40.0, balance=balance, consistency=consistency)
    views = 2 if consistency else 1
    assert method.views == (("weak", "strong") if consistency else 1)
    weights, bias = weights_of(method.network.head)
    u, v = method.u.numpy().copy(), method.v.numpy().copy()
    optimizer = torch.optim.SGD(method.parameters(), lr=RATE, momentum=0.9)
    momentum = [np.zeros_like(weights), np.zeros_like(bias)]
    for _ in range(5):
        for number, index in enumerate(BATCHES):
            batch = batch_of(number, views)
            step = method.loss(batch)
            assert step.loss is not None
            optimizer.zero_grad()
            step.loss.backward()
            optimizer.step()
            method.after_step()
            x = [view.flatten(1).numpy() for view in batch.images]
            z = [each @ weights.T + bias for each in x]
            sums = Sums(z[0], z[-1], batch.labels.numpy(), u[index], v[index], balance, consistency)
            assert step.loss.item() == pytest.approx(sums.loss, rel=1e-9)
            second = sums.z2 if views == 2 else np.zeros_like(sums.z2)
            gradient = [sums.z1.T @ x[0] + second.T @ x[-1], (sums.z1 + second).sum(0)]
            momentum = [0.9 * old + new for old, new in zip(momentum, gradient, strict=True)]
            weights, bias = weights - RATE * momentum[0], bias - RATE * momentum[1]
            for row, place in enumerate(index):
                u[place] -= 20.0 * len(index) / 128 * sums.u[row]
                v[place] -= 40.0 * len(index) / 128 * sums.v[row]
    np.testing.assert_allclose(method.network.head.weight.detach().numpy(), weights, rtol=1e-8)
    np.testing.assert_allclose(method.u.numpy(), u, rtol=1e-8)
    np.testing.assert_allclose(method.v.numpy(), v, rtol=1e-8)
    assert (u**2 > 0.5).any()


def test_from_almost_nothing_the_error_of_a_contradicted_label_grows_as_derived() -> None:
    """Per visit u is multiplied by 1 + (2·rate/128)·(1/p_y + 1), whatever the batch size, while u² is tiny."""
    method = make_method(True)
    method.network.requires_grad_(False)
    batch = double_batch([3, 8], [2, 2])
    z = method.network(batch.images[0])
    assert not (z.argmax(1) == 2).any()
    p = z.softmax(1)[:, 2].detach()
    before = method.u.clone()
    for visits in range(1, 6):
        step = method.loss(batch)
        assert step.loss is not None
        step.loss.backward()
        method.after_step()
        expected = before[[3, 8], 0] * (1 + 2 * 10 / 128 * (1 / p + 1)) ** visits
        np.testing.assert_allclose(method.u[[3, 8], 0].numpy(), expected.numpy(), rtol=1e-6)
    others = [i for i in range(12) if i not in (3, 8)]
    assert torch.equal(method.u[others], before[others])


def test_initial_errors_follow_the_network() -> None:
    method = make_method()
    plus = make_method(balance=0.1, consistency=0.9)
    assert torch.equal(method.network.head.weight, plus.network.head.weight)
    assert torch.equal(method.u, plus.u)
    assert method.u.shape == (12, 1)
    assert method.v.shape == (12, 3)
    assert method.u.dtype == method.v.dtype == torch.float32
    assert {"u", "v"} <= set(method.state_dict())
    variant = SOP.variants["plus"]
    assert replace(SOPParams(), **variant.params) == SOPParams(balance=0.1, consistency=0.9)  # type: ignore[arg-type]


@pytest.mark.parametrize(("changes", "deviation"), [({}, 1e-8), ({"deviation": 0.4}, 0.4)])
def test_errors_start_with_a_standard_deviation(changes: dict[str, float], deviation: float) -> None:
    method = SOP(make_task(size=5000), make_encoder, SOPParams(**changes))
    for errors in (method.u, method.v):
        drawn = errors.double()
        assert float(drawn.std()) == pytest.approx(deviation, rel=0.05)
        assert float(drawn.mean()) == pytest.approx(0.0, abs=0.06 * deviation)
        assert 3 * deviation < float(drawn.abs().max()) < 6 * deviation, "normal"


def test_a_step_says_what_the_labels_are_taken_for() -> None:
    method = make_method()
    batch = make_batch([2, 3, 2, 5], torch.tensor([0, 2, 1, 1]))
    with torch.no_grad():
        method.u.zero_()
        method.v.zero_()
        method.u[3], method.v[3] = 0.8, torch.tensor([0.0, 0.5, 0.3])  # the last is that of the given class
        method.u[5], method.v[5, 0] = 3.0, 2.0
    logits = method.network(batch.images[0])
    step = method.loss(batch)
    assert step.target is not None
    second = np.array([0.0, 0.25, 1 - 0.64])
    expected = [[1.0, 0, 0], (second / second.sum()).tolist(), [0, 1.0, 0], [1.0, 0, 0]]
    np.testing.assert_allclose(step.target.numpy(), [expected], rtol=1e-6)
    assert not step.target.requires_grad
    assert step.weight is not None
    assert step.weight.tolist() == [[1.0] * 4]
    assert step.probabilities is not None
    assert torch.equal(step.probabilities, logits.softmax(1))
    assert float(step.logs["label_error"]) == pytest.approx((0.64 + 1) / 4)
    assert float(step.logs["taken_for_wrong"]) == 0.5
    assert step.loss is not None
    step.loss.backward()
    assert all(parameter_gradients(method))
    assert torch.equal(method.predict(batch.images[0]), logits.softmax(1))
    with torch.no_grad():  # nothing is left of a label whose whole error is known and that is none of the others
        method.u[5], method.v[5] = 1.0, 0.0
    empty = method.loss(make_batch([5], torch.tensor([1]))).target
    assert empty is not None
    assert empty.tolist() == [[[0.0, 0.0, 0.0]]]


def test_what_a_batch_leaves_is_gone_after_its_step_and_a_skipped_step_moves_nothing() -> None:
    method = make_method()
    method.after_step()  # before any loss
    first, second = make_batch([0, 1], torch.tensor([0, 1])), make_batch([2, 3], torch.tensor([1, 2]))
    second = replace(second, labels=(method.network(second.images[0]).argmax(1) + 1) % 3)  # v moves at mistakes alone
    u, v = method.u.clone(), method.v.clone()
    method.loss(first)  # this step is skipped
    step = method.loss(second)
    assert step.loss is not None
    step.loss.backward()
    method.after_step()
    assert torch.equal(method.u[:2], u[:2])
    assert not torch.equal(method.u[2:4], u[2:4])
    assert not torch.equal(method.v[2:4], v[2:4])
    assert method._leaves is None
    moved = method.u.clone()
    method.after_step()
    assert torch.equal(method.u, moved)
    assert not method.u.requires_grad


def test_both_views_are_forwarded_together() -> None:
    method = SOP(make_task(), make_encoder, SOPParams(balance=0.1, consistency=0.9))
    batch = make_batch([2, 3, 5], torch.tensor([0, 2, 1]), views=2)
    step = method.loss(batch)
    assert method.network.encoder.rows == [6]
    assert step.probabilities is not None
    assert torch.allclose(step.probabilities, method.network(batch.images[0]).softmax(1))
