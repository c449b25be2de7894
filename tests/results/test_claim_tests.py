"""The interval that inverts the sign-flip test, and what enters a claim's sample."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernoise_bench.results.claim_data import Side
from fernoise_bench.results.claim_tests import sample, sign_flip_interval
from fernoise_bench.results.statistics import paired_sign_flip

from .claimed import au_runs, record, runs


def subset_means(values):
    sizes = range(1, len(values) + 1)
    return sorted(np.mean(part) for size in sizes for part in itertools.combinations(values, size))


@given(st.lists(st.floats(-10, 10, width=16), min_size=6, max_size=8))
def test_the_interval_is_of_subset_means(values) -> None:
    means = subset_means(values)
    outside = math.floor(0.025 * 2 ** len(values))
    expected = (means[outside - 1], means[-outside])
    assert sign_flip_interval(values) == pytest.approx(expected, abs=1e-9)


def test_the_interval_holds_what_the_test_does_not_reject() -> None:
    values = np.array([1.3, 0.4, 2.2, 0.9, 1.7, -0.3, 1.1, 0.6])
    low, high = sign_flip_interval(values)
    inside = np.linspace(low + 0.01, high - 0.01, 50)
    assert all(paired_sign_flip(values - shift) > 0.05 for shift in inside)
    assert paired_sign_flip(values - (low - 0.01)) < 0.05
    assert paired_sign_flip(values - (high + 0.01)) < 0.05


def test_five_pairs_have_no_interval_and_six_have_one() -> None:
    assert sign_flip_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None
    assert sign_flip_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == (1.0, 6.0)


def test_the_interval_covers_the_mean_nineteen_times_in_twenty() -> None:
    generator = np.random.default_rng(0)
    covered = [
        (found := sign_flip_interval(generator.normal(3, 1, 8))) and found[0] <= 3 <= found[1] for _ in range(600)
    ]
    assert np.mean(covered) == pytest.approx(0.953, abs=0.03)


def test_more_than_sixteen_pairs_are_sampled_and_agree_with_students_interval() -> None:
    values = np.random.default_rng(1).normal(2, 1, 40)
    low, high = sign_flip_interval(values)
    half = 2.0227 * values.std(ddof=1) / math.sqrt(40)  # Student's t, 39 degrees of freedom
    assert low == pytest.approx(values.mean() - half, abs=0.1)
    assert high == pytest.approx(values.mean() + half, abs=0.1)
    assert (low, high) == sign_flip_interval(values)


LEFT, RIGHT = Side("cocuring"), Side("nct")


def by_level(*records):
    levels = {record.level for record in records}
    return {level: [record for record in records if record.level == level] for level in levels}


def test_folds_are_averaged_before_pairs() -> None:
    folds = ("part1", "part2")
    left = [record(score, seed=s, fold=f) for s, f, score in [(0, "part1", 0.6), (0, "part2", 0.8), (1, "part1", 0.9)]]
    right = [record(0.5, seed=seed, fold=fold) for seed in (0, 1) for fold in folds]
    found = sample(">", LEFT, RIGHT, (by_level(*left), by_level(*right)), folds)
    assert found.pairs == 1, "a pair that lacks a fold does not enter"
    assert found.left == pytest.approx(70)
    assert found.difference == pytest.approx(20)
    assert (found.low, found.p) == (None, 1.0)


def test_levels_are_averaged_within_a_pair_and_told_apart() -> None:
    left = [*runs([0.8, 0.9], level=0.1), *runs([0.6, 0.6], level=0.4)]
    right = [*runs([0.7, 0.7], level=0.1), *runs([0.65, 0.65], level=0.4)]
    found = sample(">", LEFT, RIGHT, (by_level(*left), by_level(*right)), (None,))
    assert found.levels == (0.1, 0.4)
    assert found.by_level == pytest.approx({0.1: 15.0, 0.4: -5.0})
    assert found.difference == pytest.approx(5.0)
    assert (found.pairs, found.p) == (2, 0.5)


def test_a_level_with_fewer_pairs_than_another_waits() -> None:
    left = [*runs([0.8] * 8, level=0.1), *runs([0.6], level=0.4)]
    right = [*runs([0.7] * 8, level=0.1), *runs([0.5], level=0.4)]
    found = sample(">", LEFT, RIGHT, (by_level(*left), by_level(*right)), (None,))
    assert (found.levels, found.pairs) == ((0.1,), 8)


def test_falls_with_noise() -> None:
    left = [*runs([0.8, 0.8], level=0.1), *runs([0.75, 0.75], level=0.2), *runs([0.6, 0.5], level=0.3)]
    right = [*runs([0.9, 0.9], level=0.1), *runs([0.5, 0.5], level=0.3)]
    falls = sample("falls with noise", LEFT, None, (by_level(*left), {}), (None,))
    assert falls.difference == pytest.approx(25.0)
    assert falls.right is None
    less = sample("falls less with noise", LEFT, RIGHT, (by_level(*left), by_level(*right)), (None,))
    assert less.difference == pytest.approx(40.0 - 25.0)
    assert less.levels == (0.1, 0.3)
    one = sample("falls with noise", LEFT, None, (by_level(*runs([0.8], level=0.1)), {}), (None,))
    assert one == "needs two noise levels"


def test_why_there_is_no_sample() -> None:
    done, running = runs([0.5]), [record(state="running"), record(state="diverged", seed=1)]
    assert sample(">", LEFT, RIGHT, ({}, by_level(*done)), (None,)) == "cocuring was not run"
    found = sample(">", LEFT, RIGHT, (by_level(*done), by_level(*running)), (None,))
    assert found == "no trial of nct is done (1 running, 1 diverged)"
    other = [record(seed=5)]
    found = sample(">", LEFT, RIGHT, (by_level(*done), by_level(*other)), (None,))
    assert found == "no (seed, draw) pair is done on both sides"
    memorised = Side("cocuring", "memorised"), Side("nct", "memorised")
    found = sample(">", *memorised, (by_level(*done), by_level(*done)), (None,))
    assert found == "the trials of cocuring have no memorised"


def test_trials_that_were_lost_are_counted() -> None:
    left = [*runs([0.8, 0.8]), record(state="diverged", seed=2)]
    right = [*runs([0.7, 0.7, 0.7]), record(state="failed", seed=3), record(state="running", seed=4)]
    found = sample(">", LEFT, RIGHT, (by_level(*left), by_level(*right)), (None,))
    assert (found.pairs, found.lost_left, found.lost_right) == (2, 1, 1)


def test_aus_are_resampled_by_subject() -> None:
    folds = ("part1", "part2", "part3")
    left, right = au_runs(0.9, method="recot"), au_runs(0.8, method="mixup")
    found = sample(">", Side("recot"), Side("mixup"), (by_level(*left), by_level(*right)), folds)
    assert (found.pairs, found.subjects) == (2, 24)
    assert found.low < found.difference < found.high
    assert found.low > 5
    assert found.p < 0.01
    au = sample(">", Side("recot", "AU2"), Side("mixup", "AU2"), (by_level(*left), by_level(*right)), folds)
    assert au.difference == pytest.approx(100 * (_au2(left) - _au2(right)))
    assert au.low < au.difference < au.high
    assert au.low != found.low


def _au2(records):
    return float(np.mean([record.scores["last"].per_label[1] for record in records]))


def test_subjects_that_differ_are_not_compared() -> None:
    folds = ("part1", "part2", "part3")
    left, right = au_runs(0.9), au_runs(0.8, people=9)
    found = sample(">", Side("recot"), Side("mixup"), (by_level(*left), by_level(*right)), folds)
    assert found == "the trials tested different subjects"
