from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fernoise_bench.baselines.eac import EAC, EACParams, attention_consistency, class_attention, random_erasing
from fernoise_bench.methods.base import Batch

from ..methods.toy import make_batch, make_task, parameter_gradients, random_logits
from .linear import Array, make_maps, one_hot, softmax_rows, weights_of

COLOUR = (0.485, 0.456, 0.406)
AREA = (0.02, 0.25)
LABELS = torch.tensor([0, 2, 1, 1])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def attention_by_loop(maps: Array, weight: Array) -> Array:
    out = np.zeros((len(maps), len(weight), *maps.shape[2:]))
    for b, c, d in np.ndindex(len(maps), len(weight), maps.shape[1]):
        out[b, c] += weight[c, d] * maps[b, d]
    return out


def consistency_by_loop(first: Array, second: Array) -> float:
    width = first.shape[3]
    squares = [(first[b, c, y, x] - second[b, c, y, width - 1 - x]) ** 2 for b, c, y, x in np.ndindex(first.shape)]
    return float(np.mean(squares))


def test_class_attention_is_the_weighted_sum_of_maps() -> None:
    maps, weight = random_logits(0, 2, 5, 3, 4, requires_grad=True), random_logits(1, 3, 5, requires_grad=True)
    attention = class_attention(maps, weight)
    np.testing.assert_allclose(
        attention.detach().numpy(), attention_by_loop(maps.detach().numpy(), weight.detach().numpy()), rtol=1e-12
    )
    to_maps, to_weight = torch.autograd.grad(attention.square().sum(), (maps, weight), allow_unused=True)
    assert to_maps.abs().sum() > 0
    assert to_weight is None  # the classifier learns from labels only
    # Its mean over places is the logit without bias.
    logits = maps.mean(dim=(2, 3)) @ weight.T
    assert torch.allclose(attention.mean(dim=(2, 3)), logits)


@pytest.mark.parametrize("width", [1, 2, 7])
def test_attention_consistency_mirrors_columns(width: int) -> None:
    first, second = random_logits(2, 2, 3, 4, width), random_logits(3, 2, 3, 4, width)
    expected = consistency_by_loop(first.numpy(), second.numpy())
    assert float(attention_consistency(first, second)) == pytest.approx(expected, rel=1e-12)
    assert float(attention_consistency(first, first.flip(3))) == 0.0
    first.requires_grad_()
    second.requires_grad_()
    assert gradcheck(attention_consistency, (first, second), atol=1e-8, rtol=1e-5)


def test_attention_consistency_by_hand() -> None:
    first = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], dtype=torch.float64)
    assert float(attention_consistency(first, first)) == 1.0  # every entry differs from its mirror by one
    assert float(attention_consistency(first[:0], first[:0])) == 0.0
    with pytest.raises(ValueError, match="shape"):
        attention_consistency(first, first[..., :1])


def erased_by_loop(images: Array, probability: float, seed: int) -> Array:
    height, width = images.shape[2:]
    draws = torch.rand(len(images), 5, generator=generator(seed), dtype=torch.float64).numpy()
    out = images.copy()
    for i, (chosen, share, aspect, top, left) in enumerate(draws):
        pixels = (AREA[0] + (AREA[1] - AREA[0]) * share) * height * width
        ratio = math.exp(math.log(0.3) + (math.log(3.3) - math.log(0.3)) * aspect)
        tall, wide = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        y, x = int(top * (height - tall + 1)), int(left * (width - wide + 1))
        if chosen < probability:
            out[i, :, y : y + tall, x : x + wide] = np.array(COLOUR)[:, None, None]
    return out


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(24, 24), (48, 32)])
def test_random_erasing_paints_rectangles(probability: float, shape: tuple[int, int]) -> None:
    images = torch.from_numpy(np.random.default_rng(0).random((50, 3, *shape)))
    before = images.clone()
    erased = random_erasing(images, probability, AREA, COLOUR, generator(4))
    assert torch.equal(images, before)
    assert erased.dtype == torch.float64
    np.testing.assert_array_equal(erased.numpy(), erased_by_loop(images.numpy(), probability, 4))
    assert torch.equal(erased, random_erasing(images, probability, AREA, COLOUR, generator(4)))
    assert torch.equal(erased, random_erasing(images, probability, AREA, COLOUR, generator(5))) == (probability == 0)


