"""`status` and `table`: print the stored results."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...protocols.errors import BadInput
from .options.common import JSON, format_option, print_json, rivals_option
from .options.records import (
    LABELS,
    RECIPE,
    RUNS,
    Chosen,
    apart,
    labels_of,
    named_methods,
    named_protocol,
    not_applicable,
    of_methods,
    record_filters,
    records_of_protocol,
)
from .options.terminal import folded, print_grid, print_tables, terminal_width

if TYPE_CHECKING:
    from ...protocols.base import Protocol
    from ...results.analysis.view import Expected, RowOrder
    from ...results.records.record import Record
    from ...results.tables.cell import Table


@dataclass(frozen=True)
class Request:
    """What a table of a protocol shows.

    Attributes:
        kinds: "long", "ranks", "audit", "against", in the order printed; none: the plain table.
        rule: the selection rule.
        allow_mixed: a block for each setting where the trials have several.
        methods, against, labels: as typed.
        order: of the rows.
    """

    kinds: Sequence[str]
    rule: str
    allow_mixed: bool
    methods: Sequence[str]
    against: Sequence[str]
    labels: Sequence[str]
    order: RowOrder


@click.command()
@RUNS
@JSON
def status(runs: Path, as_json: bool) -> None:
    """Count trials by their state, and print the reasons of failures.

    \b
    fernoise-bench status
    fernoise-bench status --runs my-runs --json
    """
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
    _print_lines(lines)
    for problem in problems:
        click.echo(f"{problem['state']}: {problem['trial']}: {problem['reason']}")
    for message in damaged:
        click.echo(f"damaged: {message}")


def _print_lines(lines: Sequence[dict[str, Any]]) -> None:
    """Prints the counts of each method; in a terminal that is too narrow, without columns that are zero throughout."""
    from ...results.tables.render import markdown
    from ..progress import duration

    if not lines:
        return
    shown = [
        {**line, "seconds": duration(line["seconds"]), "wall_seconds": duration(line["wall_seconds"])} for line in lines
    ]
    headings = {"seconds": "time", "wall_seconds": "by the clock"}
    names = list(lines[0])
    if (width := terminal_width()) and sum(len(name) + 5 for name in names) > width:
        names = [name for name in names if name in ("done", "epochs") or any(line[name] for line in lines)]
    rows = [[markdown(str(line[name])) for name in names] for line in shown]
    sides = ["left" if isinstance(lines[0][name], str) else "right" for name in names]
    print_grid([headings.get(name, name) for name in names], rows, sides)


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
    "--calibration", is_flag=True,
    help="Print how well probabilities fit the test labels, and annotators' votes: log-likelihood, Brier, calibration.",
)  # fmt: skip
@rivals_option(
    "Print the difference of every other method from this one: paired over seeds and folds, with an interval and a "
    "test corrected for the rows chosen with --method."
)
@click.option(
    "--check", is_flag=True,
    help="Print a paper's table as published, each row's mean computed again beside it, and known errors.",
)  # fmt: skip
@LABELS
@click.option(
    "--sort", "order", type=click.Choice(["name", "rank", "given"]), default="name", show_default=True,
    help="Order of a protocol's rows: by name, by the mean score, or as --method names them.",
)  # fmt: skip
@click.option(
    "--columns", multiple=True, metavar="NAME",
    help="Print these columns only, after those that name a row: headings, as in 'noise 0.4'. Can be repeated, or "
    "several with commas.",
)  # fmt: skip
@click.option("--no-notes", is_flag=True, help="Print no notes below the table.")
@click.option("--allow-mixed", is_flag=True, help="Print a block for each setting where the trials have several.")
def table(
    name: str,
    runs: tuple[Path, ...],
    with_reference: bool,
    methods: tuple[str, ...],
    profile: str | None,
    synthetic: bool | None,
    recipe: str | None,
    form: str,
    rule: str,
    long: bool,
    ranks: bool,
    audit: bool,
    calibration: bool,
    against: tuple[str, ...],
    check: bool,
    labels: tuple[str, ...],
    order: RowOrder,
    columns: tuple[str, ...],
    no_notes: bool,
    allow_mixed: bool,
) -> None:
    """Print the results of a protocol or a paper's table.

    A protocol's table has methods by noise levels or AUs; a paper's (as recot-2) reported and measured numbers.

    \b
    fernoise-bench table fer2013-real --sort rank
    fernoise-bench table fer2013-real --with-reference --against elr
    fernoise-bench table ferplus-sym --columns 'noise 0.4' --format latex
    fernoise-bench table recot-4 --no-notes
    """
    from ...results.papers.reported import TABLE_IDS
    from ...results.records.cache import uncollected
    from ...results.tables.columns import with_columns

    options = {"long": long, "ranks": ranks, "audit": audit, "calibration": calibration}
    options |= {"against": bool(against), "check": check}
    kinds = [kind for kind, given in options.items() if given]
    chosen = Chosen(runs, with_reference, profile, synthetic, recipe)
    name, protocol = named_protocol(name, chosen, TABLE_IDS)
    paper = _is_paper(name, kinds, [*(["label"] if labels else []), *(["sort"] if order != "name" else [])])
    if "check" in kinds:
        _check(name)
        return
    request = Request(kinds, rule, allow_mixed, methods, against, labels, order)
    with uncollected():
        tables = _paper_tables(chosen, name, request) if paper else _protocol_tables(chosen, name, request, protocol)
        tables = with_columns(tables, columns) if columns else tables
        print_tables([replace(each, notes=()) for each in tables] if no_notes else tables, form)


def _is_paper(name: str, kinds: Sequence[str], more: Sequence[str]) -> bool:
    """Whether a name is that of a paper's table, else a protocol's; BadInput for options of the other kind."""
    from ...results.papers.reported import TABLE_IDS

    paper = name in TABLE_IDS
    for kind in (*kinds, *more):
        if paper != (kind == "check"):
            of, others = ("a protocol's table", "a paper's") if paper else ("a paper's table", "a protocol")
            raise BadInput(f"--{kind} is for {of}; {name} is {others}: leave it out")
    return paper


def _check(name: str) -> None:
    """Prints a paper's table as published; exits with 1 where it has a contradiction that is not marked as known."""
    from ...results.papers.reported_check import check, checked_text

    (checked,) = check((name,))
    click.echo(folded(checked_text(checked, terminal_width())), nl=False)
    if checked.problems:
        sys.exit(1)


