"""`data`: what data sets there are on disk, whether they are whole, and what generated faces look like."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...protocols.errors import BadInput

if TYPE_CHECKING:
    from ...protocols.datasets.catalog import Inspection
    from ..progress import Counter

ROOT = click.option(
    "--data-root", type=click.Path(path_type=Path), envvar="FERNOISE_DATA", default=Path("data"), show_default=True,
    metavar="DIR", help="Folder of data sets in their published layout (env FERNOISE_DATA).",
)  # fmt: skip
PACKS = click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder of packs; default: packs/ in the data root."
)
LARGEST_FACE = 256  # a sheet holds over five hundred
WORKERS = click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True)


@click.group()
def data() -> None:
    """Look at data: what is there, whether it is whole, what generated faces look like."""


@data.command("status")
@ROOT
@click.option("--json", "as_json", is_flag=True)
def data_status(data_root: Path, as_json: bool) -> None:
    """Which data sets are under the data root, which are missing, and where to ask for those."""
    from tabulate import tabulate

    from ...protocols.datasets.catalog import where

    lines = where(data_root)
    if as_json:
        click.echo(json.dumps(lines, indent=1))
        return
    click.echo(tabulate([(line["data set"], line["found"], line["remark"]) for line in lines], tablefmt="plain"))


# The name `data status` had before.
data.add_command(
    click.Command(
        "where",
        data_status.context_settings,
        data_status.callback,
        data_status.params,
        help=data_status.help,
        hidden=True,
    )
)


@data.command("verify")
@click.argument("name")
@ROOT
@WORKERS
@click.option("--quick", is_flag=True, help="Labels, file names and subjects only: decode no picture.")
@click.option("--json", "as_json", is_flag=True)
def data_verify(name: str, data_root: Path, workers: int, quick: bool, as_json: bool) -> None:
    """Compare a copy with what its owners published.

    Counts and label values, subjects of each fold, whether every picture can be decoded, and pictures that are, pixel
    for pixel, in two parts. Exit code 1 where it differs, 2 where pictures are damaged.
    """
    from ...protocols.datasets.catalog import inspect, verify

    if quick:
        found = inspect(name, data_root)
    else:
        with _counter() as counter:
            found = verify(name, data_root, workers=workers, report=counter)
    rows = [
        {"what": c.what, "expected": c.expected, "found": c.found, "ok": "yes" if c.ok else "NO", "where": c.where}
        for c in found.checks
    ]
    if as_json:
        head = {"dataset": name, "layout": found.layout, "rows": found.rows, "partial": found.partial}
        click.echo(json.dumps({**head, "quick": quick, "checks": rows, "bad": found.bad}, indent=1))
    else:
        _print_checks(found, rows, quick)
    sys.exit(2 if found.bad else 1 if found.partial else 0)


def _print_checks(found: Inspection, rows: Sequence[Mapping[str, object]], quick: bool) -> None:
    from tabulate import tabulate

    click.echo(f"{found.dataset}: layout {found.layout}, {found.rows:,} usable rows")
    click.echo(tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True))
    if found.bad:
        click.echo(f"damaged: {len(found.bad):,} pictures cannot be decoded (all are named with --json)")
    elif found.partial:
        click.echo("partial: it differs from what was published")
    else:
        click.echo("whole: as published" + (", as far as labels and file names tell" if quick else ""))


@data.command("prepare")
@click.argument("name")
@ROOT
@click.option("--side", type=int, default=240, show_default=True, help="Side of the packed faces in pixels.")
@PACKS
@WORKERS
@click.option("--skip-bad", is_flag=True, help="Leave out pictures that cannot be decoded, and list them.")
@click.option("--align", is_flag=True, help="Find each face by dlib and put it upright: for raw frames.")
def data_prepare(
    name: str, data_root: Path, side: int, out: Path | None, workers: int, skip_bad: bool, align: bool
) -> None:
    """Decode and resize a data set once, into one array file; run again to continue.

    Pictures are taken as they are, or by the face box that comes with them; raw frames of BP4D, DISFA and EmotioNet
    want --align, which needs dlib: pip install 'fernoise-bench[align]'.
    """
    from ...protocols.datasets.catalog import RAW, listing_of
    from ...protocols.packs.prepare import prepare

    if align and name not in RAW:
        raise BadInput(
            f"{name} is not aligned here: its own crops are used; leave --align out ({', '.join(RAW)} take it)"
        )
    listing = listing_of(name, data_root)
    place = out or data_root / "packs"
    with _counter() as counter:
        pack = prepare(listing, place, side, workers=workers, skip_bad=skip_bad, report=counter, align=align)
    partial = "; the copy is partial, see data verify" if listing.partial else ""
    click.echo(f"{len(pack.labels):,} faces of {side} px ({pack.crop}) in {place / f'{name}-{side}'}{partial}")
    if pack.skipped:
        click.echo(f"left out: {len(pack.skipped):,}, the first being {pack.skipped[0]}")
    if name in RAW and not align:
        click.echo("pictures were taken as faces that are aligned already; raw frames want --align")


@data.command("fingerprint")
@click.argument("name", required=False)
@ROOT
@click.option("--side", type=int, help="Of the pack of this side, rather than of the data set.")
@PACKS
@WORKERS
@click.option("--json", "as_json", is_flag=True)
def data_fingerprint(
    name: str | None, data_root: Path, side: int | None, out: Path | None, workers: int, as_json: bool
) -> None:
    """Digests of labels and pixels, to compare with another laboratory's.

    They are the same for the same rows in whatever layout and order. Without NAME: of every data set that is there.
    """
    from ...protocols.datasets.catalog import NAMES, fingerprint, fingerprint_of_pack

    packs = out or data_root / "packs"
    folders = {one: data_root / one if side is None else packs / f"{one}-{side}" for one in NAMES}
    names = [name] if name else [one for one, folder in folders.items() if folder.is_dir()]
    if not names:
        where = data_root if side is None else packs
        raise BadInput(f"{where}: no data set there; see data status, or name another folder by --data-root")
    found = []
    for one in names:
        if side is None:
            with _counter() as counter:
                found.append(fingerprint(one, data_root, workers=workers, report=counter))
        else:
            found.append(fingerprint_of_pack(one, side, packs))
    if as_json:
        click.echo(json.dumps([asdict(content) for content in found], indent=1))
        return
    for content in found:
        click.echo(f"{content.dataset}: {content.what}, {content.rows:,} rows")
        click.echo(f"  labels  {content.labels}\n  pixels  {content.pixels}\n  content {content.content}")


@contextlib.contextmanager
def _counter() -> Iterator[Counter]:
    """Progress in pictures, cleared at the end."""
    from ..progress import Counter

    counter = Counter("pictures")
    try:
        yield counter
    finally:
        counter.close()


@data.command("faces")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE.png", help="Where to write.")
@click.option("--size", type=int, default=64, show_default=True, help="Side of a face in pixels.")
@click.option("--seed", type=int, default=0, show_default=True)
def data_faces(out: Path, size: int, seed: int) -> None:
    """Draw a labelled contact sheet of generated faces: action units, expressions, noise examples."""
    from PIL import Image

    from ...protocols.faces.contact_sheet import sheet

    if out.suffix.lower() != ".png":
        raise BadInput(f"--out {out}: the sheet is a PNG image; name it like sheet.png")
    if size > LARGEST_FACE:
        raise BadInput(f"--size {size}: a sheet has faces of at most {LARGEST_FACE} pixels; ask for fewer")
    drawn = sheet(seed, size)
    try:
        Image.fromarray(drawn).save(out)
    except OSError as error:
        raise BadInput(f"--out {out}: {error.strerror or error}; choose another place") from error
    click.echo(f"wrote {out} ({drawn.shape[1]} x {drawn.shape[0]} pixels)")
