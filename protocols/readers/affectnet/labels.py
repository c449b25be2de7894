"""The rows of one part of AffectNet, and the check that their class ids mean what the owners say.

Some copies carry alphabetical ids (0 anger, 1 contempt, 2 disgust ... 7 surprise) in files that look like the owners'.
A part is refused when its ids contradict the owners' order, by either rule:

1. Feeling. Of classes with 10 or more rows that have valence and arousal (-2 stands for none):
   happiness must have a mean valence above 0; sadness, disgust and anger must have one below 0; no class may have a
   higher mean valence than happiness; surprise, fear and anger must have a higher mean arousal than sadness.
2. Counts, training part of 1,000 rows or more. The class shares, sorted by size, are AffectNet's (within 2 % of all
   rows), but class by class they are not (10 % of all rows or more are elsewhere).

Fewer rows, other shares (a balanced subset) and missing valences are no contradiction: the order is then reported as
not confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import BadInput
from ...files import Array
from ...labels import AFFECTNET_CLASSES

ASK = "mohammadmahoor.com/affectnet"
FETCH = f"fetch the file again from {ASK}"
TRAIN_COUNTS = (74_874, 134_415, 25_459, 14_090, 6_378, 3_803, 24_882, 3_750)
CODES = frozenset(range(11))
"""0-7 the classes, 8 none, 9 uncertain, 10 no face; rows of the last three are left out."""

_HAPPINESS, _SADNESS = 1, 2
_UNPLEASANT = (2, 5, 6)
_AROUSED = (3, 4, 6)
_ENOUGH, _ENOUGH_COUNTED = 10, 1000
# Class of each alphabetical id.
_ALPHABETICAL = np.array([AFFECTNET_CLASSES.index(name) for name in sorted(AFFECTNET_CLASSES)])


@dataclass(frozen=True, eq=False)
class PartRows:
    """The rows of one part whose picture is there.

    Attributes:
        part: "train", "validation" or "automatic".
        source: the file or folder the labels are from, relative to the data set's folder.
        path: unicode [N], relative to the data set's folder.
        labels: int64 [N], 0-7.
        box: float64 [N, 4], left, top, width, height; NaN for the whole picture.
        valence, arousal: float64 [N], NaN where not known or not read.
        listed: rows of the source, those with codes 8 to 10 and those without a picture included.
        missing: rows of the classes 0-7 without a picture; `first_missing` the first of them.
        faulty: file and line of the one faulty row that was left out, or an empty string.
        unlabelled: pictures without a label, where the source can tell; `first_unlabelled` the first of them.
    """

    part: str
    source: str
    path: Array
    labels: Array
    box: Array
    valence: Array
    arousal: Array
    listed: int
    missing: int = 0
    first_missing: str = ""
    faulty: str = ""
    unlabelled: int = 0
    first_unlabelled: str = ""


def usable_boxes(boxes: Array) -> Array:
    """Face boxes cut at the picture's left and top edge; NaN where a field is missing or nothing is left.

    Args:
        boxes: float64 [N, 4], left, top, width, height as the owners' tables have them.
    """
    corner = np.maximum(boxes[:, :2], 0)
    size = boxes[:, :2] + boxes[:, 2:] - corner
    cut = np.hstack([corner, size])
    return np.where(np.all(np.isfinite(cut) & (cut[:, [2, 3, 2, 3]] > 0), axis=1, keepdims=True), cut, np.nan)


def check_class_order(rows: PartRows) -> bool:
    """Refuses rows whose class ids contradict the owners' order; returns whether the order is confirmed.

    Raises:
        BadInput: the ids are in another order; says by which mean or share, and whether the alphabetical order fits.
    """
    reason = _contradiction(rows, rows.labels)
    if reason is None:
        return _confirmed(rows)
    alphabetical = _contradiction(rows, _ALPHABETICAL[rows.labels]) is None
    fits = (
        "they fit the alphabetical order, 0 anger, 1 contempt ... 7 surprise" if alphabetical else "as re-uploads have"
    )
    raise BadInput(
        f"{rows.source}: class ids in another order than the owners' (0 neutral, 1 happiness, 2 sadness, 3 surprise, "
        f"4 fear, 5 disgust, 6 anger, 7 contempt): {reason}; {fits}; ask for the owners' files at {ASK}"
    )


def _contradiction(rows: PartRows, labels: Array) -> str | None:
    """What contradicts these labels, or None."""
    return _by_feeling(rows, labels) or (_by_counts(labels) if rows.part == "train" else None)


def _means(values: Array, labels: Array) -> Array:
    """Mean of each class, float64 [8]; NaN for a class with too few values."""
    known = (values >= -1) & (values <= 1)
    counts = np.bincount(labels[known], minlength=8)
    sums = np.bincount(labels[known], values[known], minlength=8)
    return np.where(counts >= _ENOUGH, sums / np.maximum(counts, 1), np.nan)


def _by_feeling(rows: PartRows, labels: Array) -> str | None:
    """Rule 1. Comparisons with NaN are false, so a class with too few rows contradicts nothing."""
    valence, arousal = _means(rows.valence, labels), _means(rows.arousal, labels)
    if valence[_HAPPINESS] <= 0:
        return f"the mean valence of 'happiness' is {valence[_HAPPINESS]:.2f}"
    for label in _UNPLEASANT:
        if valence[label] >= 0:
            return f"the mean valence of '{AFFECTNET_CLASSES[label]}' is {valence[label]:.2f}"
    for label, name in enumerate(AFFECTNET_CLASSES):
        if valence[label] > valence[_HAPPINESS]:
            return f"the mean valence of '{name}' ({valence[label]:.2f}) is above that of 'happiness'"
    for label in _AROUSED:
        if arousal[label] <= arousal[_SADNESS]:
            return f"the mean arousal of '{AFFECTNET_CLASSES[label]}' ({arousal[label]:.2f}) is not above 'sadness'"
    return None


def _distances(labels: Array) -> tuple[float, float]:
    """Share of rows that would have to change class to have AffectNet's shares: class by class, and sorted by size."""
    found = np.bincount(labels, minlength=8) / len(labels)
    published = np.array(TRAIN_COUNTS) / sum(TRAIN_COUNTS)
    return abs(found - published).sum() / 2, abs(np.sort(found) - np.sort(published)).sum() / 2


def _by_counts(labels: Array) -> str | None:
    """Rule 2."""
    if len(labels) < _ENOUGH_COUNTED:
        return None
    by_class, by_size = _distances(labels)
    if by_size > 0.02 or by_class < 0.10:
        return None
    largest = AFFECTNET_CLASSES[int(np.bincount(labels, minlength=8).argmax())]
    return f"the class counts are AffectNet's but for their order ('{largest}' is the largest class)"


def _confirmed(rows: PartRows) -> bool:
    """Whether rule 1 or 2 had enough rows to speak for the order."""
    valence = _means(rows.valence, rows.labels)
    if np.isfinite(valence[[_HAPPINESS, *_UNPLEASANT]]).all():
        return True
    return rows.part == "train" and len(rows.labels) >= _ENOUGH_COUNTED and _distances(rows.labels)[0] <= 0.02
