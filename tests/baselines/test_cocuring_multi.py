from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.cocuring_multi import (
    CoCuringMulti,
    CoCuringMultiParams,
    cocuring_multi_loss,
    joint_relabel_entries,
)
from fernoise_bench.methods.cocuring import balance

from ..methods.toy import (
    make_batch,
    make_encoder,
    make_task,
    make_train,
    parameter_gradients,
    random_labels,
    random_logits,
    set_head,
    sigmoid,
)
from .linear import make_identity
from .linear_multi import (
    AUS,
    LABELS,
    ORDER,
    ROWS,
    VERIFIED,
    Labels,
    Line,
    bce_of,
    features,
    kept_by_loop,
    kl_of,
    logistic,
    rates_by_loop,
    run,
)


@pytest.mark.parametrize("weight", [0.0, 0.47, 1.0])
def test_loss_of_two_peers(weight: float) -> None:
    z1, z2, labels = random_logits(0, 6, 3), random_logits(1, 6, 3), random_labels(2, 6, 3)
    known = (labels != 0).numpy()
    for own, peer, loss in zip((z1, z2), (z2, z1), cocuring_multi_loss(z1, z2, labels, weight), strict=True):
        supervision = bce_of(own.numpy(), (labels > 0).double().numpy())
        mimicry = kl_of(logistic(peer.numpy()), logistic(own.numpy()))
        assert loss.item() == pytest.approx(((1 - weight) * supervision + weight * mimicry)[known].mean(), rel=1e-11)


def test_loss_reaches_its_own_network_only() -> None:
    z1, z2 = random_logits(3, 6, 3, requires_grad=True), random_logits(4, 6, 3, requires_grad=True)
    labels = random_labels(5, 6, 3)
    loss1, loss2 = cocuring_multi_loss(z1, z2, labels, 0.6)
    for loss, own, peer in ((loss1, z1, z2), (loss2, z2, z1)):
        gradient, other = torch.autograd.grad(loss, (own, peer), allow_unused=True)
        assert other is None
        assert ((gradient != 0) == (labels != 0)).all()  # unknown entries are not mimicked either
    fixed1, fixed2 = z1.detach(), z2.detach()
    assert gradcheck(lambda z: cocuring_multi_loss(z, fixed2, labels, 0.6)[0], (z1,), rtol=1e-5)
    assert gradcheck(lambda z: cocuring_multi_loss(fixed1, z, labels, 0.6)[1], (z2,), rtol=1e-5)
    unknown = torch.zeros(6, 3, dtype=torch.int64)
    assert [x.item() for x in cocuring_multi_loss(z1, z2, unknown, 0.6)] == [0.0, 0.0]
    assert [x.item() for x in cocuring_multi_loss(z1[:0], z2[:0], unknown[:0], 0.6)] == [0.0, 0.0]


def turned_by_loop(z1: torch.Tensor, z2: torch.Tensor, labels: Labels, margin: float) -> list[list[int]]:
    out = labels.tolist()
    for i, row in enumerate(out):
        for k, y in enumerate(row):
            given = [sigmoid(y * float(z[i, k])) for z in (z1, z2)]
            if y != 0 and all(1 - p > p + margin for p in given):
                out[i][k] = -y
    return out  # type: ignore[no-any-return]


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.7])
def test_joint_relabel_entries_by_loop(margin: float) -> None:
    z1 = random_logits(6, 60, 3)
    z2, labels = z1 + 0.5 * random_logits(7, 60, 3), random_labels(8, 60, 3)
    turned = joint_relabel_entries(z1, z2, labels, margin)
    assert turned.tolist() == turned_by_loop(z1, z2, labels.numpy(), margin)
    assert turned.dtype == torch.int64
    for sign in (1, -1):
        assert (turned[labels == sign] == -sign).any()
    assert not turned[labels == 0].any()


