"""The class: its loss, its two stages, and what it may look at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fernoise_bench.methods.base import TrainView
from fernoise_bench.methods.mlcr import MLCR, MLCRParams, adjacency
from fernoise_bench.methods.selection import selective_weights

from .mlcr_numpy import (
    Array,
    compat_by_numpy,
    cr_by_numpy,
    dependency_by_loop,
    graph_by_numpy,
    log_loss,
    mv_by_numpy,
    sigma,
)
from .toy import TinyEncoder, make_batch, make_encoder, make_task, make_train

LABELS = torch.tensor(
    [[1, -1, 0], [-1, 1, 1], [1, 1, -1], [-1, -1, 1], [-1, -1, -1], [1, 1, 1], [-1, 0, 1], [1, -1, -1]]
)
VERIFIED = torch.tensor([True, True, True, True, True, False, False, False])


def make_view(labels: Tensor = LABELS, verified: Tensor = VERIFIED) -> TrainView:
    return replace(make_train(labels), verified=verified)


def make_method(epochs: int = 50, variant: str | None = None, **changes: Any) -> MLCR:
    values = dict(MLCR.variants[variant].params) if variant else {}
    torch.manual_seed(3)
    method = MLCR(make_task("multi", 3, size=8, epochs=epochs), make_encoder, MLCRParams(**(values | changes)))
    method.prepare(make_view())
    return method


def batch_of(index: list[int] | None = None, epoch: int = 0, seed: int = 0) -> Any:
    index = list(range(8)) if index is None else index
    return make_batch(index, LABELS[index], verified=VERIFIED[index], epoch=epoch, seed=seed)


def parameters_of(method: MLCR) -> dict[str, Array]:
    return {name: value.detach().numpy().astype(np.float64).copy() for name, value in method.named_parameters()}


def nodes_of(values: dict[str, Array], view: int) -> Array:
    return np.c_[values[f"network{view}.head.weight"], values[f"network{view}.head.bias"]]


def loss_by_numpy(
    values: dict[str, Array], method: MLCR, batch: Any, snapshot: tuple[Array, Array] | None
) -> tuple[float, Array]:
    """The loss from its equations and the mean probabilities, by the parameters' values alone."""
    p = method.params
    x = batch.images[0].double().numpy().reshape(len(batch.labels), -1)
    labels, rows = batch.labels.numpy(), batch.verified.numpy()
    relations = adjacency(torch.from_numpy(dependency_by_loop(LABELS[VERIFIED].numpy())), p.normalized).numpy()
    generator = torch.Generator().manual_seed(batch.generator.initial_seed())
    logits, supervised = [], 0.0
    for view in (1, 2):
        weight, bias = (values[f"network{view}.encoder.linear.{part}"] for part in ("weight", "bias"))
        features = np.tanh(x @ weight.T + bias)
        made = nodes_of(values, view)
        if snapshot is not None:
            made = graph_by_numpy(snapshot[view - 1], relations, values["h0"], values["h1"], p.slope)
        z = features @ made[:, :-1].T + made[:, -1]
        logits.append(z)
        chosen = selective_weights(batch.labels[batch.verified], method.share, p.selective, generator).numpy()
        total = (chosen * log_loss(z[rows], (labels[rows] > 0).astype(float)) * (labels[rows] != 0)).sum()
        supervised += total / max(1, rows.sum()) / (3 if p.reduction == "mean" else 1) / 2
    one, two = nodes_of(values, 1), nodes_of(values, 2)
    if not p.with_bias:
        one, two = one[:, :-1], two[:, :-1]
    loss = supervised + p.multi_view_factor * mv_by_numpy(one, two, p.absolute)
    loss += p.co_regularization_factor * (compat_by_numpy if p.compat else cr_by_numpy)(*logits)
    return loss, (sigma(logits[0]) + sigma(logits[1])) / 2


