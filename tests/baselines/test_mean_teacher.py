from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.mean_teacher import (
    MeanTeacher,
    MeanTeacherParams,
    consistency_ramp,
    ema_decay,
    scaled_decay,
    teacher_consistency,
)

from ..methods.toy import make_batch, make_encoder, make_task, parameter_gradients, random_labels, random_logits
from .linear import make_identity
from .linear_multi import AUS, LABELS, ORDER, ROWS, VERIFIED, Line, bce_of, features, logistic, multi_batch, run


def test_ema_decay_by_hand() -> None:
    assert ema_decay(1, 0.999) == 0.5
    assert ema_decay(3, 0.999) == 0.75
    assert ema_decay(998, 0.999) == pytest.approx(998 / 999, rel=1e-15)
    assert ema_decay(999, 0.999) == pytest.approx(0.999, rel=1e-15)
    assert ema_decay(10**6, 0.999) == 0.999
    assert ema_decay(1, 0.3) == 0.3
    assert ema_decay(0, 0.999) == 0.0


def test_consistency_ramp_by_hand() -> None:
    assert consistency_ramp(0, 30) == pytest.approx(math.exp(-5), rel=1e-15)
    assert consistency_ramp(15, 30) == pytest.approx(math.exp(-1.25), rel=1e-15)
    assert consistency_ramp(30, 30) == 1.0
    assert consistency_ramp(31, 30) == 1.0  # clipped: it does not fall again
    assert consistency_ramp(-3, 30) == pytest.approx(math.exp(-5), rel=1e-15)
    assert consistency_ramp(0, 0) == 1.0
    with pytest.raises(ValueError, match="ramp_epochs"):
        consistency_ramp(0, -1)


def test_teacher_consistency_is_a_mean_square_with_gradient_to_the_student_only() -> None:
    student, teacher = random_logits(0, 5, 3, requires_grad=True), random_logits(1, 5, 3, requires_grad=True)
    expected = ((logistic(student.detach().numpy()) - logistic(teacher.detach().numpy())) ** 2).mean()
    loss = teacher_consistency(student, teacher)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.grad(loss, teacher, allow_unused=True) == (None,)
    assert gradcheck(lambda z: teacher_consistency(z, teacher.detach()), (student,), rtol=1e-5)
    assert teacher_consistency(student[:0], teacher[:0]).item() == 0.0


def make_method(**changes: Any) -> MeanTeacher:
    return MeanTeacher(make_task("multi", 3), make_encoder, MeanTeacherParams(**changes))


def test_teacher_starts_as_the_student_and_is_not_trained() -> None:
    method = make_method()
    for one, other in zip(method.student.parameters(), method.teacher.parameters(), strict=True):
        assert torch.equal(one, other)
        assert one is not other
        assert not other.requires_grad


def test_step_supervises_verified_rows_and_compares_all() -> None:
    method = make_method()
    labels = random_labels(2, 6, 3)
    verified = torch.tensor([True, True, True, False, False, False])
    with torch.no_grad():
        method.teacher.head.bias.add_(1.0)
    batch = make_batch(range(6), labels, verified=verified, views=2, epoch=4)
    own, taught = method.student(batch.images[0]), method.teacher(batch.images[1])
    z, known = own[:3].detach().double().numpy(), (labels[:3] != 0).numpy()
    supervision = bce_of(z, (labels[:3] > 0).double().numpy())[known].mean()
    squares = (own.sigmoid() - taught.sigmoid()).square().mean().item()
    step = method.loss(batch)
    assert step.loss is not None
    factor = 10 * math.exp(-5 * (1 - 4 / 8) ** 2)  # 8 of 40 epochs
    assert step.loss.item() == pytest.approx(supervision + factor * squares, rel=1e-5)
    assert step.weight is not None
    assert step.weight.tolist() == [((labels != 0) & verified[:, None]).float().tolist()]
    assert step.probabilities is not None
    assert torch.allclose(step.probabilities, own.sigmoid())
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter_gradients(method.student))
    assert not any(parameter_gradients(method.teacher))