def test_random_erasing_has_the_stated_distribution() -> None:
    images = torch.zeros(4000, 1, 40, 40)
    inside = random_erasing(images, 0.5, AREA, (1.0,), generator())[:, 0] > 0
    area = inside.sum(dim=(1, 2)) / 1600
    hit = area > 0
    assert 0.47 < float(hit.float().mean()) < 0.53
    assert float(area[hit].min()) > 0.015
    assert float(area[hit].max()) < 0.26
    assert float(area[hit].mean()) == pytest.approx(0.135, abs=0.01)
    aspect = (inside.any(2).sum(1) / inside.any(1).sum(1))[hit].log()
    assert float(aspect.min()) > math.log(0.3) - 0.2
    assert float(aspect.max()) < math.log(3.3) + 0.2
    assert float(aspect.mean()) == pytest.approx((math.log(0.3) + math.log(3.3)) / 2, abs=0.08)
    covered = inside.float().mean(0)
    assert torch.allclose(covered, covered.flip(1), atol=0.03)  # no side is preferred
    assert torch.allclose(covered, covered.flip(0), atol=0.03)


def make_method(**changes: Any) -> EAC:
    return EAC(make_task(), make_maps, EACParams(**changes))


def wide_batch(seed: int = 3) -> Batch:
    images = torch.from_numpy(np.random.default_rng(seed).random((4, 3, 12, 12)))
    return replace(make_batch(range(4), LABELS, seed=seed), images=(images,))


@pytest.mark.parametrize("consistency_weight", [0.0, 5.0])
def test_loss_and_gradient_are_the_numpy_ones(consistency_weight: float) -> None:
    method = make_method(consistency_weight=consistency_weight).double()
    batch = wide_batch()
    step = method.loss(batch)
    first, second = (view.numpy() for view in method.network.encoder.seen)
    weight, bias = weights_of(method.network.head)
    inner, offset = weights_of(method.network.encoder.linear)

    def value(inner: Array, weight: Array, fixed: Array) -> float:
        maps1, maps2 = (
            np.einsum("dk,bkhw->bdhw", inner, view) + offset[None, :, None, None] for view in (first, second)
        )
        p = softmax_rows(maps1.mean(axis=(2, 3)) @ weight.T + bias)
        supervised = -(np.log(p) * one_hot(LABELS.numpy(), 3)).sum(axis=1).mean()
        attention1, attention2 = attention_by_loop(maps1, fixed), attention_by_loop(maps2, fixed)
        return float(supervised) + consistency_weight * consistency_by_loop(attention1, attention2)

    assert step.loss is not None
    assert step.loss.item() == pytest.approx(value(inner, weight, weight), rel=1e-12)
    step.loss.backward()  # type: ignore[no-untyped-call]
    small = 1e-6
    for place in [(0, 0), (3, 2)]:
        shift = np.zeros_like(inner)
        shift[place] = small
        slope = (value(inner + shift, weight, weight) - value(inner - shift, weight, weight)) / (2 * small)
        assert float(method.network.encoder.linear.weight.grad[place]) == pytest.approx(slope, rel=1e-5)
    for place in [(0, 0), (2, 3)]:  # the weights inside the attention stand still
        shift = np.zeros_like(weight)
        shift[place] = small
        slope = (value(inner, weight + shift, weight) - value(inner, weight - shift, weight)) / (2 * small)
        assert float(method.network.head.weight.grad[place]) == pytest.approx(slope, rel=1e-5)


def test_second_forward_is_the_mirror_image_erased_on_its_own() -> None:
    method, batch = make_method().double(), wide_batch()
    method.loss(batch)
    draws = generator(3)
    expected = [random_erasing(view, 0.5, AREA, COLOUR, draws) for view in (batch.images[0], batch.images[0].flip(3))]
    assert torch.equal(method.network.encoder.seen[0], expected[0])
    assert torch.equal(method.network.encoder.seen[1], expected[1])
    assert not torch.equal(expected[0].flip(3), expected[1])
    plain = make_method(erase_probability=0.0).double()
    plain.loss(batch)
    assert torch.equal(plain.network.encoder.seen[0], batch.images[0])
    assert torch.equal(plain.network.encoder.seen[1], batch.images[0].flip(3))


def test_step_reports_the_first_view() -> None:
    method = make_method(erase_probability=0.0).double()
    batch = wide_batch()
    step = method.loss(batch)
    assert step.probabilities is not None
    assert torch.allclose(step.probabilities, method.predict(batch.images[0]))
    assert not step.probabilities.requires_grad
    assert step.weight is not None
    assert step.weight.tolist() == [[1.0] * 4]
    assert step.loss is not None
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter_gradients(method))
    symmetric = replace(batch, images=(batch.images[0] + batch.images[0].flip(3),))
    assert float(method.loss(symmetric).logs["consistency"]) == pytest.approx(0.0, abs=1e-25)


def test_defaults_and_variants() -> None:
    assert EACParams().consistency_weight == 5.0
    for variant in EAC.variants.values():
        assert EACParams(**variant.params) != EACParams()  # type: ignore[arg-type]
