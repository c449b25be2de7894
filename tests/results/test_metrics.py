from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from fernoise_bench.results import metrics
from fernoise_bench.results.records.record import score_of


@st.composite
def single(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    rows, classes = draw(st.integers(1, 30)), draw(st.integers(2, 6))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    probabilities = generator.integers(0, 5, (rows, classes)) / 4  # coarse, so that ties occur
    return probabilities, generator.integers(-1, classes, rows)


@st.composite
def multi(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, float]:
    rows, count = draw(st.integers(1, 30)), draw(st.integers(1, 5))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    probabilities = generator.integers(0, 5, (rows, count)) / 4
    return probabilities, generator.integers(-1, 2, (rows, count)), draw(st.sampled_from([0.25, 0.5, 0.75]))


@given(single())
def test_single_label_metrics_agree_with_scikit_learn(case):
    probabilities, labels = case
    known = labels >= 0
    if not known.any():
        assert np.isnan(metrics.accuracy(probabilities, labels))
        assert np.isnan(metrics.mean_class_accuracy(probabilities, labels))
        return
    truth, predicted = labels[known], probabilities.argmax(axis=1)[known]
    assert metrics.accuracy(probabilities, labels) == pytest.approx(accuracy_score(truth, predicted), abs=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of predicted classes that have no label
        expected = balanced_accuracy_score(truth, predicted)
    assert metrics.mean_class_accuracy(probabilities, labels) == pytest.approx(expected, abs=1e-12)
    counts = metrics.confusion(probabilities, labels)
    assert counts.dtype == np.int64
    classes = range(probabilities.shape[1])
    assert np.array_equal(counts, confusion_matrix(truth, predicted, labels=list(classes)))


@given(multi())
def test_f1_agrees_with_scikit_learn_over_known_entries(case):
    probabilities, labels, threshold = case
    measured = metrics.f1_per_label(probabilities, labels, threshold)
    counts = metrics.binary_confusion(probabilities, labels, threshold)
    assert measured.dtype == np.float64
    assert counts.dtype == np.int64
    assert np.array_equal(counts.sum(axis=1), (labels != 0).sum(axis=0))
    for column, value in enumerate(measured):
        known = labels[:, column] != 0
        expected = 0.0
        if known.any():
            predicted = probabilities[known, column] >= threshold
            expected = f1_score(labels[known, column] > 0, predicted, zero_division=0)
        assert value == pytest.approx(expected, abs=1e-12)


def test_a_worked_example():
    probabilities = [[0.5, 0.2], [0.9, 0.5], [0.4, 0.6], [0.7, 0.1]]
    labels = [[1, -1], [-1, -1], [1, 0], [1, -1]]
    # AU 1: tp 2, fp 1, fn 1; AU 2: no positive known, one false alarm
    assert metrics.binary_confusion(probabilities, labels).tolist() == [[2, 1, 1, 0], [0, 1, 0, 2]]
    assert metrics.f1_per_label(probabilities, labels).tolist() == [pytest.approx(4 / 6), 0.0]


def test_ties_go_to_the_first_class():
    assert metrics.confusion([[0.5, 0.5]], [1]).tolist() == [[0, 0], [1, 0]]


def test_recall_of_an_absent_class_is_nan_and_does_not_count():
    counts = [[3, 1, 0], [0, 0, 0], [1, 0, 1]]
    assert np.isnan(metrics.recall_of(counts)[1])
    assert metrics.mean_class_accuracy_of(counts) == pytest.approx((0.75 + 0.5) / 2)


def test_counts_of_a_small_type_do_not_overflow():
    assert metrics.f1_of(np.array([[100, 50, 50, 0]], np.int8)).tolist() == [pytest.approx(2 / 3)]
    assert metrics.accuracy_of(np.array([[100, 100], [0, 100]], np.int8)) == pytest.approx(2 / 3)
    assert metrics.recall_of(np.array([[100, 100], [0, 100]], np.int8)).tolist() == [0.5, 1]


def test_no_rows():
    assert metrics.confusion(np.zeros((0, 3)), np.zeros(0, dtype=int)).sum() == 0
    assert metrics.confusion(np.zeros((0, 0)), np.zeros(0, dtype=int)).shape == (0, 0)
    assert metrics.f1_per_label(np.zeros((0, 3)), np.zeros((0, 3))).tolist() == [0, 0, 0]


def test_transition_error_by_loop():
    generator = np.random.default_rng(0)
    estimated, true = generator.dirichlet(np.ones(4), size=(3, 5)), generator.dirichlet(np.ones(4), size=(3, 5))
    found = metrics.transition_error(estimated, true)
    assert found.dtype == np.float64
    for which in range(3):
        total = sum(abs(estimated[which, i, j] - true[which, i, j]) for i in range(5) for j in range(4))
        assert found[which] == pytest.approx(total / 5, rel=1e-12)
    assert metrics.transition_error(2 * true, 2 * estimated)[0] == pytest.approx(found[0])
    assert metrics.transition_error(true, true).tolist() == [0.0] * 3
    assert metrics.transition_error(np.eye(2), np.eye(2)[::-1]) == 2.0


def test_transition_error_of_an_au_is_that_of_its_rates():
    estimated, true = [[0.9, 0.1], [0.5, 0.5]], [[0.8, 0.2], [0.2, 0.8]]
    assert float(metrics.transition_error(estimated, true)) == pytest.approx(0.1 + 0.3)


def test_transition_error_of_what_is_unknown_is_unknown():
    assert np.isnan(metrics.transition_error([[np.nan, 0.5]], [[0.5, 0.5]]))
    assert np.isnan(metrics.transition_error([[0.5, 0.5]], [[0.5, np.nan]]))
    assert np.isnan(metrics.transition_error(np.zeros((0, 2)), np.zeros((0, 2))))


def test_probabilities_of_single_precision_meet_the_threshold_in_double():
    below = np.array([[0.7]], np.float32)  # 0.699999988
    assert metrics.binary_confusion(below, [[1]], 0.7).tolist() == [[0, 0, 1, 0]]


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        ([0.1, 0.9], [0, 1], r"^probabilities must be two-dimensional, not \(2,\)$"),
        ([[0.1, 0.9]], [0, 1], r"^labels \(2,\) do not fit probabilities \(1, 2\): expected \[N\] and \[N, C\]$"),
        ([[0.1, 0.9]], [2], r"^label 2 of 2 classes$"),
        ([[0.1, float("nan")]], [0], r"^probabilities hold a value that is not finite$"),
        ([[0.1, 0.9]], [0.5], r"^labels are not whole numbers$"),
    ],
)
def test_single_label_input_that_does_not_fit_is_refused(probabilities, labels, message):
    with pytest.raises(ValueError, match=message):
        metrics.accuracy(probabilities, labels)


