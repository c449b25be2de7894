"""The audit counts what a method did with wrong labels, as a loop over entries does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fernoise_bench.benchmark.training.audit.auditor import BLOCK, BY_CLASS, COUNTS, Auditor
from fernoise_bench.methods.base import Batch, Kind, Step

CLASSES, AUS, ROWS, NETWORKS = 3, 2, 20, 2


def make_batch(index: np.ndarray, given_labels: np.ndarray) -> Batch:
    rows = len(index)
    generator = torch.Generator()
    verified = torch.zeros(rows, dtype=torch.bool)
    labels = torch.from_numpy(given_labels)
    return Batch(torch.from_numpy(index), (), labels, verified, None, None, 0, 0, generator)


def entries(kind: Kind, index: np.ndarray) -> list[tuple[int, ...]]:
    """Positions in the batch: rows, or rows and AUs."""
    rows = range(len(index))
    return [(row,) for row in rows] if kind == "single" else [(row, au) for row in rows for au in range(AUS)]


def label_of(kind: Kind, values: np.ndarray, place: tuple[int, ...], *, soft: bool) -> int:
    """The label that a prediction or target says at a place."""
    if not soft:
        return int(values[place])
    if kind == "single":
        return int(np.argmax(values[place[0]]))
    return 1 if values[place] >= 0.5 else -1


def counted(
    kind: Kind, reference: np.ndarray, index: np.ndarray, labels: np.ndarray, step: dict[str, np.ndarray]
) -> dict[str, int]:
    """The counts of a step, entry by entry."""
    counts = dict.fromkeys(COUNTS, 0)
    for place in entries(kind, index):
        true, said = int(reference[(index[place[0]], *place[1:])]), int(labels[place])
        if true < 0 if kind == "single" else true == 0 or said == 0:
            continue
        right = true == said
        counts["entries"] += 1
        counts["wrong"] += not right
        if "probabilities" in step:
            predicted = label_of(kind, step["probabilities"], place, soft=True)
            counts["predicted"] += 1
            counts["predicted_wrong"] += not right
            counts["memorised"] += not right and predicted == said
            counts["recovered"] += not right and predicted == true
        for network in range(NETWORKS):
            if "weight" in step:
                weight = step["weight"][network]
                kept = weight[place if weight.ndim == len(place) else place[:1]] > 0
                if "target" in step:
                    target = step["target"][network]
                    kept = kept and label_of(kind, target, place, soft=target.dtype.kind == "f") == said
                counts["judged"] += 1
                counts["right"] += right
                counts["kept"] += kept
                counts["kept_right"] += kept and right
            if "target" in step:
                target = step["target"][network]
                new = label_of(kind, target, place, soft=target.dtype.kind == "f")
                counts["targets"] += 1
                counts["targets_right"] += right
                counts["changed"] += new != said
                counts["changed_right"] += new != said and new == true
                counts["damaged"] += new != said and right
    return counts


def expected_report(counts: dict[str, int], step: dict[str, np.ndarray]) -> dict[str, int]:
    """What an epoch's line holds: nothing of what was not reported."""
    absent: set[str] = set()
    if not counts["predicted"]:
        absent |= {"predicted", "predicted_wrong", "memorised", "recovered"}
    if not counts["judged"]:
        absent |= {"judged", "right", "kept", "kept_right"}
    if not counts["targets"]:
        absent |= {"targets", "targets_right", "changed", "changed_right", "damaged"}
    return {name: count for name, count in counts.items() if name not in absent}


def audited(
    kind: Kind,
    reference: np.ndarray,
    index: np.ndarray,
    given: np.ndarray,
    step: dict[str, np.ndarray],
    times: int = 1,
) -> dict[str, int]:
    """What the auditor counts of the same step, several times over."""
    width = CLASSES if kind == "single" else AUS
    auditor = Auditor(torch.from_numpy(given), torch.from_numpy(reference), kind, width)
    reported: dict[str, Any] = {name: torch.from_numpy(value) for name, value in step.items()}
    for _ in range(times):
        auditor.watch(torch.from_numpy(index), Step(None, **reported))
    found, apart = auditor.epoch_counts()
    assert auditor.epoch_counts()[0]["entries"] == 0  # the next epoch starts at nothing
    assert {name: sum(counts) for name, counts in apart.items()} == {n: found[n] for n in BY_CLASS if n in found}
    assert all(len(counts) == width for counts in apart.values())
    return found


