"""FER2013 and FER+: grey 48x48 faces with one FER2013 label and ten FER+ votes each."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..activity import doing
from ..errors import BadInput
from .fer2013_csv import FERPLUS_HOME, FETCH_FER2013, FETCH_FERPLUS, KAGGLE, USAGES, read_faces, read_votes
from .fer2013_folders import FOLDERS, is_first_release, read_folders
from .look_around import Signs, absence

UNKNOWN = 8

_TABLES = ("fer2013.csv", "icml_face_data.csv")
_VOTES = "fer2013new.csv"
# Of the folder elsewhere, and of the archive that Kaggle gives.
_NAMES = ("fer2013", "ferplus", "fer2013plus", "challengesinrepresentationlearningfacialexpressionrecognitionchallenge")
PICTURES, LAST_NUMBER = 35_710, 35_801  # names of FER+, the last of which is fer0035801.png
_TO_FERPLUS = np.array([4, 5, 6, 1, 3, 2, 0], np.int64)
# Names of two rows each in fer2013new.csv; copies of the folder form differ in which of the two rows they have.
_SHARED_NAMES = ("fer0006953.png", "fer0008403.png", "fer0011785.png", "fer0033120.png")

# Two thirds of FER2013's labels agree with FER+'s majority; where the tables have the same order, each block does.
_AGREEMENT, _BLOCK = 2 / 3, 500

# The published data: rows by usage, and SHA-256 of the parsed arrays (labels, votes and usage as uint8), so that line
# ends, quotes and column order of the files do not matter. The folder form is sorted by name.
ROWS = (28_709, 3_589, 3_589)
ROWS_FOLDERS = (28_558, 3_579, 3_573)
_SUMS = {
    "images": "c267d81af4fae7bced50ff1be0ce06f7d14fb05887ece2efe39e04c35f8558b1",
    "FER2013 labels": "f794993487dfeee2db4ebcc894efaf41b3bbe6b8901490fc789a0768b54272fd",
    "votes": "935d1852901cf134d0e733572c8b77d27a7ac81edabcffb2f4704e3bae535350",
    "usage": "65bf156bc07c62f9df3ed082b614f177e50628b7970dad999e8f4b1f2a91da52",
}
_SUMS_FOLDERS = {
    "names": "eb569c548dcaaf39a4d22f485648c2a7d522e16a8ffcd0545f7a7028d1d98de1",
    "images": "adddb9acb296cbc76dd12d0f4b308cab00a4c6d807dbe5b0d8ab36d6cd78eb41",
    "votes": "2f58495b6e1ba1faf06f5fe9813930264314a2f89590b93432a080028e48e813",
    "usage": "b186f5fd2c7ee45c4cf06949e4048d7d786136b8df344affd5779f65a062229d",
}


@dataclass(frozen=True, eq=False)
class FerPlus:
    """FER2013 with FER+ votes.

    Attributes:
        images: uint8 [N, 48, 48], grey.
        fer2013: int64 [N], 0-6 in the order of FER2013_CLASSES; -1 in the folder form, which has no FER2013 labels.
        votes: int64 [N, 10], 0-10 each: FERPLUS_CLASSES, then unknown, then not-a-face.
        usage: int8 [N], 0 Training, 1 PublicTest, 2 PrivateTest.
        names: str [N], FER+ image names; empty where fer2013new.csv has none (the number in a name is not the row).
        row: int64 [N], the row in fer2013.csv counted from 0 after the header; a running number in the folder form.
        layout: "fer2013.csv", "icml_face_data.csv", "folders", or "folders-first" where the label.csv files are FER+'s
            first release, whose votes differ from fer2013new.csv for some repeated images.
    """

    images: NDArray[np.uint8]
    fer2013: NDArray[np.int64]
    votes: NDArray[np.int64]
    usage: NDArray[np.int8]
    names: NDArray[np.str_]
    row: NDArray[np.int64]
    layout: str

    def picture_paths(self) -> list[str]:
        """FER+'s folder and name of each picture; empty for one without a name."""
        named = zip(self.usage.tolist(), self.names.tolist(), strict=True)
        return [f"{FOLDERS[code]}/{name}" if name else "" for code, name in named]

    def digest(self) -> str:
        """ "published" for the published tables or folders, else 16 hex digits of the SHA-256 of the content."""
        sums = _content_sums(self)
        wanted = _SUMS_FOLDERS if self.layout.startswith("folders") else _SUMS
        if all(sums[part] == value for part, value in wanted.items()):
            return "published"
        return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()[:16]


