from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.disc import (
    DISC,
    DISCParams,
    disc_loss,
    disc_partition,
    mixing_shares,
    update_threshold,
)
from fernoise_bench.methods.base import Batch

from ..methods.toy import make_batch, make_encoder, make_task, make_train, parameter_gradients, random_logits
from .linear import Array, softmax_rows

GIVEN = torch.arange(12) % 3
LABELS = torch.tensor([0, 2, 1, 1])


# --- which rows have a target


def partition_by_loop(
    weak: Array, strong: Array, labels: Any, low: Any, high: Any, sigma: float, ceiling: float
) -> list[tuple[bool, bool, bool, int]]:
    found = []
    for p, q, label, a, b in zip(weak, strong, labels, low, high, strict=True):
        trusts = int(p[label] > a) + int(q[label] > b)
        mean = [(x + y) / 2 for x, y in zip(p, q, strict=True)]
        corrected = trusts == 0 and max(mean) > min((a + b) / 2 + sigma, ceiling)
        target = label if trusts else mean.index(max(mean)) if corrected else -1
        found.append((trusts == 2, trusts == 1, corrected, int(target)))
    return found


@pytest.mark.parametrize("limits", [(), (0.2, 0.6)])
def test_partition_is_the_loop(limits: tuple[float, ...]) -> None:
    weak, strong = (random_logits(k, 80, 3).softmax(dim=1) for k in (0, 1))
    labels = torch.arange(80) % 3
    low, high = (torch.from_numpy(np.random.default_rng(k).random(80) * 0.8) for k in (2, 3))
    found = disc_partition(weak, strong, labels, low, high, *limits)
    rows = [(bool(c), bool(h), bool(x), int(t)) for c, h, x, t in zip(*found, strict=True)]
    sigma, ceiling = limits or (0.5, 0.99)
    expected = partition_by_loop(
        weak.numpy(), strong.numpy(), labels.tolist(), low.tolist(), high.tolist(), sigma, ceiling
    )
    assert rows == expected
    assert all(any(row[part] for row in expected) for part in range(3))
    assert any(row[3] == -1 for row in expected)
    assert [each.dtype for each in found] == [torch.bool] * 3 + [torch.int64]
    clean, hard, corrected, targets = found
    assert bool(((clean.int() + hard.int() + corrected.int()) == (targets >= 0).int()).all())


def test_partition_by_hand() -> None:
    """Each comparison is strict; only a label that no view trusts is corrected; the ceiling bounds what that needs."""
    sure = [0.9, 0.1, 0.0]
    half = torch.tensor([0.5, 0.5, 0.5, 0.5, 0.5], dtype=torch.float64)

    def targets(
        weak: list[list[float]], strong: list[list[float]], labels: list[int], at: Any, **more: float
    ) -> list[int]:
        p, q = (torch.tensor(rows, dtype=torch.float64) for rows in (weak, strong))
        return disc_partition(p, q, torch.tensor(labels), at, at, **more)[3].tolist()  # type: ignore[no-any-return]

    even = [0.5, 0.25, 0.25]
    assert targets([even], [even], [0], half[:1]) == [-1], "0.5 is not above 0.5"
    assert targets([even], [[0.75, 0.25, 0.0]], [0], half[:1]) == [0], "one view is enough to keep a label"
    assert targets([sure], [sure], [1], half[:1]) == [-1], "0.9 is not above min(0.5 + 0.5, 0.99)"
    assert targets([[1.0, 0.0, 0.0]], [[1.0, 0.0, 0.0]], [1], half[:1]) == [0], "1 is above 0.99"
    assert targets([[0.75, 0.25, 0.0]] * 1, [[0.75, 0.25, 0.0]], [2], half[:1], sigma=0.25) == [-1], "not above 0.75"
    assert targets([[0.75, 0.25, 0.0]] * 1, [[0.75, 0.25, 0.0]], [2], half[:1], sigma=0.125) == [0]
    assert targets([[0.75, 0.25, 0.0]] * 1, [[0.75, 0.25, 0.0]], [2], half[:1], ceiling=0.75) == [-1]
    assert targets([[0.75, 0.25, 0.0]] * 1, [[0.75, 0.25, 0.0]], [2], half[:1], ceiling=0.5) == [0]
    high = torch.tensor([0.6], dtype=torch.float64)
    assert targets([[0.985, 0.015, 0.0]], [[0.985, 0.015, 0.0]], [2], high) == [-1], "of 1.1 needed 0.99 are left"
    assert targets([[0.995, 0.005, 0.0]], [[0.995, 0.005, 0.0]], [2], high) == [0]
    assert targets([even], [[0.25, 0.5, 0.25]], [2], 0.0 * half[:1], sigma=0.25) == [2], "trusted"
    assert targets([[0.5, 0.5, 0.0]], [[0.5, 0.5, 0.0]], [2], 0.0 * half[:1], sigma=0.25) == [0], "the first of equals"
    # as in the first epoch, before any row was seen: nothing is chosen
    assert targets([[0.0] * 3], [[0.0] * 3], [0], half[:1] / 4) == [-1]


