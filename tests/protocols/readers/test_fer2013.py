"""The real FER2013 and FER+: every published count of labels, noise and copies."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols import noise
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.images.image_pool import copies_of, first_of_copies, in_memory
from fernoise_bench.protocols.readers.fer2013 import (
    FerPlus,
    check_published,
    majority,
    read,
    to_ferplus,
)

ROOT = Path(os.environ.get("FERNOISE_DATA", "")) / "ferplus"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(
        "FERNOISE_DATA" not in os.environ or not ROOT.is_dir(),
        reason="the real FER2013 and FER+ files are not under FERNOISE_DATA",
    ),
]
TRAINING, PUBLIC, PRIVATE = 0, 1, 2


@pytest.fixture(scope="module")
def data() -> FerPlus:
    return read(ROOT)


@pytest.fixture(scope="module")
def labels(data: FerPlus) -> np.ndarray:
    return majority(data.votes)


@pytest.fixture(scope="module")
def given(data: FerPlus) -> np.ndarray:
    return to_ferplus(data.fer2013)


@pytest.fixture(scope="module")
def groups(data: FerPlus) -> np.ndarray:
    """For every row the number of its group of identical images, int64 [N]."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(image.tobytes(), len(numbers)) for image in data.images])


def wrong(given: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> float:
    """Noise in percent, to one decimal as published."""
    return round(100 * float((given != labels)[rows].mean()), 1)


def test_rows_and_forms(data: FerPlus) -> None:
    assert data.images.shape == (35_887, 48, 48)
    assert data.votes.shape == (35_887, 10)
    assert data.names[-1] == "fer0035801.png"
    assert (data.names == "").sum() == 173
    assert (data.votes[data.names == ""] == [0] * 9 + [10]).all()
    assert np.flatnonzero(data.votes.sum(1) != 10).tolist() == [10_435]


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (TRAINING, [3995, 436, 4097, 7215, 4830, 3171, 4965]),
        (PUBLIC, [467, 56, 496, 895, 653, 415, 607]),
        (PRIVATE, [491, 55, 528, 879, 594, 416, 626]),
    ],
)
def test_fer2013_classes(data: FerPlus, usage: int, counts: list[int]) -> None:
    assert np.bincount(data.fer2013[data.usage == usage]).tolist() == counts


@pytest.mark.parametrize(
    ("usage", "counts", "unknown", "no_face", "kept8", "kept7"),
    [
        (TRAINING, [8740, 7287, 3149, 3014, 2100, 119, 532, 119], 3499, 150, 25_060, 24_941),
        (PUBLIC, [1182, 865, 415, 351, 287, 24, 62, 13], 380, 10, 3199, 3186),
        (PRIVATE, [1090, 893, 396, 384, 273, 18, 83, 16], 420, 16, 3153, 3137),
    ],
)
def test_kept_by_majority(
    data: FerPlus,
    labels: np.ndarray,
    usage: int,
    counts: list[int],
    unknown: int,
    no_face: int,
    kept8: int,
    kept7: int,
) -> None:
    found = np.bincount(labels[data.usage == usage], minlength=10).tolist()
    assert found == [*counts, unknown, no_face]
    assert sum(found[:8]) == kept8
    assert sum(found[:7]) == kept7


def test_noise_rates(data: FerPlus, labels: np.ndarray, given: np.ndarray) -> None:
    training, private = data.usage == TRAINING, data.usage == PRIVATE
    assert wrong(given, labels, training & (labels < 8)) == 32.3
    assert wrong(given, labels, training & (labels < 7)) == 32.0
    assert wrong(given, labels, private & (labels < 7)) == 32.6
    rates = [wrong(given, labels, training & (labels < 7) & (given == label)) for label in range(7)]
    assert rates == [11.0, 6.6, 16.4, 55.4, 47.0, 61.8, 86.0]


def test_noise_by_votes_of_the_winner(data: FerPlus, labels: np.ndarray, given: np.ndarray) -> None:
    winner = data.votes.max(1)
    rates = [wrong(given, labels, (labels < 7) & (winner == votes)) for votes in range(10, 3, -1)]
    assert rates == [8.5, 20.3, 33.0, 45.0, 52.0, 57.9, 66.4]
    sure = (labels < 7) & (winner >= 8)
    assert (sure.sum(), wrong(given, labels, sure)) == (18_450, 18.5)
    training = (data.usage == TRAINING) & (labels < 7)
    assert round(float((winner / data.votes.sum(1))[training].mean()), 3) == 0.784


def test_noise_matrix(data: FerPlus, labels: np.ndarray) -> None:
    rows = (data.usage == TRAINING) & (labels < 8)
    counts = np.zeros((8, 7), np.int64)
    np.add.at(counts, (labels[rows], data.fer2013[rows]), 1)
    assert counts.tolist() == [
        [998, 24, 1088, 318, 2102, 165, 4045],
        [87, 10, 86, 6553, 42, 203, 306],
        [97, 2, 503, 116, 30, 2382, 19],
        [231, 63, 710, 7, 1820, 19, 164],
        [1639, 53, 288, 16, 72, 21, 11],
        [18, 95, 4, 0, 1, 1, 0],
        [23, 2, 435, 3, 10, 59, 0],
        [47, 27, 20, 3, 12, 2, 8],
    ]


