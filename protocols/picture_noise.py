"""Synthetic label noise that depends on the picture: part-dependent, and by a classifier that saw it degraded.

Pure functions of thumbnails, labels, rate and seed. The same seed at a higher rate changes the labels of a lower one
too, to the same new classes. Unknown labels (below 0) are kept. What turns a picture into a label, matrices or the weak
classifier, is that of the training set in every set of a data set; only the rows' own lots differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from .errors import BadInput
from .images.image_pool import CHUNK, Images
from .noise import share_of

Labels = NDArray[np.int64]
Thumbnails = NDArray[np.float64]

SIDE = 16  # pixels of a thumbnail
SPREAD = 0.1  # of the rates of the pictures about the level, as in part-dependent noise
DEGRADED_SIDE = 4  # pixels that the weak classifier sees
GRAIN = 0.1  # standard deviation of the noise added to these, of a range of 1
# Makes these random numbers independent of other uses of the same seed.
_STREAM = int.from_bytes(b"picture noise")
_MATRICES, _DEGRADED, _ROWS = range(3)  # numbers of its parts
_LUMA = (299, 587, 114)  # thousandths


@dataclass(frozen=True)
class Labelled:
    """A set of pictures with the seed of its noise.

    Attributes:
        pictures: [N, SIDE, SIDE] in [0, 1].
        labels: int64 [N], 0 to C - 1, or below 0 for unknown.
        seed: 0 or more.
    """

    pictures: Thumbnails
    labels: Labels
    seed: int


PictureNoise = Callable[[Labelled, float, int, Labelled | None], Labels]


def thumbnails(images: Images) -> Thumbnails:
    """Grey values of pictures, averaged over a grid of SIDE x SIDE cells: float64 [N, SIDE, SIDE] in [0, 1].

    Sums are of integers, so that every machine finds the same. Pictures need SIDE pixels or more each way.
    """
    parts = [
        _thumbnails(images.read(np.arange(at, min(at + CHUNK, len(images))))) for at in range(0, len(images), CHUNK)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, SIDE, SIDE))


def part_dependent(rows: Labelled, rate: float, num_classes: int, training: Labelled | None = None) -> Labels:
    """Instance-dependent noise: how often a picture is wrong and as what are functions of its pixels.

    Each picture has a rate of its own from a normal distribution about the level, cut to [0, 1]. Its pixels times a
    random matrix of its class score the other classes; the new class is drawn from the softmax of the scores. So the
    realised rate is close to the level but not exact, above it where the level is within SPREAD of 0.

    Args:
        rows: N pictures, each brought to mean 0 and standard deviation 1, with their labels.
        rate: in [0, 1); 0 changes nothing.
        num_classes: C, at least 2.
        training: the training set, of whose seed the matrices are; None: `rows` are it.

    Returns:
        int64 [N].

    Source: Xia et al., Part-dependent label noise, NeurIPS 2020, algorithm 2, with the spread of 0.1 of their §4.
    """
    _check(rows, rate, num_classes)
    pixels = rows.pictures.reshape(len(rows.labels), SIDE * SIDE)
    pixels = pixels - pixels.mean(1, keepdims=True)
    pixels /= np.maximum(pixels.std(1, keepdims=True), 1e-6)
    matrices = _generator((training or rows).seed, _MATRICES).standard_normal((num_classes, SIDE * SIDE, num_classes))
    quantile, rank, place = _generator(rows.seed, _ROWS).random((3, len(rows.labels)))
    scores = np.zeros((len(rows.labels), num_classes))
    for label in range(num_classes):
        own = rows.labels == label
        scores[own] = pixels[own] @ matrices[label]
        scores[own, label] = -np.inf
    low, high = ndtr((0 - rate) / SPREAD), ndtr((1 - rate) / SPREAD)
    own_rate = rate + SPREAD * ndtri(low + quantile * (high - low))
    flip = (rows.labels >= 0) & (rank < own_rate) & (rate > 0)
    return np.where(flip, _drawn(_softmax(scores), place), rows.labels)


def degraded(rows: Labelled, rate: float, num_classes: int, training: Labelled | None = None) -> Labels:
    """Labels by a weak classifier that saw the pictures degraded, for exactly floor(rate * n + 0.5) of the n pictures.

    Each picture is reduced to DEGRADED_SIDE x DEGRADED_SIDE grains with noise. A Gaussian classifier with a mean for
    each class and one common variance, of all training pictures and their labels, has a probability for each class.
    Wrong are pictures drawn with the probability of the other classes as weight, one after the other; their new class
    is drawn in proportion to the probabilities. So pictures that look like another class are wrong more often.

    Args, returns: as `part_dependent`; the classifier is that of the training set.
    """
    _check(rows, rate, num_classes)
    learnt = training or rows
    seen, labels = _grains(rows), rows.labels
    scores = _log_posterior(seen, seen if training is None else _grains(learnt), learnt.labels, num_classes)
    lot, place = _generator(rows.seed, _ROWS).random((2, len(labels)))
    known = np.flatnonzero(labels >= 0)
    others = _softmax(scores)
    others[known, labels[known]] = 0.0
    # The smallest of exponential waiting times are draws without replacement in proportion to the weights.
    waiting = np.where(labels >= 0, -np.log1p(-lot) / np.maximum(others.sum(1), 1e-12), np.inf)
    chosen = np.argsort(waiting, kind="stable")[: share_of(rate, len(known))]
    scores[known, labels[known]] = -np.inf  # whose softmax tells other classes apart however unlikely they all are
    found = labels.copy()
    found[chosen] = _drawn(_softmax(scores), place)[chosen]
    return found


PICTURE_NOISE: Mapping[str, PictureNoise] = MappingProxyType(
    {"part-dependent": part_dependent, "by a classifier of degraded pictures": degraded}
)
"""Noise by its name in protocols: (rows, rate, classes, the training rows or None) -> labels [N]."""


def _generator(seed: int, part: int) -> np.random.Generator:
    return np.random.default_rng((_STREAM, seed, part))


def _thumbnails(pixels: NDArray[np.uint8]) -> Thumbnails:
    height, width, channels = pixels.shape[1:]
    if min(height, width) < SIDE:
        raise BadInput(f"pictures of {height} x {width} pixels: noise that depends on them needs {SIDE} each way")
    wide = pixels.astype(np.int64)
    grey = wide[..., 0] * 1000 if channels == 1 else sum(part * wide[..., at] for at, part in enumerate(_LUMA))
    rows, columns = (np.arange(SIDE + 1) * side // SIDE for side in (height, width))
    sums = np.add.reduceat(np.add.reduceat(grey, rows[:-1], axis=1), columns[:-1], axis=2)
    found: Thumbnails = sums / (np.diff(rows)[:, None] * np.diff(columns) * 255_000)
    return found


def _grains(rows: Labelled) -> NDArray[np.float64]:
    """What the weak classifier sees of each picture, [N, DEGRADED_SIDE * DEGRADED_SIDE]."""
    count, cells, step = len(rows.labels), DEGRADED_SIDE, SIDE // DEGRADED_SIDE
    means = rows.pictures.reshape(count, cells, step, cells, step).mean((2, 4)).reshape(count, cells * cells)
    seen: NDArray[np.float64] = means + GRAIN * _generator(rows.seed, _DEGRADED).standard_normal(means.shape)
    return seen


def _log_posterior(
    seen: NDArray[np.float64], trained: NDArray[np.float64], labels: Labels, num_classes: int
) -> NDArray[np.float64]:
    """Logarithms of the classes' probabilities for `seen`, up to a constant a row: float64 [N, C].

    By class means and one variance a grain of the training pictures and their labels; minus infinity for classes
    without a training picture.
    """
    known = labels >= 0
    share = np.bincount(labels[known], minlength=num_classes) / max(1, known.sum())
    absent = np.zeros(seen.shape[1])
    means = np.stack([trained[labels == c].mean(0) if share[c] else absent for c in range(num_classes)])
    variance = ((trained[known] - means[labels[known]]) ** 2).mean(0) if known.any() else np.ones(seen.shape[1])
    distance = np.stack([((seen - mean) ** 2 / np.maximum(variance, 1e-12)).sum(1) for mean in means], axis=1)
    with np.errstate(divide="ignore"):
        found: NDArray[np.float64] = np.log(share) - distance / 2
    return found


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    top = scores.max(1, keepdims=True) if scores.size else scores
    exponents = np.exp(scores - np.where(np.isfinite(top), top, 0.0))
    found: NDArray[np.float64] = exponents / np.maximum(exponents.sum(1, keepdims=True), 1e-300)
    return found


def _drawn(weights: NDArray[np.float64], place: NDArray[np.float64]) -> Labels:
    """A class for each row in proportion to its weights, int64 [N]; classes of weight 0 are not drawn."""
    steps = weights.cumsum(1)
    at = np.minimum(place * steps[:, -1], np.nextafter(steps[:, -1], 0))
    found: Labels = np.minimum((at[:, None] >= steps).sum(1), weights.shape[1] - 1)
    return found


def _check(rows: Labelled, rate: float, num_classes: int) -> None:
    if not 0 <= rate < 1:
        raise BadInput(f"noise rate {rate} is outside [0, 1); give a share such as 0.2")
    if rows.seed < 0:
        raise BadInput(f"noise seed {rows.seed} is negative; use 0 or more")
    labels, shape = rows.labels, rows.pictures.shape
    if shape != (len(labels), SIDE, SIDE):
        raise BadInput(f"thumbnails of shape {shape} for {len(labels)} labels, not [N, {SIDE}, {SIDE}]")
    if num_classes < 2 or (len(labels) and labels.max() >= num_classes):
        raise BadInput(f"labels up to {labels.max(initial=-1)} for {num_classes} classes; at least 2 are needed")
