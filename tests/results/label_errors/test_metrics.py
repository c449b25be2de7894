"""Metrics of suspicion scores, against scikit-learn, loops over pairs, and averages over all orders of tied rows."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from fernoise_bench.results import label_errors as le

NAN, INF = math.nan, math.inf

SCORES = st.sampled_from([-INF, -1.0, 0.0, 0.25, 1.0, 3.0, INF])
LISTS = st.lists(st.tuples(SCORES, st.booleans()), min_size=1, max_size=7)


def split(rows):
    return np.array([score for score, _ in rows]), np.array([wrong for _, wrong in rows])


@pytest.mark.parametrize("seed", range(60))
def test_scikit_learn_has_the_same_values(seed):
    generator = np.random.default_rng(seed)
    n = int(generator.integers(2, 200))
    scores = generator.normal(size=n).round(seed % 3)  # rounded to whole numbers: many ties
    wrong = generator.random(n) < generator.choice([0.05, 0.3, 0.9])
    if wrong.any() and not wrong.all():
        assert le.auroc(scores, wrong) == pytest.approx(roc_auc_score(wrong, scores), abs=1e-12)
    if wrong.any():
        assert le.average_precision(scores, wrong) == pytest.approx(average_precision_score(wrong, scores), abs=1e-12)


@drawn(LISTS)
def test_auroc_is_the_share_of_pairs(rows):
    scores, wrong = split(rows)
    pairs = [(float(a > b) + float(a == b) / 2) for a in scores[wrong] for b in scores[~wrong]]
    assert le.auroc(scores, wrong) == pytest.approx(np.mean(pairs) if pairs else NAN, abs=1e-12, nan_ok=True)


def over_all_orders(scores, wrong, budget):
    """Precision and recall at a budget, the mean over all rankings in which ties are broken in some order."""
    found = []
    for order in itertools.permutations(range(len(scores))):
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order)):
            found.append(sum(wrong[row] for row in order[:budget]))
    hits = float(np.mean(found))
    return (hits / budget if budget else NAN), (hits / wrong.sum() if wrong.any() else NAN)


@drawn(st.lists(st.tuples(SCORES, st.booleans()), min_size=1, max_size=5), st.data())
@settings(max_examples=60, deadline=None)
def test_ties_count_by_expectation(rows, data):
    scores, wrong = split(rows)
    budget = data.draw(st.integers(0, len(rows)))
    precision, recall, missed = le.at_budget(scores, wrong, budget)
    expected = over_all_orders(scores, wrong, budget)
    assert (precision, recall) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert missed == pytest.approx(1 - recall, abs=1e-15, nan_ok=True)


@drawn(LISTS, st.randoms(use_true_random=False))
def test_no_metric_depends_on_the_order_of_rows(rows, random):
    mixed = rows.copy()
    random.shuffle(mixed)
    for budget in range(len(rows) + 1):
        assert np.array_equal(le.at_budget(*split(rows), budget), le.at_budget(*split(mixed), budget), equal_nan=True)
    for metric in (le.auroc, le.average_precision, lambda scores, wrong: le.lift_at(scores, wrong, 0.3)):
        assert np.array_equal(metric(*split(rows)), metric(*split(mixed)), equal_nan=True)


@drawn(LISTS)
def test_metrics_use_the_order_of_scores_alone(rows):
    scores, wrong = split(rows)
    ranks = np.unique(scores, return_inverse=True)[1] * 2.5 - 7
    assert np.array_equal(le.auroc(scores, wrong), le.auroc(ranks, wrong), equal_nan=True)
    assert np.array_equal(le.average_precision(scores, wrong), le.average_precision(ranks, wrong), equal_nan=True)


@drawn(LISTS)
def test_at_the_true_rate_precision_is_recall(rows):
    scores, wrong = split(rows)
    precision, recall, _ = le.at_budget(scores, wrong, int(wrong.sum()))
    if wrong.any():
        assert precision == pytest.approx(recall, abs=1e-15)


def test_at_budget_by_hand():
    scores, wrong = [5.0, 4.0, 4.0, 4.0, 1.0], [1, 1, 0, 0, 1]
    assert le.at_budget(scores, wrong, 1) == pytest.approx((1.0, 1 / 3, 2 / 3))
    assert le.at_budget(scores, wrong, 3) == pytest.approx(((1 + 2 / 3) / 3, (1 + 2 / 3) / 3, 1 - (1 + 2 / 3) / 3))
    assert le.at_budget(scores, wrong, 4) == pytest.approx((0.5, 2 / 3, 1 / 3))
    assert le.at_budget(scores, wrong, 5) == pytest.approx((0.6, 1.0, 0.0))


def test_average_precision_by_hand():
    """Steps at 5 (1 of 1), at 4 (2 of 4) and at 1 (3 of 5): a third each."""
    assert le.average_precision([5.0, 4.0, 4.0, 4.0, 1.0], [1, 1, 0, 0, 1]) == pytest.approx((1 + 0.5 + 0.6) / 3)


# --- edges


def test_nothing_to_rank():
    assert math.isnan(le.auroc([], []))
    assert math.isnan(le.average_precision([], []))
    assert np.isnan(le.at_budget([], [], 0)).all()
    assert math.isnan(le.lift_at([], [], 0.1))
    assert le.budget_of(NAN, 0) == le.budget_of(0.3, 0) == 0


def test_one_row():
    assert math.isnan(le.auroc([1.0], [True]))
    assert le.average_precision([1.0], [True]) == 1.0
    assert le.at_budget([1.0], [True], 1) == (1.0, 1.0, 0.0)
    assert le.lift_at([1.0], [True], 0.01) == 1.0


def test_nothing_is_wrong():
    scores, wrong = [1.0, 2.0, 3.0], [False] * 3
    assert math.isnan(le.auroc(scores, wrong))
    assert math.isnan(le.average_precision(scores, wrong))
    assert math.isnan(le.lift_at(scores, wrong, 0.5))
    assert le.at_budget(scores, wrong, 2) == pytest.approx((0.0, NAN, NAN), nan_ok=True)
    assert np.isnan(le.at_budget(scores, wrong, 0)).all()


def test_everything_is_wrong():
    scores, wrong = [1.0, 2.0, 3.0, 3.0], [True] * 4
    assert math.isnan(le.auroc(scores, wrong))
    assert le.average_precision(scores, wrong) == 1.0
    assert [le.lift_at(scores, wrong, share) for share in (0.01, 0.3, 1.0)] == [1.0] * 3
    for budget in range(1, 5):
        assert le.at_budget(scores, wrong, budget) == pytest.approx((1.0, budget / 4, 1 - budget / 4))


def test_all_scores_equal_is_chance():
    wrong = np.array([1, 0, 0, 0, 1])
    scores = np.full(5, 7.0)
    assert le.auroc(scores, wrong) == 0.5
    assert le.average_precision(scores, wrong) == pytest.approx(0.4)
    for budget in range(1, 6):
        assert le.at_budget(scores, wrong, budget)[0] == pytest.approx(0.4)
    assert le.lift_at(scores, wrong, 0.2) == pytest.approx(1.0)


def test_a_budget_of_nothing():
    assert le.at_budget([1.0, 2.0], [True, False], 0) == pytest.approx((NAN, 0.0, 1.0), nan_ok=True)


def test_infinities_are_ranked_as_any_value():
    scores, wrong = [INF, 3.0, -INF, INF], [1, 0, 0, 1]
    assert le.auroc(scores, wrong) == le.average_precision(scores, wrong) == 1.0
    assert le.at_budget(scores, wrong, 1) == pytest.approx((1.0, 0.5, 0.5))


@pytest.mark.parametrize("dtype", [bool, int, float, np.uint8])
def test_wrong_may_be_boolean_or_a_number(dtype):
    wrong = np.array([1, 0, 1], dtype=dtype)
    assert le.auroc([3.0, 2.0, 1.0], wrong) == 0.5
    assert le.at_budget([3.0, 2.0, 1.0], wrong, 1) == (1.0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("rate", "n", "budget"),
    [(0.3, 10, 3), (0.25, 10, 3), (0.249, 10, 2), (0.0, 5, 0), (1.0, 5, 5), (1.7, 5, 5), (-0.2, 5, 0), (INF, 5, 5)],
)
def test_budgets_by_hand(rate, n, budget):
    assert le.budget_of(rate, n) == budget
    assert isinstance(le.budget_of(rate, n), int)


@drawn(LISTS, st.sampled_from([0.01, 0.05, 0.1, 0.5, 1.0]))
def test_lift_is_the_precision_over_the_rate_and_bounded(rows, share):
    scores, wrong = split(rows)
    found = le.lift_at(scores, wrong, share)
    if not wrong.any():
        assert math.isnan(found)
        return
    budget = max(1, math.floor(share * len(rows) + 0.5))
    assert found == pytest.approx(le.at_budget(scores, wrong, budget)[0] / wrong.mean())
    assert found <= min(1 / wrong.mean(), len(rows) / budget) + 1e-12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: le.auroc([1.0, NAN], [0, 1]), "NaN"),
        (lambda: le.average_precision([1.0], [0, 1]), r"must both be \[n\]"),
        (lambda: le.auroc([[1.0]], [[1]]), r"must both be \[n\]"),
        (lambda: le.auroc([1.0, 2.0], [0, NAN]), "true or false"),
        (lambda: le.auroc([1.0, 2.0], [0, 2]), "true or false"),
        (lambda: le.at_budget([1.0], [1], 2), "budget"),
        (lambda: le.at_budget([1.0], [1], -1), "budget"),
        (lambda: le.lift_at([1.0], [1], 0.0), "share"),
        (lambda: le.lift_at([1.0], [1], 1.1), "share"),
        (lambda: le.lift_at([1.0], [1], NAN), "share"),
        (lambda: le.budget_of(NAN, 3), "rate"),
        (lambda: le.budget_of(0.1, -3), "rate"),
        (lambda: le.errors([1], [[1]]), "must both be"),
        (lambda: le.flip_rates([1], [1]), r"\[N, L\]"),
        (lambda: le.flip_rates([[1, 1]], [[1]]), "must both be"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- errors and flip rates


def test_errors_of_single_labels():
    wrong, known = le.errors([0, 1, 2, 1], [0, 2, -1, 1])
    assert wrong.tolist() == [False, True, False, False]
    assert known.tolist() == [True, True, False, True]


def test_errors_of_action_units_are_of_entries_known_in_both():
    wrong, known = le.errors([[1, -1, 0], [-1, 1, 1]], [[1, 1, 1], [0, 1, -1]])
    assert wrong.tolist() == [[False, True, False], [False, False, True]]
    assert known.tolist() == [[True, True, False], [False, True, True]]


def loop_flip_rates(given, reference):
    rates = []
    for sign in (1, -1):
        column = []
        for au in range(given.shape[1]):
            pairs = [(g, r) for g, r in zip(given[:, au], reference[:, au], strict=True) if g != 0 and r == sign]
            column.append(sum(g != r for g, r in pairs) / len(pairs) if pairs else NAN)
        rates.append(column)
    return rates


@pytest.mark.parametrize("seed", range(10))
def test_flip_rates_are_those_of_a_loop(seed):
    generator = np.random.default_rng(seed)
    given, reference = (generator.integers(-1, 2, (int(generator.integers(0, 12)), 4)) for _ in range(2))
    given = generator.integers(-1, 2, reference.shape)
    assert np.allclose(le.flip_rates(given, reference), loop_flip_rates(given, reference), equal_nan=True)


def test_flip_rate_error_is_the_matrix_error():
    """Of the authors: Σ|T − T*| / Σ|T*| over the 2 × 2 transition matrix of each AU."""
    rates = np.random.default_rng(0).random((4, 6))
    expected = []
    for positive, negative, true_positive, true_negative in rates.T:
        found = np.array([[1 - negative, negative], [positive, 1 - positive]])
        true = np.array([[1 - true_negative, true_negative], [true_positive, 1 - true_positive]])
        expected.append(np.abs(found - true).sum() / np.abs(true).sum())
    assert le.flip_rate_error(*rates) == pytest.approx(expected)
    assert math.isnan(le.flip_rate_error([NAN], [0.1], [0.2], [0.1])[0])
