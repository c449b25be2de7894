"""Training speed beside loops written as papers' public code is: Pillow and torchvision, a picture at a time.

Two forms: JPEG files, opened, resized and erased one by one, one network with attention and ranking (as SCN's); arrays
in memory, turned into pictures and cropped one by one, two networks with a joint loss, selected on the host, and the
accuracy of each batch (as JoCoR's). Same networks, batch sizes and optimiser as the harness; evaluation is left out of
both. One process, one thread; run with `make bench` and nothing else. Nothing is asserted: the table has the ratios.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.benchmark.planning.compute_count import random_cell, random_trial
from fernoise_bench.benchmark.registry import find
from fernoise_bench.benchmark.settings import Settings
from fernoise_bench.benchmark.training import trainer
from fernoise_bench.protocols import catalog
from fernoise_bench.protocols.base import Augmentation

transforms = pytest.importorskip("torchvision.transforms", reason="torchvision is not installed")

CLASSES, RATE, KEPT = 8, 1e-3, 0.6
SIDES = {64: (32, 4), 224: (16, 2)}  # crop in px: rows of a batch, steps of an epoch
STORED = 100  # side of RAF-DB's aligned pictures
ROUNDS = 3
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Epoch = Callable[[], object]


@dataclass
class Pictures(Dataset[tuple[Tensor, int]]):
    """Pictures that are transformed one by one: files to open, or arrays."""

    sources: list[Any]
    transform: Callable[[Image.Image], Tensor]

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        source = self.sources[row]
        picture = Image.open(source).convert("RGB") if isinstance(source, Path) else Image.fromarray(source)
        return self.transform(picture), row % CLASSES


def loader(sources: list[Any], steps: list[Any], batch: int) -> DataLoader[tuple[Tensor, int]]:
    """Shuffled batches, made in this process."""
    return DataLoader(Pictures(sources, transforms.Compose(steps)), batch, shuffle=True, drop_last=True)


def attention_loop(files: list[Path], side: int, batch: int) -> Epoch:
    """An epoch in the form of SCN's code."""
    steps = [
        transforms.Resize((side, side)),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, DEVIATION),
        transforms.RandomErasing(scale=(0.02, 0.25)),
    ]
    batches = loader(files, steps, batch)
    body = timm.create_model("resnet18", num_classes=0)
    attend, classify = nn.Sequential(nn.Linear(512, 1), nn.Sigmoid()), nn.Linear(512, CLASSES)
    model = nn.ModuleList([body, attend, classify]).train()
    optimiser = torch.optim.Adam(model.parameters(), RATE)

    def epoch() -> None:
        right = 0
        for images, labels in batches:
            features = body(images)
            weight = attend(features)
            scores = weight * classify(features)
            ranked = weight.flatten().sort(descending=True).values
            high = int(0.7 * len(labels))
            gap = (0.15 - (ranked[:high].mean() - ranked[high:].mean())).clamp(min=0)
            loss = F.cross_entropy(scores, labels) + gap
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            right += int((scores.argmax(1) == labels).sum())

    return epoch


def joint_loop(arrays: list[Any], side: int, batch: int) -> Epoch:
    """An epoch in the form of JoCoR's code."""
    crop = [transforms.Resize(side + 8), transforms.RandomCrop(side), transforms.RandomHorizontalFlip()]
    batches = loader(arrays, [*crop, transforms.ToTensor(), transforms.Normalize(MEAN, DEVIATION)], batch)
    networks = nn.ModuleList(timm.create_model("resnet18", num_classes=CLASSES) for _ in range(2)).train()
    optimiser = torch.optim.Adam(networks.parameters(), RATE)

    def divergence(one: Tensor, other: Tensor) -> Tensor:
        return F.kl_div(one.log_softmax(1), other.softmax(1), reduction="none").sum(1)

    def epoch() -> None:
        right = [0, 0]
        for images, labels in batches:
            first, second = (network(images) for network in networks)
            right = [n + int((z.argmax(1) == labels).sum()) for n, z in zip(right, (first, second), strict=True)]
            known = sum(F.cross_entropy(z, labels, reduction="none") for z in (first, second))
            losses = 0.1 * known + 0.9 * (divergence(first, second) + divergence(second, first))
            small = np.argsort(losses.detach().numpy())[: int(KEPT * len(losses))]
            optimiser.zero_grad()
            losses[torch.from_numpy(small)].mean().backward()
            optimiser.step()

    return epoch


def harness(method: str, side: int, batch: int, steps: int) -> Epoch:
    """The same epoch as this project trains it."""
    protocol = catalog.find("ferplus-sym")
    how = Augmentation(crop=side, resize=side + 8)
    recipe = replace(protocol.small.recipe, encoder="resnet18", batch_size=batch, augmentation=how, learning_rate=RATE)
    trial = random_trial(find(method), protocol, Settings("cpu", "fp32", "none", "", "", recipe))
    training = trainer.start(trial, random_cell(protocol, batch * steps, STORED), Weights("none"))
    return lambda: trainer.run_epoch(training, recipe, 0)


@pytest.fixture(scope="module")
def faces() -> list[Any]:
    pixels = np.random.default_rng(0).integers(0, 256, (max(b * s for b, s in SIDES.values()), STORED, STORED, 3))
    return list(pixels.astype(np.uint8))


@pytest.fixture(scope="module")
def files(faces: list[Any], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{row}.jpg" for row in range(len(faces))]
    for path, face in zip(paths, faces, strict=True):
        Image.fromarray(face).save(path, quality=95)
    return paths


@pytest.fixture(scope="module")
def fastest() -> Iterator[dict[tuple[str, int], tuple[float, float]]]:
    """Images a second of a method at a side: ours, and the loop's; prints them and their ratio at the end."""
    found: dict[tuple[str, int], tuple[float, float]] = {}
    yield found
    print("\nimages a second, resnet18        ours    loop    ours / loop")
    for (method, side), (ours, loop) in found.items():
        print(f"{method:<14} {side:>4} px   {ours:>13.1f} {loop:>7.1f} {ours / loop:>13.2f}")


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("method", ["scn", "jocor"])
def test_loop(
    benchmark: Any,
    fastest: dict[tuple[str, int], tuple[float, float]],
    faces: list[Any],
    files: list[Path],
    method: str,
    side: int,
) -> None:
    """The benchmark is ours; before each of its rounds the other loop runs, so that both see the same machine."""
    torch.set_num_threads(1)
    batch, steps = SIDES[side]
    rows = batch * steps
    ours = harness(method, side, batch, steps)
    made = (attention_loop, files) if method == "scn" else (joint_loop, faces)
    loop = made[0](made[1][:rows], side, batch)  # type: ignore[operator]
    seconds: list[float] = []

    def other() -> None:
        began = time.perf_counter()
        loop()
        seconds.append(time.perf_counter() - began)

    ours()
    loop()
    benchmark.pedantic(ours, setup=other, rounds=ROUNDS)
    fastest[method, side] = rows / benchmark.stats.stats.min, rows / min(seconds)
    benchmark.extra_info.update(ours=fastest[method, side][0], loop=fastest[method, side][1])
