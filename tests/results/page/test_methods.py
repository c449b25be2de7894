"""What the page says of a method: its paper, its card, its names in the records."""

from __future__ import annotations

from fernoise_bench.results.page.data import Context, page_data
from fernoise_bench.results.page.methods import MethodCard
from fernoise_bench.results.page.seconds import seconds_first
from fernoise_bench.results.tables.cell import Cell, Table

from ..claimed import record

CARD = MethodCard(
    "Two networks.", "Reference: theirs.", ("noise_rate", "single", "teacher:supervised:clean"), "00ff",
    [("scale", "1.0", "paper §3")], {"no-relabel": "without relabelling"},
)  # fmt: skip


def test_variants_are_under_their_method_with_its_paper_and_card():
    records = [record(method=name) for name in ("cocuring:no-relabel", "mine.Mine", "cocuring")]
    cocuring, mine = page_data(records, Context(methods={"cocuring": CARD}))["methods"]
    assert (cocuring["name"], cocuring["recorded"]) == ("cocuring", ["cocuring", "cocuring:no-relabel"])
    assert (cocuring["paper"]["year"], cocuring["paper"]["code_link"]) == (2021, "https://github.com/1980x/Cocuring")
    assert cocuring["card"]["task"] == "expressions"
    assert cocuring["card"]["extra"] == [
        *("the true noise rate (oracle knowledge)", "the predictions of a teacher, supervised:clean")
    ]
    assert cocuring["card"]["rows"] == [["scale", "1.0", "paper §3"]]
    assert mine == {"name": "mine.Mine", "recorded": ["mine.Mine"], "paper": None, "card": None}


def test_the_device_with_the_most_times_comes_first():
    blank, one = Cell("–"), Cell("1.0", 1.0)
    columns = ("method", "seconds (old)", "peak MB (old)", "seconds (new)", "peak MB (new)", "oracle knowledge")
    rows = ((Cell("a"), one, blank, one, one, Cell("none")), (Cell("b"), blank, blank, one, one, Cell("none")))
    found = seconds_first(Table("t", columns, rows))
    assert found.columns == (columns[0], *columns[3:5], *columns[1:3], columns[5])
    assert [cell.text for cell in found.rows[1]] == ["b", "1.0", "1.0", "–", "–", "none"]
    assert seconds_first(Table("t", ("method",), ((Cell("a"),),))).columns == ("method",)
