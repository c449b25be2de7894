from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from fernoise_bench.baselines.cores import CORES, cores_beta, cores_loss, remaining_prior
from fernoise_bench.benchmark.registry import find

from ..methods.toy import make_task, make_train, random_logits, softmax
from .linear import Array, double_batch, make_identity, softmax_rows, weights_of

LABELS = torch.tensor([0, 2, 1, 1, 2, 0])
PRIOR = torch.tensor([0.5, 0.1, 0.4], dtype=torch.float64)
EMPTY = torch.zeros(0, dtype=torch.int64)


def rows_by_hand(z: Array, labels: Any, prior: Any, beta: float) -> tuple[list[float], list[bool]]:
    """The loss of each row, and whether the sieve keeps it."""
    losses, keep = [], []
    for row, y in zip(z.tolist(), labels, strict=True):
        p = softmax(row)
        each = [-math.log(value + 1e-8) for value in p]
        losses.append(-math.log(p[y]) - beta * sum(a * b for a, b in zip(prior, each, strict=True)))
        keep.append(-math.log(p[y]) - sum(each) / len(each) <= 0)
    return losses, keep


def loss_by_hand(z: Array, labels: Any, prior: Any, beta: float, sieve: bool) -> float:
    losses, keep = rows_by_hand(z, labels, prior, beta)
    kept = [loss for loss, good in zip(losses, keep, strict=True) if good or not sieve]
    return sum(kept) / len(kept) if kept else 0.0


def test_beta_is_the_authors_ramp() -> None:
    expected = [0.0] * 10 + np.linspace(0, 2, 30).tolist() + [2.0] * 60
    assert [cores_beta(epoch) for epoch in range(100)] == pytest.approx(expected, rel=1e-12)
    assert [cores_beta(epoch, 2, 3, 6.0) for epoch in range(7)] == [0.0, 0.0, 0.0, 3.0, 6.0, 6.0, 6.0]


@pytest.mark.parametrize("ramp", [1, 0, -2])
def test_a_short_ramp_is_a_jump(ramp: int) -> None:
    assert [cores_beta(epoch, 2, ramp) for epoch in range(4)] == [0.0, 0.0, 2.0, 2.0]


@pytest.mark.parametrize("sieve", [False, True])
@pytest.mark.parametrize("beta", [0.0, 0.7, 2.0])
def test_loss_by_loop(beta: float, sieve: bool) -> None:
    z = random_logits(0, 6, 3)
    loss, keep = cores_loss(z, LABELS, PRIOR, beta, sieve)
    _, good = rows_by_hand(z.numpy(), LABELS.tolist(), PRIOR.tolist(), beta)
    assert True in good
    assert False in good
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(
        loss_by_hand(z.numpy(), LABELS.tolist(), PRIOR.tolist(), beta, sieve), rel=1e-11
    )
    assert keep.dtype == torch.bool
    assert keep.tolist() == (good if sieve else [True] * 6)
    if beta == 0.0 and not sieve:
        assert loss.item() == pytest.approx(F.cross_entropy(z, LABELS).item(), rel=1e-12)


def test_the_sieve_does_not_depend_on_prior_and_beta_and_keeps_equality() -> None:
    z = random_logits(1, 6, 3)
    first = cores_loss(z, LABELS, PRIOR, 0.0, True)[1]
    assert torch.equal(first, cores_loss(z, LABELS, PRIOR.flip(0), 2.0, True)[1])
    # in float32 the floor is lost beside one half, and both sides are log 2
    assert cores_loss(torch.tensor([[3.0, 3.0]]), torch.tensor([1]), torch.ones(2), 0.0, True)[1].tolist() == [True]


def test_gradient_is_of_the_kept_rows_alone() -> None:
    z = random_logits(2, 6, 3, requires_grad=True)
    for sieve in (False, True):
        assert gradcheck(lambda z, sieve=sieve: cores_loss(z, LABELS, PRIOR, 1.5, sieve)[0], (z,), rtol=1e-5, atol=1e-8)
    loss, keep = cores_loss(z, LABELS, PRIOR, 1.5, True)
    (gradient,) = torch.autograd.grad(loss, z)
    assert torch.equal(gradient.abs().sum(1) > 0, keep)
    prior = PRIOR.clone().requires_grad_()
    assert not cores_loss(z.detach(), LABELS, prior, 1.5, True)[0].requires_grad


