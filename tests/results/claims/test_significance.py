"""What enters a claim's sample, and its significance."""

from __future__ import annotations

import numpy as np
import pytest

from fernoise_bench.results.claims import measures as claim_measures
from fernoise_bench.results.claims.claim import GAINS, Side
from fernoise_bench.results.claims.settings import setting
from fernoise_bench.results.claims.significance import (
    measured,
    with_significance,
)

from ..claimed import au_runs, record, runs, sample

LEFT, RIGHT = Side("cocuring"), Side("nct")


def left(scores, **trial):
    return runs(scores, method="cocuring", **trial)


def right(scores, **trial):
    return runs(scores, method="nct", **trial)


def test_folds_are_averaged_before_pairs() -> None:
    folds = ("part1", "part2", "part3")
    where = {"protocol": "bp4d-3fold"}
    scores = [(0, "part1", 0.6), (0, "part2", 0.8), (0, "part3", 0.7), (1, "part1", 0.9)]
    records = [record(score, seed=seed, fold=fold, method="cocuring", **where) for seed, fold, score in scores]
    records += [record(0.5, seed=seed, fold=fold, method="nct", **where) for seed in (0, 1) for fold in folds]
    found = sample(">", LEFT, RIGHT, records)
    assert found.pairs == 1, "a pair that lacks a fold does not enter"
    assert found.left == pytest.approx(70)
    assert found.difference == pytest.approx(20)
    assert (found.low, found.p) == (None, 1.0)


def test_levels_are_averaged_within_a_pair_and_told_apart() -> None:
    records = [*left([0.8, 0.9], level=0.1), *left([0.6, 0.6], level=0.4)]
    records += [*right([0.7, 0.7], level=0.1), *right([0.65, 0.65], level=0.4)]
    found = sample(">", LEFT, RIGHT, records, (0.1, 0.4))
    assert found.levels == (0.1, 0.4)
    assert found.by_level == pytest.approx({0.1: 15.0, 0.4: -5.0})
    assert found.difference == pytest.approx(5.0)
    assert (found.pairs, found.p) == (2, 0.5)
    below = sample("<", LEFT, RIGHT, records, (0.1, 0.4))
    assert below.difference == pytest.approx(-5.0)
    assert below.by_level == pytest.approx({0.1: -15.0, 0.4: 5.0})


def test_falls_with_noise() -> None:
    records = [*left([0.8, 0.8], level=0.1), *left([0.75, 0.75], level=0.2), *left([0.6, 0.5], level=0.3)]
    records += [*right([0.9, 0.9], level=0.1), *right([0.5, 0.5], level=0.3)]
    falls = sample("falls with noise", LEFT, None, records, (0.1, 0.2, 0.3))
    assert falls.difference == pytest.approx(25.0)
    assert falls.right is None
    less = sample("falls less with noise", LEFT, RIGHT, records, (0.1, 0.2, 0.3))
    assert less.difference == pytest.approx(40.0 - 25.0)
    assert less.levels == (0.1, 0.3)
    one = sample("falls with noise", LEFT, None, left([0.8], level=0.1), (0.1, 0.4))
    assert one == "needs two noise levels (cocuring was not run at noise 0.4)"


def test_gains_on_real_noise_beside_synthetic_noise() -> None:
    """Leads of 8 and 6 on real noise; of 2 and 3 at 0.1, 4 and 3 at 0.3: (8 + 6) / 2 - (2 + 3 + 4 + 3) / 4 = 4."""
    real = setting([*left([0.58, 0.56], protocol="affectnet-auto"), *right([0.5, 0.5], protocol="affectnet-auto")])
    noisy = [*left([0.62, 0.63], level=0.1), *left([0.54, 0.53], level=0.3)]
    synthetic = setting([*noisy, *right([0.6, 0.6], level=0.1), *right([0.5, 0.5], level=0.3)])
    found = measured(GAINS, LEFT, RIGHT, {None: real, 0.1: synthetic, 0.3: synthetic})
    assert (found.left, found.right) == (pytest.approx(7.0), pytest.approx(3.0))
    assert found.difference == pytest.approx(4.0)
    assert found.values.tolist() == pytest.approx([8 - 3, 6 - 3])
    assert (found.levels, found.pairs, found.by_level) == ((None, 0.1, 0.3), 2, {})
    lacking = measured(GAINS, LEFT, RIGHT, {None: real, 0.2: synthetic})
    assert lacking == "needs real and synthetic noise (cocuring and nct were not run at noise 0.2)"


# --- levels that do not enter


def whys(found):
    return [(*each.levels, each.why, each.tried) for each in found.missing]


def test_a_level_with_fewer_pairs_than_another_is_missing() -> None:
    records = [*left([0.8] * 8, level=0.1), *left([0.6], level=0.4)]
    records += [*right([0.7] * 8, level=0.1), *right([0.5] * 8, level=0.4)]
    found = sample(">", LEFT, RIGHT, records, (0.1, 0.4))
    assert (found.levels, found.pairs) == ((0.1,), 8)
    assert whys(found) == [(0.4, "cocuring: 7 of 8 not run at noise 0.4", True)]


def test_a_level_is_missing_with_the_trials_that_were_lost_there() -> None:
    records = [*left([0.8] * 8, level=0.1), *left([0.6] * 7, level=0.4), lost_at(0.4, 7)]
    records += [*right([0.7] * 8, level=0.1), *right([0.5] * 8, level=0.4)]
    found = sample(">", LEFT, RIGHT, records, (0.1, 0.4))
    assert found.levels == (0.1,)
    assert whys(found) == [(0.4, "cocuring: 1 of 8 diverged at noise 0.4", True)]
    assert (found.lost_left, found.lost_right) == (1, 0), "lost at a level that does not enter"


