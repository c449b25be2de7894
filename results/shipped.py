"""The reference leaderboard that ships with the package: `results/reference/*.zip`, a bundle a protocol and seed."""

from __future__ import annotations

from pathlib import Path

from .bundle import expanded
from .cache import cache_folder, load_cached
from .records import Record
from .store import find_trials

FOLDER = Path(__file__).parent / "reference"


def shipped_records(folder: Path = FOLDER) -> tuple[list[Record], list[str]]:
    """The records of every bundle in a folder, and a message for each damaged trial; none for no bundle."""
    records: list[Record] = []
    damaged: list[str] = []
    for bundle in sorted(folder.glob("*.zip")):
        found, wrong = load_cached(expanded(bundle, cache_folder("reference")))
        records += found
        damaged += wrong
    return records, damaged


def records_or_shipped(runs: Path) -> tuple[list[Record], list[str], str]:
    """The records below an output folder; where it holds no trial, those that ship.

    Returns:
        Records, a message for each damaged trial, and what to tell the user ("" for the user's own).
    """
    if find_trials(runs):
        return *load_cached(runs), ""
    records, damaged = shipped_records()
    told = f"no trials in {runs}: this is the reference leaderboard that ships with fernoise-bench" if records else ""
    return records, damaged, told
