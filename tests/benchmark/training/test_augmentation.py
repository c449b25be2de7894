"""Augmentation: each operation against a loop over pixels, and each sample with its own draw."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fernoise_bench.benchmark.training import augmentation as augment
from fernoise_bench.protocols.base import Augmentation
from fernoise_bench.protocols.catalog import PROTOCOLS

SIDE = 12
NOTHING = Augmentation(crop=SIDE, flip=0.0)
RICH = Augmentation(
    crop=10, pad=2, flip=0.5, jitter=(0.4, 0.4, 0.4, 0.2), jitter_probability=0.7, translate=0.1, scale=(0.9, 1.25),
    grayscale=0.2, erase=0.5,
)  # fmt: skip
LUMA = np.array([0.299, 0.587, 0.114])


def make_store(rows: int = 6, channels: int = 3, side: int = SIDE, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (rows, side, side, channels), dtype=np.uint8))


def make_draws(rows: int, seed: int = 1) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((rows, augment.DRAWS)).astype(np.float32))


def augmented(store: Tensor, index: Tensor, draws: Tensor, how: Augmentation) -> Tensor:
    return augment.training_view(store, index, augment.decide(draws, how, (store.shape[1], store.shape[2])), how)


def view(how: Augmentation, store: Tensor | None = None, **columns: float) -> np.ndarray:
    """The training view of every row as float64 [B, H, W, 3]; the named draws are set for all rows."""
    store = make_store() if store is None else store
    draws = make_draws(len(store))
    for name, value in columns.items():
        draws[:, getattr(augment, name)] = value
    images = augmented(store, torch.arange(len(store)), draws, how)
    return images.permute(0, 2, 3, 1).double().numpy()


def plain(store: Tensor) -> np.ndarray:
    return store.numpy() / 255.0


def test_a_recipe_without_augmentation_gives_the_stored_pixels() -> None:
    store = make_store()
    images = augmented(store, torch.tensor([3, 0, 3]), make_draws(3), NOTHING)
    expected = (store[[3, 0, 3]].numpy().astype(np.float32) / np.float32(255)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(images.numpy(), expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "how",
    [
        NOTHING,
        RICH,
        replace(RICH, resize=16),
        replace(NOTHING, resize=30),
        replace(NOTHING, translate=0.2, scale=(0.7, 1.5)),
    ],
    ids=["nothing", "rich", "resized and rich", "resized", "affine"],
)
def test_views_are_in_range_of_three_channels_and_channels_last(how: Augmentation, channels: int) -> None:
    store = make_store(64, channels)
    store[:8], store[8:16] = 255, 0
    index = torch.arange(64)
    for images in (augmented(store, index, make_draws(64), how), augment.test_view(store, index, how)):
        assert images.shape == (64, 3, how.crop, how.crop)
        assert images.dtype == torch.float32
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert float(images.min()) >= 0
        assert float(images.max()) <= 1


@given(
    pad=st.integers(0, 5), crop=st.integers(4, SIDE), top=st.floats(0, 1, exclude_max=True),
    left=st.floats(0, 1, exclude_max=True),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_crops_repeat_the_edge_beyond_the_border(pad: int, crop: int, top: float, left: float) -> None:
    top, left = (min(float(np.float32(draw)), 1 - 2**-24) for draw in (top, left))  # the draws are float32
    store = make_store(2)
    found = view(replace(NOTHING, crop=crop, pad=pad), store, TOP=top, LEFT=left)
    padded = np.pad(plain(store), ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="edge")
    places = SIDE + 2 * pad - crop + 1
    y, x = (math.floor(np.float32(draw) * np.float32(places)) for draw in (top, left))
    np.testing.assert_allclose(found, padded[:, y : y + crop, x : x + crop], atol=1e-6)


def test_every_place_of_a_crop_is_equally_likely() -> None:
    """A ramp of columns tells where each crop was taken."""
    side, crop, pad, size = 9, 8, 2, 6000
    ramp = np.broadcast_to(np.arange(side, dtype=np.uint8) * 20, (1, side, side))[..., None]
    draws = torch.rand(size, augment.DRAWS, generator=torch.Generator().manual_seed(0))
    how = Augmentation(crop=crop, pad=pad, flip=0.0)
    store = torch.from_numpy(np.ascontiguousarray(ramp))
    images = augmented(store, torch.zeros(size, dtype=torch.long), draws, how)
    last = (images[:, 0, 0, -1] * 255 / 20).round().long()
    first = (images[:, 0, 0, 0] * 255 / 20).round().long()
    corner = torch.where(first > 0, first, last - crop + 1)  # unknown only where both sides are cut
    counts = torch.bincount(corner + pad, minlength=6)
    assert len(counts) == side + 2 * pad - crop + 1
    assert (counts / size - 1 / 6).abs().max() < 0.02


def test_a_flip_mirrors_the_columns_of_the_same_crop() -> None:
    how = replace(NOTHING, crop=8, pad=2)
    upright = view(how, TOP=0.3, LEFT=0.8)
    np.testing.assert_array_equal(view(replace(how, flip=1.0), TOP=0.3, LEFT=0.8), upright[:, :, ::-1])
    half = view(replace(how, flip=0.5), TOP=0.3, LEFT=0.8)
    flipped = make_draws(6)[:, augment.FLIP].numpy() < 0.5
    assert 0 < flipped.sum() < 6
    np.testing.assert_array_equal(half[flipped], upright[flipped][:, :, ::-1])
    np.testing.assert_array_equal(half[~flipped], upright[~flipped])


@pytest.mark.parametrize("how", [RICH, replace(RICH, resize=16)], ids=["stored", "resized"])
def test_the_view_of_a_sample_depends_on_its_own_draw_only(how: Augmentation) -> None:
    """Neither on the other samples of the batch, nor on its place in it."""
    store, draws = make_store(8), make_draws(8)
    index = torch.tensor([5, 2, 7, 0, 1, 6, 3, 4])
    whole = augmented(store, index, draws, how)
    backwards = augmented(store, index.flip(0), draws.flip(0), how).flip(0)
    alone = torch.cat([augmented(store, index[i, None], draws[i, None], how) for i in range(8)])
    torch.testing.assert_close(backwards, whole, rtol=0, atol=1e-6)
    torch.testing.assert_close(alone, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("resize", [None, 16])
def test_what_is_decided_for_an_epoch_at_once_gives_the_bytes_of_each_step(resize: int | None) -> None:
    how, store, steps = replace(RICH, resize=resize), make_store(40), 7
    draws = make_draws(steps * 23).reshape(steps, 23, augment.DRAWS)
    order = torch.from_numpy(np.random.default_rng(3).integers(0, 40, (steps, 23)))
    whole = augment.decide(draws, how, (SIDE, SIDE))
    for step in range(steps):
        alone = augmented(store, order[step], draws[step].clone(), how)
        assert torch.equal(augment.training_view(store, order[step], whole[step], how), alone)


def test_a_grey_store_gives_what_the_same_grey_image_in_colour_gives() -> None:
    store = make_store(16, channels=1)
    draws, index = make_draws(16), torch.arange(16)
    grey = augmented(store, index, draws, RICH)
    colour = augmented(store.expand(-1, -1, -1, 3).contiguous(), index, draws, RICH)
    torch.testing.assert_close(grey, colour, rtol=0, atol=2e-6)
    assert torch.equal(grey[:, 0], grey[:, 1])


def test_jitter_of_strength_zero_changes_nothing() -> None:
    strengths = (0.0, 0.0, 0.0, 0.0)
    np.testing.assert_array_equal(view(replace(NOTHING, jitter=strengths, jitter_probability=1.0)), view(NOTHING))


def test_jitter_that_is_not_chosen_changes_nothing() -> None:
    how = replace(NOTHING, jitter=(0.4, 0.4, 0.4, 0.4), jitter_probability=0.5)
    np.testing.assert_allclose(view(how, COIN=0.5), view(NOTHING), atol=1e-6)
    assert np.abs(view(how, COIN=0.49) - view(NOTHING)).max() > 0.05


def factor(draw: float, strength: float) -> float:
    return 1 + (2 * float(np.float32(draw)) - 1) * strength


@pytest.mark.parametrize("draw", [0.0, 0.2, 0.5, 0.9])
def test_brightness_scales_the_pixels(draw: float) -> None:
    found = view(replace(NOTHING, jitter=(0.6, 0.0, 0.0, 0.0)), BRIGHTNESS=draw)
    np.testing.assert_allclose(found, np.clip(plain(make_store()) * factor(draw, 0.6), 0, 1), atol=1e-6)


@pytest.mark.parametrize("draw", [0.0, 0.2, 0.5, 0.9])
def test_contrast_stretches_about_the_mean_grey_of_each_image(draw: float) -> None:
    found = view(replace(NOTHING, jitter=(0.0, 0.6, 0.0, 0.0)), CONTRAST=draw)
    for image, row in zip(plain(make_store()), found, strict=True):
        mean = np.mean([LUMA @ pixel for line in image for pixel in line])
        np.testing.assert_allclose(row, np.clip((image - mean) * factor(draw, 0.6) + mean, 0, 1), atol=1e-6)


@pytest.mark.parametrize("draw", [0.0, 0.2, 0.5, 0.9])
def test_saturation_stretches_about_the_grey_of_each_pixel(draw: float) -> None:
    found = view(replace(NOTHING, jitter=(0.0, 0.0, 0.6, 0.0)), SATURATION=draw)
    image = plain(make_store())
    grey = np.array([[[LUMA @ pixel for pixel in line] for line in each] for each in image])[..., None]
    np.testing.assert_allclose(found, np.clip((image - grey) * factor(draw, 0.6) + grey, 0, 1), atol=1e-6)


def test_jitter_goes_brightness_contrast_saturation_and_is_clamped_once() -> None:
    found = view(replace(NOTHING, jitter=(0.9, 0.9, 0.9, 0.0)), BRIGHTNESS=0.95, CONTRAST=0.1, SATURATION=0.9)
    image = plain(make_store()) * factor(0.95, 0.9)
    mean = (image @ LUMA).mean(axis=(1, 2))[:, None, None, None]
    image = (image - mean) * factor(0.1, 0.9) + mean
    grey = (image @ LUMA)[..., None]
    np.testing.assert_allclose(found, np.clip((image - grey) * factor(0.9, 0.9) + grey, 0, 1), atol=2e-6)


@pytest.mark.parametrize("draw", [0.0, 0.5], ids=["full turn back", "no turn"])
def test_a_hue_turn_of_nothing_or_of_a_full_circle_is_the_identity(draw: float) -> None:
    np.testing.assert_allclose(view(replace(NOTHING, jitter=(0, 0, 0, 1.0)), HUE=draw), view(NOTHING), atol=3e-6)


def test_a_hue_turn_leaves_grey_grey_and_keeps_the_luma_of_colours() -> None:
    how = replace(NOTHING, jitter=(0, 0, 0, 0.5))
    grey = make_store(4, channels=1).expand(-1, -1, -1, 3).contiguous()
    np.testing.assert_allclose(view(how, grey), plain(grey), atol=2e-6)
    muted = (make_store(4) // 8 + 112).contiguous()  # far from the bounds, where nothing is clamped
    found = view(how, muted, HUE=0.9)
    assert np.abs(found - plain(muted)).max() > 0.02
    np.testing.assert_allclose(found @ LUMA, plain(muted) @ LUMA, atol=1e-4)


def test_two_hue_turns_add_up() -> None:
    """Turned by a third of a circle three times, colours are back."""
    (turn,) = augment._hue_turn(torch.full((1,), 2 * math.pi / 3)).double()
    torch.testing.assert_close(turn @ turn @ turn, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-5)


def test_dropping_colour_gives_the_luma_in_all_channels() -> None:
    found = view(replace(NOTHING, grayscale=0.5), GRAY=0.49)
    np.testing.assert_allclose(found, np.repeat((plain(make_store()) @ LUMA)[..., None], 3, axis=-1), atol=1e-6)
    np.testing.assert_array_equal(view(replace(NOTHING, grayscale=0.5), GRAY=0.5), view(NOTHING))


@pytest.mark.parametrize("area", [0.0, 0.5, 0.99])
def test_erasing_covers_the_asked_share_with_grey(area: float) -> None:
    side = 100
    store = torch.zeros(200, side, side, 1, dtype=torch.uint8)
    how = Augmentation(crop=side, flip=0.0, erase=1.0, erase_area=(0.05, 0.25))
    erased = view(how, store, AREA=area)[..., 0] == 0.5
    share = erased.mean(axis=(1, 2))
    np.testing.assert_allclose(share, 0.05 + 0.2 * area, rtol=0.12)
    for hole in erased[:20]:  # one rectangle
        rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
        assert hole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert hole.sum() == (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    heights, widths = erased.any(axis=2).sum(axis=1), erased.any(axis=1).sum(axis=1)
    ratio = heights / widths
    assert ratio.min() < 0.6
    assert ratio.max() > 1.6
    assert 1 / 3.6 < ratio.min() <= ratio.max() < 3.6


def test_erasing_hits_the_chosen_samples_only() -> None:
    store = make_store(400)
    how = replace(NOTHING, erase=0.25)
    changed = (view(how, store) != view(NOTHING, store)).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, make_draws(400)[:, augment.ERASE].numpy() < 0.25)


def test_the_affine_map_of_a_sample_that_is_not_chosen_is_the_identity() -> None:
    how = replace(NOTHING, translate=0.3, scale=(0.5, 2.0), jitter_probability=0.5)
    np.testing.assert_allclose(view(how, COIN=0.5), view(NOTHING), atol=1e-5)


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, 2), (-3, 1), (-2, -4)])
def test_a_shift_moves_pixels_and_leaves_black(right: int, down: int) -> None:
    how = replace(NOTHING, translate=0.5)
    # A draw u shifts by (2 u - 1) · 0.5 · side pixels.
    found = view(how, COIN=0.0, SHIFT_X=0.5 + right / SIDE, SHIFT_Y=0.5 + down / SIDE)
    image, expected = plain(make_store()), np.zeros((6, SIDE, SIDE, 3))
    for y in range(SIDE):
        for x in range(SIDE):
            if 0 <= y - down < SIDE and 0 <= x - right < SIDE:
                expected[:, y, x] = image[:, y - down, x - right]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_scale_of_two_magnifies_the_middle() -> None:
    """The magnified middle, by bilinear weights at the centres of pixels."""
    found = view(replace(NOTHING, scale=(1.0, 2.0)), COIN=0.0, SCALE=1.0)
    image = plain(make_store())
    middle = (SIDE - 1) / 2
    for y, x in ((2, 2), (3, 7), (6, 5)):
        down, right = middle + (y - middle) / 2, middle + (x - middle) / 2
        top, left = int(down), int(right)
        b, a = down - top, right - left
        expected = (1 - b) * ((1 - a) * image[:, top, left] + a * image[:, top, left + 1])
        expected += b * ((1 - a) * image[:, top + 1, left] + a * image[:, top + 1, left + 1])
        np.testing.assert_allclose(found[:, y, x], expected, atol=1e-5)


def test_resizing_comes_before_the_crop_and_is_bilinear() -> None:
    """Doubled: each new pixel is 3/4 and 1/4 of its two nearest in each direction, the edge repeated."""
    store = make_store(2, side=6)
    image = plain(store)
    whole = view(Augmentation(crop=12, resize=12, flip=0.0), store)
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    for y in range(12):
        for x in range(12):
            near, side = (y // 2 + 1, x // 2 + 1), (2 * (y % 2) - 1, 2 * (x % 2) - 1)
            expected = sum(
                (0.75 if i == 0 else 0.25) * (0.75 if j == 0 else 0.25) * padded[:, near[0] + i, near[1] + j]
                for i in (0, side[0])
                for j in (0, side[1])
            )
            np.testing.assert_allclose(whole[:, y, x], expected, atol=1e-6)
    crop = view(Augmentation(crop=8, resize=12, flip=0.0), store, TOP=0.0, LEFT=0.999)
    np.testing.assert_allclose(crop, whole[:, :8, 4:], atol=1e-6)


def test_a_store_that_has_the_size_is_not_resized() -> None:
    np.testing.assert_array_equal(view(replace(NOTHING, resize=SIDE)), view(NOTHING))


@pytest.mark.parametrize(("crop", "pad"), [(SIDE, 0), (SIDE, 3), (8, 0), (8, 2)])
def test_the_test_view_is_the_centre_crop(crop: int, pad: int) -> None:
    """No padding, flip, jitter or erasing, whatever the recipe."""
    store = make_store()
    how = replace(RICH, crop=crop, pad=pad, flip=1.0, erase=1.0, grayscale=1.0)
    found = augment.test_view(store, torch.tensor([4, 1]), how).permute(0, 2, 3, 1).numpy()
    edge = (SIDE - crop) // 2
    expected = plain(store)[[4, 1], edge : SIDE - edge, edge : SIDE - edge]
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("name", ["paper", "small", "smoke"])
@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.name)
def test_the_crop_of_every_recipe_fits_its_faces(protocol: Any, name: str) -> None:
    profile = protocol.profile(name)
    how = profile.recipe.augmentation
    for side in {profile.size.side, 48 if "ferplus" in protocol.data else profile.size.side}:
        assert how.crop <= (how.resize or side)


@given(seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_any_draw_gives_an_image(seed: int) -> None:
    store = make_store(16, seed=seed)
    images = augmented(store, torch.arange(16), make_draws(16, seed), RICH)
    assert bool(torch.isfinite(images).all())
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1


@pytest.mark.parametrize("side", [40, 48])
def test_slices_are_what_gathering_gives(side: int) -> None:
    """Crops inside their images have a way of their own on the CPU: the same pixels, flipped or not."""
    store, how = make_store(5, side=48), Augmentation(crop=side)
    draws = torch.rand(5, 3, generator=torch.Generator().manual_seed(1))
    index, flip = torch.tensor([4, 0, 0, 3, 1]), draws[:, 2] < 0.5
    top, left = (augment._corners(draws[:, column], 48, how) for column in (0, 1))
    gathered = augment._gathered(store, index, top, left, flip, how).permute(0, 3, 1, 2).float() / 255
    torch.testing.assert_close(augment._crop(store, index, how, top, left, flip), gathered, rtol=0, atol=0)
