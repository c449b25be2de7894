"""From a published layout to a table: prepare, run, and what is refused on the way."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from fernoise_bench.benchmark.cli import main

from ...protocols.miniatures import rafdb as miniature_rafdb


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_rafdb_from_the_published_layout_to_a_table(tmp_path: Path) -> None:
    """Refused unprepared, refused as partial, then run; the table says that the copy is partial."""
    miniature_rafdb.write_official(tmp_path / "rafdb", miniature_rafdb.rows(16, 4))
    out = tmp_path / "runs"
    grid = ("run", "--protocol", "rafdb-sym", "--method", "supervised", "--noise", "0.2", "--seeds", "1")
    words = (*grid, "--profile", "smoke", "--engine", "inline", "--data-root", str(tmp_path), "--out", str(out))
    unprepared = run(*words)
    assert unprepared.exit_code == 2
    assert "fernoise-bench data prepare rafdb --side 100" in unprepared.stderr
    assert run("data", "prepare", "rafdb", "--side", "100", "--data-root", str(tmp_path)).exit_code == 0
    partial = run(*words)
    assert partial.exit_code == 2
    assert "add --partial" in partial.stderr
    assert not out.exists()
    done = run(*words, "--partial")
    assert done.exit_code == 0, done.output
    assert "rafdb-sym@1: accuracy in %, last epoch, smoke profile, real faces, partial copy of the data" in done.output
