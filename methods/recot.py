"""ReCoT: regularized co-training of two networks with clean and noisy heads on clean and noisy action unit labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Batch, MakeEncoder, Method, Step, Task, TrainView, Variant, sourced
from .clean_loss import clean_loss
from .losses import full_precision, js_consistency
from .selection import balance_targets, positive_frequency, selective_weights, write_rows

__all__ = [
    "ReCoT",
    "ReCoTParams",
    "View",
    "clean_loss",
    "consistency_loss",
    "fuse",
    "refine",
    "selective_balanced_loss",
    "small_nll",
    "smooth",
]

# Epochs of the recipe -> first epoch trained on refined labels: 30 and 70 from the appendix, 25 from the main paper.
STATED_REFINEMENT: Mapping[int, int] = MappingProxyType({25: 15, 30: 15, 70: 40})
# Settings shared by rows of Table 4: α = β = γ = 1; neither consistency nor refinement.
_EQUAL = MappingProxyType({"pos_weight": 1.0, "neg_weight": 1.0, "keep_ratio": 1.0})
_APART = MappingProxyType({"consistency_factor": 0.0, "refinement": False})


@dataclass(frozen=True)
class ReCoTParams:
    """Hyper-parameters of ReCoT."""

    pos_weight: float = sourced(1.0, "appendix Table 1: α; paper Table 4(c)")
    neg_weight: float = sourced(0.1, "appendix Table 1: β; paper Table 4(c)")
    keep_ratio: float = sourced(0.9, "appendix Table 1: γ; paper Table 4(c)")
    fusion_ratio: float = sourced(0.9, "appendix Table 1: μ")
    momentum: float = sourced(0.9, "appendix Table 1: φ")
    refine_from: int | None = sourced(
        None, "appendix Table 1: K = 40 of 70, 15 of 30 (25) epochs; otherwise unstated: ours"
    )
    noisy_factor: float = sourced(1.0, "appendix Table 1: λ_n")
    consistency_factor: float = sourced(100.0, "appendix Table 1: λ_cons")
    two_views: bool = sourced(True, "paper §3.2; one view in Table 4(b), Baseline + net_noisy")
    noisy_head: bool = sourced(True, "paper §3.2; without it Table 4(b), ensemble and CoT")
    noise_model: Literal["additive", "multiplicative", "mixed"] = sourced(
        "additive", "paper eq. (3); the appendix compares all three; the size of the multiplicative layer is ours: L×L"
    )
    refinement: bool = sourced(True, "paper §3.3; without it Table 4(b), CoT + net_noisy")
    selective: Literal["none", "mlcr", "hand"] = sourced(
        "mlcr", "unstated: ours, MLCR's code; eq. (2) only cites selective learning"
    )
    reduction: Literal["mean", "sum"] = sourced(
        "sum", "first author's later code, JackYFL/EMMA_CoTEX_ABAW4, utils/loss.py, as in MLCR's; paper eq. (2): 1/L"
    )
    predicts: Literal["both", "view1", "view2"] = sourced(
        "both", "paper §3.4: mean of the views; the appendix also reports each view"
    )
    head_hidden: int = sourced(
        0, "paper §4.2: 512×L, otherwise unstated: read as one linear layer; n > 0 adds a hidden layer of n units"
    )


@torch.no_grad()
def small_nll(logits: Tensor, labels: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """The entries of smallest negative log-likelihood: (keep_pos, keep_neg), bool [N, L] without gradient.

    `logits` float [N, L] of the selecting view, `labels` [N, L] in {-1, 0, +1}, `gamma` in [0, 1]. Positives are ranked
    by -log p, negatives by -log(1-p), each pooled over all rows and AUs; floor(γ·count) are kept, at least one where
    there is any; ties are broken in row-major order.

    Source: paper eq. (4) and the text below it; rounding and ties unstated: ours.
    """
    # -log σ(z) decreases strictly in z, so ranking by the logit avoids ties from rounding the logarithm.
    scores = full_precision(logits)
    return _smallest(-scores, labels > 0, gamma), _smallest(scores, labels < 0, gamma)


def _smallest(scores: Tensor, mask: Tensor, gamma: float) -> Tensor:
    order = torch.where(mask, scores, math.inf).flatten().argsort(stable=True)
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
    count = (gamma * mask.sum().double()).floor().clamp(min=1)
    return mask & (rank.view_as(mask) < count)


def selective_balanced_loss(
    logits: Tensor, labels: Tensor, keep_pos: Tensor, keep_neg: Tensor, alpha: float, beta: float
) -> Tensor:
    """Loss of the selected positives and negatives, averaged separately: α·mean(-log p) + β·mean(-log(1-p)).

    `logits` float [N, L] of the trained view, `labels` [N, L] in {-1, 0, +1}, `keep_pos` and `keep_neg` bool [N, L] as
    selected by the other view (entries of the wrong sign are ignored). Returns a scalar with gradient; an empty set
    contributes 0. Paper eq. (4).
    """
    logits = full_precision(logits)
    keep_pos, keep_neg = keep_pos & (labels > 0), keep_neg & (labels < 0)
    positive = -(F.logsigmoid(logits) * keep_pos).sum() / keep_pos.sum().clamp(min=1)
    negative = -(F.logsigmoid(-logits) * keep_neg).sum() / keep_neg.sum().clamp(min=1)
    return alpha * positive + beta * negative


def consistency_loss(logits1: Tensor, logits2: Tensor) -> Tensor:
    """Bernoulli Jensen-Shannon divergence of two clean heads [N, L], mean over all rows and AUs (paper eq. 5)."""
    return js_consistency(logits1, logits2)


def fuse(p_noisy: Tensor, p_clean: Tensor, mu: float) -> Tensor:
    """Fused probabilities μ·p_noisy + (1-μ)·p_clean, both already averaged over views; no gradient (paper eq. 6)."""
    return mu * p_noisy.detach() + (1 - mu) * p_clean.detach()


def smooth(previous: Tensor, current: Tensor, phi: float) -> Tensor:
    """Moving average of fused probabilities: φ·previous + (1-φ)·current; no gradient (paper eq. 7)."""
    return phi * previous.detach() + (1 - phi) * current.detach()


def refine(smoothed: Tensor) -> Tensor:
    """Refined labels, int64 in {-1, +1}: +1 where the smoothed probability is above 0.5 (paper §3.3)."""
    return torch.where(smoothed > 0.5, 1, -1)


class View(nn.Module):
    """One view: an encoder, a clean head and, unless disabled, a noisy head that maps clean logits to noisy ones.

    The noisy head adds logits computed from the features ("additive"), applies an L×L linear layer to the clean logits
    ("multiplicative"), or does both ("mixed"). The linear layer is initialised as the identity: no noise.
    """

    def __init__(self, make_encoder: MakeEncoder, num_outputs: int, params: ReCoTParams, peer: int) -> None:
        super().__init__()
        self.encoder = make_encoder(peer=peer)
        shape = self.encoder.num_features, num_outputs, params.head_hidden
        self.net_clean = _head(*shape)
        self.net_noisy = _head(*shape) if params.noisy_head and params.noise_model != "multiplicative" else None
        self.transition = _identity(num_outputs) if params.noisy_head and params.noise_model != "additive" else None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (z_clean, z_noisy), each [B, L]; equal where there is no noisy head.

        Nothing is detached: the gradient of noisy labels also reaches the clean head, as regularisation (paper eq. 3).
        """
        pooled, _ = self.encoder(images)
        clean = full_precision(self.net_clean(pooled))
        noisy = clean if self.transition is None else self.transition(clean)
        return clean, noisy if self.net_noisy is None else noisy + self.net_noisy(pooled)


