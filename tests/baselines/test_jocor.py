from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.co_teaching import forget_rates
from fernoise_bench.baselines.jocor import JoCoR, JoCoRParams, jocor_loss

from ..methods.toy import make_batch, make_encoder, make_task, random_logits
from .linear import Array, make_identity, one_hot, softmax_rows
from .peers import Gradients, Labels, assert_alike, cross_entropies, divergences, numbers, smallest, train
from .peers import train_by_hand as by_hand

LABELS = torch.tensor([0, 2, 1, 1, 0, 2, 0])


def joint(z1: Array, z2: Array, labels: Labels, lam: float) -> Array:
    supervision = cross_entropies(z1, labels) + cross_entropies(z2, labels)
    return (1 - lam) * supervision + lam * (divergences(z2, z1) + divergences(z1, z2))


def kept_by_hand(losses: Array, rate: float) -> list[int]:
    return smallest(losses, list(range(len(losses))), max(1, int((1 - rate) * len(losses))))


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("lam", [0.0, 0.1, 0.9, 1.0])
def test_jocor_loss_is_the_mean_of_the_small_joint_losses(rate: float, lam: float) -> None:
    z1, z2 = random_logits(0, 7, 3), random_logits(1, 7, 3)
    losses = joint(*numbers(z1, z2), LABELS.numpy(), lam)
    loss = jocor_loss(z1, z2, LABELS, rate, lam)
    assert loss.item() == pytest.approx(float(losses[kept_by_hand(losses, rate)].mean()), rel=1e-11)
    assert loss.dtype == torch.float64


def test_one_row_by_hand() -> None:
    """Probabilities (3/4, 1/4) and (1/2, 1/2), label 0."""
    z1, z2 = torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[0.0, 0.0]])
    one_two = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    two_one = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    expected = 0.6 * (math.log(4 / 3) + math.log(2)) + 0.4 * (one_two + two_one)
    assert float(jocor_loss(z1, z2, torch.tensor([0]), 0.0, 0.4)) == pytest.approx(expected, rel=1e-6)


def test_nothing_is_detached() -> None:
    """Even where the labels are of no account both networks move, each by its own and by the other's divergence."""
    z1, z2 = random_logits(2, 7, 3, requires_grad=True), random_logits(3, 7, 3, requires_grad=True)
    gradient1, gradient2 = torch.autograd.grad(jocor_loss(z1, z2, LABELS, 0.0, 1.0), (z1, z2))
    expected1, expected2 = agreement_gradient(*numbers(z1, z2)), agreement_gradient(*numbers(z2, z1))
    np.testing.assert_allclose(gradient1.numpy(), expected1 / 7, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gradient2.numpy(), expected2 / 7, rtol=1e-9, atol=1e-12)
    assert gradcheck(lambda a, b: jocor_loss(a, b, LABELS, 0.4, 0.7), (z1, z2), rtol=1e-5)


def agreement_gradient(own: Array, peer: Array) -> Array:
    """Of KL(peer || own) + KL(own || peer) with respect to the own logits."""
    p, q = softmax_rows(own), softmax_rows(peer)
    return np.asarray(p - q + p * (np.log(p / q) - divergences(own, peer)[:, None]))


def test_rows_left_out_pass_no_gradient() -> None:
    z1, z2 = random_logits(4, 7, 3, requires_grad=True), random_logits(5, 7, 3, requires_grad=True)
    kept = kept_by_hand(joint(*numbers(z1, z2), LABELS.numpy(), 0.5), 0.5)
    assert len(kept) == 3
    for gradient in torch.autograd.grad(jocor_loss(z1, z2, LABELS, 0.5, 0.5), (z1, z2)):
        assert gradient.abs().sum(1).nonzero().flatten().tolist() == sorted(kept)


def test_ties_go_to_the_earlier_row_and_no_row_is_no_loss() -> None:
    z = torch.zeros(4, 2, dtype=torch.float64, requires_grad=True)
    loss = jocor_loss(z, torch.zeros(4, 2).double(), torch.tensor([0, 1, 0, 1]), 0.5, 0.3)
    assert torch.autograd.grad(loss, z)[0].abs().sum(1).nonzero().flatten().tolist() == [0, 1]
    assert jocor_loss(z[:0], z[:0], torch.tensor([], dtype=torch.int64), 0.5, 0.3).item() == 0.0


def make_method(encoder: Any = make_encoder, epochs: int = 40, rate: float | None = 0.4, **changes: Any) -> JoCoR:
    return JoCoR(make_task(noise_rate=rate, epochs=epochs), encoder, JoCoRParams(**changes))


@pytest.mark.parametrize("epoch", [0, 4, 39])
def test_step_reports_the_rows_both_networks_trained_on(epoch: int) -> None:
    method = make_method()
    batch = make_batch(range(7), LABELS, epoch=epoch)
    z1, z2 = numbers(method.network1(batch.images[0]), method.network2(batch.images[0]))
    losses = joint(z1, z2, LABELS.numpy(), 0.9)
    rate = forget_rates(0.4, 10, 1.0, 40)[epoch]
    kept = kept_by_hand(losses, rate)
    step = method.loss(batch)
    assert step.weight is not None
    assert [row.nonzero().flatten().tolist() for row in step.weight] == [sorted(kept)] * 2
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(float(losses[kept].mean()), rel=1e-4)
    assert step.logs["forget_rate"] == rate


def test_training_equals_numpy() -> None:
    rates = forget_rates(0.4, 2, 1.0, 8)
    lam = 0.6

    def rule(z1: Array, z2: Array, labels: Labels, epoch: int, step: int) -> Gradients:
        rows = kept_by_hand(joint(z1, z2, labels, lam), rates[epoch])
        both = []
        for own, peer in ((z1, z2), (z2, z1)):
            supervision = softmax_rows(own) - one_hot(labels, 3)
            gradient = (1 - lam) * supervision + lam * agreement_gradient(own, peer)
            mask = np.zeros((len(own), 1))
            mask[rows] = 1 / len(rows)
            both.append(gradient * mask)
        return both[0], both[1]

    def fresh() -> JoCoR:
        return make_method(make_identity, epochs=8, co_lambda=lam)

    assert_alike(train(fresh(), 8), by_hand(fresh(), rule, 8))


def test_the_true_rate_is_oracle_knowledge_and_the_estimated_one_is_not() -> None:
    assert make_method().task.oracle_reads == {"noise_rate"}
    guessing = make_method(make_identity, noise_rate="estimated", rate=None)
    train(guessing, 6)
    assert not guessing.task.oracle_reads
    assert 0 < float(guessing.schedule.noise_rate) < 1
    with pytest.raises(ValueError, match="noise rate"):
        make_method(rate=None)


def test_prediction_is_the_mean_of_both_networks() -> None:
    method = make_method()
    images = make_batch(range(7), LABELS).images[0]
    expected = (method.network1(images).softmax(1) + method.network2(images).softmax(1)) / 2
    assert torch.allclose(method.predict(images), expected)
