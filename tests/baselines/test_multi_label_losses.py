"""What holds for any logits and labels of the losses for missing labels and of FixMatch's."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fernoise_bench.baselines.fixmatch_multi import class_thresholds, fixmatch_multi_loss, pseudo_labels
from fernoise_bench.baselines.hill import hill_loss, hill_posterior
from fernoise_bench.baselines.splc import focal_margin_posterior, splc_loss

Loss = Callable[[Tensor, Tensor], Tensor]


def thresholds_of(logits: Tensor) -> Tensor:
    return torch.full((2, logits.shape[1]), 0.7, dtype=logits.dtype)


def half_verified(labels: Tensor) -> Tensor:
    """Rows told apart by their own labels, so that they stay so wherever they stand."""
    return labels.abs().sum(dim=1) % 2 == 0


LOSSES: dict[str, Loss] = {
    "hill": hill_loss,
    "hill, other parameters": lambda z, y: hill_loss(z, y, 1.0, -0.5, 0.3),
    "splc, given": lambda z, y: splc_loss(z, y, False),
    "splc, corrected": lambda z, y: splc_loss(z, y, True),
    "splc, other parameters": lambda z, y: splc_loss(z, y, True, 0.3, 0.0, 0.0),
    "splc, verified rows kept": lambda z, y: splc_loss(z, y, True, verified=half_verified(y)),
    "fixmatch, all verified": lambda z, y: fixmatch_multi_loss(
        z, -z, y, torch.ones(len(z), dtype=torch.bool), thresholds_of(z)
    ),
    "fixmatch": lambda z, y: fixmatch_multi_loss(z, z.flip(1), y, half_verified(y), thresholds_of(z)),
    "fixmatch, not the likelier sign": lambda z, y: fixmatch_multi_loss(
        z, z.flip(1), y, half_verified(y), thresholds_of(z) - 0.5, 0.5, argmax=False
    ),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
few = settings(max_examples=30, deadline=None)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Logits, some of them huge, and labels in {-1, 0, +1}; there may be no row."""
    rows, aus = draw(st.integers(0, 6)), draw(st.integers(1, 4))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.0, 1.0, 10.0, 1e4]))
    logits = torch.from_numpy(generator.normal(size=(rows, aus)) * scale)
    labels = torch.from_numpy(generator.choice([-1, 0, 1], size=(rows, aus)))
    return logits.to(draw(st.sampled_from([torch.float32, torch.float64]))), labels


@every_loss
@given(case=cases())
@few
def test_loss_and_gradient_are_finite(loss: Loss, case: tuple[Tensor, Tensor]) -> None:
    logits, labels = case
    before = logits.clone(), labels.clone()
    value = loss(logits.requires_grad_(), labels)
    (gradient,) = torch.autograd.grad(value, logits)
    assert value.shape == ()
    assert value.dtype == logits.dtype
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()
    assert float(value.detach()) >= 0
    assert torch.equal(logits.detach(), before[0])
    assert torch.equal(labels, before[1])


@every_loss
@given(case=cases())
@few
def test_no_row_and_no_label_cost_nothing(loss: Loss, case: tuple[Tensor, Tensor]) -> None:
    logits, labels = case
    if loss not in (LOSSES["fixmatch"], LOSSES["fixmatch, not the likelier sign"]):  # rows without labels teach these
        (gradient,) = torch.autograd.grad(loss(logits.requires_grad_(), torch.zeros_like(labels)), logits)
        assert not gradient.any()
    empty = loss(logits[:0].detach().requires_grad_(), labels[:0])
    assert empty.item() == 0.0
    assert empty.requires_grad


@every_loss
@given(case=cases(), seed=st.integers(0, 99))
@few
def test_the_order_of_rows_does_not_matter(loss: Loss, case: tuple[Tensor, Tensor], seed: int) -> None:
    logits, labels = case
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(logits)))
    logits = logits.double().requires_grad_()
    (one,) = torch.autograd.grad(loss(logits, labels), logits)
    (other,) = torch.autograd.grad(loss(logits[order], labels[order]), logits)
    assert loss(logits[order], labels[order]).item() == pytest.approx(loss(logits, labels).item(), rel=1e-12)
    assert torch.allclose(one, other, rtol=1e-12, atol=0)


@every_loss
@given(case=cases())
@few
def test_unknown_entries_do_not_matter(loss: Loss, case: tuple[Tensor, Tensor]) -> None:
    if loss in (LOSSES["fixmatch"], LOSSES["fixmatch, not the likelier sign"]):
        return  # these learn from rows whatever their labels
    logits, labels = case
    other = torch.where(labels == 0, 3.0, logits)
    assert loss(other, labels).item() == loss(logits, labels).item()


@given(case=cases(), lam=st.floats(1.5, 3), margin=st.floats(-2, 2))
@few
def test_posteriors_are_probabilities(case: tuple[Tensor, Tensor], lam: float, margin: float) -> None:
    logits = case[0].flatten().sort().values[:, None]
    for posterior in (hill_posterior(logits, lam, margin), focal_margin_posterior(logits, margin)):
        assert posterior.dtype == logits.dtype
        assert ((posterior >= 0) & (posterior <= 1)).all()
        assert (posterior.diff(dim=0) >= -1e-12).all()


@given(case=cases(), seed=st.integers(0, 99))
@few
def test_class_thresholds_give_no_more_pseudo_labels_than_they_should(case: tuple[Tensor, Tensor], seed: int) -> None:
    """But for equal probabilities, of which all are taken."""
    p = case[0].sigmoid()
    generator = np.random.default_rng(seed)
    share = torch.from_numpy(generator.random(p.shape[1]))
    labels = pseudo_labels(p, class_thresholds(p, share), argmax=False)
    for k in range(p.shape[1]):
        if len(p[:, k].unique()) == len(p):
            assert int((labels[:, k] > 0).sum()) == math.floor(float(share[k]) * len(p))
    order = torch.from_numpy(generator.permutation(len(p)))
    assert torch.equal(labels[order], pseudo_labels(p[order], class_thresholds(p, share), argmax=False))
    assert torch.equal(class_thresholds(p, share), class_thresholds(p[order], share))