def test_partition_of_no_rows_and_of_half_precision() -> None:
    none = torch.zeros(0, 3)
    found = disc_partition(none, none, LABELS[:0], none[:, 0], none[:, 0])
    assert [len(each) for each in found] == [0] * 4
    p = random_logits(0, 4, 3).softmax(dim=1).half()
    threshold = torch.full((4,), 0.3)
    low = disc_partition(p, p, LABELS, threshold, threshold)
    exact = disc_partition(p.float(), p.float(), LABELS, threshold, threshold)
    assert all(torch.equal(a, b) for a, b in zip(low, exact, strict=True))


def test_thresholds_follow_the_largest_probability() -> None:
    threshold = torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64)
    p = torch.tensor([[0.2, 0.8, 0.0], [0.3, 0.3, 0.4], [1.0, 0.0, 0.0]], dtype=torch.float64)
    before = threshold.clone()
    expected = [0.75 * 0.1 + 0.25 * 0.8, 0.75 * 0.5 + 0.25 * 0.4, 1.0]
    assert update_threshold(threshold, p, 0.75).tolist() == pytest.approx(expected, rel=1e-15)
    assert torch.equal(threshold, before)
    assert update_threshold(threshold[:0], p[:0], 0.75).tolist() == []


# --- the loss without mixup


def loss_by_loop(
    views: list[Array], labels: Any, clean: Any, hard: Any, hard_weight: float = 1.0, q: float = 0.7
) -> float:
    total = 0.0
    for z in views:
        for i, label in enumerate(labels):
            p = softmax_rows(z[i : i + 1])[0][label]
            total += -math.log(p) if clean[i] else 0.0
            total += hard_weight * (1 - max(p, 1e-7) ** q) / q if hard[i] else 0.0
    return total / len(labels)


@pytest.mark.parametrize(
    ("clean", "hard"),
    [
        ([1, 0, 0, 1], [0, 1, 0, 0]),
        ([1] * 4, [0] * 4),
        ([0] * 4, [1] * 4),
        ([0] * 4, [0] * 4),
        ([0, 0, 1, 0], [1, 1, 0, 0]),
    ],
)
@pytest.mark.parametrize("more", [(), (0.2, 0.4)])
def test_loss_is_a_sum_over_the_batch_size(clean: list[int], hard: list[int], more: tuple[float, ...]) -> None:
    z = [random_logits(k, 4, 3, requires_grad=True) for k in (0, 1)]
    chosen = torch.tensor(clean).bool(), torch.tensor(hard).bool()
    loss = disc_loss(*z, LABELS, *chosen, *more)
    expected = loss_by_loop([each.detach().numpy() for each in z], LABELS.tolist(), clean, hard, *more)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert loss.dtype == torch.float64
    assert gradcheck(lambda *rows: disc_loss(*rows, LABELS, *chosen, *more), z)


def test_loss_of_clean_rows_alone_is_cross_entropy_of_both_views() -> None:
    z = [random_logits(k, 4, 3) for k in (0, 1)]
    every = torch.ones(4, dtype=torch.bool)
    ce = torch.nn.functional.cross_entropy
    assert torch.allclose(disc_loss(z[0], z[1], LABELS, every, ~every), ce(z[0], LABELS) + ce(z[1], LABELS))


