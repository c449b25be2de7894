"""Trials of one's own beside those that ship: `--with-reference`, several folders, methods, labels, `--against`."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from click.testing import CliRunner, Result

from fernoise_bench.benchmark.cli import main
from fernoise_bench.benchmark.cli.figure import figure
from fernoise_bench.benchmark.cli.run import _name_tables, run
from fernoise_bench.protocols.catalog import PROTOCOLS
from fernoise_bench.results.records import reference_leaderboard as shipped
from fernoise_bench.results.records.schema import identity_of

from ...results.fabricate import Trial, fabricate_all, ship
from ...results.tables.test_protocol_tables import made

if TYPE_CHECKING:
    from fernoise_bench.benchmark.planning.grid import Grid

SEEDS = range(6)


def ran(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def rows(result: Result) -> list[list[str]]:
    """The cells of the printed tables, row by row, without headings."""
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if line.startswith("|") and not line.startswith("|-")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] not in ("method", "verdict")]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what ships (elr, gce), and the runs: mine and mine2 of the same settings, other of others."""
    folder = tmp_path_factory.mktemp("beside")
    skills = {"elr": 0.5, "gce": 0.7}
    ship(folder / "reference", [Trial(m, seed=seed, skill=skill) for m, skill in skills.items() for seed in SEEDS])
    fabricate_all(folder / "mine", [Trial("mine.Mine", seed=seed, skill=0.95) for seed in SEEDS])
    fabricate_all(folder / "mine2", [Trial("sce", seed=0), Trial("mine.Mine", seed=0, skill=0.95)])
    fabricate_all(folder / "other", [Trial("mine.Mine", profile="smoke", source="generated")])
    return folder


@pytest.fixture(autouse=True)
def _ships(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(places / "home"))
    monkeypatch.setattr(shipped, "FOLDER", places / "reference")
    monkeypatch.chdir(places)


def test_the_same_settings_share_a_table_in_which_what_ships_is_marked() -> None:
    result = ran("table", "ferplus-sym", "--runs", "mine", "--with-reference")
    assert [row[0] for row in rows(result)] == ["elr ◇", "gce ◇", "mine.Mine"]
    assert "- ◇ from the results that ship with fernoise-bench: elr, gce.\n" in result.stdout
    assert "**" in next(row for row in rows(result) if row[0] == "mine.Mine")[1], "the best of all three"
    own = ran("table", "ferplus-sym", "--runs", "mine")
    assert [row[0] for row in rows(own)] == ["mine.Mine"]
    assert "◇" not in own.output


def test_machine_formats_have_clean_names() -> None:
    words = ("table", "ferplus-sym", "--runs", "mine", "--with-reference", "--format")
    found = list(csv.DictReader(io.StringIO(ran(*words, "csv").stdout)))
    assert [(row["method"], row["method flags"]) for row in found] == [
        *[("elr", "shipped"), ("gce", "shipped"), ("mine.Mine", "")]
    ]
    (table,) = json.loads(ran(*words, "json").stdout)
    assert [row[0]["printed"] or row[0]["text"] for row in table["rows"]] == ["elr", "gce", "mine.Mine"]


def test_other_settings_stay_apart_and_the_fields_are_named() -> None:
    result = ran("table", "ferplus-sym", "--runs", "other", "--with-reference")
    assert [row[0] for row in rows(result)] == ["mine.Mine", "elr ◇", "gce ◇"]
    assert result.stdout.count("**ferplus-sym@1") == 2
    told = "the results that ship differ from yours in profile, source: they stand in tables of their own\n"
    assert told in result.stderr


def test_own_trials_of_two_settings_are_still_refused() -> None:
    result = ran("table", "ferplus-sym", "--runs", "other", "--runs", "mine", "--with-reference")
    assert result.exit_code == 2
    assert "these trials cannot share a table, they differ in: profile, source" in result.stderr


