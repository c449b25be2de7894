"""Tables as text: github, latex, csv, json, html. Pure functions."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable, Sequence

from tabulate import tabulate

from ..protocols.errors import unknown
from .cells import Cell, Table

FORMATS = ("github", "latex", "csv", "json", "html")

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
    "±": r"$\pm$",
    "−": r"$-$",
    "×": r"$\times$",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "·": r"$\cdot$",
    "–": "--",
    "✓": r"$\surd$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "λ": r"$\lambda$",
    "ρ": r"$\rho$",
    "τ": r"$\tau$",
}
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def render(table: Table | Sequence[Table], format: str) -> str:
    """A table, or several, as text that ends with a newline.

    Args:
        table: several are set apart by a blank line; as JSON they are a list.
        format: one of FORMATS. "github" is Markdown; "latex" needs the booktabs package; "csv" has the numbers at full
            precision with columns for spread and pairs; "json" has everything.

    Raises:
        BadInput: an unknown format.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if format == "json":
        content = _plain(table) if isinstance(table, Table) else [_plain(each) for each in table]
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    tables = [table] if isinstance(table, Table) else table
    return "\n".join(map(_WRITERS[format], tables))


def _github(table: Table) -> str:
    rows = [[_bold(_markdown(cell.text), cell) for cell in row] for row in table.rows]
    columns = [_markdown(column) for column in table.columns]
    body = tabulate(rows, columns, tablefmt="github", disable_numparse=True, colalign=_alignment(table))
    notes = "".join(f"\n- {_markdown(note)}" for note in table.notes)
    return f"**{_markdown(table.title)}**\n\n{body}\n{notes}" + "\n" * bool(notes)


def _bold(text: str, cell: Cell) -> str:
    return f"**{text}**" if cell.best else text


def _markdown(text: str) -> str:
    # an underscore inside a word is no markup, and names with underscores are read in terminals too
    return re.sub(r"([\\|*`<]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))


def _alignment(table: Table) -> tuple[str, ...]:
    """Words to the left, columns that hold a number to the right."""
    numbers = [any(row[column].value is not None for row in table.rows) for column in range(len(table.columns))]
    return tuple("right" if number else "left" for number in numbers)


def _latex(table: Table) -> str:
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_tex(table.title)}}}",
        rf"\begin{{tabular}}{{{''.join(side[0] for side in _alignment(table))}}}",
        r"\toprule",
        " & ".join(map(_tex, table.columns)) + r" \\",
        r"\midrule",
        *(" & ".join(_tex_cell(cell) for cell in row) + r" \\" for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\footnotesize {_tex(note)}" for note in table.notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _tex(text: str) -> str:
    return "".join(_tex_letter(letter) for letter in " ".join(text.split()))


def _tex_letter(letter: str) -> str:
    # beyond Latin letters pdflatex stops at what it has no glyph for
    return _LATEX.get(letter, letter if ord(letter) < 0x180 and letter.isprintable() else "?")


def _tex_cell(cell: Cell) -> str:
    # a row that starts with [ or * would be read as an argument of the \\ before it
    text = _tex(cell.text)
    return rf"\textbf{{{text}}}" if cell.best else f"{{}}{text}" if text[:1] in ("[", "*") else text


def _csv(table: Table) -> str:
    """A row each; a column of means is followed by its spread and its pairs, and every row names the table."""
    pieces = [_pieces(table, column) for column in range(len(table.columns))]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["table", *(_guarded(heading) for group in pieces for heading, _ in group), "missing"])
    for row in table.rows:
        values = [read(row[column]) for column, group in enumerate(pieces) for _, read in group]
        missing = (f"{name}: {cell.status}" for name, cell in zip(table.columns, row, strict=True) if cell.status)
        writer.writerow([_guarded(text) for text in (table.title, *values, "; ".join(missing))])
    return buffer.getvalue()


def _pieces(table: Table, column: int) -> list[tuple[str, Callable[[Cell], str]]]:
    name, cells = table.columns[column], [row[column] for row in table.rows]
    pieces: list[tuple[str, Callable[[Cell], str]]] = [(name, _number_or_text)]
    if any(cell.spread is not None for cell in cells):
        pieces.append((f"{name} sd", lambda cell: _exact(cell.spread)))
    if any(cell.n_all is not None for cell in cells):
        pieces.append((f"{name} ok", lambda cell: _exact(cell.n_ok)))
        pieces.append((f"{name} all", lambda cell: _exact(cell.n_all)))
    return pieces


def _number_or_text(cell: Cell) -> str:
    return cell.text if cell.value is None else _exact(cell.value)


def _exact(number: float | None) -> str:
    return "" if number is None else repr(int(number)) if number == int(number) else repr(number)


def _guarded(text: str) -> str:
    """A spreadsheet takes what starts with = + - @ for a formula; an apostrophe makes it text. Numbers stay."""
    line = " ".join(text.split())
    if not line.startswith(_FORMULA):
        return line
    try:
        float(line)
    except ValueError:
        return f"'{line}"
    return line


def _html(table: Table) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in table.columns)
    body = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>\n" for row in table.rows)
    notes = "".join(f"<li>{html.escape(note)}</li>\n" for note in table.notes)
    return (
        f"<table>\n<caption>{html.escape(table.title)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}</tbody>\n</table>\n" + (f"<ul>\n{notes}</ul>\n" if notes else "")
    )


def _html_cell(cell: Cell) -> str:
    text = html.escape(cell.text)
    return f"<td>{f'<strong>{text}</strong>' if cell.best else text}</td>"


def _plain(table: Table) -> dict[str, object]:
    rows = [[vars(cell) for cell in row] for row in table.rows]
    return {"title": table.title, "columns": table.columns, "rows": rows, "notes": table.notes}


_WRITERS: dict[str, Callable[[Table], str]] = {"github": _github, "latex": _latex, "csv": _csv, "html": _html}
