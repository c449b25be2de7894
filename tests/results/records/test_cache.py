from __future__ import annotations

import contextlib
import gc
import os
import shutil
import sqlite3
import struct
from dataclasses import replace

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.records import cache, trial_files
from fernoise_bench.results.records.cache import load_cached, uncollected
from fernoise_bench.results.records.record import load_records
from fernoise_bench.results.tables.audit_tables import audit_page
from fernoise_bench.results.tables.protocol_tables import long_table

from ..fabricate import Trial, fabricate, fabricate_all

TRIALS = [
    Trial(method="supervised"),
    Trial(method="scn", seed=1),
    Trial(method="recot", protocol="bp4d-3fold", kind="multi", level=None, copies=0),
    Trial(method="nct", state="diverged", reason="loss is nan"),
]


@pytest.fixture
def runs(tmp_path):
    fabricate_all(tmp_path / "runs", TRIALS)
    (tmp_path / "cache").mkdir()
    return tmp_path / "runs"


@pytest.fixture
def kept(tmp_path):
    return tmp_path / "cache"


def reads(monkeypatch):
    """The trials whose predictions are read from now on."""
    found = []
    real = cache.load_record
    monkeypatch.setattr(cache, "load_record", lambda root, folder: found.append(folder.name) or real(root, folder))
    return found


def test_records_from_the_cache_are_the_records(runs, kept):
    plain, _ = load_records(runs)
    for _ in range(2):
        records, damaged = load_cached(runs, kept)
        assert records == plain
        assert damaged == []
    for ours, theirs in zip(records, plain, strict=True):
        assert list(ours.epochs) == list(theirs.epochs)
        assert (ours.subjects is None) == (theirs.subjects is None)
        if ours.subjects is not None:
            assert ours.subjects.names == theirs.subjects.names
            assert (ours.subjects.counts == theirs.subjects.counts).all()
    single = [record for record in records if record.level is not None]
    known = [record for record in plain if record.level is not None]
    assert long_table(single) == long_table(known)
    assert audit_page(single) == audit_page(known)


def test_finished_trials_are_read_once(runs, kept, monkeypatch):
    load_cached(runs, kept)
    read = reads(monkeypatch)
    records, _ = load_cached(runs, kept)
    assert read == [record.folder.split("/")[-1] for record in records if not record.done]


def test_a_changed_trial_is_read_again_and_a_touched_one_is_not(runs, kept, monkeypatch):
    before, _ = load_cached(runs, kept)
    folders = [runs / record.folder for record in before if record.done]
    for name in trial_files.FILES:
        os.utime(folders[0] / name, ns=(1, 1))
    predictions = folders[1] / "predictions.npz"
    predictions.write_bytes(predictions.read_bytes()[:-40])
    read = reads(monkeypatch)
    records, damaged = load_cached(runs, kept)
    assert folders[1].name in read
    assert folders[0].name not in read
    assert len(records) == len(before) - 1
    assert str(folders[1]) in damaged[0]


def test_the_same_trial_elsewhere_is_known_by_its_bytes(runs, kept, monkeypatch):
    load_cached(runs, kept)
    moved = runs.with_name("moved")
    runs.rename(moved)
    read = reads(monkeypatch)
    records, _ = load_cached(moved, kept)
    assert len(read) == 1
    assert len(records) == len(TRIALS)


def test_a_copy_under_another_name_is_damaged_each_time(runs, kept):
    (first, *others), _ = load_cached(runs, kept)
    folder = runs / first.folder
    shutil.copytree(folder, folder.with_name("0123456789abcdef"))
    for _ in range(2):
        records, (message,) = load_cached(runs, kept)
        assert [record.folder for record in records] == [record.folder for record in (first, *others)]
        assert "0123456789abcdef is not named by the hash of its identity.json" in message


def test_numbers_made_by_other_code_are_not_used(runs, kept, monkeypatch):
    load_cached(runs, kept)
    monkeypatch.setattr(cache, "_version", lambda: "another")
    read = reads(monkeypatch)
    load_cached(runs, kept)
    assert len(read) == len(TRIALS)


def test_a_trial_that_is_gone_is_forgotten(runs, kept):
    load_cached(runs, kept)
    (record, *_), _ = load_cached(runs, kept)
    for path in (runs / record.folder).iterdir():
        path.unlink()
    (runs / record.folder).rmdir()
    assert len(load_cached(runs, kept)[0]) == len(TRIALS) - 1
    connection = sqlite3.connect(kept / "records.sqlite3")
    (count,) = connection.execute("select count(*) from records").fetchone()
    connection.close()
    assert count == 2


@pytest.mark.parametrize("damage", ["file", "value", "no place"])
def test_a_damaged_cache_changes_nothing(runs, kept, damage):
    plain, _ = load_cached(runs, kept)
    if damage == "file":
        (kept / "records.sqlite3").write_bytes(b"no data base")
    elif damage == "value":
        connection = sqlite3.connect(kept / "records.sqlite3")
        with connection:
            connection.execute("update records set value = ?", (b"nonsense",))
        connection.close()
    else:
        kept = kept / "not" / "there"
    assert load_cached(runs, kept)[0] == plain


