"""The interval that inverts the sign-flip test."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernoise_bench.results.analysis.intervals import sign_flip_interval, sign_flip_intervals
from fernoise_bench.results.statistics import paired_sign_flip


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


def test_intervals_of_a_family_are_those_of_its_members() -> None:
    generator = np.random.default_rng(2)
    family = [generator.normal(1, 1, size) for size in (8, 5, 20, 8, 16, 20)]
    assert sign_flip_intervals(family) == [sign_flip_interval(each) for each in family]
