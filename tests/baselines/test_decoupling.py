from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.decoupling import Decoupling, DecouplingParams, decoupling_loss

from ..methods.toy import make_batch, make_encoder, make_task, random_logits, set_head
from .linear import Array, make_identity
from .peers import Gradients, Labels, assert_alike, cross_entropies, cross_entropy_gradient, numbers, train
from .peers import train_by_hand as by_hand

LABELS = torch.tensor([0, 2, 1, 1, 0, 2, 0, 1, 2, 0, 1, 2])


def differing(z1: Array, z2: Array) -> list[int]:
    return [i for i in range(len(z1)) if z1[i].argmax() != z2[i].argmax()]


def losses_by_hand(z1: Array, z2: Array, labels: Labels, rows: list[int], floor: float) -> list[float]:
    divisor = max(floor * len(z1), len(rows))
    return [float(cross_entropies(z, labels)[rows].sum() / divisor) if divisor else 0.0 for z in (z1, z2)]


@pytest.mark.parametrize("warm_up", [False, True])
@pytest.mark.parametrize("floor", [0.0, 0.1, 0.9, 1.7])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_decoupling_loss_is_the_sum_over_disagreement_over_a_floored_count(
    warm_up: bool, floor: float, seed: int
) -> None:
    z1, z2 = random_logits(seed, 12, 3), random_logits(seed + 50, 12, 3)
    rows = list(range(12)) if warm_up else differing(*numbers(z1, z2))
    assert rows
    expected = losses_by_hand(*numbers(z1, z2), LABELS.numpy(), rows, floor)
    found = decoupling_loss(z1, z2, LABELS, warm_up, floor)
    assert [x.item() for x in found] == pytest.approx(expected, rel=1e-12)
    assert all(x.dtype == torch.float64 and x.shape == () for x in found)


def test_the_floor_is_a_tenth_of_the_batch_and_exact() -> None:
    """One row of 128 disagrees: the divisor is 12.8, not 1, and not 12.8 in single precision."""
    z1 = random_logits(3, 128, 3)
    z2 = z1.clone()
    z1[7], z2[7] = torch.tensor([4.0, 0.0, 1.0]), torch.tensor([0.0, 4.0, 1.0])
    labels = torch.arange(128) % 3
    loss1, loss2 = decoupling_loss(z1, z2, labels, False)
    ce = [float(cross_entropies(z.numpy(), labels.numpy())[7]) for z in (z1, z2)]
    assert [loss1.item(), loss2.item()] == pytest.approx([ce[0] / 12.8, ce[1] / 12.8], rel=1e-14)


def test_each_loss_reaches_its_own_network_on_disagreement_only() -> None:
    z1, z2 = random_logits(4, 12, 3, requires_grad=True), random_logits(5, 12, 3, requires_grad=True)
    rows = differing(*numbers(z1, z2))
    assert 0 < len(rows) < 12
    loss1, loss2 = decoupling_loss(z1, z2, LABELS, False)
    for loss, own, peer in ((loss1, z1, z2), (loss2, z2, z1)):
        gradient, none = torch.autograd.grad(loss, (own, peer), allow_unused=True, retain_graph=True)
        assert none is None
        assert gradient.abs().sum(1).nonzero().flatten().tolist() == rows
    fixed1, fixed2 = z1.detach(), z2.detach()
    assert gradcheck(lambda z: decoupling_loss(z, fixed2, LABELS, False)[0], (z1,), rtol=1e-5)
    assert gradcheck(lambda z: decoupling_loss(fixed1, z, LABELS, False)[1], (z2,), rtol=1e-5)


def test_full_agreement_is_zero_loss_and_zero_gradient() -> None:
    z = random_logits(6, 12, 3, requires_grad=True)
    for floor in (0.1, 0.0):
        loss1, loss2 = decoupling_loss(z, z.detach() * 2.0, LABELS, False, floor)
        assert loss1.item() == loss2.item() == 0.0
        assert not torch.autograd.grad(loss1, z)[0].any()
        for warm_up in (False, True):
            assert [loss.item() for loss in decoupling_loss(z[:0], z[:0], LABELS[:0], warm_up, floor)] == [0.0, 0.0]
    warm1, _ = decoupling_loss(z, z.detach(), LABELS, True)
    assert warm1.item() > 0


