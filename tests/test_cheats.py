"""Methods that cheat, each caught by the conformance suite with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fernoise_bench.benchmark.conformance.checks import NotConforming
from fernoise_bench.benchmark.registry import find
from fernoise_bench.protocols.base import Kind

from . import test_conformance as conformance
from .toy import run_epochs, start

Check = Callable[[str, Kind, Path], None]
CHEATS: dict[str, tuple[Check, str]] = {
    "looks_for_references": (conformance.test_learns_from_what_it_is_handed_alone, "reference labels or test rows"),
    "trains_on_test_rows": (conformance.test_learns_from_what_it_is_handed_alone, "reference labels or test rows"),
    "reads_the_data_root": (conformance.test_opens_nothing_while_it_trains, "fer2013"),
    "reads_other_trials": (conformance.test_opens_nothing_while_it_trains, "fernoise-runs"),
    "cheats_after_a_warm_up": (conformance.test_learns_from_what_it_is_handed_alone, "reference labels or test rows"),
    "reads_after_a_warm_up": (conformance.test_opens_nothing_while_it_trains, "fernoise-runs"),
    "answers_with_test_labels": (conformance.test_learns_from_what_it_is_handed_alone, "has found test labels"),
    "answers_with_test_votes": (conformance.test_learns_from_what_it_is_handed_alone, "has found test labels"),
    "reads_an_undeclared_transition": (
        conformance.test_learns_from_what_it_is_handed_alone,
        "reads task.transition, which it is not told: name 'transition' among its needs",
    ),
    "steps_a_parameter_itself": (
        conformance.test_all_state_is_parameters_and_buffers,
        "state outside parameters and buffers",
    ),
    "has_a_network_of_its_own": (
        conformance.test_same_seed_same_state_other_seed_other_state,
        "has no encoder of the protocol's",
    ),
    "starts_a_shell": (conformance.test_opens_nothing_while_it_trains, "os.system"),
    "reads_shipped_records": (conformance.test_opens_nothing_while_it_trains, "reference"),
    "reads_in_a_thread": (conformance.test_opens_nothing_while_it_trains, "ferplus"),
    "draws_from_the_global_generator": (
        conformance.test_does_not_draw_from_the_global_generator,
        "torch's global generator",
    ),
    "keeps_state_elsewhere": (
        conformance.test_all_state_is_parameters_and_buffers,
        "state outside parameters and buffers",
    ),
    "keeps_state_in_its_module": (
        conformance.test_all_state_is_parameters_and_buffers,
        "state outside parameters and buffers",
    ),
}
FOLDER = Path(__file__).with_name("cheats")


def test_every_cheat_is_tried() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == set(CHEATS)


FIRST = {check: name for name, (check, _) in reversed(CHEATS.items())}  # one cheat for each check at every push
CASES = [
    *(pytest.param(name, "single", marks=[] if name in FIRST.values() else [pytest.mark.weekly]) for name in CHEATS),
    *(pytest.param(name, "multi", marks=pytest.mark.weekly) for name in CHEATS),
]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_cheat_is_caught_with_the_reason(name: str, kind: Kind, tmp_path: Path) -> None:
    check, reason = CHEATS[name]
    with pytest.raises(NotConforming, match=reason):
        check(f"{FOLDER / name}.py:Cheat", kind, tmp_path)


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_is_a_method_like_any_other(name: str, tmp_path: Path) -> None:
    """It is caught for what it does, not for failing to run."""
    spec = find(f"{FOLDER / name}.py:Cheat")
    training = start(f"{FOLDER / name}.py:Cheat", "single", tmp_path)
    assert spec.needs == {"single", "multi"}
    assert run_epochs(training, (0,))[0] is not None
