"""Evaluation after each epoch, on every row, and the predictions of the epochs that count."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from ...methods.base import Method
from ...protocols.base import Augmentation, Kind, Protocol
from ...protocols.rows import Array, CellData, Rows
from ...results.metrics import binary_confusion, confusion
from ...results.records.record import headline_of
from . import augmentation as augment
from .pixel_store import PixelStore, make_store

EVALUATION_BATCH = 256


class Diverged(RuntimeError):
    """A loss or a prediction that is not finite: the trial ends as diverged."""


@dataclass
class Best:
    """Predictions on the test rows at the last, the validation-best and the test-best epoch; the earliest of equals."""

    last: Array | None = None
    validation: Array | None = None
    oracle: Array | None = None
    validation_epoch: int | None = None
    oracle_epoch: int | None = None
    validation_score: float = -np.inf
    oracle_score: float = -np.inf

    def update(self, epoch: int, test: Array, test_score: float, validation_score: float | None) -> None:
        """Takes in an epoch."""
        self.last = test
        if test_score > self.oracle_score:
            self.oracle, self.oracle_epoch, self.oracle_score = test, epoch, test_score
        if validation_score is not None and validation_score > self.validation_score:
            self.validation, self.validation_epoch, self.validation_score = test, epoch, validation_score


def _versions(method: Method) -> dict[str, int]:
    """How often each parameter and buffer has been written to."""
    return {name: tensor._version for name, tensor in method.state_dict(keep_vars=True).items()}


@torch.inference_mode()
def predict_rows(method: Method, pixels: PixelStore, how: Augmentation, width: int) -> Array:
    """Probabilities of a method, in evaluation mode, on every row of a store: float32 [N, width].

    Raises:
        Diverged: a probability is not finite.
        ValueError: not probabilities, or not of that shape.
    """
    found = [
        method.predict(augment.test_view(*pixels.fetch(index), how)).float()
        for index in torch.split(torch.arange(len(pixels), device=pixels.device), EVALUATION_BATCH)
    ]
    probabilities: Array = torch.cat(found).cpu().numpy()
    if not np.isfinite(probabilities).all():
        raise Diverged("predictions are not finite")
    expected = (len(pixels), width)
    if probabilities.shape != expected or probabilities.min() < -1e-4 or probabilities.max() > 1 + 1e-4:
        raise ValueError(f"predict() must return probabilities {list(expected)} in [0, 1]; these are not")
    return probabilities


@dataclass
class Evaluator:
    """Holds test and validation rows; a method is only ever asked to predict images."""

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
        """Predicts every row; returns the confusion counts for the epoch's line."""
        was_training = method.training
        method.eval()
        before = _versions(method)
        how, width = self.augmentation, len(self.protocol.names)
        test = predict_rows(method, self.test_pixels, how, width)
        found: dict[str, Any] = {"test": self._counts(test, self.data.test, "reference"), "validation": None}
        validation_score = None
        if self.validation_pixels is not None and self.data.validation is not None:
            predicted = predict_rows(method, self.validation_pixels, how, width)
            found["validation"] = self._counts(predicted, self.data.validation, "given")
            validation_score = self._score(found["validation"])
        if method.training or _versions(method) != before:
            raise ValueError("predict() must not change the method: it left training mode on or wrote to its state")
        method.train(was_training)
        self.best.update(epoch, test, self._score(found["test"]), validation_score)
        return found

    def predictions(self) -> dict[str, Array]:
        """The arrays of predictions.npz."""
        test = self.data.test
        nothing = np.zeros((0, len(self.protocol.names)), dtype=np.float32)
        return {
            "sample_id": test.sample_id,
            "group": test.group,
            "labels": test.reference,
            "copy": test.copy,
            "last": nothing if self.best.last is None else self.best.last,
            "validation": nothing if self.best.validation is None else self.best.validation,
            "oracle": nothing if self.best.oracle is None else self.best.oracle,
        }

    def _counts(self, probabilities: Array, rows: Rows, which: Literal["given", "reference"]) -> dict[str, Any]:
        labels: Array = getattr(rows, which)
        counts: dict[str, Any] = {"confusion": self._confusion(probabilities, labels).tolist()}
        if which == "reference":
            alone = None
            if rows.copy.any():
                alone = self._confusion(probabilities[~rows.copy], labels[~rows.copy]).tolist()
            counts["confusion_without_copies"] = alone
        return counts

    def _confusion(self, probabilities: Array, labels: Array) -> Array:
        kind: Kind = self.protocol.kind
        return confusion(probabilities, labels) if kind == "single" else binary_confusion(probabilities, labels)

    def _score(self, counts: dict[str, Any]) -> float:
        return headline_of(self.protocol.kind, counts["confusion"])
