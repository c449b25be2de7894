"""FER+ with labels of a few votes and with their twins: what is drawn for a cell, on generated and on real faces."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.catalog import PROTOCOLS, find
from fernoise_bench.protocols.loading import draws_noise, open_data
from fernoise_bench.protocols.rows import CellData

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


@pytest.mark.weekly  # fifteen seconds
@pytest.mark.skipif(not DATA, reason="needs FERNOISE_DATA with ferplus/")
def test_rates_on_the_published_votes() -> None:
    """Counted by simulation with other random numbers: 18.5, 18.5, 12.8 and 9.1 % of all rows with a majority."""
    for count, expected in ((1, 18.5), (2, 18.5), (3, 12.8), (5, 9.1), ("all", 0.0)):
        found = open_data(find(f"ferplus-votes:{count}"), "paper", "real", Path(DATA)).cell(None, None, 0)
        labels = found.train
        assert len(labels) == 25_060
        rate = 100 * float(np.mean(labels.given != labels.reference))
        assert rate == pytest.approx(expected, abs=0.8)
        assert found.noise["realised"] == pytest.approx(rate / 100)
