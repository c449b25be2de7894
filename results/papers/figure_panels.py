"""From records to the panels of a paper's figure. Pure functions; predictions are read by the caller."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...protocols.errors import BadInput
from ..analysis.grouping import Entry, Summary
from ..analysis.view import View, at_level, marked, words_of_marks
from ..plots.panels import Bars, Histogram, Line, Lines, Matrix, Panel, Panels, shares_of
from ..records.record import Record
from .figure_records import FigurePlace, lacking, level_shown, pairs_shown, records_about, view_for
from .figures import (
    PROTOCOL_RECIPE,
    PaperFigure,
    Point,
    asked,
    commands,
    figure_title,
    find_figure,
    pairs_remark,
    run_options,
    with_methods,
)
from .notes import options_of_place

Predictions = Callable[[Record], Mapping[str, NDArray[Any]]]
Number = Callable[[Record], float | None]

BINS = 20

_CORRECTIONS = {
    "relabelled, of all labels": ("changed", "targets"),
    "relabelled correctly, of the relabelled": ("changed_right", "changed"),
    "relabelled wrongly, of the correct labels": ("damaged", "targets_right"),
}
_CONFIDENCE = {"high-confidence group": "confidence_high", "low-confidence group": "confidence_low"}


class Drawn(NamedTuple):
    """A figure, and the commands that run what it lacks (none when it is whole)."""

    panels: Panels
    missing: tuple[str, ...]


def paper_figure(
    records: Sequence[Record],
    name: str,
    predictions: Predictions,
    *,
    protocol: str = "",
    level: float | None = None,
    recipe: str = PROTOCOL_RECIPE,
    runs: str = "",
    methods: Collection[str] = (),
) -> Drawn:
    """A paper's figure as data. Methods that were not run are left out, and named with the command that runs them.

    Args:
        records: any; those the figure is not about, and runs under another recipe, are left out.
        name: such as "cocuring-fig5".
        predictions: reads the arrays of a record's predictions; only histograms ask for them.
        protocol: draw it from this protocol, which may be another than the paper's; the title says so.
        level: another noise level than the paper's.
        recipe: the protocol's, or "native" for the methods' own.
        runs: the folder of the records, for the commands; empty: the default folder.
        methods: these of the figure's methods only; empty: all.

    Raises:
        BadInput: no such figure; no finished pair for any part of it, with the commands to run; or records of several
            settings, naming the fields that differ.
    """
    figure = with_methods(find_figure(name), methods) if methods else find_figure(name)
    if protocol and len({point.protocol for point in figure.points}) > 1:
        raise BadInput(f"{name} compares protocols, so one protocol cannot replace them: leave --protocol out")
    chosen = records_about(records, figure, protocol, recipe)
    views = {each: view_for(chosen, each, figure) for each in dict.fromkeys(record.protocol for record in chosen)}
    shown = figure.level if level is None else level
    names = [each for each in dict.fromkeys(each for each, _ in asked(figure, protocol)) if each in views]
    found = [FigurePlace(each, views[each], level_shown(views[each], shown, figure)) for each in names]
    places = [place for place in found if figure.kind == "levels" or place.level in place.view.levels]
    panels = _BUILDERS[figure.kind](figure, places, predictions)
    absent = lacking(figure, places, protocol)
    setting = chosen[0].identity.setting if chosen else None
    options = run_options(shown, setting) + options_of_place(chosen, runs)
    to_run = commands(absent, options)
    if not panels or setting is None:
        raise BadInput(
            f"{name}: there are no finished trials to draw it from; run first: {'; '.join(to_run)}"
            + ("" if chosen else " (without the data: --synthetic)")
        )
    title = figure_title(figure, setting, protocol, level)
    return Drawn(Panels(title, panels, tuple(_remarks(figure, panels, chosen, places, absent))), to_run)


def _remarks(
    figure: PaperFigure,
    panels: Sequence[Panel],
    chosen: Sequence[Record],
    places: Sequence[FigurePlace],
    absent: Sequence[tuple[str, str]],
) -> list[str]:
    """The number of pairs, remarks and missing parts of a figure; a sentence each."""
    remarks = [pairs_remark(figure.kind, pairs_shown(figure, places), has_folds=any(r.fold for r in chosen))]
    remarks += [figure.remark] if figure.remark else []
    if chosen[0].identity.recipe != PROTOCOL_RECIPE and len({record.method for record in chosen}) > 1:
        remarks.append("Each method uses its own paper's recipe: methods are not comparable with each other.")
    labels = [line.label for panel in panels if isinstance(panel, Lines) for line in panel.lines]
    remarks += [f"{words}." for words in words_of_marks([*labels, *(panel.title for panel in panels)])]
    return remarks + (
        [f"Not finished: {', '.join(f'{method} on {each}' for each, method in absent)}."] if absent else []
    )


def _named(figure: PaperFigure, view: View, entry: Entry) -> str:
    """The paper's name of a method, with its version where there are several, and its marks."""
    names = dict(figure.names)
    return marked(view, entry, f"{names.get(entry.method, entry.method)}{entry.label.removeprefix(entry.method)}")


