"""The papers' tables: reported beside measured."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess

import pytest

from fernoise_bench.benchmark import registry
from fernoise_bench.protocols.catalog import PROTOCOLS
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.papers.reported import TABLE_IDS, find
from fernoise_bench.results.papers.tables import Wanted, paper_table, wanted
from fernoise_bench.results.records.record import Score
from fernoise_bench.results.tables.render import FORMATS, render

from ..fabricate import Trial, record_of

RULES = ("last", "last_five", "validation", "oracle")
AUS = {"bp4d-3fold": ("AU1", "AU2", "AU4", "AU6", "AU7", "AU10", "AU12", "AU14", "AU15", "AU17", "AU23", "AU24")}


def made(headline=0.5, per_label=(), **trial):
    """A record with this score under every rule, without a disk."""
    kind = "multi" if trial.get("protocol") in AUS else "single"
    made_up = Trial(kind=kind, **{"profile": "paper", "level": None, **trial})
    score = Score(headline, per_label, None)
    scores = dict.fromkeys(RULES, score) if made_up.state == "done" else {}
    return record_of(made_up, scores, AUS.get(made_up.protocol, ()))


def runs(headlines, **trial):
    return [made(headline, seed=seed, **trial) for seed, headline in enumerate(headlines)]


def row(table, *labels):
    """The texts of the row with these leading cells, by heading."""
    for cells in table.rows:
        texts = [cell.text for cell in cells]
        if all(label in texts for label in labels):
            return dict(zip(table.columns, cells, strict=True))
    raise AssertionError(f"no row {labels}")


def notes(tables):
    return "\n".join(tables[-1].notes)


def trained(method, state="done", **trial):
    return runs(
        (0.5, 0.6, 0.7)[: trial.pop("seeds", 3)], method=method, protocol="affectnet-auto", state=state, **trial
    )


# --- without records


@pytest.mark.parametrize("table_id", TABLE_IDS)
def test_every_table_prints_without_records_in_the_papers_own_columns(table_id):
    reported = find(table_id)
    tables = paper_table([], table_id)
    assert len(tables) == len(reported.panels)
    for table, panel in zip(tables, reported.panels, strict=True):
        assert table.columns == (*([] if panel.group is None else [panel.group]), *panel.labels, *panel.columns)
        assert len(table.rows) == len(panel.rows)
    for form in FORMATS:
        assert render(tables, form)
    if wanted(table_id):
        assert "Cells: 0 measured, " in notes(tables)
        assert f"To fill the empty cells: fernoise-bench run --table {table_id}" in notes(tables)
    else:
        assert "fernoise-bench run" not in notes(tables)


def test_all_cells_are_counted():
    assert "Cells: 0 measured, 117 not run, 143 reported only." in notes(paper_table([], "recot-2"))
    assert "Cells: 0 measured, 93 not run, 9 reported only." in notes(paper_table([], "cocuring-2"))
    assert "Cells: 0 measured, 24 not run, 0 reported only." in notes(paper_table([], "recot-4"))


def test_the_papers_marks_are_kept():
    (table,) = paper_table([], "recot-1")
    assert row(table, "ReCoT*")["1"].best
    assert row(table, "NR*")["1"].text == "[61.7]"
    assert row(table, "MT")["Avg."].text == "63.7 §"
    assert "§ MT, column Avg. (mean): the mean of the twelve AUs is 63.78." in table.notes
    (table,) = paper_table([], "cocuring-2")
    assert [cells[0].text for cells in table.rows if not cells[0].repeats] == ["10", "20", "30", "40"]
    assert all(cells[0].text for cells in table.rows), "each row names its group"
    assert sum("§" in cell.text for cells in table.rows for cell in cells) == 7
    assert "MLCT" in notes(paper_table([], "recot-1"))
    assert "prints only its data sets" in notes(paper_table([], "mlcr-1"))


# --- with records


def test_reported_measured_and_difference_worked_by_hand():
    records = [
        *runs((0.80, 0.82, 0.84), method="cocuring", protocol="rafdb-sym", level=0.4),
        *runs((0.70, 0.70, 0.70), method="ensemble", protocol="rafdb-sym", level=0.4),
    ]
    (table,) = paper_table(records, "cocuring-2")
    assert table.columns[2:5] == ("RAF-DB reported", "RAF-DB measured", "RAF-DB difference")
    found = row(table, "Co-curing", "82.06")
    assert found["RAF-DB reported"].value == 82.06
    assert found["RAF-DB measured"].text == "82.00 ± 2.00"
    assert found["RAF-DB measured"].value == pytest.approx(82)
    assert found["RAF-DB measured"].best
    assert found["RAF-DB difference"].text == "−0.06"
    assert found["RAF-DB difference"].value == pytest.approx(-0.06)
    assert found["FERPlus measured"].text == found["FERPlus difference"].text == ""
    baseline = row(table, "Baseline", "79.95")
    assert baseline["RAF-DB measured"].text == "70.00 ± 0.00"
    assert not baseline["RAF-DB measured"].best
    assert row(table, "Co-curing", "88")["RAF-DB measured"].text == "", "another level"
    assert row(table, "RR", "82.43")["RAF-DB measured"].text == "–"
    assert "Cells: 2 measured, 91 not run, 9 reported only." in table.notes


def test_aus_means_folds_and_second_best():
    def trained(method, level):
        per_label = tuple(level + 0.01 * i for i in range(12))
        folds = ("part1", "part2", "part3")
        return [
            made(level + 0.05 * i, per_label, method=method, protocol="bp4d-3fold", fold=fold, seed=seed)
            for seed in range(2)
            for i, fold in enumerate(folds)
        ]

    records = [*trained("mixup", 0.5), *trained("distillation", 0.6), *trained("recot", 0.7)]
    (table,) = paper_table(records, "recot-2")
    found = row(table, "ReCoT*")
    assert found["24 measured"].text == "81.0 ± 0.0"
    assert found["24 measured"].best
    assert found["24 difference"].text == "+25.6"
    assert found["Avg. measured"].text == "75.0 ± 0.0"
    assert row(table, "KD*")["1 measured"].text == "[60.0 ± 0.0]"
    assert row(table, "Mixup*")["1 measured"].text == "50.0 ± 0.0"
    assert "Cells: 39 measured, 78 not run, 143 reported only." in table.notes


def test_a_fold_that_is_missing_leaves_the_cell_unfinished_and_without_a_difference():
    records = [
        made(0.5, (0.5,) * 12, method="recot", protocol="bp4d-3fold", fold=fold, seed=seed)
        for seed, fold in ((0, "part1"), (0, "part2"), (0, "part3"), (1, "part1"))
    ]
    found = row(paper_table(records, "recot-2")[0], "ReCoT*")
    assert found["Avg. measured"].text == "50.0 (1/2, 1 incomplete)"
    assert found["1 measured"].text == "50.0‡"
    assert found["Avg. difference"].text == ""
    assert not found["Avg. measured"].best


def test_a_trial_that_failed_stays_in_the_table():
    records = runs((0.5,), method="nct", protocol="affectnet-auto", state="diverged")
    (table,) = paper_table(records, "cocuring-3")
    assert row(table, "NCT")["AffectNet measured"].text == "0/1, 1 diverged"
    assert "Cells: 0 measured, 1 with pairs missing, 6 not run, 0 reported only." in table.notes


def test_pairs_are_counted_and_missing_ones_are_named():
    (table,) = paper_table(trained("nct"), "cocuring-3")
    assert any("over 3 (seed, draw) pairs." in note for note in table.notes)
    (table,) = paper_table(trained("nct", seeds=1), "cocuring-3")
    assert any("one (seed, draw) pair: no spread." in note for note in table.notes)
    assert not any("not comparable" in note for note in table.notes)
    broken = [*trained("nct", seeds=2), made(method="nct", protocol="affectnet-auto", seed=2, state="failed")]
    (table,) = paper_table([*broken, *trained("cocuring")], "cocuring-3")
    assert row(table, "NCT")["AffectNet measured"].text == "55.00 ± 7.07 (2/3, 1 failed)"
    assert "Cells: 1 measured, 1 with pairs missing, 5 not run, 0 reported only." in table.notes
    assert any("the mean is over the finished ones only: not comparable" in note for note in table.notes)
    levels = [
        *runs((0.5,), method="nct", protocol="rafdb-sym", level=0.1),
        *runs((0.5,) * 3, method="nct", protocol="ferplus-sym", level=0.1),
    ]
    (table,) = paper_table(levels, "cocuring-2")
    assert any("over 1 to 3 (seed, draw) pairs" in note and "(one pair: no spread)" in note for note in table.notes)


def test_bold_of_what_is_measured_is_explained():
    def bold(table):
        return [note for note in table.notes if note.startswith("Bold")]

    (table,) = paper_table([*trained("nct"), *trained("cocuring")], "cocuring-2")
    assert bold(table) == []
    both = [made(method=method, protocol="rafdb-sym", level=0.1) for method in ("nct", "cocuring")]
    (table,) = paper_table(both, "cocuring-2")
    (note,) = bold(table)
    assert note.startswith("Bold: best measured cell of a column, separately and only where no pair is missing")
    (table,) = paper_table([], "recot-1")
    assert bold(table) == ["Bold: best; brackets: second best, among the rows the paper compares."]


def test_the_selection_rule_is_named():
    records = runs((0.5,), method="nct", protocol="affectnet-auto")
    assert "epoch best on test (oracle)" in notes(paper_table(records, "cocuring-3", rule="oracle"))
    with pytest.raises(BadInput, match="unknown selection rule 'best'"):
        paper_table(records, "cocuring-3", rule="best")


def test_other_records_are_left_out():
    others = runs((0.9,), method="eac", protocol="rafdb-sym", level=0.4) + runs(
        (0.9,), method="cocuring", protocol="fer2013-real"
    )
    assert paper_table(others, "cocuring-2") == paper_table([], "cocuring-2")


def test_runs_under_a_papers_own_recipe_are_a_block_of_their_own():
    common = {"protocol": "affectnet-auto"}
    own = {"settings": {"recipe": {"batch_size": 512}, "precision": "fp32"}, "recipe": "native"}
    records = [
        *runs((0.5, 0.5), method="cocuring", recipe="native", **common),
        *runs((0.6, 0.6), method="nct", **own, **common),
        *runs((0.4, 0.4), method="cocuring", **common),
        *runs((0.3, 0.3), method="nct", **common),
    ]
    shared, native = paper_table(records, "cocuring-3")
    assert row(shared, "Co-curing")["AffectNet measured"].text == "40.00 ± 0.00"
    assert row(shared, "Co-curing")["AffectNet measured"].best
    assert row(native, "Co-curing")["AffectNet measured"].text == "50.00 ± 0.00"
    assert row(native, "NCT")["AffectNet measured"].text == "60.00 ± 0.00"
    assert not row(native, "NCT")["AffectNet measured"].best, "rows under different recipes are not ranked"
    assert "native recipe" in native.title
    assert "native recipe" not in shared.title
    assert native.notes[-1].endswith("fernoise-bench run --table cocuring-3 --recipe native --seeds 2")
    assert shared.notes[-1].endswith("fernoise-bench run --table cocuring-3 --seeds 2")


def test_a_method_with_two_recipes_of_its_own_is_refused():
    common = {"method": "nct", "protocol": "affectnet-auto", "recipe": "native"}
    records = runs((0.5,), **common) + runs((0.6,), settings={"recipe": {"batch_size": 512}}, **common)
    with pytest.raises(BadInput, match=r"settings\.recipe\.batch_size"):
        paper_table(records, "cocuring-3")


def test_records_of_several_settings_are_refused_or_kept_apart():
    records = [
        *runs((0.5,), method="cocuring", protocol="rafdb-sym", level=0.1),
        *runs((0.6,), method="cocuring", protocol="ferplus-sym", level=0.1, profile="small", source="generated"),
    ]
    with pytest.raises(BadInput, match=r"cannot share a table, they differ in: profile, source; .*--allow-mixed"):
        paper_table(records, "cocuring-2")
    paper, small = paper_table(records, "cocuring-2", allow_mixed=True)
    assert row(paper, "Co-curing", "88")["RAF-DB measured"].text == "50.00"
    assert row(paper, "Co-curing", "88")["FERPlus measured"].text == ""
    assert row(small, "Co-curing", "88")["FERPlus measured"].text == "60.00"
    assert any("the differences do not test the paper's numbers" in note for note in small.notes)
    assert not any("say nothing" in note for note in paper.notes)
    assert small.notes[-1].endswith("fernoise-bench run --table cocuring-2 --synthetic --seeds 1")


@pytest.mark.parametrize(("weights", "found"), [("none", True), ("imagenet", False)])
def test_a_small_table_says_when_nothing_was_pre_trained(weights: str, found: bool):
    settings = {"recipe": {"batch_size": 32}, "weights": weights}
    records = runs((0.5,), method="cocuring", protocol="rafdb-sym", level=0.1, profile="small", settings=settings)
    (table,) = paper_table(records, "cocuring-2")
    note = next(note for note in table.notes if "do not test the paper's numbers" in note)
    assert ("all networks trained from scratch" in note) == found


def test_the_command_that_fills_a_table_adds_to_the_records_there_are():
    records = runs((0.5, 0.6), method="cocuring", protocol="rafdb-sym", level=0.1)
    (table,) = paper_table(records, "cocuring-2", runs="a folder")
    assert table.notes[-1].endswith("fernoise-bench run --table cocuring-2 --seeds 2 --out 'a folder'")


def test_programs_tell_what_was_not_run_from_what_is_only_reported():
    known = runs((0.5,), method="co_teaching", protocol="ferplus-sym", level=0.1, oracle_knowledge=("noise_rate",))
    (table,) = paper_table(known, "cocuring-2")
    (first, *_) = (cells for cells in table.rows if cells[1].flags == "oracle knowledge")
    assert (first[1].text, first[1].printed) == ("Coteaching †", "Coteaching")
    assert (first[6].text, first[6].status) == ("50.00", "")
    assert row(table, "SCN", "10")["FERPlus measured"].status == "not run"
    assert row(table, "RR")["FERPlus measured"].status == "reported only"


def test_one_protocol_with_two_settings_is_refused_by_the_names_of_the_fields():
    common = {"protocol": "rafdb-sym", "level": 0.1}
    records = [
        *runs((0.5,), method="cocuring", **common),
        *runs((0.6,), method="nct", settings={"recipe": {"batch_size": 64}, "precision": "bf16"}, **common),
    ]
    with pytest.raises(BadInput, match=r"differ in: settings\.precision"):
        paper_table(records, "cocuring-2")
    assert len(paper_table(records, "cocuring-2", allow_mixed=True)) == 2


def test_versions_of_a_method_stand_in_rows_of_their_own():
    common = {"method": "cocuring", "protocol": "affectnet-auto"}
    (table,) = paper_table(runs((0.5,), **common) + runs((0.6,), digest="11aa", **common), "cocuring-3")
    versions = [cells for cells in table.rows if cells[0].text.startswith("Co-curing #")]
    assert [cells[2].text for cells in versions] == ["50.00", "60.00"]
    assert [cells[1].text for cells in versions] == ["56.70", ""]
    assert any(note.startswith("#: several versions") for note in table.notes)


def test_csv_and_json_have_the_numbers():
    records = runs((0.4, 0.5), method="nct", protocol="affectnet-auto")
    tables = paper_table(records, "cocuring-3")
    head, *lines = render(tables, "csv").splitlines()
    assert head.split(",")[1:5] == ["Method", "AffectNet reported", "AffectNet measured", "AffectNet measured sd"]
    (line,) = [line for line in lines if ",NCT," in line]
    assert ",NCT,56.46,45," in line


def test_csv_prints_what_the_paper_prints_with_its_flags():
    lines = list(csv.DictReader(io.StringIO(render(paper_table([], "cocuring-2"), "csv"))))
    assert all(line["Noise level"] for line in lines)
    by_row = {(line["Noise level"], line["Method"]): line for line in lines}
    assert by_row["10", "NCT"]["AffectNet"] == "59.70"
    assert by_row["20", "SCN"]["RAF-DB flags"] == "copied; misprint"
    assert by_row["40", "JoCR"]["FERPlus flags"] == "suspect"
    lines = list(csv.DictReader(io.StringIO(render(paper_table([], "recot-1"), "csv"))))
    by_name = {line["Method/AU"]: line for line in lines}
    assert by_name["Baseline*"]["17"] == "53.0"
    assert (by_name["NR*"]["1"], by_name["NR*"]["1 mark"], by_name["ReCoT*"]["1 mark"]) == ("61.7", "second", "best")
    assert by_name["MT"]["Avg. flags"] == "copied; mean"
    assert ",55.11*," in render(paper_table([], "ulcag-5"), "csv")
    cell = json.loads(render(paper_table([], "cocuring-2"), "json"))[0]["rows"][4][4]
    assert (cell["printed"], cell["value"]) == ("59.70", 59.7)


def test_the_cell_in_json():
    tables = paper_table(trained("nct", seeds=2), "cocuring-3")
    found = json.loads(render(tables, "json"))[0]
    cell = found["rows"][4][2]
    assert (cell["value"], cell["n_ok"]) == (pytest.approx(55.0), 2)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_every_table_compiles_with_the_preamble_it_names(tmp_path):
    records = [
        *trained("nct"),
        *runs((0.5,), method="co_teaching", protocol="rafdb-sym", level=0.1, oracle_knowledge=("noise_rate",)),
        *runs((0.5,), method="cocuring", protocol="rafdb-sym", level=0.1),
    ]
    texts = [render(paper_table(records, table_id), "latex") for table_id in TABLE_IDS]
    assert all(text.isascii() for text in texts)
    preamble = texts[0].partition("\n")[0].partition(":")[2]
    body = "\n\\clearpage\n".join(texts)
    source = f"\\documentclass{{article}}\n{preamble}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
    (tmp_path / "table.tex").write_text(source)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "table.tex"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stdout[-500:]
    assert "Overfull \\hbox" not in found.stdout, "wide tables fit"


# --- what has to be run


def test_what_a_table_needs():
    assert wanted("ulcag-3") == [
        Wanted(protocol, method, (0.1, 0.2, 0.3))
        for protocol in ("rafdb-sym", "affectnet7-sym")
        for method in ("supervised", "scn", "ulc_ag")
    ]
    found = {(each.protocol, each.method): each.levels for each in wanted("cocuring-2")}
    assert found["ferplus-sym", "scn"] == (0.1, 0.2, 0.3), "the paper has no row at 40%"
    assert found["affectnet-sym", "jocor"] == (0.1, 0.2, 0.3, 0.4)
    assert Wanted("emotionet-3split-scratch", "recot:cot", ()) in wanted("recot-4")
    assert len([each for each in wanted("recot-4") if each.method == "recot:a1-b1-g1"]) == 2, "two protocols, once each"
    assert wanted("mlcr-1") == wanted("cocuring-1") == []
    assert tuple(wanted("rhls-1")[0]) == ("disfa-3fold-plain", "supervised", (), (), "paper")


@pytest.mark.parametrize("table_id", TABLE_IDS)
def test_what_a_table_needs_exists_and_can_run(table_id):
    for each in wanted(table_id):
        protocol, method = PROTOCOLS[each.protocol], each.method
        assert registry.find(method).name == method
        reason = registry.find(method).missing(protocol)
        assert not reason or "auxiliary" in reason or "teacher" in reason, f"{method} on {each.protocol}: {reason}"
        assert set(each.levels) <= set(protocol.levels)
