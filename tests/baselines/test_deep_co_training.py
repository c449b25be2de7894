from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from fernoise_bench.baselines.deep_co_training import (
    DeepCoTraining,
    DeepCoTrainingParams,
    fast_gradient_sign,
    view_difference,
)
from fernoise_bench.methods.base import Network

from ..methods.toy import make_batch, make_encoder, make_task, parameter_gradients, random_labels, random_logits
from .linear import make_identity
from .linear_multi import AUS, LABELS, ORDER, ROWS, VERIFIED, Array, Line, bce_of, features, kl_of, logistic, run


def test_view_difference_is_a_cross_entropy_each_way() -> None:
    z1, z2, a1, a2 = (random_logits(seed, 5, 3) for seed in range(4))
    p1, p2 = logistic(z1.numpy()), logistic(z2.numpy())
    expected = bce_of(a1.numpy(), p2).mean() + bce_of(a2.numpy(), p1).mean()
    assert view_difference(z1, z2, a1, a2).item() == pytest.approx(expected, rel=1e-12)
    every = [z.requires_grad_() for z in (z1, z2, a1, a2)]
    assert gradcheck(view_difference, every, rtol=1e-5)
    assert all(gradient.any() for gradient in torch.autograd.grad(view_difference(*every), every))
    assert view_difference(*(z[:0] for z in every)).item() == 0.0


def test_fast_gradient_sign_of_a_linear_network() -> None:
    network = Network(make_identity, 3).double()
    images = make_batch(range(5), random_labels(0, 5, 3)).images[0].double()
    targets = torch.tensor([[1, -1, 0], [-1, -1, 1], [0, 0, 1], [0, 0, 0], [1, 1, 1]])
    moved = fast_gradient_sign(network, images, targets, 0.02)
    line, x = Line(network.head), images.flatten(1).numpy()
    error = (logistic(line(x)) - (targets > 0).numpy()) * (targets != 0).numpy()
    expected = x + 0.02 * np.sign(error @ line.weight)
    assert np.allclose(moved.flatten(1).numpy(), expected, rtol=1e-12)
    assert torch.equal(moved[3], images[3])  # nothing known: not moved
    assert not moved.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())
    with torch.no_grad():
        assert torch.equal(fast_gradient_sign(network, images, targets, 0.02), moved)


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(12)
        self.head = nn.Linear(12, 3)
        self.modes: list[bool] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.modes.append(self.norm.training)
        logits: torch.Tensor = self.head(self.norm(images.flatten(1)))
        return logits


@pytest.mark.parametrize("training", [True, False])
def test_the_attack_holds_batch_statistics_fixed(training: bool) -> None:
    network = Normed().train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = make_batch(range(4), random_labels(1, 4, 3)).images[0]
    alone = fast_gradient_sign(network, images[:1], torch.ones(1, 3), 0.1)
    together = fast_gradient_sign(network, images, torch.ones(4, 3), 0.1)
    assert torch.allclose(alone, together[:1])
    assert network.modes == [False, False]
    assert network.training == network.norm.training == training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def make_method(epochs: int = 600, **changes: Any) -> DeepCoTraining:
    return DeepCoTraining(make_task("multi", 3, epochs=epochs), make_encoder, DeepCoTrainingParams(**changes))


@pytest.mark.parametrize(("epochs", "ramp"), [(600, 80), (25, 3), (15, 2), (70, 9), (2, 0)])
def test_ramp_keeps_its_share_and_counts_from_one(epochs: int, ramp: int) -> None:
    method = make_method(epochs)
    assert method.ramp_epochs == ramp
    for epoch in (0, 1, epochs - 1):
        step = method.loss(make_batch([0, 1], [[1, 1, -1]] * 2, verified=[True, False], views=2, epoch=epoch))
        phase = 0.0 if ramp == 0 else 1 - min(1.0, (epoch + 1) / ramp)
        assert step.logs["ramp"] == pytest.approx(math.exp(-5 * phase**2), rel=1e-12)


def test_weights_mark_the_known_entries_of_verified_rows() -> None:
    method = make_method()
    labels = random_labels(3, 6, 3)
    verified = torch.tensor([True, True, True, False, False, False])
    step = method.loss(make_batch(range(6), labels, verified=verified, views=2))
    assert step.weight is not None
    assert step.weight.tolist() == [((labels != 0) & verified[:, None]).float().tolist()] * 2
    assert step.target is None
    assert step.loss is not None
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter_gradients(method))


