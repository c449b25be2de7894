"""Evaluation: every row, given labels for validation, reference labels for test, the earliest of equal epochs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fernoise_bench.benchmark.training import evaluator as evaluate
from fernoise_bench.benchmark.training.evaluator import Best, Diverged, Evaluator, rows_at_once
from fernoise_bench.methods.base import Kind, Method
from fernoise_bench.protocols.images.image_pool import in_memory
from fernoise_bench.protocols.rows import CellData, Rows
from fernoise_bench.results.metrics import expected_calibration_error

from ...toy import SIDE, toy_cell, toy_protocol

CPU = torch.device("cpu")


class Oracle(Method):
    """Predicts a table of answers by what is written in the corner of each image."""

    def __init__(self, answers: np.ndarray) -> None:
        torch.nn.Module.__init__(self)
        self.answers = torch.from_numpy(answers).float()
        self.seen: list[int] = []
        self.modes: list[bool] = []

    def predict(self, images: Tensor) -> Tensor:
        number = (images[:, :2, 0, 0] * 255).round().long()
        rows = number[:, 0] * 256 + number[:, 1]
        self.seen.extend(rows.tolist())
        self.modes.append(self.training)
        return self.answers[rows]


def numbered(kind: Kind, size: int = 192) -> CellData:
    """The toy cell, each validation and test image carrying its sample_id in the corner."""
    data = toy_cell(kind, size)
    assert data.validation is not None
    return replace(data, validation=_numbered(data.validation), test=_numbered(data.test))


def _numbered(rows: Rows) -> Rows:
    images = rows.images.read().copy()
    images[:, :, :, :2] = np.stack([rows.sample_id // 256, rows.sample_id % 256], axis=1)[:, None, None]
    return replace(rows, images=in_memory(images))


def make_evaluator(kind: Kind, data: CellData) -> Evaluator:
    protocol = toy_protocol(kind)
    return Evaluator(protocol, data, protocol.small.recipe.augmentation, CPU)


def answers_for(data: CellData, right: float, seed: int = 0) -> np.ndarray:
    """Probabilities by sample_id [2 * size, 3]: a share of the test and validation rows is answered right."""
    generator = np.random.default_rng(seed)
    table = generator.random((400, 3)) * 0.4
    assert data.validation is not None
    for rows in (data.validation, data.test):
        for row, label in zip(rows.sample_id, rows.reference, strict=True):
            if generator.random() < right:
                table[row] = np.eye(3)[label] if np.ndim(label) == 0 else (label > 0)
    return table / table.sum(axis=1, keepdims=True) if data.test.reference.ndim == 1 else table


def confusion_by_hand(kind: Kind, probabilities: np.ndarray, labels: np.ndarray) -> list[list[int]]:
    """[C, C] labels by predictions, or [L, 4] true positives, false positives, false negatives, true negatives."""
    counts = np.zeros((3, 3 if kind == "single" else 4), dtype=int)
    for row, label in zip(probabilities, labels, strict=True):
        if kind == "single":
            counts[label, list(row).index(max(row))] += 1
            continue
        for au in range(3):
            if label[au]:
                present, said = label[au] > 0, row[au] >= 0.5
                counts[au, [[3, 1], [2, 0]][int(present)][int(said)]] += 1
    found: list[list[int]] = counts.tolist()
    return found


def score_by_hand(kind: Kind, counts: Any) -> float:
    if kind == "single":
        return float(sum(counts[c][c] for c in range(3)) / np.sum(counts))
    return float(np.mean([2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0 for tp, fp, fn, _ in counts]))


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_every_row_is_predicted_once_in_order_and_counted(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "EVALUATION_BATCH", 50)  # 160 rows: the last batch is not full
    data = numbered(kind)
    method = Oracle(answers_for(data, 0.6))
    evaluator = make_evaluator(kind, data)
    found = evaluator.epoch(method, 0)
    assert data.validation is not None
    assert method.seen == [*data.test.sample_id, *data.validation.sample_id]
    answers = method.answers.numpy()
    expected = confusion_by_hand(kind, answers[data.test.sample_id], data.test.reference)
    assert found["test"] == {"confusion": expected, "confusion_without_copies": None}
    expected = confusion_by_hand(kind, answers[data.validation.sample_id], data.validation.given)
    assert found["validation"] == {"confusion": expected}
    kept = evaluator.predictions()
    np.testing.assert_array_equal(kept["last"], answers[data.test.sample_id])
    np.testing.assert_array_equal(kept["sample_id"], data.test.sample_id)
    np.testing.assert_array_equal(kept["group"], data.test.group)
    np.testing.assert_array_equal(kept["labels"], data.test.reference)


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_validation_is_scored_on_given_labels_and_test_on_reference_labels(kind: Kind) -> None:
    """A method that is right by reference labels is best on test, one that says the given labels on validation."""
    data = numbered(kind)
    assert data.validation is not None
    wrong = (data.validation.reference + 1) % 3 if kind == "single" else -data.validation.reference
    data = replace(data, validation=data.validation.with_given(wrong), test=data.test.with_given(data.test.given * 0))
    faithful = answers_for(data, 1.0)
    gullible = answers_for(data, 0.0)
    assert data.validation is not None
    for row, label in zip(data.validation.sample_id, wrong, strict=True):
        gullible[row] = np.eye(3)[label] if kind == "single" else (label > 0)
    evaluator = make_evaluator(kind, data)
    evaluator.epoch(Oracle(gullible), 0)
    evaluator.epoch(Oracle(faithful), 1)
    assert (evaluator.best.validation_epoch, evaluator.best.oracle_epoch) == (0, 1)
    assert evaluator.best.validation_score == evaluator.best.oracle_score == 1.0
    kept = evaluator.predictions()
    np.testing.assert_array_equal(kept["validation"], gullible[data.test.sample_id].astype(np.float32))
    np.testing.assert_array_equal(kept["oracle"], faithful[data.test.sample_id].astype(np.float32))


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_the_best_epochs_are_the_earliest_of_the_highest_scores(kind: Kind) -> None:
    data = numbered(kind)
    evaluator = make_evaluator(kind, data)
    good, bad = answers_for(data, 0.9), answers_for(data, 0.3)
    scores = []
    for epoch, answers in enumerate((bad, good, bad, good)):
        found = evaluator.epoch(Oracle(answers), epoch)
        scores.append([score_by_hand(kind, found[part]["confusion"]) for part in ("test", "validation")])
    assert scores[1] == scores[3] > scores[0]
    assert (evaluator.best.oracle_epoch, evaluator.best.validation_epoch) == (1, 1)
    assert evaluator.best.oracle_score == pytest.approx(scores[1][0])
    assert evaluator.best.validation_score == pytest.approx(scores[1][1])


def test_best_takes_the_first_epoch_even_at_score_zero_and_ignores_undefined_scores() -> None:
    best, test = Best(), np.zeros((2, 3))
    best.update(0, test, 0.0, float("nan"))
    assert (best.oracle_epoch, best.validation_epoch) == (0, None)
    best.update(1, test + 1, 0.0, 0.0)
    assert (best.oracle_epoch, best.validation_epoch) == (0, 1)
    assert best.last is not None
    assert best.last[0, 0] == 1


def test_without_validation_its_predictions_are_empty() -> None:
    data = replace(numbered("single"), validation=None)
    evaluator = make_evaluator("single", data)
    found = evaluator.epoch(Oracle(answers_for(numbered("single"), 0.5)), 0)
    assert found["validation"] is None
    kept = evaluator.predictions()
    assert kept["validation"].shape == (0, 3)
    assert kept["oracle"].shape == (len(data.test), 3)


def test_test_copies_of_training_images_are_counted_apart() -> None:
    data = numbered("single")
    copies = np.arange(len(data.test)) % 4 == 0
    data = replace(data, test=replace(data.test, copy=copies))
    answers = answers_for(data, 0.5)
    evaluator = make_evaluator("single", data)
    found = evaluator.epoch(Oracle(answers), 0)["test"]
    predicted = answers[data.test.sample_id]
    assert found["confusion"] == confusion_by_hand("single", predicted, data.test.reference)
    expected = confusion_by_hand("single", predicted[~copies], data.test.reference[~copies])
    assert found["confusion_without_copies"] == expected
    np.testing.assert_array_equal(evaluator.predictions()["copy"], copies)


def test_unknown_au_labels_are_left_out() -> None:
    data = numbered("multi")
    reference = data.test.reference.copy()
    reference[::2, 1] = 0
    data = replace(data, test=replace(data.test, reference=reference))
    found = make_evaluator("multi", data).epoch(Oracle(answers_for(data, 0.5)), 0)
    assert np.sum(found["test"]["confusion"], axis=1).tolist() == [len(reference), len(reference) // 2, len(reference)]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_predictions_that_are_not_finite_end_the_trial(value: float) -> None:
    data = numbered("single")
    answers = answers_for(data, 0.5)
    answers[data.test.sample_id[7], 1] = value
    with pytest.raises(Diverged, match="predictions are not finite"):
        make_evaluator("single", data).epoch(Oracle(answers), 0)


@pytest.mark.parametrize("change", [lambda p: p[:, :2], lambda p: p * 5 - 2, lambda p: p[:, 0], lambda p: p[:-1]])
def test_what_is_no_table_of_probabilities_is_refused(change: Any) -> None:
    """Logits would be scored silently, most visibly for AUs, whose threshold is 0.5."""

    class Wrong(Oracle):
        def predict(self, images: Tensor) -> Tensor:
            changed: Tensor = change(super().predict(images))
            return changed

    data = numbered("single")
    with pytest.raises(ValueError, match=r"predict\(\) must return probabilities \[160, 3\] in \[0, 1\]"):
        make_evaluator("single", data).epoch(Wrong(answers_for(data, 0.5)), 0)


def test_methods_predict_in_evaluation_mode_without_gradient_and_return_to_their_mode() -> None:
    data = numbered("single")
    method = Oracle(answers_for(data, 0.5))
    for training in (True, False):
        method.train(training)
        make_evaluator("single", data).epoch(method, 0)
        assert method.training is training
    assert not any(method.modes)

    class Asks(Oracle):
        def predict(self, images: Tensor) -> Tensor:
            assert not torch.is_grad_enabled()
            assert images.shape[1:] == (3, SIDE, SIDE)
            return super().predict(images)

    make_evaluator("single", data).epoch(Asks(answers_for(data, 0.5)), 0)


@pytest.mark.parametrize(
    ("device", "side", "rows"), [("cpu", 48, 256), ("cpu", 100, 256), ("cpu", 224, 51), ("cuda", 224, 256)]
)
def test_large_images_are_predicted_fewer_at_once_on_a_cpu(device: str, side: int, rows: int) -> None:
    assert rows_at_once(torch.device(device), side) == rows


def test_an_epoch_tells_how_probabilities_fit_labels_and_votes() -> None:
    data = numbered("single")
    votes = data.test.votes.copy()
    votes[0] = 0  # nobody voted
    votes[1] = [0, 0, 0, 7, 3]  # or none for a class
    reference = data.test.reference.copy()
    reference[2] = -1  # not judged
    data = replace(data, test=replace(data.test, votes=votes, reference=reference))
    method = Oracle(answers_for(numbered("single"), 0.6))
    found = make_evaluator("single", data).epoch(method, 0)
    p = method.answers.numpy().astype(np.float64)[data.test.sample_id]
    sums = {"nll": 0.0, "brier": 0.0}
    to_votes, judged, told = {"nll": 0.0, "brier": 0.0, "kl": 0.0}, 0, 0
    for row, label, counts in zip(p, reference, votes[:, :3], strict=True):
        if label < 0:
            continue
        judged += 1
        sums["nll"] -= np.log(max(row[label], 1e-12))
        sums["brier"] += sum((row[c] - (c == label)) ** 2 for c in range(3))
        if counts.sum() == 0:
            continue
        told += 1
        share = counts / counts.sum()
        nll = -sum(share[c] * np.log(max(row[c], 1e-12)) for c in range(3))
        to_votes["nll"] += nll
        to_votes["kl"] += nll + sum(t * np.log(t) for t in share if t > 0)
        to_votes["brier"] += sum((row[c] - share[c]) ** 2 for c in range(3))
    assert judged == len(p) - 1
    assert told == judged - 2
    assert set(found["fit"]) == {"nll", "brier", "ece"}
    assert set(found["fit_to_votes"]) == {"nll", "brier", "ece", "kl"}
    for name, total in sums.items():
        assert found["fit"][name] == pytest.approx(total / judged, rel=1e-9)
    for name, total in to_votes.items():
        assert found["fit_to_votes"][name] == pytest.approx(total / told, rel=1e-9)
    kept = reference >= 0
    assert found["fit"]["ece"] == pytest.approx(expected_calibration_error(p[kept], reference[kept]), rel=1e-9)
    kept &= votes[:, :3].sum(axis=1) > 0
    shares = votes[kept, :3] / votes[kept, :3].sum(axis=1, keepdims=True)
    assert found["fit_to_votes"]["ece"] == pytest.approx(expected_calibration_error(p[kept], shares), rel=1e-9)


def test_without_votes_or_labels_there_is_nothing_to_tell() -> None:
    data = numbered("single")
    bare = replace(data, test=replace(data.test, votes=np.zeros((len(data.test), 0), np.int64)))
    method = Oracle(answers_for(data, 0.6))
    assert "fit_to_votes" not in make_evaluator("single", bare).epoch(method, 0)
    units = numbered("multi")
    found = make_evaluator("multi", units).epoch(Oracle(answers_for(units, 0.6)), 0)
    assert set(found) == {"test", "validation"}
    assert (
        evaluate.fits(np.full((2, 3), 1 / 3), replace(bare.test.take(np.arange(2)), reference=np.array([-1, -1]))) == {}
    )
