"""Action units: who trains, validates and tests, and with which labels, on generated faces and on packs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fernoise_bench.protocols.base import Protocol
from fernoise_bench.protocols.catalog import find
from fernoise_bench.protocols.definitions.action_units import AU_PROTOCOLS
from fernoise_bench.protocols.designs import action_units as au
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.labels import EMOTIONET_AUS
from fernoise_bench.protocols.loading import Data, open_data
from fernoise_bench.protocols.rows import CellData, Origin, Rows, rows

from ..miniatures.pack import write_pack

Array = np.ndarray[Any, np.dtype[Any]]
WITH_PARTS = tuple(protocol for protocol in AU_PROTOCOLS if protocol.parts)
STRANGERS = tuple(protocol for protocol in AU_PROTOCOLS if not protocol.parts)
TUNED = tuple(protocol for protocol in AU_PROTOCOLS if protocol.option("tune"))
A_PART = st.sampled_from([(protocol, fold) for protocol in WITH_PARTS for fold in protocol.folds])
A_SPLIT = st.sampled_from([(protocol, fold) for protocol in STRANGERS for fold in protocol.folds])
PROFILES = ("paper", "small", "smoke")
PROFILE = st.sampled_from(PROFILES)


def labelled(count: int, width: int, seed: int = 0) -> Array:
    """AU labels in {-1, 0, +1}, one in five unknown."""
    return np.random.default_rng(seed).choice([-1, 0, 1], (count, width), p=[0.5, 0.2, 0.3]).astype(np.int8)


def black(labels: Array, group: Array | None = None, first_id: int = 0) -> Rows:
    """Rows of one black pixel."""
    return rows(np.zeros((len(labels), 1, 1, 3), np.uint8), labels, labels, first_id=first_id, group=group)


def loaded(protocol: Protocol, group: Array | None, count: int, wild: int) -> au.Loaded:
    """Faces as a protocol's loader leaves them, without a file."""
    width = len(protocol.names)
    annotated = black(labelled(count, width), group)
    annotated = replace(annotated, verified=np.full(count, "verified" in protocol.offers))
    given = np.zeros((wild, width), np.int8) if protocol.noisy_labels_from else labelled(wild, width, 1)
    noisy = replace(black(given, first_id=count), reference=np.zeros_like(given))
    noisy = replace(noisy, group=np.char.add("wild-", np.arange(wild).astype(str)))
    return au.Loaded(annotated, noisy, None, Origin("made", "published"))


def parts_of(cell: CellData) -> list[Rows]:
    return [part for part in (cell.train, cell.validation, cell.test) if part is not None]


def disjoint(cell: CellData, column: str) -> bool:
    found = [set(getattr(part, column).tolist()) for part in parts_of(cell)]
    return sum(map(len, found)) == len(set().union(*found))


# --- folds by subject


