from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from fernoise_bench.baselines.forward_correction import (
    ForwardCorrection,
    ForwardCorrectionParams,
    backward_corrected_cross_entropy,
    estimate_transition,
    forward_corrected_cross_entropy,
    symmetric_transition,
    transition_error,
)
from fernoise_bench.methods.base import Batch, TrainView

from ..methods.toy import make_task, random_logits, softmax
from .linear import Array, double_batch, make_identity, softmax_rows, weights_of

LABELS = torch.tensor([0, 2, 1, 1, 2])
ASYMMETRIC = torch.tensor([[0.7, 0.2, 0.1], [0.0, 0.6, 0.4], [0.05, 0.15, 0.8]], dtype=torch.float64)
IDENTITY = torch.eye(3, dtype=torch.float64)
EMPTY = torch.zeros(0, dtype=torch.int64)


def forward_by_hand(z: Array, labels: Any, t: Array) -> float:
    total = 0.0
    for row, y in zip(z.tolist(), labels, strict=True):
        total -= math.log(sum(p * t[i, y] for i, p in enumerate(softmax(row))))
    return total / len(z)


def backward_by_hand(z: Array, labels: Any, t: Array) -> float:
    inverse, total = np.linalg.inv(t), 0.0
    for row, y in zip(z.tolist(), labels, strict=True):
        total -= sum(inverse[y, j] * math.log(p) for j, p in enumerate(softmax(row)))
    return total / len(z)


def test_forward_is_the_cross_entropy_of_predicted_given_labels() -> None:
    z = random_logits(0, 5, 3)
    loss = forward_corrected_cross_entropy(z, LABELS, ASYMMETRIC)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(forward_by_hand(z.numpy(), LABELS.tolist(), ASYMMETRIC.numpy()), rel=1e-12)
    assert loss.item() != pytest.approx(forward_by_hand(z.numpy(), LABELS.tolist(), ASYMMETRIC.numpy().T), rel=1e-2)


def test_backward_weighs_the_losses_of_all_labels_by_the_inverse() -> None:
    z = random_logits(0, 5, 3)
    loss = backward_corrected_cross_entropy(z, LABELS, ASYMMETRIC)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(backward_by_hand(z.numpy(), LABELS.tolist(), ASYMMETRIC.numpy()), rel=1e-11)


def test_backward_is_unbiased_and_may_be_negative() -> None:
    z = random_logits(1, 1, 3)
    for true in range(3):
        mean = sum(
            float(ASYMMETRIC[true, j]) * backward_corrected_cross_entropy(z, torch.tensor([j]), ASYMMETRIC).item()
            for j in range(3)
        )
        assert mean == pytest.approx(F.cross_entropy(z, torch.tensor([true])).item(), rel=1e-10)
    sure = torch.tensor([[30.0, 0.0, 0.0]], dtype=torch.float64)
    assert backward_corrected_cross_entropy(sure, torch.tensor([0]), ASYMMETRIC).item() < -1


def test_identity_is_plain_cross_entropy_and_uniform_rows_say_nothing() -> None:
    z = random_logits(2, 5, 3, requires_grad=True)
    plain = F.cross_entropy(z, LABELS).item()
    for loss in (forward_corrected_cross_entropy, backward_corrected_cross_entropy):
        assert loss(z, LABELS, IDENTITY).item() == pytest.approx(plain, rel=1e-12)
    uniform = forward_corrected_cross_entropy(z, LABELS, torch.full((3, 3), 1 / 3, dtype=torch.float64))
    assert uniform.item() == pytest.approx(math.log(3), rel=1e-12)
    assert torch.autograd.grad(uniform, z)[0].abs().max() < 1e-12


def test_gradients_to_logits_and_matrix() -> None:
    z = random_logits(3, 5, 3, requires_grad=True)
    full = (0.9 * ASYMMETRIC + 0.1 / 3).requires_grad_()
    assert gradcheck(lambda z, t: forward_corrected_cross_entropy(z, LABELS, t), (z, full), rtol=1e-5, atol=1e-8)
    assert gradcheck(lambda z: backward_corrected_cross_entropy(z, LABELS, ASYMMETRIC), (z,), rtol=1e-5, atol=1e-8)
    zero = ASYMMETRIC.clone().requires_grad_()
    gradient, to_z = torch.autograd.grad(forward_corrected_cross_entropy(z, LABELS, zero), (zero, z))
    assert torch.isfinite(gradient).all()
    assert torch.isfinite(to_z).all()
    assert gradient[1, 0] == 0.0
    assert (gradient != 0).sum() == 8


