from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.autograd import gradcheck

from fernoise_bench.baselines.man import MAN, MANParams, man_balance, man_loss, man_partition
from fernoise_bench.methods.base import Batch, TrainView

from ..methods.toy import make_batch, make_encoder, make_task, make_train, parameter_gradients, random_logits, set_head
from .linear import Array, double_batch, make_identity, softmax_rows, weights_of

GIVEN = torch.arange(12) % 3
LABELS = torch.tensor([0, 2, 1, 1, 0, 2])
PARTS = torch.tensor([0, 1, 2, 0, 2, 1])


# --- the partition


def test_partition_by_hand() -> None:
    first = torch.tensor([[2.0, 1.0, 0.0], [2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    second = torch.tensor([[5.0, 1.0, 0.0], [0.0, 1.0, 0.0], [9.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    found = man_partition(first, second, torch.zeros(4, dtype=torch.int64))
    assert found.tolist() == [0, 1, 1, 2]
    assert found.dtype == torch.int64
    assert man_partition(second, first, torch.zeros(4, dtype=torch.int64)).tolist() == [0, 1, 1, 2]


def test_the_first_of_equal_logits_is_predicted() -> None:
    even = torch.zeros(3, 3)
    assert man_partition(even, even, torch.tensor([0, 1, 2])).tolist() == [0, 2, 2]


def test_partition_is_the_loop_whatever_the_precision() -> None:
    first, second = random_logits(0, 60, 3), random_logits(1, 60, 3)
    labels = torch.arange(60) % 3
    expected = [sum(int(np.argmax(rows[i].numpy()) != int(labels[i])) for rows in (first, second)) for i in range(60)]
    assert set(expected) == {0, 1, 2}
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        assert man_partition(first.to(dtype), second.to(dtype), labels).tolist() == expected
    assert man_partition(first[:0], second[:0], labels[:0]).tolist() == []
    assert not man_partition(first.requires_grad_(), second, labels).requires_grad


# --- the balance


def test_balance_is_largest_at_nine_tenths_of_the_epochs_counted_from_one() -> None:
    assert man_balance(89, 100) == pytest.approx(0.9)
    assert man_balance(0, 100) == pytest.approx(0.9 * math.exp(-0.65 * (1 - 1 / 90) ** 2))
    assert man_balance(99, 100) == pytest.approx(0.9 * math.exp(-0.65 / 81))  # past its peak, not clipped
    assert man_balance(17, 20, 0.5, 2.0) == pytest.approx(0.5)
    assert man_balance(3, 20, 0.5, 2.0) == pytest.approx(0.5 * math.exp(-2.0 * (1 - 4 / 18) ** 2))
    with pytest.raises(ValueError, match="must be positive"):
        man_balance(0, 0)


# --- the loss


def loss_by_loop(
    weak: list[Array], strong: list[Array], labels: Any, parts: Any, balance: float, mutual: float, consistency: float
) -> float:
    of: list[list[float]] = [[], [], []]
    for i, (label, part) in enumerate(zip(labels, parts, strict=True)):
        p1, p2 = (softmax_rows(z[i : i + 1])[0] for z in weak)
        supervision = -(math.log(p1[label]) + math.log(p2[label])) / 2
        divergence = sum(a * math.log(a / b) + b * math.log(b / a) for a, b in zip(p1, p2, strict=True)) / 2
        squares = [
            float(np.mean((p - softmax_rows(z[i : i + 1])[0]) ** 2)) if part == 2 else 0.0
            for p, z in zip((p1, p2), strong, strict=True)
        ]
        value = (supervision, (1 - balance) * supervision + balance * divergence, sum(squares) / 2)[part]
        of[part].append(value)
    means = [float(np.mean(values)) if values else 0.0 for values in of]
    return means[0] + mutual * means[1] + consistency * means[2]


@pytest.mark.parametrize(
    "parts", [[0, 1, 2, 0, 2, 1], [0, 1, 1, 1, 1, 1], [2, 2, 2, 2, 0, 2], [0] * 6, [1] * 6, [2] * 6]
)
@pytest.mark.parametrize("weights", [(), (1.5, 0.4)])
def test_loss_is_a_mean_over_each_part(parts: list[int], weights: tuple[float, ...]) -> None:
    z = [random_logits(k, 6, 3, requires_grad=True) for k in range(4)]
    partition = torch.tensor(parts)
    loss = man_loss(*z, LABELS, partition, 0.3, *weights)
    numbers = [each.detach().numpy() for each in z]
    mutual, consistency = weights or (0.6, 1.0)
    expected = loss_by_loop(numbers[:2], numbers[2:], LABELS.tolist(), parts, 0.3, mutual, consistency)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert loss.dtype == torch.float64
    # nothing is detached: the gradients to all four are those of the differences of the value
    assert gradcheck(lambda *rows: man_loss(*rows, LABELS, partition, 0.3, *weights), z)


def test_one_row_of_a_part_weighs_as_much_as_many() -> None:
    z, labels = random_logits(5, 4, 3), torch.tensor([0, 0, 0, 0])
    z[1:] = z[1]
    alone = man_loss(z, z, z, z, labels, torch.tensor([0, 1, 1, 1]), 0.0, mutual_weight=1.0)
    pair = man_loss(z[:2], z[:2], z[:2], z[:2], labels[:2], torch.tensor([0, 1]), 0.0, mutual_weight=1.0)
    assert float(alone) == pytest.approx(float(pair), rel=1e-12)


def test_only_noisy_rows_of_the_strong_view_are_read() -> None:
    z = [random_logits(k, 6, 3, requires_grad=True) for k in range(2)]
    strong = [random_logits(k, 6, 3) for k in (2, 3)]
    spoilt = [torch.where((PARTS == 2)[:, None], rows, math.nan).requires_grad_() for rows in strong]
    loss = man_loss(*z, *spoilt, LABELS, PARTS, 0.4)
    assert loss.item() == man_loss(*z, *strong, LABELS, PARTS, 0.4).item()
    loss.backward()  # type: ignore[no-untyped-call]
    for rows in spoilt:
        assert rows.grad is not None
        assert bool((rows.grad[PARTS != 2] == 0).all())
        assert bool((rows.grad[PARTS == 2] != 0).all())
    for rows in z:
        assert rows.grad is not None
        assert bool(torch.isfinite(rows.grad).all())


def test_the_label_of_a_noisy_row_is_not_used() -> None:
    z = [random_logits(k, 6, 3) for k in range(4)]
    other = torch.where(PARTS == 2, (LABELS + 1) % 3, LABELS)
    assert float(man_loss(*z, LABELS, PARTS, 0.4)) == float(man_loss(*z, other, PARTS, 0.4))


def test_loss_of_no_rows_and_of_extreme_logits() -> None:
    empty = [torch.zeros(0, 3, requires_grad=True) for _ in range(4)]
    loss = man_loss(*empty, LABELS[:0], PARTS[:0], 0.4)
    assert loss.item() == 0.0
    loss.backward()  # type: ignore[no-untyped-call]
    far = [(1e4 * random_logits(k, 6, 3).float().sign()).requires_grad_() for k in range(4)]
    loss = man_loss(*far, LABELS, PARTS, 0.9)
    assert torch.isfinite(loss)
    assert all(bool(torch.isfinite(g).all()) for g in torch.autograd.grad(loss, far))


def test_half_precision_is_raised_and_inputs_are_left_alone() -> None:
    z = [random_logits(k, 6, 3).to(torch.bfloat16) for k in range(4)]
    before = [each.clone() for each in z]
    loss = man_loss(*z, LABELS, PARTS, 0.4)
    assert loss.dtype == torch.float32
    exact = man_loss(*(each.double() for each in z), LABELS, PARTS, 0.4)
    assert loss.item() == pytest.approx(exact.item(), rel=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(z, before, strict=True))


# --- the method


def make_method(epochs: int = 100, encoder: Any = make_encoder, **changes: Any) -> MAN:
    return MAN(make_task(epochs=epochs), encoder, MANParams(**changes))


def with_parts(method: MAN, parts: list[int]) -> MAN:
    method.partition[: len(parts)] = torch.tensor(parts)
    return method


def forwarded(method: MAN) -> list[list[int]]:
    return [network.encoder.rows for network in (method.network1, method.network2)]


@pytest.mark.parametrize(("epochs", "warm_up"), [(100, 10), (40, 4), (15, 2), (2, 1)])
def test_warm_up_keeps_its_share_of_training(epochs: int, warm_up: int) -> None:
    assert make_method(epochs).warm_up == warm_up


def test_warm_up_is_the_mean_cross_entropy_of_both() -> None:
    method = make_method()
    method.begin_epoch(9, make_train(GIVEN))
    assert method.partition.tolist() == [0] * 12
    batch = make_batch(range(6), LABELS, views=2, epoch=9)
    step = method.loss(batch)
    ce = torch.nn.functional.cross_entropy
    both = [ce(network(batch.images[0]), LABELS) for network in (method.network1, method.network2)]
    assert step.loss is not None
    assert torch.allclose(step.loss, (both[0] + both[1]) / 2)
    assert step.weight is not None
    assert step.weight.tolist() == [[1.0] * 6] * 2
    assert step.target is None
    assert step.logs["balance"] == man_balance(9, 100)
    assert {name: float(step.logs[name]) for name in ("clean", "ambiguous", "noisy")} == {
        "clean": 1.0,
        "ambiguous": 0.0,
        "noisy": 0.0,
    }


def test_the_set_is_divided_in_evaluation_mode_and_the_division_is_kept() -> None:
    method = make_method()
    modes: list[bool] = []
    method.network1.register_forward_hook(lambda module, *_: modes.append(module.training))
    set_head(method.network1.head, [1.0, 0.0, 0.0])
    set_head(method.network2.head, [0.0, 1.0, 0.0])
    asked: list[bool] = []
    train = make_train(GIVEN)

    def batches(augment: bool = False) -> Iterator[Batch]:
        asked.append(augment)
        for rows in (range(7, 12), range(7)):  # in whatever order
            yield make_batch(rows, GIVEN[list(rows)])

    method.begin_epoch(10, replace(train, batches=batches))
    assert method.partition.tolist() == [{0: 1, 1: 1, 2: 2}[int(label)] for label in GIVEN]
    assert (modes, asked) == ([False, False], [False])
    assert method.training
    assert method.network2.training
    set_head(method.network2.head, [1.0, 0.0, 0.0])
    method.loss(make_batch(range(6), LABELS, views=2, epoch=10))
    assert method.partition.tolist() == [{0: 1, 1: 1, 2: 2}[int(label)] for label in GIVEN]
    method.begin_epoch(11, train)
    assert method.partition.tolist() == [{0: 0, 1: 2, 2: 2}[int(label)] for label in GIVEN]
    other = make_method()
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.partition, method.partition)


def test_the_strong_view_of_noisy_rows_is_forwarded_and_no_other() -> None:
    method = with_parts(make_method(), [2, 0, 1, 2, 2, 0])
    batch = make_batch(range(6), LABELS, views=2, epoch=50)
    step = method.loss(batch)
    assert forwarded(method) == [[6, 3], [6, 3]]
    assert step.weight is not None
    assert step.weight.tolist() == [[0.0, 1.0, pytest.approx(0.6), 0.0, 0.0, 1.0]] * 2
    assert step.weight.dtype == torch.float32
    assert float(step.logs["noisy"]) == 0.5
    networks = (method.network1, method.network2)
    z = [network(view) for view in batch.images for network in networks]
    expected = man_loss(*z, LABELS, method.partition[:6], man_balance(50, 100))
    assert step.loss is not None
    assert torch.allclose(step.loss, expected)
    found = torch.autograd.grad(step.loss, tuple(method.parameters()))
    wanted = torch.autograd.grad(expected, tuple(method.parameters()))
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(found, wanted, strict=True))
    mean = ((z[0] + z[1]) / 2).softmax(dim=1)
    assert step.probabilities is not None
    assert torch.allclose(step.probabilities, mean)
    assert not step.probabilities.requires_grad


def test_a_lone_noisy_row_adds_nothing() -> None:
    method = with_parts(make_method(), [0, 1, 2, 0, 0, 0])
    batch = make_batch(range(6), LABELS, views=2, epoch=50)
    step = method.loss(batch)
    assert forwarded(method) == [[6], [6]]
    assert step.loss is not None
    found = torch.autograd.grad(step.loss, tuple(method.parameters()))
    rows = [0, 1, 3, 4, 5]
    z = [network(batch.images[0][rows]) for network in (method.network1, method.network2)]
    expected = man_loss(*z, *z, LABELS[rows], method.partition[rows], man_balance(50, 100))
    assert torch.allclose(step.loss, expected)
    wanted = torch.autograd.grad(expected, tuple(method.parameters()))
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(found, wanted, strict=True))


def test_a_batch_of_noisy_rows_alone_still_learns() -> None:
    method = with_parts(make_method(), [2] * 6)
    step = method.loss(make_batch([3, 4, 3, 5], LABELS[:4], views=2, epoch=50))
    assert step.loss is not None
    assert step.loss.item() > 0
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter_gradients(method))
    assert step.weight is not None
    assert step.weight.sum() == 0


def test_prediction_is_of_the_mean_logits() -> None:
    method = make_method()
    images = make_batch(range(6), torch.zeros(6)).images[0]
    mean = (method.network1(images) + method.network2(images)) / 2
    assert torch.allclose(method.predict(images), mean.softmax(1))


def test_hyper_parameters_reach_the_loss() -> None:
    batch = make_batch(range(6), LABELS, views=2, epoch=5)
    changes: dict[str, float] = {"maximum": 0.2, "beta": 3.0, "mutual_weight": 0.1, "consistency_weight": 7.0}
    method = with_parts(make_method(**changes), PARTS.tolist())
    z = [network(view) for view in batch.images for network in (method.network1, method.network2)]
    step = method.loss(batch)
    assert step.loss is not None
    assert torch.allclose(step.loss, man_loss(*z, LABELS, PARTS, man_balance(5, 100, 0.2, 3.0), 0.1, 7.0))
    assert step.weight is not None
    assert step.weight[0].tolist() == pytest.approx([1.0, 0.1, 0.0, 1.0, 0.0, 0.1])


# --- a whole training


class ByHand:
    """Both linear networks in NumPy: division, the loss of each row, and gradient descent."""

    def __init__(self, method: MAN) -> None:
        self.layers = [list(weights_of(method.network1.head)), list(weights_of(method.network2.head))]
        self.parts = np.zeros(12, dtype=np.int64)

    def logits(self, k: int, images: Array) -> Array:
        return np.asarray(images @ self.layers[k][0].T + self.layers[k][1])

    def begin_epoch(self, images: Array, labels: NDArray[np.int64]) -> None:
        wrong = [self.logits(k, images).argmax(axis=1) != labels for k in (0, 1)]
        self.parts = wrong[0].astype(np.int64) + wrong[1]

    def step(self, index: Any, weak: Array, strong: Array, labels: Any, balance: float, rate: float) -> float:
        parts = self.parts[index]
        z = [self.logits(k, weak) for k in (0, 1)]
        s = [self.logits(k, strong) for k in (0, 1)] if (parts == 2).sum() > 1 else z
        value = loss_by_loop(z, s, labels, parts, balance, 0.6, 1.0)
        to_weak, to_strong = np.zeros((2, *z[0].shape)), np.zeros((2, *z[0].shape))
        for i, (label, part) in enumerate(zip(labels, parts, strict=True)):
            p = [softmax_rows(rows[i : i + 1])[0] for rows in z]
            count = int((parts == part).sum())
            for k in (0, 1):
                own, peer, truth = p[k], p[1 - k], np.eye(3)[label]
                supervision, ratio = (own - truth) / 2, np.log(own / peer) / 2
                mutual = own * (ratio - own @ ratio) + (own - peer) / 2
                if part == 0:
                    to_weak[k, i] = supervision / count
                if part == 1:
                    to_weak[k, i] = 0.6 * ((1 - balance) * supervision + balance * mutual) / count
                if part == 2:
                    other = softmax_rows(s[k][i : i + 1])[0]
                    apart = (own - other) / (3 * count)
                    to_weak[k, i] = own * (apart - own @ apart)
                    to_strong[k, i] = -other * (apart - other @ apart)
        for k in (0, 1):
            for gradient, images in ((to_weak[k], weak), (to_strong[k], strong)):
                self.layers[k][0] = self.layers[k][0] - rate * gradient.T @ images
                self.layers[k][1] = self.layers[k][1] - rate * gradient.sum(axis=0)
        return value


def double_train() -> TrainView:
    def batches(augment: bool = False) -> Iterator[Batch]:
        for rows in (range(5), range(5, 12)):
            yield double_batch(rows, GIVEN[list(rows)])

    return TrainView(GIVEN, torch.zeros(12, dtype=torch.bool), None, None, batches)


def test_training_is_the_numpy_run() -> None:
    method = make_method(20, make_identity).double()
    assert method.warm_up == 2
    for k, network in enumerate((method.network1, method.network2)):
        with torch.no_grad():
            network.head.weight.copy_(random_logits(k + 1, 3, 12))  # large, so that the two agree on few rows
    by_hand = ByHand(method)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.3)
    whole = make_batch(range(12), GIVEN).images[0].double().flatten(1).numpy()
    seen, lone = np.zeros(3, dtype=np.int64), 0
    for epoch in range(8):
        method.begin_epoch(epoch, double_train())
        if epoch >= 2:
            by_hand.begin_epoch(whole, GIVEN.numpy())
        assert method.partition.tolist() == by_hand.parts.tolist()
        order = np.random.default_rng(epoch).permutation(12)
        for step, rows in enumerate((order[:5], order[[5, 6, 5, 7]], order[7:])):
            batch = double_batch(rows.tolist(), GIVEN[rows], views=2, epoch=epoch, step=step)
            done = method.loss(batch)
            assert done.loss is not None
            optimizer.zero_grad()
            done.loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            weak, strong = (view.flatten(1).numpy() for view in batch.images)
            balance = 0.9 * math.exp(-0.65 * (1 - (epoch + 1) / 18) ** 2)
            expected = by_hand.step(rows, weak, strong, GIVEN[rows].tolist(), balance, 0.3)
            assert done.loss.item() == pytest.approx(expected, rel=1e-9)
            found = np.bincount(by_hand.parts[rows], minlength=3)
            seen += found
            lone += int(found[2] == 1)
    assert (seen > 5).all(), seen
    assert lone > 0
    for network, layer in zip((method.network1, method.network2), by_hand.layers, strict=True):
        np.testing.assert_allclose(weights_of(network.head)[0], layer[0], rtol=1e-8)
        np.testing.assert_allclose(weights_of(network.head)[1], layer[1], rtol=1e-8)
