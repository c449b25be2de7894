from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.forward_correction_multi import (
    ForwardCorrectionMulti,
    ForwardCorrectionMultiParams,
    anchor_flip_rates,
    forward_bce,
    noisy_probabilities,
)
from fernoise_bench.methods.losses import masked_bce

from ..methods.flip_rates_by_loop import (
    Array,
    below_one_by_loop,
    best_by_loop,
    double,
    dual_t_by_loop,
    selected_by_loop,
    view_of,
)
from ..methods.toy import make_batch, make_encoder, make_task, random_labels, random_logits, sigmoid
from .linear import make_identity
from .linear_multi import RATE, Line, bce_of, logistic

POSITIVE = torch.tensor([0.3, 0.0, 0.45], dtype=torch.float64)
NEGATIVE = torch.tensor([0.1, 0.2, 0.0], dtype=torch.float64)


def q_by_hand(z: float, positive: float, negative: float) -> float:
    transition = [[1 - negative, negative], [positive, 1 - positive]]  # [true][given]
    clean = [1 - sigmoid(z), sigmoid(z)]
    return sum(clean[true] * transition[true][1] for true in (0, 1))


def test_probability_of_a_given_positive() -> None:
    z = random_logits(0, 8, 3)
    q = noisy_probabilities(z, POSITIVE, NEGATIVE)
    assert q.dtype == torch.float64
    for i in range(8):
        for k in range(3):
            assert q[i, k].item() == pytest.approx(q_by_hand(float(z[i, k]), float(POSITIVE[k]), float(NEGATIVE[k])))
    sure = torch.tensor([[30.0] * 3, [-30.0] * 3])
    expected = torch.stack([1 - POSITIVE, NEGATIVE])
    assert torch.allclose(noisy_probabilities(sure, POSITIVE, NEGATIVE).double(), expected, atol=1e-6)


def test_loss_is_that_of_the_noisy_posterior() -> None:
    z, labels = random_logits(1, 8, 3), random_labels(2, 8, 3)
    total = 0.0
    for i, k in (labels != 0).nonzero().tolist():
        q = q_by_hand(float(z[i, k]), float(POSITIVE[k]), float(NEGATIVE[k]))
        total -= math.log(q if labels[i, k] > 0 else 1 - q)
    loss = forward_bce(z, labels, POSITIVE, NEGATIVE)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(total / int((labels != 0).sum()), rel=1e-12)
    rows = POSITIVE.expand(8, 3), NEGATIVE.expand(8, 3)
    assert forward_bce(z, labels, *rows).item() == pytest.approx(loss.item(), rel=1e-14)


def test_the_rate_of_the_positives_acts_on_positives() -> None:
    z, low, high = torch.tensor([[30.0]]), torch.tensor([0.0]), torch.tensor([0.4])
    for sign, expected in ((1, -math.log(0.6)), (-1, -math.log(0.4))):
        assert forward_bce(z, torch.tensor([[sign]]), high, low).item() == pytest.approx(expected, rel=1e-6)
    assert forward_bce(z, torch.tensor([[1]]), low, high).item() == pytest.approx(0.0, abs=1e-6)
    assert forward_bce(z, torch.tensor([[-1]]), low, high).item() > 29


def test_gradient() -> None:
    z, labels = random_logits(3, 6, 3, requires_grad=True), random_labels(4, 6, 3)
    assert gradcheck(lambda z: forward_bce(z, labels, POSITIVE, NEGATIVE), (z,), rtol=1e-6)
    assert gradcheck(lambda z: noisy_probabilities(z, POSITIVE, NEGATIVE), (z,), rtol=1e-6)
    (gradient,) = torch.autograd.grad(forward_bce(z, labels, POSITIVE, NEGATIVE), z)
    p = z.detach().sigmoid()
    q = noisy_probabilities(z.detach(), POSITIVE, NEGATIVE)
    slope = torch.where(labels > 0, -1 / q, torch.where(labels < 0, 1 / (1 - q), 0.0))
    expected = slope * p * (1 - p) * (1 - POSITIVE - NEGATIVE) / (labels != 0).sum()
    assert torch.allclose(gradient, expected, rtol=1e-10)


