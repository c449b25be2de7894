"""Lists of noisy RAF-DB training labels published by other authors.

Known formats, all with one line per picture and blanks between the fields:
SCN (0.1noise_train.txt): the picture's path on the author's machine, label 0-6, CRLF or LF;
EAC (noise01.txt): train_00001.jpg, label 1-7; Ada-CM: name, label 0-6, and a third column, which is ignored;
ReSup (0.4noise_train1.txt): as EAC, also for test pictures, whose labels it changes too: its test rows are not used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput
from ..noise import realised_rate
from .folders import files_of
from .listing import Listing
from .look_around import Signs, look_around
from .text_lines import read_lines, shown, whole

BASES = (".", "basic", "raf-basic", "DATASET")
"""The folders of the data set, relative to its own, that may hold EmoLabel/ and the pictures."""

_ROW = re.compile(r"(.+\.\w+)[ \t]+(\S+)([ \t]+\S+)?\s*")
_NAME = re.compile(r"((?:train|test)_\d+)(?:_aligned)?\.\w+", re.IGNORECASE)
_RATE = re.compile(r"(0\.\d+)noise")
_REMEDY = "use the list as its author published it"
# Smallest number of rows of a class for which the most frequent given label is evidence of the order of classes.
_ENOUGH = 20


@dataclass(frozen=True, eq=False)
class NoisyList:
    """The labels of a list, in the order of the listing's training rows.

    Attributes:
        given: int64 [T], 0-6 in the listing's class order.
        base: 0 or 1, the smallest label of the list.
        rate: share of the training rows whose given label differs from the listing's.
        test_rows: number of rows of test pictures, which are not used.
        test_changed: those of them whose label differs from the listing's.
    """

    given: NDArray[np.int64]
    base: int
    rate: float
    test_rows: int = 0
    test_changed: int = 0


def places_of(root: Path, file: str) -> list[Path]:
    """Where a list such as EmoLabel/0.1noise_train.txt may lie in the data set's folder."""
    return [root / base / file for base in BASES]


def noisy_lists(root: Path) -> list[Path]:
    """The lists of noisy labels in the data set's EmoLabel/, by the names their authors give them, sorted."""
    return sorted(path for base in BASES for path in (root / base / "EmoLabel").glob("*noise_train*.txt"))


def find_noisy_list(root: Path, file: str) -> Path:
    """The list in the data set's folder; BadInput if it is in none of its places."""
    found = next((path for path in places_of(root, file) if path.is_file()), None)
    if found is None:
        where = " or ".join(f"{base}/{file}".removeprefix("./") for base in BASES[:2])
        base = next((base for base in BASES if (root / base / "EmoLabel").is_dir()), BASES[0])
        folder, _, name = file.rpartition("/")
        there = ", ".join(files_of(root / base / folder)[:5])
        what = f"{root}: no {where}{f' (there are {there})' if there else ''}"
        if near := look_around(root, Signs((name,), into=(Path(base) / folder).as_posix())):
            raise BadInput(f"{what}, but {near}")
        raise BadInput(f"{what}; fetch the list from its authors, whom show protocol names")
    return found


def stated_rate(path: Path) -> float | None:
    """The share of wrong labels in the name that the authors give a list, "0.1noise_train.txt"; None without one."""
    match = _RATE.match(path.name)
    return float(match[1]) if match else None


def is_plausible(noisy: NoisyList, stated: float) -> bool:
    """Whether a list has about the stated share of wrong labels: a seventh less where the true class was drawn too."""
    error = 5 * math.sqrt(stated * (1 - stated) / len(noisy.given))
    return stated * 6 / 7 - error <= noisy.rate <= stated + error


