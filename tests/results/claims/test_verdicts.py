"""A verdict of each kind, worked from made-up records."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fernoise_bench.results.claims.claim import Place, Side, claims
from fernoise_bench.results.claims.verdicts import VERDICTS, verdicts

from ..claimed import EIGHT, ahead, au_runs, claim, only, record, runs


def test_supported_with_its_figures() -> None:
    found = only(ahead(EIGHT), claim(printed={"rafdb-sym": {None: (72.0, 70.5)}}))
    assert found.verdict == "supported"
    assert (found.protocol, found.profile, found.source) == ("rafdb-sym", "paper", "real")
    assert (found.left, found.right) == (pytest.approx(71.75), pytest.approx(70.0))
    assert found.difference == pytest.approx(1.75)
    assert (found.low, found.high) == (pytest.approx(1.0), pytest.approx(2.5))  # the sixth of 255 subset means
    assert (found.p, found.pairs, found.family, found.subjects) == (2 / 256, 8, 1, 0)
    assert found.printed == pytest.approx(1.5)
    assert not found.stand_in
    assert found.words.startswith("71.75 against 70.00: +1.75 [+1.00, +2.50], p = 0.008, 8 pairs; tested on")
    assert "p = 0.008, 8 pairs; tested on rafdb-sym, paper profile, real faces." in found.words


def test_contradicted() -> None:
    found = only(ahead([-each for each in EIGHT]), claim())
    assert found.verdict == "contradicted"
    assert found.difference == pytest.approx(-1.75)
    assert "−1.75" in found.words


@pytest.mark.parametrize(
    "trial",
    [
        {"profile": "small"}, {"source": "generated"}, {"partial": True}, {"recipe": "native"},
        {"settings": {"weights": "none"}},
    ],
    ids=str,
)  # fmt: skip
def test_off_the_papers_conditions_a_claim_is_held_or_reversed_here(trial) -> None:
    """RAF-DB's recipe starts from weights of MS-Celeb-1M."""
    found = only(ahead(EIGHT, **trial), claim())
    assert (found.verdict, found.own_conditions) == ("held here", False)
    assert only(ahead([-each for each in EIGHT], **trial), claim()).verdict == "reversed here"
    own = only(ahead(EIGHT, settings={"weights": "msceleb"}), claim())
    assert (own.verdict, own.own_conditions) == ("supported", True)


def test_not_separated() -> None:
    mixed = [each * sign for each, sign in zip(EIGHT, (1, -1, 1, -1, 1, -1, 1, 1), strict=True)]
    found = only(ahead(mixed), claim())
    assert found.verdict == "not separated"
    assert found.p > 0.05


def test_underpowered_says_how_many_pairs_are_needed() -> None:
    found = only(ahead(EIGHT[:5]), claim())
    assert (found.verdict, found.p) == ("underpowered", 0.0625)
    assert (found.low, found.high) == (None, None)
    assert "no 95% interval" in found.words
    assert "at least 6 pairs are needed for one comparison" in found.words


def test_not_run_says_why() -> None:
    assert only([], claim()).words == "Not run: no records of rafdb-sym."
    half = only(runs([0.7] * 8, method="cocuring"), claim())
    assert half.verdict == "not run"
    assert half.words == "Not run: nct was not run on rafdb-sym, paper profile, real faces."
    assert (half.difference, half.p, half.pairs, half.profile) == (None, None, 0, "")
    reported = only(ahead(EIGHT), claim(right=None, unmeasured=("GACNN",)))
    assert reported.words == "Not run: the compared methods are only reported, not implemented here."


def test_direction_only_where_the_size_is_excluded() -> None:
    """+1.75 with an interval to 2.5: 5 points are excluded, 2 points are not, and were not measured either."""
    for size in (5.0, 2.0, 1.76):
        found = only(ahead(EIGHT), claim("by at least", at_least={"rafdb-sym": size}))
        assert found.verdict == "direction only"
        assert f"the difference is below the {size:g} points that the paper states" in found.words
        assert found.because in found.words
    assert only(ahead(EIGHT), claim("by at least", at_least={"rafdb-sym": 1.74})).verdict == "supported"


