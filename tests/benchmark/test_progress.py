"""Progress: what is done, what runs, and how long the rest will take."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fernoise_bench.benchmark import progress as module
from fernoise_bench.benchmark.progress import Counter, Progress, duration
from fernoise_bench.benchmark.trial import Trial

from ..toy import toy_trial

EPOCHS = 4
SEED_0, SEED_1 = "supervised · seed 0", "supervised · seed 1"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def trials(tmp_path: Path) -> list[Trial]:
    return [toy_trial("supervised", tmp_path, kind="single", seed=seed) for seed in range(4)]


def epoch(number: int, loss: float | None = 0.5) -> Mapping[str, Any]:
    return {"epoch": number, "epochs": EPOCHS, "loss": loss, "images_per_second": 123.4}


def done(seconds: float = 3.0) -> Mapping[str, Any]:
    return {"status": {"state": "done", "reason": None, "seconds": seconds}}


def ended(state: str, reason: str) -> Mapping[str, Any]:
    return {"status": {"state": state, "reason": reason, "seconds": None}}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "?"), (0, "0.0 s"), (4.25, "4.2 s"), (9.99, "10.0 s"), (42.4, "42 s"), (59.4, "59 s"), (60, "1 min 0 s"),
        (125.2, "2 min 5 s"), (3599.9, "1 h 0 min"), (7800, "2 h 10 min"), (400_000, "111 h 6 min"),
    ],
)  # fmt: skip
def test_durations_are_said_as_people_say_them(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_the_line_has_trials_epoch_loss_and_speed(trials: list[Trial]) -> None:
    progress = Progress(len(trials), EPOCHS, io.StringIO())
    assert progress.line(progress._began + 1) == "0/4 trials | ETA …"
    progress(trials[0], {"started": True})
    assert progress.line(progress._began + 1) == "0/4 trials | ETA … | supervised · seed 0"
    progress(trials[0], epoch(1))
    expected = "0/4 trials | ETA 30 s | supervised · seed 0 epoch 1/4 loss 0.500 123 img/s"
    assert progress.line(progress._began + 2) == expected
    progress(trials[0], epoch(2, loss=None))
    assert "epoch 2/4 no update 123 img/s" in progress.line(progress._began + 2)


def test_every_running_trial_is_shown(trials: list[Trial]) -> None:
    progress = Progress(len(trials), EPOCHS, io.StringIO())
    progress(trials[0], epoch(1))
    progress(trials[1], epoch(3))
    line = progress.line(progress._began + 1)
    assert "seed 0 epoch 1/4" in line
    assert "seed 1 epoch 3/4" in line
    progress(trials[1], done())
    line = progress.line(progress._began + 1)
    assert line.startswith("1/4 trials")
    assert "seed 1" not in line


def eta(progress: Progress, seconds: float) -> str:
    """The ETA of the line after so many seconds."""
    return progress.line(progress._began + seconds).split(" | ")[1]


def test_the_eta_counts_the_epochs_that_are_left(trials: list[Trial]) -> None:
    progress = Progress(len(trials), EPOCHS, io.StringIO())
    for number in range(1, EPOCHS + 1):
        progress(trials[0], epoch(number))
    progress(trials[0], done())
    progress(trials[1], epoch(1))
    progress(trials[1], epoch(2))
    assert eta(progress, 60) == "ETA 1 min 40 s"  # 6 epochs in 60 s, 10 of 16 left


def test_the_eta_forgets_the_epochs_of_trials_that_ended_early_or_started_late(trials: list[Trial]) -> None:
    """One diverged at once, one was continued at its last epoch: two trials of four epochs are left."""
    progress = Progress(len(trials), EPOCHS, io.StringIO())
    progress(trials[0], ended("diverged", "loss not finite at epoch 0, step 1"))
    progress(trials[1], epoch(EPOCHS))
    progress(trials[1], done())
    assert eta(progress, 5) == "ETA 40 s"  # 1 epoch in 5 s, 8 left
    progress(trials[2], epoch(3))
    assert eta(progress, 10) == "ETA 25 s"  # 2 epochs in 10 s, 5 left


def test_a_pipe_gets_a_line_a_trial_and_nothing_else(trials: list[Trial]) -> None:
    stream = io.StringIO()
    progress = Progress(len(trials), EPOCHS, stream)
    progress(trials[0], {"started": True})
    progress(trials[0], epoch(1))
    progress(trials[0], done(125))
    progress(trials[1], {"warning": "checkpoint.pt: damaged checkpoint (cut); the trial starts again"})
    progress(trials[1], ended("diverged", "loss not finite at epoch 0, step 1"))
    progress(trials[2], ended("failed", "ValueError: no"))
    progress.close()
    assert stream.getvalue().splitlines() == [
        "  1/4  supervised · seed 0  done in 2 min 5 s",
        "! supervised · seed 1: checkpoint.pt: damaged checkpoint (cut); the trial starts again",
        "! 2/4  supervised · seed 1  diverged: loss not finite at epoch 0, step 1",
        "! 3/4  supervised · seed 2  failed: ValueError: no",
    ]


def test_a_terminal_has_one_live_line_no_wider_than_itself(
    trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(module, "REDRAW_SECONDS", 0.0)
    stream = Terminal()
    progress = Progress(len(trials), EPOCHS, stream)
    progress(trials[0], {"started": True})
    progress(trials[0], epoch(1))
    drawn = stream.getvalue().split("\r\x1b[K")
    assert drawn[0] == ""
    assert len(drawn) == 3
    assert all("\n" not in line and len(line) < 40 for line in drawn)
    assert drawn[2].startswith("0/4 trials | ETA ")
    progress(trials[0], done())
    assert "\r\x1b[K  1/4  supervised · seed 0  done in 3.0 s\n" in stream.getvalue()
    progress.close()
    assert stream.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (128, f"{SEED_0} epoch 1/4 loss 0.500 123 img/s | {SEED_1} epoch 1/4 loss 0.500 123 img/s"),
        (120, f"{SEED_0} epoch 1/4 loss 0.500 | {SEED_1} epoch 1/4 loss 0.500"),
        (100, f"{SEED_0} epoch 1/4 | {SEED_1} epoch 1/4"),
        (80, f"{SEED_0} | {SEED_1}"),
        (60, "supervised | supervised"),
        (46, "supervised | +1 more"),
        (30, ""),
        (10, None),
    ],
)
def test_a_narrow_terminal_drops_whole_fields(
    width: int, line: str | None, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(module, "REDRAW_SECONDS", 0.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: 100.0)
    stream = Terminal()
    progress = Progress(len(trials), EPOCHS, stream, _began=98.0)
    for trial in trials[:2]:
        progress(trial, epoch(1))
    drawn = stream.getvalue().split("\r\x1b[K")[-1]
    head = "0/4 trials | ETA 14 s"
    assert drawn == ("" if line is None else f"{head} | {line}" if line else head)


def test_a_narrow_terminal_gets_a_shorter_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REDRAW_SECONDS", 0.0)
    for width, line in (
        (60, "50/100 pictures | 0 a second | ETA …"),
        (30, "50/100 pictures | ETA …"),
        (20, "50/100 pictures"),
    ):
        monkeypatch.setenv("COLUMNS", str(width))
        stream = Terminal()
        Counter("pictures", stream)(50, 100)
        assert stream.getvalue() == f"\r\x1b[K{line}"


def test_a_terminal_is_not_redrawn_more_often_than_it_is_read(trials: list[Trial]) -> None:
    stream = Terminal()
    progress = Progress(len(trials), EPOCHS, stream)
    for number in range(1, 200):
        progress(trials[0], epoch(number % 4 + 1))
    assert stream.getvalue().count("img/s") < 20


def test_a_counter_says_done_speed_and_eta_in_a_terminal_and_nothing_when_piped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 10.0, 20.0])
    monkeypatch.setattr("fernoise_bench.benchmark.progress.time.monotonic", lambda: next(clock))

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    counter = Counter("pictures", terminal, _began=0.0)
    counter(100, 400)  # continued: 100 were done before
    counter(200, 400)
    assert terminal.getvalue().endswith("200/400 pictures | 10 a second | ETA 20 s")
    pipe = io.StringIO()
    silent = Counter("pictures", pipe, _began=0.0)
    silent(1, 2)
    silent.close()
    assert pipe.getvalue() == ""
