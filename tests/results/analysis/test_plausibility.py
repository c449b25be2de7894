"""Trials that knew reference labels better than their test scores allow, worked by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from fernoise_bench.results.analysis.plausibility import excess, implausible
from fernoise_bench.results.records.record import Record
from fernoise_bench.results.tables.protocol_tables import audit_table, long_table

from ..fabricate import Trial, record_of

# 1,000 test faces: recalls 0.8 and 0.5. 200 wrong training labels, 150 of the first class: 0.725 is allowed.
CONFUSION = [[400, 100], [250, 250]]
WRONG = [150, 50]


def bound(share: float, count: int, side: int) -> float:
    """The lower (0) or upper (1) share that lies three of its standard errors from an observed one."""
    roots = np.roots([1 + 9 / count, -(2 * share + 9 / count), share**2])
    return float(sorted(roots)[side])


ABOVE = math.hypot(0.75 * (bound(0.8, 500, 1) - 0.8), 0.25 * (bound(0.5, 500, 1) - 0.5))
ALLOWED = 0.725 + ABOVE


def trial(
    kind: str = "single", confusion: Any = CONFUSION, oracle_knowledge: tuple[str, ...] = (), **audit: int
) -> Record:
    counts = {"entries": 1000, "wrong": 200, **audit}
    together = {"changed": 150, "damaged": 0}
    counts |= together if "targets" in audit else {}
    by_class = {"entries": [500, 500], "wrong": WRONG}
    names = ("neutral", "happiness") if kind == "single" else ("AU1", "AU2")
    told = Trial(kind=kind, oracle_knowledge=oracle_knowledge)
    return record_of(told, {}, names, test={"confusion": confusion}, audit=counts, audit_by_class=by_class)


def test_the_excess_is_what_recall_and_chance_do_not_explain() -> None:
    found = excess(trial(predicted=1000, predicted_wrong=200, memorised=10, recovered=190))
    assert found == {"recovered": pytest.approx(bound(0.95, 200, 0) - ALLOWED)}
    found = excess(trial(targets=1000, targets_right=800, changed_right=120))
    assert found == {"repaired": pytest.approx(bound(0.6, 200, 0) - ALLOWED)}


@pytest.mark.parametrize(("recovered", "flagged"), [(190, True), (199, True), (170, False), (145, False)])
def test_only_far_more_than_the_test_rows_allow_is_told(recovered: int, flagged: bool) -> None:
    record = trial(predicted=1000, predicted_wrong=200, memorised=0, recovered=recovered)
    words = implausible(record)
    points = round(100 * (bound(recovered / 200, 200, 0) - ALLOWED))
    assert words == (
        f"predicts the reference label of wrongly labelled training faces {points} points too often" if flagged else ""
    )
    for (table,) in (audit_table([record]), long_table([record])):
        noted = [note for note in table.notes if "may know labels that it was not given" in note]
        assert bool(noted) == flagged


def test_who_sees_several_labels_of_a_training_face_may_know_better() -> None:
    counts = {"predicted": 1000, "predicted_wrong": 200, "memorised": 0, "recovered": 199}
    assert implausible(trial(oracle_knowledge=("noise_rate",), **counts))
    assert not implausible(trial(oracle_knowledge=("noise_rate", "votes"), **counts))


@pytest.mark.parametrize("wrong", [1, 5, 15])
def test_a_few_wrong_labels_accuse_nobody(wrong: int) -> None:
    """Two of three test faces of the class were missed: a method that learnt it in the last step looks like this."""
    counts = {"predicted": 30, "predicted_wrong": wrong, "memorised": 0, "recovered": wrong}
    few = {"entries": [15, 15], "wrong": [wrong, 0]}
    record = record_of(
        Trial(), {}, ("neutral", "happiness"), test={"confusion": [[1, 2], [0, 3]]},
        audit={"entries": 30, "wrong": wrong, **counts}, audit_by_class=few,
    )  # fmt: skip
    assert not implausible(record)


def test_the_pairs_of_two_networks_are_no_more_labels() -> None:
    found = excess(trial(targets=2000, targets_right=1600, changed_right=240))
    assert found == {"repaired": pytest.approx(bound(0.6, 200, 0) - ALLOWED)}


def test_of_action_units_the_better_recall_counts() -> None:
    """One that never sees an AU gets every false positive right, and is no cheat."""
    never = [[0, 0, 300, 700], [0, 0, 100, 900]]
    assert not implausible(trial("multi", never, predicted=1000, predicted_wrong=200, memorised=0, recovered=200))
    fair = [[210, 210, 90, 490], [70, 270, 30, 630]]  # recall 0.7 of presence and of absence
    assert implausible(trial("multi", fair, predicted=1000, predicted_wrong=200, memorised=0, recovered=199))


def test_what_was_not_counted_says_nothing() -> None:
    assert excess(trial()) == {}
    assert excess(record_of(Trial(), {})) == {}
