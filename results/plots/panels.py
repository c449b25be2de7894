"""Panels of a figure as data - lines, matrices, bars, histograms - and how they are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .style import PALE, look, save_figure

_COLUMNS = 3
_DARK = 55.0  # percent from which a matrix's cell is dark enough for white letters


@dataclass(frozen=True)
class Line:
    """One line; NaN breaks it.

    Attributes:
        label: in the legend.
        x, y: as many numbers each; x counts places where the panel has ticks.
        spread: standard deviation at each point, NaN where there is none; empty: not drawn.
        marked: drawn as points, not as a line (what a paper prints).
    """

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    spread: tuple[float, ...] = ()
    marked: bool = False


@dataclass(frozen=True)
class Lines:
    """Lines over one axis; with ticks, x = 0, 1, … are places with these names."""

    title: str
    xlabel: str
    ylabel: str
    lines: tuple[Line, ...]
    ticks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Matrix:
    """Shares in percent [C, C]: rows are labels, columns predictions; a class without a label has a row of NaN."""

    title: str
    names: tuple[str, ...]
    shares: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Bars:
    """Groups of bars: for each group one value in percent a name, NaN where there is none."""

    title: str
    ylabel: str
    names: tuple[str, ...]
    groups: tuple[tuple[str, tuple[float, ...]], ...]


@dataclass(frozen=True)
class Histogram:
    """Shares in percent that fall between edges [n + 1], for each group of predictions [n]."""

    title: str
    xlabel: str
    edges: tuple[float, ...]
    groups: tuple[tuple[str, tuple[float, ...]], ...]


Panel = Lines | Matrix | Bars | Histogram


@dataclass(frozen=True)
class Panels:
    """A figure: at least one panel, and remarks below them."""

    title: str
    panels: tuple[Panel, ...]
    remarks: tuple[str, ...] = ()


def draw_panels(data: Panels, path: Path) -> None:
    """Draws a figure into an SVG, PNG or PDF file; the same data give the same bytes.

    Raises:
        BadInput: matplotlib is not installed, or the file's ending is not .svg, .png or .pdf.
    """
    columns = min(_COLUMNS, len(data.panels))
    rows = math.ceil(len(data.panels) / columns)
    width = 7.5 if len(data.panels) == 1 else 5.2 * columns
    size = (width, 4.6 * rows + 0.5 + 0.22 * len(data.remarks))
    save_figure(path, size, lambda figure: _fill(figure, data, rows, columns))


def _fill(figure: Any, data: Panels, rows: int, columns: int) -> None:
    figure.suptitle(data.title, fontsize=12, wrap=True)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for place, panel in zip(axes, data.panels, strict=False):
        place.set_title(panel.title, loc="left", fontsize=11)
        match panel:
            case Lines():
                _lines(place, panel)
            case Matrix():
                _matrix(place, panel)
            case Bars():
                _bars(place, panel)
            case Histogram():
                _histogram(place, panel)
    for place in axes[len(data.panels) :]:
        place.axis("off")
    if data.remarks:
        figure.supxlabel("\n".join(data.remarks), fontsize=8.5, wrap=True)


def _lines(axes: Any, panel: Lines) -> None:
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    for number, line in enumerate(panel.lines):
        style = look(number)
        if line.marked:
            axes.plot(line.x, line.y, "D", label=line.label, markersize=8, fillstyle="none", color="#444444")
            continue
        marker = "o" if len(line.x) <= 8 else None
        axes.plot(line.x, line.y, label=line.label, linewidth=2, marker=marker, **style)
        if line.spread:
            band = [0.0 if math.isnan(each) else each for each in line.spread]
            low = [y - each for y, each in zip(line.y, band, strict=True)]
            high = [y + each for y, each in zip(line.y, band, strict=True)]
            axes.fill_between(line.x, low, high, color=style["color"], alpha=0.15, linewidth=0)
    axes.set_xlabel(panel.xlabel)
    axes.set_ylabel(panel.ylabel)
    if panel.ticks:
        axes.set_xticks(range(len(panel.ticks)), panel.ticks)
        axes.set_xlim(-0.4, len(panel.ticks) - 0.6)
    axes.legend(frameon=False, fontsize=9)


def _matrix(axes: Any, panel: Matrix) -> None:
    axes.imshow(panel.shares, cmap="Blues", vmin=0, vmax=100)
    places = range(len(panel.names))
    axes.set_xticks(places, panel.names, rotation=45, ha="right", fontsize=9)
    axes.set_yticks(places, panel.names, fontsize=9)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label")
    axes.spines[:].set_visible(False)
    for row, shares in enumerate(panel.shares):
        for column, share in enumerate(shares):
            text = "–" if math.isnan(share) else f"{share:.0f}"
            color = "white" if share > _DARK else "black"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=9)


def _bars(axes: Any, panel: Bars) -> None:
    width = 0.8 / len(panel.groups)
    for number, (label, values) in enumerate(panel.groups):
        offset = (number - (len(panel.groups) - 1) / 2) * width
        axes.bar([x + offset for x in range(len(values))], values, width, label=label, color=look(number)["color"])
    axes.set_xticks(range(len(panel.names)), panel.names, rotation=45, ha="right")
    axes.set_ylabel(panel.ylabel)
    axes.legend(frameon=False, fontsize=9)


def _histogram(axes: Any, panel: Histogram) -> None:
    for number, (label, shares) in enumerate(panel.groups):
        axes.stairs(shares, panel.edges, label=label, fill=True, color=look(number)["color"], alpha=0.45)
    axes.set_xlabel(panel.xlabel)
    axes.set_ylabel("% of the labels")
    axes.legend(frameon=False, fontsize=9)


def shares_of(counts: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """Confusion counts [C, C] as percent of each row; NaN for a row without a count."""
    return tuple(
        tuple(100 * count / total if total else math.nan for count in row) for row in counts for total in [sum(row)]
    )
