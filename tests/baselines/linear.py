"""Networks that are one linear layer, in float64, and their arithmetic in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fernoise_bench.methods.base import Batch

from ..methods.toy import SIZE, make_batch

Array = NDArray[np.float64]


class Identity(nn.Module):
    """Images as features, without parameters."""

    num_features = 3 * SIZE * SIZE

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pooled = images.flatten(1)
        return pooled, pooled[:, :, None, None]


def make_identity(peer: int = 0) -> Identity:
    torch.manual_seed(300 + peer)
    return Identity()


class Maps(nn.Module):
    """A linear map at every place, and its mean."""

    num_features = 4

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, self.num_features)
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(images.detach().clone())
        maps = self.linear(images.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return maps.mean(dim=(2, 3)), maps


def make_maps(peer: int = 0) -> Maps:
    torch.manual_seed(400 + peer)
    return Maps()


def double_batch(index: Sequence[int], labels: Any, *, views: int = 1, epoch: int = 0, step: int = 0) -> Batch:
    """A toy batch in float64 whose generator depends on epoch and step."""
    batch = make_batch(index, labels, views=views, epoch=epoch, seed=1000 * epoch + step)
    return replace(batch, images=tuple(view.double() for view in batch.images), step=step)


def softmax_rows(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def one_hot(labels: NDArray[np.int64], classes: int) -> Array:
    return np.eye(classes)[labels]


def weights_of(layer: Any) -> tuple[Array, Array]:
    return layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()
