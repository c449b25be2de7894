from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from fernoise_bench.methods.selection import rank_regularization
from fernoise_bench.methods.ulc_ag import (
    auxiliary_loss,
    auxiliary_ramp,
    class_weights,
    confidence_groups,
    cooccurrence,
    graph_convolution,
    semantic_relabel,
    semantic_templates,
    target_ramp,
    weighted_cross_entropy,
)

from .toy import random_labels, random_logits
from .ulc_ag_by_loop import (
    auxiliary_by_loop,
    cooccurrence_by_loop,
    graph_by_loop,
    relabel_by_loop,
    templates_by_loop,
    weighted_by_loop,
)

LABELS = [0, 2, 1, 1, 0, 0, 2]


def random_confidence(seed: int, size: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(0.05, 0.95, size))


def test_class_weights_by_hand() -> None:
    weights = class_weights(torch.tensor([0, 0, 2, 0]), 4)
    assert weights.dtype == torch.float64
    assert weights.tolist() == [0.25, 1.0, 0.75, 1.0]
    assert class_weights(torch.tensor([1, 1]), 2).tolist() == [1.0, 0.0]
    assert class_weights(torch.zeros(0, dtype=torch.int64), 3).tolist() == [1.0] * 3


def test_weighted_cross_entropy_is_equation_three() -> None:
    logits, confidence, gamma = random_logits(0, 7, 3), random_confidence(1, 7), torch.tensor([0.2, 0.9, 0.5]).double()
    loss = weighted_cross_entropy(logits, torch.tensor(LABELS), confidence, gamma)
    assert loss.item() == pytest.approx(weighted_by_loop(logits, LABELS, confidence, gamma.tolist()), rel=1e-12)
    column = weighted_cross_entropy(logits, torch.tensor(LABELS), confidence[:, None], gamma)
    assert column.item() == loss.item()
    by_column = torch.nn.functional.cross_entropy(confidence[:, None] * gamma * logits, torch.tensor(LABELS))
    assert loss.item() != pytest.approx(by_column.item(), rel=1e-3)  # γ of the row's label, not of each class


def test_weighted_cross_entropy_gradient() -> None:
    labels, gamma = torch.tensor(LABELS), class_weights(torch.tensor(LABELS), 3)
    logits, confidence = random_logits(2, 7, 3, requires_grad=True), random_confidence(3, 7).requires_grad_()
    assert gradcheck(lambda z, a: weighted_cross_entropy(z, labels, a, gamma), (logits, confidence))
    constant = gamma.clone().requires_grad_()
    loss = weighted_cross_entropy(logits, labels, confidence, constant)
    assert torch.autograd.grad(loss, constant, allow_unused=True) == (None,)


def test_a_batch_of_one_class_teaches_the_classifier_nothing() -> None:
    labels = torch.ones(5, dtype=torch.int64)
    logits, confidence = random_logits(4, 5, 3, requires_grad=True), random_confidence(5, 5).requires_grad_()
    loss = weighted_cross_entropy(logits, labels, confidence, class_weights(labels, 3))
    assert loss.item() == pytest.approx(math.log(3), rel=1e-12)
    assert not any(gradient.any() for gradient in torch.autograd.grad(loss, (logits, confidence)))
    assert weighted_cross_entropy(logits[:0], labels[:0], confidence[:0], torch.ones(3)).item() == 0.0


def test_cooccurrence_by_hand() -> None:
    aus = torch.tensor([[1, 1, -1], [1, -1, -1], [1, 1, -1], [-1, 1, -1], [1, 0, -1]], dtype=torch.int8)
    # Four rows have AU 0, one of them with AU 1 unknown: it counts as a row of AU 0 all the same.
    expected = [[1.0, 2 / 3, 0.0], [2 / 4, 1.0, 0.0], [0.0, 0.0, 0.0]]
    assert cooccurrence(aus).tolist() == pytest.approx(np.array(expected))
    asymmetric = cooccurrence(torch.tensor([[1, 1], [1, -1], [1, -1], [1, 1]]))
    assert asymmetric.tolist() == [[1.0, 1.0], [0.5, 1.0]]  # columns condition


