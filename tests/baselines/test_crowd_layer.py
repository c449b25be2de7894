from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fernoise_bench.baselines.crowd_layer import CrowdLayer, CrowdLayerParams, crowd_layer_loss
from fernoise_bench.methods.annotators import annotator_cross_entropy, label_shares, number_of, through_matrices

from ..methods.toy import make_encoder, make_task, make_train, random_logits
from .crowd import ANNOTATORS, CLASSES, PEOPLE, Array, batch_of, labels_of, slope, softmax, train_view
from .linear import make_identity

WHO_AND_WHAT = torch.tensor(ANNOTATORS)


def loss_by_loop(logits: Array, matrices: Array, annotators: Any) -> float:
    losses = []
    for face, who, label in labels_of(annotators):
        p = softmax(logits[face])
        scores = np.array([sum(p[c] * matrices[who, c, k] for c in range(len(p))) for k in range(len(p))])
        losses.append(-np.log(softmax(scores)[label]))
    return float(np.mean(losses)) if losses else 0.0


def random_matrices(seed: int) -> torch.Tensor:
    return torch.eye(CLASSES, dtype=torch.float64) + 0.5 * random_logits(seed, PEOPLE, CLASSES, CLASSES, scale=1.0)


# --- the shared maths


def test_probabilities_go_through_the_matrix_by_rows() -> None:
    p = torch.tensor([[1.0, 0.0], [0.25, 0.75]], dtype=torch.float64)
    one = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    assert through_matrices(p, one).tolist() == [[1.0, 2.0], [2.5, 3.5]]
    many = torch.stack([torch.stack([one, one.T]), torch.stack([2 * one, 0 * one])])
    assert through_matrices(p, many).tolist() == [[[1.0, 2.0], [1.0, 3.0]], [[5.0, 7.0], [0.0, 0.0]]]


def test_cross_entropy_is_a_mean_over_the_labels_that_were_given() -> None:
    scores = random_logits(0, 2, 3, CLASSES, requires_grad=True)
    labels = torch.tensor([[2, -1, 0], [-1, -1, 1]])
    z = scores.detach().numpy()
    given = [(0, 0, 2), (0, 2, 0), (1, 2, 1)]
    expected = np.mean([-np.log(softmax(z[face, place])[label]) for face, place, label in given])
    loss = annotator_cross_entropy(scores, labels)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert loss.dtype == torch.float64
    (gradient,) = torch.autograd.grad(loss, scores)
    assert not gradient[0, 1].any()
    assert not gradient[1, :2].any()
    for face, place, label in given:
        target = np.eye(CLASSES)[label]
        assert gradient[face, place].numpy() == pytest.approx((softmax(z[face, place]) - target) / 3, rel=1e-9)


def test_no_label_is_no_loss() -> None:
    for shape in ((2, 3), (0, 3), (2, 0)):
        scores = torch.zeros(*shape, CLASSES, requires_grad=True)
        loss = annotator_cross_entropy(scores, torch.full(shape, -1))
        assert loss.item() == 0.0
        (gradient,) = torch.autograd.grad(loss, scores)
        assert not gradient.any()


def test_shares_of_labels_for_the_audit() -> None:
    labels = torch.tensor([[0, 2, 2, -1], [-1, -1, -1, -1], [1, -1, -1, -1]])
    third = pytest.approx(1 / 3)
    assert label_shares(labels, 3).tolist() == [[third, 0, pytest.approx(2 / 3)], [0, 0, 0], [0, 1, 0]]


def test_annotators_are_counted_by_the_largest_number() -> None:
    assert number_of(WHO_AND_WHAT) == PEOPLE
    for none in (None, torch.zeros(5, 0, 2, dtype=torch.int64), torch.full((5, 2, 2), -1)):
        with pytest.raises(ValueError, match="single annotators"):
            number_of(none)


# --- the loss


@pytest.mark.parametrize("scale", [2.0, 40.0])
def test_loss_is_that_of_the_loop(scale: float) -> None:
    logits, matrices = random_logits(1, 5, CLASSES, scale=scale), random_matrices(2)
    before = matrices.clone()
    loss = crowd_layer_loss(logits, matrices, WHO_AND_WHAT)
    assert loss.item() == pytest.approx(loss_by_loop(logits.numpy(), matrices.numpy(), ANNOTATORS), rel=1e-12)
    assert torch.equal(matrices, before)


def test_a_matrix_that_says_another_class_is_right_about_it() -> None:
    """By hand: certain of class 0, and an annotator who calls it 1."""
    logits = torch.tensor([[60.0, 0.0]], dtype=torch.float64)
    matrices = torch.tensor([[[0.0, 3.0], [0.0, 0.0]]], dtype=torch.float64)
    one, other = (crowd_layer_loss(logits, matrices, torch.tensor([[[0, label]]])).item() for label in (1, 0))
    assert one == pytest.approx(np.log1p(np.exp(-3)), rel=1e-9)
    assert other == pytest.approx(np.log1p(np.exp(3)), rel=1e-9)


