"""Confident learning, against values of cleanlab 2.9.0, against loops, and against cleanlab where it is installed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from fernoise_bench.results import label_errors as le

NAN = math.nan

# Ten rows of four classes: rows 4 and 6 have ties, nobody is given the last class.
P = np.array([
    [0.70, 0.20, 0.05, 0.05], [0.10, 0.80, 0.05, 0.05], [0.15, 0.60, 0.20, 0.05], [0.50, 0.30, 0.10, 0.10],
    [0.45, 0.45, 0.05, 0.05], [0.05, 0.15, 0.75, 0.05], [0.25, 0.25, 0.25, 0.25], [0.62, 0.33, 0.04, 0.01],
    [0.02, 0.90, 0.03, 0.05], [0.34, 0.33, 0.32, 0.01],
])  # fmt: skip
Y = np.array([0, 1, 0, 0, 1, 2, 2, 1, 0, 2])
# The same for an AU.
AU_P = np.array([0.9, 0.15, 0.75, 0.6, 0.3, 0.2])
AU_Y = np.array([1, 1, -1, -1, 1, -1])


# --- values that cleanlab 2.9.0 gave for these rows, as its functions are called:
# rank.get_normalized_margin_for_each_label(Y, P), rank.get_confidence_weighted_entropy_for_each_label(Y, P),
# count.get_confident_thresholds(Y, P), count.compute_confident_joint(Y, P, calibrate=False),
# filter.find_label_issues(Y, P, filter_by="confident_learning"), count.num_label_issues(Y, P), of the AU with
# np.stack([1 - AU_P, AU_P], axis=1) and (AU_Y > 0).astype(int);
# multilabel_scorer.exponential_moving_average(Q, alpha=0.8), multilabel_scorer.softmin(Q, temperature=0.1).


def test_qualities_are_cleanlabs():
    assert le.self_confidence(P, Y).tolist() == P[np.arange(10), Y].tolist()
    margin = [0.75, 0.85, 0.275, 0.6, 0.5, 0.8, 0.5, 0.355, 0.06, 0.49]
    entropy = [
        0.713648962154, 0.773293282649, 0.354167478794, 0.586100391605, 0.592952032344, 0.741682372413, 0.402359478109,
        0.568492053859, 0.181339944622, 0.494552210823,
    ]  # fmt: skip
    assert le.normalized_margin(P, Y) == pytest.approx(margin, abs=1e-15)
    assert le.confidence_weighted_entropy(P, Y) == pytest.approx(entropy, abs=1e-11)


def test_thresholds_joint_and_errors_are_cleanlabs():
    assert le.confident_thresholds(P, Y) == pytest.approx([0.3425, 0.5266666666666667, 0.44, 2.0], abs=1e-15)
    assert le.confident_joint(P, Y).tolist() == [[2, 2, 0, 0], [2, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    # row 4 is guessed to be of class 0, but its given class 1 is as probable
    assert np.flatnonzero(le.confident_errors(P, Y)).tolist() == [2, 7, 8]
    assert le.confident_joint(P, Y).dtype == np.int64


def test_an_action_unit_is_cleanlabs_problem_of_two_classes():
    column, labels = AU_P[:, None], AU_Y[:, None]
    assert le.confident_thresholds(column, labels)[0] == pytest.approx([0.48333333333333334, 0.45], abs=1e-15)
    assert le.confident_joint(column, labels).tolist() == [[[1, 2], [2, 1]]]
    assert le.confident_errors(column, labels)[:, 0].tolist() == [False, True, True, True, True, False]
    entropy = [0.804898945931, 0.399073244057, 0.445521787498, 0.507459433138, 0.466558985836, 0.712671048942]
    assert le.confidence_weighted_entropy(column, labels)[:, 0] == pytest.approx(entropy, abs=1e-11)
    assert le.normalized_margin(column, labels) == pytest.approx(le.self_confidence(column, labels), abs=1e-15)


def test_aggregates_are_cleanlabs():
    quality = [[0.9, 0.2, 0.6], [0.5, 0.5, 1.0]]
    assert le.aggregate_quality(quality) == pytest.approx([0.292, 0.52], abs=1e-12)
    assert le.aggregate_quality(quality, "softmin") == pytest.approx([0.20781432, 0.50167883], abs=1e-8)


# --- by hand


def test_the_estimated_rate_scales_the_joint_to_the_labels():
    """Four rows are given class 0, three class 1, three class 2; of the joint's rows 2/4, 1/3 and 1/1 are right."""
    assert le.estimated_error_rate(P, Y) == pytest.approx(1 - (4 * 2 / 4 + 3 * 1 / 3 + 3 * 1) / 10)
    rates = le.estimated_error_rate(AU_P[:, None], AU_Y[:, None])
    assert rates == pytest.approx([1 - (3 * 1 / 3 + 3 * 1 / 3) / 6])


