"""What an undisturbed run leaves, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from .workshop import everything, grid, run


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Digests of the grid's trials and teachers after a run that nothing happened to."""
    out: Path = tmp_path_factory.mktemp("undisturbed")
    run(grid(out))
    return everything(out)
