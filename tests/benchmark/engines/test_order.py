"""Free workers do not all wait for one teacher."""

from __future__ import annotations

from pathlib import Path

from fernoise_bench.benchmark.engines.order import next_trial
from fernoise_bench.benchmark.training.teachers import PROBABILITIES
from fernoise_bench.benchmark.trial import Trial

from ...toy import toy_trial


def trials(out: Path) -> list[Trial]:
    """Two methods with the same teacher and one without any, at two seeds."""
    names = ("distillation", "distillation", "supervised")
    return [toy_trial(name, out, kind="multi", seed=seed) for seed in (0, 1) for name in names]


def finish(trial: Trial) -> None:
    for teacher in trial.teachers.values():
        teacher.folder.mkdir(parents=True)
        (teacher.folder / PROBABILITIES).touch()


def test_a_trial_whose_teacher_is_being_trained_waits_for_a_later_worker(tmp_path: Path) -> None:
    first, second, plain, other, *_ = trials(tmp_path)
    assert first.teachers, "the method has a teacher"
    assert next_trial([first, second], []) is first, "nobody trains it yet"
    assert next_trial([second, plain, other], [first]) is plain
    assert next_trial([second, other], [first]) is other, "the teacher of another seed is another"
    assert next_trial([second], [first]) is second, "there is nothing else to do"
    assert next_trial([second, plain], [plain]) is second


def test_a_trained_teacher_is_not_waited_for(tmp_path: Path) -> None:
    first, second, plain, *_ = trials(tmp_path)
    finish(first)
    assert next_trial([second, plain], [first]) is second
