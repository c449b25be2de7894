"""FER+ with labels of a few votes and with their twins: what is drawn for a cell, on generated and on real faces."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import combinations_with_replacement
from math import factorial, prod
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.catalog import PROTOCOLS, find
from fernoise_bench.protocols.loading import draws_noise, open_data
from fernoise_bench.protocols.rows import CellData
from fernoise_bench.protocols.vote_noise import drawn_majority

NAMES = [name for name in PROTOCOLS if name.startswith("ferplus-votes:")]
TWINS = [name for name in NAMES if "-" in name.partition(":")[2]]
DATA = os.environ.get("FERNOISE_DATA", "")


def cell(name: str, draw: int = 0, source: str = "generated") -> CellData:
    root = Path(DATA or "nowhere")
    return open_data(find(name), "smoke", source, root).cell(None, None, draw)  # type: ignore[arg-type]


def wrong(found: CellData) -> int:
    return int((found.train.given != found.train.reference).sum())


def test_there_are_five_sizes_and_three_twins() -> None:
    assert [name.partition(":")[2] for name in NAMES] == [
        *("1", "2", "3", "5", "all"),
        *("1-symmetric", "1-confusion", "1-instance"),
    ]
    assert all(draws_noise(find(name), "real") for name in NAMES)
    assert all(find(name).data == ("ferplus",) for name in NAMES)


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("draw", [0, 3])
def test_a_twin_has_as_many_wrong_labels_in_training_and_validation(name: str, draw: int) -> None:
    human, twin = cell("ferplus-votes:1", draw), cell(name, draw)
    assert wrong(twin) == wrong(human) > 0
    assert (twin.train.given != human.train.given).any()
    assert (twin.train.reference == human.train.reference).all()
    assert twin.validation is not None
    assert human.validation is not None
    counts = [(part.given != part.reference).sum() for part in (twin.validation, human.validation)]
    assert counts[0] == counts[1]
    assert twin.noise["kind"] == find(name).noise
    assert twin.noise["realised"] == human.noise["realised"]
    assert (twin.test.given == twin.test.reference).all()


def test_more_votes_are_more_often_right() -> None:
    rates = [cell(f"ferplus-votes:{count}").noise["realised"] for count in (1, 3, 5, "all")]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > rates[-1]


@pytest.mark.parametrize("name", NAMES)
def test_cards_say_what_probabilities_are_judged_against_and_what_else_votes_are_for(name: str) -> None:
    """All votes, single ones too, are the test faces' distribution; soft_labels trains on others."""
    words = dict(find(name).about)["votes"]
    assert "judged against the shares of all votes for the classes" in words
    assert "single votes included, unknown and not-a-face left out" in words
    assert "the distributions from which soft_labels trains are others" in words


def test_the_card_of_all_votes_says_that_none_is_drawn() -> None:
    drawn = {count: dict(find(f"ferplus-votes:{count}").about)["noise"] for count in (1, 2, 3, 5, "all")}
    assert "replacement" not in drawn.pop("all")
    assert all("drawn with replacement" in words for words in drawn.values())


def chance_of_right(share: np.ndarray, label: np.ndarray, count: int) -> np.ndarray:
    """The probability of each row that its label wins among `count` votes, ties by lot, over all multinomial outcomes.

    Args:
        share: float64 [N, C], the probability of each class.
        label: int64 [N].
        count: of votes.
    """
    total = np.zeros(len(share))
    for outcome in combinations_with_replacement(range(share.shape[1]), count):
        drawn = np.bincount(outcome, minlength=share.shape[1])
        ways = factorial(count) // prod(map(factorial, drawn.tolist()))
        winners = drawn == drawn.max()
        total += ways * np.prod(share**drawn, axis=1) * np.where(winners[label], 1 / winners.sum(), 0.0)
    return total


@pytest.mark.weekly  # thirty seconds
@pytest.mark.skipif(not DATA, reason="needs FERNOISE_DATA with ferplus/")
def test_rates_on_the_published_votes() -> None:
    """The share of wrong labels is the multinomial's for each face's votes, within four standard deviations of it."""
    data = open_data(find("ferplus-votes:1"), "paper", "real", Path(DATA))
    for count, percent in ((1, 18.95), (2, 18.95), (3, 12.93), (5, 9.56)):
        found = replace(data, protocol=find(f"ferplus-votes:{count}")).cell(None, None, 0)
        labels, votes = found.train, found.train.votes[:, :8]
        assert len(labels) == 25_060
        assert labels.given.tolist() == drawn_majority(votes, count, 0).tolist()
        assert found.noise["realised"] == pytest.approx(np.mean(labels.given != labels.reference))
        wrong = 1 - chance_of_right(votes / votes.sum(1, keepdims=True), labels.reference, count)
        assert 100 * wrong.mean() == pytest.approx(percent, abs=0.005)
        rates = [float(np.mean(drawn_majority(votes, count, draw) != labels.reference)) for draw in range(20)]
        spread = np.sqrt((wrong * (1 - wrong)).sum()) / len(labels)
        assert abs(rates[0] - wrong.mean()) < 4 * spread
        assert abs(np.mean(rates) - wrong.mean()) < 4 * spread / np.sqrt(len(rates))  # a twentieth of a point
    every = replace(data, protocol=find("ferplus-votes:all")).cell(None, None, 0)
    assert every.train.given.tolist() == every.train.reference.tolist()
    assert every.noise["realised"] == 0
