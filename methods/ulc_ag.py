"""ULC-AG: a learnt confidence finds uncertain expression labels, which are corrected by action unit similarity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, Variant, sourced
from .losses import binary_cross_entropy, full_precision, label_loss
from .selection import rank_regularization, write_rows


@dataclass(frozen=True)
class ULCAGParams:
    """Hyper-parameters of ULC-AG."""

    high_ratio: float = sourced(0.8, "paper §III-B: φ")
    margin: float = sourced(0.15, "paper §III-B: θ")
    channels: int = sourced(64, "paper §III-B: channels of each graph layer")
    slope: float = sourced(0.01, "unstated: ours, the usual slope of a leaky ReLU; eq. (6) gives none")
    ramp_epochs: int = sourced(10, "unstated: ours, β of eqs. (12)-(13); the only number of epochs in the paper")
    relabel_from: int = sourced(10, "paper §III-B: relabelling starts after 10 epochs")
    auxiliary_from: int = sourced(0, "paper eqs. (12)-(13): full weight from the start; the text of §III-B says 10")
    stated_for: int = sourced(40, "unstated: ours, epochs of training; the paper gives no number")
    target: bool = sourced(True, "paper §II-B: weighted regularisation; ablated in Table I")
    auxiliary: bool = sourced(True, "paper §II-C, II-D: action unit graph and relabelling; ablated in Table I")
    relabel: bool = sourced(True, "paper §II-D")
    edges: Literal["data", "random"] = sourced("data", "paper eq. (5); Table II has random edges")
    relabel_reference: Literal["current", "original"] = sourced(
        "current", "unstated: ours, corrections persist; 'org' of eq. (10) may also mean the given label"
    )


@torch.no_grad()
def class_weights(labels: Tensor, num_classes: int) -> Tensor:
    """Weight of each class in a batch: γ_j = 1 - N_j/N.

    Takes the current labels, int64 [B]; returns float64 [C] in [0, 1], 1 for a class without rows; no gradient. Paper
    eq. (2).
    """
    classes = torch.arange(num_classes, device=labels.device)
    return 1.0 - (labels[:, None] == classes).sum(dim=0).double() / max(1, len(labels))


def weighted_cross_entropy(logits: Tensor, labels: Tensor, confidence: Tensor, class_weight: Tensor) -> Tensor:
    """Cross-entropy of scaled logits: all C logits of row i times α_i·γ_{y_i}; mean over the batch.

    Args:
        logits: float [B, C], unscaled.
        labels: int64 [B].
        confidence: α in (0, 1), [B] or [B, 1].
        class_weight: γ [C], without gradient; the weight of a row's label scales the whole row.

    Returns:
        Scalar with gradient to logits and confidence; 0 for B = 0, log C without gradient where every γ_{y_i} is 0.

    Source: paper eq. (3).
    """
    logits = full_precision(logits)
    scale = confidence.flatten() * class_weight.detach().to(logits.dtype)[labels]
    return F.cross_entropy(scale[:, None] * logits, labels, reduction="sum") / max(1, len(labels))


@torch.no_grad()
def cooccurrence(au_labels: Tensor) -> Tensor:
    """Conditional probability of AU p given AU q: A[p, q] = P(p | q) = #(p and q) / #q, not normalised.

    Args:
        au_labels: [N, M] in {-1, 0, +1}; only +1 counts as present, unknown entries count as absent.

    Returns:
        float64 [M, M] in [0, 1], diagonal 1; row and column of an AU that never occurs are 0. No gradient.

    Source: paper eq. (5).
    """
    occurs = (au_labels > 0).double()
    return (occurs.T @ occurs) / occurs.sum(dim=0).clamp(min=1)


def graph_convolution(nodes: Tensor, adjacency: Tensor, weight: Tensor, slope: float = 0.01) -> Tensor:
    """One graph layer: LeakyReLU(Ā X W), where Ā is the adjacency with each row divided by its sum.

    Args:
        nodes: X, float [B, M, D].
        adjacency: A ≥ 0, [M, M]; a row of zeros remains zero.
        weight: W [D, D'].
        slope: of the leaky ReLU below zero.

    Returns:
        Float [B, M, D'] with gradient to nodes and weight.

    Source: paper eq. (6).
    """
    total = adjacency.sum(dim=1, keepdim=True)
    normalised = adjacency / torch.where(total > 0, total, 1.0)
    return F.leaky_relu(normalised.to(nodes.dtype) @ nodes @ weight, slope)


def auxiliary_loss(logits: Tensor, aux: Tensor, confidence: Tensor) -> Tensor:
    """Binary cross-entropy summed over the known AUs of a row, times the row's confidence, mean over the batch.

    Args:
        logits: float [B, M].
        aux: [B, M] in {-1, 0, +1}, 0 unknown; the divisor is always B.
        confidence: α, [B] or [B, 1], detached: this loss could only decrease it.

    Returns:
        Scalar with gradient to the logits; 0 when nothing is known.

    Source: paper eq. (7).
    """
    losses = (binary_cross_entropy(logits, aux > 0) * (aux != 0)).sum(dim=1)
    return (confidence.detach().flatten() * losses).sum() / max(1, len(aux))


@torch.no_grad()
def confidence_groups(confidence: Tensor, high_ratio: float) -> tuple[Tensor, Tensor]:
    """Rows of the K = int(φ·B) highest confidences, ties in row order, and the other rows.

    Takes [B] and φ in [0, 1]; returns int64 [K] and [B - K], each in row order, no gradient. These are the groups of
    `rank_regularization`. Paper §II-B.
    """
    order = torch.sort(confidence.detach(), descending=True, stable=True).indices
    count = int(high_ratio * len(confidence))
    return order[:count].sort().values, order[count:].sort().values


@torch.no_grad()
def semantic_templates(
    semantics: Tensor, confidence: Tensor, labels: Tensor, num_classes: int
) -> tuple[Tensor, Tensor]:
    """The mean of α·s over the high-confidence rows of each class.

    Args:
        semantics: s, float [K, M], high-confidence rows only.
        confidence: α [K].
        labels: int64 [K], current labels.
        num_classes: C.

    Returns:
        (T, present): float [C, M], zeros for a class without a row, and bool [C]; no gradient.

    Source: paper eq. (8).
    """
    semantics = full_precision(semantics)
    member = labels == torch.arange(num_classes, device=labels.device)[:, None]
    count = member.sum(dim=1, keepdim=True)
    weighted = confidence.flatten()[:, None].to(semantics.dtype) * semantics
    return member.to(semantics.dtype) @ weighted / count.clamp(min=1), count[:, 0] > 0


@torch.no_grad()
def semantic_relabel(semantics: Tensor, templates: Tensor, labels: Tensor, present: Tensor) -> Tensor:
    """The class of the nearest template in cosine distance, where it is nearer than the label's own; else the label.

    Args:
        semantics: s, float [R, M], low-confidence rows only.
        templates: T [C, M].
        labels: int64 [R], the labels to keep or replace; kept where the template of their class is missing.
        present: bool [C], classes with a template.

    Returns:
        int64 [R]; of equally near templates the first class. A vector of zeros has distance 1 to every template. No
        gradient.

    Source: paper eqs. (9)-(10).
    """
    # Elementwise instead of a matrix product, with a tolerance: parallel templates must have equal distances.
    cosine = (_unit(semantics)[:, None, :] * _unit(templates)[None, :, :]).sum(dim=2)
    distance = (1.0 - cosine).masked_fill(~present, math.inf)
    nearest = distance.argmin(dim=1)
    own, least = (distance.gather(1, of[:, None]).squeeze(1) for of in (labels, nearest))
    return torch.where(present[labels] & (own - least > _rounding(templates.dtype)), nearest, labels)


def _rounding(dtype: torch.dtype) -> float:
    """Tolerance for the rounding error of cosines of vectors of a dtype."""
    return 1e-12 if dtype == torch.float64 else 1e-6


def _unit(vectors: Tensor) -> Tensor:
    """Rows scaled to length 1, in float64; rows of zeros stay zero."""
    vectors = vectors.double()
    return F.normalize(vectors, dim=1, eps=torch.finfo(torch.float64).tiny)


def target_ramp(epoch: float, beta: float) -> float:
    """Weight λ₁ of the target branch: exp(-(1 - epoch/β)²) up to β, then 1.

    Args:
        epoch: 0-based.
        beta: epochs > 0, else ValueError.

    Source: paper eq. (12).
    """
    if beta <= 0:
        raise ValueError(f"beta {beta}: must be positive")
    return math.exp(-((1.0 - epoch / beta) ** 2)) if epoch <= beta else 1.0


def auxiliary_ramp(epoch: float, beta: float) -> float:
    """Weight λ₂ of the auxiliary branch: 1 up to β, then exp(-(1 - β/epoch)²).

    Args:
        epoch: 0-based.
        beta: epochs > 0, else ValueError.

    Source: paper eq. (13).
    """
    if beta <= 0:
        raise ValueError(f"beta {beta}: must be positive")
    return 1.0 if epoch <= beta else math.exp(-((1.0 - beta / epoch) ** 2))


class AuxiliaryBranch(nn.Module):
    """Features of M AUs as graph nodes, two graph layers, and one classifier over all nodes (paper Fig. 4)."""

    def __init__(self, num_features: int, num_aus: int, params: ULCAGParams) -> None:
        super().__init__()
        self.nodes = nn.Linear(num_features, num_aus * params.channels)
        size = (params.channels, params.channels)
        self.weights = nn.ParameterList(nn.init.xavier_uniform_(torch.empty(size)) for _ in range(2))
        self.head = nn.Linear(num_aus * params.channels, num_aus)
        self.slope = params.slope

    def forward(self, pooled: Tensor, adjacency: Tensor) -> Tensor:
        """Semantic features [B, M], which are the logits of the AUs."""
        nodes = self.nodes(pooled).unflatten(1, (len(adjacency), -1))
        for weight in self.weights:
            nodes = graph_convolution(nodes, adjacency, weight, self.slope)
        semantics: Tensor = self.head(nodes.flatten(1))
        return full_precision(semantics)


class ULCAG(Method):
    """Confidence-weighted classification with an auxiliary AU graph branch that relabels low-confidence samples.

    Reference: Liu, Zhang, Kauttonen & Zhao, "Uncertain label correction via auxiliary action unit graphs for facial
    expression recognition", ICPR 2022; no code was released. Prediction uses the target branch only.

    The template of a class is replaced by every batch with a high-confidence row of that class. From epoch
    `relabel_from` (0-based) on, the low-confidence rows of a batch are relabelled from the outputs computed before its
    update; this takes effect the next time they are in a batch. Without the target branch the classes are learnt by
    plain cross-entropy, and the confidence, which then only weights AUs and templates, is learnt on detached features
    and logits. Buffers per training row: `memory`, the current labels, and `confidence`, the latest one (0 initially).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single", "aux"})
    Params = ULCAGParams
    params: ULCAGParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "no-target": Variant("auxiliary branch alone (Table I)", {"target": False}),
            "no-auxiliary": Variant("target branch alone (Table I)", {"auxiliary": False}, without=frozenset({"aux"})),
            "no-relabel": Variant("both branches, labels left as given", {"relabel": False}),
            "random-edges": Variant("random edges of the action unit graph (Table II)", {"edges": "random"}),
            "late-auxiliary": Variant("auxiliary loss from epoch 10 on (text of §III-B)", {"auxiliary_from": 10}),
            "original": Variant("compares with the given label at every draw", {"relabel_reference": "original"}),
        }
    )
    memory: Tensor
    confidence: Tensor
    templates: Tensor
    present: Tensor
    adjacency: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: ULCAGParams) -> None:
        super().__init__(task, make_encoder, params)
        if not (params.target or params.auxiliary):
            raise ValueError("ULC-AG without both branches is plain supervised training: run supervised")
        self.network = Network(make_encoder, task.num_classes)
        features = self.network.encoder.num_features
        self.attention = nn.Linear(features, 1)
        self.register_buffer("memory", torch.zeros(task.train_size, dtype=torch.int64))
        self.register_buffer("confidence", torch.zeros(task.train_size))
        self.branch: AuxiliaryBranch | None = None
        if params.auxiliary:
            num_aus = len(task.aux_names)
            if num_aus == 0:
                raise ValueError("ULC-AG needs auxiliary AU labels, and the task has none")
            self.branch = AuxiliaryBranch(features, num_aus, params)
            self.register_buffer("templates", torch.zeros(task.num_classes, num_aus))
            self.register_buffer("present", torch.zeros(task.num_classes, dtype=torch.bool))
            # Drawn last, so that the initial weights are the same with random and with counted edges.
            self.register_buffer("adjacency", torch.rand(num_aus, num_aus))
        self.beta = max(1, task.scaled_epochs(params.ramp_epochs, params.stated_for))
        self.relabel_from = task.scaled_epochs(params.relabel_from, params.stated_for)
        self.auxiliary_from = task.scaled_epochs(params.auxiliary_from, params.stated_for)

    def prepare(self, train: TrainView) -> None:
        """Initialises the label memory with the given labels and computes the edges from the training AU labels."""
        self.memory.copy_(train.labels)
        if self.branch is not None and self.params.edges == "data":
            self.adjacency.copy_(cooccurrence(_given(train.aux)))

    def loss(self, batch: Batch) -> Step:
        """The loss λ₁/2·(L_wce + L_rr) + λ₂·L_au on the labels in memory (eq. 11); then corrects labels in memory."""
        labels = self.memory[batch.index]
        pooled, _ = self.network.encoder(batch.images[0])
        logits = self.network.head(pooled)
        probabilities = full_precision(logits.detach()).softmax(dim=1)
        confidence, target_loss = self._target_branch(pooled, logits, labels)
        known_confidence = confidence.detach()
        write_rows(self.confidence, batch.index, known_confidence)
        ramp = target_ramp(batch.epoch, self.beta)
        loss = ramp / 2 * target_loss
        high, low = confidence_groups(confidence, self.params.high_ratio)
        logs: dict[str, float | Tensor] = {
            "confidence_high": known_confidence[high].sum() / max(1, len(high)),
            "confidence_low": known_confidence[low].sum() / max(1, len(low)),
            "target_ramp": ramp,
        }
        if self.branch is not None:
            semantics = self.branch(pooled, self.adjacency)
            late = batch.epoch < self.auxiliary_from
            logs["auxiliary_ramp"] = weight = 0.0 if late else auxiliary_ramp(batch.epoch, self.beta)
            if not late:  # a loss times zero would still let the optimiser update the branch
                loss = loss + weight * auxiliary_loss(semantics, _given(batch.aux), known_confidence)
            logs["relabelled"] = self._correct(batch, semantics.detach(), known_confidence, labels, high, low)
        trained_on = known_confidence[None] if self.params.target else None
        return Step(loss, probabilities, trained_on, labels[None], logs)

    def _target_branch(self, pooled: Tensor, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Confidence [B] and L_wce + L_rr; without the target branch these see detached features, and L_ce is added."""
        params = self.params
        plain = logits.new_zeros(())
        if not params.target:
            plain = label_loss(logits, labels, "single")
            pooled, logits = pooled.detach(), logits.detach()
        confidence = full_precision(self.attention(pooled)).squeeze(1).sigmoid()
        gamma = class_weights(labels, self.task.num_classes)
        weighted = weighted_cross_entropy(logits, labels, confidence, gamma)
        return confidence, plain + weighted + rank_regularization(confidence, params.high_ratio, params.margin)

    def _correct(
        self, batch: Batch, semantics: Tensor, confidence: Tensor, labels: Tensor, high: Tensor, low: Tensor
    ) -> float | Tensor:
        """Updates templates from the high-confidence rows and relabels the others; returns the number of changes."""
        templates, present = semantic_templates(semantics[high], confidence[high], labels[high], self.task.num_classes)
        self.templates.copy_(torch.where(present[:, None], templates, self.templates))
        self.present.logical_or_(present)
        if not self.params.relabel or batch.epoch < self.relabel_from:
            return 0.0
        doubted = labels if self.params.relabel_reference == "current" else batch.labels
        renewed = semantic_relabel(semantics[low], self.templates, doubted[low], self.present)
        write_rows(self.memory, batch.index[low], renewed)
        return (renewed != labels[low]).sum().float()

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C] of the target branch's classifier, from unscaled logits."""
        logits: Tensor = self.network(images)
        return logits.softmax(dim=1)


def _given(aux: Tensor | None) -> Tensor:
    """The auxiliary AU labels; ValueError where there are none."""
    if aux is None:
        raise ValueError("ULC-AG needs auxiliary AU labels, and none were handed over")
    return aux
