"""Noise on top of splits: votes, coins, pairs, lists of others; nested levels; what the record says of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernoise_bench.protocols.base import Protocol, Size
from fernoise_bench.protocols.catalog import find
from fernoise_bench.protocols.datasets.catalog import listing_of
from fernoise_bench.protocols.designs.splits import DRAWN, VALIDATION_SEED, Splits
from fernoise_bench.protocols.designs.splits import cell as design_cell
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.loading import open_data
from fernoise_bench.protocols.packs.prepare import prepare
from fernoise_bench.protocols.picture_noise import PICTURE_NOISE, Labelled, thumbnails
from fernoise_bench.protocols.rows import CellData, Rows, rows

from ..miniatures import rafdb as miniature_rafdb

Array = np.ndarray[Any, np.dtype[Any]]
BY_KIND: dict[str, Protocol] = {
    find(name).noise: find(name)
    for name in ("rafdb-sym", "rafdb-sym:by-coin", "rafdb-sym:true-included", "rafdb-sym:pair")
}
KIND = st.sampled_from(sorted(BY_KIND))
CLASSES = 7


def faces(labels: Array, first_id: int = 0) -> Rows:
    return rows(np.zeros((len(labels), 1, 1, 3), np.uint8), labels, labels, first_id=first_id)


def splits(count: int = 700, unknown: int = 0, votes: Array | None = None) -> Splits:
    """So many training rows of seven classes, half as many of the others; the first are without a reference."""
    labels = np.arange(2 * count) % CLASSES
    labels[:unknown] = -1
    bounds = (0, count, count + count // 2, 2 * count)
    parts = (faces(labels[a:b], a) for a, b in pairwise(bounds))
    return Splits(*parts, votes=votes)


def flipped(part: Rows | None) -> Array:
    assert part is not None
    return part.given != part.reference


def cell_with(protocol: Protocol, everything: Splits, level: float | None, draw: int) -> CellData:
    return design_cell(protocol, protocol.small, "real", everything, None, level, draw)


def cell_of(kind: str, level: float, draw: int = 0, **how: Any) -> CellData:
    return cell_with(BY_KIND[kind], splits(**how), level, draw)


# --- drawn noise


def test_every_kind_of_drawn_noise_has_its_protocol() -> None:
    assert BY_KIND.keys() == DRAWN.keys()


@given(kind=KIND, levels=st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)), draw=st.integers(0, 20))
def test_a_higher_level_contains_the_lower_one(kind: str, levels: tuple[float, float], draw: int) -> None:
    """With the same new labels, in training and validation alike; the test labels stay."""
    weak, strong = (cell_of(kind, level, draw) for level in sorted(levels))
    for less, more in ((weak.train, strong.train), (weak.validation, strong.validation)):
        assert less is not None
        assert more is not None
        np.testing.assert_array_equal(more.given[flipped(less)], less.given[flipped(less)])
    assert not flipped(strong.test).any()


@given(kind=KIND, level=st.floats(0, 0.99), draw=st.integers(0, 20), unknown=st.integers(0, 100))
def test_the_record_has_the_rate_that_came_about_and_unknown_stays_unknown(
    kind: str, level: float, draw: int, unknown: int
) -> None:
    cell = cell_of(kind, level, draw, unknown=unknown)
    assert not flipped(cell.train)[:unknown].any()
    assert cell.noise["realised"] == pytest.approx(flipped(cell.train)[unknown:].mean())
    assert (cell.noise["kind"], cell.noise["nominal"]) == (kind, level)
    again, other = cell_of(kind, level, draw, unknown=unknown), cell_of(kind, level, draw + 1, unknown=unknown)
    assert again.noise == cell.noise
    if flipped(cell.train).sum() > 50 and kind != "pair flip":
        assert other.noise["mask"] != cell.noise["mask"]


def test_exact_kinds_flip_their_share_of_each_class_and_a_coin_about_as_many() -> None:
    def shares(kind: str) -> list[float]:
        train = cell_of(kind, 0.4, count=7000).train
        return [float(flipped(train)[train.reference == label].mean()) for label in range(CLASSES)]

    assert shares("symmetric") == shares("pair flip") == [0.4] * CLASSES
    by_coin = shares("symmetric, by coin")
    assert len(set(by_coin)) > 1
    assert max(abs(share - 0.4) for share in by_coin) < 0.06


def test_with_the_true_class_included_six_sevenths_of_the_level_is_effective() -> None:
    cell = cell_of("symmetric, true class included", 0.4, count=21_000)
    assert cell.noise["realised"] == pytest.approx(0.4 * 6 / 7, abs=0.01)
    assert cell.noise["nominal"] == 0.4


def test_pairs_go_to_the_next_class_and_the_others_to_any() -> None:
    for kind in BY_KIND:
        train = cell_of(kind, 0.4).train
        steps = set(((train.given - train.reference) % CLASSES).tolist())
        assert steps == ({0, 1} if kind == "pair flip" else set(range(CLASSES)))


def test_training_and_validation_are_drawn_apart() -> None:
    for kind in BY_KIND:
        cell = cell_of(kind, 0.4)
        assert not np.array_equal(flipped(cell.train)[:350], flipped(cell.validation))


@pytest.mark.parametrize("name", ["ferplus-sym:instance", "ferplus-sym:degraded"])
def test_noise_of_pictures_is_one_rule_for_training_and_validation(name: str) -> None:
    """The validation set's lots are its own; matrices and the classifier are the training set's."""
    protocol = find(name)
    of_picture, seed = PICTURE_NOISE[protocol.noise], protocol.noise_seed + 3
    cell = open_data(protocol, "smoke", "generated", Path("nowhere")).cell(None, 0.4, 3)
    assert cell.validation is not None
    train, held_out = (
        Labelled(thumbnails(part.images), part.reference, number)
        for part, number in ((cell.train, seed), (cell.validation, seed + VALIDATION_SEED))
    )
    classes = len(protocol.names)
    assert cell.train.given.tolist() == of_picture(train, 0.4, classes, None).tolist()
    assert cell.validation.given.tolist() == of_picture(held_out, 0.4, classes, train).tolist()
    assert cell.validation.given.tolist() != of_picture(held_out, 0.4, classes, None).tolist()


# --- votes


def test_labels_are_drawn_from_each_faces_own_votes() -> None:
    votes = np.zeros((1400, CLASSES), np.int64)
    votes[:, 2] = 8
    votes[::2, 5] = 2
    everything = splits(votes=votes)
    protocol = replace(find("ferplus-annotator"), names=find("rafdb-sym").names)
    cells = [cell_with(protocol, everything, None, draw) for draw in range(20)]
    given = np.stack([one.train.given for one in cells])
    assert (given[:, 1::2] == 2).all()  # annotators were of one mind
    assert set(np.unique(given[:, ::2]).tolist()) == {2, 5}
    assert (given[:, ::2] == 5).mean() == pytest.approx(0.2, abs=0.02)
    assert len({cell.noise["mask"] for cell in cells}) == len(cells)
    for cell in cells:
        assert cell.noise["realised"] == pytest.approx(flipped(cell.train).mean())
        assert cell.noise["nominal"] is None
        assert not flipped(cell.test).any()


def test_harder_faces_are_noisier_in_the_generated_twin() -> None:
    data = open_data(find("ferplus-annotator"), "smoke", "generated", Path("nowhere"))
    votes = data.loaded.votes
    assert votes is not None
    assert (votes.sum(1) == 10).all()
    wrong = np.stack([flipped(data.cell(None, None, draw).train) for draw in range(20)]).mean(0)
    train = data.loaded.train
    own = votes[train.sample_id, train.reference]
    np.testing.assert_allclose(wrong, 1 - own / 10, atol=0.5)
    assert wrong[own >= 9].mean() < 0.15 < wrong[own <= 6].mean()


# --- lists of others


@pytest.fixture(scope="module")
def rafdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared miniature of RAF-DB with one noisy list beside it."""
    root = tmp_path_factory.mktemp("data")
    listed = miniature_rafdb.rows(8, 3)
    miniature_rafdb.write_official(root / "rafdb", listed)
    prepare(listing_of("rafdb", root), root / "packs", 100, workers=1, skip_bad=False, report=lambda *_: None)
    wrong = [(name, code % 7 + 1 if at % 4 == 0 else code) for at, (name, code) in enumerate(listed)]
    miniature_rafdb.write_noisy_list(root / "rafdb/EmoLabel/0.1noise_train.txt", "scn", wrong)
    return root


