"""A toy protocol whose classes anyone can tell apart, with wrong labels: a training of seconds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ...protocols.base import Augmentation, Kind, Profile, Protocol, Recipe, Size
from ...protocols.noise import symmetric
from ...protocols.rows import Array, CellData, Rows, describe_noise, join, rows
from ..networks.initial_weights import Weights
from ..registry import MethodSpec, find
from ..settings import Settings
from ..training import trainer
from ..training.runner import WorkerContext
from ..training.state import Training
from ..trial import Job, Trial

CLASSES = ("high", "low", "middle")
AUS = ("AU1", "AU2", "AU4")
SIDE = 24
EPOCHS = 4


def toy_protocol(kind: Kind) -> Protocol:
    """The toy protocol of a kind of labels: three classes, or three AUs."""
    recipe = Recipe(
        encoder="small",
        weights="none",
        epochs=EPOCHS,
        batch_size=16,
        augmentation=Augmentation(crop=SIDE, pad=2, flip=0.0, jitter=(0.1, 0.1, 0.0, 0.0)),
        learning_rate=3e-3,
        sampler="shuffle" if kind == "single" else "fixed",
        verified_per_batch=0 if kind == "single" else 8,
    )
    profile = Profile(recipe, Size())
    return Protocol(
        name=f"toy-{kind}",
        version=1,
        design="toy",
        kind=kind,
        names=CLASSES if kind == "single" else AUS,
        data=(),
        metric="accuracy" if kind == "single" else "f1",
        noise="symmetric" if kind == "single" else "flips",
        paper=profile,
        small=profile,
        smoke=profile,
        # "transition" besides, and where labels are single "votes" and "annotators", as `loading.offered` would say
        offers=frozenset({"noise_rate", "aux"} if kind == "single" else {"verified"}),
    )


def _images(present: Array, generator: np.random.Generator) -> Array:
    """Grey noise with a bright bar for each thing present: high, low, middle; their mirror images are alike."""
    images = generator.integers(60, 120, size=(len(present), SIDE, SIDE, 3))
    third = SIDE // 3
    images[present[:, 0], :third] += 100
    images[present[:, 1], -third:] += 100
    images[present[:, 2], third:-third, third:-third] += 100
    return images.astype(np.uint8)


def toy_cell(kind: Kind, size: int = 96, rate: float = 0.2, seed: int = 0) -> CellData:
    """Generated training, validation and test rows, of faces uint8 [N, SIDE, SIDE, 3].

    Args:
        kind: of the labels.
        size: training rows; as many more are for validation (at most 32) and test.
        rate: the share of given training labels that are wrong; of AUs, a tenth more are unknown.
        seed: other rows.
    """
    generator, validation = np.random.default_rng(seed), min(32, size // 3)
    if kind == "single":
        labels = generator.integers(0, 3, size=2 * size)
        present = np.eye(3, dtype=bool)[labels]
        everything = rows(_images(present, generator), labels, labels)
        aux = np.where(np.random.default_rng(seed).random(present.shape) < 0.1, 0, np.where(present, 1, -1))
        annotators = _annotators(labels, seed)
        everything = replace(everything, aux=aux.astype(np.int8), votes=_votes(labels, seed), annotators=annotators)
        train = everything.take(np.arange(size))
        train = train.with_given(symmetric(train.reference, rate, 3, seed))
        test = everything.take(np.arange(size, 2 * size))
        noise = describe_noise("symmetric", rate, train)
        parts = test.take(np.arange(validation)), test.take(np.arange(validation, size))
        return CellData(train, *parts, noise, AUS)
    present = generator.random((2 * size, 3)) < 0.5
    labels = np.where(present, 1, -1).astype(np.int8)
    everything = rows(_images(present, generator), labels, labels)
    half = size // 2
    clean = replace(everything.take(np.arange(half)), verified=np.ones(half, dtype=bool))
    noisy = _with_wrong_and_unknown(everything.take(np.arange(half, size)), rate, generator)
    test = everything.take(np.arange(size, 2 * size))
    return CellData(
        join(clean, noisy),
        test.take(np.arange(validation)),
        test.take(np.arange(validation, size)),
        describe_noise("flips", rate, noisy),
    )


def _votes(labels: Array, seed: int) -> Array:
    """Ten votes a face int64 [N, 5]: six or more for its class, the others for any class or for none."""
    generator, faces = np.random.default_rng([seed, 1]), np.arange(len(labels))
    votes = np.zeros((len(labels), len(CLASSES) + 2), np.int64)
    votes[faces, labels] = 6
    for _ in range(4):
        np.add.at(votes, (faces, generator.integers(0, votes.shape[1], len(labels))), 1)
    return votes


def _annotators(labels: Array, seed: int) -> Array:
    """Labels of three or four of eight annotators a face, int64 [N, 4, 2], a fifth of them wrong."""
    generator = np.random.default_rng([seed, 2])
    who = np.argsort(generator.random((len(labels), 8)), axis=1)[:, :4]
    wrong = generator.random(who.shape) < 0.2
    said = (labels[:, None] + wrong * generator.integers(1, len(CLASSES), size=who.shape)) % len(CLASSES)
    found = np.stack([who, said], axis=2)
    found[generator.random(len(labels)) < 0.3, 3] = -1
    return found


def _with_wrong_and_unknown(noisy: Rows, rate: float, generator: np.random.Generator) -> Rows:
    flipped = np.where(generator.random(noisy.given.shape) < rate, -noisy.given, noisy.given)
    unknown = generator.random(noisy.given.shape) < 0.1
    return noisy.with_given(np.where(unknown, 0, flipped).astype(np.int8))


def toy_trial(
    method: str | MethodSpec, out: Path, *, kind: Kind | None = None, seed: int = 0, epochs: int = EPOCHS
) -> Trial:
    """A trial of a method on the toy protocol of its kind (single where it can be either)."""
    spec = find(method) if isinstance(method, str) else method
    protocol = toy_protocol(kind or ("single" if "single" in spec.needs else "multi"))
    settings = Settings("cpu", "fp32", "none", "", "", replace(protocol.small.recipe, epochs=epochs))
    job = Job(protocol, "small", "generated", out, out, settings, "none", partial=False)
    return Trial(job, spec, None, None, seed)


class ToyContext(WorkerContext):
    """A context whose cell is the toy cell of the trial's kind."""

    def cell(self, trial: Trial) -> CellData:
        """The toy cell."""
        return toy_cell(trial.job.protocol.kind)


def ignore(event: object) -> None:
    """A report that nobody reads."""


def start(
    name: str, kind: Kind, out: Path, *, data: CellData | None = None, seed: int = 0, epochs: int = EPOCHS
) -> Training:
    """A training of a method on a toy cell, ready for its first epoch."""
    trial = toy_trial(name, out, kind=kind, seed=seed, epochs=epochs)
    data = data or toy_cell(kind)
    known = toy_cell(kind, len(data.train)).train.reference  # whatever the references of `data` are
    teacher = np.where(known > 0, 0.9, 0.1).astype(np.float32) if trial.method.teacher else None
    return trainer.start(trial, data, Weights("none"), teacher)


def run_epochs(training: Training, epochs: Iterable[int]) -> list[float | None]:
    """Trains some epochs; the loss of each."""
    recipe = training.train_set.sampler.recipe
    return [trainer.run_epoch(training, recipe, epoch)["loss"] for epoch in epochs]


def digest(method: torch.nn.Module) -> str:
    """Of all its parameters and buffers."""
    content = b"".join(value.numpy().tobytes() for value in method.state_dict().values())
    return hashlib.sha256(content).hexdigest()
