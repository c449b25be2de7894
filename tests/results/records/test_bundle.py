"""Bundles: what ships is small, and every number of a table comes out of it unchanged."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.files import read_arrays
from fernoise_bench.protocols.locks import FolderLock
from fernoise_bench.results.records import bundle as module
from fernoise_bench.results.records import reference_leaderboard as shipped
from fernoise_bench.results.records.bundle import _as_bytes, _as_halves, expand, expanded, write_bundle
from fernoise_bench.results.records.record import Record, load_records
from fernoise_bench.results.records.reference_leaderboard import bundle_runs, records_or_shipped, shipped_records
from fernoise_bench.results.records.store import find_trials

from ...toy import ToyContext, ignore, toy_trial


@pytest.fixture(scope="module", params=["single", "multi"])
def trials(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished toy trials, of expressions or of action units."""
    out = tmp_path_factory.mktemp("out")
    for method in ("supervised", "ensemble"):
        run_trial(toy_trial(method, out, kind=request.param, epochs=2), ToyContext(), ignore)
    return out


@pytest.fixture
def bundle(trials: Path, tmp_path: Path) -> Path:
    write_bundle(trials, find_trials(trials), tmp_path / "toy.zip")
    return tmp_path / "toy.zip"


def numbers(record: Record) -> object:
    return dataclasses.replace(record, folder="")


def decisions(predictions: dict[str, np.ndarray], rule: str) -> np.ndarray:
    """The class, or which AUs there are."""
    found = predictions[rule]
    return found.argmax(1) if predictions["labels"].ndim == 1 else found >= 0.5


def test_a_bundle_gives_the_same_records(trials: Path, bundle: Path, tmp_path: Path) -> None:
    expand(bundle, tmp_path / "again")
    before, none = load_records(trials)
    after, nothing = load_records(tmp_path / "again")
    assert (none, nothing, len(after)) == ([], [], 2)
    assert list(map(numbers, after)) == list(map(numbers, before))


def test_probabilities_come_back_within_a_255th(trials: Path, bundle: Path, tmp_path: Path) -> None:
    expand(bundle, tmp_path / "again")
    for folder in find_trials(trials):
        before = read_arrays(folder / "predictions.npz")
        after = read_arrays(tmp_path / "again" / folder.relative_to(trials) / "predictions.npz")
        assert np.abs(after["last"] - before["last"]).max() < 2.5 / 255
        assert after["last"].dtype == before["last"].dtype
        for name in ("sample_id", "group", "labels", "copy"):
            np.testing.assert_array_equal(after[name], before[name])
        for name in ("last", "validation", "oracle"):
            np.testing.assert_array_equal(decisions(after, name), decisions(before, name))


@settings(max_examples=200, deadline=None)
@given(hnp.arrays(np.float32, (3, 4), elements=st.floats(0, 1, width=32)))
def test_the_predicted_class_survives_rounding(probabilities: np.ndarray) -> None:
    kept = _as_bytes(probabilities)
    assert kept.argmax(1).tolist() == probabilities.argmax(1).tolist()


@settings(max_examples=200, deadline=None)
@given(hnp.arrays(np.float32, (3, 4), elements=st.floats(0, 1, width=32)))
def test_the_presence_of_an_action_unit_survives_rounding(probabilities: np.ndarray) -> None:
    kept = _as_halves(probabilities) / np.float32(255)
    assert (kept >= 0.5).tolist() == (probabilities >= 0.5).tolist()


@pytest.mark.parametrize("value", [0.5, np.nextafter(np.float32(0.5), np.float32(0))])
def test_rounding_keeps_to_its_side_of_one_half(value: float) -> None:
    kept = _as_halves(np.array([[value]], np.float32)) / np.float32(255)
    assert bool(kept >= 0.5) == (value >= 0.5)


def test_the_same_trials_give_the_same_bytes(trials: Path, bundle: Path, tmp_path: Path) -> None:
    write_bundle(trials, reversed(find_trials(trials)), tmp_path / "other.zip")
    assert (tmp_path / "other.zip").read_bytes() == bundle.read_bytes()


def test_a_bundle_is_expanded_once(bundle: Path, tmp_path: Path) -> None:
    folder = expanded(bundle, tmp_path / "cache")
    marker = folder / "marker"
    marker.touch()
    assert expanded(bundle, tmp_path / "cache") == folder
    assert marker.exists()


def test_what_a_killed_process_had_unpacked_is_removed(bundle: Path, tmp_path: Path) -> None:
    """And what one that still works has is not."""
    half, locked = (tmp_path / "cache" / f".0123456789abcdef.{pid}" for pid in (1, 2))
    (half / "trials").mkdir(parents=True)
    with FolderLock(locked):
        folder = expanded(bundle, tmp_path / "cache")
        assert sorted((tmp_path / "cache").iterdir()) == [locked, folder]
    assert len(load_records(folder)[0]) == 2


