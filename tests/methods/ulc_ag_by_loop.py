"""ULC-AG once more, in NumPy and loop by loop, and the toy it is compared on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fernoise_bench.methods.base import Batch, TrainView
from fernoise_bench.methods.ulc_ag import ULCAG, ULCAGParams

from .toy import bce, cross_entropy, make_batch, make_encoder, make_task, make_train, sigmoid

AUS = ("AU1", "AU4", "AU6", "AU12")
SIZE = 12  # training rows of the toy task


def weighted_by_loop(logits: Any, labels: Sequence[int], confidence: Any, gamma: Any) -> float:
    rows = zip(np.asarray(logits), labels, np.asarray(confidence), strict=True)
    return float(np.mean([cross_entropy((a * gamma[y] * z).tolist(), y) for z, y, a in rows]))


def cooccurrence_by_loop(aus: Any) -> np.ndarray:
    rows = np.asarray(aus)
    out = np.zeros((rows.shape[1],) * 2)
    for p in range(rows.shape[1]):
        for q in range(rows.shape[1]):
            with_q = [row for row in rows if row[q] == 1]
            out[p, q] = sum(row[p] == 1 for row in with_q) / len(with_q) if with_q else 0.0
    return out


def graph_by_loop(nodes: np.ndarray, adjacency: np.ndarray, weight: np.ndarray, slope: float) -> np.ndarray:
    total = adjacency.sum(axis=1, keepdims=True)
    normalised = np.divide(adjacency, total, out=np.zeros_like(adjacency), where=total > 0)
    values = np.einsum("pq,bqd,de->bpe", normalised, nodes, weight)
    return np.where(values > 0, values, slope * values)


def auxiliary_by_loop(logits: Any, aux: Any, confidence: Any) -> float:
    total = 0.0
    for z, y, a in zip(np.asarray(logits), np.asarray(aux), np.asarray(confidence), strict=True):
        total += a * sum(bce(z[m], float(y[m] > 0)) for m in range(len(z)) if y[m] != 0)
    return total / len(aux)


def templates_by_loop(s: Any, a: Any, labels: Sequence[int], classes: int) -> tuple[np.ndarray, list[bool]]:
    rows, out = np.asarray(s), np.zeros((classes, np.shape(s)[1]))
    for j in range(classes):
        of = [i for i, y in enumerate(labels) if y == j]
        if of:
            out[j] = sum(float(a[i]) * rows[i] for i in of) / len(of)
    return out, [j in labels for j in range(classes)]


def relabel_by_loop(semantics: Any, templates: Any, labels: Sequence[int], present: Sequence[bool]) -> list[int]:
    out = []
    for s, y in zip(np.asarray(semantics), labels, strict=True):
        away = {
            j: 1 - float(s @ t) / (float(np.linalg.norm(s)) * float(np.linalg.norm(t)))
            for j, t in enumerate(np.asarray(templates))
            if present[j]
        }
        out.append(min(away, key=away.__getitem__) if y in away and away[y] - min(away.values()) > 1e-12 else y)
    return out


def given_labels(seed: int = 30) -> tuple[Tensor, Tensor]:
    generator = np.random.default_rng(seed)
    aux = torch.from_numpy(generator.integers(-1, 2, size=(SIZE, len(AUS))).astype(np.int8))
    return torch.from_numpy(generator.integers(0, 3, size=SIZE)), aux


def train_view(labels: Tensor, aux: Tensor | None) -> TrainView:
    return replace(make_train(labels), aux=aux)


def batch_of(index: Sequence[int], epoch: int = 0) -> Batch:
    labels, aux = given_labels()
    plain = make_batch(index, labels[list(index)], epoch=epoch)
    return replace(plain, aux=aux[list(index)], images=tuple(view.double() for view in plain.images))


def make_method(epochs: int = 40, **changes: Any) -> ULCAG:
    task = make_task(size=SIZE, epochs=epochs, aux_names=AUS)
    method = ULCAG(task, make_encoder, ULCAGParams(**{"channels": 6} | changes)).double()
    method.prepare(train_view(*given_labels()))
    return method


class Replay:
    """The same method in NumPy, from the network's parameters: losses, templates, label memory."""

    def __init__(self, method: ULCAG, **flags: Any) -> None:
        labels, aux = given_labels()
        self.method, self.flags = method, flags
        self.given, self.aux = labels.numpy(), aux.numpy()
        self.memory = self.given.copy()
        self.confidence = np.zeros(SIZE)
        self.templates = np.zeros((3, len(AUS)))
        self.present = [False] * 3

    def step(self, batch: Batch) -> float:
        index, epoch = batch.index.tolist(), batch.epoch
        state = {name: value.detach().numpy() for name, value in self.method.state_dict().items()}
        flat = batch.images[0].flatten(1).numpy()
        pooled = np.tanh(
            flat @ state["network.encoder.linear.weight"].T + state["network.encoder.linear.bias"],
        )
        logits = pooled @ state["network.head.weight"].T + state["network.head.bias"]
        alpha = np.array(
            [sigmoid(float(z)) for z in pooled @ state["attention.weight"][0] + state["attention.bias"][0]]
        )
        labels = [int(self.memory[i]) for i in index]
        gamma = [1 - labels.count(j) / len(labels) for j in range(3)]
        count = int(0.8 * len(index))
        order = sorted(range(len(index)), key=lambda i: -alpha[i])
        high, low = sorted(order[:count]), sorted(order[count:])
        target = weighted_by_loop(logits, labels, alpha, gamma)
        target += max(0.0, 0.15 - (alpha[high].mean() - alpha[low].mean()))
        if not self.flags.get("target", True):
            target += float(np.mean([cross_entropy(z.tolist(), y) for z, y in zip(logits, labels, strict=True)]))
        loss = (math.exp(-((1 - epoch / 10) ** 2)) if epoch <= 10 else 1.0) / 2 * target
        for i, a in zip(index, alpha, strict=True):
            self.confidence[i] = a
        if not self.flags.get("auxiliary", True):
            return loss
        semantics = self._semantics(state, pooled)
        weight = 1.0 if epoch <= 10 else math.exp(-((1 - 10 / epoch) ** 2))
        if epoch >= self.flags.get("auxiliary_from", 0):
            loss += weight * auxiliary_by_loop(semantics, self.aux[index], alpha)
        self._correct(index, epoch, labels, alpha, semantics, high, low)
        return loss

    def _semantics(self, state: dict[str, np.ndarray], pooled: np.ndarray) -> np.ndarray:
        edges = cooccurrence_by_loop(self.aux)
        if self.flags.get("edges") == "random":
            edges = state["adjacency"]
        nodes = pooled @ state["branch.nodes.weight"].T + state["branch.nodes.bias"]
        nodes = nodes.reshape(len(pooled), len(AUS), -1)
        for layer in (0, 1):
            nodes = graph_by_loop(nodes, edges, state[f"branch.weights.{layer}"], 0.01)
        flat: np.ndarray = nodes.reshape(len(pooled), -1)
        return flat @ state["branch.head.weight"].T + state["branch.head.bias"]

    def _correct(
        self, index: list[int], epoch: int, labels: list[int], a: Any, s: Any, high: list[int], low: list[int]
    ) -> None:
        renewed, there = templates_by_loop(s[high], a[high], [labels[i] for i in high], 3)
        for j in range(3):
            if there[j]:
                self.templates[j], self.present[j] = renewed[j], True
        if epoch < 10 or not self.flags.get("relabel", True):
            return
        original = self.flags.get("relabel_reference") == "original"
        doubted = [int(self.given[index[i]]) if original else labels[i] for i in low]
        for i, y in zip(low, relabel_by_loop(s[low], self.templates, doubted, self.present), strict=True):
            self.memory[index[i]] = y
