from __future__ import annotations

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.plots.rank_diagram import draw_ranking, ranking_of
from fernoise_bench.results.tables.rank_tables import Agreement, RankSetting, agreements, answers, rank_tables

from ..fabricate import Trial
from .test_protocol_tables import column, made, texts

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
    assert "Noise 0.2: mean ranks differ significantly if over 3.0 apart; 4 (seed, draw) pairs." in ranks.notes
    assert texts(ranks)[4][4] == "b"
    assert texts(family) == [["cocuring", "+5.00 ± 0.00", "4 of 4", "0.125", "0.125"]]
    assert any("cannot reach p < .05" in note for note in family.notes)
    assert texts(agreement) == [
        ["ferplus-sym, noise 0.2", "ferplus-sym, noise 0.4", "5", "1.00", "1.00 to 1.00", "1.00"]
    ]


def test_too_few_pairs_are_said_to_tell_nothing():
    ranks, *_ = rank_tables(trials(seeds=2, levels=(0.2,)))
    assert {cell.text for cell in column(ranks, "group")} == {"a"}
    assert "2 (seed, draw) pairs are too few for any two of these methods to differ significantly." in ranks.notes


def test_a_note_starts_with_a_capital():
    ranks, *_ = rank_tables(trials(seeds=4, levels=(0.2,)))
    # Nemenyi: 2.728 · √(5 · 6 / (6 · 4)) = 3.05
    assert "Mean ranks differ significantly if over 3.0 apart; 4 (seed, draw) pairs." in ranks.notes


def test_one_seed_ranks_nothing():
    ranks, *_ = rank_tables(trials(seeds=1, levels=(0.2,)))
    assert [row[1:] for row in texts(ranks)] == [[method, "–", "–", "–"] for method in sorted(METHODS)]
    assert all(cell.value is None for name in ("mean rank", "first") for cell in column(ranks, name))
    assert "One seed: no ranking; 2 (seed, draw) pairs are needed, found 1." in ranks.notes


def test_other_protocols_are_correlated_where_they_are_of_the_same_setting():
    real = trials("fer2013-real", (None,), turn=True)
    alien = trials("affectnet-auto", (None,), profile="smoke")
    mixed = [*trials("rafdb-sym", (0.2,)), *trials("rafdb-sym", (0.2,), settings={"precision": "bf16"})]
    own = trials(levels=(0.4,))
    *_, agreement = rank_tables(own, others=[*own, *real, *alien, *mixed])
    assert texts(agreement) == [["ferplus-sym, noise 0.4", "fer2013-real", "5", "−1.00", "−1.00 to −1.00", "−1.00"]]


def test_synthetic_against_real_noise_comes_first_and_is_answered():
    own = trials(levels=(0.2, 0.4))
    *_, agreement = rank_tables(own, others=[*own, *trials("fer2013-real", (None,), turn=True)])
    assert [row[:2] for row in texts(agreement)] == [
        ["ferplus-sym, noise 0.2", "fer2013-real"],
        ["ferplus-sym, noise 0.4", "fer2013-real"],
        ["ferplus-sym, noise 0.2", "ferplus-sym, noise 0.4"],
    ]
    assert agreement.notes[0] == (
        "Ranks under synthetic noise at 0.2, 0.4 (ferplus-sym) and under real noise (fer2013-real) are reversed: "
        "τ −1.00 [−1.00, −1.00] over 5 methods."
    )
    *_, alone = rank_tables(own)
    assert alone.notes[0].startswith("These settings do not include both synthetic and real noise")


def test_the_answer_is_cannot_tell_where_the_interval_or_the_seeds_do_not_tell():
    def answer(values, other, **more):
        left = RankSetting("a, noise 0.4", "accuracy", values, "synthetic", "0.4", **{"pairs": 8, **more})
        (found,) = agreements([left], [RankSetting("b", "accuracy", other, "real", "real noise", 8)])
        (sentence,) = answers([found])
        return sentence

    six = {name: float(place) for place, name in enumerate("abcdef")}
    mixed = dict(zip(six, (3.0, 0.0, 5.0, 1.0, 4.0, 2.0), strict=True))
    # of 15 pairs of methods: 8 in the same order, 7 in the other
    start = "Ranks under synthetic noise at 0.4 (a) and under real noise (b)"
    assert answer(six, six) == f"{start} agree: τ 1.00 [1.00, 1.00] over 6 methods."
    assert answer(six, mixed).startswith(f"{start}: cannot tell from 6 methods (τ 0.07 [−")
    four = {name: six[name] for name in "abcd"}
    assert answer(four, four).startswith(f"{start}: cannot tell from 4 methods")  # this order by chance: 2 in 4!
    assert answer(six, six, pairs=1).startswith(f"{start}: cannot tell from one seed")
    own = [
        RankSetting("a, noise 0.2", "accuracy", six, "synthetic"),
        RankSetting("a, noise 0.4", "accuracy", six, "synthetic"),
    ]
    assert answers(agreements(own, []))[0].startswith("These settings do not include")