def _paper_tables(chosen: Chosen, name: str, request: Request) -> Sequence[Table]:
    """A paper's table, the rows of some methods."""
    from ...results.papers.reported import find
    from ...results.papers.tables import paper_table, wanted_records

    known = {row.method for panel in find(name).panels for row in panel.rows if row.method is not None}
    methods = named_methods(request.methods, known, f"those of {name}")
    found = chosen.told()
    parts = apart(wanted_records(found.records, name), "stand in tables of their own")
    tables = paper_table(
        [*parts.together, *parts.apart],
        name,
        rule=request.rule,
        allow_mixed=request.allow_mixed or found.reference_alone or parts.mixed,
        runs=chosen.home,
        methods=methods,
    )
    return tables


def _protocol_tables(chosen: Chosen, name: str, request: Request, protocol: Protocol | None) -> Sequence[Table]:
    """A protocol's tables of each kind asked for; one of which only records are known has the folds that these have."""
    from ...results.analysis.grouping import blocks
    from ...results.analysis.view import Expected, Rows

    found = chosen.told()
    every = found.records
    all_mine, where = records_of_protocol(every, name, chosen, protocol), f"the trials of {name}"
    mine, methods = of_methods(all_mine, [*request.methods, *request.against] if request.methods else [], where)
    known = methods or {record.method for record in all_mine}
    parts = apart(mine, "stand in tables of their own")
    if parts.apart and not request.allow_mixed:
        blocks(parts.together)  # refuses trials of the user's own that cannot share a table
    rows = Rows(labels_of(request.labels, known, where), request.order, methods, request.rule)
    refused = {} if request.methods or protocol is None else not_applicable(protocol, mine)
    expected = Expected(folds=protocol.folds if protocol else (), not_applicable=refused, rows=rows)
    request = replace(request, allow_mixed=request.allow_mixed or found.reference_alone or parts.mixed)
    rivals, chosen_rows = (named_methods(typed, known, where) for typed in (request.against, request.methods))
    request = replace(request, against=rivals, methods=chosen_rows)
    records = [*parts.together, *parts.apart]
    return [each for kind in request.kinds or [""] for each in _of_kind(kind, records, every, expected, request)]


def _of_kind(
    kind: str, records: Sequence[Record], others: Sequence[Record], expected: Expected, request: Request
) -> Sequence[Table]:
    """A protocol's tables of one kind of `table`'s options, "" for none; `others`: for rank correlations."""
    from ...results.tables.against_table import against_table
    from ...results.tables.audit_tables import audit_page
    from ...results.tables.probabilities.calibration_table import calibration_table
    from ...results.tables.protocol_tables import long_table, protocol_table
    from ...results.tables.rank_tables import rank_tables

    rule, mixed = request.rule, request.allow_mixed
    if kind == "long":
        return long_table(records, expected, allow_mixed=mixed)
    if kind == "audit":
        return audit_page(records, expected, allow_mixed=mixed)
    if kind == "calibration":
        return calibration_table(records, expected, rule=rule, allow_mixed=mixed)
    if kind == "ranks":
        return rank_tables(records, expected, others=others, rule=rule, allow_mixed=mixed)
    if kind == "against":
        return [
            table
            for rival in request.against
            for table in against_table(
                _rows_with(rival, records, request.methods), rival, expected, rule=rule, allow_mixed=mixed
            )
        ]
    return protocol_table(records, expected, rule=rule, allow_mixed=mixed)


def _rows_with(rival: str, records: Sequence[Record], methods: Sequence[str]) -> list[Record]:
    """The records of the rows asked for and of a rival: the other rivals are no rows unless they were asked for too."""
    return [record for record in records if not methods or record.method in (*methods, rival)]


def _status_lines(records: Sequence[Record]) -> list[dict[str, Any]]:
    """The numbers of trials in each state and of their epochs, by protocol, profile, faces and method."""
    from ...results.analysis.grouping import grouped

    def key(record: Record) -> tuple[str, ...]:
        identity = record.identity
        return identity.protocol.key, identity.profile, identity.source, record.method

    lines: list[dict[str, Any]] = []
    for names, group in sorted(grouped(records, key).items()):
        states = Counter(record.state for record in group)
        counts = {state: states[state] for state in ("done", "running", "diverged", "failed")}
        counts["running"] += states["interrupted"]
        whose = dict(zip(("protocol", "profile", "faces", "method"), names, strict=True))
        seconds = math.fsum(record.status.seconds or 0.0 for record in group)
        walls = [record.status.wall_seconds for record in group if record.status.wall_seconds is not None]
        took = {"seconds": round(seconds, 1), "wall_seconds": round(math.fsum(walls), 1) if walls else None}
        lines.append({**whose, **counts, "epochs": sum(len(record.epochs) for record in group), **took})
    return lines
