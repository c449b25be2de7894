from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from fernoise_bench.protocols.catalog import PROTOCOLS
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.files import read_arrays
from fernoise_bench.results.metrics import accuracy_of
from fernoise_bench.results.papers.figure_panels import paper_figure
from fernoise_bench.results.papers.figures import DRAWINGS, FIGURES, asked, commands, find_figure, pairs_remark
from fernoise_bench.results.plots.panels import Bars, Histogram, Line, Lines, Matrix, Panels, draw_panels, shares_of
from fernoise_bench.results.records.record import load_records

from ..fabricate import Trial, fabricate_all

AU = {"kind": "multi", "level": None, "copies": 0, "source": "generated"}
DISFA = replace(Trial(protocol="disfa-3fold-plain", **AU))


def loaded(root, trials):
    fabricate_all(root, trials)
    found, damaged = load_records(root)
    assert not damaged
    return found


def drawn(records, name, root=Path(), **options):
    return paper_figure(records, name, lambda record: read_arrays(root / record.folder / "predictions.npz"), **options)


# --- the catalogue


@pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)
def test_a_figure_is_of_protocols_and_methods_that_exist(figure):
    from fernoise_bench.benchmark.registry import find

    for name, method in asked(figure):
        protocol = PROTOCOLS[name]
        assert not find(method).missing(protocol, protocol.offers | {"aux"})
        assert figure.level is None or figure.level in protocol.levels
        assert not figure.au or figure.au in protocol.names
    assert {name for name, _ in figure.names} <= set(figure.methods)
    assert not figure.points or figure.axis


def test_the_figures_are_those_of_the_papers():
    by_number = {name for name in FIGURES if "-fig" in name}
    for paper, numbers in {"cocuring": range(1, 7), "ulcag": range(1, 8), "rhls": range(1, 5), "recot": (1, 2)}.items():
        assert {f"{paper}-fig{n}" for n in numbers} == {n for n in {*by_number, *DRAWINGS} if n.startswith(paper)}


def test_a_drawing_shows_no_measurement():
    with pytest.raises(BadInput, match=r"illustration of the method: there is nothing to measure; .*: cocuring-fig2, "):
        find_figure("cocuring-fig1")
    with pytest.raises(BadInput, match="did you mean cocuring-fig"):
        find_figure("cocuring-fig9")


def test_commands_are_one_a_protocol():
    assert commands(asked(FIGURES["cocuring-fig4"]), " --noise 0.4") == (
        "fernoise-bench run --protocol rafdb-sym --method ensemble --method cocuring --noise 0.4",
    )
    assert [line.split()[3] for line in commands(asked(FIGURES["ulcag-fig5"]), "")] == ["rafdb-sym", "affectnet7-sym"]
    assert "no-auxiliary" not in "".join(commands(asked(FIGURES["ulcag-fig5"]), ""))


# --- panels from records


def test_curves_by_epoch_with_their_spread(tmp_path):
    found = loaded(tmp_path, [Trial(method=m, seed=s, level=0.4) for m in ("cocuring", "ensemble") for s in (0, 1)])
    panels, missing = drawn(found, "cocuring-fig5")
    assert missing == ()
    assert panels.title == "Co-curing, Fig. 5: Accuracy by epoch on FERPlus [measured: small profile, real faces]"
    (panel,) = panels.panels
    assert [line.label for line in panel.lines] == ["Baseline", "Co-curing"]
    values = [[100 * accuracy_of(line.test.confusion) for line in r.epochs] for r in found if r.method == "ensemble"]
    assert panel.lines[0].y == pytest.approx(np.mean(values, axis=0).tolist())
    assert panel.lines[0].spread == pytest.approx(np.std(values, axis=0, ddof=1).tolist())
    assert panel.lines[0].x == (1, 2, 3, 4, 5, 6)


def test_what_is_missing_is_named_with_its_command(tmp_path):
    found = loaded(tmp_path, [Trial(method="cocuring", level=0.4), Trial(method="ensemble", level=0.4, state="failed")])
    panels, missing = drawn(found, "cocuring-fig5")
    assert panels.remarks == (
        "One (seed, draw) pair: no bands.",
        "Not finished: ensemble on ferplus-sym.",
    )
    assert missing == (
        "fernoise-bench run --protocol ferplus-sym --method ensemble --noise 0.4 --profile small --seeds 1",
    )


