"""Loading of a protocol's data, from which the rows of every cell are selected."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from .activity import doing
from .base import Protocol
from .designs import action_units, cremad, ferplus, own, packed_expressions, regression, splits
from .designs.held_out import base_of, judged_by_given, without_part
from .errors import BadInput
from .noise import salted
from .offers import offered_by_labels
from .own_data.labelled import read_labelled
from .own_data.parts import parts_of
from .own_data.pictures import prepared
from .packs.prepare import Pack
from .packs.workers import OnProgress
from .picture_noise import PICTURE_NOISE
from .readers.cremad import TABLES
from .readers.rafdb_noise_lists import places_of
from .rows import GENERATED, Array, CellData, Origin, Source

DESIGNS: dict[str, ModuleType] = {
    "au": action_units,
    "check": regression,
    "cremad": cremad,
    "ferplus": ferplus,
    "own": own,
    "packed": packed_expressions,
}


@dataclass(frozen=True)
class DataIdentity:
    """The data in a trial's identity: the origin of the images, and digests of further labels.

    Attributes:
        origin: of the images.
        aux, annotators: of their auxiliary labels, and of the labels of single annotators; "" for none.
    """

    origin: Origin = GENERATED
    aux: str = GENERATED.digest
    annotators: str = GENERATED.digest


@dataclass(frozen=True)
class Data:
    """A protocol's data, loaded once; `cell` selects the rows of one cell."""

    protocol: Protocol
    profile: str
    source: Source
    loaded: Any

    @property
    def identity(self) -> DataIdentity:
        """The origin of the images, and digests of the auxiliary labels and of the annotators' labels of all rows."""
        whole = self.loaded
        origin = judged_by_given(self.protocol, whole.origin)
        annotators = _digest(whole.everything.annotators) if isinstance(whole, cremad.Loaded) else ""
        if not getattr(whole, "aux_names", ()):
            return DataIdentity(origin, "", annotators)
        one = isinstance(whole, own.Loaded | cremad.Loaded)
        parts = (whole.everything,) if one else (whole.train, whole.validation, whole.test)
        return DataIdentity(origin, _digest(*(part.aux for part in parts)), annotators)

    def picture_names(self, sample_id: Array) -> list[str]:
        """What pictures are called: a path below the folder of pictures of a user's own data, else the row's number."""
        if isinstance(self.loaded, own.Loaded):
            return [str(path) for path in self.loaded.path[sample_id].tolist()]
        return [str(row) for row in sample_id.tolist()]

    def serves(self, protocol: Protocol, profile: str, source: Source) -> bool:
        """Whether these are the data of the given protocol, profile and source."""
        return (self.protocol, self.profile, self.source) == (protocol, profile, source)

    def cell(self, fold: str | None, level: float | None, draw: int, salt: str = "") -> CellData:
        """The rows of one cell, with noise keyed by a salt if there is one; the same arguments give the same rows."""
        design, profile = DESIGNS[self.protocol.design], self.protocol.profile(self.profile)
        number = salted(draw, salt)
        base = base_of(self.protocol)
        base_fold = fold if base.folds else None
        cell: CellData = design.cell(base, profile, self.source, self.loaded, base_fold, level, number)
        known = self.loaded.pixels[cell.train.sample_id] if isinstance(self.loaded, own.Loaded) else None
        return without_part(self.protocol, cell, fold, level, known)


def _digest(*labels: Array) -> str:
    """16 hex digits of some labels; "" where there are none."""
    content = b"".join(part.tobytes() for part in labels)
    return hashlib.sha256(content).hexdigest()[:16] if content else ""


def draws_noise(protocol: Protocol, source: Source) -> bool:
    """Whether a protocol's noise is drawn from a seed, and does not come with its data."""
    drawn = (
        any(protocol.noise in kinds for kinds in (splits.DRAWN, splits.VOTED, PICTURE_NOISE))
        or "flip" in protocol.noise
    )
    return drawn or (source == "generated" and not protocol.noisy_labels_from)


def offered(protocol: Protocol, source: Source, data: DataIdentity | None) -> frozenset[str]:
    """What the protocol provides to methods: its `offers`, what its labels offer, and what depends on the data.

    That are "aux", auxiliary AU labels, and "annotators", who gave which label. Generated expression faces have the
    labels of a simulated automatic AU coder, real faces those of OpenFace, if present. Who labelled faces is known of
    CREMA-D, if its file of single responses is present, and simulated of generated faces, also of a check's.
    """
    known, by_labels = data if source == "real" else None, offered_by_labels(protocol, source)
    aux = bool(known.aux) if known else protocol.kind == "single"
    annotators = bool(known.annotators) if known else protocol.design in ("cremad", "check") and "votes" in by_labels
    more = {"aux": aux, "annotators": annotators}
    return protocol.offers | by_labels | {name for name, there in more.items() if there}


def places_read(protocol: Protocol, data_root: Path) -> list[Path]:
    """The files and folders that a protocol's real data are read from, whether they exist or not."""
    openface = data_root / "openface"
    found = [openface / "fernoise.toml"]
    for dataset in protocol.data:
        here, listed = data_root / dataset, protocol.option("list")
        packs = sorted((data_root / "packs").glob(f"{dataset}-*"))
        found += [here] if protocol.design == "ferplus" else [*packs, here / "fernoise.toml"]
        found += places_of(here, listed) if listed else []
        found += [openface / dataset, openface / f"{dataset}.csv"]
        found += [here / name for name in TABLES] if protocol.design == "cremad" else []
    return found


def prepare_own(protocol: Protocol, data_root: Path, *, workers: int, report: OnProgress) -> Pack:
    """Prepares the pictures of a user's own protocol, as far as they are not or have changed.

    Args:
        protocol: one with `own`.
        data_root: its folder packs/ takes the prepared pictures.
        workers: number of processes; 1: no other process.
        report: called with (finished pictures, all pictures).

    Raises:
        BadInput: a table or picture that cannot be used, or a protocol of published data.
    """
    if protocol.own is None:
        raise BadInput(f"{protocol.name} is no protocol of your own data; see data prepare")
    protocol = base_of(protocol)
    rows = read_labelled(protocol)
    parts_of(protocol, rows)  # refuses what cannot be trained on before pictures are decoded
    return prepared(protocol, rows, data_root, workers=workers, report=report)


def digest_if_prepared(protocol: Protocol, data_root: Path) -> str:
    """The digest of a user's own labels and pictures as they are now, as trials have it.

    Returns:
        "" where it is not known without decoding pictures: they are not prepared, or a file has changed since.

    Raises:
        BadInput: a table that cannot be used, or a picture that is missing.
    """
    return own.digest_if_prepared(base_of(protocol), data_root)


def open_data(protocol: Protocol, profile: str, source: Source, data_root: Path, *, partial: bool = False) -> Data:
    """Reads a protocol's real data, or generates its faces.

    Raises:
        BadInput: the data are missing, damaged or not as published; the message names the data set, the folder, where
            to obtain the data, and `--synthetic`.
    """
    design = DESIGNS[protocol.design]
    what = "generating faces" if source == "generated" else f"reading {', '.join(protocol.data)}"
    with doing(what):
        loaded = design.load(base_of(protocol), protocol.profile(profile), source, data_root, partial=partial)
    return Data(protocol, profile, source, loaded)