def test_a_hopeless_label_of_a_hard_row_is_not_learned() -> None:
    """Its probability counts as 1e-7, without gradient; above that there is one."""
    for gap, has_gradient in ((17.0, False), (15.0, True)):
        z = torch.tensor([[gap, 0.0]], dtype=torch.float64, requires_grad=True)
        yes, label = torch.tensor([True]), torch.tensor([1])
        loss = disc_loss(z, z, label, ~yes, yes)
        p = max(1e-7, 1 / (1 + math.exp(gap)))
        assert loss.item() == pytest.approx(2 * (1 - p**0.7) / 0.7, rel=1e-12)
        loss.backward()  # type: ignore[no-untyped-call]
        assert z.grad is not None
        assert bool((z.grad != 0).all()) == has_gradient


def test_loss_of_no_rows_of_extreme_logits_and_of_half_precision() -> None:
    empty = torch.zeros(0, 3, requires_grad=True)
    none = torch.zeros(0, dtype=torch.bool)
    loss = disc_loss(empty, empty, LABELS[:0], none, none)
    assert loss.item() == 0.0
    loss.backward()  # type: ignore[no-untyped-call]
    clean, hard = torch.tensor([True, False, True, False]), torch.tensor([False, True, False, True])
    far = [(1e4 * random_logits(k, 4, 3).float().sign()).requires_grad_() for k in (0, 1)]
    loss = disc_loss(*far, LABELS, clean, hard)
    assert torch.isfinite(loss)
    assert all(bool(torch.isfinite(g).all()) for g in torch.autograd.grad(loss, far))
    low = [random_logits(k, 4, 3).to(torch.bfloat16) for k in (0, 1)]
    before = [each.clone() for each in low]
    loss = disc_loss(*low, LABELS, clean, hard)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(disc_loss(*(z.double() for z in low), LABELS, clean, hard).item(), rel=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(low, before, strict=True))


# --- the shares of mixup


def test_the_two_views_have_shares_of_their_own() -> None:
    generator = torch.Generator().manual_seed(3)
    drawn = np.random.default_rng(3)
    expected = [max(share, 1 - share) for share in (drawn.beta(5, 5), drawn.beta(5, 5))]
    state = generator.get_state()
    assert mixing_shares(5.0, generator) == tuple(expected)
    assert expected[0] != expected[1]
    assert torch.equal(generator.get_state(), state)
    shares = np.array([mixing_shares(5.0, torch.Generator().manual_seed(seed)) for seed in range(3000)])
    assert shares.min() >= 0.5
    # a folded mean of 1/2 + E|Beta(5, 5) - 1/2| = 1/2 + C(10, 5) / 2^11
    assert shares.mean(axis=0) == pytest.approx(0.5 + 252 / 2048, abs=0.005)
    assert abs(np.corrcoef(shares.T)[0, 1]) < 0.06


# --- the method


def make_method(epochs: int = 200, encoder: Any = make_encoder, **changes: Any) -> DISC:
    return DISC(make_task(epochs=epochs), encoder, DISCParams(**changes))


def with_targets(method: DISC, clean: list[int], hard: list[int], targets: list[int]) -> DISC:
    rows = len(targets)
    method.clean[:rows], method.hard[:rows] = torch.tensor(clean).bool(), torch.tensor(hard).bool()
    method.targets[:rows] = torch.tensor(targets)
    return method


@pytest.mark.parametrize(
    ("epochs", "start", "momentum"), [(200, 20, 0.99), (40, 4, 0.99**5), (15, 2, 0.99 ** (40 / 3)), (2, 1, 0.99**100)]
)
def test_epochs_keep_their_share_of_training(epochs: int, start: int, momentum: float) -> None:
    method = make_method(epochs)
    assert method.start == start
    assert method.momentum == pytest.approx(momentum, rel=1e-14)
    assert make_method(40).momentum == pytest.approx(0.951, abs=1e-3)


