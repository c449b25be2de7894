"""Training, validation and test rows of single-label designs, and the label noise added to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import numpy as np

from .. import noise
from ..base import Profile, Protocol, Size
from ..errors import BadInput
from ..faces.generate import FaceSpecification, annotator_votes, automatic_annotator, faces
from ..labels import FERPLUS_CLASSES
from ..picture_noise import PICTURE_NOISE, Labelled, thumbnails
from ..readers.openface import NAMES as OPENFACE_AUS
from ..rows import GENERATED, Array, CellData, Origin, Rows, Source, describe_noise, fixed_choice, of_known_faces, rows
from ..vote_noise import TWIN_NOISE, VOTE_NOISE

VALIDATION_SEED = 1_000_003  # added to the seed of the training noise for an independent validation noise
ANNOTATORS = 10  # as in FER+

# Synthetic noise on clean labels: (labels, rate, classes, seed) -> labels.
DRAWN: Mapping[str, Callable[[Array, float, int, int], Array]] = MappingProxyType(
    {
        "symmetric": noise.symmetric,
        "symmetric, by coin": partial(noise.symmetric, exact=False),
        "symmetric, true class included": partial(noise.symmetric, include_true=True),
        "pair flip": noise.pair_flip,
    }
)

# Labels drawn from annotators' votes: (votes [N, C], reference labels, seed) -> labels.
VOTED: Mapping[str, Callable[[Array, Array, int], Array]] = MappingProxyType(
    {"votes": lambda votes, _, seed: noise.by_votes(votes, seed), **VOTE_NOISE, **TWIN_NOISE}
)


@dataclass(frozen=True)
class Splits:
    """The three splits without synthetic noise; `given` are the labels of the data set.

    Attributes:
        train, validation, test: the rows; no validation rows: no validation set.
        origin: the origin of the images.
        votes: int64 [M, C], annotators' votes by sample_id, where labels are drawn from them.
        aux_names: names of the auxiliary AUs of the rows.
    """

    train: Rows
    validation: Rows
    test: Rows
    origin: Origin = GENERATED
    votes: Array | None = None
    aux_names: tuple[str, ...] = ()

    def cut(self, size: Size, seed: int, place: Path, needs: tuple[str, ...]) -> Splits:
        """The rows that a profile uses, selected by a seed.

        Raises:
            BadInput: one of the splits in `needs` has no rows.
        """
        for name in needs:
            if not len(getattr(self, name)):
                what = f"no {name} row is left; the protocol needs {', '.join(needs)}"
                raise BadInput(f"{place}: {what}: data verify lists what is missing")
        return replace(
            self,
            train=self.train.take(fixed_choice(len(self.train), size.train, seed)),
            validation=self.validation.take(fixed_choice(len(self.validation), size.validation, seed)),
            test=self.test.take(fixed_choice(len(self.test), size.test, seed)),
        )


def generated(protocol: Protocol, profile: Profile) -> Splits:
    """Generated faces of different people, with AU labels of the automatic annotator as auxiliary labels."""
    train, validation, test = profile.size.generated
    specification = FaceSpecification(
        count=train + validation + test,
        size=profile.size.generated_side or profile.size.side,
        content="expressions",
        expressions=protocol.names,
    )
    found = faces(specification, protocol.noise_seed)
    aux_specification = replace(specification, au_names=OPENFACE_AUS)
    aux = automatic_annotator(replace(found, specification=aux_specification), protocol.noise_seed)
    everything = replace(rows(found.images, found.expressions, found.expressions), aux=aux)
    counts = None
    if protocol.noise in VOTED:
        votes = annotator_votes(found, protocol.noise_seed, ANNOTATORS)
        counts = np.stack([(votes == label).sum(1) for label in range(len(protocol.names))], axis=1)
        everything = replace(everything, votes=of_known_faces(counts))
    bounds = np.cumsum([0, train, validation, test])
    first, second, third = (everything.take(np.arange(a, b)) for a, b in pairwise(bounds))
    return Splits(first, second, third, votes=counts, aux_names=OPENFACE_AUS)


def cell(
    protocol: Protocol,
    profile: Profile,
    source: Source,
    loaded: Splits,
    fold: str | None,
    level: float | None,
    draw: int,
) -> CellData:
    """The rows of a cell: the splits with the noise of this level and draw on training and validation labels."""
    seed = protocol.noise_seed + draw
    if protocol.noise in PICTURE_NOISE:
        train, validation = _of_pictures(protocol, loaded, level or 0.0, seed)
    else:
        train = _with_noise(protocol, source, loaded, loaded.train, level or 0.0, seed)
        validation = _with_noise(protocol, source, loaded, loaded.validation, level or 0.0, seed + VALIDATION_SEED)
    described = describe_noise(protocol.noise, level, train)
    return CellData(train, validation if len(validation) else None, loaded.test, described, loaded.aux_names)


def _of_pictures(protocol: Protocol, splits: Splits, level: float, seed: int) -> tuple[Rows, Rows]:
    """Training and validation rows with noise that depends on the picture, in both by the training set's rule."""
    of_picture, classes = PICTURE_NOISE[protocol.noise], len(protocol.names)
    train, held_out = (
        Labelled(thumbnails(split.images), split.reference, number)
        for split, number in ((splits.train, seed), (splits.validation, seed + VALIDATION_SEED))
    )
    return (
        splits.train.with_given(of_picture(train, level, classes, None)),
        splits.validation.with_given(of_picture(held_out, level, classes, train)),
    )


def _with_noise(protocol: Protocol, source: Source, splits: Splits, split: Rows, level: float, seed: int) -> Rows:
    """A split with noise: synthetic, or real noise as in its labels, which for generated faces is simulated."""
    if protocol.noise in DRAWN:
        return split.with_given(DRAWN[protocol.noise](split.reference, level, len(protocol.names), seed))
    if splits.votes is not None:
        return split.with_given(VOTED[protocol.noise](splits.votes[split.sample_id], split.reference, seed))
    if source == "generated":
        order = [FERPLUS_CLASSES.index(name) for name in protocol.names]
        transition = noise.FER2013_TRANSITION[np.ix_(order, order)]
        return split.with_given(noise.by_transition(split.reference, transition, seed))
    return split
