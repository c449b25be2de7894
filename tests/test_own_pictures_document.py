"""What docs/your-data.md says of a user's own pictures: its walk-through runs, its keys are those that are read."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fernoise_bench.protocols.catalog import protocol_of_file
from fernoise_bench.protocols.own_data.definition import KEYS

from .test_documents import CODE, COMMAND, FENCE, ROOT, rows_of, section


def shell_blocks(heading: str) -> list[list[str]]:
    """The lines of each block of shell of a section."""
    blocks = FENCE.findall(section("docs/your-data.md", heading))
    return [block.splitlines() for language, block in blocks if language == "sh"]


@pytest.mark.slow
@pytest.mark.weekly
def test_the_walk_through_of_own_pictures_runs(tmp_path: Path) -> None:
    """In an empty folder, beside which the documents lie; every line, in order."""
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    (lines,) = shell_blocks("Your own pictures")
    (more,) = shell_blocks("Which labels are wrong")
    for line in lines + more:
        program, *words = shlex.split(line, comments=True)
        command = [sys.executable, *words] if program == "python" else [sys.executable, "-c", COMMAND, *words]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0, f"{line}\n{result.stdout}{result.stderr}"
        if line == lines[-1]:
            assert "mine@1" in result.stdout
    assert (tmp_path / "suspects.html").is_file()


def test_the_keys_of_a_protocol_file_are_those_that_are_read(tmp_path: Path) -> None:
    text = section("docs/your-data.md", "Your own pictures")
    (example,) = (block for language, block in FENCE.findall(text) if language == "toml")
    (tmp_path / "mine.toml").write_text(example)
    assert protocol_of_file(tmp_path / "mine.toml").small.recipe.batch_size == 64
    told = {key for row in rows_of(text) for key in CODE.findall(row[0])}
    inside = ("protocol", "data", "pictures", "split", "noise")
    assert told == {"recipe", "profile", *(f"{part}.{key}" for part in inside for key in KEYS[part])}
