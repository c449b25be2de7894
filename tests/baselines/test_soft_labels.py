from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from fernoise_bench.baselines.soft_labels import (
    MODES,
    SoftLabels,
    SoftLabelsParams,
    draw_labels,
    multi_target_loss,
    smooth_targets,
    soft_cross_entropy,
    vote_targets,
)
from fernoise_bench.benchmark.training.runner import run_trial

from ..methods.toy import make_batch, make_encoder, make_task, make_train, parameter_gradients, random_logits
from ..toy import ToyContext, ignore, toy_trial
from .linear import Array, double_batch, make_identity, softmax_rows, weights_of

Face = list[float] | None


def rule(votes: Sequence[int], mode: str) -> Face:
    """The target of one face, or None where it is left out; columns are taken one after the other."""
    counts = [0 if count == 1 else count for count in votes]
    total, classes = sum(counts), len(counts) - 2
    if mode == "majority":
        best = counts.index(max(counts))
        kept = {best: counts[best]} if 2 * counts[best] > total else {}
    elif mode == "multi-target":
        kept = {c: count for c, count in enumerate(counts) if 10 * count >= 3 * total}
    else:
        kept, left = {}, dict(enumerate(counts))
        stopped = False
        while not stopped and 4 * sum(kept.values()) < 3 * total and len(kept) < 3:
            most = max(left.values())
            for c in sorted(left):
                if left[c] != most:
                    continue
                if c >= classes:
                    stopped = True
                    break
                kept[c] = left.pop(c)
        if len(kept) > 3:
            return None
    if 2 * sum(kept.values()) <= total:
        return None
    if max(kept, key=lambda c: (kept[c], -c)) >= classes:
        return None
    inside = {c: count for c, count in kept.items() if c < classes}
    return [inside.get(c, 0) / sum(inside.values()) for c in range(classes)]


def assert_as_ruled(votes: Any, mode: str) -> tuple[Tensor, Tensor]:
    target, keep = vote_targets(torch.as_tensor(votes), mode)
    assert target.dtype == torch.float64
    assert keep.dtype == torch.bool
    for row, face in enumerate(votes):
        expected = rule(face, mode)
        assert bool(keep[row]) == (expected is not None), (face, mode)
        assert target[row].tolist() == pytest.approx(expected or [0.0] * (len(face) - 2), rel=1e-14), (face, mode)
    return target, keep


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("classes", "raters"), [(8, 10), (8, 5), (3, 10), (7, 3), (2, 25)])
def test_targets_are_those_of_the_rule_for_each_face(mode: str, classes: int, raters: int) -> None:
    generator = np.random.default_rng([classes, raters])
    shares = generator.dirichlet(np.full(classes + 2, 0.4), size=600)
    votes = np.array([generator.multinomial(raters, share) for share in shares])
    _, keep = assert_as_ruled(votes.tolist(), mode)
    assert 0 < int(keep.sum()) < len(votes)


CASES: list[tuple[list[int], dict[str, Face]]] = [
    # four classes, unknown, not a face
    ([10, 0, 0, 0, 0, 0], {mode: [1.0, 0, 0, 0] for mode in MODES}),
    # single votes count as none: of the other eight, six are three quarters
    (
        [6, 2, 1, 0, 1, 0],
        {
            "majority": [1.0, 0, 0, 0],
            "distribution": [1.0, 0, 0, 0],
            "multi-target": [1.0, 0, 0, 0],
        },
    ),
    ([1, 1, 1, 1, 1, 1], dict.fromkeys(MODES, None)),
    # no more than half is no majority
    (
        [5, 5, 0, 0, 0, 0],
        {"majority": None, "distribution": [0.5, 0.5, 0, 0], "multi-target": [0.5, 0.5, 0, 0]},
    ),
    # 0.3 of ten are three
    (
        [4, 3, 3, 0, 0, 0],
        {"majority": None, "distribution": [0.4, 0.3, 0.3, 0], "multi-target": [0.4, 0.3, 0.3, 0]},
    ),
    ([4, 2, 2, 2, 0, 0], {"majority": None, "distribution": None, "multi-target": None}),  # four classes at once
    # unknown comes second: a distribution stops there, and several targets lose it
    (
        [4, 0, 2, 0, 3, 0],
        {"majority": None, "distribution": None, "multi-target": [1.0, 0, 0, 0]},
    ),
    ([6, 0, 2, 0, 2, 0], {"majority": [1.0, 0, 0, 0], "distribution": [0.75, 0, 0.25, 0]}),
    ([6, 0, 0, 0, 4, 0], {"majority": [1.0, 0, 0, 0], "distribution": [1.0, 0, 0, 0], "multi-target": [1.0, 0, 0, 0]}),
    # not recognised first of all
    ([4, 0, 0, 0, 6, 0], dict.fromkeys(MODES, None)),
    ([4, 0, 0, 0, 0, 6], dict.fromkeys(MODES, None)),
    ([5, 0, 0, 0, 5, 0], {"majority": None, "distribution": None, "multi-target": [1.0, 0, 0, 0]}),
    # enough is exactly three quarters: 6 of 8
    ([6, 2, 0, 0, 0, 0], {"distribution": [1.0, 0, 0, 0], "multi-target": [1.0, 0, 0, 0]}),
    ([5, 3, 0, 0, 0, 0], {"distribution": [0.625, 0.375, 0, 0], "multi-target": [0.625, 0.375, 0, 0]}),
    # three classes are enough, though they have 9 of 20 and half is more
    ([7, 6, 5, 4, 0, 0], {"distribution": [7 / 18, 6 / 18, 5 / 18, 0]}),
    ([3, 3, 3, 2, 9, 0], {"distribution": None}),
    ([0, 0, 0, 0, 0, 0], dict.fromkeys(MODES, None)),
]


