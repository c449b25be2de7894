from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fernoise_bench.methods.flip_rate_estimation import (
    EstimationSchedule,
    below_one,
    best_pairs,
    dual_t,
    estimate_flip_rates,
    evaluated_logits,
    pairwise_flip_rates,
    rest_by_dual_t,
    select_reliable,
    transitions,
    usable_pairs,
)
from fernoise_bench.methods.mixture import clean_probability

from .flip_rates_by_loop import (
    Labels,
    Mask,
    best_by_loop,
    dual_t_by_loop,
    pair_by_loop,
    selected_by_loop,
    view_of,
)
from .toy import make_task

NAN = math.nan


def related_labels(seed: int, rows: int = 400, aus: int = 5, unknown: float = 0.1) -> tuple[Labels, Mask]:
    """Flipped labels of AUs that have a common cause, and a selection of mostly right ones."""
    generator = np.random.default_rng(seed)
    cause = generator.random((rows, 1)) < 0.5
    true = generator.random((rows, aus)) < np.where(cause, 0.75, 0.2)
    wrong = generator.random((rows, aus)) < np.where(true, 0.25, 0.1)
    labels = np.where(true ^ wrong, 1, -1)
    labels[generator.random((rows, aus)) < unknown] = 0
    selected = (labels != 0) & (generator.random((rows, aus)) < np.where(wrong, 0.05, 0.8))
    return labels, selected


def torched(labels: Labels, selected: Mask) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(labels), torch.from_numpy(selected)


@pytest.mark.parametrize(("seed", "unknown"), [(0, 0.0), (1, 0.1), (2, 0.5)])
def test_rates_by_each_pair(seed: int, unknown: float) -> None:
    labels, selected = related_labels(seed, unknown=unknown)
    prior, positive, negative = pairwise_flip_rates(*torched(labels, selected))
    assert prior.dtype == positive.dtype == negative.dtype == torch.float64
    for values in (prior, positive, negative):
        assert values.diagonal().isnan().all()
    for i in range(5):
        for k in range(5):
            if i != k:
                pair = pair_by_loop(labels, selected, i, k)
                assert prior[i, k].item() == pytest.approx(pair["prior"], rel=1e-9)
                assert positive[i, k].item() == pytest.approx(pair["positive"], rel=1e-9, abs=1e-12, nan_ok=True)
                assert negative[i, k].item() == pytest.approx(pair["negative"], rel=1e-9, abs=1e-12, nan_ok=True)


def exact_population() -> tuple[Labels, Mask]:
    """Counts for which the assumptions hold exactly, of two AUs; 60 % of AU 0 are truly positive.

    Of its positives 25 % are turned, of its negatives 12.5 %. AU 1 occurs in ¾ of the true positives and in ¼ of the
    true negatives of AU 0, whatever is given; the labels of AU 0 that are right are selected.
    """
    rows, chosen = [], []
    for true, number, flipped in ((1, 960, 240), (-1, 640, 80)):
        for wrong, count in ((True, flipped), (False, number - flipped)):
            present = count * (3 if true > 0 else 1) // 4
            rows += [(-true if wrong else true, 1)] * present + [(-true if wrong else true, -1)] * (count - present)
            chosen += [(not wrong, True)] * count
    return np.array(rows), np.array(chosen)


