"""What a user's own data are like, before anything is trained: counts, labels, subjects, and copies of pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..base import Protocol
from ..datasets.verify import copies, picture_digest
from ..errors import BadInput
from ..files import Array
from ..images.decoding import Box, corners, decode_rows
from ..packs.workers import Chunk, OnProgress, chunks, run
from ..readers.listing import Check
from .duplicates import difference_hash, look_alikes
from .labelled import Labelled, read_labelled
from .parts import assigned, parts_of
from .pictures import listing_of

Line = Mapping[str, int | str]
_SIZES_SHOWN = 3


@dataclass(frozen=True)
class Report:
    """What was found in a user's own data.

    Attributes:
        protocol: name of the protocol.
        rows: number of pictures in the table.
        parts: counts of each part or fold.
        labels: counts and shares of each class or action unit, and how many given labels agree with the reference.
        checks: what should not occur, with the first place where it does.
        sizes: the most frequent sizes of pictures, as "48 x 48: 120"; none if no picture was decoded.
        bad: pictures that cannot be decoded, each with the reason.
    """

    protocol: str
    rows: int
    parts: tuple[Line, ...]
    labels: tuple[Line, ...]
    checks: tuple[Check, ...]
    sizes: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks)


class _Look(NamedTuple):
    digest: bytes
    size: tuple[int, int]
    alike: bytes


def verify_own(protocol: Protocol, *, workers: int, report: OnProgress, quick: bool = False) -> Report:
    """Looks at the table of a protocol's own data, and unless quick at every picture.

    Raises:
        BadInput: a table that cannot be read, or a worker process was killed.
    """
    rows = read_labelled(protocol)
    part = np.where(assigned(protocol, rows) == "", "not used", assigned(protocol, rows))
    checks = [_usable(protocol, rows), *_subjects(rows, part), *_verified(rows)]
    counted = tuple(_part_lines(rows, part)), tuple(_label_lines(protocol, rows))
    if quick:
        return Report(protocol.name, len(rows), *counted, tuple(checks))
    looks = _look_at(protocol, rows, workers, report)
    bad = [f"{rows.path[row]}: {look}" for row, look in enumerate(looks) if isinstance(look, str)]
    good = [None if isinstance(look, str) else look for look in looks]
    sizes = Counter(f"{look.size[0]} x {look.size[1]}" for look in good if look).most_common(_SIZES_SHOWN)
    checks += [Check.all("pictures that can be decoded", len(rows), bad), *_copies(rows, part, good)]
    return Report(
        protocol.name, len(rows), *counted, tuple(checks), tuple(f"{size}: {n:,}" for size, n in sizes), tuple(bad)
    )


def _usable(protocol: Protocol, rows: Labelled) -> Check:
    """Whether the parts can be trained and tested on."""
    try:
        parts_of(protocol, rows)
    except BadInput as error:
        return Check("parts that can be trained and tested on", "yes", "no", str(error))
    return Check("parts that can be trained and tested on", "yes", "yes")


def _subjects(rows: Labelled, part: Array) -> Iterator[Check]:
    if not rows.has_subjects:
        return
    places: dict[str, set[str]] = {}
    for subject, where in zip(rows.subject.tolist(), part.tolist(), strict=True):
        if subject and where != "not used":
            places.setdefault(subject, set()).add(where)
    shared = [f"{subject} is in {' and '.join(sorted(where))}" for subject, where in places.items() if len(where) > 1]
    yield Check.none("subjects in more than one part", shared)


def _verified(rows: Labelled) -> Iterator[Check]:
    if not rows.verified.any():
        return
    wrong = rows.verified & _disagree(rows)[0]
    if wrong.ndim == 1:
        yield Check.none("verified rows whose given label is not the reference", _places(rows, wrong))


def _disagree(rows: Labelled) -> tuple[Array, Array]:
    """Rows with an entry that is known twice and differs, and with one that is known twice: bool [N] each."""
    unknown = -1 if rows.given.ndim == 1 else 0
    both = (rows.given != unknown) & (rows.reference != unknown)
    differ = both & (rows.given != rows.reference)
    return (differ, both) if differ.ndim == 1 else (differ.any(axis=1), both.any(axis=1))


def _places(rows: Labelled, chosen: Array) -> list[str]:
    return [f"{rows.place(row)}: {rows.path[row]}" for row in np.flatnonzero(chosen).tolist()]


def _part_lines(rows: Labelled, part: Array) -> Iterator[Line]:
    given, reference = rows.known(rows.given), rows.known(rows.reference)
    for name in dict.fromkeys(part.tolist()):
        here = part == name
        subjects = len(set(rows.subject[here].tolist()) - {""}) if rows.has_subjects else "–"
        counts = {
            "pictures": here,
            "given": here & given,
            "reference": here & reference,
            "verified": here & rows.verified,
        }
        yield {"part": name, **{what: int(count.sum()) for what, count in counts.items()}, "subjects": subjects}


def _label_lines(protocol: Protocol, rows: Labelled) -> Iterator[Line]:
    single = protocol.kind == "single"
    for number, name in enumerate(protocol.names):
        given, reference = (
            (labels == number) if single else (labels[:, number] > 0) for labels in (rows.given, rows.reference)
        )
        known = (rows.given >= 0) if single else (rows.given[:, number] != 0)
        judged = known & ((rows.reference >= 0) if single else (rows.reference[:, number] != 0))
        agree = (given & reference & judged).sum()
        yield {
            ("class" if single else "unit"): name,
            "given": int(given.sum()),
            "share": f"{given.sum() / max(1, known.sum()):.1%}",
            "reference": int(reference.sum()),
            "given, with a reference": int((given & judged).sum()),
            "of these right": f"{agree / (given & judged).sum():.1%}" if (given & judged).any() else "–",
        }


def _copies(rows: Labelled, part: Array, looks: Sequence[_Look | None]) -> Iterator[Check]:
    """Copies within parts and across them: exact ones, and pictures that look alike."""
    places = [f"{path}" for path in rows.path.tolist()]
    digests = [look and look.digest for look in looks]
    good = np.array([look is not None for look in looks], bool)
    hashes = np.array([np.frombuffer(look.alike, np.uint8) for look in looks if look], np.uint8).reshape(-1, 16)
    group = np.full(len(looks), -1, np.int64)
    group[good] = look_alikes(hashes)
    names = [name for name in dict.fromkeys(part.tolist()) if name != "not used"]
    for name in names:
        exact: list[str] = []
        alike: list[str] = []
        seen: dict[bytes, int] = {}
        first: dict[int, int] = {}
        for row in np.flatnonzero((part == name) & good).tolist():
            digest = digests[row] or b""
            if digest in seen:
                exact.append(f"{places[row]} is {places[seen[digest]]}")
            elif int(group[row]) in first:
                alike.append(f"{places[row]} is like {places[first[int(group[row])]]}")
            seen.setdefault(digest, row)
            first.setdefault(int(group[row]), row)
        yield Check.none(f"copies within {name}", exact)
        yield Check.none(f"near copies within {name}", alike)
    yield from copies(digests, part.tolist(), places, names)
    yield from _near_across(part, group, digests, places, names)


def _near_across(
    part: Array, group: Array, digests: Sequence[bytes | None], places: Sequence[str], names: Sequence[str]
) -> Iterator[Check]:
    for earlier, later in combinations(names, 2):
        before = np.flatnonzero((part == earlier) & (group >= 0)).tolist()
        first = {int(group[row]): row for row in reversed(before)}
        known = {digests[row] for row in before}
        alike = [
            f"{places[row]} is like {places[first[int(group[row])]]}"
            for row in np.flatnonzero((part == later) & (group >= 0)).tolist()
            if int(group[row]) in first and digests[row] not in known
        ]
        yield Check.none(f"pictures of {later} that look like one in {earlier}", alike)


def _look_at(protocol: Protocol, rows: Labelled, workers: int, report: OnProgress) -> list[_Look | str]:
    """Each picture's digest, size and perceptual hash, or the reason why it cannot be decoded."""
    listing = listing_of(protocol, rows)
    found: dict[int, _Look | str] = {}

    def update(results: dict[int, _Look | str]) -> None:
        found.update(results)
        report(len(found), len(listing))

    update({})
    try:
        run(partial(_look_at_chunk, listing.root), chunks(listing, np.arange(len(listing))), workers, update)
    except BrokenProcessPool as error:
        what = "a worker process was killed, perhaps because memory was full"
        raise BadInput(f"{listing.root}: {what}; run it again with fewer --workers") from error
    return [found[row] for row in range(len(listing))]


def _look_at_chunk(root: Path, chunk: Chunk) -> dict[int, _Look | str]:
    results: dict[int, _Look | str] = {}
    for position, result in decode_rows(root, chunk.path, chunk.frame, chunk.box, _look):
        reason = str(result).removeprefix(f"{root / chunk.path[position]}: ") if isinstance(result, BadInput) else ""
        results[int(chunk.rows[position])] = result if isinstance(result, _Look) else reason
    return results


def _look(path: Path, picture: Image.Image, box: Box) -> _Look:
    """A picture, of one with a crop box the part inside."""
    left, top, right, bottom = (round(edge) for edge in corners(path, picture, box))
    face = picture if (right - left, bottom - top) == picture.size else picture.crop((left, top, right, bottom))
    return _Look(picture_digest(*face.size, face.tobytes()), picture.size, difference_hash(face))
