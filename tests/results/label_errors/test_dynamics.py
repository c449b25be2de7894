"""Suspicion scores from training, against loops over epochs and rows."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given as drawn
from hypothesis import strategies as st
from sklearn.mixture import GaussianMixture

from fernoise_bench.methods.mixture import clean_probability
from fernoise_bench.results import label_errors as le

EPOCHS, ROWS, CLASSES, AUS = 4, 30, 5, 3
NAN = math.nan


def case(kind, seed=0, epochs=EPOCHS):
    """Logits [E, N, C or L] and given labels with unknown ones."""
    generator = np.random.default_rng(seed)
    width = CLASSES if kind == "single" else AUS
    logits = generator.normal(0, 3, (epochs, ROWS, width))
    if kind == "single":
        return logits, generator.integers(-1, CLASSES, ROWS)
    return logits, generator.integers(-1, 2, (ROWS, AUS))


def probabilities_of(kind, logits):
    if kind == "multi":
        return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def places(kind):
    return [(n,) for n in range(ROWS)] if kind == "single" else [(n, a) for n in range(ROWS) for a in range(AUS)]


def two_or_more(kind, p, place, label):
    """The probabilities of the given label and of the others, of one row in one epoch."""
    if kind == "multi":
        present = float(p[place])
        return (present, [1 - present]) if label > 0 else (1 - present, [present])
    values = [float(each) for each in p[place[0]]]
    return values[label], values[:label] + values[label + 1 :]


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_scores_of_each_epoch_are_those_of_a_loop(kind):
    logits, labels = case(kind)
    p = probabilities_of(kind, logits)
    found = le.given_probability(p, labels), le.margins(p, labels), le.correct(p, labels)
    assert all(each.dtype == np.float64 and each.shape == (EPOCHS, *labels.shape) for each in found)
    for epoch in range(EPOCHS):
        for place in places(kind):
            label = int(labels[place])
            values = [each[(epoch, *place)] for each in found]
            if label < 0 if kind == "single" else label == 0:
                assert all(map(math.isnan, values))
                continue
            own, others = two_or_more(kind, p[epoch], place, label)
            assert values[0] == pytest.approx(own, rel=1e-15)
            floored = [math.log(min(max(each, 1e-7), 1.0)) for each in (own, max(others))]
            assert values[1] == pytest.approx(floored[0] - floored[1], abs=1e-12)
            assert values[2] == float(own > max(others))


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_margins_of_probabilities_are_those_of_logits(kind):
    logits, labels = case(kind)
    logits = logits / 2  # no probability below the floor
    assert le.margins(probabilities_of(kind, logits), labels) == pytest.approx(
        le.logit_margins(logits, labels), abs=1e-9, nan_ok=True
    )


def test_logit_margins_by_hand():
    assert le.logit_margins([[1.0, 4.0, 2.0]] * 3, [0, 1, -1]) == pytest.approx([-3.0, 2.0, NAN], nan_ok=True)
    assert le.logit_margins([[1.5, -2.0, 3.0]], [[1, 1, 0]]) == pytest.approx(np.array([[1.5, -2.0, NAN]]), nan_ok=True)
    assert le.logit_margins([[1.5, -2.0]], [[-1, -1]]) == pytest.approx(np.array([[-1.5, 2.0]]))


def test_saturated_probabilities_have_bounded_margins():
    bound = math.log(1e7)
    assert le.margins([[1.0, 0.0], [1.0, 0.0]], [0, 1]) == pytest.approx([bound, -bound])
    assert le.margins([[1.0, 0.0]], [[1, 1]]) == pytest.approx(np.array([[bound, -bound]]))
    assert le.margins([[0.9, 0.1]], [1], floor=0.3) == pytest.approx([math.log(0.3 / 0.9)])


def test_ties_predict_the_first_class_and_presence():
    assert le.correct([[0.4, 0.4, 0.2]] * 2, [0, 1]).tolist() == [1.0, 0.0]
    assert le.correct([[0.5, 0.5]], [[1, -1]]).tolist() == [[1.0, 0.0]]


def test_a_row_that_was_not_seen_has_no_score():
    p = np.array([[0.2, 0.8], [NAN, NAN]])
    for function in (le.given_probability, le.margins, le.correct):
        assert np.isnan(function(p, [1, 0])).tolist() == [False, True]
        assert np.isnan(function(p, [[1, -1], [1, -1]])).tolist() == [[False, False], [True, True]]


@pytest.mark.parametrize(
    ("epochs", "count"),
    [
        ([1, 0, 1, 0], 2),
        ([1, NAN, 0, 1], 1),  # the epoch between was not seen
        ([0, 0, NAN, 0], 3),  # never right: the epochs seen
        ([0, 1, 1, 1], 0),
        ([NAN, NAN], NAN),
        ([1], 0),
        ([0], 1),
    ],
)
def test_forgetting_by_hand(epochs, count):
    assert le.forgetting_counts(np.array(epochs)[:, None]) == pytest.approx([count], nan_ok=True)


def loop_suspicions(given, margin, correct):
    """Of one row: the scores over its seen epochs."""
    seen = [epoch for epoch in range(len(given)) if not math.isnan(given[epoch])]
    if not seen:
        return dict.fromkeys(("last", "mean", "aum", "forgetting", "loss"), NAN)
    forgotten = sum(correct[one] == 1 and correct[two] == 0 for one, two in itertools.pairwise(seen))
    return {
        "last": 1 - given[seen[-1]],
        "mean": 1 - math.fsum(given[epoch] for epoch in seen) / len(seen),
        "aum": -math.fsum(margin[epoch] for epoch in seen) / len(seen),
        "forgetting": forgotten if any(correct[epoch] == 1 for epoch in seen) else len(seen),
        "loss": math.fsum(-math.log(max(given[epoch], 1e-7)) for epoch in seen) / len(seen),
    }


@pytest.mark.parametrize("kind", ["single", "multi"])
@pytest.mark.parametrize("epochs", [1, 6])
def test_suspicions_are_those_of_a_loop(kind, epochs):
    logits, labels = case(kind, seed=epochs, epochs=epochs)
    p = probabilities_of(kind, logits)
    p[np.random.default_rng(1).random(p.shape[:2]) < 0.4] = NAN
    p[:, 0] = NAN
    arrays = le.given_probability(p, labels), le.margins(p, labels), le.correct(p, labels)
    found = le.suspicions(*arrays)
    assert list(found) == ["last", "mean", "aum", "forgetting", "loss"]
    for place in places(kind):
        expected = loop_suspicions(*(each[(slice(None), *place)] for each in arrays))
        for name, value in expected.items():
            assert found[name][place] == pytest.approx(value, abs=1e-12, nan_ok=True)
    if epochs == 1:
        assert found["mean"] == pytest.approx(found["last"], nan_ok=True)


def test_suspicions_of_a_hand_check():
    """Seen in epochs 0, 2 and 3, with p of the given label .9, .2 and 0."""
    found = le.suspicions(
        np.array([[0.9], [NAN], [0.2], [0.0]]), [[2.0], [NAN], [-1.0], [-16.0]], [[1], [NAN], [0], [0]]
    )
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {"last": 1.0, "mean": 1 - 1.1 / 3, "aum": 5.0, "forgetting": 1.0,
         "loss": -(math.log(0.9) + math.log(0.2) + math.log(1e-7)) / 3}
    )  # fmt: skip


def test_suspicions_without_an_epoch_or_a_row():
    for shape in ((0, 2), (3, 0), (0, 0)):
        found = le.suspicions(*[np.zeros(shape)] * 3)
        assert all(value.shape == shape[1:] and np.isnan(value).all() for value in found.values())


@drawn(st.permutations(range(ROWS)))
def test_rows_in_another_order_keep_their_scores(order):
    logits, labels = case("single")
    order = np.array(order)
    p = probabilities_of("single", logits)
    both = [
        le.suspicions(le.given_probability(p, y), le.margins(p, y), le.correct(p, y))
        for p, y in ((p, labels), (p[:, order], labels[order]))
    ]
    for name, value in both[0].items():
        assert np.array_equal(value[order], both[1][name], equal_nan=True)


# --- the mixture


def test_the_mixture_is_that_of_the_methods():
    losses = np.concatenate(
        [np.random.default_rng(0).normal(0.3, 0.1, 80), np.random.default_rng(1).normal(2, 0.4, 20)]
    )
    scaled = ((losses - losses.min()) / (losses.max() - losses.min())).reshape(-1, 1)
    mixture = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0).fit(scaled)
    expected = 1 - mixture.predict_proba(scaled)[:, mixture.means_.argmin()]
    found = le.mixture_suspicion(losses)
    assert found == pytest.approx(expected, abs=1e-12)
    assert found.tolist() == (1 - clean_probability(torch.from_numpy(losses)).numpy()).tolist()
    assert found[:80].max() < 0.5 < found[80:].min()


def test_what_is_unknown_is_left_out_of_the_mixture():
    losses = np.array([0.1, 0.2, NAN, 0.15, 3.0, 2.5, NAN, 0.3])
    seen = ~np.isnan(losses)
    found = le.mixture_suspicion(losses)
    assert np.isnan(found).tolist() == (~seen).tolist()
    assert found[seen].tolist() == le.mixture_suspicion(losses[seen]).tolist()


@pytest.mark.parametrize("losses", [[], [2.0], [1.0, 1.0, 1.0], [NAN, 3.0], [NAN]])
def test_a_mixture_of_nothing_or_equals_suspects_nothing(losses):
    assert le.mixture_suspicion(losses) == pytest.approx(
        [NAN if math.isnan(each) else 0.0 for each in losses], nan_ok=True
    )


def test_infinite_losses_are_refused():
    with pytest.raises(ValueError, match="infinite"):
        le.mixture_suspicion([1.0, math.inf])


# --- what does not fit


@pytest.mark.parametrize(
    ("p", "labels", "message"),
    [
        (np.ones((3, 2)), [0, 1], "do not fit"),
        (np.ones((2, 3)), [[1, -1]], "do not fit"),
        (np.ones(2), [0, 1], "do not fit"),
        (np.ones((1, 2)), [2], "label 2 of 2 classes"),
        (np.ones((1, 2)), [[2, 0]], "outside"),
        (np.ones((1, 2)), [0.5], "whole numbers"),
        (np.ones((1, 1)), [0], "two classes"),
        (np.ones((1, 2)), 0, r"must be \[N\]"),
    ],
)
def test_what_does_not_fit_is_named(p, labels, message):
    for function in (le.given_probability, le.margins, le.logit_margins, le.correct, le.self_confidence):
        with pytest.raises(ValueError, match=message):
            function(p, labels)


def test_arrays_of_different_shapes_have_no_suspicions():
    with pytest.raises(ValueError, match="alike"):
        le.suspicions(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 4)))
