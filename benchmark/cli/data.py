"""`data`: find, verify, prepare and fingerprint data sets; draw generated faces."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...protocols.errors import BadInput, printable
from .data_apply import data_apply
from .options.common import DATA_ROOT, JSON, WORKERS, print_json, writable, write_file

if TYPE_CHECKING:
    from ...protocols.base import Protocol
    from ...protocols.datasets.catalog import Inspection
    from ...protocols.own_data.suspects import Suspect
    from ...protocols.readers.listing import Check
    from ..progress import Counter

PACKS = click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR",
    help="Folder of prepared data sets (packs). Default: packs/ in the data root.",
)  # fmt: skip
MOST_PIXELS = 256  # side of a face on the contact sheet, which holds over five hundred


@click.group()
def data() -> None:
    """Find, verify and prepare data sets; draw generated faces.

    \b
    fernoise-bench data status
    fernoise-bench data verify ferplus --quick
    """


@data.command("status")
@DATA_ROOT
@JSON
def data_status(data_root: Path, as_json: bool) -> None:
    """List data sets found and missing, and where to ask for them.

    \b
    fernoise-bench data status
    fernoise-bench data status --data-root /data --json
    """
    from tabulate import tabulate

    from ...protocols.datasets.catalog import where

    lines = where(data_root)
    if as_json:
        print_json(lines)
        return
    click.echo(tabulate([(line["data set"], line["found"], line["remark"]) for line in lines], tablefmt="plain"))


data.add_command(data_apply)
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


@data.command("new")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.toml")
@click.option(
    "--from", "source", type=click.Path(path_type=Path), required=True, metavar="FOLDER|TABLE",
    help="Class folders, a folder with metadata files, or a CSV, Parquet or JSON lines table.",
)  # fmt: skip
def data_new(file: Path, source: Path) -> None:
    """Write a protocol for your own pictures, and say what was guessed.

    Looks at a folder or table of pictures and labels. Read the file, correct it, then: data verify FILE.toml.

    \b
    fernoise-bench data new mine.toml --from pictures
    fernoise-bench data new mine.toml --from labels.csv
    """
    from ...protocols.catalog import PROTOCOLS
    from ...protocols.own_data.template import write_first

    guessed = write_first(file, source, {name.lower() for name in PROTOCOLS})
    click.echo(f"wrote {file}; guessed:")
    for line in guessed:
        click.echo(f"  {line}")
    click.echo(f"read it, correct it, then: fernoise-bench data verify {shlex.quote(str(file))}")


@data.command("verify")
@click.argument("name", metavar="NAME|FILE.toml")
@DATA_ROOT
@WORKERS
@click.option("--quick", is_flag=True, help="Check labels, file names and subjects only; decode no picture.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE.csv",
    help="Write a line for each suspicious picture of your own data: copies and near copies with both labels, damaged "
    "pictures, verified labels that are not the reference, subjects in several parts.",
)  # fmt: skip
@JSON
def data_verify(name: str, data_root: Path, workers: int, quick: bool, out: Path | None, as_json: bool) -> None:
    """Compare a copy of a data set with what its owners published.

    Checks counts and label values, the subjects of each fold, that every picture can be decoded, has the published
    size, is no copy of another, and that none is in two parts, pixel for pixel. FER2013 and FER+ are compared by a
    digest of all labels and pixels. Also tells how OpenFace's output and lists of noisy labels fit the pictures, where
    there are any. Exit code 1 where the copy differs, 2 where pictures are damaged.

    Of your own data, named by the TOML file of a protocol: counts, class shares, given labels against reference ones,
    subjects in two parts, copies and near copies of pictures within and across parts, pictures that cannot be decoded.

    \b
    fernoise-bench data verify ferplus
    fernoise-bench data verify rafdb --quick --data-root /data
    fernoise-bench data verify mine.toml --out suspects.csv
    """
    if own := _own_protocol(name):
        _verify_own(own, workers, quick, as_json, out)
        return
    if out:
        raise BadInput(f"--out is for your own data, named by a TOML file; {name} is a published set: leave it out")
    from ...protocols.datasets.beside import beside
    from ...protocols.datasets.catalog import inspect, verify

    if quick:
        found = inspect(name, data_root)
    else:
        with _picture_counter() as counter:
            found = verify(name, data_root, workers=workers, report=counter)
    others = [(other.what, _check_rows(other.checks)) for other in beside(name, data_root)]
    if as_json:
        head = {"dataset": name, "layout": found.layout, "rows": found.rows, "partial": found.partial}
        rows = {"checks": _check_rows(found.checks), "bad": found.bad}
        print_json({**head, "quick": quick, **rows, "beside": [{"what": w, "checks": c} for w, c in others]})
    else:
        _print_checks(found, quick)
        for what, checks in others:
            click.echo(f"\n{what}\n{_table(checks)}")
    sys.exit(2 if found.bad else 1 if found.partial else 0)


def _own_protocol(name: str) -> Protocol | None:
    """The protocol of a user's own data that a TOML file or another package has; None for anything else."""
    from ...protocols import catalog

    protocol = catalog.find(name) if name.endswith(catalog.SUFFIX) else catalog.known(name)
    return protocol if protocol is not None and protocol.own is not None else None


