from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.rul import RUL, RULParams, add_up_loss, mix_features, relative_share, scaled_dropout
from fernoise_bench.methods.base import Batch

from ..methods.toy import cross_entropy, make_batch, make_task, parameter_gradients, random_logits
from .linear import Array, make_maps, weights_of

LABELS = torch.tensor([0, 2, 1, 1, 0])
PARTNER = torch.tensor([3, 1, 0, 4, 2])  # row 1 is its own partner


def test_relative_share_is_uncertainty_over_the_sum() -> None:
    log_variance = random_logits(0, 5, 6)
    uncertainty = np.exp(log_variance.numpy()).mean(axis=1, keepdims=True)
    expected = uncertainty / (uncertainty + uncertainty[PARTNER.numpy()])
    np.testing.assert_allclose(relative_share(log_variance, PARTNER).numpy(), expected, rtol=1e-12)
    assert relative_share(log_variance, PARTNER)[1] == 0.5
    assert gradcheck(lambda v: relative_share(v, PARTNER), (log_variance.requires_grad_(),), atol=1e-8, rtol=1e-5)


def test_relative_share_by_hand_and_at_the_edges() -> None:
    two = torch.tensor([[0.0, 0.0], [np.log(3.0), np.log(3.0)]], dtype=torch.float64)
    swap = torch.tensor([1, 0])
    assert relative_share(two, swap).flatten().tolist() == pytest.approx([0.25, 0.75])
    far = torch.tensor([[900.0], [-900.0]], dtype=torch.float64, requires_grad=True)
    share = relative_share(far, swap)
    assert share.flatten().tolist() == [1.0, 0.0]
    assert torch.isfinite(torch.autograd.grad(share.sum(), far)[0]).all()


def test_mix_features_by_loop() -> None:
    features, share = random_logits(1, 5, 4), random_logits(2, 5, 1).sigmoid()
    mixed = mix_features(features, share, PARTNER)
    for i, j in enumerate(PARTNER.tolist()):
        expected = float(share[i]) * features[i].numpy() + (1 - float(share[i])) * features[j].numpy()
        np.testing.assert_allclose(mixed[i].numpy(), expected, rtol=1e-12)
    features.requires_grad_()
    share.requires_grad_()
    assert gradcheck(lambda f, s: mix_features(f, s, PARTNER), (features, share), atol=1e-8, rtol=1e-5)


def test_add_up_loss_counts_both_labels_the_same() -> None:
    logits = random_logits(3, 5, 3)
    expected = np.mean(
        [
            0.5 * cross_entropy(z, int(LABELS[i])) + 0.5 * cross_entropy(z, int(LABELS[PARTNER[i]]))
            for i, z in enumerate(logits.tolist())
        ]
    )
    assert float(add_up_loss(logits, LABELS, PARTNER)) == pytest.approx(expected, rel=1e-12)
    assert float(add_up_loss(logits[:0], LABELS[:0], PARTNER[:0])) == 0.0
    assert gradcheck(lambda z: add_up_loss(z, LABELS, PARTNER), (logits.requires_grad_(),), atol=1e-8, rtol=1e-5)


def test_scaled_dropout_keeps_the_mean() -> None:
    ones = torch.ones(200, 100, dtype=torch.float64)
    dropped = scaled_dropout(ones, 0.4, torch.Generator().manual_seed(0))
    assert set(dropped.unique().tolist()) == {0.0, 1 / 0.6}
    assert float((dropped == 0).double().mean()) == pytest.approx(0.4, abs=0.01)
    assert torch.equal(dropped, scaled_dropout(ones, 0.4, torch.Generator().manual_seed(0)))
    assert torch.equal(scaled_dropout(ones, 0.0, torch.Generator()), ones)


def make_method(**changes: Any) -> RUL:
    return RUL(make_task(), make_maps, RULParams(**{"dimensions": 6, "map_side": 2} | changes))


def make_images(seed: int = 0, side: int = 4) -> Batch:
    images = torch.from_numpy(np.random.default_rng(seed).random((5, 3, side, side)))
    return replace(make_batch(range(5), LABELS, seed=seed), images=(images,))


