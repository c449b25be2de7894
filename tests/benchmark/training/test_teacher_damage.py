"""A teacher's files that were damaged: told by name and made anew, whatever the damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.benchmark.training import teachers
from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.files import read_arrays, read_json, write_arrays, write_json

from ...toy import ignore
from .test_teachers import TEACHER, Taught, cell, taught, the_teacher, train_teachers


def changed_arrays(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Writes a teacher's probabilities anew after a change."""

    def write(folder: Path) -> None:
        path = folder / teachers.PROBABILITIES
        write_arrays(path, {name: change(array) for name, array in read_arrays(path).items()})

    return write


def changed_status(**fields: Any) -> Callable[[Path], None]:
    return lambda folder: write_json(folder / "status.json", {**read_json(folder / "status.json"), **fields})


def spoiled(array: np.ndarray, value: float) -> np.ndarray:
    array[3, 1] = value
    return array


@pytest.mark.parametrize("checked", [True, False], ids=["with its checksum", "as earlier versions stored it"])
@pytest.mark.parametrize(
    ("change", "what"),
    [
        (changed_arrays(lambda array: spoiled(array, np.nan)), "probabilities.npz is damaged (not finite"),
        (changed_arrays(lambda array: spoiled(array, 7)), "no probabilities: these lie between"),
        (changed_arrays(lambda array: array.astype(np.float64)), "but float64"),
        (changed_status(seconds=-1.0), "status.json: seconds"),
        (changed_status(forwards="many"), "status.json: forwards"),
    ],
)
def test_a_damaged_teacher_is_made_anew_whatever_the_damage(
    change: Callable[[Path], None], what: str, checked: bool, tmp_path: Path
) -> None:
    trial = taught("supervised", tmp_path, epochs=1)
    train_teachers(trial)
    folder = the_teacher(trial).folder
    if not checked:
        write_json(folder / "status.json", {**read_json(folder / "status.json"), "checksum": ""})
    before = (folder / teachers.PROBABILITIES).read_bytes()
    change(folder)
    warnings: list[str] = []
    teachers.train_teachers(trial, cell(), Weights("none"), lambda event: warnings.append(event.get("warning", "")))
    assert warnings[0].startswith(f"teacher {TEACHER}: ")
    assert what in warnings[0]
    assert (folder / teachers.PROBABILITIES).read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [changed_arrays(lambda array: spoiled(array, 0.25)), changed_status(seconds=0.5), changed_status(forwards=1)],
)
def test_a_value_that_could_be_is_found_by_the_checksum(change: Callable[[Path], None], tmp_path: Path) -> None:
    trial = taught("supervised", tmp_path, epochs=1)
    train_teachers(trial)
    folder = the_teacher(trial).folder
    before = read_json(folder / "status.json")["checksum"]
    change(folder)
    with pytest.raises(BadInput, match=r"is not what status\.json was written for"):
        teachers._said(the_teacher(trial), cell())
    output = train_teachers(trial)
    assert output.teachers[0].forwards > 1
    assert len(before) == 64


def test_folders_where_its_files_belong_make_room(tmp_path: Path) -> None:
    trial = taught("supervised", tmp_path, epochs=1)
    names = ("checkpoint.pt", teachers.PROBABILITIES, "identity.json", "status.json", "epochs.jsonl")
    for name in names:
        (the_teacher(trial).folder / name / "mine").mkdir(parents=True)
    warnings: list[str] = []
    teachers.train_teachers(trial, cell(), Weights("none"), lambda event: warnings.append(event.get("warning", "")))
    assert all((the_teacher(trial).folder / name).is_file() for name in names[1:])
    assert sum("is a folder where a file belongs: it is removed" in warning for warning in warnings) == 3


def test_the_files_of_another_teacher_are_not_used(tmp_path: Path) -> None:
    """As where folders were copied by hand: all of them are whole, and belong together."""
    first, second = (replace(taught("supervised", tmp_path, epochs=1), seed=seed) for seed in (0, 1))
    train_teachers(second)
    expected = (the_teacher(second).folder / teachers.PROBABILITIES).read_bytes()
    train_teachers(first)
    shutil.copytree(the_teacher(first).folder, the_teacher(second).folder, dirs_exist_ok=True)
    train_teachers(second)
    assert (the_teacher(second).folder / teachers.PROBABILITIES).read_bytes() == expected


def test_a_teacher_of_an_earlier_version_is_not_trained_again(tmp_path: Path) -> None:
    trial = taught("supervised", tmp_path, epochs=1)
    train_teachers(trial)
    path = the_teacher(trial).folder / "status.json"
    told = read_json(path)
    write_json(path, {name: value for name, value in told.items() if name != "checksum"})
    train_teachers(trial)
    assert "checksum" not in read_json(path)


def test_a_teachers_folder_that_is_none_is_named(tmp_path: Path) -> None:
    trial = taught("supervised", tmp_path, epochs=1)
    the_teacher(trial).folder.parent.mkdir()
    the_teacher(trial).folder.write_text("")
    status = run_trial(trial, Taught(), ignore)
    assert status["state"] == "failed"
    assert status["reason"].startswith(f"{the_teacher(trial).folder} is a file or a broken link")
