"""The leaderboard in a real browser: headless Chromium, driven by Playwright."""

from __future__ import annotations

import csv
import io
import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from fernoise_bench.benchmark.cli import main
from fernoise_bench.results.page.data import Context, page_data
from fernoise_bench.results.page.html import write_report
from fernoise_bench.results.records.record import load_records
from fernoise_bench.results.records.schema import identity_of

from ...results.fabricate import Trial, fabricate_all

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
METHODS = ("supervised", "ensemble", "cocuring", "nct", "scn", HOSTILE, "=1+1")
LEVELS = (0.2, 0.3, 0.4)
TOLD = {"cocuring": ("noise_rate",)}
VIEWS = ["results", "labels", "levels", "training", "rules", "ranks", "audit", "compute", "card"]


def named(method):
    return {"method": method, "oracle_knowledge": TOLD.get(method, ())}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A page made by the command line from made-up records."""
    folder = tmp_path_factory.mktemp("report")
    skills = {method: 0.3 + 0.08 * place for place, method in enumerate(METHODS)}
    trials = [
        Trial(level=level, seed=seed, skill=skill - level / 2, rows=300, **named(method))
        for method, skill in skills.items()
        for level in LEVELS
        for seed in range(3)
        if (method, level, seed) != ("scn", 0.4, 2)
    ]
    trials += [Trial(method="scn", level=0.4, seed=2, state="diverged", reason="loss is nan")]
    faus = Trial(protocol="bp4d-3fold", kind="multi", level=None, copies=0)
    for method, fold in itertools.product(("supervised", "ensemble"), ("part1", "part2", "part3")):
        trials.append(replace(faus, method=method, fold=fold, skill=skills[method]))
    trials += [Trial(protocol="rafdb-sym", level=0.4, skill=skills[method], **named(method)) for method in METHODS]
    fabricate_all(folder / "runs", trials)
    done = CliRunner().invoke(main, ["report", "--runs", str(folder / "runs"), "--out", str(folder / "out")])
    assert done.exit_code == 0, done.output
    return (folder / "out" / "index.html").as_uri()


@pytest.fixture
def open_page(chromium, address):
    """Opens a place of the page; whatever the browser complains of fails the test."""
    complaints: list[str] = []
    contexts = []

    def opened(place="", **options):
        context = chromium.new_context(viewport={"width": 1300, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda r: r.url.startswith(("file:", "blob:")) or complaints.append(r.url))
        page.goto(address + place)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def names(page, table="table.results"):
    return page.locator(f"{table} tbody th").all_inner_texts()


def numbers(page, column, table="table.results"):
    texts = page.locator(f"{table} tbody tr td:nth-child({column})").all_inner_texts()
    return [float(text.split()[0]) for text in texts if text[:1].isdigit()]


def downloaded(page):
    with page.expect_download() as started:
        page.get_by_role("button", name="Download CSV").click()
    return Path(started.value.path()).read_text(encoding="utf-8")


def test_a_heading_sorts_both_ways_and_says_so(open_page):
    page = open_page("#page=ferplus-sym@1")
    heading = page.get_by_role("columnheader", name="noise 0.2")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert numbers(page, 3) == sorted(numbers(page, 3), reverse=True)
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert numbers(page, 3) == sorted(numbers(page, 3))


def test_the_filter_leaves_what_it_names(open_page):
    page = open_page("#page=ferplus-sym@1")
    page.get_by_label("Filter methods").fill("nct cocur")
    assert sorted(name.split()[0] for name in names(page)) == ["cocuring", "nct"]
    assert "2 of" in page.locator(".count").inner_text()


def test_the_selection_rule_ranks_again(open_page):
    page = open_page("#page=ferplus-sym@1")
    before = page.locator("table.results tbody").inner_text()
    page.get_by_label("best on test (oracle)").check(force=True)
    after = page.locator("table.results tbody").inner_text()
    assert before != after
    assert "oracle" in page.locator("table.results caption").inner_text()
    heading = page.locator("th[aria-sort=descending]").inner_text()
    assert heading.startswith("noise 0.4")
    assert "rule=oracle" in page.url
    ranks = page.locator("table.results tbody tr:not(.reported-only) td.rank").all_inner_texts()
    assert [rank.split()[0] for rank in ranks if rank != "–"] == [str(n + 1) for n in range(len(METHODS) - 1)]
    assert ranks[-1] == "–"  # a mean over only the finished trials has no rank, and comes last
    assert names(page)[len(METHODS) - 1] == "scn"


def test_a_number_tells_where_it_comes_from(open_page):
    page = open_page("#page=ferplus-sym@1")
    page.locator("table.results tbody tr", has_text="scn").locator("td.number button.open").nth(2).click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("heading", level=2).inner_text().startswith("scn")
    text = dialog.inner_text()
    assert "fernoise-bench run --protocol ferplus-sym --method scn --noise 0.4 --seeds 3 --profile small" in text
    assert "diverged: loss is nan" in text
    dialog.get_by_text("Identity of the first trial").click()
    assert '"fingerprint": "abcd"' in dialog.inner_text()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_a_paper_s_number_tells_its_table(open_page):
    page = open_page("#page=ferplus-sym@1")
    page.get_by_label("Papers' numbers").check()
    page.get_by_role("button", name="84.41").click()
    assert "Co-curing" in page.get_by_role("dialog").inner_text()
    page.keyboard.press("Escape")
    page.get_by_label("Papers' numbers").uncheck()
    assert page.get_by_role("button", name="84.41").count() == 0


def test_hostile_names_stay_text_in_every_view(open_page):
    page = open_page("#page=ferplus-sym@1")
    for view in page.get_by_role("tablist", name="Views of").get_by_role("tab").all():
        view.click()
        assert page.locator("main").inner_text()
    page.goto(page.url.partition("#")[0] + "#page=overview")
    assert HOSTILE in page.locator("main").inner_text()
    page.get_by_role("tab", name="Overview").click()
    assert page.locator("img").count() == 0
    assert page.title() == "fernoise-bench leaderboard"


def test_the_download_holds_what_is_shown_and_no_formula(open_page):
    page = open_page("#page=ferplus-sym@1")
    page.get_by_label("Filter methods").fill("=1+1 nct")
    rows = list(csv.DictReader(io.StringIO(downloaded(page))))
    assert [row["Method"] for row in rows] == ["'=1+1", "nct"]
    assert float(rows[0]["noise 0.4"]) > float(rows[1]["noise 0.4"])
    assert rows[0]["noise 0.4 all"] == "3"


def test_the_keyboard_is_enough(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.get_by_role("tab", name="Overview").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("tab", selected=True).first.inner_text().startswith("ferplus-sym@1")
    page.keyboard.press("End")
    assert page.get_by_role("heading", level=2).inner_text() == "How to read this"
    page.keyboard.press("Home")
    cell = page.locator("table.overview button.open").first
    cell.focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog").is_visible()
    assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
    page.keyboard.press("Escape")
    assert cell.evaluate("node => node === document.activeElement")


def test_tables_and_headings_are_marked_up(open_page):
    page = open_page("#page=bp4d-3fold@1&view=labels")
    assert page.locator("table caption").count() == 1
    assert page.locator("thead th:not([scope=col])").count() == 0
    assert page.locator("tbody tr > :first-child:not(th[scope=row])").count() == 0
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("columnheader", name="AU12").count() == 1
    cell = page.locator(".heat tbody td.above").first
    assert cell.evaluate("e => getComputedStyle(e).backgroundColor") not in ("rgba(0, 0, 0, 0)", "rgb(255, 255, 255)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(open_page, scheme):
    page = open_page("#page=bp4d-3fold@1&view=labels", color_scheme=scheme)
    page.get_by_label("Difference from supervised").check()
    script = (Path(__file__).parent / "contrast.js").read_text()
    assert page.evaluate(script) == []
    others = ("#page=claims", "#page=overview", "#page=meta", "#page=methods", "#page=methods&method=cocuring")
    for place in ("#page=ferplus-sym@1&view=results", *others):
        page.goto(page.url.partition("#")[0] + place)
        assert page.evaluate(script) == []


@pytest.mark.parametrize("view", VIEWS)
def test_a_phone_never_scrolls_sideways(open_page, view):
    page = open_page(f"#page=ferplus-sym@1&view={view}")
    page.set_viewport_size({"width": 360, "height": 740})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_curves_have_a_line_for_each_method(open_page):
    page = open_page("#page=ferplus-sym@1&view=levels")
    assert page.locator("figure path").count() == len(METHODS)
    chosen = page.get_by_role("button", name="nct", exact=True, pressed=True)
    chosen.first.click()
    assert page.get_by_role("button", name="nct", exact=True, pressed=False).count() == 1
    assert page.locator("figure path[stroke='var(--faint)']").count() == 1


def test_a_large_page_opens_in_under_a_second(chromium, tmp_path):
    fabricate_all(tmp_path / "runs", [Trial(method=f"method_{m:02d}", skill=0.3 + m / 60) for m in range(30)])
    found, _ = load_records(tmp_path / "runs")
    protocols = [{"name": f"p{number}", "version": 1, "fingerprint": ""} for number in range(20)]
    records = [
        replace(record, identity=identity_of({**record.identity.content, "protocol": protocol}))
        for protocol in protocols
        for record in found
    ]
    path = write_report(page_data(records), tmp_path)
    page = chromium.new_page()
    busy = []
    for _ in range(3):  # other processes may slow one opening
        page.goto(path.as_uri())
        busy.append(page.evaluate("performance.getEntriesByType('navigation')[0].domComplete"))
    assert page.locator("table.overview tbody tr").count() == 10
    page.get_by_role("button", name="All 30 methods").click()
    assert page.locator("table.overview tbody button.open").count() == 600
    page.close()
    assert min(busy) < 1000, f"{min(busy):.0f} ms"


def test_what_is_said_of_the_records_stands_on_the_overview(chromium, tmp_path):
    fabricate_all(tmp_path / "runs", [Trial(), Trial(method="scn")])
    context = Context(about=["A small encoder."], remarks=["damaged: one", HOSTILE])
    path = write_report(page_data(load_records(tmp_path / "runs")[0], context), tmp_path)
    page = chromium.new_page()
    page.goto(path.as_uri())
    assert page.locator("main .statement").all_inner_texts() == ["A small encoder."]
    assert page.locator("main .remark").all_inner_texts() == ["damaged: one", HOSTILE]
    assert "[object" not in page.locator("body").inner_text()
    page.close()


def test_one_seed_has_no_ranking(open_page):
    page = open_page("#page=rafdb-sym@1")
    assert page.locator("#view .remark").inner_text() == "One seed: no ranking."
    assert page.locator("table.results .rank, table.results .best").count() == 0
    assert page.get_by_role("columnheader", name="Group").count() == 0
    for view in ("rules", "ranks"):
        page.locator(f"#view-{view}").click()
        assert page.locator("#view .best, #view svg.ranks").count() == 0
        assert "mean rank" not in page.locator("#view").inner_text()
    page.get_by_role("tab", name="Overview").click()
    first, second, third = page.locator(".tile .first").all_inner_texts()
    assert (first, third, second[:5]) == ("one seed: no ranking", "one seed: no ranking", "=1+1 ")
    place = page.locator("table.overview thead th").all_inner_texts().index("rafdb-sym\nnoise 0.4,\none seed")
    assert page.locator(f"table.overview td.best:nth-child({place + 1})").count() == 0
    page.locator("table.overview thead th").nth(place).get_by_role("button").click()
    assert set(page.locator("table.overview td.rank").all_inner_texts()) == {"–"}


def test_ranks_are_drawn_and_compared_with_other_protocols(open_page):
    page = open_page("#page=ferplus-sym@1&view=ranks")
    assert page.locator("svg.ranks text.method").count() == len(METHODS) - 1  # scn lacks a pair at 0.4
    assert page.locator("svg.ranks .clique").count() >= 1
    assert "Critical difference" in page.locator("svg.ranks").get_attribute("aria-label")
    correlations = page.locator("table", has=page.get_by_role("columnheader", name="Kendall"))
    assert "rafdb-sym, noise 0.4" in correlations.inner_text()
    page.locator("select").select_option("noise 0.2")
    assert page.locator("svg.ranks text.method").count() == len(METHODS)
    assert set(correlations.locator("tbody th").all_inner_texts()) == {"noise 0.2"}


def test_flags_of_reported_numbers_stand_beside_them(open_page):
    page = open_page("#page=ferplus-sym@1")
    page.get_by_label("Papers' numbers").check()
    row = page.locator("tr.reported-only", has_text="jocor")
    assert "not run" in row.locator("th").inner_text()
    flag = row.locator(".flag").last
    assert "§" in flag.inner_text()
    assert "the same digits" in flag.get_attribute("title")
    assert "copied: " in page.locator("tr", has_text="scn").locator(".flag").first.get_attribute("title")
    assert "§ suspect" in page.locator("#view .notes").inner_text()


@pytest.mark.parametrize("view", VIEWS[:-1])
def test_one_mark_for_oracle_knowledge(open_page, view):
    page = open_page(f"#page=ferplus-sym@1&view={view}")
    marks = page.locator("#view tbody th", has_text="cocuring").locator(".oracle")
    assert marks.count() >= 1
    assert {" ".join(text.split()) for text in marks.all_inner_texts()} == {"† (oracle knowledge: noise rate)"}
    assert page.locator("#view tbody th", has_text="nct").locator(".oracle").count() == 0
    text = downloaded(page)
    assert "oracle knowledge" in text.splitlines()[0]
    assert "noise_rate" in text
    page.get_by_role("tab", name="Overview").click()
    assert page.locator("table.overview tbody th", has_text="cocuring").locator(".oracle").count() == 1
    assert "† uses oracle knowledge: cocuring (noise_rate)" in page.locator("main").inner_text()


def test_a_download_has_headings_of_their_own_and_no_noise_in_its_numbers(open_page):
    page = open_page("#page=ferplus-sym@1")
    page.get_by_label("Papers' numbers").check()
    heading, *rows = csv.reader(io.StringIO(downloaded(page)))
    assert len(set(heading)) == len(heading)
    assert {"noise 0.2 reported", "noise 0.4 reported remarks"} <= set(heading)
    assert {"vs ensemble (last epoch, noise 0.4)", "vs ensemble (last epoch, noise 0.4) p (Holm)"} <= set(heading)
    decimals = [len(cell.partition(".")[2]) for row in rows for cell in row if re.fullmatch(r"-?\d+\.\d+", cell)]
    assert max(decimals) <= 4


def test_what_stays_at_the_last_epoch_says_so(open_page):
    page = open_page("#page=ferplus-sym@1&rule=oracle")
    for name in ("Group", "First", "vs ensemble"):
        assert "last epoch, noise 0.4" in " ".join(page.get_by_role("columnheader", name=name).inner_text().split())
    text = page.locator("table.results tbody tr", has_text="nct").inner_text()
    assert re.search(r"\d p = \d", text)


def test_the_filter_is_of_one_page(open_page):
    page = open_page("#page=ferplus-sym@1")
    page.get_by_label("Filter methods").fill("nct")
    page.locator("#view-audit").click()
    assert page.get_by_label("Filter methods").input_value() == "nct"
    page.get_by_role("tab", name="rafdb-sym@1").click()
    assert page.get_by_label("Filter methods").input_value() == ""
    assert page.locator("table.plainly").first.locator("tbody tr").count() == len(METHODS)


def test_trials_are_listed_by_seed(open_page):
    page = open_page("#page=ferplus-sym@1")
    page.locator("table.results tbody tr", has_text="nct").locator("td.number button.open").first.click()
    assert names(page, "dialog table.plain") == ["seed 0", "seed 1", "seed 2"]


def test_claims_are_a_line_a_statement_and_open_to_their_comparisons(open_page):
    page = open_page("#page=claims")
    quotes = page.locator("details.statement-of > summary q").all_inner_texts()
    assert len(set(quotes)) == len(quotes) > 0
    assert page.evaluate("document.documentElement.scrollHeight") < 5000
    assert page.locator("main table").count() == 0
    first = page.locator("details.statement-of", has=page.locator("q")).first
    first.locator("> summary").click()
    sync_api.expect(first.get_by_role("columnheader", name="Verdict")).to_be_visible()
    page.get_by_label("Filter claims").fill("surely nobody claims this")
    assert page.locator("details.statement-of").count() == 0


def test_a_wide_table_shows_that_it_goes_on(open_page):
    page = open_page("#page=ferplus-sym@1")
    page.get_by_label("Papers' numbers").check()
    frame = page.locator(".scrolling").first
    sync_api.expect(frame.locator(".hint")).to_be_visible()
    frame.locator(".scroll").evaluate("node => { node.scrollLeft = node.scrollWidth; }")
    sync_api.expect(frame.locator(".hint")).to_be_hidden()
    head, name, whole = (frame.locator(x).first.bounding_box()["x"] for x in ("th.named", "tbody th", ".scroll"))
    assert head == name == pytest.approx(whole, abs=2)


def test_a_phone_has_the_table_on_its_first_screen_and_whole_names(open_page):
    page = open_page("#page=ferplus-sym@1")
    page.set_viewport_size({"width": 380, "height": 740})
    page.wait_for_timeout(300)
    assert page.locator("table.results thead").bounding_box()["y"] < 420
    name = page.locator("table.results tbody th", has_text="cocuring")
    box, mark = name.bounding_box(), name.locator(".oracle > :first-child").bounding_box()
    assert mark["x"] + mark["width"] <= box["x"] + box["width"]
    assert page.get_by_role("radio", name="oracle").count() == 1
