"""Labels of a few human annotators, drawn from the votes of each face, and synthetic noise of the same rate.

A twin of human noise has as many wrong labels and another structure: symmetric, class-conditional with the human
confusion matrix, or instance-dependent with the human confusion of each face. What human noise has beyond a twin is
what that twin leaves out. Pure functions of votes, reference labels and a seed; results are int64 [N].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import BadInput

Labels = NDArray[np.int64]
Twin = Callable[[NDArray[Any], Labels, Labels, int], Labels]
Drawn = Callable[[NDArray[Any], Labels, int], Labels]

# Makes these random numbers independent of other uses of the same seed.
_STREAM = int.from_bytes(b"label votes")
_TIES, _SHUFFLE, _ORDER, _PLACE = range(1_000, 1_004)  # numbers of draws that are not votes


def drawn_majority(votes: NDArray[Any], count: int | None, seed: int) -> Labels:
    """The most frequent class among `count` votes drawn from those of each face; ties are drawn.

    Votes are drawn with replacement, each in proportion to the face's counts. The first k of more votes are those that
    k votes are, so that a larger count corrects labels and does not draw them anew.

    Args:
        votes: counts [N, C], 0 or more; a row without votes gets no label.
        count: number of votes, at least 1; None: all votes of the face, once each.
        seed: 0 or more.

    Returns:
        int64 [N], 0 to C - 1, or -1 without votes.

    Raises:
        BadInput: not [N, C], a negative or infinite entry, or a count below 1.
    """
    counts = _check_votes(votes)
    if count is not None and count < 1:
        raise BadInput(f"{count} votes drawn: at least 1 is needed")
    drawn = counts if count is None else np.sum([_one_vote(counts, seed, number) for number in range(count)], axis=0)
    by_lot = _uniforms(seed, _TIES, counts.shape)
    # among the classes of the largest count the one with the largest lot
    winner = np.where(drawn == drawn.max(1, keepdims=True), by_lot, -1.0).argmax(1)
    return np.where(counts.sum(1) > 0, winner, -1)


def symmetric_twin(votes: NDArray[Any], reference: Labels, human: Labels, seed: int) -> Labels:
    """As many wrong labels as human labels have, in rows drawn at random, each of another class drawn uniformly.

    Args:
        votes: counts [N, C], of which only C is used.
        reference: int64 [N], 0 to C - 1, or below 0 for unknown, whose human label is kept.
        human: int64 [N], labels drawn from votes.
        seed: 0 or more.

    Returns:
        int64 [N].
    """
    known, wrong = _wrong(reference, human)
    classes = np.shape(votes)[1]
    rank = np.where(known, _uniforms(seed, _ORDER, reference.shape), 2.0)
    chosen = np.argsort(rank, kind="stable")[: wrong.sum()]
    other = 1 + (_uniforms(seed, _PLACE, reference.shape) * (classes - 1)).astype(np.int64)
    twin = np.where(known, reference, human)
    twin[chosen] = ((reference + other) % classes)[chosen]
    return twin


def confusion_twin(votes: NDArray[Any], reference: Labels, human: Labels, seed: int) -> Labels:
    """The human labels shuffled among the faces of one reference class.

    So the confusion matrix and the rate are exactly those of the human labels, and which face is mislabelled is chance.

    Args, returns: as `symmetric_twin`.
    """
    known, _ = _wrong(reference, human)
    order = _uniforms(seed, _SHUFFLE, reference.shape)
    twin = human.copy()
    for label in np.unique(reference[known]):
        rows = np.flatnonzero(reference == label)
        twin[rows] = human[rows[np.argsort(order[rows], kind="stable")]]
    return twin


def instance_twin(votes: NDArray[Any], reference: Labels, human: Labels, seed: int) -> Labels:
    """As many wrong labels as human labels have, each face wrong in proportion to its votes against the reference.

    Which faces are wrong is a systematic sample with the share of votes against the reference as inclusion
    probabilities, scaled so that they add up to the number of wrong human labels; the wrong class is drawn from the
    face's own votes. So this is what synthetic noise can know of a face, and what human labels drawn again would be.

    Args, returns: as `symmetric_twin`.
    """
    known, wrong = _wrong(reference, human)
    counts = _check_votes(votes)
    against = np.where(known[:, None], counts, 0.0)
    against[np.flatnonzero(known), reference[known]] = 0.0
    share = against.sum(1) / np.maximum(counts.sum(1), 1e-300)
    order = np.argsort(_uniforms(seed, _ORDER, reference.shape), kind="stable")
    chosen = order[_systematic(share[order], int(wrong.sum()), float(_uniforms(seed, _PLACE, (1,))[0]))]
    steps = against.cumsum(1)
    place = np.minimum(_uniforms(seed, _SHUFFLE, reference.shape) * steps[:, -1], np.nextafter(steps[:, -1], 0))
    twin = np.where(known, reference, human)
    twin[chosen] = (place[:, None] >= steps).sum(1)[chosen]
    return twin


TWINS: Mapping[str, Twin] = MappingProxyType(
    {"symmetric": symmetric_twin, "class-conditional": confusion_twin, "instance-dependent": instance_twin}
)


def name_of(count: int | None, twin: str = "") -> str:
    """The kind of noise in words, as protocols name it; a twin's says that it is synthetic."""
    drawn = "all votes" if count is None else f"{count} vote{'s' * (count > 1)}"
    return f"{twin} at the rate of {drawn}" if twin else drawn


