"""`figure`: draw a paper's figure, or a protocol's curves or ranks, as SVG and PNG."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...protocols.errors import BadInput, unknown
from .record_options import RECIPE, as_options, filtered, record_filters, records_of_protocol, unless_default

if TYPE_CHECKING:
    from ...results.records.record import Record

Draw = Callable[[Path], None]


@click.command()
@click.argument("name", metavar="ID|PROTOCOL")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE",
    help="File to write, .svg or .png. Default: both, NAME.svg and NAME.png.",
)  # fmt: skip
@click.option(
    "--noise", type=float, metavar="RATE",
    help="Draw this noise level only. Default: all of a protocol's, or that of the paper's figure.",
)  # fmt: skip
@click.option("--protocol", metavar="NAME", help="Draw a paper's figure from the trials of another protocol.")
@click.option("--ranks", is_flag=True, help="Draw a protocol's critical-difference diagram instead of its curves.")
@record_filters
@RECIPE
def figure(
    name: str,
    out: Path | None,
    noise: float | None,
    protocol: str | None,
    ranks: bool,
    runs: Path,
    profile: str | None,
    synthetic: bool | None,
    recipe: str | None,
) -> None:
    """Draw a paper's figure, or a protocol's results.

    A protocol's are the test metric and the memorised share of wrong labels by epoch. Papers' figures:

    \b
    cocuring-fig2 -fig3 -fig4 -fig5 -fig6    confusion, accuracy by epoch, β
    ulcag-fig5 -fig6 -fig7                   confidence, corrections, confusion
    rhls-fig2 -fig3 -fig4                    AU rates, β, histograms
    recot-noisy-set -noise-model -encoder -views    the appendix's sweeps
    """
    from ...protocols import catalog
    from ...results.papers.figures import DRAWINGS, FIGURES, find_figure
    from ...results.plots.style import check_name

    files = [out] if out else [Path(f"{name.replace(':', '.')}.{kind}") for kind in ("svg", "png")]
    for file in files:
        check_name(file)
    if name in catalog.PROTOCOLS:
        if protocol:
            raise BadInput(f"--protocol is for a paper's figure; {name} is a protocol: leave it out")
        filters = as_options(profile, synthetic, recipe)
        records = records_of_protocol(filtered(runs, profile, synthetic, recipe), name, runs, filters)
        draw = _of_protocol(records, name, noise, ranks=ranks)
    elif name in FIGURES or name in DRAWINGS:
        if ranks:
            raise BadInput(f"--ranks is for a protocol's figure; {name} is a paper's: leave it out")
        find_figure(name)  # refuses a figure without measurements before records are read
        if protocol:
            catalog.find(protocol)
        draw = _of_paper(filtered(runs, profile, synthetic), name, noise, protocol or "", runs, recipe or "protocol")
    else:
        raise unknown("figure or protocol", name, [*FIGURES, *DRAWINGS, *catalog.PROTOCOLS])
    for file in files:
        draw(file)
        click.echo(f"wrote {file}")


def _of_protocol(records: list[Record], name: str, noise: float | None, *, ranks: bool) -> Draw:
    from ...protocols import catalog
    from ...results.analysis.view import Expected
    from ...results.plots.curves import draw_curves, epoch_curves
    from ...results.plots.rank_diagram import draw_ranking, ranking_of

    expected = Expected(folds=catalog.find(name).folds)
    if ranks:
        title, ranking = ranking_of(records, expected, level=noise)
        return lambda file: draw_ranking(title, ranking, file)
    curves = epoch_curves(records, expected, level=noise)
    return lambda file: draw_curves(curves, file)


def _of_paper(records: list[Record], name: str, noise: float | None, protocol: str, runs: Path, recipe: str) -> Draw:
    from ...results.papers.figure_panels import paper_figure
    from ...results.plots.panels import draw_panels
    from ...results.records.reference_leaderboard import read_predictions

    predictions = partial(read_predictions, runs=runs)
    given = unless_default(runs)
    drawn = paper_figure(records, name, predictions, protocol=protocol, level=noise, recipe=recipe, runs=given)
    for command in drawn.missing:
        click.echo(f"to fill what is missing: {command}", err=True)
    return lambda file: draw_panels(drawn.panels, file)