@pytest.mark.parametrize(("votes", "expected"), CASES)
def test_targets_by_hand(votes: list[int], expected: dict[str, Face]) -> None:
    for mode, target in {**expected, "drawn": expected.get("distribution", rule(votes, "drawn"))}.items():
        assert rule(votes, mode) == (target if target is None else pytest.approx(target))
        assert_as_ruled([votes], mode)


def test_other_modes_and_shapes_are_refused_and_no_face_is_none() -> None:
    votes = torch.tensor([[10, 0, 0, 0, 0, 0]])
    for mode in ("crossentropy", "", "Majority"):
        with pytest.raises(ValueError, match="distribution"):
            vote_targets(votes, mode)
    for wrong in (votes[0], votes[:, :2]):
        with pytest.raises(ValueError, match="votes"):
            vote_targets(wrong, "majority")
    for mode in MODES:
        target, keep = vote_targets(votes[:0], mode)
        assert target.shape == (0, 4)
        assert keep.shape == (0,)
        before = votes.clone()
        vote_targets(votes, mode)
        assert torch.equal(votes, before)


def test_the_published_votes_keep_as_many_faces_as_in_the_authors_code(data_root: Path) -> None:
    with (data_root / "ferplus" / "fer2013new.csv").open() as file:
        rows = list(csv.reader(file))[1:]
    parts = {part: [[int(v) for v in row[2:12]] for row in rows if row[0] == part] for part in {row[0] for row in rows}}
    counts = {"Training": (25060, 27956, 27671), "PublicTest": (3199, 3505, 3472), "PrivateTest": (3153, 3505, 3472)}
    for part, expected in counts.items():
        kept = [
            vote_targets(torch.tensor(parts[part]), mode)[1] for mode in ("majority", "distribution", "multi-target")
        ]
        assert tuple(int(keep.sum()) for keep in kept) == expected
        assert all(bool(keep[kept[0]].all()) for keep in kept)