def test_nothing_kept_is_zero() -> None:
    z = torch.tensor([[9.0, 0.0, 0.0], [9.0, 0.0, 0.0]], requires_grad=True)
    loss, keep = cores_loss(z, torch.tensor([1, 2]), PRIOR, 2.0, True)
    assert keep.tolist() == [False, False]
    assert loss.item() == 0.0
    assert torch.autograd.grad(loss, z)[0].tolist() == [[0.0] * 3] * 2
    loss, keep = cores_loss(z[:0], EMPTY, PRIOR, 2.0, True)
    assert loss.item() == 0.0
    assert loss.requires_grad
    assert keep.tolist() == []


def test_saturated_logits_reach_the_bound() -> None:
    for scale in (900.0, 1e4):
        z = torch.tensor([[scale, -scale, 0.0], [scale, -scale, 0.0]], requires_grad=True)
        loss, _ = cores_loss(z, torch.tensor([0, 1]), PRIOR, 2.0, False)
        assert torch.isfinite(loss)
        assert torch.isfinite(torch.autograd.grad(loss, z)[0]).all()
    sure = cores_loss(z[:1], torch.tensor([0]), PRIOR, 2.0, True)[0]
    assert sure.item() == pytest.approx(2.0 * math.log(1e-8) * (1 - 0.5), rel=1e-5)
    assert cores_loss(z.detach().clamp(-9, 9).half(), torch.tensor([0, 1]), PRIOR, 2.0, False)[0].dtype == torch.float32


def test_remaining_prior() -> None:
    counts, sieved = torch.tensor([30.0, 10.0, 60.0]), torch.tensor([10.0, 10.0, 0.0])
    found = remaining_prior(counts, sieved)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx([0.25, 0.0, 0.75])
    assert remaining_prior(counts, counts).tolist() == [0.0] * 3
    assert remaining_prior(counts.long(), torch.tensor([0.0, 15.0, 0.0])).tolist() == pytest.approx([1 / 3, 0, 2 / 3])
    assert remaining_prior(counts / 100, sieved / 100).tolist() == pytest.approx([0.25, 0.0, 0.75])


# --- the method

COUNTS = torch.tensor([0, 2, 1, 0, 1, 2, 0, 0, 1, 2, 2, 0])  # given labels of twelve rows: 5, 3, 4


def make_method(epochs: int = 10, name: str = "cores") -> CORES:
    frequency = torch.tensor([5.0, 3.0, 4.0], dtype=torch.float64) / 12
    method = CORES(make_task(epochs=epochs, frequency=frequency), make_identity, find(name).params).double()
    with torch.no_grad():
        method.network.head.weight.mul_(8)
    return method


@pytest.mark.parametrize(
    ("epochs", "numbers"), [(100, (10, 30, 31)), (40, (4, 12, 12)), (15, (2, 4, 5)), (2, (0, 1, 1))]
)
def test_epochs_scale_with_the_training(epochs: int, numbers: tuple[int, int, int]) -> None:
    method = make_method(epochs)
    assert (method.start, method.ramp, method.sieve) == numbers


def slope_of(value: Callable[[Array], float], weight: Array) -> Array:
    """The derivatives of a function of weights, by central differences."""
    slope = np.zeros_like(weight)
    for place in np.ndindex(*weight.shape):
        up, down = weight.copy(), weight.copy()
        up[place] += 1e-6
        down[place] -= 1e-6
        slope[place] = (value(up) - value(down)) / 2e-6
    return slope


