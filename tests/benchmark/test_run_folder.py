"""What an output folder holds, and the removal of a method's trials."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fernoise_bench.benchmark.cli import main
from fernoise_bench.protocols.locks import FolderLock
from fernoise_bench.results.records import reference_leaderboard as shipped
from fernoise_bench.results.records.store import find_trials

from ..results.fabricate import Trial, fabricate


def command(*words: str, answer: str = "") -> Result:
    return CliRunner().invoke(main, ["runs", *words], input=answer)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two versions of a user's method, the first made later, and another method."""
    for seed in range(2):
        for digest in ("aa", "bb"):
            fabricate(tmp_path, Trial(method="mine.Mine", seed=seed, digest=digest))
        fabricate(tmp_path, Trial(method="gce", seed=seed))
    for folder in find_trials(tmp_path):
        status = json.loads((folder / "status.json").read_text())
        digest = json.loads((folder / "identity.json").read_text())["method"]["digest"]
        updated = "2026-02-01" if digest == "aa" else "2026-01-01"
        (folder / "status.json").write_text(json.dumps({**status, "updated": updated}))
    return tmp_path


def listed(runs: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(command("list", "--runs", str(runs), "--json").stdout)
    return found


def test_the_latest_version_is_listed_first(runs: Path) -> None:
    lines = listed(runs)
    assert [(line["method"], line["trials"]) for line in lines] == [("gce", 2), ("mine.Mine", 2), ("mine.Mine", 2)]
    assert [line["latest"] for line in lines[1:]] == ["2026-02-01", "2026-01-01"]
    size = sum(file.stat().st_size for folder in find_trials(runs) for file in folder.iterdir())
    assert sum(int(str(line["bytes"])) for line in lines) == size


def test_the_latest_version_stands_first_in_a_table(runs: Path) -> None:
    said = CliRunner().invoke(main, ["table", "ferplus-sym", "--runs", str(runs)]).stdout
    rows = [line.split("|")[1].strip() for line in said.splitlines() if line.startswith("| mine")]
    versions = [line["version"] for line in listed(runs)[1:]]
    assert rows == [f"mine.Mine #{version}" for version in versions]
    assert "mine.Mine, the latest first." in said


def test_a_version_is_removed_after_a_yes(runs: Path) -> None:
    newest = str(listed(runs)[1]["version"])
    words = ("rm", "--method", "mine.py:Mine", "--digest", newest[:4], "--runs", str(runs))
    said = command(*words, answer="n\n")
    assert (said.exit_code, len(find_trials(runs))) == (1, 6)
    assert f"remove 2 trials, {listed(runs)[1]['bytes']:,} bytes, from {runs}? [y/N]" in said.stdout
    assert command(*words, answer="y\n").exit_code == 0
    assert [line["latest"] for line in listed(runs)[1:]] == ["2026-01-01"]
    assert command("rm", "--method", "mine.Mine,gce", "--runs", str(runs), "--yes").exit_code == 0
    assert listed(runs) == []
    assert list(runs.iterdir()) == []  # folders that are empty then go too


def test_what_is_not_there_and_what_ships_is_refused(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words, message in (
        (("--method", "mine.Min"), "unknown method among the trials in"),
        (("--method", "gce", "--digest", "zz"), "no trials of this --digest and --protocol"),
    ):
        said = command("rm", *words, "--runs", str(runs), "--yes")
        assert (said.exit_code, message in said.stderr) == (2, True), said.stderr
    monkeypatch.setattr(shipped, "FOLDER", runs)
    said = command("rm", "--method", "gce", "--runs", str(runs), "--yes")
    assert (said.exit_code, "ship with fernoise-bench" in said.stderr) == (2, True)
    assert len(find_trials(runs)) == 6


def test_a_trial_that_runs_is_left(runs: Path) -> None:
    busy = next(folder for folder in find_trials(runs) if folder.parent.name == "gce")
    with FolderLock(busy) as acquired:
        assert acquired
        said = command("rm", "--method", "gce", "--runs", str(runs), "--yes")
    assert f"left: {busy.relative_to(runs)}: another run is working on it" in said.stderr
    assert f"removed 1 trial from {runs}" in said.stdout
    assert busy.is_dir()
