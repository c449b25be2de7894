from __future__ import annotations

import json
import shlex

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.analysis.label_findings import Finding, Found
from fernoise_bench.results.analysis.stored_findings import LabelFindings
from fernoise_bench.results.claims.verdicts import verdicts
from fernoise_bench.results.page.data import Card, Context, command, page_data
from fernoise_bench.results.records.record import load_records
from fernoise_bench.results.records.schema import identity_of
from fernoise_bench.results.tables.protocol_tables import protocol_table

from ..claimed import record
from ..fabricate import Trial, fabricate_all

ORACLES = {"nct": ("noise_rate",)}
METHODS = ("supervised", "ensemble", "cocuring", "nct")
RISING = (("nct", 0, {"last_five": 0.48}), ("cocuring", 0, {"last_five": 0.5}))


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    skills = dict(zip(METHODS, (0.4, 0.5, 0.7, 0.6), strict=True))
    fabricate_all(
        out,
        [
            Trial(method=method, level=level, seed=seed, skill=skill, oracle_knowledge=ORACLES.get(method, ()))
            for method, skill in skills.items()
            for level in (0.2, 0.4)
            for seed in range(3)
        ]
        + [Trial(method="cocuring", level=0.4, seed=3, state="diverged", reason="loss is nan")]
        + [Trial(method="supervised", profile="smoke"), Trial(method="supervised", source="generated")]
        + [
            Trial(method=method, protocol="bp4d-3fold", kind="multi", level=None, fold=fold, copies=0, validation=False)
            for method in ("supervised", "recot")
            for fold in ("part1", "part2", "part3")
        ],
    )  # fmt: skip
    return load_records(out)[0]


@pytest.fixture(scope="module")
def page(records):
    return page_data(records)


def protocol(page, name):
    return next(each for each in page["protocols"] if each["name"] == name)


def block_of(page, name, words="small profile, real faces"):
    return next(each for each in protocol(page, name)["blocks"] if each["words"] == words)


def test_a_row_says_whether_its_method_is_still_rising():
    """In the page the notes explain the arrow, and rows carry it as data."""
    rising, resting = (record(0.5, method=m, seed=s, level=0.2, rules=rules) for m, s, rules in RISING)
    (block,) = page_data([rising, resting])["protocols"][0]["blocks"]
    assert {row["label"]: row["rising"] for row in block["rows"]} == {"nct": True, "cocuring": False}
    assert [note.endswith(": nct.") for note in block["notes"] if note.startswith("↗")] == [True]


def row_of(block, label):
    return next(row for row in block["rows"] if row["label"] == label)


def test_it_is_plain_json_and_follows_from_the_records(page, records):
    assert json.loads(json.dumps(page, allow_nan=False)).keys() == page.keys()
    assert page_data(records) == page


def test_settings_are_blocks_of_their_own(page):
    words = [block["words"] for block in protocol(page, "ferplus-sym")["blocks"]]
    assert sorted(words) == ["small profile, generated faces", "small profile, real faces", "smoke profile, real faces"]
    assert page["counts"] == {"trials": 33, "done": 32, "methods": 5, "protocols": 2}


@pytest.mark.parametrize("rule", ["last", "last_five", "validation", "oracle"])
def test_cells_are_those_of_the_tables(page, records, rule):
    block = block_of(page, "ferplus-sym")
    chosen = [
        r for r in records if (r.protocol, r.identity.profile, r.identity.source)
        == ("ferplus-sym", "small", "real")
    ]  # fmt: skip
    (table,) = protocol_table(chosen, rule=rule)
    for printed in table.rows:
        row = row_of(block, printed[0].text.removesuffix(" †"))
        assert [cell["rules"][rule]["text"] for cell in row["cells"]] == [cell.text for cell in printed[1:3]]
        assert [cell["rules"][rule].get("status", "") for cell in row["cells"]] == [c.status for c in printed[1:3]]


def test_missing_pairs_are_said(page):
    cell = row_of(block_of(page, "ferplus-sym"), "cocuring")["cells"][1]
    assert cell["rules"]["last"]["status"] == "3/4, 1 diverged"
    assert [trial["state"] for trial in cell["trials"]].count("diverged") == 1
    assert next(trial["reason"] for trial in cell["trials"] if trial["state"] == "diverged") == "loss is nan"


def test_provenance_gives_back_the_identity(page, records):
    from fernoise_bench.results.records.store import trial_id

    block = block_of(page, "ferplus-sym")
    row = row_of(block, "nct")
    trial = row["cells"][0]["trials"][1]
    identity = {
        **block["identity"], **trial["more"], "method": row["identity"], "level": 0.2, "fold": trial["fold"],
        "draw": trial["draw"], "seed": trial["seed"],
    }  # fmt: skip
    assert trial["folder"].endswith(trial_id(identity))
    environment = page["environments"][trial["environment"]]
    assert environment["oracle_knowledge"] == ["noise_rate"]
    assert "noise" not in environment
    assert row["oracle"] == ["noise_rate"]


