from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd import gradcheck

from fernoise_bench.baselines.hlc import (
    HLC,
    HLCParams,
    LabelGraph,
    correction_threshold,
    hlc_correct,
    holistic_score,
)

from ..methods.toy import make_batch, make_encoder, make_task, parameter_gradients, random_labels
from .linear import make_identity, make_maps
from .linear_multi import (
    AUS,
    LABELS,
    ORDER,
    RATE,
    ROWS,
    VERIFIED,
    Array,
    Labels,
    Line,
    bce_of,
    features,
    logistic,
    multi_batch,
    train_view,
)


def random_outputs(seed: int, rows: int, aus: int) -> tuple[Tensor, Tensor]:
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.random((rows, aus))), torch.from_numpy(generator.random((rows, aus, aus)))


def score_by_loop(p: Array, dependency: Array, chosen: list[int], beta: float) -> float:
    single = sum(float(p[a]) for a in chosen)
    return beta * single + (1 - beta) * sum(float(dependency[a, b]) for a in chosen for b in chosen if a != b)


def corrected_by_loop(p: Array, dependency: Array, labels: Labels, threshold: float, beta: float) -> Labels:
    """Row by row; nothing of a row changes unless its own labels score badly."""
    result = labels.copy()
    for n, row in enumerate(labels):
        own = [a for a in range(len(row)) if row[a] > 0]
        ranked = sorted((a for a in range(len(row)) if row[a] != 0), key=lambda a, n=n: (-p[n, a], a))  # type: ignore[misc]
        likely = ranked[: len(own)]
        best = score_by_loop(p[n], dependency[n], likely, beta)
        if threshold > 0 and best > 0 and score_by_loop(p[n], dependency[n], own, beta) <= threshold * best:
            for a in ranked:
                result[n, a] = 1 if a in likely else -1
    return result


def test_threshold_falls_to_zero() -> None:
    found = [correction_threshold(epoch) for epoch in range(4, 13)]
    assert found == pytest.approx([0.48, 0.4, 0.32, 0.24, 0.16, 0.08, 0, 0, 0])
    assert correction_threshold(7, 0.6, 6, 9) == pytest.approx(0.4)
    with pytest.raises(ValueError, match="larger"):
        correction_threshold(3, start=5, stop=5)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_scores_by_loop(beta: float) -> None:
    p, dependency = random_outputs(0, 12, 5)
    chosen = random_labels(1, 12, 5) > 0
    scores = holistic_score(p, dependency, chosen, beta)
    assert scores.dtype == torch.float64
    for n in range(12):
        members = chosen[n].nonzero().flatten().tolist()
        assert scores[n].item() == pytest.approx(score_by_loop(p[n].numpy(), dependency[n].numpy(), members, beta))
    assert not holistic_score(p, dependency, torch.zeros_like(chosen), beta).any()


def test_scores_by_hand() -> None:
    """The row of A comes first, both orders count, the diagonal does not, and nothing is divided by the number."""
    p, dependency = torch.tensor([[0.1, 0.2, 0.4]]), torch.tensor([[[9.0, 1, 2], [3, 9, 4], [5, 6, 9]]])
    pair, three = torch.tensor([[True, False, True]]), torch.tensor([[True, True, True]])
    assert holistic_score(p, dependency, pair, 0.5).item() == pytest.approx(0.5 * 0.5 + 0.5 * 7)
    assert holistic_score(p, dependency, three, 0.5).item() == pytest.approx(0.5 * 0.7 + 0.5 * 21)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("threshold", [0.4, 0.9, 0.0])
def test_corrections_by_loop(seed: int, beta: float, threshold: float) -> None:
    p, dependency = random_outputs(seed, 40, 5)
    p = p.mul(5).round().div(5)  # ties
    labels = random_labels(seed, 40, 5)
    before = labels.clone()
    corrected = hlc_correct(p, dependency, labels, threshold, beta)
    expected = corrected_by_loop(p.numpy(), dependency.numpy(), labels.numpy(), threshold, beta)
    assert (corrected.numpy() == expected).all()
    assert torch.equal(labels, before)
    assert corrected.dtype == labels.dtype
    assert torch.equal((corrected > 0).sum(dim=1), (labels > 0).sum(dim=1))
    assert torch.equal(corrected == 0, labels == 0)
    if threshold != 0.4:
        assert bool((corrected != labels).any()) == (threshold > 0)


