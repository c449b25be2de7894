"""The method interface: the inputs of a method, its outputs, and its base class. For networks see networks.py.

A method sees given labels only. The evaluator and the auditor hold the reference labels and the test rows; no object
defined here gives access to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeVar

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
    "ParameterGroup",
    "Step",
    "Task",
    "TokenHeads",
    "TrainView",
    "Variant",
    "ViewKind",
    "mean_probabilities",
    "sourced",
    "to_probabilities",
    "view_kinds",
]

T = TypeVar("T")
ViewKind = Literal["weak", "strong"]
VIEW_KINDS: tuple[ViewKind, ...] = ("weak", "strong")
Views = int | tuple[ViewKind, ...]


def sourced(value: T, source: str) -> T:
    """A dataclass field for a hyper-parameter: its default value and the source of that value.

    Args:
        value: the default: the paper's value, else that of the authors' code, else this project's choice.
        source: "paper §4.2", "authors' code, loss.py:19", or "unstated: ours" with the reason.
    """
    return field(default=value, metadata={"source": source})


def view_kinds(views: Views) -> tuple[ViewKind, ...]:
    """The kind of each view that a method asks for by its `views`: a number n stands for n weak ones.

    Raises:
        ValueError: no view, or one of another kind.
    """
    weak: ViewKind = "weak"
    kinds = (weak,) * views if isinstance(views, int) else tuple(views)
    if not kinds or set(kinds) - set(VIEW_KINDS):
        raise ValueError(f"views must be a whole number of at least 1, or a tuple of {VIEW_KINDS}, not {views!r}")
    return kinds


class Task:
    """The description of the learning problem that a method is given.

    Args:
        kind: "single" (one of num_classes classes per image) or "multi" (num_classes AUs, labels in {-1, 0, +1}).
        num_classes: C classes, or L AUs.
        names: the class or AU names, in column order.
        train_size: rows of the training set; `Batch.index` lies in [0, train_size).
        epochs: epochs of the recipe.
        steps_per_epoch: optimiser steps per epoch.
        frequency: [C] share of each class, or [L] share of positives among known entries, of the given training labels;
            float64, NaN for an AU without a known label.
        noise_rate: the true share of wrong training labels, or None. Reading it is recorded as oracle knowledge; it is
            kept where only the property that records it finds it.
        aux_names: the auxiliary AUs, in the column order of `Batch.aux`; empty where the protocol offers none.
        transition: P(given | reference) of the training labels, or None, above all for a method that does not declare
            that it needs "transition". Reading it is recorded as oracle knowledge, and it is kept as `noise_rate` is.
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
        transition: Tensor | None = None,
    ) -> None:
        self.kind: Kind = kind
        self.num_classes = num_classes
        self.names = tuple(names)
        self.train_size = train_size
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.frequency = frequency
        self.aux_names = tuple(aux_names)
        reads: set[str] = set()

        def read_noise_rate() -> float | None:
            reads.add("noise_rate")
            return noise_rate

        def read_transition() -> Tensor | None:
            reads.add("transition")
            return None if transition is None else transition.clone()

        self._read_noise_rate = read_noise_rate
        self._read_transition = read_transition
        self._told: Callable[[], frozenset[str]] = lambda: frozenset(reads)

    @property
    def noise_rate(self) -> float | None:
        """The true noise rate; reading it marks the trial's record as using oracle knowledge."""
        return self._read_noise_rate()

    @property
    def transition(self) -> Tensor | None:
        """How labels go wrong, for methods that need "transition"; reading it is recorded as oracle knowledge.

        Returns:
            float64 [C, C], the share of training rows with reference label i that are given label j; for AUs
            [L, 2, 2], of each AU's known entries, index 0 absent and 1 present. Rows sum to 1; that of a class without
            training rows is the identity's.
        """
        return self._read_transition()

    @property
    def oracle_reads(self) -> frozenset[str]:
        """Names of what was read that is unknown in practice."""
        return self._told()

    def scaled_epochs(self, value: int, *stated_for: int) -> int:
        """An epoch number stated for one training length, rescaled to the length of this training.

        The harness runs a protocol at several sizes, so a constant stated for a training of `stated_for` epochs is
        scaled in proportion; it is used unchanged where this training has one of the stated lengths.
        """
        return value if self.epochs in stated_for else round(value * self.epochs / stated_for[0])


