"""Input speed: augmented batches from a pack against JPEG files through Pillow and torchvision, and against tensors.

One core each, 224 px, the protocols' paper augmentations with and without the affine map. Run with `make bench` and
nothing else. Nothing is asserted: the table has the ratios.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fernoise_bench.benchmark.training import augmentation as augment
from fernoise_bench.protocols.base import Augmentation
from fernoise_bench.protocols.definitions.recipes import COCURING
from fernoise_bench.protocols.faces.generate import FaceSpecification, faces

v2 = pytest.importorskip("torchvision.transforms.v2", reason="torchvision is not installed")

COUNT, BATCH, SIDE = 256, 32, 240
ROUNDS = 7
WITH_AFFINE = replace(COCURING.augmentation, resize=None)
WITHOUT = replace(WITH_AFFINE, translate=0.0, scale=(1.0, 1.0))
OURS = "pack, ours"
WAYS = (OURS, "files, torchvision", "tensors, torchvision")
HOW = {"with affine": WITH_AFFINE, "without affine": WITHOUT}


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return faces(FaceSpecification(count=COUNT, size=SIDE), 0).images


@pytest.fixture(scope="module")
def files(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("jpeg")
    paths = [folder / f"{row}.jpg" for row in range(COUNT)]
    for path, face in zip(paths, pixels, strict=True):
        Image.fromarray(face).save(path, quality=95)
    return paths


def transform(how: Augmentation) -> Callable[[Any], Tensor]:
    """The same augmentation in torchvision's words."""
    brightness, contrast, saturation, hue = how.jitter
    sometimes: list[Any] = [v2.ColorJitter(brightness, contrast, saturation, hue)]
    if how.translate:
        sometimes.append(v2.RandomAffine(0, translate=(how.translate, how.translate), scale=how.scale))
    steps = [
        v2.PILToTensor(),
        v2.RandomCrop(how.crop),
        v2.RandomHorizontalFlip(how.flip),
        v2.RandomApply(sometimes, how.jitter_probability),
        v2.ToDtype(torch.float32, scale=True),
    ]
    composed: Callable[[Any], Tensor] = v2.Compose(steps)
    return composed


def ours(store: Tensor, how: Augmentation) -> None:
    """Batches as the loader cuts them from memory."""
    generator = np.random.default_rng(0)
    for start in range(0, COUNT, BATCH):
        draws = torch.from_numpy(generator.random((BATCH, augment.DRAWS), dtype=np.float32))
        decided = augment.decide(draws, how, (store.shape[1], store.shape[2]))
        augment.training_view(store, torch.arange(start, start + BATCH), decided, how)


def from_files(paths: list[Path], how: Augmentation) -> None:
    """Decode and transform, a picture at a time."""
    apply = transform(how)
    for start in range(0, COUNT, BATCH):
        torch.stack([apply(Image.open(path).convert("RGB")) for path in paths[start : start + BATCH]])


def from_tensors(store: Tensor, how: Augmentation) -> None:
    """torchvision on tensors in memory, a picture at a time, so that each has its own draw."""
    apply = v2.Compose(transform(how).transforms[1:])  # type: ignore[attr-defined]
    planes = store.permute(0, 3, 1, 2).contiguous()
    for start in range(0, COUNT, BATCH):
        torch.stack([apply(face) for face in planes[start : start + BATCH]])


@pytest.fixture(scope="module")
def fastest() -> Iterator[dict[str, dict[str, float]]]:
    """Seconds of the fastest pass by augmentation and way; prints the ratios at the end."""
    found: dict[str, dict[str, float]] = {}
    yield found
    print("\nimages a second            " + "".join(f"{how:>18}" for how in found))
    for way in WAYS:
        print(f"{way:<27}" + "".join(f"{COUNT / found[how][way]:>18.0f}" for how in found))
    for way in WAYS[1:]:
        print(f"ours / {way:<20}" + "".join(f"{found[how][way] / found[how][OURS]:>18.2f}" for how in found))


@pytest.mark.parametrize("how", HOW)
def test_input(
    benchmark: Any, pixels: np.ndarray, files: list[Path], fastest: dict[str, dict[str, float]], how: str
) -> None:
    """The benchmark is ours; before each of its rounds the others run, so that all see the same machine."""
    torch.set_num_threads(1)
    store = torch.from_numpy(pixels)
    others: dict[str, Callable[[], None]] = {
        "files, torchvision": lambda: from_files(files, HOW[how]),
        "tensors, torchvision": lambda: from_tensors(store, HOW[how]),
    }
    seconds: dict[str, list[float]] = {way: [] for way in others}

    def run_others() -> None:
        for way, work in others.items():
            began = time.perf_counter()
            work()
            seconds[way].append(time.perf_counter() - began)

    ours(store, HOW[how])
    benchmark.pedantic(ours, args=(store, HOW[how]), setup=run_others, rounds=ROUNDS)
    fastest[how] = {way: min(found) for way, found in seconds.items()} | {OURS: benchmark.stats.stats.min}
    benchmark.extra_info.update(fastest[how])
