"""Effects over protocols and their combined evidence, against values worked out by hand."""

from __future__ import annotations

import pytest

from fernoise_bench.results.analysis.meta import Effect, combine, groups_of, metas, signed_z, stouffer, two_sided
from fernoise_bench.results.analysis.view import Rows

from ..claimed import au_runs, runs

SIX = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]  # ahead in every pair: p = 2 / 2^6 = 0.03125, z = 2.153875


def against(ahead, base=0.5, **trial):
    """Records of "mine" and "elr" by seed."""
    mine = runs([base + each for each in ahead], method="mine", **trial)
    return [*mine, *runs([base] * len(ahead), method="elr", **trial)]


def test_a_p_becomes_a_score_with_the_sign_of_the_difference():
    assert signed_z(0.02, 0.05) == pytest.approx(1.959964, abs=1e-6)
    assert signed_z(-0.02, 0.3173105) == pytest.approx(-1, abs=1e-6)
    assert signed_z(0.02, 1.0) == 0
    with pytest.raises(ValueError, match="p must be"):
        signed_z(0.02, 0.0)


def test_stouffer_adds_scores_and_divides_by_the_root_of_their_number():
    assert stouffer([1.2, 2.0, -0.5]) == pytest.approx(1.558846, abs=1e-6)  # 2.7 / √3
    assert stouffer([1.7]) == pytest.approx(1.7)
    assert two_sided(-1.959964) == pytest.approx(0.05, abs=1e-6)
    with pytest.raises(ValueError, match="no scores"):
        stouffer([])


def test_protocols_that_share_a_data_set_are_together_directly_or_not():
    data = {"a": ("x",), "b": ("y",), "c": ("x", "y"), "d": ("z",)}
    assert sorted(map(sorted, groups_of(data))) == [["a", "b", "c"], ["d"]]


def test_protocols_of_one_group_count_as_one_score():
    """z: 1.95996 and 0 in one group, so 0.97998; −1 in the other: −0.02002 / √2."""
    effects = [Effect("a", 0.02, 8, 0.05), Effect("b", 0.04, 8, 1.0), Effect("c", -0.03, 8, 0.3173105)]
    found = combine(effects, (("a", "b"), ("c",)))
    assert found.mean == pytest.approx(0.01)
    assert found.z == pytest.approx(-0.014156, abs=1e-5)
    assert found.p == pytest.approx(0.98871, abs=1e-5)
    assert found.ahead == 2


def test_independent_protocols_strengthen_the_evidence_and_shared_faces_do_not():
    """(2.153875 + 2.153875) / √2 = 3.046039 for two groups; three protocols taken as independent would give 3.73."""
    records = [each for name in ("fer2013-real", "ferplus-sym", "rafdb-sym") for each in against(SIX, protocol=name)]
    (meta,) = metas(records)
    assert meta.methods == ("mine", "elr")
    assert sorted(map(len, meta.groups)) == [1, 2]
    found, mirrored = meta.combined["mine", "elr"], meta.combined["elr", "mine"]
    assert found.mean == pytest.approx(0.035)
    assert found.z == pytest.approx(3.046039, abs=1e-5)
    assert found.p == found.adjusted == pytest.approx(0.002319, abs=1e-6)
    assert (mirrored.mean, mirrored.z, mirrored.p) == (-found.mean, -found.z, found.p)
    assert mirrored.effects[0].difference == -found.effects[0].difference
    assert (found.ahead, mirrored.ahead, found.mark) == (3, 0, "**")


def test_holm_is_over_all_pairs_of_methods():
    """p of 2/64 for each of three pairs, all ahead of the next: the smallest three times, so 0.09375 for all."""
    scores = {"a": 0.7, "b": 0.6, "c": 0.5}
    records = [one for name, base in scores.items() for one in runs([base + each for each in SIX], method=name)]
    (meta,) = metas([r for r in records if r.identity.seed < 6])
    assert meta.methods == ("a", "b", "c")
    assert {round(each.adjusted, 5) for each in meta.combined.values()} == {0.09375}
    assert {each.mark for each in meta.combined.values()} == {"*"}


def test_levels_of_a_protocol_are_averaged_and_only_common_protocols_count():
    levels = [one for level, more in ((0.2, 0.0), (0.4, 0.04)) for one in against([more + e for e in SIX], level=level)]
    records = [*levels, *runs([0.9] * 6, protocol="affectnet-sym", method="mine")]
    (meta,) = metas(records)
    (effect,) = meta.combined["mine", "elr"].effects
    assert effect.protocol == "rafdb-sym@1"
    assert effect.difference == pytest.approx(0.055)
    assert effect.pairs == 6
    assert meta.left_out == ("affectnet-sym@1",)


def test_settings_and_metrics_are_never_mixed_and_single_pairs_are_left_out():
    records = [*against(SIX), *against(SIX, source="generated"), *against(SIX[:1], protocol="fer2013-real")]
    records += [*au_runs(0.8, method="recot"), *au_runs(0.6, method="mixup")]
    found = metas(records, Rows({"mine": "Ours"}))
    assert [(meta.setting.source, meta.metric) for meta in found] == [
        *(("real", "accuracy"), ("real", "F1"), ("generated", "accuracy"))
    ]
    assert found[0].left_out == ("fer2013-real@1",)
    assert found[0].labels["mine"] == "Ours"
    assert metas(against(SIX[:1])) == ()


def test_action_units_are_judged_by_subjects():
    (meta,) = metas([*au_runs(0.8, method="recot"), *au_runs(0.6, method="mixup")])
    (effect,) = meta.combined["recot", "mixup"].effects
    assert effect.pairs == 2  # a sign-flip test of two pairs could not give less than 0.5
    assert effect.p == pytest.approx(2 / 1001)
