"""Cards: everything that is hashed is on a protocol's card, each value of the recipe with its source."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fernoise_bench.benchmark.cards import method_rows, noise_rows, protocol_rows, recipe_rows
from fernoise_bench.benchmark.cli import main
from fernoise_bench.benchmark.method_summary import describe
from fernoise_bench.protocols import loading
from fernoise_bench.protocols.base import PROFILES, Protocol, Recipe, measured
from fernoise_bench.protocols.catalog import PROTOCOLS, find
from fernoise_bench.protocols.definitions.native_recipes import NATIVE
from fernoise_bench.protocols.loading import Data, open_data

every = pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
CASES = [(protocol, profile) for protocol in PROTOCOLS.values() for profile in protocol.profiles]
every_profile = pytest.mark.parametrize(("protocol", "profile"), CASES, ids=[f"{p.name}-{n}" for p, n in CASES])
# What a recipe does not use is hashed all the same, and not shown.
UNUSED = {"momentum", "decay", "milestones", "verified_per_batch", "neck_factors", "erase_area"}


def show(*words: str) -> Result:
    return CliRunner().invoke(main, ["show", "protocol", *words])


def card(protocol: Protocol, profile: str) -> list[tuple[str, str, str]]:
    """Without the fingerprints, which say that something differs and not what."""
    rows = [*protocol_rows(protocol, profile), *recipe_rows(protocol.profile(profile).recipe)]
    return [row for row in rows if not row[0].startswith("fingerprint")]


def other(value: Any) -> Any:
    """Another value that is of use in the same place."""
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, frozenset):
        return value | {"more"}
    if isinstance(value, tuple):
        return tuple(other(item) for item in value) if value else ("more",)
    return 7  # None


def changes(value: Any, skip: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """(name, copy with that one measured field changed), also of the parts a value is made of."""
    for name in measured(value).keys() - skip:
        part = getattr(value, name)
        if hasattr(part, "__dataclass_fields__"):
            for inner, changed in changes(part, skip):
                yield f"{name}.{inner}", replace(value, **{name: changed})
        else:
            yield name, replace(value, **{name: other(part)})


@every_profile
def test_whatever_is_hashed_is_on_the_card(protocol: Protocol, profile: str) -> None:
    """A change of any measured field changes a line of it."""
    before, tried = card(protocol, profile), 0
    of_others = frozenset(PROFILES) - {profile} | UNUSED | {"design", "kind", "metric", "folds", "parts", "name"}
    of_others |= {"rates"} if not protocol.rates else set()
    of_others |= {"options"} if protocol.option("tune") else set()
    for name, changed in changes(protocol, of_others):
        assert card(changed, profile) != before, name
        tried += 1
    assert tried > 20
    shown = {name: value for name, value, _ in before}
    assert {(f"option {name}", value) for name, value in protocol.options} <= shown.items()
    assert shown["design"] == protocol.design
    assert shown["metric"] == protocol.metric
    for fold in protocol.folds:
        assert f"fold {fold}" in shown or fold in shown["folds"]
    subjects = {row[2] for row in before if row[0].startswith("subjects, ")}
    assert subjects == {" ".join(part) for _, part in protocol.parts}
    for f in fields(Recipe):
        if f.name in UNUSED and f.name in shown:
            assert shown[f.name] != "none"


@every
def test_version_and_fingerprints_are_those_of_the_object(protocol: Protocol) -> None:
    result = show(protocol.name, "--json")
    assert result.exit_code == 0, result.output
    found = {row["name"]: row["value"] for row in json.loads(result.output)}
    assert found["version"] == str(protocol.version)
    assert {name: found[f"fingerprint, {name}"] for name in protocol.profiles} == {
        name: protocol.fingerprint(name) for name in protocol.profiles
    }
    text = show(protocol.name).output
    assert text.startswith(f"{protocol.name} v{protocol.version}  {protocol.title}  (")
    assert f"fingerprint {protocol.fingerprint('paper')}, paper profile" in text


@every
def test_the_metric_comes_with_its_rule_for_nothing_to_divide_by(protocol: Protocol) -> None:
    (rule,) = (remark for name, _, remark in protocol_rows(protocol, "paper") if name == "metric")
    assert ("0 where undefined" in rule) == (protocol.metric == "f1")


@every
def test_alignment_noise_and_papers_are_told(protocol: Protocol) -> None:
    rows = {name: (value, remark) for name, value, remark in protocol_rows(protocol, "paper")}
    assert rows["alignment"][0].startswith("none: ") == (not protocol.option("side"))
    assert all(rows["noise"])
    assert rows["papers"][0]
    assert all(rows["data"])


@every_profile
def test_every_value_of_a_recipe_has_a_source_of_its_own(protocol: Protocol, profile: str) -> None:
    """What a smaller profile changed is ours; what it kept has the paper's source still."""
    shown = {name: source for name, _, source in recipe_rows(protocol.profile(profile).recipe)}
    assert all(shown.values())
    paper = {name: source for name, _, source in recipe_rows(protocol.profile("paper").recipe)}
    if profile == "paper":
        assert "ours: the size of this profile" not in shown.values()
        return
    for name in ("encoder", "weights", "epochs", "batch_size", "augmentation.crop", "augmentation.jitter_probability"):
        assert shown[name] == "ours: the size of this profile"
    assert shown["optimizer"] == paper["optimizer"] != "unstated: ours"
    assert shown["augmentation.flip"] == paper["augmentation.flip"]


