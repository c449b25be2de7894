"""Evaluation on all test and validation rows after each epoch, and the predictions that the record keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from ...methods.base import Method
from ...protocols.base import Augmentation, Kind, Protocol
from ...protocols.rows import Array, CellData, Rows
from ...results.metrics import (
    binary_confusion,
    brier,
    confusion,
    expected_calibration_error,
    kl_divergence,
    negative_log_likelihood,
)
from ...results.records.record import headline_of
from . import augmentation as augment
from .pixel_store import PixelStore, make_store

EVALUATION_BATCH = 256
MOST_PIXELS_ON_CPU = 256 * 100 * 100  # of the images of a batch: larger ones would fill a machine's memory
SUM_TOLERANCE = 0.01  # of the probabilities of a face, which may be computed in half precision


class Diverged(RuntimeError):
    """Raised for a loss or a prediction that is not finite, which ends the trial as diverged."""


@dataclass
class Best:
    """Test probabilities float32 [N, C] of the last epoch, the best on validation and the best on test (oracle).

    Of equally good epochs the earliest is kept; epochs are numbered from 0.
    """

    last: Array | None = None
    validation: Array | None = None
    oracle: Array | None = None
    validation_epoch: int | None = None
    oracle_epoch: int | None = None
    validation_score: float = -np.inf
    oracle_score: float = -np.inf

    @property
    def arrays(self) -> dict[str, Array | None]:
        """The predictions by name."""
        return {"last": self.last, "validation": self.validation, "oracle": self.oracle}

    def update(self, epoch: int, test: Array, test_score: float, validation_score: float | None) -> None:
        """Takes the test predictions and the scores of an epoch."""
        self.last = test
        if test_score > self.oracle_score:
            self.oracle, self.oracle_epoch, self.oracle_score = test, epoch, test_score
        if validation_score is not None and validation_score > self.validation_score:
            self.validation, self.validation_epoch, self.validation_score = test, epoch, validation_score


def _versions(method: Method) -> dict[str, int]:
    """How often each parameter and buffer has been written to, as torch counts it."""
    return {name: tensor._version for name, tensor in method.state_dict(keep_vars=True).items()}


def _check_unchanged(method: Method, before: dict[str, int]) -> None:
    """Raises ValueError where `predict` has changed the method."""
    if method.training or _versions(method) != before:
        raise ValueError("predict() must not change the method: it left training mode on or wrote to its state")


@torch.inference_mode()
def predict_rows(method: Method, pixels: PixelStore, how: Augmentation, width: int, kind: Kind) -> Array:
    """Probabilities float32 [N, width] that a method in evaluation mode predicts for all rows of a store.

    Raises:
        Diverged: a probability is not finite.
        TypeError: the predictions are not floating-point tensors.
        ValueError: the predictions are not probabilities, or have another shape.
    """
    batches = torch.split(torch.arange(len(pixels)), rows_at_once(pixels.device, how.crop))
    found = [
        _floating(method.predict(augment.test_view(store, position, how)))
        for store, position in pixels.fetch_each(batches)
    ]
    probabilities: Array = torch.cat(found).cpu().numpy()
    if not np.isfinite(probabilities).all():
        raise Diverged("predictions are not finite")
    if why := not_probabilities(probabilities, (len(pixels), width), kind):
        raise ValueError(f"predict() must return probabilities {[len(pixels), width]} in [0, 1]: {why}")
    return probabilities


def rows_at_once(device: torch.device, side: int) -> int:
    """How many images of a side in pixels are predicted in one batch: as many as the CPU's memory is to hold."""
    return EVALUATION_BATCH if device.type != "cpu" else min(EVALUATION_BATCH, max(1, MOST_PIXELS_ON_CPU // side**2))


def not_probabilities(values: Array, shape: tuple[int, int], kind: Kind) -> str:
    """Why finite values are not probabilities of a shape [N, C], those of a row summing to 1 for kind "single"."""
    if values.shape != shape:
        return f"these are {list(values.shape)}"
    if values.min(initial=0) < -1e-4 or values.max(initial=0) > 1 + 1e-4:
        return f"these lie between {values.min():.4g} and {values.max():.4g}"
    if kind == "single" and np.abs(values.sum(axis=1) - 1).max(initial=0) > SUM_TOLERANCE:
        row = int(np.abs(values.sum(axis=1) - 1).argmax())
        return f"those of row {row} sum to {values[row].sum():.4g}, not 1"
    return ""


def _floating(predicted: object) -> torch.Tensor:
    if not isinstance(predicted, torch.Tensor) or not predicted.is_floating_point():
        what = predicted.dtype if isinstance(predicted, torch.Tensor) else type(predicted).__name__
        raise TypeError(f"predict() must return a floating-point tensor of probabilities, not {what}")
    return predicted.float()


def fits(probabilities: Array, rows: Rows) -> dict[str, dict[str, float]]:
    """How well probabilities [N, C] fit the reference labels, and the shares of votes where rows have votes.

    Votes are those for the classes, single ones included, "unknown" and "not a face" left out; rows without a
    reference label do not count.

    Returns:
        "fit" and "fit_to_votes", each as in `schema.Fit`; one without any row is left out.
    """
    known = rows.reference >= 0
    found = {"fit": _fit(probabilities[known], rows.reference[known])} if known.any() else {}
    votes = rows.votes[:, : probabilities.shape[1]].astype(np.float64)
    told = known & (votes.sum(axis=1) > 0)
    if told.any():
        shares = votes[told] / votes[told].sum(axis=1, keepdims=True)
        kl = kl_divergence(shares, probabilities[told])
        found["fit_to_votes"] = _fit(probabilities[told], shares) | {"kl": kl}
    return found


def _fit(probabilities: Array, target: Array) -> dict[str, float]:
    return {
        "nll": negative_log_likelihood(probabilities, target),
        "brier": brier(probabilities, target),
        "ece": expected_calibration_error(probabilities, target),
    }


@dataclass
class Evaluator:
    """Evaluates a method on test and validation rows, of which the method gets the images alone."""

    protocol: Protocol
    data: CellData
    augmentation: Augmentation
    device: torch.device
    best: Best = field(default_factory=Best)

    def __post_init__(self) -> None:
        self.test_pixels = make_store(self.data.test.images, self.device)
        validation = self.data.validation
        self.validation_pixels = None if validation is None else make_store(validation.images, self.device)

    def epoch(self, method: Method, epoch: int) -> dict[str, Any]:
        """Evaluates the method after an epoch; returns the confusion counts and fits for the epoch's line.

        Raises:
            Diverged: a prediction is not finite.
            ValueError: the predictions are not probabilities, or `predict` changed the method.
        """
        was_training = method.training
        method.eval()
        before = _versions(method)
        what = self.augmentation, len(self.protocol.names), self.protocol.kind
        test = predict_rows(method, self.test_pixels, *what)
        found: dict[str, Any] = {"test": self._counts(test, self.data.test, "reference"), "validation": None}
        validation_score = None
        if self.validation_pixels is not None and self.data.validation is not None:
            predicted = predict_rows(method, self.validation_pixels, *what)
            found["validation"] = self._counts(predicted, self.data.validation, "given")
            validation_score = self._score(found["validation"])
        _check_unchanged(method, before)
        method.train(was_training)
        self.best.update(epoch, test, self._score(found["test"]), validation_score)
        return found | (fits(test, self.data.test) if self.protocol.kind == "single" else {})

    def predictions(self) -> dict[str, Array]:
        """The arrays of predictions.npz; predictions that do not exist have no rows."""
        test = self.data.test
        rows = {"sample_id": test.sample_id, "group": test.group, "labels": test.reference, "copy": test.copy}
        empty = np.zeros((0, len(self.protocol.names)), dtype=np.float32)
        return rows | {name: empty if array is None else array for name, array in self.best.arrays.items()}

    def _counts(self, probabilities: Array, rows: Rows, which: Literal["given", "reference"]) -> dict[str, Any]:
        labels: Array = getattr(rows, which)
        counts: dict[str, Any] = {"confusion": self._confusion(probabilities, labels).tolist()}
        if which == "reference":
            without = None
            if rows.copy.any():
                without = self._confusion(probabilities[~rows.copy], labels[~rows.copy]).tolist()
            counts["confusion_without_copies"] = without
        return counts

    def _confusion(self, probabilities: Array, labels: Array) -> Array:
        kind: Kind = self.protocol.kind
        return confusion(probabilities, labels) if kind == "single" else binary_confusion(probabilities, labels)

    def _score(self, counts: dict[str, Any]) -> float:
        return headline_of(self.protocol.kind, counts["confusion"])
