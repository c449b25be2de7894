"""The page's comparisons with any rival are those of `table --against`."""

from __future__ import annotations

import pytest

from fernoise_bench.results.analysis.comparisons import FAMILY_REFERENCE
from fernoise_bench.results.page.data import page_data
from fernoise_bench.results.page.rivals import COLUMNS
from fernoise_bench.results.tables.against_table import against_table
from fernoise_bench.results.tables.rank_tables import rank_tables

from ..claimed import au_runs, runs

AHEAD = {
    "elr": [0.0] * 7,
    "gce": [0.01, -0.02, 0.03, 0.01, 0.02, 0.01, 0.02],
    "cocuring": [0.02, 0.03, 0.02, 0.04, 0.02, 0.03, 0.05],
    "ensemble": [0.01, 0.01, 0.01, 0.01, 0.0, 0.02, 0.01],
}


def faces(levels, **trial):
    return [
        one
        for level in levels
        for method, more in AHEAD.items()
        for one in runs([0.5 + (level or 0) / 10 + each for each in more], method=method, level=level, **trial)
    ]


def block_of(records):
    (block,) = page_data(records)["protocols"][0]["blocks"]
    return block


def named(numbers):
    return dict(zip(COLUMNS, numbers, strict=True))


@pytest.mark.parametrize("records", [faces([None]), faces([0.2, 0.4])], ids=["one level", "two levels"])
@pytest.mark.parametrize("rival", AHEAD)
def test_single_labels_agree_with_the_table(records, rival):
    block = block_of(records)
    places = {row["label"]: place for place, row in enumerate(block["rows"])}
    levels = [level["level"] for level in block["levels"]]
    (cells,) = (each["cells"] for each in block["rivals"] if each["label"] == rival)
    (table,) = against_table(records, rival)
    for row in table.rows:
        label, *noise = row[: 1 + ("noise" in table.columns)]
        level = levels.index(noise[0].value if noise else None)
        found = named(cells[level][places[label.text]])
        difference, interval, ahead, p, p_holm = row[-5:]
        assert found["mean"] == pytest.approx(difference.value, abs=1e-6)
        assert found["sd"] == pytest.approx(difference.spread, abs=1e-6)
        assert f"{found['low']:+.2f} to {found['high']:+.2f}".replace("-", "−") == interval.text
        assert f"{found['ahead']} of {found['pairs']}" == ahead.text
        assert (found["p"], found["p_holm"]) == (
            pytest.approx(p.value, abs=1e-6),
            pytest.approx(p_holm.value, abs=1e-6),
        )
    assert all(level[places[rival]] is None for level in cells)


def test_action_units_agree_with_the_table_by_subjects():
    records = [*au_runs(0.8, method="recot"), *au_runs(0.6, method="mixup"), *au_runs(0.7, method="supervised")]
    block = block_of(records)
    (rival,) = (each for each in block["rivals"] if each["label"] == "mixup")
    (table,) = against_table(records, "mixup")
    labels = [row["label"] for row in block["rows"]]
    for row in table.rows:
        found = named(rival["cells"][0][labels.index(row[0].text)])
        p, interval, p_holm, p_pairs = row[-4:]
        assert found["p"] == pytest.approx(p.value, abs=1e-6)
        assert f"{found['low']:+.2f} to {found['high']:+.2f}".replace("-", "−") == interval.text
        assert found["p_holm"] == pytest.approx(p_holm.value, abs=1e-6)
        assert found["p_pairs"] == pytest.approx(p_pairs.value, abs=1e-6)
    assert "by subjects" in rival["test"]


def test_declared_comparisons_have_their_own_family_and_come_first():
    """cocuring beats the ensemble in all 7 pairs: p = 2/128 alone, three times that among all rows."""
    records = faces([None])
    block = block_of(records)
    assert block["baseline"] == block["declared"]["against"] == FAMILY_REFERENCE
    own = named(block["declared"]["rows"]["cocuring"])
    (rival,) = (each for each in block["rivals"] if each["label"] == FAMILY_REFERENCE)
    place = [row["label"] for row in block["rows"]].index("cocuring")
    assert own["p_holm"] == pytest.approx(0.015625)
    assert named(rival["cells"][0][place])["p_holm"] == pytest.approx(0.046875)
    (table,) = (each for each in rank_tables(records) if "pre-declared" in each.title)
    assert table.rows[0][-1].text == "0.016"


def test_without_the_ensemble_plain_training_is_the_baseline():
    records = [*runs([0.5, 0.6], method="supervised"), *runs([0.5, 0.7], method="elr")]
    block = block_of(records)
    assert (block["baseline"], block["declared"]) == ("supervised", None)
    assert block_of(runs([0.5, 0.6], method="elr"))["baseline"] is None