def branch_by_hand(maps: Array, branch: Any, keep: Array) -> Array:
    """Pool to 2 by 2, normalise by the batch, drop, flatten, a linear layer, normalise by the batch."""
    size, channels, side = maps.shape[:3]
    half = side // 2
    pooled = maps.reshape(size, channels, 2, half, 2, half).mean(axis=(3, 5))
    mean, variance = pooled.mean(axis=(0, 2, 3), keepdims=True), pooled.var(axis=(0, 2, 3), keepdims=True)
    flat = ((pooled - mean) / np.sqrt(variance + 2e-5) * keep / 0.6).reshape(size, -1)
    weight, bias = weights_of(branch.linear)
    vectors = flat @ weight.T + bias
    normal = (vectors - vectors.mean(axis=0)) / np.sqrt(vectors.var(axis=0) + 2e-5)
    scale, shift = weights_of(branch.out_norm)
    return np.asarray(normal * scale + shift)


def test_loss_is_the_numpy_one() -> None:
    method = make_method().double()
    with torch.no_grad():  # a normalised log variance of another scale than its first one
        method.log_variance.out_norm.weight.copy_(torch.linspace(0.2, 2.0, 6))
    batch = make_images(5)
    step = method.loss(batch)
    draws = torch.Generator().manual_seed(5)
    keep1, keep2 = (torch.rand(5, 4, 2, 2, generator=draws).numpy() >= 0.4 for _ in range(2))
    partner = torch.randperm(5, generator=draws).numpy()
    inner, offset = weights_of(method.encoder.linear)
    maps = np.einsum("dk,bkhw->bdhw", inner, batch.images[0].numpy()) + offset[None, :, None, None]
    features = branch_by_hand(maps, method.feature, keep1)
    uncertainty = np.exp(branch_by_hand(maps, method.log_variance, keep2)).mean(axis=1, keepdims=True)
    total = uncertainty + uncertainty[partner]
    mixed = uncertainty / total * features + uncertainty[partner] / total * features[partner]
    weight, bias = weights_of(method.head)
    rows = (mixed @ weight.T + bias).tolist()
    expected = np.mean(
        [
            0.5 * cross_entropy(z, int(LABELS[i])) + 0.5 * cross_entropy(z, int(LABELS[partner[i]]))
            for i, z in enumerate(rows)
        ]
    )
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(float(expected), rel=1e-9)
    assert step.weight is not None
    assert step.weight.tolist() == [[1.0] * 5]
    assert step.logs["uncertainty_spread"].item() == pytest.approx(uncertainty.std(), rel=1e-9)  # type: ignore[union-attr]


def test_uncertainty_learns_from_the_loss() -> None:
    method = make_method().double()
    step = method.loss(make_images())
    assert step.loss is not None
    step.loss.backward()  # type: ignore[no-untyped-call]
    gradients = dict(zip((name for name, _ in method.named_parameters()), parameter_gradients(method), strict=True))
    assert all(value > 0 for name, value in gradients.items())


def test_loss_draws_from_its_generator_only() -> None:
    method = make_method().double()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    losses = [method.loss(make_images(seed)).loss for seed in (0, 0, 1)]
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(losses[0], losses[1])  # type: ignore[arg-type]
    batch = make_images()
    other = replace(batch, generator=torch.Generator().manual_seed(9))
    assert not torch.equal(method.loss(other).loss, losses[0])  # type: ignore[arg-type]


def test_prediction_is_of_the_undropped_feature() -> None:
    method = make_method().double()
    method.loss(make_images())  # moves the running statistics
    method.eval()
    images = make_images().images[0]
    vectors = method.feature(method.encoder(images)[1])
    assert torch.allclose(method.predict(images), method.head(vectors).softmax(1))
    assert torch.allclose(method.predict(images[:1]), method.predict(images)[:1])


@pytest.mark.parametrize("side", [1, 3, 7, 9])
def test_any_map_size_goes(side: int) -> None:
    method = make_method(map_side=7).double()
    assert torch.isfinite(method.predict(make_images(side=side).images[0])).all()
    maps = torch.rand(2, 4, 7, 7, dtype=torch.float64)
    assert torch.equal(torch.nn.functional.adaptive_avg_pool2d(maps, 7), maps)  # the authors' size is left alone


def test_defaults_are_the_authors() -> None:
    params = RULParams()
    assert (params.dimensions, params.drop_rate, params.map_side) == (64, 0.4, 7)
    method = RUL(make_task(), make_maps, params)
    assert method.feature.linear.in_features == 4 * 49
    assert method.feature.norm.weight is None  # its normalisation has no scale of its own
    assert method.feature.out_norm.eps == method.feature.norm.eps == 2e-5
