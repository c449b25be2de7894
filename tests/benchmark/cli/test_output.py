"""Printing to any encoding: letters that it lacks are spelled out, and nothing ends in a trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fernoise_bench.benchmark.cli import main
from fernoise_bench.benchmark.cli.options.output import spelling

from ...results.fabricate import Trial, fabricate_all

COMMANDS = (
    ("list",),
    ("show", "protocol", "ferplus-sym"),
    ("show", "method", "cocuring"),
    ("table", "ferplus-sym", "--long", "--ranks", "--audit", "--runs", "RUNS"),
    ("table", "cocuring-2", "--runs", "RUNS"),
    ("status", "--runs", "RUNS"),
    ("table", "recot-2", "--check"),
    ("claims", "--paper", "cocuring", "--runs", "RUNS"),
    ("data", "status", "--data-root", "RUNS"),
    ("--help",),
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods, one with oracle knowledge, four pairs each."""
    folder = tmp_path_factory.mktemp("runs")
    trials = [Trial(method="nct", seed=seed, level=0.4) for seed in range(4)]
    trials += [Trial(method="cocuring", seed=seed, level=0.4, oracle_knowledge=("noise_rate",)) for seed in range(4)]
    fabricate_all(folder, trials)
    return folder


def printed(encoding: str, typed: Sequence[str], runs: Path) -> Result:
    return CliRunner(charset=encoding).invoke(main, [str(runs) if word == "RUNS" else word for word in typed])


@pytest.mark.parametrize(
    ("letter", "spelled"),
    [
        ("−", "-"), ("±", "+/-"), ("†", "(+)"), ("τ", "tau"), ("Δ", "Delta"), ("é", "e"), ("₁", "1"), ("…", "..."),
        ("\udce9", "\\xe9"), ("┌", "\\u250c"), ("😀", "\\U0001f600"),
    ],
)  # fmt: skip
def test_spellings(letter: str, spelled: str) -> None:
    assert spelling(letter) == spelled


ENCODED = [
    *(pytest.param(typed, encoding) for typed in COMMANDS for encoding in ("cp1252", "latin-1", "utf-8")),
    pytest.param(
        *(("plan", "--protocol", "fer2013-real", "--method", "gce", "--synthetic"), "latin-1"),
        marks=pytest.mark.weekly,  # measures this machine's speed first
    ),
]


@pytest.mark.parametrize(("typed", "encoding"), ENCODED, ids=str)
def test_every_command_prints_in_every_encoding(typed: tuple[str, ...], encoding: str, runs: Path) -> None:
    found = printed(encoding, typed, runs)
    assert found.exit_code == 0, found.exception
    assert found.stdout_bytes.decode(encoding) == found.stdout


def test_the_letters_that_the_encoding_has_stay(runs: Path) -> None:
    text = printed("latin-1", ("table", "ferplus-sym", "--runs", "RUNS"), runs).stdout
    assert "cocuring (+)" in text
    assert " ± " in text
    assert "cocuring †" in printed("cp1252", ("table", "ferplus-sym", "--runs", "RUNS"), runs).stdout


@pytest.mark.parametrize("typed", [("table", "ferplus-sym", "--format", "json"), ("claims", "--json")], ids=" ".join)
def test_json_is_the_same_in_every_encoding(typed: tuple[str, ...], runs: Path) -> None:
    first, second = (printed(encoding, (*typed, "--runs", "RUNS"), runs).stdout for encoding in ("utf-8", "latin-1"))
    assert first == second
    assert any(letter in str(json.loads(first)) for letter in "†−")


@pytest.mark.weekly
def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    """In a process of its own, since the streams of a test take any letter."""
    runs = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 runs")
    words = ("--protocol", "ferplus-sym", "--noise", "0.4", "--synthetic", "--profile", "smoke", "--method", "gce")
    code = "from fernoise_bench.benchmark.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", *words, "--out", runs],
        capture_output=True, env={**os.environ, "PYTHONIOENCODING": "cp1252", "HOME": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"--runs '" in done.stderr, "quoted for a shell"
    assert b"caf\\xe9 runs' --long" in done.stderr
