from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from fernoise_bench.baselines.noise_rate_reweighting import (
    NoiseRateReweighting,
    NoiseRateReweightingParams,
    importance_weights,
    reweighted_bce,
)
from fernoise_bench.methods.losses import masked_bce

from ..methods.flip_rates_by_loop import (
    Array,
    Labels,
    below_one_by_loop,
    best_by_loop,
    double,
    dual_t_by_loop,
    selected_by_loop,
    view_of,
)
from ..methods.toy import (
    make_batch,
    make_encoder,
    make_task,
    parameter_gradients,
    random_labels,
    random_logits,
    sigmoid,
)
from .linear import make_identity
from .linear_multi import RATE, Line, bce_of, logistic

POSITIVE = torch.tensor([0.3, 0.0, 0.45], dtype=torch.float64)
NEGATIVE = torch.tensor([0.1, 0.2, 0.0], dtype=torch.float64)


def weight_by_hand(z: float, label: int, positive: float, negative: float) -> float:
    p = sigmoid(z)
    q = (1 - p) * negative + p * (1 - positive)
    return p / q if label > 0 else (1 - p) / (1 - q) if label < 0 else 0.0


def test_weights_are_the_ratio_of_the_posteriors() -> None:
    z, labels = random_logits(0, 8, 3), random_labels(1, 8, 3)
    weights = importance_weights(z, labels, POSITIVE, NEGATIVE)
    assert weights.dtype == torch.float64
    for i in range(8):
        for k in range(3):
            rates = float(POSITIVE[k]), float(NEGATIVE[k])
            expected = weight_by_hand(float(z[i, k]), int(labels[i, k]), *rates)
            assert weights[i, k].item() == pytest.approx(expected, rel=1e-11)
    by_row = importance_weights(z, labels, POSITIVE.expand(8, 3), NEGATIVE.expand(8, 3))
    assert torch.equal(by_row, weights)


def test_the_rate_of_the_positives_acts_on_given_negatives() -> None:
    """A face that is surely positive is given as negative at the rate of the positives: such a label weighs nothing."""
    z, sure = torch.tensor([[6.0], [6.0]]), torch.tensor([[-1], [1]])
    low, high = torch.tensor([0.0]), torch.tensor([0.4])
    assert importance_weights(z, sure, high, low)[:, 0].tolist() == pytest.approx([0.0062, 1 / 0.6], abs=1e-3)
    assert importance_weights(z, sure, low, high)[:, 0].tolist() == pytest.approx([1 / 0.6, 1.0], abs=2e-3)


def test_weights_are_bounded_and_one_without_noise() -> None:
    z, labels = random_logits(2, 50, 3, scale=20), random_labels(3, 50, 3)
    weights = importance_weights(z, labels, POSITIVE, NEGATIVE)
    assert ((weights > 0) == (labels != 0)).all()
    bound = torch.where(labels > 0, 1 / (1 - POSITIVE), 1 / (1 - NEGATIVE))
    assert (weights <= bound * (1 + 1e-12)).all()
    assert torch.allclose(importance_weights(z, labels, 0 * POSITIVE, 0 * NEGATIVE), (labels != 0).double(), rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [17.0, 100.0, 1e4])
def test_extreme_logits(size: float, dtype: torch.dtype) -> None:
    z = torch.tensor([[size] * 3, [-size] * 3] * 2, dtype=dtype, requires_grad=True)
    labels = torch.tensor([[1] * 3] * 2 + [[-1] * 3] * 2)
    weights = importance_weights(z, labels, POSITIVE, NEGATIVE)
    # surely positive and given so; surely negative but given positive; and the same of given negatives
    expected = torch.tensor([[1 / 0.7, 1.0, 1 / 0.55], [0, 0, 1 / 0.55], [0, 1 / 0.8, 0], [1 / 0.9, 1 / 0.8, 1.0]])
    assert torch.allclose(weights, expected.to(dtype), rtol=1e-6, atol=1e-5)
    loss = reweighted_bce(z, labels, POSITIVE, NEGATIVE)
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, z)[0]).all()


def test_loss_and_gradient_with_constant_weights() -> None:
    z, labels = random_logits(4, 8, 3, requires_grad=True), random_labels(5, 8, 3)
    known, p, w, total = (labels != 0).sum().item(), z.detach().sigmoid(), torch.zeros(8, 3).double(), 0.0
    for i, k in (labels != 0).nonzero().tolist():
        value, label = float(z[i, k].detach()), int(labels[i, k])
        w[i, k] = weight_by_hand(value, label, float(POSITIVE[k]), float(NEGATIVE[k]))
        total += float(w[i, k]) * math.log1p(math.exp(-label * value))
    loss = reweighted_bce(z, labels, POSITIVE, NEGATIVE)
    assert loss.item() == pytest.approx(total / known, rel=1e-11)
    (gradient,) = torch.autograd.grad(loss, z)
    assert torch.allclose(gradient, w * (p - (labels > 0).double()) / known, rtol=1e-10)


