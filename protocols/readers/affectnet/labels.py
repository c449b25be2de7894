"""The rows of one part of AffectNet, and a check of the order of its classes.

Some copies have alphabetical class ids (0 anger, 1 contempt, 2 disgust ... 7 surprise) in files that look like the
owners'. A part is refused if its ids contradict the owners' order, by either of these rules:

1. Valence and arousal, for classes with 10 or more rows that have them (-2 means none): happiness must have a mean
   valence above 0; sadness, disgust and anger must have one below 0; no class may have a higher mean valence than
   happiness; surprise, fear and anger must have a higher mean arousal than sadness.
2. Class counts, for a training part of 1,000 rows or more: the class shares sorted by size are AffectNet's (within 2 %
   of all rows), but the shares of the individual classes are not (they differ by 10 % of all rows or more).

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
"""0-7 are the classes, 8 none, 9 uncertain, 10 no face; rows with 8 to 10 are left out."""

_HAPPINESS, _SADNESS = 1, 2
_UNPLEASANT = (2, 5, 6)
_AROUSED = (3, 4, 6)
_MIN_ROWS_OF_CLASS, _MIN_ROWS = 10, 1000
# The class of each alphabetical id.
_ALPHABETICAL = np.array([AFFECTNET_CLASSES.index(name) for name in sorted(AFFECTNET_CLASSES)])


@dataclass(frozen=True, eq=False)
class PartRows:
    """The rows of one part that have a picture.

    Attributes:
        part: "train", "validation" or "automatic".
        source: the file or folder of the labels, relative to the data set's folder.
        path: unicode [N], relative to the data set's folder.
        labels: int64 [N], 0-7.
        box: float64 [N, 4], left, top, width, height; NaN for the whole picture.
        valence, arousal: float64 [N], NaN if unknown or not read.
        listed: number of rows in the source, including those with codes 8 to 10 and those without a picture.
        missing: number of rows of classes 0-7 without a picture; `first_missing` is the first of them.
        faulty: file and line of the one faulty row that was left out, or an empty string.
        damaged: number of annotations that cannot be read, in the 2021 release; `first_damaged` is the first of them.
        unlabelled: number of pictures without a label, in the 2021 release; `first_unlabelled` is the first of them.
        files: the files that the labels come from, relative to the data set's folder.
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
    damaged: int = 0
    first_damaged: str = ""
    unlabelled: int = 0
    first_unlabelled: str = ""
    files: tuple[str, ...] = ()


def usable_boxes(boxes: Array) -> Array:
    """Face boxes cropped at the left and top edge of the picture; NaN where a field is missing or the box is empty.

    Args:
        boxes: float64 [N, 4], left, top, width, height as in the owners' tables.
    """
    corner = np.maximum(boxes[:, :2], 0)
    size = boxes[:, :2] + boxes[:, 2:] - corner
    cut = np.hstack([corner, size])
    return np.where(np.all(np.isfinite(cut) & (cut[:, [2, 3, 2, 3]] > 0), axis=1, keepdims=True), cut, np.nan)


def check_class_order(rows: PartRows) -> bool:
    """Checks that the class ids do not contradict the owners' order; returns whether the order is confirmed.

    Raises:
        BadInput: the ids are in another order; the message says by which mean or share, and whether the alphabetical
            order fits.
    """
    reason = _contradiction(rows, rows.labels)
    if reason is None:
        return _confirmed(rows)
    alphabetical = _contradiction(rows, _ALPHABETICAL[rows.labels]) is None
    fits = "they fit the alphabetical order, 0 anger, 1 contempt ... 7 surprise" if alphabetical else "as in re-uploads"
    order = ", ".join(f"{number} {name}" for number, name in enumerate(AFFECTNET_CLASSES))
    raise BadInput(
        f"{rows.source}: class ids in another order than the owners' ({order}): {reason}; {fits}; ask for the owners' "
        f"files at {ASK}"
    )


def _contradiction(rows: PartRows, labels: Array) -> str | None:
    """The contradiction between labels and the owners' order, or None."""
    return _by_affect(rows, labels) or (_by_counts(labels) if rows.part == "train" else None)


def _means(values: Array, labels: Array) -> Array:
    """The mean of each class, float64 [8]; NaN for a class with too few values."""
    known = (values >= -1) & (values <= 1)
    counts = np.bincount(labels[known], minlength=8)
    sums = np.bincount(labels[known], values[known], minlength=8)
    return np.where(counts >= _MIN_ROWS_OF_CLASS, sums / np.maximum(counts, 1), np.nan)


def _by_affect(rows: PartRows, labels: Array) -> str | None:
    """Rule 1. Comparisons with NaN are false, so that a class with too few rows contradicts nothing."""
    valence, arousal = _means(rows.valence, labels), _means(rows.arousal, labels)
    for label in (_HAPPINESS, *_UNPLEASANT):
        if valence[label] <= 0 if label == _HAPPINESS else valence[label] >= 0:
            return f"the mean valence of '{AFFECTNET_CLASSES[label]}' is {valence[label]:.2f}"
    for label, name in enumerate(AFFECTNET_CLASSES):
        if valence[label] > valence[_HAPPINESS]:
            return f"the mean valence of '{name}' ({valence[label]:.2f}) is above that of 'happiness'"
    for label in _AROUSED:
        if arousal[label] <= arousal[_SADNESS]:
            return f"the mean arousal of '{AFFECTNET_CLASSES[label]}' ({arousal[label]:.2f}) is not above 'sadness'"
    return None


def _distances(labels: Array) -> tuple[float, float]:
    """Distance of the class shares to AffectNet's, as the share of rows to relabel: by class, and sorted by size."""
    found = np.bincount(labels, minlength=8) / len(labels)
    published = np.array(TRAIN_COUNTS) / sum(TRAIN_COUNTS)
    return abs(found - published).sum() / 2, abs(np.sort(found) - np.sort(published)).sum() / 2


def _by_counts(labels: Array) -> str | None:
    """Rule 2."""
    if len(labels) < _MIN_ROWS:
        return None
    by_class, by_size = _distances(labels)
    if by_size > 0.02 or by_class < 0.10:
        return None
    largest = AFFECTNET_CLASSES[int(np.bincount(labels, minlength=8).argmax())]
    return f"the class counts are AffectNet's but for their order ('{largest}' is the largest class)"


def _confirmed(rows: PartRows) -> bool:
    """Whether there are enough rows for rule 1 or 2 to confirm the order."""
    valence = _means(rows.valence, rows.labels)
    if np.isfinite(valence[[_HAPPINESS, *_UNPLEASANT]]).all():
        return True
    return rows.part == "train" and len(rows.labels) >= _MIN_ROWS and _distances(rows.labels)[0] <= 0.02
