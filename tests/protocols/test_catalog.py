"""The catalog: protocols under their fixed names, each consistent in itself."""

from __future__ import annotations

from dataclasses import fields

import pytest

from fernoise_bench.protocols.base import Augmentation, Protocol, Recipe
from fernoise_bench.protocols.catalog import PROTOCOLS, find
from fernoise_bench.protocols.datasets.catalog import NAMES
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.loading import DESIGNS

CASES = [(protocol, name) for protocol in PROTOCOLS.values() for name in protocol.profiles]
every = pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
every_profile = pytest.mark.parametrize(("protocol", "name"), CASES, ids=[f"{p.name}-{name}" for p, name in CASES])

FERPLUS = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"]


def test_protocols_are_found_by_their_fixed_names() -> None:
    fixed = {
        "emotionet-3split", "emotionet-3split-scratch", "bp4d-3fold", "disfa-3fold", "bp4d-3fold-plain",
        "disfa-3fold-plain", "rafdb-sym", "ferplus-sym", "affectnet-sym", "affectnet7-sym", "affectnet-auto",
        "fer2013-real", "ferplus-annotator",
    }  # fmt: skip
    assert fixed <= PROTOCOLS.keys()
    variants = {name for name in PROTOCOLS if ":" in name}
    assert PROTOCOLS.keys() == fixed | variants
    families = {"ferplus-votes", "cremad-face", "cremad-voice", "cremad-av"}
    assert {name.partition(":")[0] for name in variants} <= fixed | families
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert find(name) is protocol


def test_an_unknown_protocol_is_told_with_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"^unknown protocol 'bp4d-fold': did you mean bp4d-3fold"):
        find("bp4d-fold")


@every
def test_a_protocol_is_consistent(protocol: Protocol) -> None:
    assert protocol.version >= 1
    assert protocol.design in DESIGNS
    assert protocol.metric == {"single": "accuracy", "multi": "f1"}[protocol.kind]
    assert len(set(protocol.names)) == len(protocol.names)
    assert protocol.offers <= {"verified", "noise_rate", "aux"}
    assert list(protocol.levels) == sorted(set(protocol.levels))
    assert all(0 <= level < 1 for level in protocol.levels)
    assert len(set(protocol.folds)) == len(protocol.folds)
    if protocol.parts:
        assert tuple(dict.fromkeys(fold.partition(".")[0] for fold in protocol.folds)) == tuple(
            name for name, _ in protocol.parts
        )
    assert set(protocol.data) <= set(NAMES)
    assert len(protocol.rates) in (0, len(protocol.names))
    assert all(0 < rate < 1 for rate in protocol.rates)
    assert protocol.title
    assert {"training", "test", "papers"} <= dict(protocol.about).keys()


@every
def test_no_subject_is_in_two_parts(protocol: Protocol) -> None:
    subjects = [subject for _, part in protocol.parts for subject in part]
    assert len(set(subjects)) == len(subjects)


def test_bp4d_has_its_41_subjects_and_12_aus() -> None:
    protocol = find("bp4d-3fold")
    subjects = [subject for _, part in protocol.parts for subject in part]
    expected = {f"F{n:03}" for n in range(1, 24)} | {f"M{n:03}" for n in range(1, 19)}
    assert set(subjects) == expected
    assert [len(part) for _, part in protocol.parts] == [14, 14, 13]
    assert [int(name.removeprefix("AU")) for name in protocol.names] == [1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24]


def test_ferplus_classes_keep_the_order_of_the_votes() -> None:
    assert list(find("ferplus-sym").names) == FERPLUS
    assert list(find("fer2013-real").names) == FERPLUS[:7]
    assert find("ferplus-sym").levels == (0.0, 0.1, 0.2, 0.3, 0.4)


@every_profile
def test_a_recipe_is_consistent(protocol: Protocol, name: str) -> None:
    recipe = protocol.profile(name).recipe
    assert recipe.weights in ("none", "imagenet", "msceleb", "vggface2", "dlib")
    starts = {"small": ("small", "none"), "smoke": ("small", "none"), "transfer": ("dlib29", "dlib")}
    assert name == "paper" or (recipe.encoder, recipe.weights) == starts[name]
    assert recipe.epochs >= 1
    assert recipe.learning_rate > 0
    assert recipe.schedule != "constant" or recipe.decay == 1
    assert bool(recipe.milestones) == (recipe.schedule == "steps")
    assert bool(recipe.neck_factors) == bool(recipe.neck)
    if recipe.sampler == "fixed":
        assert 0 < recipe.verified_per_batch < recipe.batch_size
        assert "verified" in protocol.offers
    for low, high in (recipe.augmentation.scale, recipe.augmentation.erase_area):
        assert 0 < low <= high


@every_profile
def test_sources_name_values_of_the_recipe(protocol: Protocol, name: str) -> None:
    """Or, in plain words, what the recipe leaves out."""
    known = {f.name for f in fields(Recipe)} | {f"augmentation.{f.name}" for f in fields(Augmentation)}
    for names, source in protocol.profile(name).recipe.sources:
        owner, dot, rest = names.rpartition(".")
        parts = {f"{owner}{dot}{part.strip()}" for part in rest.split(",")}
        assert parts <= known or " " in names
        assert source


@every
def test_profiles_shrink(protocol: Protocol) -> None:
    small, smoke = protocol.small, protocol.smoke
    sizes = [(profile.size.train or 0) + (profile.size.noisy or 0) for profile in (small, smoke)]
    assert 2_400 <= sizes[0] <= 6_000
    assert sizes[1] <= 1_000
    assert smoke.recipe.epochs < small.recipe.epochs
    assert small.recipe.epochs <= 40
    assert small.recipe.augmentation.crop == smoke.recipe.augmentation.crop == 48


def test_disfa_has_its_27_subjects_and_8_aus() -> None:
    subjects = [subject for _, part in find("disfa-3fold").parts for subject in part]
    absent = {14, 15, 19, 20, 22}
    assert set(subjects) == {f"SN{n:03}" for n in range(1, 33) if n not in absent}
    assert [len(part) for _, part in find("disfa-3fold").parts] == [9, 9, 9]
    assert [int(name.removeprefix("AU")) for name in find("disfa-3fold").names] == [1, 2, 4, 6, 9, 12, 25, 26]


def test_affectnets_seven_and_eight_classes_are_protocols_of_their_own() -> None:
    eight, seven = find("affectnet-sym"), find("affectnet7-sym")
    assert eight.names == (*seven.names, "contempt")
    assert eight.paper.recipe.sampler == seven.paper.recipe.sampler == "oversample"
    assert eight.fingerprint("paper") != seven.fingerprint("paper")


def test_rhls_runs_five_times_and_tunes_on_eighteen_folds() -> None:
    for name in ("bp4d-3fold-plain", "disfa-3fold-plain"):
        plain, tune = find(name), find(f"{name}:tune")
        assert plain.runs == 5
        assert len(tune.folds) == 18
        assert tune.parts == plain.parts


@pytest.mark.parametrize("protocol", [p for p in PROTOCOLS.values() if p.noisy_labels_from], ids=lambda p: p.name)
def test_a_teacher_that_labels_rows_can_be_trained_on_what_is_verified(protocol: Protocol) -> None:
    assert "verified" in protocol.offers
    assert all(protocol.profile(name).size.noisy for name in protocol.profiles)
