"""The data of a protocol's cell: training, validation and test rows with their given and reference labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from .faces.keyed_random import VERSION as FACES_VERSION
from .files import Array as Array  # other packages take the type from here
from .images import image_pool
from .images.image_pool import Images, in_memory
from .noise import mask_hash, realised_rate

Source = Literal["real", "generated"]


@dataclass(frozen=True)
class Rows:
    """The rows of a training, validation or test set.

    Attributes:
        images: N images, uint8 [N, H, W, C] when they are read, C 1 or 3.
        sample_id: int64 [N], a permanent identifier of the row.
        group: unicode [N], the subject; a distinct value for each row where subjects are not known.
        given: labels a method may see: int64 [N], or int8 [N, L] in {-1, 0, +1}.
        reference: labels used for evaluation, same shape; -1 (single) or 0 (multi) where there is none.
        verified: bool [N], rows declared clean.
        copy: bool [N], test rows that are exact copies of a training image.
        aux: int8 [N, M], auxiliary AU labels in {-1, 0, +1}; M is 0 where there are none.
        votes: int64 [N, C + 2], annotators' votes for the classes, "unknown" and "not a face"; [N, 0] without votes.
        annotators: int64 [N, K, 2], who gave the face a label, and which: number of the annotator and class, -1 and -1
            where fewer than K did; [N, 0, 2] where that is not known.
    """

    images: Images
    sample_id: Array
    group: Array
    given: Array
    reference: Array
    verified: Array
    copy: Array
    aux: Array
    votes: Array
    annotators: Array

    def __len__(self) -> int:
        return len(self.sample_id)

    def take(self, rows: Array) -> Rows:
        """The rows selected by an index or boolean array."""
        return Rows(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def with_given(self, given: Array) -> Rows:
        """The same rows with other given labels."""
        return replace(self, given=given)


@dataclass(frozen=True)
class Origin:
    """The origin of images, as part of a trial's identity.

    Attributes:
        layout: the layout they were read from, or "generated".
        digest: "published", 16 hex digits for a copy that differs from it, or the version of the face generator.
        judged_by: "given" where test labels are the given ones, since the data have no reference labels; else "".
    """

    layout: str
    digest: str
    judged_by: str = ""

    @property
    def content(self) -> dict[str, str]:
        """What a trial's identity says of it: layout and digest, and by what it is judged where that is not usual."""
        judged = {"judged_by": self.judged_by} if self.judged_by else {}
        return {"layout": self.layout, "digest": self.digest, **judged}


GENERATED = Origin("generated", f"faces {FACES_VERSION}")


@dataclass(frozen=True)
class CellData:
    """The data of one cell, as a trial reads them.

    Attributes:
        train, validation, test: the rows; validation is None where the protocol has none.
        noise: the description of the noise in the record: kind, nominal level, realised rate (None where it is
            unknown), hash of the mask.
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
    """Rows with sample_ids from first_id on, none verified or a copy; each its own group unless groups are given."""
    ids = np.arange(first_id, first_id + len(images), dtype=np.int64)
    no = np.zeros(len(images), dtype=bool)
    pool = images if isinstance(images, Images) else in_memory(images)
    names = ids.astype(str) if group is None else group
    aux, votes = np.zeros((len(ids), 0), np.int8), np.zeros((len(ids), 0), np.int64)
    return Rows(pool, ids, names, given, reference, no, no.copy(), aux, votes, no_annotators(len(ids)))


def of_known_faces(votes: Array) -> Array:
    """Votes int64 [N, C] of annotators who had no other choice than the classes, as `Rows` has them."""
    return np.pad(votes, ((0, 0), (0, 2)))


def no_annotators(count: int) -> Array:
    """The annotators of rows of which it is not known who labelled them, as `Rows` has them."""
    return np.zeros((count, 0, 2), np.int64)


def by_annotator(row: Array, annotator: Array, label: Array, count: int) -> Array:
    """Single labels by row as `Rows` has them, int64 [count, K, 2], those of a row in the given order.

    Args:
        row, annotator, label: int64 [M], of each label.
        count: number of rows.
    """
    order = np.argsort(row, kind="stable")
    ordered = row[order]
    place = np.arange(len(row)) - np.searchsorted(ordered, ordered)
    found = np.full((count, int(place.max(initial=-1)) + 1, 2), -1, np.int64)
    found[ordered, place] = np.stack([annotator[order], label[order]], axis=1)
    return found


def join(first: Rows, second: Rows) -> Rows:
    """The concatenation of two sets of rows."""
    columns = [name for name in first.__dataclass_fields__ if name != "images"]
    joined = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in columns}
    return Rows(image_pool.join([first.images, second.images]), **joined)


def describe_noise(kind: str, nominal: float | None, train: Rows) -> dict[str, Any]:
    """The description of a training set's noise in the record; no realised rate where no entry has both labels."""
    unknown = -1 if train.given.ndim == 1 else 0
    known = (train.given != unknown) & (train.reference != unknown)
    return {
        "kind": kind,
        "nominal": nominal,
        "realised": realised_rate(train.given, train.reference) if known.any() else None,
        "mask": mask_hash(train.given, train.reference),
    }


def fixed_choice(size: int, count: int | None, seed: int) -> Array:
    """`count` of the row numbers 0 to size - 1, drawn by the seed and sorted; all for None or a larger count."""
    if count is None or count >= size:
        return np.arange(size)
    return np.sort(np.random.default_rng(seed).permutation(size)[:count])
