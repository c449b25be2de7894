"""Files that were cut, mixed up or written by another version: named, made anew, and in no mean until then."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fernoise_bench.benchmark.trial_state import outcome, state_of
from fernoise_bench.protocols.files import write_json
from fernoise_bench.results.records.record import differing_fields, load_records
from fernoise_bench.results.records.schema import comparability_key
from fernoise_bench.results.records.store import trial_folder
from fernoise_bench.results.records.trial_files import FILES

from ..weekly import often
from .workshop import everything, grid, life, run, taught, warnings_of

Undisturbed = dict[str, dict[str, str]]


def cut(share: float) -> Callable[[Path], object]:
    """Leaves a share of a file."""
    return lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def flip(path: Path) -> None:
    """Turns over bits in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def half_line(path: Path) -> None:
    """Cuts the last line in two."""
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"\n", 0, -1) + 40])


def without(field: str) -> Callable[[Path], None]:
    """A JSON file as a version wrote it that did not know a field."""

    def change(path: Path) -> None:
        told = json.loads(path.read_bytes())
        del told[field]
        write_json(path, told)

    return change


def a_folder(path: Path) -> None:
    """A folder that is not empty in the place of a file."""
    path.unlink(missing_ok=True)
    path.mkdir()
    (path / "notes.txt").write_text("mine")


def a_link(path: Path) -> None:
    """A link to a folder, which is not the trial's to remove."""
    path.unlink()
    path.symlink_to(Path(__file__).parent)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGE = [
    *((name, a_folder, "a folder") for name in FILES),
    ("predictions.npz", a_link, "a link"),
    ("predictions.npz", a_pipe, "a pipe"),
    *(("predictions.npz", cut(share), f"cut to {share}") for share in (0, 0.01, 0.5, 0.99)),
    ("predictions.npz", flip, "flipped"),
    ("predictions.npz", Path.unlink, "lost"),
    ("epochs.jsonl", half_line, "half a line"),
    ("epochs.jsonl", cut(0.5), "cut"),
    ("epochs.jsonl", cut(0), "empty"),
    ("status.json", cut(0.5), "cut"),
    ("status.json", lambda path: path.write_text("[]"), "a list"),
    ("status.json", without("best"), "older version"),
    ("environment.json", Path.unlink, "lost"),
    ("environment.json", without("networks"), "older version"),
    ("identity.json", cut(0.9), "cut"),
    ("identity.json", without("fold"), "older version"),
]


OFTEN = {"a pipe", "cut to 0.5", "flipped", "half a line", "a list", "older version"}  # the others once a week
CASES = [pytest.param(*case, marks=[] if case[2] in OFTEN else [pytest.mark.weekly]) for case in DAMAGE]


