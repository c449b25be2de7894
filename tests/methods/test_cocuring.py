from __future__ import annotations

import math

import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.methods.cocuring import CoCuring, CoCuringParams, balance, cocuring_loss, joint_relabel

from .toy import (
    cross_entropy,
    kl,
    make_batch,
    make_encoder,
    make_task,
    make_train,
    parameter_gradients,
    random_logits,
    set_head,
    softmax,
)

LABELS = torch.tensor([0, 2, 1, 1, 0])


def test_balance_by_hand() -> None:
    assert balance(0, 36.0) == pytest.approx(0.469841199, rel=1e-8)  # 0.9·exp(-0.65)
    assert balance(36, 36.0) == 0.9
    assert balance(39, 36.0) == pytest.approx(0.8959, abs=1e-4)  # not clipped: falls again
    assert balance(5, 36.0, beta=0.0) == 0.9
    assert balance(0, 36.0, beta=6.0) == pytest.approx(0.9 * math.exp(-6), rel=1e-12)
    assert balance(18, 36.0, 0.5, 2.0) == pytest.approx(0.5 * math.exp(-0.5), rel=1e-12)
    with pytest.raises(ValueError, match="ramp_epochs"):
        balance(0, 0.0)


@pytest.mark.parametrize("weight", [0.0, 0.47, 1.0])
@pytest.mark.parametrize(("reverse_kl", "scale"), [(False, 1.0), (True, 1.0), (False, 0.5), (True, 0.5)])
def test_cocuring_loss_is_equations_one_and_two(weight: float, reverse_kl: bool, scale: float) -> None:
    z1, z2 = random_logits(0, 5, 3), random_logits(1, 5, 3)
    expected1 = expected2 = 0.0
    for a, b, y in zip(z1.tolist(), z2.tolist(), LABELS.tolist(), strict=True):
        mimic1, mimic2 = (kl(a, b), kl(b, a)) if reverse_kl else (kl(b, a), kl(a, b))
        expected1 += scale * ((1 - weight) * cross_entropy(a, y) + weight * mimic1) / 5
        expected2 += scale * ((1 - weight) * cross_entropy(b, y) + weight * mimic2) / 5
    loss1, loss2 = cocuring_loss(z1, z2, LABELS, weight, reverse_kl=reverse_kl, scale=scale)
    assert float(loss1) == pytest.approx(expected1, rel=1e-11)
    assert float(loss2) == pytest.approx(expected2, rel=1e-11)


def test_cocuring_loss_reaches_its_own_network_only() -> None:
    z1, z2 = random_logits(2, 5, 3, requires_grad=True), random_logits(3, 5, 3, requires_grad=True)
    for reverse_kl in (False, True):
        loss1, loss2 = cocuring_loss(z1, z2, LABELS, 0.6, reverse_kl=reverse_kl)
        own, peer = torch.autograd.grad(loss1, (z1, z2), allow_unused=True)
        assert own.abs().sum() > 0
        assert peer is None
        peer, own = torch.autograd.grad(loss2, (z1, z2), allow_unused=True)
        assert own.abs().sum() > 0
        assert peer is None
        fixed1, fixed2 = z1.detach(), z2.detach()
        assert gradcheck(lambda z, f=fixed2, r=reverse_kl: cocuring_loss(z, f, LABELS, 0.6, reverse_kl=r)[0], (z1,))
        assert gradcheck(lambda z, f=fixed1, r=reverse_kl: cocuring_loss(f, z, LABELS, 0.6, reverse_kl=r)[1], (z2,))
    empty1, empty2 = cocuring_loss(z1[:0], z2[:0], LABELS[:0], 0.6)
    assert empty1.item() == empty2.item() == 0.0


def relabel_by_loop(z1: torch.Tensor, z2: torch.Tensor, labels: torch.Tensor, margin: float) -> list[int]:
    out = []
    for a, b, y in zip(z1.tolist(), z2.tolist(), labels.tolist(), strict=True):
        p, q = softmax(a), softmax(b)
        same = p.index(max(p)) == q.index(max(q))
        out.append(p.index(max(p)) if same and max(p) > p[y] + margin and max(q) > q[y] + margin else y)
    return out


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.7])
def test_joint_relabel_is_equation_four(margin: float) -> None:
    z1, z2 = random_logits(4, 200, 4), random_logits(5, 200, 4)
    z2 = z1 + 0.3 * z2
    labels = torch.arange(200) % 4
    renewed = joint_relabel(z1, z2, labels, margin)
    assert renewed.tolist() == relabel_by_loop(z1, z2, labels, margin)
    assert renewed.dtype == torch.int64
    assert (renewed != labels).any()


def test_joint_relabel_wants_a_strict_margin_and_agreement() -> None:
    label, even = torch.tensor([1]), torch.zeros(1, 2)
    assert joint_relabel(even, even, label, 0.0).tolist() == [1]  # equal is not more
    assert joint_relabel(even, even, label, -1e-6).tolist() == [0]
    sure0, sure2 = torch.tensor([[9.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 9.0]])
    assert joint_relabel(sure0, sure2, label, 0.7).tolist() == [1]  # sure of different classes
    assert joint_relabel(sure0, sure0, label, 0.7).tolist() == [0]
    unsure = torch.tensor([[1.0, 0.0, 0.0]])
    assert joint_relabel(sure0, unsure, label, 0.7).tolist() == [1]  # one of them is not sure enough
    assert joint_relabel(sure0, sure0, torch.tensor([0]), 0.7).tolist() == [0]


