from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.autograd import gradcheck

from fernoise_bench.baselines.dividemix import (
    DivideMix,
    DivideMixParams,
    co_guess,
    mixing_share,
    refine_labels,
    semi_supervised_loss,
    sharpen,
    unlabelled_weight,
)
from fernoise_bench.methods.base import Batch, TrainView
from fernoise_bench.methods.mixture import clean_probability

from ..methods.toy import make_batch, make_encoder, make_task, make_train, parameter_gradients, random_logits
from .linear import Array, double_batch, make_identity, one_hot, softmax_rows, weights_of

GIVEN = torch.arange(12) % 3
LABELS = torch.tensor([0, 2, 1, 1])


def sharpen_by_hand(p: Array, temperature: float) -> Array:
    powers = p ** (1 / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def test_sharpen_by_hand() -> None:
    p = torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]], dtype=torch.float64)
    assert sharpen(p, 0.5).tolist() == [pytest.approx([4 / 6, 1 / 6, 1 / 6]), [1.0, 0.0, 0.0]]
    assert torch.allclose(sharpen(p, 1.0), p)
    q = random_logits(0, 5, 3).softmax(1)
    np.testing.assert_allclose(sharpen(q, 0.3).numpy(), sharpen_by_hand(q.numpy(), 0.3), rtol=1e-12)


def test_targets_are_the_equations() -> None:
    z = [random_logits(k, 4, 3, requires_grad=True) for k in range(4)]
    p = [softmax_rows(logits.detach().numpy()) for logits in z]
    guessed = co_guess((z[0], z[1]), (z[2], z[3]), 0.5)
    np.testing.assert_allclose(guessed.numpy(), sharpen_by_hand(sum(p) / 4, 0.5), rtol=1e-12)  # type: ignore[operator]
    assert torch.allclose(guessed, co_guess((z[2], z[3]), (z[0], z[1]), 0.5))
    clean = torch.tensor([0.0, 0.3, 0.9, 1.0], dtype=torch.float64)
    refined = refine_labels((z[0], z[1]), LABELS, clean, 0.5)
    w = clean.numpy()[:, None]
    mixed = w * one_hot(LABELS.numpy(), 3) + (1 - w) * (p[0] + p[1]) / 2
    np.testing.assert_allclose(refined.numpy(), sharpen_by_hand(mixed, 0.5), rtol=1e-12)
    assert refined[3].tolist() == [0.0, 1.0, 0.0]  # a label surely right stays
    assert not guessed.requires_grad
    assert not refined.requires_grad


def test_unlabelled_weight_ramps_up() -> None:
    assert [unlabelled_weight(e, 10, 16, 25.0) for e in (0, 10, 14, 26, 40)] == [0.0, 0.0, 6.25, 25.0, 25.0]
    assert unlabelled_weight(10.5, 10, 16, 32.0) == 1.0
    assert [unlabelled_weight(e, 2, 0, 25.0) for e in (1, 2)] == [0.0, 25.0]


def test_mixing_share_has_the_stated_distribution() -> None:
    generator = torch.Generator().manual_seed(0)
    shares = np.array([mixing_share(4.0, generator, draw) for draw in range(4000)])
    assert shares.min() >= 0.5
    assert shares.max() <= 1.0
    # 2·E|Beta(4, 4) - 1/2| = 0.2734..., a folded mean of 1/2 + 35/256.
    assert shares.mean() == pytest.approx(0.5 + 35 / 256, abs=0.005)
    assert mixing_share(4.0, generator, 7) == mixing_share(4.0, torch.Generator().manual_seed(0), 7)
    assert mixing_share(4.0, generator, 0) != mixing_share(4.0, generator, 1)
    assert mixing_share(4.0, generator) != mixing_share(4.0, torch.Generator().manual_seed(1))


def loss_by_loop(logits: Array, targets: Array, labelled: NDArray[np.bool_], weight: float) -> float:
    p = softmax_rows(logits)
    supervised = [-float((t * np.log(q)).sum()) for q, t, x in zip(p, targets, labelled, strict=True) if x]
    squared = [float(((q - t) ** 2).mean()) for q, t, x in zip(p, targets, labelled, strict=True) if not x]
    uniform = np.full(p.shape[1], 1 / p.shape[1])
    pull = float((uniform * np.log(uniform / p.mean(axis=0))).sum())
    return (np.mean(supervised) if supervised else 0.0) + weight * (np.mean(squared) if squared else 0.0) + pull