@pytest.mark.parametrize("seed", range(3))
def test_cooccurrence_is_equation_five(seed: int) -> None:
    aus = random_labels(seed, 30, 4)
    aus[:, 3] = aus[:, 3].clamp(max=0)  # never occurs
    got = cooccurrence(aus)
    assert got.dtype == torch.float64
    assert got.numpy() == pytest.approx(cooccurrence_by_loop(aus), rel=1e-12)
    unknown = torch.cat([aus, torch.zeros(9, 4, dtype=aus.dtype)])
    assert torch.equal(cooccurrence(unknown), got)
    assert not cooccurrence(aus[:0]).any()


def test_graph_convolution_is_equation_six() -> None:
    nodes, weight = random_logits(6, 3, 4, 5, requires_grad=True), random_logits(7, 5, 2, requires_grad=True)
    adjacency = torch.from_numpy(np.random.default_rng(8).random((4, 4)))
    adjacency[2] = 0.0
    for slope in (0.01, 0.3):
        out = graph_convolution(nodes, adjacency, weight, slope)
        expected = graph_by_loop(nodes.detach().numpy(), adjacency.numpy(), weight.detach().numpy(), slope)
        assert out.detach().numpy() == pytest.approx(expected, rel=1e-11)
        assert not out[:, 2].any()
    assert gradcheck(lambda x, w: graph_convolution(x, adjacency, w), (nodes, weight))
    rows = adjacency / adjacency.sum(dim=1, keepdim=True).clamp(min=1e-9)
    assert torch.allclose(graph_convolution(nodes, rows, weight), graph_convolution(nodes, adjacency, weight))


def test_auxiliary_loss_is_equation_seven_over_known_units() -> None:
    logits, aux, confidence = random_logits(9, 6, 4), random_labels(10, 6, 4).to(torch.int8), random_confidence(11, 6)
    aux[3] = 0
    loss = auxiliary_loss(logits, aux, confidence)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(auxiliary_by_loop(logits, aux, confidence), rel=1e-12)
    other = torch.where(aux == 0, 50.0, logits)
    assert auxiliary_loss(other, aux, confidence).item() == loss.item()
    assert auxiliary_loss(logits, torch.zeros_like(aux), confidence).item() == 0.0
    assert auxiliary_loss(logits[:0], aux[:0], confidence[:0]).item() == 0.0


def test_auxiliary_loss_does_not_shrink_the_confidence() -> None:
    logits, aux = random_logits(12, 5, 4, requires_grad=True), random_labels(13, 5, 4)
    confidence = random_confidence(14, 5).requires_grad_()
    assert torch.autograd.grad(auxiliary_loss(logits, aux, confidence), confidence, allow_unused=True) == (None,)
    fixed = confidence.detach()
    assert gradcheck(lambda z: auxiliary_loss(z, aux, fixed), (logits,))


@pytest.mark.parametrize(("size", "high"), [(0, 0), (1, 0), (2, 1), (5, 4), (9, 7), (10, 8), (90, 72)])
def test_groups_split_at_the_truncated_share(size: int, high: int) -> None:
    confidence = random_confidence(15, size)
    top, rest = confidence_groups(confidence, 0.8)
    order = sorted(range(size), key=lambda i: -float(confidence[i]))
    assert top.tolist() == sorted(order[:high])
    assert rest.tolist() == sorted(order[high:])


def test_groups_break_ties_in_row_order() -> None:
    top, rest = confidence_groups(torch.tensor([0.5, 0.9, 0.5, 0.5, 0.5]), 0.6)
    assert top.tolist() == [0, 1, 2]
    assert rest.tolist() == [3, 4]


def test_groups_are_those_of_the_rank_regularisation() -> None:
    confidence = random_confidence(16, 11)
    top, rest = confidence_groups(confidence, 0.8)
    expected = max(0.0, 0.9 - (confidence[top].mean() - confidence[rest].mean()).item())
    assert rank_regularization(confidence, 0.8, 0.9).item() == pytest.approx(expected, rel=1e-12)


def test_semantic_templates_are_equation_eight() -> None:
    semantics, confidence = random_logits(17, 7, 4, requires_grad=True), random_confidence(18, 7)
    templates, present = semantic_templates(semantics, confidence, torch.tensor(LABELS), 5)
    expected, there = templates_by_loop(semantics.detach(), confidence, LABELS, 5)
    assert templates.numpy() == pytest.approx(expected, rel=1e-12)
    assert present.tolist() == there == [True, True, True, False, False]
    assert not templates.requires_grad
    empty, none = semantic_templates(semantics[:0], confidence[:0], torch.zeros(0, dtype=torch.int64), 5)
    assert not empty.any()
    assert not none.any()


