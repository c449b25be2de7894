"""Labels in the order of doubt: worked out by hand, joined by row, and never mixing what was not judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fernoise_bench.results.analysis.suspects import Judged, Suspects, judged_out_of_sample, suspects

NAN = float("nan")


def judged(
    sample_id: list[int], given: object, suspicion: object, doubts: object, other: object, **more: object
) -> Judged:
    ids = np.array(sample_id, np.int64)
    asked = np.array(more.pop("asked", np.ones(len(ids), bool)), bool)
    scores: Mapping[str, np.ndarray] = {name: np.array(values, float) for name, values in more.items()}
    return Judged(
        ids,
        np.array(given),
        asked,
        np.array(suspicion, float),
        scores,
        np.array(doubts, bool),
        np.array(other),
    )


def lines(found: Suspects) -> list[tuple[object, ...]]:
    columns = (
        found.sample_id,
        found.unit,
        found.given,
        found.suggested,
        found.suspicion,
        found.agreement,
        found.models,
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_means_over_models_that_judged_a_row_whatever_their_order() -> None:
    first = judged([7, 3, 5], [0, 1, 2], [0.9, 0.2, 0.5], [1, 0, 1], [1, 0, 0], s=[1.0, 3.0, 2.0])
    second = judged([5, 7], [2, 0], [0.7, 0.5], [1, 1], [1, 1], s=[4.0, NAN])
    found = suspects([first, second], "s")
    assert found.sample_id.tolist() == [5, 3, 7]  # both 3: the more suspicious one first
    np.testing.assert_allclose(found.scores["s"], [3.0, 3.0, 1.0])
    assert found.suggested.tolist() == [0, 0, 1]
    assert found.agreement.tolist() == [0.5, 0.0, 1.0]


def test_the_given_label_is_never_suggested() -> None:
    models = [judged([1], [2], [0.5], [0], [2], s=[1.0]) for _ in range(3)] + [
        judged([1], [2], [0.5], [1], [1], s=[1.0])
    ]
    assert suspects(models, "s").suggested.tolist() == [1]


def test_what_is_declared_right_or_was_not_judged_is_left_out() -> None:
    found = suspects(
        [judged([1, 2, 3], [0, 0, 0], [0.5, NAN, 0.7], [1, 1, 1], [1, 1, 1], s=[1, 2, 3], asked=[1, 1, 0])], "s"
    )
    assert found.sample_id.tolist() == [1]


def test_action_units_are_judged_one_by_one() -> None:
    given_ = [[1, -1, 0], [-1, 1, 1]]
    one = judged(
        [4, 9],
        given_,
        [[0.9, 0.1, NAN], [0.2, 0.3, 0.8]],
        [[1, 0, 0], [0, 0, 1]],
        np.negative(given_),
        s=[[9, 1, NAN], [2, 3, 8]],
    )
    found = suspects([one], "s")
    assert [(row, unit) for row, unit, *_ in lines(found)] == [(4, 0), (9, 2), (9, 1), (9, 0), (4, 1)]
    assert found.suggested.tolist() == [-1, -1, -1, 1, 1]
    assert found.agreement.tolist() == [1, 1, 0, 0, 0]


def test_two_labels_of_one_row_or_a_score_nobody_has_are_refused() -> None:
    one, other = (judged([1], [label], [0.5], [0], [1], s=[1.0]) for label in (0, 2))
    with pytest.raises(ValueError, match="different labels of one row"):
        suspects([one, other], "s")
    with pytest.raises(ValueError, match="no model has the score t"):
        suspects([one], "t")


def test_predictions_give_suspicions_doubts_and_the_other_label() -> None:
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.4, 0.4, 0.2]])
    found = judged_out_of_sample(np.arange(3), np.array([1, 2, 0]), np.array([True, True, False]), p)
    np.testing.assert_allclose(found.suspicion, [0.8, 0.4, 0.6])
    assert found.doubts.tolist() == [True, False, False]
    assert found.other.tolist() == [0, 1, 1]
    assert found.asked.tolist() == [True, True, False]
    np.testing.assert_allclose(
        found.scores["normalized margin"], [1 - (0.2 - 0.7 + 1) / 2, 1 - (0.6 - 0.3 + 1) / 2, 0.5]
    )
    units = judged_out_of_sample(np.arange(1), np.array([[1, -1, 0]]), np.array([True]), np.array([[0.4, 0.5, 0.9]]))
    np.testing.assert_allclose(units.suspicion[0, :2], [0.6, 0.5])
    assert np.isnan(units.suspicion[0, 2])
    assert units.doubts.tolist() == [[True, True, False]]  # 0.5 is read as present


@settings(max_examples=60)
@given(st.data())
def test_as_by_a_loop_over_rows(data: st.DataObject) -> None:
    """Random models and rows against dictionaries."""
    label = {row: data.draw(st.integers(0, 3)) for row in range(6)}
    models, seen = [], []
    for _ in range(data.draw(st.integers(1, 4))):
        ids = data.draw(st.lists(st.integers(0, 5), unique=True, min_size=1))
        columns = {
            row: (data.draw(st.integers(0, 8)) / 8, data.draw(st.booleans()), data.draw(st.integers(0, 3)))
            for row in ids
        }
        seen.append(columns)
        suspicion, doubts, other = (list(column) for column in zip(*(columns[row] for row in ids), strict=True))
        models.append(judged(ids, [label[row] for row in ids], suspicion, doubts, other, s=suspicion))
    found = suspects(models, "s")
    expected = []
    for row, given_ in label.items():
        mine = [columns[row] for columns in seen if row in columns]
        if not mine:
            continue
        votes = Counter(other for _, _, other in mine if other != given_)
        most = max(votes.values(), default=0)
        suggested = min((each for each in votes if votes[each] == most), default=None)
        mean = sum(each[0] for each in mine) / len(mine)
        agree = sum(doubts and other == suggested for _, doubts, other in mine) / len(mine)
        expected.append((-mean, row, suggested, agree, len(mine)))
    expected.sort(key=lambda each: (round(each[0], 9), each[1]))
    assert found.sample_id.tolist() == [each[1] for each in expected]
    for at, (_, _, suggested, agree, count) in enumerate(expected):
        assert found.models[at] == count
        if suggested is not None:
            assert found.suggested[at] == suggested
            assert found.agreement[at] == pytest.approx(agree)
