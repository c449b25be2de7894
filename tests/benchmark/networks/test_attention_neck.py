"""RHLS's attention encoder and decoder: shapes, gradients, learning rates, resuming; and what is as before without."""

from __future__ import annotations

import copy
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fernoise_bench.benchmark import random_streams as streams
from fernoise_bench.benchmark.networks.attention_neck import AttentionNeck, positions
from fernoise_bench.benchmark.networks.encoders import Counters, EncoderFactory, build_model, small_resnet
from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.benchmark.training import checkpoint, trainer
from fernoise_bench.benchmark.trial import Trial
from fernoise_bench.methods.base import Network
from fernoise_bench.protocols.base import Recipe
from fernoise_bench.protocols.catalog import find
from fernoise_bench.protocols.errors import BadInput

from ...toy import ignore, toy_cell, toy_trial

CPU = torch.device("cpu")
PARTS = ("self_attention", "cross_attention")
PLAIN = {"bp4d-3fold-plain": (12, 5e-5), "disfa-3fold-plain": (8, 1e-5)}


def make_factory(encoder: str = "small", queries: int = 3, neck: str = "attention", **more: Any) -> EncoderFactory:
    settings = {"seed": 0, "counters": Counters(), "precision": "fp32", "device": CPU, **more}
    return EncoderFactory(encoder, Weights("none"), neck=neck, queries=queries, **settings)


def make_images(rows: int, side: int) -> Tensor:
    return torch.rand(rows, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _leave_nothing(tmp_path: Path) -> Iterator[None]:
    """Pytest keeps the folders of its last sessions, which is too much for checkpoints of 150 MB."""
    yield
    shutil.rmtree(tmp_path)


@pytest.fixture(scope="module")
def rhls_network() -> Network:
    """RHLS's own: ResNet-50 without its last stage and twelve queries."""
    with streams.scope(CPU, 0, "construction"):
        network = Network(make_factory("resnet50", 12), 12)
    for name, parameter in network.named_parameters():
        if name.endswith("bn3.weight"):
            nn.init.ones_(parameter)  # timm starts a residual branch at zero, which holds gradients back
    return network


# --- shapes


def test_an_image_of_224_px_gives_196_positions_and_a_token_for_each_au(rhls_network: Network) -> None:
    encoder, seen = rhls_network.encoder, []
    hook = encoder.neck.self_attention.register_forward_hook(lambda _, given, made: seen.append((given[0], made)))
    pooled, maps = encoder(make_images(2, 224))
    hook.remove()
    assert [tensor.shape for tensor in seen[0]] == [(2, 196, 768)] * 2
    assert maps.shape == (2, 768, 14, 14)
    assert pooled.shape == (2, 12 * 768)
    assert encoder.num_features == 12 * 768
    assert torch.equal(maps.flatten(2).transpose(1, 2), seen[0][1])


def test_each_au_is_read_off_its_own_token_alone(rhls_network: Network) -> None:
    """RHLS §3.2: an AU-specific dense layer."""
    head = rhls_network.head
    assert (head.weight.shape, head.bias.shape) == ((12, 768), (12,))
    tokens = torch.randn(3, 12, 768, dtype=torch.float64, requires_grad=True)
    weight, bias = head.weight.detach().double(), head.bias.detach().double()
    logits = copy.deepcopy(head).double()(tokens.flatten(1))
    expected = [[float(tokens[i, k].detach() @ weight[k] + bias[k]) for k in range(12)] for i in range(3)]
    assert logits.tolist() == pytest.approx(np.array(expected), rel=1e-12)
    logits[0, 4].backward()
    assert tokens.grad is not None
    assert tokens.grad.abs().sum(2).nonzero().tolist() == [[0, 4]]


def test_the_last_stage_is_gone(rhls_network: Network) -> None:
    model = rhls_network.encoder.model
    assert not [name for name in model.state_dict() if name.startswith(("layer4", "fc"))]
    assert [name for name in model.state_dict() if name.startswith("layer3.5.")]
    assert rhls_network.encoder.neck.convolution.weight.shape == (768, 1024, 1, 1)


def test_every_part_gets_a_gradient(rhls_network: Network) -> None:
    images = make_images(2, 64)
    rhls_network(images).square().mean().backward()
    silent = [name for name, value in rhls_network.named_parameters() if value.grad is None or not value.grad.any()]
    assert not [name for name in silent if not name.endswith("key.bias")]  # a shift of all keys cancels in the softmax
    rhls_network.zero_grad(set_to_none=True)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 5), (3, 3), (7, 4)])