def _verify_own(protocol: Protocol, workers: int, quick: bool, as_json: bool, out: Path | None) -> None:
    """Prints what a user's own data are like; exits with 2 for damaged pictures, with 1 for a check that fails."""
    from ...protocols.own_data.verify import verify_own

    with _picture_counter() as counter:
        found = verify_own(protocol, workers=workers, report=counter, quick=quick)
    if out:
        _write_suspects(out, found.suspects)
    if as_json:
        told = {name: value for name, value in asdict(found).items() if name != "suspects"}
        print_json({**told, "checks": _check_rows(found.checks), "ok": found.ok, "quick": quick})
    else:
        sizes = f"; pixels {', '.join(found.sizes)}" if found.sizes else ""
        click.echo(f"{found.protocol}: {found.rows:,} pictures{sizes}\n\n{_table(_escaped(found.parts))}\n")
        tables = [found.labels, *([found.copies] if found.copies else []), _check_rows(found.checks)]
        click.echo("\n\n".join(_table(_escaped(table)) for table in tables))
        for line in found.bad[:5]:
            click.echo(f"damaged: {printable(line)}")
        if quick:
            click.echo("no picture was decoded: leave --quick out for damaged pictures and copies")
    sys.exit(2 if found.bad else 0 if found.ok else 1)


def _write_suspects(out: Path, suspects: Sequence[Suspect]) -> None:
    from ...protocols.own_data.suspects import as_csv

    write_file(out, as_csv(suspects))
    click.echo(f"wrote {out}: {len(suspects):,} lines, one for each suspicious picture and what is wrong", err=True)


def _escaped(rows: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Rows whose texts, as names of files, are safe to print."""
    return [{name: printable(cell) if isinstance(cell, str) else cell for name, cell in row.items()} for row in rows]


def prepare_own_data(name: str, data_root: Path, workers: int) -> int:
    """Prepares the pictures of a user's own protocol, showing progress, and counts them; nothing for published ones."""
    from ...protocols.loading import prepare_own

    protocol = _own_protocol(name)
    if protocol is None:
        return 0
    with _picture_counter() as counter:
        return len(prepare_own(protocol, data_root, workers=workers, report=counter))


def _check_rows(checks: Sequence[Check]) -> list[dict[str, object]]:
    return [
        {"what": c.what, "expected": c.expected, "found": c.found, "ok": "yes" if c.ok else "NO", "where": c.where}
        for c in checks
    ]


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    from tabulate import tabulate

    return str(tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True))


def _print_checks(found: Inspection, quick: bool) -> None:
    click.echo(f"{found.dataset}: layout {found.layout}, {found.rows:,} usable rows")
    click.echo(_table(_check_rows(found.checks)))
    if found.bad:
        click.echo(f"damaged: {len(found.bad):,} pictures cannot be decoded (--json names them all)")
    elif found.partial:
        click.echo("partial: it differs from what was published")
    else:
        click.echo(_complete(found, quick))


def _complete(found: Inspection, quick: bool) -> str:
    """What is known of a copy without a difference."""
    if found.by_content:
        return "complete: as published (labels and pixels have the published SHA-256)"
    seen = (
        "no picture was decoded" if quick else "labels row by row and pixels were not: no digest of them is published"
    )
    return f"complete: equal to the published set in all that is compared above; {seen}"


