"""Records: trials read back, their scores recomputed from predictions and confusion counts only."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import UnsetType
from msgspec.structs import asdict
from numpy.typing import NDArray

from ...protocols.base import Kind
from ...protocols.errors import BadInput, printable
from ...protocols.files import canonical_json, read_arrays
from .. import metrics
from .schema import NOT_WRITTEN, Audit, Counts, Environment, EpochLine, FlipRates, Identity, State, Status, Task
from .store import find_trials, trial_folder, unreadable_folders
from .subject_counts import Subjects, count_by_subject
from .trial_files import damaged, read_epochs, read_part

RULES = ("last", "last_five", "validation", "oracle")

_STORED = ("last", "validation", "oracle")

Scores = Mapping[str, "Score | None"]


@dataclass(frozen=True)
class Score:
    """What one selection rule gives on the test rows; all values in [0, 1].

    Attributes:
        headline: the protocol's metric: accuracy, or the mean of F1 over the AUs with a known test label.
        per_label: recall of each class (NaN for a class without a test row), or F1 of each AU (NaN without a label).
        mean_class: mean recall over the classes present; None for AUs.
    """

    headline: float
    per_label: tuple[float, ...]
    mean_class: float | None


@dataclass(frozen=True)
class Record:
    """One trial as stored. Scores are there only for a finished one.

    Attributes:
        folder: the trial's folder below the output folder, with slashes.
        identity, status: as stored.
        environment: as stored; NOT_WRITTEN where an unfinished trial has not written it.
        epochs: one line for each epoch, in order.
        scores: by selection rule; None where the protocol has no validation set. Empty unless done. "last_five" is the
            mean of each value over the last five epochs, or over all of fewer.
        scores_without_copies: the same over test rows that are no exact copy of a training image; empty without copies.
        subjects: AUs: the last epoch's counts for each subject; None for one label per face.
        shipped: it ships with the package and stands beside trials of the user's own, so that tables mark it.
    """

    folder: str
    identity: Identity
    environment: Environment
    status: Status
    epochs: Sequence[EpochLine] = ()
    scores: Scores = field(default_factory=dict)
    scores_without_copies: Scores = field(default_factory=dict)
    subjects: Subjects | None = field(default=None, compare=False, repr=False)
    shipped: bool = field(default=False, compare=False)

    @property
    def protocol(self) -> str:
        """The protocol's name."""
        return self.identity.protocol.name

    @property
    def method(self) -> str:
        """The method's name, with its variant."""
        return self.identity.method.name

    @property
    def fold(self) -> str | None:
        """The fold tested on; None for a fixed split."""
        return self.identity.fold

    @property
    def level(self) -> float | None:
        """The noise level; None where the noise has no level."""
        return self.identity.level

    @property
    def pair(self) -> tuple[int, int]:
        """(seed, draw), by which the trials of two methods are paired."""
        return self.identity.seed, self.identity.draw

    @property
    def teacher_versions(self) -> tuple[tuple[str, str], ...] | None:
        """Name and version of the teachers it learnt from; None where it had some that its record does not tell."""
        told = tuple(sorted((teacher.name, teacher.version) for teacher in self.environment.teachers))
        if len(told) < len(self.identity.teachers) or not all(version for _, version in told):
            return None
        return told

    @property
    def state(self) -> State:
        """running, done, failed, diverged or interrupted."""
        return self.status.state

    @property
    def done(self) -> bool:
        """Whether it finished and has scores."""
        return self.status.state == "done"

    @property
    def lost(self) -> bool:
        """Whether it ended without a score, so that a mean over the other trials is biased."""
        return self.status.state in ("diverged", "failed")

    def headline(self, rule: str = "last") -> float | None:
        """The protocol's metric under a selection rule; None where there is no such score."""
        score = self.scores.get(rule)
        return None if score is None else score.headline

    def label_score(self, position: int, rule: str = "last") -> float | None:
        """Recall of a class or F1 of an AU under a selection rule; None where there is no such score."""
        score = self.scores.get(rule)
        return None if score is None else score.per_label[position]

    def audit_share(self, part: str, whole: str, epoch: int = -1) -> float | None:
        """One audit count of an epoch as a share of another, in [0, 1]; None if one is missing or 0 is divided by."""
        audit = audit_of(self.epochs[epoch])
        share, total = getattr(audit, part), getattr(audit, whole)
        return None if share is None or not total else float(share / total)

    def fit(self, what: str, rule: str = "last", *, votes: bool = False) -> float | None:
        """How well the test probabilities of the epochs of a selection rule fit; the mean for several.

        Args:
            what: "nll", "brier", "ece" or "kl", a field of `Fit`.
            rule: one of RULES.
            votes: the shares of annotators' votes, instead of the reference labels.

        Returns:
            None where a line does not tell, or there is no such epoch.
        """
        found = [line.fit_to_votes if votes else line.fit for line in self._lines(rule)]
        values = [getattr(each, what) for each in found if not isinstance(each, UnsetType)]
        numbers = [value for value in values if value is not None]
        return math.fsum(numbers) / len(numbers) if numbers and len(numbers) == len(found) else None

    def _lines(self, rule: str) -> Sequence[EpochLine]:
        """The epochs of a selection rule; none unless done."""
        if not self.done or rule == "last":
            return [self.epochs[-1]] if self.done else []
        if rule == "last_five":
            return self.epochs[-5:]
        epoch = self.status.best.oracle if rule == "oracle" else self.status.best.validation
        return [] if epoch is None else [self.epochs[epoch]]

    def headline_at(self, epoch: int) -> float:
        """The protocol's metric on test after an epoch (0-based; -1: the last)."""
        return headline_of(self.environment.task.kind, self.epochs[epoch].test.confusion)


