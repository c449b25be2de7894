"""Where a claim is tried: of several settings, on stand-ins, and with methods that may not be used."""

from __future__ import annotations

import pytest

from fernoise_bench.results.claims.claim import Place
from fernoise_bench.results.claims.verdicts import verdicts

from ..claimed import EIGHT, ahead, claim, only, record, runs


def test_the_setting_nearest_the_papers_is_chosen() -> None:
    worse = [-each for each in EIGHT]
    small, generated = {"profile": "small"}, {"source": "generated"}
    assert only([*ahead(worse, **generated), *ahead(EIGHT, **small)], claim()).profile == "small"
    assert only([*ahead(worse, **small), *ahead(EIGHT)], claim()).profile == "paper"
    assert only([*ahead(worse, partial=True), *ahead(EIGHT, **small)], claim()).profile == "small"
    assert only([*ahead(worse, recipe="native"), *ahead(EIGHT, **generated)], claim()).source == "generated"
    half = runs([0.7] * 8, method="cocuring")  # at the paper profile, where its rival was not run
    assert only([*half, *ahead(EIGHT, **small)], claim()).profile == "small"


def test_a_nearer_setting_with_too_few_pairs_is_passed_over_and_said() -> None:
    near, far = ahead([0.5], profile="transfer"), ahead(EIGHT, profile="small")
    found = only([*near, *far], claim())
    assert (found.profile, found.pairs, found.verdict) == ("small", 8, "held here")
    assert "rafdb-sym, transfer profile, real faces has 1 pair only, too few to decide" in found.words
    alone = only(near, claim())
    assert (alone.profile, alone.verdict) == ("transfer", "underpowered")
    assert "too few to decide" not in alone.words
    both = only([*near, *ahead(EIGHT[:2], profile="small")], claim())
    assert (both.profile, both.pairs) == ("transfer", 1)


def test_settings_are_never_mixed() -> None:
    records = [*runs([0.9] * 8, method="cocuring", profile="small"), *runs([0.7] * 8, method="nct")]
    assert only(records, claim()).verdict == "not run"


def test_generated_faces_are_named() -> None:
    found = only(ahead(EIGHT, source="generated", profile="small"), claim())
    assert found.source == "generated"
    assert "small profile, generated faces" in found.words


def test_a_stand_in_is_marked_and_left_out_without_records() -> None:
    places = (
        Place("rafdb-sym", (0.4,)),
        Place("fer2013-real", (None,), stand_in=True),
    )
    made = claim(places=places, printed={"rafdb-sym": {0.4: (72.0, 70.0)}})
    assert [verdict.protocol for verdict in verdicts([], [made])] == ["rafdb-sym"]
    own, stand_in = verdicts(ahead(EIGHT, protocol="fer2013-real"), [made])
    assert (own.verdict, own.stand_in) == ("not run", False)
    assert (stand_in.verdict, stand_in.stand_in, stand_in.printed) == ("held here", True, None)
    assert "a stand-in for rafdb-sym" in stand_in.words


def test_a_claim_of_stand_ins_alone_is_not_run_on_the_first() -> None:
    places = (Place("fer2013-real", (None,), stand_in=True), Place("ferplus-sym", (0.4,), stand_in=True))
    (none,) = verdicts([], [claim(places=places)])
    assert (none.verdict, none.protocol) == ("not run", "fer2013-real")
    first, second = verdicts(ahead(EIGHT, protocol="ferplus-sym", level=0.4), [claim(places=places)])
    assert (first.verdict, second.verdict) == ("not run", "held here")
    assert "ferplus-sym, paper profile, real faces, a stand-in for data that no protocol has" in second.words


def test_other_noise_on_the_same_protocol_is_a_stand_in_too() -> None:
    made = claim(places=(Place("rafdb-sym", (0.0,)), Place("rafdb-sym", (0.4,), stand_in=True)))
    own, stand_in = verdicts(ahead(EIGHT, level=0.4), [made])
    assert own.words == "Not run: cocuring was not run on rafdb-sym, paper profile, real faces, at noise 0."
    assert "a stand-in for rafdb-sym at noise 0; noise 0.4" in stand_in.words


REAL = (Place("affectnet-auto", (None,)), Place("fer2013-real", (None,), stand_in=True))


def test_an_unknown_rate_is_not_judged_by_a_method_that_uses_it() -> None:
    guessing = claim(right="co_teaching:estimated-rate", places=REAL, unknown_rate=True)
    told = runs([0.7] * 8, method="co_teaching", protocol="fer2013-real", oracle_knowledge=("noise_rate",))
    ours = runs([0.7 + each for each in EIGHT], method="cocuring", protocol="fer2013-real")
    own, stand_in = verdicts([*ours, *told], [guessing])
    assert own.verdict == "not run"
    assert (stand_in.verdict, stand_in.stand_in, stand_in.p) == ("not run", True, None)
    assert stand_in.words == (
        "Not run: co_teaching:estimated-rate was not run; co_teaching, which was, uses the true noise rate, and the "
        "claim is about an unknown one (on fer2013-real, paper profile, real faces)."
    )
    untold = runs([0.7] * 8, method="co_teaching:estimated-rate", protocol="fer2013-real")
    _, stand_in = verdicts([*ours, *told, *untold], [guessing])
    assert (stand_in.verdict, stand_in.claim.right.method) == ("held here", "co_teaching:estimated-rate")
    assert stand_in.oracle_knowledge == ()


def test_a_method_whose_own_trials_used_it_is_refused_too() -> None:
    made = claim(places=REAL[1:], unknown_rate=True)
    found = only(ahead(EIGHT, protocol="fer2013-real", oracle_knowledge=("noise_rate",)), made)
    assert found.words.startswith("Not run: cocuring uses the true noise rate")
    assert only(ahead(EIGHT, protocol="fer2013-real"), made).verdict == "held here"


def test_the_reason_is_that_of_the_nearest_setting() -> None:
    near = runs([0.7] * 8, method="cocuring", profile="paper")  # its rival was not run
    far = [*runs([0.7] * 8, method="nct", profile="smoke"), record(method="scn", profile="small")]
    assert only([*far, *near], claim()).words == "Not run: nct was not run on rafdb-sym, paper profile, real faces."


def test_oracle_knowledge_and_versions_are_named() -> None:
    told = ahead(EIGHT, oracle_knowledge=("noise_rate",))
    older = runs([0.1] * 3, method="cocuring", digest="beef")
    found = only([*told, *older], claim())
    assert found.oracle_knowledge == tuple(f"{each} uses oracle knowledge: noise rate" for each in ("cocuring", "nct"))
    assert found.words.endswith("; ".join(found.oracle_knowledge) + ".")
    assert "cocuring has several versions: the one with the most trials is used" in found.words
    assert found.left == pytest.approx(71.75)