@pytest.mark.parametrize("variant", [None, *MLCR.variants])
@pytest.mark.parametrize("second_stage", [False, True])
def test_loss_is_the_sum_of_the_papers_three(variant: str | None, second_stage: bool) -> None:
    method = make_method(variant=variant)
    values, snapshot = parameters_of(method), None
    if second_stage:
        method.begin_epoch(30, make_view())
        snapshot = (nodes_of(values, 1), nodes_of(values, 2)) if method.params.graph else None
    expected, probabilities = loss_by_numpy(values, method, batch_of(), snapshot)
    step = method.loss(batch_of())
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(expected, rel=1e-4)
    assert step.probabilities is not None
    np.testing.assert_allclose(step.probabilities, probabilities, rtol=1e-4)
    np.testing.assert_allclose(method.predict(batch_of().images[0]).detach(), probabilities, rtol=1e-4)


def numeric_gradient(values: dict[str, Array], *rest: Any) -> dict[str, Array]:
    gradient = {name: np.zeros_like(value) for name, value in values.items()}
    for name, value in values.items():
        for place in np.ndindex(value.shape):
            kept = value[place]
            sides = []
            for step in (1e-6, -1e-6):
                value[place] = kept + step
                sides.append(loss_by_numpy(values, *rest)[0])
            value[place] = kept
            gradient[name][place] = (sides[0] - sides[1]) / 2e-6
    return gradient


def test_training_over_both_stages_is_the_one_written_in_numpy() -> None:
    """Five epochs of gradient descent; the graph takes over at the fourth, from the classifiers as they are then."""
    method = make_method(epochs=5, multi_view_factor=0.5, co_regularization_factor=2.0).double()
    values, snapshot, view = parameters_of(method), None, make_view()
    optimizer = torch.optim.SGD(method.parameters(), lr=0.05)
    for epoch in range(5):
        if epoch == 3:
            snapshot = (nodes_of(values, 1).copy(), nodes_of(values, 2).copy())
        method.begin_epoch(epoch, view)
        assert bool(method.second_stage) == (epoch >= 3)
        batch = batch_of([0, 5, 1, 2, 3, 0, 7], epoch, seed=epoch)  # the first sample twice
        batch = replace(batch, images=(batch.images[0].double(),))
        gradient = numeric_gradient(values, method, batch, snapshot)
        values = {name: value - 0.05 * gradient[name] for name, value in values.items()}
        optimizer.zero_grad(set_to_none=True)
        loss = method.loss(batch).loss
        assert loss is not None
        loss.backward()
        optimizer.step()
        for name, parameter in method.named_parameters():
            np.testing.assert_allclose(
                parameter.detach(), values[name], rtol=1e-5, atol=1e-8, err_msg=f"{epoch} {name}"
            )
    assert snapshot is not None
    np.testing.assert_allclose(method.snapshot, np.stack(snapshot), rtol=1e-6, atol=1e-8)


def gradients(method: MLCR, **changes: Any) -> dict[str, float]:
    method.zero_grad()
    loss = method.loss(replace(batch_of(), **changes)).loss
    assert loss is not None
    loss.backward()
    return {n: 0.0 if p.grad is None else float(p.grad.abs().sum()) for n, p in method.named_parameters()}


def test_what_each_stage_trains() -> None:
    method = make_method(multi_view_factor=0.0)
    found = gradients(method)
    assert {name for name, value in found.items() if value == 0} == {"h0", "h1"}
    method.begin_epoch(30, make_view())
    found = gradients(method)
    # The snapshot is frozen: of the losses only L_mv, here off, reaches the raw classifiers.
    assert {name for name, value in found.items() if value == 0} == {n for n in found if ".head." in n}
    full = make_method()
    full.begin_epoch(30, make_view())
    assert all(gradients(full).values())