def load_records(root: Path, load: Callable[[Path, Path], Record] | None = None) -> tuple[list[Record], list[str]]:
    """Read every trial below an output folder, in the order of their folders.

    Args:
        root: the output folder; one that does not exist has no trials.
        load: reads one trial, given the root and its folder; None: `load_record`.

    Returns:
        The records, and one message for each damaged trial, which has no record, and each folder that cannot be read.
    """
    records: list[Record] = []
    messages = [f"{folder} cannot be read: check its permissions" for folder in unreadable_folders(root)]
    read = load_record if load is None else load
    for folder in find_trials(root):
        try:
            if any(
                not path.name.startswith(".") for path in folder.iterdir()
            ):  # an empty folder: stopped before it wrote anything
                records.append(read(root, folder))
        except (BadInput, OSError) as error:
            messages.append(printable(str(error)))
    return records, messages


def load_record(root: Path, folder: Path) -> Record:
    """Read one trial and check that its files belong together.

    Raises:
        BadInput: a file is missing, damaged, lacks what it must hold, or contradicts another; the message names it.
    """
    try:
        return _load(root, folder)
    except BadInput:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError, MemoryError) as error:
        raise damaged(folder, f"{type(error).__name__}: {printable(str(error))[:200]}") from error


def _load(root: Path, folder: Path) -> Record:
    """`load_record`, which may raise other errors for missing or wrong content."""
    identity = read_part(folder, Identity)
    if trial_folder(root, identity.content) != folder:
        raise BadInput(f"{folder} is not named by the hash of its identity.json: remove it and run the trial again")

    def there(name: str) -> bool:
        return os.path.lexists(folder / name)

    status = read_part(folder, Status) if there("status.json") else Status("interrupted")
    done = status.state == "done"
    environment = read_part(folder, Environment) if done or there("environment.json") else NOT_WRITTEN
    epochs = read_epochs(folder) if done or there("epochs.jsonl") else ()
    record = Record(folder.relative_to(root).as_posix(), identity, environment, status, epochs)
    _check_together(folder, record)
    if not done:
        return record
    predictions = read_arrays(folder / "predictions.npz")
    kind = environment.task.kind
    _check_predictions(folder, record, predictions)
    scores = _scores(kind, predictions, [line.test.confusion for line in epochs[-5:]], slice(None))
    copies = predictions["copy"]
    apart = [line.test.confusion_without_copies or () for line in epochs[-5:]]
    without = _scores(kind, predictions, apart, ~copies) if copies.any() else {}
    subjects = None
    if kind == "multi":
        subjects = count_by_subject(predictions["last"], predictions["labels"], predictions["group"])
    return replace(record, scores=scores, scores_without_copies=without, subjects=subjects)


def score_of(kind: Kind, counts: Counts | NDArray[np.int64]) -> Score:
    """The score of confusion counts: [C, C] for kind "single", [L, 4] for "multi"."""
    headline = headline_of(kind, counts)
    if kind == "single":
        return Score(headline, tuple(metrics.recall_of(counts).tolist()), metrics.mean_class_accuracy_of(counts))
    return Score(headline, tuple(metrics.known_f1_of(counts).tolist()), None)


def headline_of(kind: Kind, counts: Counts | NDArray[np.int64]) -> float:
    """The headline of `score_of` alone, for curves over epochs."""
    return metrics.accuracy_of(counts) if kind == "single" else metrics.mean_f1_of(counts)


def mean_score(scores: Sequence[Score]) -> Score:
    """The mean of each value over several scores; at least one."""
    mean_class = [score.mean_class for score in scores if score.mean_class is not None]
    return Score(
        math.fsum(score.headline for score in scores) / len(scores),
        tuple(np.mean([score.per_label for score in scores], axis=0).tolist()),
        math.fsum(mean_class) / len(mean_class) if mean_class else None,
    )


def audit_of(line: EpochLine) -> Audit[int]:
    """The audit counts of an epoch; missing ones are None."""
    return line.audit or Audit()


def transition_error_of(line: EpochLine) -> float | None:
    """The error of a method's estimate of the label noise after an epoch; None where it has none."""
    return None if isinstance(line.transition_error, UnsetType) else line.transition_error


def flip_rates_of(line: EpochLine) -> FlipRates | None:
    """A method's estimates for AUs, and the true rates, after the last epoch; None where it has none."""
    return None if isinstance(line.flip_rates, UnsetType) else line.flip_rates