def test_a_saturated_right_label_is_no_suspect():
    """cleanlab gives the first row 0, as to the worst label there can be, and the second 0.994."""
    found = le.confidence_weighted_entropy([[1.0, 0.0], [0.999, 0.001], [1.0, 0.0]], [0, 0, 1])
    assert found[0] > found[1] > 0.99
    assert found[1] == pytest.approx(0.99433351, abs=1e-8)
    small = 1e-6 / (1 + 1e-6)
    ratio = -(small * math.log(small) + (1 - small) * math.log(1 - small)) / math.log(2) / 1e-6
    assert found[2] == pytest.approx(math.log(1 + ratio) / ratio, rel=1e-5)
    assert le.confidence_weighted_entropy([[1.0, 0.0]], [[1, -1]]).min() > 0.9999


def test_ordinary_probabilities_are_used_as_they_are():
    p = np.random.default_rng(0).dirichlet(np.ones(5), 50).clip(1e-3)
    p /= p.sum(axis=1, keepdims=True)
    labels = np.random.default_rng(1).integers(0, 5, 50)
    for row, label, found in zip(p, labels, le.confidence_weighted_entropy(p, labels), strict=True):
        ratio = -math.fsum(each * math.log(each) for each in row) / math.log(5) / row[label]
        assert found == pytest.approx(math.log(1 + ratio) / ratio, abs=1e-12)


def test_aggregates_by_hand():
    quality = [[0.9, NAN, 0.4], [NAN, NAN, NAN], [NAN, 0.3, NAN]]
    assert le.aggregate_quality(quality, "min") == pytest.approx([0.4, NAN, 0.3], nan_ok=True)
    assert le.aggregate_quality(quality, "mean") == pytest.approx([0.65, NAN, 0.3], nan_ok=True)
    assert le.aggregate_quality(quality, "ema", alpha=0.5) == pytest.approx([0.65, NAN, 0.3], nan_ok=True)
    weights = np.exp(np.array([0.1, 0.6]) / 0.2)
    expected = (0.9 * weights[0] + 0.4 * weights[1]) / weights.sum()
    found = le.aggregate_quality(quality, "softmin", temperature=0.2)
    assert found == pytest.approx([expected, NAN, 0.3], nan_ok=True)


@pytest.mark.parametrize("how", ["ema", "softmin", "min", "mean"])
def test_aggregates_of_nothing(how):
    assert le.aggregate_quality(np.zeros((0, 3)), how).shape == (0,)
    assert np.isnan(le.aggregate_quality(np.zeros((2, 0)), how)).all()


