from __future__ import annotations

import math
from dataclasses import replace

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.analysis.label_estimates import Estimate
from fernoise_bench.results.analysis.label_findings import Finding, Found
from fernoise_bench.results.tables.probabilities.label_error_tables import label_error_tables

from ...fabricate import Trial
from ..test_protocol_tables import column, made, texts

AU = Trial(kind="multi", protocol="bp4d-3fold", level=None, copies=0, audit=False)
NOTHING = Found(*[math.nan] * 9)


def found(auroc, classes=4):
    """A finding whose numbers follow from its AUROC; the last class has none."""
    whole = Found(auroc, auroc / 2, auroc / 4, 1 - auroc / 4, 0.2, 1.0, 3.0, 2.0, auroc)
    return Finding(whole, (*(replace(whole, auroc=auroc - at / 10) for at in range(classes - 1)), NOTHING))


def records_of(trials):
    return [replace(made(trial), folder=f"{trial.method}-{trial.seed}-{trial.fold}") for trial in trials]


def test_a_row_for_each_score_that_a_method_has_plain_training_first():
    trials = [Trial(method=method, seed=seed) for method in ("elr", "supervised") for seed in (0, 1)]
    records = records_of(trials)
    shown = {
        record.folder: {name: found(0.8 if seed else 0.6) for name in names}
        for record, seed, names in zip(
            records, (0, 1, 0, 1), [("last", "left out")] * 2 + [("last", "loss")] * 2, strict=True
        )
    }
    (table,) = label_error_tables(records, shown)
    assert table.columns == (
        *("method", "noise", "score", "AUROC", "AUPRC", "precision †", "missed †", "error rate", "ranked"),
    )
    assert table.headers == 3
    assert [row[:4] for row in texts(table)] == [
        ["supervised", "0.2", "loss (floor)", "70.0 ± 14.1"],
        ["supervised", "0.2", "last", "70.0 ± 14.1"],
        ["elr", "0.2", "last", "70.0 ± 14.1"],
        ["elr", "0.2", "left out", "70.0 ± 14.1"],
    ]
    assert texts(table)[0][4:] == ["35.0 ± 7.1", "17.5 ± 3.5", "82.5 ± 3.5", "20.0 ± 0.0", "100.0 ± 0.0"]
    assert not any("floor that a method has to beat" in note for note in table.notes)


def test_action_units_by_fold_and_by_au():
    trials = [replace(AU, method="rhls", fold=fold) for fold in ("part1", "part2")]
    records = records_of(trials)
    shown = {record.folder: {"aum": found(auroc, 3)} for record, auroc in zip(records, (0.6, 0.7), strict=True)}
    first, *apart = label_error_tables(records, shown, by_class=True)
    assert [cell.text for cell in column(first, "AUROC")] == ["65.0"]
    assert any("supervised, whose loss is the floor" in note for note in first.notes)
    assert any("Means over the AUs" in note for note in first.notes)
    assert [table.title.split(", ")[1] for table in apart] == [
        f"{name} by AU" for name in ("AUROC", "AUPRC", "missed", "error rate")
    ]
    assert apart[0].columns == ("method", "score", "AU1", "AU2", "AU12")
    assert texts(apart[0]) == [["rhls", "aum", "65.0", "55.0", "–"]]


def test_estimates_stand_beside_the_true_rate_and_lifts_in_a_table_of_their_own():
    records = records_of([Trial(method=method) for method in ("elr", "supervised")])
    names = ("last", "self-confidence", "cleanlab self_confidence", "left out")
    shown = {record.folder: dict.fromkeys(names, found(0.6)) for record in records}
    one, none = Estimate(0.25, 0.2, 10, 0.5, 0.75), Estimate(*[math.nan] * 5)
    estimated = {record.folder: {"confident joint": one, "mixture": none} for record in records}
    first, second, third = label_error_tables(records, shown, estimated=estimated, lift=True, cleanlab="2.9.0")
    assert [row[2] for row in texts(first)[:4]] == [
        *("last", "self-confidence (in-sample)", "left out", "cleanlab self_confidence (in-sample)"),
    ]
    assert second.title.split(", ")[0].endswith("estimated number of wrong labels")
    assert second.columns == (
        *("method", "noise", "estimate", "estimated rate", "error rate", "budget", "precision", "missed"),
    )
    assert texts(second)[:2] == [
        ["supervised", "0.2", "confident joint (in-sample)", "25.0", "20.0", "10.0", "50.0", "75.0"],
        ["supervised", "0.2", "mixture", *["–"] * 5],
    ]
    assert [row[0] for row in texts(second)] == ["supervised"] * 2 + ["elr"] * 2
    for table in (first, second):
        assert sum("cleanlab 2.9.0 itself" in note for note in table.notes) == 1
    assert third.columns[3:] == ("lift at 1 %", "lift at 5 %", "lift at 10 %")
    assert texts(third)[0] == ["supervised", "0.2", "last", "3.0", "2.0", "0.6"]


def test_a_pair_without_the_number_has_no_mean():
    """Nor has a method that reports no predictions."""
    records = records_of([Trial(method="a", seed=seed) for seed in (0, 1)])
    shown = {records[0].folder: {"last": found(0.6)}, records[1].folder: {"last": Finding(NOTHING, (NOTHING,) * 4)}}
    (table,) = label_error_tables(records, shown)
    assert [cell.text for cell in column(table, "AUROC")] == ["–"]


def test_trials_of_several_settings_are_refused_or_shown_apart():
    records = records_of([Trial(method="a"), Trial(method="b", profile="smoke")])
    shown = {record.folder: {"last": found(0.6)} for record in records}
    with pytest.raises(BadInput, match="profile"):
        label_error_tables(records, shown)
    assert len(label_error_tables(records, shown, allow_mixed=True)) == 2
