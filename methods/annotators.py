"""Maths of methods that learn from the labels of single annotators, of whom each labelled some of the faces."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .losses import full_precision


def through_matrices(probabilities: Tensor, matrices: Tensor) -> Tensor:
    """Each face's class probabilities through the matrix of each annotator who labelled it: a_l = Σ_c σ_c W_cl.

    Args:
        probabilities: σ, float [B, C].
        matrices: W of each face and annotator, float [B, K, C, C], or one for all, [C, C].

    Returns:
        Float [B, K, C], or [B, C] of one matrix, with gradient to both.
    """
    return torch.einsum("bc,cl->bl" if matrices.ndim == 2 else "bc,bkcl->bkl", probabilities, matrices)


def annotator_cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of softmax(scores) with the labels that annotators gave, mean over these labels.

    Args:
        scores: float [B, K, C], finite.
        labels: int64 [B, K], -1 where there is none.

    Returns:
        Scalar with gradient; 0 where no label is given.
    """
    log_p = F.log_softmax(full_precision(scores), dim=2)
    given = labels >= 0
    chosen = log_p.gather(2, labels.clamp(min=0)[..., None]).squeeze(2)
    return -torch.where(given, chosen, 0.0).sum() / given.sum().clamp(min=1)


def label_shares(labels: Tensor, classes: int) -> Tensor:
    """The share of each class among the labels that annotators gave a face, for the audit.

    Args:
        labels: int64 [B, K], -1 where there is none.
        classes: C.

    Returns:
        float32 [B, C]; a row without labels is 0.
    """
    counts = (F.one_hot(labels + 1, classes + 1)[..., 1:]).sum(dim=1).float()
    return counts / counts.sum(dim=1, keepdim=True).clamp(min=1)


def number_of(annotators: Tensor | None) -> int:
    """How many annotators there are in int64 [N, K, 2] as `TrainView` has it; waits for the device.

    Raises:
        ValueError: there are none.
    """
    number = 0 if annotators is None or not annotators.numel() else int(annotators[..., 0].max()) + 1
    if not number:
        raise ValueError("the labels of single annotators are needed, and there are none")
    return number
