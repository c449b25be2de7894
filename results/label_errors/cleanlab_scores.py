"""The scores of the package cleanlab itself, where it is installed, beside those of this package."""

from __future__ import annotations

import importlib.util
import warnings
from importlib import metadata

import numpy as np
from numpy.typing import ArrayLike

from ...protocols.errors import BadInput
from .confident_learning import problems
from .labels import Floats

METHODS = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")


def cleanlab_version() -> str:
    """The version of cleanlab that is installed.

    Raises:
        BadInput: none is.
    """
    if importlib.util.find_spec("cleanlab") is None:
        raise BadInput("--cleanlab needs cleanlab, which is not installed: pip install 'fernoise-bench[cleanlab]'")
    return metadata.version("cleanlab")


def cleanlab_suspicions(probabilities: ArrayLike, labels: ArrayLike) -> dict[str, Floats]:
    """One less the label quality that cleanlab gives, by its method: float64 [N] or [N, L].

    Args:
        probabilities: [N, C] of single labels; of AUs [N, L] of presence, each AU a problem of two classes.
        labels: given ones, negative, or for an AU 0, where unknown.

    Returns:
        NaN for labels that are unknown, or have a probability that is NaN.

    Raises:
        ValueError: shapes that do not fit, or labels out of range.
    """
    from cleanlab.rank import get_label_quality_scores

    found: dict[str, list[Floats]] = {method: [] for method in METHODS}
    for (scores, given), rows in problems(probabilities, labels):
        for method, columns in found.items():
            column = np.full(len(rows), np.nan)
            if len(given):
                column[rows] = 1 - get_label_quality_scores(given, scores, method=method)
            columns.append(column)
    single = np.ndim(labels) == 1
    return {name: columns[0] if single else np.stack(columns, axis=1) for name, columns in found.items()}


def cleanlab_error_rate(probabilities: ArrayLike, labels: ArrayLike) -> float | Floats:
    """The share of labels that cleanlab's `find_label_issues` names as it is set by default: float, or float64 [L].

    NaN where no two classes are given. Arguments and errors as above.
    """
    from cleanlab.filter import find_label_issues

    rates = []
    for (scores, given), _ in problems(probabilities, labels):
        if len(np.unique(given)) < 2:
            rates.append(np.nan)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes with few labels
            rates.append(float(find_label_issues(given, scores, n_jobs=1).mean()))
    return rates[0] if np.ndim(labels) == 1 else np.array(rates, dtype=np.float64)
