"""Behaviour of generated faces: the person in each frame, AU intensities, expressions, head pose and light.

All values are float64 computed with exactly rounded arithmetic only (see keyed_random), so that labels are the same on
every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .keyed_random import Float, Keys, key, mix_key, normal, uniform

NUMBERS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25, 26, 28, 43, 45)
AUS: tuple[str, ...] = tuple(f"AU{number}" for number in NUMBERS)
INDEX = {number: place for place, number in enumerate(NUMBERS)}

# Default share of positives (intensity >= 2) of each action unit: orders of magnitude, ours.
DEFAULT_RATES: dict[int, float] = {
    1: 0.10, 2: 0.08, 4: 0.12, 5: 0.05, 6: 0.20, 7: 0.15, 9: 0.05, 10: 0.10, 12: 0.25, 14: 0.10,
    15: 0.06, 17: 0.10, 20: 0.05, 23: 0.05, 24: 0.06, 25: 0.30, 26: 0.12, 28: 0.03, 43: 0.04, 45: 0.05,
}  # fmt: skip

# Co-occurrence of action units: loadings on independent factors (a Gaussian copula with a factor correlation).
FACTORS: tuple[dict[int, float], ...] = (
    {6: 0.82, 12: 0.86, 7: 0.58, 10: 0.72, 14: 0.45, 25: 0.45, 15: -0.40},  # smiling
    {1: 0.88, 2: 0.88, 5: 0.45, 4: -0.15},  # raising the brows
    {4: 0.65, 9: 0.55, 7: 0.45, 10: 0.25, 6: 0.15},  # frowning
    {15: 0.62, 17: 0.70, 14: 0.25, 24: 0.35, 23: 0.25},  # lip corners and chin
    {23: 0.50, 24: 0.45, 14: 0.35, 28: 0.30, 17: 0.20},  # controlling the lips
    {25: 0.60, 26: 0.65, 24: -0.45, 28: -0.25, 23: -0.15},  # speaking
    {20: 0.60, 5: 0.35, 1: 0.20, 4: 0.20, 25: 0.20},  # fear
    {43: 0.55, 45: 0.30, 5: -0.40},  # closing the eyes
)
# Incompatible action units: the first is suppressed where one of the others is active.
EXCLUDED_BY: dict[int, tuple[int, ...]] = {5: (43,), 45: (43, 5), 24: (25, 26), 28: (25, 26, 24), 23: (28,), 20: (28,)}

# Action units that follow from another one: a dropped jaw parts the lips.
IMPLIED_BY: dict[int, int] = {25: 26}

# Posed expressions as action units, share of full intensity (after the FACS investigators' guide).
PROTOTYPES: dict[str, dict[int, float]] = {
    "neutral": {},
    "happiness": {6: 0.8, 12: 1.0, 25: 0.6, 7: 0.2},
    "surprise": {1: 0.95, 2: 0.95, 5: 0.8, 25: 0.9, 26: 0.9},
    "sadness": {1: 0.85, 4: 0.6, 15: 0.95, 17: 0.6},
    "anger": {4: 1.0, 5: 0.4, 7: 0.8, 23: 0.5, 24: 0.7, 17: 0.3},
    "disgust": {9: 1.0, 10: 0.8, 7: 0.4, 4: 0.3, 17: 0.25},
    "fear": {1: 0.9, 2: 0.5, 4: 0.6, 5: 0.95, 20: 0.95, 25: 0.6},
    "contempt": {14: 1.0, 12: 0.3},
}
# Share of annotators who label a clear expression of a class as another class.
CONFUSIONS: dict[str, dict[str, float]] = {
    "neutral": {"sadness": 0.04, "contempt": 0.03, "anger": 0.02},
    "happiness": {"neutral": 0.01, "surprise": 0.01, "contempt": 0.01},
    "surprise": {"fear": 0.06, "happiness": 0.01},
    "sadness": {"neutral": 0.04, "fear": 0.02, "disgust": 0.02},
    "anger": {"disgust": 0.05, "neutral": 0.03, "sadness": 0.01},
    "disgust": {"anger": 0.07, "sadness": 0.02},
    "fear": {"surprise": 0.09, "sadness": 0.03},
    "contempt": {"neutral": 0.08, "happiness": 0.04, "disgust": 0.02},
}
_SEQUENCE, _KNOT = 12, 3  # frames in a sequence, frames between the knots of a spline
_PERSON_SHARE = 0.33  # share of the variance that is constant for a person


@dataclass(frozen=True)
class Frames:
    """The people and sequences of N frames.

    Attributes:
        subject: int64 [N], index of the subject.
        person, sequence, frame: uint64 [N], random keys of the person, the sequence and the frame.
        time: int64 [N], number of the frame in its sequence.
    """

    subject: NDArray[np.int64]
    person: Keys
    sequence: Keys
    frame: Keys
    time: NDArray[np.int64]

    def take(self, chosen: Any) -> Frames:
        """The frames selected by a slice or index array."""
        return Frames(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def make_frames(
    count: int, subjects: tuple[str, ...], seed: int, purpose: str = "frames", length: int = _SEQUENCE
) -> Frames:
    """Distributes frames evenly over the subjects, in sequences; without subjects every frame is another person."""
    index = np.arange(count, dtype=np.int64)
    start = key(purpose, seed)
    if not subjects:
        person = mix_key(mix_key(start, 0), index)
        sequence = mix_key(person, 1)
        return Frames(index, person, sequence, mix_key(sequence, 2), np.zeros(count, dtype=np.int64))
    shares = np.full(len(subjects), count // len(subjects), dtype=np.int64)
    shares[: count % len(subjects)] += 1
    subject = np.repeat(np.arange(len(subjects), dtype=np.int64), shares)
    within = index - np.repeat(np.cumsum(shares) - shares, shares)
    # A person depends on the name alone: the same in every specification and with every seed.
    people = np.concatenate([key("person", name) for name in subjects])
    person = people[subject]
    sequence = mix_key(person ^ mix_key(start, 0), within // length)
    return Frames(subject, person, sequence, mix_key(sequence, within % length + 10), within % length)


def smooth(frames: Frames, purpose: int, width: int, spacing: int = _KNOT) -> Float:
    """Standard normal time series [N, width], smooth within a sequence: cubic B-splines with random knots."""
    knot, rest = frames.time // spacing, (frames.time % spacing) / spacing
    weights = ((1 - rest) ** 3, 3 * rest**3 - 6 * rest**2 + 4, -3 * rest**3 + 3 * rest**2 + 3 * rest + 1, rest**3)
    total = np.zeros((len(knot), width))
    for place, weight in enumerate(weights):
        total += weight[:, None] * normal(mix_key(mix_key(frames.sequence, purpose), knot + place), width)
    norm = np.sqrt(weights[0] ** 2 + weights[1] ** 2 + weights[2] ** 2 + weights[3] ** 2)
    return np.asarray(total / norm[:, None])


def latent_activations(frames: Frames) -> Float:
    """Correlated, nearly standard normal latent variables [N, 20] of the action units, partly constant for a person."""
    width = len(NUMBERS) + len(FACTORS)
    constant = normal(mix_key(frames.person, 21), width)
    varying = smooth(frames, 22, width)
    blink = INDEX[45]
    varying[:, blink] = normal(mix_key(frames.frame, 23), 1)[:, 0]  # a blink lasts one or two frames
    source = np.sqrt(_PERSON_SHARE) * constant + np.sqrt(1 - _PERSON_SHARE) * varying
    own = np.ones(len(NUMBERS))
    latent = np.zeros((len(source), len(NUMBERS)))
    for place, factor in enumerate(FACTORS):
        for number, loading in factor.items():
            latent[:, INDEX[number]] += loading * source[:, len(NUMBERS) + place]
            own[INDEX[number]] -= loading * loading
    return np.asarray(latent + np.sqrt(np.maximum(own, 0.1)) * source[:, : len(NUMBERS)])


def spontaneous(frames: Frames, rates: Float, calibration: Frames) -> Float:
    """Intensities [N, 20] in 0..5 of spontaneous behaviour, whose shares of positives (>= 1.5) follow rates [20].

    Thresholds are quantiles over the calibration frames, which have the same people but a fixed number of frames, so a
    face does not change when more faces are generated.
    """
    latents, samples = latent_activations(frames), latent_activations(calibration)
    both, known = np.concatenate((samples, latents)), len(samples)
    excess = np.zeros_like(both)
    later = [*IMPLIED_BY, *EXCLUDED_BY]
    for number in [number for number in NUMBERS if number not in later] + later:
        place, column = INDEX[number], both[:, INDEX[number]]
        if number in IMPLIED_BY:
            column = np.where(excess[:, INDEX[IMPLIED_BY[number]]] > 0, column + 3, column)
        for other in EXCLUDED_BY.get(number, ()):
            column = np.where(excess[:, INDEX[other]] > -0.3, column - 4, column)
        excess[:, place] = column - quantile(column[:known], 1 - float(rates[place]))
    # Steep around the threshold, since most action units are either absent or clearly present.
    levels = np.zeros_like(latents)
    for start, length, rise in ((-0.40, 0.36, 1.0), (-0.04, 0.04, 0.5), (0.0, 0.04, 0.7), (0.04, 1.4, 2.8)):
        levels += rise * np.clip((excess[known:] - start) / length, 0.0, 1.0)
    return levels


def quantile(sample: Float, share: float) -> float:
    """The value below which a share of the sample lies; outside the sample's range for a share of 0 or 1."""
    ordered = np.sort(sample)
    if share <= 0 or share >= 1:
        return float(ordered[0] - 9 if share <= 0 else ordered[-1] + 9)
    return float(ordered[min(int(share * len(ordered)), len(ordered) - 1)])


