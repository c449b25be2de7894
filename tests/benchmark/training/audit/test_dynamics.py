"""The running sums of a training give the scores of the whole arrays, bit by bit the same however they are added."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.benchmark.training import checkpoint, trainer
from fernoise_bench.benchmark.training.audit.auditor import BLOCK, Auditor
from fernoise_bench.benchmark.training.audit.dynamics import Dynamics
from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.methods.base import Kind, Step
from fernoise_bench.protocols.files import read_arrays
from fernoise_bench.results import label_errors as le
from fernoise_bench.results.records.training_scores import TrainingScores, read_training_scores

from ....toy import ToyContext, ignore, run_epochs, toy_cell, toy_trial

ROWS, CLASSES, AUS, BATCH, STEPS, EPOCHS = 23, 4, 3, 6, 7, 5
Array = NDArray[Any]


class Drawn(NamedTuple):
    """A step: rows, one of them twice now and then, and what was reported of them."""

    rows: Tensor
    probabilities: Tensor | None
    weight: Tensor | None = None
    target: Tensor | None = None


def labels_of(kind: Kind) -> Array:
    generator = np.random.default_rng(5)
    return generator.integers(-1, CLASSES, ROWS) if kind == "single" else generator.integers(-1, 2, (ROWS, AUS))


def drawn_epoch(kind: Kind, epoch: int) -> list[Drawn]:
    """Rows 0 and 1 are never drawn, many rows more than once, also within a step."""
    generator = torch.Generator().manual_seed(epoch)
    width = CLASSES if kind == "single" else AUS
    found = []
    for step in range(STEPS):
        logits = torch.randn(BATCH, width, generator=generator) * 4
        p = logits.softmax(1) if kind == "single" else logits.sigmoid()
        found.append(Drawn(torch.randint(2, ROWS, (BATCH,), generator=generator), p if step != 2 else None))
    return found


def added(kind: Kind, dynamics: Dynamics, epochs: Sequence[int], block: int = 1) -> Dynamics:
    """Adds steps in blocks of so many, those without probabilities alone."""
    for epoch in epochs:
        add_epoch(dynamics, drawn_epoch(kind, epoch), block)
    return dynamics


def add_epoch(dynamics: Dynamics, steps: Sequence[Drawn], block: int) -> None:
    """The steps of an epoch in blocks of so many, those without probabilities alone."""
    for part in (steps[:2], steps[2:3], steps[3:]):
        for first in range(0, len(part), block):
            chosen = part[first : first + block]
            p = [step.probabilities for step in chosen if step.probabilities is not None]
            dynamics.add(torch.cat([step.rows for step in chosen]), torch.cat(p) if p else None, None, None)
    dynamics.close_epoch()


def new(kind: Kind) -> Dynamics:
    return Dynamics(torch.from_numpy(labels_of(kind)), kind, CLASSES if kind == "single" else AUS)


def told(dynamics: Dynamics) -> TrainingScores:
    return dynamics.scores(np.arange(ROWS), np.zeros(ROWS, dtype=np.bool_))


def arrays_of(kind: Kind) -> tuple[Array, Array, Array]:
    """Given, margin and correct of each epoch: means over a row's draws, of correct the last; by a loop over draws."""
    labels = labels_of(kind)
    found = tuple(np.full((EPOCHS, *labels.shape), np.nan) for _ in range(3))
    for epoch in range(EPOCHS):
        draws: dict[int, list[Array]] = {}
        for step in drawn_epoch(kind, epoch):
            for row, p in zip(
                step.rows.tolist(), () if step.probabilities is None else step.probabilities, strict=False
            ):
                draws.setdefault(row, []).append(p.double().numpy()[None])
        for row, each in draws.items():
            label = labels[row : row + 1]
            found[0][epoch, row] = np.mean([le.given_probability(p, label)[0] for p in each], axis=0)
            found[1][epoch, row] = np.mean([le.margins(p, label)[0] for p in each], axis=0)
            found[2][epoch, row] = le.correct(each[-1], label)[0]
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_the_sums_give_the_suspicions_of_the_arrays(kind: Kind) -> None:
    expected = le.suspicions(*arrays_of(kind))
    found = told(added(kind, new(kind), range(EPOCHS)))
    assert list(found.suspicions) == list(expected)
    for name, values in expected.items():
        most = 1e-6 if name == "loss" else 1e-9  # of the logarithm of a small mean, which is rounded to 2^-43
        np.testing.assert_allclose(found.suspicions[name], values, rtol=0, atol=most, err_msg=name)
    seen = ~np.isnan(arrays_of(kind)[0])
    rows = seen if kind == "single" else seen.any(axis=2)
    unknown = labels_of(kind) == -1 if kind == "single" else (labels_of(kind) == 0).all(axis=1)
    assert found.epochs[~unknown].tolist() == rows.sum(axis=0)[~unknown].tolist()
    assert found.epochs[:2].tolist() == [0, 0]


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_one_epoch_has_its_mean_as_its_last(kind: Kind) -> None:
    found = told(added(kind, new(kind), [0])).suspicions
    assert np.array_equal(found["mean"], found["last"], equal_nan=True)


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_neither_blocks_nor_an_interruption_change_a_bit(kind: Kind) -> None:
    whole = added(kind, new(kind), range(EPOCHS))
    blocks = added(kind, new(kind), range(EPOCHS), block=4)
    first = added(kind, new(kind), range(2), block=3)
    buffer = io.BytesIO()
    torch.save(first.state(), buffer)
    buffer.seek(0)
    resumed = new(kind)
    resumed.load(torch.load(buffer, weights_only=True))
    added(kind, resumed, range(2, EPOCHS))
    for other in (blocks, resumed):
        assert other.state().keys() == whole.state().keys()
        assert all(torch.equal(other.state()[name], value) for name, value in whole.state().items())


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_the_class_preferred_is_that_of_the_last_draw(kind: Kind) -> None:
    expected = np.full(labels_of(kind).shape, -1 if kind == "single" else 0)
    for epoch in range(EPOCHS):
        for step in drawn_epoch(kind, epoch):
            for row, p in zip(
                step.rows.tolist(), () if step.probabilities is None else step.probabilities, strict=False
            ):
                expected[row] = int(p.argmax()) if kind == "single" else np.where(p.numpy() >= 0.5, 1, -1)
    assert told(added(kind, new(kind), range(EPOCHS))).preferred.tolist() == expected.tolist()


