"""Preparation of a user's own pictures: decoded, cropped and resized once into a pack, again when a file changes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..base import Protocol
from ..errors import UNREADABLE, BadInput
from ..files import Array, read_arrays
from ..images.decoding import DAMAGED, FORMATS, Box
from ..own_files import LAYOUT
from ..packs import file_format
from ..packs.file_format import PACK, Pack
from ..packs.prepare import open_if_finished, prepare
from ..packs.workers import CHUNK, OnProgress
from ..readers.listing import Listing
from ..readers.look_around import near
from .labelled import Labelled

STAMPS = "pictures.npz"
"""The state of the pictures' files beside packs of earlier versions, whose descriptions do not contain it."""
OUTSIDE = 0.1
"""The share of a crop box that may be outside its picture without a word."""
_BOXES_LOOKED_AT, _ENOUGH_BOXES = 100, 8


def quiet(done: int, total: int) -> None:
    """Reports no progress."""


def pack_folder(protocol: Protocol, data_root: Path) -> Path:
    """Where the prepared pictures of a protocol are."""
    return data_root / "packs" / f"{_dataset(protocol)}-{protocol.option('side')}"


def prepared(
    protocol: Protocol, rows: Labelled, data_root: Path, *, workers: int = 1, report: OnProgress = quiet
) -> Pack:
    """The prepared pictures of a protocol; what is missing is prepared, and all of it where a file has changed.

    A file has changed if its size or time of change has. Labels may change without a new preparation.

    Raises:
        BadInput: a picture that is missing or cannot be decoded (named), no space, or as `prepare`.
    """
    listing = listing_of(protocol, rows, _stamps(protocol, rows))
    if (done := _opened(protocol, listing, data_root)) is not None:
        return done
    _refuse_others(protocol, pack_folder(protocol, data_root))
    _refuse_boxes_of_others(rows, listing.root)
    workers = min(workers, -(-len(rows) // CHUNK))  # a process takes longer to start than to decode a few pictures
    side, skip_bad = int(protocol.option("side")), _skip_bad(protocol)
    return prepare(listing, data_root / "packs", side, workers=workers, skip_bad=skip_bad, report=report)


def prepared_before(protocol: Protocol, rows: Labelled, data_root: Path) -> Pack | None:
    """The prepared pictures of a protocol, None where they are not there or a file has changed; nothing is written.

    Raises:
        BadInput: a picture that is missing, or as `prepared`.
    """
    return _opened(protocol, listing_of(protocol, rows, _stamps(protocol, rows)), data_root)


def outside(size: tuple[int, int], box: Box) -> float:
    """The share of a crop box that is outside a picture of some width and height; 0 without a box."""
    if box is None or np.isnan(box).any():
        return 0.0
    left, top, width, height = (float(value) for value in box)
    across, down = min(left + width, size[0]) - max(left, 0), min(top + height, size[1]) - max(top, 0)
    return 1 - max(across, 0.0) * max(down, 0.0) / (width * height)


def _refuse_boxes_of_others(rows: Labelled, root: Path) -> None:
    """Raises BadInput where most of the crop boxes that are looked at reach out of their pictures."""
    boxed = np.flatnonzero(~np.isnan(rows.box).any(axis=1))
    looked_at = boxed[:: max(1, len(boxed) // _BOXES_LOOKED_AT)].tolist()
    reaching = []
    for row in looked_at:
        with contextlib.suppress(*DAMAGED), Image.open(root / rows.path[row], formats=FORMATS) as picture:
            if outside(picture.size, rows.box[row]) > OUTSIDE:
                reaching.append(f"{rows.place(row)}: {rows.path[row]} of {picture.size[0]} x {picture.size[1]} pixels")
    if len(reaching) >= _ENOUGH_BOXES and 2 * len(reaching) > len(looked_at):
        what = f"{len(reaching)} of {len(looked_at)} crop boxes reach out of their pictures by more than a tenth"
        remedy = "are they for pictures of another size, or right and lower edges in place of width and height?"
        raise BadInput(f"{reaching[0]}: {what}; {remedy}")


def _skip_bad(protocol: Protocol) -> bool:
    """Whether pictures that cannot be decoded are left out."""
    return bool(protocol.option("unreadable") == "leave out")


def _opened(protocol: Protocol, listing: Listing, data_root: Path) -> Pack | None:
    """The finished pack of pictures in the state of a listing, None where there is none.

    Raises:
        BadInput: pictures were left out before, and must not be now; or damaged.
    """
    packs, side = data_root / "packs", int(protocol.option("side"))
    pack = open_if_finished(listing, packs, side, skip_bad=True)
    if pack is None and _same(pack_folder(protocol, data_root), listing, side):
        pack = open_if_finished(replace(listing, state=""), packs, side, skip_bad=True)
    if pack is not None and pack.skipped and not _skip_bad(protocol):
        remedy = "repair them, or set pictures.unreadable = 'leave out'"
        raise BadInput(f"{pack.skipped[0]}; {len(pack.skipped):,} pictures cannot be decoded: {remedy}")
    return pack


def _refuse_others(protocol: Protocol, folder: Path) -> None:
    """Raises BadInput where a finished pack is of other data, or of a protocol of the same name in another file."""
    if not (folder / PACK).exists():
        return
    assert protocol.own is not None
    described: dict[str, object] = {}
    with contextlib.suppress(BadInput):
        described = file_format.description(folder)
    if described.get("layout") != LAYOUT:
        raise BadInput(f"{folder}: not the pictures of a protocol's file; delete it, or change protocol.name")
    other = Path(str(described.get("described_in", "")))  # earlier versions did not write it
    if other.is_file() and other.resolve() != Path(protocol.own.file).resolve():
        what = f"contains other pictures, of the protocol of the same name in {other}"
        remedy = f"change protocol.name in {protocol.own.file}, or delete the folder if that file is not used any more"
        raise BadInput(f"{folder}: {what}; {remedy}")


def listing_of(protocol: Protocol, rows: Labelled, stamps: Array | None = None) -> Listing:
    """The pictures as a listing, without labels, so that a change of labels needs no new preparation.

    Args:
        protocol, rows: whose pictures.
        stamps: size and time of change of each file, int64 [N, 2], for preparation.
    """
    assert protocol.own is not None
    count = len(rows)
    return Listing(
        dataset=_dataset(protocol),
        layout=LAYOUT,
        root=protocol.own.root,
        names=protocol.names,
        path=rows.path,
        frame=np.full(count, -1, np.int64),
        box=rows.box,
        labels=np.full(count, -1, np.int64),
        group=np.arange(count).astype(str),
        part=np.full(count, "all"),
        checks=(),
        state="" if stamps is None else _state(stamps),
        described_in=protocol.own.file,
    )


def _dataset(protocol: Protocol) -> str:
    return f"own-{protocol.name}"


def _stamps(protocol: Protocol, rows: Labelled) -> Array:
    """Size and time of change of each file, int64 [N, 2]; -1 for a missing one.

    Raises:
        BadInput: a missing one, unless bad ones are left out.
    """
    assert protocol.own is not None
    root, found = str(protocol.own.root), np.full((len(rows), 2), -1, np.int64)
    for row, path in enumerate(rows.path.tolist()):
        try:
            status = os.stat(f"{root}/{path}")
        except OSError as error:
            if _skip_bad(protocol):
                continue
            why = f"no such picture{_there(Path(root) / path)}"
            why = why if isinstance(error, FileNotFoundError) else (error.strerror or str(error))
            remedy = "correct the path, or data.pictures, to which it is relative"
            raise BadInput(f"{rows.place(row)}: {Path(root) / path}: {why}; {remedy}") from error
        found[row] = status.st_size, status.st_mtime_ns
    return found


def _there(path: Path) -> str:
    """What lies where a picture was looked for."""
    if path.is_symlink():
        return f", only a link to {os.readlink(path)}, which is not there"
    if path.parent.is_dir():
        form = unicodedata.normalize("NFC", path.name)
        if any(unicodedata.normalize("NFC", name) == form for name in os.listdir(path.parent)):
            return ", but one of this name in another form of Unicode: write it as it is on disk"
    return near(path)


def _state(stamps: Array) -> str:
    return hashlib.sha256(stamps.astype("<i8").tobytes()).hexdigest()


def _same(folder: Path, listing: Listing, side: int) -> bool:
    """Whether an earlier version prepared pictures in the state of a listing."""
    with contextlib.suppress(BadInput, *UNREADABLE):
        earlier = read_arrays(folder / STAMPS)
        return earlier["side"].tolist() == [side] and _state(earlier["stamps"]) == listing.state
    return False
