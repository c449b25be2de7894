from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from fernoise_bench.baselines.fixmatch_multi import (
    class_thresholds,
    fixmatch_multi_loss,
    fixmatch_targets,
    free_momentum,
    free_thresholds,
    free_update,
    pseudo_labels,
)

from ..methods.toy import bce, random_labels, random_logits, sigmoid
from .linear_multi import Array

INF = math.inf


def thresholds_of(positive: float, negative: float, aus: int = 1) -> Tensor:
    return torch.tensor([[positive] * aus, [negative] * aus], dtype=torch.float64)


# --- pseudo-labels


@pytest.mark.parametrize(
    ("p", "positive", "negative", "by_argmax", "otherwise"),
    [
        (0.95, 0.95, 0.95, 1, 1),  # reached when equal
        (0.9499, 0.95, 0.95, 0, 0),
        (0.0625, 0.95, 0.9375, -1, -1),  # 1 - p in full, equal
        (0.0626, 0.95, 0.9375, 0, 0),
        (0.5, 0.5, 0.5, -1, 1),  # the lower index of equal ones; a positive wins where both hold
        (0.5, 0.6, 0.5, -1, -1),
        (0.5, 0.5, 0.6, 0, 1),
        (0.3, 0.2, 0.9, 0, 1),  # a rare AU that is never likelier than not
        (0.3, 0.2, 0.6, -1, 1),
        (0.7, 0.9, 0.2, 0, -1),
        (1.0, INF, INF, 0, 0),
        (0.0, INF, INF, 0, 0),
    ],
)
def test_pseudo_labels_by_hand(p: float, positive: float, negative: float, by_argmax: int, otherwise: int) -> None:
    probabilities, thresholds = torch.tensor([[p]], dtype=torch.float64), thresholds_of(positive, negative)
    assert pseudo_labels(probabilities, thresholds).tolist() == [[by_argmax]]
    assert pseudo_labels(probabilities, thresholds, argmax=False).tolist() == [[otherwise]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("other", [torch.float32, torch.float64])
def test_an_equal_probability_reaches_the_threshold_in_any_precision(dtype: torch.dtype, other: torch.dtype) -> None:
    p, thresholds = torch.tensor([[0.95, 0.05]], dtype=dtype), torch.full((2, 2), 0.95, dtype=other)
    assert pseudo_labels(p, thresholds).tolist() == [[1, -1]]


def test_pseudo_labels_have_a_threshold_for_each_au_and_sign() -> None:
    p = random_logits(0, 9, 3).sigmoid().requires_grad_()
    thresholds = torch.tensor([[0.6, 0.7, 0.9], [0.8, 0.55, 0.6]], dtype=torch.float64)
    found = pseudo_labels(p, thresholds)
    assert found.dtype == torch.int64
    assert not found.requires_grad
    for i in range(9):
        for k in range(3):
            q = float(p[i, k].detach())
            expected = 1 if q >= thresholds[0, k] and q > 0.5 else -1 if 1 - q >= thresholds[1, k] and q <= 0.5 else 0
            assert found[i, k] == expected
    assert pseudo_labels(p[:0], thresholds).shape == (0, 3)


# --- free thresholds


def test_free_update_by_hand() -> None:
    time, model = torch.tensor([0.5, 0.6]), torch.tensor([[0.5, 0.3], [0.5, 0.7]])
    p = torch.tensor([[0.9, 0.2], [0.2, 0.1]], dtype=torch.float64, requires_grad=True)
    new_time, new_model = free_update(time, model, p, 0.75)
    assert new_time.tolist() == pytest.approx([0.375 + 0.25 * 0.85, 0.45 + 0.25 * 0.85])
    assert new_model[0].tolist() == pytest.approx([0.375 + 0.25 * 0.55, 0.225 + 0.25 * 0.15])
    assert new_model[1].tolist() == pytest.approx([0.375 + 0.25 * 0.45, 0.525 + 0.25 * 0.85])
    assert not new_time.requires_grad
    assert not new_model.requires_grad
    assert time.tolist() == pytest.approx([0.5, 0.6])
    same_time, same_model = free_update(time, model, p[:0], 0.75)
    assert torch.equal(same_time, time)
    assert torch.equal(same_model, model)


def test_free_thresholds_by_hand() -> None:
    time, model = torch.tensor([0.8, 0.9, 0.5]), torch.tensor([[0.2, 0.6, 0.5], [0.8, 0.4, 0.5]])
    expected = [0.8 * 0.2 / 0.8, 0.9, 0.5, 0.8, 0.9 * 0.4 / 0.6, 0.5]
    assert free_thresholds(time, model).flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("steps", "window"), [(0, 10), (900, 10), (2_000, 20), (100_000, 1000), (2**20, 1000)])
