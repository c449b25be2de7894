"""Checks of a data set that need its pictures or subjects: decodable, of the published size, distinct, in one part.

Pictures are compared by the SHA-1 of their size and decoded RGB pixels, so that file format and metadata do not matter.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ..errors import BadInput
from ..images.decoding import Box, corners, decode_rows
from ..labels import BP4D_PARTS, CREMAD_PARTS, DISFA_PARTS
from ..packs.file_format import least_distinct
from ..packs.workers import Chunk, OnProgress, check_video_support, of_every_picture, place_of
from ..readers import rafdb
from ..readers.affectnet import npy_labels
from ..readers.listing import Check, Listing, first
from ..readers.picture_sizes import Size, all_of_size

Parts = Sequence[tuple[str, Sequence[str]]]

# Data set -> the subjects of each part: the published ones, of CREMA-D this project's.
FOLDS: Mapping[str, Parts] = {"bp4d": BP4D_PARTS, "disfa": DISFA_PARTS, "cremad": CREMAD_PARTS}
# Data set -> the beginning of paths -> the published width and height of such pictures, in pixels.
SIZES: Mapping[str, Mapping[str, Size]] = {
    "rafdb": {"": rafdb.SIZE},
    "affectnet": {f"{folder}/": npy_labels.SIZE for folder in npy_labels.FOLDERS.values()},
}
_SHOWN = 5


@dataclass(frozen=True)
class Decoded:
    """The result of decoding all pictures of a listing.

    Attributes:
        digests: 20 bytes for each row; None for one that cannot be decoded.
        sizes: width and height of each row's whole picture; None for one that cannot be decoded.
        bad: the pictures or frames that cannot be decoded, each with the reason, in the order of the rows.
    """

    digests: tuple[bytes | None, ...]
    sizes: tuple[tuple[int, int] | None, ...]
    bad: tuple[str, ...]


def decode(listing: Listing, workers: int, report: OnProgress) -> Decoded:
    """Decodes all pictures of a listing, also after a bad one.

    Args:
        listing: the rows.
        workers: number of processes; 1: no other process. The result does not depend on it.
        report: called with (finished rows, all rows), at the start and during the work.

    Raises:
        BadInput: PyAV is missing, or a worker process was killed.
    """
    check_video_support(listing)
    results = of_every_picture(listing, partial(_decode_chunk, listing.root), workers, report)
    good = [None if isinstance(result, str) else result for result in results]
    return Decoded(
        digests=tuple(picture and picture.digest for picture in good),
        sizes=tuple(picture and picture.size for picture in good),
        bad=tuple(result for result in results if isinstance(result, str)),
    )


class _Picture(NamedTuple):
    digest: bytes
    size: tuple[int, int]


def _decode_chunk(root: Path, chunk: Chunk) -> dict[int, _Picture | str]:
    """Digest and size of each picture of a chunk, or the reason why it cannot be decoded."""
    results: dict[int, _Picture | str] = {}
    for position, result in decode_rows(root, chunk.path, chunk.frame, chunk.box, _picture_in_box):
        if isinstance(result, BadInput):
            path = chunk.path[position]
            reason = str(result).removeprefix(f"{root / path}: ")
            results[int(chunk.rows[position])] = f"{place_of(path, int(chunk.frame[position]))}: {reason}"
        else:
            results[int(chunk.rows[position])] = result
    return results


def _picture_in_box(path: Path, picture: Image.Image, box: Box) -> _Picture:
    """Digest and size of a whole picture; BadInput if its face box is outside it."""
    corners(path, picture, box)
    return _Picture(picture_digest(*picture.size, picture.tobytes()), picture.size)


def picture_digest(width: int, height: int, pixels: bytes) -> bytes:
    """SHA-1 of a picture's size and pixels."""
    return hashlib.sha1(f"{width} x {height}\n".encode() + pixels, usedforsecurity=False).digest()


