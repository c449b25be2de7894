"""The contact sheet in a real browser: headless Chromium, driven by Playwright."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import pytest

from fernoise_bench.results.contact_sheet.sheet import write_sheet

from .candidates import HOSTILE, NAMES, TEXTS, candidate

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

HEADER = ["path", "unit", "given", "suggested", "decision", "label", "suspicion"]
STRANGE = ('a,"b"', "=1+1", "Überraschung 惊讶", "two\nlines", HOSTILE, "'=2", "-1", "'-1")


@pytest.fixture
def write(tmp_path):
    def written(candidates, name="sheet.html", **changes):
        write_sheet(tmp_path / name, candidates, **{**TEXTS, "names": NAMES, **changes})
        return (tmp_path / name).as_uri()

    return written


@pytest.fixture
def open_page(chromium):
    """Opens a page, all in one profile; whatever the browser complains of fails the test."""
    complaints: list[str] = []
    context = chromium.new_context(viewport={"width": 1300, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(10_000)

    def opened(address, before=""):
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda r: r.url.startswith(("file:", "blob:", "data:image/jpeg")) or complaints.append(r.url)
        )
        if before:
            page.add_init_script(before)
        page.goto(address)
        return page

    yield opened
    context.close()
    assert complaints == []


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def until(page, expression, patience=10):
    """Waits for the page; Playwright's own waiting evaluates text, which the page's policy forbids."""
    end = time.monotonic() + patience
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(20)


def downloaded(page, button="Download CSV"):
    with page.expect_download() as started:
        page.get_by_role("button", name=button, exact=True).click()
    text = Path(started.value.path()).read_bytes().decode("utf-8")
    return started.value.suggested_filename, text, list(csv.reader(io.StringIO(text)))


def load(page, text):
    page.get_by_label("Load CSV").set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": text.encode()})
    page.get_by_role("status").filter(has_text="oaded").wait_for()
    return page.get_by_role("status").inner_text()


def focused(page):
    return page.locator(".tile[aria-selected=true]").get_attribute("title")


def progress(page):
    return page.locator(".progress").inner_text()


def text_of(*rows):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([HEADER, *rows])
    return out.getvalue()


# --- deciding


def test_keys_decide_and_the_file_holds_what_was_decided(open_page, write):
    page = open_page(
        write([candidate(n) for n in range(12)])
    )  # two groups of six: anger → happiness, disgust → neutral
    assert progress(page) == "0 of 12 decided"
    press(page, "k", "f", "u", "4", "1")
    assert progress(page) == "5 of 12 decided"
    assert page.locator(".tally").inner_text() == "2 keep · 2 fix · 1 unsure"
    assert page.locator("h2").first.inner_text().split("\n")[-1].endswith("5 of 6 decided · up to 99 %")
    name, text, rows = downloaded(page)
    assert name == "decisions.csv"
    assert "\r" not in text
    assert rows == [
        HEADER,
        ["faces/0.png", "", "anger", "happiness", "keep", "anger", "0.99"],
        ["faces/2.png", "", "anger", "happiness", "fix", "happiness", "0.9898"],
        ["faces/4.png", "", "anger", "happiness", "unsure", "", "0.9896"],
        ["faces/6.png", "", "anger", "happiness", "fix", "neutral", "0.9894"],
        ["faces/8.png", "", "anger", "happiness", "keep", "anger", "0.9892"],
    ]
    name, _, rows = downloaded(page, "Download all rows")
    assert name == "decisions-all.csv"
    assert [row[4] for row in rows[1:]] == ["keep", "", "fix", "", "unsure", "", "fix", "", "keep", "", "", ""]
    assert [row[0] for row in rows[1:]] == [f"faces/{n}.png" for n in range(12)]


def test_a_decision_shows_as_a_letter_and_in_words(open_page, write):
    page = open_page(write([candidate(n) for n in range(4)]))
    press(page, "k", "4")
    tiles = page.locator(".tile")
    assert [tiles.nth(n).locator(".badge").inner_text() for n in range(3)] == ["K", "F", ""]
    assert tiles.nth(0).get_attribute("aria-label") == "faces/0.png, anger → happiness, suspicion 99 %, keep"
    assert tiles.nth(1).get_attribute("aria-label").endswith("fix: neutral")
    assert tiles.nth(1).locator(".label").inner_text() == "neutral"
    assert tiles.nth(2).get_attribute("aria-label").endswith("undecided")
    assert page.get_by_role("listbox").count() == 2
    borders = {tiles.nth(n).evaluate("node => getComputedStyle(node).borderTopColor") for n in range(3)}
    assert len(borders) == 3


def test_clearing_and_undoing(open_page, write):
    page = open_page(write([candidate(n) for n in range(4)]))
    press(page, "k", "f", "z")
    assert (progress(page), focused(page)) == ("1 of 4 decided", "faces/2.png")
    press(page, "z", "z", "u", "ArrowLeft", "0")
    assert (progress(page), focused(page)) == ("0 of 4 decided", "faces/0.png")
    press(page, "z")
    assert page.locator(".tally").inner_text() == "0 keep · 0 fix · 1 unsure"
    press(page, "Backspace")
    assert progress(page) == "0 of 4 decided"


def test_the_mouse_decides_too(open_page, write):
    page = open_page(write([candidate(n) for n in range(4)]))
    page.get_by_label("move on after a decision").uncheck()
    page.get_by_role("option", name="faces/2.png").click()
    page.get_by_role("button", name="fix: happiness").click()
    assert focused(page) == "faces/2.png"
    assert page.get_by_role("button", name="fix: happiness").get_attribute("aria-pressed") == "true"
    press(page, "k")  # letters work wherever the focus is
    assert page.locator(".tally").inner_text() == "1 keep · 0 fix · 0 unsure"
    page.get_by_role("group", name="Another label").get_by_role("button", name="disgust").click()
    assert downloaded(page)[2][1][4:6] == ["fix", "disgust"]
    page.get_by_role("button", name="undo").click()
    page.get_by_role("button", name="clear").click()
    assert progress(page) == "0 of 4 decided"


def test_arrows_move_by_row_and_over_groups(open_page, write):
    page = open_page(write([candidate(n) for n in range(60)]))  # 30 a group
    columns = page.evaluate("columns")
    assert 5 < columns < 15
    press(page, "ArrowRight", "ArrowDown")
    assert focused(page) == f"faces/{2 * (columns + 1)}.png"
    press(page, "End")
    assert focused(page) == "faces/58.png"
    press(page, "ArrowDown")
    assert focused(page) == f"faces/{2 * ((30 - 1) % columns) + 1}.png"
    press(page, "ArrowUp", "Home", "ArrowUp", "ArrowLeft")
    assert focused(page) == "faces/0.png"
    assert page.evaluate("document.activeElement.title") == "faces/0.png"
    press(page, "Control+ArrowRight", "Alt+k")
    assert (focused(page), progress(page)) == ("faces/0.png", "0 of 60 decided")


def test_action_units_have_two_labels_and_stay_together(open_page, write):
    labels = [("AU4", "present", "absent"), ("AU12", "absent", "present"), ("AU12", "present", "absent")]
    ones = [
        candidate(n, key="one.png" if n < 2 else f"{n}.png", unit=unit, given=given, suggested=suggested)
        for n, (unit, given, suggested) in enumerate([*labels, *labels, labels[1], labels[0]])
    ]
    page = open_page(write(ones, names=()))
    heads = page.locator("h2").all_inner_texts()
    assert [" ".join(head.split()[:4]) for head in heads] == [
        "AU12 absent → present",
        "AU12 present → absent",
        "AU4 present → absent",
    ]
    press(page, "1", "f")
    assert not page.get_by_role("group", name="Another label").is_visible()
    assert downloaded(page)[2][1:] == [["one.png", "AU12", "absent", "present", "fix", "present", "0.9899"]]


def test_no_other_label_than_the_given_one_is_kept_not_fixed(open_page, write):
    page = open_page(write([candidate(0, suggested="anger")]))
    press(page, "f")
    assert progress(page) == "0 of 1 decided"
    press(page, "4")
    assert downloaded(page)[2][1][4:6] == ["fix", "neutral"]


# --- what is shown


def test_filters_and_orders(open_page, write):
    page = open_page(write([candidate(n) for n in range(9)]))
    press(page, "k")
    page.get_by_label("Group", exact=True).select_option(label="disgust → neutral (4)")
    titles = lambda: page.locator(".tile").evaluate_all("nodes => nodes.map((node) => node.title)")  # noqa: E731
    assert titles() == [f"faces/{n}.png" for n in (1, 3, 5, 7)]
    page.get_by_label("Pictures by").select_option(label="forgetting")
    assert titles() == [f"faces/{n}.png" for n in (3, 7, 1, 5)]
    page.get_by_role("button", name="Reverse").click()
    assert titles() == [f"faces/{n}.png" for n in (5, 1, 7, 3)]
    page.get_by_label("Group", exact=True).select_option("")
    page.get_by_label("Decision", exact=True).select_option("keep")
    assert titles() == ["faces/0.png"]
    page.get_by_label("Decision", exact=True).select_option("fix")
    assert page.get_by_text("No label is like that.").is_visible()
    press(page, "Tab", "k")  # nothing is in focus
    assert progress(page) == "1 of 9 decided"


def test_what_was_decided_stays_until_filtered_again(open_page, write):
    page = open_page(write([candidate(n) for n in range(4)]))
    page.get_by_label("Decision", exact=True).select_option("undecided")
    page.get_by_role("option", name="faces/0.png").click()
    press(page, "k")
    sync_api.expect(page.locator(".tile")).to_have_count(4)
    page.get_by_role("button", name="Filter again").click()
    sync_api.expect(page.locator(".tile")).to_have_count(3)


def test_groups_by_size_or_by_suspicion(open_page, write):
    ones = [candidate(n, given="disgust") for n in range(1)] + [candidate(n, given="anger") for n in (2, 4)]
    page = open_page(write(ones))
    assert page.locator("h2 .chip:first-child").all_inner_texts() == ["anger", "disgust"]
    page.get_by_label("Groups first").select_option("suspicion")
    assert page.locator("h2 .chip:first-child").all_inner_texts() == ["disgust", "anger"]


def test_only_pictures_near_the_window_are_built(open_page, write):
    page = open_page(write([candidate(n) for n in range(3000)]))
    until(page, "document.querySelectorAll('.tile').length > 60")
    assert page.locator(".tile").count() < 600
    press(page, "End")
    assert focused(page) == "faces/2998.png"
    until(page, "document.activeElement.querySelector('img').naturalWidth === 48")
    for share in (0, 0.2, 0.4, 0.6, 0.8):
        page.evaluate("share => scrollTo(0, share * document.documentElement.scrollHeight)", share)
        until(page, "document.elementFromPoint(300, 500).closest('.chunk')?.childElementCount > 0")
    until(page, "document.querySelectorAll('.tile').length < 600")
    assert page.locator(".tile[tabindex='0']").count() == 1
    page.set_viewport_size({"width": 700, "height": 900})
    until(page, "columns < 9")
    assert focused(page) == "faces/2998.png"
    assert page.evaluate("document.activeElement.title") == "faces/2998.png"


# --- hostile names


def test_names_of_any_letters_survive_the_page_and_the_file(open_page, write):
    ones = [candidate(n, key=f"{text}/{n}", given=text, suggested=f"{text}!") for n, text in enumerate(STRANGE)]
    address = write(ones, title=HOSTILE, subtitle=HOSTILE, decisions="a/b.csv", names=STRANGE)
    page = open_page(address)
    assert page.title() == HOSTILE
    assert page.locator("h1").inner_text() == HOSTILE
    press(page, *("f" * len(STRANGE)))
    name, text, rows = downloaded(page)
    assert name == "a-b.csv"
    assert {tuple(unguarded(cell) for cell in row[:4]) for row in rows[1:]} == {
        (one.key, "", one.given, one.suggested) for one in ones
    }
    # what a spreadsheet would take for a formula is text
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "-", "+", "@") and cell != "-1"]
    press(page, *("z" * len(STRANGE)))
    assert progress(page) == "0 of 8 decided"
    assert load(page, text) == "Loaded 8 decisions."
    assert downloaded(page)[1] == text
    assert page.title() == HOSTILE


def unguarded(cell):
    """The text that a cell of the file stands for."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'")[:1] in tuple("=+-@\t\r") else cell


