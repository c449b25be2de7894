"""A data set decoded, cropped and resized once: one array file of pixels and a table, in a folder of its own.

`prepare` makes a pack from a listing, `open_pack` opens it; `pack_files` says what is in the folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import UNREADABLE, BadInput
from ..files import Array, write_arrays, write_atomic, write_json
from ..images import alignment, landmarks
from ..images.video import decode_frames
from ..locks import FolderLock
from ..readers.listing import Listing
from . import file_format
from .file_format import COLUMNS, DONE, FACES, FORMAT, PACK, STARTED, TABLE, Pack, open_pack, table_digest
from .workers import DecodeJob, chunks, decode_chunk, run

__all__ = ["LARGEST_SIDE", "Pack", "open_pack", "prepare"]

LARGEST_SIDE = 1024

OnProgress = Callable[[int, int], None]


def prepare(
    listing: Listing, out: Path, side: int, *, workers: int, skip_bad: bool, report: OnProgress, align: bool = False
) -> Pack:
    """Makes the pack of a listing, or goes on where an earlier run was ended; the bytes are the same either way.

    Resident memory holds the table and, in each process, one picture. A finished pack of the same listing is opened.

    Args:
        listing: the rows.
        out: where the folder `<dataset>-<side>` is made.
        side: of the faces, in pixels.
        workers: processes; 1 works in this one. The result does not depend on it.
        skip_bad: leave pictures out that cannot be decoded, and list them, rather than end with the first.
        report: called with (rows dealt with, all rows), at the start and as they go.
        align: find the face in each picture and put it upright, rather than take the picture or its face box; one
            without a face counts as bad.

    Raises:
        BadInput: a bad picture (named), no rows, not enough room, a folder that cannot be written or holds faces cut
            in another way, another run that is preparing it, or no detector to align with.
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
            _refuse_another_cut(folder, align)
            if not _is_finished(folder, listing, _plan(listing, side, align), skip_bad):
                _make(folder, listing, side, align, workers, skip_bad, report)
            for name in (STARTED, DONE):
                (folder / name).unlink(missing_ok=True)
    except BrokenProcessPool as error:
        what = "a worker process was ended from outside, perhaps for want of memory"
        raise BadInput(f"{folder}: {what}; run it again, it goes on where it stopped") from error
    except OSError as error:
        what = f"cannot be written ({error.strerror or error})"
        raise BadInput(f"{folder}: {what}; check its permissions and room") from error
    return open_pack(folder)


def _refuse_another_cut(folder: Path, align: bool) -> None:
    """Keeps a run without alignment from taking the place of faces that took hours to align, and the reverse."""
    told: object = None
    for name in (STARTED, PACK):
        with contextlib.suppress(*UNREADABLE):
            told = json.loads((folder / name).read_bytes())
    crop = told.get("crop") if isinstance(told, dict) else None
    if isinstance(crop, str) and (crop == alignment.NAME) != align:
        remedy = "name another folder with --out, or delete this one"
        raise BadInput(f"{folder}: holds faces cut in another way ({crop}); {remedy}")


def _crop(listing: Listing, align: bool) -> str:
    """What is cut out of the pictures, as a pack says it."""
    if align:
        return alignment.NAME
    boxed = ~np.isnan(listing.box).all(axis=1)
    return "face box" if boxed.all() else "face box where there is one" if boxed.any() else "whole picture"


def _plan(listing: Listing, side: int, align: bool) -> str:
    """What decides every byte of a pack: a run goes on only with what was prepared for the same."""
    table = {name: getattr(listing, name) for name in (*COLUMNS, "box")}
    told = [FORMAT, listing.dataset, listing.layout, side, *listing.names, table_digest(table)]
    if align:
        told.append(alignment.NAME)
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _is_finished(folder: Path, listing: Listing, plan: str, skip_bad: bool) -> bool:
    try:
        told = file_format.description(folder)
    except BadInput:
        return False
    if told["plan"] != plan:
        return False
    if told["skipped"] and not skip_bad:
        what = f"prepared without {len(told['skipped']):,} bad pictures, the first being {told['skipped'][0]}"
        raise BadInput(f"{folder}: {what}; accept it with --skip-bad, or repair them and delete this folder")
    checks = [asdict(check) for check in listing.checks]
    if checks != told["checks"]:
        write_json(folder / PACK, {**told, "checks": checks})
    return True


