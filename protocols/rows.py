"""What a cell of a protocol holds: training, validation and test rows with their given and reference labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .faces.keyed_random import VERSION as FACES_VERSION
from .images import image_pool
from .images.image_pool import Images, in_memory
from .noise import mask_hash, realised_rate

Array = NDArray[Any]
Source = Literal["real", "generated"]


@dataclass(frozen=True)
class Rows:
    """Rows of one role.

    Attributes:
        images: N pictures, uint8 [N, H, W, C] when they are read, C 1 or 3.
        sample_id: int64 [N], names a row for ever.
        group: unicode [N], the subject; each row its own where subjects are not known.
        given: labels a method may see: int64 [N], or int8 [N, L] in {-1, 0, +1}.
        reference: labels it is judged by, same shape; -1 (single) or 0 (multi) where there is none.
        verified: bool [N], rows declared clean.
        copy: bool [N], test rows that are exact copies of a training image.
        aux: int8 [N, M], auxiliary AU labels in {-1, 0, +1}; M is 0 where there are none.
    """

    images: Images
    sample_id: Array
    group: Array
    given: Array
    reference: Array
    verified: Array
    copy: Array
    aux: Array

    def __len__(self) -> int:
        return len(self.sample_id)

    def take(self, rows: Array) -> Rows:
        """The rows of an index or boolean array."""
        return Rows(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def with_given(self, given: Array) -> Rows:
        """The same rows with other given labels."""
        return replace(self, given=given)


@dataclass(frozen=True)
class Origin:
    """Where faces come from, as the identity of a trial keeps it.

    Attributes:
        layout: the layout they were read from, or "generated".
        digest: "published", 16 hex digits of a copy that is not, or the version of the generator.
    """

    layout: str
    digest: str


GENERATED = Origin("generated", f"faces {FACES_VERSION}")


@dataclass(frozen=True)
class CellData:
    """Everything a trial of a cell reads.

    Attributes:
        train, validation, test: the rows; validation None where the protocol has none.
        noise: what the record says of the noise: kind, nominal level, realised rate (None where it cannot be known),
            hash of the mask.
        aux_names: names of the auxiliary AUs, in column order.
    """

    train: Rows
    validation: Rows | None
    test: Rows
    noise: dict[str, Any]
    aux_names: tuple[str, ...] = ()


def rows(
    images: Array | Images, given: Array, reference: Array, *, first_id: int = 0, group: Array | None = None
) -> Rows:
    """Rows numbered from first_id, none verified, none a copy; each its own group unless groups are passed."""
    ids = np.arange(first_id, first_id + len(images), dtype=np.int64)
    no = np.zeros(len(images), dtype=bool)
    pictures_of = images if isinstance(images, Images) else in_memory(images)
    names = ids.astype(str) if group is None else group
    return Rows(pictures_of, ids, names, given, reference, no, no.copy(), np.zeros((len(ids), 0), np.int8))


def join(first: Rows, second: Rows) -> Rows:
    """Two sets of rows, one after the other."""
    columns = [name for name in first.__dataclass_fields__ if name != "images"]
    joined = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in columns}
    return Rows(image_pool.join([first.images, second.images]), **joined)


def describe_noise(kind: str, nominal: float | None, train: Rows) -> dict[str, Any]:
    """The noise of a training set as the record keeps it; no rate where no entry has both labels."""
    unknown = -1 if train.given.ndim == 1 else 0
    judged = (train.given != unknown) & (train.reference != unknown)
    return {
        "kind": kind,
        "nominal": nominal,
        "realised": realised_rate(train.given, train.reference) if judged.any() else None,
        "mask": mask_hash(train.given, train.reference),
    }


def fixed_choice(size: int, count: int | None, seed: int) -> Array:
    """The same `count` of `size` row numbers for everybody, in order; all of them for None or a larger count."""
    if count is None or count >= size:
        return np.arange(size)
    return np.sort(np.random.default_rng(seed).permutation(size)[:count])