def test_the_labels_of_anothers_list_are_those_it_gives(rafdb: Path) -> None:
    data = open_data(find("rafdb-sym:list-0.1"), "paper", "real", rafdb, partial=True)
    cells = [data.cell(None, None, draw) for draw in (0, 1)]
    train = cells[0].train
    np.testing.assert_array_equal(
        train.given, np.where(np.arange(56) % 4 == 0, (train.reference + 1) % 7, train.reference)
    )
    assert cells[0].noise == cells[1].noise
    assert cells[0].noise["realised"] == 0.25
    assert not flipped(cells[0].test).any()
    clean = open_data(find("rafdb-sym"), "paper", "real", rafdb, partial=True).cell(None, 0.0, 0)
    np.testing.assert_array_equal(clean.train.given, train.reference)


@pytest.mark.parametrize("every", [1_000, 2])
def test_a_list_of_another_share_than_its_name_says_is_refused(every: int, rafdb: Path, tmp_path: Path) -> None:
    """As the clean list, or that of another level, saved under this name."""
    listed = miniature_rafdb.rows(8, 3)
    wrong = [(name, code % 7 + 1 if at % every == 1 else code) for at, (name, code) in enumerate(listed)]
    level = "0.5" if every == 1_000 else "0.1"
    file = f"{level}noise_train{'1' if every == 1_000 else ''}.txt"
    shutil.copytree(rafdb, tmp_path / "data")
    miniature_rafdb.write_noisy_list(tmp_path / "data/rafdb/EmoLabel" / file, "scn", wrong)
    with pytest.raises(BadInput, match=r"of its labels differ .*, published are about \d0%, so this is another list"):
        open_data(find(f"rafdb-sym:list-{level}"), "paper", "real", tmp_path / "data", partial=True)