def test_any_size_of_map_works(height: int, width: int) -> None:
    neck = AttentionNeck(5, queries=4, size=48)
    tokens, maps = neck(torch.rand(2, 5, height, width))
    assert tokens.shape == (2, 4 * 48)
    assert maps.shape == (2, 48, height, width)
    assert neck.num_features == 4 * 48


def test_positions_differ_and_rows_are_told_from_columns() -> None:
    made = positions(14, 14, 768, CPU)
    assert made.shape == (196, 768)
    assert len(made.unique(dim=0)) == 196
    grid = made.unflatten(0, (14, 14))
    torch.testing.assert_close(grid[3, 5, :384], grid[3, 11, :384])
    torch.testing.assert_close(grid[3, 5, 384:], grid[9, 5, 384:])
    torch.testing.assert_close(grid[3, 5, :384], grid[5, 3, 384:])
    assert made[1 * 14, 0] == pytest.approx(math.sin(1))


def test_a_neck_sees_where_things_are() -> None:
    """Without positions the tokens of a mirrored map would be the same."""
    neck = AttentionNeck(5, queries=4, size=48)
    maps = torch.rand(2, 5, 4, 4)
    assert not torch.allclose(neck(maps)[0], neck(maps.flip(3))[0], atol=1e-6)


def test_attention_is_softmax_of_scaled_products() -> None:
    block = AttentionNeck(5, queries=4, size=48).cross_attention.block
    tokens, memory = torch.rand(2, 4, 48), torch.rand(2, 9, 48)
    query, key, value = block.query(block.norm(tokens)), block.key(memory), block.value(memory)
    heads = [slice(start, start + 4) for start in range(0, 48, 4)]
    found = [(query[..., h] @ key[..., h].mT / 2).softmax(2) @ value[..., h] for h in heads]
    attended = tokens + block.out(torch.cat(found, dim=2))
    expected = attended + block.feed_out(nn.functional.gelu(block.feed_in(block.feed_norm(attended))))
    torch.testing.assert_close(block(tokens, memory), expected)


def test_bf16_stays_inside_and_samples_are_counted_once_each_way() -> None:
    factory = make_factory(precision="bf16")
    encoder = factory()
    pooled, maps = encoder(make_images(4, 24))
    assert pooled.dtype == maps.dtype == torch.float32
    pooled.sum().backward()
    assert factory.counters.take() == {"forwards": 4, "backwards": 4}
    encoder(make_images(4, 24))[1].sum().backward()
    assert factory.counters.take() == {"forwards": 4, "backwards": 4}


def test_a_neck_on_anything_but_a_resnet_is_refused() -> None:
    with pytest.raises(BadInput, match="encoder 'convnext_atto': the attention neck replaces a ResNet's last stage"):
        build_model("convnext_atto", Weights("none"), "attention")


# --- learning rates


def rates_of(method: nn.Module, recipe: Recipe, epoch: int) -> dict[str, float]:
    optimizer = trainer.make_optimizer(method, recipe)
    trainer.set_learning_rate(optimizer, recipe, epoch)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert len(rates) == sum(len(group["params"]) for group in optimizer.param_groups)
    return {name: rates[id(parameter)] for name, parameter in method.named_parameters()}


@pytest.mark.parametrize("protocol", PLAIN)
@pytest.mark.parametrize("epoch", [0, 1])
def test_parts_learn_at_the_papers_rates(protocol: str, epoch: int, rhls_network: Network) -> None:
    aus, convolutional = PLAIN[protocol]
    recipe = find(protocol).paper.recipe
    assert (recipe.encoder, recipe.weights, recipe.neck, recipe.batch_size) == ("resnet50", "vggface2", "attention", 32)
    decay = 0.75**epoch
    expected = {
        "encoder.model.": convolutional,
        "encoder.neck.convolution.": convolutional,
        "encoder.neck.self_attention.": 9.05e-6,
        "encoder.neck.cross_attention.": 4e-8 * 32 * aus / math.sqrt(768),
        "head.": 9.05e-6,
    }
    counted = dict.fromkeys(expected, 0)
    for name, rate in rates_of(rhls_network, recipe, epoch).items():
        (part,) = (prefix for prefix in expected if name.startswith(prefix))
        assert rate == pytest.approx(expected[part] * decay, rel=1e-3), name
        counted[part] += 1
    assert all(counted.values())


