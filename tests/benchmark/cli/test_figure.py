from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fernoise_bench.benchmark.cli import main
from fernoise_bench.results.papers.figures import FIGURES
from fernoise_bench.results.records import joined
from fernoise_bench.results.records.record import load_records

from ...results.fabricate import Trial, fabricate_all

METHODS = ("supervised", "ensemble", "cocuring", "nct")


def ran(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    trials = [Trial(method=method, level=0.4, seed=seed) for method in METHODS for seed in (0, 1)]
    trials += [Trial(method=method, protocol="fer2013-real", level=None, epochs=2) for method in METHODS]
    fabricate_all(tmp_path / "runs", [*trials, Trial(method="nct", profile="smoke")])
    return tmp_path


def test_a_papers_figure_is_written_as_svg_and_png(runs: Path) -> None:
    done = ran("figure", "cocuring-fig5", "--runs", "runs", "--profile", "small")
    assert (done.exit_code, done.output) == (0, "wrote cocuring-fig5.svg\nwrote cocuring-fig5.png\n")
    assert (runs / "cocuring-fig5.svg").read_bytes().startswith(b"<?xml")
    assert (runs / "cocuring-fig5.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_missing_is_told_with_its_command(runs: Path) -> None:
    done = ran("figure", "cocuring-fig2", "--noise", "0.4", "--runs", "runs", "--out", "a.svg")
    assert done.exit_code == 0
    command = "fernoise-bench run --protocol rafdb-sym --method cocuring --noise 0.4"
    assert f"to fill what is missing: {command} --profile small --seeds 2 --out runs" in done.stderr.splitlines()


def test_a_protocols_curves_and_ranks(runs: Path) -> None:
    common = ("figure", "ferplus-sym", "--runs", "runs", "--profile", "small", "--out")
    assert ran(*common, "curves.svg").exit_code == 0
    assert ran(*common, "ranks.svg", "--ranks").exit_code == 0
    assert ran(*common, "agreement.svg", "--agreement").exit_code == 0
    assert "cannot tell from one seed" in (runs / "agreement.svg").read_text()
    assert "critical difference" in (runs / "ranks.svg").read_text()
    assert "critical difference" not in (runs / "curves.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cocuring-fig1",), "cocuring-fig1 is an illustration of the method: there is nothing to measure"),
        (("cocuring-fig7",), "unknown figure or protocol 'cocuring-fig7': did you mean cocuring-fig"),
        (("rhls-fig3",), "rhls-fig3: there are no finished trials to draw it from; run first: fernoise-bench run"),
        (("cocuring-fig5", "--out", "a.gif"), "a.gif: a figure's name must end in .svg, .png or .pdf"),
        (("cocuring-fig5", "--ranks"), "--ranks is for a protocol's figure"),
        (("cocuring-fig5", "--agreement"), "--agreement is for a protocol's figure"),
        (("ferplus-sym", "--agreement", "--ranks"), "--ranks and --agreement are two figures: ask for one"),
        (
            ("ferplus-sym", "--profile", "small", "--noise", "0.4", "--agreement"),
            "--noise: an agreement is between all",
        ),
        (("ferplus-sym", "--protocol", "rafdb-sym"), "--protocol is for a paper's figure"),
        (("cocuring-fig5", "--protocol", "rafdb"), "unknown protocol 'rafdb': did you mean rafdb-sym"),
        (
            ("ferplus-sym", "--ranks"),
            "these trials cannot share a figure, they differ in: profile; choose with --profile",
        ),
        (("ferplus-sym", "--profile", "small", "--noise", "0.3", "--ranks"), "there are no trials at noise 0.3"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(runs: Path, arguments: tuple[str, ...], message: str) -> None:
    done = ran("figure", *arguments, "--runs", "runs")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"fernoise-bench: {message}")
    assert done.stderr.count("\n") == 1
    assert not [path for path in runs.iterdir() if path.name != "runs"]


def test_the_help_names_every_figure() -> None:
    shown = set()
    for line in ran("figure", "--help").output.splitlines():
        if found := re.match(r"\s+((\w+)(-\S+)(?: -\S+)*)  ", line):
            first, *others = found[1].split()
            shown |= {first, *(f"{found[2]}{other}" for other in others)}
    assert set(FIGURES) <= shown


def test_ranks_and_audit_of_a_protocol(runs: Path) -> None:
    done = ran("table", "ferplus-sym", "--ranks", "--runs", "runs", "--profile", "small")
    assert done.exit_code == 0
    assert "ranks by accuracy" in done.output
    assert "pre-declared comparisons" in done.output
    assert "rank correlation between settings" in done.output
    done = ran("table", "ferplus-sym", "--audit", "--runs", "runs", "--profile", "small")
    for words in ("audit of the training labels", "memorised by epoch", "recall by class", "compute and oracle"):
        assert words in done.output
    both = ran("table", "ferplus-sym", "--audit", "--ranks", "--runs", "runs", "--profile", "small")
    assert "ranks by accuracy" in both.output
    assert done.output in both.output


def test_mixed_settings_are_refused_and_printed_apart(runs: Path) -> None:
    done = ran("table", "ferplus-sym", "--long", "--runs", "runs")
    assert done.exit_code == 2
    assert "they differ in: profile; choose with --profile, or print a block for each with --allow-mixed" in done.stderr
    done = ran("table", "ferplus-sym", "--long", "--runs", "runs", "--allow-mixed")
    assert done.exit_code == 0
    assert [f"profile = {name}" in done.output for name in ("small", "smoke")] == [True, True]


@pytest.mark.parametrize("form", ["latex", "csv", "json", "html"])
def test_ranks_in_every_format(runs: Path, form: str) -> None:
    done = ran("table", "ferplus-sym", "--ranks", "--runs", "runs", "--profile", "small", "--format", form)
    assert done.exit_code == 0
    assert "?" not in done.output.replace("alike?", "").replace("does?", "")


def test_runs_under_the_papers_own_recipes_are_chosen_by_the_option_the_refusal_names(runs: Path) -> None:
    fabricate_all(runs / "runs", [Trial(method="cocuring", level=0.4, seed=seed, recipe="native") for seed in (0, 1)])
    common = ("--runs", "runs", "--profile", "small")
    for words in ("figure ferplus-sym --ranks", "figure ferplus-sym", "table ferplus-sym --ranks"):
        command = words.split()
        refused = ran(*command, *common)
        assert refused.exit_code == 2
        assert "they differ in: recipe; choose with --recipe" in refused.stderr
        assert ran(*command, *common, "--recipe", "protocol").exit_code == 0
    own = ran("figure", "cocuring-fig5", *common, "--recipe", "native", "--out", "own.svg")
    assert own.exit_code == 0
    assert "--method ensemble --noise 0.4 --profile small --recipe native --seeds 2 --out runs" in own.stderr
    assert "native recipe" in (runs / "own.svg").read_text()
    assert ran("table", "ferplus-sym", "--ranks", *common, "--allow-mixed").exit_code == 0


def test_a_figure_says_how_many_pairs_it_shows(runs: Path) -> None:
    common = ("--runs", "runs", "--profile", "small", "--out")
    assert ran("figure", "cocuring-fig5", *common, "a.svg").exit_code == 0
    assert "Means over 2 (seed, draw) pairs" in (runs / "a.svg").read_text()
    assert ran("figure", "ferplus-sym", "--ranks", *common, "b.svg").exit_code == 0
    assert "mean ranks by accuracy, last epoch" in (runs / "b.svg").read_text()


def test_one_seed_has_no_diagram_of_ranks(runs: Path) -> None:
    done = ran("figure", "fer2013-real", "--ranks", "--runs", "runs")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "one seed: no ranking" in done.stderr
    done = ran("table", "fer2013-real", "--ranks", "--runs", "runs")
    assert "One seed: no ranking" in done.output


def test_a_papers_table_is_checked(runs: Path) -> None:
    done = ran("table", "recot-1", "--check")
    assert done.exit_code == 0
    (line,) = [line for line in done.output.splitlines() if "| MT " in line]
    # (55.5 + 46.3 + 71.7 + 48.6 + 81.6 + 61.7 + 91.0 + 46.7 + 43.5 + 94.7 + 60.2 + 63.9) / 12 = 765.4 / 12
    assert line.endswith("| 63.7     | 63.78 ≠ 63.7 (flagged)")
    assert "[73.7]" in done.output
    assert "  copied: rows MLCT, MT, CoT, MLCR: taken from MLCR's paper" in done.output
    assert "contradictions that are not flagged: none" in done.output
    for arguments, message in (
        (("ferplus-sym", "--check"), "--check is for a paper's table; ferplus-sym is a protocol: leave it out"),
        (("recot-1", "--long"), "--long is for a protocol's table; recot-1 is a paper's: leave it out"),
    ):
        refused = ran("table", *arguments, "--runs", "runs")
        assert (refused.exit_code, refused.stderr) == (2, f"fernoise-bench: {message}\n")


def test_the_terminal_shows_p_as_it_is(runs: Path) -> None:
    done = ran("table", "ferplus-sym", "--ranks", "--runs", "runs", "--profile", "small")
    assert "p < .05" in done.output
    assert "\\<" not in done.output


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("ferplus-sym", "--noise", "0.4"), "cocuring"),
        (("ferplus-sym", "--ranks"), "cocuring"),
        (("cocuring-fig5", "--protocol", "ferplus-sym"), "Co-curing"),
    ],
)
def test_every_figure_marks_oracle_knowledge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, knows in (("knows", ("noise_rate",)), ("blind", ())):
        trials = [Trial(method=method, level=0.4, seed=seed) for method in ("ensemble", "nct") for seed in (0, 1)]
        trials += [Trial(method="cocuring", level=0.4, seed=seed, oracle_knowledge=knows) for seed in (0, 1)]
        fabricate_all(tmp_path / folder, trials)
        done = ran("figure", *arguments, "--runs", folder, "--out", f"{folder}.svg")
        assert done.exit_code == 0, done.output
    drawn = (tmp_path / "knows.svg").read_text()
    assert f"{name} †" in drawn
    assert "† uses oracle knowledge" in drawn
    assert "†" not in (tmp_path / "blind.svg").read_text()


def test_what_ships_of_several_profiles_is_drawn_of_the_one_with_most_trials(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user chose none of them; of their own trials they say which."""
    found = load_records(runs / "runs")[0]
    monkeypatch.setattr(joined, "records_or_shipped", lambda folder: (found, [], "what ships"))
    done = ran("figure", "ferplus-sym", "--out", "curves.svg")
    assert done.exit_code == 0, done.output
    assert "drawn: 8 trials of the profile small, as ships; there are 1 with --profile smoke" in done.stderr
    own = ran("figure", "ferplus-sym", "--out", "curves.svg", "--runs", "runs")
    assert own.exit_code == 2
    assert "they differ in: profile; choose with --profile" in own.stderr
