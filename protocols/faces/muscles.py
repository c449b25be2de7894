"""Displacement of facial features by action units, after the Facial Action Coding System.

DISPLACEMENTS gives how far each action unit moves a feature at full strength, in half image widths (down and outward
are positive).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..files import Array
from .behaviour import INDEX
from .identity import Traits

Strength = dict[int, tuple[Array, Array]]  # action unit: 0..1 on the left and right of the image, [n, 1, 1] each

DISPLACEMENTS: dict[str, dict[int, float]] = {
    "brow_inner": {1: -0.145, 2: -0.025, 4: 0.085, 9: 0.045},
    "brow_middle": {1: -0.060, 2: -0.125, 4: 0.055, 9: 0.015},
    "brow_outer": {2: -0.130, 4: 0.020, 6: 0.018},
    "brow_inward": {4: 0.060},
    "upper_lid": {5: -0.068, 6: 0.016, 7: 0.022, 9: 0.014},
    "lower_lid": {6: -0.030, 7: -0.052, 9: -0.012},
    "nose_wings": {9: -0.040, 10: -0.018},
    "nose_wide": {9: 0.020, 10: 0.015, 12: 0.012},
    "mouth_out": {12: 0.085, 20: 0.105, 14: 0.015, 23: -0.085, 24: -0.030, 15: 0.010, 28: -0.015},
    "corner": {12: -0.135, 15: 0.120, 20: 0.020, 14: -0.008},
    "lip_raise": {10: 0.068, 9: 0.022},
    "lip_open": {10: 0.014, 25: 0.028, 26: 0.020},
    "jaw_open": {25: 0.045, 26: 0.150},
    "chin_drop": {26: 0.080},
    "mouth_lift": {17: 0.045, 10: 0.010},
    "lower_push": {17: 0.040},
}
# Share by which action units reduce the visible height of the lips.
THIN_UPPER = {12: 0.25, 20: 0.35, 23: 0.55, 24: 0.60, 28: 0.98, 9: 0.15}
THIN_LOWER = {12: 0.20, 20: 0.35, 23: 0.55, 24: 0.65, 28: 0.98}


def strengths(levels: NDArray[np.float64]) -> Strength:
    """Strength 0..1 of each action unit on both sides, float32 [n, 1, 1], from intensities [n, 20, 2] in 0..5."""
    share = (levels / 5).astype(np.float32)
    share = share * (1.45 - 0.45 * share)
    return {number: (share[:, place, 0, None, None], share[:, place, 1, None, None]) for number, place in INDEX.items()}


def displacement(name: str, strength: Strength, side: int) -> Array:
    """Displacement of a feature on one side, [n, 1, 1]."""
    total = np.zeros_like(strength[1][0])
    for number, reach in DISPLACEMENTS[name].items():
        total = total + np.float32(reach) * strength[number][side]
    return total


def mean_displacement(name: str, strength: Strength) -> Array:
    """Displacement of a feature in the middle of the face, the mean of both sides, [n, 1, 1]."""
    return (displacement(name, strength, 0) + displacement(name, strength, 1)) * np.float32(0.5)


def visible_share(thinning: dict[int, float], strength: Strength) -> Array:
    """The visible share of a lip's height, [n, 1, 1]."""
    share = np.ones_like(strength[1][0])
    for number, part in thinning.items():
        share = share * (1 - np.float32(part) * both(strength, number))
    return share


def both(strength: Strength, number: int) -> Array:
    """The mean strength of both sides, [n, 1, 1]."""
    return (strength[number][0] + strength[number][1]) * np.float32(0.5)


def lids(strength: Strength, trait: Traits, side: int) -> tuple[Array, Array, Array]:
    """Distances of the upper and the lower lid from the middle line of the eye, and how closed it is (0..1)."""
    shut = np.minimum(strength[43][side] * 1.2, np.float32(1))
    lower = trait["eye_open"] * np.float32(0.62) + displacement("lower_lid", strength, side)
    uneven = trait["uneven_eyes"] * (1 if side else -1)
    upper = trait["eye_open"] + uneven - displacement("upper_lid", strength, side)
    upper = np.maximum(upper, np.float32(0.02))
    return upper - shut * (upper + lower), lower, shut
