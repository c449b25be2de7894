"""The verdicts on the papers' claims for a reader: lines for a terminal, a table, and plain data. Pure functions."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..analysis.grouping import MISSING, unique
from ..analysis.view import SHIPPED, SHIPPED_WORDS
from ..tables.cell import Cell, Table
from ..tables.comparison_cells import p_cell
from .verdicts import VERDICTS, Verdict
from .wording import noise_words, p_words, points

HOW = (
    "Differences are in points, positive where the claim holds, with their 95% interval. Single-label protocols: "
    "sign-flip test over (seed, draw) pairs, each the mean over folds and noise levels. AU protocols: subjects "
    "resampled within folds. p is two-sided, with Holm's correction over the claims of one statement on one protocol; "
    "claims that a method is comparable (>=) are tested against −1 point instead of 0. Intervals are not corrected: "
    "one may exclude zero where p is not significant. Supported and contradicted: under the paper's own conditions "
    "(its protocol at the paper profile, real faces, all data, the protocol's recipe and initial weights). Held here, "
    "reversed here: the same result under any other conditions, which says nothing of the paper's own numbers."
)

_INDENT = 4
_VERDICT = max(map(len, VERDICTS))
_COLUMNS = ("verdict", "claim", "protocol", "noise", "profile", "faces", "left", "right", "difference", "95% interval")
_MORE = ("p (Holm)", "pairs", "subjects", "reported", "reason", "oracle knowledge", "paper", "section", "quote")
_SHORT = 60  # letters of a quote in a table
_INTERVAL = {"coverage": 0.95, "comparisons": 1, "adjusted": False}


def claims_text(verdicts: Sequence[Verdict], width: int | None = None) -> list[str]:
    """Lines: papers, their statements, and below each its verdicts; claims that were not run are counted by reason.

    Args:
        verdicts: in the order of the papers.
        width: of the terminal; None: lines are not wrapped.
    """
    lines: list[str] = []
    for paper, of_paper in itertools.groupby(verdicts, key=lambda verdict: verdict.claim.name):
        lines += [paper]
        for of_statement in _by_statement(of_paper):
            lines += ["", *_statement_lines(of_statement, width)]
        lines += [""]
    return [*lines, *_wrapped(summary(verdicts), 0, width), *_wrapped(HOW, 0, width)]


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many claims there are, and how many verdicts of each kind, those under the papers' own conditions apart."""
    claims = {verdict.claim.id for verdict in verdicts}
    tried = [verdict for verdict in verdicts if verdict.verdict != "not run"]
    parts = [
        _counted([verdict for verdict in tried if verdict.own_conditions], " under the papers' own conditions"),
        _counted([verdict for verdict in tried if not verdict.own_conditions], " under other conditions"),
        _counted([verdict for verdict in verdicts if verdict.verdict == "not run"]),
    ]
    kinds = "; ".join(filter(None, parts)) or "none"
    return f"{len(claims)} claims, {len({verdict.claim.id for verdict in tried})} tested; verdicts by protocol: {kinds}"


def _counted(verdicts: Sequence[Verdict], where: str = "") -> str:
    """Such as "3 held here, 1 not separated under other conditions"; "" of none."""
    counts = Counter(verdict.verdict for verdict in verdicts)
    return ", ".join(f"{counts[kind]} {kind}" for kind in VERDICTS if counts[kind]) + where * bool(verdicts)


def claims_table(verdicts: Sequence[Verdict]) -> Table:
    """One row for each verdict."""
    notes = [HOW, *dict.fromkeys(f"{v.claim.id}: {remark}" for v in verdicts for remark in v.claim.remarks)]
    if shipped := unique([method for verdict in verdicts for method in verdict.shipped]):
        notes.append(f"{SHIPPED_WORDS}: {', '.join(shipped)}.")
    title = f"The papers' claims: {summary(verdicts)}"
    return Table(title, (*_COLUMNS, *_MORE), tuple(map(_row, verdicts)), tuple(notes))


