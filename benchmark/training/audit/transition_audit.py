"""How far a method's estimate of the label noise is from the noise there is, out of reach of the method."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import nn

from ....protocols.noise import realised_transition
from ....protocols.rows import Array, Rows
from ....results.metrics import transition_error

BUFFER = "transition"  # of methods that estimate the noise
ROUNDING = 1e-6  # by which a share of an estimate may lie outside [0, 1]
DIGITS = 6  # of the rates that the record keeps


class TransitionAudit:
    """Compares a method's buffer `transition` with the shares in which labels went wrong.

    The buffer is P(given | reference): [C, C], or for AUs [L, 2, 2] with index 0 absent and 1 present. A method without
    such a buffer, or with one of another shape, has no estimate; nor has an AU whose entries are NaN.

    Args:
        train: the training rows; those declared clean do not count.
        num_classes: C classes, or L AUs.
    """

    def __init__(self, train: Rows, num_classes: int) -> None:
        self._true = true_transition(train, num_classes)

    def of(self, method: nn.Module, *, last: bool) -> dict[str, Any]:
        """The fields of an epoch's line: the error, and after the last epoch the rates of each AU."""
        buffer = dict(method.named_buffers(recurse=False)).get(BUFFER)
        if buffer is None or tuple(buffer.shape) != self._true.shape:
            return {}
        estimated = buffer.detach().cpu().double().numpy()
        if self._true.ndim == 2:
            seen = ~np.isnan(self._true).any(axis=1)
            errors = transition_error(estimated[seen], self._true[seen])[None]
        else:
            errors = transition_error(estimated, self._true)
        shares = (estimated >= -ROUNDING) & (estimated <= 1 + ROUNDING)
        errors = errors[np.isfinite(errors)]
        if not errors.size or not (shares | np.isnan(estimated)).all():
            return {}
        found: dict[str, Any] = {"transition_error": math.fsum(errors) / errors.size}
        return found | {"flip_rates": flip_rates_of(estimated, self._true)} if last and self._true.ndim == 3 else found


def true_transition(train: Rows, num_classes: int) -> Array:
    """Shares of given labels for each reference label, float64 [C, C] or [L, 2, 2], in the rows not declared clean.

    The row of a label that none of them has is NaN.
    """
    given, reference = train.given[~train.verified], train.reference[~train.verified]
    found = realised_transition(given, reference, num_classes)
    if given.ndim == 1:
        seen = np.isin(np.arange(num_classes), reference[given >= 0])
    else:
        seen = np.stack([((given != 0) & (reference == sign)).any(axis=0) for sign in (-1, 1)], axis=1)
    return np.where(seen[..., None], found, np.nan)


def flip_rates_of(estimated: Array, true: Array) -> dict[str, list[float | None]]:
    """Of each AU, the shares of present entries given as absent ("positive") and of absent ones given as present."""
    places = {"positive": (1, 0), "negative": (0, 1)}
    rates = {name: estimated[:, row, column].clip(0, 1) for name, (row, column) in places.items()}
    rates |= {f"true_{name}": true[:, row, column] for name, (row, column) in places.items()}
    return {
        name: [round(rate, DIGITS) if math.isfinite(rate) else None for rate in values.tolist()]
        for name, values in rates.items()
    }
