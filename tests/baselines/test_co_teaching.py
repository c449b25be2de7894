from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines import co_teaching
from fernoise_bench.baselines.co_teaching import CoTeaching, CoTeachingParams, co_teaching_loss, forget_rates
from fernoise_bench.methods import selection

from ..methods.toy import (
    cross_entropy,
    make_batch,
    make_encoder,
    make_task,
    parameter_gradients,
    random_logits,
)
from .linear import Array, make_identity
from .peers import (
    Gradients,
    Labels,
    assert_alike,
    batch_of,
    cross_entropies,
    cross_entropy_gradient,
    smallest,
    train,
    train_by_hand,
    view,
)

LABELS = torch.tensor([0, 2, 1, 1, 0, 2, 0])


def test_forget_rates_by_hand() -> None:
    rates = forget_rates(0.4, 5, 1.0, 8)
    assert rates.dtype == np.float64
    assert rates.tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4])
    # The exponent acts on the rate: the ramp ends at 0.16, then jumps.
    assert forget_rates(0.4, 3, 2.0, 4).tolist() == pytest.approx([0.0, 0.08, 0.16, 0.4])
    assert forget_rates(0.3, 10, 1.0, 4).tolist() == pytest.approx([0.0, 0.3 / 9, 0.6 / 9, 0.9 / 9])
    assert forget_rates(0.3, 0, 1.0, 2).tolist() == [0.3, 0.3]
    assert forget_rates(0.3, 1, 1.0, 2).tolist() == [0.0, 0.3]
    assert forget_rates(0.0, 10, 1.0, 3).tolist() == [0.0] * 3
    assert len(forget_rates(0.3, 10, 1.0, 0)) == 0


@pytest.mark.parametrize("epochs", [5, 10, 40, 200])
@pytest.mark.parametrize("ramp", [1, 10, 15])
def test_forget_rates_are_the_authors_schedule(epochs: int, ramp: int) -> None:
    if ramp > epochs:
        longer = forget_rates(0.35, ramp, 1.0, ramp)
        assert forget_rates(0.35, ramp, 1.0, epochs).tolist() == longer[:epochs].tolist()
        return
    schedule = np.ones(epochs) * 0.35
    schedule[:ramp] = np.linspace(0, 0.35**1.0, ramp)
    assert forget_rates(0.35, ramp, 1.0, epochs).tolist() == schedule.tolist()


@pytest.mark.parametrize("arguments", [(1.0, 10, 1.0, 5), (-0.1, 10, 1.0, 5), (0.2, -1, 1.0, 5), (0.2, 1, 1.0, -5)])
def test_forget_rates_have_a_range(arguments: Any) -> None:
    with pytest.raises(ValueError, match=r"noise_rate|ramp_epochs"):
        forget_rates(*arguments)


def loss_by_loop(
    z1: list[list[float]], z2: list[list[float]], rate: float
) -> tuple[float, float, list[int], list[int]]:
    losses1 = [cross_entropy(z, int(y)) for z, y in zip(z1, LABELS, strict=True)]
    losses2 = [cross_entropy(z, int(y)) for z, y in zip(z2, LABELS, strict=True)]
    count = max(1, int((1 - rate) * len(LABELS)))
    by1 = sorted(range(len(LABELS)), key=lambda i: losses1[i])[:count]
    by2 = sorted(range(len(LABELS)), key=lambda i: losses2[i])[:count]
    return sum(losses1[i] for i in by2) / count, sum(losses2[i] for i in by1) / count, by2, by1


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 0.95])
def test_each_network_learns_from_the_others_small_losses(rate: float) -> None:
    z1, z2 = random_logits(0, 7, 3), random_logits(1, 7, 3)
    expected1, expected2, _, _ = loss_by_loop(z1.tolist(), z2.tolist(), rate)
    loss1, loss2 = co_teaching_loss(z1, z2, LABELS, rate)
    assert loss1.item() == pytest.approx(expected1, rel=1e-12)
    assert loss2.item() == pytest.approx(expected2, rel=1e-12)


