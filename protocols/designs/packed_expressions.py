"""One label a face from a prepared data set: noise drawn on its owners' labels, lists of others, or its own noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..base import Profile, Protocol
from ..datasets.catalog import listing_of
from ..errors import BadInput
from ..images.image_pool import of_pool
from ..packs.prepare import Pack
from ..readers.listing import Listing
from ..readers.openface import auxiliary_of
from ..readers.rafdb_noise_lists import NoisyList, read_noisy_list
from ..rows import Array, CellData, Rows, Source, rows
from .pack_access import open_for, row_digests
from .splits import Splits, generated, noisy_cell


def load(protocol: Protocol, profile: Profile, source: Source, data_root: Path, *, partial: bool) -> Splits:
    """Opens the pack of a protocol's data set, or draws its generated twin, once.

    Raises:
        BadInput: the data set is absent or not prepared, damaged, or not as published (unless partial).
    """
    if source == "generated":
        return generated(protocol, profile)
    (dataset,) = protocol.data
    pack, place = open_for(protocol, dataset, data_root, partial=partial), data_root / dataset
    everything = _labelled(protocol, pack, profile.size.side)
    auxiliary = auxiliary_of(data_root, dataset, pack.path.tolist())
    everything = replace(everything, aux=auxiliary.labels)
    part, known = pack.part, everything.reference >= 0
    train = everything.take(known & (part == (protocol.option("train") or "train")))
    test = everything.take(known & (part == (protocol.option("test") or "test")))
    if file := protocol.option("list"):
        listing = listing_of(dataset, data_root)
        train = train.with_given(_by_path(read_noisy_list(place / file, listing), listing, pack, train))
    if protocol.option("train") == "automatic":  # nobody judged these labels
        train = replace(train, reference=np.full(len(train), -1))
    order = np.random.default_rng(protocol.noise_seed).permutation(len(train))
    held_out = order[: profile.size.validation or 0]
    rest = np.setdiff1d(order, held_out)
    splits = Splits(train.take(rest), train.take(np.sort(held_out)), test, pack.origin, aux_names=auxiliary.names)
    splits = splits.cut(profile.size, protocol.noise_seed, place, ("train", "test"))
    return replace(splits, test=_marked(splits.test, train, pack))


def cell(
    protocol: Protocol,
    profile: Profile,
    source: Source,
    loaded: Splits,
    fold: str | None,
    level: float | None,
    draw: int,
) -> CellData:
    """The rows of one cell: the splits with the noise of this level and draw."""
    return noisy_cell(protocol, source, loaded, level, draw)


def _labelled(protocol: Protocol, pack: Pack, side: int) -> Rows:
    """All faces of a pack, their classes by name as the protocol numbers them; -1 for classes it leaves out."""
    number = np.array([protocol.names.index(name) if name in protocol.names else -1 for name in (*pack.names, "")])
    labels = number[pack.labels]
    return rows(of_pool(pack.pixels, side), labels, labels, group=pack.group)


def _marked(test: Rows, train: Rows, pack: Pack) -> Rows:
    """Test rows with those marked that are exact copies, at the pack's own side, of a picture that could train."""
    stored = row_digests(pack)
    copy: Array = np.isin(stored[test.sample_id], stored[train.sample_id])
    return replace(test, copy=copy)


def _by_path(listed: NoisyList, listing: Listing, pack: Pack, train: Rows) -> Array:
    """The labels of another author's list, which follow the listing's training rows, for the rows of a pack."""
    given = dict(zip(listing.path[listing.part == "train"].tolist(), listed.given.tolist(), strict=True))
    paths = pack.path[train.sample_id].tolist()
    if lacking := [path for path in paths if path not in given]:
        what = f"{len(lacking):,} pictures of its pack are not there, the first {lacking[0]}"
        raise BadInput(f"{listing.root}: {what}; prepare it again, so that pack and folder are of one copy")
    return np.array([given[path] for path in paths], np.int64)