# --- numbers


def _line(
    figure: PaperFigure,
    place: FigurePlace,
    entry: Entry,
    numbers: Sequence[Number],
    label: str = "",
    scale: float = 100.0,
) -> Line | None:
    """A number by epoch, its mean and standard deviation over finished pairs; None where there is none."""
    found = [place.view.summary(entry, place.level, number) for number in numbers]
    if not found or not any(summary.values for summary in found):
        return None
    mean = tuple(scale * each.mean for each in found)
    deviation = tuple(scale * each.spread for each in found)
    status = f" ({found[0].complete}/{found[0].total})" if found[0].status else ""
    name = label or _named(figure, place.view, entry)
    return Line(f"{name}{status}", tuple(range(1, len(numbers) + 1)), mean, deviation)


def _epochs(place: FigurePlace, entry: Entry) -> int:
    return min((len(r.epochs) for r in at_level(entry, place.level) if r.done), default=0)


def _log(record: Record, name: str, epoch: int) -> float | None:
    return record.epochs[epoch].logs.get(name)


# --- kinds


def _confusions(figure: PaperFigure, places: Sequence[FigurePlace], predictions: Predictions) -> tuple[Panel, ...]:
    panels = []
    for place in places:
        for entry in place.view.rows:
            done = _finished(place, entry)
            if done:
                counts = _counts(done).tolist()
                name = marked(place.view, entry, entry.label)
                title = f"{name}, {place.words} ({len(done)} trial{'s' * (len(done) > 1)})"
                panels.append(Matrix(title, place.view.names, shares_of(counts)))
    return tuple(panels)


def _finished(place: FigurePlace, entry: Entry) -> list[Record]:
    """The trials of the pairs that have all their folds."""
    mine = [r for r in at_level(entry, place.level) if r.done and r.fold in place.view.folds]
    folds = {pair: {r.fold for r in mine if r.pair == pair} for pair in {r.pair for r in mine}}
    return [r for r in mine if folds[r.pair] == set(place.view.folds)]


def _counts(records: Sequence[Record]) -> NDArray[np.int64]:
    """The confusion counts of all trials together, after the last epoch."""
    counts = [record.epochs[-1].test.confusion for record in records]
    total: NDArray[np.int64] = np.array(counts).sum(axis=0)
    return total


def _by_epoch(figure: PaperFigure, places: Sequence[FigurePlace], predictions: Predictions) -> tuple[Panel, ...]:
    panels = []
    for place in places:
        numbers = [[partial(Record.headline_at, epoch=n) for n in range(_epochs(place, e))] for e in place.view.rows]
        lines = [_line(figure, place, *each) for each in zip(place.view.rows, numbers, strict=True)]
        if found := tuple(line for line in lines if line is not None):
            panels.append(Lines(place.words, "epoch", f"test {place.view.metric_words} (%)", found))
    return tuple(panels)


def _by_level(figure: PaperFigure, places: Sequence[FigurePlace], predictions: Predictions) -> tuple[Panel, ...]:
    panels = []
    for place in places:
        lines = []
        for entry in place.view.rows:
            each = {level: place.view.summary(entry, level, Record.headline) for level in place.view.levels}
            there = {level: summary for level, summary in each.items() if summary.values and level is not None}
            if there:
                means = tuple(100 * summary.mean for summary in there.values())
                deviations = tuple(100 * summary.spread for summary in there.values())
                lacking = " (pairs missing)" if any(summary.status for summary in there.values()) else ""
                name = f"{_named(figure, place.view, entry)}{lacking}"
                lines.append(Line(name, tuple(map(float, there)), means, deviations))
        if lines:
            panels.append(Lines(place.protocol, "noise", f"{place.view.metric_words} (%)", tuple(lines)))
    return tuple(panels)


def _sweep(figure: PaperFigure, places: Sequence[FigurePlace], predictions: Predictions) -> tuple[Panel, ...]:
    if figure.axis == "encoder" and places:
        encoders = {place.view.identity.settings.recipe.encoder for place in places}
        if len(places) > 1 and len(encoders) == 1:
            raise BadInput(f"{figure.id}: this profile uses one encoder for all protocols; run it with --profile paper")
    found = {
        at: summary
        for at, point in enumerate(figure.points)
        if (summary := _at_point(figure, point, places)) is not None
    }
    if not found:
        return ()
    means = tuple(100 * summary.mean for summary in found.values())
    name = "measured (pairs missing)" if any(summary.status for summary in found.values()) else "measured"
    deviations = tuple(100 * summary.spread for summary in found.values())
    lines = [Line(name, tuple(map(float, found)), means, deviations)]
    printed = {at: point.printed for at, point in enumerate(figure.points) if point.printed is not None}
    if printed:
        lines.append(Line("reported", tuple(map(float, printed)), tuple(printed.values()), marked=True))
    names = tuple(point.name for point in figure.points)
    metric = places[0].view.metric_words
    several = len({point.protocol for point in figure.points}) > 1
    title = places[0].protocol.partition(":")[0] if several else places[0].words
    return (Lines(title, figure.axis, f"{metric} (%)", tuple(lines), names),)


