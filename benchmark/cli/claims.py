"""`claims`: the papers' claims and what the records say to them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import click

from .record_options import PROFILE, RUNS, SOURCE, filtered

_COLOURS = {
    "supported": "green",
    "direction only": "cyan",
    "not separated": "yellow",
    "contradicted": "red",
    "underpowered": "magenta",
}


@click.command()
@click.option("--paper", help="Only the claims of one paper: recot, cocuring, ulcag, rhls or mlcr.")
@RUNS
@PROFILE
@SOURCE
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "github", "latex", "csv", "json", "html"]),
    default="text",
    show_default=True,
)
@click.option("--json", "as_json", is_flag=True, help="Everything, as --format json.")
def claims(
    paper: str | None, runs: Path, profile: str | None, synthetic: bool | None, form: str, as_json: bool
) -> None:
    """Hold every claim of the five papers against the records: supported, contradicted, underpowered, not run, …"""
    from ...results.claims.claim import claims as all_claims
    from ...results.claims.tables import claims_json, claims_table, claims_text
    from ...results.claims.verdicts import verdicts
    from ...results.tables.render import render

    chosen = all_claims(paper)
    found = verdicts(filtered(runs, profile, synthetic), chosen)
    if as_json or form == "json":
        click.echo(json.dumps(claims_json(found), indent=1, ensure_ascii=False, allow_nan=False))
    elif form != "text":
        click.echo(render(claims_table(found), form), nl=False)
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        for line in claims_text(found, width):
            click.echo(_coloured(line))


def _coloured(line: str) -> str:
    """A line with its verdict in colour; click takes colours out where the output is no terminal."""
    verdict = line.strip().partition("  ")[0]
    return line.replace(verdict, click.style(verdict, fg=_COLOURS[verdict]), 1) if verdict in _COLOURS else line
