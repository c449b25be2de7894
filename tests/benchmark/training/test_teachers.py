"""Teachers: trained once for a fold, draw and seed, whoever needs them, and never told more than a trial is."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.benchmark.training import teachers, trainer
from fernoise_bench.benchmark.training.evaluator import predict_rows
from fernoise_bench.benchmark.training.runner import WorkerContext, run_trial
from fernoise_bench.benchmark.training.state import Training
from fernoise_bench.benchmark.trial import Trial
from fernoise_bench.methods.base import Method, TrainView
from fernoise_bench.protocols.files import read_arrays, read_json
from fernoise_bench.protocols.rows import CellData, Rows
from fernoise_bench.results.records.record import load_records
from fernoise_bench.results.records.store import trial_id

from ...toy import AUS, EPOCHS, ignore, toy_cell, toy_trial

TEACHER = "supervised:clean"


def taught(name: str, out: Path, labeller: str = TEACHER, fold: str | None = None, **how: Any) -> Trial:
    """A trial on the toy protocol whose unverified rows a teacher labels."""
    trial = toy_trial(name, out, kind="multi", **how)
    protocol = replace(trial.job.protocol, name="toy-taught", noisy_labels_from=labeller)
    return replace(trial, job=replace(trial.job, protocol=protocol), fold=fold)


def unlabelled(rows: Rows) -> Rows:
    return rows.with_given(np.where(rows.verified[:, None], rows.given, 0).astype(np.int8))


def half_verified(rows: Rows) -> Rows:
    return replace(rows, verified=np.arange(len(rows)) % 2 == 0)


def cell() -> CellData:
    """The toy cell as a protocol with a labelling teacher has it: no labels but those of verified rows."""
    data = toy_cell("multi")
    assert data.validation is not None
    return replace(data, train=unlabelled(data.train), validation=unlabelled(half_verified(data.validation)))


class Taught(WorkerContext):
    def cell(self, trial: Trial) -> CellData:
        return cell()


def train_teachers(trial: Trial) -> teachers.TeacherOutput:
    return teachers.train_teachers(trial, cell(), Weights("none"), ignore)


def the_teacher(trial: Trial) -> Trial:
    (teacher,) = trial.teachers.values()
    return teacher


def said(trial: Trial) -> dict[str, Any]:
    return read_arrays(the_teacher(trial).folder / teachers.PROBABILITIES)


# --- what it says


def test_rows_nobody_verified_get_the_teachers_labels_and_the_others_keep_theirs(tmp_path: Path) -> None:
    trial = taught("supervised", tmp_path)
    output, before = train_teachers(trial), cell()
    assert output.probabilities is None
    assert output.data.validation is not None
    assert before.validation is not None
    for name, old, new in (
        ("train", before.train, output.data.train),
        ("validation", before.validation, output.data.validation),
    ):
        probabilities = said(trial)[name]
        assert probabilities.shape == (len(old), len(AUS))
        clean = old.verified
        np.testing.assert_array_equal(new.given[clean], old.given[clean])
        np.testing.assert_array_equal(new.given[~clean], np.where(probabilities[~clean] >= 0.5, 1, -1))
        assert new.given.dtype == old.given.dtype
        np.testing.assert_array_equal(new.reference, old.reference)
        np.testing.assert_array_equal(new.verified, old.verified)
    np.testing.assert_array_equal(output.data.test.given, before.test.given)
    noisy = output.data.train.take(~before.train.verified)
    judged = noisy.reference != 0
    assert output.data.noise["realised"] == pytest.approx((noisy.given != noisy.reference)[judged].mean())
    assert output.data.noise["realised"] < 0.5


def test_exactly_one_half_is_present(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = np.nextafter(np.float32(0.5), np.float32(0))
    says = np.array([0.5, below, 0.5], np.float32)
    monkeypatch.setattr(teachers, "predict_rows", lambda method, pixels, *_: np.tile(says, (len(pixels), 1)))
    train = train_teachers(taught("supervised", tmp_path)).data.train
    assert np.unique(train.given[~train.verified], axis=0).tolist() == [[1, -1, 1]]


def test_the_teacher_speaks_in_evaluation_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[bool] = []

    def watched(method: Method, pixels: Any, *rest: Any) -> Any:
        modes.append(method.training)
        return predict_rows(method, pixels, *rest)

    monkeypatch.setattr(teachers, "predict_rows", watched)
    train_teachers(taught("supervised", tmp_path))
    assert modes == [False, False]


def test_the_teacher_trains_on_verified_rows_without_seeing_labels_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[TrainView] = []
    start = trainer.start

    def watched(trial: Trial, *rest: Any) -> Training:
        training = start(trial, *rest)
        seen.append(training.train_set.view(0))
        return training

    monkeypatch.setattr(trainer, "start", watched)
    train_teachers(taught("supervised", tmp_path))
    (view,) = seen
    assert not view.labels[~view.verified].any()
    assert view.labels[view.verified].any()


def test_a_method_sees_its_teachers_rows_beside_its_own(tmp_path: Path) -> None:
    """Batch.teacher follows Batch.index, in batches and in passes."""
    trial = taught("distillation", tmp_path)
    output = train_teachers(trial)
    assert output.probabilities is not None
    np.testing.assert_array_equal(output.probabilities, said(trial)["train"])
    training = trainer.start(trial, output.data, Weights("none"), output.probabilities)
    expected = torch.from_numpy(output.probabilities)
    labels = torch.from_numpy(output.data.train.given.astype(np.int64))
    seen = 0
    for batch in (*training.train_set.batches(0, 1), *training.train_set.view(0).batches(augment=True)):
        assert batch.teacher is not None
        assert torch.equal(batch.teacher, expected[batch.index])
        assert torch.equal(batch.labels, labels[batch.index])
        seen += len(batch.index)
    assert seen > len(expected)


# --- trained once


def run_beside(name: str, out: Path, ready: Barrier) -> None:
    """Runs a trial at the same moment as another process; notes the teacher's epochs that it trained itself."""
    torch.set_num_threads(1)
    epochs = 0

    def report(event: Mapping[str, Any]) -> None:
        nonlocal epochs
        epochs += "teacher" in event

    ready.wait()
    run_trial(taught(name, out), Taught(), report)
    (out / f"{name}.json").write_text(json.dumps(epochs))