def test_corrections_by_hand() -> None:
    p = torch.tensor([[0.2, 0.5, 0.5, 0.9]], dtype=torch.float64)
    none = torch.zeros(1, 4, 4, dtype=torch.float64)

    def correct(labels: list[int], threshold: float, beta: float = 1.0, dependency: Tensor = none) -> list[int]:
        found: list[int] = hlc_correct(p, dependency, torch.tensor([labels]), threshold, beta)[0].tolist()
        return found

    assert correct([1, -1, -1, -1], 0.23) == [-1, -1, -1, 1]  # 0.2 / 0.9 = 0.222
    assert correct([1, -1, -1, -1], 0.22) == [1, -1, -1, -1]
    assert correct([1, -1, -1, 0], 0.4) == [-1, 1, -1, 0]  # the ratio itself is enough; the lower column of two
    assert correct([1, 1, -1, -1], 0.5) == [-1, 1, -1, 1]  # 0.7 / 1.4
    assert correct([-1, -1, -1, -1], 1.0) == [-1] * 4
    assert correct([1, -1, -1, -1], 0.9, beta=0.0) == [1, -1, -1, -1]  # one label has no pair: both scores are 0
    assert correct([1, -1, -1, -1], 0.0) == [1, -1, -1, -1]
    related = none.clone()
    related[0, 0, 1] = related[0, 1, 0] = 1.0  # the own labels belong together
    assert correct([1, 1, -1, -1], 0.9, 0.5, related) == [1, 1, -1, -1]
    assert correct([1, 1, -1, -1], 0.9, 1.0, related) == [-1, 1, -1, 1]


def test_default_beta_and_what_carries_no_gradient() -> None:
    p, dependency = random_outputs(5, 30, 4)
    labels = random_labels(6, 30, 4).to(torch.int8)
    corrected = hlc_correct(p.requires_grad_(), dependency.requires_grad_(), labels, 0.8)
    assert corrected.dtype == torch.int8
    assert (corrected.numpy() == corrected_by_loop(*_numpy(p, dependency, labels), 0.8, 0.5)).all()
    assert not corrected.requires_grad
    assert hlc_correct(p[:0], dependency[:0], labels[:0], 0.8).shape == (0, 4)


def _numpy(*tensors: Tensor) -> Any:
    return [tensor.detach().numpy() for tensor in tensors]


# --- the head


def leaky(values: Array) -> Array:
    return np.where(values > 0, values, 0.2 * values)


def pointwise(layer: Any, values: Array) -> Array:
    """A 1x1 convolution of [C, places], place by place."""
    weight = layer.weight.detach().numpy().reshape(layer.out_channels, -1)
    bias = np.zeros(layer.out_channels) if layer.bias is None else layer.bias.detach().numpy()
    return np.stack([weight @ values[:, place] + bias for place in range(values.shape[1])], axis=1)


def graph_by_loop(head: LabelGraph, maps: Array, *, running: bool = False) -> tuple[Array, Array]:
    """(logits, dependency), image by image; the batch normalisation of all images in between."""
    rows, labels = len(maps), head.classify.out_channels
    flat = maps.reshape(rows, maps.shape[1], -1)
    scores = [pointwise(head.score, image) for image in flat]
    nodes, joined = [], []
    for image, score in zip(flat, scores, strict=True):
        transformed, attention = pointwise(head.transform, image), logistic(score)
        node = np.zeros((len(transformed), labels))
        for place in range(image.shape[1]):
            node += np.outer(transformed[:, place], attention[:, place])
        static = leaky(pointwise(head.static_features, leaky(pointwise(head.static_nodes, node.T)).T))
        nodes.append(node)
        joined.append(node + static)
    whole = np.stack([pointwise(head.global_features, each.mean(axis=1)[:, None])[:, 0] for each in joined])
    norm: Any = head.global_norm
    mean, variance = whole.mean(axis=0), whole.var(axis=0)
    if running:
        mean, variance = norm.running_mean.numpy(), norm.running_var.numpy()
    scale, shift = norm.weight.detach().numpy(), norm.bias.detach().numpy()
    whole = leaky((whole - mean) / np.sqrt(variance + norm.eps) * scale + shift)
    logits, dependencies = np.zeros((rows, labels)), np.zeros((rows, labels, labels))
    for n in range(rows):
        for b in range(labels):
            both = np.concatenate([whole[n], joined[n][:, b]])[:, None]
            dependencies[n, :, b] = logistic(pointwise(head.edges, both)[:, 0])
        passed = np.zeros_like(joined[n])
        for b in range(labels):
            for a in range(labels):
                passed[:, b] += joined[n][:, a] * dependencies[n, a, b]
        related = nodes[n] + leaky(pointwise(head.dynamic_features, leaky(passed)))
        for label in range(labels):
            second = pointwise(head.classify, related[:, label : label + 1])[label, 0]
            logits[n, label] = (scores[n][label].max() + second) / 2
    return logits, dependencies