def test_without_noise_and_without_labels() -> None:
    z, labels = random_logits(6, 8, 3, requires_grad=True), random_labels(7, 8, 3)
    assert reweighted_bce(z, labels, 0 * POSITIVE, 0 * NEGATIVE).item() == pytest.approx(masked_bce(z, labels).item())
    for rows in (0, 8):
        nothing = reweighted_bce(z[:rows], 0 * labels[:rows], POSITIVE, NEGATIVE)
        assert nothing.item() == 0.0
        assert not torch.autograd.grad(nothing, z)[0].any()
    half = reweighted_bce(z.half(), labels, POSITIVE, NEGATIVE)
    assert half.dtype == torch.float32
    assert importance_weights(z, labels, POSITIVE, NEGATIVE).grad_fn is None


ROWS, AUS, EPOCHS = 60, 4, 10  # warm-up of 5 epochs; losses after epochs 0 and 1
SETTINGS: dict[str, Any] = {"minimum": 4, "window": 2, "sample_epoch": 8}


def noisy_labels() -> Labels:
    """AUs with a common cause, flips and gaps; the last AU is too rare to be solved."""
    generator = np.random.default_rng(11)
    true = generator.random((ROWS, AUS)) < np.where(generator.random((ROWS, 1)) < 0.5, 0.8, 0.2)
    labels = np.where(true ^ (generator.random((ROWS, AUS)) < 0.15), 1, -1)
    labels[generator.random((ROWS, AUS)) < 0.1] = 0
    labels[:, 3] = np.where(np.arange(ROWS) % 20 == 0, 1, -1)
    return labels


LABELS = noisy_labels()
ORDERS = [np.random.default_rng(epoch).permutation(ROWS).reshape(4, 15) for epoch in range(EPOCHS)]


def images(view: int) -> Array:
    batch = double(make_batch(range(ROWS), LABELS, views=2))
    return np.asarray(batch.images[view].flatten(1).numpy())


def trained(method: NoiseRateReweighting) -> Iterator[tuple[int, Any]]:
    """Plain gradient descent in the trainer's order; what each step reported."""
    train = view_of(LABELS)
    method.prepare(train)
    for epoch in range(EPOCHS):
        method.train()
        method.begin_epoch(epoch, train)
        for rows in ORDERS[epoch]:
            step = method.loss(double(make_batch(rows.tolist(), LABELS[rows], epoch=epoch)))
            assert step.loss is not None
            method.zero_grad()
            step.loss.backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                for parameter in method.parameters():
                    parameter -= RATE * parameter.grad
            yield epoch, step


def estimated_by_loop(losses: list[Array], p: Array, right: Array | None = None) -> tuple[Array, Array, list[int]]:
    selected = selected_by_loop(np.array(losses), LABELS)
    if right is not None:
        selected |= right
    positive, negative, pairs = best_by_loop(LABELS, selected, minimum=4)
    for k in range(AUS):
        if math.isnan(positive[k]):
            positive[k], negative[k] = dual_t_by_loop(p[:, k], LABELS[:, k])
    limited = below_one_by_loop(positive, negative)
    return np.array(limited[0]), np.array(limited[1]), pairs


def make_method(variant: str = "", task: Any = None, **changes: Any) -> NoiseRateReweighting:
    settings = SETTINGS | (dict(NoiseRateReweighting.variants[variant].params) if variant else {}) | changes
    task = task or make_task("multi", AUS, size=ROWS, epochs=EPOCHS)
    return NoiseRateReweighting(task, make_identity, NoiseRateReweightingParams(**settings)).double()


@pytest.mark.parametrize("variant", ["", "estimate-only", "dual-t"])
def test_a_linear_run_in_numpy(variant: str) -> None:
    method = make_method(variant)
    line, x, augmented = Line(method.network.head), images(0), images(1)
    target, losses, rates, pairs = (LABELS > 0).astype(np.float64), [], (np.zeros(AUS), np.zeros(AUS)), [0] * AUS
    steps, past = trained(method), -1
    for epoch in range(EPOCHS):
        if epoch in (1, 2):
            losses.append(bce_of(line(augmented), target))
        if epoch == 5:
            p = logistic(line(augmented))
            if variant == "dual-t":
                columns = [dual_t_by_loop(p[:, k], LABELS[:, k]) for k in range(AUS)]
                rates = np.array([each[0] for each in columns]), np.array([each[1] for each in columns])
            else:
                *rates, pairs = estimated_by_loop(losses, p)  # type: ignore[assignment]
        for rows in ORDERS[epoch]:
            past, step = next(steps)
            z, labels = line(x[rows]), LABELS[rows]
            weight = (labels != 0).astype(np.float64)
            if epoch >= 5 and variant != "estimate-only":
                for place in np.argwhere(labels):
                    i, k = map(int, place)
                    weight[i, k] = weight_by_hand(z[i, k], labels[i, k], rates[0][k], rates[1][k])
            known = (labels != 0).sum()
            assert past == epoch
            assert step.loss.item() == pytest.approx((weight * bce_of(z, target[rows])).sum() / known, rel=1e-9)
            assert np.allclose(step.weight[0], weight, rtol=1e-9)
            assert np.allclose(step.probabilities, logistic(z), rtol=1e-9)
            line.move((weight * (logistic(z) - target[rows]) / known, x[rows]))
    assert line.agrees_with(method.network.head)
    if variant == "":
        assert np.allclose(method.losses, losses, rtol=1e-6)
    transition = method.transition.numpy()
    assert np.allclose(transition[:, 1, 0], rates[0], rtol=1e-9)
    assert np.allclose(transition[:, 0, 1], rates[1], rtol=1e-9)
    assert np.allclose(transition.sum(axis=2), 1)
    assert method.pairs.tolist() == pairs
    assert method.fallback.tolist() == [not count for count in pairs]
    if variant != "dual-t":
        assert pairs[3] == 0 < sum(pairs)  # one AU by Dual-T, others by pairs
    assert step.logs["flip_positive"].item() == pytest.approx(rates[0].mean(), rel=1e-9)
    assert step.logs["flip_negative"].item() == pytest.approx(rates[1].mean(), rel=1e-9)
    assert step.logs["aus_solved"].item() == sum(count > 0 for count in pairs)
    assert np.allclose(method.predict(torch.from_numpy(x[:4])).detach(), logistic(line(x[:4])))


