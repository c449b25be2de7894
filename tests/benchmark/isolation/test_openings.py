"""What the conformance suite sees of files, processes and connections."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fernoise_bench.benchmark.isolation.openings import opened


def _ended(pid: int) -> None:
    os.waitpid(pid, 0)


def _fork(run: Callable[[], object]) -> None:
    pid = os.fork()
    if not pid:
        try:
            run()
        finally:
            os._exit(0)
    _ended(pid)


def _socket() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))


WAYS: dict[str, Callable[[Path], object]] = {
    "open": lambda place: place.read_text(),
    "os.scandir": lambda place: list(os.scandir(place.parent)),
    "os.system": lambda place: os.system(f"cat {place} > {os.devnull} # a.py"),
    "os.posix_spawn": lambda place: _ended(os.posix_spawn("/bin/true", ["true"], {})),
    "os.fork": lambda place: _fork(lambda: None),
    "subprocess.Popen": lambda place: subprocess.run([sys.executable, "-S", "-c", ""], check=True),
    "sqlite3.connect": lambda place: sqlite3.connect(":memory:").close(),
    "socket.getaddrinfo": lambda place: socket.getaddrinfo("127.0.0.1", 80),
    "socket.bind": lambda place: _socket(),
}


@pytest.mark.parametrize("event", WAYS)
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("in_a_thread", [False, True], ids=["here", "in a thread"])
def test_every_way_out_is_seen(event: str, in_a_thread: bool, tmp_path: Path) -> None:
    place = tmp_path / "labels.csv"
    place.write_text("1")
    thread = threading.Thread(target=WAYS[event], args=(place,))
    with opened() as seen:
        if in_a_thread:
            thread.start()
            thread.join()
        else:
            WAYS[event](place)
    assert [entry for entry in seen if entry.what.split()[0] == event]


def test_the_line_that_opened_it_is_kept(tmp_path: Path) -> None:
    with opened() as seen:
        list(tmp_path.iterdir())
    line = test_the_line_that_opened_it_is_kept.__code__.co_firstlineno + 2
    assert (__file__, line) in seen[0].calls


def test_what_belongs_to_the_packages_is_not_counted() -> None:
    with opened() as seen:
        Path(opened.__code__.co_filename).read_bytes()
    assert not seen


def test_a_thread_that_was_there_before_is_not_blamed_on_the_block(tmp_path: Path) -> None:
    go = threading.Event()

    def look() -> None:
        go.wait()
        list(tmp_path.iterdir())

    other = threading.Thread(target=look)
    other.start()
    with opened() as seen:
        go.set()
        other.join()
    assert not seen


def test_a_block_within_another_is_seen_by_both(tmp_path: Path) -> None:
    """A method that is imported while the conformance suite watches its training."""
    file = tmp_path / "labels.csv"
    file.touch()
    with opened() as outer:
        with opened() as inner:
            file.read_text()
        file.read_text()
    assert len(inner) == 1
    assert len(outer) == 2


def test_a_thread_with_the_number_of_one_that_has_ended_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.touch()
    go = threading.Event()
    for _ in range(20):  # numbers are given again as soon as they are free
        go.clear()
        before = threading.Thread(target=go.wait)
        before.start()
        with opened() as seen:
            go.set()
            before.join()
            later = threading.Thread(target=file.read_text)
            later.start()
            later.join()
        assert len(seen) == 1
