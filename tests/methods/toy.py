"""A tiny encoder, task and batches by hand, and loop-by-loop NumPy arithmetic to compare with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fernoise_bench.methods.base import Batch, Task, TrainView

SIZE = 2  # images are 3 × 2 × 2


class TinyEncoder(nn.Module):
    """Flatten and one linear layer."""

    num_features = 5

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * SIZE * SIZE, self.num_features)
        self.rows: list[int] = []

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.rows.append(len(images))
        pooled = self.linear(images.flatten(1)).tanh()
        return pooled, pooled[:, :, None, None]


def make_encoder(peer: int = 0) -> TinyEncoder:
    torch.manual_seed(100 + peer)
    return TinyEncoder()


def make_task(kind: Any = "single", outputs: int = 3, size: int = 12, epochs: int = 40, **changes: Any) -> Task:
    values: dict[str, Any] = {
        "names": [f"AU{k}" for k in range(outputs)],
        "steps_per_epoch": 3,
        "frequency": torch.full((outputs,), 0.3, dtype=torch.float64),
        "noise_rate": None,
    } | changes
    return Task(kind, outputs, train_size=size, epochs=epochs, **values)


def make_batch(
    index: Sequence[int], labels: Any, *, verified: Any = None, views: int = 1, epoch: int = 0, seed: int = 0
) -> Batch:
    """Rows with the image of their index: a sample looks the same whenever it is drawn, but differs between views."""
    labels = torch.as_tensor(labels)
    images = []
    for view in range(views):
        rows = [np.random.default_rng([7, view, i]).random((3, SIZE, SIZE)) for i in index]
        images.append(torch.from_numpy(np.array(rows).reshape(-1, 3, SIZE, SIZE)).float())
    return Batch(
        index=torch.as_tensor(list(index), dtype=torch.int64),
        images=tuple(images),
        labels=labels,
        verified=torch.zeros(len(labels), dtype=torch.bool) if verified is None else torch.as_tensor(verified),
        aux=None,
        teacher=None,
        epoch=epoch,
        step=0,
        generator=torch.Generator().manual_seed(seed),
    )


def make_train(labels: Any, verified: Any = None) -> TrainView:
    labels = torch.as_tensor(labels)
    rows = torch.zeros(len(labels), dtype=torch.bool) if verified is None else torch.as_tensor(verified)

    def batches(augment: bool = False) -> Iterator[Batch]:
        yield make_batch(range(len(labels)), labels, verified=rows)

    return TrainView(labels, rows, None, None, batches)


def set_head(linear: nn.Module, values: Sequence[float]) -> None:
    """Make a linear layer constant: zero weights and these outputs."""
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():
        linear.weight.zero_()
        linear.bias.copy_(torch.tensor(values))


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def softmax(row: Sequence[float]) -> list[float]:
    top = max(row)
    values = [math.exp(z - top) for z in row]
    return [v / sum(values) for v in values]


def cross_entropy(row: Sequence[float], label: int) -> float:
    return -math.log(softmax(row)[label])


def kl(a: Sequence[float], b: Sequence[float]) -> float:
    """KL(softmax(a) || softmax(b))."""
    return sum(p * math.log(p / q) for p, q in zip(softmax(a), softmax(b), strict=True))


def bce(z: float, target: float) -> float:
    return -(target * math.log(sigmoid(z)) + (1 - target) * math.log(1 - sigmoid(z)))


def random_logits(seed: int, *shape: int, scale: float = 2.0, requires_grad: bool = False) -> Tensor:
    values = np.random.default_rng(seed).normal(size=shape) * scale
    return torch.from_numpy(values).requires_grad_(requires_grad)


def random_labels(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(-1, 2, size=shape))


def parameter_gradients(module: nn.Module) -> list[float]:
    return [0.0 if p.grad is None else float(p.grad.abs().sum()) for p in module.parameters()]


def nll_by_loop(logits: Tensor, labels: Tensor, gamma: float) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    kept = []
    for sign in (1, -1):
        entries = [(i, k) for i in range(len(labels)) for k in range(labels.shape[1]) if labels[i, k] == sign]
        nll = {(i, k): -math.log(sigmoid(sign * float(logits[i, k]))) for i, k in entries}
        count = max(1, math.floor(gamma * len(entries))) if entries else 0
        kept.append(set(sorted(entries, key=lambda e: (nll[e], e))[:count]))
    return kept[0], kept[1]


def entries_of(mask: Tensor) -> set[tuple[int, int]]:
    return {(int(i), int(k)) for i, k in mask.nonzero()}
