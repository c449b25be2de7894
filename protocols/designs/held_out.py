"""Protocols whose tests are parts of the training rows, so that each row is judged by models that never saw it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..base import Protocol
from ..errors import BadInput
from ..images.image_pool import digests
from ..own_data.parts import balanced
from ..rows import Array, CellData, Origin, describe_noise

WORD, PARTS, MOST_PARTS = "held-out", 4, 20
OPTION = "held out"
_SUFFIX = re.compile(rf"(?P<base>.+):{WORD}(?:-(?P<parts>\d+))?")
_SEED = 1_000_117  # keeps the parts independent of other random numbers


def split_name(name: str) -> tuple[str, int] | None:
    """A protocol's name and the number of parts of NAME:held-out or NAME:held-out-N; None for any other name."""
    found = _SUFFIX.fullmatch(name)
    return None if found is None else (found["base"], int(found["parts"] or PARTS))


def suffix_of(name: str) -> str:
    """What a name has of held-out parts, as ":held-out-3"; "" for any other name."""
    derived = split_name(name)
    return "" if derived is None else name.removeprefix(derived[0])


def held_out(protocol: Protocol, parts: int = PARTS) -> Protocol:
    """The protocol that trains on all but one part of another's training rows and predicts the labels of that part.

    Its folds are the parts. What it tests is agreement with given labels, since no reference is asked for.

    Args:
        protocol: one with a fixed split, whose labels come with the data.
        parts: 2 to MOST_PARTS.

    Raises:
        BadInput: another number of parts, or a protocol that has folds or whose labels are a teacher's.
    """
    name = f"{protocol.name}:{WORD}" + ("" if parts == PARTS else f"-{parts}")
    if not 2 <= parts <= MOST_PARTS:
        raise BadInput(f"{name}: 2 to {MOST_PARTS} parts can be held out")
    if protocol.folds:
        raise BadInput(f"{name}: {protocol.name} has folds already, whose models never saw the rows they are tested on")
    if protocol.noisy_labels_from:
        raise BadInput(f"{name}: the labels of {protocol.name} are those of {protocol.noisy_labels_from}'s model")
    told = {
        "test": "one part of the training rows, by the labels given to them",
        "folds": f"{parts} parts of the training rows, by subject where subjects are known",
    }
    return replace(
        protocol,
        name=name,
        folds=tuple(f"part{number}" for number in range(1, parts + 1)),
        options=(*protocol.options, (OPTION, str(parts))),
        title=f"{protocol.title}: parts of the training rows held out",
        about=tuple({**dict(protocol.about), **told}.items()),
        runs=0,
    )


def base_of(protocol: Protocol) -> Protocol:
    """The protocol whose training rows are held out in parts; any other protocol itself."""
    if not protocol.option(OPTION):
        return protocol
    derived = split_name(protocol.name)
    assert derived is not None  # held_out has named it
    options = tuple((name, value) for name, value in protocol.options if name != OPTION)
    return replace(protocol, name=derived[0], folds=(), options=options)


def judged_by_given(protocol: Protocol, origin: Origin) -> Origin:
    """The origin of a protocol's images, with what held-out parts are judged by."""
    return replace(origin, judged_by="given") if protocol.option(OPTION) else origin


def without_part(
    protocol: Protocol, cell: CellData, fold: str | None, level: float | None, pixels: Array | None = None
) -> CellData:
    """A cell of the base protocol with the training rows of one part as test rows, judged by their given labels.

    Rows of a subject are in one part, and so are copies of a picture. The parts are the same for every draw of the
    noise. The cell of a protocol that holds nothing out stays as it is.

    Args:
        protocol: with held-out parts, or any other.
        cell: of the base protocol.
        fold: the part.
        level: of the noise.
        pixels: [N], a digest of the picture of each training row; None: read them.

    Raises:
        BadInput: fewer groups of rows than parts, or no verified row outside the part where the protocol offers some.
    """
    if fold is None or not protocol.option(OPTION):
        return cell
    train = cell.train
    member = _joined(train.group, digests(train.images) if pixels is None else pixels)
    sizes = np.bincount(member)
    if len(sizes) < len(protocol.folds):
        what = f"{len(sizes):,} groups of rows, by subject and copies of pictures"
        raise BadInput(f"{protocol.name}: {what}, for {len(protocol.folds)} parts; ask for fewer")
    part = balanced(sizes, len(protocol.folds), [_SEED, protocol.noise_seed])[member]
    out = part == protocol.folds.index(fold)
    kept, tested = train.take(~out), train.take(out)
    if "verified" in protocol.offers and train.verified.any() and not kept.verified.any():
        raise BadInput(
            f"{protocol.name}: all verified training rows are in {fold}; mark others, or hold out more parts"
        )
    tested = replace(tested, reference=tested.given)
    return replace(cell, train=kept, test=tested, noise=describe_noise(protocol.noise, level, kept))


def _joined(subject: Array, pixels: Array) -> Array:
    """The group of each row, int64 [N]: rows that have a subject or a picture in common, directly or by others."""
    count = len(subject)
    one, other = (np.unique(column, return_inverse=True)[1] for column in (subject, pixels))
    # a graph of subjects and pictures, in which each row joins two
    graph = coo_array((np.ones(count, np.int8), (one, other + count)), (2 * count, 2 * count))
    found: Array = np.unique(connected_components(graph, directed=False)[1][one], return_inverse=True)[1]
    return found
