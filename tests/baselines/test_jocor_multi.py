from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.autograd import gradcheck

from fernoise_bench.baselines.jocor_multi import JoCoRMulti, JoCoRMultiParams, jocor_multi_loss

from ..methods.toy import make_batch, make_encoder, make_task, parameter_gradients, random_labels, random_logits
from .linear import make_identity
from .linear_multi import (
    AUS,
    LABELS,
    ORDER,
    ROWS,
    VERIFIED,
    Array,
    Line,
    bce_of,
    features,
    kept_by_loop,
    kl_of,
    logistic,
    rates_by_loop,
    run,
)

RATES = torch.tensor([[0.5, 0.3, 0.0], [0.2, 0.6, 0.4]], dtype=torch.float64)
SOME = torch.tensor([True, False, False, True, False, False, False, False])


def joint(z1: Array, z2: Array, target: Array, co_lambda: float) -> Array:
    p1, p2 = logistic(z1), logistic(z2)
    supervision = bce_of(z1, target) + bce_of(z2, target)
    return np.asarray((1 - co_lambda) * supervision + co_lambda * (kl_of(p1, p2) + kl_of(p2, p1)))


@pytest.mark.parametrize("co_lambda", [0.0, 0.1, 0.9, 1.0])
def test_joint_loss_over_the_entries_where_it_is_small(co_lambda: float) -> None:
    z1, z2, labels = random_logits(0, 8, 3), random_logits(1, 8, 3), random_labels(2, 8, 3)
    losses = joint(z1.numpy(), z2.numpy(), (labels > 0).double().numpy(), co_lambda)
    keep = kept_by_loop(losses, labels.numpy(), RATES.numpy(), SOME.numpy())
    loss = jocor_multi_loss(z1, z2, labels, RATES, SOME, co_lambda)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(losses[keep].mean(), rel=1e-11)


def test_gradients_reach_both_networks_and_kept_entries_only() -> None:
    z1, z2 = random_logits(3, 8, 3, requires_grad=True), random_logits(4, 8, 3, requires_grad=True)
    labels = random_labels(5, 8, 3)
    assert gradcheck(lambda a, b: jocor_multi_loss(a, b, labels, RATES, SOME, 0.9), (z1, z2), rtol=1e-5)
    losses = joint(z1.detach().numpy(), z2.detach().numpy(), (labels > 0).double().numpy(), 0.9)
    keep: NDArray[np.bool_] = kept_by_loop(losses, labels.numpy(), RATES.numpy(), SOME.numpy())
    for gradient in torch.autograd.grad(jocor_multi_loss(z1, z2, labels, RATES, SOME, 0.9), (z1, z2)):
        assert ((gradient != 0).numpy() == keep).all()


def test_nothing_known_is_a_loss_of_zero() -> None:
    z = random_logits(6, 4, 3)
    unknown, unverified = torch.zeros(4, 3, dtype=torch.int64), torch.zeros(4, dtype=torch.bool)
    assert jocor_multi_loss(z, z, unknown, RATES, unverified, 0.9).item() == 0.0
    assert jocor_multi_loss(z[:0], z[:0], unknown[:0], RATES, unverified[:0], 0.9).item() == 0.0


def make_method(**changes: Any) -> JoCoRMulti:
    return JoCoRMulti(make_task("multi", 3), make_encoder, JoCoRMultiParams(**changes))


def test_step_reports_the_same_entries_for_both_networks() -> None:
    method = make_method()
    method.schedule.rates.fill_(0.5)
    labels = random_labels(7, 8, 3)
    batch = make_batch(range(8), labels, verified=SOME, epoch=39)
    z1, z2 = (n(batch.images[0]).detach().double().numpy() for n in (method.network1, method.network2))
    losses = joint(z1, z2, (labels > 0).double().numpy(), 0.9)
    expected = kept_by_loop(losses, labels.numpy(), np.full((2, 3), 0.5), SOME.numpy())
    step = method.loss(batch)
    assert step.weight is not None
    assert step.weight.tolist() == [expected.astype(float).tolist()] * 2
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(losses[expected].mean(), rel=1e-5)
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter_gradients(method))
    assert method.loss(make_batch(range(2), torch.zeros(2, 3, dtype=torch.int64))).loss is None
    assert not method.task.oracle_reads
    assert JoCoRMulti.variants["lambda-0.1"].params == {"co_lambda": 0.1}


def test_a_linear_run_in_numpy() -> None:
    task = make_task("multi", AUS, size=ROWS, epochs=6)
    params = JoCoRMultiParams(co_lambda=0.6, ramp_epochs=20, estimate_epoch=14)
    method = JoCoRMulti(task, make_identity, params).double()
    lines, x = (Line(method.network1.head), Line(method.network2.head)), features()
    target, expected, rates = (LABELS > 0).astype(np.float64), [], np.zeros((2, AUS))
    for epoch in range(6):
        if epoch == 2:
            rates = rates_by_loop(sum(bce_of(line(x), target) for line in lines) / 2)  # type: ignore[arg-type]
        for rows in ORDER:
            z1, z2 = (line(x[rows]) for line in lines)
            p1, p2, t = logistic(z1), logistic(z2), target[rows]
            losses = joint(z1, z2, t, 0.6)
            keep = kept_by_loop(losses, LABELS[rows], rates * min(1.0, epoch / 2), VERIFIED[rows])
            expected.append(losses[keep].mean())
            # The two divergences add up to (p1 - p2)(z1 - z2).
            towards = 0.6 * (p1 * (1 - p1) * (z1 - z2) + p1 - p2)
            away = 0.6 * (p2 * (1 - p2) * (z2 - z1) + p2 - p1)
            lines[0].move((keep * (0.4 * (p1 - t) + towards) / keep.sum(), x[rows]))
            lines[1].move((keep * (0.4 * (p2 - t) + away) / keep.sum(), x[rows]))
    assert run(method, 6) == pytest.approx(expected, rel=1e-10)
    assert lines[0].agrees_with(method.network1.head)
    assert lines[1].agrees_with(method.network2.head)
    assert rates.max() > 0.1
