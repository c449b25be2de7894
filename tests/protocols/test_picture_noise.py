"""Noise that depends on the picture: rates, nested levels, what it depends on, and refused arguments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.images.image_pool import CHUNK, in_memory
from fernoise_bench.protocols.picture_noise import PICTURE_NOISE, SIDE, degraded, part_dependent, thumbnails

CLASSES = 5
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
    less, more = (noise(pictures, labels, rate / 100, CLASSES, seed) for rate in (low, high))
    changed = less != labels
    assert (less[changed] == more[changed]).all()
    assert (more[labels < 0] == -1).all()
    assert ((more >= 0) & (more < CLASSES))[labels >= 0].all()
    assert (noise(pictures, labels, 0.0, CLASSES, seed) == labels).all()
    assert (more == noise(pictures, labels, high / 100, CLASSES, seed)).all()


def test_the_rate_of_part_dependent_noise_is_that_of_the_cut_normal_distribution() -> None:
    pictures, labels = faces(20_000)
    known = labels >= 0
    for rate in (0.1, 0.2, 0.4):
        expected = stats.truncnorm(-rate / 0.1, (1 - rate) / 0.1, loc=rate, scale=0.1).mean()
        found = part_dependent(pictures, labels, rate, CLASSES, 3) != labels
        assert found[known].mean() == pytest.approx(expected, abs=4 * np.sqrt(rate / 18_000))
        assert not found[~known].any()


def test_part_dependent_noise_depends_on_the_picture_alone() -> None:
    """Equal pictures of one class nearly always go to one other class, also when they are brighter."""
    pictures, _ = faces(40)
    same = np.repeat(pictures, 200, axis=0)
    labels = np.repeat(np.arange(40) % CLASSES, 200)
    noisy = part_dependent(same, labels, 0.4, CLASSES, 0).reshape(40, 200)
    shares = []
    for own, label in zip(noisy, np.arange(40) % CLASSES, strict=True):
        wrong = own[own != label]
        shares.append(np.bincount(wrong, minlength=CLASSES).max() / len(wrong))
    assert np.mean(shares) > 0.85
    brighter = 0.5 * same + 0.4
    assert (part_dependent(brighter, labels, 0.4, CLASSES, 0).reshape(40, 200) == noisy).all()


def test_degraded_noise_is_exact_and_wrong_where_pictures_look_alike() -> None:
    generator = np.random.default_rng(5)
    labels = np.arange(3_000) % 3
    level = np.array([0.2, 0.3, 0.8])[labels]  # the first two classes look alike when degraded
    pictures = np.clip(level[:, None, None] + 0.05 * generator.standard_normal((3_000, SIDE, SIDE)), 0, 1)
    noisy = degraded(pictures, labels, 0.1, 3, 0)
    counts = np.zeros((3, 3), int)
    np.add.at(counts, (labels, noisy), 1)
    assert (noisy != labels).sum() == 300
    assert counts[2, 2] == 1_000
    assert counts[0, 1] + counts[1, 0] == 300


def test_degraded_noise_is_wrong_more_often_where_the_classifier_is_unsure() -> None:
    pictures, labels = faces(4_000)
    often = np.zeros(4_000)
    for seed in range(30):
        often += degraded(pictures, labels, 0.2, CLASSES, seed) != labels
    known = labels >= 0
    assert often[known].mean() / 30 == pytest.approx(0.2, abs=1e-3)
    assert often[known].var() > 1.3 * 30 * 0.2 * 0.8  # more than if all pictures were wrong equally often


@KINDS
def test_refused_arguments(noise) -> None:
    pictures, labels = faces(5)
    with pytest.raises(BadInput, match=r"noise rate 1\.0 is outside"):
        noise(pictures, labels, 1.0, CLASSES, 0)
    with pytest.raises(BadInput, match="is negative"):
        noise(pictures, labels, 0.1, CLASSES, -1)
    with pytest.raises(BadInput, match="thumbnails of shape"):
        noise(pictures[1:], labels, 0.1, CLASSES, 0)
    with pytest.raises(BadInput, match="labels up to"):
        noise(pictures, labels + 3, 0.1, CLASSES, 0)


@KINDS
def test_a_class_that_nobody_has_is_no_error(noise) -> None:
    pictures, labels = faces(60)
    labels[labels == 2] = 1
    found = noise(pictures, labels, 0.3, CLASSES, 0)
    assert (found != labels).any()
    assert (noise(pictures, np.full(60, -1), 0.3, CLASSES, 0) == -1).all()
