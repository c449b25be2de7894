from __future__ import annotations

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernoise_bench.results import statistics


def brute_force(differences):
    observed = abs(np.mean(differences))
    flips = [abs(np.mean(np.multiply(differences, s))) for s in itertools.product([1, -1], repeat=len(differences))]
    return np.mean([value >= observed - 1e-9 for value in flips])


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1.0], 1.0),
        ([1, 2, 3], 0.25),
        ([0.1] * 5, 0.0625),
        ([-0.1] * 6, 0.03125),
        ([0, 0, 0], 1.0),
        ([3, 1, -1], 6 / 8),  # sums of the eight assignments: 5 3 3 1 -1 -3 -3 -5, observed 3
        ([0, 0, 1], 1.0),
        ([0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, -0.1], 4 / 256),
    ],
)
def test_sign_flip_worked_by_hand(differences, p):
    assert statistics.paired_sign_flip(differences) == pytest.approx(p, abs=1e-15)


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=8), st.sampled_from([1.0, 0.1, 1e-7, 1e9]))
def test_sign_flip_equals_the_enumeration_with_ties_whatever_the_unit(whole, unit):
    measured = statistics.paired_sign_flip(np.array(whole) * unit)
    assert measured == pytest.approx(brute_force(np.array(whole)), abs=1e-12)
    assert measured == statistics.paired_sign_flip(-np.array(whole) * unit)


def test_sign_flip_beyond_sixteen_pairs_is_repeatable_and_close():
    generator = np.random.default_rng(0)
    differences = generator.normal(0.45, 1, 17)
    observed = abs(differences.sum())
    bits = (np.arange(2**17)[:, None] >> np.arange(17)) & 1
    exact = np.mean(np.abs((1 - 2 * bits) @ differences) >= observed - 1e-12)
    p = statistics.paired_sign_flip(differences)
    assert p == statistics.paired_sign_flip(differences)
    assert p == pytest.approx(exact, abs=4 * math.sqrt(exact / statistics.MONTE_CARLO_DRAWS))
    assert statistics.paired_sign_flip(np.ones(40)) == 1 / (statistics.MONTE_CARLO_DRAWS + 1)


def test_sign_flip_is_exact_up_to_sixteen_pairs_and_drawn_above():
    assert statistics.paired_sign_flip(np.ones(16)) == 2 / 2**16
    assert statistics.paired_sign_flip(np.ones(17)) != 2 / 2**17  # a share of 100,000 is never that
    # drawn: every assignment of nothing but zeros is a hit, so that each of the 99,999 draws is counted once
    assert statistics.paired_sign_flip(np.zeros(17)) == 1
    assert statistics.MONTE_CARLO_DRAWS == 99_999


def test_drawn_p_values_stay_what_they_were():
    """A fixed value: a change of it is a change of published p values."""
    assert statistics.paired_sign_flip(np.arange(-5, 15)) == pytest.approx(0.00388, abs=1e-15)


def test_sign_flip_of_half_precision_is_computed_in_full():
    differences = np.array([2048, 1, 1, 1], np.float16)  # its sum, 2051, is no number of half precision
    assert statistics.paired_sign_flip(differences) == 2 / 2**4


@pytest.mark.parametrize("differences", [[], [1.0, float("nan")], [[1.0, 2.0]]])
def test_sign_flip_refuses_what_is_no_difference(differences):
    with pytest.raises(ValueError, match=r"^differences must be one finite number a pair, and at least one pair$"):
        statistics.paired_sign_flip(differences)


