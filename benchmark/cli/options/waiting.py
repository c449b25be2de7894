"""Says what goes on where nothing is printed for a second."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from contextlib import suppress
from typing import TextIO

PATIENCE = 1.0  # seconds


class Waiting:
    """A listener of `protocols.activity`, on standard error: one updated line in a terminal, a line each elsewhere.

    A context manager; what is shown in a terminal is cleared when something else goes on, and at the end.
    """

    def __init__(self, stream: TextIO | None = None, patience: float | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._patience = PATIENCE if patience is None else patience
        self._changed = threading.Condition()
        self._what = ""
        self._began = 0.0
        self._told: set[str] = set()
        self._shown = self._ended = False

    def __call__(self, what: str) -> None:
        """Takes what goes on now; "" for nothing that takes time."""
        with self._changed:
            self._clear()
            self._what, self._began = what, time.monotonic()
            self._changed.notify()

    def __enter__(self) -> Waiting:
        self._thread = threading.Thread(target=self._watch, name="waiting", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._clear()
            self._what, self._ended = "", True
            self._changed.notify()
        self._thread.join()

    def _watch(self) -> None:
        """Shows what goes on whenever it has gone on for long enough."""
        with self._changed:
            while not self._ended:
                passed = time.monotonic() - self._began
                if self._what and passed >= self._patience:
                    self._show(passed)
                    passed = 0.0
                self._changed.wait(self._patience - passed if self._what else None)

    def _show(self, seconds: float) -> None:
        with suppress(OSError, ValueError):  # closed meanwhile
            if self._stream.isatty():
                width = shutil.get_terminal_size().columns
                forms = (f"{self._what} … {seconds:.0f} s", self._what)
                self._stream.write("\r\x1b[K" + next((form for form in forms if len(form) < width), ""))
                self._shown = True
            else:
                if self._what not in self._told:
                    self._stream.write(f"  {self._what} …\n")
                self._told.add(self._what)
                self._what = ""
            self._stream.flush()

    def _clear(self) -> None:
        if self._shown:
            with suppress(OSError, ValueError):
                self._stream.write("\r\x1b[K")
                self._stream.flush()
            self._shown = False
