"""AffectNet: class ids in another order are refused, honest subsets of any size are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.readers.affectnet.labels import TRAIN_COUNTS, PartRows, check_class_order
from fernoise_bench.protocols.readers.affectnet.layouts import read

from ...miniatures import affectnet as miniature


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(BadInput) as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    return message


RAFDB = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral", "contempt")
FER2013 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt")
FERPLUS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
ORDERS = {"alphabetical": sorted(miniature.CLASSES), "RAF-DB": RAFDB, "FER2013": FER2013, "FER+": FERPLUS}


def ids(order: Sequence[str]) -> list[int]:
    return [list(order).index(name) for name in miniature.CLASSES]


def part_rows(labels: Sequence[int], affect_of: Sequence[int] | None = None, part: str = "train") -> PartRows:
    """Rows with these ids, and the feeling of these classes (or none)."""
    codes = np.array(labels, np.int64)
    feeling = np.full((len(codes), 2), np.nan)
    if affect_of is not None:
        feeling = np.array(miniature.AFFECT)[list(affect_of)].reshape(-1, 2)
    path = np.arange(len(codes)).astype(str)
    return PartRows(part, "here", path, codes, np.full((len(codes), 4), np.nan), *feeling.T, len(codes))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("write", [miniature.write_csv, miniature.write_2021])
def test_ids_that_contradict_the_feeling_are_refused(tmp_path: Path, order: str, write: Callable[..., Path]) -> None:
    write(tmp_path, train=miniature.codes(10), ids=ids(ORDERS[order]))
    message = refusal(lambda: read(tmp_path))
    assert "class ids in another order than the owners'" in message
    assert "the mean " in message
    assert ("fit the alphabetical order" in message) == (order == "alphabetical")


def test_the_automatic_part_is_checked_as_well(tmp_path: Path) -> None:
    miniature.write_automatic(tmp_path, miniature.codes(10), ids=miniature.ALPHABETICAL)
    assert "automatically_annotated.csv: class ids" in refusal(lambda: read(tmp_path))


def test_the_owners_order_is_confirmed_by_feeling(tmp_path: Path) -> None:
    for write in (miniature.write_csv, miniature.write_2021):
        listing = read(write(tmp_path / write.__name__, train=miniature.codes(10)))
        assert next(one for one in listing.checks if one.what == "order of classes, training").ok


@pytest.mark.parametrize("order", ["alphabetical", "RAF-DB", "FER2013"])
@pytest.mark.parametrize("share", [1, 0.01])
def test_ids_are_refused_by_counts_where_there_is_no_feeling(order: str, share: float) -> None:
    counts = (np.array(TRAIN_COUNTS) * share).astype(int)
    owners = np.repeat(np.arange(8), counts)
    assert check_class_order(part_rows(owners))
    message = refusal(lambda: check_class_order(part_rows(np.array(ids(ORDERS[order]))[owners])))
    assert "the class counts are AffectNet's but for their order" in message
    assert ("fit the alphabetical order" in message) == (order == "alphabetical")
    # The validation part has 500 rows of each class, which say nothing.
    assert not check_class_order(part_rows(np.repeat(np.arange(8), 500), part="validation"))


@given(
    labels=st.lists(st.integers(0, 7), min_size=1, max_size=400),
    spread=st.floats(0, 0.3),
    seed=st.integers(0, 9),
    known=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_honest_subsets_of_any_size_and_balance_are_accepted(
    labels: list[int], spread: float, seed: int, known: bool
) -> None:
    rows = part_rows(labels, labels if known else None)
    noise = np.random.default_rng(seed).normal(0, spread, (2, len(labels)))
    rows.valence[:], rows.arousal[:] = np.clip([rows.valence, rows.arousal] + noise / 2, -1, 1)
    assert check_class_order(rows) in (True, False)


@pytest.mark.parametrize("size", [1, 9, 200, 1000, 30_000])
def test_random_and_balanced_subsets_without_feeling_are_accepted(size: int) -> None:
    shares = np.array(TRAIN_COUNTS) / sum(TRAIN_COUNTS)
    for seed in range(5):
        generator = np.random.default_rng(seed)
        for p in (shares, np.full(8, 1 / 8)):
            check_class_order(part_rows(generator.choice(8, size, p=p)))


def test_few_rows_of_a_class_contradict_nothing() -> None:
    nine, ten = [1] * 9, [1] * 10
    assert not check_class_order(part_rows(nine, [2] * 9))
    assert "mean valence of 'happiness' is -0.60" in refusal(lambda: check_class_order(part_rows(ten, [2] * 10)))


@pytest.mark.parametrize(
    ("labels", "feeling", "says"),
    [
        ([1] * 10 + [3] * 10, [3] * 10 + [1] * 10, "of 'surprise' (0.70) is above that of 'happiness'"),
        ([6] * 10 + [2] * 10, [2] * 10 + [6] * 10, "arousal of 'anger' (-0.30) is not above 'sadness'"),
        ([5] * 10, [3] * 10, "mean valence of 'disgust' is 0.20"),
    ],
)
def test_every_rule_of_feeling(labels: list[int], feeling: list[int], says: str) -> None:
    assert says in refusal(lambda: check_class_order(part_rows(labels, feeling)))
