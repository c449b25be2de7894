from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from fernoise_bench.baselines.resup import (
    ReSup,
    ReSupParams,
    clean_lookup,
    fit_beta_mixture,
    label_similarity,
    resup_loss,
    resup_weights,
)

from ..methods.toy import make_batch, make_encoder, make_task, parameter_gradients, random_logits
from .linear import Array, double_batch, make_identity, one_hot, softmax_rows, weights_of
from .peers import BATCHES, GIVEN, RATE, assert_alike, batch_of, cross_entropies, train, view

LABELS = torch.tensor([0, 2, 1, 1])


def density(x: float, a: float, b: float) -> float:
    return math.exp(
        (a - 1) * math.log(x) + (b - 1) * math.log(1 - x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    )


def fitted(similarity: Any, rounds: int = 10) -> list[list[float]]:
    """[alpha, beta, share], each of both components, row by row."""
    values = [0.999 if s >= 1 else 0.001 if s <= 0 else float(s) for s in similarity]
    values = [min(max(s, 1e-4), 1 - 1e-4) for s in values]
    alpha, beta, share = [1.0, 2.0], [2.0, 1.0], [0.5, 0.5]
    for _ in range(rounds):
        rows = []
        for x in values:
            own = [max(share[k] * density(x, alpha[k], beta[k]), 1e-12) for k in (0, 1)]
            rows.append([one / sum(own) for one in own])
        for k in (0, 1):
            total = math.fsum(row[k] for row in rows)
            mean = math.fsum(row[k] * x for row, x in zip(rows, values, strict=True)) / total
            variance = math.fsum(row[k] * (x - mean) ** 2 for row, x in zip(rows, values, strict=True)) / total
            alpha[k] = mean * (mean * (1 - mean) / variance - 1)
            beta[k] = alpha[k] * (1 - mean) / mean
            share[k] = total / len(values)
    return [alpha, beta, share]


def table_of(alpha: Any, beta: Any, share: Any, resolution: int = 100) -> list[float]:
    table: list[float] = []
    for number in range(resolution):
        x = 1e-12 + number * (1 - 2e-12) / (resolution - 1)
        wrong, right = (share[k] * density(x, alpha[k], beta[k]) for k in (0, 1))
        table.append(right / (wrong + right + 1e-12))
    top = table.index(max(table))
    return [table[min(number, top)] for number in range(resolution)]


def looked_up(similarity: Any, table: Any) -> list[float]:
    found = []
    for s in similarity:
        value = 0.999 if s >= 1 else 0.001 if s <= 0 else s
        found.append(min(max(float(table[min(int(len(table) * value), len(table) - 1)]), 1e-4), 1 - 1e-4))
    return found


def bimodal(seed: int, rows: int = 300) -> Tensor:
    generator = np.random.default_rng(seed)
    values = np.where(generator.random(rows) < 0.3, generator.beta(2, 6, rows), generator.beta(8, 2, rows))
    values[:3] = [0.0, 1.0, 1.0 - 1e-9]
    return torch.from_numpy(values)


def test_similarity_is_a_cosine_without_gradient() -> None:
    z = random_logits(0, 4, 3, requires_grad=True)
    found = label_similarity(z, LABELS)
    p = softmax_rows(z.detach().numpy())
    expected = [p[i, y] / math.sqrt(sum(q * q for q in p[i])) for i, y in enumerate(LABELS.tolist())]
    assert found.dtype == torch.float64
    assert not found.requires_grad
    assert found.tolist() == pytest.approx(expected, rel=1e-12)
    extreme = label_similarity(torch.tensor([[1e4, -1e4], [-1e4, 1e4], [0.0, 0.0]]), torch.tensor([0, 0, 1]))
    assert extreme.tolist() == pytest.approx([1.0, 0.0, math.sqrt(0.5)])
    assert label_similarity(z[:0], LABELS[:0]).shape == (0,)
    assert label_similarity(z.detach().half(), LABELS).dtype == torch.float32


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("rounds", [1, 3, 10])
def test_the_mixture_is_that_of_a_loop(seed: int, rounds: int) -> None:
    similarity = bimodal(seed)
    before = similarity.clone()
    found = fit_beta_mixture(similarity, rounds)
    for one, expected in zip(found, fitted(similarity.numpy(), rounds), strict=True):
        assert one.dtype == torch.float64
        assert one.tolist() == pytest.approx(expected, rel=1e-8)
    assert torch.equal(similarity, before)
    if rounds == 10:
        assert [each.tolist() for each in fit_beta_mixture(similarity)] == [each.tolist() for each in found]
        mean = found[0] / (found[0] + found[1])
        assert mean[0] < 0.45 < 0.65 < mean[1]


def test_the_ends_are_moved_inside_and_all_else_is_clipped() -> None:
    exact = torch.tensor([0.0, 1.0, 0.3, 0.8, 0.9, 1.5, -2.0], dtype=torch.float64)
    moved = torch.tensor([0.001, 0.999, 0.3, 0.8, 0.9, 0.999, 0.001], dtype=torch.float64)
    near = torch.tensor([1e-9, 1 - 1e-9, 0.3, 0.8, 0.9], dtype=torch.float64)
    clipped = torch.tensor([1e-4, 1 - 1e-4, 0.3, 0.8, 0.9], dtype=torch.float64)
    assert [each.tolist() for each in fit_beta_mixture(exact)] == [each.tolist() for each in fit_beta_mixture(moved)]
    assert [each.tolist() for each in fit_beta_mixture(near)] == [each.tolist() for each in fit_beta_mixture(clipped)]
    assert fit_beta_mixture(near)[0].tolist() != fit_beta_mixture(exact[:5])[0].tolist()


@pytest.mark.parametrize(
    "similarity", [[], [0.7], [0.4] * 9, [1.0, 1.5, 2.0], [0.5, math.nan, 0.6], [1 - 1e-6, 1 - 1e-7]]
)
def test_where_there_is_no_mixture_every_label_counts(similarity: list[float]) -> None:
    mixture = fit_beta_mixture(torch.tensor(similarity, dtype=torch.float64))
    assert all(bool(torch.isnan(each).all()) and each.shape == (2,) for each in mixture)
    table = clean_lookup(*mixture)
    assert table.dtype == torch.float64
    assert table.tolist() == [1.0] * 100
    assert clean_lookup(*mixture, 7).tolist() == [1.0] * 7


@pytest.mark.parametrize("place", [(0, 0), (1, 1), (2, 0)])
@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_parameters_of_no_distribution_give_no_table(place: tuple[int, int], value: float) -> None:
    parameters = torch.tensor([[2.0, 8.0], [6.0, 2.0], [0.3, 0.7]], dtype=torch.float64)
    assert clean_lookup(*parameters).max() < 1
    parameters[place] = value
    assert clean_lookup(*parameters).tolist() == [1.0] * 100


@pytest.mark.parametrize(
    "parameters",
    [
        [[2.0, 8.0], [6.0, 2.0], [0.3, 0.7]],
        [[0.6, 3.0], [2.0, 0.8], [0.5, 0.5]],
        [[30.0, 20.0], [2.0, 20.0], [0.4, 0.6]],  # the posterior of the second one falls again
        [
            [9.0, 2.0],
            [2.0, 5.0],
            [0.5, 0.5],
        ],  # the fit has swapped the components: the second stays that of clean labels
    ],
)
def test_the_table_is_the_posterior_held_at_its_maximum(parameters: list[list[float]]) -> None:
    tensors = torch.tensor(parameters, dtype=torch.float64)
    for resolution in (100, 13):
        found = clean_lookup(*tensors, resolution)
        assert found.shape == (resolution,)
        assert found.tolist() == pytest.approx(table_of(*parameters, resolution), rel=1e-8, abs=1e-13)
        top = int(found.argmax())
        assert found[top:].tolist() == [float(found.max())] * (resolution - top)
    assert clean_lookup(*tensors).tolist() == clean_lookup(*tensors, 100).tolist()


def test_weights_are_entries_of_the_table() -> None:
    table = torch.linspace(0.2, 0.7, 100, dtype=torch.float64)
    similarity = torch.tensor([0.0, 0.004, 0.0101, 0.5001, 0.989, 0.9999, 1.0, -0.1, 1.1], dtype=torch.float64)
    found = resup_weights(similarity, table)
    assert found.dtype == torch.float64
    assert found.tolist() == [float(table[k]) for k in (0, 0, 1, 50, 98, 99, 99, 0, 99)]
    assert resup_weights(similarity, torch.tensor([0.0, 1.0], dtype=torch.float64)).tolist() == [
        1e-4 if s < 0.5 else 1 - 1e-4 for s in similarity.tolist()
    ]
    assert resup_weights(similarity, table[:7]).tolist() == looked_up(similarity.tolist(), table[:7].tolist())
    assert not resup_weights(similarity.requires_grad_(), table).requires_grad
    assert resup_weights(torch.zeros(0), table).shape == (0,)


def loss_by_loop(z1: Array, z2: Array, labels: Any, w1: Any, w2: Any, factor: float) -> float:
    p1, p2 = softmax_rows(z1), softmax_rows(z2)
    total = 0.0
    for i, y in enumerate(labels):
        total += -w2[i] * math.log(p1[i, y]) - w1[i] * math.log(p2[i, y])
        total += factor * sum((p1[i, c] - p2[i, c]) ** 2 for c in range(z1.shape[1])) / z1.shape[1]
    return total / len(labels)


def test_each_network_is_weighted_by_the_other() -> None:
    z1, z2 = random_logits(0, 4, 3, requires_grad=True), random_logits(1, 4, 3, requires_grad=True)
    generator = np.random.default_rng(0)
    w1, w2 = (torch.from_numpy(generator.random(4)).requires_grad_() for _ in range(2))
    arrays, labels = (z1.detach().numpy(), z2.detach().numpy()), LABELS.tolist()
    for factor, given in ((5.0, ()), (0.0, (0.0,)), (2.5, (2.5,))):
        loss = resup_loss(z1, z2, LABELS, w1, w2, *given)
        assert loss.dtype == torch.float64
        assert loss.item() == pytest.approx(loss_by_loop(*arrays, labels, w1.tolist(), w2.tolist(), factor), rel=1e-12)
    gradients = torch.autograd.grad(loss, (z1, z2, w1, w2), allow_unused=True)
    assert gradients[2:] == (None, None)
    fixed = w1.detach(), w2.detach()
    assert gradcheck(lambda a, b: resup_loss(a, b, LABELS, *fixed), (z1, z2))
    plain = resup_loss(z1, z2, LABELS)
    ones = [1.0] * 4
    assert plain.item() == pytest.approx(loss_by_loop(*arrays, labels, ones, ones, 0.0), rel=1e-12)
    assert resup_loss(z1, z2, LABELS, consistency_weight=99.0).item() == plain.item()
    with pytest.raises(ValueError, match="both or none"):
        resup_loss(z1, z2, LABELS, w1)


def test_saturated_logits_empty_batches_and_half_precision() -> None:
    z1 = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    z2 = torch.tensor([[-1e4, 1e4], [1e4, 0.0]], requires_grad=True)
    labels = torch.tensor([0, 0])
    weights = torch.ones(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    loss = resup_loss(z1, z2, labels, *weights)
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert all(torch.isfinite(each).all() for each in torch.autograd.grad(loss, (z1, z2)))
    empty = resup_loss(z1[:0], z2[:0], labels[:0], weights[0][:0], weights[1][:0])
    assert empty.item() == 0.0
    assert empty.requires_grad
    half = z1.detach().clamp(-9, 9).half()
    assert resup_loss(half, half, labels).dtype == torch.float32


def make_method(double: bool = False, **changes: Any) -> ReSup:
    return ReSup(make_task(), make_identity if double else make_encoder, ReSupParams(**changes))


def test_training_equals_numpy() -> None:
    """Some epochs of two linear networks; the tables of an epoch are those of the networks before it."""
    method, epochs = make_method(True), 4
    parts = [*weights_of(method.double().network1.head), *weights_of(method.network2.head)]
    everything = double_batch(range(len(GIVEN)), GIVEN).images[0].flatten(1).numpy()
    labels = GIVEN.tolist()
    tables = [[1.0] * 100, [1.0] * 100]
    for epoch in range(epochs):
        if epoch:
            for k in range(2):
                p = softmax_rows(everything @ parts[2 * k].T + parts[2 * k + 1])
                tables[k] = table_of(*fitted([p[i, y] / math.hypot(*p[i]) for i, y in enumerate(labels)]))
        for step in range(len(BATCHES)):
            batch = batch_of(epoch, step)
            x, y = batch.images[0].flatten(1).numpy(), batch.labels.numpy()
            z = [x @ parts[2 * k].T + parts[2 * k + 1] for k in range(2)]
            p, rows = [softmax_rows(each) for each in z], len(y)
            weights = [np.ones(rows), np.ones(rows)]
            if epoch:
                similarity = [[q[i, y[i]] / math.hypot(*q[i]) for i in range(rows)] for q in p]
                weights = [np.array(looked_up(similarity[k], tables[k])) for k in range(2)]
            for k in range(2):
                slope = weights[1 - k][:, None] * (p[k] - one_hot(y, 3))
                if epoch:
                    pull = 5 * 2 / 3 * (p[k] - p[1 - k])
                    slope = slope + p[k] * (pull - (pull * p[k]).sum(1, keepdims=True))
                parts[2 * k] = parts[2 * k] - RATE * (slope / rows).T @ x
                parts[2 * k + 1] = parts[2 * k + 1] - RATE * (slope / rows).sum(0)
    assert_alike(train(method, epochs), parts)
    np.testing.assert_allclose(method.lookup1.numpy(), tables[0], rtol=1e-6)
    np.testing.assert_allclose(method.lookup2.numpy(), tables[1], rtol=1e-6)
    assert method.lookup1.unique().numel() > 2
    assert method.training


def test_the_pass_over_the_training_set_is_in_evaluation_mode_and_without_augmentation() -> None:
    method = make_method(True).double().train()
    modes: list[tuple[bool, bool]] = []
    augmented: list[bool] = []
    method.network1.register_forward_hook(lambda module, *_: modes.append((module.training, torch.is_grad_enabled())))
    method.begin_epoch(0, view())
    assert modes == []
    assert bool((method.lookup1 == 1).all())
    method.begin_epoch(1, view(augmented))
    assert modes == [(False, False)]
    assert augmented == [False]
    assert method.training
    assert method.network1.training
    method.eval().begin_epoch(2, view())
    assert not method.training


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_step_reports_the_weights_of_both_networks(epoch: int) -> None:
    method = make_method().train()
    method.lookup1.copy_(torch.linspace(0.1, 0.4, 100))
    method.lookup2.copy_(torch.linspace(0.9, 0.5, 100))
    batch = make_batch(range(4), LABELS, epoch=epoch)
    z1, z2 = method.network1(batch.images[0]).detach().double(), method.network2(batch.images[0]).detach().double()
    step = method.loss(batch)
    assert step.loss is not None
    assert step.weight is not None
    if epoch == 0:
        assert step.weight.tolist() == [[1.0] * 4] * 2
        expected = np.mean(cross_entropies(z1.numpy(), LABELS.numpy()) + cross_entropies(z2.numpy(), LABELS.numpy()))
        assert step.loss.item() == pytest.approx(float(expected), rel=1e-5)
    else:
        assert float(step.weight[0].min()) >= 0.5  # the first network has the weights of the second one's table
        assert float(step.weight[1].max()) <= 0.4
        expected = loss_by_loop(
            z1.numpy(), z2.numpy(), LABELS.tolist(), step.weight[1].tolist(), step.weight[0].tolist(), 5.0
        )
        assert step.loss.item() == pytest.approx(expected, rel=1e-5)
        assert float(step.logs["weight"]) == pytest.approx(float(step.weight.mean()))
        assert float(step.logs["no_mixture"]) == 0.0
        method.lookup2.fill_(1.0)
        assert float(method.loss(batch).logs["no_mixture"]) == 0.5
    step.loss.backward()
    assert all(parameter_gradients(method))


def test_predictions_and_checkpoint() -> None:
    method, first = make_method(), make_method(predicts="first")
    assert ReSup.variants["first-network"].params == {"predicts": "first"}
    images = make_batch(range(4), LABELS).images[0]
    one, other = method.network1(images).softmax(1), method.network2(images).softmax(1)
    assert torch.allclose(method.predict(images), (one + other) / 2)
    assert torch.equal(first.predict(images), one)
    assert not torch.allclose(one, other)
    step = method.loss(make_batch(range(4), LABELS))
    assert step.probabilities is not None
    assert torch.allclose(step.probabilities, (one + other) / 2)
    method.lookup1.fill_(0.3)
    again = make_method()
    again.load_state_dict(method.state_dict())
    assert torch.equal(again.lookup1, method.lookup1)
    assert method.lookup1.shape == method.lookup2.shape == (100,)
