"""`status` and `table`: what the disk holds."""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...protocols.errors import BadInput, unknown

if TYPE_CHECKING:
    from ...results.analysis.grouping import Table
    from ...results.records.record import Record

DEFAULT_RUNS = Path("fernoise-runs")
RUNS = click.option("--runs", type=click.Path(path_type=Path), default=DEFAULT_RUNS, show_default=True, metavar="DIR")
PROFILE = click.option(
    "--profile", type=click.Choice(["paper", "small", "smoke"]), help="Only records of this profile."
)
SOURCE = click.option(
    "--synthetic/--real", "synthetic", default=None, help="Only records on generated, or real, faces."
)

RECIPE = click.option(
    "--recipe", type=click.Choice(["protocol", "native"]), help="Only records under this recipe: native is the papers'."
)


@click.command()
@RUNS
@click.option("--json", "as_json", is_flag=True)
def status(runs: Path, as_json: bool) -> None:
    """Trials on disk: done, running, interrupted, failed with the reason."""
    from ...results.records.record import load_records

    records, damaged = load_records(runs)
    lines = [_status_line(key, group) for key, group in _grouped(records)]
    problems = [
        {"trial": record.folder, "state": record.state, "reason": record.status.get("reason")}
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


def of_protocol(records: Sequence[Record], name: str, runs: Path, filters: str) -> list[Record]:
    """The records of a protocol; BadInput when there are none that passed the filters."""
    chosen = [record for record in records if record.identity["protocol"]["name"] == name]
    if not chosen:
        fit = f" that fit{filters}" if filters else ""
        place = f" --out {shlex.quote(named(runs))}" if named(runs) else ""
        raise BadInput(
            f"no records of {name} in {runs}{fit}; make them with: "
            f"fernoise-bench run --protocol {name} --all-methods{filters.replace(' --real', '')}{place}"
        )
    return chosen


def filters_of(profile: str | None, synthetic: bool | None, recipe: str | None) -> str:
    """The options that choose among records, as they were given."""
    source = "" if synthetic is None else (" --synthetic" if synthetic else " --real")
    return (f" --profile {profile}" if profile else "") + source + (f" --recipe {recipe}" if recipe else "")


def named(runs: Path) -> str:
    """A folder as an option names it; empty for the one that needs no option."""
    return "" if runs == DEFAULT_RUNS else str(runs)


def read_records(runs: Path) -> tuple[list[Record], list[str], str]:
    """`records_or_shipped`; BadInput for a folder that was asked for and is none: what ships is not what it means."""
    from ...results.records.reference_leaderboard import records_or_shipped

    if named(runs) and not runs.is_dir():
        raise BadInput(f"--runs {runs}: no such folder; leave it out for {DEFAULT_RUNS}, or what ships")
    return records_or_shipped(runs, named=bool(named(runs)))


def filtered(runs: Path, profile: str | None, synthetic: bool | None, recipe: str | None = None) -> list[Record]:
    """The records that fit the filters, of the shipped ones where there are no others; damaged trials are named."""
    records, damaged, told = read_records(runs)
    if told:
        click.echo(told, err=True)
    for message in damaged:
        click.echo(f"damaged: {message}", err=True)
    return fitting(records, profile, synthetic, recipe)


def fitting(
    records: Sequence[Record], profile: str | None, synthetic: bool | None, recipe: str | None = None
) -> list[Record]:
    """The records that fit the filters."""
    wanted = None if synthetic is None else ("generated" if synthetic else "real")
    return [
        record
        for record in records
        if (profile is None or record.identity["profile"] == profile)
        and (wanted is None or record.identity["source"] == wanted)
        and (recipe is None or record.identity["recipe"] == recipe)
    ]


def _not_applicable(name: str, records: Sequence[Record]) -> dict[str, str]:
    """Base methods a protocol cannot run, unless records say otherwise."""
    from ...protocols import catalog
    from ...protocols.loading import offered
    from ..method_summary import outline
    from ..registry import lacking, names

    protocol = catalog.find(name)
    present = {record.method for record in records}
    source = records[0].identity["source"]
    offers = protocol.offers if source == "real" else offered(protocol, source, None)
    absent = {name: outline(target) for name, target in names().items() if name not in present}
    reasons = {name: lacking(told.needs, protocol, offers) for name, told in absent.items()}
    return {method: reason for method, reason in reasons.items() if reason}


def _grouped(records: Sequence[Record]) -> list[tuple[tuple[str, ...], list[Record]]]:
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        protocol = record.identity["protocol"]
        key = (
            f"{protocol['name']}@{protocol['version']}",
            record.identity["profile"],
            record.identity["source"],
            record.method,
        )
        groups.setdefault(key, []).append(record)
    return sorted(groups.items())


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
