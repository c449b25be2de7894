"""The toy protocol of the conformance suite, and trials on it with other recipes, for tests that train."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from fernoise_bench.benchmark.conformance import toy
from fernoise_bench.benchmark.conformance.toy import (
    AUS,
    CLASSES,
    EPOCHS,
    SIDE,
    ToyContext,
    digest,
    ignore,
    run_epochs,
    start,
    toy_cell,
    toy_protocol,
)
from fernoise_bench.benchmark.registry import MethodSpec
from fernoise_bench.benchmark.trial import Trial
from fernoise_bench.protocols.base import Kind

__all__ = [
    "AUS",
    "CLASSES",
    "EPOCHS",
    "SIDE",
    "ToyContext",
    "digest",
    "ignore",
    "run_epochs",
    "start",
    "toy_cell",
    "toy_protocol",
    "toy_trial",
]


def toy_trial(
    method: str | MethodSpec, out: Path, *, kind: Kind | None = None, seed: int = 0, epochs: int = EPOCHS, **recipe: Any
) -> Trial:
    """A trial of a method on the toy protocol of its kind (single where it can be either)."""
    trial = toy.toy_trial(method, out, kind=kind, seed=seed, epochs=epochs)
    settings = trial.job.settings
    return replace(trial, job=replace(trial.job, settings=replace(settings, recipe=replace(settings.recipe, **recipe))))