def test_a_prediction_that_is_not_finite_is_not_seen() -> None:
    dynamics = Dynamics(torch.tensor([0, 1]), "single", 2)
    dynamics.add(torch.tensor([0, 1]), torch.tensor([[torch.nan, 0.5], [0.2, 0.8]]), None, None)
    dynamics.close_epoch()
    found = dynamics.scores(np.arange(2), np.zeros(2, dtype=np.bool_))
    assert found.epochs.tolist() == [0, 1]
    assert np.isnan(found.suspicions["mean"]).tolist() == [True, False]


# --- what the method decided


def watched(kind: Kind, steps: Sequence[Drawn]) -> TrainingScores:
    """By the auditor, which joins steps of one form."""
    labels = torch.from_numpy(labels_of(kind))
    auditor = Auditor(labels, labels, kind, CLASSES if kind == "single" else AUS)
    for step in steps:
        auditor.watch(step.rows, Step(None, *step[1:]))
    auditor.epoch_counts()
    assert auditor.dynamics is not None
    return told(auditor.dynamics)


def decided_steps(kind: Kind) -> list[Drawn]:
    """Steps that report weights of rows or entries and hard or soft targets, of one network or two, or nothing."""
    generator = torch.Generator().manual_seed(1)
    width = CLASSES if kind == "single" else AUS
    steps = []
    for number in range(2 * BLOCK):
        rows = torch.randint(2, ROWS, (BATCH,), generator=generator)
        networks, shape = 1 + (number % 7 == 0), (BATCH,) if kind == "single" or number % 2 else (BATCH, AUS)
        weight = torch.randint(0, 3, (networks, *shape), generator=generator) * 0.75
        soft = torch.rand(networks, BATCH, width, generator=generator)
        if kind == "single":
            hard = torch.randint(0, CLASSES, (networks, BATCH), generator=generator)
        else:
            hard = torch.randint(0, 2, (networks, BATCH, AUS), generator=generator) * 2 - 1
        target = (hard, soft, None)[number % 3]
        steps.append(Drawn(rows, None, weight if number % 5 else None, target))
    return steps


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_what_was_decided_last_is_kept_as_by_a_loop(kind: Kind) -> None:
    labels = labels_of(kind)
    weights, targets = np.full((2, *labels.shape), np.nan), np.tile(labels, (2, *[1] * labels.ndim))
    for step in decided_steps(kind):
        for place, row in enumerate(step.rows.tolist()):
            weights[:, row], targets[:, row] = 1.0, labels[row]
            for network, each in enumerate(() if step.weight is None else step.weight):
                weights[network, row] = each[place].numpy()
            for network, each in enumerate(() if step.target is None else step.target):
                value = each[place].numpy()
                if step.target is not None and step.target.is_floating_point():
                    value = value.argmax() if kind == "single" else np.where(value >= 0.5, 1, -1)
                targets[network, row] = value
    found = watched(kind, decided_steps(kind))
    assert found.weight is not None
    assert found.target is not None
    assert np.array_equal(found.weight, weights, equal_nan=True)
    assert found.target[:, 2:].tolist() == targets[:, 2:].tolist()
    kept = (weights > 0) & (targets == labels)
    unknown = labels == (-1 if kind == "single" else 0)
    share = np.where(unknown, np.nan, kept.mean(axis=0))
    share[:2] = np.nan
    assert found.kept is not None
    assert np.array_equal(found.kept, share, equal_nan=True)


