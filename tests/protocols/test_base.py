"""Protocols are frozen, fingerprinted by what they measure, and refuse folds and levels they do not have."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernoise_bench.protocols.base import PROFILES, Augmentation, Profile, Protocol, Recipe, Size, measured
from fernoise_bench.protocols.errors import BadInput, unknown

RECIPE = Recipe("small", "none", 3, 32, Augmentation(crop=48), sources=(("epochs", "ours"),))
PROFILE = Profile(RECIPE, Size(train=100, noisy=10, validation=20, test=30))
PROTOCOL = Protocol(
    name="toy",
    version=1,
    design="toy",
    kind="multi",
    names=("AU1", "AU2"),
    data=("bp4d",),
    metric="f1",
    noise="flips",
    paper=PROFILE,
    small=PROFILE,
    smoke=PROFILE,
    transfer=PROFILE,
    offers=frozenset({"verified", "aux", "noise_rate"}),
    levels=(0.0, 0.2, 0.4),
    folds=("part1", "part2", "part3"),
    parts=(("part1", ("F001",)), ("part2", ("F002",)), ("part3", ("F003",))),
    rates=(0.2, 0.5),
    options=(("rows", "all"),),
    title="A title",
    about=(("training", "words"),),
)
WITHOUT = replace(PROTOCOL, levels=(), folds=(), parts=())
DOCUMENTATION = {"title", "about", "sources", "runs", "own"}


def other(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, frozenset):
        return value | {"more"}
    if isinstance(value, tuple):
        return (*value, *value[-1:]) if value else ("more",)
    return 7  # None


def changed_parts(value: Any) -> Iterator[tuple[str, Any]]:
    """(name, copy with that one field changed) for every field, also of the parts a value is made of."""
    for each in fields(value):
        part = getattr(value, each.name)
        if hasattr(part, "__dataclass_fields__"):
            for name, changed in changed_parts(part):
                yield f"{each.name}.{name}", replace(value, **{each.name: changed})
        else:
            yield each.name, replace(value, **{each.name: other(part)})


CHANGES = list(changed_parts(PROTOCOL))


def refusal(work: Any) -> str:
    with pytest.raises(BadInput) as caught:
        work()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- the fingerprint


def test_every_field_of_every_part_is_tried() -> None:
    assert len(CHANGES) == len(dict(CHANGES)) > 80


@pytest.mark.parametrize(("name", "changed"), CHANGES, ids=[name for name, _ in CHANGES])
def test_the_fingerprint_changes_with_what_is_measured_and_with_nothing_else(name: str, changed: Protocol) -> None:
    """Documentation does not count, nor does another profile's recipe or size."""
    assert changed != PROTOCOL
    first, _, last = name.partition(".")
    for profile in PROFILES:
        of_another = first in PROFILES and first != profile
        same = changed.fingerprint(profile) == PROTOCOL.fingerprint(profile)
        assert same == (of_another or last.rpartition(".")[2] in DOCUMENTATION or name in DOCUMENTATION)


def test_the_fingerprint_is_16_hex_digits_and_no_accident_of_the_process() -> None:
    """Sets have no order of their own: another hash seed must not matter."""
    script = (
        "from fernoise_bench.protocols.catalog import *; print(*(p.fingerprint('small') for p in PROTOCOLS.values()))"
    )
    lines = {
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    (found,) = lines
    assert all(len(fingerprint) == 16 and int(fingerprint, 16) >= 0 for fingerprint in found.split())
    assert len(set(found.split())) == len(found.split())


def test_measured_is_plain_data() -> None:
    assert measured(Size(train=3)) == {
        "train": 3, "noisy": None, "validation": None, "test": None, "side": 48, "generated": [0, 0, 0],
    }  # fmt: skip
    assert measured(frozenset({"b", "a"})) == ["a", "b"]
    assert measured(PROTOCOL)["parts"][0] == ["part1", ["F001"]]


def test_a_younger_field_counts_unless_it_has_its_default() -> None:
    """So that protocols released before it keep their fingerprints."""
    for older, changed in (
        (PROTOCOL, replace(PROTOCOL, noisy_labels_from="supervised:clean")),
        (RECIPE, replace(RECIPE, neck="attention")),
        (Size(), replace(Size(), generated_side=48)),
    ):
        younger = {each.name for each in fields(older) if each.metadata.get("added")}
        assert younger
        assert not younger & measured(older).keys()
        (found,) = measured(changed).keys() - measured(older).keys()
        assert found in younger


def test_protocols_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        PROTOCOL.version = 2  # type: ignore[misc]


# --- folds


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ((), ("part1", "part2", "part3")),
        (("2",), ("part2",)),
        (("part2",), ("part2",)),
        (("3", "part1"), ("part3", "part1")),
        (("1", "part1", "1"), ("part1",)),
    ],
)
def test_folds_are_chosen_by_name_or_number(asked: tuple[str, ...], chosen: tuple[str, ...]) -> None:
    assert PROTOCOL.choose_folds(asked) == chosen


