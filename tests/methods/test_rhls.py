from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from fernoise_bench.methods.losses import soft_bce
from fernoise_bench.methods.rhls import RHLS, RHLSParams, robin_hood, smoothing_rates

from .toy import bce, make_batch, make_encoder, make_task, parameter_gradients, random_labels, random_logits


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0])
@pytest.mark.parametrize(
    ("frequency", "positive", "negative"),
    [(0.0, 0.0, 1.0), (0.25, 0.0, 2 / 3), (0.5, 0.0, 0.0), (0.75, 2 / 3, 0.0), (1.0, 1.0, 0.0), (math.nan, 0.0, 0.0)],
)
def test_smoothing_rates_by_hand(beta: float, frequency: float, positive: float, negative: float) -> None:
    got = smoothing_rates(torch.tensor([frequency], dtype=torch.float64), beta)
    assert float(got[0]) == pytest.approx(beta * positive, abs=1e-15)
    assert float(got[1]) == pytest.approx(beta * negative, abs=1e-15)


@given(st.floats(1e-6, 1 - 1e-6), st.floats(0, 1))
@settings(max_examples=80, deadline=None)
def test_smoothing_rates_are_equation_three(f: float, beta: float) -> None:
    positive, negative = smoothing_rates(torch.tensor([f], dtype=torch.float64), beta)
    assert float(negative) == pytest.approx(beta * max(0.0, (1 - 2 * f) / (1 - f)), rel=1e-9, abs=1e-12)
    assert float(positive) == pytest.approx(beta * max(0.0, (2 * f - 1) / f), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("f", [0.0, 0.03, 0.25, 0.5, 0.6, 0.99, 1.0])
def test_at_full_strength_the_expected_target_is_one_half(f: float) -> None:
    positive, negative = smoothing_rates(torch.tensor([f], dtype=torch.float64), 1.0)
    target = robin_hood(torch.tensor([[1], [-1]]), positive, negative)
    assert float(f * target[0] + (1 - f) * target[1]) == pytest.approx(0.5, rel=1e-12)


def test_robin_hood_is_equation_two() -> None:
    labels = random_labels(0, 6, 3)
    positive = torch.tensor([0.0, 0.2, 0.0], dtype=torch.float64)
    negative = torch.tensor([0.25, 0.0, 0.0], dtype=torch.float64)
    target = robin_hood(labels, positive, negative)
    assert target.dtype == torch.float64
    for i in range(6):
        for k in range(3):
            if labels[i, k] == 0:
                continue
            y = 1 if labels[i, k] > 0 else 0
            expected = y * (1 - float(positive[k]) / 2) + (1 - y) * float(negative[k]) / 2
            assert float(target[i, k]) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("beta", [-0.1, 1.1])
def test_beta_has_a_range(beta: float) -> None:
    with pytest.raises(ValueError, match="beta"):
        smoothing_rates(torch.tensor([0.5]), beta)


def make_method(frequency: list[float], **changes: float) -> RHLS:
    task = make_task("multi", 3, frequency=torch.tensor(frequency, dtype=torch.float64))
    return RHLS(task, make_encoder, RHLSParams(**changes))


def test_loss_is_smoothed_cross_entropy_over_known_entries() -> None:
    method = make_method([0.1, 0.8, math.nan])
    labels = torch.tensor([[1, -1, 0], [-1, 1, 0], [-1, 0, 0], [0, -1, 0]])
    batch = make_batch([0, 1, 2, 3], labels)
    step = method.loss(batch)
    logits = method.network(batch.images[0]).tolist()
    low, high = 0.25 * (1 - 0.2) / 0.9, 0.25 * 0.6 / 0.8  # AU 0: negatives smoothed; AU 1: positives smoothed
    targets = {(0, 1): 1.0, (0, -1): low / 2, (1, 1): 1 - high / 2, (1, -1): 0.0}
    values = [bce(logits[i][k], targets[k, int(labels[i, k])]) for i in range(4) for k in range(2) if labels[i, k] != 0]
    assert step.loss is not None
    assert float(step.loss.detach()) == pytest.approx(sum(values) / len(values), rel=1e-5)
    assert step.weight is not None
    assert torch.equal(step.weight, (labels != 0).float()[None])
    assert step.target is None
    step.loss.backward()
    assert all(parameter_gradients(method))


def test_gradient_agrees_with_central_differences() -> None:
    labels = random_labels(1, 4, 3)
    rates = smoothing_rates(torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64), 0.25)
    logits = random_logits(2, 4, 3, requires_grad=True)
    assert gradcheck(lambda z: soft_bce(z, robin_hood(labels, *rates), labels != 0), (logits,))


def test_a_batch_without_labels_is_skipped() -> None:
    step = make_method([0.1, 0.2, 0.3]).loss(make_batch([0, 1], torch.zeros(2, 3, dtype=torch.int64)))
    assert step.loss is None
    assert step.weight is not None
    assert not step.weight.any()


def test_rates_come_from_the_task_and_stay_out_of_the_state() -> None:
    method = make_method([0.1, 0.5, 0.9], rhls_beta=1.0)
    assert set(method.state_dict()) == {
        "network.encoder.linear.weight",
        "network.encoder.linear.bias",
        "network.head.weight",
        "network.head.bias",
    }
    other = make_method([0.1, 0.5, 0.9], rhls_beta=1.0)
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.positive, method.positive)
    images = make_batch(range(4), torch.zeros(4, 3)).images[0]
    assert torch.equal(other.predict(images), method.predict(images))
    assert ((method.predict(images) > 0) & (method.predict(images) < 1)).all()


def test_variants_are_valid_parameters() -> None:
    assert {"beta-0", "beta-0.5", "beta-1"} <= set(RHLS.variants)
    for name, variant in RHLS.variants.items():
        assert set(variant.params) == {"rhls_beta"}
        beta = RHLSParams(**variant.params).rhls_beta  # type: ignore[arg-type]
        assert beta == float(name.removeprefix("beta-"))  # each is named after its β
        method = make_method([0.25, 0.5, 0.75], rhls_beta=beta)
        assert method.negative.tolist() == pytest.approx([beta * 2 / 3, 0.0, 0.0])
        assert method.positive.tolist() == pytest.approx([0.0, 0.0, beta * 2 / 3])
