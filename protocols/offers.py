"""What a protocol's labels offer to methods besides its `offers`; no part of its fingerprint, no data is read."""

from __future__ import annotations

from typing import Literal

from .base import Protocol
from .vote_noise import TWIN_NOISE, VOTE_NOISE


def offered_by_labels(protocol: Protocol, source: Literal["real", "generated"]) -> frozenset[str]:
    """What methods can use: "votes" of several annotators a face, the "transition" between right and given labels."""
    found = {"votes": _has_votes(protocol, source), "transition": _knows_transition(protocol)}
    return frozenset(name for name, there in found.items() if there)


def _has_votes(protocol: Protocol, source: Literal["real", "generated"]) -> bool:
    """Generated faces have them where labels are drawn from them."""
    if protocol.own is not None:
        return bool(protocol.own.column("votes") or protocol.own.column("annotator"))
    drawn = protocol.noise == "votes" or protocol.noise in VOTE_NOISE or protocol.noise in TWIN_NOISE
    return drawn or (protocol.design == "ferplus" and source == "real")


def _knows_transition(protocol: Protocol) -> bool:
    """Whether training rows have reference labels that differ from the given ones by the protocol's noise."""
    if protocol.kind == "single":
        return "noise_rate" in protocol.offers
    own_reference = protocol.own is not None and protocol.option("reference") != "none"
    return "flip" in protocol.noise or (own_reference and protocol.option("reference rows") == "all")
