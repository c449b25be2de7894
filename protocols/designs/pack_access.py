"""Access to the packs of a protocol's data sets."""

from __future__ import annotations

import contextlib
import hashlib
import shlex
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..activity import doing
from ..base import Protocol
from ..datasets.catalog import RAW, listing_of
from ..errors import UNREADABLE, BadInput
from ..files import write_array
from ..images.image_pool import digests, of_pool
from ..packs.prepare import Pack, open_pack
from ..rows import Array, Origin


def open_for(protocol: Protocol, dataset: str, data_root: Path, *, partial: bool) -> Pack:
    """Opens the pack of a data set at the image size of the protocol's option "side".

    Raises:
        BadInput: the data set is absent, not prepared, damaged, or not as published (unless partial).
    """
    side = protocol.option("side")
    folder = data_root / "packs" / f"{dataset}-{side}"
    if not folder.is_dir():
        listing_of(dataset, data_root)  # raises the error for an absent data set first
        align = " --align" if dataset in RAW else ""
        raise BadInput(
            f"{protocol.name} reads {folder}, which does not exist yet: "
            f"fernoise-bench data prepare {dataset} --side {side}{align} --data-root {shlex.quote(str(data_root))}"
        )
    pack = open_pack(folder)
    if pack.partial and not partial:
        wrong = next(check for check in pack.checks if not check.ok)
        raise BadInput(
            f"{folder}: made from a copy that differs from the published {dataset}, first in {wrong.what}: "
            f"{wrong.found} instead of {wrong.expected} (all differences: data verify {dataset}); "
            "add --partial to run on it anyway"
        )
    return pack


def row_digests(pack: Pack) -> Array:
    """A digest of each face's pixels, uint64 [N], computed once and stored beside the pack if it is writable."""
    file = pack.pixels.held.path.parent / f"rows-{pack.digest[:16]}.npy"
    with contextlib.suppress(*UNREADABLE):
        found: Array = np.load(file, allow_pickle=False)
        if found.shape == (len(pack),) and found.dtype == np.uint64:
            return found
    with doing("comparing all pictures"):
        found = digests(of_pool(pack.pixels))
    with contextlib.suppress(OSError):
        write_array(file, found)
    return found


def joint_origin(packs: Iterable[Pack]) -> Origin:
    """The joint origin of several packs: their layouts in order, and one digest of all."""
    origins = [pack.origin for pack in packs]
    if len(origins) == 1:
        return origins[0]
    layout = " + ".join(origin.layout for origin in origins)
    if all(origin.digest == "published" for origin in origins):
        return Origin(layout, "published")
    all_digests = " ".join(origin.digest for origin in origins)
    return Origin(layout, hashlib.sha256(all_digests.encode()).hexdigest()[:16])
