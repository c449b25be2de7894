"""Label noise as pure functions of labels, rate and seed.

The seed alone gives every row a rank (the order in which rows are flipped) and a new class. The rate only determines
how many rows are flipped, so a higher level contains the flips of a lower one, with the same new labels. Unknown labels
(below 0; 0 for action units) are kept. The input is not modified; results have its dtype. Class labels must be below
`num_classes`; invalid arguments raise BadInput.
"""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import BadInput

Label = TypeVar("Label", bound=np.generic)

# Makes these random numbers independent of other uses of the same seed.
_STREAM = int.from_bytes(b"label noise")

# Counts of FER2013 labels of the Training images with a FER+ majority. Rows: FER+ neutral, happiness, surprise,
# sadness, anger, disgust, fear. Columns: FER2013 angry, disgust, fear, happy, sad, surprise, neutral.
_FER2013_COUNTS = np.array(
    [
        [998, 24, 1088, 318, 2102, 165, 4045],
        [87, 10, 86, 6553, 42, 203, 306],
        [97, 2, 503, 116, 30, 2382, 19],
        [231, 63, 710, 7, 1820, 19, 164],
        [1639, 53, 288, 16, 72, 21, 11],
        [18, 95, 4, 0, 1, 1, 0],
        [23, 2, 435, 3, 10, 59, 0],
    ]
)[:, [6, 3, 5, 4, 0, 1, 2]]  # columns in the order of the rows

FER2013_TRANSITION: NDArray[np.float64] = _FER2013_COUNTS / _FER2013_COUNTS.sum(1, keepdims=True)
"""Measured noise: P(FER2013 label | FER+ label), float64 [7, 7], rows FER+, both in FER+ order without contempt."""
FER2013_TRANSITION.setflags(write=False)


def symmetric(
    labels: NDArray[Label], rate: float, num_classes: int, seed: int, exact: bool = True, include_true: bool = False
) -> NDArray[Label]:
    """Symmetric noise: flipped rows get a class drawn uniformly from the others.

    Args:
        labels: integers [N], 0 to num_classes - 1, or below 0 for unknown.
        rate: share of rows of each class to flip, in [0, 1).
        num_classes: C, at least 2.
        seed: 0 or more.
        exact: flip floor(rate·n + 0.5) of the n rows of each class; otherwise each row with probability `rate`.
        include_true: draw from all C classes, the true one included, so that only (C - 1) / C of the drawn rows change
            (a nominal 40 % on 7 classes is 34.3 %).

    Returns:
        labels [N], same dtype.

    Raises:
        BadInput: an argument outside its range.
    """
    clean = _check_labels(labels, num_classes)
    _check_rate(rate)
    generator = _generator(seed)
    rank = generator.random(len(clean))
    if include_true:
        new = generator.integers(0, num_classes, len(clean))
    else:
        new = (clean + generator.integers(1, num_classes, len(clean))) % num_classes
    flip = _lowest_ranks(clean, rank, rate, num_classes) if exact else (rank < rate) & (clean >= 0)
    return _replaced(labels, flip, new)


def pair_flip(labels: NDArray[Label], rate: float, num_classes: int, seed: int) -> NDArray[Label]:
    """Pair noise: flipped rows go from class y to (y + 1) mod C, floor(rate·n + 0.5) of the n rows of each class.

    Args, returns and raises: as `symmetric`.
    """
    clean = _check_labels(labels, num_classes)
    _check_rate(rate)
    rank = _generator(seed).random(len(clean))
    return _replaced(labels, _lowest_ranks(clean, rank, rate, num_classes), (clean + 1) % num_classes)


def by_transition(labels: NDArray[Label], matrix: ArrayLike, seed: int) -> NDArray[Label]:
    """Noise by a transition matrix: each row gets a class drawn from the matrix row of its own class.

    A row is flipped with probability 1 - matrix[y, y], and its new class drawn in proportion to the other entries of
    the matrix row. Matrices that differ only in the flip probability, such as (1 - t)·I + t·M, therefore give nested
    flips.

    Args:
        labels: integers [N], 0 to C - 1, or below 0 for unknown.
        matrix: [C, C], rows the clean class, columns the given one; entries 0 or more, rows summing to 1 within 1e-6.
        seed: 0 or more.

    Returns:
        labels [N], same dtype.

    Raises:
        BadInput: an argument outside its range.
    """
    transition = _check_matrix(matrix)
    clean = _check_labels(labels, len(transition))
    generator = _generator(seed)
    rank, draw = generator.random(len(clean)), generator.random(len(clean))
    leaving = transition * (1 - np.eye(len(transition)))
    steps = leaving.cumsum(1)[clean]
    # The product may round up to the total, which would select a class after the last one.
    place = np.minimum(draw * steps[:, -1], np.nextafter(steps[:, -1], 0))
    new = (place[:, None] >= steps).sum(1)
    flip = (rank < 1 - transition.diagonal()[clean]) & (steps[:, -1] > 0) & (clean >= 0)
    return _replaced(labels, flip, new)