@dataclass(frozen=True)
class Batch:
    """The rows of one training step.

    Attributes:
        index: int64 [B], the row number in the training set.
        images: one float tensor [B, 3, H, W] in [0, 1] for each view, of the kind that `Method.views` names, augmented
            independently.
        labels: given labels: int64 [B], or [B, L] in {-1, 0, +1}.
        verified: bool [B], rows the protocol declares clean.
        aux: auxiliary AU labels [B, M] in {-1, 0, +1}, 0 unknown, or None.
        teacher: probabilities of the protocol's teacher [B, C], or None.
        epoch: 0-based.
        step: 0-based within the epoch.
        generator: seeded by (seed, method, epoch, step); the only source of randomness a method may use.
        votes: annotators' votes int64 [B, C + 2] for each class, "unknown" and "not a face" (0 where the data have no
            such votes), for a method that needs "votes"; else None.
        annotators: who gave a face a label, and which, int64 [B, K, 2]: number of the annotator, from 0, and class; -1
            and -1 where fewer than K did. For a method that needs "annotators"; else None.
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
    votes: Tensor | None = None
    annotators: Tensor | None = None


@dataclass(frozen=True)
class Step:
    """The result of a method on a batch, for K networks; weights and targets carry no gradient.

    Attributes:
        loss: scalar with gradient; None skips the update.
        probabilities: [B, C], the training-mode prediction, for the audit.
        weight: [K, B] or [K, B, L], weight of each sample or entry in each network's loss; 0: not trained on.
            None: all known labels.
        target: [K, B] or [K, B, L] labels, or [K, B, C] soft labels, that each network trained on. None: the given
            labels.
        logs: scalars to record, averaged over the epoch.
    """

    loss: Tensor | None
    probabilities: Tensor | None = None
    weight: Tensor | None = None
    target: Tensor | None = None
    logs: Mapping[str, float | Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainView:
    """The part of the training set that a method may see: given labels, on the trainer's device.

    Attributes:
        labels: int64 [N] or [N, L] in {-1, 0, +1}.
        verified: bool [N].
        aux: [N, M] or None.
        teacher: [N, C] or None.
        batches: `batches(augment=False)` iterates over all rows in order, as batches of one weak view; counted as
            compute.
        votes: int64 [N, C + 2] as in `Batch`, or None.
        annotators: int64 [N, K, 2] as in `Batch`, or None. Each number up to the largest is that of an annotator of
            some training row.
    """

    labels: Tensor
    verified: Tensor
    aux: Tensor | None
    teacher: Tensor | None
    batches: Callable[..., Iterator[Batch]]
    votes: Tensor | None = None
    annotators: Tensor | None = None


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that are trained at a learning rate of their own, by the recipe's optimiser and schedule.

    Attributes:
        parameters: some of the method's, each in one group.
        learning_rate: before the first decay of the recipe's schedule.
        weight_decay: instead of the recipe's.
    """

    parameters: tuple[nn.Parameter, ...]
    learning_rate: float
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Variant:
    """A named configuration of a method: changed hyper-parameters, and additional or dropped requirements.

    Attributes:
        about: one-line description, as `fernoise-bench list` shows it.
        params: hyper-parameters and their values in this variant.
        needs: requirements on the protocol in addition to the method's own.
        without: those of the method's own requirements that this variant does not have.
    """

    about: str
    params: Mapping[str, object] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()


@dataclass(frozen=True)
class NoParams:
    """The hyper-parameters of a method without any."""


class Method(nn.Module):
    """Base class of all training methods. Subclass it once; all state is kept in parameters and buffers.

    Class attributes:
        needs: the task kinds it supports ("single", "multi") and what the protocol must offer: "verified", "aux",
            "votes", "annotators", "noise_rate", "transition", "teacher:<method>".
        views: the augmented views of each image in a batch: their number, or the kind of each, as ("weak", "strong"). A
            weak view is the recipe's augmentation; a strong one, the same for all methods of a protocol, goes beyond.
        Params: frozen dataclass of hyper-parameters, each a `sourced` field.
        variants: named settings, run as `name:variant`.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    views: Views = 1
    Params: ClassVar[type] = NoParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType({})

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: Any) -> None:
        super().__init__()
        self.task = task
        self.params = params

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """Parameters with a learning rate of their own; all others have that of the recipe. Asked for once."""
        return ()

    def prepare(self, train: TrainView) -> None:
        """Called once before training, and again before a resumed state is loaded."""

    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """Called before each epoch (0-based)."""

    def loss(self, batch: Batch) -> Step:
        """The loss of a batch, with the weights and targets it was computed from. Required."""
        raise TypeError(f"{type(self).__name__} does not define loss(batch)")

    def after_step(self) -> None:
        """Called after each optimiser step."""

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C] of images [B, 3, H, W] in [0, 1]. Required."""
        raise TypeError(f"{type(self).__name__} does not define predict(images)")
