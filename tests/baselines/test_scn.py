from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines import scn
from fernoise_bench.baselines.scn import SCN, SCNParams, scn_relabel
from fernoise_bench.methods import selection

from ..methods.toy import make_batch, make_encoder, make_task, make_train, parameter_gradients, random_logits, set_head
from .linear import Array, double_batch, make_identity, one_hot, softmax_rows, weights_of


def relabel_by_loop(logits: Array, labels: Any, attention: Array, ratio: float, margin: float, scope: str) -> list[int]:
    count = int(ratio * len(labels))
    high = sorted(range(len(labels)), key=lambda i: (-attention[i], i))[:count]
    out = []
    for i, label in enumerate(labels):
        p = softmax_rows(logits[i : i + 1])[0]
        doubted = p.max() - p[label] > margin and (scope == "all" or i not in high)
        out.append(int(p.argmax()) if doubted else int(label))
    return out


@pytest.mark.parametrize("scope", ["low", "all"])
@pytest.mark.parametrize(("rows", "ratio"), [(40, 0.7), (90, 0.7), (7, 0.3), (1, 0.7), (3, 0.0), (3, 1.0)])
@pytest.mark.parametrize("margin", [0.0, 0.2, 0.6])
def test_scn_relabel_is_the_rule(scope: Any, rows: int, ratio: float, margin: float) -> None:
    generator = np.random.default_rng(rows)
    logits, attention = generator.normal(size=(rows, 4)) * 2, generator.random(rows).round(1)  # ties among them
    labels = torch.from_numpy(generator.integers(0, 4, rows))
    renewed = scn_relabel(torch.from_numpy(logits), labels, torch.from_numpy(attention), ratio, margin, scope)
    assert renewed.tolist() == relabel_by_loop(logits, labels.tolist(), attention, ratio, margin, scope)
    assert renewed.dtype == torch.int64
    assert not renewed.requires_grad
    column = scn_relabel(torch.from_numpy(logits), labels, torch.from_numpy(attention)[:, None], ratio, margin, scope)
    assert torch.equal(column, renewed)


def test_scn_relabel_by_hand() -> None:
    attention = torch.tensor([0.9, 0.1, 0.5, 0.5])
    logits = torch.tensor([[5.0, 0.0]]).repeat(4, 1)
    labels = torch.ones(4, dtype=torch.int64)
    assert scn_relabel(logits, labels, attention, 0.5, 0.2, "low").tolist() == [1, 0, 1, 0]  # of equals the first
    assert scn_relabel(logits, labels, attention, 0.5, 0.2, "all").tolist() == [0] * 4
    assert scn_relabel(logits, labels, attention, 1.0, 0.2, "low").tolist() == [1] * 4  # nobody is low
    assert scn_relabel(logits, labels, attention, 0.2, 0.2, "low").tolist() == [0] * 4  # int(0.8) = 0: nobody is high
    # int(0.7 · 90) is 62, though 0.7 · 90 is 63 on paper: 28 rows are low.
    many = scn_relabel(logits[:1].repeat(90, 1), torch.ones(90).long(), torch.rand(90), 0.7, 0.2, "low")
    assert int((many == 0).sum()) == 28
    even = torch.zeros(2, 2)
    assert scn_relabel(even, labels[:2], attention[:2], 0.0, 0.0, "all").tolist() == [1, 1]  # equal is not more
    assert scn_relabel(even, labels[:2], attention[:2], 0.0, -1e-6, "all").tolist() == [0, 0]
    assert len(scn_relabel(even[:0], labels[:0], attention[:0], 0.7, 0.2, "low")) == 0
    with pytest.raises(ValueError, match="scope"):
        scn_relabel(even, labels[:2], attention[:2], 0.7, 0.2, "high")  # type: ignore[arg-type]


def test_rank_regularization_is_the_shared_one() -> None:
    assert scn.rank_regularization is selection.rank_regularization
    attention = random_logits(0, 10).sigmoid()
    high_first = attention.numpy()[np.argsort(-attention.numpy())]
    expected = max(0.0, 0.9 - (high_first[:7].mean() - high_first[7:].mean()))
    assert float(scn.rank_regularization(attention, 0.7, 0.9)) == pytest.approx(expected, rel=1e-12)
    assert gradcheck(
        lambda a: scn.rank_regularization(a, 0.7, 0.9), (attention.requires_grad_(),), atol=1e-8, rtol=1e-5
    )


def make_method(epochs: int = 40, encoder: Any = make_encoder, **changes: Any) -> SCN:
    method = SCN(make_task(epochs=epochs), encoder, SCNParams(**changes))
    method.prepare(make_train(torch.arange(12) % 3))
    return method


@pytest.mark.parametrize(("epochs", "warm_up"), [(40, 9), (70, 9), (15, 3), (80, 18)])
def test_warm_up_keeps_its_share_of_training(epochs: int, warm_up: int) -> None:
    assert make_method(epochs).warm_up == warm_up


