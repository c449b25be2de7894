"""Simulated labellers: an automatic action unit coder and people who name expressions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .behaviour import INDEX, NUMBERS, USUAL_RATES
from .keyed_random import Float, key, mix_key, normal, uniform

# What a coder takes for what: part of another action unit's evidence that leaks into this one.
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


def code(
    levels: Float,
    pose: Float,
    light: Float,
    person: NDArray[np.uint64],
    frame: NDArray[np.uint64],
    seed: int,
    quality: float,
) -> NDArray[np.int8]:
    """Labels in {-1, +1}, int8 [N, 20], of an automatic coder that sees levels [N, 20], pose [N, 3], light [N, 3].

    Weak actions are missed, look-alikes taken for one another, turned and badly lit faces misread, and each person
    has habits of the face the coder mistakes for actions. Quality 1 is the usual coder; larger is better.
    """
    count, width = levels.shape
    start = key("coder", seed)
    habit = normal(mix_key(person ^ start, 1), width)
    moment = normal(mix_key(frame ^ start, 2), width)
    turned = np.abs(pose[:, 0]) / 20 + np.abs(pose[:, 1]) / 15
    murky = 2.0 * np.abs(light[:, 0]) * np.abs(light[:, 0]) + 2.5 * np.maximum(0.0, 0.85 - light[:, 2])
    # Looking up or down foreshortens brows and mouth: false alarms of one kind, misses of the other.
    tilt = pose[:, 1] / 15
    poor = 1 / max(quality, 1e-6)
    seen = np.zeros((count, width))
    for number in NUMBERS:
        place = INDEX[number]
        leak = np.zeros(count)
        for other, part in LEAKS[number].items():
            leak = np.maximum(leak, part * levels[:, INDEX[other]])
        swing = tilt * (0.5 if number in (1, 2, 5, 17, 24) else -0.4 if number in (4, 15, 43) else 0.1)
        spread = 0.65 + 0.45 * turned + 0.5 * murky
        error = leak + 0.85 * habit[:, place] + swing + spread * moment[:, place]
        faded = 1 - 0.12 * np.minimum(poor * turned, 3.0)
        # Coders are trained where rare actions are rare, so they ask for more evidence of them.
        seen[:, place] = faded * levels[:, place] + poor * error + 1.5 * USUAL_RATES[number]
    return np.where(seen >= 2.45, 1, -1).astype(np.int8)


def vote(distribution: Float, frame: NDArray[np.uint64], seed: int, count: int) -> NDArray[np.int64]:
    """Votes int64 [N, count] drawn from each row of distribution [N, C]."""
    chance = uniform(mix_key(frame ^ key("annotators", seed), 3), count)
    votes = np.zeros(chance.shape, dtype=np.int64)
    edge = np.zeros(len(distribution))
    for column in range(distribution.shape[1] - 1):
        edge = edge + distribution[:, column]
        votes += chance >= edge[:, None]
    return votes
