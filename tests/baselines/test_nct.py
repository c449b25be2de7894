from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.nct import (
    NCT,
    NCTParams,
    mimicry_weight,
    nct_loss,
    target_variability,
    variability_rate,
)

from ..methods.toy import make_batch, make_encoder, make_task, parameter_gradients, random_logits
from .linear import Array, make_identity, one_hot, softmax_rows
from .peers import Gradients, Labels, assert_alike, batch_of, cross_entropies, divergences, numbers, train
from .peers import train_by_hand as by_hand

LABELS1 = torch.tensor([0, 2, 1, 1, 0])
LABELS2 = torch.tensor([0, 2, 0, 1, 2])


def test_mimicry_weight_by_hand() -> None:
    assert mimicry_weight(0) == pytest.approx(0.9 * math.exp(-5), rel=1e-12)
    assert mimicry_weight(10) == pytest.approx(0.9 * math.exp(-1.25), rel=1e-12)
    assert mimicry_weight(20) == mimicry_weight(21) == mimicry_weight(199) == 0.9  # clipped, unlike Co-curing's
    assert mimicry_weight(-3) == mimicry_weight(0)
    assert mimicry_weight(3, 6, 0.5, 2.0) == pytest.approx(0.5 * math.exp(-0.5), rel=1e-12)
    assert mimicry_weight(0, 0) == 0.9
    with pytest.raises(ValueError, match="ramp_epochs"):
        mimicry_weight(0, -1)


def test_variability_rate_by_hand() -> None:
    assert [variability_rate(t, 200) for t in (0, 3, 4, 200, 500)] == [0.2, 0.2, 0.2, 0.7, 0.7]  # ln 1 = 0
    assert variability_rate(50, 200) == pytest.approx(0.2 + 0.5 * math.log(47) / math.log(197), rel=1e-12)
    assert variability_rate(5, 40, 0.0, 1.0, 1) == pytest.approx(math.log(4) / math.log(39), rel=1e-12)
    rates = [variability_rate(t, 40) for t in range(41)]
    assert rates == sorted(rates)
    for epochs in range(1, 7):  # short runs: no logarithm of nothing
        assert all(0.2 <= variability_rate(t, epochs) <= 0.7 for t in range(epochs))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_target_variability_by_the_same_draws() -> None:
    labels = torch.arange(200) % 7
    found = target_variability(labels, 0.4, 7, generator(3))
    draws = generator(3)
    chosen = torch.rand(200, generator=draws, dtype=torch.float64).numpy() < 0.4
    shift = torch.randint(7, (200,), generator=draws).numpy()
    expected = [(y + s) % 7 if c else y for y, s, c in zip(labels.tolist(), shift, chosen, strict=True)]
    assert found.tolist() == expected
    assert found.dtype == torch.int64
    assert labels.tolist() == [i % 7 for i in range(200)]


@pytest.mark.parametrize("rate", [0.2, 0.7, 1.0])
def test_target_variability_is_uniform_over_all_classes(rate: float) -> None:
    """The label itself may be drawn: a share of rate·(C-1)/C changes, to every other class alike."""
    labels = torch.arange(4).repeat_interleave(20_000)
    found = target_variability(labels, rate, 4, generator(1))
    counts = torch.zeros(4, 4, dtype=torch.float64)
    counts.index_put_((labels, found), torch.ones(80_000, dtype=torch.float64), accumulate=True)
    expected = torch.full((4, 4), rate / 4, dtype=torch.float64) + torch.eye(4, dtype=torch.float64) * (1 - rate)
    assert torch.allclose(counts / 20_000, expected, atol=0.015)


def test_target_variability_ends() -> None:
    labels = torch.arange(50) % 3
    assert torch.equal(target_variability(labels, 0.0, 3, generator()), labels)
    assert not torch.equal(target_variability(labels, 1.0, 3, generator()), labels)
    assert target_variability(labels[:0], 0.5, 3, generator()).tolist() == []
    stream = generator()
    assert not torch.equal(target_variability(labels, 0.9, 3, stream), target_variability(labels, 0.9, 3, stream))


def losses_by_hand(z1: Array, z2: Array, alpha: float, temperature: float) -> list[float]:
    both = []
    for own, peer, labels in ((z1, z2, LABELS1), (z2, z1, LABELS2)):
        mimicry = temperature**2 * divergences(peer / temperature, own / temperature).sum() / len(own)
        both.append(float((1 - alpha) * cross_entropies(own, labels.numpy()).mean() + alpha * mimicry))
    return both


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_nct_loss_is_supervision_and_scaled_mimicry(alpha: float, temperature: float) -> None:
    z1, z2 = random_logits(0, 5, 3), random_logits(1, 5, 3)
    found = nct_loss(z1, z2, LABELS1, LABELS2, alpha, temperature)
    assert [x.item() for x in found] == pytest.approx(losses_by_hand(*numbers(z1, z2), alpha, temperature), rel=1e-11)
    assert found[0].dtype == torch.float64
    assert [x.item() for x in nct_loss(z1[:0], z2[:0], LABELS1[:0], LABELS2[:0], alpha)] == [0.0, 0.0]


