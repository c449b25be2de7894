"""Flip rates of action units estimated entry by entry in NumPy, and a training set that tells its views apart."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from fernoise_bench.methods.base import Batch, TrainView

from .toy import make_batch

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Mask = NDArray[np.bool_]


def selected_by_loop(losses: Array, labels: Labels, threshold: float = 0.5) -> Mask:
    """The reliable entries, group by group; the mixture alone is scikit-learn's."""
    chosen = np.zeros(labels.shape, dtype=bool)
    for k in range(labels.shape[1]):
        for sign in (-1, 1):
            rows = [i for i in range(len(labels)) if labels[i, k] == sign]
            averages = [0.0] * len(rows)
            for epoch in losses:
                values = [float(epoch[i, k]) for i in rows]
                for place, value in enumerate(values):
                    averages[place] += (value - min(values)) / (max(values) - min(values) + 1e-30) / len(losses)
            if len(rows) < 2 or max(averages) == min(averages):
                good = [True] * len(rows)
            else:
                column = np.array(averages)[:, None]
                mixture = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    mixture.fit(column)
                small = 0 if mixture.means_[0, 0] <= mixture.means_[1, 0] else 1
                good = [posterior[small] > threshold for posterior in mixture.predict_proba(column)]
            for i, is_good in zip(rows, good, strict=True):
                chosen[i, k] = is_good
    return chosen


def share(rows: list[int], labels: Labels, **wanted: int) -> float:
    """The share of rows with the label `b` (0 or 1) of column `k`."""
    hits = sum(labels[i, wanted["k"]] == (1 if wanted["b"] else -1) for i in rows)
    return int(hits) / len(rows) if rows else math.nan


def divide(a: float, b: float) -> float:
    return a / b if b else math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)


def pair_by_loop(labels: Labels, selected: Mask, i: int, k: int) -> dict[str, float]:
    """The terms of the equations of a pair of AUs, and the rates that solve them."""
    both = [n for n in range(len(labels)) if labels[n, i] and labels[n, k]]
    joint = {
        (a, b): divide(sum(bool(labels[n, i] == 2 * a - 1 and labels[n, k] == 2 * b - 1) for n in both), len(both))
        for a in (0, 1)
        for b in (0, 1)
    }
    c = {
        (a, b): share([n for n in both if selected[n, i] and labels[n, i] == 2 * a - 1], labels, k=k, b=b)
        for a in (0, 1)
        for b in (0, 1)
    }
    prior = divide(c[0, 0] - joint[0, 0] - joint[1, 0], c[0, 0] - c[1, 0])
    m = {(a, b): (prior if a else 1 - prior) * c[a, b] for a in (0, 1) for b in (0, 1)}
    determinant = m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]
    negative = m[1, 1] * joint[1, 0] - m[1, 0] * joint[1, 1]
    positive = m[0, 0] * joint[0, 1] - m[0, 1] * joint[0, 0]
    return {
        **{"prior": prior, "d": determinant, "negative_side": negative, "positive_side": positive},
        **{"positive": divide(positive, determinant), "negative": divide(negative, determinant)},
    }


def best_by_loop(
    labels: Labels, selected: Mask, minimum: int = 50, slack: float = 0.3
) -> tuple[list[float], list[float], list[int]]:
    """(positive, negative, number of usable pairs) of each AU."""
    aus = labels.shape[1]
    found: tuple[list[float], list[float], list[int]] = ([], [], [])
    for i in range(aus):
        pairs = {k: pair_by_loop(labels, selected, i, k) for k in range(aus) if k != i}
        candidates = []
        for k, pair in pairs.items():
            rates = [0.0 if -slack / aus < pair[sign] < 0 else pair[sign] for sign in ("positive", "negative")]
            if 0 <= pair["prior"] <= 1 and all(0 <= rate <= 1 for rate in rates) and sum(rates) < 1:
                error = 0.0
                for other in pairs.values():
                    terms = [abs(rates[1] * other["d"] - other["negative_side"])]
                    terms.append(abs(rates[0] * other["d"] - other["positive_side"]))
                    error += sum(terms) if math.isfinite(sum(terms)) else 0.0
                candidates.append((error, k, rates))
        enough = all(sum(selected[:, i] & (labels[:, i] == sign)) >= minimum for sign in (-1, 1))
        if not enough:
            candidates = []
        _, _, rates = min(candidates, default=(0, 0, [math.nan, math.nan]), key=lambda each: each[:2])
        found[0].append(rates[0])
        found[1].append(rates[1])
        found[2].append(len(candidates))
    return found


def dual_t_by_loop(p: Array, labels: Labels) -> tuple[float, float]:
    """(positive, negative) of an AU by Dual-T; rows of unknown labels are left out."""
    rows = [i for i in range(len(p)) if labels[i]]
    if not rows:
        return 0.0, 0.0
    spade = [[0.0, 0.0], [0.0, 0.0]]
    for guess in (0, 1):
        mine = [i for i in rows if (p[i] > 0.5) == bool(guess)]
        for given in (0, 1):
            hits = sum(labels[i] == 2 * given - 1 for i in mine)
            spade[guess][given] = hits / len(mine) if mine else 0.0
    low, high = min(p[i] for i in rows), max(p[i] for i in rows)
    positive = (1 - high) * spade[0][0] + high * spade[1][0]
    negative = (1 - low) * spade[0][1] + low * spade[1][1]
    return positive, negative


def below_one_by_loop(positive: list[float], negative: list[float]) -> tuple[list[float], list[float]]:
    pairs = [(a, b) if a + b < 1 else (0.99 * a / (a + b), 0.99 * b / (a + b)) for a, b in zip(positive, negative)]  # noqa: B905
    return [a for a, _ in pairs], [b for _, b in pairs]


def double(batch: Batch) -> Batch:
    return replace(batch, images=tuple(view.double() for view in batch.images))


def view_of(labels: Labels, verified: Any = None) -> TrainView:
    """A training set in batches of ten whose augmented images are those of the second view."""
    trusted = np.zeros(len(labels), dtype=bool) if verified is None else verified

    def batches(augment: bool = False) -> Iterator[Batch]:
        for first in range(0, len(labels), 10):
            rows = range(first, min(first + 10, len(labels)))
            batch = double(make_batch(rows, labels[first : first + 10], verified=trusted[first : first + 10], views=2))
            yield replace(batch, images=batch.images[1:] if augment else batch.images[:1])

    return TrainView(torch.from_numpy(labels), torch.from_numpy(trusted), None, None, batches)