def test_a_small_weight_stays_above_zero_and_a_large_one_finite() -> None:
    weight = torch.tensor([[1e-30, 0.0, 1e30, 0.3]])
    auditor = Auditor(torch.zeros(4, dtype=torch.int64), torch.zeros(4, dtype=torch.int64), "single", 2)
    auditor.watch(torch.arange(4), Step(None, weight=weight))
    auditor.epoch_counts()
    assert auditor.dynamics is not None
    found = auditor.dynamics.scores(np.arange(4), np.zeros(4, dtype=np.bool_))
    assert found.weight is not None
    assert (found.weight > 0).tolist() == [[True, False, True, True]]
    assert np.isfinite(found.weight).all()
    assert found.kept is not None
    assert found.kept.tolist() == [1.0, 0.0, 1.0, 1.0]


def test_a_method_that_reports_nothing_has_no_scores() -> None:
    found = watched("single", [Drawn(torch.arange(BATCH), None)])
    assert found.weight is found.target is found.kept is None
    assert found.probabilities is found.alternative is found.last_probabilities is None
    assert not found.epochs.any()
    assert all(np.isnan(values).all() for values in found.suspicions.values())


# --- in trials


@pytest.mark.parametrize(("name", "kind"), [("dividemix", "single"), ("recot", "multi")])
def test_a_trial_writes_its_scores_without_a_reference_label(name: str, kind: Kind, tmp_path: Path) -> None:
    cell = toy_cell(kind)
    other = dataclasses.replace(cell.train, reference=np.roll(cell.train.reference, 1, axis=0))
    contents = []
    for place, train in (("one", cell.train), ("two", other)):

        class Context(ToyContext):
            def cell(self, trial: object, train: Any = train) -> Any:
                return dataclasses.replace(cell, train=train)

        trial = toy_trial(name, tmp_path / place, kind=kind, epochs=2)
        assert run_trial(trial, Context(), ignore)["state"] == "done"
        contents.append((trial.folder / "training_scores.npz").read_bytes())
    assert contents[0] == contents[1]
    found = read_training_scores(trial.folder)
    assert found is not None
    assert found.sample_id.tolist() == cell.train.sample_id.tolist()
    assert found.given.tolist() == cell.train.given.tolist()
    assert found.verified.tolist() == cell.train.verified.tolist()
    assert found.epochs.max() == 2
    arrays = read_arrays(trial.folder / "training_scores.npz")
    of_classes = 2 * (1 + int(cell.train.given.max())) + 1 if kind == "single" else 0
    assert sum(array.nbytes for array in arrays.values()) <= (40 + of_classes) * found.given.size


def test_a_trial_that_an_earlier_version_began_has_no_scores(tmp_path: Path) -> None:
    """Its first epochs were not recorded; nor does the next checkpoint make up for them."""
    trial, cell = toy_trial("supervised", tmp_path, kind="single"), toy_cell("single")
    training = trainer.start(trial, cell, Weights("none"))
    run_epochs(training, [0])
    training.next_epoch, training.lines = 1, [EPOCH_LINE]
    trial.folder.mkdir(parents=True)
    checkpoint.save(trial.folder, training)
    state = torch.load(trial.folder / "checkpoint.pt", weights_only=True)
    del state["dynamics"]
    torch.save(state, trial.folder / "checkpoint.pt")
    for _ in range(2):
        again = trainer.start(trial, cell, Weights("none"))
        assert checkpoint.resume(trial.folder, again)
        assert again.auditor.dynamics is None
        run_epochs(again, [1])
        checkpoint.save(trial.folder, again)


EPOCH_LINE = {
    "epoch": 0,
    "test": {"confusion": [[1, 0], [0, 1]], "confusion_without_copies": None},
    "compute": {"forwards": 1, "backwards": 1},
}


def test_a_checkpoint_of_other_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="no given of these rows"):
        new("single").load(Dynamics(torch.zeros(3, dtype=torch.int64), "single", CLASSES).state())
    state = new("single").state()
    del state["ever"]
    with pytest.raises(ValueError, match="no ever of these rows"):
        new("single").load(state)
