"""Names of the settings of a protocol on the page; each setting is a block of records with its own tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..analysis.grouping import Block, field_of, unique
from ..records.record import differing_fields
from ..records.schema import Identity, comparability_key
from ..records.store import trial_id


def setting_words(found: Sequence[Block]) -> list[str]:
    """A unique name for each block of a protocol: what distinguishes it from the others.

    Settings and data usually follow from the profile: they are named only where two blocks have nothing else different.
    """
    words = [_own_words(block.records[0].identity, block.distinction) for block in found]
    for name in unique(words):
        places = [place for place, each in enumerate(words) if each == name]
        if len(places) > 1:
            parts = _apart([comparability_key(found[place].records[0].identity.content) for place in places])
            for place, more in zip(places, parts, strict=True):
                words[place] = ", ".join((name, *more))
    return words


def _apart(keys: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """The fewest fields that distinguish the keys, such as "precision bf16" for one and "precision fp32"."""
    names = sorted(differing_fields(keys), key=lambda name: not name.startswith("settings."))
    parts_of: list[tuple[str, ...]] = [()] * len(keys)
    columns = [[_field_words(key, name) for key in keys] for name in names]
    for column in [*columns, [f"key {trial_id(key)}" for key in keys]]:  # the last for values that print alike
        longer = [(*parts, word) for parts, word in zip(parts_of, column, strict=True)]
        parts_of = longer if len(set(longer)) > len(set(parts_of)) else parts_of
    return parts_of


def _field_words(key: Mapping[str, Any], dotted: str) -> str:
    # without commas, since the page splits these names at commas
    return f"{dotted.removeprefix('settings.').replace('.', ' ')} {field_of(key, dotted)}".replace(",", "")


def _own_words(identity: Identity, distinction: str) -> str:
    """A block's heading: profile, faces, and what differs from the protocol's other blocks."""
    named = ("profile = ", "source = ", "partial = ", "recipe = ", "protocol.fingerprint = ", "settings.", "data.")
    salt = ("noise_salt = ",) if identity.noise_salt else ()  # without one, no word of the setting says so
    rest = [part for part in distinction.split("; ") if part and not part.startswith((*named, *salt))]
    return ", ".join([*identity.setting.words, *rest])
