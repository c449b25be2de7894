"""Shared by all tests: one thread, so that results do not depend on the machine, real faces, a browser."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import Phase, settings

from fernoise_bench.benchmark.cli.options import waiting
from fernoise_bench.results.records import reference_leaderboard as shipped
from fernoise_bench.results.records.record import Record

torch.set_num_threads(1)

# Thousands of runs, one a mutant, of which most fail: few examples, the same each time, and none is made smaller.
settings.register_profile(
    "mutation",
    max_examples=20,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
)

# The same examples each time, or a change would be blamed for what chance has found; others by
# `pytest --hypothesis-profile=default`.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


REFERENCE = shipped.FOLDER  # where it is, whatever a test puts in its place


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Record], list[str]]:
    """The records that ship, expanded into a cache of their own, and a message for each damaged one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("reference")))
        return shipped.shipped_records(REFERENCE)


@pytest.fixture(autouse=True)
def _nothing_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command says of an empty folder does not depend on the results that happen to ship."""
    monkeypatch.setattr(shipped, "FOLDER", Path("no-reference"))


@pytest.fixture(scope="session")
def _unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the results that ship are unpacked, once for all commands."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def what_ships(_nothing_ships: None, _unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The results that ship, for a command in a folder without results."""
    monkeypatch.setattr(shipped, "FOLDER", REFERENCE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(_unpacked))


@pytest.fixture(autouse=True)
def _no_command_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command says does not depend on how busy the machine is."""
    monkeypatch.setattr(waiting, "PATIENCE", 1e6)


@pytest.fixture
def data_root() -> Path:
    """The folder of real data sets; skips, saying so, where there is none."""
    root = Path(os.environ.get("FERNOISE_DATA", ""))
    if "FERNOISE_DATA" not in os.environ or not (root / "ferplus").is_dir():
        pytest.skip("the real FER2013 and FER+ files are not under FERNOISE_DATA")
    return root


@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if path is None:
        pytest.skip("no chromium here: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
