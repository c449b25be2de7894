"""Resident memory does not grow with the size of a data set: measured in a process of its own, on Linux."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fernoise_bench.protocols.packs.file_format import COLUMNS, FACES, FORMAT, PACK, TABLE, table_digest
from fernoise_bench.protocols.packs.prepare import open_pack
from fernoise_bench.protocols.readers.listing import Check

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MIB = 1 << 20
BP4D = 146_847

PREAMBLE = """
import json, sys
from pathlib import Path
import numpy as np
from fernoise_bench.protocols.readers.listing import Listing
from fernoise_bench.protocols.packs.prepare import open_pack, prepare

def memory(what):
    line = next(line for line in open("/proc/self/status") if line.startswith(what))
    return int(line.split()[1]) << 10
"""
PREPARE = (
    PREAMBLE
    + """
from PIL import Image
root, rows, side = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
(root / "a").mkdir()
for index in range(rows):
    pixels = np.random.default_rng(index).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(root / f"a/{index:05d}.jpg")
number = np.arange(rows)
listing = Listing(
    "toy", "made", root, ("a",), np.array([f"a/{index:05d}.jpg" for index in number]), np.full(rows, -1),
    np.full((rows, 4), np.nan), number * 0, number.astype(str), np.full(rows, "train"), ()
)
samples = []
pack = prepare(listing, root, side, workers=1, skip_bad=False, report=lambda *_: samples.append(memory("VmRSS")))
print(json.dumps({"samples": samples, "peak": memory("VmHWM"), "bytes": pack.faces.nbytes}))
"""
)
READ = (
    PREAMBLE
    + """
pack = open_pack(Path(sys.argv[1]))
draw = np.random.default_rng(0)
draw.integers(0, 9, 16)
start = peak = memory("VmRSS")
for batch in range(125):
    rows = draw.integers(0, len(pack), 16)
    found = pack.read(rows) if sys.argv[2] == "read" else pack.faces[rows]
    assert found.shape == (16, 240, 240, 3) and not found.any()
    peak = max(peak, memory("VmRSS"))
print(json.dumps({"start": start, "growth": peak - start, "peak": memory("VmHWM"), "bytes": pack.faces.nbytes}))
"""
)


def measured(script: str, *arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_preparing_two_thousand_pictures(tmp_path: Path) -> None:
    found = measured(PREPARE, tmp_path, 2000, 224)
    print(found)
    samples = np.array(found["samples"])
    assert found["bytes"] == 2000 * 224 * 224 * 3
    assert len(samples) > 10
    # A chunk's pages, not the 287 MiB that were written; the digest reads them a block at a time.
    assert samples[1:].max() - samples[1] < 8 * MIB
    assert found["peak"] - samples[0] < 64 * MIB


@pytest.fixture
def bp4d_shaped(tmp_path: Path) -> Path:
    """A pack of BP4D's size, its pixels a hole in the file."""
    folder = tmp_path / "bp4d-240"
    folder.mkdir()
    number = np.arange(BP4D)
    table = {
        "path": np.char.add("Sequences/F001/T1/", number.astype(str)),
        "frame": np.full(BP4D, -1),
        "labels": np.zeros((BP4D, 12), np.int8),
        "group": np.char.add("F", (number % 41).astype(str)),
        "part": np.full(BP4D, "train"),
    }
    assert set(table) == set(COLUMNS)
    np.savez_compressed(folder / TABLE, **table)  # type: ignore[arg-type]
    shape = (BP4D, 240, 240, 3)
    with (folder / FACES).open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        start = file.tell()
    os.truncate(folder / FACES, start + int(np.prod(shape)))
    told = {
        "format": FORMAT, "plan": "", "dataset": "bp4d", "layout": "made", "side": 240,
        "names": [f"AU{n}" for n in range(12)], "table": table_digest(table), "pixels": "", "crop": "whole picture",
        "skipped": [], "checks": [asdict(Check("frames", BP4D, BP4D))],
    }  # fmt: skip
    (folder / PACK).write_text(json.dumps(told))
    return folder


def test_a_pack_of_the_size_of_bp4d(bp4d_shaped: Path) -> None:
    faces = bp4d_shaped / FACES
    try:
        if faces.stat().st_blocks * 512 > MIB:
            pytest.skip("this file system has no sparse files")
        assert len(open_pack(bp4d_shaped)) == BP4D
        by_file, by_map = measured(READ, bp4d_shaped, "read"), measured(READ, bp4d_shaped, "map")
        print(by_file, by_map)
        assert by_file["bytes"] > 25e9
        # One batch through the file; every page that was touched through the map.
        assert by_file["growth"] < 16 * MIB
        assert by_map["growth"] < 1024 * MIB
    finally:
        faces.unlink()