def differing_fields(keys: Iterable[Mapping[str, Any]]) -> list[str]:
    """The dotted names of the fields that are not equal in all keys, sorted; a field that some lack differs."""
    flat = [dict(_flatten(key)) for key in keys]
    names = {name for key in flat for name in key}
    return sorted(name for name in names if len({key.get(name) for key in flat}) > 1)


def _flatten(value: object, prefix: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _flatten(part, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, canonical_json(value)


def _counts(kind: Kind, probabilities: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
    count = metrics.confusion if kind == "single" else metrics.binary_confusion
    return count(probabilities, labels)


def _scores(
    kind: Kind, predictions: Mapping[str, NDArray[Any]], last: Sequence[Counts], rows: Any
) -> dict[str, Score | None]:
    """Scores by rule over some test rows; `last` are the confusion counts of the last epochs over the same rows."""
    labels = predictions["labels"][rows]
    scores: dict[str, Score | None] = dict.fromkeys(RULES)
    for rule in _STORED:
        if len(predictions[rule]):
            scores[rule] = score_of(kind, _counts(kind, predictions[rule][rows], labels))
    scores["last_five"] = mean_score([score_of(kind, counts) for counts in last])
    return scores


def _check_together(folder: Path, record: Record) -> None:
    """Checks that environment, status and epochs agree with each other."""
    task, epochs = record.environment.task, record.epochs
    numbered = [line.epoch for line in epochs] == list(range(len(epochs)))
    _require(numbered, folder, "epochs.jsonl skips an epoch")
    whole = not record.done or len(epochs) == record.status.epochs
    _require(whole, folder, "epochs.jsonl lacks an epoch of status.json")
    if not record.environment.known:
        return
    known = (task.kind, task.metric) in (("single", "accuracy"), ("multi", "f1"))
    _require(known, folder, "environment.json: unknown kind of task or metric")
    wrong = next((f"line {at}: {what}" for at, line in enumerate(epochs, 1) if (what := _wrong_shape(line, task))), "")
    _require(not wrong, folder, f"epochs.jsonl: {wrong}")


def _wrong_shape(line: EpochLine, task: Task) -> str:
    """Which counts of an epoch do not fit the number of classes or AUs; an empty string where all fit."""
    rows = len(task.names)
    columns = rows if task.kind == "single" else 4
    for name, counts in asdict(line.test).items():
        if counts is not None and (len(counts) != rows or any(len(row) != columns for row in counts)):
            return f"test.{name} is not {rows} × {columns} counts"
    for name, values in ({} if line.audit_by_class is None else asdict(line.audit_by_class)).items():
        if values is not None and len(values) != rows:
            return f"audit_by_class.{name} is not a list of {rows}"
    rates = flip_rates_of(line)
    for name, values in ({} if rates is None else asdict(rates)).items():
        if len(values) != rows:
            return f"flip_rates.{name} is not a list of {rows}"
    return ""


def _check_predictions(folder: Path, record: Record, predictions: Mapping[str, NDArray[Any]]) -> None:
    """Predictions must give the counts that their epochs recorded, and the oracle must be the best epoch."""
    kind, best, epochs = record.environment.task.kind, record.status.best, record.epochs
    labels = predictions["labels"]
    _require(len(labels) > 0, folder, "predictions.npz holds no rows")
    _require(predictions["copy"].dtype == bool, folder, "predictions.npz: copy is not boolean")
    for name in ("sample_id", "group", "copy"):
        _require(len(predictions[name]) == len(labels), folder, f"predictions.npz: {name} is of another length")
    recorded = np.array([line.test.confusion for line in epochs])
    chosen = {"last": len(epochs) - 1, "validation": best.validation, "oracle": best.oracle}
    for rule, epoch in chosen.items():
        probabilities = predictions[rule]
        _require((epoch is None) == (len(probabilities) == 0), folder, f"predictions.npz, status.json differ: {rule}")
        if epoch is not None:
            _require(epoch < len(epochs), folder, f"status.json: best.{rule} is no epoch of epochs.jsonl")
            agree = np.array_equal(_counts(kind, probabilities, labels), recorded[epoch])
            _require(agree, folder, f"predictions.npz ({rule}) and epoch {epoch} of epochs.jsonl do not agree")
    told = all(line.test.confusion_without_copies is not None for line in epochs)
    _require(told or not predictions["copy"].any(), folder, "epochs.jsonl: confusion_without_copies is missing")
    alike = len(set(recorded.sum(axis=(1, 2)).tolist())) == 1
    _require(alike, folder, "epochs.jsonl: the epochs did not test the same rows")
    headlines = [headline_of(kind, counts) for counts in recorded]
    oracle = chosen["oracle"]
    _require(oracle is not None and headlines[oracle] >= max(headlines), folder, "the oracle epoch is not the best")


def _require(condition: bool, folder: Path, what: str) -> None:
    if not condition:
        raise damaged(folder, what)
