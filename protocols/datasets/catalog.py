"""All data sets by name: their folders and readers, and the comparison of a copy with the published data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..activity import doing
from ..errors import BadInput, unknown
from ..labels import FERPLUS_CLASSES
from ..packs.prepare import open_pack
from ..packs.workers import OnProgress
from ..readers import affectnet, bp4d, cremad, disfa, emotionet, rafdb
from ..readers.fer2013 import ROWS, FerPlus, majority
from ..readers.fer2013 import read as read_ferplus
from ..readers.fer2013_csv import FERPLUS_HOME, KAGGLE, USAGES
from ..readers.listing import Check, Listing
from . import fingerprint as content
from .fingerprint import Content
from .verify import copies, decode, picture_checks, picture_digest, subject_checks

# Folder under the data root -> its reader.
READERS: Mapping[str, Callable[[Path], Listing]] = {
    "rafdb": rafdb.read,
    "affectnet": affectnet.read,
    "bp4d": bp4d.read,
    "disfa": disfa.read,
    "emotionet": emotionet.read,
    "cremad": cremad.read,
}
NAMES = ("ferplus", *READERS)
RAW = ("bp4d", "disfa", "emotionet", "cremad")
"""The data sets without cropped faces, to be aligned; the others have aligned pictures or face boxes."""

# Rows of each split with a FER+ majority among eight classes.
_WITH_MAJORITY = {"Training": 25_060, "PublicTest": 3_199, "PrivateTest": 3_153}
# (earlier, later) split -> copies in the later one of pictures of the earlier one: in the tables, in the folders.
_COPIES = {
    ("Training", "PublicTest"): (280, 279),
    ("Training", "PrivateTest"): (288, 288),
    ("PublicTest", "PrivateTest"): (44, 44),
}


@dataclass(frozen=True)
class Inspection:
    """The comparison of a copy of a data set with the published one.

    Attributes:
        dataset, layout: its name, and the published layout that was found.
        rows: number of usable rows.
        checks: the comparisons.
        bad: pictures that cannot be decoded, each with the reason; empty if none was decoded.
        by_content: whether labels and pixels were compared by a published digest; else by counts, names and the like.
    """

    dataset: str
    layout: str
    rows: int
    checks: tuple[Check, ...]
    bad: tuple[str, ...] = ()
    by_content: bool = False

    @property
    def partial(self) -> bool:
        """Whether the copy differs from the published data set."""
        return not all(check.ok for check in self.checks)


def inspect(name: str, data_root: Path) -> Inspection:
    """Compares a data set's labels and file names with the published ones, without decoding pictures.

    Raises:
        BadInput: an unknown name, an absent data set, or invalid labels.
    """
    if name == "ferplus":
        faces = read_ferplus(data_root / name, partial=True)
        return Inspection(name, faces.layout, len(faces.row), tuple(_ferplus_checks(faces)), by_content=True)
    listing = listing_of(name, data_root)
    return Inspection(name, listing.layout, len(listing), (*listing.checks, *subject_checks(listing)))


def verify(name: str, data_root: Path, *, workers: int, report: OnProgress) -> Inspection:
    """As `inspect`, and decodes all pictures, to find damaged ones, other sizes, copies, and pictures in two parts.

    Raises:
        BadInput: as `inspect`; or PyAV is missing for videos.
    """
    if name == "ferplus":
        faces = read_ferplus(data_root / name, partial=True)
        checks = (*_ferplus_checks(faces), *_ferplus_copies(faces))
        return Inspection(name, faces.layout, len(faces.row), checks, by_content=True)
    listing = listing_of(name, data_root)
    decoded = decode(listing, workers, report)
    checks = (*listing.checks, *subject_checks(listing), *picture_checks(listing, decoded))
    return Inspection(name, listing.layout, len(listing), checks, decoded.bad)


def fingerprint(name: str, data_root: Path, *, workers: int, report: OnProgress) -> Content:
    """The digests of a data set's labels and pixels, for comparison with another laboratory.

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
    """The listing of a data set that is prepared as a pack; ferplus is small and read directly.

    Raises:
        BadInput: an unknown name, ferplus, an absent data set, or invalid labels.
    """
    if name == "ferplus":
        raise BadInput("ferplus needs no preparation: its protocols read the published files")
    if name not in NAMES:
        raise unknown("data set", name, NAMES)
    with doing(f"reading the lists of {name}"):
        return READERS[name](data_root / name)


def where(data_root: Path) -> list[dict[str, str]]:
    """For every data set, whether there is a usable copy; if not, the reason and where to obtain one."""
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
    has_majority = majority(faces.votes) < len(FERPLUS_CLASSES)
    if not faces.layout.startswith("folders"):  # the folder form lacks rows without a FER+ name
        for usage, (split, rows) in enumerate(zip(USAGES, ROWS, strict=True)):
            here = faces.usage == usage
            yield Check(f"{split} rows", rows, int(here.sum()))
            found = int((has_majority & here).sum())
            yield Check(f"{split} rows with a FER+ majority", _WITH_MAJORITY[split], found)
    digest = faces.digest()
    remedy = f"fetch it again from {KAGGLE} and {FERPLUS_HOME}"
    yield Check("content", "published", digest, "" if digest == "published" else remedy)


def _ferplus_copies(faces: FerPlus) -> Iterator[Check]:
    """The number of copies across splits, which also the published set has; reading has decoded every picture."""
    yield Check("pictures that can be decoded", len(faces.row), len(faces.row))
    folders = faces.layout.startswith("folders")
    expected = {splits: counts[folders] for splits, counts in _COPIES.items()}
    digests = [picture_digest(48, 48, image.tobytes()) for image in faces.images]
    splits = np.array(USAGES)[faces.usage].tolist()
    rows = [f"row {row:,}" for row in faces.row.tolist()]
    yield from copies(digests, splits, rows, USAGES, expected)