@pytest.mark.parametrize("labelled", [[True] * 5, [False] * 5, [True, False, True, True, False]])
@pytest.mark.parametrize("weight", [0.0, 25.0])
def test_semi_supervised_loss_is_the_sum_of_three(labelled: list[bool], weight: float) -> None:
    logits, targets, mask = random_logits(5, 5, 3), random_logits(6, 5, 3).softmax(1), torch.tensor(labelled)
    loss = semi_supervised_loss(logits, targets, mask, weight)
    expected = loss_by_loop(logits.numpy(), targets.numpy(), mask.numpy(), weight)
    assert float(loss) == pytest.approx(expected, rel=1e-12)
    assert gradcheck(
        lambda z: semi_supervised_loss(z, targets, mask, weight), (logits.requires_grad_(),), atol=1e-7, rtol=1e-5
    )
    soft = targets.requires_grad_()
    gradient = torch.autograd.grad(semi_supervised_loss(logits, soft, mask, weight), soft, allow_unused=True)
    assert gradient == (None,)


def test_semi_supervised_loss_stays_finite() -> None:
    sure = torch.tensor([[500.0, 0.0, -500.0]] * 2, requires_grad=True)  # nobody is predicted as the last class
    loss = semi_supervised_loss(sure, torch.tensor([[0.0, 0.0, 1.0]] * 2), torch.tensor([True, False]), 25.0)
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, sure)[0]).all()
    empty = semi_supervised_loss(torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0, dtype=torch.bool), 25.0)
    assert empty.item() == 0.0


def make_method(epochs: int = 40, encoder: Any = make_encoder, **changes: Any) -> DivideMix:
    return DivideMix(make_task(epochs=epochs), encoder, DivideMixParams(**changes))


@pytest.mark.parametrize(("epochs", "warm_up", "ramp"), [(40, 10, 16), (15, 4, 6), (2, 1, 1), (300, 75, 120)])
def test_epochs_keep_their_share_of_training(epochs: int, warm_up: int, ramp: int) -> None:
    method = make_method(epochs)
    assert (method.warm_up, method.ramp_epochs) == (warm_up, ramp)


def test_warm_up_is_plain_cross_entropy_of_both() -> None:
    method = make_method()
    batch = make_batch(range(4), LABELS, views=2, epoch=9)
    step = method.loss(batch)
    ce = torch.nn.functional.cross_entropy
    expected = sum(ce(network(batch.images[0]), LABELS) for network in (method.network1, method.network2))
    assert step.loss is not None
    assert torch.allclose(step.loss, expected)  # type: ignore[arg-type]
    method.begin_epoch(9, make_train(GIVEN))
    assert bool((method.clean == 1).all())  # no mixture model yet


def test_a_mixture_model_is_fitted_in_evaluation_mode() -> None:
    method = make_method()
    modes: list[bool] = []
    method.network1.register_forward_hook(lambda module, *_: modes.append(module.training))
    train = make_train(GIVEN)
    method.begin_epoch(10, train)
    assert modes == [False]
    assert method.training
    assert method.network1.training
    images = make_batch(range(12), GIVEN).images[0]
    for network, clean in zip((method.network1, method.network2), method.clean, strict=True):
        losses = torch.nn.functional.cross_entropy(network(images), GIVEN, reduction="none")
        assert torch.equal(clean, clean_probability(losses))
    assert not torch.equal(method.clean[0], method.clean[1])
    other = make_method()
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.clean, method.clean)


@pytest.mark.parametrize("clean", [0.0, 0.5, 0.51, 1.0])
def test_a_batch_all_of_one_part(clean: float) -> None:
    """More than the threshold is labelled; the threshold itself is not. The same sample twice goes, too."""
    method = make_method()
    method.clean.fill_(clean)
    step = method.loss(make_batch([3, 4, 3, 5], LABELS, views=2, epoch=26))
    assert step.loss is not None
    assert torch.isfinite(step.loss)
    assert step.weight is not None
    assert step.weight.tolist() == [[1.0 if clean > 0.5 else 25.0] * 4] * 2
    assert step.target is not None
    assert step.target.shape == (2, 4, 3)
    assert not step.target.requires_grad
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter_gradients(method))


