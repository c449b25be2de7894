"""Estimates of which labels are wrong from their losses: a mixture of two Gaussians, as in DivideMix."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits
from torch import Tensor

ITERATIONS, TOLERANCE, REGULARISATION = 10, 1e-2, 5e-4  # authors' code of DivideMix, Train_cifar.py


@torch.no_grad()
def clean_probability(losses: Tensor) -> Tensor:
    """Probability that each label is right: the posterior of the mixture component with the smaller mean.

    Args:
        losses: float [N], finite; rescaled to [0, 1] by their minimum and maximum first.

    Returns:
        float64 [N] on the same device; all 1 where there are fewer than two rows or all losses are equal.

    Raises:
        ValueError: a loss is not finite.

    Source: Li et al., "DivideMix", ICLR 2020, §3.1.
    """
    values = losses.detach().cpu().double().numpy()
    if not np.isfinite(values).all():
        raise ValueError("the mixture needs finite losses, and some are not: training has diverged")
    if len(values) < 2 or values.max() <= values.min():
        return torch.ones(len(values), dtype=torch.float64, device=losses.device)
    scaled = ((values - values.min()) / (values.max() - values.min())).reshape(-1, 1)
    mixture = GaussianMixture(2, max_iter=ITERATIONS, tol=TOLERANCE, reg_covar=REGULARISATION, random_state=0)
    # One thread: the number of threads changes the rounding of sums.
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # the authors' code also stops after ten iterations
        mixture.fit(scaled)
        posterior = mixture.predict_proba(scaled)[:, np.argmin(mixture.means_)]
    return torch.from_numpy(posterior).to(losses.device)


def estimated_noise_rate(losses: Tensor) -> float:
    """The estimated share of wrong labels: one minus the mean probability of being clean, in [0, 1].

    Args:
        losses: float [N], finite, the loss of each row with its given label.

    Returns:
        0.0 for no rows.
    """
    return float(1.0 - clean_probability(losses).mean()) if len(losses) else 0.0
