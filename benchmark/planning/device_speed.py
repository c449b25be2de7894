"""How fast a device trains a network: measured where it is here, estimated from data sheets where it is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from ...protocols.errors import BadInput, unknown
from ..networks.encoders import CountedEncoder, Counters, EncoderFactory
from ..networks.initial_weights import Weights

GIGA, TERA = 1e9, 1e12
# Peak of dense arithmetic in TFLOPS, a fused multiply-add counted as two, from NVIDIA's data sheets (SXM where there is
# one, without sparsity); a mode a GPU lacks is absent.
PEAKS: Mapping[str, Mapping[str, float]] = {
    "a100": {"fp32": 19.5, "tf32": 156, "bf16": 312},
    "h100": {"fp32": 67, "tf32": 494, "bf16": 989},
    "h200": {"fp32": 67, "tf32": 494, "bf16": 989},
    "l40s": {"fp32": 91.6, "tf32": 183, "bf16": 362},
    "rtx4090": {"fp32": 82.6, "tf32": 82.6, "bf16": 165},
    "v100": {"fp32": 15.7},
}
# Ours, assumed: the share of its peak that a ResNet reaches in training. Tensor cores wait for memory, hence the lower
# shares. Nothing of it was measured here; a measured speed, `plan --all` without --gpu, is better.
UTILISATION: Mapping[str, float] = {"fp32": 0.40, "tf32": 0.15, "bf16": 0.10}
PROBE_IMAGES, PROBE_SECONDS = 16, 2.0


@dataclass(frozen=True)
class Speed:
    """How fast one network is on a device.

    Attributes:
        trained, inference_rate: images a second through a forward and a backward, and through a forward alone.
        how: how that is known: measured, or assumed and by what.
        training_gflops, forward_gflops: of an image, counted; None where the speed was measured.
    """

    trained: float
    inference_rate: float
    how: str
    training_gflops: float | None = None
    forward_gflops: float | None = None


def assumed(gpu: str, precision: str, encoder: str, neck: str, queries: int, side: int) -> Speed:
    """The speed of a GPU that is not here: its peak times an assumed utilisation, over the network's counted FLOPs.

    Raises:
        BadInput: no such GPU, or one without that precision.
    """
    name = gpu.lower()
    if name not in PEAKS:
        raise unknown("GPU", gpu, PEAKS)
    if precision not in PEAKS[name]:
        raise BadInput(f"--precision {precision}: {name} has no {precision}; use {' or '.join(PEAKS[name])}")
    peak, share = PEAKS[name][precision], UTILISATION[precision]
    forward, training = flops(encoder, neck, queries, side)
    rate = peak * TERA * share
    how = f"assumed: {peak:g} TFLOPS {precision} of {name}'s data sheet at {share:.0%} utilisation, over counted FLOPs"
    return Speed(rate / training, rate / forward, how, training / GIGA, forward / GIGA)


def flops(encoder: str, neck: str, queries: int, side: int) -> tuple[float, float]:
    """Floating point operations of one image's forward, and of its forward and backward."""
    with torch.device("meta"):
        network = _network(encoder, neck, queries, "fp32", torch.device("meta"))
        image = torch.empty(1, 3, side, side)
    with FlopCounterMode(display=False) as forward:
        network(image)
    with FlopCounterMode(display=False) as both:
        network(image)[0].sum().backward()
    return forward.get_total_flops(), both.get_total_flops()


def measured(device: torch.device, precision: str, encoder: str, neck: str, queries: int, side: int) -> Speed:
    """The speed of this machine, from a few forwards and backwards of random pixels."""
    network = _network(encoder, neck, queries, precision, device)
    images = torch.rand(PROBE_IMAGES, 3, side, side, device=device).to(memory_format=torch.channels_last)

    def train() -> None:
        network(images)[0].sum().backward()

    def look() -> None:
        with torch.inference_mode():
            network(images)

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} thread"
    return Speed(_rate(train, device), _rate(look, device), f"measured now ({name}, {precision})")


def _rate(work: Callable[[], None], device: torch.device) -> float:
    """Images a second, after one round to warm up."""
    work()
    began, rounds = time.perf_counter(), 0
    while time.perf_counter() - began < PROBE_SECONDS:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        rounds += 1
    return rounds * PROBE_IMAGES / (time.perf_counter() - began)


def _network(encoder: str, neck: str, queries: int, precision: str, device: torch.device) -> CountedEncoder:
    with torch.random.fork_rng(devices=[]):
        factory = EncoderFactory(encoder, Weights("none"), 0, Counters(), precision, device, neck, queries)
        return factory().to(device)
