"""Training, validation and test rows before noise, and the noise that comes on top: shared by single-label designs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from . import noise
from .base import Profile, Protocol, Size
from .data import GENERATED, CellData, Origin, Rows, describe_noise, fixed_choice, rows
from .errors import BadInput
from .faces import FaceSpecification, faces

VALIDATION_SEED = 1_000_003  # keeps the validation set's noise apart from the training set's


@dataclass(frozen=True)
class Splits:
    """The three splits before any noise is added; `given` holds the labels the data came with.

    A validation split without rows means that there is none.
    """

    train: Rows
    validation: Rows
    test: Rows
    origin: Origin = GENERATED

    def cut(self, size: Size, seed: int, place: Path, needs: tuple[str, ...]) -> Splits:
        """The rows a profile uses, the same for everybody.

        Raises:
            BadInput: one of the splits named in `needs` has no rows.
        """
        for name in needs:
            if not len(getattr(self, name)):
                raise BadInput(f"{place}: no {name} row is left; the protocol needs {', '.join(needs)}")
        return Splits(
            self.train.take(fixed_choice(len(self.train), size.train, seed)),
            self.validation.take(fixed_choice(len(self.validation), size.validation, seed)),
            self.test.take(fixed_choice(len(self.test), size.test, seed)),
            self.origin,
        )


def generated(protocol: Protocol, profile: Profile) -> Splits:
    """Faces in the wild, every one of another person, split in order."""
    train, validation, test = profile.size.generated
    specification = FaceSpecification(
        count=train + validation + test, size=profile.size.side, content="expressions", expressions=protocol.names
    )
    drawn = faces(specification, protocol.noise_seed)
    everything = rows(drawn.images, drawn.expressions, drawn.expressions)
    bounds = np.cumsum([0, train, validation, test])
    first, second, third = (everything.take(np.arange(a, b)) for a, b in pairwise(bounds))
    return Splits(first, second, third)


def with_symmetric_noise(protocol: Protocol, splits: Splits, level: float, draw: int) -> CellData:
    """A cell with symmetric noise of this level and draw on training and validation labels."""
    classes, seed = len(protocol.names), protocol.noise_seed + draw
    train, validation = (
        split.with_given(noise.symmetric(split.reference, level, classes, key))
        for split, key in ((splits.train, seed), (splits.validation, seed + VALIDATION_SEED))
    )
    described = describe_noise(protocol.noise, level, train)
    return CellData(train, validation if len(validation) else None, splits.test, described)
