"""Estimates of the label noise against the noise there is, counted row by row."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fernoise_bench.baselines import forward_correction
from fernoise_bench.benchmark.registry import MethodSpec
from fernoise_bench.benchmark.training.audit.transition_audit import TransitionAudit, true_transition
from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.methods.base import Batch, MakeEncoder, Method, Network, NoParams, Step, Task
from fernoise_bench.methods.losses import label_loss
from fernoise_bench.protocols.base import Kind
from fernoise_bench.protocols.rows import Rows
from fernoise_bench.results.metrics import transition_error

from ....toy import EPOCHS, ToyContext, ignore, toy_cell, toy_trial


class Estimates(Method):
    """Plain training with a matrix that is a little off, another in every epoch."""

    needs: ClassVar[frozenset[str]] = frozenset({"single", "multi"})

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: NoParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        size = (3, 3) if task.kind == "single" else (task.num_classes, 2, 2)
        self.register_buffer("transition", torch.eye(size[-1], dtype=torch.float64).expand(size).clone())

    def loss(self, batch: Batch) -> Step:
        off = 0.1 * (batch.epoch + 1)
        self.transition[..., 0, 0] = 1 - off
        self.transition[..., 0, 1] = off
        return Step(label_loss(self.network(batch.images[0]), batch.labels, self.task.kind))

    def predict(self, images: Tensor) -> Tensor:
        logits = self.network(images)
        return logits.softmax(dim=1) if self.task.kind == "single" else logits.sigmoid()


def rows_of(given: Any, reference: Any, verified: Any = None) -> Rows:
    train = toy_cell("single" if np.ndim(given) == 1 else "multi").train.take(np.arange(len(given)))
    clean = np.zeros(len(given), bool) if verified is None else np.array(verified)
    return replace(train, given=np.array(given), reference=np.array(reference), verified=clean)


def holding(values: Any, name: str = "transition") -> nn.Module:
    module = nn.Module()
    module.register_buffer(name, torch.as_tensor(values, dtype=torch.float64))
    return module


GIVEN, REFERENCE = [0, 0, 1, 2, 2, 1, 0], [0, 1, 1, 2, 0, -1, 0]
TRUE = np.array([[2 / 3, 0, 1 / 3], [0.5, 0.5, 0], [0, 0, 1]])


def test_the_truth_of_classes_by_hand() -> None:
    np.testing.assert_allclose(true_transition(rows_of(GIVEN, REFERENCE), 3), TRUE)
    clean = [True, False, False, False, False, False, True]
    np.testing.assert_allclose(true_transition(rows_of(GIVEN, REFERENCE, clean), 3)[0], [0, 0, 1])
    without = true_transition(rows_of(GIVEN, [0, 0, 0, 2, 0, -1, 0]), 3)
    assert np.isnan(without[1]).all()
    assert not np.isnan(without[[0, 2]]).any()


AU_GIVEN = np.array([[1, -1], [-1, -1], [1, 0], [-1, 1], [-1, -1], [0, -1]], np.int8)
AU_REFERENCE = np.array([[1, -1], [1, -1], [-1, -1], [-1, -1], [-1, 0], [1, -1]], np.int8)


def test_the_truth_of_aus_by_hand() -> None:
    """The second AU is present nowhere, so that nothing is known of how it goes wrong then."""
    found = true_transition(rows_of(AU_GIVEN, AU_REFERENCE), 2)
    np.testing.assert_allclose(found[0], [[2 / 3, 1 / 3], [0.5, 0.5]])
    np.testing.assert_allclose(found[1, 0], [0.75, 0.25])
    assert np.isnan(found[1, 1]).all()


def test_the_error_of_classes_by_loop() -> None:
    audit = TransitionAudit(rows_of(GIVEN, REFERENCE), 3)
    estimate = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.05, 0.15, 0.8]])
    by_loop = sum(abs(estimate[i, j] - TRUE[i, j]) for i in range(3) for j in range(3)) / 3
    for last in (False, True):
        assert audit.of(holding(estimate), last=last) == {"transition_error": pytest.approx(by_loop, rel=1e-12)}
    assert by_loop == pytest.approx(forward_correction.transition_error(torch.tensor(estimate), torch.tensor(TRUE)))
    assert audit.of(holding(TRUE), last=True) == {"transition_error": 0.0}


def test_a_class_that_no_row_has_is_left_out() -> None:
    audit = TransitionAudit(rows_of(GIVEN, [0, 0, 0, 2, 0, -1, 0]), 3)
    estimate = np.eye(3)
    true = np.array([[3 / 5, 1 / 5, 1 / 5], [0, 0, 1]])
    expected = (np.abs(np.eye(3)[[0, 2]] - true)).sum() / 2
    assert audit.of(holding(estimate), last=True)["transition_error"] == pytest.approx(expected)


def test_the_error_of_aus_is_that_of_their_rates() -> None:
    reference = AU_REFERENCE.copy()
    reference[3, 1] = 1
    audit = TransitionAudit(rows_of(AU_GIVEN, reference), 2)  # ρ⁺ .5 and 0, ρ⁻ 1/3 and 0
    estimate = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.7, 0.3], [0.4, 0.6]]])
    first, second = abs(0.2 - 0.5) + abs(0.1 - 1 / 3), 0.4 + 0.3
    found = audit.of(holding(estimate), last=True)
    assert found == {
        "transition_error": pytest.approx((first + second) / 2),
        "flip_rates": {
            "positive": [0.2, 0.4],
            "negative": [0.1, 0.3],
            "true_positive": [0.5, 0.0],
            "true_negative": [0.333333, 0.0],
        },
    }
    assert audit.of(holding(estimate), last=False).keys() == {"transition_error"}
    estimate[1] = np.nan  # no estimate of the second AU
    found = audit.of(holding(estimate), last=True)
    assert found["transition_error"] == pytest.approx(first)
    assert found["flip_rates"]["positive"] == [0.2, None]


def test_an_au_that_is_present_nowhere_has_no_error() -> None:
    audit = TransitionAudit(rows_of(AU_GIVEN, AU_REFERENCE), 2)
    found = audit.of(holding([[[2 / 3, 1 / 3], [0.5, 0.5]], [[0.1, 0.9], [0.9, 0.1]]]), last=True)
    assert found["transition_error"] == pytest.approx(0.0, abs=1e-12)
    assert found["flip_rates"]["true_positive"] == [0.5, None]


@pytest.mark.parametrize(
    "module",
    [
        nn.Module(), holding(np.eye(3), "matrix"), holding(np.eye(2)), holding(np.eye(3)[None]), holding([1.0]),
        holding(np.full((3, 3), np.nan)), holding(np.full((3, 3), np.inf)), holding(3 * np.eye(3)),
        holding(-0.1 * np.eye(3)), nn.Sequential(holding(np.eye(3))),
    ],
)  # fmt: skip
def test_a_method_without_an_estimate_has_no_error(module: nn.Module) -> None:
    assert TransitionAudit(rows_of(GIVEN, REFERENCE), 3).of(module, last=True) == {}


def test_without_reference_labels_there_is_no_error() -> None:
    assert TransitionAudit(rows_of(GIVEN, [-1] * 7), 3).of(holding(np.eye(3)), last=True) == {}
    nothing = rows_of(AU_GIVEN, np.zeros_like(AU_REFERENCE))
    assert TransitionAudit(nothing, 2).of(holding(np.eye(2)[None].repeat(2, 0)), last=True) == {}


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_every_epoch_has_its_error_and_the_last_the_rates(kind: Kind, tmp_path: Path) -> None:
    spec = MethodSpec("estimates", "", "", {}, Estimates.needs, "0" * 16)
    object.__setattr__(spec, "load", lambda: Estimates)
    trial = toy_trial(spec, tmp_path, kind=kind)
    assert run_trial(trial, ToyContext(), ignore)["state"] == "done"
    lines = [json.loads(line) for line in (trial.folder / "epochs.jsonl").read_text().splitlines()]
    true = true_transition(toy_cell(kind).train, 3)
    for epoch, line in enumerate(lines):
        estimate = np.eye(true.shape[-1]) * np.ones(true.shape)
        estimate[..., 0, 0], estimate[..., 0, 1] = 1 - 0.1 * (epoch + 1), 0.1 * (epoch + 1)
        assert line["transition_error"] == pytest.approx(transition_error(estimate, true).mean(), rel=1e-9)
        assert ("flip_rates" in line) == (kind == "multi" and epoch == EPOCHS - 1)


def test_lines_of_other_methods_stay_as_they_were(tmp_path: Path) -> None:
    trial = toy_trial("supervised", tmp_path)
    run_trial(trial, ToyContext(), ignore)
    assert (
        not {"transition_error", "flip_rates"}
        & json.loads((trial.folder / "epochs.jsonl").read_text().split("\n")[0]).keys()
    )