def test_extremes() -> None:
    for scale in (900.0, 1e4):
        z = torch.tensor([[scale, -scale, 0.0], [-scale, 0.0, scale]], requires_grad=True)
        for loss in (forward_corrected_cross_entropy, backward_corrected_cross_entropy):
            value = loss(z, torch.tensor([1, 0]), ASYMMETRIC)
            assert value.dtype == torch.float32
            assert torch.isfinite(value)
            assert torch.isfinite(torch.autograd.grad(value, z)[0]).all()
            nothing = loss(z[:0], EMPTY, ASYMMETRIC)
            assert nothing.item() == 0.0
            assert nothing.requires_grad
            assert loss(z.detach().clamp(-9, 9).half(), torch.tensor([1, 0]), ASYMMETRIC).dtype == torch.float32
    never = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert forward_corrected_cross_entropy(torch.zeros(1, 2), torch.tensor([1]), never).item() == math.inf


def test_backward_of_classes_with_the_same_anchor_has_a_pseudo_inverse() -> None:
    singular = torch.tensor([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], dtype=torch.float64)
    z = random_logits(9, 5, 3, requires_grad=True)
    inverse, total = np.linalg.pinv(singular.numpy()), 0.0
    for row, y in zip(z.tolist(), LABELS.tolist(), strict=True):
        total -= sum(inverse[y, j] * math.log(p) for j, p in enumerate(softmax(row)))
    loss = backward_corrected_cross_entropy(z, LABELS, singular)
    assert loss.item() == pytest.approx(total / 5, rel=1e-9)
    assert torch.isfinite(torch.autograd.grad(loss, z)[0]).all()


def test_symmetric_transition() -> None:
    found = symmetric_transition(0.4, 5)
    assert found.dtype == torch.float64
    assert torch.allclose(found.diagonal(), torch.tensor(0.6, dtype=torch.float64))
    assert found[1, 3] == pytest.approx(0.1)
    assert torch.allclose(found.sum(1), torch.ones(5, dtype=torch.float64))
    assert torch.equal(symmetric_transition(0.0, 3), IDENTITY)


def test_transition_error() -> None:
    assert transition_error(ASYMMETRIC, ASYMMETRIC) == 0.0
    by_loop = sum(abs(float(ASYMMETRIC[i, j] - IDENTITY[i, j])) for i in range(3) for j in range(3)) / 3
    assert transition_error(IDENTITY, ASYMMETRIC) == pytest.approx(by_loop, rel=1e-12)
    assert transition_error(ASYMMETRIC, IDENTITY) == pytest.approx(by_loop, rel=1e-12)


def estimate_by_hand(p: Array, quantiles: list[float | None]) -> Array:
    found = []
    for i, quantile in enumerate(quantiles):
        candidates = range(len(p))
        if quantile is not None:
            highest = np.percentile(p[:, i], 100 * quantile, method="higher")
            candidates = [n for n in candidates if p[n, i] < highest] or candidates  # type: ignore[assignment]
        anchor = max(candidates, key=lambda n: (p[n, i], -n))
        found.append(p[anchor] / p[anchor].sum())
    return np.array(found)


@pytest.mark.parametrize("rows", [1, 2, 5, 34, 101, 200])
@pytest.mark.parametrize("quantile", [0.97, 0.5, 1.0, None])
def test_estimate_by_loop(rows: int, quantile: float | None) -> None:
    p = random_logits(rows, rows, 4).softmax(1)
    before = p.clone()
    found = estimate_transition(p, quantile)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), estimate_by_hand(p.numpy(), [quantile] * 4), rtol=1e-12)
    assert torch.equal(p, before)


def test_estimate_with_a_filter_for_some_classes() -> None:
    p = random_logits(7, 90, 3).softmax(1)
    mixed = [0.97, None, 0.5]
    np.testing.assert_allclose(estimate_transition(p, mixed).numpy(), estimate_by_hand(p.numpy(), mixed), rtol=1e-12)
    assert torch.equal(estimate_transition(p), estimate_transition(p, [0.97] * 3))
    with pytest.raises(ValueError, match="2 quantiles"):
        estimate_transition(p, [0.97, None])
    with pytest.raises(ValueError, match="0 rows"):
        estimate_transition(p[:0])


