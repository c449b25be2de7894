"""Trials of several output folders, and what ships, read as one set of records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ...protocols.activity import doing
from .cache import load_cached
from .record import RULES, Record, differing_fields
from .reference_leaderboard import as_shipped, records_or_shipped, shipped_records
from .schema import comparability_key


class Joined(NamedTuple):
    """Records read as one set.

    Attributes:
        records: in the order of their folders.
        damaged: a message for each damaged trial.
        notices: what a reader must be told.
        reference_alone: they are the results that ship, in place of a user's own.
    """

    records: list[Record]
    damaged: list[str]
    notices: list[str]
    reference_alone: bool = False


class Parted(NamedTuple):
    """The records that may stand together, shipped ones that may not, and the fields in which these differ."""

    together: list[Record]
    apart: list[Record]
    fields: list[str]

    @property
    def mixed(self) -> bool:
        """Whether tables of several comparability keys are in order: shipped ones stand apart, or alone."""
        return bool(self.apart) or all(record.shipped for record in self.together)


def joined(folders: Sequence[Path], *, named: bool = True, with_reference: bool = False) -> Joined:
    """The records of several output folders; a trial that is in several counts once.

    Args:
        folders: the first that has a finished copy of a trial counts.
        named: the user named them, so that what ships does not take their place where they hold no trial.
        with_reference: what ships comes after them, marked as shipped.
    """
    if not named and not with_reference:
        own, messages, notice = records_or_shipped(folders[0])
        return Joined(own, messages, [notice] if notice else [], reference_alone=bool(notice))
    found = []
    for folder in folders:
        with doing(f"reading the trials in {folder}"):
            found.append(load_cached(folder))
    if with_reference:
        records, damaged = shipped_records()
        found.append(([as_shipped(record) for record in records], damaged))
    records, notices = once([record for mine, _ in found for record in mine])
    return Joined(records, [message for _, messages in found for message in messages], notices)


def once(records: Iterable[Record]) -> tuple[list[Record], list[str]]:
    """The records without repetitions of a trial, and what a reader must be told of them.

    A trial is named by the hash of all that identifies it. The first finished one counts, else the first.
    """
    copies: dict[str, list[Record]] = {}
    for record in records:
        copies.setdefault(record.folder, []).append(record)
    kept = [next((each for each in found if each.done), found[0]) for found in copies.values()]
    several = [found for found in copies.values() if len(found) > 1]
    unlike = [found[0] for found in several if len({_scores(each) for each in found if each.done}) > 1]
    notices = (
        [f"in several places, and counted once: {len(several)} trial{'s' * (len(several) > 1)}"] if several else []
    )
    if unlike:
        notices.append(
            f"{len(unlike)} of them have other scores there, as {unlike[0].folder}: the first place counts; "
            "fernoise-bench diff compares two places"
        )
    return kept, notices


def _scores(record: Record) -> tuple[float | None, ...]:
    return tuple(record.headline(rule) for rule in RULES)


def parted(records: Sequence[Record]) -> Parted:
    """Tells shipped records that may share a table with the user's own from those that may not.

    A shipped record may where the own records of its protocol have its comparability key; where there are none of its
    protocol, where they have its setting. Without own records, all may.
    """
    own = [record for record in records if not record.shipped]
    keys: dict[str, dict[str, Record]] = {}
    for record in own:
        keys.setdefault(record.protocol, {})[record.identity.key] = record
    settings = {record.identity.setting for record in own}
    together: list[Record] = []
    apart: list[Record] = []
    for record in records:
        if not own or not record.shipped:
            fits = True
        elif record.protocol in keys:
            fits = record.identity.key in keys[record.protocol]
        else:
            fits = record.identity.setting in settings
        (together if fits else apart).append(record)
    fields = {name for record in _one_of_each_key(apart) for name in _differing(record, own, keys)}
    return Parted(together, apart, sorted(fields))


def _one_of_each_key(records: Iterable[Record]) -> list[Record]:
    return list({record.identity.key: record for record in records}.values())


def _differing(record: Record, own: Sequence[Record], keys: dict[str, dict[str, Record]]) -> list[str]:
    """The fields in which a shipped record differs from the own ones of its protocol, or from their setting."""
    if record.protocol in keys:
        alike = [record, *keys[record.protocol].values()]
        return differing_fields(comparability_key(each.identity.content) for each in alike)
    return differing_fields(each.identity.setting._asdict() for each in (record, *own))
