from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from fernoise_bench.results.analysis.comparisons import (
    against_supervised,
    compare,
    main_entry,
    predeclared,
    rank_methods,
)
from fernoise_bench.results.analysis.grouping import Block
from fernoise_bench.results.analysis.power import power_words
from fernoise_bench.results.analysis.view import Expected, view_of
from fernoise_bench.results.page.comparisons import compared
from fernoise_bench.results.page.rivals import COLUMNS, rivals
from fernoise_bench.results.records.subject_counts import Subjects
from fernoise_bench.results.tables.comparison_cells import difference_cell, p_cell, words_of_test

from ..claimed import au_record, au_runs
from ..fabricate import Trial
from ..tables.test_protocol_tables import made


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


def test_of_two_versions_of_the_reference_that_with_most_trials_counts():
    records = [made(Trial(seed=seed, digest=digest)) for seed, digest in ((0, "old"), (1, "new"), (2, "new"))]
    seen = view_of(Block((*records, *(made(Trial(method="a", seed=seed)) for seed in range(3)))), Expected())
    reference = main_entry(seen, "supervised")
    assert [record.identity.seed for record in reference.records] == [1, 2]
    assert reference.label.startswith("supervised #")
    found = against_supervised(seen, 0.2)
    assert [(each.label, each.against, len(each.differences)) for each in found.values()] == [("a", reference.label, 2)]


def test_a_papers_method_in_two_versions_stays_in_the_family():
    records = [made(Trial(method=name, seed=seed)) for name in ("ensemble", "ulc_ag:no-auxiliary") for seed in range(3)]
    records += [made(Trial(method="cocuring", seed=seed, digest="old" if seed else "new")) for seed in range(3)]
    found = predeclared(view_of(Block(tuple(records)), Expected()))
    assert [(each.label.partition(" #")[0], len(each.differences), each.family) for each in found] == [
        ("cocuring", 2, 2),
        ("ulc_ag:no-auxiliary", 3, 2),
    ]


def test_fewer_pairs_decide_where_holms_later_steps_let_them():
    """Eight pairs carry six comparisons and seven three; among better ones seven are enough, since .0156 comes last."""
    scores = {("supervised", 0.4): [0.5] * 8} | {(name, 0.4): [0.6] * 8 for name in "abcde"}
    found = against_supervised(view(scores | {("f", 0.4): [0.6] * 7 + [None]}), 0.4)
    assert found["f"].adjusted == pytest.approx(6 * 2 / 256)
    assert all(each.separated for each in found.values())
    words = power_words(list(found.values()))
    assert "8 pairs, 6 comparisons" in words
    assert "With fewer pairs" not in words
    three = [0.6] * 3 + [None] * 5
    found = against_supervised(view(scores | {("f", 0.4): three}), 0.4)
    assert [each.can_decide for each in found.values()] == [True] * 5 + [False]
    words = power_words(list(found.values()))
    assert "a method that wins every pair can reach p < .05. With fewer pairs, too few for that: f." in words


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


def test_pairs_of_a_few_methods_keep_no_other_out():
    scores = {(name, 0.2): [0.5, 0.6] for name in "abc"} | {("d", 0.2): [0.9, 0.9, 0.1]}
    found = rank_methods(view(scores), (0.2,))
    assert (sorted(found.labels), found.left_out, found.pairs, found.set_aside) == (list("abcd"), (), 2, 1)
    lost = rank_methods(view({**scores, ("a", 0.2): [0.5, None]}), (0.2,))
    assert (lost.left_out, lost.pairs) == (("a",), 2)
    seeds = [(seed, seed) for seed in range(3)]
    asked = rank_methods(view(scores, Expected(pairs=seeds)), (0.2,))
    assert (asked.labels, asked.pairs, asked.set_aside) == (("d",), 3, 0)


def test_a_single_method_has_a_rank_and_no_critical_difference():
    found = rank_methods(view({("a", 0.2): [0.5, 0.5]}), (0.2,))
    assert (found.labels, found.groups) == (("a",), ((0,),))
    assert math.isnan(found.critical)


def test_a_single_pair_ranks_nothing():
    found = rank_methods(view({("b", 0.2): [0.9], ("a", 0.2): [0.5], ("c", 0.2): [None]}), (0.2,))
    assert (found.labels, found.left_out, found.groups, found.pairs) == (("a", "b"), ("c",), (), 1)
    assert all(map(math.isnan, (*found.mean_ranks, *found.first, found.critical)))


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
    entry, reference = main_entry(seen, "a"), main_entry(seen, "supervised")
    (found,) = compare(seen, [entry], reference, (0.4,))
    cell = difference_cell(found)
    assert cell.text == "−1.50 ± 0.71 (2/3)"
    assert (cell.n_ok, cell.n_all, cell.status) == (2, 3, "2/3")
    assert p_cell(0.0004).text == "<0.001"
    assert p_cell(0.0312).text == "0.031"
    assert p_cell(math.nan).text == "–"


# --- AUs: subjects decide


def au_view(*groups):
    found = [record for group in groups for record in group]
    return view_of(Block(tuple(found)), Expected(folds=("part1", "part2", "part3")))


def of_subjects(record, counts):
    """The record with these counts of one AU for each subject: true and false positives, false negatives."""
    cells = np.array([[[tp, fp, fn, 100]] for tp, fp, fn in counts], np.uint16)
    return replace(record, subjects=Subjects(tuple(f"S{n}" for n in range(len(counts))), cells))


