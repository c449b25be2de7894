"""The verdicts as lines, as a table and as plain data."""

from __future__ import annotations

import json

import pytest

from fernoise_bench.results.claims.claim import Place
from fernoise_bench.results.claims.tables import claims_json, claims_table, claims_text, summary
from fernoise_bench.results.claims.verdicts import verdicts
from fernoise_bench.results.tables.render import FORMATS, render

from ..claimed import au_runs, claim, record, runs

REMARK = "The table says otherwise."


@pytest.fixture(scope="module")
def found():
    """A claim held at the small profile, one by order alone that was not run, and one that is only reported."""
    records = [*runs([0.72 + 0.001 * s for s in range(8)], method="cocuring", profile="small")]
    records += runs([0.70] * 8, method="nct", profile="small")
    made = [
        claim(printed={"rafdb-sym": {None: (72.0, 70.5)}}, remarks=(REMARK,)),
        claim(id="p/s/gce", right="gce", remarks=(REMARK,)),
        claim(id="p/o", statement="order", quote="", where="Table 2", places=(Place("ferplus-sym", (0.4,)),)),
        claim(id="p/r", statement="rest", right=None, unmeasured=("GACNN", "SCAN")),
    ]
    return verdicts(records, made)


def test_lines_name_the_words_the_verdict_and_what_was_not_run(found) -> None:
    lines = claims_text(found)
    assert lines[0] == "A paper"
    assert lines.count("  “ours is better” (Table 1)") == 1, "though another statement stands between"
    assert lines.index("  Ranking in Table 2") > lines.index("  “ours is better” (Table 1)")
    (held,) = [line for line in lines if line.strip().startswith("held here")]
    assert "cocuring > nct" in held
    assert "+2.35 [+2.13, +2.57]" in held
    assert "p 0.008  8 pairs  reported +1.50  rafdb-sym (small, real faces)" in held
    assert "    not run         gce was not run on rafdb-sym, small profile, real faces." in lines
    assert "  Ranking in Table 2" in lines
    assert "    not run         no records of ferplus-sym." in lines
    assert lines.count(f"    ! {REMARK}") == 1
    assert "4 claims, 1 tested; verdicts by protocol: 1 held here under other conditions; 3 not run" in lines


def test_verdicts_under_the_papers_own_conditions_are_counted_apart() -> None:
    ahead = [0.72 + 0.001 * s for s in range(8)]
    own = [*runs(ahead, method="cocuring"), *runs([0.7] * 8, method="nct"), *runs(ahead, method="gce")]
    other = [*runs([0.7] * 8, method="cocuring", protocol="ferplus-sym", profile="small")]
    other += runs(ahead, method="nct", protocol="ferplus-sym", profile="small")
    made = [claim(), claim(id="p/s/gce", statement="b", right="gce"), claim(id="p/r", right=None, unmeasured=("SCAN",))]
    made += [claim(id="p/o", places=(Place("ferplus-sym", (None,)),))]
    assert summary(verdicts([*own, *other], made)) == (
        "4 claims, 3 tested; verdicts by protocol: 1 supported, 1 not separated under the papers' own conditions; "
        "1 reversed here under other conditions; 1 not run"
    )
    plain = claims_json(verdicts([*own, *other], made))["verdicts"]
    assert [each["own_conditions"] for each in plain] == [True, True, False, False]


@pytest.mark.parametrize("width", [44, 60, 80, 120, 200])
def test_lines_keep_to_the_width(found, width) -> None:
    lines = claims_text(found, width)
    assert max(map(len, lines)) <= width
    together = " ".join(" ".join(lines).split())
    assert "+2.35 [+2.13, +2.57] p 0.008 8 pairs reported +1.50 rafdb-sym (small, real faces)" in together


def test_a_row_a_verdict(found) -> None:
    table = claims_table(found)
    assert len(table.rows) == len(found)
    first = dict(zip(table.columns, table.rows[0], strict=True))
    assert first["verdict"].text == "held here"
    assert first["difference"].value == pytest.approx(2.35)
    assert first["left"].text == "72.35"
    assert dict(zip(table.columns, table.rows[1], strict=True))["p (Holm)"].text == "–"
    assert (first["subjects"].text, first["quote"].text) == ("–", "ours is better")
    assert dict(zip(table.columns, table.rows[2], strict=True))["quote"].text == "–", "by the order of a table alone"
    for form in FORMATS:
        assert render(table, form)


