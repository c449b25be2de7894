"""Records from Python: what they are read from, how they are chosen, and their data frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fernoise_bench as fb
from fernoise_bench.results.records import reference_leaderboard as shipped

from ...results.fabricate import Trial, fabricate, fabricate_all, ship

TRIALS = (
    Trial(seed=0),
    Trial(seed=1, level=0.4),
    Trial(method="co_teaching:estimated-rate", seed=0, digest="beef", device="cuda: A100"),
    Trial(method="mine.Mine", protocol="fer2013-real", level=None, validation=False),
    Trial(method="recot", protocol="bp4d-3fold", kind="multi", level=None, fold="part2", source="generated"),
    Trial(method="scn", state="diverged", reason="the loss is nan"),
)


@pytest.fixture
def records(tmp_path: Path) -> fb.Records:
    fabricate_all(tmp_path / "runs", TRIALS)
    return fb.load_records(tmp_path / "runs")


def row_of(frame: pd.DataFrame, method: str) -> pd.Series:
    (found,) = (row for _, row in frame.iterrows() if row["method"] == method)
    return found


def test_a_frame_has_a_row_a_trial_and_the_metric_of_its_predictions(tmp_path: Path) -> None:
    """The accuracy is counted here again, from the stored probabilities."""
    folder = fabricate(tmp_path, Trial(rows=50))
    with np.load(folder / "predictions.npz") as arrays:
        right = {rule: (arrays[rule].argmax(1) == arrays["labels"]).mean() for rule in ("last", "validation", "oracle")}
    (row,) = fb.load_records(tmp_path).to_frame().to_dict("records")
    assert {rule: row[rule] for rule in right} == pytest.approx({rule: 100 * share for rule, share in right.items()})
    assert (row["metric"], row["epochs"], row["seconds"], row["memory_mb"]) == ("accuracy", 6, 10.0, 100.0)
    assert row["folder"] == folder.relative_to(tmp_path).as_posix()


def test_a_frame_has_numbers_for_numbers_and_nothing_for_what_is_missing(records: fb.Records) -> None:
    frame = records.to_frame()
    assert len(frame) == len(records) == len(TRIALS)
    numbers = ["seed", "draw", "noise", "last", "last_five", "validation", "oracle", "seconds", "memory_mb"]
    assert all(pd.api.types.is_numeric_dtype(frame[name]) for name in numbers)
    mine, recot = row_of(frame, "mine.Mine"), row_of(frame, "recot")
    assert np.isnan(mine["noise"])
    assert np.isnan(mine["validation"])
    assert not np.isnan(mine["last"])
    assert pd.isna(mine["fold"])
    assert (recot["fold"], recot["metric"], recot["source"]) == ("part2", "f1", "generated")
    assert not frame["shipped"].any()
    lost = row_of(frame, "scn")
    assert (lost["status"], np.isnan(lost["last"])) == ("diverged", True)
    other = row_of(frame, "co_teaching:estimated-rate")
    assert (other["digest"], other["seconds"], np.isnan(other["processor_seconds"])) == ("beef", 10.0, True)
    assert mine["processor_seconds"] == 10.0


def test_trials_are_chosen_by_value_or_values(records: fb.Records) -> None:
    assert {record.method for record in records.select(protocol="ferplus-sym", seed=0)} == {
        *("supervised", "co_teaching:estimated-rate", "scn")
    }
    assert [record.level for record in records.select(method="supervised", noise=[0.2, 0.4])] == [0.2, 0.4]
    assert len(records.select(method=["co-teaching:estimated-rate", "mine.py:Mine"])) == 2
    assert len(records.select(status="diverged")) == len(records.select(fold="part2")) == 1
    assert len(records.select(profile="small", source="real", recipe="protocol", shipped=False)) == 5
    assert len(records.select(protocol="bp4d-3fold", method="scn")) == 0
    assert len(records.select()) == len(records[:2]) + len(records[2:])


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"protocol": "ferplus-sim"}, "unknown protocol among these records 'ferplus-sim': did you mean ferplus-sym?"),
        ({"method": "co_teching:estimated-rate"}, "did you mean co_teaching:estimated-rate?"),
        ({"seed": 7}, "unknown seed 7 among these records: known: 0, 1"),
        ({"noise": [0.2, 0.3]}, "unknown noise 0.3 among these records: known: 0.2, 0.4"),
        ({"fold": "part1"}, "did you mean part2?"),
        ({"source": "reel"}, "did you mean real"),
    ],
)
def test_a_value_that_no_trial_has_is_named_with_its_neighbours(
    records: fb.Records, wanted: dict[str, object], told: str
) -> None:
    with pytest.raises(fb.BadInput) as error:
        records.select(**wanted)  # type: ignore[arg-type]
    assert told in str(error.value)


def test_what_is_printed_counts_trials_by_setting(records: fb.Records) -> None:
    lines = repr(records).splitlines()
    assert lines[0] == "Records: 6 trials"
    assert "  ferplus-sym, small profile, real faces: 3 methods, 2 seeds, 1 diverged" in lines
    assert "  bp4d-3fold, small profile, generated faces: 1 method, 1 seed" in lines
    assert repr(records[:0]) == "Records: no trials"


@pytest.fixture
def ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ship(tmp_path / "reference", [Trial(method="elr")])
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "reference")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("ships")
def test_without_a_folder_what_ships_takes_the_place_of_no_trials(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="no trials in fernoise-runs: this is the reference leaderboard"):
        found = fb.load_records()
    assert found.to_frame()[["method", "shipped"]].to_numpy().tolist() == [["elr", True]]
    assert len(found.notices) == 1
    fabricate(tmp_path / "fernoise-runs", Trial(method="gce"))
    assert [record.method for record in fb.load_records()] == ["gce"]


@pytest.mark.usefixtures("ships")
def test_what_ships_comes_beside_folders_or_alone(tmp_path: Path) -> None:
    fabricate(tmp_path / "fernoise-runs", Trial(method="gce"))
    fabricate(tmp_path / "a", Trial(method="scn"))
    both = fb.load_records(tmp_path / "a", reference=True).to_frame()
    assert dict(zip(both["method"], both["shipped"], strict=True)) == {"scn": False, "elr": True}
    assert [record.method for record in fb.load_records(reference=True)] == ["elr"]
    with pytest.raises(fb.BadInput, match="nowhere: no such folder"):
        fb.load_records("nowhere")


def test_a_damaged_trial_is_a_warning(tmp_path: Path) -> None:
    fabricate(tmp_path, Trial())
    (fabricate(tmp_path, Trial(seed=1)) / "status.json").write_text("{")
    with pytest.warns(UserWarning, match="damaged: "):
        found = fb.load_records(tmp_path)
    assert (len(found), len(found.damaged)) == (1, 1)
