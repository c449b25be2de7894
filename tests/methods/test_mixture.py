from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fernoise_bench.methods.mixture import clean_probability, estimated_noise_rate

Array = NDArray[np.float64]


def two_groups(seed: int, right: int, wrong: int, gap: float = 3.0) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    losses = np.concatenate([generator.normal(0.5, 0.2, right), generator.normal(0.5 + gap, 0.6, wrong)])
    return torch.from_numpy(np.abs(losses))


def best_split(x: Array) -> Array:
    """Hard memberships [N, 2] of the two clusters with the least squared distance, tried at every place to cut."""
    order = np.argsort(x)
    costs = []
    for k in range(1, len(x)):
        left, right = x[order[:k]], x[order[k:]]
        costs.append(((left - left.mean()) ** 2).sum() + ((right - right.mean()) ** 2).sum())
    first = np.zeros(len(x))
    first[order[: int(np.argmin(costs)) + 1]] = 1.0
    return np.stack([first, 1 - first], axis=1)


def mixture_by_hand(losses: Array) -> Array:
    """Ten steps at most of expectation-maximisation from the best split, variances 5e-4 wider than fitted."""
    x = (losses - losses.min()) / (losses.max() - losses.min())

    def fit(member: Array) -> tuple[Array, Array, Array]:
        count = member.sum(0)
        mean = (member * x[:, None]).sum(0) / count
        return count / len(x), mean, (member * (x[:, None] - mean) ** 2).sum(0) / count + 5e-4

    def joint(share: Array, mean: Array, variance: Array) -> Array:
        return np.asarray(share * np.exp(-((x[:, None] - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance))

    found, before = fit(best_split(x)), -math.inf
    for _ in range(10):
        density = joint(*found)
        now = float(np.log(density.sum(1)).mean())
        found = fit(density / density.sum(1, keepdims=True))
        if abs(now - before) < 1e-2:
            break
        before = now
    density = joint(*found)
    return np.asarray((density / density.sum(1, keepdims=True))[:, np.argmin(found[1])])


@pytest.mark.parametrize(
    ("right", "wrong", "gap"), [(80, 20, 3.0), (60, 60, 2.5), (30, 90, 3.0), (60, 90, 1.0), (100, 60, 0.8)]
)
def test_clean_probability_is_the_posterior_of_the_component_with_small_losses(
    right: int, wrong: int, gap: float
) -> None:
    losses = two_groups(right, right, wrong, gap)
    found = clean_probability(losses)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx(mixture_by_hand(losses.numpy()).tolist(), rel=1e-6, abs=1e-9)
    assert not found.requires_grad


def test_clear_groups_are_told_apart() -> None:
    losses = two_groups(0, 700, 300, 5.0)
    found = clean_probability(losses)
    assert found[:700].min() > 0.99
    assert found[700:].max() < 0.01
    assert estimated_noise_rate(losses) == pytest.approx(0.3, abs=2e-3)
    assert estimated_noise_rate(losses) == 1.0 - float(found.mean())


def test_the_scale_of_the_losses_does_not_matter_nor_their_order() -> None:
    losses = two_groups(1, 80, 40)
    found = clean_probability(losses)
    assert torch.allclose(clean_probability(7.0 + 100.0 * losses), found, rtol=1e-6)
    order = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(clean_probability(losses[order]), found[order], rtol=1e-6)


def test_half_precision_losses_with_gradient_are_taken_too() -> None:
    losses = two_groups(2, 80, 40)
    single = clean_probability(losses.float().requires_grad_())
    assert single.dtype == torch.float64
    assert not single.requires_grad
    assert torch.allclose(single, clean_probability(losses), atol=1e-4)
    assert clean_probability(losses.bfloat16()).dtype == torch.float64


@pytest.mark.parametrize("losses", [[], [1.3], [0.7, 0.7], [2.0] * 9], ids=["none", "one", "two alike", "all alike"])
def test_nothing_to_tell_apart_counts_as_clean(losses: list[float]) -> None:
    values = torch.tensor(losses)
    assert clean_probability(values).tolist() == [1.0] * len(losses)
    assert clean_probability(values).dtype == torch.float64
    assert estimated_noise_rate(values) == 0.0


def test_two_rows_are_enough() -> None:
    assert clean_probability(torch.tensor([3.0, 0.5])).tolist() == pytest.approx([0.0, 1.0], abs=1e-12)
    assert estimated_noise_rate(torch.tensor([3.0, 0.5])) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_losses_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        clean_probability(torch.tensor([0.1, bad, 2.0]))


def test_no_global_generator_is_drawn_from_and_threads_are_given_back() -> None:
    losses = two_groups(3, 500, 200)
    torch.manual_seed(5)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    threads = torch.get_num_threads()
    first, second = clean_probability(losses), clean_probability(losses)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert torch.get_num_threads() == threads


def test_the_number_of_threads_does_not_matter() -> None:
    """Workers have one thread and an inline run has many: the digits must not tell."""
    losses = two_groups(4, 9000, 3271, 1.0)
    found = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            found.append(clean_probability(losses))
    assert torch.equal(*found)
