"""What the leaderboard's page says of settings, gaps and marks, in headless Chromium."""

from __future__ import annotations

import csv
import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest

from fernoise_bench.results.page.data import page_data
from fernoise_bench.results.page.html import write_report
from fernoise_bench.results.records.record import load_records

from ...results.fabricate import Trial, fabricate_all

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")


@pytest.fixture
def open_records(chromium, tmp_path):
    """Opens a place of the page made of made-up trials; whatever the browser complains of fails the test."""
    complaints: list[str] = []
    contexts = []

    def opened(trials, place="", **options):
        fabricate_all(tmp_path / "runs", trials)
        path = write_report(page_data(load_records(tmp_path / "runs")[0]), tmp_path)
        contexts.append(chromium.new_context(**{"viewport": {"width": 1300, "height": 900}, **options}))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri() + place)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def test_settings_that_differ_in_precision_alone_are_told_apart(open_records):
    page = open_records([Trial(settings={"precision": precision}) for precision in ("fp32", "bf16")])
    headings = page.locator("table.overview thead th.number").all_inner_texts()
    assert sorted("".join(each.split("\n")[-2:]) for each in headings) == [
        "precision bf16,one seed",
        "precision fp32,one seed",
    ]
    cards = page.locator(".tile small").all_inner_texts()
    assert sorted(cards) == [f"small profile, real faces, precision {each}" for each in ("bf16", "fp32")]
    page.locator(".tile", has_text="bf16").click()
    assert page.locator("select option").all_inner_texts() == cards
    assert page.locator("table.results caption").inner_text().endswith("small profile, real faces, precision bf16")


def test_numbers_printed_more_than_once_are_explained_where_they_occur(open_records):
    trials = [Trial(method=method, protocol="rafdb-sym") for method in ("scn", "supervised")]
    page = open_records([*trials, replace(trials[0], level=0.3)], "#page=rafdb-sym@1")
    row = page.locator("table.results tbody tr", has=page.locator("th", has_text="scn"))
    other, same = row.locator("td.printed").all_inner_texts()
    assert re.search(r"\+1\s*Δ\s*\(different value: 80\.10\)", other)
    assert "+1" in same
    assert "Δ" not in same
    notes = page.locator("#view .notes").inner_text()
    assert "+1 one further occurrence in another table or row (select to see); Δ the values differ." in notes


def test_marks_that_do_not_occur_are_not_explained(open_records):
    page = open_records([Trial(method="cocuring")], "#page=ferplus-sym@1")
    assert page.locator("td.printed .flag").count() > 0
    assert "+1" not in page.locator("#view").inner_text()
    assert "Δ" not in page.locator("#view .notes").inner_text()


UNFINISHED = [Trial(protocol="emotionet-3split", kind="multi", level=None, fold="split1", method="supervised")]


def test_the_heat_map_explains_its_marks_and_what_is_unfinished(open_records):
    page = open_records(UNFINISHED, "#page=emotionet-3split@1&view=labels")
    assert page.locator("#view .flag", has_text="≠").count() > 0
    notes = page.locator("#view .notes").inner_text()
    assert "≠ not the mean of its row" in notes
    assert "c copied from another paper" in notes
    assert "0/1, 1 incomplete" in page.locator("tbody tr", has_text="supervised").first.inner_text()
    page.get_by_label("Papers' numbers").uncheck()
    assert "Beside a reported number" not in page.locator("#view").inner_text()


def test_a_row_of_the_audit_says_once_what_it_lacks(open_records):
    page = open_records(UNFINISHED, "#page=emotionet-3split@1&view=audit")
    assert page.locator("#view").inner_text().count("0/1, 1 incomplete") == 1
    assert page.locator("#view table").count() == 1
    assert "No method has finished a (seed, draw) pair." in page.locator("#view .empty").inner_text()
    with page.expect_download() as started:
        page.get_by_role("button", name="Download CSV").click()
    (row,) = csv.DictReader(Path(started.value.path()).read_text(encoding="utf-8").splitlines())
    assert row["memorised"] == "0/1, 1 incomplete"
    page.goto(page.url.replace("view=audit", "view=training"))
    assert page.locator("#view .empty").all_inner_texts() == ["No method has finished a (seed, draw) pair."]
    assert page.locator("#view table, #view figure").count() == 0