@given(chosen=A_PART, profile=PROFILE, frames=st.integers(1, 3), draw=st.integers(0, 3), data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_subject_is_in_two_parts_and_no_test_row_trains(
    chosen: tuple[Protocol, str], profile: str, frames: int, draw: int, data: st.DataObject
) -> None:
    """Also of a copy that lacks some subjects, in any order of its rows."""
    protocol, fold = chosen
    subjects = [subject for _, part in protocol.parts for subject in part]
    absent = data.draw(st.sets(st.sampled_from(subjects), max_size=2 if "." in fold else 8))
    group = np.repeat([subject for subject in subjects if subject not in absent], frames)
    group = np.random.default_rng(draw).permutation(group)
    everything = loaded(protocol, group, len(group), 30 if protocol.paper.size.noisy else 0)
    cell = au.cell(protocol, protocol.profile(profile), "real", everything, fold, None, draw)
    assert disjoint(cell, "group")
    assert disjoint(cell, "sample_id")
    part, _, sixth = fold.partition(".")
    named, tested = set(dict(protocol.parts)[part]), set(cell.test.group.tolist())
    assert (not tested & named) if sixth else tested == named - absent
    annotated = [row for rows in parts_of(cell) for row in rows.sample_id.tolist() if row < len(group)]
    of_others = ~np.isin(group, list(named))
    assert sorted(annotated) == (np.flatnonzero(of_others).tolist() if sixth else list(range(len(group))))


@pytest.mark.parametrize("protocol", TUNED, ids=lambda protocol: protocol.name)
@pytest.mark.parametrize("profile", PROFILES)
def test_tuning_tests_each_training_subject_once_and_never_looks_at_the_test_part(
    protocol: Protocol, profile: str
) -> None:
    subjects = np.array([subject for _, part in protocol.parts for subject in part])
    everything = loaded(protocol, subjects, len(subjects), 0)
    for part, named in protocol.parts:
        tested: list[str] = []
        for sixth in range(1, 7):
            cell = au.cell(protocol, protocol.profile(profile), "real", everything, f"{part}.{sixth}", None, 0)
            seen = {name for rows in parts_of(cell) for name in rows.group.tolist()}
            assert not seen & set(named)
            tested += cell.test.group.tolist()
        assert sorted(tested) == sorted(set(subjects.tolist()) - set(named))


def test_a_fold_without_a_row_to_test_or_train_is_told() -> None:
    protocol = find("bp4d-3fold-plain")
    group = np.array(dict(protocol.parts)["part1"])
    everything = loaded(protocol, group, len(group), 0)
    for fold, what in (("part2", "test"), ("part1", "training")):
        with pytest.raises(BadInput, match=f"^bp4d-3fold-plain, {fold}: no annotated row for {what}; this copy lacks"):
            au.cell(protocol, protocol.paper, "real", everything, fold, None, 0)


# --- strangers


@given(chosen=A_SPLIT, profile=PROFILE, count=st.integers(6, 3_500), draw=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_random_splits_are_disjoint_fixed_and_in_the_published_proportion(
    chosen: tuple[Protocol, str], profile: str, count: int, draw: int
) -> None:
    protocol, fold = chosen
    size = protocol.profile(profile).size
    everything = loaded(protocol, None, count, 40)
    cell = au.cell(protocol, protocol.profile(profile), "real", everything, fold, None, draw)
    assert disjoint(cell, "sample_id")
    trained = cell.train.take(cell.train.verified)
    held_out = 0 if cell.validation is None else int(cell.validation.verified.sum())
    most = (size.train or 15_000) + (size.validation or 0)
    assert len(trained) + held_out == min(most, round(count * 15_000 / 20_722))
    assert abs(held_out - len(trained) * (size.validation or 0) / (size.train or 15_000)) <= 1
    assert 0 < len(cell.test) <= (size.test or count)
    again = au.cell(protocol, protocol.profile(profile), "real", everything, fold, None, draw + 1)
    for one, other in zip(parts_of(cell), parts_of(again), strict=True):
        np.testing.assert_array_equal(one.sample_id, other.sample_id)


@pytest.mark.parametrize(("count", "train"), [(20_722, 15_000), (24_600, 15_000), (10_361, 7_500)])
def test_as_many_rows_train_as_in_the_paper(count: int, train: int) -> None:
    """15,000 of the 20,722 that could be fetched then; of fewer as large a share."""
    protocol = find("emotionet-3split")
    cells = [
        au.cell(protocol, protocol.paper, "real", loaded(protocol, None, count, 0), fold, None, 0)
        for fold in protocol.folds
    ]
    assert [(len(cell.train), cell.validation, len(cell.test)) for cell in cells] == [(train, None, count - train)] * 3
    tests = [set(cell.test.sample_id.tolist()) for cell in cells]
    assert len({frozenset(test) for test in tests}) == 3


# --- labels


@given(
    protocol=st.sampled_from([p for p in AU_PROTOCOLS if "flip" in p.noise]),
    level=st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.4]),
    draw=st.integers(0, 5),
)
@settings(max_examples=20, deadline=None)
def test_unknown_stays_unknown_whatever_is_flipped(protocol: Protocol, level: float, draw: int) -> None:
    group = np.repeat([subject for _, part in protocol.parts for subject in part], 5)
    everything = loaded(protocol, group, len(group), 0)
    cell = au.cell(protocol, protocol.smoke, "real", everything, "part3", level, draw)
    for part in parts_of(cell):
        np.testing.assert_array_equal(part.given == 0, part.reference == 0)
        np.testing.assert_array_equal(part.reference, everything.annotated.reference[part.sample_id])


# --- packs


def write_bp4d(root: Path, frames: int = 12) -> Array:
    """A pack of all subjects of BP4D, of more frames one after the other; its columns in another order. Its labels."""
    subjects = [subject for _, part in find("bp4d-3fold").parts for subject in part]
    group = np.concatenate([np.repeat(subject, frames + at % 3) for at, subject in enumerate(subjects)])
    labels = labelled(len(group), 12)
    pixels = np.random.default_rng(0).integers(0, 256, (len(group), 8, 8, 3), dtype=np.uint8)
    names = tuple(reversed(find("bp4d-3fold").names))
    part = np.full(len(group), "part1")
    write_pack(root / "packs/bp4d-240", names, labels, group, part, pixels=pixels)
    return labels[:, ::-1]


