"""`data`: what data sets there are on disk, whether they are whole, and what generated faces look like."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from ..protocols.errors import BadInput

ROOT = click.option(
    "--data-root", type=click.Path(path_type=Path), envvar="FERNOISE_DATA", default=Path("data"), show_default=True,
    metavar="DIR", help="Folder of data sets in their published layout (env FERNOISE_DATA).",
)  # fmt: skip


@click.group()
def data() -> None:
    """Look at data: what is there, whether it is whole, what generated faces look like."""


@data.command("where")
@ROOT
@click.option("--json", "as_json", is_flag=True)
def data_where(data_root: Path, as_json: bool) -> None:
    """What is found under the data root, what is missing, and where to ask for it."""
    from tabulate import tabulate

    from ..protocols.datasets import where

    lines = where(data_root)
    if as_json:
        click.echo(json.dumps(lines, indent=1))
        return
    click.echo(tabulate([(line["data set"], line["found"], line["remark"]) for line in lines], tablefmt="plain"))


@data.command("verify")
@click.argument("name")
@ROOT
@click.option("--json", "as_json", is_flag=True)
def data_verify(name: str, data_root: Path, as_json: bool) -> None:
    """Compare a copy with what its owners published; exit code 1 where it differs."""
    from tabulate import tabulate

    from ..protocols.datasets import inspect

    found = inspect(name, data_root)
    rows = [
        {"what": c.what, "expected": c.expected, "found": c.found, "ok": "yes" if c.ok else "NO", "where": c.where}
        for c in found.checks
    ]
    if as_json:
        head = {"dataset": name, "layout": found.layout, "rows": found.rows, "partial": found.partial}
        click.echo(json.dumps({**head, "checks": rows}, indent=1))
    else:
        click.echo(f"{name}: layout {found.layout}, {found.rows:,} usable rows")
        click.echo(tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True))
        click.echo("partial: it differs from what was published" if found.partial else "whole: as published")
    sys.exit(1 if found.partial else 0)


@data.command("prepare")
@click.argument("name")
@ROOT
@click.option("--side", type=int, default=240, show_default=True, help="Side of the packed faces in pixels.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Where to; default: packs/ in the data root."
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--skip-bad", is_flag=True, help="Leave out pictures that cannot be decoded, and list them.")
def data_prepare(name: str, data_root: Path, side: int, out: Path | None, workers: int, skip_bad: bool) -> None:
    """Decode and resize a data set once, into one array file; run again to continue.

    Pictures are taken as they are, or by the face box that comes with them: faces must have been aligned before.
    """
    from ..protocols.datasets import listing_of
    from ..protocols.pack import prepare
    from .progress import Counter

    listing = listing_of(name, data_root)
    place = out or data_root / "packs"
    counter = Counter("pictures")
    try:
        pack = prepare(listing, place, side, workers=workers, skip_bad=skip_bad, report=counter)
    finally:
        counter.close()
    partial = "; the copy is partial, see data verify" if listing.partial else ""
    click.echo(f"{len(pack.labels):,} faces of {side} px in {place / f'{name}-{side}'}{partial}")


@data.command("faces")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE.png", help="Where to write.")
@click.option("--size", type=int, default=64, show_default=True, help="Side of a face in pixels.")
@click.option("--seed", type=int, default=0, show_default=True)
def data_faces(out: Path, size: int, seed: int) -> None:
    """Draw a labelled contact sheet of generated faces: action units, expressions, noise examples."""
    from PIL import Image

    from ..protocols.faces_sheet import sheet

    if out.suffix.lower() != ".png":
        raise BadInput(f"--out {out}: the sheet is a PNG image; name it like sheet.png")
    drawn = sheet(seed, size)
    try:
        Image.fromarray(drawn).save(out)
    except OSError as error:
        raise BadInput(f"--out {out}: {error.strerror or error}; choose another place") from error
    click.echo(f"wrote {out} ({drawn.shape[1]} x {drawn.shape[0]} pixels)")
