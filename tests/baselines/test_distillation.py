from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fernoise_bench.baselines.distillation import Distillation, DistillationParams, distilled_targets
from fernoise_bench.methods.base import Batch

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

VERIFIED = [True, False, True, False, False]


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_targets_by_loop(weight: float, temperature: float) -> None:
    z, labels = random_logits(0, 6, 3, requires_grad=True), random_labels(1, 6, 3)
    target = distilled_targets(labels, z, weight, temperature)
    assert target.dtype == torch.float64
    assert not target.requires_grad
    for i in range(6):
        for k in range(3):
            soft = sigmoid(float(z[i, k].detach()) / temperature)
            expected = weight * float(labels[i, k] > 0) + (1 - weight) * soft
            assert target[i, k].item() == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert torch.equal(distilled_targets(labels, z, weight), distilled_targets(labels, z, weight, 1.0))


@pytest.mark.parametrize(("weight", "temperature"), [(-0.1, 1.0), (1.1, 1.0), (0.5, 0.0), (0.5, -1.0)])
def test_parameters_have_ranges(weight: float, temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        distilled_targets(torch.ones(1, 1), torch.zeros(1, 1), weight, temperature)


def make_method(**changes: float) -> Distillation:
    return Distillation(make_task("multi"), make_encoder, DistillationParams(**changes))


def taught(labels: torch.Tensor, teacher: torch.Tensor) -> Batch:
    return replace(make_batch(range(len(labels)), labels, verified=VERIFIED[: len(labels)]), teacher=teacher)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_verified_rows_keep_their_labels_and_the_others_meet_the_teacher(temperature: float) -> None:
    method = make_method(temperature=temperature)
    labels = random_labels(2, 5, 3)
    teacher_logits = random_logits(3, 5, 3).float()
    batch = taught(labels, teacher_logits.sigmoid())
    logits = method.network(batch.images[0])
    values = []
    target = np.zeros((5, 3))
    for i in range(5):
        for k in range(3):
            given = float(labels[i, k] > 0)
            soft = sigmoid(float(teacher_logits[i, k]) / temperature)
            target[i, k] = given if VERIFIED[i] else 0.5 * given + 0.5 * soft
            if labels[i, k] != 0:
                values.append(bce(float(logits[i, k].detach()), target[i, k]))
    step = method.loss(batch)
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(np.mean(values), rel=1e-5)
    assert step.weight is not None
    assert torch.equal(step.weight, (labels != 0).float()[None])
    assert step.target is not None
    assert step.target.shape == (1, 5, 3)
    assert np.allclose(step.target[0].numpy(), target, rtol=1e-5)
    assert step.probabilities is not None
    assert torch.equal(step.probabilities, logits.detach().sigmoid())
    assert torch.equal(method.predict(batch.images[0]), logits.sigmoid())
    step.loss.backward()
    assert all(parameter_gradients(method))


def test_a_certain_teacher_stays_finite() -> None:
    labels = torch.tensor([[1, -1, 1], [1, -1, -1]])
    teacher = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    step = make_method(temperature=4.0).loss(taught(labels, teacher))
    assert step.loss is not None
    assert torch.isfinite(step.loss)
    assert step.target is not None
    assert step.target[0, 0].tolist() == [1.0, 0.0, 1.0]  # verified
    soft = sigmoid(np.log(1e-6) / 4)
    assert step.target[0, 1].tolist() == pytest.approx([0.5 + 0.5 * soft, 0.5 - 0.5 * soft, 0.5 - 0.5 * soft], rel=1e-2)


def test_the_teacher_fills_no_unknown_label() -> None:
    labels = torch.zeros(5, 3, dtype=torch.int64)
    step = make_method().loss(taught(labels, torch.full((5, 3), 0.9)))
    assert step.loss is None
    assert step.weight is not None
    assert not step.weight.any()
    labels[1, 0] = 1
    one, other = (make_method().loss(taught(labels, torch.tensor([[0.7, p, p]] * 5))) for p in (0.1, 0.9))
    assert one.loss is not None
    assert other.loss is not None
    assert one.loss.item() == other.loss.item()


def test_no_teacher_is_refused() -> None:
    with pytest.raises(ValueError, match="teacher"):
        make_method().loss(make_batch(range(2), torch.ones(2, 3, dtype=torch.int64)))


def test_it_asks_for_the_clean_teacher() -> None:
    assert Distillation.needs == {"multi", "verified", "teacher:supervised:clean"}
