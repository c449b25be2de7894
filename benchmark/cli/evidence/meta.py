"""`meta`: every method against every other over all protocols, as tables, JSON and a figure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ....protocols.errors import BadInput
from ..options.common import format_option, print_json, rivals_option
from ..options.records import LABELS, RECIPE, Chosen, labels_of, named_methods, of_methods, record_filters
from ..options.terminal import print_tables

if TYPE_CHECKING:
    from ....results.analysis.meta import Meta
    from ....results.tables.cell import Table


@click.command()
@record_filters
@RECIPE
@LABELS
@rivals_option("Print the difference of every other method from this one on each protocol, and the evidence of all.")
@click.option("--matrix", is_flag=True, help="Print every method against every other.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Draw the matrix too, as .svg, .png or .pdf."
)
@format_option("github", "latex", "csv", "json", "html")
@click.option("--json", "as_json", is_flag=True, help="Print all pairs of methods, protocol by protocol, as JSON.")
def meta(
    runs: tuple[Path, ...],
    with_reference: bool,
    methods: tuple[str, ...],
    profile: str | None,
    synthetic: bool | None,
    recipe: str | None,
    labels: tuple[str, ...],
    against: tuple[str, ...],
    matrix: bool,
    out: Path | None,
    form: str,
    as_json: bool,
) -> None:
    """Compare the methods over all protocols.

    Of each two methods: the mean difference over the protocols that both have, and the evidence combined. Settings
    (real or generated faces, profiles) and metrics are never mixed.

    \b
    fernoise-bench meta --real
    fernoise-bench meta --real --against elr
    fernoise-bench meta --real --matrix --out matrix.svg
    """
    from ....results.plots.meta_matrix import draw_metas
    from ....results.plots.style import check_name
    from ....results.tables.meta_tables import meta_json

    if out:
        check_name(out)
    chosen = Chosen(runs, with_reference, profile, synthetic, recipe)
    found, rivals = _compared(chosen, methods, labels, against)
    if out:
        draw_metas(found, out)
        click.echo(f"wrote {out}", err=True)
    if as_json:
        print_json([meta_json(each) for each in found])
    else:
        print_tables([table for each in found for table in _tables(each, rivals, matrix)], form)


def _compared(
    chosen: Chosen, methods: Sequence[str], labels: Sequence[str], against: Sequence[str]
) -> tuple[Sequence[Meta], Sequence[str]]:
    """The comparisons of the chosen records, those with a rival where one is named, and the rivals' names."""
    from ....results.analysis.meta import metas
    from ....results.analysis.view import Rows

    every, where = chosen.records(), "these trials"
    if not every:
        fit = f" that fit{chosen.filters}" if chosen.filters else ""
        raise BadInput(
            f"no trials in {', '.join(map(str, chosen.runs))}{fit}; name the folder of a run with --runs DIR"
        )
    known = {record.method for record in every}
    rivals = named_methods(against, known, where)
    records, names = of_methods(every, [*methods, *rivals] if methods else [], where)
    if len(names := names or tuple(sorted(known))) < 2:
        raise BadInput(f"{names[0]} alone is nothing to compare: {_another(names[0], known)}")
    found = metas(records, Rows(labels_of(labels, names, where)))
    found = tuple(each for each in found if not rivals or set(rivals).intersection(each.methods))
    if not found:
        whose = f"{' or '.join(against)} and another method" if against else "two methods"
        raise BadInput(
            f"there is nothing to compare: no protocol has two (seed, draw) pairs that {whose} share; run them with "
            f"--seeds 2 or more{f', or leave out{chosen.filters}' if chosen.filters else ''}"
        )
    told = {name for each in found for name in (*each.methods, *each.alone)}
    if missing := [name for name in names if name not in told] if methods or rivals else []:
        click.echo(f"left out, with trials of other settings than the others: {', '.join(missing)}", err=True)
    return found, rivals


def _another(name: str, known: Collection[str]) -> str:
    """How to have a second method."""
    if others := sorted(set(known) - {name}):
        return f"name another too, as in --method {name},{others[0]}, or leave --method out"
    return "it is the only method with trials here; run another, or add --with-reference"


def _tables(found: Meta, rivals: Sequence[str], matrix: bool) -> Sequence[Table]:
    """The tables asked for; the summary where none is named."""
    from ....results.tables.meta_tables import matrix_table, rival_table, summary_table

    asked = [matrix_table(found)] if matrix else []
    asked += [rival_table(found, rival) for rival in rivals if rival in found.methods]
    return asked or [summary_table(found)]