def test_the_window_of_free_thresholds_is_a_share_of_the_steps(steps: int, window: int) -> None:
    assert free_momentum(steps) == pytest.approx(1 - 1 / window, rel=1e-15)


# --- thresholds by class


def thresholds_by_loop(p: Array, share: Any, kept: tuple[float, float]) -> Array:
    found = np.full((2, p.shape[1]), INF)
    for k in range(p.shape[1]):
        for row, (values, part) in enumerate(((p[:, k], share[k]), (1 - p[:, k], 1 - share[k]))):
            if not math.isnan(part):
                count = math.floor(kept[row] * part * len(p))
                found[row, k] = sorted(values, reverse=True)[count - 1] if count else INF
    return found


@pytest.mark.parametrize("kept", [(1.0, 0.998), (0.5, 0.7), (1.0, 1.0)])
@pytest.mark.parametrize("rows", [1, 7, 40])
def test_class_thresholds_by_loop(rows: int, kept: tuple[float, float]) -> None:
    p = random_logits(rows, rows, 6).sigmoid()
    share = torch.tensor([0.3, 0.0, 1.0, math.nan, 0.02, 0.5], dtype=torch.float64)
    found = class_thresholds(p, share, *kept)
    assert found.dtype == torch.float64
    assert np.array_equal(found.numpy(), thresholds_by_loop(p.numpy(), share.numpy(), kept))
    assert class_thresholds(p.float(), share, *kept).dtype == torch.float32
    assert torch.equal(class_thresholds(p, share), class_thresholds(p, share, 1.0, 0.998))


def test_class_thresholds_give_every_au_its_share() -> None:
    p = random_logits(1, 1000, 2).sigmoid() * 0.4  # never likelier than not
    labels = pseudo_labels(p, class_thresholds(p, torch.tensor([0.1, 0.004])), argmax=False)
    assert (labels > 0).sum(dim=0).tolist() == [100, 4]
    assert (labels < 0).sum(dim=0).tolist() == [898, 994]  # floor(0.998·900), floor(0.998·996)


def test_a_number_of_zero_gives_no_pseudo_label() -> None:
    """Where the authors' index of -1 makes every row positive."""
    p = torch.tensor([[0.9], [0.8], [0.1]], dtype=torch.float64)
    few = class_thresholds(p, torch.tensor([0.3]))  # floor(0.9) positives, floor(0.998·2.1) negatives
    assert few.tolist() == [[INF], [1 - 0.8]]
    assert pseudo_labels(p, few, argmax=False).tolist() == [[0], [-1], [-1]]
    assert class_thresholds(p, torch.tensor([math.nan])).tolist() == [[INF], [INF]]
    assert class_thresholds(p[:0], torch.tensor([0.3])).tolist() == [[INF], [INF]]
    assert not class_thresholds(p.requires_grad_(), torch.tensor([0.5])).requires_grad


# --- the loss


def loss_by_loop(
    weak: Tensor, strong: Tensor, labels: Tensor, verified: Any, thresholds: Tensor, weight: float, argmax: bool
) -> float:
    weak, strong = weak.detach(), strong.detach()
    supervised, known, unsupervised = 0.0, 0, 0.0
    for i in range(len(weak)):
        for k in range(weak.shape[1]):
            if verified[i]:
                if labels[i, k] != 0:
                    supervised += bce(float(weak[i, k]), float(labels[i, k] > 0))
                    known += 1
                continue
            p = sigmoid(float(weak[i, k]))
            positive, negative = p >= float(thresholds[0, k]), 1 - p >= float(thresholds[1, k])
            if argmax:
                positive, negative = positive and p > 0.5, negative and p <= 0.5
            if positive or negative:
                unsupervised += bce(float(strong[i, k]), float(positive))
    rows = sum(not v for v in verified)
    return supervised / max(1, known) + weight * unsupervised / max(1, rows * weak.shape[1])


VERIFIED_ROWS = torch.tensor([True, False, False, True, False, True, False])
THRESHOLDS = torch.tensor([[0.7, 0.8, 0.4], [0.75, 0.6, 0.7]], dtype=torch.float64)


