"""What the leaderboard's page says of settings, gaps and marks, in headless Chromium."""

from __future__ import annotations

import pytest

from fernoise_bench.results.records import load_records
from fernoise_bench.results.report import write_report
from fernoise_bench.results.report_data import page_data

from ..results.fabricate import Trial, fabricate_all


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
