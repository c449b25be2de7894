"""`data apply`: a new table of labels by a person's decisions."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from ...protocols.errors import BadInput
from .options.common import JSON, print_json


@click.command("apply")
@click.argument("decisions", type=click.Path(path_type=Path), metavar="DECISIONS.csv")
@click.option("--protocol", required=True, metavar="FILE.toml", help="The protocol of your own data, as for run.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="FILE.csv",
    help="The new table of labels; the old one is never changed.",
)  # fmt: skip
@JSON
def data_apply(decisions: Path, protocol: str, out: Path, as_json: bool) -> None:
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
    from ...protocols.files import write_atomic
    from ...protocols.own_data.decisions import corrected, read_decisions

    found = catalog.find(protocol)
    if found.own is None:
        raise BadInput(
            f"--protocol {protocol}: labels of published data are their owners'; name a TOML file of your own"
        )
    read = [decisions, Path(found.own.file), found.own.table_path]
    if any(out.exists() and each.exists() and out.samefile(each) for each in read):
        raise BadInput(f"--out {out}: this file is read, and would be replaced; name another")
    new = corrected(found, read_decisions(decisions))
    try:
        write_atomic(out, new.content)
    except OSError as error:
        raise BadInput(f"--out {out}: {error.strerror or error}; choose another path") from error
    if as_json:
        print_json({"file": str(out), **new.counts, "verified": new.verified, "added": dict(new.added)})
        return
    told = ", ".join(f"{count:,} {word}" for word, count in new.counts.items())
    click.echo(f"wrote {out}: {told}" + (f"; {new.verified:,} pictures newly verified" if new.verified else ""))
    columns = "".join(f", [data.columns] {what} = {name!r}" for what, name in new.added.items())
    table = os.path.relpath(out, found.own.folder)
    click.echo(f"to use it: in {shlex.quote(protocol)} set [data] table = {table!r}{columns}")
