"""AU results by subject, and their resampling."""

from __future__ import annotations

import numpy as np
import pytest

from fernoise_bench.results import metrics
from fernoise_bench.results.analysis.subject_bootstrap import (
    RESAMPLES,
    bootstrap_interval,
    bootstrap_p,
    enough_resamples,
    resampled_f1,
    same_subjects,
    smallest_p,
)
from fernoise_bench.results.records.record import load_records
from fernoise_bench.results.records.subject_counts import Subjects, count_by_subject
from fernoise_bench.results.statistics import cluster_bootstrap

from ..fabricate import Trial, fabricate


def faces(rows=90, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.choice([-1, 0, 1], (rows, 3), p=[0.5, 0.2, 0.3])
    probabilities = generator.random((rows, 3))
    probabilities[0] = 0.5
    return probabilities, labels, generator.choice(["b", "a", "c"], rows)


def test_counts_are_those_of_each_subjects_rows() -> None:
    probabilities, labels, groups = faces()
    found = count_by_subject(probabilities, labels, groups)
    assert found.names == ("a", "b", "c")
    for name, counts in zip(found.names, found.counts, strict=True):
        rows = groups == name
        assert np.array_equal(counts, metrics.binary_confusion(probabilities[rows], labels[rows]))
    assert found.counts.dtype == np.uint8
    whole = metrics.binary_confusion(probabilities, labels)
    assert np.array_equal(found.counts.sum(axis=0, dtype=np.int64), whole)


def test_shapes_that_do_not_fit_are_refused() -> None:
    probabilities, labels, groups = faces()
    with pytest.raises(ValueError, match="do not fit"):
        count_by_subject(probabilities, labels[:, :2], groups)
    with pytest.raises(ValueError, match="do not fit"):
        count_by_subject(probabilities, labels, groups[1:])


def test_a_record_of_aus_has_subjects_and_one_of_faces_has_none(tmp_path) -> None:
    fabricate(tmp_path, Trial(kind="multi", protocol="bp4d-3fold", fold="part1", level=None))
    fabricate(tmp_path, Trial(kind="single"))
    fabricate(tmp_path, Trial(kind="single", state="failed", seed=1))
    by_kind = {record.environment.task.kind: record for record in load_records(tmp_path)[0] if record.done}
    subjects = by_kind["multi"].subjects
    assert subjects.names == tuple(f"S{number}" for number in range(7))
    assert metrics.f1_of(subjects.counts.sum(axis=0)).mean() == pytest.approx(by_kind["multi"].scores["last"].headline)
    assert by_kind["single"].subjects is None


def trial(people, skill, seed):
    generator = np.random.default_rng(seed)
    truth = generator.random((people, 60, 2)) < 0.4
    hard = generator.random((people, 1, 1)) * 0.3  # some people are harder: what makes clusters of them
    shown = np.where(generator.random(truth.shape) < skill - hard, truth, ~truth)
    cells = (shown & truth, shown & ~truth, ~shown & truth, ~shown & ~truth)
    return Subjects(tuple(map(str, range(people))), np.stack([c.sum(axis=1) for c in cells], axis=2).astype(np.uint8))


def test_resampling_agrees_with_the_cluster_bootstrap_within_folds() -> None:
    """The same interval as the general bootstrap, whose rows are subjects and whose strata are folds."""
    folds = ((trial(9, 0.9, 1),), (trial(12, 0.8, 2),))
    draws = resampled_f1(folds).mean(axis=1)
    assert draws.shape == (RESAMPLES,)
    rows = np.zeros((21, 2, 2, 4))
    rows[:9, 0], rows[9:, 1] = folds[0][0].counts, folds[1][0].counts

    def score(drawn):
        return float(np.mean([metrics.f1_of(fold).mean() for fold in drawn.sum(axis=0)]))

    strata = np.repeat([0, 1], [9, 12])
    expected = cluster_bootstrap(rows, np.arange(21), score, RESAMPLES, 3, strata)
    assert bootstrap_interval(draws) == pytest.approx(expected, abs=0.008)
    assert draws.mean() == pytest.approx(score(rows), abs=0.01)


def test_two_methods_are_resampled_together_and_trials_are_averaged() -> None:
    one, other = trial(9, 0.9, 1), trial(9, 0.7, 2)
    alone = resampled_f1(((one,),))
    twin = resampled_f1(((Subjects(one.names, one.counts.copy()),),))
    assert np.array_equal(alone, twin), "the same subjects are drawn in every call"
    assert resampled_f1(((one, other),)) == pytest.approx((alone + resampled_f1(((other,),))) / 2)
    assert resampled_f1(((one,), (one,))).std() < alone.std(), "folds are drawn apart"
    with pytest.raises(ValueError, match="read-only"):
        alone[0] = 0


def test_bootstrap_p_counts_the_smaller_tail_twice() -> None:
    assert bootstrap_p(np.arange(1.0, 100.0)) == pytest.approx(2 * 1 / 100)
    assert bootstrap_p(np.array([-1.0] * 10 + [1.0] * 89)) == pytest.approx(2 * 11 / 100)
    assert bootstrap_p(np.zeros(99)) == 1.0


def test_resamples_are_as_many_as_a_family_needs() -> None:
    """25 · 2/1001 = .04995 is below .05, 26 · 2/1001 = .05195 is not."""
    assert smallest_p(1_000) == 2 / 1001
    assert smallest_p(1) == 1
    assert [enough_resamples(family, 0.05) for family in (1, 25, 26, 50, 51)] == [1_000, 1_000, 2_000, 2_000, 3_000]


def test_more_resamples_of_the_first_fold_begin_alike_and_are_as_many_as_asked() -> None:
    one = trial(9, 0.9, 1)
    assert resampled_f1(((one,),), 2_000).shape == (2_000, 2)
    assert np.array_equal(resampled_f1(((one,),), 2_000)[:RESAMPLES], resampled_f1(((one,),)))


def test_resampled_values_stay_what_they_were() -> None:
    """Fixed values: a change of them is a change of published intervals."""
    found = resampled_f1(((trial(9, 0.9, 1),), (trial(12, 0.8, 2),))).mean(axis=1)
    assert bootstrap_interval(found) == pytest.approx((0.6050219235, 0.6927915525), abs=1e-9)


def test_the_same_subjects_fold_by_fold() -> None:
    left, right, other = trial(3, 0.9, 1), trial(3, 0.8, 2), trial(4, 0.8, 2)
    assert same_subjects([(left, other), (right, other)])
    assert not same_subjects([(left, other), (other, left)])
