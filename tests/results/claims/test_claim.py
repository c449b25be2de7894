"""The papers' claims as data: complete, consistent with the printed tables, and runnable."""

from __future__ import annotations

import functools
import re

import pytest

from fernoise_bench.benchmark import registry
from fernoise_bench.protocols.catalog import PROTOCOLS
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.claims import claim as claim_data
from fernoise_bench.results.claims import measures as claim_measures
from fernoise_bench.results.claims.claim import GAINS, PAPERS, RELATIONS, Side, claims, contrast

ALL = claims()
FIVE = ("recot", "cocuring", "ulcag", "rhls", "mlcr")
BY_ID = {claim.id: claim for claim in ALL}

# Checked against the papers' tables by hand: claims that their own numbers contradict somewhere.
CONTRADICTED_BY_THEMSELVES = {
    "recot/co-training": "emotionet-3split-scratch (+5.5)",
    "recot/selection": "emotionet-3split (0)",
    "recot/refinement": "emotionet-3split-scratch (+0.2)",
    "cocuring/synthetic/nct": "affectnet-sym at 0.2 (−0.13)",
    "cocuring/relabelling": "affectnet-sym at 0.2 (−0.5)",
    "cocuring/without-relabelling": "rafdb-sym at 0.2 (−1.13), rafdb-sym at 0.3 (−1.08)",
    "cocuring/joint/co_teaching-scn": "rafdb-sym at 0.1 (−2)",
    "cocuring/joint/co_teaching_plus-scn": "ferplus-sym at 0.2 (−6.73)",
    "cocuring/joint/jocor-scn": "ferplus-sym at 0.3 (−0.96)",
    "cocuring/high-noise": "rafdb-sym (−2.06), affectnet-sym (−1.56)",
    "cocuring/rate-dependent/co_teaching_plus:estimated-rate": "affectnet-auto (−1.23)",
    "cocuring/rate-dependent/jocor:estimated-rate": "affectnet-auto (−1.15)",
}


def test_every_paper_makes_claims_and_each_has_a_name_of_its_own() -> None:
    assert {claim.paper for claim in ALL} == set(PAPERS)
    assert len(BY_ID) == len(ALL) >= 150
    assert all(claims(paper) == tuple(c for c in ALL if c.paper == paper) for paper in PAPERS)


def test_every_newer_method_is_tried_against_plain_training() -> None:
    newer = [claim for claim in ALL if claim.paper not in FIVE]
    assert {claim.left.method for claim in newer} == {*PAPERS[len(FIVE) :], "hill"}
    for claim in newer:
        assert (claim.right, claim.relation, claim.printed) == (Side("supervised"), ">", {})
        assert claim.quote
        assert any(place.stand_in for place in claim.places)


def test_a_quote_is_at_most_a_line() -> None:
    for claim in ALL:
        assert len(claim.quote) <= 130, claim.id
        assert "\n" not in claim.quote
        assert claim.where
        assert claim.relation in RELATIONS
        assert all(remark.endswith(".") for remark in claim.remarks), claim.id


@functools.cache
def found(method: str) -> registry.MethodSpec:
    return registry.find(method)


@pytest.mark.parametrize("claim", ALL, ids=lambda claim: claim.id)
def test_a_claim_can_be_tried(claim) -> None:
    """Its methods exist and can run on its protocols, at levels the protocols have, under measures that exist."""
    own = [place for place in claim.places if not place.stand_in]
    assert own or (claim.places and claim.paper not in FIVE)
    for place in claim.places:
        assert list(place.levels) == sorted(place.levels, key=lambda level: -1.0 if level is None else level)
        for level in place.levels:
            protocol = PROTOCOLS[place.at(level)]
            assert level in (protocol.levels or (None,))
            for side in filter(None, (claim.left, claim.right)):
                assert claim_measures.is_known(side.measure)
                missing = found(side.method).missing(protocol)
                assert not missing or "auxiliary AU labels" in missing, f"{side.method} on {place.words}: {missing}"
    if claim.right is None and not claim.unmeasured:
        assert claim.relation == "falls with noise"


def test_classes_and_aus_are_those_of_the_protocols() -> None:
    for claim in ALL:
        for side in filter(None, (claim.left, claim.right)):
            for place in claim.places:
                names = PROTOCOLS[place.protocol].names
                if side.measure.startswith("AU"):
                    assert side.measure in names
                for _, _, listed in re.findall(r"(highest|lowest) recall (of|except) (.+)", side.measure):
                    assert set(listed.split(", ")) <= set(names), claim.id


