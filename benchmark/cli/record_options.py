"""The options that choose among stored trials, and the records they choose."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...protocols.errors import BadInput
from .options import PROFILES, add_options, warn_of_damage

if TYPE_CHECKING:
    from ...results.records.record import Record

DEFAULT_RUNS = Path("fernoise-runs")

RUNS = click.option(
    "--runs", type=click.Path(path_type=Path), default=DEFAULT_RUNS, show_default=True, metavar="DIR",
    help="Folder of the results to read.",
)  # fmt: skip
RECIPE = click.option(
    "--recipe", type=click.Choice(["protocol", "native"]),
    help="Use only trials trained by this recipe: the protocol's, or that of each method's own paper (native).",
)  # fmt: skip
record_filters = add_options(
    RUNS,
    click.option("--profile", type=PROFILES, help="Use only trials of this profile."),
    click.option("--synthetic/--real", "synthetic", default=None, help="Use only trials on generated, or real, faces."),
)


def records_of_protocol(records: Sequence[Record], name: str, runs: Path, filters: str) -> list[Record]:
    """The records of a protocol; BadInput, which names the folder and the filters, where there are none."""
    chosen = [record for record in records if record.protocol == name]
    if not chosen:
        fit = f" that fit{filters}" if filters else ""
        out = f" --out {shlex.quote(unless_default(runs))}" if unless_default(runs) else ""
        raise BadInput(
            f"no records of {name} in {runs}{fit}; make them with: "
            f"fernoise-bench run --protocol {name} --all-methods{filters.replace(' --real', '')}{out}"
        )
    return chosen


def as_options(profile: str | None, synthetic: bool | None, recipe: str | None) -> str:
    """The filters as they are typed on the command line."""
    source = "" if synthetic is None else (" --synthetic" if synthetic else " --real")
    return (f" --profile {profile}" if profile else "") + source + (f" --recipe {recipe}" if recipe else "")


def unless_default(runs: Path) -> str:
    """The folder as an option's value; an empty string for the default, which needs no option."""
    return "" if runs == DEFAULT_RUNS else str(runs)


def read_records(runs: Path) -> tuple[list[Record], list[str], str]:
    """The records of a folder, or of the reference leaderboard where the default folder has none.

    Returns:
        Records, a message for each damaged trial, and a notice where they are the reference leaderboard's, else "".
    """
    from ...results.records.reference_leaderboard import records_or_shipped

    if unless_default(runs) and not runs.is_dir():
        raise BadInput(
            f"--runs {runs}: no such folder; leave --runs out to read {DEFAULT_RUNS} or the reference leaderboard"
        )
    return records_or_shipped(runs, named=bool(unless_default(runs)))


def filtered(runs: Path, profile: str | None, synthetic: bool | None, recipe: str | None = None) -> list[Record]:
    """The records of `read_records` that match the filters; the notice and damaged trials go to standard error."""
    records, damaged, notice = read_records(runs)
    if notice:
        click.echo(notice, err=True)
    warn_of_damage(damaged)
    return matching(records, profile, synthetic, recipe)


def matching(
    records: Sequence[Record], profile: str | None, synthetic: bool | None, recipe: str | None = None
) -> list[Record]:
    """The records that match the filters; None matches all."""
    source = None if synthetic is None else ("generated" if synthetic else "real")
    return [
        record
        for record in records
        if (profile is None or record.identity.profile == profile)
        and (source is None or record.identity.source == source)
        and (recipe is None or record.identity.recipe == recipe)
    ]


def not_applicable(name: str, records: Sequence[Record]) -> dict[str, str]:
    """Methods (without variants) that cannot run on a protocol, with the reasons; not those that have records of it."""
    from ...protocols import catalog
    from ...protocols.loading import offered
    from ..method_summary import outline
    from ..registry import lacking, names

    protocol = catalog.find(name)
    source = records[0].identity.source
    offers = protocol.offers if source == "real" else offered(protocol, source, None)
    recorded = {record.method for record in records}
    reasons = {
        method: lacking(outline(target).needs, protocol, offers)
        for method, target in names().items()
        if method not in recorded
    }
    return {method: reason for method, reason in reasons.items() if reason}
