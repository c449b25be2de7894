"""The running sums of probabilities of classes, against loops over draws, the same bits however they are added."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.benchmark.training import checkpoint, trainer
from fernoise_bench.benchmark.training.audit.dynamics import Dynamics
from fernoise_bench.benchmark.training.runner import run_trial
from fernoise_bench.methods.base import Kind
from fernoise_bench.results.records.training_scores import TRAINING_SCORES, write_training_scores

from ....toy import ToyContext, ignore, run_epochs, toy_cell, toy_trial
from .test_dynamics import (
    AUS,
    CLASSES,
    EPOCH_LINE,
    EPOCHS,
    ROWS,
    STEPS,
    Array,
    Drawn,
    add_epoch,
    added,
    drawn_epoch,
    labels_of,
    new,
    told,
)


def drawn_with_gaps() -> list[Drawn]:
    """The steps of an epoch each, with predictions now and then that are not finite; row 2 has no other."""
    found = []
    for epoch in range(EPOCHS):
        for number, step in enumerate(drawn_epoch("single", epoch)):
            p = None if step.probabilities is None else step.probabilities.clone()
            if p is not None:
                p[step.rows == 2] = torch.nan
                p[(step.rows == 5 + number).nonzero()[:1], 1] = torch.inf
            found.append(Drawn(step.rows, p))
    return found


def classes_by_a_loop() -> tuple[Array, Array]:
    """The mean of each row's draws in its last epoch seen, and its most probable other class over the epochs seen."""
    labels, steps = labels_of("single"), drawn_with_gaps()
    last, sums = np.full((ROWS, CLASSES), np.nan), np.zeros((ROWS, CLASSES))
    for epoch in range(EPOCHS):
        draws: dict[int, list[Array]] = {}
        for step in steps[epoch * STEPS : (epoch + 1) * STEPS]:
            for row, p in zip(
                step.rows.tolist(), () if step.probabilities is None else step.probabilities, strict=False
            ):
                if p.isfinite().all():
                    draws.setdefault(row, []).append(p.double().numpy())
        for row, each in draws.items():
            last[row] = np.mean(each, axis=0)
            sums[row] += last[row]
    alternative = np.full(ROWS, -1)
    for row in np.flatnonzero(~np.isnan(last[:, 0])):
        order = sorted(set(range(CLASSES)) - {int(labels[row])}, key=lambda place: (-sums[row, place], place))
        alternative[row] = order[0]
    return last, alternative


def with_gaps(dynamics: Dynamics, epochs: Sequence[int], block: int = 1) -> Dynamics:
    for epoch in epochs:
        add_epoch(dynamics, drawn_with_gaps()[epoch * STEPS : (epoch + 1) * STEPS], block)
    return dynamics


def test_the_last_probabilities_and_the_alternative_are_those_of_a_loop() -> None:
    found = told(with_gaps(new("single"), range(EPOCHS)))
    last, alternative = classes_by_a_loop()
    assert found.probabilities is not None
    assert found.alternative is not None
    assert found.probabilities.dtype == np.float16
    np.testing.assert_allclose(found.probabilities, last, rtol=2**-11, atol=2**-25)
    assert np.isnan(found.probabilities[:3]).all(), "two rows are never drawn, one has no finite prediction"
    assert found.alternative.tolist() == alternative.tolist()
    assert not (found.alternative == found.given)[found.given >= 0].any()
    assert len(set(alternative.tolist())) > 2
    np.testing.assert_allclose(found.last_probabilities, last, rtol=2**-11, atol=2**-25)


def test_the_class_with_the_highest_mean_is_the_alternative_and_the_first_of_equals() -> None:
    """Not that of the last epoch; of an unknown label any class; never the given one."""
    dynamics = Dynamics(torch.tensor([0, 0, 1, -1]), "single", 3)
    for p in ([[0.1, 0.8, 0.1], [0.5, 0.25, 0.25]], [[0.1, 0.4, 0.5], [0.0, 0.5, 0.5]]):
        both = torch.tensor(p)
        dynamics.add(torch.arange(4), torch.cat([both, both[:1], both[:1]]), None, None)
        dynamics.close_epoch()
    found = dynamics.scores(np.arange(4), np.zeros(4, dtype=np.bool_))
    assert found.alternative is not None
    assert found.alternative.tolist() == [1, 1, 2, 1]