@pytest.mark.parametrize("name", FIGURES)
def test_without_records_it_says_what_to_run(name):
    with pytest.raises(
        BadInput, match=rf"^{name}: there are no finished trials .* fernoise-bench run --protocol .*--synthetic"
    ):
        drawn([], name)


def test_confusions_are_summed_over_trials(tmp_path):
    found = loaded(tmp_path, [Trial(method="cocuring", level=0.0, seed=seed) for seed in (0, 1)])
    panels, missing = drawn(found, "cocuring-fig2")
    (panel,) = panels.panels
    counts = sum(np.array(r.epochs[-1].test.confusion) for r in found)
    assert panel.title == "cocuring, ferplus-sym, noise 0 (2 trials)"
    np.testing.assert_allclose(panel.shares, 100 * counts / counts.sum(axis=1, keepdims=True))
    assert [line.split()[3] for line in missing] == ["rafdb-sym", "affectnet-sym"]


def test_another_level_and_another_protocol_are_said(tmp_path):
    found = loaded(tmp_path, [Trial(method="ulc_ag:no-auxiliary", level=0.4)])
    panels, missing = drawn(found, "ulcag-fig7", protocol="ferplus-sym", level=0.4)
    assert "on ferplus-sym, not the paper's data, noise 0.4, not the paper's" in panels.title
    assert panels.panels[0].title.startswith("ulc_ag:no-auxiliary, ferplus-sym, noise 0.4")
    assert missing == ()
    with pytest.raises(BadInput, match="--protocol ferplus-sym --method ulc_ag --noise 0 --profile small"):
        drawn(found, "ulcag-fig7", protocol="ferplus-sym")


def test_a_protocol_without_levels_is_drawn_as_it_is(tmp_path):
    found = loaded(tmp_path, [Trial(method="cocuring", protocol="affectnet-auto", level=None)])
    assert drawn(found, "cocuring-fig3")[0].panels[0].title.startswith("cocuring, affectnet-auto (1 trial)")


def test_the_beta_sweep_has_a_line_a_beta_over_levels(tmp_path):
    trials = [
        Trial(method=method, protocol="rafdb-sym", level=level, seed=seed)
        for method in ("cocuring", "cocuring:beta-6")
        for level in (0.0, 0.4)
        for seed in (0, 1)
    ]
    panels, missing = drawn(loaded(tmp_path, trials), "cocuring-fig6")
    (panel,) = panels.panels
    assert [(line.label, line.x) for line in panel.lines] == [("β = 0.65", (0.0, 0.4)), ("β = 6", (0.0, 0.4))]
    assert "--method cocuring:beta-1" in missing[0]
    assert "--method cocuring " not in f"{missing[0]} "
    assert panels.remarks[0] == ("Means over 2 (seed, draw) pairs; bands: ± standard deviation (n − 1) over pairs.")


def test_a_mean_over_finished_trials_only_says_so(tmp_path):
    trials = [
        Trial(method="cocuring", protocol="rafdb-sym", level=level, seed=seed, state=state)
        for level, seed, state in ((0.0, 0, "done"), (0.0, 1, "done"), (0.4, 0, "done"), (0.4, 1, "failed"))
    ]
    panels, _ = drawn(loaded(tmp_path, trials), "cocuring-fig6")
    assert [line.label for line in panels.panels[0].lines] == ["β = 0.65 (pairs missing)"]
    assert panels.remarks[0].startswith("Means over 1 to 2 (seed, draw) pairs")


@pytest.mark.parametrize(
    ("kind", "counts", "words"),
    [
        ("confusion", {3}, "All trials of 3 (seed, draw) pairs pooled."),
        ("confusion", {1}, "All trials of 1 (seed, draw) pair pooled."),
        ("rates", {3}, "Test labels of one (seed, draw) pair, all folds pooled: they are the same for every pair."),
        ("epochs", {1}, "One (seed, draw) pair, the mean over its folds: no bands."),
        ("epochs", {8}, "Means over 8 (seed, draw) pairs, each"),
    ],
)
def test_what_stands_behind_a_figure(kind, counts, words):
    assert pairs_remark(kind, counts, has_folds=True).startswith(words)


