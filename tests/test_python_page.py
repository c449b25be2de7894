"""The page on Python: its examples run, and it names every function and column."""

from __future__ import annotations

from pathlib import Path

import pytest

import fernoise_bench as fb
from fernoise_bench.results.records import reference_leaderboard as shipped

from .conftest import REFERENCE
from .test_documents import CODE, FENCE, rows_of, section, text_of


@pytest.mark.slow
def test_the_examples_of_the_python_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One after the other, in an empty folder; every name of the interface is in one of them, or in a sentence."""
    monkeypatch.setattr(shipped, "FOLDER", REFERENCE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for language, block in FENCE.findall(text_of("docs/python.md")):
        assert language == "python"
        exec(block, names)
        assert capsys.readouterr().out or "import" in block
    functions = [name for name in fb.__all__ if name.islower()]
    assert all(f"fb.{name}" in text_of("docs/python.md") for name in functions if name != "__version__")


def test_the_papers_in_lists_are_those_of_the_methods_table() -> None:
    rows = {cells[0].strip("`"): cells for cells in rows_of(section("README.md", "Methods"))}
    for method in fb.list_methods():
        _, paper, venue, year, *_ = rows[method.name]
        listed = (f"[{method.paper}]({method.url})", method.venue, str(method.year))
        assert (paper, venue, year) == listed if method.paper else venue == "–"


def test_the_page_on_python_has_every_column() -> None:
    columns = fb.Records([]).to_frame().columns
    shown = {
        name for row in rows_of(section("docs/python.md", "Records as a data frame")) for name in CODE.findall(row[0])
    }
    assert shown == set(columns)
