"""A paper's recipe in miniature, for trainings on random pixels that test devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fernoise_bench.benchmark.registry import MethodSpec
from fernoise_bench.methods.base import Kind
from fernoise_bench.protocols.base import Recipe

PROTOCOLS: Mapping[Kind, str] = {"single": "ferplus-sym", "multi": "bp4d-3fold"}


def miniature(recipe: Recipe, encoder: str, *, rows: int, epochs: int, side: int, margin: int) -> Recipe:
    """The recipe with all its augmentation, on batches of so many rows, pictures of a side and a margin in pixels."""
    return replace(
        recipe,
        encoder=encoder,
        weights="none",
        neck="",
        neck_factors=(),
        epochs=epochs,
        batch_size=rows,
        verified_per_batch=rows // 2 if recipe.sampler == "fixed" else 0,
        max_steps=None,
        augmentation=replace(recipe.augmentation, crop=side, resize=side + margin),
    )


def undecided_teacher(spec: MethodSpec, rows: int, width: int) -> NDArray[np.float32] | None:
    """Equal probabilities [rows, width] for a method that learns from a teacher's."""
    return np.full((rows, width), 1 / width, dtype=np.float32) if spec.teacher else None
