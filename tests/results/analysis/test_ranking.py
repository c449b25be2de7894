from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from fernoise_bench.results.analysis import ranking as ranks

scores = hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 7)), elements=st.integers(-5, 5).map(float))
pairs_of_rankings = st.integers(2, 12).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(0, 5), min_size=n, max_size=n) for _ in range(2)))
)


@given(scores)
def test_ranks_are_mid_ranks_of_falling_scores(values):
    expected = np.array([stats.rankdata(-row) for row in values])
    np.testing.assert_array_equal(ranks.ranks_of(values), expected)


@pytest.mark.parametrize("bad", [[], [1.0, 2.0], [[]], [[math.nan]]])
def test_ranks_of_what_is_no_table(bad):
    with pytest.raises(ValueError, match="blocks, methods"):
        ranks.ranks_of(bad)


def test_first_of_one_block_is_the_highest():
    np.testing.assert_array_equal(ranks.first_probability([[1.0, 3.0, 2.0]], 100, 0), [0, 1, 0])


def test_equals_share_the_first_place():
    np.testing.assert_allclose(ranks.first_probability([[0.1, 0.1, 0.0]] * 3, 100, 0), [0.5, 0.5, 0])


def test_first_of_two_blocks_by_hand():
    """Of the four resamples two are mixed; there the means are 1.5 and 1: the first method leads in three of four."""
    found = ranks.first_probability([[3.0, 0.0], [0.0, 2.0]], 40_000, 1)
    np.testing.assert_allclose(found, [0.75, 0.25], atol=0.01)


@given(scores, st.integers(0, 3))
def test_first_is_a_probability_and_repeats(values, seed):
    found = ranks.first_probability(values, 50, seed)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    np.testing.assert_array_equal(found, ranks.first_probability(values, 50, seed))


def test_first_needs_a_resample():
    with pytest.raises(ValueError, match="at least 1"):
        ranks.first_probability([[1.0]], 0, 0)


@pytest.mark.parametrize(("count", "alpha"), [(2, 0.05), (3, 0.05), (10, 0.05), (20, 0.05), (5, 0.10), (4, 0.01)])
def test_the_studentized_range_is_that_of_scipy(count, alpha):
    expected = stats.studentized_range.ppf(1 - alpha, count, 1e6)
    assert ranks.studentized_range(count, alpha) == pytest.approx(expected, abs=2e-4)


def test_the_critical_difference_of_demsar():
    """JMLR 2006, §3.2.2: four classifiers, fourteen data sets, α = .05: 1.25."""
    assert ranks.critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert ranks.critical_difference(4, 14, 0.10) == pytest.approx(1.12, abs=0.005)


@pytest.mark.parametrize(("methods", "blocks"), [(1, 5), (3, 0)])
def test_a_critical_difference_needs_something_to_compare(methods, blocks):
    with pytest.raises(ValueError, match="two methods and a block"):
        ranks.critical_difference(methods, blocks)


def test_cliques_by_hand():
    mean_ranks = [3.0, 1.0, 1.5, 4.9]
    assert ranks.cliques(mean_ranks, 2.0) == ((1, 2, 0), (0, 3))
    assert ranks.cliques(mean_ranks, 0.4) == ((1,), (2,), (0,), (3,))
    assert ranks.cliques(mean_ranks, 9.0) == ((1, 2, 0, 3),)


@given(
    st.lists(st.integers(0, 30).map(lambda n: n / 4), min_size=1, max_size=9), st.integers(0, 12).map(lambda n: n / 4)
)
def test_a_shared_letter_means_near(mean_ranks, difference):
    found = ranks.group_letters(ranks.cliques(mean_ranks, difference), len(mean_ranks))
    for i, first in enumerate(mean_ranks):
        for j, second in enumerate(mean_ranks):
            assert bool(set(found[i]) & set(found[j])) == (abs(first - second) <= difference)


