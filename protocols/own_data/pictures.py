"""Preparation of a user's own pictures: decoded, cropped and resized once into a pack, again when a file changes."""

from __future__ import annotations

import contextlib
import os
import unicodedata
from pathlib import Path

import numpy as np
from PIL import Image

from ..base import Protocol
from ..errors import UNREADABLE, BadInput
from ..files import Array, read_arrays, write_arrays
from ..images.decoding import DAMAGED, FORMATS, Box
from ..own_files import LAYOUT
from ..packs import file_format
from ..packs.file_format import DONE, FACES, PACK, STARTED, TABLE, Pack
from ..packs.prepare import open_if_finished, prepare
from ..packs.workers import CHUNK, OnProgress
from ..readers.listing import Listing
from ..readers.look_around import near
from .labelled import Labelled

STAMPS = "pictures.npz"
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
    assert protocol.own is not None
    folder, listing = pack_folder(protocol, data_root), listing_of(protocol, rows)
    skip_bad = protocol.option("unreadable") == "leave out"
    _forget_if_changed(folder, _stamps(protocol, listing, rows, skip_bad=skip_bad))
    side = int(protocol.option("side"))
    _refuse_skipped(folder, skip_bad=skip_bad)
    if (done := open_if_finished(listing, data_root / "packs", side, skip_bad=skip_bad)) is not None:
        return done
    _refuse_boxes_of_others(rows, listing.root)
    workers = min(workers, -(-len(rows) // CHUNK))  # a process takes longer to start than to decode a few pictures
    return prepare(listing, data_root / "packs", side, workers=workers, skip_bad=skip_bad, report=report)


def prepared_before(protocol: Protocol, rows: Labelled, data_root: Path) -> Pack | None:
    """The prepared pictures of a protocol, None where they are not there or a file has changed; nothing is written.

    Raises:
        BadInput: a picture that is missing, or as `prepared`.
    """
    listing, skip_bad = listing_of(protocol, rows), protocol.option("unreadable") == "leave out"
    if not _same(pack_folder(protocol, data_root), _stamps(protocol, listing, rows, skip_bad=skip_bad)):
        return None
    return open_if_finished(listing, data_root / "packs", int(protocol.option("side")), skip_bad=skip_bad)


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


def _refuse_skipped(folder: Path, *, skip_bad: bool) -> None:
    """Raises BadInput for pictures that were left out before, and must not be now."""
    skipped: list[str] = []
    with contextlib.suppress(BadInput):
        skipped = file_format.description(folder)["skipped"]
    if skipped and not skip_bad:
        remedy = "repair them, or set pictures.unreadable = 'leave out'"
        raise BadInput(f"{skipped[0]}; {len(skipped):,} pictures cannot be decoded: {remedy}")


def listing_of(protocol: Protocol, rows: Labelled) -> Listing:
    """The pictures as a listing, without labels, so that a change of labels needs no new preparation."""
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
    )


def pixel_digest(folder: Path) -> str:
    """SHA-256 of the prepared pixels in the order of the table, in hex."""
    return str(file_format.description(folder)["pixels"])


def _dataset(protocol: Protocol) -> str:
    return f"own-{protocol.name}"


def _stamps(protocol: Protocol, listing: Listing, rows: Labelled, *, skip_bad: bool) -> dict[str, Array]:
    """Size and time of change of each file; -1 for a missing one, which is refused unless bad ones are left out."""
    root, found = str(listing.root), np.full((len(listing), 2), -1, np.int64)
    for row, path in enumerate(listing.path.tolist()):
        try:
            status = os.stat(f"{root}/{path}")
        except OSError as error:
            if skip_bad:
                continue
            why = f"no such picture{_there(Path(root) / path)}"
            why = why if isinstance(error, FileNotFoundError) else (error.strerror or str(error))
            remedy = "correct the path, or data.pictures, to which it is relative"
            raise BadInput(f"{rows.place(row)}: {Path(root) / path}: {why}; {remedy}") from error
        found[row] = status.st_size, status.st_mtime_ns
    return {"stamps": found, "side": np.array([int(protocol.option("side"))])}


def _there(path: Path) -> str:
    """What lies where a picture was looked for."""
    if path.is_symlink():
        return f", only a link to {os.readlink(path)}, which is not there"
    if path.parent.is_dir():
        form = unicodedata.normalize("NFC", path.name)
        if any(unicodedata.normalize("NFC", name) == form for name in os.listdir(path.parent)):
            return ", but one of this name in another form of Unicode: write it as it is on disk"
    return near(path)


def _forget_if_changed(folder: Path, stamps: dict[str, Array]) -> None:
    """Removes prepared pictures, or the beginning of them, that were made from other files."""
    if _same(folder, stamps):
        return
    if not (folder / STAMPS).exists() and (folder / PACK).exists():
        raise BadInput(f"{folder}: not the pictures of a protocol's file; delete it, or change protocol.name")
    for name in (PACK, STARTED, DONE, FACES, TABLE):
        (folder / name).unlink(missing_ok=True)
    try:
        write_arrays(folder / STAMPS, stamps)
    except OSError as error:
        remedy = "name a folder that can be written with --data-root"
        raise BadInput(f"{folder}: cannot be written ({error.strerror or error}); {remedy}") from error


def _same(folder: Path, stamps: dict[str, Array]) -> bool:
    """Whether pictures were prepared from files with these sizes and times of change."""
    with contextlib.suppress(BadInput, *UNREADABLE):
        earlier = read_arrays(folder / STAMPS)
        return all(np.array_equal(earlier[name], value) for name, value in stamps.items())
    return False
