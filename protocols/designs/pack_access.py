"""The packs a protocol reads, by data set."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..base import Protocol
from ..datasets.catalog import RAW, listing_of
from ..errors import UNREADABLE, BadInput
from ..files import write_atomic
from ..images.image_pool import digests, of_pool
from ..packs.prepare import Pack, open_pack
from ..rows import Array, Origin


def open_for(protocol: Protocol, dataset: str, data_root: Path, *, partial: bool) -> Pack:
    """Opens the pack of a data set at the side a protocol's option names.

    Raises:
        BadInput: the data set is absent, not prepared, damaged, or not as published (unless partial).
    """
    side = protocol.option("side")
    folder = data_root / "packs" / f"{dataset}-{side}"
    if not folder.is_dir():
        _refuse(protocol, dataset, folder, data_root)
    pack = open_pack(folder)
    if pack.partial and not partial:
        wrong = next(check for check in pack.checks if not check.ok)
        raise BadInput(
            f"{folder}: made from a copy that differs from the published {dataset}, first in {wrong.what}: "
            f"{wrong.found} instead of {wrong.expected} (all of it: data verify {dataset}); "
            "add --partial to run on it all the same"
        )
    return pack


def _refuse(protocol: Protocol, dataset: str, folder: Path, data_root: Path) -> None:
    listing_of(dataset, data_root)  # a data set that is absent is told first
    align = " --align" if dataset in RAW else ""
    raise BadInput(
        f"{protocol.name} reads {folder}, which is not there yet: "
        f"fernoise-bench data prepare {dataset} --side {protocol.option('side')}{align} --data-root {data_root}"
    )


def row_digests(pack: Pack) -> Array:
    """A digest of each face's pixels, uint64 [N]: reckoned once and kept beside the pack where that can be written."""
    folder = Path(str(pack.faces.filename)).parent
    kept = folder / f"rows-{pack.digest[:16]}.npy"
    with contextlib.suppress(*UNREADABLE):
        found: Array = np.load(kept, allow_pickle=False)
        if found.shape == (len(pack),) and found.dtype == np.uint64:
            return found
    found = digests(of_pool(pack.pixels))
    buffer = io.BytesIO()
    np.save(buffer, found)
    with contextlib.suppress(OSError):
        write_atomic(kept, buffer.getvalue())
    return found


def joint_origin(packs: Iterable[Pack]) -> Origin:
    """Where the faces of several packs come from, as one: the layouts in order, and one digest of all."""
    origins = [pack.origin for pack in packs]
    if len(origins) == 1:
        return origins[0]
    layout = " + ".join(origin.layout for origin in origins)
    if all(origin.digest == "published" for origin in origins):
        return Origin(layout, "published")
    told = " ".join(origin.digest for origin in origins)
    return Origin(layout, hashlib.sha256(told.encode()).hexdigest()[:16])