def _at_point(figure: PaperFigure, point: Point, places: Sequence[FigurePlace]) -> Summary | None:
    """A point's number; a sweep within one protocol may be drawn from another protocol."""
    within = len({each.protocol for each in figure.points}) == 1
    for place in places:
        for entry in place.view.rows:
            if entry.method == point.method and (within or place.protocol == point.protocol):
                summary = place.view.summary(entry, place.level, Record.headline)
                if summary.values:
                    return summary
    return None


def _confidence(figure: PaperFigure, places: Sequence[FigurePlace], predictions: Predictions) -> tuple[Panel, ...]:
    numbers = {words: partial(_log, name=name) for words, name in _CONFIDENCE.items()}
    return _entry_by_epoch(figure, places, numbers, "mean confidence", 1.0)


def _corrections(figure: PaperFigure, places: Sequence[FigurePlace], predictions: Predictions) -> tuple[Panel, ...]:
    shares = _CORRECTIONS.items()
    numbers = {words: partial(Record.audit_share, part=part, whole=whole) for words, (part, whole) in shares}
    return _entry_by_epoch(figure, places, numbers, "% of training labels", 100.0)


def _entry_by_epoch(
    figure: PaperFigure,
    places: Sequence[FigurePlace],
    numbers: Mapping[str, Callable[..., float | None]],
    ylabel: str,
    scale: float,
) -> tuple[Panel, ...]:
    """A panel for each method, a line for each of these numbers of an epoch."""
    panels = []
    for place, entry in [(each, row) for each in places for row in each.view.rows]:
        epochs = range(_epochs(place, entry))
        by_epoch = {words: [partial(number, epoch=n) for n in epochs] for words, number in numbers.items()}
        lines = [_line(figure, place, entry, each, words, scale) for words, each in by_epoch.items()]
        if found := tuple(line for line in lines if line is not None):
            panels.append(Lines(f"{place.words}: {marked(place.view, entry, entry.label)}", "epoch", ylabel, found))
    return tuple(panels)


def _rates(figure: PaperFigure, places: Sequence[FigurePlace], predictions: Predictions) -> tuple[Panel, ...]:
    """Shares of positives among known test labels, all folds together: every annotated frame tests once."""
    found: dict[str, dict[str, float]] = {}
    for place in places:
        for entry in place.view.rows:
            done = _finished(place, entry)
            once = [r for r in done if r.pair == done[0].pair]
            if once and place.protocol not in found:
                rates = [
                    100 * float(tp + fn) / total if (total := tp + fp + fn + tn) else math.nan
                    for tp, fp, fn, tn in _counts(once)
                ]
                found[place.protocol] = dict(zip(place.view.names, rates, strict=True))
    if not found:
        return ()
    names = sorted({name for rates in found.values() for name in rates}, key=_au_number)
    groups = tuple((label, tuple(rates.get(name, math.nan) for name in names)) for label, rates in found.items())
    return (Bars("share of frames with the AU", "positive labels (%)", tuple(names), groups),)


def _au_number(name: str) -> tuple[int, str]:
    digits = name.removeprefix("AU")
    return (int(digits) if digits.isdecimal() else 0, name)


def _histograms(figure: PaperFigure, places: Sequence[FigurePlace], predictions: Predictions) -> tuple[Panel, ...]:
    panels = []
    edges = np.linspace(0.0, 1.0, BINS + 1)
    for place in places:
        for entry in place.view.rows:
            done = _finished(place, entry)
            if not done or figure.au not in place.view.names:
                continue
            at = place.view.names.index(figure.au)
            arrays = [predictions(record) for record in done]
            shown = np.concatenate([each["last"][:, at] for each in arrays])
            labels = np.concatenate([each["labels"][:, at] for each in arrays])
            parts = (("positive labels", labels > 0), ("negative labels", labels < 0))
            groups = tuple((words, _percent(np.histogram(shown[part], edges)[0])) for words, part in parts)
            title = f"{_named(figure, place.view, entry)}, {figure.au}"
            panels.append(Histogram(title, "predicted probability", tuple(edges.tolist()), groups))
    return tuple(panels)


def _percent(counts: NDArray[Any]) -> tuple[float, ...]:
    return tuple((100 * counts / max(1, counts.sum())).tolist())


_BUILDERS: dict[str, Callable[[PaperFigure, Sequence[FigurePlace], Predictions], tuple[Panel, ...]]] = {
    "confusion": _confusions,
    "epochs": _by_epoch,
    "levels": _by_level,
    "sweep": _sweep,
    "confidence": _confidence,
    "corrections": _corrections,
    "rates": _rates,
    "histograms": _histograms,
}