def test_each_network_is_divided_by_the_other() -> None:
    method = make_method()
    method.clean[0, :4] = torch.tensor([0.9, 0.1, 0.9, 0.1])
    method.clean[1, :4] = torch.tensor([0.1, 0.9, 0.9, 0.1])
    step = method.loss(make_batch(range(4), LABELS, views=2, epoch=10))
    assert step.weight is not None
    assert step.weight.tolist() == [[0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0]]  # the ramp starts at zero
    assert step.logs["labelled"].item() == 0.5  # type: ignore[union-attr]


def test_targets_of_a_step_follow_the_others_mixture_model() -> None:
    method = make_method()
    clean = np.array([[0.9, 0.1, 0.7, 0.5], [0.1, 0.8, 0.6, 0.5]])
    method.clean[:, [4, 7, 1, 2]] = torch.from_numpy(clean)
    batch = make_batch([4, 7, 1, 2], LABELS, views=2, epoch=20)
    p = [
        [softmax_rows(network(view).detach().double().numpy()) for view in batch.images]
        for network in (method.network1, method.network2)
    ]
    step = method.loss(batch)
    assert step.target is not None
    for k in (0, 1):
        for i, w in enumerate(clean[1 - k]):
            own = (p[k][0][i] + p[k][1][i]) / 2
            guessed = (own + (p[1 - k][0][i] + p[1 - k][1][i]) / 2) / 2
            mean = w * np.eye(3)[int(LABELS[i])] + (1 - w) * own if w > 0.5 else guessed
            np.testing.assert_allclose(step.target[k, i].numpy(), sharpen_by_hand(mean[None], 0.5)[0], rtol=1e-5)
    assert step.probabilities is not None
    np.testing.assert_allclose(step.probabilities.numpy(), sum(q for pair in p for q in pair) / 4, rtol=1e-5)  # type: ignore[operator]


class ByHand:
    """Both linear networks in NumPy: division, guesses, mixing and gradient descent."""

    def __init__(self, method: DivideMix) -> None:
        self.layers = [list(weights_of(method.network1.head)), list(weights_of(method.network2.head))]
        self.clean = np.ones((2, 12))
        self.method = method

    def forward(self, k: int, images: Array) -> Array:
        weight, bias = self.layers[k]
        return np.asarray(images @ weight.T + bias)

    def begin_epoch(self, images: Array, labels: NDArray[np.int64]) -> None:
        for k in (0, 1):
            p = softmax_rows(self.forward(k, images))
            losses = -np.log(p[np.arange(len(labels)), labels])
            self.clean[k] = clean_probability(torch.from_numpy(losses)).numpy()

    def descend(self, k: int, to_logits: Array, images: Array, rate: float) -> None:
        self.layers[k][0] = self.layers[k][0] - rate * to_logits.T @ images
        self.layers[k][1] = self.layers[k][1] - rate * to_logits.sum(axis=0)

    def warm_up(self, images: Array, labels: NDArray[np.int64], rate: float) -> float:
        total = 0.0
        for k in (0, 1):
            p = softmax_rows(self.forward(k, images))
            total -= float(np.log(p[np.arange(len(labels)), labels]).mean())
            self.descend(k, (p - one_hot(labels, 3)) / len(labels), images, rate)
        return total

    def step(self, batch: Batch, views: list[Array], rate: float) -> float:
        generator = torch.Generator().manual_seed(batch.generator.initial_seed())
        p = [[softmax_rows(self.forward(k, view)) for view in views] for k in (0, 1)]  # both before either learns
        every, total = np.concatenate(views), 0.0
        passed = batch.epoch + batch.step / 3 - self.method.warm_up
        weight = 25.0 * min(1.0, max(0.0, passed / self.method.ramp_epochs))
        for k in (0, 1):
            w = self.clean[1 - k, batch.index.numpy()]
            refined = w[:, None] * one_hot(batch.labels.numpy(), 3) + (1 - w[:, None]) * (p[k][0] + p[k][1]) / 2
            guessed = (p[0][0] + p[0][1] + p[1][0] + p[1][1]) / 4
            targets = np.where((w > 0.5)[:, None], sharpen_by_hand(refined, 0.5), sharpen_by_hand(guessed, 0.5))
            targets, labelled = np.concatenate([targets, targets]), np.concatenate([w > 0.5, w > 0.5])
            partner = torch.randperm(len(every), generator=generator).numpy()
            share = mixing_share(4.0, generator, k)
            images = share * every + (1 - share) * every[partner]
            targets = share * targets + (1 - share) * targets[partner]
            total += self.learn(k, images, targets, labelled, weight, rate)
        return total

    def learn(
        self, k: int, images: Array, targets: Array, labelled: NDArray[np.bool_], weight: float, rate: float
    ) -> float:
        logits = self.forward(k, images)
        q = softmax_rows(logits)
        on, off = labelled[:, None] / max(1, labelled.sum()), ~labelled[:, None] / max(1, (~labelled).sum())
        to_q = weight * 2 * (q - targets) / 3 * off - (1 / 3) / q.mean(axis=0) / len(q)
        to_logits = (q - targets) * on + q * (to_q - (q * to_q).sum(axis=1, keepdims=True))
        self.descend(k, to_logits, images, rate)
        return loss_by_loop(logits, targets, labelled, weight)


