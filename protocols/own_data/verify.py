"""What a user's own data are like, before anything is trained: counts, labels, subjects, and copies of pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..base import Protocol
from ..datasets.verify import picture_digest
from ..errors import BadInput
from ..files import Array, written_otherwise
from ..images.decoding import Box, corners, decode_rows
from ..packs.workers import Chunk, OnProgress, of_every_picture
from ..readers.listing import Check, first
from .class_folders import left_out_checks
from .definition import PARTS
from .duplicates import difference_hash, look_alikes
from .labelled import Labelled, read_labelled
from .parts import assigned, parts_of
from .pictures import OUTSIDE, listing_of, outside
from .suspects import Pair, Suspect, Suspects, differ

Line = Mapping[str, int | str]
_SIZES_SHOWN = 3
_ENOUGH = 20  # rows of a class, to tell what most of its given labels are
_MOST_OUTSIDE = 0.05  # share of the boxes, beyond which they seem to be of other pictures


@dataclass(frozen=True)
class Report:
    """What was found in a user's own data.

    Attributes:
        protocol: name of the protocol.
        rows: number of pictures in the table.
        parts: counts of each part or fold.
        labels: counts and shares of each class or action unit, and how many given labels agree with the reference.
        copies: counts of pictures that are in a part twice, or in two parts, and of those that look so.
        checks: what should not occur, with the first place where it does.
        sizes: the most frequent sizes of pictures, as "48 x 48: 120"; none if no picture was decoded.
        bad: pictures that cannot be decoded, each with the reason.
        suspects: the single pictures that the counts and checks are about.
    """

    protocol: str
    rows: int
    parts: tuple[Line, ...]
    labels: tuple[Line, ...]
    checks: tuple[Check, ...]
    copies: tuple[Line, ...] = ()
    sizes: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    suspects: tuple[Suspect, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks)


class _Look(NamedTuple):
    digest: bytes
    size: tuple[int, int]
    alike: bytes
    outside: float


def verify_own(protocol: Protocol, *, workers: int, report: OnProgress, quick: bool = False) -> Report:
    """Looks at the table of a protocol's own data, and unless quick at every picture.

    Raises:
        BadInput: a table that cannot be read, or a worker process was killed.
    """
    rows = read_labelled(protocol)
    part = assigned(protocol, rows)
    suspects = Suspects(protocol.names, rows, part)
    doubtful = [*_of_subjects(suspects), *map(suspects.unlike_reference, _wrong_though_verified(rows))]
    checks = [_usable(protocol, rows), *_subjects(rows, part), *_verified(rows), *_labels(protocol, rows)]
    checks += left_out_checks(protocol.own) if protocol.own else ()
    counted = tuple(_part_lines(protocol, rows, part)), tuple(_label_lines(protocol, rows))
    if quick:
        root = listing_of(protocol, rows).root
        gone = [
            f"{rows.place(row)}: {path}{written_otherwise(root / path)}"
            for row, path in enumerate(rows.path)
            if not (root / path).is_file()
        ]
        checks.append(Check.all("pictures that are there", len(rows), gone))
        return Report(protocol.name, len(rows), *counted, tuple(checks), suspects=tuple(doubtful))
    looks = _look_at(protocol, rows, workers, report)
    bad = [f"{rows.path[row]}: {look}" for row, look in enumerate(looks) if isinstance(look, str)]
    good = [None if isinstance(look, str) else look for look in looks]
    sizes = Counter(f"{look.size[0]} x {look.size[1]}" for look in good if look).most_common(_SIZES_SHOWN)
    found = list(_copies(protocol, rows, part, good))
    copies = tuple(_line(rows, *each) for each in found)
    doubtful += [suspects.of(row, f"damaged: {look}") for row, look in enumerate(looks) if isinstance(look, str)]
    doubtful += [suspects.copy(pair) for _, _, pairs in found for pair in pairs]
    checks += [Check.all("pictures that can be decoded", len(rows), bad), *_boxes(rows, good), *_in_two_parts(copies)]
    shown = tuple(f"{size}: {count:,}" for size, count in sizes)
    return Report(protocol.name, len(rows), *counted, tuple(checks), copies, shown, tuple(bad), tuple(doubtful))


def _usable(protocol: Protocol, rows: Labelled) -> Check:
    """Whether the parts can be trained and tested on."""
    try:
        parts_of(protocol, rows)
    except BadInput as error:
        return Check("parts that can be trained and tested on", "yes", "no", str(error))
    return Check("parts that can be trained and tested on", "yes", "yes")


def _in_several(rows: Labelled, part: Array) -> dict[str, list[str]]:
    """The subjects in more than one part, and these parts; none where subjects are not known."""
    places: dict[str, set[str]] = {}
    for subject, where in zip(rows.subject.tolist(), part.tolist(), strict=True):
        if subject and where:
            places.setdefault(subject, set()).add(where)
    return {subject: sorted(where) for subject, where in places.items() if len(where) > 1}


def _subjects(rows: Labelled, part: Array) -> Iterator[Check]:
    if rows.has_subjects:
        shared = [f"{subject} is in {' and '.join(where)}" for subject, where in _in_several(rows, part).items()]
        yield Check.none("subjects in more than one part", shared)


def _of_subjects(suspects: Suspects) -> Iterator[Suspect]:
    """The pictures of subjects in more than one part."""
    rows, several = suspects.rows, _in_several(suspects.rows, suspects.part)
    for row, subject in enumerate(rows.subject.tolist()):
        if subject in several and suspects.part[row]:
            yield suspects.of(row, f"subject {subject} in more than one part", parts=several[subject])


def _wrong_though_verified(rows: Labelled) -> list[int]:
    """The verified rows whose given label is not the reference; of action units none, some of which may differ."""
    wrong: list[int] = np.flatnonzero(rows.verified & _disagree(rows)[0]).tolist()
    return wrong if rows.given.ndim == 1 else []


def _verified(rows: Labelled) -> Iterator[Check]:
    if rows.verified.any() and rows.given.ndim == 1:
        wrong = _wrong_though_verified(rows)
        places = [f"{rows.place(row)}: {rows.path[row]}" for row in wrong]
        yield Check.none("verified rows whose given label is not the reference", places)


def _labels(protocol: Protocol, rows: Labelled) -> Iterator[Check]:
    """Whether given and reference labels have one order of classes; whether each action unit is present somewhere."""
    if rows.given.ndim == 2:
        lacking = np.flatnonzero((rows.given < 0).any(axis=0) & ~(rows.given > 0).any(axis=0)).tolist()
        threshold = f"{protocol.own.threshold:g}" if protocol.own else ""
        yield Check("the smallest value of a unit that is present", threshold, threshold)
        yield Check.none("action units that are present in no row", [protocol.names[unit] for unit in lacking])
        return
    if (both := (rows.given >= 0) & (rows.reference >= 0)).any():
        exchanged = _exchanged(rows.given[both], rows.reference[both], len(protocol.names))
        places = [f"most of {protocol.names[one]} is given as {protocol.names[other]}" for one, other in exchanged]
        yield Check.none("classes that are exchanged between given and reference labels", places)


def _exchanged(given: Array, reference: Array, classes: int) -> list[tuple[int, int]]:
    """Classes most of whose rows are given as another one, and so on back to the first: a different order of classes.

    People confuse classes too, but seldom more than twice as often as not, and never around a circle.
    """
    mostly = {}
    for label in range(classes):
        counts = np.bincount(given[reference == label], minlength=classes)
        other = int(counts.argmax())
        if counts.sum() >= _ENOUGH and counts[other] > 2 * counts[label]:
            mostly[label] = other
    for _ in range(classes):  # leaves the circles
        mostly = {label: other for label, other in mostly.items() if other in mostly and label in mostly.values()}
    return sorted(mostly.items())


def _boxes(rows: Labelled, looks: Sequence[_Look | None]) -> Iterator[Check]:
    """Whether crop boxes are in their pictures, but for a few at the edges."""
    reaching = [
        f"{rows.place(row)}: {rows.path[row]}" for row, look in enumerate(looks) if look and look.outside > OUTSIDE
    ]
    if boxes := int((~np.isnan(rows.box).any(axis=1)).sum()):
        what = "crop boxes that are in their picture, nine tenths or more"
        yield Check.most(what, boxes, 1 - _MOST_OUTSIDE, boxes - len(reaching), first(reaching))


def _disagree(rows: Labelled) -> tuple[Array, Array]:
    """Rows with an entry that is known twice and differs, and with one that is known twice: bool [N] each."""
    unknown = -1 if rows.given.ndim == 1 else 0
    both = (rows.given != unknown) & (rows.reference != unknown)
    differ = both & (rows.given != rows.reference)
    return (differ, both) if differ.ndim == 1 else (differ.any(axis=1), both.any(axis=1))


def _part_lines(protocol: Protocol, rows: Labelled, part: Array) -> Iterator[Line]:
    given, reference = rows.known(rows.given), rows.known(rows.reference)
    for name in [*_names(protocol, part), *([""] if (part == "").any() else [])]:
        here = part == name
        subjects = len(set(rows.subject[here].tolist()) - {""}) if rows.has_subjects else "–"
        counts = {"pictures": here, "given": here & given, "reference": here & reference}
        counts["verified"] = here & rows.verified
        numbers = {what: int(count.sum()) for what, count in counts.items()}
        yield {"part": name or "not used", **numbers, "subjects": subjects}


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


def _copies(
    protocol: Protocol, rows: Labelled, part: Array, looks: Sequence[_Look | None]
) -> Iterator[tuple[str, str, list[Pair]]]:
    """Copies within parts and across them, pixel for pixel or by their looks: part, other part, pairs."""
    good = np.array([look is not None for look in looks], bool)
    hashes = np.array([np.frombuffer(look.alike, np.uint8) for look in looks if look], np.uint8).reshape(-1, 16)
    group = np.full(len(looks), -1, np.int64)
    group[good] = look_alikes(hashes)
    pictures = _Pictures([look.digest if look else b"" for look in looks], group.tolist())
    members = {name: np.flatnonzero((part == name) & good).tolist() for name in _names(protocol, part)}
    if protocol.folds:
        yield "a fold", "the same fold", [pair for own in members.values() for pair in pictures.within(own)]
        earlier: list[int] = []
        across = []
        for own in members.values():
            across += pictures.across(earlier, own)
            earlier += own
        yield "a fold", "another fold", across
        return
    for name, own in members.items():
        yield name, name, pictures.within(own)
    for one, other in combinations(members, 2):
        yield other, one, pictures.across(members[one], members[other])


def _names(protocol: Protocol, part: Array) -> list[str]:
    """The parts or folds that have rows, in their usual order."""
    return [name for name in protocol.folds or PARTS if (part == name).any()]


def _line(rows: Labelled, name: str, other: str, pairs: Sequence[Pair]) -> Line:
    """How many pictures of a part are in another, and how many of these copies have another label there."""
    exact = [f"{rows.path[pair.row]} is {rows.path[pair.other]}" for pair in pairs if pair.exact]
    alike = [f"{rows.path[pair.row]} is like {rows.path[pair.other]}" for pair in pairs if not pair.exact]
    counts: Line = {"pictures of": name, "again in": other, "copies": len(exact), "near copies": len(alike)}
    relabelled = sum(differ(rows, pair) for pair in pairs)
    return {**counts, "with another label": relabelled, "first copy": first(exact), "first near copy": first(alike)}


@dataclass(frozen=True)
class _Pictures:
    """Pictures by row: their digests, and groups that look alike."""

    digest: Sequence[bytes]
    group: Sequence[int]

    def within(self, rows: Sequence[int]) -> list[Pair]:
        """Which of some pictures are exact copies of an earlier one, or look like one."""
        return self._found({}, {}, rows, add=True)

    def across(self, earlier: Sequence[int], later: Sequence[int]) -> list[Pair]:
        """The same for pictures of one part that are in another."""
        digests = {self.digest[row]: row for row in reversed(earlier)}
        groups = {self.group[row]: row for row in reversed(earlier)}
        return self._found(digests, groups, later, add=False)

    def _found(
        self, digests: dict[bytes, int], groups: dict[int, int], rows: Sequence[int], *, add: bool
    ) -> list[Pair]:
        pairs = []
        for row in rows:
            digest, group = self.digest[row], self.group[row]
            if digest in digests:
                pairs.append(Pair(row, digests[digest], exact=True))
            elif group in groups:
                pairs.append(Pair(row, groups[group], exact=False))
            if add:
                digests.setdefault(digest, row)
                groups.setdefault(group, row)
        return pairs


def _in_two_parts(lines: Sequence[Line]) -> Iterator[Check]:
    """The checks that no picture is in two parts, from the counts."""
    across = [line for line in lines if line["pictures of"] != line["again in"] != "the same fold"]
    for what, column, example in (
        ("pictures in two parts", "copies", "first copy"),
        ("pictures that look like one of another part", "near copies", "first near copy"),
    ):
        where = first(str(line[example]) for line in across if line[column])
        yield Check(what, 0, sum(int(line[column]) for line in across), where)


def _look_at(protocol: Protocol, rows: Labelled, workers: int, report: OnProgress) -> list[_Look | str]:
    """Each picture's digest, size and perceptual hash, or the reason why it cannot be decoded."""
    listing = listing_of(protocol, rows)
    return of_every_picture(listing, partial(_look_at_chunk, listing.root), workers, report)


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
    reach = outside(picture.size, box)
    return _Look(picture_digest(*face.size, face.tobytes()), picture.size, difference_hash(face), reach)
