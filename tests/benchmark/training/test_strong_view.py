"""Strong views: what is drawn for a sample, what comes of it, and that ordinary views stay what they are beside one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.benchmark.training import augmentation as augment
from fernoise_bench.benchmark.training import trainer
from fernoise_bench.benchmark.training.image_operations import DIRECTED, IDENTITY, LUMA, OPERATIONS
from fernoise_bench.benchmark.training.loader import TrainSet
from fernoise_bench.benchmark.training.strong_view import StrongDecisions, decide_strong, draws_of, strong_view
from fernoise_bench.methods.base import Views
from fernoise_bench.protocols.base import Augmentation, Kind, StrongAugmentation
from fernoise_bench.protocols.definitions.strong_views import FACES, USB, strong_of

from ...toy import toy_cell, toy_trial

SIDE = 32
PLAIN = Augmentation(crop=SIDE, pad=2, flip=0.5)
RICH = Augmentation(
    crop=SIDE, pad=2, jitter=(0.4, 0.4, 0.4, 0.2), jitter_probability=0.7, translate=0.1, scale=(0.9, 1.25),
    grayscale=0.5, erase=0.5,
)  # fmt: skip
PRESETS = pytest.mark.parametrize("strong", [FACES, USB], ids=["faces", "usb"])


def make_store(rows: int = 8, channels: int = 3) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (rows, SIDE, SIDE, channels), dtype=np.uint8))


def make_draws(rows: int, strong: StrongAugmentation, **columns: float) -> Tensor:
    """Draws with the named columns, or all beyond the ordinary view's ("beyond"), set to a value."""
    draws = torch.from_numpy(np.random.default_rng(1).random((rows, draws_of(strong))).astype(np.float32))
    if "beyond" in columns:
        draws[:, augment.DRAWS :] = columns["beyond"]
    return draws


def decided(draws: Tensor, strong: StrongAugmentation, how: Augmentation = PLAIN) -> StrongDecisions:
    return decide_strong(draws, how, strong, (SIDE, SIDE))


def test_a_view_takes_as_many_random_numbers_as_it_has_decisions() -> None:
    assert draws_of(FACES) == augment.DRAWS + 8
    assert draws_of(USB) == augment.DRAWS + 9
    assert augment.DRAWS == 17


@PRESETS
def test_operations_are_drawn_uniformly_and_carried_out_with_the_probability(strong: StrongAugmentation) -> None:
    count = 40_000
    found = decided(make_draws(count, strong), strong)
    codes = found.slots.code
    assert codes.shape == (count, strong.slots)
    for slot in codes.T:
        shares = torch.bincount(slot, minlength=14) / count
        expected = torch.full((14,), strong.probability / 14)
        expected[IDENTITY] += 1 - strong.probability
        torch.testing.assert_close(shares, expected, atol=0.006, rtol=0)
    both = (codes[:, 0] == 5) & (codes[:, 1] == 5)
    assert float(both.float().mean()) == pytest.approx((strong.probability / 14) ** 2, abs=0.002)


def values(found: StrongDecisions, name: str) -> Tensor:
    return found.slots.value[found.slots.code == OPERATIONS.index(name)]


def test_faces_have_the_strongest_magnitude_and_a_sign_by_a_coin() -> None:
    found = decided(make_draws(20_000, FACES), FACES)
    for name, (_, most) in FACES.ranges:
        of, code = values(found, name), OPERATIONS.index(name)
        if name == "posterize":
            assert set(of.tolist()) == {16.0}, "a step between the levels of four bits"
        elif DIRECTED[0] <= code <= DIRECTED[1]:
            assert set(of.abs().tolist()) == {float(np.float32(most))}
            assert float((of > 0).float().mean()) == pytest.approx(0.5, abs=0.08)
        elif name != "identity":
            assert set(of.tolist()) == {float(np.float32(most))}


def test_usb_has_uniform_magnitudes() -> None:
    found = decided(make_draws(40_000, USB), USB)
    for name, (low, high) in USB.ranges:
        of = values(found, name)
        if name == "posterize":  # to four to seven bits
            shares = torch.stack([(of == step).float().mean() for step in (16, 8, 4, 2)])
            torch.testing.assert_close(shares, torch.full((4,), 0.25), atol=0.02, rtol=0)
            continue
        assert low - 1e-6 <= float(of.min()) <= float(of.max()) <= high + 1e-6
        share = (of - low) / max(high - low, 1e-9)
        if high > low:
            assert float(share.mean()) == pytest.approx(0.5, abs=0.02)
            assert float(share.std()) == pytest.approx(12**-0.5, abs=0.02)