def lost_at(level, seed, state="diverged", method="cocuring"):
    return record(method=method, level=level, seed=seed, state=state)


def test_both_sides_of_a_missing_level_are_told() -> None:
    records = [*left([0.8] * 4, level=0.1), *left([0.6] * 2, level=0.4), lost_at(0.4, 2), lost_at(0.4, 3, "running")]
    records += [*right([0.7] * 4, level=0.1), lost_at(0.4, 0, "failed", "nct")]
    found = sample(">", LEFT, RIGHT, records, (0.1, 0.4))
    assert whys(found) == [
        (0.4, "cocuring: 1 of 4 diverged, 1 of 4 running, nct: 1 of 4 failed, 3 of 4 not run at noise 0.4", True)
    ]
    assert (found.lost_left, found.lost_right) == (1, 1)


def test_a_level_one_side_or_no_one_was_run_at() -> None:
    records = [*left([0.8] * 4, level=0.1), *right([0.7] * 4, level=0.1), *right([0.7] * 4, level=0.2)]
    found = sample(">", LEFT, RIGHT, records, (0.1, 0.2, 0.3, 0.4))
    assert whys(found) == [
        (0.2, "cocuring was not run at noise 0.2", True),
        (0.3, 0.4, "cocuring and nct were not run at noise 0.3, 0.4", False),
    ]


def test_levels_that_the_claim_does_not_ask_for_do_not_count() -> None:
    records = [*left([0.8] * 4, level=0.1), *right([0.7] * 4, level=0.1), lost_at(0.4, 0)]
    found = sample(">", LEFT, RIGHT, records, (0.1,))
    assert (found.missing, found.lost_left) == ((), 0)


def test_a_level_without_the_measure_is_missing() -> None:
    audit = {"memorised": 1, "predicted_wrong": 2}
    records = [record(method=m, seed=s, level=0.1, audit=audit) for m in ("cocuring", "nct") for s in (0, 1)]
    records += [record(method=m, seed=s, level=0.4) for m in ("cocuring", "nct") for s in (0, 1)]
    found = sample(">", Side("cocuring", "memorised"), Side("nct", "memorised"), records, (0.1, 0.4))
    lacks = "2 of 2 without memorised"
    assert whys(found) == [(0.4, f"cocuring: {lacks}, nct: {lacks} at noise 0.4", True)]


def test_why_there_is_no_sample() -> None:
    done, running = left([0.5]), [record(state="running", method="nct"), lost_at(None, 1, method="nct")]
    assert sample(">", LEFT, RIGHT, right([0.5])) == "cocuring was not run"
    found = sample(">", LEFT, RIGHT, [*done, *running])
    assert found == "no trial of nct is finished (1 running, 1 diverged)"
    found = sample(">", LEFT, RIGHT, [*done, record(seed=5, method="nct")])
    assert found == "no (seed, draw) pair is finished on both sides"
    memorised = Side("cocuring", "memorised"), Side("nct", "memorised")
    found = sample(">", *memorised, [*done, *right([0.5])])
    assert found == "the trials of cocuring did not record 'memorised'"


def test_trials_that_were_lost_are_counted() -> None:
    records = [*left([0.8, 0.8]), lost_at(None, 2), *right([0.7, 0.7, 0.7])]
    records += [lost_at(None, 3, "failed", "nct"), lost_at(None, 4, "running", "nct")]
    found = sample(">", LEFT, RIGHT, records)
    assert (found.pairs, found.lost_left, found.lost_right) == (2, 1, 1)
    assert found.missing == ()


def test_a_setting_works_out_a_mean_once(monkeypatch) -> None:
    own = setting([*left([0.8, 0.7]), *right([0.6, 0.6]), *runs([0.5, 0.5], method="scn")])
    asked = []
    number = claim_measures.number
    monkeypatch.setattr(claim_measures, "number", lambda *about: asked.append(about) or number(*about))
    samples = [measured(">", LEFT, Side(other), {None: own}) for other in ("nct", "scn", "nct")]
    assert len(asked) == 6, "two trials of each of three methods"
    assert [found.difference for found in with_significance(samples)] == pytest.approx([15.0, 25.0, 15.0])


AUS = Side("recot"), Side("mixup")


def test_aus_are_resampled_by_subject() -> None:
    recot, mixup = au_runs(0.9, method="recot"), au_runs(0.8, method="mixup")
    found = sample(">", *AUS, [*recot, *mixup])
    assert (found.pairs, found.subjects) == (2, 24)
    assert found.low < found.difference < found.high
    assert found.low > 5
    assert found.p < 0.01
    au = sample(">", Side("recot", "AU2"), Side("mixup", "AU2"), [*recot, *mixup])
    assert au.difference == pytest.approx(100 * (_au2(recot) - _au2(mixup)))
    assert au.low < au.difference < au.high
    assert au.low != found.low


def _au2(records):
    return float(np.mean([record.scores["last"].per_label[1] for record in records]))


def test_subjects_that_differ_are_not_compared() -> None:
    found = sample(">", *AUS, [*au_runs(0.9), *au_runs(0.8, people=9, method="mixup")])
    assert found == "the trials were tested on different subjects"
