"""kill -9 at any moment: running again gives the bytes of a run that was never killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fernoise_bench.benchmark.training import checkpoint, trainer
from fernoise_bench.benchmark.trial import Trial
from fernoise_bench.benchmark.trial_state import state_of
from fernoise_bench.protocols.files import remove_leftovers
from fernoise_bench.results.records.store import find_trials

from ..weekly import often
from .workshop import everything, grid, life, run, taught

KILLS = int(os.environ.get("FERNOISE_KILLS", "8"))
LONGEST_LIFE = 1.2  # seconds

Undisturbed = dict[str, dict[str, str]]


@pytest.mark.weekly
def test_killed_at_random_moments(tmp_path: Path, undisturbed: Undisturbed) -> None:
    """FERNOISE_KILLS kills, 8 unless set; the grid starts afresh whenever it is finished."""
    chance = random.Random(0)
    kills = rounds = 0
    while kills < KILLS:
        out = tmp_path / str(rounds)
        finished = False
        while not finished and kills < KILLS:
            process = life(run, grid(out))
            process.join(LONGEST_LIFE * chance.random())
            finished = process.exitcode is not None
            if not finished:
                process.kill()
                process.join()
                kills += 1
            assert process.exitcode in (0, -signal.SIGKILL)
        run(grid(out))
        assert everything(out) == undisturbed
        shutil.rmtree(out)
        rounds += 1


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(trials: tuple[Trial, ...], name: str, step: str, time: int) -> None:
    """Runs trials in a process that is killed at a step of writing a file of that name, when it gets there so often."""
    times = 0
    originals = {"write": os.write, "replace": os.replace, "sync": os.fsync}

    def here(path: Any) -> bool:
        nonlocal times
        times += f".{name}." in str(path)
        return times == time and f".{name}." in str(path)

    def write(handle: int, data: Any) -> int:
        if here(os.readlink(f"/proc/self/fd/{handle}")):
            originals["write"](handle, data[: len(data) // 2])
            die()
        return originals["write"](handle, data)

    def before(source: Any, target: Any) -> None:
        if here(source):
            die()
        originals["replace"](source, target)

    def after(source: Any, target: Any) -> None:
        originals["replace"](source, target)
        if here(source):
            die()

    changed = {"inside": ("write", write), "before": ("replace", before), "after": ("replace", after)}[step]
    setattr(os, *changed)
    run(trials)


POINTS = [
    *(
        (name, step, 1)
        for name in ("identity.json", "predictions.npz", "training_scores.npz", "epochs.jsonl")
        for step in ("inside", "after")
    ),
    *(("checkpoint.pt", step, time) for step in ("inside", "before", "after") for time in (1, 3)),
    *(("status.json", step, time) for step in ("inside", "before", "after") for time in (1, 2)),
    ("environment.json", "before", 2),
]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells files apart by /proc")
@pytest.mark.parametrize(("name", "step", "time"), often(POINTS, 8), ids=lambda value: str(value))
def test_killed_inside_a_write_and_around_its_rename(
    name: str, step: str, time: int, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    trial = grid(tmp_path)[0]
    _killed_and_continued((trial,), name, step, time, tmp_path, undisturbed)


ARTIFACT_POINTS = [
    ("checkpoint.pt", "inside", 2),
    ("checkpoint.pt", "before", 3),
    ("status.json", "after", 1),
    ("probabilities.npz", "inside", 1),
    ("probabilities.npz", "before", 1),
    ("probabilities.npz", "after", 1),
]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells files apart by /proc")
@pytest.mark.parametrize(("name", "step", "time"), often(ARTIFACT_POINTS, 2), ids=lambda value: str(value))
def test_killed_while_a_teacher_is_trained(
    name: str, step: str, time: int, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    _killed_and_continued((taught(tmp_path),), name, step, time, tmp_path, undisturbed)


def _killed_and_continued(
    trials: tuple[Trial, ...], name: str, step: str, time: int, out: Path, undisturbed: Undisturbed
) -> None:
    process = life(killed_at, trials, name, step, time)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    run(trials)
    found = everything(out)
    assert found == {place: undisturbed[place] for place in found}
    assert len(find_trials(out)) == len(trials)


@pytest.mark.parametrize(
    ("place", "what"), [(checkpoint, "remove"), (trainer, "run_epoch"), (checkpoint, "resume")], ids=str
)
def test_killed_between_files(place: Any, what: str, tmp_path: Path, undisturbed: Undisturbed) -> None:
    trial = grid(tmp_path)[0]

    def doomed() -> None:
        setattr(place, what, die)
        run((trial,))

    process = life(doomed)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert state_of(trial) in ("new", "interrupted")
    run((trial,))
    found = everything(tmp_path)
    assert found == {place: undisturbed[place] for place in found}


def test_a_suite_that_cannot_fail_would_be_no_suite(tmp_path: Path, undisturbed: Undisturbed) -> None:
    """Another seed, a lost file and half a file are told from an undisturbed run."""
    run(grid(tmp_path)[:1])
    (folder,) = find_trials(tmp_path)
    place = folder.relative_to(tmp_path).as_posix()
    remove_leftovers(folder)
    assert everything(tmp_path)[place] == undisturbed[place]
    other = next(key for key in undisturbed if key.startswith("toy-single@1/supervised") and key != place)
    assert undisturbed[other] != undisturbed[place]
    predictions = folder / "predictions.npz"
    whole = predictions.read_bytes()
    changes: tuple[Callable[[], object], ...] = (
        lambda: predictions.write_bytes(whole[:-1]),
        lambda: predictions.unlink(),
    )
    for change in changes:
        change()
        with pytest.raises(AssertionError):
            everything(tmp_path)