def test_semantic_relabel_is_equations_nine_and_ten() -> None:
    semantics, templates = random_logits(19, 60, 4, requires_grad=True), random_logits(20, 5, 4)
    labels, present = torch.arange(60) % 5, torch.tensor([True, True, False, True, True])
    renewed = semantic_relabel(semantics, templates, labels, present)
    assert renewed.dtype == torch.int64
    assert renewed.tolist() == relabel_by_loop(semantics.detach(), templates, labels.tolist(), present.tolist())
    assert (renewed != labels).any()
    assert (renewed[labels == 2] == 2).all()  # own template missing
    assert not (renewed[labels != 2] == 2).any()  # nor is a missing one ever assigned
    scaled = templates * torch.tensor([1e-30, 1.0, 1.0, 1e30, 5.0]).double()[:, None]
    assert torch.equal(semantic_relabel(semantics, scaled, labels, present), renewed)
    assert semantic_relabel(semantics[:0], templates, labels[:0], present).tolist() == []
    assert torch.equal(semantic_relabel(semantics, templates, labels, torch.zeros(5, dtype=torch.bool)), labels)


def test_semantic_relabel_wants_a_strictly_nearer_template() -> None:
    s, everything = torch.tensor([[0.3, -1.7, 0.9]]), torch.ones(3, dtype=torch.bool)
    one, far = torch.tensor([0.2, -1.1, 1.3]), torch.tensor([-1.0, 1.0, -1.0])
    equal = torch.stack([one, far, one])
    assert semantic_relabel(s, equal, torch.tensor([2]), everything).tolist() == [2]  # as near as the nearest
    assert semantic_relabel(s, equal, torch.tensor([1]), everything).tolist() == [0]  # the first of equals
    assert semantic_relabel(torch.zeros(1, 3), equal, torch.tensor([1]), everything).tolist() == [1]
    blank = torch.stack([torch.zeros(3), -s[0], s[0]])  # a template of zeros is at distance 1
    assert semantic_relabel(s, blank, torch.tensor([0]), everything).tolist() == [2]
    assert semantic_relabel(s, blank[:2], torch.tensor([1]), everything[:2]).tolist() == [0]


def test_semantic_relabel_takes_parallel_templates_for_equally_near() -> None:
    """Eq. (9) knows directions alone; lengths must not decide through rounding."""
    semantics, one = random_logits(21, 200, 7), random_logits(22, 1, 7)
    scales = torch.tensor([1.0, 3.0, 0.7, 1e-9, 1e9], dtype=torch.float64)[:, None]
    labels, everything = torch.arange(200) % 5, torch.ones(5, dtype=torch.bool)
    assert torch.equal(semantic_relabel(semantics, scales * one, labels, everything), labels)


@pytest.mark.parametrize(("angle", "relabelled"), [(1e-9, True), (1e-14, False)])
def test_semantic_relabel_wants_more_than_rounding(angle: float, relabelled: bool) -> None:
    """The cosine gains sin(45°)·angle: 7e-10 is a nearer template, 7e-15 is not."""
    s = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    turned = [math.pi / 4, math.pi / 4 - angle]
    templates = torch.tensor([[math.cos(a), math.sin(a)] for a in turned], dtype=torch.float64)
    renewed = semantic_relabel(s, templates, torch.tensor([0]), torch.ones(2, dtype=torch.bool))
    assert renewed.tolist() == [int(relabelled)]


def test_ramps_by_hand() -> None:
    assert target_ramp(0, 10) == pytest.approx(math.exp(-1))
    assert target_ramp(5, 10) == pytest.approx(math.exp(-0.25))
    assert [target_ramp(epoch, 10) for epoch in (10, 11, 39)] == [1.0, 1.0, 1.0]
    assert [auxiliary_ramp(epoch, 10) for epoch in (0, 5, 10)] == [1.0, 1.0, 1.0]
    assert auxiliary_ramp(11, 10) == pytest.approx(math.exp(-1 / 121))
    assert auxiliary_ramp(20, 10) == pytest.approx(math.exp(-0.25))
    for ramp in (target_ramp, auxiliary_ramp):
        with pytest.raises(ValueError, match="beta"):
            ramp(1, 0)
