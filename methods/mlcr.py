"""MLCR: two networks with dissimilar classifiers and consistent predictions, and a graph over action units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, Variant, mean_probabilities, sourced
from .clean_loss import clean_loss
from .losses import full_precision, js_consistency
from .selection import balance_targets, positive_frequency, selective_weights

EPSILON = 0.001  # authors' code, loss_multi_view_final.py:29: its entropies leave out entries this close to 0 or 1


@dataclass(frozen=True)
class MLCRParams:
    """Hyper-parameters of MLCR."""

    multi_view_factor: float = sourced(400.0, "authors' code, main.py:42 (nxsEdson/MLCR @d2a4850): λ_mv")
    co_regularization_factor: float = sourced(100.0, "authors' code, main.py:41 (nxsEdson/MLCR @d2a4850): λ_cr")
    graph: bool = sourced(True, "poster, AU relationship learning; without it training stays in the first stage")
    graph_from: int = sourced(30, "authors' code, main.py:19: 30 epochs, taken as the length of the first stage")
    graph_from_stated_for: int = sourced(50, "unstated: ours, 30 epochs and a second stage of 20")
    slope: float = sourced(0.2, "authors' code, net/resnet_gcn.py:81; the poster has a ReLU")
    normalized: bool = sourced(True, "authors' code, net/resnet_gcn.py:31-35; the poster has the unnormalised matrix")
    absolute: bool = sourced(True, "authors' code, loss_multi_view_final.py:82; as on the poster, cos = -1 is optimal")
    with_bias: bool = sourced(True, "authors' code, loss_multi_view_final.py:70-73; the poster has the weights alone")
    compat: bool = sourced(False, "poster, L_cr; the authors' code filters its entropies")
    reduction: Literal["mean", "sum"] = sourced("sum", "authors' code, loss_BCE.py:79-82; the poster has 1/C")
    selective: Literal["none", "mlcr", "hand"] = sourced("mlcr", "authors' code, loss_BCE.py:49-77: a_c of the poster")


def multi_view_loss(
    weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, *, absolute: bool = True, with_bias: bool = True
) -> Tensor:
    """Mean over AUs of |cos| between the two views' classifiers [W_k ; b_k]; 0 where they are orthogonal.

    Args:
        weight1: float [L, D] of the first view.
        bias1: float [L].
        weight2: float [L, D] of the second view.
        bias2: float [L].
        absolute: False keeps the sign, as on the poster, so that opposite classifiers are the optimum.
        with_bias: False compares the weights alone, as on the poster.

    Returns:
        Scalar with gradient to both views; a classifier of zeros counts 0.

    Source: poster, L_mv; authors' code, loss_multi_view_final.py:70-82 (nxsEdson/MLCR @d2a4850).
    """
    one = torch.cat([weight1, bias1[:, None]], dim=1) if with_bias else weight1
    two = torch.cat([weight2, bias2[:, None]], dim=1) if with_bias else weight2
    cosine = F.cosine_similarity(full_precision(one), full_precision(two), dim=1)
    return (cosine.abs() if absolute else cosine).mean()


def co_regularization_loss(logits1: Tensor, logits2: Tensor, compat: bool = False) -> Tensor:
    """Divergence of two views' predictions: H((p1+p2)/2) - (H(p1)+H(p2))/2, mean over rows and AUs.

    With `compat`, the form of the authors' code: |H(mean) - (H1+H2)/2|, where each of the three entropies has 0.001
    added inside its logarithm and is averaged over its own entries with 0.001 ≤ p ≤ 0.999; saturated entries are left
    out.

    Args:
        logits1: float [N, L], all rows of the batch, labelled or not.
        logits2: float [N, L].
        compat: the authors' filtered form.

    Returns:
        Scalar ≥ 0 with gradient to both; an average over no entry is 0.

    Source: poster, L_cr; authors' code, loss_multi_view_final.py:93-157 (nxsEdson/MLCR @d2a4850).
    """
    if not compat:
        return js_consistency(logits1, logits2)
    z1, z2 = full_precision(logits1), full_precision(logits2)
    p1, p2 = z1.sigmoid(), z2.sigmoid()
    mean = (p1 + p2) / 2
    apart = _filtered_entropy(p1, p1 * F.logsigmoid(z1)) + _filtered_entropy(p2, p2 * F.logsigmoid(z2))
    together = _filtered_entropy(mean, (mean + EPSILON) * (mean + EPSILON).log())
    return (together - apart / 2).abs()


def _filtered_entropy(p: Tensor, positive_term: Tensor) -> Tensor:
    kept = (p >= EPSILON) & (p <= 1 - EPSILON)
    negative = 1 - p + EPSILON
    return -((positive_term + negative * negative.log()) * kept).sum() / kept.sum().clamp(min=1)


@torch.no_grad()
def dependency(labels: Tensor) -> Tensor:
    """Co-occurrence of AUs, by counting: P[i, j] = ½(P(i = +1 | j = +1) + P(i = -1 | j = -1)).

    2(P - ½) is cov(i, j) / (p_j(1 - p_j)): zero for independent AUs. A row unknown in either AU does not count for the
    pair. P[i, j] is ½ (no relation) where j is always present, or always absent, in the rows with a known i.

    Args:
        labels: [N, L] in {-1, 0, +1}, of training rows only.

    Returns:
        float64 [L, L] in [0, 1], 1 on the diagonal; not symmetric, no gradient.

    Source: poster, P_dep; the treatment of unknown labels is unstated: ours.
    """
    positive, negative = (labels > 0).double(), (labels < 0).double()
    known = positive + negative
    positives, negatives = known.T @ positive, known.T @ negative
    together = (positive.T @ positive) / positives + (negative.T @ negative) / negatives
    defined = (positives > 0) & (negatives > 0)
    return torch.where(defined, together / 2, 0.5).fill_diagonal_(1.0)


def adjacency(dependency: Tensor, normalized: bool = True) -> Tensor:
    """Strength of each AU relation, A = |2(P - ½)|, normalised as D^-½ Aᵀ D^-½ with D the row sums of A.

    Args:
        dependency: P, float [L, L] in [0, 1].
        normalized: False gives A itself, neither transposed nor scaled, as on the poster.

    Returns:
        [L, L] ≥ 0 of the dtype of P; an AU without any relation has a row and column of zeros.

    Source: poster, Â; authors' code, net/resnet_gcn.py:27-35 (nxsEdson/MLCR @d2a4850).
    """
    strength = (2 * (dependency - 0.5)).abs()
    if not normalized:
        return strength
    degree = strength.sum(dim=1)
    scale = torch.where(degree > 0, degree.rsqrt(), 0.0)
    return scale[:, None] * strength.T * scale[None, :]


def graph_classifiers(nodes: Tensor, adjacency: Tensor, h0: Tensor, h1: Tensor, slope: float = 0.2) -> Tensor:
    """Classifiers computed by two graph layers over the AUs: Â·LeakyReLU(Â·X·H0)·H1.

    Args:
        nodes: X, float [L, D+1], a view's weights, its bias in the last column.
        adjacency: Â, float [L, L].
        h0: float [D+1, D+1], shared by the views, like h1.
        h1: float [D+1, D+1].
        slope: of the LeakyReLU; 0 gives the ReLU of the poster.

    Returns:
        Float [L, D+1] with gradient to all inputs: weights, and the bias in the last column.

    Source: poster, AU relationship learning; authors' code, net/resnet_gcn.py:56-97 (nxsEdson/MLCR @d2a4850).
    """
    adjacency = adjacency.to(nodes.dtype)
    hidden = F.leaky_relu(adjacency @ (nodes @ h0), slope)
    return adjacency @ (hidden @ h1)


class MLCR(Method):
    """Two networks on the same image: supervised on verified rows, decorrelated by L_mv, consistent on all by L_cr.

    Reference: Niu, Han, Shan & Chen, "Multi-label co-regularization for semi-supervised facial action unit
    recognition", NeurIPS 2019; code nxsEdson/MLCR. L = ½(L_v1 + L_v2) + λ_mv L_mv + λ_cr L_cr. The labels of unverified
    rows are not used: these are the unlabelled images. After 60% of the epochs the classifiers are computed by the
    graph from a snapshot of the learned ones and trained further with the same losses; L_mv still acts on the raw
    weights. AU relations are counted on the verified rows of the fold's training set; the published BP4D matrix was
    counted on all subjects. Prediction: mean of the two views' probabilities.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi", "verified"})
    Params = MLCRParams
    params: MLCRParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "compat": Variant("co-regularisation with filtered entropies, as in the authors' code", {"compat": True}),
            "paper": Variant(
                "as the poster prints it: signed cosine of the weights, ReLU, plain adjacency, 1/C",
                {"slope": 0.0, "normalized": False, "absolute": False, "with_bias": False, "reduction": "mean"},
            ),
            "no-selective": Variant("supervision without selective learning", {"selective": "none"}),
            "hand": Variant("selective learning as Hand et al. state it", {"selective": "hand"}),
            "no-graph": Variant("without AU relationship learning: one stage", {"graph": False}),
            "no-multi-view": Variant("without the multi-view loss", {"multi_view_factor": 0.0}),
            "no-co-regularization": Variant("without co-regularisation", {"co_regularization_factor": 0.0}),
        }
    )
    share: Tensor
    relations: Tensor
    snapshot: Tensor
    second_stage: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: MLCRParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network1 = Network(make_encoder, task.num_classes, peer=0)
        self.network2 = Network(make_encoder, task.num_classes, peer=1)
        width = self.network1.head.in_features + 1
        bound = 1 / math.sqrt(width)
        self.h0 = nn.Parameter(torch.empty(width, width).uniform_(-bound, bound))
        self.h1 = nn.Parameter(torch.empty(width, width).uniform_(-bound, bound))
        self.boundary = task.scaled_epochs(params.graph_from, params.graph_from_stated_for)
        self.register_buffer("share", balance_targets(task.names, task.frequency))
        self.register_buffer("relations", torch.eye(task.num_classes))
        self.register_buffer("snapshot", torch.zeros(2, task.num_classes, width))
        self.register_buffer("second_stage", torch.zeros((), dtype=torch.bool))

    def prepare(self, train: TrainView) -> None:
        """Computes the relations and target shares of the AUs from the verified rows."""
        labels = train.labels[train.verified]
        self.share.copy_(balance_targets(self.task.names, positive_frequency(labels)))
        self.relations.copy_(adjacency(dependency(labels), self.params.normalized))

    @torch.no_grad()
    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """At the start of the second stage: copies the learned classifiers as fixed nodes of the graph."""
        if self.params.graph and epoch == self.boundary:
            heads = self.network1.head, self.network2.head
            self.snapshot.copy_(torch.stack([torch.cat([h.weight, h.bias[:, None]], dim=1) for h in heads]))
            self.second_stage.fill_(True)

    def loss(self, batch: Batch) -> Step:
        """The sum of the three losses; without a verified row in the batch, of the last two."""
        params = self.params
        verified = batch.verified.nonzero()[:, 0]  # a mask would count its rows on the device at every use
        logits = self._logits(batch.images[0])
        weight = torch.zeros(2, *batch.labels.shape, device=batch.labels.device)
        each = zip(logits, weight, strict=True)
        supervised = torch.stack([self._supervised(z[verified], batch, verified, own) for z, own in each]).mean()
        one, two = self.network1.head, self.network2.head
        multi_view = multi_view_loss(
            one.weight, one.bias, two.weight, two.bias, absolute=params.absolute, with_bias=params.with_bias
        )
        co_regularization = co_regularization_loss(logits[0], logits[1], params.compat)
        loss = supervised + params.multi_view_factor * multi_view + params.co_regularization_factor * co_regularization
        logs = {"supervised": supervised, "multi_view": multi_view, "co_regularization": co_regularization}
        probabilities = mean_probabilities(logits[0].detach(), logits[1].detach(), "multi")
        return Step(loss, probabilities, weight, logs={name: part.detach() for name, part in logs.items()})

    def _logits(self, images: Tensor) -> list[Tensor]:
        """Logits [B, L] of both views, from their own classifiers or, in the second stage, from the graph's."""
        networks = self.network1, self.network2
        if not bool(self.second_stage):
            return [network(images) for network in networks]
        logits = []
        for network, nodes in zip(networks, self.snapshot, strict=True):
            made = graph_classifiers(nodes, self.relations, self.h0, self.h1, self.params.slope)
            logits.append(F.linear(network.encoder(images)[0], made[:, :-1], made[:, -1]))
        return logits

    def _supervised(self, logits: Tensor, batch: Batch, rows: Tensor, weight: Tensor) -> Tensor:
        """Loss of one view on the verified rows; fills in these rows of its weight [B, L]."""
        labels = batch.labels[rows]
        chosen = selective_weights(labels, self.share, self.params.selective, batch.generator).to(weight.dtype)
        weight[rows] = chosen
        return clean_loss(logits, labels, chosen, reduction=self.params.reduction)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L], the mean of the two views'."""
        logits = self._logits(images)
        return mean_probabilities(logits[0], logits[1], "multi")
