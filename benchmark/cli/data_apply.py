"""`data apply`: a new table of labels by a person's decisions."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from ...protocols.errors import BadInput
from .options.common import JSON, print_json, write_file


@click.command("apply")
@click.argument("decisions", type=click.Path(path_type=Path), metavar="DECISIONS.csv")
@click.option("--protocol", required=True, metavar="FILE.toml", help="The protocol of your own data, as for run.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="FILE.csv",
    help="The new table of labels; the old one is never changed.",
)  # fmt: skip
@click.option(
    "--verified", default="", metavar="NAME",
    help="Add a column of this name, in which pictures whose labels were kept or fixed are marked as verified.",
)  # fmt: skip
@JSON
def data_apply(decisions: Path, protocol: str, out: Path, verified: str, as_json: bool) -> None:
    """Apply decisions on doubtful labels to your own table.

    DECISIONS.csv is what the page of label-errors downloads: the columns path, given, decision (keep, fix, unsure) and
    label, for action units also unit. Labels to fix are changed; where the protocol has a column of verified rows,
    pictures whose labels were kept or fixed are marked there. A decision about a label that the table no longer has is
    refused, and nothing is written then.

    \b
    fernoise-bench data apply decisions.csv --protocol mine.toml --out new.csv
    fernoise-bench data apply done.csv --protocol mine.toml --out new.csv --json
    """
    from ...protocols import catalog
    from ...protocols.designs.held_out import base_of, suffix_of
    from ...protocols.own_data.decisions import corrected, read_decisions

    found = base_of(catalog.find(protocol))
    if found.own is None:
        what = "labels of published data are their owners'"
        raise BadInput(f"--protocol {protocol}: {what}; name a TOML file of your own")
    new = corrected(found, read_decisions(decisions), verified)
    _check_place(out, [decisions, Path(found.own.file)], found.own.table_path, new.content)
    write_file(out, new.content)
    if as_json:
        marked = {"verified": new.verified, "added": dict(new.added), "left_out": list(new.left_out)}
        print_json({"file": str(out), **new.counts, **marked})
        return
    told = ", ".join(f"{count:,} {word}" for word, count in new.counts.items())
    marked_too = f"; {new.verified:,} newly marked as verified" if new.verified else ""
    click.echo(f"wrote {out}: {told}{marked_too}")
    if new.left_out:
        click.echo(f"left out, columns that the protocol does not read: {', '.join(new.left_out)}")
    if new.verified is None and new.counts["keep"]:
        click.echo("what was kept is not recorded: there is no column of verified rows; --verified NAME adds one")
    columns = "".join(f", [data.columns] {what} = {name!r}" for what, name in new.added.items())
    typed = shlex.quote(protocol.removesuffix(suffix_of(protocol)))
    click.echo(f"to use it: in {typed} set [data] table = {os.path.relpath(out, found.own.folder)!r}{columns}")


def _check_place(out: Path, read: list[Path], table: Path, content: bytes) -> None:
    """Raises BadInput where the new table would replace a file that is read, or one that is no such table."""
    from ...protocols.own_data.tables import TEXTS

    if out.suffix.lower() not in TEXTS:
        raise BadInput(f"--out {out}: name it with .csv at the end")
    below = table.is_dir() and out.resolve().is_relative_to(table.resolve())
    if out.exists() and (below or any(each.exists() and out.samefile(each) for each in [*read, table])):
        raise BadInput(f"--out {out}: this file is read, and would be replaced; name another")
    head = content.partition(b"\n")[0]
    if out.exists() and (not out.is_file() or out.read_bytes()[: len(head)] != head):
        raise BadInput(f"--out {out}: a file that is no table with these columns is there; remove it or name another")