def _identity(size: int) -> nn.Linear:
    layer = nn.Linear(size, size)
    nn.init.eye_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _head(num_features: int, num_outputs: int, hidden: int) -> nn.Module:
    if hidden == 0:
        return nn.Linear(num_features, num_outputs)
    return nn.Sequential(nn.Linear(num_features, hidden), nn.ReLU(), nn.Linear(hidden, num_outputs))


class ReCoT(Method):
    """Two views with a clean and a noisy head each, consistency between them, and temporally refined noisy labels.

    Reference: Li, Han, Shan, Ji, Bai & Chen, "ReCoT: regularized co-training for facial action unit recognition with
    noisy labels", BMVC 2023, and its appendix. L = mean over views of (L_clean + λ_n L_noisy) + λ_cons L_cons (eq. 1).
    Each step first updates the fused probabilities of its rows, then reads them; refined labels are used from epoch K
    on, for rows that were in an earlier batch. Prediction: mean of the clean heads' probabilities.

    L_clean is summed over AUs, as the first author's later public code does beside a consistency of weight 100: only so
    are λ_n = 1 and λ_cons = 100 in proportion to it. With the mean that eq. (2) prints (variant "printed") the clean
    labels are the weakest term of the loss.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi", "verified"})
    views = 2
    Params = ReCoTParams
    params: ReCoTParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "net-noisy": Variant("Table 4(b): one view, both nets", {**_EQUAL, **_APART, "two_views": False}),
            "ensemble": Variant(
                "Table 4(b): two clean nets apart, a view each, averaged", {**_APART, "noisy_head": False}
            ),
            "cot": Variant("Table 4(b): two views without noisy nets", {"refinement": False, "noisy_head": False}),
            "cot-net-noisy": Variant("Table 4(b): without refinement, α = β = γ = 1", {**_EQUAL, "refinement": False}),
            "a1-b1-g1": Variant("Table 4(b) last row, 4(c) first row: α = β = γ = 1", {**_EQUAL}),
            "a1-b1-g0.9": Variant("Table 4(c): α = β = 1, γ = 0.9", {"neg_weight": 1.0}),
            "a1-b0.5-g0.9": Variant("Table 4(c): α = 1, β = 0.5, γ = 0.9", {"neg_weight": 0.5}),
            "no-tlr": Variant("the full method without temporal label refinement", {"refinement": False}),
            "additive": Variant("appendix: noise added to the clean logits, the method itself", {}),
            "printed": Variant("clean loss averaged over AUs, as eq. (2) prints it", {"reduction": "mean"}),
            "no-selective": Variant("clean loss without selective learning", {"selective": "none"}),
            "hand": Variant("selective learning as Hand et al. state it", {"selective": "hand"}),
            "hidden": Variant("the two-layer perceptron of §4.2: 512 units between", {"head_hidden": 512}),
            "view1": Variant("appendix: the first view alone predicts", {"predicts": "view1"}),
            "view2": Variant("appendix: the second view alone predicts", {"predicts": "view2"}),
            "multiplicative": Variant(
                "appendix: noisy net applied to the clean logits", {"noise_model": "multiplicative"}
            ),
            "mixed": Variant("appendix: both added and applied noise", {"noise_model": "mixed"}),
        }
    )
    share: Tensor
    fused: Tensor
    seen: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: ReCoTParams) -> None:
        super().__init__(task, make_encoder, params)
        self.views = 2 if params.two_views else 1
        self.consistent = self.views == 2 and params.consistency_factor != 0
        self.networks = nn.ModuleList(View(make_encoder, task.num_classes, params, peer) for peer in range(self.views))
        stated = STATED_REFINEMENT.get(task.epochs, round(0.6 * task.epochs))
        self.refine_from = stated if params.refine_from is None else params.refine_from
        self.register_buffer("share", torch.full((task.num_classes,), math.nan), persistent=False)
        self.register_buffer("fused", torch.zeros(task.train_size, task.num_classes))
        self.register_buffer("seen", torch.zeros(task.train_size, dtype=torch.bool))

    def prepare(self, train: TrainView) -> None:
        """Computes the target shares of the AUs from the verified rows, the rows of the clean loss."""
        frequency = positive_frequency(train.labels[train.verified])
        self.share.copy_(balance_targets(self.task.names, frequency))

    def loss(self, batch: Batch) -> Step:
        """The loss of eq. (1); without noisy heads and consistency only the clean rows are used and forwarded."""
        params, clean = self.params, batch.verified
        if params.noisy_head or self.consistent:
            outputs = [network(view) for network, view in zip(self.networks, batch.images, strict=True)]
            return self._step(batch, outputs)
        weight = torch.zeros(self.views, *batch.labels.shape, device=clean.device)
        rows = clean.nonzero()[:, 0]  # a mask would count its rows on the device at every use
        if not bool(batch.labels[rows].any()):
            return Step(loss=None, weight=weight)
        each = zip(self.networks, batch.images, weight, strict=True)
        parts = [self._clean(network(images[rows])[0], batch, rows, own) for network, images, own in each]
        return Step(torch.stack(parts).mean(), weight=weight)

    def _clean(self, logits: Tensor, batch: Batch, rows: Tensor, weight: Tensor) -> Tensor:
        """L_clean of one view from the logits of the clean rows; fills in these rows of its weight [B, L]."""
        labels, params = batch.labels[rows], self.params
        chosen = selective_weights(labels, self.share, params.selective, batch.generator).to(weight.dtype)
        weight[rows] = chosen
        return clean_loss(logits, labels, chosen, reduction=params.reduction)

    def _step(self, batch: Batch, outputs: list[tuple[Tensor, Tensor]]) -> Step:
        params = self.params
        # row numbers: a mask would count its rows on the device at every use
        clean, noisy = batch.verified.nonzero()[:, 0], (~batch.verified).nonzero()[:, 0]
        probabilities = torch.stack([z.detach().sigmoid() for z, _ in outputs]).mean(dim=0)
        labels = self._refined(batch, noisy, outputs, probabilities) if params.refinement else batch.labels
        weight = torch.zeros(self.views, *labels.shape, device=labels.device)
        each_clean = zip(outputs, weight, strict=True)
        clean_part = torch.stack([self._clean(z[clean], batch, clean, own) for (z, _), own in each_clean]).mean()
        noisy_part = consistency = torch.zeros_like(clean_part)
        if params.noisy_head:
            # Each view is trained on the entries the other one selects; a single view selects its own.
            kept = [small_nll(z[noisy], labels[noisy], params.keep_ratio) for _, z in outputs][::-1]
            factors = params.pos_weight, params.neg_weight
            each = zip(outputs, kept, strict=True)
            parts = [selective_balanced_loss(z[noisy], labels[noisy], *keep, *factors) for (_, z), keep in each]
            noisy_part = torch.stack(parts).mean()
            weight[:, noisy] = torch.stack([pos | neg for pos, neg in kept]).to(weight.dtype)
        if self.consistent:
            consistency = consistency_loss(outputs[0][0], outputs[1][0])
        loss = clean_part + params.noisy_factor * noisy_part + params.consistency_factor * consistency
        logs = {"clean_loss": clean_part, "noisy_loss": noisy_part, "consistency": consistency}
        logs = {name: part.detach() for name, part in logs.items()}
        logs["refined"] = (labels != batch.labels).sum().float()
        usable = self.consistent or bool(weight.any())
        return Step(loss if usable else None, probabilities, weight, labels.expand(self.views, -1, -1), logs)

    @torch.no_grad()
    def _refined(self, batch: Batch, noisy: Tensor, outputs: list[tuple[Tensor, Tensor]], p_clean: Tensor) -> Tensor:
        """The labels of this step: updates the fused probabilities of the noisy rows and, from epoch K on, refines."""
        index = batch.index[noisy]
        p_noisy = torch.stack([z.sigmoid() for _, z in outputs]).mean(dim=0)
        current = fuse(p_noisy[noisy], p_clean[noisy], self.params.fusion_ratio)
        # The average starts at a row's first value; starting at 0 would keep every AU negative for many epochs.
        seen = self.seen[index, None]
        smoothed = torch.where(seen, smooth(self.fused[index], current, self.params.momentum), current)
        write_rows(self.fused, index, smoothed)
        write_rows(self.seen, index, torch.ones_like(index))
        if batch.epoch < self.refine_from:
            return batch.labels
        labels = batch.labels.clone()
        labels[noisy] = torch.where(seen, refine(self.fused[index]).to(labels.dtype), labels[noisy])
        return labels

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L], the mean of the views' clean heads, or those of one view."""
        chosen = {"both": slice(None), "view1": slice(0, 1), "view2": slice(1, 2)}[self.params.predicts]
        return torch.stack([network(images)[0].sigmoid() for network in self.networks[chosen]]).mean(dim=0)