@drawn(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_aggregates_lie_among_the_qualities_in_any_order(row, random):
    mixed = row.copy()
    random.shuffle(mixed)
    for how in ("ema", "softmin", "min", "mean"):
        found = le.aggregate_quality([row, mixed], how)
        assert min(row) - 1e-12 <= found[0] <= max(row) + 1e-12
        assert found[1] == pytest.approx(found[0], abs=1e-12)


# --- against loops


def loop_thresholds(p, labels):
    found = []
    for place in range(p.shape[1]):
        own = [row[place] for row, label in zip(p, labels, strict=True) if label == place]
        found.append(max(math.fsum(own) / len(own), 2e-6) if own else 2.0)
    return found


def loop_guess(row, thresholds):
    confident = [place for place, value in enumerate(row) if value >= thresholds[place] - 1e-6]
    if len(confident) > 1:
        return int(np.argmax(row))
    return confident[0] if confident else None


def loop_joint_and_errors(p, labels):
    thresholds, classes = loop_thresholds(p, labels), p.shape[1]
    joint, wrong = np.zeros((classes, classes), int), []
    for row, label in zip(p, labels, strict=True):
        guess = loop_guess(row, thresholds)
        if guess is not None:
            joint[label, guess] += 1
        raised = [value + 1e-6 * (place == label) for place, value in enumerate(row)]
        wrong.append(guess not in (None, label) and int(np.argmax(raised)) != label)
    for place in range(classes):
        joint[place, place] = max(joint[place, place], 1)
    return joint, wrong


def single_case(seed):
    """Probabilities in eighths, so that there are ties, and given labels, some unknown, one class absent."""
    generator = np.random.default_rng(seed)
    p = generator.dirichlet(np.full(4, 0.7), 40)
    p = np.maximum(np.round(p * 8), 1) if seed % 2 else p
    labels = generator.integers(-1, 3, 40)
    return p / p.sum(axis=1, keepdims=True), labels


@pytest.mark.parametrize("seed", range(12))
def test_single_labels_are_those_of_a_loop(seed):
    p, labels = single_case(seed)
    known = labels >= 0
    joint, wrong = loop_joint_and_errors(p[known], labels[known])
    assert le.confident_thresholds(p, labels) == pytest.approx(loop_thresholds(p[known], labels[known]), abs=1e-12)
    assert le.confident_joint(p, labels).tolist() == joint.tolist()
    assert le.confident_errors(p, labels)[known].tolist() == wrong
    assert not le.confident_errors(p, labels)[~known].any()
    counts = np.bincount(labels[known], minlength=4)
    rate = (
        1
        - sum(n * row[place] / row.sum() for place, (n, row) in enumerate(zip(counts, joint, strict=True)))
        / known.sum()
    )
    assert le.estimated_error_rate(p, labels) == pytest.approx(rate)
    for function in (le.self_confidence, le.normalized_margin, le.confidence_weighted_entropy):
        assert np.isnan(function(p, labels)).tolist() == (~known).tolist()


@pytest.mark.parametrize("seed", range(8))
def test_each_action_unit_stands_alone_with_its_known_entries(seed):
    generator = np.random.default_rng(seed)
    p, labels = generator.beta(0.7, 0.7, (40, 3)).round(1 + seed % 2), generator.integers(-1, 2, (40, 3))
    labels[:, 2] = 0
    thresholds, joints, wrong = (
        function(p, labels) for function in (le.confident_thresholds, le.confident_joint, le.confident_errors)
    )
    rates = le.estimated_error_rate(p, labels)
    for au in range(2):
        known = labels[:, au] != 0
        two = np.stack([1 - p[known, au], p[known, au]], axis=1)
        classes = (labels[known, au] > 0).astype(int)
        joint, expected = loop_joint_and_errors(two, classes)
        assert thresholds[au] == pytest.approx(loop_thresholds(two, classes), abs=1e-12)
        assert joints[au].tolist() == joint.tolist()
        assert wrong[known, au].tolist() == expected
        assert not wrong[~known, au].any()
        assert rates[au] == pytest.approx(le.estimated_error_rate(two, classes))
        for function in (le.self_confidence, le.normalized_margin, le.confidence_weighted_entropy):
            quality = function(p, labels)
            assert quality[known, au] == pytest.approx(function(two, classes), abs=1e-12)
            assert np.isnan(quality[~known, au]).all()
    assert thresholds[2].tolist() == [2.0, 2.0]
    assert joints[2].tolist() == np.eye(2).tolist()
    assert not wrong[:, 2].any()
    assert math.isnan(rates[2])


@drawn(st.permutations(range(40)))
@settings(max_examples=30, deadline=None)
def test_rows_in_another_order_are_the_same_problem(order):
    p, labels = single_case(3)
    order = np.array(order)
    assert le.confident_joint(p[order], labels[order]).tolist() == le.confident_joint(p, labels).tolist()
    assert le.confident_errors(p[order], labels[order]).tolist() == le.confident_errors(p, labels)[order].tolist()


# --- edges


def test_no_rows():
    p, labels = np.zeros((0, 3)), np.zeros(0, int)
    assert le.confident_thresholds(p, labels).tolist() == [2.0] * 3
    assert le.confident_joint(p, labels).tolist() == np.eye(3).tolist()
    assert le.confident_errors(p, labels).shape == le.self_confidence(p, labels).shape == (0,)
    assert math.isnan(le.estimated_error_rate(p, labels))
    aus = np.zeros((0, 2), int)
    assert le.confident_thresholds(aus, aus).tolist() == [[2.0, 2.0]] * 2
    assert le.confident_joint(aus, aus).tolist() == [np.eye(2).tolist()] * 2
    assert le.confident_errors(aus, aus).shape == (0, 2)
    assert np.isnan(le.estimated_error_rate(aus, aus)).all()


def test_one_row():
    assert le.confident_joint([[0.3, 0.7]], [0]).tolist() == [[1, 0], [0, 1]]
    assert not le.confident_errors([[0.3, 0.7]], [0]).any()
    assert le.estimated_error_rate([[0.3, 0.7]], [0]) == 0.0


def test_a_row_without_a_prediction_is_left_out():
    p, labels = np.vstack([P, [[NAN] * 4]]), np.append(Y, 0)
    assert le.confident_joint(p, labels).tolist() == le.confident_joint(P, Y).tolist()
    assert le.confident_errors(p, labels).tolist() == [*le.confident_errors(P, Y), False]
    assert le.estimated_error_rate(p, labels) == le.estimated_error_rate(P, Y)
    assert math.isnan(le.self_confidence(p, labels)[-1])


def test_a_class_that_nobody_believes_in_has_a_threshold_above_the_tolerance():
    """Else every row would be confidently of it."""
    p, labels = [[1.0, 0.0], [1.0, 0.0]], [0, 1]
    assert le.confident_thresholds(p, labels).tolist() == [1.0, 2e-6]
    assert le.confident_joint(p, labels).tolist() == [[1, 0], [1, 1]]


@pytest.mark.parametrize("function", [le.confident_joint, le.confident_errors, le.self_confidence])
def test_epochs_are_no_rows(function):
    with pytest.raises(ValueError, match="two-dimensional"):
        function(np.ones((2, 3, 4)), [0, 1, 2])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="ema, softmin, min or mean"):
        le.aggregate_quality([[0.5]], "max")
    with pytest.raises(ValueError, match=r"\[N, L\]"):
        le.aggregate_quality([0.5])


