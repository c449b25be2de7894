"""From a protocol's name to the rows of a cell."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from .base import Protocol
from .designs import action_units, ferplus, packed_expressions, regression
from .rows import CellData, Origin, Source

DESIGNS: dict[str, ModuleType] = {
    "au": action_units,
    "check": regression,
    "ferplus": ferplus,
    "packed": packed_expressions,
}


@dataclass(frozen=True)
class Data:
    """A protocol's faces, read or drawn once, from which every cell is cut."""

    protocol: Protocol
    profile: str
    source: Source
    loaded: Any

    @property
    def origin(self) -> Origin:
        """Where the faces come from."""
        found: Origin = self.loaded.origin
        return found

    @property
    def aux_digest(self) -> str:
        """Digest of the auxiliary labels of all rows, or an empty string where there are none."""
        if not getattr(self.loaded, "aux_names", ()):
            return ""
        parts = (self.loaded.train, self.loaded.validation, self.loaded.test)
        return hashlib.sha256(b"".join(part.aux.tobytes() for part in parts)).hexdigest()[:16]

    def serves(self, protocol: Protocol, profile: str, source: Source) -> bool:
        """Whether these are the faces of that protocol at that profile and source."""
        return (self.protocol, self.profile, self.source) == (protocol, profile, source)

    def cell(self, fold: str | None, level: float | None, draw: int) -> CellData:
        """The rows of one cell; pure: the same arguments give the same rows."""
        design = DESIGNS[self.protocol.design]
        cell: CellData = design.cell(
            self.protocol, self.protocol.profile(self.profile), self.source, self.loaded, fold, level, draw
        )
        return cell


def offered(protocol: Protocol, source: Source, data: Data | None) -> frozenset[str]:
    """What methods may need and get: what the protocol promises, and auxiliary AUs where the data have them.

    Generated expressions come with the simulated coder's; real faces with OpenFace's where its output is there.
    """
    aux = protocol.kind == "single" if source == "generated" or data is None else bool(data.aux_digest)
    return protocol.offers | {"aux"} if aux else protocol.offers


def open_data(protocol: Protocol, profile: str, source: Source, data_root: Path, *, partial: bool = False) -> Data:
    """Reads or draws a protocol's faces.

    Raises:
        BadInput: the data are absent, damaged or not as published; the message names the set, the place, where to ask
            for it, and `--synthetic`.
    """
    design = DESIGNS[protocol.design]
    loaded = design.load(protocol, protocol.profile(profile), source, data_root, partial=partial)
    return Data(protocol, profile, source, loaded)
