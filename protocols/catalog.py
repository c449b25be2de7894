"""All protocols, by name."""

from __future__ import annotations

from .base import Protocol
from .definitions.action_units import AU_PROTOCOLS
from .definitions.expressions import EXPRESSION_PROTOCOLS
from .errors import unknown

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in (*AU_PROTOCOLS, *EXPRESSION_PROTOCOLS)}


def find(name: str) -> Protocol:
    """The protocol of the given name; for an unknown name BadInput with the most similar names."""
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
