"""What commands cache on disk: only what still holds, and nothing that changes the identity of a trial."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fernoise_bench.benchmark.disk_cache import file_stamps, lookup, store
from fernoise_bench.benchmark.planning import grid
from fernoise_bench.benchmark.planning.grid import RunRequest, identify_data, make_grid
from fernoise_bench.benchmark.training.runner import WorkerContext, run_trial
from fernoise_bench.benchmark.trial_state import unfinished
from fernoise_bench.protocols import catalog
from fernoise_bench.protocols.loading import DataIdentity
from fernoise_bench.results.records.cache import load_cached

from ..protocols.miniatures import ferplus
from ..toy import ignore


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_value_is_found_by_its_key_and_may_be_deleted() -> None:
    assert lookup({"a": 1}) is None
    store({"a": 1}, {"b": [2]})
    assert lookup({"a": 1}) == {"b": [2]}
    assert lookup({"a": 2}) is None
    (kept,) = Path(os.environ["XDG_CACHE_HOME"]).rglob("remembered/*.json")
    entry = json.loads(kept.read_bytes())
    for damaged in ({}, [], {**entry, "value": {"b": [3]}}, {**entry, "value": None}):
        kept.write_text(json.dumps(damaged))
        assert lookup({"a": 1}) is None
    kept.write_text("{")
    assert lookup({"a": 1}) is None


def test_old_entries_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fernoise_bench.benchmark.disk_cache._MOST_ENTRIES", 3)
    for number in range(5):
        store({"number": number}, number)
        newest = max(Path(os.environ["XDG_CACHE_HOME"]).rglob("remembered/*.json"), key=os.path.getmtime)
        os.utime(newest, (number, number))
    assert [lookup({"number": number}) for number in range(5)] == [None, None, 2, 3, 4]


def test_a_stamp_sees_every_file_that_is_edited_added_or_taken_away(tmp_path: Path) -> None:
    (tmp_path / "data" / "below").mkdir(parents=True)
    places = [tmp_path / "data", tmp_path / "absent.csv"]
    seen = [file_stamps(places)]
    for change in (
        lambda: (tmp_path / "data" / "below" / "a.png").write_bytes(b"1"),
        lambda: (tmp_path / "data" / "below" / "a.png").write_bytes(b"22"),
        lambda: os.utime(tmp_path / "data" / "below" / "a.png", (1, 1)),
        lambda: (tmp_path / "data" / "below" / "a.png").rename(tmp_path / "data" / "below" / "b.png"),
        lambda: (tmp_path / "absent.csv").write_text(""),
    ):
        change()
        seen.append(file_stamps(places))
    assert len(set(seen)) == len(seen)
    assert file_stamps(places) == seen[-1]


def test_a_stamp_follows_links_and_gets_out_of_circles(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "circle").symlink_to(tmp_path / "data")
    before = file_stamps([tmp_path / "data"])
    (tmp_path / "elsewhere" / "a.csv").write_text("1")
    assert file_stamps([tmp_path / "data"]) != before


def test_data_are_read_again_only_when_their_files_have_changed(tmp_path: Path) -> None:
    root = tmp_path / "data"
    ferplus.write_tables(root / "ferplus")
    protocol = catalog.find("ferplus-sym")
    identity, data = identify_data(protocol, "smoke", root, partial=True)
    assert data is not None
    assert identity == data.identity
    assert identify_data(protocol, "smoke", root, partial=True) == (identity, None)
    assert identify_data(protocol, "small", root, partial=True)[1] is not None, "another profile cuts other rows"
    for name in ("fer2013.csv", "fer2013new.csv"):  # without the second row
        lines = (root / "ferplus" / name).read_text().splitlines()
        (root / "ferplus" / name).write_text("\n".join([*lines[:2], *lines[3:], ""]))
    changed, data = identify_data(protocol, "smoke", root, partial=True)
    assert data is not None
    assert changed != identity


def test_a_grid_from_the_cache_is_the_same(tmp_path: Path) -> None:
    ferplus.write_tables(tmp_path / "data" / "ferplus")
    asked = RunRequest(
        "ferplus-sym", ("supervised", "co-teaching"), levels=(0.2,), seeds=1, profile="smoke",
        data_root=tmp_path / "data", out=tmp_path / "runs", partial=True,
    )  # fmt: skip
    first, second = make_grid(asked), make_grid(asked)
    assert first.data is not None
    assert second.data is None
    assert [trial.identity for trial in first.trials] == [trial.identity for trial in second.trials]


def test_data_that_changed_after_the_run_began_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ferplus.write_tables(tmp_path / "data" / "ferplus")
    monkeypatch.setattr(grid, "identify_data", lambda *_, **__: (DataIdentity(), None))
    asked = RunRequest(
        "ferplus-sym", ("supervised",), levels=(0.2,), seeds=1, profile="smoke",
        data_root=tmp_path / "data", out=tmp_path / "runs", partial=True,
    )  # fmt: skip
    (trial,) = make_grid(asked).trials
    status = run_trial(trial, WorkerContext(), ignore)
    assert status["state"] == "failed"
    assert "were changed after the run began; start the run again" in status["reason"]


@pytest.mark.slow
def test_a_run_whose_trials_are_all_done_needs_no_torch_and_no_data(tmp_path: Path) -> None:
    asked = "run --protocol fer2013-real --method supervised,gce --synthetic --profile smoke --workers 1 --json --out"
    words = [*asked.split(), str(tmp_path / "runs")]
    script = (
        "import json, sys\nfrom fernoise_bench.benchmark.cli import main\n"
        "try:\n    main(json.loads(sys.argv[1]))\nexcept SystemExit as error:\n    code = error.code\n"
        "print(sorted({'torch', 'timm', 'sklearn'} & set(sys.modules)), code, file=sys.stderr)"
    )
    command = [sys.executable, "-c", script, json.dumps(words)]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2))
    assert second.stdout == first.stdout
    assert second.stderr.splitlines()[-1] == "[] 0"
    asked = RunRequest("fer2013-real", ("supervised", "gce"), profile="smoke", synthetic=True, out=tmp_path / "runs")
    trials = make_grid(asked).trials
    records, _ = load_cached(tmp_path / "runs")
    assert unfinished(trials, records) == []
    (trials[0].folder / "checkpoint.pt").write_bytes(b"")
    (trials[1].folder / "predictions.npz").write_bytes(b"")
    records, damaged = load_cached(tmp_path / "runs")
    assert len(damaged) == 1
    assert unfinished(trials, records) == list(trials)
