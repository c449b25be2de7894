from __future__ import annotations

import csv
import html.parser
import io
import json
import math
import re
import shutil
import subprocess

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.results.papers.reported import TABLE_IDS
from fernoise_bench.results.papers.tables import paper_table
from fernoise_bench.results.tables import render as render_module
from fernoise_bench.results.tables.cell import Cell, Table
from fernoise_bench.results.tables.render import FORMATS, render

AWKWARD = r"a|b_c & 50% <x> #1 $y$ {z} ~^ \n `q` *s* _e_"
TABLE = Table(
    "faces_of & <all> 100%",
    ("method", "noise 0.2", "trials"),
    (
        (Cell("co_teaching †"), Cell("71.20 ± 0.40", 71.2000001, 0.4, 3, 3, best=True), Cell("3 of 3", 3.0)),
        (Cell(AWKWARD), Cell("60.00 (2/3, 1 diverged)", 60.0, None, 2, 3, "2/3, 1 diverged"), Cell("–")),
    ),
    ("± is a spread − not an error.", "p ≥ 0.5 | a_b"),
)


def rows_of_csv(text):
    return list(csv.reader(io.StringIO(text)))


def test_github():
    lines = render(TABLE, "github").splitlines()
    assert lines[0] == r"**faces_of & \<all> 100%**"
    header, rule, first, second = lines[2:6]
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in (header, rule, first, second)] == [4] * 4
    assert "**71.20 ± 0.40**" in first
    assert "co_teaching †" in first
    assert r"a\|b_c & 50% \<x> #1 $y$ {z} ~^ \\n \`q\` \*s\* \_e\_" in second
    assert lines[-1] == r"- p ≥ 0.5 \| a_b"


def test_latex_escapes_everything():
    text = render(TABLE, "latex")
    assert r"\textbf{71.20 $\pm$ 0.40}" in text
    assert r"a\textbar{}b\_c \& 50\% \textless{}x\textgreater{} \#1 \$y\$ \{z\}" in text
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [2, 2, 2]
    assert text.isascii()
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")


def test_latex_keeps_a_leading_bracket_out_of_the_line_break():
    text = render(Table("t", ("a",), ((Cell("x"),), (Cell("[y]"),), (Cell("*"),))), "latex")
    assert "\n{}[y] " in text
    assert "\n{}* " in text
    assert r"\"{u}?" in render(Table("ü漢", (), ()), "latex")