def test_thresholds_start_at_one_over_the_rows() -> None:
    method = make_method()
    assert method.weak_threshold.tolist() == pytest.approx([1 / 12] * 12)
    assert method.strong_threshold.tolist() == pytest.approx([1 / 12] * 12)
    assert method.weak_memory.shape == method.strong_memory.shape == (12, 3)
    assert not method.weak_memory.any()
    state = {name: value.clone() for name, value in method.state_dict().items()}
    method.begin_epoch(0, make_train(GIVEN))
    assert all(torch.equal(state[name], value) for name, value in method.state_dict().items())


def test_warm_up_is_cross_entropy_of_both_views_in_one_forward_pass() -> None:
    method = make_method()
    batch = make_batch([3, 4, 3, 5], LABELS, views=2, epoch=19)
    method.targets.fill_(-1)
    step = method.loss(batch)
    assert method.network.encoder.rows == [8]
    z = [method.network(view) for view in batch.images]
    ce = torch.nn.functional.cross_entropy
    assert step.loss is not None
    assert torch.allclose(step.loss, ce(z[0], LABELS) + ce(z[1], LABELS))
    assert step.weight is not None
    assert step.weight.tolist() == [[1.0] * 4]
    assert step.target is not None
    assert step.target.tolist() == [LABELS.tolist()]
    for memory, logits in zip((method.weak_memory, method.strong_memory), z, strict=True):
        assert torch.allclose(memory[[3, 4, 5]], logits.softmax(dim=1)[[2, 1, 3]])  # the last of a repeated row
        assert int((memory.sum(dim=1) > 0).sum()) == 3
        assert not memory.requires_grad
    assert step.probabilities is not None
    assert torch.allclose(step.probabilities, z[0].softmax(dim=1))
    assert not step.probabilities.requires_grad
    assert step.logs == {"clean": 1.0, "hard": 0.0, "corrected": 0.0}


@pytest.mark.parametrize(
    ("changes", "limits"), [({}, (0.5, 0.99)), ({"sigma": 0.05}, (0.05, 0.99)), ({"ceiling": 0.5}, (0.5, 0.5))]
)
def test_rows_are_divided_before_the_thresholds_move(changes: dict[str, float], limits: tuple[float, float]) -> None:
    method = make_method(40, **changes).double()
    weak, strong = (random_logits(k, 12, 3).softmax(dim=1) for k in (0, 1))
    method.weak_memory.copy_(weak)
    method.strong_memory.copy_(strong)
    low, high = (torch.from_numpy(np.random.default_rng(k).random(12)) for k in (2, 3))
    method.weak_threshold.copy_(low)
    method.strong_threshold.copy_(high)
    method.begin_epoch(1, make_train(GIVEN))
    expected = partition_by_loop(weak.numpy(), strong.numpy(), GIVEN.tolist(), low.tolist(), high.tolist(), *limits)
    assert method.clean.tolist() == [row[0] for row in expected]
    assert method.hard.tolist() == [row[1] for row in expected]
    assert method.targets.tolist() == [row[3] for row in expected]
    m = 0.99**5
    for threshold, before, p in ((method.weak_threshold, low, weak), (method.strong_threshold, high, strong)):
        np.testing.assert_allclose(threshold.numpy(), m * before.numpy() + (1 - m) * p.numpy().max(axis=1), rtol=1e-12)
    other = make_method(40).double()
    other.load_state_dict(method.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(other.buffers(), method.buffers(), strict=True))


@pytest.mark.parametrize(("threshold", "sure", "target"), [
    (0.3, 0.79, -1), (0.3, 0.81, 0), (0.6, 0.985, -1), (0.6, 0.995, 0),
])  # fmt: skip
def test_a_correction_needs_a_half_above_the_threshold_and_at_most_099(
    threshold: float, sure: float, target: int
) -> None:
    method = make_method()
    for memory, limit in ((method.weak_memory, method.weak_threshold), (method.strong_memory, method.strong_threshold)):
        memory[2] = torch.tensor([sure, 1 - sure, 0.0])
        limit.fill_(threshold)
    method.begin_epoch(1, make_train(GIVEN))
    assert GIVEN[2] == 2
    assert int(method.targets[2]) == target


