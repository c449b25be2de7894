"""What only the pictures of a copy can tell: whether each can be decoded, and which of them lie in two parts.

Pictures are compared by the SHA-1 of their size and RGB pixels as decoded, whole, so that the format of a file and its
metadata do not matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import BadInput
from ..images.decoding import Box, corners, decode_rows
from ..images.video import decode_frames
from ..labels import BP4D_PARTS, DISFA_PARTS
from ..packs.workers import Chunk, chunks, run
from ..readers.listing import Check, Listing

OnProgress = Callable[[int, int], None]
Parts = Sequence[tuple[str, Sequence[str]]]

# Data set -> its published subject lists.
FOLDS: Mapping[str, Parts] = {"bp4d": BP4D_PARTS, "disfa": DISFA_PARTS}
_SHOWN = 5


@dataclass(frozen=True)
class Decoded:
    """The pictures of a listing, decoded once.

    Attributes:
        digests: 20 bytes for each row; None for one that cannot be decoded.
        bad: what cannot be decoded, a picture or frame a line with the reason, in the order of the rows.
    """

    digests: tuple[bytes | None, ...]
    bad: tuple[str, ...]


def decode(listing: Listing, workers: int, report: OnProgress) -> Decoded:
    """Decodes every picture of a listing; one that is bad does not end the others.

    Args:
        listing: the rows.
        workers: processes; 1 works in this one. The result does not depend on it.
        report: called with (rows dealt with, all rows), at the start and as they go.

    Raises:
        BadInput: PyAV is missing, or a worker process was ended from outside.
    """
    videos = listing.path[listing.frame >= 0]
    if len(videos):
        # A missing PyAV is no fault of a video.
        decode_frames(listing.root / str(videos[0]), [])
    found: dict[int, bytes | str] = {}

    def tick(said: dict[int, bytes | str]) -> None:
        found.update(said)
        report(len(found), len(listing))

    tick({})
    try:
        run(partial(_decode_chunk, listing.root), chunks(listing, np.arange(len(listing))), workers, tick)
    except BrokenProcessPool as error:
        what = "a worker process was ended from outside, perhaps for want of memory"
        raise BadInput(f"{listing.root}: {what}; run it again with fewer --workers") from error
    said = [found[row] for row in range(len(listing))]
    digests = tuple(one if isinstance(one, bytes) else None for one in said)
    return Decoded(digests, tuple(one for one in said if isinstance(one, str)))


def _decode_chunk(root: Path, chunk: Chunk) -> dict[int, bytes | str]:
    """The digest of each row of a chunk, or what is wrong with it."""
    said: dict[int, bytes | str] = {}
    for position, made in decode_rows(root, chunk.path, chunk.frame, chunk.box, _digest_in_box):
        if isinstance(made, BadInput):
            path = chunk.path[position]
            what = str(made).removeprefix(f"{root / path}: ")
            said[int(chunk.rows[position])] = f"{_place(path, int(chunk.frame[position]))}: {what}"
        else:
            said[int(chunk.rows[position])] = made
    return said


def _place(path: str, frame: int) -> str:
    """A picture, or a frame of a video, as it is shown."""
    return f"{path}, frame {frame}" if frame >= 0 else path


def _digest_in_box(path: Path, picture: Image.Image, box: Box) -> bytes:
    """The digest of a whole picture whose face box, where there is one, is in it."""
    corners(path, picture, box)
    return picture_digest(*picture.size, picture.tobytes())


def picture_digest(width: int, height: int, pixels: bytes) -> bytes:
    """SHA-1 of a picture's size and pixels."""
    return hashlib.sha1(f"{width} x {height}\n".encode() + pixels, usedforsecurity=False).digest()


def picture_checks(listing: Listing, decoded: Decoded) -> Iterator[Check]:
    """Whether every picture can be decoded, and none lies in two parts."""
    usable = len(listing) - len(decoded.bad)
    yield Check("pictures that can be decoded", len(listing), usable, decoded.bad[0] if decoded.bad else "")
    part = listing.part.tolist()
    order = [name for name, _ in FOLDS.get(listing.dataset, ())] or list(dict.fromkeys(part))
    places = [_place(path, frame) for path, frame in zip(listing.path.tolist(), listing.frame.tolist(), strict=True)]
    yield from copies(decoded.digests, part, places, order)


def copies(
    digests: Sequence[bytes | None],
    part: Sequence[str],
    place: Sequence[str],
    order: Sequence[str],
    expected: Mapping[tuple[str, str], int] | None = None,
) -> Iterator[Check]:
    """For each two parts, how many pictures of the later one are, pixel for pixel, also in the earlier one.

    Args:
        digests: of each row; rows without one are left out.
        part: of each row.
        place: of each row, as it is shown.
        order: the parts, the one a copy would be left in first; those without rows are passed over.
        expected: (earlier, later) part -> pictures the published set has in both; 0 where nothing is said.
    """
    first_rows: dict[str, dict[bytes, int]] = {}
    rows: dict[str, list[int]] = {}
    for row, (name, key) in enumerate(zip(part, digests, strict=True)):
        if key is not None:
            first_rows.setdefault(name, {}).setdefault(key, row)
            rows.setdefault(name, []).append(row)
    there = set(part)
    for earlier, later in combinations([name for name in order if name in there], 2):
        known = first_rows.get(earlier, {})
        both = [row for row in rows.get(later, []) if digests[row] in known]
        first = ""
        if both and (key := digests[both[0]]) is not None:
            first = f"{place[both[0]]} is {place[known[key]]}"
        wanted = (expected or {}).get((earlier, later), 0)
        yield Check(f"pictures of {later} that are also in {earlier}", wanted, len(both), first)


def subject_checks(listing: Listing) -> Iterator[Check]:
    """Subjects against the published lists of the folds, where there are such lists; and no subject in two parts."""
    parts: dict[str, set[str]] = {}
    for subject, part in zip(listing.group.tolist(), listing.part.tolist(), strict=True):
        parts.setdefault(part, set()).add(subject)
    for part, published in FOLDS.get(listing.dataset, ()):
        here = parts.get(part, set())
        lost = sorted(set(published) - here)
        yield Check(f"subjects, {part}", len(published), len(published) - len(lost), _named("no frame of", lost))
    if listing.dataset in FOLDS:
        place = {subject: part for part, subjects in FOLDS[listing.dataset] for subject in subjects}
        strays = sorted(one for part, here in parts.items() for one in here if place.get(one) != part)
        yield Check("subjects outside their published part", 0, len(strays), _named("", strays))
    shared = sorted({one for first, second in combinations(parts.values(), 2) for one in first & second})
    yield Check("subjects in more than one part", 0, len(shared), shared[0] if shared else "")


def _named(what: str, subjects: Sequence[str]) -> str:
    more = f" and {len(subjects) - _SHOWN} more" if len(subjects) > _SHOWN else ""
    return f"{what} {' '.join(subjects[:_SHOWN])}{more}".strip() if subjects else ""
