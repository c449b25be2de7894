"""Parallel decoding of a listing: chunks of rows, decoded by several processes into one file of pixels.

Pixels are written to the file directly, not through a memory map, whose pages would stay in memory and which would
crash the process on a full disk.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..errors import BadInput
from ..files import Array
from ..images.decoding import Make, Pixels, decode_rows, fit
from ..images.landmarks import upright
from ..images.video import decode_frames
from ..processes import follow_parent
from ..readers.listing import Listing
from .file_format import DONE, UNFINISHED

T = TypeVar("T")
OnProgress = Callable[[int, int], None]
CHUNK = 128
"""Number of pictures after which a process flushes pixels to disk and marks the rows as done."""


@dataclass(frozen=True)
class DecodeJob:
    """The settings that all chunks share.

    Attributes:
        folder: of the pack.
        root: of the listing's paths.
        side: size of the faces in pixels.
        faces_start, flags_start: bytes before the first row in the files of pixels and of flags.
        skip_bad: report bad pictures instead of raising an error.
        align: detect and align faces, instead of cropping their box.
    """

    folder: Path
    root: Path
    side: int
    faces_start: int
    flags_start: int
    skip_bad: bool
    align: bool

    @property
    def make(self) -> Make[Pixels]:
        """The function applied to each picture."""
        return partial(upright if self.align else fit, side=self.side)


@dataclass(frozen=True)
class Chunk:
    """Rows of a listing: pictures of one folder, or the frames of one video."""

    rows: Array
    path: list[str]
    frame: Array
    box: Array


def check_video_support(listing: Listing) -> None:
    """Raises BadInput if a listing has videos and PyAV is missing, which must not be reported as a damaged video."""
    videos = listing.path[listing.frame >= 0]
    if len(videos):
        decode_frames(listing.root / str(videos[0]), [])


def place_of(path: str, frame: int) -> str:
    """A picture, or a frame of a video, as messages show it."""
    return f"{path}, frame {frame}" if frame >= 0 else path


def chunks(listing: Listing, rows: Array) -> Iterator[Chunk]:
    """The chunks of some rows.

    All frames of a video are in one chunk, since it is decoded from its start; pictures are grouped by folder.
    """
    video = listing.frame[rows] >= 0
    names = listing.path[rows].tolist()
    places = [(bool(v), name if v else name.rpartition("/")[0]) for name, v in zip(names, video, strict=True)]
    number_of = {place: number for number, place in enumerate(sorted(set(places)))}
    number = np.array([number_of[place] for place in places], np.int64)
    order = np.argsort(number, kind="stable")
    for group in np.split(rows[order], np.flatnonzero(np.diff(number[order])) + 1):
        size = CHUNK if listing.frame[group[:1]].max(initial=-1) < 0 else len(group)
        for first in range(0, len(group), size):
            part = group[first : first + size]
            yield Chunk(part, listing.path[part].tolist(), listing.frame[part], listing.box[part])


def run(
    task: Callable[[Chunk], dict[int, T]], work: Iterator[Chunk], workers: int, update: Callable[[dict[int, T]], None]
) -> None:
    """Applies a task to all chunks; `update` is called with its results by row, at least once a second.

    Raises:
        BrokenProcessPool: a worker process was killed.
        BadInput, OSError: as raised by the task.
    """
    if workers <= 1:
        for part in work:
            update(task(part))
        return
    # spawn, since the calling process may have threads and a GPU context, which do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=follow_parent) as pool:
        running: set[Future[dict[int, T]]] = set()
        try:
            while True:
                # Few at a time, since a chunk contains its paths.
                while len(running) < 2 * workers and (chunk := next(work, None)) is not None:
                    running.add(pool.submit(task, chunk))
                if not running:
                    return
                ended, running = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                update({row: result for future in ended for row, result in future.result().items()})
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def of_every_picture(
    listing: Listing, task: Callable[[Chunk], dict[int, T]], workers: int, report: OnProgress
) -> list[T]:
    """The results of a task for all rows of a listing, in order; `report` is called with (finished rows, all rows).

    Raises:
        BadInput: a worker process was killed, or as raised by the task.
    """
    found: dict[int, T] = {}

    def update(results: dict[int, T]) -> None:
        found.update(results)
        report(len(found), len(listing))

    update({})
    try:
        run(task, chunks(listing, np.arange(len(listing))), workers, update)
    except BrokenProcessPool as error:
        what = "a worker process was killed, perhaps because memory was full"
        raise BadInput(f"{listing.root}: {what}; run it again with fewer --workers") from error
    return [found[row] for row in range(len(listing))]


def decode_chunk(job: DecodeJob, chunk: Chunk) -> dict[int, str]:
    """Decodes a chunk to its position in the file and marks its rows as done; returns the reasons of skipped rows.

    Raises:
        BadInput: a bad picture that must not be skipped; rows decoded before it are marked as done.
        OSError: a file cannot be written.
    """
    bad: dict[int, str] = {}
    pending: list[int] = []
    size = job.side * job.side * 3
    with (job.folder / UNFINISHED).open("r+b") as faces, (job.folder / DONE).open("r+b") as flags:

        def commit() -> None:
            # Pixels first, so that rows marked as done are on disk even after a power failure.
            faces.flush()
            os.fsync(faces.fileno())
            for row in pending:
                flags.seek(job.flags_start + row)
                flags.write(b"\1")
            flags.flush()
            pending.clear()

        for position, pixels in decode_rows(job.root, chunk.path, chunk.frame, chunk.box, job.make):
            row = int(chunk.rows[position])
            if isinstance(pixels, BadInput):
                if not job.skip_bad:
                    commit()
                    raise pixels
                bad[row] = str(pixels).removeprefix(f"{job.root / chunk.path[position]}: ")
                continue
            faces.seek(job.faces_start + row * size)
            faces.write(pixels.tobytes())
            pending.append(row)
            if len(pending) == CHUNK:
                commit()
        commit()
    return bad
