from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.co_teaching import co_teaching_loss, forget_rates
from fernoise_bench.baselines.co_teaching_plus import CoTeachingPlus, CoTeachingPlusParams, co_teaching_plus_loss

from ..methods.toy import make_batch, make_encoder, make_task, random_logits, set_head
from .linear import Array, make_identity
from .peers import (
    Gradients,
    Labels,
    assert_alike,
    batch_of,
    cross_entropies,
    cross_entropy_gradient,
    numbers,
    smallest,
    train,
    train_by_hand,
)

LABELS = torch.arange(30) % 3
STEPS = (0, 4999, 5000)


def picked(z1: Array, z2: Array, labels: Labels, rate: float, counts: bool) -> tuple[list[int], list[int]]:
    """The rows the first and the second network train on."""
    differ = [i for i in range(len(z1)) if z1[i].argmax() != z2[i].argmax()]
    if not differ:
        everything = list(range(len(z1))) if counts else []
        return everything, everything
    count = int((1 - rate) * len(differ)) or len(differ)
    return tuple(smallest(cross_entropies(z, labels), differ, count) for z in (z2, z1))  # type: ignore[return-value]


def mean_over(z: Array, labels: Labels, rows: list[int]) -> float:
    return float(cross_entropies(z, labels)[rows].mean()) if rows else 0.0


