"""Whether a method knew the reference labels of training rows better than its test score allows.

A method that has only the given labels predicts the reference label of a wrongly labelled row at most about as often as
that of a test row of the same class. One that has drawn the noise again from its seed, or has read the labels, does so
far more often.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...protocols.base import Kind
from ..records.record import Record, audit_of
from ..records.schema import Counts

MARGIN = 0.05  # the nearest of the trials that ship stays 0.03 below 0
STANDARD_ERRORS = 3.0
WORDS = {"recovered": "predicts the reference label", "repaired": "changes the given label to the reference label"}


def excess(record: Record) -> dict[str, float]:
    """By how much shares of the last epoch exceed what the test rows allow, less what chance explains; in [-1, 1].

    "recovered" is the share of the wrong training labels whose reference label is predicted, "repaired" the share that
    is changed to it. What the test rows allow is the recall of the wrong labels' own classes; for action units the
    better of the recalls of presence and absence. Of the share the lower bound of Wilson's interval is taken, of what
    is allowed the upper one, so that a few wrong labels or test rows say nothing. A share that the trial does not
    report is left out, and so is all of a method that sees several annotators' labels of each training face.
    """
    if not record.done or "votes" in record.environment.oracle_knowledge:
        return {}
    last = record.epochs[-1]
    audit, wrong = audit_of(last), last.audit_by_class and last.audit_by_class.wrong
    if not wrong or not any(wrong) or not last.test.confusion:
        return {}
    allowed = _allowed(record.environment.task.kind, last.test.confusion, np.asarray(wrong, np.float64))
    shares = {"recovered": (audit.recovered, audit.predicted_wrong)}
    if audit.targets is not None and audit.targets_right is not None:
        shares["repaired"] = (audit.changed_right, audit.targets - audit.targets_right)
    return {
        # several networks see the same labels: there are no more independent ones than wrong labels
        name: float(_bounds(np.array(part / whole), np.array(min(whole, sum(wrong))))[0]) - allowed
        for name, (part, whole) in shares.items()
        if part is not None and whole
    }


def implausible(record: Record) -> str:
    """What a trial does too often to have learnt it from the given labels alone, in words; "" for none."""
    for name, amount in excess(record).items():
        if amount > MARGIN:
            return f"{WORDS[name]} of wrongly labelled training faces {100 * amount:.0f} points too often"
    return ""


def _allowed(kind: Kind, counts: Counts, weights: NDArray[np.float64]) -> float:
    """The upper bound of the mean recall of classes or AUs with these weights, float64 [C]."""
    recall, rows = _recall(kind, counts)
    weights = weights / weights.sum()
    above = _bounds(recall, rows)[1] - recall
    return float((weights * recall).sum() + np.sqrt(((weights * above) ** 2).sum()))  # the classes' errors are apart


def _bounds(shares: NDArray[np.float64], counts: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wilson's lower and upper bound of shares of some counts; a count of 0 gives (0, 1)."""
    squared = STANDARD_ERRORS**2
    middle = shares * counts + squared / 2
    half = STANDARD_ERRORS * np.sqrt(shares * (1 - shares) * counts + squared / 4)
    return (middle - half) / (counts + squared), (middle + half) / (counts + squared)


def _recall(kind: Kind, counts: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall of each class, or the better one of each AU, 1 where unknown; its test labels: float64 [C] each."""
    confusion = np.asarray(counts, np.float64)
    if kind == "single":
        right, whole = confusion.diagonal()[:, None], confusion.sum(axis=1)[:, None]
    else:
        true_positives, false_positives, false_negatives, true_negatives = confusion.T
        right = np.stack([true_positives, true_negatives], axis=1)
        whole = np.stack([true_positives + false_negatives, true_negatives + false_positives], axis=1)
    shares = np.divide(right, whole, out=np.ones_like(right), where=whole > 0)
    better = shares.argmax(axis=1)[:, None]
    return np.take_along_axis(shares, better, 1)[:, 0], np.take_along_axis(whole, better, 1)[:, 0]