class ByHand:
    """SCN of linear layers in NumPy: gradient descent, rank regularisation and label memory."""

    def __init__(self, method: SCN) -> None:
        self.weight, self.bias = weights_of(method.network.head)
        self.attention_weight, self.attention_bias = weights_of(method.attention)
        self.memory = np.arange(12) % 3
        self.params = method.params

    def step(self, index: list[int], images: Array, relabels: bool, rate: float) -> float:
        params, size, labels = self.params, len(index), self.memory[index]
        attention = 1 / (1 + np.exp(-(images @ self.attention_weight.T + self.attention_bias)))
        raw = images @ self.weight.T + self.bias
        p = softmax_rows(attention * raw)
        order = np.argsort(-attention[:, 0], kind="stable")
        count = int(params.high_ratio * size)
        gap = attention[order[:count]].mean() - attention[order[count:]].mean()
        loss = -np.log(p[np.arange(size), labels]).mean() + max(0.0, params.rank_margin - gap)
        to_weighted = (p - one_hot(labels, 3)) / size
        to_attention = (to_weighted * raw).sum(axis=1)
        if params.rank_margin > gap:
            to_attention[order[:count]] -= 1 / count
            to_attention[order[count:]] += 1 / (size - count)
        to_score = to_attention[:, None] * attention * (1 - attention)
        self.weight -= rate * (to_weighted * attention).T @ images
        self.bias -= rate * (to_weighted * attention).sum(axis=0)
        self.attention_weight -= rate * to_score.T @ images
        self.attention_bias -= rate * to_score.sum(axis=0)
        if relabels:
            renewed = relabel_by_loop(
                attention * raw, labels, attention[:, 0], params.high_ratio, params.relabel_margin, params.scope
            )
            for place, label in zip(index, renewed, strict=True):  # the last of a repeated sample wins
                self.memory[place] = label
        return float(loss)


@pytest.mark.parametrize("scope", ["low", "all"])
def test_training_is_the_numpy_run(scope: str) -> None:
    method = make_method(12, make_identity, scope=scope, relabel_margin=0.02).double()
    by_hand = ByHand(method)
    assert method.warm_up == 3
    optimizer = torch.optim.SGD(method.parameters(), lr=0.5)
    given = torch.arange(12) % 3
    relabelled = 0
    for epoch in range(8):
        order = np.random.default_rng(epoch).permutation(12)
        for step, rows in enumerate((order[:5], order[[5, 6, 5, 7]], order[7:])):
            batch = double_batch(rows.tolist(), given[rows], epoch=epoch, step=step)
            before = method.memory.clone()
            done = method.loss(batch)
            assert done.loss is not None
            assert done.target is not None
            assert torch.equal(done.target[0], before[batch.index])  # this step keeps the old labels
            optimizer.zero_grad()
            done.loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            images = batch.images[0].flatten(1).numpy()
            expected = by_hand.step(rows.tolist(), images, epoch >= 3, 0.5)
            assert done.loss.item() == pytest.approx(expected, rel=1e-10)
            assert method.memory.tolist() == by_hand.memory.tolist()
            assert float(done.logs["relabelled"]) == 0.0 or epoch >= 3
            relabelled += int(done.logs["relabelled"])
    assert relabelled > 3
    np.testing.assert_allclose(weights_of(method.attention)[0], by_hand.attention_weight, rtol=1e-9)
    np.testing.assert_allclose(weights_of(method.network.head)[0], by_hand.weight, rtol=1e-9)


def test_labels_stick_and_take_effect_at_the_next_draw() -> None:
    method = make_method(scope="all")
    set_head(method.network.head, [0.0, 0.0, 9.0])
    first = method.loss(make_batch([0, 1, 2], [0, 1, 2], epoch=9))
    assert first.target is not None
    assert first.target.tolist() == [[0, 1, 2]]
    assert method.memory[:3].tolist() == [2, 2, 2]
    set_head(method.network.head, [0.0, 0.0, 0.0])
    second = method.loss(make_batch([0, 1, 2], [0, 1, 2], epoch=10))
    assert second.target is not None
    assert second.target.tolist() == [[2, 2, 2]]
    assert method.memory[:3].tolist() == [2, 2, 2]


def test_no_relabel_and_warm_up_leave_memory_alone() -> None:
    for epoch, changes in ((8, {}), (39, {"relabel": False})):
        method = make_method(scope="all", **changes)
        set_head(method.network.head, [9.0, 0.0, 0.0])
        method.loss(make_batch(range(12), torch.arange(12) % 3, epoch=epoch))
        assert method.memory.tolist() == [0, 1, 2] * 4


def test_a_single_row_trains_without_ranking() -> None:
    method = make_method()
    step = method.loss(make_batch([4], [1], epoch=20))
    assert step.loss is not None
    assert torch.isfinite(step.loss)
    assert step.logs["rank_loss"] == 0.0
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter_gradients(method))


def test_prediction_is_of_weighted_logits() -> None:
    method = make_method()
    images = make_batch(range(6), torch.zeros(6)).images[0]
    pooled, _ = method.network.encoder(images)
    attention = method.attention(pooled).sigmoid()
    expected = (attention * (pooled @ method.network.head.weight.T + method.network.head.bias)).softmax(1)
    assert torch.allclose(method.predict(images), expected)
    other = make_method()
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.predict(images), method.predict(images))


def test_variants_are_valid_parameters() -> None:
    for variant in SCN.variants.values():
        assert SCNParams(**variant.params) != SCNParams()  # type: ignore[arg-type]
