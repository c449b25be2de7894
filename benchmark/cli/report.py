"""`report`: write the leaderboard as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .record_options import matching, not_applicable, read_records, record_filters

if TYPE_CHECKING:
    from ...results.page.data import Card
    from ...results.records.record import Record


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Folder to write index.html to."
)
@record_filters
def report(out: Path, runs: Path, profile: str | None, synthetic: bool | None) -> None:
    """Write the leaderboard as one HTML file.

    It has tables, curves, audit, claims, and the source of every number.
    """
    from ...protocols.errors import BadInput
    from ...results.claims.verdicts import verdicts
    from ...results.page.data import Context, page_data
    from ...results.page.html import write_report
    from ...results.records.cache import uncollected
    from ...results.records.reference_leaderboard import statement

    with uncollected():
        records, damaged, notice = read_records(runs)
        records, remarks = matching(records, profile, synthetic), [f"damaged: {message}" for message in damaged]
        for line in filter(None, (notice, *remarks)):
            click.echo(line, err=True)
        if not records:
            raise BadInput(f"no trials in {runs} match: run some first, or leave out --profile and --synthetic")
        about = statement(records) if notice else []
        context = Context(_cards(records), verdicts(records), _not_applicable(records), about, remarks)
        path = write_report(page_data(records, context), out)
    click.echo(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB, {len(records)} trials)")


def _cards(records: Sequence[Record]) -> dict[tuple[str, str], Card]:
    """A card for each protocol and profile of the records whose version is that of the catalogue."""
    from ...protocols.catalog import PROTOCOLS
    from ...results.page.data import Card
    from ..cards import protocol_rows, recipe_rows

    cards: dict[tuple[str, str], Card] = {}
    for record in records:
        identity, profile = record.identity.protocol, record.identity.profile
        protocol, key = PROTOCOLS.get(identity.name), (identity.name, profile)
        if protocol is not None and protocol.version == identity.version and key not in cards:
            rows = [*protocol_rows(protocol, profile), *recipe_rows(protocol.profile(profile).recipe)]
            cards[key] = Card(f"{protocol.name} v{protocol.version}, {profile} profile", rows)
    return cards


def _not_applicable(records: Sequence[Record]) -> dict[str, dict[str, str]]:
    """`not_applicable` of each protocol in the catalogue that has records."""
    from ...protocols.catalog import PROTOCOLS
    from ...results.analysis.grouping import grouped

    groups = grouped(records, lambda record: record.protocol)
    return {name: not_applicable(name, group) for name, group in groups.items() if name in PROTOCOLS}
