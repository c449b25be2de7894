"""The papers of the methods: those of the README, and code that a docstring names."""

from __future__ import annotations

import re
from pathlib import Path

from fernoise_bench.results.papers.methods import method_papers, reported_only

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"^\| `(\w+)` \| (?:\[(.+?)\]\((.+?)\)|(.+?)) \| (.+?) \| (.+?) \|", re.MULTILINE)


def test_they_are_those_of_the_readme():
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Methods\n")[2].partition("\n## ")[0]
    rows = {name: more for name, *more in ROW.findall(section)}
    assert set(rows) == set(method_papers())
    for name, (title, link, words, venue, year) in rows.items():
        paper = method_papers()[name]
        assert (paper.words, paper.link) == (title or words, link)
        assert (paper.venue or "–", str(paper.year or "–")) == (venue, year)


def test_the_authors_code_is_named_where_the_method_is_documented():
    for name, paper in method_papers().items():
        (file,) = (path for room in ("methods", "baselines") if (path := ROOT / room / f"{name}.py").is_file())
        text = " ".join(file.read_text(encoding="utf-8").split())
        assert not paper.code or f"code {paper.code}" in text, name
        assert paper.code_link == (f"https://github.com/{paper.code}" if paper.code else "")


def test_methods_that_are_reported_only_are_no_methods_here_and_are_in_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    here = {name.replace("_", "") for name in method_papers()}
    assert {"LA-Net", "OTP-NS", "DSS"} <= set(reported_only())
    for name, entry in reported_only().items():
        assert name.lower().replace("-", "") not in here
        assert f"{name} ({entry.venue} {entry.year})" in text
        assert entry.why
