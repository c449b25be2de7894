from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from fernoise_bench.methods.selection import (
    balance_targets,
    choose_rows,
    positive_frequency,
    rank_regularization,
    selective_weights,
    small_loss,
    write_rows,
)

from .toy import random_labels, random_logits


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def column(positives: int, negatives: int, unknown: int = 0) -> torch.Tensor:
    values = np.array([1] * positives + [-1] * negatives + [0] * unknown)
    return torch.from_numpy(np.random.default_rng(0).permutation(values))[:, None]


@pytest.mark.parametrize(
    ("size", "rate", "kept"),
    [
        (5, 0.8, 1),  # int((1 - 0.8)·5) is 0: raised to 1
        (20, 0.8, 3),  # 3.9999999999999996 in float64
        (10, 0.3, 7),
        (128, 0.4, 76),
        (4, 0.0, 4),
        (7, 1.0, 1),
        (1, 0.5, 1),
    ],
)
def test_small_loss_counts_in_float64(size: int, rate: float, kept: int) -> None:
    losses = random_logits(0, size).float()
    assert len(small_loss(losses, rate)) == kept


def test_small_loss_is_ascending_stable_and_detached() -> None:
    losses = torch.tensor([2.0, 1.0, 0.5, 1.0, 1.0, 3.0], requires_grad=True)
    chosen = small_loss(losses, 0.34)
    assert chosen.tolist() == [2, 1, 3]
    assert chosen.dtype == torch.int64
    assert small_loss(torch.ones(6), 0.5).tolist() == [0, 1, 2]
    assert small_loss(torch.ones(0), 0.5).tolist() == []


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_small_loss_is_a_stable_sort_cut_off(values: list[int], rate: float) -> None:
    expected = sorted(range(len(values)), key=lambda i: (values[i], i))[: max(1, int((1 - rate) * len(values)))]
    assert small_loss(torch.tensor(values, dtype=torch.float64), rate).tolist() == expected


def test_rank_regularization_by_hand() -> None:
    attention = torch.tensor([0.9, 0.2, 0.5, 0.6, 0.1], dtype=torch.float64, requires_grad=True)
    # K = int(.7·5) = 3: high .9 .6 .5, low .2 .1
    gap = (0.9 + 0.6 + 0.5) / 3 - (0.2 + 0.1) / 2
    assert float(rank_regularization(attention, 0.7, 0.7).detach()) == pytest.approx(0.7 - gap, rel=1e-12)
    assert float(rank_regularization(attention, 0.7, 0.1).detach()) == 0.0
    assert float(rank_regularization(attention[:, None], 0.7, 0.7).detach()) == pytest.approx(0.7 - gap, rel=1e-12)
    assert gradcheck(lambda a: rank_regularization(a, 0.7, 0.7), (attention,))
    for ratio in (0.0, 0.1, 1.0):  # one group is empty
        loss = rank_regularization(attention, ratio, 0.7)
        loss.backward()
        assert float(loss.detach()) == 0.0