# --- keeping decisions


def test_decisions_survive_a_reload_on_their_own_sheet_alone(open_page, write):
    address = write([candidate(n) for n in range(4)])
    page = open_page(address)
    press(page, "k", "4", "u")
    before = downloaded(page)[1]
    page.reload()
    assert progress(page) == "3 of 4 decided"
    assert downloaded(page)[1] == before
    other = open_page(write([candidate(n) for n in range(5)], name="other.html"))
    assert progress(other) == "0 of 5 decided"
    again = open_page(address)
    press(again, "End", "ArrowRight", "k")
    page.get_by_text("3 of 4 decided").wait_for()  # the page that is open twice shows the other's decisions
    assert downloaded(page)[1] == downloaded(again)[1]


@pytest.mark.parametrize(
    "content", ["not JSON", '{"0": 1}', '[["length", "keep", "x"], [0, "fix", "wrong"], [9, "unsure"], 7]']
)
def test_a_damaged_store_is_left_out(content, open_page, write):
    address = write([candidate(n) for n in range(4)])
    page = open_page(address)
    page.evaluate("content => localStorage.setItem(STORE, content)", content)
    page.reload()
    assert progress(page) == "0 of 4 decided"
    press(page, "k")
    page.reload()
    assert progress(page) == "1 of 4 decided"