def drawn_case(
    kind: Kind, seed: int, parts: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Reference, index, given labels and a report, with unknown references and repeated rows."""
    generator = np.random.default_rng(seed)
    index = generator.integers(0, ROWS, size=9)
    step: dict[str, np.ndarray] = {}
    if kind == "single":
        reference = generator.integers(-1, CLASSES, size=ROWS)
        given = np.where(generator.random(ROWS) < 0.5, reference.clip(0), generator.integers(0, CLASSES, ROWS))
        shape: tuple[int, ...] = (9,)
        step["probabilities"] = generator.dirichlet(np.ones(CLASSES), size=9).astype(np.float32)
        soft = generator.random((NETWORKS, 9, CLASSES)).astype(np.float32)
        hard = generator.integers(0, CLASSES, size=(NETWORKS, 9))
    else:
        reference = generator.integers(-1, 2, size=(ROWS, AUS))
        other = generator.integers(-1, 2, (ROWS, AUS))
        given = np.where(generator.random((ROWS, AUS)) < 0.5, reference, other)
        shape = (9, AUS)
        step["probabilities"] = generator.choice([0.2, 0.5, 0.8], size=(9, AUS)).astype(np.float32)
        soft = generator.choice([0.2, 0.5, 0.8], size=(NETWORKS, 9, AUS)).astype(np.float32)
        hard = generator.choice([-1, 1], size=(NETWORKS, 9, AUS))
    weights = {"entry": (NETWORKS, *shape), "row": (NETWORKS, 9)}
    choices = [part for part in parts if part in weights]
    if choices:
        step["weight"] = generator.choice([0.0, 0.3, 1.0], size=weights[choices[0]]).astype(np.float32)
    if "soft" in parts or "hard" in parts:
        step["target"] = soft if "soft" in parts else hard
    if "probabilities" not in parts:
        del step["probabilities"]
    return reference, index, given, step


REPORTS = [
    (),
    ("probabilities",),
    ("row",),
    ("entry",),
    ("hard",),
    ("soft",),
    ("probabilities", "row", "hard"),
    ("probabilities", "entry", "soft"),
]


@pytest.mark.parametrize("parts", REPORTS, ids="+".join)
@pytest.mark.parametrize("kind", ["single", "multi"])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_counts_are_those_of_a_loop_over_entries(kind: Kind, parts: tuple[str, ...], seed: int) -> None:
    reference, index, given, step = drawn_case(kind, seed, parts)
    counts = counted(kind, reference, index, given[index], step)
    assert audited(kind, reference, index, given, step) == expected_report(counts, step)


def test_steps_add_up() -> None:
    reference, index, given, step = drawn_case("multi", 3, ("probabilities", "entry", "soft"))
    once = audited("multi", reference, index, given, step)
    assert audited("multi", reference, index, given, step, times=3) == {name: 3 * n for name, n in once.items()}


def test_a_worked_example() -> None:
    """Row 0 right and damaged; 1 wrong, memorised and kept; 2 wrong, recovered, put right, left out; 3 unknown."""
    reference, index = np.array([0, 1, 2, -1]), np.arange(4)
    labels = np.array([0, 0, 0, 0])
    step = {
        "probabilities": np.eye(3, dtype=np.float32)[[1, 0, 2, 2]],
        "weight": np.array([[1.0, 1.0, 0.0, 1.0]], dtype=np.float32),
        "target": np.array([[1, 0, 2, 2]]),
    }
    auditor = Auditor(torch.from_numpy(labels), torch.from_numpy(reference), "single", 3)
    reported: dict[str, Any] = {name: torch.from_numpy(value) for name, value in step.items()}
    auditor.watch(torch.from_numpy(index), Step(None, **reported))
    found, apart = auditor.epoch_counts()
    assert found == {
        "entries": 3, "wrong": 2, "predicted": 3, "predicted_wrong": 2, "memorised": 1, "recovered": 1,
        "judged": 3, "right": 1, "kept": 1, "kept_right": 0,
        "targets": 3, "targets_right": 1, "changed": 2, "changed_right": 1, "damaged": 1,
    }  # fmt: skip
    assert apart == {
        "entries": [1, 1, 1], "wrong": [0, 1, 1], "predicted_wrong": [0, 1, 1], "memorised": [0, 1, 0],
        "right": [1, 0, 0], "kept_right": [0, 0, 0], "targets_right": [1, 0, 0], "damaged": [1, 0, 0],
    }  # fmt: skip


def test_action_units_are_counted_apart() -> None:
    """Of AU 0 the first row is wrong and left out, the second right; of AU 1 the first is unknown, the second right."""
    reference, labels = torch.tensor([[1, 0], [1, -1]]), torch.tensor([[-1, 1], [1, -1]])
    auditor = Auditor(labels, reference, "multi", 2)
    auditor.watch(torch.arange(2), Step(None, weight=torch.tensor([[[0.0, 1.0], [1.0, 1.0]]])))
    _, apart = auditor.epoch_counts()
    assert apart == {"entries": [2, 1], "wrong": [1, 0], "right": [1, 1], "kept_right": [1, 1]}


def test_what_carries_a_gradient_is_counted_without_it() -> None:
    auditor = Auditor(torch.arange(3), torch.zeros(3, dtype=torch.int64), "single", CLASSES)
    logits = torch.randn(3, CLASSES, requires_grad=True)
    step = Step(logits.sum(), logits.softmax(1), torch.ones(1, 3), logits.softmax(1)[None])
    auditor.watch(torch.arange(3), step)
    assert auditor.epoch_counts()[0]["entries"] == 3


def test_an_epoch_without_known_references_counts_nothing() -> None:
    reference = np.full(ROWS, -1)
    _, index, labels, step = drawn_case("single", 0, ("probabilities", "row", "hard"))
    assert set(audited("single", reference, index, labels, step).values()) == {0}


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_steps_that_report_different_things_add_up_over_many_blocks(kind: Kind) -> None:
    """As in methods that keep or relabel from some epoch or step on; each step of a batch of its own size."""
    cases = [(parts, seed) for seed in range(3 * BLOCK // len(REPORTS)) for parts in REPORTS]
    reference, _, given, _ = drawn_case(kind, 0, ())
    auditor = Auditor(torch.from_numpy(given), torch.from_numpy(reference), kind, CLASSES if kind == "single" else AUS)
    total = dict.fromkeys(COUNTS, 0)
    for parts, seed in cases:
        _, index, _, step = drawn_case(kind, seed, parts)
        rows = slice(seed % 5, None)
        index = index[rows]
        step = {name: value[rows] if name == "probabilities" else value[:, rows] for name, value in step.items()}
        reported: dict[str, Any] = {name: torch.from_numpy(value) for name, value in step.items()}
        auditor.watch(torch.from_numpy(index), Step(None, **reported))
        for name, count in counted(kind, reference, index, given[index], step).items():
            total[name] += count
    assert auditor.epoch_counts()[0] == total


def test_what_a_method_writes_to_its_report_later_changes_no_count() -> None:
    report = {"probabilities": torch.eye(3), "weight": torch.ones(1, 3), "target": torch.zeros(1, 3, dtype=torch.long)}
    counts = []
    for later in (False, True):
        auditor = Auditor(torch.zeros(3, dtype=torch.int64), torch.arange(3), "single", CLASSES)
        step = {name: value.clone() for name, value in report.items()}
        auditor.watch(torch.arange(3), Step(None, **step))  # type: ignore[arg-type]
        for value in step.values() if later else ():
            value.copy_(1 - value)
        counts.append(auditor.epoch_counts())
    assert counts[0] == counts[1]
