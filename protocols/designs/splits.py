"""Training, validation and test rows before noise, and the noise that comes on top: shared by single-label designs."""

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
from ..faces.generate import Faces, FaceSpecification, annotator_votes, automatic_annotator, faces
from ..labels import FERPLUS_CLASSES
from ..readers.openface import NAMES as OPENFACE_AUS
from ..rows import GENERATED, Array, CellData, Origin, Rows, Source, describe_noise, fixed_choice, rows

VALIDATION_SEED = 1_000_003  # keeps the validation set's noise apart from the training set's
ANNOTATORS = 10  # as many as FER+ asked

# Noise drawn on top of clean labels: (labels, rate, classes, seed) -> labels.
DRAWN: Mapping[str, Callable[[Array, float, int, int], Array]] = MappingProxyType(
    {
        "symmetric": noise.symmetric,
        "symmetric, by coin": partial(noise.symmetric, exact=False),
        "symmetric, true class included": partial(noise.symmetric, include_true=True),
        "pair flip": noise.pair_flip,
    }
)


@dataclass(frozen=True)
class Splits:
    """The three splits before any noise is added; `given` holds the labels the data came with.

    A validation split without rows means that there is none.

    Attributes:
        votes: int64 [M, C], annotators' votes by sample_id, where labels are drawn from them.
        aux_names: names of the auxiliary AUs the rows carry.
    """

    train: Rows
    validation: Rows
    test: Rows
    origin: Origin = GENERATED
    votes: Array | None = None
    aux_names: tuple[str, ...] = ()

    def cut(self, size: Size, seed: int, place: Path, needs: tuple[str, ...]) -> Splits:
        """The rows a profile uses, the same for everybody.

        Raises:
            BadInput: one of the splits named in `needs` has no rows.
        """
        for name in needs:
            if not len(getattr(self, name)):
                what = f"no {name} row is left; the protocol needs {', '.join(needs)}"
                raise BadInput(f"{place}: {what}: data verify says what lacks")
        return replace(
            self,
            train=self.train.take(fixed_choice(len(self.train), size.train, seed)),
            validation=self.validation.take(fixed_choice(len(self.validation), size.validation, seed)),
            test=self.test.take(fixed_choice(len(self.test), size.test, seed)),
        )


def generated(protocol: Protocol, profile: Profile) -> Splits:
    """Faces in the wild, every one of another person, split in order."""
    train, validation, test = profile.size.generated
    specification = FaceSpecification(
        count=train + validation + test,
        size=profile.size.generated_side or profile.size.side,
        content="expressions",
        expressions=protocol.names,
    )
    drawn = faces(specification, protocol.noise_seed)
    everything = rows(drawn.images, drawn.expressions, drawn.expressions)
    everything = replace(everything, aux=_coded(drawn, protocol.noise_seed))
    bounds = np.cumsum([0, train, validation, test])
    first, second, third = (everything.take(np.arange(a, b)) for a, b in pairwise(bounds))
    votes = _votes(drawn, protocol.noise_seed) if protocol.noise == "votes" else None
    return Splits(first, second, third, votes=votes, aux_names=OPENFACE_AUS)


def noisy_cell(protocol: Protocol, source: Source, splits: Splits, level: float | None, draw: int) -> CellData:
    """A cell: the splits with the protocol's noise of this level and draw on training and validation labels."""
    seed = protocol.noise_seed + draw
    train = _with_noise(protocol, source, splits, splits.train, level or 0.0, seed)
    validation = _with_noise(protocol, source, splits, splits.validation, level or 0.0, seed + VALIDATION_SEED)
    described = describe_noise(protocol.noise, level, train)
    return CellData(train, validation if len(validation) else None, splits.test, described, splits.aux_names)


def _with_noise(protocol: Protocol, source: Source, splits: Splits, split: Rows, level: float, seed: int) -> Rows:
    """One split with its noise; real noise is in the labels the data came with, its generated twin is drawn."""
    if protocol.noise in DRAWN:
        return split.with_given(DRAWN[protocol.noise](split.reference, level, len(protocol.names), seed))
    if splits.votes is not None:
        return split.with_given(noise.by_votes(splits.votes[split.sample_id], seed))
    if source == "generated":
        return split.with_given(noise.by_transition(split.reference, _measured_noise(protocol.names), seed))
    return split


def _measured_noise(names: tuple[str, ...]) -> Array:
    """FER2013's measured noise with its classes in another order."""
    order = [FERPLUS_CLASSES.index(name) for name in names]
    return noise.FER2013_TRANSITION[np.ix_(order, order)]


def _votes(drawn: Faces, seed: int) -> Array:
    votes = annotator_votes(drawn, seed, ANNOTATORS)
    return np.stack([(votes == label).sum(1) for label in range(len(drawn.specification.expressions))], axis=1)


def _coded(drawn: Faces, seed: int) -> Array:
    """OpenFace's action units as the simulated coder sees them: int8 [N, 18] in {-1, +1}."""
    asked = replace(drawn, specification=replace(drawn.specification, au_names=OPENFACE_AUS))
    return automatic_annotator(asked, seed)