def test_without_storage_it_says_so_and_works(open_page, write):
    blocked = (
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
    )
    page = open_page(write([candidate(n) for n in range(4)]), blocked)
    assert "does not store" in page.locator("#remark").inner_text()
    press(page, "k", "f")
    assert len(downloaded(page)[2]) == 3


def test_a_file_is_joined_by_path_and_unit_never_by_order(open_page, write):
    page = open_page(write([candidate(n) for n in range(6)]))
    text = text_of(
        ["faces/5.png", "", "disgust", "neutral", "unsure", "", "0.1"],
        ["faces/0.png", "", "anger", "happiness", "fix", "neutral", "0.2"],
        ["faces/2.png", "AU4", "anger", "happiness", "keep", "anger", "0.2"],
        ["faces/77.png", "", "anger", "happiness", "keep", "anger", "0.2"],
        ["faces/1.png", "", "anger", "happiness", "keep", "anger", "0.2"],
        ["faces/3.png", "", "disgust", "neutral", "fix", "joy", "0.2"],
        ["faces/4.png", "", "anger", "happiness", "", "", "0.2"],
    )
    press(page, "u")
    assert load(page, text) == (
        "Loaded 2 decisions. 2 rows not on this sheet: faces/2.png AU4, faces/77.png. 1 row not matching, with another "
        "given label here: faces/1.png. 1 row without a decision or a label that this sheet knows: faces/3.png."
    )
    assert [(row[0], row[4], row[5]) for row in downloaded(page)[2][1:]] == [
        ("faces/0.png", "fix", "neutral"),
        ("faces/5.png", "unsure", ""),
    ]
    press(page, "z")  # all that was loaded
    assert [(row[0], row[4]) for row in downloaded(page)[2][1:]] == [("faces/0.png", "unsure")]


@pytest.mark.parametrize("change", [lambda t: "\ufeff" + t.replace("\n", "\r\n"), lambda t: t.replace(",", ";")])
def test_a_file_that_a_spreadsheet_saved_is_read(change, open_page, write):
    page = open_page(write([candidate(n) for n in range(4)]))
    press(page, "k", "f")
    text = downloaded(page)[1]
    press(page, "z", "z")
    assert load(page, change(text)) == "Loaded 2 decisions."
    assert downloaded(page)[1] == text


def test_another_file_is_refused(open_page, write):
    page = open_page(write([candidate(0)]))
    assert load(page, "") == "No decisions were loaded: the file has no column path, unit, given, decision, label."
    assert "no column unit, given" in load(page, "path,decision,label\n\n")