def test_smoothing_makes_several_targets_equal() -> None:
    shares = torch.tensor([[0.4, 0.6, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    assert smooth_targets(shares).tolist() == [[pytest.approx(1.0), pytest.approx(1.0), 0.001], [0.001] * 3]
    assert smooth_targets(shares, 0.25)[0].tolist() == [1.0, 1.0, 0.25]
    assert smooth_targets(shares.half()).dtype == torch.float32


def test_cross_entropy_is_divided_by_all_rows() -> None:
    z = random_logits(0, 3, 4, requires_grad=True)
    t = torch.tensor([[0.5, 0.5, 0, 0], [0, 0, 1, 0], [0.1, 0.2, 0.3, 0.4]], dtype=torch.float64)
    p = softmax_rows(z.detach().numpy())
    rows = [-sum(t[i, c].item() * math.log(p[i, c]) for c in range(4)) for i in range(3)]
    assert soft_cross_entropy(z, t).item() == pytest.approx(sum(rows) / 3, rel=1e-12)
    weight = torch.tensor([1.0, 0.0, 0.5])
    weighted = soft_cross_entropy(z, t, weight)
    assert weighted.dtype == torch.float64
    assert weighted.item() == pytest.approx((rows[0] + 0.5 * rows[2]) / 3, rel=1e-12)
    assert soft_cross_entropy(z, t, weight.bool()).item() == pytest.approx((rows[0] + rows[2]) / 3, rel=1e-12)
    assert gradcheck(lambda logits: soft_cross_entropy(logits, t, weight), (z,))
    assert not soft_cross_entropy(z.detach(), t.requires_grad_(), weight).requires_grad


def test_the_most_probable_target_counts() -> None:
    z = random_logits(1, 4, 3, requires_grad=True)
    t = torch.tensor([[1.0, 1.0, 0.001], [0.001, 0.001, 1.0], [1.0, 0.0, 0.0], [0.2, 0.5, 0.3]], dtype=torch.float64)
    p = softmax_rows(z.detach().numpy())
    rows = [-math.log(max(t[i, c].item() * p[i, c] for c in range(3))) for i in range(4)]
    loss = multi_target_loss(z, t)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(sum(rows) / 4, rel=1e-12)
    assert gradcheck(lambda logits: multi_target_loss(logits, t), (z,))
    # of equal products the first one's: only its probability is raised
    flat = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(multi_target_loss(flat, torch.ones(1, 3, dtype=torch.float64)), flat)
    assert slope.tolist() == [pytest.approx([1 / 3 - 1, 1 / 3, 1 / 3])]
    # a class without target never wins, however probable
    sure = torch.tensor([[0.0, 50.0]], dtype=torch.float64)
    assert multi_target_loss(sure, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(50.0)
    assert multi_target_loss(sure, torch.zeros(1, 2)).item() == math.inf


def test_saturated_logits_empty_batches_and_half_precision() -> None:
    z = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 0.0, 1e4]], requires_grad=True)
    t = torch.tensor([[0.001, 1.0, 1.0], [1.0, 0.001, 0.001]])
    for loss in (soft_cross_entropy(z, t), multi_target_loss(z, t)):
        assert torch.isfinite(loss)
        assert torch.isfinite(torch.autograd.grad(loss, z)[0]).all()
    for loss in (soft_cross_entropy(z[:0], t[:0]), multi_target_loss(z[:0], t[:0])):
        assert loss.item() == 0.0
        assert loss.requires_grad
    half = z.detach().clamp(-9, 9).half()
    assert soft_cross_entropy(half, t).dtype == multi_target_loss(half, t).dtype == torch.float32


def test_draws_have_the_shares_of_the_target() -> None:
    target = torch.tensor([[0.0, 0.75, 0.25], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 3.0, 1.0]], dtype=torch.float64)
    rows = target.repeat(4000, 1)
    drawn = draw_labels(rows, torch.Generator().manual_seed(5)).view(-1, 4)
    assert drawn.dtype == torch.int64
    assert set(drawn[:, 0].tolist()) == {1, 2}
    assert set(drawn[:, 1].tolist()) == {0}
    assert set(drawn[:, 2].tolist()) == {0}
    for column in (0, 3):  # four standard deviations are 0.027
        assert float((drawn[:, column] == 1).double().mean()) == pytest.approx(0.75, abs=0.027)
    again = draw_labels(rows, torch.Generator().manual_seed(5)).view(-1, 4)
    assert torch.equal(again, drawn)
    assert not torch.equal(draw_labels(rows, torch.Generator().manual_seed(6)).view(-1, 4), drawn)
    assert draw_labels(rows[:0], torch.Generator()).shape == (0,)


# six training faces of three classes; two votes each are for the columns that are none
VOTES = torch.tensor(
    [[8, 2, 0, 0, 0], [0, 10, 0, 0, 0], [4, 0, 6, 0, 0], [3, 3, 3, 0, 1], [2, 0, 2, 6, 0], [0, 5, 5, 0, 0]]
)
GIVEN = torch.tensor([0, 1, 2, 0, 2, 1])


def make_method(mode: str = "distribution", double: bool = False) -> SoftLabels:
    params = replace(SoftLabelsParams(), mode=mode)  # type: ignore[arg-type]
    method = SoftLabels(make_task(size=6), make_identity if double else make_encoder, params)
    method.prepare(replace(make_train(GIVEN), votes=VOTES))
    return method.double() if double else method


def drawn_by_hand(shares: list[Face], seed: int) -> list[int]:
    """Each class waits for an exponential time whose rate is its share; the first one is drawn."""
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(len(shares), 3, generator=generator, dtype=torch.float64).tolist()
    drawn = []
    for share, row in zip(shares, uniform, strict=True):
        times = {c: -math.log1p(-row[c]) / t for c, t in enumerate(share or []) if t > 0}
        drawn.append(min(times, key=lambda c: times[c]) if times else 0)
    return drawn


def slope_of(z: Array, shares: list[Face], mode: str, seed: int) -> tuple[float, Array]:
    """Loss and its slopes by the logits of a batch."""
    p, slope, loss = softmax_rows(z), np.zeros_like(z), 0.0
    drawn = drawn_by_hand(shares, seed)
    for i, share in enumerate(shares):
        if share is None:
            continue
        target = np.array(share)
        if mode == "drawn":
            target = np.eye(3)[drawn[i]]
        if mode == "multi-target":
            products = [(1.0 if t > 0 else 0.001) * p[i, c] for c, t in enumerate(share)]
            loss -= math.log(max(products)) / len(z)
            target = np.eye(3)[int(np.argmax(products))]
        else:
            loss -= float((target * np.log(p[i])).sum()) / len(z)
        slope[i] = (p[i] - target) / len(z)
    return loss, slope


