"""The options that choose among stored trials, and the records they choose."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ....protocols.errors import BadInput, unknown
from ....results.records.names import named_method
from ....results.records.names import named_methods as named_methods  # commands take it from here
from .common import METHODS_SHOWN, PROFILES, add_options, warn_of_damage

if TYPE_CHECKING:
    from ....protocols.base import Protocol
    from ....results.records.joined import Joined, Parted
    from ....results.records.record import Record

DEFAULT_RUNS = Path("fernoise-runs")

RUNS = click.option(
    "--runs", type=click.Path(path_type=Path), default=DEFAULT_RUNS, show_default=True, metavar="DIR",
    help="Folder of the results to read.",
)  # fmt: skip
SEVERAL_RUNS = click.option(
    "--runs", type=click.Path(path_type=Path), multiple=True, default=(DEFAULT_RUNS,), metavar="DIR",
    show_default=str(DEFAULT_RUNS),
    help="Folder of the results to read. Can be repeated: a trial that is in several counts once.",
)  # fmt: skip
WITH_REFERENCE = click.option(
    "--with-reference", is_flag=True,
    help="Add the results that ship with fernoise-bench, marked ◇. They share a table with your own where all settings "
    "agree; else the fields that differ are named.",
)  # fmt: skip
RECIPE = click.option(
    "--recipe", type=click.Choice(["protocol", "native"]),
    help="Use only trials trained by this recipe: the protocol's, or that of each method's own paper (native).",
)  # fmt: skip
LABELS = click.option(
    "--label", "labels", multiple=True, metavar="NAME=TEXT",
    help="Call a method's row TEXT, as in mine.MyMethod=Ours. Can be repeated.",
)  # fmt: skip
record_filters = add_options(
    SEVERAL_RUNS,
    WITH_REFERENCE,
    METHODS_SHOWN,
    click.option("--profile", type=PROFILES, help="Use only trials of this profile."),
    click.option("--synthetic/--real", "synthetic", default=None, help="Use only trials on generated, or real, faces."),
)


@dataclass(frozen=True)
class Chosen:
    """What the options of a command choose; None and empty values choose all.

    Attributes:
        runs: folders, at least one.
        with_reference: what ships too.
    """

    runs: tuple[Path, ...]
    with_reference: bool = False
    profile: str | None = None
    synthetic: bool | None = None
    recipe: str | None = None

    @property
    def filters(self) -> str:
        """The filters as they are typed on the command line."""
        source = "" if self.synthetic is None else (" --synthetic" if self.synthetic else " --real")
        profile = f" --profile {self.profile}" if self.profile else ""
        return profile + source + (f" --recipe {self.recipe}" if self.recipe else "")

    @property
    def home(self) -> str:
        """The folder that further trials go to, as an option's value; "" for the default, which needs no option."""
        return unless_default(self.runs[0])

    def matches(self, record: Record) -> bool:
        """Whether a record passes the filters."""
        source = None if self.synthetic is None else ("generated" if self.synthetic else "real")
        return (
            self.profile in (None, record.identity.profile)
            and source in (None, record.identity.source)
            and self.recipe in (None, record.identity.recipe)
        )

    def read(self) -> Joined:
        """The records that match, damaged trials and notices; those that ship where the default folder has none.

        Raises:
            BadInput: a folder that was named does not exist.
        """
        from ....results.records.joined import joined

        named = self.runs != (DEFAULT_RUNS,)
        for folder in self.runs if named else ():
            if not folder.is_dir():
                raise BadInput(
                    f"--runs {folder}: no such folder; leave --runs out to read {DEFAULT_RUNS} or the reference "
                    "leaderboard"
                )
        found = joined(self.runs, named=named, with_reference=self.with_reference)
        return found._replace(records=[record for record in found.records if self.matches(record)])

    def told(self) -> Joined:
        """As `read`; notices and damaged trials go to standard error."""
        found = self.read()
        for notice in found.notices:
            click.echo(notice, err=True)
        warn_of_damage(found.damaged)
        return found

    def records(self) -> list[Record]:
        """The records of `told`."""
        return self.told().records


def named_protocol(
    name: str, chosen: Chosen, ids: Sequence[str] = (), what: str = "table or protocol"
) -> tuple[str, Protocol | None]:
    """The name in records of a protocol's name or TOML file, and the protocol; None for an ID or a name of records.

    Args:
        name: as typed.
        chosen: the records.
        ids: of the papers' tables or figures.
        what: what is named, for the message.

    Raises:
        BadInput: a name that is neither known nor in the records.
    """
    from ....protocols import catalog

    protocol = catalog.find(name) if name.endswith(catalog.SUFFIX) else catalog.known(name)
    if protocol is None and name not in ids:
        recorded = {each: record.protocol for record in chosen.read().records for each in _names_of(record)}
        if name in recorded:
            return recorded[name], None
        raise unknown(what, name, [*ids, *catalog.names()])
    return (name if protocol is None else protocol.name), protocol