def picture_checks(listing: Listing, decoded: Decoded) -> Iterator[Check]:
    """The checks that every picture can be decoded, has the published size, is distinct, and is in one part only."""
    yield Check.all("pictures that can be decoded", len(listing), decoded.bad)
    parts = listing.part.tolist()
    order = [name for name, _ in FOLDS.get(listing.dataset, ())] or list(dict.fromkeys(parts))
    places = list(map(place_of, listing.path.tolist(), listing.frame.tolist()))
    yield from _sizes(listing, decoded)
    boxes = [None if math.isnan(box[0]) else tuple(box) for box in listing.box.tolist()]  # of several faces in one
    yield _distinct(listing.dataset, list(zip(decoded.digests, boxes, strict=True)), places)
    yield from copies(decoded.digests, parts, places, order)


def _sizes(listing: Listing, decoded: Decoded) -> Iterator[Check]:
    """The comparison of the pictures' sizes with the published ones, for sets that have one size."""
    sizes = dict(zip(listing.path.tolist(), decoded.sizes, strict=True))
    for start, size in SIZES.get(listing.dataset, {}).items():
        if chosen := {path: at for path, at in sizes.items() if path.startswith(start)}:
            yield all_of_size(chosen, size, f" in {start}" if start else "")


def _distinct(dataset: str, contents: Sequence[tuple[bytes | None, object]], places: Sequence[str]) -> Check:
    """The check that most pictures, or faces of one picture, are no copies of another."""
    rows: dict[tuple[bytes | None, object], int] = {}
    copied = ""
    for row, content in enumerate(contents):
        if content[0] is not None and rows.setdefault(content, row) != row:
            copied = copied or f"{places[row]} is {places[rows[content]]}"
    usable = sum(digest is not None for digest, _ in contents)
    return Check.most("distinct pictures", usable, least_distinct(dataset), len(rows), copied)


def copies(
    digests: Sequence[bytes | None],
    parts: Sequence[str],
    places: Sequence[str],
    order: Sequence[str],
    expected: Mapping[tuple[str, str], int] | None = None,
) -> Iterator[Check]:
    """For each pair of parts, the number of pictures of the later one that are exact copies of the earlier one's.

    Args:
        digests: of each row; rows without one are ignored.
        parts: of each row.
        places: of each row, as text.
        order: the parts, in the order in which they are compared; those without rows are skipped.
        expected: (earlier, later) part -> number of copies in the published set; 0 if not given.
    """
    first_rows: dict[str, dict[bytes, int]] = {}
    for row, (part, key) in enumerate(zip(parts, digests, strict=True)):
        of_part = first_rows.setdefault(part, {})
        if key is not None:
            of_part.setdefault(key, row)
    rows = list(zip(parts, digests, places, strict=True))
    for earlier, later in combinations([part for part in order if part in first_rows], 2):
        known = first_rows[earlier]
        shared = [
            f"{place} is {places[known[key]]}"
            for part, key, place in rows
            if part == later and key is not None and key in known
        ]
        published = (expected or {}).get((earlier, later), 0)
        yield Check(f"pictures of {later} that are also in {earlier}", published, len(shared), first(shared))


def subject_checks(listing: Listing) -> Iterator[Check]:
    """The comparison of subjects with the published parts, if there are such lists; and that no subject is in two.

    None for sets whose subjects are not known, where every row is its own group.
    """
    if listing.dataset not in FOLDS and len(set(listing.group.tolist())) == len(listing):
        return
    parts: dict[str, set[str]] = {}
    for subject, part in zip(listing.group.tolist(), listing.part.tolist(), strict=True):
        parts.setdefault(part, set()).add(subject)
    published = FOLDS.get(listing.dataset, ())
    for part, subjects in published:
        missing = sorted(set(subjects) - parts.get(part, set()))
        yield Check(f"subjects, {part}", len(subjects), len(subjects) - len(missing), _named("no frame of", missing))
    if published:
        part_of = {subject: part for part, subjects in published for subject in subjects}
        misplaced = sorted(one for part, here in parts.items() for one in here if part_of.get(one) != part)
        yield Check("subjects outside their published part", 0, len(misplaced), _named("", misplaced))
    shared = sorted({one for some, others in combinations(parts.values(), 2) for one in some & others})
    yield Check.none("subjects in more than one part", shared)


def _named(what: str, subjects: Sequence[str]) -> str:
    more = f" and {len(subjects) - _SHOWN} more" if len(subjects) > _SHOWN else ""
    return f"{what} {' '.join(subjects[:_SHOWN])}{more}".strip() if subjects else ""