def test_several_folders_are_one_and_a_trial_counts_once() -> None:
    result = ran("table", "ferplus-sym", "--runs", "mine", "--runs", "mine2", "--long")
    assert [(row[0], row[-1]) for row in rows(result)] == [("mine.Mine", "6 of 6"), ("sce", "1 of 6")]
    assert "in several places, and counted once: 1 trial\n" in result.stderr
    missing = ran("table", "ferplus-sym", "--runs", "mine", "--runs", "nowhere")
    assert missing.exit_code == 2
    assert "--runs nowhere: no such folder" in missing.stderr


def test_mine_against_a_shipped_method() -> None:
    words = ("table", "ferplus-sym", "--runs", "mine", "--with-reference", "--against", "elr")
    result = ran(*words, "--method", "mine.py:Mine", "--label", "mine.Mine=Ours")
    (row,) = rows(result)
    assert row[0] == "Ours"
    assert row[4:] == ["6 of 6", "0.031", "0.031"], "2 / 2^6, a family of one"
    assert [each[-1] for each in rows(ran(*words))][1] == "0.062", "with gce a family of two"


@pytest.mark.parametrize("typed", [("--against", "elr", "--against", "gce"), ("--against", "elr,gce")])
def test_several_rivals_have_a_table_each(typed: tuple[str, ...]) -> None:
    """mine.Mine alone against each is a family of one: Holm leaves p; other rivals are rows where asked for."""
    words = ("table", "ferplus-sym", "--runs", "mine", "--with-reference", *typed)
    result = ran(*words, "--method", "mine.Mine")
    assert [row[0] for row in rows(result)] == ["mine.Mine"] * 2
    assert all(row[-1] == row[-2] for row in rows(result))
    assert [line.split(":")[1].split(",")[0] for line in result.stdout.splitlines() if line.startswith("**")] == [
        " accuracy against elr",
        " accuracy against gce",
    ]
    assert result.stdout.count("Holm-corrected over this one comparison") == 2
    assert [row[0] for row in rows(ran(*words))] == ["gce ◇", "mine.Mine", "elr ◇", "mine.Mine"]
    assert ran(*words, "--format", "latex").stdout.count(r"\begin{tabular}") == 2
    found = list(csv.DictReader(io.StringIO(ran(*words, "--method", "mine.Mine", "--format", "csv").stdout)))
    assert [(bool(row["− elr"]), bool(row["− gce"])) for row in found] == [(True, False), (False, True)]


def test_methods_are_chosen_and_called_as_asked() -> None:
    words = ("table", "ferplus-sym", "--runs", "mine", "--with-reference")
    chosen = ran(*words, "--method", "mine.Mine,gce", "--sort", "given", "--label", "gce=GCE", "--no-notes")
    assert [row[0] for row in rows(chosen)] == ["mine.Mine", "GCE ◇"]
    assert "\n- " not in chosen.stdout
    assert [row[0] for row in rows(ran(*words, "--sort", "rank"))] == ["mine.Mine", "gce ◇", "elr ◇"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--method", "elrr"), "unknown method among the trials of ferplus-sym 'elrr': did you mean elr?"),
        (("--against", "nctt"), "unknown method among the trials of ferplus-sym 'nctt'"),
        (("--label", "gce"), "--label gce: write NAME=TEXT"),
        (("--label", "gce="), "--label gce=: write NAME=TEXT"),
        (("--label", "gce=elr"), "--label: two rows would be called 'elr'"),
        (("--label", "nope=x"), "unknown method among the trials of ferplus-sym 'nope'"),
    ],
)
def test_what_cannot_be_shown_is_one_line(words: tuple[str, ...], told: str) -> None:
    result = ran("table", "ferplus-sym", "--with-reference", *words)
    assert result.exit_code == 2
    assert f"fernoise-bench: {told}" in result.stderr


