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
from ..images import alignment
from ..images.image_pool import digests, of_pool
from ..packs import file_format
from ..packs.made_from import changes
from ..packs.prepare import Pack, open_pack, still_fits
from ..readers.listing import Listing
from ..rows import Array, Origin


def open_for(protocol: Protocol, dataset: str, data_root: Path, *, partial: bool) -> Pack:
    """Opens the pack of a data set at the image size of the protocol's option "side".

    Raises:
        BadInput: the data set is absent, not prepared, changed since, damaged, or not as published (unless partial).
    """
    side = protocol.option("side")
    folder = data_root / "packs" / f"{dataset}-{side}"
    if not folder.is_dir():
        listing_of(dataset, data_root)  # raises the error for an absent data set first
        command = _command(dataset, int(side), data_root, align=dataset in RAW)
        raise BadInput(f"{protocol.name} reads {folder}, which does not exist yet: {command}")
    pack = _as_it_is_now(open_pack(folder), dataset, data_root, folder)
    if pack.partial and not partial:
        wrong = next(check for check in pack.checks if not check.ok)
        raise BadInput(
            f"{folder}: made from a copy that differs from the published {dataset}, first in {wrong.what}: "
            f"{wrong.found} instead of {wrong.expected} (all differences: data verify {dataset}); "
            "add --partial to run on it anyway"
        )
    return pack


def _as_it_is_now(pack: Pack, dataset: str, data_root: Path, folder: Path) -> Pack:
    """A pack, with the checks of the copy as it is now, which is read again only where something has changed.

    Where its files are gone nothing is said against a pack, which may be all that was taken to another machine.

    Raises:
        BadInput: the copy has other labels or pictures than those that the pack was made from.
    """
    root, made_from = data_root / dataset, file_format.description(folder).get("made_from")
    changed = changes(root, made_from) if isinstance(made_from, dict) else None  # earlier versions did not write it
    if not root.is_dir() or changed == ([], []):
        return pack
    try:
        listing = listing_of(dataset, data_root)
    except BadInput:
        if changed and any((root / name).exists() for name in changed.files):
            raise
        return pack
    if still_fits(folder, listing):
        return open_pack(folder, checks_now=listing.checks)
    names = [*changed.files, *changed.folders] if changed else []
    where = f" in {names[0]}{f' and {len(names) - 1} other places' * (len(names) > 1)}" if names else ""
    align, skip_bad, side = pack.crop == alignment.NAME, bool(pack.skipped), pack.faces.shape[1]
    raise BadInput(
        f"{folder}: {root} has changed since this was made from it{where} ({_difference(pack, listing)}): "
        f"{_command(dataset, side, data_root, align=align, skip_bad=skip_bad)}"
    )


def _difference(pack: Pack, listing: Listing) -> str:
    """What differs between a pack and another listing of its data set."""
    before = len(pack) + len(pack.skipped)
    if len(listing) != before:
        return f"{len(listing):,} pictures instead of {before:,}"
    same = all(np.array_equal(getattr(pack, name), getattr(listing, name)) for name in ("path", "frame"))
    if same and (other := (pack.labels != listing.labels).reshape(before, -1).any(axis=1).sum()):
        return f"another label of {other:,} pictures"
    return "another layout, other parts or crops" if same else "other pictures"


def _command(dataset: str, side: int, data_root: Path, *, align: bool = False, skip_bad: bool = False) -> str:
    """The command that prepares a data set."""
    options = " --align" * align + " --skip-bad" * skip_bad
    return f"fernoise-bench data prepare {dataset} --side {side}{options} --data-root {shlex.quote(str(data_root))}"


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