def test_nothing_is_known_before_the_estimate() -> None:
    method = make_method()
    assert method.transition.isnan().all()
    assert method.losses.dtype == torch.float64  # of the whole method, made double here
    plain = NoiseRateReweighting(make_task("multi", AUS, size=ROWS), make_encoder, NoiseRateReweightingParams())
    assert (plain.losses.dtype, tuple(plain.losses.shape)) == (torch.float32, (5, ROWS, AUS))
    assert plain.transition.dtype == torch.float64
    batch = make_batch(range(4), LABELS[:4])
    step = plain.loss(batch)
    assert not step.logs
    assert step.weight is not None
    assert torch.equal(step.weight[0], torch.from_numpy(LABELS[:4] != 0).float())
    step.loss.backward()  # type: ignore[union-attr, no-untyped-call]
    assert all(parameter_gradients(plain))
    assert not plain.task.oracle_reads


def truth(positive: list[float], negative: list[float]) -> torch.Tensor:
    rows = [[[1 - n, n], [p, 1 - p]] for p, n in zip(positive, negative, strict=True)]
    return torch.tensor(rows, dtype=torch.float64)


def with_truth(positive: list[float], negative: list[float]) -> Any:
    return make_task("multi", AUS, size=ROWS, epochs=EPOCHS, transition=truth(positive, negative))


def test_true_rates_are_read_and_recorded() -> None:
    task = with_truth([0.3, 0.2, 0.7, 0.1], [0.1, 0.2, 0.5, 0.0])
    method = make_method("true-rates", task)
    for _ in trained(method):
        pass
    assert task.oracle_reads == {"transition"}
    assert method.transition[:, 1, 0].tolist() == pytest.approx([0.3, 0.2, 0.99 * 0.7 / 1.2, 0.1])
    assert method.transition[:, 0, 1].tolist() == pytest.approx([0.1, 0.2, 0.99 * 0.5 / 1.2, 0.0])
    assert not method.losses.any()  # no pass was made for a selection
    with pytest.raises(ValueError, match="true transition"):
        make_method("true-rates").prepare(view_of(LABELS))


@pytest.mark.parametrize(("variant", "sign"), [("missing-only", 1), ("extra-only", -1)])
def test_a_rate_that_is_known_to_be_zero(variant: str, sign: int) -> None:
    """Of AUs 0 and 3 one sign is known to be right, of the others nothing."""
    some, none = [0.3, 0.2, 0.1, 0.2], [0.0, 0.2, 0.1, 0.0]
    task = with_truth(some, none) if sign > 0 else with_truth(none, some)
    method = make_method(variant, task, reweight=False)
    plain = make_method(reweight=False)
    for _ in zip(trained(method), trained(plain), strict=True):
        pass
    right = (sign == LABELS) & np.array([True, False, False, True])
    line = Line(make_method().network.head)
    x, augmented, target, losses = images(0), images(1), (LABELS > 0).astype(np.float64), []
    for epoch in range(5):
        if epoch in (1, 2):
            losses.append(bce_of(line(augmented), target))
        for rows in ORDERS[epoch]:
            known = LABELS[rows] != 0
            line.move((known * (logistic(line(x[rows])) - target[rows]) / known.sum(), x[rows]))
    positive, negative, _ = estimated_by_loop(losses, logistic(line(augmented)), right)
    (negative if sign > 0 else positive)[[0, 3]] = 0.0
    assert np.allclose(method.transition[:, 1, 0], positive, rtol=1e-9)
    assert np.allclose(method.transition[:, 0, 1], negative, rtol=1e-9)
    assert not torch.allclose(method.transition, plain.transition)
    assert torch.equal(method.transition[1:3], plain.transition[1:3])


def test_variants_with_oracle_knowledge_declare_it() -> None:
    needs = {name: variant.needs for name, variant in NoiseRateReweighting.variants.items()}
    oracle = {"true-rates", "missing-only", "extra-only"}
    assert {name for name, wanted in needs.items() if "transition" in wanted} == oracle
