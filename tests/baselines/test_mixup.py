from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.mixup import Mixup, MixupParams, mixing_coefficient, mixup_loss

from ..methods.toy import (
    bce,
    cross_entropy,
    make_batch,
    make_encoder,
    make_task,
    parameter_gradients,
    random_labels,
    random_logits,
)

CLASSES_A, CLASSES_B = torch.tensor([0, 2, 1, 1]), torch.tensor([1, 2, 0, 1])


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def known_mean(logits: Any, labels: Any) -> float:
    entries = [(i, k) for i in range(len(labels)) for k in range(len(labels[i])) if labels[i][k] != 0]
    return sum(bce(logits[i][k], float(labels[i][k] > 0)) for i, k in entries) / max(1, len(entries))


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_classes_mix_two_cross_entropies(lam: float) -> None:
    z = random_logits(0, 4, 3)
    first = [cross_entropy(row, int(y)) for row, y in zip(z.tolist(), CLASSES_A, strict=True)]
    second = [cross_entropy(row, int(y)) for row, y in zip(z.tolist(), CLASSES_B, strict=True)]
    loss = mixup_loss(z, CLASSES_A, CLASSES_B, lam)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(lam * np.mean(first) + (1 - lam) * np.mean(second), rel=1e-12)
    assert mixup_loss(z, CLASSES_A, CLASSES_B, torch.tensor(lam)).item() == pytest.approx(loss.item(), rel=1e-6)


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_aus_mix_two_means_over_their_own_known_entries(lam: float) -> None:
    z, a, b = random_logits(1, 6, 4), random_labels(2, 6, 4), random_labels(3, 6, 4)
    b[0] = 0
    assert (a != 0).sum() != (b != 0).sum()  # the two divisors differ
    expected = lam * known_mean(z.tolist(), a.tolist()) + (1 - lam) * known_mean(z.tolist(), b.tolist())
    assert mixup_loss(z, a, b, lam).item() == pytest.approx(expected, rel=1e-12)


def test_known_labels_mix_as_targets_do() -> None:
    z, a, b = random_logits(4, 5, 3), random_labels(5, 5, 3), random_labels(6, 5, 3)
    a, b = torch.where(a == 0, 1, a), torch.where(b == 0, -1, b)
    target = 0.3 * (a > 0).double() + 0.7 * (b > 0).double()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(z, target)
    assert mixup_loss(z, a, b, 0.3).item() == pytest.approx(expected.item(), rel=1e-12)


def test_gradient_and_empty_batches() -> None:
    z = random_logits(7, 4, 3, requires_grad=True)
    a, b = random_labels(8, 4, 3), random_labels(9, 4, 3)
    assert gradcheck(lambda z: mixup_loss(z, CLASSES_A, CLASSES_B, 0.7), (z,), rtol=1e-5, atol=1e-8)
    assert gradcheck(lambda z: mixup_loss(z, a, b, 0.7), (z,), rtol=1e-5, atol=1e-8)
    assert mixup_loss(z[:0], CLASSES_A[:0], CLASSES_B[:0], 0.4).item() == 0.0
    assert mixup_loss(z, torch.zeros_like(a), torch.zeros_like(b), 0.4).item() == 0.0
    one_sided = mixup_loss(z, a, torch.zeros_like(b), 0.4).item()
    assert one_sided == pytest.approx(0.4 * known_mean(z.tolist(), a.tolist()), rel=1e-12)


def test_the_coefficient_is_beta_distributed_and_keyed() -> None:
    for alpha in (1.0, 0.2, 4.0):
        draws = np.array([mixing_coefficient(alpha, generator(seed)) for seed in range(4000)])
        assert draws.min() >= 0
        assert draws.max() <= 1
        assert draws.mean() == pytest.approx(0.5, abs=0.03)  # not folded to its larger half
        assert draws.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)
    assert mixing_coefficient(1.0, generator(5)) == mixing_coefficient(1.0, generator(5))
    assert mixing_coefficient(0.0, generator(5)) == 1.0
    assert mixing_coefficient(-1.0, generator(5)) == 1.0


def make_method(kind: str = "single", alpha: float = 1.0) -> Mixup:
    return Mixup(make_task(kind), make_encoder, MixupParams(alpha=alpha))


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_a_step_blends_images_and_losses_by_one_draw(kind: str) -> None:
    method = make_method(kind)
    labels = CLASSES_A if kind == "single" else random_labels(10, 4, 3)
    batch = make_batch([3, 4, 5, 3], labels, seed=11)
    lam = mixing_coefficient(1.0, generator(11))
    partner = torch.randperm(4, generator=generator(11))
    assert partner.tolist() != [0, 1, 2, 3]
    blended = lam * batch.images[0] + (1 - lam) * batch.images[0][partner]
    expected = mixup_loss(method.network(blended), labels, labels[partner], lam)
    method.network.encoder.rows.clear()
    step = method.loss(batch)
    assert method.network.encoder.rows == [4]
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert step.probabilities is None
    assert step.weight is not None
    assert torch.equal(step.weight, (torch.ones(4) if kind == "single" else (labels != 0).float())[None])
    assert step.logs["mixing_coefficient"] == lam
    step.loss.backward()
    assert all(parameter_gradients(method))


def test_without_mixing_it_is_plain_training() -> None:
    method = make_method(alpha=0.0)
    batch = make_batch(range(4), CLASSES_A)
    step = method.loss(batch)
    logits = method.network(batch.images[0]).tolist()
    expected = np.mean([cross_entropy(z, int(y)) for z, y in zip(logits, CLASSES_A, strict=True)])
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(expected, rel=1e-5)


def test_a_batch_without_labels_is_skipped() -> None:
    step = make_method("multi").loss(make_batch([0, 1], torch.zeros(2, 3, dtype=torch.int64)))
    assert step.loss is None
    assert step.weight is not None
    assert not step.weight.any()


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_predictions_are_of_single_images(kind: str) -> None:
    method = make_method(kind)
    images = make_batch(range(4), CLASSES_A).images[0]
    logits = method.network(images)
    expected = logits.softmax(1) if kind == "single" else logits.sigmoid()
    assert torch.equal(method.predict(images), expected)
