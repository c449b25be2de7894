"""`run --table` and `table ID`: what a paper's table lacks, and how it is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from fernoise_bench.benchmark.cli import main
from fernoise_bench.benchmark.planning import grid as cells
from fernoise_bench.benchmark.planning import table_grid as fill
from fernoise_bench.benchmark.planning.grid import RunRequest
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.papers.reported import TABLE_IDS


def asked(**changes):
    return RunRequest(**{"protocol": "", "synthetic": True, "profile": "smoke", "out": Path("nowhere"), **changes})


def call(*words):
    return CliRunner().invoke(main, words)


def trials(found):
    return {(t.job.protocol.name, t.method.name, t.level) for grid in found.grids for t in grid.trials}


def test_a_table_is_a_grid_for_each_protocol_without_the_cells_the_paper_has_not():
    found = fill.make_table_grid("cocuring-2", asked())
    assert [grid.job.protocol.name for grid in found.grids] == ["rafdb-sym", "ferplus-sym", "affectnet-sym"]
    assert len(trials(found)) == 3 * (7 * 4 + 3)
    assert ("ferplus-sym", "scn", 0.3) in trials(found)
    assert ("ferplus-sym", "scn", 0.4) not in trials(found)
    assert found.left_out == {}


def test_options_narrow_a_table():
    found = fill.make_table_grid(
        "cocuring-2", asked(protocol="rafdb-sym", methods=("scn", "co-teaching"), levels=(0.3, 0.4), without=("nct",))
    )
    assert trials(found) == {
        ("rafdb-sym", "scn", 0.3),
        ("rafdb-sym", "co_teaching", 0.3),
        ("rafdb-sym", "co_teaching", 0.4),
    }
    found = fill.make_table_grid("recot-4", asked(methods=("recot:a1-b1-g1",), folds=("1",), seeds=2))
    assert len(found.grids) == 2
    assert sum(len(grid.trials) for grid in found.grids) == 4


@pytest.mark.parametrize(
    ("table_id", "changes", "message"),
    [
        ("recot-9", {}, "unknown table 'recot-9': did you mean recot-4"),
        ("mlcr-1", {}, "--table mlcr-1 has nothing to measure; to print it: fernoise-bench table mlcr-1"),
        ("cocuring-2", {"all_methods": True}, "--all-methods: a table names its own methods"),
        ("cocuring-2", {"protocol": "fer2013-real"}, "unknown protocol of this table 'fer2013-real'"),
        ("cocuring-2", {"methods": ("recot",)}, "unknown method of this table 'recot'"),
        ("cocuring-2", {"levels": (0.5,)}, "unknown noise level of this table '0.5'"),
        ("cocuring-3", {"levels": (0.4,)}, "unknown noise level of this table '0.4'"),
        ("cocuring-2", {"methods": ("scn",), "levels": (0.4,)}, "together select nothing of the table"),
    ],
)
def test_what_a_table_has_not_is_refused(table_id, changes, message):
    with pytest.raises(BadInput) as error:
        fill.make_table_grid(table_id, asked(**changes))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_method_that_cannot_run_is_left_out_with_the_reason(monkeypatch):
    monkeypatch.setattr(fill, "_reason", lambda each, asked: "needs what is not there" if each.method == "nct" else "")
    found = fill.make_table_grid("cocuring-3", asked())
    assert found.left_out == {"nct on affectnet-auto": "needs what is not there"}
    assert "nct" not in {method for _, method, _ in trials(found)}
    monkeypatch.setattr(fill, "_reason", lambda each, asked: "needs what is not there")
    with pytest.raises(BadInput, match="none of the methods asked for can run"):
        fill.make_table_grid("cocuring-3", asked())


def test_runs_under_the_papers_own_recipes_leave_out_methods_without_one():
    found = fill.make_table_grid("cocuring-3", asked(recipe="native"))
    assert ("affectnet-auto", "cocuring", None) in trials(found)
    assert all(trial.job.recipe == "native" for grid in found.grids for trial in grid.trials)
    assert "ensemble on affectnet-auto" in found.left_out


def test_auxiliary_aus_are_there_for_generated_faces():
    found = fill.make_table_grid("ulcag-2", asked())
    assert {method for _, method, _ in trials(found)} == {"ulc_ag", "ulc_ag:random-edges"}


def test_absent_data_name_the_columns_that_could_be_filled_alone(tmp_path):
    with pytest.raises(BadInput, match=r"rafdb.*--synthetic.*: --protocol ferplus-sym or --protocol affectnet-sym"):
        fill.make_table_grid("cocuring-2", asked(synthetic=False, profile=None, data_root=tmp_path))
    with pytest.raises(BadInput) as error:
        fill.make_table_grid("recot-4", asked(synthetic=False, profile=None, data_root=tmp_path))
    assert "--protocol" not in str(error.value), "the other column needs the same data"


def test_the_command_asks_for_a_protocol_or_a_table():
    found = call("run")
    assert found.exit_code == 2
    assert "--protocol NAME, or a paper's table with --table ID" in found.output


def test_run_fills_a_table_and_the_table_shows_it(tmp_path):
    words = ("--table", "cocuring-3", "--method", "cocuring", "--synthetic", "--profile", "smoke", "--out", tmp_path)
    found = call("run", *map(str, words), "--engine", "inline")
    assert found.exit_code == 0, found.output
    assert "Cells: 1 measured, 6 not run, 0 reported only." in found.output
    again = call("table", "cocuring-3", "--runs", str(tmp_path), "--format", "json")
    (table,) = json.loads(again.stdout)
    (row,) = [cells for cells in table["rows"] if cells[0]["text"].removesuffix(" ↗") == "Co-curing"]  # may still rise
    assert row[1]["value"] == 56.7
    assert row[2]["n_ok"] == 1
    assert row[3]["value"] == pytest.approx(row[2]["value"] - 56.7)
    assert "1 finished before, 0 to run" in call("run", *map(str, words)).output


def test_plan_takes_a_table(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "fernoise_bench.benchmark.planning.estimate.estimate", lambda grid, workers: seen.append(grid) or {"a": 1}
    )
    found = call("plan", "--table", "rhls-2", "--synthetic", "--json", "--workers", "1")
    assert json.loads(found.stdout) == [{"a": 1}, {"a": 1}]
    assert [grid.job.protocol.name for grid in seen] == ["bp4d-3fold-plain", "disfa-3fold-plain"]


@pytest.mark.parametrize("table_id", TABLE_IDS)
def test_every_table_prints_where_nothing_was_run(table_id, tmp_path):
    found = call("table", table_id, "--runs", str(tmp_path))
    assert found.exit_code == 0, found.output
    assert "reported only, nothing measured" in found.output


def test_a_papers_table_has_no_long_form_and_an_unknown_name_lists_both_kinds(tmp_path):
    found = call("table", "recot-1", "--long", "--runs", str(tmp_path))
    assert (found.exit_code, "--long is for a protocol's table" in found.output) == (2, True)
    found = call("table", "rafdb", "--runs", str(tmp_path))
    assert (found.exit_code, "unknown table or protocol 'rafdb'" in found.output) == (2, True)


def test_a_protocols_run_is_as_before():
    grid = cells.make_grid(asked(protocol="rafdb-sym", methods=("supervised",), levels=(0.2,)))
    assert len(grid.trials) == 1