@pytest.mark.parametrize(
    ("name", "protocol", "levels", "difference"),
    [
        ("cocuring/synthetic/nct", "rafdb-sym", (0.4,), 82.06 - 79.01),
        ("cocuring/synthetic/ensemble", "ferplus-sym", (0.1, 0.4), ((87.85 - 86.48) + (84.41 - 82.81)) / 2),
        ("cocuring/impeded", "affectnet-sym", (0.1, 0.2, 0.3, 0.4), 59.4 - 53.57),
        ("cocuring/real-improvement", "affectnet-auto", (None,), 56.70 - 53.85),
        ("ulcag/degradation/supervised", "rafdb-sym", (0.1, 0.2, 0.3), (80.63 - 75.13) - (83.21 - 79.01)),
        ("ulcag/target-branch", "affectnet7-sym", (0.0,), 58.66 - 57.94),
        ("recot/bp4d-mlcr", "bp4d-3fold", (None,), 64.8 - 59.3),
        ("recot/noisy-data", "disfa-3fold", (None,), 62.6 - 57.6),
        ("recot/each-au/AU17", "emotionet-3split", (None,), 58.7 - 53.0),
        ("recot/beta/recot:a1-b1-g0.9", "emotionet-3split-scratch", (None,), 69.7 - 69.3),
        ("recot/noise-model/recot:mixed", "emotionet-3split", (None,), 70.6 - 70.3),
        ("rhls/improvement", "bp4d-3fold-plain", (None,), 63.0 - 61.9),
        ("mlcr/rivals/mean_teacher", "emotionet-3split", (None,), 68.1 - 63.7),
        ("ulcag/growth/supervised", "affectnet-auto", (None, 0.1, 0.2, 0.3), 4.14 - (2.20 + 2.28 + 3.85) / 3),
        ("ulcag/growth/scn", "affectnet-auto", (None, 0.1, 0.2, 0.3), 1.94 - (0.87 + 1.26 + 1.40) / 3),
        ("ulcag/growth-rafdb/supervised", "affectnet-auto", (None, 0.1, 0.2, 0.3), 4.14 - (2.58 + 3.10 + 3.88) / 3),
        ("ulcag/growth-rafdb/scn", "affectnet-auto", (None, 0.1), 1.94 - 1.03),
    ],
)
def test_printed_differences_are_looked_up_in_the_papers_tables(name, protocol, levels, difference) -> None:
    assert BY_ID[name].printed_difference(protocol, levels) == pytest.approx(difference)


def test_what_the_paper_does_not_print_has_no_difference() -> None:
    synthetic = BY_ID["cocuring/synthetic/scn"]
    assert synthetic.printed_difference("rafdb-sym", (0.3,)) == pytest.approx(84.84 - 77.46)
    assert synthetic.printed_difference("rafdb-sym", (0.4,)) is None, "SCN has no row at 40%"
    assert synthetic.printed_difference("fer2013-real", (None,)) is None
    assert BY_ID["ulcag/growth/scn"].printed_difference("affectnet-auto", (0.1, 0.2)) is None, "no real noise"
    assert BY_ID["cocuring/memorising"].printed == {}


def test_claims_that_a_papers_own_numbers_contradict_say_so() -> None:
    found = {c.id: r for c in ALL for r in c.remarks if r.startswith("The paper's own numbers contradict")}
    assert set(found) == set(CONTRADICTED_BY_THEMSELVES)
    assert all(part in found[name] for name, part in CONTRADICTED_BY_THEMSELVES.items())


def test_doubts_about_printed_numbers_come_along() -> None:
    def remarks(name: str) -> str:
        return "\n".join(BY_ID[name].remarks)

    assert "suspect: the same digits as at 30%" in remarks("cocuring/synthetic/jocor")
    assert "copied" in remarks("cocuring/synthetic/scn")
    assert "two digits swapped" in remarks("cocuring/synthetic/scn")
    assert "ATCM 61.5, ReCoT 62.6" in remarks("recot/disfa-atcm")
    assert "SCAN has the same 61.7" in remarks("cocuring/affectnet/scn")
    assert BY_ID["cocuring/synthetic/ensemble"].remarks == ()