def test_rank_regularization_counts_as_the_authors_do() -> None:
    attention = torch.linspace(1, 0, 90, dtype=torch.float64)
    values = attention.tolist()  # int(.7·90) is 62, not 63
    expected = 1 - (sum(values[:62]) / 62 - sum(values[62:]) / 28)
    assert float(rank_regularization(attention, 0.7, 1.0)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("positives", "negatives", "share", "kept"),
    [
        (5, 95, 0.2, 20),
        (15, 85, 0.2, 20),
        (0, 100, 0.2, 20),
        (20, 80, 0.2, 80),  # exactly the share: no change
        (30, 70, 0.2, 70),
        (80, 20, 0.5, 20),  # majority positive: never balanced
        (10, 40, 0.3, 15),  # 50 × 0.3 in float32 is 15.000001
        (15, 35, 0.3, 35),
        (3, 4, 0.5, 4),  # ceil(3.5)
        (5, 0, 0.9, 0),
        (0, 0, 0.3, 0),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mlcr_undersamples_negatives(
    positives: int, negatives: int, share: float, kept: int, dtype: torch.dtype
) -> None:
    labels = column(positives, negatives, unknown=7)
    weight = selective_weights(labels, torch.tensor([share], dtype=dtype), "mlcr", generator())
    assert weight.dtype == dtype
    assert set(weight.unique().tolist()) <= {0.0, 1.0}
    assert float(weight[labels > 0].sum()) == positives
    assert float(weight[labels < 0].sum()) == kept
    assert not weight[labels == 0].any()


@given(st.integers(1, 60), st.integers(0, 60), st.sampled_from([1, 2, 3, 5, 7, 9]))
@settings(max_examples=60, deadline=None)
def test_mlcr_count_is_the_exact_ceiling(known: int, positives: int, tenths: int) -> None:
    positives = min(positives, known)
    labels = column(positives, known - positives)
    wanted = known * Fraction(tenths, 10)
    kept = min(known - positives, math.ceil(wanted)) if positives < wanted else known - positives
    for dtype in (torch.float32, torch.float64):
        weight = selective_weights(labels, torch.tensor([tenths / 10], dtype=dtype), "mlcr", generator())
        assert float(weight[labels < 0].sum()) == kept


def test_hand_samples_one_class_and_weights_the_other() -> None:
    share = torch.tensor([0.2], dtype=torch.float64)
    labels = column(5, 95)
    weight = selective_weights(labels, share, "hand", generator())
    assert weight[labels > 0].tolist() == [4.0] * 5  # 20 / 5
    assert float(weight[labels < 0].sum()) == 80.0
    labels = column(40, 60, unknown=3)
    weight = selective_weights(labels, share, "hand", generator())
    assert float(weight[labels > 0].sum()) == 20.0
    assert weight[labels < 0].tolist() == pytest.approx([80 / 60] * 60)
    assert not weight[labels == 0].any()
    assert float(selective_weights(column(0, 10), share, "hand", generator()).sum()) == 8.0


def test_selective_weights_none_and_unknown_mode() -> None:
    labels = random_labels(3, 5, 2)
    share = torch.tensor([0.2, 0.3], dtype=torch.float64)
    assert torch.equal(selective_weights(labels, share, "none", generator()), (labels != 0).double())
    with pytest.raises(ValueError, match="mode"):
        selective_weights(labels, share, "mode", generator())  # type: ignore[arg-type]
    assert selective_weights(labels[:0], share, "mlcr", generator()).shape == (0, 2)
    assert selective_weights(labels[:0], share, "hand", generator()).shape == (0, 2)


def test_selective_choice_comes_from_the_generator_alone() -> None:
    labels, share = column(2, 30), torch.tensor([0.2])
    state = torch.get_rng_state()
    first = selective_weights(labels, share, "mlcr", generator(1))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first, selective_weights(labels, share, "mlcr", generator(1)))
    assert not torch.equal(first, selective_weights(labels, share, "mlcr", generator(2)))
    counts: Counter[int] = Counter()
    shared = generator(3)
    for _ in range(300):
        weight = selective_weights(labels, share, "mlcr", shared)[:, 0]
        counts.update(torch.nonzero((weight > 0) & (labels[:, 0] < 0)).flatten().tolist())
    expected = 300 * 7 / 30  # ceil(6.4) of 30
    assert len(counts) == 30
    assert all(abs(count - expected) < 5 * math.sqrt(expected) for count in counts.values())


@pytest.mark.parametrize("share", [[0.2, 0.5], np.array([0.2, 0.5]), torch.tensor([0.2, 0.5])], ids=type)
def test_selective_choice_by_numpy(share: Any) -> None:
    labels = torch.cat([column(5, 95, unknown=7), column(90, 10, unknown=7)], dim=1)
    state = torch.get_rng_state()
    weight = selective_weights(labels, share, "mlcr", np.random.default_rng(1))
    assert (weight * (labels < 0)).sum(0).tolist() == [20.0, 10.0]
    assert (weight * (labels > 0)).sum(0).tolist() == [5.0, 90.0]
    hand = selective_weights(labels, share, "hand", np.random.default_rng(1))
    assert hand.sum(0).tolist() == pytest.approx([100.0, 100.0])  # either class by its target, from 5 : 95 and 90 : 10
    assert (hand * (labels > 0)).sum(0).tolist() == pytest.approx([20.0, 50.0])
    assert torch.equal(weight, selective_weights(labels, share, "mlcr", np.random.default_rng(1)))
    assert not torch.equal(weight, selective_weights(labels, share, "mlcr", np.random.default_rng(2)))
    assert torch.equal(state, torch.get_rng_state())


def test_aus_are_drawn_independently() -> None:
    labels = column(2, 30).expand(-1, 2)
    weight = selective_weights(labels, torch.tensor([0.2, 0.2]), "mlcr", generator())
    assert not torch.equal(weight[:, 0], weight[:, 1])


def test_positive_frequency_counts_known_entries() -> None:
    labels = torch.tensor([[1, 0, -1, 0], [-1, 1, -1, 0], [1, 0, -1, 0]], dtype=torch.int8)
    found = positive_frequency(labels)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx([2 / 3, 1.0, 0.0, math.nan], nan_ok=True)
    assert positive_frequency(labels[:0]).isnan().all()


def test_balance_targets() -> None:
    emotionet = [f"AU{k}" for k in (1, 2, 4, 5, 6, 9, 12, 17, 20, 25, 26, 43)]
    bp4d = [f"AU{k}" for k in (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)]
    rates = torch.full((12,), 0.9)
    assert balance_targets(emotionet, rates).tolist() == [0.2, 0.3, 0.2, 0.2, 0.5, 0.2, 0.5, 0.2, 0.1, 0.5, 0.2, 0.3]
    assert balance_targets(bp4d, rates).tolist() == [0.3, 0.3, 0.5, 0.3, 0.3, 0.5, 0.3, 0.5, 0.3, 0.3, 0.3, 0.3]
    other = balance_targets(["AU1", "AU2", "AU4"], torch.tensor([0.05, 0.4, math.nan], dtype=torch.float64))
    assert other.tolist() == [0.2, 0.4, 0.2]
    assert other.dtype == torch.float64


def test_choose_rows() -> None:
    verified = torch.tensor([True, False, True])
    assert choose_rows(verified, "clean").tolist() == [True, False, True]
    assert choose_rows(verified, "noisy").tolist() == [False, True, False]
    assert choose_rows(verified, "both").tolist() == [True, True, True]
    with pytest.raises(ValueError, match="rows"):
        choose_rows(verified, "all")  # type: ignore[arg-type]


def test_write_rows_lets_the_last_repeat_win() -> None:
    memory = torch.zeros(5, dtype=torch.int64)
    write_rows(memory, torch.tensor([3, 1, 3, 0, 1]), torch.tensor([1, 2, 3, 4, 5]))
    assert memory.tolist() == [4, 5, 0, 3, 0]
    table = torch.zeros(3, 2)
    write_rows(table, torch.tensor([2, 2]), torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64))
    assert table.tolist() == [[0, 0], [0, 0], [3, 4]]
    write_rows(table, torch.zeros(0, dtype=torch.int64), torch.zeros(0, 2))
    assert table.sum() == 7
