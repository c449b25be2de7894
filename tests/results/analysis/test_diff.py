from __future__ import annotations

import math
from dataclasses import replace

import pytest

from fernoise_bench.results.analysis.diff import differences
from fernoise_bench.results.records.schema import Best, Status
from fernoise_bench.results.tables.diff_table import difference_table

from ..fabricate import Trial
from ..tables.test_protocol_tables import column, made, texts


def compared(left, right, same=()):
    """Differences of {method: a score a seed} on both sides; the bytes of the methods in `same` are equal."""
    sides = [
        [
            replace(made(Trial(method=method, seed=seed), value), folder=f"{method}/{seed}")
            for method, values in side.items()
            for seed, value in enumerate(values)
            if value is not None
        ]
        for side in (left, right)
    ]
    digests = {
        (name, record.folder): record.folder if record.method in same else f"{name} {record.folder}"
        for name, side in zip(("left", "right"), sides, strict=True)
        for record in side
    }
    return {each.key.method: each for each in differences(*sides, digests)}


def test_every_verdict():
    found = compared(
        {"a": [0.50, 0.52, 0.54], "b": [0.5, 0.5, 0.5], "c": [0.6, 0.6, 0.6], "d": [0.4], "s": [0.7, 0.8]},
        {"a": [0.51, 0.53, 0.55], "b": [0.8, 0.8, 0.8], "e": [0.1], "d": [0.4], "s": [0.7, 0.8]},
        same=("s",),
    )
    verdicts = {method: each.verdict for method, each in found.items()}
    assert verdicts == {"a": "within", "b": "beyond", "c": "missing", "d": "within", "e": "new", "s": "same bytes"}
    alarming = {method for method, each in found.items() if each.alarming}
    assert alarming == {"b", "c"}


def test_the_limit_by_hand():
    found = compared({"a": [0.50, 0.52, 0.54], "b": [0.5]}, {"a": [0.51, 0.53, 0.55], "b": [0.55]})
    # pooled: squares 0.0008 twice over four degrees; two changed cells: Student's t of 1.25% either side
    spread = math.sqrt(0.0016 / 4)
    assert found["a"].limit == pytest.approx(3.4954 * spread * math.sqrt(2 / 3), rel=1e-4)
    assert found["b"].limit == pytest.approx(3.4954 * spread * math.sqrt(2), rel=1e-4)
    assert (found["a"].left, found["a"].right) == (pytest.approx(0.52), pytest.approx(0.53))
    assert found["b"].verdict == "within"


def test_a_method_with_enough_seeds_has_a_spread_of_its_own():
    steady, wild = [0.500, 0.502, 0.504, 0.506], [0.2, 0.5, 0.3, 0.6]
    found = compared({"a": steady, "b": wild}, {"a": [s - 0.05 for s in steady], "b": [w - 0.05 for w in wild]})
    assert (found["a"].verdict, found["b"].verdict) == ("beyond", "within")
    # squares 0.00002 twice over six degrees, two changed cells
    assert found["a"].limit == pytest.approx(2.9687 * math.sqrt(0.00004 / 6) * math.sqrt(1 / 2), rel=1e-4)


def test_trials_that_are_the_same_on_both_sides_tell_of_a_spread_once():
    found = compared({"a": [0.5, 0.6], "s": [0.4, 0.5, 0.6]}, {"a": [0.6, 0.7], "s": [0.4, 0.5, 0.6]}, same=("s",))
    # squares 0.005 twice and 0.02 once, over one degree twice and two once; Student's t of 2.5% either side
    assert found["a"].limit == pytest.approx(2.7764 * math.sqrt(0.03 / 4), rel=1e-4)


def test_one_seed_everywhere_cannot_be_judged():
    found = compared({"a": [0.5], "b": [0.5]}, {"a": [0.6], "b": [0.5]})
    assert (found["a"].verdict, found["a"].alarming) == ("unjudged", True)
    assert (found["b"].verdict, found["b"].alarming) == ("within", False)  # other bytes, the same score


