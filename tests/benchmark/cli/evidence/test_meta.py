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
