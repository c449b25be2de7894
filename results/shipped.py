"""The reference leaderboard that ships with the package: `results/reference/*.zip`, a bundle a protocol and seed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .bundle import expanded
from .records import Record, load_records
from .store import find_trials

FOLDER = Path(__file__).parent / "reference"


def shipped_records(folder: Path = FOLDER) -> tuple[list[Record], list[str]]:
    """The records of every bundle in a folder, and a message for each damaged trial; none for no bundle."""
    records: list[Record] = []
    damaged: list[str] = []
    for bundle in sorted(folder.glob("*.zip")):
        found, wrong = load_records(expanded(bundle, _cache()))
        records += found
        damaged += wrong
    return records, damaged


def records_or_shipped(runs: Path) -> tuple[list[Record], list[str], str]:
    """The records below an output folder; where it holds no trial, those that ship.

    Returns:
        Records, a message for each damaged trial, and what to tell the user ("" for the user's own).
    """
    if find_trials(runs):
        return *load_records(runs), ""
    records, damaged = shipped_records()
    told = f"no trials in {runs}: this is the reference leaderboard that ships with fernoise-bench" if records else ""
    return records, damaged, told


def _cache() -> Path:
    """A folder of the user's own that may be deleted at any time."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fernoise-bench" / "reference"
    try:
        base.mkdir(parents=True, exist_ok=True)
        if os.access(base, os.W_OK):
            return base
    except OSError:
        pass
    private = Path(tempfile.gettempdir()) / f"fernoise-bench-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    private.mkdir(mode=0o700, exist_ok=True)
    return private
