"""Estimated numbers of wrong labels, by hand, and cleanlab's own beside ours."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fernoise_bench.results.analysis.label_estimates import (
    ErrorRate,
    Estimate,
    error_rates_of,
    estimates,
    label_errors_of,
)
from fernoise_bench.results.analysis.label_findings import suspicions_of
from fernoise_bench.results.records.training_scores import SUSPICIONS, TrainingScores

ROWS, CLASSES = 300, 4

# Six rows of two classes. Thresholds are the means of 0.9, 0.8, 0.1 and of 0.9, 0.8, 0.2: 0.6 and 0.6333. The third and
# the last row are guessed to be of the other class, so that the joint is [[2, 1], [1, 2]].
GIVEN = [0, 0, 0, 1, 1, 1]
FIRST = [0.9, 0.8, 0.1, 0.1, 0.2, 0.8]
REFERENCE = [0, 0, 1, 1, 0, 1]


def small(verified=(), extra=0):
    """The rows above, and verified ones that are sure of another class."""
    given, first = np.array(GIVEN + [0] * extra), np.array(FIRST + [0.0] * extra)
    own = np.where(given == 0, first, 1 - first)
    rows = np.arange(len(given))
    loss = -np.log(np.maximum(own, 1e-7))
    suspicions = {**dict.fromkeys(SUSPICIONS, 1 - own), "loss": loss}
    p = np.stack([first, 1 - first], axis=1)
    return TrainingScores(rows, given, np.isin(rows, verified), rows * 0 + 1, suspicions, given, probabilities=p)


def test_estimates_of_single_labels_by_hand():
    scores = small()
    suspicions = suspicions_of(scores)
    rates = error_rates_of(scores, suspicions)
    assert list(rates) == ["confident joint", "confident count", "mixture"]
    assert [rates[name].share.tolist() for name in list(rates)[:2]] == [[pytest.approx(1 / 3)]] * 2
    assert rates["mixture"].share.tolist() == [pytest.approx(suspicions["mixture"].mean())]
    found = estimates(scores, np.array(REFERENCE), suspicions, rates)
    # two of six are looked at, by self-confidence the third and the last; the third and the fifth are wrong
    for name in ("confident joint", "confident count"):
        one = found[name]
        assert (one.rate, one.error_rate, one.budget) == (pytest.approx(1 / 3), pytest.approx(1 / 3), 2)
        assert (one.precision, one.missed) == (0.5, 0.5)
    mixture = found["mixture"]
    assert mixture.budget == round(6 * mixture.rate) == 2
    assert (mixture.precision, mixture.missed) == (0.5, 0.5)


def test_a_budget_is_of_the_labels_whose_reference_is_known():
    scores = small()
    rate = ErrorRate(np.array([0.5]), "last")
    reference = np.array([0, 0, -1, 1, 0, -1])
    (found,) = estimates(scores, reference, scores.suspicions, {"half": rate}).values()
    # 0.1, 0.2, 0.1 and 0.2 are the suspicions of the other four, of which the fifth row is wrong
    assert found == Estimate(0.5, 0.25, 2, 0.5, 0.0)


def test_verified_rows_count_for_nothing():
    plain, more = (error_rates_of(scores, suspicions_of(scores)) for scores in (small(), small(range(6, 20), 14)))
    assert {name: rate.share.tolist() for name, rate in plain.items()} == {
        name: rate.share.tolist() for name, rate in more.items()
    }


def of_aus():
    """The rows above as an AU, beside one whose labels are all right and one without known labels."""
    sign = np.where(np.array(GIVEN) == 1, 1, -1)
    given = np.stack([sign, sign, sign * 0], axis=1)
    first = np.array(FIRST)
    own = np.stack([np.where(sign < 0, first, 1 - first), np.full(6, 0.95), np.full(6, np.nan)], axis=1)
    suspicions = {**dict.fromkeys(SUSPICIONS, 1 - own), "loss": -np.log(own)}
    rows = np.arange(6)
    reference = np.stack([np.where(np.array(REFERENCE) == 1, 1, -1), sign, sign], axis=1)
    return TrainingScores(rows, given, rows < 0, rows + 1, suspicions, given), reference


def test_of_aus_estimates_are_means_over_those_that_have_them():
    scores, reference = of_aus()
    suspicions = suspicions_of(scores)
    rates = error_rates_of(scores, suspicions)
    joint = rates["confident joint"].share
    assert joint == pytest.approx([1 / 3, 0, math.nan], nan_ok=True)
    assert rates["confident count"].share == pytest.approx([1 / 3, 0, math.nan], nan_ok=True)
    found = estimates(scores, reference, suspicions, rates)["confident count"]
    assert (found.rate, found.error_rate, found.budget) == (pytest.approx(1 / 6), pytest.approx(1 / 6), 1)
    assert (found.precision, found.missed) == (0.5, 0.5), "of the one AU that has wrong labels and a budget"


def test_a_method_without_predictions_has_no_estimates():
    rows, given = np.arange(6), np.array(GIVEN)
    nothing = dict.fromkeys(SUSPICIONS, np.full(6, math.nan))
    scores = TrainingScores(rows, given, rows < 0, rows * 0, nothing, given)
    _, found = label_errors_of(scores, np.array(REFERENCE), 2)
    assert list(found) == ["mixture"]
    assert all(math.isnan(getattr(found["mixture"], name)) for name in Estimate.__dataclass_fields__)


# --- cleanlab itself


def large(kind):
    generator = np.random.default_rng(0)
    shape = (ROWS,) if kind == "single" else (ROWS, CLASSES)
    if kind == "single":
        reference = generator.integers(0, CLASSES, ROWS)
        given = np.where(generator.random(ROWS) < 0.3, generator.integers(0, CLASSES, ROWS), reference)
        p = generator.dirichlet(np.ones(CLASSES), ROWS) + 2 * np.eye(CLASSES)[reference]
        p /= p.sum(axis=1, keepdims=True)
        own = p[np.arange(ROWS), given]
    else:
        reference = generator.integers(0, 2, shape) * 2 - 1
        given = np.where(generator.random(shape) < 0.3, -reference, reference)
        given[generator.random(shape) < 0.2] = 0
        own = np.clip(0.5 + 0.3 * given * reference + generator.normal(0, 0.2, shape), 0.01, 0.99)
        own, p = np.where(given == 0, np.nan, own), None
    suspicions = {**dict.fromkeys(SUSPICIONS, 1 - own), "loss": -np.log(own)}
    rows = np.arange(ROWS)
    verified = generator.random(ROWS) < 0.2
    return TrainingScores(rows, given, verified, rows + 1, suspicions, given, probabilities=p), reference


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_cleanlab_s_scores_are_those_of_the_package(kind):
    pytest.importorskip("cleanlab", reason="cleanlab is not installed: pip install '.[cleanlab]'")
    from cleanlab.filter import find_label_issues

    scores, reference = large(kind)
    found, estimated = label_errors_of(scores, reference, CLASSES, cleanlab=True)
    ours = {
        "cleanlab self_confidence": "self-confidence",
        "cleanlab normalized_margin": "normalized margin" if kind == "single" else "self-confidence",
        "cleanlab confidence_weighted_entropy": "entropy-weighted",
    }
    for theirs, name in ours.items():
        assert found[theirs].whole.auroc == pytest.approx(found[name].whole.auroc)
        assert found[theirs].whole.ranked == found[name].whole.ranked
    one = estimated["cleanlab find_label_issues"]
    shares, budgets = [], []
    for au in range(1 if kind == "single" else CLASSES):
        labels = scores.given if kind == "single" else scores.given[:, au]
        rows = ~scores.verified & (labels != (-1 if kind == "single" else 0))
        if kind == "single":
            p, y = scores.last_probabilities[rows], labels[rows]
        else:
            present = scores.last_probabilities[rows, au]
            p, y = np.stack([1 - present, present], axis=1), (labels[rows] > 0).astype(int)
        issues = find_label_issues(y, p, n_jobs=1)
        shares.append(issues.mean())
        budgets.append(issues.sum())
    assert (one.rate, one.budget) == (pytest.approx(np.mean(shares)), pytest.approx(np.mean(budgets)))