def test_rates_carry_no_gradient() -> None:
    z, labels = random_logits(5, 4, 3, requires_grad=True), random_labels(6, 4, 3)
    rates = POSITIVE.clone().requires_grad_(), NEGATIVE.clone().requires_grad_()
    for value in (forward_bce(z, labels, *rates), noisy_probabilities(z, *rates).sum()):
        assert torch.autograd.grad(value, rates, allow_unused=True) == (None, None)


def test_without_flips_it_is_binary_cross_entropy() -> None:
    z, labels = random_logits(7, 8, 3, requires_grad=True), random_labels(8, 8, 3)
    losses = forward_bce(z, labels, 0 * POSITIVE, 0 * NEGATIVE), masked_bce(z, labels)
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-12)
    gradients = [torch.autograd.grad(loss, z)[0] for loss in losses]
    assert torch.allclose(*gradients, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [20.0, 800.0, 1e4])
def test_extreme_logits(size: float, dtype: torch.dtype) -> None:
    z = torch.tensor([[size] * 3, [-size] * 3] * 2, dtype=dtype, requires_grad=True)
    labels = torch.tensor([[1] * 3] * 2 + [[-1] * 3] * 2)
    for rates in ((POSITIVE, NEGATIVE), (0 * POSITIVE, 0 * NEGATIVE)):
        loss = forward_bce(z, labels, *rates)
        (gradient,) = torch.autograd.grad(loss, z)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()
    # surely negative, given positive, where no negative is flipped: as steep as plain cross-entropy
    assert forward_bce(z[1:2, 2:], labels[1:2, 2:], POSITIVE[2:], NEGATIVE[2:]).item() == pytest.approx(
        size - math.log(0.55), rel=1e-6
    )


@pytest.mark.parametrize("rows", [0, 4])
def test_nothing_known(rows: int) -> None:
    z = random_logits(9, 4, 3, requires_grad=True)
    loss = forward_bce(z[:rows], torch.zeros(rows, 3), POSITIVE, NEGATIVE)
    assert loss.item() == 0.0
    assert not torch.autograd.grad(loss, z)[0].any()
    assert forward_bce(z.half(), random_labels(0, 4, 3), POSITIVE, NEGATIVE).dtype == torch.float32


def anchors_by_loop(p: Array, filtered: bool) -> tuple[list[float], list[float]]:
    found: tuple[list[float], list[float]] = ([], [])
    for k in range(p.shape[1]):
        for place, values in enumerate((p[:, k], 1 - p[:, k])):
            limit = np.percentile(values, 97, method="higher") if filtered else math.inf
            below = [value for value in values if value < limit]
            found[place].append(1 - max(below, default=max(values)))
    return found


@pytest.mark.parametrize("rows", [1, 2, 20, 34, 101, 700])
@pytest.mark.parametrize("filtered", [False, True])
def test_rates_of_the_anchors(rows: int, filtered: bool) -> None:
    p = np.random.default_rng(rows).random((rows, 3))
    p[:, 2] = p[:, 2].round(1)  # ties
    positive, negative = anchor_flip_rates(torch.from_numpy(p), filtered)
    expected = anchors_by_loop(p, filtered)
    assert positive.dtype == torch.float64
    assert positive.tolist() == pytest.approx(expected[0], rel=1e-12)
    assert negative.tolist() == pytest.approx(expected[1], rel=1e-9, abs=1e-15)