def by_votes(votes: ArrayLike, seed: int) -> NDArray[np.int64]:
    """Labels of a single annotator: each row gets a class drawn from its votes, so ambiguous faces are noisier.

    Args:
        votes: counts or shares [N, C], 0 or more; a row without votes gets no label.
        seed: 0 or more.

    Returns:
        int64 [N], 0 to C - 1, or -1 without votes.

    Raises:
        BadInput: not [N, C], or a negative or infinite entry.
    """
    counts = np.asarray(votes, np.float64)
    if counts.ndim != 2 or not (np.isfinite(counts).all() and (counts >= 0).all()):
        raise BadInput("votes must be numbers of 0 or more, [N, C]")
    steps = counts.cumsum(1)
    total = steps[:, -1] if counts.shape[1] else np.zeros(len(counts))
    place = np.minimum(_generator(seed).random(len(counts)) * total, np.nextafter(total, 0))
    return np.where(total > 0, (place[:, None] >= steps).sum(1), -1)


def au_flip(labels: NDArray[Label], rate: float, seed: int, balanced: bool = False) -> NDArray[Label]:
    """Action-unit noise: flips the sign of floor(rate·n + 0.5) of the n known entries of each AU.

    Args:
        labels: signed integers or floats [N, L] in {-1, 0, +1}; 0 is unknown and kept.
        rate: share of the known entries of each AU to flip, in [0, 1).
        seed: 0 or more.
        balanced: flip as many positives as negatives, which preserves the base rate of each AU: floor(rate·n/2 + 0.5)
            of each sign, but at most the count of the rarer one. A rare AU then gets less noise than `rate`
            (`realised_rate`).

    Returns:
        labels [N, L], same dtype.

    Raises:
        BadInput: an argument outside its range.
    """
    values = np.asarray(labels)
    if values.ndim != 2 or values.dtype.kind not in "if" or not np.isin(values, (-1, 0, 1)).all():
        raise BadInput("action-unit labels must be signed numbers [N, L] in {-1, 0, +1}; mark unknown entries 0")
    _check_rate(rate)
    rank = _generator(seed).random((len(values), values.shape[1]))
    flip = np.zeros(values.shape, np.bool_)
    for column in range(values.shape[1]):
        signs = [np.flatnonzero(values[:, column] == sign) for sign in (-1, 1)]
        known = len(signs[0]) + len(signs[1])
        count = min(share_of(rate / 2, known), *map(len, signs)) if balanced else share_of(rate, known)
        for rows in signs if balanced else [np.concatenate(signs)]:
            flip[rows[np.argsort(rank[rows, column])[:count]], column] = True
    return np.where(flip, -values, values)


def mask_hash(given: NDArray[Any], reference: NDArray[Any]) -> str:
    """SHA-256 (hex) of the flips: of the labels' shape, the mask of changed labels, and the new labels there.

    Args:
        given: labels, integers [N] or values in {-1, 0, +1} [N, L]; the dtype does not matter.
        reference: the labels before the noise, same shape.

    Raises:
        BadInput: shapes that differ.
    """
    _check_shapes(given, reference)
    flip = given != reference
    digest = hashlib.sha256(repr(flip.shape).encode())
    digest.update(np.packbits(flip).tobytes())
    digest.update(given[flip].astype("<i8").tobytes())
    return digest.hexdigest()


def realised_rate(given: NDArray[Any], reference: NDArray[Any]) -> float:
    """Share of wrong given labels among the entries with both labels known; 0.0 if there are none.

    Args:
        given: class labels [N], below 0 unknown, or AU labels [N, L], 0 unknown.
        reference: the labels before the noise, same shape.

    Raises:
        BadInput: shapes that differ.
    """
    _check_shapes(given, reference)
    known = (given >= 0) & (reference >= 0) if given.ndim == 1 else (given != 0) & (reference != 0)
    return float((given != reference)[known].mean()) if known.any() else 0.0