def test_lost_trials_alarm_and_means_are_over_common_pairs():
    found = compared({"a": [0.5, 0.9]}, {"a": [0.5, None]}, same=("a",))["a"]
    assert (found.verdict, found.lost, found.alarming) == ("same bytes", ((1, 1),), True)
    assert (found.left, found.right, found.pairs) == (0.5, 0.5, (2, 1))
    more = compared({"a": [0.5, None]}, {"a": [0.5, 0.9]}, same=("a",))["a"]
    assert (more.verdict, more.lost, more.gained, more.alarming) == ("same bytes", (), ((1, 1),), False)
    (row,) = texts(difference_table([more], ("old", "new")))
    assert row[0] == "same bytes"
    assert "1 → 2, 1 gained" in row


def test_other_seeds_are_compared_by_their_means():
    found = compared({"a": [0.5, 0.6, None, None]}, {"a": [None, None, 0.5, 0.6]})["a"]
    assert (found.verdict, found.pairs) == ("within", (2, 2))


def test_what_differs_in_the_identity_is_named():
    left = made(Trial(digest="old"))
    right = made(Trial(digest="new", settings={"recipe": {"batch_size": 64}, "precision": "bf16"}))
    (found,) = differences([left], [right], {("left", "folder"): "1", ("right", "folder"): "2"})
    assert found.fields == ("method.digest", "settings.precision")


def test_protocols_settings_folds_and_levels_are_cells_apart():
    base = Trial()
    others = [
        replace(base, level=0.4),
        replace(base, profile="smoke"),
        replace(base, source="generated"),
        replace(base, protocol="rafdb-sym"),
        replace(base, recipe="native"),
        replace(base, fold="part1"),
        replace(base, level=None),
    ]
    records = [replace(made(trial), folder=str(place)) for place, trial in enumerate([base, *others])]
    found = differences(records, [], {})
    assert len(found) == 8
    assert {each.verdict for each in found} == {"missing"}


def test_of_two_versions_the_newest_counts():
    old, new = (
        replace(
            made(trial, score),
            folder=trial.digest,
            status=Status("done", epochs=1, seconds=1.0, best=Best(None, 0), updated=when),
        )
        for trial, score, when in ((Trial(digest="z"), 0.1, "2024-01-01"), (Trial(digest="a"), 0.9, "2024-02-01"))
    )
    digests = {(side, folder): folder for side in ("left", "right") for folder in "az"}
    (found,) = differences([new, old], [new], digests)
    assert (found.verdict, found.left) == ("same bytes", 0.9)


def test_unfinished_trials_are_not_there():
    (found,) = differences([made(Trial())], [made(Trial(state="failed"))], {("left", "folder"): "1"})
    assert found.verdict == "missing"


def test_the_table_shows_what_needs_looking_at_first():
    found = compared(
        {"a": [0.50, 0.52], "b": [0.5, 0.5], "c": [0.6], "s": [0.7, 0.8]},
        {"a": [0.51, 0.53], "b": [0.9, 0.9], "s": [0.7, 0.8], "n": [0.5]},
        same=("s",),
    )
    table = difference_table(list(found.values()), ("old", "new"))
    assert [cell.text for cell in column(table, "verdict")] == ["beyond chance", "missing", "new", "within chance"]
    row = texts(table)[0]
    assert row[1:7] == ["ferplus-sym@1, small, real", "b", "noise 0.2", "50.00", "90.00", "+40.00"]
    assert table.notes[0] == "Cells: 1 beyond chance, 1 missing, 1 new, 1 within chance, 1 same bytes."


def test_a_folder_against_itself_shows_nothing():
    found = compared({"a": [0.5, 0.6]}, {"a": [0.5, 0.6]}, same=("a",))
    table = difference_table(list(found.values()), ("x", "x"))
    assert table.rows == ()
    assert not any(each.alarming for each in found.values())