def random_head(seed: int = 0) -> tuple[LabelGraph, Tensor]:
    torch.manual_seed(seed)
    head = LabelGraph(channels=6, num_labels=3, width=4).double()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_()
        head.global_norm.running_mean.normal_()  # type: ignore[union-attr]
        head.global_norm.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    return head, torch.randn(5, 6, 2, 3, dtype=torch.float64)


@pytest.mark.parametrize("training", [True, False])
def test_the_head_by_loop(training: bool) -> None:
    head, maps = random_head()
    expected = graph_by_loop(head, maps.numpy(), running=not training)
    logits, dependency = head.train(training)(maps)
    assert np.allclose(logits.detach(), expected[0], rtol=1e-10)
    assert np.allclose(dependency.detach(), expected[1], rtol=1e-10)
    assert dependency.shape == (5, 3, 3)


def test_a_single_row_takes_the_running_statistics() -> None:
    head, maps = random_head(1)
    before = {name: value.clone() for name, value in head.state_dict().items()}
    logits, _ = head.train()(maps[:1])
    assert np.allclose(logits.detach(), graph_by_loop(head, maps[:1].numpy(), running=True)[0], rtol=1e-10)
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())
    head(maps)
    assert not torch.equal(head.global_norm.running_mean, before["global_norm.running_mean"])  # type: ignore[arg-type]


def test_gradient_of_the_head() -> None:
    head, maps = random_head(2)
    assert gradcheck(lambda maps: head.train()(maps), (maps[:3, :, :1, :2].requires_grad_(),), rtol=1e-5, atol=1e-8)
    head(maps)[0].square().sum().backward()
    assert all(parameter_gradients(head))  # the dependencies learn through the logits


def test_the_layers_of_the_head() -> None:
    """Names, shapes and initial values are those of torch's layers, made in this order."""
    torch.manual_seed(3)
    head = LabelGraph(8, 3, 5)
    assert {name: tuple(value.shape) for name, value in head.named_parameters()} == {
        **{"score.weight": (3, 8, 1, 1), "transform.weight": (5, 8, 1, 1), "transform.bias": (5,)},
        **{"static_nodes.weight": (3, 3, 1), "static_features.weight": (5, 5, 1), "static_features.bias": (5,)},
        **{"global_features.weight": (5, 5, 1), "global_features.bias": (5,)},
        **{"global_norm.weight": (5,), "global_norm.bias": (5,)},
        **{"edges.weight": (3, 10, 1), "edges.bias": (3,)},
        **{"dynamic_features.weight": (5, 5, 1), "dynamic_features.bias": (5,)},
        **{"classify.weight": (3, 5, 1), "classify.bias": (3,)},
    }
    torch.manual_seed(3)
    assert torch.equal(head.score.weight, nn.Conv2d(8, 3, 1, bias=False).weight)


# --- the method


def follow(method: HLC, epochs: int, outputs: Any, moved: Any) -> tuple[Labels, int]:
    """Trains a method, and corrects labels by loop beside it; the labels at the end, and how many entries changed."""
    labels, changes, params = LABELS.copy(), 0, method.params
    method.prepare(train_view())
    for epoch in range(epochs):
        method.train()
        for rows in ORDER:
            z, dependency = outputs(rows)
            current = labels[rows]
            share = 0.0
            if params.correct and epoch >= method.start:
                threshold = correction_threshold(epoch, params.delta, method.start, method.stop)
                corrected = corrected_by_loop(logistic(z), dependency, current, threshold, params.beta)
                if not params.correct_verified:
                    corrected[VERIFIED[rows]] = current[VERIFIED[rows]]
                share = float((corrected != current).any(axis=1).mean())
                changes += int((corrected != current).sum())
                labels[rows] = current = corrected
            known, target = current != 0, (current > 0).astype(np.float64)
            step = method.loss(multi_batch(rows, epoch))
            assert step.loss is not None
            assert step.loss.item() == pytest.approx((bce_of(z, target) * known).sum() / known.sum(), rel=1e-9)
            assert step.target is not None
            assert (step.target[0].numpy() == current).all()
            assert step.weight is not None
            assert (step.weight[0].numpy() == known).all()
            assert step.probabilities is not None
            assert np.allclose(step.probabilities, logistic(z), rtol=1e-9)
            assert float(step.logs["corrected"]) == pytest.approx(share)
            method.zero_grad()
            step.loss.backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                for parameter in method.parameters():
                    parameter -= RATE * parameter.grad  # type: ignore[operator]
            moved(rows, (known * (logistic(z) - target)) / known.sum())
        assert (method.bank.numpy() == labels).all()
    return labels, changes


