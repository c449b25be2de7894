"""Tables in a terminal: no line is wider than it, nothing is lost, and rows keep their names in every block."""

from __future__ import annotations

import re

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.tables.cell import Cell, Table
from fernoise_bench.results.tables.columns import with_columns
from fernoise_bench.results.tables.fitted import fitted, fitted_grid
from fernoise_bench.results.tables.render import render

PAPER = Table(
    "a paper's table of many columns",
    ("set", "Method", "A reported", "A measured", "A difference", "B reported", "B measured", "B difference"),
    (
        (
            *(Cell("SL"), Cell("one")),
            *(Cell("36.4", 36.4), Cell("–", status="reported only"), Cell("")),
            *(Cell("41.8", 41.8, best=True), Cell("64.0 ± 4.4", 64.0, best=True), Cell("+22.2", 22.2)),
        ),
        (
            *(Cell("SL", repeats=True), Cell("two #1a2b3c")),
            *(Cell(""), Cell("75.3 ± 2.6", 75.3), Cell("+26.0", 26.0)),
            *(Cell("[43.6]", 43.6), Cell("1/3, 2 failed", status="1/3, 2 failed"), Cell("")),
        ),
    ),
    ("a note of several words",),
    headers=2,
)


def cells_of(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines() if line.startswith("|")]


def test_a_table_that_fits_is_as_ever() -> None:
    assert fitted(PAPER, 200) == render(PAPER, "github")


def test_reported_and_measured_share_a_cell() -> None:
    head, _, first, second = cells_of(fitted(PAPER, 70))
    assert head == ["set", "Method", "A", "B"]
    assert first == ["SL", "one", "36.4", "**41.8** (**64.0 ± 4.4**)"]
    assert second == ["", "two #1a2b3c", "(75.3 ± 2.6)", "[43.6] (1/3, 2 failed)"]
    assert "- Cells: reported (measured)" in fitted(PAPER, 70)


def test_columns_stand_in_blocks_with_the_names_of_the_rows() -> None:
    lines = cells_of(fitted(PAPER, 60))
    assert [line for line in lines if line[0] == "set"] == [["set", "Method", "A"], ["set", "Method", "B"]]
    assert [line[1] for line in lines if line[1] in ("one", "two #1a2b3c")] == ["one", "two #1a2b3c"] * 2


@pytest.mark.parametrize("width", [45, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, fitted([PAPER, PAPER], width).splitlines())) <= width


def test_long_cells_are_broken_into_lines_and_nothing_is_lost() -> None:
    words = "needs action unit labels and a teacher that is trained on verified rows"
    grid = fitted_grid(("method", "why", "n"), [("recot", words, "12")], ("left", "left", "right"), 40)
    assert max(map(len, grid.splitlines())) == 40
    assert " ".join(line[1] for line in cells_of(grid)[2:]).split() == words.split()
    assert grid.splitlines()[2].endswith(" 12 |")


def test_columns_are_chosen_by_heading_in_any_case_and_order() -> None:
    table = Table("t", ("method", "noise 0.2", "noise 0.4"), ((Cell("gce"), Cell("1"), Cell("2")),))
    (found,) = with_columns([table], ["NOISE 0.4, noise 0.2"])
    assert found.columns == ("method", "noise 0.4", "noise 0.2")
    assert [cell.text for cell in found.rows[0]] == ["gce", "2", "1"]
    (both,) = with_columns([PAPER], ["B"])
    assert both.columns == ("set", "Method", "B reported", "B measured", "B difference")
    latex = render(both, "latex")
    assert re.search(r"\\begin\{tabular\}\{llrrr\}\n\\toprule\nset & Method & B reported & B measured & B diff", latex)
    with pytest.raises(BadInput, match=r"unknown column 'noise 0.3': did you mean noise 0.4 or noise 0.2\?"):
        with_columns([table], ["noise 0.3"])


def test_a_heading_with_a_comma_is_one_heading_and_tables_without_it_are_left_out() -> None:
    first = Table("a", ("method", "x, y"), ((Cell("gce"), Cell("1")),))
    second = Table("b", ("method", "z"), ((Cell("gce"), Cell("2")),))
    assert [table.title for table in with_columns([first, second], ["x, y"])] == ["a"]
