from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fernoise_bench.baselines.frequency_weighting import FrequencyWeighting, frequency_weights
from fernoise_bench.methods.base import NoParams

from ..methods.toy import bce, make_batch, make_encoder, make_task, parameter_gradients, random_labels


def weights_of(*frequency: float) -> list[float]:
    weights = frequency_weights(torch.tensor(frequency, dtype=torch.float64))
    assert weights.dtype == torch.float64
    return [float(w) for w in weights]


def test_weights_by_hand() -> None:
    assert weights_of(0.5, 0.25, 0.25) == pytest.approx([0.6, 1.2, 1.2], rel=1e-12)
    assert weights_of(0.3) == [1.0]
    assert weights_of(1.0, 0.5) == pytest.approx([2 / 3, 4 / 3], rel=1e-12)


@given(st.lists(st.floats(1e-4, 1.0), min_size=1, max_size=12))
@settings(max_examples=50, deadline=None)
def test_weights_are_inverse_frequencies_of_mean_one(frequency: list[float]) -> None:
    inverse = 1 / np.array(frequency)
    assert weights_of(*frequency) == pytest.approx(list(inverse / inverse.sum() * len(frequency)), rel=1e-10)
    assert np.mean(weights_of(*frequency)) == pytest.approx(1.0, rel=1e-10)


def test_an_au_without_a_positive_or_without_a_label() -> None:
    assert weights_of(0.0, 0.5, 0.25) == weights_of(0.25, 0.5, 0.25)
    assert weights_of(0.5, math.nan, 0.25) == pytest.approx([2 / 3, 1.0, 4 / 3], rel=1e-12)
    assert weights_of(0.0, 0.0) == [1.0, 1.0]
    assert weights_of(0.0, math.nan) == [1.0, 1.0]
    assert weights_of(math.nan, math.nan) == [1.0, 1.0]
    assert weights_of() == []


def make_method(*frequency: float) -> FrequencyWeighting:
    task = make_task("multi", len(frequency), frequency=torch.tensor(frequency, dtype=torch.float64))
    return FrequencyWeighting(task, make_encoder, NoParams())


def test_loss_is_the_weighted_mean_over_known_entries() -> None:
    method = make_method(0.5, 0.25, 0.25)
    labels = random_labels(0, 5, 3)
    batch = make_batch(range(5), labels, verified=[True, True, False, False, False])
    logits = method.network(batch.images[0]).tolist()
    entries = (labels != 0).nonzero().tolist()
    expected = sum([0.6, 1.2, 1.2][k] * bce(logits[i][k], float(labels[i, k] > 0)) for i, k in entries) / len(entries)
    step = method.loss(batch)
    assert step.loss is not None
    assert step.loss.item() == pytest.approx(expected, rel=1e-5)
    assert step.weight is not None
    assert torch.allclose(step.weight, (labels != 0) * torch.tensor([0.6, 1.2, 1.2]))
    assert step.probabilities is not None
    assert torch.equal(step.probabilities, method.predict(batch.images[0]))
    assert not step.probabilities.requires_grad
    step.loss.backward()
    assert all(parameter_gradients(method))


def test_a_batch_without_labels_is_skipped() -> None:
    step = make_method(0.1, 0.2, 0.3).loss(make_batch([0, 1], torch.zeros(2, 3, dtype=torch.int64)))
    assert step.loss is None
    assert step.weight is not None
    assert not step.weight.any()


def test_weights_stay_out_of_the_state() -> None:
    assert "weights" not in make_method(0.1, 0.2, 0.3).state_dict()