def _names_of(record: Record) -> tuple[str, str]:
    """A record's protocol, without and with its version."""
    return record.protocol, record.identity.protocol.key


def records_of_protocol(
    records: Sequence[Record], name: str, chosen: Chosen, protocol: Protocol | None = None
) -> list[Record]:
    """The records of a protocol, of a user's own those of its file and data as they are now.

    Raises:
        BadInput: there are none; the message names the folders and the filters, or what has changed since.
    """
    from ....protocols.designs.held_out import suffix_of
    from .current import older, told

    own = protocol.own if protocol is not None else None
    typed = name if own is None else shlex.quote(f"{own.file}{suffix_of(name)}")
    found = [record for record in records if record.protocol == name]
    if not found:
        fit = f" that fit{chosen.filters}" if chosen.filters else ""
        out = f" --out {shlex.quote(chosen.home)}" if chosen.home else ""
        raise BadInput(
            f"no records of {name} in {', '.join(map(str, chosen.runs))}{fit}; make them with: "
            f"fernoise-bench run --protocol {typed} --all-methods{chosen.filters.replace(' --real', '')}{out}"
        )
    if protocol is None or protocol.own is None or not (left_out := older(found, protocol)):
        return found
    if len(left_out) == len(found):
        raise BadInput(
            f"no trials of {typed} as it is now, only older ones ({told(left_out)}): run it again with "
            f"fernoise-bench run --protocol {typed}"
        )
    click.echo(f"left out, older trials of {name}: {told(left_out)}", err=True)
    return [record for record in found if record.folder not in left_out]


def unless_default(runs: Path) -> str:
    """The folder as an option's value; an empty string for the default, which needs no option."""
    return "" if runs == DEFAULT_RUNS else str(runs)


def apart(records: Sequence[Record], what: str) -> Parted:
    """The records that may stand together, and those that ship and may not: their differing fields are printed.

    Args:
        records: of `Chosen.records`.
        what: what becomes of the others, as in "are left out".
    """
    from ....results.records.joined import parted

    found = parted(records)
    if found.apart:
        click.echo(f"the results that ship differ from yours in {', '.join(found.fields)}: they {what}", err=True)
    return found


def of_one_profile(records: Sequence[Record], found: Joined) -> list[Record]:
    """The records of the profile with the most trials, where what ships is read alone; the others are told.

    A user's own trials of several profiles are left as they are: which are meant is theirs to say.
    """
    counts = Counter(record.identity.profile for record in records)
    if len(counts) < 2 or not found.reference_alone:
        return list(records)
    (drawn, number), *others = counts.most_common()
    left = ", ".join(f"{count} with --profile {profile}" for profile, count in others)
    click.echo(f"drawn: {number} trials of the profile {drawn}, as ships; there are {left}", err=True)
    return [record for record in records if record.identity.profile == drawn]


def of_methods(records: Sequence[Record], typed: Sequence[str], where: str) -> tuple[list[Record], tuple[str, ...]]:
    """The records of some methods, and the methods' names; all records where none is named. Errors as above."""
    names = named_methods(typed, {record.method for record in records}, where)
    return [record for record in records if not names or record.method in names], names


def labels_of(typed: Sequence[str], known: Collection[str], where: str) -> Mapping[str, str]:
    """By method, the label of `--label NAME=TEXT`.

    Raises:
        BadInput: no "=", an unknown method, or a label that would name two rows.
    """
    labels: dict[str, str] = {}
    for each in typed:
        name, equals, text = each.partition("=")
        if not equals or not text.strip() or not text.isprintable():
            raise BadInput(f"--label {each}: write NAME=TEXT, as in mine.MyMethod=Ours")
        labels[named_method(name, known, where)] = text.strip()
    rows = [labels.get(name, name) for name in known]
    if twice := next((row for row in rows if rows.count(row) > 1), None):
        raise BadInput(f"--label: two rows would be called '{twice}'; choose another label")
    return labels


def not_applicable(protocol: Protocol, records: Sequence[Record]) -> dict[str, str]:
    """Methods (without variants) that cannot run on a protocol, with the reasons; not those that have records of it."""
    from ....protocols.loading import offered
    from ....protocols.offers import offered_by_labels
    from ...method_summary import outline
    from ...registry import lacking, names

    source = records[0].identity.source
    real = protocol.offers | offered_by_labels(protocol, "real")  # whether files of more labels are there is not known
    offers = real if source == "real" else offered(protocol, source, None)
    recorded = {record.method for record in records}
    reasons = {
        method: lacking(outline(target).needs, protocol, offers)
        for method, target in names().items()
        if method not in recorded
    }
    return {method: reason for method, reason in reasons.items() if reason}
