"""The figure of rank correlations: a row for each synthetic noise beside human noise, the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.plots.agreement import agreements_of, draw_agreements

from ..tables.test_rank_tables import METHODS, trials

HUMAN = "ferplus-votes:1"


def test_each_twin_of_human_noise_has_a_row(tmp_path: Path) -> None:
    human = trials(HUMAN, levels=(None,))
    alike = trials(f"{HUMAN}-instance", levels=(None,))
    reversed_ = trials(f"{HUMAN}-symmetric", levels=(None,), turn=True)
    title, found = agreements_of(human, [*human, *alike, *reversed_])
    assert title.startswith("ferplus-votes:1@1: do synthetic and real noise rank methods alike?")
    assert {each.right: (each.tau, each.methods, each.answer) for each in found} == {
        f"{HUMAN}-instance": (1.0, len(METHODS), "agree"),
        f"{HUMAN}-symmetric": (-1.0, len(METHODS), "are reversed"),
    }
    for file in ("one.svg", "two.svg"):
        draw_agreements(title, found, tmp_path / file)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert "1.00, are reversed" in (tmp_path / "one.svg").read_text()


def test_one_kind_of_noise_alone_is_refused() -> None:
    with pytest.raises(BadInput, match="no trials of synthetic and of real noise have four methods in common"):
        agreements_of(trials(), trials(levels=(0.2, 0.4)))
