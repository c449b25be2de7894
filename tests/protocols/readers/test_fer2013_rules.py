"""The rules that turn votes and codes into labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fernoise_bench.protocols.labels import FER2013_CLASSES, FERPLUS_CLASSES
from fernoise_bench.protocols.readers.fer2013 import majority, to_ferplus


def cntk_majority(votes: list[int]) -> int:
    """The rule once more, a row at a time and word for word."""
    kept = [count if count > 1 else 0 for count in votes]
    if max(kept) > 0.5 * sum(kept):
        return kept.index(max(kept))
    return 8


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        ([10, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0),
        ([4, 0, 0, 1, 3, 2, 0, 0, 0, 0], 8),  # 4 of 9 after dropping the single vote
        ([5, 1, 1, 1, 2, 0, 0, 0, 0, 0], 0),  # 5 of 7
        ([0, 5, 5, 0, 0, 0, 0, 0, 0, 0], 8),  # half is not more than half
        ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], 8),  # nothing remains
        ([0] * 10, 8),
        ([0, 0, 0, 0, 0, 0, 0, 6, 4, 0], 7),
        ([2, 0, 0, 0, 0, 0, 0, 0, 8, 0], 8),
        ([2, 0, 0, 0, 0, 0, 0, 0, 0, 8], 9),
    ],
)
def test_majority_by_hand(votes: list[int], label: int) -> None:
    assert majority(np.array([votes])).tolist() == [label]


@given(hnp.arrays(np.int64, st.tuples(st.integers(0, 20), st.just(10)), elements=st.integers(0, 10)))
def test_majority_follows_the_rule_for_any_votes(votes: np.ndarray) -> None:
    result = majority(votes)
    assert result.dtype == np.int64
    assert result.tolist() == [cntk_majority(row) for row in votes.tolist()]
    assert np.array_equal(majority(votes.astype(np.uint8)), result)


def test_codes_become_classes_of_the_same_meaning() -> None:
    meaning = {
        "angry": "anger",
        "disgust": "disgust",
        "fear": "fear",
        "happy": "happiness",
        "sad": "sadness",
        "surprise": "surprise",
        "neutral": "neutral",
    }
    classes = to_ferplus(np.arange(7))
    assert [FERPLUS_CLASSES[label] for label in classes] == [meaning[name] for name in FER2013_CLASSES]
    assert classes.tolist() == [4, 5, 6, 1, 3, 2, 0]


def test_no_label_stays_no_label_and_codes_beyond_raise() -> None:
    assert to_ferplus(np.array([-1, 0, -1, 6])).tolist() == [-1, 4, -1, 0]
    with pytest.raises(IndexError):
        to_ferplus(np.array([7]))
