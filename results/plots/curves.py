"""Curves by epoch: the test metric, and the share of wrong training labels that is memorised."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...protocols.errors import BadInput
from ..analysis.comparisons import REFERENCE
from ..analysis.grouping import Entry, blocks
from ..analysis.view import Expected, View, at_level, marked, view_of, words_of_marks
from ..records.record import Record, audit_of
from ..tables.parts import level_words, title_of
from .style import GREY, PALE, look, save_figure

IN_COLOUR = 8  # methods that can be told apart

_GAP = 0.06  # between two names, as a share of a panel's height

Banded = tuple[Sequence[float], Sequence[float]]  # means and standard deviations by epoch


@dataclass(frozen=True)
class Curve:
    """One method's curves, means over its complete (seed, draw) pairs.

    Attributes:
        label: the method, with "2/3" when pairs are missing.
        drawn: the label with the method's marks.
        test: the protocol's metric on test by epoch, in [0, 1].
        memorised: of the wrong training labels, the share predicted as given, by epoch; NaN where not audited.
        test_spread, memorised_spread: their standard deviations over pairs; NaN for a single pair.
    """

    label: str
    drawn: str
    test: tuple[float, ...]
    memorised: tuple[float, ...]
    test_spread: tuple[float, ...] = ()
    memorised_spread: tuple[float, ...] = ()


@dataclass(frozen=True)
class Curves:
    """What a figure shows.

    Attributes:
        missing: methods without a complete pair.
        unmemorised: a sentence that says why no curve has a memorised share; empty where one has.
    """

    title: str
    metric: str
    curves: tuple[Curve, ...]
    missing: tuple[str, ...] = ()
    unmemorised: str = ""


def epoch_curves(records: Sequence[Record], expected: Expected | None = None, *, level: float | None = None) -> Curves:
    """Curves of every method at one noise level.

    Args:
        records: of one comparability key.
        expected: methods in their order, folds and pairs there should be.
        level: needed when the records have several.

    Raises:
        BadInput: no records, several comparability keys, no complete pair at all, or a level that is missing or absent.
    """
    (block,) = blocks(records, what="figure")
    view = view_of(block, expected or Expected())
    if level is None and len(view.levels) == 1:
        level = view.levels[0]
    if level not in view.levels:
        known = ", ".join(f"{each:g}" for each in view.levels if each is not None)
        raise BadInput(f"a figure shows one noise level: choose one of {known or 'none, this protocol has no levels'}")
    found = view_curves(view, level)
    if not found.curves:
        raise BadInput("there is nothing to draw: no method has finished a (seed, draw) pair at this level")
    return found


def view_curves(view: View, level: float | None) -> Curves:
    """Curves of every method of a view at one of its noise levels; none may have a complete pair."""
    found = [(entry, _curve(view, entry, level)) for entry in view.rows]
    curves = tuple(curve for _, curve in found if curve is not None)
    what = f"{view.metric_words} by epoch" + ("" if level is None else f", {level_words(level)}")
    missing = tuple(entry.label for entry, curve in found if curve is None)
    unmemorised = "" if any(map(_is_audited, curves)) else _why_unmemorised(view, level)
    return Curves(title_of(view, what), view.metric_words, curves, missing, unmemorised)


def _is_audited(curve: Curve) -> bool:
    return any(map(math.isfinite, curve.memorised))


def _why_unmemorised(view: View, level: float | None) -> str:
    """Why no method of a level has a share of memorised labels."""
    done = [record for entry in view.rows for pair in view.paired(entry, level).complete for record in pair]
    audits = [audit_of(line) for record in done for line in record.epochs]
    if not done:
        return "No method has finished a (seed, draw) pair."
    if not any(audit.entries for audit in audits):
        return "Not audited: no reference labels."
    if not any(audit.wrong for audit in audits):
        return "No wrong training labels: there is nothing to memorise."
    return "Not audited: no method reports its predictions on training faces."


def _curve(view: View, entry: Entry, level: float | None) -> Curve | None:
    done = [record for record in at_level(entry, level) if record.done]
    summary = view.summary(entry, level, lambda record: record.status.epochs)
    if not summary.values:
        return None
    epochs = range(min(len(record.epochs) for record in done))
    label = f"{entry.label} ({summary.complete}/{summary.total})" if summary.status else entry.label
    share = partial(Record.audit_share, part="memorised", whole="predicted_wrong")
    test = [view.summary(entry, level, partial(Record.headline_at, epoch=epoch)) for epoch in epochs]
    memorised = [view.summary(entry, level, partial(share, epoch=epoch)) for epoch in epochs]
    means = (tuple(each.mean for each in found) for found in (test, memorised))
    spreads = (tuple(each.spread for each in found) for found in (test, memorised))
    return Curve(label, marked(view, entry, label), *means, *spreads)


def draw_curves(data: Curves, path: Path) -> None:
    """Draw curves of the test metric, and of what is memorised if anything is, into an SVG, PNG or PDF file.

    The methods of `in_colour` have a colour, a band of one standard deviation and a name at the end; the others are
    grey. The same data give the same bytes.

    Raises:
        BadInput: matplotlib is not installed, or the file's ending is not .svg, .png or .pdf.
    """
    save_figure(path, (8.5 if data.unmemorised else 14, 5.6), lambda figure: _fill(figure, data))


def in_colour(curves: Sequence[Curve]) -> tuple[int, ...]:
    """The places of the curves drawn in colour, at most eight, in the order given.

    Of more than eight, plain training and the highest at the last epoch.
    """
    if len(curves) <= IN_COLOUR:
        return tuple(range(len(curves)))
    by_end = sorted(range(len(curves)), key=lambda place: -curves[place].test[-1])
    plain = [place for place in by_end if curves[place].label.partition(" ")[0] == REFERENCE]
    return tuple(sorted([*plain, *(place for place in by_end if place not in plain)][:IN_COLOUR]))


def _fill(figure: Any, data: Curves) -> None:
    figure.suptitle(data.title, fontsize=12)
    curves, chosen = data.curves, in_colour(data.curves)
    panels = [(f"test {data.metric} (%)", [(each.test, each.test_spread) for each in curves])]
    if not data.unmemorised:
        memorised = [(each.memorised, each.memorised_spread) for each in curves]
        panels.append(("wrong training labels memorised (%)", memorised))
    (places,) = figure.subplots(1, len(panels), squeeze=False)
    for axes, (title, lines) in zip(places, panels, strict=True):
        _panel(axes, lines, data, chosen)
        axes.set_title(title, loc="left", fontsize=12)
    figure.supxlabel("\n".join(_remarks(data, chosen)), fontsize=9)


def _remarks(data: Curves, chosen: Sequence[int]) -> list[str]:
    """What stands below the panels."""
    others = [curve.drawn for place, curve in enumerate(data.curves) if place not in chosen]
    banded = any(map(math.isfinite, itertools.chain.from_iterable(data.curves[place].test_spread for place in chosen)))
    below = ["bands: one standard deviation over (seed, draw) pairs"] if banded else []
    below += textwrap.wrap(f"grey: {', '.join(others)}", 150) if others else []
    below += [f"without a finished pair: {', '.join(data.missing)}"] if data.missing else []
    below += [data.unmemorised] if data.unmemorised else []
    return below + [f"{words}." for words in words_of_marks(curve.drawn for curve in data.curves)]


def _panel(axes: Any, lines: Sequence[Banded], data: Curves, chosen: Sequence[int]) -> None:
    """One line for each method; those in colour with their band, labelled at their end."""
    axes.set_xlabel("epoch")
    axes.locator_params(axis="x", integer=True)
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    known = [place for place, (means, _) in enumerate(lines) if all(map(math.isfinite, means))]
    for place in known:
        if place not in chosen:
            _line(axes, lines[place], {"color": GREY, "alpha": 0.6, "linewidth": 0.9, "zorder": 1.5})
    ends: list[tuple[float, int]] = []
    for number, place in enumerate(chosen):
        if place in known:
            _line(axes, lines[place], {"linewidth": 2, **look(number)})
            _band(axes, lines[place], look(number)["color"])
            ends.append((100 * lines[place][0][-1], number))
    if not known:
        axes.text(0.5, 0.5, "no method was audited at every epoch", ha="center", transform=axes.transAxes)
        return
    low, high = axes.get_ylim()
    last = max(len(means) for means, _ in lines)
    heights = spread_out([end for end, _ in ends], _GAP * (high - low), low, high) if ends else []
    for (end, number), height in zip(ends, heights, strict=True):
        _name(axes, data.curves[chosen[number]].drawn, (last, end), (height - low) / (high - low), look(number))
    axes.set_ylim(low, high)


def _line(axes: Any, line: Banded, style: dict[str, Any]) -> None:
    means = [100 * value for value in line[0]]
    axes.plot(range(1, len(means) + 1), means, marker="o" if len(means) == 1 else None, **style)


def _band(axes: Any, line: Banded, colour: str) -> None:
    """One standard deviation to either side, where there are several pairs."""
    means, spreads = line
    if spreads and all(map(math.isfinite, spreads)):
        low = [100 * (mean - each) for mean, each in zip(means, spreads, strict=True)]
        high = [100 * (mean + each) for mean, each in zip(means, spreads, strict=True)]
        axes.fill_between(range(1, len(means) + 1), low, high, color=colour, alpha=0.1, linewidth=0)


def _name(axes: Any, label: str, end: tuple[float, float], height: float, look: dict[str, str]) -> None:
    """A label at the right of the panel, led to from the line's end, with a sample of the line."""
    thin = {"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2}
    start = (1.05, height)
    axes.annotate("", xy=end, xytext=start, textcoords="axes fraction", arrowprops=thin, annotation_clip=False)
    axes.plot((1.05, 1.10), (height, height), transform=axes.transAxes, clip_on=False, linewidth=2, **look)
    axes.text(1.115, height, label, transform=axes.transAxes, va="center", color=look["color"])


def spread_out(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places for labels: near their values, in their order, at least `gap` apart, within [low, high] if they fit."""
    from sklearn.isotonic import isotonic_regression

    order = sorted(range(len(values)), key=lambda i: values[i])
    ceiling = max(low, high - gap * (len(values) - 1))
    shifted = [values[i] - gap * rank for rank, i in enumerate(order)]
    places = [0.0] * len(values)
    for rank, place in enumerate(isotonic_regression(shifted, y_min=low, y_max=ceiling)):
        places[order[rank]] = float(place) + gap * rank
    return places