def test_au_labels_outside_their_range_are_refused():
    for label in (2, -2):
        with pytest.raises(ValueError, match=r"^AU labels lie outside \{-1, 0, \+1\}$"):
            metrics.f1_per_label([[0.2, 0.3]], [[0, label]])
    with pytest.raises(ValueError, match="do not fit"):
        metrics.f1_per_label([[0.2, 0.3]], [1, 1])


def test_an_action_unit_nobody_judged_is_not_in_the_mean():
    """One that was judged and is never present, or never found, is: it counts 0."""
    counts = np.array([[2, 0, 0, 5], [0, 0, 0, 0], [0, 1, 1, 3], [0, 0, 0, 4]])
    assert metrics.f1_of(counts).tolist() == [1.0, 0.0, 0.0, 0.0]
    np.testing.assert_array_equal(metrics.known_f1_of(counts), [1.0, np.nan, 0.0, 0.0])
    assert metrics.mean_f1_of(counts) == pytest.approx(1 / 3)
    assert metrics.mean_f1_of(counts[1:2]) == 0.0
    score = score_of("multi", counts)
    assert score.headline == metrics.mean_f1_of(counts)
    np.testing.assert_array_equal(score.per_label, metrics.known_f1_of(counts))


# --- against labels or distributions


def expected_scores(p: np.ndarray, target: np.ndarray, bins: int = 15) -> dict[str, float]:
    """All four, row by row."""
    rows, classes = p.shape
    shares = [
        None if target.ndim == 1 and target[i] < 0 else np.eye(classes)[target[i]] if target.ndim == 1 else target[i]
        for i in range(rows)
    ]
    kept = [(p[i], t) for i, t in enumerate(shares) if t is not None]
    if not kept:
        return dict.fromkeys(("nll", "brier", "kl", "ece"), float("nan"))
    total, gaps = {"nll": 0.0, "brier": 0.0, "kl": 0.0}, [0.0] * bins
    for row, t in kept:
        for c in range(classes):
            loss = -t[c] * math.log(max(row[c], 1e-12))
            total["nll"] += loss
            total["kl"] += loss + (t[c] * math.log(t[c]) if t[c] > 0 else 0.0)
            total["brier"] += (row[c] - t[c]) ** 2
        top = max(range(classes), key=lambda c: (row[c], -c))
        place = next((b for b in range(bins) if row[top] <= (b + 1) / bins), bins - 1)
        gaps[place] += t[top] - row[top]
    scores = {name: value / len(kept) for name, value in total.items()}
    return scores | {"ece": sum(abs(gap) for gap in gaps) / len(kept)}


def measured_scores(p: np.ndarray, target: np.ndarray) -> dict[str, float]:
    return {
        "nll": metrics.negative_log_likelihood(p, target),
        "brier": metrics.brier(p, target),
        "kl": metrics.kl_divergence(target, p),
        "ece": metrics.expected_calibration_error(p, target),
    }


