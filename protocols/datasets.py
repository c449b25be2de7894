"""Every data set by name: where it lies, how it is read, how a copy compares with what its owners published."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import BadInput, unknown
from .fer2013 import FERPLUS_CLASSES, FerPlus, majority
from .fer2013 import read as read_ferplus
from .fer2013_text import FERPLUS_HOME, KAGGLE
from .listing import Check, Listing

# Folder under the data root -> module with `read(root) -> Listing`.
READERS: Mapping[str, str] = {
    "rafdb": "fernoise_bench.protocols.rafdb",
    "affectnet": "fernoise_bench.protocols.affectnet",
    "bp4d": "fernoise_bench.protocols.bp4d",
    "disfa": "fernoise_bench.protocols.disfa",
    "emotionet": "fernoise_bench.protocols.emotionet",
}
NAMES = ("ferplus", *READERS)

# Rows of each split with a FER+ majority among eight classes.
_KEPT = {"Training": 25_060, "PublicTest": 3_199, "PrivateTest": 3_153}
_ROWS = {"Training": 28_709, "PublicTest": 3_589, "PrivateTest": 3_589}


@dataclass(frozen=True)
class Inspection:
    """What is known of a copy of a data set before any picture is decoded.

    Attributes:
        dataset, layout: its name, and the published layout that was found.
        rows: rows that can be used.
        checks: expected against found.
    """

    dataset: str
    layout: str
    rows: int
    checks: tuple[Check, ...]

    @property
    def partial(self) -> bool:
        """Whether the copy differs from what was published."""
        return not all(check.ok for check in self.checks)


def inspect(name: str, data_root: Path) -> Inspection:
    """Reads a data set's labels and file names and compares them with what was published.

    Args:
        name: its folder under the data root.
        data_root: the data root.

    Raises:
        BadInput: an unknown name, an absent data set, or labels that cannot be.
    """
    if name not in NAMES:
        raise unknown("data set", name, NAMES)
    if name == "ferplus":
        faces = read_ferplus(data_root / name, partial=True)
        return Inspection(name, faces.layout, len(faces.row), tuple(_ferplus_checks(faces)))
    listing = listing_of(name, data_root)
    return Inspection(name, listing.layout, len(listing), (*listing.checks, *_shared_subjects(listing)))


def listing_of(name: str, data_root: Path) -> Listing:
    """The rows of a data set that `data prepare` packs; ferplus is small and is read as it is.

    Raises:
        BadInput: an unknown name, ferplus, an absent data set, or labels that cannot be.
    """
    if name == "ferplus":
        raise BadInput("ferplus needs no preparation: its protocols read it as it was published")
    if name not in READERS:
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


def _shared_subjects(listing: Listing) -> Iterator[Check]:
    """No subject may lie in two parts; rows that are their own group never do."""
    part_of: dict[str, str] = {}
    pairs = zip(listing.group.tolist(), listing.part.tolist(), strict=True)
    shared = sorted({subject for subject, part in pairs if part_of.setdefault(subject, part) != part})
    yield Check("subjects in more than one part", 0, len(shared), shared[0] if shared else "")


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
