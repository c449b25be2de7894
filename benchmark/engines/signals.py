"""Ctrl-C and SIGTERM: a run stops at the next checkpoint, and at once when it is asked again or told to hurry."""

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
    """A run that was asked to stop, and did; `exit_code` is what its process ends with."""

    def __init__(self, exit_code: int = 128 + signal.SIGINT) -> None:
        super().__init__()
        self.exit_code = exit_code


@dataclass
class Stop:
    """Whether a run was asked to stop.

    Attributes:
        grace: seconds an epoch may still take after SIGTERM.
        signum: the signal that asked first, or 0.
    """

    grace: float = GRACE_SECONDS
    signum: int = 0

    def __call__(self) -> bool:
        """Whether to stop at the next checkpoint."""
        return self.signum != 0

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as shells have it."""
        return 128 + (self.signum or signal.SIGINT)

    def ask(self, signum: int, frame: FrameType | None) -> None:
        """Handles a signal: the first asks, the second ends the run here and now, and so does the end of the grace."""
        if self.signum:
            raise KeyboardInterrupt
        self.signum = signum
        told = "stopping at the next checkpoint; press Ctrl-C again to stop at once"
        if signum == signal.SIGTERM:
            told = f"SIGTERM: stopping at the next checkpoint, in {self.grace:g} seconds at the latest"
            signal.setitimer(signal.ITIMER_REAL, max(self.grace, 1e-3))
        # a handler may have come in the middle of a buffered write
        os.write(_STDERR, f"\n{told}\n".encode())


@contextlib.contextmanager
def stoppable(grace: float = GRACE_SECONDS) -> Iterator[Stop]:
    """Lets signals ask a run to stop while the block runs; elsewhere than in the main thread nothing changes.

    Raises:
        Stopped: for every KeyboardInterrupt, with the exit code of the signal that asked.
    """
    stop = Stop(grace)
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield stop
        return
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = {number: signal.signal(number, stop.ask) for number in watched}
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
    """Holds Ctrl-C and SIGTERM back while child processes start, which inherit it: stopping is the parent's."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
