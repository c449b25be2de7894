from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.co_teaching_multi import CoTeachingMulti, CoTeachingMultiParams, co_teaching_multi_loss

from ..methods.toy import (
    make_batch,
    make_encoder,
    make_task,
    parameter_gradients,
    random_labels,
    random_logits,
)
from .linear import make_identity
from .linear_multi import (
    AUS,
    LABELS,
    ORDER,
    ROWS,
    VERIFIED,
    Line,
    bce_of,
    features,
    kept_by_loop,
    logistic,
    multi_batch,
    rates_by_loop,
    run,
)

RATES = torch.tensor([[0.5, 0.3, 0.0], [0.2, 0.6, 0.4]], dtype=torch.float64)
SOME = torch.tensor([True, False, False, True, False, False, False, False])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_network_learns_from_the_entries_the_other_selects(seed: int) -> None:
    z1, z2, labels = random_logits(seed, 8, 3), random_logits(seed + 9, 8, 3), random_labels(seed, 8, 3)
    target = (labels > 0).double().numpy()
    losses1, losses2 = bce_of(z1.numpy(), target), bce_of(z2.numpy(), target)
    keep1 = kept_by_loop(losses2, labels.numpy(), RATES.numpy(), SOME.numpy())
    keep2 = kept_by_loop(losses1, labels.numpy(), RATES.numpy(), SOME.numpy())
    loss1, loss2 = co_teaching_multi_loss(z1, z2, labels, RATES, SOME)
    assert loss1.dtype == torch.float64
    assert loss1.item() == pytest.approx(losses1[keep1].mean(), rel=1e-12)
    assert loss2.item() == pytest.approx(losses2[keep2].mean(), rel=1e-12)


def test_gradients_and_none_through_the_selection() -> None:
    z1, z2 = random_logits(3, 8, 3, requires_grad=True), random_logits(4, 8, 3, requires_grad=True)
    labels = random_labels(5, 8, 3)
    loss1, loss2 = co_teaching_multi_loss(z1, z2, labels, RATES, SOME)
    assert torch.autograd.grad(loss1, z2, allow_unused=True, retain_graph=True) == (None,)
    assert torch.autograd.grad(loss2, z1, allow_unused=True, retain_graph=True) == (None,)
    target = (labels > 0).double().numpy()
    kept = kept_by_loop(bce_of(z2.detach().numpy(), target), labels.numpy(), RATES.numpy(), SOME.numpy())
    assert ((torch.autograd.grad(loss1, z1)[0] != 0).numpy() == kept).all()
    fixed1, fixed2 = z1.detach(), z2.detach()
    assert gradcheck(lambda z: co_teaching_multi_loss(z, fixed2, labels, RATES, SOME)[0], (z1,), rtol=1e-5)
    assert gradcheck(lambda z: co_teaching_multi_loss(fixed1, z, labels, RATES, SOME)[1], (z2,), rtol=1e-5)


@pytest.mark.parametrize("rows", [0, 4])
def test_nothing_known_is_a_loss_of_zero(rows: int) -> None:
    z = random_logits(6, 4, 3, requires_grad=True)[:rows]
    unknown = torch.zeros(rows, 3, dtype=torch.int64)
    losses = co_teaching_multi_loss(z, z, unknown, RATES, torch.zeros(rows, dtype=torch.bool))
    assert [loss.item() for loss in losses] == [0.0, 0.0]


def make_method(epochs: int = 40, **changes: Any) -> CoTeachingMulti:
    return CoTeachingMulti(make_task("multi", 3, epochs=epochs), make_encoder, CoTeachingMultiParams(**changes))


@pytest.mark.parametrize(("epochs", "ramp", "estimate"), [(40, 10, 4), (15, 4, 2), (25, 6, 2), (4, 1, 1)])
def test_epoch_constants_keep_their_share(epochs: int, ramp: int, estimate: int) -> None:
    schedule = make_method(epochs).schedule
    assert (schedule._ramp_epochs, schedule._estimate_epoch) == (ramp, estimate)


def test_step_reports_the_entries_and_needs_no_oracle() -> None:
    method = make_method()
    labels = random_labels(7, 8, 3)
    method.schedule.rates.fill_(0.5)
    batch = make_batch(range(8), labels, verified=SOME, epoch=39)
    step = method.loss(batch)
    assert step.weight is not None
    assert step.weight.shape == (2, 8, 3)
    target = (labels > 0).double().numpy()
    for own, peer in ((0, method.network2), (1, method.network1)):
        losses = bce_of(peer(batch.images[0]).detach().double().numpy(), target)
        expected = kept_by_loop(losses, labels.numpy(), np.full((2, 3), 0.5), SOME.numpy())
        assert ((step.weight[own] > 0).numpy() == expected).all()
    assert step.target is None
    assert 0 < float(step.logs["kept"]) < 1
    assert float(step.logs["forget_positive"]) == 0.5
    assert step.loss is not None
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter_gradients(method))
    assert "noise_rate" not in method.task.oracle_reads
    nothing = method.loss(make_batch(range(2), torch.zeros(2, 3, dtype=torch.int64)))
    assert nothing.loss is None


def test_a_linear_run_in_numpy() -> None:
    task = make_task("multi", AUS, size=ROWS, epochs=6)
    method = CoTeachingMulti(task, make_identity, CoTeachingMultiParams(ramp_epochs=20, estimate_epoch=14)).double()
    assert (method.schedule._ramp_epochs, method.schedule._estimate_epoch) == (3, 2)
    lines, x = (Line(method.network1.head), Line(method.network2.head)), features()
    target, expected, rates = (LABELS > 0).astype(np.float64), [], np.zeros((2, AUS))
    for epoch in range(6):
        if epoch == 2:
            rates = rates_by_loop(sum(bce_of(line(x), target) for line in lines) / 2)  # type: ignore[arg-type]
        for rows in ORDER:
            z = [line(x[rows]) for line in lines]
            losses = [bce_of(each, target[rows]) for each in z]
            ramp = min(1.0, epoch / 2)
            keep = [kept_by_loop(peer, LABELS[rows], rates * ramp, VERIFIED[rows]) for peer in losses[::-1]]
            expected.append(sum(loss[kept].mean() for loss, kept in zip(losses, keep, strict=True)))
            for line, each, kept in zip(lines, z, keep, strict=True):
                line.move((kept * (logistic(each) - target[rows]) / kept.sum(), x[rows]))
    losses_seen = run(method, 6)
    assert losses_seen == pytest.approx(expected, rel=1e-10)
    assert lines[0].agrees_with(method.network1.head)
    assert lines[1].agrees_with(method.network2.head)
    assert rates.max() > 0.1  # something was left out
    images = multi_batch(range(4)).images[0]
    mean = (logistic(lines[0](x[:4])) + logistic(lines[1](x[:4]))) / 2
    assert np.allclose(method.predict(images).detach().numpy(), mean)