def test_neither_blocks_nor_an_interruption_change_a_bit_of_the_probabilities() -> None:
    whole = with_gaps(new("single"), range(EPOCHS))
    resumed = new("single")
    resumed.load(with_gaps(new("single"), range(3), block=2).state())
    for other in (with_gaps(new("single"), range(EPOCHS), block=4), with_gaps(resumed, range(3, EPOCHS))):
        assert all(torch.equal(other.state()[name], value) for name, value in whole.state().items())
    one, two = told(whole), told(resumed)
    assert one.probabilities is not None
    assert two.probabilities is not None
    assert one.probabilities.tobytes() == two.probabilities.tobytes()


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_the_order_of_draws_changes_no_bit(kind: Kind) -> None:
    """But for the last draw of each row, which tells what is preferred: here all draws of a row agree on it."""
    generator = torch.Generator().manual_seed(3)
    rows, width = torch.arange(ROWS).repeat(20), CLASSES if kind == "single" else AUS
    p = torch.rand(len(rows), width, generator=generator) * 0.01 + 0.6 * (torch.arange(width) == 1)
    states = []
    for order in (torch.arange(len(rows)), torch.randperm(len(rows), generator=generator)):
        dynamics = new(kind)
        dynamics.add(rows[order], p[order], None, None)
        dynamics.close_epoch()
        states.append(dynamics.state())
    assert all(torch.equal(states[1][name], value) for name, value in states[0].items())


def test_of_aus_the_last_says_the_probability_of_presence() -> None:
    found = told(added("multi", new("multi"), range(EPOCHS)))
    assert found.probabilities is found.alternative is None
    expected = np.full((ROWS, AUS), np.nan)
    for epoch in range(EPOCHS):
        draws: dict[int, list[Array]] = {}
        for step in drawn_epoch("multi", epoch):
            for row, p in zip(
                step.rows.tolist(), () if step.probabilities is None else step.probabilities, strict=False
            ):
                draws.setdefault(row, []).append(p.double().numpy())
        for row, each in draws.items():
            expected[row] = np.where(found.given[row] == 0, np.nan, np.mean(each, axis=0))
    np.testing.assert_allclose(found.last_probabilities, expected, rtol=0, atol=1e-9)


def test_a_trial_begun_without_probabilities_is_started_again(tmp_path: Path) -> None:
    """By a version that kept scores, but not these: its checkpoint is refused, as a damaged one is."""
    whole, cell = toy_trial("supervised", tmp_path / "whole", kind="single"), toy_cell("single")
    assert run_trial(whole, ToyContext(), ignore)["state"] == "done"
    trial = toy_trial("supervised", tmp_path / "begun", kind="single")
    training = trainer.start(trial, cell, Weights("none"))
    run_epochs(training, [0])
    training.next_epoch, training.lines = 1, [EPOCH_LINE]
    trial.folder.mkdir(parents=True)
    checkpoint.save(trial.folder, training)
    state = torch.load(trial.folder / "checkpoint.pt", weights_only=True)
    del state["dynamics"]["probabilities"], state["dynamics"]["classes"]
    torch.save(state, trial.folder / "checkpoint.pt")
    warnings: list[str] = []
    status = run_trial(trial, ToyContext(), lambda event: warnings.append(event.get("warning", "")))
    assert status["state"] == "done"
    assert "scores have no classes of these rows); the trial is started again" in "".join(warnings)
    names = ("training_scores.npz", "predictions.npz")
    assert all((trial.folder / name).read_bytes() == (whole.folder / name).read_bytes() for name in names)


@pytest.mark.parametrize("sharpness", [1.0, 4.0, 12.0])
def test_a_row_of_seven_classes_takes_forty_bytes_at_most_on_disk(sharpness: float, tmp_path: Path) -> None:
    """Of two networks that report weights and labels, whether they are sure of what they predict or not."""
    generator = torch.Generator().manual_seed(0)
    rows, classes = 4000, 7
    given = torch.randint(0, classes, (rows,), generator=generator)
    dynamics = Dynamics(given, "single", classes)
    for epoch in range(10):
        z = torch.randn(rows, classes, generator=generator) * sharpness
        z[torch.arange(rows), given] += sharpness * epoch / 10
        weight = (torch.rand(2, rows, generator=generator) > 0.4).float()
        dynamics.add(torch.arange(rows), z.softmax(1), weight, given.expand(2, rows))
        dynamics.close_epoch()
    drawn = np.sort(np.random.default_rng(0).choice(30_000, rows, replace=False))
    write_training_scores(tmp_path, dynamics.scores(drawn, np.zeros(rows, dtype=np.bool_)))
    assert (tmp_path / TRAINING_SCORES).stat().st_size <= 40 * rows
