"""CoNAL (Chu, Ma & Wang, AAAI 2021): labels of annotators through a matrix common to all or through their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..methods.annotators import annotator_cross_entropy, label_shares, number_of, through_matrices
from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, Variant, sourced
from ..methods.losses import full_precision

__all__ = ["CoNAL", "CoNALParams", "common_share", "conal_loss", "matrix_distance"]


@dataclass(frozen=True)
class CoNALParams:
    """Hyper-parameters of CoNAL."""

    diagonal: float = sourced(
        2.0, "authors' code, conal.py:14-23,44-48 (zdchu/CoNAL @9ae35b0): all matrices start as twice the identity"
    )
    distance_weight: float = sourced(1e-5, "authors' code, workflow.py:49: λ")
    embedding: int = sourced(20, "authors' code, conal.py:58, LabelMe; 80 for music (variant music)")
    hidden: int = sourced(128, "authors' code, conal.py:60-61, where no activation follows")
    unit_faces: bool = sourced(True, "authors' code, conal.py:71, LabelMe; not for music (variant music)")


def common_share(faces: Tensor, annotators: Tensor, unit_faces: bool = True) -> Tensor:
    """The probability that a label of an annotator goes through the common matrix: ω = σ(v·u).

    Args:
        faces: v, embeddings of the faces, float [B, D].
        annotators: u, embeddings of the annotators of each face, float [B, K, D]; of unit length here.
        unit_faces: whether v is of unit length as well, so that ω lies between σ(-1) and σ(1).

    Returns:
        Float [B, K] in (0, 1) with gradient to both.

    Source: authors' code, conal.py:67-76 (zdchu/CoNAL @9ae35b0).
    """
    v, u = full_precision(faces), F.normalize(full_precision(annotators), dim=2)
    return torch.einsum("bd,bkd->bk", F.normalize(v, dim=1) if unit_faces else v, u).sigmoid()


def matrix_distance(common: Tensor, individual: Tensor) -> Tensor:
    """Σ_r ‖W_r - W_g‖₂ over the annotators, norms of all entries, not squared.

    Args:
        common: W_g, float [C, C].
        individual: W_r, float [R, C, C].

    Returns:
        Scalar with gradient; that of a matrix equal to the common one is 0.

    Source: authors' code, workflow.py:49.
    """
    distances: Tensor = torch.linalg.vector_norm(full_precision(individual - common).flatten(1), dim=1)
    return distances.sum()


def conal_loss(logits: Tensor, common: Tensor, individual: Tensor, share: Tensor, annotators: Tensor) -> Tensor:
    """Cross-entropy of the labels with softmax(ω·p W_g + (1 - ω)·p W_r), p = softmax(logits), mean over the labels.

    Args:
        logits: float [B, C] of the classifier.
        common: W_g, float [C, C]; rows are the classifier's classes, columns labels.
        individual: W_r of all annotators, float [R, C, C].
        share: ω, float [B, K].
        annotators: int64 [B, K, 2], annotator and label, -1 and -1 where there are fewer.

    Returns:
        Scalar with gradient to all but the labels; 0 without labels.

    Source: authors' code, conal.py:87-95, losses.py:4-8: the choice of the matrix, a coin with probability ω, is taken
    at its mean, and what results goes through a softmax.
    """
    who, labels = annotators.unbind(dim=2)
    p = full_precision(logits).softmax(dim=1)
    of_all = through_matrices(p, common.to(p.dtype))[:, None]
    of_each = through_matrices(p, individual.to(p.dtype)[who.clamp(min=0)])
    share = share.to(p.dtype)[..., None]
    return annotator_cross_entropy(share * of_all + (1 - share) * of_each, labels)


class CoNAL(Method):
    """One network, a matrix of confusions common to all annotators, one of each, and a gate between the two.

    Reference: Chu, Ma & Wang, "Learning from crowds by modeling common confusions", AAAI 2021; code zdchu/CoNAL. It
    sees several labels a face and who gave them, where other methods have one, and so stands apart from them. The
    gate's input are the encoder's features without gradient: the authors' are features of a fixed network. They start
    Adam anew in every epoch and choose the epoch by the likelihood of validation labels; here optimiser and selection
    are those of all methods. Prediction: the classifier's softmax.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single", "annotators"})
    Params = CoNALParams
    params: CoNALParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {"music": Variant("the authors' gate for music: larger embeddings", {"embedding": 80, "unit_faces": False})}
    )
    individual: nn.Parameter
    annotator_weight: nn.Parameter
    annotator_bias: nn.Parameter

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: CoNALParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        self.common = nn.Parameter(params.diagonal * torch.eye(task.num_classes))
        features = self.network.encoder.num_features
        self.faces = nn.Sequential(nn.Linear(features, params.hidden), nn.Linear(params.hidden, params.embedding))

    def prepare(self, train: TrainView) -> None:
        """Makes the matrix and the embedding of each annotator, as a linear layer on one-hot numbers has it."""
        number = number_of(train.annotators)
        self.individual = nn.Parameter(self.common.detach().repeat(number, 1, 1))
        made = nn.Linear(number, self.params.embedding).to(self.common)
        self.annotator_weight = nn.Parameter(made.weight.detach().T.contiguous())
        self.annotator_bias = nn.Parameter(made.bias.detach())

    def loss(self, batch: Batch) -> Step:
        """Loss of all labels of the batch, less the weighted distance of the matrices from the common one."""
        assert batch.annotators is not None  # needs them
        pooled, _ = self.network.encoder(batch.images[0])
        logits = self.network.head(pooled)
        who, labels = batch.annotators.unbind(dim=2)
        embedded = self.annotator_weight[who.clamp(min=0)] + self.annotator_bias
        share = common_share(self.faces(pooled.detach()), embedded, self.params.unit_faces)
        fit = conal_loss(logits, self.common, self.individual, share, batch.annotators)
        distance = matrix_distance(self.common, self.individual)
        given = labels >= 0
        logs = {
            "common_share": torch.where(given, share.detach(), 0.0).sum() / given.sum().clamp(min=1),
            "matrix_distance": distance.detach() / len(self.individual),
        }
        weight, target = given.any(dim=1)[None].float(), label_shares(labels, self.task.num_classes)[None]
        loss = fit - self.params.distance_weight * distance
        return Step(loss, logits.detach().softmax(dim=1), weight, target, logs)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C] of the classifier."""
        logits: Tensor = self.network(images)
        return logits.softmax(dim=1)
