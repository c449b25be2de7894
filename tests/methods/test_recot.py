from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from fernoise_bench.methods.losses import js_consistency
from fernoise_bench.methods.recot import (
    ReCoT,
    ReCoTParams,
    clean_loss,
    consistency_loss,
    fuse,
    refine,
    selective_balanced_loss,
    small_nll,
    smooth,
)
from fernoise_bench.methods.selection import selective_weights

from .toy import (
    bce,
    entries_of,
    logit,
    make_batch,
    make_encoder,
    make_task,
    make_train,
    nll_by_loop,
    parameter_gradients,
    random_labels,
    random_logits,
    set_head,
)

# --- the functions ----------------------------------------------------------------------------------------------------


def test_clean_loss_divides_by_all_entries() -> None:
    logits, labels = random_logits(0, 5, 3), random_labels(1, 5, 3)
    weight = torch.from_numpy(np.random.default_rng(2).integers(0, 2, (5, 3)))
    total = weighted = 0.0
    for i in range(5):
        for k in range(3):
            if labels[i, k] != 0:
                value = bce(float(logits[i, k]), float(labels[i, k] > 0))
                total, weighted = total + value, weighted + float(weight[i, k]) * value
    assert (labels == 0).any()
    assert float(clean_loss(logits, labels)) == pytest.approx(total / 15, rel=1e-12)
    assert float(clean_loss(logits, labels, weight)) == pytest.approx(weighted / 15, rel=1e-12)
    assert float(clean_loss(logits, labels, weight, reduction="sum")) == pytest.approx(weighted / 5, rel=1e-12)
    assert float(clean_loss(logits, labels)) > 0  # the printed equation lacks the minus sign


