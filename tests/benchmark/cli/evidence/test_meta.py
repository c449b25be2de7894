"""`fernoise-bench meta`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fernoise_bench.benchmark.cli import main

from ....results.fabricate import Trial, fabricate_all

SKILLS = {"elr": 0.9, "gce": 0.6, "supervised": 0.3}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    protocols: dict[str, float | None] = {"fer2013-real": None, "rafdb-sym": 0.4}
    trials = [
        Trial(method, protocol, level=level, seed=seed, skill=skill, epochs=2, rows=200)
        for method, skill in SKILLS.items()
        for protocol, level in protocols.items()
        for seed in range(2)
    ]
    fabricate_all(folder, [*trials, Trial("elr", source="generated"), Trial("gce", source="generated")])
    return folder


def meta(out: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["meta", "--runs", str(out), *words])


def test_the_summary_lists_the_methods_best_first(out: Path) -> None:
    done = meta(out)
    assert done.exit_code == 0, done.output
    assert "accuracy over protocols: each method against the others, small profile, real faces" in done.output
    rows = [line.split("|")[1].strip() for line in done.output.splitlines() if line.startswith("| ")]
    assert rows == ["method", "elr", "gce", "supervised"]


def test_json_has_every_pair_on_every_protocol(out: Path) -> None:
    (found,) = json.loads(meta(out, "--json").stdout)
    assert found["setting"] == ["small profile", "real faces"]
    assert len(found["pairs"]) == 3
    assert {each["protocol"] for each in found["pairs"][0]["protocols"]} == {"fer2013-real@1", "rafdb-sym@1"}


def test_formats_filters_labels_and_a_rival(out: Path) -> None:
    done = meta(out, "--against", "gce", "--method", "elr", "--label", "elr=ELR", "--format", "csv", "--real")
    assert done.exit_code == 0, done.output
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert row["method"] == "ELR"
    assert "mean − gce" in row
    matrix = meta(out, "--matrix")
    assert "|  1 | elr" in matrix.stdout
    assert "each method against the others" not in matrix.stdout


def test_the_matrix_is_drawn_where_the_name_says(out: Path, tmp_path: Path) -> None:
    done = meta(out, "--out", str(tmp_path / "m.pdf"))
    assert (done.exit_code, done.stderr) == (0, f"wrote {tmp_path / 'm.pdf'}\n")
    assert (tmp_path / "m.pdf").read_bytes().startswith(b"%PDF")


def test_every_rival_has_a_table(out: Path) -> None:
    done = meta(out, "--against", "gce,elr", "--real")
    titles = [line.split(",")[0] for line in done.stdout.splitlines() if line.startswith("**")]
    assert titles == [f"**accuracy over protocols: differences from {rival}" for rival in ("gce", "elr")]


def test_a_method_that_is_left_out_is_named_with_the_reason(out: Path, tmp_path: Path) -> None:
    fabricate_all(tmp_path, [Trial("mine.Mine", "rafdb-sym", level=0.4, epochs=2, rows=200)])
    done = meta(out, "--runs", str(tmp_path), "--method", "mine.Mine,elr,gce", "--real")
    told = "Methods left out, without two (seed, draw) pairs that another method shares on any protocol: mine.Mine (it "
    assert f"{told}has 1 at most)." in done.stdout


def test_a_design_that_cannot_reach_significance_is_said_to(out: Path) -> None:
    """Two pairs: p is 2/2^2 = .5 at least, z = .6745 on each of two independent protocols, in all .9539: p = .340;
    three pairs of methods make it 1."""
    assert "the smallest possible p is 1 after Holm's correction; this design cannot reach" in meta(out).stdout
    two = meta(out, "--method", "elr,gce").stdout
    assert "Power: at most 2 (seed, draw) pairs a protocol, 1 pair of methods: the smallest possible p is 0.34" in two


def test_one_method_or_no_trials_are_said_to_be_so(out: Path, tmp_path: Path) -> None:
    done = meta(out, "--method", "elr")
    told = "elr alone is nothing to compare: name another too, as in --method elr,gce, or leave --method out"
    assert (done.exit_code, done.stderr) == (2, f"fernoise-bench: {told}\n")
    none = meta(tmp_path)
    assert none.exit_code == 2
    assert none.stderr.startswith(f"fernoise-bench: no trials in {tmp_path}; ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--out", "m.gif"), "m.gif: a figure's name must end in .svg, .png or .pdf"),
        (("--against", "nct"), "unknown method among these trials 'nct'"),
        (
            ("--synthetic",),
            "there is nothing to compare: no protocol has two (seed, draw) pairs that two methods share",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_line(out: Path, words: tuple[str, ...], message: str) -> None:
    done = meta(out, *words)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"fernoise-bench: {message}")
    assert done.stderr.count("\n") == 1