def test_reported_stands_beside_measured(page):
    block = block_of(page, "ferplus-sym")
    printed = row_of(block, "cocuring")["cells"][1]["printed"]
    assert [each["text"] for each in printed if each["table"] == "cocuring-2"] == ["84.41"]
    assert printed[0]["where"].startswith("Co-curing")
    assert row_of(block, "supervised")["cells"][0]["printed"] == [] or all(
        each["value"] for each in row_of(block, "supervised")["cells"][0]["printed"]
    )
    others = block_of(page, "bp4d-3fold")["printed_only"]
    assert "DRML" in [row["label"] for row in others]
    by_au = row_of(block_of(page, "bp4d-3fold"), "recot")["cells"][0]["printed"]
    assert {each["label"]: each["text"] for each in by_au}["AU12"] == "88.4"
    assert {each["label"]: each["text"] for each in by_au}[None] == "64.8"


def test_a_printed_number_carries_its_flags(page):
    rows = block_of(page, "ferplus-sym")["printed_only"]
    cells = {row["label"]: row["cells"] for row in rows}
    twice = [each for each in cells["jocor"][1] if each["table"] == "cocuring-2"]
    assert [each["flags"] for each in twice] == [("suspect",)]
    assert twice[0]["remarks"][0].startswith("suspect: the same digits")
    assert [each["flags"] for each in cells["RR"][0] if each["table"] == "cocuring-2"] == [("copied",)]


def test_methods_of_the_harness_that_were_not_run_are_reported_still(page):
    rows = {row["label"]: row for row in block_of(page, "bp4d-3fold")["printed_only"]}
    assert rows["bootstrapping:hard"]["printed"] == ["BS-H"]
    assert rows["bootstrapping:hard"]["method"] == "bootstrapping:hard"
    assert rows["DRML"]["method"] is None
    assert not {"recot", "supervised"} & rows.keys()  # these were run


def test_a_single_pair_has_no_best(page, records):
    alone = block_of(page, "bp4d-3fold")
    assert [level["pairs"] for level in alone["levels"]] == [1]
    assert not any(cell.get("best") for row in alone["rules"]["rows"] for cell in row)
    assert any(cell.get("best") for row in block_of(page, "ferplus-sym")["rules"]["rows"] for cell in row)
    assert alone["diagrams"] == []


def test_means_of_classes_are_over_folds_and_then_pairs(page, records):
    label = row_of(block_of(page, "bp4d-3fold"), "recot")["cells"][0]["rules"]["last"]["labels"]
    mine = [r.scores["last"].per_label for r in records if r.method == "recot"]
    assert label == [pytest.approx(100 * sum(values) / 3, abs=1e-3) for values in zip(*mine, strict=True)]


def test_comparisons_are_in_points_and_say_what_the_design_can_show(page):
    block = block_of(page, "ferplus-sym")
    places = {row["label"]: place for place, row in enumerate(block["rows"])}
    comparison = block["levels"][0]["comparison"]
    last = [row["cells"][0]["rules"]["last"]["value"] for row in block["rows"]]
    rival = block["rivals"][places["supervised"]]
    found = dict(zip(page["rivals"], rival["cells"][0][places["nct"]], strict=True))
    assert found["mean"] == pytest.approx(last[places["nct"]] - last[places["supervised"]], abs=1e-3)
    assert rival["cells"][0][places["supervised"]] is None
    assert "cannot reach" in rival["power"]
    assert sum(row["first"] for row in comparison["rows"]) == pytest.approx(1, abs=1e-3)
    assert block["levels"][1]["comparison"]["rows"][places["cocuring"]]["group"] is None  # lacks a pair


def test_curves_audit_and_compute(page):
    block = block_of(page, "ferplus-sym")
    curve = next(each for each in block["levels"][0]["curves"] if each["label"] == "nct")
    assert len(curve["test"]) == len(curve["memorised"]) == 6
    assert curve["test"][-1] == pytest.approx(row_of(block, "nct")["cells"][0]["rules"]["last"]["value"], abs=1e-3)
    assert "memorised" in block["audit"][0]["columns"]
    assert "forwards per sample" in block["compute"]["columns"]
    # the page finds a method's compute by its place
    names = [row[0]["text"].removesuffix(" †") for row in block["compute"]["rows"]]
    assert names == [row["label"] for row in block["rows"]] * 2


