"""HLC (Xia et al., ICCV 2023): labels of a row are swapped where its own labels score far below the likely ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, Variant, sourced
from ..methods.losses import full_precision, masked_bce
from ..methods.selection import write_rows

__all__ = ["HLC", "HLCParams", "LabelGraph", "correction_threshold", "hlc_correct", "holistic_score"]

SLOPE = 0.2  # authors' code, gcn_ours.py: of every leaky ReLU
LEAST_WIDTH = 16


@dataclass(frozen=True)
class HLCParams:
    """Hyper-parameters of HLC."""

    delta: float = sourced(0.4, "authors' code, main.py:51 (xiaoboxia/HLC @dbd72da): δ")
    beta: float = sourced(0.5, "authors' code, main.py:50: β")
    start: int = sourced(5, "authors' code, main.py:41: epoch_update_start")
    stop: int = sourced(10, "authors' code, main.py:327: the threshold is 0 from epoch 10 on")
    stated_for: int = sourced(30, "authors' code, main.py:36: n_epoch")
    graph: bool = sourced(True, "authors' code, gcn_ours.py: dependencies from a graph over the labels")
    correct: bool = sourced(True, "authors' code, main.py:330-333")
    correct_verified: bool = sourced(False, "unstated: ours; the authors have no verified rows")


def correction_threshold(epoch: int, delta: float = 0.4, start: int = 5, stop: int = 10) -> float:
    """Largest ratio of scores at which a row is corrected: δ·max(0, (stop - epoch)/(stop - start)), δ at `start`.

    Args:
        epoch: 0-based; rows are corrected from `start` on, and no more from `stop` on.
        delta: δ.
        start: first epoch of correction.
        stop: first epoch without.

    Raises:
        ValueError: stop ≤ start.

    Source: authors' code, main.py:327 (xiaoboxia/HLC @dbd72da).
    """
    if stop <= start:
        raise ValueError(f"stop {stop}: must be larger than start {start}")
    return delta * max(0.0, (stop - epoch) / (stop - start))


def holistic_score(probabilities: Tensor, dependency: Tensor, chosen: Tensor, beta: float) -> Tensor:
    """Score of a set S of labels of each row: β·Σ_{l∈S} p_l + (1-β)·Σ_{a,b∈S, a≠b} A[a, b].

    Args:
        probabilities: p, float [N, L].
        dependency: A, float [N, L, L]; both orders of a pair count, the diagonal does not.
        chosen: S, bool [N, L].
        beta: β in [0, 1].

    Returns:
        Float [N]; 0 for an empty set. It is not divided by the size of the set.

    Source: authors' code, main.py:200-203, 252-259 (xiaoboxia/HLC @dbd72da).
    """
    p, dependency = full_precision(probabilities), full_precision(dependency)
    others = ~torch.eye(p.shape[1], dtype=torch.bool, device=p.device)
    pairs = chosen[:, :, None] & chosen[:, None, :] & others
    return beta * (p * chosen).sum(dim=1) + (1 - beta) * (dependency * pairs).sum(dim=(1, 2))


@torch.no_grad()
def hlc_correct(
    probabilities: Tensor, dependency: Tensor, labels: Tensor, threshold: float, beta: float = 0.5
) -> Tensor:
    """The k most probable known labels as positives, where a row's own k positives score far below them.

    Args:
        probabilities: float [N, L].
        dependency: float [N, L, L].
        labels: current labels [N, L] in {-1, 0, +1}; 0 stays unknown.
        threshold: a row is corrected where score(own) ≤ threshold·score(likely), and score(likely) > 0; 0: nowhere.
        beta: β of `holistic_score`.

    Returns:
        [N, L] of the dtype of the labels, no gradient; a row keeps its number of positives. Of equal probabilities the
        lower column comes first.

    Source: authors' code, main.py:189-215 (xiaoboxia/HLC @dbd72da); the treatment of unknown labels is ours.
    """
    if threshold <= 0:
        return labels.clone()
    known, own = labels != 0, labels > 0
    ranked = torch.where(known, full_precision(probabilities), -math.inf)
    rank = ranked.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    likely = rank < own.sum(dim=1, keepdim=True)
    score, best = (holistic_score(probabilities, dependency, chosen, beta) for chosen in (own, likely))
    doubted = (best > 0) & (score <= threshold * best)
    swapped = torch.where(likely, 1, -known.to(labels.dtype))
    return torch.where(doubted[:, None], swapped, labels)


class LabelGraph(nn.Module):
    """A head that turns feature maps into logits, and into the dependencies of each image's labels.

    Args:
        channels: D, of the maps.
        num_labels: L.
        width: W, of the features of a label.

    Source: authors' code, gcn_ours.py (xiaoboxia/HLC @dbd72da), after ADD-GCN (Ye et al., ECCV 2020).
    """

    def __init__(self, channels: int, num_labels: int, width: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, num_labels, 1, bias=False)
        self.transform = nn.Conv2d(channels, width, 1)
        self.static_nodes = nn.Conv1d(num_labels, num_labels, 1, bias=False)
        self.static_features = nn.Conv1d(width, width, 1)
        self.global_features = nn.Conv1d(width, width, 1)
        self.global_norm = nn.BatchNorm1d(width)
        self.edges = nn.Conv1d(2 * width, num_labels, 1)
        self.dynamic_features = nn.Conv1d(width, width, 1)
        self.classify = nn.Conv1d(width, num_labels, 1)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """(logits [N, L], dependency [N, L, L] in (0, 1)) of maps [N, D, h, w]."""
        scores = self.score(maps).flatten(2)
        nodes = self.transform(maps).flatten(2) @ scores.sigmoid().transpose(1, 2)  # [N, W, L], a sum over places
        mixed = _leaky(self.static_nodes(nodes.transpose(1, 2))).transpose(1, 2)
        joined = nodes + _leaky(self.static_features(mixed))
        dependency = self._dependency(joined)
        related = nodes + _leaky(self.dynamic_features(_leaky(joined @ dependency)))
        each = self.classify(related).diagonal(dim1=1, dim2=2)
        return (scores.max(dim=2).values + each) / 2, dependency

    def _dependency(self, joined: Tensor) -> Tensor:
        """A [N, L, L] of label features [N, W, L]: row a from output channel a, column b from label b."""
        whole = _leaky(self._normalised(self.global_features(joined.mean(dim=2, keepdim=True))))
        edges: Tensor = self.edges(torch.cat([whole.expand_as(joined), joined], dim=1))
        return edges.sigmoid()

    def _normalised(self, whole: Tensor) -> Tensor:
        """Batch normalisation of [N, W, 1]; a single row has no statistics of its own and takes the running ones."""
        norm = self.global_norm
        if len(whole) == 1:
            return F.batch_norm(whole, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        normalised: Tensor = norm(whole)
        return normalised


def _leaky(values: Tensor) -> Tensor:
    return F.leaky_relu(values, SLOPE)


class HLC(Method):
    """Plain training, then correction of each row by its holistic score: probabilities and dependencies of its labels.

    Reference: Xia, Deng, Bao, Du, Han, Shen & Liu, "Holistic label correction for noisy multi-label classification",
    ICCV 2023; code xiaoboxia/HLC. A row keeps its number of positives, so that only a positive on the wrong AU is
    mended. Flips of single AU labels, which add or remove a positive, can at best be swapped for another error.

    From epoch `start` on, the current labels of a batch are corrected by its own outputs before it trains on them; the
    corrected labels are those of the next epoch. The threshold falls to 0 at epoch `stop`, after which labels stay. The
    dependencies have no loss of their own. Since the head itself differs from the other methods' linear one, the
    variant no-correction belongs beside this method. Buffer `bank`: the current labels.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi"})
    Params = HLCParams
    params: HLCParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "no-graph": Variant("a linear head, and scores of probabilities alone", {"graph": False, "beta": 1.0}),
            "label-dependence-only": Variant("scores of label dependencies alone", {"beta": 0.0}),
            "no-correction": Variant("the head with labels left as given", {"correct": False}),
        }
    )
    bank: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: HLCParams) -> None:
        super().__init__(task, make_encoder, params)
        if params.graph:
            self.encoder = make_encoder()
            channels = self.encoder.num_features // (getattr(self.encoder, "tokens", 0) or 1)
            self.head = LabelGraph(channels, task.num_classes, max(LEAST_WIDTH, channels // 2))
        else:
            self.network = Network(make_encoder, task.num_classes)
        self.start = task.scaled_epochs(params.start, params.stated_for)
        self.stop = max(self.start + 1, task.scaled_epochs(params.stop, params.stated_for))
        self.register_buffer("bank", torch.zeros(task.train_size, task.num_classes, dtype=torch.int8))

    def prepare(self, train: TrainView) -> None:
        """Initialises the current labels with the given ones."""
        self.bank.copy_(train.labels)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(logits [B, L], dependency [B, L, L]); without the graph, dependencies of 0."""
        if self.params.graph:
            _, maps = self.encoder(images)
            logits, dependency = self.head(maps)
            return logits, dependency
        logits = self.network(images)
        return logits, logits.new_zeros(*logits.shape, logits.shape[1])

    def loss(self, batch: Batch) -> Step:
        """Corrects the current labels of the batch, and trains on them."""
        labels = torch.where(batch.labels == 0, 0, self.bank[batch.index].to(batch.labels.dtype))
        logits, dependency = self(batch.images[0])
        logs: dict[str, float | Tensor] = {"corrected": 0.0}
        if self.params.correct and batch.epoch >= self.start:
            corrected = self._corrected(logits, dependency, labels, batch)
            logs["corrected"] = (corrected != labels).any(dim=1).double().mean()
            labels = corrected
            write_rows(self.bank, batch.index, labels)
        weight = (labels != 0)[None].float()
        return Step(masked_bce(logits, labels), logits.detach().sigmoid(), weight, labels[None], logs)

    @torch.no_grad()
    def _corrected(self, logits: Tensor, dependency: Tensor, labels: Tensor, batch: Batch) -> Tensor:
        """The labels [B, L] after this epoch's correction; those of verified rows stay."""
        threshold = correction_threshold(batch.epoch, self.params.delta, self.start, self.stop)
        corrected = hlc_correct(full_precision(logits).sigmoid(), dependency, labels, threshold, self.params.beta)
        if self.params.correct_verified:
            return corrected
        return torch.where(batch.verified[:, None], labels, corrected)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L]."""
        logits: Tensor = self(images)[0]
        return logits.sigmoid()
