"""A protocol that was released never changes under its version: results made with it would no longer compare."""

from __future__ import annotations

import json
from pathlib import Path

from fernoise_bench.protocols.catalog import PROTOCOLS

RELEASED: dict[str, dict[str, str]] = json.loads((Path(__file__).parent / "released.json").read_text())


def test_every_protocol_has_its_released_fingerprints() -> None:
    """A change of anything measured raises the version and adds a line to released.json; old lines stay."""
    now = {
        f"{protocol.name}@{protocol.version}": {profile: protocol.fingerprint(profile) for profile in protocol.profiles}
        for protocol in PROTOCOLS.values()
    }
    assert {name: RELEASED.get(name) for name in now} == now


def test_the_lines_of_earlier_versions_stay() -> None:
    released = {f"{protocol.name}@{old}" for protocol in PROTOCOLS.values() for old in range(1, protocol.version + 1)}
    assert released <= RELEASED.keys()