def double_train() -> TrainView:
    def batches(augment: bool = False) -> Iterator[Batch]:
        for rows in (range(5), range(5, 12)):
            yield double_batch(rows, GIVEN[list(rows)])

    return TrainView(GIVEN, torch.zeros(12, dtype=torch.bool), None, None, batches)


def test_training_is_the_numpy_run() -> None:
    method = make_method(8, make_identity).double()
    assert (method.warm_up, method.ramp_epochs) == (2, 3)
    with torch.no_grad():
        method.network2.head.weight.mul_(-3)  # so that the two find other labels doubtful
    by_hand = ByHand(method)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.3)
    whole = make_batch(range(12), GIVEN).images[0].double().flatten(1).numpy()
    disputed = 0
    for epoch in range(8):
        method.begin_epoch(epoch, double_train())
        if epoch >= 2:
            by_hand.begin_epoch(whole, GIVEN.numpy())
            np.testing.assert_allclose(method.clean.numpy(), by_hand.clean, rtol=1e-6, atol=1e-9)
        order = np.random.default_rng(epoch).permutation(12)
        for step, rows in enumerate((order[:5], order[[5, 6, 5, 7]], order[7:])):
            batch = double_batch(rows.tolist(), GIVEN[rows], views=2, epoch=epoch, step=step)
            done = method.loss(batch)
            assert done.loss is not None
            optimizer.zero_grad()
            done.loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            views = [view.flatten(1).numpy() for view in batch.images]
            if epoch < 2:
                expected = by_hand.warm_up(views[0], batch.labels.numpy(), 0.3)
            else:
                expected = by_hand.step(batch, views, 0.3)
                disputed += int(((by_hand.clean[0] > 0.5) != (by_hand.clean[1] > 0.5)).sum())
            assert done.loss.item() == pytest.approx(expected, rel=1e-7)
    assert disputed > 5
    for network, layer in zip((method.network1, method.network2), by_hand.layers, strict=True):
        np.testing.assert_allclose(weights_of(network.head)[0], layer[0], rtol=1e-6)


def test_neither_network_learns_from_the_others_loss() -> None:
    method = make_method()
    method.clean.fill_(0.2)  # everything is guessed by both
    gradients = []
    for frozen in (False, True):
        method.zero_grad()
        method.network2.requires_grad_(not frozen)
        step = method.loss(make_batch(range(4), LABELS, views=2, epoch=20))
        assert step.loss is not None
        step.loss.backward()  # type: ignore[no-untyped-call]
        gradients.append([p.grad.clone() for p in method.network1.parameters() if p.grad is not None])
    assert gradients[0]
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_prediction_is_of_the_mean_logits() -> None:
    method = make_method()
    images = make_batch(range(6), torch.zeros(6)).images[0]
    mean = (method.network1(images) + method.network2(images)) / 2
    assert torch.allclose(method.predict(images), mean.softmax(1))


def test_it_says_that_it_is_an_adaptation() -> None:
    assert "our in-batch, simultaneous adaptation" in (DivideMix.__doc__ or "").splitlines()[0]
    for variant in DivideMix.variants.values():
        assert DivideMixParams(**variant.params) != DivideMixParams()  # type: ignore[arg-type]