def posed(frames: Frames, names: tuple[str, ...], ambiguity: float) -> tuple[Float, Float]:
    """Partly blended expression prototypes with personal style: intensities [N, 20] in 0..5, label shares [N, C]."""
    classes = len(names)
    chance = uniform(mix_key(frames.sequence, 31), 3)
    first = np.minimum((chance[:, 0] * classes).astype(np.int64), classes - 1)
    step = 1 + np.minimum((chance[:, 1] * max(classes - 1, 1)).astype(np.int64), max(classes - 2, 0))
    second = (first + step) % classes
    lean = chance[:, 2]
    share = 0.5 * np.minimum(1.0, ambiguity * (lean + 2.5 * lean * lean * lean * lean * lean * lean))
    strength = 0.72 + 0.28 * np.clip(smooth(frames, 32, 1)[:, 0] * 0.6, -1, 1)
    table = np.array([[PROTOTYPES[name].get(number, 0.0) for number in NUMBERS] for name in names])
    style = np.clip(1 + 0.18 * normal(mix_key(mix_key(frames.person, 33), first), len(NUMBERS)), 0.5, 1.5)
    drift = np.clip(1 + 0.10 * smooth(frames, 34, len(NUMBERS)), 0.6, 1.4)
    mixed = (1 - share)[:, None] * table[first] + share[:, None] * table[second]
    idle = np.maximum(0.0, 0.35 * smooth(frames, 35, len(NUMBERS)) - 0.15)
    levels = np.clip(5 * strength[:, None] * mixed * style * drift + idle, 0.0, 5.0)
    for number, cause in IMPLIED_BY.items():
        levels[:, INDEX[number]] = np.maximum(levels[:, INDEX[number]], 0.8 * levels[:, INDEX[cause]])
    return levels, label_shares(first, second, share, strength, names)