def make_method(epochs: int = 40, **changes: object) -> CoCuring:
    method = CoCuring(make_task(epochs=epochs), make_encoder, CoCuringParams(**changes))  # type: ignore[arg-type]
    method.prepare(make_train(torch.zeros(12, dtype=torch.int64)))
    return method


def make_sure(method: CoCuring, of: int) -> None:
    for network in (method.network1, method.network2):
        set_head(network.head, [9.0 if c == of else 0.0 for c in range(3)])


def test_relabelling_takes_effect_at_the_next_draw() -> None:
    method = make_method()
    make_sure(method, of=2)
    given = torch.zeros(4, dtype=torch.int64)
    before = method.loss(make_batch([0, 1, 2, 3], given, epoch=9))
    assert method.memory.tolist() == [0] * 12  # still warming up
    assert before.logs["relabelled"] == 0.0
    first = method.loss(make_batch([0, 1, 2, 3], given, epoch=10))
    assert first.target is not None
    assert first.target.tolist() == [[0] * 4] * 2
    assert first.logs["relabelled"] == 4
    assert method.memory.tolist() == [2] * 4 + [0] * 8
    second = method.loss(make_batch([3, 4], given[:2], epoch=10))
    assert second.target is not None
    assert second.target.tolist() == [[2, 0]] * 2
    assert second.logs["relabelled"] == 1


def test_labels_stick_by_default_and_return_under_the_original_reference() -> None:
    given = torch.zeros(2, dtype=torch.int64)
    for reference, expected in (("current", 2), ("original", 0)):
        method = make_method(relabel_reference=reference)
        make_sure(method, of=2)
        method.loss(make_batch([0, 1], given, epoch=20))
        assert method.memory[:2].tolist() == [2, 2]
        for network in (method.network1, method.network2):
            set_head(network.head, [0.0, 0.0, 0.0])  # nobody is sure any more
        method.loss(make_batch([0, 1], given, epoch=21))
        assert method.memory[:2].tolist() == [expected, expected]


def test_no_relabel_never_changes_memory() -> None:
    method = make_method(relabel=False)
    make_sure(method, of=1)
    method.loss(make_batch([0, 1], [0, 0], epoch=39))
    assert not method.memory.any()


def test_a_repeated_sample_keeps_its_last_label() -> None:
    method = make_method(margin=-1.0)  # every agreement relabels
    batch = make_batch([5, 6, 5], [0, 0, 0], epoch=20)
    p = [network(batch.images[0]).argmax(1) for network in (method.network1, method.network2)]
    expected = torch.where(p[0] == p[1], p[0], 0)
    method.loss(batch)
    assert method.memory[5] == expected[2]
    assert method.memory[6] == expected[1]


@pytest.mark.parametrize(("epochs", "warm_up"), [(40, 10), (15, 4), (100, 25)])
def test_warm_up_keeps_its_share_of_training(epochs: int, warm_up: int) -> None:
    assert make_method(epochs).warm_up == warm_up


def test_loss_uses_memory_labels_and_the_epoch_balance() -> None:
    method = make_method(relabel=False)
    method.memory[:3] = torch.tensor([1, 2, 0])
    batch = make_batch([0, 1, 2], [0, 0, 0], epoch=7)
    step = method.loss(batch)
    z1, z2 = method.network1(batch.images[0]), method.network2(batch.images[0])
    loss1, loss2 = cocuring_loss(z1, z2, torch.tensor([1, 2, 0]), balance(7, 36.0))
    assert step.loss is not None
    assert torch.allclose(step.loss, loss1 + loss2)
    assert step.logs["balance"] == balance(7, 36.0)
    assert step.probabilities is not None
    assert torch.allclose(step.probabilities, (z1.softmax(1) + z2.softmax(1)) / 2)
    assert not step.probabilities.requires_grad
    step.loss.backward()
    assert all(parameter_gradients(method))


def test_networks_start_differently_and_predictions_are_probabilities() -> None:
    method = make_method()
    assert not torch.equal(method.network1.head.weight, method.network2.head.weight)
    images = make_batch(range(6), torch.zeros(6, dtype=torch.int64)).images[0]
    p = method.predict(images)
    assert torch.allclose(p.sum(1), torch.ones(6))
    assert torch.allclose(p, (method.network1(images).softmax(1) + method.network2(images).softmax(1)) / 2)


def test_memory_survives_a_checkpoint() -> None:
    method = make_method()
    make_sure(method, of=2)
    method.loss(make_batch([0, 7], [0, 0], epoch=30))
    other = make_method()
    other.load_state_dict(method.state_dict())
    assert other.memory.tolist() == method.memory.tolist()
    again = other.loss(make_batch([0, 7], [0, 0], epoch=31))
    assert again.target is not None
    assert again.target[0].tolist() == [2, 2]


def test_variants_are_valid_parameters() -> None:
    assert set(CoCuring.variants) >= {"no-relabel", "original", "reverse-kl", "half-scale", "beta-0", "beta-6"}
    for variant in CoCuring.variants.values():
        assert CoCuringParams(**variant.params) != CoCuringParams()  # type: ignore[arg-type]