def test_a_number_that_was_changed_in_the_cache_is_not_used(runs, kept):
    """SQLite has no checksums of its own: other digits of a score still decode."""
    plain, _ = load_cached(runs, kept)
    numbers = [struct.pack(">d", record.headline()) for record in plain if record.done]
    with contextlib.closing(sqlite3.connect(kept / "records.sqlite3")) as connection, connection:
        for folder, value in connection.execute("select folder, value from records").fetchall():
            (place,) = {place for number in numbers if (place := value.find(number)) >= 0}
            changed = value[:place] + struct.pack(">d", 0.99) + value[place + 8 :]
            connection.execute("update records set value = ? where folder = ?", (changed, folder))
        assert connection.total_changes == 3
    assert load_cached(runs, kept)[0] == plain


def test_new_trials_join(runs, kept):
    load_cached(runs, kept)
    fabricate(runs, replace(TRIALS[0], seed=5))
    assert len(load_cached(runs, kept)[0]) == len(TRIALS) + 1


def test_a_number_too_large_to_be_kept_is_read_each_time(runs, kept, monkeypatch):
    fabricate(runs, replace(TRIALS[0], params={"rate": 10**30}))
    load_cached(runs, kept)
    read = reads(monkeypatch)
    records, damaged = load_cached(runs, kept)
    (large,) = [record for record in records if record.identity.method.params]
    assert large.identity.method.params == {"rate": 10**30}
    assert large.folder.split("/")[-1] in read
    assert damaged == []


def test_collection_comes_back():
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_last_epoch_is_at_hand_and_the_others_are_read(runs, kept, monkeypatch):
    plain, _ = load_records(runs)
    load_cached(runs, kept)
    records, _ = load_cached(runs, kept)
    read = []
    real = cache.Path.read_bytes
    monkeypatch.setattr(cache.Path, "read_bytes", lambda path: read.append(path.name) or real(path))
    done = [(ours, theirs) for ours, theirs in zip(records, plain, strict=True) if ours.done]
    assert all(ours.epochs[-1] == theirs.epochs[-1] for ours, theirs in done)
    assert read == []
    assert all(ours.epochs[0] == theirs.epochs[0] and ours.epochs[-2:] == theirs.epochs[-2:] for ours, theirs in done)
    assert read == ["epochs.jsonl"] * len(done)


def test_a_last_epoch_that_is_damaged_is_read_from_its_file(runs, kept):
    plain, _ = load_cached(runs, kept)
    connection = sqlite3.connect(kept / "records.sqlite3")
    with connection:
        for folder, value in connection.execute("select folder, value from records").fetchall():
            connection.execute("update records set value = ? where folder = ?", (value[:-3], folder))
    connection.close()
    records, _ = load_cached(runs, kept)
    assert [list(record.epochs) for record in records] == [list(record.epochs) for record in plain]
    assert [record.epochs[-1] for record in records] == [record.epochs[-1] for record in plain]


def test_epochs_that_are_gone_or_damaged_since_are_said(runs, kept):
    load_cached(runs, kept)
    records, _ = load_cached(runs, kept)
    first, second = [record for record in records if record.done][:2]
    (runs / first.folder / "epochs.jsonl").unlink()
    (runs / second.folder / "epochs.jsonl").write_text('{"epoch": NaN}\n' * len(second.epochs))
    for record in (first, second):
        with pytest.raises(BadInput, match=r"epochs\.jsonl( is missing|: line 1: JSON is malformed)"):
            record.epochs[0]


def test_what_trials_have_in_common_is_kept_once_and_in_order(runs, kept):
    fabricate(runs, replace(TRIALS[0], seed=5))
    load_cached(runs, kept)
    records, _ = load_cached(runs, kept)
    one, other = [record for record in records if record.method == "supervised"]
    assert one.identity.settings is other.identity.settings
    assert one.identity.content["settings"] is other.identity.content["settings"]
    assert one.environment.task is other.environment.task
    assert one.identity.seed != other.identity.seed
    assert all(list(record.identity.content) == sorted(record.identity.content) for record in records)


def test_a_folder_that_others_could_have_made_in_a_shared_place_is_not_used(tmp_path, monkeypatch):
    """Without a home folder the cache lies in the temporary folder, where anyone can make a folder of its name."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path))
    name = tmp_path / f"fernoise-bench-{os.getuid()}"
    assert cache.cache_folder("remembered") == name / "remembered"
    assert name.stat().st_mode & 0o777 == (name / "remembered").stat().st_mode & 0o777 == 0o700
    name.chmod(0o777)
    open_to_all = cache.cache_folder("remembered")
    assert name not in open_to_all.parents
    assert open_to_all.parent.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(name)
    name.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    assert cache.cache_folder("remembered") == open_to_all
    assert not list((tmp_path / "elsewhere").iterdir())
    name.unlink()
    name.mkdir(mode=0o700)
    monkeypatch.setattr(cache.os, "getuid", lambda: os.stat("/").st_uid + 12345)
    (tmp_path / f"fernoise-bench-{cache.os.getuid()}").mkdir(mode=0o700)
    assert cache.cache_folder("remembered") == open_to_all
