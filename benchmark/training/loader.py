"""Batches for a method: images are augmented on the device, labels are looked up by row number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...methods.base import Batch, Task, TrainView
from ...protocols.base import Augmentation, Protocol
from ...protocols.rows import Array, CellData, Rows
from .. import random_streams
from . import augmentation as augment
from .pixel_store import PixelStore, make_store
from .sampler import Sampler, visits

VISIT_STRIDE = 1 << 40  # makes the keys of a sample's later visits in an epoch differ from all samples' first visits


@dataclass(frozen=True)
class TrainSet:
    """The training rows as the training loop sees them: images and given labels, no reference labels.

    Labels are int64 [N] or [N, L], `verified` is bool [N], `aux` int8 [N, M], `teacher` probabilities float32 [N, C],
    `sample_id` int64 [N]. `method` is the name without the variant.
    """

    pixels: PixelStore
    labels: Tensor
    verified: Tensor
    aux: Tensor | None
    teacher: Tensor | None
    sample_id: Array
    sampler: Sampler
    augmentation: Augmentation
    seed: int
    method: str

    @property
    def device(self) -> torch.device:
        """The device of the batches."""
        return self.pixels.device

    def batches(self, epoch: int, views: int) -> Iterator[Batch]:
        """The augmented batches of an epoch."""
        order = self.sampler.epoch(epoch)
        decided = self._decided(order, epoch, views)
        index = torch.from_numpy(order).to(self.device)
        for step, (store, position) in enumerate(self.pixels.fetch_each(torch.from_numpy(order).unbind())):
            images = tuple(augment.training_view(store, position, view[step], self.augmentation) for view in decided)
            yield self._batch(index[step], images, epoch, step, "step")

    def in_order(self, *, augmented: bool, epoch: int) -> Iterator[Batch]:
        """All rows once, in order, in one view; the last batch may be smaller."""
        rows, size = np.arange(len(self.sample_id)), self.sampler.batch_size
        decided = self._decided(rows, epoch, 1, purpose="pass")[0] if augmented else None
        order = torch.from_numpy(rows)
        indexes = torch.split(order.to(self.device), size)
        for step, (store, position) in enumerate(self.pixels.fetch_each(torch.split(order, size))):
            if decided is None:
                images = augment.test_view(store, position, self.augmentation)
            else:
                mine = decided[step * size : (step + 1) * size]
                images = augment.training_view(store, position, mine, self.augmentation)
            yield self._batch(indexes[step], (images,), epoch, step, "pass")

    def view(self, epoch: int) -> TrainView:
        """The training set as a method sees it."""

        def batches(augment: bool = False) -> Iterator[Batch]:
            return self.in_order(augmented=augment, epoch=epoch)

        return TrainView(self.labels.clone(), self.verified.clone(), _copy(self.aux), _copy(self.teacher), batches)

    def _batch(self, index: Tensor, images: tuple[Tensor, ...], epoch: int, step: int, purpose: str) -> Batch:
        return Batch(
            index=index,
            images=images,
            labels=self.labels[index],
            verified=self.verified[index],
            aux=None if self.aux is None else self.aux[index],
            teacher=None if self.teacher is None else self.teacher[index],
            epoch=epoch,
            step=step,
            generator=random_streams.generator(index.device, self.seed, self.method, purpose, epoch, step),
        )

    def _decided(self, order: Array, epoch: int, views: int, purpose: str = "augment") -> list[augment.Decisions]:
        """What random numbers decide for each view of the samples of an order, int64 [...], for all of them at once."""
        samples = (self.sample_id[order] + visits(order) * VISIT_STRIDE).ravel()
        shape = (*order.shape, augment.DRAWS)
        keys = (random_streams.key(self.seed, purpose, view, epoch) for view in range(views))
        drawn = (random_streams.uniforms(key, samples, augment.DRAWS).astype(np.float32).reshape(shape) for key in keys)
        below_one = np.float32(1) - np.finfo(np.float32).epsneg
        draws = (torch.from_numpy(view.clip(max=below_one)).to(self.device) for view in drawn)
        return [augment.decide(view, self.augmentation, self.pixels.size) for view in draws]


def _copy(values: Tensor | None) -> Tensor | None:
    """A copy, which a method may write to."""
    return None if values is None else values.clone()


def make_task(protocol: Protocol, data: CellData, sampler: Sampler) -> Task:
    """The task as a method sees it, from given labels alone; with the noise rate only where the protocol offers it."""
    train = data.train
    if protocol.kind == "single":
        counts = np.bincount(train.given, minlength=len(protocol.names)).astype(np.float64)
        frequency = counts / counts.sum()
    else:
        known = (train.given != 0).sum(axis=0)
        positive = (train.given > 0).sum(axis=0)
        frequency = np.divide(positive, known, out=np.full(len(known), np.nan), where=known > 0)
    return Task(
        kind=protocol.kind,
        num_classes=len(protocol.names),
        names=protocol.names,
        train_size=len(train),
        epochs=sampler.recipe.epochs,
        steps_per_epoch=sampler.steps,
        frequency=torch.from_numpy(frequency),
        noise_rate=data.noise["realised"] if "noise_rate" in protocol.offers else None,
        aux_names=data.aux_names,
    )


def make_train_set(
    train: Rows, sampler: Sampler, seed: int, method: str, device: torch.device, teacher: Array | None = None
) -> TrainSet:
    """The training rows on a device, without reference labels; `teacher` are a teacher's probabilities [N, C]."""
    return TrainSet(
        pixels=make_store(train.images, device),
        labels=torch.from_numpy(train.given.astype(np.int64)).to(device),
        verified=torch.from_numpy(train.verified).to(device),
        aux=torch.from_numpy(train.aux).to(device) if train.aux.shape[1] else None,
        teacher=None if teacher is None else torch.from_numpy(teacher).to(device),
        sample_id=train.sample_id,
        sampler=sampler,
        augmentation=sampler.recipe.augmentation,
        seed=seed,
        method=method,
    )
