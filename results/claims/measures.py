"""What a claim measures, by name: a number in [0, 1] from a finished trial.

score                       the protocol's metric at the last epoch
last five                   its mean over the last five epochs
oracle gap                  best on test − last epoch
AU12                        F1 of that AU at the last epoch
memorised                   last epoch: share of wrong training labels predicted as given
clean kept                  last epoch: share of correct training labels that were trained on
noise left                  last epoch: share of wrong labels among those that were trained on, kept or changed
highest recall of A, B      among these classes, at the last epoch; also lowest; also "except" for all others
fear taken for surprise     share of a class's test rows predicted as another; also "except" for the most frequent other
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ...protocols.errors import unknown
from ..records.record import Record, audit_of
from ..records.schema import Counts
from ..tables.audit_tables import noise_left

SCORE = "score"

_AUDIT = {"memorised": ("memorised", "predicted_wrong"), "clean kept": ("kept_right", "right")}
_GAP, _NOISE_LEFT = "oracle gap", "noise left"
_PLAIN = {SCORE: "last", "last five": "last_five"}
_RECALL = re.compile(r"(highest|lowest) recall (of|except) (.+)")
_TAKEN = re.compile(r"(\w+) taken for (except )?(\w+)")
_AU = re.compile(r"AU\d+")


def is_known(measure: str) -> bool:
    """Whether a measure is one of those above."""
    patterns = (_RECALL, _TAKEN, _AU)
    return measure in (*_PLAIN, _GAP, _NOISE_LEFT, *_AUDIT) or any(pattern.fullmatch(measure) for pattern in patterns)


def by_subject(measure: str) -> bool:
    """Whether subjects can be resampled for it."""
    return measure == SCORE or _AU.fullmatch(measure) is not None


def inflated_by_lost_trials(measure: str) -> bool:
    """Whether leaving out diverged and failed trials can only raise the mean: true of scores alone."""
    return measure in _PLAIN or _AU.fullmatch(measure) is not None


def number(record: Record, measure: str) -> float | None:
    """A measure of a finished trial; None where the trial has no such number.

    Raises:
        BadInput: no such measure.
    """
    if measure in _PLAIN:
        return record.headline(_PLAIN[measure])
    if measure == _GAP:
        best, last = record.headline("oracle"), record.headline()
        return None if best is None or last is None else best - last
    if measure in _AUDIT:
        return record.audit_share(*_AUDIT[measure])
    if measure == _NOISE_LEFT:
        return noise_left(audit_of(record.epochs[-1]))
    names = record.environment.task.names
    if found := _RECALL.fullmatch(measure):
        return _recall(record, names, found)
    if found := _TAKEN.fullmatch(measure):
        return _taken(record.epochs[-1].test.confusion, names, found)
    if _AU.fullmatch(measure):
        return record.label_score(names.index(measure)) if measure in names else None
    raise unknown("measure", measure, [*_PLAIN, _GAP, _NOISE_LEFT, *_AUDIT])


def _recall(record: Record, names: Sequence[str], found: re.Match[str]) -> float | None:
    which, way, listed = found.groups()
    classes = set(listed.split(", "))
    score = record.scores["last"]
    if score is None or not classes <= set(names):
        return None
    chosen = [value for name, value in zip(names, score.per_label, strict=True) if (name in classes) == (way == "of")]
    present = [value for value in chosen if value == value]  # a class without a test row has no recall
    if not present:
        return None
    return max(present) if which == "highest" else min(present)


def _taken(confusion: Counts, names: Sequence[str], found: re.Match[str]) -> float | None:
    true, others, predicted = found.groups()
    if true not in names or predicted not in names:
        return None
    row = np.asarray(confusion, dtype=np.float64)[names.index(true)]
    if not row.sum():
        return None
    if others is None:
        return float(row[names.index(predicted)] / row.sum())
    rest = [count for name, count in zip(names, row, strict=True) if name not in (true, predicted)]
    return float(max(rest) / row.sum())