def test_a_stand_in_is_held_to_the_papers_size() -> None:
    places = (Place("rafdb-sym", (None,)), Place("fer2013-real", (None,), stand_in=True))
    made = claim("by at least", at_least={"rafdb-sym": 5.0}, places=places)
    assert verdicts(ahead(EIGHT, protocol="fer2013-real"), [made])[-1].verdict == "direction only"


def test_direction_only_where_a_level_says_otherwise() -> None:
    records = [*ahead([5 * each for each in EIGHT], level=0.1), *ahead([-each / 5 for each in EIGHT], level=0.4)]
    found = only(records, claim(places=(Place("rafdb-sym", (0.1, 0.4)),)))
    assert found.difference > 0
    assert found.p < 0.05
    assert found.verdict == "direction only"
    assert "does not hold at noise 0.4" in found.words


def test_comparable_is_tested_against_minus_one_point() -> None:
    a_little_below = [-each / 4 for each in EIGHT]
    found = only(ahead(a_little_below), claim(">="))
    assert (found.verdict, found.p) == ("supported", 2 / 256)
    assert "p = 0.008 (against −1 point)" in found.words
    assert only(ahead([-2 * each for each in EIGHT]), claim(">=")).verdict == "contradicted"
    below_zero_alone = [-0.002, -0.005, -0.006, -0.007, -0.009, -0.008, -0.012, -0.016]
    found = only(ahead(below_zero_alone), claim(">="))
    assert found.high < 0
    assert (found.verdict, round(found.difference, 4)) == ("not separated", -0.8125)
    lost = [*ahead(EIGHT), record(method="cocuring", seed=8, state="diverged"), record(method="nct", seed=8)]
    assert only(lost, claim(">=")).verdict == "not separated"
    below = [*ahead(a_little_below), record(method="cocuring", seed=8, state="diverged"), record(method="nct", seed=8)]
    assert only(below, claim(">=")).verdict == "not separated", "comparable among finished trials"
    wide = [0.04, -0.04, 0.03, -0.05, 0.01, -0.02, 0.03, -0.01]
    assert only(ahead(wide), claim(">=")).verdict == "not separated"
    assert only(ahead(EIGHT[:5]), claim(">=")).verdict == "underpowered"


def test_a_winner_that_lost_trials_is_no_winner() -> None:
    lost = record(method="cocuring", seed=8, state="diverged")
    found = only([*ahead(EIGHT), lost, record(method="nct", seed=8)], claim())
    assert found.verdict == "not separated"
    assert "trials of cocuring that diverged or failed: 1" in found.words
    assert "means are over finished trials only" in found.words
    loser = record(method="nct", seed=8, state="diverged")
    found = only([*ahead(EIGHT), loser, record(method="cocuring", seed=8)], claim())
    assert found.verdict == "supported", "lost trials can only raise the loser's mean"
    assert "trials of nct that diverged or failed: 1" in found.words


# --- families


def rivals(number, by):
    names = [f"rival{index}" for index in range(number)]
    records = runs([0.7 + each for each in by], method="cocuring")
    for name in names:
        records += runs([0.7] * len(by), method=name)
    return records, [claim(right=name, id=name) for name in names]


def test_holm_runs_over_the_claims_of_one_statement_on_one_protocol() -> None:
    found = verdicts(*rivals(6, EIGHT))
    assert {(verdict.verdict, verdict.family) for verdict in found} == {("supported", 6)}
    assert all(verdict.p == pytest.approx(6 * 2 / 256) for verdict in found)
    assert "(Holm over 6 comparisons)" in found[0].words
    crowded = verdicts(*rivals(7, EIGHT))
    assert {verdict.verdict for verdict in crowded} == {"underpowered"}
    assert "9 pairs are needed for 7 comparisons to reach p < 0.05" in crowded[0].words


def test_a_rival_with_fewer_pairs_may_be_rejected_at_a_later_step_of_holms() -> None:
    records, made = rivals(6, EIGHT)
    records = [each for each in records if each.method != "rival0" or each.identity.seed < 7]
    found = verdicts(records, made)
    assert {verdict.verdict for verdict in found} == {"supported"}
    assert (found[0].pairs, found[0].p) == (7, pytest.approx(6 * 2 / 256))


