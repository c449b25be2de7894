"""Supervised training of one network and of two."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fernoise_bench.baselines.ensemble import Ensemble, EnsembleParams
from fernoise_bench.baselines.supervised import Supervised, SupervisedParams

from ..methods.toy import bce, cross_entropy, make_batch, make_encoder, make_task, parameter_gradients

VERIFIED = [True, False, True, False]
CLASSES = torch.tensor([0, 2, 1, 1])
AUS = torch.tensor([[1, 0, -1], [-1, 1, 1], [0, 0, 1], [0, 0, 0]])
ROWS = {"both": [0, 1, 2, 3], "clean": [0, 2], "noisy": [1, 3]}


def make_method(which: str, kind: str, rows: Any) -> Any:
    if which == "supervised":
        return Supervised(make_task(kind), make_encoder, SupervisedParams(rows=rows))
    return Ensemble(make_task(kind), make_encoder, EnsembleParams(rows=rows))


def networks_of(method: Any) -> list[Any]:
    return [method.network] if isinstance(method, Supervised) else [method.network1, method.network2]


@pytest.mark.parametrize("which", ["supervised", "ensemble"])
@pytest.mark.parametrize("kind", ["single", "multi"])
@pytest.mark.parametrize("rows", ["both", "clean", "noisy"])
def test_loss_is_the_mean_over_the_chosen_rows(which: str, kind: str, rows: str) -> None:
    method = make_method(which, kind, rows)
    labels = CLASSES if kind == "single" else AUS
    batch = make_batch(range(4), labels, verified=VERIFIED)
    expected = 0.0
    for network in networks_of(method):
        logits = network(batch.images[0]).tolist()
        network.encoder.rows.clear()
        if kind == "single":
            values = [cross_entropy(logits[i], int(labels[i])) for i in ROWS[rows]]
        else:
            entries = [(i, k) for i in ROWS[rows] for k in range(3) if labels[i, k] != 0]
            values = [bce(logits[i][k], float(labels[i, k] > 0)) for i, k in entries]
        expected += sum(values) / len(values)
    step = method.loss(batch)
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(expected, rel=1e-5)
    count = len(networks_of(method))
    used = [i for i in ROWS[rows] if kind == "single" or i != 3]  # row 3 has no AU label
    assert step.weight is not None
    assert step.weight.tolist() == [[float(i in used) for i in range(4)]] * count
    assert [network.encoder.rows for network in networks_of(method)] == [[len(ROWS[rows])]] * count
    assert (step.probabilities is None) == (rows != "both")
    step.loss.backward()
    assert all(parameter_gradients(method))


@pytest.mark.parametrize("which", ["supervised", "ensemble"])
@pytest.mark.parametrize(
    ("kind", "rows", "labels", "verified"),
    [
        ("single", "clean", CLASSES[:2], [False, False]),
        ("single", "noisy", CLASSES[:2], [True, True]),
        ("multi", "clean", AUS[2:], [False, True]),
        ("multi", "both", AUS[3:], [False]),
    ],
)
def test_a_batch_without_a_usable_row_is_skipped(
    which: str, kind: str, rows: str, labels: torch.Tensor, verified: list[bool]
) -> None:
    method = make_method(which, kind, rows)
    step = method.loss(make_batch(range(len(labels)), labels, verified=verified))
    assert step.loss is None
    assert step.weight is not None
    assert not step.weight.any()


@pytest.mark.parametrize("which", ["supervised", "ensemble"])
@pytest.mark.parametrize("kind", ["single", "multi"])
def test_predictions(which: str, kind: str) -> None:
    method = make_method(which, kind, "both")
    batch = make_batch(range(4), CLASSES if kind == "single" else AUS)
    images = batch.images[0]
    each = [
        network(images).softmax(1) if kind == "single" else network(images).sigmoid() for network in networks_of(method)
    ]
    assert torch.allclose(method.predict(images), sum(each) / len(each))
    if kind == "single":
        assert torch.allclose(method.predict(images).sum(1), torch.ones(4))
    probabilities = method.loss(batch).probabilities
    assert torch.allclose(probabilities, method.predict(images))
    assert not probabilities.requires_grad
    other = make_method(which, kind, "both")
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.predict(images), method.predict(images))


def test_the_first_network_starts_as_the_single_one_and_the_second_elsewhere() -> None:
    single, pair = make_method("supervised", "single", "both"), make_method("ensemble", "single", "both")
    assert torch.equal(single.network.head.weight, pair.network1.head.weight)
    assert not torch.equal(pair.network1.head.weight, pair.network2.head.weight)
    assert not torch.equal(pair.network1.encoder.linear.weight, pair.network2.encoder.linear.weight)


@pytest.mark.parametrize("method", [Supervised, Ensemble])
def test_variants(method: Any) -> None:
    assert {name: variant.params["rows"] for name, variant in method.variants.items()} == {
        "both": "both",
        "clean": "clean",
        "noisy": "noisy",
    }
    assert {name for name, variant in method.variants.items() if "verified" in variant.needs} == {"clean", "noisy"}
    assert method.needs == {"single", "multi"}


def test_an_unknown_choice_of_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="rows"):
        make_method("supervised", "single", "all").loss(make_batch(range(4), CLASSES))