def test_ties_are_the_first_row_and_a_constant_column_has_all_candidates() -> None:
    p = torch.tensor([[0.5, 0.2, 0.3], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], dtype=torch.float64)
    found = estimate_transition(p, None)
    assert found.tolist() == [p[0].tolist(), p[1].tolist(), p[0].tolist()]
    filtered = estimate_transition(p, 0.97)  # column 0 is constant; in the others the largest ones are left out
    assert filtered.tolist() == [p[0].tolist(), p[0].tolist(), p[1].tolist()]


def test_rows_not_columns_are_normalised_and_an_outlier_keeps_its_row() -> None:
    p = torch.tensor([[0.2, 0.2], [0.6, 0.2], [0.1, 0.3]], dtype=torch.float64)
    assert estimate_transition(p, None)[0].tolist() == pytest.approx([0.75, 0.25])
    # row 1 is the outlier of column 0 and the anchor of class 1
    both = torch.tensor([[0.1, 0.1], [0.9, 0.5], [0.2, 0.9]], dtype=torch.float64)
    assert estimate_transition(both, 0.97)[1].tolist() == pytest.approx([0.9 / 1.4, 0.5 / 1.4])


# --- the method


def make_method(epochs: int = 200, frequency: Any = (0.5, 0.42, 0.08), **changes: Any) -> ForwardCorrection:
    task = make_task(epochs=epochs, frequency=torch.tensor(frequency, dtype=torch.float64), size=40, **TRUTH)
    method = ForwardCorrection(task, make_identity, ForwardCorrectionParams(**changes)).double()
    with torch.no_grad():
        method.network.head.weight.mul_(8)
    return method


TRUTH: dict[str, Any] = {"transition": ASYMMETRIC}


def view(modes: list[tuple[bool, bool]] | None = None, method: ForwardCorrection | None = None) -> TrainView:
    """Forty rows in batches of 16; of each it is kept whether the network was in training mode and had gradients."""
    labels = torch.arange(40) % 3

    def batches(augment: bool = False) -> Iterator[Batch]:
        assert not augment
        for first in (0, 16, 32):
            index = range(first, min(40, first + 16))
            yield double_batch(index, labels[list(index)])
            if modes is not None and method is not None:
                modes.append((method.network.training, torch.is_grad_enabled()))

    return TrainView(labels, torch.zeros(40, dtype=torch.bool), None, None, batches)


def test_the_matrix_is_estimated_once_after_the_warm_up() -> None:
    method, modes = make_method(), list[tuple[bool, bool]]()
    train = view(modes, method)
    for epoch in range(20):
        method.begin_epoch(epoch, train)
    assert torch.equal(method.transition, IDENTITY)
    assert not modes
    weight, bias = weights_of(method.network.head)
    p = softmax_rows(double_batch(range(40), np.zeros(40)).images[0].flatten(1).numpy() @ weight.T + bias)
    method.begin_epoch(20, train)
    assert modes == [(False, False)] * 3
    assert method.network.training
    expected = estimate_by_hand(p, [0.97, 0.97, None])
    np.testing.assert_allclose(method.transition.numpy(), expected, rtol=1e-9)
    assert not np.allclose(expected, estimate_by_hand(p, [0.97] * 3))
    assert not np.allclose(expected, estimate_by_hand(p, [None] * 3))
    with torch.no_grad():
        method.network.head.weight.zero_()
    method.begin_epoch(21, train)
    np.testing.assert_allclose(method.transition.numpy(), expected, rtol=1e-9)


def test_a_class_with_a_tenth_of_the_labels_is_common() -> None:
    common, rare = make_method(frequency=(0.5, 0.4, 0.1)), make_method(frequency=(0.5, 0.41, 0.09))
    for method in (common, rare):
        method.begin_epoch(20, view())
    assert torch.equal(common.transition[:2], rare.transition[:2])
    assert not torch.equal(common.transition[2], rare.transition[2])


@pytest.mark.parametrize(("epochs", "changes", "warm_up"), [
    (200, {}, 20), (40, {}, 4), (15, {}, 2), (2, {}, 1),
    (30, {"warm_up": 10, "warm_up_stated_for": 30}, 10), (15, {"warm_up": 10, "warm_up_stated_for": 30}, 5),
])  # fmt: skip
def test_warm_up_scales_with_the_training(epochs: int, changes: dict[str, int], warm_up: int) -> None:
    assert make_method(epochs, **changes).warm_up == warm_up