def _make(
    folder: Path, listing: Listing, side: int, align: bool, workers: int, skip_bad: bool, report: OnProgress
) -> None:
    videos = listing.path[listing.frame >= 0]
    if len(videos):
        # A missing PyAV is no fault of a video, and must not be skipped as one.
        decode_frames(listing.root / str(videos[0]), [])
    if align:
        landmarks.check()
    start, done = _begin(folder, listing, side, align)
    flags_start = (folder / DONE).stat().st_size - len(done)
    job = DecodeJob(folder, listing.root, side, start, flags_start, skip_bad, align)
    bad: dict[int, str] = {}

    def tick(found: dict[int, str]) -> None:
        bad.update(found)
        report(int(file_format.load_flags(folder).sum()) + len(bad), len(listing))

    tick({})
    run(partial(decode_chunk, job), chunks(listing, np.flatnonzero(~done)), workers, tick)
    _finish(job, listing, {row: bad[row] for row in sorted(bad)})


def _begin(folder: Path, listing: Listing, side: int, align: bool) -> tuple[int, Array]:
    """The offset of the pixels in their file, and which rows are in place; makes the files where they do not fit."""
    shape = (len(listing), side, side, 3)
    started = {"plan": _plan(listing, side, align), "crop": _crop(listing, align)}
    _check_room(folder, int(np.prod(shape)))
    with contextlib.suppress(*UNREADABLE):
        faces, done = file_format.load_faces(folder / FACES), file_format.load_flags(folder)
        told = json.loads((folder / STARTED).read_bytes())
        if told == started and faces.shape == shape and done.shape == shape[:1]:
            return int(faces.offset), done
    # What describes goes first, what is described after it; and the other way round when they are made.
    for name in (PACK, STARTED, DONE, FACES, TABLE):
        (folder / name).unlink(missing_ok=True)
    faces = np.lib.format.open_memmap(folder / FACES, mode="w+", dtype=np.uint8, shape=shape)
    done = np.zeros(len(listing), bool)
    np.save(folder / DONE, done)
    write_json(folder / STARTED, started)
    return int(faces.offset), done


def _check_room(folder: Path, size: int) -> None:
    file = folder / FACES
    taken = getattr(file.stat(), "st_blocks", 0) * 512 if file.exists() else 0
    free = shutil.disk_usage(folder).free
    if size > taken + free:
        what = f"{size / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free"
        raise BadInput(f"{folder}: {what}; make room or prepare it elsewhere")


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
    pixels = file_format.pixel_digest(folder / FACES, start, len(kept) * size)
    write_arrays(folder / TABLE, table)
    if bad:
        _shorten(folder / FACES, start, (len(kept), side, side, 3))
    told = {
        "format": FORMAT, "plan": _plan(listing, side, job.align), "dataset": listing.dataset, "layout": listing.layout,
        "side": side, "names": listing.names, "table": table_digest(table), "pixels": pixels,
        "crop": _crop(listing, job.align),
        "checks": [asdict(check) for check in listing.checks],
        "skipped": [_skipped(listing, row, why) for row, why in bad.items()],
    }  # fmt: skip
    write_json(folder / PACK, told)


def _skipped(listing: Listing, row: int, why: str) -> str:
    frame = f", frame {listing.frame[row]}" if listing.frame[row] >= 0 else ""
    return f"{listing.path[row]}{frame}: {why}"


def _close_gaps(folder: Path, kept: Array, start: int, size: int) -> None:
    """Moves the kept rows together. A run that is ended here decodes again what stood behind the first gap."""
    moved = np.flatnonzero(kept != np.arange(len(kept)))
    if len(moved):
        done = file_format.load_flags(folder)
        done[moved[0] :] = False
        buffer = io.BytesIO()
        np.save(buffer, done)
        write_atomic(folder / DONE, buffer.getvalue())
    with (folder / FACES).open("r+b") as faces:
        for row in moved.tolist():
            faces.seek(start + int(kept[row]) * size)
            face = faces.read(size)
            faces.seek(start + row * size)
            faces.write(face)
        faces.flush()
        os.fsync(faces.fileno())


def _shorten(file: Path, start: int, shape: tuple[int, ...]) -> None:
    header = io.BytesIO()
    told = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, told)
    # NumPy leaves room for the number of rows to change, so that a header can be replaced in place.
    assert len(header.getvalue()) == start
    with file.open("r+b") as faces:
        faces.write(header.getvalue())
        faces.truncate(start + int(np.prod(shape)))
        faces.flush()
        os.fsync(faces.fileno())
