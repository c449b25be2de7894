"""Standard supervised training on the given labels: the baseline of every paper."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Step, Task, TrainView, Variant, sourced
from ..methods.clean_loss import clean_loss
from ..methods.losses import label_loss
from ..methods.networks import Network, to_probabilities
from ..methods.selection import SelectiveMode, balance_targets, choose_rows, positive_frequency, selective_weights

__all__ = ["Supervised", "SupervisedParams", "selective_loss"]

_VERIFIED, _SINGLE = frozenset({"verified"}), frozenset({"single"})


@dataclass(frozen=True)
class SupervisedParams:
    """Hyper-parameters of supervised training."""

    rows: Literal["both", "clean", "noisy"] = sourced(
        "both", "rows as in ReCoT Table 4(a), (C), (N), (C+N); all rows where none are verified"
    )
    selective: Literal["none", "mlcr", "hand"] = sourced(
        "none",
        "unstated: ours; ReCoT's and MLCR's baselines balance AUs (eq. 2), as the variants *-selective; AUs only",
    )


def selective_loss(
    logits: Tensor, labels: Tensor, share: Tensor, mode: SelectiveMode, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy balanced by selective learning: ReCoT's clean loss, and the weights used.

    Args:
        logits: float [N, L].
        labels: [N, L] in {-1, 0, +1}, 0 unknown.
        share: [L] target share of positives.
        mode: "none", "mlcr" or "hand", see `selective_weights`.
        generator: the only source of randomness.

    Returns:
        (loss, weight): scalar with gradient, divided by N·L; [N, L] ≥ 0 without gradient.

    Source: ReCoT eq. (2), the loss of the baselines in its Table 4(a).
    """
    weight = selective_weights(labels, share, mode, generator)
    return clean_loss(logits, labels, weight), weight


class Supervised(Method):
    """One network trained with cross-entropy over classes or binary cross-entropy over the known AU labels.

    The three choices of rows are those of ReCoT (Li et al., BMVC 2023), Table 4(a). All known labels have equal weight,
    except in the variants with selective learning, which balance each AU of a batch as ReCoT's baselines do. Rows that
    are not trained on are not forwarded, so that batch normalisation only sees the rows trained on.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single", "multi"})
    Params = SupervisedParams
    params: SupervisedParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "both": Variant("clean and noisy rows alike", {"rows": "both"}),
            "clean": Variant("verified rows only", {"rows": "clean"}, frozenset({"verified"})),
            "noisy": Variant("unverified rows only", {"rows": "noisy"}, frozenset({"verified"})),
            "both-selective": Variant(
                "clean and noisy rows, selective learning: ReCoT Table 4(a), (C+N)",
                {"rows": "both", "selective": "mlcr"},
                without=_SINGLE,
            ),
            "clean-selective": Variant(
                "verified rows, selective learning: ReCoT Table 4(a), (C)",
                {"rows": "clean", "selective": "mlcr"},
                _VERIFIED,
                _SINGLE,
            ),
            "noisy-selective": Variant(
                "unverified rows, selective learning: ReCoT Table 4(a), (N)",
                {"rows": "noisy", "selective": "mlcr"},
                _VERIFIED,
                _SINGLE,
            ),
            "clean-hand": Variant(
                "verified rows, selective learning as Hand et al. state it",
                {"rows": "clean", "selective": "hand"},
                _VERIFIED,
                _SINGLE,
            ),
        }
    )
    share: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: SupervisedParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        self.selective = task.kind == "multi" and params.selective != "none"
        # A buffer so that it moves to the module's device; not persistent, since it follows from the labels.
        self.register_buffer("share", torch.full((task.num_classes,), math.nan), persistent=False)

    def prepare(self, train: TrainView) -> None:
        """Computes the target shares of the AUs from the rows trained on."""
        if self.selective:
            chosen = train.labels[choose_rows(train.verified, self.params.rows)]
            self.share.copy_(balance_targets(self.task.names, positive_frequency(chosen)))

    def loss(self, batch: Batch) -> Step:
        """Mean loss over the chosen rows; no update if these have no known label."""
        chosen = choose_rows(batch.verified, self.params.rows)
        single, everything = self.task.kind == "single", self.params.rows == "both"
        used = chosen if single else chosen & (batch.labels != 0).any(dim=1)
        weight = used[None].float()
        if not (single and everything) and not bool(used.any()):
            return Step(loss=None, weight=weight)
        # row numbers: a mask would count its rows on the device at every use
        rows = slice(None) if everything else chosen.nonzero()[:, 0]
        images, labels = batch.images[0][rows], batch.labels[rows]
        logits = self.network(images)
        if self.selective:
            loss, balance = selective_loss(logits, labels, self.share, self.params.selective, batch.generator)
            weight = torch.zeros(1, *batch.labels.shape, device=labels.device)
            weight[0, rows] = balance.float()
        else:
            loss = label_loss(logits, labels, self.task.kind)
        probabilities = to_probabilities(logits.detach(), self.task.kind) if everything else None
        return Step(loss, probabilities, weight)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C]."""
        return to_probabilities(self.network(images), self.task.kind)