def test_faces_cut_out_a_square_at_any_place() -> None:
    """Side 16/224 of the image, its centre anywhere, cut at the border; a pixel is in it if its centre is."""
    draws, store = make_draws(2000, FACES, beyond=0.999), torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8)  # identity
    draws[:, augment.DRAWS + 6 :] = torch.rand(2000, 2, generator=torch.Generator().manual_seed(0))
    found = strong_view(store, torch.zeros(2000, dtype=torch.int64), decided(draws, FACES), PLAIN, FACES)
    half = SIDE * 16 / 224 / 2
    for row, (down, across) in zip(found, draws[:, -2:] * SIDE, strict=True):
        inside = [(abs(at + 0.5 - c) < half) for c in (down, across) for at in range(SIDE)]
        expected = np.outer(inside[:SIDE], inside[SIDE:]) * (128 / 255)
        np.testing.assert_allclose(row.numpy(), np.broadcast_to(expected, (3, SIDE, SIDE)), atol=1e-6)


def test_usb_cuts_out_a_coloured_square_of_at_most_half_the_side() -> None:
    draws, store = make_draws(4000, USB, beyond=0.0), torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8)
    draws[:, -3], draws[:, -2:] = torch.linspace(0, 1, 4000), 0.5
    found = strong_view(store, torch.zeros(4000, dtype=torch.int64), decided(draws, USB), PLAIN, USB)
    share = (found[:, 0] > 0).float().mean(dim=(1, 2)).sqrt()
    torch.testing.assert_close(share, draws[:, -3] / 2, atol=0.07, rtol=0)
    assert (found[-1, :, SIDE // 2, SIDE // 2] * 255).tolist() == pytest.approx([125, 123, 114], abs=1e-3)
    grey = strong_view(store[..., :1], torch.zeros(1, dtype=torch.int64), decided(draws[-1:], USB), PLAIN, USB)
    assert (grey[0, :, SIDE // 2, SIDE // 2] * 255).tolist() == pytest.approx([np.dot(LUMA, (125, 123, 114))] * 3)


def without_cutout(strong: StrongAugmentation) -> StrongAugmentation:
    return replace(strong, cutout=(0.0, 0.0))


@pytest.mark.parametrize("channels", [1, 3])
def test_draws_of_the_identity_give_the_crop_and_flip_alone(channels: int) -> None:
    strong, store, index = without_cutout(FACES), make_store(channels=channels), torch.tensor([3, 1, 1, 0, 7])
    draws = make_draws(5, strong, beyond=0.999)
    found = strong_view(store, index, decided(draws, strong, RICH), RICH, strong)
    crop = replace(RICH, jitter=(0, 0, 0, 0), translate=0.0, scale=(1.0, 1.0), grayscale=0.0, erase=0.0)
    ordinary = augment.decide(draws[:, : augment.DRAWS], crop, (SIDE, SIDE))
    assert torch.equal(found, augment.training_view(store, index, ordinary, crop))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert found.dtype == torch.float32


def test_usb_begins_with_the_whole_ordinary_view() -> None:
    strong, store, index = without_cutout(USB), make_store(), torch.tensor([3, 1, 1, 0, 7])
    draws = make_draws(5, strong, beyond=0.0)  # identity
    found = strong_view(store, index, decided(draws, strong, RICH), RICH, strong)
    ordinary = augment.decide(draws[:, : augment.DRAWS], RICH, (SIDE, SIDE))
    assert torch.equal(found, augment.training_view(store, index, ordinary, RICH))


@PRESETS
def test_any_draw_gives_an_image_and_grey_stays_grey(strong: StrongAugmentation) -> None:
    store = make_store(64)
    index, found = torch.arange(64), decided(make_draws(64, strong), strong, RICH)
    images = strong_view(store, index, found, RICH, strong)
    assert images.shape == (64, 3, SIDE, SIDE)
    assert torch.isfinite(images).all()
    assert 0 <= float(images.min()) <= float(images.max()) <= 1
    grey = store[..., :1]
    one = strong_view(grey, index, found, RICH, strong)
    assert (one == one[:, :1]).all()
    uncut = decided(make_draws(64, strong), without_cutout(strong), RICH)  # usb's square is coloured
    three = strong_view(grey.expand(-1, -1, -1, 3).contiguous(), index, uncut, RICH, strong)
    torch.testing.assert_close(three, three[:, :1].expand_as(three), atol=2e-5, rtol=0)


@PRESETS
def test_rows_are_changed_alike_in_any_batch(strong: StrongAugmentation) -> None:
    store, draws = make_store(16), make_draws(16, strong)
    whole = strong_view(store, torch.arange(16), decided(draws, strong, RICH), RICH, strong)
    order = torch.tensor([5, 0, 11])
    some = strong_view(store, order, decided(draws[order], strong, RICH), RICH, strong)
    torch.testing.assert_close(some, whole[order], atol=1e-6, rtol=0)


def test_a_recipe_without_one_has_the_usual_one_of_its_kind() -> None:
    assert strong_of(PLAIN, "single") is FACES
    assert strong_of(PLAIN, "multi") is USB
    assert strong_of(replace(PLAIN, strong=USB), "single") is USB


# --- in the batches of a training


def train_set(kind: Kind, tmp_path: Path, **recipe: Any) -> TrainSet:
    trial = toy_trial("supervised", tmp_path, kind=kind, **recipe)
    return trainer.start(trial, toy_cell(kind), Weights("none")).train_set


def by_row(data: TrainSet, views: Views, place: int, epoch: int = 1) -> dict[tuple[int, int], Tensor]:
    """The images of a view by row and visit of the epoch."""
    found: dict[tuple[int, int], Tensor] = {}
    for batch in data.batches(epoch, views):
        for row, image in zip(batch.index.tolist(), batch.images[place], strict=True):
            found[row, sum(key[0] == row for key in found)] = image
    return found


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_ordinary_views_are_bit_for_bit_the_same_beside_a_strong_one(kind: Kind, tmp_path: Path) -> None:
    data = train_set(kind, tmp_path)
    alone = [batch.images for batch in data.batches(2, 2)]
    asked: dict[Views, list[tuple[int, int]]] = {
        ("weak", "strong"): [(0, 0)],
        ("strong", "weak"): [(1, 0)],
        ("weak", "strong", "weak", "strong"): [(0, 0), (2, 1)],
        ("weak", "weak"): [(0, 0), (1, 1)],
    }
    for views, same in asked.items():
        for batch, images in zip(data.batches(2, views), alone, strict=True):
            assert len(batch.images) == len(views)
            for place, of in same:
                assert torch.equal(batch.images[place], images[of])
                assert batch.images[place].stride() == images[of].stride()


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_same_key_same_strong_view_and_other_key_another(kind: Kind, tmp_path: Path) -> None:
    data = train_set(kind, tmp_path)
    first = by_row(data, ("weak", "strong"), 1)
    assert all(torch.equal(image, first[key]) for key, image in by_row(data, ("strong",), 0).items())
    weak = by_row(data, 2, 1)
    others = {
        "weak": weak, "second": by_row(data, ("strong", "strong"), 1), "epoch": by_row(data, ("strong",), 0, epoch=2),
        "seed": by_row(replace(data, seed=1), ("strong",), 0),
    }  # fmt: skip
    for name, other in others.items():
        shared = first.keys() & other.keys()
        differing = sum(not torch.equal(first[key], other[key]) for key in shared)
        assert differing > 0.9 * len(shared), name


def test_a_strong_view_does_not_depend_on_the_batch(tmp_path: Path) -> None:
    large = by_row(train_set("single", tmp_path), ("strong",), 0)
    small = by_row(train_set("single", tmp_path, batch_size=6), ("strong",), 0)
    assert len(large.keys() & small.keys()) > 80
    for key in large.keys() & small.keys():
        torch.testing.assert_close(large[key], small[key], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("kind", "expected"), [("single", FACES), ("multi", USB)])
def test_each_kind_of_protocol_has_its_own(kind: Kind, expected: StrongAugmentation, tmp_path: Path) -> None:
    assert train_set(kind, tmp_path).strong is expected
    how = replace(toy_trial("supervised", tmp_path, kind=kind).job.settings.recipe.augmentation, strong=FACES)
    assert train_set(kind, tmp_path, augmentation=how).strong is FACES


@pytest.mark.parametrize("views", [0, (), ("weak", "wild"), ("Strong",)])
def test_views_of_no_kind_are_refused(views: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="views must be a whole number of at least 1, or a tuple of"):
        next(train_set("single", tmp_path).batches(0, views))
