"""`runs`: what an output folder holds, and the removal of a method's trials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...protocols.errors import BadInput
from .options.common import JSON, print_json, separated, warn_of_damage
from .options.records import RUNS, named_methods
from .options.terminal import print_grid

if TYPE_CHECKING:
    from ..run_folder import Group


@click.group()
def runs() -> None:
    """List the trials in an output folder, or remove some.

    \b
    fernoise-bench runs list --runs my-runs
    fernoise-bench runs rm --method mine.Mine --runs my-runs
    """


@runs.command("list")
@RUNS
@JSON
def list_runs(runs: Path, as_json: bool) -> None:
    """List the trials of each version of a method: how many, how large, how new.

    A method whose code or hyper-parameters changed has a line for each version, the latest first.

    \b
    fernoise-bench runs list
    fernoise-bench runs list --runs my-runs --json
    """
    from ..run_folder import groups_of

    found, damaged = groups_of(runs)
    warn_of_damage(damaged)
    if as_json:
        print_json([{**group.told, "bytes": group.size} for group in found])
        return
    if not found:
        click.echo(f"no trials in {runs}")
        return
    _print(found)


@runs.command("rm")
@click.option(
    "--method", "methods", multiple=True, metavar="NAME", callback=separated,
    help="Remove the trials of this method: NAME, NAME:VARIANT or file.py:Class. Can be repeated, or several with "
    "commas. Can be left out with --older-than.",
)  # fmt: skip
@click.option(
    "--digest", metavar="DIGITS", help="Only those of this version, as 1a2b3c of a table's row mine.Mine #1a2b3c."
)
@click.option("--protocol", metavar="NAME", help="Only those of this protocol.")
@click.option(
    "--older-than", "file", metavar="FILE.toml",
    help="Only those of this file's protocol that were run before the file, its labels or its pictures changed.",
)  # fmt: skip
@RUNS
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove_runs(
    methods: tuple[str, ...], digest: str | None, protocol: str | None, file: str | None, runs: Path, yes: bool
) -> None:
    """Remove the trials of a method from an output folder, or older ones of a protocol of your own.

    Says what will be removed and how many bytes that are, and asks. Results that ship are never removed.

    \b
    fernoise-bench runs rm --method mine.Mine --runs my-runs
    fernoise-bench runs rm --method mine.py:Mine --digest 1a2b3c --yes
    fernoise-bench runs rm --older-than mine.toml
    """
    from ..progress import counted
    from ..run_folder import check_own, groups_of, remove_group

    if digest is not None and not digest.removeprefix("#"):
        raise BadInput(f"--digest {digest}: name a version by its digits, or leave --digest out to remove all versions")
    if not methods and file is None:
        raise BadInput("--method or --older-than: name one, or both; see runs list")
    check_own(runs)
    every, damaged = groups_of(runs)
    warn_of_damage(damaged)
    if every and file is not None:
        every = _older_than(file, every, runs)
    if not every:
        raise BadInput(f"no trials in {runs}; name the folder that `run --out` wrote to with --runs DIR")
    names = named_methods(methods, {group.method for group in every}, f"the trials in {runs}")
    found = [
        group
        for group in every
        if (not names or group.method in names)
        and (digest is None or group.version.startswith(digest.removeprefix("#")))
        and protocol in (None, group.protocol, group.protocol.partition("@")[0])
    ]
    if not found:
        versions = ", ".join(
            f"{group.protocol} {group.method} {group.version}" for group in every if not names or group.method in names
        )
        raise BadInput(f"no trials of this --digest and --protocol; there are: {versions}")
    _print(found)
    count, size = sum(group.trials for group in found), sum(group.size for group in found)
    if not yes:
        click.confirm(f"remove {counted(count, 'trial')}, {size:,} bytes, from {runs}?", abort=True)
    busy = [place for group in found for place in remove_group(group, runs)]
    click.echo(f"removed {counted(count - len(busy), 'trial')} from {runs}")
    for place in busy:
        click.echo(f"left: {place}: another run is working on it", err=True)


def _older_than(file: str, groups: Sequence[Group], runs: Path) -> list[Group]:
    """The trials that are older than a user's own protocol as its file and data are now; BadInput for none."""
    from ...protocols.catalog import protocol_of_file
    from ...results.records.record import load_records
    from ..run_folder import only
    from .options.current import older

    folders = older(load_records(runs)[0], protocol_of_file(Path(file)))
    found = [part for group in groups if (part := only(group, folders, runs)).folders]
    if not found:
        raise BadInput(f"--older-than {file}: no trials in {runs} are older than it")
    return found


def _print(groups: Sequence[Group]) -> None:
    """A line for each version of a method."""
    rows = [[*map(str, group.told.values()), f"{group.size:,}"] for group in groups]
    sides = ["right" if isinstance(value, int) else "left" for value in groups[0].told.values()]
    print_grid([*groups[0].told, "bytes"], rows, [*sides, "right"])
