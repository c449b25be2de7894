"""The plan of a run: trials, what is finished, and an honest guess of the time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from fernoise_bench.benchmark import trial_state
from fernoise_bench.benchmark.planning import estimate as plan
from fernoise_bench.benchmark.planning import grid as cells
from fernoise_bench.benchmark.planning.device_speed import Speed
from fernoise_bench.benchmark.planning.grid import Grid, RunRequest, describe, make_grid
from fernoise_bench.benchmark.registry import find
from fernoise_bench.methods.base import Task
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.files import write_json
from fernoise_bench.results.records.record import differing_fields
from fernoise_bench.results.records.schema import comparability_key

STEP, LOOK = 0.01, 0.001  # seconds an image: trained on, looked at


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of known speed; of a finished trial nothing but its status is looked at."""
    monkeypatch.setattr(plan, "_speed", lambda trial: Speed(1 / STEP, 1 / LOOK, "a test"))
    monkeypatch.setattr(trial_state, "damage", lambda trial: "")


def smoke(out: Path, protocol: str = "fer2013-real", **asked: Any) -> Grid:
    asked = {"all_methods": True, "seeds": 2, **asked}
    return make_grid(RunRequest(protocol, profile="smoke", synthetic=True, out=out, **asked))


def pretend(grid: Grid, number: int, state: str, seconds: float | None = None) -> None:
    """Writes the status of a trial as if it had run."""
    status = {"state": state, "seconds": seconds, "epochs": 1, "best": {"validation": None, "oracle": 0}}
    write_json(grid.trials[number].folder / "status.json", status)


def test_seeds_are_outermost_and_methods_innermost(tmp_path: Path) -> None:
    """Trials of a cell are neighbours, and an interrupted run has whole seeds."""
    grid = smoke(tmp_path, "ferplus-sym", levels=(0.4, 0.2), all_methods=False, methods=("supervised", "ensemble"))
    found = [(trial.seed, trial.level, trial.method.name) for trial in grid.trials]
    names = ("supervised", "ensemble")
    assert found == [(seed, level, name) for seed in (0, 1) for level in (0.4, 0.2) for name in names]
    assert grid.methods == names
    assert describe(grid.trials) == "8 trials (2 methods, 4 cells)"


def test_defaults_with_generated_faces_are_the_small_profile_and_three_seeds() -> None:
    grid = make_grid(RunRequest("bp4d-3fold", ("recot",), synthetic=True, out=Path("runs"), device="cpu"))
    assert (grid.job.profile, grid.job.source) == ("small", "generated")
    assert [trial.seed for trial in grid.trials] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_compiling_is_a_setting_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Identities of trials that do not compile are what they were before there was such a setting."""
    monkeypatch.setattr(cells, "check_compiler", lambda device: None)
    plain, compiled = (smoke(tmp_path, compiled=flag).trials[0] for flag in (False, True))
    assert "compiled" not in plain.identity["settings"]
    keys = [comparability_key(trial.identity) for trial in (plain, compiled)]
    assert differing_fields(keys) == ["settings.compiled"]
    assert plain.id != compiled.id


def test_the_default_is_real_faces_at_the_papers_profile(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"BP4D: nothing usable in .*; ask for it at .*--synthetic"):
        make_grid(RunRequest("bp4d-3fold", ("recot",), data_root=tmp_path, device="cpu"))


def test_without_takes_methods_out_and_reasons_are_kept(tmp_path: Path) -> None:
    grid = smoke(tmp_path, without=("co-teaching",), methods=("supervised",))
    assert set(grid.methods) == {"supervised", "ensemble", "cocuring"} | (set(grid.methods) - {"co_teaching"})
    assert "co_teaching" not in grid.methods
    assert grid.not_applicable["recot"] == "needs action unit labels"


def test_time_is_passes_times_images(tmp_path: Path) -> None:
    """Smoke: 3 epochs of 10 steps of 32; 200 test and 100 validation rows looked at after each."""
    found = plan.estimate(smoke(tmp_path, methods=("supervised", "ensemble"), all_methods=False), workers=4)
    one = 3 * (320 * STEP + 300 * LOOK)
    lines = {line["method"]: line for line in found["methods"]}
    assert lines["supervised"]["seconds_each"] == pytest.approx(one)
    assert lines["ensemble"]["seconds_each"] == pytest.approx(2 * one)
    assert lines["ensemble"]["from"] == "2 passes per sample at 100 images/s, measured now"
    assert found["seconds_of_one_worker"] == pytest.approx(2 * one + 2 * 2 * one)
    assert found["seconds"] == pytest.approx(2 * one), "each ensemble has a worker, so has each other"
    assert (found["cells"], found["trials"], found["to_run"]) == (2, 4, 4)
    assert found["rows"] == {"train": 320, "test": 200}


def test_finished_trials_are_not_counted_and_say_how_long_the_others_take(tmp_path: Path) -> None:
    grid = smoke(tmp_path, methods=("supervised",), all_methods=False, seeds=6)
    for number, seconds in enumerate((10.0, 40.0, 20.0)):
        pretend(grid, number, "done", seconds)
    pretend(grid, 3, "diverged")
    pretend(grid, 4, "failed")
    (line,) = plan.estimate(grid, workers=1)["methods"]
    assert line == {
        "method": "supervised", "trials": 6, "to_run": 2, "seconds_each": 20.0, "from": "median of 3 finished",
    }  # fmt: skip


def test_the_text_names_everything(tmp_path: Path) -> None:
    text = plan.estimate_text(plan.estimate(smoke(tmp_path), workers=2))
    assert text.startswith("fer2013-real v1 · smoke · generated faces · ")
    assert "320 training and 200 test rows" in text
    assert "recot                        not applicable: needs action unit labels" in text
    assert text.endswith("with 2 workers")


def test_one_trial_takes_its_time_with_any_number_of_workers(tmp_path: Path) -> None:
    found = plan.estimate(smoke(tmp_path, methods=("supervised",), all_methods=False, seeds=1), workers=2)
    assert found["seconds"] == pytest.approx(3 * (320 * STEP + 300 * LOOK))
    assert "\n1 cell, 1 trial, 1 to run\n" in plan.estimate_text(found)


def test_planning_writes_nothing(tmp_path: Path) -> None:
    plan.estimate(smoke(tmp_path / "runs"), workers=1)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("name", "kind", "passes"),
    [("supervised", "single", 1), ("ensemble", "multi", 2), ("cocuring", "single", 2), ("recot", "multi", 2)],
)
def test_passes_are_counted_as_built(name: str, kind: Any, passes: int) -> None:
    before = torch.get_rng_state()
    frequency = torch.full((3,), 0.3, dtype=torch.float64)
    task = Task(kind, 3, ("AU1", "AU2", "AU4"), 50, 3, 5, frequency, noise_rate=0.2)
    assert plan.count_passes(find(name), task) == passes
    assert torch.equal(torch.get_rng_state(), before)


def test_the_speed_of_this_machine_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    speed = plan._speed(smoke(tmp_path).trials[0])
    assert speed.inference_rate > speed.trained > 1
