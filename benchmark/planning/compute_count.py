"""How much a method computes: forward and backward passes, counted in a short training on random pixels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ...protocols.base import Protocol, Recipe
from ...protocols.rows import Array, CellData, Rows, describe_noise, no_annotators, of_known_faces, rows
from ..networks.initial_weights import Weights
from ..registry import MethodSpec
from ..settings import Settings
from ..training import trainer
from ..training.sampler import Sampler
from ..training.state import Training
from ..trial import Job, Trial

ROWS, BATCH, SIDE = 16, 16, 16
EPOCHS = 8  # warm-ups and ramps are fractions of the epochs, so that a shorter training has the same fractions
AUX = 5


@dataclass(frozen=True)
class Sizes:
    """Rows of a cell: for training, how many of these are verified, and those that are predicted after each epoch."""

    train: int
    verified: int
    evaluated: int


@dataclass(frozen=True)
class ComputeCount:
    """Passes of samples through an encoder.

    Attributes:
        forwards, backwards: for each sample of a training step.
        passes: forwards for each training row and epoch outside the steps, those of the preparation included.
        prediction: forwards for each row that is predicted.
    """

    forwards: float
    backwards: float
    passes: float
    prediction: float

    def total(self, recipe: Recipe, sizes: Sizes) -> tuple[float, float]:
        """Forwards without a backward, and forwards with one, of a whole training on so many rows."""
        verified = np.arange(sizes.train) < sizes.verified
        sampler = Sampler(recipe, verified, np.zeros(sizes.train, dtype=np.int64), 0)
        samples = recipe.epochs * sampler.steps * sampler.batch_size
        trained = self.backwards * samples
        forward_only = (self.forwards - self.backwards) * samples
        forward_only += recipe.epochs * (self.passes * sizes.train + self.prediction * sizes.evaluated)
        return max(0.0, forward_only), trained


def count(method: MethodSpec, protocol: Protocol, *, artifact: bool = False) -> ComputeCount:
    """Counts the passes of a method in a short training with the labels and the paper recipe of a protocol.

    Args:
        method: one that is applicable to the protocol.
        protocol: the protocol.
        artifact: count it as a teacher of other methods.
    """
    recipe = _miniature(protocol.paper.recipe)
    trial = random_trial(method, protocol, Settings("cpu", "fp32", "none", "", "", recipe), artifact=artifact)
    width = len(protocol.names)
    teacher = np.full((ROWS, width), 1 / width, dtype=np.float32) if method.teacher and not artifact else None
    with torch.random.fork_rng(devices=[]):
        return _counted(trainer.start(trial, random_cell(protocol, ROWS, SIDE), Weights("none"), teacher), recipe)


def _counted(training: Training, recipe: Recipe) -> ComputeCount:
    """The passes of a training, which is run to its end."""
    method, counters = training.method, training.counters
    passes, samples = counters.take()["forwards"], 0
    steps: Counter[str] = Counter()
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
            samples += len(batch.index)
            steps.update(counters.take())
    training.evaluator.epoch(method, recipe.epochs - 1)
    forwards, backwards = steps["forwards"] / samples, steps["backwards"] / samples
    prediction = counters.take()["forwards"] / ROWS
    return ComputeCount(forwards, backwards, passes / (recipe.epochs * ROWS), prediction)


def _miniature(recipe: Recipe) -> Recipe:
    """The recipe with the small encoder, small pictures, small batches and few epochs."""
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
    """A trial of random pixels, which is never stored."""
    job = Job(protocol, "paper", "generated", Path(), Path(), settings, "none", partial=False)
    return Trial(job, method, None, None, 0, artifact=artifact)


def random_cell(protocol: Protocol, size: int, side: int) -> CellData:
    """Random pixels and labels, half of the rows verified where the protocol offers that; at most ROWS test rows."""
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
    votes = of_known_faces(10 * np.eye(width, dtype=np.int64)[labels])
    annotators = np.stack([np.arange(size) % 3, labels], axis=1)[:, None]
    if protocol.kind == "multi":
        votes, annotators = votes[:, :0], no_annotators(size)
        labels = np.where(generator.random((size, width)) < 0.5, 1, -1).astype(np.int8)
    aux = np.where(generator.random((size, AUX)) < 0.5, 1, -1).astype(np.int8)
    return replace(rows(images, labels, labels), aux=aux, votes=votes, annotators=annotators)