def test_joint_relabel_entries_by_hand() -> None:
    def turn(p1: float, p2: float, label: int, margin: float = 0.7) -> int:
        logits = [torch.tensor([[np.log(p / (1 - p))]]) for p in (p1, p2)]
        return int(joint_relabel_entries(*logits, torch.tensor([[label]]), margin))

    assert turn(0.1, 0.1, 1) == -1
    assert turn(0.1, 0.2, 1) == 1  # .8 is not more than .2 + .7
    assert turn(0.1, 0.9, 1) == 1  # they disagree
    assert turn(0.9, 0.9, -1) == 1
    assert turn(0.9, 0.9, 1) == 1
    assert turn(0.9, 0.9, 0) == 0
    assert turn(0.5, 0.5, 1, 0.0) == 1  # equal is not more
    assert turn(0.5, 0.5, 1, -0.001) == -1


def make_method(epochs: int = 40, labels: Any = None, **changes: Any) -> CoCuringMulti:
    method = CoCuringMulti(make_task("multi", 3, epochs=epochs), make_encoder, CoCuringMultiParams(**changes))
    method.prepare(make_train(torch.full((12, 3), -1) if labels is None else labels))
    return method


def make_sure(method: CoCuringMulti, values: list[float]) -> None:
    for network in (method.network1, method.network2):
        set_head(network.head, values)


def test_verdicts_serve_at_the_next_draw_and_are_given_anew() -> None:
    method = make_method(within_rate=False)
    make_sure(method, [9.0, -9.0, 0.0])
    given = torch.full((3, 3), -1)
    method.loss(make_batch([0, 1, 2], given, epoch=9))
    assert (method.memory == -1).all()  # still warming up
    first = method.loss(make_batch([0, 1, 2], given, verified=[False, True, False], epoch=10))
    assert first.target is not None
    assert first.target.tolist() == [given.tolist()] * 2
    assert method.memory[:3].tolist() == [[1, -1, -1], [-1, -1, -1], [1, -1, -1]]  # a verified row is never turned
    second = method.loss(make_batch([2, 4], given[:2], epoch=10))
    assert second.target is not None
    assert second.target[0].tolist() == [[1, -1, -1], [-1, -1, -1]]
    assert second.logs["relabelled"] == 1
    make_sure(method, [0.0, 0.0, 0.0])  # nobody is sure any more
    method.loss(make_batch([0], given[:1], epoch=11))
    assert method.memory[0].tolist() == [-1, -1, -1]


def test_no_more_are_turned_than_are_estimated_wrong() -> None:
    given = torch.ones(10, 3, dtype=torch.int64)
    for rate, expected in ((0.0, 0), (0.2, 2), (0.4, 4), (1.0, 9)):
        method = make_method(labels=torch.ones(12, 3, dtype=torch.int64))
        make_sure(method, [-9.0, -9.0, 9.0])  # every positive of two AUs is doubted
        method.schedule.rates[0] = rate
        method.loss(make_batch(range(10), given, epoch=20))
        assert (method.memory == -1).sum(0).tolist() == [expected, expected, 0]
        by_margin = make_method(labels=torch.ones(12, 3, dtype=torch.int64), within_rate=False)
        make_sure(by_margin, [-9.0, -9.0, 9.0])
        by_margin.loss(make_batch(range(10), given, epoch=20))
        assert (by_margin.memory == -1).sum(0).tolist() == [10, 10, 0]


def test_largest_losses_are_turned_first_and_unknown_ones_never() -> None:
    labels = torch.tensor([[1, 0, 1]] * 4)
    method = make_method(labels=torch.cat([labels] * 3), margin=-1.0)  # everything is doubted
    method.schedule.rates[0] = 0.5
    batch = make_batch(range(4), labels, epoch=20)
    sums = sum(
        bce_of(n(batch.images[0]).detach().double().numpy(), np.ones((4, 3)))
        for n in method.children()
        if hasattr(n, "head")
    )
    method.loss(batch)
    for k in (0, 2):
        largest = sorted(np.argsort(np.asarray(sums)[:, k])[2:].tolist())
        assert (method.memory[:4, k] == -1).nonzero().flatten().tolist() == largest
    assert not method.memory[:4, 1].any()