@given(st.integers(0, 6), st.integers(1, 4), st.sampled_from([0.0, 0.1, 0.29, 0.5, 0.9, 1.0]), st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_small_nll_is_pooled_over_rows_and_aus(rows: int, aus: int, gamma: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.integers(-3, 4, (rows, aus)).astype(float))  # many ties
    labels = torch.from_numpy(rng.integers(-1, 2, (rows, aus)))
    keep_pos, keep_neg = small_nll(logits, labels, gamma)
    assert (entries_of(keep_pos), entries_of(keep_neg)) == nll_by_loop(logits, labels, gamma)
    assert keep_pos.dtype == torch.bool


@pytest.mark.parametrize(("count", "gamma", "kept"), [(10, 0.9, 9), (9, 0.9, 8), (1, 0.9, 1), (5, 0.1, 1), (3, 1.0, 3)])
def test_small_nll_floor(count: int, gamma: float, kept: int) -> None:
    keep_pos, keep_neg = small_nll(random_logits(3, count, 1), torch.ones(count, 1), gamma)
    assert int(keep_pos.sum()) == kept
    assert int(keep_neg.sum()) == 0


def test_small_nll_ties_ranking_and_saturation() -> None:
    labels = torch.tensor([[1, 1, -1], [1, 1, -1]])
    keep_pos, keep_neg = small_nll(torch.zeros(2, 3), labels, 0.5)
    assert entries_of(keep_pos) == {(0, 0), (0, 1)}
    assert entries_of(keep_neg) == {(0, 2)}
    # In float32 both have -log p = 0; the surer one is still the smaller.
    keep_pos, _ = small_nll(torch.tensor([[200.0], [300.0]]), torch.ones(2, 1), 0.5)
    assert entries_of(keep_pos) == {(1, 0)}


def test_selective_balanced_loss_is_equation_four() -> None:
    own, other, labels = random_logits(4, 6, 3), random_logits(5, 6, 3), random_labels(6, 6, 3)
    pos, neg = nll_by_loop(other, labels, 0.5)
    expected = 0.7 * sum(bce(float(own[e]), 1.0) for e in pos) / len(pos)
    expected += 0.2 * sum(bce(float(own[e]), 0.0) for e in neg) / len(neg)
    loss = selective_balanced_loss(own, labels, *small_nll(other, labels, 0.5), 0.7, 0.2)
    assert float(loss) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("value", [1, -1, 0])
def test_an_empty_set_adds_nothing(value: int) -> None:
    logits = random_logits(7, 4, 2, requires_grad=True)
    labels = torch.full((4, 2), value)
    loss = selective_balanced_loss(logits, labels, *small_nll(logits, labels, 0.9), 1.0, 0.1)
    loss.backward()
    assert torch.isfinite(loss)
    assert (loss.item() == 0.0) == (value == 0)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    empty = logits[:0]
    assert selective_balanced_loss(empty, labels[:0], *small_nll(empty, labels[:0], 0.9), 1.0, 0.1).item() == 0.0
    assert clean_loss(empty, labels[:0]).item() == 0.0
    assert consistency_loss(empty, empty).item() == 0.0


def test_gradients_agree_with_central_differences() -> None:
    z1, z2 = random_logits(8, 4, 3, requires_grad=True), random_logits(9, 4, 3, requires_grad=True)
    labels = random_labels(10, 4, 3)
    keep = small_nll(z2, labels, 0.6)
    assert gradcheck(lambda z: clean_loss(z, labels), (z1,))
    assert gradcheck(lambda z: selective_balanced_loss(z, labels, *keep, 1.0, 0.1), (z1,))
    assert gradcheck(consistency_loss, (z1, z2))
    loss = selective_balanced_loss(z1, labels, *small_nll(z2, labels, 0.6), 1.0, 0.1)
    assert torch.autograd.grad(loss, z2, allow_unused=True) == (None,)  # selecting passes no gradient


def test_fuse_smooth_refine() -> None:
    p_noisy, p_clean = torch.tensor([0.8, 0.1], requires_grad=True), torch.tensor([0.3, 0.6])
    fused = fuse(p_noisy, p_clean, 0.9)
    assert fused.tolist() == pytest.approx([0.75, 0.15])
    assert not fused.requires_grad
    assert smooth(torch.tensor([0.2]), fused[:1], 0.9).tolist() == pytest.approx([0.255])
    labels = refine(torch.tensor([0.5, 0.500001, 0.2, 0.9]))
    assert labels.tolist() == [-1, 1, -1, 1]
    assert labels.dtype == torch.int64


# --- the class --------------------------------------------------------------------------------------------------------

LABELS = torch.tensor([[1, -1, 0], [-1, 1, 1], [1, -1, -1], [-1, 0, 1], [-1, -1, 1], [1, 1, -1]])
VERIFIED = torch.tensor([True, True, True, False, False, False])
SHARE = [2 / 3, 1 / 3, 1 / 2]  # positives among the known entries of verified rows, counted by hand


def make_method(epochs: int = 25, variant: str | None = None, **changes: Any) -> ReCoT:
    values = dict(ReCoT.variants[variant].params) if variant else {}
    task = make_task("multi", 3, epochs=epochs)
    method = ReCoT(task, make_encoder, ReCoTParams(**(values | changes)))
    method.prepare(make_train(LABELS, VERIFIED))
    return method


def batch_of(method: ReCoT, epoch: int = 0, seed: int = 0) -> Any:
    return make_batch(range(6), LABELS, verified=VERIFIED, views=method.views, epoch=epoch, seed=seed)


def set_outputs(method: ReCoT, clean: float, noisy: float) -> None:
    """Every clean net predicts the probability `clean`, every noisy one `noisy`, for all AUs."""
    for network in method.networks:
        set_head(network.net_clean, [logit(clean)] * 3)  # type: ignore[arg-type]
        set_head(network.net_noisy, [logit(noisy) - logit(clean)] * 3)  # type: ignore[arg-type]


def expected_loss(method: ReCoT, batch: Any, labels: Tensor) -> float:
    """Equation (1) from its parts by loops, with the weights drawn as the method draws them."""
    p = method.params
    outputs = [network(images) for network, images in zip(method.networks, batch.images, strict=True)]
    generator = torch.Generator().manual_seed(0)
    share = torch.tensor(SHARE, dtype=torch.float64)
    clean, noisy = batch.verified, ~batch.verified
    total = 0.0
    for v, (z_clean, z_noisy) in enumerate(outputs):
        weight = selective_weights(batch.labels[clean], share, p.selective, generator)
        z, y = z_clean[clean].detach(), batch.labels[clean]
        rows = [(i, k) for i in range(len(y)) for k in range(3) if y[i, k] != 0]
        total += (
            sum(float(weight[e]) * bce(float(z[e]), float(y[e] > 0)) for e in rows)
            / max(1, y.numel() if p.reduction == "mean" else len(y))
            / len(outputs)
        )
        if p.noisy_head:
            other = outputs[len(outputs) - 1 - v][1][noisy].detach()
            pos, neg = nll_by_loop(other, labels[noisy], p.keep_ratio)
            z = z_noisy[noisy].detach()
            part = p.pos_weight * sum(bce(float(z[e]), 1.0) for e in pos) / max(1, len(pos))
            part += p.neg_weight * sum(bce(float(z[e]), 0.0) for e in neg) / max(1, len(neg))
            total += p.noisy_factor * part / len(outputs)
    if len(outputs) == 2:
        total += p.consistency_factor * float(js_consistency(outputs[0][0].detach(), outputs[1][0].detach()))
    return total


@pytest.mark.parametrize("variant", [None, *ReCoT.variants])
def test_loss_is_equation_one_in_every_row_of_table_four(variant: str | None) -> None:
    method = make_method(variant=variant)
    step = method.loss(batch_of(method))
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(expected_loss(method, batch_of(method), LABELS), rel=1e-4)
    step.loss.backward()
    assert all(parameter_gradients(method))
    assert step.weight is not None
    assert step.weight.shape == (method.views, 6, 3)
    assert not step.weight[:, LABELS == 0].any()


@pytest.mark.parametrize(
    ("variant", "views", "noisy", "refined", "factor", "abg"),
    [
        (None, 2, True, True, 100, (1, 0.1, 0.9)),
        ("net-noisy", 1, True, False, 0, (1, 1, 1)),
        ("ensemble", 2, False, False, 0, None),
        ("cot", 2, False, False, 100, None),
        ("cot-net-noisy", 2, True, False, 100, (1, 1, 1)),
        ("a1-b1-g1", 2, True, True, 100, (1, 1, 1)),
        ("a1-b1-g0.9", 2, True, True, 100, (1, 1, 0.9)),
        ("a1-b0.5-g0.9", 2, True, True, 100, (1, 0.5, 0.9)),
        ("no-tlr", 2, True, False, 100, (1, 0.1, 0.9)),
    ],
)
def test_rows_of_table_four(
    variant: str | None, views: int, noisy: bool, refined: bool, factor: float, abg: tuple[float, float, float] | None
) -> None:
    method = make_method(variant=variant)
    p = method.params
    assert (method.views, len(method.networks)) == (views, views)
    assert (p.noisy_head, p.refinement, p.consistency_factor) == (noisy, refined, factor)
    assert all((network.net_noisy is not None) == noisy for network in method.networks)
    if abg:
        assert (p.pos_weight, p.neg_weight, p.keep_ratio) == abg
    assert ReCoT.views == 2


def test_noisy_rows_reach_the_clean_net_but_not_the_other_view() -> None:
    method = make_method(consistency_factor=0.0)
    batch = make_batch([3, 4, 5], LABELS[3:], verified=[False] * 3, views=2)
    step = method.loss(batch)
    assert step.loss is not None
    step.loss.backward()
    assert all(network.net_clean.weight.grad.abs().sum() > 0 for network in method.networks)
    # Move the other view without changing its ranking: the gradient of this one stays.
    before = method.networks[0].net_clean.weight.grad.clone()
    method.zero_grad()
    with torch.no_grad():
        method.networks[1].net_noisy.bias += 0.5
    again = method.loss(batch).loss
    assert again is not None
    again.backward()
    assert torch.allclose(before, method.networks[0].net_clean.weight.grad)


def test_each_view_trains_on_what_the_other_ranks_smallest() -> None:
    method = make_method(keep_ratio=0.5, refinement=False)
    batch = batch_of(method)
    step = method.loss(batch)
    assert step.weight is not None
    for v in (0, 1):
        z = method.networks[1 - v](batch.images[1 - v])[1][3:].detach()
        pos, neg = nll_by_loop(z, LABELS[3:], 0.5)
        assert entries_of(step.weight[v, 3:] > 0) == pos | neg


@pytest.mark.parametrize("rows", [[0, 1, 2], [3, 4, 5]])
@pytest.mark.parametrize("variant", [None, *ReCoT.variants])
def test_batches_without_a_clean_or_a_noisy_row(variant: str | None, rows: list[int]) -> None:
    method = make_method(variant=variant)
    batch = make_batch(rows, LABELS[rows], verified=VERIFIED[rows], views=method.views, epoch=20)
    step = method.loss(batch)
    if variant == "ensemble" and rows[0] == 3:
        assert step.loss is None
        return
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(expected_loss(method, batch, batch.labels), rel=1e-4)
    step.loss.backward()


def test_nothing_to_learn_from_skips_the_step() -> None:
    unknown = torch.zeros(2, 3, dtype=torch.int64)
    for variant in ("net-noisy", "ensemble"):
        method = make_method(variant=variant)
        step = method.loss(make_batch([0, 1], unknown, verified=[True, False], views=method.views))
        assert step.loss is None
    full = make_method()  # consistency needs no label
    assert full.loss(make_batch([0, 1], unknown, verified=[True, False], views=2)).loss is not None


def test_the_ensemble_never_forwards_a_noisy_row() -> None:
    method = make_method(variant="ensemble")
    method.loss(batch_of(method))
    assert [network.encoder.rows for network in method.networks] == [[3], [3]]


def test_refinement_over_several_epochs_by_hand() -> None:
    method = make_method(refine_from=2)
    given = [[-1, 0, 1], [1, 1, 1]]
    table = 0.22  # 0.9·0.2 + 0.1·0.4, then towards 0.87 and 0.981: .285 .3546 .41724 .473616 .5243544
    for epoch, (clean, noisy) in enumerate([(0.4, 0.2), (0.6, 0.9), *[(0.9, 0.99)] * 4]):
        set_outputs(method, clean, noisy)
        if epoch > 0:
            table = 0.9 * table + 0.1 * (0.9 * noisy + 0.1 * clean)
        step = method.loss(make_batch([3, 4], given, verified=[False, False], views=2, epoch=epoch))
        assert method.fused[3:5].flatten().tolist() == pytest.approx([table] * 6, rel=1e-5)
        assert step.target is not None
        assert step.target.shape == (2, 2, 3)
        expected = given if epoch < 2 else [[1 if table > 0.5 else -1] * 3] * 2
        assert step.target[0].tolist() == expected
        assert step.logs["refined"] == (0 if epoch < 2 else 5 if table <= 0.5 else 2)
    assert table == pytest.approx(0.5243544)
    assert method.seen.nonzero().flatten().tolist() == [3, 4]
    assert not method.fused[:3].any()


def test_a_visit_updates_the_table_before_it_reads_it() -> None:
    method = make_method(refine_from=1, momentum=0.0)
    labels = torch.tensor([[-1, -1, 0]])
    set_outputs(method, 0.1, 0.1)
    method.loss(make_batch([7], labels, verified=[False], views=2, epoch=0))
    set_outputs(method, 0.9, 0.9)
    step = method.loss(make_batch([7], labels, verified=[False], views=2, epoch=1))
    assert step.target is not None
    assert step.target[0].tolist() == [[1, 1, 1]]  # the unknown entry is filled as well


def test_first_draw_after_the_start_and_verified_rows_keep_their_labels() -> None:
    method = make_method(refine_from=1)
    set_outputs(method, 0.9, 0.9)
    labels = torch.tensor([[-1, -1, 0], [-1, -1, -1]])
    for expected in (labels.tolist(), [[1, 1, 1], [-1, -1, -1]]):
        step = method.loss(make_batch([7, 8], labels, verified=[False, True], views=2, epoch=5))
        assert step.target is not None
        assert step.target[0].tolist() == expected
    assert method.seen.nonzero().flatten().tolist() == [7]


def test_a_repeated_row_is_smoothed_once_in_a_step() -> None:
    method = make_method()
    labels = torch.ones(2, 3, dtype=torch.int64)
    for clean in (0.2, 0.8):
        set_outputs(method, clean, clean)
        method.loss(make_batch([7, 7], labels, verified=[False, False], views=2))
    assert method.fused[7].tolist() == pytest.approx([0.9 * 0.2 + 0.1 * 0.8] * 3, rel=1e-5)


@pytest.mark.parametrize(("epochs", "start"), [(25, 15), (30, 15), (70, 40), (15, 9), (2, 1), (10, 6)])
def test_refinement_starts_where_the_paper_says(epochs: int, start: int) -> None:
    assert make_method(epochs).refine_from == start
    assert make_method(epochs, refine_from=3).refine_from == 3


def test_prediction_is_the_mean_of_the_clean_nets() -> None:
    method = make_method()
    images = batch_of(method).images[0]
    expected = sum(network.net_clean(network.encoder(images)[0]).sigmoid() for network in method.networks) / 2
    assert torch.allclose(method.predict(images), expected)
    assert not torch.equal(method.networks[0].net_clean.weight, method.networks[1].net_clean.weight)
    step = method.loss(batch_of(method))
    assert step.probabilities is not None
    assert step.probabilities.shape == (6, 3)
    assert not step.probabilities.requires_grad


def test_a_view_may_predict_alone() -> None:
    """The appendix compares them; what is trained is the same."""
    both, first, second = (make_method(variant=variant) for variant in (None, "view1", "view2"))
    images = batch_of(both).images[0]
    alone = [network.net_clean(network.encoder(images)[0]).sigmoid() for network in both.networks]
    assert torch.equal(first.predict(images), alone[0])
    assert torch.equal(second.predict(images), alone[1])
    losses = [method.loss(batch_of(method)).loss for method in (both, first, second)]
    assert losses[0] is not None
    assert all(torch.equal(losses[0], loss) for loss in losses if loss is not None)


def test_state_resumes_and_randomness_is_the_batch_generator() -> None:
    method = make_method(refine_from=1)
    method.loss(batch_of(method))
    other = make_method(refine_from=1)
    other.load_state_dict(method.state_dict())
    one, two = method.loss(batch_of(method, epoch=1, seed=4)), other.loss(batch_of(other, epoch=1, seed=4))
    assert one.loss is not None
    assert two.loss is not None
    assert torch.equal(one.loss, two.loss)
    assert one.target is not None
    assert two.target is not None
    assert torch.equal(one.target, two.target)
    assert {"fused", "seen"} <= set(method.state_dict())


def test_reduction_and_hidden_head_options() -> None:
    mean, total = make_method(consistency_factor=0.0, variant="printed"), make_method(consistency_factor=0.0)
    rows = make_batch([0, 1, 2], LABELS[:3], verified=[True] * 3, views=2)
    again = make_batch([0, 1, 2], LABELS[:3], verified=[True] * 3, views=2)
    first, second = mean.loss(rows).loss, total.loss(again).loss
    assert first is not None
    assert second is not None
    assert second.item() == pytest.approx(3 * first.item(), rel=1e-5)
    hidden = make_method(variant="hidden")
    assert hidden.networks[0].net_clean[0].out_features == 512
    assert hidden.predict(rows.images[0]).shape == (3, 3)
