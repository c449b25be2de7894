"""How alike two settings rank the methods: a point and an interval for each kind of noise, as in a forest plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...protocols.errors import BadInput
from ..analysis.grouping import blocks
from ..analysis.view import Expected, view_of
from ..records.record import Record
from ..tables.cell import minus
from ..tables.parts import title_of
from ..tables.protocol_tables import RULE_WORDS
from ..tables.rank_tables import Agreement, agreements_with
from .style import GREY, save_figure

_ROW = 0.42  # inches a pair of settings takes


def agreements_of(
    records: Sequence[Record], others: Sequence[Record], expected: Expected | None = None, *, rule: str = "last"
) -> tuple[str, tuple[Agreement, ...]]:
    """The title, and how alike synthetic and real noise rank the methods, one pair of settings each.

    Args:
        records: of one comparability key.
        others: records of other protocols; those of the same setting are compared.
        expected: folds and pairs there should be.
        rule: the selection rule.

    Raises:
        BadInput: no records, several comparability keys, or no two settings with synthetic and with real noise.
    """
    (block,) = blocks(records, what="figure")
    view = view_of(block, expected or Expected())
    found = tuple(each for each in agreements_with(view, others, rule) if each.question)
    if not found:
        raise BadInput(
            f"no trials of synthetic and of real noise have four methods in common, so {view.protocol} cannot be "
            "compared: run the same methods on both, as on ferplus-votes:1 and ferplus-votes:1-symmetric"
        )
    return title_of(view, f"do synthetic and real noise rank methods alike? {RULE_WORDS[rule]}"), found


def draw_agreements(title: str, found: Sequence[Agreement], path: Path) -> None:
    """Draws rank correlations into an SVG, PNG or PDF file; the same ones give the same bytes.

    Raises:
        BadInput: matplotlib is not installed, or the file's ending is not .svg, .png or .pdf.
    """
    save_figure(path, (10, 1.6 + _ROW * len(found)), lambda figure: _fill(figure, title, found))


def _fill(figure: Any, title: str, found: Sequence[Agreement]) -> None:
    axes = figure.subplots()
    axes.set_title(title, fontsize=12, loc="left")
    axes.axvline(0, color=GREY, linewidth=1)
    for row, each in enumerate(found):
        sure = not each.answer.startswith("cannot")
        colour = "#0072B2" if sure else GREY
        if not math.isnan(each.low):
            axes.plot([each.low, each.high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot(each.tau, row, marker="o", color=colour, markerfacecolor=colour if sure else "white")
        axes.text(1.04, row, minus(f"{each.tau:.2f}, {each.answer}"), va="center", size=9)
    names = [f"{each.left}\nand {each.right}" for each in found]
    axes.set_yticks(range(len(found)), names, fontsize=9)
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlim(-1, 1)
    axes.set_xlabel("Kendall's τ of the methods' mean scores, 95% interval over methods")