@st.composite
def judged(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    rows, classes = draw(st.integers(1, 40)), draw(st.integers(2, 8))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    votes = generator.integers(0, 4, (rows, classes)) + np.eye(classes, dtype=int)[generator.integers(0, classes, rows)]
    p = generator.dirichlet(np.ones(classes), rows)
    if draw(st.booleans()):  # coarse, with ties and zeros
        p = (votes + generator.permuted(votes, axis=1)) / (2 * votes.sum(axis=1, keepdims=True))
    if draw(st.booleans()):
        return p, generator.integers(-1, classes, rows)
    return p, votes / votes.sum(axis=1, keepdims=True)


@given(judged())
def test_scores_against_labels_and_votes_are_those_of_a_loop(case):
    p, target = case
    before = p.copy(), target.copy()
    measured = measured_scores(p, target)
    assert measured == pytest.approx(expected_scores(p, target), rel=1e-9, abs=1e-12, nan_ok=True)
    assert all(type(value) is float for value in measured.values())
    assert np.array_equal(p, before[0])
    assert np.array_equal(target, before[1])
    if target.ndim == 1:
        assert measured["kl"] == pytest.approx(measured["nll"], nan_ok=True)
    else:
        assert measured["kl"] >= -1e-12
        entropy = float(np.mean([-sum(t * math.log(t) for t in row if t > 0) for row in target]))
        assert measured["nll"] - entropy == pytest.approx(measured["kl"], abs=1e-9)


def test_scores_by_hand():
    p = np.array([[0.5, 0.5], [0.8, 0.2], [1.0, 0.0]])
    labels = np.array([1, 0, 1])
    assert metrics.negative_log_likelihood(p, labels) == pytest.approx(
        (math.log(2) - math.log(0.8) - math.log(1e-12)) / 3
    )
    assert metrics.negative_log_likelihood(p, labels, floor=0.25) == pytest.approx(
        (math.log(2) - math.log(0.8) - math.log(0.25)) / 3
    )
    assert metrics.brier(p, labels) == pytest.approx((0.5 + 2 * 0.04 + 2.0) / 3)
    # confidences 0.5, 0.8 and 1, right 0 (the first of the tie), 1 and 0
    assert metrics.expected_calibration_error(p, labels) == pytest.approx((0.5 + 0.2 + 1.0) / 3)
    assert metrics.expected_calibration_error(p, labels, bins=1) == pytest.approx(abs(1 - 2.3) / 3)
    votes = np.array([[0.2, 0.8], [0.5, 0.5], [1.0, 0.0]])
    assert metrics.expected_calibration_error(p, votes) == pytest.approx((0.3 + 0.3 + 0.0) / 3)
    assert metrics.brier(p, votes) == pytest.approx((2 * 0.09 + 2 * 0.09) / 3)
    assert metrics.kl_divergence(votes, votes) == pytest.approx(0.0, abs=1e-15)
    assert metrics.negative_log_likelihood(np.array([[1.0, 0.0]]), [0]) == 0.0


@pytest.mark.parametrize("bins", [1, 2, 3, 7, 10, 15])
def test_bins_of_confidence_are_closed_on_the_right(bins):
    """A row at an edge belongs to the bin below it: with one just below, which is right, its error is made up for."""
    for edge in range(1, bins):
        at = edge / bins
        p = np.array([[at, 0.0], [np.nextafter(at, 0), 0.0]])
        together = metrics.expected_calibration_error(p, [1, 0], bins)
        assert together == pytest.approx(abs(1 - 2 * at) / 2)
        above = np.array([[np.nextafter(at, 1), 0.0], [at, 0.0]])
        assert metrics.expected_calibration_error(above, [1, 0], bins) == pytest.approx((at + 1 - at) / 2)
    ends = np.array([[0.0, 0.0], [1 + 1e-7, 0.0]])
    assert metrics.expected_calibration_error(ends, [0, 0], bins) == pytest.approx(
        (1 + 1e-7) / 2 if bins > 1 else (1 - 1e-7) / 2
    )


def test_scores_of_nothing_and_of_nonsense():
    assert all(np.isnan(value) for value in measured_scores(np.zeros((0, 3)), np.zeros(0, dtype=int)).values())
    assert all(np.isnan(value) for value in measured_scores(np.zeros((0, 3)), np.zeros((0, 3))).values())
    assert all(np.isnan(value) for value in measured_scores(np.full((2, 3), 1 / 3), np.array([-1, -1])).values())
    p = np.full((2, 3), 1 / 3, dtype=np.float32)
    assert metrics.brier(p, [0, 1]) == pytest.approx(2 / 3, abs=1e-7)
    for wrong in (
        [0],
        [0, 3],
        [0.5, 1],
        [[1, 0], [0, 1]],
        [[0.5, 0.2, 0.2]] * 2,
        [[2, -1, 0]] * 2,
        [[np.nan, 1, 0]] * 2,
    ):
        for score in (metrics.negative_log_likelihood, metrics.brier, metrics.expected_calibration_error):
            with pytest.raises(ValueError, match=r"target|label|fit"):
                score(p, np.array(wrong))
    with pytest.raises(ValueError, match="finite"):
        metrics.brier(np.array([[np.nan, 1.0]]), [0])
