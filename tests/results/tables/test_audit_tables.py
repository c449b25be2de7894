from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from fernoise_bench.results.records.record import load_records
from fernoise_bench.results.records.schema import Audit, TeacherCost
from fernoise_bench.results.tables.audit_tables import audit_page, audit_table, noise_left, shown_epochs, with_kept

from ..fabricate import Trial, epoch_line, fabricate_all
from .test_protocol_tables import column, made, texts

COUNTS = {
    "entries": 60,
    "wrong": 12,
    "predicted_wrong": 10,
    "right": 40,
    "targets": 50,
    "targets_right": 40,
    "memorised": 4,
    "recovered": 5,
    "kept": 30,
    "kept_right": 27,
}
RELABELLED = {"changed": 8, "changed_right": 6, "damaged": 2}
AU = Trial(kind="multi", protocol="bp4d-3fold", level=None, copies=0, audit=False)


def with_audit(trial, **audit):
    record = made(trial)
    return replace(record, epochs=(epoch_line(audit={"memorised": 0, "predicted_wrong": 1}), epoch_line(audit=audit)))


def test_the_audit_worked_by_hand():
    found = [
        with_audit(Trial(method="a"), **COUNTS, **RELABELLED),
        with_audit(Trial(method="b"), predicted_wrong=0, memorised=0),
    ]
    (table,) = audit_table(found)
    assert table.columns[2:] == (
        "memorised",
        "recovered",
        "kept, precision",
        "kept, recall",
        "relabelled, precision",
        "right labels changed",
        "corrected",
        "noise given",
        "noise left",
    )
    assert texts(table) == [
        # corrected 6 of 10 wrong targets; left (38 - 33) of 38 kept or changed
        ["a", "0.2", "40.0", "50.0", "90.0", "67.5", "75.0", "5.0", "60.0", "20.0", "13.2"],
        ["b", "0.2", *["–"] * 9],
    ]


def test_a_number_that_one_complete_pair_lacks_is_no_number():
    found = [with_audit(Trial(seed=0), predicted_wrong=10, memorised=4), with_audit(Trial(seed=1))]
    (table,) = audit_table(found)
    assert table.rows[0][2].text == "–"


def test_no_memorisation_is_shown_where_no_label_is_wrong():
    record = made(AU)
    for wrong in (0, 1):
        told = replace(record, epochs=(epoch_line(audit={"predicted_wrong": wrong, "memorised": 0}),))
        tables = audit_page([told])
        assert any("memorised by epoch" in table.title for table in tables) == bool(wrong)
        tables = audit_page([told], blank=True)
        assert any("memorised by epoch" in table.title for table in tables)


def test_steps_without_weights_keep_what_they_do_not_change():
    plain = {"entries": 10, "wrong": 4}
    assert with_kept(Audit(**plain)) == Audit(**plain, right=6, kept=10, kept_right=6)
    renewed = {**plain, "targets": 20, "targets_right": 12, "changed": 5, "changed_right": 1, "damaged": 2}
    assert with_kept(Audit(**renewed)) == Audit(**renewed, right=12, kept=15, kept_right=10)
    assert with_kept(Audit(entries=10, wrong=4, targets_right=12, damaged=2)).kept_right == 10
    told = Audit(**renewed, right=12, kept=3, kept_right=3)
    assert with_kept(told) == told
    assert with_kept(Audit()) == Audit()


def by_class(trial, **counts):
    record = made(trial, per_label=(0.1, 0.2, 0.3, 0.4))
    return replace(record, epochs=(epoch_line(audit={"entries": 10, "wrong": 4}, audit_by_class=counts),))


def test_labels_by_class_worked_by_hand():
    """A trial that did not count by class is left out, a method without weights keeps all, and 0 of 0 is nothing."""
    selects = {"entries": [4, 4, 2, 0], "wrong": [1, 0, 2, 0], "right": [6, 8, 0, 0], "kept_right": [3, 8, 0, 0]}
    found = [
        by_class(Trial(method="a", seed=0), **selects),
        made(Trial(method="a", seed=1), per_label=(0.1, 0.2, 0.3, 0.4)),
        by_class(Trial(method="b", seed=0), entries=[4, 4, 2, 0], wrong=[1, 0, 2, 0]),
        by_class(Trial(method="b", seed=1), entries=[4, 4, 2, 0], wrong=[1, 0, 2, 0]),
    ]
    kept, *others = (
        table for table in audit_page(found) if "by class, last epoch" in table.title and "recall" not in table.title
    )
    assert "right labels kept" in kept.title
    assert others == []
    assert texts(kept) == [["a", "0.2", "50.0‡", "100.0‡", "–", "–"], ["b", "0.2", "100.0", "100.0", "–", "–"]]
    assert kept.rows[0][2].status == "1/2, 1 not counted by class"
    assert "a: counted in 1 of 2 trials." in kept.notes
    assert not any("counted in" in note for note in kept.notes if note.startswith("b"))


