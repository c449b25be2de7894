"""Suspicion scores from the predictions that a training made of its own rows, epoch by epoch.

Suspicion is higher where a given label is more likely wrong. Labels are single, int [N] with probabilities [..., N, C],
or of AUs, [N, L] in {-1, 0, +1} with probabilities [..., N, L] of presence; an entry (row, AU) is then what is scored.
An unknown label has the score NaN, and so has what was not seen. NumPy, float64.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from .labels import Floats, checked, known, most_of_others, of_given

SMALLEST = 1e-7  # probability in a logarithm
# of the mixture, as in the authors' code of DivideMix, Train_cifar.py
ITERATIONS, TOLERANCE, REGULARISATION = 10, 1e-2, 5e-4


def given_probability(probabilities: ArrayLike, labels: ArrayLike) -> Floats:
    """Probability of the given label, for an AU p or 1 - p: float64 [..., N] or [..., N, L].

    Raises:
        ValueError: shapes that do not fit, or labels out of range.
    """
    scores, given = checked(probabilities, labels)
    if given.ndim == 1:
        return of_given(scores, given)
    return np.where(given == 0, np.nan, np.where(given > 0, scores, 1 - scores))


def margins(probabilities: ArrayLike, labels: ArrayLike, floor: float = SMALLEST) -> Floats:
    """Log-probability of the given label less that of the most probable other one: float64 [..., N] or [..., N, L].

    That of exact softmax or sigmoid probabilities is the margin of their logits; the floor bounds it.

    Args:
        probabilities: in [0, 1], each clipped to [floor, 1].
        labels: given labels.
        floor: the smallest probability.

    Raises:
        ValueError: shapes that do not fit, or labels out of range.

    Source: Pleiss et al., "Identifying Mislabeled Data using the Area Under the Margin Ranking", NeurIPS 2020, §3.
    """
    scores, given = checked(probabilities, labels)
    logs = np.log(np.clip(scores, floor, 1.0))
    if given.ndim == 1:
        return of_given(logs, given) - most_of_others(logs, given)
    return np.where(given == 0, np.nan, given * (logs - np.log(np.clip(1 - scores, floor, 1.0))))


def logit_margins(logits: ArrayLike, labels: ArrayLike) -> Floats:
    """Logit of the given class less the largest other one, for an AU y·z: float64 [..., N] or [..., N, L].

    Raises:
        ValueError: shapes that do not fit, or labels out of range.
    """
    scores, given = checked(logits, labels)
    if given.ndim == 1:
        return of_given(scores, given) - most_of_others(scores, given)
    return np.where(given == 0, np.nan, given * scores)


def correct(probabilities: ArrayLike, labels: ArrayLike) -> Floats:
    """Whether the given label is the predicted one, 1.0 or 0.0: float64 [..., N] or [..., N, L].

    The prediction is the most probable class, the first of equals; an AU is present from 0.5 on.

    Raises:
        ValueError: shapes that do not fit, or labels out of range.
    """
    scores, given = checked(probabilities, labels)
    if given.ndim == 1:
        agrees, unseen = scores.argmax(axis=-1) == given, np.isnan(scores).any(axis=-1)
    else:
        agrees, unseen = (scores >= 0.5) == (given > 0), np.isnan(scores)
    return np.where(known(given) & ~unseen, agrees.astype(np.float64), np.nan)


def forgetting_counts(correct: ArrayLike) -> Floats:
    """How often a label that was predicted was not any more the next time it was seen; the epochs seen if it never was.

    Args:
        correct: [E, ...], 1 where the given label was predicted, 0 where not, NaN where it was not seen.

    Returns:
        float64 [...], whole numbers; NaN for what was never seen.

    Source: Toneva et al., "An Empirical Study of Example Forgetting", ICLR 2019, §2.
    """
    epochs = np.asarray(correct, dtype=np.float64)
    before, forgotten = np.full(epochs.shape[1:], np.nan), np.zeros(epochs.shape[1:])
    for now in epochs:
        forgotten += (before == 1) & (now == 0)
        before = np.where(np.isnan(now), before, now)
    seen = (~np.isnan(epochs)).sum(axis=0)
    counts = np.where((epochs == 1).any(axis=0), forgotten, seen)
    return np.where(seen > 0, counts, np.nan)


def suspicions(given: ArrayLike, margin: ArrayLike, correct: ArrayLike) -> dict[str, Floats]:
    """Suspicion scores of each row or entry over the epochs in which it was seen.

    Args:
        given: [E, ...], probability of the given label in each epoch, NaN where it was not seen.
        margin: [E, ...], of log-probabilities or logits.
        correct: [E, ...], 1 where the given label was predicted, else 0.

    Returns:
        float64 [...] each, NaN for what was never seen: `last`, 1 - given in the last epoch; `mean`, 1 - the mean of
        given; `aum`, minus the mean margin; `forgetting`, see `forgetting_counts`; `loss`, the mean of -log given.

    Raises:
        ValueError: shapes that differ.
    """
    probability, distance, right = (np.asarray(each, dtype=np.float64) for each in (given, margin, correct))
    if not probability.ndim or not probability.shape == distance.shape == right.shape:
        raise ValueError(f"given {probability.shape}, margin {distance.shape}, correct {right.shape} must be alike")
    last = np.full(probability.shape[1:], np.nan)
    for now in probability:
        last = np.where(np.isnan(now), last, now)
    return {
        "last": 1 - last,
        "mean": 1 - _mean_of_seen(probability),
        "aum": -_mean_of_seen(distance),
        "forgetting": forgetting_counts(right),
        "loss": _mean_of_seen(-np.log(np.maximum(probability, SMALLEST))),
    }


def mixture_suspicion(losses: ArrayLike) -> Floats:
    """One less the posterior of the component with the smaller mean, of two Gaussians fitted to the losses.

    Of AUs to be called for each AU and sign of the given label apart: a rare sign's losses are larger, right or wrong.

    Args:
        losses: [N]; NaN where unknown, which is left out of the fit.

    Returns:
        float64 [N] in [0, 1], NaN for NaN; zeros where fewer than two are known or all of them are equal.

    Raises:
        ValueError: a loss is infinite, or losses are not [N].

    Source: Li et al., "DivideMix", ICLR 2020, §3.1.
    """
    values = np.asarray(losses, dtype=np.float64)
    if values.ndim != 1 or np.isinf(values).any():
        raise ValueError("the mixture needs losses [N] that are not infinite")
    found, seen = values.copy(), ~np.isnan(values)
    found[seen] = 0.0
    fitted = values[seen]
    if len(fitted) < 2 or fitted.max() <= fitted.min():
        return found
    found[seen] = 1 - _posterior_of_smaller(((fitted - fitted.min()) / (fitted.max() - fitted.min()))[:, None])
    return found


def _posterior_of_smaller(scaled: Floats) -> Floats:
    """The posterior [N] of the component with the smaller mean, of a mixture fitted to losses [N, 1] in [0, 1]."""
    from sklearn.exceptions import ConvergenceWarning  # here, since results are read without scikit-learn
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    mixture = GaussianMixture(2, max_iter=ITERATIONS, tol=TOLERANCE, reg_covar=REGULARISATION, random_state=0)
    with warnings.catch_warnings(), threadpool_limits(limits=1):  # threads change the rounding of sums
        warnings.simplefilter("ignore", ConvergenceWarning)  # the authors' code also stops after ten iterations
        mixture.fit(scaled)
        return np.asarray(mixture.predict_proba(scaled)[:, np.argmin(mixture.means_)], dtype=np.float64)


def _mean_of_seen(values: Floats) -> Floats:
    """Means over the first axis of what is not NaN; NaN where nothing is left."""
    seen = ~np.isnan(values)
    count = seen.sum(axis=0)
    sums = np.where(seen, values, 0.0).sum(axis=0)
    return np.asarray(np.where(count > 0, sums, np.nan) / np.maximum(count, 1))