def pair(seed: int, size: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    z1 = random_logits(seed, size, 3)
    return z1, z1 + 0.6 * random_logits(seed + 90, size, 3)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.8, 0.95, 1.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("step", STEPS)
def test_loss_is_the_exchange_among_those_they_disagree_on(rate: float, seed: int, step: int) -> None:
    z1, z2 = pair(seed)
    rows1, rows2 = picked(*numbers(z1, z2), LABELS.numpy(), rate, False)
    assert 0 < len(rows1) < 30
    loss1, loss2 = co_teaching_plus_loss(z1, z2, LABELS, rate, step)
    assert loss1.item() == pytest.approx(mean_over(z1.numpy(), LABELS.numpy(), rows1), rel=1e-12)
    assert loss2.item() == pytest.approx(mean_over(z2.numpy(), LABELS.numpy(), rows2), rel=1e-12)
    assert loss1.dtype == torch.float64


@pytest.mark.parametrize(
    ("size", "rate", "count"), [(1, 0.3, 1), (2, 0.5, 1), (4, 0.8, 4), (5, 0.8, 5), (20, 0.8, 3), (10, 0.3, 7)]
)
def test_the_count_is_cut_and_all_of_them_where_it_is_nothing(size: int, rate: float, count: int) -> None:
    """int((1-.8)·5) is 0 and int((1-.8)·20) is 3 in float64; of four, five or one row nothing is left: all count."""
    z1 = torch.zeros(25, 3, dtype=torch.float64)
    z1[:, 0] = 1.0
    z2 = z1.clone()
    z2[:size] = torch.tensor([0.0, 1.0, 0.5])  # the first rows disagree
    z1, z2 = z1 + 1e-3 * random_logits(1, 25, 3), z2 + 1e-3 * random_logits(2, 25, 3)
    z1.requires_grad_()
    loss1, _ = co_teaching_plus_loss(z1, z2, LABELS[:25], rate, 0)
    rows, _ = picked(*numbers(z1, z2), LABELS[:25].numpy(), rate, True)
    assert len(rows) == count
    used = torch.autograd.grad(loss1, z1)[0].abs().sum(1).nonzero().flatten().tolist()
    assert used == sorted(rows)


@pytest.mark.parametrize("step", STEPS)
def test_agreement_throughout_counts_up_to_a_step(step: int) -> None:
    z1 = random_logits(3, 30, 3, requires_grad=True)
    z2 = (z1 * 1.5).detach().requires_grad_()
    loss1, loss2 = co_teaching_plus_loss(z1, z2, LABELS, 0.4, step)
    everything = list(range(30)) if step < 5000 else []
    assert loss1.item() == pytest.approx(mean_over(z1.detach().numpy(), LABELS.numpy(), everything), rel=1e-12)
    assert loss2.item() == pytest.approx(mean_over(z2.detach().numpy(), LABELS.numpy(), everything), rel=1e-12)
    assert bool(torch.autograd.grad(loss1, z1)[0].any()) == (step < 5000)
    limited, _ = co_teaching_plus_loss(z1, z2, LABELS, 0.4, step, agreed_until=step)
    assert limited.item() == 0.0


def test_one_row_of_disagreement_is_all_there_is() -> None:
    """Whatever the step: agreement elsewhere teaches nothing once somebody disagrees."""
    z1 = random_logits(4, 30, 3)
    z2 = z1.clone()
    z2[11] = -z2[11]
    assert z1[11].argmax() != z2[11].argmax()
    for step in STEPS:
        loss1, loss2 = co_teaching_plus_loss(z1, z2, LABELS, 0.9, step)
        assert loss1.item() == pytest.approx(mean_over(z1.numpy(), LABELS.numpy(), [11]), rel=1e-12)
        assert loss2.item() == pytest.approx(mean_over(z2.numpy(), LABELS.numpy(), [11]), rel=1e-12)


def test_selecting_passes_no_gradient() -> None:
    z1, z2 = (z.requires_grad_() for z in pair(5))
    loss1, loss2 = co_teaching_plus_loss(z1, z2, LABELS, 0.4, 0)
    assert torch.autograd.grad(loss1, z2, allow_unused=True, retain_graph=True) == (None,)
    assert torch.autograd.grad(loss2, z1, allow_unused=True, retain_graph=True) == (None,)
    fixed1, fixed2 = z1.detach(), z2.detach()
    assert gradcheck(lambda z: co_teaching_plus_loss(z, fixed2, LABELS, 0.4, 0)[0], (z1,), rtol=1e-5)
    assert gradcheck(lambda z: co_teaching_plus_loss(fixed1, z, LABELS, 0.4, 0)[1], (z2,), rtol=1e-5)


def test_ties_go_to_the_earlier_row() -> None:
    z1 = torch.tensor([[1.0, 0.0]] * 6, dtype=torch.float64, requires_grad=True)
    z2 = torch.tensor([[1.0, 0.0], *[[0.0, 1.0]] * 4, [1.0, 0.0]], dtype=torch.float64)
    loss1, _ = co_teaching_plus_loss(z1, z2, torch.zeros(6, dtype=torch.int64), 0.5, 0)
    assert torch.autograd.grad(loss1, z1)[0].abs().sum(1).nonzero().flatten().tolist() == [1, 2]


def make_method(encoder: Any = make_encoder, epochs: int = 40, rate: float | None = 0.4, **more: Any) -> CoTeachingPlus:
    task = make_task(noise_rate=rate, epochs=epochs)
    return CoTeachingPlus(task, encoder, CoTeachingPlusParams(**more))


@pytest.mark.parametrize(("epochs", "warm_up"), [(40, 5), (16, 2), (200, 25)])
def test_epoch_constants_keep_their_share_of_training(epochs: int, warm_up: int) -> None:
    method = make_method(epochs=epochs)
    assert method.warm_up == warm_up
    assert method.schedule.rates.tolist() == forget_rates(0.4, 2 * warm_up, 1.0, epochs).tolist()


def test_the_warm_up_is_co_teaching() -> None:
    method = make_method()
    with torch.no_grad():  # bring them near, so that they agree on some rows
        for one, other in zip(method.network1.parameters(), method.network2.parameters(), strict=True):
            other.lerp_(one, 0.7)
    index = [3, 8, 3, 1, 9, 0, 4]
    for epoch in (0, 4, 5):
        batch = make_batch(index, LABELS[index], epoch=epoch)
        z1, z2 = method.network1(batch.images[0]), method.network2(batch.images[0])
        rate = float(method.schedule.rates[epoch])
        plain = sum(co_teaching_loss(z1, z2, batch.labels, rate)).item()  # type: ignore[union-attr]
        plus = sum(co_teaching_plus_loss(z1, z2, batch.labels, rate, 0)).item()  # type: ignore[union-attr]
        assert plain != pytest.approx(plus, rel=1e-3)
        step = method.loss(batch)
        assert step.loss is not None
        assert step.loss.item() == pytest.approx(plain if epoch < 5 else plus, rel=1e-5)


def test_the_warm_up_keeps_one_of_a_tiny_batch() -> None:
    """As plain Co-teaching does; among those they disagree on it would be all of them."""
    method = make_method(epochs=40)
    method.schedule.rates[:] = 0.9
    batch = make_batch([0, 1, 2], LABELS[:3], epoch=4)
    step = method.loss(batch)
    assert step.weight is not None
    assert step.weight.sum(dim=1).tolist() == [1, 1]
    z1, z2 = method.network1(batch.images[0]), method.network2(batch.images[0])
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(sum(co_teaching_loss(z1, z2, batch.labels, 0.9)).item(), rel=1e-5)  # type: ignore[union-attr]


def test_step_reports_the_rows_each_network_trained_on() -> None:
    method = make_method()
    index = [3, 8, 3, 1, 9, 0, 4]
    batch = make_batch(index, LABELS[index], epoch=30)
    z1, z2 = numbers(method.network1(batch.images[0]), method.network2(batch.images[0]))
    rows = picked(z1, z2, batch.labels.numpy(), 0.4, True)
    step = method.loss(batch)
    assert step.weight is not None
    assert [row.nonzero().flatten().tolist() for row in step.weight] == [sorted(r) for r in rows]
    assert step.probabilities is not None
    assert not step.probabilities.requires_grad


def test_agreement_throughout_skips_the_update_late() -> None:
    method = make_method(agreed_until=7)
    for network in (method.network1, method.network2):
        set_head(network.head, [0.0, 1.0, 0.0])
    for epoch, number, learns in ((6, 1, True), (7, 1, False), (39, 0, True), (3, 5, True)):
        batch = batch_of(epoch, 0)
        batch = type(batch)(**{**vars(batch), "step": number, "images": tuple(x.float() for x in batch.images)})
        step = method.loss(batch)
        assert (step.loss is not None) == learns
        assert step.weight is not None
        if epoch >= 5:
            assert bool(step.weight.all()) == bool(step.weight.any()) == learns


def test_training_equals_numpy() -> None:
    """Two epochs of warm-up of sixteen, then disagreement; the late steps of an epoch where all agree are skipped."""
    rates = forget_rates(0.4, 4, 1.0, 16)
    seen: dict[str, int] = {"whole": 0, "part": 0, "none": 0}

    def rule(z1: Array, z2: Array, labels: Labels, epoch: int, step: int) -> Gradients | None:
        if epoch < 2:
            everything, count = list(range(len(z1))), int((1 - rates[epoch]) * len(z1))
            rows1 = smallest(cross_entropies(z2, labels), everything, count)
            rows2 = smallest(cross_entropies(z1, labels), everything, count)
        else:
            rows1, rows2 = picked(z1, z2, labels, rates[epoch], epoch * step < 20)
            seen["none" if not rows1 else "whole" if len(rows1) == len(z1) else "part"] += 1
        if not rows1:
            return None
        one = cross_entropy_gradient(z1, labels, rows1, len(rows1))
        return one, cross_entropy_gradient(z2, labels, rows2, len(rows2))

    def fresh() -> CoTeachingPlus:
        return make_method(make_identity, epochs=16, agreed_until=20)

    assert_alike(train(fresh(), 16), train_by_hand(fresh(), rule, 16))
    assert all(seen.values()), seen


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
    images = make_batch(range(7), LABELS[:7]).images[0]
    expected = (method.network1(images).softmax(1) + method.network2(images).softmax(1)) / 2
    assert torch.allclose(method.predict(images), expected)