@pytest.mark.parametrize(("name", "change", "how"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_damaged_result_is_named_and_made_anew_and_never_averaged(
    name: str, change: Callable[[Path], object], how: str, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    trial = grid(tmp_path)[0]
    run((trial,))
    change(trial.folder / name)
    records, damaged = load_records(tmp_path)
    assert not records
    assert len(damaged) == 1
    assert str(trial.folder) in damaged[0]
    assert state_of(trial) == "damaged"
    assert outcome(trial)["state"] == "not run"
    (warning,) = warnings_of(run((trial,)))
    assert warning == damaged[0]
    found = everything(tmp_path)
    assert found == {place: undisturbed[place] for place in found}
    assert Path(__file__).exists()


def test_a_folder_in_the_place_of_a_file_to_come_is_named_and_makes_room(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    trial = grid(tmp_path)[0]
    for name in ("epochs.jsonl", "checkpoint.pt"):
        trial.folder.mkdir(parents=True, exist_ok=True)
        a_folder(trial.folder / name)
    assert state_of(trial) == "new"
    found = warnings_of(run((trial,)))
    assert [warning.partition(" is a folder where a file belongs")[0].rpartition("/")[2] for warning in found] == [
        "checkpoint.pt",
        "epochs.jsonl",
    ]
    told = everything(tmp_path)
    assert told == {place: undisturbed[place] for place in told}
    assert state_of(trial) == "done"


@pytest.mark.parametrize(
    ("name", "change"),
    often(
        [
            ("probabilities.npz", cut(0.5)),
            ("status.json", without("forwards")),
            ("probabilities.npz", a_folder),
            ("status.json", cut(0.5)),
            ("status.json", Path.unlink),
        ],
        2,
        ["probabilities cut", "older version", "probabilities a folder", "status cut", "status lost"],
    ),
)
def test_a_damaged_teacher_is_named_and_trained_again(
    name: str, change: Callable[[Path], object], tmp_path: Path, undisturbed: Undisturbed
) -> None:
    trial = taught(tmp_path)
    run((trial,))
    (teacher,) = trial.teachers.values()
    change(teacher.folder / name)
    (trial.folder / "predictions.npz").unlink()
    assert any(name in warning and "trained again" in warning for warning in warnings_of(run((trial,))))
    found = everything(tmp_path)
    assert found == {place: undisturbed[place] for place in found}


def stop_after_an_epoch(out: Path) -> None:
    """Leaves a trial with a checkpoint of its first epoch."""
    from fernoise_bench.benchmark.training import trainer

    original = trainer.checkpoint.save

    def save(*arguments: object) -> None:
        original(*arguments)  # type: ignore[arg-type]
        raise SystemExit

    trainer.checkpoint.save = save  # type: ignore[assignment]
    run(grid(out)[:1])


def older(path: Path) -> None:
    """A checkpoint as a version wrote it that kept less."""
    state = torch.load(path, weights_only=True)
    del state["best_scores"]
    torch.save(state, path)


def of_another_trial(path: Path) -> None:
    state = torch.load(path, weights_only=True)
    torch.save({**state, "trial": "0" * 16}, path)


def of_too_many_epochs(path: Path) -> None:
    state = torch.load(path, weights_only=True)
    torch.save({**state, "next_epoch": 99}, path)


def compressed(path: Path) -> None:
    """As one that unpacks to more than there is memory would be."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def lock_is_a_folder(folder: Path) -> None:
    (folder / ".lock").mkdir(parents=True)


def lock_is_a_link(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / ".lock").symlink_to(Path(__file__))


def folder_is_a_file(folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_text("mine")


def parent_is_a_link_to_itself(folder: Path) -> None:
    folder.parent.parent.mkdir(parents=True)
    folder.parent.symlink_to(folder.parent)


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (lock_is_a_folder, "{folder}/.lock is a folder or a link"),
        (lock_is_a_link, "{folder}/.lock is a folder or a link"),
        (folder_is_a_file, "{folder} is a file or a broken link"),
        (parent_is_a_link_to_itself, "{folder.parent} is a file or a broken link"),
    ],
)
def test_one_bad_place_fails_its_trial_alone(
    spoil: Callable[[Path], None], place: str, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    first, _, other, *_ = grid(tmp_path)
    spoil(first.folder)
    heard = run((first, other))
    reason = next(event["status"]["reason"] for trial, event in heard if trial == first.id and "status" in event)
    assert reason.startswith(place.format(folder=first.folder))
    assert outcome(first)["reason"] == reason
    assert state_of(other) == "done"
    records, damaged = load_records(tmp_path)
    assert [record.method for record in records] == [other.method.name]
    assert not damaged or str(first.folder) in damaged[0]


def test_a_name_too_long_for_a_folder_fails_its_trial_alone(tmp_path: Path) -> None:
    first, _, other, *_ = grid(tmp_path)
    first = replace(first, method=replace(first.method, name="mine." + 300 * "M"))
    heard = run((first, other))
    reason = next(event["status"]["reason"] for trial, event in heard if trial == first.id and "status" in event)
    assert reason.endswith("has too long a name for a folder; give the method a shorter one")
    assert outcome(first)["reason"] == reason
    assert state_of(other) == "done"


CHANGES = [cut(0), cut(0.5), cut(0.999), flip, older, of_another_trial, of_too_many_epochs, compressed]


@pytest.mark.parametrize("change", often(CHANGES, 3))
def test_a_damaged_checkpoint_is_named_and_its_trial_starts_again(
    change: Callable[[Path], object], tmp_path: Path, undisturbed: Undisturbed
) -> None:
    process = life(stop_after_an_epoch, tmp_path)
    process.join()
    trial = grid(tmp_path)[0]
    change(trial.folder / "checkpoint.pt")
    assert any("checkpoint.pt: damaged checkpoint" in warning for warning in warnings_of(run((trial,))))
    found = everything(tmp_path)
    assert found == {place: undisturbed[place] for place in found}


def test_a_trial_of_an_older_harness_stands_beside_the_new_one_and_never_in_its_column(tmp_path: Path) -> None:
    trial = grid(tmp_path)[0]
    run((trial,))
    identity = {**trial.identity, "result_version": 0}
    trial.folder.rename(trial_folder(tmp_path, identity))
    write_json(trial_folder(tmp_path, identity) / "identity.json", identity)
    assert state_of(trial) == "new"
    run((trial,))
    records, damaged = load_records(tmp_path)
    assert (len(records), damaged) == (2, [])
    assert differing_fields(comparability_key(record.identity.content) for record in records) == ["result_version"]
