"""Design for FER2013 and FER+: synthetic noise on FER+ labels, or FER2013's labels with FER+ as reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..activity import doing
from ..base import Profile, Protocol
from ..errors import BadInput
from ..images.image_pool import copies_of, first_of_copies
from ..readers.fer2013 import UNKNOWN, FerPlus, majority, read, to_ferplus
from ..readers.openface import auxiliary_of_ferplus
from ..rows import Array, Origin, Rows, Source, rows
from .splits import VOTED, Splits, cell, generated

__all__ = ["cell", "load"]

TRAINING, PUBLIC_TEST, PRIVATE_TEST = 0, 1, 2


def load(protocol: Protocol, profile: Profile, source: Source, data_root: Path, *, partial: bool) -> Splits:
    """Reads the data set, or generates faces.

    Raises:
        BadInput: data absent, damaged, or not as published (unless partial).
    """
    splits = generated(protocol, profile) if source == "generated" else _real(protocol, data_root, partial=partial)
    return splits.cut(profile.size, protocol.noise_seed, data_root / "ferplus", ("train", "validation", "test"))


def _real(protocol: Protocol, data_root: Path, *, partial: bool) -> Splits:
    """The published splits; sample_id is the row of fer2013.csv."""
    data = read(data_root / "ferplus", partial=partial)
    classes = len(protocol.names)
    votes = majority(data.votes)
    reference = np.where(votes < classes, votes, -1)
    own = protocol.option("labels") == "fer2013"
    if own and (data.fer2013 < 0).any():
        raise BadInput(
            f"{protocol.name} needs FER2013's own labels: {data_root / 'ferplus'} has the FER+ folder form without "
            "them; put fer2013.csv and fer2013new.csv there"
        )
    given = to_ferplus(data.fer2013) if own else reference
    training = data.usage == TRAINING
    everything = replace(rows(data.images[..., None], given, reference), sample_id=data.row, group=data.row.astype(str))
    with doing("looking for copies of training pictures"):
        copy = ~training & copies_of(everything.images, everything.images[training])
    everything = replace(everything, copy=copy)
    auxiliary = auxiliary_of_ferplus(data_root, data)
    everything = replace(everything, aux=auxiliary.labels, votes=_votes(data, classes))
    by_row = _votes_by_row(data, classes) if protocol.noise in VOTED else None
    has_reference = reference >= 0
    public, private = data.usage == PUBLIC_TEST, data.usage == PRIVATE_TEST
    if own:
        chosen = training & has_reference if protocol.option("rows") == "kept" else training
        train, validation = _distinct(everything.take(chosen)), _distinct(everything.take(public & ~copy))
    else:
        train, validation = everything.take(training & has_reference), everything.take(public & has_reference)
    test = everything.take(private & has_reference)
    return Splits(train, validation, test, Origin(data.layout, data.digest()), by_row, auxiliary.names)


def _votes(data: FerPlus, classes: int) -> Array:
    """The votes int64 [N, C + 2]; those for a class that the protocol does not have count as "unknown"."""
    unknown = data.votes[:, classes : UNKNOWN + 1].sum(axis=1)
    return np.column_stack([data.votes[:, :classes], unknown, data.votes[:, UNKNOWN + 1 :]])


def _votes_by_row(data: FerPlus, classes: int) -> Array:
    """The votes for the classes by row of fer2013.csv, without unknown and not-a-face votes."""
    votes = np.zeros((int(data.row.max()) + 1, classes), np.int64)
    votes[data.row] = data.votes[:, :classes]
    return votes


def _distinct(split: Rows) -> Rows:
    """The first of each group of identical images."""
    return split.take(first_of_copies(split.images))
