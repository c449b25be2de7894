from __future__ import annotations

import math

import pytest

from fernoise_bench.results.analysis.meta import metas
from fernoise_bench.results.plots.meta_matrix import differences_of, draw_metas

from ..claimed import runs

SIX = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]


@pytest.fixture(scope="module")
def meta():
    (found,) = metas([*runs([0.5 + e for e in SIX], method="mine"), *runs([0.5] * 6, method="elr")])
    return found


def test_rows_are_ahead_by_what_columns_are_behind(meta):
    ((same, ahead), (behind, _)) = differences_of(meta)
    assert (ahead, behind) == (pytest.approx(3.5), pytest.approx(-3.5))
    assert math.isnan(same)


@pytest.mark.parametrize(("name", "start"), [("a.svg", b"<?xml"), ("a.png", b"\x89PNG"), ("a.pdf", b"%PDF")])
def test_it_is_drawn_in_every_format_with_the_same_bytes(meta, tmp_path, name, start):
    for place in ("one", "two"):
        draw_metas([meta], tmp_path / place / name)
    assert (tmp_path / "one" / name).read_bytes().startswith(start)
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_mark_stands_beside_the_difference(meta, tmp_path):
    draw_metas([meta], tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert "<!-- +4** -->" in text  # one pair of methods, p = 0.031: Holm leaves it as it is
    assert "<!-- mine -->" in text
