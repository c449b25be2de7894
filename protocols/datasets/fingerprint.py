"""Digests of the content of a data set or a pack, equal in all laboratories with the same labels and pixels.

The digest of a set of rows does not depend on the order or names of files, nor on the format and place of label files.
The pixels of a data set are those of the decoded whole pictures; decoders may differ in the rounding of JPEG pixels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import BadInput
from ..files import Array
from ..packs.prepare import Pack
from ..packs.workers import OnProgress
from ..readers.fer2013 import FerPlus
from ..readers.listing import Listing
from .verify import decode, picture_digest

_BLOCK = 256


@dataclass(frozen=True)
class Content:
    """The digests of a data set or a pack, SHA-256 in hex.

    Attributes:
        dataset: its name.
        what: the layout it was read from, or the crop of the pack; not part of the digests.
        rows: number of rows.
        labels: digest of label names, and of part, subject and labels of each row. Equal for a set and its packs.
        pixels: digest of the pictures.
        content: digest of both together, of face boxes and of the crop.
    """

    dataset: str
    what: str
    rows: int
    labels: str
    pixels: str
    content: str


def of_listing(listing: Listing, workers: int, report: OnProgress) -> Content:
    """The digests of a data set; decodes all its pictures.

    Raises:
        BadInput: a picture that cannot be decoded.
    """
    decoded = decode(listing, workers, report)
    if decoded.bad:
        what = f"{len(decoded.bad):,} pictures cannot be decoded, the first being {decoded.bad[0]}"
        remedy = f"fetch them again (data verify {listing.dataset} lists all of them)"
        raise BadInput(f"{listing.root}: {what}; a damaged copy has no fingerprint: {remedy}")
    pixels = [key for key in decoded.digests if key is not None]
    boxes = ["" if np.isnan(box).all() else " ".join(map(repr, box)) for box in listing.box.tolist()]
    labels = _labels(listing.part, listing.group, listing.labels)
    return _content(listing.dataset, listing.layout, listing.names, labels, pixels, boxes, "whole pictures")


def of_pack(dataset: str, pack: Pack) -> Content:
    """The digests of a pack."""
    side = int(pack.faces.shape[1])
    pixels: list[bytes] = []
    for first in range(0, len(pack), _BLOCK):
        pixels += (picture_digest(side, side, face.tobytes()) for face in pack.read(slice(first, first + _BLOCK)))
    labels = _labels(pack.part, pack.group, pack.labels)
    crop = f"{pack.crop}, {side} px"
    return _content(dataset, f"pack: {crop}", pack.names, labels, pixels, [""] * len(pack), crop)


def of_ferplus(faces: FerPlus) -> Content:
    """The digests of FER2013 and FER+: labels, votes and grey pixels."""
    height, width = faces.images.shape[1:]
    pixels = [picture_digest(width, height, image.tobytes()) for image in faces.images]
    columns = np.column_stack([faces.fer2013, faces.votes])
    labels = _labels(faces.usage.astype(str), faces.row.astype(str), columns)
    return _content("ferplus", faces.layout, ("FER2013", "votes"), labels, pixels, [""] * len(pixels), "whole pictures")


def _labels(part: Array, group: Array, labels: Array) -> list[bytes]:
    """The digest of part, subject and labels of each row, without subjects if every row is its own."""
    known = len(np.unique(group)) < len(group)
    subjects = group.tolist() if known else [""] * len(group)
    values = labels.reshape(len(labels), -1).tolist()
    rows = zip(part.tolist(), subjects, values, strict=True)
    return [hashlib.sha256(json.dumps(row).encode()).digest() for row in rows]


def _content(
    dataset: str,
    what: str,
    names: Sequence[str],
    labels: Sequence[bytes],
    pixels: Sequence[bytes],
    boxes: Sequence[str],
    crop: str,
) -> Content:
    head = json.dumps([dataset, *names])
    both = (label + face + box.encode() for label, face, box in zip(labels, pixels, boxes, strict=True))
    return Content(
        dataset=dataset,
        what=what,
        rows=len(labels),
        labels=_of_set(head, labels),
        pixels=_of_set("", pixels),
        content=_of_set(f"{head} {crop}", (hashlib.sha256(row).digest() for row in both)),
    )


def _of_set(head: str, rows: Iterable[bytes]) -> str:
    """The digest of a set of rows of equal length, independent of their order."""
    return hashlib.sha256(head.encode() + b"\0" + b"".join(sorted(rows))).hexdigest()
