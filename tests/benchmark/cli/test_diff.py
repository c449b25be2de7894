from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fernoise_bench.benchmark.cli import main

from ...results.fabricate import Trial, fabricate_all

AU = {"kind": "multi", "protocol": "bp4d-3fold", "level": None, "copies": 0}


def ran(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    trials = [Trial(method=method, seed=seed) for method in ("a", "b") for seed in (0, 1)]
    aus = [Trial(fold=fold, **AU) for fold in ("part1", "part2")]
    fabricate_all(Path("old"), [*trials, *aus])
    fabricate_all(Path("same"), [*trials, *aus])
    fabricate_all(Path("new"), [*trials[:2], *(Trial(method="b", seed=seed, skill=0.1) for seed in (0, 1)), *aus])
    return tmp_path


def test_the_same_bytes(folders: Path) -> None:
    done = ran("diff", "old", "same")
    assert done.exit_code == 0
    assert "Cells: 4 same bytes." in done.output


def test_beyond_chance_is_exit_code_1(folders: Path) -> None:
    (folders / "new").rename(folders / "newer")
    done = ran("diff", "old", "newer")
    assert done.exit_code == 1
    assert "| beyond chance |" in done.output
    assert "Cells: 1 beyond chance, 3 same bytes." in done.output


def test_json_has_every_cell(folders: Path) -> None:
    done = ran("diff", "old", "new", "--json")
    assert done.exit_code == 1
    found = json.loads(done.output)
    assert found["counts"] == {"same bytes": 3, "beyond": 1}
    changed = next(cell for cell in found["cells"] if cell["verdict"] == "beyond")
    assert (changed["method"], changed["level"], changed["fold"], changed["alarming"]) == ("b", 0.2, None, True)
    assert {cell["fold"] for cell in found["cells"]} == {None, "part1", "part2"}


def test_a_folder_without_trials(folders: Path) -> None:
    done = ran("diff", "old", "nowhere")
    assert done.exit_code == 2
    assert done.stderr.startswith("fernoise-bench: nowhere holds no trials")


def test_a_damaged_trial_is_named_and_missing(folders: Path) -> None:
    file = next((folders / "same" / "bp4d-3fold@1" / "supervised").glob("*/predictions.npz"))
    file.write_bytes(file.read_bytes()[:-9])
    done = ran("diff", "old", "same")
    assert done.exit_code == 1
    assert "damaged: " in done.stderr
    assert "1 missing" in done.output
