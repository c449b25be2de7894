"""Held-out parts: every training row is tested once, by models that never saw its subject, whatever the noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fernoise_bench.protocols.catalog import find, known
from fernoise_bench.protocols.designs.held_out import _joined, base_of, held_out, split_name
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.loading import Data, open_data
from fernoise_bench.protocols.own_data.parts import balanced

from ..miniatures.own import changed, rows, write

NOWHERE = Path("nowhere")


@pytest.fixture(scope="module")
def data() -> Data:
    return open_data(find("ferplus-sym:held-out"), "smoke", "generated", NOWHERE)


def test_every_training_row_is_tested_once_and_never_by_a_model_that_saw_it(data: Data) -> None:
    base = open_data(find("ferplus-sym"), "smoke", "generated", NOWHERE).cell(None, 0.4, 0)
    tested: list[int] = []
    for fold in data.protocol.folds:
        cell = data.cell(fold, 0.4, 0)
        assert not set(cell.train.sample_id.tolist()) & set(cell.test.sample_id.tolist())
        assert not set(cell.train.group.tolist()) & set(cell.test.group.tolist())
        assert len(cell.train) + len(cell.test) == len(base.train)
        np.testing.assert_array_equal(cell.test.reference, cell.test.given)  # no reference is asked for
        assert cell.validation is not None
        assert base.validation is not None
        np.testing.assert_array_equal(cell.validation.sample_id, base.validation.sample_id)
        tested += cell.test.sample_id.tolist()
        place = {row: at for at, row in enumerate(base.train.sample_id.tolist())}
        at = [place[row] for row in cell.test.sample_id.tolist()]
        np.testing.assert_array_equal(cell.test.given, base.train.given[at])
    assert sorted(tested) == sorted(base.train.sample_id.tolist())


def test_the_parts_are_the_same_for_every_draw_and_the_labels_are_not(data: Data) -> None:
    first, second = (data.cell("part1", 0.4, draw) for draw in (0, 1))
    np.testing.assert_array_equal(first.test.sample_id, second.test.sample_id)
    assert (first.test.given != second.test.given).any()


def test_the_noise_in_the_record_is_that_of_the_rows_trained_on(data: Data) -> None:
    cell = data.cell("part2", 0.4, 0)
    assert cell.noise["realised"] == pytest.approx((cell.train.given != cell.train.reference).mean())


def test_the_test_is_told_to_be_by_given_labels_and_the_fingerprint_is_another(data: Data) -> None:
    assert data.identity.origin.judged_by == "given"
    prints = {
        find(name).fingerprint("smoke") for name in ("ferplus-sym", "ferplus-sym:held-out", "ferplus-sym:held-out-3")
    }
    assert len(prints) == 3


def test_a_part_has_whole_subjects_of_a_users_own_data(tmp_path: Path) -> None:
    toml = changed(("[split]", "validation_share = 0.0\n[split]"), ("validation_share = 0.0\n", ""))
    file = write(tmp_path, toml, rows(24, train=18), side=48)
    protocol = find(f"{file}:held-out-3")
    assert protocol.name == "mine:held-out-3"
    assert known(f"{file}:held-out-3") == protocol
    assert base_of(protocol).name == "mine"
    opened = open_data(protocol, "smoke", "real", tmp_path)
    tested = [opened.cell(fold, None, 0).test for fold in protocol.folds]
    assert [len(part) for part in tested] == [6, 6, 6]
    assert all(len(set(part.group.tolist())) == 2 for part in tested)
    names = opened.picture_names(np.concatenate([part.sample_id for part in tested]))
    assert sorted(names) == [f"{number:03d}.png" for number in range(18)]


def test_what_cannot_be_held_out_is_told() -> None:
    for name, message in (
        ("bp4d-3fold:held-out", "has folds already"),
        ("ferplus-sym:held-out-1", "2 to 20 parts"),
        ("ferplus-sym:held-out-21", "2 to 20 parts"),
        ("nothing:held-out", "unknown protocol 'nothing'"),
    ):
        with pytest.raises(BadInput, match=message):
            find(name)
    assert known("nothing:held-out") is None
    assert split_name("ferplus-sym:held-outs") is None
    taught = next(
        name for name in ("affectnet-auto", "emotionet-3split") if find(name).noisy_labels_from or find(name).folds
    )
    with pytest.raises(BadInput):
        held_out(find(taught))


@settings(max_examples=60)
@given(st.lists(st.integers(1, 9), min_size=4, max_size=60), st.integers(2, 4), st.integers(0, 5))
def test_groups_are_shared_out_evenly(sizes: list[int], count: int, seed: int) -> None:
    """No fold can have more than the mean and the largest group."""
    fold = balanced(np.array(sizes), count, [seed])
    totals = np.bincount(fold, np.array(sizes), minlength=count)
    assert totals.max() <= sum(sizes) / count + max(sizes)
    np.testing.assert_array_equal(fold, balanced(np.array(sizes), count, [seed]))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=25))
def test_rows_with_a_subject_or_a_picture_in_common_are_one_group(pairs: list[tuple[int, int]]) -> None:
    """Against groups that are merged row by row."""
    groups: list[set[int]] = []
    for row, (subject, picture) in enumerate(pairs):
        mine = {other for other, pair in enumerate(pairs[:row]) if pair[0] == subject or pair[1] == picture}
        met = [group for group in groups if group & mine]
        groups = [group for group in groups if group not in met] + [{row}.union(*met)]
    subjects, pictures = (np.array(column) for column in zip(*pairs, strict=True))
    found = _joined(subjects, pictures)
    assert {frozenset(np.flatnonzero(found == each).tolist()) for each in set(found.tolist())} == set(
        map(frozenset, groups)
    )
    assert sorted(set(found.tolist())) == list(range(len(groups)))


def test_copies_of_a_picture_are_in_one_part(tmp_path: Path) -> None:
    toml = changed(('subject = "subject"', ""))
    file = write(tmp_path, toml, rows(24, train=18), side=48)
    picture = (tmp_path / "faces" / "000.png").read_bytes()
    for number in (5, 9, 14):
        (tmp_path / "faces" / f"{number:03d}.png").write_bytes(picture)
    opened = open_data(find(f"{file}:held-out-3"), "smoke", "real", tmp_path)
    parts = [set(opened.cell(fold, None, 0).test.sample_id.tolist()) for fold in opened.protocol.folds]
    assert [part & {0, 5, 9, 14} for part in parts if part & {0, 5, 9, 14}] == [{0, 5, 9, 14}]
