"""`doctor`: check this machine, and measure how fast it is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options.common import DATA_ROOT, DEVICE, JSON, RESULTS_FOLDER, print_json
from .options.terminal import hanging

if TYPE_CHECKING:
    from ..doctor import DoctorCheck
    from ..planning.harness_speed import SpeedFinding

_MARKS = {"ok": "ok", "note": "note", "problem": "PROBLEM"}


@click.command()
@DATA_ROOT
@RESULTS_FOLDER
@click.option(
    "--speed", "with_speed", is_flag=True,
    help="Also time the training loop against a minimal PyTorch loop, for about a minute.",
)  # fmt: skip
@DEVICE
@JSON
def doctor(data_root: Path, out: Path, with_speed: bool, device: str, as_json: bool) -> None:
    """Check packages, devices, data and weights, and say what to change. Exit code 1 where no run could succeed.

    \b
    fernoise-bench doctor
    fernoise-bench doctor --data-root /data --out my-runs
    fernoise-bench doctor --speed --device cpu
    """
    from ..doctor import examine

    checks = examine(data_root, out)
    found: dict[str, Any] = {"checks": [vars(check) for check in checks]}
    if not as_json:
        _print_checks(checks)
    if with_speed:
        found |= _measure(device, quiet=as_json)
    if as_json:
        print_json(found)
    sys.exit(1 if any(check.state == "problem" for check in checks) else 0)


def _measure(device: str, *, quiet: bool) -> dict[str, Any]:
    """Times the encoders; prints the table and the advice unless quiet."""
    from ..planning.harness_speed import advice, survey
    from ..settings import choose_device

    chosen = choose_device(device)
    found = survey(chosen, lambda what: click.echo(f"  timing {what}", err=True))
    suggestions = advice(found, chosen)
    if not quiet:
        _print_speed(found, suggestions)
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
    return {"device": chosen, "speed": lines, "advice": suggestions}


def _print_checks(checks: Sequence[DoctorCheck]) -> None:
    width = max(len(check.what) for check in checks)
    for check in checks:
        click.echo(hanging(f"{_MARKS[check.state]:<8}{check.what:<{width}}  ", check.found))
        if check.advice:
            click.echo(hanging(f"{'':<8}{'':<{width}}  → ", check.advice))


def _print_speed(found: Sequence[SpeedFinding], suggestions: Sequence[str]) -> None:
    from tabulate import tabulate

    rows = [(str(f.case), f.precision, f"{f.harness:,.0f}", f"{f.bare:,.0f}", f"{f.share:.2f}") for f in found]
    headers = ("encoder", "precision", "images/s", "minimal loop", "ratio")
    click.echo("\n" + tabulate(rows, headers, tablefmt="github", disable_numparse=True))
    for line in suggestions or ["nothing to change"]:
        click.echo(f"→ {line}")
