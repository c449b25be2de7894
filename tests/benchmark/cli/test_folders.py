"""Places that cannot be written: one line that names the place, exit code 2; a closed pipe ends in silence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from fernoise_bench.benchmark.cli import main

from ...results.fabricate import Trial, fabricate

COMMAND = "from fernoise_bench.benchmark.cli import main; main(prog_name='fernoise-bench')"
FULL, PROC = Path("/dev/full"), Path("/proc/self/status")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("report", "--out", "taken"), "taken: "),
        (("figure", "ferplus-sym", "--out", "taken/x.svg"), "taken: "),
        (("figure", "ferplus-sym", "--out", "taken/x.png"), "taken: "),
        pytest.param(
            ("figure", "ferplus-sym", "--out", "/proc/x.svg"),
            "/proc/x.svg: ",
            marks=pytest.mark.skipif(not PROC.exists(), reason="needs /proc"),
        ),
        pytest.param(
            ("report", "--out", "/proc/x"),
            "/proc/x: ",
            marks=pytest.mark.skipif(not PROC.exists(), reason="needs /proc"),
        ),
    ],
)
def test_a_place_that_cannot_be_written_is_one_line(
    words: Sequence[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fabricate(tmp_path / "fernoise-runs", Trial())
    (tmp_path / "taken").write_text("x")
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"fernoise-bench: {named}")
    assert result.stderr.endswith("; check that it can be read and written, or name another path\n")
    assert result.stderr.count("\n") == 1
    assert (tmp_path / "taken").read_text() == "x"


def test_a_failure_without_a_place_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fernoise_bench.results.records.record.load_records", fails)
    result = CliRunner().invoke(main, ["status"])
    assert result.exit_code == 2
    assert result.stderr.startswith("fernoise-bench: No space left on device; check the free disk space")
    assert result.stderr.count("\n") == 1


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [("list", "protocols"), ("--help",), ("show", "protocol", "ferplus-sym")])
def test_what_is_printed_where_there_is_no_room(words: Sequence[str]) -> None:
    with FULL.open("w") as full:
        ended = subprocess.run([sys.executable, "-c", COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True)
    expected = (
        "fernoise-bench: the output cannot be written: No space left on device; redirect it to another file or device\n"
    )
    assert (ended.returncode, ended.stderr) == (2, expected)


def test_a_closed_pipe_ends_in_silence() -> None:
    command = [sys.executable, "-c", COMMAND, "list", "protocols"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