def _of_votes(votes: NDArray[Any], reference: Labels, seed: int, count: int | None) -> Labels:
    """Human labels, which do not depend on the reference labels."""
    return drawn_majority(votes, count, seed)


def _of_twin(votes: NDArray[Any], reference: Labels, seed: int, twin: Twin) -> Labels:
    """The twin of the labels that one drawn vote gives with the same seed."""
    return twin(votes, reference, drawn_majority(votes, 1, seed), seed)


COUNTS = (1, 2, 3, 5, None)
VOTE_NOISE: Mapping[str, Drawn] = MappingProxyType({name_of(n): partial(_of_votes, count=n) for n in COUNTS})
"""Human noise by its name in protocols: (votes [N, C], reference labels [N], seed) -> labels [N]."""
TWIN_NOISE: Mapping[str, Drawn] = MappingProxyType(
    {name_of(1, kind): partial(_of_twin, twin=twin) for kind, twin in TWINS.items()}
)
"""Its twins by their names, at the rate of one vote, with the same arguments."""


def _one_vote(counts: NDArray[np.float64], seed: int, number: int) -> NDArray[np.float64]:
    """One vote for each row, as 1.0 in the column of its class, [N, C]."""
    steps = counts.cumsum(1)
    total = steps[:, -1]
    # The product may round up to the total, which would select a class after the last one.
    place = np.minimum(_uniforms(seed, number, total.shape) * total, np.nextafter(total, 0))
    label = (place[:, None] >= steps).sum(1)
    found: NDArray[np.float64] = (np.arange(counts.shape[1]) == label[:, None]).astype(np.float64)
    return found


def _systematic(share: NDArray[np.float64], count: int, start: float) -> NDArray[np.int64]:
    """Positions of `count` rows, each chosen with a probability in proportion to its share, none of them twice.

    Rows whose scaled share would exceed 1 are chosen for certain and the others scaled again.
    """
    certain = np.zeros(len(share), bool)
    while count and (share[~certain] > 0).any():
        left = count - certain.sum()
        scale = left / share[~certain].sum()
        over = ~certain & (share * scale >= 1)
        if not over.any():
            break
        certain |= over
    steps = np.where(certain, 0.0, share).cumsum()
    left = count - int(certain.sum())
    if left <= 0:
        return np.flatnonzero(certain)[:count]
    # The product may round up to the total, which would select a row after the last one.
    places = np.minimum((np.arange(left) + start) * steps[-1] / left, np.nextafter(steps[-1], 0))
    hits = np.searchsorted(steps, places, side="right")
    return np.sort(np.concatenate([np.flatnonzero(certain), hits]))


def _wrong(reference: Labels, human: Labels) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows have both labels, and which of them differ."""
    known = (reference >= 0) & (human >= 0)
    return known, known & (reference != human)


def _uniforms(seed: int, number: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) of one draw, independent of those of other numbers."""
    if seed < 0:
        raise BadInput(f"noise seed {seed} is negative; use 0 or more")
    return np.random.default_rng((_STREAM, seed, number)).random(shape)


def _check_votes(votes: NDArray[Any]) -> NDArray[np.float64]:
    counts = np.asarray(votes, np.float64)
    if counts.ndim != 2 or not counts.shape[1] or not (np.isfinite(counts).all() and (counts >= 0).all()):
        raise BadInput("votes must be numbers of 0 or more, [N, C]")
    return counts