def realised_transition(given: NDArray[Any], reference: NDArray[Any], num_classes: int) -> NDArray[np.float64]:
    """Shares of given labels for each reference label, among the entries with both labels known.

    Args:
        given: class labels [N], below 0 unknown, or AU labels [N, L], 0 unknown.
        reference: the labels before the noise, same shape.
        num_classes: C classes or L AUs.

    Returns:
        float64 [C, C], rows the reference label, or [L, 2, 2], index 0 absent and 1 present. Rows sum to 1; that of a
        label without entries is the identity's.

    Raises:
        BadInput: shapes that differ.
    """
    _check_shapes(given, reference)
    if given.ndim == 1:
        known = (given >= 0) & (reference >= 0)
        counts = np.zeros((num_classes, num_classes))
        np.add.at(counts, (reference[known], given[known]), 1)
    else:
        known = (given != 0) & (reference != 0)
        counts = np.zeros((num_classes, 2, 2))
        for true in (0, 1):
            for said in (0, 1):
                counts[:, true, said] = (known & ((reference > 0) == true) & ((given > 0) == said)).sum(axis=0)
    total = counts.sum(axis=-1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1), np.eye(counts.shape[-1]))


def salted(draw: int, salt: str) -> int:
    """The number of a noise draw of which nobody can tell the flips without knowing the salt, which is any text.

    Without a salt it is the draw itself; with one it is 56 bits of the draw's BLAKE2b hash, keyed by the salt.
    """
    if not salt:
        return draw
    key = hashlib.blake2b(salt.encode()).digest()
    return int.from_bytes(hashlib.blake2b(str(draw).encode(), key=key, digest_size=7).digest(), "little")


def share_of(rate: float, count: int) -> int:
    """floor(rate·count + 0.5) for the decimal rate: 0.29 · 50 is 14.5, although the float product is slightly less."""
    return math.floor(Fraction(float(rate)).limit_denominator(1_000_000) * count + Fraction(1, 2))


def _generator(seed: int) -> np.random.Generator:
    if seed < 0:
        raise BadInput(f"noise seed {seed} is negative; use 0 or more")
    return np.random.default_rng((_STREAM, seed))


def _lowest_ranks(
    labels: NDArray[np.int64], rank: NDArray[np.float64], rate: float, num_classes: int
) -> NDArray[np.bool_]:
    """The rows of each class to flip, those of lowest rank: bool [N]."""
    chosen = np.zeros(len(labels), np.bool_)
    for label in range(num_classes):
        rows = np.flatnonzero(labels == label)
        chosen[rows[np.argsort(rank[rows])[: share_of(rate, len(rows))]]] = True
    return chosen


def _replaced(labels: NDArray[Label], flip: NDArray[np.bool_], new: NDArray[np.int64]) -> NDArray[Label]:
    """A copy of the labels with `new` where `flip` is True."""
    noisy = np.array(labels)
    noisy[flip] = new[flip]
    return noisy


def _check_rate(rate: float) -> None:
    if not 0 <= rate < 1:
        raise BadInput(f"noise rate {rate} is outside [0, 1); give a share such as 0.2")


def _check_labels(labels: NDArray[Any], num_classes: int) -> NDArray[np.int64]:
    """The labels as int64, after checks of their dtype, shape and range."""
    if num_classes < 2:
        raise BadInput(f"{num_classes} classes: label noise needs at least 2")
    values = np.asarray(labels)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise BadInput(f"class labels must be integers [N], not {values.dtype} of {values.ndim} dimensions")
    if num_classes - 1 > np.iinfo(values.dtype).max:
        raise BadInput(f"labels of dtype {values.dtype} cannot hold {num_classes} classes; use int64")
    if values.size and values.max() >= num_classes:
        raise BadInput(f"label {values.max()} is outside 0 to {num_classes - 1}; check num_classes")
    return values.astype(np.int64)


def _check_matrix(matrix: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(matrix, np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(values) < 2:
        raise BadInput(f"a transition matrix must be square, at least 2 x 2, not of shape {values.shape}")
    if not (values >= 0).all() or not np.allclose(values.sum(1), 1, rtol=0, atol=1e-6):
        raise BadInput("a transition matrix needs entries of 0 or more and rows that sum to 1; divide each by its sum")
    return values


def _check_shapes(given: NDArray[Any], reference: NDArray[Any]) -> None:
    if given.shape != reference.shape:
        raise BadInput(f"given labels of shape {given.shape} against reference labels of shape {reference.shape}")