def read_noisy_list(path: Path, listing: Listing, base: int | None = None) -> NoisyList:
    """Reads a list of noisy labels for the training rows of a RAF-DB listing, in any order.

    Base names are compared without "_aligned" and extension. Labels start at 0 if the list contains a 0, at 1 if it
    contains a 7; otherwise the base that agrees with more of the listing's labels is used. Rows of pictures that are
    missing in a partial copy are ignored. Rows of test pictures are counted and not used.

    Args:
        path: the list.
        listing: RAF-DB as returned by `rafdb.read`.
        base: 0 or 1, if the list itself does not determine it.

    Raises:
        BadInput: a damaged line, an invalid label, a repeated row, an unknown one, a training row that is not listed,
            or a class of 20 rows or more with another label more than twice as often as its own (the list
            has another class order or belongs to other pictures).
    """
    path = Path(path)
    labels = dict(zip(map(_stem, listing.path.tolist()), listing.labels.tolist(), strict=True))
    names = [_stem(name) for name in listing.path[listing.part == "train"].tolist()]
    codes = _read_codes(path, labels.keys(), listing.partial)
    if missing := [name for name in names if name not in codes]:
        what = f"no row for {len(missing):,} of {len(names):,} training pictures, the first {missing[0]}"
        raise BadInput(f"{path}: {what}; {_REMEDY}, or read it with the copy it was made for")
    found = np.array([codes[name] for name in names], np.int64)
    reference = listing.labels[listing.part == "train"]
    base = _base(path, found, reference) if base is None else base
    given = found - base
    if given.min() < 0 or given.max() >= len(listing.names):
        at = int(np.argmax((given < 0) | (given >= len(listing.names))))
        raise BadInput(f"{path}: label {found[at]} of {names[at]} with labels counted from {base}; {_REMEDY}")
    _check_order(path, given, reference, listing.names)
    tested = [name for name in codes if name.startswith("test_")]
    changed = sum(codes[name] - base != labels[name] for name in tested if name in labels)
    return NoisyList(given, base, realised_rate(given, reference), len(tested), changed)


def _stem(path: str) -> str:
    """The name "train_00001" of a path to train_00001_aligned.jpg, with either kind of slash; "" for other names."""
    match = _NAME.fullmatch(re.split(r"[/\\]", path)[-1])
    return match[1].lower() if match else ""


def _read_codes(path: Path, names: Set[str], partial: bool) -> dict[str, int]:
    """The label of each row as in the list; rows that are not among `names` are refused unless the copy is partial."""
    codes: dict[str, int] = {}
    has_third = None
    for line in read_lines(path, _REMEDY, separator=" "):
        match = _ROW.fullmatch(line.text.decode())
        third = bool(match and match[3])
        if match is None or has_third not in (None, third):
            raise line.error(f"{shown(line.text.strip())} is no name and label, with the same columns in every line")
        has_third = third
        name = _stem(match[1])
        if not name or (name not in names and not partial):
            raise line.error(f"{shown(match[1])} is no picture of this copy", "use a list made for this copy")
        if name in codes:
            raise line.error(f"{name} is listed a second time", "keep one of the two")
        code = whole(match[2])
        if code is None or code > 7:
            raise line.error(f"label {shown(match[2])}, not 0 to 6 nor 1 to 7")
        codes[name] = code
    return codes


def _base(path: Path, found: NDArray[np.int64], reference: NDArray[np.int64]) -> int:
    """The smallest label of the list: by its lowest and highest label, otherwise by agreement with the reference."""
    if (found == 0).any() and (found == 7).any():
        raise BadInput(f"{path}: labels 0 and 7 in one list, which has seven classes; {_REMEDY}")
    if (found == 0).any() or (found == 7).any():
        return int((found == 7).any())
    agree = [int((found - base == reference).sum()) for base in (0, 1)]
    if agree[0] == agree[1]:
        raise BadInput(f"{path}: neither a label 0 nor a 7, so the smallest label is unknown; pass base=0 or base=1")
    return int(agree[1] > agree[0])


def _check_order(path: Path, given: NDArray[np.int64], reference: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    """Raises BadInput if most rows of a class have one other class as given label."""
    for label, name in enumerate(classes):
        counts = np.bincount(given[reference == label], minlength=len(classes))
        other = int(counts.argmax())
        if counts.sum() >= _ENOUGH and counts[other] > 2 * counts[label]:
            what = f"{counts[other]:,} of {counts.sum():,} rows of {name} have the label {classes[other]}"
            raise BadInput(f"{path}: {what}: another class order, or a list for other pictures; {_REMEDY}")
