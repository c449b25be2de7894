"""`report`: the leaderboard as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .record_options import PROFILE, RUNS, SOURCE, fitting, read_records

if TYPE_CHECKING:
    from ...results.page.data import Card
    from ...results.records.record import Record


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where index.html is put.")
@RUNS
@PROFILE
@SOURCE
def report(out: Path, runs: Path, profile: str | None, synthetic: bool | None) -> None:
    """Write the leaderboard: one HTML file with tables, curves, audit, claims and where every number comes from."""
    from ...protocols.errors import BadInput
    from ...results.claims.verdicts import verdicts
    from ...results.page.data import Context, page_data
    from ...results.page.html import write_report
    from ...results.records.cache import uncollected

    with uncollected():
        records, about, remarks = _records(runs, profile, synthetic)
        if not records:
            raise BadInput(f"no trials in {runs} that fit: run some first, or leave --profile and --synthetic out")
        context = Context(_cards(records), verdicts(records), _not_applicable(records), about, remarks)
        path = write_report(page_data(records, context), out)
    click.echo(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB, {len(records)} trials)")


def _records(runs: Path, profile: str | None, synthetic: bool | None) -> tuple[list[Record], list[str], list[str]]:
    """The records that fit the filters, what they are where they are those that ship, and remarks on damaged ones."""
    from ...results.records.reference_leaderboard import statement

    records, damaged, told = read_records(runs)
    chosen = fitting(records, profile, synthetic)
    remarks = [f"damaged: {message}" for message in damaged]
    for line in [*([told] if told else []), *remarks]:
        click.echo(line, err=True)
    return chosen, statement(chosen) if told else [], remarks


def _cards(records: Sequence[Record]) -> dict[tuple[str, str], Card]:
    """A card for each protocol and profile that the catalog still has in the records' version."""
    from ...protocols.catalog import PROTOCOLS
    from ...results.page.data import Card
    from ..cards import protocol_rows, recipe_rows

    cards: dict[tuple[str, str], Card] = {}
    for record in records:
        identity, profile = record.identity.protocol, record.identity.profile
        protocol, key = PROTOCOLS.get(identity.name), (identity.name, profile)
        if protocol is not None and protocol.version == identity.version and key not in cards:
            rows = [*protocol_rows(protocol, profile), *recipe_rows(protocol, profile)]
            cards[key] = Card(f"{protocol.name} v{protocol.version}, {profile} profile", rows)
    return cards


def _not_applicable(records: Sequence[Record]) -> dict[str, dict[str, str]]:
    """By protocol, the base methods that cannot run there, with the reason."""
    from ...protocols.catalog import PROTOCOLS
    from ...results.analysis.grouping import grouped
    from .record_options import _not_applicable as reasons

    groups = grouped(records, lambda record: record.protocol)
    return {name: reasons(name, group) for name, group in groups.items() if name in PROTOCOLS}
