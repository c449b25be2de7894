"""The work of preparing a pack: rows in chunks, decoded by several processes into their places in one file.

Pixels are written as a file, not through a memory map: what is written through a map stays resident as long as there is
room, and a full disk would end the process without an error.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..errors import BadInput
from ..files import Array
from ..images.decoding import Make, Pixels, decode_rows, fit
from ..images.landmarks import upright
from ..processes import follow_parent
from ..readers.listing import Listing
from .file_format import DONE, FACES

T = TypeVar("T")
CHUNK = 128
"""Pictures a process decodes before it makes them durable and marks them done."""


@dataclass(frozen=True)
class DecodeJob:
    """What all chunks share.

    Attributes:
        folder: the pack's.
        root: of the listing's paths.
        side: of the faces.
        faces_start, flags_start: bytes before the first row in the files of pixels and of flags.
        skip_bad: whether a bad picture is reported rather than raised.
        align: whether faces are found and put upright, rather than taken by their box.
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
        """What is made of a picture."""
        return partial(upright if self.align else fit, side=self.side)


@dataclass(frozen=True)
class Chunk:
    """Pictures of one folder, or the frames of one video: their rows and what the listing says of them."""

    rows: Array
    path: list[str]
    frame: Array
    box: Array


def chunks(listing: Listing, rows: Array) -> Iterator[Chunk]:
    """The chunks of some rows.

    Frames of a video belong together, since it is decoded from its start; pictures merely stand near each other.
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
    task: Callable[[Chunk], dict[int, T]], work: Iterator[Chunk], workers: int, tick: Callable[[dict[int, T]], None]
) -> None:
    """Works on chunks; `tick` gets what a task says of rows, and is called once a second or more by several processes.

    Raises:
        BrokenProcessPool: a process was ended from outside.
        BadInput, OSError: what the task raises.
    """
    if workers <= 1:
        for part in work:
            tick(task(part))
        return
    # spawn: the process that calls may hold threads and a GPU, which do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=follow_parent) as pool:
        running: set[Future[dict[int, T]]] = set()
        try:
            while True:
                # Few at a time: a chunk carries its paths.
                while len(running) < 2 * workers and (chunk := next(work, None)) is not None:
                    running.add(pool.submit(task, chunk))
                if not running:
                    return
                ended, running = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                tick({row: said for future in ended for row, said in future.result().items()})
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def decode_chunk(job: DecodeJob, chunk: Chunk) -> dict[int, str]:
    """Decodes a chunk into its rows' places and marks them done; returns what is wrong with rows that are skipped.

    Raises:
        BadInput: a bad picture that is not to be skipped; what was decoded before it is done.
        OSError: a file cannot be written.
    """
    bad: dict[int, str] = {}
    pending: list[int] = []
    size = job.side * job.side * 3
    with (job.folder / FACES).open("r+b") as faces, (job.folder / DONE).open("r+b") as flags:

        def settle() -> None:
            # Pixels first: a row that is marked is there, also after a power cut.
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
                    settle()
                    raise pixels
                bad[row] = str(pixels).removeprefix(f"{job.root / chunk.path[position]}: ")
                continue
            faces.seek(job.faces_start + row * size)
            faces.write(pixels.tobytes())
            pending.append(row)
            if len(pending) == CHUNK:
                settle()
        settle()
    return bad
