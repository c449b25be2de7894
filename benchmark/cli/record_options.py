"""The options that choose among stored trials, and the records they choose."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from ...protocols import catalog
from ...protocols.errors import BadInput
from ...protocols.loading import offered
from ...results.records.record import Record
from ...results.records.reference_leaderboard import records_or_shipped
from ..method_summary import outline
from ..registry import lacking, names

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


def of_protocol(records: Sequence[Record], name: str, runs: Path, filters: str) -> list[Record]:
    """The records of a protocol; BadInput when there are none that passed the filters."""
    chosen = [record for record in records if record.protocol == name]
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
        if (profile is None or record.identity.profile == profile)
        and (wanted is None or record.identity.source == wanted)
        and (recipe is None or record.identity.recipe == recipe)
    ]


def _not_applicable(name: str, records: Sequence[Record]) -> dict[str, str]:
    """Base methods a protocol cannot run, unless records say otherwise."""

    protocol = catalog.find(name)
    present = {record.method for record in records}
    source = records[0].identity.source
    offers = protocol.offers if source == "real" else offered(protocol, source, None)
    absent = {name: outline(target) for name, target in names().items() if name not in present}
    reasons = {name: lacking(told.needs, protocol, offers) for name, told in absent.items()}
    return {method: reason for method, reason in reasons.items() if reason}
