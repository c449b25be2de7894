"""`status` and `table`: what the disk holds."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...protocols.errors import BadInput, unknown
from .record_options import PROFILE, RECIPE, RUNS, SOURCE, _not_applicable, filtered, filters_of, named, of_protocol

if TYPE_CHECKING:
    from ...results.records.record import Record
    from ...results.tables.cell import Table


@click.command()
@RUNS
@click.option("--json", "as_json", is_flag=True)
def status(runs: Path, as_json: bool) -> None:
    """Trials on disk: done, running, interrupted, failed with the reason."""
    from ...results.records.record import load_records

    records, damaged = load_records(runs)
    lines = [_status_line(key, group) for key, group in _grouped(records)]
    problems = [
        {"trial": record.folder, "state": record.state, "reason": record.status.reason}
        for record in records
        if record.state in ("failed", "diverged")
    ]
    if as_json:
        click.echo(json.dumps({"methods": lines, "problems": problems, "damaged": damaged}, indent=1))
        return
    if not records and not damaged:
        click.echo(f"no trials in {runs}")
        return
    from tabulate import tabulate

    from ...results.tables.render import markdown

    rows = [{name: markdown(str(value)) for name, value in line.items()} for line in lines]
    sides = ["left" if isinstance(value, str) else "right" for line in lines[:1] for value in line.values()]
    click.echo(tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True, colalign=sides))
    for problem in problems:
        click.echo(f"{problem['state']}: {problem['trial']}: {problem['reason']}")
    for message in damaged:
        click.echo(f"damaged: {message}")


@click.command()
@click.argument("name", metavar="ID|PROTOCOL")
@RUNS
@PROFILE
@SOURCE
@RECIPE
@click.option(
    "--format",
    "form",
    type=click.Choice(["github", "latex", "csv", "json", "html"]),
    default="github",
    show_default=True,
)
@click.option(
    "--rule", type=click.Choice(["last", "last_five", "validation", "oracle"]), default="last", show_default=True,
    help="Which epoch counts; the oracle is the best on the test set.",
)  # fmt: skip
@click.option("--long", is_flag=True, help="One row a method: all selection rules, compute, oracle knowledge.")
@click.option(
    "--ranks", is_flag=True,
    help="Mean ranks, who may be first, groups, planned comparisons, agreement with other noise.",
)  # fmt: skip
@click.option("--audit", is_flag=True, help="What each method did with wrong labels, and its cost.")
@click.option(
    "--check", is_flag=True, help="A paper's table as printed, each row's mean beside the printed one, and its flags."
)
@click.option("--allow-mixed", is_flag=True, help="A block for each setting where the records have several.")
def table(
    name: str,
    runs: Path,
    profile: str | None,
    synthetic: bool | None,
    recipe: str | None,
    form: str,
    rule: str,
    long: bool,
    ranks: bool,
    audit: bool,
    check: bool,
    allow_mixed: bool,
) -> None:
    """A paper's table (recot-2): reported, measured, difference; or a protocol's: methods by noise levels or by AUs."""
    from ...protocols import catalog
    from ...results.papers.reported import TABLE_IDS
    from ...results.records.cache import uncollected

    if name not in TABLE_IDS and name not in catalog.PROTOCOLS:
        raise unknown("table or protocol", name, [*TABLE_IDS, *catalog.PROTOCOLS])
    paper = name in TABLE_IDS
    given = {"long": long, "ranks": ranks, "audit": audit, "check": check}
    asked = [detail for detail, wanted in given.items() if wanted]
    for detail in asked:
        if paper != (detail == "check"):
            of, others = ("a protocol's table", "a paper's") if paper else ("a paper's table", "a protocol")
            raise BadInput(f"--{detail} is for {of}; {name} is {others}: leave it out")
    if "check" in asked:
        _check(name)
        return
    with uncollected():
        every = filtered(runs, profile, synthetic, recipe)
        if paper:
            from ...results.papers.tables import paper_table

            found: Sequence[Table] = paper_table(every, name, rule=rule, allow_mixed=allow_mixed, runs=named(runs))
        else:
            filters = filters_of(profile, synthetic, recipe)
            found = [
                each
                for detail in asked or [""]
                for each in _of_protocol(every, name, runs, filters, detail, rule, allow_mixed=allow_mixed)
            ]
        from ...results.tables.render import render

        click.echo(render(found, form), nl=False)


def _check(name: str) -> None:
    """Prints a paper's table back; exit code 1 where it contradicts itself and is not flagged."""
    from ...results.papers.reported_check import check, checked_text

    (checked,) = check((name,))
    click.echo(checked_text(checked), nl=False)
    if checked.problems:
        sys.exit(1)


def _of_protocol(
    every: Sequence[Record], name: str, runs: Path, filters: str, detail: str, rule: str, *, allow_mixed: bool
) -> Sequence[Table]:
    """The tables of a protocol; other protocols' records enter the correlations alone."""
    from ...protocols import catalog
    from ...results.analysis.view import Expected
    from ...results.tables.audit_tables import audit_page
    from ...results.tables.protocol_tables import long_table, protocol_table
    from ...results.tables.rank_tables import rank_tables

    records = of_protocol(every, name, runs, filters)
    expected = Expected(folds=catalog.find(name).folds, not_applicable=_not_applicable(name, records))
    if detail == "long":
        return long_table(records, expected, allow_mixed=allow_mixed)
    if detail == "audit":
        return audit_page(records, expected, allow_mixed=allow_mixed)
    if detail == "ranks":
        return rank_tables(records, expected, others=every, rule=rule, allow_mixed=allow_mixed)
    return protocol_table(records, expected, rule=rule, allow_mixed=allow_mixed)


def _grouped(records: Sequence[Record]) -> list[tuple[tuple[str, ...], list[Record]]]:
    from ...results.analysis.grouping import grouped

    def key(record: Record) -> tuple[str, ...]:
        identity = record.identity
        return identity.protocol.key, identity.profile, identity.source, record.method

    return sorted(grouped(records, key).items())


def _status_line(key: tuple[str, ...], group: Sequence[Record]) -> dict[str, object]:
    protocol, profile, source, method = key
    states = Counter(record.state for record in group)
    epochs = sum(len(record.epochs) for record in group)
    return {
        "protocol": protocol,
        "profile": profile,
        "faces": source,
        "method": method,
        "done": states["done"],
        "running": states["running"] + states["interrupted"],
        "diverged": states["diverged"],
        "failed": states["failed"],
        "epochs": epochs,
    }
