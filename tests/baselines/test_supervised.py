"""Supervised training of one network and of two."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from fernoise_bench.baselines.ensemble import Ensemble, EnsembleParams
from fernoise_bench.baselines.supervised import Supervised, SupervisedParams, selective_loss
from fernoise_bench.benchmark.registry import find
from fernoise_bench.methods.base import Batch
from fernoise_bench.methods.recot import ReCoT, ReCoTParams
from fernoise_bench.methods.selection import selective_weights

from ..methods.toy import (
    bce,
    cross_entropy,
    make_batch,
    make_encoder,
    make_task,
    make_train,
    parameter_gradients,
    random_labels,
    random_logits,
)

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
    plain = {name: variant for name, variant in method.variants.items() if "selective" not in variant.params}
    assert {name: dict(variant.params) for name, variant in plain.items()} == {r: {"rows": r} for r in ROWS}
    assert {name for name, variant in plain.items() if "verified" in variant.needs} == {"clean", "noisy"}
    assert method.needs == {"single", "multi"}
    balanced = {name: variant for name, variant in method.variants.items() if name not in plain}
    assert {f"{rows}-selective" for rows in ROWS} <= set(balanced)
    for name, variant in balanced.items():
        rows, mode = name.split("-")
        assert variant.params == {"rows": rows, "selective": "mlcr" if mode == "selective" else mode}
        spec = find(f"{method.__name__.lower()}:{name}")
        assert spec.needs == ({"multi"} if rows == "both" else {"multi", "verified"})  # there is no AU in one label


# --- selective learning

TRAIN = random_labels(0, 48, 3)
TRAIN_VERIFIED = torch.arange(48) % 2 == 0
# A batch of the rows with the fewest positives: fewer than the share wanted, so that there is something to balance.
INDEX = (TRAIN > 0).sum(1).argsort(stable=True)[:24].tolist()
MANY, MANY_VERIFIED = TRAIN[INDEX], TRAIN_VERIFIED[INDEX]


def many() -> Batch:
    return make_batch(INDEX, MANY, verified=MANY_VERIFIED)


def balanced_method(which: Any, params: Any, kind: str = "multi", **changes: Any) -> Any:
    method = which(make_task(kind, size=48), make_encoder, params(**changes))
    method.prepare(make_train(TRAIN if kind == "multi" else TRAIN[:, 0] + 1, TRAIN_VERIFIED))
    return method


def share_of(rows: str) -> list[float]:
    """Positives among the known entries of the training rows trained on, one entry at a time."""
    share = []
    for k in range(3):
        taken = [TRAIN[i, k].item() for i in range(48) if rows == "both" or (i % 2 == 0) == (rows == "clean")]
        share.append(taken.count(1) / (taken.count(1) + taken.count(-1)))
    return share


@pytest.mark.parametrize("mode", ["none", "mlcr", "hand"])
def test_selective_loss_divides_by_all_entries(mode: Any) -> None:
    logits, share = random_logits(1, 24, 3, requires_grad=True), torch.tensor([0.6, 0.3, 0.2], dtype=torch.float64)
    weight = selective_weights(MANY, share, mode, torch.Generator().manual_seed(2))
    expected = sum(
        float(weight[i, k]) * bce(logits[i, k].item(), float(MANY[i, k] > 0))
        for i in range(24)
        for k in range(3)
        if MANY[i, k] != 0
    )
    loss, used = selective_loss(logits, MANY, share, mode, torch.Generator().manual_seed(2))
    assert loss.item() == pytest.approx(expected / 72, rel=1e-12)
    assert torch.equal(used, weight)
    loss.backward()
    assert logits.grad is not None
    assert torch.equal(logits.grad != 0, weight > 0)


@pytest.mark.parametrize(("which", "params"), [(Supervised, SupervisedParams), (Ensemble, EnsembleParams)])
@pytest.mark.parametrize("rows", ["both", "clean", "noisy"])
@pytest.mark.parametrize("mode", ["mlcr", "hand"])
def test_selective_learning_weights_the_chosen_rows(which: Any, params: Any, rows: str, mode: Any) -> None:
    method = balanced_method(which, params, rows=rows, selective=mode)
    chosen = [i for i in range(24) if rows == "both" or (INDEX[i] % 2 == 0) == (rows == "clean")]
    batch = many()
    generator, share = torch.Generator().manual_seed(0), torch.tensor(share_of(rows), dtype=torch.float64)
    step = method.loss(batch)
    assert step.weight is not None
    assert step.weight.shape == (len(networks_of(method)), 24, 3)
    expected = 0.0
    for network, reported in zip(networks_of(method), step.weight, strict=True):
        z = network(batch.images[0][chosen]).detach()
        loss, weight = selective_loss(z, MANY[chosen], share, mode, generator)  # a draw for each network
        expected += loss.item()
        assert torch.allclose(reported[chosen], weight.float(), rtol=1e-6, atol=0.0)
        assert not torch.equal(weight, (MANY[chosen] != 0).double())  # something is balanced
        assert not reported[[i for i in range(24) if i not in chosen]].any()
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(expected, rel=1e-5)
    assert (step.probabilities is None) == (rows != "both")
    step.loss.backward()
    assert all(parameter_gradients(method))


@pytest.mark.parametrize(("which", "params"), [(Supervised, SupervisedParams), (Ensemble, EnsembleParams)])
def test_shares_are_those_of_the_rows_trained_on(which: Any, params: Any) -> None:
    fresh = which(make_task("multi", size=48), make_encoder, params(selective="mlcr"))
    assert fresh.share.isnan().all()
    known = (MANY != 0).float()
    assert all(torch.equal(weight, known) for weight in fresh.loss(many()).weight)  # balances nothing yet
    labels = [[1, -1, 0], [1, -1, 1], [-1, -1, 1], [-1, 1, -1], [-1, 1, 0]]
    shares = {"both": [0.4, 0.4, 2 / 3], "clean": [1.0, 0.2, 1.0], "noisy": [0.2, 2 / 3, 0.5]}  # 0.2 at least
    for rows, share in shares.items():
        method = which(make_task("multi", size=5), make_encoder, params(rows=rows, selective="mlcr"))
        method.prepare(make_train(labels, [True, True, False, False, False]))
        assert method.share.tolist() == pytest.approx(share)
        assert "share" not in method.state_dict()


def test_selective_learning_leaves_single_labels_alone() -> None:
    for which, params in ((Supervised, SupervisedParams), (Ensemble, EnsembleParams)):
        batch = make_batch(range(4), CLASSES)
        plain = balanced_method(which, params, "single").loss(batch)
        balanced = balanced_method(which, params, "single", selective="mlcr").loss(batch)
        assert torch.equal(plain.loss, balanced.loss)
        assert torch.equal(plain.weight, balanced.weight)


def test_two_balanced_networks_on_clean_rows_are_the_ensemble_of_recots_table() -> None:
    """Twice ReCoT's printed loss, which takes the mean of the networks, where both views show the same image."""
    recot = balanced_method(ReCoT, ReCoTParams, **ReCoT.variants["ensemble"].params, **ReCoT.variants["printed"].params)
    pair = balanced_method(Ensemble, EnsembleParams, **Ensemble.variants["clean-selective"].params)
    one, two = pair.loss(many()), recot.loss(replace(many(), images=many().images * 2))
    assert two.loss is not None
    assert one.loss.item() == pytest.approx(2 * two.loss.item(), rel=1e-5)
    assert two.weight is not None
    assert torch.equal(one.weight, two.weight)
    assert not torch.equal(one.weight[0], (MANY != 0) * MANY_VERIFIED[:, None])  # something is balanced


def test_an_unknown_choice_of_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="rows"):
        make_method("supervised", "single", "all").loss(make_batch(range(4), CLASSES))