def label_shares(
    first: NDArray[np.int64], second: NDArray[np.int64], share: Float, strength: Float, names: tuple[str, ...]
) -> Float:
    """Shares of annotators who give each label to blended expressions: [N, C], rows sum to 1."""
    perceived = np.zeros((len(names), len(names)))
    for row, name in enumerate(names):
        for other, part in CONFUSIONS[name].items():
            if other in names:
                perceived[row, names.index(other)] = part
        perceived[row, row] = 1 - sum(perceived[row])
    # The dominant expression of a blend gets more than its share of votes.
    weight = share * share / (share * share + (1 - share) * (1 - share))
    votes = (1 - weight)[:, None] * perceived[first] + weight[:, None] * perceived[second]
    if "neutral" in names:
        faint = np.clip(1.2 * (0.75 - strength), 0.0, 0.4)[:, None]
        votes = (1 - faint) * votes
        votes[:, names.index("neutral")] += faint[:, 0]
    return votes


def prototype_similarity(levels: Float, names: tuple[str, ...]) -> Float:
    """Shares [N, C] of expressions by the closeness of intensities [N, 20] to the prototypes; rows sum to 1."""
    closeness = np.zeros((len(levels), len(names)))
    for column, name in enumerate(names):
        distance = np.zeros(len(levels))
        for place, number in enumerate(NUMBERS):
            gap = levels[:, place] / 5 - 0.8 * PROTOTYPES[name].get(number, 0.0)
            distance += gap * gap
        closeness[:, column] = 1 / ((0.1 + distance) * (0.1 + distance) * (0.1 + distance))
    total = closeness[:, 0].copy()
    for column in range(1, len(names)):
        total += closeness[:, column]
    return np.asarray(closeness / total[:, None])


def asymmetric(frames: Frames, levels: Float, contempt: NDArray[np.bool_]) -> Float:
    """Intensities of the left and right half of the face [N, 20, 2]: slightly asymmetric, for contempt strongly."""
    lean = 0.06 * normal(mix_key(frames.person, 41), len(NUMBERS)) + 0.03 * smooth(frames, 42, len(NUMBERS))
    lean[:, INDEX[43]] = lean[:, INDEX[45]] = lean[:, INDEX[25]] = lean[:, INDEX[26]] = 0
    side = np.where(uniform(mix_key(frames.person, 43), 1)[:, 0] < 0.5, -0.9, 0.9)
    for number in (14, 12):
        lean[:, INDEX[number]] = np.where(contempt, side, lean[:, INDEX[number]])
    both = np.stack((levels * (1 + lean), levels * (1 - lean)), axis=-1)
    return np.clip(both, 0.0, 5.0)


def head_pose(frames: Frames, amount: float) -> Float:
    """Head pose [N, 3] in degrees: yaw (right is positive), pitch (down is positive), roll (clockwise is positive)."""
    constant = normal(mix_key(frames.person, 51), 3)
    turn = 0.5 * constant + 0.85 * smooth(frames, 52, 3, spacing=8)
    return np.asarray(amount * np.clip(turn, -2.6, 2.6) * np.array([11.0, 8.0, 5.5]))


def lighting(frames: Frames, amount: float) -> Float:
    """Light [N, 3]: from the right (+) or left (-), from above (+) or below (-), both -1..1, and brightness near 1."""
    chance = normal(mix_key(frames.sequence, 53), 3)
    across = amount * np.clip(0.45 * chance[:, 0], -1, 1)
    above = np.clip(0.3 + amount * 0.35 * chance[:, 1], -1, 1)
    bright = np.clip(1 + amount * 0.14 * chance[:, 2], 0.55, 1.28)
    return np.stack((across, above, bright), axis=1)
