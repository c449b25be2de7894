"""Cells: which rows train, validate and test, and with which labels."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fernoise_bench.protocols.base import Protocol
from fernoise_bench.protocols.catalog import PROTOCOLS, find
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.loading import Data, open_data
from fernoise_bench.protocols.rows import CellData, Rows, fixed_choice, join, rows

from .twins import NOWHERE, Twins, every_protocol

ROOT = Path(os.environ.get("FERNOISE_DATA", ""))
FOLDS = find("bp4d-3fold").folds
real = [
    pytest.mark.data,
    pytest.mark.skipif(
        "FERNOISE_DATA" not in os.environ or not (ROOT / "ferplus").is_dir(),
        reason="the real FER2013 and FER+ files are not under FERNOISE_DATA",
    ),
]


@pytest.fixture(scope="module")
def generated() -> Twins:
    return Twins()


@pytest.fixture(scope="module")
def aus(generated: dict[str, Data]) -> Data:
    return generated["bp4d-3fold"]


@pytest.fixture(scope="module")
def faces(generated: dict[str, Data]) -> Data:
    return generated["ferplus-sym"]


def content(cell: CellData) -> str:
    """A hash of every array of a cell."""
    digest = hashlib.sha256()
    for part in (cell.train, cell.validation, cell.test):
        for name in Rows.__dataclass_fields__ if part is not None else ():
            column = getattr(part, name)
            digest.update(np.ascontiguousarray(column.read() if name == "images" else column).tobytes())
    return digest.hexdigest()


def pixels(part: Rows) -> set[bytes]:
    return {image.tobytes() for image in part.images.read()}


def parts_of(cell: CellData) -> list[Rows]:
    return [part for part in (cell.train, cell.validation, cell.test) if part is not None]


def draws_labels(protocol: Protocol) -> bool:
    """Whether each draw has wrong labels of its own: not where a teacher gives them, or nobody doubts them."""
    return not protocol.noisy_labels_from and protocol.noise != "annotators"


def known(labels: np.ndarray) -> np.ndarray:
    return labels >= 0 if labels.ndim == 1 else labels != 0


def first_cell(data: Data, draw: int = 0) -> CellData:
    protocol = data.protocol
    level = protocol.levels[-1] if protocol.levels else None
    return data.cell(protocol.folds[0] if protocol.folds else None, level, draw)


# --- every generated twin


@every_protocol
def test_a_cell_has_the_shapes_it_promises(name: str, generated: dict[str, Data]) -> None:
    data = generated[name]
    width = len(data.protocol.names)
    for part in parts_of(first_cell(data)):
        size = len(part)
        assert size > 0
        assert part.images.read().dtype == np.uint8
        assert part.images.shape == (size, 48, 48, part.images.shape[3])
        assert part.sample_id.shape == part.group.shape == part.verified.shape == part.copy.shape == (size,)
        assert len(set(part.sample_id.tolist())) == size
        for labels in (part.given, part.reference):
            if data.protocol.kind == "single":
                assert labels.shape == (size,)
                assert labels.min() >= -1
                assert labels.max() < width
            else:
                assert labels.shape == (size, width)
                assert set(np.unique(labels)) <= {-1, 0, 1}


@every_protocol
def test_no_row_and_no_face_is_in_two_parts(name: str, generated: dict[str, Data]) -> None:
    parts = parts_of(first_cell(generated[name]))
    for first in range(len(parts)):
        for second in range(first):
            assert not set(parts[first].sample_id.tolist()) & set(parts[second].sample_id.tolist())
            assert not set(parts[first].group.tolist()) & set(parts[second].group.tolist())
            assert not pixels(parts[first]) & pixels(parts[second])


@every_protocol
def test_the_same_draw_gives_the_same_bytes_and_another_one_other_labels_alone(
    name: str, generated: dict[str, Data]
) -> None:
    data = generated[name]
    cell = first_cell(data)
    assert content(first_cell(data)) == content(cell)
    again = open_data(data.protocol, "smoke", "generated", NOWHERE)
    assert content(first_cell(again)) == content(cell)
    other = first_cell(data, draw=1)
    assert np.array_equal(other.train.given, cell.train.given) != draws_labels(data.protocol)
    np.testing.assert_array_equal(other.train.images.read(), cell.train.images.read())
    np.testing.assert_array_equal(other.train.reference, cell.train.reference)
    np.testing.assert_array_equal(other.test.given, cell.test.given)
    assert (other.noise["mask"] == cell.noise["mask"]) != draws_labels(data.protocol)


@every_protocol
def test_test_rows_are_judged_by_reference_labels_without_noise(name: str, generated: dict[str, Data]) -> None:
    cell = first_cell(generated[name])
    assert known(cell.test.reference).all()
    np.testing.assert_array_equal(cell.test.given[known(cell.test.given)], cell.test.reference[known(cell.test.given)])


@every_protocol
def test_the_record_says_what_the_noise_is(name: str, generated: dict[str, Data]) -> None:
    cell, protocol = first_cell(generated[name]), generated[name].protocol
    train = cell.train.take(~cell.train.verified)
    judged = known(train.given) & known(train.reference)
    wrong = judged & (train.given != train.reference)
    assert wrong.any() == draws_labels(protocol)
    assert judged.any() != bool(protocol.noisy_labels_from)  # a teacher's labels come when a trial has one trained
    assert cell.noise["realised"] == (pytest.approx(wrong.sum() / judged.sum()) if judged.any() else None)
    assert cell.noise["kind"] == protocol.noise
    assert cell.noise["nominal"] == (protocol.levels[-1] if protocol.levels else None)


@every_protocol
def test_verified_rows_are_right_and_are_there_where_they_are_offered(name: str, generated: dict[str, Data]) -> None:
    train = first_cell(generated[name]).train
    clean = train.take(train.verified)
    np.testing.assert_array_equal(clean.given, clean.reference)
    assert (len(clean) > 0) == ("verified" in generated[name].protocol.offers)


# --- action units


@given(fold=st.sampled_from(FOLDS), draw=st.integers(0, 20))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_subject_trains_validates_and_tests(fold: str, draw: int, aus: Data) -> None:
    cell = aus.cell(fold, None, draw)
    assert cell.validation is not None
    trained, validated, tested = (set(part.group.tolist()) for part in (cell.train, cell.validation, cell.test))
    assert not trained & validated
    assert not trained & tested
    assert not validated & tested
    assert tested == set(dict(aus.protocol.parts)[fold])


def test_the_folds_test_every_annotated_frame_once(aus: Data) -> None:
    tested = np.concatenate([aus.cell(fold, None, 0).test.sample_id for fold in FOLDS])
    assert sorted(tested.tolist()) == list(range(len(tested)))


@pytest.mark.parametrize("fold", FOLDS)
def test_three_training_subjects_validate_with_as_large_a_share_of_the_noisy_faces(fold: str, aus: Data) -> None:
    cell = aus.cell(fold, None, 0)
    assert cell.validation is not None
    subjects = {subject for name, part in aus.protocol.parts if name != fold for subject in part}
    verified = cell.validation.verified
    validated = set(cell.validation.group[verified].tolist())
    assert len(validated) == aus.protocol.smoke.size.validation == 3
    noisy = aus.protocol.smoke.size.noisy or 0
    assert (~verified).sum() == noisy * 3 // len(subjects)
    assert not set(cell.validation.sample_id.tolist()) & set(cell.train.sample_id.tolist())
    trained = set(cell.train.take(cell.train.verified).group.tolist())
    assert trained | validated == subjects
    np.testing.assert_array_equal(aus.cell(fold, None, 5).validation.group, cell.validation.group)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "fold"), [("emotionet-3split", "split2"), ("bp4d-3fold", "part2"), ("disfa-3fold", "part1")]
)
def test_the_others_have_the_coders_errors_or_wait_for_a_teacher(
    name: str, fold: str, generated: dict[str, Data]
) -> None:
    data = generated[name]
    cell = data.cell(fold, None, 0)
    wild, validated = cell.train.take(~cell.train.verified), cell.validation
    assert validated is not None
    assert len(wild) + (~validated.verified).sum() == data.protocol.smoke.size.noisy
    assert len(set(wild.group.tolist())) == len(wild)
    if data.protocol.noisy_labels_from:
        assert not wild.given.any()
    else:
        assert 0.02 < np.mean(wild.given != wild.reference) < 0.5


def test_flips_turn_training_and_validation_labels_alone(generated: dict[str, Data]) -> None:
    """Exactly the level's share of each AU, a higher level holding the lower one's; or as many of either sign."""
    for name in ("bp4d-3fold-plain:flip", "bp4d-3fold-plain:balanced-flip"):
        data = generated[name]
        weak, strong = data.cell("part1", 0.2, 0), data.cell("part1", 0.4, 0)
        assert weak.validation is not None
        for part in (weak.train, weak.validation):
            flipped = part.given != part.reference
            if name.endswith(":flip"):
                assert set(flipped.sum(0).tolist()) == {int(np.floor(0.2 * len(part) + 0.5))}
            else:
                np.testing.assert_array_equal(
                    (flipped & (part.reference > 0)).sum(0), (flipped & (part.reference < 0)).sum(0)
                )
                np.testing.assert_array_equal((part.given > 0).sum(0), (part.reference > 0).sum(0))
        flipped = weak.train.given != weak.train.reference
        np.testing.assert_array_equal(strong.train.given[flipped], weak.train.given[flipped])
        np.testing.assert_array_equal(strong.test.given, strong.test.reference)


def test_the_paper_profile_of_the_aus_has_no_validation_set() -> None:
    assert find("bp4d-3fold").paper.size.validation == 0


# --- symmetric noise


@given(draw=st.integers(0, 50), low=st.integers(0, 4), high=st.integers(0, 4))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_level_contains_the_flips_of_the_lower_ones(draw: int, low: int, high: int, faces: Data) -> None:
    """With the same wrong label, for training and validation rows alike."""
    low, high = min(low, high), max(low, high)
    levels = faces.protocol.levels
    less, more = faces.cell(None, levels[low], draw), faces.cell(None, levels[high], draw)
    for weak, strong in ((less.train, more.train), (less.validation, more.validation)):
        assert weak is not None
        assert strong is not None
        flipped = weak.given != weak.reference
        np.testing.assert_array_equal(strong.given[flipped], weak.given[flipped])


@pytest.mark.parametrize("level", find("ferplus-sym").levels)
def test_each_class_loses_exactly_its_share(level: float, faces: Data) -> None:
    cell = faces.cell(None, level, 3)
    for part in (cell.train, cell.validation):
        assert part is not None
        for label in range(8):
            own = part.reference == label
            flipped = int((part.given[own] != label).sum())
            assert flipped == int(np.floor(round(level * 10) * own.sum() / 10 + 0.5))
    assert cell.test.given.tolist() == cell.test.reference.tolist()


def test_training_and_validation_noise_are_drawn_apart(faces: Data) -> None:
    cell = faces.cell(None, 0.4, 0)
    assert cell.validation is not None
    size = len(cell.validation)
    train = (cell.train.given != cell.train.reference)[:size]
    assert not np.array_equal(train, cell.validation.given != cell.validation.reference)


# --- the building blocks


@given(size=st.integers(0, 60), count=st.one_of(st.none(), st.integers(0, 80)), seed=st.integers(0, 5))
def test_a_fixed_choice_is_sorted_distinct_and_the_same_for_everybody(size: int, count: int | None, seed: int) -> None:
    chosen = fixed_choice(size, count, seed)
    assert len(chosen) == (size if count is None else min(count, size))
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert all(0 <= row < size for row in chosen)
    np.testing.assert_array_equal(chosen, fixed_choice(size, count, seed))


def test_rows_are_taken_and_joined_whole() -> None:
    images, labels = np.arange(4 * 3, dtype=np.uint8).reshape(4, 1, 1, 3), np.arange(4)
    first = rows(images, labels, labels + 1)
    second = rows(images, labels, labels + 1, first_id=4, group=np.array(list("abcd")))
    both = join(first, second)
    assert both.sample_id.tolist() == list(range(8))
    assert both.group.tolist() == ["0", "1", "2", "3", "a", "b", "c", "d"]
    few = both.take(np.array([6, 1]))
    assert (few.sample_id.tolist(), few.given.tolist(), few.reference.tolist()) == ([6, 1], [2, 1], [3, 2])
    np.testing.assert_array_equal(few.images.read(), images[[2, 1]])
    changed = few.with_given(np.array([9, 9]))
    assert (changed.given.tolist(), changed.reference.tolist()) == ([9, 9], [3, 2])


def test_real_faces_that_are_absent_are_told_with_place_source_and_remedy(tmp_path: Path) -> None:
    who = {
        "ferplus": "microsoft/FERPlus", "bp4d": "Binghamton", "disfa": "mohammadmahoor", "emotionet": "Ohio State",
        "rafdb": "whdeng.cn", "affectnet": "mohammadmahoor.com/affectnet", "cremad": "CheyneyComputerScience",
    }  # fmt: skip
    for name, protocol in PROTOCOLS.items():
        place = protocol.data[0]
        with pytest.raises(BadInput) as caught:
            open_data(find(name), "small", "real", tmp_path)
        message = str(caught.value)
        assert "\n" not in message
        assert all(word in message for word in (str(tmp_path / place), who[place], "--synthetic"))


# --- real faces


@pytest.fixture(scope="module")
def real_data() -> dict[str, Data]:
    names = ("ferplus-sym", "fer2013-real", "fer2013-real:kept")
    return {name: open_data(find(name), "paper", "real", ROOT) for name in names}


class TestRealFaces:
    """FER2013 and FER+ as published."""

    pytestmark = real

    def test_ferplus_sym_keeps_the_published_numbers_of_rows(self, real_data: dict[str, Data]) -> None:
        cell = real_data["ferplus-sym"].cell(None, 0.2, 0)
        assert cell.validation is not None
        assert [len(part) for part in parts_of(cell)] == [25_060, 3_199, 3_153]
        counts = [np.bincount(part.reference, minlength=8).tolist() for part in parts_of(cell)]
        assert counts == [
            [8740, 7287, 3149, 3014, 2100, 119, 532, 119],
            [1182, 865, 415, 351, 287, 24, 62, 13],
            [1090, 893, 396, 384, 273, 18, 83, 16],
        ]
        assert cell.noise["realised"] == pytest.approx(0.2, abs=1e-3)

    @pytest.mark.parametrize("name", ["fer2013-real", "fer2013-real:kept"])
    def test_fer2013_real_tests_3137_rows_of_which_2880_are_no_copies(
        self, name: str, real_data: dict[str, Data]
    ) -> None:
        cell = real_data[name].cell(None, None, 0)
        test = cell.test.take(~cell.test.copy)
        assert (len(cell.test), len(test)) == (3_137, 2_880)
        assert np.bincount(test.reference).tolist() == [1051, 857, 287, 357, 243, 13, 72]
        assert round(100 * float(np.mean(cell.test.given != cell.test.reference)), 1) == 32.6
        trained = pixels(cell.train)
        assert not trained & pixels(test)

    def test_fer2013_real_trains_on_each_distinct_image_once(self, real_data: dict[str, Data]) -> None:
        everything = real_data["fer2013-real"].cell(None, None, 0).train
        kept = real_data["fer2013-real:kept"].cell(None, None, 0).train
        assert len(pixels(everything)) == len(everything)
        assert len(pixels(kept)) == len(kept) == 23_875
        assert pixels(kept) <= pixels(everything)
        assert set(kept.sample_id.tolist()) <= set(everything.sample_id.tolist())
        assert (kept.reference >= 0).all()
        assert (everything.reference < 0).sum() == len(everything) - len(kept)

    def test_fer2013_real_has_the_published_noise(self, real_data: dict[str, Data]) -> None:
        for name in ("fer2013-real", "fer2013-real:kept"):
            assert round(100 * real_data[name].cell(None, None, 0).noise["realised"], 1) == 32.4

    def test_validation_holds_no_training_image(self, real_data: dict[str, Data]) -> None:
        cell = real_data["fer2013-real"].cell(None, None, 0)
        assert cell.validation is not None
        assert not pixels(cell.train) & pixels(cell.validation)
        assert len(pixels(cell.validation)) == len(cell.validation)

    def test_copies_among_the_test_rows_are_those_with_a_training_twin(self, real_data: dict[str, Data]) -> None:
        data = real_data["ferplus-sym"].cell(None, 0.0, 0)
        trained = pixels(data.train)
        for image, is_copy in zip(data.test.images.read(), data.test.copy, strict=True):
            assert not (image.tobytes() in trained and not is_copy)

    @pytest.mark.weekly
    @pytest.mark.parametrize("profile", ["small", "smoke"])
    @pytest.mark.parametrize("name", ["ferplus-sym", "fer2013-real"])
    def test_smaller_profiles_take_their_share(self, name: str, profile: str, real_data: dict[str, Data]) -> None:
        size = find(name).profile(profile).size
        cell = open_data(find(name), profile, "real", ROOT).cell(None, 0.2 if name == "ferplus-sym" else None, 0)
        assert cell.validation is not None
        assert (len(cell.train), len(cell.validation)) == (size.train, size.validation)
        whole: Any = real_data[name].loaded
        assert len(cell.test) == (len(whole.test) if size.test is None else size.test)
        assert set(cell.train.sample_id.tolist()) <= set(whole.train.sample_id.tolist())
