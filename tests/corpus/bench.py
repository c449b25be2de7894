"""Runs a command on a damaged input and says what came of it."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fernoise_bench.benchmark.cli import main
from fernoise_bench.benchmark.training.trainer import forget_peak_memory, peak_memory_mb

from .damages import Damage

SECONDS = 20.0
MEGABYTES = 1024.0


@dataclass(frozen=True)
class Outcome:
    """What a command did.

    Attributes:
        code: exit code.
        out, err: what it printed.
        seconds: how long it took.
        megabytes: the most memory it took beyond what the process held before, None where that is not known.
    """

    code: int
    out: str
    err: str
    seconds: float
    megabytes: float | None

    @property
    def refused(self) -> bool:
        """Exit code 2 and one clear line."""
        line = self.err.rstrip("\n")
        return self.code == 2 and line.startswith("fernoise-bench: ") and line.isprintable() and len(line) < 2000

    @property
    def ordinary(self) -> bool:
        """Quick, small, and nothing that steers a terminal."""
        printed = (self.out + self.err).replace("\n", "").replace("\t", "")
        return self.seconds < SECONDS and (self.megabytes or 0) < MEGABYTES and printed.isprintable()


def command(*typed: str) -> Outcome:
    """Runs a command in this process; an exception that is no exit goes through, since it is a crash."""
    import torch

    device = torch.device("cpu")
    out, err = io.StringIO(), io.StringIO()
    forget_peak_memory(device)
    before = peak_memory_mb(device)
    began = time.monotonic()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(typed, prog_name="fernoise-bench")
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
    seconds, peak = time.monotonic() - began, peak_memory_mb(device)
    grown = None if peak is None or before is None else peak - before
    return Outcome(code, out.getvalue(), err.getvalue(), seconds, grown)


@contextlib.contextmanager
def damaged(file: Path, damage: Damage) -> Iterator[None]:
    """Damages a file for a while."""
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    try:
        yield
    finally:
        file.write_bytes(whole)


@contextlib.contextmanager
def instead(file: Path, make: object) -> Iterator[None]:
    """Puts something else in the place of a file for a while; `make` is called with the path."""
    aside = file.with_name(f"{file.name}.aside")
    file.rename(aside)
    try:
        assert callable(make)
        make(file)
        yield
    finally:
        if file.is_dir() and not file.is_symlink():
            file.rmdir()
        else:
            file.unlink(missing_ok=True)
        aside.rename(file)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
