"""The marks of a paper's rows: oracle knowledge, and methods still rising."""

from __future__ import annotations

from dataclasses import replace

from fernoise_bench.results.papers.tables import paper_table
from fernoise_bench.results.records.record import Score

from .test_tables import runs


def test_oracle_knowledge_is_marked_at_the_papers_own_row():
    found = runs((0.5,), method="co_teaching", protocol="rafdb-sym", level=0.1, oracle_knowledge=("noise_rate",))
    (table,) = paper_table(found, "cocuring-2")
    names = [cells[1].text for cells in table.rows]
    assert names.count("Coteaching †") == 4
    assert "NCT" in names
    assert "† uses oracle knowledge where measured: Coteaching (noise_rate)." in table.notes
    own = runs((0.5,), method="ulc_ag", protocol="rafdb-sym", level=0.0, oracle_knowledge=("noise_rate",))
    table = paper_table(own, "ulcag-5")[0]
    assert any(cells[0].text == "ULC-AG†‡ †" for cells in table.rows)
    assert any("after a space; else it is the paper's own" in note for note in table.notes)


def test_a_method_still_rising_is_marked_at_the_papers_own_row():
    """1.5 points above the mean of the last five, on one of the protocols of the table's columns."""
    found = runs((0.5,), method="nct", protocol="rafdb-sym", level=0.1)
    last_five = Score(0.485, (), None)
    found = [replace(each, scores={**each.scores, "last_five": last_five}) for each in found]
    found += runs((0.5,), method="cocuring", protocol="rafdb-sym", level=0.1)
    (table,) = paper_table(found, "cocuring-2")
    names = [cells[1].text for cells in table.rows]
    assert names.count("NCT ↗") == 4
    assert "Coteaching" in names
    assert next(note for note in table.notes if note.startswith("↗ still rising")).endswith(": NCT.")