def test_labels_of_unverified_rows_do_not_matter() -> None:
    method = make_method()
    first = method.loss(make_batch([0, 1], [[1, -1, 1], [1, 1, 1]], verified=[True, False], views=2)).loss
    second = method.loss(make_batch([0, 1], [[1, -1, 1], [-1, 0, -1]], verified=[True, False], views=2)).loss
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)
    none = method.loss(make_batch([0, 1], [[1, 1, 1]] * 2, verified=[False, False], views=2))
    assert none.loss is not None
    assert torch.isfinite(none.loss)


def test_after_step_follows_ema_decay_and_leaves_batch_statistics_alone() -> None:
    method = make_method(decay=0.7, decay_stated_for=1)
    method.student.norm = torch.nn.BatchNorm1d(2)
    method.teacher.norm = torch.nn.BatchNorm1d(2)
    method.student.norm.running_mean.fill_(5.0)  # type: ignore[union-attr]
    expected = method.teacher.head.weight.clone().double()
    for update in range(1, 6):
        with torch.no_grad():
            method.student.head.weight.add_(0.1 * update)
        method.after_step()
        keep = ema_decay(update, 0.7)
        expected = keep * expected + (1 - keep) * method.student.head.weight.double()
        assert torch.allclose(method.teacher.head.weight.double(), expected, rtol=1e-5)
        assert int(method.updates) == update
    assert not method.teacher.norm.running_mean.any()  # type: ignore[union-attr, operator]
    assert "updates" in method.state_dict()


@pytest.mark.parametrize(
    ("stated_for", "steps", "expected"),
    [(21_000, 21_000, 0.999), (21_000, 48_750, 0.999), (21_000, 2_100, 0.99), (21_000, 15, 0.0), (21_000, 0, 0.0)],
)
def test_a_shorter_training_averages_over_the_same_share_of_it(stated_for: int, steps: int, expected: float) -> None:
    assert scaled_decay(0.999, stated_for, steps) == pytest.approx(expected, abs=1e-12)


def test_a_linear_run_in_numpy() -> None:
    task = make_task("multi", AUS, size=ROWS, epochs=5)
    params = MeanTeacherParams(consistency_factor=2.0, ramp_share=0.6, decay=0.9, decay_stated_for=30)  # of 15 steps
    method = MeanTeacher(task, make_identity, params).double()
    student, teacher = Line(method.student.head), Line(method.teacher.head)
    x1, x2, expected, updates = features(0), features(1), [], 0
    for epoch in range(5):
        factor = 2.0 * math.exp(-5 * (1 - min(1.0, epoch / 3)) ** 2)
        for rows in ORDER:
            z, y = student(x1[rows]), LABELS[rows]
            p, q = logistic(z), logistic(teacher(x2[rows]))
            used = (y != 0) & VERIFIED[rows][:, None]
            count = max(1, used.sum())
            expected.append((bce_of(z, y > 0) * used).sum() / count + factor * ((p - q) ** 2).mean())
            gradient = used * (p - (y > 0)) / count + factor * 2 * (p - q) * p * (1 - p) / p.size
            student.move((gradient, x1[rows]))
            updates += 1
            keep = min(1 - 1 / (updates + 1), 0.8)
            teacher.weight = keep * teacher.weight + (1 - keep) * student.weight
            teacher.bias = keep * teacher.bias + (1 - keep) * student.bias
    assert run(method, 5) == pytest.approx(expected, rel=1e-10)
    assert student.agrees_with(method.student.head)
    assert teacher.agrees_with(method.teacher.head)
    images = multi_batch(range(4)).images[0]
    assert np.allclose(method.predict(images).detach().numpy(), logistic(teacher(x1[:4])))  # the teacher predicts
