"""The leaderboard's overview, methods, rivals and history in headless Chromium."""

from __future__ import annotations

import csv
import io
import re
import shlex

import pytest
from click.testing import CliRunner

from fernoise_bench.benchmark.cli import main
from fernoise_bench.results.records import reference_leaderboard as shipped

from ...results.fabricate import Trial, fabricate_all, ship

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

SKILLS = {name: 0.3 + place / 20 for place, name in enumerate(("supervised", "ensemble", "co_teaching", "cocuring"))}
OTHERS = {
    name: 0.5 + place / 40 for place, name in enumerate(("elr", "gce", "sce", "scn", "nct", "eac", "rul", "jocor"))
}
TOLD = {"co_teaching": ("noise_rate",)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Made-up records, and the page that the command line makes of them."""
    place = tmp_path_factory.mktemp("history")
    common = {"rows": 200, "epochs": 3}
    trials = [
        Trial(method, level=0.4, seed=seed, skill=skill, oracle_knowledge=TOLD.get(method, ()), **common)
        for method, skill in {**SKILLS, **OTHERS}.items()
        for seed in range(6)
    ]
    trials += [
        Trial(method, "fer2013-real", level=None, seed=seed, skill=skill, **common)
        for method, skill in SKILLS.items()
        for seed in range(2)
    ]
    drawn = {"protocol": "bp4d-3fold", "kind": "multi", "level": None, "copies": 0, "source": "generated", **common}
    trials += [
        Trial(method, fold=fold, **drawn) for method in ("supervised", "rhls") for fold in ("part1", "part2", "part3")
    ]
    fabricate_all(place / "runs", trials)
    done = CliRunner().invoke(main, ["report", "--runs", str(place / "runs"), "--out", str(place / "out")])
    assert done.exit_code == 0, done.output
    return place


@pytest.fixture
def open_page(chromium, folder):
    """Opens a place of the page; whatever the browser complains of fails the test."""
    complaints: list[str] = []
    contexts = []

    def opened(place="", width=1400, **options):
        contexts.append(chromium.new_context(viewport={"width": width, "height": 900}, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((folder / "out" / "index.html").as_uri() + place)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def heading(page):
    return page.get_by_role("heading", level=2).inner_text()


def wait_for(page, look, expected):
    """Until something seen is as expected: a page that is led to another place is drawn a moment later."""
    for _ in range(500):
        if look(page) == expected:
            return
        page.wait_for_timeout(20)
    assert look(page) == expected


def test_back_goes_where_the_reader_was(open_page):
    page = open_page()
    page.get_by_role("tab", name="ferplus-sym@1").click()
    page.locator("#view-audit").click()
    page.get_by_role("tab", name="Methods").click()
    page.get_by_role("link", name="elr").click()
    wait_for(page, heading, "elr")
    assert page.title() == "elr · fernoise-bench leaderboard"
    for expected in ("Methods", "ferplus-sym@1", "ferplus-sym@1", "Overview"):
        page.go_back()
        wait_for(page, heading, expected)
    for view in ("#view-results", "#view-audit"):
        page.go_forward()
        wait_for(page, lambda now, view=view: now.locator(view).count(), 1)
        wait_for(page, lambda now, view=view: now.locator(view).get_attribute("aria-selected"), "true")
    assert page.get_by_role("tab", selected=True).first.inner_text().startswith("ferplus-sym@1")


def test_the_link_that_skips_the_tabs_leaves_the_page_where_it_is(open_page):
    page = open_page("#page=methods&method=elr")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    wait_for(page, heading, "elr")


@pytest.mark.parametrize("typed", ["co-teaching", "co_teaching", "CO-TEACH"])
def test_the_filter_takes_hyphens_for_underscores(open_page, typed):
    page = open_page("#page=ferplus-sym@1")
    page.get_by_label("Filter methods").fill(typed)
    names = page.locator("table.results tbody tr:not(.reported-only) th").all_inner_texts()
    assert [name.split()[0] for name in names] == ["co_teaching"]


def test_the_first_screen_has_real_faces_and_ten_methods(open_page):
    page = open_page()
    assert page.locator("main h3").all_inner_texts()[:2] == ["Real faces", "Generated faces"]
    noises = "Does synthetic noise rank methods as people's errors do?"
    assert page.locator("main h4").all_inner_texts() == ["Expressions", noises, "Action units"]
    first = page.locator("table.overview").first
    assert first.locator("tbody tr").count() == 10
    assert first.bounding_box()["y"] < 400
    best = first.locator("tbody th").first.inner_text()
    page.get_by_role("button", name="All 12 methods").click()
    assert first.locator("tbody tr").count() == 12
    assert first.locator("tbody th").first.inner_text() == best
    page.get_by_role("button", name="The first 10 only").click()
    page.get_by_label("Filter methods").fill("supervised")
    assert first.locator("tbody th").all_inner_texts() == ["supervised"]


def test_the_chart_has_a_name_for_each_point_and_says_them_in_words(open_page):
    page = open_page()
    chart = page.locator(".kind figure > svg")
    names = [*SKILLS, *OTHERS]
    assert chart.count() == 1
    assert chart.locator("circle").count() == len(names)
    texts = chart.locator("g > text").all_text_contents()
    assert sorted(text.split()[0] for text in texts) == sorted(names)
    spoken = chart.get_attribute("aria-label")
    assert chart.get_attribute("role") == "img"
    # made-up networks memorise round(20 · (1.1 − skill)) of 20 wrong labels: 13 of 20 for cocuring, skill 0.45
    assert re.search(r"cocuring \d\d\.\d\d % accuracy, 65 % memorised", spoken)
    page.get_by_label("Chart").select_option("fer2013-real")
    assert page.locator(".kind figure circle").count() == len(SKILLS)


def test_any_rival_gives_the_numbers_of_the_table(open_page, folder):
    page = open_page("#page=ferplus-sym@1")
    page.get_by_label("Rival").select_option("gce")
    assert "against=gce" in page.url
    words = ["table", "ferplus-sym", "--runs", str(folder / "runs"), "--against", "gce", "--format", "csv"]
    rows = list(csv.DictReader(io.StringIO(CliRunner().invoke(main, words).stdout)))
    heads = page.locator("table.results thead th").all_inner_texts()
    (column,) = (at for at, head in enumerate(heads) if head.startswith("vs gce"))
    expected = {row["method"]: row for row in rows}
    assert len(expected) == 11
    shown = page.locator("table.results tbody tr:not(.reported-only)")
    for row in shown.all():
        name = row.locator("th").inner_text().split()[0]
        text = " ".join(row.locator("td, th").nth(column).inner_text().split())
        if name == "gce":
            assert text == "–"
            continue
        table = expected[name]
        found = re.match(r"([+−]\S+) ± (\S+) p = (\S+) 95% (.*)", text)
        assert float(found[1].replace("−", "-")) == pytest.approx(float(table["− gce"]), abs=0.006)
        assert float(found[2]) == pytest.approx(float(table["− gce sd"]), abs=0.006)
        assert float(found[3]) == pytest.approx(float(table["p (Holm)"]), abs=0.0006)
        ends = [float(end.replace("−", "-")) for end in found[4].split(" to ")]
        assert ends == pytest.approx([float(table["95% interval low"]), float(table["95% interval high"])], abs=0.006)
    page.go_back()
    heads = page.locator("table.results thead th")
    wait_for(page, lambda _: any("vs ensemble" in each for each in heads.all_inner_texts()), True)


def test_the_declared_comparison_is_named_first(open_page):
    page = open_page("#page=ferplus-sym@1")
    assert page.get_by_label("Rival").evaluate("node => node.selectedOptions[0].text") == "ensemble (declared)"
    text = page.locator("table.results tbody tr", has_text="cocuring").first.inner_text()
    assert text.index("declared p") < text.index("among all rows p")
    assert "Declared beforehand: each paper's method against ensemble" in page.locator("#view .notes").inner_text()


def test_a_rival_on_the_overview_turns_scores_into_differences(open_page):
    page = open_page("#page=overview&against=elr")
    first = page.locator("table.overview").first
    assert "Difference in accuracy from elr" in first.locator("caption").inner_text()
    row = first.locator("tbody tr", has=page.get_by_role("rowheader", name="jocor"))
    assert re.search(r"[+−]\d+\.\d\d ± \d", row.inner_text())
    page.get_by_label("Rival").select_option("")
    assert "Accuracy in %" in first.locator("caption").inner_text()
    assert page.evaluate("document.activeElement.id") == "rival"


def test_a_method_has_its_paper_parameters_and_results(open_page):
    page = open_page("#page=methods")
    page.get_by_role("link", name="co_teaching").click()
    wait_for(page, heading, "co_teaching")
    text = page.locator("main").inner_text()
    for words in ("NeurIPS 2018", "Han et al., Co-teaching", "bhanML/Co-teaching", "expressions", "noise rate"):
        assert words in text
    assert (
        page.get_by_role("link", name="Han et al., Co-teaching").get_attribute("href").startswith("https://arxiv.org/")
    )
    table = page.locator("table.plainly")
    assert table.locator("tbody th").all_inner_texts() == ["ferplus-sym@1", "fer2013-real@1"]
    assert page.locator("table.card tbody tr").count() > 2
    assert "estimated-rate" in text
    table.get_by_role("link", name="fer2013-real@1").click()
    wait_for(page, heading, "fer2013-real@1")


def test_methods_over_protocols_have_a_matrix(open_page):
    page = open_page("#page=meta")
    table = page.locator("table.matrix").first
    assert table.locator("tbody tr").count() == 12
    labels = table.locator("tbody th").all_inner_texts()
    assert labels == [label.strip() for label in table.locator("thead th").all_inner_texts()[1:]]
    cell = table.locator("tbody tr").nth(0).locator("td").nth(11)
    assert cell.inner_text().startswith("+")
    assert f"{labels[0]} − {labels[11]}: +" in cell.get_attribute("title")


def test_the_box_names_commands_that_exist(open_page):
    page = open_page()
    commands = page.locator(".box code").all_inner_texts()
    assert [command.split()[1] for command in commands] == ["run", "table", "report"]
    for command in commands:
        known = CliRunner().invoke(main, [command.split()[1], "--help"]).output
        assert all(option in known for option in re.findall(r"--[a-z-]+", command))


def test_the_commands_of_the_box_work_one_after_the_other(chromium, tmp_path, monkeypatch):
    """Pages with rows that ship; the runs hold the own method alone, as the first command leaves them."""
    ship(tmp_path / "reference", [Trial(method, seed=seed) for method in ("elr", "gce") for seed in range(2)])
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "reference")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    fabricate_all(tmp_path / "fernoise-runs", [Trial("mine.Mine", seed=seed, skill=0.9) for seed in range(2)])
    for words in (["--out", "first", "--with-reference"], ["--out", "second", "--with-reference", "--method", "elr"]):
        assert CliRunner().invoke(main, ["report", *words]).exit_code == 0
        page = chromium.new_page()
        page.goto((tmp_path / words[1] / "index.html").as_uri())
        commands = page.locator(".box code").all_inner_texts()
        page.close()
        assert commands[0].startswith("fernoise-bench run --protocol ferplus-sym --noise 0.2 --method mine.py:Mine")
        for command in commands[1:]:
            done = CliRunner().invoke(main, shlex.split(command)[1:])
            assert done.exit_code == 0, done.output


@pytest.mark.parametrize("place", ["", "#page=meta", "#page=methods", "#page=methods&method=co_teaching"])
def test_a_phone_never_scrolls_sideways(open_page, place):
    page = open_page(place, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_on_paper_it_is_light_and_without_controls(open_page):
    page = open_page("#page=methods&method=elr", color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert (
        page.locator("nav, .toolbar, .crumb, .skip").evaluate_all("nodes => nodes.filter((n) => n.checkVisibility())")
        == []
    )
    assert page.locator(".scroll").first.evaluate("node => getComputedStyle(node).overflowX") == "visible"
    link = page.get_by_role("link", name="Liu et al.")
    assert "arxiv.org" in link.evaluate("node => getComputedStyle(node, '::after').content")
