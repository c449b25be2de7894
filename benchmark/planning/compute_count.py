"""How much a method computes: forwards and backwards, counted in a training on a few rows of random pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ...protocols.base import Protocol, Recipe
from ...protocols.rows import Array, CellData, Rows, describe_noise, rows
from ..networks.initial_weights import Weights
from ..registry import MethodSpec
from ..settings import Settings
from ..training import trainer
from ..training.sampler import Sampler
from ..training.state import Training
from ..trial import Job, Trial

ROWS, BATCH, SIDE = 16, 16, 16
EPOCHS = 8  # warm-ups and ramps are shares of the epochs, so a shorter training has the same shares
AUX = 5


@dataclass(frozen=True)
class Sizes:
    """Rows of a cell as published: those that train, how many of them are verified, those looked at each epoch."""

    train: int
    verified: int
    judged: int


@dataclass(frozen=True)
class Work:
    """Samples through an encoder, counted.

    Attributes:
        forwards, backwards: of each sample of each training step.
        passes: of each training row in an epoch beside the steps: passes over the training set, preparation included.
        looks: of each row that is predicted.
    """

    forwards: float
    backwards: float
    passes: float
    looks: float

    def of(self, recipe: Recipe, sizes: Sizes) -> tuple[float, float]:
        """Forwards without a backward, and forwards with one, of a whole training on so many rows."""
        verified = np.arange(sizes.train) < sizes.verified
        sampler = Sampler(recipe, verified, np.zeros(sizes.train, dtype=np.int64), 0)
        visits = recipe.epochs * sampler.steps * sampler.batch_size
        trained = self.backwards * visits
        rest = (self.forwards - self.backwards) * visits
        rest += recipe.epochs * (self.passes * sizes.train + self.looks * sizes.judged)
        return max(0.0, rest), trained


def count(method: MethodSpec, protocol: Protocol, *, artifact: bool = False) -> Work:
    """Counts a method on a protocol's kind of labels, with its recipe's sampler.

    Args:
        method: any that is applicable.
        protocol: names kind, labels and recipe (the paper profile's).
        artifact: count it as the teacher of others.
    """
    recipe = _miniature(protocol.paper.recipe)
    trial = random_trial(method, protocol, Settings("cpu", "fp32", "none", "", "", recipe), artifact=artifact)
    width = len(protocol.names)
    teacher = np.full((ROWS, width), 1 / width, dtype=np.float32) if method.teacher and not artifact else None
    with torch.random.fork_rng(devices=[]):
        return _counted(trainer.start(trial, random_cell(protocol, ROWS, SIDE), Weights("none"), teacher), recipe)


def _counted(training: Training, recipe: Recipe) -> Work:
    method, counters = training.method, training.counters
    passes, steps = counters.take()["forwards"], {"forwards": 0, "backwards": 0}
    visits = 0
    for epoch in range(recipe.epochs):
        method.train()
        method.begin_epoch(epoch, training.train_set.view(epoch))
        passes += counters.take()["forwards"]
        for batch in training.train_set.batches(epoch, method.views):
            step = method.loss(batch)
            if step.loss is not None:
                training.optimizer.zero_grad(set_to_none=True)
                step.loss.backward()  # type: ignore[no-untyped-call]
                training.optimizer.step()
                method.after_step()
            visits += len(batch.index)
            steps = _sum(steps, counters.take())
    training.evaluator.epoch(method, recipe.epochs - 1)
    looks = counters.take()["forwards"] / ROWS
    return Work(steps["forwards"] / visits, steps["backwards"] / visits, passes / (recipe.epochs * ROWS), looks)


def _sum(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {name: value + second[name] for name, value in first.items()}


def _miniature(recipe: Recipe) -> Recipe:
    """The recipe with the narrow network on small pictures."""
    return replace(
        recipe,
        encoder="small",
        weights="none",
        neck="",
        neck_factors=(),
        epochs=min(EPOCHS, recipe.epochs),
        batch_size=BATCH,
        verified_per_batch=BATCH // 2 if recipe.sampler == "fixed" else 0,
        max_steps=None,
        augmentation=replace(recipe.augmentation, crop=SIDE, resize=None),
    )


def random_trial(method: MethodSpec, protocol: Protocol, settings: Settings, *, artifact: bool = False) -> Trial:
    """A trial that is never stored."""
    job = Job(protocol, "paper", "generated", Path(), Path(), settings, "none", partial=False)
    return Trial(job, method, None, None, 0, artifact=artifact)


def random_cell(protocol: Protocol, size: int, side: int) -> CellData:
    """Random pixels and labels; half of the rows verified where the protocol has such, a few rows to look at."""
    generator = np.random.default_rng(0)
    train, test = _rows(protocol, size, side, generator), _rows(protocol, min(size, ROWS), side, generator)
    if "verified" in protocol.offers:
        train = replace(train, verified=np.arange(size) < size // 2)
    noise = {**describe_noise(protocol.noise, None, train), "realised": 0.2}
    return CellData(train, None, test, noise, tuple(f"AU{number}" for number in range(1, AUX + 1)))


def _rows(protocol: Protocol, size: int, side: int, generator: np.random.Generator) -> Rows:
    width = len(protocol.names)
    images = generator.integers(0, 256, size=(size, side, side, 3), dtype=np.uint8)
    labels: Array = np.arange(size) % width
    if protocol.kind == "multi":
        labels = np.where(generator.random((size, width)) < 0.5, 1, -1).astype(np.int8)
    aux = np.where(generator.random((size, AUX)) < 0.5, 1, -1).astype(np.int8)
    return replace(rows(images, labels, labels), aux=aux)
