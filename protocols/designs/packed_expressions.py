"""Design for single-label data sets prepared as packs: synthetic noise, published noisy lists, or automatic labels."""

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
from ..readers.rafdb_noise_lists import NoisyList, find_noisy_list, is_plausible, read_noisy_list, stated_rate
from ..rows import Array, Rows, Source, rows
from .pack_access import open_for, row_digests
from .splits import Splits, cell, generated

__all__ = ["cell", "load"]


def load(protocol: Protocol, profile: Profile, source: Source, data_root: Path, *, partial: bool) -> Splits:
    """Opens the pack of the protocol's data set, or generates faces.

    Raises:
        BadInput: the data set is absent, not prepared, damaged, or not as published (unless partial).
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
        listed = _listed(find_noisy_list(place, file), listing)
        train = train.with_given(_by_path(listed, listing, pack, train))
    if protocol.option("train") == "automatic":  # no reference labels for the automatic ones
        train = replace(train, reference=np.full(len(train), -1))
    order = np.random.default_rng(protocol.noise_seed).permutation(len(train))
    held_out = order[: profile.size.validation or 0]
    rest = np.setdiff1d(order, held_out)
    splits = Splits(train.take(rest), train.take(np.sort(held_out)), test, pack.origin, aux_names=auxiliary.names)
    splits = splits.cut(profile.size, protocol.noise_seed, place, ("train", "test"))
    return replace(splits, test=_marked(splits.test, train, pack))


def _labelled(protocol: Protocol, pack: Pack, side: int) -> Rows:
    """All faces of a pack with the class numbers of the protocol; -1 for classes that it does not have."""
    number = np.array([protocol.names.index(name) if name in protocol.names else -1 for name in (*pack.names, "")])
    labels = number[pack.labels]
    return rows(of_pool(pack.pixels, side), labels, labels, group=pack.group)


def _marked(test: Rows, train: Rows, pack: Pack) -> Rows:
    """The test rows, with exact copies of training pictures (compared at the size of the pack) marked."""
    stored = row_digests(pack)
    copy: Array = np.isin(stored[test.sample_id], stored[train.sample_id])
    return replace(test, copy=copy)


def _listed(path: Path, listing: Listing) -> NoisyList:
    """A noisy list; BadInput where it has not the share of wrong labels for which it is published."""
    listed, stated = read_noisy_list(path, listing), stated_rate(path)
    if stated is not None and not is_plausible(listed, stated):
        what = f"{listed.rate:.1%} of its labels differ from the owners', published are about {stated:.0%}"
        raise BadInput(f"{path}: {what}, so this is another list; fetch it again from its authors")
    return listed


def _by_path(listed: NoisyList, listing: Listing, pack: Pack, train: Rows) -> Array:
    """The labels of a noisy list, which are in the order of the listing's training rows, for the rows of a pack."""
    given = dict(zip(listing.path[listing.part == "train"].tolist(), listed.given.tolist(), strict=True))
    paths = pack.path[train.sample_id].tolist()
    if missing := [path for path in paths if path not in given]:
        what = f"{len(missing):,} pictures of its pack are missing, the first {missing[0]}"
        raise BadInput(f"{listing.root}: {what}; prepare it again, so that pack and folder agree")
    return np.array([given[path] for path in paths], np.int64)
