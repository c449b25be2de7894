from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fernoise_bench.protocols import files
from fernoise_bench.results import metrics
from fernoise_bench.results.records import record as records
from fernoise_bench.results.records import store
from fernoise_bench.results.records.schema import comparability_key

from ..fabricate import Trial, fabricate, fabricate_all


def load_one(root):
    loaded, damaged = records.load_records(root)
    assert not damaged
    (record,) = loaded
    return record


def test_scores_come_from_predictions_and_counts(tmp_path):
    folder = fabricate(tmp_path, Trial())
    record = load_one(tmp_path)
    arrays = files.read_arrays(folder / "predictions.npz")
    labels, copy = arrays["labels"], arrays["copy"]
    assert record.folder == folder.relative_to(tmp_path).as_posix()
    assert (record.method, record.level, record.fold, record.pair) == ("supervised", 0.2, None, (0, 0))
    for rule in ("last", "validation", "oracle"):
        score = record.scores[rule]
        assert score.headline == metrics.accuracy(arrays[rule], labels)
        assert score.mean_class == metrics.mean_class_accuracy(arrays[rule], labels)
        assert len(score.per_label) == 4
        expected = metrics.accuracy(arrays[rule][~copy], labels[~copy])
        assert record.scores_without_copies[rule].headline == expected
    five = [metrics.accuracy_of(line.test.confusion) for line in record.epochs[-5:]]
    assert record.scores["last_five"].headline == pytest.approx(np.mean(five))
    assert record.scores["oracle"].headline >= record.scores["last"].headline


def test_scores_of_action_units(tmp_path):
    folder = fabricate(tmp_path, Trial(kind="multi", fold="part1", level=None, validation=False, copies=0))
    record = load_one(tmp_path)
    arrays = files.read_arrays(folder / "predictions.npz")
    f1 = metrics.f1_per_label(arrays["last"], arrays["labels"])
    assert record.scores["last"].per_label == tuple(f1)
    assert record.scores["last"].headline == pytest.approx(f1.mean())
    assert record.scores["last"].mean_class is None
    assert record.scores["validation"] is None
    assert record.scores_without_copies == {}


@pytest.mark.parametrize("state", ["running", "failed", "diverged", "interrupted"])
def test_a_trial_that_is_not_done_has_no_scores(tmp_path, state):
    fabricate(tmp_path, Trial(state=state))
    record = load_one(tmp_path)
    assert record.state == state
    assert not record.done
    assert record.scores == {}
    assert len(record.epochs) == 3


def test_a_trial_killed_at_its_start_counts_as_interrupted(tmp_path):
    folder = fabricate(tmp_path, Trial())
    for path in folder.iterdir():
        if path.name != "identity.json":
            path.unlink()
    assert load_one(tmp_path).state == "interrupted"
    (folder / "identity.json").unlink()
    (folder / ".lock").touch()
    assert records.load_records(tmp_path) == ([], [])


@pytest.mark.parametrize("name", sorted(Trial().identity))
def test_an_identity_that_lacks_a_field_is_named(tmp_path, name):
    identity = {key: value for key, value in Trial().identity.items() if key != name}
    stand_in = {**Trial().identity, **identity}
    folder = store.trial_folder(tmp_path, stand_in).with_name(store.trial_id(identity))
    files.write_json(folder / "identity.json", identity)
    loaded, (message,) = records.load_records(tmp_path)
    assert not loaded
    assert str(folder) in message


def rewrite(path, change):
    content = json.loads(path.read_bytes())
    change(content)
    files.write_json(path, content)


def spoil_identity(folder):
    rewrite(folder / "identity.json", lambda content: content.update(seed=9))


def spoil_confusion(folder):
    lines = files.read_jsonl(folder / "epochs.jsonl")
    lines[-1]["test"]["confusion"][0][0] += 1
    files.write_jsonl(folder / "epochs.jsonl", lines)


def spoil_an_early_epoch(folder):
    lines = files.read_jsonl(folder / "epochs.jsonl")
    lines[0]["test"]["confusion"][0][0] += 1
    files.write_jsonl(folder / "epochs.jsonl", lines)


def spoil_predictions(folder):
    arrays = files.read_arrays(folder / "predictions.npz")
    files.write_arrays(folder / "predictions.npz", {**arrays, "last": arrays["last"][::-1]})