def test_the_views_of_recot_have_a_sweep(tmp_path):
    folds = PROTOCOLS["emotionet-3split"].folds
    trials = [
        Trial(protocol="emotionet-3split", method=method, fold=fold, skill=skill, **AU)
        for method, skill in (("recot:view1", 0.5), ("recot:view2", 0.6), ("recot", 0.8))
        for fold in folds
    ]
    panels, missing = drawn(loaded(tmp_path, trials), "recot-views")
    (panel,) = panels.panels
    measured, reported = panel.lines
    assert panel.ticks == ("view 1", "view 2", "average")
    assert (measured.x, reported.y, missing) == ((0.0, 1.0, 2.0), (70.0, 70.1, 70.6), ())
    assert measured.y[0] < measured.y[2]


def test_the_methods_own_recipes_are_drawn_when_asked_for(tmp_path):
    own = {"level": 0.4, "recipe": "native"}
    trials = [
        Trial(method="cocuring", settings={"recipe": {"batch_size": 256}}, skill=0.9, **own),
        Trial(method="ensemble", settings={"recipe": {"batch_size": 32}}, **own),
        Trial(method="cocuring", level=0.4, skill=0.1),
    ]
    panels, missing = drawn(loaded(tmp_path, trials), "cocuring-fig5", recipe="native")
    assert [line.label for line in panels.panels[0].lines] == ["Baseline", "Co-curing"]
    assert "native recipe" in panels.title
    assert "Each method uses its own paper's recipe: methods are not comparable with each other." in panels.remarks
    assert missing == ()


def test_a_sweep_has_a_place_for_each_point(tmp_path):
    tune = PROTOCOLS["disfa-3fold-plain:tune"]
    trials = [
        replace(DISFA, protocol=tune.name, method=f"rhls:beta-{beta}", fold=fold, epochs=2, rows=20)
        for beta in ("0.25", "1")
        for fold in tune.folds
    ]
    found = loaded(tmp_path, [*trials, replace(trials[0], method="rhls:beta-0")])  # one of 18 folds is no pair
    panels, _ = drawn(found, "rhls-fig3")
    (panel,) = panels.panels
    assert panel.ticks == ("0", "0.25", "0.5", "0.75", "1")
    assert panel.lines[0].x == (1.0, 4.0)
    assert "rhls:beta-0 on" in panels.remarks[1]


def test_a_sweep_over_protocols_shows_what_is_printed_beside(tmp_path):
    folds = PROTOCOLS["emotionet-3split"].folds
    trials = [
        Trial(protocol=protocol, method="recot", fold=fold, **AU)
        for protocol in ("emotionet-3split:noisy-10k", "emotionet-3split")
        for fold in folds
    ]
    found = loaded(tmp_path, trials)
    panels, missing = drawn(found, "recot-noisy-set")
    measured, reported = panels.panels[0].lines
    assert (measured.x, reported.y) == ((0.0, 1.0), (69.8, 70.6, 70.2))
    assert measured.y[0] != measured.y[1]
    assert missing == (
        "fernoise-bench run --protocol emotionet-3split:noisy-100k --method recot --synthetic --seeds 1",
    )
    with pytest.raises(BadInput, match="compares protocols"):
        drawn(found, "recot-noisy-set", protocol="emotionet-3split")


def test_one_encoder_is_no_sweep_of_encoders(tmp_path):
    settings = {"recipe": {"encoder": "small"}}
    trials = [
        Trial(protocol=protocol, method="supervised:clean-selective", fold=fold, settings=settings, **AU)
        for protocol in ("emotionet-3split", "emotionet-3split:resnet18")
        for fold in PROTOCOLS["emotionet-3split"].folds
    ]
    with pytest.raises(BadInput, match="one encoder for all protocols; run it with --profile paper"):
        drawn(loaded(tmp_path, trials), "recot-encoder")


def test_rates_are_of_all_folds_together(tmp_path):
    found = loaded(
        tmp_path, [replace(DISFA, fold=fold, seed=s) for fold in ("part1", "part2", "part3") for s in (0, 1)]
    )
    panels, missing = drawn(found, "rhls-fig2")
    (panel,) = panels.panels
    labels = np.concatenate(
        [read_arrays(tmp_path / r.folder / "predictions.npz")["labels"] for r in found if r.pair == (0, 0)]
    )
    expected = [100 * (column > 0).sum() / (column != 0).sum() for column in labels.T]
    assert panel.names == ("AU1", "AU2", "AU12")
    assert panel.groups[0][1] == pytest.approx(expected)
    assert "bp4d-3fold-plain" in missing[0]


