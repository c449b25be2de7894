"""SCN, the self-cure network (Wang et al., CVPR 2020): attention weights for samples, relabelling of low weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, Variant, sourced
from ..methods.losses import full_precision, label_loss
from ..methods.selection import rank_regularization, write_rows

__all__ = ["SCN", "SCNParams", "rank_regularization", "scn_relabel"]

Scope = Literal["low", "all"]


@dataclass(frozen=True)
class SCNParams:
    """Hyper-parameters of SCN."""

    high_ratio: float = sourced(0.7, "authors' code, src/train.py:22-32 (kaiwang960112/Self-Cure-Network @9f4c3ad): β")
    rank_margin: float = sourced(
        0.15, "authors' code, src/train.py:22-32: margin_1; their README advises 0.07 for batches of 64"
    )
    relabel_margin: float = sourced(0.2, "authors' code, src/train.py:22-32: margin_2")
    warm_up: int = sourced(9, "authors' code, src/train.py:250: relabels from its tenth epoch on (9 counted from 0)")
    warm_up_stated_for: tuple[int, ...] = sourced(
        (40, 70),
        "authors' code: 70 epochs; unstated: ours, the same epochs for 40, scaled for other lengths of training",
    )
    scope: Scope = sourced("low", "paper §3: the low-importance group only; authors' code, src/train.py:250-258: all")
    relabel: bool = sourced(True, "paper §3; False: attention and rank regularisation only")


@torch.no_grad()
def scn_relabel(
    weighted_logits: Tensor, labels: Tensor, attention: Tensor, high_ratio: float, margin: float, scope: Scope
) -> Tensor:
    """The most probable class, where its probability exceeds the label's by more than a margin; else the label.

    Args:
        weighted_logits: float [B, C], logits times attention.
        labels: int64 [B], current labels.
        attention: float [B] or [B, 1].
        high_ratio: the int(high_ratio·B) rows of highest attention are the high group, ties in row order.
        margin: a label is replaced where p_max - p_label > margin, on the softmax of the weighted logits.
        scope: "low": only rows outside the high group; "all": every row.

    Returns:
        int64 [B], no gradient.

    Raises:
        ValueError: an unknown scope.

    Source: authors' code, src/train.py:218, 250-258 (scope "all"); the paper relabels the low group only.
    """
    if scope not in ("low", "all"):
        raise ValueError(f"scope {scope!r}: low or all")
    probabilities = full_precision(weighted_logits).softmax(dim=1)
    highest, preferred = probabilities.max(dim=1)
    given = probabilities.gather(1, labels[:, None]).squeeze(1)
    doubted = highest - given > margin
    if scope == "low":
        order = torch.sort(full_precision(attention).flatten(), descending=True, stable=True).indices
        low = torch.ones_like(doubted)
        low[order[: int(high_ratio * len(labels))]] = False
        doubted &= low
    return torch.where(doubted, preferred, labels)


class SCN(Method):
    """Logits scaled by a learnt attention weight with rank regularisation; uncertain samples relabelled permanently.

    Reference: Wang et al., "Suppressing uncertainties for large-scale facial expression recognition", CVPR 2020; code
    kaiwang960112/Self-Cure-Network. Cross-entropy of the weighted logits and rank regularisation have equal weight. New
    labels are computed from the training-mode logits before the update and take effect the next time the sample is in a
    batch.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    Params = SCNParams
    params: SCNParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "all": Variant("relabels in the high group too, as in the authors' code", {"scope": "all"}),
            "margin-0.07": Variant("the authors' rank margin for small batches", {"rank_margin": 0.07}),
            "no-relabel": Variant("attention and rank regularisation alone", {"relabel": False}),
        }
    )
    memory: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: SCNParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        self.attention = nn.Linear(self.network.encoder.num_features, 1)
        self.register_buffer("memory", torch.zeros(task.train_size, dtype=torch.int64))
        self.warm_up = task.scaled_epochs(params.warm_up, *params.warm_up_stated_for)

    def prepare(self, train: TrainView) -> None:
        """Initialises the label memory with the given labels."""
        self.memory.copy_(train.labels)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(attention [B, 1] in (0, 1), weighted logits [B, C]); the attention also scales the bias."""
        pooled, _ = self.network.encoder(images)
        attention = self.attention(pooled).sigmoid()
        return attention, attention * self.network.head(pooled)

    def loss(self, batch: Batch) -> Step:
        """Loss on the current labels in memory; then updates the memory for the sample's next batch."""
        params = self.params
        labels = self.memory[batch.index]
        attention, logits = self(batch.images[0])
        ranking = rank_regularization(attention, params.high_ratio, params.rank_margin)
        logs: dict[str, float | Tensor] = {"rank_loss": ranking.detach(), "relabelled": 0.0}
        if params.relabel and batch.epoch >= self.warm_up:
            renewed = scn_relabel(logits, labels, attention, params.high_ratio, params.relabel_margin, params.scope)
            write_rows(self.memory, batch.index, renewed)
            logs["relabelled"] = (renewed != labels).sum().float()
        return Step(
            label_loss(logits, labels, "single") + ranking,
            logits.detach().softmax(dim=1),
            torch.ones(1, len(labels), device=labels.device),
            labels[None],
            logs,
        )

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C], the softmax of the weighted logits."""
        _, logits = self(images)
        probabilities: Tensor = logits.softmax(dim=1)
        return probabilities