def test_comparable_counts_in_its_family_too() -> None:
    """Ahead of each of four by as much: against −1 point six pairs have the least p there is, and four times that."""
    names = [f"rival{index}" for index in range(4)]
    records = runs([0.7 + each for each in EIGHT[:6]], method="cocuring")
    records += [one for name in names for one in runs([0.7] * 6, method=name)]
    found = verdicts(records, [claim(">=", right=name, id=name) for name in names])
    assert {(verdict.verdict, verdict.p) for verdict in found} == {("underpowered", 4 * 2 / 64)}


def test_other_statements_and_claims_that_were_not_run_do_not_count() -> None:
    records, made = rivals(6, EIGHT)
    more = [
        claim(right="rival0", id="other", statement="other"),
        claim(right="absent", id="absent"),
        claim(right="rival0", id="paper2", paper="another paper"),
    ]
    found = {verdict.claim.id: verdict for verdict in verdicts(records, [*made, *more])}
    assert found["rival0"].family == 6
    assert found["other"].family == found["paper2"].family == 1
    assert found["absent"].verdict == "not run"


# --- measures


def test_audit_gap_and_recall() -> None:
    def audited(share, **more):
        audit = {"memorised": share, "predicted_wrong": 100, "kept_right": 100 - share, "right": 100}
        return record(audit=audit, rules={"oracle": 0.5 + share / 1000, "last_five": share / 1000}, **more)

    records = [audited(20 + seed, method="cocuring", seed=seed, per_label=(0.9, 0.8, 0.4, 0.2)) for seed in range(8)]
    records += [audited(50 + seed, method="ensemble", seed=seed, per_label=(0.5,) * 4) for seed in range(8)]
    sides = {"left": "ensemble", "right": "cocuring"}
    assert only(records, claim(measure="memorised", **sides)).difference == pytest.approx(30)
    assert only(records, claim(measure="oracle gap", **sides)).difference == pytest.approx(3)
    assert only(records, claim(measure="last five", **sides)).difference == pytest.approx(3)
    assert only(records, claim(measure="clean kept", **sides)).difference == pytest.approx(-30)


@pytest.mark.parametrize("method", ["cocuring", "ensemble"])
def test_lost_trials_of_either_side_count_under_a_measure_that_is_no_score(method) -> None:
    """Co-curing's finished trials lose less after their best epoch, but its diverged trials are not counted in that."""
    gaps = {"cocuring": 0.52, "ensemble": 0.6}
    records = [
        record(0.5, method=name, seed=seed, rules={"oracle": oracle + seed / 1000 * (name == "ensemble")})
        for name, oracle in gaps.items() for seed in range(8)
    ]  # fmt: skip
    made = claim(left="ensemble", right="cocuring", measure="oracle gap")
    assert only(records, made).verdict == "supported"
    found = only([*records, record(method=method, seed=8, state="diverged")], made)
    assert found.verdict == "not separated"
    assert found.because == "trials of the two sides diverged or failed (1): means are over finished trials only"


def test_lost_trials_of_a_method_compared_with_itself_count_once() -> None:
    confusion = [[6, 0, 3, 1], [0, 9, 1, 0], [1, 1, 8, 0], [0, 0, 5, 5]]
    records = [
        record(method="cocuring", seed=seed, per_label=(0.6, 0.9, 0.8, 0.5), confusion=confusion) for seed in range(8)
    ]
    records.append(record(method="cocuring", seed=8, state="failed"))
    found = only(records, recalls("lowest recall of happiness", "highest recall except happiness"))
    assert found.because == "trials of cocuring diverged or failed (1): means are over finished trials only"


def recalls(left, right):
    return replace(claim(), left=Side("cocuring", left), right=Side("cocuring", right))