def mixup_by_loop(method: DISC, batch: Batch, rows: list[int], targets: list[int], alpha: float) -> float:
    """Mixup of some rows: shares of one NumPy generator, then a permutation for each view, weak before strong."""
    generator = torch.Generator().manual_seed(batch.generator.initial_seed())
    drawn = np.random.default_rng(batch.generator.initial_seed())
    shares = [max(share, 1 - share) for share in (drawn.beta(alpha, alpha), drawn.beta(alpha, alpha))]
    total = 0.0
    for view, share in zip(batch.images, shares, strict=True):
        partner = torch.randperm(len(rows), generator=generator).tolist()
        for k, i in enumerate(rows):
            mixed = share * view[i] + (1 - share) * view[rows[partner[k]]]
            p = softmax_rows(method.network(mixed[None]).detach().double().numpy())[0]
            total -= share * math.log(p[targets[k]]) + (1 - share) * math.log(p[targets[partner[k]]])
    return total / len(rows)


@pytest.mark.parametrize("changes", [{}, {"hard_weight": 0.2}, {"q": 0.4}, {"alpha": 1.5}])
def test_after_the_warm_up_mixup_of_all_rows_with_a_target_is_added(changes: dict[str, float]) -> None:
    method = with_targets(make_method(**changes), [0, 1, 0, 0], [0, 0, 1, 0], [2, 2, 1, -1])
    batch = make_batch(range(4), LABELS, views=2, epoch=20)
    step = method.loss(batch)
    assert method.network.encoder.rows == [8, 3, 3]
    z = [method.network(view).detach().double().numpy() for view in batch.images]
    of = {"hard_weight": 1.0, "q": 0.7, "alpha": 5.0} | changes
    expected = loss_by_loop(z, LABELS.tolist(), [0, 1, 0, 0], [0, 0, 1, 0], of["hard_weight"], of["q"])
    expected += mixup_by_loop(method, batch, [0, 1, 2], [2, 2, 1], of["alpha"])
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(expected, rel=1e-5)
    assert step.weight is not None
    assert step.weight.tolist() == [[1.0, 1.0, 1.0, 0.0]]
    assert step.target is not None
    assert step.target.tolist() == [[2, 2, 1, 1]]  # the given label where there is no target
    found = {name: float(value) for name, value in step.logs.items()}
    assert found == {"clean": 0.25, "hard": 0.25, "corrected": 0.25}
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter_gradients(method))


def test_a_batch_without_a_target_makes_no_update_and_is_remembered() -> None:
    method = with_targets(make_method(), [0] * 4, [0] * 4, [-1] * 4)
    step = method.loss(make_batch(range(4), LABELS, views=2, epoch=20))
    assert step.loss is None
    assert step.weight is not None
    assert step.weight.tolist() == [[0.0] * 4]
    assert step.target is not None
    assert step.target.tolist() == [LABELS.tolist()]
    assert bool((method.weak_memory[:4].sum(dim=1) > 0.99).all())


def test_a_lone_row_is_mixed_with_itself() -> None:
    method = with_targets(make_method(), [0] * 4, [0] * 4, [-1, 0, -1, -1])
    batch = make_batch(range(4), LABELS, views=2, epoch=20)
    step = method.loss(batch)
    assert min(method.network.encoder.rows) == 2, "batch normalisation needs two rows"
    ce = torch.nn.functional.cross_entropy
    expected = sum(ce(method.network(view[1:2]), torch.tensor([0])) for view in batch.images)
    assert step.loss is not None
    assert torch.allclose(step.loss, torch.as_tensor(expected))


def test_variant_and_prediction() -> None:
    assert DISCParams(**DISC.variants["hard-0.2"].params).hard_weight == 0.2  # type: ignore[arg-type]
    method = make_method()
    images = make_batch(range(6), torch.zeros(6)).images[0]
    assert torch.allclose(method.predict(images), method.network(images).softmax(1))
    assert DISC.views == ("weak", "strong")