@pytest.mark.parametrize("words", [("--label", "gce=x"), ("--against", "gce"), ("--sort", "rank")])
def test_a_papers_table_has_its_own_names_and_order(words: tuple[str, ...]) -> None:
    result = ran("table", "cocuring-2", *words)
    assert result.exit_code == 2
    assert f"{words[0]} is for a protocol's table; cocuring-2 is a paper's: leave it out" in result.stderr


def test_a_papers_table_and_figure_show_the_methods_asked_for() -> None:
    every, some = (ran("table", "cocuring-2", *words).stdout for words in ((), ("--method", "cocuring,nct")))
    lines = [line.split("|") for line in some.splitlines() if line.startswith("|") and not line.startswith("|-")]
    assert "| SCN " in every
    assert {line[2].strip() for line in lines} == {"Method", "NCT", "Co-curing"}
    wrong = ran("figure", "cocuring-fig2", "--method", "elr")
    assert "unknown method among those of cocuring-fig2 'elr'" in wrong.stderr


def test_diff_with_what_ships_is_over_the_cells_of_ones_own() -> None:
    again = Trial("elr", seed=1, skill=0.5)
    fabricate_all(Path("again"), [again, Trial("mine.Mine")])
    result = ran("diff", "again", "--with-reference")
    assert result.exit_code == 0, result.output
    assert "Cells: 1 new, 1 same bytes." in result.stdout, "the five other seeds of elr are not missing"
    assert ran("diff", "again", "--with-reference", "--method", "elr").stdout == "Cells: 1 same bytes.\n"
    assert ran("diff", "--runs", "mine", "--runs", "mine").exit_code == 0
    for words in ((), ("mine",), ("mine", "mine2", "--with-reference")):
        assert "name two folders" in ran("diff", *words).stderr


def test_claims_say_where_what_ships_was_used() -> None:
    fabricate_all(Path("claimed"), [Trial("cocuring", level=0.4, seed=seed, skill=0.95) for seed in range(2)])
    ship(Path("more"), [Trial("nct", level=0.4, seed=seed, skill=0.4) for seed in range(2)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipped, "FOLDER", Path("more"))
        words = ("claims", "--runs", "claimed", "--with-reference", "--method", "nct")
        text = ran(*words).stdout
        found = json.loads(ran(*words, "--json").stdout)["verdicts"]
    tried, *_ = [verdict for verdict in found if verdict["verdict"] != "not run"]
    assert tried["shipped"] == ["nct"]
    assert all("nct" in (verdict["left"]["method"], (verdict["right"] or {}).get("method")) for verdict in found)
    assert "◇ from the results that ship with fernoise-bench: nct" in text


def test_the_page_marks_and_labels_rows() -> None:
    words = ("report", "--runs", "mine", "--with-reference", "--method", "elr,mine.Mine", "--label", "mine.Mine=Ours")
    result = ran(*words, "--out", "site")
    assert result.exit_code == 0, result.output
    text = Path("site/index.html").read_text()
    data = json.loads(text[text.index("{", text.index('id="data"')) :].partition("</script>")[0])
    (block,) = data["protocols"][0]["blocks"]
    assert [(row["label"], row["shipped"]) for row in block["rows"]] == [("elr", True), ("Ours", False)]
    assert any("◇" in note for note in block["notes"])


def test_a_figure_leaves_out_what_ships_at_other_settings() -> None:
    pytest.importorskip("matplotlib")
    words = ("figure", "ferplus-sym", "--with-reference", "--out", "x.svg")
    assert ran(*words, "--runs", "mine", "--method", "mine.Mine,gce").stderr == ""
    result = ran(*words, "--runs", "other")
    assert result.exit_code == 0, result.output
    assert "differ from yours in profile, source: they are left out of the figure" in result.stderr


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        (("elr,gce", "sce"), ("elr", "gce", "sce")),
        (("elr, mine.py:Mine",), ("elr", "mine.py:Mine")),
        (("a,b/mine.py:Mine",), ("a,b/mine.py:Mine",)),  # a folder with a comma in its name
    ],
)
def test_methods_are_separated_by_commas(typed: tuple[str, ...], names: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "a,b").mkdir()
    (tmp_path / "a,b" / "mine.py").touch()
    words = [word for name in typed for word in ("--method", name)]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert run.make_context("run", [*words]).params["methods"] == names
        assert figure.make_context("figure", ["ferplus-sym", *words]).params["methods"] == names


