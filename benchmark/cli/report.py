"""`report`: write the leaderboard as one HTML file."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...protocols.activity import doing
from ...protocols.errors import BadInput
from .options.records import LABELS, Chosen, labels_of, not_applicable, of_methods, record_filters

if TYPE_CHECKING:
    from ...results.page.data import Card
    from ...results.page.methods import MethodCard
    from ...results.records.record import Record


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Folder to write index.html to."
)
@record_filters
@LABELS
def report(
    out: Path,
    runs: tuple[Path, ...],
    with_reference: bool,
    methods: tuple[str, ...],
    profile: str | None,
    synthetic: bool | None,
    labels: tuple[str, ...],
) -> None:
    """Write the leaderboard as one HTML file.

    It has tables, curves, audit, claims, a section for each method, comparisons with any rival, and the source of every
    number.

    \b
    fernoise-bench report --out site
    fernoise-bench report --out site --with-reference --label mine.MyMethod=Ours
    """
    from ...results.analysis.stored_findings import read_findings
    from ...results.analysis.view import Rows
    from ...results.claims.verdicts import verdicts
    from ...results.page.data import Context, page_data
    from ...results.page.html import write_report
    from ...results.records.cache import uncollected
    from ...results.records.reference_leaderboard import FOLDER, statement

    with uncollected():
        found = Chosen(runs, with_reference, profile, synthetic).read()
        remarks = [f"damaged: {message}" for message in found.damaged]
        for line in (*found.notices, *remarks):
            click.echo(line, err=True)
        if not found.records:
            places = ", ".join(map(str, runs))
            raise BadInput(f"no trials in {places} match: run some first, or leave out --profile and --synthetic")
        records, names = of_methods(found.records, methods, "these trials")
        rows = Rows(labels_of(labels, {record.method for record in records}, "these trials"))
        with doing("testing the papers' claims"):
            tested = verdicts(found.records)
        claims = [each for each in tested if not names or set(names).intersection(each.claim.methods)]
        about = statement(records) if found.reference_alone else []
        known = read_findings([FOLDER, *runs])
        context = Context(
            *(_cards(records), claims, _not_applicable(records), about, remarks, rows),
            methods=_methods(records),
            findings=known,
        )
        with doing("writing the page"):
            path = write_report(page_data(records, context), out)
    click.echo(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB, {len(records)} trials)")


def _cards(records: Sequence[Record]) -> dict[tuple[str, str], Card]:
    """A card for each protocol and profile of the records whose version is that of the catalogue."""
    from ...protocols import catalog
    from ...results.page.data import Card
    from ..cards import protocol_rows, recipe_rows

    cards: dict[tuple[str, str], Card] = {}
    for record in records:
        identity, profile = record.identity.protocol, record.identity.profile
        protocol, key = catalog.known(identity.name), (identity.name, profile)
        if protocol is not None and protocol.version == identity.version and key not in cards:
            rows = [*protocol_rows(protocol, profile), *recipe_rows(protocol.profile(profile).recipe)]
            cards[key] = Card(f"{protocol.name} v{protocol.version}, {profile} profile", rows)
    return cards


def _methods(records: Sequence[Record]) -> dict[str, MethodCard]:
    """A card for each method of the records that this version knows, without variants."""
    from ...results.page.methods import MethodCard, base_of
    from .. import registry
    from ..cards import method_rows
    from ..method_source import source_digest
    from ..method_summary import describe, outline

    known, cards = registry.names(), {}
    for name in sorted({base_of(record.method) for record in records} & set(known)):
        method, summary = describe(name), outline(known[name])
        _, _, description = inspect.cleandoc(method.about).partition("\n")
        definition = sorted(method.needs), source_digest(known[name]), method_rows(method), summary.variants
        cards[name] = MethodCard(summary.about, description.strip(), *definition)
    return cards


def _not_applicable(records: Sequence[Record]) -> dict[str, dict[str, str]]:
    """`not_applicable` of each protocol in the catalogue that has records."""
    from ...protocols import catalog
    from ...results.analysis.grouping import grouped

    groups = grouped(records, lambda record: record.protocol)
    known = {name: catalog.known(name) for name in groups}
    return {name: not_applicable(protocol, groups[name]) for name, protocol in known.items() if protocol is not None}