def test_gradients_of_logits_and_matrices() -> None:
    logits, matrices = random_logits(3, 5, CLASSES, requires_grad=True), random_matrices(4).requires_grad_()
    loss = crowd_layer_loss(logits, matrices, WHO_AND_WHAT)
    of_logits, of_matrices = torch.autograd.grad(loss, (logits, matrices))
    z, w = logits.detach().numpy(), matrices.detach().numpy()
    assert of_logits.numpy() == pytest.approx(slope(lambda at: loss_by_loop(at, w, ANNOTATORS), z), rel=1e-6, abs=1e-9)
    assert of_matrices.numpy() == pytest.approx(
        slope(lambda at: loss_by_loop(z, at, ANNOTATORS), w), rel=1e-6, abs=1e-9
    )
    assert not of_logits[4].any()  # nobody labelled the last face


def test_extreme_logits_half_precision_and_no_rows() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0]] * 5, requires_grad=True)
    matrices = (1e4 * random_matrices(5)).float().requires_grad_()
    loss = crowd_layer_loss(logits, matrices, WHO_AND_WHAT)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(gradient).all() for gradient in torch.autograd.grad(loss, (logits, matrices)))
    assert crowd_layer_loss(logits.detach().bfloat16(), matrices.detach(), WHO_AND_WHAT).dtype == torch.float32
    assert crowd_layer_loss(logits[:0], matrices, WHO_AND_WHAT[:0]).item() == 0.0


# --- the method


def make_method(**changes: Any) -> CrowdLayer:
    method = CrowdLayer(make_task(size=5), make_identity, CrowdLayerParams(**changes)).double()
    method.prepare(train_view())
    return method


def test_matrices_start_as_identities_and_have_no_place_without_annotators() -> None:
    method = make_method()
    assert method.matrices.tolist() == [np.eye(3).tolist()] * PEOPLE
    assert dict(method.named_parameters())["matrices"] is method.matrices
    assert make_method(diagonal=2.0).matrices[1].tolist() == (2 * np.eye(3)).tolist()
    with pytest.raises(ValueError, match="single annotators"):
        CrowdLayer(make_task(), make_encoder, CrowdLayerParams()).prepare(make_train([0, 1]))


def test_training_follows_a_run_in_numpy() -> None:
    """Gradient descent on head and matrices, by differences of the loop."""
    method = make_method()
    head = method.network.head
    w, b = head.weight.detach().numpy().copy(), head.bias.detach().numpy().copy()
    matrices, rate = method.matrices.detach().numpy().copy(), 0.5
    optimizer = torch.optim.SGD(method.parameters(), rate)
    for step, index in enumerate(([0, 1, 2], [3, 4, 0], [2, 2, 1])):
        batch = batch_of(index, step)
        x, told = batch.images[0].flatten(1).numpy(), np.array(ANNOTATORS)[index]
        found = method.loss(batch)
        assert found.loss is not None
        assert found.loss.item() == pytest.approx(loss_by_loop(x @ w.T + b, matrices, told), rel=1e-10)
        assert found.probabilities is not None
        assert found.probabilities.numpy() == pytest.approx(np.array([softmax(row) for row in x @ w.T + b]))
        optimizer.zero_grad()
        found.loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        of_w = slope(lambda at: loss_by_loop(x @ at.T + b, matrices, told), w)  # noqa: B023
        of_b = slope(lambda at: loss_by_loop(x @ w.T + at, matrices, told), b)  # noqa: B023
        of_matrices = slope(lambda at: loss_by_loop(x @ w.T + b, at, told), matrices)  # noqa: B023
        w, b, matrices = w - rate * of_w, b - rate * of_b, matrices - rate * of_matrices
        for mine, theirs in ((head.weight, w), (head.bias, b), (method.matrices, matrices)):
            assert mine.detach().numpy() == pytest.approx(theirs, rel=1e-6, abs=1e-8)
    images = batch_of([0, 1]).images[0]
    expected = [softmax(row) for row in images.flatten(1).numpy() @ w.T + b]
    assert method.predict(images).detach().numpy() == pytest.approx(np.array(expected), rel=1e-6)


def test_a_step_says_what_it_trained_on() -> None:
    step = make_method().loss(batch_of([0, 4, 1]))
    assert step.weight is not None
    assert step.target is not None
    assert step.weight.tolist() == [[1.0, 0.0, 1.0]]
    assert step.target.numpy() == pytest.approx(np.array([[[1 / 3, 2 / 3, 0], [0, 0, 0], [0, 0, 1]]]))
    assert not step.target.requires_grad


def test_given_labels_are_not_used() -> None:
    method, batch = make_method(), batch_of([0, 1, 2])
    other = type(batch)(**{**vars(batch), "labels": torch.tensor([2, 2, 2])})
    first, second = (method.loss(each).loss for each in (batch, other))
    assert first is not None
    assert second is not None
    assert first.item() == second.item()
