from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys

import pytest

from fernoise_bench.results.page.data import page_data
from fernoise_bench.results.page.html import embedded, html, write_report
from fernoise_bench.results.records.record import load_records

from ..fabricate import Trial, fabricate_all

HOSTILE = ("<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "a&b\u2028<!--", '"><svg onload=x>')


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    fabricate_all(out, [Trial(method=method) for method in (*HOSTILE, "supervised")])
    return page_data(load_records(out)[0])


def test_data_come_back_from_the_page_and_nothing_else_does(page):
    text = html(page)
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert json.loads(data) == json.loads(json.dumps(page))
    assert not re.search(r"[<>&\u2028\u2029]", data)
    assert text.count("<script") == 2
    assert "<img" not in text
    assert "alert(1)" in data


def test_the_policy_names_the_script_and_the_style_that_are_there(page):
    text = html(page)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'")
    for tag, kind in (("script", "script-src"), ("style", "style-src")):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy


def test_it_needs_nothing_else(page):
    text = html(page)
    assert re.findall(r'\b(?:src|href)="(?!#)[^"]*"', text) == []
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|innerHTML|outerHTML|insertAdjacentHTML|eval\(", text)


def test_the_same_data_give_the_same_bytes(page, tmp_path):
    first, second = write_report(page, tmp_path / "a"), write_report(page, tmp_path / "b")
    assert first.name == "index.html"
    assert first.read_bytes() == second.read_bytes()


def test_numbers_json_has_no_word_for_are_refused():
    with pytest.raises(ValueError, match="JSON"):
        embedded({"a": float("nan")})


def test_no_torch():
    modules = "fernoise_bench.results.page.html, fernoise_bench.results.page.data"
    code = f"import sys, {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