@pytest.mark.parametrize("argmax", [True, False])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_loss_by_loop(weight: float, argmax: bool) -> None:
    weak, strong, labels = random_logits(2, 7, 3), random_logits(3, 7, 3), random_labels(4, 7, 3)
    loss = fixmatch_multi_loss(weak, strong, labels, VERIFIED_ROWS, THRESHOLDS, weight, argmax)
    expected = loss_by_loop(weak, strong, labels, VERIFIED_ROWS, THRESHOLDS, weight, argmax)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    targets = fixmatch_targets(weak, labels, VERIFIED_ROWS, THRESHOLDS, argmax)
    assert torch.equal(targets[VERIFIED_ROWS], labels[VERIFIED_ROWS])
    assert torch.equal(targets[~VERIFIED_ROWS], pseudo_labels(weak.sigmoid(), THRESHOLDS, argmax)[~VERIFIED_ROWS])
    half = fixmatch_multi_loss(weak.half(), strong.half(), labels, VERIFIED_ROWS, THRESHOLDS, weight, argmax)
    assert half.dtype == torch.float32


def test_entries_without_a_pseudo_label_stay_in_the_divisor() -> None:
    weak, strong = torch.tensor([[4.0, 0.0], [0.0, 0.0]]), torch.zeros(2, 2)
    nobody = torch.zeros(2, dtype=torch.bool)
    loss = fixmatch_multi_loss(weak, strong, torch.zeros(2, 2), nobody, thresholds_of(0.95, 0.95, 2))
    assert loss.item() == pytest.approx(math.log(2) / 4)


def test_what_is_not_read() -> None:
    weak, strong, labels = random_logits(5, 7, 3), random_logits(6, 7, 3), random_labels(7, 7, 3)
    loss = fixmatch_multi_loss(weak, strong, labels, VERIFIED_ROWS, THRESHOLDS)
    other_strong, other_labels = strong.clone(), labels.clone()
    other_strong[VERIFIED_ROWS] = math.nan
    other_labels[~VERIFIED_ROWS] = 99
    weak.requires_grad_()
    other_strong.requires_grad_()
    other = fixmatch_multi_loss(weak, other_strong, other_labels, VERIFIED_ROWS, THRESHOLDS)
    assert other.item() == loss.item()
    of_weak, of_strong = torch.autograd.grad(other, (weak, other_strong))
    assert not of_weak[~VERIFIED_ROWS].any()
    assert of_weak[VERIFIED_ROWS][labels[VERIFIED_ROWS] != 0].all()
    assert not of_strong[VERIFIED_ROWS].any()
    pseudo = fixmatch_targets(weak, labels, VERIFIED_ROWS, THRESHOLDS)[~VERIFIED_ROWS]
    assert torch.equal(of_strong[~VERIFIED_ROWS] != 0, pseudo != 0)
    assert (pseudo != 0).any()


@pytest.mark.parametrize("argmax", [True, False])
def test_gradient_agrees_with_central_differences(argmax: bool) -> None:
    weak, strong = random_logits(8, 7, 3, requires_grad=True), random_logits(9, 7, 3, requires_grad=True)
    labels = random_labels(10, 7, 3)

    def loss(weak: Tensor, strong: Tensor) -> Tensor:
        return fixmatch_multi_loss(weak, strong, labels, VERIFIED_ROWS, THRESHOLDS, 0.7, argmax)

    assert gradcheck(loss, (weak, strong), rtol=1e-5, atol=1e-8)


def test_a_part_without_rows_is_zero() -> None:
    weak, strong = random_logits(11, 4, 3, requires_grad=True), random_logits(12, 4, 3, requires_grad=True)
    labels, everyone = random_labels(13, 4, 3), torch.ones(4, dtype=torch.bool)
    unlabelled = fixmatch_multi_loss(weak, strong, labels, ~everyone, thresholds_of(INF, INF, 3))
    assert unlabelled.item() == 0.0
    alone = fixmatch_multi_loss(weak, strong, labels, everyone, THRESHOLDS)
    assert alone.item() == pytest.approx(loss_by_loop(weak, strong, labels, everyone, THRESHOLDS, 1.0, True), rel=1e-12)
    nothing = fixmatch_multi_loss(weak[:0], strong[:0], labels[:0], everyone[:0], THRESHOLDS)
    assert nothing.item() == 0.0
    for loss in (unlabelled, nothing):
        assert not any(gradient.any() for gradient in torch.autograd.grad(loss, (weak, strong)))


@pytest.mark.parametrize("size", [800.0, 1e4])
def test_saturated_logits(size: float) -> None:
    weak = torch.tensor([[size, -size]] * 2, requires_grad=True)
    strong = torch.tensor([[-size, size]] * 2, requires_grad=True)
    loss = fixmatch_multi_loss(weak, strong, -torch.ones(2, 2), torch.tensor([True, False]), THRESHOLDS[:, :2])
    assert torch.isfinite(loss)
    assert all(torch.isfinite(gradient).all() for gradient in torch.autograd.grad(loss, (weak, strong)))