def test_the_temperature_is_four_unless_said_otherwise() -> None:
    z1, z2 = random_logits(0, 5, 3), random_logits(1, 5, 3)
    assert nct_loss(z1, z2, LABELS1, LABELS2, 0.5) == nct_loss(z1, z2, LABELS1, LABELS2, 0.5, 4.0)


def test_the_peer_gets_no_gradient() -> None:
    z1, z2 = random_logits(2, 5, 3, requires_grad=True), random_logits(3, 5, 3, requires_grad=True)
    loss1, loss2 = nct_loss(z1, z2, LABELS1, LABELS2, 1.0)
    for loss, own, peer in ((loss1, z1, z2), (loss2, z2, z1)):
        gradient, none = torch.autograd.grad(loss, (own, peer), allow_unused=True, retain_graph=True)
        assert none is None
        expected = 4.0 * (softmax_rows(own.detach().numpy() / 4) - softmax_rows(peer.detach().numpy() / 4)) / 5
        np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-10)
    fixed1, fixed2 = z1.detach(), z2.detach()
    assert gradcheck(lambda z: nct_loss(z, fixed2, LABELS1, LABELS2, 0.6)[0], (z1,), rtol=1e-5)
    assert gradcheck(lambda z: nct_loss(fixed1, z, LABELS1, LABELS2, 0.6)[1], (z2,), rtol=1e-5)


def make_method(encoder: Any = make_encoder, epochs: int = 40, **changes: Any) -> NCT:
    return NCT(make_task(epochs=epochs), encoder, NCTParams(**changes))


@pytest.mark.parametrize(("epochs", "ramp", "warm_up"), [(40, 20, 3), (15, 8, 1), (200, 20, 3), (80, 40, 6)])
def test_epoch_constants_keep_their_share_of_training(epochs: int, ramp: int, warm_up: int) -> None:
    method = make_method(epochs=epochs)
    assert (method.ramp_epochs, method.warm_up) == (ramp, warm_up)


def test_each_network_is_told_of_labels_of_its_own() -> None:
    method = make_method()
    given = torch.arange(12) % 3
    step = method.loss(make_batch(range(12), given, epoch=30, seed=5))
    draws = generator(5)
    rate = variability_rate(30, 40)
    expected = [target_variability(given, rate, 3, draws).tolist() for _ in range(2)]
    assert step.target is not None
    assert step.target.tolist() == expected
    assert expected[0] != expected[1]
    assert step.logs == {"mimicry": 0.9, "variability": rate}
    assert step.loss is not None
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter_gradients(method))


def test_without_variability_the_labels_are_the_given_ones() -> None:
    method = make_method(minimum_variability=0.0, maximum_variability=0.0)
    given = torch.arange(12) % 3
    step = method.loss(make_batch(range(12), given, epoch=30))
    assert step.target is not None
    assert step.target.tolist() == [given.tolist()] * 2


def test_training_equals_numpy() -> None:
    """Sixteen epochs: mimicry grows over eight of them, variability after one."""

    def rule(z1: Array, z2: Array, labels: Labels, epoch: int, step: int) -> Gradients:
        alpha = 0.9 * math.exp(-5 * (1 - min(epoch, 8) / 8) ** 2)
        rate = 0.2 if epoch <= 1 else 0.2 + 0.5 * math.log(epoch - 1) / math.log(15)
        draws, both = batch_of(epoch, step).generator, []
        for own, peer in ((z1, z2), (z2, z1)):
            chosen = torch.rand(len(labels), generator=draws, dtype=torch.float64).numpy() < rate
            shift = torch.randint(3, (len(labels),), generator=draws).numpy()
            disturbed = np.where(chosen, (labels + shift) % 3, labels)
            supervision = softmax_rows(own) - one_hot(disturbed, 3)
            mimicry = 4.0 * (softmax_rows(own / 4) - softmax_rows(peer / 4))
            both.append(((1 - alpha) * supervision + alpha * mimicry) / len(own))
        return both[0], both[1]

    def fresh() -> NCT:
        return make_method(make_identity, epochs=16)

    assert_alike(train(fresh(), 16), by_hand(fresh(), rule, 16))


def test_prediction_is_of_the_sum_of_logits() -> None:
    method = make_method()
    images = make_batch(range(6), torch.zeros(6, dtype=torch.int64)).images[0]
    z = (method.network1(images) + method.network2(images)).detach().numpy()
    np.testing.assert_allclose(method.predict(images).detach().numpy(), softmax_rows(z), rtol=1e-5)