def spoil_oracle(folder):
    arrays = files.read_arrays(folder / "predictions.npz")
    files.write_arrays(folder / "predictions.npz", {**arrays, "oracle": arrays["last"]})
    rewrite(folder / "status.json", lambda content: content["best"].update(oracle=5))


def spoil_rows(folder):
    arrays = files.read_arrays(folder / "predictions.npz")
    files.write_arrays(folder / "predictions.npz", {**arrays, "group": arrays["group"][1:]})


def spoil_nan(folder):
    arrays = files.read_arrays(folder / "predictions.npz")
    files.write_arrays(folder / "predictions.npz", {**arrays, "last": arrays["last"] * np.float32("nan")})


def lose_epochs(folder):
    files.write_jsonl(folder / "epochs.jsonl", files.read_jsonl(folder / "epochs.jsonl")[:-1])


def skip_epoch(folder):
    files.write_jsonl(folder / "epochs.jsonl", files.read_jsonl(folder / "epochs.jsonl")[1:])


def lose_field(folder):
    rewrite(folder / "environment.json", lambda content: content.pop("task"))


def lose_compute(folder):
    lines = files.read_jsonl(folder / "epochs.jsonl")
    files.write_jsonl(folder / "epochs.jsonl", [{**line, "compute": {}} for line in lines])


def spoil_kind(folder):
    rewrite(folder / "environment.json", lambda content: content["task"].update(kind="multi"))


def spoil_copies(folder):
    arrays = files.read_arrays(folder / "predictions.npz")
    files.write_arrays(folder / "predictions.npz", {**arrays, "copy": arrays["copy"].astype(int)})


def spoil_state(folder):
    rewrite(folder / "status.json", lambda content: content.update(state="finished"))


def cut_predictions(folder):
    path = folder / "predictions.npz"
    path.write_bytes(path.read_bytes()[:-90])


def lose_identity(folder):
    (folder / "identity.json").unlink()


SPOILERS = [
    spoil_identity,
    spoil_confusion,
    spoil_an_early_epoch,
    spoil_predictions,
    spoil_oracle,
    spoil_rows,
    spoil_nan,
    lose_epochs,
    skip_epoch,
    lose_field,
    lose_compute,
    spoil_kind,
    spoil_copies,
    spoil_state,
    cut_predictions,
    lose_identity,
]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_a_damaged_trial_is_named_and_left_out(tmp_path, spoil):
    folder, other = fabricate_all(tmp_path, [Trial(seed=0), Trial(seed=1)])
    spoil(folder)
    loaded, damaged = records.load_records(tmp_path)
    assert [record.folder for record in loaded] == [other.relative_to(tmp_path).as_posix()]
    (message,) = damaged
    assert str(folder) in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "name", ["identity.json", "environment.json", "status.json", "epochs.jsonl", "predictions.npz"]
)
def test_rubbish_in_any_file_is_named(tmp_path, name):
    folder = fabricate(tmp_path, Trial())
    for content in (b"", b"\x00\xff", b"[]", b"3", b'{"a": 1}', b'"\n'):
        (folder / name).write_bytes(content)
        loaded, damaged = records.load_records(tmp_path)
        assert not loaded
        assert len(damaged) == 1
        assert str(folder) in damaged[0]


def test_the_key_leaves_out_what_varies_within_a_table():
    trial = Trial()
    key = comparability_key(trial.identity)
    other = replace(trial, method="recot", seed=3, draw=4, fold="part2", level=0.4)
    assert comparability_key(other.identity) == key
    assert set(key) == {"result_version", "protocol", "profile", "source", "partial", "recipe", "settings"}


def test_differing_fields_are_named_with_dots():
    keys = [
        {"a": {"b": 1, "c": [1, 2]}, "d": True, "e": {}},
        {"a": {"b": 2, "c": [1, 2]}, "d": True, "e": {"f": 1}},
        {"a": {"b": 1, "c": [1, 3]}, "d": True, "g": None},
    ]
    assert records.differing_fields(keys) == ["a.b", "a.c", "e", "e.f", "g"]
    assert records.differing_fields(keys[:1]) == []


def test_no_folder_no_records(tmp_path):
    assert records.load_records(tmp_path / "absent") == ([], [])