def test_an_exact_population_gives_its_rates() -> None:
    prior, positive, negative = pairwise_flip_rates(*torched(*exact_population()))
    assert prior[0, 1].item() == pytest.approx(0.6, abs=1e-12)
    assert positive[0, 1].item() == pytest.approx(0.25, abs=1e-12)
    assert negative[0, 1].item() == pytest.approx(0.125, abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("slack", [0.0, 0.3, 3.0])
def test_the_best_pair_of_each_au(seed: int, slack: float) -> None:
    labels, selected = related_labels(seed, rows=250)
    expected = best_by_loop(labels, selected, 20, slack)
    found = best_pairs(*torched(labels, selected), 20, slack)
    for values, wanted in zip(found[:2], expected[:2], strict=True):
        assert values.dtype == torch.float64
        assert values.tolist() == pytest.approx(wanted, rel=1e-9, abs=1e-12, nan_ok=True)
    assert found[2].tolist() == expected[2]
    for values, wanted in zip(estimate_flip_rates(*torched(labels, selected), 20, slack), found, strict=False):
        assert torch.equal(values.nan_to_num(-1), wanted.nan_to_num(-1))


def test_defaults_are_fifty_rows_and_a_slack_of_three_tenths() -> None:
    labels, selected = related_labels(7, rows=600)
    assert estimate_flip_rates(*torched(labels, selected))[0].tolist() == pytest.approx(
        best_by_loop(labels, selected, 50, 0.3)[0], rel=1e-9, nan_ok=True
    )


def test_what_makes_a_pair_usable() -> None:
    cases = [  # prior, positive, negative, usable, with 3 AUs and slack 0.3: from -0.1 on a rate counts as 0
        (0.5, 0.2, 0.1, True), (0.0, 0.0, 0.0, True), (1.0, 0.2, 0.7, True),
        (-0.01, 0.2, 0.1, False), (1.01, 0.2, 0.1, False), (NAN, 0.2, 0.1, False),
        (0.5, -0.09, 0.1, True), (0.5, 0.1, -0.09, True), (0.5, -0.11, 0.1, False), (0.5, 0.1, -0.11, False),
        (0.5, 0.5, 0.5, False), (0.5, 0.7, 0.4, False), (0.5, 1.0, 0.0, False), (0.5, 0.6, -0.05, True),
        (0.5, NAN, 0.1, False), (0.5, 0.1, NAN, False), (0.5, math.inf, 0.1, False), (0.5, 0.1, -math.inf, False),
    ]  # fmt: skip
    for prior, positive, negative, usable in cases:
        full = (torch.full((3, 3), value, dtype=torch.float64) for value in (prior, positive, negative))
        out_positive, out_negative, kept = usable_pairs(*full, 0.3)
        assert kept.all() == kept.any() == usable
        if usable:
            assert out_positive[0, 0].item() == max(0.0, positive)
            assert out_negative[0, 0].item() == max(0.0, negative)
    edge = torch.full((2, 2), -0.15, dtype=torch.float64)
    assert not usable_pairs(edge + 1, edge, edge + 0.3, 0.3)[2].any()  # the slack itself is too much


@pytest.mark.parametrize("sign", [1, -1])
def test_an_au_needs_enough_selected_rows_of_each_sign(sign: int) -> None:
    labels, selected = related_labels(3)
    column = np.flatnonzero(selected[:, 2] & (labels[:, 2] == sign))
    selected[column[50:], 2] = False
    labels[column[:50], 0] = 0  # the rows need not be known in another AU
    assert not estimate_flip_rates(*torched(labels, selected), minimum=50)[0][2].isnan()
    selected[column[0], 2] = False
    positive, negative, pairs = best_pairs(*torched(labels, selected), minimum=50)
    assert positive[2].isnan() and negative[2].isnan() and pairs[2] == 0  # noqa: PT018
    assert not positive[[0, 1, 3, 4]].isnan().all()


def test_of_equally_good_pairs_the_first() -> None:
    labels, selected = related_labels(4, aus=3)
    labels, selected = labels[:, [0, 1, 1]], selected[:, [0, 1, 1]]
    positive, _, pairs = best_pairs(*torched(labels, selected), minimum=10)
    first = pairwise_flip_rates(*torched(labels, selected))[1][0]
    assert pairs[0] == 2
    assert positive[0] == first[1]


def test_aus_that_say_nothing_of_each_other_are_no_trouble() -> None:
    labels = np.ones((200, 3), dtype=np.int64)
    labels[:100, 0] = -1  # the others are always present
    labels[:, 2] = 0
    selected = labels != 0
    positive, negative, pairs = best_pairs(*torched(labels, selected))
    assert positive.isnan().all() and negative.isnan().all() and not pairs.any()  # noqa: PT018


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_reliable_entries(seed: int, threshold: float) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(-1, 2, size=(60, 3))
    losses = generator.gamma(1.0, 1.0, size=(3, 60, 3)) * np.where(generator.random((60, 3)) < 0.3, 4.0, 1.0)
    found = select_reliable(torch.from_numpy(losses), torch.from_numpy(labels), threshold)
    assert found.dtype == torch.bool
    assert (found.numpy() == selected_by_loop(losses, labels, threshold)).all()
    assert not found.numpy()[labels == 0].any()
    assert 0 < found.sum() < (labels != 0).sum()


def test_epochs_count_alike_and_signs_apart() -> None:
    labels = torch.tensor([[1]] * 6 + [[-1]] * 6)
    small = torch.tensor([0.0, 0.1, 0.2, 5.0, 5.1, 5.2])
    first = torch.cat([small, 100 + small])[:, None]  # negatives have larger losses, and are judged by themselves
    selected = select_reliable(torch.stack([first, 1000 * first]), labels)
    assert selected[:, 0].tolist() == [True, True, True, False, False, False] * 2


def test_averages_are_not_scaled_again() -> None:
    generator = np.random.default_rng(5)
    labels = np.ones((200, 1), dtype=np.int64)
    losses = generator.gamma(2.0, 1.0, size=(5, 200, 1))  # five unrelated epochs: averages far from 0 and 1
    found = select_reliable(torch.from_numpy(losses), torch.from_numpy(labels))[:, 0].numpy()
    low, high = losses.min(axis=1, keepdims=True), losses.max(axis=1, keepdims=True)
    again = clean_probability(torch.from_numpy(((losses - low) / (high - low)).mean(axis=0)[:, 0])) > 0.5
    assert (found != again.numpy()).any()
    assert (found == selected_by_loop(losses, labels)[:, 0]).all()


def test_few_or_equal_losses_are_all_reliable() -> None:
    labels = torch.tensor([[1, -1, 0], [-1, -1, 1], [-1, -1, 1]])
    assert torch.equal(select_reliable(torch.full((2, 3, 3), 0.7), labels), labels != 0)
    assert torch.equal(select_reliable(torch.rand(2, 3, 3)[:, :1], labels[:1]), labels[:1] != 0)
    assert not select_reliable(torch.zeros(1, 0, 3), labels[:0]).any()


def test_losses_must_be_finite_where_they_are_read() -> None:
    losses = torch.rand(2, 3, 1)
    labels = torch.tensor([[1], [1], [0]])
    losses[:, 2] = NAN
    assert select_reliable(losses, labels).sum() > 0
    losses[0, 1] = math.inf
    with pytest.raises(ValueError, match="finite"):
        select_reliable(losses, labels)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_dual_t(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.choice([-1, 1], size=50)
    p = np.clip(generator.normal(0.5 + 0.2 * labels, 0.2), 0.01, 0.99)
    positive, negative = dual_t(torch.from_numpy(p), torch.from_numpy(labels))
    assert (positive, negative) == pytest.approx(dual_t_by_loop(p, labels), rel=1e-12)


def test_dual_t_by_hand() -> None:
    p, labels = torch.tensor([0.1, 0.4, 0.5, 0.8, 0.9]), torch.tensor([-1, 1, -1, 1, 1])  # 0.5 is predicted negative
    positive, negative = dual_t(p, labels)
    assert positive == pytest.approx(0.1 * 2 / 3 + 0.9 * 0)
    assert negative == pytest.approx(0.9 / 3 + 0.1 * 1)
    positive, negative = dual_t(p / 2, labels)  # never predicted positive: a row of zeros
    assert positive == pytest.approx(0.55 * 2 / 5)
    assert negative == pytest.approx(0.95 * 3 / 5)
    assert dual_t(p[:0], labels[:0]) == (0.0, 0.0)


def test_rates_below_one_and_transitions() -> None:
    positive = torch.tensor([0.2, 0.7, 1.0, NAN, 0.999], dtype=torch.float64)
    negative = torch.tensor([0.1, 0.5, 0.0, NAN, 0.0], dtype=torch.float64)
    limited = below_one(positive, negative)
    assert limited[0].tolist() == pytest.approx([0.2, 0.99 * 0.7 / 1.2, 0.99, 0.0, 0.999])
    assert limited[1].tolist() == pytest.approx([0.1, 0.99 * 0.5 / 1.2, 0.0, 0.0, 0.0])
    assert transitions(positive, negative)[0].flatten().tolist() == pytest.approx([0.9, 0.1, 0.2, 0.8])


@pytest.mark.parametrize(
    ("epochs", "warm_up", "sample", "window"),
    [(40, 20, 10, 5), (25, 12, 6, 5), (20, 10, 5, 5), (15, 8, 4, 4), (6, 3, 2, 2), (2, 2, 1, 1), (1, 2, 1, 1)],
)
def test_epochs_of_the_estimate(epochs: int, warm_up: int, sample: int, window: int) -> None:
    schedule = EstimationSchedule.of(make_task("multi", epochs=epochs), 20, 10, 40, 5)
    assert (schedule.warm_up, schedule.sample, schedule.window) == (warm_up, sample, window)
    taken = {epoch: schedule.slot(epoch) for epoch in range(epochs + 1) if schedule.slot(epoch) is not None}
    # losses after epochs sample-window .. sample-1, so at the start of the epochs after them
    expected = {sample - window + 1 + place: place for place in range(window)}
    assert taken == {epoch: place for epoch, place in expected.items() if epoch <= epochs}


class Watched(nn.Module):
    """The sum of an image, thrice, and whether it was in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.modes: list[bool] = []

    def forward(self, images: Tensor) -> Tensor:
        self.modes.append(self.training)
        return (images.flatten(1).sum(dim=1, keepdim=True) - 6) * torch.tensor([1.0, -1.0, 2.0])


@pytest.mark.parametrize("augment", [False, True])
def test_logits_of_the_whole_set(augment: bool) -> None:
    network, train = Watched(), view_of(np.ones((23, 3), dtype=np.int64))
    logits = evaluated_logits(network, train, augment=augment)
    images = torch.cat([batch.images[0] for batch in train.batches(augment=augment)])
    assert torch.equal(logits, network(images))
    assert network.modes == [False, False, False, True]


def test_dual_t_fills_what_is_missing() -> None:
    labels = np.random.default_rng(0).integers(-1, 2, size=(23, 3))
    labels[:, 2] = 0
    network, train = Watched(), view_of(labels)
    rates: Any = [
        torch.tensor([0.3, NAN, NAN], dtype=torch.float64),
        torch.tensor([0.2, NAN, NAN], dtype=torch.float64),
    ]
    positive, negative = rest_by_dual_t(*rates, network, train)
    p = evaluated_logits(network, train, augment=True).sigmoid().numpy()
    expected = dual_t_by_loop(p[:, 1], labels[:, 1])
    assert positive.tolist() == pytest.approx([0.3, expected[0], 0.0], rel=1e-9)
    assert negative.tolist() == pytest.approx([0.2, expected[1], 0.0], rel=1e-9)
    network.modes.clear()
    assert rest_by_dual_t(positive, negative, network, train) == (positive, negative)
    assert not network.modes
