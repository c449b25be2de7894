from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fernoise_bench.baselines.elr import ELR, ELRParams, elr_loss

from ..methods.toy import make_batch, make_encoder, make_task, parameter_gradients, random_logits

LABELS = torch.tensor([0, 2, 1, 1])
Array = NDArray[np.float64]


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def renewed(z: Array, memory: Array, index: Any, momentum: float) -> Array:
    """The memory after a batch, row by row: every row starts from the memory before it, the last one stays."""
    p = np.clip(softmax(z), 1e-4, 1 - 1e-4)
    out = memory.copy()
    for row, i in enumerate(index):
        out[i] = momentum * memory[i] + (1 - momentum) * p[row] / p[row].sum()
    return out


def loss_of(z: Array, labels: Any, targets: Array, weight: float) -> float:
    """The loss with each row's target already at hand."""
    p = softmax(z)
    clamped = np.clip(p, 1e-4, 1 - 1e-4)
    supervision = -np.log(p[np.arange(len(z)), labels])
    return float(np.mean(supervision + weight * np.log(1 - (targets * clamped).sum(axis=1))))


def random_memory(seed: int, rows: int, classes: int) -> torch.Tensor:
    return 0.6 * random_logits(seed, rows, classes).softmax(1)


@pytest.mark.parametrize("index", [[4, 0, 2, 5], [4, 0, 4, 4]])
@pytest.mark.parametrize(("momentum", "weight"), [(0.7, 3.0), (0.0, 1.0), (1.0, 7.0)])
@pytest.mark.parametrize("scale", [2.0, 40.0])  # the second one saturates
def test_memory_is_renewed_before_the_loss(index: list[int], momentum: float, weight: float, scale: float) -> None:
    z, memory = random_logits(0, 4, 3, scale=scale), random_memory(1, 6, 3)
    before = memory.clone()
    loss, targets = elr_loss(z, LABELS, memory, torch.tensor(index), momentum, weight)
    expected = renewed(z.numpy(), memory.numpy(), index, momentum)
    assert targets.dtype == loss.dtype == torch.float64
    assert not targets.requires_grad
    assert np.allclose(targets.numpy(), expected, rtol=1e-12, atol=0)
    assert loss.item() == pytest.approx(loss_of(z.numpy(), LABELS.numpy(), expected[index], weight), rel=1e-10)
    assert torch.equal(memory, before)  # pure


def test_only_what_enters_memory_is_renormalised() -> None:
    z = torch.tensor([[60.0, 0.0, 0.0]], dtype=torch.float64)
    _, targets = elr_loss(z, torch.tensor([0]), torch.zeros(1, 3, dtype=torch.float64), torch.tensor([0]), 0.0, 1.0)
    total = 1 - 1e-4 + 2e-4
    assert targets.tolist()[0] == pytest.approx([(1 - 1e-4) / total, 1e-4 / total, 1e-4 / total], rel=1e-12)
    loss, _ = elr_loss(z, torch.tensor([0]), torch.zeros(1, 3, dtype=torch.float64), torch.tensor([0]), 0.0, 1.0)
    overlap = ((1 - 1e-4) ** 2 + 2e-8) / total
    assert loss.item() == pytest.approx(np.log(1 - overlap), rel=1e-9)


def test_gradient_takes_the_target_for_a_constant() -> None:
    z, memory = random_logits(2, 4, 3, requires_grad=True), random_memory(3, 6, 3)
    index = [4, 0, 4, 5]
    loss, targets = elr_loss(z, LABELS, memory, torch.tensor(index), 0.7, 3.0)
    (gradient,) = torch.autograd.grad(loss, z)
    fixed, start, step = targets.numpy()[index], z.detach().numpy(), 1e-6
    for i in range(4):
        for c in range(3):
            up, down = start.copy(), start.copy()
            up[i, c] += step
            down[i, c] -= step
            slope = loss_of(up, LABELS.numpy(), fixed, 3.0) - loss_of(down, LABELS.numpy(), fixed, 3.0)
            assert gradient[i, c].item() == pytest.approx(slope / (2 * step), rel=1e-5, abs=1e-9)


def test_saturated_logits_and_empty_batches() -> None:
    z = torch.tensor([[500.0, -500.0], [-500.0, 500.0]], requires_grad=True)
    memory = torch.eye(2)
    loss, targets = elr_loss(z, torch.tensor([0, 0]), memory, torch.tensor([0, 1]), 0.7, 3.0)
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, z)[0]).all()
    assert torch.allclose(targets.sum(1), torch.ones(2))
    empty = torch.zeros(0, dtype=torch.int64)
    loss, targets = elr_loss(z[:0], empty, memory, empty, 0.7, 3.0)
    assert loss.item() == 0.0
    assert torch.equal(targets, memory)


def make_method() -> ELR:
    return ELR(make_task(), make_encoder, ELRParams())


def test_training_follows_a_linear_run_in_numpy() -> None:
    """Some epochs of gradient descent on the head alone, memory included, a sample drawn twice in each first batch."""
    method = make_method()
    for parameter in method.parameters():
        parameter.requires_grad_(False)
    method.network.head.requires_grad_(True)
    method.double()
    draws = [([0, 1, 2, 1], [0, 2, 1, 0]), ([3, 4, 5, 0], [1, 1, 2, 0])]
    weights, bias = method.network.head.weight.detach().numpy().copy(), method.network.head.bias.detach().numpy().copy()
    memory = np.zeros((12, 3))
    for epoch in range(4):
        for index, labels in draws:
            batch = make_batch(index, labels, epoch=epoch)
            images = batch.images[0].double()
            x = method.network.encoder(images)[0].numpy()
            step = method.loss(type(batch)(**{**vars(batch), "images": (images,)}))
            assert step.loss is not None
            method.zero_grad()
            step.loss.backward()
            with torch.no_grad():
                for parameter in method.network.head.parameters():
                    assert parameter.grad is not None
                    parameter -= 0.5 * parameter.grad
            z = x @ weights.T + bias
            memory = renewed(z, memory, index, 0.7)
            assert step.loss.item() == pytest.approx(loss_of(z, labels, memory[index], 3.0), rel=1e-9)
            p, t = softmax(z), memory[index]
            overlap = (t * p).sum(axis=1, keepdims=True)
            slope = (p - np.eye(3)[labels] - 3.0 * p * (t - overlap) / (1 - overlap)) / len(z)
            weights, bias = weights - 0.5 * slope.T @ x, bias - 0.5 * slope.sum(axis=0)
    assert np.allclose(method.network.head.weight.detach().numpy(), weights, rtol=1e-9)
    assert np.allclose(method.targets.numpy(), memory, rtol=1e-9)
    assert not method.targets[6:].any()


def test_a_step_trains_on_every_row_and_memory_survives_a_checkpoint() -> None:
    method = make_method()
    batch = make_batch([2, 3, 2, 5], LABELS)
    logits = method.network(batch.images[0])
    step = method.loss(batch)
    assert step.loss is not None
    assert step.weight is not None
    assert step.weight.tolist() == [[1.0] * 4]
    assert step.target is None
    assert step.probabilities is not None
    assert torch.equal(step.probabilities, logits.softmax(1))
    assert torch.equal(method.predict(batch.images[0]), logits.softmax(1))
    step.loss.backward()
    assert all(parameter_gradients(method))
    other = make_method()
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.targets, method.targets)
    assert method.targets[[2, 3, 5]].all()
    again, more = other.loss(batch), method.loss(batch)
    assert again.loss is not None
    assert more.loss is not None
    assert again.loss.item() == more.loss.item()
