from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fernoise_bench.methods.base import Batch
from fernoise_bench.methods.ulc_ag import ULCAG, ULCAGParams, cooccurrence

from .toy import make_encoder, make_task, set_head
from .ulc_ag_by_loop import SIZE, Replay, batch_of, given_labels, make_method, relabel_by_loop, train_view

FLAGS: list[dict[str, Any]] = [
    {},
    {"target": False},
    {"auxiliary": False},
    {"relabel": False},
    {"edges": "random"},
    {"auxiliary_from": 10},
    {"relabel_reference": "original"},
]


@pytest.mark.parametrize("flags", FLAGS, ids=str)
def test_a_run_is_that_of_the_equations(flags: dict[str, Any]) -> None:
    """Losses, label memory, templates and confidences of every step, oversampled rows included."""
    method = make_method(**flags)
    replay = Replay(method, **flags)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.3)
    generator = np.random.default_rng(31)
    for epoch in (0, 9, 10, 11, 25):
        for _ in range(3):
            batch = batch_of(generator.integers(0, SIZE, size=9).tolist(), epoch)
            before, expected = method.memory.clone(), replay.step(batch)
            step = method.loss(batch)
            assert step.loss is not None
            assert step.loss.item() == pytest.approx(expected, rel=1e-9)
            assert step.target is not None
            assert step.target.tolist() == [before[batch.index].tolist()]  # corrections wait for the next draw
            assert method.memory.tolist() == replay.memory.tolist()
            assert method.confidence.numpy() == pytest.approx(replay.confidence, rel=1e-9)
            if flags.get("auxiliary", True):
                assert method.templates.numpy() == pytest.approx(replay.templates, rel=1e-9)
                assert method.present.tolist() == replay.present
            optimizer.zero_grad()
            step.loss.backward()
            optimizer.step()
    relabels = flags.get("auxiliary", True) and flags.get("relabel", True)
    assert (method.memory.tolist() != replay.given.tolist()) == relabels


def gradients(step_of: ULCAG, batch: Batch) -> dict[str, float]:
    step_of.zero_grad()
    loss = step_of.loss(batch).loss
    assert loss is not None
    loss.backward()
    return {name: 0.0 if p.grad is None else float(p.grad.abs().sum()) for name, p in step_of.named_parameters()}


def test_every_parameter_learns() -> None:
    for flags in FLAGS:
        assert all(gradients(make_method(**flags), batch_of(range(9), epoch=12)).values()), flags


def test_without_the_target_branch_the_classifier_learns_as_from_plain_cross_entropy() -> None:
    method, batch = make_method(target=False, auxiliary_from=40, margin=5.0), batch_of(range(9), epoch=12)
    got = gradients(method, batch)
    assert got["attention.weight"] > 0  # calculated, but regularises nothing
    weights = [p for p in method.network.parameters() if p.grad is not None]
    seen = [p.grad.clone() for p in weights if p.grad is not None]
    plain = torch.nn.functional.cross_entropy(method.network(batch.images[0]), batch.labels) / 2
    for mine, theirs in zip(seen, torch.autograd.grad(plain, weights), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-10)


def test_the_auxiliary_loss_reaches_the_encoder_but_not_the_confidence() -> None:
    with_labels = gradients(make_method(), batch_of(range(9)))
    batch = batch_of(range(9))
    assert batch.aux is not None
    without = gradients(make_method(), replace(batch, aux=torch.zeros_like(batch.aux)))
    assert with_labels["attention.weight"] == pytest.approx(without["attention.weight"], rel=1e-12)
    assert with_labels["network.encoder.linear.weight"] != pytest.approx(without["network.encoder.linear.weight"])
    assert without["branch.head.weight"] == 0.0


def test_a_late_auxiliary_branch_stays_out_of_the_optimisation() -> None:
    """No gradient at all, not one of zero, which would still move moments and weight decay."""
    method = make_method(auxiliary_from=10)
    for epoch, takes_part in ((9, False), (10, True)):
        method.zero_grad(set_to_none=True)
        loss = method.loss(batch_of(range(9), epoch=epoch)).loss
        assert loss is not None
        loss.backward()
        assert method.branch is not None
        assert {parameter.grad is not None for parameter in method.branch.parameters()} == {takes_part}
        assert method.network.head.weight.grad is not None
    assert method.present.any()


def test_a_template_outlives_batches_without_its_class() -> None:
    method = make_method()
    method.memory.copy_(torch.arange(SIZE) % 3)
    method.loss(batch_of(range(9)))
    kept = method.templates.clone()
    assert method.present.all()
    method.memory.fill_(1)
    method.loss(batch_of(range(9)))
    assert torch.equal(method.templates[[0, 2]], kept[[0, 2]])
    assert not torch.equal(method.templates[1], kept[1])
    assert method.present.all()


