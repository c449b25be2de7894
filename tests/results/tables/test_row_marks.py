"""Row marks, labels and order; rows that are kept apart: by teachers, by the salt of the noise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.analysis.view import Expected, Rows
from fernoise_bench.results.records.record import Score
from fernoise_bench.results.records.schema import TeacherCost, identity_of
from fernoise_bench.results.tables.protocol_tables import long_table, protocol_table
from fernoise_bench.results.tables.render import render

from ..fabricate import Trial
from .test_protocol_tables import made, tables_of


def rising(by, method="a", headline=0.5, **trial):
    """A record whose last epoch is this far above the mean of its last five."""
    record = made(Trial(method=method, **trial), headline)
    last_five = Score(headline - by, (0.1, 0.2, 0.3), 0.4)
    return replace(record, scores={**record.scores, "last_five": last_five} if record.done else {})


def test_a_method_still_rising_is_marked_by_the_mean_over_its_pairs():
    """a: (0.4 + 2.0) / 2 = 1.2 points; b: one point, which is not more; c falls at another level, 0.5 on average."""
    found = [rising(0.004, seed=0), rising(0.02, seed=1)]
    found += [rising(0.01, "b", seed=seed) for seed in (0, 1)]
    found += [rising(0.02, "c", seed=0), rising(-0.01, "c", seed=0, level=0.4)]
    table, other = protocol_table(found, allow_mixed=True)[0], long_table(found)[0]
    assert [row[0].text for row in table.rows] == ["a ↗", "b", "c"]
    assert (table.rows[0][0].printed, table.rows[0][0].flags) == ("a", "still rising")
    (note,) = [note for note in table.notes if note.startswith("↗")]
    assert note.startswith("↗ still rising (last epoch more than one point above the mean of the last five)")
    assert note.endswith(": a.")
    assert {row[0].text for row in other.rows} == {"a ↗", "b", "c"}
    assert not any("↗" in note for note in protocol_table(found[2:4])[0].notes), "explained only where it occurs"


def test_pairs_that_lack_a_fold_do_not_count_as_rising():
    folds = {"protocol": "bp4d-3fold", "kind": "multi", "level": None}
    found = [rising(0.0, seed=0, fold=fold, **folds) for fold in ("part1", "part2")]
    found += [rising(0.9, seed=1, fold="part1", **folds), rising(0.9, seed=1, fold="part2", state="failed", **folds)]
    assert protocol_table(found)[0].rows[0][0].text == "a"


def test_both_marks_stand_side_by_side():
    (table,) = protocol_table([rising(0.02, oracle_knowledge=("noise_rate",))])
    assert table.rows[0][0].text == "a † ↗"
    assert table.rows[0][0].flags == "oracle knowledge; still rising"
    assert "a $\\nearrow$" in tables_of(rising(0.02), "latex")
    assert tables_of(rising(0.02), "csv").splitlines()[1].split(",")[4:6] == ["a", "still rising"]


def test_trials_that_ship_are_marked_where_they_occur_and_clean_for_programs():
    """a: all of its trials ship; b: one of two; c: none."""
    found = [replace(made(Trial(m, seed=s), 0.5), shipped=(m, s) in {("a", 0), ("a", 1), ("b", 1)})
             for m in "abc" for s in (0, 1)]  # fmt: skip
    (table,) = protocol_table(found)
    assert [row[0].text for row in table.rows] == ["a ◇", "b ◇", "c"]
    assert [(row[0].printed, row[0].flags) for row in table.rows] == [("a", "shipped"), ("b", "shipped"), ("", "")]
    (note,) = [note for note in table.notes if "◇" in note]
    assert note == "◇ from the results that ship with fernoise-bench: a, b (1 of 2 trials)."
    assert not any("◇" in note for note in protocol_table(found[4:])[0].notes)
    (alone,) = protocol_table(found[:2])
    assert "◇ from the results that ship with fernoise-bench: all trials." in alone.notes
    assert "a $\\diamond$" in render(table, "latex")
    assert ",a,shipped,50," in render(table, "csv").splitlines()[1]


def test_rows_stand_by_name_rank_or_as_given_and_take_labels():
    """Means over two levels: b 0.7, a 0.5; c lacks a level, so it is last though its mean is 0.9."""
    scores = {("a", 0.2): 0.6, ("a", 0.4): 0.4, ("b", 0.2): 0.7, ("b", 0.4): 0.7, ("c", 0.2): 0.9}
    found = [made(Trial(method, level=level), score) for (method, level), score in scores.items()]

    def rows(**more):
        (table,) = protocol_table(found, Expected(rows=Rows(**more)))
        return [row[0].text for row in table.rows]

    assert rows() == ["a", "b", "c"]
    assert rows(order="rank") == ["b", "a", "c"]
    assert rows(order="given", given=("c", "a")) == ["c", "a", "b"]
    assert rows(labels={"a": "Ours"}) == ["Ours", "b", "c"]
    assert not any(note.startswith("#") for note in protocol_table(found, Expected(rows=Rows({"a": "x"})))[0].notes)


def test_a_label_keeps_the_version():
    found = [made(Trial("a", digest=digest), 0.5) for digest in ("00", "11")]
    (table,) = protocol_table(found, Expected(rows=Rows({"a": "Ours"})))
    assert all(row[0].text.startswith("Ours #") for row in table.rows)
    assert any(note.startswith("#: a row for each version") for note in table.notes)


def learnt_from(record, teacher, version=""):
    """The record of a trial with this teacher, and of which version, where the record tells."""
    costs = (TeacherCost("supervised:clean", teacher, 1.0, version=version),)
    identity = structs.replace(record.identity, teachers={"supervised:clean": teacher})
    return replace(record, identity=identity, environment=structs.replace(record.environment, teachers=costs))


def shares(table):
    return sorted(row[1].text for row in table.rows)


def test_trials_that_learnt_from_other_teachers_are_not_averaged():
    """IDs differ by seed in any case; the version tells."""
    runs = [(0, "a0", "v1", 0.1), (1, "a1", "v1", 0.3), (0, "b0", "v2", 0.7)]
    found = [learnt_from(made(Trial(seed=seed), score), *teacher) for seed, *teacher, score in runs]
    (table,) = protocol_table(found)
    assert shares(table) == ["20.00 ± 14.14", "70.00 (1/2, 1 not run)"]
    names = sorted(row[0].text for row in table.rows)
    assert names[0].startswith("supervised #")
    assert names[1] == f"{names[0]}-2"
    assert any("its own or its teachers'" in note for note in table.notes)


def test_records_that_do_not_tell_their_teachers_version_share_a_row_but_no_cell():
    """As older ones do, and trials that failed before they had a teacher."""
    older = [learnt_from(made(Trial(seed=seed), 0.1), f"a{seed}") for seed in (0, 1)]
    (table,) = protocol_table(older)
    assert shares(table) == ["10.00 ± 0.00"]
    (table,) = protocol_table([*older, learnt_from(made(Trial(seed=1), 0.9), "b1")])
    assert shares(table) == ["10.00 ± 0.00", "90.00 (1/2, 1 not run)"]
    told = [learnt_from(made(Trial(seed=0), 0.1), "a0", "v1"), learnt_from(made(Trial(seed=1), 0.9), "a1")]
    (table,) = protocol_table(told)
    assert shares(table) == ["50.00 ± 56.57"]


def test_trials_whose_noise_has_a_salt_are_no_others_and_say_so():
    salted = made(Trial(seed=1))
    content = {**salted.identity.content, "noise_salt": "pepper"}
    salted = replace(salted, identity=identity_of(content))
    with pytest.raises(BadInput, match=r"they differ in: noise_salt"):
        protocol_table([made(Trial(seed=0)), salted])
    (table,) = protocol_table([salted])
    assert table.title.endswith("small profile, real faces, noise salt pepper")
    plain, peppered = protocol_table([made(Trial(seed=0)), salted], allow_mixed=True)
    assert plain.title.endswith("small profile, real faces [noise_salt = –]")
    assert peppered.title == table.title, "the salt is named once"
