"""Deep learning from crowds (Rodrigues & Pereira, AAAI 2018): a matrix of each annotator on top of the softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..methods.annotators import annotator_cross_entropy, label_shares, number_of, through_matrices
from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, sourced
from ..methods.losses import full_precision

__all__ = ["CrowdLayer", "CrowdLayerParams", "crowd_layer_loss"]


@dataclass(frozen=True)
class CrowdLayerParams:
    """Hyper-parameters of the crowd layer."""

    diagonal: float = sourced(
        1.0, "authors' code, crowd_layer/crowd_layers.py:9-14 (fmpr/CrowdLayer @4d6a8be): identity matrices"
    )


def crowd_layer_loss(logits: Tensor, matrices: Tensor, annotators: Tensor) -> Tensor:
    """Cross-entropy of the annotators' labels with softmax(softmax(logits)·W_r), mean over the labels given.

    The authors' mean counts a missing label as 0 and so divides by the number of all annotators, which with thousands
    of them, of whom ten label a face, leaves next to nothing of the loss; to Adam such a factor makes no difference.

    Args:
        logits: float [B, C] of the bottleneck.
        matrices: W of all annotators, float [R, C, C]; rows are classes of the bottleneck, columns labels.
        annotators: int64 [B, K, 2], annotator and label, -1 and -1 where there are fewer.

    Returns:
        Scalar with gradient to the logits and to the matrices of annotators in the batch; 0 without labels.

    Source: paper, section on the crowd layer, classification with matrices (MW); authors' code,
    crowd_layer/crowd_layers.py, CrowdsClassification and MaskedMultiCrossEntropy.
    """
    who, labels = annotators.unbind(dim=2)
    probabilities = full_precision(logits).softmax(dim=1)
    scores = through_matrices(probabilities, matrices.to(probabilities.dtype)[who.clamp(min=0)])
    return annotator_cross_entropy(scores, labels)


class CrowdLayer(Method):
    """One network, and a matrix of each annotator that turns its probabilities into scores of that one's labels.

    Reference: Rodrigues & Pereira, "Deep learning from crowds", AAAI 2018; code fmpr/CrowdLayer. It sees several labels
    a face and who gave them, where other methods have one, and so stands apart from them. Matrices are unbounded, no
    confusion matrices, and have the learning rate of the head. Prediction: the bottleneck's softmax.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single", "annotators"})
    Params = CrowdLayerParams
    params: CrowdLayerParams
    matrices: nn.Parameter

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: CrowdLayerParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def prepare(self, train: TrainView) -> None:
        """Makes the matrix of each annotator."""
        like = self.network.head.weight
        start = self.params.diagonal * torch.eye(self.task.num_classes, dtype=like.dtype, device=like.device)
        self.matrices = nn.Parameter(start.repeat(number_of(train.annotators), 1, 1))

    def loss(self, batch: Batch) -> Step:
        """Loss of all labels of the batch; the given ones, of which a face has one, are not used."""
        assert batch.annotators is not None  # needs them
        logits = self.network(batch.images[0])
        labels = batch.annotators[..., 1]
        weight = (labels >= 0).any(dim=1)[None].float()
        target = label_shares(labels, self.task.num_classes)[None]
        loss = crowd_layer_loss(logits, self.matrices, batch.annotators)
        return Step(loss, logits.detach().softmax(dim=1), weight, target)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C] of the bottleneck."""
        logits: Tensor = self.network(images)
        return logits.softmax(dim=1)