def test_trials_without_counts_by_class_are_not_called_not_run():
    """Seven of eight finished trials count by class; a ninth diverged, and of another method none counts."""
    counts = {"entries": [4, 4, 2, 0], "wrong": [1, 0, 2, 0]}
    found = [by_class(Trial(method="a", seed=seed), **counts) for seed in range(7)]
    found += [made(Trial(method=m, seed=7), per_label=(0.1, 0.2, 0.3, 0.4)) for m in ("a", "b")]
    found += [made(Trial(method="a", seed=8, state="diverged"))]
    (kept,) = (table for table in audit_page(found) if "kept, by class" in table.title)
    assert [row[2].status for row in kept.rows] == [
        "7/9, 1 diverged, 1 not counted by class",
        "0/9, 8 not run, 1 not counted by class",
    ]
    assert "a: counted in 7 of 8 trials." in kept.notes
    assert "b: counted in 0 of 1 trials." in kept.notes


@pytest.mark.parametrize(
    ("counts", "left"),
    [
        ({}, None),
        ({"entries": 0, "wrong": 0}, None),
        ({"entries": 10, "wrong": 4}, 0.4),
        ({"entries": 10, "wrong": 4, "kept": 5, "kept_right": 4}, 0.2),
        # all ten trained on: four wrong, two corrected, one of the six right ones changed
        ({"targets": 10, "targets_right": 6, "changed": 4, "changed_right": 2, "damaged": 1}, 0.3),
        ({"kept": 6, "kept_right": 5, "changed": 4, "changed_right": 2}, 0.3),
        ({"kept": 0, "kept_right": 0}, None),
    ],
)
def test_noise_left(counts, left):
    assert noise_left(Audit(**counts)) == (None if left is None else pytest.approx(left))


@given(st.integers(0, 10), st.integers(0, 10), st.data())
def test_keeping_all_leaves_what_the_targets_hold(right, wrong, data):
    corrected = data.draw(st.integers(0, wrong))
    still_wrong = data.draw(st.integers(0, wrong - corrected))
    damaged = data.draw(st.integers(0, right))
    targets = {
        "targets": right + wrong,
        "targets_right": right,
        "changed": corrected + still_wrong + damaged,
        "changed_right": corrected,
        "damaged": damaged,
    }
    kept = {"kept": right + wrong - targets["changed"], "kept_right": right - damaged}
    assert noise_left(Audit(**targets, **kept)) == noise_left(Audit(**targets))


@pytest.mark.parametrize(
    ("count", "shown"), [(1, (0,)), (3, (0, 1, 2)), (6, tuple(range(6))), (15, (0, 3, 6, 8, 11, 14))]
)
def test_epochs_shown(count, shown):
    assert shown_epochs(count) == shown


def test_the_page(tmp_path):
    fabricate_all(tmp_path, [Trial(method=m, seed=s, networks=2) for m in ("a", "b") for s in (0, 1)])
    found, _ = load_records(tmp_path)
    labels, memorised, recall, compute = audit_page(found)
    assert "audit of the training labels" in labels.title
    assert memorised.columns == ("method", "noise", *(f"epoch {e}" for e in range(1, 7)))
    shares = [found[0].epochs[e].audit.memorised / 20 for e in range(6)]
    assert [cell.value for cell in memorised.rows[0][2:]] == pytest.approx([100 * share for share in shares])
    assert recall.columns[2:] == ("neutral", "happiness", "surprise", "sadness")
    per_label = [record.scores["last"].per_label[1] for record in found if record.method == "a"]
    assert column(recall, "happiness")[0].value == pytest.approx(100 * sum(per_label) / 2)
    assert [cell.text for cell in compute.rows[0]] == [
        *("a", "0.2", "2", "1", "2.00", "2.00", "20.0", "100", "none", "none")
    ]
    assert not any("by class" in note for note in labels.notes)


def test_teachers_are_counted_once_and_their_cost_is_shown():
    def taught(method, seed):
        record = made(Trial(method=method, seed=seed, oracle_knowledge=("noise_rate",)), per_label=(0.1, 0.2, 0.3, 0.4))
        teacher = TeacherCost("supervised:clean", f"t{seed}", 30.0, 9, 9)
        return replace(record, environment=structs.replace(record.environment, teachers=(teacher,)))

    *_, compute = audit_page([taught(method, seed) for method in ("a", "b") for seed in (0, 1)])
    assert [cell.text for cell in column(compute, "seconds of teachers")] == ["30.0", "30.0"]
    assert [cell.text for cell in column(compute, "oracle knowledge")] == ["noise_rate", "noise_rate"]
    assert "Teacher supervised:clean: 2 trained in 60 seconds, shared by 4 trials." in compute.notes


def test_without_reference_labels_the_page_says_what_is_known(tmp_path):
    fabricate_all(tmp_path, [replace(AU, fold=fold) for fold in ("part1", "part2")])
    labels, compute = audit_page(load_records(tmp_path)[0])
    assert [cell.text for cell in labels.rows[0][1:]] == ["–"] * 9
    assert column(compute, "networks")[0].text == "1"


def test_what_is_not_finished_is_no_number(tmp_path):
    fabricate_all(tmp_path, [Trial(state="failed"), Trial(seed=1, state="running")])
    for table in audit_page(load_records(tmp_path)[0]):
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert all(cell.value is None for row in table.rows for cell in row[2:])


def test_peak_memory_that_is_not_known():
    record = made(Trial(), per_label=(0.1, 0.2, 0.3, 0.4))
    *_, compute = audit_page([replace(record, status=structs.replace(record.status, peak_memory_mb=None))])
    assert column(compute, "peak MB (cpu)")[0].text == "–"
