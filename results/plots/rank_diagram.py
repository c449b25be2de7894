"""The critical-difference diagram: methods on an axis of mean ranks, bars join those that do not differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...protocols.errors import BadInput
from ..analysis.comparisons import LEAST_PAIRS, Ranking, rank_methods
from ..analysis.grouping import blocks
from ..analysis.view import Expected, marked, view_of, words_of_marks
from ..records.record import Record
from ..tables.parts import level_words, title_of
from ..tables.protocol_tables import RULE_WORDS
from .style import GREY, save_figure

_ROW = 0.28  # inches a label takes
_BAR = 0.16  # inches a bar takes


def ranking_of(
    records: Sequence[Record], expected: Expected | None = None, *, level: float | None = None, rule: str = "last"
) -> tuple[str, Ranking]:
    """The title and the ranking of one protocol's methods, named with their marks.

    Args:
        records: of one comparability key.
        expected: folds and pairs there should be.
        level: one noise level; None: over all of them.
        rule: the selection rule.

    Raises:
        BadInput: no records, several comparability keys, an absent level, fewer than two methods to rank, or a single
            (seed, draw) pair.
    """
    (block,) = blocks(records, what="figure")
    view = view_of(block, expected or Expected())
    if level is not None and level not in view.levels:
        known = ", ".join(f"{each:g}" for each in view.levels if each is not None)
        raise BadInput(f"there are no trials at noise {level:g}: choose one of {known or 'none'}")
    levels = view.levels if level is None else (level,)
    ranking = rank_methods(view, levels, rule)
    if len(ranking.labels) < 2:
        raise BadInput("there is nothing to rank: fewer than two methods have finished every (seed, draw) pair")
    if ranking.pairs < LEAST_PAIRS:
        raise BadInput(f"one seed: no ranking; a diagram needs {LEAST_PAIRS} (seed, draw) pairs: run with --seeds 2")
    several = "all levels" if len(levels) > 1 else "" if levels == (None,) else level_words(levels[0])
    what = ", ".join(filter(None, [f"mean ranks by {view.metric_words}", RULE_WORDS[rule], several]))
    drawn = {entry.label: marked(view, entry, entry.label) for entry in view.rows}
    return title_of(view, what), replace(ranking, labels=tuple(drawn[label] for label in ranking.labels))


def draw_ranking(title: str, ranking: Ranking, path: Path) -> None:
    """Draws a ranking into an SVG, PNG or PDF file; the same ranking gives the same bytes.

    Raises:
        BadInput: matplotlib is not installed, or the file's ending is not .svg, .png or .pdf.
    """
    bars = sum(len(group) > 1 for group in ranking.groups)
    rows = math.ceil(len(ranking.labels) / 2)
    height = 1.9 + _BAR * bars + _ROW * rows
    save_figure(path, (11, height), lambda figure: _fill(figure, title, ranking, height))


def _fill(figure: Any, title: str, ranking: Ranking, height: float) -> None:
    """Inches downwards from the axis are the vertical unit."""
    count = len(ranking.labels)
    axes = figure.subplots()
    axes.set_title(title, fontsize=12, loc="left")
    margin = 0.35 * (count - 1)
    axes.set_xlim(1 - margin, count + margin)
    axes.set_ylim(height - 1.1, -0.75)
    axes.axis("off")
    _axis(axes, count)
    _critical(axes, ranking, count)
    depth = 0.18
    for group in ranking.groups:
        if len(group) > 1:
            ends = [ranking.mean_ranks[group[0]], ranking.mean_ranks[group[-1]]]
            axes.plot(ends, [depth, depth], color="#222222", linewidth=4, solid_capstyle="round")
            depth += _BAR
    _names(axes, ranking, depth + 0.1, margin)
    below = [f"not ranked, pairs are missing: {', '.join(ranking.left_out)}"] if ranking.left_out else []
    below += words_of_marks(ranking.labels)
    axes.text(0, 0, "\n".join(below), transform=axes.transAxes, size=8)


def _axis(axes: Any, count: int) -> None:
    axes.plot([1, count], [0, 0], color="black", linewidth=1)
    step = max(1, round(count / 10))
    for rank in sorted({1, *range(step, count + 1, step), count}):
        axes.plot([rank, rank], [0, -0.08], color="black", linewidth=1)
        axes.text(rank, -0.12, str(rank), ha="center", va="bottom", size=9)


def _critical(axes: Any, ranking: Ranking, count: int) -> None:
    """The critical difference as a length over the axis, or in words where it is longer than the axis."""
    pairs = f"{ranking.pairs} pair{'s' * (ranking.pairs != 1)}"
    words = f"critical difference {ranking.critical:.1f} (Nemenyi, α = .05, {pairs})"
    if ranking.critical >= count - 1:
        axes.text(1, -0.5, f"{words}: no two of these methods differ significantly", va="center", size=9)
        return
    axes.plot([1, 1 + ranking.critical], [-0.5, -0.5], color="black", linewidth=1.5, marker="|")
    axes.text(1 + ranking.critical, -0.5, f"  {words}", va="center", size=9)


def _names(axes: Any, ranking: Ranking, top: float, margin: float) -> None:
    """The better half named at the left, the others at the right, each led to from its rank."""
    count = len(ranking.labels)
    half = math.ceil(count / 2)
    for place, (label, rank) in enumerate(zip(ranking.labels, ranking.mean_ranks, strict=True)):
        left = place < half
        row = place if left else count - 1 - place
        y, end = top + _ROW * row, 1 - margin * 0.08 if left else count + margin * 0.08
        axes.plot([rank, rank, end], [0, y, y], color=GREY, linewidth=0.8, zorder=0)
        text = f"{label}  {rank:.1f}" if left else f"{rank:.1f}  {label}"
        axes.text(end, y, f"{text} " if left else f" {text}", ha="right" if left else "left", va="center", size=10)