def test_recalls_and_confusions_of_classes() -> None:
    confusion = [[6, 0, 3, 1], [0, 9, 1, 0], [1, 1, 8, 0], [0, 0, 5, 5]]  # neutral, happiness, surprise, sadness
    per_label = (0.6, 0.9, 0.8, 0.5)
    records = [record(method="cocuring", seed=seed, per_label=per_label, confusion=confusion) for seed in range(8)]
    found = only(records, recalls("lowest recall of happiness", "highest recall except happiness"))
    assert (found.left, found.right) == (pytest.approx(90), pytest.approx(80))
    assert found.verdict == "supported"
    found = only(records, recalls("lowest recall except neutral, sadness", "highest recall of neutral, sadness"))
    assert (found.left, found.right) == (pytest.approx(80), pytest.approx(60))
    found = only(records, recalls("neutral taken for surprise", "neutral taken for except surprise"))
    assert (found.left, found.right) == (pytest.approx(30), pytest.approx(10))
    found = only(records, recalls("lowest recall of fear", "highest recall except fear"))
    assert found.words.startswith("Not run: the trials of cocuring did not record 'lowest recall of fear'")


# --- AUs


AUS = {"left": "recot", "right": "mixup", "places": (Place("bp4d-3fold", (None,)),)}


def test_aus_are_tested_by_subject() -> None:
    found = only([*au_runs(0.9), *au_runs(0.8, method="mixup")], claim(**AUS))
    assert found.verdict == "supported"
    assert (found.pairs, found.subjects) == (2, 24)
    assert "2 pairs, 24 subjects resampled" in found.words
    behind = only([*au_runs(0.8), *au_runs(0.9, method="mixup")], claim(**AUS))
    assert behind.verdict == "contradicted"
    level = only([*au_runs(0.8), *au_runs(0.8, method="mixup")], claim(**AUS))
    assert (level.verdict, level.difference) == ("not separated", 0.0)


def test_few_subjects_or_one_training_are_underpowered() -> None:
    one = only([*au_runs(0.9, seeds=1), *au_runs(0.8, seeds=1, method="mixup")], claim(**AUS))
    assert one.verdict == "underpowered"
    assert "one pair does not show how much trainings vary" in one.words
    few = only([*au_runs(0.9, people=1), *au_runs(0.7, people=1, method="mixup")], claim(**AUS))
    assert few.verdict == "underpowered"
    assert "6 subjects are needed for one comparison" in few.words


def test_a_fold_that_is_missing_keeps_a_pair_out() -> None:
    records = [*au_runs(0.9, folds=("part1", "part2")), *au_runs(0.8, method="mixup")]
    assert only(records, claim(**AUS)).words.startswith("Not run: no (seed, draw) pair is finished on both sides")


# --- the claims there are


def test_without_records_every_claim_is_not_run() -> None:
    found = verdicts([])
    assert {verdict.verdict for verdict in found} == {"not run"}
    assert {verdict.claim.id for verdict in found} == {made.id for made in claims()}
    assert all(verdict.stand_in == verdict.claim.places[0].stand_in for verdict in found)


OPEN = (
    *("co_teaching", "co_teaching_plus", "cocuring", "cocuring:no-relabel", "decoupling", "ensemble", "gce", "jocor"),
    *("nct", "scn", "supervised", "ulc_ag:no-auxiliary"),
)


def test_what_ships_decides_more_than_ten_claims() -> None:
    """The methods and the two protocols of the reference leaderboard: eight pairs each, small profile, real faces."""
    records = []
    for protocol, level in (("ferplus-sym", 0.4), ("fer2013-real", None)):
        for skill, method in enumerate(OPEN):
            where = {"protocol": protocol, "level": level, "profile": "small", "method": method}
            records += runs([0.6 + 0.01 * skill + 0.001 * seed for seed in range(8)], **where)
    found = [verdict for verdict in verdicts(records) if verdict.verdict != "not run"]
    assert len({verdict.claim.id for verdict in found}) >= 25
    assert {verdict.verdict for verdict in found} <= set(VERDICTS) - {"underpowered", "supported", "contradicted"}
    assert {verdict.source for verdict in found} == {"real"}
    assert {verdict.protocol for verdict in found} == {"ferplus-sym", "fer2013-real"}
    assert all("small profile, real faces" in verdict.words for verdict in found)
