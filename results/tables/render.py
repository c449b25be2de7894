"""Tables as text: github, latex, csv, json, html. Pure functions."""

from __future__ import annotations

import csv
import html
import io
import itertools
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import partial

from tabulate import tabulate

from ...protocols.errors import unknown
from ..analysis.grouping import MISSING
from .cell import Cell, Table

FORMATS = ("github", "latex", "csv", "json", "html")

# The preamble that LaTeX tables need, and a width that shrinks those that are too wide and leaves the others alone.
_PREAMBLE = r"% needs in the preamble: \usepackage{booktabs} \usepackage{graphicx}"
_MANY = 8  # columns from which on they stand closer together
_FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"

# pdflatex stops at what it has no glyph for: commands of the kernel, which need no package
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "§": r"\S{}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "…": r"\dots{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
}
_MATHS = {
    **{"±": r"\pm", "−": "-", "×": r"\times", "÷": r"\div", "≤": r"\leq", "≥": r"\geq", "≠": r"\neq"},
    **{
        "≈": r"\approx",
        "·": r"\cdot",
        "✓": r"\surd",
        "→": r"\rightarrow",
        "↗": r"\nearrow",
        "◇": r"\diamond",
        "⊕": r"\oplus",
        "∞": r"\infty",
        "°": r"^\circ",
        "²": "^2",
    },
    **{"α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon", "θ": r"\theta"},
    **{"κ": r"\kappa", "λ": r"\lambda", "μ": r"\mu", "µ": r"\mu", "π": r"\pi", "ρ": r"\rho", "σ": r"\sigma"},
    **{"τ": r"\tau", "φ": r"\varphi", "ω": r"\omega", "Δ": r"\Delta", "Σ": r"\Sigma", "Φ": r"\Phi", "Ω": r"\Omega"},
    "↗": r"\nearrow",
}
# combining marks, by their code points
_ACCENTS = {0x300: "`", 0x301: "'", 0x302: "^", 0x303: "~", 0x304: "=", 0x306: "u", 0x307: ".", 0x308: '"', 0x30A: "r"}
_ACCENTS |= {0x30B: "H", 0x30C: "v", 0x327: "c"}
# What makes markup of its surroundings: "]" only before a target, "~" only where it closes, "&" only of an entity. With
# those escaped, "[" and "!" have nothing to open.
_ACTS = re.compile(
    r"""[\\|*`] | <(?=[A-Za-z/!?]) | (?<![^\W_])_ | _(?![^\W_]) | \](?=[(\[:]) | (?<=\S)~ | &(?=\#?\w+;)""", re.VERBOSE
)
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def render(table: Table | Sequence[Table], format: str) -> str:
    """A table, or several, as text that ends with a newline.

    Args:
        table: several are set apart by a blank line; as JSON they are a list, as CSV one file with all their columns.
        format: one of FORMATS. "github" is Markdown; "latex" names the packages it needs in its first line; "csv" has
            the numbers at full precision, or as a paper prints them, with columns for spread, pairs, marks and flags,
            and nothing where there is no value;
            "json" has everything, in ASCII.

    Raises:
        BadInput: an unknown format.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if format == "json":
        content = _plain(table) if isinstance(table, Table) else [_plain(each) for each in table]
        return json.dumps(content, indent=1, allow_nan=False) + "\n"
    tables = [table] if isinstance(table, Table) else table
    if format == "csv":
        return _csv(tables)
    head = f"{_PREAMBLE}\n" if format == "latex" else ""
    return head + "\n".join(map(_WRITERS[format], tables))


def _shown(cell: Cell) -> str:
    """What people read: nothing where it repeats the row above."""
    return "" if cell.repeats else cell.text


def _github(table: Table) -> str:
    columns, rows = grid_of(table)
    body = tabulate(rows, columns, tablefmt="github", disable_numparse=True, colalign=alignment(table))
    notes = "".join(f"\n- {listed(note)}" for note in table.notes)
    return f"**{markdown(table.title)}**\n\n{body}\n{notes}" + "\n" * bool(notes)


def grid_of(table: Table) -> tuple[list[str], list[list[str]]]:
    """The headings and the cells as Markdown, with an empty row before those that stand apart."""
    rows = [[_bold(markdown(_shown(cell)), cell) for cell in row] for row in table.rows]
    if 0 < table.apart < len(rows):
        rows.insert(len(rows) - table.apart, [""] * len(table.columns))
    return [markdown(column) for column in table.columns], rows


def _bold(text: str, cell: Cell) -> str:
    return f"**{text}**" if cell.best else text


def markdown(text: str) -> str:
    """The text in one line of Markdown that renders as it is. What cannot be markup where it stands stays as it is,
    since tables are read in terminals too: "[84.6]", "a_b", "~140,000", "p < .05".
    """
    return _ACTS.sub(r"\\\g<0>", " ".join(text.split()))


def listed(text: str) -> str:
    """A line of a list that no heading, quotation or list of its own starts in."""
    return re.sub(r"^(?=>|#{1,6}(?: |$)|[-+=]+(?: |$)|\[[ xX]\])", r"\\", markdown(text))


def alignment(table: Table) -> tuple[str, ...]:
    """Words to the left, columns that hold a number to the right."""
    numbers = [any(row[column].value is not None for row in table.rows) for column in range(len(table.columns))]
    return tuple("right" if number else "left" for number in numbers)


def _latex(table: Table) -> str:
    rows = [" & ".join(_tex_cell(cell) for cell in row) + r" \\" for row in table.rows]
    if 0 < table.apart < len(rows):
        rows.insert(len(rows) - table.apart, r"\midrule")
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_tex(table.title)}}}",
        *([r"\setlength{\tabcolsep}{3pt}"] if len(table.columns) > _MANY else []),
        _FITTED,
        rf"\begin{{tabular}}{{{''.join(side[0] for side in alignment(table))}}}",
        r"\toprule",
        " & ".join(map(_tex, table.columns)) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}}",
        *(rf"\par{{\footnotesize\raggedright {_tex(note)}\par}}" for note in table.notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _tex(text: str) -> str:
    """The text in ASCII; hyphens in a row stay hyphens, as in options."""
    written = "".join(map(_tex_letter, " ".join(text.split())))
    return re.sub("-(?=-)", "-{}", written)


def _tex_letter(letter: str) -> str:
    if letter in _MATHS:
        return f"${_MATHS[letter]}$"
    if letter in _LATEX or letter.isascii():
        return _LATEX.get(letter, letter if letter.isprintable() else "?")
    base, *marks = list(unicodedata.normalize("NFD", letter))
    if len(marks) == 1 and base.isascii() and ord(marks[0]) in _ACCENTS:
        return rf"\{_ACCENTS[ord(marks[0])]}{{{base}}}"
    return base if base.isascii() and base.isprintable() else "?"


def _tex_cell(cell: Cell) -> str:
    # a row that starts with [ or * would be read as an argument of the \\ before it
    text = _tex(_shown(cell))
    return rf"\textbf{{{text}}}" if cell.best else f"{{}}{text}" if text[:1] in ("[", "*") else text


def _csv(tables: Sequence[Table]) -> str:
    """A row each that can be read alone; a column is followed by the spreads, pairs, marks and flags it has. Several
    tables have the columns of all: what a table lacks is empty in its rows.
    """
    rows = [row for table in tables for row in _csv_rows(table)]
    headings = [*dict.fromkeys(name for row in rows or map(_csv_headings, tables) for name in row if name != _LACKS)]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_guarded(name) for name in (*headings, _LACKS)])
    for row in rows:
        writer.writerow([_guarded(row.get(name, "")) for name in (*headings, _LACKS)])
    return buffer.getvalue()


_TABLE, _LACKS = "table", "missing"


def _csv_headings(table: Table) -> list[str]:
    return [_TABLE, *(heading for column in range(len(table.columns)) for heading, _ in _pieces(table, column))]


def _csv_rows(table: Table) -> list[dict[str, str]]:
    """The cells of each row by heading."""
    pieces = [_pieces(table, column) for column in range(len(table.columns))]
    numeric = [_is_numeric(table, column) for column in range(len(table.columns))]
    found = []
    for row in table.rows:
        cells = {heading: read(row[column]) for column, group in enumerate(pieces) for heading, read in group}
        lacking = zip(table.columns, map(_why_missing, row, numeric), strict=True)
        missing = "; ".join(f"{name}: {why}" for name, why in lacking if why)
        found.append({_TABLE: table.title, **cells, _LACKS: missing})
    return found


def _is_numeric(table: Table, column: int) -> bool:
    return any(row[column].value is not None for row in table.rows)


def _why_missing(cell: Cell, numeric: bool) -> str:
    """The state of missing trials, or the words where a column of numbers has none."""
    words = numeric and cell.value is None and not cell.printed and cell.text != MISSING
    return cell.status or (cell.text if words else "")


def _pieces(table: Table, column: int) -> list[tuple[str, Callable[[Cell], str]]]:
    name, cells = table.columns[column], [row[column] for row in table.rows]
    if any(cell.interval for cell in cells):
        return [(f"{name} {end}", partial(_end, place=place)) for place, end in enumerate(("low", "high"))]
    numeric = _is_numeric(table, column)
    pieces: list[tuple[str, Callable[[Cell], str]]] = [(name, _number if numeric else _words)]
    if numeric and any(cell.printed and not _is_number(cell.printed) for cell in cells):
        pieces.append((f"{name} printed", lambda cell: cell.printed))
    if any(cell.spread is not None for cell in cells):
        pieces.append((f"{name} sd", lambda cell: _exact(cell.spread)))
    if any(cell.n_all is not None for cell in cells):
        pieces.append((f"{name} ok", lambda cell: _exact(cell.n_ok)))
        pieces.append((f"{name} all", lambda cell: _exact(cell.n_all)))
    if any(cell.mark for cell in cells):
        pieces.append((f"{name} mark", lambda cell: cell.mark))
    if any(cell.flags for cell in cells):
        pieces.append((f"{name} flags", lambda cell: cell.flags))
    return pieces


def _end(cell: Cell, place: int) -> str:
    return _exact(cell.interval[place]) if cell.interval else ""


def _number(cell: Cell) -> str:
    """The number as a paper prints it, if that is one, else in full."""
    return cell.printed if cell.value is not None and _is_number(cell.printed) else _exact(cell.value)


def _words(cell: Cell) -> str:
    return cell.printed or ("" if cell.status or cell.text == MISSING else cell.text)


def _exact(number: float | None) -> str:
    return "" if number is None else repr(int(number)) if number == int(number) else repr(number)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _guarded(text: str) -> str:
    """A spreadsheet takes what starts with = + - @ for a formula; an apostrophe makes it text. Numbers stay."""
    line = " ".join(text.split())
    return f"'{line}" if line.startswith(_FORMULA) and not _is_number(line) else line


def _html(table: Table) -> str:
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in table.columns)
    notes = "".join(f"<li>{html.escape(note)}</li>\n" for note in table.notes)
    return (
        f"<table>\n<caption>{html.escape(table.title)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"{''.join(_html_group(table, group) for group in _groups(table))}</table>\n"
        + (f"<ul>\n{notes}</ul>\n" if notes else "")
    )


def _groups(table: Table) -> list[list[tuple[Cell, ...]]]:
    """The rows, those together that repeat their first cell, and those that stand apart; else one group."""
    if not any(row[0].repeats for row in table.rows):
        start = len(table.rows) - table.apart
        return [group for group in (list(table.rows[:start]), list(table.rows[start:])) if group] or [[]]
    numbers = itertools.accumulate(not row[0].repeats for row in table.rows)
    numbered = itertools.groupby(zip(numbers, table.rows, strict=True), key=lambda each: each[0])
    return [[row for _, row in group] for _, group in numbered]


def _html_group(table: Table, rows: Sequence[tuple[Cell, ...]]) -> str:
    span = len(rows) if any(row[0].repeats for row in rows) else 1
    cells = (
        "".join(_html_cell(cell, header=at < table.headers, span=span if at == 0 else 1) for at, cell in enumerate(row))
        for row in rows
    )
    lines = "".join(f"<tr>{line}</tr>\n" for line in cells)
    return f"<tbody>\n{lines}</tbody>\n"


def _html_cell(cell: Cell, *, header: bool, span: int) -> str:
    """A cell; those that name a row are headings, one that names several rows stands once beside all of them."""
    if cell.repeats:
        return ""
    text = f"<strong>{html.escape(cell.text)}</strong>" if cell.best else html.escape(cell.text)
    rows = f' rowspan="{span}"' if span > 1 else ""
    if not header or not cell.text:
        return f"<td{rows}>{text}</td>"
    return f'<th scope="{"rowgroup" if rows else "row"}"{rows}>{text}</th>'


def _plain(table: Table) -> dict[str, object]:
    rows = [[_plain_cell(cell) for cell in row] for row in table.rows]
    apart = {"apart": table.apart} if table.apart else {}
    return {"title": table.title, "columns": table.columns, "rows": rows, "notes": table.notes, **apart}


def _plain_cell(cell: Cell) -> dict[str, object]:
    return {name: value for name, value in vars(cell).items() if name != "interval" or value is not None}


_WRITERS: dict[str, Callable[[Table], str]] = {"github": _github, "latex": _latex, "html": _html}
