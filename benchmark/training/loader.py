"""Batches for a method: images are augmented on the device, labels are looked up by row number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...methods.base import Batch, Task, TrainView, ViewKind, Views, view_kinds
from ...protocols.base import Augmentation, Protocol, StrongAugmentation
from ...protocols.definitions.strong_views import strong_of
from ...protocols.noise import realised_transition
from ...protocols.rows import Array, CellData, Rows
from .. import random_streams
from . import augmentation as augment
from .pixel_store import PixelStore, make_store
from .sampler import Sampler, visits
from .strong_view import decide_strong, draws_of, strong_view

View = Callable[[Tensor, Tensor, int], Tensor]  # (store, positions in it, step) -> images
VISIT_STRIDE = 1 << 40  # makes the keys of a sample's later visits in an epoch differ from all samples' first visits


@dataclass(frozen=True)
class TrainSet:
    """The training rows as the training loop sees them: images and given labels, no reference labels.

    Labels are int64 [N] or [N, L], `verified` is bool [N], `aux` int8 [N, M], `teacher` probabilities float32 [N, C],
    `votes` int64 [N, C + 2] and `annotators` int64 [N, K, 2] for a method that needs them, `sample_id` int64 [N].
    `method` is the name without the variant, `strong` what strong views have beyond `augmentation`.
    """

    pixels: PixelStore
    labels: Tensor
    verified: Tensor
    aux: Tensor | None
    teacher: Tensor | None
    votes: Tensor | None
    annotators: Tensor | None
    sample_id: Array
    sampler: Sampler
    augmentation: Augmentation
    strong: StrongAugmentation
    seed: int
    method: str

    @property
    def device(self) -> torch.device:
        """The device of the batches."""
        return self.pixels.device

    def batches(self, epoch: int, views: Views) -> Iterator[Batch]:
        """The augmented batches of an epoch, with views as `Method.views` asks for them."""
        order = self.sampler.epoch(epoch)
        views_of = self._views(order, epoch, view_kinds(views))
        index = torch.from_numpy(order).to(self.device)
        for step, (store, position) in enumerate(self.pixels.fetch_each(torch.from_numpy(order).unbind())):
            images = tuple(view(store, position, step) for view in views_of)
            yield self._batch(index[step], images, epoch, step, "step")

    def in_order(self, *, augmented: bool, epoch: int) -> Iterator[Batch]:
        """All rows once, in order, in one view; the last batch may be smaller."""
        rows, size = np.arange(len(self.sample_id)), self.sampler.batch_size
        decided = self._decided(rows, "pass", 0, epoch) if augmented else None
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

        further = (self.aux, self.teacher, self.votes, self.annotators)
        aux, teacher, votes, annotators = map(_copy, further)
        return TrainView(self.labels.clone(), self.verified.clone(), aux, teacher, batches, votes, annotators)

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
            votes=None if self.votes is None else self.votes[index],
            annotators=None if self.annotators is None else self.annotators[index],
        )

    def _views(self, order: Array, epoch: int, kinds: Sequence[ViewKind]) -> list[View]:
        """A function for each view of the samples of an order, int64 [steps, B]; those of a kind are numbered."""
        found: list[View] = []
        for place, kind in enumerate(kinds):
            number = kinds[:place].count(kind)  # weak views are the same whatever else is asked for
            if kind == "weak":
                found.append(self._weak(self._decided(order, "augment", number, epoch)))
            else:
                found.append(self._strong(self._draws(order, "strong", number, epoch, draws_of(self.strong))))
        return found

    def _weak(self, decided: augment.Decisions) -> View:
        return lambda store, position, step: augment.training_view(store, position, decided[step], self.augmentation)

    def _strong(self, draws: Tensor) -> View:
        decided = decide_strong(draws, self.augmentation, self.strong, self.pixels.size)
        how = self.augmentation, self.strong
        return lambda store, position, step: strong_view(store, position, decided[step], *how)

    def _decided(self, order: Array, purpose: str, number: int, epoch: int) -> augment.Decisions:
        """What random numbers decide for a weak view of all samples of an order, int64 [...]."""
        draws = self._draws(order, purpose, number, epoch, augment.DRAWS)
        return augment.decide(draws, self.augmentation, self.pixels.size)

    def _draws(self, order: Array, purpose: str, number: int, epoch: int, count: int) -> Tensor:
        """Random numbers float32 [..., count] in [0, 1) for a view of the samples of an order, int64 [...]."""
        samples = (self.sample_id[order] + visits(order) * VISIT_STRIDE).ravel()
        stream = random_streams.key(self.seed, purpose, number, epoch)
        drawn = random_streams.uniforms(stream, samples, count).astype(np.float32).reshape(*order.shape, count)
        below_one = np.float32(1) - np.finfo(np.float32).epsneg
        return torch.from_numpy(drawn.clip(max=below_one)).to(self.device)


def _copy(values: Tensor | None) -> Tensor | None:
    """A copy, which a method may write to."""
    return None if values is None else values.clone()


def make_task(protocol: Protocol, data: CellData, sampler: Sampler, needs: frozenset[str] = frozenset()) -> Task:
    """The task as a method sees it, from given labels alone; with the noise rate only where the protocol offers it.

    The transition between labels is handed to a method that needs it alone. It is that of the rows not declared clean.
    """
    train = data.train
    if protocol.kind == "single":
        counts = np.bincount(train.given, minlength=len(protocol.names)).astype(np.float64)
        frequency = counts / counts.sum()
    else:
        known = (train.given != 0).sum(axis=0)
        positive = (train.given > 0).sum(axis=0)
        frequency = np.divide(positive, known, out=np.full(len(known), np.nan), where=known > 0)
    told = "transition" in needs and data.noise["realised"] is not None
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
        transition=_transition(train, len(protocol.names)) if told else None,
    )


def _transition(train: Rows, classes: int) -> Tensor:
    doubted = ~train.verified
    return torch.from_numpy(realised_transition(train.given[doubted], train.reference[doubted], classes))


def make_train_set(
    train: Rows,
    sampler: Sampler,
    seed: int,
    method: str,
    device: torch.device,
    teacher: Array | None = None,
    needs: frozenset[str] = frozenset(),
) -> TrainSet:
    """The training rows on a device, without reference labels.

    `teacher` are a teacher's probabilities [N, C]. Votes and single annotators' labels, which give reference labels
    away, are handed to a method that needs them alone.
    """
    people = _numbered(train.annotators) if "annotators" in needs and train.annotators.shape[1] else None
    votes = torch.from_numpy(train.votes).to(device) if "votes" in needs and train.votes.shape[1] else None
    how = sampler.recipe.augmentation
    return TrainSet(
        pixels=make_store(train.images, device),
        labels=torch.from_numpy(train.given.astype(np.int64)).to(device),
        verified=torch.from_numpy(train.verified).to(device),
        aux=torch.from_numpy(train.aux).to(device) if train.aux.shape[1] else None,
        teacher=None if teacher is None else torch.from_numpy(teacher).to(device),
        votes=votes,
        annotators=None if people is None else torch.from_numpy(people).to(device),
        sample_id=train.sample_id,
        sampler=sampler,
        augmentation=how,
        strong=strong_of(how, "single" if train.given.ndim == 1 else "multi"),
        seed=seed,
        method=method,
    )


def _numbered(annotators: Array) -> Array:
    """The labels by annotator, with those annotators alone numbered that labelled one of these rows."""
    who = annotators[..., 0]
    numbers = np.unique(who[who >= 0])
    return np.stack([np.where(who < 0, -1, np.searchsorted(numbers, who)), annotators[..., 1]], axis=-1)