def test_of_a_sample_drawn_twice_the_doubtful_row_decides() -> None:
    """Its sure row, drawn later in the batch, does not take the correction back."""
    changed = 0
    for label in range(3):
        method, batch = make_method(), batch_of([3, 0, 1, 2, 3], epoch=10)
        images = batch.images[0].clone()
        with torch.no_grad():
            least = int(method.attention(method.network.encoder(images)[0]).argmin())
        images[[0, least]] = images[[least, 0]]  # now the first row, of sample 3, is the least certain
        images[4] = images[1]
        seen: list[Tensor] = []
        assert method.branch is not None
        method.branch.register_forward_hook(lambda module, inputs, output, into=seen: into.append(output.detach()))
        method.memory[:4] = torch.tensor([0, 1, 2, label])
        method.loss(replace(batch, images=(images,)))
        expected = relabel_by_loop(seen[0][:1], method.templates, [label], method.present.tolist())
        assert method.memory.tolist()[:4] == [0, 1, 2, *expected]
        changed += expected != [label]
    assert changed


def test_one_row_and_one_class_stay_finite() -> None:
    for flags in FLAGS:
        for index in ([4], [4, 4], [1]):
            method = make_method(**flags)
            step = method.loss(batch_of(index, epoch=10))
            assert step.loss is not None
            assert torch.isfinite(step.loss)
            assert all(math.isfinite(float(value)) for value in step.logs.values())


def test_step_says_what_it_trained_on() -> None:
    batch = batch_of(range(9), epoch=10)
    method = make_method()
    step = method.loss(batch)
    assert step.weight is not None
    assert torch.equal(step.weight[0], method.confidence[:9])
    assert ((step.weight > 0) & (step.weight < 1)).all()
    assert not method.confidence[9:].any()
    assert step.probabilities is not None
    assert torch.allclose(step.probabilities, method.predict(batch.images[0]))
    assert not step.probabilities.requires_grad
    assert step.logs["target_ramp"] == step.logs["auxiliary_ramp"] == 1.0
    assert float(step.logs["confidence_high"]) > float(step.logs["confidence_low"])
    assert step.logs["relabelled"] == (method.memory != given_labels()[0]).sum()
    assert make_method(target=False).loss(batch).weight is None
    assert "relabelled" not in make_method(auxiliary=False).loss(batch).logs


def test_prediction_is_the_plain_classifier() -> None:
    method, images = make_method(), batch_of(range(4)).images[0]
    set_head(method.attention, [-9.0])
    expected = method.network.head(method.network.encoder(images)[0]).softmax(1)
    assert torch.equal(method.predict(images), expected)


@pytest.mark.parametrize(("epochs", "beta", "start"), [(40, 10, 10), (15, 4, 4), (2, 1, 0), (100, 25, 25)])
def test_epochs_keep_their_share_of_training(epochs: int, beta: int, start: int) -> None:
    method = make_method(epochs, auxiliary_from=10)
    assert (method.beta, method.relabel_from, method.auxiliary_from) == (beta, start, start)


def test_state_survives_a_checkpoint() -> None:
    for flags in FLAGS:
        method, other = make_method(**flags), make_method(**flags)
        method.loss(batch_of(range(9), epoch=10))
        other.load_state_dict(method.state_dict())
        first, second = method.loss(batch_of(range(5, 12), epoch=11)), other.loss(batch_of(range(5, 12), epoch=11))
        assert first.loss is not None
        assert second.loss is not None
        assert first.loss.item() == second.loss.item()
        assert method.memory.tolist() == other.memory.tolist()


def test_edges_come_from_the_training_set_or_from_chance() -> None:
    counted, drawn = make_method(), make_method(edges="random")
    assert torch.allclose(counted.adjacency, cooccurrence(given_labels()[1]))
    assert not torch.equal(drawn.adjacency, counted.adjacency)
    assert ((drawn.adjacency >= 0) & (drawn.adjacency < 1)).all()
    for (name, one), (_, two) in zip(counted.named_parameters(), drawn.named_parameters(), strict=True):
        assert torch.equal(one, two), name  # the same start whatever the edges


def test_without_auxiliary_labels_it_refuses() -> None:
    task = make_task(size=SIZE)
    with pytest.raises(ValueError, match="auxiliary AU labels"):
        ULCAG(task, make_encoder, ULCAGParams())
    method = make_method()
    with pytest.raises(ValueError, match="auxiliary AU labels"):
        method.prepare(train_view(given_labels()[0], None))
    with pytest.raises(ValueError, match="auxiliary AU labels"):
        method.loss(replace(batch_of([0, 1]), aux=None))
    with pytest.raises(ValueError, match="run supervised"):
        make_method(target=False, auxiliary=False)
    assert "aux" in ULCAG.needs


def test_variants_are_valid_parameters() -> None:
    changed = {name: dict(variant.params) for name, variant in ULCAG.variants.items()}
    assert changed == {
        "no-target": {"target": False},
        "no-auxiliary": {"auxiliary": False},
        "no-relabel": {"relabel": False},
        "random-edges": {"edges": "random"},
        "late-auxiliary": {"auxiliary_from": 10},
        "original": {"relabel_reference": "original"},
    }
    for params in changed.values():
        assert ULCAGParams(**params) != ULCAGParams()
