"""Progress of a run: in a terminal one line that is updated in place; otherwise a line for each finished trial."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from ..protocols.activity import Listener, listener
from ..protocols.errors import printable
from .trial import Trial

REDRAW_SECONDS = 0.1
# What is shown of a running trial: the first choice whose line fits.
_CHOICES = (
    ("trial", "doing", "epoch", "loss", "speed"), ("trial", "doing", "epoch", "loss"), ("trial", "doing", "epoch"),
    ("trial",), ("method", "epoch"), ("method",),
)  # fmt: skip


@dataclass
class Progress:
    """Shows the events of a run's trials: `total` of them, each of so many epochs."""

    total: int
    epochs: int
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    done: int = 0
    _running: dict[str, tuple[Trial, Mapping[str, Any]]] = field(default_factory=dict)
    _epochs_run: int = 0
    _began: float = field(default_factory=time.monotonic)
    _drawn: float = 0.0
    _tell: Listener = field(default_factory=listener)  # of what goes on, where there is no terminal to show it in

    def __call__(self, trial: Trial, event: Mapping[str, Any]) -> None:
        """Takes an event of a trial."""
        if "warning" in event:
            self._print(f"! {trial.label}: {printable(event['warning'])}")
        elif "status" in event:
            self._finish(trial, event["status"])
        elif "doing" in event:
            self._doing(trial, event["doing"])
        else:
            if not self.done:
                self._say(f"starting {trial.label}" if "started" in event else "")
            self._epochs_run += "epoch" in event and "teacher" not in event
            self._running[trial.id] = (trial, event)
        self._draw()

    def close(self) -> None:
        """Clears the updated line."""
        self._say("")
        _redraw(self.stream, ())

    def _say(self, what: str) -> None:
        if not self.stream.isatty():
            self._tell(what)

    def _doing(self, trial: Trial, what: str) -> None:
        _, event = self._running.get(trial.id, (trial, {}))
        self._running[trial.id] = (trial, {**event, "doing": what})
        self._say(what and f"{trial.label}: {what}")
        self._drawn = 0.0  # it may be long until something else is drawn

    def _finish(self, trial: Trial, status: Mapping[str, Any]) -> None:
        self._running.pop(trial.id, None)
        self.done += 1
        done = status["state"] == "done"
        result = f"done in {spent(status)}" if done else f"{status['state']}: {status['reason']}"
        self._print(f"{' ' if done else '!'} {self.done}/{self.total}  {trial.label}  {result}")

    def _print(self, line: str) -> None:
        self.close()
        self.stream.write(line + "\n")
        self.stream.flush()

    def _draw(self) -> None:
        now = time.monotonic()
        if now - self._drawn < REDRAW_SECONDS:
            return
        self._drawn = now
        _redraw(self.stream, self.lines(now))

    def line(self, now: float) -> str:
        """Trials done, time left, and the epoch, loss and images per second of each running trial."""
        return next(self.lines(now))

    def lines(self, now: float) -> Iterator[str]:
        """The line, then shorter ones: with less of each trial, fewer trials, none, and without the time left."""
        reached = sum(event.get("epoch", 0) for _, event in self._running.values() if "teacher" not in event)
        left = (self.total - self.done) * self.epochs - reached
        rate = self._epochs_run / max(now - self._began, 1e-9)
        eta = f"ETA {duration(left / rate)}" if self._epochs_run else "ETA …"
        head = [f"{self.done}/{self.total} trials", eta]
        running = [_fields(trial, event) for trial, event in self._running.values()]
        for count in range(len(running), 0, -1):
            others = [f"+{len(running) - count} more"] if count < len(running) else []
            for chosen in _CHOICES:
                told = (" ".join(fields[name] for name in chosen if name in fields) for fields in running[:count])
                yield " | ".join([*head, *told, *others])
        yield " | ".join(head)
        yield head[0]


def _fields(trial: Trial, event: Mapping[str, Any]) -> dict[str, str]:
    """What is known of a running trial, by the names in _CHOICES."""
    teacher = event.get("teacher")
    found = {"trial": " · ".join(filter(None, (trial.label, teacher))), "method": teacher or trial.method.name}
    if event.get("doing"):
        found["doing"] = event["doing"]
    elif "epoch" in event:
        loss = event["loss"]
        found["epoch"] = f"epoch {event['epoch']}/{event['epochs']}"
        found["loss"] = f"loss {loss:.3f}" if loss is not None else "no update"
        found["speed"] = f"{event['images_per_second']:.0f} img/s"
    return found


@dataclass
class Counter:
    """Shows how much of a long computation is done, its speed and the time left; writes to terminals only."""

    unit: str
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    _first: int | None = None
    _began: float = field(default_factory=time.monotonic)
    _drawn: float = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Takes how many of all are done."""
        now = time.monotonic()
        if self._first is None:
            self._first, self._began = done, now
        if now - self._drawn < REDRAW_SECONDS and done < total:
            return
        self._drawn = now
        speed = (done - self._first) / max(now - self._began, 1e-9)
        eta = f"ETA {duration((total - done) / speed)}" if speed else "ETA …"
        count = f"{done:,}/{total:,} {self.unit}"
        _redraw(self.stream, (f"{count} | {speed:.0f} a second | {eta}", f"{count} | {eta}", count))

    def close(self) -> None:
        """Clears the updated line."""
        _redraw(self.stream, ())


def _redraw(stream: TextIO, lines: Iterable[str]) -> None:
    """Replaces the updated line by the first that fits the terminal; does nothing where the stream is no terminal."""
    if stream.isatty():
        width = shutil.get_terminal_size().columns
        stream.write("\r\x1b[K" + next((line for line in lines if len(line) < width), ""))
        stream.flush()


def spent(status: Mapping[str, Any]) -> str:
    """The seconds of a trial as text, and those by the clock where they are others."""
    seconds, wall = duration(status["seconds"]), status.get("wall_seconds")
    return seconds if wall is None or duration(wall) == seconds else f"{seconds} ({duration(wall)} by the clock)"


def duration(seconds: float | None) -> str:
    """Seconds as text, such as 4.2 s, 42 s, 3 min 5 s or 2 h 10 min; "?" for None."""
    if seconds is None:
        return "?"
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def counted(number: int, noun: str) -> str:
    """A number of things: "1 trial", "1,204 trials"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
