"""Training speed of the harness as a share of a bare loop with the same networks, batches and precision.

Four ways through the same epoch: the harness; a bare loop on the batches the harness prepares; a bare loop on plain
batches of its own, pictures in memory that are cropped and mirrored a batch at a time; a bare loop on float tensors
already in memory, without augmentation. Evaluation and checkpoints are left out of all. One process, one thread; run
with `make bench` and nothing else. Nothing is asserted: speed is a ratio to look at.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.benchmark.planning.grid import RunRequest, make_grid
from fernoise_bench.benchmark.planning.harness_speed import Loss, bare_steps, own_loss
from fernoise_bench.benchmark.training import augmentation as augment
from fernoise_bench.benchmark.training import trainer
from fernoise_bench.benchmark.training.state import Training
from fernoise_bench.benchmark.trial import Trial
from fernoise_bench.methods.base import Batch, Network, view_kinds
from fernoise_bench.methods.cocuring import balance, cocuring_loss, joint_relabel
from fernoise_bench.protocols.base import Augmentation, Profile
from fernoise_bench.protocols.loading import open_data

ROUNDS = 5
STEPS = {"small": 40, "dlib29": 2, "resnet18": 2}
SIDES = {"small": 48, "dlib29": 64, "resnet18": 64}
PAD = 2  # pixels around a picture, of which a crop is taken
PROTOCOLS = {"supervised": "ferplus-sym", "cocuring": "ferplus-sym", "recot": "emotionet-3split"}
CASES = [(method, encoder) for encoder in STEPS for method in PROTOCOLS]


@dataclass(frozen=True)
class Case:
    """A training to time."""

    training: Training
    loss: Loss


def make_case(method: str, encoder: str) -> Case:
    """The training of a method with an encoder on a few generated faces of its side."""
    levels = (0.4,) if method != "recot" else ()
    asked = RunRequest(
        PROTOCOLS[method], (method,), levels=levels, seeds=1, profile="small", synthetic=True, device="cpu"
    )
    trial = make_grid(asked).trials[0]
    side = SIDES[encoder]
    recipe = replace(
        trial.job.settings.recipe,
        encoder=encoder,
        max_steps=STEPS[encoder],
        augmentation=Augmentation(crop=side, pad=PAD),
    )
    few = (1_400, 100, 100) if encoder == "small" else (200, 50, 50)
    size = replace(trial.job.protocol.small.size, side=side, generated=few, train=few[0], noisy=few[0], test=50)
    protocol = replace(trial.job.protocol, small=Profile(recipe, size))
    job = replace(trial.job, protocol=protocol, settings=replace(trial.job.settings, recipe=recipe))
    trial = replace(trial, job=job)
    data = open_data(protocol, "small", "generated", Path())
    return Case(trainer.start(trial, data.cell(trial.fold, trial.level, 0), Weights("none")), bare_loss(trial))


def bare_loss(trial: Trial) -> Loss:
    """A method's loss without the harness: written out for two of them, ReCoT's own maths for the third."""
    return {"supervised": one_network, "cocuring": two_peers, "recot": own_loss}[trial.method.name]


def plain(network: Network, images: Tensor) -> Tensor:
    """Logits past the counting encoder."""
    model: Any = network.encoder.model
    maps = model.forward_features((images - network.encoder.mean) / network.encoder.std)
    logits: Tensor = network.head(model.forward_head(maps, pre_logits=True))
    return logits


def one_network(training: Training, batch: Batch) -> Tensor:
    """Cross-entropy."""
    return F.cross_entropy(plain(training.method.network, batch.images[0]), batch.labels)  # type: ignore[arg-type]


def two_peers(training: Training, batch: Batch) -> Tensor:
    """Co-curing's loss and relabelling."""
    first, second = (plain(getattr(training.method, name), batch.images[0]) for name in ("network1", "network2"))
    loss1, loss2 = cocuring_loss(first, second, batch.labels, balance(0, 13.5))
    joint_relabel(first, second, batch.labels, 0.7)
    return loss1 + loss2