def test_no_relabel_neither_estimates_nor_turns() -> None:
    for variant in ("no-relabel", "by-margin"):
        method = make_method(**CoCuringMulti.variants[variant].params)
        method.begin_epoch(10, make_train(torch.full((12, 3), -1)))
        assert not method.schedule.rates.any()
    method = make_method(relabel=False)
    make_sure(method, [9.0] * 3)
    method.loss(make_batch([0], torch.full((1, 3), -1), epoch=39))
    assert (method.memory == -1).all()


def test_labels_of_a_batch_that_are_unknown_stay_so() -> None:
    method = make_method()
    assert method.loss(make_batch([0, 1], torch.zeros(2, 3, dtype=torch.int64), epoch=20)).loss is None
    half = method.loss(make_batch([0, 1], [[-1, 0, -1], [0, 0, -1]], epoch=20))
    assert half.weight is not None
    assert half.weight[0].tolist() == [[1, 0, 1], [0, 0, 1]]
    assert half.loss is not None
    half.loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter_gradients(method))


@pytest.mark.parametrize(("epochs", "warm_up"), [(40, 10), (15, 4), (4, 1), (1, 1)])
def test_warm_up_keeps_its_share_of_training(epochs: int, warm_up: int) -> None:
    assert make_method(epochs).warm_up == warm_up


def test_a_linear_run_in_numpy_label_memory_included() -> None:
    task = make_task("multi", AUS, size=ROWS, epochs=8)
    params = CoCuringMultiParams(margin=0.02, warm_up=10)
    method = CoCuringMulti(task, make_identity, params).double()
    lines, x = (Line(method.network1.head), Line(method.network2.head)), features()
    memory, expected, rates, turned = LABELS.copy(), [], np.zeros((2, AUS)), 0
    for epoch in range(8):
        if epoch == 2:
            given = (LABELS > 0).astype(np.float64)
            rates = rates_by_loop(sum(bce_of(line(x), given) for line in lines) / 2)  # type: ignore[arg-type]
        weight = balance(epoch, 0.9 * 8)
        for rows in ORDER:
            z = [line(x[rows]) for line in lines]
            p, t, known = [logistic(each) for each in z], memory[rows] > 0, memory[rows] != 0
            total = 0.0
            for own, peer, line in ((0, 1, lines[0]), (1, 0, lines[1])):
                losses = (1 - weight) * bce_of(z[own], t) + weight * kl_of(p[peer], p[own])
                total += losses[known].mean()
                line.move((known * ((1 - weight) * (p[own] - t) + weight * (p[own] - p[peer])) / known.sum(), x[rows]))
            expected.append(total)
            if epoch >= 2:
                y = LABELS[rows]
                sums = bce_of(z[0], y > 0) + bce_of(z[1], y > 0)
                trusted = kept_by_loop(sums, y, rates, VERIFIED[rows])
                doubted = ~trusted & np.all([logistic(-y * each) > logistic(y * each) + 0.02 for each in z], axis=0)
                for i, row in enumerate(rows):  # of a repeated row the last verdict stays
                    memory[row] = np.where(doubted[i], -y[i], y[i])
                turned += int(doubted.sum())
    assert run(method, 8) == pytest.approx(expected, rel=1e-10)
    assert lines[0].agrees_with(method.network1.head)
    assert lines[1].agrees_with(method.network2.head)
    assert (method.memory.numpy() == memory).all()
    assert turned > 3


def test_of_a_repeated_row_the_last_verdict_stays() -> None:
    method = make_method(labels=torch.ones(12, 3, dtype=torch.int64))
    make_sure(method, [-9.0, -9.0, 9.0])
    method.schedule.rates[0] = 0.5
    method.loss(make_batch([5, 5], torch.ones(2, 3, dtype=torch.int64), epoch=20))
    assert method.memory[5].tolist() == [-1, -1, 1]  # equal losses: the later one is left out, hence turned
