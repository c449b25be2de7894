from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fernoise_bench.results.contact_sheet import sheet
from fernoise_bench.results.contact_sheet.sheet import html, thumbnail, write_sheet

from .candidates import HOSTILE, NAMES, TEXTS, candidate, noise

STRANGE = (HOSTILE, 'a,"b"', "=1+1", "Überraschung 惊讶", "a\nb\u2028c", "<!--", "'; //", "\u202etfel")


def data_of(text):
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return data


def keys(text):
    return [row[0] for row in json.loads(data_of(text))["rows"]]


# --- the page


def test_names_of_any_letters_come_back_and_run_nothing():
    hostile = [candidate(n, key=f"{n}{text}", given=text, suggested=f"{text}2") for n, text in enumerate(STRANGE)]
    units = [candidate(n, unit=text, given="present", suggested="absent") for n, text in enumerate(STRANGE)]
    text = html([*hostile, *units], title=HOSTILE, subtitle=HOSTILE, decisions=HOSTILE, names=STRANGE)
    data = json.loads(data_of(text))
    assert {(row[0], row[1], row[2]) for row in data["rows"]} == {
        (one.key, one.unit, one.given) for one in [*hostile, *units]
    }
    assert data["file"] == HOSTILE
    assert not re.search(r"[<>&\u2028\u2029]", data_of(text))
    assert text.count("<script") == 2
    assert "<img" not in text


def test_a_path_that_is_not_utf_8_is_written(tmp_path):
    write_sheet(tmp_path / "page.html", [candidate(0, key="caf\udce9.png")], **TEXTS)
    assert keys((tmp_path / "page.html").read_text()) == ["caf\udce9.png"]


def test_the_policy_names_what_is_there_and_pictures_from_the_page_alone():
    text = html([candidate(0)], **TEXTS)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; ")
    assert "; img-src data:; " in policy
    for tag, kind in (("script", "script-src"), ("style", "style-src")):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy


def test_it_needs_nothing_else():
    text = html([candidate(0)], **TEXTS)
    assert re.findall(r'\b(?:src|href)="(?!#)[^"]*"', text) == []
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|innerHTML|outerHTML|insertAdjacentHTML|eval\(", text)


def test_the_same_candidates_give_the_same_bytes_in_whatever_order(tmp_path):
    candidates = [candidate(n, suspicion=0.5 + (n % 3) / 10) for n in range(20)]
    first, second = tmp_path / "a" / "page.html", tmp_path / "b.html"
    write_sheet(first, candidates, **TEXTS, names=NAMES)
    write_sheet(second, candidates[::-1], **TEXTS, names=NAMES)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in first.parent.iterdir()) == ["page.html"]


def test_the_most_suspicious_come_first_then_agreement_then_path_and_unit():
    labels = {"given": "present", "suggested": "absent"}
    ones = [
        candidate(0, key="c", suspicion=0.2, agreement=1.0),
        candidate(1, key="b", suspicion=0.9, agreement=0.0),
        candidate(2, key="a", suspicion=0.9, agreement=0.5, unit="AU4", **labels),
        candidate(3, key="a", suspicion=0.9, agreement=0.5, unit="AU12", **labels),
    ]
    rows = json.loads(data_of(html(ones, **TEXTS)))["rows"]
    assert [row[:2] for row in rows] == [["a", "AU12"], ["a", "AU4"], ["b", ""], ["c", ""]]


def test_the_digest_tells_sheets_apart_but_not_by_their_titles():
    def digest(*candidates, **changes):
        return json.loads(data_of(html(candidates, **{**TEXTS, **changes})))["digest"]

    same = digest(candidate(0))
    assert digest(candidate(0), title="another", decisions="another.csv") == same
    changes = ({"key": "x"}, {"given": "fear"}, {"suggested": "fear"}, {"thumbnail": thumbnail(noise(9))})
    assert len({same, *(digest(candidate(0, **change)) for change in changes)}) == 5


