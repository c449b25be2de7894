"""`conformance`: check that a method does what every method must do."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ...protocols.activity import doing
from ...protocols.errors import BadInput, printable
from .options.common import JSON, print_json, separated

if TYPE_CHECKING:
    from ..conformance.suite import Finding

_COLOURS = {"ok": "green", "failed": "red", "left out": "yellow"}
_LABELS = {"single": "one expression a face", "multi": "action units"}


@click.command()
@click.option(
    "--method", "methods", multiple=True, metavar="NAME", callback=separated,
    help="Check a method: file.py:Class, or NAME. Can be repeated, or several with commas.",
)  # fmt: skip
@JSON
def conformance(methods: tuple[str, ...], as_json: bool) -> None:
    """Check that a method keeps the rules that every method here keeps.

    Trains it on toy faces, some ten seconds for each kind of labels: it must learn, repeat itself, go on after an
    interruption as if there had been none, and see no reference label. Exit code 1 where a check fails.

    \b
    fernoise-bench conformance --method mine.py:Mine
    fernoise-bench conformance --method elr,gce --json
    """
    if not methods:
        raise BadInput("name a method with --method file.py:Class, or --method NAME")
    with doing("loading PyTorch"):
        from .. import registry
        from ..conformance.suite import examine

    for method in methods:
        registry.find(method)  # refuses a name before anything is trained
    found: list[Finding] = []
    for method in methods:
        for finding in examine(method):
            if not as_json:
                _print(finding, found[-1] if found else None)
            found.append(finding)
    failed = [finding for finding in found if finding.state == "failed"]
    if as_json:
        print_json([asdict(finding) for finding in found])
    else:
        click.echo(f"\n{len(failed)} of {len(found)} checks failed" if failed else "\nall checks passed")
    sys.exit(1 if failed else 0)


def _print(finding: Finding, before: Finding | None) -> None:
    """A line for a check, after a heading where the method or the kind of labels is another than before."""
    if before is None or (before.method, before.labels) != (finding.method, finding.labels):
        click.echo(f"{finding.method}, {_LABELS[finding.labels]}")
    state = click.style(f"{finding.state:<8}", fg=_COLOURS[finding.state])
    place = f" ({finding.place})" if finding.place else ""
    reason = f": {printable(finding.reason)}{place}" if finding.reason else ""
    click.echo(f"  {state}  {finding.check}{reason}")