def test_answers_are_one_sentence_for_the_levels_that_have_one():
    def one(level, tau, low, high):
        left, right = f"a, noise {level}", "b"
        return Agreement(left, right, 9, tau, low, high, tau, "a", level, "real noise (b)", families=9, pairs=8)

    found = answers([one("0.1", 0.7, 0.4, 0.9), one("0.2", 0.1, -0.3, 0.5), one("0.4", 0.6, 0.2, 0.8)])
    assert found == (
        "Ranks under synthetic noise at 0.1, 0.4 (a) and under real noise (b) agree: "
        "τ 0.60 to 0.70 [0.20, 0.90] over 9 methods.",
        "Ranks under synthetic noise at 0.2 (a) and under real noise (b): cannot tell from 9 methods "
        "(τ 0.10 [−0.30, 0.50] over 9 methods).",
    )


def test_generated_faces_have_no_real_noise():
    real = trials("fer2013-real", (None,), source="generated")
    own = trials(levels=(0.4,), source="generated")
    *_, agreement = rank_tables(own, others=[*own, *real])
    assert "under noise drawn as the real one is (fer2013-real)" in agreement.notes[0]


def test_labels_of_votes_that_are_all_right_are_no_noise():
    """Whether the labels of all votes are noisy depends on the data: FER+'s are not, CREMA-D's are."""
    own = trials(levels=(0.4,))

    def told(protocol, realised):
        human = trials(protocol, (None,), realised=realised)
        *_, agreement = rank_tables(own, others=[*own, *human])
        return agreement.notes[0]

    assert told("ferplus-votes:all", 0.0).startswith("These settings do not include both synthetic and real noise")
    assert "and under real noise (ferplus-votes:all)" in told("ferplus-votes:all", 0.055)
    assert "and under real noise (cremad-face:majority)" in told("cremad-face:majority", 0.293)
    assert "and under real noise (ferplus-votes:all)" in told("ferplus-votes:all", None)  # a record that does not tell


def test_agreement_needs_four_methods_that_finished_every_pair():
    three = dict.fromkeys("abc", 0.5)
    assert agreements([RankSetting("x", "accuracy", three)], [RankSetting("y", "accuracy", three)]) == ()
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
    assert title == "ferplus-sym@1: mean ranks by accuracy, last epoch, all levels, small profile, real faces"
    assert "epoch best on test (oracle)" in ranking_of(trials(), rule="oracle")[0]
    assert ranking.labels == METHODS[::-1]
    assert "noise 0.4" in ranking_of(trials(), level=0.4)[0]
    assert "levels" not in ranking_of(trials("fer2013-real", (None,)))[0]


def test_what_cannot_be_ranked_is_refused():
    with pytest.raises(BadInput, match=r"no trials at noise 0\.3: choose one of 0\.2, 0\.4"):
        ranking_of(trials(), level=0.3)
    with pytest.raises(BadInput, match="fewer than two methods"):
        ranking_of([record for record in trials() if record.method == "elr"])
    with pytest.raises(BadInput, match=r"^one seed: no ranking; a diagram needs 2"):
        ranking_of(trials(seeds=1))


@pytest.mark.parametrize("seeds", [2, 12])
def test_the_diagram_names_every_method_once(tmp_path, seeds):
    title, ranking = ranking_of(trials(levels=(0.4,), seeds=seeds))
    for name in ("one.svg", "two.svg"):
        draw_ranking(title, ranking, tmp_path / name)
    drawn = (tmp_path / "one.svg").read_text()
    assert drawn == (tmp_path / "two.svg").read_text()
    for label in METHODS:
        assert drawn.count(label) == 1
    assert ("no two of these methods differ significantly" in drawn) == (seeds == 2)
