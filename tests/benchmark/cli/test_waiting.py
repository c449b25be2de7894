"""A long silence is explained: what goes on, once in a pipe, in one updated line in a terminal."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from fernoise_bench.benchmark.cli.options.waiting import Waiting
from fernoise_bench.benchmark.progress import Progress
from fernoise_bench.protocols.activity import doing, heard

from ...toy import toy_trial


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def until(stream: io.StringIO, text: str) -> None:
    """Waits for a text to be printed."""
    end = time.monotonic() + 10
    while text not in stream.getvalue():
        assert time.monotonic() < end, stream.getvalue()
        time.sleep(0.005)


def test_what_takes_long_is_told_once_and_what_does_not_is_not() -> None:
    stream = io.StringIO()
    with Waiting(stream, patience=0.05) as waiting, heard(waiting):
        with doing("reading labels"):
            pass
        for _ in range(2):
            with doing("reading pictures"):
                until(stream, "pictures")
    assert stream.getvalue() == "  reading pictures …\n"


def test_what_goes_on_around_it_is_told_again_when_it_has_ended() -> None:
    said: list[str] = []
    with heard(said.append), doing("reading"), doing("reading pictures"):
        pass
    assert said == ["reading", "reading pictures", "reading", ""]
    with doing("unheard"):
        pass


def test_a_terminal_has_one_line_that_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    with Waiting(stream, patience=0.02) as waiting, heard(waiting), doing("reading pictures"):
        until(stream, "reading pictures … 0 s\r")
    assert set(stream.getvalue().split("\r\x1b[K")) == {"", "reading pictures … 0 s"}
    assert stream.getvalue().endswith("\r\x1b[K")


def test_a_narrow_terminal_has_the_words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "18")
    stream = Terminal()
    with Waiting(stream, patience=0.02) as waiting, heard(waiting), doing("reading pictures"):
        until(stream, "pictures")
    assert "…" not in stream.getvalue()


def test_a_trial_says_what_it_waits_for(tmp_path: Path) -> None:
    trial, said = toy_trial("supervised", tmp_path), []
    with heard(said.append):
        piped, shown = Progress(1, 4, io.StringIO()), Progress(1, 4, Terminal())
    for progress in (piped, shown):
        progress(trial, {"started": True})
        progress(trial, {"doing": "reading fer2013.csv"})
        assert progress.line(progress._began).endswith("supervised · seed 0 reading fer2013.csv")
        progress(trial, {"doing": ""})
        assert progress.line(progress._began).endswith("supervised · seed 0")
    assert said == ["starting supervised · seed 0", "supervised · seed 0: reading fer2013.csv", ""]