def test_letters_beyond_the_alphabet():
    groups = tuple((i,) for i in range(28))
    assert ranks.group_letters(groups, 28)[25:] == ("z", "(27)", "(28)")


@given(pairs_of_rankings)
def test_correlations_are_those_of_scipy(rankings):
    left, right = rankings
    constant = len(set(left)) == 1 or len(set(right)) == 1
    for ours, theirs in ((ranks.kendall, stats.kendalltau), (ranks.spearman, stats.spearmanr)):
        if constant:
            assert math.isnan(ours(left, right))
        else:
            assert ours(left, right) == pytest.approx(theirs(left, right).statistic)


def test_correlations_need_the_same_methods():
    with pytest.raises(ValueError, match="same methods"):
        ranks.kendall([1, 2, 3], [1, 2])


def test_the_interval_covers_and_narrows():
    generator = np.random.default_rng(0)
    for count, width in ((8, 1.3), (60, 0.45)):
        x = generator.normal(size=count)
        y = x + generator.normal(size=count)
        low, high = ranks.kendall_interval(x, y, [str(i) for i in range(count)], 500, 1)
        assert -1 <= low <= ranks.kendall(x, y) <= high <= 1
        assert high - low < width


def loop_interval(left, right, families, n, seed):
    """Families drawn with replacement, each with all its methods; τ-b of SciPy over pairs of different methods."""
    names = sorted(set(families))
    generator, found = np.random.default_rng(seed), []
    for _ in range(n):
        drawn = generator.choice(names, len(names), replace=True)
        members = [i for name in drawn for i, own in enumerate(families) if own == name]
        x, y = [left[i] for i in members], [right[i] for i in members]
        tau = stats.kendalltau(x, y).statistic
        if not math.isnan(tau):
            found.append(tau)
    return tuple(np.percentile(found, [2.5, 97.5]))


@pytest.mark.parametrize("families", ["abcdefghij", "aabbbcdeef"])
def test_the_interval_is_that_of_a_loop(families):
    """With other random numbers, and methods drawn twice as ties of both rankings."""
    generator = np.random.default_rng(2)
    left = generator.normal(size=10)
    right = left + 1.5 * generator.normal(size=10)
    found = ranks.kendall_interval(left, right, list(families), 20_000, 0)
    expected = loop_interval(left, right, list(families), 1_500, 1)
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert found[1] - found[0] > 0.5


def test_the_interval_of_counted_resamples_is_the_one_of_their_copies():
    """The same resamples, written out method by method: the same interval to the last digits."""
    generator = np.random.default_rng(5)
    left, right = generator.integers(0, 6, 9), generator.integers(0, 6, 9)
    families = list("aabcddefg")
    names = sorted(set(families))
    found = []
    for counts in np.random.default_rng(3).multinomial(len(names), [1 / len(names)] * len(names), size=300):
        times = dict(zip(names, counts.tolist(), strict=True))
        members = [i for i, name in enumerate(families) for _ in range(times[name])]
        found.append(stats.kendalltau(left[members], right[members]).statistic)
    known = [tau for tau in found if not math.isnan(tau)]
    expected = np.percentile(known, [2.5, 97.5])
    np.testing.assert_allclose(ranks.kendall_interval(left, right, families, 300, 3), expected, rtol=0, atol=1e-12)


def test_variants_are_drawn_with_their_method():
    """Four families whose members agree perfectly within; one family alone turns the order."""
    left = [1, 2, 3, 4, 5, 6, 7, 8]
    families = list("aabbccdd")
    assert ranks.kendall_interval(left, left, families, 200, 0) == (1.0, 1.0)
    assert all(map(math.isnan, ranks.kendall_interval(left, left, list("aabbccaa"), 200, 0)))


def test_no_interval_where_resamples_are_constant():
    assert all(map(math.isnan, ranks.kendall_interval([1, 1, 1, 2], [1, 1, 1, 2], list("abcd"), 500, 0)))