def test_holm_worked_by_hand():
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.5, 0.9]).tolist() == [1.0, 1.0]
    assert statistics.holm([]).tolist() == []
    whole = statistics.holm([0, 1])
    assert (whole.dtype, whole.tolist()) == (np.float64, [0, 1])
    with pytest.raises(ValueError, match=r"^p values must be numbers in \[0, 1\]$"):
        statistics.holm([0.1, 1.5])
    with pytest.raises(ValueError, match="0, 1"):
        statistics.holm([float("nan")])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_by_its_definition(p_values):
    adjusted = statistics.holm(p_values)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for rank, index in enumerate(order):
        steps = [(len(p_values) - j) * p_values[order[j]] for j in range(rank + 1)]
        assert adjusted[index] == pytest.approx(min(1.0, max(steps)))
    assert (adjusted >= p_values).all()


def test_cluster_bootstrap_of_one_row_clusters_is_the_plain_bootstrap():
    values = np.random.default_rng(1).normal(5, 2, 200)
    low, high = statistics.cluster_bootstrap(values, np.arange(200), np.mean, 2000, 0)
    error = values.std() / math.sqrt(200)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error + 0.02)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error + 0.02)
    assert (low, high) == statistics.cluster_bootstrap(values, np.arange(200), np.mean, 2000, 0)
    assert (low, high) != statistics.cluster_bootstrap(values, np.arange(200), np.mean, 2000, 1)


