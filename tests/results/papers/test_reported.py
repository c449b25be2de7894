"""The reported numbers against values typed a second time from the papers."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from fernoise_bench.protocols.catalog import PROTOCOLS
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.papers import reported as reported_tables
from fernoise_bench.results.papers import reported_check
from fernoise_bench.results.papers.reported import TABLE_IDS, find
from fernoise_bench.results.papers.reported_check import check, problems, reprint, row_means

FOLDER = Path(__file__).parents[3] / "results" / "papers" / "reported_numbers"

# (rows, columns beside the labels) of each panel, counted in the papers
SHAPES = {
    "recot-1": [(11, 13)],
    "recot-2": [(20, 13)],
    "recot-3": [(20, 9)],
    "recot-4": [(3, 2), (5, 2), (4, 2)],
    "cocuring-1": [(7, 6)],
    "cocuring-2": [(34, 3)],
    "cocuring-3": [(7, 1)],
    "cocuring-4": [(9, 2)],
    "cocuring-5": [(8, 2)],
    "cocuring-6": [(8, 2)],
    "ulcag-1": [(4, 2)],
    "ulcag-2": [(2, 2)],
    "ulcag-3": [(9, 2)],
    "ulcag-4": [(3, 1)],
    "ulcag-5": [(10, 3)],
    "rhls-1": [(4, 1)],
    "rhls-2": [(8, 2)],
    "mlcr-1": [(2, 5)],
}

# table, group, row, column, as printed with its mark
SPOTS = [
    ("recot-1", "SL", "Baseline*", "Avg.", "65.9"),
    ("recot-1", "SSL", "MLCT", "4", "[73.7]"),
    ("recot-1", "SSL", "MLCR", "43", "**68.1**"),
    ("recot-1", "WSL", "BS-H*", "20", "49.6"),
    ("recot-1", "WSL", "ReCoT*", "12", "**92.5**"),
    ("recot-1", "WSL", "NR*", "Avg.", "[66.9]"),
    ("recot-2", "SL", "DRML", "1", "36.4"),
    ("recot-2", "SL", "SEV-Net", "10", "**87.8**"),
    ("recot-2", "SL", "SREL", "14", "60.6"),
    ("recot-2", "SSL", "MLCR*", "24", "**51.8**"),
    ("recot-2", "WSL", "Mixup*", "24", "39.5"),
    ("recot-2", "WSL", "KD*", "Avg.", "[63.3]"),
    ("recot-2", "WSL", "ReCoT*", "23", "**51.8**"),
    ("recot-3", "SL", "EAC-Net", "9", "**80.5**"),
    ("recot-3", "SL", "EAC-Net", "Avg.", "48.5"),
    ("recot-3", "SL", "HMP-PS", "26", "[67.6]"),
    ("recot-3", "SSL", "MT*", "Avg.", "**59.3**"),
    ("recot-3", "WSL", "ReCoT*", "2", "36.2"),
    ("recot-4", "", "Baseline (N)", "w/o pre", "45.2"),
    ("recot-4", "", "Baseline + CoT", "w pre", "69.5"),
    ("cocuring-1", "", "Agreement", "NCT", "✓"),
    ("cocuring-1", "", "Joint update", "Co-curing", "×"),
    ("cocuring-2", "10", "Coteaching", "FERPlus", "86"),
    ("cocuring-2", "10", "Co-curing", "RAF-DB", "88"),
    ("cocuring-2", "20", "Co-curing", "AffectNet", "59.15"),
    ("cocuring-2", "20", "Coteaching", "FERPlus", "85.5"),
    ("cocuring-2", "30", "RR", "RAF-DB", "76.77"),
    ("cocuring-2", "40", "Coteaching", "RAF-DB", "61.18"),
    ("cocuring-2", "40", "NCT", "AffectNet", "52.25"),
    ("cocuring-3", "", "NCT", "AffectNet", "56.46"),
    ("cocuring-3", "", "Co-curing", "AffectNet", "56.70"),
    ("cocuring-4", "", "OADN", "RAF-DB", "89.83"),
    ("cocuring-5", "", "GACNN", "FERPlus", "84.86*"),
    ("cocuring-6", "", "SCAN", "AffectNet", "61.7"),
    ("ulcag-1", "", "✓", "RAF-DB", "86.54"),
    ("ulcag-2", "", "Random", "AffectNet", "55.79"),
    ("ulcag-3", "", "SCN", "RAF-DB", "82.18"),
    ("ulcag-4", "", "SCN", "AffectNet_Auto", "55.43"),
    ("ulcag-5", "", "NMA†‡", "RAF-DB", "76.10"),
    ("ulcag-5", "", "SEIIL‡", "AffectNet", "/"),
    ("rhls-1", "", "Robin Hood Label Smoothing", "Mean F1Score", "65.8 ± 1.4"),
    ("rhls-2", "", "JAANet", "DISFA", "56.0"),
    ("rhls-2", "", "MONET", "BP4D", "**64.5**"),
    ("rhls-2", "", "Baseline", "DISFA", "63.1"),
    ("mlcr-1", "", "EmotioNet", "No. AU", "12"),
]

REPORTED_ONLY = {
    "recot-1": {"MLCT"},
    "recot-2": {
        *("DRML", "EAC-Net", "DSIN", "CMS", "LP-Net", "ARL", "JAA-Net*", "SREL", "HMP-PS", "SEV-Net", "ATCM"),
    },
    "recot-3": {
        *("DRML", "EAC-Net", "DSIN", "SRERL", "LP-Net", "CMS", "ARL", "JAA-Net*", "SEV-Net", "HMP-PS", "ATCM"),
    },
    "cocuring-2": {"RR"},
    "cocuring-4": {"GACNN", "DLP-CNN", "IPA2LT", "RAN", "OADN", "GCN", "SCAN"},
    "cocuring-5": {"GACNN", "RAN", "OADN", "GCN", "ESR", "SCAN"},
    "cocuring-6": {"GACNN", "RAN", "OADN", "GCN", "ESR", "SCAN"},
    "ulcag-5": {"IPA2LT†", "RAN", "LDL-ALSG‡", "SPWFA-SE", "SEIIL‡", "WSND†", "IDFL", "NMA†‡"},
    "rhls-2": {"JAANet", "ARL", "JÂANET", "UGN-B", "FAUwT", "MONET"},
}


def cell(table_id, group, label, column):
    for panel in find(table_id).panels:
        for row in panel.rows:
            if (row.group, row.labels[0]) == (group, label):
                return row.cells[panel.columns.index(column)]
    raise AssertionError(f"{table_id} has no {label}")


# --- what is there


def test_every_table_has_a_file_and_every_file_is_a_table():
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(TABLE_IDS)
    assert set(SHAPES) == set(TABLE_IDS)
    assert len(TABLE_IDS) == len(set(TABLE_IDS)) == 18


@pytest.mark.parametrize("table_id", TABLE_IDS)
def test_rows_and_columns_are_as_many_as_the_paper_has(table_id):
    table = find(table_id)
    assert [(len(panel.rows), len(panel.columns)) for panel in table.panels] == SHAPES[table_id]
    assert all(len(row.cells) == len(panel.columns) for panel in table.panels for row in panel.rows)
    assert all(cell.text for row in table.rows for cell in row.cells)


@pytest.mark.parametrize("spot", SPOTS, ids=lambda spot: "-".join(spot[:4]))
def test_a_number_is_as_printed(spot):
    *where, printed = spot
    assert cell(*where).printed == printed


def test_numbers_keep_their_printed_zeros_and_have_a_value():
    found = cell("ulcag-5", "", "NMA†‡", "RAF-DB")
    assert (found.text, found.value) == ("76.10", 76.1)
    assert cell("rhls-1", "", "Baseline", "Mean F1Score").spread == 1.9
    assert cell("ulcag-5", "", "IPA2LT†", "AffectNet").value == 55.11
    assert cell("ulcag-5", "", "SEIIL‡", "AffectNet").value is None
    assert find("recot-2").panels[0].decimals(12) == 1
    assert find("cocuring-5").panels[0].decimals(1) == 2


def test_methods_that_are_only_reported():
    only = {
        table_id: {row.labels[0] for row in find(table_id).rows if row.method is None}
        for table_id in TABLE_IDS
        if table_id not in ("cocuring-1", "mlcr-1")
    }
    assert {table_id: rows for table_id, rows in only.items() if rows} == REPORTED_ONLY


def test_what_is_measured_in_a_row_and_a_column():
    rows = {(row.group, row.labels[0]): row for row in find("cocuring-2").rows}
    assert (rows["30", "JoCR"].method, rows["30", "JoCR"].level) == ("jocor", 0.3)
    assert [row.method for row in find("ulcag-1").rows] == [
        "supervised",
        "ulc_ag:no-auxiliary",
        "ulc_ag:no-target",
        "ulc_ag",
    ]
    assert [row.level for row in find("ulcag-3").rows] == [0.1] * 3 + [0.2] * 3 + [0.3] * 3
    panel = find("recot-2").panels[0]
    assert [target.au for target in panel.targets][:2] == ["AU1", "AU2"]
    assert panel.targets[-1].au is None
    assert find("cocuring-4").panels[0].targets[0] is None, "a year is not measured"


@pytest.mark.parametrize("table_id", TABLE_IDS)
def test_protocols_levels_and_aus_are_those_of_the_catalog(table_id):
    for panel in find(table_id).panels:
        for target in filter(None, panel.targets):
            protocol = PROTOCOLS[target.protocol]
            assert target.au is None or target.au in protocol.names
            levels = {row.level for row in panel.rows}
            assert levels <= set(protocol.levels or (None,))


# --- flags


@pytest.mark.parametrize("table_id", TABLE_IDS)
def test_a_table_contradicts_itself_only_where_it_is_flagged(table_id):
    assert problems(find(table_id)) == ()


def test_means_that_do_not_fit_their_row_are_flagged_and_no_others():
    means = [(each.table.id, mean) for each in check() for mean in each.means]
    assert len(means) == 51
    assert all(mean.fits != mean.flagged for _, mean in means)
    assert {(table_id, mean.row) for table_id, mean in means if mean.flagged} == {
        ("recot-1", "MT"),
        ("recot-1", "CoT"),
        *(("recot-2", row) for row in ("DRML", "EAC-Net", "Baseline*", "SREL", "Mixup*")),
        *(("recot-3", row) for row in ("DRML", "EAC-Net", "DSIN", "Baseline*", "ATCM", "MT*")),
    }
    gross = {(table_id, mean.row) for table_id, mean in means if not mean.explicable}
    assert ("recot-3", "EAC-Net") in gross
    assert ("recot-1", "MT") not in gross


def test_the_rows_at_40_percent_that_repeat_those_at_30_are_suspect():
    for row in ("Coteaching+", "JoCR"):
        for column in ("RAF-DB", "FERPlus", "AffectNet"):
            assert cell("cocuring-2", "40", row, column).is_flagged("suspect")
            assert not cell("cocuring-2", "30", row, column).is_flagged("suspect")
            assert cell("cocuring-2", "40", row, column).text == cell("cocuring-2", "30", row, column).text


def test_copied_and_misprinted_numbers_are_flagged():
    assert cell("cocuring-2", "20", "SCN", "RAF-DB").is_flagged("misprint")
    assert not cell("cocuring-2", "10", "SCN", "RAF-DB").is_flagged("misprint")
    assert cell("cocuring-2", "10", "SCN", "RAF-DB").is_flagged("copied")
    assert not cell("cocuring-2", "10", "NCT", "RAF-DB").is_flagged("copied")
    assert cell("recot-1", "SSL", "MLCR", "1").is_flagged("copied")
    assert not cell("recot-2", "SSL", "MLCR*", "1").is_flagged("copied")
    assert not cell("cocuring-5", "", "GACNN", "FERPlus").is_flagged("copied"), "the paper's own implementation"
    assert cell("rhls-1", "", "Baseline", "Mean F1Score").is_flagged("misprint")


def test_an_error_in_the_data_is_found():
    table = find("recot-1")
    panel = table.panels[0]
    first = panel.rows[-1]
    wrong = replace(first, cells=(replace(first.cells[0], text="46.2", value=46.2), *first.cells[1:]))
    changed = replace(table, panels=(replace(panel, rows=(*panel.rows[:-1], wrong)),))
    found = " ".join(problems(changed))
    assert "ReCoT*: 70.6 for 69.092" in found
    assert "ReCoT*, 1: marked 'best', due ''" in found


def test_a_repeated_row_that_is_not_flagged_is_found():
    table = find("cocuring-2")
    panel = table.panels[0]
    bare = tuple(replace(row, cells=tuple(replace(cell, flags=()) for cell in row.cells)) for row in panel.rows)
    found = problems(replace(table, panels=(replace(panel, rows=bare),), flags=()))
    assert len(found) == 2
    assert "Coteaching+: the numbers of group 40 are those of group 30" in found[0]


# --- text


@pytest.mark.parametrize("table_id", TABLE_IDS)
def test_a_table_prints_back_as_it_was_typed(table_id):
    typed = [panel["text"] for panel in tomllib.loads((FOLDER / f"{table_id}.toml").read_text())["panel"]]

    def cells(text):
        return [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.strip()]

    assert cells(reprint(find(table_id))) == cells("\n".join(typed))


def test_an_unknown_table_is_named_with_the_nearest():
    with pytest.raises(BadInput, match="unknown table 'recot-5': did you mean recot-4"):
        find("recot-5")


@pytest.mark.parametrize(
    "text",
    [
        "A | B\nx",
        "C | B\nx | 1",
    ],
    ids=["a row too short", "another heading"],
)
def test_a_table_that_contradicts_its_heading_is_refused(text):
    with pytest.raises(ValueError, match="heading"):
        reported_tables._panel({"labels": ["A"], "text": text}, [])


def test_a_method_of_no_row_is_refused():
    content = {"labels": ["A"], "text": "A | B\nx | 1", "measured": {"methods": {"y": "supervised"}}}
    with pytest.raises(ValueError, match="rows that are not there"):
        reported_tables._panel(content, [])


def test_the_means_are_those_of_the_rows_by_hand():
    (mean,) = [each for each in row_means(find("recot-3")) if each.row == "EAC-Net"]
    assert mean.computed == pytest.approx((41.5 + 26.4 + 66.4 + 50.7 + 80.5 + 89.3 + 88.9 + 15.6) / 8)
    assert reported_check.check(["recot-3"])[0].table.id == "recot-3"


def test_what_a_user_sees_of_a_check():
    (checked,) = check(["recot-4"])
    text = reported_check.checked_text(checked)
    assert text.startswith("ReCoT, Table 4: ")
    assert text.count("| mean of the row") == sum(panel.mean is not None for panel in checked.table.panels)
    broken = replace(checked, problems=("recot-4, x: 1.0 for 2.000, not flagged",))
    assert "contradictions that are not flagged:\n  recot-4, x: 1.0 for 2.000" in reported_check.checked_text(broken)
    assert "mean of the row" not in reported_check.checked_text(check(["cocuring-2"])[0])
