"""`data`: what a protocol's faces look like."""

from __future__ import annotations

from pathlib import Path

import click

from ..protocols.errors import BadInput


@click.group()
def data() -> None:
    """Look at data."""


@data.command("faces")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE.png", help="Where to write the sheet."
)
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
