"""Simulated labels: AU labels of an automatic annotator, and expression votes of human annotators."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .behaviour import DEFAULT_RATES, INDEX, NUMBERS
from .keyed_random import Float, key, mix_key, normal, uniform

# Confusion of action units by the automatic annotator: the share of another AU's intensity taken as evidence of an AU.
LEAKS: dict[int, dict[int, float]] = {
    1: {2: 0.30, 4: 0.10},
    2: {1: 0.30, 5: 0.15},
    4: {9: 0.30, 7: 0.20},
    5: {1: 0.15, 2: 0.15},
    6: {12: 0.35, 7: 0.25},
    7: {6: 0.35, 4: 0.20, 9: 0.15},
    9: {4: 0.25, 10: 0.35},
    10: {9: 0.35, 12: 0.25, 25: 0.10},
    12: {6: 0.30, 20: 0.20, 14: 0.15},
    14: {12: 0.25, 15: 0.15, 24: 0.15},
    15: {17: 0.35, 14: 0.10},
    17: {15: 0.35, 24: 0.20},
    20: {12: 0.25, 25: 0.15},
    23: {24: 0.45, 17: 0.15, 28: 0.15},
    24: {23: 0.45, 17: 0.20, 28: 0.20},
    25: {26: 0.30, 10: 0.20, 12: 0.15},
    26: {25: 0.35},
    28: {24: 0.35, 23: 0.20},
    43: {45: 0.45, 7: 0.20},
    45: {43: 0.45},
}


def automatic_labels(
    levels: Float,
    pose: Float,
    light: Float,
    person: NDArray[np.uint64],
    frame: NDArray[np.uint64],
    seed: int,
    quality: float,
) -> NDArray[np.int8]:
    """AU labels of a simulated automatic annotator: int8 [N, 20] in {-1, +1}.

    Weak action units are missed, similar ones confused, and errors increase with head rotation and poor light; each
    person also has a constant bias, like facial traits that are mistaken for action units.

    Args:
        levels: [N, 20], true intensities 0..5.
        pose: [N, 3] in degrees.
        light: [N, 3].
        person, frame: random keys [N].
        seed: of the annotator.
        quality: 1 is the default; larger values give fewer errors.
    """
    count, width = levels.shape
    start = key("coder", seed)
    bias = normal(mix_key(person ^ start, 1), width)
    deviation = normal(mix_key(frame ^ start, 2), width)
    rotation = np.abs(pose[:, 0]) / 20 + np.abs(pose[:, 1]) / 15
    poor_light = 2.0 * np.abs(light[:, 0]) * np.abs(light[:, 0]) + 2.5 * np.maximum(0.0, 0.85 - light[:, 2])
    # Pitch foreshortens brows and mouth, which causes false alarms of some action units and misses of others.
    pitch = pose[:, 1] / 15
    error_scale = 1 / max(quality, 1e-6)
    evidence = np.zeros((count, width))
    for number in NUMBERS:
        place = INDEX[number]
        leak = np.zeros(count)
        for other, part in LEAKS[number].items():
            leak = np.maximum(leak, part * levels[:, INDEX[other]])
        shift = pitch * (0.5 if number in (1, 2, 5, 17, 24) else -0.4 if number in (4, 15, 43) else 0.1)
        spread = 0.65 + 0.45 * rotation + 0.5 * poor_light
        error = leak + 0.85 * bias[:, place] + shift + spread * deviation[:, place]
        visible = 1 - 0.12 * np.minimum(error_scale * rotation, 3.0)
        # Annotators trained on data with few positives of an action unit need more evidence for it.
        evidence[:, place] = visible * levels[:, place] + error_scale * error + 1.5 * DEFAULT_RATES[number]
    return np.where(evidence >= 2.45, 1, -1).astype(np.int8)


def votes(distribution: Float, frame: NDArray[np.uint64], seed: int, count: int) -> NDArray[np.int64]:
    """Votes int64 [N, count] drawn from each row of distribution [N, C]."""
    chance = uniform(mix_key(frame ^ key("annotators", seed), 3), count)
    found = np.zeros(chance.shape, dtype=np.int64)
    edge = np.zeros(len(distribution))
    for column in range(distribution.shape[1] - 1):
        edge = edge + distribution[:, column]
        found += chance >= edge[:, None]
    return found
