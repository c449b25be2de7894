"""Identity of generated people: traits that are the same in every frame of a person."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..files import Array
from .keyed_random import Keys, mix_key, normal, uniform

Traits = dict[str, Array]

# Name: mean and standard deviation of a trait, clipped at 2.5 standard deviations; lengths in half image widths.
_SHAPE: dict[str, tuple[float, float]] = {
    "face_width": (0.70, 0.035),
    "jaw": (0.80, 0.07),  # width at the jaw, as a share of the face's width
    "chin": (0.90, 0.025),
    "forehead": (-0.70, 0.05),  # height of the hair line
    "eye_gap": (0.325, 0.018),
    "eye_height": (-0.17, 0.015),
    "eye_width": (0.170, 0.012),
    "eye_open": (0.085, 0.010),
    "eye_tilt": (0.012, 0.012),
    "iris": (0.072, 0.005),
    "crease": (0.045, 0.012),
    "brow_height": (-0.375, 0.020),
    "brow_length": (0.205, 0.018),
    "brow_thick": (0.040, 0.009),
    "brow_arch": (0.035, 0.018),
    "brow_slant": (0.0, 0.020),
    "nose_length": (0.21, 0.022),
    "nose_width": (0.125, 0.016),
    "mouth_height": (0.485, 0.018),
    "mouth_width": (0.265, 0.020),
    "upper_lip": (0.052, 0.011),
    "lower_lip": (0.068, 0.012),
    "corners": (0.0, 0.010),
    "uneven_brows": (0.0, 0.008),  # faces are slightly asymmetric
    "uneven_eyes": (0.0, 0.005),
    "uneven_mouth": (0.0, 0.008),
}


def traits(person: Keys) -> Traits:
    """The traits of people with the given keys [N]: name to float32 [N, 1, 1]; colour channels "skin_0" … in 0..1."""
    steps = np.clip(normal(mix_key(person, 1), len(_SHAPE)), -2.5, 2.5)
    found = {name: mean + spread * steps[:, place] for place, (name, (mean, spread)) in enumerate(_SHAPE.items())}
    chance = uniform(mix_key(person, 2), 32).T
    found.update(_colours(chance))
    found["age"] = chance[10] * chance[10]
    found["glasses"] = np.where(chance[11] < 0.17, 0.6 + 0.4 * chance[12], 0.0)
    found["glasses_square"] = chance[13]
    found["beard"] = np.where((chance[14] < 0.20) & (chance[15] < 0.55), 0.35 + 0.6 * chance[16], 0.0)
    found["moustache"] = np.where((chance[17] < 0.12) | (found["beard"] > 0.6), 0.75, 0.0) * (chance[15] < 0.55)
    found["hair_long"] = np.where(chance[15] >= 0.45, 1.0, 0.0)
    found["hair_side"] = 0.05 + 0.10 * chance[18]
    found["bald"] = np.where((chance[15] < 0.45) & (chance[19] < 0.15), 1.0, 0.0)
    found["parting"] = 1.2 * chance[20] - 0.6
    found["fringe"] = np.where(chance[21] < 0.2, 0.12 * chance[22], 0.0)
    found["brow_dark"] = 0.55 + 0.4 * chance[25]
    found["mole_u"], found["mole_v"] = 1.0 * chance[26] - 0.5, 0.9 * chance[27] - 0.3
    return {name: np.asarray(value, dtype=np.float32)[:, None, None] for name, value in found.items()}


def _colours(chance: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Skin colours from light to dark with an undertone, and colours of hair, iris and lips correlated with them."""
    dark, warm = chance[0], chance[1] - 0.5
    light, deep = (0.93, 0.76, 0.66), (0.40, 0.26, 0.19)
    hair_dark, grey = np.clip(0.35 * chance[2] + 0.65 * dark, 0, 1), np.where(chance[3] < 0.12, chance[4], 0.0)
    fair, black = (0.68, 0.50, 0.28), (0.08, 0.06, 0.05)
    pale, brown = (0.42, 0.56, 0.62), (0.22, 0.13, 0.08)
    eyes = np.clip(0.6 * chance[5] + 0.9 * dark, 0, 1)
    found: dict[str, NDArray[np.float64]] = {}
    for channel in range(3):
        tint = 0.04 * warm * (1 - channel)
        found[f"skin_{channel}"] = light[channel] + dark * (deep[channel] - light[channel]) + tint
        hair = fair[channel] + np.minimum(1.4 * hair_dark, 1) * (black[channel] - fair[channel])
        found[f"hair_{channel}"] = hair + grey * (0.66 - hair)
        found[f"iris_{channel}"] = pale[channel] + eyes * (brown[channel] - pale[channel])
        red = (0.72, 0.34, 0.34)[channel] - (0.30, 0.14, 0.12)[channel] * dark
        found[f"lip_{channel}"] = red + (0.35 - 0.3 * chance[6]) * (found[f"skin_{channel}"] * 0.9 - red)
        found[f"cloth_{channel}"] = 0.15 + 0.6 * chance[7 + channel]
    return found
