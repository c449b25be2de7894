"""Made-up trial folders, written with the store's own functions: what tests of the results and of the commands read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import convert

from fernoise_bench.protocols import files
from fernoise_bench.results import metrics
from fernoise_bench.results.records import store
from fernoise_bench.results.records.bundle import write_bundle
from fernoise_bench.results.records.record import Record, Scores
from fernoise_bench.results.records.schema import Environment, EpochLine, Status, identity_of

NAMES = {"single": ("neutral", "happiness", "surprise", "sadness"), "multi": ("AU1", "AU2", "AU12")}


@dataclass(frozen=True)
class Trial:
    """A trial to make up. `skill` in [0, 1] is the share of test labels that are predicted in the end."""

    method: str = "supervised"
    protocol: str = "ferplus-sym"
    kind: str = "single"
    level: float | None = 0.2
    fold: str | None = None
    seed: int = 0
    draw: int | None = None  # the seed when None
    state: str = "done"
    reason: str | None = None
    skill: float = 0.7
    epochs: int = 6
    rows: int = 80
    copies: int = 8
    validation: bool = True
    audit: bool = True
    wrong: int = 20  # training labels
    realised: float | None = None  # share of wrong training labels; the level when None
    profile: str = "small"
    source: str = "real"
    partial: bool = False
    recipe: str = "protocol"
    settings: dict[str, Any] = field(default_factory=lambda: {"recipe": {"batch_size": 64}, "precision": "fp32"})
    params: dict[str, Any] = field(default_factory=dict)
    digest: str = "00ff"
    device: str = "cpu"
    networks: int = 1
    oracle_knowledge: tuple[str, ...] = ()
    unstated: tuple[str, ...] = ()

    @property
    def identity(self) -> dict[str, Any]:
        """What is hashed."""
        return {
            "result_version": 1,
            "protocol": {"name": self.protocol, "version": 1, "fingerprint": "abcd"},
            "profile": self.profile,
            "source": self.source,
            "partial": self.partial,
            "recipe": self.recipe,
            "settings": self.settings,
            "method": {"name": self.method, "params": self.params, "digest": self.digest},
            "fold": self.fold,
            "level": self.level,
            "draw": self.seed if self.draw is None else self.draw,
            "seed": self.seed,
        }

    @property
    def environment(self) -> dict[str, Any]:
        """What is recorded only."""
        realised = self.level if self.realised is None else self.realised
        return {
            "torch": "2.0",
            "timm": "1.0",
            "numpy": "2.0",
            "python": "3.11",
            "device": self.device,
            "engine": "inline",
            "workers": 1,
            "task": {
                "kind": self.kind,
                "names": list(NAMES[self.kind]),
                "metric": "accuracy" if self.kind == "single" else "f1",
            },
            "noise": {"kind": "symmetric", "nominal": self.level, "realised": realised, "mask": "beef"},
            "oracle_knowledge": list(self.oracle_knowledge),
            "unstated": list(self.unstated),
            "networks": self.networks,
            "rows_per_epoch": 100,
            "rows": {"train": 100, "validation": 10, "test": self.rows, "test_copies": self.copies},
        }


def fabricate(out: Path, trial: Trial) -> Path:
    """Write a trial's folder below `out`, as the trainer would; returns it. Everything follows from the trial."""
    folder = store.trial_folder(out, trial.identity)
    files.write_json(folder / "identity.json", trial.identity)
    files.write_json(folder / "environment.json", trial.environment)
    generator = np.random.default_rng(int(store.trial_id(trial.identity), 16))
    labels = _labels(trial, generator)
    copy = np.arange(trial.rows) < trial.copies
    done = trial.epochs if trial.state == "done" else trial.epochs // 2
    # skill rises and then falls a little, as it does when wrong labels are memorised
    shares = [trial.skill * (0.5 + 0.5 * np.sin(np.pi * (e + 1) / (trial.epochs + 1))) for e in range(done)]
    probabilities = [_probabilities(trial.kind, labels, share, generator) for share in shares]
    lines = [_line(trial, epoch, probabilities[epoch], labels, copy) for epoch in range(done)]
    files.write_jsonl(folder / "epochs.jsonl", lines)
    best = {"validation": done // 2 if trial.validation else None, "oracle": _best(trial.kind, probabilities, labels)}
    if trial.state == "done":
        empty = probabilities[0][:0]
        arrays = {
            "sample_id": np.array([f"face{row:04d}" for row in range(trial.rows)]),
            "group": np.array([f"S{row % 7}" for row in range(trial.rows)]),
            "labels": labels,
            "copy": copy,
            "last": probabilities[-1],
            "validation": empty if best["validation"] is None else probabilities[best["validation"]],
            "oracle": probabilities[best["oracle"]],
        }
        files.write_arrays(folder / "predictions.npz", arrays)
    status = {
        "state": trial.state,
        "reason": trial.reason,
        "epochs_done": done,
        "epochs": trial.epochs,
        "seconds": 10.0 * trial.networks,
        "best": best,
        "peak_memory_mb": 100.0,
        "updated": "2024-01-01T00:00:00Z",
    }
    files.write_json(folder / "status.json", status)
    return folder


def record_of(trial: Trial, scores: Scores, names: Sequence[str] = (), **line: Any) -> Record:
    """A record without a disk: its scores, the names of its classes or AUs, the fields of its one epoch that matter."""
    task = trial.environment["task"] | ({"names": names} if names else {})
    status = {"state": trial.state, "epochs": 1, "seconds": 10.0, "best": {"validation": None, "oracle": 0}}
    return Record(
        "folder",
        identity_of(trial.identity),
        convert(trial.environment | {"task": task}, Environment),
        convert(status, Status),
        (epoch_line(**line),),
        scores,
    )


def epoch_line(**line: Any) -> EpochLine:
    """A line of epochs.jsonl with these fields."""
    passes = {"forwards": 250, "backwards": 100}
    needed: Mapping[str, Any] = {"epoch": 0, "test": {"confusion": []}, "compute": passes, "audit": {}}
    return convert({**needed, **line}, EpochLine)


def fabricate_all(out: Path, trials: Iterable[Trial]) -> list[Path]:
    """Write several trials."""
    return [fabricate(out, trial) for trial in trials]


def ship(folder: Path, trials: Iterable[Trial]) -> Path:
    """Write bundles below a folder, as those that ship; a bundle a trial, since made-up trials share no test rows."""
    for trial in trials:
        made = fabricate(folder / "runs", trial)
        faces = "" if trial.source == "real" else f"-{trial.source}"
        name = f"{trial.protocol}-{trial.profile}{faces}-seed{trial.seed}-{made.name}.zip"
        write_bundle(folder / "runs", [made], folder / name)
    return folder


def _labels(trial: Trial, generator: np.random.Generator) -> np.ndarray:
    width = len(NAMES[trial.kind])
    if trial.kind == "single":
        return generator.integers(0, width, trial.rows)
    return generator.choice(np.array([-1, 0, 1], np.int8), (trial.rows, width), p=[0.6, 0.1, 0.3])


def _probabilities(kind: str, labels: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    right = generator.random(labels.shape) < share
    if kind == "multi":
        shown = np.where(right, labels, generator.choice([-1, 1], labels.shape))
        return (0.5 + 0.4 * shown).astype(np.float32)
    width = len(NAMES[kind])
    shown = np.where(right, labels, generator.integers(0, width, labels.shape))
    return (0.1 + 0.6 * np.eye(width)[shown]).astype(np.float32)


def _counts(kind: str, probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return (metrics.confusion if kind == "single" else metrics.binary_confusion)(probabilities, labels)


def _best(kind: str, probabilities: list[np.ndarray], labels: np.ndarray) -> int | None:
    measure = metrics.accuracy_of if kind == "single" else lambda counts: metrics.f1_of(counts).mean()
    return int(np.argmax([measure(_counts(kind, p, labels)) for p in probabilities])) if probabilities else None


def _audit(trial: Trial, epoch: int) -> dict[str, int]:
    memorised = round(trial.wrong * (1.1 - trial.skill) * (epoch + 1) / trial.epochs)
    return {
        "entries": 100,
        "wrong": trial.wrong,
        "predicted": 100,
        "predicted_wrong": trial.wrong,
        "memorised": memorised,
        "recovered": (trial.wrong - memorised) // 2,
        "judged": 100,
        "right": 80,
        "targets": 100,
        "targets_right": 80,
        "kept": 75,
        "kept_right": 70,
        "changed": 10,
        "changed_right": 8,
        "damaged": 1,
    }


def _line(trial: Trial, epoch: int, probabilities: np.ndarray, labels: np.ndarray, copy: np.ndarray) -> dict[str, Any]:
    without = _counts(trial.kind, probabilities[~copy], labels[~copy]).tolist() if trial.copies else None
    counts = _counts(trial.kind, probabilities, labels).tolist()
    return {
        "epoch": epoch,
        "loss": 2.0 / (epoch + 1),
        "learning_rate": 0.001,
        "logs": {},
        "audit": _audit(trial, epoch) if trial.audit else {},
        "test": {"confusion": counts, "confusion_without_copies": without},
        "validation": {"confusion": counts} if trial.validation else None,
        "seconds": 1.0,
        "compute": {"forwards": 100 * trial.networks, "backwards": 100 * trial.networks},
    }