@pytest.mark.parametrize("name", NATIVE)
def test_a_native_recipe_is_shown_with_the_source_of_each_value(name: str) -> None:
    """No source is lost, and what trains is not said to be this project's choice."""
    rows = [row for row in method_rows(describe(name)) if row[0].startswith("native ")]
    assert {source for _, source in NATIVE[name].sources} <= {source for _, _, source in rows}
    sources = {what.removeprefix("native ").partition(",")[0]: source for what, _, source in rows}
    trains = (
        "encoder",
        "weights",
        "epochs",
        "batch_size",
        "optimizer",
        "learning_rate",
        "schedule",
        "augmentation.flip",
    )
    assert "unstated: ours" not in {sources[what] for what in trains}


def test_a_recipe_of_one_variant_alone_is_not_shown_for_its_method() -> None:
    shown = {
        name: [row for row in method_rows(describe(name)) if row[0].startswith("native ")]
        for name in ("cores", "cores:divided")
    }
    assert not shown["cores"]
    assert ("native learning_rate", "0.1") in [row[:2] for row in shown["cores:divided"]]
    assert any(row[0].startswith("native epochs") for row in method_rows(describe("resup:first-network")))


def test_a_papers_recipes_for_several_data_sets_are_all_shown() -> None:
    epochs = {what: value for what, value, _ in method_rows(describe("recot")) if what.startswith("native epochs")}
    assert epochs == {
        "native epochs, emotionet from imagenet": "70",
        "native epochs, emotionet from none": "70",
        "native epochs, bp4d, disfa": "25",
    }
    rates = {what: value for what, value, _ in method_rows(describe("rhls")) if "native learning_rate" in what}
    assert rates == {"native learning_rate, emotionet, bp4d": "5e-05", "native learning_rate, disfa": "1e-05"}


def test_subjects_of_each_fold_add_up() -> None:
    rows = {name: value for name, value, _ in protocol_rows(find("bp4d-3fold"), "paper")}
    assert (rows["fold part1"], rows["fold part3"]) == ("27 train, 14 test", "28 train, 13 test")
    rows = {name: value for name, value, _ in protocol_rows(find("bp4d-3fold"), "smoke")}
    assert rows["fold part1"] == "24 train, 3 validate, 14 test"
    rows = {name: value for name, value, _ in protocol_rows(find("disfa-3fold-plain:tune"), "paper")}
    assert rows["fold part2.6"] == "15 train, 3 test"


def test_sizes_are_told_for_every_profile() -> None:
    rows = {name: value for name, value, _ in protocol_rows(find("emotionet-3split"), "paper")}
    assert rows["size, paper"] == (
        "train 15,000, noisy 50,000, validation 0, test all, at most 240 px; "
        "generated (train/validation/test) 6,000/0/2,000 and noisy 8,000, 128 px"
    )
    rows = {name: value for name, value, _ in protocol_rows(find("bp4d-3fold"), "paper")}
    assert rows["size, smoke"] == (
        "train 328, noisy 160, validation 3 subjects, at most 48 px; "
        "generated (train/validation/test) 328/0/0 and noisy 160, 48 px"
    )


@pytest.mark.parametrize(
    "name", ["rafdb-sym:true-included", "bp4d-3fold-plain:flip", "emotionet-3split", "fer2013-real"]
)
def test_effective_noise_is_what_a_cell_of_generated_faces_has(name: str) -> None:
    protocol = find(name)
    result = show(name, "--synthetic", "--profile", "smoke", "--json")
    assert result.exit_code == 0, result.output
    found = {row["name"]: row["value"] for row in json.loads(result.output) if row["name"].startswith("effective")}
    data = open_data(protocol, "smoke", "generated", Path("nowhere"))
    fold = protocol.folds[0] if protocol.folds else None
    expected = {
        "effective noise" + ("" if level is None else f" at {level:g}"): data.cell(fold, level, 0).noise["realised"]
        for level in protocol.levels or (None,)
    }
    assert found == {name: f"{rate:.4f}" for name, rate in expected.items()}
    if "true-included" in name:
        assert float(found["effective noise at 0.4"]) < 0.39


def test_labels_of_a_teacher_are_not_known_before_a_trial() -> None:
    (row,) = noise_rows(find("bp4d-3fold"), "smoke")
    assert row[:2] == ("effective noise", "not known yet")
    rows = {name: value for name, value, _ in protocol_rows(find("bp4d-3fold"), "smoke")}
    assert rows["noisy labels from"] == "supervised:clean"


def test_without_generated_faces_nothing_is_drawn_and_the_paper_profile_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = []

    def draw(protocol: Protocol, profile: str, *rest: Any) -> Data:
        drawn.append(profile)
        return open_data(protocol, "smoke", *rest)

    monkeypatch.setattr(loading, "open_data", draw)
    text = show("bp4d-3fold-plain:flip").output
    assert "effective" not in text
    assert "paper profile" in text
    assert drawn == []
    assert "small profile" in show("fer2013-real", "--synthetic").output
    assert drawn == ["small"]
