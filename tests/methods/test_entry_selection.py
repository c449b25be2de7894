from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fernoise_bench.methods.base import Network
from fernoise_bench.methods.entry_selection import (
    EntrySchedule,
    entry_losses,
    entry_noise_rates,
    small_loss_entries,
)

from ..baselines.linear import make_identity
from ..baselines.linear_multi import (
    LABELS,
    ROWS,
    VERIFIED,
    Line,
    bce_of,
    features,
    kept_by_loop,
    multi_batch,
    rates_by_loop,
    train_view,
)
from .toy import make_task, random_labels


def keep_of(losses: list[float], labels: list[int], positive: float, negative: float = 0.0) -> list[int]:
    """The rows kept of one AU without verified rows."""
    column = torch.tensor(losses, dtype=torch.float64)[:, None]
    rates = torch.tensor([[positive], [negative]], dtype=torch.float64)
    unverified = torch.zeros(len(losses), dtype=torch.bool)
    kept = small_loss_entries(column, torch.tensor(labels)[:, None], rates, unverified)
    assert kept.dtype == torch.bool
    return kept.flatten().nonzero().flatten().tolist()


@given(st.integers(0, 9), st.integers(1, 4), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_small_loss_entries_group_by_group(rows: int, aus: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    losses = generator.integers(0, 4, size=(rows, aus)) / 2  # many ties
    labels = generator.integers(-1, 2, size=(rows, aus))
    rates, verified = generator.random((2, aus)), generator.random(rows) < 0.3
    kept = small_loss_entries(*map(torch.from_numpy, (losses, labels, rates, verified)))
    assert kept.tolist() == kept_by_loop(losses, labels, rates, verified).tolist()
    assert not (kept.numpy() & (labels == 0)).any()


def test_how_many_are_left_out_is_rounded_to_the_nearest() -> None:
    five = [0.1, 0.5, 0.3, 0.2, 0.4]
    assert keep_of(five, [1] * 5, 0.09) == [0, 1, 2, 3, 4]  # 0.45
    assert keep_of(five, [1] * 5, 0.1) == [0, 2, 3, 4]  # 0.5
    assert keep_of(five, [1] * 5, 0.29) == [0, 2, 3, 4]  # 1.45
    assert keep_of(five, [1] * 5, 0.3) == [0, 2, 3]  # 1.5
    assert keep_of(five, [1] * 5, 1.0) == [0]  # the last one stays
    assert keep_of([0.1, 9.0], [1, 1], 0.2) == [0, 1]  # 0.4 of two rare positives
    assert keep_of([9.0], [1], 0.9) == [0]


def test_ties_and_signs_and_unknown_entries() -> None:
    assert keep_of([1.0, 1.0, 1.0, 1.0], [1] * 4, 0.5) == [0, 1]  # ties: earlier rows first
    # The positives cost more than every negative, and one of them is left out all the same, not all.
    assert keep_of([5.0, 0.1, 6.0, 0.2, 0.3, 7.0], [1, -1, 1, -1, 0, 1], 1 / 3, 0.5) == [0, 1, 2]
    assert keep_of([1.0, 2.0], [0, 0], 0.5, 0.5) == []
    assert keep_of([], [], 0.5) == []


def test_verified_rows_stay_whole_and_do_not_count() -> None:
    labels = torch.tensor([[1, 0], [1, -1], [1, -1], [1, -1]])
    losses = torch.tensor([[9.0, 9.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    kept = small_loss_entries(losses, labels, torch.full((2, 2), 0.5), torch.tensor([True, False, False, False]))
    assert kept.tolist() == [[True, False], [True, True], [False, False], [False, False]]  # 1.5 rounds to 2 of three
    everything = small_loss_entries(losses, labels, torch.full((2, 2), 0.9), torch.ones(4, dtype=torch.bool))
    assert everything.tolist() == (labels != 0).tolist()


def test_selection_carries_no_gradient() -> None:
    losses = torch.rand(4, 2, dtype=torch.float64, requires_grad=True)
    kept = small_loss_entries(losses, random_labels(0, 4, 2), torch.zeros(2, 2), torch.zeros(4, dtype=torch.bool))
    assert not kept.requires_grad


def test_losses_of_a_pass_and_rates_of_each_au_and_sign() -> None:
    networks = [Network(make_identity, 3, peer).double() for peer in range(2)]
    losses = entry_losses(networks, train_view())
    target = (LABELS > 0).astype(np.float64)
    expected = sum(bce_of(Line(network.head)(features()), target) for network in networks) / 2
    assert losses.shape == (ROWS, 3)
    assert np.allclose(losses.numpy(), expected, rtol=1e-12)
    assert not losses.requires_grad
    assert all(network.training for network in networks)
    rates = entry_noise_rates(losses, torch.from_numpy(LABELS), torch.from_numpy(VERIFIED))
    assert rates.dtype == torch.float64
    assert np.allclose(rates.numpy(), rates_by_loop(expected), rtol=1e-10)
    assert rates.numpy().max() > 0


class Modes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.modes: list[bool] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.modes.append(self.training)
        return images.flatten(1)[:, :3]


def test_the_pass_is_made_in_evaluation_mode() -> None:
    network = Modes()
    entry_losses([network], train_view())
    assert network.modes == [False] * 3
    assert network.training


def test_rates_find_the_wrong_labels() -> None:
    generator = np.random.default_rng(3)
    wrong = generator.random((600, 2)) < np.array([0.1, 0.3])
    losses = torch.from_numpy(np.where(wrong, 3.0, 0.2) + 0.05 * generator.normal(size=(600, 2)))
    labels = torch.ones(600, 2, dtype=torch.int64)
    rates = entry_noise_rates(losses, labels, torch.zeros(600, dtype=torch.bool))
    assert rates[0].tolist() == pytest.approx(wrong.mean(axis=0).tolist(), abs=0.01)
    assert rates[1].tolist() == [0.0, 0.0]  # no negatives
    half = torch.arange(600) < 300
    losses[half] = torch.rand(300, 2, dtype=torch.float64) * 9  # verified rows have no part
    again = entry_noise_rates(losses, labels, half)
    assert again[0].tolist() == pytest.approx(wrong[300:].mean(axis=0).tolist(), abs=0.01)


def test_labels_the_networks_agree_with_are_not_counted_as_wrong() -> None:
    losses = torch.from_numpy(np.random.default_rng(4).exponential(0.1, size=(400, 1)))
    labels, unverified = torch.full((400, 1), -1), torch.zeros(400, dtype=torch.bool)
    assert entry_noise_rates(losses.clamp(max=0.69), labels, unverified).tolist() == [[0.0], [0.0]]
    losses[:20] = 0.7  # just over log 2
    assert entry_noise_rates(losses.clamp(max=0.7), labels, unverified)[1].item() == pytest.approx(20 / 400)


def test_a_rare_sign_is_not_wrong_for_being_rare() -> None:
    """Networks that see a little find rare positives less likely than their contrary, but likelier than their share."""
    generator = np.random.default_rng(5)
    labels = torch.from_numpy(np.where(generator.random((2000, 1)) < 0.06, 1, -1))
    unverified = torch.zeros(2000, dtype=torch.bool)
    seen = torch.where(labels > 0, 0.12, 0.05)
    losses = -torch.where(labels > 0, seen, 1 - seen).log() + 0.01 * torch.from_numpy(generator.random((2000, 1)))
    assert entry_noise_rates(losses, labels, unverified).flatten().tolist() == [0.0, 0.0]


def test_schedule_ramps_what_it_estimates_once() -> None:
    task = make_task("multi", 3, noise_rate=0.4)
    schedule = EntrySchedule(task, ramp_epochs=5, estimate_epoch=2)
    networks = [Network(make_identity, 3).double()]
    for epoch in (0, 1):
        schedule.begin_epoch(epoch, train_view(), networks)
        assert not schedule.at(epoch).any()
    schedule.begin_epoch(2, train_view(), networks)
    estimate = schedule.rates.clone()
    assert estimate.max() > 0
    assert torch.equal(schedule.at(2), estimate * 0.5)
    assert torch.equal(schedule.at(4), estimate)
    assert torch.equal(schedule.at(9), estimate)
    with torch.no_grad():
        networks[0].head.weight.mul_(-3.0)
    schedule.begin_epoch(3, train_view(), networks)
    assert torch.equal(schedule.rates, estimate)
    assert not task.oracle_reads
    resumed = EntrySchedule(task, ramp_epochs=5, estimate_epoch=2)
    resumed.load_state_dict(schedule.state_dict())
    assert torch.equal(resumed.at(7), estimate)


def test_schedule_never_trusts_an_untrained_network_and_may_do_without_a_ramp() -> None:
    schedule = EntrySchedule(make_task("multi", 3), ramp_epochs=1, estimate_epoch=0)
    network = [Network(make_identity, 3).double()]
    schedule.begin_epoch(0, train_view(), network)
    assert not schedule.rates.any()
    schedule.begin_epoch(1, train_view(), network)
    assert torch.equal(schedule.at(1), schedule.rates)
    assert schedule.rates.any()


def test_the_toy_has_a_repeated_row_and_all_kinds_of_entries() -> None:
    assert set(np.unique(LABELS)) == {-1, 0, 1}
    assert multi_batch([1, 1]).index.tolist() == [1, 1]