@pytest.mark.parametrize(("epochs", "boundary"), [(50, 30), (25, 15), (15, 9), (10, 6), (70, 42), (3, 2), (1, 1)])
def test_the_graph_takes_over_at_three_fifths_of_training(epochs: int, boundary: int) -> None:
    method = make_method(epochs)
    assert method.boundary == boundary
    before = method.predict(batch_of().images[0])
    for epoch in range(boundary):
        method.begin_epoch(epoch, make_view())
        assert not method.second_stage
    assert torch.equal(method.predict(batch_of().images[0]), before)
    method.begin_epoch(boundary, make_view())
    assert method.second_stage
    assert not torch.equal(method.predict(batch_of().images[0]), before)
    snapshot = method.snapshot.clone()
    with torch.no_grad():
        method.network1.head.weight.add_(1.0)
    method.begin_epoch(boundary + 1, make_view())
    assert torch.equal(method.snapshot, snapshot)
    alone = make_method(epochs, "no-graph")
    alone.begin_epoch(boundary, make_view())
    assert not alone.second_stage


def test_labels_of_unverified_rows_are_never_looked_at() -> None:
    other = LABELS.clone()
    other[5:] = -other[5:]
    one, two = make_method(), make_method()
    two.prepare(make_view(other))
    assert torch.equal(one.relations, two.relations)
    assert torch.equal(one.share, two.share)
    first = one.loss(batch_of())
    second = two.loss(make_batch(range(8), other, verified=VERIFIED))
    assert first.loss is not None
    assert second.loss is not None
    assert torch.equal(first.loss, second.loss)
    assert first.weight is not None
    assert first.weight.shape == (2, 8, 3)
    assert not first.weight[:, 5:].any()
    assert first.target is None
    # Their images do count: co-regularisation is over all rows.
    without = one.loss(batch_of([0, 1, 2, 3, 4]))
    assert without.logs["co_regularization"] != first.logs["co_regularization"]


def test_relations_and_shares_come_from_the_verified_rows() -> None:
    method = make_method()
    expected = adjacency(torch.from_numpy(dependency_by_loop(LABELS[:5].numpy())))
    np.testing.assert_allclose(method.relations, expected, rtol=1e-6)
    assert method.share.tolist() == [2 / 5, 2 / 5, 2 / 4]
    rare = make_method()
    rare.prepare(make_view(torch.tensor([[-1, -1, 0]] * 8)))
    assert rare.share.tolist() == [0.2, 0.2, 0.2]
    assert torch.equal(rare.relations, torch.eye(3))


def test_batches_without_a_verified_row_or_a_known_label() -> None:
    for batch in (batch_of([5, 6, 7]), replace(batch_of([0, 1]), labels=torch.zeros(2, 3, dtype=torch.int64))):
        method = make_method()
        step = method.loss(batch)
        assert step.loss is not None
        assert step.logs["supervised"] == 0.0
        expected = 400 * step.logs["multi_view"] + 100 * step.logs["co_regularization"]
        assert step.loss.item() == pytest.approx(float(expected), rel=1e-5)
        step.loss.backward()
        assert all(torch.isfinite(p.grad).all() for p in method.parameters() if p.grad is not None)


def test_views_start_apart_on_one_image_and_draw_their_weights_apart() -> None:
    method = make_method()
    assert MLCR.views == 1
    assert not torch.equal(method.network1.head.weight, method.network2.head.weight)
    bound = 1 / np.sqrt(TinyEncoder.num_features + 1)
    for matrix in (method.h0, method.h1):
        assert matrix.shape == (6, 6)
        assert bound * 0.8 < float(matrix.detach().abs().max()) <= bound
    labels = torch.full((40, 3), -1)
    step = method.loss(make_batch([i % 8 for i in range(40)], labels, verified=[True] * 40))
    assert step.weight is not None
    assert step.weight.sum(1).tolist() == [[16.0, 16.0, 20.0]] * 2  # ceil(40 · share)
    assert not torch.equal(step.weight[0], step.weight[1])


def test_both_stages_survive_a_checkpoint() -> None:
    method = make_method()
    method.begin_epoch(30, make_view())
    other = make_method()
    other.load_state_dict(method.state_dict())
    one, two = method.loss(batch_of(epoch=31)), other.loss(batch_of(epoch=31))
    assert one.loss is not None
    assert two.loss is not None
    assert torch.equal(one.loss, two.loss)
    assert {"snapshot", "second_stage", "relations", "share"} <= set(method.state_dict())