@data.command("prepare")
@click.argument("name", metavar="NAME|FILE.toml")
@DATA_ROOT
@click.option("--side", type=int, default=240, show_default=True, help="Side of the prepared faces in pixels.")
@PACKS
@WORKERS
@click.option("--skip-bad", is_flag=True, help="Leave out pictures that cannot be decoded, and list them.")
@click.option("--align", is_flag=True, help="Detect and align each face with dlib, for raw frames.")
def data_prepare(
    name: str, data_root: Path, side: int, out: Path | None, workers: int, skip_bad: bool, align: bool
) -> None:
    """Decode and resize the pictures of a data set once.

    The faces are written to one array file (a pack); run the command again to continue. Without --align, a picture is
    cropped to the face box published with it, or not at all. Raw frames of BP4D, DISFA, EmotioNet and CREMA-D need
    --align, which needs dlib: pip install 'fernoise-bench[align]'. Of your own data the TOML file says all but
    --workers.

    \b
    fernoise-bench data prepare rafdb --side 100
    fernoise-bench data prepare bp4d --align --workers 4
    """
    from ...protocols.datasets.catalog import RAW, listing_of
    from ...protocols.packs.prepare import prepare

    if _own_protocol(name):
        if out or skip_bad or align:
            raise BadInput(f"--out, --skip-bad, --align: leave them out; {name} says how its pictures are prepared")
        click.echo(
            f"{prepare_own_data(name, data_root, workers):,} pictures of {name} are prepared in {data_root}/packs"
        )
        return
    if align and name not in RAW:
        raise BadInput(
            f"--align: {name} is used with its published crops; leave --align out (it is for {', '.join(RAW)})"
        )
    listing = listing_of(name, data_root)
    packs = out or data_root / "packs"
    with _picture_counter() as counter:
        pack = prepare(listing, packs, side, workers=workers, skip_bad=skip_bad, report=counter, align=align)
    partial = "; the copy is partial, see data verify" if listing.partial else ""
    click.echo(f"{len(pack.labels):,} faces of {side} px ({pack.crop}) in {packs / f'{name}-{side}'}{partial}")
    if pack.skipped:
        click.echo(f"left out: {len(pack.skipped):,}, the first being {pack.skipped[0]}")
    if name in RAW and not align:
        click.echo("the pictures were taken as aligned faces; raw frames need --align")


@data.command("fingerprint")
@click.argument("name", required=False)
@DATA_ROOT
@click.option("--side", type=int, help="Use the pack of this side in pixels. Default: the data set itself.")
@PACKS
@WORKERS
@JSON
def data_fingerprint(
    name: str | None, data_root: Path, side: int | None, out: Path | None, workers: int, as_json: bool
) -> None:
    """Print digests of the labels and pixels of a data set.

    Two laboratories with equal rows get equal digests, in whatever layout and order. Without NAME, every data set
    found is digested.

    \b
    fernoise-bench data fingerprint ferplus
    fernoise-bench data fingerprint rafdb --side 100 --json
    """
    from ...protocols.datasets.catalog import NAMES, fingerprint, fingerprint_of_pack

    packs = out or data_root / "packs"
    folders = {each: data_root / each if side is None else packs / f"{each}-{side}" for each in NAMES}
    names = [name] if name else [each for each, folder in folders.items() if folder.is_dir()]
    if not names:
        where = data_root if side is None else packs
        raise BadInput(f"{where}: no data set there; see data status, or name another folder by --data-root")
    found = []
    for each in names:
        if side is None:
            with _picture_counter() as counter:
                found.append(fingerprint(each, data_root, workers=workers, report=counter))
        else:
            found.append(fingerprint_of_pack(each, side, packs))
    if as_json:
        print_json([asdict(content) for content in found])
        return
    for content in found:
        click.echo(f"{content.dataset}: {content.what}, {content.rows:,} rows")
        click.echo(f"  labels  {content.labels}\n  pixels  {content.pixels}\n  content {content.content}")


def _picture_counter() -> contextlib.closing[Counter]:
    """Shows progress in pictures; its line is cleared at the end."""
    from ..progress import Counter

    return contextlib.closing(Counter("pictures"))


@data.command("faces")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE.png", help="File to write.")
@click.option("--size", type=int, default=64, show_default=True, help="Side of a face in pixels.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the faces.")
def data_faces(out: Path, size: int, seed: int) -> None:
    """Draw a contact sheet of generated faces.

    It shows action units, expressions and examples of noise, labelled.

    \b
    fernoise-bench data faces --out sheet.png
    fernoise-bench data faces --out sheet.png --size 96 --seed 3
    """
    from PIL import Image

    from ...protocols.faces.contact_sheet import sheet

    if out.suffix.lower() != ".png":
        raise BadInput(f"--out {out}: the sheet is a PNG image; name it like sheet.png")
    if size > MOST_PIXELS:
        raise BadInput(f"--size {size}: a sheet has faces of at most {MOST_PIXELS} pixels; ask for fewer")
    drawn = sheet(seed, size)
    with writable(out):
        Image.fromarray(drawn).save(out)
    click.echo(f"wrote {out} ({drawn.shape[1]} x {drawn.shape[0]} pixels)")
