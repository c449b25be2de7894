from __future__ import annotations

from xml.etree import ElementTree

import pytest

from fernoise_bench.results.regression.compare import REGRESSIONS, STATUSES, Finding, Status
from fernoise_bench.results.regression.report import counts, failed, junit, markdown, table, unguarded
from fernoise_bench.results.tables.render import render

OK = Finding("check-au", "recot", "ok", "", 0.51234, 0.5, 0.4, 0.6)
BROKEN = Finding("check-au", "scn", "broken", "seed 0: failed: <a> & | `b`\x07", None)
NEW = Finding("check-single", "mine", "new", "has no reference yet", 0.5)


def test_counts_the_gravest_first() -> None:
    assert counts([OK, OK, BROKEN, NEW]) == "1 broken, 1 new, 2 ok"


@pytest.mark.parametrize("status", STATUSES)
def test_a_regression_fails(status: Status) -> None:
    assert failed([OK, Finding("p", "m", status)]) == (status in REGRESSIONS)


def test_a_method_without_a_reference_fails_only_strictly() -> None:
    assert not failed([OK, NEW])
    assert failed([OK, NEW], strict=True)
    assert not failed([OK], strict=True)
    assert failed([BROKEN], strict=True)
    assert 'failures="1"' in junit("smoke", [OK, NEW], 1.0, {}, strict=True)
    assert 'skipped="0"' in junit("smoke", [OK, NEW], 1.0, {}, strict=True)


def test_what_is_not_guarded_is_said_once_a_method() -> None:
    (warning,) = unguarded([OK, NEW, Finding("check-real", "mine", "new")])
    assert warning.startswith(
        "mine has no reference on check-single, check-real: this check guards nothing of it there; "
    )
    assert "nothing compared" in markdown("smoke", [NEW])
    assert ": nothing compared, failed for lack of references\n" in markdown("smoke", [NEW], strict=True)
    assert ": no regression, failed for lack of references\n" in markdown("smoke", [OK, NEW], strict=True)
    assert ": no regression\n" in markdown("smoke", [OK], strict=True)
    assert ": regressions\n" in markdown("smoke", [BROKEN, NEW], strict=True)
    assert unguarded([OK, BROKEN]) == ()


def test_the_table_has_a_row_each_the_gravest_first() -> None:
    made = table("smoke", [OK, BROKEN, NEW], ("a note",))
    assert [row[1].text for row in made.rows] == ["scn", "mine", "recot"]
    text = render(made, "github")
    assert "| **broken** |" in text
    assert "40.00 to 60.00" in text
    assert "51.23" in text
    assert "- a note" in text


def test_the_summary_shows_what_is_not_as_it_was_and_folds_the_rest() -> None:
    text = markdown("smoke", [OK, BROKEN])
    assert text.startswith("## fernoise-bench check, smoke: regressions\n\n1 broken, 1 ok.")
    before, _, folded = text.partition("<details>")
    assert "scn" in before
    assert "recot" not in before
    assert "recot" in folded
    assert "\\<a> & \\| \\`b\\`" in before
    assert "no regression" in markdown("smoke", [OK])


def test_junit_has_a_case_each_and_survives_any_reason() -> None:
    root = ElementTree.fromstring(junit("smoke", [OK, BROKEN, NEW], 12.34, {"checked on": "AVX2 <\x07>"}))
    assert root.attrib["tests"] == "3"
    assert (root.attrib["failures"], root.attrib["skipped"], root.attrib["time"]) == ("1", "1", "12.3")
    assert [each.attrib for each in root.iter("property")] == [{"name": "checked on", "value": "AVX2 <?>"}]
    cases = {case.attrib["name"]: case for case in root.iter("testcase")}
    assert list(cases["recot"]) == []
    failure = cases["scn"].find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "seed 0: failed: <a> & | `b`?"
    assert cases["mine"].find("skipped") is not None


def test_names_that_xml_has_no_place_for_leave_it_readable() -> None:
    strange = Finding("check-\x1bau", "m\ud800\uffff", "missing", "gone")
    (case,) = ElementTree.fromstring(junit("smoke", [strange], 1.0, {}).encode()).iter("testcase")
    assert (case.attrib["classname"], case.attrib["name"]) == ("check-?au", "m??")
