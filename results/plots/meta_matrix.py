"""The matrix of methods against methods over protocols: colour is the mean difference, marks are the evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..analysis.meta import Meta
from ..tables.meta_tables import MARKS, title_of_meta
from .style import save_figure

_CELL = 0.42  # inches of a cell
_DARK = 0.6  # share of the largest difference from which letters are white


def draw_metas(metas: Sequence[Meta], path: Path) -> None:
    """Draws one matrix below the other into an SVG, PNG or PDF file; the same data give the same bytes.

    Args:
        metas: at least one.
        path: the file.

    Raises:
        BadInput: matplotlib is not installed, or the file's ending is not .svg, .png or .pdf.
    """
    most = max(len(meta.methods) for meta in metas)
    heights = [_CELL * len(meta.methods) + 2.6 for meta in metas]
    save_figure(path, (_CELL * most + 4.6, sum(heights) + 0.6), lambda figure: _fill(figure, metas, heights))


def _fill(figure: Any, metas: Sequence[Meta], heights: Sequence[float]) -> None:
    places = figure.subplots(len(metas), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, meta in zip(places, metas, strict=True):
        _matrix(figure, axes, meta)
    figure.supxlabel(_broken(MARKS), fontsize=8.5)


def _broken(sentence: str) -> str:
    """The sentence in lines, at its semicolon."""
    return sentence.replace("; ", ";\n")


def _matrix(figure: Any, axes: Any, meta: Meta) -> None:
    names = [meta.labels[method] for method in meta.methods]
    points = differences_of(meta)
    known = [abs(value) for row in points for value in row if not math.isnan(value)]
    most = max([*known, 0.1])
    image = axes.imshow(points, cmap="RdBu", vmin=-most, vmax=most)
    axes.set_title(f"{title_of_meta(meta, 'row − column')}\n{_protocols(meta)}", fontsize=11, loc="left")
    places = range(len(names))
    axes.set_xticks(places, names, rotation=45, ha="left", fontsize=9)
    axes.xaxis.tick_top()
    axes.set_yticks(places, names, fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for row, method in enumerate(meta.methods):
        for column, rival in enumerate(meta.methods):
            found = meta.combined.get((method, rival))
            if found is not None:
                text = _points(100 * found.mean) + found.mark
                colour = "white" if abs(100 * found.mean) > _DARK * most else "black"
                axes.text(column, row, text, ha="center", va="center", fontsize=7.5, color=colour)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02)
    bar.set_label(f"mean difference (points of {meta.metric})", fontsize=9)


def _points(value: float) -> str:
    return "0" if abs(value) < 0.5 else f"{value:+.0f}".replace("-", "−")


def differences_of(meta: Meta) -> list[list[float]]:
    """Mean differences in points, [methods, methods], row minus column; NaN where no protocol has both."""
    return [
        [
            100 * found.mean if (found := meta.combined.get((method, rival))) is not None else math.nan
            for rival in meta.methods
        ]
        for method in meta.methods
    ]


def _protocols(meta: Meta) -> str:
    return ", ".join(key for group in meta.groups for key in group)