def test_both_networks_of_a_pair_learn_at_their_parts_rates(tmp_path: Path) -> None:
    trial = neck_trial(tmp_path, "co_teaching_multi")
    training = trainer.start(trial, toy_cell("multi"), Weights("none"))
    found = rates_of(training.method, trial.job.settings.recipe, 0)
    for network in ("network1", "network2"):
        for part, factor in (("model", 1.0), ("neck.convolution", 1.0), *zip(PARTS, (0.5, 0.25), strict=True)):
            inside = f"{network}.encoder.{part if '.' in part or part == 'model' else f'neck.{part}'}."
            assert {rate for name, rate in found.items() if name.startswith(inside)} == {1e-3 * factor}


# --- training


def neck_trial(out: Path, method: str = "rhls") -> Trial:
    factors = tuple(zip(PARTS, (0.5, 0.25), strict=True))
    recipe = {"neck": "attention", "neck_factors": factors, "optimizer": "adamw", "learning_rate": 1e-3}
    return toy_trial(method, out, kind="multi", epochs=2, **recipe)


def stop(event: Mapping[str, Any]) -> None:
    raise InterruptedError


def test_a_resumed_trial_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    data, weights = toy_cell("multi", size=64), Weights("none")
    whole = trainer.start(neck_trial(tmp_path / "whole"), data, weights)
    before = {name: value.clone() for name, value in whole.method.state_dict().items()}
    trainer.train(neck_trial(tmp_path / "whole"), whole, ignore)
    trial = neck_trial(tmp_path / "stopped")
    with pytest.raises(InterruptedError):
        trainer.train(trial, trainer.start(trial, data, weights), stop)
    resumed = trainer.start(trial, data, weights)
    assert checkpoint.resume(trial.folder, resumed)
    assert resumed.next_epoch == 1
    trainer.train(trial, resumed, ignore)
    found = resumed.method.state_dict()
    for name, value in whole.method.state_dict().items():
        assert torch.equal(found[name], value), name
    assert not [name for name, _ in whole.method.named_parameters() if torch.equal(before[name], found[name])]
    assert [line["loss"] for line in resumed.lines] == [line["loss"] for line in whole.lines]


def test_peers_start_from_the_seed_and_their_number_alone() -> None:
    one, other = make_factory(), make_factory()
    torch.manual_seed(1)
    first, second = one(), one(peer=1)
    torch.manual_seed(2)
    again = other().state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.state_dict().items())
    assert not torch.equal(first.neck.cross_attention.queries, second.neck.cross_attention.queries)


# --- without a neck


def test_without_a_neck_weights_stream_and_features_are_the_backbones_own() -> None:
    with streams.scope(CPU, 0, "construction"):
        torch.manual_seed(streams.key(0, "encoder", 0))
        model = small_resnet()
        torch.manual_seed(streams.key(0, "head", 0))
        head = nn.Linear(128, 3)
    with streams.scope(CPU, 0, "construction"):
        network = Network(make_factory(neck=""), 3)
    state = network.state_dict()
    expected = {f"encoder.model.{name}": value for name, value in model.state_dict().items()}
    expected |= {f"head.{name}": value for name, value in head.state_dict().items()}
    assert list(state) == list(expected)
    assert all(torch.equal(value, expected[name]) for name, value in state.items())
    images = make_images(3, 24)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    model = model.to(memory_format=torch.channels_last)
    maps = model.forward_features((images - mean) / std)
    pooled, found = network.encoder(images)
    assert torch.equal(found, maps)
    assert torch.equal(pooled, model.forward_head(maps, pre_logits=True))


def test_without_a_neck_the_optimiser_has_the_groups_of_encoder_and_head(tmp_path: Path) -> None:
    trial = toy_trial("ensemble", tmp_path, kind="single", head_factor=10.0)
    training = trainer.start(trial, toy_cell("single"), Weights("none"))
    parts = [(".encoder." in name, parameter) for name, parameter in training.method.named_parameters()]
    groups = training.optimizer.param_groups
    assert [(group["factor"], group["lr"]) for group in groups] == [(1.0, 3e-3), (10.0, 3e-2)]
    for group, inside in zip(groups, (True, False), strict=True):
        expected = [id(parameter) for in_encoder, parameter in parts if in_encoder == inside]
        assert [id(parameter) for parameter in group["params"]] == expected
