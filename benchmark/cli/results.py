"""`status` and `table`: print the stored results."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...protocols.errors import BadInput, unknown
from .options import JSON, format_option, print_json
from .record_options import (
    RECIPE,
    RUNS,
    as_options,
    filtered,
    not_applicable,
    record_filters,
    records_of_protocol,
    unless_default,
)

if TYPE_CHECKING:
    from ...results.records.record import Record
    from ...results.tables.cell import Table


@click.command()
@RUNS
@JSON
def status(runs: Path, as_json: bool) -> None:
    """Count trials by their state, and print the reasons of failures."""
    from ...results.records.record import load_records

    records, damaged = load_records(runs)
    lines = _status_lines(records)
    problems = [
        {"trial": record.folder, "state": record.state, "reason": record.status.reason}
        for record in records
        if record.state in ("failed", "diverged")
    ]
    if as_json:
        print_json({"methods": lines, "problems": problems, "damaged": damaged})
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
@record_filters
@RECIPE
@format_option("github", "latex", "csv", "json", "html")
@click.option(
    "--rule", type=click.Choice(["last", "last_five", "validation", "oracle"]), default="last", show_default=True,
    help="Epoch that the numbers are of: the last, the mean of the last five, the best on the validation rows, or the "
    "best on the test rows (oracle).",
)  # fmt: skip
@click.option(
    "--long", is_flag=True, help="Print one row for each method: all selection rules, compute, oracle knowledge."
)
@click.option(
    "--ranks", is_flag=True,
    help="Print mean ranks, which methods may rank first, groups that do not differ significantly, the planned "
    "comparisons, and rank correlations with other settings.",
)  # fmt: skip
@click.option("--audit", is_flag=True, help="Print what each method did with wrong labels, and its cost.")
@click.option(
    "--check", is_flag=True,
    help="Print a paper's table as published, each row's mean computed again beside it, and known errors.",
)  # fmt: skip
@click.option("--allow-mixed", is_flag=True, help="Print a block for each setting where the trials have several.")
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
    """Print the results of a protocol or a paper's table.

    A protocol's table has methods by noise levels or AUs; a paper's (as recot-2) reported and measured numbers.
    """
    from ...protocols import catalog
    from ...results.papers.reported import TABLE_IDS
    from ...results.records.cache import uncollected
    from ...results.tables.render import render

    if name not in TABLE_IDS and name not in catalog.PROTOCOLS:
        raise unknown("table or protocol", name, [*TABLE_IDS, *catalog.PROTOCOLS])
    paper = name in TABLE_IDS
    kinds = [kind for kind, given in {"long": long, "ranks": ranks, "audit": audit, "check": check}.items() if given]
    for kind in kinds:
        if paper != (kind == "check"):
            of, others = ("a protocol's table", "a paper's") if paper else ("a paper's table", "a protocol")
            raise BadInput(f"--{kind} is for {of}; {name} is {others}: leave it out")
    if "check" in kinds:
        _check(name)
        return
    with uncollected():
        records = filtered(runs, profile, synthetic, recipe)
        if paper:
            from ...results.papers.tables import paper_table

            own = unless_default(runs)
            tables: Sequence[Table] = paper_table(records, name, rule=rule, allow_mixed=allow_mixed, runs=own)
        else:
            mine = records_of_protocol(records, name, runs, as_options(profile, synthetic, recipe))
            tables = [
                each
                for kind in kinds or [""]
                for each in _protocol_tables(mine, records, name, kind, rule, allow_mixed=allow_mixed)
            ]
        click.echo(render(tables, form), nl=False)


def _check(name: str) -> None:
    """Prints a paper's table as published; exits with 1 where it has a contradiction that is not marked as known."""
    from ...results.papers.reported_check import check, checked_text

    (checked,) = check((name,))
    click.echo(checked_text(checked), nl=False)
    if checked.problems:
        sys.exit(1)


def _protocol_tables(
    records: Sequence[Record], others: Sequence[Record], name: str, kind: str, rule: str, *, allow_mixed: bool
) -> Sequence[Table]:
    """A protocol's tables of one kind ("long", "audit", "ranks" or ""); `others` are for the rank correlations."""
    from ...protocols import catalog
    from ...results.analysis.view import Expected
    from ...results.tables.audit_tables import audit_page
    from ...results.tables.protocol_tables import long_table, protocol_table
    from ...results.tables.rank_tables import rank_tables

    expected = Expected(folds=catalog.find(name).folds, not_applicable=not_applicable(name, records))
    if kind == "long":
        return long_table(records, expected, allow_mixed=allow_mixed)
    if kind == "audit":
        return audit_page(records, expected, allow_mixed=allow_mixed)
    if kind == "ranks":
        return rank_tables(records, expected, others=others, rule=rule, allow_mixed=allow_mixed)
    return protocol_table(records, expected, rule=rule, allow_mixed=allow_mixed)


def _status_lines(records: Sequence[Record]) -> list[dict[str, object]]:
    """The numbers of trials in each state and of their epochs, by protocol, profile, faces and method."""
    from ...results.analysis.grouping import grouped

    def key(record: Record) -> tuple[str, ...]:
        identity = record.identity
        return identity.protocol.key, identity.profile, identity.source, record.method

    lines: list[dict[str, object]] = []
    for names, group in sorted(grouped(records, key).items()):
        states = Counter(record.state for record in group)
        counts = {state: states[state] for state in ("done", "running", "diverged", "failed")}
        counts["running"] += states["interrupted"]
        whose = dict(zip(("protocol", "profile", "faces", "method"), names, strict=True))
        lines.append({**whose, **counts, "epochs": sum(len(record.epochs) for record in group)})
    return lines