def test_cluster_bootstrap_draws_whole_clusters():
    values = np.array([[0, 1], [0, 2], [1, 1], [2, 1], [2, 2], [2, 3]])  # (cluster, number)
    sizes = {0: 2, 1: 1, 2: 3}

    def whole(rows):
        clusters, counts = np.unique(rows[:, 0], return_counts=True)
        assert all(count % sizes[int(cluster)] == 0 for cluster, count in zip(clusters, counts, strict=True))
        assert sum(count // sizes[int(cluster)] for cluster, count in zip(clusters, counts, strict=True)) == 3
        return float(rows[:, 1].mean())

    statistics.cluster_bootstrap(values, values[:, 0], whole, 200, 0)


def test_cluster_bootstrap_is_wider_than_one_that_ignores_clusters():
    generator = np.random.default_rng(0)
    clusters = np.repeat(np.arange(20), 30)
    values = generator.normal(0, 1, 20)[clusters] + generator.normal(0, 0.1, 600)
    apart = np.diff(statistics.cluster_bootstrap(values, np.arange(600), np.mean, 500, 0))
    together = np.diff(statistics.cluster_bootstrap(values, clusters, np.mean, 500, 0))
    assert together > 3 * apart


def test_cluster_bootstrap_within_strata_keeps_their_sizes():
    strata = np.repeat(["part1", "part2"], [4, 6])

    def constant(rows):
        assert (rows == 0).sum() == 4
        assert (rows == 1).sum() == 6
        return float(rows.mean())

    values = (strata == "part2").astype(float)
    assert statistics.cluster_bootstrap(values, np.arange(10), constant, 50, 0, strata) == (0.6, 0.6)


def test_cluster_bootstrap_draws_every_cluster_and_hands_over_float64():
    drawn = set()

    def watched(rows):
        assert rows.dtype == np.float64
        drawn.update(rows.tolist())
        return 0.0

    statistics.cluster_bootstrap([0, 1, 2, 3], [5, 6, 7, 8], watched, 50, 0, [0, 0, 1, 1])
    assert drawn == {0, 1, 2, 3}


def test_cluster_bootstrap_cuts_two_and_a_half_percent_at_each_end():
    results = iter(range(1001))
    assert statistics.cluster_bootstrap([1], [0], lambda rows: next(results), 1001, 0) == (25, 975)
    assert statistics.cluster_bootstrap([1], [0], np.mean, 1, 0) == (1, 1)


@pytest.mark.parametrize(
    ("values", "clusters", "n", "strata"),
    [
        ([1, 2], [0], 10, None),
        ([1, 2], [0], 10, [0, 0]),
        ([1, 2], [0, 1], 10, [0]),
        ([], [], 10, None),
        ([1], [0], 0, [0]),
    ],
)
def test_cluster_bootstrap_refuses_lengths_that_differ(values, clusters, n, strata):
    message = "values, clusters and strata must have the same length, at least 1, and n must be at least 1"
    with pytest.raises(ValueError, match=f"^{message}$"):
        statistics.cluster_bootstrap(values, clusters, np.mean, n, 0, strata)


def test_spread():
    assert statistics.spread([1, 2, 3]) == 1
    assert statistics.spread([1, 3]) == pytest.approx(math.sqrt(2))
    assert math.isnan(statistics.spread([1.0]))


def test_what_a_design_can_show():
    assert statistics.minimum_p(5) == 0.0625
    assert statistics.minimum_p(8) == 0.0078125
    assert statistics.minimum_p(1) == statistics.minimum_p(0) == 1
    assert [statistics.pairs_needed(family) for family in (1, 5, 12)] == [6, 8, 9]
    assert statistics.what_the_design_can_show(5, 1) == (
        "5 pairs, 1 comparison: the smallest possible sign-flip p is 0.0625, 0.0625 after Holm's correction; "
        "this design cannot reach p < .05, which takes at least 6 pairs"
    )
    assert statistics.what_the_design_can_show(8, 5) == (
        "8 pairs, 5 comparisons: the smallest possible sign-flip p is 0.00781, 0.0391 after Holm's correction; "
        "a method that wins every pair can reach p < .05"
    )
    assert statistics.what_the_design_can_show(1, 2) == (
        "1 pair, 2 comparisons: the smallest possible sign-flip p is 1, 1 after Holm's correction; "
        "this design cannot reach p < .05, which takes at least 7 pairs"
    )


def test_a_design_that_cannot_decide_detects_nothing():
    assert statistics.detectable_effect(5, 1) == math.inf
    assert statistics.detectable_effect(8, 7) == math.inf
    assert statistics.detectable_effect(8, 6) < 3


def test_the_detectable_effect_of_six_pairs_by_hand():
    """Six pairs reach p < .05 only if all have one sign: Φ(δ)^6 = .8 where the other tail does not matter."""
    expected = NormalDist().inv_cdf(0.8 ** (1 / 6))
    assert statistics.detectable_effect(6, 1) == pytest.approx(expected, abs=0.15)


def test_detectable_effects_stay_what_they_were():
    """Fixed values, printed beside results; up to 12 pairs by all assignments, above by 4,096 of them."""
    designs = ((6, 1), (8, 5), (12, 1), (13, 1), (20, 100))
    effects = [statistics.detectable_effect(pairs, family) for pairs, family in designs]
    assert effects == [1.77734375, 1.89453125, 0.8984375, 0.8359375, 1.21875]


def test_more_pairs_detect_less_and_larger_families_need_more():
    effects = [statistics.detectable_effect(pairs, 1) for pairs in (6, 8, 12, 20, 40)]
    assert effects == sorted(effects, reverse=True)
    # many pairs: near (z + z) / sqrt(n) of the normal test
    normal = NormalDist()
    assert effects[-1] == pytest.approx((normal.inv_cdf(0.975) + normal.inv_cdf(0.8)) / 40**0.5, rel=0.15)
    assert statistics.detectable_effect(12, 5) > effects[2]


def test_a_family_has_the_p_values_of_its_members():
    generator = np.random.default_rng(3)
    family = [generator.normal(0.3, 1, size) for size in (5, 20, 5, 8, 20)]
    assert statistics.sign_flip_family(family) == [statistics.paired_sign_flip(each) for each in family]
    assert statistics.sign_flip_family([]) == []
    # what counts as a tie is relative to the member: a neighbour of huge differences does not blur small ones
    assert statistics.sign_flip_family([[1e15] * 5, [1, 2, 3, 4, 5]]) == [2 / 2**5, 2 / 2**5]
    with pytest.raises(ValueError, match="at least one pair"):
        statistics.sign_flip_family([[0.1], []])
