"""Estimates of how often the labels of each AU are flipped: from pairs of AUs, and from predictions (Dual-T).

Flip rates are always named by the true label: `positive` = P(given - | truly +), `negative` = P(given + | truly -).
Source of all: Li et al., "Estimating noise transition matrix with label correlations for noisy multi-label learning",
NeurIPS 2022; authors' code ShikunLi/Estimating_T_For_Noisy_Mutli-Labels @486e7a8, here "authors' code".
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from .base import Task, TrainView
from .losses import full_precision
from .mixture import ITERATIONS, REGULARISATION, TOLERANCE

TINY = 1e-30  # authors' code: keeps the scaling of equal losses finite
HIGHEST_SUM = 0.99


@dataclass(frozen=True)
class EstimationSchedule:
    """The epochs of the estimate: losses are taken after the `window` epochs before `sample`; it is made at `warm_up`.

    All are at least 1; the warm-up has at least 2 epochs.
    """

    warm_up: int
    sample: int
    window: int

    @classmethod
    def of(cls, task: Task, warm_up: int, sample: int, stated_for: int, window: int) -> EstimationSchedule:
        """The schedule of a task, from epochs that are stated for a training of `stated_for`."""
        sample = max(1, task.scaled_epochs(sample, stated_for))
        return cls(max(2, task.scaled_epochs(warm_up, stated_for)), sample, min(window, sample))

    def slot(self, epoch: int) -> int | None:
        """The place among the window's losses of those at the start of an epoch (0-based); None: none are taken."""
        slot = epoch - 1 - (self.sample - self.window)
        return slot if 0 <= slot < self.window else None


@torch.no_grad()
def evaluated_logits(network: nn.Module, train: TrainView, *, augment: bool) -> Tensor:
    """Logits of all training rows in evaluation mode, float [N, L] in row order; no gradient.

    Args:
        network: maps images to logits; set back to training mode.
        train: the training set, passed over once.
        augment: views as in training.
    """
    network.eval()
    logits = [network(batch.images[0]) for batch in train.batches(augment=augment)]
    network.train()
    return torch.cat(logits)


@torch.no_grad()
def select_reliable(losses: Tensor, labels: Tensor, threshold: float = 0.5) -> Tensor:
    """The entries whose early losses are small among those of the same AU and given sign.

    Within a group each epoch's losses are scaled to [0, 1], then averaged over the epochs; a mixture of two Gaussians
    is fitted to the averages.

    Args:
        losses: float [E, N, L], binary cross-entropy after each of E epochs.
        labels: given labels [N, L] in {-1, 0, +1}.
        threshold: an entry is selected where the posterior of the component of smaller mean is larger.

    Returns:
        bool [N, L] on the device of the labels, False where unknown. A group of fewer than two entries, or of equal
        averages, is selected whole.

    Raises:
        ValueError: a loss of a known entry is not finite.

    Source: authors' code, noise_rate_estimation_ours.py:125-153; the mixture's seed is ours.
    """
    values, given = losses.detach().cpu().double().numpy(), labels.cpu().numpy()
    selected = np.zeros(given.shape, dtype=np.bool_)
    for k in range(given.shape[1]):
        for sign in (1, -1):
            group = given[:, k] == sign
            selected[group, k] = _small_losses(values[:, group, k], threshold)
    return torch.from_numpy(selected).to(labels.device)


