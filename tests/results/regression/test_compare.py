from __future__ import annotations

from dataclasses import replace

import pytest

from fernoise_bench.results.regression.compare import (
    SAFETY,
    Measured,
    Reference,
    Trace,
    allowed,
    judge,
    reach_of_rounding,
    spread_over_seeds,
    tolerances,
)


def trace(loss: tuple[float | None, ...] = (2.0, 1.0), kept: tuple[int, ...] = (8, 6), right: float = 0.5) -> Trace:
    return {"loss": loss, "kept": kept, "forwards": (16, 16), "right": (right,)}


SEEDS = (trace(), trace((2.4, 1.6), (8, 4), 0.6), trace((2.2, 1.2), (8, 5), 0.55))
ECHOES = {0: [trace((2.001, 1.02), (8, 6), 0.502)], 1: [trace((2.4, 1.6), (8, 4), 0.6)]}
REFERENCE = Reference("digest", SEEDS, reach_of_rounding(SEEDS, ECHOES))


def measured(*traces: Trace | str, digest: str = "digest") -> Measured:
    return Measured(digest, dict(enumerate(traces)))


def test_the_same_numbers_are_ok() -> None:
    found = judge("p", "m", REFERENCE, measured(*SEEDS[:2]))
    assert (found.status, found.reason) == ("ok", "")
    assert found.score == pytest.approx(0.55)
    assert found.score == found.expected


def test_the_range_of_a_score_is_that_of_the_seeds_widened_by_itself() -> None:
    assert allowed([0.5, 0.6, 0.55]) == pytest.approx((0.4, 0.7))
    assert allowed([0.5, 0.6, 0.55], rounding=0.01) == pytest.approx((0.39, 0.71))
    assert allowed([0.1, 0.9]) == (0.0, 1.0)


def test_a_worse_score_is_broken_and_a_better_one_has_drifted() -> None:
    worse = judge("p", "m", REFERENCE, measured(trace(right=0.3), trace(right=0.4)))
    assert worse.status == "broken"
    assert "below 0.3920" in worse.reason
    better = judge("p", "m", REFERENCE, measured(trace(right=0.7), trace(right=0.75)))
    assert better.status == "drifted"
    assert "above 0.7080" in better.reason


def test_a_number_may_differ_as_far_as_echoes_reached_at_any_epoch_times_the_safety() -> None:
    """Rounding is amplified by jumps, and at which epoch they come differs from CPU to CPU."""
    just_inside = 2.0 + 0.99 * SAFETY * 0.02
    outside = 2.0 + 1.1 * SAFETY * 0.02
    other = trace((2.4 + 0.1, 1.6), (8, 4), 0.6)
    assert judge("p", "m", REFERENCE, measured(trace((just_inside, 1.0)), other)).status == "ok"
    found = judge("p", "m", REFERENCE, measured(trace((outside, 1.0)), other))
    assert found.status == "drifted"
    assert found.reason.startswith("loss of epoch 0 is 2.088, was 2")


def test_the_furthest_an_echo_moved_anything_counts_for_every_number() -> None:
    """Loss moved by 0.02 of a spread of 0.5: no other number is compared more strictly than by 0.04 spreads."""
    spreads = spread_over_seeds(SEEDS)
    assert spreads == pytest.approx({"loss": 0.5, "kept": 1.0, "forwards": 0.0, "right": 0.1})
    assert tolerances(REFERENCE) == pytest.approx({"loss": 0.08, "kept": 0.16, "forwards": 0.0, "right": 0.016})


def test_no_number_may_differ_by_more_than_seeds_explain_unless_its_own_echo_did() -> None:
    """Loss moved by 0.8 of its spread, four times which are 3.2; the others may differ by 2 of theirs."""
    far = Reference("digest", SEEDS, reach_of_rounding(SEEDS, {0: [trace((2.0, 1.4))], 1: []}))
    assert tolerances(far) == pytest.approx({"loss": 1.6, "kept": 2.0, "forwards": 0.0, "right": 0.2})