def test_classes_are_those_named_and_those_that_occur():
    data = json.loads(data_of(html([candidate(0, given="zeal", suggested="awe")], **TEXTS, names=NAMES)))
    assert data["names"] == [*NAMES, "awe", "zeal"]
    units = [candidate(0, unit="AU1", given="present", suggested="absent")]
    assert json.loads(data_of(html(units, **TEXTS)))["names"] == []


def test_a_score_that_some_lack_is_empty_there():
    ones = [candidate(0, scores=(("a", 1.0),)), candidate(1, scores=(("b", 1 / 3),))]
    data = json.loads(data_of(html(ones, **TEXTS)))
    assert data["scores"] == ["a", "b"]
    assert [row[6] for row in data["rows"]] == [[1.0, None], [None, 0.333333]]


def test_no_candidates_is_a_page_too(tmp_path):
    write_sheet(tmp_path / "page.html", [], **TEXTS)
    assert keys((tmp_path / "page.html").read_text()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"suspicion": float("nan")}, r"suspicion of 'faces/1.png' is nan, not in \[0, 1\]"),
        ({"suspicion": float("inf")}, "suspicion"),
        ({"suspicion": 1.001}, "suspicion"),
        ({"agreement": -0.1}, "agreement of 'faces/1.png' is -0.1"),
        ({"agreement": float("nan")}, "agreement"),
        ({"scores": (("margin", float("-inf")),)}, "margin of 'faces/1.png' is -inf"),
        ({"unit": "AU4", "given": "happiness"}, "labels of 'faces/1.png AU4'"),
        ({"thumbnail": b"GIF89a"}, "thumbnail of 'faces/1.png' is no JPEG"),
        ({"key": "faces/0.png"}, "'faces/0.png' occurs twice"),
    ],
)
def test_what_cannot_be_shown_is_refused_and_nothing_is_written(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_sheet(tmp_path / "page.html", [candidate(0), candidate(1, **changes)], **TEXTS)
    assert not list(tmp_path.iterdir())


# --- thumbnails


@pytest.mark.parametrize(
    ("shape", "side", "size", "mode"),
    [
        ((48, 48, 1), 64, (48, 48), "L"),
        ((200, 100, 3), 64, (32, 64), "RGB"),
        ((100, 400, 3), 32, (32, 8), "RGB"),
        ((1, 1000, 1), 64, (64, 1), "L"),
    ],
)
def test_a_thumbnail_is_a_small_jpeg(shape, side, size, mode):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = thumbnail(image, side)
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.size, picture.mode) == ("JPEG", size, mode)
    assert data == thumbnail(image.copy(), side)


def test_grey_stays_grey_and_looks_the_same():
    ramp = np.tile(np.arange(0, 240, 5, dtype=np.uint8)[:, None, None], (1, 48, 3))
    with Image.open(io.BytesIO(thumbnail(ramp))) as picture:
        assert picture.mode == "L"
        assert np.abs(np.asarray(picture).astype(int) - ramp[:, :, 0]).max() <= 4
    assert len(thumbnail(noise(0))) < 3000


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 1)), np.zeros((0, 4, 1), np.uint8)],
)
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(ValueError, match="uint8"):
        thumbnail(image)


# --- the package


def test_the_templates_are_installed():
    root = Path(__file__).parents[3]
    configuration = tomllib.loads((root / "pyproject.toml").read_text())
    patterns = configuration["tool"]["setuptools"]["package-data"]["fernoise_bench.results.contact_sheet"]
    room = Path(sheet.__file__).parent
    found = {path for pattern in patterns for path in room.glob(pattern)}
    assert found == set((room / "templates").iterdir())
    assert not [path.name for path in found if len(path.read_text().splitlines()) > 400]


def test_no_torch():
    code = "import sys, fernoise_bench.results.contact_sheet.sheet; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