def test_subjects_decide_where_five_pairs_cannot():
    """Five pairs of one sign give 2/32 at best; 24 subjects whose F1 is .8 against .5 always differ by about .3."""
    found = au_view(au_runs(0.9, seeds=5, method="recot"), au_runs(0.6, seeds=5, method="supervised"))
    one = against_supervised(found, None)["recot"]
    assert (one.p, one.adjusted) == (2 / 32, 2 / 32)
    assert one.by_subject.subjects == 24
    assert one.by_subject.p == one.deciding == pytest.approx(2 / 1001)
    assert one.by_subject.low < one.mean < one.by_subject.high
    assert one.by_subject.low > 0
    assert one.separated


def test_the_difference_by_subject_worked_by_hand():
    """One subject a fold: nothing to draw, so every resample is the difference of the folds' F1 itself."""
    a, b = (
        [
            of_subjects(au_record(0.5, seed, fold, method=method), counts)
            for seed in range(2)
            for fold, counts in (("part1", [first]), ("part2", [second]), ("part3", [second]))
        ]
        # F1 = 2 tp / (2 tp + fp + fn): 8/10 and 6/10 against 4/10 and 6/10
        for method, first, second in (("recot", (4, 1, 1), (3, 2, 2)), ("supervised", (2, 3, 3), (3, 2, 2)))
    )
    found = against_supervised(au_view(a, b), None)["recot"].by_subject
    assert (found.subjects, found.low, found.high) == (3, pytest.approx(0.4 / 3), pytest.approx(0.4 / 3))


def test_one_training_of_each_separates_nothing():
    found = au_view(au_runs(0.9, seeds=1, method="recot"), au_runs(0.6, seeds=1, method="supervised"))
    one = against_supervised(found, None)["recot"]
    assert one.deciding < 0.05
    assert not one.separated
    assert "variation over training runs is unknown from one run: 2 pairs are needed" in power_words([one])


def test_other_subjects_are_not_compared_by_subject():
    left, right = au_runs(0.9, method="recot"), au_runs(0.6, method="supervised", people=9)
    one = against_supervised(au_view(left, right), None)["recot"]
    assert one.by_subject is None
    assert one.deciding == one.adjusted == 0.5
    assert not one.separated
    assert "which these trials do not have" in words_of_test([one], "f1", "these")


def test_holm_is_over_those_compared_by_subject_and_resamples_suffice_for_it():
    """30 comparisons: 1,000 resamples could give 30 · 2/1001 = .06 at best; with 2,000 it is .03."""
    names = [f"m{n:02d}" for n in range(30)]
    sides = [au_runs(0.9, seeds=2, method=name, people=3) for name in names]
    found = against_supervised(au_view(*sides, au_runs(0.6, seeds=2, method="supervised", people=3)), None)
    assert {one.by_subject.p for one in found.values()} == {2 / 2001}
    assert found["m00"].deciding == pytest.approx(60 / 2001)
    assert not found["m00"].can_decide, "nine subjects can carry 12 comparisons, not 30"


def test_only_the_last_epoch_is_kept_by_subject():
    seen = au_view(au_runs(0.9, method="recot"), au_runs(0.6, method="supervised"))
    assert against_supervised(seen, None, "oracle")["recot"].by_subject is None


def test_power_speaks_of_the_test_that_decides():
    seen = au_view(au_runs(0.7, seeds=5, method="recot"), au_runs(0.65, seeds=5, method="supervised"))
    found = list(against_supervised(seen, None).values())
    words = power_words(found)
    assert words.startswith("Power: 24 subjects decide, 1 comparison, Holm-corrected. With the standard deviation seen")
    # normal approximation: (1.960 + 0.842) standard errors
    assert f"about {100 * 2.8016 * found[0].by_subject.error:.1f} points" in words
    assert "sign-flip" not in words
    assert words_of_test(found, "f1", "all methods at a noise level").startswith("AUs: the test by subjects decides.")
    few = au_view(au_runs(0.7, method="recot", people=1), au_runs(0.65, method="supervised", people=1))
    assert "this design cannot reach p < .05, which takes at least 6 subjects" in power_words(
        list(against_supervised(few, None).values())
    )


def test_the_page_gives_the_test_that_decides():
    seen = au_view(au_runs(0.9, seeds=5, method="recot"), au_runs(0.6, seeds=5, method="supervised"))
    place = [entry.label for entry in seen.rows].index("recot")
    (found,) = (each for each in rivals(seen) if each["label"] == "supervised")
    row = dict(zip(COLUMNS, found["cells"][0][place], strict=True))
    assert (round(row["p_holm"], 3), row["p_pairs"], found["significant"]) == (0.002, 0.0625, [[0, place]])
    assert row["low"] > 0
    assert "AUs: the test by subjects decides" in found["test"]
    assert "subjects decide" in found["power"]


def test_the_page_claims_no_ranks_from_one_seed():
    found = compared(view({("supervised", 0.4): [0.5], ("a", 0.4): [0.6]}), 0.4)
    assert [(row["group"], row["first"]) for row in found["rows"]] == [(None, None)] * 2
    assert found["ranking"] == "one seed: no ranking"
    two = compared(view({("supervised", 0.4): [0.5] * 2, ("a", 0.4): [0.6] * 2}), 0.4)
    assert two["ranking"].startswith("critical difference of mean ranks 1.4 over 2 pairs")
