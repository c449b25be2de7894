"""Methods against any one of them: paired differences, Holm over the table, and what the notes say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.analysis.view import Expected, Rows
from fernoise_bench.results.tables.against_table import against_table

from ..claimed import au_runs
from ..fabricate import Trial
from .test_protocol_tables import made

ELR = [0.50, 0.52, 0.54, 0.56, 0.58, 0.60]
AHEAD = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]  # in every pair: p = 2 / 2^6 = 0.031


def found(**scores):
    """A record for each score of a method, by seed."""
    return [made(Trial(method=name, seed=seed), s) for name, values in scores.items() for seed, s in enumerate(values)]


def test_differences_are_paired_and_holm_is_over_the_rows():
    """mine: mean +3.50, wins 6 of 6, p 2/64, twice that after Holm; gce: ahead and behind by 1, three times each."""
    records = found(
        elr=ELR,
        mine=[a + b for a, b in zip(ELR, AHEAD, strict=True)],
        gce=[a + b for a, b in zip(ELR, [0.01, -0.01] * 3, strict=True)],
    )
    (table,) = against_table(records, "elr")
    assert table.columns == ("method", "noise", "− elr", "95% interval", "pairs ahead", "p (uncorrected)", "p (Holm)")
    gce, mine = ([cell.text for cell in row] for row in table.rows)
    assert mine == ["mine", "0.2", "+3.50 ± 1.87", "+1.00 to +6.00", "6 of 6", "0.031", "0.062"]
    assert gce[:2] == ["gce", "0.2"]
    assert gce[4:] == ["3 of 6", "1.000", "1.000"]
    assert "Holm-corrected over the 2 comparisons of this table" in table.notes[0]
    assert any(note.startswith("Power: 6 pairs, 2 comparisons: ") for note in table.notes)


def test_one_row_is_a_family_of_one():
    records = found(elr=ELR, mine=[a + b for a, b in zip(ELR, AHEAD, strict=True)])
    (table,) = against_table(records, "elr")
    assert [cell.text for cell in table.rows[0]][-2:] == ["0.031", "0.031"]


def test_only_pairs_that_both_have_count():
    records = found(elr=ELR[:4], mine=[s + 0.01 for s in ELR])
    (table,) = against_table(records, "elr")
    assert [cell.text for cell in table.rows[0]][2:5] == ["+1.00 ± 0.00 (4/6)", "–", "4 of 4"]


def test_notes_hold_for_differences_over_few_pairs():
    """One of 8 seeds: both have the one pair in common, so that it is comparable; elr ships, and is no row."""
    elr = [replace(record, shipped=True) for record in found(elr=[*ELR, 0.62, 0.64])]
    (table,) = against_table([*elr, *found(mine=[0.51])], "elr")
    assert table.rows[0][2].text == "+1.00 (1/8)"
    assert "One (seed, draw) pair: no spread." in table.notes
    assert "(n/m): n pairs in common, of m that a method has here." in table.notes
    assert not any("not comparable" in note or "8 (seed, draw)" in note or "◇" in note for note in table.notes)
    (marked,) = against_table([*elr, *found(mine=[0.51])], "mine")
    assert any(note.startswith("◇") and note.endswith(": elr.") for note in marked.notes)


def test_every_noise_level_is_a_row_of_the_family():
    """Two levels of one method, each won in all 6 pairs: Holm doubles p."""
    records = [
        made(Trial(method=name, seed=seed, level=level), score + ahead)
        for level in (0.2, 0.4)
        for name, ahead in (("elr", 0.0), ("mine", 0.02))
        for seed, score in enumerate(ELR)
    ]
    (table,) = against_table(records, "elr")
    assert [[cell.text for cell in row][1] for row in table.rows] == ["0.2", "0.4"]
    assert {row[-1].text for row in table.rows} == {"0.062"}


def test_subjects_decide_for_action_units():
    (table,) = against_table([*au_runs(0.8, method="recot"), *au_runs(0.6, method="mixup")], "mixup")
    assert table.columns[1:] == (
        *("− mixup", "pairs ahead", "p by subjects (uncorrected)"),
        *("95% by subjects", "p by subjects (Holm)", "p by pairs (Holm)"),
    )


def test_a_reference_without_trials_is_named_with_those_there_are():
    with pytest.raises(BadInput, match=r"--against nct: there are no trials of nct; .* are elr, mine"):
        against_table(found(elr=ELR, mine=ELR), "nct")
    with pytest.raises(BadInput, match="no trials of another method to compare with elr"):
        against_table(found(elr=ELR), "elr")


def test_labels_name_the_rows_and_the_reference():
    rows = Rows({"elr": "ELR", "mine": "Ours"})
    (table,) = against_table(found(elr=ELR, mine=ELR), "elr", Expected(rows=rows))
    assert table.columns[2] == "− ELR"
    assert table.rows[0][0].text == "Ours"
    assert "accuracy against ELR" in table.title
