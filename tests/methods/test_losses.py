from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from fernoise_bench.methods.losses import (
    bernoulli_kl,
    binary_cross_entropy,
    full_precision,
    js_consistency,
    label_loss,
    masked_bce,
    soft_bce,
    softmax_kl,
)

from .toy import bce, cross_entropy, kl, random_labels, random_logits, sigmoid


def entropy(p: float) -> float:
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)


def jsd_by_entropies(z1: np.ndarray, z2: np.ndarray) -> float:
    total = 0.0
    for a, b in zip(z1.ravel(), z2.ravel(), strict=True):
        p, q = sigmoid(a), sigmoid(b)
        total += entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2
    return total / z1.size


def test_masked_bce_is_the_mean_over_known_entries() -> None:
    logits, labels = random_logits(0, 6, 4), random_labels(1, 6, 4)
    weight = torch.from_numpy(np.random.default_rng(2).random((6, 4)))
    total, count = 0.0, 0
    weighted = 0.0
    for i in range(6):
        for k in range(4):
            if labels[i, k] == 0:
                continue
            value = bce(float(logits[i, k]), 1.0 if labels[i, k] > 0 else 0.0)
            total, count = total + value, count + 1
            weighted += float(weight[i, k]) * value
    assert float(masked_bce(logits, labels)) == pytest.approx(total / count, rel=1e-12)
    assert float(masked_bce(logits, labels, weight)) == pytest.approx(weighted / count, rel=1e-12)
    assert masked_bce(logits, labels).dtype == torch.float64
    per_label = weight[0]
    expected = masked_bce(logits, labels, per_label.expand(6, 4))
    assert torch.equal(masked_bce(logits, labels, per_label), expected)
    assert masked_bce(logits.float(), labels, weight).dtype == torch.float32
    one = masked_bce(logits[:1, :1], torch.ones(1, 1, dtype=torch.int64))
    assert float(one) == pytest.approx(bce(float(logits[0, 0]), 1.0), rel=1e-12)


def test_unknown_labels_have_no_influence() -> None:
    labels = torch.tensor([[1, 0], [0, -1]])
    one = torch.tensor([[0.3, 5.0], [2.0, -0.4]], requires_grad=True)
    two = torch.tensor([[0.3, -7.0], [0.1, -0.4]])
    assert torch.equal(masked_bce(one, labels), masked_bce(two, labels))
    masked_bce(one, labels).backward()
    assert one.grad is not None
    assert one.grad[0, 1] == 0
    assert one.grad[1, 0] == 0


