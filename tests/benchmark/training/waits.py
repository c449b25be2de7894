"""How often a training step of each method makes the host wait for a GPU, and why it must."""

from __future__ import annotations

from collections.abc import Mapping

from fernoise_bench.benchmark.registry import MethodSpec
from fernoise_bench.methods.base import Kind

# Waits of a step, by method or variant; those of a method are its variants' too.
WAITS: Mapping[Kind, Mapping[str, float]] = {
    "single": {
        # bool(mask.any()), whether a mean has terms: without any there is no update
        "cores": 1, "decoupling": 1,
        # and which rows they are, a number of them that depends on the batch
        "ensemble:clean": 2, "ensemble:noisy": 2, "supervised:clean": 2, "supervised:noisy": 2,
        # how many rows a forward pass has, which batch normalisation sees: those that are noisy, or that have a target
        "man": 1, "disc": 0.5,  # of the two epochs the first is the warm-up of DISC, which forwards all rows
    },
    "multi": {
        # whether a batch has a known label: without any there is no update
        "asymmetric_loss": 1, "bootstrapping": 1, "co_teaching_multi": 1, "cocuring_multi": 1, "distillation": 1,
        "ensemble": 1, "equal_compute": 1, "frequency_weighting": 1, "jocor_multi": 1, "label_smoothing": 1,
        "mixup": 1, "noise_regularization": 1, "rhls": 1, "supervised": 1,
        # and which rows are verified, and which are not: parts that go apart, once each
        "ensemble:clean": 2, "ensemble:noisy": 2, "supervised:clean": 2, "supervised:noisy": 2,
        "ensemble:clean-selective": 2, "ensemble:noisy-selective": 2,
        "supervised:clean-selective": 2, "supervised:noisy-selective": 2, "supervised:clean-hand": 2,
        "fixmatch_multi": 1, "mean_teacher": 1, "deep_co_training": 3, "recot": 2,
        "recot:net-noisy": 3, "recot:ensemble": 2, "recot:cot": 2,
        "mlcr": 2,  # and whether the graph makes the classifiers, which a checkpoint keeps
    },
}  # fmt: skip


def waits_of(kind: Kind, spec: MethodSpec) -> float:
    """Waits in a step of a method or variant, a mean over the steps of a training."""
    return WAITS[kind].get(spec.name, WAITS[kind].get(spec.base, 0))