def test_where_rounding_hardly_grows_five_digits_have_to_agree() -> None:
    echoes = {0: [trace((2.0 + 1e-6, 1.0 + 1e-6))], 1: [SEEDS[1]]}
    reference = Reference("digest", SEEDS, reach_of_rounding(SEEDS, echoes))
    rounded, other = [
        measured(*({**seed, "loss": (seed["loss"][0], seed["loss"][1] + far)} for seed in SEEDS[:2]))  # type: ignore[operator]
        for far in (1e-5, 5e-5)
    ]
    assert judge("p", "m", reference, rounded).status == "ok"
    assert judge("p", "m", reference, other).status == "drifted"


def test_a_number_moved_by_echoes_alone_has_their_reach() -> None:
    reference = Reference("digest", (SEEDS[0],) * 2, {name: (0.5,) * len(series) for name, series in SEEDS[0].items()})
    assert tolerances(reference) == dict.fromkeys(SEEDS[0], 2.0)


def test_reach_is_the_furthest_so_far() -> None:
    falling = {0: [trace((2.02, 1.001))], 1: []}
    assert reach_of_rounding(SEEDS, falling)["loss"] == pytest.approx((0.02, 0.02))


def test_one_seed_alone_may_differ() -> None:
    assert judge("p", "m", REFERENCE, measured(trace((2.3, 1.0)), SEEDS[1])).status == "ok"
    assert judge("p", "m", REFERENCE, measured(trace((2.3, 1.0)), trace((2.6, 1.6), (8, 4), 0.6))).status == "drifted"


def test_what_no_seed_changes_has_to_be_equal() -> None:
    more = [{**seed, "forwards": (16, 32)} for seed in SEEDS[:2]]
    found = judge("p", "m", REFERENCE, measured(*more))
    assert found.status == "drifted"
    assert "forwards of epoch 1 is 32, was 16" in found.reason


def test_what_is_reported_is_part_of_the_numbers() -> None:
    silent = [{name: series for name, series in seed.items() if name != "kept"} for seed in SEEDS[:2]]
    assert "kept is reported no longer" in judge("p", "m", REFERENCE, measured(*silent)).reason
    talkative = [{**seed, "gap": (1.0, 1.0)} for seed in SEEDS[:2]]
    assert "gap is reported for the first time" in judge("p", "m", REFERENCE, measured(*talkative)).reason


def test_an_epoch_without_an_update_is_no_number() -> None:
    without = [{**seed, "loss": (None, *seed["loss"][1:])} for seed in SEEDS[:2]]
    assert "loss of epoch 0 is nothing, was 2" in judge("p", "m", REFERENCE, measured(*without)).reason


def test_a_run_that_ended_early_differs() -> None:
    short = [{**seed, "loss": seed["loss"][:1], "kept": seed["kept"][:1]} for seed in SEEDS[:2]]
    assert judge("p", "m", REFERENCE, measured(*short)).status == "drifted"


def test_no_result_is_broken_with_its_reason() -> None:
    found = judge("p", "m", REFERENCE, measured(SEEDS[0], "diverged: loss not finite"))
    assert (found.status, found.reason) == ("broken", "seed 1: diverged: loss not finite")


def test_new_and_missing() -> None:
    assert judge("p", "m", None, measured(SEEDS[0])).status == "new"
    assert judge("p", "m", REFERENCE, None).status == "missing"


def test_says_when_the_method_itself_did_not_change() -> None:
    other = [{**seed, "forwards": (1, 1)} for seed in SEEDS[:2]]
    assert "its own source is unchanged" in judge("p", "m", REFERENCE, measured(*other)).reason
    assert "its own source" not in judge("p", "m", REFERENCE, measured(*other, digest="new")).reason
    assert judge("p", "m", replace(REFERENCE, digest="old"), measured(*SEEDS[:2])).status == "ok"