def claims_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Plain data: what `claims_text` says, all numbers at full precision, null where there is none."""
    counts = Counter(verdict.verdict for verdict in verdicts)
    plain = [_plain(verdict) for verdict in verdicts]
    return {"how": HOW, "interval": _INTERVAL, "summary": dict(counts), "verdicts": plain}


# --- lines


def _by_statement(verdicts: Iterable[Verdict]) -> Iterator[list[Verdict]]:
    """Verdicts grouped by quote, or without a quote by section, in the order of first appearance."""
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.claim.quote or verdict.claim.where, []).append(verdict)
    yield from found.values()


def _statement_lines(verdicts: Sequence[Verdict], width: int | None) -> list[str]:
    quote, where = verdicts[0].claim.quote, "; ".join(unique([verdict.claim.where for verdict in verdicts]))
    title = f"“{quote}” ({where})" if quote else f"Ranking in {where}"
    lines = _wrapped(title, 2, width)
    tried = [verdict for verdict in verdicts if verdict.verdict != "not run"]
    comparison = max((len(verdict.claim.words) for verdict in tried), default=0)
    for verdict in tried:
        lines += _verdict_lines(verdict, comparison, width)
    not_run = Counter(verdict.words for verdict in verdicts if verdict.verdict == "not run")
    for words, count in not_run.items():
        reason = (f"{count} × " if count > 1 else "") + words.removeprefix("Not run: ")
        lines += _wrapped(f"{'not run':{_VERDICT}}  {reason}", _INDENT, width)
    for remark in dict.fromkeys(remark for verdict in verdicts for remark in verdict.claim.remarks):
        lines += _wrapped(f"! {remark}", _INDENT, width)
    return lines


def _verdict_lines(verdict: Verdict, comparison: int, width: int | None) -> list[str]:
    """One line where it fits, else the numbers below."""
    head = f"{' ' * _INDENT}{verdict.verdict:{_VERDICT}}  {verdict.claim.words:{comparison}}"
    shipped = f"{SHIPPED_WORDS}: {', '.join(verdict.shipped)}" if verdict.shipped else ""
    reasons = (*verdict.oracle_knowledge, verdict.because, *(each.why for each in verdict.missing), shipped)
    figures = "  ".join(part for part in (*_figures(verdict), _tested_on(verdict), *reasons) if part)
    if width is None or len(head) + 2 + len(figures) <= width:
        return [f"{head}  {figures}"]
    return [*_wrapped(head.strip(), _INDENT, width), *_wrapped(figures, _INDENT + _VERDICT + 2, width)]


def _figures(verdict: Verdict) -> Iterator[str]:
    yield f"{_points(verdict.difference):>6} {_interval(verdict)}"
    if verdict.p is not None:
        yield p_words(verdict.p, margin=verdict.claim.margin)
    yield f"{verdict.pairs} pair{'s' * (verdict.pairs != 1)}"
    if verdict.subjects:
        yield f"{verdict.subjects} subjects"
    if verdict.printed is not None:
        yield f"reported {_points(verdict.printed)}"


def _tested_on(verdict: Verdict) -> str:
    noise = f" {noise_words(verdict.levels)}" if verdict.levels != (None,) else ""
    stand_in = "stand-in " if verdict.stand_in else ""
    return f"{stand_in}{_protocol(verdict)}{noise} ({verdict.profile}, {verdict.source} faces)"


def _protocol(verdict: Verdict) -> str:
    return f"{verdict.protocol} compared with {verdict.beside}" if verdict.beside else verdict.protocol


def _wrapped(text: str, indent: int, width: int | None) -> list[str]:
    if width is None:
        return [" " * indent + text]
    first, later = " " * indent, " " * (indent + 2)
    return textwrap.wrap(text, max(width, 40), initial_indent=first, subsequent_indent=later, break_on_hyphens=False)


# --- a table


def _row(verdict: Verdict) -> tuple[Cell, ...]:
    return (
        Cell(verdict.verdict),
        _claim_cell(verdict),
        Cell(_protocol(verdict) + " (stand-in)" * verdict.stand_in),
        Cell(_noise(verdict)),
        Cell(verdict.profile or MISSING),
        Cell(verdict.source or MISSING),
        _number(verdict.left, "{:.2f}"),
        _number(verdict.right, "{:.2f}"),
        Cell(_points(verdict.difference), verdict.difference),
        Cell(_interval(verdict), interval=_ends(verdict)) if verdict.verdict != "not run" else Cell(MISSING),
        Cell(MISSING) if verdict.p is None else p_cell(verdict.p),
        Cell(str(verdict.pairs), float(verdict.pairs)),
        Cell(str(verdict.subjects), float(verdict.subjects)) if verdict.subjects else Cell(MISSING),
        Cell(_points(verdict.printed), verdict.printed),
        Cell(verdict.because),
        Cell("; ".join(verdict.oracle_knowledge)),
        Cell(verdict.claim.name),
        Cell(verdict.claim.where),
        Cell(_short(verdict.claim.quote) or MISSING),
    )


def _claim_cell(verdict: Verdict) -> Cell:
    """The claim, marked where trials of its methods ship."""
    words = verdict.claim.words
    return Cell(f"{words} {SHIPPED}", printed=words, flags="shipped") if verdict.shipped else Cell(words)


def _short(quote: str) -> str:
    """A quote's first words, with ASCII dots for LaTeX."""
    return textwrap.shorten(quote.replace("…", "..."), _SHORT, placeholder=" ...")


