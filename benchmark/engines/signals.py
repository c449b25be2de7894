"""Stops a run on Ctrl-C and SIGTERM: at the next checkpoint, or at once on a second signal or after a grace period."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

GRACE_SECONDS = 10.0
_STDERR = 2


class Stopped(KeyboardInterrupt):
    """Raised when a run has stopped as asked; `exit_code` is that of its process."""

    def __init__(self, exit_code: int = 128 + signal.SIGINT) -> None:
        super().__init__()
        self.exit_code = exit_code


@dataclass
class Stop:
    """Whether a run was asked to stop, and its signal handler.

    Attributes:
        grace: seconds that the running epoch may still take after SIGTERM.
        signum: number of the first signal, or 0.
    """

    grace: float = GRACE_SECONDS
    signum: int = 0

    def __call__(self) -> bool:
        """Whether to stop at the next checkpoint."""
        return self.signum != 0

    @property
    def exit_code(self) -> int:
        """128 plus the signal's number, as shells do it."""
        return 128 + (self.signum or signal.SIGINT)

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Handles a signal: the first asks to stop; a second one, or the end of the grace period, stops at once."""
        if self.signum:
            raise KeyboardInterrupt
        self.signum = signum
        message = "stopping at the next checkpoint; press Ctrl-C again to stop at once"
        if signum == signal.SIGTERM:
            message = f"SIGTERM: stopping at the next checkpoint, in {self.grace:g} seconds at the latest"
            signal.setitimer(signal.ITIMER_REAL, max(self.grace, 1e-3))
        # not sys.stderr: the signal may have interrupted a buffered write
        os.write(_STDERR, f"\n{message}\n".encode())


@contextlib.contextmanager
def stoppable(grace: float = GRACE_SECONDS) -> Iterator[Stop]:
    """While the block runs, signals ask the run to stop. Does nothing outside the main thread and on Windows.

    Raises:
        Stopped: for every KeyboardInterrupt in the block, with the exit code of the first signal.
    """
    stop = Stop(grace)
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield stop
        return
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = {number: signal.signal(number, stop.handle) for number in watched}
    try:
        yield stop
    except KeyboardInterrupt as error:
        raise Stopped(stop.exit_code) from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def signals_blocked() -> Iterator[None]:
    """Blocks Ctrl-C and SIGTERM while child processes are started: they inherit this, and only the parent stops."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