def test_anchors_by_hand() -> None:
    p = torch.arange(1, 101, dtype=torch.float64)[:, None] / 101
    positive, negative = anchor_flip_rates(p)
    assert (positive.item(), negative.item()) == pytest.approx((1 / 101, 1 / 101))
    positive, negative = anchor_flip_rates(p, filter_outliers=True)  # the percentile is the 98th of 100
    assert (positive.item(), negative.item()) == pytest.approx((4 / 101, 4 / 101))
    constant = torch.full((50, 1), 0.25)
    assert [rate.item() for rate in anchor_flip_rates(constant, True)] == [0.75, 0.25]


ROWS, AUS, EPOCHS = 60, 4, 9  # anchors at epoch 3; label correlations at epoch 4, from losses after epochs 0 and 1
Rates = tuple[Array, Array]
GENERATOR = np.random.default_rng(12)
TRUE = GENERATOR.random((ROWS, AUS)) < np.where(GENERATOR.random((ROWS, 1)) < 0.5, 0.8, 0.2)
LABELS = np.where(TRUE ^ (GENERATOR.random((ROWS, AUS)) < 0.15), 1, -1)
LABELS[GENERATOR.random((ROWS, AUS)) < 0.1] = 0
LABELS[:, 3] = np.where(np.arange(ROWS) % 20 == 0, 1, -1)
VERIFIED = np.arange(ROWS) % 5 == 0
ORDERS = [np.random.default_rng(epoch).permutation(ROWS).reshape(4, 15) for epoch in range(EPOCHS)]


def limited_by_hand(positive: Any, negative: Any) -> Rates:
    clamped = ([min(max(float(rate), 0.0), 0.99) for rate in rates] for rates in (positive, negative))
    limited = below_one_by_loop(*clamped)
    return np.array(limited[0]), np.array(limited[1])


def images(view: int) -> Array:
    return np.asarray(double(make_batch(range(ROWS), LABELS, views=2)).images[view].flatten(1).numpy())


def make_method(task: Any = None, **changes: Any) -> ForwardCorrectionMulti:
    settings: dict[str, Any] = {"minimum": 4, "window": 2, "sample_epoch": 8} | changes
    task = task or make_task("multi", AUS, size=ROWS, epochs=EPOCHS)
    return ForwardCorrectionMulti(task, make_identity, ForwardCorrectionMultiParams(**settings)).double()


def follow(method: ForwardCorrectionMulti, start: int, rates_at: Callable[[int, Line], Rates | None]) -> Rates:
    """Trains a method and its NumPy version side by side; the rates of the end."""
    line, x, train = Line(method.network.head), images(0), view_of(LABELS, VERIFIED)
    target, rates = (LABELS > 0).astype(np.float64), (np.zeros(AUS), np.zeros(AUS))
    method.prepare(train)
    for epoch in range(EPOCHS):
        rates = rates_at(epoch, line) or rates
        method.train()
        method.begin_epoch(epoch, train)
        for rows in ORDERS[epoch]:
            step = method.loss(double(make_batch(rows.tolist(), LABELS[rows], verified=VERIFIED[rows], epoch=epoch)))
            z, t, known = line(x[rows]), target[rows], LABELS[rows] != 0
            p = logistic(z)
            active = (~VERIFIED[rows])[:, None] * (epoch >= start)
            positive, negative = rates[0] * active, rates[1] * active
            q = (1 - p) * negative + p * (1 - positive)
            losses = -(t * np.log(q) + (1 - t) * np.log(1 - q))
            assert step.loss is not None
            assert step.loss.item() == pytest.approx((losses * known).sum() / known.sum(), rel=1e-9)
            assert step.probabilities is not None
            assert np.allclose(step.probabilities, p)
            assert step.weight is not None
            assert (step.weight[0].numpy() == known).all()
            assert step.target is None
            method.zero_grad()
            step.loss.backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                for parameter in method.parameters():
                    parameter -= RATE * parameter.grad
            gradient = (q - t) / (q * (1 - q)) * p * (1 - p) * (1 - positive - negative)
            line.move((known * gradient / known.sum(), x[rows]))
    assert line.agrees_with(method.network.head)
    assert np.allclose(method.predict(torch.from_numpy(x[:4])).detach(), logistic(line(x[:4])))
    assert step.logs["flip_positive"].item() == pytest.approx(rates[0].mean(), rel=1e-9)
    assert step.logs["flip_negative"].item() == pytest.approx(rates[1].mean(), rel=1e-9)
    return rates


