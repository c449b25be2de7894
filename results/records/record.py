"""Records: trials read back, their scores recomputed from predictions and confusion counts only."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...protocols.errors import BadInput, printable
from ...protocols.files import canonical_json, read_arrays, read_json, read_jsonl
from .. import metrics
from .schema import wrong_counts, wrong_field, wrong_identity
from .store import find_trials, trial_folder
from .subject_counts import Subjects, count_by_subject

RULES = ("last", "last_five", "validation", "oracle")

_WITHIN_KEY = ("method", "fold", "level", "draw", "seed", "teachers", "aux")
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
        identity, environment, status: as stored; environment may be empty for a trial that is not done.
        epochs: one mapping an epoch, in order.
        scores: by selection rule; None where the protocol has no validation set. Empty unless done. "last_five" is the
            mean of each value over the last five epochs, or over all of fewer.
        scores_without_copies: the same over test rows that are no exact copy of a training image; empty without copies.
        subjects: AUs: the last epoch's counts apart for each subject; None for one label a face.
    """

    folder: str
    identity: Mapping[str, Any]
    environment: Mapping[str, Any]
    status: Mapping[str, Any]
    epochs: Sequence[Mapping[str, Any]] = ()
    scores: Scores = field(default_factory=dict)
    scores_without_copies: Scores = field(default_factory=dict)
    subjects: Subjects | None = field(default=None, compare=False, repr=False)

    @property
    def method(self) -> str:
        """The method's name, with its variant."""
        name: str = self.identity["method"]["name"]
        return name

    @property
    def fold(self) -> str | None:
        """The fold tested on; None for a fixed split."""
        fold: str | None = self.identity["fold"]
        return fold

    @property
    def level(self) -> float | None:
        """The noise level; None where the noise has no level."""
        level: float | None = self.identity["level"]
        return level

    @property
    def pair(self) -> tuple[int, int]:
        """(seed, draw): what two methods have in common when they are compared."""
        return self.identity["seed"], self.identity["draw"]

    @property
    def state(self) -> str:
        """running, done, failed, diverged or interrupted."""
        state: str = self.status["state"]
        return state

    @property
    def done(self) -> bool:
        """Whether it finished and has scores."""
        return self.state == "done"

    @property
    def lost(self) -> bool:
        """Whether it ended without a score, so that a mean over the others is one over survivors."""
        return self.state in ("diverged", "failed")


def load_records(root: Path, load: Callable[[Path, Path], Record] | None = None) -> tuple[list[Record], list[str]]:
    """Read every trial below an output folder, in the order of their folders.

    Args:
        root: the output folder; one that does not exist has no trials.
        load: reads one trial, given the root and its folder; None: `load_record`.

    Returns:
        The records, and one message naming each trial that is damaged: such a trial is in no record.
    """
    records, damaged = [], []
    read = load_record if load is None else load
    for folder in find_trials(root):
        try:
            if any(not path.name.startswith(".") for path in folder.iterdir()):  # else killed before it wrote anything
                records.append(read(root, folder))
        except (BadInput, OSError) as error:
            damaged.append(printable(str(error)))
    return records, damaged


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
        why = " ".join(str(error).split())[:200]
        what = f"{folder} is damaged ({type(error).__name__}: {why})"
        raise BadInput(f"{what}: run the trial again, which makes it anew") from error


def _load(root: Path, folder: Path) -> Record:
    """`load_record`, raising nearly anything for what a file lacks."""
    identity = read_json(folder / "identity.json")
    _refuse(folder, wrong_identity(identity))
    if trial_folder(root, identity) != folder:
        raise BadInput(f"{folder} does not carry the name of its identity.json: remove it and run the trial again")
    status: Mapping[str, Any] = {"state": "interrupted"}
    if os.path.lexists(folder / "status.json"):
        status = read_json(folder / "status.json")
    done = isinstance(status, dict) and status.get("state") == "done"
    environment = read_json(folder / "environment.json") if done or os.path.lexists(folder / "environment.json") else {}
    epochs = tuple(read_jsonl(folder / "epochs.jsonl")) if done or os.path.lexists(folder / "epochs.jsonl") else ()
    _refuse(folder, wrong_field(status, environment, epochs))
    record = Record(folder.relative_to(root).as_posix(), identity, environment, status, epochs)
    _check_fields(folder, record)
    if not done:
        return record
    predictions = read_arrays(folder / "predictions.npz")
    kind = environment["task"]["kind"]
    _check_predictions(folder, kind, predictions, epochs, status["best"])
    scores = _scores(kind, predictions, epochs, slice(None), "confusion")
    copies = predictions["copy"]
    without = _scores(kind, predictions, epochs, ~copies, "confusion_without_copies") if copies.any() else {}
    subjects = None
    if kind == "multi":
        subjects = count_by_subject(predictions["last"], predictions["labels"], predictions["group"])
    return replace(record, scores=scores, scores_without_copies=without, subjects=subjects)


def score_of(kind: str, counts: Sequence[Sequence[int]] | NDArray[np.int64]) -> Score:
    """The score of confusion counts: [C, C] for kind "single", [L, 4] for "multi"."""
    if kind == "single":
        recall = metrics.recall_of(counts)
        return Score(headline_of(kind, counts), tuple(recall.tolist()), metrics.mean_class_accuracy_of(counts))
    return Score(headline_of(kind, counts), tuple(metrics.known_f1_of(counts).tolist()), None)


def headline_of(kind: str, counts: Sequence[Sequence[int]] | NDArray[np.int64]) -> float:
    """The headline of `score_of`, alone: tables of epochs need no more."""
    return metrics.accuracy_of(counts) if kind == "single" else metrics.mean_f1_of(counts)


