"""Preparation of packs: the pictures of a data set decoded, cropped and resized once.

`prepare` makes a pack from a listing, `open_pack` opens it; for the files in its folder see file_format.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UNREADABLE, BadInput
from ..files import Array, write_array, write_arrays, write_json
from ..images import alignment, landmarks
from ..locks import LOCK, FolderLock
from ..readers.listing import Listing
from . import file_format
from .file_format import COLUMNS, DONE, FACES, FORMAT, PACK, STARTED, TABLE, UNFINISHED, Pack, open_pack, table_digest
from .made_from import stamps_of
from .workers import DecodeJob, OnProgress, check_video_support, chunks, decode_chunk, place_of, run

__all__ = ["LARGEST_SIDE", "Pack", "open_if_finished", "open_pack", "prepare", "still_fits"]

LARGEST_SIDE = 1024


def prepare(
    listing: Listing, out: Path, side: int, *, workers: int, skip_bad: bool, report: OnProgress, align: bool = False
) -> Pack:
    """Makes the pack of a listing, or resumes an interrupted run, with the same result; a finished pack is opened.

    Memory holds the table and, in each process, one picture.

    Args:
        listing: the rows.
        out: the folder in which the folder `<dataset>-<side>` is created.
        side: size of the faces in pixels.
        workers: number of processes; 1: no other process. The result does not depend on it.
        skip_bad: leave out and list pictures that cannot be decoded, instead of stopping at the first.
        report: called with (finished rows, all rows), at the start and during the work.
        align: detect and align the face in each picture, instead of using the picture or its face box; a picture
            without a face is bad.

    Raises:
        BadInput: a bad picture (named), no rows, not enough disk space, a folder that cannot be written or has faces
            with another crop, another run in the same folder, or no face detector for the alignment.
    """
    if not 1 <= side <= LARGEST_SIDE:
        raise BadInput(f"a side of {side} pixels; 1 to {LARGEST_SIDE} can be prepared")
    if not len(listing):
        raise BadInput(f"{listing.dataset}: no rows in {listing.root}, nothing to prepare")
    folder = out / f"{listing.dataset}-{side}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FolderLock(folder) as acquired:
            if not acquired:
                raise BadInput(f"{folder}: another run is preparing it; wait for it, or end it first")
            _check_crop(folder, align)
            told = _told(listing)
            if not _is_finished(folder, listing, _plan(listing, side, align), skip_bad):
                _make(folder, listing, side, align, workers, skip_bad, report)
            _tell(folder, told)
            for name in (UNFINISHED, STARTED, DONE, LOCK):
                (folder / name).unlink(missing_ok=True)
    except BrokenProcessPool as error:
        what = "a worker process was killed, perhaps because memory was full"
        raise BadInput(f"{folder}: {what}; run it again to resume") from error
    except OSError as error:
        what = f"cannot be written ({error.strerror or error})"
        raise BadInput(f"{folder}: {what}; check its permissions and the free disk space") from error
    return open_pack(folder)


def open_if_finished(listing: Listing, out: Path, side: int, *, skip_bad: bool) -> Pack | None:
    """The pack of a listing without alignment if it is finished; nothing is written, so that many may ask at once.

    Raises:
        BadInput: it was made without some bad pictures, which must not be skipped, or is damaged.
    """
    folder = out / f"{listing.dataset}-{side}"
    finished = _is_finished(folder, listing, _plan(listing, side, False), skip_bad)
    return open_pack(folder) if finished else None


def still_fits(folder: Path, listing: Listing) -> bool:
    """Whether a finished pack is of a listing; it then says, where it can be written, what it would be made from now.

    Raises:
        BadInput: unfinished or damaged.
    """
    described = file_format.description(folder)
    if described["plan"] != _plan(listing, described["side"], described["crop"] == alignment.NAME):
        return False
    with contextlib.suppress(OSError), FolderLock(folder) as acquired:
        if acquired:
            if file_format.description(folder) == described:
                _tell(folder, _told(listing))
            (folder / LOCK).unlink(missing_ok=True)
    return True


def _told(listing: Listing) -> dict[str, Any]:
    """What a pack says of its listing, which may change without its pixels and labels."""
    told: dict[str, Any] = {"checks": [asdict(check) for check in listing.checks]}
    if listing.described_in:
        told["described_in"] = listing.described_in
    if stamps := stamps_of(listing):
        told["made_from"] = stamps
    return told


def _tell(folder: Path, told: dict[str, Any]) -> None:
    described = file_format.description(folder)
    if described | told != described:
        write_json(folder / PACK, described | told)


def _check_crop(folder: Path, align: bool) -> None:
    """Raises BadInput for a folder with the other kind of crop, since aligned faces may have taken hours."""
    described: object = None
    for name in (STARTED, PACK):
        with contextlib.suppress(*UNREADABLE):
            described = json.loads((folder / name).read_bytes())
    crop = described.get("crop") if isinstance(described, dict) else None
    if isinstance(crop, str) and (crop == alignment.NAME) != align:
        remedy = "name another folder with --out, or delete this one"
        raise BadInput(f"{folder}: contains faces with another crop ({crop}); {remedy}")


def _crop(listing: Listing, align: bool) -> str:
    """The description of the crop in a pack."""
    if align:
        return alignment.NAME
    boxed = ~np.isnan(listing.box).all(axis=1)
    return "face box" if boxed.all() else "face box where there is one" if boxed.any() else "whole picture"


def _plan(listing: Listing, side: int, align: bool) -> str:
    """A digest of everything that determines the bytes of a pack; only a run with the same digest is resumed."""
    table = {name: getattr(listing, name) for name in (*COLUMNS, "box")}
    parts = [FORMAT, listing.dataset, listing.layout, side, *listing.names, table_digest(table)]
    if align:
        parts.append(alignment.NAME)
    if listing.state:
        parts.append(listing.state)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _is_finished(folder: Path, listing: Listing, plan: str, skip_bad: bool) -> bool:
    try:
        described = file_format.description(folder)
    except BadInput:
        return False
    if described["plan"] != plan:
        return False
    if (skipped := described["skipped"]) and not skip_bad:
        what = f"prepared without {len(skipped):,} bad pictures, the first being {skipped[0]}"
        raise BadInput(f"{folder}: {what}; accept it with --skip-bad, or repair them and delete this folder")
    return True


def _make(
    folder: Path, listing: Listing, side: int, align: bool, workers: int, skip_bad: bool, report: OnProgress
) -> None:
    check_video_support(listing)
    if align:
        landmarks.models()
    start, done = _begin(folder, listing, side, align)
    flags_start = (folder / DONE).stat().st_size - len(done)
    job = DecodeJob(folder, listing.root, side, start, flags_start, skip_bad, align)
    bad: dict[int, str] = {}

    def update(found: dict[int, str]) -> None:
        bad.update(found)
        report(int(file_format.load_flags(folder).sum()) + len(bad), len(listing))

    update({})
    run(partial(decode_chunk, job), chunks(listing, np.flatnonzero(~done)), workers, update)
    _finish(job, listing, {row: bad[row] for row in sorted(bad)})


def _begin(folder: Path, listing: Listing, side: int, align: bool) -> tuple[int, Array]:
    """The offset of the pixels in their file, and the finished rows; creates the files unless a run can be resumed.

    A finished pack stays as it is until the new one is finished, since trainings may read it.
    """
    shape = (len(listing), side, side, 3)
    started = {"plan": _plan(listing, side, align), "crop": _crop(listing, align)}
    if not (folder / UNFINISHED).exists() and not (folder / PACK).exists():
        with contextlib.suppress(FileNotFoundError):  # faces that were renamed, but not described before the end
            os.replace(folder / FACES, folder / UNFINISHED)
    _check_free_space(folder, int(np.prod(shape)))
    with contextlib.suppress(*UNREADABLE):
        faces, done = file_format.load_faces(folder / UNFINISHED), file_format.load_flags(folder)
        earlier = json.loads((folder / STARTED).read_bytes())
        if earlier == started and faces.shape == shape and done.shape == shape[:1]:
            return int(faces.offset), done
    # Descriptions are removed before, and written after, the files that they describe.
    for name in (STARTED, DONE, UNFINISHED):
        (folder / name).unlink(missing_ok=True)
    faces = np.lib.format.open_memmap(folder / UNFINISHED, mode="w+", dtype=np.uint8, shape=shape)
    done = np.zeros(len(listing), bool)
    np.save(folder / DONE, done)
    write_json(folder / STARTED, started)
    return int(faces.offset), done


def _check_free_space(folder: Path, size: int) -> None:
    file = folder / UNFINISHED
    used = getattr(file.stat(), "st_blocks", 0) * 512 if file.exists() else 0
    free = shutil.disk_usage(folder).free
    if size > used + free:
        what = f"{size / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free"
        remedy = "delete this folder, free" if (folder / PACK).exists() else "free"
        raise BadInput(f"{folder}: {what}; {remedy} disk space or prepare it elsewhere")


def _finish(job: DecodeJob, listing: Listing, bad: dict[int, str]) -> None:
    folder, side, start = job.folder, job.side, job.faces_start
    kept = np.delete(np.arange(len(listing)), list(bad))
    if not len(kept):
        row, why = next(iter(bad.items()))
        raise BadInput(f"{listing.root}: none of {len(bad):,} pictures can be decoded; {listing.path[row]}: {why}")
    size = side * side * 3
    if bad:
        _close_gaps(folder, kept, start, size)
    table = {name: getattr(listing, name)[kept] for name in COLUMNS}
    pixels, distinct = file_format.digest_and_distinct(folder / UNFINISHED, start, len(kept), size)
    (folder / PACK).unlink(missing_ok=True)
    write_arrays(folder / TABLE, table)
    if bad:
        _shorten(folder / UNFINISHED, start, (len(kept), side, side, 3))
    os.replace(folder / UNFINISHED, folder / FACES)
    description = {
        "format": FORMAT, "plan": _plan(listing, side, job.align), "dataset": listing.dataset, "layout": listing.layout,
        "side": side, "names": listing.names, "table": table_digest(table), "pixels": pixels,
        "crop": _crop(listing, job.align), "distinct": distinct,
        "checks": [asdict(check) for check in listing.checks],
        "skipped": [f"{place_of(str(listing.path[row]), int(listing.frame[row]))}: {why}" for row, why in bad.items()],
    }  # fmt: skip
    write_json(folder / PACK, description)


def _close_gaps(folder: Path, kept: Array, start: int, size: int) -> None:
    """Moves the kept rows together. A run that is interrupted here decodes the rows after the first gap again."""
    moved = np.flatnonzero(kept != np.arange(len(kept)))
    if len(moved):
        done = file_format.load_flags(folder)
        done[moved[0] :] = False
        write_array(folder / DONE, done)
    with (folder / UNFINISHED).open("r+b") as faces:
        for row in moved.tolist():
            faces.seek(start + int(kept[row]) * size)
            face = faces.read(size)
            faces.seek(start + row * size)
            faces.write(face)
        faces.flush()
        os.fsync(faces.fileno())


def _shorten(file: Path, start: int, shape: tuple[int, ...]) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    # NumPy pads headers so that the number of rows can change, so the header can be replaced in place.
    assert len(header.getvalue()) == start
    with file.open("r+b") as faces:
        faces.write(header.getvalue())
        faces.truncate(start + int(np.prod(shape)))
        faces.flush()
        os.fsync(faces.fileno())
