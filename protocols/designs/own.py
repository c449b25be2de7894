"""Design for a user's own data: given labels with their own errors or noise added to them, in the parts of a fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .. import noise
from ..base import Profile, Protocol
from ..errors import BadInput
from ..images.image_pool import of_pool
from ..own_data.labelled import Labelled, read_labelled
from ..own_data.parts import Parts, parts_of
from ..own_data.pictures import prepared, prepared_before
from ..packs.prepare import Pack
from ..readers.openface import Auxiliary, auxiliary_of
from ..rows import Array, CellData, Origin, Rows, Source, describe_noise, fixed_choice, no_annotators, of_known_faces
from .pack_access import row_digests
from .splits import DRAWN, VALIDATION_SEED

GIVEN = "given"


@dataclass(frozen=True)
class Loaded:
    """All rows of the table, and which of them are in the parts of each fold.

    Attributes:
        everything: given labels before noise is added.
        path: unicode [N], of each picture below the folder of pictures.
        pixels: uint64 [N], a digest of each picture, by which copies are found.
        parts: fold -> its rows.
        origin: of the pictures and labels.
        votes: int64 [N, C], or None.
        aux_names: names of the auxiliary AUs of the rows.
    """

    everything: Rows
    path: Array
    pixels: Array
    parts: Mapping[str | None, Parts]
    origin: Origin
    votes: Array | None
    aux_names: tuple[str, ...] = ()


def load(protocol: Protocol, profile: Profile, source: Source, data_root: Path, *, partial: bool) -> Loaded:
    """Reads the table and opens the prepared pictures, which are prepared first where they are not.

    Raises:
        BadInput: generated faces asked for, or as `read_labelled`, `prepared` and `parts_of`.
    """
    if source == "generated":
        raise BadInput(f"{protocol.name} is a protocol of your own data, for which no faces are generated")
    rows = read_labelled(protocol)
    _check_sampler(protocol, profile, rows, parts_of(protocol, rows))  # before pictures are decoded
    pack = prepared(protocol, rows, data_root)
    rows, digest = _identified(protocol, rows, pack)
    judged_by = GIVEN if protocol.option("reference") == "none" else ""
    aux = _auxiliary(protocol, rows, data_root)
    return Loaded(
        everything=_everything(protocol, profile, rows, pack, aux.labels),
        path=rows.path,
        pixels=row_digests(pack),
        parts=parts_of(protocol, rows),
        origin=Origin(pack.origin.layout, digest, judged_by),
        votes=rows.votes if protocol.noise == "votes" else None,
        aux_names=aux.names,
    )


def digest_if_prepared(protocol: Protocol, data_root: Path) -> str:
    """The digest that a trial of the data as they are now would have; "" where its pictures are not prepared."""
    rows = read_labelled(protocol)
    pack = prepared_before(protocol, rows, data_root)
    return "" if pack is None else _identified(protocol, rows, pack)[1]


def _identified(protocol: Protocol, rows: Labelled, pack: Pack) -> tuple[Labelled, str]:
    """The rows whose pictures were prepared, and the digest of their labels and pictures."""
    kept = rows.take(_kept(rows, pack)) if pack.skipped else rows
    return kept, kept.digest(protocol.names, pack.pixel_digest)


def cell(
    protocol: Protocol,
    profile: Profile,
    source: Source,
    loaded: Loaded,
    fold: str | None,
    level: float | None,
    draw: int,
) -> CellData:
    """The rows of one fold, with the label noise of this level and draw on training and validation rows."""
    parts, seed, size = loaded.parts[fold], protocol.noise_seed + draw, profile.size
    train, validation, test = parts.train, parts.validation, parts.test
    if protocol.option("copies") == "leave out":
        train = _distinct(loaded.pixels, train)
        validation = validation[~np.isin(loaded.pixels[validation], loaded.pixels[train])]
        validation = _distinct(loaded.pixels, validation)
    copy = np.isin(loaded.pixels, loaded.pixels[train])
    chosen = {
        part: rows[fixed_choice(len(rows), count, protocol.noise_seed)]
        for part, rows, count in (
            ("train", train, size.train), ("validation", validation, size.validation), ("test", test, size.test)
        )
    }  # fmt: skip
    training = _with_noise(protocol, loaded, chosen["train"], level or 0.0, seed)
    held_out = _with_noise(protocol, loaded, chosen["validation"], level or 0.0, seed + VALIDATION_SEED)
    tested = replace(loaded.everything.take(chosen["test"]), copy=copy[chosen["test"]])
    if protocol.option("reference") == "none":
        tested = replace(tested, reference=tested.given)
    described = describe_noise(protocol.noise, level, training)
    return CellData(training, held_out if len(held_out) else None, tested, described, loaded.aux_names)


def _check_sampler(protocol: Protocol, profile: Profile, rows: Labelled, parts: Mapping[str | None, Parts]) -> None:
    """Raises BadInput where batches are to be half of verified rows, and all rows of a fold are verified."""
    if profile.recipe.sampler == "fixed" and any(rows.verified[each.train].all() for each in parts.values()):
        where = protocol.own.file if protocol.own else protocol.name
        what = "all training rows are verified, and the recipe's sampler, 'fixed', needs others in each batch"
        raise BadInput(f"{where}: {what}: set recipe.sampler = 'shuffle'")


def _everything(protocol: Protocol, profile: Profile, rows: Labelled, pack: Pack, aux: Array) -> Rows:
    """All rows, with the labels to which noise is added as given ones."""
    given, reference = rows.given, rows.reference
    if protocol.option("noise on") == "reference":
        known = reference >= 0 if reference.ndim == 1 else reference != 0
        given = np.where(known, reference, given)
    number = np.arange(len(rows), dtype=np.int64)
    copy = np.zeros(len(rows), bool)
    votes = np.zeros((len(rows), 0), np.int64) if rows.votes is None else of_known_faces(rows.votes)
    images = of_pool(pack.pixels, profile.size.side)
    who = no_annotators(len(rows))
    return Rows(images, number, rows.group, given, reference, rows.verified, copy, aux, votes, who)


def _with_noise(protocol: Protocol, loaded: Loaded, chosen: Array, level: float, seed: int) -> Rows:
    """Some training rows with the noise of a seed added to the given labels, but for rows declared clean.

    Without a reference of training rows it is what was given before noise was added, if any was.
    """
    rows = loaded.everything.take(chosen)
    if protocol.option("reference") == "none" or protocol.option("reference rows") == "test":
        drawn = protocol.noise in DRAWN or "flip" in protocol.noise
        unknown = np.full_like(rows.given, -1 if rows.given.ndim == 1 else 0)
        rows = replace(rows, reference=rows.given if drawn else unknown)
    noisy = ~rows.verified
    given = rows.given.copy()
    if loaded.votes is not None:
        given[noisy] = noise.by_votes(loaded.votes[chosen[noisy]], seed)
    elif protocol.noise in DRAWN:
        given[noisy] = DRAWN[protocol.noise](given[noisy], level, len(protocol.names), seed)
    elif "flip" in protocol.noise:
        given[noisy] = noise.au_flip(given[noisy], level, seed, protocol.noise.startswith("balanced"))
    return rows.with_given(given)


def _auxiliary(protocol: Protocol, rows: Labelled, data_root: Path) -> Auxiliary:
    """The auxiliary labels of faces with one label, from OpenFace's output; none for action units."""
    if protocol.kind == "multi":
        return Auxiliary((), np.zeros((len(rows), 0), np.int8), "", ())
    return auxiliary_of(data_root, protocol.name, rows.path.tolist())


def _kept(rows: Labelled, pack: Pack) -> Array:
    """The rows whose pictures were prepared."""
    number = {path: row for row, path in enumerate(rows.path.tolist())}
    return np.array([number[path] for path in pack.path.tolist()], np.int64)


def _distinct(pixels: Array, rows: Array) -> Array:
    """The first of each group of rows with identical pictures, ascending."""
    chosen: Array = rows[np.sort(np.unique(pixels[rows], return_index=True)[1])]
    return chosen