def write_emotionet(root: Path, manual: int = 30, automatic: int = 200) -> Array:
    labels = labelled(manual + automatic, len(EMOTIONET_AUS), 1)
    part = np.repeat(["manual", "automatic"], [manual, automatic])
    write_pack(root / "packs/emotionet-240", EMOTIONET_AUS, labels, np.arange(len(labels)).astype(str), part)
    return labels


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Array, Array]:
    root = tmp_path_factory.mktemp("data")
    return root, write_bp4d(root), write_emotionet(root)


def opened(name: str, root: Path, profile: str = "smoke") -> Data:
    return open_data(find(name), profile, "real", root)


def test_a_small_real_profile_takes_the_same_frames_of_each_subject(packed: tuple[Path, Array, Array]) -> None:
    root, _, _ = packed
    data = opened("bp4d-3fold-plain", root)
    annotated = data.loaded.annotated
    frames = 328 // 41
    assert set(np.unique(annotated.group, return_counts=True)[1].tolist()) == {frames}
    for fold in data.protocol.folds:
        found = np.concatenate([part.sample_id for part in parts_of(data.cell(fold, None, 0))])
        assert sorted(found.tolist()) == annotated.sample_id.tolist()
    np.testing.assert_array_equal(opened("bp4d-3fold", root).loaded.annotated.sample_id, annotated.sample_id)
    assert len(opened("bp4d-3fold-plain", root, "paper").loaded.annotated) == sum(12 + at % 3 for at in range(41))


def test_columns_are_found_by_name_and_pictures_stay_with_their_rows(packed: tuple[Path, Array, Array]) -> None:
    root, labels, _ = packed
    cell = opened("bp4d-3fold-plain", root).cell("part2", None, 0)
    faces = np.load(root / "packs/bp4d-240/faces.npy")
    for part in parts_of(cell):
        np.testing.assert_array_equal(part.given, labels[part.sample_id])
        np.testing.assert_array_equal(part.images.read(), faces[part.sample_id])


def test_the_noisy_set_is_the_automatic_part_and_waits_for_its_teacher(packed: tuple[Path, Array, Array]) -> None:
    root, _, _ = packed
    data = opened("bp4d-3fold", root)
    cell = data.cell("part1", None, 0)
    assert cell.validation is not None
    noisy = [part.take(~part.verified) for part in (cell.train, cell.validation)]
    assert sum(map(len, noisy)) == data.protocol.smoke.size.noisy == 160
    assert not any(part.given.any() or part.reference.any() for part in noisy)
    assert disjoint(cell, "sample_id")
    assert cell.noise["realised"] is None


def test_any_face_serves_where_a_copy_has_no_automatic_part_unless_its_labels_are_needed(tmp_path: Path) -> None:
    write_bp4d(tmp_path)
    write_emotionet(tmp_path, manual=50, automatic=0)
    assert len(opened("bp4d-3fold", tmp_path).loaded.noisy) == 50
    with pytest.raises(BadInput, match="no picture with automatic labels, which emotionet-3split needs for training"):
        opened("emotionet-3split", tmp_path)


def test_automatic_labels_are_given_and_nobody_judged_them(packed: tuple[Path, Array, Array]) -> None:
    root, _, labels = packed
    wild = opened("emotionet-3split", root).loaded.noisy
    assert len(wild) == 160
    assert not wild.reference.any()
    known = {tuple(row) for row in labels[30:].tolist()}
    assert {tuple(row) for row in wild.given.tolist()} <= known


def test_an_au_a_data_set_does_not_code_is_unknown_throughout(packed: tuple[Path, Array, Array]) -> None:
    root, _, labels = packed
    protocol = replace(find("bp4d-3fold"), noisy_labels_from="")
    wild = open_data(protocol, "smoke", "real", root).loaded.noisy
    for column, name in enumerate(protocol.names):
        if name in EMOTIONET_AUS:
            shares = [(wild.given[:, column] == value).mean() for value in (-1, 0, 1)]
            own = labels[30:, EMOTIONET_AUS.index(name)]
            assert np.abs(np.array(shares) - [(own == value).mean() for value in (-1, 0, 1)]).max() < 0.1
        else:
            assert not wild.given[:, column].any()


def test_a_copy_that_is_not_as_published_is_refused(tmp_path: Path) -> None:
    labels = labelled(10, 12)
    group, part = np.full(10, "F001"), np.full(10, "part1")
    write_pack(tmp_path / "packs/bp4d-240", find("bp4d-3fold").names, labels, group, part, published=False)
    with pytest.raises(BadInput, match="add --partial"):
        opened("bp4d-3fold-plain", tmp_path)
    found = open_data(find("bp4d-3fold-plain"), "paper", "real", tmp_path, partial=True)
    assert len(found.loaded.annotated) == 10
    assert found.identity.origin.digest != "published"