def read(root: Path, partial: bool = False) -> FerPlus:
    """Reads the `ferplus/` folder: fer2013.csv or icml_face_data.csv with fer2013new.csv, else the three FER+ folders.

    Args:
        root: the folder.
        partial: accept content that differs from the published one (a subset, an altered copy).

    Raises:
        BadInput: files missing, damaged or altered.
    """
    root = Path(root)
    table = next((root / name for name in _TABLES if (root / name).exists()), None)
    if table is not None:
        with doing(f"reading {table.name}"):
            data = _from_tables(table, root / _VOTES)
    elif any((root / folder).exists() for folder in FOLDERS):
        with doing(f"reading the pictures in {', '.join(FOLDERS)}"):
            data = _from_folders(root)
    else:
        what = f"{_TABLES[0]} (nor {_TABLES[1]}, nor {', '.join(FOLDERS)})"
        raise _missing("FER2013 and FER+", what, root, (*_TABLES, FOLDERS[0], _VOTES))
    if not partial:
        check_published(data, root)
    return data


def check_published(data: FerPlus, root: Path) -> None:
    """Checks that the content is the published one, in whatever layout.

    The folder form is compared without the four names of two rows each. For the votes of the first release of the
    folder form ("folders-first") no checksum is published, so that such a copy counts as partial.

    Raises:
        BadInput: the content differs; the message says in what.
    """
    folders = data.layout.startswith("folders")
    expected, wanted = (ROWS_FOLDERS, _SUMS_FOLDERS) if folders else (ROWS, _SUMS)
    remedy = f"fetch FER2013 from {KAGGLE}, FER+ from {FERPLUS_HOME}, or pass --partial to run on this copy"
    rows = tuple(np.bincount(data.usage, minlength=len(USAGES)).tolist())
    if rows != expected:
        counts = " / ".join(f"{n:,}" for n in rows), " / ".join(f"{n:,}" for n in expected)
        what = f"{counts[0]} rows in {' / '.join(USAGES)} instead of {counts[1]}"
        raise BadInput(f"{root} ({data.layout}): not the published data, {what}; {remedy}")
    sums = _content_sums(data)
    differing = [part for part, value in wanted.items() if sums[part] != value]
    if differing:
        what = f"not equal in {', '.join(differing)} (sha256 of {differing[0]}: {sums[differing[0]][:12]}…)"
        raise BadInput(f"{root} ({data.layout}): not the published data, {what}; {remedy}")


