"""The verdicts as lines, as a table and as plain data."""

from __future__ import annotations

import json

import pytest

from fernoise_bench.results.claim_data import Place
from fernoise_bench.results.claim_tables import claims_json, claims_table, claims_text, summary
from fernoise_bench.results.claim_verdicts import verdicts
from fernoise_bench.results.render import FORMATS, render

from .claimed import claim, runs

REMARK = "The table says otherwise."


@pytest.fixture(scope="module")
def found():
    """A supported claim, one by order alone that was not run, and one that is only reported."""
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
    assert lines.count("  “ours is better” (Table 1)") == 2, "another statement stood between"
    (supported,) = [line for line in lines if line.strip().startswith("supported")]
    assert "cocuring > nct" in supported
    assert "+2.35 [+2.13, +2.57]" in supported
    assert "p 0.008  8 pairs  printed +1.50  rafdb-sym (small, real faces)" in supported
    assert "    not run         gce was not run on rafdb-sym, small profile, real faces." in lines
    assert "  By the order of Table 2" in lines
    assert "    not run         no records of ferplus-sym." in lines
    assert lines.count(f"    ! {REMARK}") == 1
    assert "4 claims, 1 tried; verdicts by protocol: 1 supported, 3 not run" in lines


@pytest.mark.parametrize("width", [44, 60, 80, 120, 200])
def test_lines_keep_to_the_width(found, width) -> None:
    lines = claims_text(found, width)
    assert max(map(len, lines)) <= width
    together = " ".join(" ".join(lines).split())
    assert "+2.35 [+2.13, +2.57] p 0.008 8 pairs printed +1.50 rafdb-sym (small, real faces)" in together


def test_a_row_a_verdict(found) -> None:
    table = claims_table(found)
    assert len(table.rows) == len(found)
    first = dict(zip(table.columns, table.rows[0], strict=True))
    assert first["verdict"].text == "supported"
    assert first["difference"].value == pytest.approx(2.35)
    assert first["left"].text == "72.35"
    assert dict(zip(table.columns, table.rows[1], strict=True))["p (Holm)"].text == "–"
    for form in FORMATS:
        assert render(table, form)


def test_plain_data_has_everything(found) -> None:
    content = json.loads(json.dumps(claims_json(found), allow_nan=False))
    assert content["summary"] == {"supported": 1, "not run": 3}
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
    assert summary([]) == "0 claims, 0 tried; verdicts by protocol: none"