def test_selecting_passes_no_gradient() -> None:
    z1, z2 = random_logits(2, 7, 3, requires_grad=True), random_logits(3, 7, 3, requires_grad=True)
    loss1, loss2 = co_teaching_loss(z1, z2, LABELS, 0.4)
    assert torch.autograd.grad(loss1, z2, allow_unused=True, retain_graph=True) == (None,)
    assert torch.autograd.grad(loss2, z1, allow_unused=True, retain_graph=True) == (None,)
    kept = loss_by_loop(z1.tolist(), z2.tolist(), 0.4)[2]
    gradient = torch.autograd.grad(loss1, z1)[0].abs().sum(1)
    assert gradient.nonzero().flatten().tolist() == sorted(kept)
    fixed1, fixed2 = z1.detach(), z2.detach()
    assert gradcheck(lambda z: co_teaching_loss(z, fixed2, LABELS, 0.4)[0], (z1,))
    assert gradcheck(lambda z: co_teaching_loss(fixed1, z, LABELS, 0.4)[1], (z2,))
    assert [x.item() for x in co_teaching_loss(z1[:0], z2[:0], LABELS[:0], 0.4)] == [0.0, 0.0]


def test_small_loss_is_the_shared_one() -> None:
    assert co_teaching.small_loss is selection.small_loss


def make_method(noise_rate: float | None = 0.4, epochs: int = 40, **changes: Any) -> CoTeaching:
    return CoTeaching(make_task(noise_rate=noise_rate, epochs=epochs), make_encoder, CoTeachingParams(**changes))


@pytest.mark.parametrize(("epochs", "ramp"), [(40, 10), (15, 4), (200, 50)])
def test_the_ramp_keeps_its_share_of_training(epochs: int, ramp: int) -> None:
    method = make_method(epochs=epochs)
    assert method.schedule.rates.tolist() == forget_rates(0.4, ramp, 1.0, epochs).tolist()
    assert "noise_rate" in method.task.oracle_reads


def test_no_noise_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="noise rate"):
        make_method(noise_rate=None)


@pytest.mark.parametrize("epoch", [0, 3, 39])
def test_step_reports_what_each_network_trained_on(epoch: int) -> None:
    method = make_method()
    batch = make_batch(range(7), LABELS, epoch=epoch)
    z1, z2 = method.network1(batch.images[0]).detach(), method.network2(batch.images[0]).detach()
    rate = float(method.schedule.rates[epoch])
    expected1, expected2, rows1, rows2 = loss_by_loop(z1.tolist(), z2.tolist(), rate)
    step = method.loss(batch)
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(expected1 + expected2, rel=1e-5)
    assert step.weight is not None
    assert step.weight[0].nonzero().flatten().tolist() == sorted(rows1)
    assert step.weight[1].nonzero().flatten().tolist() == sorted(rows2)
    assert step.logs["forget_rate"] == rate
    if epoch == 0:
        assert step.weight.all()
    step.loss.backward()
    assert all(parameter_gradients(method))


def test_prediction_is_the_mean_of_both_networks() -> None:
    method = make_method()
    images = make_batch(range(7), LABELS).images[0]
    expected = (method.network1(images).softmax(1) + method.network2(images).softmax(1)) / 2
    assert torch.allclose(method.predict(images), expected)
    assert torch.allclose(method.predict(images).sum(1), torch.ones(7))
    other = make_method()
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.predict(images), method.predict(images))


def test_training_equals_numpy() -> None:
    """Some epochs on linear networks, each learning from the rows the other picks before either is updated."""
    rates = forget_rates(0.4, 2, 1.0, 8)

    def rule(z1: Array, z2: Array, labels: Labels, epoch: int, step: int) -> Gradients:
        rows, count = list(range(len(z1))), max(1, int((1 - rates[epoch]) * len(z1)))
        by1 = smallest(cross_entropies(z1, labels), rows, count)
        by2 = smallest(cross_entropies(z2, labels), rows, count)
        return cross_entropy_gradient(z1, labels, by2, count), cross_entropy_gradient(z2, labels, by1, count)

    def fresh() -> CoTeaching:
        return CoTeaching(make_task(noise_rate=0.4, epochs=8), make_identity, CoTeachingParams())

    assert_alike(train(fresh(), 8), train_by_hand(fresh(), rule, 8))


def test_an_estimated_rate_needs_none_and_drops_nothing_before_it() -> None:
    method = CoTeaching(make_task(epochs=20), make_identity, CoTeachingParams(noise_rate="estimated"))
    kept = []
    for epoch in range(20):
        train(method, 1) if epoch == 0 else method.begin_epoch(epoch, view())
        kept.append(method.loss(batch_of(epoch, 0)).logs["forget_rate"])
    guess = float(method.schedule.noise_rate)
    assert 0 < guess < 1
    assert kept[:2] == [0.0, 0.0]  # 4 of 40 epochs are 2 of 20
    assert kept[2:5] == pytest.approx([guess * 2 / 4, guess * 3 / 4, guess])
    assert set(kept[5:]) == {guess}
    assert not method.task.oracle_reads