def test_missing_trials_of_a_row_are_stated_once(open_records):
    trials = [Trial(seed=0), Trial(seed=1, state="diverged"), Trial(method="elr"), Trial(method="elr", seed=1)]
    page = open_records(trials, "#page=ferplus-sym@1&view=audit")
    row = page.locator("#view table").first.locator("tbody tr", has_text="supervised")
    assert row.inner_text().count("1/2, 1 diverged") == 1
    assert re.search(r"\d", row.locator("td").first.inner_text())


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        ({"wrong": 0}, "No wrong training labels: there is nothing to memorise."),
        ({"audit": False}, "Not audited: no reference labels."),
    ],
)
def test_training_says_why_nothing_was_memorised(open_records, trial, words):
    page = open_records([Trial(**trial), Trial(method="elr", **trial)], "#page=ferplus-sym@1&view=training")
    assert page.locator("#view .empty").all_inner_texts() == [words]
    assert page.locator("#view figure").count() == 1
    headings = page.locator("#view thead th").all_inner_texts()
    assert [each.rstrip("↓").strip() for each in headings] == [
        "Method",
        "test, first epoch",
        "test, maximum of the mean curve",
        "test, last epoch",
    ]
    page.goto(page.url.replace("view=training", "view=audit"))
    blank = page.locator("#view .empty").all_inner_texts()
    assert [each.split("\n")[-1] for each in blank] == [words]


def test_filtering_tells_how_many_rows_are_left(open_records):
    page = open_records([Trial(method=method) for method in ("elr", "gce", "sce")], "#page=ferplus-sym@1")
    page.get_by_role("columnheader", name="Method").get_by_role("button").click()
    page.get_by_label("Papers' numbers").uncheck()
    page.get_by_label("Filter methods").fill("gce")
    assert page.locator("#announce").inner_text() == "1 of 3 rows"
    page.locator("#view-audit").click()
    page.get_by_label("Filter methods").fill("ce")
    assert re.fullmatch(r"\d+ of \d+ rows", page.locator("#announce").inner_text())


@pytest.mark.parametrize("width", [420, 1300])
def test_names_beside_points_do_not_overlap(open_records, width):
    trials = [
        Trial(method=f"method_{'long_' * (number % 3)}{number}", networks=1 + number % 2, skill=0.5 + number / 300)
        for number in range(24)
    ]
    page = open_records(trials, "#page=ferplus-sym@1&view=compute", viewport={"width": width, "height": 900})
    script = "nodes => nodes.map((n) => { const b = n.getBoundingClientRect(); return [b.x, b.y, b.right, b.bottom]; })"
    names = page.locator("figure g > text").evaluate_all(script)
    ((left, _, right, _),) = page.locator("figure > svg").evaluate_all(script)
    assert len(names) == len(trials)
    assert all(left <= box[0] and box[2] <= right for box in names)
    for a, b in itertools.combinations(names, 2):
        apart = min(a[2], b[2]) <= max(a[0], b[0]) or min(a[3], b[3]) - max(a[1], b[1]) < 4  # a line's leading
        assert apart, (a, b)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_at_the_ends_of_lines_stand_out(open_records, scheme):
    trials = [Trial(method=f"m{number}", skill=0.9 - number / 20) for number in range(7)]
    wide = {"width": 1600, "height": 900}
    page = open_records(trials, "#page=ferplus-sym@1&view=training", color_scheme=scheme, viewport=wide)
    for _ in range(2):
        page.locator(".pick[aria-pressed=false]").first.click()
    assert page.locator("figure text.name").count() == 14
    colours = page.locator("figure text.name").evaluate_all("nodes => nodes.map((node) => getComputedStyle(node).fill)")
    behind = page.locator("figure").first.evaluate("node => getComputedStyle(node).backgroundColor")
    assert len(set(colours)) == 7
    assert min(contrast(each, behind) for each in colours) >= 4.5


def contrast(one, other):
    def light(colour):
        shares = [int(part) / 255 for part in re.findall(r"\d+", colour)]
        r, g, b = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("width", [380, 1300])
def test_the_overview_leads_with_synthetic_against_real_noise(open_records, width):
    methods = ("supervised", "ensemble", "cocuring", "nct", "scn")
    names = (("ferplus-votes:1", None), ("ferplus-votes:1-symmetric", None), ("ferplus-sym", 0.4))
    trials = [
        Trial(method=method, protocol=protocol, level=level, seed=seed, skill=0.3 + place / 9)
        for place, method in enumerate(methods)
        for protocol, level in names
        for seed in range(2)
    ]
    page = open_records(trials, viewport={"width": width, "height": 900})
    rows = page.locator("svg.forest > g")
    assert rows.count() == 2
    assert rows.first.locator("text.method").all_text_contents() == ["ferplus-votes:1-symmetric", "and ferplus-votes:1"]
    edges = "nodes => nodes.map((n) => { const b = n.getBoundingClientRect(); return [b.x, b.right]; })"
    ((left, right),) = page.locator("svg.forest").evaluate_all(edges)
    assert all(left <= low and high <= right for low, high in page.locator("svg.forest text").evaluate_all(edges))
    lead = page.get_by_role("button", name="Does synthetic noise rank methods")
    assert lead.bounding_box()["y"] < page.locator("table.overview").bounding_box()["y"]
    lead.click()
    sync_api.expect(page.locator("svg.forest")).to_be_in_viewport()


def test_without_two_kinds_of_noise_the_overview_does_not_compare_them(open_records):
    assert open_records([Trial(method="supervised")]).locator("svg.forest").count() == 0
