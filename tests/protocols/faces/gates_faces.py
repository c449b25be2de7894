"""Are the generated faces worth training on? Run with `make gates`: about 15 minutes on two cores, a line a gate.

Each gate trains at the small profile's recipe and size. What the lines say is about these faces, not about people.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fernoise_bench.benchmark.registry import find
from fernoise_bench.benchmark.settings import Settings
from fernoise_bench.benchmark.training.runner import WorkerContext, run_trial
from fernoise_bench.benchmark.trial import Job, Trial
from fernoise_bench.protocols.base import Protocol
from fernoise_bench.protocols.definitions.action_units import BP4D_3FOLD
from fernoise_bench.protocols.definitions.expressions import FERPLUS_SYM
from fernoise_bench.protocols.designs.action_units import binary
from fernoise_bench.protocols.faces.generate import Faces, FaceSpecification, automatic_annotator, faces
from fernoise_bench.protocols.loading import open_data
from fernoise_bench.protocols.rows import Array, CellData, Rows, describe_noise, rows
from fernoise_bench.results.records.record import Record, load_record

FRAMES = 6_027  # 147 of each of 41 subjects: 27 or 28 subjects give about 4,000 training frames
SEED = 0


class OneCell(WorkerContext):
    """A context with one cell."""

    def __init__(self, data: CellData) -> None:
        super().__init__()
        self.data = data

    def cell(self, trial: Trial) -> CellData:
        return self.data


def train(protocol: Protocol, data: CellData, out: Path, method: str = "supervised") -> Record:
    """A finished trial of a method on a cell at the small recipe."""
    recipe = protocol.small.recipe
    if data.train.verified.all() or not data.train.verified.any():
        recipe = replace(recipe, sampler="shuffle", verified_per_batch=0)
    settings = Settings("cpu", "fp32", "none", "", "", recipe)
    job = Job(protocol, "small", "generated", out, out, settings, "none", partial=False)
    trial = Trial(job, find(method), None, None, SEED)
    status = run_trial(trial, OneCell(data), lambda event: None)
    assert status["state"] == "done", status["reason"]
    return load_record(out, trial.folder)


def last(record: Record) -> float:
    """The headline at the last epoch, in percent."""
    score = record.scores["last"]
    assert score is not None
    return 100 * score.headline


def best(record: Record) -> float:
    """The headline at the epoch best on test, in percent."""
    score = record.scores["oracle"]
    assert score is not None
    return 100 * score.headline


def say(line: str) -> None:
    print(f"\n{line}")


@pytest.fixture(scope="module")
def spontaneous() -> tuple[Rows, Faces]:
    """Annotated frames of BP4D's 41 subjects, and the faces they come from."""
    subjects = tuple(subject for _, part in BP4D_3FOLD.parts for subject in part)
    specification = FaceSpecification(FRAMES, 48, subjects, BP4D_3FOLD.names, BP4D_3FOLD.rates, "aus")
    drawn = faces(specification, SEED)
    labels = binary(drawn.aus)
    return rows(drawn.images, labels, labels, group=drawn.subjects), drawn


@pytest.fixture(scope="module")
def unseen(spontaneous: tuple[Rows, Faces]) -> Array:
    """Whether a frame is of a subject of the test part."""
    return np.isin(spontaneous[0].group, dict(BP4D_3FOLD.parts)["part3"])


@pytest.fixture(scope="module")
def clean(spontaneous: tuple[Rows, Faces], unseen: Array, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Mean F1 on unseen subjects after training on clean labels."""
    frames, _ = spontaneous
    return last(train(BP4D_3FOLD, plain(frames, ~unseen, unseen), tmp_path_factory.mktemp("clean")))


def plain(frames: Rows, training: Array, test: Array) -> CellData:
    part = frames.take(training)
    return CellData(part, None, frames.take(test), describe_noise("none", None, part))


def test_clean_expressions_are_learnt(tmp_path: Path) -> None:
    protocol = replace(FERPLUS_SYM, names=FERPLUS_SYM.names[:7])
    record = train(protocol, open_data(protocol, "small", "generated", Path()).cell(None, 0.0, SEED), tmp_path)
    say(f"7 expressions, clean labels: accuracy {last(record):.1f} (gate: 90)")
    assert last(record) >= 90


def test_clean_action_units_are_learnt_on_unseen_subjects(clean: float) -> None:
    say(f"12 AUs, clean labels, unseen subjects: mean F1 {clean:.1f} (gate: 75)")
    assert clean >= 75


def test_seen_subjects_are_easier(spontaneous: tuple[Rows, Faces], unseen: Array, clean: float, tmp_path: Path) -> None:
    frames, _ = spontaneous
    mixed = np.random.default_rng(SEED).permutation(unseen)  # as many test frames, of subjects that train too
    overlapping = last(train(BP4D_3FOLD, plain(frames, ~mixed, mixed), tmp_path))
    say(f"12 AUs, subjects overlapping: mean F1 {overlapping:.1f}, exclusive {clean:.1f} (gate: overlapping higher)")
    assert overlapping > clean


def test_cross_entropy_memorises_symmetric_noise_and_falls(tmp_path: Path) -> None:
    data = open_data(FERPLUS_SYM, "small", "generated", Path()).cell(None, 0.4, SEED)
    record = train(FERPLUS_SYM, data, tmp_path)
    memorised = 100 * (record.audit_share("memorised", "predicted_wrong") or 0)
    fall = best(record) - last(record)
    say(f"40% noise: memorised {memorised:.0f}% (gate: 50), last {last(record):.1f}, {fall:.1f} below best (gate: 5)")
    assert memorised >= 50
    assert fall >= 5


def test_coder_labels_alone_are_worse_than_clean_ones(
    spontaneous: tuple[Rows, Faces], unseen: Array, clean: float, tmp_path: Path
) -> None:
    frames, drawn = spontaneous
    coded = frames.with_given(automatic_annotator(drawn, SEED))
    f1 = last(train(BP4D_3FOLD, plain(coded, ~unseen, unseen), tmp_path))
    say(f"12 AUs, labels of the automatic coder: mean F1 {f1:.1f}, clean {clean:.1f} (gate: 8 below)")
    assert clean - f1 >= 8


def test_noisy_faces_can_help_clean_ones(tmp_path: Path) -> None:
    data: Any = open_data(BP4D_3FOLD, "small", "generated", Path()).cell("part3", None, SEED)
    alone = last(train(BP4D_3FOLD, data, tmp_path / "alone", "supervised:clean"))
    both = last(train(BP4D_3FOLD, data, tmp_path / "both", "supervised:both"))
    say(f"bp4d-3fold part3: verified rows alone {alone:.1f}, with the noisy ones {both:.1f} (gate: higher)")
    assert both > alone


def test_two_hundred_faces_a_second() -> None:
    torch.set_num_threads(1)
    count = 1_000
    began = time.process_time()
    faces(FaceSpecification(count, 64), SEED)
    speed = count / (time.process_time() - began)
    say(f"drawing at 64 x 64: {speed:.0f} faces a second on one core (gate: 200)")
    assert speed >= 200