def test_latex_is_ascii_and_names_its_preamble_once():
    table = Table("§ Â λ † ‡ ± – ≥ é ß ł ă ạ Σ", ("a",), ((Cell("“x” … --table"),),), ("≈ → ²",))
    first, *lines = render([table, table], "latex").splitlines()
    assert first == r"% needs in the preamble: \usepackage{booktabs} \usepackage{graphicx}"
    text = "\n".join(lines)
    assert text.isascii()
    assert r"\S{} \^{A} $\lambda$ \dag{} \ddag{} $\pm$ \textendash{} $\geq$ \'{e} \ss{} \l{} \u{a} a $\Sigma$" in text
    assert r"\textquotedblleft{}x\textquotedblright{} \dots{} -{}-table" in text, "two hyphens are no dash"
    assert r"$\approx$ $\rightarrow$ $^2$" in text
    assert "usepackage" not in text
    assert text.count(r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%") == 2


def preamble(body):
    """What the first line of a table asks for."""
    return body.partition("\n")[0].partition(":")[2]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(tmp_path):
    letters = "".join(map(chr, range(0xA1, 0x180))) + "".join(render_module._MATHS) + "".join(render_module._LATEX)
    starred = Table(letters, ("a", "b"), ((Cell("[y]"), Cell("*")), (Cell("ü漢"), Cell('"q"'))), (letters,))
    body = render([TABLE, starred], "latex")
    source = f"\\documentclass{{article}}\n{preamble(body)}\n\\begin{{document}}\n{body}\\end{{document}}\n"
    (tmp_path / "table.tex").write_text(source, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout[-2000:]
    assert (tmp_path / "table.pdf").exists()


def test_csv_has_the_numbers():
    header, first, second = rows_of_csv(render(TABLE, "csv"))
    assert header == [
        "table",
        "method",
        "noise 0.2",
        "noise 0.2 sd",
        "noise 0.2 ok",
        "noise 0.2 all",
        "trials",
        "missing",
    ]
    assert first == [TABLE.title, "co_teaching †", "71.2000001", "0.4", "3", "3", "3", ""]
    assert second == [TABLE.title, AWKWARD, "60", "", "2", "3", "", "noise 0.2: 2/3, 1 diverged"]


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("x")', "-1+1"])
def test_csv_cells_are_no_formulas(text):
    table = Table(text, (text,), ((Cell(text),),))
    for row in rows_of_csv(render(table, "csv")):
        assert all(cell[:1] not in ("=", "+", "-", "@", "\t", "\r") for cell in row)
    assert rows_of_csv(render(table, "csv"))[1][1] == f"'{text.strip()}"


def test_csv_of_several_tables_is_one_file_with_the_columns_of_all():
    first = Table("t", ("method", "accuracy"), ((Cell("a"), Cell("50.0 ± 1.0", 50.0, 1.0, 3, 3)),))
    second = Table("u", ("method", "F1"), ((Cell("b"), Cell("–")), (Cell("c"), Cell("1.0", 1.0))))
    third = Table("v", ("method", "accuracy"), ((Cell("d"), Cell("0/3, 3 failed", n_ok=0, n_all=3, status="0/3")),))
    assert rows_of_csv(render((first, second, third), "csv")) == [
        ["table", "method", "accuracy", "accuracy sd", "accuracy ok", "accuracy all", "F1", "missing"],
        ["t", "a", "50", "1", "3", "3", "", ""],
        ["u", "b", "", "", "", "", "", ""],
        ["u", "c", "", "", "", "", "1", ""],
        ["v", "d", "", "", "0", "3", "", "accuracy: 0/3"],
    ]
    assert rows_of_csv(render(Table("t", ("a", "b"), ()), "csv")) == [["table", "a", "b", "missing"]]


def test_csv_has_no_words_among_numbers():
    rows = (Cell("a"), Cell("12.5", 12.5)), (Cell("b"), Cell("none")), (Cell("c"), Cell("/", printed="/"))
    assert rows_of_csv(render(Table("t", ("method", "seconds"), rows), "csv")) == [
        ["table", "method", "seconds", "seconds printed", "missing"],
        ["t", "a", "12.5", "", ""],
        ["t", "b", "", "", "seconds: none"],
        ["t", "c", "", "/", ""],
    ]


def test_csv_has_the_ends_of_an_interval_as_numbers():
    cells = (Cell("−4.83 to −2.36", interval=(-4.8294, -2.3589)),), (Cell("–"),)
    assert rows_of_csv(render(Table("t", ("95% interval",), cells), "csv")) == [
        ["table", "95% interval low", "95% interval high", "missing"],
        ["t", "-4.8294", "-2.3589", ""],
        ["t", "", "", ""],
    ]


@pytest.mark.parametrize("name", TABLE_IDS)
def test_csv_of_a_paper_has_no_column_twice_and_no_word_for_a_missing_value(name):
    header, *rows = rows_of_csv(render(paper_table([], name), "csv"))
    assert len(set(header)) == len(header)
    assert "–" not in [cell for row in rows for cell in row]
    assert {len(row) for row in rows} == {len(header)}


def test_csv_keeps_negative_numbers():
    table = Table("t", ("gap", "text"), ((Cell("-1.5", -1.5), Cell("-2.5")),))
    assert rows_of_csv(render(table, "csv"))[1] == ["t", "-1.5", "-2.5", ""]


def test_json_has_everything():
    plain = json.loads(render(TABLE, "json"))
    assert plain["title"] == TABLE.title
    assert plain["columns"] == list(TABLE.columns)
    assert plain["notes"] == list(TABLE.notes)
    assert [Cell(**cell) for cell in plain["rows"][0]] == list(TABLE.rows[0])
    assert len(json.loads(render([TABLE, TABLE], "json"))) == 2
    with pytest.raises(ValueError, match="JSON"):
        render(Table("t", ("a",), ((Cell("x", math.nan),),)), "json")


class Reader(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, str]] = []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.seen.append((self.open[-1], data))


def test_html_is_escaped_and_balanced():
    reader = Reader()
    text = render(TABLE, "html")
    reader.feed(text)
    assert reader.open == []
    assert ("caption", TABLE.title) in reader.seen
    assert ("strong", "71.20 ± 0.40") in reader.seen
    assert ("th", AWKWARD) in reader.seen
    assert ("td", "3 of 3") in reader.seen
    assert text.count('<th scope="col">') == 3
    assert text.count('<th scope="row">') == 2
    assert text.count("<th") == 5 + text.count("<thead")
    assert "<x>" not in text


GROUPED = Table(
    "t",
    ("noise", "method", "reported"),
    (
        (Cell("10"), Cell("NCT"), Cell("**59.70 §", 59.7, printed="59.70", mark="best", flags="copied; suspect")),
        (Cell("10", repeats=True), Cell("SCN"), Cell("84.86*", 84.86, printed="84.86*", mark="second")),
        (Cell("20"), Cell("RR"), Cell("~140,000", 140000.0, printed="~140,000")),
    ),
    headers=2,
)


def test_csv_keeps_what_a_paper_prints_with_marks_and_flags_and_names_every_row():
    assert rows_of_csv(render(GROUPED, "csv")) == [
        ["table", "noise", "method", "reported", "reported printed", "reported mark", "reported flags", "missing"],
        ["t", "10", "NCT", "59.70", "59.70", "best", "copied; suspect", ""],
        ["t", "10", "SCN", "84.86", "84.86*", "second", "", ""],
        ["t", "20", "RR", "140000", "~140,000", "", "", ""],
    ]
    rows = json.loads(render(GROUPED, "json"))["rows"]
    assert [row[0]["text"] for row in rows] == ["10", "10", "20"]
    assert (rows[0][2]["printed"], rows[0][2]["flags"]) == ("59.70", "copied; suspect")


def test_people_read_a_group_once():
    assert [line.count("10") for line in render(GROUPED, "github").splitlines()[4:6]] == [1, 0]
    assert "\n & SCN & " in render(GROUPED, "latex")
    text = render(GROUPED, "html")
    assert '<th scope="rowgroup" rowspan="2">10</th><th scope="row">NCT</th>' in text
    assert '<tr><th scope="row">SCN</th><td>' in text
    assert '<tr><th scope="row">20</th><th scope="row">RR</th>' in text
    assert text.count("<tbody>") == 2
    unnamed = Table("t", ("", "a"), ((Cell(""), Cell("x")), (Cell("", repeats=True), Cell("y"))), headers=2)
    assert '<td rowspan="2"></td>' in render(unnamed, "html")


def test_a_terminal_shows_smaller_than_as_it_is():
    text = render(Table("p < .05", ("p",), ((Cell("<0.001"),), (Cell("<img src=x>"),))), "github")
    assert "**p < .05**" in text
    assert "| <0.001" in text
    assert r"\<img src=x>" in text


ACTS = [
    "![x](http://evil/b.png)",
    "[c](javascript:alert(1))",
    "[a][b]",
    "[a]: http://evil",
    "[^1]: foot",
    r"[a\](b)",
    "[a]b](c)",
    "~~gone~~ ~gone~",
    "&lt;b&gt; &#60; &amp",
    "*a* **b** __c__ _d_ `e`",
    "<b>x</b> <!-- x --> <http://evil>",
    "a|b",
    "# heading",
    "> quoted",
    "- listed",
    "~~~",
    "---",
]


def rendered(text):
    """The texts and the tags of Markdown as GitHub reads it, paragraphs, tables, lists and bold type aside."""
    markdown_it = pytest.importorskip("markdown_it")
    parser = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = [part for token in parser.parse(text) for part in (token, *(token.children or ()))]
    known = {"p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "strong", "", "br"}
    texts = ["".join(part.content for part in token.children) for token in parser.parse(text) if token.type == "inline"]
    return texts, {token.tag for token in tokens} - known


@pytest.mark.parametrize("text", [*ACTS, "[84.6]", "[84.6] 3 of 3", "~140,000", "p < .05 & a_b", "x!"])
def test_markdown_renders_as_the_text(text):
    texts, tags = rendered(render(Table(text, (text,), ((Cell(text, best=True),), (Cell(text),)), (text,)), "github"))
    assert texts == [text] * 5
    assert tags == set()


def test_what_is_no_markup_stays_as_it_is():
    for text in ("[84.6]", "~140,000", "a_b", "p < .05 & x", "Done!", "#: trials", "-1.5"):
        assert render_module.markdown(text) == text
        assert render(Table("t", ("a",), (), (text,)), "github").endswith(f"\n- {text}\n")


@pytest.mark.parametrize("format", FORMATS)
def test_no_rows_and_several_tables(format):
    empty = Table("t", ("a", "b"), ())
    assert render(empty, format).endswith("\n")
    assert render([empty, TABLE], format).endswith("\n")
    assert "\x1b" not in render(TABLE, format)


def test_an_unknown_format_is_named():
    with pytest.raises(BadInput, match="did you mean latex"):
        render(TABLE, "latx")
