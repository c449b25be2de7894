from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fernoise_bench.protocols import files, locks
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.records import store

IDENTITY = {
    "protocol": {"name": "rafdb-sym", "version": 1},
    "method": {"name": "cocuring:no-relabel", "params": {}},
    "seed": 0,
}
ARRAYS = {"labels": np.arange(5), "sample_id": np.array(["a", "bb"]), "empty": np.zeros((0, 3), np.float32)}


class Killed(BaseException):
    """Stands for a kill: nothing of the writer runs after it."""


def written_files(folder):
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


@given(
    old=st.none() | st.binary(max_size=40),
    new=st.binary(max_size=40),
    step=st.sampled_from(["open", "write", "fsync", "close", "replace", "none"]),
    position=st.integers(0, 40),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_kill_at_any_byte_leaves_the_old_content_or_the_new(tmp_path_factory, old, new, step, position):
    folder = tmp_path_factory.mktemp("store")
    path = folder / "status.json"
    if old is not None:
        path.write_bytes(old)

    def write_some(handle, data):
        if position < len(data):
            real_write(handle, data[:position])
            raise Killed
        return real_write(handle, data)

    def die(*_):
        raise Killed

    real_write = os.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", lambda *_, **__: None)  # a killed process does not clean up
        if step != "none":
            patch.setattr(os, step, write_some if step == "write" else die)
        try:
            files.write_atomic(path, new)
        except Killed:
            assert (path.read_bytes() if path.exists() else None) == old
        else:
            assert path.read_bytes() == new
    assert set(written_files(folder)) <= {path}
    with locks.FolderLock(folder):
        pass
    assert set(folder.iterdir()) <= {path, folder / ".lock"}


WRITER = """
import sys
from pathlib import Path
from fernoise_bench.protocols.files import write_atomic
print("ready", flush=True)
number = 0
while True:
    number = (number + 1) % 10
    write_atomic(Path(sys.argv[1]), str(number).encode() * 300_000)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
def test_a_killed_process_leaves_a_whole_file(tmp_path):
    path = tmp_path / "file"
    chance = random.Random(0)
    for _ in range(6):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.02 + 0.08 * chance.random())
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        if path.exists():
            content = path.read_bytes()
            assert len(content) == 300_000
            assert len(set(content)) == 1


def test_an_error_while_writing_keeps_the_old_file_and_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_atomic(path, b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        files.write_atomic(path, b"new")
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"old"]


def test_json_is_sorted_and_comes_back(tmp_path):
    path = tmp_path / "deep" / "value.json"
    value = {"b": [1, 2.5, None], "a": {"λ": "é"}}
    files.write_json(path, value)
    assert files.read_json(path) == value
    assert path.read_text(encoding="utf-8").index('"a"') < path.read_text(encoding="utf-8").index('"b"')
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(path, {"loss": float("nan")})
    assert files.read_json(path) == value


def test_a_file_name_that_is_not_utf8_comes_back(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    files.write_json(tmp_path / "pack.json", {"skipped": [name]})
    assert files.read_json(tmp_path / "pack.json") == {"skipped": [name]}
    assert b"caf\\udce9.jpg" in (tmp_path / "pack.json").read_bytes()


def test_json_lines_come_back(tmp_path):
    path = tmp_path / "epochs.jsonl"
    rows = [{"epoch": 0, "loss": None}, {"epoch": 1, "text": "line\nbreak\u2028"}]
    files.write_jsonl(path, rows)
    assert files.read_jsonl(path) == rows
    assert len(path.read_bytes().splitlines()) == 2


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert (
        files.canonical_json({"b": 1, "a": (1, 2)})
        == files.canonical_json({"a": [1, 2], "b": 1})
        == '{"a":[1,2],"b":1}'
    )


def test_the_same_arrays_give_the_same_bytes(tmp_path, monkeypatch):
    files.write_arrays(tmp_path / "one.npz", ARRAYS)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2e9))
    fortran = {**ARRAYS, "square": np.asfortranarray(np.eye(3))}
    files.write_arrays(tmp_path / "two.npz", dict(reversed(ARRAYS.items())))
    files.write_arrays(tmp_path / "three.npz", fortran)
    files.write_arrays(tmp_path / "four.npz", {**ARRAYS, "square": np.eye(3)})
    contents = [(tmp_path / f"{name}.npz").read_bytes() for name in ("one", "two", "three", "four")]
    assert contents[0] == contents[1] != contents[2] == contents[3]
    assert_equal_arrays(files.read_arrays(tmp_path / "one.npz"), ARRAYS)
    with np.load(tmp_path / "one.npz") as archive:  # NumPy's own reader takes it
        assert sorted(archive) == sorted(ARRAYS)


def assert_equal_arrays(left, right):
    assert left.keys() == right.keys()
    for name, array in left.items():
        assert array.dtype == right[name].dtype
        assert np.array_equal(array, right[name])


def test_objects_are_neither_written_nor_read(tmp_path):
    path = tmp_path / "objects.npz"
    with pytest.raises(ValueError, match="Object arrays"):
        files.write_arrays(path, {"a": np.array([{}, 1], dtype=object)})
    np.savez(path, a=np.array([{}, 1], dtype=object))
    with pytest.raises(BadInput, match=r"objects\.npz"):
        files.read_arrays(path)


def test_a_damaged_array_file_is_refused_and_named(tmp_path):
    path = tmp_path / "predictions.npz"
    files.write_arrays(path, ARRAYS)
    whole = path.read_bytes()
    halves = [whole[:length] for length in range(len(whole))]
    flips = [whole[:at] + bytes([whole[at] ^ 0x15]) + whole[at + 1 :] for at in range(len(whole))]
    safe = 0
    for content in halves + flips:
        path.write_bytes(content)
        try:
            arrays = files.read_arrays(path)
        except BadInput as error:
            safe += str(path) in str(error)
        else:  # the byte was one that does not matter, such as a date
            assert_equal_arrays(arrays, ARRAYS)
            safe += 1
    assert safe == 2 * len(whole)


@pytest.mark.parametrize("reader", [files.read_json, files.read_jsonl, files.read_arrays])
def test_a_missing_or_broken_file_is_named(tmp_path, reader):
    path = tmp_path / "file"
    with pytest.raises(BadInput, match=r"file is missing"):
        reader(path)
    path.write_bytes(b'{"half": \xff')
    with pytest.raises(BadInput, match=str(path)):
        reader(path)
    with pytest.raises(BadInput, match=str(tmp_path)):
        reader(tmp_path)


def test_trial_folder_is_named_by_the_identity(tmp_path):
    folder = store.trial_folder(tmp_path, IDENTITY)
    assert folder.relative_to(tmp_path).parts == ("rafdb-sym@1", "cocuring.no-relabel", store.trial_id(IDENTITY))
    assert store.trial_id(IDENTITY) == store.trial_id(json.loads(files.canonical_json(IDENTITY)))
    assert store.trial_id(IDENTITY) != store.trial_id({**IDENTITY, "seed": 1})
    elsewhere = {**IDENTITY, "method": {"name": "../../my file.py:Mine"}}
    assert store.trial_folder(tmp_path, elsewhere).parent.name == ".._.._my_file.py.Mine"
    with pytest.raises(BadInput, match=r"'\.\.'"):
        store.trial_folder(tmp_path, {**IDENTITY, "method": {"name": ".."}})


def test_trials_are_found_in_order_and_nothing_else_is(tmp_path):
    folders = [store.trial_folder(tmp_path, {**IDENTITY, "seed": seed}) for seed in range(3)]
    for folder in folders:
        files.write_json(folder / "identity.json", IDENTITY)
    (tmp_path / "report" / "figures" / "notes").mkdir(parents=True)
    (tmp_path / "README").write_text("notes")
    assert store.find_trials(tmp_path) == sorted(folders)
    assert store.find_trials(tmp_path / "absent") == []


def test_one_trial_is_worked_on_once(tmp_path):
    folder = tmp_path / "trial"
    with locks.FolderLock(folder) as first, locks.FolderLock(folder) as second:
        assert first
        assert not second
    with locks.FolderLock(folder) as again:
        assert again


def test_leftovers_go_only_when_the_lock_is_acquired(tmp_path):
    leftover = tmp_path / ".status.json.00ff.tmp"
    with locks.FolderLock(tmp_path):
        leftover.write_bytes(b"half")
        with locks.FolderLock(tmp_path) as acquired:
            assert not acquired
        assert leftover.exists()
    with locks.FolderLock(tmp_path):
        assert not leftover.exists()


def test_without_file_locks_the_lock_is_always_acquired(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    with locks.FolderLock(tmp_path) as first, locks.FolderLock(tmp_path) as second:
        assert first
        assert second
