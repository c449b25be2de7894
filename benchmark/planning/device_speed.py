"""How fast a device trains a network: measured on this machine, or estimated from a GPU's data sheet."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from ...protocols.base import Protocol, Recipe
from ...protocols.errors import BadInput, unknown
from ..networks.encoders import CountedEncoder, Counters, EncoderFactory
from ..networks.initial_weights import Weights

GIGA, TERA = 1e9, 1e12
# Peak dense throughput in TFLOPS, a fused multiply-add counted as two operations, from NVIDIA's data sheets (SXM where
# there is one, without sparsity). Modes that a GPU lacks are left out.
PEAKS: Mapping[str, Mapping[str, float]] = {
    "a100": {"fp32": 19.5, "tf32": 156, "bf16": 312},
    "h100": {"fp32": 67, "tf32": 494, "bf16": 989},
    "h200": {"fp32": 67, "tf32": 494, "bf16": 989},
    "l40s": {"fp32": 91.6, "tf32": 183, "bf16": 362},
    "rtx4090": {"fp32": 82.6, "tf32": 82.6, "bf16": 165},
    "v100": {"fp32": 15.7},
}
# Our assumption, not measured: the share of its peak that a ResNet reaches in training. Tensor cores wait for memory,
# hence the lower shares. A measured speed, as from `plan --all` without --gpu, is better.
UTILISATION: Mapping[str, float] = {"fp32": 0.40, "tf32": 0.15, "bf16": 0.10}
PROBE_IMAGES, PROBE_SECONDS = 16, 1.0


class Network(NamedTuple):
    """What the time of an image depends on: encoder, neck ("" for none) and its queries, side of the image in px."""

    encoder: str
    neck: str
    queries: int
    side: int

    def __str__(self) -> str:
        neck = f" + {self.neck} neck of {self.queries} queries" if self.neck else ""
        return f"{self.encoder}{neck} at {self.side} px"


@dataclass(frozen=True)
class Speed:
    """How fast a network is on a device.

    Attributes:
        trained, inference_rate: images per second with a forward and a backward pass, and with a forward pass alone.
        how: how this is known: measured, or what was assumed.
        training_gflops, forward_gflops: of one image, counted; None where the speed was measured.
    """

    trained: float
    inference_rate: float
    how: str
    training_gflops: float | None = None
    forward_gflops: float | None = None


def network_of(recipe: Recipe, protocol: Protocol) -> Network:
    """The network of a recipe on a protocol; a neck has a query for each AU."""
    return Network(recipe.encoder, recipe.neck, len(protocol.names) if recipe.neck else 0, recipe.augmentation.crop)


def assumed_speed(gpu: str, precision: str, network: Network) -> Speed:
    """The speed of a GPU of PEAKS: its peak, times an assumed utilisation, over the network's counted FLOPs.

    Raises:
        BadInput: an unknown GPU, or one without that precision.
    """
    name = gpu.lower()
    if name not in PEAKS:
        raise unknown("GPU", gpu, PEAKS)
    if precision not in PEAKS[name]:
        raise BadInput(f"--precision {precision}: {name} has no {precision}; use {' or '.join(PEAKS[name])}")
    peak, share = PEAKS[name][precision], UTILISATION[precision]
    forward, training = flops(network)
    rate = peak * TERA * share
    how = f"assumed: {peak:g} TFLOPS {precision} of {name}'s data sheet at {share:.0%} utilisation, over counted FLOPs"
    return Speed(rate / training, rate / forward, how, training / GIGA, forward / GIGA)


def flops(network: Network) -> tuple[float, float]:
    """Floating point operations of one image's forward pass, and of its forward and backward pass."""
    with torch.device("meta"):
        model = build_network(network, "fp32", torch.device("meta"))
        image = torch.empty(1, 3, network.side, network.side)
    with FlopCounterMode(display=False) as forward:
        model(image)
    with FlopCounterMode(display=False) as both:
        model(image)[0].sum().backward()
    return forward.get_total_flops(), both.get_total_flops()


def measured_speed(device: torch.device, precision: str, network: Network, *, compiled: bool = False) -> Speed:
    """The speed of a device of this machine, from a few passes of random pixels."""
    model = build_network(network, precision, device, compiled=compiled)
    images = torch.rand(PROBE_IMAGES, 3, network.side, network.side, device=device)
    images = images.to(memory_format=torch.channels_last)

    def train() -> None:
        model(images)[0].sum().backward()

    def predict() -> None:
        with torch.inference_mode():
            model(images)

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} thread"
    return Speed(_rate(train, device), _rate(predict, device), f"measured now ({name}, {precision})")


def seconds_of(work: Callable[[], None], device: torch.device) -> float:
    """Wall time of some work on a device, to the end of all its kernels."""
    _synchronize(device)
    began = time.perf_counter()
    work()
    _synchronize(device)
    return time.perf_counter() - began


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _rate(work: Callable[[], None], device: torch.device) -> float:
    """Images per second of work on PROBE_IMAGES of them, after one round to warm up."""
    work()
    seconds: list[float] = []
    while sum(seconds) < PROBE_SECONDS:
        seconds.append(seconds_of(work, device))
    return len(seconds) * PROBE_IMAGES / sum(seconds)


def build_network(network: Network, precision: str, device: torch.device, *, compiled: bool = False) -> CountedEncoder:
    """The network, with random weights, on a device; the process's random generators stay as they are."""
    with torch.random.fork_rng(devices=[]):
        how = (precision, device, network.neck, network.queries, compiled)
        return EncoderFactory(network.encoder, Weights("none"), 0, Counters(), *how)().to(device)
