"""Comparisons over protocols as tables and plain data."""

from __future__ import annotations

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.analysis.meta import metas
from fernoise_bench.results.tables.meta_tables import matrix_table, meta_json, rival_table, summary_table

from ..claimed import runs

SIX = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]


@pytest.fixture(scope="module")
def meta():
    """a is 3.5 ahead of b on two protocols that share faces; c has one of them, 10 behind b."""
    records = [
        each
        for protocol in ("fer2013-real", "ferplus-sym")
        for name, more in (("a", SIX), ("b", [0.0] * 6))
        for each in runs([0.5 + e for e in more], method=name, protocol=protocol)
    ]
    records += runs([0.4] * 6, method="c", protocol="ferplus-sym")
    (found,) = metas(records)
    return found


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_each_method_against_the_others(meta):
    """a: +3.5 and +13.5; b: −3.5 and +10; c: −13.5 and −10. Three pairs of p = 2/64: none after Holm."""
    assert texts(summary_table(meta)) == [
        ["a", "2", "+8.5", "2", "2 (0)", "0", "0 (0)"],
        ["b", "2", "+3.2", "1", "1 (0)", "1", "1 (0)"],
        ["c", "1", "−11.8", "0", "0 (0)", "2", "2 (0)"],
    ]


def test_the_matrix_is_row_minus_column_with_marks(meta):
    table = matrix_table(meta)
    assert table.columns == ("", "method", "1", "2", "3")
    assert texts(table) == [
        ["1", "a", "", "+3.5*", "+13.5*"],
        ["2", "b", "−3.5*", "", "+10.0*"],
        ["3", "c", "−13.5*", "−10.0*", ""],
    ]
    assert any("fer2013-real@1 and ferplus-sym@1" in note for note in table.notes)


def test_a_rival_s_table_has_every_protocol(meta):
    table = rival_table(meta, "b")
    assert table.columns[:3] == ("method", "fer2013-real@1", "ferplus-sym@1")
    assert texts(table) == [
        ["a", "+3.5", "+3.5", "+3.5*", "2 of 2", "+2.15", "0.031", "0.094"],
        ["c", "–", "−10.0", "−10.0*", "0 of 1", "−2.15", "0.031", "0.094"],
    ]
    with pytest.raises(BadInput, match="nct"):
        rival_table(meta, "nct")


def test_plain_data_have_each_pair_once(meta):
    found = meta_json(meta)
    assert found["protocols"] == [["fer2013-real@1", "ferplus-sym@1"]]
    assert [(pair["method"], pair["rival"]) for pair in found["pairs"]] == [("a", "b"), ("a", "c"), ("b", "c")]
    first = found["pairs"][0]
    assert first["mean"] == pytest.approx(3.5)
    assert first["p_holm"] == pytest.approx(0.09375)
    assert first["protocols"][0] == {
        **{"protocol": "fer2013-real@1", "difference": pytest.approx(3.5), "pairs": 6},
        "p": pytest.approx(0.03125),
    }