@pytest.mark.weekly
def test_two_processes_that_need_it_at_once_have_it_trained_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(2)
    names = ("supervised", "distillation")
    processes = [context.Process(target=run_beside, args=(name, tmp_path / "both", ready)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    counts = [json.loads((tmp_path / "both" / f"{name}.json").read_text()) for name in names]
    assert sorted(counts) == [0, EPOCHS]
    for name in names:
        together, alone = taught(name, tmp_path / "both"), taught(name, tmp_path / "alone")
        assert run_trial(alone, Taught(), ignore)["state"] == "done"
        paths = [trial.folder / "predictions.npz" for trial in (together, alone)]
        assert paths[0].read_bytes() == paths[1].read_bytes()


def run_and_die(out: Path, epoch: int) -> None:
    torch.set_num_threads(1)

    def report(event: Mapping[str, Any]) -> None:
        if event.get("teacher") and event.get("epoch") == epoch:
            os.kill(os.getpid(), signal.SIGKILL)

    run_trial(taught("supervised", out), Taught(), report)


def test_killed_while_the_teacher_trains_and_continued_gives_the_same_bytes(tmp_path: Path) -> None:
    whole, killed = taught("supervised", tmp_path / "whole"), taught("supervised", tmp_path / "killed")
    run_trial(whole, Taught(), ignore)
    for epoch in (1, 3):
        process = multiprocessing.get_context("fork").Process(target=run_and_die, args=(tmp_path / "killed", epoch))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert not (the_teacher(killed).folder / teachers.PROBABILITIES).exists()
    events: list[Mapping[str, Any]] = []
    assert run_trial(killed, Taught(), events.append)["state"] == "done"
    assert [event["epoch"] for event in events if "teacher" in event] == [4]
    for name, trials in (
        (teachers.PROBABILITIES, (the_teacher(whole), the_teacher(killed))),
        ("predictions.npz", (whole, killed)),
    ):
        assert len({(trial.folder / name).read_bytes() for trial in trials}) == 1
    told = [read_json(trial.folder / "environment.json")["teachers"][0] for trial in (whole, killed)]
    assert [line["forwards"] for line in told] == [told[0]["forwards"]] * 2
    assert not (the_teacher(killed).folder / "checkpoint.pt").exists()


def test_what_it_said_is_checked_and_a_damaged_file_made_anew(tmp_path: Path) -> None:
    trial = taught("supervised", tmp_path)
    train_teachers(trial)
    path = the_teacher(trial).folder / teachers.PROBABILITIES
    before = path.read_bytes()
    path.write_bytes(before[:100])
    warnings: list[str] = []
    teachers.train_teachers(trial, cell(), Weights("none"), lambda event: warnings.append(event.get("warning", "")))
    assert warnings[0].startswith(f"teacher {TEACHER}: {path} cannot be read or is damaged")
    assert warnings[0].endswith("; it is trained again")
    assert path.read_bytes() == before


# --- what the record keeps


def test_its_cost_is_in_the_record_of_every_trial_that_used_it(tmp_path: Path) -> None:
    lines = {}
    for name in ("supervised", "distillation"):
        trial = taught(name, tmp_path)
        assert run_trial(trial, Taught(), ignore)["state"] == "done"
        (lines[name],) = read_json(trial.folder / "environment.json")["teachers"]
    assert lines["supervised"] == lines["distillation"]
    line, kept = lines["supervised"], read_json(the_teacher(trial).folder / "status.json")
    assert line == {
        "name": TEACHER,
        "id": the_teacher(trial).id,
        "version": trial_id(the_teacher(trial).identity["method"]),
        **{kind: kept[kind] for kind in ("seconds", "forwards", "backwards")},
    }
    epochs = [json.loads(text) for text in (the_teacher(trial).folder / "epochs.jsonl").read_text().splitlines()]
    data = cell()
    assert data.validation is not None
    looked_at = {"forwards": len(data.train) + len(data.validation), "backwards": 0}
    for kind, looked in looked_at.items():
        assert line[kind] - looked == sum(epoch["compute"][kind] for epoch in epochs) > 0
    assert line["seconds"] > 0
    records, damaged = load_records(tmp_path)
    assert (len(records), damaged) == (2, [])  # a teacher is no result


def test_a_trial_without_a_teacher_says_so(tmp_path: Path) -> None:
    trial = toy_trial("supervised", tmp_path, kind="multi")
    assert run_trial(trial, Taught(), ignore)["state"] == "done"
    assert read_json(trial.folder / "environment.json")["teachers"] == []
    assert "teachers" not in trial.identity
    assert not (tmp_path / "artifacts").exists()


def test_a_teacher_that_diverges_is_named_as_the_reason(tmp_path: Path) -> None:
    trial = taught("supervised", tmp_path, learning_rate=1e30)
    status = run_trial(trial, Taught(), ignore)
    assert status["state"] == "diverged"
    assert status["reason"].startswith(f"its teacher {TEACHER}: ")


# --- identity


def test_every_seed_and_fold_has_its_teacher_which_all_methods_share(tmp_path: Path) -> None:
    one = the_teacher(taught("supervised", tmp_path)).id
    for name in ("distillation", "ensemble", "supervised:clean", "recot"):
        assert the_teacher(taught(name, tmp_path)).id == one
    others = [taught("supervised", tmp_path, **how) for how in ({"seed": 1}, {"fold": "part1"}, {"fold": "part2"})]
    others.append(taught("supervised", tmp_path, epochs=EPOCHS + 1))
    assert len({one, *(the_teacher(other).id for other in others)}) == 5
    assert the_teacher(taught("supervised", tmp_path)).teachers == {}


def test_a_trial_is_another_with_another_teacher_and_none_is_the_trial_it_would_be(tmp_path: Path) -> None:
    trial, plain = taught("supervised:clean", tmp_path), taught("supervised:clean", tmp_path, labeller="")
    assert the_teacher(trial).id not in (trial.id, plain.id)
    assert trial.identity["teachers"] == {TEACHER: the_teacher(trial).id}
    assert the_teacher(trial).identity["artifact"] == "teacher"
    assert the_teacher(trial).folder.parent == tmp_path / "artifacts"


MINE = '''
from fernoise_bench.baselines.supervised import Supervised


class Mine(Supervised):
    """Supervised training under another name."""

    scale = 1.0
'''


@pytest.mark.parametrize(("change", "same"), [(("1.0", "2.0"), False), (("Supervised training", "Just that"), True)])
def test_it_is_another_teacher_when_its_source_changes(change: tuple[str, str], same: bool, tmp_path: Path) -> None:
    """And so is every trial that learns from it; words do not count."""
    path = tmp_path / "mine.py"

    def ids(text: str) -> tuple[str, str]:
        path.write_text(text)
        trial = taught("supervised", tmp_path, labeller=f"{path}:Mine:clean")
        return the_teacher(trial).id, trial.id

    before, after = ids(MINE), ids(MINE.replace(*change))
    assert [one == other for one, other in zip(before, after, strict=True)] == [same, same]