@pytest.mark.parametrize("fold", ["4", "0", "-1", "1.0", "part4", "Part1", ""])
def test_a_fold_that_does_not_exist_is_told_with_those_that_do(fold: str) -> None:
    message = refusal(lambda: PROTOCOL.choose_folds(("1", fold)))
    assert message == f"--fold {fold}: toy has the folds part1, part2, part3"


def test_a_fixed_split_has_one_cell_and_no_folds() -> None:
    assert WITHOUT.choose_folds(()) == (None,)
    assert refusal(lambda: WITHOUT.choose_folds(("1",))) == "--fold 1: toy has one fixed split; leave --fold out"


# --- levels


@pytest.mark.parametrize(
    ("asked", "chosen"), [((), (0.0, 0.2, 0.4)), ((0.4, 0.2), (0.4, 0.2)), ((0.2, 0.2), (0.2,)), ((0,), (0,))]
)
def test_levels_are_chosen_in_the_order_asked_for(asked: tuple[float, ...], chosen: tuple[float, ...]) -> None:
    assert PROTOCOL.choose_levels(asked) == chosen


@given(level=st.floats().filter(lambda level: not 0 <= level < 1))
def test_a_level_outside_its_range_is_refused_by_every_protocol(level: float) -> None:
    for protocol in (PROTOCOL, WITHOUT):
        message = refusal(lambda protocol=protocol: protocol.choose_levels((0.2, level)))
        assert ": a noise level lies in [0, 1)" in message


def test_a_level_in_percent_is_told_as_a_share() -> None:
    message = "--noise 40: a noise level lies in [0, 1); did you mean 0.4?"
    assert refusal(lambda: PROTOCOL.choose_levels((40.0,))) == message
    assert refusal(lambda: PROTOCOL.choose_levels((30.0,))) == "--noise 30: a noise level lies in [0, 1)"


@given(level=st.floats(0, 1, exclude_max=True).filter(lambda level: level not in PROTOCOL.levels))
def test_a_level_the_protocol_does_not_have_is_told_with_those_it_has(level: float) -> None:
    message = refusal(lambda: PROTOCOL.choose_levels((level,)))
    assert message == f"--noise {level:g}: toy has the levels 0.0, 0.2, 0.4"


def test_noise_without_a_level_has_one_cell_and_no_levels() -> None:
    assert WITHOUT.choose_levels(()) == (None,)
    expected = "--noise: the noise of toy has no level (flips); leave --noise out"
    assert refusal(lambda: WITHOUT.choose_levels((0.2,))) == expected


# --- profiles, options, names


def test_profiles_and_options_are_found_by_name() -> None:
    assert [PROTOCOL.profile(name) for name in PROFILES] == [PROTOCOL.paper, PROFILE, PROTOCOL.small, PROTOCOL.smoke]
    without = replace(PROTOCOL, transfer=None)
    assert without.profiles == ("paper", "small", "smoke")
    told = "--profile transfer: toy has the profiles paper, small, smoke"
    assert refusal(lambda: without.profile("transfer")) == told
    assert refusal(lambda: PROTOCOL.profile("smal")) == "unknown profile 'smal': did you mean small?"
    assert PROTOCOL.option("rows") == "all"
    assert PROTOCOL.option("columns") == ""


def test_unknown_names_are_told_with_at_most_three_near_ones() -> None:
    known = ["supervised", "ensemble", "mean_teacher", "meat_teacher", "near_teacher", "mean_teaches"]
    assert str(unknown("method", "mean_teacher_", known)).count(" or ") == 2
    assert str(unknown("method", "qqq", known)) == f"unknown method 'qqq': known: {', '.join(sorted(known))}"