def _noise(verdict: Verdict) -> str:
    """The levels used, and why others are missing."""
    lacking = "; ".join(each.why for each in verdict.missing)
    return (noise_words(verdict.levels) or MISSING) + f" ({lacking})" * bool(lacking)


def _number(value: float | None, form: str) -> Cell:
    return Cell(MISSING) if value is None else Cell(form.format(value), value)


def _points(value: float | None) -> str:
    return MISSING if value is None else points(value)


def _interval(verdict: Verdict) -> str:
    ends = _ends(verdict)
    return "[no interval]" if ends is None else f"[{points(ends[0])}, {points(ends[1])}]"


def _ends(verdict: Verdict) -> tuple[float, float] | None:
    return None if verdict.low is None or verdict.high is None else (verdict.low, verdict.high)


# --- plain data


def _plain(verdict: Verdict) -> dict[str, Any]:
    claim = verdict.claim
    numbers = {
        name: _finite(getattr(verdict, name)) for name in ("left", "right", "difference", "low", "high", "p", "printed")
    }
    return {
        "id": claim.id,
        "paper": claim.paper,
        "quote": claim.quote,
        "place": claim.where,
        "claim": claim.words,
        "relation": claim.relation,
        "left": {"method": claim.left.method, "measure": claim.left.measure},
        "right": None if claim.right is None else {"method": claim.right.method, "measure": claim.right.measure},
        "reported_only": list(claim.unmeasured),
        "at_least": dict(claim.at_least),
        "remarks": list(claim.remarks),
        "verdict": verdict.verdict,
        "words": verdict.words,
        "because": verdict.because or None,
        "protocol": verdict.protocol,
        "beside": verdict.beside or None,
        "stand_in": verdict.stand_in,
        "own_conditions": verdict.own_conditions,
        "profile": verdict.profile or None,
        "source": verdict.source or None,
        "levels": [level for level in verdict.levels if level is not None],
        "missing": [{"levels": each.levels, "why": each.why, "tried": each.tried} for each in verdict.missing],
        "points": numbers,
        "pairs": verdict.pairs,
        "subjects": verdict.subjects,
        "family": verdict.family,
        "oracle_knowledge": list(verdict.oracle_knowledge),
        "shipped": list(verdict.shipped),
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