def test_transition_constant(data: FerPlus, labels: np.ndarray, given: np.ndarray) -> None:
    rows = (data.usage == TRAINING) & (labels < 7)
    counts = np.zeros((7, 7))
    np.add.at(counts, (labels[rows], given[rows]), 1)
    assert np.array_equal(noise.FER2013_TRANSITION, counts / counts.sum(1, keepdims=True))
    assert noise.FER2013_TRANSITION.diagonal().round(3).tolist() == [0.463, 0.899, 0.756, 0.604, 0.78, 0.798, 0.818]


def test_duplicates(data: FerPlus, groups: np.ndarray) -> None:
    assert first_of_copies(in_memory(data.images)).sum() == groups.max() + 1 == 34_034
    sizes = np.bincount(groups)
    assert (sizes > 1).sum() == 1516
    assert sizes[sizes > 1].sum() == 3369
    black = ~data.images.any((1, 2))
    assert [int((black & (data.usage == usage)).sum()) for usage in range(3)] == [11, 1, 0]
    assert sizes.max() == black.sum() == 12


def test_labels_inside_groups_of_duplicates(data: FerPlus, groups: np.ndarray) -> None:
    low, high = np.full(groups.max() + 1, 9), np.full(groups.max() + 1, -1)
    np.minimum.at(low, groups, data.fer2013)
    np.maximum.at(high, groups, data.fer2013)
    assert (low != high).sum() == 57
    assert (low != high)[groups].sum() == 160
    first = np.unique(groups, return_index=True)[1][groups]
    assert np.array_equal(data.votes, data.votes[first])


def test_copies_of_training_images(data: FerPlus, labels: np.ndarray, given: np.ndarray) -> None:
    training = data.usage == TRAINING
    copy = copies_of(in_memory(data.images), in_memory(data.images[training]))
    assert copy[training].all()
    assert [int((copy & (data.usage == usage)).sum()) for usage in (PUBLIC, PRIVATE)] == [280, 288]
    kept = (labels < 7) & ~copy
    assert (kept & (data.usage == PUBLIC)).sum() == 2938
    assert (kept & (data.usage == PRIVATE)).sum() == 2880
    assert np.bincount(labels[kept & (data.usage == PRIVATE)]).tolist() == [1051, 857, 287, 357, 243, 13, 72]
    rows = np.flatnonzero(training & (labels < 7))
    distinct = rows[first_of_copies(in_memory(data.images[rows]))]
    assert (len(distinct), wrong(given, labels, distinct)) == (23_875, 32.4)


@pytest.mark.weekly
def test_the_folders_hold_the_same_faces(data: FerPlus, tmp_path: Path) -> None:
    folders = ("FER2013Train", "FER2013Valid", "FER2013Test")
    if not all((ROOT / folder / "label.csv").exists() for folder in folders):
        pytest.skip("no FER+ folders under FERNOISE_DATA")
    for folder in folders:
        (tmp_path / folder).symlink_to(ROOT / folder)
    found = read(tmp_path)
    assert np.bincount(found.usage).tolist() == [28_558, 3_579, 3_573]
    assert (found.fer2013 == -1).all()
    last = {name: row for row, name in enumerate(data.names.tolist()) if name}
    rows = np.array([last[name] for name in found.names.tolist()])
    assert len(last) == len(rows) == 35_710
    assert np.array_equal(found.images, data.images[rows])
    assert np.array_equal(found.usage, data.usage[rows])
    if found.layout == "folders":
        assert np.array_equal(found.votes, data.votes[rows])


@pytest.mark.weekly
def test_another_writing_of_the_table_is_the_same_data(data: FerPlus, tmp_path: Path) -> None:
    path = tmp_path / "icml_face_data.csv"
    with (ROOT / "fer2013.csv").open("rb") as source, path.open("wb") as target:
        next(source)
        target.write(b"emotion, Usage, pixels\r\n")
        for line in source:
            label, pixels, usage = line.rstrip().split(b",")
            target.write(b'%s,%s,"%s"\r\n' % (label, usage, pixels))
    (tmp_path / "fer2013new.csv").symlink_to(ROOT / "fer2013new.csv")
    found = read(tmp_path)
    path.unlink()
    assert found.layout == "icml_face_data.csv"
    assert np.array_equal(found.images, data.images)


def test_two_exchanged_entries_are_refused(data: FerPlus) -> None:
    for part, name in {"images": "images", "fer2013": "FER2013 labels", "votes": "votes", "usage": "usage"}.items():
        values = getattr(data, part).copy()
        other = next(row for row in range(len(values)) if not np.array_equal(values[row], values[0]))
        values[[0, other]] = values[[other, 0]]
        with pytest.raises(BadInput, match=f"not equal in {name} .*--partial"):
            check_published(replace(data, **{part: values}), ROOT)


def test_labels_sorted_by_emotion_do_not_agree_with_the_votes_of_their_rows(
    data: FerPlus, labels: np.ndarray, given: np.ndarray
) -> None:
    """The limit of half lies between the published order and the other one, in every block of 500 rows."""

    def shares(codes: np.ndarray) -> list[float]:
        blocks = [slice(start, start + 500) for start in range(0, len(codes), 500)]
        return [float((codes == labels)[block][labels[block] < 8].mean()) for block in blocks]

    assert min(shares(given)) > 0.6
    assert max(shares(given[np.lexsort((data.fer2013, data.usage))])) < 0.4