def test_variants() -> None:
    variants = ForwardCorrection.variants
    assert variants["late"].params == {"warm_up": 10, "warm_up_stated_for": 30}
    assert variants["true"].needs == {"transition"}
    assert variants["backward"].params == {"correction": "backward"}


@pytest.mark.parametrize("correction", ["forward", "backward"])
def test_training_follows_a_linear_run_in_numpy(correction: Any) -> None:
    """Two epochs of plain cross-entropy, then two with the estimated matrix."""
    method, by_hand = make_method(20, correction=correction), np.eye(3)
    value = forward_by_hand if correction == "forward" else backward_by_hand
    weight, bias = weights_of(method.network.head)
    every = double_batch(range(40), np.zeros(40)).images[0].flatten(1).numpy()
    for epoch in range(4):
        method.begin_epoch(epoch, view())
        if epoch == 2:
            by_hand = estimate_by_hand(softmax_rows(every @ weight.T + bias), [0.97, 0.97, None])
        for index, labels in [([0, 1, 2, 1], [0, 2, 1, 0]), ([3, 4, 5, 0], [1, 1, 2, 0])]:
            batch = double_batch(index, labels, epoch=epoch)
            step = method.loss(batch)
            x = batch.images[0].flatten(1).numpy()
            assert step.loss is not None
            assert step.loss.item() == pytest.approx(value(x @ weight.T + bias, labels, by_hand), rel=1e-9)
            assert step.logs["mean_diagonal"] == pytest.approx(by_hand.diagonal().mean(), rel=1e-9)
            assert step.probabilities is not None
            np.testing.assert_allclose(step.probabilities.numpy(), softmax_rows(x @ weight.T + bias), rtol=1e-9)
            assert step.weight is not None
            assert step.weight.tolist() == [[1.0] * 4]
            assert step.target is None
            slope = np.zeros_like(weight)
            for place in np.ndindex(*weight.shape):
                up, down = weight.copy(), weight.copy()
                up[place] += 1e-6
                down[place] -= 1e-6
                slope[place] = (
                    value(x @ up.T + bias, labels, by_hand) - value(x @ down.T + bias, labels, by_hand)
                ) / 2e-6
            method.zero_grad()
            step.loss.backward()  # type: ignore[no-untyped-call]
            gradient = method.network.head.weight.grad
            assert gradient is not None
            np.testing.assert_allclose(gradient.numpy(), slope, rtol=1e-4, atol=1e-6)
            with torch.no_grad():
                method.network.head.weight -= 0.1 * gradient
            weight, bias = weights_of(method.network.head)
    np.testing.assert_allclose(method.transition.numpy(), by_hand, rtol=1e-9)


def test_the_true_matrix_is_oracle_knowledge_and_needs_no_warm_up() -> None:
    method = make_method(transition="true")
    assert method.task.oracle_reads == {"transition"}
    assert torch.equal(method.transition, ASYMMETRIC)
    method.begin_epoch(20, view())
    assert torch.equal(method.transition, ASYMMETRIC)
    batch = double_batch([0, 1, 2, 3], [0, 2, 1, 1])
    step, logits = method.loss(batch), method.network(batch.images[0])
    assert step.loss is not None
    expected = forward_by_hand(logits.detach().numpy(), [0, 2, 1, 1], ASYMMETRIC.numpy())
    assert step.loss.item() == pytest.approx(expected, rel=1e-9)
    assert torch.equal(method.predict(batch.images[0]), logits.softmax(1))
    assert make_method().task.oracle_reads == frozenset()


def test_a_task_that_states_a_rate_alone_has_symmetric_noise() -> None:
    params = ForwardCorrectionParams(transition="true")
    method = ForwardCorrection(make_task(noise_rate=0.4), make_identity, params)
    assert torch.equal(method.transition, symmetric_transition(0.4, 3))
    with pytest.raises(ValueError, match="neither it nor a noise rate"):
        ForwardCorrection(make_task(), make_identity, params)


def test_the_matrix_survives_a_checkpoint() -> None:
    method, other = make_method(), make_method()
    method.begin_epoch(20, view())
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.transition, method.transition)
