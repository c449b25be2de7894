"""`doctor`: what this machine has and lacks, and how fast it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..doctor import DoctorCheck
    from ..planning.harness_speed import SpeedFinding

_MARKS = {"ok": "ok", "note": "note", "problem": "PROBLEM"}


@click.command()
@click.option(
    "--data-root", type=click.Path(path_type=Path), envvar="FERNOISE_DATA", default=Path("data"), show_default=True,
    metavar="DIR", help="Folder of data sets in their published layout (env FERNOISE_DATA).",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), default=Path("fernoise-runs"), show_default=True, metavar="DIR")
@click.option("--speed", "with_speed", is_flag=True, help="Measure this device against a bare loop, for a minute.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True)
def doctor(data_root: Path, out: Path, with_speed: bool, device: str, as_json: bool) -> None:
    """Say what is installed, which devices, data and weights there are, and what to change. Exit code 1: a problem."""
    from ..doctor import examine

    checks = examine(data_root, out)
    found: dict[str, Any] = {"checks": [vars(check) for check in checks]}
    if not as_json:
        _print_checks(checks)
    if with_speed:
        found |= _measure(device, quiet=as_json)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    sys.exit(1 if any(check.state == "problem" for check in checks) else 0)


def _measure(device: str, *, quiet: bool) -> dict[str, Any]:
    """Times the encoders; prints the table and the advice unless they are wanted as data."""
    from ..planning.harness_speed import advice, survey
    from ..settings import choose_device

    chosen = choose_device(device)
    found = survey(chosen, lambda what: click.echo(f"  timing {what}", err=True))
    said = advice(found, chosen)
    if not quiet:
        _print_speed(found, said)
    lines = [
        {
            **vars(each.case),
            "precision": each.precision,
            "images_per_second": each.harness,
            "bare_images_per_second": each.bare,
            "share": each.share,
        }
        for each in found
    ]
    return {"device": chosen, "speed": lines, "advice": said}


def _print_checks(checks: Sequence[DoctorCheck]) -> None:
    width = max(len(check.what) for check in checks)
    for check in checks:
        click.echo(f"{_MARKS[check.state]:<8}{check.what:<{width}}  {check.found}")
        if check.advice:
            click.echo(f"{'':<8}{'':<{width}}  → {check.advice}")


def _print_speed(found: Sequence[SpeedFinding], said: Sequence[str]) -> None:
    from tabulate import tabulate

    rows = [(str(f.case), f.precision, f"{f.harness:,.0f}", f"{f.bare:,.0f}", f"{f.share:.2f}") for f in found]
    headers = ("encoder", "precision", "images/s", "bare loop", "share")
    click.echo("\n" + tabulate(rows, headers, tablefmt="github", disable_numparse=True))
    for line in said or ["nothing to change"]:
        click.echo(f"→ {line}")
