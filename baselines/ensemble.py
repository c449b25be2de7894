"""Ensemble of two independently trained networks: the baseline of two-network methods."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Step, Task, TrainView, Variant, sourced
from ..methods.losses import label_loss
from ..methods.networks import Network, mean_probabilities
from ..methods.selection import balance_targets, choose_rows, positive_frequency
from .supervised import selective_loss

__all__ = ["Ensemble", "EnsembleParams"]

_VERIFIED, _SINGLE = frozenset({"verified"}), frozenset({"single"})


@dataclass(frozen=True)
class EnsembleParams:
    """Hyper-parameters of the two-network ensemble."""

    rows: Literal["both", "clean", "noisy"] = sourced(
        "both", "Co-curing §5.1: two networks, supervision loss on all rows, predictions averaged"
    )
    selective: Literal["none", "mlcr", "hand"] = sourced(
        "none", "unstated: ours; ReCoT's baselines balance AUs (eq. 2), as the variants *-selective do; AUs only"
    )


class Ensemble(Method):
    """Two networks with different initial weights, each with a supervised loss; their probabilities are averaged.

    The baseline of Co-curing (§5.1: "the two networks are independently trained using only supervision loss"). No
    parameter is shared, so that the sum of the losses trains each network separately. With selective learning each
    network samples its own entries. Rows that are not trained on are not forwarded.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single", "multi"})
    Params = EnsembleParams
    params: EnsembleParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "both": Variant("clean and noisy rows alike", {"rows": "both"}),
            "clean": Variant("verified rows only", {"rows": "clean"}, frozenset({"verified"})),
            "noisy": Variant("unverified rows only", {"rows": "noisy"}, frozenset({"verified"})),
            "both-selective": Variant(
                "clean and noisy rows, selective learning", {"rows": "both", "selective": "mlcr"}, without=_SINGLE
            ),
            "clean-selective": Variant(
                "verified rows, selective learning: ReCoT Table 4(b), + ensemble",
                {"rows": "clean", "selective": "mlcr"},
                _VERIFIED,
                _SINGLE,
            ),
            "noisy-selective": Variant(
                "unverified rows, selective learning", {"rows": "noisy", "selective": "mlcr"}, _VERIFIED, _SINGLE
            ),
        }
    )
    share: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: EnsembleParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network1 = Network(make_encoder, task.num_classes, peer=0)
        self.network2 = Network(make_encoder, task.num_classes, peer=1)
        self.selective = task.kind == "multi" and params.selective != "none"
        # A buffer so that it moves to the module's device; not persistent, since it follows from the labels.
        self.register_buffer("share", torch.full((task.num_classes,), math.nan), persistent=False)

    def prepare(self, train: TrainView) -> None:
        """Computes the target shares of the AUs from the rows trained on."""
        if self.selective:
            chosen = train.labels[choose_rows(train.verified, self.params.rows)]
            self.share.copy_(balance_targets(self.task.names, positive_frequency(chosen)))

    def loss(self, batch: Batch) -> Step:
        """Sum of the two networks' mean losses over the chosen rows; no update if these have no known label."""
        kind = self.task.kind
        chosen = choose_rows(batch.verified, self.params.rows)
        single, everything = kind == "single", self.params.rows == "both"
        used = chosen if single else chosen & (batch.labels != 0).any(dim=1)
        weight = used.float().expand(2, -1)
        if not (single and everything) and not bool(used.any()):
            return Step(loss=None, weight=weight)
        # row numbers: a mask would count its rows on the device at every use
        rows = slice(None) if everything else chosen.nonzero()[:, 0]
        images, labels = batch.images[0][rows], batch.labels[rows]
        logits1, logits2 = self.network1(images), self.network2(images)
        if self.selective:
            mode, generator = self.params.selective, batch.generator
            loss1, balance1 = selective_loss(logits1, labels, self.share, mode, generator)
            loss2, balance2 = selective_loss(logits2, labels, self.share, mode, generator)
            loss = loss1 + loss2
            weight = torch.zeros(2, *batch.labels.shape, device=labels.device)
            weight[:, rows] = torch.stack([balance1, balance2]).float()
        else:
            loss = label_loss(logits1, labels, kind) + label_loss(logits2, labels, kind)
        probabilities = mean_probabilities(logits1.detach(), logits2.detach(), self.task.kind) if everything else None
        return Step(loss, probabilities, weight)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C], the mean of the two networks'."""
        return mean_probabilities(self.network1(images), self.network2(images), self.task.kind)
