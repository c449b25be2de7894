"""Which trials of a user's own protocol are of its file and data as they are now."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ....protocols.errors import BadInput
from .common import DEFAULT_DATA_ROOT

if TYPE_CHECKING:
    from ....protocols.base import Protocol
    from ....results.records.record import Record


def older(records: Sequence[Record], protocol: Protocol) -> Mapping[str, str]:
    """By folder, the trials of a protocol that are not of its file and data as they are now, and what has changed.

    The labels and pictures are compared where the pictures are prepared and no file of them has changed since; else
    a line on standard error says that they are not.
    """
    mine = [record for record in records if record.protocol == protocol.name]
    found = {record.folder: _changed(record, protocol) for record in mine}
    found = {folder: changed for folder, changed in found.items() if changed}
    left = [record for record in mine if record.folder not in found]
    if left and (digest := _digest_now(protocol)):
        other = [record.folder for record in left if record.identity.data.digest != digest]
        found |= dict.fromkeys(other, "of other labels or pictures")
    return found


def told(older: Mapping[str, str]) -> str:
    """How many trials are older, by what has changed since."""
    counts = sorted(Counter(older.values()).items())
    return ", ".join(f"{count:,} {changed}" for changed, count in counts)


def _changed(record: Record, protocol: Protocol) -> str:
    was, profile = record.identity.protocol, record.identity.profile
    if was.version != protocol.version:
        return f"of version {was.version} (the file has {protocol.version})"
    if profile not in protocol.profiles or was.fingerprint != protocol.fingerprint(profile):
        return "from before a change of the file"
    return ""


def _digest_now(protocol: Protocol) -> str:
    """The digest of the labels and pictures as they are now, "" where it is not known."""
    from ....protocols.loading import digest_if_prepared

    root = Path(os.environ.get("FERNOISE_DATA") or DEFAULT_DATA_ROOT)
    try:
        digest = digest_if_prepared(protocol, root)
        why = "" if digest else f"its pictures are not prepared in {root / 'packs'}, or have changed since"
    except BadInput as error:
        digest, why = "", str(error)
    if why:
        click.echo(
            f"not checked: whether labels and pictures of {protocol.name} are those of its trials: {why}", err=True
        )
    return digest
