"""The functions of MLCR."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from fernoise_bench.methods.mlcr import (
    adjacency,
    co_regularization_loss,
    dependency,
    graph_classifiers,
    multi_view_loss,
)

from .mlcr_numpy import EPS, compat_by_numpy, cr_by_numpy, dependency_by_loop, graph_by_numpy, mv_by_numpy, sigma
from .toy import random_labels, random_logits


def classifiers(seed: int, aus: int = 4, width: int = 6) -> tuple[Tensor, Tensor]:
    return random_logits(seed, aus, width, requires_grad=True), random_logits(seed + 50, aus, requires_grad=True)


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("with_bias", [True, False])
def test_multi_view_loss_is_the_mean_cosine(absolute: bool, with_bias: bool) -> None:
    (w1, b1), (w2, b2) = classifiers(0), classifiers(1)
    one, two = w1.detach().numpy(), w2.detach().numpy()
    if with_bias:
        one, two = np.c_[one, b1.detach().numpy()], np.c_[two, b2.detach().numpy()]
    loss = multi_view_loss(w1, b1, w2, b2, absolute=absolute, with_bias=with_bias)
    assert loss.item() == pytest.approx(mv_by_numpy(one, two, absolute), rel=1e-12)
    assert loss.dtype == torch.float64
    assert gradcheck(lambda *x: multi_view_loss(*x, absolute=absolute), (w1, b1, w2, b2), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_multi_view_loss_of_half_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    (w, b), (other, c) = classifiers(0), classifiers(1)
    (w, b), (other, c) = ([x.detach().to(dtype) for x in pair] for pair in ((w, b), (other, c)))
    assert multi_view_loss(w, b, w, b).item() == pytest.approx(1.0, abs=1e-6)
    whole = multi_view_loss(w.double(), b.double(), other.double(), c.double()).item()
    assert multi_view_loss(w, b, other, c).item() == pytest.approx(whole, rel=1e-5)


def test_multi_view_loss_by_hand() -> None:
    zero = torch.zeros(2)
    w1, w2 = torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.tensor([[0.0, 2.0], [-1.0, 0.0]])
    assert multi_view_loss(w1, zero, w2, zero).item() == 0.5  # orthogonal, and opposite
    assert multi_view_loss(w1, zero, w2, zero, absolute=False).item() == -0.5
    # The bias is part of the classifier: [1 0; 1] and [0 2; 1] have the cosine 1 / (√2 √5).
    one = torch.ones(1)
    assert multi_view_loss(w1[:1], one, w2[:1], one).item() == pytest.approx(1 / np.sqrt(10))
    still = torch.zeros(1, 2, requires_grad=True)
    loss = multi_view_loss(still, zero[:1], w2[:1], zero[:1])
    loss.backward()
    assert loss.item() == 0.0
    assert still.grad is not None
    assert torch.isfinite(still.grad).all()


def test_co_regularization_is_the_divergence_of_each_entry() -> None:
    z1, z2 = random_logits(2, 7, 3, requires_grad=True), random_logits(3, 7, 3, requires_grad=True)
    expected = cr_by_numpy(z1.detach().numpy(), z2.detach().numpy())
    assert co_regularization_loss(z1, z2).item() == pytest.approx(expected, rel=1e-10)
    assert co_regularization_loss(z1, z1).item() == pytest.approx(0.0, abs=1e-15)
    assert gradcheck(co_regularization_loss, (z1, z2), rtol=1e-5, atol=1e-8)


def test_compat_is_the_difference_of_filtered_entropies() -> None:
    z1, z2 = random_logits(4, 30, 3, scale=5.0, requires_grad=True), random_logits(5, 30, 3, scale=5.0)
    z2.requires_grad_(True)
    first, second = z1.detach().numpy(), z2.detach().numpy()
    assert (sigma(first) < EPS).any()
    assert (sigma(first) > 1 - EPS).any()
    loss = co_regularization_loss(z1, z2, compat=True)
    assert loss.item() == pytest.approx(compat_by_numpy(first, second), rel=1e-10)
    assert abs(loss.item() - co_regularization_loss(z1, z2).item()) > 1e-3  # another loss
    assert gradcheck(lambda a, b: co_regularization_loss(a, b, compat=True), (z1, z2), rtol=1e-5, atol=1e-8)


def test_compat_by_hand() -> None:
    # Equal views do not give 0: the epsilon sits in both logarithms of the mean and in one of each view's.
    half = torch.zeros(1, 1, dtype=torch.float64)
    one_sided = -(0.5 * np.log(0.5) + 0.501 * np.log(0.501))
    two_sided = -2 * 0.501 * np.log(0.501)
    assert co_regularization_loss(half, half, compat=True).item() == pytest.approx(abs(two_sided - one_sided), rel=1e-9)
    # All saturated on one side: p1 and p2 drop out, their mean of one half does not.
    high, low = torch.full((2, 1), 30.0, dtype=torch.float64), torch.full((2, 1), -30.0, dtype=torch.float64)
    assert co_regularization_loss(high, low, compat=True).item() == pytest.approx(two_sided, rel=1e-9)
    saturated = high.clone().requires_grad_(True)
    loss = co_regularization_loss(saturated, high, compat=True)  # nothing is left anywhere
    loss.backward()
    assert loss.item() == 0.0
    assert saturated.grad is not None
    assert not saturated.grad.any()
    for compat in (False, True):
        empty = torch.zeros(0, 3, requires_grad=True)
        assert co_regularization_loss(empty, empty, compat=compat).item() == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_dependency_counts_known_pairs(seed: int) -> None:
    labels = random_labels(seed, 40, 4)
    found = dependency(labels)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), dependency_by_loop(labels.numpy()), rtol=1e-12)
    assert not torch.allclose(found, found.T)


def test_dependency_is_a_covariance_where_all_is_known() -> None:
    """2(P - 1/2) = cov(i, j) / (p_j (1 - p_j))."""
    labels = random_labels(9, 60, 3)
    labels[labels == 0] = -1
    present = (labels.numpy() > 0).astype(float)
    rate = present.mean(0)
    covariance = np.cov(present.T, ddof=0)
    np.testing.assert_allclose(2 * (dependency(labels).numpy() - 0.5), covariance / (rate * (1 - rate)), atol=1e-12)


def test_dependency_by_hand_and_where_it_cannot_be_told() -> None:
    labels = torch.tensor([[1, 1, -1, 0], [1, -1, -1, 0], [-1, -1, -1, 0], [-1, -1, -1, 0], [0, 1, -1, 0]])
    found = dependency(labels)
    assert found[0, 1].item() == pytest.approx(0.5 * (1 / 1 + 2 / 3))  # the row of unknown AU0 is left out
    assert found[1, 0].item() == pytest.approx(0.5 * (1 / 2 + 2 / 2))
    assert found[0, 2] == found[0, 3] == 0.5  # AU2 never present, AU3 never known
    assert found[2, 0].item() == pytest.approx(0.5 * (0 + 1))
    assert found.diagonal().tolist() == [1.0] * 4
    assert dependency(labels[:0]).tolist() == (0.5 * torch.ones(4, 4)).fill_diagonal_(1.0).tolist()


def test_adjacency_is_the_transpose_scaled_by_row_sums() -> None:
    p = torch.tensor([[1.0, 0.9, 0.5], [0.7, 1.0, 0.25], [0.5, 0.4, 1.0]], dtype=torch.float64)
    a = np.abs(2 * (p.numpy() - 0.5))
    scale = np.diag(a.sum(1) ** -0.5)
    np.testing.assert_allclose(adjacency(p).numpy(), scale @ a.T @ scale, rtol=1e-12)
    np.testing.assert_allclose(adjacency(p, normalized=False).numpy(), a, rtol=1e-12)
    # By hand: rows sum to 1.8, 1.9, 1.2; entry (0, 1) takes A[1, 0] = 0.4.
    assert adjacency(p)[0, 1].item() == pytest.approx(0.4 / np.sqrt(1.8 * 1.9))
    lonely = torch.tensor([[0.5, 0.5], [0.5, 1.0]])
    assert adjacency(lonely).tolist() == [[0.0, 0.0], [0.0, 1.0]]
    assert adjacency(lonely).dtype == torch.float32


def test_graph_classifiers_are_two_layers() -> None:
    x, a = random_logits(6, 4, 5, requires_grad=True), random_logits(7, 4, 4).abs()
    h0, h1 = random_logits(8, 5, 5, requires_grad=True), random_logits(9, 5, 5, requires_grad=True)
    arrays = [t.detach().numpy() for t in (x, a, h0, h1)]
    np.testing.assert_allclose(graph_classifiers(x, a, h0, h1).detach(), graph_by_numpy(*arrays), rtol=1e-12)
    np.testing.assert_allclose(graph_classifiers(x, a, h0, h1, 0.0).detach(), graph_by_numpy(*arrays, 0.0), rtol=1e-12)
    assert gradcheck(lambda n, f, s: graph_classifiers(n, a, f, s), (x, h0, h1), rtol=1e-5, atol=1e-6)
    negative = -torch.ones(1, 1)
    one = torch.ones(1, 1)
    assert graph_classifiers(negative, one, one, one).item() == pytest.approx(-0.2)


@pytest.mark.parametrize(("of_nodes", "of_edges"), [(torch.float32, torch.float64), (torch.float64, torch.float32)])
def test_graph_classifiers_have_the_dtype_of_the_nodes(of_nodes: torch.dtype, of_edges: torch.dtype) -> None:
    """Relations are counted in float64, networks learn in float32."""
    x, h0, h1 = (random_logits(seed, *shape).to(of_nodes) for seed, shape in ((6, (4, 5)), (8, (5, 5)), (9, (5, 5))))
    a = adjacency(dependency(random_labels(7, 40, 4))).to(of_edges)
    made = graph_classifiers(x, a, h0, h1)
    assert made.dtype == of_nodes
    expected = graph_by_numpy(*(t.double().numpy() for t in (x, a, h0, h1)))
    np.testing.assert_allclose(made.numpy(), expected, rtol=1e-4, atol=1e-5)
