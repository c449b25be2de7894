"""Noise that depends on the picture: rates, nested levels, what it depends on, and refused arguments."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.images.image_pool import CHUNK, in_memory
from fernoise_bench.protocols.noise import mask_hash
from fernoise_bench.protocols.picture_noise import (
    PICTURE_NOISE,
    SIDE,
    Labelled,
    degraded,
    part_dependent,
    thumbnails,
)

CLASSES = 5
STREAM = int.from_bytes(b"picture noise")
KINDS = pytest.mark.parametrize("noise", PICTURE_NOISE.values(), ids=["part-dependent", "degraded"])


def faces(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Thumbnails of blurred classes, and their labels, unknown for every eleventh."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, CLASSES, count)
    patterns = np.kron(generator.random((CLASSES, 4, 4)), np.ones((1, SIDE // 4, SIDE // 4)))
    pictures = np.clip(0.25 * patterns[labels] + 0.75 * generator.random((count, SIDE, SIDE)), 0, 1)
    labels[::11] = -1
    return pictures, labels


@pytest.mark.parametrize(("height", "width", "channels"), [(16, 16, 1), (48, 48, 1), (47, 100, 3), (224, 224, 3)])
def test_thumbnails_are_means_of_cells(height: int, width: int, channels: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (3, height, width, channels), dtype=np.uint8)
    found = thumbnails(in_memory(pixels))
    grey = pixels[..., 0] / 255 if channels == 1 else pixels @ np.array([0.299, 0.587, 0.114]) / 255
    for at in ((0, 0), (3, 9), (15, 15)):
        (top, bottom), (left, right) = (
            (cell * side // SIDE, (cell + 1) * side // SIDE) for cell, side in zip(at, (height, width), strict=True)
        )
        assert np.allclose(found[:, at[0], at[1]], grey[:, top:bottom, left:right].mean((1, 2)), rtol=0, atol=1e-12)


def test_thumbnails_of_many_pictures_are_those_of_each() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (CHUNK + 3, 20, 20, 1), dtype=np.uint8)
    assert (thumbnails(in_memory(pixels))[-2:] == thumbnails(in_memory(pixels[-2:]))).all()
    assert thumbnails(in_memory(pixels[:0])).shape == (0, SIDE, SIDE)
    with pytest.raises(BadInput, match="pictures of 15 x 20 pixels: noise that depends on them needs 16 each way"):
        thumbnails(in_memory(pixels[:, :15]))


@KINDS
@settings(max_examples=25)
@given(seed=st.integers(0, 2**40), count=st.integers(0, 90), rates=st.tuples(st.integers(0, 99), st.integers(0, 99)))
def test_levels_are_nested_and_labels_stay_labels(noise, seed: int, count: int, rates: tuple[int, int]) -> None:
    pictures, labels = faces(count, seed % 7)
    low, high = sorted(rates)
    less, more = (noise(Labelled(pictures, labels, seed), rate / 100, CLASSES) for rate in (low, high))
    changed = less != labels
    assert (less[changed] == more[changed]).all()
    assert (more[labels < 0] == -1).all()
    assert ((more >= 0) & (more < CLASSES))[labels >= 0].all()
    assert (noise(Labelled(pictures, labels, seed), 0.0, CLASSES) == labels).all()
    assert (more == noise(Labelled(pictures, labels, seed), high / 100, CLASSES)).all()


def test_the_rate_of_part_dependent_noise_is_that_of_the_cut_normal_distribution() -> None:
    pictures, labels = faces(20_000)
    known = labels >= 0
    for rate in (0.1, 0.2, 0.4):
        expected = stats.truncnorm(-rate / 0.1, (1 - rate) / 0.1, loc=rate, scale=0.1).mean()
        found = part_dependent(Labelled(pictures, labels, 3), rate, CLASSES) != labels
        assert found[known].mean() == pytest.approx(expected, abs=4 * np.sqrt(rate / 18_000))
        assert not found[~known].any()


def test_part_dependent_noise_depends_on_the_picture_alone() -> None:
    """Equal pictures of one class nearly always go to one other class, also when they are brighter."""
    pictures, _ = faces(40)
    same = np.repeat(pictures, 200, axis=0)
    labels = np.repeat(np.arange(40) % CLASSES, 200)
    noisy = part_dependent(Labelled(same, labels, 0), 0.4, CLASSES).reshape(40, 200)
    shares = []
    for own, label in zip(noisy, np.arange(40) % CLASSES, strict=True):
        wrong = own[own != label]
        shares.append(np.bincount(wrong, minlength=CLASSES).max() / len(wrong))
    assert np.mean(shares) > 0.85
    brighter = 0.5 * same + 0.4
    assert (part_dependent(Labelled(brighter, labels, 0), 0.4, CLASSES).reshape(40, 200) == noisy).all()


def test_degraded_noise_is_exact_and_wrong_where_pictures_look_alike() -> None:
    generator = np.random.default_rng(5)
    labels = np.arange(3_000) % 3
    level = np.array([0.2, 0.3, 0.8])[labels]  # the first two classes look alike when degraded
    pictures = np.clip(level[:, None, None] + 0.05 * generator.standard_normal((3_000, SIDE, SIDE)), 0, 1)
    noisy = degraded(Labelled(pictures, labels, 0), 0.1, 3)
    counts = np.zeros((3, 3), int)
    np.add.at(counts, (labels, noisy), 1)
    assert (noisy != labels).sum() == 300
    assert counts[2, 2] == 1_000
    assert counts[0, 1] + counts[1, 0] == 300


def test_degraded_noise_is_wrong_more_often_where_the_classifier_is_unsure() -> None:
    pictures, labels = faces(4_000)
    often = np.zeros(4_000)
    for seed in range(30):
        often += degraded(Labelled(pictures, labels, seed), 0.2, CLASSES) != labels
    known = labels >= 0
    assert often[known].mean() / 30 == pytest.approx(0.2, abs=1e-3)
    assert often[known].var() > 1.3 * 30 * 0.2 * 0.8  # more than if all pictures were wrong equally often


def uniform_class(weights: list[float], place: float) -> int:
    """The class at a place of the cumulative weights."""
    left = place * sum(weights)
    for label, weight in enumerate(weights):
        if left < weight:
            return label
        left -= weight
    raise AssertionError("beyond the last class")


def loop_of_part_dependent(rows: Labelled, rate: float, training: Labelled) -> list[int]:
    """Algorithm 2 of Xia et al., a picture at a time: a rate of its own, a projection by the matrix of its class."""
    matrices = np.random.default_rng((STREAM, training.seed, 0)).normal(0, 1, (CLASSES, SIDE * SIDE, CLASSES))
    lots = np.random.default_rng((STREAM, rows.seed, 2)).random((3, len(rows.labels)))
    cut = stats.truncnorm(-rate / 0.1, (1 - rate) / 0.1, loc=rate, scale=0.1)
    found = []
    for picture, label, quantile, coin, place in zip(rows.pictures, rows.labels.tolist(), *lots, strict=True):
        own_rate = float(cut.ppf(quantile))
        if label < 0 or coin >= own_rate:
            found.append(label)
            continue
        x = [(value - picture.mean()) / picture.std() for value in picture.ravel()]
        score = [math.fsum(a * b for a, b in zip(x, column, strict=True)) for column in matrices[label].T]
        highest = max(value for c, value in enumerate(score) if c != label)
        weights = [0.0 if c == label else math.exp(value - highest) for c, value in enumerate(score)]
        found.append(uniform_class(weights, place))
    return found


def loop_of_degraded(rows: Labelled, rate: float, training: Labelled) -> list[int]:
    """Bayes' rule a picture at a time, with normal densities of SciPy and the training classes' shares as priors."""

    def seen(of: Labelled) -> np.ndarray:
        means = np.array([[face[4 * i : 4 * i + 4, 4 * j : 4 * j + 4].mean() for i in range(4) for j in range(4)]
                          for face in of.pictures])  # fmt: skip
        return means + np.random.default_rng((STREAM, of.seed, 1)).normal(0, 1, means.shape) * 0.1

    grains, learnt = seen(rows), seen(training)
    known = training.labels >= 0
    present = sorted(set(training.labels[known].tolist()))
    mean = {c: learnt[training.labels == c].mean(0) for c in present}
    apart = np.array([face - mean[c] for face, c in zip(learnt[known], training.labels[known].tolist(), strict=True)])
    deviation = np.sqrt((apart**2).mean(0))
    lots, places = np.random.default_rng((STREAM, rows.seed, 2)).random((2, len(rows.labels)))
    waiting, new = {}, {}
    for row, label in enumerate(rows.labels.tolist()):
        if label < 0:
            continue
        weights = [0.0] * CLASSES
        for c in present:
            density = stats.norm.logpdf(grains[row], mean[c], deviation).sum()
            weights[c] = (training.labels == c).sum() / known.sum() * math.exp(density)
        others = [0.0 if c == label else weight / sum(weights) for c, weight in enumerate(weights)]
        waiting[row] = -math.log(1 - lots[row]) / sum(others)
        new[row] = uniform_class(others, places[row])
    wrong = sorted(waiting, key=waiting.__getitem__)[: math.floor(rate * len(waiting) + 0.5)]
    return [new[row] if row in wrong else label for row, label in enumerate(rows.labels.tolist())]


@pytest.mark.parametrize("apart", [False, True], ids=["training", "validation"])
@pytest.mark.parametrize("rate", [0.1, 0.4])
@pytest.mark.parametrize(
    ("noise", "loop"),
    [(part_dependent, loop_of_part_dependent), (degraded, loop_of_degraded)],
    ids=["part-dependent", "degraded"],
)
def test_labels_are_those_of_a_loop_with_the_same_lots(noise, loop, rate: float, apart: bool) -> None:
    """Classes of unequal frequency, so that their shares matter."""
    pictures, labels = faces(240, 3)
    labels = np.where((labels > 1) & (np.arange(240) % 3 > 0), 1, labels)
    rows, training = Labelled(pictures[:120], labels[:120], 11), Labelled(pictures[120:], labels[120:], 5)
    found = noise(rows, rate, CLASSES, training if apart else None)
    assert (found != rows.labels).sum() > 8
    assert found.tolist() == loop(rows, rate, training if apart else rows)


def test_validation_goes_wrong_by_the_classifier_of_the_training_set() -> None:
    """Which alone knows another class for pictures that all have the same label."""
    generator = np.random.default_rng(4)
    classes = np.arange(300) % 3
    level = np.array([0.2, 0.5, 0.8])
    training = Labelled(generator.normal(level[classes], 0.02, (SIDE, SIDE, 300)).transpose(2, 0, 1), classes, 1)
    held_out = Labelled(generator.normal(0.78, 0.02, (100, SIDE, SIDE)), np.zeros(100, int), 2)
    found = degraded(held_out, 0.4, 3, training)
    assert np.bincount(found, minlength=3).tolist() == [60, 0, 40]


def test_validation_goes_wrong_by_the_matrices_of_the_training_set_and_lots_of_its_own() -> None:
    pictures, _ = faces(2_000)
    labels = np.arange(2_000) % CLASSES
    training, held_out = Labelled(pictures, labels, 1), Labelled(pictures, labels, 2)
    first, second = part_dependent(training, 0.4, CLASSES), part_dependent(held_out, 0.4, CLASSES, training)
    both = (first != labels) & (second != labels)
    assert both.mean() == pytest.approx(0.4**2, abs=0.03)  # independent lots
    assert (first == second)[both].mean() > 0.75  # by chance it were a quarter


@pytest.mark.parametrize("count", [50, 90])
def test_degraded_noise_has_the_exact_share_at_every_rate(count: int) -> None:
    """0.35 · 90 + 0.5 is 32, although the float product is slightly less; also where no picture looks like another."""
    labels = np.arange(count) % 3
    pictures = np.broadcast_to(np.array([0.0, 0.5, 1.0])[labels, None, None], (count, SIDE, SIDE))
    for percent in range(100):
        wrong = (degraded(Labelled(pictures, labels, 0), percent / 100, 3) != labels).sum()
        assert wrong == math.floor(Fraction(percent, 100) * count + Fraction(1, 2))


def test_draws_stay_what_they_were() -> None:
    """Fixed values: noise drawn otherwise needs a new version of the protocols that have it."""
    pictures, labels = faces(200, 8)
    rows, training = Labelled(pictures[:100], labels[:100], 1), Labelled(pictures[100:], labels[100:], 0)
    found = {
        name: [mask_hash(noise(rows, 0.3, CLASSES, other), rows.labels)[:16] for other in (None, training)]
        for name, noise in PICTURE_NOISE.items()
    }
    assert found == {
        "part-dependent": ["98c4f7faec32154c", "5c78028d414225dd"],
        "by a classifier of degraded pictures": ["9af81c521927518a", "690e00b059f0fb2e"],
    }


@KINDS
def test_refused_arguments(noise) -> None:
    pictures, labels = faces(5)
    with pytest.raises(BadInput, match=r"noise rate 1\.0 is outside"):
        noise(Labelled(pictures, labels, 0), 1.0, CLASSES)
    with pytest.raises(BadInput, match="is negative"):
        noise(Labelled(pictures, labels, -1), 0.1, CLASSES)
    with pytest.raises(BadInput, match="thumbnails of shape"):
        noise(Labelled(pictures[1:], labels, 0), 0.1, CLASSES)
    with pytest.raises(BadInput, match="labels up to"):
        noise(Labelled(pictures, labels + 3, 0), 0.1, CLASSES)


@KINDS
def test_a_class_that_nobody_has_is_no_error(noise) -> None:
    pictures, labels = faces(60)
    labels[labels == 2] = 1
    found = noise(Labelled(pictures, labels, 0), 0.3, CLASSES)
    assert (found != labels).any()
    assert (noise(Labelled(pictures, np.full(60, -1), 0), 0.3, CLASSES) == -1).all()
