from __future__ import annotations

import math

import pytest

from fernoise_bench.results.cells import Block
from fernoise_bench.results.comparisons import (
    against_supervised,
    compare,
    difference_cell,
    one_entry,
    p_cell,
    power_words,
    predeclared,
    rank_methods,
)
from fernoise_bench.results.views import Expected, view_of

from .fabricate import Trial
from .test_tables import made


def view(scores, expected=None):
    """A view of methods by (method, level): one score a seed; None for a seed that failed."""
    found = [
        made(Trial(method=method, level=level, seed=seed, state="failed" if value is None else "done"), value or 0.0)
        for (method, level), values in scores.items()
        for seed, value in enumerate(values)
    ]
    return view_of(Block(tuple(found)), expected or Expected())


def test_differences_are_of_common_pairs_and_holm_is_over_those_compared():
    seen = view(
        {
            ("supervised", 0.4): [0.5] * 6,
            ("a", 0.4): [0.51, 0.52, 0.53, 0.54, 0.55, 0.56],
            ("b", 0.4): [0.5, None, 0.4, 0.5, 0.6, 0.5],
            ("c", 0.4): [None] * 6,
        }
    )
    found = against_supervised(seen, 0.4)
    assert list(found) == ["a", "b", "c"]
    assert found["a"].differences == pytest.approx((0.01, 0.02, 0.03, 0.04, 0.05, 0.06))
    assert (found["a"].p, found["a"].adjusted) == (2 / 64, pytest.approx(4 / 64))  # two comparisons, not three
    assert (len(found["b"].differences), found["b"].asked, found["b"].wins) == (5, 6, 1)
    assert found["b"].adjusted == 1
    assert (found["c"].differences, found["c"].wins) == ((), 0)
    assert math.isnan(found["c"].p)
    assert math.isnan(found["c"].mean)


def test_blocks_are_means_over_levels_and_need_all_of_them():
    seen = view(
        {
            ("ensemble", 0.2): [0.5, 0.5, 0.5],
            ("ensemble", 0.4): [0.4, 0.4, 0.4],
            ("cocuring", 0.2): [0.6, 0.7, 0.8],
            ("cocuring", 0.4): [0.4, 0.5, None],
        }
    )
    (found,) = predeclared(seen)
    assert found.differences == pytest.approx((0.05, 0.15))
    assert (found.label, found.against, found.asked) == ("cocuring", "ensemble", 3)


def test_the_family_is_the_papers_methods_with_their_stand_ins():
    names = ("ensemble", "cocuring", "ulc_ag:no-auxiliary", "co_teaching", "cocuring:no-relabel")
    found = predeclared(view({(name, 0.4): [0.5, 0.6] for name in names}))
    assert [each.label for each in found] == ["cocuring", "ulc_ag:no-auxiliary"]
    both = predeclared(view({(name, 0.4): [0.5] for name in (*names, "ulc_ag")}))
    assert [each.label for each in both] == ["cocuring", "ulc_ag"]


def test_without_the_reference_or_a_common_level_there_is_no_family():
    assert predeclared(view({("cocuring", 0.4): [0.5]})) == ()
    assert predeclared(view({("ensemble", 0.4): [0.5]})) == ()
    assert predeclared(view({("ensemble", 0.4): [0.5], ("cocuring", 0.2): [0.5]})) == ()
    assert against_supervised(view({("a", 0.4): [0.5]}), 0.4) == {}


def test_two_versions_of_the_reference_are_no_reference():
    records = [made(Trial(seed=seed, digest=digest)) for seed, digest in enumerate(("old", "new"))]
    seen = view_of(Block((*records, made(Trial(method="a")))), Expected())
    assert one_entry(seen, "supervised") is None
    assert against_supervised(seen, 0.2) == {}


def test_ranks_are_means_over_levels_and_pairs():
    seen = view(
        {
            ("a", 0.2): [0.9, 0.9],
            ("b", 0.2): [0.8, 0.8],
            ("a", 0.4): [0.1, 0.5],
            ("b", 0.4): [0.2, 0.4],
            ("c", 0.2): [0.7, 0.7],
            ("c", 0.4): [0.0, None],
        }
    )
    found = rank_methods(seen, seen.levels)
    assert found.labels == ("a", "b")
    assert found.left_out == ("c",)
    assert found.mean_ranks == (1.25, 1.75)  # a: (1 + 2)/2 and (1 + 1)/2
    # means over levels: .5 against .5, then .7 against .6: one of four resamples draws the tie alone
    assert found.first == pytest.approx((0.875, 0.125), abs=0.01)
    assert found.pairs == 2


def test_a_single_method_has_a_rank_and_no_critical_difference():
    found = rank_methods(view({("a", 0.2): [0.5]}), (0.2,))
    assert (found.labels, found.groups) == (("a",), ((0,),))
    assert math.isnan(found.critical)


def test_nothing_finished_ranks_nothing():
    found = rank_methods(view({("a", 0.2): [None]}), (0.2,))
    assert (found.labels, found.left_out) == ((), ("a",))


def test_power_in_words():
    eight = {("supervised", 0.4): [0.5] * 8, ("a", 0.4): [0.5 + 0.01 * s for s in range(8)]}
    seen = view(eight)
    words = power_words(list(against_supervised(seen, 0.4).values()))
    assert "a method that wins every pair can reach p < .05" in words
    assert "a true difference of about 2.9 points" in words  # 1.2 standard deviations of 2.45 points
    few = view({key: values[:3] for key, values in eight.items()})
    words = power_words(list(against_supervised(few, 0.4).values()))
    assert "cannot reach p < .05" in words
    assert "points" not in words
    assert power_words([]) == ""


def test_cells():
    seen = view({("supervised", 0.4): [0.5] * 3, ("a", 0.4): [0.49, 0.48, None]})
    entry, reference = one_entry(seen, "a"), one_entry(seen, "supervised")
    (found,) = compare(seen, [entry], reference, (0.4,))
    cell = difference_cell(found)
    assert cell.text == "−1.50 ± 0.71 (2/3)"
    assert (cell.n_ok, cell.n_all, cell.status) == (2, 3, "2/3")
    assert p_cell(0.0004).text == "<0.001"
    assert p_cell(0.0312).text == "0.031"
    assert p_cell(math.nan).text == "–"