def test_a_list_that_is_absent_is_named(rafdb: Path) -> None:
    with pytest.raises(BadInput, match=r"0\.2noise_train\.txt"):
        open_data(find("rafdb-sym:list-0.2"), "paper", "real", rafdb, partial=True)


def test_a_list_in_basic_is_found_and_its_test_rows_change_nothing(tmp_path: Path) -> None:
    listed = miniature_rafdb.rows(8, 3)
    miniature_rafdb.write_official(tmp_path / "rafdb/basic", listed)
    prepare(listing_of("rafdb", tmp_path), tmp_path / "packs", 100, workers=1, skip_bad=False, report=lambda *_: None)
    wrong = [(name, code % 7 + 1 if at % 4 == 0 else code) for at, (name, code) in enumerate(listed)]
    miniature_rafdb.write_list(tmp_path / "rafdb/basic/EmoLabel/0.4noise_train1.txt", wrong)
    cell = open_data(find("rafdb-sym:list-0.4"), "paper", "real", tmp_path, partial=True).cell(None, None, 0)
    assert flipped(cell.train).tolist() == (np.arange(56) % 4 == 0).tolist()
    assert cell.noise["kind"] == "list of others, 0.4"
    assert len(cell.test) == 21
    assert not flipped(cell.test).any()


def test_a_pack_of_another_copy_than_the_list_is_for(rafdb: Path, tmp_path: Path) -> None:
    listed = miniature_rafdb.rows(7, 3)
    miniature_rafdb.write_official(tmp_path / "rafdb", listed)
    miniature_rafdb.write_noisy_list(tmp_path / "rafdb/EmoLabel/0.1noise_train.txt", "eac", listed)
    (tmp_path / "packs").symlink_to(rafdb / "packs")
    told = r"rafdb has changed since this was made .* \(70 pictures instead of 77\): fernoise-bench data prepare"
    with pytest.raises(BadInput, match=told):
        open_data(find("rafdb-sym:list-0.1"), "paper", "real", tmp_path, partial=True)


# --- cutting


def test_a_profile_takes_the_same_rows_for_everybody_and_refuses_nothing_at_all() -> None:
    everything = splits()
    cut = everything.cut(Size(train=100, validation=20, test=30), 0, Path("place"), ("train",))
    assert [len(part) for part in (cut.train, cut.validation, cut.test)] == [100, 20, 30]
    again = everything.cut(Size(train=100, validation=20, test=30), 0, Path("place"), ("train",))
    np.testing.assert_array_equal(again.train.sample_id, cut.train.sample_id)
    empty = replace(everything, test=everything.test.take(np.zeros(0, np.int64)))
    with pytest.raises(BadInput, match=r"^place: no test row is left; the protocol needs train, test: data verify"):
        empty.cut(Size(), 0, Path("place"), ("train", "test"))
    assert len(empty.cut(Size(), 0, Path("place"), ("train",)).test) == 0


def test_a_split_without_validation_rows_has_no_validation_set() -> None:
    everything = splits()
    none = replace(everything, validation=everything.validation.take(np.zeros(0, np.int64)))
    assert cell_with(find("rafdb-sym"), none, 0.2, 0).validation is None
