"""Encoders: counted, float32 outside, and the same start for the same peer in every method."""

from __future__ import annotations

import copy
import functools
import http.client
import logging
import urllib.error
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from fernoise_bench.benchmark import random_streams as streams
from fernoise_bench.benchmark.networks.encoders import CountedEncoder, Counters, EncoderFactory, build_model
from fernoise_bench.benchmark.networks.initial_weights import Weights
from fernoise_bench.methods.base import Network
from fernoise_bench.protocols.errors import BadInput

CPU = torch.device("cpu")


def make_factory(seed: int = 0, precision: str = "fp32") -> EncoderFactory:
    return EncoderFactory("small", Weights("none"), seed, Counters(), precision, CPU)


def make_images(rows: int = 4, side: int = 48) -> Tensor:
    return torch.rand(rows, 3, side, side, generator=torch.Generator().manual_seed(0))


def same(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


# --- torch.compile


@pytest.mark.weekly  # compiling takes ten seconds
def test_a_compiled_encoder_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to rounding; with the same start, the same names in its state, and copies that go their own way.

    Traced as for the default backend, whose own minute with a C++ compiler is not what is tried here.
    """
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    plain, compiled = make_factory()(), replace(make_factory(), compiled=True)()
    assert same(plain, compiled)
    images = make_images()
    for one, other in zip(plain(images), compiled(images), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert compiled._counters.forwards == len(images)
    copied = copy.deepcopy(compiled).eval()
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.zero_()
    assert copied(images)[0].abs().max() == 0
    torch.testing.assert_close(plain.eval()(images)[0], compiled.eval()(images)[0], rtol=1e-4, atol=1e-5)


# --- shapes


@pytest.mark.parametrize("side", [24, 48, 96])
def test_the_small_encoder_gives_pooled_features_and_maps(side: int) -> None:
    encoder = make_factory()()
    pooled, maps = encoder(make_images(3, side))
    edge = -(-side // 16)
    assert encoder.num_features == 128
    assert pooled.shape == (3, 128)
    assert maps.shape == (3, 128, edge, edge)
    torch.testing.assert_close(pooled, maps.mean(dim=(2, 3)))


def test_normalisation_lives_inside() -> None:
    """Images in [0, 1] go in; the network sees ImageNet's mean taken away and its deviation divided by."""
    encoder = make_factory()().eval()
    images = make_images()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    by_hand = (images.permute(0, 2, 3, 1) - mean) / std
    torch.testing.assert_close(encoder(images)[1], encoder.model.forward_features(by_hand.permute(0, 3, 1, 2)))
    assert not {"mean", "std"} & encoder.state_dict().keys()


def test_a_timm_model_by_name_has_no_classifier() -> None:
    model = build_model("resnet18", Weights("none"))
    assert model.num_features == 512
    assert not [name for name in model.state_dict() if name.startswith("fc.")]


def test_bf16_stays_inside() -> None:
    encoder, exact = make_factory(precision="bf16")(), make_factory()()
    images = make_images()
    for found, expected in zip(encoder(images), exact(images), strict=True):
        assert found.dtype == torch.float32
        assert not torch.equal(found, expected)
        torch.testing.assert_close(found, expected, rtol=0.1, atol=0.1)
    encoder(images)[0].sum().backward()
    gradients = [parameter.grad for parameter in encoder.parameters()]
    assert all(gradient is not None and gradient.dtype == torch.float32 for gradient in gradients)
    assert not torch.is_autocast_enabled("cpu")


# --- counting


def counted(work: Callable[[CountedEncoder, Tensor], Any]) -> tuple[int, int]:
    """(forwards, backwards) of some work with a batch of 4."""
    factory = make_factory()
    work(factory(), make_images(4))
    return factory.counters.forwards, factory.counters.backwards


def test_a_training_step_counts_every_sample_once_each_way() -> None:
    assert counted(lambda encoder, images: encoder(images)[0].sum().backward()) == (4, 4)


def test_a_loss_on_the_maps_alone_counts_too() -> None:
    assert counted(lambda encoder, images: encoder(images)[1].sum().backward()) == (4, 4)


def test_a_loss_that_is_skipped_counts_no_backward() -> None:
    assert counted(lambda encoder, images: encoder(images)) == (4, 0)


@pytest.mark.parametrize("scope", [torch.no_grad, torch.inference_mode])
def test_forwards_without_gradient_count_as_forwards(scope: Callable[[], Any]) -> None:
    def look(encoder: CountedEncoder, images: Tensor) -> None:
        with scope():
            encoder(images)

    assert counted(look) == (4, 0)


def test_two_forwards_in_one_loss_count_two_backwards() -> None:
    def step(encoder: CountedEncoder, images: Tensor) -> None:
        (encoder(images)[0] - encoder(images.flip(3))[0]).square().sum().backward()

    assert counted(step) == (8, 8)


def test_a_forward_whose_result_is_detached_counts_no_backward() -> None:
    def step(encoder: CountedEncoder, images: Tensor) -> None:
        (encoder(images)[0] - encoder(images.flip(3))[0].detach()).square().sum().backward()

    assert counted(step) == (8, 4)


def test_a_loss_on_some_rows_counts_every_sample_that_went_through() -> None:
    assert counted(lambda encoder, images: encoder(images)[0][:1].sum().backward()) == (4, 4)


def test_a_frozen_encoder_counts_no_backward() -> None:
    def step(encoder: CountedEncoder, images: Tensor) -> None:
        encoder.requires_grad_(requires_grad=False)
        head = nn.Linear(encoder.num_features, 2)
        head(encoder(images)[0]).sum().backward()

    assert counted(step) == (4, 0)


def test_all_encoders_of_a_trial_and_their_copies_count_together() -> None:
    factory = make_factory()
    networks = factory(), factory(peer=1)
    teacher = copy.deepcopy(networks[0])
    for encoder in (*networks, teacher):
        encoder(make_images(2))
    assert factory.counters.forwards == 6
    assert factory.counters.take() == {"forwards": 6, "backwards": 0}
    assert factory.counters.take() == {"forwards": 0, "backwards": 0}


# --- starting points


def test_peers_start_from_the_seed_and_their_number_alone() -> None:
    one, other = make_factory(), make_factory()
    torch.manual_seed(1)
    first, second = one(), one(peer=1)
    torch.manual_seed(2)
    again_second, again_first = other(peer=1), other(peer=0)
    assert same(first, again_first)
    assert same(second, again_second)
    assert not same(first, second)
    assert not same(first, make_factory(seed=1)())


def test_a_head_starts_alike_whatever_a_method_built_before() -> None:
    """A single network, a second network beside it, other modules between: each peer's head is the same."""
    with streams.scope(CPU, 0, "construction"):
        single = Network(make_factory(), 5)
    with streams.scope(CPU, 0, "construction"):
        factory = make_factory()
        nn.Linear(100, 100)
        second = Network(factory, 5, peer=1)
        torch.rand(7)
        first = Network(factory, 5, peer=0)
    with streams.scope(CPU, 0, "construction"):
        pair = [Network(make_factory(), 5, peer=peer) for peer in (0, 1)]
    assert same(single, first)
    assert same(single, pair[0])
    assert same(second, pair[1])
    assert not torch.equal(first.head.weight, second.head.weight)


# --- what cannot be built


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(BadInput, match="unknown encoder 'resnet0'"):
        build_model("resnet0", Weights("none"))


@pytest.mark.parametrize("weights", [Weights("imagenet"), Weights("msceleb", "resnet18_msceleb", "0", {})])
def test_weights_that_the_small_encoder_cannot_start_from_are_refused(weights: Weights) -> None:
    """Not silently left out: the record would claim them."""
    with pytest.raises(BadInput, match="starts from scratch; leave --weights out") as caught:
        build_model("small", weights)
    assert "\n" not in str(caught.value)


class HubError(Exception):
    """Stands for the errors of HTTP clients that derive from nothing in common."""


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("cannot find the requested files in the local cache.\nPlease check your connection"),
        ConnectionError("offline mode is enabled"),
        urllib.error.URLError("Name or service not known"),
        http.client.IncompleteRead(b""),
        TimeoutError(),
        RuntimeError("No pretrained weights exist for resnet34"),
        HubError("[Errno -2] Name or service not known"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_imagenet_weights_that_cannot_be_fetched_are_told_in_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(BadInput) as caught:
        build_model("resnet34", Weights("imagenet"))
    message = str(caught.value)
    assert message.startswith("ImageNet weights for resnet34 could not be downloaded (")
    assert "--weights none" in message
    assert "\n" not in message


def test_the_hub_client_is_silent_while_it_tries_and_heard_again_after(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 1s")
        raise OSError("no connection")

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(BadInput):
        build_model("resnet34", Weights("imagenet"))
    assert not caplog.records
    logging.getLogger("anything").warning("heard")
    assert [record.message for record in caplog.records] == ["heard"]


def test_without_a_network_timm_itself_raises_what_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BadInput, match="ImageNet weights for resnet18 could not be downloaded"):
        build_model("resnet18", Weights("imagenet"))
