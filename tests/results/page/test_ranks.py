"""The page's rank tables and diagrams are the tables' own numbers, and a single pair has neither."""

from __future__ import annotations

import pytest

from fernoise_bench.results.analysis.grouping import blocks
from fernoise_bench.results.analysis.ranking import critical_difference
from fernoise_bench.results.analysis.view import Expected, view_of
from fernoise_bench.results.page.ranks import agreements_across, diagrams, noise_agreement, ranks_of_block
from fernoise_bench.results.records.record import load_records
from fernoise_bench.results.tables.rank_tables import agreements_with, rank_tables

from ..fabricate import Trial, fabricate_all

METHODS = ("supervised", "ensemble", "cocuring", "nct", "scn")


def trials(protocol, *, seeds, levels=(0.2, 0.4), **options):
    return [
        Trial(method=method, protocol=protocol, level=level, seed=seed, skill=0.3 + place / 9, rows=120, **options)
        for place, method in enumerate(METHODS)
        for level in levels
        for seed in range(seeds)
    ]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    made = trials("ferplus-sym", seeds=3) + trials("fer2013-real", seeds=2, levels=(None,))
    made += trials("rafdb-sym", seeds=1) + trials("affectnet-sym", seeds=2, levels=(0.2,), profile="smoke")
    fabricate_all(out, made)
    return load_records(out)[0]


@pytest.fixture(scope="module")
def views(records):
    names = dict.fromkeys(record.protocol for record in records)
    return {name: view_of(blocks([r for r in records if r.protocol == name])[0], Expected()) for name in names}


def of(views, name):
    across = dict(zip(views, agreements_across(list(views.values())), strict=True))
    return ranks_of_block(views[name], across[name])


def texts(table):
    return sorted(tuple(cell.text for cell in row) for row in table.rows)


def test_other_protocols_are_correlated_as_on_the_command_line(records, views):
    own = [record for record in records if record.protocol == "ferplus-sym"]
    *expected, agreement = rank_tables(own, others=records)
    *found, mine = of(views, "ferplus-sym")
    assert [texts(table) for table in found] == [texts(table) for table in expected]
    assert (mine.title, mine.columns, texts(mine)) == (agreement.title, agreement.columns, texts(agreement))
    assert {row[1].text for row in mine.rows} >= {"fer2013-real", "rafdb-sym, noise 0.4", "ferplus-sym, noise 0.4"}
    assert "affectnet" not in str(texts(mine))  # another profile
    assert mine.rows[0][1].text == "fer2013-real"  # synthetic against real noise first
    assert set(agreement.notes) <= set(mine.notes)
    assert any(note.startswith("Ranks under synthetic noise at 0.2") for note in mine.notes)


def test_synthetic_and_real_noise_are_compared_once_with_the_tables_numbers(records, views):
    every = list(views.values())
    found = noise_agreement(every, agreements_across(every))
    pairs = [(each["synthetic"], each["real"]) for each in found]
    assert len(set(pairs)) == len(pairs)
    assert {("ferplus-sym, noise 0.2", "fer2013-real"), ("ferplus-sym, noise 0.4", "fer2013-real")} <= set(pairs)
    tables = {each.left: each for each in agreements_with(views["ferplus-sym"], records, "last") if each.question}
    for each in (each for each in found if each["made"] == "ferplus-sym"):
        wanted = tables[each["synthetic"]]
        assert (each["tau"], each["answer"]) == (pytest.approx(wanted.tau, abs=1e-4), wanted.answer)
        assert [each["low"], each["high"]] == pytest.approx([wanted.low, wanted.high], abs=1e-4)
        assert each["methods"] == len(METHODS)


def compared_in(out, made):
    """What the page's comparison of the noises says of fabricated trials."""
    fabricate_all(out, made)
    records = load_records(out)[0]
    names = dict.fromkeys(record.protocol for record in records)
    views = [view_of(blocks([r for r in records if r.protocol == name])[0], Expected()) for name in names]
    return noise_agreement(views, agreements_across(views))


def test_twins_of_one_data_set_come_first(tmp_path):
    twin = [each for each in trials("ferplus-votes:1-symmetric", seeds=2, levels=(None,)) if each.method != "scn"]
    votes = trials("ferplus-votes:1", seeds=2, levels=(None,))
    found = compared_in(tmp_path, [*trials("ferplus-sym", seeds=2, levels=(0.4,)), *votes, *twin])
    assert [each["synthetic"] for each in found] == ["ferplus-votes:1-symmetric", "ferplus-sym, noise 0.4"]
    assert (found[0]["answer"], found[0]["sure"]) == ("cannot tell from 4 methods", False)
    assert found[1]["sure"]


def test_generated_faces_say_nothing_about_people(tmp_path):
    made = trials("ferplus-sym", seeds=2, source="generated")
    assert not compared_in(tmp_path, [*made, *trials("fer2013-real", seeds=2, levels=(None,), source="generated")])


def test_a_protocol_with_several_keys_is_compared_with_nobody(views):
    once = list(views.values())
    twice = agreements_across([*once, views["rafdb-sym"]])
    assert not any("rafdb" in each.right for found in twice for each in found)
    assert any("ferplus" in each.right for each in twice[-1])


def test_a_diagram_for_each_setting_with_its_critical_difference(views):
    table, *_ = of(views, "ferplus-sym")
    found = diagrams(table, views["ferplus-sym"])
    assert [each["setting"] for each in found] == ["noise 0.2", "noise 0.4", "all levels"]
    for each in found:
        assert each["pairs"] == 3
        assert each["critical"] == pytest.approx(critical_difference(len(METHODS), 3), abs=1e-4)
        ranks = [method["rank"] for method in each["methods"]]
        assert ranks == sorted(ranks)
        assert all(ranks[last] - ranks[first] <= each["critical"] + 1e-4 for first, last in each["bars"])
    (alone,) = diagrams(of(views, "fer2013-real")[0], views["fer2013-real"])
    assert alone["setting"] == ""


def test_one_pair_ranks_nothing(views):
    tables = of(views, "rafdb-sym")
    assert not any("mean rank" in table.columns for table in tables)
    assert [each for table in tables for each in diagrams(table, views["rafdb-sym"])] == []
