"""The operations of strong views, against Pillow's and torchvision's on pictures of bytes, and against loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as tv
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torch import Tensor

from fernoise_bench.benchmark.training import augmentation, strong_view
from fernoise_bench.benchmark.training.image_operations import (
    DIRECTED,
    GROUPS,
    OPERATIONS,
    _smoothed,
    operate,
    operations,
    strong_operation,
)
from fernoise_bench.protocols.definitions.strong_views import FACES, USB

SIDE = 40
FILL = 128 / 255
LUMA = np.array([0.299, 0.587, 0.114])
BLENDS = {
    "colour": ImageEnhance.Color, "contrast": ImageEnhance.Contrast, "brightness": ImageEnhance.Brightness,
    "sharpness": ImageEnhance.Sharpness,
}  # fmt: skip


def noise(rows: int = 4, side: int = SIDE, levels: int = 256, seed: int = 0) -> np.ndarray:
    """Pictures uint8 [B, H, W, 3] of random pixels in a part of the levels."""
    generator = np.random.default_rng(seed)
    low = generator.integers(0, 60, (rows, 1, 1, 3))
    return (low + generator.integers(0, levels, (rows, side, side, 3)) * (255 - low) // 255).astype(np.uint8)


def smooth(rows: int = 3, side: int = SIDE) -> np.ndarray:
    """Pictures uint8 [B, H, W, 3] of slow waves, on which interpolation makes little difference."""
    y, x = np.mgrid[:side, :side] / side
    waves = [np.sin(3 * x + 2 * y + k) * np.cos(2 * x - 3 * y + 2 * k) for k in range(3 * rows)]
    return (127.5 + 100 * np.stack(waves, axis=-1)).astype(np.uint8).reshape(side, side, rows, 3).transpose(2, 0, 1, 3)


def tensor(pictures: np.ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).to(dtype) / 255


def levels(images: Tensor) -> np.ndarray:
    """Levels [B, H, W, C] of images, not rounded."""
    return images.permute(0, 2, 3, 1).double().numpy() * 255


def of(images: Tensor, name: str, magnitude: float, fill: float = 128.0) -> Tensor:
    codes = torch.full((len(images),), OPERATIONS.index(name))
    height, width = images.shape[2:]
    found = operations(codes, torch.full((len(images),), magnitude), (height, width))
    return operate(images.clone(), found, fill)


def by_pillow(pictures: np.ndarray, change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(change(Image.fromarray(picture))) for picture in pictures]).astype(np.float64)


def test_there_are_fourteen_of_the_same_names_in_both_presets() -> None:
    assert len(OPERATIONS) == len(set(OPERATIONS)) == 14
    assert {name for name, _ in FACES.ranges} == {name for name, _ in USB.ranges} == set(OPERATIONS)


def test_one_function_under_both_names() -> None:
    assert augmentation.strong_operation is strong_operation
    assert strong_view.strong_operation is strong_operation


def test_an_unknown_operation_is_refused() -> None:
    with pytest.raises(ValueError, match="no operation 'blur'; there are identity, autocontrast, equalize"):
        strong_operation(torch.rand(1, 3, 4, 4), "blur")


@pytest.mark.parametrize("name", ["identity", "solarize"])
def test_two_operations_do_nothing_at_the_level_of_faces(name: str) -> None:
    images = torch.rand(3, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(strong_operation(images, name), images)


PICTURES = {
    "noise": noise(), "few levels": noise(levels=5), "two levels": noise(levels=2), "waves": smooth(),
    "small": noise(side=12), "flat": np.full((2, SIDE, SIDE, 3), 77, np.uint8), "large": noise(2, side=100),
}  # fmt: skip
MANY = pytest.mark.parametrize("pictures", PICTURES.values(), ids=PICTURES)


@MANY
def test_equalize_is_pillows(pictures: np.ndarray) -> None:
    found = levels(strong_operation(tensor(pictures), "equalize"))
    np.testing.assert_array_equal(found.round(), by_pillow(pictures, ImageOps.equalize))
    np.testing.assert_array_equal(
        found.round(), tv.equalize(torch.from_numpy(pictures).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    )
    np.testing.assert_allclose(found, found.round(), atol=1e-4)


@MANY
def test_autocontrast_is_pillows_within_a_level(pictures: np.ndarray) -> None:
    found = levels(strong_operation(tensor(pictures), "autocontrast"))
    assert np.abs(found - by_pillow(pictures, ImageOps.autocontrast)).max() <= 1.001
    for picture, row in zip(pictures.astype(float), found, strict=True):
        for channel in range(3):
            low, high = picture[..., channel].min(), picture[..., channel].max()
            expected = picture[..., channel] if low == high else (picture[..., channel] - low) / (high - low) * 255
            np.testing.assert_allclose(row[..., channel], expected, atol=1e-3)


@MANY
@pytest.mark.parametrize("bits", [1, 3, 4, 7, 8])
def test_posterize_is_pillows(pictures: np.ndarray, bits: int) -> None:
    found = levels(of(tensor(pictures), "posterize", bits + 0.9 * (bits < 8))).round()
    np.testing.assert_array_equal(found, by_pillow(pictures, lambda image: ImageOps.posterize(image, bits)))
    if bits == 4:
        np.testing.assert_array_equal(levels(strong_operation(tensor(pictures), "posterize")).round(), found)


def test_posterize_to_no_bits_is_black() -> None:
    assert not of(tensor(noise()), "posterize", 0.5).any()


@MANY
@pytest.mark.parametrize("threshold", [0, 1, 100, 128, 255, 256])
def test_solarize_is_pillows(pictures: np.ndarray, threshold: int) -> None:
    found = levels(of(tensor(pictures), "solarize", threshold)).round()
    np.testing.assert_array_equal(found, by_pillow(pictures, lambda image: ImageOps.solarize(image, threshold)))


@MANY
@pytest.mark.parametrize("name", BLENDS)
@pytest.mark.parametrize("factor", [1.9, 0.05, 0.95])
def test_blends_are_pillows_but_for_rounding(pictures: np.ndarray, name: str, factor: float) -> None:
    """Pillow rounds what it blends with, which the factor enlarges, then the blend."""
    found = levels(of(tensor(pictures), name, factor))
    expected = by_pillow(pictures, lambda image: BLENDS[name](image).enhance(factor))
    assert np.abs(found - expected).max() <= 1.01 + 0.5 * abs(1 - factor)
    if factor == 1.9:
        np.testing.assert_array_equal(levels(strong_operation(tensor(pictures), name)), found)


@pytest.mark.parametrize("factor", [1.9, 0.3])
def test_blends_are_what_their_formulas_say(factor: float) -> None:
    image = noise(1)[0] / 255
    grey = (image @ LUMA)[..., None]
    bases = {"colour": grey, "contrast": grey.mean(), "brightness": 0.0, "sharpness": image.copy()}
    for y in range(1, SIDE - 1):
        for x in range(1, SIDE - 1):
            around = image[y - 1 : y + 2, x - 1 : x + 2].sum(axis=(0, 1)) + 4 * image[y, x]
            bases["sharpness"][y, x] = around / 13
    for name, base in bases.items():
        found = levels(of(tensor(noise(1), torch.float64), name, factor))[0] / 255
        np.testing.assert_allclose(found, np.clip(base + factor * (image - base), 0, 1), atol=1e-7)


def test_smoothing_leaves_the_border_and_is_pillows_inside() -> None:
    pictures = noise()
    found = levels(_smoothed(tensor(pictures)))
    assert np.abs(found - by_pillow(pictures, lambda image: image.filter(ImageFilter.SMOOTH))).max() <= 0.501
    np.testing.assert_allclose(found[:, 0], pictures[:, 0], atol=1e-4)
    np.testing.assert_allclose(found[:, :, -1], pictures[:, :, -1], atol=1e-4)
    assert torch.equal(_smoothed(torch.ones(1, 3, 2, 2)), torch.ones(1, 3, 2, 2))


def moved(image: Image.Image, name: str, amount: float) -> Image.Image:
    """Pillow's geometry, about the centre or the corner of the first pixel; a shift is a share of the side."""
    size, grey = image.size, (128, 128, 128)
    if name == "rotate":
        return image.rotate(amount, Image.Resampling.BILINEAR, fillcolor=grey)
    shift = amount * size[0]
    matrix = {
        "shear-x": (1, amount, 0, 0, 1, 0), "shear-y": (1, 0, 0, amount, 1, 0),
        "translate-x": (1, 0, shift, 0, 1, 0), "translate-y": (1, 0, 0, 0, 1, shift),
    }[name]  # fmt: skip
    return image.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=grey)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("code", range(DIRECTED[0], DIRECTED[1] + 1), ids=OPERATIONS.__getitem__)
