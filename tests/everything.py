"""A method that uses all a method may ask for: a strong view, votes, the transition, a learning rate of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fernoise_bench.methods.base import (
    Batch,
    MakeEncoder,
    Method,
    Network,
    ParameterGroup,
    Step,
    Task,
    TrainView,
    Variant,
    Views,
    to_probabilities,
)

NAME = f"{Path(__file__).absolute()}:Everything"
WITH_VOTES = f"{NAME}:votes"


class Everything(Method):
    """Learns a given label from a weak and a strong view, through the transition and a scale of its own."""

    needs: ClassVar[frozenset[str]] = frozenset({"single", "multi", "transition"})
    views: Views = ("weak", "strong")
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {"votes": Variant("the votes' shares too", needs=frozenset({"votes"}))}
    )
    transition: Tensor
    shares: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: Any) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        self.scale = nn.Parameter(torch.ones(task.num_classes))
        assert task.transition is not None
        self.register_buffer("transition", task.transition.float())
        self.register_buffer("shares", torch.zeros(0))

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """The scale learns at a rate of its own."""
        return (ParameterGroup((self.scale,), 0.01),)

    def prepare(self, train: TrainView) -> None:
        """Keeps the shares of the votes for each class."""
        if train.votes is not None:
            votes = train.votes[:, :-2].float()
            self.shares = votes / votes.sum(dim=1, keepdim=True).clamp(min=1)

    def loss(self, batch: Batch) -> Step:
        """Through the transition; unknown entries have no weight."""
        weak, strong = batch.images
        logits = self.network(torch.cat([weak, strong])) * self.scale
        loss = (self._losses(logits[: len(weak)], batch) + self._losses(logits[len(weak) :], batch)) / 2
        if batch.votes is not None:
            loss = loss - (self.shares[batch.index] * logits[: len(weak)].log_softmax(dim=1)).sum(dim=1).mean()
        return Step(loss, to_probabilities(logits[: len(weak)].detach(), self.task.kind))

    def _losses(self, logits: Tensor, batch: Batch) -> Tensor:
        if self.task.kind == "single":
            return F.nll_loss((logits.softmax(dim=1) @ self.transition + 1e-6).log(), batch.labels)
        present = logits.sigmoid()
        said = (1 - present) * self.transition[:, 0, 1] + present * self.transition[:, 1, 1]
        target, known = (batch.labels > 0).float(), (batch.labels != 0).float()
        losses = F.binary_cross_entropy(said.clamp(1e-6, 1 - 1e-6), target, reduction="none")
        return (losses * known).sum() / known.sum().clamp(min=1)

    def predict(self, images: Tensor) -> Tensor:
        """Of the labels before the noise."""
        return to_probabilities(self.network(images) * self.scale, self.task.kind)