def test_a_row_left_out_may_overflow() -> None:
    z1, z2 = torch.tensor([[1.0, 0.0], [torch.inf, 0.0]]), torch.tensor([[0.0, 1.0], [9.0, 0.0]])
    loss1, _ = decoupling_loss(z1.double(), z2.double(), torch.tensor([0, 1]), False)
    assert torch.isfinite(loss1)


def make_method(encoder: Any = make_encoder, **changes: Any) -> Decoupling:
    return Decoupling(make_task(), encoder, DecouplingParams(**changes))


def test_step_skips_the_update_where_all_agree() -> None:
    method = make_method()
    for network in (method.network1, method.network2):
        set_head(network.head, [0.0, 1.0, 0.0])
    step = method.loss(make_batch(range(12), LABELS))
    assert step.loss is None
    assert step.weight is not None
    assert step.weight.tolist() == [[0.0] * 12] * 2
    assert step.logs["disagreement"] == 0.0
    set_head(method.network2.head, [2.0, 1.0, 0.0])
    step = method.loss(make_batch(range(12), LABELS))
    assert step.loss is not None
    assert step.weight is not None
    assert step.weight.all()


def test_step_reports_the_rows_both_networks_trained_on() -> None:
    method = make_method()
    batch = make_batch([3, 3, 8, 1, 9, 0, 4], LABELS[[3, 3, 8, 1, 9, 0, 4]])
    z1, z2 = numbers(method.network1(batch.images[0]), method.network2(batch.images[0]))
    rows = differing(z1, z2)
    step = method.loss(batch)
    assert step.weight is not None
    assert [row.nonzero().flatten().tolist() for row in step.weight] == [rows, rows]
    expected = losses_by_hand(z1, z2, batch.labels.numpy(), rows, 0.1)
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(sum(expected), rel=1e-5)
    assert step.probabilities is not None
    assert not step.probabilities.requires_grad


@pytest.mark.parametrize("warm_up_steps", [0, 5])
def test_training_equals_numpy(warm_up_steps: int) -> None:
    """Some epochs on linear networks; the warm-up is counted in steps, across epochs."""
    skipped = []

    def rule(z1: Array, z2: Array, labels: Labels, epoch: int, step: int) -> Gradients | None:
        rows = list(range(len(z1))) if epoch * 4 + step < warm_up_steps else differing(z1, z2)
        if not rows:
            skipped.append(epoch)
            return None
        divisor = max(0.1 * len(z1), len(rows))
        return cross_entropy_gradient(z1, labels, rows, divisor), cross_entropy_gradient(z2, labels, rows, divisor)

    def fresh() -> Decoupling:
        task = make_task(epochs=12, steps_per_epoch=4)
        return Decoupling(task, make_identity, DecouplingParams(warm_up_steps=warm_up_steps))

    assert_alike(train(fresh(), 12), by_hand(fresh(), rule, 12))
    assert 0 < len(skipped) < 48


@pytest.mark.parametrize(("epochs", "steps"), [(40, 15), (16, 6), (15, 6), (3, 0)])
def test_the_variant_warms_up_for_an_eighth_of_the_epochs(epochs: int, steps: int) -> None:
    params = DecouplingParams(**Decoupling.variants["warm-up"].params)  # type: ignore[arg-type]
    assert Decoupling(make_task(epochs=epochs), make_identity, params).warm_up_steps == steps
    assert Decoupling(make_task(epochs=epochs), make_identity, DecouplingParams()).warm_up_steps == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_the_loss_has_the_precision_of_the_logits(dtype: torch.dtype) -> None:
    z1, z2 = random_logits(0, 12, 3).to(dtype), random_logits(50, 12, 3).to(dtype)
    wanted = torch.float32 if dtype == torch.float16 else dtype
    assert {loss.dtype for loss in decoupling_loss(z1, z2, LABELS, False)} == {wanted}


def test_prediction_is_the_mean_of_both_networks() -> None:
    method = make_method()
    images = make_batch(range(7), LABELS[:7]).images[0]
    expected = (method.network1(images).softmax(1) + method.network2(images).softmax(1)) / 2
    assert torch.allclose(method.predict(images), expected)
    assert np.allclose(method.predict(images).sum(1).detach(), 1.0)
