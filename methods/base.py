"""The contract: what a method is handed, what it hands back, and the class it derives from. No maths: see networks.py.

A method sees given labels only. Reference labels and test rows live with the evaluator and the auditor,
to which nothing here has a reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from ..protocols.base import Kind
from .networks import Encoder, MakeEncoder, Network, TokenHeads, mean_probabilities, to_probabilities

__all__ = [
    "Batch",
    "Encoder",
    "MakeEncoder",
    "Method",
    "Network",
    "NoParams",
    "Step",
    "Task",
    "TokenHeads",
    "TrainView",
    "Variant",
    "mean_probabilities",
    "sourced",
    "to_probabilities",
]

T = TypeVar("T")


def sourced(value: T, source: str) -> T:
    """A hyper-parameter field: its default and where the value comes from.

    Args:
        value: the default; the paper's value, else the authors' code, else the resolution this project states.
        source: "paper §4.2", "authors' code, loss.py:19", or "unstated: ours" with the reason.
    """
    return field(default=value, metadata={"source": source})


class Task:
    """What a method is told about the problem.

    Args:
        kind: "single" (one label of num_classes) or "multi" (num_classes AUs, labels in {-1, 0, +1}).
        num_classes: C classes, or L AUs.
        names: the class or AU names, in column order.
        train_size: rows of the training set; `Batch.index` runs over them.
        epochs: epochs of the recipe.
        steps_per_epoch: optimiser steps in an epoch.
        frequency: [C] share of each class, or [L] share of positives among known entries, of the given training labels;
            float64, NaN for an AU without a known label.
        noise_rate: the true share of wrong training labels, or None. Reading it is recorded as oracle knowledge.
        aux_names: the auxiliary AUs, in the column order of `Batch.aux`; empty where the protocol offers none.
    """

    def __init__(
        self,
        kind: Kind,
        num_classes: int,
        names: Sequence[str],
        train_size: int,
        epochs: int,
        steps_per_epoch: int,
        frequency: Tensor,
        noise_rate: float | None = None,
        aux_names: Sequence[str] = (),
    ) -> None:
        self.kind: Kind = kind
        self.num_classes = num_classes
        self.names = tuple(names)
        self.train_size = train_size
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.frequency = frequency
        self.aux_names = tuple(aux_names)
        self._noise_rate = noise_rate
        self.oracle_reads: set[str] = set()

    @property
    def noise_rate(self) -> float | None:
        """The true noise rate; reading it marks the record as using oracle knowledge."""
        self.oracle_reads.add("noise_rate")
        return self._noise_rate

    def scaled_epochs(self, value: int, *stated_for: int) -> int:
        """An epoch constant stated for one length of training, carried over to this one.

        The harness runs a protocol at several sizes; a constant given for `stated_for` epochs keeps its share of
        them. It is the stated value itself where the lengths agree.
        """
        return value if self.epochs in stated_for else round(value * self.epochs / stated_for[0])


@dataclass(frozen=True)
class Batch:
    """One training step's rows.

    Attributes:
        index: int64 [B], row of the training set.
        images: one float tensor [B, 3, H, W] in [0, 1] for each view, augmented independently.
        labels: given labels: int64 [B], or [B, L] in {-1, 0, +1}.
        verified: bool [B], rows the protocol declares clean.
        aux: auxiliary AU labels [B, M] in {-1, 0, +1}, 0 unknown, or None.
        teacher: probabilities of the protocol's teacher [B, C], or None.
        epoch: 0-based.
        step: 0-based within the epoch.
        generator: keyed by (seed, method, epoch, step); a method's only randomness.
    """

    index: Tensor
    images: tuple[Tensor, ...]
    labels: Tensor
    verified: Tensor
    aux: Tensor | None
    teacher: Tensor | None
    epoch: int
    step: int
    generator: torch.Generator


@dataclass(frozen=True)
class Step:
    """What a method did with a batch. K networks; selections and targets carry no gradient.

    Attributes:
        loss: scalar with gradient; None skips the update.
        probabilities: [B, C], its training-mode prediction, for the audit.
        weight: [K, B] or [K, B, L], what each network trained on; zero means left out. None: everything known.
        target: [K, B] or [K, B, L] labels, or [K, B, C] soft labels, each network trained on. None: the given ones.
        logs: scalars to record, averaged over the epoch.
    """

    loss: Tensor | None
    probabilities: Tensor | None = None
    weight: Tensor | None = None
    target: Tensor | None = None
    logs: Mapping[str, float | Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainView:
    """The training set as a method may see it: given labels, on the trainer's device.

    Attributes:
        labels: int64 [N] or [N, L] in {-1, 0, +1}.
        verified: bool [N].
        aux: [N, M] or None.
        teacher: [N, C] or None.
        batches: `batches(augment=False)` passes over all rows in order, as one-view batches; counted as compute.
    """

    labels: Tensor
    verified: Tensor
    aux: Tensor | None
    teacher: Tensor | None
    batches: Callable[..., Iterator[Batch]]


@dataclass(frozen=True)
class Variant:
    """A named setting of a method: the parameters it changes, what it needs besides, and what it does without.

    Attributes:
        about: one line for the lists.
        params: hyper-parameters and their values in this variant.
        needs: needed of the protocol on top of the method's own needs.
        without: those of the method's own needs that this variant does not have.
    """

    about: str
    params: Mapping[str, object] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()


@dataclass(frozen=True)
class NoParams:
    """The hyper-parameters of a method that has none."""


class Method(nn.Module):
    """A way to learn from given labels. Derive from it once; all state is parameters and buffers.

    Class attributes:
        needs: the task kinds it can run on ("single", "multi") and what the protocol must offer: "verified", "aux",
            "noise_rate", "teacher:<method>".
        views: augmented views wanted of each image.
        Params: frozen dataclass of hyper-parameters, each a `sourced` field.
        variants: named settings, run as `name:variant`.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    views: int = 1
    Params: ClassVar[type] = NoParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType({})

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: Any) -> None:
        super().__init__()
        self.task = task
        self.params = params

    def prepare(self, train: TrainView) -> None:
        """Once before training, and again before a resumed state is loaded."""

    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """Before each epoch (0-based)."""

    def loss(self, batch: Batch) -> Step:
        """The loss of a batch and what was trained on. Required."""
        raise TypeError(f"{type(self).__name__} does not define loss(batch)")

    def after_step(self) -> None:
        """After each optimiser step."""

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C] of images [B, 3, H, W] in [0, 1]. Required."""
        raise TypeError(f"{type(self).__name__} does not define predict(images)")