def test_a_title_s_name_with_its_version_is_a_name() -> None:
    assert (
        ran("table", "ferplus-sym@1", "--runs", "mine").stdout == ran("table", "ferplus-sym", "--runs", "mine").stdout
    )


def test_after_a_run_into_a_folder_of_two_salts_a_command_is_named_that_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [made(Trial(seed=seed), 0.5) for seed in range(2)]
    content = {**found[1].identity.content, "noise_salt": "pepper"}
    mixed = [found[0], replace(found[1], identity=identity_of(content))]
    grid = cast("Grid", SimpleNamespace(job=SimpleNamespace(out=tmp_path, protocol=PROTOCOLS["ferplus-sym"])))
    for records, more in ((found, ""), (mixed, " --allow-mixed")):
        _name_tables(None, grid, records, [])
        told = f"other tables: fernoise-bench table ferplus-sym --runs {tmp_path}{more} --long, or --audit, or"
        assert capsys.readouterr().err.startswith(told)


def test_one_seed_has_no_best(tmp_path: Path) -> None:
    fabricate_all(tmp_path, [Trial("elr", skill=0.9), Trial("gce", skill=0.3)])
    cells = [cell for row in rows(ran("table", "ferplus-sym", "--runs", str(tmp_path))) for cell in row]
    assert len(cells) == 6
    assert not any("**" in cell for cell in cells)


@pytest.mark.weekly
def test_the_table_after_a_run_has_what_ships_over_the_same_pairs(tmp_path: Path) -> None:
    """Two seeds ship and one is run: the table is over that one."""
    words = ("--protocol", "ferplus-sym", "--noise", "0.4", "--synthetic", "--profile", "smoke", "--workers", "1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipped, "FOLDER", tmp_path / "nothing")
        assert ran("run", *words, "--method", "gce", "--seeds", "2", "--out", str(tmp_path / "theirs")).exit_code == 0
        shipped.bundle_runs(tmp_path / "theirs", tmp_path / "reference")
        patch.setattr(shipped, "FOLDER", tmp_path / "reference")
        result = ran("run", *words, "--method", "supervised", "--seeds", "1", "--out", str(tmp_path / "mine"))
        again = ran("run", *words, "--method", "gce", "--seeds", "1", "--out", str(tmp_path / "mine"))
    assert [row[0].partition(" ")[0] for row in rows(result)] == ["supervised", "gce"]
    assert "◇" in rows(result)[1][0]
    assert "  beside them, marked ◇: 1 trial of the same settings that ship\n" in result.stderr
    assert "--runs " in result.stderr.rpartition("other tables: ")[2]
    assert "--with-reference" in result.stderr.rpartition("other tables: ")[2]
    assert "◇" not in again.output, "it is the user's own copy of what ships"


def test_what_ships_of_two_profiles_has_a_table_each_and_ones_own_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [Trial(method, profile=profile) for profile in ("small", "smoke") for method in ("elr", "gce")]
    ship(tmp_path / "reference", both)
    fabricate_all(tmp_path / "mine", both)
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "reference")
    monkeypatch.chdir(tmp_path)
    result = ran("table", "ferplus-sym")
    assert result.exit_code == 0, result.output
    titles = [line for line in result.stdout.splitlines() if line.startswith("**")]
    assert [words for line in titles for words in ("small profile", "smoke profile") if words in line] == [
        "small profile",
        "smoke profile",
    ]
    assert len(rows(ran("table", "ferplus-sym", "--profile", "small"))) == 2
    refused = ran("table", "ferplus-sym", "--runs", "mine")
    assert refused.exit_code == 2
    assert "choose with --profile" in refused.stderr