def test_each_au_is_measured_on_both_sides() -> None:
    aus = [claim for claim in ALL if claim.statement == "each-au"]
    assert [claim.left.measure for claim in aus] == list(PROTOCOLS["emotionet-3split"].names)
    assert all(claim.right is not None and claim.left.measure == claim.right.measure for claim in aus)


def test_words() -> None:
    words = {name: BY_ID[name].words for name in BY_ID}
    assert words["cocuring/synthetic/nct"] == "cocuring > nct"
    assert words["cocuring/impeded"] == "ensemble falls with noise"
    assert words["cocuring/high-noise"] == "cocuring falls less with noise than jocor"
    assert words["recot/two-heads"] == "recot:net-noisy > supervised:clean-selective by at least 1 and 2.4"
    assert words["cocuring/memorising"] == "ensemble (memorised) > cocuring (memorised)"
    assert words["recot/emotionet/reported-only"] == "recot > MLCT"
    assert words["recot/disfa-atcm"] == "recot < ATCM"
    growth = "ulc_ag − scn is larger on real noise than on synthetic noise"
    assert words["ulcag/growth/scn"] == growth


def test_a_claim_that_another_method_is_above_has_its_direction() -> None:
    """ReCoT §4.3: "ATCM achieves a slightly higher F1-score than our method"; Table 3 has 61.5 below 62.6."""
    claim = BY_ID["recot/disfa-atcm"]
    assert (claim.left.method, claim.relation, claim.unmeasured) == ("recot", "<", ("ATCM",))
    assert contrast(claim.relation, {None: 62.6}, {None: 61.5}) == pytest.approx(-1.1)


def test_claims_about_unknown_rates_name_methods_that_are_not_told_one() -> None:
    unknown = [claim for claim in ALL if claim.unknown_rate]
    assert {claim.statement for claim in unknown} == {"real", "rate-dependent"}
    for claim in unknown:
        assert "noise_rate" not in found(claim.left.method).needs | found(claim.right.method).needs


def test_words_about_all_noise_levels() -> None:
    assert {claim.statement for claim in ALL if claim.all_levels} == {"synthetic", "beta-chosen"}
    assert all("all noise levels" in claim.quote for claim in ALL if claim.all_levels)
    assert all(claim.all_levels for claim in ALL if "all noise levels" in claim.quote)


def test_contrasts_worked_by_hand() -> None:
    left, right = {0.1: 80.0, 0.3: 70.0}, {0.1: 78.0, 0.3: 72.0}
    assert contrast(">", left, right) == 0.0
    assert contrast("falls with noise", left, {}) == 10.0
    assert contrast("falls less with noise", left, right) == -4.0
    assert contrast("<", {None: 70.0}, {None: 72.5}) == 2.5
    assert contrast(GAINS, {None: 60.0, **left}, {None: 55.0, **right}) == 5.0 - (2.0 - 2.0) / 2


def test_an_unknown_paper_is_named() -> None:
    with pytest.raises(BadInput, match="unknown paper 'recott': did you mean recot"):
        claims("recott")


PART = {
    "id": "new",
    "place": "Table 1",
    "left": "cocuring",
    "right": ["nct"],
    "relation": ">",
    "protocols": ["rafdb-sym"],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"relation": "beats"}, "no such relation: beats"),
        ({"relation": "by at least"}, "go together"),
        ({"at_least": 2.0}, "go together"),
        ({"metric": "score"}, r"no such keys: \['metric'\]"),
        ({"measure": "scores"}, "no such measure: scores"),
        ({"levels": []}, "no level"),
        ({"relation": GAINS}, "beside go together"),
        ({"beside": "ferplus-sym"}, "beside go together"),
        ({"right": []}, "nothing to compare"),
    ],
)
def test_a_statement_that_contradicts_itself_is_refused(change, message) -> None:
    with pytest.raises(ValueError, match=message):
        claim_data._statement("paper", "A paper", {**PART, **change})


def test_a_damaged_file_is_named(monkeypatch, tmp_path) -> None:
    (tmp_path / "statements").mkdir()
    (tmp_path / "statements" / "recot.toml").write_text('name = "x"\n[[statement]]\nid = "a"\n')
    monkeypatch.setattr(claim_data, "files", lambda _: tmp_path)
    with pytest.raises(BadInput, match=r"results/claims/statements/recot\.toml is damaged .*: install .* again"):
        claims("recot")
    with pytest.raises(BadInput, match=r"results/claims/statements/rhls\.toml is damaged"):
        claims("rhls")
