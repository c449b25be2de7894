"""`claims`: what the stored results say of the papers' claims."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ....protocols.activity import doing
from ..options.common import format_option
from ..options.records import Chosen, named_methods, record_filters
from ..options.terminal import print_tables, terminal_width

_COLOURS = {
    "supported": "green",
    "contradicted": "red",
    "held here": "green",
    "reversed here": "red",
    "direction only": "cyan",
    "not separated": "yellow",
    "underpowered": "magenta",
}


@click.command()
@click.option(
    "--paper",
    metavar="NAME",
    help="Only the claims of one paper: recot, cocuring, ulcag, rhls, mlcr, or a newer method such as nla.",
)
@record_filters
@format_option("text", "github", "latex", "csv", "json", "html")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def claims(
    paper: str | None,
    runs: tuple[Path, ...],
    with_reference: bool,
    methods: tuple[str, ...],
    profile: str | None,
    synthetic: bool | None,
    form: str,
    as_json: bool,
) -> None:
    """Test the papers' claims on stored results.

    Each is supported, contradicted, underpowered, not run, …

    Supported and contradicted are for the paper's own conditions; elsewhere a claim is held here or reversed here.
    With --method: the claims about these methods.

    \b
    fernoise-bench claims --paper cocuring
    fernoise-bench claims --with-reference --method nct,nla --format csv
    """
    from ....results.claims.claim import claims as all_claims
    from ....results.claims.tables import claims_json, claims_table, claims_text
    from ....results.claims.verdicts import verdicts

    asked = all_claims(paper)
    names = named_methods(methods, {name for claim in asked for name in claim.methods}, "those of the claims")
    records = Chosen(runs, with_reference, profile, synthetic).records()
    with doing("testing the claims"):
        found = verdicts(records, asked)
    found = [verdict for verdict in found if not names or set(names).intersection(verdict.claim.methods)]
    if as_json or form == "json":
        click.echo(json.dumps(claims_json(found), indent=1, allow_nan=False))
    elif form != "text":
        print_tables(claims_table(found), form)
    else:
        for line in claims_text(found, terminal_width()):
            click.echo(_coloured(line))


def _coloured(line: str) -> str:
    """A line with its verdict in colour; click removes colours where the output is not a terminal."""
    verdict = line.strip().partition("  ")[0]
    return line.replace(verdict, click.style(verdict, fg=_COLOURS[verdict]), 1) if verdict in _COLOURS else line
