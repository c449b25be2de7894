"""Every protocol, by name."""

from __future__ import annotations

from .base import Protocol
from .definitions.action_units import AU_PROTOCOLS
from .definitions.expressions import EXPRESSION_PROTOCOLS
from .errors import unknown

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in (*AU_PROTOCOLS, *EXPRESSION_PROTOCOLS)}


def find(name: str) -> Protocol:
    """The protocol of that name; BadInput with the nearest names for another."""
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
