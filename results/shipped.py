"""The reference leaderboard that ships with the package: `results/reference/*.zip`, a bundle a protocol and seed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .bundle import expanded, write_bundle
from .cache import cache_folder, load_cached
from .records import Record
from .store import find_trials, read_json

FOLDER = Path(__file__).parent / "reference"


def shipped_records(folder: Path | None = None) -> tuple[list[Record], list[str]]:
    """The records of every bundle in a folder (that of the package), and a message for each damaged trial."""
    records: list[Record] = []
    damaged: list[str] = []
    for bundle in sorted((folder or FOLDER).glob("*.zip")):
        found, wrong = load_cached(expanded(bundle, cache_folder("reference")))
        records += found
        damaged += wrong
    return records, damaged


def bundle_runs(runs: Path, folder: Path = FOLDER) -> list[Path]:
    """Writes the finished trials of an output folder as the bundles that ship, one a protocol and seed.

    Returns:
        The bundles written.

    Raises:
        BadInput: a trial is damaged.
    """
    groups: dict[str, list[Path]] = {}
    for trial in find_trials(runs):
        if (trial / "status.json").is_file() and read_json(trial / "status.json")["state"] == "done":
            identity = read_json(trial / "identity.json")
            groups.setdefault(_bundle_name(identity), []).append(trial)
    folder.mkdir(exist_ok=True)
    for name, trials in groups.items():
        write_bundle(runs, trials, folder / f"{name}.zip")
    return [folder / f"{name}.zip" for name in groups]


def _bundle_name(identity: Mapping[str, Any]) -> str:
    """Protocol, profile, faces unless real ones, seed."""
    faces = () if identity["source"] == "real" else (identity["source"],)
    name = "-".join([identity["protocol"]["name"], identity["profile"], *faces, f"seed{identity['seed']}"])
    return name.replace(":", ".")


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
