"""The FixMatch control as a method: what it trains on, what it never reads, and whole runs against NumPy."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fernoise_bench.baselines.fixmatch_multi import FixMatchMulti, FixMatchMultiParams
from fernoise_bench.benchmark.conformance.toy import digest, run_epochs, start, toy_cell
from fernoise_bench.methods.base import Batch, Step, TrainView

from ..methods.toy import bce, make_batch, make_encoder, make_task, random_labels, set_head
from .linear import make_identity
from .linear_multi import AUS, LABELS, ORDER, RATE, ROWS, VERIFIED, Array, Line, bce_of, features, logistic
from .test_fixmatch_multi import thresholds_by_loop

INF = math.inf


def make_method(**changes: Any) -> FixMatchMulti:
    return FixMatchMulti(make_task("multi", 3), make_encoder, FixMatchMultiParams(**changes))


def test_variants() -> None:
    changes = {name: dict(variant.params) for name, variant in FixMatchMulti.variants.items()}
    assert changes == {"free": {"mode": "free"}, "class": {"mode": "class"}, "no-ema": {"ema": False}}
    assert FixMatchMulti.needs == {"multi", "verified"}
    assert FixMatchMulti.views == ("weak", "strong")


def test_a_step_reports_what_it_trained_on() -> None:
    method = make_method(cutoff=0.9, weight=0.5)
    set_head(method.network.head, [4.0, -4.0, 0.0])
    method.prepare(TrainView(torch.tensor([[1, 0, -1], [1, 0, 1]]), torch.tensor([True, True]), None, None, iter))  # type: ignore[arg-type]
    labels = torch.tensor([[1, 1, 0], [7, 7, 7], [7, 7, 7]])
    step = method.loss(make_batch(range(3), labels, verified=[True, False, False], views=2))
    assert step.target is not None
    assert step.target.tolist() == [[[1, 1, 0], [1, -1, 0], [1, -1, 0]]]
    assert step.weight is not None
    assert step.weight.tolist() == [[[1, 1, 0]] * 3]
    assert step.probabilities is not None
    assert torch.allclose(step.probabilities, torch.tensor([[4.0, -4.0, 0.0]] * 3).sigmoid())
    assert step.loss is not None
    expected = (bce(4, 1) + bce(-4, 1)) / 2 + 0.5 * 2 * (bce(4, 1) + bce(-4, 0)) / 6
    assert step.loss.item() == pytest.approx(expected, rel=1e-5)
    logs = {name: float(value) for name, value in step.logs.items()}
    assert logs["pseudo_labelled"] == pytest.approx(2 / 3)
    assert [logs[f"pseudo_positive_AU{k}"] for k in range(3)] == [1.0, 0.0, 0.0]
    assert [logs[f"verified_positive_AU{k}"] for k in (0, 2)] == [1.0, 0.5]
    assert math.isnan(logs["verified_positive_AU1"])


def test_both_views_pass_in_one_batch_and_verified_rows_have_no_strong_one() -> None:
    method = make_method()
    method.loss(make_batch(range(5), random_labels(14, 5, 3), verified=[True, False, True, False, False], views=2))
    assert method.network.encoder.rows == [5 + 3]
    method.loss(make_batch(range(2), random_labels(15, 2, 3), verified=[True, True], views=2))
    assert method.network.encoder.rows[1:] == [2]


def test_the_average_starts_as_the_network_and_is_not_trained() -> None:
    method = make_method()
    assert method.average is not None
    for one, other in zip(method.network.parameters(), method.average.parameters(), strict=True):
        assert torch.equal(one, other)
        assert one is not other
        assert not other.requires_grad
    assert make_method(ema=False).average is None
    plain = make_method(ema=False)
    plain.after_step()
    images = make_batch([0], [[0, 0, 0]]).images[0]
    assert torch.equal(plain.predict(images), plain.network(images).sigmoid())


def test_the_average_follows_the_parameters_and_copies_the_statistics() -> None:
    method = make_method(decay=0.7)
    assert method.average is not None
    for network in (method.network, method.average):
        network.norm = torch.nn.BatchNorm1d(2)
    expected = method.average.head.weight.clone().double()
    for update in range(1, 6):
        with torch.no_grad():
            method.network.head.weight.add_(0.1 * update)
            method.network.norm.running_mean.fill_(float(update))  # type: ignore[union-attr, operator]
        method.after_step()
        keep = min(1 - 1 / (update + 1), 0.7)
        expected = keep * expected + (1 - keep) * method.network.head.weight.double()
        assert torch.allclose(method.average.head.weight.double(), expected, rtol=1e-5)
        assert method.average.norm.running_mean.tolist() == [update] * 2  # type: ignore[union-attr, operator]
        assert int(method.updates) == update


# --- whole runs; the toy images of view 0 are weak, of view 1 strong, of view 2 the weak ones of a pass


def batch_of(index: Any, labels: Any, epoch: int, *views: int) -> Batch:
    rows = [int(i) for i in index]
    batch = make_batch(rows, labels[rows], verified=VERIFIED[rows], views=3, epoch=epoch)
    return dataclasses.replace(batch, images=tuple(batch.images[view].double() for view in views))


def view_of(labels: Any) -> TrainView:
    def batches(augment: bool = False) -> Iterator[Batch]:
        assert augment
        for first in range(0, ROWS, 10):
            yield batch_of(range(first, min(first + 10, ROWS)), labels, 0, 2)

    return TrainView(torch.from_numpy(labels), torch.from_numpy(VERIFIED), None, None, batches)


def run(method: FixMatchMulti, epochs: int, labels: Any = LABELS) -> list[Step]:
    steps = []
    method.prepare(view_of(labels))
    for epoch in range(epochs):
        method.train()
        method.begin_epoch(epoch, view_of(labels))
        assert method.training
        assert method.predictor.training
        for rows in ORDER:
            step = method.loss(batch_of(rows, labels, epoch, 0, 1))
            assert step.loss is not None
            method.zero_grad()
            step.loss.backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                for parameter in method.parameters():
                    if parameter.grad is not None:
                        parameter -= RATE * parameter.grad
            method.after_step()
            steps.append(step)
    return steps


def linear_method(frequency: float = 0.3, **changes: Any) -> FixMatchMulti:
    rates = torch.full((AUS,), frequency, dtype=torch.float64)
    task = make_task("multi", AUS, size=ROWS, epochs=6, frequency=rates)
    return FixMatchMulti(task, make_identity, FixMatchMultiParams(**changes)).double()


class ByLoop:
    """The method in NumPy, of a linear network."""

    def __init__(self, method: FixMatchMulti) -> None:
        self.params = method.params
        self.line, self.average = Line(method.network.head), Line(method.network.head)
        self.weak, self.strong, self.seen = (features(view) for view in range(3))
        start = {"fixed": self.params.cutoff, "free": 0.5, "class": INF}[self.params.mode]
        self.thresholds, self.time, self.model = np.full((2, AUS), start), np.full(AUS, 0.5), np.full((2, AUS), 0.5)
        self.updates, self.pseudo = 0, np.zeros(2, dtype=int)

    def begin_epoch(self, epoch: int) -> None:
        if self.params.mode == "class" and epoch >= 2:  # of 6 epochs; 12 of 40
            known = LABELS[VERIFIED]
            share = [(known[:, k] > 0).sum() / (known[:, k] != 0).sum() for k in range(AUS)]
            predictor = self.average if self.params.ema else self.line
            p = logistic(predictor(self.seen[~VERIFIED]))
            self.thresholds = thresholds_by_loop(p, share, (self.params.keep_positive, self.params.keep_negative))

    def free(self, p: Array) -> None:
        for k in range(AUS):
            larger = sum(max(q, 1 - q) for q in p[:, k]) / len(p)
            self.time[k] = 0.9 * self.time[k] + 0.1 * larger  # 18 steps: a window of 10
            self.model[0, k] = 0.9 * self.model[0, k] + 0.1 * p[:, k].mean()
            self.model[1, k] = 0.9 * self.model[1, k] + 0.1 * (1 - p[:, k]).mean()
            for row in range(2):
                self.thresholds[row, k] = self.time[k] * self.model[row, k] / max(self.model[:, k])

    def targets(self, p: Array, labels: Any, verified: Any) -> Any:
        found = np.where(verified[:, None], labels, 0)
        for i, k in np.argwhere(np.broadcast_to(~verified[:, None], p.shape)):
            positive, negative = p[i, k] >= self.thresholds[0, k], 1 - p[i, k] >= self.thresholds[1, k]
            if self.params.mode != "class":
                positive, negative = positive and p[i, k] > 0.5, negative and p[i, k] <= 0.5
            found[i, k] = 1 if positive else -1 if negative else 0
            self.pseudo += np.array([found[i, k] == 1, found[i, k] == -1])
        return found

    def step(self, rows: Any) -> float:
        verified = VERIFIED[rows]
        weak, strong = self.line(self.weak[rows]), self.line(self.strong[rows])
        p, q = logistic(weak), logistic(strong)
        if self.params.mode == "free":
            self.free(p[~verified])
        found = self.targets(p, LABELS[rows], verified)
        own, others = verified[:, None] & (found != 0), ~verified[:, None] & (found != 0)
        known, entries, t = max(1, own.sum()), (~verified).sum() * AUS, found > 0
        loss = (bce_of(weak, t) * own).sum() / known
        loss += self.params.weight * (bce_of(strong, t) * others).sum() / entries
        of_weak, of_strong = own * (p - t) / known, self.params.weight * others * (q - t) / entries
        self.line.move((of_weak, self.weak[rows]), (of_strong, self.strong[rows]))
        self.updates += 1
        keep = min(1 - 1 / (self.updates + 1), self.params.decay)
        self.average.weight = keep * self.average.weight + (1 - keep) * self.line.weight
        self.average.bias = keep * self.average.bias + (1 - keep) * self.line.bias
        return float(loss)


@pytest.mark.parametrize("ema", [True, False])
@pytest.mark.parametrize("mode", ["fixed", "free", "class"])
def test_a_linear_run_in_numpy(mode: Any, ema: bool) -> None:
    method = linear_method(mode=mode, ema=ema, cutoff=0.6, weight=0.8, decay=0.8, keep_positive=0.9, keep_negative=0.7)
    loop, expected = ByLoop(method), []
    for epoch in range(6):
        loop.begin_epoch(epoch)
        expected += [loop.step(rows) for rows in ORDER]
    steps = run(method, 6)
    assert [float(step.loss.detach()) for step in steps if step.loss is not None] == pytest.approx(expected, rel=1e-10)
    assert loop.pseudo.min() > 10
    assert loop.line.agrees_with(method.network.head)
    predictor = loop.average if ema else loop.line
    if method.average is not None:
        assert loop.average.agrees_with(method.average.head)
    images = batch_of(range(4), LABELS, 0, 0).images[0]
    assert np.allclose(method.predict(images).detach().numpy(), logistic(predictor(loop.weak[:4])))
    if mode == "free":
        assert np.allclose(method.time.numpy(), loop.time, rtol=1e-12)
        assert np.allclose(method.model.numpy(), loop.model, rtol=1e-12)
    assert np.allclose(method.thresholds.numpy(), loop.thresholds, rtol=1e-7 if mode == "fixed" else 1e-12)


def test_thresholds_by_class_begin_after_the_supervised_epochs() -> None:
    method = linear_method(mode="class")
    steps = run(method, 3)
    verified = [torch.from_numpy(VERIFIED[rows]) for rows in ORDER]
    for number, step in enumerate(steps):
        assert step.weight is not None
        pseudo = step.weight[0][~verified[number % 3]]
        assert bool(pseudo.any()) == (number >= 6)
    for epochs, first in ((1, 1), (2, 1), (40, 12), (20, 6)):
        task = make_task("multi", 3, epochs=epochs)
        assert FixMatchMulti(task, make_encoder, FixMatchMultiParams(mode="class")).class_from == first


@pytest.mark.parametrize("mode", ["fixed", "free", "class"])
def test_given_labels_of_unverified_rows_are_never_read(mode: Any) -> None:
    """All of them changed, in the batches and in the training set, and with them the frequencies of the task."""
    changed = np.where(VERIFIED[:, None], LABELS, np.random.default_rng(0).choice([-1, 0, 1, 7], size=LABELS.shape))
    changed = np.where(~VERIFIED[:, None] & (changed == LABELS), 5, changed)
    runs = []
    for labels, frequency in ((LABELS, 0.3), (changed, 0.9)):
        method = linear_method(frequency, mode=mode, cutoff=0.6)
        runs.append((run(method, 6, labels), method.state_dict()))
    (steps, state), (other_steps, other_state) = runs
    assert all(torch.equal(state[name], other_state[name]) for name in state)
    for step, other in zip(steps, other_steps, strict=True):
        for part in ("loss", "probabilities", "weight", "target"):
            assert torch.equal(getattr(step, part), getattr(other, part))
        assert step.logs.keys() == other.logs.keys()
        assert all(float(step.logs[name]) == float(other.logs[name]) for name in step.logs)


@pytest.mark.parametrize("variant", ["", ":free", ":class"])
def test_a_training_is_the_same_with_other_labels_of_unverified_rows(variant: str, tmp_path: Path) -> None:
    data, digests = toy_cell("multi", 64), []
    given = np.where(data.train.verified[:, None], data.train.given, -data.train.given)
    for labels in (data.train.given, given):
        cell = dataclasses.replace(data, train=data.train.with_given(labels))
        training = start(f"fixmatch_multi{variant}", "multi", tmp_path, data=cell)
        run_epochs(training, range(3))
        digests.append(digest(training.method))
    assert digests[0] == digests[1]