def _small_losses(losses: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """Which of a group's entries are selected, bool [n], by their losses [E, n]."""
    if not np.isfinite(losses).all():
        raise ValueError("the mixture needs finite losses, and some are not: training has diverged")
    everything = np.ones(losses.shape[1], dtype=np.bool_)
    if losses.shape[1] < 2:
        return everything
    low, high = losses.min(axis=1, keepdims=True), losses.max(axis=1, keepdims=True)
    mean = ((losses - low) / (high - low + TINY)).mean(axis=0)
    if mean.max() <= mean.min():
        return everything
    mixture = GaussianMixture(2, max_iter=ITERATIONS, tol=TOLERANCE, reg_covar=REGULARISATION, random_state=0)
    # One thread: the number of threads changes the rounding of sums.
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # the authors' code also stops after ten iterations
        posterior = mixture.fit(mean[:, None]).predict_proba(mean[:, None])[:, np.argmin(mixture.means_)]
    return np.asarray(posterior > threshold)


@dataclass(frozen=True)
class PairEquations:
    """The flip rates of each AU i by each other AU k, and the equations they solve; all float64 [L, L].

    With D the determinant: positive·D = positive_side, negative·D = negative_side. NaN on the diagonal.
    """

    prior: Tensor
    determinant: Tensor
    positive_side: Tensor
    negative_side: Tensor

    @classmethod
    def of(cls, labels: Tensor, selected: Tensor) -> PairEquations:
        """The equations of given labels [N, L], whose entries `selected`, bool [N, L], count as true."""
        given = torch.stack([labels < 0, labels > 0]).double()
        joint = torch.einsum("ani,bnk->abik", given, given)  # given i = a and k = b, rows known in both
        joint = joint / joint.sum(dim=(0, 1))
        chosen = torch.einsum("ani,bnk->abik", given * selected, given)
        conditional = chosen / chosen.sum(dim=1, keepdim=True)
        prior = (conditional[0, 0] - (joint[0, 0] + joint[1, 0])) / (conditional[0, 0] - conditional[1, 0])
        prior.fill_diagonal_(torch.nan)
        true = torch.stack([1 - prior, prior])[:, None] * conditional  # truly i = a and given k = b
        return cls(
            prior=prior,
            determinant=true[0, 0] * true[1, 1] - true[0, 1] * true[1, 0],
            positive_side=true[0, 0] * joint[0, 1] - true[0, 1] * joint[0, 0],
            negative_side=true[1, 1] * joint[1, 0] - true[1, 0] * joint[1, 1],
        )

    def error(self, positive: Tensor, negative: Tensor) -> Tensor:
        """How far rates [L, L] of each AU are from solving the equations of all its pairs, in total: [L, L].

        Equations that are not finite are left out.
        """
        determinant = self.determinant[:, None, :]
        of_negative = (negative[:, :, None] * determinant - self.negative_side[:, None, :]).abs()
        of_positive = (positive[:, :, None] * determinant - self.positive_side[:, None, :]).abs()
        usable = (self.determinant + self.positive_side + self.negative_side).isfinite()[:, None, :]
        return torch.where(usable, of_negative + of_positive, 0.0).sum(dim=2)


@torch.no_grad()
def pairwise_flip_rates(labels: Tensor, selected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The flip rates of each AU i that its co-occurrence with each other AU k implies.

    Two assumptions: given a row's true label of i, its given labels of i and k are independent; the given label of i of
    a selected row is true. Let P be the shares of given labels (i = a, k = b) among all rows, and c the shares of k = b
    among the selected rows of i = a. The prior is π = (c₀₀ - P(k = 0)) / (c₀₀ - c₁₀). With M₁ = π·c₁ and M₀ = (1-π)·c₀
    the rates solve P₁ = (1 - positive)·M₁ + negative·M₀, for both values of k.

    Args:
        labels: given labels [N, L] in {-1, 0, +1}. P is of the rows known in both AUs, c of those known in k.
        selected: bool [N, L], False where unknown.

    Returns:
        (prior, positive, negative): float64 [L, L], entry [i, k]; whatever they come out as, NaN on the diagonal.

    Source: authors' code, noise_rate_estimation_ours.py:160-262.
    """
    equations = PairEquations.of(labels, selected)
    determinant = equations.determinant
    return equations.prior, equations.positive_side / determinant, equations.negative_side / determinant


@torch.no_grad()
def usable_pairs(prior: Tensor, positive: Tensor, negative: Tensor, slack: float) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs whose prior lies in [0, 1], and whose rates do too and sum to less than 1.

    Args:
        prior: float [L, L], of `pairwise_flip_rates`.
        positive: float [L, L].
        negative: float [L, L].
        slack: a rate above -slack/L and below 0 counts as 0.

    Returns:
        (positive, negative, kept): the rates, those slightly below 0 raised to 0, and bool [L, L].

    Source: authors' code, noise_rate_estimation_ours.py:194-203.
    """
    lowest = -slack / len(prior)
    positive, negative = (torch.where((rate > lowest) & (rate < 0), 0.0, rate) for rate in (positive, negative))
    kept = (prior >= 0) & (prior <= 1) & (positive >= 0) & (negative >= 0) & (positive + negative < 1)
    return positive, negative, kept


@torch.no_grad()
def best_pairs(
    labels: Tensor, selected: Tensor, minimum: int = 50, slack: float = 0.3
) -> tuple[Tensor, Tensor, Tensor]:
    """The flip rates of each AU by the usable pair whose rates solve the equations of all its pairs best.

    Args:
        labels: given labels [N, L] in {-1, 0, +1}.
        selected: bool [N, L], False where unknown.
        minimum: an AU with fewer selected positives, or fewer selected negatives, has no usable pair.
        slack: of `usable_pairs`.

    Returns:
        (positive, negative, pairs): float64 [L], NaN for an AU without a usable pair, and the number of them, int64
        [L]. Of equally good pairs the first.

    Source: authors' code, noise_rate_estimation_ours.py:160-252.
    """
    equations = PairEquations.of(labels, selected)
    positive, negative, kept = usable_pairs(*pairwise_flip_rates(labels, selected), slack)
    for sign in (1, -1):
        kept = kept & ((selected & (labels == sign)).sum(dim=0) >= minimum)[:, None]
    error = torch.where(kept, equations.error(positive, negative), torch.inf)
    best = error.argmin(dim=1, keepdim=True)
    solved = kept.any(dim=1)
    positive, negative = (torch.where(solved, rate.gather(1, best)[:, 0], torch.nan) for rate in (positive, negative))
    return positive, negative, kept.sum(dim=1)


def estimate_flip_rates(
    labels: Tensor, selected: Tensor, minimum: int = 50, slack: float = 0.3
) -> tuple[Tensor, Tensor]:
    """(positive, negative) of `best_pairs`: float64 [L], NaN for an AU whose rates are not solved."""
    positive, negative, _ = best_pairs(labels, selected, minimum, slack)
    return positive, negative


@torch.no_grad()
def dual_t(probabilities: Tensor, labels: Tensor) -> tuple[float, float]:
    """The flip rates of one AU by Dual-T: from the predicted to the given label, by way of the extreme predictions.

    T△ has the rows (1-p_min, p_min) and (1-p_max, p_max); T▽ is the share of given labels among the rows of each
    predicted label, + where p > 0.5. The rates are the entries off the diagonal of T△·T▽.

    Args:
        probabilities: p = P(+), float [N], of rows with a known label.
        labels: [N] in {-1, +1}.

    Returns:
        (positive, negative), each in [0, 1]; (0, 0) for no rows. For an AU that is never predicted positive, or never
        negative, a row of T▽ is 0, and the rates come out far too small.

    Source: Yao et al., "Dual T", NeurIPS 2020; authors' code, noise_rate_estimation_ours.py:264-303, tools.py.
    """
    if len(probabilities) == 0:
        return 0.0, 0.0
    p = probabilities.double()
    extremes = torch.stack([p.min(), p.max()])
    to_predicted = torch.stack([1 - extremes, extremes], dim=1)
    predicted, given = (torch.stack([~mask, mask]).double() for mask in (p > 0.5, labels > 0))
    counts = predicted @ given.T
    from_predicted = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    product = to_predicted @ from_predicted
    return float(product[1, 0]), float(product[0, 1])


def rest_by_dual_t(positive: Tensor, negative: Tensor, network: nn.Module, train: TrainView) -> tuple[Tensor, Tensor]:
    """Flip rates [L] with those of Dual-T where they are NaN, from predictions for one augmented view of each row.

    Args:
        positive: float64 [L].
        negative: float64 [L], NaN for the same AUs.
        network: maps images to logits; set back to training mode, and not used where nothing is missing.
        train: the training set; the rows with a known label of an AU count for it.
    """
    missing = positive.isnan()
    if not bool(missing.any()):
        return positive, negative
    probabilities = full_precision(evaluated_logits(network, train, augment=True)).sigmoid()
    columns = zip(probabilities.T, train.labels.T, strict=True)
    rates = [dual_t(p[given != 0], given[given != 0]) for p, given in columns]
    rest = torch.tensor(rates, dtype=torch.float64, device=positive.device)
    return torch.where(missing, rest[:, 0], positive), torch.where(missing, rest[:, 1], negative)


def below_one(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Flip rates [L] whose sum is less than 1: where it is not, both scaled to a sum of 0.99; NaN becomes 0."""
    positive, negative = positive.nan_to_num(nan=0.0), negative.nan_to_num(nan=0.0)
    total = positive + negative
    factor = torch.where(total >= 1, HIGHEST_SUM / total, 1.0)
    return positive * factor, negative * factor


def transitions(positive: Tensor, negative: Tensor) -> Tensor:
    """T[l][true][given], [L, 2, 2], of flip rates [L]; index 0 is the negative label."""
    return torch.stack([1 - negative, negative, positive, 1 - positive], dim=1).reshape(-1, 2, 2)