@pytest.mark.parametrize("mode", MODES)
def test_training_equals_numpy(mode: str) -> None:
    method = make_method(mode, double=True)
    weights, bias = weights_of(method.network.head)
    faces = [rule(row, mode) for row in VOTES.tolist()]
    assert None in faces
    optimizer = torch.optim.SGD(method.parameters(), lr=0.7)
    for epoch in range(4):
        for step, index in enumerate(([0, 2, 4, 1], [5, 3, 3, 0])):
            batch = double_batch(index, GIVEN[index], epoch=epoch, step=step)
            found = method.loss(batch)
            assert found.loss is not None
            optimizer.zero_grad()
            found.loss.backward()
            optimizer.step()
            x = batch.images[0].flatten(1).numpy()
            shares = [faces[i] for i in index]
            loss, slope = slope_of(x @ weights.T + bias, shares, mode, 1000 * epoch + step)
            assert found.loss.item() == pytest.approx(loss, rel=1e-9)
            weights, bias = weights - 0.7 * slope.T @ x, bias - 0.7 * slope.sum(0)
    np.testing.assert_allclose(method.network.head.weight.detach().numpy(), weights, rtol=1e-9)


@pytest.mark.parametrize("mode", MODES)
def test_a_step_reports_targets_and_which_faces_count(mode: str) -> None:
    method = make_method(mode)
    index = [0, 3, 4, 2]
    batch = make_batch(index, GIVEN[index], seed=3)
    logits = method.network(batch.images[0])
    step = method.loss(batch)
    faces = [rule(VOTES[i].tolist(), mode) for i in index]
    assert step.weight is not None
    assert step.weight.tolist() == [[float(face is not None) for face in faces]]
    assert step.target is not None
    assert step.target.shape == (1, 4, 3)
    expected: list[Any] = [face or [0.0] * 3 for face in faces]
    if mode == "drawn":
        expected = np.eye(3)[drawn_by_hand(faces, 3)].tolist()
    np.testing.assert_allclose(step.target[0].numpy(), expected, rtol=1e-12)
    assert step.probabilities is not None
    assert torch.equal(step.probabilities, logits.softmax(1))
    assert torch.equal(method.predict(batch.images[0]), logits.softmax(1))
    assert step.loss is not None
    step.loss.backward()
    assert all(parameter_gradients(method))


@pytest.mark.parametrize("mode", MODES)
def test_the_given_label_is_not_read_and_faces_that_are_left_out_teach_nothing(mode: str) -> None:
    method = make_method(mode)
    batch = make_batch([0, 4, 2], GIVEN[[0, 4, 2]], seed=1)
    first = method.loss(batch).loss
    second = method.loss(replace(batch, labels=GIVEN[[3, 3, 3]], generator=torch.Generator().manual_seed(1))).loss
    assert first is not None
    assert second is not None
    assert first.item() == second.item()
    alone = method.loss(make_batch([4], GIVEN[[4]])).loss
    assert alone is not None
    assert alone.item() == 0.0
    alone.backward()
    assert not any(parameter_gradients(method))


def test_draws_differ_between_visits_and_come_from_the_generator() -> None:
    method = make_method("drawn")
    targets = [method.loss(make_batch([5] * 6, GIVEN[[5] * 6], seed=seed)).target for seed in (0, 0, 1)]
    assert all(target is not None for target in targets)
    assert torch.equal(targets[0], targets[1])  # type: ignore[arg-type]
    assert not torch.equal(targets[0], targets[2])  # type: ignore[arg-type]


def test_a_trial_records_that_it_saw_the_votes(tmp_path: Path) -> None:
    for method, known in (("soft_labels", ["votes"]), ("supervised", [])):
        trial = toy_trial(method, tmp_path, kind="single", epochs=1)
        assert run_trial(trial, ToyContext(), ignore)["state"] == "done"
        assert json.loads((trial.folder / "environment.json").read_text())["oracle_knowledge"] == known


def test_it_needs_votes() -> None:
    assert SoftLabels.needs == {"single", "votes"}
    assert SoftLabelsParams().mode == "distribution"
    assert {name: variant.params["mode"] for name, variant in SoftLabels.variants.items()} == {
        mode: mode for mode in MODES if mode != "distribution"
    }
    method = SoftLabels(make_task(size=6), make_encoder, SoftLabelsParams())
    with pytest.raises(ValueError, match="votes"):
        method.prepare(replace(make_train(GIVEN), votes=None))