# --- cleanlab itself


def test_cleanlab_gives_the_same_values():
    """Runs where cleanlab is installed, which the tests do not ask for: its values above are from version 2.9.0."""
    why = "cleanlab is not installed; its values are compared as typed above"
    count = pytest.importorskip("cleanlab.count", reason=why)
    rank, find = pytest.importorskip("cleanlab.rank"), pytest.importorskip("cleanlab.filter")
    generator = np.random.default_rng(0)
    for _ in range(40):
        classes, rows = int(generator.integers(2, 9)), int(generator.integers(20, 200))
        p = generator.dirichlet(np.full(classes, generator.choice([0.2, 1.0, 4.0])), rows).clip(1e-5)
        p /= p.sum(axis=1, keepdims=True)
        labels = generator.integers(0, max(2, classes - 1), rows)
        entropy = rank.get_confidence_weighted_entropy_for_each_label(labels, p)
        assert le.confidence_weighted_entropy(p, labels) == pytest.approx(entropy, abs=1e-9)
        assert le.normalized_margin(p, labels) == pytest.approx(rank.get_normalized_margin_for_each_label(labels, p))
        assert le.confident_thresholds(p, labels) == pytest.approx(count.get_confident_thresholds(labels, p), abs=1e-12)
        joint = count.compute_confident_joint(labels, p, calibrate=False)
        assert le.confident_joint(p, labels).tolist() == joint.tolist()
        issues = find.find_label_issues(labels, p, filter_by="confident_learning", n_jobs=1)
        assert le.confident_errors(p, labels).tolist() == issues.tolist()
        assert le.confident_errors(p, labels).sum() == count.num_label_issues(labels, p)
