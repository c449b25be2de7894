from __future__ import annotations

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.rank_figure import draw_ranking, ranking_of
from fernoise_bench.results.rank_tables import Setting, agreements, rank_tables

from .fabricate import Trial
from .test_tables import column, made, texts

METHODS = ("supervised", "ensemble", "cocuring", "nct", "elr")


def trials(protocol="ferplus-sym", levels=(0.2, 0.4), seeds=4, turn=False, **options):
    """Methods in a fixed order of skill, or in the reverse."""
    order = METHODS[::-1] if turn else METHODS
    return [
        made(
            Trial(method=method, protocol=protocol, level=level, seed=seed, **options),
            0.4 + 0.05 * place + 0.001 * seed,
        )
        for place, method in enumerate(order)
        for level in levels
        for seed in range(seeds)
    ]


def test_ranks_by_level_and_over_all():
    ranks, family, agreement = rank_tables(trials())
    assert [cell.text for cell in column(ranks, "setting")][::5] == ["noise 0.2", "noise 0.4", "all levels"]
    assert texts(ranks)[0] == ["noise 0.2", "elr", "1.0", "1.00", "a"]
    assert "Noise 0.2: ranks 3.0 apart differ; 4 (seed, draw) pairs." in ranks.notes
    assert texts(ranks)[4][4] == "b"
    assert texts(family) == [["cocuring", "+5.00 ± 0.00", "4 of 4", "0.125", "0.125"]]
    assert any("cannot reach p < .05" in note for note in family.notes)
    assert texts(agreement) == [
        ["ferplus-sym, noise 0.2", "ferplus-sym, noise 0.4", "5", "1.00", "1.00 to 1.00", "1.00"]
    ]


def test_too_few_pairs_are_said_to_tell_nothing():
    ranks, *_ = rank_tables(trials(seeds=1, levels=(0.2,)))
    assert {cell.text for cell in column(ranks, "group")} == {"a"}
    assert any(
        note.startswith("1 (seed, draw) pair cannot tell any two of so many methods apart") for note in ranks.notes
    )


def test_other_protocols_are_correlated_where_they_are_of_the_same_setting():
    real = trials("fer2013-real", (None,), turn=True)
    alien = trials("affectnet-auto", (None,), profile="smoke")
    mixed = [*trials("rafdb-sym", (0.2,)), *trials("rafdb-sym", (0.2,), settings={"precision": "bf16"})]
    own = trials(levels=(0.4,))
    *_, agreement = rank_tables(own, others=[*own, *real, *alien, *mixed])
    assert texts(agreement) == [["ferplus-sym, noise 0.4", "fer2013-real", "5", "−1.00", "−1.00 to −1.00", "−1.00"]]


def test_agreement_needs_four_methods_that_finished_every_pair():
    three = dict.fromkeys("abc", 0.5)
    assert agreements([Setting("x", "accuracy", three)], [Setting("y", "accuracy", three)]) == ()
    own = [*trials(levels=(0.2, 0.4))]
    broken = [
        made(Trial(method=record.method, level=0.4, seed=3, state="failed"))
        if (record.method, record.level, record.pair) in {("nct", 0.4, (3, 3)), ("elr", 0.4, (3, 3))}
        else record
        for record in own
    ]
    ranks, family = rank_tables(broken)
    assert family.title.startswith("ferplus-sym@1: pre-declared comparisons")
    assert "Noise 0.4: not ranked, pairs are missing: elr, nct." in ranks.notes


def test_without_the_ensemble_there_is_no_family():
    alone = [record for record in trials(levels=(0.4,)) if record.method != "ensemble"]
    (ranks,) = rank_tables(alone)
    assert len(ranks.rows) == 4


def test_several_settings_are_refused_and_printed_apart():
    both = [*trials(levels=(0.4,)), *trials(levels=(0.4,), profile="smoke")]
    with pytest.raises(BadInput, match="differ in: profile"):
        rank_tables(both)
    assert len(rank_tables(both, allow_mixed=True)) == 4


def test_an_unknown_rule():
    with pytest.raises(BadInput, match="did you mean last"):
        rank_tables(trials(), rule="lasst")


# --- the diagram


def test_the_diagram_is_of_all_levels_or_of_one():
    title, ranking = ranking_of(trials())
    assert title == "ferplus-sym@1: mean ranks by accuracy, all levels, small profile, real faces"
    assert ranking.labels == METHODS[::-1]
    assert "noise 0.4" in ranking_of(trials(), level=0.4)[0]
    assert "levels" not in ranking_of(trials("fer2013-real", (None,)))[0]


def test_what_cannot_be_ranked_is_refused():
    with pytest.raises(BadInput, match=r"no trials at noise 0\.3: choose one of 0\.2, 0\.4"):
        ranking_of(trials(), level=0.3)
    with pytest.raises(BadInput, match="fewer than two methods"):
        ranking_of([record for record in trials() if record.method == "elr"])


@pytest.mark.parametrize("seeds", [1, 12])
def test_the_diagram_names_every_method_once(tmp_path, seeds):
    title, ranking = ranking_of(trials(levels=(0.4,), seeds=seeds))
    for name in ("one.svg", "two.svg"):
        draw_ranking(title, ranking, tmp_path / name)
    drawn = (tmp_path / "one.svg").read_text()
    assert drawn == (tmp_path / "two.svg").read_text()
    for label in METHODS:
        assert drawn.count(label) == 1
    assert ("none of these methods can be told apart" in drawn) == (seeds == 1)
