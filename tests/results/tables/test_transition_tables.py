from __future__ import annotations

from dataclasses import replace

import pytest

from fernoise_bench.results.tables.audit_tables import audit_page
from fernoise_bench.results.tables.protocol_tables import long_table
from fernoise_bench.results.tables.render import render

from ..fabricate import NAMES, Trial, epoch_line
from .test_protocol_tables import column, made, texts

AU = Trial(kind="multi", protocol="bp4d-3fold-plain:flip", level=0.2, copies=0)
RATES = {
    "positive": [0.1, 0.5, None],
    "negative": [0.3, 0.2, None],
    "true_positive": [0.2, 0.4, 0.3],
    "true_negative": [0.1, 0.2, None],
}


def plain(trial, headline=0.5):
    return made(trial, headline, (0.1, 0.2, 0.3, 0.4)[: len(NAMES[trial.kind])])


def estimating(trial, error, headline=0.5, **line):
    first, last = {"transition_error": 1.9}, {"transition_error": error}
    return replace(plain(trial, headline), epochs=(epoch_line(**first), epoch_line(**last, **line)))


def tables_of(records, what):
    return [table for table in audit_page(records) if what in table.title]


def test_methods_without_an_estimate_have_no_table():
    assert tables_of([plain(Trial()), plain(Trial(method="a"))], "estimated label noise") == []
    assert tables_of([plain(AU)], "flip rates") == []


def test_the_error_stands_beside_the_score():
    records = [
        estimating(Trial(method="volminnet", seed=0), 0.25, 0.5),
        estimating(Trial(method="volminnet", seed=1), 0.5, 0.6),
        estimating(Trial(method="forward_correction", seed=0), 0.125, 0.4),
        plain(Trial(method="supervised", seed=0)),
        plain(Trial(method="supervised", seed=1)),
    ]
    (table,) = tables_of(records, "estimated label noise")
    assert table.columns == ("method", "noise", "accuracy", "transition error")
    assert texts(table) == [
        ["forward_correction", "0.2", "40.00 (1/2, 1 not run)", "0.125 (1/2, 1 not run)"],
        ["volminnet", "0.2", "55.00 ± 7.07", "0.375 ± 0.177"],
    ]
    assert table.rows[1][3].value == 0.375
    assert any("number of classes" in note for note in table.notes)
    assert any("flat matrix" in note for note in table.notes)


def test_the_error_is_in_the_long_table_where_a_method_estimates():
    records = [estimating(Trial(method="volminnet"), 0.25), plain(Trial())]
    (table,) = long_table(records)
    errors = column(table, "transition error")
    assert [cell.text for cell in errors] == ["–", "0.250"]
    assert any("flat matrix" in note for note in table.notes)
    (without,) = long_table([plain(Trial()), plain(Trial(method="a"))])
    assert "transition error" not in without.columns
    assert set(table.columns) - set(without.columns) == {"transition error"}


def test_a_method_that_estimates_in_some_trials_has_no_mean():
    records = [estimating(Trial(method="a", seed=0), 0.25), plain(Trial(method="a", seed=1))]
    (table,) = tables_of(records, "estimated label noise")
    assert column(table, "transition error")[0].text == "–"


def test_an_exact_estimate_is_one():
    (table,) = tables_of([estimating(Trial(), 0.0)], "estimated label noise")
    assert column(table, "transition error")[0].text == "0.000"


def test_rates_of_aus_beside_the_true_ones():
    records = [estimating(AU, 0.25, flip_rates=RATES), plain(replace(AU, method="other"))]
    (errors,) = tables_of(records, "estimated label noise")
    assert errors.columns == ("method", "noise", "F1", "transition error", "one rate for all AUs")
    # of the AUs with both rates: means .3 and .15, so .1 + .05 for each
    assert column(errors, "one rate for all AUs")[0].text == "0.150"
    (rates,) = tables_of(records, "flip rates by AU")
    assert rates.columns == ("method", "noise", "rate", *NAMES["multi"])
    assert rates.headers == 3
    assert texts(rates) == [
        ["supervised", "0.2", "ρ⁺ estimated", "10.0", "50.0", "–"],
        ["supervised", "0.2", "ρ⁺ true", "20.0", "40.0", "30.0"],
        ["supervised", "0.2", "ρ⁻ estimated", "30.0", "20.0", "–"],
        ["supervised", "0.2", "ρ⁻ true", "10.0", "20.0", "–"],
    ]
    assert [row[0].repeats for row in rates.rows] == [False, True, True, True]


@pytest.mark.parametrize("form", ["github", "csv", "html", "latex", "json"])
def test_every_form_can_be_written(form):
    found = render(audit_page([estimating(AU, 0.25, flip_rates=RATES)]), form)
    assert "ρ⁺ estimated" in found or form in ("json", "latex")


def test_rates_that_are_all_unknown_have_no_comparison():
    unknown = RATES | {"true_positive": [None] * 3}
    (errors,) = tables_of([estimating(AU, 0.25, flip_rates=unknown)], "estimated label noise")
    assert column(errors, "one rate for all AUs")[0].text == "–"
