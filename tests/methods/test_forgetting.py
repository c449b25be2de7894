from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.benchmark.training import trainer
from fernoise_bench.methods.base import Batch, Network, TrainView
from fernoise_bench.methods.forgetting import ForgetSchedule, forget_rates, mean_losses
from fernoise_bench.methods.mixture import estimated_noise_rate

from ..toy import toy_cell, toy_trial
from .toy import cross_entropy, make_batch, make_encoder, make_task, make_train

LABELS = torch.tensor([0, 2, 1, 1, 0, 2, 0, 1, 2, 0, 1, 2])
ESTIMATING = ("co_teaching", "co_teaching_plus", "jocor")


def make_networks() -> tuple[Network, Network]:
    return Network(make_encoder, 3, peer=0), Network(make_encoder, 3, peer=1)


def scattered(labels: torch.Tensor, order: list[int], size: int) -> TrainView:
    """A training view whose pass comes in another order than that of the rows."""

    def batches(augment: bool = False) -> Iterator[Batch]:
        assert not augment
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            yield make_batch(rows, labels[rows])

    return TrainView(labels, torch.zeros(len(labels), dtype=torch.bool), None, None, batches)


def losses_by_loop(networks: tuple[Network, Network]) -> list[float]:
    images = make_batch(range(12), LABELS).images[0]
    z1, z2 = networks[0](images).tolist(), networks[1](images).tolist()
    return [(cross_entropy(a, y) + cross_entropy(b, y)) / 2 for a, b, y in zip(z1, z2, LABELS.tolist(), strict=True)]


def test_mean_losses_come_in_the_order_of_the_rows() -> None:
    networks = make_networks()
    found = mean_losses(networks, scattered(LABELS, [3, 0, 11, 7, 5, 1, 2, 10, 9, 8, 6, 4], 5))
    assert found.tolist() == pytest.approx(losses_by_loop(networks), rel=1e-5)
    assert not found.requires_grad
    assert mean_losses([network.double() for network in networks], _double(make_train(LABELS))).dtype == torch.float64


def _double(train: TrainView) -> TrainView:
    def batches(augment: bool = False) -> Iterator[Batch]:
        for batch in train.batches(augment=augment):
            yield Batch(**{**vars(batch), "images": tuple(image.double() for image in batch.images)})

    return TrainView(train.labels, train.verified, None, None, batches)


def test_mean_losses_are_those_of_evaluation_and_leave_training_mode_on() -> None:
    class Moody(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.full((len(images), 3), math.nan if self.training else 0.0)

    network = Moody().train()
    assert mean_losses([network], make_train(LABELS)).tolist() == pytest.approx([math.log(3)] * 12)
    assert network.training


def make_schedule(source: Any, epochs: int = 8, **task: Any) -> ForgetSchedule:
    return ForgetSchedule(make_task(epochs=epochs, **task), source, ramp_epochs=5, estimate_epoch=2)


def test_a_true_rate_is_read_from_the_task_and_recorded() -> None:
    task = make_task(epochs=8, noise_rate=0.4)
    schedule = ForgetSchedule(task, "true", ramp_epochs=5, exponent=2.0)
    assert task.oracle_reads == {"noise_rate"}
    assert schedule.rates.tolist() == forget_rates(0.4, 5, 2.0, 8).tolist()
    schedule.begin_epoch(5, make_train(LABELS), make_networks())
    assert schedule.rates.tolist() == forget_rates(0.4, 5, 2.0, 8).tolist()
    with pytest.raises(ValueError, match="noise rate"):
        make_schedule("true")


def test_an_estimated_rate_never_asks_the_task() -> None:
    task = make_task(epochs=8, noise_rate=0.4)
    schedule = ForgetSchedule(task, "estimated", ramp_epochs=5, estimate_epoch=2)
    for epoch in range(8):
        schedule.begin_epoch(epoch, make_train(LABELS), make_networks())
    assert not task.oracle_reads


def test_nothing_is_left_out_before_the_estimate_and_the_ramp_goes_on_after_it() -> None:
    schedule, networks, train = make_schedule("estimated"), make_networks(), make_train(LABELS)
    for epoch in (0, 1):
        schedule.begin_epoch(epoch, train, networks)
        assert not schedule.rates.any()
    schedule.begin_epoch(2, train, networks)
    guess = estimated_noise_rate(torch.tensor(losses_by_loop(networks)))
    assert 0.0 < guess < 1.0
    assert float(schedule.noise_rate) == pytest.approx(guess, rel=1e-4)
    found = float(schedule.noise_rate)
    assert schedule.rates.tolist() == pytest.approx([0, 0, found * 2 / 4, found * 3 / 4, *[found] * 4])
    with torch.no_grad():
        networks[0].head.weight.mul_(50.0)  # the guess is made once
    schedule.begin_epoch(3, train, networks)
    assert float(schedule.noise_rate) == found


def test_a_schedule_that_is_loaded_goes_on_with_its_guess() -> None:
    schedule, networks, train = make_schedule("estimated"), make_networks(), make_train(LABELS)
    for epoch in range(3):
        schedule.begin_epoch(epoch, train, networks)
    resumed = make_schedule("estimated")
    resumed.load_state_dict(schedule.state_dict())
    resumed.begin_epoch(3, train, make_networks())
    schedule.begin_epoch(3, train, networks)
    assert resumed.rates.tolist() == schedule.rates.tolist()
    assert resumed.rates[3] > 0


@pytest.mark.parametrize("name", ESTIMATING)
def test_a_trial_with_an_estimated_rate_resumes_bit_for_bit(name: str, tmp_path: Path) -> None:
    trial = toy_trial(f"{name}:estimated-rate", tmp_path, kind="single", epochs=3)
    data = toy_cell("single", size=96)
    whole = trainer.start(trial, data, Weights("none"))
    recipe = whole.train_set.sampler.recipe
    for epoch in (0, 1):
        trainer.run_epoch(whole, recipe, epoch)
    resumed = trainer.start(trial, data, Weights("none"))
    resumed.method.load_state_dict({key: value.clone() for key, value in whole.method.state_dict().items()})
    resumed.optimizer.load_state_dict(copy.deepcopy(whole.optimizer.state_dict()))
    lines = [trainer.run_epoch(training, recipe, 2) for training in (whole, resumed)]
    assert lines[0] == lines[1]
    assert lines[0]["logs"]["forget_rate"] > 0
    for key, value in whole.method.state_dict().items():
        assert torch.equal(value, resumed.method.state_dict()[key]), key
    assert whole.oracle_knowledge == []
    assert whole.counters.take()["forwards"] == 2 * 3 * 96 + 2 * 96  # three epochs and one pass, two networks


def test_forget_rates_are_the_ones_of_co_teaching() -> None:
    from fernoise_bench.baselines import co_teaching

    assert co_teaching.forget_rates is forget_rates
    assert forget_rates(0.4, 3, 1.0, 5).dtype == np.float64
