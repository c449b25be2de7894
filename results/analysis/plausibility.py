"""Whether a method knew the reference labels of training rows better than its test score allows.

A method that has only the given labels predicts the reference label of a wrongly labelled row at most about as often as
that of a test row of the same class. One that has drawn the noise again from its seed, or has read the labels, does so
far more often.
"""

from __future__ import annotations

import math

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
    better of the recalls of presence and absence. A share that the trial does not report is left out.
    """
    if not record.done:
        return {}
    last = record.epochs[-1]
    audit, wrong = audit_of(last), last.audit_by_class and last.audit_by_class.wrong
    if not wrong or not any(wrong) or not last.test.confusion:
        return {}
    weights = np.asarray(wrong, np.float64)
    recall, rows = _recall(record.environment.task.kind, last.test.confusion)
    allowed = float((recall * weights).sum() / weights.sum())
    shares = {"recovered": (audit.recovered, audit.predicted_wrong)}
    if audit.targets is not None and audit.targets_right is not None:
        shares["repaired"] = (audit.changed_right, audit.targets - audit.targets_right)
    return {
        name: part / whole - allowed - STANDARD_ERRORS * math.sqrt(allowed * (1 - allowed) * (1 / whole + 1 / rows))
        for name, (part, whole) in shares.items()
        if part is not None and whole
    }


def implausible(record: Record) -> str:
    """What a trial does too often to have learnt it from the given labels alone, in words; "" for none."""
    for name, amount in excess(record).items():
        if amount > MARGIN:
            return f"{WORDS[name]} of wrongly labelled training faces {100 * amount:.0f} points too often"
    return ""


def _recall(kind: Kind, counts: Counts) -> tuple[NDArray[np.float64], int]:
    """Recall float64 [C] of each class, or the better one of each AU, 1 where unknown; the number of test labels."""
    confusion = np.asarray(counts, np.float64)
    if kind == "single":
        right, whole = confusion.diagonal()[:, None], confusion.sum(axis=1)[:, None]
    else:
        true_positives, false_positives, false_negatives, true_negatives = confusion.T
        right = np.stack([true_positives, true_negatives], axis=1)
        whole = np.stack([true_positives + false_negatives, true_negatives + false_positives], axis=1)
    shares = np.divide(right, whole, out=np.ones_like(right), where=whole > 0)
    return shares.max(axis=1), int(confusion.sum())