def test_a_full_cache_is_no_damaged_bundle(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(module, "write_atomic", full)
    with pytest.raises(BadInput, match=r"toy\.zip cannot be unpacked there \(No space left on device\); make room"):
        expanded(bundle, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("size", [0, 10, -1])
def test_a_bundle_cut_short_is_named_and_leaves_nothing(bundle: Path, tmp_path: Path, size: int) -> None:
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[:size])
    with pytest.raises(BadInput, match=r"toy\.zip is damaged"):
        expand(bundle, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_bundle_with_other_bytes_is_named_or_reads_as_before(bundle: Path, tmp_path: Path) -> None:
    """Wherever the damage is: in the compressed data, in a checksum, in a header or in the list of entries."""
    whole, generator = bundle.read_bytes(), np.random.default_rng(0)
    expand(bundle, tmp_path / "whole")
    before = {path.name: path.read_bytes() for path in (tmp_path / "whole").rglob("*") if path.is_file()}
    for round_ in range(40):
        at, length = int(generator.integers(len(whole))), int(generator.integers(1, 9))
        bundle.write_bytes(whole[:at] + generator.bytes(length) + whole[at + length :])
        folder = tmp_path / str(round_)
        try:
            expand(bundle, folder)
        except BadInput as error:
            assert "\n" not in str(error)  # noqa: PT017 - what is not read, as a date, may change
            assert not folder.exists()
        else:
            after = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
            assert after.keys() == before.keys()


@pytest.mark.parametrize(
    "name", ["../evil.json", "a@1/b/0123456789abcdef/run.py", "/etc/passwd", "a/b/../identity.json"]
)
def test_entries_no_bundle_has_are_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(name, "{}")
    with pytest.raises(BadInput, match="unexpected entry"):
        expand(tmp_path / "evil.zip", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_the_users_own_trials_come_first(
    trials: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert records_or_shipped(trials)[2] == ""
    records, damaged = shipped_records(bundle.parent)
    assert (len(records), damaged) == (2, [])
    assert shipped_records(tmp_path / "home") == ([], [])


def test_runs_become_a_bundle_a_protocol_and_seed(tmp_path: Path) -> None:
    for seed in (0, 1):
        run_trial(toy_trial("supervised", tmp_path, kind="multi", epochs=2, seed=seed), ToyContext(), ignore)
    written = bundle_runs(tmp_path, tmp_path / "reference")
    wanted = [f"toy-multi-small-generated-seed{seed}.zip" for seed in (0, 1)]
    assert sorted(path.name for path in written) == wanted
    seeds = {record.identity.seed for record in shipped_records(tmp_path / "reference")[0]}
    assert seeds == {0, 1}


def test_a_trial_that_diverged_ships_without_predictions(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for method in ("supervised", "ensemble"):
        run_trial(toy_trial(method, out, epochs=1), ToyContext(), ignore)
    lost = next(folder for folder in find_trials(out) if "ensemble" in folder.as_posix())
    status = json.loads((lost / "status.json").read_text())
    (lost / "status.json").write_text(json.dumps({**status, "state": "diverged", "reason": "the loss is nan"}))
    (lost / "predictions.npz").unlink()
    (made,) = bundle_runs(out, tmp_path / "reference")
    expand(made, tmp_path / "again")
    found, damaged = load_records(tmp_path / "again")
    assert not damaged
    assert {record.method: record.state for record in found} == {"supervised": "done", "ensemble": "diverged"}
    (lost / "status.json").write_text(json.dumps({**status, "state": "failed", "reason": "out of memory"}))
    with pytest.raises(BadInput, match="failed: run it again"):
        bundle_runs(out, tmp_path / "reference")


def test_a_figure_reads_the_predictions_of_what_ships(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(shipped, "FOLDER", bundle.parent)
    records, _, told = records_or_shipped(tmp_path / "no-runs")
    assert told
    for record in records:
        probabilities = shipped.read_predictions(record, [tmp_path / "no-runs"])["last"]
        assert len(probabilities)
    missing = dataclasses.replace(records[0], folder=f"{records[0].folder}0")
    with pytest.raises(BadInput, match="no-runs"):
        shipped.read_predictions(missing, [tmp_path / "no-runs"])


def test_what_ships_can_be_read(reference: tuple[list[Record], list[str]]) -> None:
    records, damaged = reference
    assert damaged == []
    assert records
    assert all(record.done and record.identity.profile in ("small", "transfer") for record in records)
