from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from fernoise_bench.baselines.equal_compute import EqualCompute
from fernoise_bench.methods.base import NoParams

from ..methods.toy import bce, cross_entropy, make_batch, make_encoder, make_task, parameter_gradients

SINGLE = torch.tensor([0, 2, 1, 1])
MULTI = torch.tensor([[1, -1, 0], [0, 0, 0], [-1, -1, 0], [1, 0, 1]])


def make_method(kind: str) -> EqualCompute:
    return EqualCompute(make_task(kind), make_encoder, NoParams())


def loss_by_loop(logits: Any, labels: torch.Tensor) -> float:
    rows = logits.detach().double().tolist()
    if labels.dim() == 1:
        return sum(cross_entropy(z, int(y)) for z, y in zip(rows, labels, strict=True)) / len(rows)
    entries = [(rows[i][k], int(labels[i, k])) for i in range(len(rows)) for k in range(3) if labels[i, k] != 0]
    return sum(bce(z, float(y > 0)) for z, y in entries) / len(entries)


@pytest.mark.parametrize(("kind", "labels"), [("single", SINGLE), ("multi", MULTI)])
def test_loss_is_the_mean_of_two_views(kind: str, labels: torch.Tensor) -> None:
    method = make_method(kind)
    batch = make_batch(range(4), labels, views=2)
    step = method.loss(batch)
    assert method.network.encoder.rows == [4, 4]  # each view on its own
    z1, z2 = method.network(batch.images[0]), method.network(batch.images[1])
    assert step.loss is not None
    assert step.loss.item() == pytest.approx((loss_by_loop(z1, labels) + loss_by_loop(z2, labels)) / 2, rel=1e-5)
    squash = torch.softmax if kind == "single" else lambda z, _: z.sigmoid()
    assert step.probabilities is not None
    assert torch.allclose(step.probabilities, (squash(z1, 1) + squash(z2, 1)) / 2)
    assert not step.probabilities.requires_grad
    assert step.weight is not None
    assert step.weight.tolist() == [[1.0] * 4 if kind == "single" else [1.0, 0.0, 1.0, 1.0]]
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter_gradients(method))


def test_both_views_teach() -> None:
    method = make_method("single")
    batch = make_batch(range(4), SINGLE, views=2)
    turned = replace(batch, images=batch.images[::-1])
    repeated = replace(batch, images=(batch.images[0], batch.images[0]))
    losses = [method.loss(one).loss for one in (batch, turned, repeated)]
    assert all(loss is not None for loss in losses)
    assert torch.equal(losses[0], losses[1])  # type: ignore[arg-type]
    assert not torch.equal(losses[0], losses[2])  # type: ignore[arg-type]
    assert method.views == 2


def test_no_known_label_is_no_update() -> None:
    step = make_method("multi").loss(make_batch(range(4), torch.zeros(4, 3, dtype=torch.int64), views=2))
    assert step.loss is None
    assert step.weight is not None
    assert not step.weight.any()


def test_unknown_labels_do_not_count() -> None:
    method = make_method("multi")
    step = method.loss(make_batch(range(4), MULTI, views=2))
    known = method.loss(make_batch([0, 2, 3], MULTI[[0, 2, 3]], views=2))
    assert step.loss is not None
    assert known.loss is not None
    assert torch.allclose(step.loss, known.loss)


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_prediction_takes_one_view(kind: str) -> None:
    method = make_method(kind)
    images = make_batch(range(4), SINGLE).images[0]
    logits = method.network(images)
    expected = logits.softmax(1) if kind == "single" else logits.sigmoid()
    assert torch.equal(method.predict(images), expected)
