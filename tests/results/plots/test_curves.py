from __future__ import annotations

import itertools
import math
import statistics
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results import metrics
from fernoise_bench.results.analysis.grouping import blocks
from fernoise_bench.results.analysis.view import Expected, view_of
from fernoise_bench.results.plots import curves
from fernoise_bench.results.records.record import load_records

from ..fabricate import Trial, fabricate_all


def loaded(root, trials):
    fabricate_all(root, trials)
    found, damaged = load_records(root)
    assert not damaged
    return found


def test_curves_are_means_over_seeds(tmp_path):
    found = loaded(tmp_path, [Trial(method=method, seed=seed) for method in ("a", "b") for seed in (0, 1)])
    data = curves.epoch_curves(found, Expected(methods=["b"]))
    assert [curve.label for curve in data.curves] == ["b", "a"]
    expected = [
        sum(metrics.accuracy_of(r.epochs[epoch].test.confusion) for r in found if r.method == "a") / 2
        for epoch in range(6)
    ]
    assert data.curves[1].test == pytest.approx(expected)
    assert data.curves[1].memorised[-1] == pytest.approx(found[0].epochs[-1].audit.memorised / 20)
    assert data.title == "ferplus-sym@1: accuracy by epoch, noise 0.2, small profile, real faces"


def test_failures_are_named(tmp_path):
    trials = [Trial(method="a"), Trial(method="a", seed=1, state="failed"), Trial(method="b", state="diverged")]
    data = curves.epoch_curves(loaded(tmp_path, trials))
    assert [curve.label for curve in data.curves] == ["a (1/2)"]
    assert data.missing == ("b",)


def test_folds_and_action_units(tmp_path):
    base = {"kind": "multi", "level": None, "copies": 0, "audit": False, "source": "generated"}
    data = curves.epoch_curves(loaded(tmp_path, [Trial(fold=fold, **base) for fold in ("part1", "part2")]))
    (curve,) = data.curves
    assert data.metric == "F1"
    assert "generated faces" in data.title
    assert all(map(math.isfinite, curve.test))
    assert all(map(math.isnan, curve.memorised))
    curves.draw_curves(data, tmp_path / "figure.svg")


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        ({}, ""),
        ({"audit": False}, "Not audited: no reference labels."),
        ({"wrong": 0}, "No wrong training labels: there is nothing to memorise."),
    ],
)
def test_what_was_not_memorised_has_a_reason_and_no_panel(tmp_path, trial, words):
    data = curves.epoch_curves(loaded(tmp_path / "runs", [Trial(method="a", **trial), Trial(method="b", **trial)]))
    assert data.unmemorised == words
    curves.draw_curves(data, tmp_path / "figure.svg")
    drawn = (tmp_path / "figure.svg").read_text()
    assert drawn.count('<g id="axes_') == (1 if words else 2)
    assert words in drawn


def test_a_page_without_a_finished_pair_says_that(tmp_path):
    (block,) = blocks(loaded(tmp_path, [Trial(fold="part1"), Trial(fold="part2", state="running")]))
    data = curves.view_curves(view_of(block, Expected()), 0.2)
    assert data.unmemorised == "No method has finished a (seed, draw) pair."


def test_one_level_at_a_time(tmp_path):
    found = loaded(tmp_path, [Trial(level=level) for level in (0.2, 0.4)])
    assert "noise 0.4" in curves.epoch_curves(found, level=0.4).title
    for level in (None, 0.3):
        with pytest.raises(BadInput, match=r"choose one of 0\.2, 0\.4"):
            curves.epoch_curves(found, level=level)


def test_what_cannot_be_drawn_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no trials"):
        curves.epoch_curves([])
    with pytest.raises(BadInput, match="nothing to draw"):
        curves.epoch_curves(loaded(tmp_path / "a", [Trial(state="failed")]))
    with pytest.raises(BadInput, match="profile"):
        curves.epoch_curves(loaded(tmp_path / "b", [Trial(), Trial(profile="smoke")]))