def mean_score(scores: Sequence[Score]) -> Score:
    """The mean of each value over several scores; at least one."""
    mean_class = [score.mean_class for score in scores if score.mean_class is not None]
    return Score(
        math.fsum(score.headline for score in scores) / len(scores),
        tuple(np.mean([score.per_label for score in scores], axis=0).tolist()),
        math.fsum(mean_class) / len(mean_class) if mean_class else None,
    )


def audit_share(line: Mapping[str, Any], part: str, whole: str) -> float | None:
    """One audit count of an epoch as a share of another, in [0, 1]; None where there is nothing to share."""
    audit = line.get("audit") or {}
    if part not in audit or not audit.get(whole):
        return None
    return float(audit[part] / audit[whole])


def comparability_key(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What must be equal for two trials to share a table: the identity without what tells its trials apart.

    That is method, fold, level, draw and seed, and the teachers and auxiliary labels that follow from them.
    """
    return {name: value for name, value in identity.items() if name not in _WITHIN_KEY}


def differing_fields(keys: Iterable[Mapping[str, Any]]) -> list[str]:
    """The dotted names of the fields that are not equal in all keys, sorted; a field some lack counts as differing."""
    flat = [dict(_flatten(key)) for key in keys]
    names = {name for key in flat for name in key}
    return sorted(name for name in names if len({key.get(name) for key in flat}) > 1)


def _flatten(value: object, prefix: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _flatten(part, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, canonical_json(value)


def _counts(kind: str, probabilities: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
    count = metrics.confusion if kind == "single" else metrics.binary_confusion
    return count(probabilities, labels)


def _scores(
    kind: str, predictions: Mapping[str, NDArray[Any]], epochs: Sequence[Mapping[str, Any]], rows: Any, counts: str
) -> dict[str, Score | None]:
    """Scores by rule over some test rows; `counts` names the epochs' confusion over the same rows."""
    labels = predictions["labels"][rows]
    scores: dict[str, Score | None] = dict.fromkeys(RULES)
    for rule in _STORED:
        if len(predictions[rule]):
            scores[rule] = score_of(kind, _counts(kind, predictions[rule][rows], labels))
    scores["last_five"] = mean_score([score_of(kind, line["test"][counts]) for line in epochs[-5:]])
    return scores


def _check_fields(folder: Path, record: Record) -> None:
    """What is right by itself must fit together, and be fit to be printed."""
    identity, environment, status, epochs = record.identity, record.environment, record.status, record.epochs
    told = (identity, environment, status)
    _require(all(map(str.isprintable, _texts(told))), folder, "a name or a reason holds control characters")
    _require([line["epoch"] for line in epochs] == list(range(len(epochs))), folder, "epochs.jsonl skips an epoch")
    _require(not record.done or len(epochs) == status["epochs"], folder, "epochs.jsonl lacks an epoch of status.json")
    if environment:
        task = environment["task"]
        known = (task["kind"], task["metric"]) in (("single", "accuracy"), ("multi", "f1"))
        _require(known and len(task["names"]) > 0, folder, "environment.json: unknown kind of task or metric")
        width = len(task["names"])
        shape = (width, width if task["kind"] == "single" else 4)
        _refuse(folder, wrong_counts([line["test"] for line in epochs], shape))


def _texts(value: object) -> Iterator[str]:
    """Every text in a stored value, names of fields included: what tables print must not steer a terminal."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in (*value, *value.values()):
            yield from _texts(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _texts(part)


def _check_predictions(
    folder: Path,
    kind: str,
    predictions: Mapping[str, NDArray[Any]],
    epochs: Sequence[Mapping[str, Any]],
    best: Mapping[str, int | None],
) -> None:
    """Predictions must give the very counts that their epochs recorded, and the oracle must be the best epoch."""
    labels = predictions["labels"]
    _require(len(labels) > 0, folder, "predictions.npz holds no rows")
    _require(predictions["copy"].dtype == bool, folder, "predictions.npz: copy is not boolean")
    for name in ("sample_id", "group", "copy"):
        _require(len(predictions[name]) == len(labels), folder, f"predictions.npz: {name} is of another length")
    chosen = {"last": len(epochs) - 1, "validation": best["validation"], "oracle": best["oracle"]}
    for rule, epoch in chosen.items():
        probabilities = predictions[rule]
        _require((epoch is None) == (len(probabilities) == 0), folder, f"predictions.npz and status.json: {rule}")
        if epoch is not None:
            recorded = np.asarray(epochs[epoch]["test"]["confusion"])
            agree = np.array_equal(_counts(kind, probabilities, labels), recorded)
            _require(agree, folder, f"predictions.npz ({rule}) and epoch {epoch} of epochs.jsonl do not agree")
    told = all(line["test"].get("confusion_without_copies") is not None for line in epochs)
    _require(told or not predictions["copy"].any(), folder, "epochs.jsonl: confusion_without_copies is missing")
    counts = [np.asarray(line["test"]["confusion"]) for line in epochs]
    alike = {(each.shape, int(each.sum())) for each in counts}
    _require(len(alike) == 1, folder, "epochs.jsonl: the epochs did not test the same rows")
    headlines = [score_of(kind, line["test"]["confusion"]).headline for line in epochs]
    oracle = chosen["oracle"]
    _require(oracle is not None and headlines[oracle] >= max(headlines), folder, "the oracle epoch is not the best")


def _refuse(folder: Path, wrong: str) -> None:
    _require(not wrong, folder, printable(wrong))


def _require(condition: bool, folder: Path, what: str) -> None:
    if not condition:
        raise BadInput(f"{folder} is damaged ({what}): run the trial again, which makes it anew")
