"""Verdicts where a noise level is missing, and where real noise is compared with synthetic noise."""

from __future__ import annotations

import pytest

from fernoise_bench.results.claims.claim import GAINS, Place

from ..claimed import EIGHT, ahead, claim, only, record, runs

TWO = (Place("rafdb-sym", (0.1, 0.4)),)


def test_levels_that_no_one_ran_are_named() -> None:
    found = only(ahead(EIGHT, level=0.4), claim(places=TWO))
    assert found.verdict == "supported"
    assert found.levels == (0.4,)
    assert "noise 0.4 (claimed for 0.1, 0.4); cocuring and nct were not run at noise 0.1" in found.words


def test_words_about_all_noise_levels_need_all_of_them() -> None:
    found = only(ahead(EIGHT, level=0.4), claim(places=TWO, all_levels=True))
    assert found.verdict == "direction only"
    assert found.because == "the claim is about all noise levels, and not all were run"
    both = [*ahead(EIGHT, level=0.1), *ahead(EIGHT, level=0.4)]
    assert only(both, claim(places=TWO, all_levels=True)).verdict == "supported"


def hardest(method, state, level=0.4):
    """Eight pairs of two methods at 0.1, and at `level` too; but for the last pair there, which `method` lost."""
    records = [*ahead(EIGHT, level=0.1), *ahead(EIGHT, level=level)]
    lost = next(each for each in records if (each.method, each.level, each.pair) == (method, level, (7, 7)))
    without = [each for each in records if each is not lost]
    return without if state is None else [*without, record(method=method, level=level, seed=7, state=state)]


@pytest.mark.parametrize("state", ["diverged", "failed"])
def test_a_method_that_lost_the_hardest_level_is_not_supported(state) -> None:
    """The reviewer's case: 0.4 had seven pairs and fell out, the divergence with it, and "supported" stood."""
    found = only(hardest("cocuring", state), claim(places=TWO))
    assert (found.levels, found.pairs, found.p) == ((0.1,), 8, 2 / 256)
    assert found.verdict == "not separated"
    assert found.because.startswith("trials of cocuring, the better side, diverged or failed (1): means are over")
    assert f"cocuring: 1 of 8 {state} at noise 0.4" in found.words
    assert "trials of cocuring that diverged or failed: 1" in found.words
    assert [(each.levels, each.tried) for each in found.missing] == [((0.4,), True)]


@pytest.mark.parametrize(
    ("method", "state", "why"),
    [
        ("nct", "diverged", "nct: 1 of 8 diverged at noise 0.4"),
        ("nct", "failed", "nct: 1 of 8 failed at noise 0.4"),
        ("nct", "running", "nct: 1 of 8 running at noise 0.4"),
        ("cocuring", "running", "cocuring: 1 of 8 running at noise 0.4"),
        ("cocuring", None, "cocuring: 1 of 8 not run at noise 0.4"),
    ],
)
def test_a_level_missing_for_one_side_caps_the_verdict(method, state, why) -> None:
    found = only(hardest(method, state), claim(places=TWO))
    assert found.verdict == "direction only"
    assert found.because == "a noise level that was run is incomplete"
    assert why in found.words


def test_a_level_only_one_side_was_run_at_caps_the_verdict() -> None:
    found = only([*ahead(EIGHT, level=0.1), *runs([0.6] * 8, method="nct", level=0.4)], claim(places=TWO))
    assert found.verdict == "direction only"
    assert "cocuring was not run at noise 0.4" in found.words


def test_a_missing_level_does_not_soften_other_verdicts() -> None:
    behind = [*ahead([-each for each in EIGHT], level=0.1), *runs([0.6] * 8, method="nct", level=0.4)]
    assert only(behind, claim(places=TWO)).verdict == "contradicted"
    few = [*ahead(EIGHT[:4], level=0.1), *runs([0.6] * 4, method="nct", level=0.4)]
    assert only(few, claim(places=TWO)).verdict == "underpowered"
    alike = [*ahead([-each / 4 for each in EIGHT], level=0.1), *runs([0.6] * 8, method="nct", level=0.4)]
    assert only(alike, claim(">=", places=TWO)).verdict == "direction only"
    level = [*ahead([0.01, -0.01] * 4, level=0.1), *runs([0.6] * 8, method="nct", level=0.4)]
    assert only(level, claim(places=TWO)).verdict == "not separated"


# --- real noise beside synthetic noise

BESIDE = (Place("affectnet-auto", (None, 0.1, 0.3), beside="affectnet7-sym"),)


def growth(real, synthetic, **trial):
    """Records whose leads are these on real noise, and half of these or once and a half at the two levels beside it."""
    levels = {0.1: 0.5, 0.3: 1.5}
    beside = [ahead([share * each for each in synthetic], protocol="affectnet7-sym", level=level, **trial)
              for level, share in levels.items()]  # fmt: skip
    return [*ahead(real, protocol="affectnet-auto", **trial), *beside[0], *beside[1]]


def test_a_larger_lead_on_real_noise() -> None:
    """Each lead on real noise is twice the mean of those beside it: +1.75 × 2 against +1.75."""
    made = claim(GAINS, places=BESIDE, printed={"affectnet-auto": {None: (57, 53), 0.1: (59, 57), 0.3: (56, 53)}})
    found = only(growth([2 * each for each in EIGHT], EIGHT), made)
    assert (found.verdict, found.pairs, found.p) == ("supported", 8, 2 / 256)
    assert (found.left, found.right) == (pytest.approx(3.5), pytest.approx(1.75))
    assert found.difference == pytest.approx(1.75)
    assert found.printed == pytest.approx(4 - 2.5)
    assert (found.protocol, found.beside) == ("affectnet-auto", "affectnet7-sym")
    assert "affectnet-auto compared with affectnet7-sym, paper profile, real faces; noise 0.1, 0.3" in found.words
    assert only(growth(EIGHT, [2 * each for each in EIGHT]), made).verdict == "contradicted"


def test_real_and_synthetic_noise_are_compared_at_one_profile() -> None:
    made = claim(GAINS, places=BESIDE)
    assert only(ahead(EIGHT, protocol="affectnet-auto"), made).words == "Not run: no records of affectnet7-sym."
    apart = growth(EIGHT, EIGHT, profile="small")[:16] + growth(EIGHT, EIGHT)[16:]
    words = "Not run: no records of affectnet-auto compared with affectnet7-sym at one setting."
    assert only(apart, made).words == words
    assert only(growth(EIGHT, EIGHT, profile="small")[:16] + growth(EIGHT, EIGHT), made).profile == "paper"


def test_pairs_that_both_kinds_of_noise_have_are_compared() -> None:
    more = [record(method=method, protocol="affectnet-auto", seed=8) for method in ("cocuring", "nct")]
    found = only([*growth([2 * each for each in EIGHT], EIGHT), *more], claim(GAINS, places=BESIDE))
    assert (found.verdict, found.pairs, found.missing) == ("supported", 8, ())


@pytest.mark.parametrize("method", ["cocuring", "nct"])
def test_trials_lost_on_either_side_count_between_levels(method) -> None:
    """Survivors of the rival at 0.3 make the lead there smaller, which is what the claim says."""
    lost = record(method=method, protocol="affectnet7-sym", level=0.3, seed=8, state="diverged")
    found = only([*growth([2 * each for each in EIGHT], EIGHT), lost], claim(GAINS, places=BESIDE))
    assert found.verdict == "not separated"
    assert found.because == "trials of the two sides diverged or failed (1): means are over finished trials only"