@pytest.mark.parametrize(("name", "start"), [("a.svg", b"<?xml"), ("a.PNG", b"\x89PNG"), ("a.pdf", b"%PDF")])
def test_the_same_data_give_the_same_bytes(tmp_path, name, start):
    trials = [Trial(method=f"method-{number}", epochs=3) for number in range(9)]
    data = curves.epoch_curves(loaded(tmp_path / "runs", trials))
    curves.draw_curves(data, tmp_path / "one" / name)
    curves.draw_curves(data, tmp_path / "two" / name)
    content = (tmp_path / "one" / name).read_bytes()
    assert content == (tmp_path / "two" / name).read_bytes()
    assert content.startswith(start)
    assert b"dc:date" not in content
    assert b"CreationDate" not in content


def test_the_band_is_the_standard_deviation_over_seeds(tmp_path):
    found = loaded(tmp_path, [Trial(seed=seed) for seed in (0, 1, 2)])
    (curve,) = curves.epoch_curves(found).curves
    scores = [metrics.accuracy_of(record.epochs[2].test.confusion) for record in found]
    assert curve.test_spread[2] == pytest.approx(statistics.stdev(scores))
    assert curve.memorised_spread == pytest.approx([0] * 6)  # made-up networks memorise alike
    (alone,) = curves.epoch_curves(found[:1]).curves
    assert all(map(math.isnan, alone.test_spread))


def named(label, end):
    return curves.Curve(label, label, (0.1, end), (math.nan, math.nan), (math.nan, math.nan), (math.nan, math.nan))


def test_at_most_eight_have_a_colour_plain_training_among_them(tmp_path):
    few = [named(str(number), 0.9 - number / 10) for number in range(8)]
    assert curves.in_colour(few) == tuple(range(8))
    many = [named("supervised (1/2)", 0.1), *few, named("best", 0.95)]
    assert curves.in_colour(many) == (0, 1, 2, 3, 4, 5, 6, 9)
    data = curves.Curves("t", "accuracy", tuple(many), unmemorised="Not audited.")
    curves.draw_curves(data, tmp_path / "figure.svg")
    drawn = (tmp_path / "figure.svg").read_text()
    assert "<!-- grey: 6, 7 -->" in drawn
    assert "<!-- best -->" in drawn
    assert "<!-- 6 -->" not in drawn
    assert "bands:" not in drawn


def test_those_in_colour_may_all_be_unaudited(tmp_path):
    grey = curves.Curve("grey", "grey", (0.1, 0.1), (0.2, 0.3), (math.nan,) * 2, (math.nan,) * 2)
    data = curves.Curves("t", "accuracy", (*(named(str(number), 0.9) for number in range(8)), grey))
    curves.draw_curves(data, tmp_path / "figure.svg")
    assert "wrong training labels memorised" in (tmp_path / "figure.svg").read_text()


def test_a_single_epoch_is_drawn(tmp_path):
    curves.draw_curves(curves.epoch_curves(loaded(tmp_path, [Trial(epochs=1)])), tmp_path / "figure.svg")


def test_the_ending_names_the_format(tmp_path):
    with pytest.raises(BadInput, match=r"\.svg, \.png or \.pdf"):
        curves.draw_curves(curves.Curves("t", "accuracy", ()), tmp_path / "figure.gif")


def test_without_matplotlib_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BadInput, match=r"pip install 'fernoise-bench\[figures\]'"):
        curves.draw_curves(curves.Curves("t", "accuracy", ()), tmp_path / "figure.svg")


@given(st.lists(st.floats(0, 100), min_size=1, max_size=12), st.floats(0.1, 8))
def test_labels_do_not_overlap(values, gap):
    places = curves.spread_out(values, gap, 0, 100)
    order = sorted(range(len(values)), key=lambda i: values[i])
    ordered = [places[i] for i in order]
    assert all(b - a >= gap - 1e-9 for a, b in itertools.pairwise(ordered))
    assert ordered[0] >= -1e-9
    assert ordered[-1] <= 100 + 1e-9
    if all(abs(a - b) >= gap for a, b in itertools.combinations(values, 2)):
        assert places == pytest.approx(values, abs=1e-9)