def test_without_a_known_verified_label_there_is_no_update() -> None:
    method = make_method()
    assert method.loss(make_batch([0, 1], [[1, 1, 1]] * 2, verified=[False] * 2, views=2)).loss is None
    assert method.loss(make_batch([0, 1], [[0, 0, 0]] * 2, verified=[True] * 2, views=2)).loss is None
    every = method.loss(make_batch([0, 1], [[1, 0, -1]] * 2, verified=[True] * 2, views=2))  # nothing unlabelled
    assert every.loss is not None
    assert every.logs["agreement"] == 0


def test_labels_of_unverified_rows_do_not_matter() -> None:
    method = make_method()
    first = method.loss(make_batch([0, 1], [[1, -1, 1], [1, 1, 1]], verified=[True, False], views=2)).loss
    second = method.loss(make_batch([0, 1], [[1, -1, 1], [-1, 0, -1]], verified=[True, False], views=2)).loss
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)


def test_simplified_makes_no_adversarial_example() -> None:
    method = make_method(**DeepCoTraining.variants["simplified"].params)
    step = method.loss(make_batch([0, 1], [[1, 1, -1]] * 2, verified=[True, False], views=2))
    assert step.logs["difference"] == 0
    assert method.network1.encoder.rows == [2]  # a single forward pass
    full = make_method()
    full.loss(make_batch([0, 1], [[1, 1, -1]] * 2, verified=[True, False], views=2))
    assert full.network1.encoder.rows == [2, 2, 2]  # also the attack on it and the attack on its peer


def divergence(p1: Array, p2: Array) -> Array:
    middle = (p1 + p2) / 2
    return np.asarray((kl_of(p1, middle) + kl_of(p2, middle)) / 2)


def slope(own: Array, peer: Array) -> Array:
    """Gradient of the divergence with regard to the logits of `own`."""
    middle = (own + peer) / 2
    return np.asarray(0.5 * (np.log(own / middle) - np.log((1 - own) / (1 - middle))) * own * (1 - own))


@pytest.mark.parametrize("adversarial", [True, False])
def test_a_linear_run_in_numpy(adversarial: bool) -> None:
    task = make_task("multi", AUS, size=ROWS, epochs=5)
    params = DeepCoTrainingParams(
        agreement_factor=1.5, difference_factor=0.5, epsilon=0.1, ramp_epochs=360, adversarial=adversarial
    )
    method = DeepCoTraining(task, make_identity, params).double()
    assert method.ramp_epochs == 3
    lines, views, expected = (Line(method.network1.head), Line(method.network2.head)), (features(0), features(1)), []
    for epoch in range(5):
        ramp = math.exp(-5 * (1 - min(1.0, (epoch + 1) / 3)) ** 2)
        for rows in ORDER:
            y, verified = LABELS[rows], VERIFIED[rows][:, None]
            x = views[0][rows], np.where(verified, views[1][rows], views[0][rows])
            z = [line(inputs) for line, inputs in zip(lines, x, strict=True)]
            p, used, others = [logistic(each) for each in z], (y != 0) & verified, np.broadcast_to(~verified, y.shape)
            count, free = used.sum(), max(1, others.sum())
            total = sum((bce_of(each, y > 0) * used).sum() / count for each in z)
            total += ramp * 1.5 * (divergence(p[0], p[1]) * others).sum() / free
            outer = [used * (each - (y > 0)) / count for each in p]
            outer[0] = outer[0] + ramp * 1.5 * others * slope(p[0], p[1]) / free
            outer[1] = outer[1] + ramp * 1.5 * others * slope(p[1], p[0]) / free
            parts: list[list[tuple[Array, Array]]] = [[], []]
            if adversarial:
                moved = []
                for own in (0, 1):
                    target = np.where(used, y > 0, z[own] >= 0)
                    moved.append(x[own] + 0.1 * np.sign((p[own] - target) @ lines[own].weight))
                for own, peer in ((0, 1), (1, 0)):
                    attacked = lines[own](moved[peer])
                    total += ramp * 0.5 * bce_of(attacked, p[peer]).mean()
                    scale = ramp * 0.5 / y.size
                    parts[own].append((scale * (logistic(attacked) - p[peer]), moved[peer]))
                    outer[peer] = outer[peer] - scale * attacked * p[peer] * (1 - p[peer])
            expected.append(total)
            for own in (0, 1):
                lines[own].move((outer[own], x[own]), *parts[own])
    assert run(method, 5) == pytest.approx(expected, rel=1e-9)
    assert lines[0].agrees_with(method.network1.head)
    assert lines[1].agrees_with(method.network2.head)