@pytest.mark.parametrize("labels", [torch.zeros(3, 2, dtype=torch.int64), torch.zeros(0, 2, dtype=torch.int64)])
def test_nothing_known_gives_zero_with_a_gradient_path(labels: torch.Tensor) -> None:
    logits = torch.randn(labels.shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = masked_bce(logits, labels)
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_soft_bce_takes_soft_targets() -> None:
    logits = random_logits(3, 5, 3)
    targets = torch.from_numpy(np.random.default_rng(4).random((5, 3)))
    known = random_labels(5, 5, 3) != 0
    pairs = [(i, k) for i in range(5) for k in range(3) if known[i, k]]
    expected = sum(bce(float(logits[i, k]), float(targets[i, k])) for i, k in pairs) / len(pairs)
    assert float(soft_bce(logits, targets, known)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_binary_cross_entropy_is_exact_in_both_tails(dtype: torch.dtype) -> None:
    logits = torch.tensor([100.0, -100.0, 20.0, -20.0], dtype=dtype, requires_grad=True)
    right = binary_cross_entropy(logits, torch.tensor([1.0, 0.0, 1.0, 0.0]))
    wrong = binary_cross_entropy(logits, torch.tensor([0.0, 1.0, 0.0, 1.0]))
    assert right[2:].tolist() == pytest.approx([math.log1p(math.exp(-20))] * 2, rel=1e-6)
    assert wrong.tolist() == pytest.approx([100, 100, 20, 20], rel=1e-6)
    (right.sum() + wrong.sum()).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        masked_bce(torch.zeros(3, 2), torch.ones(3))
    with pytest.raises(ValueError, match="differ in shape"):
        js_consistency(torch.zeros(3, 2), torch.zeros(2))


def test_label_loss_of_both_kinds() -> None:
    logits, labels = random_logits(6, 5, 3), torch.tensor([0, 2, 1, 1, 0])
    expected = sum(cross_entropy(row, int(y)) for row, y in zip(logits.tolist(), labels, strict=True)) / 5
    assert float(label_loss(logits, labels, "single")) == pytest.approx(expected, rel=1e-12)
    one = label_loss(logits[:1], labels[:1], "single")
    assert float(one) == pytest.approx(cross_entropy(logits[0].tolist(), 0), rel=1e-12)
    assert float(label_loss(logits[:0], labels[:0], "single")) == 0.0
    aus = random_labels(7, 5, 3)
    assert torch.equal(label_loss(logits, aus, "multi"), masked_bce(logits, aus))


def test_softmax_kl_direction_and_rows() -> None:
    a, b = random_logits(8, 4, 5), random_logits(9, 4, 5)
    expected = [kl(p, q) for p, q in zip(a.tolist(), b.tolist(), strict=True)]
    assert softmax_kl(a, b).tolist() == pytest.approx(expected, rel=1e-12)
    assert torch.isfinite(softmax_kl(torch.tensor([[200.0, 0.0]]), torch.tensor([[0.0, 200.0]]))).all()


def test_js_consistency_is_the_entropy_form() -> None:
    z1, z2 = random_logits(10, 7, 3), random_logits(11, 7, 3)
    assert float(js_consistency(z1, z2)) == pytest.approx(jsd_by_entropies(z1.numpy(), z2.numpy()), rel=1e-12)
    assert float(js_consistency(z1, z2)) == pytest.approx(float(js_consistency(z2, z1)), rel=1e-14)
    assert float(js_consistency(z1, z1)) == 0.0
    assert float(js_consistency(z1[:0], z2[:0])) == 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_js_consistency_of_saturated_logits(dtype: torch.dtype) -> None:
    pairs = [(100.0, 100.0), (100.0, -100.0), (-100.0, 100.0), (-100.0, -100.0), (100.0, 0.0), (0.0, -1e4)]
    # One sure, the other a coin: H(3/4) - log(2)/2.
    coin = entropy(0.75) - math.log(2) / 2
    for (a, b), expected in zip(pairs, [0, math.log(2), math.log(2), 0, coin, coin], strict=True):
        z1 = torch.tensor([[a]], dtype=dtype, requires_grad=True)
        z2 = torch.tensor([[b]], dtype=dtype, requires_grad=True)
        loss = js_consistency(z1, z2)
        loss.backward()
        assert loss.item() == pytest.approx(expected, abs=1e-6 if dtype == torch.float32 else 1e-13)
        assert z1.grad is not None
        assert z2.grad is not None
        assert torch.isfinite(z1.grad).all()
        assert torch.isfinite(z2.grad).all()


@given(st.floats(-30, 30), st.floats(-30, 30))
@settings(max_examples=80, deadline=None)
def test_js_consistency_stays_in_its_range(a: float, b: float) -> None:
    value = float(js_consistency(torch.tensor([[a]], dtype=torch.float64), torch.tensor([[b]], dtype=torch.float64)))
    assert -1e-15 <= value <= math.log(2) + 1e-15


def test_gradients_agree_with_central_differences() -> None:
    z1 = random_logits(12, 3, 4, requires_grad=True)
    z2 = random_logits(13, 3, 4, requires_grad=True)
    labels, known = random_labels(14, 3, 4), random_labels(15, 3, 4) != 0
    targets = torch.from_numpy(np.random.default_rng(16).random((3, 4)))
    assert gradcheck(js_consistency, (z1, z2))
    assert gradcheck(softmax_kl, (z1, z2))
    assert gradcheck(lambda z: masked_bce(z, labels), (z1,))
    assert gradcheck(lambda z: soft_bce(z, targets, known), (z1,))
    assert gradcheck(lambda z: label_loss(z, torch.tensor([0, 3, 2]), "single"), (z1,))


def test_half_precision_is_raised_and_the_rest_kept() -> None:
    for given_dtype, expected in (
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ):
        assert full_precision(torch.zeros(2, dtype=given_dtype)).dtype == expected
        assert masked_bce(torch.zeros(2, 2, dtype=given_dtype), torch.ones(2, 2)).dtype == expected


def test_bernoulli_kl_by_loop_and_its_gradients() -> None:
    z1, z2 = random_logits(30, 4, 3, requires_grad=True), random_logits(31, 4, 3, requires_grad=True)
    divergence = bernoulli_kl(z1, z2)
    for a, b, value in zip(z1.flatten().tolist(), z2.flatten().tolist(), divergence.flatten().tolist(), strict=True):
        p, q = sigmoid(a), sigmoid(b)
        assert value == pytest.approx(p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)), rel=1e-10)
    assert gradcheck(bernoulli_kl, (z1, z2), rtol=1e-5)
    assert bernoulli_kl(z1, z1).abs().max() == 0
    saturated = torch.tensor([[200.0, -200.0]], requires_grad=True)
    extreme = bernoulli_kl(saturated, -saturated)
    assert extreme.tolist() == [[200.0, 200.0]]
    extreme.sum().backward()
    assert torch.isfinite(saturated.grad).all()
    with pytest.raises(ValueError, match="shape"):
        bernoulli_kl(z1, z2[:, :2])
