"""What the page calls the settings of a protocol: blocks of records that never share a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..analysis.grouping import Block, field_of, unique
from ..records.record import differing_fields
from ..records.schema import Identity, comparability_key
from ..records.store import trial_id


def setting_words(found: Sequence[Block]) -> list[str]:
    """What sets each of a protocol's blocks apart, in words no other of them has.

    Settings and data follow from the profile as a rule: they are named only where nothing else tells two blocks apart.
    """
    words = [_own_words(block.records[0].identity, block.distinction) for block in found]
    for same in unique(words):
        places = [place for place, each in enumerate(words) if each == same]
        if len(places) > 1:
            parts = _apart([comparability_key(found[place].records[0].identity.content) for place in places])
            for place, more in zip(places, parts, strict=True):
                words[place] = ", ".join((same, *more))
    return words


def _apart(keys: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """The fields that tell keys apart, as few as do it, such as "precision bf16" for one and "precision fp32"."""
    names = sorted(differing_fields(keys), key=lambda name: not name.startswith("settings."))
    told: list[tuple[str, ...]] = [()] * len(keys)
    columns = [[_field_words(key, name) for key in keys] for name in names]
    for column in [*columns, [f"key {trial_id(key)}" for key in keys]]:  # the last for values of one spelling
        longer = [(*parts, word) for parts, word in zip(told, column, strict=True)]
        told = longer if len(set(longer)) > len(set(told)) else told
    return told


def _field_words(key: Mapping[str, Any], dotted: str) -> str:
    # a comma would part the words where the page shortens them
    return f"{dotted.removeprefix('settings.').replace('.', ' ')} {field_of(key, dotted)}".replace(",", "")


def _own_words(identity: Identity, distinction: str) -> str:
    """What sets a block apart, for a heading: profile, faces, and what differs from the protocol's other blocks."""
    named = ("profile = ", "source = ", "partial = ", "recipe = ", "protocol.fingerprint = ", "settings.", "data.")
    rest = [part for part in distinction.split("; ") if part and not part.startswith(named)]
    return ", ".join([*identity.setting.words, *rest])
