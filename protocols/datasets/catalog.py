"""Every data set by name: where it lies, how it is read, how a copy compares with what its owners published."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadInput, unknown
from ..labels import FERPLUS_CLASSES
from ..packs.prepare import open_pack
from ..readers.fer2013 import FerPlus, majority
from ..readers.fer2013 import read as read_ferplus
from ..readers.fer2013_csv import FERPLUS_HOME, KAGGLE
from ..readers.listing import Check, Listing
from . import fingerprint as content
from .fingerprint import Content
from .verify import OnProgress, copies, decode, picture_checks, picture_digest, subject_checks

# Folder under the data root -> module with `read(root) -> Listing`.
READERS: Mapping[str, str] = {
    "rafdb": "fernoise_bench.protocols.readers.rafdb",
    "affectnet": "fernoise_bench.protocols.readers.affectnet",
    "bp4d": "fernoise_bench.protocols.readers.bp4d",
    "disfa": "fernoise_bench.protocols.readers.disfa",
    "emotionet": "fernoise_bench.protocols.readers.emotionet",
}
NAMES = ("ferplus", *READERS)
RAW = ("bp4d", "disfa", "emotionet")
"""The sets whose pictures are not cut to faces; the others come aligned, or with face boxes, and stay as they are."""

# Rows of each split with a FER+ majority among eight classes.
_KEPT = {"Training": 25_060, "PublicTest": 3_199, "PrivateTest": 3_153}
_ROWS = {"Training": 28_709, "PublicTest": 3_589, "PrivateTest": 3_589}
# (earlier, later) split -> pictures of the later one that are also in the earlier one: in the tables, in the folders.
_COPIES = {
    ("Training", "PublicTest"): (280, 279),
    ("Training", "PrivateTest"): (288, 288),
    ("PublicTest", "PrivateTest"): (44, 44),
}


@dataclass(frozen=True)
class Inspection:
    """What is known of a copy of a data set.

    Attributes:
        dataset, layout: its name, and the published layout that was found.
        rows: rows that can be used.
        checks: expected against found.
        bad: pictures that cannot be decoded, a line each with the reason; empty where none was tried.
    """

    dataset: str
    layout: str
    rows: int
    checks: tuple[Check, ...]
    bad: tuple[str, ...] = ()

    @property
    def partial(self) -> bool:
        """Whether the copy differs from what was published."""
        return not all(check.ok for check in self.checks)


def inspect(name: str, data_root: Path) -> Inspection:
    """Reads a data set's labels and file names and compares them with what was published; decodes no picture.

    Args:
        name: its folder under the data root.
        data_root: the data root.

    Raises:
        BadInput: an unknown name, an absent data set, or labels that cannot be.
    """
    if name == "ferplus":
        faces = read_ferplus(data_root / name, partial=True)
        return Inspection(name, faces.layout, len(faces.row), tuple(_ferplus_checks(faces)))
    listing = listing_of(name, data_root)
    return Inspection(name, listing.layout, len(listing), (*listing.checks, *subject_checks(listing)))


def verify(name: str, data_root: Path, *, workers: int, report: OnProgress) -> Inspection:
    """`inspect`, then decodes every picture: are all of them whole, and is any in two parts.

    Args:
        name: its folder under the data root.
        data_root: the data root.
        workers: processes that decode; 1 works in this one.
        report: called with (pictures dealt with, all of them).

    Raises:
        BadInput: as `inspect`; or PyAV is missing for videos.
    """
    if name == "ferplus":
        faces = read_ferplus(data_root / name, partial=True)
        checks = (*_ferplus_checks(faces), *_ferplus_copies(faces))
        return Inspection(name, faces.layout, len(faces.row), checks)
    listing = listing_of(name, data_root)
    decoded = decode(listing, workers, report)
    checks = (*listing.checks, *subject_checks(listing), *picture_checks(listing, decoded))
    return Inspection(name, listing.layout, len(listing), checks, decoded.bad)


def fingerprint(name: str, data_root: Path, *, workers: int, report: OnProgress) -> Content:
    """The digests of a data set's labels and pixels, to compare with another laboratory's.

    Raises:
        BadInput: an unknown name, an absent or damaged data set.
    """
    if name == "ferplus":
        return content.of_ferplus(read_ferplus(data_root / name, partial=True))
    return content.of_listing(listing_of(name, data_root), workers, report)


def fingerprint_of_pack(name: str, side: int, packs: Path) -> Content:
    """The digests of a pack's labels and pixels.

    Raises:
        BadInput: an unknown name, or a pack that is missing, unfinished or damaged.
    """
    if name not in READERS:
        raise unknown("data set that is prepared", name, READERS)
    return content.of_pack(name, open_pack(packs / f"{name}-{side}"))


def listing_of(name: str, data_root: Path) -> Listing:
    """The rows of a data set that `data prepare` packs; ferplus is small and is read as it is.

    Raises:
        BadInput: an unknown name, ferplus, an absent data set, or labels that cannot be.
    """
    if name == "ferplus":
        raise BadInput("ferplus needs no preparation: its protocols read it as it was published")
    if name not in NAMES:
        raise unknown("data set", name, NAMES)
    listing: Listing = importlib.import_module(READERS[name]).read(data_root / name)
    return listing


def where(data_root: Path) -> list[dict[str, str]]:
    """For every data set: whether there is a usable copy, and if not, why and where to ask for one."""
    lines = []
    for name in NAMES:
        line = {"data set": name, "folder": str(data_root / name), "found": "no", "remark": ""}
        try:
            found = inspect(name, data_root)
            line["found"] = "partial" if found.partial else "yes"
            line["remark"] = f"{found.layout}, {found.rows:,} rows"
        except BadInput as error:
            line["remark"] = str(error)
        lines.append(line)
    return lines


def _ferplus_checks(faces: FerPlus) -> Iterator[Check]:
    kept = majority(faces.votes) < len(FERPLUS_CLASSES)
    folders = faces.layout.startswith("folders")
    for usage, split in enumerate(_ROWS):
        if not folders:  # rows without a FER+ name are not in the folder form
            yield Check(f"{split} rows", _ROWS[split], int((faces.usage == usage).sum()))
            yield Check(f"{split} rows with a FER+ majority", _KEPT[split], int((kept & (faces.usage == usage)).sum()))
    digest = faces.digest()
    remedy = f"fetch it again from {KAGGLE} and {FERPLUS_HOME}"
    yield Check("content", "published", digest, "" if digest == "published" else remedy)


def _ferplus_copies(faces: FerPlus) -> Iterator[Check]:
    """Reading has decoded every picture; the published set has copies across splits, which its protocols leave out."""
    yield Check("pictures that can be decoded", len(faces.row), len(faces.row))
    folders = faces.layout.startswith("folders")
    expected = {splits: counts[folders] for splits, counts in _COPIES.items()}
    digests = [picture_digest(48, 48, image.tobytes()) for image in faces.images]
    splits = np.array(list(_ROWS))[faces.usage].tolist()
    rows = [f"row {row:,}" for row in faces.row.tolist()]
    yield from copies(digests, splits, rows, tuple(_ROWS), expected)