def test_geometry_is_pillows_but_for_interpolation(code: int, sign: float) -> None:
    """Also what is uncovered, but for the line of pixels between: they are blended with the fill, Pillow's are not."""
    name, pictures = OPERATIONS[code], smooth()
    amount = sign * dict(FACES.ranges)[name][1]
    found = levels(strong_operation(tensor(pictures), name, sign))
    expected = by_pillow(pictures, lambda image: moved(image, name, amount))
    away = np.abs(found - expected).max(axis=-1)
    assert np.median(away) < 1
    assert (away > 2).mean(axis=(1, 2)).max() < 0.06
    covered = np.abs(expected - 128).max(axis=-1) > 0
    assert 0.02 < 1 - covered.mean() < 0.3


def test_uncovered_pixels_have_the_fill_and_opposite_signs_are_mirror_images() -> None:
    images = tensor(smooth())
    for name in ("rotate", "translate-x"):
        right, left = strong_operation(images, name), strong_operation(images.flip(3), name, -1.0).flip(3)
        torch.testing.assert_close(right, left, atol=2e-5, rtol=0)
    turned = strong_operation(torch.zeros(1, 3, SIDE, SIDE), "rotate")
    assert turned[0, :, 0, 0].tolist() == pytest.approx([FILL] * 3)
    assert turned[0, :, SIDE // 2, SIDE // 2].tolist() == [0.0] * 3
    black = of(torch.ones(1, 3, SIDE, SIDE), "translate-y", 0.3, fill=0.0)
    assert not black[0, :, -SIDE // 4 :].any()
    assert (black[0, :, : SIDE // 2] > 0.999).all()


def test_a_shift_by_whole_pixels_moves_them() -> None:
    images = tensor(noise(2))
    found = of(images, "translate-x", 4 / SIDE)
    torch.testing.assert_close(found[..., :-4], images[..., 4:], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[..., -4:], torch.full_like(found[..., -4:], FILL))


def test_a_turn_of_a_quarter_is_exact_and_sides_may_differ() -> None:
    images = tensor(noise(2))
    torch.testing.assert_close(of(images, "rotate", 90.0), images.rot90(1, (2, 3)), atol=3e-5, rtol=0)
    wide = torch.nn.functional.pad(tensor(smooth(1)), (0, SIDE, 0, 0), mode="replicate")
    turned = of(of(wide, "rotate", 25.0), "rotate", -25.0)
    middle = (slice(None), slice(None), slice(14, 26), slice(30, 50))
    assert (turned[middle] - wide[middle]).abs().max() < 0.02


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_operation_keeps_shape_range_type_and_its_input(name: str, dtype: torch.dtype) -> None:
    for channels in (1, 3):
        images = tensor(noise(), dtype)[:, :channels].contiguous(memory_format=torch.channels_last)
        before = images.clone()
        for sign in (1.0, -1.0):
            found = strong_operation(images, name, sign)
            assert (found.shape, found.dtype) == (images.shape, dtype)
            assert 0 <= float(found.min()) <= float(found.max()) <= 1
        assert torch.equal(images, before)
        assert strong_operation(images[:0], name).shape == images[:0].shape


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_grey_image_stays_grey_whether_it_has_one_channel_or_three(name: str) -> None:
    grey = tensor(noise())[:, :1]
    found = strong_operation(grey.expand(-1, 3, -1, -1), name)
    torch.testing.assert_close(found, strong_operation(grey, name).expand(-1, 3, -1, -1), atol=1e-6, rtol=0)
    if name == "colour":
        torch.testing.assert_close(found, grey.expand(-1, 3, -1, -1), atol=1e-6, rtol=0)


def test_a_row_is_changed_alike_alone_in_a_batch_and_on_a_gpu() -> None:
    """There all rows are computed, and the chosen ones taken."""
    images = tensor(noise(28)).contiguous()
    codes = torch.tensor([OPERATIONS.index(name) for name, _ in USB.ranges]).repeat(2)
    found = operations(codes, torch.tensor([bounds[1] for _, bounds in USB.ranges]).repeat(2), (SIDE, SIDE))
    together = operate(images.clone(), found, 0.0)
    alone = [operate(images[i : i + 1].clone(), found[i : i + 1], 0.0) for i in range(28)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-6, rtol=0)
    as_there = images
    for number, (group, _, _) in enumerate(GROUPS):
        chosen = (found.group == number)[:, None, None, None]
        as_there = torch.where(chosen, group(as_there, found, 0.0), as_there)
    torch.testing.assert_close(as_there, together, atol=1e-6, rtol=0)
    assert torch.isfinite(as_there).all()
    assert [each for _, first, last in GROUPS for each in range(first, last + 1)] == list(range(1, 14))
