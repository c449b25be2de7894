"""Methods that learn from several labels of each face: a block of their own, not ranked, never the best."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.analysis.grouping import Block
from fernoise_bench.results.analysis.meta import metas
from fernoise_bench.results.analysis.view import Expected, Rows, view_of
from fernoise_bench.results.page.data import page_data
from fernoise_bench.results.plots.rank_diagram import ranking_of
from fernoise_bench.results.tables.against_table import against_table
from fernoise_bench.results.tables.meta_tables import matrix_table, notes_of_meta, rival_table
from fernoise_bench.results.tables.protocol_tables import long_table, protocol_table
from fernoise_bench.results.tables.rank_tables import rank_tables, settings_of
from fernoise_bench.results.tables.render import render

from ..fabricate import Trial
from .test_protocol_tables import made

SCORES = {"cocuring": 0.6, "elr": 0.62, "supervised": 0.5}
VOTES = {"soft_labels": 0.9, "soft_labels:majority": 0.8}
NOTE = "⊕ learns from several annotators' labels of each face, so that it is not ranked with methods of one label"


def found(scores=SCORES, votes=VOTES, levels=(0.2,), **trial):
    """Seven seeds of each method, whose scores differ a little; those of `votes` saw the votes."""
    return [
        made(
            Trial(method=method, level=level, seed=seed, oracle_knowledge=("votes",) * (method in votes), **trial),
            score + 0.001 * ((7 * seed + len(method)) % 5),
        )
        for method, score in {**votes, **scores}.items()
        for level in levels
        for seed in range(7)
    ]


def names(table):
    return [row[0].text for row in table.rows]


def test_they_come_below_the_others_and_are_never_the_best():
    (table,) = protocol_table(found(levels=(0.2, 0.4)))
    assert names(table) == ["cocuring", "elr", "supervised", "soft_labels ⊕", "soft_labels:majority ⊕"]
    assert table.apart == 2
    assert [[cell.best for cell in row[1:3]] for row in table.rows] == [[False] * 2, [True] * 2, *[[False] * 2] * 3]
    assert (table.rows[3][0].printed, table.rows[3][0].flags) == ("soft_labels", "several labels of a face")
    (note,) = [note for note in table.notes if note.startswith("⊕")]
    assert note == f"{NOTE}: soft_labels, soft_labels:majority."
    assert not any("†" in note for note in table.notes)
    (alone,) = protocol_table(found(votes={}))
    assert (alone.apart, [note for note in alone.notes if "⊕" in note]) == (0, [])
    assert protocol_table(found(scores={}))[0].apart == 2


@pytest.mark.parametrize("rows", [Rows(order="rank"), Rows(order="given", given=("soft_labels", "elr"))])
def test_whatever_the_order_of_rows(rows):
    (table,) = protocol_table(found(), Expected(methods=("soft_labels",), rows=rows))
    assert [name.endswith("⊕") for name in names(table)] == [False] * 3 + [True] * 2


def test_the_dagger_is_for_other_knowledge():
    records = [
        made(Trial(method="both", oracle_knowledge=("noise_rate", "votes")), 0.5),
        made(Trial(method="told", oracle_knowledge=("noise_rate",)), 0.5),
    ]
    (table,) = protocol_table(records)
    assert names(table) == ["told †", "both † ⊕"]
    assert any(
        note.endswith("both (noise_rate).") or "told (noise_rate); both (noise_rate)" in note for note in table.notes
    )
    (long,) = long_table(records)
    place = long.columns.index("oracle knowledge")
    assert [row[place].text for row in long.rows] == ["noise_rate", "noise_rate, votes"]


def test_a_block_is_set_apart_in_every_format():
    (table,) = protocol_table(found())
    lines = render(table, "github").splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("| supervised"))
    assert set(lines[start + 1]) == {"|", " "}
    assert lines[start + 2].startswith("| soft")
    tex = render(table, "latex").splitlines()
    start = next(place for place, line in enumerate(tex) if line.startswith("supervised"))
    assert tex[start + 1] == r"\midrule"
    assert tex[start + 2].startswith(r"soft\_labels $\oplus$")
    html = render(table, "html")
    assert html.count("<tbody>") == 2
    assert html.index("supervised") < html.rindex("<tbody>") < html.index("soft_labels")
    assert json.loads(render(table, "json"))["apart"] == 2
    rows = list(csv.DictReader(render(table, "csv").splitlines()))
    assert [row["method flags"] for row in rows] == [""] * 3 + ["several labels of a face"] * 2
    alone = protocol_table(found(votes={}))[0]
    assert "apart" not in json.loads(render(alone, "json"))
    assert render(alone, "html").count("<tbody>") == 1
    for format in ("github", "latex", "html"):
        only = protocol_table(found(scores={}))[0]
        assert render(only, format) == render(replace(only, apart=0), format), "no block beside it"


def test_long_table_has_them_below_all_levels_as_a_family_of_their_own():
    both, without = (long_table(found(votes=votes, levels=(0.2, 0.4)))[0] for votes in (VOTES, {}))
    assert both.apart == 4
    assert [row[1].value for row in both.rows] == [0.2] * 3 + [0.4] * 3 + [0.2] * 2 + [0.4] * 2
    columns = ("last", "− supervised", "p", "p (Holm)")
    for mine, other in zip(both.rows, without.rows, strict=False):
        for name in columns:
            if name in both.columns:
                place = both.columns.index(name)
                assert mine[place] == other[place], "the others' numbers are what they are without them"
    place = both.columns.index("− supervised")
    assert both.rows[6][place].value == pytest.approx(40, abs=1)
    assert any("⊕ are compared with supervised as a family of their own" in note for note in both.notes)
    assert not any("⊕" in note for note in without.notes)


def test_they_are_not_ranked():
    tables, without = (rank_tables(found(votes=votes)) for votes in (VOTES, {}))
    assert {row[1].text for row in tables[0].rows} == set(SCORES)
    assert tables[0].rows == without[0].rows
    assert any(note.startswith("⊕") for note in tables[0].notes)
    assert not any("not ranked, pairs are missing" in note for note in tables[0].notes)
    view = view_of_records(found())
    assert set(settings_of(view, "last")[0].means) == set(SCORES)
    assert set(ranking_of(found())[1].labels) == set(SCORES)
    with pytest.raises(BadInput, match="nothing to rank"):
        ranking_of(found(scores={"supervised": 0.5}))


def view_of_records(records):
    return view_of(Block(tuple(records)), Expected())


def test_pairs_that_only_they_have_are_not_asked_of_the_others():
    records = [
        record for record in found() if "votes" in record.environment.oracle_knowledge or record.identity.seed < 3
    ]
    assert len(rank_tables(records)[0].rows) == 3
    assert view_of_records(records).pairs(0.2)[-1] == (6, 6)


def test_comparisons_with_a_rival_are_two_families():
    (both,), (without,) = (against_table(found(votes=votes), "supervised") for votes in (VOTES, {}))
    assert names(both) == ["cocuring", "elr", "soft_labels ⊕", "soft_labels:majority ⊕"]
    assert both.apart == 2
    assert both.rows[:2] == without.rows
    assert any("the 2 comparisons of this table" in note for note in both.notes)
    assert any(note == "Rows with ⊕ are a family of their own, of 2." for note in both.notes)
    (rival,) = against_table(found(), "soft_labels")
    assert names(rival) == ["cocuring", "elr", "supervised", "soft_labels:majority ⊕"]
    (only,) = against_table(found(scores={}), "soft_labels")
    assert names(only) == ["soft_labels:majority ⊕"]
    assert any("this one comparison" in note for note in only.notes)


def test_over_protocols_they_are_not_compared():
    (both,), (without,) = metas(found()), metas(found(votes={}))
    assert set(both.methods) == set(SCORES)
    assert matrix_table(both).rows == matrix_table(without).rows
    assert notes_of_meta(both)[-1] == f"{NOTE}: soft_labels, soft_labels:majority."
    assert not any("⊕" in note for note in notes_of_meta(without))
    with pytest.raises(BadInput, match="method with results to compare"):
        rival_table(both, "soft_labels")


def of_four_classes(records):
    scores = [
        {rule: replace(score, per_label=(0.5,) * 4) for rule, score in record.scores.items()} for record in records
    ]
    return [replace(record, scores=each) for record, each in zip(records, scores, strict=True)]


def test_the_page_has_them_apart():
    (block,) = page_data(of_four_classes(found(levels=(0.2, 0.4))))["protocols"][0]["blocks"]
    assert [(row["label"], row["apart"]) for row in block["rows"]] == [
        *((name, False) for name in SCORES),
        *((name, True) for name in VOTES),
    ]
    assert [row["oracle"] for row in block["rows"]] == [[]] * 5
    for level in block["levels"]:
        assert [row["group"] is None for row in level["comparison"]["rows"]] == [False] * 3 + [True] * 2
    assert block["rules"]["apart"] == 4
    assert any(note.startswith("⊕") for note in block["notes"])
    (rival,) = [each for each in block["rivals"] if each["label"] == "supervised"]
    assert "the 4 comparisons with supervised" in rival["test"]
    (alone,) = page_data(of_four_classes(found(votes={})))["protocols"][0]["blocks"]
    assert [[row["group"], row["first"]] for row in block["levels"][0]["comparison"]["rows"][:3]] == [
        [row["group"], row["first"]] for row in alone["levels"][0]["comparison"]["rows"]
    ]
