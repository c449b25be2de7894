"""`figure`: draw a paper's figure, or a protocol's curves or ranks, as SVG, PNG or PDF."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...protocols.activity import doing
from ...protocols.errors import BadInput
from .options.records import (
    LABELS,
    RECIPE,
    Chosen,
    apart,
    labels_of,
    named_methods,
    named_protocol,
    of_methods,
    of_one_profile,
    record_filters,
    records_of_protocol,
)

if TYPE_CHECKING:
    from ...protocols.base import Protocol

Draw = Callable[[Path], None]


@click.command()
@click.argument("name", metavar="ID|PROTOCOL")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE",
    help="File to write, .svg, .png or .pdf. Default: NAME.svg and NAME.png.",
)  # fmt: skip
@click.option(
    "--noise", type=float, metavar="RATE",
    help="Draw this noise level only. Default: all of a protocol's, or that of the paper's figure.",
)  # fmt: skip
@click.option("--protocol", metavar="NAME", help="Draw a paper's figure from the trials of another protocol.")
@click.option("--ranks", is_flag=True, help="Draw a protocol's critical-difference diagram instead of its curves.")
@click.option(
    "--agreement", is_flag=True,
    help="Draw whether synthetic and real noise rank the methods alike, instead of a protocol's curves.",
)  # fmt: skip
@record_filters
@RECIPE
@LABELS
def figure(
    name: str,
    out: Path | None,
    noise: float | None,
    protocol: str | None,
    ranks: bool,
    agreement: bool,
    runs: tuple[Path, ...],
    with_reference: bool,
    methods: tuple[str, ...],
    profile: str | None,
    synthetic: bool | None,
    recipe: str | None,
    labels: tuple[str, ...],
) -> None:
    """Draw a paper's figure, or a protocol's results.

    A protocol's are the test metric and the memorised share of wrong labels by epoch. Papers' figures:

    \b
    cocuring-fig2 -fig3 -fig4 -fig5 -fig6    confusion, accuracy by epoch, β
    ulcag-fig5 -fig6 -fig7                   confidence, corrections, confusion
    rhls-fig2 -fig3 -fig4                    AU rates, β, histograms
    recot-noisy-set -noise-model -encoder -views    the appendix's sweeps

    \b
    fernoise-bench figure fer2013-real --method cocuring,elr --out curves.svg
    fernoise-bench figure ferplus-sym --noise 0.4 --ranks
    fernoise-bench figure ferplus-sym --agreement --out agreement.svg
    fernoise-bench figure cocuring-fig3 --protocol ferplus-sym
    """
    from ...results.papers.figures import DRAWINGS, FIGURES, find_figure, methods_of
    from ...results.plots.style import check_name

    chosen = Chosen(runs, with_reference, profile, synthetic)
    name, known = named_protocol(name, chosen, [*FIGURES, *DRAWINGS], "figure or protocol")
    files = [out] if out else [Path(f"{name.replace(':', '.')}.{kind}") for kind in ("svg", "png")]
    for file in files:
        check_name(file)
    if name not in FIGURES and name not in DRAWINGS:
        if protocol:
            raise BadInput(f"--protocol is for a paper's figure; {name} is a protocol: leave it out")
        kind = _kind(ranks=ranks, agreement=agreement)
        draw = _of_protocol(replace(chosen, recipe=recipe), name, known, noise, methods, labels, kind=kind)
    else:
        if wrong := "--ranks" if ranks else "--agreement" if agreement else "--label" if labels else "":
            raise BadInput(f"{wrong} is for a protocol's figure; {name} is a paper's: leave it out")
        shown = named_methods(methods, methods_of(find_figure(name)), f"those of {name}")
        draw = _of_paper(chosen, name, noise, shown, protocol or "", recipe or "protocol")
    _write(draw, files)


def _kind(*, ranks: bool, agreement: bool) -> str:
    """What to draw of a protocol."""
    if ranks and agreement:
        raise BadInput("--ranks and --agreement are two figures: ask for one")
    return "ranks" if ranks else "agreement" if agreement else "curves"


def _write(draw: Draw, files: Sequence[Path]) -> None:
    for file in files:
        with doing(f"drawing {file.name}"):
            draw(file)
        click.echo(f"wrote {file}")


def _of_protocol(
    chosen: Chosen,
    name: str,
    protocol: Protocol | None,
    noise: float | None,
    methods: Sequence[str],
    labels: Sequence[str],
    *,
    kind: str,
) -> Draw:
    from ...results.analysis.view import Expected, Rows
    from ...results.plots.agreement import agreements_of, draw_agreements
    from ...results.plots.curves import draw_curves, epoch_curves
    from ...results.plots.rank_diagram import draw_ranking, ranking_of

    if noise is not None and protocol is not None and not 0 <= noise < 1:
        protocol.choose_levels((noise,))  # refuses it
    where = f"the trials of {name}"
    found = chosen.told()
    everything = found.records
    records, _ = of_methods(records_of_protocol(everything, name, chosen, protocol), methods, where)
    records = of_one_profile(apart(records, "are left out of the figure").together, found)
    names = labels_of(labels, {record.method for record in records}, where)
    expected = Expected(folds=protocol.folds if protocol else (), rows=Rows(names))
    if kind == "agreement":
        if noise is not None:
            raise BadInput("--noise: an agreement is between all noise levels; leave it out")
        title, agreements = agreements_of(records, everything, expected)
        return lambda file: draw_agreements(title, agreements, file)
    if kind == "ranks":
        title, ranking = ranking_of(records, expected, level=noise)
        return lambda file: draw_ranking(title, ranking, file)
    curves = epoch_curves(records, expected, level=noise)
    return lambda file: draw_curves(curves, file)


def _of_paper(
    chosen: Chosen, name: str, noise: float | None, methods: Sequence[str], protocol: str, recipe: str
) -> Draw:
    from ...protocols import catalog
    from ...results.papers.figure_panels import paper_figure
    from ...results.papers.figure_records import records_for
    from ...results.papers.figures import find_figure
    from ...results.plots.panels import draw_panels
    from ...results.records.reference_leaderboard import read_predictions

    if protocol:
        catalog.find(protocol)
    predictions = partial(read_predictions, runs=chosen.runs)
    found = chosen.told()
    about = records_for(found.records, find_figure(name), protocol, recipe)
    records = of_one_profile(apart(about, "are left out of the figure").together, found)
    drawn = paper_figure(
        records, name, predictions, protocol=protocol, level=noise, recipe=recipe, runs=chosen.home, methods=methods
    )
    for command in drawn.missing:
        click.echo(f"to fill what is missing: {command}", err=True)
    return lambda file: draw_panels(drawn.panels, file)