def agrees(transition: Any, rates: Rates) -> bool:
    positive, negative = rates
    rows = np.stack([np.stack([1 - negative, negative], 1), np.stack([positive, 1 - positive], 1)], 1)
    return np.allclose(transition.numpy(), rows, rtol=1e-9)


@pytest.mark.parametrize("filtered", [True, False])
def test_a_linear_run_with_anchors(filtered: bool) -> None:
    method = make_method(filter_outliers=filtered)
    assert method.transition.isnan().all()

    def anchors(epoch: int, line: Line) -> Rates | None:
        return limited_by_hand(*anchors_by_loop(logistic(line(images(0))), filtered)) if epoch == 3 else None

    assert agrees(method.transition, follow(method, 3, anchors))


def test_a_linear_run_with_label_correlations() -> None:
    method, losses = make_method(rates="correlation"), []

    def correlations(epoch: int, line: Line) -> Rates | None:
        if epoch in (1, 2):
            losses.append(bce_of(line(images(1)), (LABELS > 0).astype(np.float64)))
        if epoch != 4:
            return None
        p = logistic(line(images(1)))
        positive, negative, pairs = best_by_loop(LABELS, selected_by_loop(np.array(losses), LABELS), minimum=4)
        for k in range(AUS):
            if math.isnan(positive[k]):
                positive[k], negative[k] = dual_t_by_loop(p[:, k], LABELS[:, k])
        assert pairs[3] == 0 < sum(pairs)
        return limited_by_hand(positive, negative)

    assert agrees(method.transition, follow(method, 4, correlations))


def test_a_linear_run_with_true_rates() -> None:
    positive, negative = [0.3, 0.2, 0.7, 0.995], [0.1, 0.2, 0.5, 0.0]
    rows = [[[1 - n, n], [p, 1 - p]] for p, n in zip(positive, negative, strict=True)]
    truth = torch.tensor(rows, dtype=torch.float64)
    task = make_task("multi", AUS, size=ROWS, epochs=EPOCHS, transition=truth)
    method = make_method(task, rates="true")
    rates = limited_by_hand(positive, negative)
    assert rates[0].tolist() == pytest.approx([0.3, 0.2, 0.99 * 0.7 / 1.2, 0.99])
    assert agrees(method.transition, follow(method, 0, lambda epoch, line: rates))
    assert task.oracle_reads == {"transition"}
    with pytest.raises(ValueError, match="true transition"):
        make_method(rates="true").prepare(view_of(LABELS))


@pytest.mark.parametrize(("epochs", "anchors", "correlations"), [(30, 10, 15), (15, 5, 8), (25, 8, 12), (2, 1, 2)])
def test_length_of_the_warm_up(epochs: int, anchors: int, correlations: int) -> None:
    task = make_task("multi", AUS, epochs=epochs)
    starts = [make_method(task, rates=rates).start for rates in ("anchor", "correlation", "true")]
    assert starts == [anchors, correlations, 0]


def test_defaults() -> None:
    method = ForwardCorrectionMulti(make_task("multi"), make_encoder, ForwardCorrectionMultiParams())
    assert method.params.rates == "anchor"
    assert method.params.filter_outliers
    assert "losses" not in dict(method.named_buffers())
    assert method.transition.dtype == torch.float64
    assert ForwardCorrectionMulti.variants["true"].needs == {"transition"}
    assert ForwardCorrectionMulti.variants["correlation"].params == {"rates": "correlation"}