def test_commands_are_quoted_and_name_the_setting(page):
    cells = row_of(block_of(page, "ferplus-sym"), "nct")["cells"]
    assert cells[1]["command"] == (
        "fernoise-bench run --protocol ferplus-sym --method nct --noise 0.4 --seeds 4 --profile small"
    )
    generated = row_of(block_of(page, "ferplus-sym", "small profile, generated faces"), "supervised")["cells"][0]
    assert generated["command"].endswith("--synthetic")
    identity = identity_of(Trial(recipe="native", partial=True).identity)
    assert shlex.split(command(identity, "my file.py:A; rm -r x", None, [(0, 0)]))[5] == "my file.py:A; rm -r x"
    assert command(identity, "a", None, []).endswith("--seeds 1 --profile small --partial --recipe native")


def test_means_over_folds_are_said_only_where_there_are_folds(tmp_path):
    plain = [Trial(seed=seed) for seed in (0, 1)]
    folds = [Trial(protocol="x", fold=fold, seed=seed) for fold in ("part1", "part2") for seed in (0, 1)]
    fabricate_all(tmp_path, plain + folds)
    notes = {each["name"]: each["blocks"][0]["notes"] for each in page_data(load_records(tmp_path)[0])["protocols"]}
    assert notes["ferplus-sym"] == ["Means over 2 (seed, draw) pairs."]
    assert "Means over 2 (seed, draw) pairs, each the mean over its folds." in notes["x"]


def test_cards_claims_and_remarks(records):
    card = Card("ferplus-sym v1", [("labels", "eight", "FER+")])
    context = Context(
        cards={("ferplus-sym", "small"): card},
        claims=verdicts(records),
        not_applicable={"ferplus-sym": {"recot": "needs action unit labels"}},
        about=["A small encoder."],
        remarks=["damaged: x"],
    )
    page = page_data(records, context)
    block = block_of(page, "ferplus-sym")
    assert block["card"] == {"title": "ferplus-sym v1", "rows": [("labels", "eight", "FER+")]}
    assert block_of(page, "ferplus-sym", "smoke profile, real faces")["card"] is None
    assert block["not_applicable"] == {"recot": "needs action unit labels"}
    assert (page["about"], page["remarks"]) == (["A small encoder."], ["damaged: x"])
    assert {"not run", "underpowered"} <= {claim["verdict"] for claim in page["claims"]}


def test_no_records_are_refused():
    with pytest.raises(BadInput, match="no trials"):
        page_data([])


@pytest.mark.parametrize(
    ("apart", "words"),
    [
        ([{"precision": "fp32"}, {"precision": "bf16"}], ["precision fp32", "precision bf16"]),
        ([{"a": {"b": [1, 2]}, "c": 1}, {"a": {"b": [1, 3]}, "c": 2}, {"c": 3}], ["a b [1 2]", "a b [1 3]", "a b –"]),
    ],
)
def test_settings_have_words_of_their_own(tmp_path, apart, words):
    fabricate_all(tmp_path, [Trial(settings=each) for each in apart])
    fabricate_all(tmp_path, [Trial(profile="smoke"), Trial(recipe="native")])
    found = [block["words"] for block in page_data(load_records(tmp_path)[0])["protocols"][0]["blocks"]]
    shared = "small profile, real faces"
    others = ["smoke profile, real faces", f"{shared}, native recipe"]
    assert sorted(found) == sorted([*(f"{shared}, {each}" for each in words), *others])


def test_settings_spelt_alike_are_told_apart_still(tmp_path):
    fabricate_all(tmp_path, [Trial(settings={"steps": 1}), Trial(settings={"steps": "1"})])
    first, second = (block["words"] for block in page_data(load_records(tmp_path)[0])["protocols"][0]["blocks"])
    assert first != second


def test_wrong_labels_are_shown_where_trials_have_findings(records):
    found = Finding(Found(0.75, 0.5, 0.4, 0.6, 0.3, 1.0, 2.0, 1.5, 1.2), ())
    mine = [each for each in records if each.done and each.protocol == "ferplus-sym"][:1]
    findings = LabelFindings({each.folder: {"mean": found} for each in mine})
    page = page_data(records, Context(findings=findings))
    tables = {block["title"]: block["wrong_labels"] for each in page["protocols"] for block in each["blocks"]}
    (mine_alone,) = filter(None, tables.values())
    shown = mine_alone[0]
    (row,) = shown["rows"]
    assert mine[0].method in row[0]["text"]
    assert row[shown["columns"].index("AUROC")]["text"].startswith("75.0")
    assert not any(block["wrong_labels"] for each in page_data(records)["protocols"] for block in each["blocks"])
