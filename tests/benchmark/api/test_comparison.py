"""Paired differences as a data frame: the numbers of `table PROTOCOL --against METHOD`."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import pytest
from click.testing import CliRunner

import fernoise_bench as fb
from fernoise_bench.benchmark.cli import main
from fernoise_bench.results.records import reference_leaderboard as shipped

from ...conftest import REFERENCE
from ...results.fabricate import Trial
from ...results.tables.test_protocol_tables import made

ELR = [0.50, 0.52, 0.54, 0.56, 0.58, 0.60]
AHEAD = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]  # in every pair: p = 2 / 2^6


def trials(**scores: list[float]) -> list:
    return [made(Trial(method=name, seed=seed), s) for name, values in scores.items() for seed, s in enumerate(values)]


def toy() -> list:
    return trials(
        elr=ELR,
        mine=[a + b for a, b in zip(ELR, AHEAD, strict=True)],
        gce=[a + b for a, b in zip(ELR, [0.01, -0.01] * 3, strict=True)],
    )


def test_differences_are_paired_and_holm_is_over_the_methods_named() -> None:
    """mine: mean +3.5, ahead in 6 of 6, p 2/64, twice that after Holm over two methods; alone it stays."""
    found = fb.compare(toy(), "ferplus-sym", ["mine", "gce"], "elr").set_index("method")
    mine = found.loc["mine"]
    assert (mine["difference"], mine["sd"]) == pytest.approx((3.5, 1.8708287))
    assert (mine["low"], mine["high"]) == pytest.approx((1.0, 6.0))
    assert (mine["pairs"], mine["pairs_wanted"], mine["ahead"], mine["noise"]) == (6, 6, 6, 0.2)
    assert (mine["p"], mine["p_holm"], mine["test"]) == (2 / 64, 4 / 64, "pairs")
    assert (found.loc["gce", "ahead"], found.loc["gce", "p"]) == (3, 1.0)
    assert list(found.index) == ["mine", "gce"]  # as named
    alone = fb.compare(toy(), "ferplus-sym", "mine", "elr")
    assert alone["p_holm"].tolist() == [2 / 64]
    assert set(fb.compare(toy(), "ferplus-sym", against="elr")["method"]) == {"mine", "gce"}


def test_what_cannot_be_computed_is_nan() -> None:
    (row,) = fb.compare(trials(elr=[0.5], mine=[0.6]), "ferplus-sym", "mine", "elr").to_dict("records")
    assert row["difference"] == pytest.approx(10.0)
    assert all(math.isnan(row[name]) for name in ("sd", "low", "high"))
    assert not row["can_decide"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ferplus-sim", "mine", "elr"), "did you mean ferplus-sym?"),
        (("ferplus-sym", "mne", "elr"), "did you mean mine?"),
        (("ferplus-sym", "mine", "erl"), "did you mean elr?"),
        (("ferplus-sym", "elr", "elr"), "name a method to compare with elr"),
    ],
)
def test_names_that_nothing_has(arguments: tuple[str, str, str], told: str) -> None:
    with pytest.raises(fb.BadInput) as error:
        fb.compare(toy(), *arguments)
    assert told in str(error.value)


def test_trials_of_several_settings_are_refused() -> None:
    others = [made(Trial(method="mine", profile="paper"), 0.9)]
    with pytest.raises(fb.BadInput, match="differ in: profile"):
        fb.compare([*toy(), *others], "ferplus-sym", "mine", "elr")


def test_what_ships_has_rows_for_each_profile() -> None:
    others = [made(Trial(method=name, profile="paper"), skill) for name, skill in (("mine", 0.9), ("elr", 0.8))]
    every = [replace(record, shipped=True) for record in (*toy(), *others)]
    found = fb.compare(every, "ferplus-sym", "mine", "elr")
    assert sorted(set(found["profile"])) == ["paper", "small"]
    for profile, alone in found.groupby("profile"):
        same = fb.compare([each for each in every if each.identity.profile == profile], "ferplus-sym", "mine", "elr")
        assert alone["difference"].tolist() == same["difference"].tolist()


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(fb.BadInput, match="unknown selection rule 'best'"):
        fb.compare(toy(), "ferplus-sym", "mine", "elr", rule="best")


@pytest.mark.parametrize(
    ("protocol", "methods", "against"),
    [("fer2013-real", "gce,cocuring", "elr"), ("disfa-3fold-plain", "rhls,mixup", "ensemble")],
)
def test_the_numbers_are_those_of_the_table(
    protocol: str, methods: str, against: str, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "FOLDER", REFERENCE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    command = ["table", protocol, "--against", against, "--method", methods, "--format", "csv", "--profile", "small"]
    printed = {row["method"]: row for row in csv.DictReader(io.StringIO(CliRunner().invoke(main, command).stdout))}
    found = fb.compare(fb.load_records(reference=True).select(profile="small"), protocol, methods.split(","), against)
    assert sorted(found["method"]) == sorted(printed)
    for row in found.to_dict("records"):
        cells = printed[row["method"]]
        apart = row["test"] == "subjects"
        interval = "95% by subjects" if apart else "95% interval"
        assert row["difference"] == float(cells[f"− {against}"])
        assert (row["low"], row["high"]) == (float(cells[f"{interval} low"]), float(cells[f"{interval} high"]))
        assert row["ahead"] == float(cells["pairs ahead"])
        assert row["p_holm"] == float(cells["p by subjects (Holm)" if apart else "p (Holm)"])
        assert row["p_pairs_holm"] == float(cells["p by pairs (Holm)" if apart else "p (Holm)"])


def test_several_rivals_are_families_of_their_own() -> None:
    records = toy()
    together = fb.compare(records, "ferplus-sym", "mine", ["elr", "gce"])
    assert together["against"].tolist() == ["elr", "gce"]
    apart = [fb.compare(records, "ferplus-sym", "mine", rival) for rival in ("elr", "gce")]
    assert together["p_holm"].tolist() == [found["p_holm"].item() for found in apart]
    with pytest.raises(fb.BadInput, match="not a data frame"):
        fb.compare(fb.Records(records).to_frame(), "ferplus-sym", "mine", "elr")