def rows(verdicts):
    table = claims_table(verdicts)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_a_row_of_aus_says_of_how_many_subjects() -> None:
    """Two pairs alone could not give a p below .05: three folds of eight subjects do."""
    places = (Place("bp4d-3fold", (None,)),)
    long = "a quote of many words that goes on and on, further than a table has room for"
    made = claim(left="recot", right="mixup", places=places, quote=long)
    (row,) = rows(verdicts([*au_runs(0.9), *au_runs(0.8, method="mixup")], [made]))
    assert (row["pairs"].text, row["subjects"].text, row["subjects"].value) == ("2", "24", 24.0)
    assert row["quote"].text == "a quote of many words that goes on and on, further than ..."
    assert len(row["quote"].text) <= 60


def test_every_short_quote_can_be_set_in_latex() -> None:
    made = verdicts([])
    assert "?" not in "".join(row["quote"].text for row in rows(made))
    quotes = [line.rpartition("&")[2] for line in render(claims_table(made), "latex").splitlines() if " & " in line]
    assert not [quote for quote in quotes if "?" in quote]


@pytest.fixture(scope="module")
def open_level():
    """Supported at 0.1; at 0.4 one of eight diverged."""
    records = [*runs([0.72 + 0.001 * s for s in range(8)], method="cocuring", level=0.1)]
    records += runs([0.70] * 8, method="nct", level=0.1) + runs([0.72] * 8, method="cocuring", level=0.4)
    records += [*runs([0.70] * 7, method="nct", level=0.4), record(method="nct", level=0.4, seed=7, state="diverged")]
    return verdicts(records, [claim(places=(Place("rafdb-sym", (0.1, 0.4)),))])


def test_a_missing_level_is_named_in_every_form(open_level) -> None:
    why = "nct: 1 of 8 diverged at noise 0.4"
    (line,) = [line for line in claims_text(open_level) if line.strip().startswith("direction only")]
    assert line.endswith(f"rafdb-sym 0.1 (paper, real faces)  a noise level that was run is incomplete  {why}")
    (row,) = rows(open_level)
    assert row["noise"].text == f"0.1 ({why})"
    assert row["reason"].text == "a noise level that was run is incomplete"
    (plain,) = claims_json(open_level)["verdicts"]
    assert plain["missing"] == [{"levels": (0.4,), "why": why, "tried": True}]
    assert plain["because"] == "a noise level that was run is incomplete"


def test_one_quote_stands_once_with_all_its_places() -> None:
    made = [
        claim(id="p/a", statement="a", where="Fig. 2"),
        claim(id="p/b", statement="b", quote="another", where="Fig. 2"),
        claim(id="p/c", statement="c", where="Fig. 3", places=(Place("ferplus-sym", (0.4,)),)),
    ]
    lines = claims_text(verdicts([], made))
    assert [line for line in lines if "“" in line] == ["  “ours is better” (Fig. 2; Fig. 3)", "  “another” (Fig. 2)"]


def test_intervals_are_said_to_be_of_one_comparison(found) -> None:
    words = "Intervals are not corrected: one may exclude zero"
    assert words in claims_text(found)[-1]
    assert words in claims_table(found).notes[0]
    assert claims_json(found)["interval"] == {"coverage": 0.95, "comparisons": 1, "adjusted": False}


def test_plain_data_has_everything(found) -> None:
    content = json.loads(json.dumps(claims_json(found), allow_nan=False))
    assert content["summary"] == {"held here": 1, "not run": 3}
    first = content["verdicts"][0]
    assert first["points"]["difference"] == pytest.approx(2.35)
    assert (first["pairs"], first["family"], first["profile"]) == (8, 1, "small")
    assert first["quote"] == "ours is better"
    assert first["remarks"] == [REMARK]
    assert first["left"] == {"method": "cocuring", "measure": "score"}
    last = content["verdicts"][-1]
    assert (last["right"], last["reported_only"]) == (None, ["GACNN", "SCAN"])
    assert set(last["points"].values()) == {None}


def test_nothing_at_all() -> None:
    assert summary([]) == "0 claims, 0 tested; verdicts by protocol: none"
