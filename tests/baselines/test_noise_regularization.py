from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.noise_regularization import (
    NoiseRegularization,
    NoiseRegularizationParams,
    noise_regularized_loss,
)
from fernoise_bench.methods.recot import ReCoT, ReCoTParams

from ..methods.toy import (
    bce,
    make_batch,
    make_encoder,
    make_task,
    parameter_gradients,
    random_labels,
    random_logits,
    set_head,
)

VERIFIED = torch.tensor([True, False, True, False, False, True])
LABELS = torch.tensor([[1, -1, 0], [-1, 1, 1], [1, -1, -1], [0, 0, 0], [-1, -1, 1], [1, 1, -1]])


def loss_by_loop(
    z: torch.Tensor, r: torch.Tensor, labels: torch.Tensor, verified: torch.Tensor, weight: float
) -> float:
    clean, noisy = [], []
    for i, k in np.ndindex(labels.shape):
        if labels[i, k] != 0:
            target = float(labels[i, k] > 0)
            logit = z[i, k].item() + (0.0 if verified[i] else r[i, k].item())
            (clean if verified[i] else noisy).append(bce(logit, target))
    return sum(clean) / max(1, len(clean)) + weight * sum(noisy) / max(1, len(noisy))


@pytest.mark.parametrize("weight", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("verified", [VERIFIED, torch.ones(6, dtype=torch.bool), torch.zeros(6, dtype=torch.bool)])
def test_each_part_is_a_mean_over_its_known_entries(weight: float, verified: torch.Tensor) -> None:
    z, r = random_logits(0, 6, 3, requires_grad=True), random_logits(1, 6, 3, requires_grad=True)
    labels = random_labels(2, 6, 3)
    loss = noise_regularized_loss(z, r, labels, verified, weight)
    assert loss.item() == pytest.approx(loss_by_loop(z, r, labels, verified, weight), rel=1e-12)
    assert loss.dtype == torch.float64
    assert gradcheck(lambda a, b: noise_regularized_loss(a, b, labels, verified, weight), (z, r), rtol=1e-5, atol=1e-8)


def test_by_hand() -> None:
    z, r = torch.zeros(2, 2), torch.full((2, 2), 1.0)
    labels = torch.tensor([[1, 0], [1, -1]])
    verified = torch.tensor([True, False])
    # One clean entry at log 2; two noisy ones at logit 1, targets 1 and 0.
    noisy = (np.log1p(np.exp(-1)) + np.log1p(np.exp(1))) / 2
    assert noise_regularized_loss(z, r, labels, verified).item() == pytest.approx(np.log(2) + noisy, rel=1e-6)
    assert noise_regularized_loss(z, r, labels, verified, 0.5).item() == pytest.approx(np.log(2) + noisy / 2, rel=1e-6)
    assert noise_regularized_loss(z, r, torch.zeros_like(labels), verified).item() == 0.0
    assert noise_regularized_loss(z[:0], r[:0], labels[:0], verified[:0]).item() == 0.0


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32])
def test_verified_may_be_zeros_and_ones(dtype: torch.dtype) -> None:
    z, r = random_logits(0, 6, 3), random_logits(1, 6, 3)
    loss = noise_regularized_loss(z, r, LABELS, VERIFIED.to(dtype), 0.3)
    assert loss.item() == pytest.approx(loss_by_loop(z, r, LABELS, VERIFIED, 0.3), rel=1e-12)


def test_noisy_rows_reach_both_nets_and_verified_rows_the_clean_net_alone() -> None:
    z, r = random_logits(3, 6, 3, requires_grad=True), random_logits(4, 6, 3, requires_grad=True)
    gradient_z, gradient_r = torch.autograd.grad(noise_regularized_loss(z, r, LABELS, VERIFIED), (z, r))
    assert torch.equal(gradient_z != 0, LABELS != 0)
    assert torch.equal(gradient_r != 0, (LABELS != 0) & ~VERIFIED[:, None])


def make_method(weight: float = 1.0) -> NoiseRegularization:
    return NoiseRegularization(make_task("multi"), make_encoder, NoiseRegularizationParams(weight))


def test_loss_and_what_it_reports() -> None:
    method = make_method(0.7)
    batch = make_batch(range(6), LABELS, verified=VERIFIED)
    pooled, _ = method.network.encoder(batch.images[0])
    z, r = method.network.head(pooled), method.residual(pooled)
    step = method.loss(batch)
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(loss_by_loop(z, r, LABELS, VERIFIED, 0.7), rel=1e-5)
    assert step.weight is not None
    assert step.weight.tolist() == (LABELS != 0).float()[None].tolist()
    assert step.probabilities is not None
    assert torch.allclose(step.probabilities, method.predict(batch.images[0]))
    assert not step.probabilities.requires_grad
    step.loss.backward()
    assert all(parameter_gradients(method))


@pytest.mark.parametrize("verified", [True, False])
def test_batches_of_one_kind_of_rows(verified: bool) -> None:
    method = make_method()
    batch = make_batch([0, 1, 1], LABELS[:3], verified=[verified] * 3)
    step = method.loss(batch)
    assert step.loss is not None
    step.loss.backward()
    assert (method.residual.weight.grad is not None and bool(method.residual.weight.grad.any())) != verified
    nothing = method.loss(replace(batch, labels=torch.zeros(3, 3, dtype=torch.int64)))
    assert nothing.loss is None
    assert nothing.weight is not None
    assert not nothing.weight.any()


def test_prediction_is_the_clean_net_whatever_the_residual() -> None:
    method = make_method()
    images = make_batch(range(6), LABELS).images[0]
    before = method.predict(images)
    set_head(method.residual, [5.0, -5.0, 0.0])
    assert torch.equal(method.predict(images), before)
    assert torch.equal(before, method.network(images).sigmoid())
    assert method.needs == {"multi", "verified"}


def test_starts_as_one_view_of_recot_with_its_noisy_net() -> None:
    params = ReCoTParams(two_views=False)
    (view,) = ReCoT(make_task("multi"), make_encoder, params).networks
    method = make_method()
    assert torch.equal(view.net_clean.weight, method.network.head.weight)  # type: ignore[union-attr]
    assert torch.equal(view.net_noisy.weight, method.residual.weight)  # type: ignore[union-attr]
