"""FER2013 and FER+ faces: symmetric noise on FER+ labels, and FER2013's own labels judged by FER+."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from . import noise
from .base import Profile, Protocol
from .data import GENERATED, Array, CellData, Origin, Rows, Source, describe_noise, fixed_choice, rows
from .errors import BadInput
from .faces import FaceSpecification, faces
from .fer2013 import copies_of, first_occurrence, majority, read, to_ferplus

TRAINING, PUBLIC_TEST, PRIVATE_TEST = 0, 1, 2
VALIDATION_SEED = 1_000_003  # keeps the validation set's noise apart from the training set's


@dataclass(frozen=True)
class Loaded:
    """The three splits before any noise is added; `given` holds the labels the data came with."""

    train: Rows
    validation: Rows
    test: Rows
    origin: Origin = GENERATED


def load(protocol: Protocol, profile: Profile, source: Source, data_root: Path, *, partial: bool) -> Loaded:
    """Reads or draws the faces of a protocol once.

    Raises:
        BadInput: data absent, damaged, or not as published (unless partial).
    """
    splits = _generated(protocol, profile) if source == "generated" else _real(protocol, data_root, partial=partial)
    for name, split in (("training", splits.train), ("validation", splits.validation), ("test", splits.test)):
        if not len(split):
            raise BadInput(
                f"{data_root / 'ferplus'}: no {name} row is left for {protocol.name}; it needs all three splits"
            )
    size = profile.size
    return Loaded(
        splits.train.take(fixed_choice(len(splits.train), size.train, protocol.noise_seed)),
        splits.validation.take(fixed_choice(len(splits.validation), size.validation, protocol.noise_seed)),
        splits.test.take(fixed_choice(len(splits.test), size.test, protocol.noise_seed)),
        splits.origin,
    )


def cell(
    protocol: Protocol,
    profile: Profile,
    source: Source,
    loaded: Loaded,
    fold: str | None,
    level: float | None,
    draw: int,
) -> CellData:
    """The rows of one cell: the splits with the noise of this level and draw."""
    train, validation, test = loaded.train, loaded.validation, loaded.test
    seed = protocol.noise_seed + draw
    if protocol.noise == "symmetric":
        train = _symmetric(train, level or 0.0, len(protocol.names), seed)
        validation = _symmetric(validation, level or 0.0, len(protocol.names), seed + VALIDATION_SEED)
    elif source == "generated":
        train = train.with_given(noise.by_transition(train.reference, noise.FER2013_TRANSITION, seed))
        validation = validation.with_given(
            noise.by_transition(validation.reference, noise.FER2013_TRANSITION, seed + VALIDATION_SEED)
        )
    return CellData(train, validation, test, describe_noise(protocol.noise, level, train))


def _symmetric(split: Rows, rate: float, classes: int, seed: int) -> Rows:
    return split.with_given(noise.symmetric(split.reference, rate, classes, seed))


def _generated(protocol: Protocol, profile: Profile) -> Loaded:
    """Faces in the wild, every one of another person, split in order."""
    train, validation, test = profile.size.generated
    specification = FaceSpecification(
        count=train + validation + test, size=profile.size.side, content="expressions", expressions=protocol.names
    )
    drawn = faces(specification, protocol.noise_seed)
    everything = rows(drawn.images, drawn.expressions, drawn.expressions)
    bounds = np.cumsum([0, train, validation, test])
    first, second, third = (everything.take(np.arange(a, b)) for a, b in pairwise(bounds))
    return Loaded(first, second, third)


def _real(protocol: Protocol, data_root: Path, *, partial: bool) -> Loaded:
    """The published splits; sample_id is the row of fer2013.csv."""
    data = read(data_root / "ferplus", partial=partial)
    classes = len(protocol.names)
    votes = majority(data.votes)
    reference = np.where(votes < classes, votes, -1)
    own = protocol.option("labels") == "fer2013"
    if own and (data.fer2013 < 0).any():
        raise BadInput(
            f"{protocol.name} needs FER2013's own labels: {data_root / 'ferplus'} holds the FER+ folder form, "
            "which has none; put fer2013.csv and fer2013new.csv there"
        )
    given = to_ferplus(data.fer2013) if own else reference
    copy = np.zeros(len(given), dtype=bool)
    training = data.usage == TRAINING
    copy[~training] = copies_of(data.images[~training], data.images[training])
    everything = replace(
        rows(data.images[..., None], given, reference), sample_id=data.row, group=data.row.astype(str), copy=copy
    )
    judged, origin = reference >= 0, Origin(data.layout, data.digest())
    if not own:
        train, validation, test = (
            everything.take(judged & (data.usage == part)) for part in (TRAINING, PUBLIC_TEST, PRIVATE_TEST)
        )
        return Loaded(train, validation, test, origin)
    train = _distinct(everything.take(training & judged if protocol.option("rows") == "kept" else training))
    validation = _distinct(everything.take((data.usage == PUBLIC_TEST) & ~copy))
    return Loaded(
        train, validation, everything.take(judged & (data.usage == PRIVATE_TEST)), Origin(data.layout, data.digest())
    )


def _distinct(split: Rows) -> Rows:
    """The first of each group of identical images."""
    keep: Array = first_occurrence(split.images[..., 0])
    return split.take(keep)
