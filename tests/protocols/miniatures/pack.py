"""Packs written directly, in no time and of any size: what `prepare` would have left of so many pictures."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fernoise_bench.protocols.packs.file_format import COLUMNS, FACES, FORMAT, PACK, TABLE, table_digest
from fernoise_bench.protocols.readers.listing import Check

Array = np.ndarray[Any, np.dtype[Any]]


def write_pack(
    folder: Path,
    names: tuple[str, ...],
    labels: Array,
    group: Array,
    part: Array,
    side: int = 8,
    pixels: Array | None = None,
    published: bool = True,
) -> Path:
    """Writes a finished pack.

    Args:
        folder: named "<dataset>-<side>" as protocols look for it; faces may be of another side all the same.
        names: classes or AUs.
        labels: [N] or [N, L], as a listing has them.
        group: [N] subjects.
        part: [N] parts.
        side: of the faces.
        pixels: uint8 [N, side, side, 3]; without them black faces, a hole in the file.
        published: whether it passes for a copy as published.
    """
    folder.mkdir(parents=True)
    count = len(labels)
    number = np.arange(count)
    table = {
        "path": np.char.add("a/", np.char.zfill(number.astype(str), 6)),
        "frame": np.full(count, -1),
        "labels": labels,
        "group": group,
        "part": part,
    }
    assert set(table) == set(COLUMNS)
    np.savez_compressed(folder / TABLE, **table)  # type: ignore[arg-type]
    shape = (count, side, side, 3)
    with (folder / FACES).open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        start = file.tell()
        if pixels is not None:
            file.write(pixels.tobytes())
    os.truncate(folder / FACES, start + int(np.prod(shape)))
    told = {
        "format": FORMAT, "plan": "", "dataset": folder.name.partition("-")[0], "layout": "made", "side": side,
        "names": names, "table": table_digest(table), "pixels": "", "crop": "whole picture", "skipped": [],
        "checks": [asdict(Check("rows", count, count if published else count + 1))],
    }  # fmt: skip
    (folder / PACK).write_text(json.dumps(told))
    return folder