def test_histograms_split_by_the_label(tmp_path):
    found = loaded(tmp_path, [replace(DISFA, method="rhls", fold=fold) for fold in ("part1", "part2", "part3")])
    panels, _ = drawn(found, "rhls-fig4", tmp_path)
    (panel,) = panels.panels
    assert panel.title == "Robin Hood label smoothing, AU2"
    arrays = [read_arrays(tmp_path / r.folder / "predictions.npz") for r in found]
    shown, labels = (np.concatenate([each[name][:, 1] for each in arrays]) for name in ("last", "labels"))
    for (_, shares), part in zip(panel.groups, (labels > 0, labels < 0), strict=True):
        assert sum(shares) == pytest.approx(100)
        # made-up probabilities are .1, .5 (unknown as shown) and .9
        assert sum(shares[10:]) == pytest.approx(100 * (shown[part] >= 0.5).mean())


def test_confidences_and_corrections(tmp_path):
    trial = Trial(method="ulc_ag", protocol="rafdb-sym", level=0.3)
    (record,) = loaded(tmp_path, [trial])
    logs = [{"confidence_high": 0.9, "confidence_low": 0.1 * n} for n in range(6)]
    lines = zip(record.epochs, logs, strict=True)
    record = replace(record, epochs=tuple(structs.replace(line, logs=log) for line, log in lines))
    (panel,) = drawn([record], "ulcag-fig5")[0].panels
    assert [line.label for line in panel.lines] == ["high-confidence group", "low-confidence group"]
    assert panel.lines[1].y == pytest.approx([0.1 * n for n in range(6)])
    panels, _ = drawn([record], "ulcag-fig6")
    assert [line.y[0] for line in panels.panels[0].lines] == pytest.approx([10.0, 80.0, 100 / 80])
    assert "neither images nor the confidence of each face" in panels.remarks[1]


def test_settings_are_not_mixed(tmp_path):
    mixed = [Trial(method="cocuring", level=0.4, profile=profile) for profile in ("small", "smoke")]
    with pytest.raises(BadInput, match=r"cannot share a figure, they differ in: profile; choose with --profile$"):
        drawn(loaded(tmp_path / "a", mixed), "cocuring-fig5")
    precise = [Trial(method=m, level=0.4, settings={"precision": m}) for m in ("cocuring", "ensemble")]
    with pytest.raises(BadInput, match=r"differ in: settings\.precision; choose with a --runs folder"):
        drawn(loaded(tmp_path / "b", precise), "cocuring-fig5")
    native = [Trial(method="cocuring", level=0.4), Trial(method="cocuring", level=0.4, recipe="native", skill=0.1)]
    (panel,) = drawn(loaded(tmp_path / "c", native), "cocuring-fig5")[0].panels
    assert len(panel.lines) == 1


# --- drawing


def test_shares_of_rows():
    assert shares_of([[3, 1], [0, 0]])[0] == (75.0, 25.0)
    assert all(map(math.isnan, shares_of([[3, 1], [0, 0]])[1]))


PANELS = (
    Lines(
        "lines", "x", "y", (Line("a", (1, 2), (1, math.nan), (0.1, math.nan)), Line("b", (0, 1), (2, 3), marked=True))
    ),
    Lines("places", "x", "y", (Line("a", (0,), (1,)),), ("first", "second")),
    Matrix("matrix", ("happy", "sad"), ((75.0, 25.0), (math.nan, math.nan))),
    Bars("bars", "%", ("AU1", "AU2"), (("one", (1.0, 2.0)), ("two", (math.nan, 3.0)))),
    Histogram("histogram", "p", (0.0, 0.5, 1.0), (("positive", (10.0, 90.0)),)),
)


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_every_panel_is_drawn_the_same_each_time(tmp_path, kind):
    data = Panels("All kinds", PANELS, ("A remark.", "Another."))
    for name in ("one", "two"):
        draw_panels(data, tmp_path / f"{name}.{kind}")
    content = (tmp_path / f"one.{kind}").read_bytes()
    assert content == (tmp_path / f"two.{kind}").read_bytes()
    if kind == "svg":
        text = content.decode()
        for words in ("All kinds", "A remark.", "matrix", "happy", "second", "histogram", "AU2"):
            assert re.search(rf"<!-- {words} -->", text)