def majority(votes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """FER+ labels by the "majority" rule of the FER+ authors' CNTK code.

    Single votes are ignored; a class needs more than half of the remaining votes, else the face is unknown.

    Args:
        votes: integers [N, 10] in the order of FERPLUS_CLASSES, unknown, not-a-face.

    Returns:
        int64 [N]: 0-7 in the order of FERPLUS_CLASSES, 8 unknown, 9 not a face.

    Source: microsoft/FERPlus, src/ferplus.py.
    """
    kept = np.where(votes > 1, votes, 0)
    return np.where(2 * kept.max(1) > kept.sum(1), kept.argmax(1), UNKNOWN)


def to_ferplus(codes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """FER2013 codes (integers, any shape, 0-6) as FER+ classes, int64 of the same shape; -1 (no label) stays -1."""
    return np.where(codes < 0, -1, _TO_FERPLUS[codes])


def _missing(dataset: str, files: str, root: Path, marks: tuple[str, ...]) -> BadInput:
    ask = (
        f"ask for fer2013.csv at {KAGGLE}, for fer2013new.csv at {FERPLUS_HOME}, or run with --synthetic, which needs "
    )
    return absence(f"{dataset}: no {files} in {root}", root, f"{ask}no data", Signs(marks, _NAMES))


def _from_tables(table: Path, votes_table: Path) -> FerPlus:
    """Reads the CSV layout, whose two tables are joined by row."""
    if not votes_table.exists():
        raise _missing("FER+", f"{_VOTES} beside {table.name}", table.parent, (_VOTES,))
    votes, names, votes_usage = read_votes(votes_table)
    images, labels, usage = read_faces(table)
    if len(images) != len(votes):
        shorter, remedy = (table, FETCH_FER2013) if len(images) < len(votes) else (votes_table, FETCH_FERPLUS)
        what = f"{len(images):,} rows in {table.name}, {len(votes):,} in {_VOTES}, which are joined row by row"
        raise BadInput(f"{shorter}: {what}; {remedy}")
    if (usage != votes_usage).any():
        at = int(np.argmax(usage != votes_usage))
        # Line 1 is the header, and there are no empty lines between rows.
        what = f"Usage {USAGES[votes_usage[at]]} here, {USAGES[usage[at]]} in the same line of {table.name}"
        raise BadInput(f"{votes_table}, line {at + 2}: {what}; the files are joined by row: fetch both again")
    _check_agreement(table, to_ferplus(labels), majority(votes))
    return FerPlus(images, labels, votes, usage, names, np.arange(len(images), dtype=np.int64), table.name)


def _check_agreement(table: Path, labels: NDArray[np.int64], winners: NDArray[np.int64]) -> None:
    """Raises BadInput where labels agree so rarely with the votes joined to them that the rows are of other faces."""
    for start in range(0, len(labels), _BLOCK):
        block = slice(start, start + _BLOCK)
        has_majority = winners[block] < UNKNOWN
        agree = labels[block][has_majority] == winners[block][has_majority]
        if not len(agree):
            continue
        # Half, or in a small block five standard errors below the published share.
        error = math.sqrt(_AGREEMENT * (1 - _AGREEMENT) / len(agree))
        if agree.mean() < min(0.5, _AGREEMENT - 5 * error):
            lines = f"{table}, lines {start + 2:,} to {start + len(winners[block]) + 1:,}"
            what = f"{agree.mean():.0%} of the labels agree with FER+'s majority in the same rows, published are 67 %"
            raise BadInput(f"{lines}: {what}; the tables are joined by row, so both must be in the published order")


def _from_folders(root: Path) -> FerPlus:
    """Reads the folder form, which has no FER2013 labels."""
    images, votes, names, usage = read_folders(root)
    layout = "folders-first" if is_first_release(root) else "folders"
    unlabelled = np.full(len(images), -1, np.int64)
    return FerPlus(images, unlabelled, votes, usage, names, np.arange(len(images), dtype=np.int64), layout)


def _content_sums(data: FerPlus) -> dict[str, str]:
    """SHA-256 of each part of the content; the folder form sorted by name and without shared names."""
    order = np.arange(len(data.images))
    if data.layout.startswith("folders"):
        order = np.argsort(data.names, kind="stable")
        order = order[~np.isin(data.names[order], _SHARED_NAMES)]
    parts = {
        "names": "\n".join(data.names[order].tolist()).encode(),
        "images": data.images[order].tobytes(),
        "FER2013 labels": data.fer2013[order].astype(np.uint8).tobytes(),
        "votes": data.votes[order].astype(np.uint8).tobytes(),
        "usage": data.usage[order].astype(np.uint8).tobytes(),
    }
    return {part: hashlib.sha256(content).hexdigest() for part, content in parts.items()}