SETTINGS: dict[str, Any] = {"delta": 0.95, "start": 1, "stop": 5, "stated_for": 7}


def make_method(make: Any, **changes: Any) -> HLC:
    return HLC(make_task("multi", AUS, size=ROWS, epochs=7), make, HLCParams(**SETTINGS | changes)).double()


@pytest.mark.parametrize("changes", [{}, {"correct_verified": True}, {"delta": 0.99, "start": 0}])
def test_a_linear_run_in_numpy(changes: dict[str, Any]) -> None:
    method = make_method(make_identity, graph=False, beta=1.0, **changes)
    line, x = Line(method.network.head), features()

    def outputs(rows: NDArray[np.int64]) -> tuple[Array, Array]:
        return line(x[rows]), np.zeros((len(rows), AUS, AUS))

    labels, changed = follow(method, 7, outputs, lambda rows, gradient: line.move((gradient, x[rows])))
    assert changed > 3
    assert line.agrees_with(method.network.head)
    assert ((labels == LABELS).all(axis=1)[VERIFIED]).all() != bool(changes.get("correct_verified"))
    assert np.allclose(method.predict(multi_batch(range(4)).images[0]).detach(), logistic(line(x[:4])))


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_a_run_with_the_graph(beta: float) -> None:
    method = make_method(make_maps, beta=beta)
    assert method.head.transform.out_channels == 16  # at least

    def outputs(rows: NDArray[np.int64]) -> tuple[Array, Array]:
        _, maps = method.encoder(multi_batch(rows).images[0])
        return graph_by_loop(method.head, maps.detach().numpy())

    _, changed = follow(method, 6, outputs, lambda rows, gradient: None)
    assert changed > 3
    method.eval()
    images = multi_batch(range(4)).images[0]
    expected = graph_by_loop(method.head, method.encoder(images)[1].detach().numpy(), running=True)
    assert np.allclose(method.predict(images).detach(), logistic(expected[0]), rtol=1e-9)


def test_without_correction_labels_stay() -> None:
    method = make_method(make_maps, correct=False)

    def outputs(rows: NDArray[np.int64]) -> tuple[Array, Array]:
        return graph_by_loop(method.head, method.encoder(multi_batch(rows).images[0])[1].detach().numpy())

    labels, changed = follow(method, 3, outputs, lambda rows, gradient: None)
    assert changed == 0
    assert (labels == LABELS).all()


@pytest.mark.parametrize(
    ("epochs", "start", "stop"), [(30, 5, 10), (15, 2, 5), (60, 10, 20), (25, 4, 8), (4, 1, 2), (2, 0, 1)]
)
def test_epochs_of_the_correction(epochs: int, start: int, stop: int) -> None:
    method = HLC(make_task("multi", epochs=epochs), make_encoder, HLCParams())
    assert (method.start, method.stop) == (start, stop)


def test_the_head_has_the_width_of_the_maps() -> None:
    class Tokens(nn.Module):
        """As an encoder with a neck: three tokens of 40, and maps of 40 channels."""

        num_features, tokens = 120, 3

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return images.new_zeros(len(images), 120), images.mean() + images.new_zeros(len(images), 40, 2, 2)

    method = HLC(make_task("multi", 3), lambda peer=0: Tokens(), HLCParams())
    assert (method.head.transform.in_channels, method.head.transform.out_channels) == (40, 20)
    assert method.predict(make_batch(range(2), np.ones((2, 3))).images[0]).shape == (2, 3)


def test_defaults_and_variants() -> None:
    method = HLC(make_task("multi", 3, size=5), make_encoder, HLCParams())
    assert (method.params.delta, method.params.beta) == (0.4, 0.5)
    assert (method.bank.dtype, tuple(method.bank.shape)) == (torch.int8, (5, 3))
    assert {name: dict(variant.params) for name, variant in HLC.variants.items()} == {
        "no-graph": {"graph": False, "beta": 1.0},
        "label-dependence-only": {"beta": 0.0},
        "no-correction": {"correct": False},
    }
    plain = HLC(make_task("multi", 3), make_encoder, HLCParams(graph=False, beta=1.0))
    assert not any(isinstance(module, LabelGraph) for module in plain.modules())
    unknown = method.loss(make_batch(range(4), torch.zeros(4, 3, dtype=torch.int64), epoch=39))
    assert unknown.loss is not None
    unknown.loss.backward()  # type: ignore[no-untyped-call]
    assert unknown.loss.item() == 0.0
    assert not any(parameter_gradients(method))
