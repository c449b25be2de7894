from __future__ import annotations

import numpy as np
import pytest
import torch

from fernoise_bench.baselines.bootstrapping import Bootstrapping, BootstrappingParams, bootstrap_targets
from fernoise_bench.methods.losses import soft_bce

from ..methods.toy import (
    bce,
    make_batch,
    make_encoder,
    make_task,
    parameter_gradients,
    random_labels,
    random_logits,
    sigmoid,
)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("weight", [0.0, 0.8, 1.0])
def test_targets_by_loop(hard: bool, weight: float) -> None:
    z, labels = random_logits(0, 6, 3, requires_grad=True), random_labels(1, 6, 3)
    target = bootstrap_targets(z, labels, weight, hard)
    assert target.dtype == torch.float64
    assert not target.requires_grad
    for i in range(6):
        for k in range(3):
            p = sigmoid(float(z[i, k].detach()))
            own = float(p > 0.5) if hard else p
            expected = weight * float(labels[i, k] > 0) + (1 - weight) * own
            assert target[i, k].item() == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_one_half_is_not_above_one_half() -> None:
    even = torch.zeros(1, 2, dtype=torch.float64)
    labels = torch.tensor([[1, -1]])
    assert bootstrap_targets(even, labels, 0.8, True).tolist() == [[0.8, 0.0]]
    assert bootstrap_targets(even, labels, 0.8, False).tolist()[0] == pytest.approx([0.9, 0.1], rel=1e-12)
    assert bootstrap_targets(even + 1e-3, labels, 0.8, True).tolist()[0] == pytest.approx([1.0, 0.2], rel=1e-12)


@pytest.mark.parametrize("weight", [-0.1, 1.1])
def test_weight_has_a_range(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        bootstrap_targets(torch.zeros(1, 1), torch.ones(1, 1), weight, False)


@pytest.mark.parametrize("hard", [False, True])
def test_gradient_takes_the_target_for_a_constant(hard: bool) -> None:
    z, labels = random_logits(2, 4, 3, requires_grad=True), random_labels(3, 4, 3)
    known = labels != 0
    target = bootstrap_targets(z, labels, 0.8, hard)
    (gradient,) = torch.autograd.grad(soft_bce(z, target, known), z)
    step, start = 1e-6, z.detach().numpy()
    for i in range(4):
        for k in range(3):
            t = float(target[i, k])
            slope = (bce(start[i, k] + step, t) - bce(start[i, k] - step, t)) / (2 * step)
            expected = slope * float(known[i, k]) / float(known.sum())
            assert gradient[i, k].item() == pytest.approx(expected, rel=1e-5, abs=1e-9)


def make_method(**changes: bool | float) -> Bootstrapping:
    return Bootstrapping(make_task("multi"), make_encoder, BootstrappingParams(**changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("hard", [False, True])
def test_a_step_learns_from_all_known_entries(hard: bool) -> None:
    method = make_method(hard=hard)
    labels = random_labels(4, 5, 3)
    batch = make_batch([0, 1, 2, 1, 4], labels, verified=[True, False, True, False, False])
    logits = method.network(batch.images[0])
    values = []
    for i, k in (labels != 0).nonzero().tolist():
        z = float(logits[i, k].detach())
        own = float(z > 0) if hard else sigmoid(z)
        values.append(bce(z, 0.8 * float(labels[i, k] > 0) + 0.2 * own))
    step = method.loss(batch)
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(np.mean(values), rel=1e-5)
    assert step.weight is not None
    assert torch.equal(step.weight, (labels != 0).float()[None])
    assert step.target is not None
    assert step.target.shape == (1, 5, 3)
    assert torch.equal(step.target[0], bootstrap_targets(logits, labels, 0.8, hard))
    assert step.probabilities is not None
    assert torch.equal(step.probabilities, logits.detach().sigmoid())
    assert torch.equal(method.predict(batch.images[0]), logits.sigmoid())
    step.loss.backward()
    assert all(parameter_gradients(method))


def test_a_batch_without_labels_is_skipped() -> None:
    step = make_method().loss(make_batch([0, 1], torch.zeros(2, 3, dtype=torch.int64)))
    assert step.loss is None
    assert step.weight is not None
    assert not step.weight.any()


def test_variant_is_hard() -> None:
    assert not BootstrappingParams().hard
    assert {name: variant.params for name, variant in Bootstrapping.variants.items()} == {"hard": {"hard": True}}