@pytest.mark.parametrize(("name", "divide"), [("cores", False), ("cores:divided", True)])
def test_training_follows_a_linear_run_in_numpy(name: str, divide: bool) -> None:
    """Ten epochs: β rises over epochs 1 to 3, the sieve begins with epoch 3, and the prior follows one epoch later."""
    method = make_method(name=name)
    weight, bias = weights_of(method.network.head)
    prior, sieved = np.array([5, 3, 4]) / 12, np.zeros(3)
    changed = 0
    for epoch in range(10):
        method.begin_epoch(epoch, make_train(COUNTS))
        if epoch > 0:
            prior, sieved = (np.array([5, 3, 4]) - sieved) / (12 - sieved.sum()), np.zeros(3)
        changed += not np.allclose(prior, np.array([5, 3, 4]) / 12)
        np.testing.assert_allclose(method.prior.numpy(), prior, rtol=1e-12)
        beta, sieve = min(max((epoch - 1) / 2 * 2, 0.0), 2.0), epoch >= 3
        for index in ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]):
            labels = COUNTS[index].tolist()
            batch = double_batch(index, labels, epoch=epoch)
            x = batch.images[0].flatten(1).numpy()

            def value(weight: Array, x: Array = x, bias: Array = bias) -> float:
                return loss_by_hand(x @ weight.T + bias, labels, prior, beta, sieve) / (1 + beta * divide)  # noqa: B023

            z = x @ weight.T + bias
            keep = [good or not sieve for good in rows_by_hand(z, labels, prior, beta)[1]]
            for y, kept in zip(labels, keep, strict=True):
                sieved[y] += not kept
            step = method.loss(batch)
            assert step.weight is not None
            assert step.weight.tolist() == [[float(kept) for kept in keep]]
            assert step.probabilities is not None
            np.testing.assert_allclose(step.probabilities.numpy(), softmax_rows(z), rtol=1e-9)
            np.testing.assert_allclose(method.sieved.numpy(), sieved)
            assert step.logs["beta"] == pytest.approx(beta)
            assert step.logs["kept"] == pytest.approx(np.mean(keep))
            plain = -np.log(softmax_rows(z)[range(4), labels]).mean()
            assert step.logs["cross_entropy"] == pytest.approx(plain, rel=1e-9)
            if not any(keep):
                assert step.loss is None
                continue
            assert step.loss is not None
            assert step.loss.item() == pytest.approx(value(weight), rel=1e-8)
            slope = slope_of(value, weight)
            method.zero_grad()
            step.loss.backward()  # type: ignore[no-untyped-call]
            gradient = method.network.head.weight.grad
            assert gradient is not None
            np.testing.assert_allclose(gradient.numpy(), slope, rtol=1e-4, atol=1e-6)
            with torch.no_grad():
                method.network.head.weight -= 0.02 * gradient
            weight, bias = weights_of(method.network.head)
    assert changed >= 4


def test_no_update_where_nothing_is_kept() -> None:
    method = make_method(2)
    with torch.no_grad():
        method.network.head.weight.zero_()
        method.network.head.bias.copy_(torch.tensor([9.0, 0.0, 0.0]))
    step = method.loss(double_batch([0, 1], [1, 2], epoch=1))
    assert step.loss is None
    assert step.weight is not None
    assert step.weight.tolist() == [[0.0, 0.0]]
    assert method.sieved.tolist() == [0.0, 1.0, 1.0]
    assert method.loss(double_batch([0, 1], [1, 2], epoch=0)).loss is not None


def test_what_was_sieved_out_counts_for_one_epoch_and_survives_a_checkpoint() -> None:
    method = make_method()
    method.sieved.copy_(torch.tensor([5.0, 0.0, 1.0]))
    other = make_method()
    other.load_state_dict(method.state_dict())
    for each in (method, other):
        each.begin_epoch(1, make_train(COUNTS))
        assert each.prior.tolist() == pytest.approx([0.0, 0.5, 0.5])
        each.begin_epoch(2, make_train(COUNTS))
        assert each.prior.tolist() == pytest.approx([5 / 12, 3 / 12, 4 / 12])


def test_prediction() -> None:
    method, batch = make_method(), double_batch([0, 1, 2], [0, 1, 2])
    assert torch.equal(method.predict(batch.images[0]), method.network(batch.images[0]).softmax(1))
