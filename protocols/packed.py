"""One label a face from a prepared data set, with symmetric noise on the owners' labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from .base import Profile, Protocol
from .data import CellData, Source, rows
from .datasets import listing_of
from .errors import BadInput
from .images import copies_of, of_pool
from .pack import Pack, open_pack
from .splits import Splits, generated, with_symmetric_noise


def load(protocol: Protocol, profile: Profile, source: Source, data_root: Path, *, partial: bool) -> Splits:
    """Opens the pack of a protocol's data set, or draws its generated twin, once.

    Raises:
        BadInput: the data set is absent or not prepared, damaged, or not as published (unless partial).
    """
    if source == "generated":
        return generated(protocol, profile)
    pack = _open(protocol, data_root, partial=partial)
    everything = rows(of_pool(pack, profile.size.side), pack.labels, pack.labels, group=pack.group)
    train, test = everything.take(pack.part == "train"), everything.take(pack.part == "test")
    test = replace(test, copy=copies_of(test.images, train.images))
    order = np.random.default_rng(protocol.noise_seed).permutation(len(train))
    held_out = order[: profile.size.validation or 0]
    rest = np.setdiff1d(order, held_out)
    splits = Splits(train.take(rest), train.take(np.sort(held_out)), test, pack.origin)
    return splits.cut(profile.size, protocol.noise_seed, data_root / protocol.data[0], ("train", "test"))


def cell(
    protocol: Protocol,
    profile: Profile,
    source: Source,
    loaded: Splits,
    fold: str | None,
    level: float | None,
    draw: int,
) -> CellData:
    """The rows of one cell: the splits with symmetric noise of this level and draw."""
    return with_symmetric_noise(protocol, loaded, level or 0.0, draw)


def _open(protocol: Protocol, data_root: Path, *, partial: bool) -> Pack:
    (name,), side = protocol.data, protocol.option("side")
    folder = data_root / "packs" / f"{name}-{side}"
    if not folder.is_dir():
        listing_of(name, data_root)  # a data set that is absent is told first
        raise BadInput(
            f"{protocol.name} reads {folder}, which is not there yet: "
            f"fernoise-bench data prepare {name} --side {side} --data-root {data_root}"
        )
    pack = open_pack(folder)
    if pack.partial and not partial:
        raise BadInput(
            f"{folder}: made from a copy that differs from the published {name} (see data verify {name}); "
            "add --partial to run on it all the same"
        )
    return pack