def harness_epoch(case: Case, _: list[Batch]) -> None:
    """An epoch as the harness trains it: counters, audit, logs and checks included."""
    trainer.run_epoch(case.training, case.training.train_set.sampler.recipe, 0)


def bare_epoch(case: Case, _: list[Batch]) -> None:
    """The batches the harness prepares, through the same networks and optimiser, and nothing else."""
    bare_steps(case.training, case.training.train_set.batches(0, case.training.method.views), case.loss)


def memory_epoch(case: Case, batches: list[Batch]) -> None:
    """Float tensors that are there already."""
    bare_steps(case.training, batches, case.loss)


def plain_epoch(case: Case, _: list[Batch]) -> None:
    """Batches as a short script makes them: one crop and one decision to mirror for all pictures of a batch."""
    bare_steps(case.training, plain_batches(case.training), case.loss)


def plain_batches(training: Training) -> Iterator[Batch]:
    """The harness's rows and labels with pictures cut without it, from the pixels in memory."""
    train_set, random = training.train_set, np.random.default_rng(0)
    kinds, side = view_kinds(training.method.views), train_set.augmentation.crop
    order = torch.from_numpy(train_set.sampler.epoch(0))
    for step, rows in enumerate(order.unbind()):
        store, place = train_set.pixels.fetch(rows)
        padded = F.pad(store[place].permute(0, 3, 1, 2), (PAD,) * 4).expand(-1, 3, -1, -1)
        views = []
        for _ in kinds:
            top, left = random.integers(0, 2 * PAD + 1, 2)
            view = padded[:, :, top : top + side, left : left + side].float() / 255
            views.append(view.flip(3) if random.random() < 0.5 else view)
        images = tuple(view.contiguous(memory_format=torch.channels_last) for view in views)
        yield train_set._batch(rows, images, 0, step, "step")


def in_memory(training: Training) -> list[Batch]:
    """An epoch's batches as plain centre crops."""
    found = []
    for batch in training.train_set.batches(0, 1):
        store, place = training.train_set.pixels.fetch(batch.index)
        view = augment.test_view(store, place, training.train_set.augmentation)
        found.append(replace(batch, images=(view,) * len(view_kinds(training.method.views))))
    return found


OTHERS = {"bare loop": bare_epoch, "bare, plain batches": plain_epoch, "bare, in memory": memory_epoch}


@pytest.fixture(scope="module")
def fastest() -> Iterator[dict[tuple[str, str], dict[str, float]]]:
    """Seconds of the fastest epoch by case and way, and images in it; prints the ratios at the end."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    yield found
    print("\nharness as a share of   " + "".join(f"{way:>20}" for way in OTHERS) + "      images/s")
    for (method, encoder), ways in found.items():
        shares = (ways[way] / ways["harness"] for way in OTHERS)
        print(f"{method:<12} {encoder:<11}" + "".join(f"{share:>20.3f}" for share in shares), end="")
        print(f"{ways['images'] / ways['harness']:>14.0f}")


@pytest.mark.parametrize("name", CASES, ids="-".join)
def test_training(benchmark: Any, fastest: dict[tuple[str, str], dict[str, float]], name: tuple[str, str]) -> None:
    """The benchmark is the harness; before each of its rounds the bare loops run, so that all see the same machine."""
    torch.set_num_threads(1)
    made = make_case(*name)
    batches = in_memory(made.training)
    seconds: dict[str, list[float]] = {way: [] for way in OTHERS}

    def bare() -> None:
        for way, epoch in OTHERS.items():
            began = time.perf_counter()
            epoch(made, batches)
            seconds[way].append(time.perf_counter() - began)

    harness_epoch(made, batches)
    benchmark.pedantic(harness_epoch, args=(made, batches), setup=bare, rounds=ROUNDS)
    ways = {way: min(found) for way, found in seconds.items()} | {"harness": benchmark.stats.stats.min}
    ways["images"] = sum(len(batch.index) for batch in batches)
    fastest[name] = ways
    benchmark.extra_info.update(ways)
